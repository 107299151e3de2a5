/* count_malloc.h - how often this process has allocated: malloc and its kin, interposed. */
#ifndef RETROGRADE_TESTS_COUNT_MALLOC_H
#define RETROGRADE_TESTS_COUNT_MALLOC_H

#include <stdbool.h>
#include <stddef.h>

/* Calls of malloc, calloc, realloc, aligned_alloc, memalign and posix_memalign so far, on all threads. */
size_t count_malloc(void);
/* Whether calls are seen at all: not where a sanitizer has its own allocator. */
bool count_malloc_works(void);

/* From now on the k-th of these calls and all after it fail; 0 heals. Returns whether one has failed before. */
bool count_malloc_fail(size_t k);

#endif
