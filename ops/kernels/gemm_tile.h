/* gemm_tile.h - the innermost loop of the product: a tile of C in registers.

   The tile is `rows` x `vectors`; V gives the vectors, S one number a row, broadcast. Every element is one chain of
   multiply-adds over l = 0 .. k-1, started from zero or from what C holds: the order that all paths of gemm share. */
#ifndef RGK_GEMM_TILE_H
#define RGK_GEMM_TILE_H

#include "isa.h"

#include <stdbool.h>

/* Six rows, since rows of S that are a multiple of 4 KiB apart share the 8 ways of an L1 set; as many vectors as the
   registers hold beside one vector of V each and a broadcast. */
#define TILE_ROWS 6
#if RGK_VECTOR_BYTES == 64 || defined(__aarch64__)
#define TILE_VECTORS 4
#else
#define TILE_VECTORS 2
#endif
#ifndef TILE_AHEAD
#define TILE_AHEAD 24
#endif
#define TILE_COLS (TILE_VECTORS * RGK_LANES)

typedef struct tile {
    size_t k;
    const real *s;      /* by rows: element (i, l) at s[i * s_stride + l]; else at s[i + l * s_stride] */
    ptrdiff_t s_stride;
    const real *v;      /* row l at v + l * v_row, whole vectors */
    ptrdiff_t v_row;
    real *c;
    ptrdiff_t c_row;
    const real *c_next; /* the tile of C that comes next: asked for meanwhile */
    size_t last;        /* columns of the last vector, 1 .. RGK_LANES; no other memory of C is touched */
    bool accumulate;
} tile;

RGK_INLINE void tile_run(const int rows, const int vectors, const bool by_row, const tile *t)
{
    vreal sum[TILE_ROWS][TILE_VECTORS];
    const size_t last = t->last, k = t->k;
    const ptrdiff_t s_stride = t->s_stride, v_row = t->v_row, c_row = t->c_row;

#pragma GCC unroll 8
    for (int i = 0; i < rows; i++) {
#pragma GCC unroll 8
        for (int j = 0; j < vectors; j++) {
            const real *c = t->c + i * c_row + j * RGK_LANES;
            sum[i][j] = v_set(0);
            if (t->accumulate)
                sum[i][j] = j < vectors - 1 || last == RGK_LANES ? v_load(c) : v_load_part(c, last);
        }
    }
    const real *v = t->v, *s = t->s, *s3 = t->s + (by_row ? 3 * s_stride : 3); /* rows 3 and up: short addresses */
    for (size_t l = 0, stop = k > TILE_AHEAD ? k - TILE_AHEAD : 0;; stop = k) {
        for (; l < stop; l++) {
            vreal b[TILE_VECTORS];
#pragma GCC unroll 8
            for (int j = 0; j < vectors; j++)
                b[j] = v_load(v + j * RGK_LANES);
#pragma GCC unroll 8
            for (int i = 0; i < rows; i++) {
                const vreal a = v_set((i < 3 ? s : s3)[by_row ? i % 3 * s_stride : i % 3]);
#pragma GCC unroll 8
                for (int j = 0; j < vectors; j++)
                    sum[i][j] = v_fma(a, b[j], sum[i][j]);
            }
            v += v_row;
            s += by_row ? 1 : s_stride;
            s3 += by_row ? 1 : s_stride;
        }
        if (l == k)
            break;
#pragma GCC unroll 8
        for (int i = 0; i < rows; i++) {
#pragma GCC unroll 8
            for (int j = 0; j < vectors * RGK_VECTOR_BYTES; j += 64) {
                __builtin_prefetch((const char *)(t->c + i * c_row) + j, 1);
                __builtin_prefetch((const char *)(t->c_next + i * c_row) + j, 1);
            }
        }
    }
#pragma GCC unroll 8
    for (int i = 0; i < rows; i++) {
#pragma GCC unroll 8
        for (int j = 0; j < vectors; j++) {
            real *c = t->c + i * c_row + j * RGK_LANES;
            if (j < vectors - 1 || last == RGK_LANES)
                v_store(c, sum[i][j]);
            else
                v_store_part(c, last, sum[i][j]);
        }
    }
}

RGK_INLINE void tile_of_rows(int rows, const int vectors, const bool by_row, const tile *t)
{
    switch (rows) {
    case 1: tile_run(1, vectors, by_row, t); break;
    case 2: tile_run(2, vectors, by_row, t); break;
    case 3: tile_run(3, vectors, by_row, t); break;
    case 4: tile_run(4, vectors, by_row, t); break;
    case 5: tile_run(5, vectors, by_row, t); break;
    case 6: tile_run(6, vectors, by_row, t); break;
    default: break;
    }
}

RGK_INLINE void tile_of_vectors(int rows, int vectors, const bool by_row, const tile *t)
{
    switch (vectors) {
    case 1: tile_of_rows(rows, 1, by_row, t); break;
    case 2: tile_of_rows(rows, 2, by_row, t); break;
#if TILE_VECTORS == 4
    case 3: tile_of_rows(rows, 3, by_row, t); break;
    case 4: tile_of_rows(rows, 4, by_row, t); break;
#endif
    default: break;
    }
}

static void tile_by_rows(int rows, int vectors, const tile *t)
{
    tile_of_vectors(rows, vectors, true, t);
}

static void tile_by_columns(int rows, int vectors, const tile *t)
{
    tile_of_vectors(rows, vectors, false, t);
}

#endif
