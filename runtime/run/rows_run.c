/* rows_run.c - a step of a loop for the rows of one piece: the operands lie where those of all rows do, further on. */
#include "../schedule/rows.h"
#include "../schedule/soon.h"
#include "exec.h"

static const void *operand(const rgi_exec *e, const rgi_row_step *r, uint32_t i, const int64_t *t)
{
    const void *at = i < r->step.n_in ? e->step.in[i] : e->step.out[0];
    return at ? (const char *)rgi_at(at, e->terms ? e->terms[i] : NULL, t) + r->moved[i] : NULL;
}

static rg_status run_op(const rgi_exec *e, const rgi_row_step *r, size_t lo, size_t hi, const rg_soon *soon,
                        char *scratch, const int64_t *t)
{
    const void *in[RGI_ROW_INPUTS];
    rg_step s = r->step;
    for (uint32_t i = 0; i < s.n_in; i++)
        in[i] = operand(e, r, i, t);
    void *out = (void *)(uintptr_t)operand(e, r, s.n_in, t);
    s.in = in;
    s.out = &out;
    s.scratch = scratch;
    s.soon = soon;
    return lo < hi ? s.op->run(&s, lo, hi) : RG_OK;
}

static rg_status copy(const rgi_exec *e, const rgi_row_step *r, char *scratch, const int64_t *t)
{
    rgi_exec some = *e;
    some.from = (const char *)e->from + r->first;
    some.to = (char *)e->to + r->first;
    some.bytes = r->count;
    some.tasks[0] = 1;
    return rgi_run_tasks(&some, 0, 0, 1, scratch, t);
}

rg_status rgi_rows_run(const rgi_exec *loop, size_t piece, size_t step, char *scratch, const int64_t *t)
{
    const rgi_exec *e = loop + 1 + step;
    const rgi_row_step *r = &loop->rows->steps[piece * loop->rows->n_steps + step];
    rg_soon soon;
    if (e->kind == RGI_FUSED)
        return rgi_group_part(e->group, r->first, r->count, scratch, t);
    if (e->kind == RGI_COPY)
        return copy(e, r, scratch, t);
    return run_op(e, r, 0, r->tasks, e->soon ? rgi_soon_now(e->soon, loop, piece, t, &soon) : NULL, scratch, t);
}

rg_status rgi_rows_part(const rgi_exec *e, const rgi_row_step *r, size_t part, size_t parts, char *scratch,
                        const int64_t *t)
{
    if (e->kind == RGI_RUN)
        return run_op(e, r, r->tasks * part / parts, r->tasks * (part + 1) / parts, NULL, scratch, t);
    return part == 0 ? rgi_group_part(e->group, r->first, r->count, scratch, t) : RG_OK;
}
