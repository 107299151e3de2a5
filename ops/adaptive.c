/* adaptive.c - pooling to a given number of outputs, as PyTorch defines it: of n inputs output k of m sees
   floor(k n / m) .. ceil((k + 1) n / m). Where m divides n on all axes that is a pool like any other; elsewhere windows
   differ in size and overlap, and each axis in turn is put together from slices. The last axis goes first, so that of
   equal maxima the first in row-major order has the gradient. */
#include "common.h"

#include <retrograde/op.h>
#include <retrograde/ops/pool.h>

typedef struct adaptive {
    const char *name;
    bool mean;
    int rank;
    int64_t out[3];
} adaptive;

static rg_node *reduce(const adaptive *a, rg_node *x, rg_axes axes)
{
    return a->mean ? rg_mean(x, axes, true) : rg_max(x, axes, true);
}

/* Whether the size of an axis is known only when data is bound. */
static bool is_named(const rg_node *x, int32_t axis)
{
    return x->shape->a.dim[axis] != x->shape->b.dim[axis];
}

static rg_node *refuse(const adaptive *a, rg_node *x, const char *what, int64_t axis, int64_t out)
{
    char text[2 * RGI_LABEL];
    return rg_build_fail(x->graph, RG_ERR_SHAPE, "%s: axis %lld to %lld outputs: %s; inputs: %s", a->name,
                         (long long)axis, (long long)out, what, rgi_format_operand(x, text, sizeof text));
}

/* The first of the pooled axes, or -1 after an error. */
static int32_t check(const adaptive *a, rg_node *x)
{
    const int32_t first = x->shape->a.rank - a->rank;
    if (first < 0)
        return refuse(a, x, "there are too few axes", first, a->out[0]), -1;
    for (int i = 0; i < a->rank; i++) {
        const int32_t axis = first + i;
        if (a->out[i] < 1 && a->out[i] != -1)
            return refuse(a, x, "it must be at least 1, or -1 for as many as there are", axis, a->out[i]), -1;
        if (x->shape->a.dim[axis] < 1)
            return refuse(a, x, "the axis is empty", axis, a->out[i]), -1;
        if (is_named(x, axis) && a->out[i] != 1 && a->out[i] != -1)
            return refuse(a, x, "its size is a name, of which windows cannot be cut", axis, a->out[i]), -1;
    }
    return first;
}

/* One axis, window by window. */
static rg_node *along(const adaptive *a, rg_node *x, int32_t axis, int64_t out)
{
    const int64_t n = x->shape->a.dim[axis];
    if (out == n || out == -1)
        return x;
    if (out == 1)
        return reduce(a, x, RG_AXES(axis));
    rg_node **parts = rgi_arena_alloc(&x->graph->arena, (size_t)out * sizeof *parts);
    if (!parts)
        return rg_build_fail(x->graph, RG_ERR_MEMORY, "%s: out of memory", a->name);
    for (int64_t k = 0; k < out; k++)
        parts[k] = reduce(a, rg_slice(x, axis, k * n / out, ((k + 1) * n + out - 1) / out), RG_AXES(axis));
    return rg_concat((rg_nodes){parts, (size_t)out}, axis);
}

/* Whether one pool does it: its windows, in the last `rank` of three axes; the others are 1. */
static bool windows(const adaptive *a, const rg_node *x, int32_t first, int64_t size[3])
{
    for (int i = 0; i < 3; i++) {
        const int k = i - 3 + a->rank;
        const int64_t n = k < 0 ? 1 : x->shape->a.dim[first + k], out = k < 0 || a->out[k] == -1 ? n : a->out[k];
        size[i] = n / out;
        if (n % out || (k >= 0 && is_named(x, first + k)))
            return false;
    }
    return true;
}

static rg_node *pool(const adaptive *a, rg_node *x, const int64_t w[3])
{
    if (a->rank == 1) {
        const rg_pool1d_opts o = {.window = {w[2]}};
        return a->mean ? rg_avg_pool1d(x, &o) : rg_max_pool1d(x, &o);
    }
    if (a->rank == 2) {
        const rg_pool_opts o = {.window = {w[1], w[2]}};
        return a->mean ? rg_avg_pool2d(x, &o) : rg_max_pool2d(x, &o);
    }
    const rg_pool3d_opts o = {.window = {w[0], w[1], w[2]}};
    return a->mean ? rg_avg_pool3d(x, &o) : rg_max_pool3d(x, &o);
}

static rg_node *build(rg_node *x, const adaptive *a)
{
    int64_t size[3];
    bool single = true;
    if (!x)
        return rg_build_fail(NULL, RG_ERR_ARGUMENT, "%s: x is NULL", a->name);
    const int32_t first = check(a, x);
    if (first < 0)
        return NULL;
    rg_axes all = {.n = 0};
    for (int i = 0; i < a->rank; i++) {
        single = single && a->out[i] == 1;
        all.axis[all.n++] = first + i;
    }
    if (single)
        return reduce(a, x, all);
    if (windows(a, x, first, size))
        return pool(a, x, size);
    for (int i = a->rank - 1; i >= 0 && x; i--)
        x = along(a, x, first + i, a->out[i]);
    return x;
}

rg_node *rg_adaptive_avg_pool1d(rg_node *x, int64_t out)
{
    return build(x, &(adaptive){"rg_adaptive_avg_pool1d", true, 1, {out}});
}

rg_node *rg_adaptive_avg_pool2d(rg_node *x, int64_t height, int64_t width)
{
    return build(x, &(adaptive){"rg_adaptive_avg_pool2d", true, 2, {height, width}});
}

rg_node *rg_adaptive_avg_pool3d(rg_node *x, int64_t depth, int64_t height, int64_t width)
{
    return build(x, &(adaptive){"rg_adaptive_avg_pool3d", true, 3, {depth, height, width}});
}

rg_node *rg_adaptive_max_pool1d(rg_node *x, int64_t out)
{
    return build(x, &(adaptive){"rg_adaptive_max_pool1d", false, 1, {out}});
}

rg_node *rg_adaptive_max_pool2d(rg_node *x, int64_t height, int64_t width)
{
    return build(x, &(adaptive){"rg_adaptive_max_pool2d", false, 2, {height, width}});
}

rg_node *rg_adaptive_max_pool3d(rg_node *x, int64_t depth, int64_t height, int64_t width)
{
    return build(x, &(adaptive){"rg_adaptive_max_pool3d", false, 3, {depth, height, width}});
}

static rg_node *global(rg_node *x, bool mean)
{
    const char *name = mean ? "rg_global_avg_pool" : "rg_global_max_pool";
    char text[2 * RGI_LABEL];
    if (!x)
        return rg_build_fail(NULL, RG_ERR_ARGUMENT, "%s: x is NULL", name);
    if (x->shape->a.rank < 3)
        return rg_build_fail(x->graph, RG_ERR_SHAPE, "%s: x needs axes behind [batch, channels]; inputs: %s", name,
                             rgi_format_operand(x, text, sizeof text));
    rg_axes axes = {.n = 0};
    for (int32_t i = 2; i < x->shape->a.rank; i++)
        axes.axis[axes.n++] = i;
    return mean ? rg_mean(x, axes, true) : rg_max(x, axes, true);
}

rg_node *rg_global_avg_pool(rg_node *x)
{
    return global(x, true);
}

rg_node *rg_global_max_pool(rg_node *x)
{
    return global(x, false);
}
