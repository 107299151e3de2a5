/* scan_reverse.c - the reverse rule of a recurrence: a recurrence in the other direction.

   Forward, for each step:  (h', y) = f(h, x; w),  h carries, x slices, w captures, y stacked.
   Reverse, for each step backwards:  (gh, gx, dw) = vjp of f at (h, x; w) with (gh', gy);  gw += dw.
   The values of the forward body that the rules read are slices of their stacks (residuals), so the forward
   body is not run again. Where gw is a sum of products, and gx a product, they are computed behind the scan from stacks
   (sink.c). The result is again a scan, hence differentiable again. */
#include "sink.h"
#include "sweep.h"

#include "../graph/scan.h"

#include <retrograde/ops.h>

typedef struct reverse {
    rg_graph *g;
    rg_scan *forward, *backward;
    rgi_sweep sweep;
    rg_node **carry; /* backward carry of the cotangent of forward carry j, NULL where nobody needs it */
    rg_node **total; /* backward carry that sums the gradient of capture k, likewise */
    bool *sunk;      /* one an input of the scan: its gradient is computed behind the backward scan */
} reverse;

/* Which values of the body lead to something wanted: through the steps, hence a fixed point over the carries. */
static void mark(reverse *r, const bool wants[])
{
    rg_scan *f = r->forward;
    bool *needed = r->sweep.needed;
    for (size_t i = 0; i < f->xs.n; i++)
        needed[((rg_node *)f->slices.at[i])->id] = wants[i];
    for (size_t j = 0; j < f->carries.n; j++)
        needed[((rg_node *)f->carries.at[j])->id] = wants[f->xs.n + j];
    for (size_t k = 0; k < f->captures.n; k++)
        needed[((rg_node *)f->captures.at[k])->id] = wants[f->xs.n + f->inits.n + k];
    for (bool changed = true; changed;) {
        changed = false;
        rgi_sweep_mark(&r->sweep, f->first_id, f->region);
        for (size_t j = 0; j < f->carries.n; j++) {
            const rg_node *leaf = f->carries.at[j], *next = f->nexts.at[j];
            if (needed[next->id] && !needed[leaf->id] && rgi_differentiable(leaf))
                needed[leaf->id] = changed = true;
        }
    }
}

/* Opens the backward scan: its slices are the stacks' cotangents, its carries those of the forward carries and the sums
   of the captures' gradients. */
static bool open_backward(reverse *r, rg_node *const ct[], size_t n_ct, const bool wants[])
{
    rg_graph *g = r->g;
    rg_scan *f = r->forward, *b = r->backward;
    for (size_t k = 0; k < n_ct; k++) {
        const rgi_projection *p = rgi_projection_of(f->results.at[k]);
        if (ct[k] && !p->last && r->sweep.needed[p->of->id])
            rgi_sweep_add(&r->sweep, p->of, rg_scan_slice(b, ct[k]));
    }
    rgi_scan_length_like(b, rgi_seen(g, f->xs.at[0]));
    for (size_t j = 0; j < f->carries.n; j++) {
        const rg_node *leaf = f->carries.at[j];
        if (!r->sweep.needed[leaf->id])
            continue;
        rg_node *init = NULL;
        for (size_t k = 0; k < n_ct && !init; k++) {
            const rgi_projection *p = rgi_projection_of(f->results.at[k]);
            init = p->last && p->of == leaf ? ct[k] : NULL;
        }
        r->carry[j] = rg_scan_carry(b, init ? init : rg_zeros_like(rgi_seen(g, f->inits.at[j])));
        if (!r->carry[j])
            return false;
        rgi_sweep_add(&r->sweep, f->nexts.at[j], r->carry[j]);
    }
    for (size_t k = 0; k < f->captures.n; k++)
        if (wants[f->xs.n + f->inits.n + k]) {
            r->total[k] = rg_scan_carry(b, rg_zeros_like(rgi_seen(g, f->captures.at[k])));
            if (!r->total[k])
                return false;
        }
    return g->error.status == RG_OK;
}

/* The rules of the body, last node first. */
static bool sweep_body(reverse *r)
{
    for (size_t id = r->forward->node->id; id-- > r->forward->first_id;) {
        rg_node *v = rgi_node(r->g, id);
        if (v->region == r->forward->region && !rgi_sweep_node(&r->sweep, v))
            return false;
    }
    return true;
}

static rg_node *slice_cotangent(const reverse *r, size_t i)
{
    return r->sweep.ct[((rg_node *)r->forward->slices.at[i])->id];
}

static rg_node *capture_cotangent(const reverse *r, size_t k)
{
    return r->sweep.ct[((rg_node *)r->forward->captures.at[k])->id];
}

/* Which gradients are computed behind the scan: products first, since their stacks serve the sums. */
static void choose_sunk(reverse *r, const bool wants[])
{
    rg_scan *f = r->forward, *b = r->backward;
    const size_t first = f->xs.n + f->inits.n;
    for (int round = 0; round < 2; round++)
        for (size_t k = 0; k < f->captures.n; k++) {
            rg_node *ct = r->total[k] ? capture_cotangent(r, k) : NULL;
            if (ct && !r->sunk[first + k])
                r->sunk[first + k] = rgi_sink_prepare(b, ct, round == 1);
        }
    for (size_t i = 0; i < f->xs.n; i++) {
        rg_node *ct = wants[i] ? slice_cotangent(r, i) : NULL;
        r->sunk[i] = ct && rgi_sink_prepare_stack(b, ct);
    }
}

/* What each backward step hands on, and what comes out at the end. */
static bool close_backward(reverse *r, const bool wants[], rg_node *grad[])
{
    rg_scan *f = r->forward, *b = r->backward;
    const size_t first = f->xs.n + f->inits.n;
    choose_sunk(r, wants);
    for (size_t j = 0; j < f->carries.n; j++) {
        if (!r->carry[j])
            continue;
        rg_node *ct = r->sweep.ct[((rg_node *)f->carries.at[j])->id];
        rg_scan_next(b, r->carry[j], ct ? ct : rg_zeros_like(r->carry[j]));
        if (wants[f->xs.n + j])
            grad[f->xs.n + j] = rg_scan_last(b, r->carry[j]);
    }
    for (size_t k = 0; k < f->captures.n; k++) {
        if (!r->total[k])
            continue;
        rg_node *ct = r->sunk[first + k] ? NULL : capture_cotangent(r, k);
        rg_scan_next(b, r->total[k], ct ? rg_add(r->total[k], ct) : r->total[k]);
        grad[first + k] = ct ? rg_scan_last(b, r->total[k]) : NULL;
    }
    for (size_t i = 0; i < f->xs.n; i++) {
        rg_node *ct = slice_cotangent(r, i);
        grad[i] = ct && wants[i] && !r->sunk[i] ? rg_scan_stack(b, ct) : NULL;
    }
    return r->g->error.status == RG_OK;
}

/* The gradients that stacks of the ended backward scan give. */
static bool add_sunk(const reverse *r, rg_node *grad[])
{
    rg_scan *f = r->forward, *b = r->backward;
    const size_t first = f->xs.n + f->inits.n;
    if (r->g->error.status != RG_OK)
        return false;
    for (size_t i = 0; i < f->xs.n; i++)
        if (r->sunk[i])
            grad[i] = rgi_sink_stack(b, slice_cotangent(r, i));
    for (size_t k = 0; k < f->captures.n; k++)
        if (r->sunk[first + k])
            grad[first + k] = rgi_sink_sum(b, capture_cotangent(r, k));
    return r->g->error.status == RG_OK;
}

bool rgi_scan_reverse(rg_node *self, rg_node *const ct[], const bool wants[], rg_node *grad[])
{
    rg_graph *g = self->graph;
    rg_scan *f = rgi_scan_of(self);
    const size_t n_ct = f->results.n, n_in = self->n_in;
    reverse r = {.g = g, .forward = f};
    if (!rgi_sweep_init(&r.sweep, g))
        return false;
    rg_node **seen_ct = rgi_alloc(&g->allocator, (n_ct + 1) * sizeof *seen_ct);
    rg_node **found = rgi_alloc(&g->allocator, (n_in + 1) * sizeof *found);
    bool *wanted = rgi_alloc(&g->allocator, (n_in + 1) * sizeof *wanted);
    r.carry = rgi_alloc(&g->allocator, (f->carries.n + 1) * sizeof *r.carry);
    r.total = rgi_alloc(&g->allocator, (f->captures.n + 1) * sizeof *r.total);
    r.sunk = rgi_alloc(&g->allocator, (n_in + 1) * sizeof *r.sunk);
    const rg_scan_opts opts = {.name = f->name, .reverse = !f->reverse};
    bool ok = seen_ct && found && wanted && r.carry && r.total && r.sunk;
    if (!ok)
        rgi_graph_fail(g, RG_ERR_MEMORY, NULL, "reverse of scan '%s': out of memory", rgi_scan_name(f));
    for (size_t i = 0; ok && i < n_in; i++)
        wanted[i] = wants[i]; /* the caller's array is reused by nested sweeps */
    for (size_t k = 0; ok && k < n_ct; k++)
        seen_ct[k] = ct[k];
    r.backward = ok ? rg_scan_begin(g, &opts) : NULL;
    if (r.backward) {
        const rgi_substitution inner = {g->substitution, f->region, r.backward}, *const outer = g->substitution;
        mark(&r, wanted);
        ok = open_backward(&r, seen_ct, n_ct, wanted);
        g->substitution = &inner;
        ok = ok && sweep_body(&r);
        g->substitution = outer;
        ok = ok && close_backward(&r, wanted, found);
        rg_scan_end(r.backward);
        ok = ok && add_sunk(&r, found);
        for (size_t i = 0; ok && i < n_in; i++)
            grad[i] = found[i];
    }
    rgi_free(&g->allocator, seen_ct, (n_ct + 1) * sizeof *seen_ct);
    rgi_free(&g->allocator, found, (n_in + 1) * sizeof *found);
    rgi_free(&g->allocator, wanted, (n_in + 1) * sizeof *wanted);
    rgi_free(&g->allocator, r.carry, (f->carries.n + 1) * sizeof *r.carry);
    rgi_free(&g->allocator, r.total, (f->captures.n + 1) * sizeof *r.total);
    rgi_free(&g->allocator, r.sunk, (n_in + 1) * sizeof *r.sunk);
    rgi_sweep_finish(&r.sweep);
    return ok && r.backward && g->error.status == RG_OK;
}
