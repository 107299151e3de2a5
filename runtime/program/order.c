/* order.c - the order of a region's units: dependences first, then the order in which the graph was built; but what
   only leads to an update of a parameter comes as soon as the last reader of the old value is done, so that a gradient
   lives no longer than it must. */
#include "order.h"

#include <string.h>

static bool add_edge(rgi_edges *e, int32_t from_unit, uint32_t to)
{
    if (from_unit == RGI_NONE || e->position[from_unit] == RGI_NONE || (uint32_t)e->position[from_unit] == to)
        return true;
    const uint32_t from = (uint32_t)e->position[from_unit], number = (uint32_t)e->n, link = e->first[from];
    if (!rgi_push(&e->l->temporary, (void **)&e->next, &e->n, &e->capacity_next, sizeof link, &link) ||
        !rgi_push(&e->l->temporary, (void **)&e->to, &e->n_to, &e->capacity_to, sizeof to, &to))
        return false;
    e->first[from] = number;
    e->before[to]++;
    return true;
}

static bool add_value_edge(rgi_edges *e, int32_t value, uint32_t to)
{
    return value == RGI_NONE || add_edge(e, e->l->p->values[value].unit, to);
}

/* What a loop's test does not depend on waits for it. */
static bool test_edges(rgi_edges *e)
{
    const size_t n = e->b->n;
    int32_t test = RGI_NONE;
    for (size_t i = 0; i < n; i++)
        if (e->l->units[e->b->units[i]].kind == RGI_TEST)
            test = (int32_t)i;
    if (test == RGI_NONE)
        return true;
    bool *first = rgi_arena_alloc(&e->l->temporary, n + 1);
    if (!first)
        return false;
    first[test] = true;
    for (bool changed = true; changed;) {
        changed = false;
        for (size_t i = n; i-- > 0;)
            for (uint32_t k = e->first[i]; !first[i] && k != UINT32_MAX; k = e->next[k])
                changed = (first[i] = first[e->to[k]]) || changed;
    }
    for (size_t i = 0; i < n; i++)
        if (!first[i] && !add_edge(e, e->b->units[test], (uint32_t)i))
            return false;
    return true;
}

/* Calls for every value that a unit reads. */
static bool unit_edges(rgi_edges *e, uint32_t at)
{
    const rgi_lowering *l = e->l;
    const rgi_unit *u = &l->units[e->b->units[at]];
    bool ok = add_value_edge(e, u->from, at);
    for (size_t k = 0; k < u->n_uses; k++)
        for (uint32_t i = 0; ok && i < u->uses[k].n_in; i++)
            ok = add_value_edge(e, u->uses[k].in[i], at);
    for (size_t k = 0; ok && k < u->n_body; k++) {
        const rgi_item *item = &u->body[k];
        ok = add_value_edge(e, item->from, at);
        for (uint32_t j = 0; ok && j < item->count; j++)
            for (uint32_t i = 0; ok && i < l->p->uses[item->first + j].n_in; i++)
                ok = add_value_edge(e, l->p->uses[item->first + j].in[i], at);
    }
    return ok;
}

/* Takes down which parameters an op reads (but those its unit changes), and whether it may fail, at a place in the
   order. */
static void note_use(const rgi_edges *e, uint64_t key, const rgi_use *use, int32_t at, const int32_t *writer,
                     uint64_t *reader, uint64_t *fails)
{
    const rgi_program *p = e->l->p;
    if (rgi_may_fail(e->l, use->node, e->by_input)) {
        e->guarded[at] = true;
        *fails = key > *fails ? key : *fails;
    }
    for (uint32_t i = 0; i < use->n_in; i++) {
        const int32_t owner = use->in[i] == RGI_NONE ? RGI_NONE : rgi_owner(p, use->in[i]);
        if (owner == RGI_NONE || p->values[owner].place != RGI_STORE || writer[p->values[owner].slot] == at)
            continue;
        e->guarded[at] = true;
        uint64_t *last = &reader[p->values[owner].slot];
        *last = key > *last ? key : *last;
    }
}

/* What something other than an assignment wants, by place in the block. */
static void mark_kept(const rgi_edges *e, const bool *writes, bool *kept)
{
    const rgi_program *p = e->l->p;
    for (size_t i = 0; i < p->n_fetches; i++) {
        const int32_t at = rgi_made_at(e, p->fetches[i].value);
        if (at != RGI_NONE && !(p->fetches[i].node->op->traits & RG_EFFECT))
            kept[at] = true;
    }
    for (size_t i = e->b->n; i-- > 0;) {
        bool only_updates = writes[i];
        for (uint32_t k = e->first[i]; k != UINT32_MAX; k = e->next[k]) {
            only_updates = true;
            kept[i] = kept[i] || kept[e->to[k]];
        }
        kept[i] = kept[i] || !only_updates;
    }
}

/* Elementwise units that nothing but assignments want come as soon as what they read is there: for those that change
   parameters, once the last readers of these and every op that may fail are done. */
static bool place_updates(rgi_edges *e)
{
    rgi_lowering *l = e->l;
    rgi_program *p = l->p;
    const size_t n = e->b->n, slots = l->g->store->n;
    bool *kept = rgi_arena_alloc(&l->temporary, n + 1), *writes = rgi_arena_alloc(&l->temporary, n + 1);
    uint64_t *reader = rgi_arena_alloc(&l->temporary, (slots + 1) * sizeof *reader);
    int32_t *writer = rgi_arena_alloc(&l->temporary, (slots + 1) * sizeof *writer); /* by slot: place of the unit */
    uint64_t *wanted = rgi_arena_alloc(&l->temporary, (n + 1) * sizeof *wanted);
    uint64_t *ready = rgi_arena_alloc(&l->temporary, (n + 1) * sizeof *ready); /* when old values are out of use */
    e->by_input = rgi_arena_alloc(&l->temporary, (l->g->nodes.n + 1) * sizeof *e->by_input);
    e->built = rgi_arena_alloc(&l->temporary, (n + 1) * sizeof *e->built);
    e->guard = rgi_arena_alloc(&l->temporary, (n + 1) * sizeof *e->guard);
    e->guarded = rgi_arena_alloc(&l->temporary, (n + 1) * sizeof *e->guarded);
    if (!e->built || !e->guard || !e->guarded || !e->by_input || !kept || !writes || !reader || !writer || !wanted ||
        !ready)
        return false;
    for (size_t i = 0; i < slots; i++)
        writer[i] = RGI_NONE;
    for (size_t k = 0; k < p->n_writes; k++) {
        const int32_t at = rgi_made_at(e, p->writes[k].value);
        if (at == RGI_NONE)
            continue;
        writer[p->writes[k].entry->index] = at;
        writes[at] = true;
    }
    mark_kept(e, writes, kept);
    uint64_t fails = 0;
    for (size_t i = 0; i < n; i++) {
        const rgi_unit *u = &l->units[e->b->units[i]];
        for (size_t k = 0; k < u->n_uses; k++)
            note_use(e, u->key, &u->uses[k], (int32_t)i, writer, reader, &fails);
        for (size_t k = 0; k < u->n_body; k++) /* a loop may fail, and read any parameter */
        {
            for (uint32_t j = 0; j < u->body[k].count; j++)
                note_use(e, u->key, &p->uses[u->body[k].first + j], (int32_t)i, writer, reader, &fails);
            if (u->body[k].kind == RGI_TEST) {
                e->guarded[i] = true;
                fails = u->key > fails ? u->key : fails;
            }
        }
        e->built[i] = u->key;
    }
    for (size_t i = 0; i < slots; i++)
        if (writer[i] != RGI_NONE)
            ready[writer[i]] = reader[i] > ready[writer[i]] ? reader[i] : ready[writer[i]];
    for (size_t i = 0; i < n; i++) {
        rgi_unit *u = &l->units[e->b->units[i]];
        e->guard[i] = !writes[i] ? 0 : ready[i] > fails ? ready[i] : fails;
        if (!kept[i] && u->kind == RGI_FUSED)
            u->key = e->guard[i] > wanted[i] ? e->guard[i] : wanted[i];
        for (uint32_t k = e->first[i]; k != UINT32_MAX; k = e->next[k])
            wanted[e->to[k]] = u->key > wanted[e->to[k]] ? u->key : wanted[e->to[k]];
    }
    return true;
}

typedef struct heap {
    const rgi_edges *e;
    uint32_t *at;
    size_t n;
} heap;

static void heap_push(heap *h, uint32_t x)
{
    size_t i = h->n++;
    for (; i > 0 && rgi_wanted_before(h->e, x, h->at[(i - 1) / 2]); i = (i - 1) / 2)
        h->at[i] = h->at[(i - 1) / 2];
    h->at[i] = x;
}

static uint32_t heap_pop(heap *h)
{
    const uint32_t top = h->at[0], x = h->at[--h->n];
    size_t i = 0;
    for (size_t child; (child = 2 * i + 1) < h->n; i = child) {
        child += child + 1 < h->n && rgi_wanted_before(h->e, h->at[child + 1], h->at[child]);
        if (!rgi_wanted_before(h->e, h->at[child], x))
            break;
        h->at[i] = h->at[child];
    }
    h->at[i] = x;
    return top;
}

bool rgi_order(rgi_lowering *l, rgi_block *b, int32_t **order)
{
    const size_t n = b->n;
    rgi_edges e = {.l = l, .b = b};
    heap h = {.e = &e};
    e.position = rgi_arena_alloc(&l->temporary, (l->n_units + 1) * sizeof *e.position);
    e.first = rgi_arena_alloc(&l->temporary, (n + 1) * sizeof *e.first);
    e.before = rgi_arena_alloc(&l->temporary, (n + 1) * sizeof *e.before);
    h.at = rgi_arena_alloc(&l->temporary, (n + 1) * sizeof *h.at);
    uint32_t *places = rgi_arena_alloc(&l->temporary, (n + 1) * sizeof *places),
             *before = rgi_arena_alloc(&l->temporary, (n + 1) * sizeof *before);
    *order = rgi_arena_alloc(&l->temporary, (n + 1) * sizeof **order);
    if (!e.position || !e.first || !e.before || !h.at || !*order || !places || !before)
        return false;
    for (size_t i = 0; i < l->n_units; i++)
        e.position[i] = RGI_NONE;
    for (size_t i = 0; i < n; i++) {
        e.position[b->units[i]] = (int32_t)i;
        e.first[i] = UINT32_MAX;
    }
    for (size_t i = 0; i < n; i++)
        if (!unit_edges(&e, (uint32_t)i))
            return false;
    if (!test_edges(&e))
        return false;
    if (!b->outer && !place_updates(&e))
        return false;
    memcpy(before, e.before, n * sizeof *before);
    for (size_t i = 0; i < n; i++)
        if (before[i] == 0)
            heap_push(&h, (uint32_t)i);
    size_t placed = 0;
    while (h.n) {
        const uint32_t i = heap_pop(&h);
        places[placed++] = i;
        for (uint32_t k = e.first[i]; k != UINT32_MAX; k = e.next[k])
            if (--before[e.to[k]] == 0)
                heap_push(&h, e.to[k]);
    }
    if (!b->outer && placed == n && !rgi_order_lean(&e, places))
        return false;
    for (size_t i = 0; i < placed; i++)
        (*order)[i] = b->units[places[i]];
    return placed == n; /* always: ids are a topological order and levels forbid cycles through groups */
}
