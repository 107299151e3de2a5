/* straight.c - what one thread does between loops, as a list of calls: an op and its tasks, sixteen bytes each. Where
   ops have one element, looking at steps would cost more than computing them. */
#include "steps.h"

/* How many calls a step is; SIZE_MAX: it is more than calls. */
static size_t calls_of(const rgi_exec *e)
{
    if (e->in_strips)
        return SIZE_MAX;
    if (e->kind == RGI_RUN)
        return e->terms || e->tasks[1] ? SIZE_MAX : e->tasks[0] != 0;
    const rgi_group *g = e->group;
    if (e->kind != RGI_FUSED || !g->single || g->n_shifts || g->n_spreads || g->windows)
        return SIZE_MAX;
    return g->elements ? g->n_members : 0;
}

static rgi_call *add_calls(const rgi_exec *e, rgi_call *to)
{
    if (e->kind == RGI_RUN && e->tasks[0])
        *to++ = (rgi_call){&e->step, e->tasks[0]};
    for (size_t m = 0; e->kind == RGI_FUSED && e->group->elements && m < e->group->n_members; m++)
        *to++ = (rgi_call){&e->group->members[m].step, e->group->elements};
    return to;
}

bool rgi_straighten(rgi_special *s)
{
    size_t n = 0;
    for (size_t i = 0; i < s->n_steps; i++)
        n += calls_of(&s->steps[i]) == SIZE_MAX ? 0 : calls_of(&s->steps[i]);
    rgi_call *const calls = rgi_special_alloc(s, n, sizeof *calls), *end = calls;
    if (!calls)
        return false;
    for (size_t i = 0; i < s->n_steps;) {
        rgi_exec *const first = &s->steps[i];
        first->calls = end;
        for (; i < s->n_steps && calls_of(&s->steps[i]) != SIZE_MAX; i++)
            end = add_calls(&s->steps[i], end);
        first->n_calls = (uint32_t)(end - first->calls);
        first->after = (uint32_t)i;
        i += first == &s->steps[i];
    }
    return true;
}
