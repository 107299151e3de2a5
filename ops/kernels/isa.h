/* isa.h - the vector types of one build of the kernels, and the few operations that C has no operator for.

   Every kernel source is compiled once per instruction set and floating type, with
       -DRGK_ISA=generic | avx2 | avx512      and      -DRGK_REAL_F32 | -DRGK_REAL_F64
   and those of the matrix product once more with -DRGK_REAL_PAIRS where an instruction multiplies pairs of bf16 numbers
   and adds both products to an f32: the operands then are matrices of pairs, and nothing else about the product is
   different. What uses the tiles of AMX is compiled with -DRGK_TILES beside it.
   Arithmetic, shifts and bit operations are written with operators on the types below; comparisons and what else
   elementwise code needs are in vector.h. Nothing here depends on alignment. */
#ifndef RGK_ISA_H
#define RGK_ISA_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(__SSE2__)
#include <immintrin.h>
#endif

#define RGK_PASTE_(a, b, c) a##b##c
#define RGK_PASTE(a, b, c) RGK_PASTE_(a, b, c)

#if defined(RGK_REAL_F32)
typedef float real;
typedef int32_t lane_int;
typedef uint32_t lane_uint;
#define RGK_REAL_BYTES 4
#define RGK_MANTISSA_BITS 23
#define RGK_HALF_EPSILON 0x1p-25f /* 1 + this is 1 */
#define RGK_TYPE f32
#define RGK_C(x) x##f /* a constant of type real */
#elif defined(RGK_REAL_F64)
typedef double real;
typedef int64_t lane_int;
typedef uint64_t lane_uint;
#define RGK_REAL_BYTES 8
#define RGK_MANTISSA_BITS 52
#define RGK_HALF_EPSILON 0x1p-54
#define RGK_TYPE f64
#define RGK_C(x) x
#elif defined(RGK_REAL_PAIRS)
typedef float real; /* of a sum, or the bits of a pair: bf16 numbers 2 l (the lower half) and 2 l + 1 along k */
typedef int32_t lane_int;
typedef uint32_t lane_uint;
#define RGK_REAL_BYTES 4
#if defined(RGK_TILES)
#define RGK_TYPE tiles
#else
#define RGK_TYPE pairs
#endif
#else
#error "compile kernels with -DRGK_REAL_F32, -DRGK_REAL_F64 or, those of products, -DRGK_REAL_PAIRS"
#endif

/* RGK_NAME(gemm) is rgk_avx512_f32_gemm. */
#define RGK_PREFIX_(isa, type) rgk_##isa##_##type##_
#define RGK_PREFIX(isa, type) RGK_PREFIX_(isa, type)
#define RGK_NAME(x) RGK_PASTE(RGK_PREFIX(RGK_ISA, RGK_TYPE), x, )

#define RGK_BYTES_generic 16
#define RGK_BYTES_avx2 32
#define RGK_BYTES_avx512 64
#define RGK_VECTOR_BYTES RGK_PASTE(RGK_BYTES_, RGK_ISA, )
#define RGK_LANES (RGK_VECTOR_BYTES / RGK_REAL_BYTES)

#define RGK_INLINE static inline __attribute__((always_inline))

/* Before a loop whose count is known once its function is inlined. */
#if defined(__clang__)
#define RGK_UNROLL _Pragma("clang loop unroll(full)")
#else
#define RGK_UNROLL _Pragma("GCC unroll 32")
#endif

typedef real vreal __attribute__((vector_size(RGK_VECTOR_BYTES)));
typedef lane_int vint __attribute__((vector_size(RGK_VECTOR_BYTES)));
typedef lane_uint vuint __attribute__((vector_size(RGK_VECTOR_BYTES)));

/* The same as they lie in memory: any alignment, any effective type. */
typedef real vreal_memory __attribute__((vector_size(RGK_VECTOR_BYTES), aligned(RGK_REAL_BYTES), may_alias));

/* RGK_X86(sqrt) is the intrinsic of this width and type: _mm256_sqrt_ps. */
#if defined(__SSE2__)
#define RGK_HAVE_X86 1
#define RGK_WIDTH_16 _mm
#define RGK_WIDTH_32 _mm256
#define RGK_WIDTH_64 _mm512
#define RGK_SUFFIX_4 ps
#define RGK_SUFFIX_8 pd
#define RGK_X86_PREFIX RGK_PASTE(RGK_WIDTH_, RGK_VECTOR_BYTES, )
#define RGK_X86_SUFFIX RGK_PASTE(_, RGK_PASTE(RGK_SUFFIX_, RGK_REAL_BYTES, ), )
#define RGK_X86(op) RGK_PASTE(RGK_X86_PREFIX, _##op, RGK_X86_SUFFIX)
#else
#define RGK_HAVE_X86 0
#endif

/* Whether v_fma rounds once. */
#if defined(__FMA__) || defined(__ARM_FEATURE_FMA)
#define RGK_HAVE_FMA 1
#else
#define RGK_HAVE_FMA 0
#endif

/* ---- memory ---- */

RGK_INLINE vreal v_set(real x)
{
#if defined(RGK_REAL_PAIRS)
    return _mm512_set1_ps(x); /* bits, not to be computed with */
#else
    return x - (vreal){0};
#endif
}

RGK_INLINE vint v_set_int(lane_int x)
{
    return x - (vint){0};
}

RGK_INLINE vreal v_load(const real *p)
{
    return *(const vreal_memory *)(const void *)p;
}

RGK_INLINE void v_store(real *p, vreal x)
{
    *(vreal_memory *)(void *)p = x;
}

/* A vector that was loaded, to be used more than once: compilers would rather load it with every use, and loads, of
   which those across lines count twice, would take longer than what is computed. Where registers are few that is what
   is wanted. */
RGK_INLINE vreal v_loaded(vreal x)
{
#if RGK_VECTOR_BYTES == 64
    __asm__("" : "+v"(x));
#endif
    return x;
}

RGK_INLINE vint v_bits(vreal x)
{
    return (vint)x;
}

RGK_INLINE vreal v_from_bits(vint x)
{
    return (vreal)x;
}

/* Sums and differences of bit patterns wrap around. */
RGK_INLINE vint v_add_bits(vint a, vint b)
{
    return (vint)((vuint)a + (vuint)b);
}

RGK_INLINE vint v_sub_bits(vint a, vint b)
{
    return (vint)((vuint)a - (vuint)b);
}

/* 0, 1, 2 ... */
RGK_INLINE vint v_lane_index(void)
{
    vint index = {0};
    for (int i = 0; i < RGK_LANES; i++)
        index[i] = i;
    return index;
}

/* The first n <= RGK_LANES elements; the rest reads as zero, stays unwritten, and is not touched in memory. */
RGK_INLINE vreal v_load_part(const real *p, size_t n)
{
#if RGK_VECTOR_BYTES == 64 && RGK_REAL_BYTES == 4
    return _mm512_maskz_loadu_ps((__mmask16)((1u << n) - 1), p);
#elif RGK_VECTOR_BYTES == 64
    return _mm512_maskz_loadu_pd((__mmask8)((1u << n) - 1), p);
#elif RGK_VECTOR_BYTES == 32
    const vint wanted = v_lane_index() < v_set_int((lane_int)n);
    return RGK_X86(maskload)(p, (__m256i)wanted);
#else
    vreal x = {0};
    if (n == RGK_LANES)
        return v_load(p);
    if (n > 0)
        x[0] = p[0];
#if RGK_LANES == 4
    if (n > 1)
        x[1] = p[1];
    if (n > 2)
        x[2] = p[2];
#endif
    return x;
#endif
}

/* Lanes [from, to), and the elements of these: the others read as zero and are not touched in memory. */
#if RGK_VECTOR_BYTES == 64 && RGK_REAL_BYTES == 4
typedef __mmask16 vlanes;
#elif RGK_VECTOR_BYTES == 64
typedef __mmask8 vlanes;
#elif RGK_VECTOR_BYTES == 32
typedef vint vlanes;
#else
typedef struct vlanes {
    size_t from, to;
} vlanes;
#endif

RGK_INLINE vlanes v_lanes(size_t from, size_t to)
{
#if RGK_VECTOR_BYTES == 64
    return (vlanes)(((1u << to) - 1) & ~((1u << from) - 1));
#elif RGK_VECTOR_BYTES == 32
    return (v_lane_index() < v_set_int((lane_int)to)) & (v_lane_index() >= v_set_int((lane_int)from));
#else
    return (vlanes){from, to};
#endif
}

RGK_INLINE vreal v_load_lanes(const real *p, vlanes lanes)
{
#if RGK_VECTOR_BYTES == 64
    return RGK_X86(maskz_loadu)(lanes, p);
#elif RGK_VECTOR_BYTES == 32
    return RGK_X86(maskload)(p, (__m256i)lanes);
#else
    vreal x = {0};
    for (size_t i = lanes.from; i < lanes.to; i++)
        x[i] = p[i];
    return x;
#endif
}

RGK_INLINE void v_store_part(real *p, size_t n, vreal x)
{
#if RGK_VECTOR_BYTES == 64 && RGK_REAL_BYTES == 4
    _mm512_mask_storeu_ps(p, (__mmask16)((1u << n) - 1), x);
#elif RGK_VECTOR_BYTES == 64
    _mm512_mask_storeu_pd(p, (__mmask8)((1u << n) - 1), x);
#elif RGK_VECTOR_BYTES == 32
    const vint wanted = v_lane_index() < v_set_int((lane_int)n);
    RGK_X86(maskstore)(p, (__m256i)wanted, x);
#else
    for (size_t i = 0; i < n; i++)
        p[i] = x[i];
#endif
}

/* a b + c. The kernels but gemm are compiled with -ffp-contract=off, so that what is fused is what is written: an
   inlined copy that a compiler happens to fuse otherwise would change bits.
   Of pairs: the product of the upper halves is added first, then that of the lower; subnormal numbers are zero. */
RGK_INLINE vreal v_fma(vreal a, vreal b, vreal c)
{
#if defined(RGK_REAL_PAIRS)
    return _mm512_dpbf16_ps(c, (__m512bh)a, (__m512bh)b);
#elif RGK_HAVE_X86 && RGK_HAVE_FMA
    return RGK_X86(fmadd)(a, b, c);
#elif RGK_HAVE_FMA
    for (int i = 0; i < RGK_LANES; i++)
        c[i] = sizeof(real) == 4 ? (real)__builtin_fmaf((float)a[i], (float)b[i], (float)c[i])
                                 : (real)__builtin_fma(a[i], b[i], c[i]);
    return c;
#else
    return a * b + c;
#endif
}

#endif
