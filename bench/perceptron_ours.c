/* perceptron_ours.c - perceptrons with Retrograde, written as a user would. */
#include "perceptron.h"

#include <math.h>
#include <stdio.h>

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

static rg_node *network(rg_node *x, const perceptron *w)
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

int perceptron_finite(float loss)
{
    return isfinite(loss);
}

const char *perceptron_ours(const void *row, int threads, contestant *out)
{
    const perceptron *w = row;
    const int64_t batch = w->batch, inputs = w->width[0], outputs = w->width[w->layers];
    rg_graph *g = rg_graph_new(NULL);
    rg_node *x = rg_input(g, "x", RG_F32, RG_SHAPE(batch, inputs));
    rg_node *output = network(x, w), *target = x, *loss;
    if (w->objective == CROSS_ENTROPY) {
        target = rg_input(g, "labels", RG_I64, RG_SHAPE(batch));
        loss = rg_cross_entropy(output, target, NULL);
    } else {
        if (w->objective == SQUARED_ERROR)
            target = rg_input(g, "y", RG_F32, RG_SHAPE(batch, outputs));
        loss = rg_mse_loss(output, target, NULL);
    }
    rg_node *step = rg_sgd(loss, &(rg_sgd_opts){.lr = 0.01});
    bench_plan *p = bench_plan_new(g, RG_NODES(loss, step), loss, threads);
    bench_plan_bind(p, x, bench_floats(batch * inputs, 0, 1));
    if (target != x)
        bench_plan_bind(p, target,
                        w->objective == CROSS_ENTROPY ? (void *)bench_labels(batch, (int)outputs)
                                                      : (void *)bench_floats(batch * outputs, 0, 1));
    return bench_plan_start(p, out);
}
