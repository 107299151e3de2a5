/* test_kernels.c - kernels of elements in every table that this machine can run: values against plain formulas, and
   what all promise: nothing outside of the output is written, any alignment, in place, and bits that do not depend on
   how a range is cut. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "kernel_frames.h"

/* ---- elementwise ---- */

static const double parameters[2] = {0.25, 1.5};

static double formula1(rgk_unary f, double x)
{
    const double p = parameters[0];
    switch (f) {
    case RGK_NEG:
        return -x;
    case RGK_ABS:
        return fabs(x);
    case RGK_SIGN:
        return x > 0 ? 1 : x < 0 ? -1 : x;
    case RGK_SQUARE:
        return x * x;
    case RGK_ONE_MINUS:
        return 1 - x;
    case RGK_SCALE:
        return p * x;
    case RGK_ADD_SCALAR:
        return x + p;
    case RGK_CLAMP:
        return x < p ? p : x > parameters[1] ? parameters[1] : x;
    case RGK_RELU:
        return x > 0 ? x : x < 0 ? 0 : x;
    case RGK_LEAKY_RELU:
        return x > 0 ? x : p * x;
    case RGK_ELU:
        return x > 0 ? x : p * expm1(x);
    default:
        return NAN; /* functions: test_vmath.c */
    }
}

static double formula2(rgk_binary f, double a, double b)
{
    const double p = parameters[0];
    switch (f) {
    case RGK_ADD:
        return a + b;
    case RGK_SUB:
        return a - b;
    case RGK_MUL:
        return a * b;
    case RGK_DIV:
        return a / b;
    case RGK_MINIMUM:
        return isnan(a) || isnan(b) ? NAN : fmin(a, b);
    case RGK_MAXIMUM:
        return isnan(a) || isnan(b) ? NAN : fmax(a, b);
    case RGK_POW:
        return pow(a, b);
    case RGK_AXPY:
        return b + p * a;
    case RGK_LERP:
        return a + p * (b - a);
    case RGK_TANH_GRAD:
        return a * (1 - b * b);
    case RGK_SIGMOID_GRAD:
        return a * b * (1 - b);
    case RGK_RELU_GRAD:
        return b > 0 ? a : 0;
    case RGK_LEAKY_RELU_GRAD:
        return b > 0 ? a : p * a;
    case RGK_CLAMP_GRAD:
        return b >= p && b <= parameters[1] ? a : 0;
    case RGK_SQUARED_DIFFERENCE:
        return (a - b) * (a - b);
    case RGK_BINARY_COUNT:
        break;
    }
    return NAN;
}

static double size_of_finite(double x)
{
    return isfinite(x) ? fabs(x) : 0;
}

/* Equal, or as near as a few roundings of terms up to `scale` allow. */
static bool near(const rgk_table *t, double y, double exact, double scale)
{
    if (isnan(exact) || isnan(y))
        return isnan(exact) && isnan(y);
    if (rounded(t, y) == rounded(t, exact))
        return true;
    return fabs(y - exact) <= 4 * epsilon(t) * (fabs(exact) + scale);
}

/* One function seen as one of up to three operands. */
typedef struct call {
    const rgk_table *t;
    int operands, row;
    unsigned once; /* operands that are one element */
} call;

static void run(const call *c, size_t n, const void *a, const void *b, const void *d, void *y)
{
    if (c->operands == 1)
        c->t->unary[c->row](n, a, y, parameters);
    else if (c->operands == 2)
        c->t->binary[c->row](n, a, b, y, parameters, c->once);
    else
        c->t->ternary[c->row](n, a, b, d, y, c->once);
}

/* Operands that are one element: the bits of as many of it, in place of one of the others, too. */
static void one_element(const call *c, const frame x[3], size_t n)
{
    const size_t size = width(c->t);
    for (unsigned once = 1; n && c->operands > 1 && once < 1u << c->operands; once++)
        for (int into = -1; into < c->operands; into++) {
            frame many[3], y = frame_new(n, size, 1), z = frame_new(n, size, 0);
            for (unsigned k = 0; k < 3; k++) {
                many[k] = frame_new(n, size, k);
                for (size_t i = 0; i < n; i++)
                    memcpy(at(c->t, many[k].p, i), at(c->t, x[k].p, once >> k & 1 ? n / 2 : i), size);
            }
            const void *in[3];
            for (int k = 0; k < 3; k++)
                in[k] = once >> k & 1 ? at(c->t, x[k].p, n / 2) : x[k].p;
            run(c, n, many[0].p, many[1].p, many[2].p, y.p);
            if (into >= 0 && !(once >> into & 1)) {
                memcpy(z.p, in[into], n * size);
                in[into] = z.p;
            }
            run(&(call){c->t, c->operands, c->row, once}, n, in[0], in[1], in[2], z.p);
            cr_assert(!memcmp(y.p, z.p, n * size), "%s %s row %d of %d: operands %x as one element differ, n = %zu",
                      NAME(c->t), c->row, c->operands, once, n);
            frame_free(&y, "many");
            frame_free(&z, "one element");
            for (int k = 0; k < 3; k++)
                frame_free(&many[k], "an input repeated");
        }
}

/* The whole range against single elements, pieces, other alignments and in place. */
static void elementwise(const call *c)
{
    const rgk_table *t = c->t;
    for (size_t k = 0, n; (n = size_at(t, k)) != SIZE_MAX; k++) {
        frame x[3];
        for (size_t i = 0; i < 3; i++) {
            x[i] = frame_new(n, width(t), i);
            fill_values(t, x[i].p, n, true);
        }
        frame whole = frame_new(n, width(t), 0), parts = frame_new(n, width(t), 3);
        run(c, n, x[0].p, x[1].p, x[2].p, whole.p);
        for (size_t i = 0; i < n; i++) {
            const double a = get(t, x[0].p, i), b = get(t, x[1].p, i), d = get(t, x[2].p, i);
            double exact = c->operands == 1   ? formula1((rgk_unary)c->row, a)
                           : c->operands == 2 ? formula2((rgk_binary)c->row, a, b)
                                              : a * b + d;
            const bool told = c->operands > 1 || c->row <= RGK_CLAMP || (c->row >= RGK_RELU && c->row <= RGK_ELU);
            const bool function = c->operands == 1 && (c->row == RGK_SQRT || c->row == RGK_RSQRT ||
                                                       c->row == RGK_RECIPROCAL || c->row == RGK_POW_SCALAR);
            if (told && !function)
                cr_assert(near(t, get(t, whole.p, i), exact,
                               c->operands > 1 ? size_of_finite(a) + size_of_finite(b) + size_of_finite(d) : 0),
                          "%s %s row %d of %d operands: (%g, %g, %g) -> %g, not %g", NAME(t), c->row, c->operands, a, b,
                          d, get(t, whole.p, i), exact);
        }
        for (size_t i = 0; i < n; i++)
            run(c, 1, at(t, x[0].p, i), at(t, x[1].p, i), at(t, x[2].p, i), at(t, parts.p, i));
        cr_assert(!memcmp(whole.p, parts.p, n * width(t)), "%s %s row %d of %d: single elements differ, n = %zu",
                  NAME(t), c->row, c->operands, n);
        for (size_t i = 0, step = 0; i < n; i += step) {
            step = 1 + (size_t)((random_unit() + 1) * (double)t->lanes);
            step = step > n - i ? n - i : step;
            run(c, step, at(t, x[0].p, i), at(t, x[1].p, i), at(t, x[2].p, i), at(t, parts.p, i));
        }
        cr_assert(!memcmp(whole.p, parts.p, n * width(t)), "%s %s row %d of %d: pieces differ, n = %zu", NAME(t),
                  c->row, c->operands, n);
        for (int into = 0; into < c->operands; into++) {
            frame copy = frame_new(n, width(t), 1);
            memcpy(copy.p, x[into].p, n * width(t));
            run(c, n, into == 0 ? copy.p : x[0].p, into == 1 ? copy.p : x[1].p, into == 2 ? copy.p : x[2].p, copy.p);
            cr_assert(!memcmp(whole.p, copy.p, n * width(t)), "%s %s row %d of %d: in place of operand %d differs",
                      NAME(t), c->row, c->operands, into);
            frame_free(&copy, "in place");
        }
        one_element(c, x, n);
        frame_free(&whole, "elementwise");
        frame_free(&parts, "elementwise, in pieces");
        for (int i = 0; i < 3; i++)
            frame_free(&x[i], "an input");
    }
}

static void check_elementwise(const rgk_table *t)
{
    for (int i = 0; i < RGK_UNARY_COUNT; i++)
        elementwise(&(call){t, 1, i, 0});
    for (int i = 0; i < RGK_BINARY_COUNT; i++)
        elementwise(&(call){t, 2, i, 0});
    for (int i = 0; i < RGK_TERNARY_COUNT; i++)
        elementwise(&(call){t, 3, i, 0});
}

Test(kernels, elementwise)
{
    each_table(check_elementwise);
}

/* A product and a sum rounded once, where the instruction set can: axpy and fma agree with fma() to the last bit. */
static void check_fused(const rgk_table *t)
{
    double x[200], y[200], z[200];
    for (int i = 0; i < 200; i++) {
        put(t, x, (size_t)i, random_unit());
        put(t, y, (size_t)i, random_unit());
    }
    t->ternary[RGK_FMA](200, x, x, y, z, 0);
    for (size_t i = 0; i < 200; i++) {
        const double a = get(t, x, i), c = get(t, y, i);
        const double fused = t->type == RGK_F32 ? (double)fmaf((float)a, (float)a, (float)c) : fma(a, a, c);
        cr_expect(t->isa == RGK_GENERIC || get(t, z, i) == fused, "%s %s", NAME(t));
    }
}

Test(kernels, fma_rounds_once)
{
    each_table(check_fused);
}

static void check_compare(const rgk_table *t)
{
    for (size_t k = 0, n; (n = size_at(t, k)) != SIZE_MAX; k++) {
        frame a = frame_new(n, width(t), 1), b = frame_new(n, width(t), 2), y = frame_new(n, 1, 3),
              z = frame_new(n, width(t), 1);
        fill_values(t, a.p, n, true);
        fill_values(t, b.p, n, true);
        for (size_t i = 0; i < n; i += 3)
            put(t, b.p, i, get(t, a.p, i));
        for (int row = 0; row < RGK_COMPARE_COUNT; row++) {
            t->compare[row](n, a.p, b.p, y.p);
            for (size_t i = 0; i < n; i++) {
                const double p = get(t, a.p, i), q = get(t, b.p, i);
                const int want = row == RGK_EQ   ? p == q
                                 : row == RGK_NE ? p != q
                                 : row == RGK_LT ? p < q
                                 : row == RGK_LE ? p <= q
                                 : row == RGK_GT ? p > q
                                                 : p >= q;
                cr_assert(((uint8_t *)y.p)[i] == want, "%s %s compare %d: %g, %g", NAME(t), row, p, q);
            }
        }
        for (size_t i = 0; i < n; i++)
            ((uint8_t *)y.p)[i] = i % 3 == 1 ? (uint8_t)i : 0; /* any number but 0 is true */
        t->where(n, y.p, a.p, b.p, z.p);
        for (size_t i = 0; i < n; i++)
            cr_assert(!memcmp(at(t, z.p, i), at(t, ((uint8_t *)y.p)[i] ? a.p : b.p, i), width(t)), "%s %s where",
                      NAME(t));
        t->fill(n, 0.1, z.p);
        for (size_t i = 0; i < n; i++)
            cr_assert(get(t, z.p, i) == rounded(t, 0.1), "%s %s fill", NAME(t));
        uint8_t any[8]; /* bits of no number: a signalling NaN */
        memset(any, 0x7f, sizeof any);
        any[width(t) - 2] = 0x81;
        t->repeat(n, any, z.p);
        for (size_t i = 0; i < n; i++)
            cr_assert(!memcmp(at(t, z.p, i), any, width(t)), "%s %s repeat", NAME(t));
        frame_free(&a, "a");
        frame_free(&b, "b");
        frame_free(&y, "compare");
        frame_free(&z, "where, fill or repeat");
    }
}

Test(kernels, compare_where_fill)
{
    each_table(check_compare);
}

/* ---- the choice of a table ---- */

Test(kernels, dispatch)
{
    const char *wanted = getenv("RETROGRADE_ISA");
    for (int type = 0; type < RGK_TYPE_COUNT; type++) {
        const rgk_table *t = rgk((rgk_type)type), *best = NULL;
        cr_assert(t);
        cr_expect(t->type == (rgk_type)type);
        cr_expect(t == rgk_of(t->isa, t->type));
        cr_expect(t->lanes * width(t) == (t->isa >= RGK_AVX512 ? 64u : t->isa == RGK_AVX2 ? 32u : 16u));
        if (wanted && !strcmp(wanted, "generic"))
            cr_expect(t->isa == RGK_GENERIC);
        for (int isa = 0; isa < RGK_ISA_COUNT; isa++)
            if (rgk_of((rgk_isa)isa, (rgk_type)type) && isa != RGK_AVX512_BF16) /* the machine's maker decides */
                best = rgk_of((rgk_isa)isa, (rgk_type)type);
        if (!wanted)
            cr_expect(t == best || t->isa == RGK_AVX512_BF16, "a better table lies idle");
    }
    cr_expect_str_eq(rgk_isa_name(RGK_GENERIC), "generic");
    cr_expect_str_eq(rgk_isa_name(RGK_AVX512), "avx512");
    cr_expect_str_eq(rgk_isa_name(RGK_AVX512_BF16), "avx512_bf16");
    cr_expect_str_eq(rgk_isa_name(RGK_AMX), "amx");
}
