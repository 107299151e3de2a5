/* cases_short.c - training steps of a few microseconds, where a second thread may cost more than it does. */
#include "perceptron.h"

static const perceptron rows[] = {
    {"64-64-64-10 b4", 3, {64, 64, 64, 10}, 4, RELU, CROSS_ENTROPY},
    {"64-64-64-10 b16", 3, {64, 64, 64, 10}, 16, RELU, CROSS_ENTROPY},
    {"64-64-64-10 b64", 3, {64, 64, 64, 10}, 64, RELU, CROSS_ENTROPY},
    {"128-128-128-10 b16", 3, {128, 128, 128, 10}, 16, RELU, CROSS_ENTROPY},
    {"256-256-256-10 b16", 3, {256, 256, 256, 10}, 16, RELU, CROSS_ENTROPY},
};

/* Ours, on one thread. */
static const char *alone(const void *row, int threads, contestant *out)
{
    return threads == 1 ? BENCH_NOT_MEANT : perceptron_ours(row, 1, out);
}

const bench_group cases_short = {
    .name = "short",
    .title = "Short training steps of perceptrons, beside the same on one thread",
    BENCH_ROWS(rows),
    .ours = perceptron_ours,
    .rivals = {{"one thread", alone}},
};
