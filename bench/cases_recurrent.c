/* cases_recurrent.c - layers of LSTM and GRU, forward and backward. */
#include "recurrent.h"
#include "rivals/onednn.h"

#include <stdio.h>

#define SIZES(name, layer, like, products)                                      \
    {name " T32 B32 I128 H256", layer, like, 32, 32, 128, 256, products},       \
        {name " T100 B64 I256 H512", layer, like, 100, 64, 256, 512, products}, \
    {                                                                           \
        name " T64 B1 I64 H128", layer, like, 64, 1, 64, 128, products          \
    }
static const recurrent rows[] = {
    SIZES("LSTM", rg_nn_lstm, LSTM, 4),
    SIZES("GRU", rg_nn_gru_cho, GRU, 3),
    SIZES("GRU PyTorch's", rg_nn_gru, LINEAR_GRU, 3),
};

double recurrent_flops(const void *row)
{
    const recurrent *r = row;
    return 3 * 2.0 * r->steps * r->batch * r->products * r->hidden * (r->inputs + r->hidden);
}

const char *recurrent_ours(const void *row, int threads, contestant *out)
{
    const recurrent *r = row;
    rg_graph *g = rg_graph_new(NULL);
    const rg_shape shape = RG_SHAPE(r->steps, r->batch, r->hidden);
    rg_node *xs = rg_input(g, "xs", RG_F32, RG_SHAPE(r->steps, r->batch, r->inputs)),
            *ct = rg_input(g, "ct", RG_F32, shape);
    rg_node *ys = r->layer(xs, "layer", r->hidden, NULL), *wrt[32] = {xs};
    const rg_nodes params = rg_params(g);
    for (size_t k = 0; k < params.n; k++)
        wrt[k + 1] = params.at[k];
    const rg_nodes grads = rg_vjp(RG_NODES(ys), RG_NODES(ct), (rg_nodes){wrt, params.n + 1});
    bench_plan *p = bench_plan_new(g, grads, rg_at(grads, 0), threads);
    bench_plan_bind(p, xs, bench_floats((int64_t)r->steps * r->batch * r->inputs, -0.5f, 0.5f));
    bench_plan_bind(p, ct, bench_floats((int64_t)r->steps * r->batch * r->hidden, -0.5f, 0.5f));
    return bench_plan_start(p, out);
}

static const char *torch(const void *row, int threads, contestant *out)
{
    const recurrent *r = row;
    char request[128];
    if (r->like == GRU)
        return BENCH_NOT_MEANT; /* it has the other one alone */
    snprintf(request, sizeof request, "recurrent %s %d %d %d %d", r->like == LSTM ? "LSTM" : "GRU", r->steps, r->batch,
             r->inputs, r->hidden);
    return torch_start(threads, request, out);
}

const bench_group cases_recurrent = {
    .name = "recurrent",
    .title = "Recurrent layers, forward and backward, f32",
    BENCH_ROWS(rows),
    .ours = recurrent_ours,
    .rivals = {{"oneDNN", ONEDNN(recurrent_onednn)}, {"PyTorch", torch}},
    .flops = recurrent_flops,
};
