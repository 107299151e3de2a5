/* conv_grad.c - the gradient of a convolution with respect to its weights: sums over pixels.

   Many outputs: cotangents are turned, so that outputs lie along the vectors, and source elements are broadcast. Few:
   both are read along a row of pixels, and the lanes are added at its end; memory is asked for the cotangents of the
   outputs that follow. Sums go on from what is there, row by row. */
#include "conv_grad_tile.h"
#include "list.h"
#include "vector.h"

/* Tiles of dot products: outputs x terms. Where all terms fit into one, cotangents are read once. */
#define NARROW_ROWS 4
#if TILE_VECTORS == 4
#define NARROW_TERMS 9
#define MANY_TERMS_ROWS 3 /* outputs beside more than TILE_ROWS terms */
#else
#define NARROW_TERMS TILE_ROWS
#define MANY_TERMS_ROWS NARROW_ROWS
#endif
#define WIDE_TERMS (NARROW_TERMS + 1) /* from which turning pays, if outputs fill most lanes */

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

bool RGK_NAME(conv_grad_steps)(size_t rows, size_t k)
{
    return wide(rows, k);
}

/* ---- many outputs ---- */

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

/* Outputs whose cotangents are turned together: few where rows of the kernel make the tiles, so that these stay in L1
   while all terms meet them. */
static size_t block_outputs(size_t taps)
{
    return kernel_rows(taps, ROW_VECTORS) ? ROW_VECTORS * RGK_LANES : TILE_COLS;
}

/* The sums of outputs [o, o + n), which lie `width` apart. */
static void add_block(const rgk_conv_grad *g, size_t o, size_t n, real *sum, size_t width, real *turned)
{
    const size_t vectors = padded(n) / RGK_LANES, most = kernel_rows(g->taps, vectors), step = most ? g->taps : 1,
                 all = g->k / step, tiles = (all + (most ? most : TILE_ROWS) - 1) / (most ? most : TILE_ROWS);
    wide_tile t = {.g = g, .turned = turned, .sum_row = width};
    if (g->direct) {
        real *zeros = turned + g->images * g->height * g->width * padded(n);
        memset(zeros, 0, (g->width + g->taps) * sizeof(real));
        t.zeros = zeros;
    }
    turn(g, o, n, turned);
    for (size_t q = 0; q < tiles; q++) {
        const size_t row = all * q / tiles, end = all * (q + 1) / tiles;
        t.terms = g->terms + row * step;
        t.next_terms = g->terms + (end < all ? end * step : 0);
        t.kernel_row = row;
        t.sum = sum + row * step * width;
        t.next = sum + end * step * width;
        if (most)
            rows_tile(end - row, step, vectors, &t);
        else
            wide_any((int)(end - row), (int)vectors, &t);
    }
}

/* sum[block][term][output]: blocks of TILE_COLS outputs, the last one of whole vectors, one behind the other. */
static void add_wide(const rgk_conv_grad *g, size_t from, size_t to, real *turned)
{
    const size_t step = block_outputs(g->taps);
    for (size_t o = from; o < to; o += TILE_COLS) {
        const size_t n = least(TILE_COLS, to - o);
        for (size_t at = 0; at < n; at += step)
            add_block(g, o + at, least(step, n - at), (real *)g->sum + o * g->k + at, padded(n), turned);
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
RGK_INLINE void fold_all(const int n, const int terms, vreal sum[NARROW_ROWS][NARROW_TERMS], real *out)
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

/* What is left of a row from here on, at most a vector: without a branch where that is cheap. */
RGK_INLINE vreal load_left(const real *p, size_t left)
{
#if RGK_VECTOR_BYTES == 64
    return v_load_part(p, least(left, RGK_LANES));
#else
    return load_some(p, left);
#endif
}

RGK_INLINE void narrow_run(const int outputs, const int terms, const rgk_conv_grad *g, size_t o, size_t l)
{
    vreal sum[NARROW_ROWS][NARROW_TERMS];
    const real *s[NARROW_TERMS], *d = (const real *)g->dy + (ptrdiff_t)o * g->dy_row;
    const ptrdiff_t dy_row = g->dy_row;
    RGK_UNROLL
    for (int j = 0; j < terms; j++)
        s[j] = (const real *)g->source + g->terms[l + (size_t)j].source;
    RGK_UNROLL
    for (int i = 0; i < outputs; i++) {
        RGK_UNROLL
        for (int j = 0; j < terms; j++)
            sum[i][j] = v_set(0);
    }
    size_t at = 0; /* in the source */
    for (size_t y = 0, rows = g->images * g->height; rows-- > 0; y++, at += g->pitch, d += g->dy_down) {
        if (y == g->height) {
            y = 0;
            at += g->source_image - g->height * g->pitch;
            d += (ptrdiff_t)g->dy_image - (ptrdiff_t)g->height * g->dy_down;
        }
        for (size_t x = 0; x < g->width; x += RGK_LANES) {
            const size_t left = g->width - x;
            vreal a[NARROW_ROWS];
            RGK_UNROLL
            for (int i = 0; i < outputs; i++) {
                __builtin_prefetch(d + (i + outputs) * dy_row + x);
                a[i] = load_left(d + i * dy_row + x, left);
            }
            RGK_UNROLL
            for (int j = 0; j < terms; j++) {
                const vreal b = v_loaded(load_left(s[j] + at + x, left));
                RGK_UNROLL
                for (int i = 0; i < outputs; i++)
                    sum[i][j] = v_fma(a[i], b, sum[i][j]);
            }
        }
    }
    real folded[NARROW_ROWS * NARROW_TERMS + RGK_LANES];
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
#if NARROW_TERMS == 9
    case 7:
        if (outputs <= MANY_TERMS_ROWS)
            narrow_run(outputs, 7, g, o, l);
        break;
    case 8:
        if (outputs <= MANY_TERMS_ROWS)
            narrow_run(outputs, 8, g, o, l);
        break;
    case 9:
        if (outputs <= MANY_TERMS_ROWS)
            narrow_run(outputs, 9, g, o, l);
        break;
#endif
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

/* Outputs of a tile. */
static size_t narrow_rows(size_t k)
{
    return k > TILE_ROWS && k <= NARROW_TERMS ? MANY_TERMS_ROWS : NARROW_ROWS;
}

/* sum[output][term] */
static void add_narrow(const rgk_conv_grad *g, size_t from, size_t to)
{
    const size_t tiles = g->k <= NARROW_TERMS ? 1 : (g->k + TILE_ROWS - 1) / TILE_ROWS, rows = narrow_rows(g->k);
    for (size_t o = from; o < to; o += rows)
        for (size_t q = 0; q < tiles; q++) {
            const size_t l = g->k * q / tiles, n = g->k * (q + 1) / tiles - l;
            narrow_any((int)least(rows, to - o), (int)n, g, o, l);
        }
}

/* ---- both ---- */

size_t RGK_NAME(conv_grad_unit)(size_t rows, size_t k)
{
    return wide(rows, k) ? TILE_COLS : narrow_rows(k);
}

size_t RGK_NAME(conv_grad_scratch)(size_t rows, size_t k, size_t pixels)
{
    return wide(rows, k) ? (pixels * TILE_COLS + pixels + MOST_TAPS) * sizeof(real) : 0;
}

bool RGK_NAME(conv_grad_direct)(size_t rows, size_t k, size_t taps)
{
    return wide(rows, k) && kernel_rows(taps, ROW_VECTORS);
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
