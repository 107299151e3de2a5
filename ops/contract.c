/* contract.c - the one contraction under matmul, linear, outer and dot.

   y[b.., i.., j..] = sum over l.. of a[b.., i.., l..] * b[b.., j.., l..]

   with the axes of each operand in groups: batch b, free i or j, contracted l. The result has the batch axes in the
   order given, then a's free axes, then b's. In the primitive every group is a run of neighbouring axes in the order
   given, so that it collapses to one size and one stride, and a product of matrices is left; the builder transposes
   operands for which that does not hold. Every derivative is a contraction again:

   da = contract(g, b) over b's free axes,  db = contract(a, g) over a's free axes.

   `accumulate` is the same sum, begun from what a third operand holds, the last rows first if asked for. Its elements
   are one chain of multiply-adds whatever their number, so a sum that goes on where another one stopped has the bits of
   the sum of all: what the gradients of weights over pieces of a recurrence need.

   An operand may be bf16, the sums then are f32. Where both are, an instruction set may add their products in pairs
   (kernels.h); accumulate adds one after the other, for a sum may go on in the middle of a pair. */
#include "contract.h"
#include "table_ops.h"

#include <retrograde/op.h>

static const rg_attr_field contract_attrs[] = {
    {"a_batch", offsetof(rg_contract_opts, a_batch), RG_ATTR_AXES},
    {"b_batch", offsetof(rg_contract_opts, b_batch), RG_ATTR_AXES},
    {"a_contract", offsetof(rg_contract_opts, a_contract), RG_ATTR_AXES},
    {"b_contract", offsetof(rg_contract_opts, b_contract), RG_ATTR_AXES},
    {0},
};

static const rg_attr_field accumulate_attrs[] = {
    {"a_batch", offsetof(rgi_accumulate_attr, axes.a_batch), RG_ATTR_AXES},
    {"b_batch", offsetof(rgi_accumulate_attr, axes.b_batch), RG_ATTR_AXES},
    {"a_contract", offsetof(rgi_accumulate_attr, axes.a_contract), RG_ATTR_AXES},
    {"b_contract", offsetof(rgi_accumulate_attr, axes.b_contract), RG_ATTR_AXES},
    {"descending", offsetof(rgi_accumulate_attr, descending), RG_ATTR_BOOL},
    {0},
};

/* False: an axis outside, or named twice. */
bool rgi_contract_axes(int32_t rank, const rg_axes *batch, const rg_axes *contracted, rgi_operand_axes *out)
{
    uint32_t used = 0; /* a bit an axis */
    int32_t n = 0;
    *out = (rgi_operand_axes){.batch = batch->n, .contracted = contracted->n, .free = rank - batch->n - contracted->n};
    if (batch->n < 0 || contracted->n < 0 || out->free < 0)
        return false;
    for (int32_t k = 0; k < batch->n + contracted->n; k++) {
        const int32_t axis = k < batch->n ? batch->axis[k] : contracted->axis[k - batch->n];
        if (axis < 0 || axis >= rank || used >> axis & 1)
            return false;
        used |= UINT32_C(1) << axis;
    }
    for (int32_t k = 0; k < batch->n; k++)
        out->axis[n++] = batch->axis[k];
    for (int32_t i = 0; i < rank; i++)
        if (!(used >> i & 1))
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

static bool collapses(const rgi_operand_axes *x)
{
    return is_run(x->axis, x->batch) && is_run(x->axis + x->batch, x->free) &&
           is_run(x->axis + x->batch + x->free, x->contracted);
}

/* What a product of operands of these types is, 0: there is none. */
static rg_dtype product_dtype(rg_dtype a, rg_dtype b)
{
    a = a == RG_BF16 ? RG_F32 : a;
    b = b == RG_BF16 ? RG_F32 : b;
    return a == b ? a : (rg_dtype)0;
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
    rgi_operand_axes a, b;
    const rg_dtype dtype = product_dtype(call->in[0].dtype, call->in[1].dtype);
    if (!dtype)
        return rg_infer_fail(call, RG_ERR_DTYPE, "a is %s, b is %s", rg_dtype_name(call->in[0].dtype),
                             rg_dtype_name(call->in[1].dtype));
    if (o->a_batch.n != o->b_batch.n || o->a_contract.n != o->b_contract.n)
        return rg_infer_fail(call, RG_ERR_ARGUMENT,
                             "%d batch and %d contracted axes of a, %d and %d of b: they go in pairs", o->a_batch.n,
                             o->a_contract.n, o->b_batch.n, o->b_contract.n);
    if (!rgi_contract_axes(call->in[0].shape.rank, &o->a_batch, &o->a_contract, &a) ||
        !rgi_contract_axes(call->in[1].shape.rank, &o->b_batch, &o->b_contract, &b))
        return rg_infer_fail(call, RG_ERR_ARGUMENT, "an axis is outside the rank or named twice");
    rg_status status = pairs_agree(call, &o->a_batch, &o->b_batch);
    status = status ? status : pairs_agree(call, &o->a_contract, &o->b_contract);
    if (status)
        return status;
    if (a.batch + a.free + b.free > RG_MAX_RANK)
        return rg_infer_fail(call, RG_ERR_SHAPE, "the result would have %d axes, at most %d are possible",
                             a.batch + a.free + b.free, RG_MAX_RANK);
    rg_type *y = &call->out[0];
    *y = (rg_type){.dtype = dtype};
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

/* The gradient of an operand of that dtype with axes x, from the cotangent g, in which the free axes of the other
   operand (axes y) begin at `other_free`; paired[k] is the axis of x summed with the k-th contracted axis of y. Of the
   two orders of the operands the one that needs no transposition is taken. */
static rg_node *gradient(rg_node *g, rg_node *other, rg_dtype dtype, const rgi_operand_axes *x,
                         const rgi_operand_axes *y, const int32_t *paired, int32_t other_free)
{
    const rg_contract_opts g_first = {range(0, x->batch), list(y->axis, y->batch), range(other_free, y->free),
                                      list(y->axis + y->batch, y->free)};
    const rg_contract_opts other_first = {g_first.b_batch, g_first.a_batch, g_first.b_contract, g_first.a_contract};
    /* Result axes of either order as axes of mine: the batch axes, then my free axes, and the contracted ones in the
       order in which the other operand has them. */
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
    return rg_cast(other_fits ? rg_contract(other, g, &other_first)
                              : put_back(rg_contract(g, other, &g_first), to_g, rank),
                   dtype);
}

static void sort_both(const rg_node *self, rgi_operand_axes *a, rgi_operand_axes *b)
{
    const rg_contract_opts *o = rg_attr(self);
    rgi_contract_axes(self->in[0]->shape->a.rank, &o->a_batch, &o->a_contract, a);
    rgi_contract_axes(self->in[1]->shape->a.rank, &o->b_batch, &o->b_contract, b);
}

static void vjp(rg_node *self, rg_node *const ct[], rg_node *grad[])
{
    const rg_contract_opts *o = rg_attr(self);
    rgi_operand_axes a, b;
    sort_both(self, &a, &b);
    if (rg_wants(self, 0))
        grad[0] = gradient(ct[0], rg_arg(self, 1), self->in[0]->dtype, &a, &b, o->a_contract.axis, a.batch + a.free);
    if (rg_wants(self, 1))
        grad[1] = gradient(ct[0], rg_arg(self, 0), self->in[1]->dtype, &b, &a, o->b_contract.axis, a.batch);
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
    rgi_operand_axes a, b;
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

/* The batch axes go along, then the free ones of a, then those of b; what a sum goes on from is like the result. */
static void reads(const rg_step *step, size_t i, int32_t from[])
{
    const rg_contract_opts *o = step->attr;
    rgi_operand_axes x;
    for (int32_t a = 0; i == 2 && a < step->out_type->shape.rank; a++)
        from[a] = a;
    if (i == 2 || !rgi_contract_axes(step->in_type[i].shape.rank, i ? &o->b_batch : &o->a_batch,
                                     i ? &o->b_contract : &o->a_contract, &x))
        return;
    const int32_t skipped = i ? step->in_type[0].shape.rank - o->a_batch.n - o->a_contract.n : 0;
    for (int32_t k = 0; k < x.batch + x.free; k++)
        from[x.axis[k]] = k < x.batch ? k : k + skipped;
}

static bool chain(const rg_step *step, bool *descending)
{
    const rgi_accumulate_attr *o = step->attr;
    *descending = o->descending;
    return o->axes.a_contract.n > 0 && o->axes.a_contract.axis[0] == 0 && o->axes.b_contract.axis[0] == 0;
}

const rg_op rgi_op_contract = {
    .name = "contract",
    .n_in = 2,
    .n_out = 1,
    .traits = RG_DELIVERS | RG_ROWS | RG_ANY_SIZES,
    .dtypes = RG_DT_FLOATS | RG_DT(RG_BF16),
    .attr_size = sizeof(rg_contract_opts),
    .attrs = contract_attrs,
    .infer = infer,
    .vjp = vjp,
    .jvp = jvp,
    .batch = batch,
    .geometry_size = sizeof(rgi_product),
    .geometry = rgi_contract_geometry,
    .cost = rgi_contract_cost,
    .packed = rgi_contract_packed,
    .pack = rgi_contract_pack,
    .run = rgi_contract_run,
    .takes = rgi_contract_takes,
    .reads = reads,
};

const rg_op rgi_op_accumulate = {
    .name = "accumulate",
    .n_in = -1,
    .n_out = 1,
    .traits = RG_DELIVERS | RG_ANY_SIZES,
    .dtypes = RG_DT_FLOATS | RG_DT(RG_BF16),
    .attr_size = sizeof(rgi_accumulate_attr),
    .attrs = accumulate_attrs,
    .infer = infer_accumulate,
    .vjp = vjp_accumulate,
    .jvp = jvp_accumulate,
    .batch = batch_accumulate,
    .geometry_size = sizeof(rgi_product),
    .geometry = rgi_contract_geometry,
    .cost = rgi_contract_cost,
    .run = rgi_contract_run,
    .takes = rgi_contract_takes,
    .reads = reads,
    .chain = chain,
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
    rgi_operand_axes o;
    if (!rgi_contract_axes(x->shape->a.rank, batch_axes, contracted, &o) || collapses(&o))
        return x; /* axes that are wrong are the shape rule's to report */
    *batch_axes = range(0, o.batch);
    *contracted = range(o.batch + o.free, o.contracted);
    return rg_transpose(x, list(o.axis, o.batch + o.free + o.contracted));
}

rg_node *rg_contract(rg_node *a, rg_node *b, const rg_contract_opts *opts)
{
    rg_contract_opts o = opts ? *opts : (rg_contract_opts){{0}, {0}, {0}, {0}};
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
    rgi_accumulate_attr attr = {*opts, descending};
    if (!a || !b)
        return NULL;
    a = in_runs(a, &attr.axes.a_batch, &attr.axes.a_contract);
    b = in_runs(b, &attr.axes.b_batch, &attr.axes.b_contract);
    return rg_apply(&rgi_op_accumulate, begin ? RG_NODES(a, b, begin) : RG_NODES(a, b), &attr);
}
