/* samples_order.c - samples of the ops that walk along an axis in order, of atan2, norms of any order and cosines. */
#include "reference_ops.h"

/* i: axis, k; flag: reverse or descending */
#define ALONG(a, turned) .args = {.i = {a}, .flag = turned}
static const sample_case along[] = {
    {.shape = {"3,5"}, ALONG(1, false)},  {.shape = {"3,5"}, ALONG(0, true)},   {.shape = {"37"}, ALONG(-1, false)},
    {.shape = {"2,3,4"}, ALONG(1, true)}, {.shape = {"B,17"}, ALONG(-1, true)}, {.shape = {"5,B"}, ALONG(0, false)},
    {.shape = {"3,T"}, ALONG(1, false)},  {.shape = {"0,4"}, ALONG(1, false)},  {.shape = {"B,1"}, ALONG(1, true)},
    {.shape = {"T,70"}, ALONG(0, true)},
};
static const sample_case pairs[] = {
    {.shape = {"3,5", "3,5"}, ALONG(1, false)},   {.shape = {"3,5", "3,5"}, ALONG(0, true)},
    {.shape = {"37", "37"}, ALONG(-1, false)},    {.shape = {"2,3,4", "2,3,4"}, ALONG(1, true)},
    {.shape = {"B,17", "B,17"}, ALONG(-1, true)}, {.shape = {"T,B", "T,B"}, ALONG(0, false)},
    {.shape = {"0,4", "0,4"}, ALONG(0, false)},
};
static const sample_case factors[] = {
    {.shape = {"3,5"}, ALONG(1, false)},  {.shape = {"7"}, ALONG(0, false)},   {.shape = {"2,3,4"}, ALONG(-2, false)},
    {.shape = {"B,6"}, ALONG(-1, false)}, {.shape = {"5,B"}, ALONG(0, false)}, {.shape = {"0,4"}, ALONG(0, false)},
};
#define BEST(k, a) .args = {.i = {a, k}}
static const sample_case best[] = {
    {.shape = {"3,7"}, BEST(2, 1)},   {.shape = {"40"}, BEST(3, 0)},  {.shape = {"5,B"}, BEST(5, 0)},
    {.shape = {"B,33"}, BEST(4, -1)}, {.shape = {"4,2"}, BEST(0, 0)}, {.shape = {"2,9,3"}, BEST(1, 1)},
};
static const sample_case taken[] = {
    {.shape = {"3,5", "3,4"}, ALONG(1, false)},  {.shape = {"5,3", "7,3"}, ALONG(0, false)},
    {.shape = {"5", "2"}, ALONG(0, false)},      {.shape = {"2,5,B", "2,3,B"}, ALONG(1, false)},
    {.shape = {"B,5", "B,T"}, ALONG(-1, false)},
};
static const sample_case put[] = {
    {.shape = {"3,4", "3,4", "3,5"}, ALONG(1, false)},
    {.shape = {"7,3", "7,3", "5,3"}, ALONG(0, false)},
    {.shape = {"B,T", "B,T", "B,5"}, ALONG(-1, false)},
    {.shape = {"2,3,B", "2,3,B", "2,5,B"}, ALONG(1, false)},
};
#define ORDER(p, keep, ...) .args = {.f = {p}, .axes = {SAMPLE_AXES(__VA_ARGS__)}, .flag = keep}
static const sample_case orders[] = {
    {.shape = {"3,5"}, ORDER(3, false, 1)},        {.shape = {"3,5"}, ORDER(1, true, 0)},
    {.shape = {"B,T"}, ORDER(1.5, false, 0)},      {.shape = {"2,3,4"}, ORDER(0.5, true, 0, 2)},
    {.shape = {"B,17"}, ORDER(2, false, -1)},      {.shape = {"T,6"}, ORDER(4, true, 0, 1)},
    {.shape = {"3,6"}, ORDER(INFINITY, false, 1)}, {.shape = {"3,6"}, ORDER(-INFINITY, true, 0)},
};
static const sample_case count[] = {{.shape = {"3,5"}, ORDER(0, false, 1)}, {.shape = {"B,T"}, ORDER(0, false, 0)}};
static const sample_case cosines[] = {
    {.shape = {"3,5", "3,5"}, ALONG(1, false)},     {.shape = {"7", "7"}, ALONG(0, false)},
    {.shape = {"B,6", "B,6"}, ALONG(-1, false)},    {.shape = {"5,T", "5,T"}, ALONG(0, false)},
    {.shape = {"2,3,B", "2,3,B"}, ALONG(1, false)},
};
static const sample_case angles[] = {
    {.shape = {"37", "37"}}, {.shape = {"B,4", "4"}}, {.shape = {"", ""}},
    {.shape = {"3,5", "1"}}, {.shape = {"B,T", "T"}}, {.shape = {"0", "0"}},
};

static rg_node *cumsum(const sample_context *c, rg_node *const x[])
{
    return rg_cumsum(x[0], (int)c->args->i[0], c->args->flag);
}
static rg_node *cumprod(const sample_context *c, rg_node *const x[])
{
    return rg_cumprod(x[0], (int)c->args->i[0]);
}
static rg_node *linear_recurrence(const sample_context *c, rg_node *const x[])
{
    return rg_linear_recurrence(x[0], x[1], (int)c->args->i[0], c->args->flag);
}
static rg_node *argsort(const sample_context *c, rg_node *const x[])
{
    return rg_argsort(x[0], (int)c->args->i[0], c->args->flag);
}
static rg_node *sort(const sample_context *c, rg_node *const x[])
{
    return rg_sort(x[0], (int)c->args->i[0], c->args->flag);
}
static rg_node *topk(const sample_context *c, rg_node *const x[])
{
    return rg_topk(x[0], c->args->i[1], (int)c->args->i[0], NULL);
}
static rg_node *topk_index(const sample_context *c, rg_node *const x[])
{
    rg_node *index;
    (void)rg_topk(x[0], c->args->i[1], (int)c->args->i[0], &index);
    return index;
}
static rg_node *take_along(const sample_context *c, rg_node *const x[])
{
    return rg_take_along(x[0], x[1], (int)c->args->i[0]);
}
static rg_node *put_along(const sample_context *c, rg_node *const x[])
{
    return rg_put_along(x[0], x[1], x[2], (int)c->args->i[0]);
}
static rg_node *norm_p(const sample_context *c, rg_node *const x[])
{
    return rg_norm_p(x[0], c->args->f[0], c->args->axes[0], c->args->flag);
}
static rg_node *cosine_similarity(const sample_context *c, rg_node *const x[])
{
    return rg_cosine_similarity(x[0], x[1], (int)c->args->i[0], 1e-8);
}

#define BUILT(op, list) .name = #op, .build = op, .reference = ref_##op, SAMPLE_CASES(list)
#define LADDER                    \
    {                             \
        {                         \
            .kind = SAMPLE_LADDER \
        }                         \
    }
#define INDEX(most)                                                \
    {                                                              \
        .dtype = RG_I64, .kind = SAMPLE_WHOLE, .lo = 0, .hi = most \
    }

const sample_row samples_order[] = {
    {.name = "atan2",
     .binary = rg_atan2,
     .ref2 = atan2,
     SAMPLE_CASES(angles),
     .ulps32 = 2,
     .ulps64 = 4,
     .flags = SAMPLE_ELEMENTWISE,
     .domain = {{.lo = -3, .hi = 3, .kinks = 1}, {.lo = -3, .hi = 3, .kinks = 1}}},
    {BUILT(cumsum, along), .ulps32 = 1, .ulps64 = 1, .also = RG_DT_INTS},
    {BUILT(cumprod, factors), .ulps32 = 8, .ulps64 = 8},
    /* |a| below 1: an error dies away as it goes on */
    {BUILT(linear_recurrence, pairs), .ulps32 = 4, .ulps64 = 8, .domain = {{.lo = -0.9, .hi = 0.9}}},
    {BUILT(argsort, along), .out = RG_I64, .also = RG_DT_INTS, .flags = SAMPLE_ZERO_GRAD,
     .domain = {{.kind = SAMPLE_WHOLE, .lo = -9, .hi = 9}}},
    {BUILT(sort, along), .also = RG_DT_INTS, .domain = LADDER},
    {BUILT(topk, best), .domain = LADDER},
    {.name = "topk (positions)",
     .build = topk_index,
     .reference = ref_topk_index,
     SAMPLE_CASES(best),
     .out = RG_I64,
     .also = RG_DT_INTS,
     .flags = SAMPLE_ZERO_GRAD,
     .domain = {{.kind = SAMPLE_WHOLE, .lo = -9, .hi = 9}}},
    {BUILT(take_along, taken), .also = RG_DT_INTS | RG_DT(RG_U8) | RG_DT(RG_BOOL), .domain = {{0}, INDEX(4)}},
    {BUILT(put_along, put), .ulps32 = 32, .ulps64 = 32, .domain = {{0}, INDEX(4)}},
    {BUILT(norm_p, orders), .ulps32 = 24, .ulps64 = 24, .domain = {{.kind = SAMPLE_LADDER, .lo = 0.3, .hi = 3}}},
    {.name = "norm_p (count)",
     .build = norm_p,
     .reference = ref_norm_p,
     SAMPLE_CASES(count),
     .flags = SAMPLE_ZERO_GRAD,
     .domain = {{.kind = SAMPLE_WHOLE, .lo = -1, .hi = 1}}},
    {BUILT(cosine_similarity, cosines), .ulps32 = 8, .ulps64 = 8},
    {.name = NULL},
};
