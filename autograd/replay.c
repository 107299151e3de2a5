/* replay.c - one node of a body once more, applied to what stands for its inputs. The copies depend on other leaves, so
   they are other nodes than the originals; draws keep their keys, hence their bits. */
#include "replay.h"

bool rgi_replay_init(rgi_replay *r, rg_graph *g, const char *caller)
{
    *r = (rgi_replay){.g = g, .n = g->nodes.n, .caller = caller};
    r->of = rgi_alloc(&g->allocator, 2 * (r->n + 1) * sizeof *r->of);
    r->with = r->of ? r->of + r->n + 1 : NULL;
    if (!r->of)
        rgi_graph_fail(g, RG_ERR_MEMORY, NULL, "%s: out of memory", caller);
    return r->of != NULL;
}

void rgi_replay_finish(rgi_replay *r)
{
    rgi_free(&r->g->allocator, r->of, 2 * (r->n + 1) * sizeof *r->of);
}

bool rgi_replay_node(rgi_replay *r, rg_node *v)
{
    const rg_allocator *a = &r->g->allocator;
    rg_node **in = rgi_alloc(a, (v->n_in + 1) * sizeof *in);
    if (!in) {
        rgi_graph_fail(r->g, RG_ERR_MEMORY, v, "%s: out of memory", r->caller);
        return false;
    }
    for (uint32_t i = 0; i < v->n_in; i++)
        in[i] = rgi_now(r, v->in[i]);
    rg_node *const origin = rgi_origin_set(r->g, v);
    rg_node *copy = rg_apply_in(r->g, v->op, (rg_nodes){in, v->n_in}, v->attr);
    rgi_origin_set(r->g, origin);
    rgi_free(a, in, (v->n_in + 1) * sizeof *in);
    r->of[v->id] = copy;
    for (size_t k = 0; copy && v->op->n_out > 1 && k < (size_t)v->op->n_out; k++) {
        const rg_node *old = rgi_output(v, k);
        if (old && old->id < r->n)
            r->of[old->id] = rgi_output(copy, k);
    }
    return copy != NULL;
}

rg_node *rgi_replayed_input(const rgi_replay *r, const rg_node *v, const rg_node *copy, uint32_t i)
{
    const bool exchanged = (v->op->traits & RG_COMMUTES) && v->n_in == 2 && rgi_now(r, v->in[0]) != copy->in[0];
    return v->in[exchanged ? 1 - i : i];
}

bool rgi_replay_body(rgi_replay *r, const rg_scan *f)
{
    bool ok = true;
    for (size_t id = f->first_id; ok && id < f->node->id; id++)
        if (rgi_node(r->g, id)->region == f->region)
            ok = rgi_replay_body_node(r, rgi_node(r->g, id));
    return ok && r->g->error.status == RG_OK;
}

/* The copy of a scan that another repeats, if it has been copied. */
static rg_scan *repeated(const rgi_replay *r, rg_node *scan)
{
    rg_node *copy = rgi_now(r, scan);
    return copy ? rgi_scan_of(copy) : NULL;
}

rg_scan *rgi_replay_begin(rgi_replay *r, const rg_scan *f)
{
    rg_scan *c = rg_scan_begin(
        r->g, &(rg_scan_opts){
                  .name = f->name, .reverse = f->reverse, .keep_every = f->keep_every, .keep_bytes = f->keep_bytes});
    if (c) {
        c->endless = f->endless;
        c->most = f->most;
        c->trips = rgi_now(r, f->trips);
        c->choice = rgi_now(r, f->choice);
        c->taken = f->taken;
        c->repeats = f->repeats ? repeated(r, f->repeats->node) : NULL;
    }
    return c;
}

/* What a body's results become may be made of what is outside alone, even where they are not. */
static void stack_outer(rg_scan *c, rg_node *v)
{
    if (v && v->region != c->region)
        (void)rgi_scan_stack(c, v);
}

void rgi_replay_outer_stacks(const rgi_replay *r, const rg_scan *f, rg_scan *c)
{
    for (size_t k = 0; k < f->results.n; k++) {
        const rgi_projection *p = rgi_projection_of(f->results.at[k]);
        if (p->last || p->every)
            continue;
        rg_node *now = rgi_now(r, p->of);
        if (now->region != f->region) /* else it has no copy */
            stack_outer(c, now);
        stack_outer(c, rgi_with(r, p->of));
    }
}

static bool follows(const rg_node *v, const bool *depends, bool floats)
{
    if (floats && ((v->op->traits & RG_ZERO_GRAD) || !(rgi_differentiable(v) || rgi_is_scan(v) || v->op->n_out > 1)))
        return false;
    for (uint32_t i = 0; i < v->n_in; i++)
        if (depends[v->in[i]->id])
            return true;
    return false;
}

void rgi_replay_spread(const rgi_replay *r, const rg_scan *f, bool *depends, bool floats)
{
    for (bool changed = true; changed;) {
        changed = false;
        for (size_t id = f->first_id; id < f->node->id; id++) {
            const rg_node *v = rgi_node(r->g, id);
            depends[id] = depends[id] || (v->region == f->region && follows(v, depends, floats));
        }
        for (size_t j = 0; j < f->carries.n; j++) {
            const rg_node *leaf = f->carries.at[j], *next = f->nexts.at[j];
            if (depends[next->id] && !depends[leaf->id] && (!floats || rgi_differentiable(leaf)))
                depends[leaf->id] = changed = true;
        }
    }
}
