/* ours.c - the workloads with Retrograde, written as a user would. */
#include "workload.h"

#include <retrograde/retrograde.h>

#include <stdio.h>
#include <stdlib.h>

struct ours {
    rg_graph *graph;
    rg_plan *plan;
    rg_node *loss;
    float *x, *y;
    int64_t *labels;
};

static void finish(void *state)
{
    struct ours *o = state;
    rg_plan_free(o->plan);
    rg_graph_free(o->graph);
    free(o->x);
    free(o->y);
    free(o->labels);
    free(o);
}

static double run(void *state, int64_t steps)
{
    const struct ours *o = state;
    const double start = seconds_now();
    for (int64_t i = 0; i < steps; i++)
        if (rg_run(o->plan))
            return -1;
    const double seconds = seconds_now() - start;
    return workload_finite(*(const float *)rg_data(o->plan, o->loss)) ? seconds : -1;
}

static rg_node *activate(rg_node *x, activation a)
{
    switch (a) {
    case TANH:
        return rg_tanh(x);
    case RELU:
        return rg_relu(x);
    case SIGMOID:
        return rg_sigmoid(x);
    }
    return NULL;
}

static rg_node *network(rg_node *x, const workload *w)
{
    for (int i = 0; i < w->layers; i++) {
        char name[16];
        snprintf(name, sizeof name, "fc%d", i + 1);
        x = rg_nn_linear(x, name, w->width[i + 1], NULL);
        if (i + 1 < w->layers)
            x = activate(x, w->hidden);
    }
    return w->objective == CROSS_ENTROPY ? x : rg_sigmoid(x);
}

const char *retrograde_start(const workload *w, int threads, contestant *out)
{
    struct ours *o = calloc(1, sizeof *o);
    if (!o)
        return "out of memory";
    const int64_t batch = w->batch, inputs = w->width[0], outputs = w->width[w->layers];
    o->x = malloc(sizeof(float) * (size_t)(batch * inputs));
    o->y = malloc(sizeof(float) * (size_t)(batch * outputs));
    o->labels = malloc(sizeof(int64_t) * (size_t)batch);
    o->graph = rg_graph_new(NULL);
    if (!o->x || !o->y || !o->labels || !o->graph) {
        finish(o);
        return "out of memory";
    }
    workload_values(o->x, batch * inputs);
    workload_values(o->y, batch * outputs);
    workload_labels(o->labels, batch, (int)outputs);

    rg_graph *g = o->graph;
    rg_node *x = rg_input(g, "x", RG_F32, RG_SHAPE(batch, inputs));
    rg_node *output = network(x, w), *target = x;
    if (w->objective == CROSS_ENTROPY) {
        target = rg_input(g, "labels", RG_I64, RG_SHAPE(batch));
        o->loss = rg_cross_entropy(output, target, NULL);
    } else {
        if (w->objective == SQUARED_ERROR)
            target = rg_input(g, "y", RG_F32, RG_SHAPE(batch, outputs));
        o->loss = rg_mse_loss(output, target, NULL);
    }
    rg_node *step = rg_sgd(o->loss, &(rg_sgd_opts){.lr = 0.01});
    o->plan = rg_compile(g, RG_NODES(o->loss, step), &(rg_plan_opts){.threads = threads});
    if (!o->plan || rg_bind(o->plan, x, o->x) ||
        (target != x &&
         rg_bind(o->plan, target, w->objective == CROSS_ENTROPY ? (const void *)o->labels : (const void *)o->y)) ||
        rg_run(o->plan)) {
        fprintf(stderr, "bench: %s: %s\n", w->name, o->plan ? rg_last_error() : rg_graph_error(g));
        finish(o);
        return "an error";
    }
    *out = (contestant){.name = "retrograde", .run = run, .finish = finish, .state = o};
    return NULL;
}
