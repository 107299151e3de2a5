/* soon.c - what a loop reads after a product.

   The groups of a turn read rows of stacks and slices that nobody has touched for as long as the sequence is: they come
   from memory, or from a far cache, and a processor that follows a stream from its first lines on has little of so
   short ones. A product in front of them waits for numbers alone, so it can ask for these rows meanwhile. */
#include "../sizes/steps.h"
#include "soon.h"

#define RGI_SOON_FLOPS 1e6 /* of a product in whose time there is something to win */

/* A product, and long. */
static bool is_long(const rgi_exec *e)
{
    return e->kind == RGI_RUN && e->packed && e->flops >= RGI_SOON_FLOPS;
}

static bool is_known(const rgi_soon *x, int32_t value)
{
    for (uint32_t k = 0; k < x->n; k++)
        if (x->read[k].value == value)
            return true;
    return false;
}

/* The counter of a loop that an operand moves by, if it does: of all turns, or of those of a strip. */
static bool moves(const rgi_operand *o, uint32_t depth, uint8_t *counter)
{
    for (uint32_t k = 0; o->terms && k < o->terms->n; k++) {
        *counter = o->terms->depth[k];
        if (*counter == depth || *counter == RGI_TURN + depth)
            return true;
    }
    return false;
}

/* What group `step` of a loop reads that moves along with the turns; next: in the next one. */
static void add_reads(const rg_plan *p, const rgi_special *s, const rgi_loop *l, size_t step, bool next, rgi_soon *x)
{
    const rgi_group *g = s->steps[step].kind == RGI_FUSED ? s->steps[step].group : NULL;
    const rgi_exec *loop = &s->steps[l->begin];
    const rgi_item *item = &p->program->items[step];
    if (!g || g->single)
        return;
    for (size_t m = 0; m < g->n_members; m++)
        for (uint32_t i = 0; i < g->members[m].step.n_in && x->n < RG_SOON; i++) {
            const rgi_operand *o = &g->members[m].in[i];
            const int32_t value = p->program->uses[item->first + m].in[i];
            uint8_t counter;
            if (o->mode != RGI_MEMORY || o->spread || is_known(x, value) || !moves(o, loop->depth, &counter))
                continue;
            x->read[x->n].step = (uint32_t)step - l->begin - 1;
            x->read[x->n].value = value;
            x->read[x->n].operand = o;
            x->read[x->n].elements = g->elements;
            x->read[x->n].counter = counter;
            x->read[x->n].next = !next ? 0 : l->reverse ? -1 : 1;
            x->read[x->n++].ends = (int64_t)loop->trips;
        }
}

/* From a product on to the next one, perhaps itself, in the next turn. */
static bool find_reads(const rg_plan *p, rgi_special *s, int32_t loop, size_t product)
{
    const rgi_program *prog = p->program;
    const rgi_loop *l = &prog->loops[loop];
    rgi_soon x = {.n = 0}, *kept;
    bool next = false;
    for (size_t i = product + 1;; i++) {
        if (i == l->end) {
            i = l->begin + 1;
            next = true;
        }
        if (prog->items[i].loop != loop || is_long(&s->steps[i]))
            break;
        add_reads(p, s, l, i, next, &x);
    }
    if (!x.n)
        return true;
    s->steps[product].soon = kept = rgi_special_alloc(s, 1, sizeof *kept);
    if (kept)
        *kept = x;
    return kept;
}

bool rgi_soon_find(const rg_plan *p, rgi_special *s)
{
    for (size_t i = 0; i < s->n_steps; i++) {
        const int32_t loop = p->program->items[i].loop;
        if (loop != RGI_NONE && is_long(&s->steps[i]) && !find_reads(p, s, loop, i))
            return false;
    }
    return true;
}

/* By so many turns further than `t` says. */
static const char *later(const rgi_operand *o, uint8_t counter, int64_t turns, const int64_t *t)
{
    const char *at = rgi_at(o->at, o->terms, t);
    for (uint32_t k = 0; k < o->terms->n; k++)
        at += o->terms->depth[k] == counter ? turns * (int64_t)o->terms->stride[k] : 0;
    return at;
}

const rg_soon *rgi_soon_now(const rgi_soon *x, const rgi_exec *loop, size_t piece, const int64_t *t, rg_soon *out)
{
    out->n = 0;
    for (uint32_t k = 0; k < x->n; k++) {
        const rgi_operand *o = x->read[k].operand;
        const rgi_row_step *r = loop ? &loop->rows->steps[piece * loop->rows->n_steps + x->read[k].step] : NULL;
        const int64_t turn = t[x->read[k].counter] + x->read[k].next;
        if (turn < 0 || turn >= x->read[k].ends)
            continue;
        out->at[out->n] = later(o, x->read[k].counter, x->read[k].next, t) + (r ? r->first * o->size : 0);
        out->bytes[out->n++] = (r ? r->count : x->read[k].elements) * o->size;
    }
    return out;
}
