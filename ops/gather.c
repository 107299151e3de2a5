/* gather.c - rows picked by number, and its transpose.
     gather(x, index):               y[b, p, m, r] = x[b, p, index[b, m], r]
     scatter_add(u, index, like):    y[b, p, a, r] = sum over m with index[b, m] = a, in order, of u[b, p, m, r]
   x and like are [b.., p.., a, r..], index is [b.., m..], y and u are [b.., p.., m.., r..]: `axis` is where a stands,
   the b axes are the first `shared` ones of both (0 but in batch rules). */
#include "index.h"
#include "rules.h"
#include "table_ops.h"

#include <retrograde/op.h>

#include <string.h>

#define TASK_BYTES ((size_t)32 << 10)
#define SLICES ((size_t)16) /* tasks at most that an axis of scatter_add is cut into */

typedef struct gather_attr {
    int64_t axis, shared;
} gather_attr;

static const rg_attr_field gather_attrs[] = {
    {"axis", offsetof(gather_attr, axis), RG_ATTR_I64},
    {"shared", offsetof(gather_attr, shared), RG_ATTR_I64},
    {0},
};

/* ---- shape rules ---- */

/* The shape of gather(x, index). */
static rg_status picked(rg_infer *call, const rg_shape *x, const rg_type *index, rg_shape *y)
{
    const gather_attr *a = call->attr;
    const rg_shape *m = &index->shape;
    if (!rgi_is_index(index->dtype))
        return rg_infer_fail(call, RG_ERR_DTYPE, "the index is %s, not u8, i32 or i64", rg_dtype_name(index->dtype));
    if (!rgi_axis_ok(call, a->axis, x->rank))
        return RG_ERR_ARGUMENT;
    if (a->shared < 0 || a->shared > a->axis || a->shared > m->rank)
        return rg_infer_fail(call, RG_ERR_ARGUMENT, "%lld shared axes, with axis %lld and an index of %d axes",
                             (long long)a->shared, (long long)a->axis, m->rank);
    for (int32_t i = 0; i < a->shared; i++)
        if (x->dim[i] != m->dim[i])
            return rg_infer_fail(call, RG_ERR_SHAPE, "shared axis %d differs", i);
    const int32_t more = m->rank - (int32_t)a->shared;
    if (x->rank - 1 + more > RG_MAX_RANK)
        return rg_infer_fail(call, RG_ERR_SHAPE, "the result would have more than %d axes", RG_MAX_RANK);
    *y = (rg_shape){.rank = x->rank - 1 + more};
    for (int32_t i = 0; i < y->rank; i++)
        y->dim[i] = i < a->axis          ? x->dim[i]
                    : i < a->axis + more ? m->dim[a->shared + i - a->axis]
                                         : x->dim[i - more + 1];
    return RG_OK;
}

static rg_status infer_gather(rg_infer *call)
{
    call->out[0].dtype = call->in[0].dtype;
    return picked(call, &call->in[0].shape, &call->in[1], &call->out[0].shape);
}

static rg_status infer_scatter(rg_infer *call)
{
    rg_shape want = RG_SCALAR;
    const rg_type *u = &call->in[0];
    const rg_status status = picked(call, &call->in[2].shape, &call->in[1], &want);
    if (status != RG_OK)
        return status;
    if (u->dtype == RG_U8 || u->dtype == RG_BOOL)
        return rg_infer_fail(call, RG_ERR_DTYPE, "%s values cannot be added up", rg_dtype_name(u->dtype));
    if (!rg_shape_equal(want, u->shape))
        return rg_infer_fail(call, RG_ERR_SHAPE,
                             "input 0 is not shaped as input 2 with the axes of the index in place of axis %lld",
                             (long long)((const gather_attr *)call->attr)->axis);
    call->out[0] = (rg_type){u->dtype, call->in[2].shape};
    return RG_OK;
}

/* ---- derivatives and batching ---- */

static void vjp_gather(rg_node *self, rg_node *const ct[], rg_node *grad[])
{
    if (rg_wants(self, 0))
        grad[0] = rg_apply(&rgi_op_scatter_add, RG_NODES(ct[0], rg_arg(self, 1), rg_arg(self, 0)), rg_attr(self));
}

static void vjp_scatter(rg_node *self, rg_node *const ct[], rg_node *grad[])
{
    if (rg_wants(self, 0))
        grad[0] = rg_apply(&rgi_op_gather, RG_NODES(ct[0], rg_arg(self, 1)), rg_attr(self));
}

/* With an index of its own for each of the new axis, that axis is one more shared one; with one index for all and no
   shared axes, it is one more of the p axes; with one x for all, one more of the index's axes, then moved to the
   front. */
static void batch_gather(rg_node *self, rg_node *const in[], const bool batched[], rg_node *out[])
{
    const gather_attr *a = rg_attr(self);
    rg_node *x = in[0], *index = in[1];
    if (batched[0]) {
        const bool own = batched[1] || a->shared > 0;
        if (own && !batched[1])
            index = rgi_expand(index, 0, x, 0, 1);
        out[0] = rg_apply(&rgi_op_gather, RG_NODES(x, index), &(gather_attr){a->axis + 1, own ? a->shared + 1 : 0});
        return;
    }
    rg_node *y = rg_apply(&rgi_op_gather, RG_NODES(x, rgi_axis_inward(index, a->shared)), a);
    out[0] = rgi_axis_outward(y, a->axis);
}

static void batch_scatter(rg_node *self, rg_node *const in[], const bool batched[], rg_node *out[])
{
    const gather_attr *a = rg_attr(self);
    rg_node *some = batched[0] ? in[0] : batched[1] ? in[1] : in[2];
    rg_node *u = batched[0] ? in[0] : rgi_expand(in[0], 0, some, 0, 1);
    rg_node *like = batched[2] ? in[2] : rgi_expand(in[2], 0, some, 0, 1);
    const bool own = batched[1] || a->shared > 0;
    rg_node *index = batched[1] || !own ? in[1] : rgi_expand(in[1], 0, some, 0, 1);
    out[0] =
        rg_apply(&rgi_op_scatter_add, RG_NODES(u, index, like), &(gather_attr){a->axis + 1, own ? a->shared + 1 : 0});
}

/* ---- running ---- */

/* x and like as [batches, outer, size, inner], index as [batches, count]. */
typedef struct layout {
    size_t batches, outer, size, inner, count;
} layout;

static layout layout_of(const rg_step *step, const rg_shape *x)
{
    const gather_attr *a = step->attr;
    const rg_shape *index = &step->in_type[1].shape;
    return (layout){
        .batches = rgi_count_range(x, 0, (int32_t)a->shared),
        .outer = rgi_count_range(x, (int32_t)a->shared, (int32_t)a->axis),
        .size = (size_t)x->dim[a->axis],
        .inner = rgi_count_range(x, (int32_t)a->axis + 1, x->rank),
        .count = rgi_count_range(index, (int32_t)a->shared, index->rank),
    };
}

static rg_status outside(const rg_step *step, size_t position, int64_t index, size_t size)
{
    return rg_step_fail(step, RG_ERR_ARGUMENT, "index %lld at position %zu is outside [0, %zu) of axis %lld",
                        (long long)index, position, size, (long long)((const gather_attr *)step->attr)->axis);
}

static size_t rows_of_task(const layout *l, size_t element)
{
    const size_t bytes = l->inner * element;
    return bytes >= TASK_BYTES ? 1 : bytes ? TASK_BYTES / bytes : TASK_BYTES;
}

static void cost_gather(const rg_step *step, rg_cost *c)
{
    const layout l = layout_of(step, &step->in_type[0].shape);
    const size_t element = rg_dtype_size(step->in_type[0].dtype), rows = l.batches * l.outer * l.count;
    const size_t group = rows_of_task(&l, element);
    c->tasks[0] = (rows + group - 1) / group;
    c->bytes = 2 * (double)rows * (double)(l.inner * element);
}

static void copy(size_t size, size_t n, const char *x, char *y)
{
    if (n == 1 && size == 4)
        memcpy(y, x, 4);
    else if (n == 1 && size == 8)
        memcpy(y, x, 8);
    else
        memcpy(y, x, n * size);
}

static rg_status run_gather(const rg_step *step, size_t lo, size_t hi)
{
    const layout l = layout_of(step, &step->in_type[0].shape);
    const rg_dtype index_type = step->in_type[1].dtype;
    const size_t element = rg_dtype_size(step->in_type[0].dtype), rows = l.batches * l.outer * l.count;
    const size_t group = rows_of_task(&l, element), row = l.inner * element;
    const size_t end = hi * group < rows ? hi * group : rows;
    const char *x = step->in[0];
    char *y = step->out[0];
    for (size_t i = lo * group; i < end; i++) {
        const size_t block = i / l.count, m = i % l.count, position = block / l.outer * l.count + m;
        const int64_t k = rgi_index_at(index_type, step->in[1], position);
        if (k < 0 || (uint64_t)k >= l.size)
            return outside(step, position, k, l.size);
        copy(element, l.inner, x + (block * l.size + (size_t)k) * row, y + i * row);
    }
    return RG_OK;
}

/* Each task adds up a range of the axis of one block [size, inner]; it reads the whole index to find what falls
   there. */
static size_t slices_of(const layout *l, size_t element)
{
    const size_t blocks = l->batches * l->outer, bytes = (l->size + l->count) * l->inner * element;
    size_t n = bytes / TASK_BYTES;
    n = blocks && n > SLICES / blocks ? SLICES / blocks : n;
    n = n > l->size ? l->size : n;
    return n ? n : 1;
}

static void cost_scatter(const rg_step *step, rg_cost *c)
{
    const layout l = layout_of(step, &step->out_type[0].shape);
    c->tasks[0] = l.batches * l.outer * slices_of(&l, rg_dtype_size(step->out_type[0].dtype));
    c->flops = (double)rgi_count(&step->in_type[0]);
    c->bytes = rgi_bytes(step) + 8 * c->flops;
}

static void add_f32(size_t n, const float *u, float *y)
{
    for (size_t i = 0; i < n; i++)
        y[i] += u[i];
}

static void add_f64(size_t n, const double *u, double *y)
{
    for (size_t i = 0; i < n; i++)
        y[i] += u[i];
}

static void add_i32(size_t n, const uint32_t *u, uint32_t *y)
{
    for (size_t i = 0; i < n; i++)
        y[i] += u[i];
}

static void add_i64(size_t n, const uint64_t *u, uint64_t *y)
{
    for (size_t i = 0; i < n; i++)
        y[i] += u[i];
}

static void add(rg_dtype dtype, size_t n, const void *u, void *y)
{
    if (dtype == RG_F32)
        add_f32(n, u, y);
    else if (dtype == RG_F64)
        add_f64(n, u, y);
    else if (dtype == RG_I32)
        add_i32(n, u, y);
    else
        add_i64(n, u, y);
}

static rg_status run_scatter(const rg_step *step, size_t lo, size_t hi)
{
    const layout l = layout_of(step, &step->out_type[0].shape);
    const rg_dtype dtype = step->out_type[0].dtype, index_type = step->in_type[1].dtype;
    const size_t row = l.inner * rg_dtype_size(dtype), slices = slices_of(&l, rg_dtype_size(dtype));
    const size_t tasks = l.batches * l.outer * slices;
    hi = hi < tasks ? hi : tasks;
    for (size_t task = lo; task < hi;) {
        const size_t block = task / slices, first = task % slices;
        const size_t last =
            hi - block * slices < slices ? hi - block * slices : slices; /* of this block, in this call */
        const size_t from = first * l.size / slices, to = last * l.size / slices;
        const size_t start = block / l.outer * l.count;
        const char *u = (const char *)step->in[0] + block * l.count * row;
        char *y = (char *)step->out[0] + block * l.size * row;
        memset(y + from * row, 0, (to - from) * row);
        for (size_t m = 0; m < l.count; m++) {
            const int64_t k = rgi_index_at(index_type, step->in[1], start + m);
            if (k < 0 || (uint64_t)k >= l.size)
                return outside(step, start + m, k, l.size);
            if ((size_t)k >= from && (size_t)k < to)
                add(dtype, l.inner, u + m * row, y + (size_t)k * row);
        }
        task = block * slices + last;
    }
    return RG_OK;
}

/* Rows that were picked can be added to. */
static bool settled(const rg_node *self, const rg_node *earlier)
{
    const gather_attr *a = rg_attr(self), *b = rg_attr(earlier);
    return rg_op_of(earlier) == &rgi_op_gather && earlier->in[1] == self->in[1] && a->axis == b->axis &&
           a->shared == b->shared && earlier->in[0]->shape == self->in[2]->shape;
}

/* Where the rows are not known: x [b.., p.., a, r..] against y [b.., p.., m.., r..], all of a read for each m. */
static void reads_gather(const rg_step *step, size_t i, int32_t from[])
{
    const int32_t axis = (int32_t)((const gather_attr *)step->attr)->axis;
    const int32_t rank = step->in_type[0].shape.rank, more = step->out_type->shape.rank - rank;
    for (int32_t a = 0; i == 0 && a < rank; a++)
        from[a] = a < axis ? a : a == axis ? -1 : a + more;
}

/* The same the other way. */
static void reads_scatter(const rg_step *step, size_t i, int32_t from[])
{
    const int32_t axis = (int32_t)((const gather_attr *)step->attr)->axis;
    const int32_t rank = step->in_type[0].shape.rank, more = rank - step->out_type->shape.rank;
    for (int32_t a = 0; i == 0 && a < rank; a++)
        from[a] = a < axis ? a : a <= axis + more ? -1 : a - more;
}

const rg_op rgi_op_gather = {
    .name = "gather",
    .n_in = 2,
    .n_out = 1,
    .traits = RG_CAN_FAIL | RG_MOVES,
    .dtypes = RG_DT_ALL,
    .attr_size = sizeof(gather_attr),
    .attrs = gather_attrs,
    .infer = infer_gather,
    .vjp = vjp_gather,
    .jvp = rgi_jvp_linear,
    .batch = batch_gather,
    .cost = cost_gather,
    .run = run_gather,
    .reads = reads_gather,
};

const rg_op rgi_op_scatter_add = {
    .name = "scatter_add",
    .n_in = 3,
    .n_out = 1,
    .traits = RG_CAN_FAIL | RG_SUMS,
    .dtypes = RG_DT_ALL,
    .shape_only = 1 << 2,
    .attr_size = sizeof(gather_attr),
    .attrs = gather_attrs,
    .infer = infer_scatter,
    .vjp = vjp_scatter,
    .jvp = rgi_jvp_linear,
    .batch = batch_scatter,
    .cost = cost_scatter,
    .run = run_scatter,
    .reads = reads_scatter,
    .settled = settled,
};

rg_node *rg_gather(rg_node *x, rg_node *index, int axis)
{
    return rg_apply(&rgi_op_gather, RG_NODES(x, index), &(gather_attr){rgi_axis(x, axis, 0), 0});
}

rg_node *rg_scatter_add(rg_node *updates, rg_node *index, rg_node *like, int axis)
{
    return rg_apply(&rgi_op_scatter_add, RG_NODES(updates, index, like), &(gather_attr){rgi_axis(like, axis, 0), 0});
}

rg_node *rgi_gather_shared(rg_node *x, rg_node *index, int64_t axis)
{
    return rg_apply(&rgi_op_gather, RG_NODES(x, index), &(gather_attr){axis, axis});
}

rg_node *rgi_scatter_shared(rg_node *updates, rg_node *index, rg_node *like, int64_t axis)
{
    return rg_apply(&rgi_op_scatter_add, RG_NODES(updates, index, like), &(gather_attr){axis, axis});
}

rg_node *rg_embedding(rg_node *table, rg_node *index)
{
    return rg_gather(table, index, 0);
}
