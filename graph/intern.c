/* intern.c - open-addressing tables (linear probing, at most 3/4 full), and what is held once: texts, shapes, nodes. */
#include "intern.h"

#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#define RGI_FIRST_CAPACITY ((size_t)64)

/* ---- tables ---- */

void *rgi_table_find(const struct rgi_table *table, uint64_t hash, bool (*same)(const void *item, const void *key),
                     const void *key)
{
    if (!table->n)
        return NULL;
    const size_t mask = table->capacity - 1;
    for (size_t i = hash & mask; table->at[i]; i = (i + 1) & mask)
        if (table->hash[i] == hash && same(table->at[i], key))
            return table->at[i];
    return NULL;
}

void rgi_table_insert(struct rgi_table *table, uint64_t hash, void *item)
{
    const size_t mask = table->capacity - 1;
    size_t i = hash & mask;
    while (table->at[i])
        i = (i + 1) & mask;
    table->at[i] = item;
    table->hash[i] = hash;
    table->n++;
}

bool rgi_table_reserve(const rg_allocator *allocator, struct rgi_table *table)
{
    if ((table->n + 1) * 4 <= table->capacity * 3)
        return true;
    struct rgi_table larger = {.capacity = table->capacity ? table->capacity * 2 : RGI_FIRST_CAPACITY};
    larger.hash = rgi_alloc(allocator, larger.capacity * sizeof *larger.hash);
    larger.at = rgi_alloc(allocator, larger.capacity * sizeof *larger.at);
    if (!larger.hash || !larger.at) {
        rgi_table_finish(allocator, &larger);
        return false;
    }
    for (size_t i = 0; i < table->capacity; i++)
        if (table->at[i])
            rgi_table_insert(&larger, table->hash[i], table->at[i]);
    rgi_table_finish(allocator, table);
    *table = larger;
    return true;
}

void rgi_table_finish(const rg_allocator *allocator, struct rgi_table *table)
{
    rgi_free(allocator, table->hash, table->capacity * sizeof *table->hash);
    rgi_free(allocator, table->at, table->capacity * sizeof *table->at);
    *table = (struct rgi_table){0};
}

/* ---- texts ---- */

uint64_t rgi_text_hash(const char *text)
{
    return XXH3_64bits(text, strlen(text));
}

static bool text_same(const void *item, const void *key)
{
    return strcmp(((const rgi_interned *)item)->text, key) == 0;
}

const char *rgi_string(rg_graph *g, const char *text)
{
    const uint64_t hash = rgi_text_hash(text);
    rgi_interned *found = rgi_table_find(&g->strings, hash, text_same, text);
    if (found)
        return found->text;
    const size_t bytes = strlen(text) + 1;
    rgi_interned *made = rgi_arena_alloc(&g->arena, sizeof *made + bytes);
    if (!made || !rgi_table_reserve(&g->allocator, &g->strings)) {
        rgi_graph_fail(g, RG_ERR_MEMORY, NULL, "out of memory for the text '%.40s'", text);
        return NULL;
    }
    memcpy(made->text, text, bytes);
    rgi_table_insert(&g->strings, hash, made);
    return made->text;
}

bool rgi_name_same(const void *item, const void *key)
{
    return strcmp(((const rg_node *)item)->name, key) == 0;
}

/* ---- shapes ---- */

static bool shape_same(const void *item, const void *key)
{
    const rgi_shape *a = item, *b = key;
    return rg_shape_equal(a->a, b->a) && rg_shape_equal(a->b, b->b);
}

const rgi_shape *rgi_shape_intern(rg_graph *g, rg_shape a, rg_shape b)
{
    const size_t n = (size_t)a.rank;
    int64_t words[2 * RG_MAX_RANK + 1] = {a.rank};
    memcpy(words + 1, a.dim, n * sizeof *words);
    memcpy(words + 1 + n, b.dim, n * sizeof *words);
    const uint64_t hash = XXH3_64bits(words, (2 * n + 1) * sizeof *words);
    const rgi_shape key = {a, b, !rg_shape_equal(a, b)};
    const rgi_shape *found = rgi_table_find(&g->shapes, hash, shape_same, &key);
    if (found)
        return found;
    for (size_t i = 0; i < n; i++)
        if (a.dim[i] != b.dim[i] && !rgi_dims_note(g, "shape", a.dim[i], b.dim[i]))
            return NULL;
    rgi_shape *made = rgi_arena_alloc(&g->arena, sizeof *made);
    if (!made || !rgi_table_reserve(&g->allocator, &g->shapes)) {
        rgi_graph_fail(g, RG_ERR_MEMORY, NULL, "out of memory for a shape");
        return NULL;
    }
    *made = key;
    rgi_table_insert(&g->shapes, hash, made);
    return made;
}

/* ---- nodes ---- */

bool rgi_op_interned(const rg_op *op)
{
    return !(op->traits & RG_UNIQUE) && (op->attr_size == 0 || op->attrs);
}

static uint64_t field_hash(uint64_t seed, const rg_attr_field *field, const void *attr)
{
    const char *at = (const char *)attr + field->offset;
    switch (field->kind) {
    case RG_ATTR_I64:
    case RG_ATTR_SIZE:
    case RG_ATTR_F64:
        return XXH3_64bits_withSeed(at, 8, seed);
    case RG_ATTR_BOOL:
        return XXH3_64bits_withSeed(at, sizeof(bool), seed);
    case RG_ATTR_DTYPE:
        return XXH3_64bits_withSeed(at, sizeof(rg_dtype), seed);
    case RG_ATTR_AXES: {
        const rg_axes *axes = (const rg_axes *)at;
        return XXH3_64bits_withSeed(axes, sizeof(int32_t) * (size_t)(1 + (axes->n > 0 ? axes->n : 0)), seed);
    }
    case RG_ATTR_SHAPE: {
        const rg_shape *shape = (const rg_shape *)at;
        return XXH3_64bits_withSeed(shape->dim, sizeof(int64_t) * (size_t)shape->rank, seed + (uint64_t)shape->rank);
    }
    case RG_ATTR_BYTES: {
        const rg_bytes *bytes = (const rg_bytes *)at;
        return XXH3_64bits_withSeed(bytes->at, bytes->n, seed);
    }
    case RG_ATTR_NODE: {
        const rg_node *const *node = (const rg_node *const *)at;
        return XXH3_64bits_withSeed(node, sizeof *node, seed);
    }
    case RG_ATTR_END:
        break;
    }
    return seed;
}

uint64_t rgi_node_hash(const rg_node *node)
{
    enum { HEAD = 4, INLINE = 12 };
    uint64_t words[HEAD + INLINE] = {(uint64_t)(uintptr_t)node->op, node->region->id, node->result, node->n_in};
    const size_t n = node->n_in < INLINE ? node->n_in : INLINE;
    for (size_t i = 0; i < n; i++)
        words[HEAD + i] = node->in[i]->id;
    uint64_t hash = XXH3_64bits(words, (HEAD + n) * sizeof *words);
    for (size_t i = n; i < node->n_in; i++)
        hash = XXH3_64bits_withSeed(&node->in[i]->id, sizeof node->in[i]->id, hash);
    if (node->attr)
        for (const rg_attr_field *f = node->op->attrs; f && f->kind != RG_ATTR_END; f++)
            hash = field_hash(hash, f, node->attr);
    return hash;
}

static bool field_same(const rg_attr_field *field, const void *attr_a, const void *attr_b)
{
    const void *a = (const char *)attr_a + field->offset, *b = (const char *)attr_b + field->offset;
    switch (field->kind) {
    case RG_ATTR_I64:
    case RG_ATTR_SIZE:
    case RG_ATTR_F64: /* by bits: -0 is not 0, a NaN is itself */
        return memcmp(a, b, 8) == 0;
    case RG_ATTR_BOOL:
        return *(const bool *)a == *(const bool *)b;
    case RG_ATTR_DTYPE:
        return *(const rg_dtype *)a == *(const rg_dtype *)b;
    case RG_ATTR_AXES: {
        const rg_axes *x = a, *y = b;
        return x->n == y->n && (x->n <= 0 || memcmp(x->axis, y->axis, (size_t)x->n * sizeof *x->axis) == 0);
    }
    case RG_ATTR_SHAPE:
        return rg_shape_equal(*(const rg_shape *)a, *(const rg_shape *)b);
    case RG_ATTR_BYTES: {
        const rg_bytes *x = a, *y = b;
        return x->n == y->n && (x->n == 0 || memcmp(x->at, y->at, x->n) == 0);
    }
    case RG_ATTR_NODE:
        return *(rg_node *const *)a == *(rg_node *const *)b;
    case RG_ATTR_END:
        break;
    }
    return true;
}

bool rgi_node_same(const void *item, const void *key)
{
    const rg_node *a = item, *b = key;
    if (a->op != b->op || a->n_in != b->n_in || a->region != b->region || a->result != b->result)
        return false;
    for (size_t i = 0; i < a->n_in; i++)
        if (a->in[i] != b->in[i])
            return false;
    if (a->attr && b->attr)
        for (const rg_attr_field *f = a->op->attrs; f && f->kind != RG_ATTR_END; f++)
            if (!field_same(f, a->attr, b->attr))
                return false;
    return true;
}
