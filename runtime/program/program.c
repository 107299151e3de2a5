/* program.c - compilation: from what is fetched to ordered items. */
#include "lower.h"

#include "../../ops/table_ops.h"
#include "../run/exec.h"
#include "../schedule/share.h"
#include "recompute.h"
#include "repeat.h"

#include <string.h>

void rgi_program_retain(rgi_program *p)
{
    __atomic_add_fetch(&p->references, 1, __ATOMIC_RELAXED);
}

void rgi_program_release(rgi_program *p)
{
    if (!p || __atomic_sub_fetch(&p->references, 1, __ATOMIC_ACQ_REL) > 0)
        return;
    rg_graph *g = p->graph;
    const rg_allocator allocator = g->allocator;
    rgi_arena_finish(&p->arena);
    rgi_free(&allocator, p, sizeof *p);
    rgi_graph_release(g);
}

static bool check_fetch(rg_graph *g, rg_nodes fetch)
{
    char label[RGI_LABEL];
    if (g->open.n) {
        rgi_compile_fail(g, RG_ERR_REGION, NULL, "rg_compile: scan '%s' was never ended",
                         rgi_scan_name(((rgi_region *)g->open.at[g->open.n - 1])->scan));
        return false;
    }
    if (fetch.n == 0) {
        rgi_compile_fail(g, RG_ERR_ARGUMENT, NULL, "rg_compile: nothing is fetched");
        return false;
    }
    for (size_t i = 0; i < fetch.n; i++) {
        const rg_node *node = rg_at(fetch, i);
        if (!node || node->graph != g) {
            rgi_compile_fail(g, RG_ERR_ARGUMENT, NULL, "rg_compile: fetched node %zu is %s", i,
                             node ? "of another graph" : "NULL");
            return false;
        }
        if (node->region->parent || rgi_is_scan(node)) {
            rgi_compile_fail(g, RG_ERR_REGION, node,
                             "rg_compile: fetched node %s is inside the body of scan '%s': fetch rg_scan_stack or "
                             "rg_scan_last of it",
                             rgi_format_node(node, label, sizeof label), rgi_scan_name(node->region->scan));
            return false;
        }
    }
    return true;
}

static bool resolve_mode(rgi_lowering *l)
{
    rg_plan_opts *o = &l->p->opts;
    if (o->mode == 0 && l->p->has_effects)
        o->mode = RG_TRAIN;
    if (o->mode != 0 || !l->mode_reader) {
        o->mode = o->mode ? o->mode : RG_EVAL;
        return true;
    }
    const rg_node *reader = l->mode_reader;
    char label[RGI_LABEL];
    for (size_t id = reader->id + 1; id < l->g->nodes.n && reader == l->mode_reader; id++) {
        const rg_node *v = rgi_node(l->g, id);
        for (size_t i = 0; l->live[id] && i < v->n_in; i++)
            reader = v->in[i] == l->mode_reader ? v : reader;
    }
    rgi_compile_fail(l->g, RG_ERR_ARGUMENT, reader,
                     "rg_compile: %s depends on whether the plan trains, and nothing fetched is an effect: set mode to "
                     "RG_TRAIN or RG_EVAL",
                     rgi_format_node(reader, label, sizeof label));
    return false;
}

/* Whether `node` is computed from `from`. */
static bool built_on(rgi_lowering *l, const rg_node *node, const rg_node *from)
{
    bool *reached = rgi_alloc(&l->g->allocator, node->id + 1);
    if (!reached) {
        l->failed = true;
        return false;
    }
    reached[node->id] = true;
    for (size_t id = node->id + 1; id-- > from->id;) {
        const rg_node *v = rgi_node(l->g, id);
        for (size_t i = 0; reached[id] && i < v->n_in; i++)
            reached[v->in[i]->id] = true;
    }
    const bool found = reached[from->id];
    rgi_free(&l->g->allocator, reached, node->id + 1);
    return found;
}

/* The live assigns; of several to one parameter the last, which must be built on the earlier ones. */
static bool collect_writes(rgi_lowering *l)
{
    rgi_program *p = l->p;
    const rgi_list *assigns = &l->g->assigns;
    const rg_node **last = rgi_arena_alloc(&l->temporary, (l->g->store->n + 1) * sizeof *last);
    if (!last)
        return false;
    for (size_t i = 0; i < assigns->n; i++) {
        const rg_node *a = assigns->at[i], *before = last[a->in[0]->entry->index];
        if (!l->live[a->id])
            continue;
        if (before && !built_on(l, a->in[1], before->in[1])) {
            if (!l->failed)
                rgi_compile_fail(l->g, RG_ERR_STATE, a,
                                 "rg_compile: two assigns to '%s' in one run, and the later is not built on the "
                                 "earlier: use rg_latest",
                                 rg_name(a->in[0]));
            return false;
        }
        last[a->in[0]->entry->index] = a;
    }
    size_t capacity = 0;
    for (size_t i = 0; i < assigns->n; i++) {
        const rg_node *a = assigns->at[i];
        const rgi_write w = {.node = a, .entry = a->in[0]->entry, .param = RGI_NONE, .value = RGI_NONE};
        if (last[a->in[0]->entry->index] == a &&
            !rgi_push(&p->arena, (void **)&p->writes, &p->n_writes, &capacity, sizeof w, &w))
            return false;
    }
    return true;
}

static bool sort_regions(rgi_lowering *l)
{
    rg_graph *g = l->g;
    l->region_first = rgi_arena_alloc(&l->temporary, (g->regions.n + 1) * sizeof *l->region_first);
    l->region_next = rgi_arena_alloc(&l->temporary, (g->nodes.n + 1) * sizeof *l->region_next);
    if (!l->region_first || !l->region_next)
        return false;
    for (size_t r = 0; r < g->regions.n; r++)
        l->region_first[r] = UINT32_MAX;
    for (size_t id = g->nodes.n; id-- > 0;) {
        if (!l->live[id])
            continue;
        uint32_t *first = &l->region_first[rgi_node(g, id)->region->id];
        l->region_next[id] = *first;
        *first = (uint32_t)id;
    }
    return true;
}

/* Whether an axis of the node is the named dimension `name` by itself. */
static bool names_axis(const rg_node *node, const rgi_dim *name)
{
    for (int32_t k = 0; k < node->shape->a.rank; k++)
        if (node->shape->a.dim[k] == name->a && node->shape->b.dim[k] == name->b)
            return true;
    return false;
}

/* Sizes may come from inputs whose values nobody reads (the gradient of a mean needs only a shape): every input of the
   graph that names a dimension counts, bound or not. */
static bool add_sizing_inputs(rgi_lowering *l)
{
    rgi_program *p = l->p;
    const rg_graph *g = l->g;
    bool named = false;
    p->n_read = p->n_inputs;
    for (size_t i = 0; i < p->n_shapes; i++)
        named = named || p->shapes[i]->named;
    for (size_t i = 0; i < p->n_uses; i++) /* operands of which an op sees the shape alone are no values */
        for (uint32_t k = 0; k < p->uses[i].n_in; k++)
            named = named || (p->uses[i].in[k] == RGI_NONE && p->uses[i].node->in[k]->shape->named);
    for (size_t id = 0; named && id < g->nodes.n; id++) {
        rg_node *v = rgi_node(g, id);
        if (v->op != &rgi_op_input || l->live[id] || !v->shape->named)
            continue;
        bool useful = false;
        for (size_t d = 0; d < g->dims.n; d++)
            useful = useful || names_axis(v, &g->dims.at[d]);
        if (useful && !rgi_push(&p->arena, (void **)&p->inputs, &p->n_inputs, &l->input_capacity, sizeof v, &v))
            return false;
    }
    return true;
}

static bool find_formulas(rgi_program *p)
{
    p->formulas = rgi_arena_alloc(&p->arena, (p->n_shapes * RG_MAX_RANK + 1) * sizeof *p->formulas);
    if (!p->formulas)
        return false;
    for (size_t i = 0; i < p->n_shapes; i++) {
        const rgi_shape *s = p->shapes[i];
        for (int32_t k = 0; s->named && k < s->a.rank; k++)
            if (s->a.dim[k] != s->b.dim[k] &&
                !rgi_formula_find(p->graph, s->a.dim[k], s->b.dim[k], &p->formulas[i * RG_MAX_RANK + (size_t)k])) {
                char text[RGI_LABEL];
                rgi_compile_fail(p->graph, RG_ERR_SHAPE, NULL, "rg_compile: no formula for the sizes %s",
                                 rgi_format_shape(p->graph, s->a, text, sizeof text));
                return false;
            }
    }
    return true;
}

static bool lower(rgi_lowering *l, rg_nodes fetch)
{
    rgi_program *p = l->p;
    rg_graph *g = l->g;
    p->fetches = rgi_arena_alloc(&p->arena, fetch.n * sizeof *p->fetches);
    if (!p->fetches)
        return false;
    for (size_t i = 0; i < fetch.n; i++)
        p->fetches[i] = (rgi_fetch){.node = fetch.at[i], .value = RGI_NONE};
    p->n_fetches = fetch.n;
    bool repeats = false, blocks = false;
    if (!rgi_list_built_in(l) || !rgi_mark_live(l, fetch) || !resolve_mode(l) || !rgi_find_retraces(l, fetch) ||
        (p->n_retraces && !rgi_mark_live(l, fetch)) || !rgi_hoist(l) || (l->n_outside && !rgi_mark_live(l, fetch)) ||
        !rgi_rewrite_nodes(l) || !rgi_check_folding(l) || !rgi_mark_live(l, fetch) || !rgi_lay_out(l, fetch, &blocks) ||
        (blocks && !rgi_mark_live(l, fetch)) || !rgi_repeat_steps(l, fetch, &repeats) ||
        (repeats && !rgi_mark_live(l, fetch)))
        return false;
    const size_t n = g->nodes.n;
    l->value_of = rgi_arena_alloc(&l->temporary, (n + 1) * sizeof *l->value_of);
    l->stack_of = rgi_arena_alloc(&l->temporary, (n + 1) * sizeof *l->stack_of);
    if (!l->value_of || !l->stack_of)
        return false;
    for (size_t id = 0; id < n; id++)
        l->value_of[id] = l->stack_of[id] = RGI_NONE;
    if (!collect_writes(l) || !sort_regions(l))
        return false;
    size_t n_items = 0, capacity = 0;
    rgi_item *items = NULL;
    if (!rgi_lower_region(l, g->regions.at[0], RGI_NONE, &items, &n_items, &capacity))
        return false;
    if (!rgi_pack_operands(l, &items, &n_items))
        return false;
    p->items = rgi_arena_alloc(&p->arena, (n_items + 2 * p->n_writes + 1) * sizeof *p->items);
    if (!p->items)
        return false;
    if (n_items)
        memcpy(p->items, items, n_items * sizeof *items);
    p->n_items = n_items;
    l->item_capacity = n_items + 2 * p->n_writes + 1;
    if (p->opts.budget && !rgi_draft_keep(p))
        return false;
    return rgi_settle(l) && add_sizing_inputs(l) && find_formulas(p);
}

static bool check_options(rg_graph *g, const rg_plan_opts *opts)
{
    if (opts && opts->threads < 0) {
        rgi_compile_fail(g, RG_ERR_ARGUMENT, NULL, "rg_compile: opts.threads is %d, it must not be negative",
                         opts->threads);
        return false;
    }
    if (opts && opts->mode != 0 && opts->mode != RG_TRAIN && opts->mode != RG_EVAL) {
        rgi_compile_fail(g, RG_ERR_ARGUMENT, NULL, "rg_compile: opts.mode is %d, it must be 0, RG_TRAIN or RG_EVAL",
                         (int)opts->mode);
        return false;
    }
    if (opts && opts->layout != RG_LAYOUT_CHOSEN && opts->layout != RG_LAYOUT_PLANES &&
        opts->layout != RG_LAYOUT_BLOCKS) {
        rgi_compile_fail(g, RG_ERR_ARGUMENT, NULL, "rg_compile: opts.layout is %d, which is no rg_layout",
                         (int)opts->layout);
        return false;
    }
    return true;
}

rgi_program *rgi_program_new(rg_graph *g, rg_nodes fetch, const rg_plan_opts *opts)
{
    if (g->error.status != RG_OK || !check_options(g, opts) || !check_fetch(g, fetch))
        return NULL;
    rgi_program *p = rgi_alloc(&g->allocator, sizeof *p);
    if (!p) {
        rgi_compile_fail(g, RG_ERR_MEMORY, NULL, "rg_compile: out of memory");
        return NULL;
    }
    p->references = 1;
    p->graph = g;
    p->seed = g->seed;
    if (opts)
        p->opts = *opts;
    p->opts.no_fuse = p->opts.no_fuse || p->opts.check; /* a check names the op */
    if (p->opts.check)
        p->opts.threads = 1; /* whole results are looked at as soon as they are there */
    p->opts.threads = p->opts.threads > 0 ? p->opts.threads : rgi_default_threads();
    p->priced = p->opts.machine;
    p->machine = p->opts.machine ? *p->opts.machine : rgi_usual_machine;
    p->opts.machine = NULL;
    rgi_graph_retain(g);
    rgi_arena_init(&p->arena, g->allocator);
    rgi_lowering l = {.p = p, .g = g};
    rgi_arena_init(&l.temporary, g->allocator);
    const rg_status before = g->compile_error.status;
    g->compile_error.status = RG_OK;
    const bool ok = lower(&l, fetch);
    rgi_arena_finish(&l.temporary);
    if (ok) {
        g->compile_error.status = before; /* the last failure stays readable */
        return p;
    }
    if (g->compile_error.status == RG_OK)
        rgi_compile_fail(g, RG_ERR_MEMORY, NULL, "rg_compile: out of memory");
    rgi_program_release(p);
    return NULL;
}
