/* timeline.h - when each thread worked on which step of the last run. */
#ifndef RGI_TIMELINE_H
#define RGI_TIMELINE_H

#include "../plan.h"

typedef struct rgi_event {
    uint64_t begin, end;   /* nanoseconds of the monotonic clock */
    uint32_t step, waited; /* of it, for other threads, in nanoseconds */
} rgi_event;

typedef struct rgi_lane {
    rgi_event *events; /* room for `capacity` of its timeline */
    size_t n, lost;    /* lost: those there was no room for */
    uint64_t *waits;   /* by step: nanoseconds in the meetings before it and in it; the last: at the end of the run */
} rgi_lane;

typedef struct rgi_timeline {
    rgi_lane *lanes; /* by thread */
    size_t n_lanes, n_steps, capacity;
    uint64_t begin, end; /* of the run; 0: none yet */
} rgi_timeline;

/* One for the steps of a specialisation, in its arena; NULL when memory is short. */
rgi_timeline *rgi_timeline_new(const rgi_program *prog, rgi_special *s);
uint64_t rgi_now(void);
/* A run begins; ends. */
void rgi_timeline_start(rgi_timeline *t);
void rgi_timeline_stop(rgi_timeline *t);

/* A step that began then is over; `waited` ns of it the thread was waiting. */
static inline void rgi_timeline_note(rgi_timeline *t, uint32_t thread, size_t step, uint64_t begin, uint64_t waited)
{
    rgi_lane *lane = &t->lanes[thread];
    if (lane->n < t->capacity)
        lane->events[lane->n++] = (rgi_event){begin, rgi_now(), (uint32_t)step, (uint32_t)waited};
    else
        lane->lost++;
}

#endif
