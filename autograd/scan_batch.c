/* scan_batch.c - the batching rule of a recurrence: all examples go through the steps together, and the body's ops are
   batched by their own rules. Examples whose loop has ended, or that do not take a branch, keep their carries while the
   others go on. */
#include "batch.h"
#include "replay.h"
#include "rule.h"

#include "../ops/rules.h"

#include <retrograde/op.h>
#include <retrograde/ops.h>

typedef struct batching {
    rgi_replay r;  /* `with`: the node with the axis */
    rg_node *like; /* a node outside whose leading axis is that of the examples */
} batching;

static bool batch_scan(batching *b, rg_node *v);

/* v with the axis, repeated along it where it is the same for all. */
static rg_node *spread(const batching *b, rg_node *v)
{
    rg_node *with = rgi_with(&b->r, v);
    return with ? with : rgi_expand(rgi_now(&b->r, v), 0, b->like, 0, 1);
}

static bool apply_rule(batching *b, rg_node *v)
{
    const rg_allocator *a = &b->r.g->allocator;
    const size_t n_out = rgi_output_count(v), room = v->n_in + n_out + 1;
    rg_node **in = rgi_alloc(a, room * sizeof *in), **out = in ? in + v->n_in : NULL;
    bool *batched = rgi_alloc(a, v->n_in + 1), ok = in && batched;
    if (!ok)
        rgi_graph_fail(b->r.g, RG_ERR_MEMORY, v, "%s: out of memory", b->r.caller);
    for (uint32_t i = 0; ok && i < v->n_in; i++) {
        rg_node *with = rgi_with(&b->r, v->in[i]);
        in[i] = with ? with : rgi_now(&b->r, v->in[i]);
        batched[i] = with != NULL;
    }
    if (ok)
        rgi_batch_node(v, in, batched, out);
    for (size_t k = 0; ok && k < n_out; k++) {
        const rg_node *old = rgi_output(v, k);
        if (old && old->id < b->r.n)
            b->r.with[old->id] = out[k];
    }
    rgi_free(a, in, room * sizeof *in);
    rgi_free(a, batched, v->n_in + 1);
    return ok && b->r.g->error.status == RG_OK;
}

/* The result of a batched scan: stacks have the steps in front of the examples. */
static rg_node *result(rg_scan *c, const rgi_projection *p, rg_node *of, bool batched)
{
    rg_node *y = rgi_scan_result_like(c, p, of);
    return !p->last && batched ? rgi_axis_outward(y, 1) : y;
}

static bool batch_node(batching *b, rg_node *v);

/* All results of a scan of the body: those that its reverse asked for were made when the body had ended already. */
static bool batch_results(batching *b, rg_node *v)
{
    const rg_scan *f = rgi_scan_of(v);
    bool ok = true;
    for (size_t k = 0; ok && k < f->results.n; k++) {
        rg_node *old = f->results.at[k];
        ok = old->id >= b->r.n || batch_node(b, old);
    }
    return ok;
}

static bool batch_node(batching *b, rg_node *v)
{
    rgi_replay *r = &b->r;
    if (r->of[v->id] || r->with[v->id])
        return true;
    if (rgi_is_scan(v))
        return batch_scan(b, v) && batch_results(b, v);
    if (rgi_is_projection(v)) {
        const rgi_projection *p = rgi_projection_of(v);
        rg_node *with = rgi_with(r, p->of), *scan = r->of[v->in[0]->id];
        rg_node *y = result(rgi_scan_of(scan), p, with ? with : rgi_now(r, p->of), with != NULL);
        *(with ? &r->with[v->id] : &r->of[v->id]) = y;
        return y != NULL;
    }
    for (uint32_t i = 0; i < v->n_in; i++)
        if (rgi_with(r, v->in[i]))
            return apply_rule(b, v);
    return rgi_replay_node(r, v);
}

/* Slices and carries: those that depend on something with the axis have it. */
static bool leaves(batching *b, const rg_scan *f, rg_scan *c, bool all)
{
    rgi_replay *r = &b->r;
    rg_graph *g = r->g;
    bool *depends = rgi_alloc(&g->allocator, r->n + 1);
    if (!depends) {
        rgi_graph_fail(g, RG_ERR_MEMORY, f->node, "%s: out of memory", r->caller);
        return false;
    }
    for (size_t i = 0; i < f->captures.n; i++)
        depends[((rg_node *)f->captures.at[i])->id] = rgi_with(r, f->captures.at[i]) != NULL;
    for (size_t i = 0; i < f->xs.n; i++) {
        rg_node *leaf = f->slices.at[i], *with = rgi_with(r, f->xs.at[i]);
        depends[leaf->id] = with != NULL;
        if (with)
            r->with[leaf->id] = rg_scan_slice(c, rgi_axis_inward(with, 1));
        else
            r->of[leaf->id] = rg_scan_slice(c, rgi_now(r, f->xs.at[i]));
    }
    for (size_t j = 0; j < f->carries.n; j++) /* the carries of examples that end by themselves differ */
        depends[((rg_node *)f->carries.at[j])->id] = all || rgi_with(r, f->inits.at[j]);
    rgi_replay_spread(r, f, depends, false);
    bool again = f->test && f->test->region == f->region && depends[f->test->id] && !all;
    for (size_t j = 0; again && j < f->carries.n; j++)
        depends[((rg_node *)f->carries.at[j])->id] = true;
    for (size_t j = 0; j < f->carries.n; j++) {
        rg_node *leaf = f->carries.at[j];
        if (depends[leaf->id])
            r->with[leaf->id] = rg_scan_carry(c, spread(b, f->inits.at[j]));
        else
            r->of[leaf->id] = rg_scan_carry(c, rgi_now(r, f->inits.at[j]));
    }
    if (f->index)
        r->of[f->index->id] = rgi_scan_index(g);
    rgi_free(&g->allocator, depends, r->n + 1);
    return g->error.status == RG_OK;
}

/* [examples] bool, put against x with the axis. */
static rg_node *chosen(rg_node *going, rg_node *x, rg_node *otherwise)
{
    for (int32_t k = 1; going && x && k < x->shape->a.rank; k++)
        going = rg_unsqueeze(going, -1);
    return rg_where(going, x, otherwise);
}

/* Which examples do the present step: [examples] bool, or NULL for all. */
static rg_node *going(const batching *b, const rg_scan *f)
{
    rg_node *test = rgi_with(&b->r, f->test), *trips = rgi_with(&b->r, f->trips);
    if (test)
        return test;
    return trips ? rg_less(rgi_scan_index(b->r.g), trips) : NULL;
}

static bool batch_scan(batching *b, rg_node *v)
{
    rgi_replay *r = &b->r;
    rg_scan *f = rgi_scan_of(v);
    rg_node *trips = rgi_with(r, f->trips);
    rg_scan *c = rgi_replay_begin(r, f);
    bool ok = c != NULL;
    if (ok && trips) {
        c->trips = rg_max(trips, RG_ALL_AXES, false);
        c->choice = NULL; /* some examples take this branch, others that one */
    }
    ok = ok && leaves(b, f, c, trips != NULL);
    for (size_t id = f->first_id; ok && id < v->id; id++)
        if (rgi_node(r->g, id)->region == f->region)
            ok = batch_node(b, rgi_node(r->g, id));
    rg_node *some = ok ? going(b, f) : NULL;
    for (size_t j = 0; ok && j < f->carries.n; j++) {
        rg_node *leaf = f->carries.at[j], *with = r->with[leaf->id];
        rg_node *next = with ? spread(b, f->nexts.at[j]) : rgi_now(r, f->nexts.at[j]);
        rg_scan_next(c, with ? with : r->of[leaf->id], with && some ? chosen(some, next, with) : next);
        ok = r->g->error.status == RG_OK;
    }
    if (c && f->test) {
        rg_node *test = rgi_with(r, f->test);
        c->test = test ? rg_any(test, RG_ALL_AXES, false) : rgi_now(r, f->test);
    }
    if (c && f->count)
        c->count = r->with[f->count->id] ? r->with[f->count->id] : r->of[f->count->id];
    if (c && c->endless && c->count && c->count->shape->a.rank) { /* steps of the loop itself, for reverse mode */
        rg_node *count = rg_scan_carry(c, rg_scalar(r->g, RG_I64, 0));
        rg_scan_next(c, count, rg_add(count, rg_scalar(r->g, RG_I64, 1)));
        c->count = count;
    }
    if (ok)
        rgi_replay_outer_stacks(r, f, c);
    rg_scan_end(c);
    r->of[v->id] = c ? c->node : NULL;
    return ok && r->g->error.status == RG_OK;
}

bool rgi_scan_batch(rg_node *self, rg_node *const in[], const bool batched[], rg_node *out[], const char *caller)
{
    rg_scan *f = rgi_scan_of(self);
    const size_t n_out = f->results.n;
    batching b = {.like = NULL};
    if (!rgi_replay_init(&b.r, self->graph, caller))
        return false;
    for (uint32_t i = 0; i < self->n_in; i++)
        if (batched[i]) {
            b.r.with[self->in[i]->id] = in[i];
            b.like = in[i];
        }
    bool ok = batch_scan(&b, self);
    for (size_t k = 0; ok && k < n_out; k++) {
        const rgi_projection *p = rgi_projection_of(f->results.at[k]);
        rg_node *with = rgi_with(&b.r, p->of), *now = rgi_now(&b.r, p->of);
        rg_node *y = result(rgi_scan_of(b.r.of[self->id]), p, with ? with : now, with != NULL);
        out[k] = with ? y : rgi_expand(y, 0, b.like, 0, 1);
        ok = self->graph->error.status == RG_OK;
    }
    rgi_replay_finish(&b.r);
    return ok;
}
