/* scan_copy.h - the nodes of a recurrence's body once more, inside another scan. */
#ifndef RGI_SCAN_COPY_H
#define RGI_SCAN_COPY_H

#include "../graph/scan.h"

typedef struct rgi_copy {
    rg_graph *graph;
    size_t n;     /* nodes there were at the beginning */
    rg_node **of; /* by id: the copy, or NULL */
} rgi_copy;

/* False: out of memory, error recorded. */
bool rgi_copy_begin(rgi_copy *c, rg_graph *g);
void rgi_copy_end(rgi_copy *c);
/* Copies the body of a closed scan into the open scan it is meant for; the copies of its leaves are in c->of already. */
bool rgi_copy_body(rgi_copy *c, const rg_scan *from);
/* Copies one node of it that is no leaf, whose inputs are copied. */
bool rgi_copy_node(rgi_copy *c, rg_node *v);
/* The copy of a node of the body; a node from outside as it is seen now. */
rg_node *rgi_copied(const rgi_copy *c, rg_node *node);

#endif
