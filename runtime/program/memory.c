/* memory.c - who writes in place, what never leaves its block, and how long every owner of memory lives. */
#include "lower.h"

#include "../../ops/table_ops.h"

typedef struct settling {
    rgi_lowering *l;
    rgi_program *p;
    int32_t *made;      /* by value: the item that writes it first */
    int32_t *last_read; /* by owner: the last item that reads it, loops counted as a whole */
    int32_t *last_body; /* by owner that is a carry: the last item of its body that reads it */
} settling;

static bool encloses(const rgi_program *p, int32_t outer, int32_t inner)
{
    while (inner != outer && inner != RGI_NONE)
        inner = p->loops[inner].parent;
    return inner == outer;
}

/* The item at which an access from item i counts, seen from the loop an owner lives in: an access from a loop within is
   an access throughout that loop. */
static int32_t seen_at(const rgi_program *p, int32_t i, int32_t home, bool end)
{
    const rgi_item *item = &p->items[i];
    int32_t l = item->kind == RGI_LOOP || item->kind == RGI_NEXT ? p->loops[item->loop].parent : item->loop;
    while (l != RGI_NONE && !encloses(p, l, home)) {
        i = (int32_t)(end ? p->loops[l].end : p->loops[l].begin);
        l = p->loops[l].parent;
    }
    return i;
}

static bool is_carry(const rgi_value *v)
{
    return v->node->op == &rgi_op_scan_carry && v->part_of == RGI_NONE;
}

static void find_accesses(settling *s)
{
    rgi_program *p = s->p;
    for (size_t v = 0; v < p->n_values; v++)
        s->made[v] = s->last_read[v] = s->last_body[v] = RGI_NONE;
    for (int32_t i = 0; i < (int32_t)p->n_items; i++) {
        rgi_cursor c = {0, 0};
        for (int32_t v; (v = rgi_next_read(p, &p->items[i], &c)) != RGI_NONE;) {
            const int32_t o = rgi_owner(p, v), at = seen_at(p, i, p->values[o].loop, true);
            s->last_read[o] = at > s->last_read[o] ? at : s->last_read[o];
            if (is_carry(&p->values[o]) && encloses(p, p->values[o].loop, p->items[i].loop) && at > s->last_body[o])
                s->last_body[o] = at;
        }
        c = (rgi_cursor){0, 0};
        for (int32_t v; (v = rgi_next_write(p, &p->items[i], &c)) != RGI_NONE;)
            if (s->made[v] == RGI_NONE)
                s->made[v] = i;
    }
}

/* Whether item i may write `out` over the memory of `owner`: every read of the owner happens element by element, at or
   before the op that makes `out`. */
static bool reads_before_writing(const rgi_program *p, int32_t i, int32_t out, int32_t owner)
{
    const rgi_item *item = &p->items[i];
    if (item->kind != RGI_FUSED)
        return false;
    bool made = false;
    for (uint32_t k = 0; k < item->count; k++) {
        const rgi_use *use = &p->uses[item->first + k];
        const bool makes = use->out[0] == out;
        if (item->footed && makes && k + 1 == item->count)
            return false;
        for (uint32_t j = 0; j < use->n_in; j++) {
            if (use->in[j] == RGI_NONE || rgi_owner(p, use->in[j]) != owner)
                continue;
            bool whole = p->values[use->in[j]].shape == p->values[out].shape;
            for (int32_t v = use->in[j]; whole && v != owner; v = p->values[v].part_of)
                whole = p->values[v].step_loop == RGI_NONE && !p->values[v].window && !p->values[v].piece;
            if (made || !whole || (item->headed && k == 0) || (makes && !(use->node->op->traits & RG_INPLACE)))
                return false;
        }
        made = made || makes;
    }
    return made;
}

/* A value with memory of its own, made by one item of `loop`, that could as well be made elsewhere. */
static bool movable(const settling *s, int32_t v, int32_t loop)
{
    const rgi_program *p = s->p;
    const rgi_value *value = &p->values[v];
    return value->part_of == RGI_NONE && value->place == RGI_SLAB && value->loop == loop && !is_carry(value) &&
           s->made[v] != RGI_NONE && (p->items[s->made[v]].kind == RGI_RUN || p->items[s->made[v]].kind == RGI_FUSED);
}

/* The next value of a carry is computed where the carry lies, if nobody reads the old value any more. */
static void carries_in_place(settling *s)
{
    rgi_program *p = s->p;
    for (size_t i = 0; i < p->n_items; i++) {
        rgi_item *copy = &p->items[i];
        if (copy->kind != RGI_COPY || !is_carry(&p->values[copy->to]) || p->values[copy->to].loop != copy->loop)
            continue;
        const int32_t from = copy->from, h = copy->to;
        if (!movable(s, from, copy->loop) || s->made[from] < (int32_t)p->loops[copy->loop].test)
            continue; /* where the test fails the carry keeps its value */
        const int32_t made = s->made[from];
        if (s->last_body[h] < made || (s->last_body[h] == made && reads_before_writing(p, made, from, h))) {
            p->values[from].part_of = h;
            copy->from = copy->to = RGI_NONE;
        }
    }
}

static bool append(rgi_lowering *l, int32_t from, int32_t to)
{
    rgi_program *p = l->p;
    const rgi_item item = {.kind = RGI_COPY, .loop = RGI_NONE, .from = from, .to = to};
    return rgi_push(&p->arena, (void **)&p->items, &p->n_items, &l->item_capacity, sizeof item, &item);
}

/* The last item that may fail, or -1. */
static int32_t last_failing(const rgi_program *p)
{
    int32_t last = -1;
    for (size_t i = 0; i < p->n_items; i++)
        last = p->items[i].may_fail ? (int32_t)i : last;
    for (size_t k = 0; k < p->n_loops; k++)
        if (p->loops[k].scan->most && (int32_t)p->loops[k].end > last)
            last = (int32_t)p->loops[k].end;
    return last;
}

/* Assigned values are computed where the parameter lies, if nobody reads the old value any more and nothing can fail
   from then on; others are copied at the end, all sources that are parameters themselves being saved first: all change
   at once. */
static bool write_parameters(settling *s)
{
    rgi_lowering *l = s->l;
    rgi_program *p = s->p;
    const int32_t fails = last_failing(p);
    for (size_t k = 0; k < p->n_writes; k++) {
        const int32_t source = rgi_owner(p, p->writes[k].value);
        if (p->values[source].place == RGI_STORE)
            s->last_read[source] = INT32_MAX;
    }
    for (size_t k = 0; k < p->n_writes; k++) {
        rgi_write *w = &p->writes[k];
        const int32_t made = s->made[w->value], read = s->last_read[w->param];
        if (made > fails && movable(s, w->value, RGI_NONE) &&
            (read < made || (read == made && reads_before_writing(p, made, w->value, w->param)))) {
            p->values[w->value].part_of = w->param;
            w->in_place = true;
        }
    }
    for (size_t k = 0; k < p->n_writes; k++) {
        rgi_write *w = &p->writes[k];
        const int32_t source = rgi_owner(p, w->value);
        if (w->in_place || p->values[source].place != RGI_STORE || source == w->param)
            continue;
        const int32_t saved = rgi_value_new(l, p->values[w->value].node, RGI_SLAB);
        if (saved == RGI_NONE || !append(l, w->value, saved))
            return false;
        w->value = saved;
    }
    for (size_t k = 0; k < p->n_writes; k++) {
        const rgi_write *w = &p->writes[k];
        if (!w->in_place && rgi_owner(p, w->value) != w->param && !append(l, w->value, w->param))
            return false;
    }
    return true;
}

/* Takes out copies that became unnecessary. */
static void compact(rgi_program *p)
{
    size_t n = 0;
    for (size_t i = 0; i < p->n_items; i++) {
        const rgi_item item = p->items[i];
        if (item.kind == RGI_COPY && item.from == RGI_NONE)
            continue;
        if (item.kind == RGI_LOOP)
            p->loops[item.loop].begin = (uint32_t)n;
        if (item.kind == RGI_NEXT)
            p->loops[item.loop].end = (uint32_t)n;
        if (item.kind == RGI_TEST)
            p->loops[item.loop].test = (uint32_t)n;
        p->items[n++] = item;
    }
    p->n_items = n;
}

/* Whether a value is what the reduction behind a group makes, which has no block. */
static bool is_of_foot(const rgi_program *p, const rgi_item *item, int32_t v)
{
    return item->footed && p->uses[item->first + item->count - 1].out[0] == v;
}

/* Results of fused ops that only ops of the same item read stay in its blocks, as do those that nobody reads. */
static bool keep_in_blocks(settling *s)
{
    rgi_program *p = s->p;
    bool *escapes = rgi_arena_alloc(&s->l->temporary, p->n_values + 1);
    if (!escapes)
        return false;
    for (int32_t i = 0; i < (int32_t)p->n_items; i++) {
        rgi_cursor c = {0, 0};
        for (int32_t v; (v = rgi_next_read(p, &p->items[i], &c)) != RGI_NONE;) {
            const int32_t o = rgi_owner(p, v);
            if (o != v || s->made[o] != i)
                escapes[o] = true;
        }
    }
    for (size_t k = 0; k < p->n_fetches; k++)
        if (p->fetches[k].value != RGI_NONE)
            escapes[rgi_owner(p, p->fetches[k].value)] = true;
    for (size_t k = 0; k < p->n_writes; k++)
        escapes[rgi_owner(p, p->writes[k].value)] = true;
    for (size_t v = 0; v < p->n_values; v++) {
        rgi_value *value = &p->values[v];
        if (value->place == RGI_SLAB && value->part_of == RGI_NONE && s->made[v] != RGI_NONE && !escapes[v] &&
            p->items[s->made[v]].kind == RGI_FUSED && !is_of_foot(p, &p->items[s->made[v]], (int32_t)v))
            value->place = RGI_VOID;
    }
    return true;
}

/* Results of fused ops take over the memory of an operand that dies with them. */
static void reuse_operands(settling *s)
{
    rgi_program *p = s->p;
    for (int32_t i = 0; i < (int32_t)p->n_items; i++) {
        const rgi_item *item = &p->items[i];
        if (item->kind != RGI_FUSED)
            continue;
        for (uint32_t k = 0; k < item->count; k++) {
            const int32_t out = p->uses[item->first + k].out[0];
            if (p->values[out].place != RGI_SLAB || p->values[out].part_of != RGI_NONE ||
                p->uses[item->first + k].n_out != 1)
                continue;
            rgi_cursor c = {0, 0};
            for (int32_t v; (v = rgi_next_read(p, item, &c)) != RGI_NONE;) {
                const int32_t o = rgi_owner(p, v);
                const rgi_value *owner = &p->values[o];
                if (owner->place != RGI_SLAB || o == out || owner->fetched || owner->loop != item->loop ||
                    is_carry(owner) || s->made[o] == i || s->last_read[o] != i ||
                    rg_dtype_size(owner->dtype) != rg_dtype_size(p->values[out].dtype) ||
                    !reads_before_writing(p, i, out, o))
                    continue;
                p->values[out].part_of = o;
                s->last_read[o] = s->last_read[out] > i ? s->last_read[out] : i;
                p->values[o].fetched = p->values[out].fetched;
                break;
            }
        }
    }
}

static void touch(rgi_value *v, int32_t first, int32_t last)
{
    v->first = v->first == RGI_NONE || first < v->first ? first : v->first;
    v->last = last > v->last ? last : v->last;
}

static void find_lives(settling *s)
{
    rgi_program *p = s->p;
    for (int32_t i = 0; i < (int32_t)p->n_items; i++)
        for (int writes = 0; writes < 2; writes++) {
            rgi_cursor c = {0, 0};
            for (int32_t v;
                 (v = writes ? rgi_next_write(p, &p->items[i], &c) : rgi_next_read(p, &p->items[i], &c)) != RGI_NONE;) {
                const int32_t o = rgi_owner(p, v);
                const int32_t home = p->values[o].loop;
                touch(&p->values[o], seen_at(p, i, home, false), seen_at(p, i, home, true));
                if (is_carry(&p->values[o]))
                    touch(&p->values[o], (int32_t)p->loops[home].begin, (int32_t)p->loops[home].end);
            }
        }
    for (size_t k = 0; k < p->n_fetches; k++)
        if (p->fetches[k].value != RGI_NONE) {
            rgi_value *owner = &p->values[rgi_owner(p, p->fetches[k].value)];
            touch(owner, owner->first == RGI_NONE ? 0 : owner->first, (int32_t)p->n_items);
        }
}

static bool list_values(rgi_program *p)
{
    size_t pieces = 0;
    for (size_t v = 0; v < p->n_values; v++)
        pieces += p->values[v].piece != NULL;
    p->owners = rgi_arena_alloc(&p->arena, (p->n_values + 1) * sizeof *p->owners);
    p->pieces = rgi_arena_alloc(&p->arena, (pieces + 1) * sizeof *p->pieces);
    if (!p->owners || !p->pieces)
        return false;
    p->n_owners = p->n_pieces = 0;
    for (size_t v = 0; v < p->n_values; v++) {
        if (p->values[v].place == RGI_SLAB && p->values[v].part_of == RGI_NONE && p->values[v].first != RGI_NONE)
            p->owners[p->n_owners++] = (int32_t)v;
        if (p->values[v].piece)
            p->pieces[p->n_pieces++] = (int32_t)v;
    }
    return true;
}

bool rgi_settle(rgi_lowering *l)
{
    rgi_program *p = l->p;
    settling s = {.l = l, .p = p};
    const size_t room = p->n_values + p->n_writes + 1;
    s.made = rgi_arena_alloc(&l->temporary, room * sizeof *s.made);
    s.last_read = rgi_arena_alloc(&l->temporary, room * sizeof *s.last_read);
    s.last_body = rgi_arena_alloc(&l->temporary, room * sizeof *s.last_body);
    if (!s.made || !s.last_read || !s.last_body)
        return false;
    for (size_t k = 0; k < p->n_fetches; k++)
        if (p->fetches[k].value != RGI_NONE) {
            p->values[p->fetches[k].value].fetched = true;
            p->values[rgi_owner(p, p->fetches[k].value)].fetched = true;
        }
    compact(p);
    if (!rgi_mark_failing(l))
        return false;
    find_accesses(&s);
    if (!p->opts.check)
        carries_in_place(&s);
    if (!write_parameters(&s))
        return false;
    compact(p);
    find_accesses(&s);
    if (!keep_in_blocks(&s))
        return false;
    if (!p->opts.check) /* an anomaly is told with the operands it came from */
        reuse_operands(&s);
    if (!rgi_find_choices(l))
        return false;
    compact(p);
    find_lives(&s);
    return list_values(p);
}
