/* vector.h - operations on whole vectors: comparison and selection, signs, rounding, folding, polynomials. */
#ifndef RGK_VECTOR_H
#define RGK_VECTOR_H

#include "isa.h"

/* ---- masks and selection ---- */

#if RGK_VECTOR_BYTES == 64
/* A bit for each lane. */
#if RGK_REAL_BYTES == 4
typedef __mmask16 vmask;
#define RGK_ALL_LANES 0xffffu
#define RGK_INT_SUFFIX _epi32_mask
#else
typedef __mmask8 vmask;
#define RGK_ALL_LANES 0xffu
#define RGK_INT_SUFFIX _epi64_mask
#endif
#define RGK_COMPARE(a, b, how) RGK_PASTE(_mm512_cmp, RGK_X86_SUFFIX, _mask)(a, b, how)

RGK_INLINE vmask v_lt(vreal a, vreal b)
{
    return RGK_COMPARE(a, b, _CMP_LT_OQ);
}
RGK_INLINE vmask v_le(vreal a, vreal b)
{
    return RGK_COMPARE(a, b, _CMP_LE_OQ);
}
RGK_INLINE vmask v_eq(vreal a, vreal b)
{
    return RGK_COMPARE(a, b, _CMP_EQ_OQ);
}
RGK_INLINE vmask v_ne(vreal a, vreal b)
{
    return RGK_COMPARE(a, b, _CMP_NEQ_UQ);
}
RGK_INLINE vmask v_unordered(vreal a, vreal b)
{
    return RGK_COMPARE(a, b, _CMP_UNORD_Q);
}
RGK_INLINE vmask v_lt_int(vint a, vint b)
{
    return RGK_PASTE(_mm512_cmplt, RGK_INT_SUFFIX, )((__m512i)a, (__m512i)b);
}
RGK_INLINE vmask v_eq_int(vint a, vint b)
{
    return RGK_PASTE(_mm512_cmpeq, RGK_INT_SUFFIX, )((__m512i)a, (__m512i)b);
}
RGK_INLINE vmask v_and(vmask a, vmask b)
{
    return (vmask)(a & b);
}
RGK_INLINE vmask v_or(vmask a, vmask b)
{
    return (vmask)(a | b);
}
RGK_INLINE vmask v_not(vmask a)
{
    return (vmask)(a ^ RGK_ALL_LANES);
}
/* Bit i for lane i. */
RGK_INLINE unsigned v_mask_bits(vmask m)
{
    return m;
}
/* The first n <= RGK_LANES lanes. */
RGK_INLINE vmask v_first_lanes(size_t n)
{
    return (vmask)((1u << n) - 1);
}
RGK_INLINE vreal v_select(vmask m, vreal a, vreal b)
{
    return RGK_X86(mask_blend)(m, b, a);
}
#if RGK_REAL_BYTES == 4
RGK_INLINE vint v_select_int(vmask m, vint a, vint b)
{
    return (vint)_mm512_mask_blend_epi32(m, (__m512i)b, (__m512i)a);
}
/* -1 where set, 0 elsewhere. */
RGK_INLINE vint v_mask_int(vmask m)
{
    return (vint)_mm512_movm_epi32(m);
}
#else
RGK_INLINE vint v_select_int(vmask m, vint a, vint b)
{
    return (vint)_mm512_mask_blend_epi64(m, (__m512i)b, (__m512i)a);
}
RGK_INLINE vint v_mask_int(vmask m)
{
    return (vint)_mm512_movm_epi64(m);
}
#endif
#else
/* All bits of a lane. */
typedef vint vmask;

RGK_INLINE vmask v_lt(vreal a, vreal b)
{
    return a < b;
}
RGK_INLINE vmask v_le(vreal a, vreal b)
{
    return a <= b;
}
RGK_INLINE vmask v_eq(vreal a, vreal b)
{
    return a == b;
}
RGK_INLINE vmask v_ne(vreal a, vreal b)
{
    return a != b;
}
RGK_INLINE vmask v_unordered(vreal a, vreal b)
{
    return (a != a) | (b != b);
}
RGK_INLINE vmask v_lt_int(vint a, vint b)
{
    return a < b;
}
RGK_INLINE vmask v_eq_int(vint a, vint b)
{
    return a == b;
}
RGK_INLINE vmask v_and(vmask a, vmask b)
{
    return a & b;
}
RGK_INLINE vmask v_or(vmask a, vmask b)
{
    return a | b;
}
RGK_INLINE vmask v_not(vmask a)
{
    return ~a;
}
RGK_INLINE unsigned v_mask_bits(vmask m)
{
#if RGK_HAVE_X86
    return (unsigned)RGK_X86(movemask)((vreal)m);
#else
    unsigned bits = 0;
    for (int i = 0; i < RGK_LANES; i++)
        bits |= (unsigned)(m[i] & 1) << i;
    return bits;
#endif
}
RGK_INLINE vmask v_first_lanes(size_t n)
{
    return v_lane_index() < v_set_int((lane_int)n);
}
RGK_INLINE vint v_select_int(vmask m, vint a, vint b)
{
    return (m & a) | (~m & b);
}
RGK_INLINE vint v_mask_int(vmask m)
{
    return m;
}
RGK_INLINE vreal v_select(vmask m, vreal a, vreal b)
{
#if RGK_VECTOR_BYTES == 32
    return RGK_X86(blendv)(b, a, (vreal)m);
#else
    return (vreal)v_select_int(m, (vint)a, (vint)b);
#endif
}
#endif

RGK_INLINE int v_any(vmask m)
{
    return v_mask_bits(m) != 0;
}
RGK_INLINE vmask v_gt(vreal a, vreal b)
{
    return v_lt(b, a);
}
RGK_INLINE vmask v_ge(vreal a, vreal b)
{
    return v_le(b, a);
}
RGK_INLINE vmask v_is_nan(vreal x)
{
    return v_unordered(x, x);
}

/* ---- arithmetic ---- */

RGK_INLINE vreal v_sqrt(vreal x)
{
#if RGK_HAVE_X86
    return RGK_X86(sqrt)(x);
#else
    for (int i = 0; i < RGK_LANES; i++)
        x[i] = sizeof(real) == 4 ? (real)__builtin_sqrtf((float)x[i]) : (real)__builtin_sqrt(x[i]);
    return x;
#endif
}

/* a < b ? b : a and a > b ? b : a in the manner of x86: the second operand if either is NaN. */
RGK_INLINE vreal v_max(vreal a, vreal b)
{
#if RGK_HAVE_X86
    return RGK_X86(max)(a, b);
#else
    return v_select(v_gt(a, b), a, b);
#endif
}

RGK_INLINE vreal v_min(vreal a, vreal b)
{
#if RGK_HAVE_X86
    return RGK_X86(min)(a, b);
#else
    return v_select(v_lt(a, b), a, b);
#endif
}

/* The larger / smaller; NaN if either is. */
RGK_INLINE vreal v_maximum(vreal a, vreal b)
{
    return v_select(v_is_nan(a), a, v_max(a, b));
}

RGK_INLINE vreal v_minimum(vreal a, vreal b)
{
    return v_select(v_is_nan(a), a, v_min(a, b));
}

RGK_INLINE vreal v_add(vreal a, vreal b)
{
    return a + b;
}

RGK_INLINE vreal v_mul(vreal a, vreal b)
{
    return a * b;
}

/* All lanes into one: the upper half is joined to the lower one until one lane is left. */
RGK_INLINE real v_fold(vreal x, vreal (*join)(vreal, vreal))
{
#if RGK_LANES == 16
    x = join(x, __builtin_shufflevector(x, x, 8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7));
    x = join(x, __builtin_shufflevector(x, x, 4, 5, 6, 7, 0, 1, 2, 3, 12, 13, 14, 15, 8, 9, 10, 11));
    x = join(x, __builtin_shufflevector(x, x, 2, 3, 0, 1, 6, 7, 4, 5, 10, 11, 8, 9, 14, 15, 12, 13));
    x = join(x, __builtin_shufflevector(x, x, 1, 0, 3, 2, 5, 4, 7, 6, 9, 8, 11, 10, 13, 12, 15, 14));
#elif RGK_LANES == 8
    x = join(x, __builtin_shufflevector(x, x, 4, 5, 6, 7, 0, 1, 2, 3));
    x = join(x, __builtin_shufflevector(x, x, 2, 3, 0, 1, 6, 7, 4, 5));
    x = join(x, __builtin_shufflevector(x, x, 1, 0, 3, 2, 5, 4, 7, 6));
#elif RGK_LANES == 4
    x = join(x, __builtin_shufflevector(x, x, 2, 3, 0, 1));
    x = join(x, __builtin_shufflevector(x, x, 1, 0, 3, 2));
#else
    x = join(x, __builtin_shufflevector(x, x, 1, 0));
#endif
    return x[0];
}

#define RGK_SIGN_BIT ((lane_int)((lane_uint)1 << (RGK_REAL_BYTES * 8 - 1)))

RGK_INLINE vreal v_abs(vreal x)
{
    return (vreal)((vint)x & ~v_set_int(RGK_SIGN_BIT));
}

RGK_INLINE vreal v_minus_abs(vreal x)
{
    return (vreal)((vint)x | v_set_int(RGK_SIGN_BIT));
}

/* |x| with the sign of s. */
RGK_INLINE vreal v_copysign(vreal x, vreal s)
{
    const vint sign = v_set_int(RGK_SIGN_BIT);
    return (vreal)(((vint)x & ~sign) | ((vint)s & sign));
}

/* x with its sign changed where s is negative. */
RGK_INLINE vreal v_mul_sign(vreal x, vreal s)
{
    return (vreal)((vint)x ^ ((vint)s & v_set_int(RGK_SIGN_BIT)));
}

/* To integers: to nearest, ties to even; down; up. Signs of zeros stay. */
RGK_INLINE vreal v_round(vreal x)
{
#if RGK_VECTOR_BYTES == 64
    return RGK_X86(roundscale)(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
#elif RGK_VECTOR_BYTES == 32
    return RGK_X86(round)(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
#else
    const vreal anchor = v_set((real)((lane_int)1 << RGK_MANTISSA_BITS));
    const vreal a = v_abs(x);
    return v_select(v_lt(a, anchor), v_copysign((a + anchor) - anchor, x), x);
#endif
}

RGK_INLINE vreal v_floor(vreal x)
{
    const vreal r = v_round(x);
    return v_select(v_gt(r, x), r - RGK_C(1.0), r);
}

RGK_INLINE vreal v_ceil(vreal x)
{
    const vreal r = v_round(x);
    return v_select(v_lt(r, x), v_copysign(r + RGK_C(1.0), x), r);
}

/* The rounding error of p = a b (rounded): a b = p + result, unless something under- or overflows. */
RGK_INLINE vreal v_product_error(vreal a, vreal b, vreal p)
{
#if RGK_HAVE_FMA
    return v_fma(a, b, -p);
#else
    /* Dekker: both factors are split into halves whose products are exact. */
    const real split = sizeof(real) == 4 ? RGK_C(4097.0) : RGK_C(134217729.0);
    const vreal as = a * split, bs = b * split;
    const vreal ah = as - (as - a), bh = bs - (bs - b);
    const vreal al = a - ah, bl = b - bh;
    return ((ah * bh - p) + ah * bl + al * bh) + al * bl;
#endif
}

/* c[0] + c[1] x + ... + c[n-1] x^(n-1) */
RGK_INLINE vreal v_poly(vreal x, const real *c, int n)
{
    vreal p = v_set(c[n - 1]);
    RGK_UNROLL
    for (int i = n - 2; i >= 0; i--)
        p = v_fma(p, x, v_set(c[i]));
    return p;
}
#define RGK_POLY(x, c) v_poly(x, c, (int)(sizeof(c) / sizeof(c)[0]))

/* Conversions between lanes of one width; to integers by truncation, out of range: any value. */
RGK_INLINE vint v_to_int(vreal x)
{
    return __builtin_convertvector(x, vint);
}

RGK_INLINE vreal v_to_real(vint x)
{
    return __builtin_convertvector(x, vreal);
}

#endif
