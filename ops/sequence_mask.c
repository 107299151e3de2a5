/* sequence_mask.c - y[t, ..] = whether t < lengths[..]: which steps belong to each of many sequences. */
#include "index.h"
#include "rules.h"
#include "table_ops.h"

#include <retrograde/op.h>
#include <retrograde/ops.h>

static rg_status infer(rg_infer *call)
{
    const rg_type *lengths = &call->in[0], *like = &call->in[1];
    if (!rgi_is_index(lengths->dtype))
        return rg_infer_fail(call, RG_ERR_DTYPE, "the lengths are %s, not u8, i32 or i64",
                             rg_dtype_name(lengths->dtype));
    if (like->shape.rank == 0)
        return rg_infer_fail(call, RG_ERR_SHAPE, "input 1 is a scalar, it has no leading axis of steps");
    if (lengths->shape.rank == RG_MAX_RANK)
        return rg_infer_fail(call, RG_ERR_SHAPE, "the result would have more than %d axes", RG_MAX_RANK);
    rg_shape *y = &call->out[0].shape;
    *y = (rg_shape){.rank = 1, .dim = {like->shape.dim[0]}};
    for (int32_t k = 0; k < lengths->shape.rank; k++)
        y->dim[y->rank++] = lengths->shape.dim[k];
    call->out[0].dtype = RG_BOOL;
    return RG_OK;
}

/* The lengths' new axis comes after that of the steps and goes to the front; `like` only tells how many steps there
   are. */
static void batch(rg_node *self, rg_node *const in[], const bool batched[], rg_node *out[])
{
    (void)self;
    rg_node *y = rg_sequence_mask(in[0], batched[1] ? rgi_axis_outward(in[1], 1) : in[1]);
    out[0] = batched[0] ? rgi_axis_outward(y, 1) : rgi_expand(y, 0, in[1], 0, 1);
}

static void cost(const rg_step *step, rg_cost *c)
{
    c->tasks[0] = rgi_count(&step->in_type[0]) > 0;
    c->flops = (double)rgi_count(&step->out_type[0]);
    c->bytes = rgi_bytes(step);
}

#define OUTSIDE "the length of sequence %zu is %lld, outside [0, %lld]"

static rg_status run(const rg_step *step, size_t lo, size_t hi)
{
    const size_t n = rgi_count(&step->in_type[0]);
    const int64_t steps = step->out_type[0].shape.dim[0];
    const rg_dtype dtype = step->in_type[0].dtype;
    uint8_t *y = step->out[0];
    for (size_t i = 0; lo < hi && i < n; i++) {
        const int64_t length = rgi_index_at(dtype, step->in[0], i);
        if (length < 0 || length > steps)
            return rg_step_fail(step, RG_ERR_ARGUMENT, OUTSIDE, i, (long long)length, (long long)steps);
        for (int64_t t = 0; t < steps; t++)
            y[(size_t)t * n + i] = t < length;
    }
    return RG_OK;
}

const rg_op rgi_op_sequence_mask = {
    .name = "sequence_mask",
    .n_in = 2,
    .n_out = 1,
    .traits = RG_ZERO_GRAD | RG_CAN_FAIL,
    .dtypes = RG_DT(RG_U8) | RG_DT_INTS,
    .shape_only = 1u << 1,
    .infer = infer,
    .batch = batch,
    .cost = cost,
    .run = run,
};

/* Lengths that are constants are looked at right here. */
static bool fits(const rg_node *lengths, const rg_node *like)
{
    if (!lengths || !like || lengths->op != &rgi_op_const || like->shape->named || like->shape->a.rank == 0 ||
        !rgi_is_index(lengths->dtype))
        return true;
    const rg_bytes *values = lengths->attr; /* its first field */
    const int64_t steps = like->shape->a.dim[0];
    for (size_t i = 0; i < values->n / rg_dtype_size(lengths->dtype); i++) {
        const int64_t length = rgi_index_at(lengths->dtype, values->at, i);
        if (length < 0 || length > steps) {
            rg_build_fail(lengths->graph, RG_ERR_ARGUMENT, "rg_sequence_mask: " OUTSIDE, i, (long long)length,
                          (long long)steps);
            return false;
        }
    }
    return true;
}

rg_node *rg_sequence_mask(rg_node *lengths, rg_node *like)
{
    if (!fits(lengths, like))
        return NULL;
    return rg_apply(&rgi_op_sequence_mask, RG_NODES(lengths, like), NULL);
}
