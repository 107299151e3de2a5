/* infer.c - shape rules: running them under both assignments, what they may ask, and the ready-made ones. */
#include "infer.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* ---- what a rule may ask ---- */

int64_t rg_infer_size(const rg_infer *call, int64_t attribute)
{
    const rgi_infer_context *const context = call->context;
    int64_t second = attribute, concrete;
    if (!context || (!context->second && !context->sizes) ||
        rgi_dim_second(context->graph, attribute, &second) != RG_OK)
        return attribute; /* the last cannot be: attributes were checked before the rule was run */
    if (!context->sizes || second == attribute)
        return second;
    return rgi_dim_value(context->graph, attribute, context->sizes, &concrete) ? concrete : -1;
}

rg_shape rg_infer_shape(const rg_infer *call, rg_shape attribute)
{
    for (int32_t i = 0; i < attribute.rank && i < RG_MAX_RANK; i++)
        attribute.dim[i] = rg_infer_size(call, attribute.dim[i]);
    return attribute;
}

/* "f32[32, 10] 'a', f32[7] 'b'": at most the first four. */
static void list_inputs(const rg_infer *call, char *text, size_t size)
{
    size_t n = 0;
    text[0] = 0;
    for (size_t i = 0; i < call->n_in && n < size; i++) {
        char one[2 * RGI_LABEL];
        if (i == 4) {
            snprintf(text + n, size - n, ", ...");
            return;
        }
        n += (size_t)snprintf(text + n, size - n, "%s%s", i ? ", " : "",
                              rgi_format_operand(call->context->in[i], one, sizeof one));
    }
}

rg_status rg_infer_fail(const rg_infer *call, rg_status status, const char *format, ...)
{
    char text[RGI_ERROR_TEXT / 2], inputs[RGI_ERROR_TEXT / 2];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (!call->context || call->context->sizes)
        return rgi_fail(status, "%s: %s", call->op->name, text);
    list_inputs(call, inputs, sizeof inputs);
    rgi_graph_fail(call->context->graph, status, NULL, "%s: %s%s%s", call->op->name, text, *inputs ? "; inputs: " : "",
                   inputs);
    return status;
}

/* ---- ready-made rules ---- */

rg_status rg_infer_same(rg_infer *call)
{
    if (call->n_in < 1)
        return rg_infer_fail(call, RG_ERR_ARGUMENT, "needs an input");
    call->out[0] = call->in[0];
    return RG_OK;
}

static rg_status fail_pair(const rg_infer *call, rg_status status, const char *what, size_t i, size_t j,
                           const char *where)
{
    char a[2 * RGI_LABEL], b[2 * RGI_LABEL];
    if (!call->context || call->context->sizes)
        return rgi_fail(status, "%s: %s inputs %zu and %zu%s", call->op->name, what, i, j, where);
    rgi_graph_fail(call->context->graph, status, NULL, "%s: %s %s with %s%s", call->op->name, what,
                   rgi_format_operand(call->context->in[i], a, sizeof a),
                   rgi_format_operand(call->context->in[j], b, sizeof b), where);
    return status;
}

static rg_status fail_broadcast(const rg_infer *call, size_t i, size_t j, int32_t axis, int64_t have, int64_t got)
{
    const rg_graph *const g = call->context ? call->context->graph : NULL;
    char where[2 * RGI_LABEL + 40], a[RGI_LABEL], b[RGI_LABEL];
    snprintf(where, sizeof where, " at axis %" PRId32 " (%s against %s)", axis, rgi_format_size(g, have, a, sizeof a),
             rgi_format_size(g, got, b, sizeof b));
    return fail_pair(call, RG_ERR_SHAPE, "cannot broadcast", i, j, where);
}

/* NumPy's rule. Whether a size is 1 never depends on names (rgi_dims_note sees to it), so what is broadcast under one
   assignment is broadcast under the other. */
rg_status rg_infer_broadcast(rg_infer *call)
{
    if (call->n_in < 1)
        return rg_infer_fail(call, RG_ERR_ARGUMENT, "needs an input");
    rg_type out = call->in[0];
    size_t from[RG_MAX_RANK] = {0}; /* the input that decided each axis */
    for (size_t i = 1; i < call->n_in; i++) {
        const rg_type *const in = &call->in[i];
        if (in->dtype != out.dtype)
            return fail_pair(call, RG_ERR_DTYPE, "cannot combine", 0, i,
                             ": different element types (rg_cast makes one the other)");
        const int32_t grow = in->shape.rank - out.shape.rank;
        if (grow > 0) {
            memmove(out.shape.dim + grow, out.shape.dim, (size_t)out.shape.rank * sizeof *out.shape.dim);
            memmove(from + grow, from, (size_t)out.shape.rank * sizeof *from);
            for (int32_t k = 0; k < grow; k++) {
                out.shape.dim[k] = 1;
                from[k] = i;
            }
            out.shape.rank = in->shape.rank;
        }
        const int32_t shift = out.shape.rank - in->shape.rank;
        for (int32_t k = 0; k < in->shape.rank; k++) {
            const int64_t size = in->shape.dim[k];
            int64_t *const have = &out.shape.dim[k + shift];
            if (size == *have || size == 1)
                continue;
            if (*have != 1)
                return fail_broadcast(call, from[k + shift], i, k + shift, *have, size);
            *have = size;
            from[k + shift] = i;
        }
    }
    call->out[0] = out;
    return RG_OK;
}

/* ---- concrete sizes ---- */

rg_status rgi_infer_concrete(const rg_node *node, const int64_t *sizes, rg_type *in, rg_type *out)
{
    rgi_infer_context context = {.graph = node->graph, .in = node->in, .sizes = sizes};
    rg_infer call = {.op = node->op, .attr = node->attr, .n_in = node->n_in, .in = in, .out = out, .context = &context};
    memset(out, 0, (size_t)node->op->n_out * sizeof *out);
    return node->op->infer(&call);
}

/* ---- both assignments ---- */

/* Runs the rule once and checks that what it gives is a type. */
static bool run_rule(const rg_op *op, const void *attr, rgi_infer_context *context, size_t n_in, rg_type *types,
                     rg_type *out)
{
    rg_graph *const g = context->graph;
    rg_infer call = {.op = op, .attr = attr, .n_in = n_in, .in = types, .out = out, .context = context};
    for (size_t i = 0; i < n_in; i++) {
        const rgi_shape *const shape = context->in[i]->shape;
        types[i] = (rg_type){context->in[i]->dtype, context->second ? shape->b : shape->a};
    }
    memset(out, 0, (size_t)op->n_out * sizeof *out);
    const rg_status had = g->error.status, status = op->infer(&call);
    if (status != RG_OK) {
        if (had == RG_OK && g->error.status == RG_OK)
            rgi_graph_fail(g, status, NULL, "%s: the shape rule refused its inputs", op->name);
        return false;
    }
    for (int k = 0; k < op->n_out; k++) {
        char text[RGI_LABEL];
        const rg_shape *const shape = &out[k].shape;
        if (shape->rank < 0 || shape->rank > RG_MAX_RANK) {
            rgi_graph_fail(g, RG_ERR_SHAPE, NULL, "%s: %" PRId32 " axes, at most %d are possible", op->name,
                           shape->rank, RG_MAX_RANK);
            return false;
        }
        if (!rg_dtype_size(out[k].dtype)) {
            rgi_graph_fail(g, RG_ERR_DTYPE, NULL, "%s: unknown element type %d", op->name, (int)out[k].dtype);
            return false;
        }
        for (int32_t i = 0; i < shape->rank; i++)
            if (shape->dim[i] < 0) {
                rgi_graph_fail(g, RG_ERR_SHAPE, NULL, "%s: size %" PRId64 " at axis %" PRId32 " of %s is negative",
                               op->name, shape->dim[i], i, rgi_format_shape(g, *shape, text, sizeof text));
                return false;
            }
    }
    return true;
}

/* Whether a rule may give something else under the second assignment. */
static bool depends_on_names(const rg_graph *g, const rg_op *op, const void *attr, rg_node *const *in, size_t n_in)
{
    if (g->dims.n == 0)
        return false;
    for (size_t i = 0; i < n_in; i++)
        if (in[i]->shape->named)
            return true;
    for (const rg_attr_field *f = attr ? op->attrs : NULL; f && f->kind != RG_ATTR_END; f++)
        if (f->kind == RG_ATTR_SIZE || f->kind == RG_ATTR_SHAPE)
            return true;
    return false;
}

static const rgi_shape *intern_result(rg_graph *g, const rg_op *op, const rg_type *a, const rg_type *b,
                                      rg_node *const *in, size_t n_in)
{
    for (size_t i = 0; i < n_in && i < 3; i++) /* most results are shaped as an input */
        if (rg_shape_equal(in[i]->shape->a, a->shape) && rg_shape_equal(in[i]->shape->b, b->shape))
            return in[i]->shape;
    for (int32_t i = 0; i < a->shape.rank; i++)
        if (a->shape.dim[i] != b->shape.dim[i] && !rgi_dims_note(g, op->name, a->shape.dim[i], b->shape.dim[i]))
            return NULL;
    return rgi_shape_intern(g, a->shape, b->shape);
}

bool rgi_infer_both(rg_graph *g, const rg_op *op, const void *attr, rg_node *const *in, size_t n_in,
                    const rgi_shape **shape, rg_dtype *dtype)
{
    enum { INLINE = 16 };
    rg_type inline_types[INLINE], first[RGI_RESULTS], second[RGI_RESULTS];
    size_t bytes;
    rg_type *types = inline_types;
    if (op->n_out < 1 || op->n_out > RGI_RESULTS || !op->infer) {
        rgi_graph_fail(g, RG_ERR_ARGUMENT, NULL, "%s: an op needs a shape rule and 1 to %d results", op->name,
                       RGI_RESULTS);
        return false;
    }
    if (n_in > INLINE)
        types = rgi_size_mul(n_in, sizeof *types, &bytes) ? rgi_alloc(&g->allocator, bytes) : NULL;
    if (!types) {
        rgi_graph_fail(g, RG_ERR_MEMORY, NULL, "%s: out of memory for %zu inputs", op->name, n_in);
        return false;
    }
    rgi_infer_context context = {.graph = g, .in = in};
    const bool named = depends_on_names(g, op, attr, in, n_in);
    bool ok = run_rule(op, attr, &context, n_in, types, first);
    context.second = true;
    ok = ok && (!named || run_rule(op, attr, &context, n_in, types, second));
    for (int k = 0; ok && k < op->n_out; k++) {
        const rg_type *const a = &first[k], *const b = named ? &second[k] : a;
        if (a->dtype != b->dtype || a->shape.rank != b->shape.rank) {
            rgi_graph_fail(g, RG_ERR_SHAPE, NULL,
                           "%s: the element type or the number of axes depends on a named dimension", op->name);
            ok = false;
            break;
        }
        dtype[k] = a->dtype;
        shape[k] = intern_result(g, op, a, b, in, n_in);
        ok = shape[k] != NULL;
    }
    if (types != inline_types)
        rgi_free(&g->allocator, types, n_in * sizeof *types);
    return ok;
}
