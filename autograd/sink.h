/* sink.h - what a recurrence need not do step by step: sums over all steps, and products that only stacks read. */
#ifndef RGI_SINK_H
#define RGI_SINK_H

#include "../graph/scan.h"

/* Whether the sum of `node` over all steps of `s` is one computation over stacks; asks the scan, which must be open,
   for these stacks. Sums of what is stacked anyway (`sums`) are taken only where the stack has been asked for
   before. */
bool rgi_sink_prepare(rg_scan *s, rg_node *node, bool sums);

/* Sums over the steps of scans that follow one another, numbered as they are begun, in the same order for each scan. */
typedef struct rgi_sums {
    struct rgi_sums *outer; /* whose sums these go on with, or NULL */
    rg_scan *loop;          /* the scan is inside of this one, which carries the sums; or NULL */
    size_t begun;
    rgi_list begin; /* what they begin from; empty: 0 */
    rgi_list carry; /* of `loop` */
    rgi_list value; /* what they have come to */
} rgi_sums;

/* What the next sum begins from, NULL for 0; `zeros` of its type, used in loops. Then its value is to be given. */
rg_node *rgi_sum_begin(rgi_sums *s, rg_node *zeros);
void rgi_sum_end(rgi_sums *s, rg_node *value);

/* The sums that make up that of `node` over the steps of `s`, which has ended. */
void rgi_sink_sum(rg_scan *s, rg_node *node, rg_node *zeros, rgi_sums *sums);
/* What they make, from number *at on, which goes on behind them. */
rg_node *rgi_sink_value(const rg_scan *s, const rg_node *node, const rgi_sums *sums, size_t *at);

/* Whether the stack of `node` over the steps of `s` is made of products of stacks with something from outside; asks for
   those stacks. */
bool rgi_sink_prepare_stack(rg_scan *s, rg_node *node);
/* The stack, of a scan that has ended. */
rg_node *rgi_sink_stack(rg_scan *s, rg_node *node);

#endif
