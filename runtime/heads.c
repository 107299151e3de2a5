/* heads.c - an op that delivers its output in blocks (a product) and the elementwise group that alone reads it become one
   unit where the group updates a parameter: the gradient is applied while it is in cache and never written. Smaller
   results stay in cache anyway, and are better passed on whole. */
#include "lower.h"

typedef struct reading {
    int32_t unit; /* the only unit that reads an owner's memory, or RGI_NONE */
    bool many;    /* more than one does, or somebody outside of units, or another view of it */
} reading;

static void note_read(const rgi_lowering *l, reading *by, int32_t v, int32_t unit)
{
    if (v == RGI_NONE)
        return;
    reading *r = &by[rgi_owner(l->p, v)];
    r->many =
        r->many || l->p->values[v].part_of != RGI_NONE || unit == RGI_NONE || (r->unit != RGI_NONE && r->unit != unit);
    r->unit = unit;
}

static void find_readers(const rgi_lowering *l, reading *by)
{
    const rgi_program *p = l->p;
    for (size_t v = 0; v < p->n_values; v++)
        by[v] = (reading){RGI_NONE, p->values[v].part_of != RGI_NONE};
    for (size_t i = 0; i < l->n_units; i++) {
        const rgi_unit *u = &l->units[i];
        note_read(l, by, u->from, RGI_NONE);
        for (size_t k = 0; k < u->n_uses; k++)
            for (uint32_t j = 0; j < u->uses[k].n_in; j++)
                note_read(l, by, u->uses[k].in[j], u->kind == RGI_FUSED ? (int32_t)i : RGI_NONE);
        for (size_t k = 0; k < u->n_body; k++)
            note_read(l, by, u->body[k].from, RGI_NONE);
    }
    for (size_t i = 0; i < p->n_uses; i++) /* in loops */
        for (uint32_t j = 0; j < p->uses[i].n_in; j++)
            note_read(l, by, p->uses[i].in[j], RGI_NONE);
    for (size_t i = 0; i < p->n_fetches; i++)
        note_read(l, by, p->fetches[i].value, RGI_NONE);
    for (size_t i = 0; i < p->n_writes; i++)
        note_read(l, by, p->writes[i].value, RGI_NONE);
}

/* Puts the unit in front of the group, as its head. */
static bool absorb(rgi_lowering *l, rgi_unit *head, rgi_unit *group)
{
    const rgi_use none = {0};
    if (!rgi_push(&l->temporary, (void **)&group->uses, &group->n_uses, &group->capacity, sizeof none, &none))
        return false;
    for (size_t k = group->n_uses; --k > 0;)
        group->uses[k] = group->uses[k - 1];
    group->uses[0] = head->uses[0];
    group->headed = true;
    head->n_uses = 0;
    return true;
}

bool rgi_absorb_heads(rgi_lowering *l, rgi_block *b)
{
    rgi_program *p = l->p;
    reading *by = rgi_arena_alloc(&l->temporary, (p->n_values + 1) * sizeof *by);
    bool *updates = rgi_arena_alloc(&l->temporary, l->n_units + 1); /* by unit: makes the new value of a parameter */
    if (!by || !updates)
        return false;
    find_readers(l, by);
    for (size_t i = 0; i < p->n_writes; i++)
        if (p->values[p->writes[i].value].unit != RGI_NONE)
            updates[p->values[p->writes[i].value].unit] = true;
    size_t kept = 0;
    for (size_t i = 0; i < b->n; i++) {
        rgi_unit *u = &l->units[b->units[i]];
        bool absorbed = false;
        if (u->kind == RGI_RUN && u->uses[0].node->op->traits & RG_DELIVERS && !p->opts.no_fuse && !p->opts.check) {
            const int32_t out = u->uses[0].out[0];
            const reading r = by[out];
            rgi_unit *group = r.many || r.unit == RGI_NONE ? NULL : &l->units[r.unit];
            if (group && updates[r.unit] && !group->headed && group->region == u->region &&
                group->shape == u->uses[0].node->shape) {
                if (!absorb(l, u, group))
                    return false;
                p->values[out].unit = r.unit;
                absorbed = true;
            }
        }
        if (!absorbed)
            b->units[kept++] = b->units[i];
    }
    b->n = kept;
    return true;
}
