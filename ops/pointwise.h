/* pointwise.h - what the elementwise ops share: one run function for each number of inputs, and both derivative rules
   from the partial derivatives.

   The Jacobian of an elementwise op is diagonal in each input, hence its own transpose: u -> u dy/dx_i is the vjp and
   the jvp at once. */
#ifndef RGI_POINTWISE_H
#define RGI_POINTWISE_H

#include "common.h"

/* What rg_op.data of such an op points to. */
typedef struct rgi_pointwise {
    int kernel;   /* an rgk_unary, rgk_binary or rgk_ternary, as the op has inputs */
    double flops; /* of an element, about */
    rg_node *(*partial)(rg_node *self, size_t i, rg_node *u); /* u dy/dx_i; NULL: zero */
} rgi_pointwise;

/* About what a function through a polynomial costs, in flops. */
#define RGI_FLOPS_FUNCTION 20.0

void rgi_pointwise_vjp(rg_node *self, rg_node *const ct[], rg_node *grad[]);
void rgi_pointwise_jvp(rg_node *self, rg_node *const tangent[], rg_node *out[]);
void rgi_pointwise_cost(const rg_step *s, rg_cost *cost);

/* The kernel of rgi_pointwise.kernel over [lo, hi); the attributes, if any, are its doubles. Ops of two and three
   inputs may have RG_ONCE. */
rg_status rgi_run_unary(const rg_step *s, size_t lo, size_t hi); /* f32, f64; neg abs sign square: i32, i64 too */
rg_status rgi_run_binary(const rg_step *s, size_t lo,
                         size_t hi); /* f32, f64; add sub mul minimum maximum: i32, i64 too */
rg_status rgi_run_ternary(const rg_step *s, size_t lo, size_t hi); /* f32, f64 */

/* Fields of a descriptor. */
#define RGI_POINTWISE_WITH(more) \
    .n_out = 1, .traits = RG_ELEMENTWISE | RG_INPLACE | (more), .dtypes = RG_DT_FLOATS, .cost = rgi_pointwise_cost
#define RGI_POINTWISE RGI_POINTWISE_WITH(0)
#define RGI_UNARY RGI_POINTWISE, .n_in = 1, .infer = rg_infer_same, .run = rgi_run_unary
#define RGI_BINARY RGI_POINTWISE_WITH(RG_ONCE), .n_in = 2, .infer = rg_infer_broadcast, .run = rgi_run_binary
#define RGI_DERIVATIVES .vjp = rgi_pointwise_vjp, .jvp = rgi_pointwise_jvp

/* Ops without a public builder. */
rg_node *rgi_squared_difference(rg_node *a, rg_node *b); /* (a - b)^2 */
rg_node *rgi_maximum_grad(rg_node *u, rg_node *a,
                          rg_node *b); /* u where a > b or either is NaN, u/2 where a = b, else 0 */
rg_node *rgi_clamp_grad(rg_node *u, rg_node *x, double lo, double hi); /* u where lo <= x <= hi, else 0 */
rg_node *rgi_relu_grad(rg_node *u, rg_node *x);                        /* u where x > 0, else 0 */
rg_node *rgi_leaky_relu_grad(rg_node *u, rg_node *x, double slope);    /* u where x > 0, else slope u */
rg_node *rgi_sigmoid_grad(rg_node *u, rg_node *y);                     /* u y (1 - y) */
rg_node *rgi_tanh_grad(rg_node *u, rg_node *y);                        /* u (1 - y^2) */
rg_node *rgi_gelu_grad(rg_node *u, rg_node *x);
rg_node *rgi_gelu_tanh_grad(rg_node *u, rg_node *x);
rg_node *rgi_silu_grad(rg_node *u, rg_node *x);

#endif
