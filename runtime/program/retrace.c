/* retrace.c - starts of segments of a recurrence of which few are kept.

   Where the reverse of a recurrence keeps to a budget (rg_scan_opts.keep_bytes), the graph says: the forward loop gives
   its carries before each segment, a loop backwards over the segments takes them. Nothing else may read them; then the
   plan keeps a few and comes to the others by a third loop, `again`, which stands first in the body of the backward one
   and repeats forward steps from the nearest checkpoint. Which are kept when is a function of the number of segments,
   the number of checkpoints and the segment asked for (graph/binomial.h), so that every thread knows it by itself.
   Where something else reads the starts, as second derivatives do, all are kept. */
#include "lower.h"
#include "retrace.h"

#include "../../ops/table_ops.h"

#include <string.h>

static bool is_start(const rg_scan *f, const rg_node *v)
{
    return v && rgi_is_projection(v) && v->in[0] == f->node && rgi_projection_of(v)->bytes;
}

/* ---- finding them ---------------------------------------------------------------------------------- */

/* Whether a live node reads a start of f other than as a slice. */
static bool reads_start(const rg_scan *f, const rg_node *v)
{
    if (rgi_is_scan(v))
        return false;
    for (size_t i = 0; i < v->n_in; i++)
        if (is_start(f, v->in[i]))
            return true;
    const rg_scan *s = v->op == &rgi_op_scan_carry ? v->region->scan : NULL;
    if (s)
        return is_start(f, s->inits.at[v->result]) || is_start(f, s->nexts.at[v->result]);
    return rgi_is_projection(v) && rgi_is_scan(v->in[0]) && is_start(f, rgi_projection_of(v)->of);
}

/* The one loop that takes the starts of f as slices, if nobody else reads them; or NULL. */
static const rg_scan *only_reader(const rgi_lowering *l, rg_nodes fetch, const rg_scan *f)
{
    const rg_scan *reader = NULL;
    for (size_t i = 0; i < fetch.n; i++)
        if (is_start(f, fetch.at[i]))
            return NULL;
    for (size_t id = f->node->id; id < l->g->nodes.n; id++) {
        const rg_node *v = rgi_node(l->g, id);
        if (!l->live[id])
            continue;
        if (v->op == &rgi_op_scan_slice && is_start(f, v->region->scan->xs.at[v->result])) {
            if (reader && reader != v->region->scan)
                return NULL;
            reader = v->region->scan;
        } else if (reads_start(f, v)) {
            return NULL;
        }
    }
    return reader;
}

/* Whether a loop does all steps of its sequences. */
static bool is_plain(const rg_scan *s)
{
    return !s->endless && !s->test && !s->trips && !s->choice;
}

bool rgi_find_retraces(rgi_lowering *l, rg_nodes fetch)
{
    rgi_program *p = l->p;
    size_t capacity = 0;
    for (size_t k = 0; k < l->g->regions.n; k++) {
        const rg_scan *again = ((const rgi_region *)l->g->regions.at[k])->scan, *f = again ? again->repeats : NULL;
        if (!f || !again->node || !f->node || !l->live[f->node->id] || rgi_retrace_of(p, f, NULL))
            continue;
        const rg_scan *backward = only_reader(l, fetch, f);
        if (!backward || backward->reverse == f->reverse || backward->region->parent != f->region->parent ||
            !is_plain(f) || !is_plain(backward))
            continue;
        const rgi_projection *start = rgi_projection_of(rgi_kept_start(f, 0));
        const rgi_retrace r = {.forward = f,
                               .backward = backward,
                               .again = again,
                               .every = start->every,
                               .bytes = start->bytes,
                               .block = start->block};
        if (!rgi_push(&p->arena, (void **)&p->retraces, &p->n_retraces, &capacity, sizeof r, &r))
            return false;
    }
    return true;
}

const rgi_retrace *rgi_retrace_of(const rgi_program *p, const rg_scan *s, rgi_retracing *as)
{
    for (size_t k = 0; k < p->n_retraces; k++) {
        const rgi_retrace *r = &p->retraces[k];
        if (r->forward != s && r->backward != s && r->again != s)
            continue;
        if (as)
            *as = r->forward == s ? RGI_FORWARD : r->backward == s ? RGI_BACKWARD : RGI_AGAIN;
        return r;
    }
    return NULL;
}

bool rgi_is_kept_start(const rgi_program *p, const rg_node *result)
{
    rgi_retracing as;
    const bool start = rgi_is_projection(result) && rgi_is_scan(result->in[0]) && rgi_projection_of(result)->bytes;
    return start && rgi_retrace_of(p, rgi_scan_of(result->in[0]), &as) && as == RGI_FORWARD;
}

rg_node *rgi_kept_start(const rg_scan *forward, size_t j)
{
    for (size_t k = 0; k < forward->results.n; k++) {
        const rgi_projection *p = rgi_projection_of(forward->results.at[k]);
        if (p->bytes && p->of == forward->carries.at[j])
            return forward->results.at[k];
    }
    return NULL;
}

rg_node *rgi_walked_carry(const rgi_program *p, const rg_node *slice)
{
    rgi_retracing as;
    const rg_scan *s = slice->region->scan;
    const rgi_retrace *r = rgi_retrace_of(p, s, &as);
    const rg_node *xs = s->xs.at[slice->result];
    return r && as == RGI_BACKWARD && is_start(r->forward, xs) ? r->again->carries.at[rgi_projection_of(xs)->of->result]
                                                               : NULL;
}

/* ---- lowering them ---------------------------------------------------------------------------------- */

bool rgi_lower_walks(rgi_lowering *l, const rg_scan *backward)
{
    rgi_program *p = l->p;
    rgi_retracing as;
    const rgi_retrace *r = rgi_retrace_of(p, backward, &as);
    if (!r || as != RGI_BACKWARD)
        return true;
    if (!rgi_lower_scan(l, r->again->node))
        return false;
    for (size_t i = 0; i < backward->slices.n; i++) {
        const rg_node *slice = backward->slices.at[i], *carry = slice ? rgi_walked_carry(p, slice) : NULL;
        if (!carry || !l->live[slice->id])
            continue;
        const int32_t from = l->value_of[carry->id], v = rgi_value_new(l, slice, RGI_SLAB);
        if (v == RGI_NONE)
            return false;
        p->values[v].part_of = from;
        p->values[v].unit = p->values[from].unit;
        l->value_of[slice->id] = v;
    }
    return !l->failed;
}

/* ---- at sizes that are known ------------------------------------------------------------------------- */

static int64_t blocks_of(const rgi_program *prog, const rgi_special *s, const rgi_loop *loop)
{
    const int64_t every = prog->retraces[loop->retrace - 1].every, n = s->shapes[loop->length].dim[0];
    return loop->as == RGI_BACKWARD ? n : n / every;
}

bool rgi_retrace_sizes(const rgi_program *prog, rgi_special *s)
{
    s->slots = rgi_arena_alloc(&s->arena, (prog->n_retraces + 1) * sizeof *s->slots);
    for (size_t k = 0; s->slots && k < prog->n_retraces; k++) {
        const rgi_retrace *r = &prog->retraces[k];
        double start = 0;
        int64_t blocks = 0;
        for (size_t v = 0; v < prog->n_values; v++)
            if (prog->values[v].slots == k + 1)
                start += (double)(s->counts[prog->values[v].shape] * prog->values[v].size);
        for (size_t i = 0; i < prog->n_loops; i++)
            if (prog->loops[i].retrace == k + 1)
                blocks = blocks_of(prog, s, &prog->loops[i]);
        const int64_t least = rgi_binomial_least(blocks);
        const double fit = start > 0 ? (double)r->bytes / start - r->block : (double)blocks;
        s->slots[k] = fit < (double)least ? least : fit < (double)blocks ? (int64_t)fit : blocks > 0 ? blocks : 1;
    }
    return s->slots != NULL;
}

bool rgi_schedule_make(const rgi_program *prog, rgi_special *s, const rgi_loop *loop, rgi_exec *e)
{
    if (!loop->retrace)
        return true;
    rgi_schedule *m = rgi_arena_alloc(&s->arena, sizeof *m);
    if (!m)
        return false;
    *m = (rgi_schedule){.as = loop->as,
                        .every = prog->retraces[loop->retrace - 1].every,
                        .slots = s->slots[loop->retrace - 1],
                        .blocks = blocks_of(prog, s, loop)};
    e->schedule = m;
    if (loop->as == RGI_AGAIN && m->blocks) {
        const double walked = rgi_binomial_walked(m->blocks, m->slots) - (double)(m->blocks - 1);
        e->trips = 1 + (size_t)(walked * (double)m->every / (double)m->blocks);
    }
    return true;
}

/* ---- running them -------------------------------------------------------------------------------------- */

/* Where the next state is kept that is kept. */
static void look_ahead(const rgi_schedule *m, rgi_stage *x)
{
    x->stop = rgi_revolve_next(&x->walk, m->slots) ? x->walk.at * m->every : -1;
}

/* The block that stands at a place of the sequence, counted as the forward loop comes to them. */
static int64_t block_at(const rgi_exec *e, int64_t row)
{
    const bool forward_reversed = e->reverse == (e->schedule->as != RGI_BACKWARD);
    return forward_reversed ? e->schedule->blocks - 1 - row : row;
}

/* The slot of the present step. */
static void mark(const rgi_exec *e, rgi_stage *x, int64_t *t)
{
    const rgi_schedule *m = e->schedule;
    int64_t *const slot = &t[RGI_MAX_LOOPS + e->depth];
    if (m->as == RGI_BACKWARD) {
        x->walk = rgi_revolve_to(m->blocks, m->slots, block_at(e, t[e->depth]));
        *slot = x->walk.slot;
    } else {
        *slot = x->at == x->stop ? x->walk.slot : -1;
    }
}

size_t rgi_retrace_enter(const rgi_exec *e, rgi_stage *stages, int64_t *t)
{
    const rgi_schedule *m = e->schedule;
    rgi_stage *const x = &stages[e->depth];
    size_t trips = e->trips;
    t[e->depth] = e->reverse ? (int64_t)trips - 1 : 0;
    if (m->as == RGI_FORWARD) {
        const int64_t left_over = (int64_t)trips - m->blocks * m->every; /* at the end of the sequence */
        *x = (rgi_stage){rgi_revolve_first(m->blocks), m->blocks ? 0 : -1, e->reverse ? -left_over : 0};
    } else if (m->as == RGI_AGAIN) {
        /* as the backward loop, which is the one around this one, has found */
        x->walk = stages[e->depth - 1].walk;
        x->at = x->walk.at * m->every;
        t[e->depth] = e->reverse ? m->blocks * m->every - 1 - x->at : x->at;
        trips = (size_t)(block_at(e, t[e->depth - 1]) * m->every - x->at);
        look_ahead(m, x);
    }
    if (trips)
        mark(e, x, t);
    return trips;
}

void rgi_retrace_turn(const rgi_exec *e, rgi_stage *stages, int64_t *t)
{
    rgi_stage *const x = &stages[e->depth];
    if (e->schedule->as != RGI_BACKWARD) {
        if (t[RGI_MAX_LOOPS + e->depth] >= 0)
            look_ahead(e->schedule, x);
        x->at++;
    }
    mark(e, x, t);
}

void rgi_copy_checkpoint(const rgi_exec *e, const int64_t *t)
{
    int64_t rows[RGI_MAX_LOOPS];
    const int64_t slot = t[RGI_MAX_LOOPS + e->depth];
    if (slot < 0)
        return;
    for (int k = 0; k < RGI_MAX_LOOPS; k++)
        rows[k] = t[k];
    rows[e->depth] = slot;
    const bool save = e->checkpoint == RGI_SAVE;
    memcpy((void *)(uintptr_t)rgi_at(e->to, e->terms[1], save ? rows : t),
           rgi_at(e->from, e->terms[0], save ? t : rows), e->bytes);
}
