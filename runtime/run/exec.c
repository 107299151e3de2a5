/* exec.c - running the steps: one parallel region a run, every thread walking the same list. The only file with
   OpenMP. */
#include "../program/retrace.h"
#include "../schedule/claims.h"
#include "../schedule/rows.h"
#include "../schedule/soon.h"
#include "../schedule/strips.h"
#include "../sight/timeline.h"
#include "walker.h"

#include <pthread.h>
#include <string.h>

#ifdef _OPENMP
#include <omp.h>
#endif

/* How often a thread looks at a meeting before it sleeps: some 200 microseconds where each thread of the team can have
   a processor, since waking takes tens of them; some 6 where threads share one, since those who wait would keep it from
   those they wait for. */
#define RGI_LOOKS 4096
#define RGI_LOOKS_SHARED 128

/* What a walker does of the steps it comes by. */
#define RGI_EVERYTHING (-1)
#define RGI_OF_NO_BRANCH 0 /* or those of the branch of that number */

/* In a child of fork the threads of the parent's OpenMP are gone, and libgomp would wait for them for ever. */
static int forked;

static void note_fork(void)
{
    __atomic_store_n(&forked, 1, __ATOMIC_RELAXED);
}

__attribute__((constructor)) static void watch_forks(void)
{
    (void)pthread_atfork(NULL, NULL, note_fork);
}

int rgi_default_threads(void)
{
#ifdef _OPENMP
    return omp_get_max_threads();
#else
    return 1;
#endif
}

void rgi_walker_fail(rgi_walker *w, rg_status status)
{
    rg_plan *const p = w->p;
    uint32_t none = RG_OK;
    w->failed = true;
    if (__atomic_compare_exchange_n(&p->failed, &none, (uint32_t)status, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) {
        strncpy(p->failure, rg_last_error(), sizeof p->failure - 1);
        p->failure[sizeof p->failure - 1] = '\0';
    }
}

static inline bool mine(const rgi_walker *w, const rgi_exec *e)
{
    return w->thread == e->lane % w->team;
}

/* This thread's part of n tasks. */
static inline void share(const rgi_walker *w, const rgi_exec *e, size_t n, size_t *lo, size_t *hi)
{
    if (e->parallel) {
        rgi_part_of(w, e, w->thread, n, lo, hi);
        return;
    }
    *lo = 0;
    *hi = mine(w, e) ? n : 0;
}

/* A copy of a step with the operands where the loops stand now. */
static rg_status run_moved(const rgi_exec *e, rg_step *s, size_t lo, size_t hi, const int64_t *t)
{
    const void *few_in[RGI_FEW], **in = few_in;
    void *few_out[RGI_FEW], **out = few_out;
    if (e->moved_at) {
        in = (const void **)(void *)((char *)s->scratch + e->moved_at);
        out = (void **)(void *)((char *)s->scratch + e->moved_at + s->n_in * sizeof *in);
    }
    for (uint32_t i = 0; i < s->n_in; i++)
        in[i] = e->step.in[i] ? rgi_at(e->step.in[i], e->terms[i], t) : NULL;
    for (uint32_t i = 0; i < s->n_out; i++)
        out[i] = (void *)(uintptr_t)rgi_at(e->step.out[i], e->terms[s->n_in + i], t);
    s->in = in;
    s->out = out;
    return s->op->run(s, lo, hi);
}

static rg_status run_phase(const rgi_exec *e, rg_step *s, size_t lo, size_t hi, const int64_t *t)
{
    return lo >= hi ? RG_OK : e->terms ? run_moved(e, s, lo, hi, t) : s->op->run(s, lo, hi);
}

static rg_status run_op(rgi_walker *w, const rgi_exec *e)
{
    rg_step s = e->step;
    rg_soon soon;
    s.scratch = w->scratch;
    s.soon = e->soon && (!e->parallel || w->team == 1) ? rgi_soon_now(e->soon, NULL, 0, w->t, &soon) : NULL;
    rg_status status = RG_OK;
    for (s.phase = 0; s.phase < RG_MAX_PHASES && e->tasks[s.phase]; s.phase++) {
        size_t lo, hi;
        share(w, e, e->tasks[s.phase], &lo, &hi);
        if (s.phase && e->parallel)
            rgi_meet(w);
        status = status ? status : run_phase(e, &s, lo, hi, w->t);
    }
    return status;
}

/* The copy of a carry before each segment of steps, to the row of the segment. */
static void copy_start(const rgi_exec *e, const int64_t *counters)
{
    int64_t rows[RGI_MAX_LOOPS];
    const size_t t = (size_t)counters[e->depth];
    if (e->reverse ? t % e->every != e->every - 1 && t != e->trips - 1 : t % e->every != 0)
        return;
    memcpy(rows, counters, sizeof rows);
    rows[e->depth] = (int64_t)(t / e->every);
    memcpy((void *)(uintptr_t)rgi_at(e->to, e->terms[1], rows), rgi_at(e->from, e->terms[0], counters), e->bytes);
}

/* The bytes in front of a task of a copy. */
static inline size_t copy_border(const rgi_exec *e, size_t task)
{
    return task >= e->tasks[0] ? e->bytes : e->part * task;
}

static void run_copy(const rgi_exec *e, size_t lo, size_t hi, const int64_t *t)
{
    const size_t first = copy_border(e, lo), bytes = copy_border(e, hi) - first;
    if (lo >= hi)
        return;
    if (e->kind == RGI_INDEX)
        *(int64_t *)(uintptr_t)rgi_at(e->to, e->terms[1], t) = t[e->depth];
    else if (e->every)
        copy_start(e, t);
    else if (e->checkpoint)
        rgi_copy_checkpoint(e, t);
    else if (bytes && e->kind == RGI_CLEAR)
        memset((char *)(uintptr_t)rgi_at(e->to, e->terms[1], t) + first, 0, bytes);
    else if (bytes)
        memmove((char *)(uintptr_t)rgi_at(e->to, e->terms[1], t) + first,
                (const char *)rgi_at(e->from, e->terms[0], t) + first, bytes);
}

static void run_pack(const rgi_exec *e, size_t lo, size_t hi, const int64_t *t)
{
    if (lo < hi)
        e->step.op->pack(&e->step, e->input, rgi_at(e->from, e->terms[0], t),
                         (void *)(uintptr_t)rgi_at(e->to, e->terms[1], t), lo, hi);
}

rg_status rgi_run_tasks(const rgi_exec *e, uint32_t phase, size_t lo, size_t hi, char *scratch, const int64_t *t)
{
    rg_step s = e->step;
    s.scratch = scratch;
    s.phase = phase;
    if (e->kind == RGI_RUN)
        return run_phase(e, &s, lo, hi, t);
    if (e->kind == RGI_FUSED)
        return lo < hi ? rgi_group_run(e->group, e->part, lo, hi, scratch, t) : RG_OK;
    if (e->kind == RGI_PACK)
        run_pack(e, lo, hi, t);
    else
        run_copy(e, lo, hi, t);
    return RG_OK;
}

static rg_status run_step(rgi_walker *w, const rgi_exec *e)
{
    size_t lo, hi;
    if (e->claims && w->team > 1)
        return rgi_claims_run(w, e);
    switch (e->kind) {
    case RGI_RUN: /* alone the step serves as it stands: its scratch is that of thread 0 */
        if (w->alone && !e->terms && !e->soon && !e->tasks[1])
            return e->tasks[0] ? e->step.op->run(&e->step, 0, e->tasks[0]) : RG_OK;
        return run_op(w, e);
    case RGI_FUSED:
        if (w->team == 1)
            return e->tasks[0] ? rgi_group_run(e->group, e->part, 0, e->tasks[0], w->scratch, w->t) : RG_OK;
        share(w, e, e->tasks[0], &lo, &hi);
        return lo < hi ? rgi_group_run(e->group, e->part, lo, hi, w->scratch, w->t) : RG_OK;
    case RGI_PACK:
        share(w, e, e->tasks[0], &lo, &hi);
        run_pack(e, lo, hi, w->t);
        return RG_OK;
    case RGI_COPY:
    case RGI_INDEX:
    case RGI_CLEAR:
        share(w, e, e->tasks[0], &lo, &hi);
        run_copy(e, lo, hi, w->t);
        return RG_OK;
    case RGI_TEST:
    case RGI_LOOP:
    case RGI_NEXT:
        break;
    }
    return RG_OK;
}

/* Begins a loop: returns how many steps it does. */
static size_t enter(rgi_walker *w, const rgi_exec *e)
{
    size_t trips = e->trips;
    if (e->schedule) {
        trips = rgi_retrace_enter(e, w->stages, w->t);
        w->t[RGI_TURN + e->depth] = w->t[e->depth];
        return trips;
    }
    if (e->from) {
        const int64_t told = *(const int64_t *)rgi_at(e->from, e->terms[0], w->t);
        trips = told < 0 ? 0 : (uint64_t)told < trips ? (size_t)told : trips;
    }
    w->t[RGI_TURN + e->depth] = w->t[e->depth] = e->reverse ? (int64_t)trips - 1 : 0;
    w->strip[e->depth] = 0;
    return trips;
}

static inline void go_on(rgi_walker *w, const rgi_exec *e)
{
    w->t[e->depth] += e->reverse ? -1 : 1;
    if (e->schedule)
        rgi_retrace_turn(e, w->stages, w->t);
    w->t[RGI_TURN + e->depth] = w->t[e->depth] - w->strip[e->depth];
}

/* The step after a loop's begin or end. */
static size_t turn(rgi_walker *w, const rgi_exec *e, size_t i)
{
    const rgi_branch *const b = w->branch;
    if (e->kind == RGI_LOOP) {
        if (!e->parallel && !mine(w, e))
            return e->jump;
        const size_t trips = enter(w, e);
        if (trips == 0) {
            if (e->parallel && e->from) /* all have looked before anyone goes on: there are no meetings in the loop */
                rgi_meet(w);
            return e->jump;
        }
        w->trips[e->depth] = trips;
        w->done[e->depth] = 0;
        if (b && b->loop == i)
            rgi_branch_goes_on(w, 0);
        if (e->strips)
            rgi_strip_begin(w, i, 0);
        return i + 1;
    }
    const size_t done = ++w->done[e->depth];
    if (b && b->loop + 1 == e->jump)
        rgi_branch_goes_on(w, done);
    const rgi_strips *const strips = w->s->steps[e->jump - 1].strips;
    const bool over = done == w->trips[e->depth], strip_ends = strips && (over || done % strips->turns == 0);
    if (strip_ends)
        rgi_strip_end(w, e->jump - 1, done);
    if (over)
        return i + 1;
    go_on(w, e);
    if (strip_ends)
        rgi_strip_begin(w, e->jump - 1, done);
    return e->jump;
}

/* The step after a loop's test. All threads that walk the loop see the same, and know the same of failures: they meet
   before anyone goes on. */
static size_t test(rgi_walker *w, const rgi_exec *e, size_t i)
{
    bool go = *(const bool *)rgi_at(e->from, e->terms[0], w->t);
    if (e->parallel) {
        w->failed = w->failed || __atomic_load_n(&w->p->failed, __ATOMIC_ACQUIRE) != RG_OK;
        rgi_meet(w);
    }
    if (w->failed || !go)
        return e->jump;
    if (w->done[e->depth] < e->most)
        return i + 1;
    const rgi_program *prog = w->p->program;
    rgi_walker_fail(w, rgi_fail(RG_ERR_STATE, "rg_run: loop '%s' goes on after max_iter = %zu steps",
                                rgi_scan_name(prog->loops[prog->items[i].loop].scan), e->most));
    return e->jump;
}

/* So many turns of a loop, from the present one on, for one piece of its rows. */
static rg_status walk_piece(rgi_walker *w, size_t i, size_t piece, size_t turns)
{
    const rgi_exec *e = &w->s->steps[i];
    rg_status status = RG_OK;
    for (; turns > 0 && !status; turns--) {
        for (size_t j = 0; j < e->rows->n_steps && !status; j++) {
            const uint64_t begin = w->s->timeline ? rgi_now() : 0;
            status = rgi_rows_run(e, piece, j, w->scratch, w->t);
            if (status)
                rgi_tell_node(w->p->program, i + 1 + j, w->failures, status);
            if (w->s->timeline)
                rgi_timeline_note(w->s->timeline, w->self, i + 1 + j, begin, 0);
        }
        if (turns > 1)
            go_on(w, e);
    }
    return status;
}

/* All steps of a loop for the pieces of its rows that are this thread's. */
static void walk_rows(rgi_walker *w, size_t i)
{
    const rgi_exec *e = &w->s->steps[i];
    rg_status status = RG_OK;
    for (size_t piece = w->thread; piece < e->rows->pieces && !status; piece += w->team)
        status = walk_piece(w, i, piece, enter(w, e));
    if (status)
        rgi_walker_fail(w, status);
}

/* The same with strips: for the turns of each. A thread that has failed still comes to where the others meet it. */
static void walk_strips(rgi_walker *w, size_t i)
{
    const rgi_exec *e = &w->s->steps[i];
    const size_t trips = enter(w, e);
    for (size_t done = 0, turns; done < trips; done += turns) {
        turns = trips - done < e->strips->turns ? trips - done : e->strips->turns;
        rgi_strip_begin(w, i, done);
        const int64_t first = w->t[e->depth];
        rg_status status = RG_OK;
        for (size_t piece = w->thread; piece < e->rows->pieces && !status && !w->failed; piece += w->team) {
            w->t[e->depth] = first;
            w->t[RGI_TURN + e->depth] = first - w->strip[e->depth];
            status = walk_piece(w, i, piece, turns);
        }
        if (status)
            rgi_walker_fail(w, status);
        rgi_strip_end(w, i, done + turns);
    }
}

/* The calls that begin with step i. */
static void run_calls(rgi_walker *w, size_t i)
{
    const rgi_call *c = w->s->steps[i].calls, *const end = c + w->s->steps[i].n_calls;
    rg_status status = RG_OK;
    for (; c < end && !(status = c->step->op->run(c->step, 0, c->tasks)); c++)
        ;
    if (!status)
        return;
    rgi_tell_call(w->p->program, w->s, i, c->step, w->failures, status);
    rgi_walker_fail(w, status);
}

/* All meet, and know of failures so far. */
static void meet_all(rgi_walker *w)
{
    rgi_meet(w);
    w->failed = w->failed || __atomic_load_n(&w->p->failed, __ATOMIC_ACQUIRE) != RG_OK;
}

/* A step that is no loop, or its meetings alone after a failure: a failed thread still comes to those between the
   phases of a step. */
static void walk_step(rgi_walker *w, const rgi_exec *e, size_t i)
{
    rgi_timeline *const timeline = w->s->timeline;
    if (w->failed && !(e->kind == RGI_RUN && e->parallel && e->tasks[1]))
        return;
    const uint64_t begin = timeline ? rgi_now() : 0, waited = w->waited;
    rg_status status = w->failed ? RG_OK : run_step(w, e);
    if (timeline)
        rgi_timeline_note(timeline, w->self, i, begin, w->waited - waited);
    if (w->failed)
        for (uint32_t k = 1; k < RG_MAX_PHASES && e->tasks[k]; k++)
            rgi_meet(w);
    if (status)
        rgi_tell_node(w->p->program, i, w->failures, status);
    else if (w->p->program->opts.check)
        status = rgi_check_values(w, i);
    if (status)
        rgi_walker_fail(w, status);
}

static void walk(rgi_walker *w, size_t i, size_t end, int which);

/* Each thread does its branch, and then all do what belongs to none. */
static void walk_section(rgi_walker *w, rgi_section *x)
{
    const rgi_walker all = *w;
    for (uint32_t k = 0; k < x->n; k++) {
        rgi_branch *const b = &x->branches[k];
        if (all.thread - b->first >= b->threads)
            continue;
        w->branch = b;
        w->thread = all.thread - b->first;
        w->team = b->threads;
        w->meeting = &b->meeting;
        walk(w, x->begin, x->end, (int)k + 1);
    }
    w->branch = NULL;
    w->thread = all.thread;
    w->team = all.team;
    w->meeting = all.meeting;
    meet_all(w);
    walk(w, x->begin, x->end, RGI_OF_NO_BRANCH);
}

static void walk(rgi_walker *w, size_t i, size_t end, int which)
{
    const rgi_exec *const steps = w->s->steps;
    const rg_plan *p = w->p;
    const bool calls = w->alone && !p->program->opts.check && !w->s->timeline;
    while (i < end && !(w->failed && w->alone)) {
        const rgi_exec *e = &steps[i];
        w->at = i;
        if (calls && e->n_calls) {
            run_calls(w, i);
            i = e->after;
            continue;
        }
        if (which != RGI_EVERYTHING && (e->branch != which || e->bridge)) {
            i = e->kind == RGI_LOOP ? e->jump : i + 1;
            continue;
        }
        if (e->barrier)
            meet_all(w);
        if (e->section && which == RGI_EVERYTHING && w->team == w->s->team) { /* may begin with a step in strips */
            walk_section(w, e->section);
            i = e->section->end;
        } else if (e->in_strips) {
            i++;
        } else if (e->rows && w->team > 1) {
            if (e->strips)
                walk_strips(w, i);
            else if (!w->failed)
                walk_rows(w, i);
            i = e->jump;
        } else if (e->kind == RGI_LOOP || e->kind == RGI_NEXT) {
            i = turn(w, e, i);
        } else if (e->kind == RGI_TEST) {
            i = test(w, e, i);
        } else {
            walk_step(w, e, i++);
        }
    }
}

/* One thread's part of the meetings that are timed; thread 0 says what one takes. */
static double time_as(rg_plan *p, uint32_t thread, uint32_t team, int n)
{
    rgi_walker w = {.p = p, .thread = thread, .team = team, .meeting = &p->meeting};
    rgi_meet(&w);
    const uint64_t begin = rgi_now();
    for (int i = 0; i < n; i++)
        rgi_meet(&w);
    return team > 1 ? (double)(rgi_now() - begin) / n : 0;
}

static void walk_as(rg_plan *p, uint32_t thread, uint32_t team)
{
    const rgi_special *s = p->current;
    rgi_walker w = {.p = p,
                    .s = s,
                    .self = thread,
                    .thread = thread,
                    .team = team ? team : 1, /* never 0: the analyser does not know OpenMP */
                    .meeting = &p->meeting,
                    .alone = team <= 1,
                    .failures = rgi_failures(),
                    .scratch = p->slab + s->bytes + thread * s->scratch};
    if (!w.alone)
        rgi_claims_clear(&w);
    rgi_meet(&w); /* what the caller wrote before is seen by all */
    walk(&w, 0, s->n_steps, RGI_EVERYTHING);
    w.at = s->n_steps;
    rgi_meet(&w);
}

#ifdef _OPENMP

static uint32_t looks_of(int threads)
{
    return threads > omp_get_num_procs() ? RGI_LOOKS_SHARED : RGI_LOOKS;
}

/* A function of its own: clang starts the runtime of OpenMP at the head of a function that has a region, and one thread
   needs none. */
static __attribute__((noinline)) void walk_together(rg_plan *p)
{
    p->looks = p->looks ? p->looks : looks_of(p->program->opts.threads);
#pragma omp parallel num_threads(p->current->threads)
    walk_as(p, (uint32_t)omp_get_thread_num(), (uint32_t)omp_get_num_threads());
}

static __attribute__((noinline)) double time_together(rg_plan *p, int threads, int n)
{
    double ns = 0;
    p->looks = looks_of(threads);
#pragma omp parallel num_threads(threads)
    {
        const double mine = time_as(p, (uint32_t)omp_get_thread_num(), (uint32_t)omp_get_num_threads(), n);
        if (omp_get_thread_num() == 0)
            ns = mine;
    }
    return ns;
}

#else

static void walk_together(rg_plan *p)
{
    walk_as(p, 0, 1);
}

static double time_together(rg_plan *p, int threads, int n)
{
    (void)threads;
    return time_as(p, 0, 1, n);
}

#endif

double rgi_time_meetings(int threads, int n)
{
    rg_plan p = {.failed = RG_OK};
    return threads == 1 || __atomic_load_n(&forked, __ATOMIC_RELAXED) ? 0 : time_together(&p, threads, n);
}

rg_status rgi_execute(rg_plan *p)
{
    rgi_special *const s = p->current;
    p->failed = RG_OK;
    p->meeting.arrived = 0;
    for (rgi_section *x = s->sections; x; x = x->next)
        for (uint32_t k = 0; k < x->n; k++)
            x->branches[k].progress = 0;
    const bool alone = !s->parallel || s->threads == 1 || __atomic_load_n(&forked, __ATOMIC_RELAXED);
    const rgi_trial *const trial = s->tried && !alone ? rgi_trial_of(&p->trials, &s->trial) : NULL;
    const uint64_t begin = trial && rgi_trial_times(trial) ? rgi_now() : 0;
    rgi_timeline_start(s->timeline);
    if (alone || (trial && rgi_trial_alone(trial)))
        walk_as(p, 0, 1);
    else
        walk_together(p);
    rgi_timeline_stop(s->timeline);
    if (trial && !p->failed) /* what fails is over early */
        rgi_trials_note(&p->trials, &s->trial, begin ? rgi_now() - begin : 0);
    return p->failed ? rgi_fail((rg_status)p->failed, "%s", p->failure) : RG_OK;
}
