/* samples_functions.c - samples of the elementary functions and the activations.

   Ulps: what ops/kernels/vmath.h states for each function, and one for the reference's own rounding. */
#include "reference_ops.h"

static const sample_case one[] = {
    {.shape = {"37"}},  {.shape = {"B,17"}}, {.shape = {""}},      {.shape = {"0"}},
    {.shape = {"3,5"}}, {.shape = {"B,T"}},  {.shape = {"1,B,1"}}, {.shape = {"2,0,3"}},
};
static const sample_case slopes[] = {
    {.shape = {"37"}, .args = {.f = {0.2}}},
    {.shape = {"B,T"}, .args = {.f = {1.3}}},
    {.shape = {""}, .args = {.f = {0.6}}},
    {.shape = {"0"}, .args = {.f = {0.01}}},
};
static const sample_case two[] = {
    {.shape = {"5,4", "4"}}, {.shape = {"B,4", "4"}},     {.shape = {"B,T", "T"}},
    {.shape = {"7", ""}},    {.shape = {"2,3,4", "3,1"}}, {.shape = {"B,T", "B,T"}},
};

static rg_node *leaky_relu(const sample_context *c, rg_node *const x[])
{
    return rg_leaky_relu(x[0], c->args->f[0]);
}
static rg_node *elu(const sample_context *c, rg_node *const x[])
{
    return rg_elu(x[0], c->args->f[0]);
}
static rg_node *celu(const sample_context *c, rg_node *const x[])
{
    return rg_celu(x[0], c->args->f[0]);
}

#define ONE(op) .name = #op, .unary = rg_##op, SAMPLE_CASES(one), .ulps32 = 3, .ulps64 = 3
#define EACH SAMPLE_ELEMENTWISE
#define LIMITS (SAMPLE_ELEMENTWISE | SAMPLE_LIMITS)
#define WITHIN(low, high) .domain = {{.lo = low, .hi = high}}
#define KINK(...) \
    .domain = {{.lo = -4, .hi = 4, .kinks = sizeof((double[]){__VA_ARGS__}) / sizeof(double), .kink = {__VA_ARGS__}}}

const sample_row samples_functions[] = {
    {ONE(exp), .ref1 = exp, .flags = EACH, WITHIN(-4, 4)},
    {ONE(exp2), .ref1 = exp2, .flags = EACH, WITHIN(-4, 4)},
    {ONE(expm1), .ref1 = expm1, .flags = EACH, WITHIN(-3, 3)},
    {ONE(log), .ref1 = log, .flags = EACH, WITHIN(0.3, 6)},
    {ONE(log1p), .ref1 = log1p, .flags = EACH, WITHIN(-0.7, 4)},
    {ONE(sin), .ref1 = sin, .flags = EACH, WITHIN(-3, 3)},
    {ONE(cos), .ref1 = cos, .flags = EACH, WITHIN(-3, 3)},
    {ONE(tan), .ref1 = tan, .flags = EACH, WITHIN(-1.2, 1.2)},
    {ONE(asin), .ref1 = asin, .flags = EACH, WITHIN(-0.8, 0.8)},
    {ONE(acos), .ref1 = acos, .flags = EACH, WITHIN(-0.8, 0.8)},
    {ONE(atan), .ref1 = atan, .flags = EACH, WITHIN(-4, 4)},
    {ONE(sinh), .ref1 = sinh, .flags = EACH, WITHIN(-3, 3)},
    {ONE(cosh), .ref1 = cosh, .flags = EACH, WITHIN(-3, 3)},
    {ONE(asinh), .ref1 = asinh, .flags = EACH, WITHIN(-4, 4)},
    {ONE(acosh), .ref1 = acosh, .flags = EACH, WITHIN(1.2, 5)},
    {ONE(atanh), .ref1 = atanh, .flags = EACH, WITHIN(-0.8, 0.8)},
    {ONE(erf), .ref1 = erf, .flags = EACH, WITHIN(-2.5, 2.5)},
    {ONE(floor), .ref1 = floor, .flags = EACH | SAMPLE_ZERO_GRAD, WITHIN(-5, 5)},
    {ONE(ceil), .ref1 = ceil, .flags = EACH | SAMPLE_ZERO_GRAD, WITHIN(-5, 5)},
    {ONE(round), .ref1 = rint, .flags = EACH | SAMPLE_ZERO_GRAD, WITHIN(-5, 5)},
    {.name = NULL},
};

const sample_row samples_activations[] = {
    {ONE(relu), .ref1 = ref_relu, .flags = EACH, KINK(0)},
    {ONE(selu), .ref1 = ref_selu, .flags = EACH, KINK(0)},
    /* the error of x / sqrt(2) is multiplied by x^2 in the tail of erfc */
    {.name = "gelu",
     .unary = rg_gelu,
     SAMPLE_CASES(one),
     .ref1 = ref_gelu,
     .ulps32 = 8,
     .ulps64 = 8,
     .flags = LIMITS,
     WITHIN(-2, 3)},
    /* 1 + tanh cancels on the left: 1 - |tanh| is 0.05 at -2 */
    {.name = "gelu_tanh",
     .unary = rg_gelu_tanh,
     SAMPLE_CASES(one),
     .ref1 = ref_gelu_tanh,
     .ulps32 = 24,
     .ulps64 = 40,
     .flags = LIMITS,
     WITHIN(-2, 3)},
    {ONE(silu), .ref1 = ref_silu, .flags = LIMITS, WITHIN(-4, 4)},
    {.name = "mish",
     .unary = rg_mish,
     SAMPLE_CASES(one),
     .ref1 = ref_mish,
     .ulps32 = 8,
     .ulps64 = 8,
     .flags = LIMITS,
     WITHIN(-4, 4)},
    {ONE(softplus), .ref1 = ref_softplus, .flags = EACH, WITHIN(-4, 4)},
    {ONE(softsign), .ref1 = ref_softsign, .flags = LIMITS, KINK(0)},
    {ONE(sigmoid), .ref1 = ref_sigmoid, .flags = EACH, WITHIN(-4, 4)},
    {ONE(log_sigmoid), .ref1 = ref_log_sigmoid, .flags = EACH, WITHIN(-4, 4)},
    /* x/6 + 1/2 cancels near -3: kept 0.05 from it, where the sum is 0.008 */
    {.name = "hard_sigmoid",
     .unary = rg_hard_sigmoid,
     SAMPLE_CASES(one),
     .ref1 = ref_hard_sigmoid,
     .ulps32 = 64,
     .ulps64 = 64,
     .flags = EACH,
     KINK(-3, 3)},
    {.name = "hard_swish",
     .unary = rg_hard_swish,
     SAMPLE_CASES(one),
     .ref1 = ref_hard_swish,
     .ulps32 = 64,
     .ulps64 = 64,
     .flags = LIMITS,
     KINK(-3, 3)},
    {ONE(tanh), .ref1 = tanh, .flags = EACH, WITHIN(-3, 3)},
    {ONE(hard_tanh), .ref1 = ref_hard_tanh, .flags = EACH, KINK(-1, 1)},
    {.name = "leaky_relu",
     .build = leaky_relu,
     SAMPLE_CASES(slopes),
     .ref_each = ref_leaky_relu,
     .ulps32 = 1,
     .ulps64 = 1,
     .flags = EACH,
     KINK(0)},
    {.name = "elu",
     .build = elu,
     SAMPLE_CASES(slopes),
     .ref_each = ref_elu,
     .ulps32 = 4,
     .ulps64 = 4,
     .flags = EACH,
     KINK(0)},
    {.name = "celu",
     .build = celu,
     SAMPLE_CASES(slopes),
     .ref_each = ref_celu,
     .ulps32 = 8,
     .ulps64 = 8,
     .flags = EACH,
     KINK(0)},
    {.name = "prelu",
     .binary = rg_prelu,
     SAMPLE_CASES(two),
     .ref2 = ref_prelu,
     .ulps32 = 1,
     .ulps64 = 1,
     .domain = {{.lo = -4, .hi = 4, .kinks = 1}, {.lo = 0.1, .hi = 0.5}}},
    {.name = NULL},
};
