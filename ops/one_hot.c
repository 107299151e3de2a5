/* one_hot.c - y[.., c] = 1 where c is the index, 0 elsewhere; an index outside [0, classes) gives zeros. */
#include "index.h"
#include "rules.h"
#include "table_ops.h"

#include <retrograde/op.h>

#include <string.h>

#define TASK_BYTES ((size_t)32 << 10)

typedef struct one_hot_attr {
    int64_t classes;
    rg_dtype dtype;
} one_hot_attr;

static const rg_attr_field one_hot_attrs[] = {
    {"classes", offsetof(one_hot_attr, classes), RG_ATTR_SIZE},
    {"dtype", offsetof(one_hot_attr, dtype), RG_ATTR_DTYPE},
    {0},
};

static rg_status infer(rg_infer *call)
{
    const one_hot_attr *a = call->attr;
    const rg_type *index = &call->in[0];
    if (!rgi_is_index(index->dtype))
        return rg_infer_fail(call, RG_ERR_DTYPE, "the index is %s, not u8, i32 or i64", rg_dtype_name(index->dtype));
    if (a->dtype < RG_F32 || a->dtype > RG_BOOL)
        return rg_infer_fail(call, RG_ERR_DTYPE, "no result of element type %s (%d)", rg_dtype_name(a->dtype),
                             (int)a->dtype);
    if (a->classes < 0)
        return rg_infer_fail(call, RG_ERR_ARGUMENT, "%lld classes", (long long)a->classes);
    if (index->shape.rank == RG_MAX_RANK)
        return rg_infer_fail(call, RG_ERR_SHAPE, "the result would have more than %d axes", RG_MAX_RANK);
    call->out[0] = (rg_type){a->dtype, index->shape};
    call->out[0].shape.dim[call->out[0].shape.rank++] = rg_infer_size(call, a->classes);
    return RG_OK;
}

static void batch(rg_node *self, rg_node *const in[], const bool batched[], rg_node *out[])
{
    (void)batched;
    out[0] = rg_apply(&rgi_op_one_hot, RG_NODES(in[0]), rg_attr(self));
}

static size_t row_bytes(const rg_step *step)
{
    const rg_type *y = &step->out_type[0];
    return (size_t)y->shape.dim[y->shape.rank - 1] * rg_dtype_size(y->dtype);
}

static size_t rows_of_task(const rg_step *step)
{
    const size_t bytes = row_bytes(step);
    return bytes >= TASK_BYTES ? 1 : bytes ? TASK_BYTES / bytes : TASK_BYTES;
}

static void cost(const rg_step *step, rg_cost *c)
{
    const size_t group = rows_of_task(step);
    c->tasks[0] = (rgi_count(&step->in_type[0]) + group - 1) / group;
    c->bytes = rgi_bytes(step);
}

static void put_one(rg_dtype dtype, void *at)
{
    switch (dtype) {
    case RG_F32:
        *(float *)at = 1;
        break;
    case RG_F64:
        *(double *)at = 1;
        break;
    case RG_I32:
        *(int32_t *)at = 1;
        break;
    case RG_I64:
        *(int64_t *)at = 1;
        break;
    default:
        *(uint8_t *)at = 1;
        break;
    }
}

static rg_status run(const rg_step *step, size_t lo, size_t hi)
{
    const rg_type *y = &step->out_type[0];
    const int64_t classes = y->shape.dim[y->shape.rank - 1];
    const size_t rows = rgi_count(&step->in_type[0]), group = rows_of_task(step), row = row_bytes(step);
    const size_t first = lo * group, end = hi * group < rows ? hi * group : rows;
    char *out = step->out[0];
    if (first < end)
        memset(out + first * row, 0, (end - first) * row);
    for (size_t i = first; i < end; i++) {
        const int64_t k = rgi_index_at(step->in_type[0].dtype, step->in[0], i);
        if (k >= 0 && k < classes)
            put_one(y->dtype, out + i * row + (size_t)k * rg_dtype_size(y->dtype));
    }
    return RG_OK;
}

const rg_op rgi_op_one_hot = {
    .name = "one_hot",
    .n_in = 1,
    .n_out = 1,
    .traits = RG_ZERO_GRAD,
    .dtypes = RG_DT(RG_U8) | RG_DT_INTS,
    .attr_size = sizeof(one_hot_attr),
    .attrs = one_hot_attrs,
    .infer = infer,
    .batch = batch,
    .cost = cost,
    .run = run,
};

rg_node *rg_one_hot(rg_node *index, int64_t classes, rg_dtype dtype)
{
    return rg_apply(&rgi_op_one_hot, RG_NODES(index), &(one_hot_attr){classes, dtype});
}
