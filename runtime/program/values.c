/* values.c - the values of a program: leaves, views and aliases, constants computed while compiling. */
#include "lower.h"

#include "../../ops/table_ops.h"
#include "evaluate.h"

#include <string.h>

bool rgi_push(rgi_arena *arena, void **at, size_t *n, size_t *capacity, size_t size, const void *item)
{
    if (*n == *capacity) {
        const size_t larger = *capacity ? 2 * *capacity : 16;
        void *to = rgi_arena_alloc(arena, larger * size);
        if (!to)
            return false;
        if (*n)
            memcpy(to, *at, *n * size);
        *at = to;
        *capacity = larger;
    }
    memcpy((char *)*at + *n * size, item, size);
    ++*n;
    return true;
}

static bool grow_buckets(rgi_lowering *l)
{
    const size_t buckets = l->shape_buckets ? 2 * l->shape_buckets : 64;
    uint32_t *index = rgi_arena_alloc(&l->temporary, buckets * sizeof *index);
    if (!index)
        return false;
    for (size_t i = 0; i < l->p->n_shapes; i++) {
        size_t at = ((uintptr_t)l->p->shapes[i] >> 4) * 0x9E3779B97F4A7C15u % buckets;
        while (index[at])
            at = (at + 1) % buckets;
        index[at] = (uint32_t)i + 1;
    }
    l->shape_index = index;
    l->shape_buckets = buckets;
    return true;
}

uint32_t rgi_shape_number(rgi_lowering *l, const rgi_shape *shape)
{
    rgi_program *p = l->p;
    if (2 * (p->n_shapes + 1) > l->shape_buckets && !grow_buckets(l)) {
        l->failed = true;
        return 0;
    }
    size_t at = ((uintptr_t)shape >> 4) * 0x9E3779B97F4A7C15u % l->shape_buckets;
    while (l->shape_index[at]) {
        if (p->shapes[l->shape_index[at] - 1] == shape)
            return l->shape_index[at] - 1;
        at = (at + 1) % l->shape_buckets;
    }
    if (!rgi_push(&p->arena, (void **)&p->shapes, &p->n_shapes, &l->shape_capacity, sizeof *p->shapes, &shape)) {
        l->failed = true;
        return 0;
    }
    l->shape_index[at] = (uint32_t)p->n_shapes;
    return (uint32_t)p->n_shapes - 1;
}

int32_t rgi_value_new(rgi_lowering *l, const rg_node *node, rgi_place place)
{
    rgi_program *p = l->p;
    const rgi_value v = {.node = node,
                         .dtype = node->dtype,
                         .size = (uint32_t)rg_dtype_size(node->dtype),
                         .place = place,
                         .shape = rgi_shape_number(l, node->shape),
                         .part_of = RGI_NONE,
                         .step_loop = RGI_NONE,
                         .slot = RGI_NONE,
                         .scalar = RGI_NONE,
                         .unit = RGI_NONE,
                         .loop = l->block ? l->block->loop : RGI_NONE,
                         .first = RGI_NONE,
                         .last = RGI_NONE};
    if (!rgi_push(&p->arena, (void **)&p->values, &p->n_values, &l->value_capacity, sizeof v, &v)) {
        l->failed = true;
        return RGI_NONE;
    }
    return (int32_t)p->n_values - 1;
}

double rgi_value_bytes(const rgi_program *p, int32_t v)
{
    const rg_shape *shape = &p->shapes[p->values[v].shape]->a;
    double bytes = p->values[v].size;
    for (int32_t i = 0; i < shape->rank; i++)
        bytes *= (double)shape->dim[i];
    return bytes;
}

static int32_t fixed_value(rgi_lowering *l, const rg_node *node, const void *data)
{
    const int32_t v = rgi_value_new(l, node, RGI_FIXED);
    if (v != RGI_NONE)
        l->p->values[v].fixed = data;
    return v;
}

int32_t rgi_value_within(rgi_lowering *l, const rg_node *node, int32_t whole)
{
    const int32_t v = whole == RGI_NONE ? RGI_NONE : rgi_value_new(l, node, l->p->values[whole].place);
    if (v == RGI_NONE)
        return RGI_NONE;
    rgi_value *const values = l->p->values;
    values[v].part_of = whole;
    values[v].unit = values[whole].unit;
    values[v].loop = values[whole].loop;
    return v;
}

/* Whether a value is the same all through a run: a constant or a view of one, but not its rows one after the other. */
static bool is_constant(const rgi_program *p, int32_t v)
{
    for (; p->values[v].part_of != RGI_NONE; v = p->values[v].part_of)
        if (p->values[v].step_loop != RGI_NONE)
            return false;
    return p->values[v].place == RGI_FIXED;
}

int32_t rgi_value_fold(rgi_lowering *l, const rg_node *node)
{
    const rgi_program *p = l->p;
    const void *in[RGI_MAX_ARITY] = {NULL};
    if (p->opts.check_rewrites) /* it is computed by a step, and compared */
        return RGI_NONE;
    for (size_t i = 0; i < node->n_in && i < RGI_MAX_ARITY; i++) {
        const int32_t v = rgi_reads(node->op, i) ? l->value_of[node->in[i]->id] : RGI_NONE;
        in[i] = v != RGI_NONE && is_constant(p, v) ? p->values[rgi_owner(p, v)].fixed : NULL;
    }
    const void *data = rgi_fold(l, node, in);
    return data ? fixed_value(l, node, data) : RGI_NONE;
}

static int32_t stored_value(rgi_lowering *l, const rg_node *node)
{
    const int32_t v = rgi_value_new(l, node, RGI_STORE);
    if (v != RGI_NONE)
        l->p->values[v].slot = (int32_t)node->entry->index;
    return v;
}

static int32_t input_value(rgi_lowering *l, const rg_node *node)
{
    const int32_t v = rgi_value_new(l, node, RGI_BOUND);
    if (v == RGI_NONE)
        return v;
    l->p->values[v].slot = (int32_t)l->p->n_inputs;
    if (!rgi_push(&l->p->arena, (void **)&l->p->inputs, &l->p->n_inputs, &l->input_capacity, sizeof node, &node))
        l->failed = true;
    return v;
}

static int32_t training_value(rgi_lowering *l, const rg_node *node)
{
    uint8_t *flag = rgi_arena_alloc(&l->p->arena, 1);
    if (!flag) {
        l->failed = true;
        return RGI_NONE;
    }
    *flag = l->p->opts.mode != RG_EVAL;
    return fixed_value(l, node, flag);
}

/* A constant of a size known later: in elementwise ops a number; in memory only for those who want it there. */
static int32_t uniform_value(rgi_lowering *l, const rg_node *node)
{
    int32_t v = rgi_value_fold(l, node);
    if (v == RGI_NONE && !l->failed)
        v = rgi_value_new(l, node, RGI_VOID);
    if (v == RGI_NONE)
        return v;
    void *number = rgi_arena_alloc(&l->p->arena, 16);
    const rgi_shape *scalar = rgi_shape_intern(l->g, RG_SCALAR, RG_SCALAR);
    const int32_t s = number && scalar ? rgi_value_new(l, node, RGI_FIXED) : RGI_NONE;
    const rg_type type = {node->dtype, RG_SCALAR};
    const void *const none[RGI_MAX_ARITY] = {NULL};
    rg_type in[RGI_MAX_ARITY];
    for (size_t i = 0; i < node->n_in && i < RGI_MAX_ARITY; i++)
        in[i] = (rg_type){node->in[i]->dtype, RG_SCALAR};
    if (s == RGI_NONE || node->n_in > RGI_MAX_ARITY ||
        rgi_evaluate(&l->p->arena.allocator, node, none, in, &number, &type)) {
        l->failed = true;
        return RGI_NONE;
    }
    l->p->values[s].shape = rgi_shape_number(l, scalar);
    l->p->values[s].fixed = number;
    l->p->values[v].scalar = s;
    return v;
}

int32_t rgi_value_leaf(rgi_lowering *l, const rg_node *node)
{
    double number;
    if (node->entry)
        return stored_value(l, node);
    if (node->op == &rgi_op_input)
        return input_value(l, node);
    if (node->op == &rgi_op_training)
        return training_value(l, node);
    if (node->op == &rgi_op_const)
        return fixed_value(l, node, ((const rg_bytes *)node->attr)->at);
    if (node->op->uniform && node->op->uniform(node->attr, &number))
        return uniform_value(l, node);
    if (node->op == &rgi_op_assign)
        return rgi_value_within(l, node, rgi_value_in_memory(l, node->in[1]));
    if (node->op->traits & RG_VIEW) {
        const int32_t window = rgi_window_view(l, node);
        return window != RGI_NONE || l->failed ? window
                                               : rgi_value_within(l, node, rgi_value_in_memory(l, node->in[0]));
    }
    return rgi_value_fold(l, node);
}
