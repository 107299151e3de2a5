/* elementwise.h - operators that work on each element by itself, with NumPy broadcasting.

   Binary operators take two inputs of one dtype (f32, f64, i32, i64) and any shapes that broadcast; the result has
   the broadcast shape. Unary functions and activations take f32 and f64 unless said otherwise. In the formulas g is
   the cotangent of the result y. All are safe to call from one thread per graph; all return NULL with the graph's
   error set when shapes or dtypes do not fit. */
#ifndef RETROGRADE_OPS_ELEMENTWISE_H
#define RETROGRADE_OPS_ELEMENTWISE_H

#include <retrograde/base.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- arithmetic ---- */
RG_API rg_node *rg_add(rg_node *a, rg_node *b);     /* a + b; da = g, db = g */
RG_API rg_node *rg_sub(rg_node *a, rg_node *b);     /* a - b; da = g, db = -g */
RG_API rg_node *rg_mul(rg_node *a, rg_node *b);     /* a b; da = g b, db = g a */
RG_API rg_node *rg_div(rg_node *a, rg_node *b);     /* a / b (floats); da = g / b, db = -g y / b */
RG_API rg_node *rg_pow(rg_node *a, rg_node *b);     /* a^b (floats); da = g b a^(b-1), db = g y log a (0 where a = 0) */
RG_API rg_node *rg_minimum(rg_node *a, rg_node *b); /* the smaller; the gradient goes to it, half to each on a tie */
RG_API rg_node *rg_maximum(rg_node *a, rg_node *b); /* the larger; the gradient goes to it, half to each on a tie */
RG_API rg_node *rg_fma(rg_node *a, rg_node *b, rg_node *c); /* a b + c, rounded as the instruction set does */
RG_API rg_node *rg_axpy(double alpha, rg_node *x, rg_node *y); /* y + alpha x; dx = alpha g, dy = g */
RG_API rg_node *rg_lerp(rg_node *a, rg_node *b, double w);     /* a + w (b - a); da = (1-w) g, db = w g */

RG_API rg_node *rg_neg(rg_node *x);
RG_API rg_node *rg_abs(rg_node *x);  /* dx = g sign(x) */
RG_API rg_node *rg_sign(rg_node *x); /* -1, 0, 1; zero gradient */
RG_API rg_node *rg_square(rg_node *x);
RG_API rg_node *rg_sqrt(rg_node *x);       /* dx = g / (2 y) */
RG_API rg_node *rg_rsqrt(rg_node *x);      /* 1/sqrt(x); dx = -g y^3 / 2 */
RG_API rg_node *rg_reciprocal(rg_node *x); /* dx = -g y^2 */
RG_API rg_node *rg_scale(rg_node *x, double a);      /* a x */
RG_API rg_node *rg_add_scalar(rg_node *x, double a); /* x + a */
RG_API rg_node *rg_one_minus(rg_node *x);            /* 1 - x */
RG_API rg_node *rg_pow_scalar(rg_node *x, double p); /* x^p; dx = g p x^(p-1) */
RG_API rg_node *rg_clamp(rg_node *x, double lo, double hi); /* dx = g where lo <= x <= hi */

/* ---- functions ---- */
RG_API rg_node *rg_exp(rg_node *x);
RG_API rg_node *rg_exp2(rg_node *x);
RG_API rg_node *rg_expm1(rg_node *x);
RG_API rg_node *rg_log(rg_node *x);
RG_API rg_node *rg_log1p(rg_node *x);
RG_API rg_node *rg_sin(rg_node *x);
RG_API rg_node *rg_cos(rg_node *x);
RG_API rg_node *rg_tan(rg_node *x);
RG_API rg_node *rg_asin(rg_node *x);
RG_API rg_node *rg_acos(rg_node *x);
RG_API rg_node *rg_atan(rg_node *x);
RG_API rg_node *rg_sinh(rg_node *x);
RG_API rg_node *rg_cosh(rg_node *x);
RG_API rg_node *rg_asinh(rg_node *x);
RG_API rg_node *rg_acosh(rg_node *x);
RG_API rg_node *rg_atanh(rg_node *x);
RG_API rg_node *rg_erf(rg_node *x);   /* dx = g 2/sqrt(pi) exp(-x^2) */
RG_API rg_node *rg_floor(rg_node *x); /* zero gradient, as for ceil and round */
RG_API rg_node *rg_ceil(rg_node *x);
RG_API rg_node *rg_round(rg_node *x); /* half to even */

/* ---- activations ---- */
RG_API rg_node *rg_relu(rg_node *x); /* max(x, 0); dx = g where x > 0 */
RG_API rg_node *rg_leaky_relu(rg_node *x, double slope);
RG_API rg_node *rg_elu(rg_node *x, double alpha); /* x, or alpha (exp(x) - 1) below 0 */
RG_API rg_node *rg_selu(rg_node *x);              /* Klambauer et al. 2017 */
RG_API rg_node *rg_celu(rg_node *x, double alpha);
RG_API rg_node *rg_gelu(rg_node *x);      /* x Phi(x), exact */
RG_API rg_node *rg_gelu_tanh(rg_node *x); /* the tanh approximation */
RG_API rg_node *rg_silu(rg_node *x);      /* x sigmoid(x) */
RG_API rg_node *rg_mish(rg_node *x);      /* x tanh(softplus(x)) */
RG_API rg_node *rg_softplus(rg_node *x);  /* log(1 + exp(x)) */
RG_API rg_node *rg_softsign(rg_node *x);  /* x / (1 + |x|) */
RG_API rg_node *rg_sigmoid(rg_node *x);   /* dx = g y (1 - y) */
RG_API rg_node *rg_log_sigmoid(rg_node *x);
RG_API rg_node *rg_hard_sigmoid(rg_node *x); /* clamp(x/6 + 1/2, 0, 1) */
RG_API rg_node *rg_hard_swish(rg_node *x);   /* x clamp(x/6 + 1/2, 0, 1) */
RG_API rg_node *rg_tanh(rg_node *x);         /* dx = g (1 - y^2) */
RG_API rg_node *rg_hard_tanh(rg_node *x);    /* clamp(x, -1, 1) */
RG_API rg_node *rg_prelu(rg_node *x, rg_node *slope); /* slope broadcasts against x */

/* ---- comparisons and logic: the result is bool; zero gradient ---- */
RG_API rg_node *rg_equal(rg_node *a, rg_node *b); /* any dtype */
RG_API rg_node *rg_not_equal(rg_node *a, rg_node *b);
RG_API rg_node *rg_less(rg_node *a, rg_node *b);
RG_API rg_node *rg_less_equal(rg_node *a, rg_node *b);
RG_API rg_node *rg_greater(rg_node *a, rg_node *b);
RG_API rg_node *rg_greater_equal(rg_node *a, rg_node *b);
RG_API rg_node *rg_logical_and(rg_node *a, rg_node *b); /* bool */
RG_API rg_node *rg_logical_or(rg_node *a, rg_node *b);
RG_API rg_node *rg_logical_xor(rg_node *a, rg_node *b);
RG_API rg_node *rg_logical_not(rg_node *x);
RG_API rg_node *rg_isnan(rg_node *x);
RG_API rg_node *rg_isinf(rg_node *x);
RG_API rg_node *rg_isfinite(rg_node *x);

/* condition ? a : b; condition is bool, a and b of one dtype (any), all broadcast. The gradient goes where the value
   came from. */
RG_API rg_node *rg_where(rg_node *condition, rg_node *a, rg_node *b);
/* The values as another dtype; to bool: not zero; float to integer truncates and saturates, NaN becomes 0.
   The gradient is cast back between floats, zero otherwise. */
RG_API rg_node *rg_cast(rg_node *x, rg_dtype dtype);

#ifdef __cplusplus
}
#endif

#endif
