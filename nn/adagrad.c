/* adagrad.c - Adagrad (Duchi, Hazan, Singer 2011), as PyTorch defines it:
   d = g + wd p;  s' = s + d^2;  p' = p - lr / (1 + (t - 1) decay) d / (sqrt(s') + eps). */
#include "optim.h"

#include <retrograde/graph.h>
#include <retrograde/nn.h>
#include <retrograde/op.h>
#include <retrograde/ops.h>

static void update(rgi_optim *o, size_t i, rg_node *rate, double initial, double eps)
{
    rg_node *p = o->params.at[i], *d = rgi_optim_gradient(o, i), *sum = rgi_optim_state(o, i, "sum");
    /* The buffer holds what was added to the initial value, so that it may start at zero as all state does. */
    rg_node *s = rg_add(sum, rg_square(d));
    rgi_optim_set(o, sum, s);
    rg_node *ratio = rg_div(d, rg_add_scalar(rg_sqrt(initial > 0 ? rg_add_scalar(s, initial) : s), eps));
    if (rate)
        rgi_optim_set(o, p, rg_fma(ratio, rg_cast(rate, rg_dtype_of(p)), p));
    else
        rgi_optim_descend(o, p, ratio);
}

rg_node *rg_adagrad(rg_node *loss, const rg_adagrad_opts *opts)
{
    const rg_adagrad_opts s = opts ? *opts : (rg_adagrad_opts){0};
    const rgi_optim_opts common = RGI_OPTIM_OPTS(s);
    rgi_optim o;
    double eps = 0, decay = 0, initial = 0;
    const bool ok = rgi_optim_begin(&o, "rg_adagrad", loss, &common) &&
                    rgi_optim_amount(&o, "eps", s.eps, 1e-10, &eps) &&
                    rgi_optim_amount(&o, "lr_decay", s.lr_decay, 0, &decay) &&
                    rgi_optim_amount(&o, "initial", s.initial, 0, &initial);
    rg_node *rate = NULL;
    if (ok && decay > 0) {
        rg_node *t = rgi_optim_count(&o);
        rate = rg_neg(rg_div(rgi_optim_rate(&o, RG_F64), rg_add_scalar(rg_scale(rg_add_scalar(t, -1), decay), 1)));
    }
    for (size_t i = 0; ok && i < o.params.n; i++)
        update(&o, i, rate, initial, eps);
    return rgi_optim_finish(&o, ok && (rate || decay == 0));
}
