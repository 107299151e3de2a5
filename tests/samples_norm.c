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

static const sample_case batches[] = {
    {.shape = {"3,2,5", "2", "2"}, EPS(0.125)},
    {.shape = {"B,3,4,5", "3", "3"}, EPS(0.125)},
    {.shape = {"B,2,T"}, EPS(0.125), .no_empty = true},
    {.shape = {"4,3", "3", "3"}, EPS(0.125)},
    {.shape = {"B,5", "5"}, EPS(0.0625), .no_empty = true},
    {.shape = {"1,2,2,3,2", "2"}, EPS(0.0625)},
    {.shape = {"2,3,20", "3", "3"}, EPS(0.125)},
};
static const sample_case moments[] = {
    {.shape = {"3,2,5", "2", "2"}, EPS(0.125)},
    {.shape = {"B,3,2,20", "3"}, EPS(0.125)},
    {.shape = {"B,4"}, EPS(0.125), .no_empty = true},
};
static const sample_case channel_slopes[] = {
    {.shape = {"3,2,5", "3,2,5", "2"}, EPS(0.125)},
    {.shape = {"B,3,4,5", "B,3,4,5", "3"}, EPS(0.125)},
    {.shape = {"2,2,T", "2,2,T", "2"}, EPS(0.125)},
    {.shape = {"1,3,40", "1,3,40", "3"}, EPS(0.125)},
};
#define GROUPS(n) .args = {.f = {0.125}, .i = {n}}
static const sample_case shares[] = {
    {.shape = {"2,6,5", "6", "6"}, GROUPS(3)},
    {.shape = {"B,4,3,3", "4", "4"}, GROUPS(2)},
    {.shape = {"B,4"}, GROUPS(1)},
    {.shape = {"3,3,7", "3"}, GROUPS(3)},
};
static const sample_case instances[] = {
    {.shape = {"2,3,5", "3", "3"}, EPS(0.125)},
    {.shape = {"B,2,3,4"}, EPS(0.125)},
    {.shape = {"B,3,T", "3"}, EPS(0.125)},
};
static const sample_case lengths[] = {
    {.shape = {"3,5", "5"}, EPS(0.125)}, {.shape = {"B,17"}, EPS(0.125)}, {.shape = {"2,3,20", "20"}, EPS(0.0625)}};
#define RESPONSE(size) .args = {.i = {size}, .f = {0.5, 0.75, 2}}
static const sample_case responses[] = {
    {.shape = {"2,6,3,4"}, RESPONSE(5)},
    {.shape = {"B,4,5"}, RESPONSE(2)},
    {.shape = {"B,3,2,2"}, RESPONSE(1)},
    {.shape = {"1,7,3"}, RESPONSE(4)},
};

static rg_node *layer_norm(const sample_context *c, rg_node *const x[])
{
    return rg_layer_norm(x[0], c->n_in > 1 ? x[1] : NULL, c->n_in > 2 ? x[2] : NULL, c->args->f[0]);
}
static rg_node *batch_norm(const sample_context *c, rg_node *const x[])
{
    return rg_batch_norm(x[0], c->n_in > 1 ? x[1] : NULL, c->n_in > 2 ? x[2] : NULL, c->args->f[0]);
}
static rg_node *per_channel(rg_node *c, rg_node *x)
{
    for (int i = 2; i < rg_shape_of(x).rank; i++)
        c = rg_unsqueeze(c, -1);
    return c;
}
static rg_node *batch_norm_moments(const sample_context *c, rg_node *const x[])
{
    rg_node *mean, *var,
        *y = rg_batch_norm_moments(x[0], c->n_in > 1 ? x[1] : NULL, c->n_in > 2 ? x[2] : NULL, c->args->f[0], &mean,
                                   &var);
    return rg_fma(y, per_channel(var, y), per_channel(mean, y));
}
static rg_node *batch_norm_grad(const sample_context *c, rg_node *const x[])
{
    rg_node *bias = rg_zeros_like(x[2]), *y = rg_batch_norm(x[1], x[2], bias, c->args->f[0]);
    rg_nodes d = rg_vjp(RG_NODES(y), RG_NODES(x[0]), RG_NODES(x[1], x[2], bias));
    return rg_add(rg_at(d, 0), rg_add(per_channel(rg_at(d, 1), y), per_channel(rg_at(d, 2), y)));
}
static rg_node *group_norm(const sample_context *c, rg_node *const x[])
{
    return rg_group_norm(x[0], c->args->i[0], c->n_in > 1 ? x[1] : NULL, c->n_in > 2 ? x[2] : NULL, c->args->f[0]);
}
static rg_node *instance_norm(const sample_context *c, rg_node *const x[])
{
    return rg_instance_norm(x[0], c->n_in > 1 ? x[1] : NULL, c->n_in > 2 ? x[2] : NULL, c->args->f[0]);
}
static rg_node *rms_norm(const sample_context *c, rg_node *const x[])
{
    return rg_rms_norm(x[0], c->n_in > 1 ? x[1] : NULL, c->args->f[0]);
}
static rg_node *local_response_norm(const sample_context *c, rg_node *const x[])
{
    return rg_local_response_norm(x[0], c->args->i[0], c->args->f[0], c->args->f[1], c->args->f[2]);
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
    {.name = "batch_norm", .build = batch_norm, .reference = ref_batch_norm, SAMPLE_CASES(batches), BOUND},
    {.name = "batch_norm_moments",
     .build = batch_norm_moments,
     .reference = ref_batch_norm_moments,
     SAMPLE_CASES(moments),
     BOUND},
    {.name = "batch_norm_grad",
     .build = batch_norm_grad,
     .reference = ref_batch_norm_grad,
     SAMPLE_CASES(channel_slopes),
     BOUND},
    {.name = "group_norm", .build = group_norm, .reference = ref_group_norm, SAMPLE_CASES(shares), BOUND},
    {.name = "instance_norm", .build = instance_norm, .reference = ref_instance_norm, SAMPLE_CASES(instances), BOUND},
    {.name = "rms_norm", .build = rms_norm, .reference = ref_rms_norm, SAMPLE_CASES(lengths), BOUND},
    {.name = "local_response_norm",
     .build = local_response_norm,
     .reference = ref_local_response_norm,
     SAMPLE_CASES(responses),
     BOUND},
    {.name = NULL},
};
