/* conv.c - convolutional layers: a kernel and a bias of their own. */
#include "layer.h"

#include <retrograde/graph.h>
#include <retrograde/nn.h>
#include <retrograde/op.h>
#include <retrograde/ops.h>

#include <math.h>

/* What the layers differ in. */
typedef struct layer {
    const char *who;
    int rank;
    bool transpose;
    const int64_t *kernel;
    int64_t groups;
    bool no_bias;
} layer;

typedef struct weights {
    rg_node *kernel, *bias;
} weights;

static rg_node *refuse(rg_graph *g, const layer *l, const char *name, const char *what)
{
    return rg_build_fail(g, RG_ERR_ARGUMENT, "%s: '%s': %s", l->who, name, what);
}

/* Kernel and bias, uniform within 1 / sqrt(terms of an output's sum) both; false after an error. */
static bool make(const layer *l, rg_node *x, const char *name, int64_t out, weights *w)
{
    rg_graph *g = rg_graph_of(x);
    const rg_shape shape = rg_shape_of(x);
    const int64_t groups = l->groups ? l->groups : 1;
    rg_shape kernel = {.rank = l->rank + 2};
    double terms = 1; /* of an output's sum, by plane */
    char text[160];
    if (!rgi_layer_takes(l->who, "x", x, name))
        return false;
    if (shape.rank != l->rank + 2)
        return rg_build_fail(g, RG_ERR_SHAPE, "%s: '%s': x needs %d axes, [batch, channels, ...], it has %d; input: %s",
                             l->who, name, l->rank + 2, shape.rank, rg_describe(x, text, sizeof text)),
               false;
    const int64_t in = shape.dim[1];
    if (out < 1 || groups < 1 || in < 1 || in % groups || out % groups)
        return rg_build_fail(
                   g, RG_ERR_ARGUMENT,
                   "%s: '%s': %lld groups must divide axis 1 of the input, %lld channels, and the %lld outputs; "
                   "input: %s",
                   l->who, name, (long long)groups, (long long)in, (long long)out, rg_describe(x, text, sizeof text)),
               false;
    kernel.dim[0] = l->transpose ? in : out;
    kernel.dim[1] = (l->transpose ? out : in) / groups;
    for (int i = 0; i < l->rank; i++) {
        if (l->kernel[i] < 1)
            return refuse(g, l, name, "opts.kernel must say how large the kernel is"), false;
        kernel.dim[2 + i] = l->kernel[i];
        terms *= (double)l->kernel[i];
    }
    rg_scope_push(g, name);
    w->kernel = rg_param(g, "weight", rg_dtype_of(x), kernel, NULL);
    if (!l->no_bias)
        w->bias = rg_param(g, "bias", rg_dtype_of(x), RG_SHAPE(out),
                           &(rg_param_opts){.init = RG_UNIFORM, .scale = 1 / sqrt(terms * (double)kernel.dim[1])});
    rg_scope_pop(g);
    return w->kernel && (w->bias || l->no_bias);
}

rg_node *rg_nn_conv1d(rg_node *x, const char *name, int64_t out, const rg_conv1d_opts *opts)
{
    const rg_conv1d_opts o = opts ? *opts : (rg_conv1d_opts){.groups = 0};
    const layer l = {"rg_nn_conv1d", 1, false, o.kernel, o.groups, o.no_bias};
    weights w = {NULL, NULL};
    return make(&l, x, name, out, &w) ? rg_conv1d(x, w.kernel, w.bias, &o) : NULL;
}

rg_node *rg_nn_conv2d(rg_node *x, const char *name, int64_t out, const rg_conv_opts *opts)
{
    const rg_conv_opts o = opts ? *opts : (rg_conv_opts){.groups = 0};
    const layer l = {"rg_nn_conv2d", 2, false, o.kernel, o.groups, o.no_bias};
    weights w = {NULL, NULL};
    return make(&l, x, name, out, &w) ? rg_conv2d(x, w.kernel, w.bias, &o) : NULL;
}

rg_node *rg_nn_conv3d(rg_node *x, const char *name, int64_t out, const rg_conv3d_opts *opts)
{
    const rg_conv3d_opts o = opts ? *opts : (rg_conv3d_opts){.groups = 0};
    const layer l = {"rg_nn_conv3d", 3, false, o.kernel, o.groups, o.no_bias};
    weights w = {NULL, NULL};
    return make(&l, x, name, out, &w) ? rg_conv3d(x, w.kernel, w.bias, &o) : NULL;
}

rg_node *rg_nn_conv_transpose1d(rg_node *x, const char *name, int64_t out, const rg_conv1d_opts *opts)
{
    const rg_conv1d_opts o = opts ? *opts : (rg_conv1d_opts){.groups = 0};
    const layer l = {"rg_nn_conv_transpose1d", 1, true, o.kernel, o.groups, o.no_bias};
    weights w = {NULL, NULL};
    return make(&l, x, name, out, &w) ? rg_conv_transpose1d(x, w.kernel, w.bias, &o) : NULL;
}

rg_node *rg_nn_conv_transpose2d(rg_node *x, const char *name, int64_t out, const rg_conv_opts *opts)
{
    const rg_conv_opts o = opts ? *opts : (rg_conv_opts){.groups = 0};
    const layer l = {"rg_nn_conv_transpose2d", 2, true, o.kernel, o.groups, o.no_bias};
    weights w = {NULL, NULL};
    return make(&l, x, name, out, &w) ? rg_conv_transpose2d(x, w.kernel, w.bias, &o) : NULL;
}

rg_node *rg_nn_conv_transpose3d(rg_node *x, const char *name, int64_t out, const rg_conv3d_opts *opts)
{
    const rg_conv3d_opts o = opts ? *opts : (rg_conv3d_opts){.groups = 0};
    const layer l = {"rg_nn_conv_transpose3d", 3, true, o.kernel, o.groups, o.no_bias};
    weights w = {NULL, NULL};
    return make(&l, x, name, out, &w) ? rg_conv_transpose3d(x, w.kernel, w.bias, &o) : NULL;
}
