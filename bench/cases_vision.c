/* cases_vision.c - whole training steps of networks of convolutions. */
#include "vision.h"

static const vision_row rows[] = {
    {"lenet b64", LENET, 64},
    {"mnistcnn b64", MNISTCNN, 64},
    {"alexnet b16", ALEXNET, 16},
    {"resnet18 b8", RESNET18, 8},
};

static double flops(const void *row)
{
    return vision_flops(row, 1);
}

static const char *ours(const void *row, int threads, contestant *out)
{
    return vision_start(row, threads, 1, out);
}

static const char *torch_planes(const void *row, int threads, contestant *out)
{
    return vision_torch(row, threads, 1, "nchw", out);
}

static const char *torch_pixels(const void *row, int threads, contestant *out)
{
    return vision_torch(row, threads, 1, "nhwc", out);
}

const bench_group cases_vision = {
    .name = "vision",
    .title = "Training steps of networks of convolutions: forward, loss, backward, SGD",
    BENCH_ROWS(rows),
    .ours = ours,
    .rivals = {{"PyTorch", torch_planes}, {"PyTorch nhwc", torch_pixels}},
    .flops = flops,
};
