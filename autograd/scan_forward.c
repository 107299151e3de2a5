/* scan_forward.c - the forward rule of a recurrence: the same steps once more, over values and tangents.

       (h', y) = f(h, x; w)    becomes    (h', th', y, ty) = (f, df)(h, th, x, tx; w, tw)
   Nothing is kept from step to step but the carries, so forward mode needs no memory that grows with the steps, and a
   loop needs no limit. */
#include "replay.h"
#include "rule.h"

#include <retrograde/op.h>
#include <retrograde/ops.h>

static bool dual_scan(rgi_replay *r, rg_node *v);

/* All results of a scan of the body: those that its reverse asked for were made when the body had ended already. */
static bool dual_results(rgi_replay *r, rg_node *v)
{
    const rg_scan *f = rgi_scan_of(v);
    bool ok = true;
    for (size_t k = 0; ok && k < f->results.n; k++) {
        rg_node *old = f->results.at[k];
        ok = old->id >= r->n || rgi_replay_body_node(r, old);
    }
    return ok;
}

/* The tangents of a node of the body, beside its copy. */
bool rgi_replay_body_node(rgi_replay *r, rg_node *v)
{
    const rg_allocator *a = &r->g->allocator;
    if (r->of[v->id])
        return true; /* a leaf, or the result of an op with several */
    if (rgi_is_scan(v))
        return dual_scan(r, v) && dual_results(r, v);
    if (rgi_is_projection(v)) {
        const rgi_projection *p = rgi_projection_of(v);
        rg_scan *c = rgi_scan_of(rgi_now(r, v->in[0]));
        rg_node *t = rgi_with(r, p->of), *of = rgi_now(r, p->of);
        r->of[v->id] = rgi_scan_result_like(c, p, of);
        r->with[v->id] = t ? rgi_scan_result_like(c, p, t) : NULL;
        return r->of[v->id] != NULL;
    }
    if (!rgi_replay_node(r, v))
        return false;
    rg_node *copy = r->of[v->id];
    const size_t n_out = rgi_output_count(copy), room = v->n_in + n_out + 1;
    rg_node **tangent = rgi_alloc(a, room * sizeof *tangent), **out = tangent ? tangent + v->n_in : NULL;
    bool any = false, ok = tangent != NULL;
    if (!ok)
        rgi_graph_fail(r->g, RG_ERR_MEMORY, v, "%s: out of memory", r->caller);
    for (uint32_t i = 0; ok && i < v->n_in; i++) {
        tangent[i] = i < 32 && (v->op->shape_only >> i & 1) ? NULL : rgi_with(r, rgi_replayed_input(r, v, copy, i));
        any = any || tangent[i];
    }
    if (ok && any && !(v->op->traits & RG_ZERO_GRAD) && (v->op->n_out > 1 || rgi_differentiable(v))) {
        ok = rgi_rule_jvp(copy, tangent, out);
        for (size_t k = 0; ok && k < n_out; k++) {
            const rg_node *old = rgi_output(v, k);
            if (old && old->id < r->n)
                r->with[old->id] = out[k];
        }
    }
    rgi_free(a, tangent, room * sizeof *tangent);
    return ok;
}

/* Slices and carries, with those of the tangents. */
static bool leaves(rgi_replay *r, const rg_scan *f, rg_scan *c)
{
    rg_graph *g = r->g;
    bool *depends = rgi_alloc(&g->allocator, r->n + 1);
    if (!depends) {
        rgi_graph_fail(g, RG_ERR_MEMORY, f->node, "%s: out of memory", r->caller);
        return false;
    }
    for (size_t i = 0; i < f->captures.n; i++)
        depends[((rg_node *)f->captures.at[i])->id] = rgi_with(r, f->captures.at[i]) != NULL;
    for (size_t i = 0; i < f->xs.n; i++) {
        rg_node *leaf = f->slices.at[i], *t = rgi_with(r, f->xs.at[i]);
        r->of[leaf->id] = rg_scan_slice(c, rgi_now(r, f->xs.at[i]));
        r->with[leaf->id] = t ? rg_scan_slice(c, t) : NULL;
        depends[leaf->id] = t != NULL;
    }
    for (size_t j = 0; j < f->carries.n; j++)
        depends[((rg_node *)f->carries.at[j])->id] = rgi_with(r, f->inits.at[j]) != NULL;
    rgi_replay_spread(r, f, depends, true);
    for (size_t j = 0; j < f->carries.n; j++) {
        rg_node *leaf = f->carries.at[j], *init = rgi_now(r, f->inits.at[j]), *t = rgi_with(r, f->inits.at[j]);
        r->of[leaf->id] = rg_scan_carry(c, init);
        if (depends[leaf->id])
            r->with[leaf->id] = rg_scan_carry(c, t ? t : rg_zeros_like(init));
        if (f->count == leaf)
            c->count = r->of[leaf->id];
    }
    if (f->index)
        r->of[f->index->id] = rgi_scan_index(g);
    rgi_free(&g->allocator, depends, r->n + 1);
    return g->error.status == RG_OK;
}

static bool dual_scan(rgi_replay *r, rg_node *v)
{
    rg_scan *f = rgi_scan_of(v), *c = rgi_replay_begin(r, f);
    bool ok = c && leaves(r, f, c) && rgi_replay_body(r, f);
    for (size_t j = 0; ok && j < f->carries.n; j++) {
        const rg_node *leaf = f->carries.at[j];
        rg_node *t = r->with[leaf->id], *next = rgi_with(r, f->nexts.at[j]);
        rg_scan_next(c, r->of[leaf->id], rgi_now(r, f->nexts.at[j]));
        if (t)
            rg_scan_next(c, t, next ? next : rg_zeros_like(t));
    }
    if (c)
        c->test = rgi_now(r, f->test);
    if (ok)
        rgi_replay_outer_stacks(r, f, c);
    rg_scan_end(c);
    r->of[v->id] = c ? c->node : NULL;
    for (size_t k = 0; ok && r->results && k < f->results.n; k++) {
        rg_node *old = f->results.at[k],
                *copy = rgi_scan_result_like(c, rgi_projection_of(old), rgi_now(r, rgi_projection_of(old)->of));
        ok = copy != NULL;
        if (old->id < r->n)
            r->of[old->id] = copy;
        c->copied = k + 1;
    }
    return ok && r->g->error.status == RG_OK;
}

bool rgi_scan_forward(rg_node *self, rg_node *const tangent[], rg_node *out[])
{
    rg_scan *f = rgi_scan_of(self);
    const size_t n_out = f->results.n;
    rgi_replay r;
    if (!rgi_replay_init(&r, self->graph, "rg_jvp"))
        return false;
    for (uint32_t i = 0; i < self->n_in; i++)
        if (tangent[i])
            r.with[self->in[i]->id] = tangent[i];
    bool ok = dual_scan(&r, self);
    for (size_t k = 0; ok && k < n_out; k++) {
        const rgi_projection *p = rgi_projection_of(f->results.at[k]);
        rg_scan *c = rgi_scan_of(r.of[self->id]);
        rg_node *t = rgi_with(&r, p->of);
        out[k] = t ? rgi_scan_result_like(c, p, t) : NULL;
        ok = self->graph->error.status == RG_OK;
    }
    rgi_replay_finish(&r);
    return ok;
}
