/* clip.c - gradients bounded by their global norm (Pascanu et al. 2013), as PyTorch's clip_grad_norm_. */
#include <retrograde/graph.h>
#include <retrograde/nn.h>
#include <retrograde/op.h>
#include <retrograde/ops.h>

#include <math.h>
#include <stdlib.h>

#define EPS 1e-6 /* PyTorch's guard against a norm of 0 */

rg_nodes rg_clip_by_global_norm(rg_nodes grads, double norm)
{
    const rg_nodes none = {NULL, 0};
    rg_graph *g = rg_graph_of(rg_at(grads, 0));
    if (!g)
        return none;
    if (!(norm > 0 && isfinite(norm))) {
        rg_build_fail(g, RG_ERR_ARGUMENT, "rg_clip_by_global_norm: norm is %g: it must be above 0", norm);
        return none;
    }
    rg_node **clipped = malloc(grads.n * sizeof *clipped);
    if (!clipped) {
        rg_build_fail(g, RG_ERR_MEMORY, "rg_clip_by_global_norm: out of memory");
        return none;
    }
    rg_node *total = rg_sqrt(rg_square_norm(grads));
    rg_node *factor = rg_clamp(rg_scale(rg_reciprocal(rg_add_scalar(total, EPS)), norm), 0, 1);
    bool ok = factor != NULL;
    for (size_t i = 0; i < grads.n && ok; i++)
        ok = (clipped[i] = rg_mul(grads.at[i], factor)) != NULL;
    const rg_nodes list = ok ? rg_nodes_copy(g, (rg_nodes){clipped, grads.n}) : none;
    free(clipped);
    return list;
}
