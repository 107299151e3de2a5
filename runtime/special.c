/* special.c - what a set of sizes adds to a program: concrete shapes, offsets, pointers. */
#include "recompute.h"
#include "share.h"
#include "steps.h"
#include "timeline.h"

#include <string.h>

#define RGI_KNOWN_SIZES 16 /* specialisations kept */

static size_t rounded(size_t bytes)
{
    return (bytes + 63) / 64 * 64;
}

/* ---- sizes --------------------------------------------------------------------------------------- */

bool rgi_special_shape(const rg_plan *p, const rgi_special *s, const rgi_shape *shape, rg_shape *out)
{
    *out = shape->a;
    for (int32_t k = 0; shape->named && k < shape->a.rank; k++) {
        rgi_formula f;
        if (shape->a.dim[k] != shape->b.dim[k] &&
            (!rgi_formula_find(p->program->graph, shape->a.dim[k], shape->b.dim[k], &f) ||
             !rgi_formula_value(&f, s->sizes, &out->dim[k])))
            return false;
    }
    return true;
}

/* Which named dimension a size is by itself, or -1. */
static int32_t plain_name(const rgi_formula *f)
{
    const bool plain = f->n == 1 && f->numerator == 1 && f->denominator == 1 && f->affine < 0;
    return plain ? f->name[0] : -1;
}

static rg_status input_label(const rg_plan *p, size_t i, char *text)
{
    const rg_node *node = p->program->inputs[i];
    rgi_format_type(node->graph, node->dtype, node->shape->a, text, RGI_LABEL);
    return RG_OK;
}

/* The named sizes, from the bound shapes; every other size of the inputs must agree with them. */
static rg_status solve_sizes(const rg_plan *p, rgi_special *s)
{
    const rgi_program *prog = p->program;
    const rgi_dims *dims = &prog->graph->dims;
    int32_t *from = rgi_arena_alloc(&s->arena, (dims->n + 1) * sizeof *from);
    if (!from)
        return rgi_fail(RG_ERR_MEMORY, "rg_run: out of memory");
    for (size_t d = 0; d < dims->n; d++)
        s->sizes[d] = from[d] = -1;
    for (int round = 0; round < 2; round++)
        for (size_t i = 0; i < prog->n_inputs; i++) {
            const rg_node *node = prog->inputs[i];
            const rgi_shape *shape = node->shape;
            for (int32_t k = 0; p->bindings[i].sized && k < shape->a.rank; k++) {
                const int64_t bound = s->inputs[i].dim[k];
                rgi_formula f;
                if (shape->a.dim[k] == shape->b.dim[k] ||
                    !rgi_formula_find(prog->graph, shape->a.dim[k], shape->b.dim[k], &f))
                    continue;
                const int32_t name = plain_name(&f);
                char label[RGI_LABEL];
                int64_t value;
                input_label(p, i, label);
                if (name >= 0 && round == 0) {
                    const rgi_dim *d = &dims->at[name];
                    if (s->sizes[name] >= 0 && s->sizes[name] != bound)
                        return rgi_fail(RG_ERR_SHAPE,
                                        "rg_run: '%s' is %lld in input '%s' and %lld in input '%s' %s axis %d", d->name,
                                        (long long)s->sizes[name], rg_name(prog->inputs[from[name]]), (long long)bound,
                                        rg_name(node), label, k);
                    if (d->multiple_of > 1 && bound % d->multiple_of)
                        return rgi_fail(RG_ERR_SHAPE,
                                        "rg_run: '%s' is %lld in input '%s', it must be a multiple of %lld", d->name,
                                        (long long)bound, rg_name(node), (long long)d->multiple_of);
                    s->sizes[name] = bound;
                    from[name] = (int32_t)i;
                } else if (name < 0 && round == 1 && (!rgi_formula_value(&f, s->sizes, &value) || value != bound)) {
                    return rgi_fail(
                        RG_ERR_SHAPE,
                        "rg_run: input '%s' %s has size %lld at axis %d, which does not follow from the other inputs",
                        rg_name(node), label, (long long)bound, k);
                }
            }
        }
    return RG_OK;
}

static bool known(const rgi_formula *f, const int64_t *sizes, int32_t *missing)
{
    for (int32_t i = 0; i < f->n; i++)
        if (sizes[f->name[i]] < 0) {
            *missing = f->name[i];
            return false;
        }
    *missing = f->affine;
    return f->affine < 0 || sizes[f->affine] >= 0;
}

static rg_status find_shapes(const rg_plan *p, rgi_special *s)
{
    const rgi_program *prog = p->program;
    for (size_t i = 0; i < prog->n_shapes; i++) {
        const rgi_shape *shape = prog->shapes[i];
        s->shapes[i] = shape->a;
        char label[RGI_LABEL];
        for (int32_t k = 0; shape->named && k < shape->a.rank; k++) {
            const rgi_formula *f = &prog->formulas[i * RG_MAX_RANK + (size_t)k];
            int32_t missing = -1;
            if (shape->a.dim[k] == shape->b.dim[k])
                continue;
            rgi_format_shape(prog->graph, shape->a, label, sizeof label);
            if (!known(f, s->sizes, &missing))
                return rgi_fail(RG_ERR_SHAPE, "rg_run: no input says how large '%s' is, a value of shape %s needs it",
                                prog->graph->dims.at[missing].name, label);
            if (!rgi_formula_value(f, s->sizes, &s->shapes[i].dim[k]))
                return rgi_fail(
                    RG_ERR_SHAPE,
                    "rg_run: with the sizes bound, axis %d of a value of shape %s is negative or no integer", k, label);
        }
        const int64_t n = rg_shape_count(s->shapes[i]);
        if (n < 0 || n > INT64_MAX / 16) {
            rgi_format_shape(prog->graph, shape->a, label, sizeof label);
            return rgi_fail(RG_ERR_SHAPE, "rg_run: with the sizes bound, a value of shape %s is too large", label);
        }
        s->counts[i] = (size_t)n;
    }
    return RG_OK;
}

/* ---- memory ---------------------------------------------------------------------------------------------- */

/* Places values and the steps' own memory. Within an interval that several threads work in, everything counts as alive
   throughout. */
static bool place(rg_plan *p, rgi_special *s, rgi_extra *extra, const uint32_t *interval, const bool *shared)
{
    const rgi_program *prog = p->program;
    const rg_allocator *a = &prog->graph->allocator;
    const size_t room = prog->n_values + s->n_steps + 1, positions = s->n_steps + 1;
    rgi_buffer *buffers = rgi_alloc(a, room * sizeof *buffers);
    uint32_t *begin = rgi_alloc(a, 2 * (positions + 1) * sizeof *begin), *end = begin ? begin + positions + 1 : NULL;
    bool ok = buffers && begin;
    for (size_t i = 0; ok && i < s->n_steps; i++)
        begin[i] = i > 0 && shared[interval[i]] && interval[i] == interval[i - 1] ? begin[i - 1] : (uint32_t)i;
    for (size_t i = s->n_steps; ok && i-- > 0;)
        end[i] = i + 1 < s->n_steps && shared[interval[i]] && interval[i] == interval[i + 1] ? end[i + 1] : (uint32_t)i;
    if (ok)
        begin[s->n_steps] = end[s->n_steps] = (uint32_t)s->n_steps;
    size_t n = 0;
    for (size_t v = 0; ok && v < prog->n_values; v++) {
        const rgi_value *value = &prog->values[v];
        if (value->place == RGI_SLAB && value->part_of == RGI_NONE && value->first != RGI_NONE)
            buffers[n++] = (rgi_buffer){.bytes = rgi_bytes(prog, s, (int32_t)v),
                                        .first = begin[value->first],
                                        .last = end[value->last],
                                        .choice = value->choice,
                                        .taken = value->taken};
    }
    for (size_t i = 0; ok && i < s->n_steps; i++)
        if (extra[i].shared)
            buffers[n++] = (rgi_buffer){.bytes = extra[i].shared, .first = begin[i], .last = end[i]};
    ok = ok && rgi_offsets(a, buffers, n, (uint32_t)positions, &s->bytes, &s->peak);
    n = 0;
    for (size_t v = 0; ok && v < prog->n_values; v++) {
        const rgi_value *value = &prog->values[v];
        if (value->place == RGI_SLAB && value->part_of == RGI_NONE && value->first != RGI_NONE)
            s->offsets[v] = buffers[n++].offset;
    }
    for (size_t i = 0; ok && i < s->n_steps; i++)
        if (extra[i].shared)
            extra[i].offset = buffers[n++].offset;
    s->scratch = rounded(s->scratch);
    s->total = s->bytes + (s->parallel ? (size_t)prog->opts.threads : 1) * s->scratch;
    rgi_free(a, buffers, room * sizeof *buffers);
    rgi_free(a, begin, 2 * (positions + 1) * sizeof *begin);
    return ok;
}

/* ---- a specialisation ---------------------------------------------------------------------------------------- */

void rgi_special_free(rg_plan *p, rgi_special *s)
{
    if (!s)
        return;
    const rg_allocator *a = &p->base->graph->allocator;
    rgi_recompute_free(s->own);
    rgi_arena_finish(&s->arena);
    rgi_free(a, s, sizeof *s);
}

static rg_status make_arrays(rg_plan *p, rgi_special *s)
{
    const rgi_program *prog = p->program;
    rgi_arena *a = &s->arena;
    s->inputs = rgi_arena_alloc(a, (prog->n_inputs + 1) * sizeof *s->inputs);
    s->shapes = rgi_arena_alloc(a, (prog->n_shapes + 1) * sizeof *s->shapes);
    s->counts = rgi_arena_alloc(a, (prog->n_shapes + 1) * sizeof *s->counts);
    s->packed = rgi_arena_alloc(a, (prog->n_packed + 1) * sizeof *s->packed);
    s->offsets = rgi_arena_alloc(a, (prog->n_values + 1) * sizeof *s->offsets);
    s->sizes = rgi_arena_alloc(a, (prog->graph->dims.n + 1) * sizeof *s->sizes);
    s->input_links = rgi_arena_alloc(a, (prog->n_inputs + 1) * sizeof *s->input_links);
    s->store_links = rgi_arena_alloc(a, (p->n_stored + 1) * sizeof *s->store_links);
    s->input_data = rgi_arena_alloc(a, (prog->n_inputs + 1) * sizeof *s->input_data);
    s->store_data = rgi_arena_alloc(a, (p->n_stored + 1) * sizeof *s->store_data);
    if (!s->inputs || !s->shapes || !s->counts || !s->packed || !s->offsets || !s->sizes || !s->input_links ||
        !s->store_links || !s->input_data || !s->store_data)
        return rgi_fail(RG_ERR_MEMORY, "rg_run: out of memory");
    for (size_t i = 0; i < prog->n_inputs; i++) {
        s->inputs[i] = p->bindings[i].shape;
        s->input_links[i] = RGI_NONE;
    }
    for (size_t i = 0; i < p->n_stored; i++)
        s->store_links[i] = RGI_NONE;
    s->slab_links = RGI_NONE;
    return RG_OK;
}

static rg_status build(rg_plan *p, rgi_special *s)
{
    const rgi_program *prog = p->program;
    const rg_allocator *a = &prog->graph->allocator;
    const size_t n = prog->n_items + 2;
    rg_status status = make_arrays(p, s);
    status = status ? status : solve_sizes(p, s);
    status = status ? status : find_shapes(p, s);
    if (status)
        return status;
    rgi_extra *extra = rgi_alloc(a, n * sizeof *extra);
    uint32_t *interval = rgi_alloc(a, n * sizeof *interval);
    bool *shared = rgi_alloc(a, n + 1);
    const bool ok = extra && interval && shared && rgi_steps_make(p, s, extra) && rgi_share(p, s, interval, shared) &&
                    place(p, s, extra, interval, shared) && rgi_steps_link(p, s, extra) && rgi_straighten(s) &&
                    (!prog->opts.profile || (s->timeline = rgi_timeline_new(prog, s)));
    rgi_free(a, extra, n * sizeof *extra);
    rgi_free(a, interval, n * sizeof *interval);
    rgi_free(a, shared, n + 1);
    return ok ? RG_OK : s->refused ? s->refused : rgi_fail(RG_ERR_MEMORY, "rg_run: out of memory");
}

static void resolve(const rgi_special *s, int32_t head, const void *base)
{
    for (int32_t i = head; i != RGI_NONE; i = s->links[i].next)
        *s->links[i].at = base ? (const char *)base + s->links[i].offset : NULL;
}

/* Makes the present specialisation's pointers follow what has moved. */
static rg_status attach(rg_plan *p, rgi_special *s)
{
    const rg_allocator *a = &p->program->graph->allocator;
    if (p->lent && p->slab_bytes < s->total)
        return rgi_fail(RG_ERR_MEMORY, "rg_run: the plan needs %zu bytes of memory, it was given %zu", s->total,
                        p->slab_bytes);
    if (!p->slab || p->slab_bytes < s->total) {
        char *slab = rgi_slab_alloc(a, s->total + 64);
        if (!slab)
            return rgi_fail(RG_ERR_MEMORY, "rg_run: out of memory: the plan needs %zu bytes", s->total);
        rgi_free(a, p->slab, p->slab_bytes);
        p->slab = slab;
        p->slab_bytes = s->total + 64;
        p->ran = false;
    }
    if (s->slab != p->slab)
        resolve(s, s->slab_links, p->slab);
    s->slab = p->slab;
    for (size_t i = 0; i < p->program->n_inputs; i++)
        if (s->input_data[i] != p->bindings[i].data) {
            resolve(s, s->input_links[i], p->bindings[i].data);
            s->input_data[i] = p->bindings[i].data;
        }
    for (size_t i = 0; i < p->n_stored; i++)
        if (s->store_data[i] != p->stored[i]) {
            resolve(s, s->store_links[i], p->stored[i]);
            s->store_data[i] = p->stored[i];
        }
    return RG_OK;
}

static rg_status check_bound(const rg_plan *p, bool data)
{
    const rgi_program *prog = p->program;
    char label[RGI_LABEL];
    for (size_t i = 0; i < prog->n_read; i++) {
        const rgi_binding *b = &p->bindings[i];
        const bool empty = b->sized && rg_shape_count(b->shape) == 0;
        if (b->sized && (b->data || empty || !data))
            continue;
        input_label(p, i, label);
        return rgi_fail(RG_ERR_STATE, "rg_run: input '%s' %s is not bound", rg_name(prog->inputs[i]), label);
    }
    return RG_OK;
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

/* A specialisation of a program for the sizes bound; takes the program over if it is not the plan's. */
static rg_status make_special(rg_plan *p, rgi_program *prog, rgi_special **out)
{
    const rg_allocator *a = &p->base->graph->allocator;
    rgi_program *const before = p->program;
    rgi_special *s = rgi_alloc(a, sizeof *s);
    *out = NULL;
    if (!s) {
        if (prog != p->base)
            rgi_recompute_free(prog);
        return rgi_fail(RG_ERR_MEMORY, "rg_run: out of memory");
    }
    rgi_arena_init(&s->arena, *a);
    s->own = prog == p->base ? NULL : prog;
    p->program = prog;
    const rg_status status = build(p, s);
    p->program = before;
    if (status)
        rgi_special_free(p, s);
    else
        *out = s;
    return status;
}

/* Tries what may be dropped: of all programs that fit into the budget the fastest replaces *s. */
static rg_status fit_budget(rg_plan *p, rgi_special **s)
{
    static const double segments[] = {1, 2, 3, 4, 6, 9, 14, 24}, parts[] = {0.25, 0.5, 0.75, 1};
    enum { SEGMENTS = sizeof segments / sizeof *segments, PARTS = sizeof parts / sizeof *parts };
    const size_t budget = p->base->opts.budget;
    size_t least = (*s)->total;
    rgi_special *best = NULL;
    rg_status status = RG_OK;
    for (size_t i = 0; i <= (size_t)SEGMENTS * PARTS && !status; i++) {
        const rgi_policy policy = {
            .cheap = i == 0, .segments = i ? segments[(i - 1) / PARTS] : 0, .part = i ? parts[(i - 1) % PARTS] : 0};
        rgi_special *other = NULL;
        rgi_program *prog = rgi_recompute(p->base, *s, &policy);
        status = prog ? make_special(p, prog, &other) : rgi_fail(RG_ERR_MEMORY, "rg_run: out of memory");
        if (status)
            break;
        least = other->total < least ? other->total : least;
        const bool better = other->total <= budget && (!best || other->nanoseconds < best->nanoseconds);
        rgi_special_free(p, better ? best : other);
        best = better ? other : best;
    }
    if (!status && !best)
        status = rgi_fail(RG_ERR_MEMORY,
                          "rg_run: the plan takes %zu bytes, the budget is %zu: the least that would do is %zu",
                          (*s)->total, budget, least);
    if (status) {
        rgi_special_free(p, best);
        return status;
    }
    rgi_special_free(p, *s);
    *s = best;
    return RG_OK;
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
        status = make_special(p, p->base, &s);
        if (!status && p->base->opts.budget && s->total > p->base->opts.budget)
            status = fit_budget(p, &s);
        if (status) {
            rgi_special_free(p, s);
            return status;
        }
        if (p->n_specials == RGI_KNOWN_SIZES)
            forget_oldest(p);
        s->next = p->specials;
        p->specials = s;
        p->n_specials++;
    }
    status = attach(p, s);
    status = status ? status : rgi_kept_attach(p, s);
    if (status)
        return status;
    p->current = s;
    p->program = s->own ? s->own : p->base;
    p->changed = !run;
    return RG_OK;
}
