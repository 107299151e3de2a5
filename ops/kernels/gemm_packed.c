/* gemm_packed.c - a matrix B brought into the order in which tiles read it, once for many products, and these products.

   It lies in panels of TILE_COLS columns, the last with whole vectors of what is left; a panel has one row after the
   other. An element is the same chain of multiply-adds as where B is read as it came. */
#include "gemm.h"
#include "gemm_block.h"
#include "gemm_pack.h"
#include "gemm_soon.h"
#include "gemm_tile.h"

/* Elements from which packing is worth it, and bytes up to which: beyond, reading B takes the time, in any order. */
#define PACK_LEAST 2048
#define PACK_MOST ((size_t)16 * 1024 * 1024)
#define NEAR_BYTES ((size_t)1024 * 1024) /* so many stay in L2 while loops read them again and again */
#define ALONE_ROWS ((size_t)128)         /* so few rows of A pass all at once, and panels stream by */

static size_t panel_width(size_t n, size_t panel)
{
    return round_up(least(TILE_COLS, n - panel * TILE_COLS), RGK_LANES);
}

size_t RGK_NAME(gemm_packed)(size_t n, size_t k, size_t *panels)
{
    const size_t bytes = k * round_up(n, RGK_LANES) * sizeof(real);
    *panels = (n + TILE_COLS - 1) / TILE_COLS;
    return n * k >= PACK_LEAST && n >= 2 * RGK_LANES && bytes <= PACK_MOST ? bytes : 0;
}

void RGK_NAME(gemm_pack)(size_t n, size_t k, const void *b, ptrdiff_t b_row, ptrdiff_t b_col, size_t lo, size_t hi,
                         void *packed)
{
    for (size_t p = lo; p < hi; p++) {
        const real *from = (const real *)b + (ptrdiff_t)(p * TILE_COLS) * b_col;
        real *to = (real *)packed + p * TILE_COLS * k;
        const size_t cols = least(TILE_COLS, n - p * TILE_COLS), width = panel_width(n, p);
        if (b_col != 1) {
            pack_v(k, cols, from, b_row, b_col, to);
            continue;
        }
        for (size_t l = 0; l < k; l++, from += b_row)
            for (size_t j = 0; j < width; j += RGK_LANES, to += RGK_LANES)
                v_store(to, load_some(from + j, cols - j));
    }
}

/* A part of the sum, for some rows of A. */
typedef struct part {
    const rgk_gemm *g;
    size_t l, k, i, rows;
    const real *s; /* element (i, l) of these rows at s[i * s_row + l * s_col], or, if packed, as pack_s made them */
    ptrdiff_t s_row, s_col;
    bool s_packed;
    bool accumulate;
    soon_place *soon;
} part;

/* Columns [j, j + cols) of C, within one panel. The first rows stream through the panel, the others, which find it in
   L2, ask for the next one meanwhile; and those that have nothing left of it to ask for, and the last rows in any case,
   for what the caller will read. */
static void run_panel(const part *p, size_t j, size_t cols, bool more)
{
    const rgk_gemm *g = p->g;
    const size_t column = g->packed_j + j, panel = column / TILE_COLS, width = panel_width(g->packed_n, panel);
    const size_t row = g->packed_l + p->l, line = 64 / sizeof(real);
    const real *v = (const real *)g->packed + panel * TILE_COLS * g->packed_k + row * width + column % TILE_COLS;
    const int vectors = (int)((cols + RGK_LANES - 1) / RGK_LANES);
    tile t = {.k = p->k,
              .s_row = p->s_row,
              .s_col = p->s_col,
              .v = v,
              .v_row = (ptrdiff_t)width,
              .c_row = g->c_row,
              .last = cols - (size_t)(vectors - 1) * RGK_LANES,
              .near = p->rows <= TILE_ROWS && g->packed_k * g->packed_n * sizeof(real) <= NEAR_BYTES,
              .accumulate = p->accumulate};
    const size_t next_width = more ? panel_width(g->packed_n, panel + 1) : 0;
    const real *next = v + TILE_COLS * g->packed_k + row * next_width - row * width;
    real *c = (real *)g->c + (ptrdiff_t)p->i * g->c_row + (ptrdiff_t)j;
    for (size_t q = 0; q < tile_count(p->rows); q++) {
        const size_t lo = tile_begin(p->rows, q), rows = tile_begin(p->rows, q + 1) - lo;
        if (t.accumulate)
            expect(c + (ptrdiff_t)(lo + rows) * g->c_row, g->c_row, least(TILE_ROWS, p->rows - lo - rows), cols);
        t.s = p->s + (ptrdiff_t)lo * p->s_row;
        if (p->s_packed) {
            t.s = p->s + lo * p->k;
            t.s_col = (ptrdiff_t)rows;
        }
        t.c = c + (ptrdiff_t)lo * g->c_row;
        t.ahead = t.s;
        t.ahead_row = 0;
        const bool wants_next = q > 0 && (q - 1) * line < next_width, last = q + 1 == tile_count(p->rows);
        const bool asked = q > 0 && (last || !wants_next) && ask_soon(g, p->soon, &t);
        if (wants_next && !asked) {
            t.ahead = next + (q - 1) * line;
            t.ahead_row = (ptrdiff_t)next_width;
        }
        if (q == 0 && p->i == 0)
            tile_direct((int)rows, vectors, &t);
        else
            tile_packed((int)rows, vectors, &t);
    }
}

static void run_part(const part *p, size_t from, size_t to)
{
    for (size_t j = from, cols; j < to; j += cols) {
        cols = least(TILE_COLS - (p->g->packed_j + j) % TILE_COLS, to - j);
        run_panel(p, j, cols, j + cols < to);
    }
}

void RGK_NAME(gemm_of_packed)(const rgk_gemm *g, void *scratch)
{
    const bool once = g->m <= ALONE_ROWS;
    const size_t row_part = once ? g->m : even_part(g->m, ROW_BLOCK, TILE_ROWS);
    const size_t k_part = even_part(g->k, K_BLOCK, 4);
    const size_t panels = V_BYTES / (TILE_COLS * sizeof(real)) / (k_part ? k_part : 1);
    const size_t columns = once ? g->n : (panels > 2 ? panels : 2) * TILE_COLS;
    const bool direct = reads_directly(g);
    soon_place soon = {0, 0};
    for (size_t j = 0; j < g->n; j += columns)
        for (size_t l = 0; l < g->k; l += k_part)
            for (size_t i = 0; i < g->m; i += row_part) {
                part p = {.g = g, .l = l, .k = least(k_part, g->k - l), .i = i, .rows = least(row_part, g->m - i)};
                p.soon = &soon;
                const real *a = (const real *)g->a + (ptrdiff_t)i * g->a_row + (ptrdiff_t)l * g->a_col;
                p.accumulate = g->accumulate || l;
                p.s = direct ? a : scratch;
                p.s_row = direct ? g->a_row : 1;
                p.s_col = g->a_col;
                p.s_packed = !direct;
                if (!direct)
                    pack_s(p.k, p.rows, a, g->a_row, g->a_col, scratch);
                run_part(&p, j, least(j + columns, g->n));
            }
}
