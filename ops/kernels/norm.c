/* norm.c - rows, or channels of several images, made to mean 0 and variance 1, and the gradient of that.

   The variance of a row is summed from the deviations in a second pass: the row is in the cache by then, and nothing
   cancels. Rows are summed in vectors, their sums in double precision. Of a channel, which may be larger than the
   cache, pieces are summed so, and joined: two sets with n and m elements, means a and b have, together, squared
   deviations from their mean that are the sum of both plus (a - b)^2 n m / (n + m) (Chan, Golub, LeVeque 1983). */
#include "list.h"
#include "row.h"

#include <math.h>

RGK_INLINE vreal deviation_squared(vreal x, vreal y, vreal mean)
{
    (void)y;
    return (x - mean) * (x - mean);
}

RGK_INLINE vreal times_deviation(vreal u, vreal x, vreal mean)
{
    return u * (x - mean);
}

/* ---- rows ---- */

/* The mean of the terms of a row. */
RGK_INLINE real row_mean(size_t n, const real *x, const real *y, real constant, term_fn *term)
{
    return (real)((double)row_sum(n, x, y, constant, NULL, term) / (double)n);
}

/* The same in a second pass over x, while memory brings the elements `ahead` of it if they are `far`. */
RGK_INLINE real row_mean_again(size_t n, const real *x, const real *y, real constant, term_fn *term, const bool far,
                               size_t ahead)
{
    return (real)((double)row_sum_ahead(n, x, y, constant, NULL, term, far, ahead) / (double)n);
}

/* Of a call for so many bytes, or with such long rows, L2 does not hold what comes next, and processors do not foresee
   it beyond the end of a page. */
#define FAR_BYTES ((size_t)1024 * 1024)
#define FAR_ROW ((size_t)8 * 1024)

static bool are_far(const rgk_rows *rows)
{
    const size_t row = rows->cols * sizeof(real);
    return row >= FAR_ROW || rows->rows * row >= FAR_BYTES;
}

typedef struct moments {
    real mean, r;
} moments;

/* Rows are done a few at a time, as many as L1 holds: what waits for one's sum is done beside the sums of the
   others. */
#define TOGETHER ((size_t)4)
#define TOGETHER_BYTES ((size_t)16 * 1024)

RGK_INLINE size_t together(size_t rows, size_t cols)
{
    const size_t fit = TOGETHER_BYTES / (cols * sizeof(real)), most = fit < TOGETHER ? fit : TOGETHER;
    return most == 0 ? 1 : rows < most ? rows : most;
}

RGK_INLINE void moments_of(size_t n, size_t cols, double eps, const real *x, const bool far, moments out[TOGETHER])
{
    for (size_t k = 0; k < n; k++)
        out[k].mean = row_mean(cols, x + k * cols, x + k * cols, RGK_C(0.0), plain_term);
    for (size_t k = 0; k < n; k++) {
        const real variance =
            row_mean_again(cols, x + k * cols, x + k * cols, out[k].mean, deviation_squared, far, n * cols);
        out[k].r = RGK_C(1.0) / v_sqrt(v_set(variance + (real)eps))[0];
    }
}

RGK_INLINE vreal standard(vreal x, vreal mean, vreal r)
{
    return (x - mean) * r;
}

RGK_INLINE void put_standard(size_t n, const real *x, const moments *m, real *y)
{
    const vreal mean = v_set(m->mean), r = v_set(m->r);
    size_t i = 0;
    for (; i + RGK_LANES <= n; i += RGK_LANES)
        v_store(y + i, standard(v_load(x + i), mean, r));
    if (i < n)
        v_store_part(y + i, n - i, standard(v_load_part(x + i, n - i), mean, r));
}

RGK_INLINE void standardise(const rgk_rows *rows, const real *x, real *y, const bool far)
{
    const size_t cols = rows->cols;
    for (size_t k = 0, n; k < rows->rows; k += n, x += n * cols, y += n * cols) {
        moments m[TOGETHER];
        n = together(rows->rows - k, cols);
        moments_of(n, cols, rows->eps, x, far, m);
        for (size_t q = 0; q < n; q++)
            put_standard(cols, x + q * cols, &m[q], y + q * cols);
    }
}

void RGK_NAME(standardise)(const rgk_rows *rows, const void *x, void *y)
{
    if (are_far(rows))
        standardise(rows, x, y, true);
    else
        standardise(rows, x, y, false);
}

/* r (u - mean(u)) - (x - mean) slope, with slope = r^3 mean(u (x - mean)) */
RGK_INLINE vreal gradient(vreal u, vreal x, vreal mean, vreal r, vreal mean_u, vreal slope)
{
    return r * (u - mean_u) - (x - mean) * slope;
}

RGK_INLINE void put_gradient(size_t n, const real *u, const real *x, const real c[4], real *dx)
{
    const vreal mean_u = v_set(c[0]), r = v_set(c[1]), mean = v_set(c[2]), slope = v_set(c[3]);
    size_t i = 0;
    for (; i + RGK_LANES <= n; i += RGK_LANES)
        v_store(dx + i, gradient(v_load(u + i), v_load(x + i), mean, r, mean_u, slope));
    if (i < n)
        v_store_part(dx + i, n - i,
                     gradient(v_load_part(u + i, n - i), v_load_part(x + i, n - i), mean, r, mean_u, slope));
}

RGK_INLINE void standardise_grad(const rgk_rows *rows, const real *u, const real *x, real *dx, const bool far)
{
    const size_t cols = rows->cols;
    for (size_t k = 0, n; k < rows->rows; k += n, u += n * cols, x += n * cols, dx += n * cols) {
        moments m[TOGETHER];
        real mean_u[TOGETHER], slope[TOGETHER];
        n = together(rows->rows - k, 2 * cols);
        moments_of(n, cols, rows->eps, x, far, m);
        for (size_t q = 0; q < n; q++) {
            mean_u[q] = row_mean(cols, u + q * cols, u + q * cols, RGK_C(0.0), plain_term);
            slope[q] = row_mean_again(cols, u + q * cols, x + q * cols, m[q].mean, times_deviation, far, n * cols) *
                       m[q].r * m[q].r * m[q].r;
        }
        for (size_t q = 0; q < n; q++)
            put_gradient(cols, u + q * cols, x + q * cols, (const real[]){mean_u[q], m[q].r, m[q].mean, slope[q]},
                         dx + q * cols);
    }
}

void RGK_NAME(standardise_grad)(const rgk_rows *rows, const void *u, const void *x, void *dx)
{
    if (are_far(rows))
        standardise_grad(rows, u, x, dx, true);
    else
        standardise_grad(rows, u, x, dx, false);
}

/* ---- channels ---- */

/* Joins n elements, with their own mean, to those before them. */
RGK_INLINE void join(rgk_channel_sums *all, double before, size_t n, const rgk_channel_sums *piece)
{
    const double count = before + (double)n, off = piece->mean - all->mean, move = off * (double)n / count;
    all->mean += move;
    all->var += piece->var + off * off * before * ((double)n / count);
    all->u_deviation += piece->u_deviation - move * all->u + (off - move) * piece->u;
    all->u += piece->u;
}

void RGK_NAME(channel_sums)(const rgk_channel *c, const void *vu, const void *vx, rgk_channel_sums *out)
{
    rgk_channel_sums all = {0};
    double count = 0;
    for (size_t s = 0; s < c->segments; s++)
        for (size_t i = 0, n; i < c->cols; i += n, count += (double)n) {
            const real *x = (const real *)vx + s * c->segment_step + i, *u = (const real *)vu + s * c->segment_step + i;
            rgk_channel_sums piece = {0};
            n = c->cols - i < BLOCK ? c->cols - i : BLOCK;
            const real mean = v_fold(sum_block(n, x, x, v_set(0), NULL, plain_term), v_add) / (real)n;
            piece.mean = (double)mean;
            piece.var = (double)v_fold(sum_block(n, x, x, v_set(mean), NULL, deviation_squared), v_add);
            if (vu) {
                piece.u = (double)v_fold(sum_block(n, u, u, v_set(0), NULL, plain_term), v_add);
                piece.u_deviation = (double)v_fold(sum_block(n, u, x, v_set(mean), NULL, times_deviation), v_add);
            }
            join(&all, count, n, &piece);
        }
    all.var /= count;
    all.mean = count > 0 ? all.mean : all.var;
    *out = all;
}

void RGK_NAME(channel_line)(size_t n, const rgk_line *line, const void *vx, void *vy)
{
    const vreal from = v_set((real)line->from), factor = v_set((real)line->factor), offset = v_set((real)line->offset);
    const real *x = vx;
    real *y = vy;
    size_t i = 0;
    for (; i + RGK_LANES <= n; i += RGK_LANES)
        v_store(y + i, v_fma(v_load(x + i) - from, factor, offset));
    if (i < n)
        v_store_part(y + i, n - i, v_fma(v_load_part(x + i, n - i) - from, factor, offset));
}

void RGK_NAME(channel_slope)(const rgk_channel *c, const rgk_slope *slope, const void *vu, const void *vx, void *vdx)
{
    const real k[] = {(real)slope->mean_u, (real)slope->factor, (real)slope->mean, (real)slope->slope};
    for (size_t s = 0; s < c->segments; s++) {
        const size_t at = s * c->segment_step;
        put_gradient(c->cols, (const real *)vu + at, (const real *)vx + at, k, (real *)vdx + at);
    }
}
