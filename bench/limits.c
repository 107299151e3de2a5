/* limits.c - what the machine can do at all: f32 operations a second, by independent fused multiply-adds on registers
   of the widest vectors that the library may use, and bytes a second, by copies. */
#include "bench.h"

#include <stdlib.h>
#include <string.h>
#if defined(__SSE2__)
#include <immintrin.h>
#endif

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

/* RETROGRADE_ISA limits the library, and so what its share is a share of. */
static int lanes(void)
{
    const char *isa = getenv("RETROGRADE_ISA");
    const int most = isa && strcmp(isa, "generic") == 0 ? 0 : isa && strcmp(isa, "avx2") == 0 ? 8 : 16;
    if (most >= 16 && __builtin_cpu_supports("avx512f"))
        return 16;
    return most >= 8 && __builtin_cpu_supports("fma") ? 8 : 0;
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

/* ---- memory ---- */

struct copy {
    float *from, *to;
    size_t n;
    int threads, past_caches;
};

static void copy_part(const struct copy *c, size_t lo, size_t hi)
{
#if defined(__SSE2__)
    if (c->past_caches) {
        for (size_t i = lo; i + 4 <= hi; i += 4)
            _mm_stream_ps(c->to + i, _mm_load_ps(c->from + i));
        _mm_sfence();
        return;
    }
#endif
    memcpy(c->to + lo, c->from + lo, sizeof(float) * (hi - lo));
}

static double copy_run(void *state, int64_t steps)
{
    const struct copy *c = state;
    const double start = seconds_now();
    for (int64_t i = 0; i < steps; i++) {
#pragma omp parallel for schedule(static) num_threads(c->threads)
        for (int t = 0; t < c->threads; t++) {
            const size_t part = (c->n / (size_t)c->threads + 63) / 64 * 64, lo = part * (size_t)t;
            if (lo < c->n)
                copy_part(c, lo, lo + part < c->n ? lo + part : c->n);
        }
    }
    return seconds_now() - start;
}

static void copy_finish(void *state)
{
    struct copy *c = state;
    free(c->from);
    free(c->to);
    free(c);
}

const char *memory_start(double bytes, int threads, int past_caches, contestant *out)
{
    struct copy *c = calloc(1, sizeof *c);
    if (!c)
        return "copy: out of memory";
    c->n = (size_t)(bytes / 2 / sizeof(float));
    c->from = bench_floats((int64_t)c->n, 0, 1);
    c->to = bench_floats((int64_t)c->n, 0, 1);
    c->threads = threads;
    c->past_caches = past_caches;
    if (!c->from || !c->to) {
        copy_finish(c);
        return "copy: out of memory";
    }
    *out = (contestant){copy_run, copy_finish, c};
    return NULL;
}
