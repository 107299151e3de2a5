/* scan_reverse.c - the reverse rule of a recurrence: a recurrence in the other direction.

   Forward, for each step:  (h', y) = f(h, x; w),  h carries, x slices, w captures, y stacked.
   Reverse, for each step backwards:  (gh, gx, dw) = vjp of f at (h, x; w) with (gh', gy);  gw += dw.
   The values of the forward body that the rules read are slices of their stacks (residuals), so the forward
   body is not run again, unless the scan keeps less (scan_segments.c). Where gw is a sum of products, and gx a product,
   they are computed behind the scan from stacks (sink.c). The result is again a scan, hence differentiable again.

   Of a loop, whose number of steps the run alone knows, the reverse does as many steps as the loop has counted. */
#include "scan_reverse.h"
#include "sweep.h"

#include "../ops/rules.h"
#include "../ops/table_ops.h"

#include <retrograde/ops.h>

#include <string.h>

typedef struct reverse {
    rg_graph *g;
    rgi_reversal *io;
    rg_scan *forward, *backward;
    rgi_sweep sweep;
    rg_node **carry;  /* backward carry of the cotangent of forward carry j, NULL where nobody needs it */
    rg_node **total;  /* backward carry that sums the gradient of capture k, NULL where that is not done step by step */
    bool *slice_sunk; /* by slice: its gradient is computed behind the backward scan */
} reverse;

void rgi_scan_mark(rgi_sweep *sweep, rg_scan *f, const bool wants[])
{
    bool *needed = sweep->needed;
    for (size_t i = 0; i < f->xs.n; i++)
        needed[((rg_node *)f->slices.at[i])->id] = wants[i];
    for (size_t j = 0; j < f->carries.n; j++)
        needed[((rg_node *)f->carries.at[j])->id] = wants[f->xs.n + j];
    for (size_t k = 0; k < f->captures.n; k++)
        needed[((rg_node *)f->captures.at[k])->id] = wants[f->xs.n + f->inits.n + k];
    for (bool changed = true; changed;) {
        changed = false;
        rgi_sweep_mark(sweep, f->first_id, f->region);
        for (size_t j = 0; j < f->carries.n; j++) {
            const rg_node *leaf = f->carries.at[j], *next = f->nexts.at[j];
            if (needed[next->id] && !needed[leaf->id] && rgi_differentiable(leaf))
                needed[leaf->id] = changed = true;
        }
    }
}

bool rgi_scan_needs(rg_scan *forward, const bool wants[], bool needed[])
{
    rgi_sweep sweep;
    if (!rgi_sweep_init(&sweep, forward->graph))
        return false;
    rgi_scan_mark(&sweep, forward, wants);
    for (size_t j = 0; j < forward->carries.n; j++)
        needed[j] = sweep.needed[((rg_node *)forward->carries.at[j])->id];
    rgi_sweep_finish(&sweep);
    return true;
}

/* Opens the backward scan: its slices are the stacks' cotangents, its carries those of the forward carries. */
static bool open_backward(reverse *r)
{
    rg_graph *g = r->g;
    rg_scan *f = r->forward, *b = r->backward;
    for (size_t k = 0; k < r->io->n_ct; k++)
        if (r->sweep.needed[r->io->of[k]->id])
            rgi_sweep_add(&r->sweep, r->io->of[k], rg_scan_slice(b, r->io->ct[k]));
    rgi_scan_length_like(b, rgi_seen(g, f->xs.at[0]));
    for (size_t j = 0; j < f->carries.n; j++) {
        const rg_node *leaf = f->carries.at[j];
        if (!r->sweep.needed[leaf->id])
            continue;
        rg_node *init = r->io->last[j];
        r->carry[j] = rg_scan_carry(b, init ? init : rg_zeros_like(rgi_seen(g, f->inits.at[j])));
        if (!r->carry[j])
            return false;
        rgi_sweep_add(&r->sweep, f->nexts.at[j], r->carry[j]);
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

/* Of a leaf or capture of the body. */
static rg_node *cotangent(const reverse *r, const rg_node *node)
{
    return rgi_join_slices(r->sweep.ct[node->id]);
}

static rg_node *slice_cotangent(const reverse *r, size_t i)
{
    return cotangent(r, r->forward->slices.at[i]);
}

/* Which gradients are computed behind the scan: products first, since their stacks serve the sums. */
static void choose_sunk(reverse *r)
{
    rg_scan *f = r->forward, *b = r->backward;
    if (b->trips)
        return; /* stacks hold nothing for steps that were not done */
    for (int round = 0; round < 2; round++)
        for (size_t k = 0; k < f->captures.n; k++)
            if (r->io->addend[k] && !r->io->sunk[k])
                r->io->sunk[k] = rgi_sink_prepare(b, r->io->addend[k], round == 1);
    for (size_t i = 0; i < f->xs.n; i++) {
        rg_node *ct = r->io->wants[i] ? slice_cotangent(r, i) : NULL;
        r->slice_sunk[i] = ct && rgi_sink_prepare_stack(b, ct);
    }
}

/* Whether zeros can be made of a shape that is known by itself. */
static bool is_plain(const rg_graph *g, const rgi_shape *shape)
{
    for (int32_t k = 0; k < shape->a.rank; k++) {
        rgi_formula f;
        if (shape->a.dim[k] != shape->b.dim[k] &&
            (!rgi_formula_find(g, shape->a.dim[k], shape->b.dim[k], &f) || rgi_formula_name(&f) < 0))
            return false;
    }
    return true;
}

/* A gradient that each step sums over rows, as that of a factor of all rows, is summed over the steps first, row by
   row: rows then need nothing of each other until all steps are over. So where the rows are as large as a state of the
   scan. */
static bool is_sum_of_rows(const rg_scan *f, const rg_scan *b, const rg_node *addend)
{
    if (addend->op != &rgi_op_sum || addend->region != b->region || !is_plain(f->graph, addend->in[0]->shape))
        return false;
    for (size_t j = 0; j < f->carries.n; j++)
        if (((rg_node *)f->carries.at[j])->shape == addend->in[0]->shape)
            return true;
    return false;
}

/* What each backward step hands on, and what comes out at the end. Sums that are not sunk come first among all. */
static bool close_backward(reverse *r)
{
    rg_graph *g = r->g;
    rg_scan *f = r->forward, *b = r->backward;
    const size_t first = f->xs.n + f->inits.n;
    for (size_t k = 0; k < f->captures.n; k++) {
        r->io->addend[k] = r->io->wants[first + k] ? cotangent(r, f->captures.at[k]) : NULL;
        r->io->sunk[k] = false;
    }
    choose_sunk(r);
    for (size_t j = 0; j < f->carries.n; j++) {
        if (!r->carry[j])
            continue;
        rg_node *ct = cotangent(r, f->carries.at[j]);
        rg_scan_next(b, r->carry[j], ct ? ct : rg_zeros_like(r->carry[j]));
        if (r->io->wants[f->xs.n + j])
            r->io->grad[f->xs.n + j] = rg_scan_last(b, r->carry[j]);
    }
    for (size_t k = 0; k < f->captures.n; k++) {
        rg_node *ct = r->io->sunk[k] ? NULL : r->io->addend[k];
        if (!ct)
            continue;
        rg_node *const x = is_sum_of_rows(f, b, ct) ? ct->in[0] : ct;
        rg_node *zeros = x == ct ? rg_zeros_like(rgi_seen(g, f->captures.at[k])) : rg_zeros(g, x->dtype, x->shape->a);
        rg_node *begin = rgi_sum_begin(r->io->sums, zeros);
        r->total[k] = rg_scan_carry(b, begin ? begin : zeros);
        rg_scan_next(b, r->total[k], rg_add(r->total[k], x));
    }
    for (size_t i = 0; i < f->xs.n; i++) {
        rg_node *ct = slice_cotangent(r, i);
        r->io->grad[i] = ct && r->io->wants[i] && !r->slice_sunk[i] ? rg_scan_stack(b, ct) : NULL;
    }
    return g->error.status == RG_OK;
}

/* What stacks and last values of the ended backward scan give. */
static bool add_sunk(const reverse *r)
{
    rg_graph *g = r->g;
    rg_scan *f = r->forward, *b = r->backward;
    for (size_t i = 0; i < f->xs.n && g->error.status == RG_OK; i++)
        if (r->slice_sunk[i])
            r->io->grad[i] = rgi_sink_stack(b, slice_cotangent(r, i));
    for (size_t k = 0; k < f->captures.n && g->error.status == RG_OK; k++)
        if (r->total[k])
            rgi_sum_end(r->io->sums, rg_scan_last(b, r->total[k]));
    for (size_t k = 0; k < f->captures.n && g->error.status == RG_OK; k++)
        if (r->io->sunk[k])
            rgi_sink_sum(b, r->io->addend[k], rg_zeros_like(rgi_seen(g, f->captures.at[k])), r->io->sums);
    return g->error.status == RG_OK;
}

bool rgi_scan_reverse_whole(rgi_reversal *io)
{
    rg_scan *f = io->forward;
    rg_graph *g = f->graph;
    reverse r = {.g = g, .io = io, .forward = f};
    if (!rgi_sweep_init(&r.sweep, g))
        return false;
    const size_t room = f->xs.n + f->carries.n + f->captures.n + 1;
    r.carry = rgi_alloc(&g->allocator, 2 * room * sizeof *r.carry);
    r.total = r.carry ? r.carry + room : NULL;
    r.slice_sunk = rgi_alloc(&g->allocator, room * sizeof *r.slice_sunk);
    const rg_scan_opts opts = {.name = f->name, .reverse = !f->reverse};
    bool ok = r.carry && r.slice_sunk;
    if (!ok)
        rgi_graph_fail(g, RG_ERR_MEMORY, NULL, "reverse of scan '%s': out of memory", rgi_scan_name(f));
    rg_node *trips = f->endless ? rgi_seen(g, rg_while_count(f)) : rgi_seen(g, f->trips);
    r.backward = ok ? rg_scan_begin(g, &opts) : NULL;
    if (r.backward) {
        r.backward->trips = trips;
        r.backward->choice = f->choice ? rgi_seen(g, f->choice) : NULL;
        r.backward->taken = f->taken;
        const rgi_substitution inner = {g->substitution, f->region, r.backward}, *const outer = g->substitution;
        rgi_scan_mark(&r.sweep, f, io->wants);
        ok = open_backward(&r);
        g->substitution = &inner;
        ok = ok && sweep_body(&r);
        g->substitution = outer;
        ok = ok && close_backward(&r);
        rg_scan_end(r.backward);
        ok = ok && add_sunk(&r);
        io->summed = f;
        io->backward = r.backward;
    }
    rgi_free(&g->allocator, r.carry, 2 * room * sizeof *r.carry);
    rgi_free(&g->allocator, r.slice_sunk, room * sizeof *r.slice_sunk);
    rgi_sweep_finish(&r.sweep);
    return ok && r.backward && g->error.status == RG_OK;
}

bool rgi_scan_reverse_steps(rgi_reversal *r)
{
    rgi_keeping keeping;
    if (r->forward->endless && !rgi_scan_stack(r->forward, r->forward->count)) /* which says what is missing */
        return false;
    if (!rgi_scan_keeping(r->forward, &keeping))
        return false;
    return keeping.every ? rgi_scan_reverse_segments(r, &keeping) : rgi_scan_reverse_whole(r);
}

/* ---- the rule ---------------------------------------------------------------------------------- */

/* The cotangents of results as those of values of the body at every step, and after the last one. */
static size_t sort_cotangents(rg_scan *f, rg_node *const ct[], size_t n_ct, rg_node **of, rg_node **stacks,
                              rg_node **last)
{
    size_t n = 0;
    for (size_t k = 0; k < n_ct; k++) {
        const rgi_projection *p = rgi_projection_of(f->results.at[k]);
        if (ct[k] && p->last) {
            last[p->of->result] = ct[k];
        } else if (ct[k]) {
            of[n] = p->of;
            stacks[n++] = p->every ? rgi_scan_spread(f, ct[k], p) : ct[k];
        }
    }
    return n;
}

/* The sums of the captures' gradients put together: first those that were not sunk, as they were begun. */
static void add_up(rg_scan *f, const rgi_reversal *r, rg_node *grad[])
{
    rg_graph *g = f->graph;
    size_t at = 0;
    for (int sunk = 0; sunk < 2; sunk++)
        for (size_t k = 0; k < r->summed->captures.n; k++) {
            if (!r->addend[k] || r->sunk[k] != (bool)sunk)
                continue;
            rg_node *value = sunk ? rgi_sink_value(r->backward, r->addend[k], r->sums, &at) : r->sums->value.at[at++];
            if (!sunk && value && is_sum_of_rows(r->summed, r->backward, r->addend[k]))
                value = rg_apply(&rgi_op_sum, RG_NODES(value), r->addend[k]->attr);
            for (size_t j = 0; j < f->captures.n; j++)
                if (f->captures.at[j] == r->summed->captures.at[k] ||
                    rgi_seen(g, f->captures.at[j]) == r->summed->captures.at[k])
                    grad[f->xs.n + f->inits.n + j] = value;
        }
}

bool rgi_scan_reverse(rg_node *self, rg_node *const ct[], const bool wants[], rg_node *grad[])
{
    rg_graph *g = self->graph;
    rg_scan *f = rgi_scan_of(self);
    const size_t n_ct = f->results.n, n_in = self->n_in, room = n_ct + n_in + 2;
    rg_node **memory = rgi_alloc(&g->allocator, 6 * room * sizeof *memory);
    bool *flags = rgi_alloc(&g->allocator, 2 * room * sizeof *flags);
    bool ok = memory && flags;
    if (ok) { /* the caller's arrays are reused by nested sweeps */
        rg_node **of = memory, **stacks = of + room, **last = stacks + room, **seen = last + room;
        memcpy(seen, ct, n_ct * sizeof(rg_node *));
        memcpy(flags, wants, n_in * sizeof(bool));
        rgi_sums sums = {0};
        rgi_reversal r = {.forward = f,
                          .of = of,
                          .ct = stacks,
                          .n_ct = sort_cotangents(f, seen, n_ct, of, stacks, last),
                          .last = last,
                          .wants = flags,
                          .sums = &sums,
                          .grad = seen + room,
                          .addend = seen + 2 * room,
                          .sunk = flags + room};
        ok = g->error.status == RG_OK && rgi_scan_reverse_steps(&r);
        if (ok) {
            add_up(f, &r, r.grad);
            memcpy(grad, r.grad, n_in * sizeof(rg_node *));
        }
    } else {
        rgi_graph_fail(g, RG_ERR_MEMORY, NULL, "reverse of scan '%s': out of memory", rgi_scan_name(f));
    }
    rgi_free(&g->allocator, memory, 6 * room * sizeof *memory);
    rgi_free(&g->allocator, flags, 2 * room * sizeof *flags);
    return ok && g->error.status == RG_OK;
}
