/* peak.c - how many f32 operations a second the cores can do at all: independent fused multiply-adds on registers of the
   widest vectors there are. */
#include "workload.h"

#include <stdlib.h>

#define STEPS 100000 /* rounds of the loop in a measured step */
#define CHAINS 12    /* independent sums: more than latency times throughput */

#if defined(__x86_64__)

/* The sums are named variables and the instruction is written out, so that nothing is moved to memory or folded. */
#define CHAINS_DO(M) M(0) M(1) M(2) M(3) M(4) M(5) M(6) M(7) M(8) M(9) M(10) M(11)
#define ADD_TO(i) __asm__ volatile("vfmadd213ps %2, %1, %0" : "+v"(sum##i) : "v"(x), "v"(y));

typedef float v8 __attribute__((vector_size(32)));
typedef float v16 __attribute__((vector_size(64)));

__attribute__((target("avx512f"))) static void multiply_add_512(void)
{
    const v16 x = (v16){0} + 0.999999f, y = (v16){0} + 1e-9f;
#define DECLARE(i) v16 sum##i = {0};
    CHAINS_DO(DECLARE)
#undef DECLARE
    for (long k = 0; k < STEPS; k++) {
        CHAINS_DO(ADD_TO)
    }
}

__attribute__((target("avx2,fma"))) static void multiply_add_256(void)
{
    const v8 x = (v8){0} + 0.999999f, y = (v8){0} + 1e-9f;
#define DECLARE(i) v8 sum##i = {0};
    CHAINS_DO(DECLARE)
#undef DECLARE
    for (long k = 0; k < STEPS; k++) {
        CHAINS_DO(ADD_TO)
    }
}

static int lanes(void)
{
    return __builtin_cpu_supports("avx512f") ? 16 : __builtin_cpu_supports("fma") ? 8 : 0;
}

static void multiply_add(void)
{
    if (lanes() == 16)
        multiply_add_512();
    else if (lanes() == 8)
        multiply_add_256();
}

#else

static int lanes(void)
{
    return 0;
}

static void multiply_add(void)
{
}

#endif

double peak_flops(void)
{
    return 2.0 * lanes() * CHAINS * STEPS;
}

double peak_run(void *threads, int64_t steps)
{
    (void)threads; /* without OpenMP */
    if (lanes() == 0)
        return -1;
    const double start = seconds_now();
#pragma omp parallel num_threads(*(const int *)threads)
    for (int64_t i = 0; i < steps; i++)
        multiply_add();
    return seconds_now() - start;
}
