/* ragged.c - sequences of different lengths in one scan: a sequence that is over keeps its state and gives zeros.

   Both are selections by a mask, a sequence like any other, so that derivatives need nothing further: what is not
   selected gets no gradient. */
#include "scan.h"

#include <retrograde/ops.h>

bool rgi_scan_set_lengths(rg_scan *s, rg_node *lengths)
{
    rg_graph *g = s->graph;
    char type[RGI_LABEL], label[RGI_LABEL];
    if (!rgi_usable(g, "rg_scan_begin", "the list of lengths", lengths))
        return false;
    if ((lengths->dtype != RG_I32 && lengths->dtype != RG_I64) || lengths->shape->a.rank != 1)
        rgi_graph_fail(g, lengths->shape->a.rank != 1 ? RG_ERR_SHAPE : RG_ERR_DTYPE, NULL,
                       "rg_scan_begin: the lengths of scan '%s' must be i32 or i64 [batch], %s is %s", rgi_scan_name(s),
                       rgi_format_node(lengths, label, sizeof label),
                       rgi_format_type(g, lengths->dtype, lengths->shape->a, type, sizeof type));
    else if (rgi_region_join(g, "rg_scan_begin", s->region, lengths->region))
        s->lengths = lengths;
    return s->lengths != NULL;
}

bool rgi_scan_has_batch(rg_scan *s, const char *what, const rg_node *value)
{
    if (!s->lengths)
        return true;
    const rgi_shape *of = value->shape, *n = s->lengths->shape;
    if (of->a.rank > 0 && of->a.dim[0] == n->a.dim[0] && of->b.dim[0] == n->b.dim[0])
        return true;
    char a[RGI_LABEL], b[RGI_LABEL], label[RGI_LABEL];
    rgi_graph_fail(s->graph, RG_ERR_SHAPE, NULL,
                   "%s: scan '%s' has lengths %s, so the first axis of %s must be that of the sequences; it is %s",
                   what, rgi_scan_name(s), rgi_format_type(s->graph, s->lengths->dtype, n->a, a, sizeof a),
                   rgi_format_node(value, label, sizeof label),
                   rgi_format_type(s->graph, value->dtype, of->a, b, sizeof b));
    return false;
}

/* [T, B]: whether step t belongs to sequence b. */
static rg_node *mask_of(rg_scan *s)
{
    if (!s->mask && s->xs.n)
        s->mask = rg_sequence_mask(s->lengths, s->xs.at[0]);
    else if (!s->mask)
        rgi_graph_fail(s->graph, RG_ERR_STATE, NULL,
                       "rg_scan_next: scan '%s' has lengths, but no slice yet, so its number of steps is unknown",
                       rgi_scan_name(s));
    return s->mask;
}

/* y where the mask, whose axes are the first of y's, is true. */
static rg_node *chosen(rg_node *mask, rg_node *y, rg_node *otherwise)
{
    while (mask && y && mask->shape->a.rank < y->shape->a.rank)
        mask = rg_unsqueeze(mask, -1);
    return rg_where(mask, y, otherwise ? otherwise : rg_zeros_like(y));
}

rg_node *rgi_scan_while_it_lasts(rg_scan *s, rg_node *y, rg_node *otherwise)
{
    return chosen(rg_scan_slice(s, mask_of(s)), y, otherwise);
}

rg_node *rgi_scan_cut_stack(rg_scan *s, rg_node *stack)
{
    return stack ? chosen(mask_of(s), stack, NULL) : NULL;
}
