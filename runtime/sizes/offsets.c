/* offsets.c - placing buffers in the slab: what makes the peak first, then the largest, each at the lowest offset where
   nothing that lives at the same time lies (greedy by size; Pisarchyk and Lee 2020). What lives equally long is taken
   as one; where that leaves holes, each for itself, and then other orders are tried. Of many buffers the smallest, if
   they do not count, and of very many all are placed in order of time instead, on the places of dead ones of their
   size. */
#include "../plan.h"

#include <stdlib.h>
#include <string.h>

#define RGI_ALIGN 64
#define RGI_QUADRATIC 4000 /* buffers up to which every pair may be looked at */
#define RGI_MANY 200       /* buffers from which on the smallest may lie above all others ... */
#define RGI_TRIES 8        /* placements looked for ... */
#define RGI_CLOSE 256 /* ... until one is so close to the peak, as a part of it; which does not count, either ... */
#define RGI_PAGE 4096 /* ... or in bytes */

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

/* Whether no run has both. */
static bool exclusive(const rgi_buffer *a, const rgi_buffer *b)
{
    return a->choice && a->choice == b->choice && a->taken != b->taken;
}

typedef struct spot {
    size_t offset, end;
} spot;

/* What has been placed, sorted by offset; lifetimes for themselves, so that many are looked at together. Of a position
   all that counts is how many buffers begin there or before, or rather, at how many different positions: first <= last
   of another one where that is so of these numbers. */
typedef struct placed {
    size_t n;
    spot *at;
    const rgi_buffer **whose; /* NULL: no two of them exclude each other */
    int16_t *first, *last;
    int16_t *rank; /* by position */
} placed;

#define RGI_TOGETHER 32

/* Which of the next RGI_TOGETHER buffers from `at` are alive between two ranks: a byte each. */
static void find_alive(const placed *y, size_t at, int16_t first, int16_t last, uint8_t alive[RGI_TOGETHER])
{
    const int16_t *const firsts = y->first + at, *const lasts = y->last + at;
    for (size_t i = 0; i < RGI_TOGETHER; i++)
        alive[i] = (uint8_t)((firsts[i] <= last) & (lasts[i] >= first));
}

/* The lowest gap that is wide enough at the buffer's time. */
static size_t lowest_gap(const placed *y, const rgi_buffer *b)
{
    const size_t bytes = rounded(b->bytes);
    const int16_t first = y->rank[b->first], last = y->rank[b->last];
    const rgi_buffer **const whose = b->choice ? y->whose : NULL;
    size_t end = 0;
    for (size_t i = 0; i < y->n; i += RGI_TOGETHER) {
        uint8_t alive[RGI_TOGETHER];
        find_alive(y, i, first, last, alive);
        for (size_t k = 0; k < RGI_TOGETHER; k += sizeof(uint64_t)) {
            uint64_t eight;
            memcpy(&eight, alive + k, sizeof eight);
            eight = __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__ ? __builtin_bswap64(eight) : eight;
            for (; eight; eight &= eight - 1) {
                const size_t j = i + k + (size_t)__builtin_ctzll(eight) / 8;
                if (whose && exclusive(whose[j], b))
                    continue;
                if (y->at[j].offset >= end + bytes)
                    return end;
                end = y->at[j].end > end ? y->at[j].end : end;
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
        if (y->at[middle].offset > b->offset)
            high = middle;
        else
            low = middle + 1;
    }
    const size_t behind = y->n++ - low;
    memmove(y->at + low + 1, y->at + low, behind * sizeof *y->at);
    memmove(y->first + low + 1, y->first + low, behind * sizeof *y->first);
    memmove(y->last + low + 1, y->last + low, behind * sizeof *y->last);
    y->at[low] = (spot){b->offset, end_of(b)};
    y->first[low] = y->rank[b->first];
    y->last[low] = y->rank[b->last];
    if (y->whose) {
        memmove(y->whose + low + 1, y->whose + low, behind * sizeof *y->whose);
        y->whose[low] = b;
    }
}

static bool make_room(rgi_arena *temporary, placed *y, rgi_buffer *const *order, size_t n, uint32_t positions)
{
    const size_t room = n + RGI_TOGETHER;
    bool choices = false;
    for (size_t i = 0; i < n; i++)
        choices = choices || order[i]->choice;
    y->at = rgi_arena_take(temporary, n * sizeof *y->at);
    y->whose = choices ? rgi_arena_take(temporary, n * sizeof *y->whose) : NULL;
    y->first = rgi_arena_take(temporary, 2 * room * sizeof *y->first);
    y->rank = rgi_arena_alloc(temporary, ((size_t)positions + 1) * sizeof *y->rank);
    if (!y->at || (choices && !y->whose) || !y->first || !y->rank)
        return false;
    y->last = y->first + room;
    for (size_t i = 0; i < n; i++)
        y->rank[order[i]->first] = 1;
    int16_t rank = 0;
    for (uint32_t i = 0; i <= positions; i++)
        y->rank[i] = rank = (int16_t)(rank + y->rank[i]);
    return true;
}

/* Places the buffers in an order until one ends at `limit` or behind it, or all are placed. *top: the number of that
   one, or of the one that ends last; returns where. */
static size_t place_in_order(placed *y, rgi_buffer *const *order, size_t n, size_t limit, size_t *top)
{
    size_t total = 0;
    y->n = *top = 0;
    for (size_t i = 0; i < n + RGI_TOGETHER; i++) { /* never */
        y->first[i] = INT16_MAX;
        y->last[i] = -1;
    }
    for (size_t i = 0; i < n && total < limit; i++) {
        order[i]->offset = lowest_gap(y, order[i]);
        insert(y, order[i]);
        const size_t end = end_of(order[i]);
        *top = end > total ? i : *top;
        total = end > total ? end : total;
    }
    return total;
}

/* `order`, but those alive at a position in front, longest-lived first. NULL: out of memory. */
static rgi_buffer **bring_forward(rgi_arena *temporary, rgi_buffer *const *order, size_t n, uint32_t at,
                                  uint32_t positions)
{
    rgi_buffer **const out = rgi_arena_take(temporary, (n + 1) * sizeof *out);
    uint32_t *const place = rgi_arena_alloc(temporary, ((size_t)positions + 2) * sizeof *place); /* by what is left */
    if (!out || !place)
        return NULL;
    uint32_t alive = 0;
    for (size_t i = 0; i < n; i++)
        if (order[i]->first <= at && at <= order[i]->last) {
            place[positions - (order[i]->last - order[i]->first) + 1]++;
            alive++;
        }
    for (uint32_t i = 1; i <= positions; i++)
        place[i] += place[i - 1];
    for (size_t i = 0; i < n; i++) {
        rgi_buffer *const b = order[i];
        const bool then = b->first <= at && at <= b->last;
        out[then ? place[positions - (b->last - b->first)]++ : alive++] = b;
    }
    return out;
}

/* Buffers that live equally long, as one: where the first of them, the largest, stands in an order. */
typedef struct bundles {
    rgi_buffer *at, **order;
    size_t n;
    uint32_t *of;   /* by buffer of the order: its bundle ... */
    size_t *within; /* ... and where it lies in it */
} bundles;

static bool bind_together(rgi_arena *temporary, const placed *y, rgi_buffer *const *order, size_t n, uint32_t positions,
                          bundles *out)
{
    uint32_t *const newest =
                        rgi_arena_alloc(temporary, ((size_t)positions + 1) * sizeof *newest), /* by where it begins */
        *const next = rgi_arena_take(temporary, 2 * (n + 1) * sizeof *next);
    *out = (bundles){.at = rgi_arena_take(temporary, (n + 1) * sizeof *out->at),
                     .order = rgi_arena_take(temporary, (n + 1) * sizeof(rgi_buffer *)),
                     .of = next ? next + n + 1 : NULL,
                     .within = rgi_arena_take(temporary, (n + 1) * sizeof *out->within)};
    if (!newest || !next || !out->at || !out->order || !out->within)
        return false;
    for (size_t i = 0; i < n; i++) {
        const rgi_buffer *const b = order[i];
        const int16_t first = y->rank[b->first], last = y->rank[b->last];
        uint32_t k = newest[first];
        while (k && (y->rank[out->at[k - 1].last] != last || out->at[k - 1].choice != b->choice ||
                     out->at[k - 1].taken != b->taken))
            k = next[k - 1];
        if (!k) {
            out->at[out->n] = *b;
            out->at[out->n].bytes = 0;
            out->order[out->n] = &out->at[out->n];
            next[out->n] = newest[first];
            k = newest[first] = (uint32_t)++out->n;
        }
        out->of[i] = k - 1;
        out->within[i] = out->at[k - 1].bytes;
        out->at[k - 1].bytes += rounded(b->bytes);
    }
    return true;
}

/* Places what lives equally long as one: *done, where that takes no more than the peak. */
static bool place_bundles(rgi_arena *temporary, placed *y, rgi_buffer *const *order, size_t n, uint32_t at,
                          uint32_t positions, size_t peak, bool *done)
{
    const size_t many = n - n / 5; /* to place so many takes as long as to place all */
    bundles x;
    *done = false;
    if ((size_t)y->rank[positions] > many)
        return true;
    if (!bind_together(temporary, y, order, n, positions, &x))
        return false;
    if (x.n > many)
        return true;
    size_t unused;
    rgi_buffer **const forward = bring_forward(temporary, x.order, x.n, at, positions);
    if (!forward)
        return false;
    *done = place_in_order(y, forward, x.n, peak + 1, &unused) <= peak;
    for (size_t i = 0; *done && i < n; i++)
        order[i]->offset = x.at[x.of[i]].offset + x.within[i];
    return true;
}

/* First what makes the peak, which is at position `at`, then the largest of the others. Where that takes more than the
   peak: by size alone; and where that is not close to it, with what stands out at the top in front of all others, again
   and again. The best placement counts; one that is no better ends as soon as that is seen. */
static bool place_few(rgi_arena *temporary, placed *y, rgi_buffer *const *order, size_t n, uint32_t at,
                      uint32_t positions, size_t peak)
{
    const size_t close = peak / RGI_CLOSE > RGI_PAGE ? peak / RGI_CLOSE : RGI_PAGE;
    bool done;
    if (!place_bundles(temporary, y, order, n, at, positions, peak, &done) || done)
        return done;
    rgi_buffer **const other = bring_forward(temporary, order, n, at, positions);
    size_t *const best = rgi_arena_take(temporary, (n + 1) * sizeof *best);
    size_t top, unused;
    if (!other || !best)
        return false;
    size_t total = place_in_order(y, other, n, SIZE_MAX, &top);
    for (size_t i = 0; i < n; i++)
        best[i] = order[i]->offset;
    for (int k = 0; total > peak && (k == 0 || total - peak > close) && k <= RGI_TRIES; k++) {
        if (k > 0) {
            rgi_buffer *const moved = other[top];
            memmove(other + 1, other, top * sizeof *other);
            other[0] = moved;
        }
        const size_t end = place_in_order(y, k ? other : order, n, total, k ? &top : &unused);
        for (size_t i = 0; end < total && i < n; i++)
            best[i] = order[i]->offset;
        total = end < total ? end : total;
    }
    for (size_t i = 0; i < n; i++)
        order[i]->offset = best[i];
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

/* Those in `order`, from `end` on. */
static void place_by_time(const by_time_room *r, rgi_buffer *buffers, rgi_buffer *const *order, size_t n, size_t end)
{
    uint32_t swept = 0;
    for (size_t i = 0; i < n; i++) {
        rgi_buffer *b = order[i];
        b->offset = end;
        if (!b->bytes)
            continue;
        for (; swept < b->first; swept++)
            for (rgi_buffer *dead = r->ending[swept]; dead; dead = r->next[dead - buffers]) {
                shelf *s = shelf_of(r, rounded(dead->bytes));
                r->below[dead - buffers] = s->top;
                s->top = dead;
            }
        shelf *s = shelf_of(r, rounded(b->bytes));
        if (s->top) {
            b->offset = s->top->offset;
            s->top = r->below[s->top - buffers];
        } else {
            end += rounded(b->bytes);
        }
        r->next[b - buffers] = r->ending[b->last];
        r->ending[b->last] = b;
    }
}

/* n of `all` buffers by where they begin, then by number. */
static bool sort_by_time(rgi_arena *temporary, rgi_buffer *buffers, size_t all, rgi_buffer **order, size_t n,
                         uint32_t positions)
{
    uint32_t *place = rgi_arena_alloc(temporary, ((size_t)positions + 2) * sizeof *place);
    bool *chosen = rgi_arena_alloc(temporary, all + 1);
    if (!place || !chosen)
        return false;
    for (size_t i = 0; i < n; i++) {
        chosen[order[i] - buffers] = true;
        place[order[i]->first + 1]++;
    }
    for (uint32_t i = 1; i <= positions; i++)
        place[i] += place[i - 1];
    for (size_t i = 0; i < all; i++)
        if (chosen[i])
            order[place[buffers[i].first]++] = &buffers[i];
    return true;
}

/* n of `all` buffers. */
static bool place_many(rgi_arena *temporary, rgi_buffer *buffers, size_t all, rgi_buffer **order, size_t n,
                       uint32_t positions, size_t end)
{
    by_time_room r = {.n_shelves = 2 * n + 1};
    r.shelves = rgi_arena_alloc(temporary, r.n_shelves * sizeof *r.shelves);
    r.below = rgi_arena_alloc(temporary, (2 * all + positions + 3) * sizeof *r.below);
    if (!r.shelves || !r.below || !sort_by_time(temporary, buffers, all, order, n, positions))
        return false;
    r.next = r.below + all;
    r.ending = r.next + all;
    place_by_time(&r, buffers, order, n, end);
    return true;
}

/* Largest first. Similar sets of sizes have similar orders. */
static void sort_by_size(rgi_buffer **order, size_t n)
{
    size_t moves = 0;
    for (size_t i = 1; i < n; i++) {
        rgi_buffer *const b = order[i];
        size_t j = i;
        for (; j > 0 && by_size(&b, &order[j - 1]) < 0; j--)
            order[j] = order[j - 1];
        order[j] = b;
        moves += i - j;
        if (moves > 4 * n) {
            qsort(order, n, sizeof *order, by_size);
            return;
        }
    }
}

/* How many at the end of an order by size take so little that nothing is lost where they lie above the others. */
static size_t find_negligible(rgi_buffer *const *order, size_t n, size_t peak)
{
    size_t small = 0, bytes = 0;
    while (n > RGI_MANY && small < n) {
        bytes += rounded(order[n - 1 - small]->bytes);
        if (bytes > peak / RGI_CLOSE)
            break;
        small++;
    }
    return small;
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

bool rgi_offsets(rgi_arena *temporary, rgi_buffer *buffers, size_t n, uint32_t positions, uint32_t *sorted,
                 size_t *total, size_t *peak)
{
    rgi_buffer **order = rgi_arena_take(temporary, (n + 1) * sizeof *order);
    int64_t *change = rgi_arena_alloc(temporary, ((size_t)positions + 3) * sizeof *change);
    const bool few = n <= RGI_QUADRATIC;
    uint32_t at = 0;
    placed y;
    *total = *peak = 0;
    if (!order || !change)
        return false;
    for (size_t i = 0; i < n; i++)
        order[i] = &buffers[few ? sorted[i] : i];
    *peak = peak_of(buffers, n, change, positions + 1, &at);
    size_t large = 0;
    if (few) {
        sort_by_size(order, n);
        for (size_t i = 0; i < n; i++)
            sorted[i] = (uint32_t)(order[i] - buffers);
        large = n - find_negligible(order, n, *peak);
        if (!make_room(temporary, &y, order, large, positions) ||
            !place_few(temporary, &y, order, large, at, positions, *peak))
            return false;
        for (size_t i = 0; i < large; i++)
            *total = end_of(order[i]) > *total ? end_of(order[i]) : *total;
    }
    if (large < n && !place_many(temporary, buffers, n, order + large, n - large, positions, *total))
        return false;
    *total = 0;
    for (size_t i = 0; i < n; i++) {
        const size_t end = end_of(&buffers[i]);
        *total = end > *total ? end : *total;
    }
    *peak = *peak < *total ? *peak : *total; /* of what is exclusive both were counted */
    return true;
}
