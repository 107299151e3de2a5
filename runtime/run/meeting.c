/* meeting.c - threads wait for each other: all of a team, or one for how far another has come. */
#ifdef __linux__
#define _GNU_SOURCE /* syscall */
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

#include "../sight/timeline.h"
#include "walker.h"

#include <limits.h>
#include <sched.h>

static inline void relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#endif
}

/* Gives the processor away until the bell may have rung since it had `rung` strokes. Where the system cannot wake a
   thread, the thread asks again in its next turn. */
static void sleep_until_rung(rgi_bell *b, uint32_t rung)
{
#ifdef __linux__
    __atomic_add_fetch(&b->sleepers, 1, __ATOMIC_SEQ_CST);
    (void)syscall(SYS_futex, &b->rung, FUTEX_WAIT_PRIVATE, rung, NULL, NULL, 0);
    __atomic_sub_fetch(&b->sleepers, 1, __ATOMIC_RELAXED);
#else
    (void)b;
    (void)rung;
    sched_yield();
#endif
}

/* What was written before is seen by those who have heard it. */
static void ring(rgi_bell *b)
{
    __atomic_add_fetch(&b->rung, 1, __ATOMIC_SEQ_CST);
#ifdef __linux__
    if (__atomic_load_n(&b->sleepers, __ATOMIC_SEQ_CST))
        (void)syscall(SYS_futex, &b->rung, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
#endif
}

static inline uint32_t strokes(const rgi_bell *b)
{
    return __atomic_load_n(&b->rung, __ATOMIC_ACQUIRE);
}

static void wait_for_all(const rg_plan *p, rgi_meeting *m, uint32_t team)
{
    const uint32_t before = strokes(&m->all_here);
    if (__atomic_add_fetch(&m->arrived, 1, __ATOMIC_ACQ_REL) == team) {
        __atomic_store_n(&m->arrived, 0, __ATOMIC_RELAXED);
        ring(&m->all_here);
        return;
    }
    for (uint32_t looks = 0; strokes(&m->all_here) == before; looks++) {
        relax();
        if (looks > p->looks)
            sleep_until_rung(&m->all_here, before);
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

void rgi_say_progress(rgi_branch *b, size_t done)
{
    __atomic_store_n(&b->progress, done, __ATOMIC_RELEASE);
    ring(&b->further);
}

void rgi_wait_for(rgi_walker *w, rgi_branch *b, size_t least)
{
    if (__atomic_load_n(&b->progress, __ATOMIC_ACQUIRE) >= least)
        return;
    const uint64_t begin = begin_waiting(w);
    for (uint32_t looks = 0;; looks++) {
        const uint32_t before = strokes(&b->further);
        if (__atomic_load_n(&b->progress, __ATOMIC_ACQUIRE) >= least)
            break;
        relax();
        if (looks > w->p->looks)
            sleep_until_rung(&b->further, before);
    }
    end_waiting(w, begin);
}
