/* placeholder.c - a variable to differentiate with respect to: zeros shaped as another node, never shared. Forward
   derivatives of ops without a forward rule are the derivative of u -> vjp(u), which is linear, at such a u. */
#include "placeholder.h"
#include "fill.h"
#include "table_ops.h"

static rg_status run(const rg_step *s, size_t lo, size_t hi)
{
    rgi_fill(s->out_type->dtype, 0, lo, hi, s->out[0]);
    return RG_OK;
}

const rg_op rgi_op_placeholder = {
    .name = "placeholder",
    .n_in = 1,
    .n_out = 1,
    .traits = RG_ELEMENTWISE | RG_UNIQUE | RG_ZERO_GRAD,
    .dtypes = RG_DT_FLOATS | RG_DT(RG_BF16),
    .shape_only = 1,
    .infer = rg_infer_same,
    .run = run,
};

rg_node *rgi_placeholder(rg_node *like)
{
    return like ? rg_apply(&rgi_op_placeholder, RG_NODES(like), NULL) : NULL;
}
