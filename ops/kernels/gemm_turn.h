/* gemm_turn.h - matrices turned by squares of vectors in registers, and vectors that end early. */
#ifndef RGK_GEMM_TURN_H
#define RGK_GEMM_TURN_H

#include "isa.h"

#include <stdbool.h>

RGK_INLINE size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* The first n elements, all of them where n is RGK_LANES or more. */
RGK_INLINE vreal load_some(const real *p, size_t n)
{
    return n >= RGK_LANES ? v_load(p) : v_load_part(p, n);
}

RGK_INLINE void store_some(real *p, size_t n, vreal x)
{
    if (n >= RGK_LANES)
        v_store(p, x);
    else
        v_store_part(p, n, x);
}

typedef int32_t v32 __attribute__((vector_size(RGK_VECTOR_BYTES)));
typedef int64_t v64 __attribute__((vector_size(RGK_VECTOR_BYTES)));

/* Interleaving of a and b within each 128 bits: their low and high halves. Blocks: whole 128 bits, those with even
   and odd numbers, of a and then of b. */
#if RGK_VECTOR_BYTES == 64
#define LOW_32 0, 16, 1, 17, 4, 20, 5, 21, 8, 24, 9, 25, 12, 28, 13, 29
#define HIGH_32 2, 18, 3, 19, 6, 22, 7, 23, 10, 26, 11, 27, 14, 30, 15, 31
#define LOW_64 0, 8, 2, 10, 4, 12, 6, 14
#define HIGH_64 1, 9, 3, 11, 5, 13, 7, 15
#define EVEN_BLOCKS 0, 1, 4, 5, 8, 9, 12, 13
#define ODD_BLOCKS 2, 3, 6, 7, 10, 11, 14, 15
#elif RGK_VECTOR_BYTES == 32
#define LOW_32 0, 8, 1, 9, 4, 12, 5, 13
#define HIGH_32 2, 10, 3, 11, 6, 14, 7, 15
#define LOW_64 0, 4, 2, 6
#define HIGH_64 1, 5, 3, 7
#define EVEN_BLOCKS 0, 1, 4, 5
#define ODD_BLOCKS 2, 3, 6, 7
#else
#define LOW_32 0, 4, 1, 5
#define HIGH_32 2, 6, 3, 7
#define LOW_64 0, 2
#define HIGH_64 1, 3
#endif

/* Two rows become low and high interleaved; `bytes` is the size of the pieces. */
RGK_INLINE void turn_interleave(const int bytes, vreal *a, vreal *b)
{
    const vreal x = *a, y = *b;
    if (bytes == 4) {
        *a = (vreal)__builtin_shufflevector((v32)x, (v32)y, LOW_32);
        *b = (vreal)__builtin_shufflevector((v32)x, (v32)y, HIGH_32);
    } else {
        *a = (vreal)__builtin_shufflevector((v64)x, (v64)y, LOW_64);
        *b = (vreal)__builtin_shufflevector((v64)x, (v64)y, HIGH_64);
    }
}

#if RGK_VECTOR_BYTES > 16
RGK_INLINE void turn_blocks(vreal *a, vreal *b)
{
    const v64 x = (v64)*a, y = (v64)*b;
    *a = (vreal)__builtin_shufflevector(x, y, EVEN_BLOCKS);
    *b = (vreal)__builtin_shufflevector(x, y, ODD_BLOCKS);
}
#endif

RGK_INLINE void turn_swap(vreal *a, vreal *b)
{
    const vreal x = *a;
    *a = *b;
    *b = x;
}

/* r[i][j] becomes r[j][i]. First squares of 128 bits width, then the blocks of 128 bits among each other. */
RGK_INLINE void turn_square(vreal r[RGK_LANES])
{
#define SQUARE (16 / RGK_REAL_BYTES)
    RGK_UNROLL
    for (int i = 0; i < RGK_LANES; i += SQUARE) {
#if RGK_REAL_BYTES == 4
        turn_interleave(4, r + i, r + i + 1);
        turn_interleave(4, r + i + 2, r + i + 3);
        turn_interleave(8, r + i, r + i + 2);
        turn_interleave(8, r + i + 1, r + i + 3);
        turn_swap(r + i + 1, r + i + 2);
#else
        turn_interleave(8, r + i, r + i + 1);
#endif
    }
#if RGK_VECTOR_BYTES == 32
    RGK_UNROLL
    for (int i = 0; i < SQUARE; i++)
        turn_blocks(r + i, r + SQUARE + i);
#elif RGK_VECTOR_BYTES == 64
    RGK_UNROLL
    for (int i = 0; i < SQUARE; i++) {
        turn_blocks(r + i, r + SQUARE + i);
        turn_blocks(r + 2 * SQUARE + i, r + 3 * SQUARE + i);
        turn_blocks(r + i, r + 2 * SQUARE + i);
        turn_blocks(r + SQUARE + i, r + 3 * SQUARE + i);
    }
#endif
#undef SQUARE
}

/* out[j][i] = in[i][j] for i < rows, j < cols. If `padded`, out has room for whole vectors of i, and what lies beyond
   rows becomes some number that stands in the last row. */
RGK_INLINE void turn_matrix(const bool padded, size_t rows, size_t cols, const real *in, ptrdiff_t in_row, real *out,
                            ptrdiff_t out_row)
{
    for (size_t i = 0; i < rows; i += RGK_LANES) {
        for (size_t j = 0; j < cols; j += RGK_LANES) {
            vreal r[RGK_LANES];
            RGK_UNROLL
            for (size_t q = 0; q < RGK_LANES; q++)
                r[q] = load_some(in + (ptrdiff_t)least(i + q, rows - 1) * in_row + j, cols - j);
            turn_square(r);
            RGK_UNROLL
            for (size_t q = 0; q < RGK_LANES; q++) {
                if (j + q < cols)
                    store_some(out + (ptrdiff_t)(j + q) * out_row + i, padded ? RGK_LANES : rows - i, r[q]);
            }
        }
    }
}

#endif
