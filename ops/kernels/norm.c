/* norm.c - rows, or channels of several images, made to mean 0 and variance 1, and the gradient of that.

   The variance of a row is summed from the deviations in a second pass: the row is in the cache by then, and nothing cancels.
   Rows are summed in vectors, their sums in double precision. Of a channel, which may be larger than the cache, pieces are
   summed so, and joined: two sets with n and m elements, means a and b have, together, squared deviations from their mean
   that are the sum of both plus (a - b)^2 n m / (n + m) (Chan, Golub, LeVeque 1983). */
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

typedef struct moments {
    real mean, r;
} moments;

RGK_INLINE moments moments_of(const rgk_rows *r, const real *x)
{
    const real mean = row_mean(r->cols, x, x, RGK_C(0.0), plain_term);
    const real variance = row_mean(r->cols, x, x, mean, deviation_squared);
    return (moments){mean, RGK_C(1.0) / v_sqrt(v_set(variance + (real)r->eps))[0]};
}

RGK_INLINE vreal standard(vreal x, vreal mean, vreal r)
{
    return (x - mean) * r;
}

void RGK_NAME(standardise)(const rgk_rows *rows, const void *vx, void *vy)
{
    const size_t cols = rows->cols;
    const real *x = vx;
    real *y = vy;
    for (size_t k = 0; k < rows->rows; k++, x += cols, y += cols) {
        const moments m = moments_of(rows, x);
        const vreal mean = v_set(m.mean), r = v_set(m.r);
        size_t i = 0;
        for (; i + RGK_LANES <= cols; i += RGK_LANES)
            v_store(y + i, standard(v_load(x + i), mean, r));
        if (i < cols)
            v_store_part(y + i, cols - i, standard(v_load_part(x + i, cols - i), mean, r));
    }
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

void RGK_NAME(standardise_grad)(const rgk_rows *rows, const void *vu, const void *vx, void *vdx)
{
    const size_t cols = rows->cols;
    const real *u = vu, *x = vx;
    real *dx = vdx;
    for (size_t k = 0; k < rows->rows; k++, u += cols, x += cols, dx += cols) {
        const moments m = moments_of(rows, x);
        const real mean_u = row_mean(cols, u, u, RGK_C(0.0), plain_term);
        const real slope = row_mean(cols, u, x, m.mean, times_deviation) * m.r * m.r * m.r;
        put_gradient(cols, u, x, (const real[]){mean_u, m.r, m.mean, slope}, dx);
    }
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
