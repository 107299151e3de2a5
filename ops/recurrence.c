/* recurrence.c - first-order linear recurrences along one axis, and what they are at ones: cumulative sums.

       cumsum               y_i = y_{i-1} + x_i
       linear_recurrence    y_i = a_i y_{i-1} + b_i,   y_{-1} = `initial`
   forwards or, `reverse`, from the end. The derivative of a recurrence is one with the same coefficients; its transpose
   is one the other way, with the coefficients one place on:
       jvp   t_i = a_i t_{i-1} + (ta_i y_{i-1} + tb_i)
       vjp   s_i = a_{i+1} s_{i+1} + g_i,   db = s,   da_i = s_i y_{i-1}
   A cumulative product is the recurrence with a = x, b = 0 from 1 on: its derivatives need no division. */
#include "along.h"
#include "table_ops.h"
#include "widen.h"

#include <retrograde/op.h>

#include <math.h>

typedef struct recurrence {
    int64_t axis;
    bool reverse;
    double initial;
} recurrence;

static const rg_attr_field fields[] = {
    {"axis", offsetof(recurrence, axis), RG_ATTR_I64},
    {"reverse", offsetof(recurrence, reverse), RG_ATTR_BOOL},
    {"initial", offsetof(recurrence, initial), RG_ATTR_F64},
    {0},
};

static rg_status infer(rg_infer *call)
{
    const recurrence *r = call->attr;
    if (!rgi_axis_ok(call, r->axis, call->in[0].shape.rank))
        return RG_ERR_ARGUMENT;
    if (call->n_in == 2 &&
        (call->in[0].dtype != call->in[1].dtype || !rg_shape_equal(call->in[0].shape, call->in[1].shape)))
        return rg_infer_fail(call, RG_ERR_SHAPE, "the coefficients and the terms must have one type and shape");
    call->out[0] = call->in[0];
    return RG_OK;
}

/* ---- derivatives and batching ---- */

/* What a recurrence along r sees one step before: x_{i-1}, `first` where there is none. */
static rg_node *before(rg_node *x, const recurrence *r, double first)
{
    const int axis = (int)r->axis;
    return r->reverse ? rg_slice(rg_pad(x, axis, 0, 1, RG_PAD_CONSTANT, first), axis, 1, RG_END)
                      : rg_slice(rg_pad(x, axis, 1, 0, RG_PAD_CONSTANT, first), axis, 0, -1);
}

static recurrence turned(const recurrence *r)
{
    return (recurrence){r->axis, !r->reverse, 0};
}

static void vjp_cumsum(rg_node *self, rg_node *const ct[], rg_node *grad[])
{
    const recurrence other = turned(rg_attr(self));
    grad[0] = rg_apply(&rgi_op_cumsum, RG_NODES(ct[0]), &other);
}

static void vjp(rg_node *self, rg_node *const ct[], rg_node *grad[])
{
    const recurrence *r = rg_attr(self), other = turned(r);
    rg_node *s = rg_apply(&rgi_op_linear_recurrence, RG_NODES(before(rg_arg(self, 0), &other, 0), ct[0]), &other);
    if (rg_wants(self, 0))
        grad[0] = rg_mul(s, before(rg_output(self, 0), r, r->initial));
    if (rg_wants(self, 1))
        grad[1] = s;
}

static void jvp(rg_node *self, rg_node *const tangent[], rg_node *out[])
{
    const recurrence *r = rg_attr(self), rest = {r->axis, r->reverse, 0};
    rg_node *term = tangent[1];
    if (tangent[0]) {
        rg_node *y = before(rg_output(self, 0), r, r->initial);
        term = term ? rg_fma(tangent[0], y, term) : rg_mul(tangent[0], y);
    }
    out[0] = rg_apply(&rgi_op_linear_recurrence, RG_NODES(rg_arg(self, 0), term), &rest);
}

static void batch(rg_node *self, rg_node *const in[], const bool batched[], rg_node *out[])
{
    recurrence r = *(const recurrence *)rg_attr(self);
    rg_node *full[2];
    const size_t n = rg_arg_count(self);
    r.axis++;
    rgi_batch_all(in, batched, n, full);
    out[0] = rg_apply(rg_op_of(self), (rg_nodes){full, n}, &r);
}

/* ---- running: tasks are blocks of columns ---- */

static rgi_collapse collapse_of(const rg_step *s)
{
    return rgi_collapse_axis(&s->in_type[0].shape, (int32_t)((const recurrence *)s->attr)->axis);
}

static void cost(const rg_step *s, rg_cost *cost)
{
    const rgi_collapse c = collapse_of(s);
    cost->tasks[0] = c.outer * rgi_column_blocks(c.inner);
    cost->flops = (s->n_in == 2 ? 2 : 4) * (double)rgi_count(&s->in_type[0]);
    cost->bytes = rgi_bytes(s);
}

/* Sums of one block of n columns with what rounding took away (Neumaier 1974). */
static void sum_f32(size_t k, size_t n, ptrdiff_t row, const float *x, float *y)
{
    double sum[RGI_COLUMNS] = {0};
    for (size_t i = 0; i < k; i++, x += row, y += row)
        for (size_t j = 0; j < n; j++)
            y[j] = (float)(sum[j] += (double)x[j]);
}

static void sum_f64(size_t k, size_t n, ptrdiff_t row, const double *x, double *y)
{
    double sum[RGI_COLUMNS] = {0}, lost[RGI_COLUMNS] = {0};
    for (size_t i = 0; i < k; i++, x += row, y += row)
        for (size_t j = 0; j < n; j++) {
            const double t = sum[j] + x[j];
            const double less = fabs(sum[j]) >= fabs(x[j]) ? (sum[j] - t) + x[j] : (x[j] - t) + sum[j];
            lost[j] += less - less == 0 ? less : 0; /* of an infinite sum nothing is lost */
            sum[j] = t;
            y[j] = t + lost[j];
        }
}

static void sum_i32(size_t k, size_t n, ptrdiff_t row, const uint32_t *x, uint32_t *y)
{
    uint32_t sum[RGI_COLUMNS] = {0};
    for (size_t i = 0; i < k; i++, x += row, y += row)
        for (size_t j = 0; j < n; j++)
            y[j] = sum[j] += x[j];
}

static void sum_i64(size_t k, size_t n, ptrdiff_t row, const uint64_t *x, uint64_t *y)
{
    uint64_t sum[RGI_COLUMNS] = {0};
    for (size_t i = 0; i < k; i++, x += row, y += row)
        for (size_t j = 0; j < n; j++)
            y[j] = sum[j] += x[j];
}

static void recur_f32(size_t k, size_t n, ptrdiff_t row, double initial, const float *a, const float *b, float *y)
{
    double state[RGI_COLUMNS];
    for (size_t j = 0; j < n; j++)
        state[j] = initial;
    for (size_t i = 0; i < k; i++, a += row, b += row, y += row)
        for (size_t j = 0; j < n; j++)
            y[j] = (float)(state[j] = (double)a[j] * state[j] + (double)b[j]);
}

static void recur_f64(size_t k, size_t n, ptrdiff_t row, double initial, const double *a, const double *b, double *y)
{
    double state[RGI_COLUMNS];
    for (size_t j = 0; j < n; j++)
        state[j] = initial;
    for (size_t i = 0; i < k; i++, a += row, b += row, y += row)
        for (size_t j = 0; j < n; j++)
            y[j] = state[j] = a[j] * state[j] + b[j];
}

static void run_columns(const rg_step *s, rgi_collapse c, size_t n, size_t first)
{
    const recurrence *r = s->attr;
    const ptrdiff_t row = r->reverse ? -(ptrdiff_t)c.inner : (ptrdiff_t)c.inner;
    const rg_dtype dtype = s->in_type[0].dtype;
    const size_t at = (first + (r->reverse ? (c.k - 1) * c.inner : 0)) * rg_dtype_size(dtype);
    const void *a = (const char *)s->in[0] + at, *b = s->n_in == 2 ? (const char *)s->in[1] + at : NULL;
    void *y = (char *)s->out[0] + at;
    if (b && dtype == RG_F32)
        recur_f32(c.k, n, row, r->initial, a, b, y);
    else if (b)
        recur_f64(c.k, n, row, r->initial, a, b, y);
    else if (dtype == RG_F32)
        sum_f32(c.k, n, row, a, y);
    else if (dtype == RG_F64)
        sum_f64(c.k, n, row, a, y);
    else if (dtype == RG_I32)
        sum_i32(c.k, n, row, a, y);
    else
        sum_i64(c.k, n, row, a, y);
}

static rg_status run(const rg_step *s, size_t lo, size_t hi)
{
    const rgi_collapse c = collapse_of(s);
    if (c.outer * c.k * c.inner == 0)
        return RG_OK;
    for (; lo < hi; lo++) {
        const rgi_span span = rgi_span_at(c.inner, lo, lo + 1);
        run_columns(s, c, span.n, span.row * c.k * c.inner + span.first);
    }
    return RG_OK;
}

/* ---- descriptors and builders ---- */

static void reads(const rg_step *step, size_t i, int32_t from[])
{
    for (int32_t a = 0; a < step->in_type[i].shape.rank; a++)
        from[a] = a == ((const recurrence *)step->attr)->axis ? -1 : a;
}

const rg_op rgi_op_cumsum = {
    .name = "cumsum",
    .n_in = 1,
    .n_out = 1,
    .dtypes = RG_DT_NUMBERS,
    .attr_size = sizeof(recurrence),
    .attrs = fields,
    .infer = infer,
    .vjp = vjp_cumsum,
    .jvp = rgi_jvp_linear,
    .batch = batch,
    .cost = cost,
    .run = run,
    .reads = reads,
};

const rg_op rgi_op_linear_recurrence = {
    .name = "linear_recurrence",
    .n_in = 2,
    .n_out = 1,
    .dtypes = RG_DT_FLOATS,
    .attr_size = sizeof(recurrence),
    .attrs = fields,
    .infer = infer,
    .vjp = vjp,
    .jvp = jvp,
    .batch = batch,
    .cost = cost,
    .run = run,
    .reads = reads,
};

rg_node *rg_cumsum(rg_node *x, int axis, bool reverse)
{
    return rg_apply(&rgi_op_cumsum, RG_NODES(x), &(recurrence){rgi_axis(x, axis, 0), reverse, 0});
}

rg_node *rg_cumprod(rg_node *x, int axis)
{
    return rg_apply(&rgi_op_linear_recurrence, RG_NODES(x, rg_zeros_like(x)),
                    &(recurrence){rgi_axis(x, axis, 0), false, 1});
}

rg_node *rg_linear_recurrence(rg_node *a, rg_node *b, int axis, bool reverse)
{
    return rg_apply(&rgi_op_linear_recurrence, RG_NODES(a, b), &(recurrence){rgi_axis(a, axis, 0), reverse, 0});
}
