/* special.c - what a set of sizes adds to a program: concrete shapes, offsets, pointers. */
#include "../program/recompute.h"
#include "../program/retrace.h"
#include "../schedule/claims.h"
#include "../schedule/share.h"
#include "../schedule/soon.h"
#include "../schedule/strips.h"
#include "../sight/timeline.h"
#include "steps.h"

#include <stdio.h>
#include <string.h>

#define RGI_KNOWN_SIZES 16 /* specialisations kept */

/* How one is made: for so many threads; no loops go side by side; what is as long as a loop is made in strips even
   where little is saved by it. */
typedef struct making {
    int threads;
    bool apart, small;
} making;

static size_t rounded(size_t bytes)
{
    return (bytes + 63) / 64 * 64;
}

/* ---- memory ---------------------------------------------------------------------------------------------- */

/* What strips ask of an owner's buffer. */
static void stay(const rgi_stays *stays, int32_t owner, const uint32_t *begin, const uint32_t *end, rgi_buffer *b)
{
    const uint32_t from = stays->from[owner], until = stays->until[owner];
    if (from && begin[from - 1] < b->first)
        b->first = begin[from - 1];
    if (until && end[until] > b->last)
        b->last = end[until];
}

/* Places values and the steps' own memory. Within an interval that several threads work in, everything counts as alive
   throughout. */
static bool place(rg_plan *p, rgi_special *s, rgi_extra *extra, const uint32_t *interval, const bool *shared)
{
    const rgi_program *prog = p->program;
    const size_t positions = s->n_steps + 1;
    rgi_buffer *buffers = rgi_arena_take(&p->temporary, (prog->n_owners + positions) * sizeof *buffers);
    uint32_t *begin = rgi_arena_take(&p->temporary, 2 * (positions + 1) * sizeof *begin),
             *end = begin ? begin + positions + 1 : NULL;
    rgi_stays stays = {NULL, NULL};
    bool ok = buffers && begin && rgi_strips_stay(p, s, &stays);
    for (size_t i = 0; ok && i < s->n_steps; i++)
        begin[i] = i > 0 && shared[interval[i]] && interval[i] == interval[i - 1] ? begin[i - 1] : (uint32_t)i;
    for (size_t i = s->n_steps; ok && i-- > 0;)
        end[i] = i + 1 < s->n_steps && shared[interval[i]] && interval[i] == interval[i + 1] ? end[i + 1] : (uint32_t)i;
    if (ok)
        begin[s->n_steps] = end[s->n_steps] = (uint32_t)s->n_steps;
    size_t n = 0;
    for (; ok && n < prog->n_owners; n++) {
        const rgi_value *value = &prog->values[prog->owners[n]];
        rgi_buffer *const b = &buffers[n];
        b->bytes = rgi_bytes(prog, s, prog->owners[n]);
        b->first = begin[value->first];
        b->last = end[value->last];
        if (stays.from)
            stay(&stays, prog->owners[n], begin, end, b);
        b->choice = value->choice;
        b->taken = value->taken;
    }
    for (size_t i = 0; ok && i < s->n_steps; i++)
        if (extra[i].shared) {
            buffers[n] = (rgi_buffer){.bytes = extra[i].shared, .first = begin[i], .last = end[i]};
            if (stays.from && stays.from[prog->n_values + i])
                buffers[n].first = begin[stays.from[prog->n_values + i] - 1];
            n++;
        }
    s->sorted = rgi_arena_take(&s->arena, (n + 1) * sizeof *s->sorted);
    s->n_sorted = (uint32_t)n;
    ok = ok && s->sorted;
    for (size_t i = 0; ok && i < n; i++)
        s->sorted[i] = s->known && s->known->n_sorted == n ? s->known->sorted[i] : (uint32_t)i;
    ok = ok && rgi_offsets(&p->temporary, buffers, n, (uint32_t)positions, s->sorted, &s->bytes, &s->peak);
    for (n = 0; ok && n < prog->n_owners; n++)
        s->offsets[prog->owners[n]] = buffers[n].offset;
    for (size_t i = 0; ok && i < s->n_steps; i++)
        if (extra[i].shared)
            extra[i].offset = buffers[n++].offset;
    s->scratch = rounded(s->scratch);
    s->total = s->bytes + (s->parallel ? (size_t)s->threads : 1) * s->scratch;
    return ok;
}

/* ---- a specialisation ---------------------------------------------------------------------------------------- */

void rgi_special_free(rg_plan *p, rgi_special *s)
{
    if (!s)
        return;
    p->lasting_follows = p->lasting_follows == s ? NULL : p->lasting_follows;
    rgi_recompute_free(s->own);
    rgi_arena_finish(&p->spare);
    p->spare = s->arena;
}

static rg_status make_arrays(rg_plan *p, rgi_special *s)
{
    const rgi_program *prog = p->program;
    rgi_arena *a = &s->arena;
    s->inputs = rgi_arena_take(a, (prog->n_inputs + 1) * sizeof *s->inputs);
    s->shapes = rgi_arena_take(a, (prog->n_shapes + 1) * sizeof *s->shapes);
    s->counts = rgi_arena_take(a, (prog->n_shapes + 1) * sizeof *s->counts);
    s->packed = rgi_arena_alloc(a, (prog->n_packed + 1) * sizeof *s->packed);
    s->offsets = rgi_arena_take(a, (prog->n_values + 1) * sizeof *s->offsets);
    s->sizes = rgi_arena_alloc(a, (prog->graph->dims.n + 1) * sizeof *s->sizes);
    s->input_data = rgi_arena_alloc(a, (prog->n_inputs + 1) * sizeof *s->input_data);
    s->store_data = rgi_arena_alloc(a, (p->n_stored + 1) * sizeof *s->store_data);
    if (!s->inputs || !s->shapes || !s->counts || !s->packed || !s->offsets || !s->sizes || !s->input_data ||
        !s->store_data)
        return rgi_fail(RG_ERR_MEMORY, "rg_run: out of memory");
    for (size_t i = 0; i < prog->n_inputs; i++)
        s->inputs[i] = p->bindings[i].shape;
    return RG_OK;
}

static rg_status build(rg_plan *p, rgi_special *s, making way)
{
    const rgi_program *prog = p->program;
    const size_t n = prog->n_items + 2;
    rg_status status = make_arrays(p, s);
    status = status ? status : rgi_sizes_find(p, s);
    if (status)
        return status;
    p->marks = NULL;
    s->threads = way.threads;
    rgi_extra *extra = rgi_arena_alloc(&p->temporary, n * sizeof *extra);
    uint32_t *interval = rgi_arena_alloc(&p->temporary, n * sizeof *interval);
    bool *shared = rgi_arena_alloc(&p->temporary, n + 8 * prog->n_loops + 1);
    const bool ok = extra && interval && shared && rgi_retrace_sizes(prog, s) && rgi_pieces_find(p, s) &&
                    rgi_strips_find(p, s, way.small) && rgi_steps_make(p, s, extra) &&
                    rgi_share(p, s, way.apart, interval, shared) && rgi_strips_cut(p, s, way.small, extra) &&
                    rgi_claims_make(p, s) && rgi_steps_settle(p, s, extra) && place(p, s, extra, interval, shared) &&
                    rgi_steps_link(p, s, extra) && rgi_soon_find(p, s) && rgi_straighten(prog, s) &&
                    (!prog->opts.profile || (s->timeline = rgi_timeline_new(prog, s)));
    return ok ? RG_OK : s->refused ? s->refused : rgi_fail(RG_ERR_MEMORY, "rg_run: out of memory");
}

/* "4096 bytes, 2048 of them as scratch of 2 threads", for messages. */
static const char *format_need(const rgi_special *s, char *text, size_t size)
{
    const int n = snprintf(text, size, "%zu bytes", s->total);
    if (s->parallel && n > 0)
        snprintf(text + n, size - (size_t)n, ", %zu of them as scratch of %d threads", s->total - s->bytes, s->threads);
    return text;
}

/* Makes the present specialisation's pointers follow what has moved. */
static rg_status attach(rg_plan *p, rgi_special *s)
{
    const rg_allocator *a = &p->program->graph->allocator;
    char need[RGI_LABEL];
    if (p->lent && p->slab_bytes < s->total)
        return rgi_fail(RG_ERR_MEMORY, "rg_run: the plan needs %s; it was given %zu", format_need(s, need, sizeof need),
                        p->slab_bytes);
    if (!p->slab || p->slab_bytes < s->total) {
        char *slab = a->alloc(a->user, s->total + 64);
        if (!slab)
            return rgi_fail(RG_ERR_MEMORY, "rg_run: out of memory: the plan needs %s",
                            format_need(s, need, sizeof need));
        rgi_free(a, p->slab, p->slab_bytes);
        p->slab = slab;
        p->slab_bytes = s->total + 64;
        p->ran = false;
    }
    rgi_links_follow(p, s);
    return RG_OK;
}

static rg_status check_bound(const rg_plan *p, bool data)
{
    const rg_node *node = rgi_unbound(p, data);
    char label[RGI_LABEL];
    if (!node)
        return RG_OK;
    rgi_format_type(node->graph, node->dtype, node->shape->a, label, RGI_LABEL);
    return rgi_fail(RG_ERR_STATE, "rg_run: input '%s' %s is not bound", rg_name(node), label);
}

static bool same_sizes(const rg_plan *p, const rgi_special *s)
{
    for (size_t i = 0; i < p->program->n_inputs; i++)
        if (!rg_shape_equal(s->inputs[i], p->bindings[i].shape))
            return false;
    return true;
}

/* Forgets the sizes that were not used for longest. */
static void forget_oldest(rg_plan *p)
{
    rgi_special **oldest = &p->specials;
    for (rgi_special **at = &p->specials; *at; at = &(*at)->next)
        oldest = (*at)->used < (*oldest)->used ? at : oldest;
    rgi_special *s = *oldest;
    if (!s)
        return;
    *oldest = s->next;
    if (p->current == s) {
        p->current = NULL;
        p->program = p->base;
    }
    p->n_specials--;
    rgi_special_free(p, s);
}

/* An empty one in its own arena: that of one that was forgotten, memory that has been touched, or as much as the last
   took. */
static rgi_special *new_special(rg_plan *p)
{
    rgi_arena arena = p->spare;
    rgi_arena_init(&p->spare, arena.allocator);
    rgi_special *s = NULL;
    if (rgi_arena_reset(&p->temporary, 0) && rgi_arena_reset(&arena, p->special_bytes + p->special_bytes / 8))
        s = rgi_arena_alloc(&arena, sizeof *s);
    if (s)
        s->arena = arena;
    else
        rgi_arena_finish(&arena);
    return s;
}

/* A specialisation of a program for the sizes bound; takes the program over if it is not the plan's. */
static rg_status make_special(rg_plan *p, rgi_program *prog, making way, rgi_special **out)
{
    rgi_program *const before = p->program;
    const bool own = prog != p->base;
    rgi_special *s = new_special(p);
    *out = NULL;
    if (!s) {
        if (own)
            rgi_recompute_free(prog);
        (void)rgi_fail(RG_ERR_MEMORY, "rg_run: out of memory");
        return RG_ERR_MEMORY;
    }
    s->own = own ? prog : NULL;
    p->program = prog;
    for (s->known = own ? NULL : p->specials; s->known && s->known->own;)
        s->known = s->known->next;
    const rg_status status = build(p, s, way);
    s->known = NULL;
    p->program = before;
    if (status) {
        rgi_special_free(p, s);
        return status;
    }
    p->special_bytes = rgi_arena_filled(&s->arena);
    *out = s;
    return RG_OK;
}

static bool fits_budget(const rg_plan *p, const rgi_special *s)
{
    return !p->base->opts.budget || s->total <= p->base->opts.budget;
}

/* Tries what may be dropped of a specialisation: of all programs that fit into the budget *best is the fastest. */
static rg_status try_dropping(rg_plan *p, const rgi_special *s, bool apart, size_t *least, rgi_special **best)
{
    static const double segments[] = {1, 2, 3, 4, 6, 9, 14, 24}, parts[] = {0.25, 0.5, 0.75, 1};
    enum { SEGMENTS = sizeof segments / sizeof *segments, PARTS = sizeof parts / sizeof *parts };
    const making way = {.threads = s->threads, .apart = apart, .small = true};
    for (size_t i = 0; i <= (size_t)SEGMENTS * PARTS; i++) {
        const rgi_policy policy = {
            .cheap = i == 0, .segments = i ? segments[(i - 1) / PARTS] : 0, .part = i ? parts[(i - 1) % PARTS] : 0};
        rgi_special *other = NULL;
        rgi_program *prog = rgi_recompute(p->base, s, &policy);
        if (!prog) {
            (void)rgi_fail(RG_ERR_MEMORY, "rg_run: out of memory");
            return RG_ERR_MEMORY;
        }
        const rg_status status = make_special(p, prog, way, &other);
        if (status)
            return status;
        *least = other->total < *least ? other->total : *least;
        const bool better = fits_budget(p, other) && (!*best || other->nanoseconds < (*best)->nanoseconds);
        rgi_special_free(p, better ? *best : other);
        *best = better ? other : *best;
    }
    return RG_OK;
}

/* Makes *s anew, in another way. */
static rg_status replace(rg_plan *p, rgi_special **s, making way, size_t *least)
{
    rgi_special *other;
    const rg_status status = make_special(p, p->base, way, &other);
    if (status)
        return status;
    rgi_special_free(p, *s);
    *s = other;
    *least = other->total < *least ? other->total : *least;
    return RG_OK;
}

/* *s, made for some number of threads, gives way to what fits into the budget, if anything does: strips, which cost
   next to nothing, perhaps with what is made again. Loops that go side by side hold more memory: where nothing does
   with them, they go one after the other. */
static rg_status fit_threads(rg_plan *p, rgi_special **s, size_t *least)
{
    making way = {.threads = (*s)->threads, .small = true};
    rgi_special *best = NULL;
    rg_status status = p->base->n_loops ? replace(p, s, way, least) : RG_OK;
    while (!status && !fits_budget(p, *s)) {
        status = try_dropping(p, *s, way.apart, least, &best);
        if (status || best || way.apart || !(*s)->sections)
            break;
        way.apart = true;
        status = replace(p, s, way, least);
    }
    if (best) {
        rgi_special_free(p, status ? best : *s);
        *s = status ? *s : best;
    }
    return status;
}

/* One for so many threads that fits into the budget takes the place of *s, if there is one. */
static rg_status try_threads(rg_plan *p, rgi_special **s, int threads, size_t *least)
{
    rgi_special *other;
    rg_status status = make_special(p, p->base, (making){.threads = threads}, &other);
    if (!status)
        *least = other->total < *least ? other->total : *least;
    if (!status && !fits_budget(p, other))
        status = fit_threads(p, &other, least);
    if (status || !fits_budget(p, other)) {
        rgi_special_free(p, other);
        return status;
    }
    rgi_special_free(p, *s);
    *s = other;
    return RG_OK;
}

/* What fits into the budget replaces *s. Each thread has scratch of its own, and what several do at once is alive at
   once: where nothing fits, it is for half as many threads, and so on; unless not even one thread could do. */
static rg_status fit_budget(rg_plan *p, rgi_special **s)
{
    const size_t all = (*s)->total;
    const int threads = (*s)->threads;
    size_t least = all;
    rg_status status = fit_threads(p, s, &least);
    if (!status && !fits_budget(p, *s) && threads > 1)
        status = try_threads(p, s, 1, &least);
    if (status)
        return status;
    if (!fits_budget(p, *s))
        return rgi_fail(RG_ERR_MEMORY,
                        "rg_run: the plan takes %zu bytes, the budget is %zu: the least that would do is %zu", all,
                        p->base->opts.budget, least);
    for (int n = threads / 2; !status && n > (*s)->threads; n /= 2)
        status = try_threads(p, s, n, &least);
    return status;
}

rg_status rgi_special_choose(rg_plan *p, bool run)
{
    if (p->current && !p->changed)
        return RG_OK;
    rg_status status = check_bound(p, run);
    if (status)
        return status;
    rgi_special *s = p->specials;
    while (s && !same_sizes(p, s))
        s = s->next;
    if (!s) {
        if (p->n_specials == RGI_KNOWN_SIZES)
            forget_oldest(p);
        status = make_special(p, p->base, (making){.threads = p->base->opts.threads}, &s);
        if (!status && !fits_budget(p, s))
            status = fit_budget(p, &s);
        if (status) {
            rgi_special_free(p, s);
            return status;
        }
        s->next = p->specials;
        p->specials = s;
        p->n_specials++;
    }
    status = attach(p, s);
    status = status ? status : rgi_kept_attach(p, s);
    if (status)
        return status;
    p->current = s;
    s->used = ++p->chosen;
    p->program = s->own ? s->own : p->base;
    p->changed = !run;
    return RG_OK;
}
