/* evaluate.h - one op on concrete values, the plain way: for constants, and as a yardstick for the plan. */
#ifndef RGI_EVALUATE_H
#define RGI_EVALUATE_H

#include "../../graph/graph.h"

/* Fills operand `n` elements of a tensor of shape `from` broadcast to `to`, starting at element `first`. Bytes an
   element: size. */
void rgi_broadcast_copy(const void *x, const rg_shape *from, const rg_shape *to, size_t size, size_t first, size_t n,
                        void *y);

/* Computes `node` from dense inputs of the given types into outputs that have room. */
rg_status rgi_evaluate(const rg_allocator *allocator, const rg_node *node, const void *const in[],
                       const rg_type in_type[], void *const out[], const rg_type out_type[]);

#endif
