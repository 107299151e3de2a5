/* test_signatures.c - many sizes, one after the other, in one plan: whatever sizes were there before, the steps, their
   places in memory and all results are those of a plan that has never seen others. */
#include "must.h"

#include "runtime/plan.h"

#include <stdlib.h>

enum { ROUNDS = 50, MOST_FETCHES = 80, LARGEST = 40 };

typedef struct model {
    const char *name;
    rg_node *(*loss)(rg_node *x); /* x: f32[size, width]; or f32[size, batch, width] */
    int64_t width;
    int64_t batch; /* of a sequence; or 0 */
    int64_t largest;
} model;

static rg_node *mean_of(rg_node *x)
{
    return rg_mean(x, RG_ALL_AXES, false);
}

static rg_node *sum_of(rg_node *x)
{
    return rg_sum(x, RG_ALL_AXES, false);
}

static rg_node *squared(rg_node *x)
{
    return rg_mul(x, x);
}

static rg_node *perceptron(rg_node *x)
{
    rg_node *h = rg_tanh(rg_nn_linear(x, "a", 24, NULL));
    return mean_of(squared(rg_nn_layer_norm(rg_gelu(rg_nn_linear(h, "b", 12, NULL)), "norm", NULL)));
}

/* With one row the operand is as large as what it is added to; else it is repeated. */
static rg_node *one_row(rg_node *x)
{
    rg_graph *g = rg_graph_of(x);
    rg_node *row = rg_param(g, "row", RG_F32, RG_SHAPE(1, 8), NULL),
            *number = rg_param(g, "number", RG_F32, RG_SHAPE(1, 1), NULL);
    rg_node *y = rg_mul(rg_tanh(rg_add(x, row)), rg_add(rg_sigmoid(x), number));
    return mean_of(rg_mul(y, rg_exp(rg_mul(rg_scalar(g, RG_F32, -0.5), y))));
}

/* One element at size 1. */
static rg_node *single(rg_node *x)
{
    rg_node *y = rg_tanh(rg_add(rg_mul(x, rg_scalar(rg_graph_of(x), RG_F32, 1.5)), rg_sin(x)));
    return sum_of(rg_mul(y, rg_exp(y)));
}

static rg_node *recurrent(rg_node *x)
{
    rg_node *h = rg_nn_lstm(x, "lstm", 8, &(rg_rnn_opts){.layers = 2, .bidirectional = true});
    return mean_of(squared(rg_nn_gru(h, "gru", 6, NULL)));
}

static rg_node *one_way(rg_node *x)
{
    return mean_of(squared(rg_nn_lstm(x, "lstm", 8, NULL)));
}

/* From 8 rows on results are written past the caches. */
static rg_node *wide(rg_node *x)
{
    return sum_of(rg_mul(rg_tanh(rg_add(x, rg_scalar(rg_graph_of(x), RG_F32, 1))), x));
}

static const model models[] = {
    {"perceptron", perceptron, 16, 0, LARGEST}, {"one row", one_row, 8, 0, LARGEST},  {"single", single, 1, 0, LARGEST},
    {"recurrent", recurrent, 5, 3, LARGEST},    {"one way", one_way, 5, 16, LARGEST}, {"wide", wide, 1 << 20, 0, 9},
};

static rg_shape shape_of(const model *m, int64_t size)
{
    return m->batch ? RG_SHAPE(size, m->batch, m->width) : RG_SHAPE(size, m->width);
}

static void run_with(const model *m, rg_plan *p, rg_node *x, const float *data, int64_t size)
{
    must(rg_bind_shape(p, x, data, shape_of(m, size)));
    must(rg_run(p));
}

/* Everything that can be cut is shared out; and only what takes long: the groups of a loop of 16 rows are one block
   each in short sequences, and parts of rows in long ones. */
static const rg_machine eager = {.flop_ns = 1, .byte_ns = 1, .meeting_ns = 0, .share_ns = 1e-3},
                        hesitant = {.flop_ns = 1, .byte_ns = 1, .meeting_ns = 100, .share_ns = 5e4};

/* Whether several threads share a step. */
static bool compare(const model *m, rg_plan *used, rg_plan *fresh, rg_nodes fetch, int64_t size)
{
    char *have = rg_plan_dump(used), *want = rg_plan_dump(fresh);
    cr_assert(have && want);
    cr_assert_str_eq(have, want, "%s, size %d", m->name, (int)size);
    const bool shared = strstr(have, " tasks ") != NULL;
    rg_text_free(have);
    rg_text_free(want);
    for (size_t i = 0; i < fetch.n; i++) {
        rg_tensor a, b;
        must(rg_result(used, fetch.at[i], &a));
        must(rg_result(fresh, fetch.at[i], &b));
        cr_assert(rg_shape_equal(a.shape, b.shape));
        cr_assert(memcmp(a.data, b.data, (size_t)rg_shape_count(a.shape) * sizeof(float)) == 0, "%s, size %d, %s",
                  m->name, (int)size, rg_name(fetch.at[i]));
    }
    return shared;
}

/* A group that no named size reaches, behind what one does. */
static rg_node *updated(rg_node *param, rg_node *gradient)
{
    rg_node *rate = rg_scalar(rg_graph_of(param), RG_F32, 0.25), *change = rg_mul(gradient, rg_tanh(gradient));
    return rg_sub(rg_mul(param, rg_exp(rg_mul(rate, param))), rg_mul(rate, change));
}

/* Whether several threads share a step at some size. */
static bool meet_sizes(const model *m, int threads, const rg_machine *machine)
{
    rg_graph *g = rg_graph_new(NULL);
    rg_node *x = rg_input(g, "x", RG_F32, shape_of(m, rg_dim(g, "size")));
    rg_node *fetches[MOST_FETCHES] = {m->loss(x)};
    cr_assert(fetches[0], "%s: %s", m->name, rg_graph_error(g));
    const rg_nodes params = rg_params(g), gradients = rg_grad(fetches[0], params.n ? params : RG_NODES(x));
    cr_assert(2 * gradients.n < MOST_FETCHES);
    for (size_t i = 0; i < gradients.n; i++) {
        fetches[1 + i] = gradients.at[i];
        fetches[1 + gradients.n + i] = updated(params.n ? params.at[i] : x, gradients.at[i]);
    }
    const rg_nodes fetch = {fetches, 1 + 2 * gradients.n};
    rg_plan *first = must_compile(g, fetch, &(rg_plan_opts){.threads = threads, .machine = machine}),
            *used = rg_plan_fork(first);
    const size_t most = (size_t)(m->largest * m->width * (m->batch ? m->batch : 1));
    float *data = malloc(most * sizeof *data);
    cr_assert(data && used);
    for (size_t i = 0; i < most; i++)
        data[i] = (float)(i * 2654435761u % 1000) / 500 - 1;
    uint32_t state = 5;
    int64_t before = 1;
    bool shared = false;
    for (int round = 0; round < (m->width > 1000 ? 8 : ROUNDS); round++) {
        state = state * 1664525u + 1013904223u;
        int64_t size = 1 + (int64_t)(state >> 16) % m->largest;
        if (m->width > 1000)
            size = m->largest - 3 + round % 4;
        else if (round % 5 == 4)
            size = !m->batch && round % 10 == 4 ? 0 : 1;
        rg_plan *fresh = rg_plan_fork(first);
        cr_assert(fresh);
        run_with(m, used, x, data, size);
        run_with(m, fresh, x, data, size);
        shared = compare(m, used, fresh, fetch, size) || shared;
        run_with(m, used, x, data, before); /* known, as the one after it is */
        run_with(m, used, x, data, size);
        compare(m, used, fresh, fetch, size);
        before = size;
        rg_plan_free(fresh);
    }
    free(data);
    rg_plan_free(used);
    rg_plan_free(first);
    rg_graph_free(g);
    return shared;
}

Test(signatures, are_planned_as_if_they_were_the_first)
{
    for (size_t i = 0; i < sizeof models / sizeof *models; i++)
        meet_sizes(&models[i], 1, NULL);
}

Test(signatures, are_planned_as_if_they_were_the_first_on_two_threads)
{
    size_t shared = 0;
    for (size_t i = 0; i < sizeof models / sizeof *models; i++)
        shared += meet_sizes(&models[i], 2, models[i].batch == 16 ? &hesitant : &eager);
    cr_expect(shared >= 4, "%zu models", shared);
}

static bool remembers(const rg_plan *p, int64_t size)
{
    for (const rgi_special *s = p->specials; s; s = s->next)
        if (s->inputs[0].dim[0] == size)
            return true;
    return false;
}

/* Sixteen are remembered; a further one takes the place of the one that was not used for longest. */
Test(signatures, the_one_not_used_for_longest_is_forgotten)
{
    enum { KNOWN = 16 };
    static const struct {
        int64_t use, forgotten;
    } turns[] = {{1, 0}, {17, 2}, {18, 3}, {4, 0}, {2, 5}, {17, 0}, {6, 0}, {7, 0}, {3, 8}, {19, 9}};
    rg_graph *g = rg_graph_new(NULL);
    rg_node *x = rg_input(g, "x", RG_F32, RG_SHAPE(rg_dim(g, "size"), 3));
    rg_plan *p = must_compile(g, RG_NODES(rg_tanh(x)), &(rg_plan_opts){.threads = 1});
    bool known[20] = {false};
    const float data[20 * 3] = {0};
    for (int64_t size = 1; size <= KNOWN; size++) {
        must(rg_bind_shape(p, x, data, RG_SHAPE(size, 3)));
        must(rg_run(p));
        known[size] = true;
    }
    for (size_t i = 0; i < sizeof turns / sizeof *turns; i++) {
        must(rg_bind_shape(p, x, data, RG_SHAPE(turns[i].use, 3)));
        must(rg_run(p));
        known[turns[i].use] = true;
        known[turns[i].forgotten] = false;
        cr_expect_eq(p->n_specials, KNOWN);
        for (int64_t size = 0; size < 20; size++)
            cr_expect_eq(remembers(p, size), known[size], "turn %zu, size %d", i, (int)size);
    }
    rg_plan_free(p);
    rg_graph_free(g);
}
