/* size_of.c - the number of elements along axes, as a scalar: what means of named sizes divide by. */
#include "along.h"
#include "table_ops.h"

/* The result keeps the first `lead` axes of x: none, but for the axes that batching put there. */
typedef struct size_attr {
    rg_axes axes;
    int64_t lead;
} size_attr;

static rg_status infer(rg_infer *call)
{
    const size_attr *attr = call->attr;
    const rg_shape *x = &call->in[0].shape;
    uint32_t mask;
    const rg_status status = rgi_axes_check(call, attr->axes, x, &mask);
    if (status != RG_OK)
        return status;
    if (!rg_dtype_is_float(call->in[0].dtype)) /* the check on dtypes passes over inputs that are shapes alone */
        return rg_infer_fail(call, RG_ERR_DTYPE, "input 0 is %s; possible are f32, f64",
                             rg_dtype_name(call->in[0].dtype));
    call->out[0] = (rg_type){call->in[0].dtype, {.rank = (int32_t)attr->lead}};
    for (int32_t i = 0; i < attr->lead; i++)
        call->out[0].shape.dim[i] = x->dim[i];
    return RG_OK;
}

static void batch(rg_node *self, rg_node *const in[], const bool batched[], rg_node *out[])
{
    (void)batched;
    size_attr attr = *(const size_attr *)rg_attr(self);
    for (int32_t i = 0; i < attr.axes.n; i++)
        attr.axes.axis[i]++;
    attr.lead++;
    out[0] = rg_apply(&rgi_op_size_of, RG_NODES(in[0]), &attr);
}

static rg_status run(const rg_step *s, size_t lo, size_t hi)
{
    (void)lo, (void)hi;
    const size_attr *attr = s->attr;
    double count = 1;
    for (int32_t i = 0; i < attr->axes.n; i++)
        count *= (double)s->in_type[0].shape.dim[attr->axes.axis[i]];
    rgi_kernels(s->out_type[0].dtype)->fill(rgi_count(&s->out_type[0]), count, s->out[0]);
    return RG_OK;
}

static const rg_attr_field size_fields[] = {
    {"axes", offsetof(size_attr, axes), RG_ATTR_AXES},
    {"lead", offsetof(size_attr, lead), RG_ATTR_I64},
    {0},
};

const rg_op rgi_op_size_of = {
    .name = "size_of",
    .n_in = 1,
    .n_out = 1,
    .traits = RG_ZERO_GRAD,
    .dtypes = RG_DT_FLOATS,
    .shape_only = 1,
    .attr_size = sizeof(size_attr),
    .attrs = size_fields,
    .infer = infer,
    .batch = batch,
    .run = run,
};

rg_node *rg_size_of(rg_node *x, rg_axes axes)
{
    size_attr attr = {.axes = axes};
    uint32_t mask;
    if (x && rg_axes_mask(axes, x->shape->a.rank, &mask)) {
        attr.axes.n = 0;
        for (int32_t i = 0; i < x->shape->a.rank; i++)
            if (mask >> i & 1)
                attr.axes.axis[attr.axes.n++] = i;
    }
    return rg_apply(&rgi_op_size_of, RG_NODES(x), &attr);
}
