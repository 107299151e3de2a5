/* prices.c - what it is taken to cost to do loops in one way or another: on one thread, with each step shared out, in
   pieces of their rows. */
#include "prices.h"
#include "rows.h"
#include "share.h"

#include <math.h>

#define RGI_AGAIN 0.75 /* of the time for reading something that is saved where it is near */
#define RGI_APART 3.0  /* meetings that each in a loop costs beside itself: what a thread reads another one has made */
#define RGI_ROWS_LEAST 4 /* rows in a piece of a loop */
#define RGI_NEAR \
    ((size_t)1024 * 1024)      /* bytes that each thread may read anew in every step: they stay in its own cache */
#define RGI_FAR (2 * RGI_NEAR) /* from so many on they do not ... */
#define RGI_LATE 0.5           /* ... and take so much longer */

double rgi_read_again(const rg_plan *p, const rgi_special *s, size_t step, uint32_t threads)
{
    const rgi_program *prog = p->program;
    const rgi_item *item = &prog->items[step];
    double bytes = 0;
    if (item->kind != RGI_RUN || item->loop == RGI_NONE)
        return 0;
    const rgi_use *use = &prog->uses[item->first];
    for (uint32_t k = 0; k < use->n_in; k++) {
        int32_t v = use->in[k];
        const size_t size = v == RGI_NONE ? 0 : rgi_bytes(prog, s, v);
        while (v != RGI_NONE && prog->values[v].loop != item->loop && prog->values[v].step_loop != item->loop &&
               prog->values[v].part_of != RGI_NONE)
            v = prog->values[v].part_of;
        const bool stays =
            v != RGI_NONE && prog->values[v].loop != item->loop && prog->values[v].step_loop != item->loop;
        if (stays)
            bytes += size <= RGI_NEAR           ? RGI_AGAIN * (double)size
                     : size / threads > RGI_FAR ? -RGI_LATE * (double)size
                                                : 0;
    }
    return bytes * prog->machine.byte_ns;
}

/* Whether threads meet for a step that is shared out: copies mostly stand beside others. */
static bool meets(const rgi_exec *e)
{
    return e->parallel && e->kind != RGI_COPY && e->kind != RGI_CLEAR;
}

rgi_prices rgi_loop_prices(const rg_plan *p, const rgi_special *s, int32_t loop, const rgi_rows *rows, uint32_t lanes)
{
    const rgi_program *prog = p->program;
    const rgi_loop *l = &prog->loops[loop];
    const double calls = rgi_step_calls(prog, s, l->begin);
    rgi_prices x = {0, 0, INFINITY};
    for (size_t i = l->begin + 1; i < l->end; i++) {
        const rgi_exec *e = &s->steps[i];
        const double ns = rgi_step_ns(prog, e) * calls;
        const size_t tasks = rgi_most_tasks(e), parts = tasks < lanes ? tasks : lanes;
        x.alone += ns;
        x.stepwise += (e->parallel ? ns / (double)parts : ns) + (meets(e) ? prog->machine.meeting_ns * calls : 0);
    }
    if (!rows)
        return x;
    x.by_rows = x.alone / (double)rows->pieces;
    if (rows->whole > RGI_NEAR)
        x.by_rows += (double)rows->whole * (1 - 1 / (double)rows->pieces) * prog->machine.byte_ns * calls;
    return x;
}

rgi_prices rgi_loop_times(const rg_plan *p, const rgi_special *s, int32_t loop, const rgi_rows *rows, uint32_t threads)
{
    const rgi_program *prog = p->program;
    const rgi_loop *l = &prog->loops[loop];
    const double turns = rgi_step_calls(prog, s, l->begin + 1);
    rgi_prices x = rgi_loop_prices(p, s, loop, rows, threads);
    double near = 0, parts_near = 0, meetings = turns;
    for (size_t i = l->begin + 1; i < l->end; i++) {
        const double calls = rgi_step_calls(prog, s, i);
        near += rgi_read_again(p, s, i, 1) * calls;
        parts_near += rgi_read_again(p, s, i, threads) * calls / threads;
        meetings += meets(&s->steps[i]) ? calls : 0;
    }
    x.alone -= near;
    x.stepwise += prog->machine.meeting_ns * (turns + RGI_APART * meetings) - parts_near;
    x.by_rows -= rows ? near / (double)rows->pieces : 0;
    return x;
}

bool rgi_cuts_make(rg_plan *p, rgi_cuts *out)
{
    const size_t loops = p->program->n_loops;
    *out = (rgi_cuts){.touched = rgi_arena_alloc(&p->temporary, (p->program->n_values + 1) * sizeof *out->touched),
                      .done = rgi_arena_alloc(&p->temporary, p->program->n_values + 1),
                      .rows = rgi_arena_alloc(&p->temporary, (loops + 1) * sizeof *out->rows),
                      .known = rgi_arena_alloc(&p->temporary, loops + 1)};
    return out->touched && out->done && out->rows && out->known;
}

bool rgi_rows_worth(const rg_plan *p, rgi_special *s, int32_t loop, uint32_t lanes, const rgi_cuts *cuts, rgi_rows *out)
{
    const rgi_exec *begin = &s->steps[p->program->loops[loop].begin];
    if (!cuts->known[loop] && begin->trips && !rgi_rows_find(p, s, loop, cuts->touched, &cuts->rows[loop]))
        cuts->rows[loop].batch = 0;
    cuts->known[loop] = true;
    *out = cuts->rows[loop];
    const size_t most = (size_t)out->batch / RGI_ROWS_LEAST;
    out->pieces = most < lanes ? most : lanes;
    if (out->pieces < 2)
        return false;
    const rgi_prices x = rgi_loop_prices(p, s, loop, out, lanes);
    const double entries = rgi_step_calls(p->program, s, p->program->loops[loop].begin) / (double)begin->trips;
    return x.by_rows < x.stepwise && x.alone - x.by_rows >= p->program->machine.share_ns * entries;
}
