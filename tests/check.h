/* check.h - what the tests share: typed values, running a few nodes, one trial of a sample row, complaints. */
#ifndef RETROGRADE_TESTS_CHECK_H
#define RETROGRADE_TESTS_CHECK_H

#include "samples.h"

#include <stdio.h>

/* Collected failures, printed at the end of a test. */
typedef struct complaints {
    char text[16384];
    size_t used, count;
} complaints;

void complain(complaints *c, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* n doubles as another dtype and back. The results are to be freed. */
void *typed_from_doubles(const double *x, size_t n, rg_dtype dtype);
double *doubles_from_typed(const void *x, size_t n, rg_dtype dtype);

/* One case of a row, in one type and at one choice of sizes: its inputs with values, and the node it builds. */
typedef struct trial {
    const sample_row *row;
    const sample_case *c;
    sample_context context;
    rg_graph *g;
    size_t n;
    rg_node *x[SAMPLE_INPUTS], *y;
    ref_tensor value[SAMPLE_INPUTS];
    void *data[SAMPLE_INPUTS];
    rg_dtype dtype[SAMPLE_INPUTS];
    char label[160];
} trial;

/* Builds; false with a complaint when the builder fails. End it in either case. */
bool trial_begin(trial *t, const sample_row *row, const sample_case *c, rg_dtype dtype, sample_sizes sizes,
                 complaints *why);
void trial_end(trial *t);
/* Other sizes and values for the same graph (its shapes must be named). */
void trial_resize(trial *t, sample_sizes sizes);
/* Whether a derivative with respect to input i exists. */
bool trial_differentiable(const trial *t, size_t i);
/* Compiles and runs once; NULL with a complaint. The plan's inputs are those of the trial, and `extra`. */
typedef struct bound {
    rg_node *node;
    const void *data;
    rg_shape shape;
} bound;
rg_plan *trial_run(trial *t, rg_nodes fetch, const rg_plan_opts *opts, const bound *extra, size_t n_extra,
                   complaints *why);
bool trial_rebind(trial *t, rg_plan *p, const bound *extra, size_t n_extra, complaints *why);

/* A fetched node's values as doubles, to be released with ref_free; false (empty) when it was not fetched. */
bool fetched(rg_plan *p, rg_node *node, ref_tensor *out);
/* Whether all fetched nodes of two plans have the same bytes. */
bool same_bytes(rg_plan *p, rg_nodes a, rg_plan *q, rg_nodes b);

/* A number's marks in the table of ops x transforms. */
typedef enum mark {
    MARK_NONE, /* does not apply to this case */
    MARK_ZERO, /* zero by definition, and found to be zero */
    MARK_PASS,
    MARK_FAIL
} mark;

typedef struct column {
    const char *name;
    mark (*check)(const sample_row *row, const sample_case *c, complaints *why);
} column;

/* f32 f64 others fused pieces threads empty special (columns_values.c); vjp jvp second batch sparse named
   (columns_transforms.c). */
extern const column columns_values[], columns_transforms[];
mark column_sparse(const sample_row *row, const sample_case *c, complaints *why); /* columns_sparse.c */

/* All cases of a row: the worst mark, or that of the best case if none failed. */
mark column_of_row(const column *col, const sample_row *row, complaints *why);
/* That of the first case to which the column applies. */
mark column_of_first(const column *col, const sample_row *row, complaints *why);

extern const sample_sizes sizes_small, sizes_other, sizes_large, sizes_empty;

#endif
