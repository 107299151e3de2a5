/* structure.h - which elements of y may depend on which of x: the places of a Jacobian that are not zero for sure. */
#ifndef RGI_STRUCTURE_H
#define RGI_STRUCTURE_H

#include "../graph/scan.h"
#include "sets.h"

/* A way through the nodes between x and y. */
typedef struct rgi_tracing {
    rg_graph *g;
    const char *caller; /* the public function, for errors */
    rgi_sets sets;      /* of elements of x */
    uint32_t **of;      /* by node id: of each element, the set it depends on; NULL: on nothing */
    size_t n;           /* ids */
} rgi_tracing;

/* The rows of a matrix: those of row i stand at [start[i], start[i + 1]), ascending. */
typedef struct rgi_pattern {
    int64_t rows, columns, *start, *column;
} rgi_pattern;

/* The structure of dy/dx, in the graph's memory. False: the graph's error is set. */
bool rgi_structure(rg_node *y, rg_node *x, const char *caller, rgi_pattern *out);
/* Sets of a node whose inputs have theirs. False: the graph's error is set. */
bool rgi_trace(rgi_tracing *t, rg_node *v);
/* structure_move.c: the same for an op that moves or sums elements, which is run on the numbers of elements. *known:
   false where its integer inputs come with the data. */
bool rgi_trace_moved(rgi_tracing *t, rg_node *v, bool *known);
/* structure_scan.c: of the results of a scan, step by step. */
bool rgi_trace_scan(rgi_tracing *t, const rg_scan *s);
/* The list of a node, made if there is none, all empty. NULL: out of memory, error recorded. */
uint32_t *rgi_traced(rgi_tracing *t, const rg_node *v);

static inline size_t rgi_elements(const rg_node *v)
{
    return (size_t)rg_shape_count(v->shape->a);
}

#endif
