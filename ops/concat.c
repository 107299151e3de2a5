/* concat.c - tensors joined along an axis.
     concat(x_0, .., x_n) {axis};   dx_i = concat_part(g, x_0, .., x_n) {axis, i}, which is g's slice where x_i was put
   The rule of concat_part refers to shapes of all inputs instead of positions, since sizes may be known only later. */
#include "move.h"
#include "rules.h"
#include "table_ops.h"

#include <retrograde/op.h>

#include <string.h>

/* Inputs of one node: with the cotangent in front they fill the bits of rg_op.shape_only. More are joined in groups. */
#define CONCAT_MAX 31

typedef struct concat_attr {
    int64_t axis;
} concat_attr;

static const rg_attr_field concat_attrs[] = {
    {"axis", offsetof(concat_attr, axis), RG_ATTR_I64},
    {0},
};

typedef struct part_attr {
    int64_t axis, i;
} part_attr;

static const rg_attr_field part_attrs[] = {
    {"axis", offsetof(part_attr, axis), RG_ATTR_I64},
    {"i", offsetof(part_attr, i), RG_ATTR_I64},
    {0},
};

/* ---- shape rules ---- */

/* The type of in[first], in[first + 1], ... joined. */
static rg_status joined(rg_infer *call, size_t first, int64_t axis, rg_type *out)
{
    const rg_type *x = &call->in[first];
    if (call->n_in <= first || call->n_in > CONCAT_MAX + first)
        return rg_infer_fail(call, RG_ERR_ARGUMENT, "%zu inputs, not 1 to %d", call->n_in - first, CONCAT_MAX);
    if (!rgi_axis_ok(call, axis, x->shape.rank))
        return RG_ERR_ARGUMENT;
    *out = *x;
    for (size_t i = first + 1; i < call->n_in; i++) {
        const rg_type *other = &call->in[i];
        if (other->dtype != x->dtype)
            return rg_infer_fail(call, RG_ERR_DTYPE, "inputs %zu and %zu differ in dtype", first, i);
        if (other->shape.rank != x->shape.rank)
            return rg_infer_fail(call, RG_ERR_SHAPE, "inputs %zu and %zu have %d and %d axes", first, i, x->shape.rank,
                                 other->shape.rank);
        for (int32_t k = 0; k < x->shape.rank; k++)
            if (k != axis && other->shape.dim[k] != x->shape.dim[k])
                return rg_infer_fail(call, RG_ERR_SHAPE,
                                     "inputs %zu and %zu differ along axis %d, only axis %lld may differ", first, i, k,
                                     (long long)axis);
        if (__builtin_add_overflow(out->shape.dim[axis], other->shape.dim[axis], &out->shape.dim[axis]))
            return rg_infer_fail(call, RG_ERR_SHAPE, "axis %lld of the result is too long", (long long)axis);
    }
    return RG_OK;
}

static rg_status infer_concat(rg_infer *call)
{
    return joined(call, 0, ((const concat_attr *)call->attr)->axis, &call->out[0]);
}

static rg_status infer_part(rg_infer *call)
{
    const part_attr *a = call->attr;
    rg_type whole = {0};
    const rg_status status = joined(call, 1, a->axis, &whole);
    if (status != RG_OK)
        return status;
    if (!rg_shape_equal(whole.shape, call->in[0].shape))
        return rg_infer_fail(call, RG_ERR_SHAPE, "input 0 is not shaped as the others joined along axis %lld",
                             (long long)a->axis);
    call->out[0] = (rg_type){call->in[0].dtype, call->in[1 + a->i].shape};
    return RG_OK;
}

/* ---- derivatives and batching ---- */

static void vjp_concat(rg_node *self, rg_node *const ct[], rg_node *grad[])
{
    rg_node *in[CONCAT_MAX + 1] = {ct[0]};
    const size_t n = rg_arg_count(self);
    for (size_t i = 0; i < n; i++)
        in[1 + i] = rg_arg(self, i);
    for (size_t i = 0; i < n; i++)
        if (rg_wants(self, i))
            grad[i] = rg_apply(&rgi_op_concat_part, (rg_nodes){in, n + 1},
                               &(part_attr){((const concat_attr *)rg_attr(self))->axis, (int64_t)i});
}

static void jvp_concat(rg_node *self, rg_node *const tangent[], rg_node *out[])
{
    rg_node *in[CONCAT_MAX];
    const size_t n = rg_arg_count(self);
    for (size_t i = 0; i < n; i++)
        in[i] = tangent[i] ? tangent[i] : rg_zeros_like(rg_arg(self, i));
    out[0] = rg_apply(&rgi_op_concat, (rg_nodes){in, n}, rg_attr(self));
}

static void vjp_part(rg_node *self, rg_node *const ct[], rg_node *grad[])
{
    const part_attr *a = rg_attr(self);
    rg_node *in[CONCAT_MAX];
    const size_t n = rg_arg_count(self) - 1;
    for (size_t i = 0; i < n; i++)
        in[i] = (int64_t)i == a->i ? ct[0] : rg_zeros_like(rg_arg(self, 1 + i));
    grad[0] = rg_apply(&rgi_op_concat, (rg_nodes){in, n}, &(concat_attr){a->axis});
}

static void jvp_part(rg_node *self, rg_node *const tangent[], rg_node *out[])
{
    rg_node *in[CONCAT_MAX + 1] = {tangent[0]};
    const size_t n = rg_arg_count(self);
    for (size_t i = 1; i < n; i++)
        in[i] = rg_arg(self, i);
    if (tangent[0])
        out[0] = rg_apply(&rgi_op_concat_part, (rg_nodes){in, n}, rg_attr(self));
}

static void batch_concat(rg_node *self, rg_node *const in[], const bool batched[], rg_node *out[])
{
    rg_node *all[CONCAT_MAX];
    const size_t n = rg_arg_count(self);
    rgi_batch_all(in, batched, n, all);
    out[0] =
        rg_apply(&rgi_op_concat, (rg_nodes){all, n}, &(concat_attr){((const concat_attr *)rg_attr(self))->axis + 1});
}

static void batch_part(rg_node *self, rg_node *const in[], const bool batched[], rg_node *out[])
{
    const part_attr *a = rg_attr(self);
    rg_node *all[CONCAT_MAX + 1];
    const size_t n = rg_arg_count(self);
    rgi_batch_all(in, batched, n, all);
    out[0] = rg_apply(&rgi_op_concat_part, (rg_nodes){all, n}, &(part_attr){a->axis + 1, a->i});
}

/* ---- running ---- */

/* The move between input i (at *offset elements of the whole, which is then advanced) and its place in the whole. */
static rgi_move block(const rg_type *whole, const rg_type *part, int32_t axis, bool into, ptrdiff_t *offset)
{
    const ptrdiff_t outer = (ptrdiff_t)rgi_count_range(&whole->shape, 0, axis);
    const ptrdiff_t row = (ptrdiff_t)rgi_count_range(&whole->shape, axis, whole->shape.rank);
    const ptrdiff_t piece = (ptrdiff_t)rgi_count_range(&part->shape, axis, part->shape.rank);
    rgi_move m = {.size = rg_dtype_size(whole->dtype)};
    rgi_move_axis(&m, (size_t)outer, into ? piece : row, into ? row : piece);
    rgi_move_axis(&m, (size_t)piece, 1, 1);
    rgi_move_cut(&m);
    *offset += piece;
    return m;
}

static void cost_concat(const rg_step *step, rg_cost *c)
{
    const int32_t axis = (int32_t)((const concat_attr *)step->attr)->axis;
    ptrdiff_t offset = 0;
    for (uint32_t i = 0; i < step->n_in; i++) {
        const rgi_move m = block(&step->out_type[0], &step->in_type[i], axis, true, &offset);
        c->tasks[0] += m.tasks;
    }
    c->bytes = rgi_bytes(step);
}

static rg_status run_concat(const rg_step *step, size_t lo, size_t hi)
{
    const int32_t axis = (int32_t)((const concat_attr *)step->attr)->axis;
    ptrdiff_t offset = 0;
    size_t first = 0;
    for (uint32_t i = 0; i < step->n_in && first < hi; i++) {
        const ptrdiff_t at = offset;
        const rgi_move m = block(&step->out_type[0], &step->in_type[i], axis, true, &offset);
        first = rgi_move_part(&m, step->in[i], rgi_at_out(step->out[0], at, m.size), first, lo, hi);
    }
    return RG_OK;
}

static bool window_concat(const rg_step *step, size_t i, rg_window *out)
{
    const int32_t axis = (int32_t)((const concat_attr *)step->attr)->axis;
    const rg_shape *whole = &step->out_type[0].shape;
    *out = (rg_window){.pitch = rgi_count_range(whole, axis, whole->rank)};
    for (size_t k = 0; k <= i; k++) {
        const rg_shape *part = &step->in_type[k].shape;
        out->offset += out->length;
        out->length = rgi_count_range(part, axis, part->rank);
    }
    return true;
}

static bool window_part(const rg_step *step, size_t i, rg_window *out)
{
    const part_attr *a = step->attr;
    const rg_shape *whole = &step->in_type[0].shape;
    *out = (rg_window){.pitch = rgi_count_range(whole, (int32_t)a->axis, whole->rank)};
    for (int64_t k = 0; k <= a->i; k++) {
        const rg_shape *part = &step->in_type[1 + k].shape;
        out->offset += out->length;
        out->length = rgi_count_range(part, (int32_t)a->axis, part->rank);
    }
    return i == 0;
}

typedef struct part_geometry {
    rgi_move move;
    ptrdiff_t at; /* the element of the whole where the part begins */
} part_geometry;

static void geometry_part(const rg_step *step, void *out)
{
    const part_attr *a = step->attr;
    part_geometry *p = out;
    ptrdiff_t offset = 0;
    for (int64_t i = 0; i < a->i; i++)
        (void)block(&step->in_type[0], &step->in_type[1 + i], (int32_t)a->axis, false, &offset);
    p->at = offset;
    p->move = block(&step->in_type[0], &step->out_type[0], (int32_t)a->axis, false, &offset);
}

static void cost_part(const rg_step *step, rg_cost *c)
{
    const part_geometry *p = step->geometry;
    c->tasks[0] = p->move.tasks;
    c->bytes = 2 * (double)rgi_count(&step->out_type[0]) * (double)p->move.size;
}

static rg_status run_part(const rg_step *step, size_t lo, size_t hi)
{
    const part_geometry *p = step->geometry;
    rgi_move_run(&p->move, rgi_at(step->in[0], p->at, p->move.size), step->out[0], lo, hi);
    return RG_OK;
}

const rg_op rgi_op_concat = {
    .name = "concat",
    .n_in = -1,
    .n_out = 1,
    .traits = RG_JOINS | RG_MOVES,
    .dtypes = RG_DT_ALL,
    .attr_size = sizeof(concat_attr),
    .attrs = concat_attrs,
    .infer = infer_concat,
    .vjp = vjp_concat,
    .jvp = jvp_concat,
    .batch = batch_concat,
    .cost = cost_concat,
    .window = window_concat,
    .run = run_concat,
};

/* Axis for axis, but for the joined one. */
static void reads_part(const rg_step *step, size_t i, int32_t from[])
{
    for (int32_t a = 0; a < step->in_type[i].shape.rank; a++)
        from[a] = a == (int32_t)((const part_attr *)step->attr)->axis ? -1 : a;
}

const rg_op rgi_op_concat_part = {
    .name = "concat_part",
    .n_in = -1,
    .n_out = 1,
    .traits = RG_MOVES | RG_ROWS,
    .dtypes = RG_DT_ALL,
    .shape_only = ~1u,
    .attr_size = sizeof(part_attr),
    .attrs = part_attrs,
    .infer = infer_part,
    .vjp = vjp_part,
    .jvp = jvp_part,
    .batch = batch_part,
    .geometry_size = sizeof(part_geometry),
    .geometry = geometry_part,
    .cost = cost_part,
    .window = window_part,
    .run = run_part,
    .reads = reads_part,
};

/* ---- builders ---- */

static rg_graph *graph_of(rg_nodes xs)
{
    for (size_t i = 0; xs.at && i < xs.n; i++)
        if (xs.at[i])
            return xs.at[i]->graph;
    return NULL;
}

/* Joins `level` in groups, then the groups, until one node is left. Overwrites the array. */
static rg_node *join(rg_node **level, size_t n, const concat_attr *a)
{
    if (n == 1 && level[0] && a->axis >= 0 && a->axis < level[0]->shape->a.rank)
        return level[0];
    do {
        size_t groups = 0;
        for (size_t i = 0; i < n; i += CONCAT_MAX) {
            const size_t size = n - i < CONCAT_MAX ? n - i : CONCAT_MAX;
            const bool alone = size == 1 && n > 1 && level[i];
            level[groups] = alone ? level[i] : rg_apply(&rgi_op_concat, (rg_nodes){level + i, size}, a);
            if (!level[groups++])
                return NULL;
        }
        n = groups;
    } while (n > 1);
    return level[0];
}

/* A copy of the list, to be joined and given back; NULL with the error recorded. */
static rg_node **copied(rg_graph *g, const char *who, rg_nodes xs)
{
    if (!g) {
        rg_build_fail(NULL, RG_ERR_ARGUMENT, "%s: no inputs", who);
        return NULL;
    }
    rg_node **level = rgi_alloc(&g->allocator, xs.n * sizeof *level);
    if (level)
        memcpy(level, xs.at, xs.n * sizeof *level);
    else
        rg_build_fail(g, RG_ERR_MEMORY, "%s: out of memory for %zu inputs", who, xs.n);
    return level;
}

rg_node *rg_concat(rg_nodes xs, int axis)
{
    rg_graph *g = graph_of(xs);
    rg_node **level = copied(g, "rg_concat", xs), *y = NULL;
    if (level) {
        y = join(level, xs.n, &(concat_attr){rgi_axis(xs.at[0], axis, 0)});
        rgi_free(&g->allocator, level, xs.n * sizeof *level);
    }
    return y;
}

/* Whether input i can be stacked with input 0. */
static bool stacks(rg_graph *g, const rg_node *first, const rg_node *x, size_t i)
{
    char a[2 * RGI_LABEL], b[2 * RGI_LABEL];
    if (!first || !x) {
        if (g->error.status == RG_OK)
            rg_build_fail(g, RG_ERR_ARGUMENT, "rg_stack: input %zu is NULL", first ? i : 0);
        return false;
    }
    if (x->dtype == first->dtype && x->shape == first->shape)
        return true;
    rg_build_fail(g, x->dtype == first->dtype ? RG_ERR_SHAPE : RG_ERR_DTYPE,
                  "rg_stack: input 0, %s, and input %zu, %s, differ", rgi_format_operand(first, a, sizeof a), i,
                  rgi_format_operand(x, b, sizeof b));
    return false;
}

rg_node *rg_stack(rg_nodes xs, int axis)
{
    rg_graph *g = graph_of(xs);
    rg_node **level = copied(g, "rg_stack", xs), *y = NULL;
    bool ok = level != NULL;
    for (size_t i = 0; ok && i < xs.n; i++) {
        level[i] = stacks(g, xs.at[0], xs.at[i], i) ? rg_unsqueeze(xs.at[i], axis) : NULL;
        ok = level[i] != NULL;
    }
    if (ok)
        y = join(level, xs.n, &(concat_attr){rgi_axis(xs.at[0], axis, 1)});
    if (level)
        rgi_free(&g->allocator, level, xs.n * sizeof *level);
    return y;
}
