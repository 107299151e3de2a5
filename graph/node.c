/* node.c - the one way in: checks, shape rule, interning, and the making of a node. */
#include "infer.h"
#include "intern.h"
#include "scan.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* ---- checks ---- */

/* What the user called: the built-in builders are named after their ops. Only for messages. */
static const char *builder(const rg_op *op, char *buffer, size_t size)
{
    const char *prefix = "";
    for (const rg_op *const *known = rg_op_table(); *known; known++)
        if (*known == op)
            prefix = "rg_";
    snprintf(buffer, size, "%s%s", prefix, op->name);
    return buffer;
}

/* The names of the element types in a mask: "f32, f64". */
static const char *list_dtypes(unsigned mask, char *buffer, size_t size)
{
    size_t n = 0;
    buffer[0] = 0;
    for (unsigned d = RG_F32; d < RG_DTYPE_COUNT && n < size; d++)
        if (mask & RG_DT(d))
            n += (size_t)snprintf(buffer + n, size - n, "%s%s", n ? ", " : "", rg_dtype_name((rg_dtype)d));
    return buffer;
}

/* A plan's own nodes come when bodies are closed. */
static bool usable(const rg_graph *g, const rg_node *v)
{
    return v && v->graph == g && v->id < g->nodes.n && (v->region->open || g->in_compile);
}

bool rgi_usable(rg_graph *g, const char *who, const char *what, const rg_node *v)
{
    char label[2 * RGI_LABEL];
    if (usable(g, v))
        return true;
    if (!v) {
        if (g->error.status == RG_OK)
            rgi_graph_fail(g, RG_ERR_ARGUMENT, NULL, "%s: %s is NULL", who, what);
    } else if (v->graph != g) {
        rgi_graph_fail(g, RG_ERR_ARGUMENT, NULL, "%s: %s, %s, belongs to another graph", who, what,
                       rgi_format_node(v, label, sizeof label));
    } else if (v->id >= g->nodes.n) {
        rgi_graph_fail(g, RG_ERR_REGION, NULL, "%s: %s is a result of a scan that has not ended (rg_scan_end)", who,
                       what);
    } else {
        rgi_graph_fail(
            g, RG_ERR_REGION, NULL,
            "%s: %s, %s, is inside the body of scan '%s', which has ended: take it out with rg_scan_stack or "
            "rg_scan_last",
            who, what, rgi_format_operand(v, label, sizeof label), rgi_scan_name(v->region->scan));
    }
    return false;
}

static bool input_fits(rg_graph *g, const rg_op *op, rg_nodes in, size_t i)
{
    char label[2 * RGI_LABEL], list[RGI_LABEL];
    const rg_node *const v = in.at[i];
    if (!usable(g, v)) {
        char what[32];
        snprintf(what, sizeof what, "input %zu", i);
        return rgi_usable(g, v ? op->name : builder(op, label, sizeof label), what, v);
    }
    if (v->op->n_out != 1) {
        rgi_graph_fail(g, RG_ERR_ARGUMENT, NULL, "%s: input %zu, %s, has several results: use rg_output", op->name, i,
                       rgi_format_node(v, label, sizeof label));
        return false;
    }
    const unsigned dtypes = op->dtypes ? op->dtypes : RG_DT(RG_F32);
    if (dtypes == ~0u || (dtypes & RG_DT(v->dtype)) || (i < 32 && (op->shape_only >> i & 1)))
        return true;
    rgi_graph_fail(g, RG_ERR_DTYPE, NULL, "%s: input %zu, %s, is %s; possible are %s", op->name, i,
                   rgi_format_operand(v, label, sizeof label), rg_dtype_name(v->dtype),
                   list_dtypes(dtypes, list, sizeof list));
    return false;
}

static bool size_fits(rg_graph *g, const rg_op *op, const rg_attr_field *field, int64_t size)
{
    int64_t second;
    if (rgi_dim_second(g, size, &second) == RG_OK)
        return true;
    rgi_graph_fail(g, RG_ERR_ARGUMENT, NULL, "%s: %s: %s", op->name, field->name, rg_last_error());
    return false;
}

static bool field_fits(rg_graph *g, const rg_op *op, const rg_attr_field *field, const void *at)
{
    switch (field->kind) {
    case RG_ATTR_SIZE:
        return size_fits(g, op, field, *(const int64_t *)at);
    case RG_ATTR_SHAPE: {
        const rg_shape *const shape = at;
        if (shape->rank < 0 || shape->rank > RG_MAX_RANK) {
            rgi_graph_fail(g, RG_ERR_SHAPE, NULL, "%s: %s has %" PRId32 " axes, at most %d are possible", op->name,
                           field->name, shape->rank, RG_MAX_RANK);
            return false;
        }
        for (int32_t i = 0; i < shape->rank; i++)
            if (!size_fits(g, op, field, shape->dim[i]))
                return false;
        return true;
    }
    case RG_ATTR_AXES:
        if (((const rg_axes *)at)->n <= RG_MAX_RANK)
            return true;
        rgi_graph_fail(g, RG_ERR_SHAPE, NULL, "%s: %s lists %" PRId32 " axes, at most %d are possible", op->name,
                       field->name, ((const rg_axes *)at)->n, RG_MAX_RANK);
        return false;
    case RG_ATTR_BYTES:
        if (((const rg_bytes *)at)->at || ((const rg_bytes *)at)->n == 0)
            return true;
        rgi_graph_fail(g, RG_ERR_ARGUMENT, NULL, "%s: %s is NULL", op->name, field->name);
        return false;
    default:
        return true;
    }
}

static bool attributes_fit(rg_graph *g, const rg_op *op, const void *attr)
{
    if (op->attr_size && !attr) {
        rgi_graph_fail(g, RG_ERR_ARGUMENT, NULL, "%s: the attributes are NULL", op->name);
        return false;
    }
    for (const rg_attr_field *f = op->attr_size ? op->attrs : NULL; f && f->kind != RG_ATTR_END; f++)
        if (!field_fits(g, op, f, (const char *)attr + f->offset))
            return false;
    return true;
}

/* ---- making ---- */

/* Bytes are moved into the graph, aligned as a kernel wants its operands. */
static bool own_bytes(rg_graph *g, const rg_op *op, void *attr)
{
    enum { ALIGN = 64 };
    for (const rg_attr_field *f = op->attrs; f && f->kind != RG_ATTR_END; f++) {
        if (f->kind != RG_ATTR_BYTES)
            continue;
        rg_bytes *const bytes = (rg_bytes *)((char *)attr + f->offset);
        size_t room;
        char *const block = rgi_size_add(bytes->n, ALIGN, &room) ? rgi_arena_alloc(&g->arena, room) : NULL;
        if (!block)
            return false;
        char *const copy = block + (ALIGN - (uintptr_t)block % ALIGN) % ALIGN;
        if (bytes->n)
            memcpy(copy, bytes->at, bytes->n);
        bytes->at = copy;
    }
    return true;
}

rg_node *rgi_node_new(rg_graph *g, const rg_op *op, rg_node *const *in, size_t n_in, const void *attr, rg_dtype dtype,
                      const rgi_shape *shape, rgi_region *region)
{
    const size_t at_in = (sizeof(rg_node) + 15) & ~(size_t)15, at_attr = (at_in + n_in * sizeof *in + 15) & ~(size_t)15;
    char *const block = g->nodes.n < UINT32_MAX - 1 && n_in < UINT32_MAX && rgi_list_reserve(g, &g->nodes)
                            ? rgi_arena_alloc(&g->arena, at_attr + op->attr_size)
                            : NULL;
    rg_node *const node = (rg_node *)(void *)block;
    if (node && op->attr_size) {
        memcpy(block + at_attr, attr, op->attr_size);
        node->attr = block + at_attr;
    }
    if (!node || (op->attr_size && !own_bytes(g, op, block + at_attr)))
        return rgi_graph_fail(g, RG_ERR_MEMORY, NULL, "%s: out of memory for a node", op->name);
    node->graph = g;
    node->op = op;
    node->in = (rg_node **)(void *)(block + at_in);
    if (n_in)
        memcpy(node->in, in, n_in * sizeof *in);
    node->n_in = (uint32_t)n_in;
    node->dtype = dtype;
    node->shape = shape;
    node->region = region;
    node->id = (uint32_t)g->nodes.n;
    node->origin = g->origin;
    if (g->origin) {
        node->scope = g->origin->scope;
        node->file = g->origin->file;
        node->line = g->origin->line;
    } else {
        node->scope = g->scope;
        node->file = rgi_here(&node->line);
    }
    g->nodes.at[g->nodes.n++] = node;
    return node;
}

rg_node *rgi_result(rg_node *of, uint32_t i, rg_dtype dtype, const rgi_shape *shape, rgi_region *region)
{
    rg_graph *const g = of->graph;
    const rgi_projection attr = {.of = of};
    const rg_node key = {.op = &rgi_op_result, .attr = &attr, .in = &of, .n_in = 1, .region = region, .result = i};
    const uint64_t hash = rgi_node_hash(&key);
    rg_node *node = rgi_table_find(&g->interned, hash, rgi_node_same, &key);
    if (node)
        return node;
    if (!rgi_table_reserve(&g->allocator, &g->interned))
        return rgi_graph_fail(g, RG_ERR_MEMORY, NULL, "%s: out of memory for a result", of->op->name);
    node = rgi_node_new(g, &rgi_op_result, &of, 1, &attr, dtype, shape, region);
    if (!node)
        return NULL;
    node->result = i;
    node->next_result = of->results;
    of->results = node;
    rgi_table_insert(&g->interned, hash, node);
    return node;
}

/* The deepest region among the inputs'; NULL with the error recorded. */
static rgi_region *region_of(rg_graph *g, const rg_op *op, rg_node *const *in, size_t n_in)
{
    rgi_region *region = g->regions.at[0];
    for (size_t i = 0; i < n_in && region; i++)
        if (in[i]->region != region)
            region = rgi_region_join(g, op->name, region, in[i]->region);
    return region;
}

static rg_node *apply(rg_graph *g, const rg_op *op, rg_nodes in, const void *attr)
{
    rg_node *swapped[2];
    if (!attributes_fit(g, op, attr))
        return NULL;
    if ((op->traits & RG_COMMUTES) && in.n == 2 && in.at[0]->id > in.at[1]->id) {
        swapped[0] = in.at[1];
        swapped[1] = in.at[0];
        in.at = swapped;
    }
    rgi_region *const region = region_of(g, op, in.at, in.n);
    if (!region)
        return NULL;
    const bool interned = rgi_op_interned(op);
    uint64_t hash = 0;
    if (interned) {
        const rg_node key = {.op = op,
                             .attr = op->attr_size ? attr : NULL,
                             .in = (rg_node **)in.at,
                             .n_in = (uint32_t)in.n,
                             .region = region};
        hash = rgi_node_hash(&key);
        rg_node *const found = rgi_table_find(&g->interned, hash, rgi_node_same, &key);
        if (found)
            return found;
    }
    const rgi_shape *shape[RGI_RESULTS];
    rg_dtype dtype[RGI_RESULTS];
    if (!rgi_infer_both(g, op, attr, in.at, in.n, shape, dtype))
        return NULL;
    rg_node *const node = rgi_node_new(g, op, in.at, in.n, attr, dtype[0], shape[0], region);
    if (!node)
        return NULL;
    for (int k = 0; op->n_out > 1 && k < op->n_out; k++)
        if (!rgi_result(node, (uint32_t)k, dtype[k], shape[k], region))
            return NULL;
    if (!interned)
        return node;
    if (!rgi_table_reserve(&g->allocator, &g->interned))
        return rgi_graph_fail(g, RG_ERR_MEMORY, NULL, "%s: out of memory for a node", op->name);
    rgi_table_insert(&g->interned, hash, node);
    return node;
}

rg_node *rg_apply_in(rg_graph *g, const rg_op *op, rg_nodes in, const void *attr)
{
    if (!op || !op->name || (in.n && !in.at)) {
        rgi_graph_fail(g, RG_ERR_ARGUMENT, NULL, "rg_apply: the %s NULL",
                       !op         ? "op is"
                       : !op->name ? "name of the op is"
                                   : "list of inputs is");
        return NULL;
    }
    if (!g) {
        rgi_fail(RG_ERR_ARGUMENT, "%s: the graph is NULL", op->name);
        return NULL;
    }
    if (op->n_in >= 0 && in.n != (size_t)op->n_in)
        return rgi_graph_fail(g, RG_ERR_ARGUMENT, NULL, "%s: %zu inputs, it takes %d", op->name, in.n, op->n_in);
    for (size_t i = 0; i < in.n; i++)
        if (!input_fits(g, op, in, i))
            return NULL;
    return apply(g, op, in, attr);
}

rg_node *rg_apply(const rg_op *op, rg_nodes in, const void *attr)
{
    rg_graph *g = NULL;
    for (size_t i = 0; op && in.at && i < in.n && !g; i++)
        g = rg_graph_of(in.at[i]);
    if (g || !op || !in.at)
        return rg_apply_in(g, op, in, attr);
    char name[RGI_LABEL];
    if (in.n)
        rgi_fail(RG_ERR_ARGUMENT, "%s: input 0 is NULL", builder(op, name, sizeof name));
    else
        rgi_fail(RG_ERR_ARGUMENT, "%s: no inputs, hence no graph: use rg_apply_in", op->name);
    return NULL;
}
