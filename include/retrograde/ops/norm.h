/* norm.h - normalisation by statistics of the tensor itself. */
#ifndef RETROGRADE_OPS_NORM_H
#define RETROGRADE_OPS_NORM_H

#include <retrograde/base.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Layer normalisation (Ba, Kiros, Hinton 2016; PyTorch's layer_norm over the last axis): x [..., n], weight [n] and
   bias [n], each NULL for none, to
       (x - mean) / sqrt(var + eps) * weight + bias
   with mean and population variance along the last axis, the variance in a second pass. f32 and f64. With
   y = (x - mean) r, r = 1 / sqrt(var + eps) and h = g weight: dx = r (h - mean(h) - y mean(h y)), dweight = sum g y,
   dbias = sum g over the other axes. Derivatives can be taken any number of times. eps is in x's units squared. Errors:
   a scalar x, a weight or bias of another shape (RG_ERR_SHAPE), an eps below 0 or NaN (RG_ERR_ARGUMENT), a dtype that is
   not taken or not x's (RG_ERR_DTYPE); then the result is NULL and the graph's error is set. */
RG_API rg_node *rg_layer_norm(rg_node *x, rg_node *weight, rg_node *bias, double eps);

#ifdef __cplusplus
}
#endif

#endif
