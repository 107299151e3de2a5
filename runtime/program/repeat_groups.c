/* repeat_groups.c - what the groups of a block make again of each other's.

   Between two readings of a value that lie far apart it only takes room. If cheap ops made it, and what they made it
   from is there at the second reading anyway (the group reads it itself, or something behind it does), the group that
   reads it late applies them once more, block by block: it reads no more operands than before, and writes none. What is
   read by ops that are no members of groups, or lies in something else, is kept. What nobody reads then any more is not
   computed. */
#include "repeat.h"

#include <stdlib.h>
#include <string.h>

#define RGI_LATE 4      /* units between two readings from which a value is not kept for the second */
#define RGI_OPS_AGAIN 4 /* ops that are run again at most for one value */
#define RGI_READINGS 32 /* what more units read is kept: they would be looked through for each other */

/* Who reads a value, as a linked list of a block's units by their place in it. */
typedef struct reading {
    uint32_t place, next;
    bool dense; /* as an operand of an elementwise op */
} reading;

typedef struct placed {
    uint64_t key;
    uint32_t at;
} placed;

typedef struct repeating {
    rgi_lowering *l;
    rgi_block *b;
    int32_t *order;    /* units by place: the order they are wanted in */
    uint32_t *place;   /* by unit */
    uint32_t *first;   /* by value: its readings, or UINT32_MAX */
    int32_t *last;     /* by owner: the last place that reads it, or RGI_NONE */
    bool *pinned;      /* by owner: fetched, or an update of a parameter, or changed by one */
    bool *whole;       /* by owner: has parts */
    reading *readings; /* ... */
    size_t n, capacity;
    size_t n_values; /* those that were there before: what is made again lies in its unit alone, and has no entries */
} repeating;

/* What makes a value again in another unit: ops in the order in which they are run. */
typedef struct cone {
    const rgi_use *ops[RGI_OPS_AGAIN];
    size_t n;
    uint32_t reads; /* operands of full size that the unit would not read otherwise */
} cone;

static void note_reading(repeating *r, int32_t v, uint32_t place, bool dense)
{
    if (v == RGI_NONE)
        return;
    int32_t *const last = &r->last[rgi_owner(r->l->p, v)];
    *last = (int32_t)place > *last ? (int32_t)place : *last;
    const uint32_t before = r->first[v];
    if (before != UINT32_MAX && r->readings[before].place == place) {
        r->readings[before].dense = r->readings[before].dense && dense;
        return;
    }
    const reading x = {.place = place, .next = before, .dense = dense};
    r->first[v] = (uint32_t)r->n;
    if (!rgi_push(&r->l->temporary, (void **)&r->readings, &r->n, &r->capacity, sizeof x, &x))
        r->l->failed = true;
}

static void find_readings(repeating *r)
{
    for (uint32_t at = 0; at < r->b->n && !r->l->failed; at++) {
        const rgi_unit *u = &r->l->units[r->order[at]];
        note_reading(r, u->from, at, false);
        for (size_t k = 0; k < u->n_uses; k++)
            for (uint32_t j = 0; j < u->uses[k].n_in; j++)
                note_reading(r, u->uses[k].in[j], at, u->kind == RGI_FUSED);
        for (size_t k = 0; k < u->n_body; k++) {
            rgi_cursor c = {0, 0};
            for (int32_t v; (v = rgi_next_read(r->l->p, &u->body[k], &c)) != RGI_NONE;)
                note_reading(r, v, at, false);
        }
    }
}

static void pin(repeating *r, int32_t v)
{
    if (v != RGI_NONE) /* what is written has no value yet while loops in front of it are lowered */
        r->pinned[rgi_owner(r->l->p, v)] = true;
}

static void find_pinned(repeating *r)
{
    const rgi_program *p = r->l->p;
    for (size_t i = 0; i < p->n_fetches; i++)
        pin(r, p->fetches[i].value);
    for (size_t i = 0; i < p->n_writes; i++) {
        pin(r, p->writes[i].value);
        pin(r, p->writes[i].param);
    }
    const rg_scan *s = r->b->region->scan;
    for (size_t j = 0; s && j < s->nexts.n; j++) /* the next step's */
        pin(r, r->l->value_of[rgi_stand_in(r->l, s->nexts.at[j])->id]);
    for (size_t k = 0; s && k < s->results.n; k++) { /* copied into stacks when all units are there */
        const int32_t v = r->l->value_of[rgi_stand_in(r->l, rgi_projection_of(s->results.at[k])->of)->id];
        if (v != RGI_NONE && p->values[v].part_of == RGI_NONE)
            pin(r, v);
    }
}

/* The op that makes a value of this block elementwise, in its group's shape, or NULL. */
static const rgi_use *maker(const repeating *r, int32_t v)
{
    const rgi_value *value = &r->l->p->values[v];
    const int32_t number = value->unit;
    if (number == RGI_NONE || value->part_of != RGI_NONE || value->place != RGI_SLAB)
        return NULL;
    const rgi_unit *u = &r->l->units[number];
    if (u->region != r->b->region || u->kind != RGI_FUSED || u->shape != value->node->shape)
        return NULL;
    for (size_t k = 0; k < u->n_uses; k++)
        if (u->uses[k].out[0] == v)
            return &u->uses[k];
    return NULL;
}

static bool reads(const rgi_unit *u, int32_t v)
{
    for (size_t k = 0; k < u->n_uses; k++)
        for (uint32_t i = 0; i < u->uses[k].n_in; i++)
            if (u->uses[k].in[i] == v)
                return true;
    return false;
}

/* Whether a unit can read a value at no other cost than reading it: it is there then, whatever this unit does. *more:
   the unit would not read it otherwise. */
static bool is_there(const repeating *r, int32_t v, uint32_t place, bool *more)
{
    const rgi_program *p = r->l->p;
    const int32_t owner = rgi_owner(p, v);
    *more = false;
    if ((size_t)owner >= r->n_values)
        return false;
    const rgi_unit *u = &r->l->units[r->order[place]];
    if (reads(u, v))
        return true;
    *more = p->values[v].node->shape == u->shape;
    const rgi_place at = p->values[owner].place;
    if (at == RGI_FIXED || at == RGI_BOUND)
        return true;
    return !r->pinned[owner] && (at == RGI_STORE || r->last[owner] >= (int32_t)place) &&
           !(p->values[owner].node->op->traits & RG_LEAF && at == RGI_SLAB); /* a carry, which is overwritten */
}

/* Collects what makes v from what is there: ops of the shape that all members of the group have. */
static bool find_cone(const repeating *r, int32_t v, uint32_t place, cone *c, int depth)
{
    const rgi_use *op = maker(r, v);
    if (!op || depth == RGI_DEEP || !rgi_is_cheap(r->l, op->node) ||
        r->l->p->values[v].node->shape != r->l->units[r->order[place]].shape)
        return false;
    for (uint32_t i = 0; i < op->n_in; i++) {
        const int32_t w = op->in[i];
        bool more = false;
        if (w == RGI_NONE)
            continue;
        if (is_there(r, w, place, &more))
            c->reads += more;
        else if (!find_cone(r, w, place, c, depth + 1))
            return false;
    }
    for (size_t k = 0; k < c->n; k++)
        if (c->ops[k] == op)
            return true;
    if (c->n == RGI_OPS_AGAIN)
        return false;
    c->ops[c->n++] = op;
    return true;
}

static bool can_repeat(const repeating *r, int32_t v, const reading *x, cone *c)
{
    const rgi_unit *u = &r->l->units[r->order[x->place]];
    *c = (cone){.n = 0};
    return x->dense && u->shape == r->l->p->values[v].node->shape && r->l->p->values[v].unit != r->order[x->place] &&
           find_cone(r, v, x->place, c, 0) && c->reads <= 1 && u->n_uses + c->n <= RGI_GROUP_MEMBERS;
}

/* The ops of a cone, in front of the first that reads v in the unit, which reads the new value. */
static void insert(repeating *r, int32_t v, rgi_unit *u, int32_t number, const cone *c)
{
    rgi_lowering *const l = r->l;
    rgi_use *uses = rgi_arena_alloc(&l->temporary, (u->n_uses + c->n) * sizeof *uses);
    int32_t made[RGI_OPS_AGAIN] = {RGI_NONE};
    size_t n = 0, k = 0;
    bool reads = false;
    for (; uses && k < u->n_uses; k++) {
        for (uint32_t i = 0; !reads && i < u->uses[k].n_in; i++)
            reads = u->uses[k].in[i] == v;
        if (reads)
            break;
        uses[n++] = u->uses[k];
    }
    for (size_t m = 0; uses && m < c->n && !l->failed; m++) {
        rgi_use use = *c->ops[m];
        use.in = rgi_arena_alloc(&l->p->arena, (use.n_in + 1) * sizeof *use.in);
        made[m] = rgi_value_new(l, use.node, RGI_SLAB);
        if (!use.in || made[m] == RGI_NONE)
            break;
        use.out = use.in + use.n_in;
        use.out[0] = made[m];
        use.rank = u->uses[k].rank;
        l->p->values[made[m]].unit = number;
        l->p->values[made[m]].again = true;
        for (uint32_t i = 0; i < use.n_in; i++) {
            use.in[i] = c->ops[m]->in[i];
            for (size_t e = 0; e < m; e++)
                use.in[i] = use.in[i] == c->ops[e]->out[0] ? made[e] : use.in[i];
        }
        uses[n++] = use;
    }
    if (!uses || n != k + c->n) {
        l->failed = true;
        return;
    }
    for (; k < u->n_uses; k++) {
        for (uint32_t i = 0; i < u->uses[k].n_in; i++)
            u->uses[k].in[i] = u->uses[k].in[i] == v ? made[c->n - 1] : u->uses[k].in[i];
        uses[n++] = u->uses[k];
    }
    u->uses = uses;
    u->n_uses = u->capacity = n;
}

/* Where the unit stands that makes a value of this block. */
static uint32_t made_at(const repeating *r, int32_t v)
{
    return r->place[r->l->p->values[v].unit];
}

static void forget_reading(repeating *r, int32_t v, uint32_t place)
{
    int32_t last = RGI_NONE;
    for (uint32_t *k = &r->first[v]; *k != UINT32_MAX;) {
        reading *x = &r->readings[*k];
        if (x->place == place) {
            *k = x->next;
            continue;
        }
        last = (int32_t)x->place > last ? (int32_t)x->place : last;
        k = &x->next;
    }
    r->last[v] = last; /* v has memory of its own, and no parts that are read */
}

/* Makes v again in the unit of a reading, and says who reads what for it. */
static void repeat_at(repeating *r, int32_t v, uint32_t place, const cone *c)
{
    const int32_t number = r->order[place];
    insert(r, v, &r->l->units[number], number, c);
    forget_reading(r, v, place);
    for (size_t m = 0; m < c->n; m++)
        for (uint32_t i = 0; i < c->ops[m]->n_in; i++) {
            bool inner = c->ops[m]->in[i] == RGI_NONE;
            for (size_t e = 0; e < m; e++)
                inner = inner || c->ops[m]->in[i] == c->ops[e]->out[0];
            if (!inner)
                note_reading(r, c->ops[m]->in[i], place, true);
        }
}

/* The first place behind `from` that reads v, or UINT32_MAX. */
static uint32_t next_reading(const repeating *r, int32_t v, uint32_t from, uint32_t *which)
{
    uint32_t next = UINT32_MAX;
    for (uint32_t k = r->first[v]; k != UINT32_MAX; k = r->readings[k].next)
        if (r->readings[k].place > from && r->readings[k].place < next) {
            next = r->readings[k].place;
            *which = k;
        }
    return next;
}

/* Whether somebody wants v, which is made in a unit of this block. What was made again is read in its own unit
   alone. */
static bool is_wanted(const repeating *r, int32_t v)
{
    if ((size_t)v >= r->n_values)
        return reads(&r->l->units[r->l->p->values[v].unit], v);
    return r->pinned[v] || r->whole[v] || r->first[v] != UINT32_MAX;
}

/* Takes the op that makes v out of its group if nobody reads v any more, and those that made something for it alone. */
static void drop_unread(repeating *r, int32_t v)
{
    const rgi_use *op = v == RGI_NONE ? NULL : maker(r, v);
    if (!op || is_wanted(r, v) || rgi_can_fail(r->l, op->node->op))
        return;
    const int32_t number = r->l->p->values[v].unit;
    rgi_unit *const u = &r->l->units[number];
    const rgi_use gone = *op;
    const size_t at = (size_t)(op - u->uses);
    u->n_uses--;
    memmove(u->uses + at, u->uses + at + 1, (u->n_uses - at) * sizeof *u->uses);
    for (uint32_t i = 0; i < gone.n_in; i++) {
        const int32_t w = gone.in[i];
        if (w == RGI_NONE || reads(u, w))
            continue;
        if ((size_t)w < r->n_values && r->l->p->values[w].part_of == RGI_NONE && !r->whole[w])
            forget_reading(r, w, r->place[number]);
        drop_unread(r, w);
    }
}

/* Takes out the groups that have lost all their ops. */
static void drop_empty(const repeating *r)
{
    rgi_block *const b = r->b;
    size_t kept = 0;
    for (size_t i = 0; i < b->n; i++) {
        const rgi_unit *u = &r->l->units[b->units[i]];
        if (u->kind != RGI_FUSED || u->n_uses || u->placed)
            b->units[kept++] = b->units[i];
    }
    b->n = kept;
}

/* Makes v again for those that read it long after everybody else did, if all of them can have it so. */
static void consider(repeating *r, int32_t v)
{
    cone c;
    size_t readings = 0;
    for (uint32_t k = r->first[v]; k != UINT32_MAX && readings <= RGI_READINGS; k = r->readings[k].next)
        readings++;
    if (readings > RGI_READINGS)
        return;
    uint32_t which = 0, kept = made_at(r, v), at = kept, first = UINT32_MAX;
    while ((at = next_reading(r, v, at, &which)) != UINT32_MAX) {
        const reading x = r->readings[which];
        const bool late = first != UINT32_MAX || at - kept > RGI_LATE;
        if (late && can_repeat(r, v, &x, &c)) {
            first = at < first ? at : first;
        } else {
            kept = at;
            first = UINT32_MAX;
        }
    }
    if (first == UINT32_MAX)
        return;
    for (at = kept; !r->l->failed && (at = next_reading(r, v, at, &which)) != UINT32_MAX;) {
        const reading x = r->readings[which];
        if (can_repeat(r, v, &x, &c))
            repeat_at(r, v, at, &c);
    }
    const rg_node *node = r->l->p->values[v].node;
    rgi_note_repeat(r->l, node, node->shape);
    drop_unread(r, v);
}

/* Parts of a value, views and windows, are read in ways that are not looked into. */
static void pin_wholes(repeating *r)
{
    const rgi_program *p = r->l->p;
    for (size_t v = 0; v < p->n_values; v++)
        if (p->values[v].part_of != RGI_NONE)
            r->whole[rgi_owner(p, (int32_t)v)] = true;
}

static int by_key(const void *a, const void *b)
{
    const placed *x = a, *y = b;
    return x->key != y->key ? (x->key > y->key) - (x->key < y->key) : (x->at > y->at) - (x->at < y->at);
}

/* The order that the units are wanted in. */
static bool find_order(repeating *r)
{
    const rgi_block *b = r->b;
    placed *sorted = rgi_arena_alloc(&r->l->temporary, (b->n + 1) * sizeof *sorted);
    if (!sorted)
        return false;
    for (uint32_t i = 0; i < b->n; i++)
        sorted[i] = (placed){r->l->units[b->units[i]].key, i};
    qsort(sorted, b->n, sizeof *sorted, by_key);
    for (uint32_t i = 0; i < b->n; i++) {
        r->order[i] = b->units[sorted[i].at];
        r->place[r->order[i]] = i;
    }
    return true;
}

bool rgi_repeat_in_groups(rgi_lowering *l, rgi_block *b)
{
    repeating r = {.l = l, .b = b};
    const size_t n = r.n_values = l->p->n_values;
    if (!rgi_repeats(l) || b->n <= RGI_LATE)
        return true;
    r.order = rgi_arena_alloc(&l->temporary, (b->n + 1) * sizeof *r.order);
    r.place = rgi_arena_alloc(&l->temporary, (l->n_units + 1) * sizeof *r.place);
    r.first = rgi_arena_alloc(&l->temporary, (n + 1) * sizeof *r.first);
    r.last = rgi_arena_alloc(&l->temporary, (n + 1) * sizeof *r.last);
    r.pinned = rgi_arena_alloc(&l->temporary, 2 * (n + 1));
    if (!r.order || !r.place || !r.first || !r.last || !r.pinned || !find_order(&r))
        return false;
    r.whole = r.pinned + n + 1;
    for (size_t v = 0; v < n; v++) {
        r.first[v] = UINT32_MAX;
        r.last[v] = RGI_NONE;
    }
    find_readings(&r);
    find_pinned(&r);
    pin_wholes(&r);
    for (int32_t v = 0; v < (int32_t)n && !l->failed; v++)
        if (!r.pinned[v] && !r.whole[v] && r.first[v] != UINT32_MAX && maker(&r, v))
            consider(&r, v);
    drop_empty(&r);
    return !l->failed;
}
