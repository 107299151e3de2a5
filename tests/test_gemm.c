/* test_gemm.c - the matrix product of every table of kernels: each element is one chain of multiply-adds over k in
   order, to the last bit, whatever the sizes, strides, alignment and cuts; and nothing but C and the scratch is
   written. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ops/kernels/kernels.h"

/* ---- random numbers and arrays of either type ---- */

static uint64_t state = 1;

static uint64_t draw(uint64_t below)
{
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (state >> 33) % below;
}

static double get(const rgk_table *t, const void *p, ptrdiff_t i)
{
    return t->type == RGK_F32 ? (double)((const float *)p)[i] : ((const double *)p)[i];
}

static void put(const rgk_table *t, void *p, ptrdiff_t i, double x)
{
    if (t->type == RGK_F32)
        ((float *)p)[i] = (float)x;
    else
        ((double *)p)[i] = x;
}

static size_t width(const rgk_table *t)
{
    return t->type == RGK_F32 ? sizeof(float) : sizeof(double);
}

/* Memory between two canaries, `offset` bytes beyond an aligned address. */
typedef struct frame {
    unsigned char *memory, *at;
    size_t bytes;
} frame;

enum { CANARY = 256, MARK = 0xa5 };

static frame frame_new(size_t bytes, size_t offset)
{
    frame f = {.bytes = bytes};
    f.memory = aligned_alloc(64, (bytes + offset + 2 * CANARY + 63) / 64 * 64);
    cr_assert(f.memory);
    memset(f.memory, MARK, bytes + offset + 2 * CANARY);
    f.at = f.memory + CANARY + offset;
    return f;
}

static void frame_end(frame *f, const char *what)
{
    size_t wrong = 0;
    for (const unsigned char *p = f->memory; p < f->at; p++)
        wrong += *p != MARK;
    for (size_t i = 0; i < CANARY; i++)
        wrong += f->at[f->bytes + i] != MARK;
    cr_assert_eq(wrong, 0, "%s: memory beside it was written", what);
    free(f->memory);
}

/* ---- a product with its operands ---- */

/* How a matrix lies: by rows, by columns, or with both strides above 1. */
typedef enum layout { BY_ROWS, BY_COLUMNS, SPREAD, LAYOUTS } layout;

static void strides(layout l, size_t rows, size_t cols, size_t gap, ptrdiff_t *row, ptrdiff_t *col)
{
    *row = l == BY_ROWS ? (ptrdiff_t)(cols + gap) : l == BY_COLUMNS ? 1 : (ptrdiff_t)(2 * cols + gap);
    *col = l == BY_ROWS ? 1 : l == BY_COLUMNS ? (ptrdiff_t)(rows + gap) : 2;
}

typedef struct problem {
    const rgk_table *t;
    rgk_gemm g;
    frame a, b, c;
    size_t gap;
    char label[160];
} problem;

static frame matrix(const rgk_table *t, size_t rows, size_t cols, ptrdiff_t row, ptrdiff_t col)
{
    const size_t n = rows && cols ? (size_t)((ptrdiff_t)(rows - 1) * row + (ptrdiff_t)(cols - 1) * col) + 1 : 0;
    frame f = frame_new(n * width(t), draw(4) * width(t));
    for (size_t i = 0; i < n; i++)
        put(t, f.at, (ptrdiff_t)i, NAN); /* what is not of the matrix must not get into sums */
    for (size_t i = 0; i < rows; i++)
        for (size_t j = 0; j < cols; j++)
            put(t, f.at, (ptrdiff_t)i * row + (ptrdiff_t)j * col, (double)draw(20001) / 1e4 - 1);
    return f;
}

static problem problem_new(const rgk_table *t, size_t m, size_t n, size_t k, layout la, layout lb, bool accumulate)
{
    problem p = {.t = t, .g = {.m = m, .n = n, .k = k, .accumulate = accumulate}, .gap = n && draw(2) ? draw(20) : 0};
    strides(la, m, k, draw(2) ? draw(9) : 0, &p.g.a_row, &p.g.a_col);
    strides(lb, k, n, draw(2) ? draw(9) : 0, &p.g.b_row, &p.g.b_col);
    p.a = matrix(t, m, k, p.g.a_row, p.g.a_col);
    p.b = matrix(t, k, n, p.g.b_row, p.g.b_col);
    p.g.c_row = (ptrdiff_t)(n + p.gap);
    p.c = matrix(t, m, n, p.g.c_row, 1);
    p.g.a = p.a.at, p.g.b = p.b.at, p.g.c = p.c.at;
    snprintf(p.label, sizeof p.label, "%s %s: %zu x %zu x %zu, a %d, b %d, %s", rgk_isa_name(t->isa),
             t->type == RGK_F32 ? "f32" : "f64", m, n, k, la, lb, accumulate ? "accumulating" : "new");
    return p;
}

static void problem_end(problem *p)
{
    frame_end(&p->a, p->label);
    frame_end(&p->b, p->label);
    frame_end(&p->c, p->label);
}

static void multiply(const rgk_table *t, const rgk_gemm *g)
{
    const size_t n = g->packed ? g->packed_n : g->n, k = g->packed ? g->packed_k : g->k;
    frame scratch = frame_new(t->gemm_scratch(g->m, n, k), 0);
    t->gemm(g, scratch.bytes ? scratch.at : NULL);
    frame_end(&scratch, "scratch");
}

/* One element by its definition. */
static double chain(const problem *p, size_t i, size_t j, double from)
{
#if defined(__ARM_FEATURE_FMA)
    const bool fused = true;
#else
    const bool fused = p->t->isa != RGK_GENERIC;
#endif
    const rgk_gemm *g = &p->g;
    double sum = from;
    for (size_t l = 0; l < g->k; l++) {
        const double a = get(p->t, g->a, (ptrdiff_t)i * g->a_row + (ptrdiff_t)l * g->a_col);
        const double b = get(p->t, g->b, (ptrdiff_t)l * g->b_row + (ptrdiff_t)j * g->b_col);
        if (p->t->type == RGK_F64)
            sum = fused ? fma(a, b, sum) : a * b + sum;
        else if (fused)
            sum = (double)fmaf((float)a, (float)b, (float)sum);
        else
            sum = (double)((float)a * (float)b + (float)sum);
    }
    return sum;
}

static void same(double x, double y, const problem *p, size_t i, size_t j)
{
    cr_assert(memcmp(&x, &y, sizeof x) == 0, "%s: element (%zu, %zu) is %.17g, not %.17g", p->label, i, j, x, y);
}

/* The product against the definition, every `step`-th element; gaps between the rows must stay as they were. */
static void check(const rgk_table *t, size_t m, size_t n, size_t k, layout la, layout lb, bool accumulate, size_t step)
{
    problem p = problem_new(t, m, n, k, la, lb, accumulate);
    unsigned char *before = malloc(p.c.bytes + 1);
    cr_assert(before);
    memcpy(before, p.c.at, p.c.bytes);
    multiply(t, &p.g);
    for (size_t i = 0; i < m; i++) {
        for (size_t j = 0; j < n; j++)
            if ((i * n + j) % step == 0)
                same(get(t, p.c.at, (ptrdiff_t)(i * (n + p.gap) + j)),
                     chain(&p, i, j, accumulate ? get(t, before, (ptrdiff_t)(i * (n + p.gap) + j)) : 0), &p, i, j);
        const size_t at = (i * (n + p.gap) + n) * width(t);
        cr_assert(i + 1 == m || memcmp(p.c.at + at, before + at, p.gap * width(t)) == 0,
                  "%s: the gap after row %zu was written", p.label, i);
    }
    free(before);
    problem_end(&p);
}

static void each_table(void (*f)(const rgk_table *t))
{
    for (int isa = 0; isa <= RGK_AVX512; isa++)
        for (int type = 0; type < RGK_TYPE_COUNT; type++)
            if (rgk_of((rgk_isa)isa, (rgk_type)type))
                f(rgk_of((rgk_isa)isa, (rgk_type)type));
}

/* ---- values ---- */

static void small_sizes(const rgk_table *t)
{
    for (int la = 0; la < LAYOUTS; la++)
        for (int lb = 0; lb < LAYOUTS; lb++)
            for (int trial = 0; trial < 60; trial++)
                check(t, 1 + draw(40), 1 + draw(40), 1 + draw(40), (layout)la, (layout)lb, draw(3) == 0, 1);
}

Test(gemm, small_sizes)
{
    each_table(small_sizes);
}

/* Around tiles and vectors; vectors and single elements; no sum at all. */
static void edges(const rgk_table *t)
{
    static const size_t side[] = {1, 2, 5, 6, 7, 12, 13, 15, 16, 17, 31, 33, 48, 63, 64, 65, 97, 129};
    enum { SIDES = sizeof side / sizeof *side };
    for (int trial = 0; trial < 300; trial++)
        check(t, side[draw(SIDES)], side[draw(SIDES)], draw(100), (layout)draw(LAYOUTS), (layout)draw(LAYOUTS),
              draw(3) == 0, 1);
    for (int la = 0; la < LAYOUTS; la++)
        for (int lb = 0; lb < LAYOUTS; lb++)
            for (size_t i = 0; i < SIDES; i++) {
                check(t, 1, side[i], 70, (layout)la, (layout)lb, i % 2, 1);
                check(t, side[i], 1, 70, (layout)la, (layout)lb, i % 2, 1);
                check(t, side[i], 40, 1, (layout)la, (layout)lb, i % 2, 1);
                check(t, 5, side[i], 0, (layout)la, (layout)lb, i % 2, 1);
            }
    check(t, 0, 7, 3, BY_ROWS, BY_ROWS, false, 1);
    check(t, 7, 0, 3, BY_ROWS, BY_ROWS, false, 1);
}

Test(gemm, edges)
{
    each_table(edges);
}

/* Long enough for every block of the loops to be cut: the sum, the rows and the columns. */
static void blocks(const rgk_table *t)
{
    for (int la = 0; la < SPREAD; la++)
        for (int lb = 0; lb < SPREAD; lb++) {
            check(t, 70, 90, 5000, (layout)la, (layout)lb, lb == BY_ROWS, 37);
            check(t, 301, 1100, 70, (layout)la, (layout)lb, la == BY_ROWS, 101);
            check(t, 1100, 67, 300, (layout)la, (layout)lb, false, 101);
            check(t, 90, 4000, 40, (layout)la, (layout)lb, false, 997);
            check(t, 400, 1000, 40, (layout)la, (layout)lb, true, 997);
            check(t, 20, 2100, 513, (layout)la, (layout)lb, true, 101);
        }
    check(t, 200, 300, 400, SPREAD, SPREAD, true, 101);
    check(t, 1, 5000, 300, BY_ROWS, BY_ROWS, true, 7);
    check(t, 5000, 1, 300, BY_ROWS, BY_COLUMNS, true, 7);
}

Test(gemm, blocks)
{
    each_table(blocks);
}

/* ---- the same product cut in other ways gives the same bits ---- */

/* The part of C at rows [i, i + m), columns [j, j + n), written to its place in `out`. */
static void part(const problem *p, void *out, size_t i, size_t m, size_t j, size_t n)
{
    rgk_gemm g = p->g;
    const ptrdiff_t size = (ptrdiff_t)width(p->t);
    g.m = m, g.n = n;
    g.a = (const char *)g.a + (ptrdiff_t)i * g.a_row * size;
    g.b = (const char *)g.b + (ptrdiff_t)j * g.b_col * size;
    g.c = (char *)out + ((ptrdiff_t)i * g.c_row + (ptrdiff_t)j) * size;
    multiply(p->t, &g);
}

/* Rectangles at random, down to single rows, columns and elements. */
static void cut(const problem *p, void *out, size_t i, size_t m, size_t j, size_t n)
{
    if (draw(4) == 0 || m * n == 1) {
        part(p, out, i, m, j, n);
    } else if (n == 1 || (m > 1 && draw(2))) {
        const size_t first = 1 + draw(m - 1);
        cut(p, out, i, first, j, n);
        cut(p, out, i + first, m - first, j, n);
    } else {
        const size_t first = 1 + draw(n - 1);
        cut(p, out, i, m, j, first);
        cut(p, out, i, m, j + first, n - first);
    }
}

static void cuts(const rgk_table *t)
{
    for (int trial = 0; trial < 40; trial++) {
        problem p = problem_new(t, 1 + draw(150), 1 + draw(150), 1 + draw(trial % 4 ? 60 : 2000), (layout)draw(LAYOUTS),
                                (layout)draw(LAYOUTS), false);
        frame other = frame_new(p.c.bytes, 0);
        multiply(t, &p.g);
        for (int way = 0; way < 3; way++) {
            memcpy(other.at, p.c.at, p.c.bytes); /* for the gaps */
            for (size_t i = 0; i < p.g.m; i++)
                memset(other.at + i * (p.g.n + p.gap) * width(t), 0, p.g.n * width(t));
            for (size_t i = 0; i < p.g.m && way == 0; i++)
                part(&p, other.at, i, 1, 0, p.g.n);
            for (size_t j = 0; j < p.g.n && way == 1; j++)
                part(&p, other.at, 0, p.g.m, j, 1);
            if (way == 2)
                cut(&p, other.at, 0, p.g.m, 0, p.g.n);
            cr_assert(memcmp(other.at, p.c.at, p.c.bytes) == 0, "%s: cut in way %d it has other bits", p.label, way);
        }
        frame_end(&other, p.label);
        problem_end(&p);
    }
}

Test(gemm, cuts)
{
    each_table(cuts);
}

/* A sum may be continued: k in two parts, the second accumulating. */
static void continued(const rgk_table *t)
{
    for (int trial = 0; trial < 40; trial++) {
        problem p = problem_new(t, 1 + draw(60), 1 + draw(60), 2 + draw(300), (layout)draw(LAYOUTS),
                                (layout)draw(LAYOUTS), false);
        frame other = frame_new(p.c.bytes, 0);
        memcpy(other.at, p.c.at, p.c.bytes);
        multiply(t, &p.g);
        rgk_gemm g = p.g;
        g.c = other.at;
        g.k = 1 + draw(p.g.k - 1);
        multiply(t, &g);
        g.a = (const char *)g.a + (ptrdiff_t)g.k * g.a_col * (ptrdiff_t)width(t);
        g.b = (const char *)g.b + (ptrdiff_t)g.k * g.b_row * (ptrdiff_t)width(t);
        g.k = p.g.k - g.k;
        g.accumulate = true;
        multiply(t, &g);
        cr_assert(memcmp(other.at, p.c.at, p.c.bytes) == 0, "%s: a continued sum has other bits", p.label);
        frame_end(&other, p.label);
        problem_end(&p);
    }
}

Test(gemm, continued)
{
    each_table(continued);
}

/* ---- B packed before ---- */

/* The part of the product at columns [j, j + n), the sum cut in two at l, from a B that was packed panel by panel. */
static void part_of_packed(const problem *p, const void *packed, void *out, size_t j, size_t n, size_t l)
{
    const ptrdiff_t size = (ptrdiff_t)width(p->t);
    for (int half = 0; half < 2; half++) {
        rgk_gemm g = p->g;
        const size_t from = half ? l : 0;
        g.n = n;
        g.k = half ? p->g.k - l : l;
        g.a = (const char *)g.a + (ptrdiff_t)from * g.a_col * size;
        g.b = NULL;
        g.c = (char *)out + (ptrdiff_t)j * size;
        g.accumulate = g.accumulate || half;
        g.packed = packed;
        g.packed_n = p->g.n, g.packed_k = p->g.k, g.packed_l = from, g.packed_j = j;
        if (g.k)
            multiply(p->t, &g);
    }
}

static void check_packed(const rgk_table *t, size_t m, size_t n, size_t k, layout la, layout lb, bool accumulate)
{
    problem p = problem_new(t, m, n, k, la, lb, accumulate);
    size_t panels = 0;
    const size_t bytes = t->gemm_packed(n, k, &panels), cut = n / t->lanes ? draw(n / t->lanes) * t->lanes : 0;
    frame packed = frame_new(bytes, 0), other = frame_new(p.c.bytes, 0);
    memcpy(other.at, p.c.at, p.c.bytes);
    multiply(t, &p.g);
    for (size_t lo = 0, hi; bytes && lo < panels; lo = hi) {
        hi = lo + 1 + draw(panels - lo);
        t->gemm_pack(n, k, p.g.b, p.g.b_row, p.g.b_col, lo, hi, packed.at);
    }
    if (bytes) {
        part_of_packed(&p, packed.at, other.at, 0, cut, k);
        part_of_packed(&p, packed.at, other.at, cut, n - cut, 1 + draw(k));
        cr_assert(memcmp(other.at, p.c.at, p.c.bytes) == 0, "%s: with B packed it has other bits", p.label);
    }
    frame_end(&packed, p.label);
    frame_end(&other, p.label);
    problem_end(&p);
}

static void packed(const rgk_table *t)
{
    size_t panels;
    cr_assert(t->gemm_packed(64, 64, &panels) > 0 && panels > 0, "nothing would be checked");
    for (int trial = 0; trial < 60; trial++)
        check_packed(t, 1 + draw(40), 1 + draw(300), 1 + draw(200), (layout)draw(LAYOUTS), (layout)draw(LAYOUTS),
                     draw(3) == 0);
    for (int la = 0; la < SPREAD; la++)
        for (int lb = 0; lb < SPREAD; lb++) {
            check_packed(t, 301, 700, 70, (layout)la, (layout)lb, false);
            check_packed(t, 50, 90, 1700, (layout)la, (layout)lb, true);
        }
}

Test(gemm, packed)
{
    each_table(packed);
}

/* ---- tasks ---- */

static void tiles(const rgk_table *t)
{
    for (int trial = 0; trial < 500; trial++) {
        const size_t m = draw(3000), n = draw(3000), k = draw(3000);
        size_t tm = 0, tn = 0;
        t->gemm_tile(m, n, k, &tm, &tn);
        cr_assert(tm > 0 && tn > 0);
        cr_assert(t->gemm_scratch(m, n, k) >= t->gemm_scratch(m / 2, n / 2, k), "a smaller product needs more scratch");
    }
}

Test(gemm, tiles)
{
    each_table(tiles);
}
