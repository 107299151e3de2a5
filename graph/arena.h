/* arena.h - memory that lives as long as its graph: bump allocation in growing chunks. */
#ifndef RGI_ARENA_H
#define RGI_ARENA_H

#include <retrograde/base.h>

typedef struct rgi_arena {
    rg_allocator allocator;
    struct rgi_chunk *chunks;
    size_t used, capacity; /* of the newest chunk */
    size_t total;          /* bytes taken from the allocator */
} rgi_arena;

/* malloc with 64-byte alignment. */
rg_allocator rgi_default_allocator(void);

void rgi_arena_init(rgi_arena *arena, rg_allocator allocator);
void rgi_arena_finish(rgi_arena *arena);
/* Forgets what is in it, and keeps its memory: in one piece, of `bytes` at least. False when memory is short. */
bool rgi_arena_reset(rgi_arena *arena, size_t bytes);
/* Bytes in use. */
size_t rgi_arena_filled(const rgi_arena *arena);
/* Zeroed, aligned to 16; NULL when memory is short. */
void *rgi_arena_alloc(rgi_arena *arena, size_t bytes);
/* The same for what is written as a whole: with undefined contents. */
void *rgi_arena_take(rgi_arena *arena, size_t bytes);

/* Zeroed memory with its own life, from the same allocator. */
void *rgi_alloc(const rg_allocator *allocator, size_t bytes);
void rgi_free(const rg_allocator *allocator, void *memory, size_t bytes);
/* Moves to a larger block, the new part zeroed; NULL leaves the old one as it was. */
void *rgi_grow(const rg_allocator *allocator, void *memory, size_t old_bytes, size_t new_bytes);

/* a * b and a + b; false when they do not fit. */
bool rgi_size_mul(size_t a, size_t b, size_t *out);
bool rgi_size_add(size_t a, size_t b, size_t *out);

#endif
