/* row.h - sums and maps of the terms of one row, shared by the kernels that go row by row. */
#ifndef RGK_ROW_H
#define RGK_ROW_H

#include "pairwise.h"
#include "vector.h"

#include <stdbool.h>

#define CHAINS 4
#define BLOCK (64 * RGK_LANES)

/* A term of a row's sum: of x and another row y, with the row's constant c. */
typedef vreal term_fn(vreal x, vreal y, vreal c);

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

/* Asks memory for what lies `ahead` elements behind x, if anything. */
RGK_INLINE void ask_ahead(const real *x, size_t ahead)
{
    __builtin_prefetch((const void *)((uintptr_t)x + ahead * sizeof(real)));
}

/* Sum of the terms of n elements in 4 chains; terms go to `out` unless it is NULL. With `asks`, the elements `ahead` of
   those of x are on their way meanwhile: a pass over a row that is in the cache would leave memory idle. */
RGK_INLINE vreal sum_block_ahead(size_t n, const real *x, const real *y, vreal c, real *out, term_fn *term,
                                 const bool asks, size_t ahead)
{
    vreal sum = v_set(RGK_C(0.0));
    size_t i = 0;
    if (n >= CHAINS * RGK_LANES) {
        vreal acc[CHAINS] = {{0}};
        for (; i + CHAINS * RGK_LANES <= n; i += CHAINS * RGK_LANES) {
            for (int k = 0; k < CHAINS; k++) {
                const size_t at = i + (size_t)k * RGK_LANES;
                if (asks)
                    ask_ahead(x + at, ahead);
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

RGK_INLINE vreal sum_block(size_t n, const real *x, const real *y, vreal c, real *out, term_fn *term)
{
    return sum_block_ahead(n, x, y, c, out, term, false, 0);
}

RGK_INLINE real row_sum_ahead(size_t n, const real *x, const real *y, real constant, real *out, term_fn *term,
                              const bool asks, size_t ahead)
{
    const vreal c = v_set(constant);
    pairwise blocks;
    pairwise_begin(&blocks);
    size_t i = 0;
    for (; i + BLOCK <= n; i += BLOCK)
        pairwise_push(&blocks, sum_block_ahead(BLOCK, x + i, y + i, c, out ? out + i : NULL, term, asks, ahead), v_add);
    const vreal rest = sum_block_ahead(n - i, x + i, y + i, c, out ? out + i : NULL, term, asks, ahead);
    return v_fold(pairwise_finish(&blocks, rest, v_add), v_add);
}

RGK_INLINE real row_sum(size_t n, const real *x, const real *y, real constant, real *out, term_fn *term)
{
    return row_sum_ahead(n, x, y, constant, out, term, false, 0);
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

#endif
