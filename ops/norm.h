/* norm.h - what the rules of the norms share: groups of elements made to mean 0 and variance 1. */
#ifndef RGI_OPS_NORM_H
#define RGI_OPS_NORM_H

#include "rules.h"

/* How groups are made: y = (x - mean) r along `axes`, r = 1 / sqrt(var + eps), and v times its Jacobian, which is
   symmetric: r (v - mean(v) - y mean(v y)). */
typedef struct rgi_norm rgi_norm;
struct rgi_norm {
    rg_axes axes;
    double eps;
    rg_node *(*standard)(const rgi_norm *n, rg_node *x);
    rg_node *(*jacobian)(const rgi_norm *n, rg_node *v, rg_node *x);
    rg_node *unit; /* what both may need: a weight of ones, or NULL */
};

/* With j the Jacobian at x times u: the derivative of <c, j> by x, and that of j along tx. */
rg_node *rgi_norm_reverse(const rgi_norm *n, rg_node *u, rg_node *x, rg_node *c);
rg_node *rgi_norm_forward(const rgi_norm *n, rg_node *u, rg_node *x, rg_node *tx);

/* [C] as it broadcasts against [N, C, ...] of this rank; NULL stays NULL. */
rg_node *rgi_per_channel(rg_node *w, int32_t rank);
/* y weight + bias, each NULL for none. */
rg_node *rgi_affine(rg_node *y, rg_node *weight, rg_node *bias);

/* Whether something is wrong with what all norms take: weight and bias, [n] each or NULL, must be as long as axis
   `axis` of x. Then the error is recorded. */
bool rgi_norm_wrong(const char *who, rg_node *x, rg_node *weight, rg_node *bias, double eps, int32_t axis);

#endif
