/* reference_loss.c - losses by their formulas. */
#include "reference_ops.h"

#include <retrograde/ops/loss.h>

/* loss of (prediction, target), with the scale of its error */
typedef double (*loss_rule)(const sample_context *c, double y, double t, double *scale);

static void reduced(const sample_context *c, ref_tensor *each, double divisor, ref_tensor *y)
{
    const rg_reduction how = c->args->i[0] ? (rg_reduction)c->args->i[0] : RG_MEAN;
    if (how == RG_NONE) {
        *y = *each;
        return;
    }
    long double sum = 0;
    ref_new(y, RG_SCALAR, true);
    for (size_t i = 0; i < ref_count(each->shape); i++) {
        sum += each->at[i];
        y->scale[0] += each->scale ? each->scale[i] : fabs(each->at[i]);
    }
    y->at[0] = (double)sum;
    if (how == RG_MEAN) {
        y->at[0] /= divisor;
        y->scale[0] /= divisor;
    }
    ref_free(each);
}

static void each(const sample_context *c, const ref_tensor x[], loss_rule rule, ref_tensor *y)
{
    ref_tensor losses;
    const rg_shape shape = ref_broadcast(x[0].shape, x[1].shape);
    ref_new(&losses, shape, true);
    for (size_t i = 0; i < ref_count(shape); i++) {
        const double w = c->n_in > 2 ? x[2].at[ref_index(shape, i, x[2].shape)] : 1;
        double scale = -1;
        const double l =
            rule(c, x[0].at[ref_index(shape, i, x[0].shape)], x[1].at[ref_index(shape, i, x[1].shape)], &scale);
        losses.at[i] = w * l;
        losses.scale[i] = fabs(w) * (scale < 0 ? fabs(l) : scale);
    }
    reduced(c, &losses, (double)ref_count(shape), y);
}

static double mse(const sample_context *c, double y, double t, double *scale)
{
    (void)scale;
    return (c->args->flag ? 0.5 : 1) * (y - t) * (y - t);
}

static double l1(const sample_context *c, double y, double t, double *scale)
{
    (void)c;
    (void)scale;
    return fabs(y - t);
}

/* d^2 / 2 within delta, delta (|d| - delta / 2) beyond */
static double huber(const sample_context *c, double y, double t, double *scale)
{
    (void)scale;
    const double delta = c->args->f[0] > 0 ? c->args->f[0] : 1, d = fabs(y - t);
    return d <= delta ? 0.5 * d * d : delta * (d - 0.5 * delta);
}

static double smooth_l1(const sample_context *c, double y, double t, double *scale)
{
    return huber(c, y, t, scale) / (c->args->f[0] > 0 ? c->args->f[0] : 1);
}

/* -(t log p + (1 - t) log(1 - p)), each log at least -100 */
static double bce(const sample_context *c, double p, double t, double *scale)
{
    (void)c;
    const double a = fmax(log(p), -100), b = fmax(log1p(-p), -100);
    *scale = 1 + fabs(t * a) + fabs((1 - t) * b);
    return -(t * a + (1 - t) * b);
}

/* max(x, 0) - x t + log(1 + exp(-|x|)) */
static double bce_logits(const sample_context *c, double x, double t, double *scale)
{
    (void)c;
    *scale = fabs(x) + fabs(x * t) + 1;
    return (x > 0 ? x : 0) - x * t + log1p(exp(-fabs(x)));
}

/* t (log t - log p), 0 where t is */
static double kl(const sample_context *c, double log_p, double t, double *scale)
{
    (void)c;
    if (t == 0)
        return 0;
    *scale = fabs(t * log(t)) + fabs(t * log_p) + fabs(t);
    return t * (log(t) - log_p);
}

static double hinge(const sample_context *c, double y, double t, double *scale)
{
    (void)c;
    *scale = 1 + fabs(y * t);
    return fmax(0, 1 - y * t);
}

void ref_mse(const sample_context *c, const ref_tensor x[], ref_tensor *y)
{
    each(c, x, mse, y);
}
void ref_l1(const sample_context *c, const ref_tensor x[], ref_tensor *y)
{
    each(c, x, l1, y);
}
void ref_huber(const sample_context *c, const ref_tensor x[], ref_tensor *y)
{
    each(c, x, huber, y);
}
void ref_smooth_l1(const sample_context *c, const ref_tensor x[], ref_tensor *y)
{
    each(c, x, smooth_l1, y);
}

/* 1 - cos where the target is 1, else max(0, cos - margin), margin f[0]. */
void ref_cosine_embedding(const sample_context *c, const ref_tensor x[], ref_tensor *y)
{
    const sample_args last = {.i = {-1}};
    const sample_context along = {.args = &last, .n_in = 2, .dtype = c->dtype, .sizes = c->sizes};
    ref_tensor cosine;
    ref_cosine_similarity(&along, x, &cosine);
    const double n = (double)ref_count(cosine.shape);
    for (size_t i = 0; i < ref_count(cosine.shape); i++) {
        const double v = cosine.at[i];
        cosine.at[i] = x[2].at[i] == 1 ? 1 - v : fmax(0, v - c->args->f[0]);
        cosine.scale[i] += 1;
    }
    reduced(c, &cosine, n, y);
}
void ref_bce(const sample_context *c, const ref_tensor x[], ref_tensor *y)
{
    each(c, x, bce, y);
}
void ref_bce_logits(const sample_context *c, const ref_tensor x[], ref_tensor *y)
{
    each(c, x, bce_logits, y);
}
void ref_kl_div(const sample_context *c, const ref_tensor x[], ref_tensor *y)
{
    each(c, x, kl, y);
}
void ref_hinge(const sample_context *c, const ref_tensor x[], ref_tensor *y)
{
    each(c, x, hinge, y);
}

/* One row: -sum_j q_j w_j log p_j with q = (1 - e) target + e / classes; ignored rows are 0. The mean divides by the
   weights of the labels (class indices) or by the number of rows (probabilities), as PyTorch does. */
static void from_log_p(const sample_context *c, const ref_tensor *log_p, const ref_tensor x[], ref_tensor *y)
{
    const sample_args *a = c->args;
    const int rank = log_p->shape.rank;
    const size_t classes = (size_t)log_p->shape.dim[rank - 1];
    const ref_tensor *weight = c->n_in > 2 ? &x[2] : NULL;
    rg_shape rows = log_p->shape;
    rows.rank--;
    ref_tensor losses;
    ref_new(&losses, rows, true);
    double divisor = 0;
    for (size_t r = 0; r < ref_count(rows); r++) {
        if (!a->flag2 && a->flag && (int64_t)x[1].at[r] == a->i[1])
            continue;
        for (size_t j = 0; j < classes; j++) {
            const double target = a->flag2 ? x[1].at[r * classes + j] : x[1].at[r] == (double)j;
            const double q = (1 - a->f[0]) * target + a->f[0] / (double)classes, w = weight ? weight->at[j] : 1;
            const double l = log_p->at[r * classes + j];
            if (q == 0)
                continue;
            losses.at[r] -= q * w * l;
            losses.scale[r] += fabs(q * w) * (log_p->scale ? log_p->scale[r * classes + j] : fabs(l));
            if (!a->flag2)
                divisor += w * target;
        }
        if (a->flag2)
            divisor += 1;
    }
    reduced(c, &losses, divisor, y);
}

void ref_nll(const sample_context *c, const ref_tensor x[], ref_tensor *y)
{
    from_log_p(c, x, x, y);
}

void ref_cross_entropy(const sample_context *c, const ref_tensor x[], ref_tensor *y)
{
    const sample_args last = {.i = {-1}};
    const sample_context along = {.args = &last, .n_in = 1, .dtype = c->dtype, .sizes = c->sizes};
    ref_tensor log_p;
    ref_log_softmax(&along, x, &log_p);
    from_log_p(c, &log_p, x, y);
    ref_free(&log_p);
}
