/* norm.h - normalisation by statistics of the tensor itself.

   Each takes a group of elements to (x - mean) / sqrt(var + eps), mean and population variance being the group's own,
   the variance summed from deviations, so that nothing cancels; then times `weight` and plus `bias`, each NULL for
   none, which go along one axis. f32 and f64. With r = 1 / sqrt(var + eps), y = (x - mean) r and h = u weight, all
   means over the group:
       dx = r (h - mean(h) - y mean(h y)),  dweight = sum u y,  dbias = sum u.
   Derivatives can be taken any number of times. eps is in x's units squared. Definitions are those of PyTorch's
   functions of the same names.

   Errors: a weight or bias that is not one axis of the right size, too few axes, groups that do not divide the channels
   (RG_ERR_SHAPE), an eps below 0 or NaN (RG_ERR_ARGUMENT), a dtype that is not taken or not x's (RG_ERR_DTYPE); then
   the result is NULL and the graph's error is set. A graph is used by one thread at a time. */
#ifndef RETROGRADE_OPS_NORM_H
#define RETROGRADE_OPS_NORM_H

#include <retrograde/base.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Ba, Kiros, Hinton 2016: a group is a row along the last axis; weight and bias [n] for x [..., n]. */
RG_API rg_node *rg_layer_norm(rg_node *x, rg_node *weight, rg_node *bias, double eps);
/* Ioffe, Szegedy 2015, as while training: a group is a channel of all images, x [N, C, ...]; weight and bias [C]. */
RG_API rg_node *rg_batch_norm(rg_node *x, rg_node *weight, rg_node *bias, double eps);
/* The same; *mean and *var receive the channels' own, [C], found on the way: for running statistics. */
RG_API rg_node *rg_batch_norm_moments(rg_node *x, rg_node *weight, rg_node *bias, double eps, rg_node **mean,
                                      rg_node **var);
/* Wu, He 2018: a group is one image's share of C / groups channels, x [N, C, ...]; weight and bias [C]. */
RG_API rg_node *rg_group_norm(rg_node *x, int64_t groups, rg_node *weight, rg_node *bias, double eps);
/* Ulyanov et al. 2016: a group is one channel of one image, x [N, C, ...] of three axes at least; weight and bias
   [C]. */
RG_API rg_node *rg_instance_norm(rg_node *x, rg_node *weight, rg_node *bias, double eps);
/* Zhang, Sennrich 2019: x / sqrt(mean(x^2) + eps) weight along the last axis. */
RG_API rg_node *rg_rms_norm(rg_node *x, rg_node *weight, double eps);
/* Krizhevsky et al. 2012: x / (k + alpha m)^beta, m the mean of x^2 over `size` neighbouring channels, of which those
   outside count as zeros, x [N, C, ...] of three axes at least. (Krizhevsky's alpha is this one / size.) */
RG_API rg_node *rg_local_response_norm(rg_node *x, int64_t size, double alpha, double beta, double k);

#ifdef __cplusplus
}
#endif

#endif
