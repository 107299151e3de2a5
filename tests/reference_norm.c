/* reference_norm.c - normalisation from its formulas. */
#include "reference_ops.h"

typedef struct moments {
    double mean, r;
    double size; /* the mean magnitude, which the rounding of the mean goes with */
} moments;

static moments moments_of(const double *x, int64_t n, double eps)
{
    double mean = 0, size = 0, var = 0;
    for (int64_t i = 0; i < n; i++) {
        mean += x[i] / (double)n;
        size += fabs(x[i]) / (double)n;
    }
    for (int64_t i = 0; i < n; i++)
        var += (x[i] - mean) * (x[i] - mean) / (double)n;
    return (moments){mean, 1 / sqrt(var + eps), size};
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
