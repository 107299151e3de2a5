/* gemm.h - the rows of cases_gemm.c: op(A) op(B) in f32, op(A) m x k, op(B) k x n. */
#ifndef BENCH_GEMM_H
#define BENCH_GEMM_H

#include "bench.h"

typedef struct gemm_row {
    const char *name;
    int m, n, k;
    bool ta, tb; /* stored transposed */
    bool weight; /* B is a parameter that stays as it is: we pack it once, as "oneDNN packed" does everywhere */
} gemm_row;

#ifdef __cplusplus
extern "C" {
#endif
bench_start gemm_onednn,
    gemm_onednn_packed; /* the second with B in the layout that it likes best, brought there before */
#ifdef __cplusplus
}
#endif

#endif
