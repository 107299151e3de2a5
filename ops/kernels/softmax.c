/* softmax.c - softmax, its logarithm and their gradients, a row at a time.

   With m = max(x): softmax(x)_i = exp(x_i - m) / s, log_softmax(x)_i = x_i - m - log(s), s = sum exp(x_j - m).
   A row holding NaN, +inf or nothing but -inf gives NaN, as the formulas do; logsumexp gives NaN, +inf, -inf. */
#include "list.h"
#include "row.h"
#include "vmath.h"

#include <math.h>

/* ---- one row ---- */

/* The maximum, of elements other than NaN in case there are any. */
RGK_INLINE real row_max(size_t n, const real *x)
{
    vreal max = v_set((real)-INFINITY);
    size_t i = 0;
    if (n >= CHAINS * RGK_LANES) {
        vreal acc[CHAINS];
        for (int c = 0; c < CHAINS; c++)
            acc[c] = max;
        for (; i + CHAINS * RGK_LANES <= n; i += CHAINS * RGK_LANES)
            for (int c = 0; c < CHAINS; c++)
                acc[c] = v_max(v_load(x + i + (size_t)c * RGK_LANES), acc[c]);
        max = v_max(v_max(acc[0], acc[1]), v_max(acc[2], acc[3]));
    }
    for (; i + RGK_LANES <= n; i += RGK_LANES)
        max = v_max(v_load(x + i), max);
    if (i < n)
        max = v_max(v_select(v_first_lanes(n - i), v_load_part(x + i, n - i), max), max);
    return v_fold(max, v_max);
}

RGK_INLINE vreal exp_term(vreal x, vreal y, vreal c)
{
    (void)y;
    return v_exp(x - c);
}

/* c being the maximum */
RGK_INLINE vreal exp_below_term(vreal x, vreal y, vreal c)
{
    (void)y;
    return v_exp_nonpositive(x - c);
}

RGK_INLINE real scalar_log(real x)
{
    return v_log(v_set(x))[0];
}

/* ---- entries ---- */

RGK_INLINE vreal times(vreal x, vreal y, vreal c)
{
    (void)y;
    return x * c;
}

void RGK_NAME(softmax)(size_t rows, size_t cols, const void *vx, void *vy)
{
    const real *x = vx;
    real *y = vy;
    for (size_t r = 0; r < rows; r++, x += cols, y += cols) {
        const real sum = row_sum_ahead(cols, x, x, row_max(cols, x), y, exp_below_term, true, cols);
        row_map(cols, y, y, RGK_C(1.0) / sum, y, times);
    }
}

RGK_INLINE vreal minus_both(vreal x, vreal max, vreal log_sum)
{
    return (x - max) - log_sum;
}

void RGK_NAME(log_softmax)(size_t rows, size_t cols, const void *vx, void *vy)
{
    const real *x = vx;
    real *y = vy;
    for (size_t r = 0; r < rows; r++, x += cols, y += cols) {
        const real m = row_max(cols, x);
        const vreal max = v_set(m), log_sum = v_set(scalar_log(row_sum(cols, x, x, m, NULL, exp_below_term)));
        size_t i = 0;
        for (; i + RGK_LANES <= cols; i += RGK_LANES)
            v_store(y + i, minus_both(v_load(x + i), max, log_sum));
        if (i < cols)
            v_store_part(y + i, cols - i, minus_both(v_load_part(x + i, cols - i), max, log_sum));
    }
}

void RGK_NAME(logsumexp)(size_t rows, size_t cols, const void *vx, void *vy)
{
    const real *x = vx;
    real *y = vy;
    for (size_t r = 0; r < rows; r++, x += cols) {
        const real m = row_max(cols, x);
        const real shift = isinf(m) ? RGK_C(0.0) : m;
        y[r] = shift + scalar_log(row_sum(cols, x, x, shift, NULL, exp_term));
    }
}

RGK_INLINE vreal softmax_grad(vreal dy, vreal y, vreal dot)
{
    return y * (dy - dot);
}

void RGK_NAME(softmax_grad)(size_t rows, size_t cols, const void *vdy, const void *vy, void *vdx)
{
    const real *dy = vdy, *y = vy;
    real *dx = vdx;
    for (size_t r = 0; r < rows; r++, dy += cols, y += cols, dx += cols)
        row_map(cols, dy, y, row_sum(cols, dy, y, RGK_C(0.0), NULL, product_term), dx, softmax_grad);
}

RGK_INLINE vreal log_softmax_grad(vreal dy, vreal y, vreal sum)
{
    return v_fma(-v_exp(y), sum, dy);
}

void RGK_NAME(log_softmax_grad)(size_t rows, size_t cols, const void *vdy, const void *vy, void *vdx)
{
    const real *dy = vdy, *y = vy;
    real *dx = vdx;
    for (size_t r = 0; r < rows; r++, dy += cols, y += cols, dx += cols)
        row_map(cols, dy, y, row_sum(cols, dy, dy, RGK_C(0.0), NULL, plain_term), dx, log_softmax_grad);
}
