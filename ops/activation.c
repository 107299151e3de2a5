/* activation.c - the nonlinearities of neural networks. s = sigmoid, Phi the normal distribution function.

       y                                    dy/dx
       relu         max(x, 0)               1 where y > 0
       leaky_relu   x, p x below 0          1, p below 0
       elu          x, p (e^x - 1) below 0  1, p e^x below 0
       gelu         x Phi(x)                Phi(x) + x phi(x)                  (Hendrycks and Gimpel 2016)
       gelu_tanh    x (1 + tanh v) / 2, v = sqrt(2/pi) (x + 0.044715 x^3)
       silu         x s(x)                  s(x) (1 + x (1 - s(x)))            (Elfwing et al. 2018)
       softplus     log(1 + e^x)            s(x)
       sigmoid      1 / (1 + e^-x)          y (1 - y)
       log_sigmoid  -log(1 + e^-x)          1 - e^y
       tanh                                 1 - y^2
   The derivatives that need more than a product are ops of their own: activation_grad.c. */
#include "pointwise.h"
#include "table_ops.h"

#include <math.h>

typedef struct slope {
    double p;
} slope;

static double p_of(const rg_node *self)
{
    return ((const slope *)rg_attr(self))->p;
}

/* ---- partial derivatives ---- */

static rg_node *d_relu(rg_node *self, size_t i, rg_node *u)
{
    (void)i;
    return rgi_relu_grad(u, rg_output(self, 0)); /* y > 0 where x > 0: x need not be kept */
}

static rg_node *d_leaky_relu(rg_node *self, size_t i, rg_node *u)
{
    (void)i;
    const double p = p_of(self); /* with p < 0 the sign of y no longer tells that of x */
    return rgi_leaky_relu_grad(u, p >= 0 ? rg_output(self, 0) : rg_arg(self, 0), p);
}

static rg_node *d_elu(rg_node *self, size_t i, rg_node *u)
{
    (void)i;
    rg_node *x = rg_arg(self, 0);
    return rgi_leaky_relu_grad(rg_mul(u, rg_exp(rg_clamp(x, -INFINITY, 0))), x, p_of(self));
}

static rg_node *d_gelu(rg_node *self, size_t i, rg_node *u)
{
    (void)i;
    return rgi_gelu_grad(u, rg_arg(self, 0));
}

static rg_node *d_gelu_tanh(rg_node *self, size_t i, rg_node *u)
{
    (void)i;
    return rgi_gelu_tanh_grad(u, rg_arg(self, 0));
}

static rg_node *d_silu(rg_node *self, size_t i, rg_node *u)
{
    (void)i;
    return rgi_silu_grad(u, rg_arg(self, 0));
}

static rg_node *d_softplus(rg_node *self, size_t i, rg_node *u)
{
    (void)i;
    return rg_mul(u, rg_sigmoid(rg_arg(self, 0)));
}

static rg_node *d_sigmoid(rg_node *self, size_t i, rg_node *u)
{
    (void)i;
    return rgi_sigmoid_grad(u, rg_output(self, 0));
}

static rg_node *d_log_sigmoid(rg_node *self, size_t i, rg_node *u)
{
    (void)i;
    return rg_neg(rg_mul(u, rg_expm1(rg_output(self, 0))));
}

static rg_node *d_tanh(rg_node *self, size_t i, rg_node *u)
{
    (void)i;
    return rgi_tanh_grad(u, rg_output(self, 0));
}

static int alias_leaky_relu(const void *attr, const double *const uniform[])
{
    (void)uniform;
    return ((const slope *)attr)->p == 1 ? 0 : -1;
}

/* ---- descriptors ---- */

static const rg_attr_field slope_field[] = {{"slope", offsetof(slope, p), RG_ATTR_F64}, {0}};
static const rg_attr_field alpha_field[] = {{"alpha", offsetof(slope, p), RG_ATTR_F64}, {0}};

const rg_op rgi_op_relu = {
    RGI_UNARY,
    RGI_DERIVATIVES,
    .name = "relu",
    .data = &(const rgi_pointwise){RGK_RELU, 1, d_relu},
};

const rg_op rgi_op_leaky_relu = {
    RGI_UNARY,
    RGI_DERIVATIVES,
    .name = "leaky_relu",
    .attr_size = sizeof(slope),
    .attrs = slope_field,
    .alias = alias_leaky_relu,
    .data = &(const rgi_pointwise){RGK_LEAKY_RELU, 2, d_leaky_relu},
};

const rg_op rgi_op_elu = {
    RGI_UNARY,
    RGI_DERIVATIVES,
    .name = "elu",
    .attr_size = sizeof(slope),
    .attrs = alpha_field,
    .data = &(const rgi_pointwise){RGK_ELU, RGI_FLOPS_FUNCTION, d_elu},
};

const rg_op rgi_op_gelu = {
    RGI_UNARY,
    RGI_DERIVATIVES,
    .name = "gelu",
    .data = &(const rgi_pointwise){RGK_GELU, RGI_FLOPS_FUNCTION, d_gelu},
};

const rg_op rgi_op_gelu_tanh = {
    RGI_UNARY,
    RGI_DERIVATIVES,
    .name = "gelu_tanh",
    .data = &(const rgi_pointwise){RGK_GELU_TANH, RGI_FLOPS_FUNCTION, d_gelu_tanh},
};

const rg_op rgi_op_silu = {
    RGI_UNARY,
    RGI_DERIVATIVES,
    .name = "silu",
    .data = &(const rgi_pointwise){RGK_SILU, RGI_FLOPS_FUNCTION, d_silu},
};

const rg_op rgi_op_softplus = {
    RGI_UNARY,
    RGI_DERIVATIVES,
    .name = "softplus",
    .data = &(const rgi_pointwise){RGK_SOFTPLUS, 2 * RGI_FLOPS_FUNCTION, d_softplus},
};

const rg_op rgi_op_sigmoid = {
    RGI_UNARY,
    RGI_DERIVATIVES,
    .name = "sigmoid",
    .data = &(const rgi_pointwise){RGK_SIGMOID, RGI_FLOPS_FUNCTION, d_sigmoid},
};

const rg_op rgi_op_log_sigmoid = {
    RGI_UNARY,
    RGI_DERIVATIVES,
    .name = "log_sigmoid",
    .data = &(const rgi_pointwise){RGK_LOG_SIGMOID, 2 * RGI_FLOPS_FUNCTION, d_log_sigmoid},
};

const rg_op rgi_op_tanh = {
    RGI_UNARY,
    RGI_DERIVATIVES,
    .name = "tanh",
    .data = &(const rgi_pointwise){RGK_TANH, RGI_FLOPS_FUNCTION, d_tanh},
};

/* ---- builders ---- */

rg_node *rg_relu(rg_node *x)
{
    return rg_apply(&rgi_op_relu, RG_NODES(x), NULL);
}

rg_node *rg_leaky_relu(rg_node *x, double p)
{
    return rg_apply(&rgi_op_leaky_relu, RG_NODES(x), &(slope){p});
}

rg_node *rg_elu(rg_node *x, double alpha)
{
    return rg_apply(&rgi_op_elu, RG_NODES(x), &(slope){alpha});
}

rg_node *rg_gelu(rg_node *x)
{
    return rg_apply(&rgi_op_gelu, RG_NODES(x), NULL);
}

rg_node *rg_gelu_tanh(rg_node *x)
{
    return rg_apply(&rgi_op_gelu_tanh, RG_NODES(x), NULL);
}

rg_node *rg_silu(rg_node *x)
{
    return rg_apply(&rgi_op_silu, RG_NODES(x), NULL);
}

rg_node *rg_softplus(rg_node *x)
{
    return rg_apply(&rgi_op_softplus, RG_NODES(x), NULL);
}

rg_node *rg_sigmoid(rg_node *x)
{
    return rg_apply(&rgi_op_sigmoid, RG_NODES(x), NULL);
}

rg_node *rg_log_sigmoid(rg_node *x)
{
    return rg_apply(&rgi_op_log_sigmoid, RG_NODES(x), NULL);
}

rg_node *rg_tanh(rg_node *x)
{
    return rg_apply(&rgi_op_tanh, RG_NODES(x), NULL);
}

/* ---- compositions ---- */

rg_node *rg_selu(rg_node *x)
{
    return rg_scale(rg_elu(x, 1.6732632423543772848), 1.0507009873554804934);
}

rg_node *rg_celu(rg_node *x, double alpha)
{
    char label[2 * RGI_LABEL];
    if (x && !(fabs(alpha) > 0 && isfinite(alpha)))
        return rg_build_fail(x->graph, RG_ERR_ARGUMENT, "rg_celu: alpha is %g, of %s", alpha,
                             rgi_format_operand(x, label, sizeof label));
    return rg_scale(rg_elu(rg_scale(x, 1 / alpha), 1), alpha);
}

rg_node *rg_mish(rg_node *x)
{
    return rg_mul(x, rg_tanh(rg_softplus(x)));
}

rg_node *rg_softsign(rg_node *x)
{
    return rg_div(x, rg_add_scalar(rg_abs(x), 1));
}

rg_node *rg_hard_sigmoid(rg_node *x)
{
    return rg_clamp(rg_add_scalar(rg_scale(x, 1.0 / 6), 0.5), 0, 1);
}

rg_node *rg_hard_swish(rg_node *x)
{
    return rg_mul(x, rg_hard_sigmoid(x));
}

rg_node *rg_hard_tanh(rg_node *x)
{
    return rg_clamp(x, -1, 1);
}

rg_node *rg_prelu(rg_node *x, rg_node *p)
{
    rg_node *zero = x ? rg_scalar(x->graph, x->dtype, 0) : NULL;
    return rg_where(rg_greater(x, zero), x, rg_mul(p, x));
}
