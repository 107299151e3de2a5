/* power.c - powers and roots.

       y          dy/da              dy/db
       a^b        b a^(b-1)          y log a
       a^p        p a^(p-1)
       a^2        2 a
       sqrt a     1 / (2 y)
       1/sqrt a   -y^3 / 2
       1/a        -y^2                                                                                 */
#include "pointwise.h"
#include "table_ops.h"

typedef struct power {
    double p;
} power;

static rg_node *number_like(rg_node *x, double value)
{
    return x ? rg_scalar(x->graph, x->dtype, value) : NULL;
}

static rg_node *is_zero(rg_node *x)
{
    return rg_equal(x, number_like(x, 0));
}

/* ---- partial derivatives ---- */

/* 0^0 is flat: there 0 * 0^-1 and 1 * log 0 are kept from being NaN and infinite. */
static rg_node *d_pow(rg_node *self, size_t i, rg_node *u)
{
    rg_node *a = rg_arg(self, 0), *b = rg_arg(self, 1), *one = number_like(a, 1);
    if (i == 0) {
        rg_node *exponent = rg_where(rg_logical_and(is_zero(a), is_zero(b)), one, b);
        return rg_mul(u, rg_mul(b, rg_pow(a, rg_add_scalar(exponent, -1))));
    }
    return rg_mul(u, rg_mul(rg_output(self, 0), rg_log(rg_where(is_zero(a), one, a))));
}

static rg_node *d_pow_scalar(rg_node *self, size_t i, rg_node *u)
{
    (void)i;
    const double p = ((const power *)rg_attr(self))->p;
    if (p == 0)
        return NULL;
    return p == 1 ? u : rg_scale(rg_mul(u, rg_pow_scalar(rg_arg(self, 0), p - 1)), p);
}

static rg_node *d_square(rg_node *self, size_t i, rg_node *u)
{
    (void)i;
    return rg_scale(rg_mul(u, rg_arg(self, 0)), 2);
}

static rg_node *d_sqrt(rg_node *self, size_t i, rg_node *u)
{
    (void)i;
    return rg_scale(rg_div(u, rg_output(self, 0)), 0.5);
}

static rg_node *d_rsqrt(rg_node *self, size_t i, rg_node *u)
{
    (void)i;
    rg_node *y = rg_output(self, 0);
    return rg_scale(rg_mul(u, rg_mul(y, rg_square(y))), -0.5);
}

static rg_node *d_reciprocal(rg_node *self, size_t i, rg_node *u)
{
    (void)i;
    return rg_neg(rg_mul(u, rg_square(rg_output(self, 0))));
}

/* ---- exact identities ---- */

static int alias_pow(const void *attr, const double *const uniform[])
{
    (void)attr;
    return uniform[1] && *uniform[1] == 1 ? 0 : -1;
}

static int alias_pow_scalar(const void *attr, const double *const uniform[])
{
    (void)uniform;
    return ((const power *)attr)->p == 1 ? 0 : -1;
}

/* ---- descriptors ---- */

static const rg_attr_field power_fields[] = {{"exponent", offsetof(power, p), RG_ATTR_F64}, {0}};

const rg_op rgi_op_pow = {
    RGI_BINARY,
    RGI_DERIVATIVES,
    .name = "pow",
    .alias = alias_pow,
    .data = &(const rgi_pointwise){RGK_POW, 2 * RGI_FLOPS_FUNCTION, d_pow},
};

const rg_op rgi_op_pow_scalar = {
    RGI_UNARY,
    RGI_DERIVATIVES,
    .name = "pow_scalar",
    .attr_size = sizeof(power),
    .attrs = power_fields,
    .alias = alias_pow_scalar,
    .data = &(const rgi_pointwise){RGK_POW_SCALAR, 2 * RGI_FLOPS_FUNCTION, d_pow_scalar},
};

const rg_op rgi_op_square = {
    .name = "square",
    .n_in = 1,
    .n_out = 1,
    .traits = RG_ELEMENTWISE | RG_INPLACE,
    .dtypes = RG_DT_NUMBERS,
    .infer = rg_infer_same,
    RGI_DERIVATIVES,
    .cost = rgi_pointwise_cost,
    .run = rgi_run_unary,
    .data = &(const rgi_pointwise){RGK_SQUARE, 1, d_square},
};

const rg_op rgi_op_sqrt = {
    RGI_UNARY,
    RGI_DERIVATIVES,
    .name = "sqrt",
    .data = &(const rgi_pointwise){RGK_SQRT, 6, d_sqrt},
};

const rg_op rgi_op_rsqrt = {
    RGI_UNARY,
    RGI_DERIVATIVES,
    .name = "rsqrt",
    .data = &(const rgi_pointwise){RGK_RSQRT, 10, d_rsqrt},
};

const rg_op rgi_op_reciprocal = {
    RGI_UNARY,
    RGI_DERIVATIVES,
    .name = "reciprocal",
    .data = &(const rgi_pointwise){RGK_RECIPROCAL, 4, d_reciprocal},
};

/* ---- builders ---- */

rg_node *rg_pow(rg_node *a, rg_node *b)
{
    return rg_apply(&rgi_op_pow, RG_NODES(a, b), NULL);
}

/* The squares and reciprocals have ops of their own, with the same values and cheaper. */
rg_node *rg_pow_scalar(rg_node *x, double p)
{
    return p == 2 ? rg_square(x) : p == -1 ? rg_reciprocal(x) : rg_apply(&rgi_op_pow_scalar, RG_NODES(x), &(power){p});
}

rg_node *rg_square(rg_node *x)
{
    return rg_apply(&rgi_op_square, RG_NODES(x), NULL);
}

rg_node *rg_sqrt(rg_node *x)
{
    return rg_apply(&rgi_op_sqrt, RG_NODES(x), NULL);
}

rg_node *rg_rsqrt(rg_node *x)
{
    return rg_apply(&rgi_op_rsqrt, RG_NODES(x), NULL);
}

rg_node *rg_reciprocal(rg_node *x)
{
    return rg_apply(&rgi_op_reciprocal, RG_NODES(x), NULL);
}
