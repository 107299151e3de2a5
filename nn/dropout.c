/* dropout.c - Srivastava et al. 2014, "inverted": scaled while training, the identity in evaluation. */
#include <retrograde/graph.h>
#include <retrograde/nn.h>
#include <retrograde/op.h>
#include <retrograde/ops.h>

/* One draw for each element of `like`, which broadcasts to x; its values are not used. */
static rg_node *drop(rg_node *x, rg_node *like, double p)
{
    rg_graph *g = rg_graph_of(x);
    rg_node *dropped = rg_scalar(g, rg_dtype_of(x), 0);
    if (p < 1) {
        rg_node *keeps = rg_less(rg_uniform_like(like), rg_scalar(g, rg_dtype_of(x), 1 - p));
        dropped = rg_where(keeps, rg_scale(x, 1 / (1 - p)), dropped);
    }
    return rg_where(rg_training(g), dropped, x);
}

static bool check(const char *who, rg_node *x, double p)
{
    rg_graph *g = rg_graph_of(x);
    char text[160];
    if (!x)
        return rg_build_fail(g, RG_ERR_ARGUMENT, "%s: x is NULL", who), false;
    if (!rg_dtype_is_float(rg_dtype_of(x)))
        return rg_build_fail(g, RG_ERR_DTYPE, "%s: x is %s, not a float; input: %s", who, rg_dtype_name(rg_dtype_of(x)),
                             rg_describe(x, text, sizeof text)),
               false;
    if (!(p >= 0 && p <= 1))
        return rg_build_fail(g, RG_ERR_ARGUMENT, "%s: p = %g is no probability; input: %s", who, p,
                             rg_describe(x, text, sizeof text)),
               false;
    return true;
}

rg_node *rg_nn_dropout(rg_node *x, double p)
{
    if (!check("rg_nn_dropout", x, p))
        return NULL;
    return p == 0 ? x : drop(x, x, p);
}

rg_node *rg_nn_dropout2d(rg_node *x, double p)
{
    rg_axes behind = {.n = 0};
    char text[160];
    if (!check("rg_nn_dropout2d", x, p))
        return NULL;
    if (rg_shape_of(x).rank < 3)
        return rg_build_fail(rg_graph_of(x), RG_ERR_SHAPE, "rg_nn_dropout2d: %s has no axes behind [batch, channels]",
                             rg_describe(x, text, sizeof text));
    for (int32_t i = 2; i < rg_shape_of(x).rank; i++)
        behind.axis[behind.n++] = i;
    return p == 0 ? x : drop(x, rg_sum(x, behind, true), p);
}
