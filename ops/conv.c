/* conv.c - convolution over the last one, two or three axes: cross-correlation, as neural networks mean it.

   y[n, o, p] = sum over c, k of x[n, c, p stride + k dilation - before] w[o, c, k]

       y                               vjp                                                 jvp
       conv(x, w)                      dx = data_grad(u, w), dw = weight_grad(x, u)        conv(t, w) + conv(x, t)
       data_grad(u, w), shaped as x    du = conv(ct, w),     dw = weight_grad(ct, u)       likewise
       weight_grad(x, u), shaped as w  dx = data_grad(u, ct), du = conv(x, ct)             likewise

   Each is linear in both inputs; the three are what is left of <y, conv(x, w)> when one of its three factors is taken
   out, so that every derivative of one is another. A mapped axis goes into the batch where the weights are common, into
   the groups where they are not. */
#include "conv.h"
#include "table_ops.h"

const rg_attr_field rgi_conv_fields[] = {
    RGI_CONV_FIELDS,
    {0},
};

/* ---- shape rules ---- */

int64_t rgi_conv_outputs(const rgi_conv *a, int axis, int64_t in, int64_t size)
{
    const int64_t room = in + a->before[axis] + a->after[axis] - a->dilation[axis] * (size - 1) - 1;
    return room < 0 ? 0 : room / a->stride[axis] + 1;
}

static rg_status check_rank(const rg_infer *call, const char *what, const rg_shape *shape, int64_t rank)
{
    if (shape->rank == rank + 2)
        return RG_OK;
    return rg_infer_fail(call, RG_ERR_SHAPE, "%s needs %d axes, it has %d", what, (int)rank + 2, shape->rank);
}

/* Sums and products of numbers below 2^31 do not overflow, so nothing else is let through. */
static rg_status check_bounds(const rg_infer *call, const rgi_conv *a, int axis, int at)
{
    const struct {
        const char *name;
        int64_t value, least;
    } all[] = {{"stride", a->stride[axis], 1},
               {"dilation", a->dilation[axis], 1},
               {"padding in front", a->before[axis], 0},
               {"padding behind", a->after[axis], 0}};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (all[i].value < all[i].least || all[i].value > INT32_MAX)
            return rg_infer_fail(call, RG_ERR_ARGUMENT, "axis %d: the %s is %lld, it must lie in [%lld, 2^31)", at,
                                 all[i].name, (long long)all[i].value, (long long)all[i].least);
    return RG_OK;
}

/* Whether axes from `first` on have fewer than 2^31 elements together. */
static bool is_moderate(const rg_shape *shape, int32_t first)
{
    int64_t n = 1;
    for (int32_t i = first; i < shape->rank; i++)
        if (shape->dim[i] > INT32_MAX || (n *= shape->dim[i]) > INT32_MAX)
            return false;
    return true;
}

static rg_status check_channels(const rg_infer *call, const rg_shape *x, const rg_shape *w)
{
    char a[RGI_LABEL], b[RGI_LABEL];
    if (w->dim[1] < 1 || w->dim[0] < 1 || x->dim[1] % w->dim[1])
        return rg_infer_fail(call, RG_ERR_SHAPE, "axis 1: %s channels of the input against %s of a group of the kernel",
                             rgi_size_text(call, x->dim[1], a, sizeof a), rgi_size_text(call, w->dim[1], b, sizeof b));
    const int64_t groups = x->dim[1] / w->dim[1];
    if (groups < 1 || w->dim[0] % groups)
        return rg_infer_fail(call, RG_ERR_SHAPE, "axis 0 of the kernel: %s outputs are not divided by %s groups",
                             rgi_size_text(call, w->dim[0], a, sizeof a), rgi_size_text(call, groups, b, sizeof b));
    return RG_OK;
}

static rg_status too_wide(const rg_infer *call, int axis, int at, int64_t in, int64_t size)
{
    const rgi_conv *a = call->attr;
    const int64_t span = a->dilation[axis] * (size - 1) + 1, padded = in + a->before[axis] + a->after[axis];
    char text[4][RGI_LABEL];
    return rg_infer_fail(
        call, RG_ERR_SHAPE,
        "axis %d: a kernel of %s with dilation %lld spans %s, the input with its padding %s + %lld + %lld = %s", at,
        rgi_size_text(call, size, text[0], RGI_LABEL), (long long)a->dilation[axis],
        rgi_size_text(call, span, text[1], RGI_LABEL), rgi_size_text(call, in, text[2], RGI_LABEL),
        (long long)a->before[axis], (long long)a->after[axis], rgi_size_text(call, padded, text[3], RGI_LABEL));
}

rg_status rgi_conv_infer_outputs(const rg_infer *call, const rg_shape *x, const rg_shape *w, rg_shape *y)
{
    const rgi_conv *a = call->attr;
    rg_status status = check_rank(call, "the input, [batch, channels, ...],", x, a->rank);
    status = status ? status : check_rank(call, "the kernel, [outputs, channels / groups, ...],", w, a->rank);
    status = status ? status : check_channels(call, x, w);
    if (status)
        return status;
    if (rgi_sizes_are_real(call) && (!is_moderate(w, 0) || !is_moderate(x, 1)))
        return rg_infer_fail(call, RG_ERR_SHAPE, "a kernel, or one input of a batch, has 2^31 elements or more");
    *y = *x;
    y->dim[1] = w->dim[0];
    for (int axis = 3 - (int)a->rank; axis < 3; axis++) {
        const int at = 2 + axis - 3 + (int)a->rank;
        status = check_bounds(call, a, axis, at);
        if (status)
            return status;
        if (w->dim[at] < 1)
            return rg_infer_fail(call, RG_ERR_SHAPE, "axis %d: the kernel is empty", at);
        y->dim[at] = rgi_conv_outputs(a, axis, x->dim[at], w->dim[at]);
        if (y->dim[at] < 1)
            return too_wide(call, axis, at, x->dim[at], w->dim[at]);
    }
    return RG_OK;
}

static rg_status same_dtypes(const rg_infer *call)
{
    if (call->in[0].dtype == call->in[1].dtype)
        return RG_OK;
    return rg_infer_fail(call, RG_ERR_DTYPE, "input 0 is %s, input 1 is %s", rg_dtype_name(call->in[0].dtype),
                         rg_dtype_name(call->in[1].dtype));
}

static rg_status infer_conv(rg_infer *call)
{
    call->out[0].dtype = call->in[0].dtype;
    const rg_status status = same_dtypes(call);
    return status ? status : rgi_conv_infer_outputs(call, &call->in[0].shape, &call->in[1].shape, &call->out[0].shape);
}

/* inputs u, w, x: only the shape of x is used */
static rg_status infer_data_grad(rg_infer *call)
{
    rg_shape y = {0};
    rg_status status = same_dtypes(call);
    status = status ? status : rgi_conv_infer_outputs(call, &call->in[2].shape, &call->in[1].shape, &y);
    if (status)
        return status;
    if (!rg_shape_equal(y, call->in[0].shape))
        return rg_infer_fail(call, RG_ERR_SHAPE, "input 0 is not shaped as the outputs of input 2 under the kernel");
    call->out[0] = (rg_type){call->in[0].dtype, call->in[2].shape};
    return RG_OK;
}

/* inputs x, u, w: only the shape of w is used */
static rg_status infer_weight_grad(rg_infer *call)
{
    rg_shape y = {0};
    rg_status status = same_dtypes(call);
    status = status ? status : rgi_conv_infer_outputs(call, &call->in[0].shape, &call->in[2].shape, &y);
    if (status)
        return status;
    if (!rg_shape_equal(y, call->in[1].shape))
        return rg_infer_fail(call, RG_ERR_SHAPE, "input 1 is not shaped as the outputs of input 0 under the kernel");
    call->out[0] = (rg_type){call->in[0].dtype, call->in[2].shape};
    return RG_OK;
}

/* ---- derivatives ---- */

static rg_node *conv(const rgi_conv *a, rg_node *x, rg_node *w)
{
    return rg_apply(&rgi_op_conv, RG_NODES(x, w), a);
}

static rg_node *data_grad(const rgi_conv *a, rg_node *u, rg_node *w, rg_node *x)
{
    return rg_apply(&rgi_op_conv_data_grad, RG_NODES(u, w, x), a);
}

static rg_node *weight_grad(const rgi_conv *a, rg_node *x, rg_node *u, rg_node *w)
{
    return rg_apply(&rgi_op_conv_weight_grad, RG_NODES(x, u, w), a);
}

static void vjp_conv(rg_node *self, rg_node *const ct[], rg_node *grad[])
{
    rg_node *x = rg_arg(self, 0), *w = rg_arg(self, 1);
    if (rg_wants(self, 0))
        grad[0] = data_grad(rg_attr(self), ct[0], w, x);
    if (rg_wants(self, 1))
        grad[1] = weight_grad(rg_attr(self), x, ct[0], w);
}

static void vjp_data_grad(rg_node *self, rg_node *const ct[], rg_node *grad[])
{
    rg_node *u = rg_arg(self, 0), *w = rg_arg(self, 1);
    if (rg_wants(self, 0))
        grad[0] = conv(rg_attr(self), ct[0], w);
    if (rg_wants(self, 1))
        grad[1] = weight_grad(rg_attr(self), ct[0], u, w);
}

static void vjp_weight_grad(rg_node *self, rg_node *const ct[], rg_node *grad[])
{
    rg_node *x = rg_arg(self, 0), *u = rg_arg(self, 1);
    if (rg_wants(self, 0))
        grad[0] = data_grad(rg_attr(self), u, ct[0], x);
    if (rg_wants(self, 1))
        grad[1] = conv(rg_attr(self), x, ct[0]);
}

/* Each is linear in inputs 0 and 1. */
static void jvp(rg_node *self, rg_node *const tangent[], rg_node *out[])
{
    rg_node *in[3], *terms[2];
    const size_t n = rg_arg_count(self);
    for (int k = 0; k < 2; k++) {
        for (size_t i = 0; i < n; i++)
            in[i] = rg_arg(self, i);
        in[k] = tangent[k];
        terms[k] = tangent[k] ? rg_apply(rg_op_of(self), (rg_nodes){in, n}, rg_attr(self)) : NULL;
    }
    out[0] = terms[0] && terms[1] ? rg_add(terms[0], terms[1]) : terms[0] ? terms[0] : terms[1];
}

/* ---- batching ---- */

/* [B, a, b, ...] -> [a, B b, ...] */
static rg_node *into_second(rg_node *x)
{
    return rgi_flatten(rgi_axis_inward(x, 1), 1, 2);
}

/* y [a, B b, ...] -> [B, a, b, ...], with B and b the axes `first` and after it of `like` */
static rg_node *out_of_second(rg_node *y, rg_node *like, int64_t first)
{
    return rgi_axis_outward(rgi_unflatten(y, 1, like, first, 2), 1);
}

static void batch_conv(rg_node *self, rg_node *const in[], const bool batched[], rg_node *out[])
{
    const rgi_conv *a = rg_attr(self);
    rg_node *x = rg_arg(self, 0), *w = rg_arg(self, 1), *all[2];
    if (!batched[1]) {
        out[0] = rgi_unflatten(conv(a, rgi_flatten(in[0], 0, 1), in[1]), 0, in[0], 0, 2);
    } else if (!batched[0] && x->shape->a.dim[1] == w->shape->a.dim[1]) { /* one group: more outputs */
        out[0] = out_of_second(conv(a, in[0], rgi_flatten(in[1], 0, 1)), in[1], 0);
    } else {
        rgi_batch_all(in, batched, 2, all);
        out[0] = out_of_second(conv(a, into_second(all[0]), rgi_flatten(all[1], 0, 1)), all[1], 0);
    }
}

static void batch_data_grad(rg_node *self, rg_node *const in[], const bool batched[], rg_node *out[])
{
    const rgi_conv *a = rg_attr(self);
    rg_node *all[3];
    rgi_batch_all(in, batched, 3, all);
    if (!batched[1])
        out[0] =
            rgi_unflatten(data_grad(a, rgi_flatten(all[0], 0, 1), in[1], rgi_flatten(all[2], 0, 1)), 0, all[0], 0, 2);
    else
        out[0] = out_of_second(data_grad(a, into_second(all[0]), rgi_flatten(all[1], 0, 1), into_second(all[2])),
                               rgi_axis_inward(all[2], 1), 1);
}

static void batch_weight_grad(rg_node *self, rg_node *const in[], const bool batched[], rg_node *out[])
{
    rg_node *all[3];
    rgi_batch_all(in, batched, 3, all);
    rg_node *w = rgi_flatten(all[2], 0, 1);
    out[0] = rgi_unflatten(weight_grad(rg_attr(self), into_second(all[0]), into_second(all[1]), w), 0, all[2], 0, 2);
}

/* ---- descriptors ---- */

/* Every image by itself, with all of the weights. */
static void reads_images(const rg_step *step, size_t i, int32_t from[])
{
    (void)step;
    if (i == 0)
        from[0] = 0;
}

#define CONV                                                                                                 \
    .n_out = 1, .dtypes = RG_DT_FLOATS, .attr_size = sizeof(rgi_conv), .attrs = rgi_conv_fields, .jvp = jvp, \
    .geometry_size = sizeof(rgi_conv_layout), .geometry = rgi_conv_lay_out, .cost = rgi_conv_cost

const rg_op rgi_op_conv = {
    CONV,
    .name = "conv",
    .n_in = 2,
    .traits = RG_DELIVERS | RG_FOLLOWED,
    .infer = infer_conv,
    .vjp = vjp_conv,
    .batch = batch_conv,
    .packed = rgi_conv_packed,
    .pack = rgi_conv_pack,
    .run = rgi_conv_run,
    .reads = reads_images,
};

const rg_op rgi_op_conv_data_grad = {
    CONV,
    .name = "conv_data_grad",
    .n_in = 3,
    .traits = RG_DELIVERS | RG_FOLLOWED,
    .shape_only = 1 << 2,
    .infer = infer_data_grad,
    .vjp = vjp_data_grad,
    .batch = batch_data_grad,
    .packed = rgi_conv_packed,
    .pack = rgi_conv_pack,
    .run = rgi_conv_data_grad_run,
    .reads = reads_images,
};

const rg_op rgi_op_conv_weight_grad = {
    CONV,
    .name = "conv_weight_grad",
    .n_in = 3,
    .traits = RG_DELIVERS,
    .shape_only = 1 << 2,
    .infer = infer_weight_grad,
    .vjp = vjp_weight_grad,
    .batch = batch_weight_grad,
    .run = rgi_conv_weight_grad_run,
};
