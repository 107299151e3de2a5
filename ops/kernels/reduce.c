/* reduce.c - sums, products and extrema of a contiguous vector or of the columns of a matrix.

   A contiguous vector of k elements: blocks of 128 vectors, each summed in 8 interleaved chains, joined in a balanced
   tree, then the lanes of the last vector are folded in halves. A column of k rows: groups of 4 rows in sequence, 32
   groups to a block, blocks joined in a balanced tree. Neither order depends on anything but k. A result that is not a
   number is one and the same NaN, for which of several is passed on depends on the order of a compiler's operands. */
#include "list.h"
#include "pairwise.h"

#include <math.h>

#define CHAINS 8
#define BLOCK (128 * RGK_LANES)
#define GROUP 4
#define BLOCK_ROWS (32 * GROUP)
#define WIDE 8 /* vectors of columns reduced together */

/* A reduction is three functions: first(x) of one element, step(acc, x) = join(acc, first(x)), and join. */
typedef vreal unary_fn(vreal);
typedef vreal binary_fn(vreal, vreal);

RGK_INLINE vreal keep(vreal x) { return x; }
RGK_INLINE vreal square(vreal x) { return x * x; }
RGK_INLINE vreal add_square(vreal acc, vreal x) { return v_fma(x, x, acc); }

/* ---- contiguous ---- */

/* n elements into 8 chains, then into one vector. */
RGK_INLINE vreal reduce_block(size_t n, const real *x, vreal identity, binary_fn *step, binary_fn *join)
{
    vreal acc[CHAINS];
    for (int c = 0; c < CHAINS; c++)
        acc[c] = identity;
    size_t i = 0;
    for (; i + CHAINS * RGK_LANES <= n; i += CHAINS * RGK_LANES)
        for (int c = 0; c < CHAINS; c++)
            acc[c] = step(acc[c], v_load(x + i + (size_t)c * RGK_LANES));
    for (; i + RGK_LANES <= n; i += RGK_LANES)
        acc[0] = step(acc[0], v_load(x + i));
    if (i < n) {
        const vreal part = v_select(v_first_lanes(n - i), v_load_part(x + i, n - i), identity);
        acc[1] = step(acc[1], part);
    }
    return join(join(join(acc[0], acc[1]), join(acc[2], acc[3])), join(join(acc[4], acc[5]), join(acc[6], acc[7])));
}

RGK_INLINE real reduce_contiguous(size_t k, const real *x, real identity, binary_fn *step, binary_fn *join)
{
    pairwise blocks = {.top = 0, .blocks = 0};
    size_t i = 0;
    for (; i + BLOCK <= k; i += BLOCK)
        pairwise_push(&blocks, reduce_block(BLOCK, x + i, v_set(identity), step, join), join);
    const vreal rest = reduce_block(k - i, x + i, v_set(identity), step, join);
    const real y = v_fold(pairwise_finish(&blocks, rest, join), join);
    return y == y ? y : (real)NAN;
}

/* ---- columns ---- */

RGK_INLINE vreal load_columns(const real *x, size_t part)
{
    return part ? v_load_part(x, part) : v_load(x);
}

/* Rows [0, k), k <= BLOCK_ROWS, of `width` vectors of columns (the last `part` of one wide if not 0). */
RGK_INLINE void reduce_rows(size_t k, int width, size_t part, size_t stride, const real *x, vreal identity,
                            vreal *acc, unary_fn *first, binary_fn *step, binary_fn *join)
{
    for (int w = 0; w < width; w++)
        acc[w] = identity;
    size_t r = 0;
    for (; r + GROUP <= k; r += GROUP) {
        for (int w = 0; w < width; w++) {
            const real *at = x + r * stride + (size_t)w * RGK_LANES;
            vreal group = first(load_columns(at, part));
            for (size_t i = 1; i < GROUP; i++)
                group = step(group, load_columns(at + i * stride, part));
            acc[w] = join(acc[w], group);
        }
    }
    for (; r < k; r++)
        for (int w = 0; w < width; w++)
            acc[w] = step(acc[w], load_columns(x + r * stride + (size_t)w * RGK_LANES, part));
}

RGK_INLINE void reduce_tile(size_t k, int width, size_t part, size_t stride, const real *x, real identity, vreal *y,
                            unary_fn *first, binary_fn *step, binary_fn *join)
{
    pairwise blocks[WIDE];
    for (int w = 0; w < width; w++)
        blocks[w].top = 0, blocks[w].blocks = 0;
    vreal acc[WIDE];
    size_t r = 0;
    for (; r + BLOCK_ROWS <= k; r += BLOCK_ROWS) {
        reduce_rows(BLOCK_ROWS, width, part, stride, x + r * stride, v_set(identity), acc, first, step, join);
        for (int w = 0; w < width; w++)
            pairwise_push(&blocks[w], acc[w], join);
    }
    reduce_rows(k - r, width, part, stride, x + r * stride, v_set(identity), acc, first, step, join);
    for (int w = 0; w < width; w++) {
        const vreal column = pairwise_finish(&blocks[w], acc[w], join);
        y[w] = v_select(v_is_nan(column), v_set((real)NAN), column);
    }
}

RGK_INLINE void reduce_columns(size_t k, size_t n, size_t stride, const real *x, real *y, real identity,
                               unary_fn *first, binary_fn *step, binary_fn *join)
{
    vreal acc[WIDE];
    size_t j = 0;
    for (; j + WIDE * RGK_LANES <= n; j += WIDE * RGK_LANES) {
        reduce_tile(k, WIDE, 0, stride, x + j, identity, acc, first, step, join);
        for (int w = 0; w < WIDE; w++)
            v_store(y + j + (size_t)w * RGK_LANES, acc[w]);
    }
    for (; j + RGK_LANES <= n; j += RGK_LANES) {
        reduce_tile(k, 1, 0, stride, x + j, identity, acc, first, step, join);
        v_store(y + j, acc[0]);
    }
    if (j < n) {
        reduce_tile(k, 1, n - j, stride, x + j, identity, acc, first, step, join);
        v_store_part(y + j, n - j, acc[0]);
    }
}

RGK_INLINE void reduce(size_t k, size_t n, size_t stride, const void *vx, void *vy, real identity, unary_fn *first,
                       binary_fn *step, binary_fn *join)
{
    const real *x = vx;
    real *y = vy;
    if (stride != 1) {
        reduce_columns(k, n, stride, x, y, identity, first, step, join);
        return;
    }
    for (size_t j = 0; j < n; j++)
        y[j] = reduce_contiguous(k, x + j, identity, step, join);
}

void RGK_NAME(reduce_sum)(size_t k, size_t n, size_t stride, const void *x, void *y)
{
    reduce(k, n, stride, x, y, RGK_C(0.0), keep, v_add, v_add);
}

void RGK_NAME(reduce_prod)(size_t k, size_t n, size_t stride, const void *x, void *y)
{
    reduce(k, n, stride, x, y, RGK_C(1.0), keep, v_mul, v_mul);
}

void RGK_NAME(reduce_max)(size_t k, size_t n, size_t stride, const void *x, void *y)
{
    reduce(k, n, stride, x, y, (real)-INFINITY, keep, v_maximum, v_maximum);
}

void RGK_NAME(reduce_min)(size_t k, size_t n, size_t stride, const void *x, void *y)
{
    reduce(k, n, stride, x, y, (real)INFINITY, keep, v_minimum, v_minimum);
}

void RGK_NAME(reduce_sum_squares)(size_t k, size_t n, size_t stride, const void *x, void *y)
{
    reduce(k, n, stride, x, y, RGK_C(0.0), square, add_square, v_add);
}

/* ---- positions of extrema: the extremum first, then the first place where it stands ---- */

/* Lanes that hold the extremum m, which is NaN if any element is. */
RGK_INLINE vmask is_extremum(vreal x, vreal m)
{
    return v_or(v_eq(x, m), v_and(v_is_nan(x), v_is_nan(m)));
}

RGK_INLINE int64_t find_contiguous(size_t k, const real *x, real extremum)
{
    const vreal m = v_set(extremum);
    size_t i = 0;
    for (; i + RGK_LANES <= k; i += RGK_LANES) {
        const unsigned found = v_mask_bits(is_extremum(v_load(x + i), m));
        if (found)
            return (int64_t)i + __builtin_ctz(found);
    }
    const vmask inside = v_first_lanes(k - i);
    const unsigned found = v_mask_bits(v_and(inside, is_extremum(v_load_part(x + i, k - i), m)));
    return (int64_t)i + (found ? __builtin_ctz(found) : 0);
}

/* For up to RGK_LANES columns. */
RGK_INLINE void find_columns(size_t k, size_t part, size_t stride, const real *x, vreal m, int64_t *y)
{
    unsigned wanted = (1u << (part ? part : RGK_LANES)) - 1;
    for (size_t r = 0; r < k && wanted; r++) {
        unsigned found = v_mask_bits(is_extremum(load_columns(x + r * stride, part), m)) & wanted;
        wanted &= ~found;
        for (; found; found &= found - 1)
            y[__builtin_ctz(found)] = (int64_t)r;
    }
}

RGK_INLINE void find(size_t k, size_t n, size_t stride, const void *vx, int64_t *y, real identity, binary_fn *join)
{
    const real *x = vx;
    if (stride == 1) {
        for (size_t j = 0; j < n; j++)
            y[j] = find_contiguous(k, x + j, reduce_contiguous(k, x + j, identity, join, join));
        return;
    }
    vreal m;
    size_t j = 0;
    for (; j + RGK_LANES <= n; j += RGK_LANES) {
        reduce_tile(k, 1, 0, stride, x + j, identity, &m, keep, join, join);
        find_columns(k, 0, stride, x + j, m, y + j);
    }
    if (j < n) {
        reduce_tile(k, 1, n - j, stride, x + j, identity, &m, keep, join, join);
        find_columns(k, n - j, stride, x + j, m, y + j);
    }
}

void RGK_NAME(argmax)(size_t k, size_t n, size_t stride, const void *x, int64_t *y)
{
    find(k, n, stride, x, y, (real)-INFINITY, v_maximum);
}

void RGK_NAME(argmin)(size_t k, size_t n, size_t stride, const void *x, int64_t *y)
{
    find(k, n, stride, x, y, (real)INFINITY, v_minimum);
}
