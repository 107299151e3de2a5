/* rewrite.h - what may stand for a node: identities that hold to the last bit, for every number, both zeros, infinities
   and NaN (of which neither sign nor payload is a result).

   Not among them, for they round differently or lose a sign of zero: a c + b c = (a + b) c, whatever the common factor;
   x + 0 = x; -(a - b) = b - a; (-a) B = -(a B) for products of matrices, whose sums begin with +0. */
#ifndef RGI_OPS_REWRITE_H
#define RGI_OPS_REWRITE_H

#include "common.h"

#define RGI_FACTS 8 /* inputs of a node that rewrites look at */

/* What is known about the inputs of a node. */
typedef struct rgi_facts {
    rg_node *in[RGI_FACTS];          /* what each stands for by now */
    bool made[RGI_FACTS];            /* from inputs of its own that may stand for it */
    const double *number[RGI_FACTS]; /* that it is everywhere, or NULL */
} rgi_facts;

typedef struct rgi_rewrite {
    const char *name;
    /* The node that equals `node` and costs less, or NULL. Of the node's type, and never one that leads back to it. */
    rg_node *(*apply)(rg_node *node, const rgi_facts *f);
} rgi_rewrite;

/* NULL-ended. */
extern const rgi_rewrite *const rgi_rewrites[];

static inline bool rgi_made_by(const rgi_facts *f, size_t i, const rg_op *op)
{
    return f->made[i] && f->in[i]->op == op;
}

/* identities.c: arithmetic. */
extern const rgi_rewrite rgi_rewrite_identity, rgi_rewrite_twice, rgi_rewrite_negated_term, rgi_rewrite_negated_factor,
    rgi_rewrite_even, rgi_rewrite_idempotent, rgi_rewrite_power_of_two;
/* identities_moves.c: elements that change places. */
extern const rgi_rewrite rgi_rewrite_view_back, rgi_rewrite_transpositions, rgi_rewrite_transposed_operand,
    rgi_rewrite_transposed_product, rgi_rewrite_part_of_join, rgi_rewrite_join_of_parts, rgi_rewrite_pooled_mask;

/* Attributes that rewrites read. */
const rg_axes *rgi_transpose_axes(const rg_node *transpose);
double rgi_scale_factor(const rg_node *scale);

#endif
