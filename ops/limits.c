/* limits.c - the smaller, the larger, and what lies between bounds.

       y            dy/da                              dy/db
       max(a, b)    1 if a > b, 1/2 if a = b, else 0   the same with a and b exchanged
       min(a, b)    1 if b > a, 1/2 if a = b, else 0   the same with a and b exchanged
       clamp(a)     1 if lo <= a <= hi, else 0
   A NaN passes the whole gradient to both sides. The gradient ops are linear in u and flat in the rest. */
#include "pointwise.h"
#include "table_ops.h"

#include <math.h>

typedef struct bounds {
    double lo, hi;
} bounds;

static rg_status infer_clamp(rg_infer *call)
{
    const bounds *b = call->attr;
    if (!(b->lo <= b->hi))
        return rg_infer_fail(call, RG_ERR_ARGUMENT, "no number lies between the bounds %g and %g", b->lo, b->hi);
    return call->n_in == 1 ? rg_infer_same(call) : rg_infer_broadcast(call);
}

/* ---- partial derivatives ---- */

static rg_node *d_maximum(rg_node *self, size_t i, rg_node *u)
{
    return rgi_maximum_grad(u, rg_arg(self, i), rg_arg(self, 1 - i));
}

static rg_node *d_minimum(rg_node *self, size_t i, rg_node *u)
{
    return rgi_maximum_grad(u, rg_arg(self, 1 - i), rg_arg(self, i));
}

static rg_node *d_maximum_grad(rg_node *self, size_t i, rg_node *u)
{
    return i == 0 ? rgi_maximum_grad(u, rg_arg(self, 1), rg_arg(self, 2)) : NULL;
}

static rg_node *d_clamp(rg_node *self, size_t i, rg_node *u)
{
    (void)i;
    const bounds *b = rg_attr(self);
    return rgi_clamp_grad(u, rg_arg(self, 0), b->lo, b->hi);
}

static rg_node *d_clamp_grad(rg_node *self, size_t i, rg_node *u)
{
    const bounds *b = rg_attr(self);
    return i == 0 ? rgi_clamp_grad(u, rg_arg(self, 1), b->lo, b->hi) : NULL;
}

/* ---- kernels ---- */

static void maximum_grad_f32(size_t n, const float *u, const float *a, const float *b, float *y)
{
    for (size_t i = 0; i < n; i++)
        y[i] = a[i] == b[i] ? 0.5f * u[i] : a[i] < b[i] ? 0 : u[i];
}

static void maximum_grad_f64(size_t n, const double *u, const double *a, const double *b, double *y)
{
    for (size_t i = 0; i < n; i++)
        y[i] = a[i] == b[i] ? 0.5 * u[i] : a[i] < b[i] ? 0 : u[i];
}

static rg_status run_maximum_grad(const rg_step *s, size_t lo, size_t hi)
{
    if (s->out_type[0].dtype == RG_F64)
        maximum_grad_f64(hi - lo, (const double *)s->in[0] + lo, (const double *)s->in[1] + lo,
                         (const double *)s->in[2] + lo, (double *)s->out[0] + lo);
    else
        maximum_grad_f32(hi - lo, (const float *)s->in[0] + lo, (const float *)s->in[1] + lo,
                         (const float *)s->in[2] + lo, (float *)s->out[0] + lo);
    return RG_OK;
}

/* ---- exact identities ---- */

static int alias_limit(const double *const uniform[], double neutral)
{
    return uniform[1] && *uniform[1] == neutral ? 0 : uniform[0] && *uniform[0] == neutral ? 1 : -1;
}

static int alias_minimum(const void *attr, const double *const uniform[])
{
    (void)attr;
    return alias_limit(uniform, INFINITY);
}

static int alias_maximum(const void *attr, const double *const uniform[])
{
    (void)attr;
    return alias_limit(uniform, -INFINITY);
}

static int alias_clamp(const void *attr, const double *const uniform[])
{
    (void)uniform;
    const bounds *b = attr;
    return b->lo == -INFINITY && b->hi == INFINITY ? 0 : -1;
}

/* ---- descriptors ---- */

static const rg_attr_field bounds_fields[] = {
    {"lo", offsetof(bounds, lo), RG_ATTR_F64},
    {"hi", offsetof(bounds, hi), RG_ATTR_F64},
    {0},
};

const rg_op rgi_op_minimum = {
    .name = "minimum",
    .n_in = 2,
    .n_out = 1,
    .traits = RG_ELEMENTWISE | RG_INPLACE | RG_COMMUTES | RG_ONCE,
    .dtypes = RG_DT_NUMBERS,
    .infer = rg_infer_broadcast,
    RGI_DERIVATIVES,
    .cost = rgi_pointwise_cost,
    .run = rgi_run_binary,
    .alias = alias_minimum,
    .data = &(const rgi_pointwise){RGK_MINIMUM, 1, d_minimum},
};

const rg_op rgi_op_maximum = {
    .name = "maximum",
    .n_in = 2,
    .n_out = 1,
    .traits = RG_ELEMENTWISE | RG_INPLACE | RG_COMMUTES | RG_ONCE,
    .dtypes = RG_DT_NUMBERS,
    .infer = rg_infer_broadcast,
    RGI_DERIVATIVES,
    .cost = rgi_pointwise_cost,
    .run = rgi_run_binary,
    .alias = alias_maximum,
    .data = &(const rgi_pointwise){RGK_MAXIMUM, 1, d_maximum},
};

const rg_op rgi_op_maximum_grad = {
    RGI_POINTWISE,
    RGI_DERIVATIVES,
    .name = "maximum_grad",
    .n_in = 3,
    .infer = rg_infer_broadcast,
    .run = run_maximum_grad,
    .data = &(const rgi_pointwise){0, 2, d_maximum_grad},
};

const rg_op rgi_op_clamp = {
    RGI_POINTWISE,
    RGI_DERIVATIVES,
    .name = "clamp",
    .n_in = 1,
    .attr_size = sizeof(bounds),
    .attrs = bounds_fields,
    .infer = infer_clamp,
    .run = rgi_run_unary,
    .alias = alias_clamp,
    .data = &(const rgi_pointwise){RGK_CLAMP, 2, d_clamp},
};

const rg_op rgi_op_clamp_grad = {
    RGI_POINTWISE,
    RGI_DERIVATIVES,
    .name = "clamp_grad",
    .n_in = 2,
    .attr_size = sizeof(bounds),
    .attrs = bounds_fields,
    .infer = infer_clamp,
    .run = rgi_run_binary,
    .data = &(const rgi_pointwise){RGK_CLAMP_GRAD, 2, d_clamp_grad},
};

/* ---- builders ---- */

rg_node *rg_minimum(rg_node *a, rg_node *b)
{
    return rg_apply(&rgi_op_minimum, RG_NODES(a, b), NULL);
}

rg_node *rg_maximum(rg_node *a, rg_node *b)
{
    return rg_apply(&rgi_op_maximum, RG_NODES(a, b), NULL);
}

rg_node *rgi_maximum_grad(rg_node *u, rg_node *a, rg_node *b)
{
    return rg_apply(&rgi_op_maximum_grad, RG_NODES(u, a, b), NULL);
}

rg_node *rg_clamp(rg_node *x, double lo, double hi)
{
    return rg_apply(&rgi_op_clamp, RG_NODES(x), &(bounds){lo, hi});
}

rg_node *rgi_clamp_grad(rg_node *u, rg_node *x, double lo, double hi)
{
    return rg_apply(&rgi_op_clamp_grad, RG_NODES(u, x), &(bounds){lo, hi});
}
