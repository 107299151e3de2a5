/* reshape.c - the same elements in the same order under another shape: views, never run.
     reshape:      y.shape = the first `keep` sizes of x, then `shape`, in which one size may be -1
     reshape_like: y.shape = the first `keep` sizes of x, then those of `like` from axis `skip` on
   keep and skip are 0 but in batch rules. dx = g under x's shape. */
#include "rules.h"
#include "table_ops.h"

#include <retrograde/op.h>

__extension__ typedef unsigned __int128 wide;

typedef struct reshape_attr {
    int64_t keep;
    rg_shape shape;
} reshape_attr;

static const rg_attr_field reshape_attrs[] = {
    {"keep", offsetof(reshape_attr, keep), RG_ATTR_I64},
    {"shape", offsetof(reshape_attr, shape), RG_ATTR_SHAPE},
    {0},
};

typedef struct like_attr {
    int64_t keep, skip;
} like_attr;

static const rg_attr_field like_attrs[] = {
    {"keep", offsetof(like_attr, keep), RG_ATTR_I64},
    {"skip", offsetof(like_attr, skip), RG_ATTR_I64},
    {0},
};

/* Product of the sizes but those of -1; false where it does not fit. */
static bool product(const rg_shape *shape, int32_t from, wide *out)
{
    wide n = 1;
    bool zero = false, fits = true;
    for (int32_t i = from; i < shape->rank; i++) {
        if (shape->dim[i] == 0)
            zero = true;
        else if (shape->dim[i] > 0)
            fits = fits && !__builtin_mul_overflow(n, (wide)shape->dim[i], &n);
    }
    *out = zero ? 0 : n;
    return zero || fits;
}

/* The leading sizes of x and the trailing ones of `tail`, with -1 resolved; `text` is the tail for errors. */
static rg_status regroup(rg_infer *call, int64_t keep, const rg_shape *tail, int32_t from, const char *text)
{
    const rg_shape *x = &call->in[0].shape;
    rg_shape y = {.rank = (int32_t)keep + tail->rank - from};
    wide have, known;
    int32_t open = -1;
    if (y.rank > RG_MAX_RANK)
        return rg_infer_fail(call, RG_ERR_SHAPE, "%s has %d axes, at most %d are possible", text, y.rank, RG_MAX_RANK);
    for (int32_t i = 0; i < y.rank; i++) {
        y.dim[i] = i < keep ? x->dim[i] : tail->dim[from + i - keep];
        if (y.dim[i] < -1)
            return rg_infer_fail(call, RG_ERR_SHAPE, "size %lld of axis %d of %s is negative", (long long)y.dim[i], i,
                                 text);
        if (y.dim[i] == -1 && open >= 0)
            return rg_infer_fail(call, RG_ERR_SHAPE, "axes %d and %d of %s are both -1, only one size can be left open",
                                 open, i, text);
        if (y.dim[i] == -1)
            open = i;
    }
    if (!product(x, (int32_t)keep, &have) || !product(&y, (int32_t)keep, &known))
        return rg_infer_fail(call, RG_ERR_SHAPE, "%s has too many elements", text);
    if (open >= 0) {
        if (known == 0)
            return rg_infer_fail(call, RG_ERR_SHAPE,
                                 "the -1 at axis %d of %s could be anything, since another size is 0", open, text);
        if (have % known != 0 || have / known > INT64_MAX)
            return rg_infer_fail(
                call, RG_ERR_SHAPE,
                "no size fits the -1 at axis %d of %s: the others do not divide the number of elements", open, text);
        y.dim[open] = (int64_t)(have / known);
    } else if (have != known) {
        return rg_infer_fail(call, RG_ERR_SHAPE, "%s has another number of elements", text);
    }
    call->out[0] = (rg_type){call->in[0].dtype, y};
    return RG_OK;
}

static rg_status infer_reshape(rg_infer *call)
{
    const reshape_attr *a = call->attr;
    char text[RGI_LABEL];
    if (a->shape.rank < 0 || a->shape.rank > RG_MAX_RANK)
        return rg_infer_fail(call, RG_ERR_SHAPE, "%d axes asked for, at most %d are possible", a->shape.rank,
                             RG_MAX_RANK);
    const rg_shape shape = rg_infer_shape(call, a->shape);
    return regroup(call, a->keep, &shape, 0, rgi_shape_text(call, a->shape, text, sizeof text));
}

static rg_status infer_reshape_like(rg_infer *call)
{
    const like_attr *a = call->attr;
    return regroup(call, a->keep, &call->in[1].shape, (int32_t)a->skip, "input 1");
}

static void batch_reshape(rg_node *self, rg_node *const in[], const bool batched[], rg_node *out[])
{
    (void)batched;
    reshape_attr a = *(const reshape_attr *)rg_attr(self);
    a.keep++;
    out[0] = rg_apply(&rgi_op_reshape, RG_NODES(in[0]), &a);
}

static void batch_reshape_like(rg_node *self, rg_node *const in[], const bool batched[], rg_node *out[])
{
    like_attr a = *(const like_attr *)rg_attr(self);
    rg_node *x = batched[0] ? in[0] : rgi_expand(in[0], 0, in[1], 0, 1);
    a.keep++;
    a.skip += batched[1];
    out[0] = rg_apply(&rgi_op_reshape_like, RG_NODES(x, in[1]), &a);
}

const rg_op rgi_op_reshape = {
    .name = "reshape",
    .n_in = 1,
    .n_out = 1,
    .traits = RG_VIEW,
    .dtypes = RG_DT_ALL | RG_DT(RG_BF16),
    .attr_size = sizeof(reshape_attr),
    .attrs = reshape_attrs,
    .infer = infer_reshape,
    .vjp = rgi_vjp_reshape,
    .jvp = rgi_jvp_linear,
    .batch = batch_reshape,
};

const rg_op rgi_op_reshape_like = {
    .name = "reshape_like",
    .n_in = 2,
    .n_out = 1,
    .traits = RG_VIEW,
    .dtypes = RG_DT_ALL | RG_DT(RG_BF16),
    .shape_only = 1 << 1,
    .attr_size = sizeof(like_attr),
    .attrs = like_attrs,
    .infer = infer_reshape_like,
    .vjp = rgi_vjp_reshape,
    .jvp = rgi_jvp_linear,
    .batch = batch_reshape_like,
};

rg_node *rg_reshape(rg_node *x, rg_shape shape)
{
    return rg_apply(&rgi_op_reshape, RG_NODES(x), &(reshape_attr){0, shape});
}

rg_node *rg_reshape_like(rg_node *x, rg_node *like)
{
    if (x && like && x->shape == like->shape)
        return x;
    return rg_apply(&rgi_op_reshape_like, RG_NODES(x, like), &(like_attr){0, 0});
}
