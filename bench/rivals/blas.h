/* blas.h - libraries that export cblas_sgemm, loaded side by side. */
#ifndef BENCH_BLAS_H
#define BENCH_BLAS_H

/* Row-major C = op(A) op(B), with the number of threads that was set. */
typedef struct blas {
    const char *skipped; /* why it is not there; NULL if it is */
    void (*sgemm)(int order, int ta, int tb, int m, int n, int k, float alpha, const float *a, int lda, const float *b,
                  int ldb, float beta, float *c, int ldc);
    void (*set_threads)(int threads);
} blas;

const blas *blas_openblas(void);
const blas *blas_blis(void);

#endif
