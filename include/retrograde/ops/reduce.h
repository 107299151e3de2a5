/* reduce.h - operators that combine the elements along axes: sums, extrema, the softmax family.

   Reductions take a list of axes in any order, RG_ALL_AXES for all; negative ones count from the end. The axes
   disappear, or stay with size 1 if `keepdims`. f32 and f64, those marked "ints too" also i32 and i64, which wrap
   around; the result has the dtype of x. Sums are blocked, so that their error grows with the logarithm of the length,
   in an order that depends on the sizes that are summed alone. What an empty reduction gives is said for each.

   In the formulas y is the result, g its cotangent, dx the gradient, with g, y and the counts repeated along the axes.
   Derivatives can be taken any number of times (of prod: five). Errors: an axis outside the rank or named twice
   (RG_ERR_ARGUMENT), a dtype that is not taken (RG_ERR_DTYPE); then the result is NULL and the graph's error is set.
   A graph is used by one thread at a time. */
#ifndef RETROGRADE_OPS_REDUCE_H
#define RETROGRADE_OPS_REDUCE_H

#include <retrograde/base.h>

#ifdef __cplusplus
extern "C" {
#endif

RG_API rg_node *rg_sum(rg_node *x, rg_axes axes, bool keepdims);  /* ints too; empty: 0; dx = g */
RG_API rg_node *rg_mean(rg_node *x, rg_axes axes, bool keepdims); /* empty: NaN; dx = g / count */
/* ints too; empty: 1; dx_i = g prod_{j != i} x_j, computed without division, so zeros are no trouble */
RG_API rg_node *rg_prod(rg_node *x, rg_axes axes, bool keepdims);
/* ints too; NaN if any element is; empty: NaN, the least (max) or greatest (min) number for ints. The gradient goes to
   the first extremum in row-major order. */
RG_API rg_node *rg_max(rg_node *x, rg_axes axes, bool keepdims);
RG_API rg_node *rg_min(rg_node *x, rg_axes axes, bool keepdims);
/* sum (x - mean)^2 / (count - correction), in two passes; dx = 2 g (x - mean) / (count - correction). Correction 0 is
   the population's variance, 1 the unbiased estimate. NaN or infinite where count <= correction. */
RG_API rg_node *rg_var(rg_node *x, rg_axes axes, int64_t correction, bool keepdims);
/* sqrt(var); dx = g (x - mean) / (y (count - correction)), 0 where all elements are equal */
RG_API rg_node *rg_std(rg_node *x, rg_axes axes, int64_t correction, bool keepdims);
/* sqrt(sum x^2); empty: 0; dx = g x / y, 0 where y = 0 */
RG_API rg_node *rg_norm(rg_node *x, rg_axes axes, bool keepdims);
/* (sum |x|^p)^(1/p), the greatest |x| for p = INFINITY, the least for -INFINITY, how many are not 0 for p = 0. dx =
   g sign(x) |x / y|^(p-1), 0 where y = 0; that of an infinite p goes to the first extremum, of p = 0 it is zero.
   Errors: p is NaN; of an infinite p, as for max. */
RG_API rg_node *rg_norm_p(rg_node *x, double p, rg_axes axes, bool keepdims);
/* sum(a b) / (max(|a|, eps) max(|b|, eps)) along one axis, which disappears: the cosine of the angle between vectors of
   one shape. eps is in the units of a and b. */
RG_API rg_node *rg_cosine_similarity(rg_node *a, rg_node *b, int axis, double eps);
RG_API rg_node *rg_all(rg_node *x, rg_axes axes, bool keepdims); /* bool to bool; empty: true */
RG_API rg_node *rg_any(rg_node *x, rg_axes axes, bool keepdims); /* bool to bool; empty: false */

/* Index (i64) of the first extremum of a float x along one axis, which disappears; a NaN counts as the extremum. Zero
   gradient. Errors: RG_ERR_SHAPE for an axis of size 0, in rg_run where the size is bound. */
RG_API rg_node *rg_argmax(rg_node *x, int axis);
RG_API rg_node *rg_argmin(rg_node *x, int axis);

/* Along one axis, computed behind the maximum, so nothing overflows. */
RG_API rg_node *rg_softmax(rg_node *x, int axis);     /* exp(x) / sum(exp(x)); dx = y (g - sum(g y)) */
RG_API rg_node *rg_log_softmax(rg_node *x, int axis); /* x - logsumexp(x); dx = g - softmax(x) sum(g) */
/* log sum(exp(x)), the axis gone or kept with size 1; empty: -infinity; dx = g softmax(x) */
RG_API rg_node *rg_logsumexp(rg_node *x, int axis, bool keepdims);

/* Number of elements along `axes` of x, as a scalar of x's float dtype, whatever is bound: for means over named sizes.
   The values of x are not used. Zero gradient. */
RG_API rg_node *rg_size_of(rg_node *x, rg_axes axes);
/* x summed down to the shape of `like`, which must broadcast to x's: the transpose of broadcasting. x itself where the
   shapes are equal. The values of `like` are not used. dx = g. Errors: RG_ERR_SHAPE where it does not broadcast. */
RG_API rg_node *rg_sum_like(rg_node *x, rg_node *like);
/* Sum of the squares of all elements of all nodes of the list (at least one, of one dtype), a scalar; dx = 2 g x. */
RG_API rg_node *rg_square_norm(rg_nodes nodes);

#ifdef __cplusplus
}
#endif

#endif
