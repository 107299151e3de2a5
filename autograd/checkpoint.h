/* checkpoint.h - parts of a graph that the reverse pass computes again. */
#ifndef RGI_CHECKPOINT_H
#define RGI_CHECKPOINT_H

#include "../graph/graph.h"

/* What reverse mode is to apply the rule of v to: its copy where v lies in a checkpointed part, else v. NULL: the
   graph's error is set. *exchanged: the copy has v's two inputs the other way round. */
rg_node *rgi_recomputed(rg_node *v, bool *exchanged);

#endif
