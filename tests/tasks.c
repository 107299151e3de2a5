/* tasks.c - dependences between executions of steps, from the bytes they touch. */
#include "tasks.h"

#include "../runtime/run/exec.h"
#include "../runtime/program/retrace.h"
#include "../runtime/sizes/steps.h"

#include <stdlib.h>
#include <string.h>

/* Rows of bytes: of a window several, else one. */
typedef struct range {
    const char *from, *to; /* the first row */
    size_t rows, pitch;
    bool written;
} range;

typedef struct access {
    range *at;
    size_t n;
} access;

/* Where a step has worked out that one of its operands lies in another value. */
static const rg_window *window_of(const rg_plan *p, const task_group *g, int32_t v)
{
    const rgi_exec *e = &p->current->steps[g->step];
    const rgi_group *group = e->group;
    const rgi_item *item = &p->program->items[g->step];
    if (e->step.windows && item->kind == RGI_PACK)
        return e->step.windows[e->input];
    const rgi_use *use = e->step.windows ? rgi_main_use(p->program, item) : NULL;
    for (uint32_t i = 0; use && i <= use->n_in; i++)
        if ((i < use->n_in ? use->in[i] : use->out[0]) == v)
            return e->step.windows[i];
    for (size_t i = 0; group && i < group->n_spreads; i++)
        if (group->spreads[i].value == v)
            return group->spreads[i].from.window;
    const rgi_use *uses = &p->program->uses[item->first];
    for (size_t k = 0; group && k < group->n_members; k++)
        if (uses[k].out[0] == v)
            return group->members[k].out.window;
    return NULL;
}

/* Where a value lies while the loops stand as for g; an empty range if it has no memory that changes. */
static range range_of(const rg_plan *p, int32_t v, const task_group *g, bool written)
{
    const rgi_program *prog = p->program;
    const rgi_special *s = p->current;
    const int32_t owner = rgi_owner(prog, v);
    const rgi_value *o = &prog->values[owner];
    const char *base = o->place == RGI_SLAB    ? p->slab + s->offsets[owner]
                       : o->place == RGI_STORE ? p->stored[o->slot]
                       : o->place == RGI_BOUND ? p->bindings[o->slot].data
                                               : NULL;
    if (!base)
        return (range){.written = written};
    base += rgi_begin(prog, s, v);
    for (int32_t w = v; prog->values[w].part_of != RGI_NONE; w = prog->values[w].part_of)
        if (prog->values[w].step_loop != RGI_NONE)
            base += (size_t)g->t[prog->loops[prog->values[w].step_loop].depth] * s->counts[prog->values[w].shape] *
                    rg_dtype_size(prog->values[w].dtype);
    const size_t size = rg_dtype_size(prog->values[v].dtype), n = rgi_bytes(prog, s, v) / size;
    const rg_window *w = prog->values[v].window ? window_of(p, g, v) : NULL;
    if (!w || n == 0)
        return (range){base, base + n * size, 1, 0, written};
    base += w->offset * size;
    return (range){base, base + w->length * size, n / w->length, w->pitch * size, written};
}

static bool find_accesses(const rg_plan *p, const task_group *g, access *out)
{
    const rgi_item *item = &p->program->items[g->step];
    const rgi_exec *e = &p->current->steps[g->step];
    size_t n = 1;
    for (int write = 0; write < 2; write++) {
        rgi_cursor c = {0, 0};
        while ((write ? rgi_next_write : rgi_next_read)(p->program, item, &c) != RGI_NONE)
            n++;
    }
    out->at = malloc(n * sizeof *out->at);
    if (!out->at)
        return false;
    out->n = 0;
    for (int write = 0; write < 2; write++) {
        rgi_cursor c = {0, 0};
        for (int32_t v; (v = (write ? rgi_next_write : rgi_next_read)(p->program, item, &c)) != RGI_NONE;) {
            const int32_t owner = rgi_owner(p->program, v); /* where only some rows are there, all of them */
            const bool rows = (e->every && write) || p->program->values[owner].slots;
            out->at[out->n++] = range_of(p, rows ? owner : v, g, write);
        }
    }
    const char *own = e->kind == RGI_FUSED ? e->group->own : e->step.shared;
    if (e->own)
        out->at[out->n++] = (range){own, own + e->own, 1, 0, true};
    return true;
}

static bool overlap(const range *a, const range *b)
{
    if (a->rows == 0 || b->rows == 0 || a->from >= b->to + (b->rows - 1) * b->pitch ||
        b->from >= a->to + (a->rows - 1) * a->pitch)
        return false;
    for (size_t i = 0; i < a->rows; i++)
        for (size_t j = 0; j < b->rows; j++)
            if (a->from + i * a->pitch < b->to + j * b->pitch && b->from + j * b->pitch < a->to + i * a->pitch)
                return true;
    return false;
}

static bool conflict(const access *a, const access *b)
{
    for (size_t i = 0; i < a->n; i++)
        for (size_t j = 0; j < b->n; j++)
            if ((a->at[i].written || b->at[j].written) && overlap(&a->at[i], &b->at[j]))
                return true;
    return false;
}

/* The steps in the order of a run on one thread, loops unrolled. */
static bool unroll(task_graph *out)
{
    const rg_plan *p = out->plan;
    const rgi_special *s = p->current;
    size_t capacity = 0, done[RGI_MAX_LOOPS], trips[RGI_MAX_LOOPS];
    int64_t t[RGI_COUNTERS] = {0};
    rgi_stage stages[RGI_MAX_LOOPS];
    for (size_t i = 0; i < s->n_steps;) {
        const rgi_exec *e = &s->steps[i];
        if (e->kind == RGI_LOOP) {
            done[e->depth] = 0;
            t[e->depth] = e->reverse ? (int64_t)e->trips - 1 : 0;
            trips[e->depth] = e->schedule ? rgi_retrace_enter(e, stages, t) : e->trips;
            i = trips[e->depth] ? i + 1 : e->jump;
            continue;
        }
        if (e->kind == RGI_NEXT) {
            const bool over = ++done[e->depth] == trips[e->depth];
            t[e->depth] += e->reverse ? -1 : 1;
            if (e->schedule && !over)
                rgi_retrace_turn(e, stages, t);
            i = over ? i + 1 : e->jump;
            continue;
        }
        if (out->n == capacity) {
            capacity = capacity ? 2 * capacity : 64;
            task_group *larger = realloc(out->groups, capacity * sizeof *larger);
            if (!larger)
                return false;
            out->groups = larger;
        }
        task_group *g = &out->groups[out->n++];
        *g = (task_group){.step = (uint32_t)i, .tasks = e->tasks, .parallel = e->parallel, .barrier = e->barrier};
        while (g->phases < RG_MAX_PHASES && e->tasks[g->phases])
            g->phases++;
        g->t = malloc(sizeof t);
        if (!g->t)
            return false;
        memcpy(g->t, t, sizeof t);
        i++;
    }
    return true;
}

static bool connect(task_graph *out)
{
    access *all = calloc(out->n + 1, sizeof *all);
    size_t *capacity = calloc(out->n + 1, sizeof *capacity);
    bool ok = all && capacity;
    for (size_t i = 0; ok && i < out->n; i++)
        ok = find_accesses(out->plan, &out->groups[i], &all[i]);
    for (size_t j = 0; ok && j < out->n; j++)
        for (size_t i = 0; ok && i < j; i++) {
            task_group *g = &out->groups[i];
            if (!conflict(&all[i], &all[j]))
                continue;
            if (g->n_after == capacity[i]) {
                capacity[i] = capacity[i] ? 2 * capacity[i] : 8;
                uint32_t *larger = realloc(g->after, capacity[i] * sizeof *larger);
                ok = larger != NULL;
                g->after = larger ? larger : g->after;
            }
            if (ok)
                g->after[g->n_after++] = (uint32_t)j;
            out->groups[j].before++;
        }
    for (size_t i = 0; all && i < out->n; i++)
        free(all[i].at);
    free(all);
    free(capacity);
    return ok;
}

bool task_list_make(rg_plan *p, task_graph *out)
{
    *out = (task_graph){.plan = p};
    if (rgi_special_choose(p, true))
        return false;
    rgi_kept_renew(p);
    out->scratch = aligned_alloc(64, (p->current->scratch / 64 + 1) * 64);
    if (out->scratch && unroll(out))
        return true;
    task_graph_free(out);
    return false;
}

bool task_graph_make(rg_plan *p, task_graph *out)
{
    if (!task_list_make(p, out))
        return false;
    if (connect(out))
        return true;
    task_graph_free(out);
    return false;
}

void task_graph_free(task_graph *g)
{
    for (size_t i = 0; i < g->n; i++) {
        free(g->groups[i].after);
        free(g->groups[i].t);
    }
    free(g->groups);
    free(g->scratch);
    *g = (task_graph){0};
}

bool task_run(const task_graph *g, size_t group, uint32_t phase, size_t task, size_t n)
{
    const task_group *x = &g->groups[group];
    return rgi_run_tasks(&g->plan->current->steps[x->step], phase, task, task + n, g->scratch, x->t) == RG_OK;
}

bool task_graph_run_linked(const task_graph *g)
{
    const rgi_exec *steps = g->plan->current->steps;
    bool ok = true;
    for (size_t i = 0, n; ok && i < g->n; i += n) {
        n = steps[g->groups[i].step].chain ? steps[g->groups[i].step].chain : 1;
        if (n > 1)
            for (size_t task = g->groups[i].tasks[0]; ok && task-- > 0;)
                for (size_t j = i; ok && j < i + n; j++)
                    ok = task_run(g, j, 0, task, 1);
        else
            for (uint32_t k = 0; ok && k < g->groups[i].phases; k++)
                ok = task_run(g, i, k, 0, g->groups[i].tasks[k]);
    }
    g->plan->ran = ok;
    return ok;
}

static uint64_t draw(uint64_t *random, uint64_t below)
{
    *random = *random * 6364136223846793005u + 1442695040888963407u;
    return (*random >> 33) % below;
}

/* A group that has begun or may: `order` holds the tasks of its present phase, those still to do in front. */
typedef struct open_group {
    uint32_t group, phase;
    size_t left, *order;
} open_group;

static bool enter_phase(const task_graph *g, open_group *o)
{
    const task_group *x = &g->groups[o->group];
    o->left = o->phase < x->phases ? x->tasks[o->phase] : 0;
    free(o->order);
    o->order = malloc((o->left + 1) * sizeof *o->order);
    for (size_t i = 0; o->order && i < o->left; i++)
        o->order[i] = i;
    return o->order != NULL;
}

bool task_graph_run_shuffled(const task_graph *g, uint64_t *random)
{
    uint32_t *before = malloc((g->n + 1) * sizeof *before);
    open_group *open = calloc(g->n + 1, sizeof *open);
    size_t n = 0, done = 0;
    bool ok = before && open;
    for (uint32_t i = 0; ok && i < g->n; i++) {
        before[i] = g->groups[i].before;
        if (before[i] == 0) {
            open[n] = (open_group){.group = i};
            ok = enter_phase(g, &open[n++]);
        }
    }
    while (ok && n) {
        const size_t which = draw(random, n);
        open_group *o = &open[which];
        if (o->left) {
            const size_t at = draw(random, o->left), task = o->order[at];
            o->order[at] = o->order[--o->left];
            ok = task_run(g, o->group, o->phase, task, 1);
        }
        if (!ok || o->left)
            continue;
        o->phase++;
        if (o->phase < g->groups[o->group].phases) {
            ok = enter_phase(g, o);
            continue;
        }
        const task_group *over = &g->groups[o->group];
        free(o->order);
        *o = open[--n];
        done++;
        for (size_t k = 0; ok && k < over->n_after; k++)
            if (--before[over->after[k]] == 0) {
                open[n] = (open_group){.group = over->after[k]};
                ok = enter_phase(g, &open[n++]);
            }
    }
    for (size_t i = 0; open && i < n; i++)
        free(open[i].order);
    free(open);
    free(before);
    g->plan->ran = ok;
    return ok && done == g->n;
}
