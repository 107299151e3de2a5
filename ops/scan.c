/* scan.c - the ops of recurrences: the scan itself, the leaves of its body, and the results of nodes that have several.
   They are lowered by the plan and differentiated by autograd/scan_reverse.c; none of them is ever run. */
#include "../graph/scan.h"
#include "table_ops.h"

static rg_status infer_never(rg_infer *call)
{
    return rg_infer_fail(call, RG_ERR_ARGUMENT, "is made by rg_scan_begin and rg_scan_end only");
}

const rg_op rgi_op_scan = {
    .name = "scan",
    .n_in = -1,
    .n_out = -1,
    .traits = RG_CONTROL | RG_UNIQUE,
    .dtypes = ~0u,
    .attr_size = sizeof(rg_scan *),
    .infer = infer_never,
};

const rg_op rgi_op_scan_slice = {
    .name = "scan_slice",
    .n_in = 0,
    .n_out = 1,
    .traits = RG_LEAF | RG_UNIQUE,
    .dtypes = ~0u,
    .infer = infer_never,
};

const rg_op rgi_op_scan_carry = {
    .name = "scan_carry",
    .n_in = 0,
    .n_out = 1,
    .traits = RG_LEAF | RG_UNIQUE,
    .dtypes = ~0u,
    .infer = infer_never,
};

const rg_op rgi_op_scan_index = {
    .name = "scan_index",
    .n_in = 0,
    .n_out = 1,
    .traits = RG_LEAF | RG_UNIQUE | RG_ZERO_GRAD,
    .dtypes = ~0u,
    .infer = infer_never,
};

static const rg_attr_field projection_attrs[] = {
    {"of", offsetof(rgi_projection, of), RG_ATTR_NODE},      {"last", offsetof(rgi_projection, last), RG_ATTR_I64},
    {"every", offsetof(rgi_projection, every), RG_ATTR_I64}, {"bytes", offsetof(rgi_projection, bytes), RG_ATTR_I64},
    {"block", offsetof(rgi_projection, block), RG_ATTR_F64}, {0},
};

const rg_op rgi_op_result = {
    .name = "result",
    .n_in = 1,
    .n_out = 1,
    .traits = RG_CONTROL | RG_UNIQUE,
    .dtypes = ~0u,
    .attr_size = sizeof(rgi_projection),
    .attrs = projection_attrs,
    .infer = infer_never,
};
