/* clip.c - gradients bounded by their global norm (Pascanu et al. 2013), each by its own norm, each element by a value:
   as PyTorch's clip_grad_norm_ and clip_grad_value_. */
#include <retrograde/graph.h>
#include <retrograde/nn.h>
#include <retrograde/op.h>
#include <retrograde/ops.h>

#include <math.h>
#include <stdlib.h>

#define EPS 1e-6 /* PyTorch's guard against a norm of 0 */

/* Checks what all have in common. NULL, with the error set or the list empty: there is nothing to do. */
static rg_node **begin(const char *name, rg_nodes grads, const char *what, double bound)
{
    rg_graph *g = rg_graph_of(rg_at(grads, 0));
    if (!g)
        return NULL;
    if (!(bound > 0 && isfinite(bound))) {
        rg_build_fail(g, RG_ERR_ARGUMENT, "%s: %s is %g: it must be above 0", name, what, bound);
        return NULL;
    }
    rg_node **clipped = malloc(grads.n * sizeof *clipped);
    if (!clipped)
        rg_build_fail(g, RG_ERR_MEMORY, "%s: out of memory", name);
    return clipped;
}

static rg_nodes finish(rg_node **clipped, size_t n, bool ok)
{
    const rg_nodes none = {NULL, 0};
    const rg_nodes list = ok ? rg_nodes_copy(rg_graph_of(clipped[0]), (rg_nodes){clipped, n}) : none;
    free(clipped);
    return list;
}

/* min(1, norm / (root of `square` + eps)) */
static rg_node *factor_of(rg_node *square, double norm)
{
    return rg_clamp(rg_scale(rg_reciprocal(rg_add_scalar(rg_sqrt(square), EPS)), norm), 0, 1);
}

rg_nodes rg_clip_by_global_norm(rg_nodes grads, double norm)
{
    rg_node **clipped = begin("rg_clip_by_global_norm", grads, "norm", norm);
    rg_node *factor = clipped ? factor_of(rg_square_norm(grads), norm) : NULL;
    bool ok = factor != NULL;
    for (size_t i = 0; i < grads.n && ok; i++)
        ok = (clipped[i] = rg_mul(grads.at[i], factor)) != NULL;
    return finish(clipped, grads.n, ok);
}

rg_nodes rg_clip_by_norm(rg_nodes grads, double norm)
{
    rg_node **clipped = begin("rg_clip_by_norm", grads, "norm", norm);
    bool ok = clipped != NULL;
    for (size_t i = 0; i < grads.n && ok; i++)
        ok = (clipped[i] = rg_mul(grads.at[i], factor_of(rg_square_norm((rg_nodes){&grads.at[i], 1}), norm))) != NULL;
    return finish(clipped, grads.n, ok);
}

rg_nodes rg_clip_by_value(rg_nodes grads, double value)
{
    rg_node **clipped = begin("rg_clip_by_value", grads, "value", value);
    bool ok = clipped != NULL;
    for (size_t i = 0; i < grads.n && ok; i++)
        ok = (clipped[i] = rg_clamp(grads.at[i], -value, value)) != NULL;
    return finish(clipped, grads.n, ok);
}
