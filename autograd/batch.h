/* batch.h - many examples at once. */
#ifndef RGI_AUTOGRAD_BATCH_H
#define RGI_AUTOGRAD_BATCH_H

#include "../graph/graph.h"

/* y with a leading axis, computed from x with that axis. NULL: y does not depend on x, or the graph's error is set because
   an op has no batching rule (texts begin with `caller`). */
rg_node *rgi_batch(rg_node *y, rg_node *x, rg_node *examples, const char *caller);

#endif
