/* again.c - a value as the reverse pass sees it, from which it computes once more what it did not keep: a view, and
   another node, so that what is applied to it is not the same as what was applied to the value itself. Nothing is fused
   across it. */
#include "rules.h"
#include "table_ops.h"

static void vjp(rg_node *self, rg_node *const ct[], rg_node *grad[])
{
    (void)self;
    grad[0] = ct[0];
}

static void jvp(rg_node *self, rg_node *const tangent[], rg_node *out[])
{
    (void)self;
    out[0] = tangent[0];
}

static void batch(rg_node *self, rg_node *const in[], const bool batched[], rg_node *out[])
{
    (void)batched;
    out[0] = rg_apply(rg_op_of(self), RG_NODES(in[0]), NULL);
}

const rg_op rgi_op_again = {
    .name = "again",
    .n_in = 1,
    .n_out = 1,
    .traits = RG_VIEW,
    .dtypes = ~0u,
    .infer = rg_infer_same,
    .vjp = vjp,
    .jvp = jvp,
    .batch = batch,
};
