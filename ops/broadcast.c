/* broadcast.c - elements repeated along axes.
     broadcast_to, broadcast_like: NumPy broadcasting, trailing axes aligned; dx = g summed down to x's shape
     expand: n new axes before axis `at`, their sizes those of axes from .. of `like`; dx = g summed over them */
#include "move.h"
#include "rules.h"
#include "table_ops.h"

#include <retrograde/op.h>

typedef struct to_attr {
    rg_shape shape; /* -1: the size x has there */
} to_attr;

static const rg_attr_field to_attrs[] = {
    {"shape", offsetof(to_attr, shape), RG_ATTR_SHAPE},
    {0},
};

typedef struct expand_attr {
    int64_t at, from, n;
} expand_attr;

static const rg_attr_field expand_attrs[] = {
    {"at", offsetof(expand_attr, at), RG_ATTR_I64},
    {"from", offsetof(expand_attr, from), RG_ATTR_I64},
    {"n", offsetof(expand_attr, n), RG_ATTR_I64},
    {0},
};

/* ---- shape rules ---- */

static rg_status align(rg_infer *call, rg_shape target, const char *text)
{
    const rg_shape *x = &call->in[0].shape;
    const int32_t more = target.rank - x->rank;
    if (more < 0)
        return rg_infer_fail(call, RG_ERR_SHAPE, "input 0 has more axes than %s", text);
    for (int32_t i = 0; i < target.rank; i++) {
        int64_t *size = &target.dim[i];
        if (*size == -1 && i >= more)
            *size = x->dim[i - more];
        if (*size < 0)
            return rg_infer_fail(call, RG_ERR_SHAPE, "size %lld of axis %d of %s: input 0 has no such axis",
                                 (long long)*size, i, text);
        if (i >= more && x->dim[i - more] != *size && x->dim[i - more] != 1)
            return rg_infer_fail(call, RG_ERR_SHAPE,
                                 "axis %d of input 0 is neither of size 1 nor as long as axis %d of %s", i - more, i,
                                 text);
    }
    call->out[0] = (rg_type){call->in[0].dtype, target};
    return RG_OK;
}

static rg_status infer_to(rg_infer *call)
{
    const to_attr *a = call->attr;
    char text[RGI_LABEL];
    if (a->shape.rank < 0 || a->shape.rank > RG_MAX_RANK)
        return rg_infer_fail(call, RG_ERR_SHAPE, "%d axes asked for, at most %d are possible", a->shape.rank,
                             RG_MAX_RANK);
    return align(call, rg_infer_shape(call, a->shape), rgi_shape_text(call, a->shape, text, sizeof text));
}

static rg_status infer_like(rg_infer *call)
{
    return align(call, call->in[1].shape, "input 1");
}

static rg_status infer_expand(rg_infer *call)
{
    const expand_attr *a = call->attr;
    const rg_shape *x = &call->in[0].shape, *like = &call->in[1].shape;
    if (a->n < 0 || a->at < 0 || a->at > x->rank || a->from < 0 || a->from + a->n > like->rank)
        return rg_infer_fail(call, RG_ERR_ARGUMENT,
                             "%lld axes from axis %lld on, before axis %lld: there are no such axes", (long long)a->n,
                             (long long)a->from, (long long)a->at);
    if (x->rank + a->n > RG_MAX_RANK)
        return rg_infer_fail(call, RG_ERR_SHAPE, "the result would have more than %d axes", RG_MAX_RANK);
    call->out[0] = (rg_type){call->in[0].dtype, {.rank = x->rank + (int32_t)a->n}};
    for (int32_t i = 0; i < call->out[0].shape.rank; i++)
        call->out[0].shape.dim[i] = i < a->at          ? x->dim[i]
                                    : i < a->at + a->n ? like->dim[a->from + i - a->at]
                                                       : x->dim[i - a->n];
    return RG_OK;
}

/* ---- derivatives and batching ---- */

static void vjp(rg_node *self, rg_node *const ct[], rg_node *grad[])
{
    grad[0] = rg_sum_like(ct[0], rg_arg(self, 0));
}

static void vjp_expand(rg_node *self, rg_node *const ct[], rg_node *grad[])
{
    const expand_attr *a = rg_attr(self);
    rg_axes axes = {.n = (int32_t)a->n};
    for (int32_t i = 0; i < axes.n; i++)
        axes.axis[i] = (int32_t)a->at + i;
    grad[0] = rg_sum(ct[0], axes, false);
}

/* x with its leading axis before all of `rank` others. */
static rg_node *lift(rg_node *x, int32_t rank)
{
    while (x && x->shape->a.rank < rank + 1)
        x = rg_unsqueeze(x, 1);
    return x;
}

static void batch_to(rg_node *self, rg_node *const in[], const bool batched[], rg_node *out[])
{
    (void)batched;
    const rg_shape *shape = &((const to_attr *)rg_attr(self))->shape;
    to_attr a = {{.rank = shape->rank + 1, .dim = {-1}}};
    for (int32_t i = 0; i < shape->rank && i + 1 < RG_MAX_RANK; i++)
        a.shape.dim[i + 1] = shape->dim[i];
    out[0] = rg_apply(&rgi_op_broadcast_to, RG_NODES(lift(in[0], shape->rank)), &a);
}

static void batch_like(rg_node *self, rg_node *const in[], const bool batched[], rg_node *out[])
{
    rg_node *x = batched[0] ? lift(in[0], self->shape->a.rank) : in[0];
    out[0] = rg_broadcast_like(x, batched[1] ? in[1] : rgi_expand(in[1], 0, in[0], 0, 1));
}

static void batch_expand(rg_node *self, rg_node *const in[], const bool batched[], rg_node *out[])
{
    const expand_attr *a = rg_attr(self);
    rg_node *x = batched[0] ? in[0] : rgi_expand(in[0], 0, in[1], 0, 1);
    out[0] = rgi_expand(x, a->at + 1, in[1], a->from + batched[1], a->n);
}

/* ---- running ---- */

static void geometry(const rg_step *step, void *out)
{
    const rg_shape *x = &step->in_type[0].shape, *y = &step->out_type[0].shape;
    const expand_attr *a = step->op == &rgi_op_expand ? step->attr : NULL;
    rgi_move *m = out;
    *m = (rgi_move){.size = rg_dtype_size(step->in_type[0].dtype)};
    for (int32_t i = 0; i < y->rank; i++) {
        int32_t source = i - (y->rank - x->rank);
        if (a)
            source = i < a->at ? i : i < a->at + a->n ? -1 : i - (int32_t)a->n;
        const bool repeats = source < 0 || (x->dim[source] == 1 && y->dim[i] != 1);
        rgi_move_axis(m, (size_t)y->dim[i], repeats ? 0 : (ptrdiff_t)rgi_count_range(x, source + 1, x->rank),
                      (ptrdiff_t)rgi_count_range(y, i + 1, y->rank));
    }
    rgi_move_cut(m);
}

const rg_op rgi_op_broadcast_to = {
    .name = "broadcast_to",
    .n_in = 1,
    .n_out = 1,
    .traits = RG_MOVES,
    .dtypes = RG_DT_ALL,
    .attr_size = sizeof(to_attr),
    .attrs = to_attrs,
    .infer = infer_to,
    .vjp = vjp,
    .jvp = rgi_jvp_linear,
    .batch = batch_to,
    .geometry_size = sizeof(rgi_move),
    .geometry = geometry,
    .cost = rgi_move_cost,
    .run = rgi_move_step,
};

const rg_op rgi_op_broadcast_like = {
    .name = "broadcast_like",
    .n_in = 2,
    .n_out = 1,
    .traits = RG_MOVES,
    .dtypes = RG_DT_ALL,
    .shape_only = 1 << 1,
    .infer = infer_like,
    .vjp = vjp,
    .jvp = rgi_jvp_linear,
    .batch = batch_like,
    .geometry_size = sizeof(rgi_move),
    .geometry = geometry,
    .cost = rgi_move_cost,
    .run = rgi_move_step,
};

/* The repeated axes come between those of input 0, and are some of input 1. */
static void reads_expand(const rg_step *step, size_t i, int32_t from[])
{
    const expand_attr *e = step->attr;
    const int32_t at = (int32_t)e->at, n = (int32_t)e->n;
    for (int32_t a = 0; i == 0 && a < step->in_type[0].shape.rank; a++)
        from[a] = a < at ? a : a + n;
    for (int32_t k = 0; i == 1 && k < n; k++)
        from[e->from + k] = at + k;
}

const rg_op rgi_op_expand = {
    .name = "expand",
    .n_in = 2,
    .n_out = 1,
    .traits = RG_MOVES | RG_ROWS,
    .dtypes = RG_DT_ALL,
    .shape_only = 1 << 1,
    .attr_size = sizeof(expand_attr),
    .attrs = expand_attrs,
    .infer = infer_expand,
    .vjp = vjp_expand,
    .jvp = rgi_jvp_linear,
    .batch = batch_expand,
    .geometry_size = sizeof(rgi_move),
    .geometry = geometry,
    .cost = rgi_move_cost,
    .run = rgi_move_step,
    .reads = reads_expand,
};

rg_node *rg_broadcast_to(rg_node *x, rg_shape shape)
{
    return rg_apply(&rgi_op_broadcast_to, RG_NODES(x), &(to_attr){shape});
}

rg_node *rg_broadcast_like(rg_node *x, rg_node *like)
{
    if (x && like && x->shape == like->shape)
        return x;
    return rg_apply(&rgi_op_broadcast_like, RG_NODES(x, like), NULL);
}

rg_node *rgi_expand(rg_node *x, int64_t at, rg_node *like, int64_t from, int64_t n)
{
    return rg_apply(&rgi_op_expand, RG_NODES(x, like), &(expand_attr){at, from, n});
}
