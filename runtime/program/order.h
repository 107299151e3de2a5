/* order.h - the dependences of a region's units, for putting them into an order. */
#ifndef RGI_ORDER_H
#define RGI_ORDER_H

#include "lower.h"

typedef struct rgi_edges {
    rgi_lowering *l;
    rgi_block *b;
    int32_t *position;           /* unit number -> index in the block, RGI_NONE elsewhere */
    uint32_t *first, *next, *to; /* successors of a unit as a linked list of edges */
    size_t n, capacity_next, capacity_to, n_to;
    uint32_t *before;         /* units still to come before this one */
    const rg_node **by_input; /* see rgi_may_fail */
    uint64_t *built;          /* the outermost region: keys before updates were moved ... */
    bool *guarded;            /* ... what reads a parameter or may fail ... */
    uint64_t *guard;          /* ... and, of what writes one, up to which key those must be done; or 0 */
} rgi_edges;

/* Where in the block the unit stands that makes a value, or RGI_NONE. */
static inline int32_t rgi_made_at(const rgi_edges *e, int32_t value)
{
    const int32_t u = value == RGI_NONE ? RGI_NONE : e->l->p->values[value].unit;
    return u == RGI_NONE ? RGI_NONE : e->position[u];
}

/* Whether unit x of the block is wanted before y. */
static inline bool rgi_wanted_before(const rgi_edges *e, uint32_t x, uint32_t y)
{
    const uint64_t kx = e->l->units[e->b->units[x]].key, ky = e->l->units[e->b->units[y]].key;
    return kx != ky ? kx < ky : x < y;
}

/* order_lean.c: another order of the block's units in place of `order` (indices in the block), if fewer bytes are alive
   at its peak. False: out of memory. */
bool rgi_order_lean(const rgi_edges *e, uint32_t *order);

#endif
