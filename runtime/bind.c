/* bind.c - where the inputs of a plan are, and how large they are. */
#include "plan.h"

static int64_t input_of(const rg_plan *p, const rg_node *node)
{
    for (size_t i = 0; i < p->program->n_inputs; i++)
        if (p->program->inputs[i] == node)
            return (int64_t)i;
    return -1;
}

/* The slot of an input, -2 for an input of the graph that the plan does not need, or -1 with the error set. */
static int64_t slot_of(const rg_plan *p, const rg_node *node, const void *data, const char *who)
{
    char label[RGI_LABEL];
    if (!p || !node) {
        (void)rgi_fail(RG_ERR_ARGUMENT, "%s: %s is NULL", who, p ? "the node" : "the plan");
        return -1;
    }
    const char *at = data;
    if (p->slab && at >= p->slab && at < p->slab + p->slab_bytes) {
        (void)rgi_fail(RG_ERR_ARGUMENT,
                       "%s: the data of '%s' lies in the plan's own memory, which the run overwrites: copy it, or "
                       "carry state in a buffer",
                       who, rg_name(node));
        return -1;
    }
    const int64_t i = input_of(p, node);
    if (i >= 0)
        return i;
    if (node->graph == p->program->graph && rg_op_of(node)->traits & RG_LEAF && node->name && !node->entry)
        return -2;
    (void)rgi_fail(RG_ERR_ARGUMENT, "%s: %s is no input of this plan", who, rgi_format_node(node, label, sizeof label));
    return -1;
}

static rg_status bind(rg_plan *p, rg_node *node, const void *data, const rg_shape *shape, const char *who)
{
    const int64_t i = slot_of(p, node, data, who);
    char want[RGI_LABEL], have[RGI_LABEL];
    if (i == -2)
        return RG_OK; /* dead code: nothing reads it */
    if (i < 0)
        return RG_ERR_ARGUMENT;
    rgi_binding *b = &p->bindings[i];
    if (!shape && !b->sized)
        return rgi_fail(RG_ERR_SHAPE, "%s: input '%s' %s has named sizes: use rg_bind_shape", who, rg_name(node),
                        rgi_format_type(node->graph, node->dtype, node->shape->a, want, sizeof want));
    if (shape) {
        bool fits = shape->rank == node->shape->a.rank;
        int32_t axis = 0;
        for (int32_t k = 0; fits && k < shape->rank; k++) {
            const bool named = node->shape->a.dim[k] != node->shape->b.dim[k];
            fits = shape->dim[k] >= 0 && (named || shape->dim[k] == node->shape->a.dim[k]);
            axis = k;
        }
        if (!fits && shape->rank != node->shape->a.rank)
            return rgi_fail(RG_ERR_SHAPE, "%s: input '%s' is %s, it was given %s: %d axes instead of %d", who,
                            rg_name(node), rgi_format_type(node->graph, node->dtype, node->shape->a, want, sizeof want),
                            rgi_format_shape(NULL, *shape, have, sizeof have), shape->rank, node->shape->a.rank);
        if (!fits)
            return rgi_fail(RG_ERR_SHAPE, "%s: input '%s' is %s, it was given %s: wrong size at axis %d", who,
                            rg_name(node), rgi_format_type(node->graph, node->dtype, node->shape->a, want, sizeof want),
                            rgi_format_shape(NULL, *shape, have, sizeof have), axis);
        if (!b->sized || !rg_shape_equal(b->shape, *shape)) {
            b->shape = *shape;
            b->sized = true;
            p->changed = true;
        }
    }
    if (b->data != data) {
        b->data = data;
        p->changed = true;
    }
    p->ran = p->ran && !p->changed;
    return RG_OK;
}

rg_status rg_bind(rg_plan *p, rg_node *input, const void *data)
{
    return bind(p, input, data, NULL, "rg_bind");
}

rg_status rg_bind_shape(rg_plan *p, rg_node *input, const void *data, rg_shape shape)
{
    return bind(p, input, data, &shape, "rg_bind_shape");
}

rg_status rg_bind_tensor(rg_plan *p, rg_node *input, const rg_tensor *tensor)
{
    if (!tensor)
        return rgi_fail(RG_ERR_ARGUMENT, "rg_bind_tensor: the tensor is NULL");
    if (input && tensor->dtype != input->dtype)
        return rgi_fail(RG_ERR_DTYPE, "rg_bind_tensor: input '%s' is %s, the tensor is %s", rg_name(input),
                        rg_dtype_name(input->dtype), rg_dtype_name(tensor->dtype));
    return bind(p, input, tensor->data, &tensor->shape, "rg_bind_tensor");
}

rg_node *rgi_unbound(const rg_plan *p, bool data)
{
    for (size_t i = 0; i < p->program->n_read; i++) {
        const rgi_binding *b = &p->bindings[i];
        const bool empty = b->sized && rg_shape_count(b->shape) == 0;
        if (!b->sized || (data && !b->data && !empty))
            return p->program->inputs[i];
    }
    return NULL;
}

rg_node *rg_plan_unbound(const rg_plan *p)
{
    return p ? rgi_unbound(p, true) : NULL;
}
