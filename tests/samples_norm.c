/* samples_norm.c - samples of normalisation. */
#include "reference_ops.h"

#define EPS(e) .args = {.f = {e}}
static const sample_case layers[] = {
    {.shape = {"3,5", "5", "5"}, EPS(0.125)}, {.shape = {"B,17", "17", "17"}, EPS(0.125)},
    {.shape = {"B,T"}, EPS(0.125)},           {.shape = {"2,3,40", "40"}, EPS(0.0625)},
    {.shape = {"7", "7", "7"}, EPS(0.125)},   {.shape = {"3,1", "1", "1"}, EPS(0.125)},
    {.shape = {"0,5", "5", "5"}, EPS(0.125)},
};
static const sample_case rows[] = {
    {.shape = {"3,5"}, EPS(0.125)}, {.shape = {"B,17"}, EPS(0.125)}, {.shape = {"B,T"}, EPS(0.0625)},
    {.shape = {"4,1"}, EPS(0.125)}, {.shape = {"0,5"}, EPS(0.125)},
};
static const sample_case slopes[] = {
    {.shape = {"3,5", "3,5"}, EPS(0.125)},
    {.shape = {"B,17", "B,17"}, EPS(0.125)},
    {.shape = {"B,T", "B,T"}, EPS(0.0625)},
    {.shape = {"0,5", "0,5"}, EPS(0.125)},
};

static rg_node *layer_norm(const sample_context *c, rg_node *const x[])
{
    return rg_layer_norm(x[0], c->n_in > 1 ? x[1] : NULL, c->n_in > 2 ? x[2] : NULL, c->args->f[0]);
}
static rg_node *standardise(const sample_context *c, rg_node *const x[])
{
    return rg_layer_norm(x[0], NULL, NULL, c->args->f[0]);
}
static rg_node *standardise_grad(const sample_context *c, rg_node *const x[])
{
    return rg_at(rg_vjp(RG_NODES(standardise(c, x + 1)), RG_NODES(x[0]), RG_NODES(x[1])), 0);
}

#define BOUND .ulps32 = 8, .ulps64 = 8
const sample_row samples_norm[] = {
    {.name = "standardise", .build = standardise, .reference = ref_layer_norm, SAMPLE_CASES(rows), BOUND},
    {.name = "standardise_grad",
     .build = standardise_grad,
     .reference = ref_standardise_grad,
     SAMPLE_CASES(slopes),
     BOUND},
    {.name = "layer_norm", .build = layer_norm, .reference = ref_layer_norm, SAMPLE_CASES(layers), BOUND},
    {.name = NULL},
};
