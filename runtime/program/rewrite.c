/* rewrite.c - what stands for what: each live node goes through the table of identities (ops/rewrite.h), and where one
   holds something that costs less takes its place.

   Inputs come before what reads them, so one walk in the order of ids is enough; only what is known about the steps of
   a loop, which may be computed in front of it, is not looked into. A node that is replaced stays where it is for those
   who read it, and has the value of its stand-in (units.c); what it read is dead unless somebody else wants it.

   With opts.check_rewrites nothing is replaced: stand-ins are computed beside what they would stand for, and compared
   (agree.c). The first pair that differs ends the run, and names the identity. */
#include "lower.h"

#include "../../ops/rewrite.h"
#include "../../ops/table_ops.h"
#include "agree.h"

#define RGI_IN_A_ROW 16 /* identities that hold of one node, each of what the one before gave */

const char *rg_rewrite_name(size_t i)
{
    for (size_t k = 0; rgi_rewrites[k]; k++)
        if (k == i)
            return rgi_rewrites[k]->name;
    return NULL;
}

bool rgi_known_number(const rgi_lowering *l, const rg_node *node, double *number)
{
    if (node->op == &rgi_op_training) {
        *number = l->p->opts.mode != RG_EVAL;
        return true;
    }
    return node->op->uniform && node->op->uniform(node->attr, number);
}

static void find_facts(const rgi_lowering *l, const rg_node *node, rgi_facts *f, double *numbers)
{
    *f = (rgi_facts){.made = {false}};
    for (size_t i = 0; i < node->n_in && i < RGI_FACTS; i++) {
        f->in[i] = rgi_stand_in(l, node->in[i]);
        f->made[i] = f->in[i]->n_in && !rgi_outside(l, f->in[i]);
        f->number[i] = rgi_known_number(l, f->in[i], &numbers[i]) ? &numbers[i] : NULL;
    }
}

static bool may_be_replaced(const rgi_lowering *l, const rg_node *node)
{
    return node->n_in && node->op->n_out == 1 && !(node->op->traits & (RG_CONTROL | RG_EFFECT | RG_LEAF)) &&
           node->op != &rgi_op_group && !rgi_outside(l, node);
}

/* What the table makes of a node, or NULL. *which: the identity that holds. */
static rg_node *try_all(rgi_lowering *l, rg_node *node, size_t *which)
{
    rgi_facts f;
    double numbers[RGI_FACTS];
    find_facts(l, node, &f, numbers);
    for (size_t k = 0; rgi_rewrites[k]; k++) {
        if (l->p->opts.without_rewrites >> k & 1)
            continue;
        rg_node *const y = rgi_rewrites[k]->apply(node, &f);
        if (l->g->compile_error.status == RG_ERR_MEMORY) {
            l->failed = true;
            return NULL;
        }
        l->g->compile_error.status = RG_OK; /* what cannot be built stands for nothing */
        if (y && y != node && y->shape == node->shape && y->dtype == node->dtype && y->op->n_out == 1 &&
            rgi_region_within(node->region, y->region)) {
            *which = k;
            return y;
        }
    }
    return NULL;
}

/* Room for what stands for the nodes there are by now. */
static bool reserve(rgi_lowering *l)
{
    const size_t n = l->g->nodes.n, larger = n + n / 2 + 1;
    if (n <= l->n_stand_ins)
        return true;
    rg_node **at = rgi_arena_alloc(&l->temporary, larger * sizeof *at);
    if (!at) {
        l->failed = true;
        return false;
    }
    for (size_t id = 0; id < l->n_stand_ins; id++)
        at[id] = l->stand_ins[id];
    l->stand_ins = at;
    l->n_stand_ins = larger;
    return true;
}

bool rgi_stand_for(rgi_lowering *l, const rg_node *node, rg_node *y)
{
    if (!reserve(l))
        return false;
    l->stand_ins[node->id] = y;
    return true;
}

/* Notes that y stands for a node, unless y is made from it. False: out of memory. */
static bool replace(rgi_lowering *l, rg_node *node, rg_node *y, size_t which)
{
    y = rgi_stand_in(l, y);
    if (y == node)
        return true;
    if (l->p->opts.check_rewrites) {
        rg_node *agreement = rgi_agreement(node, y, rgi_rewrites[which]->name);
        if (!agreement || !rgi_push(&l->temporary, (void **)&l->agreements, &l->n_agreements, &l->agreement_capacity,
                                    sizeof agreement, &agreement)) {
            l->failed = true;
            return false;
        }
    } else if (!rgi_stand_for(l, node, y)) {
        return false;
    }
    l->p->rewritten[which]++;
    return !l->failed;
}

static void rewrite(rgi_lowering *l, rg_node *node)
{
    rg_node *const origin = rgi_origin_set(l->g, node);
    rg_node *y = node;
    size_t which;
    for (int k = 0; k < RGI_IN_A_ROW && y && !l->failed; k++) {
        rg_node *const next = may_be_replaced(l, y) ? try_all(l, y, &which) : NULL;
        if (!next || !replace(l, y, next, which))
            break;
        y = next;
    }
    rgi_origin_set(l->g, origin);
}

bool rgi_rewrite_nodes(rgi_lowering *l)
{
    rg_graph *const g = l->g;
    const size_t n = g->nodes.n;
    size_t rules = 0;
    while (rgi_rewrites[rules])
        rules++;
    l->p->rewritten = rgi_arena_alloc(&l->p->arena, rules * sizeof *l->p->rewritten);
    if (!l->p->rewritten)
        return false;
    g->in_compile = true;
    for (size_t id = 0; id < n && !l->failed; id++)
        if (l->live[id] && rgi_stand_in(l, rgi_node(g, id)) == rgi_node(g, id))
            rewrite(l, rgi_node(g, id));
    g->in_compile = false;
    return !l->failed;
}
