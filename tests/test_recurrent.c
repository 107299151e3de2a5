/* test_recurrent.c - recurrent layers against recurrences in double written out by hand. */
#include "must.h"
#include "waves.h"

#include <stdio.h>
#include <stdlib.h>

enum { B = 2, I = 3, H = 3, MOST = 64 };

/* ---- the cells once more, one sequence at a time, in plain loops ---- */

typedef enum kind { RNN, RELU, LSTM, PEEPHOLE, PROJECTED, CIFG, LEAN, GRU, CHO, MIXING, MGU, KINDS } kind;

typedef rg_node *layer_fn(rg_node *, const char *, int64_t, const rg_rnn_opts *);

static const struct {
    const char *name;
    layer_fn *layer;
    int gates, states, out;
} cells[KINDS] = {
    {"rnn", rg_nn_rnn, 1, 1, H},        {"relu", rg_nn_rnn, 1, 1, H},
    {"lstm", rg_nn_lstm, 4, 2, H},      {"peephole", rg_nn_lstm_peephole, 4, 2, H},
    {"projected", rg_nn_lstm, 4, 2, 2}, {"cifg", rg_nn_cifg, 3, 2, H},
    {"lean", rg_nn_lstm_lean, 4, 1, H}, {"gru", rg_nn_gru, 3, 1, H},
    {"cho", rg_nn_gru_cho, 3, 1, H},    {"mixing", rg_nn_gru_mixing, 2, 1, H},
    {"mgu", rg_nn_mgu, 2, 1, H},
};

typedef struct weights {
    const double *ih, *hh, *bi, *bh, *ch, *hr, *mix, *bm;
} weights;

static double logistic(double x)
{
    return 1 / (1 + exp(-x));
}

/* Row `row` of w x + b; b may be NULL. */
static double row_of(const double *w, const double *b, int row, const double *x, int n)
{
    double sum = b ? b[row] : 0;
    for (int k = 0; k < n; k++)
        sum += w[row * n + k] * x[k];
    return sum;
}

/* One step: h and c become the next states, y the output. */
static void step(kind cell, const weights *w, const double *x, int in, double *h, double *c, double *y)
{
    const int out = cells[cell].out;
    double a[4][H], u[4][H], next[H], gated[H], m[H];
    for (int q = 0; q < cells[cell].gates; q++)
        for (int k = 0; k < H; k++) {
            a[q][k] = row_of(w->ih, w->bi, q * H + k, x, in);
            u[q][k] = row_of(w->hh, w->bh, q * H + k, h, out);
        }
    for (int k = 0; k < H; k++) {
        const double s0 = logistic(a[0][k] + u[0][k]);
        const double s1 = cells[cell].gates > 1 ? logistic(a[1][k] + u[1][k]) : 0;
        gated[k] = s0 * h[k % out];
        m[k] = cell == MIXING ? x[k] * (1 - s1) + h[k] * s1 : 0;
    }
    for (int k = 0; k < H; k++) {
        double i, f, o, n, z;
        switch (cell) {
        case RNN:
            next[k] = tanh(a[0][k] + u[0][k]);
            break;
        case RELU:
            next[k] = fmax(a[0][k] + u[0][k], 0);
            break;
        case LSTM:
        case PEEPHOLE:
        case PROJECTED:
            i = logistic(a[0][k] + u[0][k] + (w->ch ? w->ch[k] * c[k] : 0));
            f = logistic(a[1][k] + u[1][k] + (w->ch ? w->ch[H + k] * c[k] : 0));
            c[k] = f * c[k] + i * tanh(a[2][k] + u[2][k]);
            o = logistic(a[3][k] + u[3][k] + (w->ch ? w->ch[2 * H + k] * c[k] : 0));
            next[k] = o * tanh(c[k]);
            break;
        case CIFG:
            f = logistic(a[0][k] + u[0][k]);
            c[k] = f * c[k] + (1 - f) * tanh(a[1][k] + u[1][k]);
            next[k] = logistic(a[2][k] + u[2][k]) * tanh(c[k]);
            break;
        case LEAN:
            next[k] = logistic(a[1][k] + u[1][k]) * h[k] + logistic(a[0][k] + u[0][k]) * tanh(a[2][k] + u[2][k]);
            break;
        case GRU:
        case CHO:
            z = logistic(a[1][k] + u[1][k]);
            n = tanh(a[2][k] +
                     (cell == CHO ? row_of(w->hh, w->bh, 2 * H + k, gated, H) : logistic(a[0][k] + u[0][k]) * u[2][k]));
            next[k] = (1 - z) * n + z * h[k];
            break;
        case MIXING:
            z = logistic(a[0][k] + u[0][k]);
            next[k] = (1 - z) * h[k] + z * tanh(row_of(w->mix, w->bm, k, m, H));
            break;
        default: /* MGU */
            f = logistic(a[0][k] + u[0][k]);
            next[k] = (1 - f) * h[k] + f * tanh(a[1][k] + row_of(w->hh, w->bh, H + k, gated, H));
            break;
        }
    }
    for (int k = 0; k < out; k++) {
        h[k] = cell == PROJECTED ? row_of(w->hr, NULL, k, next, H) : next[k];
        y[k] = cell == LEAN     ? logistic(a[3][k] + u[3][k]) * next[k]
               : cell == MIXING ? logistic(row_of(w->mix, w->bm, H + k, m, H)) * next[k]
                                : h[k];
    }
}

typedef struct setting {
    kind cell;
    int steps, layers, directions;
    bool bias, initial, ragged;
} setting;

/* Steps of sequence b: all of them, or fewer. */
static int length_of(const setting *s, int b)
{
    return s->ragged && b == 0 ? s->steps / 2 : s->steps;
}

static double weight_of_output(int i)
{
    return cos(0.3 * i);
}

/* Sum of weighted outputs and of squares of the last states; `v`: xs, initial states, parameters as they are made. */
static double reference(const setting *s, double *const *v, double *ys)
{
    static double buffer[2][MOST * B * 2 * H];
    const int out = cells[s->cell].out, all = s->layers * s->directions, states = cells[s->cell].states;
    const double *x = v[0], *h0 = s->initial ? v[1] : NULL, *c0 = s->initial && states == 2 ? v[2] : NULL;
    size_t at = s->initial ? 1 + (size_t)states : 1;
    double loss = 0;
    int in = I;
    for (int layer = 0; layer < s->layers; layer++) {
        double *to = buffer[layer % 2];
        memset(to, 0, sizeof buffer[0]);
        for (int d = 0; d < s->directions; d++) {
            weights w = {.ih = v[at], .hh = v[at + 1]};
            at += 2;
            if (s->bias)
                w.bi = v[at], w.bh = v[at + 1], at += 2;
            if (s->cell == PEEPHOLE)
                w.ch = v[at++];
            if (s->cell == PROJECTED)
                w.hr = v[at++];
            if (s->cell == MIXING) {
                w.mix = v[at++];
                w.bm = s->bias ? v[at++] : NULL;
            }
            for (int b = 0; b < B; b++) {
                double h[H] = {0}, c[H] = {0};
                const int k0 = (layer * s->directions + d) * B + b;
                for (int k = 0; k < out && h0; k++)
                    h[k] = h0[k0 * out + k];
                for (int k = 0; k < H && c0; k++)
                    c[k] = c0[k0 * H + k];
                for (int n = 0; n < length_of(s, b); n++) {
                    const int t = d ? length_of(s, b) - 1 - n : n;
                    step(s->cell, &w, x + (t * B + b) * in, in, h, c, to + ((t * B + b) * s->directions + d) * out);
                }
                for (int k = 0; k < out; k++)
                    loss += h[k] * h[k];
                for (int k = 0; k < H && states == 2; k++)
                    loss += c[k] * c[k];
            }
        }
        x = to;
        in = out * s->directions;
    }
    cr_assert(all <= 4);
    for (int i = 0; i < s->steps * B * in; i++) {
        loss += x[i] * weight_of_output(i);
        if (ys)
            ys[i] = x[i];
    }
    return loss;
}

/* ---- the layer ---- */

typedef struct network {
    rg_graph *g;
    rg_node *ys, *loss, *last[2];
} network;

/* Everything differentiable is a parameter: xs, the initial states, then those of the layer. */
static network network_new(const setting *s, rg_dtype dtype, layer_fn *layer)
{
    network n = {.g = rg_graph_new(NULL)};
    const int out = cells[s->cell].out, all = s->layers * s->directions;
    const rg_param_opts normal = {.init = RG_NORMAL, .scale = 0.7};
    rg_rnn_opts o = {.layers = s->layers,
                     .bidirectional = s->directions == 2,
                     .no_bias = !s->bias,
                     .relu = s->cell == RELU,
                     .projection = s->cell == PROJECTED ? out : 0,
                     .last = n.last};
    rg_node *xs = rg_param(n.g, "xs", dtype, RG_SHAPE(s->steps, B, I), &normal);
    if (s->initial)
        o.initial[0] = rg_param(n.g, "h0", dtype, RG_SHAPE(all, B, out), &normal);
    if (s->initial && cells[s->cell].states == 2)
        o.initial[1] = rg_param(n.g, "c0", dtype, RG_SHAPE(all, B, H), &normal);
    const int64_t lengths[B] = {length_of(s, 0), length_of(s, 1)};
    if (s->ragged)
        o.lengths = rg_const(n.g, RG_I64, RG_SHAPE(B), lengths);
    n.ys = layer(xs, "net", H, &o);
    cr_assert(n.ys, "%s", rg_graph_error(n.g));
    cr_assert_str_eq(rg_scope_name(n.g), "");
    const rg_shape shape = RG_SHAPE(s->steps, B, out * s->directions);
    cr_assert(rg_shape_equal(rg_shape_of(n.ys), shape));
    double factors[MOST * B * 2 * H];
    for (int i = 0; i < rg_shape_count(shape); i++)
        factors[i] = weight_of_output(i);
    rg_node *factor = rg_cast(rg_const(n.g, RG_F64, shape, factors), dtype);
    n.loss = rg_sum(rg_mul(n.ys, factor), RG_ALL_AXES, false);
    for (int i = 0; i < cells[s->cell].states; i++)
        n.loss = rg_add(n.loss, rg_square_norm(RG_NODES(n.last[i])));
    return n;
}

/* Outputs and loss by the reference; every gradient by five-point differences of the reference. */
static void against_reference(setting s)
{
    network n = network_new(&s, RG_F64, cells[s.cell].layer);
    const rg_nodes params = rg_params(n.g), grads = rg_grad(n.loss, params);
    cr_assert(grads.n && grads.n == params.n && params.n < MOST, "%s", rg_graph_error(n.g));
    rg_node *fetch[MOST + 2] = {n.ys, n.loss};
    double *v[MOST], ys[MOST * B * 2 * H];
    for (size_t k = 0; k < params.n; k++) {
        fetch[k + 2] = grads.at[k];
        const size_t count = (size_t)rg_shape_count(rg_shape_of(params.at[k]));
        v[k] = calloc(count + 1, sizeof **v);
        cr_assert(v[k]);
        for (size_t i = 0; i < count; i++)
            v[k][i] = stored_at(params.at[k], i);
    }
    rg_plan *p = must_compile(n.g, (rg_nodes){fetch, params.n + 2}, &(rg_plan_opts){.threads = 1});
    must(rg_run(p));
    const double loss = reference(&s, v, ys);
    cr_assert(close_to(value_at(p, n.loss, 0), loss, 1e-12), "%s: loss %.17g, not %.17g", cells[s.cell].name,
              value_at(p, n.loss, 0), loss);
    for (int64_t i = 0; i < rg_shape_count(rg_shape_of(n.ys)); i++)
        cr_assert(close_to(value_at(p, n.ys, (size_t)i), ys[i], 1e-12), "%s: output %d is %.17g, not %.17g",
                  cells[s.cell].name, (int)i, value_at(p, n.ys, (size_t)i), ys[i]);
    for (size_t k = 0; k < params.n; k++)
        for (int64_t i = 0; i < rg_shape_count(rg_shape_of(params.at[k])); i++) {
            static const double at[4] = {-2, -1, 1, 2}, by[4] = {1, -8, 8, -1};
            const double keep = v[k][i], h = s.cell == RELU ? 1e-6 : 1e-3;
            double d = 0;
            for (int j = 0; j < 4; j++) {
                v[k][i] = keep + at[j] * h;
                d += by[j] * reference(&s, v, NULL);
            }
            v[k][i] = keep;
            d /= 12 * h;
            const double got = value_at(p, grads.at[k], (size_t)i);
            cr_assert(close_to(got, d, s.cell == RELU ? 1e-7 : 1e-9), "%s: d %s[%d] is %.17g, not %.17g",
                      cells[s.cell].name, rg_name(params.at[k]), (int)i, got, d);
        }
    for (size_t k = 0; k < params.n; k++)
        free(v[k]);
    rg_plan_free(p);
    rg_graph_free(n.g);
}

Test(recurrent, one_layer)
{
    for (int c = 0; c < KINDS; c++)
        against_reference((setting){(kind)c, 5, 1, 1, true, true, false});
}
Test(recurrent, two_layers_two_directions)
{
    for (int c = 0; c < KINDS; c++)
        if (c != MIXING) /* its input must be as wide as its state */
            against_reference((setting){(kind)c, 4, 2, 2, true, true, false});
    against_reference((setting){MIXING, 4, 2, 1, true, true, false});
    against_reference((setting){MIXING, 4, 1, 2, true, true, false});
}
Test(recurrent, no_bias_and_zero_states)
{
    for (int c = 0; c < KINDS; c++)
        against_reference((setting){(kind)c, 3, 2, 1, false, false, false});
}
Test(recurrent, one_step_and_none)
{
    for (int c = 0; c < KINDS; c++)
        for (int steps = 0; steps < 2; steps++)
            against_reference((setting){(kind)c, steps, 1, 2, true, true, false});
}

/* Sequences of different lengths: outputs, last states and gradients are those of each sequence alone. */
Test(recurrent, ragged)
{
    for (int c = 0; c < KINDS; c++) {
        against_reference((setting){
            .cell = (kind)c, .steps = 5, .layers = 1, .directions = 1, .bias = true, .initial = true, .ragged = true});
        if (c != MIXING)
            against_reference(
                (setting){.cell = (kind)c, .steps = 4, .layers = 2, .directions = 2, .bias = true, .ragged = true});
    }
    against_reference((setting){
        .cell = GRU, .steps = 1, .layers = 2, .directions = 2, .initial = true, .ragged = true}); /* lengths 0, 1 */
    against_reference(
        (setting){.cell = LSTM, .steps = 0, .layers = 1, .directions = 2, .initial = true, .ragged = true});
}

/* What stands beyond the ends is never seen, not even NaN, in either direction. */
Test(recurrent, padding_may_hold_anything)
{
    const setting s = {
        .cell = LSTM, .steps = 4, .layers = 2, .directions = 2, .bias = true, .initial = true, .ragged = true};
    network n = network_new(&s, RG_F32, rg_nn_lstm);
    const rg_nodes params = rg_params(n.g), grads = rg_grad(n.loss, params);
    rg_plan *p = must_compile(n.g, grads, &(rg_plan_opts){.threads = 1});
    float before[4 * H * (I > H ? I : H)] = {0}, xs[4 * B * I];
    must(rg_run(p));
    const size_t bytes = (size_t)rg_shape_count(rg_shape_of(grads.at[3])) * sizeof(float);
    cr_assert_leq(bytes, sizeof before);
    memcpy(before, rg_data(p, grads.at[3]), bytes);
    for (int i = 0; i < 4 * B * I; i++) /* sequence 0 has two steps */
        xs[i] = i / I % B == 0 && i / I / B >= 2 ? NAN : (float)stored_at(params.at[0], (size_t)i);
    must(rg_set(params.at[0], &(rg_tensor){.dtype = RG_F32, .shape = RG_SHAPE(4, B, I), .data = xs}));
    must(rg_run(p));
    cr_expect_eq(memcmp(before, rg_data(p, grads.at[3]), bytes), 0, "the gradient of %s", rg_name(params.at[3]));
    rg_plan_free(p);
    rg_graph_free(n.g);
}

/* A length beyond the steps, or below none, is an error of the run; one that is constant, of the builder. */
Test(recurrent, lengths_beyond_the_steps)
{
    for (int fixed = 0; fixed < 2; fixed++)
        for (int k = 0; k < 2; k++) {
            rg_graph *g = rg_graph_new(NULL);
            const int64_t lengths[3] = {2, k ? 6 : -1, 5};
            rg_node *l =
                fixed ? rg_const(g, RG_I64, RG_SHAPE(3), lengths) : rg_input(g, "lengths", RG_I64, RG_SHAPE(3));
            rg_node *ys =
                rg_nn_gru(rg_param(g, "xs", RG_F32, RG_SHAPE(5, 3, I), NULL), "gru", H, &(rg_rnn_opts){.lengths = l});
            rg_plan *p = fixed ? NULL : must_compile(g, RG_NODES(ys), NULL);
            const char *text = fixed ? rg_graph_error(g) : NULL;
            if (!fixed) {
                must(rg_bind(p, l, lengths));
                cr_expect_eq(rg_run(p), RG_ERR_ARGUMENT);
                text = rg_last_error();
            }
            cr_assert(text && strstr(text, k ? "the length of sequence 1 is 6, outside [0, 5]"
                                             : "the length of sequence 1 is -1, outside [0, 5]"),
                      "%s", text ? text : "no error");
            rg_plan_free(p);
            rg_graph_free(g);
        }
}

/* The derivative of the gradient's norm, by differences of the gradient's norm. */
Test(recurrent, second_order)
{
    for (int c = 0; c < KINDS; c++) {
        if (c == RELU)
            continue;
        network n = network_new(&(setting){(kind)c, 3, 1, 1, true, true, false}, RG_F64, cells[c].layer);
        const rg_nodes params = rg_params(n.g), grads = rg_grad(n.loss, params);
        rg_grad_check_report report;
        must(rg_grad_check(rg_square_norm(grads), params, &(rg_grad_check_opts){.tolerance = 1e-7}, &report));
        cr_assert(report.passed, "%s: %s", cells[c].name, report.text);
        rg_graph_free(n.g);
    }
}

/* Single precision on several threads gives the bits of one thread. */
Test(recurrent, threads_agree)
{
    for (int c = 0; c < KINDS; c++) {
        network n = network_new(&(setting){(kind)c, 5, 1, 2, true, true, false}, RG_F32, cells[c].layer);
        const rg_nodes grads = rg_grad(n.loss, rg_params(n.g));
        rg_plan *p[2];
        for (int k = 0; k < 2; k++) {
            p[k] = must_compile(n.g, grads, &(rg_plan_opts){.threads = 1 + 2 * k});
            must(rg_run(p[k]));
        }
        for (size_t i = 0; i < grads.n; i++)
            cr_assert_eq(memcmp(rg_data(p[0], grads.at[i]), rg_data(p[1], grads.at[i]),
                                (size_t)rg_shape_count(rg_shape_of(grads.at[i])) * sizeof(float)),
                         0, "%s, gradient %zu", cells[c].name, i);
        rg_plan_free(p[0]);
        rg_plan_free(p[1]);
        rg_graph_free(n.g);
    }
}

/* ---- sizes known at run time, dropout, errors ---- */

Test(recurrent, named_time_and_batch)
{
    rg_graph *g = rg_graph_new(NULL);
    rg_node *xs = rg_input(g, "xs", RG_F32, RG_SHAPE(rg_dim(g, "time"), rg_dim(g, "batch"), I));
    rg_node *y = rg_nn_gru(xs, "gru", H, &(rg_rnn_opts){.layers = 2, .bidirectional = true});
    rg_node *dx = rg_at(rg_grad(rg_sum(rg_square(y), RG_ALL_AXES, false), RG_NODES(xs)), 0);
    rg_plan *p = must_compile(g, RG_NODES(y, dx), NULL);
    float data[4 * 2 * I], whole[4 * 2 * I];
    for (int i = 0; i < 4 * 2 * I; i++)
        data[i] = sinf((float)i);
    must(rg_bind_shape(p, xs, data, RG_SHAPE(4, 2, I)));
    must(rg_run(p));
    memcpy(whole, rg_data(p, dx), sizeof whole);
    for (int b = 0; b < 2; b++) { /* sequences do not see each other */
        float one[4 * I];
        for (int t = 0; t < 4; t++)
            memcpy(one + t * I, data + (t * 2 + b) * I, I * sizeof *one);
        must(rg_bind_shape(p, xs, one, RG_SHAPE(4, 1, I)));
        must(rg_run(p));
        for (int t = 0; t < 4; t++)
            for (int k = 0; k < I; k++)
                expect_close(value_at(p, dx, (size_t)(t * I + k)), whole[(t * 2 + b) * I + k], 1e-6, "dx",
                             (size_t)(t * I + k));
    }
    rg_plan_free(p);
    rg_graph_free(g);
}

/* With all of it dropped, the second layer sees zeros: outputs do not depend on xs; in evaluation they do. */
Test(recurrent, dropout_lies_between_layers)
{
    rg_graph *g = rg_graph_new(NULL);
    rg_node *xs = wave_const(g, RG_F32, RG_SHAPE(3, B, I), 0.7, 0.1);
    const rg_rnn_opts all = {.layers = 2, .dropout = 1}, none = {.layers = 2};
    rg_node *y = rg_nn_lstm(xs, "net", H, &all);
    rg_node *zero = rg_zeros(g, RG_F32, RG_SHAPE(3, B, H)), *top = rg_nn_lstm(zero, "top", H, NULL);
    cr_assert(y && top, "%s", rg_graph_error(g));
    static const char *const names[] = {"weight_ih", "weight_hh", "bias_ih", "bias_hh"};
    for (int j = 0; j < 4; j++) {
        char from[64], to[64];
        snprintf(from, sizeof from, "net.%s_l1", names[j]);
        snprintf(to, sizeof to, "top.%s_l0", names[j]);
        const rg_tensor value = rg_value(rg_find(g, from));
        must(rg_set(rg_find(g, to), &value));
    }
    rg_plan *train = compile(g, RG_NODES(y, top), RG_TRAIN), *eval = compile(g, RG_NODES(y, top), RG_EVAL);
    must(rg_run(train));
    must(rg_run(eval));
    double difference = 0;
    for (size_t i = 0; i < 3 * B * H; i++) {
        expect_close(value_at(train, y, i), value_at(train, top, i), 1e-6, "dropped", i);
        difference += fabs(value_at(eval, y, i) - value_at(eval, top, i));
    }
    cr_assert(difference > 1e-2, "evaluation drops too");
    cr_assert_null(rg_nn_lstm(xs, "net", H, &none), "a name that is taken");
    rg_plan_free(train);
    rg_plan_free(eval);
    rg_graph_free(g);
}

Test(recurrent, errors)
{
    static const struct {
        layer_fn *layer;
        int64_t hidden;
        int layers, state;
        bool bidirectional, flat;
        int64_t projection;
        const char *text;
    } rows[] = {
        {rg_nn_lstm, 4, 1, -1, false, true, 0, "rg_nn_lstm: 'net': xs must be [time, batch, features], it has 2 axes"},
        {rg_nn_gru, 0, 1, -1, false, false, 0, "rg_nn_gru: 'net': hidden is 0"},
        {rg_nn_cifg, 4, -2, -1, false, false, 0, "rg_nn_cifg: 'net': -2 layers"},
        {rg_nn_gru, 4, 1, -1, false, false, 2, "rg_nn_gru: 'net': this cell has no projection"},
        {rg_nn_lstm, 4, 1, -1, false, false, 4, "rg_nn_lstm: 'net': the projection is 4, it must be below hidden = 4"},
        {rg_nn_mgu, 4, 1, 1, false, false, 0, "rg_nn_mgu: 'net': initial state 1 is given, the cell has 1"},
        {rg_nn_lstm, 4, 1, 1, true, false, 0, "rg_nn_lstm: 'net': initial state 1 is f32[1, 2, 4]"},
        {rg_nn_gru_mixing, 4, 1, -1, false, false, 0, "as wide as its state, 4: xs has 3 features"},
        {rg_nn_gru_mixing, 3, 2, -1, true, false, 0, "two directions double them"},
    };
    for (size_t r = 0; r < sizeof rows / sizeof *rows; r++) {
        rg_graph *g = rg_graph_new(NULL);
        rg_node *xs = rg_zeros(g, RG_F32, rows[r].flat ? RG_SHAPE(5, 2) : RG_SHAPE(5, 2, 3)), *last[2];
        rg_rnn_opts o = {.layers = rows[r].layers,
                         .bidirectional = rows[r].bidirectional,
                         .projection = rows[r].projection,
                         .last = last};
        if (rows[r].state >= 0)
            o.initial[rows[r].state] = rg_zeros(g, RG_F32, RG_SHAPE(1, 2, 4));
        cr_assert_null(rows[r].layer(xs, "net", rows[r].hidden, &o), "row %zu is taken", r);
        cr_assert_null(last[0]);
        const char *error = rg_graph_error(g);
        cr_assert(error && strstr(error, rows[r].text), "row %zu: '%s' lacks '%s'", r, error, rows[r].text);
        cr_assert_str_eq(rg_scope_name(g), "");
        rg_graph_free(g);
    }
    cr_assert_null(rg_nn_lstm(NULL, "net", 3, NULL));
}
