/* gemm_tall.h - products of a large matrix that lies by rows with so few columns that one or two vectors hold them: the
   matrix is read once, as it lies, by as many rows at a time as the registers have sums for.

   Rows that are whole pages apart share a set of L1, which has fewer ways than a tile has rows. So a line of each row
   is brought into a buffer as soon as it is there, and numbers are broadcast from there; memory is asked for the lines
   behind it, at the end of rows for those of the next tile. */
#ifndef RGK_GEMM_TALL_H
#define RGK_GEMM_TALL_H

#include "gemm_block.h"
#include "gemm_pack.h"

#if RGK_VECTOR_BYTES == 64 || defined(__aarch64__)
#define TALL_ROWS(vectors) ((vectors) == 1 ? 14 : 12)
#else
#define TALL_ROWS(vectors) ((vectors) == 1 ? 12 : 6)
#endif
#define TALL_MOST 14
#define TALL_COLS (2 * RGK_LANES)
#define TALL_LINE ((size_t)(64 / sizeof(real)))
#define TALL_AHEAD ((size_t)(512 / sizeof(real))) /* elements of a row */
#define TALL_LEAST ((size_t)64)                   /* rows of the matrix, for tiles of about as many rows each */
#define TALL_BYTES ((size_t)512 * 1024)           /* of the matrix: smaller ones are near in any case */

/* C[i][j] = or += sum over l of w[i][l] v[l][j] for n rows of W. */
typedef struct tall {
    size_t n, k, cols;
    const real *w;
    ptrdiff_t w_row;
    const real *v;
    ptrdiff_t v_row, v_col;
    real *c;
    ptrdiff_t c_row;
    bool turned; /* it lies at c[j * c_row + i], else at c[i * c_row + j] */
    bool accumulate;
} tall;

/* The next line of each row, `there` elements of it. */
RGK_INLINE void tall_fetch(const int rows, const real *w, ptrdiff_t w_row, size_t there, real *line)
{
    RGK_UNROLL
    for (int i = 0; i < rows; i++, w += w_row) {
        RGK_UNROLL
        for (size_t q = 0; q < TALL_LINE; q += RGK_LANES)
            v_store(line + (size_t)i * TALL_LINE + q, there >= TALL_LINE ? v_load(w + q)
                                                      : q < there        ? load_some(w + q, there - q)
                                                                         : v_set(0));
    }
}

/* A row of V times the numbers of a line's column. */
RGK_INLINE void tall_add(const int rows, const int vectors, const real *line, const real *v, vreal sum[TALL_MOST][2])
{
    vreal b[2];
    RGK_UNROLL
    for (int j = 0; j < vectors; j++)
        b[j] = v_load(v + j * RGK_LANES);
    RGK_UNROLL
    for (int i = 0; i < rows; i++) {
        const vreal a = v_set(line[(size_t)i * TALL_LINE]);
        RGK_UNROLL
        for (int j = 0; j < vectors; j++)
            sum[i][j] = v_fma(a, b[j], sum[i][j]);
    }
}

/* `rows` rows of W, of which k elements are summed, to or onto rows of whole vectors at y; v: packed. */
RGK_INLINE void tall_tile(const int rows, const int vectors, size_t k, const real *w, ptrdiff_t w_row, const real *v,
                          bool accumulate, real *y)
{
    real lines[2][TALL_MOST * TALL_LINE];
    vreal sum[TALL_MOST][2];
    RGK_UNROLL
    for (int i = 0; i < rows; i++) {
        RGK_UNROLL
        for (int j = 0; j < vectors; j++)
            sum[i][j] = accumulate ? v_load(y + (i * vectors + j) * RGK_LANES) : v_set(0);
    }
    tall_fetch(rows, w, w_row, k, lines[0]);
    size_t l = 0;
    for (int at = 0; l + TALL_LINE <= k; l += TALL_LINE, at ^= 1, v += (ptrdiff_t)TALL_LINE * vectors * RGK_LANES) {
        const size_t next = l + TALL_LINE;
        const real *soon = next + TALL_AHEAD < k ? w + next + TALL_AHEAD : w + rows * w_row + (next + TALL_AHEAD - k);
        RGK_UNROLL
        for (int i = 0; i < rows; i++)
            __builtin_prefetch(soon + i * w_row, 0, 3);
        if (next + TALL_LINE <= k)
            tall_fetch(rows, w + next, w_row, TALL_LINE, lines[at ^ 1]);
        else if (next < k)
            tall_fetch(rows, w + next, w_row, k - next, lines[at ^ 1]);
        RGK_UNROLL
        for (size_t u = 0; u < TALL_LINE; u++)
            tall_add(rows, vectors, lines[at] + u, v + (ptrdiff_t)u * vectors * RGK_LANES, sum);
    }
    for (const real *line = lines[l / TALL_LINE % 2]; l < k; l++, line++, v += vectors * RGK_LANES)
        tall_add(rows, vectors, line, v, sum);
    RGK_UNROLL
    for (int i = 0; i < rows; i++) {
        RGK_UNROLL
        for (int j = 0; j < vectors; j++)
            v_store(y + (i * vectors + j) * RGK_LANES, sum[i][j]);
    }
}

RGK_INLINE void tall_of_rows(int rows, const int vectors, size_t k, const real *w, ptrdiff_t w_row, const real *v,
                             bool accumulate, real *y)
{
#define TALL_CASE(r)                                                   \
    case r:                                                            \
        if ((r) <= TALL_ROWS(vectors) && 2 * (r) > TALL_ROWS(vectors)) \
            tall_tile(r, vectors, k, w, w_row, v, accumulate, y);      \
        break
    switch (rows) {
        TALL_CASE(4);
        TALL_CASE(5);
        TALL_CASE(6);
        TALL_CASE(10);
        TALL_CASE(11);
        TALL_CASE(12);
        TALL_CASE(13);
        TALL_CASE(14);
    default:
        break;
    }
#undef TALL_CASE
}

/* V into rows of whole vectors. */
RGK_INLINE void tall_pack(const tall *t, size_t l, size_t k, size_t width, real *packed)
{
    const real *v = t->v + (ptrdiff_t)l * t->v_row;
    if (t->v_col != 1) {
        pack_v(k, t->cols, v, t->v_row, t->v_col, packed);
        return;
    }
    for (size_t i = 0; i < k; i++, v += t->v_row, packed += width)
        for (size_t j = 0; j < width; j += RGK_LANES)
            v_store(packed + j, load_some(v + j, t->cols - j));
}

RGK_INLINE void tall_turn(const tall *t, size_t i, size_t rows, size_t width, bool back, real *y)
{
    real *c = t->c + (t->turned ? (ptrdiff_t)i : (ptrdiff_t)i * t->c_row);
    if (t->turned && back)
        turn_matrix(false, t->cols, rows, c, t->c_row, y, (ptrdiff_t)width);
    else if (t->turned)
        turn_matrix(false, rows, t->cols, y, (ptrdiff_t)width, c, t->c_row);
    for (size_t q = 0; q < rows && !t->turned; q++)
        for (size_t j = 0; j < t->cols; j += RGK_LANES) {
            real *to = c + (ptrdiff_t)q * t->c_row + j, *from = y + q * width + j;
            if (back)
                v_store(from, load_some(to, t->cols - j));
            else
                store_some(to, t->cols - j, v_load(from));
        }
}

RGK_INLINE void tall_with(const int vectors, const tall *t, real *scratch)
{
    const size_t width = (size_t)vectors * RGK_LANES, most = (size_t)TALL_ROWS(vectors);
    const size_t tiles = (t->n + most - 1) / most;
    const size_t k_part = even_part(t->k, (least(t->k, K_BLOCK) + TILE_COLS) * ROW_BLOCK / width, TALL_LINE);
    for (size_t l = 0; l < t->k; l += k_part) {
        const size_t k = least(k_part, t->k - l);
        const bool accumulate = t->accumulate || l;
        tall_pack(t, l, k, width, scratch);
        for (size_t q = 0; q < tiles; q++) {
            const size_t i = t->n * q / tiles, rows = t->n * (q + 1) / tiles - i;
            real y[TALL_MOST * TALL_COLS] = {0};
            if (accumulate)
                tall_turn(t, i, rows, width, true, y);
            tall_of_rows((int)rows, vectors, k, t->w + (ptrdiff_t)i * t->w_row + (ptrdiff_t)l, t->w_row, scratch,
                         accumulate, y);
            tall_turn(t, i, rows, width, false, y);
        }
    }
}

/* Whether W, of n rows of k elements, is such a matrix beside so many columns. */
static bool tall_fits(size_t cols, size_t n, size_t k)
{
    return cols <= TALL_COLS && n >= TALL_LEAST && k >= 4 * TALL_LINE && n * k * sizeof(real) >= TALL_BYTES;
}

/* The product if W is B, or A, and the scratch of gemm enough for a part of the others; else false. */
static bool tall_run(const rgk_gemm *g, real *scratch)
{
    tall t = {.k = g->k, .c = g->c, .c_row = g->c_row, .accumulate = g->accumulate};
    if (g->b_row == 1 && tall_fits(g->m, g->n, g->k)) {
        t.n = g->n, t.cols = g->m, t.turned = true;
        t.w = g->b, t.w_row = g->b_col;
        t.v = g->a, t.v_row = g->a_col, t.v_col = g->a_row;
    } else if (g->a_col == 1 && tall_fits(g->n, g->m, g->k)) {
        t.n = g->m, t.cols = g->n, t.turned = false;
        t.w = g->a, t.w_row = g->a_row;
        t.v = g->b, t.v_row = g->b_row, t.v_col = g->b_col;
    } else {
        return false;
    }
    if (t.cols <= RGK_LANES)
        tall_with(1, &t, scratch);
    else
        tall_with(2, &t, scratch);
    return true;
}

#endif
