/* gemm.c - the matrix product: which operand becomes vectors, which is packed, and the loops around the tile.

   One operand, V, is read as vectors, the other, S, as numbers to broadcast. Either C = A B is computed with V = B and
   vectors along n, or its transpose C^T = B^T A^T with V = A^T and vectors along m, whose blocks are turned on their
   way to C. The transposed form lets a large B that lies by columns stream as it is, while only A is packed. */
#include "gemm.h"
#include "gemm_pack.h"
#include "gemm_tile.h"
#include "gemm_tiny.h"

/* A panel of V, k x TILE_COLS, stays in L2 while the tiles of ROW_BLOCK rows of S pass; those rows stay in L2 for
   all panels of V_BLOCK columns. */
#ifndef PANEL_BYTES
#define PANEL_BYTES ((size_t)192 * 1024)
#endif
#ifndef ROW_BLOCK
#define ROW_BLOCK ((size_t)96)
#endif
#ifndef V_BLOCK
#define V_BLOCK (16 * (size_t)TILE_COLS)
#endif
#ifndef FLAT_BYTES
#define FLAT_K 64
#define FLAT_BYTES ((size_t)1024 * 1024)
#endif

static size_t round_up(size_t n, size_t unit)
{
    return (n + unit - 1) / unit * unit;
}

/* The size of the parts when n is cut into equal parts of at most `most`. */
static size_t even_part(size_t n, size_t most, size_t unit)
{
    const size_t parts = (n + most - 1) / most;
    return parts ? round_up((n + parts - 1) / parts, unit) : unit;
}

static size_t k_most(size_t n)
{
    return PANEL_BYTES / sizeof(real) / least(round_up(n, RGK_LANES), TILE_COLS);
}

typedef struct block {
    const rgk_gemm *g; /* as computed */
    bool turned;       /* g is the transpose of what was asked for, and so is C */
    real *v_packed, *s_packed, *c_turned;
    size_t l, k;    /* the part of the sum */
    size_t i, rows; /* of S */
    size_t j, cols; /* of V */
    bool v_in_place, s_direct, accumulate;
} block;

/* Whether k rows of a panel, `row` elements apart, stay in L2 where they lie: rows a large power of two apart share few
   of its sets. */
static bool stays_in_place(size_t k, ptrdiff_t row)
{
    const size_t bytes = (size_t)(row < 0 ? -row : row) * sizeof(real), way = (size_t)128 * 1024;
    const size_t apart = bytes & (~bytes + 1); /* the power of two in it */
    return k <= 6 * (apart < 256 ? way / 256 : apart < way ? way / apart : 1);
}

/* All rows of the block times columns [j, j + cols), at most TILE_COLS of them. The first rows to come pack V. */
static void run_panel(const block *b, size_t j, size_t cols, real *c, ptrdiff_t c_row)
{
    const rgk_gemm *g = b->g;
    const int vectors = (int)((cols + RGK_LANES - 1) / RGK_LANES);
    const real *s = (const real *)g->a + (ptrdiff_t)b->i * g->a_row + (ptrdiff_t)b->l * g->a_col;
    const real *v = (const real *)g->b + (ptrdiff_t)b->l * g->b_row + (ptrdiff_t)(b->j + j) * g->b_col;
    real *packed = b->v_packed + j * b->k;
    tile t = {.k = b->k, .s_row = g->a_row, .s_col = g->a_col, .c_row = c_row, .accumulate = b->accumulate};
    if (!b->s_direct) {
        s = b->s_packed;
        t.s_row = 1;
        t.s_col = (ptrdiff_t)b->rows;
    }
    t.last = cols - (size_t)(vectors - 1) * RGK_LANES;
    bool direct = b->i == 0 && g->b_col == 1;
    if (b->i == 0 && !direct)
        pack_v(b->k, cols, v, g->b_row, g->b_col, packed);
    t.v = packed;
    t.v_row = vectors * RGK_LANES;
    const size_t tiles = (b->rows + TILE_ROWS - 1) / TILE_ROWS;
    for (size_t q = 0; q < tiles; q++) {
        const size_t lo = b->rows * q / tiles, rows = b->rows * (q + 1) / tiles - lo;
        t.s = s + (ptrdiff_t)lo * t.s_row;
        t.c = c + (ptrdiff_t)lo * c_row;
        if (direct) {
            t.v = v;
            t.v_row = g->b_row;
            t.packed = rows == g->m || (b->v_in_place && t.last == RGK_LANES) ? NULL : packed;
            tile_direct((int)rows, vectors, &t);
            direct = false;
            if (t.packed) {
                t.v = packed;
                t.v_row = vectors * RGK_LANES;
            }
        } else {
            tile_packed((int)rows, vectors, &t);
        }
    }
}

static void run_block(const block *b)
{
    const rgk_gemm *g = b->g;
    if (!b->s_direct)
        pack_s(b->k, b->rows, (const real *)g->a + (ptrdiff_t)b->i * g->a_row + (ptrdiff_t)b->l * g->a_col, g->a_row,
               g->a_col, b->s_packed);
    for (size_t j = 0; j < b->cols; j += TILE_COLS) {
        const size_t cols = least(TILE_COLS, b->cols - j);
        if (!b->turned) {
            run_panel(b, j, cols, (real *)g->c + (ptrdiff_t)b->i * g->c_row + (b->j + j), g->c_row);
            continue;
        }
        real *c = (real *)g->c + (ptrdiff_t)(b->j + j) * g->c_row + b->i;
        if (b->accumulate)
            pack_transposed(cols, b->rows, c, g->c_row, b->c_turned, TILE_COLS);
        run_panel(b, j, cols, b->c_turned, TILE_COLS);
        pack_transposed(b->rows, cols, b->c_turned, TILE_COLS, c, g->c_row);
    }
}

static void run(const rgk_gemm *g, bool turned, real *scratch)
{
    const size_t k_part = even_part(g->k, k_most(g->n), 4);
    const bool flat = !turned && g->k <= FLAT_K && g->m * g->n * sizeof(real) > FLAT_BYTES;
    const size_t row_part = flat ? TILE_ROWS : even_part(g->m, ROW_BLOCK, TILE_ROWS);
    const size_t v_part = even_part(g->n, row_part < g->m || turned ? V_BLOCK : TILE_COLS, TILE_COLS);
    block b = {.g = g, .turned = turned, .v_packed = scratch};
    b.s_packed = b.v_packed + k_part * least(v_part, round_up(g->n, RGK_LANES));
    b.c_turned = b.s_packed + row_part * k_part;
    b.s_direct = g->a_col == 1 || (g->a_row == 1 && stays_in_place(k_part, g->a_col));
    b.v_in_place = row_part >= g->m && stays_in_place(k_part, g->b_row);
    for (b.j = 0; b.j < g->n; b.j += v_part) {
        b.cols = least(v_part, g->n - b.j);
        for (b.l = 0; b.l < g->k; b.l += k_part) {
            b.k = least(k_part, g->k - b.l);
            b.accumulate = g->accumulate || b.l;
            for (b.i = 0; b.i < g->m; b.i += row_part) {
                b.rows = least(row_part, g->m - b.i);
                run_block(&b);
            }
        }
    }
}

/* Multiply-adds of whole vectors, and packing, in the same unit. */
static double estimate(size_t m, size_t n, size_t k, bool b_by_rows)
{
    const double vectors = (double)((n + RGK_LANES - 1) / RGK_LANES);
    const double pack = b_by_rows ? 0 : 6;
    return (double)k * vectors * ((double)m + pack);
}

size_t RGK_NAME(gemm_scratch)(size_t m, size_t n, size_t k)
{
    if (tiny_fits(m, n, k))
        return 0;
    const size_t side = m > n ? m : n;
    const size_t k_part = least(round_up(k, 4), k_most(1)), width = least(round_up(side, RGK_LANES), V_BLOCK);
    return (k_part * width + ROW_BLOCK * k_part + ROW_BLOCK * TILE_COLS) * sizeof(real);
}

/* The form that costs less, of C and its transpose. */
static __attribute__((noinline)) void run_either(const rgk_gemm *g, real *scratch)
{
    const rgk_gemm t = {.m = g->n,
                        .n = g->m,
                        .k = g->k,
                        .a = g->b,
                        .a_row = g->b_col,
                        .a_col = g->b_row,
                        .b = g->a,
                        .b_row = g->a_col,
                        .b_col = g->a_row,
                        .c = g->c,
                        .c_row = g->c_row,
                        .accumulate = g->accumulate};
    const double direct = estimate(g->m, g->n, g->k, g->b_col == 1);
    const double turned = estimate(t.m, t.n, t.k, t.b_col == 1) + 12.0 * (double)g->n * (double)(g->m / RGK_LANES + 1);
    if (turned < direct)
        run(&t, true, scratch);
    else
        run(g, false, scratch);
}

void RGK_NAME(gemm)(const rgk_gemm *g, void *scratch)
{
    if (tiny_fits(g->m, g->n, g->k))
        tiny_run(g);
    else if (!RGK_NAME(gemm_narrow)(g))
        run_either(g, scratch);
}
