/* row.h - sums and maps of the terms of one row, shared by the kernels that go row by row. */
#ifndef RGK_ROW_H
#define RGK_ROW_H

#include "pairwise.h"
#include "vector.h"

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

#endif
