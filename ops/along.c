/* along.c - tensors seen along axes: collapsed sizes, shape rules, alignment of what was reduced, tasks. */
#include "along.h"

const rg_attr_field rgi_along_fields[] = {
    {"axes", offsetof(rgi_along, axes), RG_ATTR_AXES},
    {"keepdims", offsetof(rgi_along, keepdims), RG_ATTR_BOOL},
    {0},
};

rgi_collapse rgi_collapse_axes(const rg_shape *shape, rg_axes axes)
{
    if (axes.n <= 0)
        return (rgi_collapse){1, 1, rgi_count_range(shape, 0, shape->rank)};
    const int32_t first = axes.axis[0], end = first + axes.n;
    return (rgi_collapse){rgi_count_range(shape, 0, first), rgi_count_range(shape, first, end),
                          rgi_count_range(shape, end, shape->rank)};
}

rg_status rgi_axes_check(const rg_infer *call, rg_axes axes, const rg_shape *x, uint32_t *mask)
{
    *mask = 0;
    if (axes.n < 0 || axes.n > RG_MAX_RANK)
        return rg_infer_fail(call, RG_ERR_ARGUMENT, "a list of %d axes", (int)axes.n);
    for (int32_t i = 0; i < axes.n; i++) {
        int32_t axis;
        if (!rg_axis_normalise(axes.axis[i], x->rank, &axis))
            return rg_infer_fail(call, RG_ERR_ARGUMENT, "axis %d is outside [%d, %d)", (int)axes.axis[i], -(int)x->rank,
                                 (int)x->rank);
        if (*mask >> axis & 1)
            return rg_infer_fail(call, RG_ERR_ARGUMENT, "axis %d is named twice", (int)axis);
        *mask |= 1u << axis;
    }
    return RG_OK;
}

rg_status rgi_along_infer(const rg_infer *call, const rg_shape *x, const rgi_along *attr, rg_shape *out)
{
    uint32_t mask;
    const rg_status status = rgi_axes_check(call, attr->axes, x, &mask);
    if (status != RG_OK)
        return status;
    for (int32_t i = 0; i < attr->axes.n; i++)
        if (attr->axes.axis[i] != attr->axes.axis[0] + i)
            return rg_infer_fail(call, RG_ERR_ARGUMENT, "the axes must be neighbours in rising order");
    out->rank = 0;
    for (int32_t i = 0; i < x->rank; i++)
        if (!(mask >> i & 1))
            out->dim[out->rank++] = x->dim[i];
        else if (attr->keepdims)
            out->dim[out->rank++] = 1;
    return RG_OK;
}

rgi_along rgi_along_batched(const rgi_along *attr)
{
    rgi_along out = *attr;
    for (int32_t i = 0; i < out.axes.n; i++)
        out.axes.axis[i]++;
    return out;
}

rg_node *rgi_along_aligned(const rgi_along *attr, rg_node *u)
{
    if (attr->keepdims || attr->axes.n == 0 || attr->axes.axis[0] == 0)
        return u; /* leading axes come back by broadcasting alone */
    for (int32_t i = 0; i < attr->axes.n; i++)
        u = rg_unsqueeze(u, attr->axes.axis[i]);
    return u;
}

rg_node *rgi_along_spread(const rgi_along *attr, rg_node *u, rg_node *x)
{
    if (attr->keepdims || attr->axes.n == 0)
        return rg_broadcast_like(u, x);
    return rgi_expand(u, attr->axes.axis[0], x, attr->axes.axis[0], attr->axes.n);
}

void rgi_along_reads(const rg_step *step, size_t i, int32_t from[])
{
    const rg_axes *axes = &((const rgi_along *)step->attr)->axes;
    const int32_t in = step->in_type[i].shape.rank, out = step->out_type->shape.rank;
    int32_t full = out;
    for (uint32_t k = 0; k < step->n_in; k++)
        full = step->in_type[k].shape.rank > full ? step->in_type[k].shape.rank : full;
    for (int32_t a = 0, f = 0; f < full; f++) { /* f: axis of what is not reduced; a: that of the input */
        const bool walked = axes->n && f >= axes->axis[0] && f < axes->axis[0] + axes->n;
        const int32_t gone = axes->n && f >= axes->axis[0] ? axes->n : 0;
        if (walked && in < full)
            continue;
        from[a++] = walked ? -1 : out < full ? f - gone : f;
    }
}

void rgi_row_reads(const rg_step *step, size_t i, int32_t from[])
{
    const int32_t leading = step->in_type[0].shape.rank - 1;
    for (int32_t a = 0; a < leading && a < step->in_type[i].shape.rank; a++)
        from[a] = a;
}

rgi_span rgi_span_at(size_t inner, size_t lo, size_t hi)
{
    const size_t blocks = rgi_column_blocks(inner), block = lo % blocks;
    const size_t tasks = hi - lo < blocks - block ? hi - lo : blocks - block;
    const size_t first = block * RGI_COLUMNS, end = (block + tasks) * RGI_COLUMNS;
    return (rgi_span){lo / blocks, first, (end < inner ? end : inner) - first, tasks};
}
