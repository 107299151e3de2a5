/* choice.c - branches of which one is taken: what the reverse pass keeps of one is never alive in a run that needs the
   other's, so both may lie at one place.

   A value belongs to a branch if all who touch it are steps in loops of this branch, forward and backward. Its zeros,
   written in front of the loop for runs that do not take it, nobody reads. */
#include "lower.h"

/* The loop right under `home` that item i is in, or NULL if it is in none. */
static const rgi_loop *branch_of(const rgi_program *p, size_t i, int32_t home)
{
    const rgi_item *item = &p->items[i];
    int32_t l = item->kind == RGI_LOOP || item->kind == RGI_NEXT ? p->loops[item->loop].parent : item->loop;
    if (l == home)
        return NULL;
    while (l != RGI_NONE && p->loops[l].parent != home)
        l = p->loops[l].parent;
    return l == RGI_NONE ? NULL : &p->loops[l];
}

typedef struct choosing {
    rgi_program *p;
    bool *elsewhere; /* by owner: touched outside of its branch too */
} choosing;

static void note(choosing *c, size_t i, int32_t v)
{
    rgi_program *p = c->p;
    const int32_t o = rgi_owner(p, v);
    rgi_value *owner = &p->values[o];
    const rgi_loop *loop = branch_of(p, i, owner->loop);
    const rg_scan *scan = loop ? loop->scan : NULL;
    if (!scan || !scan->choice || owner->packed ||
        (owner->choice && (owner->choice != scan->choice || owner->taken != scan->taken))) {
        c->elsewhere[o] = true;
        return;
    }
    owner->choice = scan->choice;
    owner->taken = scan->taken;
}

bool rgi_find_choices(rgi_lowering *l)
{
    rgi_program *p = l->p;
    choosing c = {p, rgi_arena_alloc(&l->temporary, p->n_values + 1)};
    if (!c.elsewhere)
        return false;
    for (size_t v = 0; v < p->n_values; v++)
        p->values[v].choice = NULL;
    for (size_t i = 0; i < p->n_items; i++) {
        rgi_cursor reads = {0, 0}, writes = {0, 0};
        for (int32_t v; (v = rgi_next_read(p, &p->items[i], &reads)) != RGI_NONE;)
            note(&c, i, v);
        for (int32_t v; p->items[i].kind != RGI_CLEAR && (v = rgi_next_write(p, &p->items[i], &writes)) != RGI_NONE;)
            note(&c, i, v);
    }
    for (size_t k = 0; k < p->n_fetches; k++)
        if (p->fetches[k].value != RGI_NONE)
            c.elsewhere[rgi_owner(p, p->fetches[k].value)] = true;
    for (size_t k = 0; k < p->n_writes; k++)
        c.elsewhere[rgi_owner(p, p->writes[k].value)] = true;
    for (size_t v = 0; v < p->n_values; v++)
        if (c.elsewhere[v])
            p->values[v].choice = NULL;
    for (size_t i = 0; i < p->n_items; i++)
        if (p->items[i].kind == RGI_CLEAR && p->values[rgi_owner(p, p->items[i].to)].choice) {
            p->items[i].kind = RGI_COPY; /* of nothing: taken out */
            p->items[i].to = RGI_NONE;
        }
    return true;
}
