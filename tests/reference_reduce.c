/* reference_reduce.c - sums, extrema and the softmax family, by their definitions. */
#include "reference_ops.h"

/* What a reduction does with n values; the scale is what its error is measured against. */
typedef void (*slice_rule)(const sample_context *c, size_t n, const double *v, double *at, double *scale);

static void reduce(const sample_context *c, const ref_tensor *x, unsigned mask, bool keepdims, slice_rule rule,
                   ref_tensor *y)
{
    const rg_shape kept = ref_reduced(x->shape, mask, true);
    const size_t n = ref_slice_count(x->shape, mask);
    ref_tensor v;
    ref_new(&v, RG_SHAPE((int64_t)n), false);
    ref_new(y, ref_reduced(x->shape, mask, keepdims), true);
    for (size_t o = 0; o < ref_count(kept); o++) {
        for (size_t i = 0; i < n; i++)
            v.at[i] = x->at[ref_slice_index(x->shape, kept, mask, o, i)];
        y->scale[o] = -1;
        rule(c, n, v.at, &y->at[o], &y->scale[o]);
        if (y->scale[o] < 0)
            y->scale[o] = fabs(y->at[o]);
    }
    ref_free(&v);
}

static void by_axes(const sample_context *c, const ref_tensor *x, slice_rule rule, ref_tensor *y)
{
    reduce(c, x, ref_axes(c->args->axes[0], x->shape.rank), c->args->flag, rule, y);
}

static void by_axis(const sample_context *c, const ref_tensor *x, bool keepdims, slice_rule rule, ref_tensor *y)
{
    reduce(c, x, 1u << ref_axis(c->args->i[0], x->shape.rank), keepdims, rule, y);
}

static void sum_of(const sample_context *c, size_t n, const double *v, double *at, double *scale)
{
    (void)c;
    long double sum = 0, size = 0;
    for (size_t i = 0; i < n; i++) {
        sum += v[i];
        size += fabs(v[i]);
    }
    *at = (double)sum;
    *scale = (double)size;
}

static void mean_of(const sample_context *c, size_t n, const double *v, double *at, double *scale)
{
    sum_of(c, n, v, at, scale);
    *at /= (double)n;
    *scale /= (double)n;
}

static void prod_of(const sample_context *c, size_t n, const double *v, double *at, double *scale)
{
    (void)c;
    (void)scale;
    *at = 1;
    for (size_t i = 0; i < n; i++)
        *at *= v[i];
}

static void max_of(const sample_context *c, size_t n, const double *v, double *at, double *scale)
{
    (void)c;
    (void)scale;
    *at = n ? v[0] : NAN;
    for (size_t i = 1; i < n; i++)
        *at = isnan(v[i]) || isnan(*at) ? NAN : v[i] > *at ? v[i] : *at;
}

static void min_of(const sample_context *c, size_t n, const double *v, double *at, double *scale)
{
    (void)c;
    (void)scale;
    *at = n ? v[0] : NAN;
    for (size_t i = 1; i < n; i++)
        *at = isnan(v[i]) || isnan(*at) ? NAN : v[i] < *at ? v[i] : *at;
}

/* sum (x - mean)^2 / (n - correction). The error of the mean enters squared, that of each difference through |x|. */
static void var_of(const sample_context *c, size_t n, const double *v, double *at, double *scale)
{
    double mean, unused, size = 0;
    long double sum = 0;
    mean_of(c, n, v, &mean, &unused);
    for (size_t i = 0; i < n; i++) {
        sum += (long double)(v[i] - mean) * (v[i] - mean);
        size += fabs(v[i] - mean) * (fabs(v[i]) + fabs(mean) + fabs(v[i] - mean));
    }
    *at = (double)sum / ((double)n - (double)c->args->i[0]);
    *scale = size / ((double)n - (double)c->args->i[0]);
}

static void std_of(const sample_context *c, size_t n, const double *v, double *at, double *scale)
{
    double var, size;
    var_of(c, n, v, &var, &size);
    *at = sqrt(var);
    *scale = *at > 0 ? size / *at : sqrt(size);
}

static void norm_of(const sample_context *c, size_t n, const double *v, double *at, double *scale)
{
    (void)c;
    (void)scale;
    long double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += (long double)v[i] * v[i];
    *at = sqrt((double)sum);
}

static void all_of(const sample_context *c, size_t n, const double *v, double *at, double *scale)
{
    (void)c;
    (void)scale;
    *at = 1;
    for (size_t i = 0; i < n; i++)
        *at = *at != 0 && v[i] != 0;
}

static void any_of(const sample_context *c, size_t n, const double *v, double *at, double *scale)
{
    (void)c;
    (void)scale;
    *at = 0;
    for (size_t i = 0; i < n; i++)
        *at = *at != 0 || v[i] != 0;
}

/* The first extremum; a NaN counts as one. */
static void argmax_of(const sample_context *c, size_t n, const double *v, double *at, double *scale)
{
    (void)c;
    (void)scale;
    size_t best = 0;
    for (size_t i = 1; i < n; i++)
        if (!isnan(v[best]) && (isnan(v[i]) || v[i] > v[best]))
            best = i;
    *at = (double)best;
}

static void argmin_of(const sample_context *c, size_t n, const double *v, double *at, double *scale)
{
    (void)c;
    (void)scale;
    size_t best = 0;
    for (size_t i = 1; i < n; i++)
        if (!isnan(v[best]) && (isnan(v[i]) || v[i] < v[best]))
            best = i;
    *at = (double)best;
}

/* log sum exp(x - max) + max; its terms are of the size of max and of the logarithm. */
static void logsumexp_of(const sample_context *c, size_t n, const double *v, double *at, double *scale)
{
    double most, unused;
    long double sum = 0;
    max_of(c, n, v, &most, &unused);
    if (!n)
        most = -INFINITY;
    for (size_t i = 0; i < n; i++)
        sum += exp(v[i] - most);
    *at = n ? most + log((double)sum) : -INFINITY;
    *scale = n ? 1 + fabs(most) + fabs(log((double)sum)) : 1;
}

void ref_sum(const sample_context *c, const ref_tensor x[], ref_tensor *y)
{
    by_axes(c, x, sum_of, y);
}
void ref_mean(const sample_context *c, const ref_tensor x[], ref_tensor *y)
{
    by_axes(c, x, mean_of, y);
}
void ref_prod(const sample_context *c, const ref_tensor x[], ref_tensor *y)
{
    by_axes(c, x, prod_of, y);
}
void ref_max(const sample_context *c, const ref_tensor x[], ref_tensor *y)
{
    by_axes(c, x, max_of, y);
}
void ref_min(const sample_context *c, const ref_tensor x[], ref_tensor *y)
{
    by_axes(c, x, min_of, y);
}
void ref_var(const sample_context *c, const ref_tensor x[], ref_tensor *y)
{
    by_axes(c, x, var_of, y);
}
void ref_std(const sample_context *c, const ref_tensor x[], ref_tensor *y)
{
    by_axes(c, x, std_of, y);
}
void ref_norm(const sample_context *c, const ref_tensor x[], ref_tensor *y)
{
    by_axes(c, x, norm_of, y);
}
void ref_all(const sample_context *c, const ref_tensor x[], ref_tensor *y)
{
    by_axes(c, x, all_of, y);
}
void ref_any(const sample_context *c, const ref_tensor x[], ref_tensor *y)
{
    by_axes(c, x, any_of, y);
}
void ref_argmax(const sample_context *c, const ref_tensor x[], ref_tensor *y)
{
    by_axis(c, x, false, argmax_of, y);
}
void ref_argmin(const sample_context *c, const ref_tensor x[], ref_tensor *y)
{
    by_axis(c, x, false, argmin_of, y);
}

void ref_logsumexp(const sample_context *c, const ref_tensor x[], ref_tensor *y)
{
    by_axis(c, x, c->args->flag, logsumexp_of, y);
}

void ref_log_softmax(const sample_context *c, const ref_tensor x[], ref_tensor *y)
{
    ref_tensor lse;
    by_axis(c, x, true, logsumexp_of, &lse);
    ref_new(y, x->shape, true);
    for (size_t i = 0; i < ref_count(x->shape); i++) {
        const size_t row = ref_index(x->shape, i, lse.shape);
        y->at[i] = x->at[i] - lse.at[row];
        y->scale[i] = 1 + fabs(x->at[i]) + lse.scale[row];
    }
    ref_free(&lse);
}

/* The error of exp(x - max) grows with |x - max|. */
void ref_softmax(const sample_context *c, const ref_tensor x[], ref_tensor *y)
{
    ref_log_softmax(c, x, y);
    for (size_t i = 0; i < ref_count(x->shape); i++) {
        const double log_y = y->at[i];
        y->at[i] = exp(log_y);
        y->scale[i] = y->at[i] * (1 + fabs(log_y));
    }
}

void ref_size_of(const sample_context *c, const ref_tensor x[], ref_tensor *y)
{
    const unsigned mask = ref_axes(c->args->axes[0], x->shape.rank);
    ref_new(y, RG_SCALAR, false);
    y->at[0] = (double)ref_slice_count(x->shape, mask);
}

void ref_sum_like(const sample_context *c, const ref_tensor x[], ref_tensor *y)
{
    (void)c;
    ref_new(y, x[1].shape, true);
    for (size_t i = 0; i < ref_count(x[0].shape); i++) {
        const size_t o = ref_index(x[0].shape, i, x[1].shape);
        y->at[o] += x[0].at[i];
        y->scale[o] += fabs(x[0].at[i]);
    }
}

void ref_square_norm(const sample_context *c, const ref_tensor x[], ref_tensor *y)
{
    long double sum = 0;
    for (size_t k = 0; k < c->n_in; k++)
        for (size_t i = 0; i < ref_count(x[k].shape); i++)
            sum += (long double)x[k].at[i] * x[k].at[i];
    ref_new(y, RG_SCALAR, false);
    y->at[0] = (double)sum;
}
