/* gemm_narrow.c - products with one short side: a vector times a matrix by rows, and a few vectors times a matrix by
   columns. The large operand is read once, as it lies; every element is one chain over l, as everywhere in gemm. With
   -DRGK_W_BF16 it holds bf16 numbers. */
#include "bf16.h"
#include "gemm.h"
#include "gemm_form.h"
#include "gemm_turn.h"

#if defined(RGK_W_BF16)
typedef uint16_t weight;

RGK_INLINE vreal load_weights(const weight *p, size_t n)
{
    return n >= RGK_LANES ? v_load_bf16(p) : v_load_bf16_part(p, n);
}
#else
typedef real weight;

RGK_INLINE vreal load_weights(const weight *p, size_t n)
{
    return load_some(p, n);
}
#endif

/* ---- one row or column, the matrix W by rows: they stream through, eight at a time ---- */

/* y[j] = or += sum of x[i] w[i][j] over `rows` rows, w_row apart. */
RGK_INLINE void stream_rows(const int rows, size_t n, const real *x, ptrdiff_t x_row, const weight *w, ptrdiff_t w_row,
                            real *y, bool accumulate)
{
    vreal a[8];
    RGK_UNROLL
    for (int i = 0; i < rows; i++)
        a[i] = v_set(x[i * x_row]);
    for (size_t j = 0; j < n; j += RGK_LANES) {
        vreal sum = accumulate ? load_some(y + j, n - j) : v_set(0);
        RGK_UNROLL
        for (int i = 0; i < rows; i++)
            sum = v_fma(a[i], load_weights(w + i * w_row + (ptrdiff_t)j, n - j), sum);
        store_some(y + j, n - j, sum);
    }
}

static void stream(size_t n, size_t k, const real *x, ptrdiff_t x_row, const weight *w, ptrdiff_t w_row, real *y,
                   bool accumulate)
{
    for (size_t l = 0; l < k;) {
        const weight *from = w + (ptrdiff_t)l * w_row;
        const real *by = x + (ptrdiff_t)l * x_row;
        if (k - l >= 8) {
            stream_rows(8, n, by, x_row, from, w_row, y, accumulate || l);
            l += 8;
        } else if (k - l >= 3) {
            stream_rows(3, n, by, x_row, from, w_row, y, accumulate || l);
            l += 3;
        } else {
            stream_rows(1, n, by, x_row, from, w_row, y, accumulate || l);
            l += 1;
        }
    }
}

/* y may have a step; its parts then are gathered and put back. */
static void run_stream(size_t n, size_t k, const real *x, ptrdiff_t x_row, const weight *w, ptrdiff_t w_row, real *y,
                       ptrdiff_t y_row, bool accumulate)
{
    enum { BLOCK = 2048 }; /* elements of y that stay in L1 */
    for (size_t j = 0; j < n; j += BLOCK, w += BLOCK, y += BLOCK * y_row) {
        real dense[BLOCK], *out = y_row == 1 ? y : dense;
        const size_t cols = least(BLOCK, n - j);
        for (size_t i = 0; i < cols && out == dense && accumulate; i++)
            dense[i] = y[(ptrdiff_t)i * y_row];
        stream(cols, k, x, x_row, w, w_row, out, accumulate);
        for (size_t i = 0; i < cols && out == dense; i++)
            y[(ptrdiff_t)i * y_row] = dense[i];
    }
}

/* ---- a few vectors, the matrix W by columns: squares of it are turned in registers ---- */

/* y[j][i] = or += sum over l of x[l][j] w[i][l] for j < cols and n rows of W. The result has rows or columns y_row
   apart. */
typedef struct narrow {
    size_t n, k;
    const real *x;
    ptrdiff_t x_row, x_col;
    const weight *w;
    ptrdiff_t w_row;
    real *y;
    ptrdiff_t y_row;
    bool by_rows; /* y[j][i] lies at y[j * y_row + i], else at y[i * y_row + j] */
    bool accumulate;
} narrow;

RGK_INLINE void narrow_load(const int cols, const narrow *p, size_t i, size_t rows, vreal sum[RGK_LANES])
{
    RGK_UNROLL
    for (size_t q = 0; q < RGK_LANES; q++) {
        sum[q] = v_set(0);
        if (p->accumulate && p->by_rows && q < (size_t)cols)
            sum[q] = load_some(p->y + (ptrdiff_t)q * p->y_row + (ptrdiff_t)i, rows);
        else if (p->accumulate && !p->by_rows && q < rows)
            sum[q] = load_some(p->y + (ptrdiff_t)(i + q) * p->y_row, (size_t)cols);
    }
    if (p->accumulate && !p->by_rows)
        turn_square(sum);
}

RGK_INLINE void narrow_store(const int cols, const narrow *p, size_t i, size_t rows, vreal sum[RGK_LANES])
{
    if (!p->by_rows)
        turn_square(sum);
    RGK_UNROLL
    for (size_t q = 0; q < RGK_LANES; q++) {
        if (p->by_rows && q < (size_t)cols)
            store_some(p->y + (ptrdiff_t)q * p->y_row + (ptrdiff_t)i, rows, sum[q]);
        else if (!p->by_rows && q < rows)
            store_some(p->y + (ptrdiff_t)(i + q) * p->y_row, (size_t)cols, sum[q]);
    }
}

RGK_INLINE void narrow_cols(const int cols, const narrow *p)
{
    const size_t k = p->k;
    const ptrdiff_t x_row = p->x_row, x_col = p->x_col;
    for (size_t i = 0; i < p->n; i += RGK_LANES) {
        const size_t rows = least(RGK_LANES, p->n - i);
        vreal sum[RGK_LANES];
        const weight *row[RGK_LANES];
        const real *x[(NARROW + 2) / 3]; /* x[q]: column 3 q of x */
        for (size_t q = 0; q < RGK_LANES; q++)
            row[q] = p->w + (ptrdiff_t)(i + least(q, rows - 1)) * p->w_row;
        RGK_UNROLL
        for (int q = 0; q < (NARROW + 2) / 3; q++)
            x[q] = p->x + 3 * q * x_col;
        narrow_load(cols, p, i, rows, sum);
        for (size_t l = 0; l < k; l += RGK_LANES) {
            vreal r[RGK_LANES];
            RGK_UNROLL
            for (size_t q = 0; q < RGK_LANES; q++)
                r[q] = load_weights(row[q] + l, k - l);
            turn_square(r);
            RGK_UNROLL
            for (size_t q = 0; q < RGK_LANES; q++) {
                if (l + q < k) {
                    RGK_UNROLL
                    for (int j = 0; j < cols; j++)
                        sum[j] = v_fma(v_set(x[j / 3][j % 3 * x_col]), r[q], sum[j]);
                    RGK_UNROLL
                    for (int j = 0; j < (cols + 2) / 3; j++)
                        x[j] += x_row;
                }
            }
        }
        narrow_store(cols, p, i, rows, sum);
    }
}

static void run_narrow(size_t cols, narrow p)
{
    while (cols) {
        size_t done = 1;
        if (NARROW >= 10 && cols >= 10)
            narrow_cols(least(done = 10, NARROW), &p);
        else if (NARROW >= 8 && cols >= 8)
            narrow_cols(least(done = 8, NARROW), &p);
        else if (NARROW >= 6 && cols >= 6)
            narrow_cols(least(done = 6, NARROW), &p);
        else if (NARROW >= 4 && cols >= 4)
            narrow_cols(least(done = 4, NARROW), &p);
        else if (cols >= 2)
            narrow_cols(done = 2, &p);
        else
            narrow_cols(1, &p);
        cols -= done;
        p.x += (ptrdiff_t)done * p.x_col;
        p.y += p.by_rows ? (ptrdiff_t)done * p.y_row : (ptrdiff_t)done;
    }
}

static void run_form(const rgk_gemm *g, narrow_form form)
{
    switch (form) {
    case NARROW_ROW:
        run_stream(g->n, g->k, g->a, g->a_col, g->b, g->b_row, g->c, 1, g->accumulate);
        break;
    case NARROW_COLUMN:
        run_stream(g->m, g->k, g->b, g->b_row, g->a, g->a_col, g->c, g->c_row, g->accumulate);
        break;
    case NARROW_ROWS:
        run_narrow(g->m,
                   (narrow){g->n, g->k, g->a, g->a_col, g->a_row, g->b, g->b_col, g->c, g->c_row, true, g->accumulate});
        break;
    case NARROW_COLUMNS:
        run_narrow(
            g->n, (narrow){g->m, g->k, g->b, g->b_row, g->b_col, g->a, g->a_row, g->c, g->c_row, false, g->accumulate});
        break;
    case NARROW_NOT:
        break;
    }
}

#if defined(RGK_W_BF16)
void RGK_NAME(gemm_narrow_bf16)(const rgk_gemm *g, narrow_form form)
{
    run_form(g, form);
}
#else
bool RGK_NAME(gemm_narrow)(const rgk_gemm *g)
{
    const narrow_form form = narrow_form_of(g);
    run_form(g, form);
    return form != NARROW_NOT;
}
#endif
