/* conv_single.h - convolution where one row of weights meets the source, as of depthwise ones: tiles of a few rows of
   pixels, one vector wide. An output is one chain of multiply-adds in the order of the terms. */
#ifndef RGK_CONV_SINGLE_H
#define RGK_CONV_SINGLE_H

#include "gemm_turn.h"
#include "kernels.h"
#include "vector.h"

#include <stdbool.h>

#define SINGLE_ROWS 6

/* Where a tile stands: its source, its first output, how many of its lanes are there. */
typedef struct single_tile {
    const rgk_conv *c;
    const real *source;
    real *y;
    size_t lanes;
} single_tile;

RGK_INLINE void single_store(const bool part, const single_tile *t, size_t row, vreal sum)
{
    const rgk_conv *c = t->c;
    real *y = t->y + (ptrdiff_t)row * c->y_down, lane[RGK_LANES];
    if (c->y_right == 1 && !part) {
        v_store(y, sum);
    } else if (c->y_right == 1) {
        v_store_part(y, t->lanes, sum);
    } else {
        v_store(lane, sum);
        for (size_t q = 0; q < t->lanes; q++)
            y[(ptrdiff_t)q * c->y_right] = lane[q];
    }
}

RGK_INLINE void single_run(const int rows, const bool part, const single_tile *t)
{
    const rgk_conv *c = t->c;
    vreal sum[SINGLE_ROWS];
    RGK_UNROLL
    for (int i = 0; i < rows; i++)
        sum[i] = v_set(0);
    for (size_t l = 0; l < c->k; l++) {
        const vreal w = v_set(((const real *)c->weights)[c->terms[l].weight]);
        const real *x = t->source + c->terms[l].source;
        RGK_UNROLL
        for (int i = 0; i < rows; i++, x += c->pitch)
            sum[i] = v_fma(w, part ? v_load_part(x, t->lanes) : v_load(x), sum[i]);
    }
    RGK_UNROLL
    for (int i = 0; i < rows; i++)
        single_store(part, t, (size_t)i, sum[i]);
}

RGK_INLINE void single_any(const int rows, const single_tile *t)
{
    if (t->lanes < RGK_LANES)
        single_run(rows, true, t);
    else
        single_run(rows, false, t);
}

static void single_rows(size_t rows, const single_tile *t)
{
    switch (rows) {
    case 1:
        single_any(1, t);
        break;
    case 2:
        single_any(2, t);
        break;
    case 3:
        single_any(3, t);
        break;
    case 4:
        single_any(4, t);
        break;
    case 5:
        single_any(5, t);
        break;
    case 6:
        single_any(6, t);
        break;
    default:
        break;
    }
}

static void conv_single(const rgk_conv *c)
{
    const size_t tiles = (c->height + SINGLE_ROWS - 1) / SINGLE_ROWS;
    single_tile t = {.c = c};
    for (size_t q = 0; q < tiles; q++) {
        const size_t row = c->height * q / tiles, rows = c->height * (q + 1) / tiles - row;
        for (size_t j = 0; j < c->width; j += RGK_LANES) {
            t.source = (const real *)c->source + row * c->pitch + j;
            t.y = (real *)c->y + (ptrdiff_t)row * c->y_down + (ptrdiff_t)j * c->y_right;
            t.lanes = least(c->width - j, RGK_LANES);
            single_rows(rows, &t);
        }
    }
}

#endif
