/* adadelta.c - Adadelta (Zeiler 2012, algorithm 1), as PyTorch defines it:
   d = g + wd p;  v' = rho v + (1-rho) d^2;  u = sqrt(a + eps) / sqrt(v' + eps) d;  a' = rho a + (1-rho) u^2;
   p' = p - lr u. */
#include "optim.h"

#include <retrograde/graph.h>
#include <retrograde/nn.h>
#include <retrograde/op.h>
#include <retrograde/ops.h>

static void update(rgi_optim *o, size_t i, double rho, double eps)
{
    rg_node *p = o->params.at[i], *d = rgi_optim_gradient(o, i);
    rg_node *square = rgi_optim_state(o, i, "square_avg"), *moved = rgi_optim_state(o, i, "acc_delta");
    rg_node *v = rg_lerp(square, rg_square(d), 1 - rho);
    rg_node *u = rg_mul(rg_div(rg_sqrt(rg_add_scalar(moved, eps)), rg_sqrt(rg_add_scalar(v, eps))), d);
    rgi_optim_set(o, square, v);
    rgi_optim_set(o, moved, rg_lerp(moved, rg_square(u), 1 - rho));
    rgi_optim_descend(o, p, u);
}

rg_node *rg_adadelta(rg_node *loss, const rg_adadelta_opts *opts)
{
    rg_adadelta_opts s = opts ? *opts : (rg_adadelta_opts){0};
    if (s.lr == 0 && !s.lr_node)
        s.lr = 1;
    const rgi_optim_opts common = RGI_OPTIM_OPTS(s);
    rgi_optim o;
    double rho = 0, eps = 0;
    const bool ok = rgi_optim_begin(&o, "rg_adadelta", loss, &common) && rgi_optim_share(&o, "rho", s.rho, 0.9, &rho) &&
                    rgi_optim_amount(&o, "eps", s.eps, 1e-6, &eps);
    for (size_t i = 0; ok && i < o.params.n; i++)
        update(&o, i, rho, eps);
    return rgi_optim_finish(&o, ok);
}
