/* count_malloc.c - the allocation functions of glibc, counted. A sanitizer brings its own and must keep them. */
#include "count_malloc.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || !defined(__GLIBC__)
#define SANITIZED 1
#endif

static atomic_size_t calls, fail_from;
static atomic_bool failed;

size_t count_malloc(void)
{
    return atomic_load(&calls);
}

bool count_malloc_fail(size_t k)
{
    const bool before = atomic_exchange(&failed, false);
    atomic_store(&fail_from, k ? atomic_load(&calls) + k : 0);
    return before;
}

#ifdef SANITIZED

bool count_malloc_works(void)
{
    return false;
}

#else

void *__libc_malloc(size_t bytes);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *memory, size_t bytes);
void *__libc_memalign(size_t alignment, size_t bytes);
void *memalign(size_t alignment, size_t bytes);
int posix_memalign(void **out, size_t alignment, size_t bytes);

bool count_malloc_works(void)
{
    const size_t before = count_malloc();
    void *volatile memory = malloc(1);
    free(memory);
    return count_malloc() > before;
}

/* Counts a call; false if it is to fail. */
static bool counted(void)
{
    const size_t call = atomic_fetch_add(&calls, 1) + 1, from = atomic_load(&fail_from);
    if (!from || call < from)
        return true;
    atomic_store(&failed, true);
    errno = ENOMEM;
    return false;
}

void *malloc(size_t bytes)
{
    return counted() ? __libc_malloc(bytes) : NULL;
}

void *calloc(size_t n, size_t size)
{
    return counted() ? __libc_calloc(n, size) : NULL;
}

void *realloc(void *memory, size_t bytes)
{
    return counted() ? __libc_realloc(memory, bytes) : NULL;
}

void *memalign(size_t alignment, size_t bytes)
{
    return counted() ? __libc_memalign(alignment, bytes) : NULL;
}

void *aligned_alloc(size_t alignment, size_t bytes)
{
    return memalign(alignment, bytes);
}

int posix_memalign(void **out, size_t alignment, size_t bytes)
{
    void *memory = memalign(alignment, bytes);
    if (!memory)
        return ENOMEM;
    *out = memory;
    return 0;
}

#endif
