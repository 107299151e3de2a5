/* groups_again.c - a fused group for further sizes, made from the same group at sizes known before. Which member reads
   what from where, which blocks it takes and what is a number follow from the program, but for what rgi_group_stays
   looks at; what remains are types, strides, windows and how large a block is. */
#include "steps.h"

#include <string.h>

bool rgi_group_stays(const rg_plan *p, const rgi_special *s, const rgi_item *item, const rgi_group *known)
{
    const rgi_program *prog = p->program;
    const uint32_t shape = prog->values[prog->uses[item->first].out[0]].shape;
    const size_t elements = s->counts[shape];
    if (known->fickle || !elements || !known->elements || (elements == 1) != (known->elements == 1) ||
        rgi_widths_past(elements) != known->past)
        return false;
    for (size_t i = 0; i < known->n_spreads; i++) {
        const rgi_value *value = &prog->values[known->spreads[i].value];
        if (!value->window && rg_shape_equal(s->shapes[value->shape], s->shapes[shape]))
            return false;
    }
    return true;
}

/* Types of a member that has those of the known one: shared with the members that it shared them with there. */
static bool take_types(rgi_special *s, const rgi_group *g, uint32_t shape, rg_step *step)
{
    const rg_type *known = step->in_type;
    const uint32_t n = step->n_in;
    if (!s->types[n].at || s->types[n].known != known) {
        rg_type *types = rgi_arena_take(&s->arena, (n + 1) * sizeof *types);
        for (uint32_t i = 0; types && i <= n; i++)
            types[i].dtype = known[i].dtype, types[i].shape = g->shape;
        s->types[n].at = types;
        s->types[n].shape = shape;
        s->types[n].known = known;
    }
    step->in_type = s->types[n].at;
    step->out_type = step->in_type ? step->in_type + n : NULL;
    return step->in_type != NULL;
}

/* What an operand has of sizes and of where it lies, for value v. */
static bool fit_operand(rg_plan *p, rgi_special *s, const rgi_group *g, const rgi_group *known, int32_t v,
                        rgi_operand *o)
{
    if (o->mode != RGI_NUMBER)
        o->at = NULL;
    if (g->slot != known->slot)
        o->slot = (uint32_t)(o->slot / known->slot * g->slot);
    if (o->terms && !rgi_terms_make(p, s, v, &o->terms))
        return false;
    return !o->window || (o->window = rgi_window_make(p, s, &p->program->values[v]));
}

static bool fit_members(rg_plan *p, rgi_special *s, const rgi_item *item, rgi_group *g, const rgi_group *known)
{
    const rgi_program *prog = p->program;
    const uint32_t shape = prog->values[prog->uses[item->first].out[0]].shape;
    rgi_operand *in = rgi_arena_take(&s->arena, (g->n_inputs + 1) * sizeof *in);
    g->members = rgi_arena_take(&s->arena, g->n_members * sizeof *g->members);
    if (!in || !g->members)
        return false;
    memcpy(in, known->members[0].in, g->n_inputs * sizeof *in);
    memcpy(g->members, known->members, g->n_members * sizeof *g->members);
    for (size_t m = 0; m < g->n_members; m++) {
        const rgi_use *use = &prog->uses[item->first + m];
        rgi_member *member = &g->members[m];
        member->in = in;
        in += use->n_in;
        member->step.in = NULL;
        member->step.out = NULL;
        if (!take_types(s, g, shape, &member->step))
            return false;
        for (uint32_t i = 0; i < use->n_in; i++)
            if (use->in[i] != RGI_NONE && !fit_operand(p, s, g, known, use->in[i], &member->in[i]))
                return false;
        if (!fit_operand(p, s, g, known, use->out[0], &member->out))
            return false;
    }
    return true;
}

static bool fit_spreads(rg_plan *p, rgi_special *s, rgi_group *g, const rgi_group *known)
{
    if (!g->n_spreads)
        return true;
    g->spreads = rgi_arena_take(&s->arena, g->n_spreads * sizeof *g->spreads);
    if (!g->spreads)
        return false;
    memcpy(g->spreads, known->spreads, g->n_spreads * sizeof *g->spreads);
    for (size_t i = 0; i < g->n_spreads; i++) {
        rgi_spread *x = &g->spreads[i];
        const rgi_value *value = &p->program->values[x->value];
        rgi_spread_fit(s, g, value, x);
        x->slot = x->slot / known->slot * g->slot;
        x->from.at = NULL;
        if ((x->from.terms && !rgi_terms_make(p, s, x->value, &x->from.terms)) ||
            (x->from.window && !(x->from.window = rgi_window_make(p, s, value))))
            return false;
    }
    return true;
}

rgi_group *rgi_group_again(rg_plan *p, rgi_special *s, const rgi_item *item, const rgi_group *known)
{
    const uint32_t shape = p->program->values[p->program->uses[item->first].out[0]].shape;
    rgi_group *g = rgi_special_alloc(s, 1, sizeof *g);
    if (!g)
        return NULL;
    g->shape = s->shapes[shape];
    g->elements = s->counts[shape];
    g->block = known->block;
    g->unit = known->unit;
    g->past = known->past;
    g->moved = known->moved;
    const size_t most = g->elements < g->block ? g->elements : g->block;
    g->slot = (most * g->unit + 63) / 64 * 64;
    g->scratch = known->scratch / known->slot * g->slot;
    g->n_members = known->n_members;
    g->n_inputs = known->n_inputs;
    g->n_spreads = known->n_spreads;
    g->windows = known->windows;
    g->streams = known->streams;
    return fit_spreads(p, s, g, known) && fit_members(p, s, item, g, known) ? g : NULL;
}
