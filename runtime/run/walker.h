/* walker.h - a thread that walks over the steps of a plan. */
#ifndef RGI_WALKER_H
#define RGI_WALKER_H

#include "../program/retrace.h"
#include "exec.h"

typedef struct rgi_walker {
    rg_plan *p;
    const rgi_special *s;
    uint32_t self;         /* which thread it is, of all */
    uint32_t thread, team; /* which of those that do these steps together */
    rgi_meeting *meeting;  /* of these */
    rgi_branch *branch;    /* that they do, or NULL */
    bool alone;            /* there is no other thread */
    bool failed;
    size_t at;         /* the present step */
    uint64_t failures; /* of this thread before the run */
    uint64_t waited;   /* nanoseconds at meetings, of a plan that keeps a timeline */
    char *scratch;
    int64_t t[RGI_COUNTERS];         /* counters of the loops around the present step */
    int64_t strip[RGI_MAX_LOOPS];    /* the first step of the strip that each is in, where it has some, or 0 */
    size_t done[RGI_MAX_LOOPS];      /* steps of each that are over ... */
    size_t trips[RGI_MAX_LOOPS];     /* ... of so many */
    rgi_stage stages[RGI_MAX_LOOPS]; /* of those that take part in a retrace */
} rgi_walker;

/* meeting.c: returns when all of the walker's team have come. */
void rgi_meet(rgi_walker *w);
/* Says that so many turns of a branch are over, and returns when so many of another one are. */
void rgi_say_progress(rgi_branch *b, size_t done);
void rgi_wait_for(rgi_walker *w, rgi_branch *b, size_t least);
/* anomaly.c: after a step of a checking plan, whose items have one op each: are all its floats finite? */
rg_status rgi_check_values(const rgi_walker *w, size_t i);
/* branches_run.c: between turns of the branch's loop, `done` of which are over: says so to who follows, waits for who
   leads, and does what leads from there to here. */
void rgi_branch_goes_on(rgi_walker *w, size_t done);

/* A thread's part of the n tasks of a step that is shared out. */
static inline void rgi_part_of(const rgi_walker *w, const rgi_exec *e, uint32_t thread, size_t n, size_t *lo,
                               size_t *hi)
{
    if (e->cut && w->team == (w->branch ? w->branch->threads : w->s->team)) {
        *lo = (size_t)((double)n * e->cut[thread] + 0.5);
        *hi = (size_t)((double)n * e->cut[thread + 1] + 0.5);
    } else {
        *lo = n * thread / w->team;
        *hi = n * (thread + 1) / w->team;
    }
}

/* The first failure of a run is kept, with its text from this thread. */
void rgi_walker_fail(rgi_walker *w, rg_status status);

#endif
