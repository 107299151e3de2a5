/* norm.c - normalising layers: a weight and a bias of their own; batch norm's running statistics. */
#include "layer.h"

#include <retrograde/graph.h>
#include <retrograde/nn.h>
#include <retrograde/op.h>
#include <retrograde/ops.h>

/* x, the shape of its weight and bias, and which of them there are. */
typedef struct affine {
    rg_node *weight, *bias;
} affine;

static bool check(rg_node *x, const char *who, const char *name, int rank)
{
    rg_graph *g = rg_graph_of(x);
    char text[160];
    if (!rgi_layer_takes(who, "x", x, name))
        return false;
    if (rg_shape_of(x).rank < rank)
        return rg_build_fail(g, RG_ERR_SHAPE, "%s: '%s': x needs %d axes at least, it has %d; input: %s", who, name,
                             rank, rg_shape_of(x).rank, rg_describe(x, text, sizeof text)),
               false;
    return true;
}

/* Parameters of the present scope; false after an error. */
static bool make(rg_node *x, rg_shape shape, bool weight, bool bias, affine *out)
{
    rg_graph *g = rg_graph_of(x);
    *out = (affine){NULL, NULL};
    if (weight)
        out->weight = rg_param(g, "weight", rg_dtype_of(x), shape, &(rg_param_opts){.init = RG_ONES});
    if (bias)
        out->bias = rg_param(g, "bias", rg_dtype_of(x), shape, &(rg_param_opts){.init = RG_ZEROS});
    return (out->weight || !weight) && (out->bias || !bias);
}

static double amount(double given, double otherwise)
{
    return given == 0 ? otherwise : given == RG_OFF ? 0 : given;
}

static rg_shape channels(rg_node *x)
{
    return RG_SHAPE(rg_shape_of(x).dim[1]);
}

/* ---- running statistics ---- */

typedef struct statistics {
    rg_node *mean, *var, *count;
} statistics;

typedef struct moments {
    rg_node *mean, *var;
} moments;

static bool make_statistics(rg_node *x, statistics *s)
{
    rg_graph *g = rg_graph_of(x);
    s->mean = rg_buffer(g, "running_mean", rg_dtype_of(x), channels(x), NULL);
    s->var = rg_buffer(g, "running_var", rg_dtype_of(x), channels(x), &(rg_param_opts){.init = RG_ONES});
    s->count = rg_buffer(g, "num_batches_tracked", RG_I64, RG_SCALAR, NULL);
    return s->mean && s->var && s->count;
}

/* Ties the update by the moments of x to y. A batch without elements changes nothing; of a single one the variance
   counts as 0. */
static void track(const statistics *s, rg_node *x, const moments *m, rg_node *y, double momentum, bool cumulative)
{
    rg_graph *g = rg_graph_of(x);
    const rg_dtype dtype = rg_dtype_of(x);
    rg_axes axes = {.n = 0};
    for (int32_t i = 0; i < rg_shape_of(x).rank; i++)
        if (i != 1)
            axes.axis[axes.n++] = i;
    rg_node *n = rg_size_of(x, axes), *one = rg_scalar(g, dtype, 1), *some = rg_greater_equal(n, one);
    rg_node *unbiased = rg_div(n, rg_maximum(rg_sub(n, one), one));
    rg_node *var = rg_mul(m->var, unbiased);
    rg_node *old_count = rg_latest(s->count), *count = rg_add(old_count, rg_scalar(g, RG_I64, 1));
    rg_node *share = cumulative ? rg_reciprocal(rg_cast(count, dtype)) : rg_scalar(g, dtype, momentum);
    rg_node *old_mean = rg_latest(s->mean), *old_var = rg_latest(s->var);
    rg_node *new_mean = rg_fma(rg_sub(m->mean, old_mean), share, old_mean);
    rg_node *new_var = rg_fma(rg_sub(var, old_var), share, old_var);
    rg_attach(y, rg_assign(s->mean, rg_where(some, new_mean, old_mean)));
    rg_attach(y, rg_assign(s->var, rg_where(some, new_var, old_var)));
    rg_attach(y, rg_assign(s->count, rg_where(some, count, old_count)));
}

/* [C] as it broadcasts against [N, C, ...] */
static rg_node *per_channel(rg_node *w, rg_node *x)
{
    for (int32_t i = 2; w && i < rg_shape_of(x).rank; i++)
        w = rg_unsqueeze(w, -1);
    return w;
}

/* x times a factor and plus an offset for each channel, worked out from the statistics before they meet x. */
static rg_node *by_statistics(const statistics *s, const affine *a, rg_node *x, double eps)
{
    rg_node *factor = rg_rsqrt(rg_add_scalar(s->var, eps));
    if (a->weight)
        factor = rg_mul(factor, a->weight);
    rg_node *offset = rg_neg(rg_mul(s->mean, factor));
    if (a->bias)
        offset = rg_add(offset, a->bias);
    return rg_fma(x, per_channel(factor, x), per_channel(offset, x));
}

/* x for a branch of one mode alone, zeros in the other: so what the branch gives back for x is zeros there, and a plan
   of the other mode has nothing of the branch left, neither forwards nor backwards. */
static rg_node *only(bool training, rg_node *x)
{
    rg_node *none = x ? rg_zeros_like(x) : NULL;
    return x ? rg_where(rg_training(rg_graph_of(x)), training ? x : none, training ? none : x) : NULL;
}

rg_node *rg_nn_batch_norm(rg_node *x, const char *name, const rg_batch_norm_opts *opts)
{
    const rg_batch_norm_opts o = opts ? *opts : (rg_batch_norm_opts){.eps = 0};
    const double eps = amount(o.eps, 1e-5), momentum = amount(o.momentum, 0.1);
    rg_graph *g = rg_graph_of(x);
    affine a;
    statistics s = {NULL, NULL, NULL};
    if (!check(x, "rg_nn_batch_norm", name, 2))
        return NULL;
    if (!(momentum >= 0 && momentum <= 1))
        return rg_build_fail(g, RG_ERR_ARGUMENT, "rg_nn_batch_norm: '%s': momentum %g is not within [0, 1]", name,
                             momentum);
    rg_scope_push(g, name);
    const bool made =
        make(x, channels(x), !o.no_affine, !o.no_affine, &a) && (o.no_statistics || make_statistics(x, &s));
    rg_scope_pop(g);
    if (!made || o.no_statistics)
        return made ? rg_batch_norm(x, a.weight, a.bias, eps) : NULL;
    moments m;
    rg_node *by_batch =
        rg_batch_norm_moments(only(true, x), only(true, a.weight), only(true, a.bias), eps, &m.mean, &m.var);
    const affine evaluated = {only(false, a.weight), only(false, a.bias)};
    rg_node *y = rg_where(rg_training(g), by_batch, by_statistics(&s, &evaluated, only(false, x), eps));
    if (y)
        track(&s, x, &m, y, momentum, o.cumulative);
    return y;
}

rg_node *rg_nn_layer_norm(rg_node *x, const char *name, const rg_layer_norm_opts *opts)
{
    const rg_layer_norm_opts o = opts ? *opts : (rg_layer_norm_opts){.eps = 0};
    const int axes = o.axes ? o.axes : 1;
    rg_graph *g = rg_graph_of(x);
    affine a;
    if (!check(x, "rg_nn_layer_norm", name, axes))
        return NULL;
    if (axes < 1)
        return rg_build_fail(g, RG_ERR_ARGUMENT, "rg_nn_layer_norm: '%s': %d axes", name, axes);
    const rg_shape shape = rg_shape_of(x);
    rg_scope_push(g, name);
    const bool made = make(x, rg_shape_make(shape.dim + shape.rank - axes, (size_t)axes), !o.no_affine,
                           !o.no_affine && !o.no_bias, &a);
    rg_scope_pop(g);
    if (!made)
        return NULL;
    if (axes == 1)
        return rg_layer_norm(x, a.weight, a.bias, amount(o.eps, 1e-5));
    rg_node *y = rg_layer_norm(rg_flatten(x, -axes), a.weight ? rg_flatten(a.weight, 0) : NULL,
                               a.bias ? rg_flatten(a.bias, 0) : NULL, amount(o.eps, 1e-5));
    return rg_reshape_like(y, x);
}

rg_node *rg_nn_group_norm(rg_node *x, const char *name, int64_t groups, const rg_group_norm_opts *opts)
{
    const rg_group_norm_opts o = opts ? *opts : (rg_group_norm_opts){.eps = 0};
    rg_graph *g = rg_graph_of(x);
    affine a;
    if (!check(x, "rg_nn_group_norm", name, 2))
        return NULL;
    rg_scope_push(g, name);
    const bool made = make(x, channels(x), !o.no_affine, !o.no_affine, &a);
    rg_scope_pop(g);
    return made ? rg_group_norm(x, groups, a.weight, a.bias, amount(o.eps, 1e-5)) : NULL;
}

rg_node *rg_nn_instance_norm(rg_node *x, const char *name, const rg_instance_norm_opts *opts)
{
    const rg_instance_norm_opts o = opts ? *opts : (rg_instance_norm_opts){.eps = 0};
    rg_graph *g = rg_graph_of(x);
    affine a;
    if (!check(x, "rg_nn_instance_norm", name, 3))
        return NULL;
    rg_scope_push(g, name);
    const bool made = make(x, channels(x), o.affine, o.affine, &a);
    rg_scope_pop(g);
    return made ? rg_instance_norm(x, a.weight, a.bias, amount(o.eps, 1e-5)) : NULL;
}

rg_node *rg_nn_rms_norm(rg_node *x, const char *name, const rg_layer_norm_opts *opts)
{
    const rg_layer_norm_opts o = opts ? *opts : (rg_layer_norm_opts){.eps = 0};
    const double machine = rg_dtype_of(x) == RG_F64 ? 0x1p-52 : 0x1p-23;
    const int axes = o.axes ? o.axes : 1;
    rg_graph *g = rg_graph_of(x);
    affine a;
    if (!check(x, "rg_nn_rms_norm", name, axes))
        return NULL;
    if (axes < 1)
        return rg_build_fail(g, RG_ERR_ARGUMENT, "rg_nn_rms_norm: '%s': %d axes", name, axes);
    const rg_shape shape = rg_shape_of(x);
    rg_scope_push(g, name);
    const bool made = make(x, rg_shape_make(shape.dim + shape.rank - axes, (size_t)axes), !o.no_affine, false, &a);
    rg_scope_pop(g);
    if (!made)
        return NULL;
    if (axes == 1)
        return rg_rms_norm(x, a.weight, amount(o.eps, machine));
    rg_node *weight = a.weight ? rg_flatten(a.weight, 0) : NULL;
    return rg_reshape_like(rg_rms_norm(rg_flatten(x, -axes), weight, amount(o.eps, machine)), x);
}
