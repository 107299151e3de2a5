/* regroup.c - axes merged, dropped and inserted by their numbers, so that no size is ever named: views, never run.
     flatten:     axes from .. to become one
     unflatten:   axis `axis` becomes axes first .. first + n - 1 of another tensor, of which the shape alone is used
     squeeze:     the axis, of size 1, goes
     unsqueeze:   an axis of size 1 comes before axis `axis`
   dx = g under x's shape. */
#include "rules.h"
#include "table_ops.h"

#include <retrograde/op.h>

typedef struct flatten_attr {
    int64_t from, to; /* both included */
} flatten_attr;

static const rg_attr_field flatten_attrs[] = {
    {"from", offsetof(flatten_attr, from), RG_ATTR_I64},
    {"to", offsetof(flatten_attr, to), RG_ATTR_I64},
    {0},
};

typedef struct axis_attr {
    int64_t axis;
} axis_attr;

static const rg_attr_field axis_attrs[] = {
    {"axis", offsetof(axis_attr, axis), RG_ATTR_I64},
    {0},
};

static rg_status infer_flatten(rg_infer *call)
{
    const flatten_attr *a = call->attr;
    const rg_shape *x = &call->in[0].shape;
    rg_type *y = &call->out[0];
    if (!rgi_axis_ok(call, a->from, x->rank) || !rgi_axis_ok(call, a->to, x->rank))
        return RG_ERR_ARGUMENT;
    int64_t n = 1;
    bool zero = false, fits = true;
    for (int64_t i = a->from; i <= a->to; i++) {
        zero = zero || x->dim[i] == 0;
        fits = fits && !__builtin_mul_overflow(n, x->dim[i], &n);
    }
    if (!zero && !fits)
        return rg_infer_fail(call, RG_ERR_SHAPE, "axes %lld to %lld together hold too many elements",
                             (long long)a->from, (long long)a->to);
    *y = (rg_type){call->in[0].dtype, {.rank = 0}};
    for (int32_t i = 0; i < x->rank; i++)
        if (i <= a->from || i > a->to)
            y->shape.dim[y->shape.rank++] = i == a->from ? (zero ? 0 : n) : x->dim[i];
    return RG_OK;
}

typedef struct unflatten_attr {
    int64_t axis, first, n;
} unflatten_attr;

static const rg_attr_field unflatten_attrs[] = {
    {"axis", offsetof(unflatten_attr, axis), RG_ATTR_I64},
    {"first", offsetof(unflatten_attr, first), RG_ATTR_I64},
    {"n", offsetof(unflatten_attr, n), RG_ATTR_I64},
    {0},
};

static rg_status infer_unflatten(rg_infer *call)
{
    const unflatten_attr *a = call->attr;
    const rg_shape *x = &call->in[0].shape, *like = &call->in[1].shape;
    rg_type *y = &call->out[0];
    if (!rgi_axis_ok(call, a->axis, x->rank))
        return RG_ERR_ARGUMENT;
    if (a->first < 0 || a->n < 1 || a->first + a->n > like->rank || x->rank + a->n - 1 > RG_MAX_RANK)
        return rg_infer_fail(call, RG_ERR_ARGUMENT, "axes %lld to %lld of input 1", (long long)a->first,
                             (long long)(a->first + a->n - 1));
    int64_t product = 1;
    *y = (rg_type){call->in[0].dtype, {.rank = 0}};
    for (int32_t i = 0; i < x->rank; i++)
        for (int64_t k = 0; k < (i == a->axis ? a->n : 1); k++)
            y->shape.dim[y->shape.rank++] = i == a->axis ? like->dim[a->first + k] : x->dim[i];
    for (int64_t k = 0; k < a->n; k++)
        product *= like->dim[a->first + k]; /* a tensor has them, so it fits */
    if (product != x->dim[a->axis])
        return rg_infer_fail(call, RG_ERR_SHAPE, "axis %lld has %lld elements, not %lld", (long long)a->axis,
                             (long long)x->dim[a->axis], (long long)product);
    return RG_OK;
}

static rg_status infer_squeeze(rg_infer *call)
{
    const int64_t axis = ((const axis_attr *)call->attr)->axis;
    const rg_shape *x = &call->in[0].shape;
    rg_type *y = &call->out[0];
    if (!rgi_axis_ok(call, axis, x->rank))
        return RG_ERR_ARGUMENT;
    if (x->dim[axis] != 1)
        return rg_infer_fail(call, RG_ERR_SHAPE, "the size of axis %lld is not 1", (long long)axis);
    *y = (rg_type){call->in[0].dtype, {.rank = 0}};
    for (int32_t i = 0; i < x->rank; i++)
        if (i != axis)
            y->shape.dim[y->shape.rank++] = x->dim[i];
    return RG_OK;
}

static rg_status infer_unsqueeze(rg_infer *call)
{
    const int64_t axis = ((const axis_attr *)call->attr)->axis;
    const rg_shape *x = &call->in[0].shape;
    rg_type *y = &call->out[0];
    if (x->rank == RG_MAX_RANK)
        return rg_infer_fail(call, RG_ERR_SHAPE, "the result would have more than %d axes", RG_MAX_RANK);
    if (!rgi_axis_ok(call, axis, x->rank + 1))
        return RG_ERR_ARGUMENT;
    *y = (rg_type){call->in[0].dtype, {.rank = x->rank + 1}};
    for (int32_t i = 0; i < y->shape.rank; i++)
        y->shape.dim[i] = i == axis ? 1 : x->dim[i - (i > axis)];
    return RG_OK;
}

static void batch_flatten(rg_node *self, rg_node *const in[], const bool batched[], rg_node *out[])
{
    (void)batched;
    const flatten_attr *a = rg_attr(self);
    out[0] = rg_apply(rg_op_of(self), RG_NODES(in[0]), &(flatten_attr){a->from + 1, a->to + 1});
}

static void batch_unflatten(rg_node *self, rg_node *const in[], const bool batched[], rg_node *out[])
{
    unflatten_attr a = *(const unflatten_attr *)rg_attr(self);
    rg_node *x = batched[0] ? in[0] : rgi_expand(in[0], 0, in[1], 0, 1);
    a.axis++;
    a.first += batched[1];
    out[0] = rg_apply(rg_op_of(self), RG_NODES(x, in[1]), &a);
}

static void batch_axis(rg_node *self, rg_node *const in[], const bool batched[], rg_node *out[])
{
    (void)batched;
    const axis_attr *a = rg_attr(self);
    out[0] = rg_apply(rg_op_of(self), RG_NODES(in[0]), &(axis_attr){a->axis + 1});
}

const rg_op rgi_op_flatten = {
    .name = "flatten",
    .n_in = 1,
    .n_out = 1,
    .traits = RG_VIEW,
    .dtypes = RG_DT_ALL,
    .attr_size = sizeof(flatten_attr),
    .attrs = flatten_attrs,
    .infer = infer_flatten,
    .vjp = rgi_vjp_reshape,
    .jvp = rgi_jvp_linear,
    .batch = batch_flatten,
};

const rg_op rgi_op_unflatten = {
    .name = "unflatten",
    .n_in = 2,
    .n_out = 1,
    .traits = RG_VIEW,
    .dtypes = RG_DT_ALL,
    .shape_only = 1 << 1,
    .attr_size = sizeof(unflatten_attr),
    .attrs = unflatten_attrs,
    .infer = infer_unflatten,
    .vjp = rgi_vjp_reshape,
    .jvp = rgi_jvp_linear,
    .batch = batch_unflatten,
};

const rg_op rgi_op_squeeze = {
    .name = "squeeze",
    .n_in = 1,
    .n_out = 1,
    .traits = RG_VIEW,
    .dtypes = RG_DT_ALL,
    .attr_size = sizeof(axis_attr),
    .attrs = axis_attrs,
    .infer = infer_squeeze,
    .vjp = rgi_vjp_reshape,
    .jvp = rgi_jvp_linear,
    .batch = batch_axis,
};

const rg_op rgi_op_unsqueeze = {
    .name = "unsqueeze",
    .n_in = 1,
    .n_out = 1,
    .traits = RG_VIEW,
    .dtypes = RG_DT_ALL,
    .attr_size = sizeof(axis_attr),
    .attrs = axis_attrs,
    .infer = infer_unsqueeze,
    .vjp = rgi_vjp_reshape,
    .jvp = rgi_jvp_linear,
    .batch = batch_axis,
};

rg_node *rg_flatten(rg_node *x, int from)
{
    if (x && x->shape->a.rank == 0 && (from == 0 || from == -1))
        return rg_unsqueeze(x, 0);
    const flatten_attr a = {rgi_axis(x, from, 0), x ? x->shape->a.rank - 1 : 0};
    return x && a.from == a.to ? x : rg_apply(&rgi_op_flatten, RG_NODES(x), &a);
}

rg_node *rgi_flatten(rg_node *x, int64_t from, int64_t to)
{
    return rg_apply(&rgi_op_flatten, RG_NODES(x), &(flatten_attr){from, to});
}

rg_node *rgi_unflatten(rg_node *x, int64_t axis, rg_node *like, int64_t first, int64_t n)
{
    return rg_apply(&rgi_op_unflatten, RG_NODES(x, like), &(unflatten_attr){axis, first, n});
}

rg_node *rg_squeeze(rg_node *x, int axis)
{
    return rg_apply(&rgi_op_squeeze, RG_NODES(x), &(axis_attr){rgi_axis(x, axis, 0)});
}

rg_node *rg_unsqueeze(rg_node *x, int axis)
{
    return rg_apply(&rgi_op_unsqueeze, RG_NODES(x), &(axis_attr){rgi_axis(x, axis, 1)});
}
