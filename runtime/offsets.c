/* offsets.c - placing buffers in the slab: largest first, each at the lowest offset where nothing that lives at the
   same time lies (greedy by size; Pisarchyk and Lee 2020). Where that leaves holes, what makes the peak is placed
   first, and others by and by. Very many buffers are placed in order of time instead, on the places of dead ones of
   their size. */
#include "plan.h"

#include <stdlib.h>
#include <string.h>

#define RGI_ALIGN 64
#define RGI_QUADRATIC 4000 /* buffers up to which every pair may be looked at */
#define RGI_TRIES 8        /* placements looked for ... */
#define RGI_CLOSE 256      /* ... until one is so close to the peak, as a part of it */

static size_t rounded(size_t bytes)
{
    return (bytes + RGI_ALIGN - 1) / RGI_ALIGN * RGI_ALIGN;
}

static size_t end_of(const rgi_buffer *b)
{
    return b->offset + rounded(b->bytes);
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

static int by_span(const void *x, const void *y)
{
    const rgi_buffer *const *a = x, *const *b = y;
    const uint32_t m = (*a)->last - (*a)->first, n = (*b)->last - (*b)->first;
    return m != n ? (m < n ? 1 : -1) : by_size(x, y);
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

static bool make_room(rgi_arena *temporary, placed *y, size_t n)
{
    const size_t room = n + RGI_TOGETHER;
    y->offset = rgi_arena_alloc(temporary, room * (2 * sizeof *y->offset + sizeof *y->buffer + 2 * sizeof *y->first));
    if (!y->offset)
        return false;
    y->end = y->offset + room;
    y->buffer = (const rgi_buffer **)(void *)(y->end + room);
    y->first = (int32_t *)(void *)(y->buffer + room);
    y->last = y->first + room;
    return true;
}

/* Places the buffers in an order, and returns where the last one ends. */
static size_t place_in_order(placed *y, rgi_buffer *const *order, size_t n)
{
    size_t total = 0;
    y->n = 0;
    for (size_t i = 0; i < n; i++) {
        order[i]->offset = lowest_gap(y, order[i]);
        insert(y, order[i]);
        const size_t end = end_of(order[i]);
        total = end > total ? end : total;
    }
    return total;
}

/* Those alive at a position in front, longest-lived first; the others keep their order. */
static void bring_forward(rgi_buffer **order, rgi_buffer **others, size_t n, uint32_t at)
{
    size_t alive = 0, rest = 0;
    for (size_t i = 0; i < n; i++)
        if (order[i]->first <= at && at <= order[i]->last)
            order[alive++] = order[i];
        else
            others[rest++] = order[i];
    memcpy(order + alive, others, rest * sizeof *others);
    qsort(order, alive, sizeof *order, by_span);
}

/* What makes the peak is placed first, without holes; then whatever stands out at the top before it, and so on: the
   best placement counts. */
static bool improve(rgi_arena *temporary, placed *y, rgi_buffer **order, size_t n, uint32_t at, size_t peak,
                    size_t total)
{
    size_t *best = rgi_arena_alloc(temporary, n * (sizeof *best + 2 * sizeof *order));
    if (!best)
        return false;
    rgi_buffer **whose = (rgi_buffer **)(void *)(best + n);
    for (size_t i = 0; i < n; i++) {
        best[i] = order[i]->offset;
        whose[i] = order[i];
    }
    bring_forward(order, whose + n, n, at);
    for (int k = 0; k < RGI_TRIES && total - peak > peak / RGI_CLOSE; k++) {
        const size_t end = place_in_order(y, order, n);
        for (size_t i = 0; end < total && i < n; i++)
            best[i] = whose[i]->offset;
        total = end < total ? end : total;
        size_t top = 0;
        for (size_t i = 1; i < n; i++)
            top = end_of(order[i]) > end_of(order[top]) ? i : top;
        rgi_buffer *const moved = order[top];
        memmove(order + 1, order, top * sizeof *order);
        order[0] = moved;
    }
    for (size_t i = 0; i < n; i++)
        whose[i]->offset = best[i];
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

/* *at: where it is. */
static size_t peak_of(const rgi_buffer *buffers, size_t n, int64_t *change, uint32_t positions, uint32_t *at)
{
    for (size_t i = 0; i < n; i++) {
        change[buffers[i].first] += (int64_t)rounded(buffers[i].bytes);
        change[buffers[i].last + 1] -= (int64_t)rounded(buffers[i].bytes);
    }
    int64_t now = 0, peak = 0;
    for (uint32_t i = 0; i <= positions; i++) {
        now += change[i];
        *at = now > peak ? i : *at;
        peak = now > peak ? now : peak;
    }
    return (size_t)peak;
}

bool rgi_offsets(rgi_arena *temporary, rgi_buffer *buffers, size_t n, uint32_t positions, size_t *total, size_t *peak)
{
    rgi_buffer **order = rgi_arena_alloc(temporary, (n + 1) * sizeof *order);
    int64_t *change = rgi_arena_alloc(temporary, ((size_t)positions + 3) * sizeof *change);
    const bool few = n <= RGI_QUADRATIC;
    uint32_t at = 0;
    placed y;
    *total = *peak = 0;
    if (!order || !change)
        return false;
    for (size_t i = 0; i < n; i++)
        order[i] = &buffers[i];
    qsort(order, n, sizeof *order, few ? by_size : by_time);
    *peak = peak_of(buffers, n, change, positions + 1, &at);
    if (!few && !place_many(temporary, buffers, order, n, positions))
        return false;
    if (few && !make_room(temporary, &y, n))
        return false;
    *total = few ? place_in_order(&y, order, n) : 0;
    if (few && *total > *peak && *total - *peak > *peak / RGI_CLOSE &&
        !improve(temporary, &y, order, n, at, *peak, *total))
        return false;
    *total = 0;
    for (size_t i = 0; i < n; i++) {
        const size_t end = end_of(&buffers[i]);
        *total = end > *total ? end : *total;
    }
    *peak = *peak < *total ? *peak : *total; /* of what is exclusive both were counted */
    return true;
}
