/* compare.c - comparisons of two tensors of any dtype, and tests of float values. The result is bool; its derivative is
   zero. A NaN is unequal to everything and neither less nor greater. */
#include "pointwise.h"
#include "table_ops.h"
#include "widen.h"

#include <math.h>

/* What the tests of one value look for. */
enum { IS_NAN, IS_INF, IS_FINITE };

static rg_status infer_compare(rg_infer *call)
{
    const rg_status status = rg_infer_broadcast(call);
    call->out[0].dtype = RG_BOOL;
    return status;
}

static rg_status infer_test(rg_infer *call)
{
    const rg_status status = rg_infer_same(call);
    call->out[0].dtype = RG_BOOL;
    return status;
}

static void compare_integers(int kernel, size_t n, const int64_t *a, const int64_t *b, uint8_t *y)
{
    for (size_t i = 0; i < n; i++)
        switch (kernel) {
        case RGK_EQ:
            y[i] = a[i] == b[i];
            break;
        case RGK_NE:
            y[i] = a[i] != b[i];
            break;
        case RGK_LT:
            y[i] = a[i] < b[i];
            break;
        case RGK_LE:
            y[i] = a[i] <= b[i];
            break;
        case RGK_GT:
            y[i] = a[i] > b[i];
            break;
        default: /* RGK_GE */
            y[i] = a[i] >= b[i];
            break;
        }
}

static rg_status run_compare(const rg_step *s, size_t lo, size_t hi)
{
    const int kernel = ((const rgi_pointwise *)s->op->data)->kernel;
    const rg_dtype dtype = s->in_type[0].dtype;
    uint8_t *y = s->out[0];
    if (rg_dtype_is_float(dtype)) {
        const size_t at = lo * rg_dtype_size(dtype);
        rgi_kernels(dtype)->compare[kernel](hi - lo, (const char *)s->in[0] + at, (const char *)s->in[1] + at, y + lo);
        return RG_OK;
    }
    int64_t a[RGI_BLOCK], b[RGI_BLOCK];
    for (size_t n; lo < hi; lo += n) {
        n = hi - lo < RGI_BLOCK ? hi - lo : RGI_BLOCK;
        rgi_to_i64(dtype, s->in[0], lo, n, a);
        rgi_to_i64(dtype, s->in[1], lo, n, b);
        compare_integers(kernel, n, a, b, y + lo);
    }
    return RG_OK;
}

static rg_status run_test(const rg_step *s, size_t lo, size_t hi)
{
    const int wanted = ((const rgi_pointwise *)s->op->data)->kernel;
    uint8_t *y = s->out[0];
    double x[RGI_BLOCK];
    for (size_t n; lo < hi; lo += n) {
        n = hi - lo < RGI_BLOCK ? hi - lo : RGI_BLOCK;
        rgi_to_f64(s->in_type[0].dtype, s->in[0], lo, n, x);
        for (size_t i = 0; i < n; i++)
            y[lo + i] = (isnan(x[i]) ? IS_NAN : isinf(x[i]) ? IS_INF : IS_FINITE) == wanted;
    }
    return RG_OK;
}

/* ---- descriptors ---- */

#define COMPARE \
    .n_in = 2, .n_out = 1, .dtypes = RG_DT_ALL, .infer = infer_compare, .cost = rgi_pointwise_cost, .run = run_compare
#define TEST                                                                                                     \
    .n_in = 1, .n_out = 1, .traits = RG_ELEMENTWISE | RG_ZERO_GRAD, .dtypes = RG_DT_FLOATS, .infer = infer_test, \
    .cost = rgi_pointwise_cost, .run = run_test

const rg_op rgi_op_equal = {
    COMPARE,
    .name = "equal",
    .traits = RG_ELEMENTWISE | RG_INPLACE | RG_ZERO_GRAD | RG_COMMUTES,
    .data = &(const rgi_pointwise){RGK_EQ, 1, NULL},
};

const rg_op rgi_op_not_equal = {
    COMPARE,
    .name = "not_equal",
    .traits = RG_ELEMENTWISE | RG_INPLACE | RG_ZERO_GRAD | RG_COMMUTES,
    .data = &(const rgi_pointwise){RGK_NE, 1, NULL},
};

const rg_op rgi_op_less = {
    COMPARE,
    .name = "less",
    .traits = RG_ELEMENTWISE | RG_INPLACE | RG_ZERO_GRAD,
    .data = &(const rgi_pointwise){RGK_LT, 1, NULL},
};

const rg_op rgi_op_less_equal = {
    COMPARE,
    .name = "less_equal",
    .traits = RG_ELEMENTWISE | RG_INPLACE | RG_ZERO_GRAD,
    .data = &(const rgi_pointwise){RGK_LE, 1, NULL},
};

const rg_op rgi_op_greater = {
    COMPARE,
    .name = "greater",
    .traits = RG_ELEMENTWISE | RG_INPLACE | RG_ZERO_GRAD,
    .data = &(const rgi_pointwise){RGK_GT, 1, NULL},
};

const rg_op rgi_op_greater_equal = {
    COMPARE,
    .name = "greater_equal",
    .traits = RG_ELEMENTWISE | RG_INPLACE | RG_ZERO_GRAD,
    .data = &(const rgi_pointwise){RGK_GE, 1, NULL},
};

const rg_op rgi_op_isnan = {
    TEST,
    .name = "isnan",
    .data = &(const rgi_pointwise){IS_NAN, 1, NULL},
};

const rg_op rgi_op_isinf = {
    TEST,
    .name = "isinf",
    .data = &(const rgi_pointwise){IS_INF, 1, NULL},
};

const rg_op rgi_op_isfinite = {
    TEST,
    .name = "isfinite",
    .data = &(const rgi_pointwise){IS_FINITE, 1, NULL},
};

/* ---- builders ---- */

rg_node *rg_equal(rg_node *a, rg_node *b)
{
    return rg_apply(&rgi_op_equal, RG_NODES(a, b), NULL);
}

rg_node *rg_not_equal(rg_node *a, rg_node *b)
{
    return rg_apply(&rgi_op_not_equal, RG_NODES(a, b), NULL);
}

rg_node *rg_less(rg_node *a, rg_node *b)
{
    return rg_apply(&rgi_op_less, RG_NODES(a, b), NULL);
}

rg_node *rg_less_equal(rg_node *a, rg_node *b)
{
    return rg_apply(&rgi_op_less_equal, RG_NODES(a, b), NULL);
}

rg_node *rg_greater(rg_node *a, rg_node *b)
{
    return rg_apply(&rgi_op_greater, RG_NODES(a, b), NULL);
}

rg_node *rg_greater_equal(rg_node *a, rg_node *b)
{
    return rg_apply(&rgi_op_greater_equal, RG_NODES(a, b), NULL);
}

rg_node *rg_isnan(rg_node *x)
{
    return rg_apply(&rgi_op_isnan, RG_NODES(x), NULL);
}

rg_node *rg_isinf(rg_node *x)
{
    return rg_apply(&rgi_op_isinf, RG_NODES(x), NULL);
}

rg_node *rg_isfinite(rg_node *x)
{
    return rg_apply(&rgi_op_isfinite, RG_NODES(x), NULL);
}
