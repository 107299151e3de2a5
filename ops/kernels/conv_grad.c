/* conv_grad.c - the gradient of a convolution with respect to its weights: sums over pixels.

   Many outputs: cotangents are turned, so that outputs lie along the vectors, and source elements are broadcast. Few:
   both are read along a row of pixels, and the lanes are added at its end. Sums go on from what is there, row by
   row. */
#include "gemm_turn.h"
#include "list.h"
#include "tile_size.h"
#include "vector.h"

#define WIDE_TERMS 8  /* from which turning pays, if outputs fill most lanes */
#define NARROW_ROWS 4 /* of a tile of dot products */

static size_t padded(size_t rows)
{
    return (rows + RGK_LANES - 1) / RGK_LANES * RGK_LANES;
}

static bool wide(size_t rows, size_t k)
{
    return k >= WIDE_TERMS && rows >= RGK_LANES && 4 * rows >= 3 * padded(rows);
}

size_t RGK_NAME(conv_grad_room)(size_t rows, size_t k)
{
    return (wide(rows, k) ? padded(rows) : rows) * k;
}

/* ---- many outputs ---- */

/* rows x vectors sums, rows of terms and vectors of outputs, over all pixels of a strip. */
typedef struct wide_tile {
    const rgk_conv_grad *g;
    const rgk_term *terms;
    const real *turned; /* pixels x vectors */
    real *sum;
    const real *next; /* sums */
    size_t sum_row;
} wide_tile;

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
    const size_t sums = (size_t)rows * (size_t)vectors;
    for (size_t y = 0, left = g->images * g->height; left-- > 0; y++) {
        const size_t width = g->width;
        if (y == g->height) {
            y = 0;
            RGK_UNROLL
            for (int i = 0; i < rows; i++)
                s[i] += image;
        }
        /* The sums of the next tile, a few with every row. */
        for (size_t end = left ? least(asked + 2, sums) : sums; asked < end; asked++)
            __builtin_prefetch(t->next + asked / (size_t)vectors * t->sum_row + asked % (size_t)vectors * RGK_LANES, 1);
        for (size_t x = 0; x < width; x++, v += vectors * RGK_LANES) {
            vreal b[TILE_VECTORS];
            RGK_UNROLL
            for (int j = 0; j < vectors; j++)
                b[j] = v_load(v + j * RGK_LANES);
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

/* Outputs [o, o + n) of a strip's cotangents, a vector or several of outputs for each pixel. */
static void turn(const rgk_conv_grad *g, size_t o, size_t n, real *out)
{
    const size_t width = padded(n);
    for (size_t i = 0; i < g->images; i++) {
        const real *dy = (const real *)g->dy + (ptrdiff_t)o * g->dy_row + (ptrdiff_t)(i * g->dy_image);
        const bool dense = g->height == 1 || g->dy_down == (ptrdiff_t)g->width;
        const size_t rows = dense ? 1 : g->height, cols = dense ? g->height * g->width : g->width;
        for (size_t y = 0; y < rows; y++, dy += g->dy_down, out += cols * width)
            turn_matrix(true, n, cols, dy, g->dy_row, out, (ptrdiff_t)width);
    }
}

/* sum[block][term][output]: blocks of TILE_COLS outputs, the last one of whole vectors, one behind the other. */
static void add_wide(const rgk_conv_grad *g, size_t from, size_t to, real *turned)
{
    const size_t tiles = (g->k + TILE_ROWS - 1) / TILE_ROWS;
    for (size_t o = from; o < to; o += TILE_COLS) {
        const size_t n = least(TILE_COLS, to - o), width = padded(n);
        turn(g, o, n, turned);
        for (size_t q = 0; q < tiles; q++) {
            const size_t row = g->k * q / tiles, rows = g->k * (q + 1) / tiles - row;
            real *sum = (real *)g->sum + o * g->k + row * width;
            const wide_tile t = {g, g->terms + row, turned, sum, sum + rows * width, width};
            wide_any((int)rows, (int)(width / RGK_LANES), &t);
        }
    }
}

static void put_wide(size_t all, size_t k, size_t from, size_t to, const real *sum, real *dw)
{
    for (size_t o = from; o < to;) {
        const size_t block = o / TILE_COLS * TILE_COLS, end = least(block + TILE_COLS, to);
        const size_t width = padded(least(TILE_COLS, all - block));
        turn_matrix(false, k, end - o, sum + block * k + (o - block), (ptrdiff_t)width, dw + (o - from) * k,
                    (ptrdiff_t)k);
        o = end;
    }
}

/* ---- few outputs ---- */

/* The lanes of n = outputs x terms vectors added: squares of vectors are turned, and their rows added in pairs. */
RGK_INLINE void fold_all(const int n, const int terms, vreal sum[NARROW_ROWS][TILE_ROWS], real *out)
{
    RGK_UNROLL
    for (int first = 0; first < n; first += RGK_LANES) {
        vreal r[RGK_LANES];
        RGK_UNROLL
        for (int q = 0; q < RGK_LANES; q++)
            r[q] = first + q < n ? sum[(first + q) / terms][(first + q) % terms] : v_set(0);
        turn_square(r);
        RGK_UNROLL
        for (int half = RGK_LANES / 2; half > 0; half /= 2) {
            RGK_UNROLL
            for (int q = 0; q < half; q++)
                r[q] += r[q + half];
        }
        v_store(out + first, r[0]);
    }
}

RGK_INLINE void narrow_run(const int outputs, const int terms, const rgk_conv_grad *g, size_t o, size_t l)
{
    vreal sum[NARROW_ROWS][TILE_ROWS];
    const real *s[TILE_ROWS], *d[NARROW_ROWS];
    RGK_UNROLL
    for (int j = 0; j < terms; j++)
        s[j] = (const real *)g->source + g->terms[l + (size_t)j].source;
    RGK_UNROLL
    for (int i = 0; i < outputs; i++) {
        d[i] = (const real *)g->dy + (ptrdiff_t)(o + (size_t)i) * g->dy_row;
        RGK_UNROLL
        for (int j = 0; j < terms; j++)
            sum[i][j] = v_set(0);
    }
    for (size_t y = 0, rows = g->images * g->height; rows-- > 0; y++) {
        if (y == g->height) {
            y = 0;
            RGK_UNROLL
            for (int j = 0; j < terms; j++)
                s[j] += (ptrdiff_t)g->source_image - (ptrdiff_t)(g->height * g->pitch);
            RGK_UNROLL
            for (int i = 0; i < outputs; i++)
                d[i] += (ptrdiff_t)g->dy_image - (ptrdiff_t)g->height * g->dy_down;
        }
        for (size_t x = 0; x < g->width; x += RGK_LANES) {
            const size_t left = g->width - x;
            vreal a[NARROW_ROWS];
            RGK_UNROLL
            for (int i = 0; i < outputs; i++)
                a[i] = load_some(d[i] + x, left);
            RGK_UNROLL
            for (int j = 0; j < terms; j++) {
                const vreal b = load_some(s[j] + x, left);
                RGK_UNROLL
                for (int i = 0; i < outputs; i++)
                    sum[i][j] = v_fma(a[i], b, sum[i][j]);
            }
        }
        RGK_UNROLL
        for (int j = 0; j < terms; j++)
            s[j] += g->pitch;
        RGK_UNROLL
        for (int i = 0; i < outputs; i++)
            d[i] += g->dy_down;
    }
    real folded[NARROW_ROWS * TILE_ROWS + RGK_LANES];
    fold_all(outputs * terms, terms, sum, folded);
    for (int i = 0; i < outputs; i++)
        for (int j = 0; j < terms; j++) {
            real *y = (real *)g->sum + (o + (size_t)i) * g->k + l + (size_t)j;
            *y = (g->fresh ? 0 : *y) + folded[i * terms + j];
        }
}

RGK_INLINE void narrow_terms(const int outputs, int terms, const rgk_conv_grad *g, size_t o, size_t l)
{
    switch (terms) {
    case 1:
        narrow_run(outputs, 1, g, o, l);
        break;
    case 2:
        narrow_run(outputs, 2, g, o, l);
        break;
    case 3:
        narrow_run(outputs, 3, g, o, l);
        break;
    case 4:
        narrow_run(outputs, 4, g, o, l);
        break;
    case 5:
        narrow_run(outputs, 5, g, o, l);
        break;
    case 6:
        narrow_run(outputs, 6, g, o, l);
        break;
    default:
        break;
    }
}

static void narrow_any(int outputs, int terms, const rgk_conv_grad *g, size_t o, size_t l)
{
    switch (outputs) {
    case 1:
        narrow_terms(1, terms, g, o, l);
        break;
    case 2:
        narrow_terms(2, terms, g, o, l);
        break;
    case 3:
        narrow_terms(3, terms, g, o, l);
        break;
    case 4:
        narrow_terms(4, terms, g, o, l);
        break;
    default:
        break;
    }
}

/* sum[output][term] */
static void add_narrow(const rgk_conv_grad *g, size_t from, size_t to)
{
    const size_t tiles = (g->k + TILE_ROWS - 1) / TILE_ROWS;
    for (size_t o = from; o < to; o += NARROW_ROWS)
        for (size_t q = 0; q < tiles; q++) {
            const size_t l = g->k * q / tiles, n = g->k * (q + 1) / tiles - l;
            narrow_any((int)least(NARROW_ROWS, to - o), (int)n, g, o, l);
        }
}

/* ---- both ---- */

size_t RGK_NAME(conv_grad_unit)(size_t rows, size_t k)
{
    return wide(rows, k) ? TILE_COLS : NARROW_ROWS;
}

size_t RGK_NAME(conv_grad_scratch)(size_t rows, size_t k, size_t pixels)
{
    return wide(rows, k) ? pixels * TILE_COLS * sizeof(real) : 0;
}

void RGK_NAME(conv_grad)(const rgk_conv_grad *g, size_t from, size_t to, void *scratch)
{
    if (wide(g->rows, g->k))
        add_wide(g, from, to, scratch);
    else
        add_narrow(g, from, to);
}

void RGK_NAME(conv_grad_put)(size_t rows, size_t k, size_t from, size_t to, const void *sum, void *dw)
{
    if (wide(rows, k))
        put_wide(rows, k, from, to, sum, dw);
    else
        memcpy(dw, (const real *)sum + from * k, (to - from) * k * sizeof(real));
}
