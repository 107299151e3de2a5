/* test_gemm.c - the matrix product of every table of kernels: each element is one chain of multiply-adds over k in
   order, to the last bit, whatever the sizes, strides, alignment and cuts; and nothing but C and the scratch is
   written. */
#include "gemm_problem.h"
#include "naive.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static problem plain(const rgk_table *t, size_t m, size_t n, size_t k, layout la, layout lb, bool accumulate)
{
    return problem_new(t, m, n, k, la, lb, false, false, accumulate);
}

/* a b + c, rounded once where the instruction set can. */
static NAIVE double added(const rgk_table *t, double a, double b, double c)
{
#if defined(__ARM_FEATURE_FMA)
    const bool fused = true;
#else
    const bool fused = t->isa != RGK_GENERIC;
#endif
    if (t->type == RGK_F64)
        return fused ? fma(a, b, c) : a * b + c;
    return (double)(fused ? fmaf((float)a, (float)b, (float)c) : (float)a * (float)b + (float)c);
}

/* One element by its definition. */
static NAIVE double chain(const problem *p, size_t i, size_t j, double from)
{
    const rgk_gemm *g = &p->g;
    double sum = from;
    for (size_t l = 0; l < g->k; l++)
        sum = added(p->t, operand(p->t, g->a, false, (ptrdiff_t)i * g->a_row + (ptrdiff_t)l * g->a_col),
                    operand(p->t, g->b, false, (ptrdiff_t)l * g->b_row + (ptrdiff_t)j * g->b_col), sum);
    return sum;
}

static void same(double x, double y, const problem *p, size_t i, size_t j)
{
    cr_assert(memcmp(&x, &y, sizeof x) == 0, "%s: element (%zu, %zu) is %.17g, not %.17g", p->label, i, j, x, y);
}

/* The product against the definition, every `step`-th element; gaps between the rows must stay as they were. */
static void check(const rgk_table *t, size_t m, size_t n, size_t k, layout la, layout lb, bool accumulate, size_t step)
{
    problem p = plain(t, m, n, k, la, lb, accumulate);
    unsigned char *before = malloc(p.c.bytes + 1);
    cr_assert(before);
    memcpy(before, p.c.p, p.c.bytes);
    multiply(t, &p.g);
    for (size_t i = 0; i < m; i++) {
        for (size_t j = 0; j < n; j++)
            if ((i * n + j) % step == 0)
                same(get(t, p.c.p, i * (n + p.gap) + j),
                     chain(&p, i, j, accumulate ? get(t, before, i * (n + p.gap) + j) : 0), &p, i, j);
        const size_t at = (i * (n + p.gap) + n) * width(t);
        cr_assert(i + 1 == m || memcmp((const char *)p.c.p + at, before + at, p.gap * width(t)) == 0,
                  "%s: the gap after row %zu was written", p.label, i);
    }
    free(before);
    problem_end(&p);
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

/* A large matrix that lies by rows beside few columns, in tiles of all heights; and the sum in parts. */
static void few_columns(const rgk_table *t)
{
    static const size_t sizes[][3] = {{16, 64, 2100}, {11, 200, 711},  {17, 131, 1003}, {32, 97, 1400}, {13, 65, 5200},
                                      {9, 129, 1026}, {20, 64, 5003},  {7, 70, 2048},   {2, 64, 2049},  {16, 83, 1600},
                                      {5, 77, 1999},  {33, 100, 1400}, {15, 97, 1399}};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        for (int la = 0; la < LAYOUTS; la++)
            for (int lb = 0; lb < LAYOUTS; lb++) {
                const size_t *q = sizes[i];
                check(t, q[0], q[1], q[2], (layout)la, (layout)lb, i % 2, 37);
                check(t, q[1], q[0], q[2], (layout)la, (layout)lb, i % 2, 37);
            }
}

Test(gemm, few_columns)
{
    each_table(few_columns);
}

/* ---- the same product cut in other ways gives the same bits ---- */

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
        problem p = plain(t, 1 + draw(150), 1 + draw(150), 1 + draw(trial % 4 ? 60 : 2000), (layout)draw(LAYOUTS),
                          (layout)draw(LAYOUTS), false);
        frame other = frame_new(1, p.c.bytes, 0);
        multiply(t, &p.g);
        for (int way = 0; way < 3; way++) {
            memcpy(other.p, p.c.p, p.c.bytes); /* for the gaps */
            for (size_t i = 0; i < p.g.m; i++)
                memset(at(t, other.p, i * (p.g.n + p.gap)), 0, p.g.n * width(t));
            for (size_t i = 0; i < p.g.m && way == 0; i++)
                part(&p, other.p, i, 1, 0, p.g.n);
            for (size_t j = 0; j < p.g.n && way == 1; j++)
                part(&p, other.p, 0, p.g.m, j, 1);
            if (way == 2)
                cut(&p, other.p, 0, p.g.m, 0, p.g.n);
            cr_assert(memcmp(other.p, p.c.p, p.c.bytes) == 0, "%s: cut in way %d it has other bits", p.label, way);
        }
        frame_free(&other, p.label);
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
        problem p =
            plain(t, 1 + draw(60), 1 + draw(60), 2 + draw(300), (layout)draw(LAYOUTS), (layout)draw(LAYOUTS), false);
        frame other = frame_new(1, p.c.bytes, 0);
        memcpy(other.p, p.c.p, p.c.bytes);
        multiply(t, &p.g);
        rgk_gemm g = p.g;
        g.c = other.p;
        g.k = 1 + draw(p.g.k - 1);
        multiply(t, &g);
        g.a = (const char *)g.a + (ptrdiff_t)g.k * g.a_col * (ptrdiff_t)width(t);
        g.b = (const char *)g.b + (ptrdiff_t)g.k * g.b_row * (ptrdiff_t)width(t);
        g.k = p.g.k - g.k;
        g.accumulate = true;
        multiply(t, &g);
        cr_assert(memcmp(other.p, p.c.p, p.c.bytes) == 0, "%s: a continued sum has other bits", p.label);
        frame_free(&other, p.label);
        problem_end(&p);
    }
}

Test(gemm, continued)
{
    each_table(continued);
}

/* ---- B packed before ---- */

static void packed(const rgk_table *t)
{
    for (int trial = 0; trial < 60; trial++)
        check_packed(plain(t, 1 + draw(40), 1 + draw(300), 1 + draw(200), (layout)draw(LAYOUTS), (layout)draw(LAYOUTS),
                           draw(3) == 0),
                     1);
    for (int la = 0; la < SPREAD; la++)
        for (int lb = 0; lb < SPREAD; lb++) {
            cr_assert(check_packed(plain(t, 301, 700, 70, (layout)la, (layout)lb, false), 1), "nothing was checked");
            cr_assert(check_packed(plain(t, 50, 90, 1700, (layout)la, (layout)lb, true), 1), "nothing was checked");
        }
}

Test(gemm, packed)
{
    each_table(packed);
}

/* ---- updates ---- */

/* The product, rounded and added to C by a factor, where that can be done; gaps between the rows must stay as they
   were. */
static bool updated(const rgk_table *t, size_t m, size_t n, size_t k, layout la, layout lb, double factor, size_t step)
{
    problem p = plain(t, m, n, k, la, lb, false);
    unsigned char *before = malloc(p.c.bytes + 1);
    cr_assert(before);
    memcpy(before, p.c.p, p.c.bytes);
    p.g.factor = factor;
    const bool done = t->gemm_updates(&p.g);
    if (done)
        multiply(t, &p.g);
    for (size_t i = 0; i < m; i++) {
        for (size_t j = 0; j < n && done; j++)
            if ((i * n + j) % step == 0)
                same(get(t, p.c.p, i * (n + p.gap) + j),
                     added(t, factor, chain(&p, i, j, 0), get(t, before, i * (n + p.gap) + j)), &p, i, j);
        const size_t at = (i * (n + p.gap) + n) * width(t);
        cr_assert(i + 1 == m || memcmp((const char *)p.c.p + at, before + at, p.gap * width(t)) == 0,
                  "%s: the gap after row %zu was written", p.label, i);
    }
    free(before);
    problem_end(&p);
    return done;
}

/* Gradients by weights, their last columns and rows in either form; what is too small, has a long sum or lies otherwise
   may be left alone. */
static void updates(const rgk_table *t)
{
    static const size_t sizes[][3] = {{250, 40, 64},  {97, 250, 20},  {40, 250, 64},   {130, 8, 50},
                                      {8, 131, 50},   {2, 700, 33},   {700, 2, 33},    {61, 61, 61},
                                      {600, 530, 40}, {6, 64, 255},   {96, 65, 1},     {1030, 330, 9},
                                      {40, 300, 250}, {300, 40, 250}, {190, 130, 768}, {41, 70, 640}};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        cr_assert(updated(t, sizes[i][0], sizes[i][1], sizes[i][2], BY_COLUMNS, BY_ROWS, -0.37, 1 + i % 3 * 4),
                  "nothing was checked: %zu", i);
    for (int trial = 0; trial < 60; trial++)
        updated(t, 1 + draw(90), 1 + draw(150), draw(40), (layout)draw(LAYOUTS), (layout)draw(LAYOUTS), 0.3, 1);
    cr_assert(!updated(t, 64, 64, 64, BY_COLUMNS, BY_ROWS, 0, 1), "nothing times infinity is not nothing");
}

Test(gemm, updates)
{
    each_table(updates);
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
