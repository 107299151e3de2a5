/* gemm_pack.h - bringing operands of the product into the order its tiles read. */
#ifndef RGK_GEMM_PACK_H
#define RGK_GEMM_PACK_H

#include "gemm_turn.h"

#include <stdbool.h>

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

/* rows x k of S into k rows of `rows` elements. */
static void pack_s(size_t k, size_t rows, const real *s, ptrdiff_t s_row, ptrdiff_t s_col, real *out)
{
    for (size_t l = 0; l < k; l++, s += s_col, out += rows) {
        if (s_row == 1) {
            for (size_t i = 0; i < rows; i += RGK_LANES)
                store_some(out + i, rows - i, load_some(s + i, rows - i));
        } else {
            for (size_t i = 0; i < rows; i++)
                out[i] = s[(ptrdiff_t)i * s_row];
        }
    }
}

#endif
