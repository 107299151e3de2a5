/* elementwise.h - the rows of cases_elementwise.c and cases_rows.c. */
#ifndef BENCH_ELEMENTWISE_H
#define BENCH_ELEMENTWISE_H

#include "bench.h"

typedef struct elementwise_row {
    const char *name;
    const char *function; /* "chain": tanh(x w + b) s + r */
    int64_t n;
} elementwise_row;

typedef struct rows_row {
    const char *name;
    const char *function; /* softmax or layer_norm, of each row */
    int rows, cols;
} rows_row;

#ifdef __cplusplus
extern "C" {
#endif
bench_start elementwise_onednn, rows_onednn;
#ifdef __cplusplus
}
#endif

#endif
