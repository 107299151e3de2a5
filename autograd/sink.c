/* sink.c - work moved from the steps of a recurrence to behind it.

   A gradient of a captured weight is a sum over steps of products of two values of the body. With X, Z their stacks,
       sum_t x_t^T z_t = X^T Z    contracted over the steps too,
   one large product instead of a small one and an addition to the whole gradient in each step; likewise the gradient
   of a bias is one sum over its stacked cotangents. The gradient of slices is a stack of products with a weight, which
   is the product of a stack with the weight. Sinking keeps stacks alive that the steps would not need, so a plain sum
   sinks only where its stack exists already. */
#include "sink.h"

#include "../ops/along.h"
#include "../ops/table_ops.h"

#include <retrograde/ops.h>

static bool inside(const rg_scan *s, const rg_node *node)
{
    return node->region == s->region;
}

static bool has_stack(const rg_scan *s, const rg_node *node)
{
    if (inside(s, node) && node->op == &rgi_op_scan_slice)
        return true; /* the sequence itself */
    for (size_t k = 0; k < s->results.n; k++) {
        const rgi_projection *p = rgi_projection_of(s->results.at[k]);
        if (p->of == node && !p->last)
            return true;
    }
    return false;
}

static bool stackable(const rg_scan *s, const rg_node *node)
{
    return inside(s, node) && node->shape->a.rank < RG_MAX_RANK;
}

static bool is_addition(const rg_scan *s, const rg_node *node)
{
    return node->op == &rgi_op_add && inside(s, node) && node->in[0]->shape == node->shape &&
           node->in[1]->shape == node->shape;
}

/* Whether rgi_sink_sum can deal with the node, given the stacks there are or could be. */
static bool sinks(const rg_scan *s, const rg_node *node, bool sums)
{
    if (!inside(s, node))
        return false;
    if (is_addition(s, node))
        return sinks(s, node->in[0], sums) && sinks(s, node->in[1], sums);
    if (node->op == &rgi_op_transpose)
        return sinks(s, node->in[0], sums);
    if (node->op == &rgi_op_contract)
        return stackable(s, node->in[0]) && stackable(s, node->in[1]);
    if (node->op == &rgi_op_sum)
        return sums && stackable(s, node->in[0]) && has_stack(s, node->in[0]);
    return false;
}

static bool ask(rg_scan *s, rg_node *node)
{
    if (is_addition(s, node))
        return ask(s, node->in[0]) && ask(s, node->in[1]);
    if (node->op == &rgi_op_transpose)
        return ask(s, node->in[0]);
    if (node->op == &rgi_op_contract && !rg_scan_stack(s, node->in[1]))
        return false;
    return rg_scan_stack(s, node->in[0]) != NULL;
}

bool rgi_sink_prepare(rg_scan *s, rg_node *node, bool sums)
{
    return sinks(s, node, sums) && ask(s, node);
}

static rg_axes shifted(rg_axes axes)
{
    for (int32_t k = 0; k < axes.n; k++)
        axes.axis[k]++;
    return axes;
}

/* The axes one further back, and the steps before them. */
static rg_axes with_steps(rg_axes axes)
{
    rg_axes out = {.n = axes.n + 1};
    for (int32_t k = 0; k < axes.n; k++)
        out.axis[k + 1] = axes.axis[k] + 1;
    return out;
}

rg_node *rgi_sink_sum(rg_scan *s, rg_node *node)
{
    if (node->op == &rgi_op_add)
        return rg_add(rgi_sink_sum(s, node->in[0]), rgi_sink_sum(s, node->in[1]));
    if (node->op == &rgi_op_transpose) {
        rg_node *x = rgi_sink_sum(s, node->in[0]);
        return x ? rg_apply(node->op, RG_NODES(x), node->attr) : NULL;
    }
    rg_node *a = rg_scan_stack(s, node->in[0]);
    if (node->op == &rgi_op_sum) {
        const rgi_along *along = node->attr;
        const rg_axes steps = {.n = 1};
        return along->keepdims ? rg_sum(rg_sum(a, shifted(along->axes), true), steps, false)
                               : rg_sum(a, with_steps(along->axes), false);
    }
    const rg_contract_opts *o = node->attr;
    return rg_contract(a, rg_scan_stack(s, node->in[1]),
                       &(rg_contract_opts){.a_batch = shifted(o->a_batch),
                                           .b_batch = shifted(o->b_batch),
                                           .a_contract = with_steps(o->a_contract),
                                           .b_contract = with_steps(o->b_contract)});
}

bool rgi_sink_prepare_stack(rg_scan *s, rg_node *node)
{
    if (!inside(s, node) || node->op != &rgi_op_contract || node->shape->a.rank >= RG_MAX_RANK ||
        !stackable(s, node->in[0]) || inside(s, node->in[1]) || has_stack(s, node))
        return false;
    const rg_contract_opts *o = node->attr;
    return o->a_batch.n == 0 && rg_scan_stack(s, node->in[0]) != NULL;
}

rg_node *rgi_sink_stack(rg_scan *s, rg_node *node)
{
    rg_contract_opts o = *(const rg_contract_opts *)node->attr;
    o.a_contract = shifted(o.a_contract);
    return rg_contract(rg_scan_stack(s, node->in[0]), node->in[1], &o);
}
