/* full_like.c - a constant of the type and shape of another node, whose values are not used. Zero gradient. */
#include "rules.h"
#include "table_ops.h"

#include <retrograde/op.h>

#include <math.h>
#include <string.h>

typedef struct full_attr {
    double value;
} full_attr;

static const rg_attr_field full_attrs[] = {
    {"value", offsetof(full_attr, value), RG_ATTR_F64},
    {0},
};

/* Whether an element of the type can hold the value. */
static bool holds(rg_dtype dtype, double value)
{
    static const struct {
        double lo, hi;
    } range[RG_DTYPE_COUNT] = {
        [RG_I32] = {-0x1p31, 0x1p31 - 1},
        [RG_I64] = {-0x1p63, 0x1p63 - 1024},
        [RG_U8] = {0, 255},
        [RG_BOOL] = {0, 1},
    };
    return rg_dtype_is_float(dtype) || (value >= range[dtype].lo && value <= range[dtype].hi && value == floor(value));
}

static rg_status infer(rg_infer *call)
{
    const double value = ((const full_attr *)call->attr)->value;
    if (!holds(call->in[0].dtype, value))
        return rg_infer_fail(call, RG_ERR_ARGUMENT, "%.17g is no %s", value, rg_dtype_name(call->in[0].dtype));
    return rg_infer_same(call);
}

static bool uniform(const void *attr, double *value)
{
    *value = ((const full_attr *)attr)->value;
    return true;
}

static void fill_i32(size_t n, int32_t value, int32_t *y)
{
    for (size_t i = 0; i < n; i++)
        y[i] = value;
}

static void fill_i64(size_t n, int64_t value, int64_t *y)
{
    for (size_t i = 0; i < n; i++)
        y[i] = value;
}

static rg_status run(const rg_step *step, size_t lo, size_t hi)
{
    const double value = ((const full_attr *)step->attr)->value;
    const rg_dtype dtype = step->out_type[0].dtype;
    char *y = (char *)step->out[0] + lo * rg_dtype_size(dtype);
    switch (dtype) {
    case RG_I32:
        fill_i32(hi - lo, (int32_t)value, (int32_t *)(void *)y);
        break;
    case RG_I64:
        fill_i64(hi - lo, (int64_t)value, (int64_t *)(void *)y);
        break;
    case RG_U8:
    case RG_BOOL:
        memset(y, (int)value, hi - lo);
        break;
    default:
        rgi_kernels(dtype)->fill(hi - lo, value, y);
    }
    return RG_OK;
}

const rg_op rgi_op_full_like = {
    .name = "full_like",
    .n_in = 1,
    .n_out = 1,
    .traits = RG_ELEMENTWISE | RG_ZERO_GRAD,
    .dtypes = RG_DT_ALL,
    .shape_only = 1 << 0,
    .attr_size = sizeof(full_attr),
    .attrs = full_attrs,
    .infer = infer,
    .run = run,
    .uniform = uniform,
};

rg_node *rg_full_like(rg_node *x, double value)
{
    const bool narrow = x && x->dtype == RG_F32;
    return rg_apply(&rgi_op_full_like, RG_NODES(x), &(full_attr){narrow ? (double)(float)value : value});
}

rg_node *rg_zeros_like(rg_node *x)
{
    return rg_full_like(x, 0);
}

rg_node *rg_ones_like(rg_node *x)
{
    return rg_full_like(x, 1);
}
