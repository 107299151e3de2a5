/* branches_run.c - a loop that follows another one a chunk of turns behind: it waits until a chunk of turns is over
   there, does what leads from these turns to its own, a product with a weight, for them alone, and goes on with its
   turns. */
#include "../schedule/rows.h"
#include "../sight/timeline.h"
#include "walker.h"

/* What is done for the turns of one chunk. */
static void cross(rgi_walker *w, const rgi_branch *b, size_t chunk)
{
    const bool together = w->s->steps[b->loop].parallel;
    const uint32_t team = together ? w->team : 1, thread = together ? w->thread : 0;
    for (uint32_t j = 0; j < b->n_bridges; j++) {
        const rgi_exec *e = &w->s->steps[b->bridges[j]];
        const rgi_row_step *r = &b->parts[chunk * b->n_bridges + j];
        const uint64_t begin = w->s->timeline ? rgi_now() : 0;
        const rg_status status = w->failed ? RG_OK : rgi_rows_part(e, r, thread, team, w->scratch, w->t);
        if (w->s->timeline)
            rgi_timeline_note(w->s->timeline, w->self, b->bridges[j], begin, 0);
        if (status) {
            rgi_tell_node(w->p->program, b->bridges[j], w->failures, status);
            rgi_walker_fail(w, status);
        }
        if (together)
            rgi_meet(w);
    }
}

void rgi_branch_goes_on(rgi_walker *w, size_t done)
{
    rgi_branch *const b = w->branch;
    const rgi_exec *loop = &w->s->steps[b->loop];
    if (!b->chunk || (done % b->chunk && done != loop->trips))
        return;
    if (!loop->parallel || w->thread == 0)
        rgi_say_progress(b, done);
    if (!b->leader || done == loop->trips)
        return;
    const size_t next = done + b->chunk < loop->trips ? done + b->chunk : loop->trips;
    rgi_wait_for(w, b->leader, next);
    cross(w, b, done / b->chunk);
}
