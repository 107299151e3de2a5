/* store.h - values of parameters and buffers, shared by a graph and its plans. */
#ifndef RGI_STORE_H
#define RGI_STORE_H

#include <retrograde/graph.h>

typedef struct rgi_entry {
    const char *name;
    rg_dtype dtype;
    rg_shape shape;
    size_t bytes;
    void *data; /* aligned to 64; NULL until first use */
    rg_param_opts init;
    bool trainable;
    bool drawn;       /* data holds a value */
    uint64_t version; /* raised by assign, set and load */
    uint32_t index;   /* in the store */
} rgi_entry;

typedef struct rgi_store {
    rg_allocator allocator;
    uint32_t references; /* changed atomically */
    uint64_t seed;
    rgi_entry **at;
    size_t n, capacity;
} rgi_store;

rgi_store *rgi_store_new(const rg_allocator *allocator);
void rgi_store_retain(rgi_store *store);
void rgi_store_release(rgi_store *store);
/* A new entry without memory yet; NULL when memory is short. The name is borrowed from the graph and copied. */
rgi_entry *rgi_store_add(rgi_store *store, const char *name, rg_dtype dtype, rg_shape shape, rg_param_opts init,
                         bool trainable);
/* Makes sure there is memory for a value, for a caller that will write all of it and set `drawn`. */
rg_status rgi_entry_memory(rgi_store *store, rgi_entry *entry);
/* Makes sure data holds a value, drawing the initial one. */
rg_status rgi_entry_ready(rgi_store *store, rgi_entry *entry);
/* Writes the initial value of an entry to `out` (entry->bytes): the definition of every initialiser. */
rg_status rgi_init_draw(const rgi_store *store, const rgi_entry *entry, void *out);

#endif
