/* plan.c - a plan of ours as a contestant. */
#include "bench.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define BOUND 16

struct bench_plan {
    rg_graph *graph;
    rg_plan *plan;
    rg_node *watch;
    void *data[BOUND];
    int n;
    bool failed;
};

static void finish(void *state)
{
    bench_plan *p = state;
    rg_plan_free(p->plan);
    rg_graph_free(p->graph);
    for (int i = 0; i < p->n; i++)
        free(p->data[i]);
    free(p);
}

bench_plan *bench_plan_new(rg_graph *g, rg_nodes fetch, rg_node *watch, int threads)
{
    bench_plan *p = calloc(1, sizeof *p);
    rg_plan *plan = p && g ? rg_compile(g, fetch, &(rg_plan_opts){.threads = threads}) : NULL;
    if (p && g && !plan) /* what depends on the mode and changes nothing */
        plan = rg_compile(g, fetch, &(rg_plan_opts){.threads = threads, .mode = RG_EVAL});
    if (!plan) {
        fprintf(stderr, "bench: %s\n", rg_graph_error(g));
        rg_graph_free(g);
        free(p);
        return NULL;
    }
    *p = (bench_plan){.graph = g, .plan = plan, .watch = watch};
    return p;
}

void bench_plan_bind(bench_plan *p, rg_node *input, void *data)
{
    if (!p || p->n == BOUND) {
        free(data);
        return;
    }
    p->data[p->n++] = data;
    p->failed = p->failed || !data || rg_bind(p->plan, input, data);
}

static double run(void *state, int64_t steps)
{
    const bench_plan *p = state;
    const double start = seconds_now();
    for (int64_t i = 0; i < steps; i++)
        if (rg_run(p->plan))
            return -1;
    const double seconds = seconds_now() - start;
    return p->watch && !isfinite(*(const float *)rg_data(p->plan, p->watch)) ? -1 : seconds;
}

bool bench_plan_estimate(const contestant *c, rg_estimate *out)
{
    const bench_plan *const p = c->run == run ? c->state : NULL;
    return p && rg_plan_estimate(p->plan, NULL, out) == RG_OK;
}

const char *bench_plan_start(bench_plan *p, contestant *out)
{
    if (p && !p->failed && run(p, 1) >= 0) {
        *out = (contestant){run, finish, p};
        return NULL;
    }
    if (p) {
        fprintf(stderr, "bench: %s\n", rg_last_error());
        finish(p);
    }
    return "ours: an error, see above";
}
