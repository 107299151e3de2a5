/* elementwise.c - one result for each element: arithmetic, functions, comparisons, selection. */
#include "list.h"
#include "vmath.h"

/* ---- drivers: f is inlined; the last, partial vector goes through the same code ---- */

RGK_INLINE void map1(size_t n, const void *vx, void *vy, vreal (*f)(vreal))
{
    const real *x = vx;
    real *y = vy;
    size_t i = 0;
    for (; i + RGK_LANES <= n; i += RGK_LANES)
        v_store(y + i, f(v_load(x + i)));
    if (i < n)
        v_store_part(y + i, n - i, f(v_load_part(x + i, n - i)));
}

RGK_INLINE void map1_p(size_t n, const void *vx, void *vy, const double *p, vreal (*f)(vreal, vreal))
{
    const real *x = vx;
    real *y = vy;
    const vreal p0 = v_set((real)p[0]);
    size_t i = 0;
    for (; i + RGK_LANES <= n; i += RGK_LANES)
        v_store(y + i, f(v_load(x + i), p0));
    if (i < n)
        v_store_part(y + i, n - i, f(v_load_part(x + i, n - i), p0));
}

RGK_INLINE void map2(size_t n, const void *va, const void *vb, void *vy, vreal (*f)(vreal, vreal))
{
    const real *a = va, *b = vb;
    real *y = vy;
    size_t i = 0;
    for (; i + RGK_LANES <= n; i += RGK_LANES)
        v_store(y + i, f(v_load(a + i), v_load(b + i)));
    if (i < n)
        v_store_part(y + i, n - i, f(v_load_part(a + i, n - i), v_load_part(b + i, n - i)));
}

RGK_INLINE void map2_p(size_t n, const void *va, const void *vb, void *vy, const double *p,
                       vreal (*f)(vreal, vreal, vreal))
{
    const real *a = va, *b = vb;
    real *y = vy;
    const vreal p0 = v_set((real)p[0]);
    size_t i = 0;
    for (; i + RGK_LANES <= n; i += RGK_LANES)
        v_store(y + i, f(v_load(a + i), v_load(b + i), p0));
    if (i < n)
        v_store_part(y + i, n - i, f(v_load_part(a + i, n - i), v_load_part(b + i, n - i), p0));
}

/* ---- one argument ---- */

RGK_INLINE vreal v_neg(vreal x) { return -x; }
RGK_INLINE vreal v_square(vreal x) { return x * x; }
RGK_INLINE vreal v_rsqrt(vreal x) { return RGK_C(1.0) / v_sqrt(x); }
RGK_INLINE vreal v_reciprocal(vreal x) { return RGK_C(1.0) / x; }
RGK_INLINE vreal v_one_minus(vreal x) { return RGK_C(1.0) - x; }

/* -1, 0 (of either sign) or 1; NaN stays. */
RGK_INLINE vreal v_sign(vreal x)
{
    const vreal one = v_copysign(v_set(RGK_C(1.0)), x);
    return v_select(v_gt(v_abs(x), v_set(RGK_C(0.0))), one, x);
}

RGK_INLINE vreal v_relu(vreal x)
{
    return v_max(v_set(RGK_C(0.0)), x); /* the second operand where x is NaN */
}

RGK_INLINE vreal v_scale(vreal x, vreal p) { return x * p; }
RGK_INLINE vreal v_add_scalar(vreal x, vreal p) { return x + p; }
RGK_INLINE vreal v_pow_scalar(vreal x, vreal p) { return v_pow(x, p); }

RGK_INLINE vreal v_leaky_relu(vreal x, vreal slope)
{
    return v_select(v_gt(x, v_set(RGK_C(0.0))), x, slope * x);
}

RGK_INLINE vreal v_elu(vreal x, vreal alpha)
{
    return v_select(v_gt(x, v_set(RGK_C(0.0))), x, alpha * v_expm1(x));
}

/* ---- two arguments ---- */

RGK_INLINE vreal v_sub(vreal a, vreal b) { return a - b; }
RGK_INLINE vreal v_div(vreal a, vreal b) { return a / b; }


RGK_INLINE vreal v_tanh_grad(vreal ct, vreal y) { return v_fma(-(ct * y), y, ct); }
RGK_INLINE vreal v_sigmoid_grad(vreal ct, vreal y) { return ct * (y * (RGK_C(1.0) - y)); }

RGK_INLINE vreal v_relu_grad(vreal ct, vreal y)
{
    const vreal zero = v_set(RGK_C(0.0));
    return v_select(v_gt(y, zero), ct, zero);
}

RGK_INLINE vreal v_squared_difference(vreal a, vreal b)
{
    const vreal d = a - b;
    return d * d;
}

RGK_INLINE vreal v_axpy(vreal a, vreal b, vreal p) { return v_fma(p, a, b); }
RGK_INLINE vreal v_lerp(vreal a, vreal b, vreal t) { return v_fma(t, b - a, a); }

RGK_INLINE vreal v_leaky_relu_grad(vreal ct, vreal y, vreal slope)
{
    return v_select(v_gt(y, v_set(RGK_C(0.0))), ct, slope * ct);
}

/* ---- entries ---- */

#define UNARY(f) \
    void RGK_NAME(f)(size_t n, const void *x, void *y, const double *p) { (void)p; map1(n, x, y, v_##f); }
#define UNARY_P(f) \
    void RGK_NAME(f)(size_t n, const void *x, void *y, const double *p) { map1_p(n, x, y, p, v_##f); }
#define BINARY(f) \
    void RGK_NAME(f)(size_t n, const void *a, const void *b, void *y, const double *p) \
    { (void)p; map2(n, a, b, y, v_##f); }
#define BINARY_P(f) \
    void RGK_NAME(f)(size_t n, const void *a, const void *b, void *y, const double *p) \
    { map2_p(n, a, b, y, p, v_##f); }

UNARY(neg)
UNARY(abs)
UNARY(sign)
UNARY(square)
UNARY(sqrt)
UNARY(rsqrt)
UNARY(reciprocal)
UNARY(one_minus)
UNARY_P(scale)
UNARY_P(add_scalar)
UNARY_P(pow_scalar)
UNARY(exp)
UNARY(exp2)
UNARY(expm1)
UNARY(log)
UNARY(log1p)
UNARY(sin)
UNARY(cos)
UNARY(tan)
UNARY(asin)
UNARY(acos)
UNARY(atan)
UNARY(sinh)
UNARY(cosh)
UNARY(asinh)
UNARY(acosh)
UNARY(atanh)
UNARY(erf)
UNARY(floor)
UNARY(ceil)
UNARY(round)
UNARY(relu)
UNARY_P(leaky_relu)
UNARY_P(elu)
UNARY(gelu)
UNARY(gelu_tanh)
UNARY(silu)
UNARY(softplus)
UNARY(sigmoid)
UNARY(log_sigmoid)
UNARY(tanh)

BINARY(add)
BINARY(sub)
BINARY(mul)
BINARY(div)
BINARY(minimum)
BINARY(maximum)
BINARY(pow)
BINARY_P(axpy)
BINARY_P(lerp)
BINARY(tanh_grad)
BINARY(sigmoid_grad)
BINARY(relu_grad)
BINARY_P(leaky_relu_grad)
BINARY(squared_difference)

/* The two that take an interval. */

void RGK_NAME(clamp)(size_t n, const void *vx, void *vy, const double *p)
{
    const real *x = vx;
    real *y = vy;
    const vreal low = v_set((real)p[0]), high = v_set((real)p[1]);
    size_t i = 0;
    for (; i + RGK_LANES <= n; i += RGK_LANES)
        v_store(y + i, v_min(high, v_max(low, v_load(x + i))));
    if (i < n)
        v_store_part(y + i, n - i, v_min(high, v_max(low, v_load_part(x + i, n - i))));
}

RGK_INLINE vreal v_clamp_grad(vreal ct, vreal x, vreal low, vreal high)
{
    return v_select(v_and(v_le(low, x), v_le(x, high)), ct, v_set(RGK_C(0.0)));
}

void RGK_NAME(clamp_grad)(size_t n, const void *vct, const void *vx, void *vy, const double *p)
{
    const real *ct = vct, *x = vx;
    real *y = vy;
    const vreal low = v_set((real)p[0]), high = v_set((real)p[1]);
    size_t i = 0;
    for (; i + RGK_LANES <= n; i += RGK_LANES)
        v_store(y + i, v_clamp_grad(v_load(ct + i), v_load(x + i), low, high));
    if (i < n)
        v_store_part(y + i, n - i, v_clamp_grad(v_load_part(ct + i, n - i), v_load_part(x + i, n - i), low, high));
}

void RGK_NAME(fma)(size_t n, const void *va, const void *vb, const void *vc, void *vy)
{
    const real *a = va, *b = vb, *c = vc;
    real *y = vy;
    size_t i = 0;
    for (; i + RGK_LANES <= n; i += RGK_LANES)
        v_store(y + i, v_fma(v_load(a + i), v_load(b + i), v_load(c + i)));
    if (i < n)
        v_store_part(y + i, n - i,
                     v_fma(v_load_part(a + i, n - i), v_load_part(b + i, n - i), v_load_part(c + i, n - i)));
}

void RGK_NAME(fill)(size_t n, double value, void *vy)
{
    real *y = vy;
    const vreal v = v_set((real)value);
    size_t i = 0;
    for (; i + RGK_LANES <= n; i += RGK_LANES)
        v_store(y + i, v);
    if (i < n)
        v_store_part(y + i, n - i, v);
}

/* ---- comparisons and selection: no rounding, so plain loops that the compiler vectorises ---- */

void RGK_NAME(eq)(size_t n, const void *va, const void *vb, uint8_t *y)
{
    const real *a = va, *b = vb;
    for (size_t i = 0; i < n; i++)
        y[i] = a[i] == b[i];
}

void RGK_NAME(ne)(size_t n, const void *va, const void *vb, uint8_t *y)
{
    const real *a = va, *b = vb;
    for (size_t i = 0; i < n; i++)
        y[i] = a[i] != b[i];
}

void RGK_NAME(lt)(size_t n, const void *va, const void *vb, uint8_t *y)
{
    const real *a = va, *b = vb;
    for (size_t i = 0; i < n; i++)
        y[i] = a[i] < b[i];
}

void RGK_NAME(le)(size_t n, const void *va, const void *vb, uint8_t *y)
{
    const real *a = va, *b = vb;
    for (size_t i = 0; i < n; i++)
        y[i] = a[i] <= b[i];
}

void RGK_NAME(gt)(size_t n, const void *va, const void *vb, uint8_t *y)
{
    RGK_NAME(lt)(n, vb, va, y);
}

void RGK_NAME(ge)(size_t n, const void *va, const void *vb, uint8_t *y)
{
    RGK_NAME(le)(n, vb, va, y);
}

void RGK_NAME(where)(size_t n, const uint8_t *condition, const void *va, const void *vb, void *vy)
{
    const real *a = va, *b = vb;
    real *y = vy;
    for (size_t i = 0; i < n; i++)
        y[i] = condition[i] ? a[i] : b[i];
}
