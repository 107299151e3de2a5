/* gemm_bf16.c - products of matrices of which one or both hold bf16 numbers, summed in f32.

   Parts of what the product of this build cannot read as it lies are brought, while they are in cache, into what it
   can: f32, or pairs of neighbours along the sum. Pairs that lie as such in memory, rows of A and columns of B, are
   read in place. A few rows or columns times much else take that as it lies, in f32: gemm_narrow.c. The
   order in which an element is summed is that of the product of this build; so are its bits. */
#include "bf16.h"
#include "gemm.h"
#include "gemm_block.h"
#include "gemm_form.h"

#if defined(RGK_REAL_PAIRS)
#define EACH ((size_t)2) /* numbers along the sum in an element that the product reads */
#else
#define EACH ((size_t)1)
#endif

/* What is brought at a time, in elements: of A and of B; of B for few rows of A, where it lies by rows and by
   columns. */
#define A_ROWS ((size_t)288)
#define B_ELEMENTS ((size_t)128 * 1024)
#if defined(RGK_TILES)
#define SUM ((size_t)256)
#define COLUMNS ((size_t)256)
#else
#define SUM ((size_t)384)
#define COLUMNS ((size_t)256)
#endif
#define FEW_ROWS ((size_t)16)
#define FEW_SUM ((size_t)2048)
#define FEW_LINES ((size_t)32)
#define FEW_COLUMNS ((size_t)2048)
/* Bytes up to which a B is packed as f32, which takes twice the room, for more than a few rows; and how much of the sum
   is widened at a time. */
#define WIDENED_MOST ((size_t)2 * 1024 * 1024)
#define PACKED_SUM ((size_t)64)

/* A by its rows or B by its columns: number l of line i at i line + l sum. */
typedef struct side {
    const void *at;
    ptrdiff_t line, sum;
    bool bf16, in_place;
    bool raw; /* in place though the product reads no such numbers: gemm_narrow_bf16 does */
    real *room;
} side;

static side side_of(const void *at, ptrdiff_t line, ptrdiff_t sum, bool bf16, size_t k)
{
    side s = {.at = at, .line = line, .sum = sum, .bf16 = bf16};
#if defined(RGK_REAL_PAIRS)
    s.in_place = sum == 1 && line % 2 == 0 && k % 2 == 0 && (uintptr_t)at % sizeof(real) == 0;
#else
    (void)k;
    s.in_place = !bf16;
#endif
    return s;
}

/* n numbers of lines one after the other, at number l of the sum, as elements; `next`: there is a number l + 1. */
RGK_INLINE void bring_row(size_t n, const uint16_t *x, ptrdiff_t sum, bool next, bf16_bits *out)
{
#if defined(RGK_REAL_PAIRS)
    if (next) {
        bf16_interleave(n, x, x + sum, out);
    } else {
        for (size_t i = 0; i < n; i++)
            out[i] = x[i];
    }
#else
    (void)sum;
    (void)next;
    bf16_widen(n, x, out);
#endif
}

/* k numbers along a line as elements, the last one with a zero if need be. */
RGK_INLINE void bring_line(size_t k, const uint16_t *x, ptrdiff_t sum, bf16_bits *out)
{
#if defined(RGK_REAL_PAIRS)
    for (size_t l = 0; l + 1 < k; l += 2)
        out[l / 2] = x[(ptrdiff_t)l * sum] | (uint32_t)x[(ptrdiff_t)(l + 1) * sum] << 16;
    if (k % 2)
        out[k / 2] = x[(ptrdiff_t)(k - 1) * sum];
#else
    if (sum == 1) {
        bf16_widen(k, x, out);
        return;
    }
    for (size_t l = 0; l < k; l++)
        out[l] = (uint32_t)x[(ptrdiff_t)l * sum] << 16;
#endif
}

/* Elements of n lines from line i, numbers [l, l + k), and their strides. What neighbours in memory stay neighbours. */
static const void *bring(const side *s, size_t i, size_t n, size_t l, size_t k, ptrdiff_t *line, ptrdiff_t *sum)
{
    const ptrdiff_t offset = (ptrdiff_t)i * s->line + (ptrdiff_t)l * s->sum;
    if (s->raw) {
        *line = s->line;
        *sum = s->sum;
        return (const uint16_t *)s->at + offset;
    }
    if (s->in_place) {
        *line = s->line / (ptrdiff_t)EACH;
        *sum = s->sum;
        return (const real *)s->at + offset / (ptrdiff_t)EACH;
    }
    const uint16_t *x = (const uint16_t *)s->at + offset;
    bf16_bits *out = (bf16_bits *)s->room;
    const size_t elements = (k + EACH - 1) / EACH;
    if (s->line == 1) {
        *line = 1;
        *sum = (ptrdiff_t)n;
        for (size_t q = 0; q < elements; q++, out += n)
            bring_row(n, x + (ptrdiff_t)(q * EACH) * s->sum, s->sum, q * EACH + 1 < k, out);
    } else {
        *line = (ptrdiff_t)elements;
        *sum = 1;
        for (size_t q = 0; q < n; q++, out += elements)
            bring_line(k, x + (ptrdiff_t)q * s->line, s->sum, out);
    }
    return s->room;
}

typedef struct parts {
    size_t rows, columns, k;
} parts;

/* How much is done at a time; k in numbers. */
static parts choose_parts(const rgk_gemm *g, const side *a, const side *b)
{
    parts p = {g->m, g->n, g->k};
    if (a->in_place && (b->in_place || g->packed))
        return p;
    p.k = least(g->k, SUM * EACH);
    if (!a->in_place)
        p.rows = least(g->m, A_ROWS);
    if (b->in_place || g->packed)
        return p;
    size_t columns = COLUMNS;
    if (g->m <= FEW_ROWS && b->line != 1) {
        p.k = least(g->k, FEW_SUM * EACH);
        columns = RGK_LANES;
    } else if (g->m <= FEW_ROWS) {
        p.k = least(g->k, FEW_LINES * EACH);
        columns = FEW_COLUMNS;
    }
    p.columns = least(g->n, columns);
    return p;
}

static size_t room(size_t elements)
{
    return round_up(elements, 64 / sizeof(real));
}

size_t RGK_NAME(gemm_bf16_scratch)(size_t m, size_t n, size_t k)
{
    const size_t sum = least((k + EACH - 1) / EACH, FEW_SUM);
    const size_t own = (room(least(m, A_ROWS) * sum) + room(least(n * sum, B_ELEMENTS))) * sizeof(real) +
                       round_up(RGK_NAME(gemm_scratch)(m, n, (k + EACH - 1) / EACH), 64);
#if defined(RGK_REAL_PAIRS)
    const size_t in_order = rgk_avx512_f32_gemm_bf16_scratch(m, n, k);
    return own > in_order ? own : in_order;
#else
    return own;
#endif
}

/* How the product of a bf16 W is done as it lies, if it is. */
static narrow_form mark_raw(const rgk_gemm *g, side *a, side *b)
{
#if defined(RGK_REAL_PAIRS)
    (void)g, (void)a, (void)b;
    return NARROW_NOT;
#else
    const narrow_form form = g->packed ? NARROW_NOT : narrow_form_of(g);
    side *const w = form == NARROW_ROW || form == NARROW_ROWS ? b : a;
    w->raw = form != NARROW_NOT && w->bf16;
    w->in_place = w->in_place || w->raw;
    return w->raw ? form : NARROW_NOT;
#endif
}

static void multiply(const rgk_gemm *g, narrow_form form, void *scratch)
{
#if !defined(RGK_REAL_PAIRS)
    if (form != NARROW_NOT) {
        RGK_NAME(gemm_narrow_bf16)(g, form);
        return;
    }
#endif
    (void)form;
    RGK_NAME(gemm)(g, scratch);
}

static void run(const rgk_gemm *g, void *scratch)
{
    side a = side_of(g->a, g->a_row, g->a_col, g->a_bf16, g->k);
    side b = side_of(g->b, g->b_col, g->b_row, g->b_bf16, g->k);
    const narrow_form form = mark_raw(g, &a, &b);
    const parts p = choose_parts(g, &a, &b);
    a.room = scratch;
    b.room = a.room + (a.in_place ? 0 : room(p.rows * ((p.k + EACH - 1) / EACH)));
    real *rest = b.room + (b.in_place || g->packed ? 0 : room(p.columns * ((p.k + EACH - 1) / EACH)));
    rgk_gemm part = *g;
    part.packed_k = (g->packed_k + EACH - 1) / EACH;
    for (size_t i = 0; i < g->m; i += p.rows) {
        part.m = least(p.rows, g->m - i);
        for (size_t l = 0; l < g->k; l += p.k) {
            const size_t k = least(p.k, g->k - l);
            part.k = (k + EACH - 1) / EACH;
            part.accumulate = g->accumulate || l;
            part.a = bring(&a, i, part.m, l, k, &part.a_row, &part.a_col);
            part.packed_l = (g->packed_l + l) / EACH;
            for (size_t j = 0; j < g->n; j += p.columns) {
                part.n = least(p.columns, g->n - j);
                part.packed_j = g->packed_j + j;
                part.c = (real *)g->c + (ptrdiff_t)i * g->c_row + (ptrdiff_t)j;
                if (!g->packed)
                    part.b = bring(&b, j, part.n, l, k, &part.b_col, &part.b_row);
                multiply(&part, form, rest);
            }
        }
    }
}

#if defined(RGK_REAL_PAIRS)

static bool adds_pairs(const rgk_gemm *g)
{
    return g->a_bf16 && g->b_bf16 && !g->in_order;
}

void RGK_NAME(gemm_bf16)(const rgk_gemm *g, void *scratch)
{
    if (!adds_pairs(g)) {
        rgk_avx512_f32_gemm_bf16(g, scratch);
    } else if (g->k % 2 == 0 || g->k == 1) {
        run(g, scratch);
    } else { /* the last number has no neighbour */
        rgk_gemm part = *g;
        part.k = g->k - 1;
        run(&part, scratch);
        part.a = (const uint16_t *)g->a + (ptrdiff_t)part.k * g->a_col;
        part.b = g->packed ? NULL : (const uint16_t *)g->b + (ptrdiff_t)part.k * g->b_row;
        part.packed_l += part.k;
        part.k = 1;
        part.accumulate = true;
        run(&part, scratch);
    }
}

#if !defined(RGK_TILES)
size_t RGK_NAME(gemm_bf16_packed)(const rgk_gemm *g, size_t *panels)
{
    return adds_pairs(g) ? RGK_NAME(gemm_packed)(g->n, (g->k + 1) / 2, panels)
                         : rgk_avx512_f32_gemm_bf16_packed(g, panels);
}

/* Panel p, of columns whose pairs do not lie as such. */
static void pack_panel(const rgk_gemm *g, size_t p, bf16_bits *out)
{
    const size_t cols = least(TILE_COLS, g->n - p * TILE_COLS), width = round_up(cols, RGK_LANES);
    const uint16_t *x = (const uint16_t *)g->b + (ptrdiff_t)(p * TILE_COLS) * g->b_col;
    for (size_t l = 0; l < g->k; l += 2, x += 2 * g->b_row, out += width) {
        const bool next = l + 1 < g->k;
        if (g->b_col == 1)
            bring_row(cols, x, g->b_row, next, out);
        for (size_t j = g->b_col == 1 ? cols : 0; j < width; j++) {
            const uint16_t *y = x + (ptrdiff_t)j * g->b_col;
            out[j] = j < cols ? y[0] | (next ? (uint32_t)y[g->b_row] << 16 : 0) : 0;
        }
    }
}

void RGK_NAME(gemm_bf16_pack)(const rgk_gemm *g, size_t lo, size_t hi, void *packed)
{
    const size_t pairs = (g->k + 1) / 2;
    if (!adds_pairs(g)) {
        rgk_avx512_f32_gemm_bf16_pack(g, lo, hi, packed);
    } else if (side_of(g->b, g->b_col, g->b_row, true, g->k).in_place) {
        RGK_NAME(gemm_pack)(g->n, pairs, g->b, 1, g->b_col / 2, lo, hi, packed);
    } else {
        for (size_t p = lo; p < hi; p++)
            pack_panel(g, p, (bf16_bits *)packed + p * TILE_COLS * pairs);
    }
}
#endif

#else

void RGK_NAME(gemm_bf16)(const rgk_gemm *g, void *scratch)
{
    run(g, scratch);
}

size_t RGK_NAME(gemm_bf16_packed)(const rgk_gemm *g, size_t *panels)
{
    const size_t bytes = RGK_NAME(gemm_packed)(g->n, g->k, panels);
    return g->m > FEW_ROWS && bytes <= WIDENED_MOST ? bytes : 0;
}

void RGK_NAME(gemm_bf16_pack)(const rgk_gemm *g, size_t lo, size_t hi, void *packed)
{
    real room[TILE_COLS * PACKED_SUM];
    side b = side_of(g->b, g->b_col, g->b_row, true, g->k);
    b.room = room;
    for (size_t p = lo; p < hi; p++) {
        const size_t cols = least(TILE_COLS, g->n - p * TILE_COLS), width = round_up(cols, RGK_LANES);
        real *const panel = (real *)packed + p * TILE_COLS * g->k;
        for (size_t l = 0; l < g->k; l += PACKED_SUM) {
            const size_t k = least(PACKED_SUM, g->k - l);
            ptrdiff_t line, sum;
            const void *from = bring(&b, p * TILE_COLS, cols, l, k, &line, &sum);
            RGK_NAME(gemm_pack)(cols, k, from, sum, line, 0, 1, panel + l * width);
        }
    }
}

#endif
