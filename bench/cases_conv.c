/* cases_conv.c - convolutions of well-known networks, forward and both gradients. Ours takes and gives planes, [N, C,
   H, W]; oneDNN is given the layouts that it likes best, too, and is not charged for bringing anything into them. */
#include "conv.h"
#include "rivals/onednn.h"

#include <stdio.h>

#define PASSES(name, ...)                                                            \
    {name " fwd", __VA_ARGS__, FORWARD}, {name " data", __VA_ARGS__, BACKWARD_DATA}, \
    {                                                                                \
        name " weights", __VA_ARGS__, BACKWARD_WEIGHTS                               \
    }

static const conv_row rows[] = {
    PASSES("lenet1 b64", 64, 1, 28, 6, 5, 1, 2, 1),
    PASSES("lenet2 b64", 64, 6, 14, 16, 5, 1, 0, 1),
    PASSES("mnist1 b64", 64, 1, 28, 32, 3, 1, 0, 1),
    PASSES("mnist2 b64", 64, 32, 26, 32, 3, 1, 0, 1),
    PASSES("alex1 b16", 16, 3, 224, 64, 11, 4, 2, 1),
    PASSES("alex2 b16", 16, 64, 27, 192, 5, 1, 2, 1),
    PASSES("alex3 b16", 16, 192, 13, 384, 3, 1, 1, 1),
    PASSES("alex4 b16", 16, 384, 13, 256, 3, 1, 1, 1),
    PASSES("alex5 b16", 16, 256, 13, 256, 3, 1, 1, 1),
    PASSES("stem7 b8", 8, 3, 224, 64, 7, 2, 3, 1),
    PASSES("res56 b8", 8, 64, 56, 64, 3, 1, 1, 1),
    PASSES("res28 b8", 8, 128, 28, 128, 3, 1, 1, 1),
    PASSES("res14 b8", 8, 256, 14, 256, 3, 1, 1, 1),
    PASSES("res7 b8", 8, 512, 7, 512, 3, 1, 1, 1),
    PASSES("res56/2 b8", 8, 64, 56, 128, 3, 2, 1, 1),
    PASSES("1x1 28 b16", 16, 128, 28, 128, 1, 1, 0, 1),
    PASSES("1x1 56 b8", 8, 64, 56, 256, 1, 1, 0, 1),
    PASSES("1x1/2 56 b8", 8, 64, 56, 128, 1, 2, 0, 1),
    PASSES("depth28 b16", 16, 128, 28, 128, 3, 1, 1, 128),
    PASSES("depth56 b16", 16, 64, 56, 64, 3, 1, 1, 64),
    PASSES("groups28 b16", 16, 128, 28, 128, 3, 1, 1, 4),
    PASSES("alex2/2 b16", 16, 96, 27, 256, 5, 1, 2, 2),
    PASSES("resnext56 b8", 8, 128, 56, 128, 3, 1, 1, 32),
    PASSES("resnext14 b8", 8, 512, 14, 512, 3, 1, 1, 32),
    /* backwards by the data a transposed convolution: 128 channels of 16 x 16 become 64 of 32 x 32 */
    PASSES("up16 b16", 16, 64, 32, 128, 4, 2, 1, 1),
    PASSES("up7 b64", 64, 16, 14, 32, 4, 2, 1, 1),
};

static double flops(const void *row)
{
    const conv_row *r = row;
    const double pixels = (double)conv_size(r) * conv_size(r);
    const int terms = r->channels / r->groups * r->kernel * r->kernel;
    return 2.0 * r->batch * r->outputs * pixels * terms;
}

static double bytes(const void *row)
{
    const conv_row *r = row;
    const double x = (double)r->batch * r->channels * r->size * r->size,
                 y = (double)r->batch * r->outputs * conv_size(r) * conv_size(r);
    const int terms = r->channels / r->groups * r->kernel * r->kernel;
    return 4.0 * (x + y + (double)r->outputs * terms);
}

static float *numbers(const rg_shape *shape)
{
    int64_t n = 1;
    for (int i = 0; i < shape->rank; i++)
        n *= shape->dim[i];
    return bench_floats(n, -0.5f, 0.5f);
}

static const char *ours(const void *row, int threads, contestant *out)
{
    const conv_row *r = row;
    const rg_shape xs = RG_SHAPE(r->batch, r->channels, r->size, r->size),
                   ws = RG_SHAPE(r->outputs, r->channels / r->groups, r->kernel, r->kernel),
                   us = RG_SHAPE(r->batch, r->outputs, conv_size(r), conv_size(r));
    rg_graph *g = rg_graph_new(NULL);
    rg_node *x = rg_input(g, "x", RG_F32, xs), *w = rg_input(g, "w", RG_F32, ws), *u = rg_input(g, "u", RG_F32, us);
    rg_node *y = rg_conv2d(
        x, w, NULL, &(rg_conv_opts){.stride = {r->stride, r->stride}, .pad = {r->pad, r->pad}, .groups = r->groups});
    if (r->pass != FORWARD)
        y = rg_at(rg_vjp(RG_NODES(y), RG_NODES(u), RG_NODES(r->pass == BACKWARD_DATA ? x : w)), 0);
    bench_plan *p = bench_plan_new(g, RG_NODES(y), y, threads);
    if (r->pass != BACKWARD_DATA)
        bench_plan_bind(p, x, numbers(&xs));
    if (r->pass != BACKWARD_WEIGHTS)
        bench_plan_bind(p, w, numbers(&ws));
    if (r->pass != FORWARD)
        bench_plan_bind(p, u, numbers(&us));
    return bench_plan_start(p, out);
}

static const char *torch(const void *row, int threads, contestant *out)
{
    static const char *const passes[] = {"fwd", "data", "weights"};
    const conv_row *r = row;
    char request[160];
    snprintf(request, sizeof request, "conv %s %d %d %d %d %d %d %d %d", passes[r->pass], r->batch, r->channels,
             r->size, r->outputs, r->kernel, r->stride, r->pad, r->groups);
    return torch_start(threads, request, out);
}

const bench_group cases_conv = {
    .name = "conv",
    .title = "Convolutions and their gradients, f32",
    BENCH_ROWS(rows),
    .ours = ours,
    .rivals = {{"oneDNN any", ONEDNN(conv_onednn_any)},
               {"oneDNN nhwc", ONEDNN(conv_onednn_pixels)},
               {"oneDNN nchw", ONEDNN(conv_onednn_planes)},
               {"PyTorch", torch}},
    .flops = flops,
    .bytes = bytes,
};
