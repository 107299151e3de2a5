/* arena.c - bump allocation in growing chunks, and single blocks, from the graph's allocator. */
#define _DEFAULT_SOURCE /* madvise */
#include "arena.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define RGI_ALIGN 64
#define RGI_HUGE_PAGE ((size_t)2 << 20)
#define RGI_FIRST_CHUNK ((size_t)4096)
#define RGI_LARGEST_CHUNK ((size_t)1 << 20)

typedef struct rgi_chunk {
    struct rgi_chunk *next;
    size_t bytes;
} rgi_chunk;

/* The first allocation of a chunk stays aligned to 64. */
#define RGI_CHUNK_HEADER ((size_t)RGI_ALIGN)

/* The address sanitizer sees who leaves his part of a chunk: what is not handed out is poisoned, as is a gap behind
   each allocation, wider behind what may be a table. */
#ifdef __has_feature
#define RGI_WATCHED __has_feature(address_sanitizer)
#elif defined(__SANITIZE_ADDRESS__)
#define RGI_WATCHED 1
#else
#define RGI_WATCHED 0
#endif
#if RGI_WATCHED
#include <sanitizer/asan_interface.h>
#define RGI_GAP(bytes) ((bytes) < 256 ? (size_t)16 : (size_t)128)
#else
#define RGI_GAP(bytes) ((size_t)0)
#define ASAN_POISON_MEMORY_REGION(memory, bytes) ((void)(memory), (void)(bytes))
#define ASAN_UNPOISON_MEMORY_REGION(memory, bytes) ((void)(memory), (void)(bytes))
#endif

bool rgi_size_mul(size_t a, size_t b, size_t *out)
{
    return !__builtin_mul_overflow(a, b, out);
}

bool rgi_size_add(size_t a, size_t b, size_t *out)
{
    return !__builtin_add_overflow(a, b, out);
}

/* Blocks that hold huge pages begin at one and ask for them: first use of small pages, and finding them, costs more
   than many a kernel. What is left at the end of a block stays on small ones, so that no memory is spent on it. */
static void *default_alloc(void *user, size_t bytes)
{
    (void)user;
    size_t rounded;
    if (!rgi_size_add(bytes ? bytes : 1, RGI_ALIGN - 1, &rounded))
        return NULL;
    rounded &= ~(size_t)(RGI_ALIGN - 1);
    const size_t huge = rounded / RGI_HUGE_PAGE * RGI_HUGE_PAGE;
    void *memory;
    if (posix_memalign(&memory, huge ? RGI_HUGE_PAGE : RGI_ALIGN, rounded))
        return NULL;
#ifdef MADV_HUGEPAGE
    if (huge)
        (void)madvise(memory, huge, MADV_HUGEPAGE);
#endif
    return memory;
}

static void default_free(void *user, void *memory, size_t bytes)
{
    (void)user;
    (void)bytes;
    free(memory);
}

rg_allocator rgi_default_allocator(void)
{
    return (rg_allocator){default_alloc, default_free, NULL};
}

void *rgi_alloc(const rg_allocator *allocator, size_t bytes)
{
    void *memory = allocator->alloc(allocator->user, bytes);
    if (memory)
        memset(memory, 0, bytes);
    return memory;
}

void rgi_free(const rg_allocator *allocator, void *memory, size_t bytes)
{
    if (memory)
        allocator->free(allocator->user, memory, bytes);
}

void *rgi_grow(const rg_allocator *allocator, void *memory, size_t old_bytes, size_t new_bytes)
{
    void *larger = allocator->alloc(allocator->user, new_bytes);
    if (!larger)
        return NULL;
    if (memory)
        memcpy(larger, memory, old_bytes);
    memset((char *)larger + old_bytes, 0, new_bytes - old_bytes);
    rgi_free(allocator, memory, old_bytes);
    return larger;
}

void rgi_arena_init(rgi_arena *arena, rg_allocator allocator)
{
    *arena = (rgi_arena){.allocator = allocator};
}

void rgi_arena_finish(rgi_arena *arena)
{
    for (rgi_chunk *c = arena->chunks, *next; c; c = next) {
        next = c->next;
        ASAN_UNPOISON_MEMORY_REGION(c, c->bytes);
        rgi_free(&arena->allocator, c, c->bytes);
    }
    rgi_arena_init(arena, arena->allocator);
}

static void forbid(rgi_chunk *c)
{
    ASAN_POISON_MEMORY_REGION((char *)c + RGI_CHUNK_HEADER, c->bytes - RGI_CHUNK_HEADER);
}

static void *allow(void *memory, size_t bytes)
{
    if (memory)
        ASAN_UNPOISON_MEMORY_REGION(memory, bytes);
    return memory;
}

static rgi_chunk *new_chunk(rgi_arena *arena, size_t bytes)
{
    rgi_chunk *c = arena->allocator.alloc(arena->allocator.user, bytes);
    if (c) {
        *c = (rgi_chunk){.bytes = bytes};
        arena->total += bytes;
        forbid(c);
    }
    return c;
}

/* Something too large to share a chunk gets its own, behind the newest so that the newest goes on being filled. */
static void *alloc_alone(rgi_arena *arena, size_t bytes)
{
    size_t total;
    if (!rgi_size_add(bytes, RGI_CHUNK_HEADER, &total))
        return NULL;
    rgi_chunk *c = new_chunk(arena, total);
    if (!c)
        return NULL;
    if (arena->chunks) {
        c->next = arena->chunks->next;
        arena->chunks->next = c;
    } else {
        arena->chunks = c;
        arena->used = arena->capacity = total;
    }
    return (char *)c + RGI_CHUNK_HEADER;
}

bool rgi_arena_reset(rgi_arena *arena, size_t bytes)
{
    const size_t want = bytes > arena->total ? bytes : arena->total;
    if (want && (!arena->chunks || arena->chunks->next || arena->chunks->bytes < want)) {
        rgi_arena_finish(arena);
        arena->chunks = new_chunk(arena, want);
        if (!arena->chunks)
            return false;
        arena->capacity = want;
    }
    arena->used = want ? RGI_CHUNK_HEADER : 0;
    if (want)
        forbid(arena->chunks);
    return true;
}

size_t rgi_arena_filled(const rgi_arena *arena)
{
    return arena->total - (arena->capacity - arena->used);
}

void *rgi_arena_take(rgi_arena *arena, size_t bytes)
{
    size_t rounded;
    if (!rgi_size_add(bytes, 15 + RGI_GAP(bytes), &rounded))
        return NULL;
    rounded &= ~(size_t)15;
    if (rounded > arena->capacity - arena->used) {
        if (rounded > RGI_LARGEST_CHUNK / 4)
            return allow(alloc_alone(arena, rounded), bytes);
        size_t size = arena->total < RGI_FIRST_CHUNK ? RGI_FIRST_CHUNK : arena->total;
        size = size > RGI_LARGEST_CHUNK ? RGI_LARGEST_CHUNK : size;
        while (size < rounded + RGI_CHUNK_HEADER)
            size *= 2;
        rgi_chunk *c = new_chunk(arena, size);
        if (!c)
            return NULL;
        c->next = arena->chunks;
        arena->chunks = c;
        arena->used = RGI_CHUNK_HEADER;
        arena->capacity = size;
    }
    void *memory = (char *)arena->chunks + arena->used;
    arena->used += rounded;
    return allow(memory, bytes);
}

void *rgi_arena_alloc(rgi_arena *arena, size_t bytes)
{
    void *memory = rgi_arena_take(arena, bytes);
    return memory ? memset(memory, 0, bytes) : NULL;
}
