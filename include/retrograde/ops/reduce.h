/* reduce.h - operators that combine the elements along axes: sums, extrema, the softmax family. */
#ifndef RETROGRADE_OPS_REDUCE_H
#define RETROGRADE_OPS_REDUCE_H

#include <retrograde/base.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Over `axes` (RG_ALL_AXES: all), which disappear, or stay with size 1 if `keepdims`. f32 and f64 (sum, prod, max and
   min also i32, i64). Sums are blocked, so that the error grows with the logarithm of the length, in an order that
   depends on the sizes alone. An empty sum is 0, an empty prod 1; an empty max, min or mean is NaN for floats. */
RG_API rg_node *rg_sum(rg_node *x, rg_axes axes, bool keepdims);  /* dx = g, broadcast */
RG_API rg_node *rg_mean(rg_node *x, rg_axes axes, bool keepdims); /* dx = g / count, broadcast */
RG_API rg_node *rg_prod(rg_node *x, rg_axes axes, bool keepdims); /* dx_i = g prod_{j != i} x_j */
RG_API rg_node *rg_max(rg_node *x, rg_axes axes, bool keepdims);  /* the gradient goes to the first maximum */
RG_API rg_node *rg_min(rg_node *x, rg_axes axes, bool keepdims);  /* the gradient goes to the first minimum */
RG_API rg_node *rg_var(rg_node *x, rg_axes axes, int64_t correction, bool keepdims); /* divides by count - correction */
RG_API rg_node *rg_std(rg_node *x, rg_axes axes, int64_t correction, bool keepdims);
RG_API rg_node *rg_norm(rg_node *x, rg_axes axes, bool keepdims); /* sqrt(sum x^2) */
RG_API rg_node *rg_all(rg_node *x, rg_axes axes, bool keepdims);  /* bool to bool */
RG_API rg_node *rg_any(rg_node *x, rg_axes axes, bool keepdims);

/* Index (i64) of the first extremum along one axis, which disappears; a NaN counts as the extremum. Zero gradient. */
RG_API rg_node *rg_argmax(rg_node *x, int axis);
RG_API rg_node *rg_argmin(rg_node *x, int axis);

/* Along one axis. softmax: dx = y (g - sum(g y)). */
RG_API rg_node *rg_softmax(rg_node *x, int axis);
RG_API rg_node *rg_log_softmax(rg_node *x, int axis);                  /* dx = g - softmax(x) sum(g) */
RG_API rg_node *rg_logsumexp(rg_node *x, int axis, bool keepdims);     /* dx = g softmax(x) */

/* Number of elements along `axes` of x, as a scalar of x's (float) dtype: for means of named sizes. Zero gradient. */
RG_API rg_node *rg_size_of(rg_node *x, rg_axes axes);
/* x summed down to the shape of `like`, which broadcasts to x's: the transpose of broadcasting. dx = g, broadcast. */
RG_API rg_node *rg_sum_like(rg_node *x, rg_node *like);
/* Sum of the squares of all elements of all nodes of the list, a scalar. */
RG_API rg_node *rg_square_norm(rg_nodes nodes);

#ifdef __cplusplus
}
#endif

#endif
