/* agree.h - comparing what a rewrite gives with what it stands for. */
#ifndef RGI_AGREE_H
#define RGI_AGREE_H

#include "../../graph/graph.h"

/* A node that fails when run, naming the rewrite, where an element of the two differs in a bit; one NaN is like
   another. NULL: out of memory. */
rg_node *rgi_agreement(rg_node *node, rg_node *stand_in, const char *rewrite);

#endif
