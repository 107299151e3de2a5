/* gemm.c - the matrix product: which operand becomes vectors, which is packed, and the loops around the tile.

   One operand, V, is read as vectors, the other, S, as numbers to broadcast. Either C = A B is computed with V = B and
   vectors along n, or its transpose C^T = B^T A^T with V = A^T and vectors along m, whose blocks are turned on their
   way to C. The transposed form lets a large B that lies by columns stream as it is, while only A is packed. */
#include "gemm.h"
#include "gemm_block.h"
#include "gemm_pack.h"
#include "gemm_soon.h"
#include "gemm_tall.h"
#include "gemm_tile.h"
#include "gemm_tiny.h"

/* Where all rows of S pass at once, for they are few, V is read where it lies, in blocks of runs of memory, the next on
   its way to L2 meanwhile, in the order of memory. Wider blocks would be lower, and every block goes through C once.
   With more rows, packed panels are worth their packing. */
#define ONCE_ROWS ((size_t)60) /* below ROW_BLOCK */
#define ONCE_COLS ((size_t)256)
#define ONCE_BYTES ((size_t)384 * 1024)
/* With as many rows as this a panel is packed all the same if its rows lie on pages of their own, or across lines:
   tiles would be kept waiting by addresses, not by numbers. */
#define COPIED_ROWS (4 * TILE_ROWS + 1)
#define PAGE_BYTES ((size_t)4096)
/* Short sums into a large C: rows of C are finished one tile after the other, for writing them is what takes time. */
#define FLAT_K 64
#define FLAT_BYTES ((size_t)1024 * 1024)

/* Where V has few columns and rows of S are long and read as they lie, all of V stays in L2 beside fewer rows of S:
   sums go through C once, and rows are asked for one tile before they are read. */
#define FEW_COLS (2 * TILE_COLS)
#define FEW_BYTES ((size_t)192 * 1024) /* of those rows of S */
#define FEW_LEAST ((size_t)192)
#define FEW_K ((size_t)1024) /* above K_BLOCK */

typedef struct block {
    const rgk_gemm *g; /* as computed */
    bool turned;       /* g is the transpose of what was asked for, and so is C */
    real *v_packed, *s_packed, *c_turned;
    size_t l, k;    /* the part of the sum */
    size_t i, rows; /* of S */
    size_t j, cols; /* of V */
    bool v_in_place, s_direct, few, accumulate;
    bool by_sum; /* a part of the sum for all columns: rows that pass all at once are packed once for them */
    soon_place soon;
    size_t own; /* lines of what the caller will write that were asked for */
} block;

static inline void ask_to_write(const void *line)
{
#if defined(__AVX2__) /* without -mprfchw the builtin asks to read */
    __asm__ volatile("prefetchw %0" : : "m"(*(const char *)line));
#else
    __builtin_prefetch(line, 1, 3);
#endif
}

/* Before a tile, which writes so many lines of C, as many are asked for of what the caller will write. Where another
   core has read them, this one gets them back one after the other, in as much time as the tile takes. */
static void own_soon(block *b, size_t lines)
{
    const size_t all = b->g->written_bytes / 64;
    for (; lines && b->own < all; lines--, b->own++)
        ask_to_write((const char *)b->g->written + b->own * 64);
}

/* The same where V is read once: the lines of the next block in their order, as many in a turn as the sum is long. */
static void ahead_once(const block *b, size_t turn, tile *t)
{
    const rgk_gemm *g = b->g;
    const size_t line = 64 / sizeof(real), lines = (b->cols + line - 1) / line, first = turn * b->k;
    const bool below = b->l + b->k < g->k, right = b->j + b->cols < g->n;
    if (g->b_col != 1 || (!below && !right))
        return;
    const size_t l = b->by_sum && right ? b->l : below ? b->l + b->k : 0;
    const size_t j = b->by_sum ? (right ? b->j + b->cols : 0) : below ? b->j : b->j + b->cols;
    const real *next = (const real *)g->b + (ptrdiff_t)l * g->b_row + (ptrdiff_t)j;
    t->ahead = next + (ptrdiff_t)(first / lines) * g->b_row + (ptrdiff_t)(first % lines * line);
    t->ahead_row = (ptrdiff_t)line;
}

/* The same for the next panel of a V that lies by columns: tile q takes up where the one before it ended. */
static bool ahead_columns(const block *b, size_t j, size_t q, const real *v, tile *t)
{
    const rgk_gemm *g = b->g;
    const size_t line = 64 / sizeof(real), at = (q - 1) * b->k * line, next = j + TILE_COLS;
    if (g->b_row != 1 || b->i || next >= b->cols ||
        (ptrdiff_t)at >= (ptrdiff_t)least(TILE_COLS, b->cols - next) * g->b_col)
        return false;
    t->ahead = v + (ptrdiff_t)TILE_COLS * g->b_col + at;
    t->ahead_row = (ptrdiff_t)line;
    return true;
}

/* The same for whole rows of S where they lie: as many streams as rows, and others in the next tile, are more than a
   processor foresees. */
static bool ahead_rows(const block *b, size_t j, size_t q, tile *t)
{
    const rgk_gemm *g = b->g;
    const size_t next = b->i + tile_begin(b->rows, q + 1);
    if (!b->few || j || next >= g->m || g->a_row != (ptrdiff_t)b->k || (b->i == 0 && g->m < g->n))
        return false;
    t->ahead = (const real *)g->a + (ptrdiff_t)next * g->a_row;
    t->ahead_row = TILE_ROWS; /* as many elements for each l as there are rows */
    return true;
}

/* What tile q of a panel asks memory for meanwhile, a line for each l: the next panel, as it lies in V before it is
   packed, or where it was packed; the last panel asks for the first again, which the next rows begin with, and for
   those rows. Where there are no others, it is the next part of the sum that comes next. */
static void look_ahead(block *b, size_t j, size_t q, const real *v, tile *t)
{
    const rgk_gemm *g = b->g;
    const size_t line = 64 / sizeof(real), offset = (q - 1) * line;
    const bool last = j + TILE_COLS >= b->cols;
    t->ahead = t->s;
    t->ahead_row = 0;
    if (ahead_rows(b, j, q, t) || q == 0 || ahead_columns(b, j, q, v, t))
        return;
    if (offset >= TILE_COLS) {
        const size_t i = b->i + b->rows + offset - TILE_COLS;
        if (last && g->a_row == 1 && offset - TILE_COLS < b->rows && i < g->m) {
            t->ahead = (const real *)g->a + i + (ptrdiff_t)b->l * g->a_col;
            t->ahead_row = g->a_col;
        } else { /* no sooner than everything else is on its way */
            ask_soon(g, &b->soon, t);
        }
    } else if (b->rows >= g->m) {
        ahead_once(b, j * 4 / TILE_COLS + q - 1, t);
    } else if (b->i == 0 && !last) {
        if (g->b_col == 1 && b->j + j + TILE_COLS + offset < g->n) {
            t->ahead = v + TILE_COLS + offset;
            t->ahead_row = g->b_row;
        }
    } else if (b->cols > TILE_COLS) {
        const size_t next = last ? 0 : j + TILE_COLS;
        const size_t width = (least(TILE_COLS, b->cols - next) + RGK_LANES - 1) / RGK_LANES * RGK_LANES;
        if (offset < width) {
            t->ahead = b->v_packed + next * b->k + offset;
            t->ahead_row = (ptrdiff_t)width;
        }
    }
}

/* Whether all tiles read V where it lies. */
static bool stays(const block *b, const tile *t)
{
    const size_t pitch = (size_t)b->g->b_row * sizeof(real);
    return b->v_in_place && t->last == RGK_LANES && (b->g->m < COPIED_ROWS || (pitch < PAGE_BYTES && pitch % 64 == 0));
}

/* All rows of the block times columns [j, j + cols), at most TILE_COLS of them. The first rows to come pack V. */
static void run_panel(block *b, size_t j, size_t cols, real *c, ptrdiff_t c_row)
{
    const rgk_gemm *g = b->g;
    const int vectors = (int)((cols + RGK_LANES - 1) / RGK_LANES);
    const real *s = (const real *)g->a + (ptrdiff_t)b->i * g->a_row + (ptrdiff_t)b->l * g->a_col;
    const real *v = (const real *)g->b + (ptrdiff_t)b->l * g->b_row + (ptrdiff_t)(b->j + j) * g->b_col;
    real *packed = b->v_packed + (b->v_in_place ? 0 : j * b->k);
    tile t = {.k = b->k, .s_row = g->a_row, .s_col = g->a_col, .c_row = c_row};
    t.factor = (real)g->factor;
    t.accumulate = b->accumulate && t.factor == 0;
    t.last = cols - (size_t)(vectors - 1) * RGK_LANES;
    bool direct = b->i == 0 && g->b_col == 1;
    if (b->i == 0 && !direct)
        pack_v(b->k, cols, v, g->b_row, g->b_col, packed);
    t.v = packed;
    t.v_row = vectors * RGK_LANES;
    for (size_t q = 0; q < tile_count(b->rows); q++) {
        const size_t lo = tile_begin(b->rows, q), rows = tile_begin(b->rows, q + 1) - lo;
        own_soon(b, rows * (size_t)vectors * RGK_VECTOR_BYTES / 64);
        if (b->accumulate)
            expect(c + (ptrdiff_t)(lo + rows) * c_row, c_row, least(TILE_ROWS, b->rows - lo - rows), cols);
        t.s = s + (ptrdiff_t)lo * t.s_row;
        if (!b->s_direct) {
            t.s = b->s_packed + lo * b->k;
            t.s_row = 1;
            t.s_col = (ptrdiff_t)rows;
        }
        t.c = c + (ptrdiff_t)lo * c_row;
        if (direct) {
            t.v = v;
            t.v_row = g->b_row;
            t.packed = rows == g->m || stays(b, &t) ? NULL : packed;
            tile_direct((int)rows, vectors, &t);
            direct = false;
            if (t.packed) {
                t.v = packed;
                t.v_row = vectors * RGK_LANES;
            }
        } else {
            look_ahead(b, j, q, v, &t);
            tile_packed((int)rows, vectors, &t);
        }
    }
}

/* The transposed part of a matrix into another, nothing beyond it touched. */
static void pack_transposed(size_t rows, size_t cols, const real *in, ptrdiff_t in_row, real *out, ptrdiff_t out_row)
{
    turn_matrix(false, rows, cols, in, in_row, out, out_row);
}

static void run_block(block *b)
{
    const rgk_gemm *g = b->g;
    if (!b->s_direct && !(b->by_sum && b->j))
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

/* Columns of V that are packed at a time: one panel is enough where all rows of S pass at once. */
static size_t v_block(size_t m, size_t k_part)
{
    const size_t panels = V_BYTES / (TILE_COLS * sizeof(real)) / (k_part ? k_part : 1);
    return m > ROW_BLOCK ? (panels > 2 ? panels : 2) * TILE_COLS : TILE_COLS;
}

static void run(const rgk_gemm *g, bool turned, real *scratch)
{
    const bool once = g->m <= ONCE_ROWS && g->b_col == 1;
    const bool flat = !turned && !once && g->k <= FLAT_K && g->m > ROW_BLOCK && g->n > TILE_COLS &&
                      g->m * g->n * sizeof(real) > FLAT_BYTES;
    const bool few = !once && g->a_col == 1 && g->n <= FEW_COLS && g->k >= FEW_LEAST;
    const size_t few_rows = FEW_BYTES / sizeof(real) / least(g->k + !g->k, FEW_K);
    const size_t rows_most = once ? ONCE_ROWS : few ? least(few_rows, ROW_BLOCK) : ROW_BLOCK;
    const size_t row_part = flat ? TILE_ROWS : even_part(g->m, rows_most, TILE_ROWS);
    const size_t wide = least(g->n, ONCE_COLS), short_k = ONCE_BYTES / sizeof(real) / (wide ? wide : 1);
    const bool s_direct = reads_directly(g);
    const bool one_part = g->factor != 0; /* K_BLOCK is enough */
    const size_t k_most = few        ? FEW_K
                          : one_part ? K_BLOCK
                          : once     ? least(short_k, K_BLOCK)
                          : s_direct ? K_BLOCK
                                     : K_PACKED;
    const size_t k_part = even_part(g->k, k_most, 4);
    const size_t v_part = even_part(g->n, once ? ONCE_COLS : v_block(g->m, k_part), TILE_COLS);
    block b = {.g = g, .turned = turned, .v_packed = scratch, .s_direct = s_direct};
    b.s_packed = b.v_packed + k_part * (once ? TILE_COLS : v_part);
    b.c_turned = b.s_packed + k_part * row_part;
    b.v_in_place = once;
    b.few = few;
    b.by_sum = !once && !s_direct && g->m <= row_part;
    const size_t k_parts = (g->k + k_part - 1) / k_part, v_parts = (g->n + v_part - 1) / v_part;
    for (size_t p = 0; p < k_parts * v_parts; p++) {
        b.l = (b.by_sum ? p / v_parts : p % k_parts) * k_part;
        b.j = (b.by_sum ? p % v_parts : p / k_parts) * v_part;
        b.k = least(k_part, g->k - b.l);
        b.cols = least(v_part, g->n - b.j);
        b.accumulate = g->accumulate || b.l || g->factor != 0;
        for (b.i = 0; b.i < g->m; b.i += row_part) {
            b.rows = least(row_part, g->m - b.i);
            run_block(&b);
        }
    }
}

/* Elements of V that are packed at a time for at most m rows of S, n columns and k rows of V: grows with each. */
static size_t packed_most(size_t m, size_t n, size_t k_part)
{
    return k_part * TILE_COLS > V_BYTES / 2 / sizeof(real)
               ? 2 * k_part * TILE_COLS
               : least(k_part * (m > ROW_BLOCK ? round_up(n, TILE_COLS) : TILE_COLS), V_BYTES / sizeof(real));
}

size_t RGK_NAME(gemm_scratch)(size_t m, size_t n, size_t k)
{
    if (tiny_fits(m, n, k))
        return 0;
    const size_t k_part = least(round_up(k, 4), FEW_K);
    const size_t plain = packed_most(m, n, k_part), turned = packed_most(n, m, k_part);
    return ((plain > turned ? plain : turned) + (k_part + TILE_COLS) * ROW_BLOCK) * sizeof(real);
}

/* ---- which form ---- */

/* What a form takes for each l, in multiply-adds of vectors: the tiles, packing V, and turning C at the end. */
static double estimate(size_t m, size_t n, size_t k, ptrdiff_t b_col, bool turned)
{
    const double vectors = (double)((n + RGK_LANES - 1) / RGK_LANES), rows = (double)m;
    return vectors * (rows + (b_col == 1 ? 0 : 6) + (turned ? 12 * rows / (double)k : 0));
}

/* The best form of a product with n < RGK_LANES columns, turned or narrow, as a call of its own. */
static double estimate_rest(size_t m, size_t n, size_t k, ptrdiff_t a_row)
{
    const double vectors = (double)((m + RGK_LANES - 1) / RGK_LANES);
    return n ? vectors * ((double)n + (a_row == 1 ? 1 : 4)) + 200 / (double)k : 0;
}

static rgk_gemm transposed(const rgk_gemm *g)
{
    return (rgk_gemm){.m = g->n,
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
                      .accumulate = g->accumulate,
                      .factor = g->factor,
                      .soon = g->soon,
                      .soon_bytes = g->soon_bytes,
                      .n_soon = g->n_soon,
                      .written = g->written,
                      .written_bytes = g->written_bytes};
}

/* The columns or rows beyond the last whole vector may take the other form. */
static __attribute__((noinline)) void run_best(const rgk_gemm *g, real *scratch)
{
    const rgk_gemm t = transposed(g);
    const size_t n = g->n - g->n % RGK_LANES, m = g->m - g->m % RGK_LANES;
    const double plain = estimate(g->m, g->n, g->k, g->b_col, false),
                 turned = estimate(g->n, g->m, g->k, g->a_row, true);
    const double plain_whole = estimate(g->m, n, g->k, g->b_col, false) + estimate_rest(g->m, g->n - n, g->k, g->a_row);
    const double turned_whole = estimate(g->n, m, g->k, g->a_row, true) + estimate_rest(g->n, g->m - m, g->k, g->b_col);
    rgk_gemm whole = *g, rest = *g;
    rest.n_soon = rest.written_bytes = 0;
    if (n && plain_whole < plain && plain_whole < turned && plain_whole <= turned_whole) {
        whole.n = n;
        rest.n -= n;
        rest.b = (const real *)g->b + (ptrdiff_t)n * g->b_col;
        rest.c = (real *)g->c + n;
        run(&whole, false, scratch);
        RGK_NAME(gemm)(&rest, scratch);
    } else if (m && turned_whole < plain && turned_whole < turned) {
        whole.m = m;
        rest.m -= m;
        rest.a = (const real *)g->a + (ptrdiff_t)m * g->a_row;
        rest.c = (real *)g->c + (ptrdiff_t)m * g->c_row;
        whole = transposed(&whole);
        run(&whole, true, scratch);
        RGK_NAME(gemm)(&rest, scratch);
    } else if (turned < plain) {
        run(&t, true, scratch);
    } else {
        run(g, false, scratch);
    }
}

/* An update is done in one go through C, by tiles that add to it. */
bool RGK_NAME(gemm_updates)(const rgk_gemm *g)
{
    return g->a_row == 1 && g->b_col == 1 && g->m > 1 && g->n > 1 && g->k <= K_BLOCK && (real)g->factor != 0 &&
           !tiny_fits(g->m, g->n, g->k);
}

void RGK_NAME(gemm)(const rgk_gemm *g, void *scratch)
{
    if (g->factor != 0)
        run_best(g, scratch);
    else if (g->packed)
        RGK_NAME(gemm_of_packed)(g, scratch);
    else if (tiny_fits(g->m, g->n, g->k))
        tiny_run(g);
    else if (!RGK_NAME(gemm_narrow)(g) && !tall_run(g, scratch))
        run_best(g, scratch);
}
