/* scan_batch.c - the batching rule of a recurrence: one scan whose slices and carries have one more axis.

   A value of the body has the axis if it depends on something that has it, through the steps too. Sequences [N, T, ..] go in
   as [T, N, ..], and stacks come out the other way round. What has no axis is copied as it is. */
#include "batch.h"

#include "../ops/rules.h"

#include <retrograde/ops.h>

static rg_node *exchanged(rg_node *x)
{
    rg_axes order = {.n = x ? x->shape->a.rank : 0};
    for (int32_t k = 0; k < order.n; k++)
        order.axis[k] = k < 2 ? 1 - k : k;
    return x ? rg_transpose(x, order) : NULL;
}

/* A value with the axis: its own, or repeated. */
static rg_node *with_axis(const rgi_batching *b, rg_node *x)
{
    rg_node *own = b->of[x->id];
    return own ? own : rgi_expand(rgi_copied(&b->copy, x), 0, b->examples, 0, 1);
}

static bool may_have(const rgi_batching *b, const rg_node *v)
{
    const rg_scan *s = v->region->scan;
    if (v->op == &rgi_op_scan_slice)
        return b->has[((rg_node *)s->xs.at[v->result])->id];
    if (v->op == &rgi_op_scan_carry)
        return b->has[((rg_node *)s->inits.at[v->result])->id] || b->has[((rg_node *)s->nexts.at[v->result])->id];
    for (size_t i = 0; i < v->n_in; i++)
        if (b->has[v->in[i]->id])
            return true;
    return false;
}

/* Which values of the body, bodies within included, may have the axis: a fixed point over the carries. */
static void mark(rgi_batching *b, const rg_scan *s)
{
    for (size_t i = 0; i < s->node->n_in; i++)
        b->has[s->node->in[i]->id] = b->has[s->node->in[i]->id] || b->of[s->node->in[i]->id];
    for (bool changed = true; changed;) {
        changed = false;
        for (size_t id = s->first_id; id < s->node->id; id++) {
            const rg_node *v = rgi_node(b->g, id);
            if (!b->has[id] && rgi_region_within(v->region, s->region) && may_have(b, v))
                b->has[id] = changed = true;
        }
    }
}

static void batch_leaves(rgi_batching *b, const rg_scan *from, rg_scan *to)
{
    for (size_t i = 0; i < from->xs.n; i++) {
        rg_node *xs = from->xs.at[i], *leaf = from->slices.at[i];
        if (b->has[leaf->id])
            b->of[leaf->id] = rg_scan_slice(to, exchanged(with_axis(b, xs)));
        else
            b->copy.of[leaf->id] = rg_scan_slice(to, rgi_copied(&b->copy, xs));
    }
    for (size_t j = 0; j < from->inits.n; j++) {
        rg_node *init = from->inits.at[j], *leaf = from->carries.at[j];
        if (b->has[leaf->id])
            b->of[leaf->id] = rg_scan_carry(to, with_axis(b, init));
        else
            b->copy.of[leaf->id] = rg_scan_carry(to, rgi_copied(&b->copy, init));
    }
    if (from->index)
        b->copy.of[from->index->id] = rgi_scan_index(b->g);
}

static bool batch_body(rgi_batching *b, const rg_scan *from)
{
    for (size_t id = from->first_id; id < from->node->id; id++) {
        rg_node *v = rgi_node(b->g, id);
        if (v->region != from->region || (!v->n_in && (v->op->traits & RG_LEAF)))
            continue;
        bool any = false;
        for (size_t i = 0; i < v->n_in; i++)
            any = any || b->of[v->in[i]->id];
        /* a result whose owner was batched has its counterpart already */
        const bool done = b->of[id] || b->copy.of[id];
        if (!done && !(any ? rgi_batch_node(b, v) : rgi_copy_node(&b->copy, v)))
            return false;
    }
    return b->g->error.status == RG_OK;
}

/* The results that nodes made before refer to; those of a scan in a body without the axis too. */
static void batch_results(rgi_batching *b, const rg_scan *from, rg_scan *to, bool inside)
{
    for (size_t k = 0; k < from->results.n; k++) {
        const rg_node *r = from->results.at[k];
        const rgi_projection *p = rgi_projection_of(r);
        rg_node *own = b->of[p->of->id], *of = own ? own : rgi_copied(&b->copy, p->of);
        if (r->id >= b->n || (!own && !inside))
            continue;
        rg_node *result = p->last    ? rg_scan_last(to, of)
                          : p->every ? rgi_scan_starts(to, of, p->every)
                                     : rgi_scan_stack(to, of);
        *(own ? &b->of[r->id] : &b->copy.of[r->id]) = result;
    }
}

bool rgi_batch_scan(rgi_batching *b, rg_node *v)
{
    rg_graph *g = b->g;
    const rg_scan *from = rgi_scan_of(v);
    const rg_scan_opts opts = {
        .name = from->name, .reverse = from->reverse, .keep_every = from->keep_every, .keep_bytes = from->keep_bytes};
    mark(b, from);
    rg_scan *to = rg_scan_begin(g, &opts);
    if (!to)
        return false;
    batch_leaves(b, from, to);
    if (!batch_body(b, from))
        return false;
    for (size_t j = 0; j < from->carries.n; j++) {
        rg_node *leaf = from->carries.at[j], *next = from->nexts.at[j];
        if (b->of[leaf->id])
            rg_scan_next(to, b->of[leaf->id], with_axis(b, next));
        else
            rg_scan_next(to, rgi_copied(&b->copy, leaf), rgi_copied(&b->copy, next));
    }
    batch_results(b, from, to, v->region->parent != NULL);
    rg_scan_end(to);
    for (size_t k = 0; k < from->results.n && g->error.status == RG_OK; k++) {
        const rg_node *r = from->results.at[k];
        if (r->id < b->n && b->of[r->id] && !rgi_projection_of(r)->last)
            b->of[r->id] = exchanged(b->of[r->id]);
    }
    return g->error.status == RG_OK;
}
