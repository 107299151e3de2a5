/* report.h - what was measured, as a table, as JSON, as a picture. */
#ifndef BENCH_REPORT_H
#define BENCH_REPORT_H

#include "bench.h"

#include <stdbool.h>
#include <stdio.h>

typedef struct figure {
    double median, lowest; /* seconds of a step; below 0: it failed */
    bool present;
} figure;

/* One row, measured. */
typedef struct result {
    const bench_group *group;
    const char *name;
    int threads, rounds;
    figure ours, rival[BENCH_RIVALS];
    double flops, bytes; /* of a step */
    double peak,
        memory; /* what the machine reached in the same turns, operations and bytes a second; 0: not measured */
} result;

/* The index of the fastest rival, -1 if there is none. */
int result_fastest(const result *r);

void table_head(const bench_group *g, int threads);
void table_row(const result *r);
void json_write(FILE *f, const result *results, size_t n);
/* Bars: how fast ours is compared to the fastest rival of each row. */
void svg_write(FILE *f, const result *results, size_t n);

#endif
