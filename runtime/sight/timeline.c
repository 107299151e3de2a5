/* timeline.c - room for the events of a run, made with the specialisation so that a run allocates nothing. */
#define _POSIX_C_SOURCE 200809L

#include "timeline.h"

#include "../schedule/share.h"

#include <string.h>
#include <time.h>

#define MOST_EVENTS ((size_t)1 << 20) /* a thread; those beyond are counted */

rgi_timeline *rgi_timeline_new(const rgi_program *prog, rgi_special *s)
{
    rgi_timeline *t = rgi_arena_alloc(&s->arena, sizeof *t);
    const size_t n = s->parallel ? (size_t)s->threads : 1;
    double events = 1;
    for (size_t i = 0; i < s->n_steps; i++)
        events += rgi_step_calls(prog, s, i);
    if (!t || !(t->lanes = rgi_arena_alloc(&s->arena, n * sizeof *t->lanes)))
        return NULL;
    t->n_lanes = n;
    t->capacity = events < (double)MOST_EVENTS ? (size_t)events : MOST_EVENTS;
    for (size_t k = 0; k < n; k++) {
        t->lanes[k].events = rgi_arena_alloc(&s->arena, t->capacity * sizeof *t->lanes[k].events);
        t->lanes[k].waits = rgi_arena_alloc(&s->arena, (s->n_steps + 1) * sizeof *t->lanes[k].waits);
        if (!t->lanes[k].events || !t->lanes[k].waits)
            return NULL;
    }
    t->n_steps = s->n_steps;
    return t;
}

uint64_t rgi_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

void rgi_timeline_start(rgi_timeline *t)
{
    if (!t)
        return;
    for (size_t k = 0; k < t->n_lanes; k++) {
        t->lanes[k].n = t->lanes[k].lost = 0;
        memset(t->lanes[k].waits, 0, (t->n_steps + 1) * sizeof *t->lanes[k].waits);
    }
    t->begin = rgi_now();
    t->end = 0;
}

void rgi_timeline_stop(rgi_timeline *t)
{
    if (t)
        t->end = rgi_now();
}
