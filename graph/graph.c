/* graph.c - a graph's life, its lists, and what applies to the nodes made from now on. */
#include "intern.h"

#include <string.h>

/* Frees what a graph holds, as far as it was made. */
static void finish(rg_graph *g)
{
    const rg_allocator memory = g->allocator;
    rgi_dims_finish(g);
    rgi_table_finish(&memory, &g->interned);
    rgi_table_finish(&memory, &g->shapes);
    rgi_table_finish(&memory, &g->names);
    rgi_table_finish(&memory, &g->strings);
    rgi_arena_finish(&g->arena);
    rgi_store_release(g->store);
    rgi_free(&memory, g, sizeof *g);
}

rg_graph *(rg_graph_new)(const rg_graph_opts *opts)
{
    const rg_graph_opts none = {0}, *const o = opts ? opts : &none;
    const rg_allocator memory = o->allocator ? *o->allocator : rgi_default_allocator();
    if (!memory.alloc || !memory.free) {
        rgi_fail(RG_ERR_ARGUMENT, "rg_graph_new: the allocator lacks a function");
        return NULL;
    }
    rg_graph *g = rgi_alloc(&memory, sizeof *g);
    if (g) {
        g->allocator = memory;
        g->log = o->log;
        g->log_user = o->log_user;
        g->seed = o->seed;
        g->references = 1;
        rgi_arena_init(&g->arena, memory);
        g->store = rgi_store_new(&memory);
        g->scope = rgi_string(g, "");
        rgi_region *outside = rgi_arena_alloc(&g->arena, sizeof *outside);
        if (g->store && g->scope && outside && rgi_list_push(g, &g->regions, outside)) {
            *outside = (rgi_region){.graph = g, .open = true};
            g->store->seed = o->seed;
            return g;
        }
        finish(g);
    }
    rgi_fail(RG_ERR_MEMORY, "rg_graph_new: out of memory");
    return NULL;
}

void rgi_graph_retain(rg_graph *g)
{
    __atomic_add_fetch(&g->references, 1, __ATOMIC_RELAXED);
}

void rgi_graph_release(rg_graph *g)
{
    if (g && __atomic_sub_fetch(&g->references, 1, __ATOMIC_ACQ_REL) == 0)
        finish(g);
}

void(rg_graph_free)(rg_graph *g)
{
    rgi_graph_release(g);
}

void(rg_graph_seed)(rg_graph *g, uint64_t seed)
{
    if (!g) {
        rgi_fail(RG_ERR_ARGUMENT, "rg_graph_seed: the graph is NULL");
        return;
    }
    g->seed = g->store->seed = seed;
}

rg_graph *(rg_graph_of)(const rg_node *node)
{
    return node ? node->graph : NULL;
}

size_t(rg_graph_size)(const rg_graph *g)
{
    return g ? g->nodes.n : 0;
}

rg_node *rgi_origin_set(rg_graph *g, rg_node *origin)
{
    rg_node *const former = g->origin;
    g->origin = origin;
    return former;
}

bool rgi_list_reserve(rg_graph *g, rgi_list *list)
{
    if (list->n < list->capacity)
        return true;
    const size_t larger = list->capacity ? list->capacity * 2 : 8;
    void **at = rgi_arena_alloc(&g->arena, larger * sizeof *at);
    if (!at) {
        rgi_graph_fail(g, RG_ERR_MEMORY, NULL, "out of memory for a list of %zu", larger);
        return false;
    }
    if (list->n)
        memcpy(at, list->at, list->n * sizeof *at);
    list->at = at;
    list->capacity = larger;
    return true;
}

bool rgi_list_push(rg_graph *g, rgi_list *list, void *item)
{
    if (!rgi_list_reserve(g, list))
        return false;
    list->at[list->n++] = item;
    return true;
}

rg_nodes rgi_nodes_copy(rg_graph *g, rg_node *const *at, size_t n)
{
    size_t bytes;
    rg_node **copy = rgi_size_mul(n, sizeof *copy, &bytes) ? rgi_arena_alloc(&g->arena, bytes ? bytes : 1) : NULL;
    if (!copy) {
        rgi_graph_fail(g, RG_ERR_MEMORY, NULL, "out of memory for a list of %zu nodes", n);
        return (rg_nodes){NULL, 0};
    }
    if (n)
        memcpy(copy, at, bytes);
    return (rg_nodes){copy, n};
}
