#ifndef RGK_VMATH_H
#define RGK_VMATH_H
#include "isa.h"
#include <math.h>
#define RGK_LIBM(name) RGK_INLINE vreal v_##name(vreal x) { for (int i = 0; i < RGK_LANES; i++) x[i] = (real)name((double)x[i]); return x; }
RGK_LIBM(exp) RGK_LIBM(exp2) RGK_LIBM(expm1) RGK_LIBM(log) RGK_LIBM(log1p) RGK_LIBM(sin) RGK_LIBM(cos) RGK_LIBM(tan)
RGK_LIBM(asin) RGK_LIBM(acos) RGK_LIBM(atan) RGK_LIBM(sinh) RGK_LIBM(cosh) RGK_LIBM(asinh) RGK_LIBM(acosh) RGK_LIBM(atanh)
RGK_LIBM(erf) RGK_LIBM(floor) RGK_LIBM(ceil) RGK_LIBM(tanh)
static inline double gelu_s(double x) { return 0.5 * x * erfc(-x * 0.70710678118654752440); }
static inline double gelu_tanh_s(double x) { return 0.5 * x * (1 + tanh(0.79788456080286535588 * (x + 0.044715 * x * x * x))); }
static inline double silu_s(double x) { return x / (1 + exp(-x)); }
static inline double sigmoid_s(double x) { return 1 / (1 + exp(-x)); }
static inline double softplus_s(double x) { return x > 0 ? x + log1p(exp(-x)) : log1p(exp(x)); }
static inline double log_sigmoid_s(double x) { return -softplus_s(-x); }
#define RGK_LIBM_S(name) RGK_INLINE vreal v_##name(vreal x) { for (int i = 0; i < RGK_LANES; i++) x[i] = (real)name##_s((double)x[i]); return x; }
#define round_s rint
RGK_LIBM_S(gelu) RGK_LIBM_S(gelu_tanh) RGK_LIBM_S(silu) RGK_LIBM_S(sigmoid) RGK_LIBM_S(softplus) RGK_LIBM_S(log_sigmoid)
RGK_INLINE vreal v_round(vreal x) { for (int i = 0; i < RGK_LANES; i++) x[i] = (real)rint((double)x[i]); return x; }
RGK_INLINE vreal v_pow(vreal x, vreal y) { for (int i = 0; i < RGK_LANES; i++) x[i] = (real)pow((double)x[i], (double)y[i]); return x; }
#endif
