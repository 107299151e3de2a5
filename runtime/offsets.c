/* offsets.c - placing buffers in the slab: largest first, each at the lowest offset where nothing that lives at the same
   time lies (greedy by size; Pisarchyk and Lee 2020). Very many buffers are placed in order of time instead, on the places of dead ones of their size. */
#include "plan.h"

#include <stdlib.h>
#include <string.h>

#define RGI_ALIGN 64
#define RGI_QUADRATIC 4000 /* buffers up to which every pair may be looked at */

static size_t rounded(size_t bytes)
{
    return (bytes + RGI_ALIGN - 1) / RGI_ALIGN * RGI_ALIGN;
}

static int by_size(const void *x, const void *y)
{
    const rgi_buffer *const *a = x, *const *b = y;
    if ((*a)->bytes != (*b)->bytes)
        return (*a)->bytes < (*b)->bytes ? 1 : -1;
    return (*a)->first != (*b)->first ? ((*a)->first < (*b)->first ? -1 : 1) : (*a < *b ? -1 : 1);
}

static int by_time(const void *x, const void *y)
{
    const rgi_buffer *const *a = x, *const *b = y;
    return (*a)->first != (*b)->first ? ((*a)->first < (*b)->first ? -1 : 1) : (*a < *b ? -1 : 1);
}

/* Whether no run has both. */
static bool exclusive(const rgi_buffer *a, const rgi_buffer *b)
{
    return a->choice && a->choice == b->choice && a->taken != b->taken;
}

/* What has been placed, sorted by offset: in columns, so that many lifetimes are looked at together. */
typedef struct placed {
    size_t n, *offset, *end;
    int32_t *first, *last;
    const rgi_buffer **buffer;
} placed;

#define RGI_TOGETHER 32

/* Which of the next RGI_TOGETHER buffers from `at` are alive at the buffer's time: a byte each. */
static void find_alive(const placed *y, size_t at, const rgi_buffer *b, uint8_t alive[RGI_TOGETHER])
{
    const int32_t first = (int32_t)b->first,
                  last = (int32_t)b->last, *const begins = y->first + at, *const ends = y->last + at;
    for (size_t i = 0; i < RGI_TOGETHER; i++)
        alive[i] = (uint8_t)((ends[i] >= first) & (begins[i] <= last));
}

/* The lowest gap that is wide enough at the buffer's time. */
static size_t lowest_gap(const placed *y, const rgi_buffer *b)
{
    const size_t bytes = rounded(b->bytes);
    size_t end = 0;
    for (size_t i = 0; i < y->n; i += RGI_TOGETHER) {
        uint8_t alive[RGI_TOGETHER];
        find_alive(y, i, b, alive);
        for (size_t k = 0; k < RGI_TOGETHER; k += sizeof(uint64_t)) {
            uint64_t eight;
            memcpy(&eight, alive + k, sizeof eight);
            eight = __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__ ? __builtin_bswap64(eight) : eight;
            for (; eight; eight &= eight - 1) {
                const size_t j = i + k + (size_t)__builtin_ctzll(eight) / 8;
                if (j >= y->n || (b->choice && exclusive(y->buffer[j], b)))
                    continue;
                if (y->offset[j] >= end + bytes)
                    return end;
                end = y->end[j] > end ? y->end[j] : end;
            }
        }
    }
    return end;
}

/* Behind all whose offset is no larger. */
static void insert(placed *y, const rgi_buffer *b)
{
    size_t low = 0, high = y->n;
    while (low < high) {
        const size_t middle = (low + high) / 2;
        if (y->offset[middle] > b->offset)
            high = middle;
        else
            low = middle + 1;
    }
    const size_t behind = y->n++ - low;
    memmove(y->offset + low + 1, y->offset + low, behind * sizeof *y->offset);
    memmove(y->end + low + 1, y->end + low, behind * sizeof *y->end);
    memmove(y->first + low + 1, y->first + low, behind * sizeof *y->first);
    memmove(y->last + low + 1, y->last + low, behind * sizeof *y->last);
    memmove(y->buffer + low + 1, y->buffer + low, behind * sizeof *y->buffer);
    y->offset[low] = b->offset;
    y->end[low] = b->offset + rounded(b->bytes);
    y->first[low] = (int32_t)b->first;
    y->last[low] = (int32_t)b->last;
    y->buffer[low] = b;
}

static bool place_by_size(rgi_arena *temporary, rgi_buffer *const *order, size_t n)
{
    const size_t room = n + RGI_TOGETHER;
    placed y = {.n = 0};
    y.offset = rgi_arena_alloc(temporary, room * (2 * sizeof *y.offset + 2 * sizeof *y.first + sizeof *y.buffer));
    if (!y.offset)
        return false;
    y.end = y.offset + room;
    y.buffer = (const rgi_buffer **)(void *)(y.end + room);
    y.first = (int32_t *)(void *)(y.buffer + room);
    y.last = y.first + room;
    for (size_t i = 0; i < n; i++) {
        order[i]->offset = lowest_gap(&y, order[i]);
        insert(&y, order[i]);
    }
    return true;
}

/* Linear in their number: in order of time, each buffer takes the place of a dead one of its size, or a new one. */
typedef struct shelf {
    size_t bytes; /* of the places on it */
    rgi_buffer *top;
} shelf;

typedef struct by_time_room {
    shelf *shelves; /* open addressing by size */
    size_t n_shelves;
    rgi_buffer **below;  /* by buffer: the next place on its shelf */
    rgi_buffer **ending; /* by position: the buffers that end there ... */
    rgi_buffer **next;   /* ... linked */
} by_time_room;

static shelf *shelf_of(const by_time_room *r, size_t bytes)
{
    size_t at = bytes / RGI_ALIGN * 0x9E3779B97F4A7C15u % r->n_shelves;
    while (r->shelves[at].bytes && r->shelves[at].bytes != bytes)
        at = (at + 1) % r->n_shelves;
    r->shelves[at].bytes = bytes;
    return &r->shelves[at];
}

static void place_by_time(const by_time_room *r, rgi_buffer *buffers, rgi_buffer *const *order, size_t n)
{
    size_t end = 0;
    uint32_t swept = 0;
    for (size_t i = 0; i < n; i++) {
        rgi_buffer *b = order[i];
        for (; swept < b->first; swept++)
            for (rgi_buffer *dead = r->ending[swept]; dead; dead = r->next[dead - buffers]) {
                shelf *s = shelf_of(r, rounded(dead->bytes));
                r->below[dead - buffers] = s->top;
                s->top = dead;
            }
        shelf *s = shelf_of(r, rounded(b->bytes));
        if (s->top && b->bytes) {
            b->offset = s->top->offset;
            s->top = r->below[s->top - buffers];
        } else {
            b->offset = end;
            end += rounded(b->bytes);
        }
        r->next[b - buffers] = r->ending[b->last];
        r->ending[b->last] = b;
    }
}

static bool place_many(rgi_arena *temporary, rgi_buffer *buffers, rgi_buffer *const *order, size_t n,
                       uint32_t positions)
{
    by_time_room r = {.n_shelves = 2 * n + 1};
    r.shelves = rgi_arena_alloc(temporary, r.n_shelves * sizeof *r.shelves);
    r.below = rgi_arena_alloc(temporary, (2 * n + positions + 3) * sizeof *r.below);
    if (!r.shelves || !r.below)
        return false;
    r.next = r.below + n;
    r.ending = r.next + n;
    place_by_time(&r, buffers, order, n);
    return true;
}

static size_t peak_of(const rgi_buffer *buffers, size_t n, int64_t *change, uint32_t positions)
{
    for (size_t i = 0; i < n; i++) {
        change[buffers[i].first] += (int64_t)rounded(buffers[i].bytes);
        change[buffers[i].last + 1] -= (int64_t)rounded(buffers[i].bytes);
    }
    int64_t now = 0, peak = 0;
    for (uint32_t i = 0; i <= positions; i++) {
        now += change[i];
        peak = now > peak ? now : peak;
    }
    return (size_t)peak;
}

bool rgi_offsets(rgi_arena *temporary, rgi_buffer *buffers, size_t n, uint32_t positions, size_t *total, size_t *peak)
{
    rgi_buffer **order = rgi_arena_alloc(temporary, (n + 1) * sizeof *order);
    int64_t *change = rgi_arena_alloc(temporary, ((size_t)positions + 3) * sizeof *change);
    *total = *peak = 0;
    if (!order || !change)
        return false;
    for (size_t i = 0; i < n; i++)
        order[i] = &buffers[i];
    qsort(order, n, sizeof *order, n <= RGI_QUADRATIC ? by_size : by_time);
    if (!(n <= RGI_QUADRATIC ? place_by_size(temporary, order, n)
                             : place_many(temporary, buffers, order, n, positions)))
        return false;
    for (size_t i = 0; i < n; i++) {
        const size_t end = buffers[i].offset + rounded(buffers[i].bytes);
        *total = end > *total ? end : *total;
    }
    *peak = peak_of(buffers, n, change, positions + 1);
    *peak = *peak < *total ? *peak : *total; /* of what is exclusive both were counted */
    return true;
}
