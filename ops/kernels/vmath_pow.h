/* vmath_pow.h - x^y, with twice the precision inside: y log(x) must be right to the last place of its exponential,
   whose error is that of its argument. */
#ifndef RGK_VMATH_POW_H
#define RGK_VMATH_POW_H

#include "vmath_exp.h"

#if RGK_REAL_BYTES == 4

/* ---- f32: through f64 ---- */

#define RGK_HALF_LANES (RGK_LANES / 2)
typedef double vdouble __attribute__((vector_size(RGK_VECTOR_BYTES)));
typedef uint64_t vdouble_bits __attribute__((vector_size(RGK_VECTOR_BYTES)));
typedef float vhalf __attribute__((vector_size(RGK_VECTOR_BYTES / 2)));

/* log2(m) = s log2_terms(s^2), s = (m - 1) / (m + 1), m in [1/sqrt(2), sqrt(2)]: 45 bits */
static const double log2_terms[] = {
    2.8853900817778499, 0.96179669411347735, 0.57707794231993936,
    0.4122092572644625, 0.31990548718592826, 0.28290326522654924,
};
/* 2^f, |f| <= 1/2: 34 bits */
static const double power_terms[] = {
    0.99999999996162336,   0.69314718072861736,   0.24022651198744224,    0.055504103528013861,
    0.0096180271771343848, 0.0013333922933036143, 0.00015469315484614718, 1.5201879908889122e-05,
};

RGK_INLINE vdouble d_fma(vdouble a, vdouble b, vdouble c)
{
#if RGK_HAVE_X86 && RGK_HAVE_FMA
    return RGK_PASTE(RGK_X86_PREFIX, _fmadd_pd, )(a, b, c);
#else
    return a * b + c;
#endif
}

RGK_INLINE vdouble d_poly(vdouble x, const double *c, int n)
{
    vdouble p = c[n - 1] - (vdouble){0};
    RGK_UNROLL
    for (int i = n - 2; i >= 0; i--)
        p = d_fma(p, x, c[i] - (vdouble){0});
    return p;
}

/* x^y for normal x > 0; what is beyond the range of float stays beyond it. */
RGK_INLINE vdouble d_pow(vdouble x, vdouble y)
{
    /* Biased so that the exponent field counts from 1/sqrt(2). */
    const vdouble_bits shifted = (vdouble_bits)x + (0x3ff0000000000000u - 0x3fe6a09e667f3bcdu);
    const vdouble_bits exponent = shifted >> 52;
    const vdouble k = (vdouble)(exponent | 0x4330000000000000u) - (0x1p52 + 1023.0);
    const vdouble m = (vdouble)((vdouble_bits)x - ((exponent - 1023) << 52));
    const vdouble s = (m - 1.0) / (m + 1.0);
    const vdouble t = y * d_fma(s, d_poly(s * s, log2_terms, 6), k);
    const vdouble low = -200.0 - (vdouble){0}, high = 200.0 - (vdouble){0};
    const vdouble_bits below = (vdouble_bits)(t < low), above = (vdouble_bits)(t > high);
    const vdouble inside =
        (vdouble)(((vdouble_bits)t & ~(below | above)) | ((vdouble_bits)low & below) | ((vdouble_bits)high & above));
    const vdouble rounded = inside + 0x1.8p52;
    const vdouble f = inside - (rounded - 0x1.8p52);
    return (vdouble)((vdouble_bits)d_poly(f, power_terms, 8) + ((vdouble_bits)rounded << 52));
}

RGK_INLINE vreal v_pow_positive(vreal x, vreal y)
{
    vhalf xs[2], ys[2];
    memcpy(xs, &x, sizeof x);
    memcpy(ys, &y, sizeof y);
    for (int i = 0; i < 2; i++) {
        const vdouble p = d_pow(__builtin_convertvector(xs[i], vdouble), __builtin_convertvector(ys[i], vdouble));
        xs[i] = __builtin_convertvector(p, vhalf);
    }
    memcpy(&x, xs, sizeof x);
    return x;
}

#else

/* ---- f64: through pairs of f64 (high + low, unevaluated) ---- */

typedef struct pair {
    vreal high, low;
} pair;

/* a + b for |a| >= |b| */
RGK_INLINE pair v_pair_sum(vreal a, vreal b)
{
    pair s;
    s.high = a + b;
    s.low = b - (s.high - a);
    return s;
}

RGK_INLINE pair v_pair_product(pair a, pair b)
{
    pair p;
    p.high = a.high * b.high;
    p.low = v_product_error(a.high, b.high, p.high) + (a.high * b.low + a.low * b.high);
    return p;
}

/* log(1 + f) = 2 s + s^3 (2/3 + s^2 pow_tail(s^2)), s = f / (2 + f), 1 + f in [1/sqrt(2), sqrt(2)] */
static const double pow_tail[] = {
    0.3999999999999998,  0.28571428571443841, 0.22222222217789703, 0.18181818844008032,
    0.15384558426518394, 0.13336264620087696, 0.11675777325617365, 0.11981789458465372,
};

RGK_INLINE pair v_log_pair(vreal x)
{
    const vmask subnormal = v_lt(x, v_set(RGK_MIN_NORMAL));
    const vreal normal = v_select(subnormal, x * 0x1p54, x);
    const vuint shifted = (vuint)normal + (0x3ff0000000000000u - 0x3fe6a09e667f3bcdu);
    const vuint exponent = shifted >> 52;
    const vreal k =
        (vreal)(exponent | 0x4330000000000000u) - (0x1p52 + 1023.0) - v_select(subnormal, v_set(54.0), v_set(0.0));
    const vreal f = (vreal)((vuint)normal - ((exponent - 1023) << 52)) - 1.0;

    const pair d = v_pair_sum(v_set(2.0), f);
    pair s;
    s.high = f / d.high;
    const vreal product = s.high * d.high;
    s.low = ((f - product) - v_product_error(s.high, d.high, product) - s.high * d.low) / d.high;
    const pair z = v_pair_product(s, s);
    pair c = v_pair_sum(v_set(0x1.5555555555555p-1), z.high * RGK_POLY(z.high, pow_tail));
    c.low += 0x1.5555555555555p-55;
    const pair rest = v_pair_product(s, v_pair_product(z, c));
    const pair m = v_pair_sum(s.high + s.high, rest.high);
    const vreal m_low = m.low + (rest.low + (s.low + s.low));
    /* k times the high part of ln(2) is exact, and 0 or larger than m. */
    const vreal base = k * RGK_LOG2_HIGH;
    const pair sum = v_pair_sum(base, m.high);
    const vmask zero = v_eq(k, v_set(0.0));
    const vreal low = v_select(zero, v_set(0.0), sum.low) + (m_low + k * RGK_LOG2_LOW);
    return v_pair_sum(v_select(zero, m.high, sum.high), low);
}

/* x^y for x > 0, finite */
RGK_INLINE vreal v_pow_positive(vreal x, vreal y)
{
    const pair l = v_log_pair(x);
    const vreal limit = v_set(1000.0);
    const vreal high = y * l.high;
    const vreal low = v_fma(y, l.low, v_product_error(y, l.high, high));
    const vreal bounded = v_min(limit, v_max(-limit, high));
    const exp_parts e = v_exp_reduce(bounded);
    /* The reduction rounds r; its error is small beside r's last place, as is the low part beside r. */
    const vreal r = e.r + v_select(v_lt(v_abs(high), limit), low, v_set(0.0));
    return v_ldexp(v_exp_reduced(r), e.n);
}

#endif

RGK_INLINE vreal v_pow(vreal x, vreal y)
{
    const vreal zero = v_set(RGK_C(0.0)), one = v_set(RGK_C(1.0)), infinite = v_set((real)INFINITY);
    const vreal a = v_abs(x), b = v_abs(y);
    const vreal half = RGK_C(0.5) * y;
    /* Beyond 2^24 (2^53) every number is an even integer, infinity too. */
    const vmask integer = v_eq(v_round(y), y);
    const vmask odd = v_and(integer, v_ne(v_round(half), half));
    vreal p = v_pow_positive(a, y);

    /* 0 or infinity to a power. */
    const vreal away = v_mul_sign(one, y);
    p = v_select(v_eq(a, zero), v_select(v_lt(away, zero), infinite, zero), p);
    p = v_select(v_eq(a, infinite), v_select(v_lt(away, zero), zero, infinite), p);
    /* To the power of infinity: which side of 1 is |x|? */
    const vreal side = v_mul_sign(a - one, y);
    const vreal flat = v_select(v_lt(side, zero), zero, v_select(v_gt(side, zero), infinite, one));
    p = v_select(v_eq(b, infinite), flat, p);

    const vreal nan = v_set((real)NAN);
    const vmask negative = v_lt(v_copysign(one, x), zero);
    p = v_select(v_and(negative, odd), -p, p);
    const vmask undefined = v_and(v_and(v_lt(x, zero), v_lt(a, infinite)), v_not(integer));
    p = v_select(v_or(undefined, v_unordered(x, y)), nan, p);
    return v_select(v_or(v_eq(y, zero), v_eq(x, one)), one, p);
}

#endif
