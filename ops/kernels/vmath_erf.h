/* vmath_erf.h - the error function, and the gelu activation in its exact form and its tanh form. */
#ifndef RGK_VMATH_ERF_H
#define RGK_VMATH_ERF_H

#include "vmath_exp.h"

/* erf(x) = x + x tail(x^2) for |x| <= 1.
   upper_tail(t) = exp(-t^2 / 2) w P(q), t >= 0, is the normal distribution's tail: w = 1 / (t + K), q = 1 - 2 K w,
   the polynomial being minimax up to where the product vanishes. */
#if RGK_REAL_BYTES == 4
static const real erf_tail[] = {
    0.128379166f, -0.37612626f, 0.112835787f, -0.0268533453f, 0.00518715428f, -0.000799774425f, 7.80641712e-05f,
};
/* erf(t) = 1 - exp(-t - t log_tail(t)), t >= 1 */
static const real erf_log_tail[] = {
    0.128480032f, 0.635831475f, 0.105116181f, -0.0227985177f, 0.00318697374f, -0.000210647806f,
};
#define RGK_TAIL_CENTRE 4.0f
static const real upper_tail[] = {
    0.755285135f,    -0.607896588f,  0.387136901f,   -0.186523442f,   0.0604038327f,
    -0.00752527172f, -0.0035125611f, 0.00156992263f, 0.000179364622f, -0.000131965726f,
};
#else
static const real erf_tail[] = {
    0.12837916709551256,    -0.37612638903183343,    0.11283791670936946,    -0.026866170641957336,
    0.0052239775966834148,  -0.00085483254790429369, 0.00012055280176463116, -1.4924456240267599e-05,
    1.6443990336988245e-06, -1.6182406077954047e-07, 1.3608251899354436e-08, -7.5890467690589442e-10,
};
#define RGK_TAIL_CENTRE 5.0
static const real upper_tail[] = {
    0.76919304975006297,     -0.66538250289005663,   0.49530561596997696,     -0.3135331566713157,
    0.16502036617036195,     -0.069118638705952265,  0.020795066800235743,    -0.0029933767756914953,
    -0.00079786940142123825, 0.00054489910583782966, -5.9375711590631519e-05, -4.9763010134506818e-05,
    1.6681145852967814e-05,  3.9814910964327176e-06, -2.7690573374338689e-06, -3.3774324114027915e-07,
    4.3268918935787615e-07,  4.3612972211956428e-08, -6.5321845800866053e-08, -1.0211668816877965e-08,
    7.1826054471998204e-09,  2.0142443411450307e-09,
};
#endif

/* high + low */
typedef struct split {
    vreal high, low;
} split;

RGK_INLINE split v_split_product(vreal a, vreal b)
{
    split p = {.high = a * b};
    p.low = v_product_error(a, b, p.high);
    return p;
}

/* Near 1 / x: the caller corrects it by its residual. */
RGK_INLINE vreal v_reciprocal_estimate(vreal x)
{
#if RGK_VECTOR_BYTES == 64 && RGK_REAL_BYTES == 4
    return _mm512_rcp14_ps(x);
#else
    return RGK_C(1.0) / x;
#endif
}

/* exp(t^2 / 2) times the tail beyond t >= 0, when multiplied by 1 + rest. */
RGK_INLINE split v_upper_tail_scaled(vreal t, vreal *rest)
{
    const vreal one = v_set(RGK_C(1.0)), centre = v_set(RGK_TAIL_CENTRE);
    const vreal sum = t + centre, sum_low = t - (sum - centre);
    const vreal w = v_reciprocal_estimate(sum);
#if RGK_HAVE_FMA
    *rest = v_fma(-w, sum_low, v_fma(-w, sum, one));
#else
    *rest = v_fma(-w, sum_low, -v_product_error(w, sum, one));
#endif
    /* The polynomial's last step with its error. */
    const vreal scaled = w * (-2 * RGK_TAIL_CENTRE);
    const vreal q = v_fma(scaled, *rest, scaled + one);
    const int terms = (int)(sizeof upper_tail / sizeof *upper_tail);
    const vreal inner = v_poly(q, upper_tail + 1, terms - 1);
    const vreal p = v_fma(inner, q, v_set(upper_tail[0]));
    const vreal p_low = v_fma(inner, q, upper_tail[0] - p);
    split y = v_split_product(w, p);
    y.low = v_fma(w, p_low, y.low);
    return y;
}

/* -c t^2 + rest, to twice the precision, reduced for exp; c a power of two. */
RGK_INLINE exp_parts v_reduce_minus_square(vreal t, real c, vreal rest)
{
    const split square = v_split_product(t, t);
    return v_exp_reduce_pair(-c * square.high, v_fma(v_set(-c), square.low, rest));
}

RGK_INLINE vreal v_erf(vreal x)
{
    const vreal t = v_abs(x), square = x * x;
    const vreal near = v_fma(RGK_POLY(square, erf_tail), x, x);
#if RGK_REAL_BYTES == 4
    const vreal bounded = v_min(v_set(4.0f), t);
    const vreal far = RGK_C(1.0) - v_exp(v_fma(RGK_POLY(bounded, erf_log_tail), -bounded, -bounded));
#else
    vreal rest;
    const vreal bounded = v_min(v_set(6.0), t);
    const split tail = v_upper_tail_scaled(bounded * 1.4142135623730951, &rest);
    const exp_parts e = v_reduce_minus_square(bounded, RGK_C(1.0), rest);
    const vreal far = RGK_C(1.0) - v_ldexp(v_exp_reduced(e.r), e.n + RGK_C(1.0)) * tail.high;
#endif
    return v_select(v_le(t, v_set(RGK_C(1.0))), near, v_copysign(far, x));
}

/* x Phi(x), Phi the normal distribution: with u the tail beyond |x|, x u for negative x, else x - x u. */
RGK_INLINE vreal v_gelu_anywhere(vreal x)
{
    /* Beyond, x u rounds to 0. */
    const vreal limit = v_set(RGK_REAL_BYTES == 4 ? RGK_C(15.0) : RGK_C(40.0));
    const vreal t = v_min(limit, v_abs(x)), one = v_set(RGK_C(1.0));
    vreal rest;
    const split tail = v_upper_tail_scaled(t, &rest);
    const exp_parts e = v_reduce_minus_square(t, RGK_C(0.5), rest);
    const vreal slope = v_fma(RGK_POLY(e.r, exp_tail), e.r, one);
    const vreal power = v_fma(slope, e.r, one), power_low = v_fma(slope, e.r, one - power);
    const split a = v_split_product(t, tail.high), b = v_split_product(a.high, power);
    const vreal low = b.low + v_fma(a.high, power_low, v_fma(t, tail.low, a.low) * power);
    const vreal y = (v_max(v_set(RGK_C(0.0)), x) - v_ldexp(b.high, e.n)) - v_ldexp(low, e.n);
    return v_copysign(y, x);
}

RGK_INLINE vreal v_gelu(vreal x)
{
#if RGK_HAVE_PIECES
    const vreal end = v_set(RGK_UPPER_END), size = v_abs(x), t = v_min(end, size);
    const vreal u = v_pieces(t, 3, -2, upper_pieces);
    const vreal y = v_copysign(v_fma(-t, u, v_max(v_set(RGK_C(0.0)), x)), x);
    const vmask far = v_le(end, size); /* few, mostly none */
    return v_any(far) ? v_select(far, v_gelu_anywhere(x), y) : y;
#else
    return v_gelu_anywhere(x);
#endif
}

/* 2 sqrt(2 / pi) and 0.044715 times that, high and low parts. */
#if RGK_REAL_BYTES == 4
#define RGK_GELU_C1 0x1.988454p+0f
#define RGK_GELU_C1_LOW -0x1.857936p-25f
#define RGK_GELU_C3 0x1.2444f2p-4f
#define RGK_GELU_C3_LOW 0x1.49b16ap-29f
#else
#define RGK_GELU_C1 0x1.9884533d43651p+0
#define RGK_GELU_C1_LOW -0x1.cbc0d30ebfd15p-54
#define RGK_GELU_C3 0x1.2444f2a4d8b4bp-4
#define RGK_GELU_C3_LOW -0x1.6c843a29d1c7p-61
#endif

/* x sigmoid(2 u), u = sqrt(2 / pi) (x + 0.044715 x^3). An error of u grows with u in its exponential: 2 |u| is taken as
   a pair a + b. */
RGK_INLINE vreal v_gelu_tanh(vreal x)
{
    const vreal limit = v_set(RGK_REAL_BYTES == 4 ? RGK_C(16.0) : RGK_C(40.0));
    const vreal t = v_min(limit, v_abs(x));
    const vreal square = t * t, square_low = v_product_error(t, t, square);
    const vreal c3 = v_set(RGK_GELU_C3), cubic = square * c3;
    const vreal cubic_low = v_product_error(square, c3, cubic) + v_fma(square_low, c3, square * RGK_GELU_C3_LOW);
    const vreal sum = cubic + RGK_GELU_C1, back = sum - RGK_GELU_C1;
    const vreal sum_low = (cubic - back) + (RGK_GELU_C1 - (sum - back)) + (cubic_low + RGK_GELU_C1_LOW);
    const vreal a = t * sum, b = v_fma(t, sum_low, v_product_error(t, sum, a));
    const exp_parts e = v_exp_reduce_pair(-a, -b);
    const vreal p = v_exp_reduced(e.r);
    const vreal one = v_set(RGK_C(1.0));
    const vmask negative = v_lt(x, v_set(RGK_C(0.0)));
    const vreal power = v_ldexp(p, e.n), total = one + power;
    const vreal q = v_quotient(v_select(negative, p, one), total, power - (total - one));
    const vreal bounded = v_max(-limit, x);
    return v_ldexp(bounded * q, v_select(negative, e.n, v_set(RGK_C(0.0))));
}

#endif
