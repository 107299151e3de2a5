/* random_plans.c - plans of a random graph beside the plainest one, run after run. */
#include "random_plans.h"

#include "../runtime/plan.h"
#include "tasks.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { RUNS = 9, STORED = 1024, MOST_GROUPS = 600 };

static const rg_machine eager = {.flop_ns = 1, .byte_ns = 1, .meeting_ns = 0, .share_ns = 1e-3},
                        dear = {.flop_ns = 1, .byte_ns = 1, .meeting_ns = 2000, .share_ns = 1e-3},
                        arithmetic = {.flop_ns = 1, .byte_ns = 0, .meeting_ns = 0, .share_ns = 100},
                        memory = {.flop_ns = 0, .byte_ns = 1, .meeting_ns = 0, .share_ns = 100};

/* How a plan is made and run. */
static const struct way {
    const char *name;
    rg_plan_opts opts;
    bool fork;     /* not the plan itself */
    bool shuffled; /* its tasks, in a random order */
    bool out;      /* results go to memory of the caller's */
    int budget;    /* 1: the least that does for the largest sizes, 2: halfway to what it takes without */
} ways[] = {
    {.name = "plainest",
     .opts = {.threads = 1,
              .no_fuse = true,
              .no_repeats = true,
              .without_rewrites = ~(uint64_t)0,
              .layout = RG_LAYOUT_PLANES}},
    {.name = "one thread", .opts = {.threads = 1}},
    {.name = "two threads", .opts = {.threads = 2, .machine = &eager}},
    {.name = "three threads, blocks", .opts = {.threads = 3, .machine = &eager, .layout = RG_LAYOUT_BLOCKS}},
    {.name = "eight threads", .opts = {.threads = 8, .machine = &eager}},
    {.name = "two threads, dear meetings", .opts = {.threads = 2, .machine = &dear}},
    {.name = "arithmetic is dear", .opts = {.threads = 3, .machine = &arithmetic}},
    {.name = "memory is dear", .opts = {.threads = 2, .machine = &memory}},
    {.name = "blocks", .opts = {.threads = 1, .layout = RG_LAYOUT_BLOCKS}},
    {.name = "the least budget", .opts = {.threads = 1}, .budget = 1},
    {.name = "half a budget", .opts = {.threads = 2, .machine = &eager}, .budget = 2},
    {.name = "not fused on two threads", .opts = {.threads = 2, .machine = &eager, .no_fuse = true}},
    {.name = "rewrites checked", .opts = {.threads = 1, .check_rewrites = true}},
    {.name = "any order of tasks", .opts = {.threads = 3, .machine = &eager}, .shuffled = true},
    {.name = "a fork", .opts = {.threads = 2, .machine = &eager}, .fork = true},
    {.name = "memory of the caller", .opts = {.threads = 2, .machine = &eager}, .out = true},
};
_Static_assert(sizeof ways / sizeof *ways == RANDOM_WAYS, "one of each");

const char *random_way(int way)
{
    return way >= 0 && way < RANDOM_WAYS ? ways[way].name : NULL;
}

/* What a run has left behind. */
typedef struct outcome {
    rg_status status;
    rg_tensor result[RANDOM_FETCHED], stored[STORED];
} outcome;

typedef struct subject {
    random_step r;
    rg_nodes stored;
    rg_tensor first[STORED]; /* their values at first */
    rg_tensor values[RUNS][RANDOM_INPUTS];
    outcome want[RUNS];
    random_difference *out;
} subject;

static bool copy(rg_tensor *to, const rg_tensor *from)
{
    if (rg_tensor_alloc(to, from->dtype, from->shape))
        return false;
    if (rg_tensor_bytes(from))
        memcpy(to->data, from->data, rg_tensor_bytes(from));
    return true;
}

/* ---- plans ---- */

static bool bind(const subject *s, rg_plan *p, int run)
{
    for (size_t i = 0; i < RANDOM_INPUTS; i++)
        if (rg_bind_tensor(p, s->r.inputs[i], &s->values[run][i]))
            return false;
    return true;
}

static rg_plan *compile(const subject *s, const struct way *w, size_t budget)
{
    rg_plan_opts opts = w->opts;
    opts.mode = s->r.trains ? RG_TRAIN : RG_EVAL;
    opts.budget = budget;
    return rg_compile(s->r.g, (rg_nodes){(rg_node **)(uintptr_t)s->r.fetch, s->r.n_fetched}, &opts);
}

/* The least bytes with which the sizes of all runs can do: fewer than those of the largest may not be enough for all.
 */
static size_t least_of(const subject *s, rg_plan *none)
{
    size_t least = 0;
    for (int run = 0; run < (s->r.named ? RUNS : 1); run++) {
        if (!bind(s, none, run) || rg_plan_prepare(none) != RG_ERR_MEMORY)
            continue;
        const char *says = strstr(rg_last_error(), "would do is ");
        const size_t bytes = says ? strtoull(says + strlen("would do is "), NULL, 10) : 0;
        least = bytes > least ? bytes : least;
    }
    return least;
}

/* Within what a budget leaves; NULL where there is nothing to leave out. */
static rg_plan *compile_within(const subject *s, const struct way *w)
{
    rg_plan *all = compile(s, w, 0), *none = compile(s, w, 1);
    const size_t least = all && none ? least_of(s, none) : 0,
                 most = least && bind(s, all, 0) && !rg_plan_prepare(all) ? rg_plan_bytes(all) : 0;
    rg_plan_free(all);
    rg_plan_free(none);
    return least ? compile(s, w, w->budget == 1 || most < least ? least : (least + most) / 2) : NULL;
}

static rg_plan *make_plan(const subject *s, const struct way *w)
{
    rg_plan *p = w->budget ? compile_within(s, w) : compile(s, w, 0), *fork = p && w->fork ? rg_plan_fork(p) : NULL;
    if (!w->fork)
        return p;
    rg_plan_free(p);
    return fork;
}

/* As at first. */
static bool restore(const subject *s, rg_plan *p, bool fork)
{
    for (size_t i = 0; i < s->stored.n; i++)
        if (rg_set(s->stored.at[i], &s->first[i]))
            return false;
    return !fork || !rg_plan_refresh(p);
}

static rg_status run_shuffled(rg_plan *p, uint64_t *random)
{
    task_graph tasks;
    if (!task_list_make(p, &tasks))
        return rg_run(p);
    const bool few = tasks.n <= MOST_GROUPS;
    task_graph_free(&tasks);
    if (!few || !task_graph_make(p, &tasks))
        return rg_run(p);
    const bool ok = task_graph_run_shuffled(&tasks, random);
    task_graph_free(&tasks);
    return ok ? RG_OK : rg_run(p); /* which says why */
}

/* ---- what comes of them ---- */

static bool keep(const subject *s, rg_plan *p, rg_status status, outcome *o)
{
    bool ok = true;
    o->status = status;
    for (size_t i = 0; ok && !status && i < s->r.n_fetched; i++) {
        rg_tensor t;
        if (rg_dtype_of(s->r.fetch[i]) && !rg_result(p, s->r.fetch[i], &t))
            ok = copy(&o->result[i], &t);
    }
    for (size_t i = 0; ok && i < s->stored.n; i++) {
        const rg_tensor t = rg_value(s->stored.at[i]);
        ok = copy(&o->stored[i], &t);
    }
    return ok;
}

static void forget(const subject *s, outcome *o)
{
    for (size_t i = 0; i < s->r.n_fetched; i++)
        rg_tensor_free(&o->result[i]);
    for (size_t i = 0; i < s->stored.n; i++)
        rg_tensor_free(&o->stored[i]);
}

static double number(const rg_tensor *t, size_t i)
{
    return t->dtype == RG_F32   ? (double)((const float *)t->data)[i]
           : t->dtype == RG_F64 ? ((const double *)t->data)[i]
           : t->dtype == RG_I64 ? (double)((const int64_t *)t->data)[i]
                                : (double)((const uint8_t *)t->data)[i];
}

/* Bit for bit; of which NaN there is nothing is said. */
static bool same(const rg_tensor *a, const rg_tensor *b, size_t *at)
{
    const size_t size = rg_dtype_size(a->dtype), n = size ? rg_tensor_bytes(a) / size : 0;
    *at = 0;
    if (a->dtype != b->dtype || !rg_shape_equal(a->shape, b->shape))
        return !a->data && !b->data;
    for (size_t i = 0; i < n; i++) {
        *at = i;
        if (memcmp((const char *)a->data + i * size, (const char *)b->data + i * size, size) != 0 &&
            !(isnan(number(a, i)) && isnan(number(b, i))))
            return false;
    }
    return true;
}

/* What is different is told. */
static bool differs(const subject *s, int way, int run, size_t result, const char *what, const rg_tensor *want,
                    const rg_tensor *got)
{
    size_t at;
    if (same(want, got, &at))
        return false;
    random_difference *d = s->out;
    const bool shapes = rg_shape_equal(want->shape, got->shape);
    int64_t batch, time;
    random_step_sizes(&s->r, run, &batch, &time);
    d->way = way;
    d->result = result;
    snprintf(d->text, sizeof d->text,
             "seed %llu, %s, run %d (batch %d, time %d): %s: element %zu of %lld is %.9g, not %.9g%s",
             (unsigned long long)s->r.choice.seed, ways[way].name, run, (int)batch, (int)time, what, at,
             (long long)rg_shape_count(want->shape), shapes ? number(got, at) : NAN, shapes ? number(want, at) : NAN,
             shapes ? "" : ": another shape");
    return true;
}

/* One run beside that of the plainest plan. */
static bool compare(const subject *s, int way, int run, const outcome *got)
{
    const outcome *want = &s->want[run];
    random_difference *d = s->out;
    char what[64];
    if (got->status != want->status) {
        d->way = way;
        d->result = 0;
        snprintf(d->text, sizeof d->text, "seed %llu, %s, run %d: %s (%s), not %s",
                 (unsigned long long)s->r.choice.seed, ways[way].name, run, rg_status_name(got->status),
                 got->status ? rg_last_error() : "", rg_status_name(want->status));
        return false;
    }
    for (size_t i = 0; i < s->r.n_fetched; i++) {
        snprintf(what, sizeof what, "result %zu", i);
        if (differs(s, way, run, i, what, &want->result[i], &got->result[i]))
            return false;
    }
    for (size_t i = 0; !ways[way].fork && i < s->stored.n; i++)
        if (differs(s, way, run, s->r.n_fetched, rg_name(s->stored.at[i]), &want->stored[i], &got->stored[i]))
            return false;
    return true;
}

/* One memory for each node, however often it is fetched. */
static bool bind_out(const subject *s, rg_plan *p, int run, char **outs)
{
    for (size_t i = 0; i < s->r.n_fetched; i++) {
        size_t before = 0;
        while (s->r.fetch[before] != s->r.fetch[i])
            before++;
        if (before < i || !rg_dtype_of(s->r.fetch[i]) || !s->want[run].result[i].data)
            continue;
        free(outs[i]);
        outs[i] = malloc(rg_tensor_bytes(&s->want[run].result[i]) + 1);
        if (!outs[i] || rg_bind_out(p, s->r.fetch[i], outs[i]))
            return false;
    }
    return true;
}

/* Runs one way; 0 is what the others are compared with. */
static bool run_way(subject *s, int way)
{
    const struct way *w = &ways[way];
    random_step_garbage(way ? 0x3f : 0);
    rg_plan *p = make_plan(s, w);
    char *outs[RANDOM_FETCHED] = {NULL};
    uint64_t random = s->r.choice.seed;
    bool ok = p && restore(s, p, w->fork);
    if (!ok && w->budget)
        ok = true;
    else if (!ok)
        snprintf(s->out->text, sizeof s->out->text, "seed %llu, %s: %s", (unsigned long long)s->r.choice.seed, w->name,
                 rg_graph_error(s->r.g));
    for (int run = 0; ok && p && run < (s->r.named ? RUNS : 3); run++) {
        int64_t batch, time;
        random_step_sizes(&s->r, run, &batch, &time);
        if (batch == 0 || time == 0)
            ok = restore(s, p, w->fork); /* means of nothing come into everything */
        ok = ok && bind(s, p, run);
        ok = ok && (!w->out || bind_out(s, p, run, outs));
        const rg_status status =
            w->shuffled && !s->r.of_data && !s->want[run].status ? run_shuffled(p, &random) : rg_run(p);
        outcome got = {.status = RG_OK}, *o = way ? &got : &s->want[run];
        ok = ok && keep(s, p, status, o);
        for (size_t i = 0; ok && w->out && !status && i < s->r.n_fetched; i++)
            if (outs[i] && o->result[i].data)
                memcpy(o->result[i].data, outs[i], rg_tensor_bytes(&o->result[i]));
        ok = ok && (!way || compare(s, way, run, o));
        if (way)
            forget(s, o);
        if (batch == 0 || time == 0)
            ok = ok && restore(s, p, w->fork);
    }
    rg_plan_free(p);
    for (size_t i = 0; i < RANDOM_FETCHED; i++)
        free(outs[i]);
    return ok;
}

/* ---- */

static bool begin(subject *s, const random_choice *choice, random_difference *out)
{
    *out = (random_difference){.way = -1};
    s->out = out;
    if (!random_step_make(&s->r, choice)) {
        snprintf(out->text, sizeof out->text, "seed %llu: %s", (unsigned long long)choice->seed,
                 rg_graph_error(s->r.g));
        return false;
    }
    if (rg_graph_check(s->r.g)) {
        snprintf(out->text, sizeof out->text, "seed %llu: %s", (unsigned long long)choice->seed, rg_last_error());
        return false;
    }
    s->stored = rg_stored(s->r.g);
    if (s->stored.n > STORED) {
        snprintf(out->text, sizeof out->text, "seed %llu: too much is stored", (unsigned long long)choice->seed);
        s->stored.n = 0;
        return false;
    }
    out->blocks = s->r.n_blocks;
    out->fetched = s->r.n_fetched;
    bool ok = true;
    for (int run = 0; run < RUNS; run++)
        for (size_t i = 0; ok && i < RANDOM_INPUTS; i++)
            ok = !random_step_values(&s->r, i, run, &s->values[run][i]);
    for (size_t i = 0; ok && i < s->stored.n; i++) {
        const rg_tensor t = rg_value(s->stored.at[i]);
        ok = copy(&s->first[i], &t);
    }
    return ok;
}

static void end(subject *s)
{
    for (int run = 0; run < RUNS; run++) {
        for (size_t i = 0; i < RANDOM_INPUTS; i++)
            rg_tensor_free(&s->values[run][i]);
        forget(s, &s->want[run]);
    }
    for (size_t i = 0; i < s->stored.n; i++)
        rg_tensor_free(&s->first[i]);
    rg_graph_free(s->r.g);
    free(s);
}

bool random_plans_compare(const random_choice *choice, uint64_t which, random_difference *out)
{
    subject *s = calloc(1, sizeof *s);
    bool ok = s && begin(s, choice, out) && (s->r.n_fetched == 0 || run_way(s, 0));
    for (int way = 1; ok && way < RANDOM_WAYS && s->r.n_fetched && out->way < 0; way++)
        if (which >> way & 1)
            ok = run_way(s, way) || out->way >= 0;
    if (s)
        end(s);
    return ok;
}

bool random_plans_dump(const random_choice *choice, int way, const char *path)
{
    random_difference ignored;
    subject *s = calloc(1, sizeof *s);
    FILE *f = s && begin(s, choice, &ignored) ? fopen(path, "w") : NULL;
    char *graph = f ? rg_graph_dump(s->r.g) : NULL;
    bool ok = graph && fputs(graph, f) >= 0;
    rg_text_free(graph);
    for (int k = 0; ok && k < 2; k++) {
        rg_plan *p = make_plan(s, &ways[k ? way : 0]);
        char *plan = p && bind(s, p, 0) && !rg_plan_prepare(p) ? rg_plan_dump(p) : NULL;
        ok = plan && fprintf(f, "\n---- %s\n\n%s", ways[k ? way : 0].name, plan) > 0;
        rg_text_free(plan);
        rg_plan_free(p);
    }
    ok = f && !fclose(f) && ok;
    if (s)
        end(s);
    return ok;
}
