/* straight.c - what one thread does between loops, as a list of calls: an op and its tasks, sixteen bytes each. Where
   ops have one element, looking at steps would cost more than computing them. */
#include "steps.h"

/* Whether a step is calls and nothing more: one of each op. */
static bool is_calls(const rgi_exec *e)
{
    const rgi_group *g = e->group;
    if (e->in_strips)
        return false;
    if (e->kind == RGI_RUN)
        return !e->terms && !e->soon && !e->tasks[1];
    return e->kind == RGI_FUSED && g->single && !g->n_shifts && !g->n_spreads && !g->windows;
}

static rgi_call *add_calls(const rgi_exec *e, rgi_call *to)
{
    if (e->kind == RGI_RUN && e->tasks[0])
        *to++ = (rgi_call){&e->step, e->tasks[0]};
    for (size_t m = 0; e->kind == RGI_FUSED && e->group->elements && m < e->group->n_members; m++)
        *to++ = (rgi_call){&e->group->members[m].step, e->group->elements};
    return to;
}

bool rgi_straighten(const rgi_program *prog, rgi_special *s)
{
    rgi_call *const calls = rgi_arena_take(&s->arena, (prog->n_uses + 1) * sizeof *calls), *end = calls; /* at most */
    if (!calls)
        return false;
    for (size_t i = 0; i < s->n_steps;) {
        rgi_exec *const first = &s->steps[i];
        first->calls = end;
        for (; i < s->n_steps && is_calls(&s->steps[i]); i++)
            end = add_calls(&s->steps[i], end);
        first->n_calls = (uint32_t)(end - first->calls);
        first->after = (uint32_t)i;
        i += first == &s->steps[i];
    }
    return true;
}
