/* elementwise.h - operators that work on each element by itself, with NumPy broadcasting.

   Inputs of one dtype and of any shapes that broadcast (trailing axes aligned, an axis of size 1 repeated); the result
   has the broadcast shape and, unless said otherwise, the inputs' dtype: f32 or f64, for those marked "ints too" also
   i32 and i64, which wrap around. Each rounds as the instruction set in use does it. NaN stays NaN except in
   comparisons; minimum and maximum give NaN if either input is one.

   In the formulas y is the result, g its cotangent, da the gradient of a; a gradient of the broadcast shape is summed
   down to the input's. Forward derivatives are the same factors times the tangents. All can be differentiated any
   number of times. Errors: shapes that do not broadcast (RG_ERR_SHAPE), dtypes that differ or are not taken
   (RG_ERR_DTYPE); then the result is NULL and the graph's error is set. A graph is used by one thread at a time. */
#ifndef RETROGRADE_OPS_ELEMENTWISE_H
#define RETROGRADE_OPS_ELEMENTWISE_H

#include <retrograde/base.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- arithmetic of two ---- */

RG_API rg_node *rg_add(rg_node *a, rg_node *b); /* a + b, ints too; da = g, db = g */
RG_API rg_node *rg_sub(rg_node *a, rg_node *b); /* a - b, ints too; da = g, db = -g */
RG_API rg_node *rg_mul(rg_node *a, rg_node *b); /* a b, ints too; da = g b, db = g a */
RG_API rg_node *rg_div(rg_node *a, rg_node *b); /* a / b; da = g / b, db = -g y / b */
/* a^b; da = g b a^(b-1), db = g y log a. At a = 0: db = 0, and da = 0 for b = 0 too, as is 0^0 = 1. */
RG_API rg_node *rg_pow(rg_node *a, rg_node *b);
/* The smaller and the larger, ints too. The gradient goes to the one that was taken, half to each where they are equal,
   to both where either is NaN. */
RG_API rg_node *rg_minimum(rg_node *a, rg_node *b);
RG_API rg_node *rg_maximum(rg_node *a, rg_node *b);
/* a b + c with one rounding where the instruction set has it; da = g b, db = g a, dc = g */
RG_API rg_node *rg_fma(rg_node *a, rg_node *b, rg_node *c);
RG_API rg_node *rg_axpy(double alpha, rg_node *x, rg_node *y); /* y + alpha x; dx = alpha g, dy = g */
RG_API rg_node *rg_lerp(rg_node *a, rg_node *b, double w);     /* a + w (b - a); da = (1 - w) g, db = w g */

/* ---- arithmetic of one ---- */

RG_API rg_node *rg_neg(rg_node *x);                  /* -x, ints too; dx = -g */
RG_API rg_node *rg_abs(rg_node *x);                  /* |x|, ints too; dx = g sign(x) */
RG_API rg_node *rg_sign(rg_node *x);                 /* -1, 0 or 1, ints too; zero gradient */
RG_API rg_node *rg_square(rg_node *x);               /* x^2, ints too; dx = 2 g x */
RG_API rg_node *rg_sqrt(rg_node *x);                 /* dx = g / (2 y), infinite at 0 */
RG_API rg_node *rg_rsqrt(rg_node *x);                /* 1 / sqrt(x); dx = -g y^3 / 2 */
RG_API rg_node *rg_reciprocal(rg_node *x);           /* 1 / x; dx = -g y^2 */
RG_API rg_node *rg_scale(rg_node *x, double a);      /* a x; dx = a g. The number is rounded to x's dtype */
RG_API rg_node *rg_add_scalar(rg_node *x, double a); /* x + a; dx = g */
RG_API rg_node *rg_one_minus(rg_node *x);            /* 1 - x; dx = -g */
RG_API rg_node *rg_pow_scalar(rg_node *x, double p); /* x^p; dx = g p x^(p-1), 0 for p = 0 */
/* x cut to [lo, hi]; dx = g where lo <= x <= hi, else 0. Errors: RG_ERR_ARGUMENT unless lo <= hi. */
RG_API rg_node *rg_clamp(rg_node *x, double lo, double hi);

/* ---- functions ----

   Largest errors, here and in the activations, in units of the last place of the exact result, subnormal results and
   the whole range of arguments included; infinities, NaN and the sign of zero are exact. The tests hold f32 to them at
   each of the 2^32 numbers (`./dev test --slow vmath`), f64 at a sample. In brackets: without fused multiply-add
   (SSE2).

       0    floor, ceil, round (sqrt and reciprocal are rounded correctly: 0.501)
       0.51 pow (f64: 1.2)
       1    exp (1.1), exp2 (1.2), log, log1p
       1.2  erf (1.4; f64: 1.5)
       1.5  rsqrt, acos
       1.6  cosh, sigmoid (2.5)
       2    expm1, sin, cos, asin, atan, sinh, asinh, atanh
       2    softplus, log_sigmoid, tanh (2.7)
       2.1  acosh
       2.2  gelu (3; f64: 4)
       2.4  tan (f64: 2.6)
       2.5  silu (3.4), gelu_tanh (3.4) */

RG_API rg_node *rg_exp(rg_node *x);   /* dx = g y */
RG_API rg_node *rg_exp2(rg_node *x);  /* 2^x; dx = g y log 2 */
RG_API rg_node *rg_expm1(rg_node *x); /* exp(x) - 1, exact near 0; dx = g (y + 1) */
RG_API rg_node *rg_log(rg_node *x);   /* dx = g / x */
RG_API rg_node *rg_log1p(rg_node *x); /* log(1 + x), exact near 0; dx = g / (1 + x) */
RG_API rg_node *rg_sin(rg_node *x);   /* dx = g cos(x) */
RG_API rg_node *rg_cos(rg_node *x);   /* dx = -g sin(x) */
RG_API rg_node *rg_tan(rg_node *x);   /* dx = g (1 + y^2) */
RG_API rg_node *rg_asin(rg_node *x);  /* dx = g / sqrt(1 - x^2) */
RG_API rg_node *rg_acos(rg_node *x);  /* dx = -g / sqrt(1 - x^2) */
RG_API rg_node *rg_atan(rg_node *x);  /* dx = g / (1 + x^2) */
/* The angle of the point (x, y) in (-pi, pi], +-0 and infinities as C's atan2; dy = g x / (x^2 + y^2),
   dx = -g y / (x^2 + y^2), NaN at the origin. */
RG_API rg_node *rg_atan2(rg_node *y, rg_node *x);
RG_API rg_node *rg_sinh(rg_node *x);  /* dx = g cosh(x) */
RG_API rg_node *rg_cosh(rg_node *x);  /* dx = g sinh(x) */
RG_API rg_node *rg_asinh(rg_node *x); /* dx = g / sqrt(x^2 + 1) */
RG_API rg_node *rg_acosh(rg_node *x); /* dx = g / sqrt(x^2 - 1) */
RG_API rg_node *rg_atanh(rg_node *x); /* dx = g / (1 - x^2) */
RG_API rg_node *rg_erf(rg_node *x);   /* dx = g 2/sqrt(pi) exp(-x^2) */
RG_API rg_node *rg_floor(rg_node *x); /* zero gradient */
RG_API rg_node *rg_ceil(rg_node *x);  /* zero gradient */
RG_API rg_node *rg_round(rg_node *x); /* half to even; zero gradient */

/* ---- activations; s is the sigmoid ---- */

RG_API rg_node *rg_relu(rg_node *x);                     /* max(x, 0); dx = g where x > 0 */
RG_API rg_node *rg_leaky_relu(rg_node *x, double slope); /* x, slope x below 0; dx = g, slope g where x <= 0 */
/* x, alpha (exp(x) - 1) below 0; dx = g, g alpha exp(x) where x <= 0 */
RG_API rg_node *rg_elu(rg_node *x, double alpha);
/* 1.0507 elu(x, 1.6733): Klambauer et al. 2017 */
RG_API rg_node *rg_selu(rg_node *x);
/* x, alpha (exp(x / alpha) - 1) below 0: Barron 2017; dx = g, g exp(x / alpha) where x <= 0. Errors: RG_ERR_ARGUMENT
   for an alpha that is 0 or not finite. */
RG_API rg_node *rg_celu(rg_node *x, double alpha);
/* x Phi(x), Phi the normal distribution function: Hendrycks and Gimpel 2016; dx = g (Phi(x) + x phi(x)) */
RG_API rg_node *rg_gelu(rg_node *x);
/* Their approximation x (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))) / 2, differentiated as it stands */
RG_API rg_node *rg_gelu_tanh(rg_node *x);
RG_API rg_node *rg_silu(rg_node *x);         /* x s(x); dx = g s (1 + x (1 - s)) */
RG_API rg_node *rg_mish(rg_node *x);         /* x tanh(softplus(x)): Misra 2019 */
RG_API rg_node *rg_softplus(rg_node *x);     /* log(1 + exp(x)), without overflow; dx = g s(x) */
RG_API rg_node *rg_softsign(rg_node *x);     /* x / (1 + |x|) */
RG_API rg_node *rg_sigmoid(rg_node *x);      /* 1 / (1 + exp(-x)); dx = g y (1 - y) */
RG_API rg_node *rg_log_sigmoid(rg_node *x);  /* log s(x), without overflow; dx = g (1 - exp(y)) */
RG_API rg_node *rg_hard_sigmoid(rg_node *x); /* clamp(x/6 + 1/2, 0, 1) */
RG_API rg_node *rg_hard_swish(rg_node *x);   /* x clamp(x/6 + 1/2, 0, 1) */
RG_API rg_node *rg_tanh(rg_node *x);         /* dx = g (1 - y^2) */
RG_API rg_node *rg_hard_tanh(rg_node *x);    /* clamp(x, -1, 1) */
/* a s(b), a and b the halves of x along an axis: Dauphin et al. 2017 */
RG_API rg_node *rg_glu(rg_node *x, int axis);
/* x, slope x below 0; slope broadcasts against x. dx = g, g slope where x <= 0; dslope = g min(x, 0). He et al. 2015 */
RG_API rg_node *rg_prelu(rg_node *x, rg_node *slope);

/* ---- comparisons and logic: the result is bool; zero gradient ---- */

/* Any dtype. A NaN is unequal to everything, neither less nor greater. */
RG_API rg_node *rg_equal(rg_node *a, rg_node *b);
RG_API rg_node *rg_not_equal(rg_node *a, rg_node *b);
RG_API rg_node *rg_less(rg_node *a, rg_node *b);
RG_API rg_node *rg_less_equal(rg_node *a, rg_node *b);
RG_API rg_node *rg_greater(rg_node *a, rg_node *b);
RG_API rg_node *rg_greater_equal(rg_node *a, rg_node *b);
/* bool to bool */
RG_API rg_node *rg_logical_and(rg_node *a, rg_node *b);
RG_API rg_node *rg_logical_or(rg_node *a, rg_node *b);
RG_API rg_node *rg_logical_xor(rg_node *a, rg_node *b);
RG_API rg_node *rg_logical_not(rg_node *x);
/* f32, f64 to bool */
RG_API rg_node *rg_isnan(rg_node *x);
RG_API rg_node *rg_isinf(rg_node *x); /* of either sign */
RG_API rg_node *rg_isfinite(rg_node *x);

/* ---- choice and type ---- */

/* condition ? a : b for each element. The condition is bool, a and b of one dtype, any; all three broadcast. The
   gradient goes where the value came from, zero elsewhere. */
RG_API rg_node *rg_where(rg_node *condition, rg_node *a, rg_node *b);
/* The values as another dtype; x itself where that is its own. Any dtype to any, bf16 too: between floats rounded to
   nearest; to bool whether not zero; to integers towards zero and cut to the range of the type, NaN to 0. dx = g cast
   back between floats, otherwise zero. */
RG_API rg_node *rg_cast(rg_node *x, rg_dtype dtype);

#ifdef __cplusplus
}
#endif

#endif
