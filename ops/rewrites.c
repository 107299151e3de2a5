/* rewrites.c - the table of rewrites, in the order in which they are tried. */
#include "rewrite.h"

const rgi_rewrite *const rgi_rewrites[] = {
    &rgi_rewrite_identity,
    &rgi_rewrite_twice,
    &rgi_rewrite_idempotent,
    &rgi_rewrite_even,
    &rgi_rewrite_negated_term,
    &rgi_rewrite_negated_factor,
    &rgi_rewrite_power_of_two,
    &rgi_rewrite_view_back,
    &rgi_rewrite_transpositions,
    &rgi_rewrite_transposed_operand,
    &rgi_rewrite_transposed_product,
    &rgi_rewrite_part_of_join,
    &rgi_rewrite_join_of_parts,
    &rgi_rewrite_pooled_mask,
    NULL,
};
