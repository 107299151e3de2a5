/* vmath_trig.h - sin, cos, tan for all arguments, and asin, acos, atan. */
#ifndef RGK_VMATH_TRIG_H
#define RGK_VMATH_TRIG_H

#include "vector.h"
#include "reduce_pi.h"

/* sin(r) = r + r^3 sin_tail(r^2), cos(r) = 1 - r^2 / 2 + r^4 cos_tail(r^2), |r| <= pi / 4.
   x = n pi / 2 + r with pi / 2 cut into parts: without fma, so short that n times a part is exact. */
#if RGK_REAL_BYTES == 4
static const real sin_tail[] = {-0.166666552f, 0.00833218824f, -0.000195181012f};
static const real cos_tail[] = {0.0416666456f, -0.00138873095f, 2.44323546e-05f};
#if RGK_HAVE_FMA
static const real half_pi_parts[] = {0x1.921fb6p+0f, -0x1.777a5cp-25f, -0x1.ee59dap-50f};
#define RGK_EXACT_PARTS 1
#define RGK_TRIG_MAX 32768.0f
#else
static const real half_pi_parts[] = {0x1.92p+0f, 0x1.fb4p-12f, 0x1.444p-24f, 0x1.68cp-39f, 0x1.1a6264p-54f};
#define RGK_EXACT_PARTS 2
#define RGK_TRIG_MAX 8192.0f
#endif
#define RGK_TWO_OVER_PI 0x1.45f306p-1f
#define RGK_TRIG_ROUNDER 0x1.8p+23f
#define RGK_HALF_PI 0x1.921fb6p+0f
#define RGK_HALF_PI_LOW -0x1.777a5cp-25f
#else
static const real sin_tail[] = {
    -0.1666666666666663,    0.0083333333333218407,   -0.00019841269829379464,
    2.7557313553461989e-06, -2.5050737785377028e-08, 1.5895682544042664e-10,
};
static const real cos_tail[] = {
    0.041666666666666595,    -0.0013888888888873325, 2.4801587288983753e-05,
    -2.7557314210118554e-07, 2.0875701568378911e-09, -1.1358224777074214e-11,
};
#if RGK_HAVE_FMA
static const real half_pi_parts[] = {0x1.921fb54442d18p+0, 0x1.1a62633145c07p-54, -0x1.f1976b7ed8fbcp-110};
#else
static const real half_pi_parts[] = {0x1.921fb544p+0, 0x1.0b4611a6p-34, 0x1.3198a2ep-69, 0x1.b839a252049c1p-104};
#endif
#define RGK_EXACT_PARTS 1
#define RGK_TRIG_MAX 1000000.0
#define RGK_TWO_OVER_PI 0x1.45f306dc9c883p-1
#define RGK_TRIG_ROUNDER 0x1.8p+52
#define RGK_HALF_PI 0x1.921fb54442d18p+0
#define RGK_HALF_PI_LOW 0x1.1a62633145c07p-54
#endif

/* |x| = n pi / 2 + r + low; n modulo 4 in the low bits of quadrant. low, what r lacks, is made on demand, and makes r
   better too where there is no fma. */
typedef struct trig_parts {
    vint quadrant;
    vreal r, low;
} trig_parts;

/* The given lanes, one by one. */
RGK_INLINE void v_trig_reduce_huge(vreal a, unsigned lanes, trig_parts *t)
{
    real x[RGK_LANES], r[RGK_LANES], low[RGK_LANES];
    lane_int quadrant[RGK_LANES];
    memcpy(x, &a, sizeof x);
    memcpy(r, &t->r, sizeof r);
    memcpy(low, &t->low, sizeof low);
    memcpy(quadrant, &t->quadrant, sizeof quadrant);
    for (; lanes; lanes &= lanes - 1) {
        const int i = __builtin_ctz(lanes);
        double angle;
        quadrant[i] = (lane_int)rgk_reduce_pi((double)x[i], &angle);
        r[i] = (real)angle;
        low[i] = (real)(angle - (double)r[i]);
    }
    memcpy(&t->r, r, sizeof r);
    memcpy(&t->low, low, sizeof low);
    memcpy(&t->quadrant, quadrant, sizeof quadrant);
}

RGK_INLINE trig_parts v_trig_reduce(vreal x, int with_low)
{
    const vreal a = v_abs(x);
    const vmask huge = v_not(v_le(a, v_set(RGK_TRIG_MAX)));
    const vreal rounded = v_fma(a, v_set(RGK_TWO_OVER_PI), v_set(RGK_TRIG_ROUNDER));
    const vreal n = rounded - RGK_TRIG_ROUNDER;
    const int parts = (int)(sizeof half_pi_parts / sizeof *half_pi_parts);
    trig_parts t = {.quadrant = (vint)rounded, .r = a};
    for (int i = 0; i < RGK_EXACT_PARTS; i++)
        t.r = v_fma(n, v_set(-half_pi_parts[i]), t.r);
    if (!with_low) {
        for (int i = RGK_EXACT_PARTS; i < parts; i++)
            t.r = v_fma(n, v_set(-half_pi_parts[i]), t.r);
    } else {
        /* The difference with its error (Knuth's two-sum), and what is left of pi / 2. */
        const vreal part = v_set(half_pi_parts[RGK_EXACT_PARTS]), product = n * part;
        const vreal high = t.r - product, back = high - t.r;
        vreal low = (t.r - (high - back)) - (product + back);
#if RGK_HAVE_FMA
        low = low - v_fma(n, part, -product);
#endif
        for (int i = RGK_EXACT_PARTS + 1; i < parts; i++)
            low = v_fma(n, v_set(-half_pi_parts[i]), low);
        t.r = high + low;
        t.low = low - (t.r - high);
    }
    if (__builtin_expect(v_any(huge), 0))
        v_trig_reduce_huge(a, v_mask_bits(huge), &t);
    return t;
}

RGK_INLINE vreal v_sin_reduced(vreal r)
{
    const vreal z = r * r;
    return v_fma(RGK_POLY(z, sin_tail), z * r, r);
}

RGK_INLINE vreal v_cos_reduced(vreal r)
{
    const vreal z = r * r;
    return v_fma(v_fma(RGK_POLY(z, cos_tail), z, v_set(RGK_C(-0.5))), z, v_set(RGK_C(1.0)));
}

/* Bit `bit` of each lane as a sign. */
RGK_INLINE vreal v_bit_sign(vint x, int bit)
{
    return (vreal)((vuint)x << (RGK_REAL_BYTES * 8 - 1 - bit));
}

RGK_INLINE vmask v_is_odd(vint x)
{
    return v_eq_int(x & v_set_int(1), v_set_int(1));
}

RGK_INLINE vreal v_sin(vreal x)
{
    const trig_parts t = v_trig_reduce(x, !RGK_HAVE_FMA);
    const vreal y = v_select(v_is_odd(t.quadrant), v_cos_reduced(t.r), v_sin_reduced(t.r));
    return v_mul_sign(v_mul_sign(y, v_bit_sign(t.quadrant, 1)), x);
}

RGK_INLINE vreal v_cos(vreal x)
{
    const trig_parts t = v_trig_reduce(x, !RGK_HAVE_FMA);
    const vreal y = v_select(v_is_odd(t.quadrant), v_sin_reduced(t.r), v_cos_reduced(t.r));
    return v_mul_sign(y, v_bit_sign(v_add_bits(t.quadrant, v_set_int(1)), 1));
}

/* tan(r) = r + r^3 tan_tail(r^2), |r| <= pi / 4 */
#if RGK_REAL_BYTES == 4
static const real tan_tail[] = {
    0.333331555f, 0.133388355f, 0.0534082316f, 0.0244411752f, 0.00310198381f, 0.00939614978f,
};
#else
static const real tan_tail[] = {
    0.33333333333332771,     0.13333333333415584,    0.053968253926207729,    0.021869489620062042,
    0.0088632190079963886,   0.0035922904928624663,  0.0014547493468079539,   0.00059510114994112821,
    0.00022227206296352161,  0.000136748260751165,   -2.6701108957801373e-05, 8.9742671303387752e-05,
    -4.5033755515545017e-05, 2.0901172650042898e-05,
};
#endif

/* tan(r + low), low times a derivative that need not be precise; -1 / tan in odd quadrants. */
RGK_INLINE vreal v_tan(vreal x)
{
    const trig_parts t = v_trig_reduce(x, 1);
    const vreal z = t.r * t.r;
    const vreal y = t.r + v_fma(RGK_POLY(z, tan_tail), z * t.r, v_fma(t.low, z, t.low));
    const vreal result = v_select(v_is_odd(t.quadrant), RGK_C(-1.0) / y, y);
    return v_mul_sign(result, x);
}

/* atan(u) = u + u^3 tail(u^2), |u| <= tan(pi / 8);  asin(u) = u + u^3 tail(u^2), |u| <= 1/2 */
#if RGK_REAL_BYTES == 4
static const real atan_tail[] = {-0.333333164f, 0.199985281f, -0.14243944f, 0.105922602f, -0.0606419705f};
static const real asin_tail[] = {0.166667521f, 0.0749530941f, 0.0454691499f, 0.0241847783f, 0.0421583094f};
#else
static const real atan_tail[] = {
    -0.33333333333333198,  0.19999999999953677,  -0.1428571428020064,   0.1111111078357877,
    -0.090908976844111561, 0.076920562290766548, -0.066630179002110212, 0.058469231278911737,
    -0.050333450217529954, 0.037872304504555553, -0.017653250001913132,
};
static const real asin_tail[] = {
    0.1666666666666676,   0.074999999999708647,  0.044642857174572614, 0.030381942708793585, 0.022372214979048712,
    0.017351611874089724, 0.013980825194102839,  0.011398853215654566, 0.010780687017814742, 0.0037044191349246431,
    0.021713058220886941, -0.021008002334066193, 0.032634793094274479,
};
#endif

/* With t = |x|: atan(t), pi/4 + atan((t - 1) / (t + 1)) or pi/2 + atan(-1 / t). */
RGK_INLINE vreal v_atan(vreal x)
{
    const vreal t = v_abs(x), one = v_set(RGK_C(1.0)), zero = v_set(RGK_C(0.0));
    const vmask middle = v_gt(t, v_set(RGK_C(0.41421356))), upper = v_gt(t, v_set(RGK_C(2.4142135)));
    const vreal numerator = v_select(upper, -one, v_select(middle, t - one, t));
    const vreal denominator = v_select(upper, t, v_select(middle, t + one, one));
    const vreal high = v_select(upper, v_set(RGK_HALF_PI), v_select(middle, v_set(RGK_C(0.5) * RGK_HALF_PI), zero));
    const vreal low =
        v_select(upper, v_set(RGK_HALF_PI_LOW), v_select(middle, v_set(RGK_C(0.5) * RGK_HALF_PI_LOW), zero));
    const vreal u = numerator / denominator, z = u * u;
    return v_copysign(high + (u + v_fma(RGK_POLY(z, atan_tail), z * u, low)), x);
}

/* The arc sine of s given z = s^2, for s <= 1/2, without s itself: s z tail(z). */
RGK_INLINE vreal v_asin_rest(vreal s, vreal z)
{
    return RGK_POLY(z, asin_tail) * z * s;
}

/* asin(x) for |x| <= 1/2, else pi/2 - 2 asin(sqrt((1 - |x|) / 2)) */
RGK_INLINE vreal v_asin(vreal x)
{
    const vreal a = v_abs(x);
    const vmask outer = v_gt(a, v_set(RGK_C(0.5)));
    const vreal z = v_select(outer, RGK_C(0.5) - RGK_C(0.5) * a, a * a);
    const vreal s = v_select(outer, v_sqrt(z), a);
    const vreal rest = v_asin_rest(s, z);
    const vreal far = RGK_HALF_PI - (RGK_C(2.0) * s - (RGK_HALF_PI_LOW - RGK_C(2.0) * rest));
    return v_copysign(v_select(outer, far, s + rest), x);
}

/* pi/2 - asin(x), 2 asin(sqrt((1 - x) / 2)) or, for x < -1/2, pi - 2 asin(sqrt((1 + x) / 2)) */
RGK_INLINE vreal v_acos(vreal x)
{
    const vreal a = v_abs(x);
    const vmask outer = v_gt(a, v_set(RGK_C(0.5))), negative = v_lt(x, v_set(RGK_C(0.0)));
    const vreal z = v_select(outer, RGK_C(0.5) - RGK_C(0.5) * a, a * a);
    const vreal s = v_select(outer, v_sqrt(z), x);
    const vreal rest = v_asin_rest(s, z);
    const vreal inner = RGK_HALF_PI - (s - (RGK_HALF_PI_LOW - rest));
    const vreal twice = RGK_C(2.0) * (s + rest);
    const vreal far = RGK_C(2.0) * (RGK_HALF_PI - (s - (RGK_HALF_PI_LOW - rest)));
    return v_select(outer, v_select(negative, far, twice), inner);
}

#endif
