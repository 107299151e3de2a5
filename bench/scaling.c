/* scaling.c - how a training step would run on a machine of many cores: the tasks of a plan are timed alone on this
   one, and the times are put together for 1 to 64 workers. Prints the tables of docs/scaling.md.

   Critical path: the longest chain of tasks that wait for each other. List schedule: whoever is free takes the task
   with the longest way to the end. As planned: the plan for so many threads with its order, lanes, shares and
   meetings; there the tasks that a thread does together are timed together. */
#include "../examples/arguments.h"
#include "../runtime/plan.h"
#include "../runtime/sight/timeline.h"
#include "../tests/tasks.h"
#include "scaling_models.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MOST 64 /* workers */
#define ROUNDS 7
#define FEW_ROUNDS 3
#define LONG 3500000000u /* nanoseconds, after which few are enough */
#define MEETING 400e-9   /* seconds: the default of rg_machine */

/* ---- times of tasks ---- */

static void share_of(const double *cut, size_t n, int k, int team, size_t *lo, size_t *hi)
{
    *lo = cut ? (size_t)((double)n * cut[k] + 0.5) : n * (size_t)k / (size_t)team;
    *hi = cut ? (size_t)((double)n * cut[k + 1] + 0.5) : n * (size_t)(k + 1) / (size_t)team;
}

/* What is timed: tasks of a phase one by one, or, for workers, the share of each. */
typedef struct pieces {
    const task_graph *g;
    int workers; /* 0: tasks */
} pieces;

/* Who does a step together. */
static int team_of(const pieces *p, uint32_t step)
{
    const rgi_branch *b = rgi_branch_of(p->g->plan->current, step);
    return b ? (int)b->threads : p->workers;
}

/* How many pieces a phase has. */
static size_t pieces_of(const pieces *p, size_t i, uint32_t k)
{
    return p->workers ? (size_t)team_of(p, p->g->groups[i].step) : p->g->groups[i].tasks[k];
}

/* Tasks [*lo, *hi) are piece j. */
static void piece(const pieces *p, size_t i, uint32_t k, size_t j, size_t *lo, size_t *hi)
{
    const task_group *x = &p->g->groups[i];
    const rgi_exec *e = &p->g->plan->current->steps[x->step];
    const int team = team_of(p, x->step);
    *lo = p->workers ? 0 : j;
    *hi = p->workers ? (int)j == (int)e->lane % team ? x->tasks[k] : 0 : j + 1;
    if (p->workers && e->parallel)
        share_of(e->cut, x->tasks[k], (int)j, team, lo, hi);
}

/* The least of some rounds, but for what it takes to look at the clock: times.at[group][phase][piece], seconds, and
   behind the pieces that of the phase as a whole: no more than that of all pieces, one after the other. */
typedef struct times {
    double ***at;
    size_t pieces;
    double all; /* of one thread, which does the tasks of a phase together */
} times;

/* Nanoseconds between two looks at the clock. */
static uint64_t look(void)
{
    uint64_t least = UINT64_MAX;
    for (int i = 0; i < 1000; i++) {
        const uint64_t begin = rgi_now(), took = rgi_now() - begin;
        least = took < least ? took : least;
    }
    return least;
}

/* Runs tasks [lo, hi) of a phase; *least: of all rounds. */
static bool measure_piece(const task_graph *g, size_t i, uint32_t k, const size_t tasks[2], bool first, uint64_t idle,
                          double *least)
{
    const uint64_t begin = rgi_now();
    const bool ok = tasks[0] >= tasks[1] || task_run(g, i, k, tasks[0], tasks[1] - tasks[0]);
    const uint64_t ns = rgi_now() - begin;
    const double took = ns > idle && tasks[0] < tasks[1] ? 1e-9 * (double)(ns - idle) : 0;
    *least = first || took < *least ? took : *least;
    return ok;
}

/* One phase once more: as a whole, or piece by piece, another one first each time, for it loads what others find
   near. */
static bool measure_phase(const pieces *p, size_t i, uint32_t k, int round, uint64_t idle, double *at)
{
    const size_t n = pieces_of(p, i, k), begin = n * (size_t)(round / 2) / ROUNDS;
    if (round % 2 == 0)
        return measure_piece(p->g, i, k, (size_t[]){0, p->g->groups[i].tasks[k]}, !round, idle, &at[n]);
    bool ok = true;
    for (size_t j = begin; ok && j < begin + n; j++) {
        size_t tasks[2];
        piece(p, i, k, j % n, &tasks[0], &tasks[1]);
        ok = measure_piece(p->g, i, k, tasks, round == 1, idle, &at[j % n]);
    }
    return ok;
}

static bool measure(const pieces *p, times *out)
{
    const task_graph *g = p->g;
    const uint64_t idle = look();
    *out = (times){.at = calloc(g->n + 1, sizeof *out->at)};
    for (size_t i = 0; out->at && i < g->n; i++) {
        const task_group *x = &g->groups[i];
        if (!(out->at[i] = calloc(x->phases + 1, sizeof *out->at[i])))
            return false;
        for (uint32_t k = 0; k < x->phases; k++) {
            out->pieces += pieces_of(p, i, k);
            if (!(out->at[i][k] = malloc((pieces_of(p, i, k) + 1) * sizeof(double))))
                return false;
        }
    }
    bool ok = out->at != NULL;
    const uint64_t begin = rgi_now();
    for (int round = 0; ok && round < 2 * (rgi_now() - begin < LONG ? ROUNDS : FEW_ROUNDS); round++)
        for (size_t i = 0; ok && i < g->n; i++)
            for (uint32_t k = 0; ok && k < g->groups[i].phases; k++)
                ok = measure_phase(p, i, k, round, idle, out->at[i][k]);
    for (size_t i = 0; ok && i < g->n; i++)
        for (uint32_t k = 0; k < g->groups[i].phases; k++) {
            const size_t n = pieces_of(p, i, k);
            double one_by_one = 0;
            for (size_t j = 0; j < n; j++)
                one_by_one += out->at[i][k][j];
            out->at[i][k][n] = one_by_one < out->at[i][k][n] ? one_by_one : out->at[i][k][n];
            out->all += out->at[i][k][n];
        }
    return ok;
}

static void times_free(times *t, const task_graph *g)
{
    for (size_t i = 0; t->at && i < g->n; i++) {
        for (uint32_t k = 0; t->at[i] && k < g->groups[i].phases; k++)
            free(t->at[i][k]);
        free(t->at[i]);
    }
    free(t->at);
}

static double longest(const times *t, const task_graph *g, size_t group, uint32_t phase)
{
    double most = 0;
    for (size_t j = 0; j < g->groups[group].tasks[phase]; j++)
        most = t->at[group][phase][j] > most ? t->at[group][phase][j] : most;
    return most;
}

/* way[i]: the longest way from the begin of group i to the end of the step. */
static double critical_path(const task_graph *g, const times *t, double *way)
{
    double most = 0;
    for (size_t i = g->n; i-- > 0;) {
        const task_group *x = &g->groups[i];
        way[i] = 0;
        for (size_t k = 0; k < x->n_after; k++)
            way[i] = way[x->after[k]] > way[i] ? way[x->after[k]] : way[i];
        for (uint32_t k = 0; k < x->phases; k++)
            way[i] += longest(t, g, i, k);
        most = way[i] > most ? way[i] : most;
    }
    return most;
}

/* ---- list schedule ---- */

/* Groups whose tasks of a phase may begin, by their way to the end; tasks in progress, by when they end. */
typedef struct entry {
    double key;
    uint32_t group;
} entry;

typedef struct heap {
    entry *at;
    size_t n;
} heap;

static void push(heap *h, entry e)
{
    size_t i = h->n++;
    for (; i && h->at[(i - 1) / 2].key > e.key; i = (i - 1) / 2)
        h->at[i] = h->at[(i - 1) / 2];
    h->at[i] = e;
}

static entry pop(heap *h)
{
    const entry top = h->at[0], last = h->at[--h->n];
    size_t i = 0;
    for (size_t child; (child = 2 * i + 1) < h->n; i = child) {
        child += child + 1 < h->n && h->at[child + 1].key < h->at[child].key;
        if (h->at[child].key >= last.key)
            break;
        h->at[i] = h->at[child];
    }
    h->at[i] = last;
    return top;
}

typedef struct progress {
    uint32_t phase, before;
    size_t next, running;
} progress;

static double list_schedule(const task_graph *g, const times *t, const double *way, int workers)
{
    progress *p = calloc(g->n + 1, sizeof *p);
    heap ready = {malloc((g->n + 1) * sizeof(entry)), 0}, busy = {malloc((MOST + 1) * sizeof(entry)), 0};
    double clock = -1;
    if (p && ready.at && busy.at) {
        clock = 0;
        for (uint32_t i = 0; i < g->n; i++) {
            p[i].before = g->groups[i].before;
            if (!p[i].before)
                push(&ready, (entry){-way[i], i});
        }
        while (ready.n || busy.n) {
            while (ready.n && busy.n < (size_t)workers) {
                const uint32_t i = ready.at[0].group;
                const task_group *x = &g->groups[i];
                if (p[i].next < x->tasks[p[i].phase] && x->phases) {
                    push(&busy, (entry){clock + t->at[i][p[i].phase][p[i].next++], i});
                    p[i].running++;
                }
                if (!x->phases || p[i].next == x->tasks[p[i].phase])
                    pop(&ready);
                if (!x->phases) /* nothing to do: its followers may begin */
                    push(&busy, (entry){clock, i}), p[i].running++;
            }
            const entry over = pop(&busy);
            const task_group *x = &g->groups[over.group];
            progress *o = &p[over.group];
            clock = over.key;
            if (--o->running || (x->phases && o->next < x->tasks[o->phase]))
                continue;
            if (x->phases && ++o->phase < x->phases) {
                o->next = 0;
                push(&ready, (entry){-way[over.group], over.group});
                continue;
            }
            for (size_t k = 0; k < x->n_after; k++)
                if (!--p[x->after[k]].before)
                    push(&ready, (entry){-way[x->after[k]], x->after[k]});
        }
    }
    free(p);
    free(ready.at);
    free(busy.at);
    return clock;
}

/* ---- as planned ---- */

static double meet(double *clock, int workers)
{
    double last = 0;
    for (int k = 0; k < workers; k++)
        last = clock[k] > last ? clock[k] : last;
    for (int k = 0; k < workers; k++)
        clock[k] = last + MEETING;
    return last;
}

/* The loop that step `step` is in, if it is cut by rows, or NULL. */
static const rgi_rows *rows_around(const rg_plan *p, uint32_t step)
{
    const int32_t loop = p->program->items[step].loop;
    return loop == RGI_NONE ? NULL : p->current->steps[p->program->loops[loop].begin].rows;
}

/* Those who do a part of the list: what they all have finished until then. */
typedef struct crew {
    const rg_plan *plan;
    const task_graph *g;
    const times *t; /* of the shares */
    double *clock;
    int workers, all; /* of them; in the whole team */
} crew;

/* Of phase k of group i as a whole. */
static double whole(const crew *c, size_t i, uint32_t k)
{
    const rgi_branch *b = rgi_branch_of(c->plan->current, c->g->groups[i].step);
    return c->t->at[i][k][b ? (int)b->threads : c->all];
}

/* Group i, which comes behind group `before`. */
static void run_group(const crew *c, size_t i, size_t before)
{
    const task_group *x = &c->g->groups[i];
    const rgi_special *s = c->plan->current;
    const rgi_exec *e = &s->steps[x->step];
    const int32_t loop = c->plan->program->items[x->step].loop;
    const bool turns = i != before && c->g->groups[before].step >= x->step; /* of a loop one is over */
    const bool together = loop != RGI_NONE && s->steps[c->plan->program->loops[loop].begin].parallel;
    const rgi_rows *rows = rows_around(c->plan, x->step);
    const bool enters = x->step && s->steps[x->step - 1].kind == RGI_LOOP;
    if (c->workers > 1 && (rows ? enters && !turns : e->barrier || (together && (turns || enters))))
        meet(c->clock, c->workers);
    for (uint32_t k = 0; k < x->phases; k++) {
        if (k && e->parallel)
            meet(c->clock, c->workers);
        for (int w = 0; w < c->workers; w++)
            c->clock[w] += !rows                      ? c->t->at[i][k][w]
                           : (size_t)w < rows->pieces ? whole(c, i, k) / (double)rows->pieces
                                                      : 0;
    }
}

static double last_of(const crew *c)
{
    double last = 0;
    for (int w = 0; w < c->workers; w++)
        last = c->clock[w] > last ? c->clock[w] : last;
    return last;
}

/* What leads to a branch from the one that it follows, for some turns of all, once these are over there. */
static void cross(const crew *c, const rgi_branch *b, const size_t *groups, size_t turns, double ready)
{
    const rgi_exec *loop = &c->plan->current->steps[b->loop];
    double ns = 0;
    for (uint32_t j = 0; j < b->n_bridges; j++)
        for (uint32_t k = 0; k < c->g->groups[groups[b->bridges[j]]].phases; k++)
            ns += whole(c, groups[b->bridges[j]], k);
    for (int w = 0; w < c->workers; w++) {
        c->clock[w] = c->clock[w] > ready ? c->clock[w] : ready;
        if (loop->parallel || (uint32_t)w == loop->lane % (uint32_t)c->workers)
            c->clock[w] += ns * (double)turns / (double)loop->trips / (loop->parallel ? c->workers : 1);
    }
    if (loop->parallel)
        meet(c->clock, c->workers);
}

/* The groups [lo, hi) of one branch. over: by turn, when it is over; `before`: of the branch that it follows. groups:
   by step outside of loops, its group. */
static void run_branch(const crew *c, uint32_t number, const rgi_branch *b, size_t lo, size_t hi, const size_t *groups,
                       const double *before, double *over)
{
    const rgi_special *s = c->plan->current;
    const rgi_exec *loop = &s->steps[b->loop];
    size_t last = lo, at = SIZE_MAX;
    for (size_t i = lo; i < hi; i++) {
        const task_group *x = &c->g->groups[i];
        if (s->steps[x->step].branch != number || s->steps[x->step].bridge)
            continue;
        const bool inside = x->step > b->loop && x->step < loop->jump;
        const size_t t = (size_t)x->t[loop->depth], turn = loop->reverse ? loop->trips - 1 - t : t;
        if (inside && turn != at && b->leader && turn % b->chunk == 0) {
            const size_t end = turn + b->chunk < loop->trips ? turn + b->chunk : loop->trips;
            cross(c, b, groups, end - turn, before[end - 1]);
        }
        run_group(c, i, s->steps[c->g->groups[last].step].branch == number ? last : i);
        last = i;
        at = inside ? turn : at;
        if (inside)
            over[turn] = last_of(c);
    }
}

/* The groups [lo, hi) of a section. */
static bool run_section(const crew *all, const rgi_section *x, size_t lo, size_t hi)
{
    const rgi_special *s = all->plan->current;
    size_t *groups = calloc(s->n_steps, sizeof *groups);
    double **over = calloc(x->n, sizeof *over);
    bool ok = groups && over;
    for (size_t i = lo; ok && i < hi; i++)
        groups[all->g->groups[i].step] = i;
    for (uint32_t k = 0; ok && k < x->n; k++) {
        const rgi_branch *b = &x->branches[k];
        crew c = *all;
        c.clock += b->first;
        c.workers = (int)b->threads;
        ok = (over[k] = calloc(s->steps[b->loop].trips, sizeof **over));
        if (ok)
            run_branch(&c, k + 1, b, lo, hi, groups, b->leader ? over[b->leader - x->branches] : NULL, over[k]);
    }
    if (ok)
        meet(all->clock, all->workers);
    for (size_t i = lo, last = hi; ok && i < hi; i++)
        if (!s->steps[all->g->groups[i].step].branch) {
            run_group(all, i, last == hi ? i : last);
            last = i;
        }
    for (uint32_t k = 0; over && k < x->n; k++)
        free(over[k]);
    free(over);
    free(groups);
    return ok;
}

/* The plan's own list for a team. */
static bool run_plan(const crew *all)
{
    bool ok = true;
    for (size_t i = 0; ok && i < all->g->n;) {
        const uint32_t step = all->g->groups[i].step;
        size_t end = i + 1;
        const rgi_section *x = all->plan->current->sections;
        while (x && (step < x->begin || step >= x->end))
            x = x->next;
        while (x && end < all->g->n && all->g->groups[end].step >= x->begin && all->g->groups[end].step < x->end)
            end++;
        if (x) {
            meet(all->clock, all->workers);
            ok = run_section(all, x, i, end);
        } else {
            run_group(all, i, i ? i - 1 : 0);
        }
        i = end;
    }
    return ok;
}

/* How many times as fast as one thread the plan for so many is; negative if memory is short. */
static double as_planned(const model *m, int workers)
{
    rg_plan *p = plan_for(m, workers);
    task_graph g = {0};
    times t = {0};
    double clock[MOST] = {0}, speed = -1;
    if (p && task_list_make(p, &g)) {
        const int team = p->current->parallel ? workers : 1;
        const pieces shares = {&g, team};
        const crew all = {p, &g, &t, clock, team, team};
        if (measure(&shares, &t) && run_plan(&all))
            speed = t.all / last_of(&all);
    }
    times_free(&t, &g);
    task_graph_free(&g);
    rg_plan_free(p);
    return speed;
}

/* ---- */

static bool report(const network *n)
{
    static const int workers[] = {1, 2, 4, 8, 16, 32, 64};
    enum { N = sizeof workers / sizeof *workers };
    model m;
    task_graph g = {0};
    times t = {0};
    rg_plan *p = NULL;
    bool ok = model_new(&m, n) && (p = plan_for(&m, MOST)) && task_graph_make(p, &g) && measure(&(pieces){&g, 0}, &t);
    double *way = ok ? malloc((g.n + 1) * sizeof *way) : NULL;
    if (way) {
        const double path = critical_path(&g, &t, way);
        printf("\n%s: %zu steps, %zu tasks, %.3f ms of work, critical path %.3f ms\n\n"
               "| workers | bound | list schedule | of the bound | as planned | of the bound |\n"
               "|---|---|---|---|---|---|\n",
               n->title, g.n, t.pieces, 1e3 * t.all, 1e3 * path);
        for (int i = 0; i < N; i++) {
            const double ideal = t.all / path < workers[i] ? t.all / path : workers[i];
            const double list = t.all / list_schedule(&g, &t, way, workers[i]), planned = as_planned(&m, workers[i]);
            printf("| %d | %.1f | %.1f | %.2f | %.1f | %.2f |\n", workers[i], ideal, list, list / ideal, planned,
                   planned / ideal);
        }
        fflush(stdout);
    }
    ok = ok && way;
    free(way);
    times_free(&t, &g);
    task_graph_free(&g);
    rg_plan_free(p);
    model_free(&m);
    return ok;
}

int main(int argc, char **argv)
{
    const char *only = NULL;
    const argument words[] = {
        {.value = "MODEL", .what = "lenet, lstm, stack or resnet18; without it all", .text = &only}};
    const command self = {"retrograde_scaling",
                          "Puts the tasks of training steps together for 1 to 64 workers (docs/scaling.md).", words, 1};
    const int code = arguments_read(&self, argc, argv);
    if (code >= 0)
        return code;
    bool ok = true, found = false;
    for (int i = 0; i < NETWORKS; i++)
        if (!only || strcmp(only, networks[i].name) == 0) {
            found = true;
            ok = report(&networks[i]) && ok;
        }
    if (!found)
        fprintf(stderr, "retrograde_scaling: there is no model %s\n", only);
    return found ? !ok : 2;
}
