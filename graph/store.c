/* store.c - the values of parameters and buffers: entries, shared ownership, reading and replacing. */
#include "graph.h"

#include <string.h>

rgi_store *rgi_store_new(const rg_allocator *allocator)
{
    rgi_store *store = rgi_alloc(allocator, sizeof *store);
    if (store)
        *store = (rgi_store){.allocator = *allocator, .references = 1};
    return store;
}

void rgi_store_retain(rgi_store *store)
{
    __atomic_add_fetch(&store->references, 1, __ATOMIC_RELAXED);
}

static void free_entry(const rg_allocator *memory, rgi_entry *entry)
{
    rgi_free(memory, entry->data, entry->bytes);
    rgi_free(memory, (char *)entry->name, strlen(entry->name) + 1);
    rgi_free(memory, entry, sizeof *entry);
}

void rgi_store_release(rgi_store *store)
{
    if (!store || __atomic_sub_fetch(&store->references, 1, __ATOMIC_ACQ_REL))
        return;
    const rg_allocator memory = store->allocator;
    for (size_t i = 0; i < store->n; i++)
        free_entry(&memory, store->at[i]);
    rgi_free(&memory, store->at, store->capacity * sizeof *store->at);
    rgi_free(&memory, store, sizeof *store);
}

rgi_entry *rgi_store_add(rgi_store *store, const char *name, rg_dtype dtype, rg_shape shape, rg_param_opts init,
                         bool trainable)
{
    const rg_allocator *const memory = &store->allocator;
    if (store->n == store->capacity) {
        const size_t larger = store->capacity ? store->capacity * 2 : 16;
        rgi_entry **at = rgi_grow(memory, store->at, store->capacity * sizeof *at, larger * sizeof *at);
        if (!at)
            return NULL;
        store->at = at;
        store->capacity = larger;
    }
    const size_t length = strlen(name) + 1;
    const rg_tensor view = {dtype, shape, NULL, NULL};
    rgi_entry *entry = rgi_alloc(memory, sizeof *entry);
    char *copy = rgi_alloc(memory, length);
    if (!entry || !copy) {
        rgi_free(memory, entry, sizeof *entry);
        rgi_free(memory, copy, length);
        return NULL;
    }
    memcpy(copy, name, length);
    *entry = (rgi_entry){.name = copy,
                         .dtype = dtype,
                         .shape = shape,
                         .bytes = rg_tensor_bytes(&view),
                         .init = init,
                         .trainable = trainable,
                         .index = (uint32_t)store->n};
    store->at[store->n++] = entry;
    return entry;
}

rg_status rgi_entry_memory(rgi_store *store, rgi_entry *entry)
{
    if (!entry->data)
        entry->data = rgi_alloc(&store->allocator, entry->bytes);
    return entry->data ? RG_OK
                       : rgi_fail(RG_ERR_MEMORY, "out of memory for the %zu bytes of '%s'", entry->bytes, entry->name);
}

rg_status rgi_entry_ready(rgi_store *store, rgi_entry *entry)
{
    if (entry->drawn)
        return RG_OK;
    rg_status status = rgi_entry_memory(store, entry);
    if (status == RG_OK)
        status = rgi_init_draw(store, entry, entry->data);
    entry->drawn = status == RG_OK;
    return status;
}

/* ---- for users ---- */

rg_tensor(rg_value)(rg_node *param)
{
    const rg_tensor none = {0};
    if (!param || !param->entry) {
        char label[RGI_LABEL];
        rgi_fail(RG_ERR_ARGUMENT, "rg_value: %s is no parameter or buffer",
                 rgi_format_node(param, label, sizeof label));
        return none;
    }
    rgi_entry *const e = param->entry;
    if (rgi_entry_ready(param->graph->store, e) != RG_OK)
        return none;
    return (rg_tensor){e->dtype, e->shape, e->data, NULL};
}

rg_status(rg_set)(rg_node *param, const rg_tensor *value)
{
    char label[RGI_LABEL], have[RGI_LABEL], given[RGI_LABEL];
    if (!param || !param->entry)
        return rgi_fail(RG_ERR_ARGUMENT, "rg_set: %s is no parameter or buffer",
                        rgi_format_node(param, label, sizeof label));
    rgi_entry *const e = param->entry;
    if (!value || (!value->data && e->bytes))
        return rgi_fail(RG_ERR_ARGUMENT, "rg_set: '%s' is given no value", e->name);
    if (value->dtype != e->dtype || !rg_shape_equal(value->shape, e->shape))
        return rgi_fail(value->dtype != e->dtype ? RG_ERR_DTYPE : RG_ERR_SHAPE,
                        "rg_set: '%s' is %s, the value given is %s", e->name,
                        rgi_format_type(param->graph, e->dtype, e->shape, have, sizeof have),
                        rgi_format_type(param->graph, value->dtype, value->shape, given, sizeof given));
    const rg_status status = rgi_entry_memory(param->graph->store, e);
    if (status != RG_OK)
        return status;
    if (e->bytes)
        memmove(e->data, value->data, e->bytes);
    e->drawn = true;
    e->version++;
    return RG_OK;
}
