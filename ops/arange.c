/* arange.c - y[i] = start + i step, computed in f64. */
#include "rules.h"
#include "table_ops.h"

#include <retrograde/op.h>

#define TASK_ELEMENTS ((size_t)8192)

typedef struct arange_attr {
    rg_dtype dtype;
    double start, step;
    int64_t n;
} arange_attr;

static const rg_attr_field arange_attrs[] = {
    {"dtype", offsetof(arange_attr, dtype), RG_ATTR_DTYPE},
    {"start", offsetof(arange_attr, start), RG_ATTR_F64},
    {"step", offsetof(arange_attr, step), RG_ATTR_F64},
    {"n", offsetof(arange_attr, n), RG_ATTR_SIZE},
    {0},
};

/* Numbers that i64 and f64 both hold exactly. */
static bool is_integer(double x)
{
    return x >= -9007199254740992.0 && x <= 9007199254740992.0 && x == (double)(int64_t)x;
}

static rg_status infer(rg_infer *call)
{
    const arange_attr *a = call->attr;
    if (a->dtype < RG_F32 || a->dtype > RG_I64)
        return rg_infer_fail(call, RG_ERR_DTYPE, "the element type must be f32, f64, i32 or i64, not %s",
                             rg_dtype_name(a->dtype));
    if (a->n < 0)
        return rg_infer_fail(call, RG_ERR_ARGUMENT, "%lld elements", (long long)a->n);
    if (!rg_dtype_is_float(a->dtype) && (!is_integer(a->start) || !is_integer(a->step)))
        return rg_infer_fail(call, RG_ERR_ARGUMENT, "integers cannot start at %g with step %g", a->start, a->step);
    call->out[0] = (rg_type){a->dtype, {.rank = 1, .dim = {rg_infer_size(call, a->n)}}};
    return RG_OK;
}

static void cost(const rg_step *step, rg_cost *c)
{
    const size_t n = rgi_count(&step->out_type[0]);
    c->tasks[0] = (n + TASK_ELEMENTS - 1) / TASK_ELEMENTS;
    c->flops = 2 * (double)n;
    c->bytes = rgi_bytes(step);
}

static rg_status run(const rg_step *step, size_t lo, size_t hi)
{
    const arange_attr *a = step->attr;
    const size_t n = rgi_count(&step->out_type[0]), end = hi * TASK_ELEMENTS < n ? hi * TASK_ELEMENTS : n;
    const uint64_t first = (uint64_t)(int64_t)(rg_dtype_is_float(a->dtype) ? 0 : a->start);
    const uint64_t each = (uint64_t)(int64_t)(rg_dtype_is_float(a->dtype) ? 0 : a->step);
    void *y = step->out[0];
    for (size_t i = lo * TASK_ELEMENTS; i < end; i++)
        switch (a->dtype) {
        case RG_F32:
            ((float *)y)[i] = (float)(a->start + (double)i * a->step);
            break;
        case RG_F64:
            ((double *)y)[i] = a->start + (double)i * a->step;
            break;
        case RG_I32:
            ((uint32_t *)y)[i] = (uint32_t)(first + i * each);
            break;
        default:
            ((uint64_t *)y)[i] = first + i * each;
            break;
        }
    return RG_OK;
}

const rg_op rgi_op_arange = {
    .name = "arange",
    .n_in = 0,
    .n_out = 1,
    .traits = RG_ZERO_GRAD,
    .dtypes = RG_DT_NUMBERS,
    .attr_size = sizeof(arange_attr),
    .attrs = arange_attrs,
    .infer = infer,
    .cost = cost,
    .run = run,
};

rg_node *rg_arange(rg_graph *g, rg_dtype dtype, double start, double step, int64_t n)
{
    return rg_apply_in(g, &rgi_op_arange, (rg_nodes){NULL, 0}, &(arange_attr){dtype, start, step, n});
}
