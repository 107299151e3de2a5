/* test_bf16.c - bf16 in plans: rounding at every f32 that could be a tie, products summed in f32, gradients. */
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
    rg_node *like = rg_cast(rg_full_like(rg_const(g, RG_BF16, RG_SHAPE(3), values), -1.5), RG_F32);
    rg_node *count = rg_cast(rg_cast(rg_const(g, RG_I32, RG_SHAPE(2), (const int32_t[]){257, -3}), RG_BF16), RG_I64);
    rg_plan *p = must_compile(g, RG_NODES(c, f, drawn, count, like), NULL);
    must(rg_run(p));
    cr_expect(value_at(p, like, 0) == -1.5 && value_at(p, like, 2) == -1.5);
    cr_expect(value_at(p, c, 0) == 1 && value_at(p, c, 1) == -2 && isinf(value_at(p, c, 2)));
    const double tenth = (double)of_bits((uint32_t)nearest(0.1) << 16);
    cr_expect_eq(value_at(p, f, 1), tenth);
    cr_expect_eq(value_at(p, drawn, 49), tenth);
    cr_expect_eq(value_at(p, count, 0), 256, "257 lies between 256 and 258, the even one is taken");
    cr_expect_eq(value_at(p, count, 1), -3);
    rg_plan_free(p);
    rg_graph_free(g);
}

/* ---- products of bf16 in plans ---- */

typedef struct bf16_data {
    float *back; /* what they are in f32 */
    uint16_t *half;
} bf16_data;

static bf16_data drawn(size_t n)
{
    bf16_data d = {malloc((n + 1) * sizeof *d.back), malloc((n + 1) * sizeof *d.half)};
    cr_assert(d.back && d.half);
    ramp(d.back, n);
    rounded(d.back, n, d.half, d.back);
    return d;
}

static void drawn_free(bf16_data *d)
{
    free(d->back);
    free(d->half);
}

typedef struct operands {
    rg_shape a, b;
    bool ta, tb;
} operands;

/* Of every transposition and with batches that broadcast: the product beside that of the same numbers in f32, to the
   rounding of the sums, and gradients, which are products of an f32 with a bf16, to the last bit. */
Test(bf16, operands_of_every_shape)
{
    static const operands all[] = {
        {{2, {37, 51}}, {2, {51, 29}}, false, false},   {{2, {37, 51}}, {2, {29, 51}}, false, true},
        {{2, {51, 37}}, {2, {51, 29}}, true, false},    {{2, {51, 37}}, {2, {29, 51}}, true, true},
        {{2, {1, 64}}, {2, {40, 64}}, false, true},     {{1, {33}}, {2, {33, 7}}, false, false},
        {{3, {4, 5, 6}}, {3, {4, 6, 7}}, false, false}, {{3, {1, 5, 6}}, {3, {4, 7, 6}}, false, true},
        {{3, {3, 9, 16}}, {2, {16, 8}}, false, false},  {{2, {200, 130}}, {2, {130, 70}}, false, false},
    };
    for (size_t k = 0; k < sizeof all / sizeof *all; k++) {
        const operands *o = &all[k];
        const size_t na = (size_t)rg_shape_count(o->a), nb = (size_t)rg_shape_count(o->b);
        bf16_data da = drawn(na), db = drawn(nb);
        rg_graph *g = rg_graph_new(NULL);
        rg_node *a = rg_input(g, "a", RG_BF16, o->a), *b = rg_input(g, "b", RG_BF16, o->b),
                *c = rg_input(g, "c", RG_F32, o->a), *d = rg_input(g, "d", RG_F32, o->b);
        rg_node *y = rg_matmul_t(a, o->ta, b, o->tb), *want = rg_matmul_t(c, o->ta, d, o->tb);
        rg_node *sum = rg_sum(y, RG_ALL_AXES, false), *want_sum = rg_sum(want, RG_ALL_AXES, false);
        rg_node *size = rg_matmul_t(rg_abs(c), o->ta, rg_abs(d), o->tb);
        const rg_nodes grad = rg_grad(sum, RG_NODES(a, b)), want_grad = rg_grad(want_sum, RG_NODES(c, d));
        cr_assert(!rg_graph_error(g), "%s", rg_graph_error(g));
        cr_assert(rg_dtype_of(y) == RG_F32 && rg_dtype_of(grad.at[0]) == RG_BF16);
        rg_node *da_wide = rg_cast(grad.at[0], RG_F32), *db_wide = rg_cast(grad.at[1], RG_F32);
        rg_node *da_want = rg_cast(rg_cast(want_grad.at[0], RG_BF16), RG_F32),
                *db_want = rg_cast(rg_cast(want_grad.at[1], RG_BF16), RG_F32);
        for (int threads = 1; threads <= 2; threads++) {
            rg_plan *p = must_compile(g, RG_NODES(y, want, size, da_wide, da_want, db_wide, db_want),
                                      &(rg_plan_opts){.threads = threads});
            must(rg_bind(p, a, da.half));
            must(rg_bind(p, b, db.half));
            must(rg_bind(p, c, da.back));
            must(rg_bind(p, d, db.back));
            must(rg_run(p));
            rg_tensor t;
            must(rg_result(p, y, &t));
            for (size_t i = 0; i < (size_t)rg_shape_count(t.shape); i++)
                cr_assert(fabs(value_at(p, y, i) - value_at(p, want, i)) <= value_at(p, size, i) * 0x1p-16,
                          "case %zu, element %zu is %.9g, not %.9g", k, i, value_at(p, y, i), value_at(p, want, i));
            for (size_t i = 0; i < na; i++)
                cr_assert_eq(value_at(p, da_wide, i), value_at(p, da_want, i), "case %zu, da %zu", k, i);
            for (size_t i = 0; i < nb; i++)
                cr_assert_eq(value_at(p, db_wide, i), value_at(p, db_want, i), "case %zu, db %zu", k, i);
            rg_plan_free(p);
        }
        rg_graph_free(g);
        drawn_free(&da);
        drawn_free(&db);
    }
}

/* Activations are rounded where they are made, in the blocks of what makes them, and weights are read as they are: but
   for the carry, which the recurrence has in f32, no conversion is a step of the plan. Kept
   weights are read packed or not, and a recurrence has its products in front of the loop or in it: the same bits. */
Test(bf16, activations_in_blocks)
{
    enum { STEPS = 6, ROWS = 9, WIDTH = 80 };
    bf16_data x = drawn(STEPS * ROWS * WIDTH), w = drawn(WIDTH * WIDTH);
    rg_graph *g = rg_graph_new(NULL);
    const rg_param_opts frozen = {.frozen = true};
    rg_node *xs = rg_input(g, "xs", RG_BF16, RG_SHAPE(STEPS, ROWS, WIDTH)),
            *weight = rg_param(g, "w", RG_BF16, RG_SHAPE(WIDTH, WIDTH), &frozen),
            *plain = rg_input(g, "plain", RG_BF16, RG_SHAPE(WIDTH, WIDTH));
    rg_node *hidden = rg_cast(rg_relu(rg_add_scalar(rg_linear(xs, weight, NULL), 0.125)), RG_BF16);
    rg_node *y = rg_linear(hidden, weight, NULL);
    rg_node *unkept =
        rg_linear(rg_cast(rg_relu(rg_add_scalar(rg_linear(xs, plain, NULL), 0.125)), RG_BF16), plain, NULL);
    rg_scan *s = rg_scan_begin(g, NULL);
    rg_node *in = rg_scan_slice(s, xs), *h = rg_scan_carry(s, rg_zeros(g, RG_F32, RG_SHAPE(ROWS, WIDTH)));
    rg_node *next = rg_tanh(rg_add(rg_linear(in, weight, NULL), rg_linear(rg_cast(h, RG_BF16), weight, NULL)));
    rg_scan_next(s, h, next);
    rg_scan_end(s);
    rg_node *last = rg_scan_last(s, h);
    must(rg_set(weight, &(rg_tensor){.dtype = RG_BF16, .shape = RG_SHAPE(WIDTH, WIDTH), .data = w.half}));
    float *first = NULL;
    const size_t n = (size_t)STEPS * ROWS * WIDTH, all = n + (size_t)ROWS * WIDTH;
    for (int way = 0; way < 4; way++) {
        rg_plan *p = must_compile(g, RG_NODES(y, unkept, last),
                                  &(rg_plan_opts){.threads = 1 + way % 2, .no_fuse = way > 1, .check = way == 3});
        must(rg_bind(p, xs, x.half));
        must(rg_bind(p, plain, w.half));
        must(rg_run(p));
        cr_assert(memcmp(rg_data(p, y), rg_data(p, unkept), n * sizeof(float)) == 0, "a kept weight, way %d", way);
        if (way == 0) {
            char *text = rg_plan_dump(p);
            cr_assert(text);
            first = malloc(all * sizeof *first);
            cr_assert(first);
            memcpy(first, rg_data(p, y), n * sizeof *first);
            memcpy(first + n, rg_data(p, last), (all - n) * sizeof *first);
            for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n"))
                cr_expect(!strstr(line, " = cast") || strstr(line, "(block)") || strstr(line, "bf16[9, 80]"),
                          "its f32 is written: %s", line);
            rg_text_free(text);
        }
        cr_expect(memcmp(rg_data(p, y), first, n * sizeof *first) == 0, "way %d", way);
        cr_expect(memcmp(rg_data(p, last), first + n, (all - n) * sizeof *first) == 0, "recurrence, way %d", way);
        rg_plan_free(p);
    }
    free(first);
    rg_graph_free(g);
    drawn_free(&x);
    drawn_free(&w);
}
