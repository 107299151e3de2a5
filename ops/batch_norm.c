/* batch_norm.c - channels of images, over all other axes, made to mean 0 and variance 1, then scaled and shifted: x [N,
   C, ...] of three axes at least, weight and bias [C]. All means and sums go over a channel.

       h = (x - mean) r,  r = 1 / sqrt(var + eps)
       batch_norm(x, w, b) = (w h + b, mean, var)
       batch_norm_grad(u, x, w) = (w J u, sum(u h), sum(u)),  J u = r (u - mean(u) - h mean(u h)), and J is symmetric

   The second is the reverse of the first result, and w J t its forward rule. A channel is read twice, the second time
   from the cache where it fits: its sums, from both tensors at once, then what is made of them. How J changes with x:
   norm_rules.c. */
#include "norm.h"
#include "table_ops.h"

#include <retrograde/ops/norm.h>

#include <math.h>

typedef struct batch_norm_attr {
    double eps;
} batch_norm_attr;

static rg_axes all_but_channels(int32_t rank)
{
    rg_axes axes = {.n = 0};
    for (int32_t i = 0; i < rank; i++)
        if (i != 1)
            axes.axis[axes.n++] = i;
    return axes;
}

static rg_status infer_channels(const rg_infer *call, const rg_type *x, size_t first)
{
    if (x->shape.rank < 3)
        return rg_infer_fail(call, RG_ERR_SHAPE, "channels of images need axes before and behind them");
    for (size_t i = 0; i < call->n_in; i++)
        if (call->in[i].dtype != x->dtype)
            return rg_infer_fail(call, RG_ERR_DTYPE, "input %zu is %s, x is %s", i, rg_dtype_name(call->in[i].dtype),
                                 rg_dtype_name(x->dtype));
    for (size_t i = first; i < call->n_in; i++)
        if (!rg_shape_equal(call->in[i].shape, RG_SHAPE(x->shape.dim[1])))
            return rg_infer_fail(call, RG_ERR_SHAPE, "input %zu is no vector of the size of axis 1 of x", i);
    call->out[0] = *x;
    call->out[1] = call->out[2] = (rg_type){x->dtype, RG_SHAPE(x->shape.dim[1])};
    return RG_OK;
}

static rg_status infer(rg_infer *call)
{
    return infer_channels(call, &call->in[0], 1);
}

static rg_status infer_grad(rg_infer *call)
{
    if (!rg_shape_equal(call->in[0].shape, call->in[1].shape))
        return rg_infer_fail(call, RG_ERR_SHAPE, "inputs of different shapes");
    return infer_channels(call, &call->in[1], 2);
}

/* ---- derivatives ---- */

static rg_node *norm(double eps, rg_node *x, rg_node *w, rg_node *b)
{
    return rg_apply(&rgi_op_batch_norm, RG_NODES(x, w, b), &(batch_norm_attr){eps});
}

static rg_node *norm_grad(double eps, rg_node *u, rg_node *x, rg_node *w)
{
    return rg_apply(&rgi_op_batch_norm_grad, RG_NODES(u, x, w), &(batch_norm_attr){eps});
}

static rg_node *standard(const rgi_norm *n, rg_node *x)
{
    return rg_output(norm(n->eps, x, n->unit, rg_zeros_like(n->unit)), 0);
}

static rg_node *jacobian(const rgi_norm *n, rg_node *v, rg_node *x)
{
    return rg_output(norm_grad(n->eps, v, x, n->unit), 0);
}

static rgi_norm norm_of(rg_node *self, rg_node *x, rg_node *w)
{
    return (rgi_norm){all_but_channels(x ? x->shape->a.rank : 0), ((const batch_norm_attr *)rg_attr(self))->eps,
                      standard, jacobian, rg_ones_like(w)};
}

static rg_node *spread(rg_node *c, rg_node *x)
{
    return rgi_per_channel(c, x ? x->shape->a.rank : 0);
}

static rg_node *plus(rg_node *sum, rg_node *term)
{
    return sum ? rg_add(sum, term) : term;
}

static rg_node *share(const rgi_norm *n, rg_node *c, rg_node *x)
{
    return spread(rg_div(c, rg_size_of(x, n->axes)), x);
}

static rg_node *centred(const rgi_norm *n, rg_node *x)
{
    return rg_sub(x, rg_mean(x, n->axes, true));
}

static void vjp(rg_node *self, rg_node *const ct[], rg_node *grad[])
{
    rg_node *x = rg_arg(self, 0), *w = rg_arg(self, 1);
    const rgi_norm n = norm_of(self, x, w);
    if (ct[0]) {
        rg_node *all = norm_grad(n.eps, ct[0], x, w);
        for (size_t i = 0; i < 3; i++)
            grad[i] = rg_output(all, i);
    }
    if (ct[1])
        grad[0] = plus(grad[0], rg_broadcast_like(share(&n, ct[1], x), x));
    if (ct[2])
        grad[0] = plus(grad[0], rg_mul(share(&n, rg_scale(ct[2], 2), x), centred(&n, x)));
}

static void jvp(rg_node *self, rg_node *const tangent[], rg_node *out[])
{
    rg_node *x = rg_arg(self, 0), *w = rg_arg(self, 1), *tx = tangent[0];
    const rgi_norm n = norm_of(self, x, w);
    if (tx) {
        out[0] = rg_output(norm_grad(n.eps, tx, x, w), 0);
        out[1] = rg_mean(tx, n.axes, false);
        out[2] = rg_scale(rg_mean(rg_mul(tx, centred(&n, x)), n.axes, false), 2);
    }
    if (tangent[1])
        out[0] = plus(out[0], rg_mul(spread(tangent[1], x), standard(&n, x)));
    if (tangent[2])
        out[0] = plus(out[0], rg_broadcast_like(spread(tangent[2], x), x));
}

static void vjp_grad(rg_node *self, rg_node *const ct[], rg_node *grad[])
{
    rg_node *u = rg_arg(self, 0), *x = rg_arg(self, 1), *w = rg_arg(self, 2);
    const rgi_norm n = norm_of(self, x, w);
    if (ct[0]) {
        grad[0] = rg_output(norm_grad(n.eps, ct[0], x, w), 0);
        if (rg_wants(self, 1))
            grad[1] = rgi_norm_reverse(&n, u, x, rg_mul(spread(w, x), ct[0]));
        if (rg_wants(self, 2))
            grad[2] = rg_sum(rg_mul(ct[0], jacobian(&n, u, x)), n.axes, false);
    }
    if (ct[1]) {
        rg_node *c = spread(ct[1], x);
        grad[0] = plus(grad[0], rg_mul(c, standard(&n, x)));
        if (rg_wants(self, 1))
            grad[1] = plus(grad[1], jacobian(&n, rg_mul(c, u), x));
    }
    if (ct[2])
        grad[0] = plus(grad[0], rg_broadcast_like(spread(ct[2], x), x));
}

static void jvp_grad(rg_node *self, rg_node *const tangent[], rg_node *out[])
{
    rg_node *u = rg_arg(self, 0), *x = rg_arg(self, 1), *w = rg_arg(self, 2), *tu = tangent[0], *tx = tangent[1];
    const rgi_norm n = norm_of(self, x, w);
    if (tu) {
        rg_node *all = norm_grad(n.eps, tu, x, w);
        for (size_t i = 0; i < 3; i++)
            out[i] = rg_output(all, i);
    }
    if (tx) {
        out[0] = plus(out[0], rg_mul(spread(w, x), rgi_norm_forward(&n, u, x, tx)));
        out[1] = plus(out[1], rg_sum(rg_mul(u, jacobian(&n, tx, x)), n.axes, false));
    }
    if (tangent[2])
        out[0] = plus(out[0], rg_mul(spread(tangent[2], x), jacobian(&n, u, x)));
}

/* A mapped axis goes in front of the channels. */
static void batch(rg_node *self, rg_node *const in[], const bool batched[], rg_node *out[])
{
    rg_node *full[3];
    rgi_batch_all(in, batched, 3, full);
    rg_node *like = rgi_axis_inward(full[rg_op_of(self) == &rgi_op_batch_norm_grad], 1), *vectors = full[2];
    for (size_t i = 0; i < 3; i++) {
        const bool image = full[i] && full[i]->shape->a.rank > 2;
        full[i] = image ? rgi_flatten(rgi_axis_inward(full[i], 1), 1, 2) : rgi_flatten(full[i], 0, 1);
    }
    rg_node *all = rg_apply(rg_op_of(self), RG_NODES(full[0], full[1], full[2]), rg_attr(self));
    out[0] = rgi_axis_outward(rgi_unflatten(rg_output(all, 0), 1, like, 1, 2), 1);
    for (size_t i = 1; i < 3; i++)
        out[i] = rgi_unflatten(rg_output(all, i), 0, vectors, 0, 2);
}

/* ---- running: tasks are channels ---- */

#define ELEMENTS_AT_A_TIME 4096 /* that go to the tail */

static rgk_channel channel_of(const rg_step *s)
{
    const rg_shape *x = &s->out_type[0].shape;
    const size_t cols = rgi_count_range(x, 2, x->rank);
    return (rgk_channel){(size_t)x->dim[0], (size_t)x->dim[1] * cols, cols};
}

static void cost(const rg_step *s, rg_cost *cost)
{
    const rgk_channel c = channel_of(s);
    const size_t channels = (size_t)s->out_type[0].shape.dim[1];
    cost->tasks[0] = channels;
    cost->flops = 8 * (double)channels * (double)c.segments * (double)c.cols;
    cost->bytes = rgi_bytes(s);
    if (s->tail)
        cost->scratch = ELEMENTS_AT_A_TIME * rg_dtype_size(s->out_type[0].dtype);
}

static double number_at(rg_dtype dtype, const void *x, size_t i)
{
    return dtype == RG_F64 ? ((const double *)x)[i] : (double)((const float *)x)[i];
}

/* Into a result that somebody wants. */
static void put_number(rg_dtype dtype, void *y, size_t i, double value)
{
    if (y && dtype == RG_F64)
        ((double *)y)[i] = value;
    else if (y)
        ((float *)y)[i] = (float)value;
}

/* Channel k of the result, in pieces of one image. */
static rg_status put_channel(const rg_step *s, const rgk_channel *c, size_t k, const rgk_line *line)
{
    const size_t size = rg_dtype_size(s->out_type[0].dtype), most = s->tail ? ELEMENTS_AT_A_TIME : c->cols;
    rg_status status = RG_OK;
    for (size_t i = 0; i < c->segments; i++)
        for (size_t j = 0, n; j < c->cols && !status; j += n) {
            const size_t first = k * c->cols + i * c->segment_step + j;
            n = c->cols - j < most ? c->cols - j : most;
            rgi_kernels(s->out_type[0].dtype)
                ->channel_line(n, line, (const char *)s->in[0] + first * size,
                               s->tail ? s->scratch : (char *)s->out[0] + first * size);
            if (s->tail)
                status = s->tail->take(s, &(rg_block){s->scratch, n, first, n, 1, n});
        }
    return status;
}

static rg_status run(const rg_step *s, size_t lo, size_t hi)
{
    const rg_dtype dtype = s->out_type[0].dtype;
    const double eps = ((const batch_norm_attr *)s->attr)->eps;
    const rgk_channel c = channel_of(s);
    rg_status status = RG_OK;
    for (size_t k = lo; k < hi && !status; k++) {
        rgk_channel_sums sums;
        rgi_kernels(dtype)->channel_sums(&c, NULL, (const char *)s->in[0] + k * c.cols * rg_dtype_size(dtype), &sums);
        const rgk_line line = {sums.mean, number_at(dtype, s->in[1], k) / sqrt(sums.var + eps),
                               number_at(dtype, s->in[2], k)};
        put_number(dtype, s->out[1], k, sums.mean);
        put_number(dtype, s->out[2], k, sums.var);
        status = put_channel(s, &c, k, &line);
    }
    return status;
}

static rg_status run_grad(const rg_step *s, size_t lo, size_t hi)
{
    const rg_dtype dtype = s->out_type[0].dtype;
    const double eps = ((const batch_norm_attr *)s->attr)->eps;
    const rgk_channel c = channel_of(s);
    const bool some = c.segments && c.cols;
    for (size_t k = lo; k < hi; k++) {
        const size_t at = k * c.cols * rg_dtype_size(dtype);
        const char *u = (const char *)s->in[0] + at, *x = (const char *)s->in[1] + at;
        rgk_channel_sums sums;
        rgi_kernels(dtype)->channel_sums(&c, u, x, &sums);
        const double r = 1 / sqrt(sums.var + eps), factor = number_at(dtype, s->in[2], k) * r;
        put_number(dtype, s->out[1], k, some ? r * sums.u_deviation : 0);
        put_number(dtype, s->out[2], k, sums.u);
        const double n = (double)(c.segments * c.cols);
        const rgk_slope slope = {sums.u / n, factor, sums.mean, factor * r * r * sums.u_deviation / n};
        if (s->out[0])
            rgi_kernels(dtype)->channel_slope(&c, &slope, u, x, (char *)s->out[0] + at);
    }
    return RG_OK;
}

/* ---- descriptors ---- */

static const rg_attr_field fields[] = {
    {"eps", offsetof(batch_norm_attr, eps), RG_ATTR_F64},
    {0},
};

#define CHANNELS                                                                                          \
    .n_in = 3, .n_out = 3, .dtypes = RG_DT_FLOATS, .attr_size = sizeof(batch_norm_attr), .attrs = fields, \
    .batch = batch, .cost = cost

const rg_op rgi_op_batch_norm = {CHANNELS,       .name = "batch_norm", .traits = RG_DELIVERS | RG_LIGHT | RG_ANY_SIZES,
                                 .infer = infer, .vjp = vjp,           .jvp = jvp,
                                 .run = run};

const rg_op rgi_op_batch_norm_grad = {CHANNELS,        .name = "batch_norm_grad", .infer = infer_grad,
                                      .vjp = vjp_grad, .jvp = jvp_grad,           .run = run_grad};

/* ---- builders ---- */

/* Of [N, C] the channels are columns: reductions over the rows go along the vectors. */
static rg_node *columns(rg_node *x, rg_node *weight, rg_node *bias, double eps, rg_node *out[2])
{
    rg_node *mean = rg_mean(x, RG_AXES(0), true), *off = rg_sub(x, mean);
    rg_node *var = rg_mean(rg_square(off), RG_AXES(0), true);
    out[0] = rg_squeeze(mean, 0);
    out[1] = rg_squeeze(var, 0);
    return rgi_affine(rg_mul(off, rg_rsqrt(rg_add_scalar(var, eps))), weight, bias);
}

static rg_node *build(rg_node *x, rg_node *weight, rg_node *bias, double eps, rg_node *out[2])
{
    const int32_t rank = x ? x->shape->a.rank : 0;
    char text[2 * RGI_LABEL];
    out[0] = out[1] = NULL;
    if (rgi_norm_wrong("batch_norm", x, weight, bias, eps, 1))
        return NULL;
    if (!x || rank < 2)
        return rg_build_fail(x ? x->graph : NULL, RG_ERR_SHAPE, "batch_norm: x needs two axes at least; inputs: %s",
                             rgi_format_operand(x, text, sizeof text));
    if (rank == 2)
        return columns(x, weight, bias, eps, out);
    rg_node *like = weight ? weight : bias ? bias : rg_sum(x, all_but_channels(rank), false);
    rg_node *all = norm(eps, x, weight ? weight : rg_ones_like(like), bias ? bias : rg_zeros_like(like));
    out[0] = rg_output(all, 1);
    out[1] = rg_output(all, 2);
    return rg_output(all, 0);
}

rg_node *rg_batch_norm(rg_node *x, rg_node *weight, rg_node *bias, double eps)
{
    rg_node *moments[2];
    return build(x, weight, bias, eps, moments);
}

rg_node *rg_batch_norm_moments(rg_node *x, rg_node *weight, rg_node *bias, double eps, rg_node **mean, rg_node **var)
{
    rg_node *moments[2], *y = build(x, weight, bias, eps, moments);
    if (mean)
        *mean = moments[0];
    if (var)
        *var = moments[1];
    return y;
}
