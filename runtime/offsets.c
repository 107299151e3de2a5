/* offsets.c - placing buffers in the slab: largest first, each at the lowest offset where nothing that lives at the same
   time lies (greedy by size; Pisarchyk and Lee 2020). Very many buffers are placed in order of time instead, on the places of dead ones of their size. */
#include "plan.h"

#include <stdlib.h>

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

/* `placed` is sorted by offset. Returns the lowest gap that is wide enough at the buffer's time. */
static size_t lowest_gap(rgi_buffer *const *placed, size_t n, const rgi_buffer *b)
{
    size_t end = 0;
    for (size_t i = 0; i < n; i++) {
        const rgi_buffer *other = placed[i];
        if (other->last < b->first || other->first > b->last || exclusive(other, b))
            continue;
        if (other->offset >= end + rounded(b->bytes))
            break;
        const size_t after = other->offset + rounded(other->bytes);
        end = after > end ? after : end;
    }
    return end;
}

static void insert(rgi_buffer **placed, size_t n, rgi_buffer *b)
{
    size_t i = n;
    for (; i > 0 && placed[i - 1]->offset > b->offset; i--)
        placed[i] = placed[i - 1];
    placed[i] = b;
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

static bool place_many(const rg_allocator *a, rgi_buffer *buffers, rgi_buffer *const *order, size_t n,
                       uint32_t positions)
{
    by_time_room r = {.n_shelves = 2 * n + 1};
    const size_t pointers = (2 * n + positions + 3) * sizeof(rgi_buffer *);
    r.shelves = rgi_alloc(a, r.n_shelves * sizeof *r.shelves);
    r.below = rgi_alloc(a, pointers);
    const bool ok = r.shelves && r.below;
    if (ok) {
        r.next = r.below + n;
        r.ending = r.next + n;
        place_by_time(&r, buffers, order, n);
    }
    rgi_free(a, r.shelves, r.n_shelves * sizeof *r.shelves);
    rgi_free(a, r.below, pointers);
    return ok;
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

bool rgi_offsets(const rg_allocator *allocator, rgi_buffer *buffers, size_t n, uint32_t positions, size_t *total,
                 size_t *peak)
{
    const size_t pointers = (2 * n + 1) * sizeof(rgi_buffer *), changes = ((size_t)positions + 3) * sizeof(int64_t);
    rgi_buffer **order = rgi_alloc(allocator, pointers);
    int64_t *change = rgi_alloc(allocator, changes);
    bool ok = order && change;
    *total = *peak = 0;
    if (ok) {
        rgi_buffer **placed = order + n;
        for (size_t i = 0; i < n; i++)
            order[i] = &buffers[i];
        qsort(order, n, sizeof *order, n <= RGI_QUADRATIC ? by_size : by_time);
        if (n > RGI_QUADRATIC)
            ok = place_many(allocator, buffers, order, n, positions);
        for (size_t i = 0; n <= RGI_QUADRATIC && i < n; i++) {
            order[i]->offset = lowest_gap(placed, i, order[i]);
            insert(placed, i, order[i]);
        }
        for (size_t i = 0; i < n; i++) {
            const size_t end = buffers[i].offset + rounded(buffers[i].bytes);
            *total = end > *total ? end : *total;
        }
        *peak = peak_of(buffers, n, change, positions + 1);
        *peak = *peak < *total ? *peak : *total; /* of what is exclusive both were counted */
    }
    rgi_free(allocator, order, pointers);
    rgi_free(allocator, change, changes);
    return ok;
}
