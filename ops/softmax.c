/* softmax.c - the softmax family along the last axis. The builders move another axis there and back.

       y                                      vjp                        jvp
       softmax      e^x / sum e^x             y (u - sum u y)            the same: the Jacobian is symmetric
       log_softmax  x - log sum e^x           u - e^y sum u              t - sum e^y t
       logsumexp    log sum e^x               u softmax(x)               sum softmax(x) t
       softmax_grad(a, y) = y (a - sum a y)   da = softmax_grad(u, y),   dy = u (a - sum a y) - a sum u y
       log_softmax_grad(a, y) = a - e^y sum a da = u - sum u e^y,        dy = -u e^y sum a                       */
#include "along.h"
#include "table_ops.h"

#include <math.h>

/* ---- shape rules ---- */

static rg_status infer_rows(rg_infer *call)
{
    const rg_shape *x = &call->in[0].shape;
    if (x->rank < 1)
        return rg_infer_fail(call, RG_ERR_SHAPE, "a scalar has no axis to go along");
    for (size_t i = 1; i < call->n_in; i++)
        if (call->in[i].dtype != call->in[0].dtype || !rg_shape_equal(call->in[i].shape, *x))
            return rg_infer_fail(call, RG_ERR_SHAPE, "inputs of different types or shapes");
    call->out[0] = call->in[0];
    return RG_OK;
}

static rg_status infer_logsumexp(rg_infer *call)
{
    const rg_status status = infer_rows(call);
    call->out[0].shape.rank -= status == RG_OK;
    return status;
}

/* ---- derivatives ---- */

static rg_node *softmax_grad(rg_node *a, rg_node *y)
{
    return rg_apply(&rgi_op_softmax_grad, RG_NODES(a, y), NULL);
}

static rg_node *log_softmax_grad(rg_node *a, rg_node *y)
{
    return rg_apply(&rgi_op_log_softmax_grad, RG_NODES(a, y), NULL);
}

/* Along the rows, kept with size 1. */
static rg_node *row_sum(rg_node *x)
{
    return rg_sum(x, RG_AXES(-1), true);
}

static rg_node *row_dot(rg_node *a, rg_node *b)
{
    return row_sum(rg_mul(a, b));
}

/* The sum of two parts of a tangent, of which each may be absent. */
static rg_node *both(rg_node *a, rg_node *b)
{
    return a && b ? rg_add(a, b) : a ? a : b;
}

static void vjp_softmax(rg_node *self, rg_node *const ct[], rg_node *grad[])
{
    grad[0] = softmax_grad(ct[0], rg_output(self, 0));
}

static void vjp_log_softmax(rg_node *self, rg_node *const ct[], rg_node *grad[])
{
    grad[0] = log_softmax_grad(ct[0], rg_output(self, 0));
}

static void jvp_log_softmax(rg_node *self, rg_node *const tangent[], rg_node *out[])
{
    out[0] = rg_sub(tangent[0], row_dot(rg_exp(rg_output(self, 0)), tangent[0]));
}

static rg_node *softmax_rows(rg_node *x)
{
    return rg_apply(&rgi_op_softmax, RG_NODES(x), NULL);
}

static void vjp_logsumexp(rg_node *self, rg_node *const ct[], rg_node *grad[])
{
    grad[0] = rg_mul(rg_unsqueeze(ct[0], -1), softmax_rows(rg_arg(self, 0)));
}

static void jvp_logsumexp(rg_node *self, rg_node *const tangent[], rg_node *out[])
{
    out[0] = rg_sum(rg_mul(softmax_rows(rg_arg(self, 0)), tangent[0]), RG_AXES(-1), false);
}

static void vjp_softmax_grad(rg_node *self, rg_node *const ct[], rg_node *grad[])
{
    rg_node *a = rg_arg(self, 0), *y = rg_arg(self, 1), *u = ct[0];
    if (rg_wants(self, 0))
        grad[0] = softmax_grad(u, y);
    if (rg_wants(self, 1))
        grad[1] = rg_sub(rg_mul(u, rg_sub(a, row_dot(a, y))), rg_mul(a, row_dot(u, y)));
}

static void jvp_softmax_grad(rg_node *self, rg_node *const tangent[], rg_node *out[])
{
    rg_node *a = rg_arg(self, 0), *y = rg_arg(self, 1), *ta = tangent[0], *ty = tangent[1];
    rg_node *along_a = ta ? softmax_grad(ta, y) : NULL;
    rg_node *along_y = ty ? rg_sub(rg_mul(ty, rg_sub(a, row_dot(a, y))), rg_mul(y, row_dot(a, ty))) : NULL;
    out[0] = both(along_a, along_y);
}

static void vjp_log_softmax_grad(rg_node *self, rg_node *const ct[], rg_node *grad[])
{
    rg_node *a = rg_arg(self, 0), *u = ct[0], *p = rg_exp(rg_arg(self, 1));
    if (rg_wants(self, 0))
        grad[0] = rg_sub(u, row_dot(u, p));
    if (rg_wants(self, 1))
        grad[1] = rg_neg(rg_mul(rg_mul(u, p), row_sum(a)));
}

static void jvp_log_softmax_grad(rg_node *self, rg_node *const tangent[], rg_node *out[])
{
    rg_node *a = rg_arg(self, 0), *y = rg_arg(self, 1), *ta = tangent[0], *ty = tangent[1];
    rg_node *along_a = ta ? log_softmax_grad(ta, y) : NULL;
    rg_node *along_y = ty ? rg_neg(rg_mul(rg_mul(ty, rg_exp(y)), row_sum(a))) : NULL;
    out[0] = both(along_a, along_y);
}

/* Leading axes are rows, one more or less. */
static void batch(rg_node *self, rg_node *const in[], const bool batched[], rg_node *out[])
{
    rg_node *full[2];
    const size_t n = rg_arg_count(self);
    rgi_batch_all(in, batched, n, full);
    out[0] = rg_apply(rg_op_of(self), (rg_nodes){full, n}, NULL);
}

/* ---- running: tasks are rows ---- */

#define DRAWN 4096 /* elements of rows drawn together, or one row */

typedef void rows_to_rows(size_t rows, size_t cols, const void *x, void *y);
typedef void rows_grad(size_t rows, size_t cols, const void *dy, const void *y, void *dx);

typedef struct rows {
    size_t n, cols;
} rows;

static rows rows_of(const rg_step *s)
{
    const rg_shape *x = &s->in_type[0].shape;
    return (rows){rgi_count_range(x, 0, x->rank - 1), (size_t)x->dim[x->rank - 1]};
}

static void cost(const rg_step *s, rg_cost *cost)
{
    const rows r = rows_of(s);
    cost->tasks[0] = r.n;
    cost->flops = 24 * (double)r.n * (double)r.cols;
    cost->bytes = rgi_bytes(s);
}

static bool draws(const void *attr, const rg_type *in)
{
    (void)attr, (void)in;
    return true;
}

/* Rows that are drawn come to lie where their results will. */
static rg_status run_drawn(const rg_step *s, rows r, rows_to_rows *kernel, size_t lo, size_t hi)
{
    const size_t size = rg_dtype_size(s->out_type[0].dtype), together = DRAWN / r.cols + 1;
    rg_status status = RG_OK;
    for (size_t n; lo < hi && !status; lo += n) {
        char *y = (char *)s->out[0] + lo * r.cols * size;
        n = hi - lo < together ? hi - lo : together;
        status = s->source->give(s, lo * r.cols, n * r.cols, y);
        if (!status)
            kernel(n, r.cols, y, y);
    }
    return status;
}

static rg_status run_rows(const rg_step *s, rows_to_rows *kernel, size_t lo, size_t hi)
{
    const rows r = rows_of(s);
    const size_t at = lo * r.cols * rg_dtype_size(s->out_type[0].dtype);
    if (r.n * r.cols == 0)
        return RG_OK;
    if (s->source)
        return run_drawn(s, r, kernel, lo, hi);
    kernel(hi - lo, r.cols, (const char *)s->in[0] + at, (char *)s->out[0] + at);
    return RG_OK;
}

static rg_status run_softmax(const rg_step *s, size_t lo, size_t hi)
{
    return run_rows(s, rgi_kernels(s->out_type[0].dtype)->softmax, lo, hi);
}

static rg_status run_log_softmax(const rg_step *s, size_t lo, size_t hi)
{
    return run_rows(s, rgi_kernels(s->out_type[0].dtype)->log_softmax, lo, hi);
}

static rg_status run_logsumexp(const rg_step *s, size_t lo, size_t hi)
{
    const rows r = rows_of(s);
    const rgk_table *k = rgi_kernels(s->out_type[0].dtype);
    const size_t size = rg_dtype_size(s->out_type[0].dtype);
    char *y = (char *)s->out[0] + lo * size;
    if (r.n == 0)
        return RG_OK;
    if (r.cols == 0)
        k->fill(hi - lo, -(double)INFINITY, y);
    else
        k->logsumexp(hi - lo, r.cols, (const char *)s->in[0] + lo * r.cols * size, y);
    return RG_OK;
}

static rg_status run_grad(const rg_step *s, rows_grad *kernel, size_t lo, size_t hi)
{
    const rows r = rows_of(s);
    const size_t at = lo * r.cols * rg_dtype_size(s->out_type[0].dtype);
    if (r.n * r.cols > 0)
        kernel(hi - lo, r.cols, (const char *)s->in[0] + at, (const char *)s->in[1] + at, (char *)s->out[0] + at);
    return RG_OK;
}

static rg_status run_softmax_grad(const rg_step *s, size_t lo, size_t hi)
{
    return run_grad(s, rgi_kernels(s->out_type[0].dtype)->softmax_grad, lo, hi);
}

static rg_status run_log_softmax_grad(const rg_step *s, size_t lo, size_t hi)
{
    return run_grad(s, rgi_kernels(s->out_type[0].dtype)->log_softmax_grad, lo, hi);
}

/* ---- descriptors ---- */

#define ROWS .n_out = 1, .dtypes = RG_DT_FLOATS, .batch = batch, .cost = cost, .reads = rgi_row_reads

const rg_op rgi_op_softmax = {
    ROWS,
    .name = "softmax",
    .n_in = 1,
    .traits = RG_INPLACE | RG_ROWS,
    .infer = infer_rows,
    .draws = draws,
    .vjp = vjp_softmax,
    .jvp = vjp_softmax,
    .run = run_softmax,
};

const rg_op rgi_op_log_softmax = {
    ROWS,
    .name = "log_softmax",
    .n_in = 1,
    .traits = RG_INPLACE | RG_ROWS,
    .infer = infer_rows,
    .draws = draws,
    .vjp = vjp_log_softmax,
    .jvp = jvp_log_softmax,
    .run = run_log_softmax,
};

const rg_op rgi_op_logsumexp = {
    ROWS,
    .name = "logsumexp",
    .n_in = 1,
    .traits = RG_ROWS,
    .infer = infer_logsumexp,
    .vjp = vjp_logsumexp,
    .jvp = jvp_logsumexp,
    .run = run_logsumexp,
};

const rg_op rgi_op_softmax_grad = {
    ROWS,
    .name = "softmax_grad",
    .n_in = 2,
    .traits = RG_ROWS,
    .infer = infer_rows,
    .vjp = vjp_softmax_grad,
    .jvp = jvp_softmax_grad,
    .run = run_softmax_grad,
};

const rg_op rgi_op_log_softmax_grad = {
    ROWS,
    .name = "log_softmax_grad",
    .n_in = 2,
    .traits = RG_ROWS,
    .infer = infer_rows,
    .vjp = vjp_log_softmax_grad,
    .jvp = jvp_log_softmax_grad,
    .run = run_log_softmax_grad,
};

/* ---- builders ---- */

/* The permutation that moves `axis` behind all others, or its inverse. */
static rg_axes to_last(int32_t rank, int32_t axis, bool inverse)
{
    rg_axes axes = {.n = rank};
    for (int32_t i = 0; i < rank; i++) {
        const int32_t from = i == rank - 1 ? axis : i < axis ? i : i + 1;
        if (inverse)
            axes.axis[from] = i;
        else
            axes.axis[i] = from;
    }
    return axes;
}

/* Whether `axis` is none of x's: then the error is recorded. */
static bool no_axis(const rg_op *op, const rg_node *x, int axis, int32_t *out)
{
    char text[2 * RGI_LABEL];
    if (!x || rg_axis_normalise(axis, x->shape->a.rank, out))
        return false;
    rg_build_fail(x->graph, RG_ERR_ARGUMENT, "%s: axis %d is outside [%d, %d); inputs: %s", op->name, axis,
                  -(int)x->shape->a.rank, (int)x->shape->a.rank, rgi_format_operand(x, text, sizeof text));
    return true;
}

static rg_node *along_axis(const rg_op *op, rg_node *x, int axis)
{
    int32_t at = 0;
    if (no_axis(op, x, axis, &at))
        return NULL;
    const int32_t rank = x ? x->shape->a.rank : 0;
    if (at >= rank - 1)
        return rg_apply(op, RG_NODES(x), NULL);
    return rg_transpose(rg_apply(op, RG_NODES(rg_transpose(x, to_last(rank, at, false))), NULL),
                        to_last(rank, at, true));
}

rg_node *rg_softmax(rg_node *x, int axis)
{
    return along_axis(&rgi_op_softmax, x, axis);
}

rg_node *rg_log_softmax(rg_node *x, int axis)
{
    return along_axis(&rgi_op_log_softmax, x, axis);
}

rg_node *rg_logsumexp(rg_node *x, int axis, bool keepdims)
{
    int32_t at = 0;
    if (no_axis(&rgi_op_logsumexp, x, axis, &at))
        return NULL;
    const int32_t rank = x ? x->shape->a.rank : 0;
    if (at < rank - 1)
        x = rg_transpose(x, to_last(rank, at, false));
    rg_node *y = rg_apply(&rgi_op_logsumexp, RG_NODES(x), NULL);
    return keepdims ? rg_unsqueeze(y, at) : y;
}
