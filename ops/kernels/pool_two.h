/* pool_two.h - maxima over windows of 2 x 2 that lie side by side, the commonest pooling: whole vectors of windows,
   whose elements are sorted out of pairs of rows in registers. */
#ifndef RGK_POOL_TWO_H
#define RGK_POOL_TWO_H

#include "gemm_turn.h"
#include "kernels.h"
#include "vector.h"

/* Elements with even and odd numbers of two vectors; and two vectors interleaved. */
typedef lane_int lanes __attribute__((vector_size(RGK_VECTOR_BYTES)));
#if RGK_LANES == 16
#define EVENS 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30
#define ODDS 1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31
#define MIX_LOW 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23
#define MIX_HIGH 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31
#elif RGK_LANES == 8
#define EVENS 0, 2, 4, 6, 8, 10, 12, 14
#define ODDS 1, 3, 5, 7, 9, 11, 13, 15
#define MIX_LOW 0, 8, 1, 9, 2, 10, 3, 11
#define MIX_HIGH 4, 12, 5, 13, 6, 14, 7, 15
#elif RGK_LANES == 4
#define EVENS 0, 2, 4, 6
#define ODDS 1, 3, 5, 7
#define MIX_LOW 0, 4, 1, 5
#define MIX_HIGH 2, 6, 3, 7
#else
#define EVENS 0, 2
#define ODDS 1, 3
#define MIX_LOW 0, 2
#define MIX_HIGH 1, 3
#endif

static bool two_by_two(const rgk_pool *p)
{
    return p->window[0] == 1 && p->stride[0] == 1 && p->window[1] == 2 && p->window[2] == 2 && p->stride[1] == 2 &&
           p->stride[2] == 2 && !p->pad[0] && !p->pad[1] && !p->pad[2] && p->dilation[1] == 1 && p->dilation[2] == 1 &&
           2 * p->out[1] <= p->in[1] && 2 * p->out[2] <= p->in[2];
}

/* n pairs, n >= 1, at most RGK_LANES: their first and second elements. */
RGK_INLINE void load_pairs(const real *x, size_t n, vreal *first, vreal *second)
{
    const vreal a = load_some(x, 2 * n), b = 2 * n > RGK_LANES ? load_some(x + RGK_LANES, 2 * n - RGK_LANES) : v_set(0);
    *first = (vreal)__builtin_shufflevector((lanes)a, (lanes)b, EVENS);
    *second = (vreal)__builtin_shufflevector((lanes)a, (lanes)b, ODDS);
}

RGK_INLINE void store_pairs(real *y, size_t n, vreal first, vreal second)
{
    store_some(y, 2 * n, (vreal)__builtin_shufflevector((lanes)first, (lanes)second, MIX_LOW));
    if (2 * n > RGK_LANES)
        store_some(y + RGK_LANES, 2 * n - RGK_LANES,
                   (vreal)__builtin_shufflevector((lanes)first, (lanes)second, MIX_HIGH));
}

/* Maxima of a row of windows over rows x and x + width. */
static void two_maxima(const rgk_pool *p, const real *x, real *y)
{
    for (size_t j = 0; j < p->out[2]; j += RGK_LANES) {
        const size_t n = least(p->out[2] - j, RGK_LANES);
        vreal a, b, c, d;
        load_pairs(x + 2 * j, n, &a, &b);
        load_pairs(x + p->in[2] + 2 * j, n, &c, &d);
        store_some(y + j, n, v_maximum(v_maximum(a, b), v_maximum(c, d)));
    }
}

/* u where x is the first maximum of its window, or first NaN, zero elsewhere: two rows of dx. */
static void two_put(const rgk_pool *p, const real *x, const real *u, real *dx)
{
    for (size_t j = 0; j < p->out[2]; j += RGK_LANES) {
        const size_t n = least(p->out[2] - j, RGK_LANES);
        vreal v[4], to[4];
        load_pairs(x + 2 * j, n, &v[0], &v[1]);
        load_pairs(x + p->in[2] + 2 * j, n, &v[2], &v[3]);
        const vreal m = v_maximum(v_maximum(v[0], v[1]), v_maximum(v[2], v[3])), given = load_some(u + j, n);
        const vmask nan = v_is_nan(m);
        vmask left = v_eq(v_set(0), v_set(0));
        RGK_UNROLL
        for (int i = 0; i < 4; i++) {
            const vmask is = v_and(left, v_or(v_eq(v[i], m), v_and(nan, v_is_nan(v[i]))));
            to[i] = v_select(is, given, v_set(0));
            left = v_and(left, v_not(is));
        }
        store_pairs(dx + 2 * j, n, to[0], to[1]);
        store_pairs(dx + p->in[2] + 2 * j, n, to[2], to[3]);
    }
}

/* Elements behind the last window of a row, and rows behind the last ones, have no window. */
static void two_clear(const rgk_pool *p, real *plane)
{
    for (size_t h = 0; h < p->in[1]; h++)
        for (size_t w = h < 2 * p->out[1] ? 2 * p->out[2] : 0; w < p->in[2]; w++)
            plane[h * p->in[2] + w] = 0;
}

#endif
