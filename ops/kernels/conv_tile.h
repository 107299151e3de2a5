/* conv_tile.h - the innermost loops of convolution: tiles of sums in registers.

   A term of a sum is a number of the weights times one of the source, and where both are follows from two lists of
   offsets: no matrix of patches is made. Every element of a result of conv is one chain of multiply-adds over the
   terms. */
#ifndef RGK_CONV_TILE_H
#define RGK_CONV_TILE_H

#include "gemm_turn.h"
#include "kernels.h"
#include "tile_size.h"

#include <stdbool.h>

/* rows x vectors outputs: vectors of pixels from the source, weights broadcast. Of a row of pixels, of whose last
   vector `last` columns are there; or, `down`, of one of several rows, of each of which `last` columns are there. */
typedef struct conv_tile {
    size_t k;
    const rgk_term *terms;
    const real *source, *weights;
    ptrdiff_t weights_row;
    real *y;
    ptrdiff_t y_row;
    size_t last;
    ptrdiff_t source_down, y_down; /* from one row to the next */
} conv_tile;

RGK_INLINE void conv_tile_run(const int rows, const int vectors, const bool down, const conv_tile *t)
{
    vreal sum[TILE_ROWS][TILE_VECTORS];
    RGK_UNROLL
    for (int i = 0; i < rows; i++) {
        RGK_UNROLL
        for (int j = 0; j < vectors; j++)
            sum[i][j] = v_set(0);
    }
    const size_t k = t->k, last = t->last;
    const ptrdiff_t row = t->weights_row, step = down ? t->source_down : RGK_LANES;
    const real *source = t->source, *weights = t->weights;
    const rgk_term *terms = t->terms;
    for (size_t l = 0; l < k; l++) {
        const real *v = source + terms[l].source, *s = weights + terms[l].weight, *s3 = s + 3 * row;
        vreal b[TILE_VECTORS];
        RGK_UNROLL
        for (int j = 0; j < vectors; j++) {
            if ((!down && j < vectors - 1) || last == RGK_LANES)
                b[j] = v_load(v + j * step);
            else
                b[j] = v_load_part(v + j * step, last);
        }
        RGK_UNROLL
        for (int i = 0; i < rows; i++) {
            const vreal a = v_set((i < 3 ? s : s3)[i % 3 * row]);
            RGK_UNROLL
            for (int j = 0; j < vectors; j++)
                sum[i][j] = v_fma(a, b[j], sum[i][j]);
        }
    }
    real *y = t->y;
    RGK_UNROLL
    for (int i = 0; i < rows; i++, y += t->y_row) {
        RGK_UNROLL
        for (int j = 0; j < vectors; j++)
            store_some(y + j * (down ? t->y_down : RGK_LANES), down || j == vectors - 1 ? last : RGK_LANES, sum[i][j]);
    }
}

RGK_INLINE void conv_tile_rows(int rows, const int vectors, const bool down, const conv_tile *t)
{
    switch (rows) {
    case 1:
        conv_tile_run(1, vectors, down, t);
        break;
    case 2:
        conv_tile_run(2, vectors, down, t);
        break;
    case 3:
        conv_tile_run(3, vectors, down, t);
        break;
    case 4:
        conv_tile_run(4, vectors, down, t);
        break;
    case 5:
        conv_tile_run(5, vectors, down, t);
        break;
    case 6:
        conv_tile_run(6, vectors, down, t);
        break;
    default:
        break;
    }
}

RGK_INLINE void conv_tile_any(int rows, int vectors, const bool down, const conv_tile *t)
{
    switch (vectors) {
    case 1:
        conv_tile_rows(rows, 1, down, t);
        break;
    case 2:
        conv_tile_rows(rows, 2, down, t);
        break;
#if TILE_VECTORS == 4
    case 3:
        conv_tile_rows(rows, 3, down, t);
        break;
    case 4:
        conv_tile_rows(rows, 4, down, t);
        break;
#endif
    default:
        break;
    }
}

static void conv_tile_across(int rows, int vectors, const conv_tile *t)
{
    conv_tile_any(rows, vectors, false, t);
}

static void conv_tile_down(int rows, int vectors, const conv_tile *t)
{
    conv_tile_any(rows, vectors, true, t);
}

#endif
