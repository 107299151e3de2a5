/* sink.c - work moved from the steps of a recurrence to behind it.

   A gradient of a captured weight is a sum over steps of products of two values of the body. With X, Z their stacks,
       sum_t x_t^T z_t = X^T Z    contracted over the steps too,
   one large product instead of a small one and an addition to the whole gradient in each step; likewise the gradient
   of a bias is one sum over its stacked cotangents. The gradient of slices is a stack of products with weights, or of
   sums of such products, which are products of stacks with the weights. Sinking keeps stacks alive that the steps would
   not need, so a plain sum sinks only where its stack exists already.

   Each sum is one chain of additions in the order of the steps, begun from what the sums hold already: over pieces of
   the steps it has the bits that it has over all of them. */
#include "sink.h"

#include "../ops/along.h"
#include "../ops/rules.h"
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
        if (p->of == node && !p->last && !p->every)
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

rg_node *rgi_sum_begin(rgi_sums *s, rg_node *zeros)
{
    rg_node *begin = s->outer ? rgi_sum_begin(s->outer, zeros) : s->begun < s->begin.n ? s->begin.at[s->begun] : NULL;
    s->begun++;
    if (!s->loop)
        return begin;
    rg_node *carry = rg_scan_carry(s->loop, begin ? begin : zeros);
    return carry && rgi_list_push(carry->graph, &s->carry, carry) ? carry : NULL;
}

void rgi_sum_end(rgi_sums *s, rg_node *value)
{
    if (value && s->loop)
        rg_scan_next(s->loop, s->carry.at[s->value.n], value);
    if (value)
        (void)rgi_list_push(value->graph, &s->value, value);
}

/* Undoes on x what a transposition does. */
static rg_node *turned_back(rg_node *x, const rg_node *transposition)
{
    const rg_axes *order = transposition->attr;
    rg_axes back = {.n = order->n};
    for (int32_t k = 0; k < order->n; k++)
        back.axis[order->axis[k] < 0 ? order->axis[k] + order->n : order->axis[k]] = k;
    return x ? rg_transpose(x, back) : NULL;
}

/* A sum over axes and steps as a product with ones. */
static rg_node *sum_of_rows(rg_scan *s, const rg_node *node, rg_node *begin)
{
    const rgi_along *along = node->attr;
    rg_node *x = rg_scan_stack(s, node->in[0]);
    if (!x)
        return NULL;
    const rg_axes rows = with_steps(along->axes);
    rg_shape of_ones = {.rank = rows.n}, flat = RG_SCALAR;
    rg_contract_opts o = {.b_contract = rows};
    bool reduced[RG_MAX_RANK] = {false};
    for (int32_t k = 0; k < rows.n; k++) {
        of_ones.dim[k] = x->shape->a.dim[rows.axis[k]];
        o.a_contract.axis[o.a_contract.n++] = k;
        reduced[rows.axis[k]] = true;
    }
    for (int32_t k = 0; k < x->shape->a.rank; k++)
        if (!reduced[k])
            flat.dim[flat.rank++] = x->shape->a.dim[k];
    if (begin && along->keepdims)
        begin = rg_reshape(begin, flat);
    rg_node *y = rgi_accumulate(rg_ones(s->graph, x->dtype, of_ones), x, begin, &o, s->reverse);
    return along->keepdims ? rg_reshape(y, node->shape->a) : y;
}

void rgi_sink_sum(rg_scan *s, rg_node *node, rg_node *zeros, rgi_sums *sums)
{
    if (is_addition(s, node)) {
        rgi_sink_sum(s, node->in[0], zeros, sums);
        rgi_sink_sum(s, node->in[1], zeros, sums);
        return;
    }
    if (node->op == &rgi_op_transpose) {
        rgi_sink_sum(s, node->in[0], turned_back(zeros, node), sums);
        return;
    }
    rg_node *begin = rgi_sum_begin(sums, zeros);
    if (node->op == &rgi_op_sum) {
        rgi_sum_end(sums, sum_of_rows(s, node, begin));
        return;
    }
    const rg_contract_opts *o = node->attr;
    const rg_contract_opts all = {.a_batch = shifted(o->a_batch),
                                  .b_batch = shifted(o->b_batch),
                                  .a_contract = with_steps(o->a_contract),
                                  .b_contract = with_steps(o->b_contract)};
    rgi_sum_end(sums,
                rgi_accumulate(rg_scan_stack(s, node->in[0]), rg_scan_stack(s, node->in[1]), begin, &all, s->reverse));
}

rg_node *rgi_sink_value(const rg_scan *s, const rg_node *node, const rgi_sums *sums, size_t *at)
{
    if (is_addition(s, node)) {
        rg_node *a = rgi_sink_value(s, node->in[0], sums, at);
        return rg_add(a, rgi_sink_value(s, node->in[1], sums, at));
    }
    if (node->op == &rgi_op_transpose) {
        rg_node *x = rgi_sink_value(s, node->in[0], sums, at);
        return x ? rg_apply(node->op, RG_NODES(x), node->attr) : NULL;
    }
    return *at < sums->value.n ? sums->value.at[(*at)++] : NULL;
}

/* A product whose stack is a product of a stack. */
static bool is_stackable_product(const rg_scan *s, const rg_node *node)
{
    return node->op == &rgi_op_contract && stackable(s, node->in[0]) && !inside(s, node->in[1]) &&
           ((const rg_contract_opts *)node->attr)->a_batch.n == 0;
}

/* A product, or a sum in which there is one. */
static bool has_product(const rg_scan *s, const rg_node *node)
{
    if (!stackable(s, node) || has_stack(s, node))
        return false;
    if (is_addition(s, node))
        return stackable(s, node->in[0]) && stackable(s, node->in[1]) &&
               (has_product(s, node->in[0]) || has_product(s, node->in[1]));
    return is_stackable_product(s, node);
}

/* The stacks that a sum of products and other terms is made of. */
static bool ask_terms(rg_scan *s, rg_node *node)
{
    if (!has_product(s, node))
        return rg_scan_stack(s, node) != NULL;
    if (node->op == &rgi_op_contract)
        return rg_scan_stack(s, node->in[0]) != NULL;
    return ask_terms(s, node->in[0]) && ask_terms(s, node->in[1]);
}

bool rgi_sink_prepare_stack(rg_scan *s, rg_node *node)
{
    return has_product(s, node) && ask_terms(s, node);
}

rg_node *rgi_sink_stack(rg_scan *s, rg_node *node)
{
    if (!has_product(s, node))
        return rg_scan_stack(s, node);
    if (node->op == &rgi_op_add)
        return rg_add(rgi_sink_stack(s, node->in[0]), rgi_sink_stack(s, node->in[1]));
    rg_contract_opts o = *(const rg_contract_opts *)node->attr;
    o.a_contract = shifted(o.a_contract);
    return rg_contract(rg_scan_stack(s, node->in[0]), node->in[1], &o);
}
