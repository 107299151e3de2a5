/* lasting.c - steps that no named size reaches: updates of parameters, the cells of a recurrence whose time is named.
   They are the same for all sizes, but for where they lie in the slab: the plan makes them once, in memory of its own,
   and their pointers follow the specialisation that runs. Of single ops it has a copy of the step; groups are the
   plan's. */
#include "steps.h"

#include <string.h>

/* A group in the two forms that who does what asks for: one block with pointers of its own, or cut into parts. With a
   head or foot it is the latter. */
struct rgi_lasting {
    struct rgi_lasting *next; /* with a head or foot */
    size_t step;
    enum { UNKNOWN, CHANGES, STAYS } known;
    rgi_group *form[2]; /* by `single` */
    bool linked[2];
    rgi_exec *exec; /* of a step without a group, as it is made; linked[0] ... */
    rgi_extra extra;
    size_t scratch; /* ... and what it wants */
};

static bool shape_stays(const rgi_program *prog, int32_t v)
{
    return !prog->shapes[prog->values[v].shape]->named;
}

/* Whether sizes and strides of a value are always the same, and where in its owner it lies. */
static bool value_stays(const rgi_program *prog, int32_t v)
{
    bool stays = shape_stays(prog, v);
    for (int32_t u = v; stays && u != RGI_NONE; u = prog->values[u].part_of) {
        const rgi_value *value = &prog->values[u];
        stays = value->step_loop == RGI_NONE || (shape_stays(prog, u) && !value->packed && !value->slots);
        const rg_node *window = value->piece ? value->piece : u == v ? value->window : NULL;
        for (uint32_t i = 0; window && i < window->n_in; i++)
            stays = stays && !window->in[i]->shape->named;
        stays = stays && !(window && window->shape->named);
    }
    return stays;
}

static bool item_stays(const rgi_program *prog, const rgi_item *item)
{
    bool stays = true;
    for (uint32_t m = 0; stays && m < item->count; m++) {
        const rgi_use *use = &prog->uses[item->first + m];
        for (uint32_t k = 0; stays && k < use->n_out; k++)
            stays = value_stays(prog, use->out[k]);
        for (uint32_t i = 0; stays && i < use->n_in; i++)
            stays = use->in[i] == RGI_NONE ? !use->node->in[i]->shape->named : value_stays(prog, use->in[i]);
    }
    return stays;
}

/* What stands for a specialisation while something is made that outlives it. */
static rgi_special outlive(const rg_plan *p, const rgi_special *s)
{
    rgi_special all = {.arena = p->lasting_arena,
                       .shapes = s->shapes,
                       .counts = s->counts,
                       .packed = s->packed,
                       .slots = s->slots,
                       .offsets = s->offsets, /* of pieces */
                       .sizes = s->sizes,
                       .lasting = true};
    for (int i = 0; i < RGI_ORIGINS; i++)
        all.links[i] = p->lasting_links[i];
    return all;
}

/* Its memory and its links are the plan's. */
static void take_over(rg_plan *p, const rgi_special *all)
{
    p->lasting_arena = all->arena;
    for (int i = 0; i < RGI_ORIGINS; i++)
        p->lasting_links[i] = all->links[i];
}

static rgi_group *make(rg_plan *p, const rgi_special *s, size_t step)
{
    const rgi_item *item = &p->program->items[step], members = rgi_members_of(item);
    const rgi_use *use = rgi_main_use(p->program, item);
    rgi_special all = outlive(p, s);
    rgi_group *g =
        rgi_group_make(p, &all, &members, item->headed ? use->out[0] : RGI_NONE, item->footed ? use->in[0] : RGI_NONE);
    take_over(p, &all);
    return g;
}

static bool make_single(rg_plan *p, const rgi_special *s, rgi_group *g)
{
    rgi_special all = outlive(p, s);
    const bool ok = rgi_group_single(&all, g);
    take_over(p, &all);
    return ok;
}

/* Room for what lasts. False: out of memory. */
static bool make_room(rg_plan *p)
{
    if (!p->lasting)
        p->lasting = rgi_arena_alloc(&p->arena, (p->program->n_items + 1) * sizeof *p->lasting);
    return p->lasting;
}

bool rgi_lasting_step(rg_plan *p, rgi_special *s, size_t step, rgi_extra *extra, bool *lasts)
{
    const rgi_program *prog = p->program;
    const rgi_item *item = &prog->items[step];
    *lasts = false;
    if (item->kind != RGI_RUN || prog != p->base || !prog->graph->dims.n || s->in_strips)
        return true;
    if (!make_room(p))
        return false;
    rgi_lasting *l = &p->lasting[step];
    if (l->known == UNKNOWN)
        l->known = item_stays(prog, item) ? STAYS : CHANGES;
    if (l->known == CHANGES)
        return true;
    if (!l->exec) {
        rgi_special all = outlive(p, s);
        rgi_exec *const made = rgi_arena_alloc(&all.arena, sizeof *made);
        const bool ok = made && rgi_step_make(p, &all, step, made, &l->extra);
        take_over(p, &all);
        s->refused = all.refused;
        if (!ok)
            return false;
        made->lasts = true;
        l->scratch = all.scratch;
        l->exec = made;
    }
    rgi_exec *const e = &s->steps[step];
    memmove(e, l->exec, sizeof *e); /* a call: word by word it takes several times as long */
    *extra = l->extra;
    *lasts = true;
    s->scratch = l->scratch > s->scratch ? l->scratch : s->scratch;
    return rgi_packed_make(p, s, &prog->uses[item->first], e);
}

bool rgi_lasting_link_step(rg_plan *p, const rgi_special *s, size_t step)
{
    rgi_lasting *l = &p->lasting[step];
    if (l->linked[false])
        return true;
    const rgi_use *use = rgi_main_use(p->program, &p->program->items[step]);
    rgi_special all = outlive(p, s);
    l->linked[false] = rgi_operands_link(p, &all, use, &l->exec->step);
    take_over(p, &all);
    return l->linked[false];
}

bool rgi_lasting_find(rg_plan *p, const rgi_special *s, size_t step, rgi_group **out)
{
    const rgi_program *prog = p->program;
    *out = NULL;
    const bool turns = s->in_strips && prog->items[step].loop != RGI_NONE; /* strips move what is read otherwise */
    if (prog != p->base || !prog->graph->dims.n || turns)
        return true;
    if (!make_room(p))
        return false;
    rgi_lasting *l = &p->lasting[step];
    if (l->known == UNKNOWN) {
        const rgi_item members = rgi_members_of(&prog->items[step]);
        l->known = item_stays(prog, &members) ? STAYS : CHANGES;
    }
    if (l->known == CHANGES)
        return true;
    *out = l->form[true] ? l->form[true] : l->form[false];
    if (*out)
        return true;
    *out = l->form[false] = make(p, s, step);
    if (*out && (prog->items[step].headed || prog->items[step].footed)) {
        l->step = step;
        l->next = p->lasting_joined;
        p->lasting_joined = l;
    }
    return *out != NULL;
}

bool rgi_lasting_settle(rg_plan *p, const rgi_special *s, size_t step, bool single, rgi_group **group)
{
    rgi_lasting *l = &p->lasting[step];
    rgi_group *g = l->form[single];
    if (!g) { /* the other one takes this form, unless it is in use */
        const bool fresh = single && !l->linked[false];
        g = fresh ? l->form[false] : make(p, s, step);
        if (!g || (single && !make_single(p, s, g)))
            return false;
        l->form[single] = g;
        l->form[false] = fresh ? NULL : l->form[false];
    }
    *group = g;
    return true;
}

bool rgi_lasting_link(rg_plan *p, const rgi_special *s, size_t step, rgi_group *g)
{
    rgi_lasting *l = &p->lasting[step];
    if (l->linked[g->single])
        return true;
    const rgi_item members = rgi_members_of(&p->program->items[step]);
    rgi_special all = outlive(p, s);
    g->n_shifts = 0;
    l->linked[g->single] = rgi_group_link(p, &all, &members, g, step);
    take_over(p, &all);
    return l->linked[g->single];
}

static void follow_slab(const rg_plan *p, const rgi_special *s)
{
    for (const rgi_links *l = p->lasting_links[RGI_FROM_OWNER]; l; l = l->next)
        for (uint32_t i = 0; i < l->n; i++)
            *l->at[i] = p->slab + s->offsets[l->from[i]] + l->bytes[i];
    for (const rgi_links *l = p->lasting_links[RGI_FROM_OWN]; l; l = l->next)
        for (uint32_t i = 0; i < l->n; i++)
            *l->at[i] = p->slab + s->steps[l->step].own_at + l->from[i];
    for (const rgi_lasting *l = p->lasting_joined; l; l = l->next)
        l->form[false]->scratch_at = s->steps[l->step].own_at;
}

void rgi_lasting_follow(rg_plan *p, const rgi_special *s, bool slab, bool inputs, bool store)
{
    if (s->own)
        return;
    const bool other = p->lasting_follows != s;
    if (other || slab)
        follow_slab(p, s);
    rgi_links_set(other || inputs ? p->lasting_links[RGI_FROM_INPUT] : NULL, s->input_data);
    rgi_links_set(other || store ? p->lasting_links[RGI_FROM_STORE] : NULL, s->store_data);
    p->lasting_follows = s;
}
