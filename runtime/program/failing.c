/* failing.c - which ops may fail while a plan runs, and where in the plan. */
#include "lower.h"

#include "../../ops/blocks.h"

static size_t bucket(const rg_op *op)
{
    return ((uintptr_t)op >> 4) % RGI_BUILT_IN;
}

static void list(rgi_lowering *l, const rg_op *op)
{
    size_t at = bucket(op);
    while (l->built_in[at])
        at = (at + 1) % RGI_BUILT_IN;
    l->built_in[at] = op;
}

bool rgi_list_built_in(rgi_lowering *l)
{
    l->built_in = rgi_arena_alloc(&l->temporary, RGI_BUILT_IN * sizeof *l->built_in);
    for (const rg_op *const *op = rg_op_table(); l->built_in && *op; op++)
        list(l, *op);
    if (l->built_in)
        list(l, &rgi_op_conv_blocks); /* that plans make */
    return l->built_in != NULL;
}

bool rgi_can_fail(const rgi_lowering *l, const rg_op *op)
{
    size_t at = bucket(op);
    while (l->built_in[at] && l->built_in[at] != op)
        at = (at + 1) % RGI_BUILT_IN;
    return (op->traits & RG_CAN_FAIL) || !l->built_in[at];
}

bool rgi_may_fail(const rgi_lowering *l, const rg_node *node, const rg_node **by_input)
{
    if (!rgi_can_fail(l, node->op))
        return false;
    for (size_t i = 0; node->op->settled && i < node->n_in; i++)
        if (by_input[node->in[i]->id] && node->op->settled(node, by_input[node->in[i]->id]))
            return false;
    for (size_t i = 0; i < node->n_in; i++)
        by_input[node->in[i]->id] = node;
    return true;
}

bool rgi_mark_failing(rgi_lowering *l)
{
    rgi_program *p = l->p;
    const rg_node **by_input = rgi_arena_alloc(&l->temporary, (l->g->nodes.n + 1) * sizeof *by_input);
    if (!by_input)
        return false;
    for (size_t i = 0; i < p->n_items; i++) {
        rgi_item *item = &p->items[i];
        const bool always = item->loop == RGI_NONE; /* a loop may do no step */
        item->may_fail = (item->kind == RGI_TEST && p->loops[item->loop].scan->most) || (p->opts.check && item->count);
        for (uint32_t k = 0; k < item->count; k++) {
            const rg_node *node = p->uses[item->first + k].node;
            item->may_fail = (always ? rgi_may_fail(l, node, by_input) : rgi_can_fail(l, node->op)) || item->may_fail;
        }
    }
    return true;
}
