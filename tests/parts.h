/* parts.h - what the suites of slices and joins share: plans that read and write parts of values where they lie,
   compared with those that do every step as it was written. */
#ifndef RETROGRADE_TESTS_PARTS_H
#define RETROGRADE_TESTS_PARTS_H

#include <retrograde/retrograde.h>

#include <stdbool.h>

/* ---- recurrences over xs [time, B, I] ---- */

enum { T = 5, B = 3, I = 6, H = 4 };

typedef struct fetched {
    rg_graph *g;
    rg_node *xs, *at[24];
    size_t n;
} fetched;

/* Bit for bit as the plan that does every step as it was written, for any number of threads. */
void expect_same(const fetched *f, int64_t steps);

/* Whether the loops of a plan of the first n have a step of the op. */
bool loops_have(const fetched *f, size_t n, const char *what);

/* ---- outside of loops, over x [rows, WIDE] ---- */

enum { ROWS = 6, WIDE = 96, PART = 32 };

/* Binds so many rows, and runs. */
void bind_rows(rg_plan *p, rg_node *x, void *data, int64_t rows);

/* Bit for bit as the plan that does every step as it was written, and so are parameters then: on 1 to 3 threads, that
   all take part in everything, within budgets as far as they do, for so many rows, one number after the other. The last
   `effects` of what is fetched have no values. */
void expect_same_of(rg_graph *g, rg_node *x, rg_nodes fetch, size_t effects, const char *what, const int64_t *rows,
                    size_t n_rows);

/* For more rows, fewer and none, but at least so many. */
void expect_same_rows(rg_graph *g, rg_node *x, rg_nodes fetch, size_t effects, int64_t least);

/* For any number of rows. */
void expect_same_outside(rg_graph *g, rg_node *x, rg_nodes fetch, size_t effects);

/* ---- for both ---- */

/* f64, or f32 otherwise; to be freed. */
void *numbers(rg_dtype dtype, size_t n);

/* How often something stands in the dump of a plan. */
int dumped(rg_plan *p, const char *what);

/* A number below n, by chance. */
uint32_t draw(uint64_t *state, uint32_t n);

#endif
