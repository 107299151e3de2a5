/* dropout.c - Srivastava et al. 2014, "inverted": scaled while training, the identity in evaluation. */
#include <retrograde/graph.h>
#include <retrograde/nn.h>
#include <retrograde/op.h>
#include <retrograde/ops.h>

rg_node *rg_nn_dropout(rg_node *x, double p)
{
    rg_graph *g = rg_graph_of(x);
    if (!x)
        return rg_build_fail(g, RG_ERR_ARGUMENT, "rg_nn_dropout: x is NULL");
    if (!rg_dtype_is_float(rg_dtype_of(x)))
        return rg_build_fail(g, RG_ERR_DTYPE, "rg_nn_dropout: x is %s, not a float", rg_dtype_name(rg_dtype_of(x)));
    if (!(p >= 0 && p <= 1))
        return rg_build_fail(g, RG_ERR_ARGUMENT, "rg_nn_dropout: p = %g is no probability", p);
    if (p == 0)
        return x;
    rg_node *dropped = rg_scalar(g, rg_dtype_of(x), 0);
    if (p < 1) {
        rg_node *keeps = rg_less(rg_uniform_like(x), rg_scalar(g, rg_dtype_of(x), 1 - p));
        dropped = rg_where(keeps, rg_scale(x, 1 / (1 - p)), dropped);
    }
    return rg_where(rg_training(g), dropped, x);
}
