/* cases_rows.c - functions of the rows of a matrix. */
#include "elementwise.h"
#include "rivals/onednn.h"

#include <stdio.h>
#include <string.h>

static const rows_row rows[] = {
    {"softmax 4096x4096", "softmax", 4096, 4096}, {"layer norm 4096x4096", "layer_norm", 4096, 4096},
    {"softmax 64x1024", "softmax", 64, 1024},     {"layer norm 64x1024", "layer_norm", 64, 1024},
    {"softmax 4096x10", "softmax", 4096, 10},
};

static double bytes(const void *row)
{
    const rows_row *r = row;
    return 8.0 * r->rows * r->cols;
}

static const char *ours(const void *row, int threads, contestant *out)
{
    const rows_row *r = row;
    rg_graph *g = rg_graph_new(NULL);
    rg_node *x = rg_input(g, "x", RG_F32, RG_SHAPE(r->rows, r->cols)), *y, *weight = NULL, *bias = NULL;
    if (strcmp(r->function, "softmax") == 0) {
        y = rg_softmax(x, 1);
    } else {
        weight = rg_input(g, "weight", RG_F32, RG_SHAPE(r->cols));
        bias = rg_input(g, "bias", RG_F32, RG_SHAPE(r->cols));
        y = rg_layer_norm(x, weight, bias, 1e-5);
    }
    bench_plan *p = bench_plan_new(g, RG_NODES(y), y, threads);
    bench_plan_bind(p, x, bench_floats((int64_t)r->rows * r->cols, -2, 2));
    if (weight) {
        bench_plan_bind(p, weight, bench_floats(r->cols, -2, 2));
        bench_plan_bind(p, bias, bench_floats(r->cols, -2, 2));
    }
    return bench_plan_start(p, out);
}

static const char *torch(const void *row, int threads, contestant *out)
{
    const rows_row *r = row;
    char request[64];
    snprintf(request, sizeof request, "%s %d %d", r->function, r->rows, r->cols);
    return torch_start(threads, request, out);
}

const bench_group cases_rows = {
    .name = "rows",
    .title = "Functions of the rows of a matrix, f32",
    BENCH_ROWS(rows),
    .ours = ours,
    .rivals = {{"oneDNN", ONEDNN(rows_onednn)}, {"PyTorch", torch}},
    .bytes = bytes,
};
