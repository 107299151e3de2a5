/* reduce.c - sums, products and extrema along axes.

       y             vjp, u broadcast along the axes     jvp
       sum x         u                                   sum t
       mean x        u / count                           mean t
       prod x        u prod of the others                see product.c
       max, min x    u at the first extremum, else 0     t at the first extremum      (extremum.c)
       sum x^2       2 x u                               2 sum x t
       norm x        x u / y, 0 where y = 0              sum(x t) / y, 0 where y = 0
       all, any      of bools, no derivative

   The order of a sum is a function of k, the number of elements that meet, and of whether they are contiguous: chunks
   of fixed length, reduced by one kernel call each, and their results by another. Where there is more than one chunk
   the chunks are tasks of phase 0 and their results are combined in phase 1. */
#include "along.h"
#include "table_ops.h"
#include "widen.h"

#include <math.h>

#define CONTIGUOUS_CHUNK 16384 /* elements */
#define STRIDED_CHUNK 1024     /* rows */

typedef enum finish { FINISH_NONE, FINISH_DIVIDE, FINISH_ROOT } finish;

/* What rg_op.data points to: how elements are combined, how the results of chunks are, and what follows. */
typedef struct reduction {
    rgk_reduce first, then;
    finish finish;
} reduction;

/* ---- sizes and tasks ---- */

typedef struct layout {
    rgi_collapse c;
    size_t rows, chunks; /* k is cut into `chunks` of `rows`, the last one shorter */
} layout;

static layout layout_of(const rg_step *s)
{
    layout l = {.c = rgi_collapse_axes(&s->in_type[0].shape, ((const rgi_along *)s->attr)->axes)};
    l.rows = l.c.inner == 1 ? CONTIGUOUS_CHUNK : STRIDED_CHUNK;
    l.chunks = l.c.k <= l.rows ? 1 : (l.c.k + l.rows - 1) / l.rows;
    return l;
}

static void cost(const rg_step *s, rg_cost *cost)
{
    const layout l = layout_of(s);
    const size_t size = rg_dtype_size(s->in_type[0].dtype), blocks = rgi_column_blocks(l.c.inner);
    const double n = (double)rgi_count(&s->in_type[0]);
    cost->tasks[0] = l.c.outer * l.chunks * blocks;
    if (l.chunks > 1) {
        cost->tasks[1] = l.c.outer * blocks;
        cost->shared = l.c.outer * l.chunks * l.c.inner * size;
    }
    cost->scratch = s->source ? CONTIGUOUS_CHUNK * size : 0;
    cost->flops = 2 * n;
    cost->bytes = (n + (double)rgi_count(&s->out_type[0])) * (double)size;
}

/* Where an element of the input is drawn, it is one of a contiguous sum. */
static bool draws(const void *attr, const rg_type *in)
{
    return rg_dtype_is_float(in->dtype) && rgi_collapse_axes(&in->shape, ((const rgi_along *)attr)->axes).inner == 1;
}

/* ---- kernels ---- */

static int64_t combine(rgk_reduce how, int64_t a, int64_t b)
{
    switch (how) {
    case RGK_SUM:
        return rgi_add_wrap(a, b);
    case RGK_PROD:
        return rgi_mul_wrap(a, b);
    case RGK_MAX:
        return a > b ? a : b;
    default: /* RGK_MIN */
        return a < b ? a : b;
    }
}

/* What an empty reduction of integers or bools gives. */
static int64_t neutral(rg_dtype dtype, rgk_reduce how)
{
    const int64_t least = dtype == RG_I64 ? INT64_MIN : dtype == RG_I32 ? INT32_MIN : 0;
    const int64_t most = dtype == RG_I64 ? INT64_MAX : dtype == RG_I32 ? INT32_MAX : 1;
    return how == RGK_SUM ? 0 : how == RGK_PROD ? 1 : how == RGK_MAX ? least : most;
}

/* Columns of integers or bools, as the kernels reduce floats. */
static void reduce_integers(rg_dtype dtype, rgk_reduce how, size_t k, size_t n, size_t stride, const void *x, void *y)
{
    int64_t acc[RGI_BLOCK], v[RGI_BLOCK];
    if (n == 1 && stride == 1) {
        acc[0] = neutral(dtype, how);
        for (size_t i = 0, m; i < k; i += m) {
            m = k - i < RGI_BLOCK ? k - i : RGI_BLOCK;
            rgi_to_i64(dtype, x, i, m, v);
            for (size_t j = 0; j < m; j++)
                acc[0] = combine(how, acc[0], v[j]);
        }
        rgi_from_i64(dtype, acc, 0, 1, y);
        return;
    }
    for (size_t first = 0, m; first < n; first += m) {
        m = n - first < RGI_BLOCK ? n - first : RGI_BLOCK;
        for (size_t j = 0; j < m; j++)
            acc[j] = neutral(dtype, how);
        for (size_t i = 0; i < k; i++) {
            rgi_to_i64(dtype, x, i * stride + first, m, v);
            for (size_t j = 0; j < m; j++)
                acc[j] = combine(how, acc[j], v[j]);
        }
        rgi_from_i64(dtype, acc, first, m, y);
    }
}

static void reduce_columns(rg_dtype dtype, rgk_reduce how, size_t k, size_t n, size_t stride, const void *x, void *y)
{
    if (!rg_dtype_is_float(dtype))
        reduce_integers(dtype, how, k, n, stride, x, y);
    else if (k == 0)
        rgi_kernels(dtype)->fill(n, how == RGK_PROD ? 1 : how == RGK_MAX || how == RGK_MIN ? (double)NAN : 0, y);
    else
        rgi_kernels(dtype)->reduce[how](k, n, stride, x, y);
}

static void divide(rg_dtype dtype, size_t n, size_t count, void *y)
{
    float *f = y;
    double *d = y;
    for (size_t i = 0; i < n; i++)
        if (dtype == RG_F64)
            d[i] /= (double)count;
        else
            f[i] /= (float)count;
}

/* What follows when all of k elements have met in each of n results. */
static void conclude(const rg_step *s, size_t k, size_t n, void *y)
{
    const rg_dtype dtype = s->in_type[0].dtype;
    switch (((const reduction *)s->op->data)->finish) {
    case FINISH_DIVIDE:
        divide(dtype, n, k, y);
        break;
    case FINISH_ROOT:
        rgi_kernels(dtype)->unary[RGK_SQRT](n, y, y, NULL);
        break;
    case FINISH_NONE:
        break;
    }
}

/* The results of tasks [lo, hi), whole rows or chunks of them, of an input that is drawn. */
static rg_status reduce_drawn(const rg_step *s, const layout *l, size_t lo, size_t hi)
{
    const reduction *op = s->op->data;
    const rg_dtype dtype = s->in_type[0].dtype;
    const size_t size = rg_dtype_size(dtype), k = l->c.k, together = k && k <= l->rows ? l->rows / k : 1;
    char *to = (char *)(l->chunks == 1 ? s->out[0] : s->shared) + lo * size, *x = s->scratch;
    rg_status status = RG_OK;
    for (size_t n; lo < hi && !status; lo += n, to += n * size) {
        const size_t from = lo % l->chunks * l->rows, rows = k - from < l->rows ? k - from : l->rows;
        n = hi - lo < together ? hi - lo : together;
        status = rows ? s->source->give(s, lo / l->chunks * k + from, n * rows, x) : RG_OK;
        for (size_t i = 0; i < n; i++)
            reduce_columns(dtype, op->first, rows, 1, 1, x + i * rows * size, to + i * size);
        if (l->chunks == 1)
            conclude(s, k, n, to);
    }
    return status;
}

static rg_status run(const rg_step *s, size_t lo, size_t hi)
{
    const reduction *op = s->op->data;
    const layout l = layout_of(s);
    const rg_dtype dtype = s->in_type[0].dtype;
    const size_t size = rg_dtype_size(dtype), k = l.c.k, inner = l.c.inner;
    if (rgi_count(&s->out_type[0]) == 0)
        return RG_OK;
    if (s->source && s->phase == 0)
        return reduce_drawn(s, &l, lo, hi);
    const bool last = l.chunks == 1 || s->phase == 1;
    rgi_span span;
    for (; lo < hi; lo += span.tasks) {
        span = rgi_span_at(inner, lo, hi);
        char *to = (char *)(last ? s->out[0] : s->shared) + (span.row * inner + span.first) * size;
        if (s->phase == 0) {
            const size_t outer = span.row / l.chunks, row = span.row % l.chunks * l.rows;
            const size_t rows = k - row < l.rows ? k - row : l.rows;
            const char *x = (const char *)s->in[0] + ((outer * k + row) * inner + span.first) * size;
            reduce_columns(dtype, op->first, rows, span.n, inner, x, to);
        } else {
            const char *parts = (const char *)s->shared + (span.row * l.chunks * inner + span.first) * size;
            reduce_columns(dtype, op->then, l.chunks, span.n, inner, parts, to);
        }
        if (last)
            conclude(s, k, span.n, to);
    }
    return RG_OK;
}

/* ---- rules ---- */

static rg_status infer(rg_infer *call)
{
    call->out[0].dtype = call->in[0].dtype;
    return rgi_along_infer(call, &call->in[0].shape, call->attr, &call->out[0].shape);
}

static void batch(rg_node *self, rg_node *const in[], const bool batched[], rg_node *out[])
{
    (void)batched;
    const rgi_along attr = rgi_along_batched(rg_attr(self));
    out[0] = rg_apply(rg_op_of(self), RG_NODES(in[0]), &attr);
}

/* Something of the output's shape, repeated to the input's. */
static rg_node *spread(rg_node *self, rg_node *u)
{
    return rgi_along_spread(rg_attr(self), u, rg_arg(self, 0));
}

/* The same, as an operand that broadcasts against the input. */
static rg_node *aligned(rg_node *self, rg_node *u)
{
    return rgi_along_aligned(rg_attr(self), u);
}

/* The same reduction of something else. */
static rg_node *again(rg_node *self, rg_node *x)
{
    return rg_apply(rg_op_of(self), RG_NODES(x), rg_attr(self));
}

static rg_node *sum_along(rg_node *self, rg_node *x)
{
    return rg_apply(&rgi_op_sum, RG_NODES(x), rg_attr(self));
}

/* A norm, with 1 in place of 0, where x is 0 and so the gradient. */
static rg_node *nonzero(rg_node *y)
{
    if (!y)
        return NULL;
    rg_node *zero = rg_scalar(y->graph, y->dtype, 0), *one = rg_scalar(y->graph, y->dtype, 1);
    return rg_where(rg_equal(y, zero), one, y);
}

static void vjp_sum(rg_node *self, rg_node *const ct[], rg_node *grad[])
{
    grad[0] = spread(self, ct[0]);
}

static void jvp_linear(rg_node *self, rg_node *const tangent[], rg_node *out[])
{
    out[0] = again(self, tangent[0]);
}

static void vjp_mean(rg_node *self, rg_node *const ct[], rg_node *grad[])
{
    const rgi_along *attr = rg_attr(self);
    grad[0] = spread(self, rg_div(ct[0], rg_size_of(rg_arg(self, 0), attr->axes)));
}

static void vjp_prod(rg_node *self, rg_node *const ct[], rg_node *grad[])
{
    grad[0] = rgi_prod_grad(ct[0], rg_arg(self, 0), rg_attr(self));
}

static void jvp_prod(rg_node *self, rg_node *const tangent[], rg_node *out[])
{
    out[0] = rgi_prod_tangent(rg_arg(self, 0), tangent[0], rg_attr(self));
}

static bool smallest(const rg_node *self)
{
    return ((const reduction *)rg_op_of(self)->data)->first == RGK_MIN;
}

static void vjp_extremum(rg_node *self, rg_node *const ct[], rg_node *grad[])
{
    grad[0] = rgi_extremum_put(ct[0], rg_arg(self, 0), rg_attr(self), smallest(self));
}

static void jvp_extremum(rg_node *self, rg_node *const tangent[], rg_node *out[])
{
    out[0] = rgi_extremum_take(tangent[0], rg_arg(self, 0), rg_attr(self), smallest(self));
}

static void vjp_sum_squares(rg_node *self, rg_node *const ct[], rg_node *grad[])
{
    grad[0] = rg_mul(aligned(self, rg_scale(ct[0], 2)), rg_arg(self, 0));
}

static void jvp_sum_squares(rg_node *self, rg_node *const tangent[], rg_node *out[])
{
    out[0] = rg_scale(sum_along(self, rg_mul(rg_arg(self, 0), tangent[0])), 2);
}

static void vjp_norm(rg_node *self, rg_node *const ct[], rg_node *grad[])
{
    rg_node *factor = rg_div(ct[0], nonzero(rg_output(self, 0)));
    grad[0] = rg_mul(rg_arg(self, 0), aligned(self, factor));
}

static void jvp_norm(rg_node *self, rg_node *const tangent[], rg_node *out[])
{
    out[0] = rg_div(sum_along(self, rg_mul(rg_arg(self, 0), tangent[0])), nonzero(rg_output(self, 0)));
}

/* ---- descriptors ---- */

#define REDUCTION(more)                                                                                  \
    .n_in = 1, .n_out = 1, .traits = RG_ROWS | RG_ANY_SIZES | (more), .attr_size = sizeof(rgi_along),    \
    .attrs = rgi_along_fields, .infer = infer, .batch = batch, .cost = cost, .run = run, .draws = draws, \
    .reads = rgi_along_reads

const rg_op rgi_op_sum = {
    REDUCTION(0),   .name = "sum",     .dtypes = RG_DT_NUMBERS,
    .vjp = vjp_sum, .jvp = jvp_linear, .data = &(const reduction){RGK_SUM, RGK_SUM, FINISH_NONE},
};

const rg_op rgi_op_mean = {
    REDUCTION(0),    .name = "mean",    .dtypes = RG_DT_FLOATS,
    .vjp = vjp_mean, .jvp = jvp_linear, .data = &(const reduction){RGK_SUM, RGK_SUM, FINISH_DIVIDE},
};

const rg_op rgi_op_prod = {
    REDUCTION(0),    .name = "prod",  .dtypes = RG_DT_NUMBERS,
    .vjp = vjp_prod, .jvp = jvp_prod, .data = &(const reduction){RGK_PROD, RGK_PROD, FINISH_NONE},
};

const rg_op rgi_op_max = {
    REDUCTION(0),        .name = "max",       .dtypes = RG_DT_NUMBERS,
    .vjp = vjp_extremum, .jvp = jvp_extremum, .data = &(const reduction){RGK_MAX, RGK_MAX, FINISH_NONE},
};

const rg_op rgi_op_min = {
    REDUCTION(0),        .name = "min",       .dtypes = RG_DT_NUMBERS,
    .vjp = vjp_extremum, .jvp = jvp_extremum, .data = &(const reduction){RGK_MIN, RGK_MIN, FINISH_NONE},
};

const rg_op rgi_op_sum_squares = {
    REDUCTION(0),           .name = "sum_squares",  .dtypes = RG_DT_FLOATS,
    .vjp = vjp_sum_squares, .jvp = jvp_sum_squares, .data = &(const reduction){RGK_SUM_SQUARES, RGK_SUM, FINISH_NONE},
};

const rg_op rgi_op_norm = {
    REDUCTION(0),    .name = "norm",  .dtypes = RG_DT_FLOATS,
    .vjp = vjp_norm, .jvp = jvp_norm, .data = &(const reduction){RGK_SUM_SQUARES, RGK_SUM, FINISH_ROOT},
};

const rg_op rgi_op_all = {
    REDUCTION(RG_ZERO_GRAD),
    .name = "all",
    .dtypes = RG_DT(RG_BOOL),
    .data = &(const reduction){RGK_MIN, RGK_MIN, FINISH_NONE},
};

const rg_op rgi_op_any = {
    REDUCTION(RG_ZERO_GRAD),
    .name = "any",
    .dtypes = RG_DT(RG_BOOL),
    .data = &(const reduction){RGK_MAX, RGK_MAX, FINISH_NONE},
};

/* ---- builders ---- */

/* One reduction for each run of neighbouring axes, from the last run to the first, so that the numbers of the axes in
   front stay what they are: `op` first, then `then` on its results. */
static rg_node *reduce(const rg_op *op, const rg_op *then, rg_node *x, rg_axes axes, bool keepdims)
{
    uint32_t mask;
    if (!x || !rg_axes_mask(axes, x->shape->a.rank, &mask)) /* the shape rule says what is wrong */
        return rg_apply(op, RG_NODES(x), &(rgi_along){axes, keepdims});
    if (!mask)
        return rg_apply(op, RG_NODES(x), &(rgi_along){.keepdims = keepdims});
    for (int32_t end = x->shape->a.rank; x && end > 0;) {
        int32_t first = end - 1;
        if (mask >> first & 1) {
            while (first > 0 && mask >> (first - 1) & 1)
                first--;
            rgi_along attr = {.axes = {.n = end - first}, .keepdims = keepdims};
            for (int32_t i = first; i < end; i++)
                attr.axes.axis[i - first] = i;
            x = rg_apply(op, RG_NODES(x), &attr);
            op = then;
        }
        end = first;
    }
    return x;
}

rg_node *rg_sum(rg_node *x, rg_axes axes, bool keepdims)
{
    return reduce(&rgi_op_sum, &rgi_op_sum, x, axes, keepdims);
}

rg_node *rg_mean(rg_node *x, rg_axes axes, bool keepdims)
{
    return reduce(&rgi_op_mean, &rgi_op_mean, x, axes, keepdims); /* the groups of a mean of means are of one size */
}

rg_node *rg_prod(rg_node *x, rg_axes axes, bool keepdims)
{
    return reduce(&rgi_op_prod, &rgi_op_prod, x, axes, keepdims);
}

rg_node *rg_max(rg_node *x, rg_axes axes, bool keepdims)
{
    return reduce(&rgi_op_max, &rgi_op_max, x, axes, keepdims);
}

rg_node *rg_min(rg_node *x, rg_axes axes, bool keepdims)
{
    return reduce(&rgi_op_min, &rgi_op_min, x, axes, keepdims);
}

rg_node *rg_all(rg_node *x, rg_axes axes, bool keepdims)
{
    return reduce(&rgi_op_all, &rgi_op_all, x, axes, keepdims);
}

rg_node *rg_any(rg_node *x, rg_axes axes, bool keepdims)
{
    return reduce(&rgi_op_any, &rgi_op_any, x, axes, keepdims);
}

rg_node *rg_norm(rg_node *x, rg_axes axes, bool keepdims)
{
    return reduce(&rgi_op_norm, &rgi_op_norm, x, axes, keepdims);
}

rg_node *rgi_sum_squares(rg_node *x, rg_axes axes, bool keepdims)
{
    return reduce(&rgi_op_sum_squares, &rgi_op_sum, x, axes, keepdims);
}

/* ---- compositions ---- */

/* Axes that `like` has with size 1 are summed and kept; leading axes that it does not have are summed and go. */
rg_node *rg_sum_like(rg_node *x, rg_node *like)
{
    if (!x || !like)
        return rg_build_fail(x      ? x->graph
                             : like ? like->graph
                                    : NULL,
                             RG_ERR_ARGUMENT, "rg_sum_like: input %d is NULL", x ? 1 : 0);
    if (x->shape == like->shape)
        return x;
    const rg_shape *from = &x->shape->a, *to = &like->shape->a;
    const int32_t extra = from->rank - to->rank;
    rg_axes gone = {0}, kept = {0};
    bool fits = extra >= 0;
    for (int32_t i = 0; i < from->rank && fits; i++)
        if (i < extra) {
            gone.axis[gone.n++] = i;
        } else if (from->dim[i] != to->dim[i - extra] || x->shape->b.dim[i] != like->shape->b.dim[i - extra]) {
            fits = to->dim[i - extra] == 1 && like->shape->b.dim[i - extra] == 1;
            kept.axis[kept.n++] = i;
        }
    if (!fits) {
        char a[2 * RGI_LABEL], b[2 * RGI_LABEL];
        return rg_build_fail(x->graph, RG_ERR_SHAPE, "rg_sum_like: %s cannot be summed to the shape of %s",
                             rgi_format_operand(x, a, sizeof a), rgi_format_operand(like, b, sizeof b));
    }
    if (kept.n)
        x = rg_sum(x, kept, true);
    return gone.n ? rg_sum(x, gone, false) : x;
}

rg_node *rg_square_norm(rg_nodes nodes)
{
    rg_node *sum = NULL;
    if (nodes.n == 0)
        return rg_build_fail(NULL, RG_ERR_ARGUMENT, "rg_square_norm: the list of nodes is empty");
    for (size_t i = 0; i < nodes.n; i++) {
        rg_node *part = rgi_sum_squares(rg_at(nodes, i), RG_ALL_AXES, false);
        sum = i ? rg_add(sum, part) : part;
    }
    return sum;
}
