/* linear.c - the fully connected layer. */
#include "layer.h"

#include <retrograde/graph.h>
#include <retrograde/nn.h>
#include <retrograde/op.h>
#include <retrograde/ops.h>

#include <math.h>

rg_node *rg_nn_linear(rg_node *x, const char *name, int64_t out, const rg_linear_opts *opts)
{
    rg_graph *g = rg_graph_of(x);
    rg_linear_opts o = opts ? *opts : (rg_linear_opts){0};
    const rg_shape shape = rg_shape_of(x);
    if (!rgi_layer_takes("rg_nn_linear", "x", x, name))
        return NULL;
    if (shape.rank < 1)
        return rg_build_fail(g, RG_ERR_SHAPE, "rg_nn_linear: '%s': x is a scalar, it has no axis of features", name);
    if (out < 1)
        return rg_build_fail(g, RG_ERR_ARGUMENT, "rg_nn_linear: '%s': %lld outputs", name, (long long)out);
    const int64_t in = shape.dim[shape.rank - 1];
    rg_scope_push(g, name);
    rg_node *weight = rg_param(g, "weight", rg_dtype_of(x), RG_SHAPE(out, in), &o.weight), *bias = NULL;
    if (!o.no_bias) {
        if (o.bias.init == RG_INIT_DEFAULT) /* PyTorch bounds it by the fan-in of the weight */
            o.bias.init = in ? RG_UNIFORM : RG_ZEROS, o.bias.scale = in ? 1.0 / sqrt((double)in) : 0.0;
        bias = rg_param(g, "bias", rg_dtype_of(x), RG_SHAPE(out), &o.bias);
    }
    rg_scope_pop(g);
    return weight && (bias || o.no_bias) ? rg_linear(x, weight, bias) : NULL;
}
