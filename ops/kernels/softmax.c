/* softmax.c - softmax, its logarithm and their gradients, a row at a time.

   With m = max(x): softmax(x)_i = exp(x_i - m) / s, log_softmax(x)_i = x_i - m - log(s), s = sum exp(x_j - m).
   A row holding NaN, +inf or nothing but -inf gives NaN, as the formulas do; logsumexp gives NaN, +inf, -inf. */
#include "list.h"
#include "pairwise.h"
#include "vmath.h"

#include <math.h>

#define CHAINS 4
#define BLOCK (64 * RGK_LANES)

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

/* A term of a row's sum: of x and another row y, with the row's constant c. */
typedef vreal term_fn(vreal x, vreal y, vreal c);

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

RGK_INLINE vreal product_term(vreal x, vreal y, vreal c)
{
    (void)c;
    return x * y;
}

RGK_INLINE vreal plain_term(vreal x, vreal y, vreal c)
{
    (void)y, (void)c;
    return x;
}

/* Sum of the terms of n elements in 4 chains; terms go to `out` unless it is NULL. */
RGK_INLINE vreal sum_block(size_t n, const real *x, const real *y, vreal c, real *out, term_fn *term)
{
    vreal sum = v_set(RGK_C(0.0));
    size_t i = 0;
    if (n >= CHAINS * RGK_LANES) {
        vreal acc[CHAINS] = {{0}};
        for (; i + CHAINS * RGK_LANES <= n; i += CHAINS * RGK_LANES) {
            for (int k = 0; k < CHAINS; k++) {
                const size_t at = i + (size_t)k * RGK_LANES;
                const vreal t = term(v_load(x + at), v_load(y + at), c);
                if (out)
                    v_store(out + at, t);
                acc[k] += t;
            }
        }
        sum = (acc[0] + acc[1]) + (acc[2] + acc[3]);
    }
    for (; i + RGK_LANES <= n; i += RGK_LANES) {
        const vreal t = term(v_load(x + i), v_load(y + i), c);
        if (out)
            v_store(out + i, t);
        sum += t;
    }
    if (i < n) {
        const vreal t = term(v_load_part(x + i, n - i), v_load_part(y + i, n - i), c);
        if (out)
            v_store_part(out + i, n - i, t);
        sum += v_select(v_first_lanes(n - i), t, v_set(RGK_C(0.0)));
    }
    return sum;
}

RGK_INLINE real row_sum(size_t n, const real *x, const real *y, real constant, real *out, term_fn *term)
{
    const vreal c = v_set(constant);
    pairwise blocks;
    pairwise_begin(&blocks);
    size_t i = 0;
    for (; i + BLOCK <= n; i += BLOCK)
        pairwise_push(&blocks, sum_block(BLOCK, x + i, y + i, c, out ? out + i : NULL, term), v_add);
    const vreal rest = sum_block(n - i, x + i, y + i, c, out ? out + i : NULL, term);
    return v_fold(pairwise_finish(&blocks, rest, v_add), v_add);
}

/* out[i] = f(x[i], y[i], c) */
RGK_INLINE void row_map(size_t n, const real *x, const real *y, real constant, real *out, term_fn *f)
{
    const vreal c = v_set(constant);
    size_t i = 0;
    for (; i + RGK_LANES <= n; i += RGK_LANES)
        v_store(out + i, f(v_load(x + i), v_load(y + i), c));
    if (i < n)
        v_store_part(out + i, n - i, f(v_load_part(x + i, n - i), v_load_part(y + i, n - i), c));
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
        const real sum = row_sum(cols, x, x, row_max(cols, x), y, exp_below_term);
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
