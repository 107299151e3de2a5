/* loss_terms.c - the elementwise terms of losses that are more than a composition: each is a chain of kernels over
   blocks.

     huber(d)          c (d - c/2) with c = clamp(d, -delta, delta)         dd = c
     bce(p, t)         -(t log p + (1 - t) log(1 - p)), logs cut at -100    dp = (p - t) / max(p (1 - p), 1e-12)
                                                                            dt = log(1 - p) - log p, cut likewise
     bce_logits(x, t)  max(x, 0) - x t + log(1 + exp(-|x|))                 dx = sigmoid(x) - t,  dt = -x
     kl_term(l, t)     t (log t - l), 0 where t = 0                         dl = -t
                                                                            dt = log t + 1 - l, 0 where t = 0 */
#include "loss_terms.h"
#include "pointwise.h"
#include "table_ops.h"

#include <retrograde/op.h>

#include <math.h>

#define BLOCK ((size_t)256)

typedef struct huber_attr {
    double delta;
} huber_attr;

static const rg_attr_field huber_attrs[] = {
    {"delta", offsetof(huber_attr, delta), RG_ATTR_F64},
    {0},
};

/* ---- partial derivatives ---- */

static rg_node *d_huber(rg_node *self, size_t i, rg_node *u)
{
    (void)i;
    const double delta = ((const huber_attr *)rg_attr(self))->delta;
    return rg_mul(u, rg_clamp(rg_arg(self, 0), -delta, delta));
}

static rg_node *cut_log(rg_node *log)
{
    return rg_clamp(log, -100, INFINITY);
}

static rg_node *d_bce(rg_node *self, size_t i, rg_node *u)
{
    rg_node *p = rg_arg(self, 0), *t = rg_arg(self, 1);
    if (i == 0)
        return rg_div(rg_mul(u, rg_sub(p, t)), rg_clamp(rg_mul(p, rg_one_minus(p)), 1e-12, INFINITY));
    return rg_mul(u, rg_sub(cut_log(rg_log1p(rg_neg(p))), cut_log(rg_log(p))));
}

static rg_node *d_bce_logits(rg_node *self, size_t i, rg_node *u)
{
    rg_node *x = rg_arg(self, 0);
    return i == 0 ? rg_mul(u, rg_sub(rg_sigmoid(x), rg_arg(self, 1))) : rg_neg(rg_mul(u, x));
}

static rg_node *d_kl_term(rg_node *self, size_t i, rg_node *u)
{
    rg_node *t = rg_arg(self, 1);
    if (i == 0)
        return rg_neg(rg_mul(u, t));
    rg_node *d = rg_mul(u, rg_add_scalar(rg_sub(rg_log(t), rg_arg(self, 0)), 1)), *zero = rg_zeros_like(d);
    return rg_where(rg_equal(t, rg_zeros_like(t)), zero, d);
}

/* ---- running ---- */

/* Elements [at, at + n) of a step of one or two inputs. */
typedef struct block {
    const rgk_table *k;
    size_t n;
    const void *a, *b;
    void *y;
} block;

static void huber(const block *s, const rg_step *step)
{
    const double delta = ((const huber_attr *)step->attr)->delta, limits[2] = {-delta, delta}, half = -0.5;
    double c[BLOCK], d[BLOCK];
    s->k->unary[RGK_CLAMP](s->n, s->a, c, limits);
    s->k->binary[RGK_AXPY](s->n, c, s->a, d, &half, 0);
    s->k->binary[RGK_MUL](s->n, c, d, s->y, NULL, 0);
}

static void bce(const block *s, const rg_step *step)
{
    static const double cut[2] = {-100, INFINITY};
    const rgk_table *k = s->k;
    double u[BLOCK], v[BLOCK];
    (void)step;
    k->unary[RGK_NEG](s->n, s->a, v, NULL);
    k->unary[RGK_LOG1P](s->n, v, v, NULL);
    k->unary[RGK_CLAMP](s->n, v, v, cut);
    k->unary[RGK_ONE_MINUS](s->n, s->b, u, NULL);
    k->binary[RGK_MUL](s->n, u, v, v, NULL, 0);
    k->unary[RGK_LOG](s->n, s->a, u, NULL);
    k->unary[RGK_CLAMP](s->n, u, u, cut);
    k->binary[RGK_MUL](s->n, s->b, u, u, NULL, 0);
    k->binary[RGK_ADD](s->n, u, v, v, NULL, 0);
    k->unary[RGK_NEG](s->n, v, s->y, NULL);
}

static void bce_logits(const block *s, const rg_step *step)
{
    const rgk_table *k = s->k;
    double u[BLOCK], v[BLOCK];
    (void)step;
    k->unary[RGK_RELU](s->n, s->a, u, NULL);
    k->binary[RGK_MUL](s->n, s->a, s->b, v, NULL, 0);
    k->binary[RGK_SUB](s->n, u, v, u, NULL, 0);
    k->unary[RGK_ABS](s->n, s->a, v, NULL);
    k->unary[RGK_NEG](s->n, v, v, NULL);
    k->unary[RGK_SOFTPLUS](s->n, v, v, NULL);
    k->binary[RGK_ADD](s->n, u, v, s->y, NULL, 0);
}

static void kl_term(const block *s, const rg_step *step)
{
    const rgk_table *k = s->k;
    double u[BLOCK], zero[BLOCK];
    uint8_t none[BLOCK];
    (void)step;
    k->fill(s->n, 0, zero);
    k->compare[RGK_EQ](s->n, s->b, zero, none);
    k->unary[RGK_LOG](s->n, s->b, u, NULL);
    k->binary[RGK_SUB](s->n, u, s->a, u, NULL, 0);
    k->binary[RGK_MUL](s->n, s->b, u, u, NULL, 0);
    k->where(s->n, none, zero, u, s->y);
}

static rg_status run_blocks(const rg_step *step, size_t lo, size_t hi, void (*term)(const block *, const rg_step *))
{
    const rg_dtype dtype = step->out_type[0].dtype;
    const size_t size = rg_dtype_size(dtype);
    block s = {.k = rgi_kernels(dtype)};
    for (; lo < hi; lo += s.n) {
        s.n = hi - lo < BLOCK ? hi - lo : BLOCK;
        s.a = (const char *)step->in[0] + lo * size;
        s.b = step->n_in > 1 ? (const char *)step->in[1] + lo * size : NULL;
        s.y = (char *)step->out[0] + lo * size;
        term(&s, step);
    }
    return RG_OK;
}

static rg_status run_huber(const rg_step *step, size_t lo, size_t hi)
{
    return run_blocks(step, lo, hi, huber);
}

static rg_status run_bce(const rg_step *step, size_t lo, size_t hi)
{
    return run_blocks(step, lo, hi, bce);
}

static rg_status run_bce_logits(const rg_step *step, size_t lo, size_t hi)
{
    return run_blocks(step, lo, hi, bce_logits);
}

static rg_status run_kl_term(const rg_step *step, size_t lo, size_t hi)
{
    return run_blocks(step, lo, hi, kl_term);
}

/* ---- descriptors ---- */

const rg_op rgi_op_huber = {
    RGI_POINTWISE,
    RGI_DERIVATIVES,
    .name = "huber",
    .n_in = 1,
    .attr_size = sizeof(huber_attr),
    .attrs = huber_attrs,
    .infer = rg_infer_same,
    .run = run_huber,
    .data = &(const rgi_pointwise){0, 4, d_huber},
};

const rg_op rgi_op_bce = {
    RGI_POINTWISE,
    RGI_DERIVATIVES,
    .name = "bce",
    .n_in = 2,
    .infer = rg_infer_broadcast,
    .run = run_bce,
    .data = &(const rgi_pointwise){0, 2 * RGI_FLOPS_FUNCTION, d_bce},
};

const rg_op rgi_op_bce_logits = {
    RGI_POINTWISE,
    RGI_DERIVATIVES,
    .name = "bce_logits",
    .n_in = 2,
    .infer = rg_infer_broadcast,
    .run = run_bce_logits,
    .data = &(const rgi_pointwise){0, 2 * RGI_FLOPS_FUNCTION, d_bce_logits},
};

const rg_op rgi_op_kl_term = {
    RGI_POINTWISE,
    RGI_DERIVATIVES,
    .name = "kl_term",
    .n_in = 2,
    .infer = rg_infer_broadcast,
    .run = run_kl_term,
    .data = &(const rgi_pointwise){0, RGI_FLOPS_FUNCTION, d_kl_term},
};

rg_node *rgi_huber(rg_node *d, double delta)
{
    return rg_apply(&rgi_op_huber, RG_NODES(d), &(huber_attr){delta});
}

rg_node *rgi_bce(rg_node *p, rg_node *t)
{
    return rg_apply(&rgi_op_bce, RG_NODES(p, t), NULL);
}

rg_node *rgi_bce_logits(rg_node *x, rg_node *t)
{
    return rg_apply(&rgi_op_bce_logits, RG_NODES(x, t), NULL);
}

rg_node *rgi_kl_term(rg_node *log_p, rg_node *t)
{
    return rg_apply(&rgi_op_kl_term, RG_NODES(log_p, t), NULL);
}
