/* pairwise.h - joins a long sequence of block results in a balanced tree, so that rounding grows with the logarithm of
   the length. The tree depends on the number of blocks alone. */
#ifndef RGK_PAIRWISE_H
#define RGK_PAIRWISE_H

#include "isa.h"

#define RGK_PAIRWISE_LEVELS 40 /* further ones, beyond 2^39 blocks, are joined in sequence */

/* at[l] holds the result of a full subtree; subtrees grow towards at[0]. */
typedef struct pairwise {
    vreal at[RGK_PAIRWISE_LEVELS];
    unsigned top;
    size_t blocks;
} pairwise;

/* The levels need no value yet: there are many of them. */
RGK_INLINE void pairwise_begin(pairwise *p)
{
    p->top = 0;
    p->blocks = 0;
}

RGK_INLINE void pairwise_push(pairwise *p, vreal block, vreal (*join)(vreal, vreal))
{
    for (size_t carry = p->blocks; carry & 1 && p->top > 0; carry >>= 1)
        block = join(p->at[--p->top], block);
    if (p->top == RGK_PAIRWISE_LEVELS)
        block = join(p->at[--p->top], block);
    p->at[p->top++] = block;
    p->blocks++;
}

/* All blocks and, last, the incomplete one. */
RGK_INLINE vreal pairwise_finish(pairwise *p, vreal rest, vreal (*join)(vreal, vreal))
{
    while (p->top > 0)
        rest = join(p->at[--p->top], rest);
    return rest;
}

#endif
