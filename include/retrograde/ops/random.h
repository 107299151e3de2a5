/* random.h - draws: pure functions of a key, the step count, the scan indices and the element's position.

   The generator is Philox4x32-10 (Salmon, Moraes, Dror, Shaw: Parallel random numbers: as easy as 1, 2, 3; SC 2011).
   The key of a draw comes from the graph's seed when it is made, the scope it is made in and its ordinal in that scope,
   so code elsewhere does not change it. The step count is a buffer ("random.step", saved with the weights), raised once
   by each run of a plan with effects: a training step draws anew, a plan without effects repeats its draws. Inside a
   scan each step, and each step of every scan around it, draws by itself. Bits do not depend on threads, fusion,
   recomputation or on whether a draw was taken out of its scan; uniform draws are equal on all machines. Zero gradient.

   dtype is f32 or f64, anything else is an error; sizes may be named dimensions. */
#ifndef RETROGRADE_OPS_RANDOM_H
#define RETROGRADE_OPS_RANDOM_H

#include <retrograde/base.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Uniform in [0, 1). */
RG_API rg_node *rg_uniform(rg_graph *g, rg_dtype dtype, rg_shape shape);
/* Normal with mean 0 and variance 1. */
RG_API rg_node *rg_normal(rg_graph *g, rg_dtype dtype, rg_shape shape);
/* bool, true with probability p; p outside [0, 1] is an error. */
RG_API rg_node *rg_bernoulli(rg_graph *g, double p, rg_shape shape);
/* The same of the dtype and shape of another node, whose values are not used. */
RG_API rg_node *rg_uniform_like(rg_node *like);
RG_API rg_node *rg_normal_like(rg_node *like);

#ifdef __cplusplus
}
#endif

#endif
