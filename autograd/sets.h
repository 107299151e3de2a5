/* sets.h - sets of the numbers below a limit, each written down once: equal sets have equal numbers. */
#ifndef RGI_SETS_H
#define RGI_SETS_H

#include "../graph/arena.h"

#define RGI_PAIRS 4096 /* remembered unions of two */

typedef struct rgi_sets {
    const rg_allocator *allocator;
    size_t limit;
    uint32_t *items; /* of all sets, ascending in each ... */
    size_t n_items, item_capacity;
    size_t *first; /* ... set s from first[s] to first[s + 1]; set 0 is empty */
    size_t n, capacity;
    uint32_t *buckets; /* open addressing: 1 + the set */
    size_t n_buckets;
    uint32_t *seen_set, *seen; /* by set, by number: the last union that met it */
    size_t seen_capacity;      /* of seen_set */
    uint32_t round;
    uint32_t *united;
    struct rgi_pair {
        uint32_t a, b, of;
    } * pairs;
    bool failed; /* memory is short: everything is the empty set from then on */
} rgi_sets;

/* False: out of memory; end it all the same. */
bool rgi_sets_begin(rgi_sets *s, const rg_allocator *allocator, size_t limit);
void rgi_sets_end(rgi_sets *s);
/* The set of one number. */
uint32_t rgi_set_of(rgi_sets *s, uint32_t number);
/* The union of n sets. */
uint32_t rgi_set_join(rgi_sets *s, const uint32_t *sets, size_t n);

static inline size_t rgi_set_size(const rgi_sets *s, uint32_t set)
{
    return s->first[set + 1] - s->first[set];
}

static inline const uint32_t *rgi_set_at(const rgi_sets *s, uint32_t set)
{
    return s->items + s->first[set];
}

#endif
