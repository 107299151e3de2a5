/* rules.c - what the rules of several op families share. */
#include "rules.h"

#include "../graph/infer.h"

int64_t rgi_axis(const rg_node *x, int64_t axis, int32_t extra)
{
    int32_t out;
    return x && rg_axis_normalise(axis, x->shape->a.rank + extra, &out) ? out : axis;
}

bool rgi_axis_ok(const rg_infer *call, int64_t axis, int32_t rank)
{
    if (axis >= 0 && axis < rank)
        return true;
    (void)rg_infer_fail(call, RG_ERR_ARGUMENT, "axis %lld is outside [%d, %d)", (long long)axis, -rank, rank);
    return false;
}

const char *rgi_shape_text(const rg_infer *call, rg_shape attribute, char *buffer, size_t size)
{
    return rgi_format_shape(call->context ? call->context->graph : NULL, attribute, buffer, size);
}

static bool is_concrete(const rg_infer *call)
{
    return !call->context || call->context->sizes;
}

bool rgi_sizes_are_real(const rg_infer *call)
{
    bool named = false;
    for (size_t i = 0; !is_concrete(call) && i < call->n_in; i++)
        named = named || call->context->in[i]->shape->named;
    return !named;
}

const char *rgi_size_text(const rg_infer *call, int64_t size, char *buffer, size_t bytes)
{
    return rgi_format_size(is_concrete(call) ? NULL : call->context->graph, size, buffer, bytes);
}

void rgi_batch_all(rg_node *const in[], const bool batched[], size_t n, rg_node *out[])
{
    rg_node *like = NULL;
    for (size_t i = 0; i < n && !like; i++)
        like = batched[i] ? in[i] : NULL;
    for (size_t i = 0; i < n; i++)
        out[i] = batched[i] ? in[i] : rgi_expand(in[i], 0, like, 0, 1);
}

static rg_node *move_axis(rg_node *x, int64_t from, int64_t to)
{
    rg_axes axes = {.n = x ? x->shape->a.rank : 0};
    for (int32_t i = 0, source = 0; i < axes.n; i++) {
        if (source == from)
            source++;
        axes.axis[i] = i == to ? (int32_t)from : source++;
    }
    return rg_transpose(x, axes);
}

rg_node *rgi_axis_inward(rg_node *x, int64_t to)
{
    return to == 0 ? x : move_axis(x, 0, to);
}

rg_node *rgi_axis_outward(rg_node *x, int64_t from)
{
    return from == 0 ? x : move_axis(x, from, 0);
}

void rgi_jvp_linear(rg_node *self, rg_node *const tangent[], rg_node *out[])
{
    rg_node *in[4];
    const size_t n = rg_arg_count(self);
    if (!tangent[0])
        return;
    in[0] = tangent[0];
    for (size_t i = 1; i < n; i++)
        in[i] = rg_arg(self, i);
    out[0] = rg_apply(rg_op_of(self), (rg_nodes){in, n}, rg_attr(self));
}

void rgi_vjp_reshape(rg_node *self, rg_node *const ct[], rg_node *grad[])
{
    grad[0] = rg_reshape_like(ct[0], rg_arg(self, 0));
}

double rgi_bytes(const rg_step *step)
{
    double bytes = 0;
    for (uint32_t i = 0; i < step->n_in; i++)
        if (i >= 32 || !(step->op->shape_only >> i & 1))
            bytes += (double)(rgi_count(&step->in_type[i]) * rg_dtype_size(step->in_type[i].dtype));
    for (uint32_t i = 0; i < step->n_out; i++)
        bytes += (double)(rgi_count(&step->out_type[i]) * rg_dtype_size(step->out_type[i].dtype));
    return bytes;
}
