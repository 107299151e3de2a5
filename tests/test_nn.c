/* test_nn.c - layers, metrics, clipping and schedules, against numbers that PyTorch 1.13 computed in double
   precision. */
#include "waves.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- clipping ---- */

Test(nn_clip, global_norm)
{
    static const float a[3] = {3, 0, -4}, b[2] = {0, 12};
    rg_graph *g = rg_graph_new(NULL);
    rg_node *x = rg_const(g, RG_F32, RG_SHAPE(3), a), *y = rg_const(g, RG_F32, RG_SHAPE(2), b),
            *z = rg_zeros(g, RG_F32, RG_SHAPE(2));
    const rg_nodes tight = rg_clip_by_global_norm(RG_NODES(x, y), 1.3),
                   loose = rg_clip_by_global_norm(RG_NODES(x, y), 20);
    const rg_nodes none = rg_clip_by_global_norm(RG_NODES(z), 1);
    cr_assert(tight.n == 2 && loose.n == 2 && none.n == 1);
    rg_plan *p = compile(g, RG_NODES(tight.at[0], tight.at[1], loose.at[0], loose.at[1], none.at[0]), 0);
    run(p);
    for (size_t i = 0; i < 3; i++) {
        expect_close(element(rg_data(p, tight.at[0]), RG_F32, i), a[i] * 0.1, 1e-6, "tight", i);
        cr_assert_eq(element(rg_data(p, loose.at[0]), RG_F32, i), a[i]);
    }
    expect_close(element(rg_data(p, tight.at[1]), RG_F32, 1), 1.2, 1e-6, "tight", 1);
    cr_assert_eq(element(rg_data(p, loose.at[1]), RG_F32, 1), 12);
    cr_assert_eq(element(rg_data(p, none.at[0]), RG_F32, 0), 0);
    rg_plan_free(p);
    rg_graph_free(g);
}

/* ---- schedules ---- */

enum { RUNS = 12 };

/* torch.optim.lr_scheduler with the same arguments; from where PyTorch ends (or starts over), the last rate is held. */
static const struct {
    const char *torch;
    double lr[RUNS];
} schedules[] = {
    {"StepLR(4, 0.5)", {0.3, 0.3, 0.3, 0.3, 0.15, 0.15, 0.15, 0.15, 0.075, 0.075, 0.075, 0.075}},
    {"ExponentialLR(0.9)",
     {0.3, 0.27, 0.243, 0.2187, 0.19683, 0.177147, 0.1594323, 0.14348907, 0.129140163, 0.1162261467, 0.10460353203,
      0.094143178827}},
    {"CosineAnnealingLR(10, 0.02)",
     {0.3, 0.293147912281321, 0.273262379212493, 0.242289935320946, 0.203262379212493, 0.16, 0.116737620787507,
      0.0777100646790538, 0.0467376207875074, 0.0268520877186785, 0.02, 0.02}},
    {"LinearLR(1/5, 1, 4)", {0.06, 0.12, 0.18, 0.24, 0.3, 0.3, 0.3, 0.3, 0.3, 0.3, 0.3, 0.3}},
    {"OneCycleLR(0.3, 12)",
     {0.012, 0.104936896265875, 0.263785547736639, 0.298324630635274, 0.279903890952424, 0.243523696184929,
      0.194213699308531, 0.138791130800093, 0.0849182994626098, 0.0400432590566492, 0.0103700962276186, 1.2e-6}},
    {"OneCycleLR(0.3, 3)",
     {0.298324630635274, 0.138791130800093, 1.2e-6, 1.2e-6, 1.2e-6, 1.2e-6, 1.2e-6, 1.2e-6, 1.2e-6, 1.2e-6, 1.2e-6,
      1.2e-6}},
    {"ConstantLR(1)", {0.3, 0.3, 0.3, 0.3, 0.3, 0.3, 0.3, 0.3, 0.3, 0.3, 0.3, 0.3}},
    {"LinearLR(1, 0.1, 6)", {0.3, 0.255, 0.21, 0.165, 0.12, 0.075, 0.03, 0.03, 0.03, 0.03, 0.03, 0.03}},
    {"LinearLR(1/3, 1, 2), then ExponentialLR(0.9)",
     {0.1, 0.2, 0.3, 0.2187, 0.19683, 0.177147, 0.1594323, 0.14348907, 0.129140163, 0.1162261467, 0.10460353203,
      0.094143178827}},
};

Test(nn_schedules, rates_of_pytorch)
{
    rg_graph *g = rg_graph_new(NULL);
    rg_node *n = rg_step_counter(g, "n");
    rg_node *const rates[] = {
        rg_schedule_step(n, 0.3, 4, 0.5),
        rg_schedule_exponential(n, 0.3, 0.9),
        rg_schedule_cosine(n, 0.3, 0.02, 10),
        rg_schedule_warmup(n, 0.3, 5, NULL),
        rg_schedule_one_cycle(n, 0.3, 12),
        rg_schedule_one_cycle(n, 0.3, 3),
        rg_schedule_constant(n, 0.3),
        rg_schedule_linear(n, 0.3, 0.03, 6),
        rg_schedule_warmup(n, 0.3, 3, rg_schedule_exponential(n, 0.3, 0.9)),
    };
    enum { ROWS = sizeof rates / sizeof *rates };
    cr_assert_null(rg_graph_error(g), "%s", rg_graph_error(g));
    rg_plan *p = compile(g, (rg_nodes){rates, ROWS}, 0);
    for (int64_t i = 0; i < RUNS; i++) {
        cr_assert_eq(rg_set(n, &(rg_tensor){RG_I64, RG_SCALAR, &i, NULL}), RG_OK);
        run(p);
        for (size_t r = 0; r < ROWS; r++) {
            const double got = *(const float *)rg_data(p, rates[r]), expected = schedules[r].lr[i];
            cr_assert_eq(rg_dtype_of(rates[r]), RG_F32);
            cr_assert(fabs(got - expected) <= 2e-7 * expected + 1e-12, "%s, run %d: %.9g, not %.9g", schedules[r].torch,
                      (int)i, got, expected);
        }
    }
    cr_assert_eq(value_of(n, 0), RUNS - 1, "a plan without an optimiser raises the counter");
    rg_plan_free(p);
    rg_graph_free(g);
}

/* Multiples of `every` start a new rate exactly, whatever 1 / every rounds to. */
Test(nn_schedules, steps_start_where_they_should)
{
    static const int64_t every[] = {3, 7, 10, 49, 103, 1000, 46875};
    rg_graph *g = rg_graph_new(NULL);
    rg_node *n = rg_buffer(g, "n", RG_I64, RG_SCALAR, NULL), *rate[7];
    for (size_t i = 0; i < 7; i++)
        rate[i] = rg_schedule_step(n, 1, every[i], 0.5);
    rg_plan *p = compile(g, (rg_nodes){rate, 7}, 0);
    for (int64_t k = 1; k < 20; k++)
        for (size_t i = 0; i < 7; i++)
            for (int before = 0; before < 2; before++) {
                const int64_t at = k * every[i] - before;
                cr_assert_eq(rg_set(n, &(rg_tensor){RG_I64, RG_SCALAR, (void *)&at, NULL}), RG_OK);
                run(p);
                expect_close(*(const float *)rg_data(p, rate[i]) * pow(2, (double)(k - before)), 1, 1e-6, "rate",
                             (size_t)at);
            }
    rg_plan_free(p);
    rg_graph_free(g);
}

Test(nn_schedules, counter_counts_runs_of_the_optimiser)
{
    rg_graph *g = rg_graph_new(NULL);
    rg_node *w = rg_param(g, "w", RG_F64, RG_SCALAR, &(rg_param_opts){.init = RG_ZEROS});
    rg_node *n = rg_step_counter(g, "n"), *rate = rg_schedule_exponential(n, 1, 0.5);
    rg_node *step = rg_sgd(w, &(rg_sgd_opts){.lr_node = rate, .accumulate = 2}); /* the gradient is 1 */
    rg_plan *train = compile(g, RG_NODES(rate, step), 0), *look = compile(g, RG_NODES(rate), 0);
    for (int i = 0; i < 6; i++) {
        run(train);
        expect_close(*(const float *)rg_data(train, rate), pow(0.5, i), 1e-7, "rate", (size_t)i);
        run(look);
        cr_assert_eq(value_of(n, 0), i + 1);
    }
    expect_close(value_of(w, 0), -(0.5 + 0.125 + 0.03125), 1e-7, "w", 0);
    rg_plan_free(train);
    rg_plan_free(look);
    rg_graph_free(g);
}

/* ---- layers and metrics ---- */

Test(nn_layers, linear)
{
    rg_graph *g = rg_graph_new(NULL);
    rg_node *x = rg_input(g, "x", RG_F32, RG_SHAPE(2, rg_dim(g, "n"), 16));
    rg_node *y = rg_nn_linear(x, "fc1", 300, NULL);
    rg_scope_push(g, "block");
    rg_node *z =
        rg_nn_linear(y, "fc2", 5, &(rg_linear_opts){.no_bias = true, .weight = {.init = RG_CONSTANT, .scale = 0.5}});
    rg_scope_pop(g);
    cr_assert(z, "%s", rg_graph_error(g));
    rg_node *w = rg_find(g, "fc1.weight"), *b = rg_find(g, "fc1.bias"), *w2 = rg_find(g, "block.fc2.weight");
    cr_assert(w && b && w2 && !rg_find(g, "block.fc2.bias"));
    cr_assert(rg_shape_equal(rg_shape_of(w), RG_SHAPE(300, 16)) && rg_shape_equal(rg_shape_of(b), RG_SHAPE(300)));
    cr_assert(rg_shape_equal(rg_shape_of(w2), RG_SHAPE(5, 300)));
    cr_assert_eq(value_of(w2, 7), 0.5);
    double low[2] = {1, 1}, high[2] = {-1, -1};
    for (size_t i = 0; i < 4800; i++) {
        low[0] = fmin(low[0], value_of(w, i)), high[0] = fmax(high[0], value_of(w, i));
        low[1] = fmin(low[1], value_of(b, i % 300)), high[1] = fmax(high[1], value_of(b, i % 300));
    }
    for (int i = 0; i < 2; i++) /* uniform within 1/sqrt(16), bias too */
        cr_assert(low[i] >= -0.25 && low[i] < -0.24 && high[i] <= 0.25 && high[i] > 0.24, "[%g, %g]", low[i], high[i]);
    rg_graph_free(g);
}

Test(nn_layers, dropout)
{
    enum { N = 20000 };
    static const double ps[] = {0, 0.1, 0.5, 0.9, 1};
    for (size_t k = 0; k < 5; k++) {
        const double p = ps[k];
        rg_graph *g = rg_graph_new(NULL);
        rg_node *x = rg_param(g, "x", RG_F32, RG_SHAPE(N), NULL);
        rg_tensor value = wave(RG_F32, RG_SHAPE(N), 1.1, 0.3);
        ((float *)value.data)[5] = INFINITY;
        cr_assert_eq(rg_set(x, &value), RG_OK);
        rg_node *y = rg_nn_dropout(x, p), *dx = rg_at(rg_grad(rg_sum(y, RG_ALL_AXES, false), RG_NODES(x)), 0);
        rg_plan *train = compile(g, RG_NODES(y, dx), RG_TRAIN), *eval = compile(g, RG_NODES(y, dx), RG_EVAL);
        run(train);
        run(eval);
        const float *from = rg_value(x).data, *to = rg_data(train, y), *grad = rg_data(train, dx);
        int kept = 0;
        for (int i = 0; i < N; i++) {
            const float factor = p < 1 ? (float)(1 / (1 - p)) : 0;
            cr_assert(grad[i] == 0 || fabsf(grad[i] - factor) <= 1e-6f * factor, "element %d: %g", i, grad[i]);
            cr_assert(grad[i] == 0 ? to[i] == 0 : to[i] == from[i] * factor, "element %d: %g from %g", i, to[i],
                      from[i]);
            kept += grad[i] != 0;
            cr_assert_eq(((const float *)rg_data(eval, dx))[i], 1);
        }
        cr_assert_eq(memcmp(rg_data(eval, y), from, N * sizeof *from), 0, "evaluation is not the identity");
        cr_assert(fabs(kept / (double)N - (1 - p)) < 0.02, "p = %g keeps %d of %d", p, kept, N);
        rg_plan_free(train);
        rg_plan_free(eval);
        rg_graph_free(g);
        rg_tensor_free(&value);
    }
}

Test(nn_layers, accuracy)
{
    static const float logits[2][3][3] = {{{1, 2, 3}, {3, 2, 1}, {1, 5, 5}}, {{0, -1, -2}, {7, 8, 7}, {0, 0, 1}}};
    static const int64_t i64[6] = {2, 1, 1, 0, 1, 0}; /* of equal logits the first counts */
    static const int32_t i32[6] = {2, 1, 1, 0, 1, 0};
    static const uint8_t u8[6] = {2, 1, 1, 0, 1, 0};
    const void *const labels[] = {i64, i32, u8};
    static const rg_dtype dtypes[] = {RG_I64, RG_I32, RG_U8};
    for (int d = 0; d < 3; d++) {
        rg_graph *g = rg_graph_new(NULL);
        rg_node *a = rg_nn_accuracy(rg_const(g, RG_F32, RG_SHAPE(2, 3, 3), logits),
                                    rg_const(g, dtypes[d], RG_SHAPE(2, 3), labels[d]));
        rg_plan *p = compile(g, RG_NODES(a), 0);
        run(p);
        expect_close(*(const float *)rg_data(p, a), 4.0 / 6, 1e-6, "accuracy", 0);
        rg_plan_free(p);
        rg_graph_free(g);
    }
}

/* ---- three perceptrons: loss and all gradients ---- */

/* Layer k: weight sin(i + 2k + 1), bias sin(i + 2k + 2); x = sin(0.7 i + 0.1). Gradients in the order w1, b1, w2,
   ... */
struct perceptron {
    rg_graph *g;
    rg_node *out;
};

static struct perceptron perceptron_new(rg_dtype dtype, int64_t batch, const int64_t *sizes, int layers,
                                        rg_node *(*activation)(rg_node *))
{
    rg_graph *g = rg_graph_new(NULL);
    rg_node *h = wave_const(g, dtype, RG_SHAPE(batch, sizes[0]), 0.7, 0.1);
    for (int k = 0; k < layers; k++) {
        char name[16], full[32];
        snprintf(name, sizeof name, "fc%d", k + 1);
        h = rg_nn_linear(h, name, sizes[k + 1], NULL);
        snprintf(full, sizeof full, "%s.weight", name);
        set_wave(rg_find(g, full), 1, 2 * k + 1);
        snprintf(full, sizeof full, "%s.bias", name);
        set_wave(rg_find(g, full), 1, 2 * k + 2);
        if (k + 1 < layers || layers == 1)
            h = activation(h);
    }
    return (struct perceptron){g, h};
}

static void expect_gradients(struct perceptron m, rg_node *loss, rg_dtype dtype, double loss_expected,
                             const double *expected, size_t n)
{
    const double tolerance = dtype == RG_F64 ? 1e-8 : 1e-5; /* the numbers have nine digits */
    const rg_nodes params = rg_params(m.g), grads = rg_grad(loss, params);
    rg_node *fetch[8];
    cr_assert(params.n && params.n < 8 && grads.n == params.n, "%s", rg_graph_error(m.g));
    memcpy(fetch, grads.at, grads.n * sizeof *fetch);
    fetch[grads.n] = loss;
    rg_plan *p = compile(m.g, (rg_nodes){fetch, grads.n + 1}, 0);
    run(p);
    expect_close(element(rg_data(p, loss), dtype, 0), loss_expected, tolerance, "loss", 0);
    size_t at = 0;
    for (size_t k = 0; k < grads.n; k++)
        for (int64_t i = 0; i < rg_shape_count(rg_shape_of(grads.at[k])); i++, at++) {
            cr_assert(at < n);
            expect_close(element(rg_data(p, grads.at[k]), dtype, (size_t)i), expected[at], tolerance,
                         rg_name(params.at[k]), (size_t)i);
        }
    cr_assert_eq(at, n);
    rg_plan_free(p);
    rg_graph_free(m.g);
}

static const rg_dtype both[] = {RG_F32, RG_F64};

Test(nn_perceptrons, tanh_and_mse)
{
    /* clang-format off */
    static const double gradients[] = {
        0.238877568, 0.205991093, 0.0762237887, 0.0882078111, 0.0417741789, -0.0243065023, -0.191446292,
        0.0970919117, 0.339966272, -0.298957225, -0.250003739, -0.0834695891, -0.16770442, -0.0541048156,
        0.084941129, -0.196089407, 0.13130416, -0.0123978888, 0.163035675, -0.200066967, 0.0143212371, -0.102864403,
        0.139545095, -0.0044350741, 0.0699318376, 0.455791896, -0.432110695, 0.216443072, -0.422163887, 0.200784093,
        -0.366504745, -0.153364475,
    };
    /* clang-format on */
    for (int d = 0; d < 2; d++) {
        struct perceptron m = perceptron_new(both[d], 4, (const int64_t[]){3, 5, 2}, 2, rg_tanh);
        rg_node *loss = rg_mse_loss(m.out, wave_const(m.g, both[d], RG_SHAPE(4, 2), 1.3, 0.5), NULL);
        expect_gradients(m, loss, both[d], 0.898383484, gradients, sizeof gradients / sizeof *gradients);
    }
}

Test(nn_perceptrons, relu_and_cross_entropy)
{
    /* clang-format off */
    static const double gradients[] = {
        0.0212260404, 0.118906436, 0.160663276, 0.126857668, -0.0613535537, 0.0200452085, 0.0920163959, 0.120710835,
        0.0144238921, 0.0173664325, 0.0121412683, 0.00120587597, -0.0153397305, -0.110224106, -0.153268362,
        -0.124228113, 0.0863899965, 0.0373616683, -0.0292384364, -0.0820872475, -0.0161373091, -0.019752725,
        -0.0140781257, -0.00178236388, 0.149854686, 0.149199822, -0.000280711984, -0.153653266, -0.101688541,
        0.000758686764, 0.00894029657, 0, -0.000557619335, 0, 0, 0.00649925106, -0.0207342875, 0, 0.0143436588, 0,
        0, 0.00348194825, -0.0313458633, 0, 0.0160574431, 0, 0, -0.00273664172, -0.0265122891, -0.0527193502,
        0.00300808835, -0.00238595989, -0.0265258021, -0.00643917592, 0.104203395, 0.267978215, -0.012806889,
        0.0155307056, 0.135034697, -0.00422156147, 0.139114958, 0.342297846, -0.0168472717, 0.019168512,
        0.172444919, 0.00187733712, 0.00251115765, 0.00172961191, -0.00064213105, -0.0321562059, 0.156105481,
        0.200844509, 0.0424501603, 0.0512277296, 0.0819431208, -0.232048407, -0.454316868, -0.368455126, -0.1611967,
        -0.211065068, -0.294848418, -0.346295624, -0.376092859, -0.299501611, 0.118746539, 0.159837338, 0.212905297,
        0.578344031, 0.830409727, 0.667956737, -0.327322678, -0.0919946673, 0.419317345,
    };
    /* clang-format on */
    static const uint8_t labels[] = {0, 2, 1, 1, 0};
    for (int d = 0; d < 2; d++) {
        struct perceptron m = perceptron_new(both[d], 5, (const int64_t[]){4, 6, 6, 3}, 3, rg_relu);
        rg_node *loss = rg_cross_entropy(m.out, rg_const(m.g, RG_U8, RG_SHAPE(5), labels), NULL);
        expect_gradients(m, loss, both[d], 1.73086568, gradients, sizeof gradients / sizeof *gradients);
    }
}

Test(nn_perceptrons, sigmoid_and_bce)
{
    /* clang-format off */
    static const double gradients[] = {
        0.0745831641, 0.102354994, 0.0819876706, 0.0230602649, -0.0467127438, -0.0167172255, -0.0343405946,
        -0.0358130454, -0.0204420614, 0.00454314353, -0.022811059, 0.0117989844, 0.040859781, 0.0507035842,
        0.0367006995, 0.00667151683, -0.0258581517, -0.0462263275, -0.0448535391, -0.0223854304, 0.0109954077,
        -0.010415612, -0.082270645, -0.0965413756,
    };
    /* clang-format on */
    for (int d = 0; d < 2; d++) {
        struct perceptron m = perceptron_new(both[d], 3, (const int64_t[]){5, 4}, 1, rg_sigmoid);
        rg_node *zero = rg_scalar(m.g, both[d], 0),
                *target = rg_cast(rg_greater(wave_const(m.g, both[d], RG_SHAPE(3, 4), 2.1, 0.3), zero), both[d]);
        expect_gradients(m, rg_bce_loss(m.out, target, NULL), both[d], 0.905931954, gradients,
                         sizeof gradients / sizeof *gradients);
    }
}

/* ---- what is refused, and how it is said ---- */

static rg_node *bad_grads(struct problem *p, rg_node *grad)
{
    return rg_sgd(p->loss, &(rg_sgd_opts){.lr = 1, .params = RG_NODES(p->w), .grads = RG_NODES(grad)});
}

static rg_node *refused(int row, struct problem *p)
{
    rg_node *w = p->w, *loss = p->loss;
    rg_node *vector = rg_zeros(p->g, RG_F32, RG_SHAPE(3)), *counter = rg_buffer(p->g, "n", RG_I64, RG_SCALAR, NULL);
    switch (row) {
    case 0:
        return rg_sgd(loss, NULL);
    case 1:
        return rg_adam(loss, &(rg_adam_opts){.beta1 = 0.9});
    case 2:
        return rg_sgd(loss, &(rg_sgd_opts){.lr = -1});
    case 3:
        return rg_adamw(loss, &(rg_adam_opts){.lr = NAN});
    case 4:
        return rg_sgd(loss, &(rg_sgd_opts){.lr = 1, .lr_node = rg_scalar(p->g, RG_F32, 1)});
    case 5:
        return rg_sgd(loss, &(rg_sgd_opts){.lr_node = vector});
    case 6:
        return rg_sgd(loss, &(rg_sgd_opts){.lr_node = counter});
    case 7:
        return rg_sgd(loss, &(rg_sgd_opts){.lr = 1, .weight_decay = -0.5});
    case 8:
        return rg_sgd(loss, &(rg_sgd_opts){.lr = 1, .momentum = -0.5});
    case 9:
        return rg_sgd(loss, &(rg_sgd_opts){.lr = 1, .nesterov = true});
    case 10:
        return rg_sgd(loss, &(rg_sgd_opts){.lr = 1, .accumulate = -2});
    case 11:
        return rg_sgd(loss, &(rg_sgd_opts){.lr = 1, .grads = RG_NODES(w)});
    case 12:
        return rg_sgd(loss, &(rg_sgd_opts){.lr = 1, .params = RG_NODES(w, p->b), .grads = RG_NODES(w)});
    case 13:
        return bad_grads(p, p->b);
    case 14:
        return bad_grads(p, rg_cast(w, RG_F64));
    case 15:
        return bad_grads(p, NULL);
    case 16:
        return rg_sgd(rg_scalar(p->g, RG_F32, 1), &(rg_sgd_opts){.lr = 1});
    case 17:
        return rg_adam(loss, &(rg_adam_opts){.lr = 1, .beta2 = 1});
    case 18:
        return rg_adam(loss, &(rg_adam_opts){.lr = 1, .eps = -3});
    case 19:
        return rg_sgd(loss, &(rg_sgd_opts){.lr = 1, .params = RG_NODES(vector)});
    case 20:
        return rg_at(rg_clip_by_global_norm(RG_NODES(w), 0), 0);
    case 21:
        return rg_schedule_step(counter, 1, 0, 0.5);
    case 22:
        return rg_schedule_step(counter, 1, 5, 0);
    case 23:
        return rg_schedule_exponential(counter, -1, 0.5);
    case 24:
        return rg_schedule_cosine(counter, 1, INFINITY, 5);
    case 25:
        return rg_schedule_cosine(rg_scalar(p->g, RG_F32, 1), 1, 0, 5);
    case 26:
        return rg_schedule_warmup(counter, 1, 5, vector);
    case 27:
        return rg_schedule_one_cycle(counter, 1, -3);
    case 28:
        return rg_nn_dropout(w, 1.5);
    case 29:
        return rg_nn_dropout(counter, 0.5);
    case 30:
        return rg_nn_linear(rg_scalar(p->g, RG_F32, 1), "fc", 3, NULL);
    case 31:
        return rg_nn_linear(w, "fc", 0, NULL);
    case 32:
        return rg_nn_linear(w, NULL, 1, NULL);
    case 33:
        rg_nn_linear(w, "fc", 3, NULL);
        return rg_nn_linear(w, "fc", 3, NULL);
    case 34:
        return rg_nn_accuracy(w, rg_zeros(p->g, RG_I64, RG_SHAPE(3)));
    case 35:
        return rg_nn_accuracy(w, rg_zeros(p->g, RG_F32, RG_SHAPE(2)));
    case 36:
        return rg_nn_accuracy(w, rg_zeros(p->g, RG_U8, RG_SHAPE(2, 1)));
    default:
        return p->w;
    }
}

Test(nn_errors, texts)
{
    static const struct {
        rg_status status;
        const char *text;
    } rows[] = {
        {RG_ERR_ARGUMENT, "rg_sgd: lr is 0: give a rate or lr_node"},
        {RG_ERR_ARGUMENT, "rg_adam: lr is 0: give a rate or lr_node"},
        {RG_ERR_ARGUMENT, "rg_sgd: lr is -1"},
        {RG_ERR_ARGUMENT, "rg_adamw: lr is"},
        {RG_ERR_ARGUMENT, "rg_sgd: both lr and lr_node are given"},
        {RG_ERR_SHAPE, "rg_sgd: lr_node must be a float scalar, it is f32[3]"},
        {RG_ERR_SHAPE, "rg_sgd: lr_node must be a float scalar, it is i64[]"},
        {RG_ERR_ARGUMENT, "rg_sgd: weight_decay is -0.5"},
        {RG_ERR_ARGUMENT, "rg_sgd: momentum is -0.5"},
        {RG_ERR_ARGUMENT, "rg_sgd: nesterov needs a momentum"},
        {RG_ERR_ARGUMENT, "rg_sgd: accumulate is negative"},
        {RG_ERR_ARGUMENT, "rg_sgd: grads are given without the params"},
        {RG_ERR_ARGUMENT, "rg_sgd: 2 params, but 1 grads"},
        {RG_ERR_SHAPE, "rg_sgd: grad 0 is f32[2] 'b', its param is f32[2, 3] 'w'"},
        {RG_ERR_DTYPE, "rg_sgd: grad 0 is f64[2, 3]"},
        {RG_ERR_ARGUMENT, "rg_sgd: grad 0 is NULL"},
        {RG_ERR_ARGUMENT, "rg_sgd: the loss depends on no trainable parameter"},
        {RG_ERR_ARGUMENT, "rg_adam: beta2 is 1"},
        {RG_ERR_ARGUMENT, "rg_adam: eps is -3"},
        {0, ""}, /* whatever rg_assign says */
        {RG_ERR_ARGUMENT, "rg_clip_by_global_norm: norm is 0"},
        {RG_ERR_ARGUMENT, "rg_schedule_step: 0 steps"},
        {RG_ERR_ARGUMENT, "rg_schedule_step: factor is 0"},
        {RG_ERR_ARGUMENT, "rg_schedule_exponential: lr is -1"},
        {RG_ERR_ARGUMENT, "rg_schedule_cosine: lr_end is inf"},
        {RG_ERR_DTYPE, "rg_schedule_cosine: the counter must be an integer scalar, it is f32[]"},
        {RG_ERR_SHAPE, "rg_schedule_warmup: `after` must be an f32 scalar, it is f32[3]"},
        {RG_ERR_ARGUMENT, "rg_schedule_one_cycle: -3 steps"},
        {RG_ERR_ARGUMENT, "rg_nn_dropout: p = 1.5"},
        {RG_ERR_DTYPE, "rg_nn_dropout: x is i64"},
        {RG_ERR_SHAPE, "rg_nn_linear: 'fc': x is a scalar"},
        {RG_ERR_ARGUMENT, "rg_nn_linear: 'fc': 0 outputs"},
        {RG_ERR_ARGUMENT, "rg_nn_linear: name is NULL"},
        {RG_ERR_NAME, "fc.weight"},
        {RG_ERR_SHAPE, "rg_nn_accuracy: logits f32[2, 3] 'w' need one label for each row, not i64[3]"},
        {RG_ERR_DTYPE, "rg_nn_accuracy: labels are f32"},
        {RG_ERR_SHAPE, "rg_nn_accuracy: logits f32[2, 3] 'w' need one label for each row, not u8[2, 1]"},
    };
    for (size_t r = 0; r < sizeof rows / sizeof *rows; r++) {
        struct problem p = problem_new(RG_F32);
        cr_assert_null(rg_graph_error(p.g));
        cr_assert_null(refused((int)r, &p), "row %zu is taken", r);
        const char *error = rg_graph_error(p.g);
        cr_assert(error && strstr(error, rows[r].text), "row %zu: '%s' lacks '%s'", r, error, rows[r].text);
        cr_assert(rows[r].status == 0 || rg_graph_status(p.g) == rows[r].status, "row %zu: %s", r,
                  rg_status_name(rg_graph_status(p.g)));
        cr_assert_str_eq(rg_scope_name(p.g), "", "row %zu leaves a scope open", r);
        rg_graph_free(p.g);
    }
    cr_assert_null(rg_sgd(NULL, &(rg_sgd_opts){.lr = 1}));
    cr_assert_null(rg_nn_linear(NULL, "fc", 3, NULL));
    cr_assert_null(rg_nn_dropout(NULL, 0.5));
    cr_assert_null(rg_nn_accuracy(NULL, NULL));
    cr_assert_null(rg_schedule_step(NULL, 1, 1, 1));
    cr_assert_eq(rg_clip_by_global_norm((rg_nodes){NULL, 0}, 1).n, 0);
}
