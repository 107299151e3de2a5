/* adam.c - Adam (Kingma and Ba 2015, algorithm 1) and AdamW (Loshchilov and Hutter 2019, algorithm 2), as PyTorch does:
   m' = b1 m + (1-b1) g;  v' = b2 v + (1-b2) g^2;  p' = p - lr / (1-b1^t) m' / (sqrt(v' / (1-b2^t)) + eps).
   Weight decay wd: Adam takes g + wd p for g; AdamW takes (1 - lr wd) p for p. */
#include "optim.h"

#include <retrograde/graph.h>
#include <retrograde/nn.h>
#include <retrograde/op.h>
#include <retrograde/ops.h>

#include <math.h>

/* The constants of a run and its scalars, computed once for all parameters, in f64. */
struct adam {
    double beta1, beta2, eps;
    bool decoupled;
    rg_node *rate;   /* -lr / (1 - beta1^t) */
    rg_node *scale;  /* 1 / sqrt(1 - beta2^t) */
    rg_node *shrink; /* 1 - lr wd, or NULL */
};

/* 1 - beta^t without cancellation. */
static rg_node *bias_correction(double beta, rg_node *t)
{
    return rg_neg(rg_expm1(rg_scale(t, log(beta))));
}

static void update(rgi_optim *o, size_t i, const struct adam *a)
{
    rg_node *p = o->params.at[i], *g = a->decoupled ? o->grads.at[i] : rgi_optim_gradient(o, i);
    const rg_dtype dtype = rg_dtype_of(p);
    rg_node *mean = rgi_optim_state(o, i, "exp_avg"), *square = rgi_optim_state(o, i, "exp_avg_sq");
    rg_node *m = rg_lerp(mean, g, 1 - a->beta1), *v = rg_lerp(square, rg_square(g), 1 - a->beta2), *root = rg_sqrt(v);
    rg_node *denominator = a->scale ? rg_fma(root, rg_cast(a->scale, dtype), rg_scalar(o->graph, dtype, a->eps))
                                    : rg_add_scalar(root, a->eps);
    rg_node *rate = rg_cast(a->rate, dtype), *ratio = rg_div(m, denominator);
    rgi_optim_set(o, mean, m);
    rgi_optim_set(o, square, v);
    rgi_optim_set(o, p, a->shrink ? rg_fma(p, rg_cast(a->shrink, dtype), rg_mul(ratio, rate)) : rg_fma(ratio, rate, p));
}

static rg_node *adam(rg_node *loss, const rg_adam_opts *opts, const char *name, bool decoupled)
{
    rg_adam_opts s = opts ? *opts : (rg_adam_opts){0};
    if (decoupled && s.weight_decay == 0)
        s.weight_decay = 0.01;
    const rgi_optim_opts common = RGI_OPTIM_OPTS(s);
    struct adam a = {.decoupled = decoupled};
    rgi_optim o;
    bool ok = rgi_optim_begin(&o, name, loss, &common) && rgi_optim_share(&o, "beta1", s.beta1, 0.9, &a.beta1) &&
              rgi_optim_share(&o, "beta2", s.beta2, 0.999, &a.beta2) &&
              rgi_optim_amount(&o, "eps", s.eps, 1e-8, &a.eps);
    if (ok) {
        rg_node *t = rgi_optim_count(&o), *lr = rgi_optim_rate(&o, RG_F64);
        a.rate = rg_neg(a.beta1 > 0 ? rg_div(lr, bias_correction(a.beta1, t)) : lr);
        a.scale = a.beta2 > 0 ? rg_rsqrt(bias_correction(a.beta2, t)) : NULL;
        a.shrink = decoupled && o.opts.weight_decay > 0 ? rg_one_minus(rg_scale(lr, o.opts.weight_decay)) : NULL;
    }
    for (size_t i = 0; ok && i < o.params.n; i++)
        update(&o, i, &a);
    return rgi_optim_finish(&o, ok);
}

rg_node *rg_adam(rg_node *loss, const rg_adam_opts *opts)
{
    return adam(loss, opts, "rg_adam", false);
}

rg_node *rg_adamw(rg_node *loss, const rg_adam_opts *opts)
{
    return adam(loss, opts, "rg_adamw", true);
}
