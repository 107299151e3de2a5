/* sections.c - which of the loops that can go side by side do: those that end sooner so, each done by a part of the
   threads, than one after the other by all. */
#include "../sizes/steps.h"
#include "branches.h"
#include "prices.h"
#include "rows.h"
#include "share.h"

#include <math.h>

#define RGI_SOONER 0.95 /* of the time one after the other: more than that is not worth it */

typedef struct choosing {
    rg_plan *p;
    rgi_special *s;
    const rgi_cuts *cuts;
} choosing;

/* Nanoseconds of a loop where so many threads have it to themselves. A branch that leads or follows is not cut by
   rows. */
static double loop_time(const choosing *c, const rgi_branch *b, uint32_t threads)
{
    const int32_t loop = c->p->program->items[b->loop].loop;
    rgi_rows rows;
    const bool cut = !b->chunk && rgi_rows_worth(c->p, c->s, loop, threads, c->cuts, &rows);
    const rgi_prices x = rgi_loop_times(c->p, c->s, loop, cut ? &rows : NULL, threads);
    return fmin(x.alone, fmin(x.stepwise, x.by_rows));
}

/* Nanoseconds of a branch done by so many threads. */
static double branch_time(const choosing *c, const rgi_section *x, uint32_t k, uint32_t threads)
{
    const rgi_program *prog = c->p->program;
    double ns = loop_time(c, &x->branches[k], threads);
    for (size_t i = x->begin; i < x->end; i++) {
        const rgi_exec *e = &c->s->steps[i];
        const size_t tasks = rgi_most_tasks(e), parts = tasks < threads ? tasks : threads;
        if (prog->items[i].loop == RGI_NONE && e->branch == k + 1)
            ns += rgi_step_ns(prog, e) / (e->parallel ? (double)parts : 1);
    }
    return ns;
}

/* Deals the threads out by what there is to do. */
static void deal(const choosing *c, rgi_section *x, uint32_t threads)
{
    double work[RGI_BRANCHES], all = 0;
    uint32_t most = 0, left = threads;
    for (uint32_t k = 0; k < x->n; k++)
        all += work[k] = branch_time(c, x, k, 1);
    for (uint32_t k = 0; k < x->n; k++) {
        const uint32_t share = (uint32_t)(threads * (all > 0 ? work[k] / all : 0) + 0.5), room = left - (x->n - 1 - k);
        x->branches[k].threads = share < 1 ? 1 : share > room ? room : share;
        left -= x->branches[k].threads;
        most = work[k] > work[most] ? k : most;
    }
    x->branches[most].threads += left;
    for (uint32_t k = 1; k < x->n; k++)
        x->branches[k].first = x->branches[k - 1].first + x->branches[k - 1].threads;
}

/* Nanoseconds until all branches are over. */
static double time_beside(const choosing *c, const rgi_section *x)
{
    double begin[RGI_BRANCHES], took[RGI_BRANCHES], end[RGI_BRANCHES], last = 0;
    for (uint32_t k = 0; k < x->n; k++) {
        const rgi_branch *b = &x->branches[k];
        begin[k] = 0;
        took[k] = branch_time(c, x, k, b->threads);
        end[k] = took[k];
        if (b->leader) {
            const size_t l = (size_t)(b->leader - x->branches);
            const double chunks = (double)c->s->steps[b->loop].trips / (double)b->chunk;
            begin[k] = begin[l] + took[l] / chunks;
            end[k] = fmax(begin[k] + took[k], end[l] + took[k] / chunks);
        }
        last = fmax(last, end[k]);
    }
    return last;
}

static bool is_worth(const choosing *c, rgi_section *x, uint32_t threads)
{
    double apart = 0;
    deal(c, x, threads);
    for (uint32_t k = 0; k < x->n; k++)
        apart += branch_time(c, x, k, threads);
    return time_beside(c, x) + 2 * c->p->program->machine.meeting_ns < RGI_SOONER * apart;
}

/* The section of at most so many branches that begins with a loop, in x->n; 0 where there is none that is worth it.
   False: out of memory. */
static bool find_section(const choosing *c, size_t first, uint32_t most, uint32_t threads, rgi_section *x)
{
    bool cannot = false;
    if (!rgi_branches_find(c->p, c->s, first, most, c->cuts, x))
        return false;
    if (x->n < 2) {
        x->n = 0;
        return true;
    }
    const bool worth = is_worth(c, x, threads);
    if (worth && !rgi_branches_cut(c->p, c->s, x, &cannot))
        return false;
    if (worth && !cannot)
        return true;
    const uint32_t found = x->n;
    rgi_branches_forget(c->s, x);
    x->n = 0;
    return found == 2 || find_section(c, first, found - 1, threads, x);
}

/* Nothing is shared out of what one thread does, nor of what is done in parts from a loop. */
static void settle(rgi_special *s, const rgi_section *x)
{
    for (size_t i = x->begin; i < x->end; i++) {
        rgi_exec *e = &s->steps[i];
        if (e->branch && (e->bridge || x->branches[e->branch - 1].threads == 1))
            e->parallel = false;
    }
}

bool rgi_sections_find(rg_plan *p, rgi_special *s, uint32_t lanes, const rgi_cuts *cuts)
{
    const rgi_program *prog = p->program;
    const choosing c = {p, s, cuts};
    rgi_section **last = &s->sections;
    for (size_t i = 0; i < s->n_steps; i++) {
        rgi_rows rows;
        if (prog->items[i].kind != RGI_LOOP)
            continue;
        if (rgi_rows_worth(p, s, prog->items[i].loop, lanes, cuts, &rows) && rows.pieces == lanes) {
            i = prog->loops[prog->items[i].loop].end; /* all threads have rows of it */
            continue;
        }
        rgi_section *x = rgi_special_alloc(s, 1, sizeof *x);
        if (!x || !find_section(&c, i, lanes < RGI_BRANCHES ? lanes : RGI_BRANCHES, lanes, x))
            return false;
        i = x->n ? x->end - 1 : (size_t)prog->loops[prog->items[i].loop].end;
        if (!x->n)
            continue;
        *last = x;
        last = &x->next;
        s->steps[x->begin].section = x;
        settle(s, x);
    }
    return true;
}
