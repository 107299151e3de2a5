/* rmsprop.c - RMSprop (Hinton 2012, lecture 6e; centred: Graves 2013), as PyTorch defines it:
   d = g + wd p;  v' = a v + (1-a) d^2;  centred: m' = a m + (1-a) d, s = v' - m'^2, else s = v';
   r = d / (sqrt(s) + eps);  momentum: b' = mu b + r, r = b';  p' = p - lr r. */
#include "optim.h"

#include <retrograde/graph.h>
#include <retrograde/nn.h>
#include <retrograde/op.h>
#include <retrograde/ops.h>

static void update(rgi_optim *o, size_t i, const rg_rmsprop_opts *s, double alpha, double eps)
{
    rg_node *p = o->params.at[i], *d = rgi_optim_gradient(o, i);
    rg_node *square = rgi_optim_state(o, i, "square_avg"), *v = rg_lerp(square, rg_square(d), 1 - alpha), *spread = v;
    rgi_optim_set(o, square, v);
    if (s->centered) {
        rg_node *mean = rgi_optim_state(o, i, "grad_avg"), *m = rg_lerp(mean, d, 1 - alpha);
        rgi_optim_set(o, mean, m);
        spread = rg_relu(rg_sub(v, rg_square(m))); /* rounding may leave less than nothing */
    }
    rg_node *ratio = rg_div(d, rg_add_scalar(rg_sqrt(spread), eps));
    if (s->momentum > 0) {
        rg_node *buffer = rgi_optim_state(o, i, "momentum_buffer");
        ratio = rg_axpy(s->momentum, buffer, ratio);
        rgi_optim_set(o, buffer, ratio);
    }
    rgi_optim_descend(o, p, ratio);
}

rg_node *rg_rmsprop(rg_node *loss, const rg_rmsprop_opts *opts)
{
    const rg_rmsprop_opts s = opts ? *opts : (rg_rmsprop_opts){0};
    const rgi_optim_opts common = RGI_OPTIM_OPTS(s);
    rgi_optim o;
    double alpha = 0, eps = 0, momentum = 0;
    const bool ok =
        rgi_optim_begin(&o, "rg_rmsprop", loss, &common) && rgi_optim_share(&o, "alpha", s.alpha, 0.99, &alpha) &&
        rgi_optim_amount(&o, "eps", s.eps, 1e-8, &eps) && rgi_optim_amount(&o, "momentum", s.momentum, 0, &momentum);
    for (size_t i = 0; ok && i < o.params.n; i++)
        update(&o, i, &s, alpha, eps);
    return rgi_optim_finish(&o, ok);
}
