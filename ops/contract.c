/* contract.c - the one contraction under matmul, linear, outer and dot.

   y[b.., i.., j..] = sum over l.. of a[b.., i.., l..] * b[b.., j.., l..]

   with the axes of each operand in groups: batch b, free i or j, contracted l. The result has the batch axes in the order
   given, then a's free axes, then b's. In the primitive every group is a run of neighbouring axes in the order given, so
   that it collapses to one size and one stride, and a product of matrices is left; the builder transposes operands for
   which that does not hold. Every derivative is a contraction again:

   da = contract(g, b) over b's free axes,  db = contract(a, g) over a's free axes.

   `accumulate` is the same sum, begun from what a third operand holds, the last rows first if asked for. Its elements are
   one chain of multiply-adds whatever their number, so a sum that goes on where another one stopped has the bits of the
   sum of all: what the gradients of weights over pieces of a recurrence need. */
#include "rules.h"
#include "table_ops.h"

#include <retrograde/op.h>

#include <string.h>

static const rg_attr_field contract_attrs[] = {
    {"a_batch", offsetof(rg_contract_opts, a_batch), RG_ATTR_AXES},
    {"b_batch", offsetof(rg_contract_opts, b_batch), RG_ATTR_AXES},
    {"a_contract", offsetof(rg_contract_opts, a_contract), RG_ATTR_AXES},
    {"b_contract", offsetof(rg_contract_opts, b_contract), RG_ATTR_AXES},
    {0},
};

typedef struct accumulate_attr {
    rg_contract_opts axes; /* first: the rules of contract read it */
    bool descending;
} accumulate_attr;

static const rg_attr_field accumulate_attrs[] = {
    {"a_batch", offsetof(accumulate_attr, axes.a_batch), RG_ATTR_AXES},
    {"b_batch", offsetof(accumulate_attr, axes.b_batch), RG_ATTR_AXES},
    {"a_contract", offsetof(accumulate_attr, axes.a_contract), RG_ATTR_AXES},
    {"b_contract", offsetof(accumulate_attr, axes.b_contract), RG_ATTR_AXES},
    {"descending", offsetof(accumulate_attr, descending), RG_ATTR_BOOL},
    {0},
};

/* The axes of one operand in the order batch, free, contracted. */
typedef struct operand_axes {
    int32_t axis[RG_MAX_RANK];
    int32_t batch, free, contracted; /* how many of each */
} operand_axes;

/* False: an axis outside, or named twice. */
static bool sort_axes(int32_t rank, const rg_axes *batch, const rg_axes *contracted, operand_axes *out)
{
    bool used[RG_MAX_RANK] = {false};
    int32_t n = 0;
    *out = (operand_axes){.batch = batch->n, .contracted = contracted->n, .free = rank - batch->n - contracted->n};
    if (batch->n < 0 || contracted->n < 0 || out->free < 0)
        return false;
    for (int32_t k = 0; k < batch->n + contracted->n; k++) {
        const int32_t axis = k < batch->n ? batch->axis[k] : contracted->axis[k - batch->n];
        if (axis < 0 || axis >= rank || used[axis])
            return false;
        used[axis] = true;
    }
    for (int32_t k = 0; k < batch->n; k++)
        out->axis[n++] = batch->axis[k];
    for (int32_t i = 0; i < rank; i++)
        if (!used[i])
            out->axis[n++] = i;
    for (int32_t k = 0; k < contracted->n; k++)
        out->axis[n++] = contracted->axis[k];
    return true;
}

/* Whether `n` axes are neighbours in ascending order. */
static bool is_run(const int32_t *axis, int32_t n)
{
    for (int32_t k = 1; k < n; k++)
        if (axis[k] != axis[k - 1] + 1)
            return false;
    return true;
}

static bool collapses(const operand_axes *x)
{
    return is_run(x->axis, x->batch) && is_run(x->axis + x->batch, x->free) &&
           is_run(x->axis + x->batch + x->free, x->contracted);
}

/* ---- shape rule --------------------------------------------------------------------------------- */

static rg_status pairs_agree(const rg_infer *call, const rg_axes *a, const rg_axes *b)
{
    for (int32_t k = 0; k < a->n; k++) {
        const int64_t da = call->in[0].shape.dim[a->axis[k]], db = call->in[1].shape.dim[b->axis[k]];
        if (da != db)
            return rg_infer_fail(call, RG_ERR_SHAPE, "sizes differ: axis %d of a (%lld) against axis %d of b (%lld)",
                                 a->axis[k], (long long)da, b->axis[k], (long long)db);
    }
    return RG_OK;
}

static rg_status infer(rg_infer *call)
{
    const rg_contract_opts *o = call->attr;
    operand_axes a, b;
    if (call->in[0].dtype != call->in[1].dtype)
        return rg_infer_fail(call, RG_ERR_DTYPE, "a is %s, b is %s", rg_dtype_name(call->in[0].dtype),
                             rg_dtype_name(call->in[1].dtype));
    if (o->a_batch.n != o->b_batch.n || o->a_contract.n != o->b_contract.n)
        return rg_infer_fail(call, RG_ERR_ARGUMENT,
                             "%d batch and %d contracted axes of a, %d and %d of b: they go in pairs", o->a_batch.n,
                             o->a_contract.n, o->b_batch.n, o->b_contract.n);
    if (!sort_axes(call->in[0].shape.rank, &o->a_batch, &o->a_contract, &a) ||
        !sort_axes(call->in[1].shape.rank, &o->b_batch, &o->b_contract, &b))
        return rg_infer_fail(call, RG_ERR_ARGUMENT, "an axis is outside the rank or named twice");
    rg_status status = pairs_agree(call, &o->a_batch, &o->b_batch);
    status = status ? status : pairs_agree(call, &o->a_contract, &o->b_contract);
    if (status)
        return status;
    if (a.batch + a.free + b.free > RG_MAX_RANK)
        return rg_infer_fail(call, RG_ERR_SHAPE, "the result would have %d axes, at most %d are possible",
                             a.batch + a.free + b.free, RG_MAX_RANK);
    rg_type *y = &call->out[0];
    *y = (rg_type){.dtype = call->in[0].dtype};
    for (int32_t k = 0; k < a.batch + a.free; k++)
        y->shape.dim[y->shape.rank++] = call->in[0].shape.dim[a.axis[k]];
    for (int32_t k = 0; k < b.free; k++)
        y->shape.dim[y->shape.rank++] = call->in[1].shape.dim[b.axis[b.batch + k]];
    return RG_OK;
}

static rg_status infer_accumulate(rg_infer *call)
{
    if (call->n_in != 2 && call->n_in != 3)
        return rg_infer_fail(call, RG_ERR_ARGUMENT, "%zu inputs", call->n_in);
    const rg_status status = infer(call);
    if (status || call->n_in == 2)
        return status;
    if (call->in[2].dtype != call->out[0].dtype || !rg_shape_equal(call->in[2].shape, call->out[0].shape))
        return rg_infer_fail(call, RG_ERR_SHAPE, "what the sum begins from is not of the type of the result");
    return RG_OK;
}

/* ---- derivative and batching rules ------------------------------------------------------------------ */

static rg_axes range(int32_t from, int32_t n)
{
    rg_axes out = {.n = n};
    for (int32_t k = 0; k < n; k++)
        out.axis[k] = from + k;
    return out;
}

static rg_axes list(const int32_t *axis, int32_t n)
{
    rg_axes out = {.n = n};
    for (int32_t k = 0; k < n; k++)
        out.axis[k] = axis[k];
    return out;
}

/* x with its axes put back: axis k of x is axis to[k] of the result. */
static rg_node *put_back(rg_node *x, const int32_t *to, int32_t rank)
{
    rg_axes axes = {.n = rank};
    bool same = true;
    for (int32_t k = 0; k < rank; k++) {
        axes.axis[to[k]] = k;
        same = same && to[k] == k;
    }
    return same ? x : rg_transpose(x, axes);
}

/* The gradient of an operand with axes x, from the cotangent g, in which the free axes of the other operand (axes y) begin
   at `other_free`; paired[k] is the axis of x summed with the k-th contracted axis of y. Of the two orders of the operands
   the one that needs no transposition is taken. */
static rg_node *gradient(rg_node *g, rg_node *other, const operand_axes *x, const operand_axes *y,
                         const int32_t *paired, int32_t other_free)
{
    const rg_contract_opts g_first = {range(0, x->batch), list(y->axis, y->batch), range(other_free, y->free),
                                      list(y->axis + y->batch, y->free)};
    const rg_contract_opts other_first = {g_first.b_batch, g_first.a_batch, g_first.b_contract, g_first.a_contract};
    /* Result axes of either order as axes of mine: the batch axes, then my free axes, and the contracted ones in the order in
       which the other operand has them. */
    int32_t contracted[RG_MAX_RANK] = {0}, to_g[RG_MAX_RANK] = {0}, to_other[RG_MAX_RANK] = {0}, n = 0;
    const int32_t rank = x->batch + x->free + x->contracted;
    for (int32_t axis = 0; axis < y->batch + y->free + y->contracted; axis++)
        for (int32_t k = 0; k < y->contracted; k++)
            if (y->axis[y->batch + y->free + k] == axis)
                contracted[n++] = paired[k];
    for (int32_t k = 0; k < x->batch; k++)
        to_g[k] = to_other[k] = x->axis[k];
    for (int32_t k = 0; k < x->free; k++)
        to_g[x->batch + k] = to_other[x->batch + x->contracted + k] = x->axis[x->batch + k];
    for (int32_t k = 0; k < x->contracted; k++)
        to_g[x->batch + x->free + k] = to_other[x->batch + k] = contracted[k];
    bool other_fits = true;
    for (int32_t k = 0; k < rank; k++)
        other_fits = other_fits && to_other[k] == k;
    return other_fits ? rg_contract(other, g, &other_first) : put_back(rg_contract(g, other, &g_first), to_g, rank);
}

static void sort_both(const rg_node *self, operand_axes *a, operand_axes *b)
{
    const rg_contract_opts *o = rg_attr(self);
    sort_axes(self->in[0]->shape->a.rank, &o->a_batch, &o->a_contract, a);
    sort_axes(self->in[1]->shape->a.rank, &o->b_batch, &o->b_contract, b);
}

static void vjp(rg_node *self, rg_node *const ct[], rg_node *grad[])
{
    const rg_contract_opts *o = rg_attr(self);
    operand_axes a, b;
    sort_both(self, &a, &b);
    if (rg_wants(self, 0))
        grad[0] = gradient(ct[0], rg_arg(self, 1), &a, &b, o->a_contract.axis, a.batch + a.free);
    if (rg_wants(self, 1))
        grad[1] = gradient(ct[0], rg_arg(self, 0), &b, &a, o->b_contract.axis, a.batch);
}

static void jvp(rg_node *self, rg_node *const tangent[], rg_node *out[])
{
    const rg_contract_opts *o = rg_attr(self);
    rg_node *da = tangent[0] ? rg_contract(tangent[0], rg_arg(self, 1), o) : NULL;
    rg_node *db = tangent[1] ? rg_contract(rg_arg(self, 0), tangent[1], o) : NULL;
    out[0] = da && db ? rg_add(da, db) : da ? da : db;
}

static rg_axes shifted(rg_axes axes, bool by_one)
{
    for (int32_t k = 0; k < axes.n; k++)
        axes.axis[k] += by_one;
    return axes;
}

static rg_axes with_leading(rg_axes axes)
{
    rg_axes out = {.n = axes.n + 1};
    for (int32_t k = 0; k < axes.n; k++)
        out.axis[k + 1] = axes.axis[k];
    return out;
}

/* A new axis of both operands is one more batch axis; of one alone it is one more free axis, and goes to the front. */
static void batch(rg_node *self, rg_node *const in[], const bool batched[], rg_node *out[])
{
    const rg_contract_opts *o = rg_attr(self);
    rg_contract_opts s = {shifted(o->a_batch, batched[0]), shifted(o->b_batch, batched[1]),
                          shifted(o->a_contract, batched[0]), shifted(o->b_contract, batched[1])};
    if (batched[0] && batched[1]) {
        s.a_batch = with_leading(s.a_batch);
        s.b_batch = with_leading(s.b_batch);
        out[0] = rg_contract(in[0], in[1], &s);
        return;
    }
    operand_axes a, b;
    sort_both(self, &a, &b);
    const int32_t at = batched[0] ? a.batch : a.batch + a.free, rank = a.batch + a.free + b.free + 1;
    rg_node *y = rg_contract(in[0], in[1], &s);
    rg_axes front = {.n = rank};
    for (int32_t k = 0; k < rank; k++)
        front.axis[k] = k == 0 ? at : k <= at ? k - 1 : k;
    out[0] = at == 0 ? y : rg_transpose(y, front);
}

static void vjp_accumulate(rg_node *self, rg_node *const ct[], rg_node *grad[])
{
    vjp(self, ct, grad);
    if (self->n_in == 3)
        grad[2] = ct[0];
}

static void jvp_accumulate(rg_node *self, rg_node *const tangent[], rg_node *out[])
{
    rg_node *begin = self->n_in == 3 ? tangent[2] : NULL;
    out[0] = NULL;
    if (tangent[0] || tangent[1])
        jvp(self, tangent, out);
    out[0] = begin && out[0] ? rg_add(out[0], begin) : begin ? begin : out[0];
}

static void batch_accumulate(rg_node *self, rg_node *const in[], const bool batched[], rg_node *out[])
{
    rg_node *product = NULL;
    if (batched[0] || batched[1])
        batch(self, in, batched, &product);
    else
        product = rg_contract(in[0], in[1], rg_attr(self));
    out[0] =
        self->n_in == 3 ? rg_add(product, in[2]) : product; /* an operand without the new axis broadcasts along it */
}

/* ---- cost and run --------------------------------------------------------------------------------------- */

#define RGI_SPLIT_K 4096      /* length of a part of the sum where it is split ... */
#define RGI_SPLIT_RESULT 4096 /* ... which it is for results of at most so many elements */
#define RGI_TAIL_ROWS 96      /* of a block for the tail, a multiple of it where rows are short ... */
#define RGI_TAIL_COLUMNS 2048
#define RGI_TAIL_BYTES ((size_t)512 * 1024) /* ... which stays in L2 with what the tail reads */

/* The product of matrices that is left, for each batch element. */
typedef struct product {
    size_t batch, m, n, k;
    size_t a_row, a_col, a_batch, b_row, b_col, b_batch; /* strides in elements */
    size_t tm, tn, rows, columns;                        /* task tile and how many there are */
    size_t parts;                                        /* of the sum over k */
    size_t tail_rows;                                    /* of a block that a tail is given */
} product;

static size_t least(size_t x, size_t y)
{
    return x < y ? x : y;
}

static size_t rounded(size_t bytes)
{
    return (bytes + 63) / 64 * 64;
}

/* Size and stride of a run of axes. */
static void collapse(const rg_shape *shape, const int32_t *axis, int32_t n, size_t *size, size_t *stride)
{
    *size = 1;
    *stride = n ? rgi_count_range(shape, axis[n - 1] + 1, shape->rank) : 0;
    for (int32_t k = 0; k < n; k++)
        *size *= (size_t)shape->dim[axis[k]];
}

static void geometry(const rg_step *s, void *out)
{
    const rg_contract_opts *o = s->attr;
    const rg_shape *a = &s->in_type[0].shape, *b = &s->in_type[1].shape;
    operand_axes x, y;
    product p;
    size_t same;
    sort_axes(a->rank, &o->a_batch, &o->a_contract, &x);
    sort_axes(b->rank, &o->b_batch, &o->b_contract, &y);
    collapse(a, x.axis, x.batch, &p.batch, &p.a_batch);
    collapse(a, x.axis + x.batch, x.free, &p.m, &p.a_row);
    collapse(a, x.axis + x.batch + x.free, x.contracted, &p.k, &p.a_col);
    collapse(b, y.axis, y.batch, &same, &p.b_batch);
    collapse(b, y.axis + y.batch, y.free, &p.n, &p.b_col);
    collapse(b, y.axis + y.batch + y.free, y.contracted, &same, &p.b_row);
    /* a tail wants whole rows: few and long pieces */
    const bool by_rows = s->tail && p.m >= RGI_TAIL_ROWS;
    rgi_kernels(s->out_type->dtype)->gemm_tile(p.m, by_rows ? 1 : p.n, p.k, &p.tm, &p.tn);
    p.tn = by_rows ? p.n : p.tn;
    p.rows = p.m ? (p.m + p.tm - 1) / p.tm : 0;
    p.columns = p.n ? (p.n + p.tn - 1) / p.tn : 0;
    p.parts = s->op != &rgi_op_accumulate && p.k > 2 * RGI_SPLIT_K && p.batch * p.m * p.n <= RGI_SPLIT_RESULT
                  ? (p.k + RGI_SPLIT_K - 1) / RGI_SPLIT_K
                  : 1;
    const size_t row = least(p.n + !p.n, RGI_TAIL_COLUMNS) * rg_dtype_size(s->out_type->dtype);
    p.tail_rows = RGI_TAIL_ROWS * (1 + least(3, RGI_TAIL_BYTES / (2 * RGI_TAIL_ROWS * row)));
    memcpy(out, &p, sizeof p);
}

/* The second operand packed. */
static size_t packed(const rg_step *s, size_t i, size_t *tasks)
{
    const product *p = s->geometry;
    return i == 1 && p->batch == 1 ? rgi_kernels(s->out_type->dtype)->gemm_packed(p->n, p->k, tasks) : 0;
}

static void pack(const rg_step *s, size_t i, const void *from, void *to, size_t lo, size_t hi)
{
    const product *p = s->geometry;
    (void)i;
    rgi_kernels(s->out_type->dtype)->gemm_pack(p->n, p->k, from, (ptrdiff_t)p->b_row, (ptrdiff_t)p->b_col, lo, hi, to);
}

/* Bytes of the second operand packed, which is done first where a tail takes many blocks of rows: each would pack it anew. */
static size_t packed_first(const rg_step *s, const product *p, size_t *tasks)
{
    const bool often = s->tail && !s->packed && p->m > p->tail_rows && p->columns == 1 && p->b_col != 1;
    return often && p->batch == 1 && p->parts == 1 && s->op == &rgi_op_contract
               ? rgi_kernels(s->out_type->dtype)->gemm_packed(p->n, p->k, tasks)
               : 0;
}

static void cost(const rg_step *s, rg_cost *cost)
{
    const product p = *(const product *)s->geometry;
    size_t panels;
    const rgk_table *kernels = rgi_kernels(s->out_type->dtype);
    const double size = (double)rg_dtype_size(s->out_type->dtype);
    cost->tasks[0] = p.batch * p.rows * p.columns;
    cost->flops = 2.0 * (double)p.batch * (double)p.m * (double)p.n * (double)p.k;
    cost->bytes =
        size * (double)p.batch * ((double)p.m * (double)p.k + (double)p.k * (double)p.n + (double)p.m * (double)p.n);
    cost->scratch = kernels->gemm_scratch(p.m, p.n, p.k);
    cost->shared = packed_first(s, &p, &panels);
    if (cost->shared) {
        cost->tasks[1] = cost->tasks[0];
        cost->tasks[0] = panels;
    }
    if (p.parts > 1) {
        cost->tasks[0] = p.parts;
        cost->tasks[1] = 1;
        cost->shared = (p.parts + (s->tail != NULL)) * p.batch * p.m * p.n * rg_dtype_size(s->out_type->dtype);
    } else if (s->tail) {
        cost->scratch = rounded(cost->scratch) +
                        least(p.m, p.tail_rows) * least(p.n, RGI_TAIL_COLUMNS) * rg_dtype_size(s->out_type->dtype);
    }
}

/* Copies those rows and columns of the third operand, if there is one, to c. */
static void begin_from(const rg_step *s, const product *p, size_t element, const size_t rows[2],
                       const size_t columns[2], char *c, size_t pitch)
{
    const size_t size = rg_dtype_size(s->out_type->dtype);
    for (size_t i = rows[0]; s->n_in == 3 && i < rows[1]; i++) {
        const char *from = (const char *)s->in[2] + ((element * p->m + i) * p->n + columns[0]) * size;
        memcpy(c + (i - rows[0]) * pitch * size, from, (columns[1] - columns[0]) * size);
    }
}

/* Rows and columns of one batch element, over a part of the sum, to c, whose rows are `pitch` elements apart. */
static void multiply(const rg_step *s, const product *p, size_t element, const size_t rows[2], const size_t columns[2],
                     const size_t sum[2], char *c, size_t pitch)
{
    const size_t size = rg_dtype_size(s->out_type->dtype);
    const char *a = s->in[0], *b = s->in[1];
    if (p->k == 0) { /* an empty sum */
        for (size_t i = 0; i < rows[1] - rows[0]; i++)
            rgi_kernels(s->out_type->dtype)->fill(columns[1] - columns[0], 0, c + i * pitch * size);
        if (s->op == &rgi_op_accumulate)
            begin_from(s, p, element, rows, columns, c, pitch);
        return;
    }
    rgk_gemm g = {
        .m = rows[1] - rows[0],
        .n = columns[1] - columns[0],
        .k = sum[1] - sum[0],
        .a = a + (element * p->a_batch + rows[0] * p->a_row + sum[0] * p->a_col) * size,
        .a_row = (ptrdiff_t)p->a_row,
        .a_col = (ptrdiff_t)p->a_col,
        .b = b + (element * p->b_batch + sum[0] * p->b_row + columns[0] * p->b_col) * size,
        .b_row = (ptrdiff_t)p->b_row,
        .b_col = (ptrdiff_t)p->b_col,
        .c = c,
        .c_row = (ptrdiff_t)pitch,
    };
    if (s->op == &rgi_op_accumulate) {
        begin_from(s, p, element, rows, columns, c, pitch);
        g.accumulate = s->n_in == 3;
        if (((const accumulate_attr *)s->attr)->descending) {
            g.a = (const char *)g.a + (g.k - 1) * p->a_col * size;
            g.b = (const char *)g.b + (g.k - 1) * p->b_row * size;
            g.a_col = -g.a_col;
            g.b_row = -g.b_row;
        }
    }
    size_t panels;
    g.packed = s->packed ? s->packed[1] : packed_first(s, p, &panels) ? s->shared : NULL;
    if (g.packed && columns[0] % rgi_kernels(s->out_type->dtype)->lanes != 0)
        g.packed = NULL;
    if (g.packed) {
        g.packed_n = p->n;
        g.packed_k = p->k;
        g.packed_l = sum[0];
        g.packed_j = columns[0];
    }
    if (s->tail && g.n == p->n) { /* whole rows: what the tail reads beside them lies in one piece */
        g.soon_bytes = g.m * g.n * size;
        s->tail->reads(s, (element * p->m + rows[0]) * p->n, g.soon);
    }
    rgi_kernels(s->out_type->dtype)->gemm(&g, s->scratch);
}

/* The same, to the step's output or, in blocks, to its tail. */
static rg_status deliver(const rg_step *s, const product *p, size_t element, const size_t rows[2],
                         const size_t columns[2])
{
    const size_t all[2] = {0, p->k}, size = rg_dtype_size(s->out_type->dtype);
    if (!s->tail) {
        char *c = (char *)s->out[0] + ((element * p->m + rows[0]) * p->n + columns[0]) * size;
        multiply(s, p, element, rows, columns, all, c, p->n);
        return RG_OK;
    }
    char *const c = (char *)s->scratch + rounded(rgi_kernels(s->out_type->dtype)->gemm_scratch(p->m, p->n, p->k));
    rg_status status = RG_OK;
    for (size_t j = columns[0]; j < columns[1] && !status; j += RGI_TAIL_COLUMNS)
        for (size_t i = rows[0]; i < rows[1] && !status; i += p->tail_rows) {
            const size_t r[2] = {i, least(i + p->tail_rows, rows[1])},
                         q[2] = {j, least(j + RGI_TAIL_COLUMNS, columns[1])};
            const rg_block block = {c, q[1] - j, (element * p->m + i) * p->n + j, p->n, r[1] - i, q[1] - j};
            multiply(s, p, element, r, q, all, c, block.stride);
            status = s->tail->take(s, &block);
        }
    return status;
}

/* Tiles [lo, hi), row by row within each batch element; those that make a rectangle are done in one product. */
static rg_status run_tiles(const rg_step *s, const product *p, size_t lo, size_t hi)
{
    const size_t tiles = p->rows * p->columns;
    rg_status status = RG_OK;
    while (lo < hi && !status) {
        const size_t element = lo / tiles, row = lo % tiles / p->columns, column = lo % p->columns;
        const size_t end = least(hi - element * tiles, tiles); /* tiles of this element to do, counted from its first */
        size_t last_row = row + 1, last_column = p->columns;
        if (column == 0 && end / p->columns > row)
            last_row = end / p->columns;
        else
            last_column = least(p->columns, column + end - (row * p->columns + column));
        const size_t rows[2] = {row * p->tm, least(last_row * p->tm, p->m)};
        const size_t columns[2] = {column * p->tn, least(last_column * p->tn, p->n)};
        status = deliver(s, p, element, rows, columns);
        lo += (last_row - row) * (last_column - column);
    }
    return status;
}

static rg_status run(const rg_step *s, size_t lo, size_t hi)
{
    const product *p = s->geometry;
    size_t panels;
    if (s->phase == 0 && packed_first(s, p, &panels)) {
        pack(s, 1, s->in[1], s->shared, lo, hi);
        return RG_OK;
    }
    if (p->parts == 1)
        return run_tiles(s, p, lo, hi);
    const size_t rows[2] = {0, p->m}, columns[2] = {0, p->n}, elements = p->batch * p->m * p->n,
                 size = rg_dtype_size(s->out_type->dtype);
    if (s->phase == 0) { /* parts of the sum, each on its own */
        for (size_t part = lo; part < hi; part++)
            for (size_t e = 0; e < p->batch; e++) {
                const size_t sum[2] = {part * RGI_SPLIT_K, least((part + 1) * RGI_SPLIT_K, p->k)};
                char *c = (char *)s->shared + (part * elements + e * p->m * p->n) * size;
                multiply(s, p, e, rows, columns, sum, c, p->n);
            }
        return RG_OK;
    }
    void *sums = s->tail ? (char *)s->shared + p->parts * elements * size : s->out[0];
    rgi_kernels(s->out_type->dtype)->reduce[RGK_SUM](p->parts, elements, elements, s->shared, sums);
    const rg_block all = {sums, elements, 0, elements, 1, elements};
    return s->tail ? s->tail->take(s, &all) : RG_OK;
}

/* The batch axes go along, then the free ones of a, then those of b; what a sum goes on from is like the result. */
static void reads(const rg_step *step, size_t i, int32_t from[])
{
    const rg_contract_opts *o = step->attr;
    operand_axes x;
    for (int32_t a = 0; i == 2 && a < step->out_type->shape.rank; a++)
        from[a] = a;
    if (i == 2 ||
        !sort_axes(step->in_type[i].shape.rank, i ? &o->b_batch : &o->a_batch, i ? &o->b_contract : &o->a_contract, &x))
        return;
    const int32_t skipped = i ? step->in_type[0].shape.rank - o->a_batch.n - o->a_contract.n : 0;
    for (int32_t k = 0; k < x.batch + x.free; k++)
        from[x.axis[k]] = k < x.batch ? k : k + skipped;
}

const rg_op rgi_op_contract = {
    .name = "contract",
    .n_in = 2,
    .n_out = 1,
    .traits = RG_DELIVERS,
    .dtypes = RG_DT_FLOATS,
    .attr_size = sizeof(rg_contract_opts),
    .attrs = contract_attrs,
    .infer = infer,
    .vjp = vjp,
    .jvp = jvp,
    .batch = batch,
    .geometry_size = sizeof(product),
    .geometry = geometry,
    .cost = cost,
    .packed = packed,
    .pack = pack,
    .run = run,
    .reads = reads,
};

const rg_op rgi_op_accumulate = {
    .name = "accumulate",
    .n_in = -1,
    .n_out = 1,
    .traits = RG_DELIVERS,
    .dtypes = RG_DT_FLOATS,
    .attr_size = sizeof(accumulate_attr),
    .attrs = accumulate_attrs,
    .infer = infer_accumulate,
    .vjp = vjp_accumulate,
    .jvp = jvp_accumulate,
    .batch = batch_accumulate,
    .geometry_size = sizeof(product),
    .geometry = geometry,
    .cost = cost,
    .run = run,
    .reads = reads,
};

/* ---- builder ------------------------------------------------------------------------------------------------ */

static bool normalise(const rg_node *x, rg_axes *axes)
{
    for (int32_t k = 0; k < axes->n; k++)
        if (!rg_axis_normalise(axes->axis[k], x->shape->a.rank, &axes->axis[k]))
            return false;
    return axes->n >= 0 && axes->n <= RG_MAX_RANK;
}

/* Puts the groups of an operand into runs, by a transposition where they are not. */
static rg_node *in_runs(rg_node *x, rg_axes *batch_axes, rg_axes *contracted)
{
    operand_axes o;
    if (!sort_axes(x->shape->a.rank, batch_axes, contracted, &o) || collapses(&o))
        return x; /* axes that are wrong are the shape rule's to report */
    *batch_axes = range(0, o.batch);
    *contracted = range(o.batch + o.free, o.contracted);
    return rg_transpose(x, list(o.axis, o.batch + o.free + o.contracted));
}

/* What is stored as bf16 is multiplied and summed in f32. */
static rg_node *summed(rg_node *x)
{
    return x && x->dtype == RG_BF16 ? rg_cast(x, RG_F32) : x;
}

rg_node *rg_contract(rg_node *a, rg_node *b, const rg_contract_opts *opts)
{
    rg_contract_opts o = opts ? *opts : (rg_contract_opts){{0}, {0}, {0}, {0}};
    a = summed(a);
    b = summed(b);
    if (!a || !b)
        return rg_apply(&rgi_op_contract, RG_NODES(a, b), &o);
    if (!normalise(a, &o.a_batch) || !normalise(a, &o.a_contract) || !normalise(b, &o.b_batch) ||
        !normalise(b, &o.b_contract)) {
        char la[2 * RGI_LABEL], lb[2 * RGI_LABEL];
        return rg_build_fail(a->graph, RG_ERR_ARGUMENT, "rg_contract: an axis is outside the rank of a %s or b %s",
                             rgi_format_operand(a, la, sizeof la), rgi_format_operand(b, lb, sizeof lb));
    }
    if (o.a_batch.n == o.b_batch.n && o.a_contract.n == o.b_contract.n) {
        a = in_runs(a, &o.a_batch, &o.a_contract);
        b = in_runs(b, &o.b_batch, &o.b_contract);
    }
    return rg_apply(&rgi_op_contract, RG_NODES(a, b), &o);
}

rg_node *rgi_accumulate(rg_node *a, rg_node *b, rg_node *begin, const rg_contract_opts *opts, bool descending)
{
    accumulate_attr attr = {*opts, descending};
    if (!a || !b)
        return NULL;
    a = in_runs(a, &attr.axes.a_batch, &attr.axes.a_contract);
    b = in_runs(b, &attr.axes.b_batch, &attr.axes.b_contract);
    return rg_apply(&rgi_op_accumulate, begin ? RG_NODES(a, b, begin) : RG_NODES(a, b), &attr);
}
