/* vision.c - networks of convolutions with Retrograde, written as a user would: LeNet-5, the small network of KANN's MNIST
   example, AlexNet in one tower without dropout, ResNet-18. */
#include "vision.h"

#include <stdio.h>
#include <string.h>

const char *const vision_names[] = {"lenet", "mnistcnn", "alexnet", "resnet18"};

/* What is being built; `flops` of the forward pass grow with it. */
typedef struct building {
    rg_graph *g;
    bool training;
    double flops, first; /* first: of the first convolution, whose input needs no gradient */
} building;

static rg_node *conv(building *b, rg_node *x, const char *name, int outputs, int kernel, int stride, int pad, bool bias)
{
    const rg_conv_opts opts = {
        .kernel = {kernel, kernel}, .stride = {stride, stride}, .pad = {pad, pad}, .no_bias = !bias};
    rg_node *y = rg_nn_conv2d(x, name, outputs, &opts);
    if (!y)
        return NULL;
    const rg_shape ys = rg_shape_of(y), xs = rg_shape_of(x);
    const double flops =
        2.0 * (double)(ys.dim[0] * ys.dim[1] * ys.dim[2] * ys.dim[3]) * (double)xs.dim[1] * kernel * kernel;
    b->first = b->flops > 0 ? b->first : flops;
    b->flops += flops;
    return y;
}

static rg_node *linear(building *b, rg_node *x, const char *name, int outputs)
{
    const rg_shape xs = rg_shape_of(x);
    b->flops += x ? 2.0 * (double)xs.dim[0] * (double)xs.dim[1] * outputs : 0;
    return rg_nn_linear(x, name, outputs, NULL);
}

static rg_node *pool(rg_node *x, int window, int stride, int pad)
{
    const rg_pool_opts opts = {.window = {window, window}, .stride = {stride, stride}, .pad = {pad, pad}};
    return rg_max_pool2d(x, &opts);
}

static rg_node *lenet(building *b, rg_node *x)
{
    x = pool(rg_relu(conv(b, x, "conv1", 6, 5, 1, 2, true)), 2, 2, 0);
    x = pool(rg_relu(conv(b, x, "conv2", 16, 5, 1, 0, true)), 2, 2, 0);
    x = rg_relu(linear(b, rg_flatten(x, 1), "fc1", 120));
    return linear(b, rg_relu(linear(b, x, "fc2", 84)), "fc3", 10);
}

static rg_node *mnistcnn(building *b, rg_node *x)
{
    x = rg_relu(conv(b, x, "conv1", 32, 3, 1, 0, true));
    x = pool(rg_relu(conv(b, x, "conv2", 32, 3, 1, 0, true)), 2, 2, 0);
    return linear(b, rg_relu(linear(b, rg_flatten(x, 1), "fc1", 128)), "fc2", 10);
}

static rg_node *alexnet(building *b, rg_node *x)
{
    x = pool(rg_relu(conv(b, x, "conv1", 64, 11, 4, 2, true)), 3, 2, 0);
    x = pool(rg_relu(conv(b, x, "conv2", 192, 5, 1, 2, true)), 3, 2, 0);
    x = rg_relu(conv(b, x, "conv3", 384, 3, 1, 1, true));
    x = rg_relu(conv(b, x, "conv4", 256, 3, 1, 1, true));
    x = pool(rg_relu(conv(b, x, "conv5", 256, 3, 1, 1, true)), 3, 2, 0);
    x = rg_relu(linear(b, rg_flatten(x, 1), "fc1", 4096));
    return linear(b, rg_relu(linear(b, x, "fc2", 4096)), "fc3", 1000);
}

/* Statistics of the batch while training, given ones afterwards. */
static rg_node *norm(building *b, rg_node *x, const char *name)
{
    const int64_t channels = rg_shape_of(x).dim[1];
    char label[48];
    rg_node *p[4];
    for (int i = 0; i < (b->training ? 2 : 4); i++) {
        static const char *const names[] = {"weight", "bias", "mean", "variance"};
        snprintf(label, sizeof label, "%s.%s", name, names[i]);
        p[i] = rg_param(b->g, label, RG_F32, RG_SHAPE(channels), &(rg_param_opts){.init = i % 3 ? RG_ZEROS : RG_ONES});
    }
    if (b->training)
        return rg_batch_norm(x, p[0], p[1], 1e-5);
    rg_node *scale = rg_mul(p[0], rg_rsqrt(rg_add_scalar(p[3], 1e-5)));
    rg_node *shift = rg_sub(p[1], rg_mul(p[2], scale));
    return rg_fma(x, rg_unsqueeze(rg_unsqueeze(scale, -1), -1), rg_unsqueeze(rg_unsqueeze(shift, -1), -1));
}

static rg_node *conv_norm(building *b, rg_node *x, const char *scope, const char *part, int outputs, int kernel,
                          int stride)
{
    char name[40];
    snprintf(name, sizeof name, "%s.conv%s", scope, part);
    x = conv(b, x, name, outputs, kernel, stride, kernel / 2, false);
    snprintf(name, sizeof name, "%s.norm%s", scope, part);
    return norm(b, x, name);
}

static rg_node *resnet18(building *b, rg_node *x)
{
    x = pool(rg_relu(conv_norm(b, x, "stem", "", 64, 7, 2)), 3, 2, 1);
    for (int i = 0; i < 8; i++) {
        char scope[16];
        const int outputs = 64 << i / 2, stride = i % 2 == 0 && i ? 2 : 1;
        snprintf(scope, sizeof scope, "block%d", i);
        rg_node *y = rg_relu(conv_norm(b, x, scope, "1", outputs, 3, stride));
        y = conv_norm(b, y, scope, "2", outputs, 3, 1);
        x = stride > 1 ? conv_norm(b, x, scope, "3", outputs, 1, stride) : x;
        x = rg_relu(rg_add(y, x));
    }
    return linear(b, rg_mean(x, RG_AXES(2, 3), false), "fc", 1000);
}

static rg_node *network_of(building *b, rg_node *x, network which)
{
    switch (which) {
    case LENET:
        return lenet(b, x);
    case MNISTCNN:
        return mnistcnn(b, x);
    case ALEXNET:
        return alexnet(b, x);
    case RESNET18:
        return resnet18(b, x);
    }
    return NULL;
}

static rg_shape images(const vision_row *row)
{
    return row->network <= MNISTCNN ? RG_SHAPE(row->batch, 1, 28, 28) : RG_SHAPE(row->batch, 3, 224, 224);
}

double vision_flops(const vision_row *row, int training)
{
    building b = {.g = rg_graph_new(NULL), .training = training != 0};
    network_of(&b, rg_input(b.g, "x", RG_F32, images(row)), row->network);
    rg_graph_free(b.g);
    return training ? 3 * b.flops - b.first : b.flops;
}

const char *vision_start(const vision_row *row, int threads, int training, contestant *out)
{
    building b = {.g = rg_graph_new(NULL), .training = training != 0};
    const rg_shape xs = images(row);
    rg_node *x = rg_input(b.g, "x", RG_F32, xs), *logits = network_of(&b, x, row->network);
    rg_node *labels = training ? rg_input(b.g, "labels", RG_I64, RG_SHAPE(row->batch)) : NULL;
    rg_node *loss = training ? rg_cross_entropy(logits, labels, NULL) : logits;
    rg_node *step = training ? rg_sgd(loss, &(rg_sgd_opts){.lr = 0.01}) : NULL;
    bench_plan *p = bench_plan_new(b.g, training ? RG_NODES(loss, step) : RG_NODES(loss), loss, threads);
    bench_plan_bind(p, x, bench_floats(xs.dim[0] * xs.dim[1] * xs.dim[2] * xs.dim[3], -1, 1));
    if (training)
        bench_plan_bind(p, labels, bench_labels(row->batch, row->network <= MNISTCNN ? 10 : 1000));
    return bench_plan_start(p, out);
}

const char *vision_torch(const vision_row *row, int threads, int training, const char *layout, contestant *out)
{
    char request[96];
    snprintf(request, sizeof request, "vision %s %d %s %s", vision_names[row->network], row->batch,
             training ? "train" : "infer", layout);
    return torch_start(threads, request, out);
}
