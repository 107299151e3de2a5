/* similarity.c - norms of any order, and the cosine between vectors: compositions. */
#include "along.h"
#include "rules.h"

#include <retrograde/autograd.h>
#include <retrograde/op.h>

#include <math.h>

/* y where `zero` is false, 0 with a zero derivative elsewhere: where() alone would multiply an infinite derivative by
   0, so what is differentiated is moved away from 0 first. */
static rg_node *root(rg_node *sum, double p)
{
    rg_node *zero = rg_zeros_like(sum), *is_zero = rg_equal(sum, zero);
    rg_node *safe = rg_where(is_zero, rg_ones_like(sum), sum);
    return rg_where(is_zero, zero, p == 2 ? rg_sqrt(safe) : rg_pow_scalar(safe, 1 / p));
}

/* |x|^p with derivative 0 at 0. */
static rg_node *power(rg_node *x, double p)
{
    rg_node *size = rg_abs(x), *zero = rg_zeros_like(x), *is_zero = rg_equal(x, zero);
    if (p >= 2)
        return rg_pow_scalar(size, p);
    return rg_where(is_zero, zero, rg_pow_scalar(rg_where(is_zero, rg_ones_like(x), size), p));
}

rg_node *rg_norm_p(rg_node *x, double p, rg_axes axes, bool keepdims)
{
    char label[2 * RGI_LABEL];
    if (x && isnan(p))
        return rg_build_fail(x->graph, RG_ERR_ARGUMENT, "rg_norm_p: p is NaN, of %s",
                             rgi_format_operand(x, label, sizeof label));
    if (!x || p == 2)
        return rg_norm(x, axes, keepdims);
    if (isinf(p))
        return p > 0 ? rg_max(rg_abs(x), axes, keepdims) : rg_min(rg_abs(x), axes, keepdims);
    if (p == 1)
        return rg_sum(rg_abs(x), axes, keepdims);
    if (p == 0)
        return rg_sum(rg_cast(rg_not_equal(x, rg_zeros_like(x)), x->dtype), axes, keepdims);
    /* the powers of numbers up to 1: nothing overflows; y does not depend on the scale, so neither does its
       derivative */
    rg_node *most = rg_stop_gradient(rg_sum(rg_abs(x), axes, true)), *zero = rg_zeros_like(most);
    most = rg_where(rg_equal(most, zero), rg_ones_like(most), most);
    rg_node *y = root(rg_sum(power(rg_div(x, most), p), axes, true), p);
    y = rg_mul(y, most);
    return keepdims || !y ? y : rg_sum(y, axes, false);
}

rg_node *rg_cosine_similarity(rg_node *a, rg_node *b, int axis, double eps)
{
    char label[2 * RGI_LABEL], other[2 * RGI_LABEL];
    const rg_axes axes = {.n = 1, .axis = {axis}};
    if (a && !(eps >= 0))
        return rg_build_fail(a->graph, RG_ERR_ARGUMENT, "rg_cosine_similarity: eps is %g, of %s", eps,
                             rgi_format_operand(a, label, sizeof label));
    if (a && b && a->shape != b->shape)
        return rg_build_fail(a->graph, RG_ERR_SHAPE, "rg_cosine_similarity: %s and %s differ in shape",
                             rgi_format_operand(a, label, sizeof label), rgi_format_operand(b, other, sizeof other));
    rg_node *dot = rg_sum(rg_mul(a, b), axes, false);
    rg_node *scale =
        rg_mul(rg_clamp(rg_norm(a, axes, false), eps, INFINITY), rg_clamp(rg_norm(b, axes, false), eps, INFINITY));
    return rg_div(dot, scale);
}
