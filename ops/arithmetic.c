/* arithmetic.c - sums, differences, products, quotients and their combinations with a number.

       y            dy/da        dy/db        dy/dc
       a + b        1            1
       a - b        1            -1
       a b          b            a
       a / b        1/b          -y/b
       a b + c      b            a            1
       b + p a      p            1
       a + p (b-a)  1 - p        p
       (a - b)^2    2 (a - b)    -2 (a - b)
       -a           -1
       |a|          sign a
       sign a       0
       p a          p
       a + p        1
       1 - a        -1                                                                                */
#include "pointwise.h"
#include "rewrite.h"
#include "table_ops.h"

#include <math.h>

typedef struct number {
    double p;
} number;

static double p_of(const rg_node *self)
{
    return ((const number *)rg_attr(self))->p;
}

/* ---- partial derivatives ---- */

static rg_node *d_add(rg_node *self, size_t i, rg_node *u)
{
    (void)self, (void)i;
    return u;
}

static rg_node *d_sub(rg_node *self, size_t i, rg_node *u)
{
    (void)self;
    return i == 0 ? u : rg_neg(u);
}

static rg_node *d_mul(rg_node *self, size_t i, rg_node *u)
{
    return rg_mul(u, rg_arg(self, 1 - i));
}

static rg_node *d_div(rg_node *self, size_t i, rg_node *u)
{
    rg_node *q = rg_div(u, rg_arg(self, 1));
    return i == 0 ? q : rg_neg(rg_mul(q, rg_output(self, 0)));
}

static rg_node *d_fma(rg_node *self, size_t i, rg_node *u)
{
    return i == 2 ? u : rg_mul(u, rg_arg(self, 1 - i));
}

static rg_node *d_axpy(rg_node *self, size_t i, rg_node *u)
{
    return i == 0 ? rg_scale(u, p_of(self)) : u;
}

static rg_node *d_lerp(rg_node *self, size_t i, rg_node *u)
{
    return rg_scale(u, i == 0 ? 1 - p_of(self) : p_of(self));
}

static rg_node *d_squared_difference(rg_node *self, size_t i, rg_node *u)
{
    return rg_scale(rg_mul(u, rg_sub(rg_arg(self, 0), rg_arg(self, 1))), i == 0 ? 2 : -2);
}

static rg_node *d_neg(rg_node *self, size_t i, rg_node *u)
{
    (void)self, (void)i;
    return rg_neg(u);
}

static rg_node *d_abs(rg_node *self, size_t i, rg_node *u)
{
    (void)i;
    return rg_mul(u, rg_sign(rg_arg(self, 0)));
}

static rg_node *d_scale(rg_node *self, size_t i, rg_node *u)
{
    (void)i;
    return rg_scale(u, p_of(self));
}

/* ---- exact identities; x + 0 is none, for x = -0 ---- */

static int alias_add(const void *attr, const double *const uniform[])
{
    (void)attr;
    for (int i = 0; i < 2; i++)
        if (uniform[i] && *uniform[i] == 0 && signbit(*uniform[i]))
            return 1 - i;
    return -1;
}

static int alias_sub(const void *attr, const double *const uniform[])
{
    (void)attr;
    return uniform[1] && *uniform[1] == 0 && !signbit(*uniform[1]) ? 0 : -1;
}

static int alias_mul(const void *attr, const double *const uniform[])
{
    (void)attr;
    return uniform[1] && *uniform[1] == 1 ? 0 : uniform[0] && *uniform[0] == 1 ? 1 : -1;
}

static int alias_div(const void *attr, const double *const uniform[])
{
    (void)attr;
    return uniform[1] && *uniform[1] == 1 ? 0 : -1;
}

static int alias_scale(const void *attr, const double *const uniform[])
{
    (void)uniform;
    return ((const number *)attr)->p == 1 ? 0 : -1;
}

static int alias_add_scalar(const void *attr, const double *const uniform[])
{
    (void)uniform;
    const double p = ((const number *)attr)->p;
    return p == 0 && signbit(p) ? 0 : -1;
}

/* ---- descriptors ---- */

#define BINARY_NUMBERS                                                                                       \
    .n_in = 2, .n_out = 1, .dtypes = RG_DT_NUMBERS, .infer = rg_infer_broadcast, .cost = rgi_pointwise_cost, \
    .run = rgi_run_binary, RGI_DERIVATIVES
#define UNARY_NUMBERS                                                                                   \
    .n_in = 1, .n_out = 1, .dtypes = RG_DT_NUMBERS, .infer = rg_infer_same, .cost = rgi_pointwise_cost, \
    .run = rgi_run_unary

static const rg_attr_field factor_field[] = {{"factor", offsetof(number, p), RG_ATTR_F64}, {0}};
static const rg_attr_field addend_field[] = {{"addend", offsetof(number, p), RG_ATTR_F64}, {0}};
static const rg_attr_field weight_field[] = {{"weight", offsetof(number, p), RG_ATTR_F64}, {0}};

const rg_op rgi_op_add = {
    BINARY_NUMBERS,
    .name = "add",
    .traits = RG_ELEMENTWISE | RG_INPLACE | RG_COMMUTES | RG_ONCE,
    .alias = alias_add,
    .data = &(const rgi_pointwise){RGK_ADD, 1, d_add},
};

const rg_op rgi_op_sub = {
    BINARY_NUMBERS,
    .name = "sub",
    .traits = RG_ELEMENTWISE | RG_INPLACE | RG_ONCE,
    .alias = alias_sub,
    .data = &(const rgi_pointwise){RGK_SUB, 1, d_sub},
};

const rg_op rgi_op_mul = {
    BINARY_NUMBERS,
    .name = "mul",
    .traits = RG_ELEMENTWISE | RG_INPLACE | RG_COMMUTES | RG_ONCE,
    .alias = alias_mul,
    .data = &(const rgi_pointwise){RGK_MUL, 1, d_mul},
};

const rg_op rgi_op_div = {
    RGI_BINARY, RGI_DERIVATIVES, .name = "div", .alias = alias_div, .data = &(const rgi_pointwise){RGK_DIV, 4, d_div},
};

static bool adds_fma(const rg_step *s, double *factor)
{
    if (!(s->once & 2))
        return false;
    *factor = s->out_type->dtype == RG_F64 ? *(const double *)s->in[1] : (double)*(const float *)s->in[1];
    return true;
}

const rg_op rgi_op_fma = {
    RGI_POINTWISE_WITH(RG_ONCE),
    RGI_DERIVATIVES,
    .name = "fma",
    .n_in = 3,
    .adds = adds_fma,
    .infer = rg_infer_broadcast,
    .run = rgi_run_ternary,
    .data = &(const rgi_pointwise){RGK_FMA, 2, d_fma},
};

static bool adds_axpy(const rg_step *s, double *factor)
{
    *factor = ((const number *)s->attr)->p;
    return true;
}

const rg_op rgi_op_axpy = {
    RGI_BINARY,
    RGI_DERIVATIVES,
    .name = "axpy",
    .adds = adds_axpy,
    .attr_size = sizeof(number),
    .attrs = factor_field,
    .data = &(const rgi_pointwise){RGK_AXPY, 2, d_axpy},
};

const rg_op rgi_op_lerp = {
    RGI_BINARY,
    RGI_DERIVATIVES,
    .name = "lerp",
    .attr_size = sizeof(number),
    .attrs = weight_field,
    .data = &(const rgi_pointwise){RGK_LERP, 3, d_lerp},
};

const rg_op rgi_op_squared_difference = {
    .name = "squared_difference",
    .n_in = 2,
    .n_out = 1,
    .traits = RG_ELEMENTWISE | RG_INPLACE | RG_COMMUTES | RG_ONCE,
    .dtypes = RG_DT_FLOATS,
    .infer = rg_infer_broadcast,
    RGI_DERIVATIVES,
    .cost = rgi_pointwise_cost,
    .run = rgi_run_binary,
    .data = &(const rgi_pointwise){RGK_SQUARED_DIFFERENCE, 2, d_squared_difference},
};

const rg_op rgi_op_neg = {
    UNARY_NUMBERS,
    RGI_DERIVATIVES,
    .name = "neg",
    .traits = RG_ELEMENTWISE | RG_INPLACE,
    .data = &(const rgi_pointwise){RGK_NEG, 1, d_neg},
};

const rg_op rgi_op_abs = {
    UNARY_NUMBERS,
    RGI_DERIVATIVES,
    .name = "abs",
    .traits = RG_ELEMENTWISE | RG_INPLACE,
    .data = &(const rgi_pointwise){RGK_ABS, 1, d_abs},
};

const rg_op rgi_op_sign = {
    UNARY_NUMBERS,
    .name = "sign",
    .traits = RG_ELEMENTWISE | RG_INPLACE | RG_ZERO_GRAD,
    .data = &(const rgi_pointwise){RGK_SIGN, 1, NULL},
};

const rg_op rgi_op_scale = {
    RGI_UNARY,
    RGI_DERIVATIVES,
    .name = "scale",
    .attr_size = sizeof(number),
    .attrs = factor_field,
    .alias = alias_scale,
    .data = &(const rgi_pointwise){RGK_SCALE, 1, d_scale},
};

const rg_op rgi_op_add_scalar = {
    RGI_UNARY,
    RGI_DERIVATIVES,
    .name = "add_scalar",
    .attr_size = sizeof(number),
    .attrs = addend_field,
    .alias = alias_add_scalar,
    .data = &(const rgi_pointwise){RGK_ADD_SCALAR, 1, d_add},
};

const rg_op rgi_op_one_minus = {
    RGI_UNARY,
    RGI_DERIVATIVES,
    .name = "one_minus",
    .data = &(const rgi_pointwise){RGK_ONE_MINUS, 1, d_neg},
};

double rgi_scale_factor(const rg_node *scale)
{
    return p_of(scale);
}

/* ---- builders ---- */

rg_node *rg_add(rg_node *a, rg_node *b)
{
    return rg_apply(&rgi_op_add, RG_NODES(a, b), NULL);
}

rg_node *rg_sub(rg_node *a, rg_node *b)
{
    return rg_apply(&rgi_op_sub, RG_NODES(a, b), NULL);
}

rg_node *rg_mul(rg_node *a, rg_node *b)
{
    return rg_apply(&rgi_op_mul, RG_NODES(a, b), NULL);
}

rg_node *rg_div(rg_node *a, rg_node *b)
{
    return rg_apply(&rgi_op_div, RG_NODES(a, b), NULL);
}

rg_node *rg_fma(rg_node *a, rg_node *b, rg_node *c)
{
    return rg_apply(&rgi_op_fma, RG_NODES(a, b, c), NULL);
}

rg_node *rg_axpy(double alpha, rg_node *x, rg_node *y)
{
    return rg_apply(&rgi_op_axpy, RG_NODES(x, y), &(number){alpha});
}

rg_node *rg_lerp(rg_node *a, rg_node *b, double w)
{
    return rg_apply(&rgi_op_lerp, RG_NODES(a, b), &(number){w});
}

rg_node *rgi_squared_difference(rg_node *a, rg_node *b)
{
    return rg_apply(&rgi_op_squared_difference, RG_NODES(a, b), NULL);
}

rg_node *rg_neg(rg_node *x)
{
    return rg_apply(&rgi_op_neg, RG_NODES(x), NULL);
}

rg_node *rg_abs(rg_node *x)
{
    return rg_apply(&rgi_op_abs, RG_NODES(x), NULL);
}

rg_node *rg_sign(rg_node *x)
{
    return rg_apply(&rgi_op_sign, RG_NODES(x), NULL);
}

rg_node *rg_scale(rg_node *x, double a)
{
    return rg_apply(&rgi_op_scale, RG_NODES(x), &(number){a});
}

rg_node *rg_add_scalar(rg_node *x, double a)
{
    return rg_apply(&rgi_op_add_scalar, RG_NODES(x), &(number){a});
}

rg_node *rg_one_minus(rg_node *x)
{
    return rg_apply(&rgi_op_one_minus, RG_NODES(x), NULL);
}
