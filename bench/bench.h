/* bench.h - the frame: groups of cases, each a table of rows and those who compete at them. README.md says how to add
   one.

   A contestant times itself: its `run` returns the seconds that `steps` repetitions of the work took. All contestants
   of a row take turns in one process, in shuffled order, with the machine's limits measured among them. */
#ifndef BENCH_H
#define BENCH_H

#include <retrograde/retrograde.h>

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define BENCH_RIVALS 6 /* of a group */

typedef struct contestant {
    double (*run)(void *state, int64_t steps); /* below 0: failed */
    void (*finish)(void *state);               /* may be NULL */
    void *state;
} contestant;

/* Fills in *out and returns NULL; or returns why it cannot: a text that lives on and is printed once, under the tables.
   BENCH_NOT_MEANT, not printed, where a contestant has no such work. `row` is a row of the group's table. */
typedef const char *bench_start(const void *row, int threads, contestant *out);
#define BENCH_NOT_MEANT ""

typedef struct bench_rival {
    const char *name;
    bench_start *start;
} bench_rival;

/* What cases_NAME.c defines. The first member of every row is its name, a const char *. */
typedef struct bench_group {
    const char *name, *title;
    const void *rows;
    size_t n_rows, row_size;
    bench_start *ours;
    bench_rival rivals[BENCH_RIVALS + 1]; /* up to the first without a name */
    double (*flops)(const void *row);     /* multiply-adds count two; NULL or 0: no share of the peak is told */
    double (*bytes)(const void *row);     /* that must be moved at least; NULL or 0: no share of the bandwidth */
} bench_group;

#define BENCH_ROWS(table) .rows = (table), .n_rows = sizeof(table) / sizeof *(table), .row_size = sizeof *(table)

/* ---- for all contestants ---- */

double seconds_now(void); /* of a steady clock */

/* n floats from `low` to `high`, at a multiple of 64 bytes, of huge pages where many. NULL if there is no memory. */
float *bench_floats(int64_t n, float low, float high);
/* Labels below `classes`. NULL if there is no memory. */
int64_t *bench_labels(int64_t n, int classes);

/* A plan as a contestant, which owns it, its graph and its data. After the first run it checks that the first element
   of `watch`, if not NULL, is a number. */
typedef struct bench_plan bench_plan;
/* Compiles; NULL after saying on stderr why not. The graph is freed then too. */
bench_plan *bench_plan_new(rg_graph *g, rg_nodes fetch, rg_node *watch, int threads);
/* Binds data that free() takes back in the end. NULL data counts as an error, told by bench_plan_start. */
void bench_plan_bind(bench_plan *p, rg_node *input, void *data);
/* Runs once and fills in *out; returns what a bench_start returns, and frees the plan if that is no NULL. `p` may be
   NULL. */
const char *bench_plan_start(bench_plan *p, contestant *out);

/* What the plan takes; false if the contestant is none. */
bool bench_plan_estimate(const contestant *c, rg_estimate *out);

/* ---- PyTorch, in a process of its own: rivals/torch_steps.py ---- */

/* `request` is KIND and its words: what the function registered under KIND gets. */
const char *torch_start(int threads, const char *request, contestant *out);
void torch_stop(void);
/* The number of that process; 0: there is none. */
long torch_process(void);
extern const char *torch_directory; /* where torch.sh lies */

/* ---- limits ---- */

/* Fused multiply-adds at the rate of the widest vectors; every thread does peak_flops operations a step. */
double peak_run(void *threads, int64_t steps);
double peak_flops(void);

/* Copying with stores past the caches and without: what is faster counts. */
const char *memory_start(double bytes, int threads, int past_caches, contestant *out);

#ifdef __cplusplus
}
#endif

#endif
