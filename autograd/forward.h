/* forward.h - the forward sweep: tangents by node id, rules applied in ascending order. */
#ifndef RGI_FORWARD_H
#define RGI_FORWARD_H

#include "sweep.h"

typedef struct rgi_forward {
    rg_graph *g;
    rgi_sweep marks;   /* which nodes depend on an x, and room for rules */
    rg_node **tangent; /* by id, NULL: zero */
} rgi_forward;

/* Gives a node its tangent, NULL for zero, after a check of its type. */
bool rgi_forward_store(rgi_forward *f, rg_node *out, rg_node *tangent);
/* Propagates the tangents of a node's inputs to its outputs. */
bool rgi_forward_node(rgi_forward *f, rg_node *v);
/* The forward rule of a scan, whose inputs have these tangents (scan_forward.c). */
bool rgi_scan_forward(rgi_forward *f, rg_node *self, rg_node *const tangent[]);

#endif
