/* hoist.c - what leaves the loop of a recurrence.

   A node of a body that depends on slices and captures alone is the same computation in every step on another element
   of the sequences. By the batching rules of its ops all steps are computed at once, in front of the loop: T small
   products with a weight become one large one. In the loop the node is then a slice of that result.

   Only products leave, and what leads from one of them to another: elementwise ops cost the same everywhere, and inside
   they read what is in cache. From a body without carries everything leaves that has a rule, and mostly no loop
   remains.

   The nodes made here are ordinary ones of the graph. The body stands as it was written: l->outside says which of its
   nodes are slices of what. */
#include "lower.h"

#include "../../graph/infer.h"
#include "../../ops/batch.h"

#include <retrograde/ops.h>

#include <string.h>

typedef struct hoisting {
    rgi_lowering *l;
    rg_graph *g;
    rg_scan *scan;
    size_t first, end; /* ids of the body lie in [first, end) ... */
    size_t made, n;    /* ... and, of what inner scans have put there, in [made, n) */
    /* by node id, of bodies: */
    bool *moves, *goes; /* depends on slices and captures alone; is to leave */
    bool *needed;       /* must be batched */
    rg_node **batched;  /* all steps of it */
    size_t capacity;
} hoisting;

static bool in_body(const hoisting *h, const rg_node *v)
{
    return v->region == h->scan->region;
}

/* The next node of the body from `id` on, or SIZE_MAX. */
static size_t body_from(const hoisting *h, size_t id)
{
    for (; id < h->n; id++) {
        if (id >= h->end && id < h->made)
            id = h->made;
        if (id < h->n && in_body(h, rgi_node(h->g, id)))
            return id;
    }
    return SIZE_MAX;
}

/* Of others only the shapes are used. */
static bool is_live(const hoisting *h, size_t id)
{
    return id >= h->made || h->l->live[id];
}

/* Room for all nodes there are by now. */
static bool reserve(hoisting *h)
{
    const size_t n = h->g->nodes.n, old = h->capacity;
    if (n <= old)
        return true;
    const size_t larger = n + n / 2;
    bool *flags = rgi_arena_alloc(&h->l->temporary, 3 * larger);
    rg_node **nodes = rgi_arena_alloc(&h->l->temporary, 2 * larger * sizeof *nodes);
    if (!flags || !nodes) {
        h->l->failed = true;
        return false;
    }
    if (old) {
        memcpy(flags, h->moves, old);
        memcpy(flags + larger, h->goes, old);
        memcpy(flags + 2 * larger, h->needed, old);
        memcpy(nodes, h->batched, old * sizeof *nodes);
        memcpy(nodes + larger, h->l->outside, old * sizeof *nodes);
    }
    h->moves = flags;
    h->goes = flags + larger;
    h->needed = flags + 2 * larger;
    h->batched = nodes;
    h->l->outside = nodes + larger;
    h->l->n_outside = h->capacity = larger;
    return true;
}

/* One of several results of an op of the body. */
static bool is_result(const rg_node *v)
{
    return rgi_is_projection(v) && !rgi_is_scan(v->in[0]);
}

/* Whether all steps of a node can be computed at once, given that they can of its inputs. */
static bool has_rule(const rg_node *v)
{
    bool fits = v->shape->a.rank < RG_MAX_RANK;
    for (const rg_node *r = v->results; r; r = r->next_result)
        fits = fits && r->shape->a.rank < RG_MAX_RANK;
    return fits && v->op->n_out >= 1 && (v->op->batch || (v->op->traits & RG_ELEMENTWISE)) &&
           !(v->op->traits & (RG_EFFECT | RG_CONTROL));
}

static bool all_moves(hoisting *h, const rg_node *v)
{
    bool ok = v->n_in > 0;
    if (is_result(v))
        return h->moves[v->in[0]->id];
    for (size_t i = 0; ok && i < v->n_in; i++)
        ok = !in_body(h, v->in[i]) || h->moves[v->in[i]->id];
    if (ok && !has_rule(v) && !(v->op->traits & RG_CONTROL) && is_live(h, v->id) && !h->l->held[h->scan->region->id])
        h->l->held[h->scan->region->id] = v;
    return ok && has_rule(v);
}

static bool has_live_carry(const hoisting *h)
{
    for (size_t j = 0; j < h->scan->carries.n; j++)
        if (h->l->live[((rg_node *)h->scan->carries.at[j])->id])
            return true;
    return false;
}

/* Which nodes leave, and which must be batched for them. Of a loop whose number of steps comes with the data nothing
   does: steps that never are made would be computed. */
static bool choose(hoisting *h)
{
    if (h->scan->test || h->scan->trips)
        return false;
    const bool all = !has_live_carry(h);
    bool any = false;
    size_t last = 0;
    for (size_t id = body_from(h, h->first); id != SIZE_MAX; id = body_from(h, id + 1)) {
        const rg_node *v = rgi_node(h->g, id);
        last = id;
        h->moves[id] = v->op == &rgi_op_scan_slice || v->op == &rgi_op_scan_index || all_moves(h, v);
        h->goes[id] = h->moves[id] && v->n_in && is_live(h, id) &&
                      (all || (v->op->traits & (RG_DELIVERS | RG_LIGHT)) == RG_DELIVERS ||
                       (is_result(v) && h->goes[v->in[0]->id]));
        any = any || h->goes[id];
    }
    for (size_t id = last + 1; any && id-- > h->first;) {
        const rg_node *v = rgi_node(h->g, id);
        if (id >= h->end && id < h->made)
            id = h->end; /* goes on in the body itself */
        if (id == h->end || !in_body(h, v) || !(h->needed[id] = h->needed[id] || h->goes[id]))
            continue;
        for (size_t i = 0; i < v->n_in; i++)
            if (in_body(h, v->in[i]))
                h->needed[v->in[i]->id] = true;
    }
    for (size_t id = body_from(h, h->first); any && id != SIZE_MAX; id = body_from(h, id + 1)) {
        const rg_node *v = rgi_node(h->g, id);
        for (size_t i = 0; h->needed[id] && i < v->n_in; i++) /* not computed a second time in the loop */
            h->goes[id] = h->goes[id] || (in_body(h, v->in[i]) && h->goes[v->in[i]->id]);
        if (any && is_result(v) && h->needed[v->in[0]->id] && is_live(h, id)) /* no more are its fellows */
            h->goes[id] = h->needed[id] = true;
    }
    return any;
}

/* All steps of a leaf of the body, or NULL. */
static rg_node *whole_leaf(const hoisting *h, const rg_node *v)
{
    if (v->op == &rgi_op_scan_slice)
        return h->scan->xs.at[v->result];
    const rg_node *xs = h->scan->xs.at[0];
    return v->op == &rgi_op_scan_index ? rg_arange(h->g, RG_I64, 0, 1, xs->shape->a.dim[0]) : NULL;
}

/* A node of the body with one more leading axis, or its results with it; none where its rule does not apply after
   all. */
static void all_steps(hoisting *h, rg_node *v)
{
    rg_node *in[RGI_MAX_ARITY], *out[RGI_RESULTS] = {NULL};
    bool batched[RGI_MAX_ARITY];
    if (v->n_in > RGI_MAX_ARITY || is_result(v)) /* those came with their op */
        return;
    for (size_t i = 0; i < v->n_in; i++) {
        batched[i] = in_body(h, v->in[i]);
        in[i] = batched[i] ? h->batched[v->in[i]->id] : v->in[i];
        if (!in[i])
            return;
    }
    rg_node *const origin = rgi_origin_set(h->g, v);
    if (v->n_in == 0)
        out[0] = whole_leaf(h, v);
    else
        (v->op->batch ? v->op->batch : rgi_batch_elementwise)(v, in, batched, out);
    rgi_origin_set(h->g, origin);
    if (h->g->compile_error.status == RG_ERR_MEMORY)
        h->l->failed = true;
    else
        h->g->compile_error.status = RG_OK;
    h->batched[v->id] = v->op->n_out == 1 ? out[0] : NULL;
    for (const rg_node *r = v->op->n_out == 1 ? NULL : v->results; r; r = r->next_result)
        if (r->id < h->capacity)
            h->batched[r->id] = out[r->result];
}

/* The shape of the stack of a node over the steps. */
static const rgi_shape *stack_shape(const hoisting *h, const rg_node *v)
{
    const rgi_shape *xs = ((rg_node *)h->scan->xs.at[0])->shape;
    rg_shape s[2] = {{.rank = v->shape->a.rank + 1, .dim = {xs->a.dim[0]}},
                     {.rank = v->shape->a.rank + 1, .dim = {xs->b.dim[0]}}};
    for (int32_t k = 0; k < v->shape->a.rank; k++) {
        s[0].dim[k + 1] = v->shape->a.dim[k];
        s[1].dim[k + 1] = v->shape->b.dim[k];
    }
    return rgi_shape_intern(h->g, s[0], s[1]);
}

/* Makes the nodes in front of the loop, and says in which of them the body's nodes lie. */
static void leave(hoisting *h)
{
    for (size_t id = body_from(h, h->first); id != SIZE_MAX && !h->l->failed; id = body_from(h, id + 1)) {
        rg_node *v = rgi_node(h->g, id);
        if (!h->needed[id] || !h->moves[id])
            continue;
        all_steps(h, v);
        if (h->batched[id] && h->batched[id]->id < h->made) /* it stands already: perhaps in the body around this one */
            h->l->live[h->batched[id]->id] = true;
        if (h->goes[id] && h->batched[id] && h->batched[id]->shape == stack_shape(h, v))
            h->l->outside[id] = h->batched[id];
    }
}

bool rgi_hoist(rgi_lowering *l)
{
    rg_graph *g = l->g;
    hoisting h = {.l = l, .g = g, .made = g->nodes.n};
    l->held = rgi_arena_alloc(&l->temporary, (g->regions.n + 1) * sizeof *l->held);
    if (!l->held || l->p->opts.no_fuse)
        return l->held != NULL;
    g->in_compile = true;                                  /* what a rule has to say against it is no error */
    for (size_t id = 0; id < h.made && !l->failed; id++) { /* inner scans end before outer ones */
        const rg_node *v = rgi_node(g, id);
        if (!l->live[id] || !rgi_is_scan(v) || !reserve(&h))
            continue;
        h.scan = rgi_scan_of(v);
        if (h.scan->bounded)
            continue;
        h.first = h.scan->first_id;
        h.end = id;
        h.n = g->nodes.n;
        if (choose(&h))
            leave(&h);
    }
    g->in_compile = false;
    return !l->failed;
}
