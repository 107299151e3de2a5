/* strips_run.c - between two turns of a loop: what leads to the turns that come next, into the memory of those before. */
#include "rows.h"
#include "strips.h"
#include "timeline.h"

/* One step for the turns from `first` on, by one of those who do it. */
static rg_status run(rgi_walker *w, const rgi_strip_step *x, bool rest, size_t first, uint32_t thread, uint32_t team)
{
    size_t moved[RGI_ROW_INPUTS + 1];
    rgi_row_step r = rest ? x->rest : x->whole;
    for (uint32_t i = 0; i < r.step.n_in; i++)
        moved[i] = r.moved[i] * first;
    moved[r.step.n_in] = 0;
    r.moved = moved;
    return rgi_rows_part(&w->s->steps[x->step], &r, thread, team, w->scratch, w->t);
}

void rgi_strip_begin(rgi_walker *w, size_t loop, size_t done)
{
    const rgi_exec *e = &w->s->steps[loop];
    const rgi_strips *x = e->strips;
    const size_t end = e->trips - done < x->turns ? e->trips : done + x->turns;
    const size_t first = e->reverse ? e->trips - end : done;
    const bool together = e->parallel || e->rows;
    const uint32_t team = together ? w->team : 1, thread = together ? w->thread : 0;
    w->t[e->depth] = e->reverse ? (int64_t)(e->trips - 1 - done) : (int64_t)done;
    w->strip[e->depth] = (int64_t)first;
    w->t[RGI_TURN + e->depth] = w->t[e->depth] - (int64_t)first;
    if (team > 1 && done) /* nobody reads the turns before any more */
        rgi_meet(w);
    for (uint32_t k = 0; k < x->n; k++) {
        const uint64_t begin = w->s->timeline ? rgi_now() : 0;
        const rg_status status = w->failed ? RG_OK : run(w, &x->steps[k], end - done < x->turns, first, thread, team);
        if (w->s->timeline)
            rgi_timeline_note(w->s->timeline, w->self, x->steps[k].step, begin, 0);
        if (status) {
            rgi_tell_node(w->p->program, x->steps[k].step, w->failures, status);
            rgi_walker_fail(w, status);
        }
    }
    if (team > 1)
        rgi_meet(w);
}
