/* vision.c - networks of convolutions with Retrograde: those of the examples, AlexNet in one tower without dropout. */
#include "vision.h"

#include "../examples/networks.h"

#include <stdio.h>

const char *const vision_names[] = {"lenet", "mnistcnn", "alexnet", "resnet18"};

static bool small(const vision_row *row)
{
    return row->network <= MNISTCNN;
}

static int classes_of(const vision_row *row)
{
    return small(row) ? 10 : 1000;
}

static rg_node *logits_of(const vision_row *row, rg_node *image)
{
    switch (row->network) {
    case LENET:
        return lenet_logits(image, classes_of(row), NULL);
    case MNISTCNN:
        return mnistcnn_logits(image, classes_of(row));
    case ALEXNET:
        return alexnet_tower_logits(image, classes_of(row));
    case RESNET18:
        return resnet18_logits(image, classes_of(row));
    }
    return NULL;
}

/* What a row fetches: the loss and the step, or the logits. */
typedef struct model {
    rg_graph *g;
    rg_node *image, *labels, *fetch[2];
    size_t n;
} model;

static model build(const vision_row *row, int training)
{
    model m = {.g = rg_graph_new(NULL), .n = training ? 2 : 1};
    m.image =
        rg_input(m.g, "x", RG_F32, small(row) ? RG_SHAPE(row->batch, 1, 28, 28) : RG_SHAPE(row->batch, 3, 224, 224));
    m.fetch[0] = logits_of(row, m.image);
    if (training) {
        m.labels = rg_input(m.g, "labels", RG_I64, RG_SHAPE(row->batch));
        m.fetch[0] = rg_cross_entropy(m.fetch[0], m.labels, NULL);
        m.fetch[1] = rg_sgd(m.fetch[0], &(rg_sgd_opts){.lr = 0.01});
    }
    return m;
}

double vision_flops(const vision_row *row, int training)
{
    const model m = build(row, training);
    rg_plan *p =
        rg_compile(m.g, (rg_nodes){m.fetch, m.n}, &(rg_plan_opts){.threads = 1, .mode = training ? RG_TRAIN : RG_EVAL});
    rg_estimate estimate = {.flops = 0};
    const double flops = p && !rg_plan_estimate(p, NULL, &estimate) ? estimate.flops : 0;
    rg_plan_free(p);
    rg_graph_free(m.g);
    return flops;
}

const char *vision_start(const vision_row *row, int threads, int training, contestant *out)
{
    const model m = build(row, training);
    bench_plan *p = bench_plan_new(m.g, (rg_nodes){m.fetch, m.n}, m.fetch[0], threads);
    if (p)
        bench_plan_bind(p, m.image, bench_floats(rg_shape_count(rg_shape_of(m.image)), -1, 1));
    if (p && training)
        bench_plan_bind(p, m.labels, bench_labels(row->batch, classes_of(row)));
    return bench_plan_start(p, out);
}

const char *vision_torch(const vision_row *row, int threads, int training, const char *layout, contestant *out)
{
    char request[96];
    snprintf(request, sizeof request, "vision %s %d %s %s", vision_names[row->network], row->batch,
             training ? "train" : "infer", layout);
    return torch_start(threads, request, out);
}
