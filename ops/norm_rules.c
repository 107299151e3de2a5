/* norm_rules.c - what the norms share: how the Jacobian of standardising changes with x, weights of channels, refusals.

   With y and r of x, j = J u, and all means over a group:
       by x, of <c, j>   -r^2 y mean(c (u - mean(u) - y mean(u y))) - r J (c mean(u y) + u mean(c y))
       along tx          -r (r mean(y tx) (u - mean(u) - y mean(u y)) + (J tx) mean(u y) + y mean(u (J tx)))       */
#include "norm.h"

static rg_node *mean(const rgi_norm *n, rg_node *x)
{
    return rg_mean(x, n->axes, true);
}

static rg_node *mean_product(const rgi_norm *n, rg_node *a, rg_node *b)
{
    return mean(n, rg_mul(a, b));
}

static rg_node *r_of(const rgi_norm *n, rg_node *x)
{
    return rg_rsqrt(rg_add_scalar(rg_var(x, n->axes, 0, true), n->eps));
}

/* u - mean(u) - y mean(u y) */
static rg_node *residue(const rgi_norm *n, rg_node *u, rg_node *y)
{
    return rg_sub(rg_sub(u, mean(n, u)), rg_mul(y, mean_product(n, u, y)));
}

rg_node *rgi_norm_reverse(const rgi_norm *n, rg_node *u, rg_node *x, rg_node *c)
{
    rg_node *y = n->standard(n, x), *r = r_of(n, x);
    rg_node *through_r = rg_mul(rg_mul(rg_square(r), y), mean_product(n, c, residue(n, u, y)));
    rg_node *mixed = rg_add(rg_mul(c, mean_product(n, u, y)), rg_mul(u, mean_product(n, c, y)));
    return rg_neg(rg_add(through_r, rg_mul(r, n->jacobian(n, mixed, x))));
}

rg_node *rgi_norm_forward(const rgi_norm *n, rg_node *u, rg_node *x, rg_node *tx)
{
    rg_node *y = n->standard(n, x), *r = r_of(n, x), *ty = n->jacobian(n, tx, x);
    rg_node *through_r = rg_mul(rg_mul(r, mean_product(n, y, tx)), residue(n, u, y));
    rg_node *mixed = rg_add(rg_mul(ty, mean_product(n, u, y)), rg_mul(y, mean_product(n, u, ty)));
    return rg_neg(rg_mul(r, rg_add(through_r, mixed)));
}

rg_node *rgi_per_channel(rg_node *w, int32_t rank)
{
    for (int32_t i = 2; w && i < rank; i++)
        w = rg_unsqueeze(w, -1);
    return w;
}

rg_node *rgi_affine(rg_node *y, rg_node *weight, rg_node *bias)
{
    if (weight && bias)
        return rg_fma(y, weight, bias);
    return weight ? rg_mul(y, weight) : bias ? rg_add(y, bias) : y;
}

/* ---- refusals ---- */

static bool unlike(const rg_node *x, const rg_node *w, int32_t axis)
{
    return x && w && (w->shape->a.rank != 1 || x->shape->a.rank <= axis || w->shape->a.dim[0] != x->shape->a.dim[axis]);
}

static bool refuse(const char *who, rg_node *x, rg_node *w, const char *what, int32_t axis)
{
    char one[2 * RGI_LABEL], other[2 * RGI_LABEL];
    if (!unlike(x, w, axis))
        return false;
    rg_build_fail(x->graph, RG_ERR_SHAPE,
                  "%s: the %s must have one axis, of the size of axis %d of x; inputs: %s, %s: %s", who, what, axis,
                  rgi_format_operand(x, one, sizeof one), what, rgi_format_operand(w, other, sizeof other));
    return true;
}

bool rgi_norm_wrong(const char *who, rg_node *x, rg_node *weight, rg_node *bias, double eps, int32_t axis)
{
    if (x && !(eps >= 0)) {
        rg_build_fail(x->graph, RG_ERR_ARGUMENT, "%s: eps is %g, it must be 0 or more", who, eps);
        return true;
    }
    return refuse(who, x, weight, "weight", axis) || refuse(who, x, bias, "bias", axis);
}
