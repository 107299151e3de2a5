/* shadow.c - a graph in f64 beside another one.

   Nodes are applied again in the order of their ids, with attributes in which element types are wider and sizes
   concrete. A stopped gradient becomes a parameter that holds the value: differences then see what derivatives see, a
   constant. */
#include "shadow.h"

#include "../graph/bf16.h"
#include "../graph/infer.h"
#include "../graph/scan.h"
#include "../ops/table_ops.h"

#include <stdio.h>
#include <string.h>

static rg_dtype wider(rg_dtype dtype)
{
    return rg_dtype_is_float(dtype) ? RG_F64 : dtype;
}

static int64_t concrete_size(const rgi_shadow *s, int64_t size)
{
    rgi_infer_context context = {.graph = s->source, .sizes = s->sizes};
    return rg_infer_size(&(rg_infer){.context = &context}, size);
}

static rg_shape concrete(const rgi_shadow *s, rg_shape shape)
{
    for (int32_t k = 0; k < shape.rank; k++)
        shape.dim[k] = concrete_size(s, shape.dim[k]);
    return shape;
}

/* ---- leaves ---- */

/* Values as the shadow's type; the caller frees `bytes` of them. */
static void *widened(const rgi_shadow *s, const rg_tensor *t, size_t *bytes)
{
    const size_t n = (size_t)rg_shape_count(t->shape);
    *bytes = n * rg_dtype_size(wider(t->dtype)) + 1;
    void *out = rgi_alloc(&s->source->allocator, *bytes);
    if (out && rg_dtype_is_float(t->dtype))
        for (size_t i = 0; i < n; i++)
            ((double *)out)[i] = rgi_float_at(t->dtype, t->data, i);
    else if (out && n)
        memcpy(out, t->data, *bytes - 1);
    return out;
}

/* A parameter (of a float) or a constant that holds the values. */
static rg_node *holder(rgi_shadow *s, const rg_node *v, const rg_tensor *t)
{
    char name[32];
    size_t bytes;
    void *values = widened(s, t, &bytes);
    rg_node *out = NULL;
    const rg_tensor wide = {wider(t->dtype), t->shape, values, NULL};
    snprintf(name, sizeof name, "v%u", (unsigned)v->id);
    if (values && rg_dtype_is_float(t->dtype)) {
        out = rg_buffer(s->to, name, RG_F64, t->shape, NULL);
        if (out && rg_set(out, &wide))
            out = NULL;
    } else if (values) {
        out = rg_const(s->to, t->dtype, t->shape, values);
    }
    rgi_free(&s->source->allocator, values, bytes);
    return out;
}

static rg_node *copy_input(rgi_shadow *s, const rg_node *v, rg_nodes inputs, const rg_tensor *values, rg_status *status)
{
    char label[RGI_LABEL];
    for (size_t i = 0; i < inputs.n; i++)
        if (inputs.at[i] == v)
            return holder(s, v, &values[i]);
    *status = rgi_fail(RG_ERR_ARGUMENT, "the loss depends on the input %s, which has no value: give it in opts.inputs",
                       rgi_format_operand(v, label, sizeof label));
    return NULL;
}

static bool push_stop(rgi_shadow *s, rg_node *held, rg_node *live)
{
    if (s->n_stops == s->stop_capacity) {
        const size_t more = 2 * s->stop_capacity + 4;
        rg_node **at = rgi_arena_alloc(&s->to->arena, 2 * more * sizeof *at);
        if (!at)
            return false;
        if (s->n_stops)
            memcpy(at, s->stops, 2 * s->n_stops * sizeof *at);
        s->stops = at;
        s->stop_capacity = more;
    }
    s->stops[2 * s->n_stops] = held;
    s->stops[2 * s->n_stops++ + 1] = live;
    return true;
}

static rg_node *copy_stop(rgi_shadow *s, const rg_node *v)
{
    char name[32];
    rg_node *live = s->of[v->in[0]->id];
    if (!live || live->dtype != RG_F64 || live->region->parent)
        return live; /* an integer, or inside a body, where each step has a value of its own */
    snprintf(name, sizeof name, "s%u", (unsigned)v->id);
    rg_node *held = rg_buffer(s->to, name, RG_F64, live->shape->a, NULL);
    return held && push_stop(s, held, live) ? held : NULL;
}

/* ---- ops ---- */

static rg_node *copy_op(rgi_shadow *s, const rg_node *v)
{
    const rg_op *op = v->op;
    rg_node **in = rgi_alloc(&s->source->allocator, (v->n_in + 1) * sizeof *in);
    char *attr = rgi_alloc(&s->source->allocator, op->attr_size + 1);
    rg_node *out = NULL;
    if (in && attr) {
        if (op->attr_size)
            memcpy(attr, v->attr, op->attr_size);
        for (const rg_attr_field *f = op->attrs; f && f->kind != RG_ATTR_END; f++) {
            char *at = attr + f->offset;
            if (f->kind == RG_ATTR_DTYPE)
                *(rg_dtype *)(void *)at = wider(*(rg_dtype *)(void *)at);
            else if (f->kind == RG_ATTR_SIZE)
                *(int64_t *)(void *)at = concrete_size(s, *(int64_t *)(void *)at);
            else if (f->kind == RG_ATTR_SHAPE)
                *(rg_shape *)(void *)at = concrete(s, *(rg_shape *)(void *)at);
        }
        for (uint32_t i = 0; i < v->n_in; i++)
            in[i] = s->of[v->in[i]->id];
        out = rg_apply_in(s->to, op, (rg_nodes){in, v->n_in}, op->attr_size ? attr : NULL);
    }
    rgi_free(&s->source->allocator, in, (v->n_in + 1) * sizeof *in);
    rgi_free(&s->source->allocator, attr, op->attr_size + 1);
    return out;
}

static rg_node *copy_const(rgi_shadow *s, const rg_node *v)
{
    const rg_bytes *bytes = v->attr; /* the first field */
    const rg_tensor t = {v->dtype, v->shape->a, (void *)(uintptr_t)bytes->at, NULL};
    size_t room;
    void *values = widened(s, &t, &room);
    rg_node *out = values ? rg_const(s->to, wider(v->dtype), t.shape, values) : NULL;
    rgi_free(&s->source->allocator, values, room);
    return out;
}

/* ---- recurrences ---- */

static bool copy_body_node(rgi_shadow *s, rg_node *v);

static bool copy_scan(rgi_shadow *s, rg_node *v)
{
    rg_scan *f = rgi_scan_of(v);
    rg_scan *c = rg_scan_begin(
        s->to, &(rg_scan_opts){
                   .name = f->name, .reverse = f->reverse, .keep_every = f->keep_every, .keep_bytes = f->keep_bytes});
    if (c) {
        c->endless = f->endless;
        c->most = f->most;
        c->trips = f->trips ? s->of[f->trips->id] : NULL;
    }
    for (size_t i = 0; c && i < f->xs.n; i++)
        s->of[((rg_node *)f->slices.at[i])->id] = rg_scan_slice(c, s->of[((rg_node *)f->xs.at[i])->id]);
    for (size_t j = 0; c && j < f->carries.n; j++)
        s->of[((rg_node *)f->carries.at[j])->id] = rg_scan_carry(c, s->of[((rg_node *)f->inits.at[j])->id]);
    if (c && f->count)
        c->count = s->of[f->count->id];
    if (c && f->index)
        s->of[f->index->id] = rgi_scan_index(s->to);
    bool ok = c != NULL;
    for (size_t id = f->first_id; ok && id < v->id; id++)
        if (rgi_node(s->source, id)->region == f->region)
            ok = copy_body_node(s, rgi_node(s->source, id));
    for (size_t j = 0; ok && j < f->carries.n; j++)
        rg_scan_next(c, s->of[((rg_node *)f->carries.at[j])->id], s->of[((rg_node *)f->nexts.at[j])->id]);
    if (c && f->test)
        c->test = s->of[f->test->id];
    for (size_t k = 0; ok && k < f->results.n; k++) { /* what lies outside is stacked while the body is open */
        const rg_node *of = rgi_projection_of(f->results.at[k])->of;
        if (of->region != f->region && s->of[of->id])
            (void)rgi_scan_stack(c, s->of[of->id]);
    }
    rg_scan_end(c);
    s->of[v->id] = c ? c->node : NULL;
    return ok && s->to->error.status == RG_OK;
}

static rg_node *copy_projection(rgi_shadow *s, const rg_node *v)
{
    const rg_node *owner = v->in[0];
    rg_node *copy = s->of[owner->id];
    if (!copy)
        return NULL;
    if (!rgi_is_scan(owner)) {
        rg_node *r = copy->results;
        while (r && r->result != v->result)
            r = r->next_result;
        return r;
    }
    const rgi_projection *p = rgi_projection_of(v);
    rg_node *of = s->of[p->of->id];
    rg_scan *c = rgi_scan_of(copy);
    return rgi_scan_result_like(c, p, of);
}

/* All results of a scan of a body: those that its reverse asked for were made when the body had ended already. */
static bool copy_results(rgi_shadow *s, const rg_node *v)
{
    const rg_scan *f = rgi_scan_of(v);
    bool ok = true;
    for (size_t k = 0; ok && k < f->results.n; k++)
        ok = copy_body_node(s, f->results.at[k]);
    return ok;
}

static bool copy_body_node(rgi_shadow *s, rg_node *v)
{
    if (s->of[v->id])
        return true; /* a leaf of the body */
    if (rgi_is_scan(v))
        return copy_scan(s, v) && copy_results(s, v);
    s->of[v->id] = rgi_is_projection(v)             ? copy_projection(s, v)
                   : v->op == &rgi_op_stop_gradient ? copy_stop(s, v)
                                                    : copy_op(s, v);
    return s->of[v->id] != NULL;
}

/* ---- all of it ---- */

/* Sizes of the named dimensions, from the values of the inputs that have such an axis by itself. */
static rg_status solve_sizes(rgi_shadow *s, rg_nodes inputs, const rg_tensor *values)
{
    char label[RGI_LABEL], have[RGI_LABEL];
    const rgi_dims *dims = &s->source->dims;
    for (size_t i = 0; i < inputs.n; i++) {
        const rg_node *v = inputs.at[i];
        if (!v || v->graph != s->source || v->op != &rgi_op_input)
            return rgi_fail(RG_ERR_ARGUMENT, "opts.inputs %zu is no input of this graph", i);
        rgi_format_operand(v, label, sizeof label);
        if (values[i].dtype != v->dtype || values[i].shape.rank != v->shape->a.rank ||
            (!values[i].data && rg_shape_count(values[i].shape)))
            return rgi_fail(RG_ERR_ARGUMENT, "the value of %s is %s", label,
                            rgi_format_type(NULL, values[i].dtype, values[i].shape, have, sizeof have));
        for (int32_t k = 0; k < v->shape->a.rank; k++)
            for (size_t d = 0; d < dims->n; d++)
                if (dims->at[d].a == v->shape->a.dim[k] && dims->at[d].b == v->shape->b.dim[k])
                    s->sizes[d] = values[i].shape.dim[k];
    }
    for (size_t i = 0; i < inputs.n; i++)
        if (!rg_shape_equal(concrete(s, inputs.at[i]->shape->a), values[i].shape))
            return rgi_fail(RG_ERR_SHAPE, "the value of %s is %s",
                            rgi_format_operand(inputs.at[i], label, sizeof label),
                            rgi_format_shape(NULL, values[i].shape, have, sizeof have));
    return RG_OK;
}

/* Whether a node is inside a body that has ended: it is copied with its scan. */
static bool inside(const rg_node *v)
{
    return v->region->parent != NULL;
}

static rg_status copy_node(rgi_shadow *s, rg_node *v, rg_nodes inputs, const rg_tensor *values, bool training)
{
    rg_status status = RG_OK;
    rg_node **of = &s->of[v->id];
    if (v->op == &rgi_op_input) {
        *of = copy_input(s, v, inputs, values, &status);
    } else if (v->entry) {
        const rg_tensor t = rg_value(v);
        *of = t.shape.rank == v->shape->a.rank ? holder(s, v, &t) : NULL;
    } else if (v->op == &rgi_op_const) {
        *of = copy_const(s, v);
    } else if (v->op == &rgi_op_training) {
        *of = rg_const(s->to, RG_BOOL, RG_SCALAR, &training);
    } else if (v->op == &rgi_op_assign) {
        *of = s->of[v->in[1]->id];
    } else {
        (void)copy_body_node(s, v);
    }
    if (*of && s->to->error.status == RG_OK)
        return RG_OK;
    if (status)
        return status;
    char label[RGI_LABEL];
    return rgi_fail(RG_ERR_ARGUMENT, "%s cannot be written in f64: %s", rgi_format_operand(v, label, sizeof label),
                    s->to->error.status ? s->to->error.text : rg_last_error());
}

rg_status rgi_shadow_make(rgi_shadow *s, rg_node *loss, rg_nodes inputs, const rg_tensor *values, bool training,
                          const char *who)
{
    rg_graph *g = loss->graph;
    *s = (rgi_shadow){.source = g, .n = g->nodes.n};
    s->of = rgi_alloc(&g->allocator, (s->n + 1) * sizeof *s->of);
    s->sizes = rgi_alloc(&g->allocator, (g->dims.n + 1) * sizeof *s->sizes);
    bool *needed = rgi_alloc(&g->allocator, s->n + 1);
    s->to = rg_graph_new(&(rg_graph_opts){.allocator = &g->allocator, .seed = g->seed});
    rg_status status = s->of && s->sizes && needed && s->to ? RG_OK : rgi_fail(RG_ERR_MEMORY, "%s: out of memory", who);
    for (size_t d = 0; !status && d < g->dims.n; d++)
        s->sizes[d] = -1;
    status = status ? status : solve_sizes(s, inputs, values);
    if (!status)
        needed[loss->id] = true;
    for (size_t id = s->n; !status && id-- > 0;)
        for (uint32_t i = 0; needed[id] && i < rgi_node(g, id)->n_in; i++)
            needed[rgi_node(g, id)->in[i]->id] = true;
    for (size_t id = 0; !status && id <= loss->id; id++)
        if (needed[id] && !inside(rgi_node(g, id)))
            status = copy_node(s, rgi_node(g, id), inputs, values, training);
    rgi_free(&g->allocator, needed, s->n + 1);
    if (status) {
        char text[RGI_ERROR_TEXT];
        snprintf(text, sizeof text, "%s", rg_last_error());
        return rgi_fail(status, "%s: %.900s", who, text);
    }
    return RG_OK;
}

void rgi_shadow_end(rgi_shadow *s)
{
    const rg_allocator *a = &s->source->allocator;
    rgi_free(a, s->of, (s->n + 1) * sizeof *s->of);
    rgi_free(a, s->sizes, (s->source->dims.n + 1) * sizeof *s->sizes);
    rg_graph_free(s->to);
}
