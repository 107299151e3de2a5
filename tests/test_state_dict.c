/* test_state_dict.c - weights that PyTorch has written load by name, and give PyTorch's numbers. The file is made by
   tools/record_state_dict.py. */
#include "must.h"

#include <stdlib.h>
#include <string.h>

enum { STEPS = 6, BATCH = 3, INPUTS = 5, HIDDEN = 4, WEIGHTS = 16 };

static const char *file(void)
{
    static char path[512];
    const char *source = getenv("RETROGRADE_SOURCE");
    snprintf(path, sizeof path, "%s/tests/data/lstm_gru.safetensors", source ? source : ".");
    return path;
}

/* A layer, and beside it what PyTorch has recorded of it, to be loaded from the same file. */
typedef struct layer {
    rg_node *xs, *ys, *last[2], *wrt[1 + WEIGHTS], *recorded_ys, *recorded_last, *recorded[1 + WEIGHTS];
    rg_nodes grads;
} layer;

static rg_node *recorded(rg_graph *g, const char *of, const char *what, rg_shape shape)
{
    char name[96];
    snprintf(name, sizeof name, "recorded.%s%s%s", of, *of ? "." : "", what);
    rg_node *known = rg_find(g, name);
    return known ? known : rg_buffer(g, name, RG_F32, shape, NULL);
}

static void make(layer *l, rg_graph *g, const char *name, bool lstm)
{
    static const char *const weights[] = {"weight_ih", "weight_hh", "bias_ih", "bias_hh"};
    const rg_shape states = RG_SHAPE(4, BATCH, HIDDEN), out = RG_SHAPE(STEPS, BATCH, 2 * HIDDEN);
    const rg_rnn_opts opts = {
        .layers = 2,
        .bidirectional = true,
        .initial = {recorded(g, "", "h0", states), lstm ? recorded(g, "", "c0", states) : NULL},
        .last = l->last,
    };
    l->xs = recorded(g, "", "xs", RG_SHAPE(STEPS, BATCH, INPUTS));
    l->ys = (lstm ? rg_nn_lstm : rg_nn_gru)(l->xs, name, HIDDEN, &opts);
    cr_assert(l->ys, "%s", rg_graph_error(g));
    l->recorded_ys = recorded(g, name, "ys", out);
    l->recorded_last = recorded(g, name, "last", states);
    l->wrt[0] = l->xs;
    l->recorded[0] = recorded(g, name, "grad.xs", rg_shape_of(l->xs));
    for (int j = 0; j < WEIGHTS; j++) {
        char what[64];
        snprintf(what, sizeof what, "%s.%s_l%d%s", name, weights[j % 4], j / 8, j / 4 % 2 ? "_reverse" : "");
        l->wrt[1 + j] = rg_find(g, what);
        cr_assert(l->wrt[1 + j], "%s is missing", what);
        snprintf(what, sizeof what, "grad.%s_l%d%s", weights[j % 4], j / 8, j / 4 % 2 ? "_reverse" : "");
        l->recorded[1 + j] = recorded(g, name, what, rg_shape_of(l->wrt[1 + j]));
    }
    rg_node *factors = recorded(g, "", "factors", out);
    l->grads = rg_grad(rg_sum(rg_mul(l->ys, factors), RG_ALL_AXES, false), (rg_nodes){l->wrt, 1 + WEIGHTS});
    cr_assert_eq(l->grads.n, 1 + WEIGHTS, "%s", rg_graph_error(g));
}

static void expect_recorded(rg_plan *p, rg_node *node, rg_node *as)
{
    const int64_t n = rg_shape_count(rg_shape_of(as));
    const float *got = rg_data(p, node), *expected = rg_data(p, as);
    for (int64_t i = 0; i < n; i++)
        cr_assert(fabsf(got[i] - expected[i]) <= 2e-6f * (1 + fabsf(expected[i])), "%s, element %d: %.9g, not %.9g",
                  rg_name(as), (int)i, (double)got[i], (double)expected[i]);
}

Test(state_dict, of_pytorch)
{
    rg_graph *g = rg_graph_new(NULL);
    layer layers[2];
    rg_node *fetch[2 * (2 * (1 + WEIGHTS) + 4)];
    size_t n = 0;
    for (int k = 0; k < 2; k++) {
        layer *l = &layers[k];
        make(l, g, k ? "gru" : "lstm", !k);
        rg_node *const more[] = {l->ys, l->last[0], l->recorded_ys, l->recorded_last};
        memcpy(fetch + n, more, sizeof more);
        memcpy(fetch + n + 4, l->grads.at, (1 + WEIGHTS) * sizeof *fetch);
        memcpy(fetch + n + 5 + WEIGHTS, l->recorded, (1 + WEIGHTS) * sizeof *fetch);
        n += 4 + 2 * (1 + WEIGHTS);
    }
    rg_load_report report;
    must(rg_load(g, file(), &report));
    cr_expect(report.missing == 0 && report.unexpected == 0, "%s", report.text);
    rg_plan *p = must_compile(g, (rg_nodes){fetch, n}, NULL);
    must(rg_run(p));
    for (int k = 0; k < 2; k++) {
        expect_recorded(p, layers[k].ys, layers[k].recorded_ys);
        expect_recorded(p, layers[k].last[0], layers[k].recorded_last);
        for (size_t i = 0; i < 1 + WEIGHTS; i++)
            expect_recorded(p, layers[k].grads.at[i], layers[k].recorded[i]);
    }
    rg_plan_free(p);
    rg_graph_free(g);
}
