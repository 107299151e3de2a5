/* slice.c - elements start, start + step, ... before stop along one axis, as in Python: y[k] = x[start + k step].
   dx = slice_grad(g, x): zeros shaped as x with g put in; the two are each other's transpose.
   Positions are resolved against the size the axis has when the plan runs. Those that are named sizes are known then
   only: they come as the two sizes of a last input, [start, stop], of which nothing else is used. */
#include "move.h"
#include "rules.h"
#include "table_ops.h"

#include <retrograde/op.h>

#include <stdio.h>

enum { START = 1, STOP = 2 };

typedef struct slice_attr {
    int64_t axis, start, stop, step;
    int64_t named; /* START and STOP where that position is a named size */
} slice_attr;

static const rg_attr_field slice_attrs[] = {
    {"axis", offsetof(slice_attr, axis), RG_ATTR_I64},   {"start", offsetof(slice_attr, start), RG_ATTR_SIZE},
    {"stop", offsetof(slice_attr, stop), RG_ATTR_SIZE},  {"step", offsetof(slice_attr, step), RG_ATTR_I64},
    {"named", offsetof(slice_attr, named), RG_ATTR_I64}, {0},
};

static int64_t clip(int64_t position, int64_t size, int64_t lo, int64_t hi)
{
    if (position < 0)
        position = position < -size ? lo : position + size;
    return position < lo ? lo : position > hi ? hi : position;
}

/* How many elements of an axis of `size` are taken, the first of them at *first. Named positions are taken to lie
   inside, so that the number of elements is the same function of the names under all assignments. */
static int64_t resolve(int64_t size, const slice_attr *a, int64_t *first)
{
    const int64_t lo = a->step > 0 ? 0 : -1, hi = a->step > 0 ? size : size - 1;
    const int64_t start = a->named & START ? a->start : clip(a->start, size, lo, hi);
    int64_t stop = a->named & STOP ? a->stop : clip(a->stop, size, lo, hi);
    *first = start;
    if (a->step > 0)
        return start < stop ? (stop - start - 1) / a->step + 1 : 0;
    stop = a->stop == RG_END ? -1 : stop;
    return start > stop ? (int64_t)((uint64_t)(start - stop - 1) / (0 - (uint64_t)a->step)) + 1 : 0;
}

/* ---- shape rules ---- */

/* The number of elements along the axis of `x`, or -1 with the error recorded. */
static int64_t taken(const rg_infer *call, const rg_shape *x)
{
    slice_attr a = *(const slice_attr *)call->attr;
    int64_t first;
    if (!rgi_axis_ok(call, a.axis, x->rank))
        return -1;
    if (a.step == 0) {
        (void)rg_infer_fail(call, RG_ERR_ARGUMENT, "the step along axis %lld is 0", (long long)a.axis);
        return -1;
    }
    a.start = rg_infer_size(call, a.start);
    a.stop = rg_infer_size(call, a.stop);
    return resolve(x->dim[a.axis], &a, &first);
}

/* Whether there are `n` inputs, and one of positions if it is needed. */
static bool inputs_ok(const rg_infer *call, size_t n)
{
    const size_t more = ((const slice_attr *)call->attr)->named != 0;
    if (call->n_in == n + more && (!more || call->in[n].shape.rank == 2))
        return true;
    (void)rg_infer_fail(call, RG_ERR_ARGUMENT, "%zu inputs where %zu are needed", call->n_in, n + more);
    return false;
}

static rg_status infer_slice(rg_infer *call)
{
    if (!inputs_ok(call, 1))
        return RG_ERR_ARGUMENT;
    const int64_t n = taken(call, &call->in[0].shape);
    if (n < 0)
        return RG_ERR_ARGUMENT;
    call->out[0] = call->in[0];
    call->out[0].shape.dim[((const slice_attr *)call->attr)->axis] = n;
    return RG_OK;
}

static rg_status infer_slice_grad(rg_infer *call)
{
    if (!inputs_ok(call, 2))
        return RG_ERR_ARGUMENT;
    const int64_t n = taken(call, &call->in[1].shape), axis = ((const slice_attr *)call->attr)->axis;
    if (n < 0)
        return RG_ERR_ARGUMENT;
    rg_shape part = call->in[1].shape;
    part.dim[axis] = n;
    if (!rg_shape_equal(part, call->in[0].shape))
        return rg_infer_fail(call, RG_ERR_SHAPE, "the part is not shaped as the slice of axis %lld it is put into",
                             (long long)axis);
    call->out[0] = (rg_type){call->in[0].dtype, call->in[1].shape};
    return RG_OK;
}

/* ---- derivatives and batching ---- */

static void vjp_slice(rg_node *self, rg_node *const ct[], rg_node *grad[])
{
    const size_t n = rg_arg_count(self);
    rg_node *const in[3] = {ct[0], rg_arg(self, 0), n > 1 ? rg_arg(self, 1) : NULL};
    grad[0] = rg_apply(&rgi_op_slice_grad, (rg_nodes){in, n + 1}, rg_attr(self));
}

static void vjp_slice_grad(rg_node *self, rg_node *const ct[], rg_node *grad[])
{
    const size_t n = rg_arg_count(self);
    rg_node *const in[2] = {ct[0], n > 2 ? rg_arg(self, 2) : NULL};
    grad[0] = rg_apply(&rgi_op_slice, (rg_nodes){in, n - 1}, rg_attr(self));
}

static void batch_slice(rg_node *self, rg_node *const in[], const bool batched[], rg_node *out[])
{
    rg_node *all[3];
    slice_attr a = *(const slice_attr *)rg_attr(self);
    const size_t n = rg_arg_count(self), tensors = n - (a.named != 0);
    a.axis++;
    rgi_batch_all(in, batched, tensors, all);
    if (a.named)
        all[tensors] = in[tensors];
    out[0] = rg_apply(rg_op_of(self), (rg_nodes){all, n}, &a);
}

/* ---- running ---- */

/* The slice with concrete sizes, x seen as [outer, size, inner]. */
typedef struct span {
    ptrdiff_t outer, size, inner; /* elements */
    ptrdiff_t first, step, n;
    size_t bytes;
} span;

/* The attributes with concrete positions. */
static slice_attr concrete(const rg_step *step)
{
    slice_attr a = *(const slice_attr *)step->attr;
    const int64_t *sizes = step->in_type[step->n_in - 1].shape.dim;
    a.start = a.named & START ? sizes[0] : a.start;
    a.stop = a.named & STOP ? sizes[1] : a.stop;
    return a;
}

static span span_of(const rg_step *step, const rg_type *whole, const rg_type *part)
{
    const slice_attr a = concrete(step);
    int64_t first;
    const int32_t axis = (int32_t)a.axis;
    span s = {.size = whole->shape.dim[axis], .step = a.step, .bytes = rg_dtype_size(whole->dtype)};
    s.n = resolve(s.size, &a, &first);
    s.first = first;
    s.outer = (ptrdiff_t)rgi_count_range(&whole->shape, 0, axis);
    s.inner = (ptrdiff_t)rgi_count_range(&whole->shape, axis + 1, whole->shape.rank);
    const int64_t last = s.n > 0 ? first + (s.n - 1) * a.step : 0;
    if (s.n != part->shape.dim[axis] || (s.n > 0 && (first < 0 || first >= s.size || last < 0 || last >= s.size)))
        s.n = -1;
    else if (s.n <= 1)
        s.step = 1;
    return s;
}

static const char *position(int64_t at, char *buffer, size_t size)
{
    if (at == RG_END)
        return "the end";
    snprintf(buffer, size, "%lld", (long long)at);
    return buffer;
}

/* The positions are clipped otherwise than when the slice was built: the axis is shorter than they assume. */
static rg_status mismatch(const rg_step *step, const rg_type *whole, const rg_type *part)
{
    const slice_attr a = concrete(step);
    char start[24], stop[24];
    return rgi_fail(RG_ERR_SHAPE, "%s: axis %lld has size %lld, too short for the %lld elements from %s to %s",
                    step->op->name, (long long)a.axis, (long long)whole->shape.dim[a.axis],
                    (long long)part->shape.dim[a.axis], position(a.start, start, sizeof start),
                    position(a.stop, stop, sizeof stop));
}

static rgi_move slice_move(const span *s)
{
    rgi_move m = {.size = s->bytes};
    rgi_move_axis(&m, (size_t)s->outer, s->size * s->inner, s->n * s->inner);
    rgi_move_axis(&m, (size_t)s->n, s->step * s->inner, s->inner);
    rgi_move_axis(&m, (size_t)s->inner, 1, 1);
    return m;
}

static void cost_slice(const rg_step *step, rg_cost *c)
{
    const span s = span_of(step, &step->in_type[0], &step->out_type[0]);
    const rgi_move m = slice_move(&s);
    c->tasks[0] = s.n < 0 ? 1 : rgi_move_tasks(&m);
    c->bytes = 2 * (double)rgi_count(&step->out_type[0]) * (double)s.bytes;
}

static rg_status run_slice(const rg_step *step, size_t lo, size_t hi)
{
    const span s = span_of(step, &step->in_type[0], &step->out_type[0]);
    if (s.n < 0)
        return mismatch(step, &step->in_type[0], &step->out_type[0]);
    const rgi_move m = slice_move(&s);
    rgi_move_run(&m, rgi_at(step->in[0], s.first * s.inner, s.bytes), step->out[0], lo, hi);
    return RG_OK;
}

/* What slice_grad writes: the part itself, what lies before and behind it, and the gaps between its elements. */
enum { PART, BEFORE, BEHIND, GAPS, PIECES };

typedef struct piece {
    rgi_move move;
    ptrdiff_t in, out; /* elements the part and the result are entered at */
} piece;

static void pieces_of(const span *s, piece pieces[PIECES])
{
    const ptrdiff_t step = s->step < 0 ? -s->step : s->step, backward = s->step < 0;
    const ptrdiff_t low = s->n == 0 ? 0 : backward ? s->first + (s->n - 1) * s->step : s->first;
    const ptrdiff_t end = s->n == 0 ? 0 : low + (s->n - 1) * step + 1; /* one behind the highest */
    const ptrdiff_t length[PIECES] = {1, low, s->size - end, step - 1},
                    count[PIECES] = {s->n, 1, 1, s->n > 1 ? s->n - 1 : 0};
    const ptrdiff_t at[PIECES] = {low, 0, end, low + 1};
    for (int i = 0; i < PIECES; i++) {
        rgi_move *m = &pieces[i].move;
        *m = (rgi_move){.size = s->bytes};
        rgi_move_axis(m, (size_t)s->outer, i == PART ? s->n * s->inner : 0, s->size * s->inner);
        rgi_move_axis(m, (size_t)count[i], i == PART ? (backward ? -s->inner : s->inner) : 0, step * s->inner);
        rgi_move_axis(m, (size_t)(length[i] * s->inner), i == PART ? 1 : 0, 1);
        pieces[i].in = i == PART && backward && s->n ? (s->n - 1) * s->inner : 0;
        pieces[i].out = at[i] * s->inner;
    }
}

static void cost_slice_grad(const rg_step *step, rg_cost *c)
{
    const span s = span_of(step, &step->out_type[0], &step->in_type[0]);
    piece pieces[PIECES];
    c->tasks[0] = 1;
    c->bytes = rgi_bytes(step);
    if (s.n < 0)
        return;
    pieces_of(&s, pieces);
    c->tasks[0] = 0;
    for (int i = 0; i < PIECES; i++)
        c->tasks[0] += rgi_move_tasks(&pieces[i].move);
}

static rg_status run_slice_grad(const rg_step *step, size_t lo, size_t hi)
{
    static const uint64_t zero = 0;
    const span s = span_of(step, &step->out_type[0], &step->in_type[0]);
    if (s.n < 0)
        return mismatch(step, &step->out_type[0], &step->in_type[0]);
    piece pieces[PIECES];
    size_t first = 0;
    pieces_of(&s, pieces);
    for (int i = 0; i < PIECES; i++) {
        const void *in = i == PART ? rgi_at(step->in[0], pieces[i].in, s.bytes) : &zero;
        first = rgi_move_part(&pieces[i].move, in, rgi_at_out(step->out[0], pieces[i].out, s.bytes), first, lo, hi);
    }
    return RG_OK;
}

const rg_op rgi_op_slice = {
    .name = "slice",
    .n_in = -1,
    .n_out = 1,
    .traits = RG_CAN_FAIL,
    .dtypes = RG_DT_ALL,
    .shape_only = 1 << 1,
    .attr_size = sizeof(slice_attr),
    .attrs = slice_attrs,
    .infer = infer_slice,
    .vjp = vjp_slice,
    .jvp = rgi_jvp_linear,
    .batch = batch_slice,
    .cost = cost_slice,
    .run = run_slice,
};

const rg_op rgi_op_slice_grad = {
    .name = "slice_grad",
    .n_in = -1,
    .n_out = 1,
    .traits = RG_CAN_FAIL,
    .dtypes = RG_DT_ALL,
    .shape_only = 1 << 1 | 1 << 2,
    .attr_size = sizeof(slice_attr),
    .attrs = slice_attrs,
    .infer = infer_slice_grad,
    .vjp = vjp_slice_grad,
    .jvp = rgi_jvp_linear,
    .batch = batch_slice,
    .cost = cost_slice_grad,
    .run = run_slice_grad,
};

rg_node *rg_slice(rg_node *x, int axis, int64_t start, int64_t stop)
{
    return rg_slice_step(x, axis, start, stop, 1);
}

rg_node *rg_slice_step(rg_node *x, int axis, int64_t start, int64_t stop, int64_t step)
{
    rg_node *in[2] = {x, NULL};
    slice_attr a = {rgi_axis(x, axis, 0), start, stop, step, 0};
    int64_t second;
    if (x && rgi_dim_second(x->graph, start, &second) == RG_OK && second != start)
        a.named |= START;
    if (x && rgi_dim_second(x->graph, stop, &second) == RG_OK && second != stop)
        a.named |= STOP;
    if (a.named) {
        const rg_shape positions = RG_SHAPE(a.named & START ? start : 0, a.named & STOP ? stop : 0);
        in[1] = rg_zeros(x->graph, RG_BOOL, positions);
        if (!in[1])
            return NULL;
    }
    return rg_apply(&rgi_op_slice, (rg_nodes){in, a.named ? 2 : 1}, &a);
}
