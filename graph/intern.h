/* intern.h - hash tables of pointers, and the hashes and comparisons of what a graph holds once. */
#ifndef RGI_INTERN_H
#define RGI_INTERN_H

#include "graph.h"

/* The first item of this hash for which same(item, key), or NULL. */
void *rgi_table_find(const struct rgi_table *table, uint64_t hash, bool (*same)(const void *item, const void *key),
                     const void *key);
/* Makes sure that one more item can be inserted; false when memory is short (nothing recorded). */
bool rgi_table_reserve(const rg_allocator *allocator, struct rgi_table *table);
/* Inserts an item that is not there; room was reserved. */
void rgi_table_insert(struct rgi_table *table, uint64_t hash, void *item);
void rgi_table_finish(const rg_allocator *allocator, struct rgi_table *table);

/* A text held once. As the name of a scope it also counts the random draws made there. */
typedef struct rgi_interned {
    uint64_t draws;
    char text[];
} rgi_interned;

/* Hash and equality of nodes to be: op, inputs, region, which result, attributes field by field. */
uint64_t rgi_node_hash(const rg_node *node);
bool rgi_node_same(const void *a, const void *b);
/* Whether nodes of this op stand only once: not RG_UNIQUE, and attributes described by a table. */
bool rgi_op_interned(const rg_op *op);

uint64_t rgi_text_hash(const char *text);
/* Whether the node `item` has the name `key`. */
bool rgi_name_same(const void *item, const void *key);

#endif
