/* reduce.c - sums, products and extrema of a contiguous vector or of the columns of a matrix.

   A contiguous vector of k elements: blocks of 128 vectors, each summed in 8 interleaved chains, joined in a balanced
   tree, then the lanes of the last vector are folded in halves. A column of k rows: groups of 4 rows in sequence, 32
   groups to a block, blocks joined in a balanced tree. Neither order depends on anything but k. A result that is not a
   number is one and the same NaN, for which of several is passed on depends on the order of a compiler's operands. */
#include "list.h"
#include "pairwise.h"
#include "vector.h"

#include <math.h>

#define CHAINS 8
#define BLOCK (128 * RGK_LANES)
#define GROUP 4
#define BLOCK_ROWS (32 * GROUP)
#define WIDE 8      /* vectors of columns reduced together */
#define FIND_WIDE 4 /* the same for positions, which take twice as many registers */

/* A reduction is three functions: first(x) of one element, step(acc, x) = join(acc, first(x)), and join. */
typedef vreal unary_fn(vreal);
typedef vreal binary_fn(vreal, vreal);

RGK_INLINE vreal keep(vreal x)
{
    return x;
}
RGK_INLINE vreal square(vreal x)
{
    return x * x;
}
RGK_INLINE vreal add_square(vreal acc, vreal x)
{
    return v_fma(x, x, acc);
}

/* ---- contiguous ---- */

/* n elements into 8 chains, then into one vector. */
RGK_INLINE vreal reduce_block(size_t n, const real *x, vreal identity, binary_fn *step, binary_fn *join)
{
    vreal sum = identity;
    size_t i = 0;
    if (n >= CHAINS * RGK_LANES) {
        vreal acc[CHAINS];
        for (int c = 0; c < CHAINS; c++)
            acc[c] = identity;
        for (; i + CHAINS * RGK_LANES <= n; i += CHAINS * RGK_LANES)
            for (int c = 0; c < CHAINS; c++)
                acc[c] = step(acc[c], v_load(x + i + (size_t)c * RGK_LANES));
        sum = join(join(join(acc[0], acc[1]), join(acc[2], acc[3])), join(join(acc[4], acc[5]), join(acc[6], acc[7])));
    }
    for (; i + RGK_LANES <= n; i += RGK_LANES)
        sum = step(sum, v_load(x + i));
    if (i < n)
        sum = step(sum, v_select(v_first_lanes(n - i), v_load_part(x + i, n - i), identity));
    return sum;
}

RGK_INLINE real reduce_contiguous(size_t k, const real *x, real identity, binary_fn *step, binary_fn *join)
{
    pairwise blocks;
    pairwise_begin(&blocks);
    size_t i = 0;
    for (; i + BLOCK <= k; i += BLOCK)
        pairwise_push(&blocks, reduce_block(BLOCK, x + i, v_set(identity), step, join), join);
    const vreal rest = reduce_block(k - i, x + i, v_set(identity), step, join);
    const real y = v_fold(pairwise_finish(&blocks, rest, join), join);
    return y == y ? y : (real)NAN;
}

/* ---- columns ---- */

/* Columns are taken WIDE vectors at a time, then by one vector of up to RGK_LANES columns: `part` of them (0: all). */
RGK_INLINE vreal load_columns(const real *x, size_t part)
{
    return part ? v_load_part(x, part) : v_load(x);
}

/* Rows [0, k), k <= BLOCK_ROWS, of `width` vectors of columns. */
RGK_INLINE void reduce_rows(size_t k, int width, size_t part, size_t stride, const real *x, vreal identity, vreal *acc,
                            unary_fn *first, binary_fn *step, binary_fn *join)
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
        pairwise_begin(&blocks[w]);
    vreal acc[WIDE];
    for (size_t r = 0;; r += BLOCK_ROWS) {
        const size_t rows = k - r < BLOCK_ROWS ? k - r : BLOCK_ROWS;
        reduce_rows(rows, width, part, stride, x + r * stride, v_set(identity), acc, first, step, join);
        if (rows < BLOCK_ROWS)
            break;
        for (int w = 0; w < width; w++)
            pairwise_push(&blocks[w], acc[w], join);
    }
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
    for (; j < n; j += RGK_LANES) {
        const size_t part = n - j < RGK_LANES ? n - j : RGK_LANES;
        reduce_tile(k, 1, part, stride, x + j, identity, acc, first, step, join);
        v_store_part(y + j, part, acc[0]);
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

/* ---- positions of extrema; a NaN counts as one ---- */

typedef vmask order_fn(vreal, vreal);

/* Contiguous: the extremum m first, then the first place where it stands. */
RGK_INLINE int64_t find_contiguous(size_t k, const real *x, real extremum)
{
    const vreal m = v_set(extremum);
    const vmask want_nan = v_is_nan(m);
    for (size_t i = 0; i < k; i += RGK_LANES) {
        const size_t left = k - i;
        const vreal v = left < RGK_LANES ? v_load_part(x + i, left) : v_load(x + i);
        unsigned found = v_mask_bits(v_or(v_eq(v, m), v_and(v_is_nan(v), want_nan)));
        if (left < RGK_LANES)
            found &= (1u << left) - 1;
        if (found)
            return (int64_t)i + __builtin_ctz(found);
    }
    return 0;
}

#define INDEX_ROWS ((size_t)1 << 30) /* row numbers fit into lanes */

/* Up to `width` vectors of columns: each row takes the place of the best one so far where it is better. */
RGK_INLINE void find_tile(size_t k, int width, size_t part, size_t stride, const real *x, int64_t *y, order_fn *worse)
{
    vreal best[WIDE];
    for (int w = 0; w < width; w++)
        best[w] = load_columns(x + (size_t)w * RGK_LANES, part);
    for (size_t from = 0; from < k; from += INDEX_ROWS) {
        const size_t rows = k - from < INDEX_ROWS ? k - from : INDEX_ROWS;
        vint index[WIDE];
        for (int w = 0; w < width; w++)
            index[w] = v_set_int(from ? -1 : 0);
        for (size_t r = 0; r < rows; r++) {
            const vint row = v_set_int((lane_int)r);
            for (int w = 0; w < width; w++) {
                const vreal v = load_columns(x + (from + r) * stride + (size_t)w * RGK_LANES, part);
                const vmask better = v_and(v_not(worse(v, best[w])), v_eq(best[w], best[w]));
                best[w] = v_select(better, v, best[w]);
                index[w] = v_select_int(better, row, index[w]);
            }
        }
        for (int w = 0; w < width; w++) {
            lane_int found[RGK_LANES];
            memcpy(found, &index[w], sizeof found);
            for (size_t j = 0; j < (part ? part : RGK_LANES); j++)
                if (found[j] >= 0)
                    y[(size_t)w * RGK_LANES + j] = (int64_t)from + found[j];
        }
    }
}

RGK_INLINE void find(size_t k, size_t n, size_t stride, const void *vx, int64_t *y, real identity, binary_fn *join,
                     order_fn *worse)
{
    const real *x = vx;
    if (stride == 1) {
        for (size_t j = 0; j < n; j++)
            y[j] = find_contiguous(k, x + j, reduce_contiguous(k, x + j, identity, join, join));
        return;
    }
    size_t j = 0;
    for (; j + FIND_WIDE * RGK_LANES <= n; j += FIND_WIDE * RGK_LANES)
        find_tile(k, FIND_WIDE, 0, stride, x + j, y + j, worse);
    for (; j < n; j += RGK_LANES)
        find_tile(k, 1, n - j < RGK_LANES ? n - j : RGK_LANES, stride, x + j, y + j, worse);
}

void RGK_NAME(argmax)(size_t k, size_t n, size_t stride, const void *x, int64_t *y)
{
    find(k, n, stride, x, y, (real)-INFINITY, v_maximum, v_le);
}

void RGK_NAME(argmin)(size_t k, size_t n, size_t stride, const void *x, int64_t *y)
{
    find(k, n, stride, x, y, (real)INFINITY, v_minimum, v_ge);
}
