/* room.c - what is read and written where it lies in something larger, as far as there is room for it.

   A join that products write into takes room from the first of its parts on; a whole that only readers of its parts
   keep takes that of all its parts until the last of them is read. Where something else is large meanwhile, and
   dense parts would take less, parts are dense: what is alive at most stays that of a program that copies, or close to
   it. Bytes are counted in an order made for that, with sizes as they are (where names stand for them, as their
   stand-ins are). */
#include "lower.h"

#include <string.h>

/* Beyond the bytes alive at most where all of it is copied: that part of them, or so many. */
#define RGI_ROOM 0.02
#define RGI_ROOM_LEAST (16 * 1024)

#define RGI_ROOM_UNITS 4000 /* looking at what is alive once for each of these is quadratic */

typedef struct room {
    rgi_lowering *l;
    rgi_block *b;
    size_t n;
    const int32_t *order; /* units */
    int32_t *made, *last; /* by value: where in the order it is made, and read last by others; or RGI_NONE */
    int32_t *home;        /* by value: the one in whose memory it lies */
    int32_t *from, *to;   /* by home: where its memory is in use */
    double *change;       /* by place in the order: bytes that are alive there and were not before */
} room;

/* An order of the units as they are now, which says nothing to those that order them in the end. */
static bool find_order(room *r)
{
    rgi_lowering *l = r->l;
    uint64_t *key = rgi_arena_alloc(&l->temporary, (r->n + 1) * sizeof *key);
    int32_t *order;
    if (!key)
        return false;
    for (size_t i = 0; i < r->n; i++)
        key[i] = l->units[r->b->units[i]].key;
    if (!rgi_order(l, r->b, &order))
        return false;
    for (size_t i = 0; i < r->n; i++)
        l->units[r->b->units[i]].key = key[i];
    r->order = order;
    return true;
}

static void note_read(room *r, int32_t v, int32_t at)
{
    if (v != RGI_NONE && r->made[v] != at)
        r->last[v] = at > r->last[v] ? at : r->last[v];
}

/* Where values are made and read last, and whose memory they lie in. False: out of memory. */
static bool find_lives(room *r)
{
    const rgi_program *p = r->l->p;
    rgi_arena *a = &r->l->temporary;
    int32_t *const place = rgi_arena_alloc(a, (r->l->n_units + 1) * sizeof *place);
    int32_t **const all[] = {&r->made, &r->last, &r->home, &r->from, &r->to};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (!(*all[i] = rgi_arena_alloc(a, (p->n_values + 1) * sizeof **all[i])))
            return false;
    r->change = rgi_arena_alloc(a, (r->n + 2) * sizeof *r->change);
    if (!place || !r->change)
        return false;
    for (size_t u = 0; u < r->l->n_units; u++)
        place[u] = RGI_NONE;
    for (size_t i = 0; i < r->n; i++)
        place[r->order[i]] = (int32_t)i;
    for (size_t v = 0; v < p->n_values; v++) {
        r->made[v] = p->values[v].unit == RGI_NONE ? RGI_NONE : place[p->values[v].unit];
        r->last[v] = RGI_NONE;
        r->home[v] = rgi_owner(p, (int32_t)v);
    }
    for (int32_t i = 0; i < (int32_t)r->n; i++) {
        const rgi_unit *u = &r->l->units[r->order[i]];
        note_read(r, u->from, i);
        for (size_t k = 0; k < u->n_uses; k++)
            for (uint32_t j = 0; j < u->uses[k].n_in; j++)
                note_read(r, u->uses[k].in[j], i);
        for (size_t k = 0; k < u->n_body; k++) {
            rgi_cursor c = {0, 0};
            for (int32_t v; (v = rgi_next_read(p, &u->body[k], &c)) != RGI_NONE;)
                note_read(r, v, i);
        }
    }
    for (size_t i = 0; i < p->n_fetches; i++)
        if (p->fetches[i].value != RGI_NONE)
            r->last[p->fetches[i].value] = (int32_t)r->n;
    return true;
}

/* The most bytes that are alive at once, with all values in the homes they have now. What elementwise ops make may lie
   where what they read ends. */
static double count(room *r)
{
    const rgi_program *p = r->l->p;
    for (size_t v = 0; v < p->n_values; v++)
        r->from[v] = r->to[v] = RGI_NONE;
    for (size_t v = 0; v < p->n_values; v++) {
        int32_t *const from = &r->from[r->home[v]], *const to = &r->to[r->home[v]];
        if (r->made[v] == RGI_NONE)
            continue;
        if (r->home[v] == (int32_t)v || p->values[v].part_of == RGI_NONE)
            *from = *from == RGI_NONE || r->made[v] < *from ? r->made[v] : *from;
        *to = r->last[v] > *to ? r->last[v] : *to;
    }
    memset(r->change, 0, (r->n + 2) * sizeof *r->change);
    for (size_t v = 0; v < p->n_values; v++) {
        if (r->from[v] == RGI_NONE || r->to[v] == RGI_NONE || p->values[v].place != RGI_SLAB)
            continue;
        const double bytes = rgi_value_bytes(p, (int32_t)v);
        const bool taken_over =
            r->to[v] < (int32_t)r->n && r->l->units[r->order[r->to[v]]].kind == RGI_FUSED && r->to[v] > r->from[v];
        r->change[r->from[v]] += bytes;
        r->change[r->to[v] + !taken_over] -= bytes;
    }
    double alive = 0, most = 0;
    for (size_t i = 0; i < r->n; i++) {
        alive += r->change[i];
        most = alive > most ? alive : most;
    }
    return most;
}

/* ---- parts of a whole that they alone keep */

static bool keeps_whole(const room *r, int32_t v)
{
    const rgi_value *value = &r->l->p->values[v];
    return value->keeps && value->part_of == rgi_owner(r->l->p, v) && r->made[v] != RGI_NONE;
}

/* Whether value x is a view of the window v, or v. */
static bool is_of(const rgi_program *p, int32_t x, int32_t v)
{
    return p->values[x].window == p->values[v].window && p->values[x].part_of == p->values[v].part_of;
}

/* Where a copy would be made of what is made at `made`: as soon as others are that were built behind its node. */
static int32_t copied_at(const room *r, int32_t made, const rg_node *node)
{
    int32_t at = made + 1;
    while (at < (int32_t)r->n && r->l->units[r->order[at]].key < node->id)
        at++;
    return at < (int32_t)r->n ? at : made;
}

/* All windows that keep their whole become dense, or lie in it again. */
static void set_windows(room *r, int32_t whole, bool dense)
{
    const rgi_program *p = r->l->p;
    for (size_t v = 0; v < p->n_values; v++) {
        if (p->values[v].part_of != whole || !keeps_whole(r, (int32_t)v))
            continue;
        for (size_t x = 0; x < p->n_values; x++)
            if (is_of(p, (int32_t)x, (int32_t)v))
                r->home[x] = dense ? (int32_t)v : whole;
        const int32_t made = r->made[whole];
        r->made[v] = dense ? copied_at(r, made, p->values[v].node) : made;
        r->last[whole] = r->made[v] > r->last[whole] ? r->made[v] : r->last[whole];
    }
}

/* A step that copies what was a window. */
static bool copy_window(rgi_lowering *l, rgi_block *b, int32_t v)
{
    rgi_program *p = l->p;
    const rg_node *const node = p->values[v].node;
    const int32_t whole = p->values[v].part_of;
    rgi_use use = {.node = node, .rank = l->n_ranks++, .n_in = node->n_in, .n_out = 1};
    use.in = rgi_arena_alloc(&p->arena, (use.n_in + 2) * sizeof *use.in);
    const rgi_unit unit = {.kind = RGI_RUN,
                           .level = rgi_level_of(l, whole) + 1,
                           .key = node->id,
                           .shape = node->shape,
                           .from = RGI_NONE,
                           .to = RGI_NONE,
                           .loop = RGI_NONE};
    const int32_t u = use.in ? rgi_unit_add(l, b, &unit) : RGI_NONE;
    if (u == RGI_NONE)
        return false;
    use.out = use.in + use.n_in;
    for (uint32_t i = 0; i < use.n_in; i++)
        use.in[i] = i ? RGI_NONE : whole; /* of the others such ops see the shape alone */
    use.out[0] = v;
    for (size_t x = 0; x < p->n_values; x++)
        if ((int32_t)x != v && is_of(p, (int32_t)x, v)) {
            p->values[x].part_of = v;
            p->values[x].window = NULL;
            p->values[x].unit = u;
        }
    p->values[v].part_of = RGI_NONE;
    p->values[v].window = NULL;
    p->values[v].keeps = false;
    p->values[v].unit = u;
    rgi_unit *const made = &l->units[u];
    return rgi_push(&l->temporary, (void **)&made->uses, &made->n_uses, &made->capacity, sizeof use, &use);
}

/* ---- joins that products write into */

static bool has_products(const rgi_lowering *l, const rgi_unit *join)
{
    bool any = false;
    for (uint32_t k = 0; k < join->uses[0].n_in; k++)
        any = any || l->units[l->p->values[join->uses[0].in[k]].unit].kind == RGI_RUN;
    return any;
}

static void set_join(room *r, const rgi_unit *join, bool placed)
{
    for (uint32_t k = 0; k < join->uses[0].n_in; k++)
        r->home[join->uses[0].in[k]] = placed ? join->uses[0].out[0] : join->uses[0].in[k];
}

/* ---- */

/* Wholes are kept, and then joins made in place, one after the other as long as there is room; `dense` says, by value,
   which windows are copied. */
static void choose(room *r, bool *dense)
{
    const rgi_program *p = r->l->p;
    rgi_unit *const units = r->l->units;
    for (size_t v = 0; v < p->n_values; v++)
        if (keeps_whole(r, (int32_t)v) && r->home[v] != (int32_t)v)
            set_windows(r, p->values[v].part_of, true);
    for (size_t i = 0; i < r->n; i++)
        if (units[r->order[i]].placed)
            set_join(r, &units[r->order[i]], !has_products(r->l, &units[r->order[i]]));
    const double copied = count(r), more = RGI_ROOM * copied,
                 most = copied + (more > RGI_ROOM_LEAST ? more : RGI_ROOM_LEAST);
    for (size_t v = 0; v < p->n_values; v++) {
        if (!keeps_whole(r, (int32_t)v) || dense[v] || r->home[v] != (int32_t)v)
            continue;
        const int32_t whole = p->values[v].part_of;
        set_windows(r, whole, false);
        if (count(r) <= most)
            continue;
        set_windows(r, whole, true);
        for (size_t x = 0; x < p->n_values; x++)
            dense[x] = dense[x] || (p->values[x].part_of == whole && keeps_whole(r, (int32_t)x));
    }
    for (size_t i = 0; i < r->n; i++) {
        rgi_unit *const u = &units[r->order[i]];
        if (!u->placed || !has_products(r->l, u))
            continue;
        set_join(r, u, true);
        u->placed = count(r) <= most;
        if (!u->placed)
            set_join(r, u, false);
    }
}

bool rgi_make_room(rgi_lowering *l, rgi_block *b)
{
    room r = {.l = l, .b = b, .n = b->n};
    bool any = false;
    for (size_t i = 0; i < b->n && !any; i++)
        any = l->units[b->units[i]].placed && has_products(l, &l->units[b->units[i]]);
    for (size_t v = 0; v < l->p->n_values && !any; v++)
        any = l->p->values[v].keeps;
    if (b->outer || !any || b->n > RGI_ROOM_UNITS)
        return true;
    bool *const dense = rgi_arena_alloc(&l->temporary, l->p->n_values + 1);
    if (!dense || !find_order(&r) || !find_lives(&r))
        return false;
    choose(&r, dense);
    for (size_t v = 0; v < l->p->n_values; v++)
        if (dense[v] && !copy_window(l, b, (int32_t)v))
            return false;
    if (b->n > r.n) {
        rgi_raise_levels(l);
        b->merged = true; /* units stand in the order of their levels */
    }
    return true;
}
