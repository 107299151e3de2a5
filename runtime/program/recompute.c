/* recompute.c - values made again where they are needed late, instead of being kept until then: a program for a budget
   of memory.

   A value that is read long after it was read before leaves a gap in which it only takes room. A policy says which of
   these are dropped; the rest are checkpoints. When the first read behind the gap comes, the step that made a dropped
   value is repeated in front of it, and before that what it needs and is gone. All of this happens in the list of items
   before anything is written in place, so that what follows (memory.c) sees an ordinary program. A repeated step is the
   same op on the same values: the same bits. */
#include "recompute.h"

#include "../../ops/table_ops.h"
#include "lower.h"

#include <string.h>

#define RGI_GAP 4       /* items between two reads from which a value is worth dropping */
#define RGI_DEEPEST 512 /* what is gone is made again from what is gone, so often at most */

bool rgi_draft_keep(rgi_program *p)
{
    rgi_draft *d = rgi_arena_alloc(&p->arena, sizeof *d);
    if (!d)
        return false;
    *d = (rgi_draft){.n_values = p->n_values, .n_items = p->n_items};
    d->values = rgi_arena_alloc(&p->arena, (p->n_values + 1) * sizeof *d->values);
    d->items = rgi_arena_alloc(&p->arena, (p->n_items + 1) * sizeof *d->items);
    d->writes = rgi_arena_alloc(&p->arena, (p->n_writes + 1) * sizeof *d->writes);
    if (!d->values || !d->items || !d->writes)
        return false;
    memcpy(d->values, p->values, p->n_values * sizeof *d->values);
    memcpy(d->items, p->items, p->n_items * sizeof *d->items);
    if (p->n_writes)
        memcpy(d->writes, p->writes, p->n_writes * sizeof *d->writes);
    p->draft = d;
    return true;
}

/* What is known of an owner of memory. */
typedef struct life {
    int32_t made;     /* the item outside of loops that makes it, or RGI_NONE: it cannot be made again */
    int32_t last;     /* the last item that reads it */
    int32_t from, to; /* the reads around its widest gap */
    int32_t again;    /* the value that stands for it by now, or RGI_NONE */
    bool dropped, fixed;
} life;

typedef struct remaking {
    rgi_lowering *l;
    rgi_program *p;          /* the new program ... */
    const rgi_program *base; /* ... and what it is made from */
    const rgi_draft *d;
    const rgi_special *s;
    life *lives;
    int32_t *views; /* by value of the draft: its counterpart over `again`, or RGI_NONE */
    size_t n_items, item_capacity, use_capacity;
    rgi_item *items;
    bool failed;
} remaking;

static int32_t owner_of(const remaking *r, int32_t v)
{
    while (r->p->values[v].part_of != RGI_NONE)
        v = r->p->values[v].part_of;
    return v;
}

static size_t bytes_of(const remaking *r, int32_t v)
{
    return r->s->counts[r->p->values[v].shape] * rg_dtype_size(r->p->values[v].dtype);
}

/* Whether a step can be repeated: nothing but its results comes of it. */
static bool repeatable(const remaking *r, const rgi_item *item)
{
    bool ok = (item->kind == RGI_RUN || item->kind == RGI_FUSED) && item->loop == RGI_NONE;
    for (uint32_t k = 0; ok && k < item->count; k++) {
        const rg_op *op = r->base->uses[item->first + k].node->op;
        ok = !(op->traits & RG_EFFECT) && !rgi_can_fail(r->l, op);
    }
    return ok;
}

static void note_read(remaking *r, int32_t v, int32_t at)
{
    life *o = &r->lives[owner_of(r, v)];
    if (o->last != RGI_NONE && at - o->last > o->to - o->from) {
        o->from = o->last;
        o->to = at;
    }
    o->last = at > o->last ? at : o->last;
}

static void find_lives(remaking *r)
{
    const rgi_program *base = r->base;
    for (size_t v = 0; v < r->d->n_values; v++) {
        r->lives[v] = (life){.made = RGI_NONE, .last = RGI_NONE, .again = RGI_NONE};
        r->views[v] = RGI_NONE;
    }
    int32_t at = 0, open = 0; /* what is read in a loop is read at its beginning */
    for (int32_t i = 0; i < (int32_t)r->d->n_items; i++) {
        const rgi_item *item = &r->d->items[i];
        at = open ? at : i;
        open += (item->kind == RGI_LOOP) - (item->kind == RGI_NEXT);
        rgi_cursor c = {0, 0};
        for (int32_t v; (v = rgi_next_read(base, item, &c)) != RGI_NONE;)
            note_read(r, v, at);
        c = (rgi_cursor){0, 0};
        for (int32_t v; (v = rgi_next_write(base, item, &c)) != RGI_NONE;) {
            life *o = &r->lives[owner_of(r, v)];
            o->fixed = o->fixed || o->made != RGI_NONE || owner_of(r, v) != v || !repeatable(r, item) ||
                       r->p->values[v].place != RGI_SLAB;
            o->made = i;
            o->last = o->from = o->to = i;
        }
    }
    for (size_t k = 0; k < base->n_fetches; k++)
        if (base->fetches[k].value != RGI_NONE)
            r->lives[owner_of(r, base->fetches[k].value)].fixed = true;
    for (size_t k = 0; k < base->n_writes; k++)
        r->lives[owner_of(r, r->d->writes[k].value)].fixed = true;
    for (size_t v = 0; v < r->d->n_values; v++)
        r->lives[v].made = r->lives[v].fixed ? RGI_NONE : r->lives[v].made;
}

/* Whether a step needs only what is there at `at` anyway, and no product. */
static bool cheap(const remaking *r, const life *o)
{
    const rgi_item *item = &r->d->items[o->made];
    if (item->kind != RGI_FUSED || item->headed || item->footed)
        return false;
    rgi_cursor c = {0, 0};
    for (int32_t v; (v = rgi_next_read(r->base, item, &c)) != RGI_NONE;) {
        const int32_t q = owner_of(r, v);
        if (r->p->values[q].place == RGI_SLAB && r->lives[q].made != o->made && r->lives[q].last < o->to)
            return false;
    }
    return true;
}

/* Marks what is dropped. Checkpoints lie so far apart that `segments` parts of equal size are between them. */
static void choose(remaking *r, const rgi_policy *policy)
{
    const rgi_special *s = r->s;
    double all = 0, seen = 0, since = 0;
    for (size_t i = 0; i < 2; i++)
        for (size_t v = 0; v < r->d->n_values; v++) { /* values are numbered in the order in which they are made */
            life *o = &r->lives[v];
            if (o->made == RGI_NONE || o->to - o->from < RGI_GAP || s->counts[r->p->values[v].shape] == 0)
                continue;
            const double bytes = (double)bytes_of(r, (int32_t)v);
            if (i == 0) {
                all += bytes;
                continue;
            }
            seen += bytes;
            since += bytes;
            if (policy->cheap) {
                o->dropped = cheap(r, o);
            } else if (since * policy->segments >= all && policy->segments > 1) {
                since = 0;
            } else {
                o->dropped = seen <= policy->part * all;
            }
        }
}

/* ---- the new list of items ---- */

/* The value to read instead of v: the same view of what stands for its owner now. */
static int32_t present(remaking *r, int32_t v)
{
    const int32_t owner = owner_of(r, v), again = (size_t)owner < r->d->n_values ? r->lives[owner].again : RGI_NONE;
    if (again == RGI_NONE || (size_t)v >= r->d->n_values)
        return v;
    if (v == owner)
        return again;
    if (r->views[v] != RGI_NONE)
        return r->views[v];
    rgi_value copy = r->p->values[v];
    copy.part_of = present(r, copy.part_of);
    if (!rgi_push(&r->p->arena, (void **)&r->p->values, &r->p->n_values, &r->l->value_capacity, sizeof copy, &copy)) {
        r->failed = true;
        return v;
    }
    return r->views[v] = (int32_t)r->p->n_values - 1;
}

static bool push_use(remaking *r, const rgi_use *use)
{
    if (!rgi_push(&r->p->arena, (void **)&r->p->uses, &r->p->n_uses, &r->use_capacity, sizeof *use, use))
        r->failed = true;
    return !r->failed;
}

static bool push_item(remaking *r, const rgi_item *item)
{
    if (!rgi_push(&r->p->arena, (void **)&r->items, &r->n_items, &r->item_capacity, sizeof *item, item))
        r->failed = true;
    return !r->failed;
}

/* A use that reads what stands for its inputs now. */
static bool copy_use(remaking *r, const rgi_use *from, rgi_use *to)
{
    *to = *from;
    to->in = rgi_arena_alloc(&r->p->arena, (from->n_in + from->n_out + 1) * sizeof *to->in);
    if (!to->in) {
        r->failed = true;
        return false;
    }
    to->out = to->in + from->n_in;
    for (uint32_t i = 0; i < from->n_in; i++)
        to->in[i] = from->in[i] == RGI_NONE ? RGI_NONE : present(r, from->in[i]);
    memcpy(to->out, from->out, from->n_out * sizeof *to->out);
    return !r->failed;
}

static bool makes(const rgi_use *use, int32_t v)
{
    bool yes = false;
    for (uint32_t k = 0; k < use->n_out; k++)
        yes = yes || use->out[k] == v;
    return yes;
}

/* Marks the members of an item that `want` is made from. */
static void mark_needed(const remaking *r, const rgi_item *item, int32_t want, bool *needed)
{
    for (uint32_t k = item->count; k-- > 0;) {
        const rgi_use *use = &r->base->uses[item->first + k];
        needed[k] = makes(use, want);
        for (uint32_t j = k + 1; j < item->count && !needed[k]; j++)
            for (uint32_t i = 0; needed[j] && i < r->base->uses[item->first + j].n_in; i++)
                needed[k] = needed[k] || makes(use, r->base->uses[item->first + j].in[i]);
    }
}

/* Gives a use results of its own, which stand for those that it made before. */
static bool renew_results(remaking *r, rgi_use *use)
{
    for (uint32_t k = 0; k < use->n_out && !r->failed; k++) {
        const rgi_value copy = r->p->values[use->out[k]];
        const int32_t number = (int32_t)r->p->n_values;
        r->lives[use->out[k]].again = number;
        use->out[k] = number;
        if (!rgi_push(&r->p->arena, (void **)&r->p->values, &r->p->n_values, &r->l->value_capacity, sizeof copy, &copy))
            r->failed = true;
    }
    return !r->failed;
}

static void make_again(remaking *r, int32_t owner, int32_t at, int depth);

/* Has what an owned value needs at item `at`, made again if it is gone. */
static void want(remaking *r, int32_t v, int32_t at, int depth)
{
    const int32_t owner = owner_of(r, v);
    const life *o = &r->lives[owner];
    if (r->p->values[owner].place != RGI_SLAB || o->again != RGI_NONE || o->made == RGI_NONE || o->made >= at)
        return;
    if ((o->dropped && at >= o->to) ||
        (depth > 0 && (o->dropped ? at > o->from : o->last < at && o->to - o->from < RGI_GAP)))
        make_again(r, owner, at, depth + 1);
}

static void make_again(remaking *r, int32_t owner, int32_t at, int depth)
{
    const rgi_item *item = &r->d->items[r->lives[owner].made];
    bool *needed = depth < RGI_DEEPEST ? rgi_arena_alloc(&r->l->temporary, item->count + 1) : NULL;
    if (!needed) /* kept after all */
        return;
    mark_needed(r, item, owner, needed);
    for (uint32_t k = 0; k < item->count; k++)
        for (uint32_t i = 0; needed[k] && i < r->base->uses[item->first + k].n_in; i++) {
            const int32_t v = r->base->uses[item->first + k].in[i];
            if (v != RGI_NONE && r->lives[owner_of(r, v)].made != r->lives[owner].made)
                want(r, v, at, depth);
        }
    rgi_item again = *item;
    again.first = (uint32_t)r->p->n_uses;
    again.count = 0;
    again.footed = item->footed && needed[item->count - 1];
    again.headed = item->headed && needed[0];
    /* members read each other's new results, and only these: outputs that stand already are not touched */
    size_t results = 0;
    for (uint32_t k = 0; k < item->count; k++)
        results += r->base->uses[item->first + k].n_out;
    int32_t *saved = rgi_arena_alloc(&r->l->temporary, (results + 1) * sizeof *saved), *before = saved;
    for (uint32_t k = 0; saved && k < item->count && !r->failed; k++) {
        rgi_use use;
        const rgi_use *from = &r->base->uses[item->first + k];
        for (uint32_t j = 0; j < from->n_out; j++)
            *before++ = r->lives[from->out[j]].again;
        if (needed[k] && copy_use(r, from, &use) && renew_results(r, &use))
            again.count += push_use(r, &use);
    }
    before = saved;
    for (uint32_t k = 0; saved && k < item->count && !r->failed; k++)
        for (uint32_t j = 0; j < r->base->uses[item->first + k].n_out; j++, before++) {
            const int32_t v = r->base->uses[item->first + k].out[j];
            life *o = &r->lives[v];
            if (needed[k] && v != owner && !(o->dropped && at >= o->to))
                o->again = *before; /* a passing result: whoever wants the value finds it where it was */
        }
    r->failed = r->failed || !saved;
    if (again.headed && again.count == 1) { /* of a head's results only those beside what it delivers */
        again.headed = false;
        again.kind = RGI_RUN;
    }
    push_item(r, &again);
}

static bool rewrite(remaking *r)
{
    int32_t open = 0;
    for (int32_t i = 0; i < (int32_t)r->d->n_items && !r->failed; i++) {
        const rgi_item *item = &r->d->items[i];
        if (!open) /* what a loop reads is made before it begins */
            for (int32_t j = i, inside = 0; j == i || inside; j++) {
                const rgi_item *in = &r->d->items[j];
                inside += (in->kind == RGI_LOOP) - (in->kind == RGI_NEXT);
                rgi_cursor c = {0, 0};
                for (int32_t v; (v = rgi_next_read(r->base, in, &c)) != RGI_NONE;)
                    want(r, v, i, 0);
            }
        open += (item->kind == RGI_LOOP) - (item->kind == RGI_NEXT);
        rgi_item copy = *item;
        copy.from = item->count == 0 && item->from != RGI_NONE ? present(r, item->from) : item->from;
        copy.first = item->count ? (uint32_t)r->p->n_uses : item->first;
        for (uint32_t k = 0; k < item->count && !r->failed; k++) {
            rgi_use use;
            if (copy_use(r, &r->base->uses[item->first + k], &use))
                push_use(r, &use);
        }
        push_item(r, &copy);
    }
    return !r->failed;
}

void rgi_recompute_free(rgi_program *p)
{
    if (!p)
        return;
    const rg_allocator allocator = p->graph->allocator;
    rgi_arena_finish(&p->arena);
    rgi_free(&allocator, p, sizeof *p);
}

/* The parts of a program that settling changes, as they were before. */
static bool copy_draft(rgi_program *p, const rgi_draft *d)
{
    rgi_value *values = rgi_arena_alloc(&p->arena, (d->n_values + 1) * sizeof *values);
    rgi_write *writes = rgi_arena_alloc(&p->arena, (p->n_writes + 1) * sizeof *writes);
    rgi_loop *loops = rgi_arena_alloc(&p->arena, (p->n_loops + 1) * sizeof *loops);
    if (!values || !writes || !loops)
        return false;
    memcpy(values, d->values, d->n_values * sizeof *values);
    if (p->n_writes)
        memcpy(writes, d->writes, p->n_writes * sizeof *writes);
    if (p->n_loops)
        memcpy(loops, p->loops, p->n_loops * sizeof *loops);
    p->values = values;
    p->n_values = d->n_values;
    p->writes = writes;
    p->loops = loops;
    p->uses = NULL;
    p->n_uses = 0;
    p->items = NULL;
    p->n_items = 0;
    return true;
}

rgi_program *rgi_recompute(const rgi_program *base, const rgi_special *s, const rgi_policy *policy)
{
    const rg_allocator *a = &base->graph->allocator;
    rgi_program *p = rgi_alloc(a, sizeof *p);
    if (!p)
        return NULL;
    *p = *base;
    rgi_arena_init(&p->arena, *a);
    rgi_lowering l = {.p = p,
                      .g = base->graph,
                      .value_capacity = base->draft->n_values,
                      .shape_capacity = base->n_shapes,
                      .loop_capacity = base->n_loops,
                      .input_capacity = base->n_inputs};
    rgi_arena_init(&l.temporary, *a);
    remaking r = {.l = &l, .p = p, .base = base, .d = base->draft, .s = s};
    r.lives = rgi_arena_alloc(&l.temporary, (r.d->n_values + 1) * sizeof *r.lives);
    r.views = rgi_arena_alloc(&l.temporary, (r.d->n_values + 1) * sizeof *r.views);
    bool ok = r.lives && r.views && copy_draft(p, r.d) && rgi_list_built_in(&l);
    if (ok) {
        find_lives(&r);
        choose(&r, policy);
        ok = rewrite(&r);
    }
    if (ok) {
        p->items = r.items;
        p->n_items = r.n_items;
        l.item_capacity = r.item_capacity;
        ok = rgi_settle(&l);
    }
    rgi_arena_finish(&l.temporary);
    if (ok)
        return p;
    rgi_recompute_free(p);
    return NULL;
}
