/* gemm_problem.c - matrix products to test: operands, parts, packed ones. */
#include "gemm_problem.h"
#include "naive.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

NAIVE uint64_t draw(uint64_t below)
{
    static uint64_t state = 1;
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (state >> 33) % below;
}

static void strides(layout l, size_t rows, size_t cols, size_t gap, ptrdiff_t *row, ptrdiff_t *col)
{
    *row = l == BY_ROWS ? (ptrdiff_t)(cols + gap) : l == BY_COLUMNS ? 1 : (ptrdiff_t)(2 * cols + gap);
    *col = l == BY_ROWS ? 1 : l == BY_COLUMNS ? (ptrdiff_t)(rows + gap) : 2;
}

static size_t size_of(const rgk_table *t, bool bf16)
{
    return bf16 ? sizeof(uint16_t) : width(t);
}

static bool is_bf16(const rgk_gemm *g)
{
    return g->a_bf16 || g->b_bf16;
}

static NAIVE frame matrix(const rgk_table *t, bool bf16, size_t rows, size_t cols, ptrdiff_t row, ptrdiff_t col)
{
    const size_t n = rows && cols ? (size_t)((ptrdiff_t)(rows - 1) * row + (ptrdiff_t)(cols - 1) * col) + 1 : 0;
    frame f = frame_new(n, size_of(t, bf16), draw(4));
    memset(f.p, 0xff, f.bytes); /* NaN */
    for (size_t i = 0; i < rows; i++)
        for (size_t j = 0; j < cols; j++) {
            const size_t at = i * (size_t)row + j * (size_t)col;
            const double x = (double)draw(20001) / 1e4 - 1;
            const float single = (float)x;
            uint32_t bits;
            memcpy(&bits, &single, sizeof bits);
            if (bf16)
                ((uint16_t *)f.p)[at] = (uint16_t)(bits >> 16);
            else
                put(t, f.p, at, x);
        }
    return f;
}

problem problem_new(const rgk_table *t, size_t m, size_t n, size_t k, layout la, layout lb, bool a_bf16, bool b_bf16,
                    bool accumulate)
{
    problem p = {.t = t, .g = {.m = m, .n = n, .k = k, .accumulate = accumulate}, .gap = n && draw(2) ? draw(20) : 0};
    p.g.a_bf16 = a_bf16;
    p.g.b_bf16 = b_bf16;
    strides(la, m, k, draw(2) ? draw(9) : 0, &p.g.a_row, &p.g.a_col);
    strides(lb, k, n, draw(2) ? draw(9) : 0, &p.g.b_row, &p.g.b_col);
    p.a = matrix(t, a_bf16, m, k, p.g.a_row, p.g.a_col);
    p.b = matrix(t, b_bf16, k, n, p.g.b_row, p.g.b_col);
    p.g.c_row = (ptrdiff_t)(n + p.gap);
    p.c = matrix(t, false, m, n, p.g.c_row, 1);
    p.g.a = p.a.p, p.g.b = p.b.p, p.g.c = p.c.p;
    snprintf(p.label, sizeof p.label, "%s %s: %zu x %zu x %zu, a %s%d, b %s%d, %s", NAME(t), m, n, k,
             a_bf16 ? "bf16 " : "", la, b_bf16 ? "bf16 " : "", lb, accumulate ? "accumulating" : "new");
    return p;
}

void problem_end(problem *p)
{
    frame_free(&p->a, p->label);
    frame_free(&p->b, p->label);
    frame_free(&p->c, p->label);
}

NAIVE double operand(const rgk_table *t, const void *p, bool bf16, ptrdiff_t i)
{
    if (!bf16)
        return get(t, p, (size_t)i);
    const uint32_t bits = (uint32_t)((const uint16_t *)p)[i] << 16;
    float x;
    memcpy(&x, &bits, sizeof x);
    return (double)x;
}

void multiply(const rgk_table *t, const rgk_gemm *g)
{
    const size_t n = g->packed ? g->packed_n : g->n, k = g->packed ? g->packed_k : g->k;
    const frame scratch = scratch_begin((is_bf16(g) ? t->gemm_bf16_scratch : t->gemm_scratch)(g->m, n, k));
    (is_bf16(g) ? t->gemm_bf16 : t->gemm)(g, scratch.bytes ? scratch.p : NULL);
    scratch_end(&scratch, "scratch");
}

/* So many elements further into an operand. */
static const void *beyond(const problem *p, const void *from, bool bf16, ptrdiff_t elements)
{
    return (const char *)from + elements * (ptrdiff_t)size_of(p->t, bf16);
}

void part(const problem *p, void *out, size_t i, size_t m, size_t j, size_t n)
{
    rgk_gemm g = p->g;
    g.m = m, g.n = n;
    g.a = beyond(p, g.a, g.a_bf16, (ptrdiff_t)i * g.a_row);
    g.b = beyond(p, g.b, g.b_bf16, (ptrdiff_t)j * g.b_col);
    g.c = at(p->t, out, i * (size_t)g.c_row + j);
    multiply(p->t, &g);
}

/* ---- B packed before ---- */

/* The part of the product at columns [j, j + n), the sum cut in two at l, from a B that was packed. */
static void part_of_packed(const problem *p, const void *packed, void *out, size_t j, size_t n, size_t l)
{
    for (int half = 0; half < 2; half++) {
        rgk_gemm g = p->g;
        const size_t from = half ? l : 0;
        g.n = n;
        g.k = half ? p->g.k - l : l;
        g.a = beyond(p, g.a, g.a_bf16, (ptrdiff_t)from * g.a_col);
        g.b = NULL;
        g.c = at(p->t, out, j);
        g.accumulate = g.accumulate || from;
        g.packed = packed;
        g.packed_n = p->g.n, g.packed_k = p->g.k, g.packed_l = from, g.packed_j = j;
        if (g.k)
            multiply(p->t, &g);
    }
}

static size_t packed_bytes(const problem *p, size_t *panels)
{
    return is_bf16(&p->g) ? p->t->gemm_bf16_packed(&p->g, panels) : p->t->gemm_packed(p->g.n, p->g.k, panels);
}

static void pack(const problem *p, size_t lo, size_t hi, void *packed)
{
    if (is_bf16(&p->g))
        p->t->gemm_bf16_pack(&p->g, lo, hi, packed);
    else
        p->t->gemm_pack(p->g.n, p->g.k, p->g.b, p->g.b_row, p->g.b_col, lo, hi, packed);
}

bool check_packed(problem p, size_t unit)
{
    size_t panels = 0;
    const size_t n = p.g.n, k = p.g.k, lanes = p.t->lanes, bytes = packed_bytes(&p, &panels),
                 cut = n / lanes ? draw(n / lanes) * lanes : 0;
    frame packed = frame_new(1, bytes, 0), other = frame_new(1, p.c.bytes, 0);
    memcpy(other.p, p.c.p, p.c.bytes);
    multiply(p.t, &p.g);
    for (size_t lo = 0, hi; bytes && lo < panels; lo = hi) {
        hi = lo + 1 + draw(panels - lo);
        pack(&p, lo, hi, packed.p);
    }
    if (bytes) {
        part_of_packed(&p, packed.p, other.p, 0, cut, k);
        part_of_packed(&p, packed.p, other.p, cut, n - cut, draw(k / unit + 1) * unit);
        cr_assert(memcmp(other.p, p.c.p, p.c.bytes) == 0, "%s: with B packed it has other bits", p.label);
    }
    frame_free(&packed, p.label);
    frame_free(&other, p.label);
    problem_end(&p);
    return bytes > 0;
}
