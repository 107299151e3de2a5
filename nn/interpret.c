/* interpret.c - explanation of a decision: how much each element of an input counts for a score. Gradients with respect
   to inputs, plain, along a path, or averaged over noise. */
#include <retrograde/autograd.h>
#include <retrograde/graph.h>
#include <retrograde/nn.h>
#include <retrograde/op.h>
#include <retrograde/ops.h>

static rg_node *gradient(rg_node *score, rg_node *x)
{
    rg_node *sum = score ? rg_sum(score, RG_ALL_AXES, false) : NULL;
    return sum ? rg_at(rg_grad(sum, RG_NODES(x)), 0) : NULL;
}

rg_node *rg_nn_saliency(rg_node *score, rg_node *x)
{
    return rg_abs(gradient(score, x));
}

rg_node *rg_nn_gradient_x_input(rg_node *score, rg_node *x)
{
    return rg_mul(gradient(score, x), x);
}

/* Sum over the steps of a scan along `walk` of the gradient of the model at a point that each step chooses. */
typedef struct path {
    const char *name;
    rg_scan *scan;
    rg_node *step, *sum;
} path;

static path begin(rg_node *x, rg_node *walk, const char *name)
{
    path p = {.name = name, .scan = rg_scan_begin(rg_graph_of(x), &(rg_scan_opts){.name = name})};
    p.step = rg_scan_slice(p.scan, walk);
    p.sum = rg_scan_carry(p.scan, rg_zeros_like(x));
    return p;
}

static rg_node *finish(path *p, rg_model model, void *user, rg_node *at)
{
    rg_node *score = at ? model(user, at) : NULL;
    if (at && !score)
        rg_build_fail(rg_graph_of(at), RG_ERR_ARGUMENT, "%s: the model gives no score", p->name);
    rg_scan_next(p->scan, p->sum, rg_add(p->sum, gradient(score, at)));
    rg_node *total = rg_scan_last(p->scan, p->sum);
    rg_scan_end(p->scan);
    return total;
}

rg_node *rg_nn_integrated_gradients(rg_model model, void *user, rg_node *x, rg_node *baseline, int64_t steps)
{
    rg_graph *g = rg_graph_of(x);
    if (!g)
        return NULL;
    if (!model || steps < 0)
        return rg_build_fail(g, RG_ERR_ARGUMENT, "rg_nn_integrated_gradients: %s",
                             model ? "a negative number of steps" : "the model is NULL");
    const int64_t n = steps ? steps : 50;
    rg_node *from = baseline ? baseline : rg_zeros_like(x), *way = rg_sub(x, from);
    rg_node *middles = rg_arange(g, rg_dtype_of(x), 0.5 / (double)n, 1.0 / (double)n, n);
    path p = begin(x, middles, "integrated gradients");
    rg_node *total = finish(&p, model, user, rg_fma(way, p.step, from));
    return rg_mul(way, rg_scale(total, 1.0 / (double)n));
}

rg_node *rg_nn_smooth_grad(rg_model model, void *user, rg_node *x, double sigma, int64_t samples)
{
    rg_graph *g = rg_graph_of(x);
    if (!g)
        return NULL;
    if (!model || samples < 0 || !(sigma >= 0))
        return rg_build_fail(g, RG_ERR_ARGUMENT, "rg_nn_smooth_grad: %s",
                             model ? "a negative sigma or number of samples" : "the model is NULL");
    const int64_t n = samples ? samples : 50;
    path p = begin(x, rg_arange(g, RG_I64, 0, 1, n), "smooth grad");
    rg_node *total =
        finish(&p, model, user, rg_axpy(sigma, rg_normal_like(x), x)); /* within a scan each step draws anew */
    return rg_scale(total, 1.0 / (double)n);
}
