/* blas.c - OpenBLAS and BLIS, whose symbols clash: each is loaded on its own, from where the build found it. */
#define _GNU_SOURCE

#include "blas.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

static void load(blas *b, const char *path, const char *threads)
{
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!library)
        return;
    void *product = dlsym(library, "cblas_sgemm"), *set = dlsym(library, threads);
    if (!product || !set)
        return;
    memcpy(&b->sgemm, &product, sizeof product);
    memcpy(&b->set_threads, &set, sizeof set);
    b->skipped = NULL;
}

/* A pin to lesser kernels inherited from the shell is removed, and both are told of AVX-512 where they are older than
   the processor and would take less. */
const blas *blas_openblas(void)
{
    static blas b;
    if (!b.skipped && !b.sgemm) {
        b.skipped = "OpenBLAS: not found when this was built (Debian: libopenblas0-openmp)";
        unsetenv("OPENBLAS_L2_SIZE");
        unsetenv("OPENBLAS_CORETYPE");
        if (__builtin_cpu_supports("avx512f"))
            setenv("OPENBLAS_CORETYPE", "SKYLAKEX", 1);
        load(&b, BENCH_OPENBLAS, "openblas_set_num_threads");
    }
    return &b;
}

static void (*set_blis_threads)(long);

static void blis_threads(int threads)
{
    set_blis_threads(threads);
}

const blas *blas_blis(void)
{
    static blas b;
    if (!b.skipped && !b.sgemm) {
        b.skipped = "BLIS: not found when this was built (Debian: libblis4-openmp)";
        unsetenv("BLIS_ARCH_TYPE");
        if (__builtin_cpu_supports("avx512f"))
            setenv("BLIS_ARCH_TYPE", "0", 1);
        load(&b, BENCH_BLIS, "bli_thread_set_num_threads");
        memcpy(&set_blis_threads, &b.set_threads, sizeof b.set_threads); /* takes its own integer */
        b.set_threads = blis_threads;
    }
    return &b;
}
