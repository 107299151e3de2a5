/* kept.c - packed operands that a plan keeps from run to run: their memory, and making them again when the parameter
   has changed. In memory that the caller has lent there is no room for them. */
#include "../plan.h"

/* The number that changes whenever what is packed does, never 0. */
static uint64_t version_of(const rg_plan *p, int32_t v)
{
    const rgi_value *owner = &p->base->values[rgi_owner(p->base, v)];
    if (owner->place != RGI_STORE)
        return 1;
    return 1 + (p->private_copies[owner->slot] ? p->refreshed : p->store->at[owner->slot]->version);
}

static bool keep(rg_plan *p, rgi_kept *x, size_t bytes)
{
    if (x->room >= bytes)
        return true;
    const rg_allocator *a = &p->base->graph->allocator;
    char *at = a->alloc(a->user, bytes);
    if (!at)
        return false;
    if (x->at)
        rgi_free(a, x->at, x->room);
    p->kept_bytes += bytes - x->room;
    *x = (rgi_kept){.at = at, .room = bytes};
    return true;
}

rg_status rgi_kept_attach(rg_plan *p, rgi_special *s)
{
    const rgi_program *prog = p->base;
    for (size_t i = 0; i < prog->n_packed; i++) {
        const rgi_packing *x = &s->packed[i];
        if (prog->packed[i].loop != RGI_NONE || !x->bytes)
            continue;
        if (!p->lent && !keep(p, &p->kept[i], x->bytes))
            return rgi_fail(RG_ERR_MEMORY, "rg_run: out of memory for a packed operand of %zu bytes", x->bytes);
        x->step->packed[prog->packed[i].input] = p->lent ? NULL : p->kept[i].at;
    }
    return RG_OK;
}

void rgi_kept_renew(rg_plan *p)
{
    const rgi_program *prog = p->base;
    const rgi_special *s = p->current;
    for (size_t i = 0; i < prog->n_packed && p->kept_bytes; i++) {
        rgi_kept *x = &p->kept[i];
        const rgi_packing *made = &s->packed[i];
        const uint64_t version = version_of(p, prog->packed[i].from);
        if (!x->at || !made->bytes || (x->version == version && x->bytes == made->bytes))
            continue;
        const rg_step *step = &made->step->step;
        step->op->pack(step, prog->packed[i].input, step->in[prog->packed[i].input], x->at, 0, made->tasks);
        x->version = version;
        x->bytes = made->bytes;
    }
}

void rgi_kept_free(rg_plan *p)
{
    for (size_t i = 0; p->kept && i < p->base->n_packed; i++)
        if (p->kept[i].at) {
            rgi_free(&p->base->graph->allocator, p->kept[i].at, p->kept[i].room);
            p->kept[i] = (rgi_kept){0};
        }
    p->kept_bytes = 0;
}
