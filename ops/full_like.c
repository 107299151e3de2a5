/* full_like.c - a constant of the type and shape of another node, whose values are not used. Zero gradient. */
#include "fill.h"
#include "table_ops.h"

#include <retrograde/graph.h>
#include <retrograde/op.h>
#include <retrograde/ops.h>

typedef struct full_attr {
    double value;
} full_attr;

static const rg_attr_field full_attrs[] = {
    {"value", offsetof(full_attr, value), RG_ATTR_F64},
    {0},
};

static rg_status infer(rg_infer *call)
{
    double value = ((const full_attr *)call->attr)->value;
    if (!rgi_representable(call->in[0].dtype, &value))
        return rg_infer_fail(call, RG_ERR_ARGUMENT, "%.17g is no %s", value, rg_dtype_name(call->in[0].dtype));
    return rg_infer_same(call);
}

static bool uniform(const void *attr, double *value)
{
    *value = ((const full_attr *)attr)->value;
    return true;
}

static rg_status run(const rg_step *step, size_t lo, size_t hi)
{
    rgi_fill(step->out_type[0].dtype, ((const full_attr *)step->attr)->value, lo, hi, step->out[0]);
    return RG_OK;
}

const rg_op rgi_op_full_like = {
    .name = "full_like",
    .n_in = 1,
    .n_out = 1,
    .traits = RG_ELEMENTWISE | RG_ZERO_GRAD,
    .dtypes = RG_DT_ALL | RG_DT(RG_BF16),
    .shape_only = 1 << 0,
    .attr_size = sizeof(full_attr),
    .attrs = full_attrs,
    .infer = infer,
    .run = run,
    .uniform = uniform,
};

rg_node *rg_full_like(rg_node *x, double value)
{
    double held = value;
    const bool exists = x && rgi_representable(rg_dtype_of(x), &held); /* the shape rule says what is wrong */
    return rg_apply(&rgi_op_full_like, RG_NODES(x), &(full_attr){exists ? held : value});
}

rg_node *rg_zeros_like(rg_node *x)
{
    return rg_full_like(x, 0);
}

rg_node *rg_ones_like(rg_node *x)
{
    return rg_full_like(x, 1);
}
