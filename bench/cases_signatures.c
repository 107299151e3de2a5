/* cases_signatures.c - training steps with a named size that is another one every time: what it costs to plan for it. A
   row's time is that of one step of the plan, loops counted once. */
#include "bench.h"

#include "../examples/networks.h"

#include <stdio.h>
#include <stdlib.h>

#define KNOWN 16 /* sizes that a plan remembers */
#define SIZES 40

typedef struct signature {
    const char *name;
    rg_node *(*logits)(rg_node *x); /* x: the first axis has the name */
    rg_shape x;
    bool by_time; /* the name is that of the time: the labels have the second axis of x instead */
    bool evict;   /* every size takes the place of one that is forgotten */
} signature;

static rg_node *perceptron(rg_node *x)
{
    rg_node *h = rg_tanh(rg_nn_linear(x, "fc1", 128, NULL));
    h = rg_relu(rg_nn_linear(h, "fc2", 64, NULL));
    return rg_nn_linear(h, "fc3", 10, NULL);
}

static rg_node *lstm(rg_node *x)
{
    rg_node *h = rg_nn_lstm(x, "lstm", 32, &(rg_rnn_opts){.layers = 2, .bidirectional = true});
    return rg_nn_linear(rg_mean(h, RG_AXES(0), false), "out", 10, NULL);
}

static rg_node *lenet(rg_node *x)
{
    return lenet_logits(x, 10, NULL);
}

static rg_node *resnet18(rg_node *x)
{
    return resnet18_logits(x, 10);
}

#define MLP .logits = perceptron, .x = {2, {0, 784}}
#define LENET .logits = lenet, .x = {4, {0, 1, 28, 28}}
#define LSTM .logits = lstm, .x = {3, {0, 8, 24}}, .by_time = true
#define RESNET .logits = resnet18, .x = {4, {0, 3, 64, 64}}

static const signature rows[] = {
    {"mlp", MLP},
    {"mlp, forgetting", MLP, .evict = true},
    {"lenet", LENET},
    {"lenet, forgetting", LENET, .evict = true},
    {"lstm", LSTM},
    {"lstm, forgetting", LSTM, .evict = true},
    {"resnet18, forgetting", RESNET, .evict = true},
};

typedef struct running {
    const signature *row;
    rg_graph *g;
    rg_node *x, *t;
    rg_plan *first, *p;
    double plan_steps;
    int next;
} running;

static bool prepare(const running *r, rg_plan *p, int64_t size)
{
    rg_shape x = r->row->x;
    x.dim[0] = size;
    const rg_shape t = RG_SHAPE(x.dim[r->row->by_time]);
    return !rg_bind_shape(p, r->x, NULL, x) && !rg_bind_shape(p, r->t, NULL, t) && !rg_plan_prepare(p);
}

static double run(void *state, int64_t steps)
{
    running *r = state;
    double seconds = 0;
    for (int64_t i = 0; i < steps; i++) {
        if (!r->row->evict && r->next % KNOWN == 0) { /* one that has seen nothing but the largest */
            rg_plan_free(r->p);
            r->p = rg_plan_fork(r->first);
            r->next = 1;
            if (!r->p || !prepare(r, r->p, SIZES))
                return -1;
        }
        const double start = seconds_now();
        if (!prepare(r, r->p, r->row->evict ? 1 + r->next % SIZES : r->next))
            return -1;
        seconds += seconds_now() - start;
        r->next++;
    }
    return seconds / r->plan_steps;
}

static void finish(void *state)
{
    running *r = state;
    rg_plan_free(r->p);
    rg_plan_free(r->first);
    rg_graph_free(r->g);
    free(r);
}

static const char *ours(const void *row, int threads, contestant *out)
{
    running *r = calloc(1, sizeof *r);
    if (!r)
        return "ours: out of memory";
    r->row = row;
    r->g = rg_graph_new(NULL);
    const int64_t name = rg_dim(r->g, "size");
    rg_shape x = r->row->x;
    x.dim[0] = name;
    r->x = rg_input(r->g, "x", RG_F32, x);
    r->t = rg_input(r->g, "t", RG_I64, RG_SHAPE(x.dim[r->row->by_time]));
    rg_node *loss = rg_cross_entropy(r->row->logits(r->x), r->t, NULL),
            *step = rg_adam(loss, &(rg_adam_opts){.lr = 1e-3});
    r->first = rg_compile(r->g, RG_NODES(loss, step), &(rg_plan_opts){.threads = threads});
    r->p = r->first ? rg_plan_fork(r->first) : NULL;
    rg_estimate estimate = {0};
    *out = (contestant){run, finish, r};
    if (r->p && prepare(r, r->p, 1) && !rg_plan_estimate(r->p, NULL, &estimate)) {
        r->plan_steps = (double)estimate.steps;
        if (run(r, 2 * SIZES) >= 0)
            return NULL;
    }
    fprintf(stderr, "bench: %s\n", r->p ? rg_last_error() : rg_graph_error(r->g));
    finish(r);
    return "ours: an error, see above";
}

const bench_group cases_signatures = {
    .name = "signatures",
    .title = "Planning for sizes not seen before: time of one step of the plan",
    BENCH_ROWS(rows),
    .ours = ours,
};
