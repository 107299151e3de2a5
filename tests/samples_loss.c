/* samples_loss.c - samples of the losses. */
#include "reference_ops.h"

#define HOW(reduction) .args = {.i = {reduction}}
static const sample_case pairs[] = {
    {.shape = {"3,5", "3,5"}},
    {.shape = {"B,4", "B,4"}, HOW(RG_SUM)},
    {.shape = {"B,T", "B,T"}, HOW(RG_NONE)},
    {.shape = {"B,4", "B,4"}},
    {.shape = {"", ""}},
    {.shape = {"37", "37"}, HOW(RG_NONE)},
};
static const sample_case mse_pairs[] = {
    {.shape = {"3,5", "3,5"}},
    {.shape = {"B,4", "B,4"}, HOW(RG_SUM)},
    {.shape = {"B,T", "B,T"}, HOW(RG_NONE)},
    {.shape = {"B,4", "B,4"}, .args = {.flag = true}},
    {.shape = {"", ""}},
    {.shape = {"B,4", "B,4"}},
};
#define DELTA(d, reduction) .args = {.f = {d}, .i = {reduction}}
static const sample_case deltas[] = {
    {.shape = {"3,5", "3,5"}, DELTA(0, 0)},
    {.shape = {"B,4", "B,4"}, DELTA(0.1, RG_SUM)},
    {.shape = {"B,T", "B,T"}, DELTA(4, RG_NONE)},
    {.shape = {"37", "37"}, DELTA(0.2, 0)},
};
/* f[0]: the margin, below every cosine that is not 1 */
static const sample_case of_rows[] = {
    {.shape = {"3,5", "3,5", "3"}, .args = {.f = {-1.5}}},
    {.shape = {"B,4", "B,4", "B"}, .args = {.f = {-1.5}, .i = {RG_SUM}}},
    {.shape = {"B,T,3", "B,T,3", "B,T"}, .args = {.f = {-1.2}, .i = {RG_NONE}}},
};
static const sample_case weighted[] = {
    {.shape = {"3,5", "3,5"}},
    {.shape = {"B,4", "B,4"}, HOW(RG_SUM)},
    {.shape = {"B,T", "B,T"}, HOW(RG_NONE)},
    {.shape = {"B,4", "B,4", "4"}, HOW(RG_SUM)},
    {.shape = {"3,5", "3,5", "3,5"}},
    {.shape = {"37", "37"}},
};
/* flag: rows with label i[1] are ignored; f[0]: smoothing */
static const sample_case labelled[] = {
    {.shape = {"7,5", "7"}},
    {.shape = {"B,5", "B"}},
    {.shape = {"B,5", "B"}, .args = {.i = {RG_SUM}}},
    {.shape = {"B,5", "B"}, .args = {.i = {RG_NONE}}},
    {.shape = {"5", ""}},
    {.shape = {"B,T,5", "B,T"}},
    {.shape = {"7,5", "7"}, .args = {.f = {0.1}}},
    {.shape = {"7,5", "7"}, .args = {.flag = true, .i = {0, 2}}},
    {.shape = {"B,5", "B"}, .args = {.f = {0.2}, .flag = true, .i = {RG_SUM, 1}}},
};
static const sample_case with_weights[] = {
    {.shape = {"7,5", "7", "5"}},
    {.shape = {"B,5", "B", "5"}, .args = {.i = {RG_SUM}}},
    {.shape = {"7,5", "7", "5"}, .args = {.flag = true, .i = {0, 2}}},
    {.shape = {"7,5", "7", "5"}, .args = {.f = {0.1}}},
};
static const sample_case probable[] = {
    {.shape = {"7,5", "7,5"}, .args = {.flag2 = true}},
    {.shape = {"B,5", "B,5"}, .args = {.flag2 = true, .i = {RG_SUM}}},
    {.shape = {"B,5", "B,5"}, .args = {.flag2 = true, .i = {RG_NONE}}},
    {.shape = {"7,5", "7,5"}, .args = {.flag2 = true, .f = {0.1}}},
};
/* the gradient of the above with a cotangent: (softmax - target) * scale */
static const sample_case labelled_grad[] = {
    {.shape = {"7,5", "7", ""}},
    {.shape = {"B,5", "B", "B"}, .args = {.i = {RG_NONE}}},
    {.shape = {"B,5", "B", ""}, .args = {.i = {RG_SUM}}},
    {.shape = {"7,5", "7", ""}, .args = {.f = {0.1}}},
};

static rg_loss_opts options(const sample_context *c, rg_node *const x[])
{
    return (rg_loss_opts){.reduction = (rg_reduction)c->args->i[0],
                          .half = c->args->flag,
                          .delta = c->args->f[0],
                          .weight = c->n_in > 2 ? x[2] : NULL};
}
static rg_node *mse(const sample_context *c, rg_node *const x[])
{
    const rg_loss_opts o = options(c, x);
    return rg_mse_loss(x[0], x[1], &o);
}
static rg_node *l1(const sample_context *c, rg_node *const x[])
{
    const rg_loss_opts o = options(c, x);
    return rg_l1_loss(x[0], x[1], &o);
}
static rg_node *huber(const sample_context *c, rg_node *const x[])
{
    const rg_loss_opts o = options(c, x);
    return rg_huber_loss(x[0], x[1], &o);
}
static rg_node *smooth_l1(const sample_context *c, rg_node *const x[])
{
    const rg_loss_opts o = options(c, x);
    return rg_smooth_l1_loss(x[0], x[1], &o);
}
static rg_node *cosine_embedding(const sample_context *c, rg_node *const x[])
{
    const rg_loss_opts o = {.reduction = (rg_reduction)c->args->i[0]};
    return rg_cosine_embedding_loss(x[0], x[1], x[2], c->args->f[0], &o);
}
static rg_node *bce(const sample_context *c, rg_node *const x[])
{
    const rg_loss_opts o = options(c, x);
    return rg_bce_loss(x[0], x[1], &o);
}
static rg_node *bce_logits(const sample_context *c, rg_node *const x[])
{
    const rg_loss_opts o = options(c, x);
    return rg_bce_with_logits(x[0], x[1], &o);
}
static rg_node *kl_div(const sample_context *c, rg_node *const x[])
{
    const rg_loss_opts o = options(c, x);
    return rg_kl_div(x[0], x[1], &o);
}
static rg_node *hinge(const sample_context *c, rg_node *const x[])
{
    const rg_loss_opts o = options(c, x);
    return rg_hinge_loss(x[0], x[1], &o);
}

static rg_cross_entropy_opts labels_options(const sample_context *c, rg_node *weight)
{
    const sample_args *a = c->args;
    return (rg_cross_entropy_opts){.reduction = (rg_reduction)a->i[0],
                                   .label_smoothing = a->f[0],
                                   .has_ignore = a->flag && !a->flag2,
                                   .ignore_index = a->i[1],
                                   .weight = weight};
}
static rg_node *cross_entropy(const sample_context *c, rg_node *const x[])
{
    const rg_cross_entropy_opts o = labels_options(c, c->n_in > 2 ? x[2] : NULL);
    return rg_cross_entropy(x[0], x[1], &o);
}
static rg_node *nll(const sample_context *c, rg_node *const x[])
{
    const rg_cross_entropy_opts o = labels_options(c, c->n_in > 2 ? x[2] : NULL);
    return rg_nll_loss(x[0], x[1], &o);
}
static rg_node *cross_entropy_grad(const sample_context *c, rg_node *const x[])
{
    const rg_cross_entropy_opts o = labels_options(c, NULL);
    rg_node *y = rg_cross_entropy(x[0], x[1], &o);
    return rg_at(rg_vjp(RG_NODES(y), RG_NODES(x[2]), RG_NODES(x[0])), 0);
}
static rg_node *nll_grad(const sample_context *c, rg_node *const x[])
{
    const rg_cross_entropy_opts o = labels_options(c, NULL);
    rg_node *y = rg_nll_loss(x[0], x[1], &o);
    return rg_at(rg_vjp(RG_NODES(y), RG_NODES(x[2]), RG_NODES(x[0])), 0);
}

/* u (p q - target) with p = softmax(x) or, for log-probabilities given, 0. */
static void label_grad(const sample_context *c, const ref_tensor x[], bool softmax, ref_tensor *y)
{
    const sample_args last = {.i = {-1}};
    const sample_context along = {.args = &last, .n_in = 1, .dtype = c->dtype, .sizes = c->sizes};
    const size_t classes = (size_t)x[0].shape.dim[x[0].shape.rank - 1], rows = ref_count(x[1].shape);
    const bool mean = c->args->i[0] != RG_NONE && c->args->i[0] != RG_SUM;
    ref_tensor p;
    ref_softmax(&along, x, &p);
    ref_new(y, x[0].shape, true);
    for (size_t i = 0; i < ref_count(p.shape); i++) {
        const size_t r = i / classes;
        const double u = x[2].at[c->args->i[0] == RG_NONE ? r : 0] / (mean ? (double)rows : 1);
        const double hit = x[1].at[r] == (double)(i % classes);
        const double target = (1 - c->args->f[0]) * hit + c->args->f[0] / (double)classes;
        y->at[i] = u * ((softmax ? p.at[i] : 0) - target);
        y->scale[i] = fabs(u) * (p.scale[i] + target);
    }
    ref_free(&p);
}
static void ref_cross_entropy_grad(const sample_context *c, const ref_tensor x[], ref_tensor *y)
{
    label_grad(c, x, true, y);
}
static void ref_nll_grad(const sample_context *c, const ref_tensor x[], ref_tensor *y)
{
    label_grad(c, x, false, y);
}

#define BUILT(op, list) .name = #op, .build = op, .reference = ref_##op, SAMPLE_CASES(list), .ulps32 = 6, .ulps64 = 6
#define ALSO(title, op, list) \
    .name = title, .build = op, .reference = ref_##op, SAMPLE_CASES(list), .ulps32 = 6, .ulps64 = 6
#define LABELS(type)                                          \
    {                                                         \
        .dtype = type, .kind = SAMPLE_WHOLE, .lo = 0, .hi = 4 \
    }
#define LOGITS            \
    {                     \
        .lo = -3, .hi = 3 \
    }
#define LOG_P                \
    {                        \
        .lo = -4, .hi = -0.1 \
    }
#define FIXED(low, high)                        \
    {                                           \
        .lo = low, .hi = high, .constant = true \
    }

const sample_row samples_loss[] = {
    {BUILT(mse, mse_pairs)},
    {BUILT(l1, pairs), .domain = {{.kind = SAMPLE_LADDER}, {.kind = SAMPLE_LADDER}}},
    /* |y - t| within 0.35 .. 0.75: between the deltas */
    {BUILT(huber, deltas), .domain = {{.lo = 0.5, .hi = 0.7}, {.lo = -0.05, .hi = 0.15}}},
    {BUILT(smooth_l1, deltas), .domain = {{.lo = 0.5, .hi = 0.7}, {.lo = -0.05, .hi = 0.15}}},
    {BUILT(cosine_embedding, of_rows),
     .domain = {{0}, {0}, {.kind = SAMPLE_WHOLE, .lo = 0, .hi = 1, .constant = true}}},
    {BUILT(bce, weighted), .domain = {{.lo = 0.1, .hi = 0.9}, {.lo = 0.05, .hi = 0.95}, FIXED(0.5, 2)}},
    {BUILT(bce_logits, weighted), .domain = {{.lo = -3, .hi = 3, .kinks = 1}, {.lo = 0, .hi = 1}, FIXED(0.5, 2)}},
    {BUILT(kl_div, pairs), .domain = {{.lo = -3, .hi = -0.2}, {.lo = 0.1, .hi = 0.9}}},
    {ALSO("kl_term", kl_div, pairs), .domain = {{.lo = -3, .hi = -0.2}, {.lo = 0.1, .hi = 0.9}}},
    /* t is -1, 0 or 1: the kinks of y are -1 and 1 */
    {BUILT(hinge, pairs), .domain = {{.lo = -2, .hi = 2, .kinks = 2, .kink = {-1, 1}},
                                     {.kind = SAMPLE_WHOLE, .lo = -1, .hi = 1, .constant = true}}},
    {BUILT(cross_entropy, labelled), .domain = {LOGITS, LABELS(RG_I64)}},
    {ALSO("cross_entropy (u8 labels)", cross_entropy, labelled), .domain = {LOGITS, LABELS(RG_U8)}},
    {ALSO("cross_entropy (i32 labels, weights)", cross_entropy, with_weights),
     .domain = {LOGITS, LABELS(RG_I32), FIXED(0.5, 2)}},
    {ALSO("cross_entropy (probabilities)", cross_entropy, probable), .domain = {LOGITS, {.kind = SAMPLE_ROWS}}},
    {BUILT(cross_entropy_grad, labelled_grad), .domain = {LOGITS, LABELS(RG_I64)}},
    {BUILT(nll, labelled), .domain = {LOG_P, LABELS(RG_I64)}},
    {ALSO("nll (weights)", nll, with_weights), .domain = {LOG_P, LABELS(RG_I64), FIXED(0.5, 2)}},
    {ALSO("label_weight", cross_entropy, with_weights), .domain = {LOGITS, LABELS(RG_I64), FIXED(0.5, 2)}},
    {BUILT(nll_grad, labelled_grad), .domain = {LOG_P, LABELS(RG_I64)}},
    {.name = NULL},
};
