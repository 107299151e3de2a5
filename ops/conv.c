/* conv.c - convolution over the last one, two or three axes: cross-correlation, as neural networks mean it.

   y[n, o, p] = sum over c, k of x[n, c, p stride + k dilation - before] w[o, c, k]

       y                               vjp                                                 jvp
       conv(x, w)                      dx = data_grad(u, w), dw = weight_grad(x, u)        conv(t, w) + conv(x, t)
       data_grad(u, w), shaped as x    du = conv(ct, w),     dw = weight_grad(ct, u)       likewise
       weight_grad(x, u), shaped as w  dx = data_grad(u, ct), du = conv(x, ct)             likewise

   Each is linear in both inputs; the three are what is left of <y, conv(x, w)> when one of its three factors is taken out,
   so that every derivative of one is another. A mapped axis goes into the batch where the weights are common, into the
   groups where they are not. */
#include "conv.h"
#include "table_ops.h"

#include <retrograde/ops/conv.h>

#include <stdarg.h>
#include <stdio.h>

const rg_attr_field rgi_conv_fields[] = {
    {"rank", offsetof(rgi_conv, rank), RG_ATTR_I64},
    {"stride0", offsetof(rgi_conv, stride[0]), RG_ATTR_I64},
    {"stride1", offsetof(rgi_conv, stride[1]), RG_ATTR_I64},
    {"stride2", offsetof(rgi_conv, stride[2]), RG_ATTR_I64},
    {"before0", offsetof(rgi_conv, before[0]), RG_ATTR_I64},
    {"before1", offsetof(rgi_conv, before[1]), RG_ATTR_I64},
    {"before2", offsetof(rgi_conv, before[2]), RG_ATTR_I64},
    {"after0", offsetof(rgi_conv, after[0]), RG_ATTR_I64},
    {"after1", offsetof(rgi_conv, after[1]), RG_ATTR_I64},
    {"after2", offsetof(rgi_conv, after[2]), RG_ATTR_I64},
    {"dilation0", offsetof(rgi_conv, dilation[0]), RG_ATTR_I64},
    {"dilation1", offsetof(rgi_conv, dilation[1]), RG_ATTR_I64},
    {"dilation2", offsetof(rgi_conv, dilation[2]), RG_ATTR_I64},
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

/* The outputs of x under w; or the error that says why there are none. */
static rg_status infer_outputs(const rg_infer *call, const rg_shape *x, const rg_shape *w, rg_shape *y)
{
    const rgi_conv *a = call->attr;
    rg_status status = check_rank(call, "the input, [batch, channels, ...],", x, a->rank);
    status = status ? status : check_rank(call, "the kernel, [outputs, channels / groups, ...],", w, a->rank);
    if (status)
        return status;
    if (w->dim[1] < 1 || w->dim[0] < 1 || x->dim[1] % w->dim[1])
        return rg_infer_fail(call, RG_ERR_SHAPE,
                             "axis 1: %lld channels of the input against %lld of a group of the kernel",
                             (long long)x->dim[1], (long long)w->dim[1]);
    if (x->dim[1] < 1 || w->dim[0] % (x->dim[1] / w->dim[1]))
        return rg_infer_fail(call, RG_ERR_SHAPE, "axis 0 of the kernel: %lld outputs are not divided by %lld groups",
                             (long long)w->dim[0], (long long)(x->dim[1] / w->dim[1]));
    *y = *x;
    y->dim[1] = w->dim[0];
    for (int axis = 3 - (int)a->rank; axis < 3; axis++) {
        const int at = 2 + axis - 3 + (int)a->rank;
        const int64_t size = w->dim[at], span = a->dilation[axis] * (size - 1) + 1, in = x->dim[at];
        const int64_t padded = in + a->before[axis] + a->after[axis];
        if (size < 1)
            return rg_infer_fail(call, RG_ERR_SHAPE, "axis %d: the kernel is empty", at);
        y->dim[at] = rgi_conv_outputs(a, axis, in, size);
        if (y->dim[at] < 1)
            return rg_infer_fail(call, RG_ERR_SHAPE,
                                 "axis %d: a kernel of %lld with dilation %lld spans %lld, the input with its padding "
                                 "%lld + %lld + %lld = %lld",
                                 at, (long long)size, (long long)a->dilation[axis], (long long)span, (long long)in,
                                 (long long)a->before[axis], (long long)a->after[axis], (long long)padded);
    }
    const int64_t elements = rg_shape_count(*w), plane = rg_shape_count(*x) / (x->dim[0] ? x->dim[0] : 1);
    if (elements > INT32_MAX || plane > INT32_MAX)
        return rg_infer_fail(call, RG_ERR_SHAPE, "a kernel, or one input of a batch, has 2^31 elements or more");
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
    return status ? status : infer_outputs(call, &call->in[0].shape, &call->in[1].shape, &call->out[0].shape);
}

/* inputs u, w, x: only the shape of x is used */
static rg_status infer_data_grad(rg_infer *call)
{
    rg_shape y = {0};
    rg_status status = same_dtypes(call);
    status = status ? status : infer_outputs(call, &call->in[2].shape, &call->in[1].shape, &y);
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
    status = status ? status : infer_outputs(call, &call->in[0].shape, &call->in[2].shape, &y);
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

/* ---- builders ---- */

/* What a user's options say, `rank` numbers each. */
typedef struct options {
    const char *name;
    int rank;
    const int64_t *kernel, *stride, *pad, *extra, *dilation;
    int64_t groups;
    bool same;
} options;

static rg_node *refuse(const options *o, rg_node *x, const char *format, ...) __attribute__((format(printf, 3, 4)));

static rg_node *refuse(const options *o, rg_node *x, const char *format, ...)
{
    char text[256], operand[2 * RGI_LABEL];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    return rg_build_fail(x->graph, RG_ERR_ARGUMENT, "%s: %s; input: %s", o->name, text,
                         rgi_format_operand(x, operand, sizeof operand));
}

/* The attributes that the options stand for; false after an error. `sizes`: of the kernel, along the last axes of w. */
static bool resolve(const options *o, rg_node *x, const rg_shape *w, rgi_conv *a)
{
    *a = (rgi_conv){.rank = o->rank, .stride = {1, 1, 1}, .dilation = {1, 1, 1}};
    for (int i = 0; i < o->rank; i++) {
        const int axis = 3 - o->rank + i;
        const int64_t size = w->rank == o->rank + 2 ? w->dim[2 + i] : 1, stride = o->stride[i] ? o->stride[i] : 1,
                      dilation = o->dilation[i] ? o->dilation[i] : 1;
        const char *wrong = stride < 1 || stride > INT32_MAX               ? "the stride must lie in [1, 2^31)"
                            : dilation < 1 || dilation > INT32_MAX         ? "the dilation must lie in [1, 2^31)"
                            : o->pad[i] < 0 || o->pad[i] + o->extra[i] < 0 ? "padding must not be negative"
                            : o->same && stride != 1                       ? "`same` needs a stride of 1"
                            : o->same && (o->pad[i] || o->extra[i])        ? "`same` and a padding exclude each other"
                                                                           : NULL;
        if (wrong) {
            refuse(o, x, "axis %d of the kernel: %s (stride %lld, dilation %lld, padding %lld + %lld)", i, wrong,
                   (long long)stride, (long long)dilation, (long long)o->pad[i], (long long)o->extra[i]);
            return false;
        }
        if (o->kernel[i] && o->kernel[i] != size) {
            refuse(o, x, "axis %d of the kernel has %lld elements, the options say %lld", i, (long long)size,
                   (long long)o->kernel[i]);
            return false;
        }
        const int64_t all = dilation * (size - 1);
        a->stride[axis] = stride;
        a->dilation[axis] = dilation;
        a->before[axis] = o->same ? all / 2 : o->pad[i];
        a->after[axis] = o->same ? all - all / 2 : o->pad[i] + o->extra[i];
    }
    return true;
}

/* y [N, O, ...] + bias [O] */
static rg_node *add_bias(rg_node *y, rg_node *bias, int rank)
{
    for (int i = 0; bias && y && i < rank; i++)
        bias = rg_unsqueeze(bias, -1);
    return bias && y ? rg_add(y, bias) : y;
}

static rg_node *check_bias(const options *o, rg_node *y, rg_node *bias)
{
    char text[2 * RGI_LABEL];
    if (!y || !bias || (bias->shape->a.rank == 1 && bias->shape->a.dim[0] == y->shape->a.dim[1]))
        return add_bias(y, bias, o->rank);
    return refuse(o, y, "the bias must be [%lld], it is %s", (long long)y->shape->a.dim[1],
                  rgi_format_operand(bias, text, sizeof text));
}

static rg_node *build(const options *o, rg_node *x, rg_node *w, rg_node *bias)
{
    rgi_conv a;
    if (!x || !w)
        return rg_apply(&rgi_op_conv, RG_NODES(x, w), &(rgi_conv){.rank = o->rank});
    const rg_shape *xs = &x->shape->a, *ws = &w->shape->a;
    const int64_t groups = o->groups ? o->groups : 1;
    if (!resolve(o, x, ws, &a))
        return NULL;
    if (groups < 1 || (xs->rank > 1 && ws->rank > 1 && xs->dim[1] != ws->dim[1] * groups))
        return refuse(o, x, "axis 1: the input has %lld channels, the kernel %lld for each of %lld groups",
                      (long long)(xs->rank > 1 ? xs->dim[1] : 0), (long long)(ws->rank > 1 ? ws->dim[1] : 0),
                      (long long)groups);
    return check_bias(o, conv(&a, x, w), bias);
}

#define OPTIONS(name, rank, o) \
    (&(options){name, rank, (o).kernel, (o).stride, (o).pad, (o).pad_extra, (o).dilation, (o).groups, (o).same})

rg_node *rg_conv1d(rg_node *x, rg_node *w, rg_node *bias, const rg_conv1d_opts *opts)
{
    const rg_conv1d_opts o = opts ? *opts : (rg_conv1d_opts){.groups = 0};
    return build(OPTIONS("rg_conv1d", 1, o), x, w, bias);
}

rg_node *rg_conv2d(rg_node *x, rg_node *w, rg_node *bias, const rg_conv_opts *opts)
{
    const rg_conv_opts o = opts ? *opts : (rg_conv_opts){.groups = 0};
    return build(OPTIONS("rg_conv2d", 2, o), x, w, bias);
}

rg_node *rg_conv3d(rg_node *x, rg_node *w, rg_node *bias, const rg_conv3d_opts *opts)
{
    const rg_conv3d_opts o = opts ? *opts : (rg_conv3d_opts){.groups = 0};
    return build(OPTIONS("rg_conv3d", 3, o), x, w, bias);
}

/* ---- transposed ---- */

/* The data gradient of a convolution whose outputs are x: of the sizes that convolution could have had, the smallest, and
   `extra` more. */
static rg_node *build_transpose(const options *o, rg_node *x, rg_node *w, rg_node *bias)
{
    rgi_conv a;
    options plain = *o;
    const int64_t none[3] = {0};
    plain.extra = none;
    if (!x || !w)
        return rg_apply(&rgi_op_conv, RG_NODES(x, w), &(rgi_conv){.rank = o->rank});
    rg_graph *g = x->graph;
    const rg_shape *xs = &x->shape->a, *ws = &w->shape->a;
    if (xs->rank != o->rank + 2 || ws->rank != o->rank + 2)
        return refuse(o, x, "the input and the kernel need %d axes, they have %d and %d", o->rank + 2, xs->rank,
                      ws->rank);
    if (!resolve(&plain, x, ws, &a))
        return NULL;
    rg_shape y = *xs;
    y.dim[1] = ws->dim[1] * (o->groups ? o->groups : 1);
    if (o->same || y.dim[1] < 1 || xs->dim[1] != ws->dim[0])
        return refuse(o, x, "axis 1: the input has %lld channels, the kernel, [inputs, outputs / groups, ...], %lld",
                      (long long)xs->dim[1], (long long)ws->dim[0]);
    for (int i = 0; i < o->rank; i++) {
        const int axis = 3 - o->rank + i;
        if (o->extra[i] < 0 || (o->extra[i] >= a.stride[axis] && o->extra[i] >= a.dilation[axis]))
            return refuse(o, x, "axis %d: the extra outputs must be fewer than the stride or the dilation (%lld)", i,
                          (long long)o->extra[i]);
        const int64_t more = a.dilation[axis] * (ws->dim[2 + i] - 1) + 1 - a.stride[axis] - 2 * o->pad[i] + o->extra[i];
        y.dim[2 + i] = rg_dim_add(g, rg_dim_mul(g, xs->dim[2 + i], a.stride[axis]), more);
    }
    return check_bias(o, data_grad(&a, x, w, rg_zeros(g, x->dtype, y)), bias);
}

rg_node *rg_conv_transpose1d(rg_node *x, rg_node *w, rg_node *bias, const rg_conv1d_opts *opts)
{
    const rg_conv1d_opts o = opts ? *opts : (rg_conv1d_opts){.groups = 0};
    return build_transpose(OPTIONS("rg_conv_transpose1d", 1, o), x, w, bias);
}

rg_node *rg_conv_transpose2d(rg_node *x, rg_node *w, rg_node *bias, const rg_conv_opts *opts)
{
    const rg_conv_opts o = opts ? *opts : (rg_conv_opts){.groups = 0};
    return build_transpose(OPTIONS("rg_conv_transpose2d", 2, o), x, w, bias);
}

rg_node *rg_conv_transpose3d(rg_node *x, rg_node *w, rg_node *bias, const rg_conv3d_opts *opts)
{
    const rg_conv3d_opts o = opts ? *opts : (rg_conv3d_opts){.groups = 0};
    return build_transpose(OPTIONS("rg_conv_transpose3d", 3, o), x, w, bias);
}
