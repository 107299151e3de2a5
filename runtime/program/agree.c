/* agree.c - an op that compares two values bit by bit: the check of rewrites. */
#include "agree.h"

#include "../../graph/bf16.h"
#include "../../graph/error.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

typedef struct agree_attr {
    const char *rewrite;
    const rg_node *node;
} agree_attr;

static rg_status infer(rg_infer *call)
{
    call->out[0] = (rg_type){.dtype = RG_U8};
    return RG_OK;
}

static bool both_nan(rg_dtype dtype, const char *a, const char *b)
{
    return rg_dtype_is_float(dtype) && isnan(rgi_float_at(dtype, a, 0)) && isnan(rgi_float_at(dtype, b, 0));
}

static rg_status differs(const rg_step *step, size_t i, const char *a, const char *b)
{
    const agree_attr *attr = step->attr;
    const rg_dtype dtype = step->in_type[0].dtype;
    char label[2 * RGI_LABEL], place[RGI_LABEL] = "", values[RGI_LABEL] = "";
    if (attr->node->file)
        snprintf(place, sizeof place, " (%.100s:%d)", attr->node->file, (int)attr->node->line);
    if (rg_dtype_is_float(dtype))
        snprintf(values, sizeof values, ": %.17g becomes %.17g", rgi_float_at(dtype, a, 0), rgi_float_at(dtype, b, 0));
    return rgi_fail(RG_ERR_NUMERIC, "rg_run: rewrite '%s' changes %s%s at element %zu%s", attr->rewrite,
                    rgi_format_operand(attr->node, label, sizeof label), place, i, values);
}

static rg_status run(const rg_step *step, size_t lo, size_t hi)
{
    const size_t size = rg_dtype_size(step->in_type[0].dtype), n = (size_t)rg_shape_count(step->in_type[0].shape);
    const char *a = step->in[0], *b = step->in[1];
    (void)lo, (void)hi;
    memset(step->out[0], 0, 1);
    for (size_t i = 0; i < n; i++)
        if (memcmp(a + i * size, b + i * size, size) != 0 &&
            !both_nan(step->in_type[0].dtype, a + i * size, b + i * size))
            return differs(step, i, a + i * size, b + i * size);
    return RG_OK;
}

static const rg_op agree = {
    .name = "agree",
    .n_in = 2,
    .n_out = 1,
    .traits = RG_CAN_FAIL,
    .dtypes = ~0u,
    .attr_size = sizeof(agree_attr),
    .infer = infer,
    .run = run,
};

rg_node *rgi_agreement(rg_node *node, rg_node *stand_in, const char *rewrite)
{
    return rg_apply(&agree, RG_NODES(node, stand_in), &(agree_attr){rewrite, node});
}
