/* norm.c - rows made to mean 0 and variance 1, and the gradient of that.

   The variance is summed from the deviations in a second pass: a row is in the cache by then, and nothing cancels. */
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

typedef struct moments {
    real mean, r;
} moments;

RGK_INLINE moments moments_of(size_t n, real eps, const real *x)
{
    const real mean = row_sum(n, x, x, RGK_C(0.0), NULL, plain_term) / (real)n;
    const real variance = row_sum(n, x, x, mean, NULL, deviation_squared) / (real)n;
    return (moments){mean, RGK_C(1.0) / v_sqrt(v_set(variance + eps))[0]};
}

void RGK_NAME(standardise)(size_t rows, size_t cols, double eps, const void *vx, void *vy)
{
    const real *x = vx;
    real *y = vy;
    for (size_t row = 0; row < rows; row++, x += cols, y += cols) {
        const moments m = moments_of(cols, (real)eps, x);
        const vreal mean = v_set(m.mean), r = v_set(m.r);
        size_t i = 0;
        for (; i + RGK_LANES <= cols; i += RGK_LANES)
            v_store(y + i, (v_load(x + i) - mean) * r);
        if (i < cols)
            v_store_part(y + i, cols - i, (v_load_part(x + i, cols - i) - mean) * r);
    }
}

/* r (u - mean(u)) - (x - mean) slope, with slope = r^3 mean(u (x - mean)) */
RGK_INLINE vreal gradient(vreal u, vreal x, const moments *m, real mean_u, real slope)
{
    return v_set(m->r) * (u - v_set(mean_u)) - (x - v_set(m->mean)) * v_set(slope);
}

void RGK_NAME(standardise_grad)(size_t rows, size_t cols, double eps, const void *vu, const void *vx, void *vdx)
{
    const real *u = vu, *x = vx;
    real *dx = vdx;
    for (size_t row = 0; row < rows; row++, u += cols, x += cols, dx += cols) {
        const moments m = moments_of(cols, (real)eps, x);
        const real mean_u = row_sum(cols, u, u, RGK_C(0.0), NULL, plain_term) / (real)cols;
        const real slope = row_sum(cols, u, x, m.mean, NULL, times_deviation) / (real)cols * m.r * m.r * m.r;
        size_t i = 0;
        for (; i + RGK_LANES <= cols; i += RGK_LANES)
            v_store(dx + i, gradient(v_load(u + i), v_load(x + i), &m, mean_u, slope));
        if (i < cols)
            v_store_part(dx + i, cols - i,
                         gradient(v_load_part(u + i, cols - i), v_load_part(x + i, cols - i), &m, mean_u, slope));
    }
}
