/* functions.c - exponentials, logarithms, trigonometry, rounding.

       y         dy/dx                 y         dy/dx
       e^x       y                     sinh x    cosh x
       2^x       y log 2               cosh x    sinh x
       e^x - 1   y + 1                 asinh x   1 / sqrt(x^2 + 1)
       log x     1 / x                 acosh x   1 / sqrt((x - 1) (x + 1))
       log(1+x)  1 / (1 + x)           atanh x   1 / ((1 - x) (1 + x))
       sin x     cos x                 asin x    1 / sqrt((1 - x) (1 + x))
       cos x     -sin x                acos x    -1 / sqrt((1 - x) (1 + x))
       tan x     1 + y^2               atan x    1 / (1 + x^2)
       erf x     2 / sqrt(pi) e^(-x^2)
       floor, ceil, round: 0                                                                           */
#include "pointwise.h"
#include "table_ops.h"

#define LOG_2 0.69314718055994530942
#define TWO_OVER_SQRT_PI 1.12837916709551257390

/* ---- partial derivatives ---- */

static rg_node *d_exp(rg_node *self, size_t i, rg_node *u)
{
    (void)i;
    return rg_mul(u, rg_output(self, 0));
}

static rg_node *d_exp2(rg_node *self, size_t i, rg_node *u)
{
    (void)i;
    return rg_scale(rg_mul(u, rg_output(self, 0)), LOG_2);
}

static rg_node *d_expm1(rg_node *self, size_t i, rg_node *u)
{
    (void)i;
    return rg_fma(u, rg_output(self, 0), u);
}

static rg_node *d_log(rg_node *self, size_t i, rg_node *u)
{
    (void)i;
    return rg_div(u, rg_arg(self, 0));
}

static rg_node *d_log1p(rg_node *self, size_t i, rg_node *u)
{
    (void)i;
    return rg_div(u, rg_add_scalar(rg_arg(self, 0), 1));
}

static rg_node *d_sin(rg_node *self, size_t i, rg_node *u)
{
    (void)i;
    return rg_mul(u, rg_cos(rg_arg(self, 0)));
}

static rg_node *d_cos(rg_node *self, size_t i, rg_node *u)
{
    (void)i;
    return rg_neg(rg_mul(u, rg_sin(rg_arg(self, 0))));
}

static rg_node *d_tan(rg_node *self, size_t i, rg_node *u)
{
    (void)i;
    return rg_fma(u, rg_square(rg_output(self, 0)), u);
}

/* (1 - x) (1 + x): 1 - x^2 without its cancellation. */
static rg_node *one_minus_square(rg_node *x)
{
    return rg_mul(rg_one_minus(x), rg_add_scalar(x, 1));
}

static rg_node *d_asin(rg_node *self, size_t i, rg_node *u)
{
    (void)i;
    return rg_mul(u, rg_rsqrt(one_minus_square(rg_arg(self, 0))));
}

static rg_node *d_acos(rg_node *self, size_t i, rg_node *u)
{
    return rg_neg(d_asin(self, i, u));
}

static rg_node *d_atan(rg_node *self, size_t i, rg_node *u)
{
    (void)i;
    return rg_div(u, rg_add_scalar(rg_square(rg_arg(self, 0)), 1));
}

static rg_node *d_sinh(rg_node *self, size_t i, rg_node *u)
{
    (void)i;
    return rg_mul(u, rg_cosh(rg_arg(self, 0)));
}

static rg_node *d_cosh(rg_node *self, size_t i, rg_node *u)
{
    (void)i;
    return rg_mul(u, rg_sinh(rg_arg(self, 0)));
}

static rg_node *d_asinh(rg_node *self, size_t i, rg_node *u)
{
    (void)i;
    return rg_mul(u, rg_rsqrt(rg_add_scalar(rg_square(rg_arg(self, 0)), 1)));
}

static rg_node *d_acosh(rg_node *self, size_t i, rg_node *u)
{
    (void)i;
    rg_node *x = rg_arg(self, 0);
    return rg_mul(u, rg_rsqrt(rg_mul(rg_add_scalar(x, -1), rg_add_scalar(x, 1))));
}

static rg_node *d_atanh(rg_node *self, size_t i, rg_node *u)
{
    (void)i;
    return rg_div(u, one_minus_square(rg_arg(self, 0)));
}

static rg_node *d_erf(rg_node *self, size_t i, rg_node *u)
{
    (void)i;
    return rg_scale(rg_mul(u, rg_exp(rg_neg(rg_square(rg_arg(self, 0))))), TWO_OVER_SQRT_PI);
}

/* ---- descriptors ---- */

const rg_op rgi_op_exp = {
    RGI_UNARY,
    RGI_DERIVATIVES,
    .name = "exp",
    .data = &(const rgi_pointwise){RGK_EXP, RGI_FLOPS_FUNCTION, d_exp},
};

const rg_op rgi_op_exp2 = {
    RGI_UNARY,
    RGI_DERIVATIVES,
    .name = "exp2",
    .data = &(const rgi_pointwise){RGK_EXP2, RGI_FLOPS_FUNCTION, d_exp2},
};

const rg_op rgi_op_expm1 = {
    RGI_UNARY,
    RGI_DERIVATIVES,
    .name = "expm1",
    .data = &(const rgi_pointwise){RGK_EXPM1, RGI_FLOPS_FUNCTION, d_expm1},
};

const rg_op rgi_op_log = {
    RGI_UNARY,
    RGI_DERIVATIVES,
    .name = "log",
    .data = &(const rgi_pointwise){RGK_LOG, RGI_FLOPS_FUNCTION, d_log},
};

const rg_op rgi_op_log1p = {
    RGI_UNARY,
    RGI_DERIVATIVES,
    .name = "log1p",
    .data = &(const rgi_pointwise){RGK_LOG1P, RGI_FLOPS_FUNCTION, d_log1p},
};

const rg_op rgi_op_sin = {
    RGI_UNARY,
    RGI_DERIVATIVES,
    .name = "sin",
    .data = &(const rgi_pointwise){RGK_SIN, RGI_FLOPS_FUNCTION, d_sin},
};

const rg_op rgi_op_cos = {
    RGI_UNARY,
    RGI_DERIVATIVES,
    .name = "cos",
    .data = &(const rgi_pointwise){RGK_COS, RGI_FLOPS_FUNCTION, d_cos},
};

const rg_op rgi_op_tan = {
    RGI_UNARY,
    RGI_DERIVATIVES,
    .name = "tan",
    .data = &(const rgi_pointwise){RGK_TAN, RGI_FLOPS_FUNCTION, d_tan},
};

const rg_op rgi_op_asin = {
    RGI_UNARY,
    RGI_DERIVATIVES,
    .name = "asin",
    .data = &(const rgi_pointwise){RGK_ASIN, RGI_FLOPS_FUNCTION, d_asin},
};

const rg_op rgi_op_acos = {
    RGI_UNARY,
    RGI_DERIVATIVES,
    .name = "acos",
    .data = &(const rgi_pointwise){RGK_ACOS, RGI_FLOPS_FUNCTION, d_acos},
};

const rg_op rgi_op_atan = {
    RGI_UNARY,
    RGI_DERIVATIVES,
    .name = "atan",
    .data = &(const rgi_pointwise){RGK_ATAN, RGI_FLOPS_FUNCTION, d_atan},
};

const rg_op rgi_op_sinh = {
    RGI_UNARY,
    RGI_DERIVATIVES,
    .name = "sinh",
    .data = &(const rgi_pointwise){RGK_SINH, RGI_FLOPS_FUNCTION, d_sinh},
};

const rg_op rgi_op_cosh = {
    RGI_UNARY,
    RGI_DERIVATIVES,
    .name = "cosh",
    .data = &(const rgi_pointwise){RGK_COSH, RGI_FLOPS_FUNCTION, d_cosh},
};

const rg_op rgi_op_asinh = {
    RGI_UNARY,
    RGI_DERIVATIVES,
    .name = "asinh",
    .data = &(const rgi_pointwise){RGK_ASINH, RGI_FLOPS_FUNCTION, d_asinh},
};

const rg_op rgi_op_acosh = {
    RGI_UNARY,
    RGI_DERIVATIVES,
    .name = "acosh",
    .data = &(const rgi_pointwise){RGK_ACOSH, RGI_FLOPS_FUNCTION, d_acosh},
};

const rg_op rgi_op_atanh = {
    RGI_UNARY,
    RGI_DERIVATIVES,
    .name = "atanh",
    .data = &(const rgi_pointwise){RGK_ATANH, RGI_FLOPS_FUNCTION, d_atanh},
};

const rg_op rgi_op_erf = {
    RGI_UNARY,
    RGI_DERIVATIVES,
    .name = "erf",
    .data = &(const rgi_pointwise){RGK_ERF, RGI_FLOPS_FUNCTION, d_erf},
};

#define ROUNDING                                                                                         \
    .n_in = 1, .n_out = 1, .traits = RG_ELEMENTWISE | RG_INPLACE | RG_ZERO_GRAD, .dtypes = RG_DT_FLOATS, \
    .infer = rg_infer_same, .cost = rgi_pointwise_cost, .run = rgi_run_unary

const rg_op rgi_op_floor = {
    ROUNDING,
    .name = "floor",
    .data = &(const rgi_pointwise){RGK_FLOOR, 1, NULL},
};

const rg_op rgi_op_ceil = {
    ROUNDING,
    .name = "ceil",
    .data = &(const rgi_pointwise){RGK_CEIL, 1, NULL},
};

const rg_op rgi_op_round = {
    ROUNDING,
    .name = "round",
    .data = &(const rgi_pointwise){RGK_ROUND, 1, NULL},
};

/* ---- builders ---- */

rg_node *rg_exp(rg_node *x)
{
    return rg_apply(&rgi_op_exp, RG_NODES(x), NULL);
}

rg_node *rg_exp2(rg_node *x)
{
    return rg_apply(&rgi_op_exp2, RG_NODES(x), NULL);
}

rg_node *rg_expm1(rg_node *x)
{
    return rg_apply(&rgi_op_expm1, RG_NODES(x), NULL);
}

rg_node *rg_log(rg_node *x)
{
    return rg_apply(&rgi_op_log, RG_NODES(x), NULL);
}

rg_node *rg_log1p(rg_node *x)
{
    return rg_apply(&rgi_op_log1p, RG_NODES(x), NULL);
}

rg_node *rg_sin(rg_node *x)
{
    return rg_apply(&rgi_op_sin, RG_NODES(x), NULL);
}

rg_node *rg_cos(rg_node *x)
{
    return rg_apply(&rgi_op_cos, RG_NODES(x), NULL);
}

rg_node *rg_tan(rg_node *x)
{
    return rg_apply(&rgi_op_tan, RG_NODES(x), NULL);
}

rg_node *rg_asin(rg_node *x)
{
    return rg_apply(&rgi_op_asin, RG_NODES(x), NULL);
}

rg_node *rg_acos(rg_node *x)
{
    return rg_apply(&rgi_op_acos, RG_NODES(x), NULL);
}

rg_node *rg_atan(rg_node *x)
{
    return rg_apply(&rgi_op_atan, RG_NODES(x), NULL);
}

rg_node *rg_sinh(rg_node *x)
{
    return rg_apply(&rgi_op_sinh, RG_NODES(x), NULL);
}

rg_node *rg_cosh(rg_node *x)
{
    return rg_apply(&rgi_op_cosh, RG_NODES(x), NULL);
}

rg_node *rg_asinh(rg_node *x)
{
    return rg_apply(&rgi_op_asinh, RG_NODES(x), NULL);
}

rg_node *rg_acosh(rg_node *x)
{
    return rg_apply(&rgi_op_acosh, RG_NODES(x), NULL);
}

rg_node *rg_atanh(rg_node *x)
{
    return rg_apply(&rgi_op_atanh, RG_NODES(x), NULL);
}

rg_node *rg_erf(rg_node *x)
{
    return rg_apply(&rgi_op_erf, RG_NODES(x), NULL);
}

rg_node *rg_floor(rg_node *x)
{
    return rg_apply(&rgi_op_floor, RG_NODES(x), NULL);
}

rg_node *rg_ceil(rg_node *x)
{
    return rg_apply(&rgi_op_ceil, RG_NODES(x), NULL);
}

rg_node *rg_round(rg_node *x)
{
    return rg_apply(&rgi_op_round, RG_NODES(x), NULL);
}
