/* pool_three.h - maxima over windows of three columns by steps of two, of at most three rows: the pools of AlexNet and
   ResNet.

   In a row that begins at column 1 - pad, window j has its second and third column at 2 j and 2 j + 1 and its first
   where the third of window j - 1 is. So pairs of elements are sorted out in registers, and shifted by a lane. Maxima
   are those of columns first, and of these then; the gradient goes to the first element that equals the maximum. */
#ifndef RGK_POOL_THREE_H
#define RGK_POOL_THREE_H

#include "pool_two.h"

#include <math.h>

#define THREE_ROWS 3
#define THREE_AHEAD 8 /* rows that are asked for before they are needed */

/* The last lane of one vector before all but the last of another; the other way about. */
#if RGK_LANES == 16
#define FROM_LAST 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30
#define FROM_SECOND 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16
#elif RGK_LANES == 8
#define FROM_LAST 7, 8, 9, 10, 11, 12, 13, 14
#define FROM_SECOND 1, 2, 3, 4, 5, 6, 7, 8
#elif RGK_LANES == 4
#define FROM_LAST 3, 4, 5, 6
#define FROM_SECOND 1, 2, 3, 4
#else
#define FROM_LAST 1, 2
#define FROM_SECOND 1, 2
#endif

static bool three_by_two(const rgk_pool *p)
{
    return p->window[0] == 1 && p->stride[0] == 1 && !p->pad[0] && p->window[1] <= THREE_ROWS && p->window[2] == 3 &&
           p->stride[2] == 2 && p->pad[2] <= 1 && p->dilation[1] == 1 && p->dilation[2] == 1;
}

/* The rows of the input that a row of windows sees: from `first` on. */
static size_t three_rows(const rgk_pool *p, size_t row, size_t *first)
{
    const size_t padded = row * p->stride[1], end = padded + p->window[1], pad = p->pad[1];
    *first = padded > pad ? padded - pad : 0;
    return least(end > pad ? end - pad : 0, p->in[1]) - *first;
}

/* The first n elements, -infinity where there are fewer than lanes. */
RGK_INLINE vreal load_or_less(const real *x, size_t n)
{
    const vreal none = v_set((real)-INFINITY);
    if (n >= RGK_LANES)
        return v_load(x);
    return n ? v_select(v_first_lanes(n), v_load_part(x, n), none) : none;
}

/* Elements of a row that there are of the second and third columns of windows from j on. */
RGK_INLINE size_t three_there(const rgk_pool *p, size_t j)
{
    return p->in[2] - (1 - p->pad[2]) - 2 * j;
}

/* Maxima of a row of windows over `rows` rows of the input, x the first of them. */
RGK_INLINE void three_maxima_of(const int rows, const rgk_pool *p, const real *x, real *y)
{
    const size_t pitch = p->in[2], skipped = 1 - p->pad[2];
    vreal before = v_set((real)-INFINITY);
    for (int r = 0; skipped && r < rows; r++)
        before = v_maximum(v_set(x[(size_t)r * pitch]), before);
    for (size_t j = 0; j < p->out[2]; j += RGK_LANES) {
        const size_t there = three_there(p, j), behind = there > RGK_LANES ? there - RGK_LANES : 0;
        const real *from = x + skipped + 2 * j;
        vreal a = v_set((real)-INFINITY), b = a;
        RGK_UNROLL
        for (int r = 0; r < rows; r++) {
            a = v_maximum(load_or_less(from + (size_t)r * pitch, there), a);
            b = v_maximum(load_or_less(from + (size_t)r * pitch + RGK_LANES, behind), b);
        }
        const vreal second = (vreal)__builtin_shufflevector((lanes)a, (lanes)b, EVENS),
                    third = (vreal)__builtin_shufflevector((lanes)a, (lanes)b, ODDS),
                    first = (vreal)__builtin_shufflevector((lanes)before, (lanes)third, FROM_LAST);
        store_some(y + j, p->out[2] - j, v_maximum(third, v_maximum(second, first)));
        before = third;
    }
}

static void three_maxima(const rgk_pool *p, size_t row, const real *plane, real *y)
{
    size_t first;
    const size_t rows = three_rows(p, row, &first);
    const real *x = plane + first * p->in[2];
    if (rows == 1)
        three_maxima_of(1, p, x, y);
    else if (rows == 2)
        three_maxima_of(2, p, x, y);
    else
        three_maxima_of(3, p, x, y);
}

/* Where windows from j on have their maxima: u there, zero elsewhere. */
RGK_INLINE void three_find(const int rows, const rgk_pool *p, const real *x, size_t j, vreal u, vreal to[][3])
{
    const size_t pitch = p->in[2], skipped = 1 - p->pad[2], there = three_there(p, j);
    const bool begins = j == 0 && !skipped;
    const vreal none = v_set((real)-INFINITY);
    vreal v[THREE_ROWS][3], m = none;
    RGK_UNROLL
    for (int r = 0; r < rows; r++) {
        const real *from = x + (size_t)r * pitch + skipped + 2 * j;
        const vreal a = load_or_less(from, there),
                    b = load_or_less(from + RGK_LANES, there > RGK_LANES ? there - RGK_LANES : 0),
                    before = begins ? none : v_set(from[-1]);
        v[r][1] = (vreal)__builtin_shufflevector((lanes)a, (lanes)b, EVENS);
        v[r][2] = (vreal)__builtin_shufflevector((lanes)a, (lanes)b, ODDS);
        v[r][0] = (vreal)__builtin_shufflevector((lanes)before, (lanes)v[r][2], FROM_LAST);
        m = v_maximum(v_maximum(v[r][2], v_maximum(v[r][1], v[r][0])), m);
    }
    const vmask all = v_eq(v_set(0), v_set(0)), nan = v_is_nan(m);
    const vmask exists = begins ? v_not(v_first_lanes(1)) : all; /* the first column; behind the end none is first */
    const bool some_nan = v_any(nan);
    vmask left = all;
    RGK_UNROLL
    for (int r = 0; r < rows; r++) {
        RGK_UNROLL
        for (int k = 0; k < 3; k++) {
            vmask is = v_eq(v[r][k], m);
            if (some_nan)
                is = v_or(is, v_and(nan, v_is_nan(v[r][k])));
            is = v_and(k ? left : v_and(left, exists), is);
            to[r][k] = v_select(is, u, v_set(0));
            left = v_and(left, v_not(is));
        }
    }
}

/* To `rows` rows of dx the cotangents u of a row of windows. They are added to the first `old` rows, the others become
   nothing else. From the right, for what the first column of a window gets is added to the third of the one before. */
RGK_INLINE void three_put_to(const int rows, const rgk_pool *p, const real *x, const real *u, real *dx, size_t old)
{
    const size_t pitch = p->in[2], skipped = 1 - p->pad[2], out = p->out[2];
    vreal next[THREE_ROWS];
    RGK_UNROLL
    for (int r = 0; r < rows; r++)
        next[r] = v_set(0);
    for (size_t j = (out - 1) / RGK_LANES * RGK_LANES;; j -= RGK_LANES) {
        const size_t n = least(out - j, RGK_LANES), there = least(three_there(p, j), 2 * n);
        vreal c[THREE_ROWS][3];
        const size_t far = THREE_AHEAD * pitch + skipped + 2 * j;
        for (size_t at = far; at < far + 2 * pitch; at += pitch) {
            __builtin_prefetch(x + at);
            __builtin_prefetch(x + at + RGK_LANES);
            __builtin_prefetch(dx + at, 1);
            __builtin_prefetch(dx + at + RGK_LANES, 1);
        }
        three_find(rows, p, x, j, load_some(u + j, n), c);
        RGK_UNROLL
        for (int r = 0; r < rows; r++) {
            real *to = dx + (size_t)r * pitch + skipped + 2 * j;
            vreal second = c[r][1], third = c[r][2];
            if ((size_t)r < old && there) {
                const vreal a = load_some(to, there),
                            b = there > RGK_LANES ? load_some(to + RGK_LANES, there - RGK_LANES) : v_set(0);
                second += (vreal)__builtin_shufflevector((lanes)a, (lanes)b, EVENS);
                third += (vreal)__builtin_shufflevector((lanes)a, (lanes)b, ODDS);
            }
            third += (vreal)__builtin_shufflevector((lanes)c[r][0], (lanes)next[r], FROM_SECOND);
            next[r] = c[r][0];
            if (there)
                store_some(to, there, (vreal)__builtin_shufflevector((lanes)second, (lanes)third, MIX_LOW));
            if (there > RGK_LANES)
                store_some(to + RGK_LANES, there - RGK_LANES,
                           (vreal)__builtin_shufflevector((lanes)second, (lanes)third, MIX_HIGH));
        }
        if (j == 0)
            break;
    }
    for (int r = 0; r < rows; r++) {
        real *to = dx + (size_t)r * pitch;
        if (skipped)
            to[0] = ((size_t)r < old ? to[0] : 0) + next[r][0];
        for (size_t w = skipped + 2 * out; (size_t)r >= old && w < pitch; w++)
            to[w] = 0;
    }
}

/* The cotangents u of a plane's windows to all of dx. */
static void three_put(const rgk_pool *p, const real *x, const real *u, real *dx)
{
    const size_t pitch = p->in[2];
    size_t done = 0; /* rows of dx */
    for (size_t row = 0; row < p->out[1]; row++, u += p->out[2]) {
        size_t first;
        const size_t rows = three_rows(p, row, &first), old = done > first ? least(done - first, rows) : 0;
        for (; done < first; done++)
            memset(dx + done * pitch, 0, pitch * sizeof(real));
        const real *from = x + first * pitch;
        real *to = dx + first * pitch;
        if (rows == 1)
            three_put_to(1, p, from, u, to, old);
        else if (rows == 2)
            three_put_to(2, p, from, u, to, old);
        else
            three_put_to(3, p, from, u, to, old);
        done = first + rows;
    }
    memset(dx + done * pitch, 0, (p->in[1] - done) * pitch * sizeof(real));
}

#endif
