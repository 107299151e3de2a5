/* reference_elementwise.c - one element at a time, by the formula. */
#include "reference_ops.h"

double ref_add(double a, double b)
{
    return a + b;
}
double ref_sub(double a, double b)
{
    return a - b;
}
double ref_mul(double a, double b)
{
    return a * b;
}
double ref_div(double a, double b)
{
    return a / b;
}
double ref_minimum(double a, double b)
{
    return isnan(a) || isnan(b) ? NAN : a < b ? a : b;
}
double ref_maximum(double a, double b)
{
    return isnan(a) || isnan(b) ? NAN : a > b ? a : b;
}
double ref_equal(double a, double b)
{
    return a == b;
}
double ref_not_equal(double a, double b)
{
    return a != b;
}
double ref_less(double a, double b)
{
    return a < b;
}
double ref_less_equal(double a, double b)
{
    return a <= b;
}
double ref_greater(double a, double b)
{
    return a > b;
}
double ref_greater_equal(double a, double b)
{
    return a >= b;
}
double ref_and(double a, double b)
{
    return a != 0 && b != 0;
}
double ref_or(double a, double b)
{
    return a != 0 || b != 0;
}
double ref_xor(double a, double b)
{
    return (a != 0) != (b != 0);
}
double ref_not(double a)
{
    return a == 0;
}
double ref_isnan(double a)
{
    return isnan(a);
}
double ref_isinf(double a)
{
    return isinf(a) != 0;
}
double ref_isfinite(double a)
{
    return isfinite(a) != 0;
}

double ref_where(const sample_context *c, const double x[])
{
    (void)c;
    return x[0] != 0 ? x[1] : x[2];
}

/* Float to integer truncates and saturates, NaN becomes 0; to bool: not zero. */
double ref_cast(const sample_context *c, const double x[])
{
    double lo = 0, hi = 255;
    switch ((rg_dtype)c->args->i[0]) {
    case RG_F64:
        return x[0];
    case RG_F32:
        return (float)x[0];
    case RG_BOOL:
        return x[0] != 0;
    case RG_I32:
        lo = -2147483648.0, hi = 2147483647.0;
        break;
    case RG_I64:
        lo = -0x1p63, hi = 0x1p63;
        break; /* 2^63 - 1 as a double */
    default:
        break;
    }
    if (isnan(x[0]))
        return 0;
    const double t = trunc(x[0]);
    return t < lo ? lo : t > hi ? hi : t;
}

/* Attributes are rounded to the type they work in. */
static double attribute(const sample_context *c, int i)
{
    return c->dtype == RG_F32 ? (float)c->args->f[i] : c->args->f[i];
}

double ref_scale(const sample_context *c, const double x[])
{
    return attribute(c, 0) * x[0];
}
double ref_add_scalar(const sample_context *c, const double x[])
{
    return x[0] + attribute(c, 0);
}
double ref_pow_scalar(const sample_context *c, const double x[])
{
    return pow(x[0], attribute(c, 0));
}

double ref_clamp(const sample_context *c, const double x[])
{
    const double lo = attribute(c, 0), hi = attribute(c, 1);
    return x[0] < lo ? lo : x[0] > hi ? hi : x[0];
}

double ref_neg(double x)
{
    return -x;
}
double ref_sign(double x)
{
    return isnan(x) ? NAN : (x > 0) - (x < 0);
}
double ref_square(double x)
{
    return x * x;
}
double ref_rsqrt(double x)
{
    return 1 / sqrt(x);
}
double ref_reciprocal(double x)
{
    return 1 / x;
}
double ref_one_minus(double x)
{
    return 1 - x;
}

double ref_relu(double x)
{
    return x <= 0 ? 0 : x;
}
double ref_prelu(double x, double slope)
{
    return x > 0 ? x : slope * x;
}

double ref_leaky_relu(const sample_context *c, const double x[])
{
    return ref_prelu(x[0], attribute(c, 0));
}

double ref_elu(const sample_context *c, const double x[])
{
    return x[0] > 0 ? x[0] : attribute(c, 0) * expm1(x[0]);
}

double ref_celu(const sample_context *c, const double x[])
{
    const double alpha = attribute(c, 0);
    return x[0] > 0 ? x[0] : alpha * expm1(x[0] / alpha);
}

/* Klambauer et al. 2017: lambda and alpha of the fixed point (0, 1). */
double ref_selu(double x)
{
    const double lambda = 1.0507009873554804934193349852946, alpha = 1.6732632423543772848170429916717;
    return lambda * (x > 0 ? x : alpha * expm1(x));
}

double ref_gelu(double x)
{
    return x * 0.5 * erfc(-x / sqrt(2));
}

double ref_gelu_tanh(double x)
{
    return 0.5 * x * (1 + tanh(sqrt(2 / acos(-1)) * (x + 0.044715 * x * x * x)));
}

double ref_sigmoid(double x)
{
    return x < 0 ? exp(x) / (1 + exp(x)) : 1 / (1 + exp(-x));
}
double ref_silu(double x)
{
    return x * ref_sigmoid(x);
}
double ref_softplus(double x)
{
    return x > 0 ? x + log1p(exp(-x)) : log1p(exp(x));
}
double ref_log_sigmoid(double x)
{
    return -ref_softplus(-x);
}
double ref_mish(double x)
{
    return x * tanh(ref_softplus(x));
}
double ref_softsign(double x)
{
    return x / (1 + fabs(x));
}
double ref_hard_tanh(double x)
{
    return x < -1 ? -1 : x > 1 ? 1 : x;
}

double ref_hard_sigmoid(double x)
{
    const double y = x / 6 + 0.5;
    return y < 0 ? 0 : y > 1 ? 1 : y;
}

double ref_hard_swish(double x)
{
    return x * ref_hard_sigmoid(x);
}

/* ---- with cancellation ---- */

/* Walks the broadcast of two or three inputs. */
static void each(size_t n, const ref_tensor x[], ref_tensor *y,
                 void (*f)(const double v[], double w, double *at, double *scale), double w)
{
    rg_shape shape = x[0].shape;
    for (size_t k = 1; k < n; k++)
        shape = ref_broadcast(shape, x[k].shape);
    ref_new(y, shape, true);
    for (size_t i = 0; i < ref_count(shape); i++) {
        double v[3] = {0};
        for (size_t k = 0; k < n; k++)
            v[k] = x[k].at[ref_index(shape, i, x[k].shape)];
        f(v, w, &y->at[i], &y->scale[i]);
    }
}

static void fma_of(const double v[], double w, double *at, double *scale)
{
    (void)w;
    *at = v[0] * v[1] + v[2];
    *scale = fabs(v[0] * v[1]) + fabs(v[2]);
}

static void axpy_of(const double v[], double w, double *at, double *scale)
{
    *at = w * v[0] + v[1];
    *scale = fabs(w * v[0]) + fabs(v[1]);
}

static void lerp_of(const double v[], double w, double *at, double *scale)
{
    *at = v[0] + w * (v[1] - v[0]);
    *scale = fabs(v[0]) + fabs(w) * (fabs(v[1]) + fabs(v[0]));
}

void ref_fma(const sample_context *c, const ref_tensor x[], ref_tensor *y)
{
    (void)c;
    each(3, x, y, fma_of, 0);
}

void ref_axpy(const sample_context *c, const ref_tensor x[], ref_tensor *y)
{
    each(2, x, y, axpy_of, attribute(c, 0));
}

void ref_lerp(const sample_context *c, const ref_tensor x[], ref_tensor *y)
{
    each(2, x, y, lerp_of, attribute(c, 0));
}
