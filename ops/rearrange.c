/* rearrange.c - elements in another order or repeated, as slices and their concatenation: flip, roll, tile, pad,
   split. */
#include "common.h"

#include <retrograde/op.h>

/* Whether the size of an axis is known only when data is bound. */
static bool is_named(const rg_node *x, int32_t axis)
{
    return x->shape->a.dim[axis] != x->shape->b.dim[axis];
}

static bool find_axis(const char *who, const rg_node *x, int axis, int32_t *out)
{
    char label[2 * RGI_LABEL];
    if (!x)
        return false;
    if (rg_axis_normalise(axis, x->shape->a.rank, out))
        return true;
    rg_build_fail(x->graph, RG_ERR_ARGUMENT, "%s: axis %d is outside the rank of %s", who, axis,
                  rgi_format_operand(x, label, sizeof label));
    return false;
}

rg_node *rg_flip(rg_node *x, rg_axes axes)
{
    uint32_t mask = 0;
    char label[2 * RGI_LABEL];
    for (int32_t k = 0, axis; x && k < axes.n && k < RG_MAX_RANK; k++)
        if (!find_axis("rg_flip", x, axes.axis[k], &axis))
            return NULL;
    if (x && !rg_axes_mask(axes, x->shape->a.rank, &mask))
        return rg_build_fail(x->graph, RG_ERR_ARGUMENT, "rg_flip: the axes of %s to flip are too many, or one is twice",
                             rgi_format_operand(x, label, sizeof label));
    for (int32_t axis = 0; x && mask >> axis; axis++)
        if (mask >> axis & 1)
            x = rg_slice_step(x, axis, RG_END, RG_END, -1);
    return x;
}

rg_node *rg_roll(rg_node *x, int axis, int64_t shift)
{
    char label[2 * RGI_LABEL];
    int32_t at;
    if (!find_axis("rg_roll", x, axis, &at))
        return NULL;
    const int64_t n = x->shape->a.dim[at];
    if (!is_named(x, at)) {
        shift = n ? shift % n : 0;
        shift += shift < 0 ? n : 0;
    }
    if (shift == 0)
        return x;
    if (shift == INT64_MIN) /* which has no opposite */
        return rg_build_fail(x->graph, RG_ERR_ARGUMENT, "rg_roll: a shift by %lld along axis %d of %s",
                             (long long)shift, at, rgi_format_operand(x, label, sizeof label));
    return rg_concat(RG_NODES(rg_slice(x, at, -shift, RG_END), rg_slice(x, at, 0, -shift)), at);
}

rg_node *rg_tile(rg_node *x, rg_shape times)
{
    char label[2 * RGI_LABEL];
    if (x && times.rank != x->shape->a.rank) {
        rg_build_fail(x->graph, RG_ERR_SHAPE, "rg_tile: %d numbers of repetitions for %s", times.rank,
                      rgi_format_operand(x, label, sizeof label));
        return NULL;
    }
    for (int32_t axis = 0; x && axis < times.rank; axis++) {
        if (times.dim[axis] < 0) {
            rg_build_fail(x->graph, RG_ERR_ARGUMENT, "rg_tile: %lld repetitions along axis %d",
                          (long long)times.dim[axis], axis);
            return NULL;
        }
        if (times.dim[axis] == 1)
            continue;
        rg_shape flat = x->shape->a;
        if (times.dim[axis] == 0) { /* -1 could be any size */
            x = rg_slice(x, axis, 0, 0);
            continue;
        }
        flat.dim[axis] = -1;
        rg_node *copies = rg_unsqueeze(x, axis);
        if (!copies)
            return NULL;
        rg_shape each = copies->shape->a;
        each.dim[axis] = times.dim[axis];
        x = rg_reshape(rg_broadcast_to(copies, each), flat);
    }
    return x;
}

/* `n` elements beyond an end of x: `first` is the nearest of a reflection, the one at the edge is not repeated. */
static rg_node *beyond(rg_node *x, int32_t axis, bool behind, int64_t n, rg_pad_mode mode, double value)
{
    rg_shape shape = x->shape->a;
    shape.dim[axis] = n;
    if (mode == RG_PAD_CONSTANT)
        return rg_full(x->graph, x->dtype, shape, value);
    if (mode == RG_PAD_REPLICATE)
        return rg_broadcast_to(behind ? rg_slice(x, axis, -1, RG_END) : rg_slice(x, axis, 0, 1), shape);
    return behind ? rg_slice_step(x, axis, -2, -2 - n, -1) : rg_slice_step(x, axis, n, 0, -1);
}

rg_node *rg_pad(rg_node *x, int axis, int64_t before, int64_t after, rg_pad_mode mode, double value)
{
    char label[2 * RGI_LABEL];
    int32_t at;
    if (!find_axis("rg_pad", x, axis, &at))
        return NULL;
    const int64_t most = before > after ? before : after;
    if (before < 0 || after < 0 || most > RG_END - 2 || (int)mode < 0 || mode > RG_PAD_REPLICATE) {
        rg_build_fail(x->graph, RG_ERR_ARGUMENT, "rg_pad: %lld before and %lld after axis %d of %s, mode %d",
                      (long long)before, (long long)after, at, rgi_format_operand(x, label, sizeof label), (int)mode);
        return NULL;
    }
    const int64_t least = mode == RG_PAD_REFLECT ? most + 1 : most > 0;
    if (mode != RG_PAD_CONSTANT && !is_named(x, at) && x->shape->a.dim[at] < least) {
        rg_build_fail(x->graph, RG_ERR_SHAPE, "rg_pad: axis %d of %s is too short to %s %lld elements", at,
                      rgi_format_operand(x, label, sizeof label), mode == RG_PAD_REFLECT ? "reflect" : "replicate into",
                      (long long)most);
        return NULL;
    }
    rg_node *parts[3];
    size_t n = 0;
    if (before)
        parts[n++] = beyond(x, at, false, before, mode, value);
    parts[n++] = x;
    if (after)
        parts[n++] = beyond(x, at, true, after, mode, value);
    return n == 1 ? x : rg_concat((rg_nodes){parts, n}, at);
}

rg_nodes rg_split(rg_node *x, int axis, int64_t parts)
{
    const rg_nodes none = {NULL, 0};
    char label[2 * RGI_LABEL];
    int32_t at;
    if (!find_axis("rg_split", x, axis, &at))
        return none;
    const int64_t n = x->shape->a.dim[at];
    if (parts < 1 || is_named(x, at) || n % parts) {
        rg_build_fail(x->graph, RG_ERR_SHAPE, "rg_split: axis %d of %s cannot be split into %lld equal parts", at,
                      rgi_format_operand(x, label, sizeof label), (long long)parts);
        return none;
    }
    size_t bytes;
    rg_node **out = rgi_size_mul((size_t)parts, sizeof *out, &bytes) ? rgi_arena_alloc(&x->graph->arena, bytes) : NULL;
    if (!out) {
        rg_build_fail(x->graph, RG_ERR_MEMORY, "rg_split: out of memory");
        return none;
    }
    for (int64_t k = 0; k < parts; k++) {
        out[k] = rg_slice(x, at, k * (n / parts), (k + 1) * (n / parts));
        if (!out[k])
            return none;
    }
    return (rg_nodes){out, (size_t)parts};
}

rg_node *rg_glu(rg_node *x, int axis)
{
    const rg_nodes half = rg_split(x, axis, 2);
    return half.n ? rg_mul(half.at[0], rg_sigmoid(half.at[1])) : NULL;
}
