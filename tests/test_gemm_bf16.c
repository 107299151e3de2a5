/* test_gemm_bf16.c - products of matrices that hold bf16 numbers, of every table of kernels: each element is its chain
   of multiply-adds to the last bit, in pairs or one after the other, and near the sum in double precision, whatever the
   sizes, strides, alignment and cuts; nothing but C and the scratch is written. The conversions too. */
#include "gemm_problem.h"
#include "naive.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static void each_f32_table(void (*f)(const rgk_table *t))
{
    for (int isa = 0; isa < RGK_ISA_COUNT; isa++)
        if (rgk_of((rgk_isa)isa, RGK_F32) && (isa != RGK_AMX || rgk_amx_permitted()))
            f(rgk_of((rgk_isa)isa, RGK_F32));
}

static float of_bits(uint32_t bits)
{
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* Which operands are bf16, and whether their products are to be added one after the other. */
typedef enum kind { BOTH, ONLY_A, ONLY_B, BOTH_IN_ORDER, KINDS } kind;

static problem of_kind(const rgk_table *t, size_t m, size_t n, size_t k, layout la, layout lb, kind which,
                       bool accumulate)
{
    problem p = problem_new(t, m, n, k, la, lb, which != ONLY_B, which != ONLY_A, accumulate);
    p.g.in_order = which == BOTH_IN_ORDER;
    return p;
}

/* How its products are added: one after the other, in pairs, or in blocks of 16 pairs. */
typedef enum order { IN_ORDER, PAIRS, TILES } order;

static order order_of(const rgk_table *t, const rgk_gemm *g)
{
    if (!g->a_bf16 || !g->b_bf16 || g->in_order)
        return IN_ORDER;
    return t->isa == RGK_AVX512_BF16 ? PAIRS : t->isa == RGK_AMX ? TILES : IN_ORDER;
}

static float multiply_add(const problem *p, float a, float b, float c)
{
    if (p->t->isa != RGK_GENERIC)
        return fmaf(a, b, c);
#if defined(__ARM_FEATURE_FMA)
    return fmaf(a, b, c);
#else
    const float product = a * b;
    return product + c;
#endif
}

/* One element by its definition; and the sum in double precision with that of the sizes. */
static NAIVE float chain(const problem *p, size_t i, size_t j, float from, double *exact, double *size)
{
    const rgk_gemm *g = &p->g;
    const order how = order_of(p->t, g);
    float sum = from, of_block[2] = {0, 0}; /* the first and the second numbers of the pairs */
    *exact = (double)from;
    *size = fabs(*exact);
    for (size_t l = 0; l < g->k; l++) {
        const size_t other = l % 2 ? l - 1 : l + 1, q = how == PAIRS && other < g->k ? other : l;
        const float a = (float)operand(p->t, g->a, g->a_bf16, (ptrdiff_t)i * g->a_row + (ptrdiff_t)q * g->a_col);
        const float b = (float)operand(p->t, g->b, g->b_bf16, (ptrdiff_t)q * g->b_row + (ptrdiff_t)j * g->b_col);
        *exact += (double)a * (double)b;
        *size += fabs((double)a * (double)b);
        if (how != TILES) {
            sum = multiply_add(p, a, b, sum);
            continue;
        }
        of_block[l % 2] = multiply_add(p, a, b, of_block[l % 2]);
        if (l % 32 == 31 || l + 1 == g->k || (g->k % 2 && l + 2 == g->k)) { /* of an odd sum the last is by itself */
            sum += of_block[0] + of_block[1];
            of_block[0] = of_block[1] = 0;
        }
    }
    return sum;
}

/* The product against the definition, every `step`-th element; gaps between the rows must stay as they were. */
static void check(const rgk_table *t, size_t m, size_t n, size_t k, layout la, layout lb, kind which, bool accumulate,
                  size_t step)
{
    problem p = of_kind(t, m, n, k, la, lb, which, accumulate);
    float *before = malloc(p.c.bytes + 1), *c = p.c.p;
    const size_t pitch = n + p.gap;
    cr_assert(before);
    memcpy(before, c, p.c.bytes);
    multiply(t, &p.g);
    for (size_t i = 0; i < m; i++) {
        for (size_t j = 0; j < n; j++) {
            double exact, size;
            if ((i * n + j) % step)
                continue;
            const float want = chain(&p, i, j, accumulate ? before[i * pitch + j] : 0, &exact, &size),
                        have = c[i * pitch + j];
            cr_assert(memcmp(&have, &want, sizeof have) == 0, "%s: element (%zu, %zu) is %.9g, not %.9g", p.label, i, j,
                      (double)have, (double)want);
            cr_assert(fabs((double)have - exact) <= (double)(k + 1) * 0x1p-23 * size,
                      "%s: (%zu, %zu) is %.9g, not %.9g", p.label, i, j, (double)have, exact);
        }
        cr_assert(i + 1 == m || memcmp(c + i * pitch + n, before + i * pitch + n, p.gap * sizeof *c) == 0,
                  "%s: the gap after row %zu was written", p.label, i);
    }
    free(before);
    problem_end(&p);
}

/* ---- values ---- */

static void small_sizes(const rgk_table *t)
{
    for (int which = 0; which < KINDS; which++)
        for (int la = 0; la < LAYOUTS; la++)
            for (int lb = 0; lb < LAYOUTS; lb++)
                for (int trial = 0; trial < 40; trial++)
                    check(t, 1 + draw(40), 1 + draw(40), 1 + draw(40), (layout)la, (layout)lb, (kind)which,
                          draw(3) == 0, 1);
}

Test(gemm_bf16, small_sizes)
{
    each_f32_table(small_sizes);
}

static void edges(const rgk_table *t)
{
    static const size_t side[] = {1, 2, 5, 6, 7, 12, 13, 15, 16, 17, 31, 33, 63, 64, 65, 97, 129};
    enum { SIDES = sizeof side / sizeof *side };
    for (int trial = 0; trial < 300; trial++)
        check(t, side[draw(SIDES)], side[draw(SIDES)], 1 + draw(100), (layout)draw(LAYOUTS), (layout)draw(LAYOUTS),
              (kind)draw(KINDS), draw(3) == 0, 1);
    for (int which = 0; which < KINDS; which++)
        for (int la = 0; la < LAYOUTS; la++)
            for (int lb = 0; lb < LAYOUTS; lb++)
                for (size_t i = 0; i < SIDES; i++) {
                    check(t, 1, side[i], 71, (layout)la, (layout)lb, (kind)which, i % 2, 1);
                    check(t, side[i], 1, 70, (layout)la, (layout)lb, (kind)which, i % 2, 1);
                    check(t, side[i], 40, 1, (layout)la, (layout)lb, (kind)which, i % 2, 1);
                }
    check(t, 0, 7, 3, BY_ROWS, BY_ROWS, BOTH, false, 1);
    check(t, 7, 0, 3, BY_ROWS, BY_ROWS, BOTH, false, 1);
}

Test(gemm_bf16, edges)
{
    each_f32_table(edges);
}

/* Long enough for every part that is brought to be cut: the sum, the rows and the columns. */
static void blocks(const rgk_table *t)
{
    for (int which = 0; which < KINDS; which++)
        for (int la = 0; la < SPREAD; la++)
            for (int lb = 0; lb < SPREAD; lb++) {
                check(t, 5, 90, 5001, (layout)la, (layout)lb, (kind)which, lb == BY_ROWS, 37);
                check(t, 70, 90, 3500, (layout)la, (layout)lb, (kind)which, false, 37);
                check(t, 601, 400, 75, (layout)la, (layout)lb, (kind)which, la == BY_ROWS, 101);
                check(t, 20, 2100, 513, (layout)la, (layout)lb, (kind)which, true, 101);
                check(t, 3, 2100, 100, (layout)la, (layout)lb, (kind)which, false, 11);
            }
}

Test(gemm_bf16, blocks)
{
    each_f32_table(blocks);
}

/* Pairs count what is smaller than any normal number as zero; all else is exact about it. */
static void subnormals(const rgk_table *t)
{
    const uint16_t a[2] = {0x0001, 0}, b[2] = {0x3F80, 0}; /* the smallest subnormal, 1 */
    float c = NAN;
    const rgk_gemm g = {.m = 1,
                        .n = 1,
                        .k = 2,
                        .a = a,
                        .a_row = 2,
                        .a_col = 1,
                        .b = b,
                        .b_row = 1,
                        .b_col = 2,
                        .c = &c,
                        .c_row = 1,
                        .a_bf16 = true,
                        .b_bf16 = true};
    multiply(t, &g);
    const float want = order_of(t, &g) == IN_ORDER ? of_bits(0x00010000) : 0;
    cr_expect(memcmp(&c, &want, sizeof c) == 0, "%s: %a", rgk_isa_name(t->isa), (double)c);
}

Test(gemm_bf16, subnormals)
{
    each_f32_table(subnormals);
}

/* ---- the same product cut in other ways gives the same bits ---- */

static void cuts(const rgk_table *t)
{
    for (int trial = 0; trial < 60; trial++) {
        problem p = of_kind(t, 1 + draw(90), 1 + draw(150), 1 + draw(trial % 4 ? 60 : 2000), (layout)draw(LAYOUTS),
                            (layout)draw(LAYOUTS), (kind)draw(KINDS), false);
        float *other = malloc(p.c.bytes);
        cr_assert(other);
        multiply(t, &p.g);
        const size_t m = draw(p.g.m + 1), n = draw(p.g.n + 1), pitch = p.g.n + p.gap;
        for (int way = 0; way < 3; way++) {
            memcpy(other, p.c.p, p.c.bytes); /* for the gaps */
            for (size_t i = 0; i < p.g.m; i++)
                memset(other + i * pitch, 0, p.g.n * sizeof *other);
            for (size_t i = 0; i < p.g.m && way == 0; i++)
                part(&p, other, i, 1, 0, p.g.n);
            for (size_t j = 0; j < p.g.n && way == 1; j++)
                part(&p, other, 0, p.g.m, j, 1);
            for (int q = 0; q < 4 && way == 2; q++)
                part(&p, other, q / 2 ? m : 0, q / 2 ? p.g.m - m : m, q % 2 ? n : 0, q % 2 ? p.g.n - n : n);
            cr_assert(memcmp(other, p.c.p, p.c.bytes) == 0, "%s: cut in way %d it has other bits", p.label, way);
        }
        free(other);
        problem_end(&p);
    }
}

Test(gemm_bf16, cuts)
{
    each_f32_table(cuts);
}

/* ---- B packed before ---- */

static void packed(const rgk_table *t)
{
    for (int trial = 0; trial < 90; trial++)
        check_packed(of_kind(t, 1 + draw(40), 1 + draw(300), 1 + draw(200), (layout)draw(LAYOUTS),
                             (layout)draw(LAYOUTS), draw(2) ? BOTH : ONLY_B, draw(3) == 0),
                     32);
    for (int which = 0; which < 2; which++)
        for (int la = 0; la < SPREAD; la++)
            for (int lb = 0; lb < SPREAD; lb++) {
                const kind of = which ? BOTH : ONLY_B;
                cr_assert(check_packed(of_kind(t, 301, 700, 70, (layout)la, (layout)lb, of, false), 32),
                          "nothing was checked");
                cr_assert(check_packed(of_kind(t, 50, 90, 3601, (layout)la, (layout)lb, of, true), 32),
                          "nothing was checked");
            }
}

Test(gemm_bf16, packed)
{
    each_f32_table(packed);
}

/* ---- conversions ---- */

static void conversions(const rgk_table *t)
{
    for (size_t i = 0, n; (n = size_at(t, i)) != SIZE_MAX; i++)
        for (size_t offset = 0; offset < 3; offset++) {
            frame x = frame_new(n, sizeof(float), offset), y = frame_new(n, sizeof(uint16_t), offset);
            frame z = frame_new(n, sizeof(float), offset);
            uint32_t *bits = x.p;
            for (size_t j = 0; j < n; j++)
                bits[j] = (uint32_t)draw((uint64_t)1 << 31) << 1 | (uint32_t)draw(2);
            t->narrow(n, x.p, y.p);
            t->widen(n, y.p, z.p);
            for (size_t j = 0; j < n; j++) {
                const float from = of_bits(bits[j]), to = ((const float *)z.p)[j];
                const double gap =
                    fabs((double)of_bits(bits[j] & 0xFFFF0000) - (double)of_bits((bits[j] & 0xFFFF0000) + 0x10000));
                cr_assert(isnan(from) ? isnan(to) : isinf(to) || fabs((double)to - (double)from) <= gap / 2,
                          "%s: %a became %a", rgk_isa_name(t->isa), (double)from, (double)to);
                cr_assert(((const uint16_t *)y.p)[j] == ((const uint32_t *)z.p)[j] >> 16);
            }
            frame_free(&x, "x");
            frame_free(&y, "narrow");
            frame_free(&z, "widen");
        }
}

Test(gemm_bf16, conversions)
{
    each_f32_table(conversions);
}
