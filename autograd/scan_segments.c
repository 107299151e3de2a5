/* scan_segments.c - the reverse of a recurrence that keeps its carries before each segment of steps alone.

   Backwards over the segments, the last one first: its forward steps again, from the carries kept, now with everything
   kept that their reverse reads; then their reverse, from the cotangents that the segment behind it has handed on.
   Segments of one length make one scan, whose body holds a copy of the forward scan and its reverse, so the code does
   not grow with the number of steps; what is left over stands at the end of the sequence, as one more copy. Sums over
   the steps go on from segment to segment where they stopped, so they have the bits of a reverse over all steps. */
#include "replay.h"
#include "rule.h"
#include "scan_reverse.h"

#include <retrograde/ops.h>

#include <inttypes.h>
#include <math.h>
#include <string.h>

/* ---- how long segments are ---------------------------------------------------------------------- */

#define MOST_LEVELS 3 /* of segments of segments */

/* Bytes of a step's values in the body, `carries` those of the carries alone. */
static double step_bytes(const rg_scan *f, bool carries)
{
    double bytes = 0;
    for (size_t id = f->first_id; id < f->node->id; id++) {
        const rg_node *v = rgi_node(f->graph, id);
        if (v->region == f->region && (v->op == &rgi_op_scan_carry || (!carries && v->n_in && !rgi_is_scan(v))))
            bytes += (double)rg_shape_count(v->shape->a) * (double)rg_dtype_size(v->dtype);
    }
    return bytes;
}

/* With L levels of segments of segments, each of T^(1 / (L + 1)) parts, about L T^(1 / (L + 1)) carries and the values
   of T^(1 / (L + 1)) steps are kept: the least L that fits, at most MOST_LEVELS. */
static int levels_for_bytes(const rg_scan *f, int64_t steps)
{
    const double kept = step_bytes(f, true), all = step_bytes(f, false), most = (double)f->keep_bytes;
    int levels = 0;
    while (levels < MOST_LEVELS && pow((double)steps, 1.0 / (levels + 1)) * (levels * kept + all) > most)
        levels++;
    return levels;
}

/* A length of segments near `every` that leaves no steps over, if there is one: steps left over are one more copy of
   the body, and sequences are copied where their segments do not fill them. */
static int64_t dividing(int64_t steps, int64_t every)
{
    for (int64_t off = 0; every > 0 && off <= every / 3; off++) {
        if (steps % (every + off) == 0)
            return every + off;
        if (off <= every / 4 && steps % (every - off) == 0)
            return every - off;
    }
    return every;
}

bool rgi_scan_segment_steps(rg_scan *f, int64_t *every)
{
    const rgi_shape *shape = ((rg_node *)f->xs.at[0])->shape;
    const int64_t a = shape->a.dim[0], b = shape->b.dim[0];
    *every = f->keep_every;
    if (a != b && (f->keep_every == RG_KEEP_SQRT || f->keep_bytes)) {
        rgi_graph_fail(f->graph, RG_ERR_GRADIENT, f->node,
                       "reverse of scan '%s': %s needs a number of steps that is known when the graph is built; "
                       "keep_every with rg_dim_multiple does not",
                       rgi_scan_name(f), f->keep_bytes ? "keep_bytes" : "RG_KEEP_SQRT");
        return false;
    }
    if (f->keep_every == RG_KEEP_SQRT) {
        *every = dividing(a, (int64_t)ceil(sqrt((double)a)));
    } else if (f->keep_bytes) {
        f->levels = f->levels ? f->levels : 1 + levels_for_bytes(f, a);
        const double below = f->levels - 1;
        *every = below > 0 ? dividing(a, (int64_t)ceil(pow((double)a, below / (below + 1)))) : 0;
    }
    if (*every && a != b && (a % *every || b % *every)) {
        rgi_graph_fail(
            f->graph, RG_ERR_GRADIENT, f->node,
            "reverse of scan '%s': the number of steps is a named size that is not promised to be a multiple "
            "of keep_every = %" PRId64 " (rg_dim_multiple)",
            rgi_scan_name(f), *every);
        return false;
    }
    if (a == b && *every >= a)
        *every = 0;
    return true;
}

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

rg_node *rgi_scan_spread(rg_scan *f, rg_node *ct, int64_t every)
{
    const cut c = cut_of(f, every);
    rg_node *one = rg_unsqueeze(c.rest ? rg_slice(ct, 0, 0, c.whole) : ct, 1); /* [whole, 1, ..] */
    const int64_t others[2] = {every - 1, c.rest - 1};
    rg_node *parts[2] = {NULL, NULL};
    for (int k = 0; k < (c.rest ? 2 : 1); k++) {
        rg_node *x = k ? rg_unsqueeze(rg_slice(ct, 0, c.whole, c.whole + 1), 1) : one;
        if (!x)
            return NULL;
        rg_shape zeros = x->shape->a;
        zeros.dim[1] = others[k];
        rg_node *pad = others[k] ? rg_zeros(f->graph, ct->dtype, zeros) : NULL;
        parts[k] = !pad ? x : f->reverse ? rg_concat(RG_NODES(pad, x), 1) : rg_concat(RG_NODES(x, pad), 1);
    }
    return joined(&c, parts[0], parts[1] ? rg_squeeze(parts[1], 0) : NULL);
}

/* ---- one segment ---------------------------------------------------------------------------------- */

typedef struct segment {
    rgi_reversal *all;                    /* of the whole recurrence */
    rg_node **xs, **ct, **starts, **last; /* of this segment */
    rg_node *first_step;                  /* its number, i64 */
    rgi_sums *sums;
    rg_node **grad; /* one an input of xs and carries */
} segment;

/* The segment's forward steps, as a scan of their own; NULL: failed. */
static rg_scan *again(const segment *s, rgi_replay *copy)
{
    rg_scan *f = s->all->forward;
    rg_graph *g = f->graph;
    rg_scan *n = rg_scan_begin(g, &(rg_scan_opts){.name = f->name, .reverse = f->reverse, .keep_bytes = f->keep_bytes});
    if (n && f->keep_bytes)
        n->levels = f->levels - 1;
    for (size_t i = 0; n && i < f->xs.n; i++)
        copy->of[((rg_node *)f->slices.at[i])->id] = rg_scan_slice(n, s->xs[i]);
    for (size_t j = 0; n && j < f->carries.n; j++)
        copy->of[((rg_node *)f->carries.at[j])->id] = rg_scan_carry(n, s->starts[j]);
    if (n && f->index)
        copy->of[f->index->id] = rg_add(rgi_scan_index(g), s->first_step);
    if (!n || !rgi_replay_body(copy, f))
        return NULL;
    for (size_t j = 0; j < f->carries.n; j++)
        rg_scan_next(n, rgi_now(copy, f->carries.at[j]), rgi_now(copy, f->nexts.at[j]));
    for (size_t k = 0; k < s->all->n_ct; k++)
        if (s->all->of[k]->region != f->region) /* stacked as it is: a capture all the same */
            (void)rgi_scan_stack(n, rgi_now(copy, s->all->of[k]));
    rg_scan_end(n);
    return g->error.status == RG_OK ? n : NULL;
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
    rg_scan *n = again(s, &copy);
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
    for (size_t j = 0; j < w->f->carries.n; j++)
        s.starts[j] = rg_squeeze(rg_slice(w->starts[j], 0, w->cut.whole, w->cut.whole + 1), 0);
    const int64_t first = w->cut.whole * w->cut.every;
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
        rg_node *rows = w->cut.rest ? rg_slice(w->starts[j], 0, 0, w->cut.whole) : w->starts[j];
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

bool rgi_scan_reverse_segments(rgi_reversal *r, int64_t every)
{
    rg_scan *f = r->forward;
    rg_graph *g = f->graph;
    const size_t n = f->xs.n + f->carries.n, room = 2 * n + r->n_ct + f->carries.n + 1;
    work w = {.r = r, .f = f, .cut = cut_of(f, every)};
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
        for (size_t j = 0; ok && j < f->carries.n; j++)
            w.starts[j] = rgi_seen(g, rgi_scan_starts(f, f->carries.at[j], every));
        ok = ok && g->error.status == RG_OK;
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
