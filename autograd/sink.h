/* sink.h - what a recurrence need not do step by step: sums over all steps, and products that only stacks read. */
#ifndef RGI_SINK_H
#define RGI_SINK_H

#include "../graph/scan.h"

/* Whether the sum of `node` over all steps of `s` is one computation over stacks; asks the scan, which must be open, for
   these stacks. Sums of what is stacked anyway (`sums`) are taken only where the stack has been asked for before. */
bool rgi_sink_prepare(rg_scan *s, rg_node *node, bool sums);
/* That sum, of a scan that has ended. */
rg_node *rgi_sink_sum(rg_scan *s, rg_node *node);

/* Whether the stack of `node` over the steps of `s` is one product of a stack with something from outside; asks for that
   stack. */
bool rgi_sink_prepare_stack(rg_scan *s, rg_node *node);
/* The stack, of a scan that has ended. */
rg_node *rgi_sink_stack(rg_scan *s, rg_node *node);

#endif
