/* vmath_exp.h - the exponential and what is made from it: expm1, sigmoid, tanh, silu, softplus, sinh, cosh. */
#ifndef RGK_VMATH_EXP_H
#define RGK_VMATH_EXP_H

#include "vmath_log.h"
#include "vmath_pieces.h"

/* exp(r) = 1 + r + r^2 tail(r), |r| <= ln(2) / 2 (minimax relative to expm1). */
#if RGK_REAL_BYTES == 4
static const real exp_tail[] = {0.49999997f, 0.16666545f, 0.0416674465f, 0.0083664516f, 0.00138696772f};
/* 2^f, |f| <= 1/2 */
static const real exp2_terms[] = {
    1.0f, 0.693147182f, 0.240226477f, 0.0555035956f, 0.00961850304f, 0.00133909995f, 0.000153278903f,
};
#define RGK_LN2_HIGH 0x1.62e4p-1f /* short, so that products with exponents are exact */
#define RGK_LN2_LOW 0x1.7f7d1cp-20f
#define RGK_LOG2_E 0x1.715476p+0f
#define RGK_ROUNDER 0x1.8p+23f /* x + this has the integer nearest to x in its low bits */
#define RGK_EXPONENT_BIAS 127
#define RGK_EXP_MIN -104.0f /* exp rounds to 0 */
#define RGK_EXP_MAX 89.0f   /* exp overflows */
#else
static const real exp_tail[] = {
    0.5,
    0.16666666666666677,
    0.041666666666666678,
    0.0083333333333218389,
    0.0013888888888902483,
    0.00019841269885182176,
    2.4801587257386317e-05,
    2.7557245316347545e-06,
    2.7557348900992471e-07,
    2.5108638792515154e-08,
    2.0888027289465863e-09,
};
static const real exp2_terms[] = {
    1.0,
    0.69314718055994529,
    0.24022650695910111,
    0.055504108664821784,
    0.0096181291076007525,
    0.0013333558146531382,
    0.00015403530449957539,
    1.5252733646908255e-05,
    1.3215438415794869e-06,
    1.0178155171418655e-07,
    7.0733016557119237e-09,
    4.4395421902465886e-10,
};
#define RGK_LN2_HIGH 0x1.62e42fefa38p-1
#define RGK_LN2_LOW 0x1.ef35793c7673p-45
#define RGK_LOG2_E 0x1.71547652b82fep+0
#define RGK_ROUNDER 0x1.8p+52
#define RGK_EXPONENT_BIAS 1023
#define RGK_EXP_MIN -746.0
#define RGK_EXP_MAX 710.0
#endif

/* 2^n for the n in the low bits of rounded = n + RGK_ROUNDER, where it is a normal number. */
RGK_INLINE vreal v_pow2_bits(vreal rounded)
{
    const vuint one = (vuint)v_set(RGK_C(1.0));
    return (vreal)(((vuint)rounded << RGK_MANTISSA_BITS) + one);
}

/* x 2^n for integral n, rounding once where the result is subnormal; 2^n itself may be out of range. */
RGK_INLINE vreal v_ldexp(vreal x, vreal n)
{
#if RGK_VECTOR_BYTES == 64
    return RGK_X86(scalef)(x, n);
#else
    const vreal half = v_fma(n, v_set(RGK_C(0.5)), v_set(RGK_ROUNDER));
    const vreal rest = n - (half - RGK_ROUNDER) + RGK_ROUNDER;
    return x * v_pow2_bits(half) * v_pow2_bits(rest);
#endif
}

/* x = n ln(2) + r */
typedef struct exp_parts {
    vreal n, r;
} exp_parts;

RGK_INLINE exp_parts v_exp_reduce(vreal x)
{
    exp_parts e;
    e.n = v_fma(x, v_set(RGK_LOG2_E), v_set(RGK_ROUNDER)) - RGK_ROUNDER;
    e.r = v_fma(e.n, v_set(-RGK_LN2_LOW), v_fma(e.n, v_set(-RGK_LN2_HIGH), x));
    return e;
}

/* exp(r) - 1 and exp(r) for a reduced r. */
RGK_INLINE vreal v_exp_minus_1(vreal r)
{
    return v_fma(RGK_POLY(r, exp_tail), r * r, r);
}

RGK_INLINE vreal v_exp_reduced(vreal r)
{
    const vreal one = v_set(RGK_C(1.0));
#if RGK_HAVE_FMA
    /* A rounding error of the inner sum counts less than one of exp(r) - 1 would. */
    return v_fma(v_fma(RGK_POLY(r, exp_tail), r, one), r, one);
#else
    return v_exp_minus_1(r) + one;
#endif
}

/* The second operand of v_min and v_max is the one returned for NaN. */
RGK_INLINE vreal v_exp(vreal x)
{
    const exp_parts e = v_exp_reduce(v_min(v_set(RGK_EXP_MAX), v_max(v_set(RGK_EXP_MIN), x)));
    return v_ldexp(v_exp_reduced(e.r), e.n);
}

/* For x <= 0. */
RGK_INLINE vreal v_exp_nonpositive(vreal x)
{
    const exp_parts e = v_exp_reduce(v_max(v_set(RGK_EXP_MIN), x));
    return v_ldexp(v_exp_reduced(e.r), e.n);
}

RGK_INLINE vreal v_exp2(vreal x)
{
    const vreal limit = v_set(RGK_C(1.5) * (RGK_EXPONENT_BIAS + 1));
    const vreal t = v_min(limit, v_max(-limit, x));
    const vreal n = t + RGK_ROUNDER - RGK_ROUNDER;
    return v_ldexp(RGK_POLY(t - n, exp2_terms), n);
}

/* high + low = n ln(2) + r for a pair, high <= 0, low small beside it. Bounded where exp rounds to 0 even when it is
   multiplied by a moderate number before v_ldexp. */
RGK_INLINE exp_parts v_exp_reduce_pair(vreal high, vreal low)
{
    const vreal bound = v_set(RGK_C(1.25) * RGK_EXP_MIN);
    exp_parts e = v_exp_reduce(v_max(bound, high));
    e.r += v_select(v_lt(high, bound), v_set(RGK_C(0.0)), low);
    return e;
}

RGK_INLINE vreal v_expm1(vreal x)
{
    /* Below, the result is -1. */
    const real low = RGK_C(-0.75) * (RGK_MANTISSA_BITS + 1);
    const exp_parts e = v_exp_reduce(v_min(v_set(RGK_EXP_MAX), v_max(v_set(low), x)));
    /* Half of 2^n is finite for all n that occur: 2 (p 2^n / 2 + (2^n / 2 - 1/2)). */
    const vreal half = v_pow2_bits(e.n + (RGK_ROUNDER - RGK_C(1.0)));
    const vreal y = RGK_C(2.0) * v_fma(v_exp_minus_1(e.r), half, half - RGK_C(0.5));
    /* Tiny x are their own result, which keeps subnormals and the sign of zero. */
    return v_select(v_lt(v_abs(x), v_set(RGK_HALF_EPSILON)), x, y);
}

/* a / (b + low), low beyond the last place of b; b moderate and positive, |a| <= b or so. */
RGK_INLINE vreal v_quotient(vreal a, vreal b, vreal low)
{
#if RGK_HAVE_FMA
#if RGK_VECTOR_BYTES == 64 && RGK_REAL_BYTES == 4
    const vreal inverse = _mm512_rcp14_ps(b);
#else
    const vreal inverse = RGK_C(1.0) / b;
#endif
    const vreal q = a * inverse;
    return v_fma(v_fma(-q, low, v_fma(-q, b, a)), inverse, q);
#else
    /* The remainder would cost more than its worth: half an ulp. */
    (void)low;
    return a / b;
#endif
}

/* With t = exp(-|x|): 1 / (1 + t), or t / (1 + t) for negative x. */
RGK_INLINE vreal v_sigmoid(vreal x)
{
    const vreal t = v_exp_nonpositive(v_minus_abs(x));
    const vreal one = v_set(RGK_C(1.0));
    const vreal sum = one + t;
    return v_quotient(v_select(v_lt(x, v_set(RGK_C(0.0))), t, one), sum, t - (sum - one));
}

/* x sigmoid(x). For negative x, exp(x) = p 2^n: x (p / (1 + p 2^n)), then scaled. */
RGK_INLINE vreal v_silu(vreal x)
{
    const vmask negative = v_lt(x, v_set(RGK_C(0.0)));
    const vreal one = v_set(RGK_C(1.0)), zero = v_set(RGK_C(0.0));
    const vreal bound = v_set(RGK_C(1.25) * RGK_EXP_MIN), bounded = v_max(bound, x);
    const exp_parts e = v_exp_reduce(v_max(bound, v_minus_abs(x)));
    const vreal p = v_exp_reduced(e.r);
    const vreal t = v_ldexp(p, e.n), sum = one + t;
    const vreal q = v_quotient(v_select(negative, p, one), sum, t - (sum - one));
    return v_ldexp(bounded * q, v_select(negative, e.n, zero));
}

/* By pieces; or with e = exp(2 |x|) - 1: e / (e + 2). */
RGK_INLINE vreal v_tanh(vreal x)
{
#if RGK_HAVE_PIECES
    return v_copysign(v_pieces(v_min(v_set(RGK_TANH_END), v_abs(x)), 2, -4, tanh_pieces), x);
#else
    /* Beyond, the result is 1. */
    const real limit = RGK_C(0.36) * (RGK_MANTISSA_BITS + 3);
    const vreal bounded = v_min(v_set(limit), v_abs(x));
    const exp_parts e = v_exp_reduce(bounded + bounded);
    const vreal power = v_pow2_bits(e.n + RGK_ROUNDER);
    const vreal m = v_fma(v_exp_minus_1(e.r), power, power - RGK_C(1.0));
    /* The low part of the sum matters for small m, where it is exact. */
    const vreal sum = m + RGK_C(2.0);
    return v_copysign(v_quotient(m, sum, m - (sum - RGK_C(2.0))), x);
#endif
}

/* log(1 + exp(x)) = max(x, 0) + log1p(exp(-|x|)) */
RGK_INLINE vreal v_softplus(vreal x)
{
    return v_max(v_set(RGK_C(0.0)), x) + v_log1p_unit(v_exp_nonpositive(v_minus_abs(x)));
}

/* log(sigmoid(x)) = min(x, 0) - log1p(exp(-|x|)) */
RGK_INLINE vreal v_log_sigmoid(vreal x)
{
    return v_min(v_set(RGK_C(-0.0)), x) - v_log1p_unit(v_exp_nonpositive(v_minus_abs(x)));
}

/* exp(|x|) / 2, finite wherever sinh and cosh are. */
RGK_INLINE vreal v_half_exp(vreal x)
{
    const exp_parts e = v_exp_reduce(v_min(v_set(RGK_EXP_MAX + RGK_C(1.0)), v_abs(x)));
    return v_ldexp(v_exp_reduced(e.r), e.n - RGK_C(1.0));
}

/* sinh(x) = x + x^3 tail(x^2), |x| <= 1 */
#if RGK_REAL_BYTES == 4
static const real sinh_tail[] = {0.166666672f, 0.00833331048f, 0.000198428956f, 2.78221319e-06f};
#else
static const real sinh_tail[] = {
    0.16666666666666669,    0.0083333333333329117,  0.00019841269841593411, 2.755731910674398e-06,
    2.5052131004354663e-08, 1.6056658585881245e-10, 7.7766126231717689e-13,
};
#endif

RGK_INLINE vreal v_sinh(vreal x)
{
    const vreal half = v_half_exp(x), square = x * x;
    const vreal large = v_copysign(half - RGK_C(0.25) / half, x);
    const vreal small = v_fma(RGK_POLY(square, sinh_tail), square * x, x);
    return v_select(v_lt(v_abs(x), v_set(RGK_C(1.0))), small, large);
}

RGK_INLINE vreal v_cosh(vreal x)
{
    const vreal half = v_half_exp(x);
    return half + RGK_C(0.25) / half;
}

#endif
