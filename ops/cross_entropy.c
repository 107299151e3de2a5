/* cross_entropy.c - minus the log-probability of a label, from logits. With p = softmax(x), a label y, weights w, C
   classes and smoothing e (Szegedy et al. 2016):

     q_c = (1 - e) w_c [c = y] + (e / C) w_c        the target, as PyTorch weighs it
     loss = -sum_c q_c log p_c                      dx = g (Q p - q) with Q = sum_c q_c

   and nothing at all for a row whose label is ignored. The gradient is an op of its own; differentiated again,
     G(x, g) = g (Q p - q):    dg = sum_c u_c (Q p_c - q_c)     dx = g Q p (u - sum_c u_c p_c) */
#include "labels.h"
#include "rules.h"
#include "table_ops.h"

#include <retrograde/op.h>

#include <string.h>

#define BLOCK_ELEMENTS ((size_t)2048)

static rg_status infer_loss(rg_infer *call)
{
    const rg_status status = rgi_label_infer(call, 0, 2);
    if (status == RG_OK)
        call->out[0] = (rg_type){call->in[0].dtype, call->in[1].shape};
    return status;
}

/* Inputs: logits, labels, the cotangent of the loss, weights. */
static rg_status infer_grad(rg_infer *call)
{
    const rg_status status = rgi_label_infer(call, 0, 3);
    if (status != RG_OK)
        return status;
    if (call->in[2].dtype != call->in[0].dtype || !rg_shape_equal(call->in[2].shape, call->in[1].shape))
        return rg_infer_fail(call, RG_ERR_SHAPE, "the cotangent is not shaped as the labels");
    call->out[0] = call->in[0];
    return RG_OK;
}

/* ---- derivatives ---- */

static rg_node *gradient(rg_node *logits, rg_node *labels, rg_node *ct, rg_node *weight, const rgi_label_attr *a)
{
    rg_node *const in[4] = {logits, labels, ct, weight};
    return rg_apply(&rgi_op_cross_entropy_grad, (rg_nodes){in, weight ? 4 : 3}, a);
}

static rg_node *along_classes(rg_node *x)
{
    return rg_sum(x, RG_AXES(-1), false);
}

static void vjp_loss(rg_node *self, rg_node *const ct[], rg_node *grad[])
{
    rg_node *weight = rg_arg_count(self) == 3 ? rg_arg(self, 2) : NULL;
    if (rg_wants(self, 0))
        grad[0] = gradient(rg_arg(self, 0), rg_arg(self, 1), ct[0], weight, rg_attr(self));
}

static void jvp_loss(rg_node *self, rg_node *const tangent[], rg_node *out[])
{
    rg_node *weight = rg_arg_count(self) == 3 ? rg_arg(self, 2) : NULL, *labels = rg_arg(self, 1);
    if (tangent[0])
        out[0] = along_classes(rg_mul(
            tangent[0], gradient(rg_arg(self, 0), labels, rg_ones_like(rg_output(self, 0)), weight, rg_attr(self))));
}

/* g Q p (u - sum_c u_c p_c): symmetric in u and the result, hence the rule of both modes. */
static rg_node *second(rg_node *self, rg_node *u)
{
    const rgi_label_attr *a = rg_attr(self);
    rg_node *logits = rg_arg(self, 0), *scale = rg_arg(self, 2),
            *weight = rg_arg_count(self) == 4 ? rg_arg(self, 3) : NULL;
    rg_node *p = rg_softmax(logits, -1), *up = rg_mul(u, p);
    if (a->has_ignore || weight)
        scale = rg_mul(scale, rgi_label_weight(logits, rg_arg(self, 1), weight, a));
    rg_node *centred = rg_sub(up, rg_mul(p, rg_sum(up, RG_AXES(-1), true)));
    return rg_mul(centred, rg_unsqueeze(scale, -1));
}

static void vjp_grad(rg_node *self, rg_node *const ct[], rg_node *grad[])
{
    rg_node *weight = rg_arg_count(self) == 4 ? rg_arg(self, 3) : NULL;
    if (rg_wants(self, 0))
        grad[0] = second(self, ct[0]);
    if (rg_wants(self, 2)) {
        rg_node *one = rg_ones_like(rg_arg(self, 2));
        grad[2] = along_classes(rg_mul(ct[0], gradient(rg_arg(self, 0), rg_arg(self, 1), one, weight, rg_attr(self))));
    }
}

static void jvp_grad(rg_node *self, rg_node *const tangent[], rg_node *out[])
{
    rg_node *weight = rg_arg_count(self) == 4 ? rg_arg(self, 3) : NULL;
    if (tangent[0])
        out[0] = second(self, tangent[0]);
    if (tangent[2]) {
        rg_node *part = gradient(rg_arg(self, 0), rg_arg(self, 1), tangent[2], weight, rg_attr(self));
        out[0] = out[0] ? rg_add(out[0], part) : part;
    }
}

/* All inputs but the weights get the axis, which the ops allow in front. */
static void batch(rg_node *self, rg_node *const in[], const bool batched[], rg_node *out[])
{
    rg_node *all[4];
    const size_t n = rg_arg_count(self), weight = rg_op_of(self) == &rgi_op_cross_entropy ? 2 : 3;
    rgi_batch_all(in, batched, n, all);
    if (n > weight)
        all[weight] = rgi_label_batch_weight(in[weight], batched[weight], all[1]);
    out[0] = rg_apply(rg_op_of(self), (rg_nodes){all, n}, rg_attr(self));
}

/* ---- running ---- */

static size_t rows_of_block(const rgi_rows *r)
{
    const size_t n = r->classes >= BLOCK_ELEMENTS ? 1 : BLOCK_ELEMENTS / (r->classes ? r->classes : 1);
    return n < r->group ? n : r->group;
}

static void cost_loss(const rg_step *step, rg_cost *c)
{
    const rgi_rows r = rgi_rows_of(step, 0, 2);
    rgi_rows_cost(&r, 25, c);
    c->scratch = rows_of_block(&r) * r.classes * rg_dtype_size(r.dtype);
}

static const void *at(const rgi_rows *r, const void *x, size_t row)
{
    return (const char *)x + row * r->classes * rg_dtype_size(r->dtype);
}

/* -sum_c q_c log p_c */
static double loss_of(const rgi_rows *r, size_t row, size_t label, double smoothing, const void *log_p)
{
    double loss = rgi_row_weight(r, row, label) * rgi_get(r->dtype, log_p, label), sum = 0;
    if (smoothing == 0)
        return -loss;
    for (size_t c = 0; c < r->classes; c++)
        sum += rgi_row_weight(r, row, c) * rgi_get(r->dtype, log_p, c);
    return -((1 - smoothing) * loss + smoothing / (double)r->classes * sum);
}

static rg_status run_loss(const rg_step *step, size_t lo, size_t hi)
{
    const rgi_rows r = rgi_rows_of(step, 0, 2);
    const double smoothing = ((const rgi_label_attr *)step->attr)->smoothing;
    const size_t block = rows_of_block(&r);
    size_t first, end;
    rgi_rows_range(&r, lo, hi, &first, &end);
    for (size_t n; first < end; first += n) {
        n = end - first < block ? end - first : block;
        if (r.classes)
            rgi_kernels(r.dtype)->log_softmax(n, r.classes, at(&r, step->in[0], first), step->scratch);
        for (size_t i = 0; i < n; i++) {
            int64_t label;
            const rg_status status = rgi_row_label(step, &r, first + i, &label);
            if (status != RG_OK)
                return status;
            const double loss =
                label < 0 ? 0 : loss_of(&r, first + i, (size_t)label, smoothing, at(&r, step->scratch, i));
            rgi_put(r.dtype, step->out[0], first + i, loss);
        }
    }
    return RG_OK;
}

static void cost_grad(const rg_step *step, rg_cost *c)
{
    const rgi_rows r = rgi_rows_of(step, 0, 3);
    rgi_rows_cost(&r, 25, c);
}

/* g (Q p - q) over p, which stands in y. */
static void grad_of(const rgi_rows *r, size_t row, size_t label, double smoothing, double g, void *y)
{
    const rgk_table *k = rgi_kernels(r->dtype);
    const double hit = (1 - smoothing) * rgi_row_weight(r, row, label), each = smoothing / (double)r->classes;
    const double scale = smoothing == 0 ? g * hit : g * (hit + each * rgi_row_weights(r, row)), shift = -g * each;
    k->unary[RGK_SCALE](r->classes, y, y, &scale);
    if (smoothing != 0 && r->weight)
        k->binary[RGK_AXPY](r->classes, at(r, r->weight, row / r->sharing), y, y, &shift, 0);
    else if (smoothing != 0)
        k->unary[RGK_ADD_SCALAR](r->classes, y, y, &shift);
    rgi_put(r->dtype, y, label, rgi_get(r->dtype, y, label) - g * hit);
}

static rg_status run_grad(const rg_step *step, size_t lo, size_t hi)
{
    const rgi_rows r = rgi_rows_of(step, 0, 3);
    const double smoothing = ((const rgi_label_attr *)step->attr)->smoothing;
    const size_t row_bytes = r.classes * rg_dtype_size(r.dtype);
    size_t row, end;
    rgi_rows_range(&r, lo, hi, &row, &end);
    if (row < end && r.classes)
        rgi_kernels(r.dtype)->softmax(end - row, r.classes, at(&r, step->in[0], row),
                                      (char *)step->out[0] + row * row_bytes);
    for (; row < end; row++) {
        int64_t label;
        const rg_status status = rgi_row_label(step, &r, row, &label);
        char *const y = (char *)step->out[0] + row * row_bytes;
        if (status != RG_OK)
            return status;
        if (label < 0)
            memset(y, 0, row_bytes);
        else
            grad_of(&r, row, (size_t)label, smoothing, rgi_get(r.dtype, step->in[2], row), y);
    }
    return RG_OK;
}

/* Logits and cotangents row by row. */
static void reads_grad(const rg_step *step, size_t i, int32_t from[])
{
    for (int32_t a = 0; i % 2 == 0 && a < step->in_type[1].shape.rank; a++)
        from[a] = a;
}

const rg_op rgi_op_cross_entropy = {
    .name = "cross_entropy",
    .n_in = -1,
    .n_out = 1,
    .traits = RG_CAN_FAIL | RG_ANY_SIZES,
    .dtypes = RG_DT_ALL,
    .attr_size = sizeof(rgi_label_attr),
    .attrs = rgi_label_attrs,
    .infer = infer_loss,
    .vjp = vjp_loss,
    .jvp = jvp_loss,
    .batch = batch,
    .cost = cost_loss,
    .run = run_loss,
    .reads = rgi_label_reads,
};

const rg_op rgi_op_cross_entropy_grad = {
    .name = "cross_entropy_grad",
    .n_in = -1,
    .n_out = 1,
    .traits = RG_CAN_FAIL | RG_ANY_SIZES,
    .dtypes = RG_DT_ALL,
    .attr_size = sizeof(rgi_label_attr),
    .attrs = rgi_label_attrs,
    .infer = infer_grad,
    .vjp = vjp_grad,
    .jvp = jvp_grad,
    .batch = batch,
    .cost = cost_grad,
    .run = run_grad,
    .reads = reads_grad,
};
