/* test_offsets.c - where buffers lie in the slab: never two at one place at one time, aligned, never worse than greedy
   by size, and close to what no placement can do without. */
#include "must.h"

#include "runtime/plan.h"

#include <stdlib.h>
#include <string.h>

enum { MOST = 120, POSITIONS = 60, ALIGN = 64 };

static size_t rounded(size_t bytes)
{
    return (bytes + ALIGN - 1) / ALIGN * ALIGN;
}

static uint32_t draw(uint64_t *state, uint32_t below)
{
    *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(*state >> 33) % below;
}

/* Lifetimes like those of a training step: some from a forward step to its reverse one, the others short. */
static size_t make_buffers(rgi_buffer *b, uint64_t *state)
{
    const size_t n = 1 + draw(state, MOST - 1);
    for (size_t i = 0; i < n; i++) {
        const uint32_t first = draw(state, POSITIONS), more = draw(state, 4);
        const bool nested = draw(state, 3) == 0 && first < POSITIONS / 2;
        b[i] = (rgi_buffer){.bytes = (size_t)draw(state, 5) == 0 ? draw(state, 300) : (size_t)64 * draw(state, 2000),
                            .first = first,
                            .last = nested ? POSITIONS - 1 - first : first + more};
        b[i].last = b[i].last < POSITIONS ? b[i].last : POSITIONS - 1;
    }
    return n;
}

/* The numbers below n in some order. */
static void shuffle(uint32_t *numbers, size_t n, uint64_t *state)
{
    for (uint32_t i = 0; i < n; i++) {
        const uint32_t at = draw(state, i + 1);
        numbers[i] = numbers[at];
        numbers[at] = i;
    }
}

static bool together(const rgi_buffer *a, const rgi_buffer *b)
{
    return a->first <= b->last && b->first <= a->last;
}

static int by_size(const void *x, const void *y)
{
    const rgi_buffer *const *a = x, *const *b = y;
    if ((*a)->bytes != (*b)->bytes)
        return (*a)->bytes < (*b)->bytes ? 1 : -1;
    return (*a)->first != (*b)->first ? ((*a)->first < (*b)->first ? -1 : 1) : (*a < *b ? -1 : 1);
}

/* Largest first, each at the lowest multiple of 64 where it fits: looked for one by one. */
static size_t greedy(const rgi_buffer *buffers, size_t n)
{
    const rgi_buffer *order[MOST];
    size_t at[MOST], total = 0;
    for (size_t i = 0; i < n; i++)
        order[i] = &buffers[i];
    qsort(order, n, sizeof *order, by_size);
    for (size_t i = 0; i < n; i++) {
        at[i] = 0;
        for (bool moved = true; moved;) {
            moved = false;
            for (size_t j = 0; j < i; j++)
                if (together(order[i], order[j]) && at[i] < at[j] + rounded(order[j]->bytes) &&
                    at[j] < at[i] + rounded(order[i]->bytes)) {
                    at[i] = at[j] + rounded(order[j]->bytes);
                    moved = true;
                }
        }
        total = at[i] + rounded(order[i]->bytes) > total ? at[i] + rounded(order[i]->bytes) : total;
    }
    return total;
}

static size_t alive_at_once(const rgi_buffer *b, size_t n)
{
    size_t peak = 0;
    for (uint32_t t = 0; t < POSITIONS; t++) {
        size_t now = 0;
        for (size_t i = 0; i < n; i++)
            now += b[i].first <= t && t <= b[i].last ? rounded(b[i].bytes) : 0;
        peak = now > peak ? now : peak;
    }
    return peak;
}

Test(offsets, apart_and_close_to_the_peak)
{
    uint64_t state = 7;
    double ours = 0, theirs = 0;
    rg_graph *g = rg_graph_new(NULL);
    for (int round = 0; round < 400; round++) {
        rgi_buffer b[MOST];
        const size_t n = make_buffers(b, &state);
        size_t total = 0, peak = 0;
        rgi_arena arena;
        rgi_arena_init(&arena, g->allocator);
        uint32_t sorted[MOST];
        shuffle(sorted, n, &state);
        cr_assert(rgi_offsets(&arena, b, n, POSITIONS, sorted, &total, &peak));
        rgi_arena_finish(&arena);
        for (size_t i = 1; i < n; i++)
            cr_assert(b[sorted[i]].bytes <= b[sorted[i - 1]].bytes);
        for (size_t i = 0; i < n; i++) {
            cr_assert(b[i].offset % ALIGN == 0 && b[i].offset + rounded(b[i].bytes) <= total);
            for (size_t j = 0; j < i; j++)
                cr_assert(!together(&b[i], &b[j]) || !b[i].bytes || !b[j].bytes ||
                              b[i].offset + b[i].bytes <= b[j].offset || b[j].offset + b[j].bytes <= b[i].offset,
                          "round %d: buffers %zu and %zu overlap", round, i, j);
        }
        const size_t simple = greedy(b, n);
        cr_expect(peak == alive_at_once(b, n), "round %d", round);
        cr_expect(total <= simple, "round %d: %zu bytes, largest first takes %zu", round, total, simple);
        ours += peak ? (double)total / (double)peak : 1;
        theirs += peak ? (double)simple / (double)peak : 1;
    }
    cr_expect(ours / 400 < 1.03 && ours < theirs, "%.4f of the peak, largest first %.4f", ours / 400, theirs / 400);
    rg_graph_free(g);
}

/* Wherever sorting begins, and also where the smallest lie above the others. */
Test(offsets, do_not_depend_on_the_order_before)
{
    enum { MANY = 900 };
    uint64_t state = 11;
    rg_graph *g = rg_graph_new(NULL);
    static rgi_buffer b[MANY], first[MANY];
    static uint32_t sorted[MANY];
    double sum = 0;
    for (int round = 0; round < 60; round++) {
        const size_t n = 150 + draw(&state, MANY - 150);
        for (size_t i = 0; i + MOST <= n;)
            i += make_buffers(&b[i], &state);
        for (size_t i = 0; i < n; i++)
            b[i].bytes = draw(&state, 2) ? b[i].bytes / 512 : b[i].bytes;
        for (int turn = 0; turn < 3; turn++) {
            size_t total = 0, peak = 0;
            rgi_arena arena;
            rgi_arena_init(&arena, g->allocator);
            for (uint32_t i = 0; i < n && turn == 0; i++)
                sorted[i] = i;
            if (turn == 1) /* as it was left by the first turn */
                b[n / 2].bytes += 64;
            if (turn == 2)
                shuffle(sorted, n, &state);
            cr_assert(rgi_offsets(&arena, b, n, POSITIONS, sorted, &total, &peak));
            rgi_arena_finish(&arena);
            for (size_t i = 0; i < n; i++) {
                cr_assert(b[i].offset % ALIGN == 0 && b[i].offset + rounded(b[i].bytes) <= total);
                cr_assert(turn < 2 || b[i].offset == first[i].offset, "round %d: buffer %zu", round, i);
                for (size_t j = 0; j < i; j++)
                    cr_assert(!together(&b[i], &b[j]) || !b[i].bytes || !b[j].bytes ||
                                  b[i].offset + b[i].bytes <= b[j].offset || b[j].offset + b[j].bytes <= b[i].offset,
                              "round %d: buffers %zu and %zu overlap", round, i, j);
            }
            sum += (double)total / (double)peak;
            memcpy(first, b, n * sizeof *b);
        }
    }
    cr_expect(sum / 180 < 1.03, "%.4f of the peak", sum / 180);
    rg_graph_free(g);
}

/* Few lifetimes, so that most buffers share theirs: those that no run has together may lie upon each other, and no
   others do. */
Test(offsets, only_what_is_exclusive_overlaps)
{
    static const char choices[2];
    uint64_t state = 5;
    size_t upon = 0;
    rg_graph *g = rg_graph_new(NULL);
    for (int round = 0; round < 200; round++) {
        rgi_buffer b[MOST];
        uint32_t sorted[MOST];
        const size_t n = make_buffers(b, &state);
        size_t total = 0, peak = 0;
        for (size_t i = 0; i < n; i++) {
            b[i].first = draw(&state, 3);
            b[i].last = b[i].first + draw(&state, 2);
            b[i].choice = draw(&state, 3) ? &choices[draw(&state, 2)] : NULL;
            b[i].taken = draw(&state, 2);
        }
        rgi_arena arena;
        rgi_arena_init(&arena, g->allocator);
        shuffle(sorted, n, &state);
        cr_assert(rgi_offsets(&arena, b, n, POSITIONS, sorted, &total, &peak));
        rgi_arena_finish(&arena);
        for (size_t i = 0; i < n; i++)
            for (size_t j = 0; j < i; j++) {
                const bool exclusive = b[i].choice && b[i].choice == b[j].choice && b[i].taken != b[j].taken;
                const bool apart = !b[i].bytes || !b[j].bytes || b[i].offset + b[i].bytes <= b[j].offset ||
                                   b[j].offset + b[j].bytes <= b[i].offset;
                upon += together(&b[i], &b[j]) && !apart;
                cr_assert(!together(&b[i], &b[j]) || exclusive || apart, "round %d: buffers %zu and %zu overlap", round,
                          i, j);
            }
    }
    cr_expect(upon > 0);
    rg_graph_free(g);
}
