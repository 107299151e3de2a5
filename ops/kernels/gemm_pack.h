/* gemm_pack.h - bringing operands of the product into the order its tiles read, and transposed results back. */
#ifndef RGK_GEMM_PACK_H
#define RGK_GEMM_PACK_H

#include "gemm_tile.h"
#include "isa.h"

#include <stdbool.h>

/* ---- transposing a square of RGK_LANES vectors in registers ---- */

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
RGK_INLINE void pack_interleave(const int bytes, vreal *a, vreal *b)
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
RGK_INLINE void pack_blocks(vreal *a, vreal *b)
{
    const v64 x = (v64)*a, y = (v64)*b;
    *a = (vreal)__builtin_shufflevector(x, y, EVEN_BLOCKS);
    *b = (vreal)__builtin_shufflevector(x, y, ODD_BLOCKS);
}
#endif

RGK_INLINE void pack_swap(vreal *a, vreal *b)
{
    const vreal x = *a;
    *a = *b;
    *b = x;
}

/* r[i][j] becomes r[j][i]. First squares of 128 bits width, then the blocks of 128 bits among each other. */
RGK_INLINE void pack_transpose(vreal r[RGK_LANES])
{
#define SQUARE (16 / RGK_REAL_BYTES)
#pragma GCC unroll 16
    for (int i = 0; i < RGK_LANES; i += SQUARE) {
#if RGK_REAL_BYTES == 4
        pack_interleave(4, r + i, r + i + 1);
        pack_interleave(4, r + i + 2, r + i + 3);
        pack_interleave(8, r + i, r + i + 2);
        pack_interleave(8, r + i + 1, r + i + 3);
        pack_swap(r + i + 1, r + i + 2);
#else
        pack_interleave(8, r + i, r + i + 1);
#endif
    }
#if RGK_VECTOR_BYTES == 32
#pragma GCC unroll 16
    for (int i = 0; i < SQUARE; i++)
        pack_blocks(r + i, r + SQUARE + i);
#elif RGK_VECTOR_BYTES == 64
#pragma GCC unroll 16
    for (int i = 0; i < SQUARE; i++) {
        pack_blocks(r + i, r + SQUARE + i);
        pack_blocks(r + 2 * SQUARE + i, r + 3 * SQUARE + i);
        pack_blocks(r + i, r + 2 * SQUARE + i);
        pack_blocks(r + SQUARE + i, r + 3 * SQUARE + i);
    }
#endif
#undef SQUARE
}

/* ---- packing ---- */

RGK_INLINE size_t pack_min(size_t a, size_t b)
{
    return a < b ? a : b;
}

RGK_INLINE vreal pack_load(const real *p, size_t n)
{
    return n >= RGK_LANES ? v_load(p) : v_load_part(p, n);
}

RGK_INLINE void pack_store(real *p, size_t n, vreal x)
{
    if (n >= RGK_LANES)
        v_store(p, x);
    else
        v_store_part(p, n, x);
}

/* out[j][i] = in[i][j] for i < rows, j < cols. If `padded`, out has room for whole vectors of i, and what lies beyond
   rows becomes some number that stands in the last row. */
RGK_INLINE void pack_turn(const bool padded, size_t rows, size_t cols, const real *in, ptrdiff_t in_row, real *out, ptrdiff_t out_row)
{
    for (size_t i = 0; i < rows; i += RGK_LANES) {
        for (size_t j = 0; j < cols; j += RGK_LANES) {
            vreal r[RGK_LANES];
#pragma GCC unroll 16
            for (size_t q = 0; q < RGK_LANES; q++)
                r[q] = pack_load(in + (ptrdiff_t)pack_min(i + q, rows - 1) * in_row + j, cols - j);
            pack_transpose(r);
#pragma GCC unroll 16
            for (size_t q = 0; q < RGK_LANES; q++) {
                if (j + q < cols)
                    pack_store(out + (ptrdiff_t)(j + q) * out_row + i, padded ? RGK_LANES : rows - i, r[q]);
            }
        }
    }
}

/* The transposed part of a matrix into another, nothing beyond it touched. */
static void pack_transposed(size_t rows, size_t cols, const real *in, ptrdiff_t in_row, real *out, ptrdiff_t out_row)
{
    pack_turn(false, rows, cols, in, in_row, out, out_row);
}

/* The k x cols part of V at v, which does not lie by rows, into rows of whole vectors. */
static void pack_v(size_t k, size_t cols, const real *v, ptrdiff_t v_row, ptrdiff_t v_col, real *out)
{
    const size_t width = (cols + RGK_LANES - 1) / RGK_LANES * RGK_LANES;
    if (v_row == 1) {
        pack_turn(true, cols, k, v, v_col, out, (ptrdiff_t)width);
        return;
    }
    for (size_t l = 0; l < k; l++) {
        for (size_t j = 0; j < width; j++)
            out[l * width + j] = j < cols ? v[(ptrdiff_t)l * v_row + (ptrdiff_t)j * v_col] : 0;
    }
}

/* rows x k of S into k rows of `rows` elements. */
static void pack_s(size_t k, size_t rows, const real *s, ptrdiff_t s_row, ptrdiff_t s_col, real *out)
{
    for (size_t l = 0; l < k; l++, s += s_col, out += rows) {
        if (s_row == 1) {
            for (size_t i = 0; i < rows; i += RGK_LANES)
                pack_store(out + i, rows - i, pack_load(s + i, rows - i));
        } else {
            for (size_t i = 0; i < rows; i++)
                out[i] = s[(ptrdiff_t)i * s_row];
        }
    }
}

#endif
