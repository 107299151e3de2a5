/* sets.c - interned sets. Neighbouring elements of a tensor mostly depend on the same few variables, and what is the
   same is compared by its number. */
#include "sets.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <stdlib.h>
#include <string.h>

/* Room for `more` behind n in an array; false when memory is short. */
static bool reserve(rgi_sets *s, void *array, size_t n, size_t more, size_t *capacity, size_t size)
{
    if (n + more <= *capacity)
        return true;
    const size_t larger = 2 * *capacity > n + more ? 2 * *capacity : n + more + 64;
    void *old, *grown;
    memcpy(&old, array, sizeof old);
    grown = rgi_grow(s->allocator, old, *capacity * size, larger * size);
    if (!grown)
        return false;
    memcpy(array, &grown, sizeof grown);
    *capacity = larger;
    return true;
}

static uint32_t fail(rgi_sets *s)
{
    s->failed = true;
    return 0;
}

static bool rehash(rgi_sets *s)
{
    const size_t larger = s->n_buckets ? 2 * s->n_buckets : 1024;
    uint32_t *buckets = rgi_alloc(s->allocator, larger * sizeof *buckets);
    if (!buckets)
        return false;
    for (uint32_t set = 0; set < s->n; set++) {
        size_t at = XXH3_64bits(rgi_set_at(s, set), rgi_set_size(s, set) * sizeof(uint32_t)) & (larger - 1);
        while (buckets[at])
            at = (at + 1) & (larger - 1);
        buckets[at] = set + 1;
    }
    rgi_free(s->allocator, s->buckets, s->n_buckets * sizeof *buckets);
    s->buckets = buckets;
    s->n_buckets = larger;
    return true;
}

/* The number of the set with these items, in ascending order. */
static uint32_t intern(rgi_sets *s, const uint32_t *items, size_t n)
{
    if (2 * s->n >= s->n_buckets && !rehash(s))
        return fail(s);
    size_t at = XXH3_64bits(items, n * sizeof *items) & (s->n_buckets - 1);
    for (; s->buckets[at]; at = (at + 1) & (s->n_buckets - 1)) {
        const uint32_t set = s->buckets[at] - 1;
        if (rgi_set_size(s, set) == n && !memcmp(rgi_set_at(s, set), items, n * sizeof *items))
            return set;
    }
    if (s->n >= UINT32_MAX - 1 || !reserve(s, &s->items, s->n_items, n, &s->item_capacity, sizeof *s->items) ||
        !reserve(s, &s->seen_set, s->n, 2, &s->seen_capacity, sizeof *s->seen_set) ||
        !reserve(s, &s->first, s->n, 2, &s->capacity, sizeof *s->first))
        return fail(s);
    if (n)
        memcpy(s->items + s->n_items, items, n * sizeof *items);
    s->n_items += n;
    s->first[s->n + 1] = s->n_items;
    s->buckets[at] = (uint32_t)++s->n;
    return (uint32_t)s->n - 1;
}

bool rgi_sets_begin(rgi_sets *s, const rg_allocator *allocator, size_t limit)
{
    *s = (rgi_sets){.allocator = allocator, .limit = limit};
    s->seen = rgi_alloc(allocator, (2 * limit + 1) * sizeof *s->seen);
    s->united = s->seen ? s->seen + limit : NULL;
    s->pairs = rgi_alloc(allocator, RGI_PAIRS * sizeof *s->pairs);
    return s->seen && s->pairs && intern(s, NULL, 0) == 0 && !s->failed;
}

void rgi_sets_end(rgi_sets *s)
{
    rgi_free(s->allocator, s->items, s->item_capacity * sizeof *s->items);
    rgi_free(s->allocator, s->first, s->capacity * sizeof *s->first);
    rgi_free(s->allocator, s->seen_set, s->seen_capacity * sizeof *s->seen_set);
    rgi_free(s->allocator, s->buckets, s->n_buckets * sizeof *s->buckets);
    rgi_free(s->allocator, s->seen, (2 * s->limit + 1) * sizeof *s->seen);
    rgi_free(s->allocator, s->pairs, RGI_PAIRS * sizeof *s->pairs);
}

uint32_t rgi_set_of(rgi_sets *s, uint32_t number)
{
    return intern(s, &number, 1);
}

static int ascending(const void *a, const void *b)
{
    const uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

/* Into s->united, in ascending order: what was met in this round. */
static void sort_united(rgi_sets *s, size_t n)
{
    if (n < s->limit / 8) {
        qsort(s->united, n, sizeof *s->united, ascending);
        return;
    }
    n = 0;
    for (uint32_t i = 0; i < s->limit; i++)
        if (s->seen[i] == s->round)
            s->united[n++] = i;
}

static uint32_t join(rgi_sets *s, const uint32_t *sets, size_t n)
{
    size_t k = 0;
    uint32_t largest = 0;
    s->round++;
    for (size_t j = 0; j < n; j++) {
        const uint32_t set = sets[j];
        if (s->seen_set[set] == s->round)
            continue;
        s->seen_set[set] = s->round;
        largest = rgi_set_size(s, set) > rgi_set_size(s, largest) ? set : largest;
        for (size_t i = s->first[set]; i < s->first[set + 1]; i++)
            if (s->seen[s->items[i]] != s->round) {
                s->seen[s->items[i]] = s->round;
                s->united[k++] = s->items[i];
            }
    }
    if (k == rgi_set_size(s, largest))
        return largest;
    sort_united(s, k);
    return intern(s, s->united, k);
}

uint32_t rgi_set_join(rgi_sets *s, const uint32_t *sets, size_t n)
{
    uint32_t a = 0, b = 0;
    bool more = false;
    for (size_t i = 0; i < n && !more; i++) {
        const uint32_t set = sets[i];
        if (!set || set == a || set == b)
            continue;
        more = a && b;
        *(a ? &b : &a) = more ? b : set;
    }
    if (s->failed || !b)
        return s->failed ? 0 : a;
    if (more)
        return join(s, sets, n);
    struct rgi_pair *known = &s->pairs[(a * 2654435761u ^ b * 2246822519u) % RGI_PAIRS];
    if (known->a != a || known->b != b)
        *known = (struct rgi_pair){a, b, join(s, (const uint32_t[]){a, b}, 2)};
    return s->failed ? 0 : known->of;
}
