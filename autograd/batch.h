/* batch.h - many examples at once. */
#ifndef RGI_AUTOGRAD_BATCH_H
#define RGI_AUTOGRAD_BATCH_H

#include "scan_copy.h"

typedef struct rgi_batching {
    rg_graph *g;
    const char *caller; /* the public function, for errors */
    rg_node *examples;  /* whose leading axis it is */
    rg_node **of;       /* by id: the node with the axis, NULL where it has none */
    rgi_copy copy;      /* nodes of bodies that have none, in the bodies of the scans that are made */
    bool *needed;       /* by id: an ancestor of what is asked for */
    bool *has;          /* by id, in bodies: may have the axis */
    rg_node **in, **out;
    bool *batched;
    size_t n, widest;
} rgi_batching;

/* y with a leading axis, computed from x with that axis. NULL: y does not depend on x, or the graph's error is set because
   an op has no batching rule (texts begin with `caller`). */
rg_node *rgi_batch(rg_node *y, rg_node *x, rg_node *examples, const char *caller);

/* Applies the rule of one node, if an input has the axis. */
bool rgi_batch_node(rgi_batching *b, rg_node *v);
/* The rule of a scan (scan_batch.c). */
bool rgi_batch_scan(rgi_batching *b, rg_node *v);

#endif
