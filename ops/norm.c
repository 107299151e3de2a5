/* norm.c - groups of mean 0 and variance 1: rows along the last axis, or channels over all other axes; and the norms made of
   them. The mean of a group, kept with size 1, is written mean().

       y = standardise(x) = (x - mean) r,  r = 1 / sqrt(var + eps),  with the symmetric Jacobian
       J v = standardise_grad(v, x) = r (v - mean(v) - y mean(v y)),  which is so the reverse and the forward rule.
   standardise_grad(u, x) in turn, with cotangent c, or tangents tu and tx:
       du = J c,  dx = -r^2 y mean(c (u - mean(u)) - c y mean(u y)) - r J (c mean(u y) + u mean(c y))
       J tu - r (r mean(y tx) (u - mean(u) - y mean(u y)) + (J tx) mean(u y) + y mean(u (J tx)))                 */
#include "along.h"
#include "table_ops.h"

#include <retrograde/ops/norm.h>

#include <string.h>

typedef struct norm_attr {
    double eps;
    bool channels; /* a group is what axis 1 has one number of; else a row along the last axis */
} norm_attr;

static rg_status infer_rows(rg_infer *call)
{
    const rg_shape *x = &call->in[0].shape;
    const bool channels = ((const norm_attr *)call->attr)->channels;
    if (x->rank < 1 || (channels && x->rank < 3))
        return rg_infer_fail(call, RG_ERR_SHAPE,
                             channels ? "channels of images need axes before and behind them"
                                      : "a scalar has no axis to go along");
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

/* The axes of a group. */
static rg_axes group_axes(rg_node *self)
{
    const int32_t rank = self->shape->a.rank;
    rg_axes axes = {.n = 0};
    if (!((const norm_attr *)rg_attr(self))->channels)
        return RG_AXES(-1);
    for (int32_t i = 0; i < rank; i++)
        if (i != 1)
            axes.axis[axes.n++] = i;
    return axes;
}

static rg_node *mean(rg_node *self, rg_node *x)
{
    return rg_mean(x, group_axes(self), true);
}

static rg_node *mean_product(rg_node *self, rg_node *a, rg_node *b)
{
    return mean(self, rg_mul(a, b));
}

static rg_node *rows_of(rg_node *self, rg_node *x)
{
    return rg_apply(&rgi_op_standardise, RG_NODES(x), rg_attr(self));
}

static rg_node *r_of(rg_node *self, rg_node *x)
{
    return rg_rsqrt(rg_add_scalar(rg_var(x, group_axes(self), 0, true), ((const norm_attr *)rg_attr(self))->eps));
}

/* u - mean(u) - y mean(u y) */
static rg_node *residue(rg_node *self, rg_node *u, rg_node *y)
{
    return rg_sub(rg_sub(u, mean(self, u)), rg_mul(y, mean_product(self, u, y)));
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
        rg_node *through_r = rg_mul(rg_mul(rg_square(r), y), mean_product(self, c, residue(self, u, y)));
        rg_node *mixed = rg_add(rg_mul(c, mean_product(self, u, y)), rg_mul(u, mean_product(self, c, y)));
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
        rg_node *through_r = rg_mul(rg_mul(r, mean_product(self, y, tangent[1])), residue(self, u, y));
        rg_node *mixed = rg_add(rg_mul(ty, mean_product(self, u, y)), rg_mul(y, mean_product(self, u, ty)));
        rg_node *along_x = rg_neg(rg_mul(r, rg_add(through_r, mixed)));
        out[0] = along_u ? rg_add(along_u, along_x) : along_x;
    }
}

/* Leading axes are rows, one more or less; a mapped axis of channels goes in front of them. */
static void batch(rg_node *self, rg_node *const in[], const bool batched[], rg_node *out[])
{
    rg_node *full[2];
    const size_t n = rg_arg_count(self);
    const bool channels = ((const norm_attr *)rg_attr(self))->channels;
    rgi_batch_all(in, batched, n, full);
    rg_node *like = channels ? rgi_axis_inward(full[0], 1) : NULL;
    for (size_t i = 0; channels && i < n; i++)
        full[i] = rgi_flatten(rgi_axis_inward(full[i], 1), 1, 2);
    out[0] = rg_apply(rg_op_of(self), (rg_nodes){full, n}, rg_attr(self));
    if (channels)
        out[0] = rgi_axis_outward(rgi_unflatten(out[0], 1, like, 1, 2), 1);
}

/* ---- running: tasks are groups ---- */

static rgk_groups groups_of(const rg_step *s)
{
    const norm_attr *a = s->attr;
    const rg_shape *x = &s->in_type[0].shape;
    rgk_groups g = {.eps = a->eps};
    if (a->channels) {
        g.groups = (size_t)x->dim[1];
        g.segments = (size_t)x->dim[0];
        g.cols = g.group_step = rgi_count_range(x, 2, x->rank);
        g.segment_step = g.groups * g.cols;
    } else {
        g.groups = rgi_count_range(x, 0, x->rank - 1);
        g.segments = 1;
        g.cols = g.group_step = (size_t)x->dim[x->rank - 1];
    }
    return g;
}

#define RGI_ROWS_AT_A_TIME 4096 /* elements */

/* Groups that go to the tail at a time. */
static size_t at_a_time(const rgk_groups *g)
{
    return g->segments > 1 || g->cols == 0 || g->cols > RGI_ROWS_AT_A_TIME ? 1 : RGI_ROWS_AT_A_TIME / g->cols;
}

static void cost(const rg_step *s, rg_cost *cost)
{
    const rgk_groups g = groups_of(s);
    cost->tasks[0] = g.groups;
    cost->flops = 10 * (double)g.groups * (double)g.segments * (double)g.cols;
    cost->bytes = rgi_bytes(s);
    if (s->tail)
        cost->scratch = at_a_time(&g) * g.segments * g.cols * rg_dtype_size(s->out_type[0].dtype);
}

/* Groups for the tail: dense, one by one or as many rows as a block takes. */
static rg_status deliver(const rg_step *s, rgk_groups g, size_t lo, size_t hi)
{
    const size_t size = rg_dtype_size(s->out_type[0].dtype), pitch = g.segments > 1 ? g.segment_step : g.cols;
    const size_t step = g.group_step, most = at_a_time(&g);
    const bool scattered = g.segments > 1;
    rg_status status = RG_OK;
    if (scattered)
        g.segment_step = g.cols;
    for (size_t k = lo; k < hi && !status; k += g.groups) {
        const char *x = (const char *)s->in[0] + k * step * size;
        g.groups = hi - k < most ? hi - k : most;
        for (size_t i = 0; scattered && i < g.segments; i++)
            memcpy((char *)s->scratch + i * g.cols * size, x + i * pitch * size, g.cols * size);
        rgi_kernels(s->out_type[0].dtype)->standardise(&g, scattered ? s->scratch : x, s->scratch);
        const rg_block block = {s->scratch, g.cols, k * step, pitch, g.groups * g.segments, g.cols};
        status = s->tail->take(s, &block);
    }
    return status;
}

static rg_status run(const rg_step *s, size_t lo, size_t hi)
{
    const rgk_table *k = rgi_kernels(s->out_type[0].dtype);
    rgk_groups g = groups_of(s);
    const size_t at = lo * g.group_step * rg_dtype_size(s->out_type[0].dtype);
    g.groups = hi - lo;
    if (g.cols == 0 || g.segments == 0 || lo == hi)
        return RG_OK;
    if (s->tail)
        return deliver(s, g, lo, hi);
    char *y = (char *)s->out[0] + at;
    if (s->n_in == 1)
        k->standardise(&g, (const char *)s->in[0] + at, y);
    else
        k->standardise_grad(&g, (const char *)s->in[0] + at, (const char *)s->in[1] + at, y);
    return RG_OK;
}

/* Rows by themselves, or channels. */
static void reads(const rg_step *step, size_t i, int32_t from[])
{
    if (((const norm_attr *)step->attr)->channels)
        from[1] = 1;
    else
        rgi_row_reads(step, i, from);
}

/* ---- descriptors ---- */

static const rg_attr_field fields[] = {
    {"eps", offsetof(norm_attr, eps), RG_ATTR_F64},
    {"channels", offsetof(norm_attr, channels), RG_ATTR_BOOL},
    {0},
};

#define ROWS                                                                                                  \
    .n_out = 1, .dtypes = RG_DT_FLOATS, .attr_size = sizeof(norm_attr), .attrs = fields, .infer = infer_rows, \
    .batch = batch, .cost = cost, .run = run, .reads = reads

const rg_op rgi_op_standardise = {ROWS,
                                  .name = "standardise",
                                  .n_in = 1,
                                  .traits = RG_INPLACE | RG_DELIVERS | RG_LIGHT,
                                  .vjp = vjp_standardise,
                                  .jvp = vjp_standardise};

const rg_op rgi_op_standardise_grad = {ROWS, .name = "standardise_grad", .n_in = 2, .vjp = vjp_grad, .jvp = jvp_grad};

/* ---- builders ---- */

/* weight and bias, [n] each or NULL, must be as long as axis `axis` of x. */
static bool unlike(const rg_node *x, const rg_node *w, int32_t axis)
{
    return x && w && (w->shape->a.rank != 1 || x->shape->a.rank <= axis || w->shape->a.dim[0] != x->shape->a.dim[axis]);
}

static bool refuse(const char *who, rg_node *x, rg_node *w, const char *what, int32_t axis)
{
    char one[2 * RGI_LABEL], other[2 * RGI_LABEL];
    if (!unlike(x, w, axis))
        return false;
    rg_build_fail(x->graph, RG_ERR_SHAPE,
                  "%s: the %s must have one axis, of the size of axis %d of x; inputs: %s, %s: %s", who, what, axis,
                  rgi_format_operand(x, one, sizeof one), what, rgi_format_operand(w, other, sizeof other));
    return true;
}

/* Whether something is wrong with what all norms take: then the error is recorded. */
static bool wrong(const char *who, rg_node *x, rg_node *weight, rg_node *bias, double eps, int32_t axis)
{
    if (x && !(eps >= 0)) {
        rg_build_fail(x->graph, RG_ERR_ARGUMENT, "%s: eps is %g, it must be 0 or more", who, eps);
        return true;
    }
    return refuse(who, x, weight, "weight", axis) || refuse(who, x, bias, "bias", axis);
}

static rg_node *affine(rg_node *y, rg_node *weight, rg_node *bias)
{
    if (weight && bias)
        return rg_fma(y, weight, bias);
    return weight ? rg_mul(y, weight) : bias ? rg_add(y, bias) : y;
}

/* [C] as it broadcasts against [N, C, ...] of this rank. */
static rg_node *per_channel(rg_node *w, int32_t rank)
{
    for (int32_t i = 2; w && i < rank; i++)
        w = rg_unsqueeze(w, -1);
    return w;
}

static int32_t rank_of(const rg_node *x)
{
    return x ? x->shape->a.rank : 0;
}

rg_node *rg_layer_norm(rg_node *x, rg_node *weight, rg_node *bias, double eps)
{
    if (wrong("layer_norm", x, weight, bias, eps, rank_of(x) > 0 ? rank_of(x) - 1 : 0))
        return NULL;
    return affine(rg_apply(&rgi_op_standardise, RG_NODES(x), &(norm_attr){.eps = eps}), weight, bias);
}

rg_node *rg_batch_norm(rg_node *x, rg_node *weight, rg_node *bias, double eps)
{
    const int32_t rank = rank_of(x);
    if (wrong("batch_norm", x, weight, bias, eps, 1))
        return NULL;
    rg_node *y;
    if (rank == 2) { /* columns: reductions over the rows go along the vectors */
        rg_node *centred = rg_sub(x, rg_mean(x, RG_AXES(0), true));
        y = rg_mul(centred, rg_rsqrt(rg_add_scalar(rg_mean(rg_square(centred), RG_AXES(0), true), eps)));
    } else {
        y = rg_apply(&rgi_op_standardise, RG_NODES(x), &(norm_attr){.eps = eps, .channels = true});
    }
    return affine(y, per_channel(weight, rank), per_channel(bias, rank));
}

rg_node *rg_group_norm(rg_node *x, int64_t groups, rg_node *weight, rg_node *bias, double eps)
{
    char text[2 * RGI_LABEL];
    const int32_t rank = rank_of(x);
    if (wrong("group_norm", x, weight, bias, eps, 1))
        return NULL;
    if (!x || rank < 2 || groups < 1 || x->shape->a.dim[1] % groups)
        return rg_build_fail(x ? x->graph : NULL, RG_ERR_SHAPE, "group_norm: %lld groups of axis 1; inputs: %s",
                             (long long)groups, rgi_format_operand(x, text, sizeof text));
    rg_shape cut = {.rank = rank + 1, .dim = {x->shape->a.dim[0], groups, x->shape->a.dim[1] / groups}};
    for (int32_t i = 2; i < rank && i + 1 < RG_MAX_RANK; i++)
        cut.dim[i + 1] = x->shape->a.dim[i];
    rg_node *parts = rg_flatten(rg_reshape(x, cut), 2);
    rg_node *y = rg_reshape_like(rg_layer_norm(parts, NULL, NULL, eps), x);
    return affine(y, per_channel(weight, rank), per_channel(bias, rank));
}

rg_node *rg_instance_norm(rg_node *x, rg_node *weight, rg_node *bias, double eps)
{
    char text[2 * RGI_LABEL];
    const int32_t rank = rank_of(x);
    if (wrong("instance_norm", x, weight, bias, eps, 1))
        return NULL;
    if (!x || rank < 3)
        return rg_build_fail(x ? x->graph : NULL, RG_ERR_SHAPE,
                             "instance_norm: x needs axes behind its channels; inputs: %s",
                             rgi_format_operand(x, text, sizeof text));
    rg_node *y = rg_reshape_like(rg_layer_norm(rg_flatten(x, 2), NULL, NULL, eps), x);
    return affine(y, per_channel(weight, rank), per_channel(bias, rank));
}

rg_node *rg_rms_norm(rg_node *x, rg_node *weight, double eps)
{
    if (wrong("rms_norm", x, weight, NULL, eps, rank_of(x) > 0 ? rank_of(x) - 1 : 0))
        return NULL;
    return affine(rg_mul(x, rg_rsqrt(rg_add_scalar(rg_mean(rg_square(x), RG_AXES(-1), true), eps))), weight, NULL);
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
