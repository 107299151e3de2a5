/* gemm_pack.h - bringing operands of the product into the order its tiles read. */
#ifndef RGK_GEMM_PACK_H
#define RGK_GEMM_PACK_H

#include "gemm_block.h"

#include <stdbool.h>

#define PACK_FAR ((size_t)256 * 1024) /* bytes */

/* The k x cols part of V at v, which does not lie by rows, into rows of whole vectors. */
static void pack_v(size_t k, size_t cols, const real *v, ptrdiff_t v_row, ptrdiff_t v_col, real *out)
{
    const size_t width = (cols + RGK_LANES - 1) / RGK_LANES * RGK_LANES;
    if (v_row == 1) {
        turn_matrix(true, cols, k, v, v_col, out, (ptrdiff_t)width);
        return;
    }
    for (size_t l = 0; l < k; l++) {
        for (size_t j = 0; j < width; j++)
            out[l * width + j] = j < cols ? v[(ptrdiff_t)l * v_row + (ptrdiff_t)j * v_col] : 0;
    }
}

/* k rows of n elements, in_row apart, to such ones without gaps. */
RGK_INLINE void pack_rows(const size_t n, size_t k, const real *in, ptrdiff_t in_row, real *out)
{
    for (size_t l = 0; l < k; l++, in += in_row, out += n)
        memcpy(out, in, n * sizeof(real));
}

/* rows x k of a tile, whose elements for one l do or do not lie together. */
static void pack_tile(size_t rows, size_t k, const real *s, ptrdiff_t s_row, ptrdiff_t s_col, real *out)
{
    if (s_row == 1 && rows == TILE_ROWS) {
        pack_rows(TILE_ROWS, k, s, s_col, out);
    } else if (s_row == 1 && rows == TILE_ROWS - 1) {
        pack_rows(TILE_ROWS - 1, k, s, s_col, out);
    } else {
        for (size_t l = 0; l < k; l++, s += s_col)
            for (size_t i = 0; i < rows; i++)
                *out++ = s[(ptrdiff_t)i * s_row];
    }
}

/* Whether columns of S are worth being asked for: not if L2 is likely to hold them, and not if they lie so far apart
   that they share few sets of L1, for they would push out those that are packed meanwhile. */
RGK_INLINE bool pack_asks(size_t k, ptrdiff_t s_row, ptrdiff_t s_col)
{
    const size_t pitch = (size_t)(s_col < 0 ? -s_col : s_col) * sizeof(real);
    return s_row == 1 && pitch % 2048 != 0 && k * pitch >= PACK_FAR;
}

/* Asks for `rows` elements of each of n columns. */
static void pack_soon(size_t n, size_t rows, const real *s, ptrdiff_t s_col)
{
    for (; n; n--, s += s_col)
        for (size_t i = 0; i < rows; i += 64 / sizeof(real))
            __builtin_prefetch(s + i, 0, 3);
}

/* rows x k of S, tile by tile: of each its rows for l = 0, then those for l = 1, and so on. */
static void pack_s(size_t k, size_t rows, const real *s, ptrdiff_t s_row, ptrdiff_t s_col, real *out)
{
    enum { TOGETHER = 16 }; /* their lines stay in L1 while all tiles take their parts */
    const bool asks = pack_asks(k, s_row, s_col);
    for (size_t l = 0; l < k; l += TOGETHER) {
        if (asks && l + TOGETHER < k)
            pack_soon(least(TOGETHER, k - l - TOGETHER), rows, s + (ptrdiff_t)(l + TOGETHER) * s_col, s_col);
        for (size_t q = 0, lo = 0, end; q < tile_count(rows); q++, lo = end) {
            end = tile_begin(rows, q + 1);
            pack_tile(end - lo, least(TOGETHER, k - l), s + (ptrdiff_t)l * s_col + (ptrdiff_t)lo * s_row, s_row, s_col,
                      out + lo * k + l * (end - lo));
        }
    }
}

#endif
