/* conv_grad_tile.h - the innermost loops of the gradient of the weights: sums of terms by vectors of outputs, in
   registers, over all pixels of a strip. Every sum is one chain of multiply-adds over the pixels. */
#ifndef RGK_CONV_GRAD_TILE_H
#define RGK_CONV_GRAD_TILE_H

#include "gemm_turn.h"
#include "kernels.h"
#include "tile_size.h"

#define ROW_VECTORS 2 /* of outputs, in tiles of rows of the kernel */
#define MOST_TAPS 5   /* of such a row */

typedef struct wide_tile {
    const rgk_conv_grad *g;
    const rgk_term *terms, *next_terms; /* of the next tile, whose source is asked for */
    size_t kernel_row;                  /* of the first terms, counted over all channels */
    const real *zeros;                  /* a row of the source that does not exist */
    const real *turned;                 /* pixels x vectors */
    real *sum;
    const real *next; /* sums */
    size_t sum_row;
} wide_tile;

/* The sums of the next tile, a few with every row of pixels, of which so many are left; returns how many there were. */
RGK_INLINE size_t ask_for_sums(const wide_tile *t, size_t asked, size_t left, size_t terms, size_t vectors)
{
    const size_t sums = terms * vectors;
    for (size_t end = left ? least(asked + 2, sums) : sums; asked < end; asked++)
        __builtin_prefetch(t->next + asked / vectors * t->sum_row + asked % vectors * RGK_LANES, 1);
    return asked;
}

/* ---- rows terms ---- */

RGK_INLINE void wide_run(const int rows, const int vectors, const wide_tile *t)
{
    const rgk_conv_grad *g = t->g;
    vreal sum[TILE_ROWS][TILE_VECTORS];
    const real *s[TILE_ROWS];
    RGK_UNROLL
    for (int i = 0; i < rows; i++) {
        s[i] = (const real *)g->source + t->terms[i].source;
        RGK_UNROLL
        for (int j = 0; j < vectors; j++)
            sum[i][j] = g->fresh ? v_set(0) : v_load(t->sum + (size_t)i * t->sum_row + j * RGK_LANES);
    }
    const real *v = t->turned;
    const ptrdiff_t image = (ptrdiff_t)g->source_image - (ptrdiff_t)(g->height * g->pitch);
    size_t asked = 0;
    for (size_t y = 0, left = g->images * g->height; left-- > 0; y++) {
        const size_t step = g->step, end = g->width * step;
        if (y == g->height) {
            y = 0;
            RGK_UNROLL
            for (int i = 0; i < rows; i++)
                s[i] += image;
        }
        asked = ask_for_sums(t, asked, left, (size_t)rows, (size_t)vectors);
        for (size_t x = 0; x < end; x += step, v += vectors * RGK_LANES) {
            vreal b[TILE_VECTORS];
            RGK_UNROLL
            for (int j = 0; j < vectors; j++)
                b[j] = v_loaded(v_load(v + j * RGK_LANES));
            RGK_UNROLL
            for (int i = 0; i < rows; i++) {
                const vreal a = v_set(s[i][x]);
                RGK_UNROLL
                for (int j = 0; j < vectors; j++)
                    sum[i][j] = v_fma(a, b[j], sum[i][j]);
            }
        }
        RGK_UNROLL
        for (int i = 0; i < rows; i++)
            s[i] += g->pitch;
    }
    RGK_UNROLL
    for (int i = 0; i < rows; i++) {
        RGK_UNROLL
        for (int j = 0; j < vectors; j++)
            v_store(t->sum + (size_t)i * t->sum_row + j * RGK_LANES, sum[i][j]);
    }
}

RGK_INLINE void wide_rows(int rows, const int vectors, const wide_tile *t)
{
    switch (rows) {
    case 1:
        wide_run(1, vectors, t);
        break;
    case 2:
        wide_run(2, vectors, t);
        break;
    case 3:
        wide_run(3, vectors, t);
        break;
    case 4:
        wide_run(4, vectors, t);
        break;
    case 5:
        wide_run(5, vectors, t);
        break;
    case 6:
        wide_run(6, vectors, t);
        break;
    default:
        break;
    }
}

static void wide_any(int rows, int vectors, const wide_tile *t)
{
    switch (vectors) {
    case 1:
        wide_rows(rows, 1, t);
        break;
    case 2:
        wide_rows(rows, 2, t);
        break;
#if TILE_VECTORS == 4
    case 3:
        wide_rows(rows, 3, t);
        break;
    case 4:
        wide_rows(rows, 4, t);
        break;
#endif
    default:
        break;
    }
}

#if TILE_VECTORS == 4

/* ---- rows of the kernel ----

   The taps of a row of the kernel see elements that follow one another: those of two pixels are broadcast once for
   both, and one pointer serves them all. So tiles are large enough for few vectors of outputs, too. */

#define ROW_SUMS 24 /* registers */
#define LINE 64     /* bytes that are asked for at a time */

/* The rows of a tile. */
RGK_INLINE int most_rows(const int taps, const int vectors)
{
    return taps == 3 ? (vectors == 1 ? 6 : 4) : (vectors == 1 ? 4 : 2);
}

/* Pixels x .. of a row, whose cotangents are at v; at an edge, elements of the source outside of [lo, hi) are not. */
RGK_INLINE void add_pixels(const bool edge, const int pixels, const int rows, const int taps, const int vectors,
                           const real *const *s, size_t x, size_t lo, size_t hi, const real *v,
                           vreal sum[ROW_SUMS][ROW_VECTORS])
{
    vreal b[2][ROW_VECTORS];
    RGK_UNROLL
    for (int i = 0; i < pixels; i++) {
        RGK_UNROLL
        for (int j = 0; j < vectors; j++)
            b[i][j] = v_loaded(v_load(v + (i * vectors + j) * RGK_LANES));
    }
    RGK_UNROLL
    for (int q = 0; q < taps + pixels - 1; q++) {
        if (edge && (x + (size_t)q < lo || x + (size_t)q >= hi))
            continue;
        RGK_UNROLL
        for (int r = 0; r < rows; r++) {
            const vreal a = v_set(s[r][x + (size_t)q]);
            RGK_UNROLL
            for (int i = 0; i < pixels; i++) {
                RGK_UNROLL
                for (int j = 0; j < vectors; j++)
                    if (q - i >= 0 && q - i < taps)
                        sum[r * taps + q - i][j] = v_fma(a, b[i][j], sum[r * taps + q - i][j]);
            }
        }
    }
}

/* What the next tile sees of the source beside row y of pixels: of its first and its last row of the kernel. */
RGK_INLINE void ask_for_source(const rgk_conv_grad *g, const real *first, const real *last)
{
    for (size_t x = 0; x < g->width; x += LINE / sizeof(real)) {
        __builtin_prefetch(first + x);
        __builtin_prefetch(last + x);
    }
}

RGK_INLINE void rows_run(const int rows, const int taps, const int vectors, const wide_tile *t)
{
    const rgk_conv_grad *g = t->g;
    vreal sum[ROW_SUMS][ROW_VECTORS];
    const real *s[6];
    ptrdiff_t at[6]; /* rows of the source */
    RGK_UNROLL
    for (int r = 0; r < rows; r++) {
        s[r] = (const real *)g->source + t->terms[r * taps].source;
        at[r] = g->direct ? g->first_row + (ptrdiff_t)((t->kernel_row + (size_t)r) % g->height_taps) : 0;
    }
    RGK_UNROLL
    for (int i = 0; i < rows * taps; i++) {
        RGK_UNROLL
        for (int j = 0; j < vectors; j++)
            sum[i][j] = g->fresh ? v_set(0) : v_load(t->sum + (size_t)i * t->sum_row + j * RGK_LANES);
    }
    const real *v = t->turned, *first = (const real *)g->source + t->next_terms->source,
               *last = (const real *)g->source + t->next_terms[rows * taps - 1].source;
    const size_t seen = g->direct ? g->seen_rows : SIZE_MAX, lo = g->direct ? g->left : 0,
                 hi = g->width + (size_t)taps - 1 - (g->direct ? g->right : 0);
    const ptrdiff_t image = (ptrdiff_t)g->source_image - (ptrdiff_t)(g->height * g->pitch);
    size_t asked = 0;
    for (size_t y = 0, left = g->images * g->height; left-- > 0; y++) {
        const size_t width = g->width;
        if (y == g->height) {
            y = 0;
            RGK_UNROLL
            for (int r = 0; r < rows; r++)
                s[r] += image;
            first += image;
            last += image;
        }
        asked = ask_for_sums(t, asked, left, (size_t)(rows * taps), (size_t)vectors);
        if (g->direct)
            ask_for_source(g, first, last);
        const real *p[6];
        RGK_UNROLL
        for (int r = 0; r < rows; r++)
            p[r] = (size_t)(at[r] + (ptrdiff_t)y) < seen ? s[r] : t->zeros;
        size_t x = 0;
        for (; x + 2 <= width; x += 2, v += 2 * vectors * RGK_LANES) {
            if (x >= lo && x + (size_t)taps + 1 <= hi)
                add_pixels(false, 2, rows, taps, vectors, p, x, lo, hi, v, sum);
            else
                add_pixels(true, 2, rows, taps, vectors, p, x, lo, hi, v, sum);
        }
        if (x < width) {
            add_pixels(true, 1, rows, taps, vectors, p, x, lo, hi, v, sum);
            v += vectors * RGK_LANES;
        }
        RGK_UNROLL
        for (int r = 0; r < rows; r++)
            s[r] += g->pitch;
        first += g->pitch;
        last += g->pitch;
    }
    RGK_UNROLL
    for (int i = 0; i < rows * taps; i++) {
        RGK_UNROLL
        for (int j = 0; j < vectors; j++)
            v_store(t->sum + (size_t)i * t->sum_row + j * RGK_LANES, sum[i][j]);
    }
}

RGK_INLINE void rows_any(int rows, const int taps, const int vectors, const wide_tile *t)
{
    switch (rows) {
    case 1:
        rows_run(1, taps, vectors, t);
        break;
    case 2:
        rows_run(2, taps, vectors, t);
        break;
    case 3:
        if (most_rows(taps, vectors) > 2)
            rows_run(3, taps, vectors, t);
        break;
    case 4:
        if (most_rows(taps, vectors) > 2)
            rows_run(4, taps, vectors, t);
        break;
    case 5:
        if (most_rows(taps, vectors) > 4)
            rows_run(5, taps, vectors, t);
        break;
    case 6:
        if (most_rows(taps, vectors) > 4)
            rows_run(6, taps, vectors, t);
        break;
    default:
        break;
    }
}

/* Rows of the kernel in a tile, at most; 0: terms are taken one by one. */
static size_t kernel_rows(size_t taps, size_t vectors)
{
    return (taps == 3 || taps == 5) && vectors <= ROW_VECTORS ? (size_t)most_rows((int)taps, (int)vectors) : 0;
}

static void rows_tile(size_t rows, size_t taps, size_t vectors, const wide_tile *t)
{
    if (taps == 3 && vectors == 1)
        rows_any((int)rows, 3, 1, t);
    else if (taps == 3)
        rows_any((int)rows, 3, 2, t);
    else if (vectors == 1)
        rows_any((int)rows, 5, 1, t);
    else
        rows_any((int)rows, 5, 2, t);
}

#else

static size_t kernel_rows(size_t taps, size_t vectors)
{
    (void)taps, (void)vectors;
    return 0;
}

static void rows_tile(size_t rows, size_t taps, size_t vectors, const wide_tile *t)
{
    (void)rows, (void)taps, (void)vectors, (void)t;
}

#endif
#endif
