/* bf16.h - the rows of cases_bf16.c: A op(B), A m x k and bf16 or f32, op(B) k x n and bf16, summed in f32. */
#ifndef BENCH_BF16_H
#define BENCH_BF16_H

#include "bench.h"

typedef struct bf16_row {
    const char *name;
    int m, n, k;
    bool tb;       /* B stored transposed */
    bool weight;   /* B is a parameter that stays as it is */
    bool f32_rows; /* A is f32 */
} bf16_row;

#ifdef __cplusplus
extern "C" {
#endif
bench_start bf16_onednn, bf16_onednn_packed; /* the second with B in the layout that it likes best */
#ifdef __cplusplus
}
#endif

#endif
