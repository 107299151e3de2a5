/* norm.c - rows along the last axis made to mean 0 and variance 1, and the norms made of that. (Channels of images:
   batch_norm.c.) The mean of a row, kept with size 1, is written mean().

       y = standardise(x) = (x - mean) r,  r = 1 / sqrt(var + eps),  with the symmetric Jacobian
       J v = standardise_grad(v, x) = r (v - mean(v) - y mean(v y)),  which is so the reverse and the forward rule.
   The derivatives of that one are in norm_rules.c. */
#include "along.h"
#include "norm.h"
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

static rg_node *standardise(const rgi_norm *n, rg_node *x)
{
    return rg_apply(&rgi_op_standardise, RG_NODES(x), &(norm_attr){.eps = n->eps});
}

static rg_node *jacobian(const rgi_norm *n, rg_node *v, rg_node *x)
{
    return rg_apply(&rgi_op_standardise_grad, RG_NODES(v, x), &(norm_attr){.eps = n->eps});
}

static rgi_norm norm_of(rg_node *self)
{
    return (rgi_norm){RG_AXES(-1), ((const norm_attr *)rg_attr(self))->eps, standardise, jacobian, NULL};
}

static void vjp_standardise(rg_node *self, rg_node *const ct[], rg_node *grad[])
{
    const rgi_norm n = norm_of(self);
    grad[0] = jacobian(&n, ct[0], rg_arg(self, 0));
}

static void vjp_grad(rg_node *self, rg_node *const ct[], rg_node *grad[])
{
    const rgi_norm n = norm_of(self);
    rg_node *u = rg_arg(self, 0), *x = rg_arg(self, 1);
    if (rg_wants(self, 0))
        grad[0] = jacobian(&n, ct[0], x);
    if (rg_wants(self, 1))
        grad[1] = rgi_norm_reverse(&n, u, x, ct[0]);
}

static void jvp_grad(rg_node *self, rg_node *const tangent[], rg_node *out[])
{
    const rgi_norm n = norm_of(self);
    rg_node *u = rg_arg(self, 0), *x = rg_arg(self, 1), *along_u = NULL;
    if (tangent[0])
        along_u = out[0] = jacobian(&n, tangent[0], x);
    if (tangent[1]) {
        rg_node *along_x = rgi_norm_forward(&n, u, x, tangent[1]);
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

/* ---- running: a task a row ---- */

static rgk_rows rows_of(const rg_step *s)
{
    const norm_attr *a = s->attr;
    const rg_shape *x = &s->in_type[0].shape;
    return (rgk_rows){rgi_count_range(x, 0, x->rank - 1), (size_t)x->dim[x->rank - 1], a->eps};
}

#define ELEMENTS_AT_A_TIME 4096

/* Rows that go to the tail at a time. */
static size_t at_a_time(const rgk_rows *r)
{
    return r->cols == 0 || r->cols > ELEMENTS_AT_A_TIME ? 1 : ELEMENTS_AT_A_TIME / r->cols;
}

static void cost(const rg_step *s, rg_cost *cost)
{
    const rgk_rows r = rows_of(s);
    cost->tasks[0] = r.rows;
    cost->flops = 10 * (double)r.rows * (double)r.cols;
    cost->bytes = rgi_bytes(s);
    if (s->tail)
        cost->scratch = at_a_time(&r) * r.cols * rg_dtype_size(s->out_type[0].dtype);
}

/* As many rows as a block takes. */
static rg_status deliver(const rg_step *s, rgk_rows r, size_t lo, size_t hi)
{
    const size_t size = rg_dtype_size(s->out_type[0].dtype), most = at_a_time(&r);
    rg_status status = RG_OK;
    for (size_t k = lo; k < hi && !status; k += r.rows) {
        r.rows = hi - k < most ? hi - k : most;
        rgi_kernels(s->out_type[0].dtype)->standardise(&r, (const char *)s->in[0] + k * r.cols * size, s->scratch);
        status = s->tail->take(s, &(rg_block){s->scratch, r.cols, k * r.cols, r.cols, r.rows, r.cols});
    }
    return status;
}

static rg_status run(const rg_step *s, size_t lo, size_t hi)
{
    const rgk_table *k = rgi_kernels(s->out_type[0].dtype);
    rgk_rows r = rows_of(s);
    const size_t at = lo * r.cols * rg_dtype_size(s->out_type[0].dtype);
    r.rows = hi - lo;
    if (r.cols == 0 || lo == hi)
        return RG_OK;
    if (s->tail)
        return deliver(s, r, lo, hi);
    char *y = (char *)s->out[0] + at;
    if (s->n_in == 1)
        k->standardise(&r, (const char *)s->in[0] + at, y);
    else
        k->standardise_grad(&r, (const char *)s->in[0] + at, (const char *)s->in[1] + at, y);
    return RG_OK;
}

/* ---- descriptors ---- */

static const rg_attr_field fields[] = {
    {"eps", offsetof(norm_attr, eps), RG_ATTR_F64},
    {0},
};

#define ROWS                                                                                                  \
    .n_out = 1, .dtypes = RG_DT_FLOATS, .attr_size = sizeof(norm_attr), .attrs = fields, .infer = infer_rows, \
    .batch = batch, .cost = cost, .run = run, .reads = rgi_row_reads

const rg_op rgi_op_standardise = {ROWS,
                                  .name = "standardise",
                                  .n_in = 1,
                                  .traits = RG_INPLACE | RG_DELIVERS | RG_LIGHT | RG_ROWS,
                                  .vjp = vjp_standardise,
                                  .jvp = vjp_standardise};

const rg_op rgi_op_standardise_grad = {
    ROWS, .name = "standardise_grad", .n_in = 2, .traits = RG_ROWS, .vjp = vjp_grad, .jvp = jvp_grad};

/* ---- builders ---- */

static int32_t rank_of(const rg_node *x)
{
    return x ? x->shape->a.rank : 0;
}

rg_node *rg_layer_norm(rg_node *x, rg_node *weight, rg_node *bias, double eps)
{
    if (rgi_norm_wrong("layer_norm", x, weight, bias, eps, rank_of(x) > 0 ? rank_of(x) - 1 : 0))
        return NULL;
    return rgi_affine(rg_apply(&rgi_op_standardise, RG_NODES(x), &(norm_attr){.eps = eps}), weight, bias);
}

rg_node *rg_group_norm(rg_node *x, int64_t groups, rg_node *weight, rg_node *bias, double eps)
{
    char text[2 * RGI_LABEL];
    const int32_t rank = rank_of(x);
    if (rgi_norm_wrong("group_norm", x, weight, bias, eps, 1))
        return NULL;
    if (!x || rank < 2 || groups < 1 || x->shape->a.dim[1] % groups)
        return rg_build_fail(x ? x->graph : NULL, RG_ERR_SHAPE,
                             "group_norm: %lld groups do not divide axis 1; inputs: %s", (long long)groups,
                             rgi_format_operand(x, text, sizeof text));
    rg_shape cut = {.rank = rank + 1, .dim = {x->shape->a.dim[0], groups, x->shape->a.dim[1] / groups}};
    for (int32_t i = 2; i < rank && i + 1 < RG_MAX_RANK; i++)
        cut.dim[i + 1] = x->shape->a.dim[i];
    rg_node *parts = rg_flatten(rg_reshape(x, cut), 2);
    rg_node *y = rg_reshape_like(rg_layer_norm(parts, NULL, NULL, eps), x);
    return rgi_affine(y, rgi_per_channel(weight, rank), rgi_per_channel(bias, rank));
}

rg_node *rg_instance_norm(rg_node *x, rg_node *weight, rg_node *bias, double eps)
{
    char text[2 * RGI_LABEL];
    const int32_t rank = rank_of(x);
    if (rgi_norm_wrong("instance_norm", x, weight, bias, eps, 1))
        return NULL;
    if (!x || rank < 3)
        return rg_build_fail(x ? x->graph : NULL, RG_ERR_SHAPE,
                             "instance_norm: x needs axes behind its channels; inputs: %s",
                             rgi_format_operand(x, text, sizeof text));
    rg_node *y = rg_reshape_like(rg_layer_norm(rg_flatten(x, 2), NULL, NULL, eps), x);
    return rgi_affine(y, rgi_per_channel(weight, rank), rgi_per_channel(bias, rank));
}

rg_node *rg_rms_norm(rg_node *x, rg_node *weight, double eps)
{
    if (rgi_norm_wrong("rms_norm", x, weight, NULL, eps, rank_of(x) > 0 ? rank_of(x) - 1 : 0))
        return NULL;
    return rgi_affine(rg_mul(x, rg_rsqrt(rg_add_scalar(rg_mean(rg_square(x), RG_AXES(-1), true), eps))), weight, NULL);
}

rg_node *rg_local_response_norm(rg_node *x, int64_t size, double alpha, double beta, double k)
{
    char text[2 * RGI_LABEL];
    const int32_t rank = rank_of(x);
    if (!x || rank < 3 || size < 1)
        return rg_build_fail(x ? x->graph : NULL, RG_ERR_ARGUMENT,
                             "local_response_norm: %lld channels of an x [N, C, ...]; inputs: %s", (long long)size,
                             rgi_format_operand(x, text, sizeof text));
    /* the channels as the last axis but one of planes [C, elements], averaged over a window along it */
    const rg_pool_opts window = {.window = {size, 1}, .stride = {1, 1}, .pad = {size / 2, 0}};
    rg_node *mean = rg_avg_pool2d(rg_square(rg_flatten(x, 2)), &window);
    if (size % 2 == 0)
        mean = rg_slice(mean, 1, 0, -1);
    rg_node *scale = rg_pow_scalar(rg_add_scalar(rg_scale(mean, alpha), k), -beta);
    return rg_mul(x, rg_reshape_like(scale, x));
}
