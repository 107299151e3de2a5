/* gemm_vector.c - the product of a vector and a matrix, y = x W, in the order of gemm: one chain over l an element. */
#include "gemm.h"
#include "gemm_pack.h"

/* y[j] = or += sum of x[i] w[i][j] over `rows` dense rows, w_row apart. */
RGK_INLINE void stream_rows(const int rows, size_t n, const real *x, ptrdiff_t x_step, const real *w, ptrdiff_t w_row, real *y,
                            bool accumulate)
{
    vreal a[8];
#pragma GCC unroll 8
    for (int i = 0; i < rows; i++)
        a[i] = v_set(x[i * x_step]);
    for (size_t j = 0; j < n; j += RGK_LANES) {
        vreal sum = accumulate ? pack_load(y + j, n - j) : v_set(0);
#pragma GCC unroll 8
        for (int i = 0; i < rows; i++)
            sum = v_fma(a[i], pack_load(w + i * w_row + (ptrdiff_t)j, n - j), sum);
        pack_store(y + j, n - j, sum);
    }
}

/* W by rows: whole rows stream through, eight at a time. */
static void stream(size_t n, size_t k, const real *x, ptrdiff_t x_step, const real *w, ptrdiff_t w_row, real *y, bool accumulate)
{
    for (size_t l = 0; l < k;) {
        const real *from = w + (ptrdiff_t)l * w_row, *by = x + (ptrdiff_t)l * x_step;
        if (k - l >= 8) {
            stream_rows(8, n, by, x_step, from, w_row, y, accumulate || l);
            l += 8;
        } else if (k - l >= 3) {
            stream_rows(3, n, by, x_step, from, w_row, y, accumulate || l);
            l += 3;
        } else {
            stream_rows(1, n, by, x_step, from, w_row, y, accumulate || l);
            l += 1;
        }
    }
}

/* W by columns, w_col apart: squares are turned in registers. */
static void turn(size_t n, size_t k, const real *x, ptrdiff_t x_step, const real *w, ptrdiff_t w_col, real *y, bool accumulate)
{
    for (size_t j = 0; j < n; j += RGK_LANES) {
        vreal sum = accumulate ? pack_load(y + j, n - j) : v_set(0);
        for (size_t l = 0; l < k; l += RGK_LANES) {
            vreal r[RGK_LANES];
#pragma GCC unroll 16
            for (size_t i = 0; i < RGK_LANES; i++)
                r[i] = pack_load(w + (ptrdiff_t)pack_min(j + i, n - 1) * w_col + (ptrdiff_t)l, k - l);
            pack_transpose(r);
            const real *by = x + (ptrdiff_t)l * x_step;
#pragma GCC unroll 16
            for (size_t i = 0; i < RGK_LANES; i++, by += x_step) {
                if (l + i < k)
                    sum = v_fma(v_set(*by), r[i], sum);
            }
        }
        pack_store(y + j, n - j, sum);
    }
}

bool RGK_NAME(gemm_vector)(const rgk_gemm *g)
{
    enum { BLOCK = 2048 }; /* elements of y that stay in L1 */
    const bool row = g->m == 1;
    const real *x = row ? g->a : g->b, *w = row ? g->b : g->a;
    const ptrdiff_t x_step = row ? g->a_col : g->b_row;
    const ptrdiff_t w_row = row ? g->b_row : g->a_col, w_col = row ? g->b_col : g->a_row, y_step = row ? 1 : g->c_row;
    const size_t n = row ? g->n : g->m;
    if (w_row != 1 && w_col != 1)
        return false;
    for (size_t j = 0; j < n; j += BLOCK) {
        real dense[BLOCK], *y = (real *)g->c + (ptrdiff_t)j * y_step, *out = y_step == 1 ? y : dense;
        const size_t cols = pack_min(BLOCK, n - j);
        for (size_t i = 0; i < cols && out == dense && g->accumulate; i++)
            dense[i] = y[(ptrdiff_t)i * y_step];
        (w_col == 1 ? stream : turn)(cols, g->k, x, x_step, w + (ptrdiff_t)j * w_col, w_col == 1 ? w_row : w_col, out, g->accumulate);
        for (size_t i = 0; i < cols && out == dense; i++)
            y[(ptrdiff_t)i * y_step] = dense[i];
    }
    return true;
}
