/* check.c - the invariants of a graph, verified one by one. */
#include "infer.h"
#include "intern.h"

#include <inttypes.h>
#include <string.h>

static rg_status broken(const rg_node *node, const char *what)
{
    char label[RGI_LABEL];
    return rgi_fail(RG_ERR_STATE, "graph check: %s: %s", rgi_format_node(node, label, sizeof label), what);
}

/* Parents come before their regions; open bodies are those on the stack. */
static rg_status check_regions(const rg_graph *g)
{
    size_t open = 0;
    for (size_t i = 0; i < g->regions.n; i++) {
        const rgi_region *const r = g->regions.at[i];
        if (r->id != i || r->graph != g || (i == 0) != (r->parent == NULL))
            return rgi_fail(RG_ERR_STATE, "graph check: region %zu is not where it says", i);
        if (r->parent && (r->parent->id >= i || r->depth != r->parent->depth + 1))
            return rgi_fail(RG_ERR_STATE,
                            "graph check: region %zu lies in region %" PRIu32 ", but its id or depth contradicts", i,
                            r->parent->id);
        if (i && r->open && (open == g->open.n || g->open.at[open++] != r))
            return rgi_fail(RG_ERR_STATE, "graph check: region %zu is open, but not on the stack", i);
    }
    return open == g->open.n ? RG_OK
                             : rgi_fail(RG_ERR_STATE, "graph check: a closed region is on the stack of open ones");
}

static rg_status check_shape(rg_graph *g, const rg_node *node)
{
    const rgi_shape *const s = node->shape;
    if (!s || !rg_dtype_size(node->dtype))
        return broken(node, "no type");
    if (s->a.rank < 0 || s->a.rank > RG_MAX_RANK || s->a.rank != s->b.rank)
        return broken(node, "a rank that is none");
    if (s->named == rg_shape_equal(s->a, s->b))
        return broken(node, "a shape that is wrongly marked as named or not");
    for (int32_t i = 0; i < s->a.rank; i++) {
        rgi_formula f;
        if (s->a.dim[i] < 0 || s->b.dim[i] < 0 || !rgi_formula_find(g, s->a.dim[i], s->b.dim[i], &f))
            return broken(node, "a size without a formula");
    }
    return rgi_shape_intern(g, s->a, s->b) == s ? RG_OK : broken(node, "a shape that exists twice");
}

/* Inputs come before, in the same graph, and no deeper than the node. */
static rg_status check_inputs(const rg_graph *g, const rg_node *node)
{
    const bool control = node->op->traits & RG_CONTROL;
    if (node->op->n_in >= 0 && node->n_in != (uint32_t)node->op->n_in)
        return broken(node, "a number of inputs that its op does not take");
    for (uint32_t i = 0; i < node->n_in; i++) {
        const rg_node *const in = node->in[i];
        if (!in || in->graph != g || in->id >= node->id || rgi_node(g, in->id) != in)
            return broken(node, "an input that does not come before it");
        if (!rgi_region_within(node->region, in->region))
            return broken(node, "an input from a body that it is not in");
        if (!control && in->op->n_out != 1)
            return broken(node, "an input that has several results");
    }
    return RG_OK;
}

/* The shape rule gives what the node says. Rules of region ops and of their leaves are not run. */
static rg_status check_rule(rg_graph *g, const rg_node *node)
{
    if ((node->op->traits & RG_CONTROL) || ((node->op->traits & RG_LEAF) && !node->attr) || node->op->n_out < 1)
        return RG_OK;
    const rgi_shape *shape[RGI_RESULTS];
    rg_dtype dtype[RGI_RESULTS];
    if (!rgi_infer_both(g, node->op, node->attr, node->in, node->n_in, shape, dtype))
        return broken(node, "its shape rule refuses it");
    return shape[0] == node->shape && dtype[0] == node->dtype ? RG_OK
                                                              : broken(node, "its shape rule gives another type");
}

static rg_status check_leaf(const rg_graph *g, const rg_node *node)
{
    const rgi_entry *const e = node->entry;
    if (node->name && rg_find((rg_graph *)g, node->name) != node)
        return broken(node, "its name leads to another node");
    if (!e)
        return RG_OK;
    if (e->index >= g->store->n || g->store->at[e->index] != e || e->index >= g->stored.n ||
        g->stored.at[e->index] != node)
        return broken(node, "its storage belongs to another node");
    if (e->dtype != node->dtype || !rg_shape_equal(e->shape, node->shape->a) || node->shape->named || !node->name ||
        strcmp(e->name, node->name) != 0)
        return broken(node, "its storage has another type or name");
    return node->region->parent ? broken(node, "what is stored stands inside a body") : RG_OK;
}

/* What a table holds is found in it under its hash, and is itself: nothing equal came before it. */
static rg_status check_interned(const rg_graph *g)
{
    for (size_t i = 0; i < g->interned.capacity; i++) {
        const rg_node *const node = g->interned.at[i];
        if (!node)
            continue;
        if (rgi_node_hash(node) != g->interned.hash[i])
            return broken(node, "it is interned under another hash");
        if (rgi_table_find(&g->interned, g->interned.hash[i], rgi_node_same, node) != node)
            return broken(node, "it exists twice");
    }
    return RG_OK;
}

static rg_status check_effects(const rg_graph *g)
{
    for (size_t i = 0; i < g->assigns.n; i++) {
        const rg_node *const assign = g->assigns.at[i];
        if (!(assign->op->traits & RG_EFFECT) || assign->n_in != 2 || !assign->in[0]->entry || assign->region->parent)
            return broken(assign, "it is no assign to a parameter, outside of bodies");
    }
    for (size_t i = 0; i + 1 < g->attached.n; i += 2)
        if (!(((const rg_node *)g->attached.at[i + 1])->op->traits & RG_EFFECT))
            return broken(g->attached.at[i + 1], "it is attached, but no effect");
    return g->latest.n == g->stored.n
               ? RG_OK
               : rgi_fail(RG_ERR_STATE, "graph check: the lists of stored nodes differ in length");
}

rg_status(rg_graph_check)(rg_graph *g)
{
    if (!g)
        return rgi_fail(RG_ERR_ARGUMENT, "rg_graph_check: the graph is NULL");
    rg_status status = check_regions(g);
    for (size_t id = 0; status == RG_OK && id < g->nodes.n; id++) {
        rg_node *const node = rgi_node(g, id);
        if (node->id != id || node->graph != g || !node->op || !node->region || !node->scope)
            return rgi_fail(RG_ERR_STATE, "graph check: node %zu is not what it says", id);
        status = check_shape(g, node);
        status = status == RG_OK ? check_inputs(g, node) : status;
        status = status == RG_OK ? check_rule(g, node) : status;
        status = status == RG_OK ? check_leaf(g, node) : status;
    }
    status = status == RG_OK ? check_interned(g) : status;
    return status == RG_OK ? check_effects(g) : status;
}
