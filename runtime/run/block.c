/* block.c - a fused group of elementwise ops, block by block: each op's loop runs over the block while it is in
   cache. */
#include "../plan.h"
#include "../program/evaluate.h"
#include "stream.h"

#include <stddef.h>
#include <string.h>

/* Where a block of a group is: its first element, the memory for blocks, the block of the head or for the foot, the
   loops' counters. */
typedef struct place {
    size_t first, n;
    size_t before, n_before; /* the block before it, whose spreads are still there; or none */
    char *scratch;
    const char *seam;
    const int64_t *t;
    const rgi_group *g;
} place;

static const void *in_memory(const rgi_operand *o, const place *at)
{
    return o->at ? (const char *)rgi_at(o->at, o->terms, at->t) + at->first * o->size : NULL;
}

/* How a block sees a smaller operand: where its elements, or the one that all meet, are. */
typedef struct view {
    const void *at;
    bool once;
} view;

#define VIEWS 16 /* of a group: further operands are spread in any case */

/* The elements stand one after the other as the block wants them, or it wants one alone: else NULL. */
static view unspread(const rgi_spread *x, const place *at)
{
    const char *from = rgi_at(x->from.at, x->from.terms, at->t);
    const rg_window *w = x->from.window;
    if (w) {
        const size_t column = at->first % w->length;
        const bool inside = column + at->n <= w->length;
        return (view){inside ? from + (w->offset + at->first / w->length * w->pitch + column) * x->from.size : NULL,
                      false};
    }
    if (x->run && at->first % x->run + at->n <= x->run)
        return (view){from + at->first / x->run % x->turn * x->from.size, true};
    const size_t offset = x->period ? at->first % x->period : 0;
    return (view){offset + at->n <= x->period ? from + offset * x->from.size : NULL, false};
}

static const void *address(const rgi_operand *o, const place *at)
{
    switch (o->mode) {
    case RGI_BLOCK:
    case RGI_WINDOW:
    case RGI_STREAM:
        return at->scratch + o->slot;
    case RGI_HEAD:
    case RGI_FOOT:
        return at->seam;
    case RGI_NUMBER:
        return o->at;
    case RGI_MEMORY:
        break;
    }
    return in_memory(o, at);
}

static const int64_t no_loops[RGI_MAX_LOOPS]; /* heads and feet stand outside of loops */

/* As many bytes of what the next block reads first, if there are so many. */
static const void *next_read(const rgi_group *g, const place *at, size_t bytes)
{
    const rgi_operand *o = &g->members[0].in[0];
    const place next = {.first = at->first + at->n, .t = at->t};
    const bool inside =
        g->members[0].step.n_in > 0 && o->mode == RGI_MEMORY && bytes <= (g->elements - next.first) * o->size;
    return inside ? in_memory(o, &next) : NULL;
}

/* Elements [first, first + n) between a window of `whole` and a dense block. */
static void read_window(const char *whole, const rg_window *w, size_t size, size_t first, size_t n, char *block)
{
    for (size_t row = first / w->length, column = first % w->length, run; n; n -= run, row++, column = 0) {
        run = w->length - column < n ? w->length - column : n;
        memcpy(block, whole + (w->offset + row * w->pitch + column) * size, run * size);
        block += run * size;
    }
}

static void write_window(char *whole, const rg_window *w, size_t size, size_t first, size_t n, const char *block)
{
    for (size_t row = first / w->length, column = first % w->length, run; n; n -= run, row++, column = 0) {
        run = w->length - column < n ? w->length - column : n;
        memcpy(whole + (w->offset + row * w->pitch + column) * size, block, run * size);
        block += run * size;
    }
}

static void spread(const rgi_group *g, const rgi_spread *x, const void *from, size_t first, size_t n, char *block)
{
    if (x->from.window)
        read_window(from, x->from.window, x->from.size, first, n, block);
    else
        rgi_broadcast_copy(from, &x->shape, &g->shape, x->from.size, first, n, block);
}

/* Whether a spread that was made for the block before serves this one. */
static bool is_there(const rgi_spread *x, const place *at)
{
    return x->cycle && at->n <= at->n_before && at->first / x->reach == at->before / x->reach &&
           at->first % x->cycle == at->before % x->cycle && at->before % x->reach + at->n_before <= x->reach &&
           at->first % x->reach + at->n <= x->reach;
}

/* Elements of the next block of so many. */
static size_t block_of(const rgi_group *g, size_t first, size_t n)
{
    const size_t most = n < g->block ? n : g->block, run = g->run ? g->run - first % g->run : most;
    return run < most ? run : most;
}

static rg_status run_block(const rgi_group *g, place *at)
{
    view views[VIEWS];
    for (size_t i = 0; i < g->n_spreads; i++) {
        const rgi_spread *x = &g->spreads[i];
        view v = i < VIEWS ? unspread(x, at) : (view){NULL, false};
        if (!v.at) {
            v.at = at->scratch + x->slot;
            if (!is_there(x, at))
                spread(g, x, rgi_at(x->from.at, x->from.terms, at->t), at->first, at->n, at->scratch + x->slot);
        }
        if (i < VIEWS)
            views[i] = v;
    }
    for (size_t k = 0; k < g->n_members; k++) {
        const rgi_member *m = &g->members[k];
        const void *in[RGI_MAX_ARITY];
        rg_step s = m->step;
        for (uint32_t i = 0; i < s.n_in; i++) {
            const uint32_t n = m->in[i].spread;
            const bool seen = n && n <= VIEWS;
            in[i] = seen ? views[n - 1].at : address(&m->in[i], at);
            s.once |= (uint32_t)(seen && views[n - 1].once) << i;
        }
        void *out = (void *)(uintptr_t)address(&m->out, at);
        s.in = in;
        s.out = &out;
        const rg_status status = s.op->run(&s, 0, at->n);
        if (status)
            return status;
        if (m->out.mode == RGI_WINDOW)
            write_window((char *)(uintptr_t)rgi_at(m->out.at, m->out.terms, at->t), m->out.window, m->out.size,
                         at->first, at->n, out);
        if (m->out.mode == RGI_STREAM)
            rgi_stream_copy((void *)(uintptr_t)in_memory(&m->out, at), out, at->n * m->out.size,
                            next_read(g, at, at->n * m->out.size));
    }
    at->before = at->first;
    at->n_before = at->n;
    return RG_OK;
}

/* The status, after what the blocks so far have written is on its way to memory. */
static rg_status ended(const rgi_group *g, rg_status status)
{
    if (g->streams)
        rgi_stream_end();
    return status;
}

/* Rows of many stacks, a step further each: more streams than a processor follows by itself.
   Asking for them takes a twentieth off the training of cells that keep many, with peepholes for one; others neither
   gain nor lose. */
static void shift(const rgi_shift *x, const int64_t *t)
{
    const char *at = rgi_at(x->at, x->terms, t);
    *x->pointer = at;
    if (x->ahead)
        for (uintptr_t next = (uintptr_t)at + (uintptr_t)x->ahead, end = next + x->bytes; next < end; next += 64)
            __builtin_prefetch((const void *)next);
}

static rg_status run_single(const rgi_group *g, const int64_t *t)
{
    for (size_t i = 0; i < g->n_shifts; i++)
        shift(&g->shifts[i], t);
    for (size_t i = 0; i < g->n_spreads; i++) {
        const rgi_spread *x = &g->spreads[i];
        spread(g, x, rgi_at(x->from.at, x->from.terms, t), 0, g->elements, g->own + x->slot);
    }
    for (size_t m = 0; m < g->n_members; m++) {
        const rg_step *s = &g->members[m].step;
        const rg_status status = s->op->run(s, 0, g->elements);
        if (status)
            return status;
    }
    for (size_t m = 0; g->windows && m < g->n_members; m++) {
        const rgi_operand *out = &g->members[m].out;
        if (out->mode == RGI_WINDOW)
            write_window((char *)(uintptr_t)rgi_at(out->at, out->terms, t), out->window, out->size, 0, g->elements,
                         g->own + out->slot);
    }
    return RG_OK;
}

rg_status rgi_group_part(const rgi_group *g, size_t first, size_t n, char *scratch, const int64_t *t)
{
    place at = {.first = first, .scratch = scratch, .t = t, .g = g};
    rg_status status = RG_OK;
    for (; n && !status; at.first += at.n, n -= at.n) {
        at.n = block_of(g, at.first, n);
        status = run_block(g, &at);
    }
    return ended(g, status);
}

rg_status rgi_group_run(const rgi_group *g, size_t part, size_t lo, size_t hi, char *scratch, const int64_t *t)
{
    const size_t first = lo * part, end = hi * part;
    return g->single ? run_single(g, t)
                     : rgi_group_part(g, first, (end < g->elements ? end : g->elements) - first, scratch, t);
}

static const rgi_group *group_of(const rg_tail *tail)
{
    return (const rgi_group *)(const void *)((const char *)tail - offsetof(rgi_group, tail));
}

size_t rgi_group_reads(const rg_step *step, size_t first, const void *at[RG_TAIL_READS])
{
    const rgi_group *g = group_of(step->tail);
    const place from = {.first = first, .t = no_loops};
    size_t n = 0;
    for (size_t k = 0; k < g->n_members; k++)
        for (uint32_t i = 0; i < g->members[k].step.n_in && n < RG_TAIL_READS; i++) {
            const rgi_operand *o = &g->members[k].in[i];
            if (o->mode == RGI_MEMORY && o->at && o->size == rg_dtype_size(step->out_type->dtype))
                at[n++] = in_memory(o, &from);
        }
    return n;
}

size_t rgi_group_writes(const rg_step *step, size_t first, const void *at[RG_TAIL_READS])
{
    const rgi_group *g = group_of(step->tail);
    const place from = {.first = first, .t = no_loops};
    size_t n = 0;
    for (size_t k = 0; k < g->n_members && n < RG_TAIL_READS; k++) {
        const rgi_operand *o = &g->members[k].out;
        if (o->mode == RGI_MEMORY && o->at && o->size == rg_dtype_size(step->out_type->dtype))
            at[n++] = in_memory(o, &from);
    }
    return n;
}

void *rgi_group_adds_to(const rg_step *step, size_t first, double *factor)
{
    const rgi_group *g = group_of(step->tail);
    const rgi_member *m = &g->members[0];
    const uint32_t last = m->step.n_in - 1;
    const place all = {.n = g->elements, .t = no_loops}, from = {.first = first, .t = no_loops};
    const void *in[RGI_MAX_ARITY] = {NULL};
    rg_step s = m->step;
    if (g->n_members > 1 || !s.op->adds || m->in[0].mode != RGI_HEAD || m->in[last].mode != RGI_MEMORY ||
        m->out.mode != RGI_MEMORY)
        return NULL;
    for (uint32_t i = 1; i < last; i++) {
        const view v = m->in[i].spread ? unspread(&g->spreads[m->in[i].spread - 1], &all) : (view){NULL, false};
        in[i] = v.at;
        s.once |= (uint32_t)v.once << i;
    }
    s.in = in;
    void *const to = (void *)(uintptr_t)in_memory(&m->out, &from);
    return to && to == in_memory(&m->in[last], &from) && s.op->adds(&s, factor) ? to : NULL;
}

rg_status rgi_group_take(const rg_step *step, const rg_block *block)
{
    const rgi_group *g = group_of(step->tail);
    const size_t size = rg_dtype_size(step->out_type->dtype);
    const bool dense = block->stride == block->columns && block->pitch == block->columns;
    const size_t rows = dense ? 1 : block->rows, columns = dense ? block->rows * block->columns : block->columns;
    place at = {.scratch = (char *)step->scratch + g->scratch_at, .t = no_loops, .g = g};
    rg_status status = RG_OK;
    for (size_t i = 0; i < rows; i++)
        for (size_t j = 0; j < columns && !status; j += at.n) {
            at.first = block->first + i * block->pitch + j;
            at.n = block_of(g, at.first, columns - j);
            at.seam = (const char *)block->data + (i * block->stride + j) * size;
            status = run_block(g, &at);
        }
    return ended(g, status);
}

rg_status rgi_group_give(const rg_step *step, size_t first, size_t n, void *to)
{
    const rgi_group *g = (const rgi_group *)(const void *)((const char *)step->source - offsetof(rgi_group, source));
    const size_t size = rg_dtype_size(step->in_type->dtype);
    place at = {.scratch = (char *)step->scratch + g->scratch_at, .t = no_loops, .g = g};
    rg_status status = RG_OK;
    for (size_t i = 0; i < n && !status; i += at.n) {
        at.first = first + i;
        at.n = block_of(g, at.first, n - i);
        at.seam = (const char *)to + i * size;
        status = run_block(g, &at);
    }
    return ended(g, status);
}
