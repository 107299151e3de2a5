/* workload.c - what the contestants share: names, data, the clock. */
#define _POSIX_C_SOURCE 200809L

#include "workload.h"

#include <math.h>
#include <time.h>

const char *const activation_names[] = {"tanh", "relu", "sigmoid"};
const char *const objective_names[] = {"cross_entropy", "squared_error", "reconstruction"};

double workload_flops(const workload *w)
{
    double flops = 0;
    for (int i = 0; i < w->layers; i++) /* the input needs no gradient */
        flops += (i > 0 ? 6.0 : 4.0) * w->batch * w->width[i] * w->width[i + 1];
    return flops;
}

void workload_values(float *out, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        out[i] = (float)(i * 7919 % 2003) / 2003.0f;
}

void workload_labels(int64_t *out, int64_t n, int classes)
{
    for (int64_t i = 0; i < n; i++)
        out[i] = i * 7 % classes;
}

int workload_finite(float loss)
{
    return isfinite(loss);
}

double seconds_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}
