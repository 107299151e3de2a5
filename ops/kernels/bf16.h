/* bf16.h - numbers that are the upper half of an f32: loops that compilers make vectors of. */
#ifndef RGK_BF16_H
#define RGK_BF16_H

#include "isa.h"

typedef uint32_t bf16_bits
    __attribute__((may_alias)); /* of an f32, or two numbers of which the lower half is the first */

/* y[i] = x[i] as f32, exactly. */
RGK_INLINE void bf16_widen(size_t n, const uint16_t *x, bf16_bits *y)
{
    for (size_t i = 0; i < n; i++)
        y[i] = (uint32_t)x[i] << 16;
}

/* y[i] = x[i] to the nearest, ties to even; NaN stays NaN. */
RGK_INLINE void bf16_narrow(size_t n, const bf16_bits *x, uint16_t *y)
{
    for (size_t i = 0; i < n; i++) {
        const uint32_t rounded = x[i] + 0x7FFF + (x[i] >> 16 & 1), quiet = x[i] | 0x400000;
        y[i] = (uint16_t)(((x[i] & 0x7FFFFFFF) > 0x7F800000 ? quiet : rounded) >> 16);
    }
}

/* y[i] = the pair x[i], z[i] */
RGK_INLINE void bf16_interleave(size_t n, const uint16_t *x, const uint16_t *z, bf16_bits *y)
{
    for (size_t i = 0; i < n; i++)
        y[i] = x[i] | (uint32_t)z[i] << 16;
}

#if defined(RGK_REAL_F32)
RGK_INLINE vreal v_load_bf16(const uint16_t *p)
{
#if RGK_VECTOR_BYTES == 64
    const __m256i x = _mm256_loadu_si256((const __m256i *)(const void *)p);
    return (vreal)_mm512_slli_epi32(_mm512_cvtepu16_epi32(x), 16);
#elif RGK_VECTOR_BYTES == 32
    const __m128i x = _mm_loadu_si128((const __m128i *)(const void *)p);
    return (vreal)_mm256_slli_epi32(_mm256_cvtepu16_epi32(x), 16);
#elif RGK_HAVE_X86
    const __m128i x = _mm_loadl_epi64((const __m128i *)(const void *)p);
    return (vreal)_mm_unpacklo_epi16(_mm_setzero_si128(), x);
#else
    vuint x = {0};
    for (int i = 0; i < RGK_LANES; i++)
        x[i] = (lane_uint)p[i] << 16;
    return (vreal)x;
#endif
}

/* The first n < RGK_LANES, zeros behind them. */
RGK_INLINE vreal v_load_bf16_part(const uint16_t *p, size_t n)
{
    uint16_t x[RGK_LANES] = {0};
    memcpy(x, p, n * sizeof *p);
    return v_load_bf16(x);
}
#endif

#endif
