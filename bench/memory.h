/* memory.h - what contestants take of memory, each in a process of its own. */
#ifndef BENCH_MEMORY_H
#define BENCH_MEMORY_H

#include "bench.h"

/* This process is that of one contestant (-1: ours): runs it and prints its figures. Returns what main returns. */
int memory_alone(const bench_group *g, const void *row, int threads, int who);
/* The table; `program` is this one, to be run again. */
void memory_head(const bench_group *g, int threads);
void memory_row(const bench_group *g, const char *program, const char *row_name, int threads);

#endif
