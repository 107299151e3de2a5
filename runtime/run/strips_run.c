/* strips_run.c - between two turns of a loop: what is behind the turns that are over, and what leads to those that come
   next, in memory for so many turns. */
#include "../schedule/rows.h"
#include "../schedule/strips.h"
#include "../sight/timeline.h"

/* Turns [first, first + n) of a loop, of which `done` are over or begin. */
typedef struct strip {
    const rgi_exec *loop;
    size_t first, n;
    bool begins; /* with the first turn that is made */
    uint32_t thread, team;
} strip;

static strip strip_from(const rgi_walker *w, const rgi_exec *loop, size_t from)
{
    const size_t turns = loop->strips->turns, n = loop->trips - from < turns ? loop->trips - from : turns;
    const bool together = loop->parallel || loop->rows;
    return (strip){.loop = loop,
                   .first = loop->reverse ? loop->trips - from - n : from,
                   .n = n,
                   .begins = from == 0,
                   .thread = together ? w->thread : 0,
                   .team = together ? w->team : 1};
}

static const void *operand(const rgi_walker *w, const rgi_exec *e, uint32_t i)
{
    const void *at = i < e->step.n_in ? e->step.in[i] : e->step.out[0];
    return at ? rgi_at(at, e->terms ? e->terms[i] : NULL, w->t) : NULL;
}

/* A sum goes on from what it has come to, which lies where it will end. */
static rg_status run_chain(const rgi_walker *w, const strip *s, const rgi_strip_step *x, const rgi_row_step *r)
{
    const rgi_exec *e = &w->s->steps[x->step];
    const bool owns = x->kind == RGI_GOES_ON;
    const size_t lo = r->tasks * s->thread / s->team, hi = r->tasks * (s->thread + 1) / s->team;
    rg_step step = r->step;
    const void *in[3];
    void *out = owns ? e->step.shared : (void *)(uintptr_t)operand(w, e, e->step.n_in);
    for (uint32_t i = 0; i < 2; i++)
        in[i] = (const char *)operand(w, e, i) + r->moved[i];
    in[2] = out;
    if (s->begins) {
        const rgi_use *use = &w->p->program->uses[w->p->program->items[x->step].first];
        step.n_in = use->n_in;
        in[2] = use->n_in == 3 ? operand(w, e, 2) : NULL;
    }
    step.in = in;
    step.out = &out;
    step.scratch = w->scratch;
    return lo < hi ? step.op->run(&step, lo, hi) : RG_OK;
}

/* One step for the turns of a strip. */
static rg_status run(const rgi_walker *w, const strip *s, const rgi_strip_step *x)
{
    size_t moved[RGI_ROW_INPUTS + 1] = {0};
    rgi_row_step r = s->n < s->loop->strips->turns ? x->rest : x->whole;
    const rgi_exec *e = &w->s->steps[x->step];
    if (e->kind == RGI_FUSED) {
        r.first *= s->first;
        return rgi_rows_part(e, &r, s->thread, s->team, w->scratch, w->t);
    }
    const bool by_rows = x->kind == RGI_BY_ROWS;
    for (uint32_t i = 0; i < (by_rows ? r.step.n_in + 1 : 2); i++)
        moved[i] = x->in_strip[i] ? 0 : r.moved[i] * s->first;
    r.moved = moved;
    return by_rows ? rgi_rows_part(e, &r, s->thread, s->team, w->scratch, w->t) : run_chain(w, s, x, &r);
}

/* Steps [from, to) of those of the strips. */
static void run_steps(rgi_walker *w, const strip *s, uint32_t from, uint32_t to, bool all_meet)
{
    const rgi_strips *x = s->loop->strips;
    for (uint32_t k = from; k < to; k++) {
        const uint64_t begin = w->s->timeline ? rgi_now() : 0;
        const rg_status status = w->failed ? RG_OK : run(w, s, &x->steps[k]);
        if (w->s->timeline)
            rgi_timeline_note(w->s->timeline, w->self, x->steps[k].step, begin, 0);
        if (status) {
            rgi_tell_node(w->p->program, x->steps[k].step, w->failures, status);
            rgi_walker_fail(w, status);
        }
        if (s->team > 1 && (all_meet || k + 1 == to))
            rgi_meet(w);
    }
}

void rgi_strip_begin(rgi_walker *w, size_t loop, size_t done)
{
    const rgi_exec *e = &w->s->steps[loop];
    const strip s = strip_from(w, e, done);
    w->t[e->depth] = (int64_t)(e->reverse ? e->trips - 1 - done : done);
    w->strip[e->depth] = (int64_t)s.first;
    w->t[RGI_TURN + e->depth] = w->t[e->depth] - (int64_t)s.first;
    if (s.team > 1 && done && !e->strips->n_behind) /* nobody reads the turns before any more */
        rgi_meet(w);
    run_steps(w, &s, 0, e->strips->n_before, false);
}

void rgi_strip_end(rgi_walker *w, size_t loop, size_t done)
{
    const rgi_exec *e = &w->s->steps[loop];
    const rgi_strips *x = e->strips;
    const strip s = strip_from(w, e, done - 1 - (done - 1) % x->turns);
    if (!x->n_behind)
        return;
    if (s.team > 1) /* all turns are over */
        rgi_meet(w);
    uint32_t end = x->n_before + x->n_behind;
    if (done < e->trips) {
        run_steps(w, &s, x->n_before, end, true);
        return;
    }
    for (uint32_t k = x->n_before; k < end; k++) /* a group's sum ends where the group stands */
        if (x->steps[k].kind != RGI_GOES_ON)
            run_steps(w, &s, k, k + 1, true);
}
