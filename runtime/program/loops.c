/* loops.c - scans as units: the values of their bodies' leaves, the items of a body, carries and stacks. */
#include "lower.h"

#include "../../ops/table_ops.h"

/* The next input of a node that is still to be lowered, or NULL. */
static const rg_node *missing_input(const rgi_lowering *l, const rg_node *node)
{
    if (rgi_stand_in(l, node) != node)
        return l->value_of[rgi_stand_in(l, node)->id] == RGI_NONE ? rgi_stand_in(l, node) : NULL;
    for (size_t i = 0; i < node->n_in; i++)
        if (rgi_reads(node->op, i) && !rgi_is_lowered(l, node->in[i]))
            return node->in[i];
    return NULL;
}

bool rgi_lower_ahead(rgi_lowering *l, const rg_node *node, uint64_t key)
{
    rgi_block *const block = l->block;
    const uint64_t before = l->ahead;
    const rg_node **waiting = NULL;
    size_t n = 0, capacity = 0;
    l->ahead = key;
    const rg_node *v = node;
    do {
        const rg_node *first = rgi_is_lowered(l, v) ? NULL : missing_input(l, v);
        if (first) {
            if (!rgi_push(&l->temporary, (void **)&waiting, &n, &capacity, sizeof v, &v))
                l->failed = true;
            v = first;
            continue;
        }
        l->block = block;
        while (l->block->outer && l->block->region != v->region) /* what it reads may stand further out */
            l->block = l->block->outer;
        l->failed = l->failed || !rgi_lower_node(l, v) || !rgi_is_lowered(l, v);
        v = n ? waiting[--n] : NULL;
    } while (v && !l->failed);
    l->ahead = before;
    l->block = block;
    return !l->failed;
}

/* The value of a node in front of loop `key`, whose place among the ids is behind it. */
static int32_t value_ahead(rgi_lowering *l, const rg_node *node, uint64_t key)
{
    const uint64_t before = l->ahead;
    if (!rgi_lower_ahead(l, node, key))
        return RGI_NONE;
    l->ahead = key;
    const int32_t value = rgi_value_in_memory(l, node);
    l->ahead = before;
    return value;
}

/* What of `whole` a turn of a loop sees, or all of it. */
static int32_t part_value(rgi_lowering *l, const rg_node *node, int32_t whole, int32_t loop)
{
    const int32_t v = rgi_value_within(l, node, whole);
    if (v == RGI_NONE)
        return v;
    l->p->values[v].step_loop = loop;
    l->p->values[v].loop = loop == RGI_NONE ? l->p->values[v].loop : loop;
    return v;
}

int32_t rgi_result_ahead(rgi_lowering *l, const rg_node *r)
{
    const rg_node *outside = rgi_result_outside(l, r);
    return outside ? part_value(l, r, value_ahead(l, outside, r->in[0]->id), RGI_NONE) : RGI_NONE;
}

/* Values of the leaves of a body, and of the results asked for. */
static bool enter_body(rgi_lowering *l, rg_scan *s, int32_t loop)
{
    rgi_program *p = l->p;
    for (size_t k = 0; k < s->results.n; k++) {
        const rg_node *r = s->results.at[k];
        if (!l->live[r->id] || rgi_projection_of(r)->last || rgi_result_outside(l, r))
            continue;
        const int32_t stack = rgi_value_new(l, r, RGI_SLAB);
        l->value_of[r->id] = stack;
        if (stack != RGI_NONE && rgi_is_kept_start(p, r)) {
            p->values[stack].shape = rgi_shape_number(l, rgi_projection_of(r)->of->shape);
            p->values[stack].slots = p->loops[loop].retrace;
        }
        if (!rgi_projection_of(r)->every)
            l->stack_of[rgi_projection_of(r)->of->id] = stack;
    }
    for (size_t j = 0; j < s->carries.n && !l->failed; j++) {
        const rg_node *leaf = s->carries.at[j];
        const int32_t h = l->live[leaf->id] ? rgi_value_new(l, leaf, RGI_SLAB) : RGI_NONE;
        if (h != RGI_NONE)
            p->values[h].loop = loop;
        l->value_of[leaf->id] = h;
    }
    for (size_t i = 0; i < s->xs.n && !l->failed; i++) {
        const rg_node *leaf = s->slices.at[i];
        if (!l->live[leaf->id] || rgi_stand_in(l, leaf) != leaf || rgi_walked_carry(p, leaf))
            continue;
        l->value_of[leaf->id] = part_value(l, leaf, rgi_value_in_memory(l, s->xs.at[i]), loop);
    }
    for (uint32_t id = l->region_first[s->region->id]; id != UINT32_MAX && !l->failed; id = l->region_next[id]) {
        const rg_node *node = rgi_node(l->g, id), *outside = rgi_outside(l, node);
        if (outside)
            l->value_of[id] = part_value(l, node, value_ahead(l, outside, s->node->id), loop);
    }
    for (size_t k = 0; k < s->results.n && !l->failed; k++) {
        const rg_node *r = s->results.at[k];
        if (!l->live[r->id] || !rgi_projection_of(r)->last)
            continue;
        const int32_t h = l->value_of[rgi_projection_of(r)->of->id], v = rgi_value_new(l, r, RGI_SLAB);
        if (v == RGI_NONE)
            return false;
        p->values[v].part_of = h;
        l->value_of[r->id] = v;
    }
    return !l->failed;
}

/* Stacks of what the body does not itself compute: copied in each step, the carries at its beginning, so that their
   next values may overwrite them. */
static bool copy_into_stacks(rgi_lowering *l, rg_scan *s, int32_t loop, bool carries, rgi_item **items, size_t *n,
                             size_t *capacity)
{
    rgi_program *p = l->p;
    for (size_t k = 0; k < s->results.n && !l->failed; k++) {
        const rg_node *r = s->results.at[k], *of = rgi_projection_of(r)->of;
        if (!l->live[r->id] || rgi_projection_of(r)->last || rgi_result_outside(l, r) ||
            carries != (of->op == &rgi_op_scan_carry && of->region == s->region))
            continue;
        const int32_t stack = l->value_of[r->id], from = rgi_value_in_memory(l, of);
        if (from != RGI_NONE && p->values[from].part_of == stack && p->values[from].step_loop == loop)
            continue;
        const int32_t to = rgi_value_new(l, of, RGI_SLAB);
        if (to == RGI_NONE || from == RGI_NONE)
            return false;
        p->values[to].part_of = stack;
        p->values[to].step_loop = loop;
        p->values[to].loop = loop;
        rgi_item_push(l,
                      &(rgi_item){.kind = RGI_COPY,
                                  .loop = loop,
                                  .from = from,
                                  .to = to,
                                  .every = rgi_is_kept_start(p, r) ? 0 : rgi_projection_of(r)->every,
                                  .checkpoint = rgi_is_kept_start(p, r) ? RGI_SAVE : RGI_NO_CHECKPOINT},
                      items, n, capacity);
    }
    return !l->failed;
}

/* A walk keeps its carries where the forward loop has kept them, which is where it begins from: `restore`, in front of
   loop `loop`, the present value of its carry j. */
static bool copy_checkpoint(rgi_lowering *l, const rgi_retrace *r, size_t j, int32_t loop, bool restore,
                            rgi_item **items, size_t *n, size_t *capacity)
{
    const rg_node *leaf = r->again->carries.at[j], *start = rgi_kept_start(r->forward, j);
    const int32_t h = l->value_of[leaf->id], home = restore ? l->p->loops[loop].parent : loop,
                  slot = part_value(l, leaf, l->value_of[start->id], home);
    return slot != RGI_NONE && rgi_item_push(l,
                                             &(rgi_item){.kind = RGI_COPY,
                                                         .loop = home,
                                                         .from = restore ? slot : h,
                                                         .to = restore ? h : slot,
                                                         .checkpoint = restore ? RGI_RESTORE : RGI_SAVE},
                                             items, n, capacity);
}

/* At the end of a step each carry takes its next value. Where that is another carry's present value, it is saved first:
   all carries change at once. */
static bool advance_carries(rgi_lowering *l, rg_scan *s, int32_t loop, rgi_item **items, size_t *n, size_t *capacity)
{
    rgi_program *p = l->p;
    for (int round = 0; round < 2 && !l->failed; round++)
        for (size_t j = 0; j < s->carries.n && !l->failed; j++) {
            const rg_node *leaf = s->carries.at[j], *next = s->nexts.at[j];
            if (!l->live[leaf->id] || next == leaf)
                continue;
            int32_t from = rgi_value_in_memory(l, next);
            const int32_t h = l->value_of[leaf->id], owner = rgi_owner(p, from);
            const bool of_carry =
                p->values[owner].node->op == &rgi_op_scan_carry && p->values[owner].node->region == s->region;
            if (of_carry && round == 0) {
                const int32_t saved = rgi_value_new(l, next, RGI_SLAB);
                if (saved == RGI_NONE)
                    return false;
                p->values[saved].loop = loop;
                rgi_item_push(l, &(rgi_item){.kind = RGI_COPY, .loop = loop, .from = from, .to = saved}, items, n,
                              capacity);
                l->stack_of[leaf->id] = saved; /* remembered for the second round */
            } else if (round == 1) {
                from = of_carry ? l->stack_of[leaf->id] : from;
                rgi_item_push(l, &(rgi_item){.kind = RGI_COPY, .loop = loop, .from = from, .to = h}, items, n,
                              capacity);
            }
        }
    return !l->failed;
}

/* The level of what a loop reads. */
static uint32_t level_before(rgi_lowering *l, const rg_node *node, const rgi_unit *unit)
{
    uint32_t level = 0;
    for (size_t i = 0; i < node->n_in; i++) {
        const uint32_t before = rgi_level_of(l, l->value_of[node->in[i]->id]);
        level = before > level ? before : level;
    }
    for (size_t k = 0; k < unit->n_body; k++) {
        rgi_cursor c = {0, 0};
        for (int32_t v; (v = rgi_next_read(l->p, &unit->body[k], &c)) != RGI_NONE;) {
            const uint32_t before = rgi_level_of(l, v);
            level = before > level ? before : level;
        }
    }
    return level;
}

bool rgi_lower_scan(rgi_lowering *l, const rg_node *node)
{
    rgi_program *p = l->p;
    rg_scan *s = rgi_scan_of(node);
    rgi_block *const outer = l->block;
    const int32_t parent = outer->loop, loop = (int32_t)p->n_loops,
                  depth = parent == RGI_NONE ? 0 : p->loops[parent].depth + 1;
    rgi_retracing as = 0;
    const rgi_retrace *retrace = rgi_retrace_of(p, s, &as);
    const bool again = retrace && as == RGI_AGAIN;
    const rgi_loop entry = {.scan = s,
                            .parent = parent,
                            .depth = depth,
                            .reverse = s->reverse,
                            .retrace = retrace ? (uint32_t)(retrace - p->retraces) + 1 : 0,
                            .as = as,
                            .held = l->held[s->region->id],
                            .length = rgi_shape_number(l, ((rg_node *)s->xs.at[0])->shape)};
    if (depth >= RGI_MAX_LOOPS) {
        rgi_compile_fail(l->g, RG_ERR_REGION, node, "rg_compile: scans nested more than %d deep", RGI_MAX_LOOPS);
        return false;
    }
    if (!rgi_push(&p->arena, (void **)&p->loops, &p->n_loops, &l->loop_capacity, sizeof entry, &entry))
        return false;
    rgi_unit unit = {.kind = RGI_LOOP, .key = node->id, .loop = loop, .from = RGI_NONE, .to = RGI_NONE};
    size_t capacity = 0;
    if (!enter_body(l, s, loop))
        return false;
    for (size_t j = 0; j < s->carries.n; j++) {
        const rg_node *leaf = s->carries.at[j];
        if (l->live[leaf->id] && again) {
            if (!copy_checkpoint(l, retrace, j, loop, true, &unit.body, &unit.n_body, &capacity))
                return false;
            continue;
        }
        if (l->live[leaf->id] && !rgi_item_push(l,
                                                &(rgi_item){.kind = RGI_COPY,
                                                            .loop = parent,
                                                            .from = rgi_value_in_memory(l, s->inits.at[j]),
                                                            .to = l->value_of[leaf->id]},
                                                &unit.body, &unit.n_body, &capacity))
            return false;
    }
    for (size_t k = 0; s->trips && k < s->results.n; k++) { /* not all steps are done */
        const rg_node *r = s->results.at[k];
        if (l->live[r->id] && !rgi_projection_of(r)->last &&
            !rgi_item_push(l,
                           &(rgi_item){.kind = RGI_CLEAR, .loop = parent, .from = RGI_NONE, .to = l->value_of[r->id]},
                           &unit.body, &unit.n_body, &capacity))
            return false;
    }
    const int32_t trips = s->trips ? rgi_value_in_memory(l, s->trips) : RGI_NONE;
    rgi_item_push(l, &(rgi_item){.kind = RGI_LOOP, .loop = loop, .from = trips, .to = RGI_NONE}, &unit.body,
                  &unit.n_body, &capacity);
    if (s->index && l->live[s->index->id]) {
        const int32_t index = rgi_value_new(l, s->index, RGI_SLAB);
        if (index == RGI_NONE)
            return false;
        p->values[index].loop = loop;
        l->value_of[s->index->id] = index;
        rgi_item_push(l, &(rgi_item){.kind = RGI_INDEX, .loop = loop, .from = RGI_NONE, .to = index}, &unit.body,
                      &unit.n_body, &capacity);
    }
    rgi_block inside = {.region = s->region, .loop = loop, .outer = outer};
    l->block = &inside;
    bool ok = copy_into_stacks(l, s, loop, true, &unit.body, &unit.n_body, &capacity);
    for (size_t j = 0; ok && again && j < s->carries.n; j++)
        ok = !l->live[((rg_node *)s->carries.at[j])->id] ||
             copy_checkpoint(l, retrace, j, loop, false, &unit.body, &unit.n_body, &capacity);
    l->block = outer;
    ok = ok && rgi_lower_region(l, s->region, loop, &unit.body, &unit.n_body, &capacity);
    l->block = &inside;
    ok = ok && copy_into_stacks(l, s, loop, false, &unit.body, &unit.n_body, &capacity);
    ok = ok && advance_carries(l, s, loop, &unit.body, &unit.n_body, &capacity);
    l->block = outer;
    rgi_item_push(l, &(rgi_item){.kind = RGI_NEXT, .loop = loop, .from = RGI_NONE, .to = RGI_NONE}, &unit.body,
                  &unit.n_body, &capacity);
    unit.level = level_before(l, node, &unit) + 1;
    const int32_t u = ok && !l->failed ? rgi_unit_add(l, outer, &unit) : RGI_NONE;
    for (size_t j = 0; u != RGI_NONE && j < s->carries.n; j++)
        if (l->live[((rg_node *)s->carries.at[j])->id])
            p->values[l->value_of[((rg_node *)s->carries.at[j])->id]].unit = u;
    for (size_t k = 0; u != RGI_NONE && k < s->results.n; k++) {
        const rg_node *r = s->results.at[k];
        if (l->live[r->id] && !rgi_result_outside(l, r)) /* the others are no business of the loop's */
            p->values[l->value_of[r->id]].unit = u;
    }
    return u != RGI_NONE;
}
