/* units.c - the units of a region: single ops and fused groups of elementwise ops; and their order, as items. */
#include "lower.h"
#include "repeat.h"

#include "../../ops/table_ops.h"

#include <stdlib.h>

int32_t rgi_unit_of(const rgi_lowering *l, int32_t value)
{
    int32_t u = value == RGI_NONE ? RGI_NONE : l->p->values[value].unit;
    while (u != RGI_NONE && l->units[u].into)
        u = l->units[u].into - 1;
    return u;
}

static bool in_block(const rgi_lowering *l, int32_t unit)
{
    return l->units[unit].region == l->block->region;
}

uint32_t rgi_level_of(const rgi_lowering *l, int32_t value)
{
    const int32_t u = rgi_unit_of(l, value);
    return u != RGI_NONE && in_block(l, u) ? l->units[u].level : 0;
}

int32_t rgi_unit_add(rgi_lowering *l, rgi_block *b, const rgi_unit *unit)
{
    const int32_t number = (int32_t)l->n_units;
    rgi_unit placed = *unit;
    placed.region = b->region;
    if (rgi_push(&l->temporary, (void **)&l->units, &l->n_units, &l->unit_capacity, sizeof placed, &placed) &&
        rgi_push(&l->temporary, (void **)&b->units, &b->n, &b->capacity, sizeof number, &number))
        return number;
    l->failed = true;
    return RGI_NONE;
}

/* The values an op reads and makes. Numbers known everywhere stand for themselves in elementwise ops. */
static bool make_use(rgi_lowering *l, const rg_node *node, rgi_use *use)
{
    rgi_program *p = l->p;
    const bool elementwise = node->op->traits & RG_ELEMENTWISE;
    *use = (rgi_use){.node = node, .n_in = node->n_in, .n_out = (uint32_t)node->op->n_out};
    use->in = rgi_arena_alloc(&p->arena, (use->n_in + use->n_out + 1) * sizeof *use->in);
    if (!use->in) {
        l->failed = true;
        return false;
    }
    use->out = use->in + use->n_in;
    for (uint32_t i = 0; i < use->n_in; i++) {
        use->in[i] = RGI_NONE;
        if (!rgi_reads(node->op, i))
            continue;
        const int32_t v = l->value_of[node->in[i]->id];
        const int32_t scalar = elementwise && v != RGI_NONE ? p->values[v].scalar : RGI_NONE;
        const bool window = v != RGI_NONE && rgi_reads_window(l, node, i, v);
        use->in[i] = scalar != RGI_NONE ? scalar : window ? v : rgi_value_in_memory(l, node->in[i]);
    }
    use->rank = l->n_ranks++; /* behind those of inputs that were written out for it */
    return !l->failed;
}

/* The output values of an op; that of a stacked body node lies in the stack already. */
static bool make_outputs(rgi_lowering *l, const rg_node *node, rgi_use *use, int32_t unit)
{
    for (uint32_t k = 0; k < use->n_out; k++) {
        const rg_node *out = node;
        if (use->n_out > 1) {
            const rg_node *r = node->results;
            while (r && r->result != k)
                r = r->next_result;
            out = r ? r : node;
        }
        const int32_t v = rgi_value_new(l, out, RGI_SLAB);
        if (v == RGI_NONE)
            return false;
        rgi_value *value = &l->p->values[v];
        value->unit = unit;
        if (use->n_out == 1 && l->stack_of[node->id] != RGI_NONE) {
            value->part_of = l->stack_of[node->id];
            value->step_loop = l->block->loop;
        }
        use->out[k] = v;
        l->value_of[out->id] = v;
    }
    return true;
}

static uint32_t level_after(rgi_lowering *l, const rgi_use *use)
{
    uint32_t level = 0;
    for (uint32_t i = 0; i < use->n_in; i++) {
        const uint32_t before = use->in[i] == RGI_NONE ? 0 : rgi_level_of(l, use->in[i]);
        level = before > level ? before : level;
    }
    return level + 1;
}

bool rgi_merge_units(rgi_lowering *l, int32_t from, int32_t to)
{
    rgi_unit *a = &l->units[from], *b = &l->units[to];
    const size_t n = a->n_uses + b->n_uses;
    rgi_use *uses = rgi_arena_alloc(&l->temporary, n * sizeof *uses);
    if (!uses) {
        l->failed = true;
        return false;
    }
    for (size_t i = 0, j = 0; i + j < n;) {
        const bool first = j == b->n_uses || (i < a->n_uses && a->uses[i].rank < b->uses[j].rank);
        uses[i + j] = first ? a->uses[i] : b->uses[j];
        *(first ? &i : &j) += 1;
    }
    b->key = a->key > b->key ? a->key : b->key;
    b->uses = uses;
    b->n_uses = b->capacity = n;
    a->n_uses = 0;
    a->into = to + 1;
    l->block->merged = true;
    return true;
}

/* Groups that `use` reads become one where neither can depend on the other: an Adam step, whose moments are two chains
   of one gradient, passes over memory once. */
static void merge_groups(rgi_lowering *l, const rg_node *node, const rgi_use *use)
{
    int32_t to = RGI_NONE;
    for (uint32_t i = 0; i < use->n_in && !l->p->opts.no_fuse; i++) {
        const int32_t u = rgi_unit_of(l, use->in[i]);
        if (u == RGI_NONE || u == to || !in_block(l, u) || l->units[u].kind != RGI_FUSED ||
            l->units[u].shape != node->shape)
            continue;
        if (to == RGI_NONE)
            to = u;
        else if (l->units[u].level == l->units[to].level &&
                 l->units[u].n_uses + l->units[to].n_uses < RGI_GROUP_MEMBERS && !rgi_merge_units(l, u, to))
            return;
    }
}

typedef struct ranked {
    uint32_t level;
    int32_t unit;
} ranked;

static int by_level(const void *a, const void *b)
{
    const ranked *x = a, *y = b;
    return x->level != y->level ? (x->level > y->level) - (x->level < y->level)
                                : (x->unit > y->unit) - (x->unit < y->unit);
}

/* Takes out what has gone into other units, and says so to the values. What depends on another unit stands behind it
   again, as it did when units were made: its level is higher. */
static bool drop_merged(rgi_lowering *l, rgi_block *b)
{
    if (!b->merged || l->failed)
        return !l->failed;
    ranked *order = rgi_arena_alloc(&l->temporary, (b->n + 1) * sizeof *order);
    if (!order)
        return false;
    size_t kept = 0;
    for (size_t i = 0; i < b->n; i++)
        if (!l->units[b->units[i]].into)
            order[kept++] = (ranked){l->units[b->units[i]].level, b->units[i]};
    qsort(order, kept, sizeof *order, by_level);
    for (size_t i = 0; i < kept; i++)
        b->units[i] = order[i].unit;
    for (size_t v = 0; v < l->p->n_values; v++)
        l->p->values[v].unit = rgi_unit_of(l, (int32_t)v);
    b->n = kept;
    b->merged = false;
    return true;
}

/* The fused unit that `use` may join: it makes one of the inputs, has the shape, and everything else the op reads is
   there before the unit runs. */
static int32_t host_of(rgi_lowering *l, const rg_node *node, const rgi_use *use)
{
    rgi_program *p = l->p;
    int32_t best = RGI_NONE;
    for (uint32_t i = 0; i < use->n_in && !p->opts.no_fuse; i++) {
        const int32_t u = rgi_unit_of(l, use->in[i]);
        if (u == RGI_NONE || u == best || !in_block(l, u) || node->in[i]->op == &rgi_op_again)
            continue;
        const rgi_unit *host = &l->units[u];
        bool fits = host->kind == RGI_FUSED && host->shape == node->shape && host->n_uses < RGI_GROUP_MEMBERS;
        for (uint32_t k = 0; k < use->n_in && fits; k++) {
            if (use->in[k] == RGI_NONE)
                continue;
            const rgi_value *v = &p->values[use->in[k]];
            fits = rgi_unit_of(l, use->in[k]) == u ? v->part_of == RGI_NONE || v->step_loop != RGI_NONE
                                                   : rgi_level_of(l, use->in[k]) < host->level;
        }
        if (fits && (best == RGI_NONE || l->units[u].level > l->units[best].level))
            best = u;
    }
    return best;
}

static bool lower_op(rgi_lowering *l, const rg_node *node)
{
    rgi_use use;
    const bool fused = node->op->traits & RG_ELEMENTWISE;
    if (fused && (node->n_in > RGI_MAX_ARITY || node->op->n_out != 1)) {
        rgi_compile_fail(l->g, RG_ERR_ARGUMENT, node,
                         "rg_compile: elementwise op '%s' has %u inputs and %d outputs, at most %d and 1 are possible",
                         node->op->name, node->n_in, node->op->n_out, RGI_MAX_ARITY);
        l->failed = true;
    }
    if (!node->op->run) {
        rgi_compile_fail(l->g, RG_ERR_ARGUMENT, node,
                         "rg_compile: op '%s' has no function that computes it (rg_op.run)", node->op->name);
        l->failed = true;
    }
    if (l->failed || !make_use(l, node, &use))
        return false;
    if (fused)
        merge_groups(l, node, &use);
    int32_t u = fused ? host_of(l, node, &use) : RGI_NONE;
    if (u == RGI_NONE) {
        const rgi_unit unit = {.kind = fused ? RGI_FUSED : RGI_RUN,
                               .level = level_after(l, &use),
                               .shape = node->shape,
                               .from = RGI_NONE,
                               .to = RGI_NONE,
                               .loop = RGI_NONE};
        u = rgi_unit_add(l, l->block, &unit);
    }
    if (u == RGI_NONE || !make_outputs(l, node, &use, u))
        return false;
    rgi_unit *unit = &l->units[u];
    unit->key = l->ahead && l->ahead < node->id ? l->ahead : node->id;
    if (!rgi_push(&l->temporary, (void **)&unit->uses, &unit->n_uses, &unit->capacity, sizeof use, &use))
        l->failed = true;
    return !l->failed;
}

int32_t rgi_value_in_memory(rgi_lowering *l, const rg_node *node)
{
    rgi_program *p = l->p;
    node = rgi_stand_in(l, node);
    int32_t v = l->value_of[node->id];
    if (v == RGI_NONE || (!p->values[v].window && (p->values[v].place != RGI_VOID || p->values[v].scalar == RGI_NONE)))
        return v;
    if (p->values[v].window && node->op->traits & RG_VIEW) /* the window is made dense */
        return l->value_of[node->id] = rgi_value_within(l, node, rgi_value_in_memory(l, node->in[0]));
    /* a number of a size known later is written out once, outside of every loop; a window where the node stands */
    rgi_block *const block = l->block;
    const int32_t scalar = p->values[v].scalar;
    while (l->block->outer && l->block->region != node->region)
        l->block = l->block->outer;
    if (lower_op(l, node)) {
        v = l->value_of[node->id];
        p->values[v].scalar = scalar;
    }
    l->block = block;
    return v;
}

static bool add_copy(rgi_lowering *l, rgi_block *b, int32_t from, int32_t to, uint64_t key)
{
    const rgi_unit unit = {
        .kind = RGI_COPY, .level = rgi_level_of(l, from) + 1, .key = key, .from = from, .to = to, .loop = RGI_NONE};
    const int32_t u = rgi_unit_add(l, b, &unit);
    if (u != RGI_NONE)
        l->p->values[to].unit = u;
    return u != RGI_NONE;
}

bool rgi_item_push(rgi_lowering *l, const rgi_item *item, rgi_item **items, size_t *n, size_t *capacity)
{
    if (rgi_push(&l->temporary, (void **)items, n, capacity, sizeof *item, item))
        return true;
    l->failed = true;
    return false;
}

/* ---- a region --------------------------------------------------------------------------------- */

/* A node has the value of what stands for it, which lies in the node's stack if it has none of its own. */
static bool lower_stand_in(rgi_lowering *l, const rg_node *node, const rg_node *by)
{
    if (l->value_of[by->id] == RGI_NONE) {
        if (l->stack_of[by->id] == RGI_NONE && by->region == node->region)
            l->stack_of[by->id] = l->stack_of[node->id];
        if (!rgi_lower_ahead(l, by, node->id))
            return false;
    }
    /* what is copied into a stack is no window on something that may never leave its block */
    if (l->stack_of[node->id] != RGI_NONE && by->region == node->region)
        (void)rgi_value_in_memory(l, by);
    l->value_of[node->id] = l->value_of[by->id];
    return !l->failed;
}

bool rgi_is_lowered(const rgi_lowering *l, const rg_node *node)
{
    bool yes = l->value_of[node->id] != RGI_NONE;
    for (const rg_node *r = rgi_is_scan(node) ? NULL : node->results; r && !yes; r = r->next_result)
        yes = l->value_of[r->id] != RGI_NONE && !rgi_outside(l, r);
    return yes;
}

/* Constants that a body is compared with were made behind its loop. */
static bool lower_constants(rgi_lowering *l, const rg_node *node)
{
    for (size_t i = 0; i < node->n_in && !l->failed; i++)
        if (node->in[i]->op == &rgi_op_const && l->value_of[node->in[i]->id] == RGI_NONE)
            l->failed = !rgi_lower_ahead(l, node->in[i], node->id);
    return !l->failed;
}

bool rgi_lower_node(rgi_lowering *l, const rg_node *node)
{
    if (rgi_is_scan(node))
        return rgi_lower_scan(l, node);
    if (rgi_is_lowered(l, node) || node->op == &rgi_op_group)
        return true;               /* leaves of bodies have their values */
    if (rgi_is_projection(node)) { /* so have results */
        if (rgi_is_scan(node->in[0]))
            l->value_of[node->id] = rgi_result_ahead(l, node);
        return !l->failed;
    }
    if (rgi_stand_in(l, node) != node)
        return lower_stand_in(l, node, rgi_stand_in(l, node));
    if (l->n_agreements && !lower_constants(l, node))
        return false;
    int32_t v = rgi_value_leaf(l, node);
    if (v == RGI_NONE && !l->failed)
        v = rgi_window_value(l, node);
    if (l->failed)
        return false;
    l->value_of[node->id] = v;
    return v != RGI_NONE || lower_op(l, node);
}

/* A parameter (or a view of it) that is fetched and changed in the run is read before it changes. */
static bool save_fetched(rgi_lowering *l)
{
    rgi_program *p = l->p;
    for (size_t i = 0; i < p->n_fetches; i++) {
        const int32_t v = p->fetches[i].value, owner = v == RGI_NONE ? RGI_NONE : rgi_owner(p, v);
        bool changes = false;
        for (size_t k = 0; owner != RGI_NONE && p->values[owner].place == RGI_STORE && k < p->n_writes && !changes; k++)
            changes = p->writes[k].entry->index == (uint32_t)p->values[owner].slot;
        if (!changes)
            continue;
        const int32_t saved = rgi_value_new(l, p->fetches[i].node, RGI_SLAB);
        if (saved == RGI_NONE || !add_copy(l, l->block, v, saved, 0))
            return false;
        p->fetches[i].value = saved;
    }
    return true;
}

bool rgi_lower_region(rgi_lowering *l, const rgi_region *region, int32_t loop, rgi_item **items, size_t *n,
                      size_t *capacity)
{
    rgi_program *p = l->p;
    rgi_block block = {.region = region, .loop = loop, .outer = l->block};
    l->block = &block;
    if (!block.outer)
        l->root = &block;
    bool ok = !region->scan || rgi_lower_walks(l, region->scan);
    for (uint32_t id = l->region_first[region->id]; ok && id != UINT32_MAX; id = l->region_next[id])
        ok = rgi_lower_node(l, rgi_node(l->g, id));
    if (ok && !block.outer) {
        for (size_t i = 0; ok && i < p->n_fetches; i++) {
            const rg_node *node = p->fetches[i].node;
            if (node->op != &rgi_op_group)
                p->fetches[i].value = rgi_value_in_memory(l, node);
            ok = !l->failed;
        }
        for (size_t k = 0; ok && k < p->n_writes; k++) {
            p->writes[k].value = rgi_value_in_memory(l, p->writes[k].node->in[1]);
            p->writes[k].param = l->value_of[p->writes[k].node->in[0]->id];
            if (p->writes[k].param == RGI_NONE) /* written, never read */
                p->writes[k].param = l->value_of[p->writes[k].node->in[0]->id] =
                    rgi_value_leaf(l, p->writes[k].node->in[0]);
            ok = !l->failed;
        }
        ok = ok && save_fetched(l);
    }
    for (size_t j = 0; ok && region->scan && j < region->scan->nexts.n; j++)
        if (l->live[((rg_node *)region->scan->carries.at[j])->id]) /* carries take over what is dense */
            ok = rgi_value_in_memory(l, region->scan->nexts.at[j]) != RGI_NONE;
    if (ok && region->scan && region->scan->test) {
        const int32_t go = rgi_value_in_memory(l, region->scan->test);
        const rgi_unit unit = {
            .kind = RGI_TEST, .level = rgi_level_of(l, go) + 1, .from = go, .to = RGI_NONE, .loop = RGI_NONE};
        ok = !l->failed && rgi_unit_add(l, &block, &unit) != RGI_NONE;
    }
    int32_t *order = NULL;
    ok = ok && drop_merged(l, &block) && rgi_gather(l, &block) && drop_merged(l, &block) &&
         rgi_place_joined(l, &block) && drop_merged(l, &block) && rgi_repeat_in_groups(l, &block) &&
         (block.outer || (rgi_absorb(l, &block) && drop_merged(l, &block))) && rgi_order(l, &block, &order);
    for (size_t i = 0; ok && i < block.n; i++) {
        const rgi_unit *u = &l->units[order[i]];
        for (size_t k = 0; k < u->n_body && ok; k++)
            ok = rgi_item_push(l, &u->body[k], items, n, capacity);
        if (u->kind == RGI_LOOP || u->placed || !ok)
            continue;
        const rgi_item item = {.kind = u->kind,
                               .loop = loop,
                               .first = (uint32_t)p->n_uses,
                               .count = (uint32_t)u->n_uses,
                               .headed = u->headed,
                               .footed = u->footed,
                               .from = u->from,
                               .to = u->to};
        for (size_t k = 0; ok && k < u->n_uses; k++)
            ok = rgi_push(&p->arena, (void **)&p->uses, &p->n_uses, &l->use_capacity, sizeof u->uses[k], &u->uses[k]);
        ok = ok && rgi_item_push(l, &item, items, n, capacity);
    }
    l->block = block.outer;
    return ok && !l->failed;
}
