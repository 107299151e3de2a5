/* data.c - what all contestants use: numbers to work on, the clock. */
#define _DEFAULT_SOURCE

#include "bench.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>

double seconds_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

float *bench_floats(int64_t n, float low, float high)
{
    const size_t bytes = sizeof(float) * (size_t)n, huge = (size_t)2 << 20, page = bytes >= huge ? huge : 64;
    float *p = aligned_alloc(page, (bytes + page - 1) / page * page + (bytes == 0) * page);
    if (!p)
        return NULL;
#ifdef MADV_HUGEPAGE
    if (page == huge)
        madvise(p, bytes, MADV_HUGEPAGE);
#endif
    for (int64_t i = 0; i < n; i++)
        p[i] = low + (high - low) * ((float)(i * 7919 % 2003) / 2003.0f);
    return p;
}

int64_t *bench_labels(int64_t n, int classes)
{
    int64_t *p = malloc(sizeof *p * (size_t)(n ? n : 1));
    for (int64_t i = 0; p && i < n; i++)
        p[i] = i * 7 % classes;
    return p;
}
