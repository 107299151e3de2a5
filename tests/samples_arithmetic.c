/* samples_arithmetic.c - samples of arithmetic, comparisons, logic, selection and casts. */
#include "reference_ops.h"

/* Odd lengths around the vector widths, scalars, nothing, and sizes known late. */
static const sample_case one[] = {
    {.shape = {"37"}},  {.shape = {"B,17"}},  {.shape = {""}},
    {.shape = {"0"}},   {.shape = {"2,0,3"}}, {.shape = {"3,5"}},
    {.shape = {"B,T"}}, {.shape = {"1,B,1"}}, {.shape = {"2,3,1,2,1,2,1,2"}},
};
static const sample_case two[] = {
    {.shape = {"5", "5"}},     {.shape = {"3,1", "1,5"}}, {.shape = {"", "4"}},    {.shape = {"4", ""}},
    {.shape = {"", ""}},       {.shape = {"B,4", "4"}},   {.shape = {"4", "B,4"}}, {.shape = {"2,1,3", "4,1"}},
    {.shape = {"B,1", "1,T"}}, {.shape = {"B,T", "B,T"}}, {.shape = {"0", "1"}},   {.shape = {"3,0", "1,0"}},
    {.shape = {"B", "1"}},     {.shape = {"1", "37"}},
};
static const sample_case three[] = {
    {.shape = {"5", "5", "5"}},       {.shape = {"B,4", "4", "B,1"}}, {.shape = {"", "3,1", "5"}},
    {.shape = {"B,T", "B,T", "B,T"}}, {.shape = {"0", "1", ""}},      {.shape = {"2,3", "2,3", "3"}},
};

#define WITH(a, b) .args = {.f = {a, b}}
static const sample_case factor[] = {
    {.shape = {"37"}, WITH(1.7, 0)},
    {.shape = {"B,T"}, WITH(-0.3, 0)},
    {.shape = {""}, WITH(0, 0)},
    {.shape = {"B,0"}, WITH(2, 0)},
};
static const sample_case exponent[] = {
    {.shape = {"37"}, WITH(2.5, 0)}, {.shape = {"B,T"}, WITH(-1.5, 0)}, {.shape = {"5"}, WITH(3, 0)},
    {.shape = {"5"}, WITH(1, 0)},    {.shape = {"5"}, WITH(0, 0)},      {.shape = {"0"}, WITH(2, 0)},
};
static const sample_case bounds[] = {
    {.shape = {"37"}, WITH(-1, 0.5)},
    {.shape = {"B,T"}, WITH(-0.5, 1)},
    {.shape = {""}, WITH(-1, 1)},
    {.shape = {"0"}, WITH(0, 1)},
};
static const sample_case weight[] = {
    {.shape = {"37", "37"}, WITH(0.3, 0)}, {.shape = {"B,4", "4"}, WITH(0.999, 0)}, {.shape = {"", "5"}, WITH(0, 0)},
    {.shape = {"B,T", "B,T"}, WITH(1, 0)}, {.shape = {"0", "1"}, WITH(0.5, 0)},
};
static const sample_case casts[] = {
    {.shape = {"37"}, .args = {.i = {RG_I32}}, .out = RG_I32},
    {.shape = {"B,T"}, .args = {.i = {RG_I64}}, .out = RG_I64},
    {.shape = {"B,17"}, .args = {.i = {RG_U8}}, .out = RG_U8},
    {.shape = {""}, .args = {.i = {RG_BOOL}}, .out = RG_BOOL},
    {.shape = {"B,17"}, .args = {.i = {RG_F32}}, .out = RG_F32, .no_derivative = true},
    {.shape = {"B,17"}, .args = {.i = {RG_F64}}, .out = RG_F64},
    {.shape = {"0"}, .args = {.i = {RG_F64}}, .out = RG_F64},
};

static rg_node *scale(const sample_context *c, rg_node *const x[])
{
    return rg_scale(x[0], c->args->f[0]);
}
static rg_node *add_scalar(const sample_context *c, rg_node *const x[])
{
    return rg_add_scalar(x[0], c->args->f[0]);
}
static rg_node *pow_scalar(const sample_context *c, rg_node *const x[])
{
    return rg_pow_scalar(x[0], c->args->f[0]);
}
static rg_node *clamp(const sample_context *c, rg_node *const x[])
{
    return rg_clamp(x[0], c->args->f[0], c->args->f[1]);
}
static rg_node *axpy(const sample_context *c, rg_node *const x[])
{
    return rg_axpy(c->args->f[0], x[0], x[1]);
}
static rg_node *lerp(const sample_context *c, rg_node *const x[])
{
    return rg_lerp(x[0], x[1], c->args->f[0]);
}
static rg_node *cast(const sample_context *c, rg_node *const x[])
{
    return rg_cast(x[0], (rg_dtype)c->args->i[0]);
}

#define ONE(op) .name = #op, .unary = rg_##op, SAMPLE_CASES(one)
#define TWO(op) .name = #op, .binary = rg_##op, SAMPLE_CASES(two)
#define BUILT(op, list) .name = #op, .build = op, SAMPLE_CASES(list)
#define COMPARISON(op)                                                                         \
    TWO(op), .ref2 = ref_##op, .out = RG_BOOL, .flags = SAMPLE_ELEMENTWISE | SAMPLE_ZERO_GRAD, \
             .also = RG_DT_INTS | RG_DT(RG_U8) | RG_DT(RG_BOOL),                               \
             .domain = {{.kind = SAMPLE_WHOLE}, {.kind = SAMPLE_WHOLE}}
#define BITS                                                     \
    {                                                            \
        .dtype = RG_BOOL, .kind = SAMPLE_WHOLE, .lo = 0, .hi = 1 \
    }
#define INTS RG_DT_INTS
#define EACH SAMPLE_ELEMENTWISE

/* One rounding: half an ulp, a whole one allowed for a reference rounded itself. */
const sample_row samples_arithmetic[] = {
    {TWO(add), .ref2 = ref_add, .ulps32 = 0.5, .also = INTS, .flags = EACH},
    {TWO(sub), .ref2 = ref_sub, .ulps32 = 0.5, .also = INTS, .flags = EACH},
    {TWO(mul), .ref2 = ref_mul, .ulps32 = 0.5, .also = INTS, .flags = EACH},
    {TWO(div), .ref2 = ref_div, .ulps32 = 1, .ulps64 = 1, .flags = EACH,
     .domain = {{.lo = -2, .hi = 2}, {.lo = 0.5, .hi = 3}}},
    /* exp(b log a): the error of the logarithm is multiplied by b log a, at most 2.2 here */
    {TWO(pow), .ref2 = pow, .ulps32 = 4, .ulps64 = 4, .flags = EACH,
     .domain = {{.lo = 0.3, .hi = 3}, {.lo = -2, .hi = 2}}},
    {TWO(minimum), .ref2 = ref_minimum, .also = INTS, .flags = EACH,
     .domain = {{.kind = SAMPLE_LADDER}, {.kind = SAMPLE_LADDER}}},
    {TWO(maximum), .ref2 = ref_maximum, .also = INTS, .flags = EACH,
     .domain = {{.kind = SAMPLE_LADDER}, {.kind = SAMPLE_LADDER}}},
    {.name = "fma",
     .ternary = rg_fma,
     SAMPLE_CASES(three),
     .reference = ref_fma,
     .ulps32 = 1,
     .ulps64 = 1,
     .flags = EACH},
    {BUILT(axpy, weight), .reference = ref_axpy, .ulps32 = 1, .ulps64 = 1, .flags = EACH},
    {BUILT(lerp, weight), .reference = ref_lerp, .ulps32 = 2, .ulps64 = 2, .flags = EACH | SAMPLE_LIMITS},

    {ONE(neg), .ref1 = ref_neg, .also = INTS, .flags = EACH},
    {ONE(abs), .ref1 = fabs, .also = INTS, .flags = EACH, .domain = {{.lo = -2, .hi = 2, .kinks = 1}}},
    {ONE(sign), .ref1 = ref_sign, .also = INTS, .flags = EACH | SAMPLE_ZERO_GRAD},
    {ONE(square), .ref1 = ref_square, .ulps32 = 0.5, .also = INTS, .flags = EACH},
    {ONE(sqrt), .ref1 = sqrt, .ulps32 = 1, .ulps64 = 1, .flags = EACH, .domain = {{.lo = 0.3, .hi = 4}}},
    {ONE(rsqrt), .ref1 = ref_rsqrt, .ulps32 = 2, .ulps64 = 2, .flags = EACH, .domain = {{.lo = 0.3, .hi = 4}}},
    {ONE(reciprocal), .ref1 = ref_reciprocal, .ulps32 = 1, .ulps64 = 1, .flags = EACH,
     .domain = {{.lo = 0.5, .hi = 3}}},
    {ONE(one_minus), .ref1 = ref_one_minus, .ulps32 = 0.5, .flags = EACH},
    {BUILT(scale, factor), .ref_each = ref_scale, .ulps32 = 0.5, .flags = EACH},
    {BUILT(add_scalar, factor), .ref_each = ref_add_scalar, .ulps32 = 0.5, .flags = EACH},
    {BUILT(pow_scalar, exponent), .ref_each = ref_pow_scalar, .ulps32 = 4, .ulps64 = 4, .flags = EACH,
     .domain = {{.lo = 0.3, .hi = 3}}},
    {BUILT(clamp, bounds), .ref_each = ref_clamp, .flags = EACH,
     .domain = {{.lo = -2, .hi = 2, .kinks = 3, .kink = {-1, 0.5, 1}}}},

    {COMPARISON(equal)},
    {COMPARISON(not_equal)},
    {COMPARISON(less)},
    {COMPARISON(less_equal)},
    {COMPARISON(greater)},
    {COMPARISON(greater_equal)},
    {TWO(logical_and), .ref2 = ref_and, .out = RG_BOOL, .flags = EACH, .domain = {BITS, BITS}},
    {TWO(logical_or), .ref2 = ref_or, .out = RG_BOOL, .flags = EACH, .domain = {BITS, BITS}},
    {TWO(logical_xor), .ref2 = ref_xor, .out = RG_BOOL, .flags = EACH, .domain = {BITS, BITS}},
    {ONE(logical_not), .ref1 = ref_not, .out = RG_BOOL, .flags = EACH, .domain = {BITS}},
    {ONE(isnan), .ref1 = ref_isnan, .out = RG_BOOL, .flags = EACH | SAMPLE_ZERO_GRAD},
    {ONE(isinf), .ref1 = ref_isinf, .out = RG_BOOL, .flags = EACH | SAMPLE_ZERO_GRAD},
    {ONE(isfinite), .ref1 = ref_isfinite, .out = RG_BOOL, .flags = EACH | SAMPLE_ZERO_GRAD},
    {.name = "where",
     .ternary = rg_where,
     SAMPLE_CASES(three),
     .ref_each = ref_where,
     .flags = EACH,
     .domain = {BITS},
     .also = RG_DT_INTS | RG_DT(RG_U8) | RG_DT(RG_BOOL)},
    {BUILT(cast, casts), .ref_each = ref_cast, .also = RG_DT_INTS | RG_DT(RG_U8) | RG_DT(RG_BOOL), .flags = EACH,
     .domain = {{.lo = -300, .hi = 300}}},
    {.name = NULL},
};
