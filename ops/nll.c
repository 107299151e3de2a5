/* nll.c - minus the log-probability of a label, from log-probabilities l, and its transpose.
     nll(l, labels, w):            y = -w_label l_label            dl = nll_grad(g, labels, l, w)
     nll_grad(g, labels, like, w): y_c = -w_c g [c = label]        dg = nll(u, labels, w)
   Rows whose label is ignored give 0. */
#include "labels.h"
#include "rules.h"
#include "table_ops.h"

#include <retrograde/op.h>

#include <string.h>

static rg_status infer_nll(rg_infer *call)
{
    const rg_status status = rgi_label_infer(call, 0, 2);
    if (status == RG_OK)
        call->out[0] = (rg_type){call->in[0].dtype, call->in[1].shape};
    return status;
}

static rg_status infer_grad(rg_infer *call)
{
    const rg_status status = rgi_label_infer(call, 2, 3);
    if (status != RG_OK)
        return status;
    if (call->in[0].dtype != call->in[2].dtype || !rg_shape_equal(call->in[0].shape, call->in[1].shape))
        return rg_infer_fail(call, RG_ERR_SHAPE, "the cotangent is not shaped as the labels");
    call->out[0] = call->in[2];
    return RG_OK;
}

static void vjp_nll(rg_node *self, rg_node *const ct[], rg_node *grad[])
{
    const bool weighted = rg_arg_count(self) == 3;
    rg_node *const in[4] = {ct[0], rg_arg(self, 1), rg_arg(self, 0), weighted ? rg_arg(self, 2) : NULL};
    if (rg_wants(self, 0))
        grad[0] = rg_apply(&rgi_op_nll_grad, (rg_nodes){in, weighted ? 4 : 3}, rg_attr(self));
}

static void vjp_grad(rg_node *self, rg_node *const ct[], rg_node *grad[])
{
    const bool weighted = rg_arg_count(self) == 4;
    rg_node *const in[3] = {ct[0], rg_arg(self, 1), weighted ? rg_arg(self, 3) : NULL};
    if (rg_wants(self, 0))
        grad[0] = rg_apply(&rgi_op_nll, (rg_nodes){in, weighted ? 3 : 2}, rg_attr(self));
}

static void batch(rg_node *self, rg_node *const in[], const bool batched[], rg_node *out[])
{
    rg_node *all[4];
    const size_t n = rg_arg_count(self), weight = rg_op_of(self) == &rgi_op_nll ? 2 : 3;
    rgi_batch_all(in, batched, n, all);
    if (n > weight)
        all[weight] = rgi_label_batch_weight(in[weight], batched[weight], all[1]);
    out[0] = rg_apply(rg_op_of(self), (rg_nodes){all, n}, rg_attr(self));
}

static void cost_nll(const rg_step *step, rg_cost *c)
{
    const rgi_rows r = rgi_rows_of(step, 0, 2);
    rgi_rows_cost(&r, 0, c);
    c->bytes = (double)r.n * 16;
}

static void cost_grad(const rg_step *step, rg_cost *c)
{
    const rgi_rows r = rgi_rows_of(step, 2, 3);
    rgi_rows_cost(&r, 0, c);
    c->bytes = rgi_bytes(step);
}

static rg_status run_nll(const rg_step *step, size_t lo, size_t hi)
{
    const rgi_rows r = rgi_rows_of(step, 0, 2);
    size_t row, end;
    for (rgi_rows_range(&r, lo, hi, &row, &end); row < end; row++) {
        int64_t label;
        const rg_status status = rgi_row_label(step, &r, row, &label);
        if (status != RG_OK)
            return status;
        double y = 0;
        if (label >= 0)
            y = -rgi_row_weight(&r, row, (size_t)label) *
                rgi_get(r.dtype, step->in[0], row * r.classes + (size_t)label);
        rgi_put(r.dtype, step->out[0], row, y);
    }
    return RG_OK;
}

static rg_status run_grad(const rg_step *step, size_t lo, size_t hi)
{
    const rgi_rows r = rgi_rows_of(step, 2, 3);
    const size_t row_bytes = r.classes * rg_dtype_size(r.dtype);
    size_t row, end;
    rgi_rows_range(&r, lo, hi, &row, &end);
    if (row < end)
        memset((char *)step->out[0] + row * row_bytes, 0, (end - row) * row_bytes);
    for (; row < end; row++) {
        int64_t label;
        const rg_status status = rgi_row_label(step, &r, row, &label);
        if (status != RG_OK)
            return status;
        if (label >= 0)
            rgi_put(r.dtype, step->out[0], row * r.classes + (size_t)label,
                    -rgi_row_weight(&r, row, (size_t)label) * rgi_get(r.dtype, step->in[0], row));
    }
    return RG_OK;
}

const rg_op rgi_op_nll = {
    .name = "nll",
    .n_in = -1,
    .n_out = 1,
    .traits = RG_CAN_FAIL,
    .dtypes = RG_DT_ALL,
    .attr_size = sizeof(rgi_label_attr),
    .attrs = rgi_label_attrs,
    .infer = infer_nll,
    .vjp = vjp_nll,
    .jvp = rgi_jvp_linear,
    .batch = batch,
    .cost = cost_nll,
    .run = run_nll,
    .reads = rgi_label_reads,
};

const rg_op rgi_op_nll_grad = {
    .name = "nll_grad",
    .n_in = -1,
    .n_out = 1,
    .traits = RG_CAN_FAIL,
    .dtypes = RG_DT_ALL,
    .shape_only = 1 << 2,
    .attr_size = sizeof(rgi_label_attr),
    .attrs = rgi_label_attrs,
    .infer = infer_grad,
    .vjp = vjp_grad,
    .jvp = rgi_jvp_linear,
    .batch = batch,
    .cost = cost_grad,
    .run = run_grad,
    .reads = rgi_label_reads,
};
