/* elementwise.c - one result for each element: arithmetic, functions, comparisons, selection. */
#include "list.h"
#include "span.h"
#include "vmath.h"

/* ---- drivers: f is inlined ---- */

RGK_INLINE void map1(size_t n, const void *x, void *y, vreal (*f)(vreal))
{
    real edge[RGK_OPERANDS][RGK_LANES];
    span s = span_begin(1, n, x, NULL, NULL, y, 0, edge);
    do
        for (size_t i = 0; i < s.n; i += RGK_LANES)
            v_store(s.y + i, f(span_load(&s, 0, i)));
    while (span_next(1, &s, edge));
}

RGK_INLINE void map2(size_t n, const void *a, const void *b, void *y, unsigned once, vreal (*f)(vreal, vreal))
{
    real edge[RGK_OPERANDS][RGK_LANES];
    span s = span_begin(2, n, a, b, NULL, y, once, edge);
    do
        for (size_t i = 0; i < s.n; i += RGK_LANES)
            v_store(s.y + i, f(span_load(&s, 0, i), span_load(&s, 1, i)));
    while (span_next(2, &s, edge));
}

RGK_INLINE void map3(size_t n, const void *a, const void *b, const void *c, void *y, unsigned once,
                     vreal (*f)(vreal, vreal, vreal))
{
    real edge[RGK_OPERANDS][RGK_LANES];
    span s = span_begin(3, n, a, b, c, y, once, edge);
    do
        for (size_t i = 0; i < s.n; i += RGK_LANES)
            v_store(s.y + i, f(span_load(&s, 0, i), span_load(&s, 1, i), span_load(&s, 2, i)));
    while (span_next(3, &s, edge));
}

/* Parameters p[0] and, where a row has two, p[1]. */
typedef struct parameters {
    vreal p, q;
} parameters;

RGK_INLINE parameters one(const double *p)
{
    return (parameters){.p = v_set((real)p[0])};
}

RGK_INLINE parameters two(const double *p)
{
    return (parameters){.p = v_set((real)p[0]), .q = v_set((real)p[1])};
}

RGK_INLINE void map1_with(size_t n, const void *x, void *y, parameters p, vreal (*f)(vreal, parameters))
{
    real edge[RGK_OPERANDS][RGK_LANES];
    span s = span_begin(1, n, x, NULL, NULL, y, 0, edge);
    do
        for (size_t i = 0; i < s.n; i += RGK_LANES)
            v_store(s.y + i, f(span_load(&s, 0, i), p));
    while (span_next(1, &s, edge));
}

RGK_INLINE void map2_with(size_t n, const void *a, const void *b, void *y, unsigned once, parameters p,
                          vreal (*f)(vreal, vreal, parameters))
{
    real edge[RGK_OPERANDS][RGK_LANES];
    span s = span_begin(2, n, a, b, NULL, y, once, edge);
    do
        for (size_t i = 0; i < s.n; i += RGK_LANES)
            v_store(s.y + i, f(span_load(&s, 0, i), span_load(&s, 1, i), p));
    while (span_next(2, &s, edge));
}

/* ---- one argument ---- */

RGK_INLINE vreal v_neg(vreal x)
{
    return -x;
}

RGK_INLINE vreal v_square(vreal x)
{
    return x * x;
}

RGK_INLINE vreal v_rsqrt(vreal x)
{
    return RGK_C(1.0) / v_sqrt(x);
}

RGK_INLINE vreal v_reciprocal(vreal x)
{
    return RGK_C(1.0) / x;
}

RGK_INLINE vreal v_one_minus(vreal x)
{
    return RGK_C(1.0) - x;
}

/* -1, 0 (of either sign) or 1; NaN stays. */
RGK_INLINE vreal v_sign(vreal x)
{
    const vreal unit = v_copysign(v_set(RGK_C(1.0)), x);
    return v_select(v_gt(v_abs(x), v_set(RGK_C(0.0))), unit, x);
}

/* v_max and v_min return the second operand where x is NaN. */
RGK_INLINE vreal v_relu(vreal x)
{
    return v_max(v_set(RGK_C(0.0)), x);
}

RGK_INLINE vreal v_scale(vreal x, parameters p)
{
    return x * p.p;
}

RGK_INLINE vreal v_add_scalar(vreal x, parameters p)
{
    return x + p.p;
}

RGK_INLINE vreal v_pow_scalar(vreal x, parameters p)
{
    return v_pow(x, p.p);
}

RGK_INLINE vreal v_clamp(vreal x, parameters p)
{
    return v_min(p.q, v_max(p.p, x));
}

RGK_INLINE vreal v_leaky_relu(vreal x, parameters p)
{
    return v_select(v_gt(x, v_set(RGK_C(0.0))), x, p.p * x);
}

RGK_INLINE vreal v_elu(vreal x, parameters p)
{
    return v_select(v_gt(x, v_set(RGK_C(0.0))), x, p.p * v_expm1(x));
}

/* ---- two arguments; in the gradients, ct is the cotangent ---- */

RGK_INLINE vreal v_sub(vreal a, vreal b)
{
    return a - b;
}

RGK_INLINE vreal v_div(vreal a, vreal b)
{
    return a / b;
}

RGK_INLINE vreal v_tanh_grad(vreal ct, vreal y)
{
    return ct * v_fma(-y, y, v_set(RGK_C(1.0)));
}

RGK_INLINE vreal v_sigmoid_grad(vreal ct, vreal y)
{
    return ct * (y * (RGK_C(1.0) - y));
}

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

RGK_INLINE vreal v_axpy(vreal a, vreal b, parameters p)
{
    return v_fma(p.p, a, b);
}

RGK_INLINE vreal v_lerp(vreal a, vreal b, parameters p)
{
    return v_fma(p.p, b - a, a);
}

RGK_INLINE vreal v_leaky_relu_grad(vreal ct, vreal y, parameters p)
{
    return v_select(v_gt(y, v_set(RGK_C(0.0))), ct, p.p * ct);
}

RGK_INLINE vreal v_clamp_grad(vreal ct, vreal x, parameters p)
{
    return v_select(v_and(v_le(p.p, x), v_le(x, p.q)), ct, v_set(RGK_C(0.0)));
}

/* ---- entries: a driver and its function ---- */

#define UNARY(row, f)                                                   \
    void RGK_NAME(f)(size_t n, const void *x, void *y, const double *p) \
    {                                                                   \
        (void)p;                                                        \
        map1(n, x, y, v_##f);                                           \
    }
#define UNARY_ONE(row, f)                                               \
    void RGK_NAME(f)(size_t n, const void *x, void *y, const double *p) \
    {                                                                   \
        map1_with(n, x, y, one(p), v_##f);                              \
    }
#define UNARY_TWO(row, f)                                               \
    void RGK_NAME(f)(size_t n, const void *x, void *y, const double *p) \
    {                                                                   \
        map1_with(n, x, y, two(p), v_##f);                              \
    }
#define BINARY(row, f)                                                                                \
    void RGK_NAME(f)(size_t n, const void *a, const void *b, void *y, const double *p, unsigned once) \
    {                                                                                                 \
        (void)p;                                                                                      \
        map2(n, a, b, y, once, v_##f);                                                                \
    }
#define BINARY_ONE(row, f)                                                                            \
    void RGK_NAME(f)(size_t n, const void *a, const void *b, void *y, const double *p, unsigned once) \
    {                                                                                                 \
        map2_with(n, a, b, y, once, one(p), v_##f);                                                   \
    }
#define BINARY_TWO(row, f)                                                                            \
    void RGK_NAME(f)(size_t n, const void *a, const void *b, void *y, const double *p, unsigned once) \
    {                                                                                                 \
        map2_with(n, a, b, y, once, two(p), v_##f);                                                   \
    }

RGK_UNARY_PLAIN(UNARY)
RGK_UNARY_ONE(UNARY_ONE)
RGK_UNARY_TWO(UNARY_TWO)
RGK_BINARY_PLAIN(BINARY)
RGK_BINARY_ONE(BINARY_ONE)
RGK_BINARY_TWO(BINARY_TWO)

void RGK_NAME(fma)(size_t n, const void *a, const void *b, const void *c, void *y, unsigned once)
{
    map3(n, a, b, c, y, once, v_fma);
}

RGK_INLINE void fill_with(size_t n, real value, real *y)
{
    const vreal v = v_set(value);
    size_t i = 0;
    for (; i + RGK_LANES <= n; i += RGK_LANES)
        v_store(y + i, v);
    if (i < n)
        v_store_part(y + i, n - i, v);
}

void RGK_NAME(fill)(size_t n, double value, void *y)
{
    fill_with(n, (real)value, y);
}

void RGK_NAME(repeat)(size_t n, const void *x, void *y)
{
    fill_with(n, *(const real *)x, y);
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
