/* repeat.c - what is cheap enough to be made again rather than kept (repeat.h). */
#include "repeat.h"

#include "../../ops/common.h"

#define RGI_CHEAP 3.0 /* operations an element at most: what a vector unit does while an operand is read */

bool rgi_is_cheap(const rgi_lowering *l, const rg_node *node)
{
    rg_type type[RGI_MAX_ARITY + 1];
    rg_cost cost = {.tasks = {0}};
    if (!(node->op->traits & RG_ELEMENTWISE) || !node->op->cost || node->op->n_out != 1 || !node->n_in ||
        node->n_in > RGI_MAX_ARITY || rgi_can_fail(l, node->op))
        return false;
    for (size_t i = 0; i < node->n_in; i++)
        type[i] = rgi_type(node->in[i]);
    type[node->n_in] = rgi_type(node);
    const rg_step step = rgi_typed_step(node, type);
    node->op->cost(&step, &cost);
    return cost.flops <= RGI_CHEAP * (double)rg_shape_count(type[node->n_in].shape);
}

bool rgi_repeats(const rgi_lowering *l)
{
    const rg_plan_opts *o = &l->p->opts;
    return !o->no_repeats && !o->no_fuse && !o->check && !o->check_rewrites;
}

bool rgi_note_repeat(rgi_lowering *l, const rg_node *node, const rgi_shape *shape)
{
    rgi_program *p = l->p;
    const rgi_repeat r = {node, rgi_shape_number(l, shape)};
    if (!rgi_push(&p->arena, (void **)&p->repeats, &p->n_repeats, &l->repeat_capacity, sizeof r, &r))
        l->failed = true;
    return !l->failed;
}
