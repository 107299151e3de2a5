/* extremum.c - where the extremum is, and what moves to and from there.

       argmax, argmin      index of the first extremum along one axis; a NaN counts as the extremum
       extremum_take(t, x) the element of t where x has its first extremum along the axes
       extremum_put(u, x)  u in that place, zeros elsewhere
   The last two are linear in their first input, transposes of each other, and flat in x; they are the derivatives of
   max and min. */
#include "along.h"
#include "table_ops.h"

#include <string.h>

typedef struct arg_attr {
    int64_t axis;
} arg_attr;

typedef struct extremum {
    rgi_along along; /* first: seen as such */
    bool smallest;
} extremum;

/* ---- shape rules ---- */

static rg_status infer_arg(rg_infer *call)
{
    const int64_t axis = ((const arg_attr *)call->attr)->axis;
    const rg_shape *x = &call->in[0].shape;
    if (!rgi_axis_ok(call, axis, x->rank))
        return RG_ERR_ARGUMENT;
    if (x->dim[axis] == 0)
        return rg_infer_fail(call, RG_ERR_SHAPE, "no element along axis %d", (int)axis);
    call->out[0].dtype = RG_I64;
    return rgi_along_infer(call, x, &(rgi_along){.axes = {1, {(int32_t)axis}}}, &call->out[0].shape);
}

static rg_status infer_extremum(rg_infer *call)
{
    rg_shape reduced;
    const rg_shape *x = &call->in[1].shape;
    const rg_status status = rgi_along_infer(call, x, call->attr, &reduced);
    if (status != RG_OK)
        return status;
    const bool put = call->op == &rgi_op_extremum_put;
    if (call->in[0].dtype != call->in[1].dtype || !rg_shape_equal(call->in[0].shape, put ? reduced : *x))
        return rg_infer_fail(call, RG_ERR_SHAPE, "input 0 does not fit input 1");
    call->out[0] = (rg_type){call->in[0].dtype, put ? *x : reduced};
    return RG_OK;
}

/* ---- derivatives and batching ---- */

static void vjp_take(rg_node *self, rg_node *const ct[], rg_node *grad[])
{
    if (rg_wants(self, 0))
        grad[0] = rg_apply(&rgi_op_extremum_put, RG_NODES(ct[0], rg_arg(self, 1)), rg_attr(self));
}

static void vjp_put(rg_node *self, rg_node *const ct[], rg_node *grad[])
{
    if (rg_wants(self, 0))
        grad[0] = rg_apply(&rgi_op_extremum_take, RG_NODES(ct[0], rg_arg(self, 1)), rg_attr(self));
}

static void batch_arg(rg_node *self, rg_node *const in[], const bool batched[], rg_node *out[])
{
    (void)batched;
    out[0] = rg_apply(rg_op_of(self), RG_NODES(in[0]), &(arg_attr){((const arg_attr *)rg_attr(self))->axis + 1});
}

static void batch_extremum(rg_node *self, rg_node *const in[], const bool batched[], rg_node *out[])
{
    extremum attr = *(const extremum *)rg_attr(self);
    rg_node *full[2];
    attr.along = rgi_along_batched(&attr.along);
    rgi_batch_all(in, batched, 2, full);
    out[0] = rg_apply(rg_op_of(self), (rg_nodes){full, 2}, &attr);
}

/* ---- running: tasks are blocks of columns ---- */

static void indices(rg_dtype dtype, bool smallest, rgi_collapse c, size_t n, const void *x, int64_t *y)
{
    const rgk_table *k = rgi_kernels(dtype);
    (smallest ? k->argmin : k->argmax)(c.k, n, c.inner, x, y);
}

static rgi_collapse collapse_of(const rg_step *s)
{
    if (s->n_in == 1)
        return rgi_collapse_axis(&s->in_type[0].shape, (int32_t)((const arg_attr *)s->attr)->axis);
    return rgi_collapse_axes(&s->in_type[1].shape, ((const extremum *)s->attr)->along.axes);
}

static void cost(const rg_step *s, rg_cost *cost)
{
    const rgi_collapse c = collapse_of(s);
    cost->tasks[0] = c.outer * rgi_column_blocks(c.inner);
    cost->flops = 2 * (double)rgi_count(&s->in_type[s->n_in - 1]);
    cost->bytes = rgi_bytes(s);
}

static rg_status run_arg(const rg_step *s, size_t lo, size_t hi)
{
    const rgi_collapse c = collapse_of(s);
    const rg_dtype dtype = s->in_type[0].dtype;
    const size_t size = rg_dtype_size(dtype);
    if (c.outer * c.inner == 0)
        return RG_OK;
    if (c.k == 0)
        return rg_step_fail(s, RG_ERR_SHAPE, "no element along axis %d", (int)((const arg_attr *)s->attr)->axis);
    rgi_span span;
    for (; lo < hi; lo += span.tasks) {
        span = rgi_span_at(c.inner, lo, hi);
        indices(dtype, s->op == &rgi_op_argmin, c, span.n,
                (const char *)s->in[0] + (span.row * c.k * c.inner + span.first) * size,
                (int64_t *)s->out[0] + span.row * c.inner + span.first);
    }
    return RG_OK;
}

static void copy_element(size_t size, const void *x, size_t i, void *y, size_t j)
{
    if (size == sizeof(float))
        memcpy((float *)y + j, (const float *)x + i, sizeof(float));
    else
        memcpy((double *)y + j, (const double *)x + i, sizeof(double));
}

/* One block of n columns: column j has its k elements at first + i * inner + j of the larger tensor and its one at
   `reduced` + j of the smaller. */
static void move_columns(const rg_step *s, rgi_collapse c, size_t n, size_t first, size_t reduced)
{
    const size_t size = rg_dtype_size(s->out_type[0].dtype);
    const bool put = s->op == &rgi_op_extremum_put;
    int64_t at[RGI_COLUMNS];
    for (size_t i = 0; put && i < c.k; i++)
        memset((char *)s->out[0] + (first + i * c.inner) * size, 0, n * size);
    if (c.k == 0) {
        if (!put)
            memset((char *)s->out[0] + reduced * size, 0, n * size);
        return;
    }
    indices(s->in_type[1].dtype, ((const extremum *)s->attr)->smallest, c, n, (const char *)s->in[1] + first * size,
            at);
    for (size_t j = 0; j < n; j++) {
        const size_t large = first + (size_t)at[j] * c.inner + j;
        copy_element(size, s->in[0], put ? reduced + j : large, s->out[0], put ? large : reduced + j);
    }
}

static rg_status run_extremum(const rg_step *s, size_t lo, size_t hi)
{
    const rgi_collapse c = collapse_of(s);
    if (c.outer * c.inner == 0)
        return RG_OK;
    for (; lo < hi; lo++) {
        const rgi_span span = rgi_span_at(c.inner, lo, lo + 1);
        move_columns(s, c, span.n, span.row * c.k * c.inner + span.first, span.row * c.inner + span.first);
    }
    return RG_OK;
}

/* ---- descriptors ---- */

static const rg_attr_field arg_fields[] = {{"axis", offsetof(arg_attr, axis), RG_ATTR_I64}, {0}};
static const rg_attr_field extremum_fields[] = {
    {"axes", offsetof(extremum, along.axes), RG_ATTR_AXES},
    {"keepdims", offsetof(extremum, along.keepdims), RG_ATTR_BOOL},
    {"smallest", offsetof(extremum, smallest), RG_ATTR_BOOL},
    {0},
};

#define ARG                                                                                                   \
    .n_in = 1, .n_out = 1, .traits = RG_ZERO_GRAD | RG_CAN_FAIL, .dtypes = RG_DT_FLOATS,                      \
    .attr_size = sizeof(arg_attr), .attrs = arg_fields, .infer = infer_arg, .batch = batch_arg, .cost = cost, \
    .run = run_arg
#define EXTREMUM                                                                                                \
    .n_in = 2, .n_out = 1, .dtypes = RG_DT_FLOATS, .attr_size = sizeof(extremum), .attrs = extremum_fields,     \
    .infer = infer_extremum, .jvp = rgi_jvp_linear, .batch = batch_extremum, .cost = cost, .run = run_extremum, \
    .reads = rgi_along_reads

const rg_op rgi_op_argmax = {ARG, .name = "argmax"};

const rg_op rgi_op_argmin = {ARG, .name = "argmin"};

const rg_op rgi_op_extremum_take = {EXTREMUM, .name = "extremum_take", .vjp = vjp_take};

const rg_op rgi_op_extremum_put = {EXTREMUM, .name = "extremum_put", .vjp = vjp_put};

/* ---- builders ---- */

rg_node *rg_argmax(rg_node *x, int axis)
{
    return rg_apply(&rgi_op_argmax, RG_NODES(x), &(arg_attr){rgi_axis(x, axis, 0)});
}

rg_node *rg_argmin(rg_node *x, int axis)
{
    return rg_apply(&rgi_op_argmin, RG_NODES(x), &(arg_attr){rgi_axis(x, axis, 0)});
}

rg_node *rgi_extremum_take(rg_node *t, rg_node *x, const rgi_along *along, bool smallest)
{
    return rg_apply(&rgi_op_extremum_take, RG_NODES(t, x), &(extremum){*along, smallest});
}

rg_node *rgi_extremum_put(rg_node *u, rg_node *x, const rgi_along *along, bool smallest)
{
    return rg_apply(&rgi_op_extremum_put, RG_NODES(u, x), &(extremum){*along, smallest});
}
