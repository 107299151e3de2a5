/* conv_build.c - the public builders of convolution: a user's options become the attributes of an op, or an error that
   says which of them does not fit. */
#include "conv.h"
#include "table_ops.h"

#include <retrograde/ops/conv.h>
#include <retrograde/ops/shape.h>

#include <stdarg.h>
#include <stdio.h>

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
    char text[4 * RGI_LABEL], operand[2 * RGI_LABEL];
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
                      dilation = o->dilation[i] ? o->dilation[i] : 1, pad = o->pad[i], extra = o->extra[i];
        const char *wrong = stride < 1 || stride > INT32_MAX                ? "the stride must lie in [1, 2^31)"
                            : dilation < 1 || dilation > INT32_MAX          ? "the dilation must lie in [1, 2^31)"
                            : pad < 0 || (pad <= INT32_MAX && extra < -pad) ? "padding must not be negative"
                            : pad > INT32_MAX || extra > INT32_MAX - pad    ? "padding must be less than 2^31"
                            : o->same && stride != 1                        ? "`same` needs a stride of 1"
                            : o->same && (pad || extra)                     ? "`same` and a padding exclude each other"
                            : size > INT32_MAX                              ? "it has 2^31 elements or more"
                                                                            : NULL;
        if (wrong) {
            refuse(o, x, "axis %d of the kernel: %s (stride %lld, dilation %lld, padding %lld + %lld)", i, wrong,
                   (long long)stride, (long long)dilation, (long long)pad, (long long)extra);
            return false;
        }
        if (o->kernel[i] && o->kernel[i] != size) {
            char text[RGI_LABEL];
            refuse(o, x, "axis %d of the kernel has %s elements, the options say %lld", i,
                   rgi_format_size(x->graph, size, text, sizeof text), (long long)o->kernel[i]);
            return false;
        }
        const int64_t all = dilation * (size - 1);
        a->stride[axis] = stride;
        a->dilation[axis] = dilation;
        a->before[axis] = o->same ? all / 2 : pad;
        a->after[axis] = o->same ? all - all / 2 : pad + extra;
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
    char text[2 * RGI_LABEL], size[RGI_LABEL];
    if (!y || !bias || (bias->shape->a.rank == 1 && bias->shape->a.dim[0] == y->shape->a.dim[1]))
        return add_bias(y, bias, o->rank);
    return refuse(o, y, "the bias must be [%s], it is %s",
                  rgi_format_size(y->graph, y->shape->a.dim[1], size, sizeof size),
                  rgi_format_operand(bias, text, sizeof text));
}

static rg_node *build(const options *o, rg_node *x, rg_node *w, rg_node *bias)
{
    rgi_conv a;
    if (!x || !w)
        return rg_apply(&rgi_op_conv, RG_NODES(x, w), &(rgi_conv){.rank = o->rank});
    const rg_shape *xs = &x->shape->a, *ws = &w->shape->a;
    if (!resolve(o, x, ws, &a))
        return NULL;
    const int64_t groups = o->groups ? o->groups : 1;
    int64_t channels;
    if (groups < 1 || (xs->rank > 1 && ws->rank > 1 &&
                       (__builtin_mul_overflow(ws->dim[1], groups, &channels) || xs->dim[1] != channels))) {
        char have[RGI_LABEL], each[RGI_LABEL], kernel[2 * RGI_LABEL];
        return refuse(o, x, "axis 1: the input has %s channels, the kernel %s for each of %lld groups; kernel: %s",
                      rgi_format_size(x->graph, xs->rank > 1 ? xs->dim[1] : 0, have, sizeof have),
                      rgi_format_size(x->graph, ws->rank > 1 ? ws->dim[1] : 0, each, sizeof each), (long long)groups,
                      rgi_format_operand(w, kernel, sizeof kernel));
    }
    return check_bias(o, rg_apply(&rgi_op_conv, RG_NODES(x, w), &a), bias);
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

/* Channels of the result, [inputs, outputs / groups, ...] being the kernel; false after an error. */
static bool transposed_channels(const options *o, rg_node *x, rg_node *w, int64_t *channels)
{
    const rg_shape *xs = &x->shape->a, *ws = &w->shape->a;
    const int64_t groups = o->groups ? o->groups : 1;
    char have[RGI_LABEL], want[RGI_LABEL], kernel[2 * RGI_LABEL];
    rgi_format_operand(w, kernel, sizeof kernel);
    if (o->same) {
        refuse(o, x, "`same` is not for transposed convolutions");
    } else if (groups < 1 || groups > INT32_MAX || __builtin_mul_overflow(ws->dim[1], groups, channels) ||
               *channels < 1) {
        refuse(o, x, "axis 1 of the kernel: %s outputs for each of %lld groups; kernel: %s",
               rgi_format_size(x->graph, ws->dim[1], have, sizeof have), (long long)groups, kernel);
    } else if (xs->dim[1] != ws->dim[0]) {
        refuse(o, x, "axis 1: the input has %s channels, the kernel, [inputs, outputs / groups, ...], %s; kernel: %s",
               rgi_format_size(x->graph, xs->dim[1], have, sizeof have),
               rgi_format_size(x->graph, ws->dim[0], want, sizeof want), kernel);
    } else {
        return true;
    }
    return false;
}

/* Whether size * stride + more is a size, of axis `at` of x. */
static bool has_outputs(const rg_node *x, int at, int64_t stride, int64_t more)
{
    const int64_t sizes[2] = {x->shape->a.dim[at], x->shape->b.dim[at]};
    for (int k = 0; k < 2; k++) {
        int64_t n;
        if (__builtin_mul_overflow(sizes[k], stride, &n) || __builtin_add_overflow(n, more, &n) || n < 0)
            return false;
    }
    return true;
}

static rg_node *refuse_outputs(const options *o, rg_node *x, rg_node *w, const rgi_conv *a, int i)
{
    const int axis = 3 - o->rank + i;
    char kernel[2 * RGI_LABEL], in[RGI_LABEL];
    return refuse(
        o, x,
        "axis %d: from %s elements the outputs would be fewer than 0 or too many (stride %lld, dilation %lld, "
        "padding %lld on both sides); kernel: %s",
        2 + i, rgi_format_size(x->graph, x->shape->a.dim[2 + i], in, sizeof in), (long long)a->stride[axis],
        (long long)a->dilation[axis], (long long)a->before[axis], rgi_format_operand(w, kernel, sizeof kernel));
}

/* The data gradient of a convolution whose outputs are x: of the sizes that convolution could have had, the smallest,
   and `extra` more. */
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
    if (!transposed_channels(o, x, w, &y.dim[1]))
        return NULL;
    int64_t zeros[3] = {0};
    for (int i = 0; i < o->rank; i++) {
        const int axis = 3 - o->rank + i;
        if (o->extra[i] < 0 || (o->extra[i] >= a.stride[axis] && o->extra[i] >= a.dilation[axis]))
            return refuse(o, x, "axis %d: the extra outputs must be fewer than the stride or the dilation (%lld)",
                          2 + i, (long long)o->extra[i]);
        /* what is beyond the stride has been cut off as padding, or nothing reaches it */
        const int64_t beyond = o->extra[i] < a.stride[axis] ? 0 : o->extra[i] - a.stride[axis] + 1,
                      cut = beyond < o->pad[i] ? beyond : o->pad[i];
        const int64_t more = a.dilation[axis] * (ws->dim[2 + i] - 1) + 1 - a.stride[axis] - 2 * o->pad[i] + o->extra[i];
        zeros[i] = beyond - cut;
        if (!has_outputs(x, 2 + i, a.stride[axis], more - zeros[i]))
            return refuse_outputs(o, x, w, &a, i);
        a.after[axis] -= cut;
        y.dim[2 + i] = rg_dim_add(g, rg_dim_mul(g, xs->dim[2 + i], a.stride[axis]), more - zeros[i]);
    }
    rg_node *result = rg_apply(&rgi_op_conv_data_grad, RG_NODES(x, w, rg_zeros(g, x->dtype, y)), &a);
    for (int i = 0; i < o->rank; i++)
        result = zeros[i] ? rg_pad(result, 2 + i, 0, zeros[i], RG_PAD_CONSTANT, 0) : result;
    return check_bias(o, result, bias);
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
