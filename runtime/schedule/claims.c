/* claims.c - who does which tasks of a long step. Cores that look alike are not alike: one serves interrupts, or shares
   its execution units with a stranger, and whoever has its half of the tasks is waited for. So each thread claims its
   own tasks, many first and fewer later, and, when none is left, some of another thread's. Who computes a task changes
   no bit of it.

   Near its end a thread claims one task at a time; neighbours in one call are cheaper for some ops, so the first claim
   is most of what there is. */
#include "../sizes/steps.h"
#include "claims.h"
#include "share.h"

#define RGI_CLAIM_NS 200000 /* that a step is taken to last on one thread: a claim costs what a meeting does */
#define RGI_CLAIM_FIRST 4   /* a thread claims all but one of so many of its own tasks that are left, ... */
#define RGI_CLAIM_OTHER 2   /* ... or one of so many of another's */

/* How many of a thread's tasks are claimed, in a line of its own. */
struct rgi_claims {
    size_t n;
    char apart[64 - sizeof(size_t)];
};

static bool has_claims(const rgi_program *prog, const rgi_special *s, size_t i)
{
    const rgi_exec *e = &s->steps[i];
    return e->parallel && (e->kind == RGI_RUN || e->kind == RGI_FUSED) && prog->items[i].loop == RGI_NONE &&
           !e->tasks[1] && !e->in_strips && !e->branch && e->tasks[0] >= 2 * (size_t)s->threads &&
           rgi_step_ns(prog, e) >= RGI_CLAIM_NS;
}

bool rgi_claims_make(const rg_plan *p, rgi_special *s)
{
    for (size_t i = 0; i < s->n_steps && s->parallel; i++) {
        if (!has_claims(p->program, s, i))
            continue;
        s->steps[i].claims = rgi_special_alloc(s, (size_t)s->threads, sizeof *s->steps[i].claims);
        if (!s->steps[i].claims)
            return false;
    }
    return true;
}

void rgi_claims_clear(const rgi_walker *w)
{
    for (size_t i = 0; i < w->s->n_steps; i++)
        if (w->s->steps[i].claims)
            w->s->steps[i].claims[w->self].n = 0;
}

/* Some of a thread's tasks, if there are any that nobody has. */
static bool claim(const rgi_walker *w, const rgi_exec *e, uint32_t whose, size_t *lo, size_t *hi)
{
    size_t first, end, *const claimed = &e->claims[whose].n;
    rgi_part_of(w, e, whose, e->tasks[0], &first, &end);
    const size_t all = end - first, before = __atomic_load_n(claimed, __ATOMIC_RELAXED);
    if (before >= all)
        return false;
    const size_t left = all - before,
                 some = whose == w->thread ? left - left / RGI_CLAIM_FIRST : left / RGI_CLAIM_OTHER,
                 from = __atomic_fetch_add(claimed, some ? some : 1, __ATOMIC_RELAXED);
    if (from >= all)
        return false;
    *lo = first + from;
    *hi = all - from < some ? end : *lo + (some ? some : 1);
    return true;
}

rg_status rgi_claims_run(rgi_walker *w, const rgi_exec *e)
{
    rg_status status = RG_OK;
    for (uint32_t k = 0; k < w->team; k++) {
        const uint32_t whose = (w->thread + k) % w->team;
        for (size_t lo, hi; !status && claim(w, e, whose, &lo, &hi);)
            status = rgi_run_tasks(e, 0, lo, hi, w->scratch, w->t);
    }
    return status;
}
