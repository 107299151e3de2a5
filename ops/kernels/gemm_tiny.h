/* gemm_tiny.h - products of a few dozen multiply-adds, as in a network of four neurons: no packing, no whole
   vectors. */
#ifndef RGK_GEMM_TINY_H
#define RGK_GEMM_TINY_H

#include "isa.h"
#include "kernels.h"

#define TINY_SUM 8 /* for sums as long as this, a part of B stays in registers */

static bool tiny_fits(size_t m, size_t n, size_t k)
{
    return m * n * k <= (k <= TINY_SUM ? 1024 : 256);
}

RGK_INLINE real tiny_fma(real a, real b, real c)
{
#if defined(RGK_REAL_PAIRS)
    return _mm_cvtss_f32(_mm_dpbf16_ps(_mm_set_ss(c), (__m128bh)_mm_set_ss(a), (__m128bh)_mm_set_ss(b)));
#elif RGK_HAVE_FMA && RGK_REAL_BYTES == 4
    return __builtin_fmaf(a, b, c);
#elif RGK_HAVE_FMA
    return __builtin_fma(a, b, c);
#else
    return a * b + c;
#endif
}

/* Four elements, whatever the width of the instruction set. */
typedef real tiny_four __attribute__((vector_size(4 * RGK_REAL_BYTES)));

RGK_INLINE void tiny_fma_four(real a, const tiny_four *b, tiny_four *c)
{
#if defined(RGK_REAL_PAIRS)
    *c = _mm_dpbf16_ps(*c, (__m128bh)_mm_set1_ps(a), (__m128bh)*b);
#elif RGK_HAVE_FMA && RGK_HAVE_X86 && RGK_REAL_BYTES == 4
    *c = _mm_fmadd_ps(_mm_set1_ps(a), *b, *c);
#elif RGK_HAVE_FMA && RGK_HAVE_X86
    *c = _mm256_fmadd_pd(_mm256_set1_pd(a), *b, *c);
#else
    for (int i = 0; i < 4; i++)
        (*c)[i] = tiny_fma(a, (*b)[i], (*c)[i]);
#endif
}

/* C may lie turned here: its element (i, j) is at c[i * c_row + j * c_col]. */
typedef struct tiny {
    size_t m, n, k;
    const real *a;
    ptrdiff_t a_row, a_col;
    const real *b;
    ptrdiff_t b_row, b_col;
    real *c;
    ptrdiff_t c_row, c_col;
    bool accumulate;
} tiny;

/* Four columns of C from column j: the columns of B are gathered once. */
RGK_INLINE void tiny_block(const int k, const tiny *p, size_t j)
{
    const ptrdiff_t a_row = p->a_row, a_col = p->a_col, b_row = p->b_row, b_col = p->b_col, c_row = p->c_row,
                    c_col = p->c_col;
    const real *a = p->a, *b = p->b + (ptrdiff_t)j * b_col;
    real *c = p->c + (ptrdiff_t)j * c_col;
    tiny_four v[TINY_SUM];
    RGK_UNROLL
    for (int l = 0; l < k; l++, b += b_row)
        v[l] = (tiny_four){b[0], b[b_col], b[2 * b_col], b[3 * b_col]};
    for (size_t i = p->m; i; i--, a += a_row, c += c_row) {
        tiny_four sum = {0};
        if (p->accumulate)
            sum = (tiny_four){c[0], c[c_col], c[2 * c_col], c[3 * c_col]};
        RGK_UNROLL
        for (int l = 0; l < k; l++)
            tiny_fma_four(a[l * a_col], &v[l], &sum);
        if (c_col == 1) {
            memcpy(c, &sum, sizeof sum);
        } else {
            c[0] = sum[0];
            c[c_col] = sum[1];
            c[2 * c_col] = sum[2];
            c[3 * c_col] = sum[3];
        }
    }
}

static void tiny_four_columns(const tiny *p, size_t j)
{
    switch (p->k) {
    case 1:
        tiny_block(1, p, j);
        break;
    case 2:
        tiny_block(2, p, j);
        break;
    case 3:
        tiny_block(3, p, j);
        break;
    case 4:
        tiny_block(4, p, j);
        break;
    case 5:
        tiny_block(5, p, j);
        break;
    case 6:
        tiny_block(6, p, j);
        break;
    case 7:
        tiny_block(7, p, j);
        break;
    case 8:
        tiny_block(8, p, j);
        break;
    default:
        break;
    }
}

/* `cols` columns of row i from column j. */
RGK_INLINE void tiny_cols(const int cols, const tiny *p, size_t i, size_t j)
{
    const ptrdiff_t a_col = p->a_col, b_row = p->b_row, b_col = p->b_col;
    const real *a = p->a + (ptrdiff_t)i * p->a_row, *b = p->b + (ptrdiff_t)j * b_col;
    real *c = p->c + (ptrdiff_t)i * p->c_row + (ptrdiff_t)j * p->c_col, sum[4];
    RGK_UNROLL
    for (int q = 0; q < cols; q++)
        sum[q] = p->accumulate ? c[q * p->c_col] : 0;
    for (size_t l = 0; l < p->k; l++, a += a_col, b += b_row) {
        RGK_UNROLL
        for (int q = 0; q < cols; q++)
            sum[q] = tiny_fma(*a, b[q * b_col], sum[q]);
    }
    RGK_UNROLL
    for (int q = 0; q < cols; q++)
        c[q * p->c_col] = sum[q];
}

static void tiny_run(const rgk_gemm *g)
{
    tiny p;
    if (g->n < 4 && g->m > g->n) /* four columns at a time is what this does well */
        p = (tiny){g->n,     g->m,     g->k, g->b, g->b_col, g->b_row,     g->a,
                   g->a_col, g->a_row, g->c, 1,    g->c_row, g->accumulate};
    else
        p = (tiny){g->m,     g->n,     g->k, g->a,     g->a_row, g->a_col,     g->b,
                   g->b_row, g->b_col, g->c, g->c_row, 1,        g->accumulate};
    size_t j = 0;
    if (p.k && p.k <= TINY_SUM) {
        for (; j + 4 <= p.n; j += 4)
            tiny_four_columns(&p, j);
    }
    for (; j + 4 <= p.n; j += 4) {
        for (size_t i = 0; i < p.m; i++)
            tiny_cols(4, &p, i, j);
    }
    for (; j < p.n; j++) {
        for (size_t i = 0; i < p.m; i++)
            tiny_cols(1, &p, i, j);
    }
}

#endif
