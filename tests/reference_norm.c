/* reference_norm.c - normalisation from its formulas. */
#include "reference_ops.h"

#include <math.h>
#include <stdlib.h>

typedef struct moments {
    double mean, r;
    double size; /* the mean magnitude, which the rounding of the mean goes with */
    double var;
} moments;

static moments moments_of(const double *x, int64_t n, double eps)
{
    long double mean = 0, size = 0, var = 0; /* sums of doubles in double would be no better than what they judge */
    for (int64_t i = 0; i < n; i++) {
        mean += x[i];
        size += fabs(x[i]);
    }
    mean /= n;
    for (int64_t i = 0; i < n; i++)
        var += (x[i] - mean) * (x[i] - mean);
    var /= n;
    return (moments){(double)mean, (double)(1 / sqrtl(var + eps)), (double)(size / n), (double)var};
}

void ref_layer_norm(const sample_context *c, const ref_tensor x[], ref_tensor *y)
{
    const int64_t n = x[0].shape.dim[x[0].shape.rank - 1];
    ref_new(y, x[0].shape, true);
    for (size_t i = 0; i < ref_count(y->shape); i++) {
        const size_t k = i % (size_t)n;
        const moments m = moments_of(x[0].at + (i - k), n, c->args->f[0]);
        const double w = c->n_in > 1 ? x[1].at[k] : 1, b = c->n_in > 2 ? x[2].at[k] : 0;
        y->at[i] = (x[0].at[i] - m.mean) * m.r * w + b;
        y->scale[i] = (fabs(x[0].at[i]) + m.size) * m.r * fabs(w) + fabs(b);
    }
}

void ref_standardise_grad(const sample_context *c, const ref_tensor x[], ref_tensor *y)
{
    const int64_t n = x[1].shape.dim[x[1].shape.rank - 1];
    ref_new(y, x[1].shape, true);
    for (size_t i = 0; i < ref_count(y->shape); i++) {
        const size_t first = i - i % (size_t)n;
        const moments m = moments_of(x[1].at + first, n, c->args->f[0]);
        double sum = 0, size = 0;
        for (int64_t k = 0; k < n; k++) { /* row i of the Jacobian, which is symmetric */
            const size_t j = first + (size_t)k;
            const double yi = (x[1].at[i] - m.mean) * m.r, yj = (x[1].at[j] - m.mean) * m.r;
            const double entry = (i == j) - 1.0 / (double)n - yi * yj / (double)n;
            sum += m.r * entry * x[0].at[j];
            size += m.r * fabs(x[0].at[j]) * ((i == j) + (1 + fabs(yi * yj)) / (double)n);
        }
        y->at[i] = sum;
        y->scale[i] = size;
    }
}

/* Channels are cut into `shares`, images stay together if `images` is set: the number of the group of element i. */
static size_t group_of(const rg_shape *s, size_t plane, int64_t shares, bool images, size_t i)
{
    const size_t channels = (size_t)s->dim[1], channel = i / plane % channels;
    const size_t share = channel / (channels / (size_t)shares);
    return images ? share : i / plane / channels * (size_t)shares + share;
}

static void normalise(const sample_context *c, const ref_tensor x[], ref_tensor *y, int64_t shares, bool images)
{
    const rg_shape *s = &x[0].shape;
    ref_new(y, *s, true);
    size_t plane = 1;
    for (int k = 2; k < s->rank; k++)
        plane *= (size_t)s->dim[k];
    const size_t n = ref_count(y->shape);
    const size_t size = n == 0 ? 0 : images ? n / (size_t)shares : n / (size_t)(s->dim[0] * shares);
    double *group = calloc(n + 1, sizeof *group);
    size_t *fill = calloc(n + 1, sizeof *fill);
    for (size_t i = 0; group && fill && i < n; i++) {
        const size_t k = group_of(s, plane, shares, images, i);
        group[k * size + fill[k]++] = x[0].at[i];
    }
    moments *of = calloc(n + 1, sizeof *of);
    for (size_t k = 0; group && of && n && k < n / size; k++)
        of[k] = moments_of(group + k * size, (int64_t)size, c->args->f[0]);
    for (size_t i = 0; of && i < n; i++) {
        const moments m = of[group_of(s, plane, shares, images, i)];
        const size_t channel = i / plane % (size_t)s->dim[1];
        const double w = c->n_in > 1 ? x[1].at[channel] : 1, b = c->n_in > 2 ? x[2].at[channel] : 0;
        y->at[i] = (x[0].at[i] - m.mean) * m.r * w + b;
        y->scale[i] = (fabs(x[0].at[i]) + m.size) * m.r * fabs(w) + fabs(b);
    }
    free(group);
    free(fill);
    free(of);
}

void ref_batch_norm(const sample_context *c, const ref_tensor x[], ref_tensor *y)
{
    normalise(c, x, y, x[0].shape.dim[1], true);
}

static size_t plane_of(const rg_shape *s)
{
    size_t plane = 1;
    for (int k = 2; k < s->rank; k++)
        plane *= (size_t)s->dim[k];
    return plane;
}

/* Element j of channel k of [N, C, plane]. */
static size_t of_channel(size_t channels, size_t plane, size_t k, size_t j)
{
    return (j / plane * channels + k) * plane + j % plane;
}

/* The elements of channel k, n of them. */
static double *channel_of(const ref_tensor *x, size_t plane, size_t k, size_t n)
{
    double *v = calloc(n + 1, sizeof *v);
    for (size_t j = 0; v && j < n; j++)
        v[j] = x->at[of_channel((size_t)x->shape.dim[1], plane, k, j)];
    return v;
}

/* y var + mean */
void ref_batch_norm_moments(const sample_context *c, const ref_tensor x[], ref_tensor *y)
{
    ref_batch_norm(c, x, y);
    const size_t plane = plane_of(&x[0].shape), channels = (size_t)x[0].shape.dim[1],
                 n = channels ? ref_count(y->shape) / channels : 0;
    for (size_t k = 0; k < channels; k++) {
        double *v = channel_of(&x[0], plane, k, n);
        const moments m = v ? moments_of(v, (int64_t)n, c->args->f[0]) : (moments){NAN, NAN, NAN, NAN};
        for (size_t j = 0; j < n; j++) {
            const size_t i = of_channel(channels, plane, k, j);
            y->at[i] = y->at[i] * m.var + m.mean;
            y->scale[i] = y->scale[i] * m.var + m.size;
        }
        free(v);
    }
}

/* Of u = x[0], x[1] and the weight: dx + dweight + dbias */
void ref_batch_norm_grad(const sample_context *c, const ref_tensor x[], ref_tensor *y)
{
    ref_new(y, x[1].shape, true);
    const size_t plane = plane_of(&x[1].shape), channels = (size_t)x[1].shape.dim[1],
                 n = channels ? ref_count(y->shape) / channels : 0;
    for (size_t k = 0; k < channels; k++) {
        double *v = channel_of(&x[1], plane, k, n), *u = channel_of(&x[0], plane, k, n);
        const moments m = u && v ? moments_of(v, (int64_t)n, c->args->f[0]) : (moments){NAN, NAN, NAN, NAN};
        long double sum = 0, with_h = 0;
        double size = 0, size_h = 0;
        for (size_t j = 0; u && v && j < n; j++) {
            const double h = (v[j] - m.mean) * m.r;
            sum += u[j];
            size += fabs(u[j]);
            with_h += u[j] * h;
            size_h += fabs(u[j]) * (fabs(v[j]) + m.size) * m.r;
        }
        for (size_t j = 0; u && v && j < n; j++) {
            const size_t i = of_channel(channels, plane, k, j);
            const double h = (v[j] - m.mean) * m.r, factor = x[2].at[k] * m.r, all = (double)n;
            y->at[i] = (double)(factor * (u[j] - sum / all - h * with_h / all) + with_h + sum);
            y->scale[i] = fabs(factor) * (fabs(u[j]) + size / all + fabs(h) * size_h / all) + size_h + size;
        }
        free(u);
        free(v);
    }
}

void ref_group_norm(const sample_context *c, const ref_tensor x[], ref_tensor *y)
{
    normalise(c, x, y, c->args->i[0], false);
}

void ref_instance_norm(const sample_context *c, const ref_tensor x[], ref_tensor *y)
{
    normalise(c, x, y, x[0].shape.dim[1], false);
}

void ref_rms_norm(const sample_context *c, const ref_tensor x[], ref_tensor *y)
{
    const size_t n = (size_t)x[0].shape.dim[x[0].shape.rank - 1];
    ref_new(y, x[0].shape, true);
    for (size_t i = 0; i < ref_count(y->shape); i++) {
        double mean = 0;
        for (size_t k = 0; k < n; k++)
            mean += x[0].at[i - i % n + k] * x[0].at[i - i % n + k] / (double)n;
        y->at[i] = x[0].at[i] / sqrt(mean + c->args->f[0]) * (c->n_in > 1 ? x[1].at[i % n] : 1);
        y->scale[i] = fabs(y->at[i]);
    }
}

/* i[0]: size; f: alpha, beta, k */
void ref_local_response_norm(const sample_context *c, const ref_tensor x[], ref_tensor *y)
{
    const rg_shape *s = &x[0].shape;
    const int64_t size = c->args->i[0], channels = s->dim[1];
    const double *f = c->args->f;
    int64_t plane = 1;
    for (int k = 2; k < s->rank; k++)
        plane *= s->dim[k];
    ref_new(y, *s, true);
    for (int64_t i = 0; i < (int64_t)ref_count(y->shape); i++) {
        const int64_t channel = i / plane % channels;
        double mean = 0;
        for (int64_t k = channel - size / 2; k < channel - size / 2 + size; k++) {
            const double v = k >= 0 && k < channels ? x[0].at[i + (k - channel) * plane] : 0;
            mean += v * v / (double)size;
        }
        y->at[i] = x[0].at[i] / pow(f[2] + f[0] * mean, f[1]);
        y->scale[i] = fabs(y->at[i]);
    }
}
