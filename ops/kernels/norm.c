/* norm.c - groups of elements made to mean 0 and variance 1, and the gradient of that.

   A group is a row, or one channel's rows of all images. The variance is summed from the deviations in a second pass: the
   group is in the cache by then, and nothing cancels. Rows are summed in vectors, their sums in double precision. */
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

/* The mean of the terms of a group. */
RGK_INLINE real group_mean(const rgk_groups *g, const real *x, const real *y, real constant, term_fn *term)
{
    double sum = 0;
    for (size_t s = 0; s < g->segments; s++)
        sum += (double)row_sum(g->cols, x + s * g->segment_step, y + s * g->segment_step, constant, NULL, term);
    return (real)(sum / (double)(g->segments * g->cols));
}

typedef struct moments {
    real mean, r;
} moments;

RGK_INLINE moments moments_of(const rgk_groups *g, const real *x)
{
    const real mean = group_mean(g, x, x, RGK_C(0.0), plain_term);
    const real variance = group_mean(g, x, x, mean, deviation_squared);
    return (moments){mean, RGK_C(1.0) / v_sqrt(v_set(variance + (real)g->eps))[0]};
}

RGK_INLINE vreal standard(vreal x, vreal mean, vreal r)
{
    return (x - mean) * r;
}

void RGK_NAME(standardise)(const rgk_groups *g, const void *vx, void *vy)
{
    const real *x = vx;
    real *y = vy;
    for (size_t k = 0; k < g->groups; k++, x += g->group_step, y += g->group_step) {
        const moments m = moments_of(g, x);
        const vreal mean = v_set(m.mean), r = v_set(m.r);
        for (size_t s = 0; s < g->segments; s++) {
            const real *from = x + s * g->segment_step;
            real *to = y + s * g->segment_step;
            size_t i = 0;
            for (; i + RGK_LANES <= g->cols; i += RGK_LANES)
                v_store(to + i, standard(v_load(from + i), mean, r));
            if (i < g->cols)
                v_store_part(to + i, g->cols - i, standard(v_load_part(from + i, g->cols - i), mean, r));
        }
    }
}

/* r (u - mean(u)) - (x - mean) slope, with slope = r^3 mean(u (x - mean)) */
RGK_INLINE vreal gradient(vreal u, vreal x, const moments *m, real mean_u, real slope)
{
    return v_set(m->r) * (u - v_set(mean_u)) - (x - v_set(m->mean)) * v_set(slope);
}

void RGK_NAME(standardise_grad)(const rgk_groups *g, const void *vu, const void *vx, void *vdx)
{
    const real *u = vu, *x = vx;
    real *dx = vdx;
    for (size_t k = 0; k < g->groups; k++, u += g->group_step, x += g->group_step, dx += g->group_step) {
        const moments m = moments_of(g, x);
        const real mean_u = group_mean(g, u, u, RGK_C(0.0), plain_term);
        const real slope = group_mean(g, u, x, m.mean, times_deviation) * m.r * m.r * m.r;
        for (size_t s = 0; s < g->segments; s++) {
            const size_t at = s * g->segment_step;
            size_t i = 0;
            for (; i + RGK_LANES <= g->cols; i += RGK_LANES)
                v_store(dx + at + i, gradient(v_load(u + at + i), v_load(x + at + i), &m, mean_u, slope));
            if (i < g->cols)
                v_store_part(dx + at + i, g->cols - i,
                             gradient(v_load_part(u + at + i, g->cols - i), v_load_part(x + at + i, g->cols - i), &m,
                                      mean_u, slope));
        }
    }
}
