/* test_bf16.c - bf16 as a type of storage: rounding at every f32 that could be a tie, products summed in f32, gradients. */
#include "must.h"

#include <stdlib.h>

static float of_bits(uint32_t bits)
{
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* The nearer of the two neighbours, the even one of a tie; from f32 on the way up as if the exponents went on. */
static uint16_t nearest(double x)
{
    const uint16_t sign = signbit(x) ? 0x8000 : 0;
    const double size = fabs(x);
    uint32_t low = 0, high = 0x7F80; /* bits of bf16 numbers around it */
    if (isinf(x))
        return sign | 0x7F80;
    while (high - low > 1) {
        const uint32_t middle = (low + high) / 2;
        if ((double)of_bits(middle << 16) <= size)
            low = middle;
        else
            high = middle;
    }
    const double below = (double)of_bits(low << 16), above = high == 0x7F80 ? 0x1p128 : (double)of_bits(high << 16);
    const double down = size - below, up = above - size;
    return sign | (uint16_t)(down < up || (down == up && low % 2 == 0) ? low : high);
}

/* Casts n values of `from` to bf16 in a plan. */
static void cast_to_halves(rg_dtype from, const void *x, int64_t n, uint16_t *y)
{
    rg_graph *g = rg_graph_new(NULL);
    rg_node *in = rg_input(g, "x", from, RG_SHAPE(n)), *out = rg_cast(in, RG_BF16);
    rg_plan *p = must_compile(g, RG_NODES(out), NULL);
    must(rg_bind(p, in, x));
    must(rg_run(p));
    memcpy(y, rg_data(p, out), (size_t)n * sizeof *y);
    rg_plan_free(p);
    rg_graph_free(g);
}

Test(bf16, rounds_to_nearest)
{
    enum { N = 65536 };
    static const uint32_t lower[] = {0, 1, 0x7FFF, 0x8000, 0x8001, 0xFFFF};
    static float x[N];
    static double wide[N];
    static uint16_t y[N];
    for (size_t k = 0; k < sizeof lower / sizeof *lower; k++) {
        for (uint32_t i = 0; i < N; i++) {
            x[i] = of_bits(i << 16 | lower[k]);
            wide[i] = (double)x[i];
        }
        for (int type = 0; type < 2; type++) {
            cast_to_halves(type ? RG_F64 : RG_F32, type ? (const void *)wide : (const void *)x, N, y);
            for (uint32_t i = 0; i < N; i++)
                if (isnan(x[i]))
                    cr_expect((y[i] & 0x7FFF) > 0x7F80, "NaN %x became %x", i << 16 | lower[k], y[i]);
                else
                    cr_assert_eq(y[i], nearest(wide[i]), "%a became %x", wide[i], y[i]);
        }
    }
}

/* An f64 beside a tie is rounded once: the f32 in between would be the tie. */
Test(bf16, doubles_are_rounded_once)
{
    enum { N = 20000 };
    static double x[N];
    static uint16_t y[N];
    for (int i = 0; i < N; i++) {
        const double tie = (double)of_bits((uint32_t)(i * 3) << 16 | 0x8000);
        x[i] = isfinite(tie) ? tie * (1 + (i % 2 ? 1 : -1) * 0x1p-40) : 1;
    }
    cast_to_halves(RG_F64, x, N, y);
    for (int i = 0; i < N; i++)
        cr_assert_eq(y[i], nearest(x[i]), "%a became %x", x[i], y[i]);
}

enum { M = 5, K = 300, COLUMNS = 70 };

static void ramp(float *x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        x[i] = (float)(i * 37 % 1009) / 1009 - 0.5f;
}

/* Back in f32, after a rounding of all. */
static void rounded(const float *x, size_t n, uint16_t *half, float *back)
{
    cast_to_halves(RG_F32, x, (int64_t)n, half);
    for (size_t i = 0; i < n; i++)
        back[i] = of_bits((uint32_t)half[i] << 16);
}

Test(bf16, products_are_summed_in_f32)
{
    static float x[M * K], w[COLUMNS * K], bias[COLUMNS], x_back[M * K], w_back[COLUMNS * K], bias_back[COLUMNS];
    static uint16_t x_half[M * K], w_half[COLUMNS * K], bias_half[COLUMNS];
    ramp(x, M * K);
    ramp(w, COLUMNS * K);
    ramp(bias, COLUMNS);
    rounded(x, M * K, x_half, x_back);
    rounded(w, COLUMNS * K, w_half, w_back);
    rounded(bias, COLUMNS, bias_half, bias_back);
    rg_graph *g = rg_graph_new(NULL);
    const rg_param_opts frozen = {.frozen = true};
    rg_node *a = rg_input(g, "x", RG_BF16, RG_SHAPE(M, K)),
            *b = rg_param(g, "w", RG_BF16, RG_SHAPE(COLUMNS, K), &frozen),
            *c = rg_param(g, "bias", RG_BF16, RG_SHAPE(COLUMNS), &frozen);
    rg_node *full = rg_input(g, "x32", RG_F32, RG_SHAPE(M, K));
    rg_node *y = rg_linear(a, b, c), *mixed = rg_linear(full, b, c);
    rg_node *want = rg_linear(full, rg_const(g, RG_F32, RG_SHAPE(COLUMNS, K), w_back),
                              rg_const(g, RG_F32, RG_SHAPE(COLUMNS), bias_back));
    cr_assert(y && mixed && want, "%s", rg_graph_error(g));
    cr_assert_eq(rg_dtype_of(y), RG_F32);
    must(rg_set(b, &(rg_tensor){.dtype = RG_BF16, .shape = RG_SHAPE(COLUMNS, K), .data = w_half}));
    must(rg_set(c, &(rg_tensor){.dtype = RG_BF16, .shape = RG_SHAPE(COLUMNS), .data = bias_half}));
    for (int check = 0; check < 2; check++) {
        rg_plan *p = must_compile(g, RG_NODES(y, mixed, want), &(rg_plan_opts){.check = check});
        must(rg_bind(p, a, x_half));
        must(rg_bind(p, full, x_back));
        must(rg_run(p));
        for (size_t i = 0; i < M * COLUMNS; i++) {
            double sum = (double)bias_back[i % COLUMNS], size = fabs(sum);
            for (size_t l = 0; l < K; l++) {
                const double term = (double)x_back[i / COLUMNS * K + l] * (double)w_back[i % COLUMNS * K + l];
                sum += term;
                size += fabs(term);
            }
            cr_assert_eq(value_at(p, y, i), value_at(p, want, i));
            cr_assert_eq(value_at(p, mixed, i), value_at(p, want, i));
            cr_assert(fabs(value_at(p, y, i) - sum) <= size * K * 0x1p-24, "element %zu", i);
        }
        rg_plan_free(p);
    }
    rg_graph_free(g);
}

/* Weights are kept in f32 and rounded for the product: the gradient is that at the rounded weights, rounded itself. */
Test(bf16, gradients_pass_through_casts)
{
    enum { N = 12 };
    static float w[N], gradient[N], gradient_back[N], back[N];
    static uint16_t half[N];
    ramp(w, N);
    rounded(w, N, half, back);
    rg_graph *g = rg_graph_new(NULL);
    rg_node *master = rg_input(g, "w", RG_F32, RG_SHAPE(3, 4)), *plain = rg_input(g, "v", RG_F32, RG_SHAPE(3, 4)),
            *x = rg_input(g, "x", RG_F32, RG_SHAPE(2, 3));
    rg_node *half_master = rg_cast(master, RG_BF16);
    rg_node *loss = rg_sum(rg_square(rg_matmul(x, half_master)), RG_ALL_AXES, false);
    rg_node *both = rg_add(loss, rg_cast(rg_sum(rg_cast(half_master, RG_F64), RG_ALL_AXES, false), RG_F32));
    rg_node *same = rg_sum(rg_square(rg_matmul(x, plain)), RG_ALL_AXES, false);
    rg_node *dw = rg_grad(loss, RG_NODES(master)).at[0], *dv = rg_grad(same, RG_NODES(plain)).at[0],
            *sum = rg_grad(both, RG_NODES(master)).at[0];
    rg_plan *p = must_compile(g, RG_NODES(loss, same, dw, dv, sum), NULL);
    must(rg_bind(p, master, w));
    must(rg_bind(p, plain, back));
    must(rg_bind(p, x, (const float[]){0.3f, -0.7f, 0.2f, 0.9f, 0.1f, -0.4f}));
    must(rg_run(p));
    cr_expect_eq(value_at(p, loss, 0), value_at(p, same, 0));
    memcpy(gradient, rg_data(p, dv), sizeof gradient);
    rounded(gradient, N, half, gradient_back);
    for (size_t i = 0; i < N; i++)
        cr_expect_eq(value_at(p, dw, i), (double)gradient_back[i], "element %zu", i);
    for (size_t i = 0; i < N; i++)
        gradient[i] = gradient_back[i] + 1;
    rounded(gradient, N, half, gradient_back);
    for (size_t i = 0; i < N; i++)
        cr_expect_eq(value_at(p, sum, i), (double)gradient_back[i], "of two readers, element %zu", i);
    rg_plan_free(p);
    rg_graph_free(g);
}

Test(bf16, leaves)
{
    rg_graph *g = rg_graph_new(NULL);
    const uint16_t values[] = {0x3F80, 0xC000, 0x7F80};
    rg_node *c = rg_cast(rg_const(g, RG_BF16, RG_SHAPE(3), values), RG_F32),
            *f = rg_cast(rg_full(g, RG_BF16, RG_SHAPE(2), 0.1), RG_F64);
    rg_node *drawn =
        rg_cast(rg_buffer(g, "b", RG_BF16, RG_SHAPE(50), &(rg_param_opts){.init = RG_CONSTANT, .scale = 0.1}), RG_F32);
    rg_node *count = rg_cast(rg_cast(rg_const(g, RG_I32, RG_SHAPE(2), (const int32_t[]){257, -3}), RG_BF16), RG_I64);
    rg_plan *p = must_compile(g, RG_NODES(c, f, drawn, count), NULL);
    must(rg_run(p));
    cr_expect(value_at(p, c, 0) == 1 && value_at(p, c, 1) == -2 && isinf(value_at(p, c, 2)));
    const double tenth = (double)of_bits((uint32_t)nearest(0.1) << 16);
    cr_expect_eq(value_at(p, f, 1), tenth);
    cr_expect_eq(value_at(p, drawn, 49), tenth);
    cr_expect_eq(value_at(p, count, 0), 256, "257 lies between 256 and 258, the even one is taken");
    cr_expect_eq(value_at(p, count, 1), -3);
    rg_plan_free(p);
    rg_graph_free(g);
}
