/* slice.c - elements start, start + step, ... before stop along one axis, as in Python: y[k] = x[start + k step].
   dx = slice_grad(g, x): zeros shaped as x with g put in; the two are each other's transpose.
   Positions are resolved against the size the axis has when the plan runs. Those that are named sizes are known then
   only: they come as the two sizes of a last input, [start, stop], of which nothing else is used. */
#include "move.h"
#include "rules.h"
#include "table_ops.h"

#include "../graph/infer.h"

#include <retrograde/op.h>

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

/* How far it is, in the direction of the step, from the first element taken of an axis of `size`, at *first, to where
   the slice stops; negative if that lies the other way. Named positions are not clipped, so that the number of elements
   is one function of the names; that they lie inside is checked with the sizes bound. */
static int64_t distance(int64_t size, const slice_attr *a, int64_t *first)
{
    const int64_t lo = a->step > 0 ? 0 : -1, hi = a->step > 0 ? size : size - 1;
    const int64_t start = a->named & START ? a->start : clip(a->start, size, lo, hi);
    const int64_t stop = a->named & STOP                    ? a->stop
                         : a->step < 0 && a->stop == RG_END ? -1
                                                            : clip(a->stop, size, lo, hi);
    *first = start;
    return a->step > 0 ? stop - start : start - stop;
}

/* How many elements are taken. */
static int64_t resolve(int64_t size, const slice_attr *a, int64_t *first)
{
    const int64_t all = distance(size, a, first);
    const uint64_t step = a->step > 0 ? (uint64_t)a->step : 0 - (uint64_t)a->step;
    return all > 0 ? (int64_t)((uint64_t)(all - 1) / step) + 1 : 0;
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
    const int64_t size = x->dim[a.axis], most = a.step > 0 ? size : size - 1;
    const int64_t far = a.named & START && a.start > most ? a.start : a.named & STOP && a.stop > most ? a.stop : 0;
    if (far && call->context && call->context->sizes) {
        (void)rg_infer_fail(call, RG_ERR_SHAPE, "position %lld is beyond axis %lld, whose size is %lld", (long long)far,
                            (long long)a.axis, (long long)size);
        return -1;
    }
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

static span span_of(const rg_step *step, const rg_type *whole)
{
    const slice_attr a = concrete(step);
    int64_t first;
    const int32_t axis = (int32_t)a.axis;
    span s = {.size = whole->shape.dim[axis], .step = a.step, .bytes = rg_dtype_size(whole->dtype)};
    s.n = resolve(s.size, &a, &first);
    s.first = first;
    s.outer = (ptrdiff_t)rgi_count_range(&whole->shape, 0, axis);
    s.inner = (ptrdiff_t)rgi_count_range(&whole->shape, axis + 1, whole->shape.rank);
    if (s.n <= 1)
        s.step = 1;
    return s;
}

typedef struct piece {
    rgi_move move;
    ptrdiff_t in, out; /* the elements where it starts */
} piece;

static void geometry_slice(const rg_step *step, void *out)
{
    const span s = span_of(step, &step->in_type[0]);
    piece *p = out;
    *p = (piece){.move = {.size = s.bytes}, .in = s.first * s.inner};
    rgi_move_axis(&p->move, (size_t)s.outer, s.size * s.inner, s.n * s.inner);
    rgi_move_axis(&p->move, (size_t)s.n, s.step * s.inner, s.inner);
    rgi_move_axis(&p->move, (size_t)s.inner, 1, 1);
    rgi_move_cut(&p->move);
}

static void cost_slice(const rg_step *step, rg_cost *c)
{
    const piece *p = step->geometry;
    c->tasks[0] = p->move.tasks;
    c->bytes = 2 * (double)rgi_count(&step->out_type[0]) * (double)p->move.size;
}

static rg_status run_slice(const rg_step *step, size_t lo, size_t hi)
{
    const piece *p = step->geometry;
    rgi_move_run(&p->move, rgi_at(step->in[0], p->in, p->move.size), step->out[0], lo, hi);
    return RG_OK;
}

static bool window_slice(const rg_step *step, size_t i, rg_window *out)
{
    const slice_attr *a = step->attr;
    if (i != 0 || a->step != 1 || a->named)
        return false;
    const span s = span_of(step, &step->in_type[0]);
    *out = (rg_window){(size_t)(s.first * s.inner), (size_t)(s.n * s.inner), (size_t)(s.size * s.inner)};
    return true;
}

/* What slice_grad writes: the part itself, what lies before and behind it, and the gaps between its elements. */
enum { PART, BEFORE, BEHIND, GAPS, PIECES };

static void geometry_grad(const rg_step *step, void *out)
{
    const span s = span_of(step, &step->out_type[0]);
    const ptrdiff_t stride = s.step < 0 ? -s.step : s.step, backward = s.step < 0;
    const ptrdiff_t low = s.n == 0 ? 0 : backward ? s.first + (s.n - 1) * s.step : s.first;
    const ptrdiff_t end = s.n == 0 ? 0 : low + (s.n - 1) * stride + 1; /* one behind the highest */
    const ptrdiff_t length[PIECES] = {1, low, s.size - end, stride - 1}, at[PIECES] = {low, 0, end, low + 1};
    const ptrdiff_t count[PIECES] = {s.n, 1, 1, s.n > 1 ? s.n - 1 : 0};
    piece *pieces = out;
    for (int i = 0; i < PIECES; i++) {
        rgi_move *m = &pieces[i].move;
        pieces[i] = (piece){.move = {.size = s.bytes}, .out = at[i] * s.inner};
        rgi_move_axis(m, (size_t)s.outer, i == PART ? s.n * s.inner : 0, s.size * s.inner);
        rgi_move_axis(m, (size_t)count[i], i == PART ? (backward ? -s.inner : s.inner) : 0, stride * s.inner);
        rgi_move_axis(m, (size_t)(length[i] * s.inner), i == PART ? 1 : 0, 1);
        rgi_move_cut(m);
    }
    pieces[PART].in = backward && s.n ? (s.n - 1) * s.inner : 0;
}

static void cost_grad(const rg_step *step, rg_cost *c)
{
    const piece *pieces = step->geometry;
    for (int i = 0; i < PIECES; i++)
        c->tasks[0] += pieces[i].move.tasks;
    c->bytes = rgi_bytes(step);
}

static rg_status run_grad(const rg_step *step, size_t lo, size_t hi)
{
    static const uint64_t zero = 0;
    const piece *pieces = step->geometry;
    size_t first = 0;
    for (int i = 0; i < PIECES; i++) {
        const rgi_move *m = &pieces[i].move;
        const void *in = i == PART ? rgi_at(step->in[0], pieces[i].in, m->size) : &zero;
        first = rgi_move_part(m, in, rgi_at_out(step->out[0], pieces[i].out, m->size), first, lo, hi);
    }
    return RG_OK;
}

const rg_op rgi_op_slice = {
    .name = "slice",
    .n_in = -1,
    .n_out = 1,
    .traits = RG_MOVES,
    .dtypes = RG_DT_ALL | RG_DT(RG_BF16),
    .shape_only = 1 << 1,
    .attr_size = sizeof(slice_attr),
    .attrs = slice_attrs,
    .infer = infer_slice,
    .vjp = vjp_slice,
    .jvp = rgi_jvp_linear,
    .batch = batch_slice,
    .geometry_size = sizeof(piece),
    .geometry = geometry_slice,
    .cost = cost_slice,
    .window = window_slice,
    .run = run_slice,
};

/* Axis for axis, but for the one that is cut. */
static void reads_grad(const rg_step *step, size_t i, int32_t from[])
{
    for (int32_t a = 0; i < 2 && a < step->in_type[i].shape.rank; a++)
        from[a] = a == (int32_t)((const slice_attr *)step->attr)->axis ? -1 : a;
}

const rg_op rgi_op_slice_grad = {
    .name = "slice_grad",
    .n_in = -1,
    .n_out = 1,
    .traits = RG_MOVES | RG_ROWS,
    .dtypes = RG_DT_ALL | RG_DT(RG_BF16),
    .shape_only = 1 << 1 | 1 << 2,
    .attr_size = sizeof(slice_attr),
    .attrs = slice_attrs,
    .infer = infer_slice_grad,
    .vjp = vjp_slice_grad,
    .jvp = rgi_jvp_linear,
    .batch = batch_slice,
    .geometry_size = PIECES * sizeof(piece),
    .geometry = geometry_grad,
    .cost = cost_grad,
    .run = run_grad,
    .reads = reads_grad,
};

rg_node *rg_slice(rg_node *x, int axis, int64_t start, int64_t stop)
{
    return rg_slice_step(x, axis, start, stop, 1);
}

/* Whether a slice of x with named positions is empty for some sizes and not for others: then the number of its elements
   is no formula of the names, although it is 0 for the numbers that stand for them. `b`: `a` under the second
   assignment. */
static bool disordered(const rg_node *x, const slice_attr *a, const slice_attr *b)
{
    int64_t first;
    if (a->axis < 0 || a->axis >= x->shape->a.rank || a->step == 0)
        return false; /* the shape rule says so */
    const int64_t all = distance(x->shape->a.dim[a->axis], a, &first);
    return all < 0 && all != distance(x->shape->b.dim[a->axis], b, &first);
}

rg_node *rg_slice_step(rg_node *x, int axis, int64_t start, int64_t stop, int64_t step)
{
    rg_node *in[2] = {x, NULL};
    slice_attr a = {rgi_axis(x, axis, 0), start, stop, step, 0}, b = a;
    char label[2 * RGI_LABEL], from[RGI_LABEL], to[RGI_LABEL];
    if (x && rgi_dim_second(x->graph, start, &b.start) == RG_OK && b.start != start)
        a.named |= START;
    if (x && rgi_dim_second(x->graph, stop, &b.stop) == RG_OK && b.stop != stop)
        a.named |= STOP;
    b.named = a.named;
    if (a.named && disordered(x, &a, &b))
        return rg_build_fail(x->graph, RG_ERR_SHAPE,
                             "slice: from %s to %s of axis %d of %s: which comes first depends on the sizes bound",
                             rgi_format_size(x->graph, start, from, sizeof from),
                             rgi_format_size(x->graph, stop, to, sizeof to), axis,
                             rgi_format_operand(x, label, sizeof label));
    if (a.named) {
        const rg_shape positions = RG_SHAPE(a.named & START ? start : 0, a.named & STOP ? stop : 0);
        in[1] = rg_zeros(x->graph, RG_BOOL, positions);
        if (!in[1])
            return NULL;
    }
    return rg_apply(&rgi_op_slice, (rg_nodes){in, a.named ? 2 : 1}, &a);
}

/* ---- gradients of slices that fill an axis ---- */

#define MOST_SLICES 32

typedef struct parts {
    rg_node *at[MOST_SLICES]; /* slice_grads */
    int64_t first[MOST_SLICES], n[MOST_SLICES];
    size_t count, adds;
} parts;

/* The slice_grads of a sum; false when there is something else in it. A sum of more terms than fit is given up on its
   way down: the sums of a long chain are not walked to their end. */
static bool collect(const rg_node *node, parts *p)
{
    if (node->op == &rgi_op_add)
        return ++p->adds < MOST_SLICES && collect(node->in[1], p) && collect(node->in[0], p);
    if (node->op != &rgi_op_slice_grad || p->count == MOST_SLICES)
        return false;
    const slice_attr *a = node->attr, *b = p->count ? p->at[0]->attr : a;
    const rgi_shape *shape = node->shape;
    if (a->named || a->step != 1 || a->axis != b->axis || shape->a.dim[a->axis] != shape->b.dim[a->axis])
        return false;
    size_t at = p->count++;
    int64_t first;
    const int64_t n = resolve(shape->a.dim[a->axis], a, &first);
    for (; at > 0 && p->first[at - 1] > first; at--) { /* in rising order */
        p->at[at] = p->at[at - 1];
        p->first[at] = p->first[at - 1];
        p->n[at] = p->n[at - 1];
    }
    p->at[at] = (rg_node *)(uintptr_t)node;
    p->first[at] = first;
    p->n[at] = n;
    return true;
}

rg_node *rgi_join_slices(rg_node *sum)
{
    parts p = {.count = 0};
    rg_node *in[MOST_SLICES];
    if (!sum || sum->op != &rgi_op_add || !collect(sum, &p))
        return sum;
    const int64_t axis = ((const slice_attr *)p.at[0]->attr)->axis;
    int64_t end = 0;
    for (size_t i = 0; i < p.count; i++) {
        if (p.first[i] != end)
            return sum;
        end += p.n[i];
        in[i] = p.at[i]->in[0];
    }
    return end == sum->shape->a.dim[axis] ? rg_concat((rg_nodes){in, p.count}, (int)axis) : sum;
}
