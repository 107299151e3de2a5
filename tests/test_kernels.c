/* test_kernels.c - every table of kernels that this machine can run: values against plain formulas, and what all
   promise: nothing outside of the output is written, any alignment, in place, and bits that do not depend on how a
   range is cut. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "graph/philox.h"
#include "ops/kernels/kernels.h"

/* Calls f for every table present. */
static void each_table(void (*f)(const rgk_table *t))
{
    for (int isa = 0; isa < RGK_ISA_COUNT; isa++)
        for (int type = 0; type < RGK_TYPE_COUNT; type++)
            if (rgk_of((rgk_isa)isa, (rgk_type)type))
                f(rgk_of((rgk_isa)isa, (rgk_type)type));
}

#define NAME(t) rgk_isa_name((t)->isa), (t)->type == RGK_F32 ? "f32" : "f64"

/* ---- arrays of either type ---- */

static size_t width(const rgk_table *t)
{
    return t->type == RGK_F32 ? sizeof(float) : sizeof(double);
}

static double get(const rgk_table *t, const void *p, size_t i)
{
    return t->type == RGK_F32 ? (double)((const float *)p)[i] : ((const double *)p)[i];
}

static void put(const rgk_table *t, void *p, size_t i, double x)
{
    if (t->type == RGK_F32)
        ((float *)p)[i] = (float)x;
    else
        ((double *)p)[i] = x;
}

/* x rounded to the type. */
static double rounded(const rgk_table *t, double x)
{
    return t->type == RGK_F32 ? (double)(float)x : x;
}

static double epsilon(const rgk_table *t)
{
    return t->type == RGK_F32 ? 0x1p-23 : 0x1p-52;
}

static void *at(const rgk_table *t, void *p, size_t i)
{
    return (char *)p + i * width(t);
}

/* n elements, `offset` of them from an aligned address, between two canaries. */
typedef struct frame {
    unsigned char *memory;
    size_t bytes;
    void *p;
} frame;

enum { CANARY = 256 };

static frame frame_new(size_t n, size_t bytes, size_t offset)
{
    frame f = {.bytes = n * bytes};
    f.memory = aligned_alloc(64, (f.bytes + 2 * CANARY + 127) / 64 * 64);
    cr_assert(f.memory);
    memset(f.memory, 0xa5, CANARY + offset * bytes);
    f.p = f.memory + CANARY + offset * bytes;
    memset((char *)f.p + f.bytes, 0xa5, CANARY - offset * bytes);
    return f;
}

static void frame_free(frame *f, const char *what)
{
    const size_t before = (size_t)((unsigned char *)f->p - f->memory);
    for (size_t i = 0; i < before; i++)
        cr_assert(f->memory[i] == 0xa5, "%s: byte %zu before the output is written", what, before - i);
    for (size_t i = 0; i < 2 * CANARY - before; i++)
        cr_assert(f->memory[before + f->bytes + i] == 0xa5, "%s: byte %zu behind the output is written", what, i);
    free(f->memory);
}

/* Sizes around the vector's, and a few blocks. */
static size_t size_at(const rgk_table *t, size_t i)
{
    const size_t l = t->lanes;
    const size_t sizes[] = {0, 1, 2, 3, l - 1, l, l + 1, 2 * l - 1, 2 * l, 3 * l + 2, 4 * l + 1, 97};
    return i < sizeof sizes / sizeof *sizes ? sizes[i] : SIZE_MAX;
}

static uint64_t state = 88172645463325252u;

static double random_unit(void)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (double)(int64_t)state * 0x1p-63;
}

/* Values of moderate size, with zeros, repetitions and, if asked for, what is not finite. */
static void fill_values(const rgk_table *t, void *p, size_t n, bool wild)
{
    for (size_t i = 0; i < n; i++) {
        const double u = random_unit();
        double x = 4 * u;
        if (u > 0.9)
            x = rint(10 * u);
        if (wild && u < -0.8)
            x = u < -0.95 ? NAN : u < -0.9 ? INFINITY : u < -0.85 ? -INFINITY : -1e-310;
        if (u > -0.1 && u < 0.1)
            x = u < 0 ? -0.0 : 0.0;
        put(t, p, i, x);
    }
}

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
} call;

static void run(const call *c, size_t n, const void *a, const void *b, const void *d, void *y)
{
    if (c->operands == 1)
        c->t->unary[c->row](n, a, y, parameters);
    else if (c->operands == 2)
        c->t->binary[c->row](n, a, b, y, parameters);
    else
        c->t->ternary[c->row](n, a, b, d, y);
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
        frame_free(&whole, "elementwise");
        frame_free(&parts, "elementwise, in pieces");
        for (int i = 0; i < 3; i++)
            frame_free(&x[i], "an input");
    }
}

static void check_elementwise(const rgk_table *t)
{
    for (int i = 0; i < RGK_UNARY_COUNT; i++)
        elementwise(&(call){t, 1, i});
    for (int i = 0; i < RGK_BINARY_COUNT; i++)
        elementwise(&(call){t, 2, i});
    for (int i = 0; i < RGK_TERNARY_COUNT; i++)
        elementwise(&(call){t, 3, i});
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
    t->ternary[RGK_FMA](200, x, x, y, z);
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
        frame_free(&a, "a");
        frame_free(&b, "b");
        frame_free(&y, "compare");
        frame_free(&z, "where or fill");
    }
}

Test(kernels, compare_where_fill)
{
    each_table(check_compare);
}

/* ---- reductions ---- */

static long double reduced(const rgk_table *t, rgk_reduce row, size_t k, size_t stride, const void *x,
                           long double *scale)
{
    long double y = row == RGK_PROD ? 1 : row == RGK_MAX ? -INFINITY : row == RGK_MIN ? INFINITY : 0;
    *scale = 0;
    for (size_t i = 0; i < k; i++) {
        const long double v = get(t, x, i * stride);
        *scale += fabsl(row == RGK_SUM_SQUARES ? v * v : v);
        y = row == RGK_SUM           ? y + v
            : row == RGK_PROD        ? y * v
            : row == RGK_SUM_SQUARES ? y + v * v
            : isnan(y) || isnan(v)   ? NAN
            : row == RGK_MAX         ? fmaxl(y, v)
                                     : fminl(y, v);
    }
    if (row == RGK_PROD)
        *scale = (fabsl(y) + (t->type == RGK_F32 ? 0x1p-126L : 0x1p-1022L)) * (long double)k;
    if (row == RGK_MAX || row == RGK_MIN)
        *scale = 0;
    return y;
}

static void one_reduction(const rgk_table *t, size_t k, size_t n, size_t stride, bool wild)
{
    const size_t length = k && n ? (k - 1) * stride + n : 0;
    frame x = frame_new(length, width(t), 1);
    fill_values(t, x.p, length, wild);
    for (size_t i = 0; i < length; i++)
        if (!wild && k > 100) /* products that stay in range */
            put(t, x.p, i, 1 + get(t, x.p, i) * 0.01);
    for (int row = 0; row < RGK_REDUCE_COUNT; row++) {
        frame y = frame_new(n, width(t), 1), part = frame_new(n, width(t), 0);
        t->reduce[row](k, n, stride, x.p, y.p);
        for (size_t j = 0; j < n; j++) {
            long double scale;
            const long double exact = reduced(t, (rgk_reduce)row, k, stride, at(t, x.p, j), &scale);
            const double got = get(t, y.p, j);
            const bool same = isnan(exact) ? isnan(got) : got == (double)exact;
            cr_assert(same || fabsl((long double)got - exact) <= (long double)epsilon(t) * 20 * scale,
                      "%s %s reduction %d of %zu x %zu: %g, not %Lg", NAME(t), row, k, n, got, exact);
        }
        /* Columns one at a time, unless that would make the vector contiguous. */
        for (size_t j = 0; j < n; j++)
            t->reduce[row](k, 1, stride, at(t, x.p, j), at(t, part.p, j));
        cr_assert(!memcmp(y.p, part.p, n * width(t)), "%s %s reduction %d of %zu x %zu: single columns differ", NAME(t),
                  row, k, n);
        frame_free(&y, "reduction");
        frame_free(&part, "reduction, in pieces");
    }
    if (k > 0) {
        int64_t best[2][300];
        t->argmax(k, n, stride, x.p, best[0]);
        t->argmin(k, n, stride, x.p, best[1]);
        for (size_t j = 0; j < n; j++)
            for (int least = 0; least < 2; least++) {
                size_t want = 0;
                double m = get(t, x.p, j);
                for (size_t i = 0; i < k && !isnan(m); i++) {
                    const double v = get(t, x.p, i * stride + j);
                    if (isnan(v) || (least ? v < m : v > m)) {
                        m = v;
                        want = i;
                    }
                }
                cr_assert(best[least][j] == (int64_t)want, "%s %s arg%s of %zu x %zu: %lld, not %zu", NAME(t),
                          least ? "min" : "max", k, n, (long long)best[least][j], want);
            }
    }
    frame_free(&x, "a reduction's input");
}

static void check_reductions(const rgk_table *t)
{
    const size_t l = t->lanes, lengths[] = {0,     1,   2,   3,   4,   5,       7,           l,
                                            l + 1, 127, 128, 129, 260, 128 * l, 128 * l + 1, 3 * 128 * l + 5 * l + 3};
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++)
        for (int wild = 0; wild < 2; wild++) {
            one_reduction(t, lengths[i], 1, 1, wild);
            one_reduction(t, lengths[i], 1, 3, wild);
            if (lengths[i] <= 300) {
                one_reduction(t, lengths[i], 2, 2, wild);
                one_reduction(t, lengths[i], l - 1, l + 4, wild);
                one_reduction(t, lengths[i], 9 * l + 3, 9 * l + 3, wild);
            }
        }
}

Test(kernels, reductions)
{
    each_table(check_reductions);
}

/* Rounding grows with the logarithm of the length: a million tenths. */
static void check_long_sum(const rgk_table *t)
{
    enum { K = 1 << 20 };
    void *x = malloc(K * width(t));
    cr_assert(x);
    t->fill(K, 0.1, x);
    const double exact = K * rounded(t, 0.1);
    double y = 0;
    t->reduce[RGK_SUM](K, 1, 1, x, &y);
    cr_expect(fabs(get(t, &y, 0) / exact - 1) < 16 * epsilon(t), "%s %s contiguous: %g", NAME(t),
              get(t, &y, 0) / exact - 1);
    t->reduce[RGK_SUM](K / 2, 1, 2, x, &y);
    cr_expect(fabs(2 * get(t, &y, 0) / exact - 1) < 32 * epsilon(t), "%s %s column: %g", NAME(t),
              2 * get(t, &y, 0) / exact - 1);
    free(x);
}

Test(kernels, long_sums_stay_precise)
{
    each_table(check_long_sum);
}

/* ---- softmax ---- */

typedef enum family { SOFTMAX, LOG_SOFTMAX, LOGSUMEXP, SOFTMAX_GRAD, LOG_SOFTMAX_GRAD, FAMILY } family;

static void run_family(const rgk_table *t, family f, size_t rows, size_t cols, const void *x, const void *y, void *out)
{
    switch (f) {
    case SOFTMAX:
        t->softmax(rows, cols, x, out);
        break;
    case LOG_SOFTMAX:
        t->log_softmax(rows, cols, x, out);
        break;
    case LOGSUMEXP:
        t->logsumexp(rows, cols, x, out);
        break;
    case SOFTMAX_GRAD:
        t->softmax_grad(rows, cols, x, y, out);
        break;
    case LOG_SOFTMAX_GRAD:
        t->log_softmax_grad(rows, cols, x, y, out);
        break;
    case FAMILY:
        break;
    }
}

static void check_softmax(const rgk_table *t)
{
    const size_t l = t->lanes,
                 widths[] = {1, 2, 3, 10, l - 1, l, l + 1, 4 * l, 4 * l + 3, 64 * l, 64 * l + 1, 150 * l + 7};
    enum { ROWS = 3 };
    for (size_t k = 0; k < sizeof widths / sizeof *widths; k++) {
        const size_t cols = widths[k], n = ROWS * cols;
        frame x = frame_new(n, width(t), 1), y = frame_new(n, width(t), 2);
        fill_values(t, x.p, n, false);
        for (size_t i = 0; i < n; i++) /* the first row near 0, the second with large logits, the third with a mask */
            put(t, x.p, i,
                i < cols       ? get(t, x.p, i)
                : i < 2 * cols ? 1000 + 10 * get(t, x.p, i)
                : i % 3        ? get(t, x.p, i)
                               : -INFINITY);
        if (cols > 1)
            put(t, x.p, 2 * cols, 1);
        for (family f = SOFTMAX; f < FAMILY; f++) {
            const size_t outputs = f == LOGSUMEXP ? 1 : cols;
            frame out = frame_new(ROWS * outputs, width(t), 1), part = frame_new(ROWS * outputs, width(t), 0);
            if (f == SOFTMAX_GRAD || f == LOG_SOFTMAX_GRAD) {
                run_family(t, f == SOFTMAX_GRAD ? SOFTMAX : LOG_SOFTMAX, ROWS, cols, x.p, NULL, y.p);
                fill_values(t, x.p, n, false);
            }
            run_family(t, f, ROWS, cols, x.p, y.p, out.p);
            for (size_t r = 0; r < ROWS; r++)
                run_family(t, f, 1, cols, at(t, x.p, r * cols), at(t, y.p, r * cols), at(t, part.p, r * outputs));
            cr_assert(!memcmp(out.p, part.p, ROWS * outputs * width(t)),
                      "%s %s family %d, %zu columns: single rows differ", NAME(t), (int)f, cols);
            for (size_t r = 0; r < ROWS; r++) {
                long double max = -INFINITY, sum = 0, dot = 0, total = 0, size = 0;
                for (size_t i = r * cols; i < (r + 1) * cols; i++)
                    max = fmaxl(max, (long double)get(t, x.p, i));
                for (size_t i = r * cols; i < (r + 1) * cols; i++) {
                    sum += expl((long double)get(t, x.p, i) - max);
                    dot += (long double)get(t, x.p, i) * (long double)get(t, y.p, i);
                    total += (long double)get(t, x.p, i);
                    size += fabsl((long double)get(t, x.p, i));
                }
                for (size_t i = 0; i < outputs; i++) {
                    const long double v = (long double)get(t, x.p, r * cols + i),
                                      w = (long double)get(t, y.p, r * cols + i);
                    long double exact = 0, scale = 0;
                    switch (f) {
                    case SOFTMAX:
                        exact = expl(v - max) / sum, scale = exact * (2 + fabsl(isinf(v) ? 0 : v - max));
                        break;
                    case LOG_SOFTMAX:
                        exact = v - max - logl(sum), scale = fabsl(exact) + 1;
                        break;
                    case LOGSUMEXP:
                        exact = max + logl(sum), scale = fabsl(max) + 1;
                        break;
                    case SOFTMAX_GRAD:
                        exact = w * (v - dot), scale = w * (fabsl(v) + size);
                        break;
                    case LOG_SOFTMAX_GRAD:
                        exact = v - expl(w) * total, scale = fabsl(v) + expl(w) * size;
                        break;
                    case FAMILY:
                        break;
                    }
                    const double got = get(t, out.p, r * outputs + i);
                    cr_assert(got == (double)exact ||
                                  fabsl((long double)got - exact) <= 6 * (long double)epsilon(t) * scale + 1e-300L +
                                                                         (t->type == RGK_F32 ? 0x1p-149L : 0),
                              "%s %s family %d, %zu columns, row %zu: %g, not %Lg", NAME(t), (int)f, cols, r, got,
                              exact);
                }
            }
            if (f != LOGSUMEXP) {
                run_family(t, f, ROWS, cols, x.p, y.p, x.p);
                cr_assert(!memcmp(out.p, x.p, n * width(t)), "%s %s family %d: in place differs", NAME(t), (int)f);
                fill_values(t, x.p, n, false);
            }
            frame_free(&out, "softmax family");
            frame_free(&part, "softmax family, a row");
        }
        frame_free(&x, "logits");
        frame_free(&y, "y");
    }
}

Test(kernels, softmax_family)
{
    each_table(check_softmax);
}

static void check_softmax_extremes(const rgk_table *t)
{
    enum { COLS = 37 };
    double x[COLS], y[COLS];
    const double inf = INFINITY;
    t->fill(COLS, -inf, x);
    t->logsumexp(1, COLS, x, y);
    cr_expect(get(t, y, 0) == -inf, "%s %s nothing but -inf", NAME(t));
    t->softmax(1, COLS, x, y);
    cr_expect(isnan(get(t, y, 3)), "%s %s nothing but -inf", NAME(t));
    put(t, x, 20, inf);
    t->logsumexp(1, COLS, x, y);
    cr_expect(get(t, y, 0) == inf, "%s %s +inf", NAME(t));
    for (size_t i = 0; i < COLS; i++) {
        t->fill(COLS, 1, x);
        put(t, x, i, NAN);
        t->logsumexp(1, COLS, x, y);
        cr_expect(isnan(get(t, y, 0)), "%s %s NaN", NAME(t));
        t->log_softmax(1, COLS, x, y);
        for (size_t j = 0; j < COLS; j++)
            cr_expect(isnan(get(t, y, j)), "%s %s NaN", NAME(t));
    }
}

Test(kernels, softmax_of_what_is_not_finite)
{
    each_table(check_softmax_extremes);
}

/* ---- random ---- */

static uint64_t splitmix64(uint64_t x)
{
    x += 0x9e3779b97f4a7c15u;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

/* Uniform draw i of a stream, by definition. */
static double uniform_draw(rgk_type type, uint64_t key, uint64_t step, uint64_t index, uint64_t i)
{
    const uint64_t block = type == RGK_F32 ? i / 4 : i / 2;
    const uint32_t counter[4] = {(uint32_t)block, (uint32_t)(block >> 32), (uint32_t)step, (uint32_t)(step >> 32)};
    uint32_t w[4];
    rgi_philox(counter, key ^ splitmix64(index), w);
    if (type == RGK_F32)
        return (w[i % 4] >> 8) * 0x1p-24;
    return (double)(((uint64_t)w[i % 2 * 2 + 1] << 32 | w[i % 2 * 2]) >> 11) * 0x1p-53;
}

static void check_random(const rgk_table *t)
{
    const uint64_t key = 0x0123456789abcdefu, step = 0x300000007u, index = 5;
    const uint64_t firsts[] = {0, 1, 31, 64, 12345678901234567u};
    enum { N = 203 };
    for (size_t k = 0; k < sizeof firsts / sizeof *firsts; k++) {
        const uint64_t first = firsts[k];
        frame u = frame_new(N, width(t), 1), z = frame_new(N, width(t), 2);
        t->uniform(key, step, index, first, N, u.p);
        t->normal(key, step, index, first, N, z.p);
        for (size_t i = 0; i < N; i++) {
            const uint64_t draw = first + i, even = draw & ~(uint64_t)1;
            cr_assert(get(t, u.p, i) == uniform_draw(t->type, key, step, index, draw), "%s %s uniform draw %zu of %llu",
                      NAME(t), i, (unsigned long long)first);
            const long double r = sqrtl(-2 * log1pl((long double)-uniform_draw(t->type, key, step, index, even)));
            const long double angle =
                6.28318530717958647692528676655900577L * (long double)uniform_draw(t->type, key, step, index, even + 1);
            const double exact = (double)(r * (draw & 1 ? sinl(angle) : cosl(angle)));
            cr_assert(fabs(get(t, z.p, i) - exact) <= 4 * epsilon(t) * (fabs(exact) + 0.1),
                      "%s %s normal draw %zu: %g, not %g", NAME(t), i, get(t, z.p, i), exact);
        }
        for (int normal = 0; normal < 2; normal++) {
            frame part = frame_new(N, width(t), 0);
            for (size_t i = 0, n; i < N; i += n) {
                n = 1 + (size_t)((random_unit() + 1) * 20);
                n = n > N - i ? N - i : n;
                (normal ? t->normal : t->uniform)(key, step, index, first + i, n, at(t, part.p, i));
            }
            cr_assert(!memcmp(part.p, normal ? z.p : u.p, N * width(t)), "%s %s draws in pieces differ", NAME(t));
            frame_free(&part, "draws in pieces");
        }
        frame_free(&u, "uniform");
        frame_free(&z, "normal");
    }
}

Test(kernels, random_draws_follow_their_definition)
{
    each_table(check_random);
}

/* ---- the choice of a table ---- */

Test(kernels, dispatch)
{
    const char *wanted = getenv("RETROGRADE_ISA");
    for (int type = 0; type < RGK_TYPE_COUNT; type++) {
        const rgk_table *t = rgk((rgk_type)type);
        cr_assert(t);
        cr_expect(t->type == (rgk_type)type);
        cr_expect(t == rgk_of(t->isa, t->type));
        cr_expect(t->lanes * width(t) == (t->isa == RGK_AVX512 ? 64u : t->isa == RGK_AVX2 ? 32u : 16u));
        if (wanted && !strcmp(wanted, "generic"))
            cr_expect(t->isa == RGK_GENERIC);
        else if (!wanted)
            for (int isa = (int)t->isa + 1; isa < RGK_ISA_COUNT; isa++)
                cr_expect(!rgk_of((rgk_isa)isa, (rgk_type)type), "a better table lies idle");
    }
    cr_expect_str_eq(rgk_isa_name(RGK_GENERIC), "generic");
    cr_expect_str_eq(rgk_isa_name(RGK_AVX512), "avx512");
}
