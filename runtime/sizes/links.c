/* links.c - the pointers of a specialisation's steps, each a link to the memory it follows. */
#include "steps.h"

#include <string.h>

/* *at = `bytes` into where number `from` of a kind is; for the slab, or what a step has of its own, `from` into it. */
static bool add_link_of(rgi_special *s, rgi_origin origin, uint32_t step, const void *at, size_t from, size_t bytes)
{
    rgi_links **const list = &s->links[origin];
    if (!*list || (*list)->n == RGI_LINKS || (origin == RGI_FROM_OWN && (*list)->step != step)) {
        rgi_links *more = rgi_arena_take(&s->arena, sizeof *more);
        if (!more)
            return false;
        more->next = *list;
        more->n = 0;
        more->step = step;
        *list = more;
    }
    rgi_links *const l = *list;
    l->at[l->n] = (const void **)(uintptr_t)at;
    l->bytes[l->n] = bytes;
    l->from[l->n++] = from;
    return true;
}

static bool add_link(rgi_special *s, rgi_origin origin, const void *at, size_t from)
{
    return add_link_of(s, origin, 0, at, from, 0);
}

/* *at = so many bytes into a step's own memory, see rgi_group_link. */
static bool add_own(rgi_special *s, const void *at, size_t own, size_t bytes)
{
    return s->lasting ? add_link_of(s, RGI_FROM_OWN, (uint32_t)own, at, bytes, 0)
                      : add_link(s, RGI_FROM_SLAB, at, own + bytes);
}

/* Makes *at follow the memory of value v; of a window, if it is given, where its first row begins. */
static bool link_window(rg_plan *p, rgi_special *s, int32_t v, const rg_window *w, const void *at)
{
    const int32_t owner = rgi_owner(p->program, v);
    const rgi_value *o = &p->program->values[owner];
    const size_t begin =
        (p->program->n_pieces ? rgi_begin(p->program, s, v) : 0) + (w ? w->offset * p->program->values[v].size : 0);
    switch (o->place) {
    case RGI_SLAB:
        return s->lasting ? add_link_of(s, RGI_FROM_OWNER, 0, at, (size_t)owner, begin)
                          : add_link(s, RGI_FROM_SLAB, at, s->offsets[owner] + begin);
    case RGI_BOUND:
        return add_link_of(s, RGI_FROM_INPUT, 0, at, (size_t)o->slot, begin);
    case RGI_STORE:
        return add_link_of(s, RGI_FROM_STORE, 0, at, (size_t)o->slot, begin);
    case RGI_FIXED: /* no piece: that would be a constant itself */
        memcpy((void *)(uintptr_t)at, &o->fixed, sizeof o->fixed);
        return true;
    case RGI_VOID:
    case RGI_KEPT: /* kept.c */
        break;
    }
    return true;
}

static bool link_value(rg_plan *p, rgi_special *s, int32_t v, const void *at)
{
    return link_window(p, s, v, NULL, at);
}

/* Makes *at follow input i of an op, or an output, i = n_in on. */
static bool link_operand_of(rg_plan *p, rgi_special *s, const rg_step *step, uint32_t i, int32_t v, const void *at)
{
    return link_window(p, s, v, step->windows && i <= step->n_in ? step->windows[i] : NULL, at);
}

/* By how much a value moves from one step of its loop to the next. */
static intptr_t stride_of(const rg_plan *p, const rgi_special *s, int32_t v, int32_t loop)
{
    const rgi_program *prog = p->program;
    for (; prog->values[v].part_of != RGI_NONE; v = prog->values[v].part_of)
        if (prog->values[v].step_loop == loop) {
            const intptr_t bytes = (intptr_t)rgi_special_bytes(p, s, v);
            return prog->loops[loop].reverse ? -bytes : bytes;
        }
    return 0;
}

/* An operand of a group: its own address, and in a single block the pointer the op reads. */
static bool link_operand(rg_plan *p, rgi_special *s, int32_t loop, rgi_group *g, rgi_operand *o, int32_t v,
                         const void *pointer, size_t own)
{
    const bool memory = o->mode == RGI_MEMORY || o->mode == RGI_STREAM || o->mode == RGI_WINDOW;
    if (memory && (!g->single || o->mode == RGI_WINDOW) && !link_value(p, s, v, &o->at))
        return false;
    if (!g->single)
        return true;
    if (o->mode == RGI_MEMORY && o->terms) {
        rgi_shift *shift = &g->shifts[g->n_shifts++];
        *shift = (rgi_shift){.pointer = (const void **)(uintptr_t)pointer,
                             .terms = o->terms,
                             .ahead = stride_of(p, s, v, loop),
                             .bytes = g->elements * o->size};
        return link_value(p, s, v, &shift->at);
    }
    if (o->mode == RGI_MEMORY)
        return link_value(p, s, v, pointer);
    if (o->mode == RGI_BLOCK || o->mode == RGI_WINDOW)
        return add_own(s, pointer, own, o->slot);
    memcpy((void *)(uintptr_t)pointer, &o->at, sizeof o->at);
    return true;
}

bool rgi_group_link(rg_plan *p, rgi_special *s, const rgi_item *item, rgi_group *g, size_t own)
{
    for (size_t n = 0; n < g->n_spreads; n++)
        if (!link_value(p, s, g->spreads[n].value, &g->spreads[n].from.at))
            return false;
    for (size_t m = 0; m < g->n_members; m++) {
        const rgi_use *use = &p->program->uses[item->first + m];
        for (uint32_t i = 0; i < use->n_in; i++)
            if (use->in[i] != RGI_NONE && !link_operand(p, s, item->loop, g, &g->members[m].in[i], use->in[i],
                                                        g->single ? &g->members[m].step.in[i] : NULL, own))
                return false;
        if (!link_operand(p, s, item->loop, g, &g->members[m].out, use->out[0],
                          g->single ? g->members[m].step.out : NULL, own))
            return false;
    }
    return !g->single || add_own(s, &g->own, own, 0);
}

bool rgi_operands_link(rg_plan *p, rgi_special *s, const rgi_use *use, const rg_step *step)
{
    bool ok = true;
    for (uint32_t k = 0; ok && k < use->n_in; k++)
        ok = use->in[k] == RGI_NONE || link_operand_of(p, s, step, k, use->in[k], &step->in[k]);
    for (uint32_t k = 0; ok && k < use->n_out; k++)
        ok = link_operand_of(p, s, step, use->n_in + k, use->out[k], &step->out[k]);
    return ok;
}

bool rgi_steps_link(rg_plan *p, rgi_special *s, const rgi_extra *extra)
{
    bool ok = true;
    for (size_t i = 0; ok && i < s->n_steps; i++) {
        const rgi_item *item = &p->program->items[i];
        rgi_exec *e = &s->steps[i];
        if (e->kind == RGI_RUN) {
            const rgi_use *use = rgi_main_use(p->program, item);
            ok = e->lasts && !e->group ? rgi_lasting_link_step(p, s, i) : rgi_operands_link(p, s, use, &e->step);
            ok = ok && (!e->goes_on || add_link(s, RGI_FROM_SLAB, &e->step.in[2], extra[i].offset));
            for (uint32_t k = 0; ok && use->packed && k < use->n_in; k++)
                ok = use->packed[k] == RGI_NONE || !rgi_special_bytes(p, s, use->packed[k]) ||
                     link_value(p, s, use->packed[k], &e->packed[k]);
            ok = ok && add_link(s, RGI_FROM_SLAB, &e->step.shared, extra[i].offset);
            ok = ok && add_link(s, RGI_FROM_SLAB, &e->step.scratch, s->bytes);
            const rgi_item members = rgi_members_of(item);
            ok = ok && (!e->group ||
                        (e->lasts ? rgi_lasting_link(p, s, i, e->group) : rgi_group_link(p, s, &members, e->group, 0)));
        } else if (e->kind == RGI_FUSED) {
            e->own_at = extra[i].offset;
            ok = e->lasts ? rgi_lasting_link(p, s, i, e->group) : rgi_group_link(p, s, item, e->group, extra[i].offset);
        } else {
            ok = (item->from == RGI_NONE || link_operand_of(p, s, &e->step, e->input, item->from, &e->from)) &&
                 (item->to == RGI_NONE || link_value(p, s, item->to, &e->to));
        }
    }
    return ok;
}

/* Notes an address, and whether it is another one than before. */
static void note(const void **before, const void *now, bool *moved)
{
    *moved = *moved || *before != now;
    *before = now;
}

void rgi_links_set(const rgi_links *l, const void *const *base)
{
    for (; l; l = l->next)
        for (uint32_t i = 0; i < l->n; i++)
            *l->at[i] = l->bytes[i] ? (const char *)base[l->from[i]] + l->bytes[i] : base[l->from[i]];
}

void rgi_links_follow(rg_plan *p, rgi_special *s)
{
    const bool slab = s->slab != p->slab;
    for (const rgi_links *l = slab ? s->links[RGI_FROM_SLAB] : NULL; l; l = l->next)
        for (uint32_t i = 0; i < l->n; i++)
            *l->at[i] = p->slab + l->from[i];
    s->slab = p->slab;
    bool inputs = false, store = false;
    for (size_t i = 0; i < p->program->n_inputs; i++)
        note(&s->input_data[i], p->bindings[i].data, &inputs);
    for (size_t i = 0; i < p->n_stored; i++)
        note(&s->store_data[i], p->stored[i], &store);
    rgi_links_set(inputs ? s->links[RGI_FROM_INPUT] : NULL, s->input_data);
    rgi_links_set(store ? s->links[RGI_FROM_STORE] : NULL, s->store_data);
    rgi_lasting_follow(p, s, slab, inputs, store);
}
