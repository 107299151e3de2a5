/* scaling_models.c - the networks whose steps scaling.c takes apart. */
#include "scaling_models.h"

#include "../examples/networks.h"

#include <stdio.h>
#include <stdlib.h>

static rg_node *lenet(rg_node *x)
{
    return lenet_logits(x, 10, NULL);
}

static rg_node *resnet18(rg_node *x)
{
    return resnet18_logits(x, 1000);
}

/* [time, batch, features] -> [batch, 10] */
static rg_node *recurrent(rg_node *x, const rg_rnn_opts *opts)
{
    return rg_nn_linear(rg_mean(rg_nn_lstm(x, "lstm", 256, opts), RG_AXES(0), false), "out", 10, NULL);
}

static rg_node *lstm(rg_node *x)
{
    return recurrent(x, &(rg_rnn_opts){.layers = 2, .bidirectional = true});
}

static rg_node *stack(rg_node *x)
{
    return recurrent(x, &(rg_rnn_opts){.layers = 4});
}

const network networks[NETWORKS] = {
    {"lenet", "LeNet-5, batch 64", {4, {64, 1, 28, 28}}, 64, lenet},
    {"lstm", "2 x LSTM 256 in both directions, T 64, batch 32", {3, {64, 32, 128}}, 32, lstm},
    {"stack", "4 x LSTM 256, T 64, batch 8", {3, {64, 8, 128}}, 8, stack},
    {"resnet18", "ResNet-18, 224 x 224, batch 8", {4, {8, 3, 224, 224}}, 8, resnet18},
};

bool model_new(model *m, const network *n)
{
    *m = (model){.name = n->name, .g = rg_graph_new(NULL)};
    m->x = rg_input(m->g, "x", RG_F32, n->x);
    m->t = rg_input(m->g, "t", RG_I64, RG_SHAPE(n->batch));
    m->loss = rg_cross_entropy(n->logits(m->x), m->t, NULL);
    m->step = rg_sgd(m->loss, &(rg_sgd_opts){.lr = 1e-4});
    if (rg_graph_error(m->g)) {
        fprintf(stderr, "%s: %s\n", m->name, rg_graph_error(m->g));
        return false;
    }
    const int64_t size = rg_shape_count(n->x);
    m->data = malloc((size_t)size * sizeof *m->data);
    m->labels = malloc((size_t)n->batch * sizeof *m->labels);
    for (int64_t i = 0; m->data && i < size; i++)
        m->data[i] = (float)(i * 7919 % 2003) / 1001 - 1;
    for (int64_t i = 0; m->labels && i < n->batch; i++)
        m->labels[i] = i * 7 % 10;
    return m->data && m->labels;
}

void model_free(model *m)
{
    rg_graph_free(m->g);
    free(m->data);
    free(m->labels);
}

rg_plan *plan_for(const model *m, int threads)
{
    rg_plan *p = rg_compile(m->g, RG_NODES(m->loss, m->step), &(rg_plan_opts){.threads = threads});
    if (p && !rg_bind(p, m->x, m->data) && !rg_bind(p, m->t, m->labels) && !rg_plan_prepare(p))
        return p;
    fprintf(stderr, "%s: %s\n", m->name, p ? rg_last_error() : rg_graph_error(m->g));
    rg_plan_free(p);
    return NULL;
}
