/* meeting.c - threads wait for each other: all of a team, or one for how far another has come. */
#include "timeline.h"
#include "walker.h"

#include <sched.h>

static inline void relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#endif
}

static void wait_for_all(const rg_plan *p, rgi_meeting *m, uint32_t team)
{
    const uint32_t generation = __atomic_load_n(&m->generation, __ATOMIC_ACQUIRE);
    if (__atomic_add_fetch(&m->arrived, 1, __ATOMIC_ACQ_REL) == team) {
        __atomic_store_n(&m->arrived, 0, __ATOMIC_RELAXED);
        __atomic_store_n(&m->generation, generation + 1, __ATOMIC_RELEASE);
        return;
    }
    for (uint32_t looks = 0; __atomic_load_n(&m->generation, __ATOMIC_ACQUIRE) == generation; looks++) {
        relax();
        if (looks > p->looks)
            sched_yield();
    }
}

static uint64_t begin_waiting(const rgi_walker *w)
{
    return w->s && w->s->timeline ? rgi_now() : 0;
}

static void end_waiting(rgi_walker *w, uint64_t begin)
{
    if (!begin)
        return;
    const uint64_t waited = rgi_now() - begin;
    w->waited += waited;
    w->s->timeline->lanes[w->self].waits[w->at] += waited;
}

void rgi_meet(rgi_walker *w)
{
    if (w->team == 1)
        return;
    const uint64_t begin = begin_waiting(w);
    wait_for_all(w->p, w->meeting, w->team);
    end_waiting(w, begin);
}

void rgi_wait_for(rgi_walker *w, const size_t *progress, size_t least)
{
    if (__atomic_load_n(progress, __ATOMIC_ACQUIRE) >= least)
        return;
    const uint64_t begin = begin_waiting(w);
    for (uint32_t looks = 0; __atomic_load_n(progress, __ATOMIC_ACQUIRE) < least; looks++) {
        relax();
        if (looks > w->p->looks)
            sched_yield();
    }
    end_waiting(w, begin);
}
