/* infer.h - running a shape rule under one of the two assignments. */
#ifndef RGI_INFER_H
#define RGI_INFER_H

#include "graph.h"

#define RGI_RESULTS 8 /* results an op may have */

/* What a rule is run for; rg_infer.context points to it. */
typedef struct rgi_infer_context {
    rg_graph *graph;
    rg_node *const *in;
    bool second;          /* under the second assignment */
    const int64_t *sizes; /* of the named dimensions: for concrete sizes, when a plan is specialised; else NULL */
} rgi_infer_context;

/* The types of op(in) under both assignments: shape[k] and dtype[k] of result k. False: the rule refused, or the two
   results do not agree; error recorded. */
bool rgi_infer_both(rg_graph *g, const rg_op *op, const void *attr, rg_node *const *in, size_t n_in,
                    const rgi_shape **shape, rg_dtype *dtype);

/* The same for concrete inputs and sizes of the named dimensions; an error goes to rg_last_error alone. */
rg_status rgi_infer_concrete(const rg_node *node, const int64_t *sizes, rg_type *in, rg_type *out);

#endif
