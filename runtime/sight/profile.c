/* profile.c - what a run costs: estimated before, measured after, as tables and as a trace. */
#include "../schedule/share.h"
#include "sight.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* ---- estimate ---- */

static double at_roof(const rg_roof *roof, double flops, double bytes)
{
    const double arithmetic = roof->gflops > 0 ? flops / roof->gflops : 0,
                 memory = roof->gbs > 0 ? bytes / roof->gbs : 0;
    return (arithmetic > memory ? arithmetic : memory) * 1e-9;
}

rg_status rg_plan_estimate(rg_plan *p, const rg_roof *roof, rg_estimate *out)
{
    if (!p || !out)
        return rgi_fail(RG_ERR_ARGUMENT, "rg_plan_estimate: %s is NULL", p ? "the result" : "the plan");
    *out = (rg_estimate){0};
    const rg_status status = rgi_special_choose(p, false);
    if (status)
        return status;
    const rgi_program *prog = p->program;
    const rgi_special *s = p->current;
    for (size_t i = 0; i < s->n_steps; i++) {
        const rgi_exec *e = &s->steps[i];
        if (e->kind == RGI_LOOP || e->kind == RGI_NEXT)
            continue;
        const double calls = rgi_step_calls(prog, s, i);
        out->steps += (size_t)calls;
        out->flops += calls * e->flops;
        out->bytes += calls * e->traffic;
        out->seconds += roof ? calls * at_roof(roof, e->flops, e->traffic) : 0;
    }
    out->memory = rg_plan_bytes(p);
    out->values = s->bytes;
    out->peak = s->peak;
    for (size_t v = 0; v < prog->n_values; v++) {
        const rgi_value *value = &prog->values[v];
        if (value->place == RGI_STORE && value->part_of == RGI_NONE)
            out->parameters += p->store->at[value->slot]->bytes;
    }
    return RG_OK;
}

/* ---- tables ---- */

typedef struct row {
    const char *key;
    double calls, flops, bytes, busy, waited, elapsed, roof; /* seconds; roof: what it would take at the roof */
} row;

static int by_key(const void *a, const void *b)
{
    return strcmp(((const row *)a)->key, ((const row *)b)->key);
}

static int by_time(const void *a, const void *b)
{
    const row *x = a, *y = b;
    return x->busy != y->busy ? (x->busy < y->busy) - (x->busy > y->busy) : strcmp(x->key, y->key);
}

/* Rows of one key become one. */
static size_t merge(row *rows, size_t n)
{
    qsort(rows, n, sizeof *rows, by_key);
    size_t kept = 0;
    for (size_t i = 0; i < n; i++) {
        if (kept && strcmp(rows[kept - 1].key, rows[i].key) == 0) {
            row *r = &rows[kept - 1];
            r->calls += rows[i].calls;
            r->flops += rows[i].flops;
            r->bytes += rows[i].bytes;
            r->busy += rows[i].busy;
            r->waited += rows[i].waited;
            r->elapsed += rows[i].elapsed;
            r->roof += rows[i].roof;
        } else {
            rows[kept++] = rows[i];
        }
    }
    qsort(rows, kept, sizeof *rows, by_time);
    return kept;
}

static void print_rows(rgi_text *t, const char *title, const row *rows, size_t n, double all, bool roof)
{
    rgi_text_printf(t, "\n%10s %7s %9s %9s %9s %9s %s  %s\n", "us", "share", "waits", "calls", "GFLOP/s", "GB/s",
                    roof ? "% of roof" : "", title);
    for (size_t i = 0; i < n; i++) {
        const row *r = &rows[i];
        const double seconds = r->elapsed > 0 ? r->elapsed : 1e-9;
        rgi_text_printf(t, "%10.1f %6.1f%% %9.1f %9.0f %9.1f %9.1f ", r->busy * 1e6, all > 0 ? 100 * r->busy / all : 0,
                        r->waited * 1e6, r->calls, r->flops / seconds * 1e-9, r->bytes / seconds * 1e-9);
        if (roof)
            rgi_text_printf(t, "%8.0f%% ", 100 * r->roof / seconds);
        rgi_text_printf(t, " %s\n", r->key);
    }
}

/* Seconds that each step took: of all threads together, and of the one it took longest; and that threads waited for
   others in it and in front of it. */
static void sum_events(const rgi_timeline *t, row *steps, double *lane)
{
    for (size_t k = 0; k < t->n_lanes; k++) {
        const rgi_lane *l = &t->lanes[k];
        for (size_t i = 0; i < l->n; i++)
            lane[l->events[i].step] += (double)(l->events[i].end - l->events[i].begin - l->events[i].waited) * 1e-9;
        for (size_t i = 0; i < l->n; i++) {
            row *r = &steps[l->events[i].step];
            double *time = &lane[l->events[i].step];
            r->busy += *time;
            r->elapsed = *time > r->elapsed ? *time : r->elapsed;
            *time = 0;
        }
        for (size_t i = 0; i < t->n_steps; i++)
            steps[i].waited += (double)l->waits[i] * 1e-9;
    }
}

static const rgi_timeline *timeline_of(const rg_plan *p, const char *who)
{
    if (!p) {
        rgi_fail(RG_ERR_ARGUMENT, "%s: the plan is NULL", who);
        return NULL;
    }
    const rgi_timeline *t = p->current ? p->current->timeline : NULL;
    if (!p->program->opts.profile)
        rgi_fail(RG_ERR_STATE, "%s: the plan was compiled without opts.profile", who);
    else if (!t || !t->end)
        rgi_fail(RG_ERR_STATE, "%s: the plan has not run with the sizes bound now", who);
    return p->program->opts.profile && t && t->end ? t : NULL;
}

/* A row for each step that does something; titles and scopes live in the arena. */
static bool make_rows(const rg_plan *p, const rg_roof *roof, rgi_arena *arena, row *steps, row *by_scope)
{
    const rgi_program *prog = p->program;
    const rgi_special *s = p->current;
    double *lane = rgi_arena_alloc(arena, (s->n_steps + 1) * sizeof *lane);
    if (!lane)
        return false;
    sum_events(s->timeline, steps, lane);
    for (size_t i = 0; i < s->n_steps; i++) {
        char *title = rgi_arena_alloc(arena, RGI_TITLE);
        if (!title)
            return false;
        const rgi_exec *e = &s->steps[i];
        row *r = &steps[i];
        r->key = rgi_step_title(prog, i, title, RGI_TITLE);
        r->calls = rgi_step_calls(prog, s, i);
        r->flops = e->flops * r->calls;
        r->bytes = e->traffic * r->calls;
        r->roof = roof ? r->calls * at_roof(roof, e->flops, e->traffic) : 0;
        by_scope[i] = *r;
        const char *scope = rgi_step_scope(prog, i);
        by_scope[i].key = *scope ? scope : "(no scope)";
    }
    return true;
}

/* Those that took no time are begins and ends of loops. */
static size_t drop_empty(row *rows, size_t n)
{
    size_t kept = 0;
    for (size_t i = 0; i < n; i++)
        if (rows[i].busy > 0 || rows[i].waited > 0)
            rows[kept++] = rows[i];
    return kept;
}

/* Percent of a run of so many threads. */
static double share_of(double time, double seconds, size_t threads)
{
    return seconds > 0 ? 100 * time / seconds / (double)threads : 0;
}

char *rg_plan_profile(rg_plan *p, const rg_roof *roof)
{
    const rgi_timeline *t = timeline_of(p, "rg_plan_profile");
    if (!t)
        return NULL;
    const rg_allocator *a = &p->program->graph->allocator;
    const size_t n = p->current->n_steps;
    rgi_arena arena;
    rgi_text text;
    rgi_arena_init(&arena, *a);
    rgi_text_init(&text, a);
    row *ops = rgi_arena_alloc(&arena, (n + 1) * sizeof *ops),
        *scopes = rgi_arena_alloc(&arena, (n + 1) * sizeof *scopes);
    if (!ops || !scopes || !make_rows(p, roof, &arena, ops, scopes)) {
        rgi_arena_finish(&arena);
        rgi_fail(RG_ERR_MEMORY, "rg_plan_profile: out of memory");
        return NULL;
    }
    double busy = 0, waited = 0;
    size_t lost = 0, threads = 0;
    for (size_t i = 0; i < n; i++)
        busy += ops[i].busy;
    for (size_t k = 0; k < t->n_lanes; k++) {
        uint64_t waits = 0;
        for (size_t i = 0; i <= n; i++)
            waits += t->lanes[k].waits[i];
        lost += t->lanes[k].lost;
        threads += k == 0 || t->lanes[k].n > 0 || waits > 0; /* a team may be smaller than the plan is for */
        waited += (double)waits * 1e-9;
    }
    const double seconds = (double)(t->end - t->begin) * 1e-9;
    rgi_text_printf(&text, "run of %.1f us on %zu thread%s, which worked %.0f %% of it", seconds * 1e6, threads,
                    threads > 1 ? "s" : "", share_of(busy, seconds, threads));
    rgi_text_printf(&text, threads > 1 ? " and waited for each other %.1f %%\n" : "\n",
                    share_of(waited, seconds, threads));
    if (lost)
        rgi_text_printf(&text, "%zu events beyond the first %zu of a thread are not counted\n", lost, t->capacity);
    print_rows(&text, "op", ops, merge(ops, drop_empty(ops, n)), busy, roof);
    print_rows(&text, "scope", scopes, merge(scopes, drop_empty(scopes, n)), busy, roof);
    rgi_arena_finish(&arena);
    return rgi_text_take(&text);
}

/* ---- trace ---- */

char *rg_plan_trace(rg_plan *p)
{
    const rgi_timeline *t = timeline_of(p, "rg_plan_trace");
    if (!t)
        return NULL;
    const rgi_program *prog = p->program;
    rgi_text out;
    rgi_text_init(&out, &prog->graph->allocator);
    rgi_text_printf(&out, "{\"displayTimeUnit\": \"ns\", \"traceEvents\": [\n");
    for (size_t k = 0; k < t->n_lanes; k++)
        rgi_text_printf(&out,
                        "{\"ph\": \"M\", \"name\": \"thread_name\", \"pid\": 1, \"tid\": %zu, \"args\": {\"name\": "
                        "\"thread %zu\"}},\n",
                        k, k);
    for (size_t k = 0; k < t->n_lanes; k++)
        for (size_t i = 0; i < t->lanes[k].n; i++) {
            const rgi_event *e = &t->lanes[k].events[i];
            const rgi_item *item = &prog->items[e->step];
            char title[RGI_TITLE];
            rgi_text_printf(&out, "{\"ph\": \"X\", \"name\": \"");
            rgi_print_escaped(&out, rgi_step_title(prog, e->step, title, sizeof title));
            rgi_text_printf(&out, "\", \"cat\": \"");
            rgi_print_escaped(&out, rgi_step_scope(prog, e->step));
            rgi_text_printf(&out,
                            "\", \"pid\": 1, \"tid\": %zu, \"ts\": %.3f, \"dur\": %.3f, \"args\": {\"step\": %" PRIu32,
                            k, (double)(e->begin - t->begin) * 1e-3, (double)(e->end - e->begin) * 1e-3, e->step);
            if (item->count)
                rgi_text_printf(&out, ", \"node\": %" PRIu32, prog->uses[item->first].node->id);
            rgi_text_printf(&out, "}},\n");
        }
    rgi_text_printf(&out,
                    "{\"ph\": \"X\", \"name\": \"run\", \"pid\": 1, \"tid\": %zu, \"ts\": 0, \"dur\": %.3f}\n]}\n",
                    t->n_lanes, (double)(t->end - t->begin) * 1e-3);
    return rgi_text_take(&out);
}
