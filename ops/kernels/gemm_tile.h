/* gemm_tile.h - the innermost loop of the product: a tile of C in registers.

   The tile is `rows` x `vectors`; V gives the vectors, S one number a row, broadcast. Every element is one chain of
   multiply-adds over l = 0 .. k-1, started from zero or from what C holds: the order that all paths of gemm share. */
#ifndef RGK_GEMM_TILE_H
#define RGK_GEMM_TILE_H

#include "isa.h"
#include "tile_size.h"

#include <stdbool.h>

/* How many rows of V ahead memory is asked for; and L2, by wide tiles, for L1 does not hold their packed panels. */
#define TILE_AHEAD 16
#define TILE_NEAR 4

typedef struct tile {
    size_t k;
    const real *s; /* element (i, l) at s[i * s_row + l * s_col] */
    ptrdiff_t s_row, s_col;
    const real *v; /* row l at v + l * v_row */
    ptrdiff_t v_row;
    real *packed; /* of tile_direct: gets the rows of V, one after the other, if not NULL */
    bool near;    /* of tile_direct: V is in L2, from where it comes fast enough unasked; asking would take its ports */
    real *c;
    ptrdiff_t c_row;
    const real *ahead; /* of tile_packed: what comes next, asked for at every l, in steps of ahead_row */
    ptrdiff_t ahead_row;
    size_t last; /* columns of the last vector, 1 .. RGK_LANES; no other memory of C is touched */
    bool accumulate;
    real factor; /* not 0: the sums, begun from zero, are added to C so many times */
} tile;

/* Keeps the compiler from computing addresses once for several parts of a tile: they would be spilled meanwhile. */
RGK_INLINE ptrdiff_t tile_fresh(ptrdiff_t x)
{
    __asm__("" : "+r"(x));
    return x;
}

RGK_INLINE void tile_load(const int rows, const int vectors, const tile *t, vreal sum[TILE_ROWS][TILE_VECTORS])
{
    const ptrdiff_t c_row = tile_fresh(t->c_row);
    const size_t last = t->last;
    const real *c = t->c;
    RGK_UNROLL
    for (int i = 0; i < rows; i++, c += c_row) {
        RGK_UNROLL
        for (int j = 0; j < vectors - 1; j++)
            sum[i][j] = v_load(c + j * RGK_LANES);
    }
    c = t->c + (vectors - 1) * RGK_LANES;
    RGK_UNROLL
    for (int i = 0; i < rows; i++, c += c_row)
        sum[i][vectors - 1] = last == RGK_LANES ? v_load(c) : v_load_part(c, last);
}

/* The sums so many times, added to what C holds. */
RGK_INLINE void tile_update(const int rows, const int vectors, const tile *t, vreal sum[TILE_ROWS][TILE_VECTORS])
{
    const ptrdiff_t c_row = tile_fresh(t->c_row);
    const size_t last = t->last;
    const vreal factor = v_set(t->factor);
    const real *c = t->c;
    RGK_UNROLL
    for (int i = 0; i < rows; i++, c += c_row) {
        RGK_UNROLL
        for (int j = 0; j < vectors; j++) {
            const real *at = c + j * RGK_LANES;
            const bool whole = j < vectors - 1 || last == RGK_LANES;
            sum[i][j] = v_fma(factor, sum[i][j], whole ? v_load(at) : v_load_part(at, last));
        }
    }
}

RGK_INLINE void tile_store(const int rows, const int vectors, const tile *t, vreal sum[TILE_ROWS][TILE_VECTORS])
{
    const ptrdiff_t c_row = tile_fresh(t->c_row);
    const size_t last = t->last;
    real *c = t->c;
    if (last == RGK_LANES) {
        RGK_UNROLL
        for (int i = 0; i < rows; i++, c += c_row) {
            RGK_UNROLL
            for (int j = 0; j < vectors; j++)
                v_store(c + j * RGK_LANES, sum[i][j]);
        }
        return;
    }
    RGK_UNROLL
    for (int i = 0; i < rows; i++, c += c_row) {
        RGK_UNROLL
        for (int j = 0; j < vectors - 1; j++)
            v_store(c + j * RGK_LANES, sum[i][j]);
        v_store_part(c + (vectors - 1) * RGK_LANES, last, sum[i][vectors - 1]);
    }
}

/* Where V lies packed, its last vector is whole; where it is read directly, only `last` columns are there. */
RGK_INLINE void tile_run(const int rows, const int vectors, const bool direct, const tile *t)
{
    vreal sum[TILE_ROWS][TILE_VECTORS];
    if (t->accumulate) {
        tile_load(rows, vectors, t, sum);
    } else {
        RGK_UNROLL
        for (int i = 0; i < rows; i++) {
            RGK_UNROLL
            for (int j = 0; j < vectors; j++)
                sum[i][j] = v_set(0);
        }
    }
    const size_t k = t->k, last = t->last;
    const ptrdiff_t s_row = t->s_row, s_col = t->s_col, v_row = t->v_row;
    const real *v = t->v, *s = t->s, *s3 = t->s + 3 * s_row; /* rows 3 and up: short addresses */
    real *packed = t->packed;
    const bool near = t->near;
    const real *ahead = t->ahead;
    const ptrdiff_t ahead_row = t->ahead_row;
    for (size_t l = 0; l < k; l++) {
        vreal b[TILE_VECTORS];
        RGK_UNROLL
        for (int j = 0; j < vectors; j++) {
            if (!direct || j < vectors - 1 || last == RGK_LANES)
                b[j] = v_load(v + j * RGK_LANES);
            else
                b[j] = v_load_part(v + j * RGK_LANES, last);
        }
        if (direct && !near) {
            RGK_UNROLL
            for (int j = 0; j < vectors * RGK_VECTOR_BYTES; j += 64)
                __builtin_prefetch((const char *)(v + TILE_AHEAD * v_row) + j, 0, 2);
        }
        if (direct && packed) {
            RGK_UNROLL
            for (int j = 0; j < vectors; j++)
                v_store(packed + j * RGK_LANES, b[j]);
            packed += vectors * RGK_LANES;
        }
        RGK_UNROLL
        for (int i = 0; i < rows; i++) {
            const vreal a = v_set((i < 3 ? s : s3)[i % 3 * s_row]);
            RGK_UNROLL
            for (int j = 0; j < vectors; j++)
                sum[i][j] = v_fma(a, b[j], sum[i][j]);
        }
        if (!direct) {
            if (vectors > 2) {
                RGK_UNROLL
                for (int j = 0; j < vectors * RGK_VECTOR_BYTES; j += 64)
                    __builtin_prefetch((const char *)(v + TILE_NEAR * v_row) + j, 0, 3);
            }
            __builtin_prefetch(ahead, 0, 2);
            ahead += ahead_row;
        }
        v += v_row;
        s += s_col;
        s3 += s_col;
    }
    if (t->factor != 0)
        tile_update(rows, vectors, t, sum);
    tile_store(rows, vectors, t, sum);
}

RGK_INLINE void tile_of_rows(int rows, const int vectors, const bool direct, const tile *t)
{
    switch (rows) {
    case 1:
        tile_run(1, vectors, direct, t);
        break;
    case 2:
        tile_run(2, vectors, direct, t);
        break;
    case 3:
        tile_run(3, vectors, direct, t);
        break;
    case 4:
        tile_run(4, vectors, direct, t);
        break;
    case 5:
        tile_run(5, vectors, direct, t);
        break;
    case 6:
        tile_run(6, vectors, direct, t);
        break;
    default:
        break;
    }
}

RGK_INLINE void tile_of_vectors(int rows, int vectors, const bool direct, const tile *t)
{
    switch (vectors) {
    case 1:
        tile_of_rows(rows, 1, direct, t);
        break;
    case 2:
        tile_of_rows(rows, 2, direct, t);
        break;
#if TILE_VECTORS == 4
    case 3:
        tile_of_rows(rows, 3, direct, t);
        break;
    case 4:
        tile_of_rows(rows, 4, direct, t);
        break;
#endif
    default:
        break;
    }
}

static void tile_packed(int rows, int vectors, const tile *t)
{
    tile_of_vectors(rows, vectors, false, t);
}

static void tile_direct(int rows, int vectors, const tile *t)
{
    tile_of_vectors(rows, vectors, true, t);
}

#endif
