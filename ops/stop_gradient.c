/* stop_gradient.c - the value of x, through which no derivative flows. */
#include "common.h"
#include "table_ops.h"

#include <retrograde/autograd.h>

static void batch(rg_node *self, rg_node *const in[], const bool batched[], rg_node *out[])
{
    (void)self, (void)batched;
    out[0] = rg_stop_gradient(in[0]);
}

static int alias(const void *attr, const double *const uniform[])
{
    (void)attr, (void)uniform;
    return 0;
}

const rg_op rgi_op_stop_gradient = {
    .name = "stop_gradient",
    .n_in = 1,
    .n_out = 1,
    .traits = RG_VIEW | RG_ZERO_GRAD,
    .dtypes = RG_DT_ALL,
    .infer = rg_infer_same,
    .batch = batch,
    .alias = alias,
};

rg_node *rg_stop_gradient(rg_node *x)
{
    return rg_apply(&rgi_op_stop_gradient, RG_NODES(x), NULL);
}
