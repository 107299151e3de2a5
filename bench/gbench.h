/* gbench.h - Google Benchmark for C programs: cases measured in turns. */
#ifndef BENCH_GBENCH_H
#define BENCH_GBENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct gbench_case {
    const char *name;                          /* unlike the others' */
    double (*run)(void *state, int64_t steps); /* the seconds that `steps` steps took; below 0: failed */
    void *state;
    double seconds, lowest; /* result: median and minimum over the rounds of the time of a step; below 0: failed */
} gbench_case;

/* Measures the cases in turns of shuffled order: `rounds` times each, every time for at least `round_seconds`. */
void gbench_measure(gbench_case *cases, size_t n, int rounds, double round_seconds);

#ifdef __cplusplus
}
#endif

#endif
