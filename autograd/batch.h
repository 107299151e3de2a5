/* batch.h - many examples at once. */
#ifndef RGI_AUTOGRAD_BATCH_H
#define RGI_AUTOGRAD_BATCH_H

#include "../graph/graph.h"

/* The rule of an op applied to a node: its own; that of elementwise ops; or, for want of one, a loop over the
   examples. */
void rgi_batch_node(rg_node *v, rg_node *const in[], const bool batched[], rg_node *out[]);

/* y with a leading axis, computed from x with that axis. NULL: y does not depend on x, or the graph's error is set
   (texts begin with `caller`). */
rg_node *rgi_batch(rg_node *y, rg_node *x, rg_node *examples, const char *caller);

#endif
