/* variance.c - var = sum (x - mean)^2 / (count - correction) along axes and its root, in two passes, from reductions:
   their derivatives are those of what they are made of. */
#include "along.h"

#include <retrograde/op.h>
#include <retrograde/ops.h>

static rg_node *centred(rg_node *x, rg_axes axes)
{
    return rg_sub(x, rg_mean(x, axes, true));
}

/* count - correction */
static rg_node *freedom(rg_node *x, rg_axes axes, int64_t correction)
{
    rg_node *count = rg_size_of(x, axes);
    return correction ? rg_add_scalar(count, -(double)correction) : count;
}

rg_node *rg_var(rg_node *x, rg_axes axes, int64_t correction, bool keepdims)
{
    return rg_div(rgi_sum_squares(centred(x, axes), axes, keepdims), freedom(x, axes, correction));
}

/* Through the norm, whose gradient is 0, not infinite, where all elements are equal. */
rg_node *rg_std(rg_node *x, rg_axes axes, int64_t correction, bool keepdims)
{
    return rg_div(rg_norm(centred(x, axes), axes, keepdims), rg_sqrt(freedom(x, axes, correction)));
}
