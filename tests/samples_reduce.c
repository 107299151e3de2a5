/* samples_reduce.c - samples of reductions and of the softmax family. */
#include "reference_ops.h"

#define OVER(keep, ...) .args = {.axes = {SAMPLE_AXES(__VA_ARGS__)}, .flag = keep}
#define OVER_ALL(keep) .args = {.axes = {SAMPLE_ALL}, .flag = keep}
#define OVER_NONE .args = {.axes = {{0, {0}}}}

static const sample_case over[] = {
    {.shape = {"3,5"}, OVER(false, 1)},   {.shape = {"3,5"}, OVER(true, 0)},
    {.shape = {"37"}, OVER_ALL(false)},   {.shape = {"2,3,4"}, OVER(false, 0, 2)},
    {.shape = {"2,3,4"}, OVER(true, -2)}, {.shape = {"2,3,4"}, OVER(false, -1, 1)},
    {.shape = {"B,T"}, OVER(false, 0)},   {.shape = {"B,T"}, OVER(true, 1)},
    {.shape = {"B,T"}, OVER_ALL(false)},  {.shape = {"T,B,3"}, OVER(false, 0, 2)},
    {.shape = {""}, OVER_ALL(false)},     {.shape = {"3,4"}, OVER_NONE},
    {.shape = {"4,0"}, OVER(false, 0)},   {.shape = {"1,B,1"}, OVER_ALL(true)},
    {.shape = {"B,17"}, OVER(false, -1)}, {.shape = {"2,1,2,1,2,1,2,3"}, OVER(false, 0, 3, 6)},
};
/* of nothing: 0, NaN */
static const sample_case of_nothing[] = {{.shape = {"0,4"}, OVER(false, 0), .no_derivative = true}};
/* products of many factors leave the range: short slices */
static const sample_case few[] = {
    {.shape = {"3,5"}, OVER(false, 1)},      {.shape = {"3,5"}, OVER(true, 0)},   {.shape = {"7"}, OVER_ALL(false)},
    {.shape = {"2,3,4"}, OVER(false, 0, 2)}, {.shape = {"B,6"}, OVER(false, -1)}, {.shape = {"5,B"}, OVER(true, 0)},
    {.shape = {""}, OVER_ALL(false)},        {.shape = {"0,4"}, OVER(false, 0)},  {.shape = {"4,0"}, OVER(false, 0)},
};
/* an empty maximum is defined for floats alone */
static const sample_case whole[] = {
    {.shape = {"3,5"}, OVER(false, 1)},
    {.shape = {"B,T"}, OVER(true, 1)},
    {.shape = {"2,3,4"}, OVER(false, 0, 2)},
};
#define SPREAD(correction, keep, ...) .args = {.i = {correction}, .axes = {SAMPLE_AXES(__VA_ARGS__)}, .flag = keep}
static const sample_case spread[] = {
    {.shape = {"3,5"}, SPREAD(1, false, 1)},   {.shape = {"3,5"}, SPREAD(0, true, 0)},
    {.shape = {"B,17"}, SPREAD(1, false, -1)}, {.shape = {"2,3,4"}, SPREAD(1, false, 0, 2)},
    {.shape = {"B,5,T"}, SPREAD(0, false, 1)}, {.shape = {"37"}, .args = {.i = {1}, .axes = {SAMPLE_ALL}}},
};
#define ALONG(a) .args = {.i = {a}}
static const sample_case along[] = {
    {.shape = {"3,5"}, ALONG(1)},    {.shape = {"3,5"}, ALONG(0)},   {.shape = {"37"}, ALONG(-1)},
    {.shape = {"2,3,4"}, ALONG(1)},  {.shape = {"B,17"}, ALONG(-1)}, {.shape = {"5,B"}, ALONG(0)},
    {.shape = {"3,T"}, ALONG(1)},    {.shape = {"0,4"}, ALONG(1)},   {.shape = {"B,1"}, ALONG(1)},
    {.shape = {"B,3,4"}, ALONG(-2)},
};
static const sample_case kept_along[] = {
    {.shape = {"3,5"}, .args = {.i = {1}}},   {.shape = {"3,5"}, .args = {.i = {0}, .flag = true}},
    {.shape = {"B,17"}, .args = {.i = {-1}}}, {.shape = {"5,B"}, .args = {.i = {0}, .flag = true}},
    {.shape = {"37"}, .args = {.i = {0}}},    {.shape = {"3,T"}, .args = {.i = {1}}},
};
static const sample_case sizes[] = {
    {.shape = {"3,5"}, OVER(false, 1)},
    {.shape = {"B,T"}, OVER_ALL(false)},
    {.shape = {"B,T,3"}, OVER(false, -1, 0)},
    {.shape = {""}, OVER_ALL(false)},
};
static const sample_case likes[] = {
    {.shape = {"3,5", "3,5"}}, {.shape = {"3,5", "5"}},   {.shape = {"3,5", "3,1"}},   {.shape = {"3,5", ""}},
    {.shape = {"B,T", "T"}},   {.shape = {"B,T", "B,1"}}, {.shape = {"2,3,4", "3,1"}}, {.shape = {"B,17", "17"}},
    {.shape = {"0,3", "1,3"}}, {.shape = {"B", "1"}},
};
static const sample_case lists[] = {
    {.shape = {"3,5"}}, {.shape = {"3,5", "7", ""}},         {.shape = {"B,T", "B"}},
    {.shape = {"0"}},   {.shape = {"17", "17", "2,2", "1"}},
};

static rg_node *sum(const sample_context *c, rg_node *const x[])
{
    return rg_sum(x[0], c->args->axes[0], c->args->flag);
}
static rg_node *mean(const sample_context *c, rg_node *const x[])
{
    return rg_mean(x[0], c->args->axes[0], c->args->flag);
}
static rg_node *prod(const sample_context *c, rg_node *const x[])
{
    return rg_prod(x[0], c->args->axes[0], c->args->flag);
}
static rg_node *max(const sample_context *c, rg_node *const x[])
{
    return rg_max(x[0], c->args->axes[0], c->args->flag);
}
static rg_node *min(const sample_context *c, rg_node *const x[])
{
    return rg_min(x[0], c->args->axes[0], c->args->flag);
}
static rg_node *norm(const sample_context *c, rg_node *const x[])
{
    return rg_norm(x[0], c->args->axes[0], c->args->flag);
}
static rg_node *all(const sample_context *c, rg_node *const x[])
{
    return rg_all(x[0], c->args->axes[0], c->args->flag);
}
static rg_node *any(const sample_context *c, rg_node *const x[])
{
    return rg_any(x[0], c->args->axes[0], c->args->flag);
}
static rg_node *var(const sample_context *c, rg_node *const x[])
{
    return rg_var(x[0], c->args->axes[0], c->args->i[0], c->args->flag);
}
static rg_node *std(const sample_context *c, rg_node *const x[])
{
    return rg_std(x[0], c->args->axes[0], c->args->i[0], c->args->flag);
}
static rg_node *argmax(const sample_context *c, rg_node *const x[])
{
    return rg_argmax(x[0], (int)c->args->i[0]);
}
static rg_node *argmin(const sample_context *c, rg_node *const x[])
{
    return rg_argmin(x[0], (int)c->args->i[0]);
}
static rg_node *softmax(const sample_context *c, rg_node *const x[])
{
    return rg_softmax(x[0], (int)c->args->i[0]);
}
static rg_node *log_softmax(const sample_context *c, rg_node *const x[])
{
    return rg_log_softmax(x[0], (int)c->args->i[0]);
}
static rg_node *logsumexp(const sample_context *c, rg_node *const x[])
{
    return rg_logsumexp(x[0], (int)c->args->i[0], c->args->flag);
}
static rg_node *size_of(const sample_context *c, rg_node *const x[])
{
    return rg_size_of(x[0], c->args->axes[0]);
}
static rg_node *square_norm(const sample_context *c, rg_node *const x[])
{
    return rg_square_norm((rg_nodes){x, c->n_in});
}

#define BUILT(op, list) .name = #op, .build = op, .reference = ref_##op, SAMPLE_CASES(list)
#define BITS                                                     \
    {                                                            \
        .dtype = RG_BOOL, .kind = SAMPLE_WHOLE, .lo = 0, .hi = 1 \
    }
#define LADDER                    \
    {                             \
        {                         \
            .kind = SAMPLE_LADDER \
        }                         \
    }

const sample_row samples_reduce[] = {
    /* blocked sums: a rounding for each level of the tree */
    {BUILT(sum, over), .ulps32 = 4, .ulps64 = 4, .also = RG_DT_INTS},
    {BUILT(mean, over), .ulps32 = 4, .ulps64 = 4},
    {.name = "sum (of nothing)", .build = sum, .reference = ref_sum, SAMPLE_CASES(of_nothing), .flags = SAMPLE_FIXED},
    {.name = "mean (of nothing)",
     .build = mean,
     .reference = ref_mean,
     SAMPLE_CASES(of_nothing),
     .flags = SAMPLE_FIXED},
    {.name = "max (of nothing)", .build = max, .reference = ref_max, SAMPLE_CASES(of_nothing), .flags = SAMPLE_FIXED},
    {BUILT(prod, few), .ulps32 = 8, .ulps64 = 8, .also = RG_DT_INTS},
    {BUILT(max, over), .domain = LADDER},
    {BUILT(min, over), .domain = LADDER},
    {.name = "max (whole numbers)",
     .build = max,
     .reference = ref_max,
     SAMPLE_CASES(whole),
     .also = RG_DT_INTS,
     .domain = LADDER},
    {.name = "min (whole numbers)",
     .build = min,
     .reference = ref_min,
     SAMPLE_CASES(whole),
     .also = RG_DT_INTS,
     .domain = LADDER},
    {BUILT(var, spread), .ulps32 = 4, .ulps64 = 4},
    {BUILT(std, spread), .ulps32 = 4, .ulps64 = 4},
    {BUILT(norm, over), .ulps32 = 4, .ulps64 = 4, .domain = {{.lo = 0.3, .hi = 2}}},
    {BUILT(all, over), .out = RG_BOOL, .domain = {BITS}},
    {BUILT(any, over), .out = RG_BOOL, .domain = {BITS}},
    {BUILT(argmax, along), .out = RG_I64, .flags = SAMPLE_ZERO_GRAD, .domain = {{.kind = SAMPLE_WHOLE}}},
    {BUILT(argmin, along), .out = RG_I64, .flags = SAMPLE_ZERO_GRAD, .domain = {{.kind = SAMPLE_WHOLE}}},
    {BUILT(softmax, along), .ulps32 = 6, .ulps64 = 6},
    {BUILT(log_softmax, along), .ulps32 = 4, .ulps64 = 4},
    {BUILT(logsumexp, kept_along), .ulps32 = 4, .ulps64 = 4},
    {BUILT(size_of, sizes), .flags = SAMPLE_ZERO_GRAD},
    {.name = "sum_like",
     .binary = rg_sum_like,
     .reference = ref_sum_like,
     SAMPLE_CASES(likes),
     .ulps32 = 4,
     .ulps64 = 4},
    {BUILT(square_norm, lists), .ulps32 = 4, .ulps64 = 4},
    {.name = "sum_squares",
     .build = square_norm,
     .reference = ref_square_norm,
     SAMPLE_CASES(lists),
     .ulps32 = 4,
     .ulps64 = 4},
    {.name = NULL},
};
