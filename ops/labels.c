/* labels.c - rows with a class each: checks, reading of labels and weights, and the weight of a row as an op. */
#include "labels.h"
#include "index.h"
#include "rules.h"
#include "table_ops.h"

#include <retrograde/op.h>

#define TASK_ELEMENTS ((size_t)8192)

const rg_attr_field rgi_label_attrs[] = {
    {"smoothing", offsetof(rgi_label_attr, smoothing), RG_ATTR_F64},
    {"has_ignore", offsetof(rgi_label_attr, has_ignore), RG_ATTR_BOOL},
    {"ignore", offsetof(rgi_label_attr, ignore), RG_ATTR_I64},
    {0},
};

rg_status rgi_label_infer(const rg_infer *call, size_t values, size_t weight)
{
    if (call->n_in != weight && call->n_in != weight + 1)
        return rg_infer_fail(call, RG_ERR_ARGUMENT, "%zu inputs", call->n_in);
    const rg_type *x = &call->in[values], *labels = &call->in[1];
    const int32_t last = x->shape.rank - 1;
    if (x->dtype != RG_F32 && x->dtype != RG_F64)
        return rg_infer_fail(call, RG_ERR_DTYPE, "input %zu is %s, not f32 or f64", values, rg_dtype_name(x->dtype));
    if (!rgi_is_index(labels->dtype))
        return rg_infer_fail(call, RG_ERR_DTYPE, "the labels are %s, not u8, i32 or i64", rg_dtype_name(labels->dtype));
    if (last < 0)
        return rg_infer_fail(call, RG_ERR_SHAPE, "input %zu has no axis of classes", values);
    if (labels->shape.rank != last)
        return rg_infer_fail(call, RG_ERR_SHAPE,
                             "the labels have %d axes, not %d (those of input %zu without its last, the classes)",
                             labels->shape.rank, last, values);
    for (int32_t i = 0; i < last; i++)
        if (labels->shape.dim[i] != x->shape.dim[i])
            return rg_infer_fail(call, RG_ERR_SHAPE, "axis %d of the labels and of input %zu differ", i, values);
    if (call->n_in == weight)
        return RG_OK;
    const rg_type *w = &call->in[weight];
    const int32_t lead = w->shape.rank - 1;
    if (w->dtype != x->dtype)
        return rg_infer_fail(call, RG_ERR_DTYPE, "the weights are %s, not %s", rg_dtype_name(w->dtype),
                             rg_dtype_name(x->dtype));
    bool fits = lead >= 0 && lead <= last && w->shape.dim[lead] == x->shape.dim[last];
    for (int32_t i = 0; fits && i < lead; i++)
        fits = w->shape.dim[i] == x->shape.dim[i];
    if (!fits)
        return rg_infer_fail(call, RG_ERR_SHAPE, "the weights are not one for each class (axis %d of input %zu)", last,
                             values);
    return RG_OK;
}

rgi_rows rgi_rows_of(const rg_step *step, size_t values, size_t weight)
{
    const rg_type *x = &step->in_type[values];
    const int32_t last = x->shape.rank - 1;
    rgi_rows r = {.n = rgi_count_range(&x->shape, 0, last), .classes = (size_t)x->shape.dim[last], .dtype = x->dtype};
    r.sharing = r.n;
    if (step->n_in > weight) {
        r.weight = step->in[weight];
        r.sharing = rgi_count_range(&x->shape, step->in_type[weight].shape.rank - 1, last);
    }
    r.group = r.classes >= TASK_ELEMENTS ? 1 : TASK_ELEMENTS / (r.classes ? r.classes : 1);
    return r;
}

void rgi_rows_range(const rgi_rows *r, size_t lo, size_t hi, size_t *first, size_t *end)
{
    *first = lo * r->group;
    *end = hi * r->group < r->n ? hi * r->group : r->n;
}

void rgi_rows_cost(const rgi_rows *r, double flops_of_element, rg_cost *cost)
{
    const double elements = (double)r->n * (double)r->classes;
    cost->tasks[0] = (r->n + r->group - 1) / r->group;
    cost->flops = elements * flops_of_element;
    cost->bytes = 2 * elements * (double)rg_dtype_size(r->dtype);
}

rg_status rgi_row_label(const rg_step *step, const rgi_rows *r, size_t row, int64_t *label)
{
    const rgi_label_attr *a = step->attr;
    const int64_t k = rgi_index_at(step->in_type[1].dtype, step->in[1], row);
    *label = k;
    if (a->has_ignore && k == a->ignore)
        *label = -1;
    else if (k < 0 || (uint64_t)k >= r->classes)
        return rg_step_fail(step, RG_ERR_ARGUMENT, "label %lld of row %zu is outside [0, %zu)", (long long)k, row,
                            r->classes);
    return RG_OK;
}

double rgi_row_weight(const rgi_rows *r, size_t row, size_t c)
{
    return r->weight ? rgi_get(r->dtype, r->weight, row / r->sharing * r->classes + c) : 1;
}

double rgi_row_weights(const rgi_rows *r, size_t row)
{
    if (!r->weight)
        return (double)r->classes;
    double sum = 0;
    for (size_t c = 0; c < r->classes; c++)
        sum += rgi_row_weight(r, row, c);
    return sum;
}

void rgi_label_reads(const rg_step *step, size_t i, int32_t from[])
{
    for (int32_t a = 0; i == 0 && a < step->in_type[1].shape.rank; a++)
        from[a] = a;
}

rg_node *rgi_label_batch_weight(rg_node *weight, bool batched, rg_node *labels)
{
    return batched || !weight || weight->shape->a.rank == 1 ? weight : rgi_expand(weight, 0, labels, 0, 1);
}

/* ---- the weight of a row ---- */

static rg_status infer_weight(rg_infer *call)
{
    const rg_status status = rgi_label_infer(call, 0, 2);
    if (status == RG_OK)
        call->out[0] = (rg_type){call->in[0].dtype, call->in[1].shape};
    return status;
}

static void batch_weight(rg_node *self, rg_node *const in[], const bool batched[], rg_node *out[])
{
    rg_node *all[3];
    const size_t n = rg_arg_count(self);
    rgi_batch_all(in, batched, n, all);
    if (n == 3)
        all[2] = rgi_label_batch_weight(in[2], batched[2], all[1]);
    out[0] = rg_apply(&rgi_op_label_weight, (rg_nodes){all, n}, rg_attr(self));
}

static void cost_weight(const rg_step *step, rg_cost *c)
{
    const rgi_rows r = rgi_rows_of(step, 0, 2);
    rgi_rows_cost(&r, ((const rgi_label_attr *)step->attr)->smoothing != 0 ? 1 : 0, c);
    c->bytes = rgi_bytes(step);
}

static rg_status run_weight(const rg_step *step, size_t lo, size_t hi)
{
    const rgi_rows r = rgi_rows_of(step, 0, 2);
    const double smoothing = ((const rgi_label_attr *)step->attr)->smoothing;
    size_t row, end;
    for (rgi_rows_range(&r, lo, hi, &row, &end); row < end; row++) {
        int64_t label;
        const rg_status status = rgi_row_label(step, &r, row, &label);
        if (status != RG_OK)
            return status;
        double w = label < 0 ? 0 : rgi_row_weight(&r, row, (size_t)label);
        if (smoothing != 0 && label >= 0)
            w = (1 - smoothing) * w + smoothing * rgi_row_weights(&r, row) / (double)r.classes;
        rgi_put(r.dtype, step->out[0], row, w);
    }
    return RG_OK;
}

const rg_op rgi_op_label_weight = {
    .name = "label_weight",
    .n_in = -1,
    .n_out = 1,
    .traits = RG_ZERO_GRAD | RG_CAN_FAIL,
    .dtypes = RG_DT_ALL,
    .shape_only = 1 << 0,
    .attr_size = sizeof(rgi_label_attr),
    .attrs = rgi_label_attrs,
    .infer = infer_weight,
    .batch = batch_weight,
    .cost = cost_weight,
    .run = run_weight,
};

rg_node *rgi_label_weight(rg_node *like, rg_node *labels, rg_node *weight, const rgi_label_attr *attr)
{
    rg_node *const in[3] = {like, labels, weight};
    return rg_apply(&rgi_op_label_weight, (rg_nodes){in, weight ? 3 : 2}, attr);
}
