/* depthwise.c - convolution of one plane, or the sum of several, under 3 x 3 weights each, without stride, and the
   gradient of the weights of one.

   Planes are read where they lie, lanes beyond its edges as zeros, rows beyond them not at all. A vector of the plane
   is loaded once for the three rows of outputs, or of cotangents, that meet it. There is little to compute, so while
   one plane is worked on memory is asked for the next. */
#include "list.h"
#include "vector.h"

#include <stdbool.h>

#define MOST_ROWS 6 /* of outputs at a time: their sums stay in registers beside the weights */

#define MOST_COLUMNS 8 /* vectors of a row of outputs at a time ... */
#define FEW_COLUMNS 2  /* ... but one where a plane has so few */

/* Of a vector of outputs: how many there are, and for the three columns of taps those whose element of the plane
   exists. */
typedef struct column {
    size_t n;
    vlanes lanes[3];
    bool all;
} column;

RGK_INLINE size_t clamp(ptrdiff_t i, size_t most)
{
    return i < 0 ? 0 : (size_t)i < most ? (size_t)i : most;
}

/* The outputs from j on. */
RGK_INLINE column column_at(const rgk_depthwise *d, size_t j)
{
    const size_t left = d->width - j;
    column c = {.n = left < RGK_LANES ? left : RGK_LANES};
    c.all = c.n == RGK_LANES;
    for (int k = 0; k < 3; k++) {
        const ptrdiff_t first = (ptrdiff_t)j + k - d->left;
        const size_t from = clamp(-first, c.n), to = clamp((ptrdiff_t)d->in_width - first, c.n);
        c.lanes[k] = v_lanes(from < to ? from : to, to);
        c.all = c.all && from == 0 && to == RGK_LANES;
    }
    return c;
}

RGK_INLINE vreal load(const bool all, const column *c, int k, const real *x)
{
    return all ? v_loaded(v_load(x + k)) : v_load_lanes(x + k, c->lanes[k]);
}

static bool inside(ptrdiff_t row, size_t rows)
{
    return row >= 0 && row < (ptrdiff_t)rows;
}

/* ---- outputs ---- */

/* The weights: nine a plane; and where there is one plane, in the order in which they meet it. */
typedef struct planes_weights {
    vreal alone[9];
    const real *all;
} planes_weights;

/* Rows of outputs from `row` on, of one plane or of `many`; x and y: where the first would begin, of the first plane
   and of the outputs. */
RGK_INLINE void tile(const int rows, const bool all, const bool many, const rgk_depthwise *d, const column *c,
                     const planes_weights *w, ptrdiff_t row, const real *x, real *y)
{
    vreal sum[MOST_ROWS];
    RGK_UNROLL
    for (int i = 0; i < rows; i++)
        sum[i] = v_set(0);
    const size_t plane = d->in_rows * d->in_width;
    for (size_t p = 0, planes = many ? d->planes : 1; p < planes; p++, x += plane) {
        vreal weight[9];
        RGK_UNROLL
        for (int k = 0; k < 9; k++)
            weight[k] = many ? v_loaded(v_set(w->all[p * 9 + (size_t)(d->turned ? 8 - k : k)])) : w->alone[k];
        const real *at = x;
        RGK_UNROLL
        for (int q = 0; q < rows + 2; q++, at += d->in_width) {
            if (q < rows)
                __builtin_prefetch(at + plane);
            if (!inside(row + q - d->above, d->in_rows))
                continue;
            RGK_UNROLL
            for (int k = 0; k < 3; k++) {
                const vreal v = load(all, c, k, at);
                RGK_UNROLL
                for (int down = 0; down < 3; down++)
                    if (q - down >= 0 && q - down < rows)
                        sum[q - down] = v_fma(weight[down * 3 + k], v, sum[q - down]);
            }
        }
    }
    RGK_UNROLL
    for (int i = 0; i < rows; i++, y += d->width) {
        __builtin_prefetch(y + d->rows * d->width, 1);
        if (all)
            v_store(y, sum[i]);
        else
            v_store_part(y, c->n, sum[i]);
    }
}

RGK_INLINE void tile_any(const bool all, const bool many, size_t rows, const rgk_depthwise *d, const column *c,
                         const planes_weights *w, ptrdiff_t row, const real *x, real *y)
{
    switch (rows) {
    case 1:
        tile(1, all, many, d, c, w, row, x, y);
        break;
    case 2:
        tile(2, all, many, d, c, w, row, x, y);
        break;
    case 3:
        tile(3, all, many, d, c, w, row, x, y);
        break;
    case 4:
        tile(4, all, many, d, c, w, row, x, y);
        break;
    case 5:
        tile(5, all, many, d, c, w, row, x, y);
        break;
    case 6:
        tile(6, all, many, d, c, w, row, x, y);
        break;
    default:
        break;
    }
}

/* All rows of one vector. */
RGK_INLINE void tiles_down(const bool all, const bool many, const rgk_depthwise *d, const column *c,
                           const planes_weights *w, const real *x, real *y)
{
    const size_t n = (d->rows + MOST_ROWS - 1) / MOST_ROWS;
    for (size_t q = 0, rows; q < n; q++, x += rows * d->in_width, y += rows * d->width) {
        const size_t first = d->rows * q / n;
        rows = d->rows * (q + 1) / n - first;
        tile_any(all, many, rows, d, c, w, (ptrdiff_t)(d->row + first), x, y);
    }
}

/* Vectors from j on, `columns` of them: whole rows before the next, for memory is read ahead where addresses ascend. */
RGK_INLINE void tiles_across(const bool many, const rgk_depthwise *d, const planes_weights *w, size_t j, size_t columns,
                             const real *x, real *y)
{
    const size_t n = (d->rows + MOST_ROWS - 1) / MOST_ROWS;
    column c[MOST_COLUMNS];
    for (size_t i = 0; i < columns; i++)
        c[i] = column_at(d, j + i * RGK_LANES);
    for (size_t q = 0, rows; q < n; q++, x += rows * d->in_width, y += rows * d->width) {
        const size_t first = d->rows * q / n;
        const ptrdiff_t row = (ptrdiff_t)(d->row + first);
        rows = d->rows * (q + 1) / n - first;
        for (size_t i = 0; i < columns; i++)
            if (c[i].all)
                tile_any(true, many, rows, d, &c[i], w, row, x + i * RGK_LANES, y + i * RGK_LANES);
            else
                tile_any(false, many, rows, d, &c[i], w, row, x + i * RGK_LANES, y + i * RGK_LANES);
    }
}

RGK_INLINE void run(const bool many, const rgk_depthwise *d, const planes_weights *w, real *y)
{
    const ptrdiff_t begin = ((ptrdiff_t)d->row - d->above) * (ptrdiff_t)d->in_width - d->left;
    const size_t vectors = (d->width + RGK_LANES - 1) / RGK_LANES;
    const real *x = (const real *)d->x + begin;
    for (size_t i = 0, n, j = 0; i < vectors; i += n, j = i * RGK_LANES) {
        n = vectors <= FEW_COLUMNS ? 1 : vectors - i < MOST_COLUMNS ? vectors - i : MOST_COLUMNS;
        const column c = column_at(d, j);
        if (n > 1)
            tiles_across(many, d, w, j, n, x + j, y + j);
        else if (c.all)
            tiles_down(true, many, d, &c, w, x + j, y + j);
        else
            tiles_down(false, many, d, &c, w, x + j, y + j);
    }
}

static void run_many(const rgk_depthwise *d, const real *weights, real *y)
{
    const planes_weights w = {.all = weights};
    run(true, d, &w, y);
}

void RGK_NAME(depthwise)(const rgk_depthwise *d, const void *weights, void *y)
{
    if (d->planes > 1) {
        run_many(d, weights, y);
        return;
    }
    planes_weights w = {.all = weights};
    RGK_UNROLL
    for (int k = 0; k < 9; k++)
        w.alone[k] = v_set(w.all[d->turned ? 8 - k : k]);
    run(false, d, &w, y);
}

/* ---- the gradient of the weights ---- */

/* A row of the plane meets the cotangents of the rows that see it by the taps above, level and below: those there
   are. */
RGK_INLINE void meet(const bool all, const column *c, const real *x, const vreal u[3], const bool there[3],
                     vreal sum[3][3])
{
    RGK_UNROLL
    for (int k = 0; k < 3; k++) {
        const vreal v = load(all, c, k, x);
        RGK_UNROLL
        for (int down = 0; down < 3; down++)
            if (there[down])
                sum[down][k] = v_fma(u[down], v, sum[down][k]);
    }
}

RGK_INLINE vreal cotangent(const bool all, const rgk_depthwise *d, const column *c, const real *u, ptrdiff_t row)
{
    const real *at = u + row * (ptrdiff_t)d->width;
    return !inside(row, d->rows) ? v_set(0) : all ? v_load(at) : v_load_part(at, c->n);
}

RGK_INLINE void meet_column(const bool all, const rgk_depthwise *d, const column *c, const real *x, const real *u,
                            vreal sum[3][3])
{
    static const bool every[3] = {true, true, true};
    vreal v[3] = {cotangent(all, d, c, u, d->above - 1), cotangent(all, d, c, u, d->above - 2)};
    for (size_t row = 0; row < d->in_rows; row++, x += d->in_width) {
        const ptrdiff_t seen = (ptrdiff_t)row + d->above; /* by its tap above */
        __builtin_prefetch(x + d->in_rows * d->in_width);
        __builtin_prefetch(u + (d->rows + row) * d->width);
        v[2] = v[1];
        v[1] = v[0];
        v[0] = cotangent(all, d, c, u, seen);
        if (seen >= 2 && seen < (ptrdiff_t)d->rows)
            meet(all, c, x, v, every, sum);
        else
            meet(all, c, x, v,
                 (const bool[]){inside(seen, d->rows), inside(seen - 1, d->rows), inside(seen - 2, d->rows)}, sum);
    }
}

void RGK_NAME(depthwise_grad)(const rgk_depthwise *d, const void *vu, bool fresh, void *vsum)
{
    vreal sum[3][3];
    real *out = vsum;
    RGK_UNROLL
    for (int k = 0; k < 9; k++)
        sum[k / 3][k % 3] = v_set(0);
    for (size_t j = 0; j < d->width; j += RGK_LANES) {
        const column c = column_at(d, j);
        const real *x = (const real *)d->x + (ptrdiff_t)j - d->left, *u = (const real *)vu + j;
        if (c.all)
            meet_column(true, d, &c, x, u, sum);
        else
            meet_column(false, d, &c, x, u, sum);
    }
    RGK_UNROLL
    for (int k = 0; k < 9; k++)
        out[k] = (fresh ? 0 : out[k]) + v_fold(sum[k / 3][k % 3], v_add);
}
