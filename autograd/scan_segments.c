/* scan_segments.c - the reverse of a recurrence that keeps its carries before each segment of steps alone.

   Backwards over the segments, the last one first: its forward steps again, from the carries kept, now with everything
   kept that their reverse reads; then their reverse, from the cotangents that the segment behind it has handed on.
   Segments of one length make one scan, whose body holds a copy of the forward scan and its reverse, so the code does
   not grow with the number of steps; what is left over stands at the end of the sequence, as one more copy. Sums over
   the steps go on from segment to segment where they stopped, so they have the bits of a reverse over all steps.

   Within a budget of bytes a plan need not keep the carries before every segment: one more copy of the forward scan
   stands beside it, by which the plan comes to those that it has not kept (graph/binomial.h,
   runtime/program/retrace.c). */
#include "replay.h"
#include "rule.h"
#include "scan_reverse.h"

#include <retrograde/ops.h>

#include <string.h>

/* ---- sequences in segments --------------------------------------------------------------------- */

typedef struct cut {
    int64_t steps, every, whole, rest; /* whole segments, and steps left over; steps and whole are -1 where named */
} cut;

static cut cut_of(const rg_scan *f, int64_t every)
{
    const rgi_shape *shape = ((rg_node *)f->xs.at[0])->shape;
    const int64_t steps = shape->a.dim[0];
    if (steps != shape->b.dim[0])
        return (cut){-1, every, -1, 0};
    return (cut){steps, every, steps / every, steps % every};
}

/* [steps, ..] -> [whole, every, ..] */
static rg_node *in_segments(const cut *c, rg_node *x)
{
    if (x && c->rest)
        x = rg_slice(x, 0, 0, c->whole * c->every);
    if (!x || x->shape->a.rank == RG_MAX_RANK)
        return x ? rg_build_fail(x->graph, RG_ERR_SHAPE,
                                 "reverse of a scan: a sequence of %d axes has no room for one more", RG_MAX_RANK)
                 : NULL;
    rg_shape shape = {.rank = x->shape->a.rank + 1, .dim = {c->whole, c->every}};
    for (int32_t k = 1; k < x->shape->a.rank; k++)
        shape.dim[k + 1] = x->shape->a.dim[k];
    return rg_reshape(x, shape);
}

static rg_node *left_over(const cut *c, rg_node *x)
{
    return x ? rg_slice(x, 0, c->whole * c->every, c->steps) : NULL;
}

/* [whole, every, ..] and what is left over, NULL if nothing is -> [steps, ..] */
static rg_node *joined(const cut *c, rg_node *segments, rg_node *rest)
{
    if (!segments)
        return NULL;
    rg_shape shape = {.rank = segments->shape->a.rank - 1, .dim = {c->steps < 0 ? -1 : c->whole * c->every}};
    for (int32_t k = 1; k < shape.rank; k++)
        shape.dim[k] = segments->shape->a.dim[k + 1];
    rg_node *x = rg_reshape(segments, shape);
    return rest ? rg_concat(RG_NODES(x, rest), 0) : x;
}

rg_node *rgi_scan_spread(rg_scan *f, rg_node *ct, const rgi_projection *p)
{
    const cut c = cut_of(f, p->every);
    const bool all = c.rest && !p->bytes; /* the start of what is left over is in it */
    rg_node *one = rg_unsqueeze(all ? rg_slice(ct, 0, 0, c.whole) : ct, 1); /* [whole, 1, ..] */
    const int64_t others[2] = {p->every - 1, c.rest - 1};
    rg_node *parts[2] = {NULL, NULL};
    for (int k = 0; k < (all ? 2 : 1); k++) {
        rg_node *x = k ? rg_unsqueeze(rg_slice(ct, 0, c.whole, c.whole + 1), 1) : one;
        if (!x)
            return NULL;
        rg_shape zeros = x->shape->a;
        zeros.dim[1] = others[k];
        rg_node *pad = others[k] ? rg_zeros(f->graph, ct->dtype, zeros) : NULL;
        parts[k] = !pad ? x : f->reverse ? rg_concat(RG_NODES(pad, x), 1) : rg_concat(RG_NODES(x, pad), 1);
    }
    rg_shape left = ct ? ct->shape->a : RG_SCALAR;
    left.dim[0] = c.rest;
    rg_node *rest = parts[1] ? rg_squeeze(parts[1], 0) : c.rest ? rg_zeros(f->graph, ct->dtype, left) : NULL;
    return joined(&c, parts[0], rest);
}

/* ---- one segment ---------------------------------------------------------------------------------- */

typedef struct segment {
    rgi_reversal *all;                    /* of the whole recurrence */
    rg_node **xs, **ct, **starts, **last; /* of this segment */
    rg_node *first_step;                  /* its number, i64 */
    rgi_sums *sums;
    rg_node **grad; /* one an input of xs and carries */
} segment;

/* An open scan of the steps of f over xs, from other states; first_step: the number of the first, NULL: 0. NULL:
   failed. */
static rg_scan *again(rgi_replay *copy, rg_scan *f, rg_node *const xs[], rg_node *const starts[], rg_node *first_step)
{
    rg_graph *g = f->graph;
    rg_scan *n = rg_scan_begin(g, &(rg_scan_opts){.name = f->name, .reverse = f->reverse});
    for (size_t i = 0; n && i < f->xs.n; i++)
        copy->of[((rg_node *)f->slices.at[i])->id] = rg_scan_slice(n, xs[i]);
    for (size_t j = 0; n && j < f->carries.n; j++)
        copy->of[((rg_node *)f->carries.at[j])->id] = rg_scan_carry(n, starts[j]);
    if (n && f->index)
        copy->of[f->index->id] = first_step ? rg_add(rgi_scan_index(g), first_step) : rgi_scan_index(g);
    if (!n || !rgi_replay_body(copy, f))
        return NULL;
    for (size_t j = 0; j < f->carries.n; j++)
        rg_scan_next(n, rgi_now(copy, f->carries.at[j]), rgi_now(copy, f->nexts.at[j]));
    return g->error.status == RG_OK ? n : NULL;
}

/* The segment's forward steps, as a scan of their own; NULL: failed. */
static rg_scan *forward_segment(const segment *s, rgi_replay *copy)
{
    rg_scan *f = s->all->forward, *n = again(copy, f, s->xs, s->starts, s->first_step);
    for (size_t k = 0; n && k < s->all->n_ct; k++)
        if (s->all->of[k]->region != f->region) /* stacked as it is: a capture all the same */
            (void)rgi_scan_stack(n, rgi_now(copy, s->all->of[k]));
    rg_scan_end(n);
    return f->graph->error.status == RG_OK ? n : NULL;
}

/* Whether a gradient with respect to a capture of the copy is wanted. */
static bool wanted(const rgi_reversal *all, rg_node *capture)
{
    const rg_scan *f = all->forward;
    for (size_t k = 0; k < f->captures.n; k++)
        if (all->wants[f->xs.n + f->inits.n + k] && rgi_seen(f->graph, f->captures.at[k]) == capture)
            return true;
    return false;
}

static bool reverse_segment(const segment *s, const bool needs[])
{
    rgi_reversal *all = s->all;
    rg_scan *f = all->forward;
    rg_graph *g = f->graph;
    rgi_replay copy;
    if (!rgi_replay_init(&copy, g, "reverse of a scan"))
        return false;
    copy.results = copy.residual = true;
    rg_scan *n = forward_segment(s, &copy);
    const size_t room = all->n_ct + (n ? n->node->n_in : 0) + 1;
    rg_node **of = rgi_alloc(&g->allocator, room * sizeof *of);
    bool *wants = rgi_alloc(&g->allocator, room * sizeof *wants);
    bool ok = n && of && wants;
    if (ok) {
        for (size_t k = 0; k < all->n_ct; k++)
            of[k] = rgi_now(&copy, all->of[k]);
        for (size_t i = 0; i < n->node->n_in; i++)
            wants[i] = i < f->xs.n                  ? all->wants[i]
                       : i < f->xs.n + f->carries.n ? needs[i - f->xs.n]
                                                    : wanted(all, n->captures.at[i - f->xs.n - f->carries.n]);
        rgi_reversal r = {.forward = n,
                          .of = of,
                          .ct = s->ct,
                          .n_ct = all->n_ct,
                          .last = s->last,
                          .wants = wants,
                          .sums = s->sums,
                          .grad = s->grad,
                          .addend = all->addend,
                          .sunk = all->sunk};
        ok = rgi_scan_reverse_steps(&r);
        all->summed = r.summed;
        all->backward = r.backward;
    } else if (n) {
        rgi_graph_fail(g, RG_ERR_MEMORY, NULL, "reverse of scan '%s': out of memory", rgi_scan_name(f));
    }
    rgi_free(&g->allocator, of, room * sizeof *of);
    rgi_free(&g->allocator, wants, room * sizeof *wants);
    rgi_replay_finish(&copy);
    return ok && g->error.status == RG_OK;
}

/* ---- all of them ------------------------------------------------------------------------------------ */

typedef struct work {
    rgi_reversal *r;
    rg_scan *f;
    cut cut;
    rgi_keeping keeping;
    bool *needs;            /* by carry */
    rg_node **xs, **starts; /* whole sequences, and the carries before each segment */
    rg_node **last;         /* by carry: the cotangent handed on so far, NULL: 0 */
    rg_node **part;         /* room for a segment's xs, cts and starts ... */
    rg_node **grad, **rest; /* gradients of xs over whole segments, and over what is left over */
    rgi_sums sums;          /* of the part before ... */
    bool begun;             /* ... if there is one */
} work;

/* A segment's lists. */
static segment segment_of(const work *w)
{
    rg_node **ct = w->part + w->f->xs.n;
    return (segment){.all = w->r, .xs = w->part, .ct = ct, .starts = ct + w->r->n_ct};
}

/* What the sums of the next part begin from: those of the part before, or what the caller's begin from. */
static rgi_sums sums_behind(const work *w, rg_scan *loop)
{
    return w->begun ? (rgi_sums){.loop = loop, .begin = w->sums.value} : (rgi_sums){.loop = loop, .outer = w->r->sums};
}

/* What is left over behind the whole segments. */
static bool reverse_rest(work *w)
{
    rg_graph *g = w->f->graph;
    segment s = segment_of(w);
    rgi_sums sums = sums_behind(w, NULL);
    s.last = w->last;
    s.grad = w->rest;
    s.sums = &sums;
    for (size_t i = 0; i < w->f->xs.n; i++)
        s.xs[i] = left_over(&w->cut, w->xs[i]);
    for (size_t k = 0; k < w->r->n_ct; k++)
        s.ct[k] = left_over(&w->cut, w->r->ct[k]);
    const int64_t first = w->cut.whole * w->cut.every;
    for (size_t j = 0; j < w->f->carries.n; j++) {
        const int64_t row = w->keeping.bytes ? 1 : w->cut.whole;
        rg_node *starts =
            row == 1 ? rgi_seen(g, rgi_scan_starts(w->f, w->f->carries.at[j], first, 0, 0)) : w->starts[j];
        s.starts[j] = rg_squeeze(rg_slice(starts, 0, row, row + 1), 0);
    }
    s.first_step = w->f->index ? rg_const(g, RG_I64, RG_SCALAR, &first) : NULL;
    if (g->error.status != RG_OK || !reverse_segment(&s, w->needs))
        return false;
    for (size_t j = 0; j < w->f->carries.n; j++)
        w->last[j] = w->needs[j] ? w->rest[w->f->xs.n + j] : NULL;
    w->sums = sums;
    w->begun = true;
    return true;
}

/* The whole segments: one scan over them. */
static bool reverse_all(work *w)
{
    rg_scan *f = w->f;
    rg_graph *g = f->graph;
    rg_scan *loop = rg_scan_begin(g, &(rg_scan_opts){.name = f->name, .reverse = !f->reverse});
    if (!loop)
        return false;
    loop->bounded = true;
    segment s = segment_of(w);
    rgi_sums sums = sums_behind(w, loop);
    s.grad = w->grad;
    s.sums = &sums;
    rg_node **carry = s.starts + f->carries.n; /* cotangents */
    s.last = carry;
    for (size_t i = 0; i < f->xs.n; i++)
        s.xs[i] = rg_scan_slice(loop, in_segments(&w->cut, w->xs[i]));
    for (size_t k = 0; k < w->r->n_ct; k++)
        s.ct[k] = rg_scan_slice(loop, in_segments(&w->cut, w->r->ct[k]));
    for (size_t j = 0; j < f->carries.n; j++) {
        const bool all = w->cut.rest && !w->keeping.bytes;
        rg_node *rows = all ? rg_slice(w->starts[j], 0, 0, w->cut.whole) : w->starts[j];
        s.starts[j] = rg_scan_slice(loop, rows);
        rg_node *zeros = rg_zeros_like(rgi_seen(g, f->inits.at[j]));
        carry[j] = w->needs[j] ? rg_scan_carry(loop, w->last[j] ? w->last[j] : zeros) : NULL;
    }
    s.first_step = f->index ? rg_mul(rgi_scan_index(g), rg_const(g, RG_I64, RG_SCALAR, &w->cut.every)) : NULL;
    bool ok = g->error.status == RG_OK && reverse_segment(&s, w->needs);
    for (size_t j = 0; ok && j < f->carries.n; j++)
        if (carry[j]) {
            rg_node *ct = w->grad[f->xs.n + j];
            rg_scan_next(loop, carry[j], ct ? ct : rg_zeros_like(carry[j]));
        }
    for (size_t i = 0; ok && i < f->xs.n; i++)
        w->grad[i] = w->grad[i] ? rg_scan_stack(loop, w->grad[i]) : NULL;
    rg_scan_end(loop);
    ok = ok && g->error.status == RG_OK;
    for (size_t j = 0; ok && j < f->carries.n; j++)
        w->last[j] = carry[j] ? rg_scan_last(loop, carry[j]) : NULL;
    for (size_t k = 0; ok && k < sums.carry.n; k++)
        sums.value.at[k] = rg_scan_last(loop, sums.carry.at[k]);
    w->sums = sums;
    w->begun = true;
    return ok && g->error.status == RG_OK;
}

/* The carries before each segment, and, where a plan may keep few of them, how it comes to the others. */
static bool make_starts(work *w)
{
    rg_scan *f = w->f;
    rg_graph *g = f->graph;
    const rgi_keeping *k = &w->keeping;
    for (size_t j = 0; j < f->carries.n; j++)
        w->starts[j] = rgi_seen(g, rgi_scan_starts(f, f->carries.at[j], k->every, k->bytes, k->block));
    if (!k->bytes || g->error.status != RG_OK)
        return g->error.status == RG_OK;
    rgi_replay copy;
    if (!rgi_replay_init(&copy, g, "reverse of a scan"))
        return false;
    copy.results = copy.residual = true;
    for (size_t j = 0; j < f->carries.n; j++)
        w->part[j] = rgi_seen(g, f->inits.at[j]);
    rg_scan *n = again(&copy, f, w->xs, w->part, NULL);
    rg_scan_end(n);
    if (n) {
        n->bounded = true;
        n->repeats = f;
    }
    rgi_replay_finish(&copy);
    return g->error.status == RG_OK;
}

bool rgi_scan_reverse_segments(rgi_reversal *r, const rgi_keeping *keeping)
{
    rg_scan *f = r->forward;
    rg_graph *g = f->graph;
    const size_t n = f->xs.n + f->carries.n, room = 2 * n + r->n_ct + f->carries.n + 1;
    work w = {.r = r, .f = f, .keeping = *keeping, .cut = cut_of(f, keeping->every)};
    w.needs = rgi_alloc(&g->allocator, room * sizeof *w.needs);
    w.xs = rgi_alloc(&g->allocator, 6 * room * sizeof *w.xs);
    bool ok = w.needs && w.xs;
    if (ok) {
        w.starts = w.xs + room, w.last = w.xs + 2 * room, w.part = w.xs + 3 * room;
        w.grad = w.xs + 4 * room, w.rest = w.xs + 5 * room;
        memcpy(w.last, r->last, f->carries.n * sizeof(rg_node *));
        ok = rgi_scan_needs(f, r->wants, w.needs);
        for (size_t i = 0; ok && i < f->xs.n; i++)
            w.xs[i] = rgi_seen(g, f->xs.at[i]);
        ok = ok && make_starts(&w);
        if (w.cut.rest && !f->reverse)
            ok = ok && reverse_rest(&w);
        ok = ok && reverse_all(&w);
        if (w.cut.rest && f->reverse)
            ok = ok && reverse_rest(&w);
        for (size_t i = 0; ok && i < f->xs.n; i++)
            r->grad[i] = joined(&w.cut, w.grad[i], w.cut.rest ? w.rest[i] : NULL);
        for (size_t j = 0; ok && j < f->carries.n; j++)
            r->grad[f->xs.n + j] = r->wants[f->xs.n + j] ? w.last[j] : NULL;
        for (size_t k = 0; ok && k < w.sums.value.n; k++)
            rgi_sum_end(r->sums, w.sums.value.at[k]);
    } else {
        rgi_graph_fail(g, RG_ERR_MEMORY, NULL, "reverse of scan '%s': out of memory", rgi_scan_name(f));
    }
    rgi_free(&g->allocator, w.needs, room * sizeof *w.needs);
    rgi_free(&g->allocator, w.xs, 6 * room * sizeof *w.xs);
    return ok && g->error.status == RG_OK;
}
