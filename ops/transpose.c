/* transpose.c - axes in another order: y's axis i is x's axis axes[i]. dx = g with the inverse permutation. */
#include "move.h"
#include "rewrite.h"
#include "rules.h"
#include "table_ops.h"
#include "window.h"

#include <retrograde/op.h>

typedef struct transpose_attr {
    rg_axes axes;
} transpose_attr;

static const rg_attr_field transpose_attrs[] = {
    {"axes", offsetof(transpose_attr, axes), RG_ATTR_AXES},
    {0},
};

static rg_status infer_transpose(rg_infer *call)
{
    const rg_axes *axes = &((const transpose_attr *)call->attr)->axes;
    const rg_shape *x = &call->in[0].shape;
    uint32_t mask;
    if (axes->n != x->rank)
        return rg_infer_fail(call, RG_ERR_ARGUMENT, "%d axes given for a tensor of %d", axes->n, x->rank);
    if (!rg_axes_mask(*axes, x->rank, &mask))
        return rg_infer_fail(call, RG_ERR_ARGUMENT, "the axes given are no permutation of 0 .. %d", x->rank - 1);
    call->out[0] = (rg_type){call->in[0].dtype, {.rank = x->rank}};
    for (int32_t i = 0; i < x->rank; i++)
        call->out[0].shape.dim[i] = x->dim[axes->axis[i]];
    return RG_OK;
}

static void vjp(rg_node *self, rg_node *const ct[], rg_node *grad[])
{
    const rg_axes *axes = &((const transpose_attr *)rg_attr(self))->axes;
    rg_axes inverse = {.n = axes->n};
    for (int32_t i = 0; i < axes->n; i++)
        inverse.axis[axes->axis[i]] = i;
    grad[0] = rg_transpose(ct[0], inverse);
}

static void batch(rg_node *self, rg_node *const in[], const bool batched[], rg_node *out[])
{
    (void)batched;
    const rg_axes *axes = &((const transpose_attr *)rg_attr(self))->axes;
    rg_axes more = {.n = axes->n + 1};
    for (int32_t i = 0; i < axes->n && i + 1 < RG_MAX_RANK; i++)
        more.axis[i + 1] = axes->axis[i] + 1;
    out[0] = rg_transpose(in[0], more);
}

static void geometry(const rg_step *step, void *out)
{
    const rg_axes *axes = &((const transpose_attr *)step->attr)->axes;
    const rg_shape *x = &step->in_type[0].shape, *y = &step->out_type[0].shape;
    rgi_move *m = out;
    *m = (rgi_move){.size = rg_dtype_size(step->in_type[0].dtype)};
    const rg_window *const w = step->windows ? step->windows[0] : NULL;
    for (int32_t i = 0; i < y->rank; i++) {
        size_t stride = rgi_count_range(x, axes->axis[i] + 1, x->rank);
        if (w && w->length && y->dim[i] > 1)
            (void)rgi_window_stride(x, w, axes->axis[i], &stride);
        rgi_move_axis(m, (size_t)y->dim[i], (ptrdiff_t)stride, (ptrdiff_t)rgi_count_range(y, i + 1, y->rank));
    }
    rgi_move_cut(m);
}

static bool takes(const rg_step *step, size_t i, const rg_window *window)
{
    const rg_shape *x = &step->in_type[i].shape;
    size_t stride;
    bool fits = true;
    for (int32_t a = 0; fits && window->length && a < x->rank; a++)
        fits = x->dim[a] <= 1 || rgi_window_stride(x, window, a, &stride);
    return fits;
}

const rg_op rgi_op_transpose = {
    .name = "transpose",
    .n_in = 1,
    .n_out = 1,
    .traits = RG_MOVES,
    .dtypes = RG_DT_ALL | RG_DT(RG_BF16),
    .attr_size = sizeof(transpose_attr),
    .attrs = transpose_attrs,
    .infer = infer_transpose,
    .vjp = vjp,
    .jvp = rgi_jvp_linear,
    .batch = batch,
    .geometry_size = sizeof(rgi_move),
    .geometry = geometry,
    .cost = rgi_move_cost,
    .run = rgi_move_step,
    .takes = takes,
};

const rg_axes *rgi_transpose_axes(const rg_node *transpose)
{
    return &((const transpose_attr *)transpose->attr)->axes;
}

rg_node *rg_transpose(rg_node *x, rg_axes axes)
{
    transpose_attr a = {axes};
    bool same = true;
    if (x && axes.n == -1) { /* all axes, in reverse order */
        a.axes.n = x->shape->a.rank;
        for (int32_t i = 0; i < a.axes.n; i++)
            a.axes.axis[i] = a.axes.n - 1 - i;
    }
    for (int32_t i = 0; x && i < a.axes.n && i < RG_MAX_RANK; i++) {
        a.axes.axis[i] = (int32_t)rgi_axis(x, a.axes.axis[i], 0);
        same = same && a.axes.axis[i] == i;
    }
    if (x && same && a.axes.n == x->shape->a.rank)
        return x;
    return rg_apply(&rgi_op_transpose, RG_NODES(x), &a);
}
