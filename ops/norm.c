/* norm.c - rows of mean 0 and variance 1 along the last axis, and layer_norm made of them.

       y = standardise(x) = (x - mean) r,  r = 1 / sqrt(var + eps),  with the symmetric Jacobian
       J v = standardise_grad(v, x) = r (v - mean(v) - y mean(v y)),  which is so the reverse and the forward rule.
   standardise_grad(u, x) in turn, with cotangent c, or tangents tu and tx:
       du = J c,  dx = -r^2 y mean(c (u - mean(u)) - c y mean(u y)) - r J (c mean(u y) + u mean(c y))
       J tu - r (r mean(y tx) (u - mean(u) - y mean(u y)) + (J tx) mean(u y) + y mean(u (J tx)))                 */
#include "rules.h"
#include "table_ops.h"

#include <retrograde/ops/norm.h>

typedef struct norm_attr {
    double eps;
} norm_attr;

static rg_status infer_rows(rg_infer *call)
{
    const rg_shape *x = &call->in[0].shape;
    if (x->rank < 1)
        return rg_infer_fail(call, RG_ERR_SHAPE, "a scalar has no axis to go along");
    if (call->n_in > 1 && (call->in[1].dtype != call->in[0].dtype || !rg_shape_equal(call->in[1].shape, *x)))
        return rg_infer_fail(call, RG_ERR_SHAPE, "inputs of different types or shapes");
    call->out[0] = call->in[0];
    return RG_OK;
}

/* ---- derivatives ---- */

static rg_node *jacobian(rg_node *self, rg_node *v, rg_node *x)
{
    return rg_apply(&rgi_op_standardise_grad, RG_NODES(v, x), rg_attr(self));
}

static rg_node *mean(rg_node *x)
{
    return rg_mean(x, RG_AXES(-1), true);
}

static rg_node *mean_product(rg_node *a, rg_node *b)
{
    return mean(rg_mul(a, b));
}

static rg_node *rows_of(rg_node *self, rg_node *x)
{
    return rg_apply(&rgi_op_standardise, RG_NODES(x), rg_attr(self));
}

static rg_node *r_of(rg_node *self, rg_node *x)
{
    return rg_rsqrt(rg_add_scalar(rg_var(x, RG_AXES(-1), 0, true), ((const norm_attr *)rg_attr(self))->eps));
}

/* u - mean(u) - y mean(u y) */
static rg_node *residue(rg_node *u, rg_node *y)
{
    return rg_sub(rg_sub(u, mean(u)), rg_mul(y, mean_product(u, y)));
}

static void vjp_standardise(rg_node *self, rg_node *const ct[], rg_node *grad[])
{
    grad[0] = jacobian(self, ct[0], rg_arg(self, 0));
}

static void vjp_grad(rg_node *self, rg_node *const ct[], rg_node *grad[])
{
    rg_node *u = rg_arg(self, 0), *x = rg_arg(self, 1), *c = ct[0];
    if (rg_wants(self, 0))
        grad[0] = jacobian(self, c, x);
    if (rg_wants(self, 1)) {
        rg_node *y = rows_of(self, x), *r = r_of(self, x);
        rg_node *through_r = rg_mul(rg_mul(rg_square(r), y), mean_product(c, residue(u, y)));
        rg_node *mixed = rg_add(rg_mul(c, mean_product(u, y)), rg_mul(u, mean_product(c, y)));
        grad[1] = rg_neg(rg_add(through_r, rg_mul(r, jacobian(self, mixed, x))));
    }
}

static void jvp_grad(rg_node *self, rg_node *const tangent[], rg_node *out[])
{
    rg_node *u = rg_arg(self, 0), *x = rg_arg(self, 1), *along_u = NULL;
    if (tangent[0])
        along_u = out[0] = jacobian(self, tangent[0], x);
    if (tangent[1]) {
        rg_node *y = rows_of(self, x), *r = r_of(self, x), *ty = jacobian(self, tangent[1], x);
        rg_node *through_r = rg_mul(rg_mul(r, mean_product(y, tangent[1])), residue(u, y));
        rg_node *mixed = rg_add(rg_mul(ty, mean_product(u, y)), rg_mul(y, mean_product(u, ty)));
        rg_node *along_x = rg_neg(rg_mul(r, rg_add(through_r, mixed)));
        out[0] = along_u ? rg_add(along_u, along_x) : along_x;
    }
}

/* Leading axes are rows, one more or less. */
static void batch(rg_node *self, rg_node *const in[], const bool batched[], rg_node *out[])
{
    rg_node *full[2];
    const size_t n = rg_arg_count(self);
    rgi_batch_all(in, batched, n, full);
    out[0] = rg_apply(rg_op_of(self), (rg_nodes){full, n}, rg_attr(self));
}

/* ---- running: tasks are rows ---- */

static size_t cols_of(const rg_step *s)
{
    const rg_shape *x = &s->in_type[0].shape;
    return (size_t)x->dim[x->rank - 1];
}

static void cost(const rg_step *s, rg_cost *cost)
{
    const rg_shape *x = &s->in_type[0].shape;
    cost->tasks[0] = rgi_count_range(x, 0, x->rank - 1);
    cost->flops = 10 * (double)cost->tasks[0] * (double)cols_of(s);
    cost->bytes = rgi_bytes(s);
}

static rg_status run(const rg_step *s, size_t lo, size_t hi)
{
    const rgk_table *k = rgi_kernels(s->out_type[0].dtype);
    const size_t cols = cols_of(s), at = lo * cols * rg_dtype_size(s->out_type[0].dtype);
    const double eps = ((const norm_attr *)s->attr)->eps;
    char *y = (char *)s->out[0] + at;
    if (cols == 0 || lo == hi)
        return RG_OK;
    if (s->n_in == 1)
        k->standardise(hi - lo, cols, eps, (const char *)s->in[0] + at, y);
    else
        k->standardise_grad(hi - lo, cols, eps, (const char *)s->in[0] + at, (const char *)s->in[1] + at, y);
    return RG_OK;
}

/* ---- descriptors ---- */

static const rg_attr_field fields[] = {{"eps", offsetof(norm_attr, eps), RG_ATTR_F64}, {0}};

#define ROWS                                                                                                  \
    .n_out = 1, .dtypes = RG_DT_FLOATS, .attr_size = sizeof(norm_attr), .attrs = fields, .infer = infer_rows, \
    .batch = batch, .cost = cost, .run = run

const rg_op rgi_op_standardise = {
    ROWS, .name = "standardise", .n_in = 1, .traits = RG_INPLACE, .vjp = vjp_standardise, .jvp = vjp_standardise};

const rg_op rgi_op_standardise_grad = {ROWS, .name = "standardise_grad", .n_in = 2, .vjp = vjp_grad, .jvp = jvp_grad};

/* ---- builders ---- */

static bool unlike_row(const rg_node *x, const rg_node *w)
{
    return x && w &&
           (w->shape->a.rank != 1 || x->shape->a.rank < 1 ||
            w->shape->a.dim[0] != x->shape->a.dim[x->shape->a.rank - 1]);
}

static rg_node *refuse_row(rg_node *x, rg_node *w, const char *what)
{
    char row[2 * RGI_LABEL], text[2 * RGI_LABEL];
    return rg_build_fail(x->graph, RG_ERR_SHAPE,
                         "layer_norm: the %s must have one axis, of the size of the last of x; "
                         "inputs: %s, %s: %s",
                         what, rgi_format_operand(x, text, sizeof text), what, rgi_format_operand(w, row, sizeof row));
}

rg_node *rg_layer_norm(rg_node *x, rg_node *weight, rg_node *bias, double eps)
{
    if (x && !(eps >= 0))
        return rg_build_fail(x->graph, RG_ERR_ARGUMENT, "layer_norm: eps is %g, it must be 0 or more", eps);
    if (unlike_row(x, weight))
        return refuse_row(x, weight, "weight");
    if (unlike_row(x, bias))
        return refuse_row(x, bias, "bias");
    rg_node *y = rg_apply(&rgi_op_standardise, RG_NODES(x), &(norm_attr){eps});
    if (weight && bias)
        return rg_fma(y, weight, bias);
    return weight ? rg_mul(y, weight) : bias ? rg_add(y, bias) : y;
}
