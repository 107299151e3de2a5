/* samples_random.c - samples of the random draws: their bits must not depend on how they run. */
#include "samples.h"

static const sample_case draws[] = {
    {.shape = {NULL}, .args = {.shape = "37"}},
    {.shape = {"B,T"}, .args = {.shape = "B,T"}},
    {.shape = {NULL}, .args = {.shape = ""}},
    {.shape = {NULL}, .args = {.shape = "0"}},
};
static const sample_case likes[] = {{.shape = {"37"}}, {.shape = {"B,T"}}, {.shape = {""}}, {.shape = {"0"}}};

static rg_shape shape(const sample_context *c)
{
    return sample_shape(c->graph, &c->sizes, c->args->shape);
}
static rg_node *uniform(const sample_context *c, rg_node *const x[])
{
    (void)x;
    return rg_uniform(c->graph, c->dtype, shape(c));
}
static rg_node *normal(const sample_context *c, rg_node *const x[])
{
    (void)x;
    return rg_normal(c->graph, c->dtype, shape(c));
}
static rg_node *bernoulli(const sample_context *c, rg_node *const x[])
{
    (void)x;
    return rg_bernoulli(c->graph, 0.3, shape(c));
}

#define DRAW .flags = SAMPLE_RANDOM | SAMPLE_ZERO_GRAD | SAMPLE_SIZED, .see = "test_random.c"
#define LIKE .flags = SAMPLE_RANDOM | SAMPLE_ZERO_GRAD, .see = "test_random.c"

const sample_row samples_random[] = {
    {.name = "random", .build = uniform, SAMPLE_CASES(draws), DRAW},
    {.name = "normal", .build = normal, SAMPLE_CASES(draws), DRAW},
    {.name = "bernoulli", .build = bernoulli, SAMPLE_CASES(draws), .out = RG_BOOL, DRAW},
    {.name = "random_like", .unary = rg_uniform_like, SAMPLE_CASES(likes), LIKE},
    {.name = "normal_like", .unary = rg_normal_like, SAMPLE_CASES(likes), LIKE},
    {.name = NULL},
};
