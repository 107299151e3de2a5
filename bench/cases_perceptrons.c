/* cases_perceptrons.c - whole training steps of perceptrons. */
#include "perceptron.h"
#include "rivals/onednn.h"

#include <stdio.h>

static const perceptron rows[] = {
    {"xor", 2, {2, 4, 1}, 4, TANH, SQUARED_ERROR},
    {"mlp64", 3, {784, 512, 512, 10}, 64, RELU, CROSS_ENTROPY},
    {"mlp256", 3, {784, 512, 512, 10}, 256, RELU, CROSS_ENTROPY},
    {"autoencoder", 8, {784, 1000, 500, 250, 30, 250, 500, 1000, 784}, 128, SIGMOID, RECONSTRUCTION},
};

static double flops(const void *row)
{
    const perceptron *w = row;
    double flops = 0;
    for (int i = 0; i < w->layers; i++) /* the input needs no gradient */
        flops += (i > 0 ? 6.0 : 4.0) * w->batch * w->width[i] * w->width[i + 1];
    return flops;
}

static const char *torch(const perceptron *w, int threads, const char *mode, contestant *out)
{
    static const char *const activations[] = {"tanh", "relu", "sigmoid"};
    static const char *const objectives[] = {"cross_entropy", "squared_error", "reconstruction"};
    char request[256];
    int used = snprintf(request, sizeof request, "perceptron %s %s %s %d", mode, activations[w->hidden],
                        objectives[w->objective], w->batch);
    for (int i = 0; i <= w->layers; i++)
        used += snprintf(request + used, sizeof request - (size_t)used, " %d", w->width[i]);
    return torch_start(threads, request, out);
}

static const char *torch_eager(const void *row, int threads, contestant *out)
{
    return torch(row, threads, "eager", out);
}

static const char *torch_script(const void *row, int threads, contestant *out)
{
    return torch(row, threads, "script", out);
}

const bench_group cases_perceptrons = {
    .name = "perceptrons",
    .title = "Training steps of perceptrons: forward, loss, backward, SGD",
    BENCH_ROWS(rows),
    .ours = perceptron_ours,
    .rivals = {{"oneDNN by hand", ONEDNN(perceptron_onednn)},
               {"PyTorch", torch_eager},
               {"PyTorch script", torch_script}},
    .flops = flops,
};
