/* lion.c - Lion (Chen et al. 2023, algorithm 2): the sign of an average moves each weight by the same amount.
   c = b1 m + (1-b1) g;  p' = p - lr (sign(c) + wd p);  m' = b2 m + (1-b2) g. */
#include "optim.h"

#include <retrograde/graph.h>
#include <retrograde/nn.h>
#include <retrograde/op.h>
#include <retrograde/ops.h>

static void update(rgi_optim *o, size_t i, double beta1, double beta2)
{
    rg_node *p = o->params.at[i], *g = o->grads.at[i], *mean = rgi_optim_state(o, i, "exp_avg");
    rg_node *direction = rg_sign(rg_lerp(mean, g, 1 - beta1));
    if (o->opts.weight_decay > 0)
        direction = rg_axpy(o->opts.weight_decay, p, direction);
    rgi_optim_set(o, mean, rg_lerp(mean, g, 1 - beta2));
    rgi_optim_descend(o, p, direction);
}

rg_node *rg_lion(rg_node *loss, const rg_lion_opts *opts)
{
    const rg_lion_opts s = opts ? *opts : (rg_lion_opts){0};
    const rgi_optim_opts common = RGI_OPTIM_OPTS(s);
    rgi_optim o;
    double beta1 = 0, beta2 = 0;
    const bool ok = rgi_optim_begin(&o, "rg_lion", loss, &common) &&
                    rgi_optim_share(&o, "beta1", s.beta1, 0.9, &beta1) &&
                    rgi_optim_share(&o, "beta2", s.beta2, 0.99, &beta2);
    for (size_t i = 0; ok && i < o.params.n; i++)
        update(&o, i, beta1, beta2);
    return rgi_optim_finish(&o, ok);
}
