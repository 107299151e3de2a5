/* samples_linalg.c - samples of the contraction and of what is built from it. */
#include "reference_ops.h"

#include "../ops/rules.h"

#define NO    \
    {         \
        0,    \
        {     \
            0 \
        }     \
    }
#define AX(...) SAMPLE_AXES(__VA_ARGS__)
#define PAIRS(a_batch, b_batch, a_contract, b_contract) .args = {.axes = {a_batch, b_batch, a_contract, b_contract}}
static const sample_case contractions[] = {
    {.shape = {"3,4", "4,5"}, PAIRS(NO, NO, AX(1), AX(0))},
    {.shape = {"4,3", "5,4"}, PAIRS(NO, NO, AX(0), AX(1))},
    {.shape = {"3,4", "5,4"}, PAIRS(NO, NO, AX(-1), AX(-1))},
    {.shape = {"4,3", "4,5"}, PAIRS(NO, NO, AX(0), AX(0))},
    {.shape = {"B,3,4", "B,4,5"}, PAIRS(AX(0), AX(0), AX(2), AX(1))},
    {.shape = {"3,B,4", "4,5,B"}, PAIRS(AX(1), AX(2), AX(2), AX(0))},
    {.shape = {"2,3,4", "4,3,5"}, PAIRS(NO, NO, AX(1, 2), AX(1, 0))},
    {.shape = {"2,3,4", "3,5,2"}, PAIRS(AX(0, 1), AX(2, 0), NO, NO)},
    {.shape = {"B,T", "B,T"}, PAIRS(AX(1), AX(1), AX(0), AX(0))},
    {.shape = {"3,4", "3,4"}, PAIRS(NO, NO, AX(0, 1), AX(0, 1))},
    {.shape = {"7", "7"}, PAIRS(AX(0), AX(0), NO, NO)},
    {.shape = {"3", "2,2"}, PAIRS(NO, NO, NO, NO)},
    {.shape = {"", "3"}, PAIRS(NO, NO, NO, NO)},
    {.shape = {"B,T", "T,9"}, PAIRS(NO, NO, AX(1), AX(0))},
    {.shape = {"B,3", "B,5"}, PAIRS(NO, NO, AX(0), AX(0))},
    {.shape = {"17,33", "33,29"}, PAIRS(NO, NO, AX(1), AX(0))},
    {.shape = {"0,4", "4,5"}, PAIRS(NO, NO, AX(1), AX(0))},
    {.shape = {"3,0", "0,5"}, PAIRS(NO, NO, AX(1), AX(0))},
    {.shape = {"2,1,3,1", "1,3,2"}, PAIRS(AX(1), AX(0), AX(2), AX(1))},
};
#define ONWARDS(down, a_batch, b_batch, a_contract, b_contract) \
    .args = {.flag = down, .axes = {a_batch, b_batch, a_contract, b_contract}}
static const sample_case sums[] = {
    {.shape = {"4,3", "4,5"}, ONWARDS(true, NO, NO, AX(0), AX(0))},
    {.shape = {"4,3", "4,5", "3,5"}, ONWARDS(true, NO, NO, AX(0), AX(0))},
    {.shape = {"4,3", "4,5", "3,5"}, ONWARDS(false, NO, NO, AX(0), AX(0))},
    {.shape = {"B,3", "B,5", "3,5"}, ONWARDS(true, NO, NO, AX(0), AX(0))},
    {.shape = {"T,B,3", "T,B,5", "3,5"}, ONWARDS(true, NO, NO, AX(0, 1), AX(0, 1))},
    {.shape = {"T,2,3", "T,2,5", "2,3,5"}, ONWARDS(true, AX(1), AX(1), AX(0), AX(0))},
    {.shape = {"6", "6,5", "5"}, ONWARDS(true, NO, NO, AX(0), AX(0))},
    {.shape = {"6,17", "6", "17"}, ONWARDS(false, NO, NO, AX(0), AX(0))},
    {.shape = {"33,17", "33,29", "17,29"}, ONWARDS(true, NO, NO, AX(0), AX(0))},
    {.shape = {"0,3", "0,5", "3,5"}, ONWARDS(true, NO, NO, AX(0), AX(0))},
};
#define TURN(a, b) .args = {.flag = a, .flag2 = b}
static const sample_case products[] = {
    {.shape = {"3,4", "4,5"}},   {.shape = {"4", "4,5"}},         {.shape = {"3,4", "4"}},
    {.shape = {"4", "4"}},       {.shape = {"B,3,4", "B,4,5"}},   {.shape = {"B,3,4", "4,5"}},
    {.shape = {"3,4", "B,4,5"}}, {.shape = {"2,1,3,4", "5,4,2"}}, {.shape = {"B,T", "T,7"}},
    {.shape = {"4", "B,4,5"}},   {.shape = {"B,3,4", "4"}},       {.shape = {"1,1", "1,1"}},
    {.shape = {"0,4", "4,5"}},   {.shape = {"3,0", "0,5"}},       {.shape = {"2,0,3", "2,3,4"}},
    {.shape = {"1,17", "17,1"}},
};
static const sample_case turned[] = {
    {.shape = {"4,3", "4,5"}, TURN(true, false)},      {.shape = {"3,4", "5,4"}, TURN(false, true)},
    {.shape = {"4,3", "5,4"}, TURN(true, true)},       {.shape = {"B,4,3", "B,5,4"}, TURN(true, true)},
    {.shape = {"B,3,4", "5,4"}, TURN(false, true)},    {.shape = {"T,B", "T,7"}, TURN(true, false)},
    {.shape = {"2,1,4,3", "3,5,4"}, TURN(true, true)},
};
static const sample_case layers[] = {
    {.shape = {"3,4", "5,4", "5"}},   {.shape = {"B,4", "5,4", "5"}}, {.shape = {"4", "5,4", "5"}},
    {.shape = {"T,B,4", "3,4", "3"}}, {.shape = {"3,4", "5,4"}},      {.shape = {"B,T", "7,T"}},
    {.shape = {"0,4", "5,4", "5"}},   {.shape = {"3,0", "5,0", "5"}},
};
static const sample_case vectors[] = {
    {.shape = {"3", "4"}}, {.shape = {"B", "T"}}, {.shape = {"1", "1"}}, {.shape = {"0", "3"}}};
static const sample_case pairs[] = {{.shape = {"5", "5"}},
                                    {.shape = {"B", "B"}},
                                    {.shape = {"0", "0"}},
                                    {.shape = {"1", "1"}},
                                    {.shape = {"67", "67"}}};

static rg_node *contract(const sample_context *c, rg_node *const x[])
{
    const rg_axes *a = c->args->axes;
    return rg_contract(x[0], x[1], &(rg_contract_opts){a[0], a[1], a[2], a[3]});
}
static rg_node *accumulate(const sample_context *c, rg_node *const x[])
{
    const rg_axes *a = c->args->axes;
    return rgi_accumulate(x[0], x[1], c->n_in == 3 ? x[2] : NULL, &(rg_contract_opts){a[0], a[1], a[2], a[3]},
                          c->args->flag);
}
static rg_node *matmul_t(const sample_context *c, rg_node *const x[])
{
    return rg_matmul_t(x[0], c->args->flag, x[1], c->args->flag2);
}
static rg_node *linear(const sample_context *c, rg_node *const x[])
{
    return rg_linear(x[0], x[1], c->n_in > 2 ? x[2] : NULL);
}

/* sums of up to 1031 products, each rounded once: measured against the sum of their magnitudes */
#define BOUND .ulps32 = 8, .ulps64 = 8

const sample_row samples_linalg[] = {
    {.name = "contract", .build = contract, .reference = ref_contract, SAMPLE_CASES(contractions), BOUND},
    {.name = "accumulate", .build = accumulate, .reference = ref_accumulate, SAMPLE_CASES(sums), BOUND},
    {.name = "matmul", .binary = rg_matmul, .reference = ref_matmul, SAMPLE_CASES(products), BOUND},
    {.name = "matmul_t", .build = matmul_t, .reference = ref_matmul, SAMPLE_CASES(turned), BOUND},
    {.name = "linear", .build = linear, .reference = ref_linear, SAMPLE_CASES(layers), BOUND},
    {.name = "outer", .binary = rg_outer, .reference = ref_outer, SAMPLE_CASES(vectors), BOUND},
    {.name = "dot", .binary = rg_dot, .reference = ref_dot, SAMPLE_CASES(pairs), BOUND},
    {.name = NULL},
};
