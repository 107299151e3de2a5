/* scaling_models.c - the networks whose steps scaling.c takes apart. */
#include "scaling_models.h"

#include <stdio.h>
#include <stdlib.h>

rg_node *lenet(model *m)
{
    const rg_pool_opts halve = {.window = {2, 2}};
    m->x = rg_input(m->g, "x", RG_F32, RG_SHAPE(64, 1, 28, 28));
    m->t = rg_input(m->g, "t", RG_I64, RG_SHAPE(64));
    rg_node *h = rg_relu(rg_nn_conv2d(m->x, "conv1", 6, &(rg_conv_opts){.kernel = {5, 5}, .pad = {2, 2}}));
    h = rg_relu(rg_nn_conv2d(rg_max_pool2d(h, &halve), "conv2", 16, &(rg_conv_opts){.kernel = {5, 5}}));
    h = rg_relu(rg_nn_linear(rg_flatten(rg_max_pool2d(h, &halve), 1), "fc1", 120, NULL));
    return rg_nn_linear(rg_relu(rg_nn_linear(h, "fc2", 84, NULL)), "fc3", 10, NULL);
}

static rg_node *norm(model *m, rg_node *x, const char *name, int64_t channels)
{
    char weight[48], bias[48];
    snprintf(weight, sizeof weight, "%s.weight", name);
    snprintf(bias, sizeof bias, "%s.bias", name);
    return rg_batch_norm(x, rg_param(m->g, weight, RG_F32, RG_SHAPE(channels), NULL),
                         rg_param(m->g, bias, RG_F32, RG_SHAPE(channels), NULL), 1e-5);
}

static rg_node *block(model *m, rg_node *x, const char *name, int64_t channels, int64_t stride, bool wider)
{
    char part[4][40];
    for (int i = 0; i < 4; i++)
        snprintf(part[i], sizeof part[i], "%s.%s", name, (const char *[]){"conv1", "conv2", "down", "norm"}[i]);
    const rg_conv_opts first = {.kernel = {3, 3}, .stride = {stride, stride}, .pad = {1, 1}, .no_bias = true},
                       second = {.kernel = {3, 3}, .pad = {1, 1}, .no_bias = true},
                       down = {.kernel = {1, 1}, .stride = {stride, stride}, .no_bias = true};
    char name1[48], name2[48], name3[48];
    snprintf(name1, sizeof name1, "%s1", part[3]);
    snprintf(name2, sizeof name2, "%s2", part[3]);
    snprintf(name3, sizeof name3, "%s3", part[3]);
    rg_node *h = rg_relu(norm(m, rg_nn_conv2d(x, part[0], channels, &first), name1, channels));
    h = norm(m, rg_nn_conv2d(h, part[1], channels, &second), name2, channels);
    rg_node *beside = wider ? norm(m, rg_nn_conv2d(x, part[2], channels, &down), name3, channels) : x;
    return rg_relu(rg_add(h, beside));
}

rg_node *resnet18(model *m)
{
    m->x = rg_input(m->g, "x", RG_F32, RG_SHAPE(8, 3, 224, 224));
    m->t = rg_input(m->g, "t", RG_I64, RG_SHAPE(8));
    const rg_conv_opts stem = {.kernel = {7, 7}, .stride = {2, 2}, .pad = {3, 3}, .no_bias = true};
    rg_node *h = rg_relu(norm(m, rg_nn_conv2d(m->x, "conv1", 64, &stem), "norm1", 64));
    h = rg_max_pool2d(h, &(rg_pool_opts){.window = {3, 3}, .stride = {2, 2}, .pad = {1, 1}});
    for (int layer = 0; layer < 4; layer++)
        for (int i = 0; i < 2; i++) {
            char name[24];
            snprintf(name, sizeof name, "layer%d.%d", layer + 1, i);
            h = block(m, h, name, (int64_t)64 << layer, layer && !i ? 2 : 1, layer && !i);
        }
    return rg_nn_linear(rg_mean(h, RG_AXES(2, 3), false), "fc", 1000, NULL);
}

rg_node *stack(model *m)
{
    m->x = rg_input(m->g, "x", RG_F32, RG_SHAPE(64, 8, 128));
    m->t = rg_input(m->g, "t", RG_I64, RG_SHAPE(8));
    rg_node *h = rg_nn_lstm(m->x, "lstm", 256, &(rg_rnn_opts){.layers = 4});
    return rg_nn_linear(rg_mean(h, RG_AXES(0), false), "out", 10, NULL);
}

rg_node *lstm(model *m)
{
    m->x = rg_input(m->g, "x", RG_F32, RG_SHAPE(64, 32, 128));
    m->t = rg_input(m->g, "t", RG_I64, RG_SHAPE(32));
    rg_node *h = rg_nn_lstm(m->x, "lstm", 256, &(rg_rnn_opts){.layers = 2, .bidirectional = true});
    return rg_nn_linear(rg_mean(h, RG_AXES(0), false), "out", 10, NULL);
}

bool model_new(model *m, const char *name, rg_node *(*network)(model *m))
{
    *m = (model){.name = name, .g = rg_graph_new(NULL)};
    rg_node *logits = network(m);
    m->loss = rg_cross_entropy(logits, m->t, NULL);
    m->step = rg_sgd(m->loss, &(rg_sgd_opts){.lr = 1e-4});
    if (rg_graph_error(m->g)) {
        fprintf(stderr, "%s: %s\n", name, rg_graph_error(m->g));
        return false;
    }
    const rg_shape x = rg_shape_of(m->x), t = rg_shape_of(m->t);
    const int64_t n = rg_shape_count(x);
    m->data = malloc((size_t)n * sizeof *m->data);
    m->labels = malloc((size_t)rg_shape_count(t) * sizeof *m->labels);
    for (int64_t i = 0; m->data && i < n; i++)
        m->data[i] = (float)(i * 7919 % 2003) / 1001 - 1;
    for (int64_t i = 0; m->labels && i < rg_shape_count(t); i++)
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
