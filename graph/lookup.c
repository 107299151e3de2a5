/* lookup.c - finding nodes by name and kind, and reading what a node is. */
#include "intern.h"

#include <string.h>

/* The stored leaves that are trainable (or all), and whose name starts with `prefix`. */
static rg_nodes stored(rg_graph *g, const char *prefix, bool all)
{
    const rg_nodes none = {NULL, 0};
    if (!g || !prefix) {
        rgi_graph_fail(g, RG_ERR_ARGUMENT, NULL, "rg_params: the %s is NULL", g ? "prefix" : "graph");
        return none;
    }
    const size_t n = g->stored.n, length = strlen(prefix);
    rg_node **const picked = rgi_arena_alloc(&g->arena, (n ? n : 1) * sizeof *picked);
    if (!picked) {
        rgi_graph_fail(g, RG_ERR_MEMORY, NULL, "out of memory for a list of parameters");
        return none;
    }
    size_t k = 0;
    for (size_t i = 0; i < n; i++) {
        rg_node *const v = g->stored.at[i];
        if ((all || v->entry->trainable) && strncmp(v->name, prefix, length) == 0)
            picked[k++] = v;
    }
    return (rg_nodes){picked, k};
}

rg_nodes(rg_params)(rg_graph *g)
{
    return stored(g, "", false);
}

rg_nodes(rg_params_in)(rg_graph *g, const char *prefix)
{
    return stored(g, prefix, false);
}

rg_nodes(rg_stored)(rg_graph *g)
{
    return stored(g, "", true);
}

rg_node *(rg_find)(rg_graph *g, const char *name)
{
    return g && name ? rgi_table_find(&g->names, rgi_text_hash(name), rgi_name_same, name) : NULL;
}

const char *(rg_name)(const rg_node *node)
{
    return node && node->name ? node->name : "";
}

rg_shape(rg_shape_of)(const rg_node *node)
{
    return node ? node->shape->a : (rg_shape){.rank = 0};
}

rg_dtype(rg_dtype_of)(const rg_node *node)
{
    return node ? node->dtype : (rg_dtype)0;
}

const char *(rg_scope_name)(const rg_graph *g)
{
    return g ? g->scope : "";
}

rg_nodes(rg_nodes_copy)(rg_graph *g, rg_nodes list)
{
    if (g && (list.at || list.n == 0))
        return rgi_nodes_copy(g, list.at, list.n);
    rgi_graph_fail(g, RG_ERR_ARGUMENT, NULL, "rg_nodes_copy: the %s is NULL", g ? "list" : "graph");
    return (rg_nodes){NULL, 0};
}

const char *rg_describe(const rg_node *node, char *buffer, size_t size)
{
    return node ? rgi_format_operand(node, buffer, size) : rgi_format_node(node, buffer, size);
}
