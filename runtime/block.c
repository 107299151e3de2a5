/* block.c - a fused group of elementwise ops, block by block: each op's loop runs over the block while it is in cache. */
#include "evaluate.h"
#include "plan.h"

/* The address of an operand's element `first` (in memory) or of its block. */
static const void *address(const rgi_operand *o, size_t first, char *scratch, const int64_t *t)
{
    if (o->mode == RGI_BLOCK)
        return scratch + o->slot;
    if (o->mode == RGI_NUMBER)
        return o->at;
    return (const char *)rgi_at(o->at, o->terms, t) + first * o->size;
}

static rg_status run_single(const rgi_group *g)
{
    for (size_t i = 0; i < g->n_spreads; i++) {
        const rgi_spread *x = &g->spreads[i];
        rgi_broadcast_copy(x->from.at, &x->shape, &g->shape, x->from.size, 0, g->elements, g->own + x->slot);
    }
    for (size_t m = 0; m < g->n_members; m++) {
        const rg_step *s = &g->members[m].step;
        const rg_status status = s->op->run(s, 0, g->elements);
        if (status)
            return status;
    }
    return RG_OK;
}

rg_status rgi_group_run(const rgi_group *g, size_t lo, size_t hi, char *scratch, const int64_t *t)
{
    if (g->single)
        return run_single(g);
    for (size_t b = lo; b < hi; b++) {
        const size_t first = b * g->block, n = g->elements - first < g->block ? g->elements - first : g->block;
        for (size_t i = 0; i < g->n_spreads; i++) {
            const rgi_spread *x = &g->spreads[i];
            rgi_broadcast_copy(rgi_at(x->from.at, x->from.terms, t), &x->shape, &g->shape, x->from.size, first, n,
                               scratch + x->slot);
        }
        for (size_t k = 0; k < g->n_members; k++) {
            const rgi_member *m = &g->members[k];
            const void *in[RGI_MAX_ARITY];
            rg_step s = m->step;
            for (uint32_t i = 0; i < s.n_in; i++)
                in[i] = m->in[i].at || m->in[i].mode == RGI_BLOCK ? address(&m->in[i], first, scratch, t) : NULL;
            void *out = (void *)(uintptr_t)address(&m->out, first, scratch, t);
            s.in = in;
            s.out = &out;
            const rg_status status = s.op->run(&s, 0, n);
            if (status)
                return status;
        }
    }
    return RG_OK;
}
