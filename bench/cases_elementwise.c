/* cases_elementwise.c - functions of elements: 64 thousand of them stay in L2, 16 million in no cache of most
   machines. */
#include "elementwise.h"
#include "rivals/onednn.h"

#include <stdio.h>
#include <string.h>

#define SMALL 65536
#define LARGE 16777216

static const elementwise_row rows[] = {
    {"exp 64k", "exp", SMALL},     {"tanh 64k", "tanh", SMALL},   {"sigmoid 64k", "sigmoid", SMALL},
    {"log 64k", "log", SMALL},     {"erf 64k", "erf", SMALL},     {"gelu 64k", "gelu", SMALL},
    {"sin 64k", "sin", SMALL},     {"exp 16M", "exp", LARGE},     {"tanh 16M", "tanh", LARGE},
    {"chain 64k", "chain", SMALL}, {"chain 16M", "chain", LARGE},
};

static double bytes(const void *row)
{
    const elementwise_row *r = row;
    return 4.0 * (double)r->n * (strcmp(r->function, "chain") == 0 ? 5 : 2);
}

static rg_node *function(const char *name, rg_node *x)
{
    static const struct {
        const char *name;
        rg_node *(*build)(rg_node *x);
    } functions[] = {{"exp", rg_exp}, {"tanh", rg_tanh}, {"sigmoid", rg_sigmoid}, {"log", rg_log},
                     {"erf", rg_erf}, {"gelu", rg_gelu}, {"sin", rg_sin}};
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++)
        if (strcmp(functions[i].name, name) == 0)
            return functions[i].build(x);
    return NULL;
}

static const char *ours(const void *row, int threads, contestant *out)
{
    const elementwise_row *r = row;
    const bool chain = strcmp(r->function, "chain") == 0;
    rg_graph *g = rg_graph_new(NULL);
    rg_node *input[4], *y;
    for (int i = 0; i < (chain ? 4 : 1); i++) {
        const char name[2] = {"xwbr"[i], 0};
        input[i] = rg_input(g, name, RG_F32, RG_SHAPE(r->n));
    }
    if (chain)
        y = rg_add(rg_mul(rg_tanh(rg_add(rg_mul(input[0], input[1]), input[2])), rg_scalar(g, RG_F32, 0.5)), input[3]);
    else
        y = function(r->function, input[0]);
    bench_plan *p = bench_plan_new(g, RG_NODES(y), y, threads);
    for (int i = 0; i < (chain ? 4 : 1); i++)
        bench_plan_bind(p, input[i], bench_floats(r->n, strcmp(r->function, "log") == 0 ? 0.1f : -2, 2));
    return bench_plan_start(p, out);
}

static const char *torch(const void *row, int threads, contestant *out)
{
    const elementwise_row *r = row;
    if (strcmp(r->function, "gelu") == 0)
        return BENCH_NOT_MEANT; /* not into memory that is there */
    const bool chain = strcmp(r->function, "chain") == 0;
    char request[64];
    snprintf(request, sizeof request, chain ? "chain%.0s %lld" : "elementwise %s %lld", r->function, (long long)r->n);
    return torch_start(threads, request, out);
}

const bench_group cases_elementwise = {
    .name = "elementwise",
    .title = "Functions of elements, f32; chain: tanh(x w + b) s + r",
    BENCH_ROWS(rows),
    .ours = ours,
    .rivals = {{"oneDNN", ONEDNN(elementwise_onednn)}, {"PyTorch", torch}},
    .bytes = bytes,
};
