/* cases_replay.c - ops of one element each: what it costs to walk a plan. A row's time by its number of ops is the cost
   of one. */
#include "bench.h"

#include <stdint.h>
#include <stdlib.h>

typedef struct replay {
    const char *name;
    rg_dtype dtype;
    int ops;
    bool no_fuse;
} replay;

static const replay rows[] = {
    {"10000 ops, f32", RG_F32, 10000, false},
    {"10000 ops, f64", RG_F64, 10000, false},
    {"10000 ops, f32, each a step", RG_F32, 10000, true},
    {"10000 ops, f64, each a step", RG_F64, 10000, true},
};

typedef struct running {
    rg_graph *g;
    rg_plan *p;
} running;

/* Each op reads the one before it and another of the last 64; values stay within [0, 1]. */
static rg_node *chain(rg_graph *g, rg_dtype dtype, int n)
{
    rg_node *last[64];
    uint32_t state = 1;
    for (int i = 0; i < 64; i++) {
        const char name[] = {'p', (char)('0' + i / 8), (char)('0' + i % 8), '\0'};
        last[i] = rg_param(g, name, dtype, RG_SCALAR, &(rg_param_opts){.init = RG_CONSTANT, .scale = (i + 1) / 65.0});
    }
    for (int i = 0; i < n; i++) {
        state = state * 1664525 + 1013904223;
        rg_node *a = last[(i + 63) % 64], *b = last[state >> 26], **next = &last[i % 64];
        switch ((state >> 20) % 5) {
        case 0:
            *next = rg_mul(a, b);
            break;
        case 1:
            *next = rg_lerp(a, b, 0.3);
            break;
        case 2:
            *next = rg_maximum(a, b);
            break;
        case 3:
            *next = rg_minimum(a, b);
            break;
        default:
            *next = rg_one_minus(a);
            break;
        }
    }
    return last[(n + 63) % 64];
}

static double run(void *state, int64_t steps)
{
    const running *r = state;
    const double start = seconds_now();
    for (int64_t i = 0; i < steps; i++)
        if (rg_run(r->p))
            return -1;
    return seconds_now() - start;
}

static void finish(void *state)
{
    running *r = state;
    rg_plan_free(r->p);
    rg_graph_free(r->g);
    free(r);
}

static const char *ours(const void *row, int threads, contestant *out)
{
    const replay *what = row;
    running *r = calloc(1, sizeof *r);
    if (!r)
        return "ours: out of memory";
    r->g = rg_graph_new(NULL);
    rg_node *y = chain(r->g, what->dtype, what->ops);
    r->p = rg_compile(r->g, RG_NODES(y), &(rg_plan_opts){.threads = threads, .no_fuse = what->no_fuse});
    *out = (contestant){run, finish, r};
    if (r->p && run(r, 1) >= 0)
        return NULL;
    finish(r);
    return "ours: an error";
}

const bench_group cases_replay = {
    .name = "replay",
    .title = "Ops of one element in a chain: the cost of walking a plan",
    BENCH_ROWS(rows),
    .ours = ours,
};
