/* activation_grad.c - gradients of activations as elementwise ops, with derivatives of their own. u is the cotangent.

       op               value                                d/du            d/d second
       relu_grad        u where b > 0                        the same op     0
       leaky_relu_grad  u where b > 0, p u elsewhere         the same op     0
       sigmoid_grad     u y (1 - y)                          the same op     u (1 - 2 y)
       tanh_grad        u (1 - y^2)                          the same op     -2 u y
       gelu_grad        u f'(x)                              the same op     u f''(x)
       gelu_tanh_grad, silu_grad: likewise
   gelu:      f' = Phi + x phi                    f'' = phi (2 - x^2)
   gelu_tanh: f' = (1 + t + x t') / 2             f'' = t' + x t'' / 2,  t = tanh v,  t' = (1 - t^2) v',
              v' = c + 3 d x^2                    t'' = (1 - t^2) v'' - 2 t t' v',  v'' = 6 d x
              with v = c x + d x^3, c = sqrt(2/pi), d = 0.044715 c
   silu:      f' = s + x s'                       f'' = s' (2 + x (1 - 2 s)),  s' = s (1 - s)          */
#include "pointwise.h"
#include "table_ops.h"
#include "widen.h"

#include <stdalign.h>

#define SQRT_HALF 0.70710678118654752440
#define INV_SQRT_2PI 0.39894228040143267794
#define GELU_C 0.79788456080286535588
#define GELU_D (0.044715 * GELU_C)

typedef struct slope {
    double p;
} slope;

/* A gradient op u f'(x) whose slope f' takes several kernels. */
typedef struct sloped {
    rgi_pointwise base;
    /* y = f'(x) for n <= RGI_BLOCK elements; t is room for as many. x, y and t are distinct. */
    void (*slope)(const rgk_table *k, size_t n, const void *x, void *y, void *t);
} sloped;

/* ---- second derivatives ---- */

static rg_node *d_relu_grad(rg_node *self, size_t i, rg_node *u)
{
    return i == 0 ? rgi_relu_grad(u, rg_arg(self, 1)) : NULL;
}

static rg_node *d_leaky_relu_grad(rg_node *self, size_t i, rg_node *u)
{
    return i == 0 ? rgi_leaky_relu_grad(u, rg_arg(self, 1), ((const slope *)rg_attr(self))->p) : NULL;
}

static rg_node *d_sigmoid_grad(rg_node *self, size_t i, rg_node *u)
{
    rg_node *y = rg_arg(self, 1);
    if (i == 0)
        return rgi_sigmoid_grad(u, y);
    rg_node *both = rg_mul(u, rg_arg(self, 0));
    return rg_axpy(-2, rg_mul(both, y), both);
}

static rg_node *d_tanh_grad(rg_node *self, size_t i, rg_node *u)
{
    rg_node *y = rg_arg(self, 1);
    return i == 0 ? rgi_tanh_grad(u, y) : rg_scale(rg_mul(rg_mul(u, rg_arg(self, 0)), y), -2);
}

static rg_node *d_gelu_grad(rg_node *self, size_t i, rg_node *u)
{
    rg_node *x = rg_arg(self, 1);
    if (i == 0)
        return rgi_gelu_grad(u, x);
    rg_node *half = rg_scale(rg_square(x), 0.5);
    rg_node *curve = rg_scale(rg_mul(rg_exp(rg_neg(half)), rg_one_minus(half)), 2 * INV_SQRT_2PI);
    return rg_mul(rg_mul(u, rg_arg(self, 0)), curve);
}

static rg_node *d_gelu_tanh_grad(rg_node *self, size_t i, rg_node *u)
{
    rg_node *x = rg_arg(self, 1);
    if (i == 0)
        return rgi_gelu_tanh_grad(u, x);
    rg_node *square = rg_square(x);
    rg_node *t = rg_tanh(rg_mul(x, rg_add_scalar(rg_scale(square, GELU_D), GELU_C)));
    rg_node *v1 = rg_add_scalar(rg_scale(square, 3 * GELU_D), GELU_C);
    rg_node *t1 = rgi_tanh_grad(v1, t);
    rg_node *t2 = rg_sub(rgi_tanh_grad(rg_scale(x, 6 * GELU_D), t), rg_scale(rg_mul(t, rg_mul(t1, v1)), 2));
    return rg_mul(rg_mul(u, rg_arg(self, 0)), rg_axpy(0.5, rg_mul(x, t2), t1));
}

static rg_node *d_silu_grad(rg_node *self, size_t i, rg_node *u)
{
    rg_node *x = rg_arg(self, 1);
    if (i == 0)
        return rgi_silu_grad(u, x);
    rg_node *s = rg_sigmoid(x);
    rg_node *factor = rg_add_scalar(rg_mul(x, rg_one_minus(rg_scale(s, 2))), 2);
    return rg_mul(rg_mul(u, rg_arg(self, 0)), rgi_sigmoid_grad(factor, s));
}

/* ---- kernels ---- */

static void scale(const rgk_table *k, size_t n, const void *x, double factor, void *y)
{
    k->unary[RGK_SCALE](n, x, y, &factor);
}

static void add_scalar(const rgk_table *k, size_t n, const void *x, double addend, void *y)
{
    k->unary[RGK_ADD_SCALAR](n, x, y, &addend);
}

static void gelu_slope(const rgk_table *k, size_t n, const void *x, void *y, void *t)
{
    scale(k, n, x, SQRT_HALF, t);
    k->unary[RGK_ERF](n, t, t, NULL);
    add_scalar(k, n, t, 1, t);
    scale(k, n, t, 0.5, t);
    k->unary[RGK_SQUARE](n, x, y, NULL);
    scale(k, n, y, -0.5, y);
    k->unary[RGK_EXP](n, y, y, NULL);
    scale(k, n, y, INV_SQRT_2PI, y);
    k->ternary[RGK_FMA](n, x, y, t, y, 0);
}

static void gelu_tanh_slope(const rgk_table *k, size_t n, const void *x, void *y, void *t)
{
    k->unary[RGK_SQUARE](n, x, y, NULL);
    scale(k, n, y, GELU_D, t);
    add_scalar(k, n, t, GELU_C, t);
    k->binary[RGK_MUL](n, x, t, t, NULL, 0);
    k->unary[RGK_TANH](n, t, t, NULL);
    scale(k, n, y, 3 * GELU_D, y);
    add_scalar(k, n, y, GELU_C, y);
    k->binary[RGK_TANH_GRAD](n, y, t, y, NULL, 0);
    k->ternary[RGK_FMA](n, x, y, t, y, 0);
    add_scalar(k, n, y, 1, y);
    scale(k, n, y, 0.5, y);
}

static void silu_slope(const rgk_table *k, size_t n, const void *x, void *y, void *t)
{
    k->unary[RGK_SIGMOID](n, x, t, NULL);
    k->binary[RGK_SIGMOID_GRAD](n, x, t, y, NULL, 0);
    k->binary[RGK_ADD](n, t, y, y, NULL, 0);
}

static rg_status run_sloped(const rg_step *s, size_t lo, size_t hi)
{
    const sloped *op = s->op->data;
    const rgk_table *k = rgi_kernels(s->out_type[0].dtype);
    const size_t size = rg_dtype_size(s->out_type[0].dtype);
    alignas(64) double y[RGI_BLOCK], t[RGI_BLOCK];
    for (size_t n; lo < hi; lo += n) {
        n = hi - lo < RGI_BLOCK ? hi - lo : RGI_BLOCK;
        op->slope(k, n, (const char *)s->in[1] + lo * size, y, t);
        k->binary[RGK_MUL](n, (const char *)s->in[0] + lo * size, y, (char *)s->out[0] + lo * size, NULL, 0);
    }
    return RG_OK;
}

/* ---- descriptors ---- */

#define SLOPED RGI_POINTWISE, RGI_DERIVATIVES, .n_in = 2, .infer = rg_infer_broadcast, .run = run_sloped

static const rg_attr_field slope_field[] = {{"slope", offsetof(slope, p), RG_ATTR_F64}, {0}};

const rg_op rgi_op_relu_grad = {
    RGI_BINARY,
    RGI_DERIVATIVES,
    .name = "relu_grad",
    .data = &(const rgi_pointwise){RGK_RELU_GRAD, 1, d_relu_grad},
};

const rg_op rgi_op_leaky_relu_grad = {
    RGI_BINARY,
    RGI_DERIVATIVES,
    .name = "leaky_relu_grad",
    .attr_size = sizeof(slope),
    .attrs = slope_field,
    .data = &(const rgi_pointwise){RGK_LEAKY_RELU_GRAD, 2, d_leaky_relu_grad},
};

const rg_op rgi_op_sigmoid_grad = {
    RGI_BINARY,
    RGI_DERIVATIVES,
    .name = "sigmoid_grad",
    .data = &(const rgi_pointwise){RGK_SIGMOID_GRAD, 3, d_sigmoid_grad},
};

const rg_op rgi_op_tanh_grad = {
    RGI_BINARY,
    RGI_DERIVATIVES,
    .name = "tanh_grad",
    .data = &(const rgi_pointwise){RGK_TANH_GRAD, 3, d_tanh_grad},
};

const rg_op rgi_op_gelu_grad = {
    SLOPED,
    .name = "gelu_grad",
    .data = &(const sloped){{0, 2 * RGI_FLOPS_FUNCTION, d_gelu_grad}, gelu_slope},
};

const rg_op rgi_op_gelu_tanh_grad = {
    SLOPED,
    .name = "gelu_tanh_grad",
    .data = &(const sloped){{0, 2 * RGI_FLOPS_FUNCTION, d_gelu_tanh_grad}, gelu_tanh_slope},
};

const rg_op rgi_op_silu_grad = {
    SLOPED,
    .name = "silu_grad",
    .data = &(const sloped){{0, 2 * RGI_FLOPS_FUNCTION, d_silu_grad}, silu_slope},
};

/* ---- builders ---- */

rg_node *rgi_relu_grad(rg_node *u, rg_node *x)
{
    return rg_apply(&rgi_op_relu_grad, RG_NODES(u, x), NULL);
}

rg_node *rgi_leaky_relu_grad(rg_node *u, rg_node *x, double p)
{
    return rg_apply(&rgi_op_leaky_relu_grad, RG_NODES(u, x), &(slope){p});
}

rg_node *rgi_sigmoid_grad(rg_node *u, rg_node *y)
{
    return rg_apply(&rgi_op_sigmoid_grad, RG_NODES(u, y), NULL);
}

rg_node *rgi_tanh_grad(rg_node *u, rg_node *y)
{
    return rg_apply(&rgi_op_tanh_grad, RG_NODES(u, y), NULL);
}

rg_node *rgi_gelu_grad(rg_node *u, rg_node *x)
{
    return rg_apply(&rgi_op_gelu_grad, RG_NODES(u, x), NULL);
}

rg_node *rgi_gelu_tanh_grad(rg_node *u, rg_node *x)
{
    return rg_apply(&rgi_op_gelu_tanh_grad, RG_NODES(u, x), NULL);
}

rg_node *rgi_silu_grad(rg_node *u, rg_node *x)
{
    return rg_apply(&rgi_op_silu_grad, RG_NODES(u, x), NULL);
}
