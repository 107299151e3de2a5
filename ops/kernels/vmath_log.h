/* vmath_log.h - the logarithm and what is made from it: log1p, asinh, acosh, atanh. */
#ifndef RGK_VMATH_LOG_H
#define RGK_VMATH_LOG_H

#include "vector.h"

#include <math.h>

/* Arguments are taken apart as 2^k (1 + f) with 1 + f in [3/4, 3/2). */
#if RGK_REAL_BYTES == 4
/* log(1 + f) = f + f^2 tail(f) */
static const real log_tail[] = {
    -0.5f,        0.333334506f,  -0.250001103f, 0.199908495f,   -0.166468814f,
    0.144776076f, -0.131638736f, 0.10472551f,   -0.0451529846f,
};
#define RGK_LOG2_HIGH 0x1.62ep-1f /* short: products with exponents are exact */
#define RGK_LOG2_LOW 0x1.0bfbe8p-15f
#define RGK_MIN_NORMAL 0x1p-126f
#else
/* log(1 + f) = 2 atanh(s) = 2 s + s^3 tail(s^2), s = f / (2 + f) */
static const real log_tail[] = {
    0.66666666666666596, 0.40000000000056668, 0.28571428555854755, 0.22222224289784487,
    0.18181666503968485, 0.15391084712975181, 0.13174152373164988, 0.1383877105829309,
};
#define RGK_LOG2_HIGH 0x1.62e42fefa38p-1
#define RGK_LOG2_LOW 0x1.ef35793c7673p-45
#define RGK_MIN_NORMAL 0x1p-1022
#endif

/* log(2^k (1 + f)) */
RGK_INLINE vreal v_log_parts(vreal k, vreal f)
{
    const vreal high = v_set(RGK_LOG2_HIGH), low = v_set(RGK_LOG2_LOW);
    const vreal square = f * f;
#if RGK_REAL_BYTES == 4
    const vreal tail = v_fma(RGK_POLY(f, log_tail), square, k * low);
    return v_fma(k, high, f + tail);
#else
    const vreal s = f / (f + RGK_C(2.0)), z = s * s, half = RGK_C(0.5) * square;
    const vreal tail = v_fma(s, half + z * RGK_POLY(z, log_tail), k * low);
    return v_fma(k, high, f - (half - tail));
#endif
}

/* The k of a normal positive x, in the exponent field: k << RGK_MANTISSA_BITS. */
RGK_INLINE vint v_log_exponent(vreal x)
{
    const vint three_quarters = (vint)v_set(RGK_C(0.75));
    const lane_int field = (lane_int)((lane_uint)-1 << RGK_MANTISSA_BITS);
    return v_sub_bits((vint)x, three_quarters) & field;
}

/* k << RGK_MANTISSA_BITS as a real. Vectors of 64-bit integers neither shift arithmetically nor convert before AVX-512,
   so the field is biased and becomes the mantissa of a number. */
RGK_INLINE vreal v_log_exponent_real(vint field)
{
    const vreal anchor = v_set(sizeof(real) == 4 ? (real)0x1p23 : (real)0x1p52);
    const lane_int bias = (lane_int)1 << (RGK_REAL_BYTES * 8 - 2 - RGK_MANTISSA_BITS);
    const vuint biased = (vuint)field + ((lane_uint)bias << RGK_MANTISSA_BITS);
    return (vreal)((vint)(biased >> RGK_MANTISSA_BITS) | (vint)anchor) - (anchor + (real)bias);
}

RGK_INLINE vreal v_log(vreal x)
{
#if RGK_VECTOR_BYTES == 64
    /* Mantissa NaN for negative numbers, exponent -inf for 0: no special cases are left. */
    const vreal m = RGK_X86(getmant)(x, _MM_MANT_NORM_p75_1p5, _MM_MANT_SIGN_nan);
    return v_log_parts(RGK_X86(getexp)(x) - RGK_X86(getexp)(m), m - RGK_C(1.0));
#else
    const vmask subnormal = v_lt(x, v_set(RGK_MIN_NORMAL));
    const real lift = (real)((lane_int)1 << (RGK_MANTISSA_BITS + 2));
    const vreal normal = v_select(subnormal, x * lift, x);
    const vint field = v_log_exponent(normal);
    const vreal zero = v_set(RGK_C(0.0)), infinite = v_set((real)INFINITY);
    const vreal k = v_log_exponent_real(field) - v_select(subnormal, v_set(RGK_MANTISSA_BITS + 2), zero);
    vreal y = v_log_parts(k, (vreal)v_sub_bits((vint)normal, field) - RGK_C(1.0));
    y = v_select(v_lt(x, infinite), y, x);
    y = v_select(v_eq(x, zero), -infinite, y);
    return v_select(v_lt(x, zero), v_set((real)NAN), y);
#endif
}

/* log(2^extra (1 + x)) for x > -1, finite; the sign of a zero is lost. 1 + x, rounded, chooses k only: with 2^-k x and
   2^-k - 1 exact, so is f = 2^-k x + (2^-k - 1), but for what is below its last place. */
RGK_INLINE vreal v_log1p_parts(vreal x, vreal extra)
{
    const vint field = v_log_exponent(x + RGK_C(1.0));
    const vreal scaled = (vreal)v_sub_bits((vint)x, field); /* x is normal, or field is 0 */
    const vreal power = (vreal)v_sub_bits((vint)v_set(RGK_C(4.0)), field);
    const vreal f = scaled + (RGK_C(0.25) * power - RGK_C(1.0));
    return v_log_parts(v_log_exponent_real(field) + extra, f);
}

RGK_INLINE vreal v_log1p(vreal x)
{
    const vreal infinite = v_set((real)INFINITY), bottom = v_set(RGK_C(-1.0));
    vreal y = v_copysign(v_log1p_parts(x, v_set(RGK_C(0.0))), x);
    y = v_select(v_lt(x, infinite), y, x);
    y = v_select(v_eq(x, bottom), -infinite, y);
    return v_select(v_lt(x, bottom), v_set((real)NAN), y);
}

/* log1p(t), 0 <= t <= 1; NaN stays. */
RGK_INLINE vreal v_log1p_unit(vreal t)
{
    const vmask upper = v_gt(t, v_set(RGK_C(0.5)));
    const vreal one = v_set(RGK_C(1.0)), zero = v_set(RGK_C(0.0));
    return v_log_parts(v_select(upper, one, zero), v_select(upper, RGK_C(0.5) * t - RGK_C(0.5), t));
}

/* Beyond this, sqrt(x^2 + 1) is x. */
#define RGK_ROOT_IS_X ((real)((lane_int)1 << (RGK_MANTISSA_BITS / 2 + 3)))

/* With a = |x|: log1p(a + a^2 / (1 + sqrt(a^2 + 1))); log(2 a) for large a. */
RGK_INLINE vreal v_asinh(vreal x)
{
    const vreal a = v_abs(x), one = v_set(RGK_C(1.0));
    const vmask large = v_gt(a, v_set(RGK_ROOT_IS_X));
    const vreal square = a * a;
    const vreal u = a + square / (one + v_sqrt(square + one));
    const vreal y = v_log1p_parts(v_select(large, a - one, u), v_select(large, one, v_set(RGK_C(0.0))));
    return v_copysign(v_select(v_lt(a, v_set((real)INFINITY)), y, a), x);
}

/* With t = x - 1: log1p(t + sqrt(2 t + t^2)); log(2 x) for large x. */
RGK_INLINE vreal v_acosh(vreal x)
{
    const vreal one = v_set(RGK_C(1.0)), t = x - one;
    const vmask large = v_gt(x, v_set(RGK_ROOT_IS_X));
    const vreal u = t + v_sqrt(v_fma(t, t, t + t));
    const vreal y = v_log1p_parts(v_select(large, t, u), v_select(large, one, v_set(RGK_C(0.0))));
    /* sqrt is NaN below 1, but for log1p_parts that is a pattern like any other. */
    return v_select(v_lt(x, v_set((real)INFINITY)), v_select(v_lt(x, one), v_set((real)NAN), y), x);
}

/* With a = |x|: log1p(2 a + 2 a^2 / (1 - a)) / 2 */
RGK_INLINE vreal v_atanh(vreal x)
{
    const vreal a = v_abs(x), one = v_set(RGK_C(1.0)), zero = v_set(RGK_C(0.0));
    const vreal y = RGK_C(0.5) * v_log1p_parts((a + a) + (a + a) * a / (one - a), zero);
    const vreal edge = v_select(v_eq(a, one), v_set((real)INFINITY), v_set((real)NAN));
    /* Subnormals would lose a bit to the factor 1/2. */
    const vreal inner = v_select(v_lt(a, v_set(RGK_C(1e-6))), v_fma(a * a, a * RGK_C(0.3333333), a), y);
    return v_copysign(v_select(v_lt(a, one), inner, edge), x);
}

#endif
