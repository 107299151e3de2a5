/* sgd.c - stochastic gradient descent with momentum (Polyak 1964, Nesterov 1983), as PyTorch defines it:
   d = g + wd p;  b' = mu b + d;  d = nesterov ? d + mu b' : b';  p' = p - lr d. */
#include "optim.h"

#include <retrograde/graph.h>
#include <retrograde/nn.h>
#include <retrograde/op.h>
#include <retrograde/ops.h>

#include <math.h>

static void update(rgi_optim *o, size_t i, const rg_sgd_opts *opts)
{
    rg_node *p = o->params.at[i], *d = rgi_optim_gradient(o, i);
    if (opts->momentum > 0) {
        rg_node *buffer = rgi_optim_state(o, i, "momentum_buffer"), *velocity = rg_axpy(opts->momentum, buffer, d);
        rgi_optim_set(o, buffer, velocity);
        d = opts->nesterov ? rg_axpy(opts->momentum, velocity, d) : velocity;
    }
    rgi_optim_descend(o, p, d);
}

rg_node *rg_sgd(rg_node *loss, const rg_sgd_opts *opts)
{
    const rg_sgd_opts s = opts ? *opts : (rg_sgd_opts){0};
    const rgi_optim_opts common = RGI_OPTIM_OPTS(s);
    rgi_optim o;
    bool ok = rgi_optim_begin(&o, "rg_sgd", loss, &common);
    if (ok && !(s.momentum >= 0 && isfinite(s.momentum)))
        ok = rg_build_fail(o.graph, RG_ERR_ARGUMENT, "rg_sgd: momentum is %g: it must be a number from 0 up",
                           s.momentum) != NULL;
    if (ok && s.nesterov && s.momentum == 0)
        ok = rg_build_fail(o.graph, RG_ERR_ARGUMENT, "rg_sgd: nesterov needs a momentum") != NULL;
    for (size_t i = 0; ok && i < o.params.n; i++)
        update(&o, i, &s);
    return rgi_optim_finish(&o, ok);
}
