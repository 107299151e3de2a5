/* absorb.c - an elementwise group takes in a neighbour that works block by block.

   A head is an op that delivers its output in blocks (a product) and that the group alone reads: the group takes each
   block while it is in cache, and the output is never written. So a gradient is applied to its parameter, and bias,
   activation, residual and scale to a convolution, and to a product that is known to be large; small ones stay in cache
   anyway, and are better passed on whole.
   A foot is an op that draws its only input piece by piece (a sum, a softmax) and is, beside the group, the only reader
   of what the group makes: that is then never written either. */
#include "lower.h"

#define RGI_FOOT_LEAST 8192    /* elements from which a foot is worth its calls ... */
#define RGI_HEAD_LEAST 1000000 /* ... and a head that makes no update: smaller results find room in caches */

typedef struct reading {
    int32_t unit; /* the only other unit that reads an owner's memory, or RGI_NONE */
    bool many;    /* more than one does, or somebody outside of units, or another view of it */
} reading;

static void note_read(const rgi_lowering *l, reading *by, int32_t v, int32_t unit)
{
    if (v == RGI_NONE || (unit != RGI_NONE && l->p->values[v].unit == unit))
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
                note_read(l, by, u->uses[k].in[j], (int32_t)i);
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

/* Moves the only op of unit `from` into the group, to its front or its end. */
static bool move_use(rgi_lowering *l, rgi_unit *from, int32_t group, bool front)
{
    rgi_unit *to = &l->units[group];
    const rgi_use use = from->uses[0];
    if (!rgi_push(&l->temporary, (void **)&to->uses, &to->n_uses, &to->capacity, sizeof use, &use)) {
        l->failed = true;
        return false;
    }
    for (size_t k = to->n_uses; front && --k > 0;)
        to->uses[k] = to->uses[k - 1];
    if (front)
        to->uses[0] = use;
    from->n_uses = 0;
    from->into = group + 1;
    l->block->merged = true;
    return true;
}

/* Whether the group may come to need the head's further results: who reads these must not stand before it. */
static bool needs_others(const rgi_lowering *l, const rgi_unit *u, const reading *by, int32_t group)
{
    bool needs = false;
    for (uint32_t k = 1; k < u->uses[0].n_out && !needs; k++) {
        const reading r = by[u->uses[0].out[k]];
        needs = r.many || r.unit == group || (r.unit != RGI_NONE && l->units[r.unit].level < l->units[group].level);
    }
    return needs;
}

/* Puts a unit behind the one that makes a value. */
static bool put_behind(const rgi_lowering *l, int32_t unit, int32_t v)
{
    const int32_t before = rgi_unit_of(l, v);
    rgi_unit *u = &l->units[unit];
    if (before == RGI_NONE || before == unit || l->units[before].region != u->region ||
        l->units[before].level < u->level)
        return false;
    u->level = l->units[before].level + 1;
    return true;
}

void rgi_raise_levels(rgi_lowering *l)
{
    const rgi_block *b = l->block;
    for (bool changed = true; changed;) {
        changed = false;
        for (size_t i = 0; i < b->n; i++) {
            const rgi_unit *u = &l->units[b->units[i]];
            changed = put_behind(l, b->units[i], u->from) || changed;
            for (size_t k = 0; k < u->n_uses; k++)
                for (uint32_t j = 0; j < u->uses[k].n_in; j++)
                    changed = put_behind(l, b->units[i], u->uses[k].in[j]) || changed;
            for (size_t k = 0; k < u->n_body; k++) {
                rgi_cursor c = {0, 0};
                for (int32_t v; (v = rgi_next_read(l->p, &u->body[k], &c)) != RGI_NONE;)
                    changed = put_behind(l, b->units[i], v) || changed;
            }
        }
    }
}

/* Sizes with names count as large, or as 1. */
static bool has_elements(const rg_node *node, int64_t least, bool named)
{
    const rg_shape *a = &node->shape->a, *b = &node->shape->b;
    int64_t n = 1;
    for (int32_t i = 0; i < a->rank && n > 0 && n < least; i++)
        n *= named || a->dim[i] == b->dim[i] ? a->dim[i] : 1;
    return n >= least;
}

/* `product`: for the sake of its size, or because it is one that may be followed; else for an update, or because it is
   light. */
static bool absorb_head(rgi_lowering *l, rgi_unit *u, const reading *by, const bool *updates, bool product)
{
    const reading r = by[u->uses[0].out[0]];
    const unsigned traits = u->uses[0].node->op->traits;
    if (!(traits & RG_DELIVERS) || r.many || r.unit == RGI_NONE)
        return false;
    const bool large = traits & RG_FOLLOWED || has_elements(u->uses[0].node, RGI_HEAD_LEAST, false);
    if (product ? !large : !(updates[r.unit] || traits & RG_LIGHT))
        return false;
    rgi_unit *group = &l->units[r.unit];
    if (group->kind != RGI_FUSED || group->headed || group->footed || group->region != u->region ||
        group->shape != l->p->values[u->uses[0].out[0]].node->shape || needs_others(l, u, by, r.unit) ||
        !move_use(l, u, r.unit, true))
        return false;
    group->headed = true;
    for (uint32_t k = 1; k < group->uses[0].n_out; k++)
        if (by[group->uses[0].out[k]].unit != RGI_NONE) {
            rgi_raise_levels(l); /* they stand behind the group that has taken it in */
            break;
        }
    return true;
}

static bool absorb_foot(rgi_lowering *l, rgi_unit *u, int32_t number, const reading *by)
{
    const rg_node *node = u->uses[0].node;
    const int32_t v = node->op->n_in == 1 ? u->uses[0].in[0] : RGI_NONE;
    if (v == RGI_NONE || l->p->values[v].unit == RGI_NONE || by[v].many || by[v].unit != number)
        return false;
    const rg_type in = {node->in[0]->dtype, node->in[0]->shape->a};
    rgi_unit *group = &l->units[l->p->values[v].unit];
    if (!node->op->draws || !node->op->draws(node->attr, &in) || !has_elements(node->in[0], RGI_FOOT_LEAST, true) ||
        group->kind != RGI_FUSED || group->headed || group->footed || group->region != u->region ||
        group->shape != node->in[0]->shape || !move_use(l, u, l->p->values[v].unit, false))
        return false;
    group->footed = true;
    group->key = node->id;
    return true;
}

bool rgi_absorb(rgi_lowering *l, rgi_block *b)
{
    rgi_program *p = l->p;
    if (p->opts.no_fuse || p->opts.check)
        return true;
    reading *by = rgi_arena_alloc(&l->temporary, (p->n_values + 1) * sizeof *by);
    bool *updates = rgi_arena_alloc(&l->temporary, l->n_units + 1); /* by unit: makes the new value of a parameter */
    if (!by || !updates)
        return false;
    find_readers(l, by);
    for (size_t i = 0; i < p->n_writes; i++)
        if (p->values[p->writes[i].value].unit != RGI_NONE)
            updates[p->values[p->writes[i].value].unit] = true;
    for (size_t i = 0; i < b->n; i++) {
        rgi_unit *u = &l->units[b->units[i]];
        if (u->kind == RGI_RUN && !absorb_head(l, u, by, updates, false))
            absorb_foot(l, u, b->units[i], by);
    }
    for (size_t i = 0; i < b->n && !p->opts.budget; i++) { /* with a budget what may be made again is kept apart */
        rgi_unit *u = &l->units[b->units[i]];
        if (u->kind == RGI_RUN && !u->into)
            absorb_head(l, u, by, updates, true);
    }
    return !l->failed;
}
