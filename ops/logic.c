/* logic.c - and, or, exclusive or, not, of bools. A bool is a byte that holds 0 or 1, so the bitwise operators do. */
#include "pointwise.h"
#include "table_ops.h"

enum { AND, OR, XOR };

static rg_status run_binary(const rg_step *s, size_t lo, size_t hi)
{
    const int kernel = ((const rgi_pointwise *)s->op->data)->kernel;
    const uint8_t *a = s->in[0], *b = s->in[1];
    uint8_t *y = s->out[0];
    if (kernel == AND)
        for (size_t i = lo; i < hi; i++)
            y[i] = a[i] & b[i];
    else if (kernel == OR)
        for (size_t i = lo; i < hi; i++)
            y[i] = a[i] | b[i];
    else
        for (size_t i = lo; i < hi; i++)
            y[i] = a[i] ^ b[i];
    return RG_OK;
}

static rg_status run_not(const rg_step *s, size_t lo, size_t hi)
{
    const uint8_t *x = s->in[0];
    uint8_t *y = s->out[0];
    for (size_t i = lo; i < hi; i++)
        y[i] = !x[i];
    return RG_OK;
}

/* x and 1 = x */
static int alias_and(const void *attr, const double *const uniform[])
{
    (void)attr;
    return uniform[1] && *uniform[1] == 1 ? 0 : uniform[0] && *uniform[0] == 1 ? 1 : -1;
}

/* x or 0 = x, x xor 0 = x */
static int alias_or(const void *attr, const double *const uniform[])
{
    (void)attr;
    return uniform[1] && *uniform[1] == 0 ? 0 : uniform[0] && *uniform[0] == 0 ? 1 : -1;
}

/* ---- descriptors ---- */

#define BINARY                                                                                 \
    .n_in = 2, .n_out = 1, .traits = RG_ELEMENTWISE | RG_INPLACE | RG_ZERO_GRAD | RG_COMMUTES, \
    .dtypes = RG_DT(RG_BOOL), .infer = rg_infer_broadcast, .cost = rgi_pointwise_cost, .run = run_binary

const rg_op rgi_op_logical_and = {
    BINARY,
    .name = "logical_and",
    .alias = alias_and,
    .data = &(const rgi_pointwise){AND, 1, NULL},
};

const rg_op rgi_op_logical_or = {
    BINARY,
    .name = "logical_or",
    .alias = alias_or,
    .data = &(const rgi_pointwise){OR, 1, NULL},
};

const rg_op rgi_op_logical_xor = {
    BINARY,
    .name = "logical_xor",
    .alias = alias_or,
    .data = &(const rgi_pointwise){XOR, 1, NULL},
};

const rg_op rgi_op_logical_not = {
    .name = "logical_not",
    .n_in = 1,
    .n_out = 1,
    .traits = RG_ELEMENTWISE | RG_INPLACE | RG_ZERO_GRAD,
    .dtypes = RG_DT(RG_BOOL),
    .infer = rg_infer_same,
    .cost = rgi_pointwise_cost,
    .run = run_not,
    .data = &(const rgi_pointwise){0, 1, NULL},
};

/* ---- builders ---- */

rg_node *rg_logical_and(rg_node *a, rg_node *b)
{
    return rg_apply(&rgi_op_logical_and, RG_NODES(a, b), NULL);
}

rg_node *rg_logical_or(rg_node *a, rg_node *b)
{
    return rg_apply(&rgi_op_logical_or, RG_NODES(a, b), NULL);
}

rg_node *rg_logical_xor(rg_node *a, rg_node *b)
{
    return rg_apply(&rgi_op_logical_xor, RG_NODES(a, b), NULL);
}

rg_node *rg_logical_not(rg_node *x)
{
    return rg_apply(&rgi_op_logical_not, RG_NODES(x), NULL);
}
