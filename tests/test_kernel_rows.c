/* test_kernel_rows.c - reductions, the softmax family, rows of mean 0 and random draws in every table that this machine
   can run, against plain formulas; nothing outside of the output is written. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "graph/philox.h"
#include "kernel_frames.h"

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

Test(kernel_rows, reductions)
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

Test(kernel_rows, long_sums_stay_precise)
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

Test(kernel_rows, softmax_family)
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

Test(kernel_rows, softmax_of_what_is_not_finite)
{
    each_table(check_softmax_extremes);
}

/* ---- rows of mean 0 and variance 1 ---- */

static void one_standardised(const rgk_table *t, size_t rows, size_t cols)
{
    const double eps = 1e-3;
    const size_t n = rows * cols;
    const rgk_rows all = {rows, cols, eps}, one = {1, cols, eps};
    frame x = frame_new(n, width(t), 1), u = frame_new(n, width(t), 2), y = frame_new(n, width(t), 1),
          dx = frame_new(n, width(t), 3), again = frame_new(n, width(t), 0);
    fill_values(t, x.p, n, false);
    fill_values(t, u.p, n, false);
    t->standardise(&all, x.p, y.p);
    for (size_t r = 0; r < rows; r++)
        t->standardise(&one, at(t, x.p, r * cols), at(t, again.p, r * cols));
    cr_assert(!memcmp(y.p, again.p, n * width(t)), "%s %s, %zu x %zu: single rows differ", NAME(t), rows, cols);
    t->standardise_grad(&all, u.p, x.p, dx.p);
    for (size_t r = 0; r < rows; r++)
        t->standardise_grad(&one, at(t, u.p, r * cols), at(t, x.p, r * cols), at(t, again.p, r * cols));
    cr_assert(!memcmp(dx.p, again.p, n * width(t)), "%s %s, %zu x %zu: gradients of single rows differ", NAME(t), rows,
              cols);
    for (size_t r = 0; r < rows; r++) {
        long double mean = 0, variance = 0, mean_u = 0, dot = 0, most = 0;
        for (size_t i = r * cols; i < (r + 1) * cols; i++) {
            mean += get(t, x.p, i) / (long double)cols;
            mean_u += get(t, u.p, i) / (long double)cols;
            most = fmaxl(most, fabsl(get(t, u.p, i)));
        }
        for (size_t i = r * cols; i < (r + 1) * cols; i++)
            variance += (get(t, x.p, i) - mean) * (get(t, x.p, i) - mean) / (long double)cols;
        const long double s = 1 / sqrtl(variance + eps), bound = 64 * epsilon(t) * s;
        for (size_t i = r * cols; i < (r + 1) * cols; i++)
            dot += get(t, u.p, i) * (get(t, x.p, i) - mean) * s / (long double)cols;
        for (size_t i = r * cols; i < (r + 1) * cols; i++) {
            const long double exact = (get(t, x.p, i) - mean) * s, slope = s * (get(t, u.p, i) - mean_u - exact * dot);
            const long double size = 1 + fabsl(mean) + fabsl(get(t, x.p, i));
            cr_assert(fabsl(get(t, y.p, i) - exact) <= bound * size, "%s %s, %zu x %zu: %.17g, not %.17Lg", NAME(t),
                      rows, cols, get(t, y.p, i), exact);
            cr_assert(fabsl(get(t, dx.p, i) - slope) <= bound * (1 + most) * size * (1 + s * s * size),
                      "%s %s, %zu x %zu: gradient %.17g, not %.17Lg", NAME(t), rows, cols, get(t, dx.p, i), slope);
        }
    }
    frame_free(&x, "x");
    frame_free(&u, "u");
    frame_free(&y, "y");
    frame_free(&dx, "dx");
    frame_free(&again, "single rows");
}

static void check_standardised(const rgk_table *t)
{
    const size_t l = t->lanes, widths[] = {1, 3, 10, l, 4 * l + 3, 64 * l + 1, 150 * l + 7, 3000};
    for (size_t k = 0; k < sizeof widths / sizeof *widths; k++)
        for (size_t rows = 1; rows < 8; rows += 2)
            one_standardised(t, rows, widths[k]);
    one_standardised(t, 300, 1030); /* what L2 does not hold all of */
}

Test(kernel_rows, standardised)
{
    each_table(check_standardised);
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

Test(kernel_rows, random_draws_follow_their_definition)
{
    each_table(check_random);
}
