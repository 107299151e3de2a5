/* leaf.c - nodes that start a graph (inputs, parameters, constants, the mode) and those that end it (assigns, groups).

   A leaf computes nothing: its value is bound, stored or given. `full` is a value everywhere, a leaf in spirit, but
   run, so that it fuses. `assign` stores its second input into its first when a plan runs, which does that by itself:
   effects have no `run`. The value of an assign is what it stored. */
#include "common.h"
#include "fill.h"
#include "table_ops.h"

#include "../graph/intern.h"
#include "../graph/scope.h"

#include <inttypes.h>
#include <math.h>

typedef struct leaf_attr {
    rg_dtype dtype;
    rg_shape shape;
} leaf_attr;

typedef struct const_attr {
    rg_bytes values; /* first: the plan reads it */
    rg_dtype dtype;
    rg_shape shape;
} const_attr;

typedef struct full_attr {
    rg_dtype dtype;
    rg_shape shape;
    double value;
} full_attr;

static const rg_attr_field leaf_attrs[] = {
    {"dtype", offsetof(leaf_attr, dtype), RG_ATTR_DTYPE},
    {"shape", offsetof(leaf_attr, shape), RG_ATTR_SHAPE},
    {0},
};

static const rg_attr_field const_attrs[] = {
    {"values", offsetof(const_attr, values), RG_ATTR_BYTES},
    {"dtype", offsetof(const_attr, dtype), RG_ATTR_DTYPE},
    {"shape", offsetof(const_attr, shape), RG_ATTR_SHAPE},
    {0},
};

static const rg_attr_field full_attrs[] = {
    {"dtype", offsetof(full_attr, dtype), RG_ATTR_DTYPE},
    {"shape", offsetof(full_attr, shape), RG_ATTR_SHAPE},
    {"value", offsetof(full_attr, value), RG_ATTR_F64},
    {0},
};

/* ---- shape rules ---- */

static rg_status infer_leaf(rg_infer *call)
{
    const leaf_attr *const a = call->attr;
    call->out[0] = (rg_type){a->dtype, rg_infer_shape(call, a->shape)};
    return RG_OK;
}

static rg_status infer_const(rg_infer *call)
{
    const const_attr *const a = call->attr;
    call->out[0] = (rg_type){a->dtype, rg_infer_shape(call, a->shape)};
    return RG_OK;
}

static rg_status infer_full(rg_infer *call)
{
    const full_attr *const a = call->attr;
    call->out[0] = (rg_type){a->dtype, rg_infer_shape(call, a->shape)};
    return RG_OK;
}

static rg_status infer_flag(rg_infer *call)
{
    call->out[0] = (rg_type){.dtype = RG_BOOL};
    return RG_OK;
}

static rg_status infer_assign(rg_infer *call)
{
    const rg_type *const have = &call->in[0], *const got = &call->in[1];
    if (have->dtype != got->dtype)
        return rg_infer_fail(call, RG_ERR_DTYPE, "a value of another element type than what it is stored into");
    if (!rg_shape_equal(have->shape, got->shape))
        return rg_infer_fail(call, RG_ERR_SHAPE, "a value of another shape than what it is stored into");
    call->out[0] = *got;
    return RG_OK;
}

/* ---- running ---- */

static rg_status run_full(const rg_step *step, size_t lo, size_t hi)
{
    rgi_fill(step->out_type[0].dtype, ((const full_attr *)step->attr)->value, lo, hi, step->out[0]);
    return RG_OK;
}

static bool uniform_full(const void *attr, double *value)
{
    *value = ((const full_attr *)attr)->value;
    return true;
}

/* ---- descriptors ---- */

const rg_op rgi_op_input = {
    .name = "input",
    .n_in = 0,
    .n_out = 1,
    .traits = RG_LEAF | RG_UNIQUE,
    .dtypes = ~0u,
    .attr_size = sizeof(leaf_attr),
    .attrs = leaf_attrs,
    .infer = infer_leaf,
};

const rg_op rgi_op_param = {
    .name = "param",
    .n_in = 0,
    .n_out = 1,
    .traits = RG_LEAF | RG_UNIQUE,
    .dtypes = ~0u,
    .attr_size = sizeof(leaf_attr),
    .attrs = leaf_attrs,
    .infer = infer_leaf,
};

const rg_op rgi_op_const = {
    .name = "const",
    .n_in = 0,
    .n_out = 1,
    .traits = RG_LEAF,
    .dtypes = ~0u,
    .attr_size = sizeof(const_attr),
    .attrs = const_attrs,
    .infer = infer_const,
};

const rg_op rgi_op_full = {
    .name = "full",
    .n_in = 0,
    .n_out = 1,
    .traits = RG_ELEMENTWISE,
    .dtypes = ~0u,
    .attr_size = sizeof(full_attr),
    .attrs = full_attrs,
    .infer = infer_full,
    .run = run_full,
    .uniform = uniform_full,
};

const rg_op rgi_op_training = {
    .name = "training",
    .n_in = 0,
    .n_out = 1,
    .traits = RG_LEAF,
    .dtypes = ~0u,
    .infer = infer_flag,
};

const rg_op rgi_op_assign = {
    .name = "assign",
    .n_in = 2,
    .n_out = 1,
    .traits = RG_EFFECT | RG_UNIQUE,
    .dtypes = ~0u,
    .shape_only = 1u << 0,
    .infer = infer_assign,
};

const rg_op rgi_op_group = {
    .name = "group",
    .n_in = -1,
    .n_out = 1,
    .traits = RG_EFFECT,
    .dtypes = ~0u,
    .shape_only = ~0u,
    .infer = infer_flag,
};

/* ---- inputs, parameters, buffers ---- */

static bool graph_fits(rg_graph *g, const char *who)
{
    if (!g)
        rgi_fail(RG_ERR_ARGUMENT, "%s: the graph is NULL", who);
    return g != NULL;
}

static bool dtype_fits(rg_graph *g, const char *who, const char *name, rg_dtype dtype)
{
    if (rg_dtype_size(dtype))
        return true;
    rgi_graph_fail(g, RG_ERR_DTYPE, NULL, "%s: '%s' cannot be %s (%d)", who, name, rg_dtype_name(dtype), (int)dtype);
    return false;
}

/* The full name of a leaf to be, or NULL with the error recorded. */
static const char *full_name(rg_graph *g, const char *who, const char *name)
{
    if (rgi_name_valid(name))
        return rgi_full_name(g, name);
    rgi_graph_fail(g, RG_ERR_NAME, NULL, "%s: '%s' is no name", who, name ? name : "NULL");
    return NULL;
}

static rg_node *fail_taken(rg_graph *g, const char *who, const rg_node *first)
{
    char label[RGI_LABEL];
    rgi_format_operand(first, label, sizeof label);
    if (first->file)
        return rgi_graph_fail(g, RG_ERR_NAME, NULL,
                              "%s: the name is taken by %s %s, made at %s:%" PRId32
                              " (rg_scope_reuse shares parameters)",
                              who, first->op->name, label, first->file, first->line);
    return rgi_graph_fail(g, RG_ERR_NAME, NULL, "%s: the name is taken by %s %s (rg_scope_reuse shares parameters)",
                          who, first->op->name, label);
}

/* A leaf, with room in the table of names; the caller has made sure that the name is free. */
static rg_node *leaf(rg_graph *g, const rg_op *op, const char *name, const leaf_attr *attr)
{
    if (!rgi_table_reserve(&g->allocator, &g->names))
        return rgi_graph_fail(g, RG_ERR_MEMORY, NULL, "rg_%s: out of memory for '%s'", op->name, name);
    return rg_apply_in(g, op, (rg_nodes){NULL, 0}, attr);
}

static void give_name(rg_graph *g, rg_node *node, const char *name)
{
    node->name = name;
    rgi_table_insert(&g->names, rgi_text_hash(name), node);
}

rg_node *(rg_input)(rg_graph *g, const char *name, rg_dtype dtype, rg_shape shape)
{
    const char *const full = graph_fits(g, "rg_input") ? full_name(g, "rg_input", name) : NULL;
    if (!full || !dtype_fits(g, "rg_input", full, dtype))
        return NULL;
    const rg_node *const taken = rg_find(g, full);
    if (taken)
        return fail_taken(g, "rg_input", taken);
    rg_node *const node = leaf(g, &rgi_op_input, full, &(leaf_attr){dtype, shape});
    if (node)
        give_name(g, node, full);
    return node;
}

static rg_node *shared(rg_graph *g, const char *who, const char *name, rg_dtype dtype, rg_shape shape)
{
    char have[RGI_LABEL], want[RGI_LABEL];
    rg_node *const node = rg_find(g, name);
    if (!node || !node->entry)
        return rgi_graph_fail(g, RG_ERR_NAME, NULL, "%s: '%s' is to be shared (rg_scope_reuse), but does not exist",
                              who, name);
    if (node->dtype != dtype || !rg_shape_equal(node->shape->a, shape))
        return rgi_graph_fail(g, node->dtype != dtype ? RG_ERR_DTYPE : RG_ERR_SHAPE, NULL,
                              "%s: '%s' is shared as %s, but asked for as %s", who, name,
                              rgi_format_type(g, node->dtype, node->shape->a, have, sizeof have),
                              rgi_format_type(g, dtype, shape, want, sizeof want));
    return node;
}

/* Sizes must be numbers, and the values must fit into memory. */
static bool sizes_fit(rg_graph *g, const char *who, const char *name, rg_dtype dtype, rg_shape shape)
{
    char text[RGI_LABEL];
    for (int32_t i = 0; i < shape.rank && i < RG_MAX_RANK; i++) {
        int64_t second;
        if (rgi_dim_second(g, shape.dim[i], &second) == RG_OK && second == shape.dim[i])
            continue;
        rgi_graph_fail(g, RG_ERR_SHAPE, NULL,
                       "%s: '%s' has the named size %s at axis %" PRId32 ": what is stored has sizes that are numbers",
                       who, name, rgi_format_size(g, shape.dim[i], text, sizeof text), i);
        return false;
    }
    const rg_tensor view = {dtype, shape, NULL, NULL};
    if (rg_shape_count(shape) >= 0 && (rg_tensor_bytes(&view) || rg_shape_count(shape) == 0))
        return true;
    rgi_graph_fail(g, RG_ERR_SHAPE, NULL, "%s: '%s' cannot be %s", who, name,
                   rgi_format_type(g, dtype, shape, text, sizeof text));
    return false;
}

static bool init_fits(rg_graph *g, const char *who, const char *name, rg_dtype dtype, const rg_param_opts *opts)
{
    const char *why = NULL;
    if ((unsigned)opts->init > RG_ORTHOGONAL)
        why = "an initialiser that does not exist";
    else if (!isfinite(opts->scale))
        why = "a scale that is not finite";
    else if (!rg_dtype_is_float(dtype) && opts->init > RG_CONSTANT)
        why = "a random start, which needs f32 or f64";
    if (why)
        rgi_graph_fail(g, RG_ERR_ARGUMENT, NULL, "%s: '%s' has %s", who, name, why);
    return !why;
}

static rg_node *stored_leaf(rg_graph *g, const char *who, const char *name, rg_dtype dtype, rg_shape shape,
                            rg_param_opts opts, bool trainable)
{
    const char *const full = full_name(g, who, name);
    if (!full || !dtype_fits(g, who, full, dtype))
        return NULL;
    if (g->reuse)
        return shared(g, who, full, dtype, shape);
    const rg_node *const taken = rg_find(g, full);
    if (taken)
        return fail_taken(g, who, taken);
    if (!sizes_fit(g, who, full, dtype, shape) || !init_fits(g, who, full, dtype, &opts))
        return NULL;
    if (!rgi_list_reserve(g, &g->stored) || !rgi_list_reserve(g, &g->latest))
        return NULL;
    rg_node *const node = leaf(g, &rgi_op_param, full, &(leaf_attr){dtype, shape});
    if (!node)
        return NULL;
    node->entry = rgi_store_add(g->store, full, dtype, shape, opts, trainable);
    if (!node->entry)
        return rgi_graph_fail(g, RG_ERR_MEMORY, NULL, "%s: out of memory for '%s'", who, full);
    give_name(g, node, full);
    return rgi_list_push(g, &g->stored, node) && rgi_list_push(g, &g->latest, NULL) ? node : NULL;
}

rg_node *(rg_param)(rg_graph *g, const char *name, rg_dtype dtype, rg_shape shape, const rg_param_opts *opts)
{
    rg_param_opts o = opts ? *opts : (rg_param_opts){0};
    if (!graph_fits(g, "rg_param"))
        return NULL;
    if (dtype != RG_F32 && dtype != RG_F64) {
        if (!o.frozen)
            return rgi_graph_fail(
                g, RG_ERR_DTYPE, NULL,
                "rg_param: '%s' is %s, what is trained is f32 or f64 (or set frozen, or use rg_buffer)",
                name ? name : "NULL", rg_dtype_name(dtype));
        o.init = o.init == RG_INIT_DEFAULT ? RG_ZEROS : o.init;
    }
    return stored_leaf(g, "rg_param", name, dtype, shape, o, !o.frozen);
}

rg_node *(rg_buffer)(rg_graph *g, const char *name, rg_dtype dtype, rg_shape shape, const rg_param_opts *opts)
{
    rg_param_opts o = opts ? *opts : (rg_param_opts){0};
    o.init = o.init == RG_INIT_DEFAULT ? RG_ZEROS : o.init;
    return graph_fits(g, "rg_buffer") ? stored_leaf(g, "rg_buffer", name, dtype, shape, o, false) : NULL;
}

/* ---- constants ---- */

rg_node *(rg_const)(rg_graph *g, rg_dtype dtype, rg_shape shape, const void *data)
{
    if (!graph_fits(g, "rg_const") || !dtype_fits(g, "rg_const", "values", dtype) ||
        !sizes_fit(g, "rg_const", "values", dtype, shape))
        return NULL;
    const rg_tensor view = {dtype, shape, NULL, NULL};
    const const_attr attr = {{data, rg_tensor_bytes(&view)}, dtype, shape};
    return rg_apply_in(g, &rgi_op_const, (rg_nodes){NULL, 0}, &attr);
}

rg_node *(rg_full)(rg_graph *g, rg_dtype dtype, rg_shape shape, double value)
{
    if (!graph_fits(g, "rg_full") || !dtype_fits(g, "rg_full", "value", dtype))
        return NULL;
    const double wanted = value;
    if (!rgi_representable(dtype, &value))
        return rgi_graph_fail(g, RG_ERR_ARGUMENT, NULL, "rg_full: %.17g is no %s", wanted, rg_dtype_name(dtype));
    return rg_apply_in(g, &rgi_op_full, (rg_nodes){NULL, 0}, &(full_attr){dtype, shape, value});
}

rg_node *(rg_scalar)(rg_graph *g, rg_dtype dtype, double value)
{
    return (rg_full)(g, dtype, RG_SCALAR, value);
}

rg_node *(rg_zeros)(rg_graph *g, rg_dtype dtype, rg_shape shape)
{
    return (rg_full)(g, dtype, shape, 0);
}

rg_node *(rg_ones)(rg_graph *g, rg_dtype dtype, rg_shape shape)
{
    return (rg_full)(g, dtype, shape, 1);
}

rg_node *(rg_training)(rg_graph *g)
{
    return graph_fits(g, "rg_training") ? rg_apply_in(g, &rgi_op_training, (rg_nodes){NULL, 0}, NULL) : NULL;
}

/* ---- effects ---- */

rg_node *(rg_assign)(rg_node *param, rg_node *value)
{
    char label[2 * RGI_LABEL];
    rg_graph *const g = param ? param->graph : rg_graph_of(value);
    if (param && !param->entry)
        return rgi_graph_fail(g, RG_ERR_ARGUMENT, NULL, "rg_assign: %s is no parameter or buffer",
                              rgi_format_operand(param, label, sizeof label));
    if (param && value && value->graph == g && value->id < g->nodes.n && value->region->parent)
        return rgi_graph_fail(
            g, RG_ERR_REGION, NULL,
            "rg_assign: %s is inside the body of scan '%s': assign to '%s' after it, what rg_scan_last gives",
            rgi_format_operand(value, label, sizeof label), rgi_scan_name(value->region->scan), param->name);
    if (g && !rgi_list_reserve(g, &g->assigns))
        return NULL;
    rg_node *const node = rg_apply(&rgi_op_assign, RG_NODES(param, value), NULL);
    if (!node || !g || !param || !rgi_list_push(g, &g->assigns, node))
        return NULL;
    g->latest.at[param->entry->index] = node;
    return node;
}

rg_node *(rg_latest)(rg_node *param)
{
    char label[2 * RGI_LABEL];
    if (!param) {
        rgi_fail(RG_ERR_ARGUMENT, "rg_latest: input 0 is NULL");
        return NULL;
    }
    rg_graph *const g = param->graph;
    if (!param->entry)
        return rgi_graph_fail(g, RG_ERR_ARGUMENT, NULL, "rg_latest: %s is no parameter or buffer",
                              rgi_format_operand(param, label, sizeof label));
    const rg_node *const assign = g->latest.at[param->entry->index];
    return assign ? assign->in[1] : param;
}

void(rg_attach)(rg_node *node, rg_node *assign)
{
    char label[2 * RGI_LABEL];
    rg_graph *const g = node ? node->graph : rg_graph_of(assign);
    if (!node || !assign) {
        if (!g || g->error.status == RG_OK)
            rgi_graph_fail(g, RG_ERR_ARGUMENT, NULL, "rg_attach: input %d is NULL", node ? 1 : 0);
    } else if (!rgi_usable(g, "rg_attach", "the node", node) || !rgi_usable(g, "rg_attach", "the effect", assign)) {
        return;
    } else if (!(assign->op->traits & RG_EFFECT)) {
        rgi_graph_fail(g, RG_ERR_ARGUMENT, NULL, "rg_attach: %s is no effect",
                       rgi_format_operand(assign, label, sizeof label));
    } else if (rgi_list_push(g, &g->attached, node) && !rgi_list_push(g, &g->attached, assign)) {
        g->attached.n--;
    }
}

rg_node *(rg_group)(rg_graph *g, rg_nodes effects)
{
    return graph_fits(g, "rg_group") ? rg_apply_in(g, &rgi_op_group, effects, NULL) : NULL;
}
