/* test_vmath.c - the functions of one argument, and pow, against the C library in higher precision: error in units of
   the last place. f32: a large odd stride through all 2^32 bit patterns, or every one of them when RETROGRADE_SLOW=1 is
   set. f64: sampled. */
#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ops/kernels/kernels.h"

typedef long double wide;

static wide w_sigmoid(wide x)
{
    return x >= 0 ? 1 / (1 + expl(-x)) : expl(x) / (1 + expl(x));
}
static wide w_silu(wide x)
{
    return x == -INFINITY ? -0.0L : x * w_sigmoid(x);
}
static wide w_softplus(wide x)
{
    return fmaxl(x, 0) + log1pl(expl(-fabsl(x)));
}
static wide w_log_sigmoid(wide x)
{
    return -w_softplus(-x);
}
static wide w_rsqrt(wide x)
{
    return 1 / sqrtl(x);
}
static wide w_reciprocal(wide x)
{
    return 1 / x;
}
static wide w_gelu(wide x)
{
    return x == -INFINITY ? -0.0L : 0.5L * x * erfcl(-x * 0.70710678118654752440084436210484904L);
}
static wide w_gelu_tanh(wide x)
{
    const wide u = 1.59576912160573071175978423973L * (x + 0.044715L * x * x * x);
    return x == -INFINITY ? -0.0L : x * w_sigmoid(u);
}

static double d_sigmoid(double x)
{
    return x >= 0 ? 1 / (1 + exp(-x)) : exp(x) / (1 + exp(x));
}
static double d_silu(double x)
{
    return x == -INFINITY ? -0.0 : x * d_sigmoid(x);
}
static double d_softplus(double x)
{
    return x > 0 ? x + log1p(exp(-x)) : log1p(exp(x));
}
static double d_log_sigmoid(double x)
{
    return -d_softplus(-x);
}
static double d_rsqrt(double x)
{
    return 1 / sqrt(x);
}
static double d_reciprocal(double x)
{
    return 1 / x;
}
static double d_gelu(double x)
{
    return x == -INFINITY ? -0.0 : 0.5 * x * erfc(-x * 0.70710678118654752440);
}
static double d_gelu_tanh(double x)
{
    const double u = 1.59576912160573071176 * (x + 0.044715 * x * x * x);
    return x == -INFINITY ? -0.0 : x * d_sigmoid(u);
}

/* Bounds in ulp: with fma and without, f32 and f64; the table in vmath.h. */
typedef struct function {
    const char *name;
    rgk_unary row;
    double (*f)(double);
    wide (*w)(wide);
    double f32[2], f64[2];
} function;

static const function functions[] = {
    {"sqrt", RGK_SQRT, sqrt, sqrtl, {0.501, 0.501}, {0.501, 0.501}},
    {"rsqrt", RGK_RSQRT, d_rsqrt, w_rsqrt, {1.5, 1.5}, {1.5, 1.5}},
    {"reciprocal", RGK_RECIPROCAL, d_reciprocal, w_reciprocal, {0.501, 0.501}, {0.501, 0.501}},
    {"exp", RGK_EXP, exp, expl, {1, 1.1}, {1, 1}},
    {"exp2", RGK_EXP2, exp2, exp2l, {1, 1.2}, {1, 1.2}},
    {"expm1", RGK_EXPM1, expm1, expm1l, {2, 2}, {2, 2}},
    {"log", RGK_LOG, log, logl, {1, 1}, {1, 1}},
    {"log1p", RGK_LOG1P, log1p, log1pl, {1, 1}, {1, 1}},
    {"sin", RGK_SIN, sin, sinl, {2, 2}, {2, 2}},
    {"cos", RGK_COS, cos, cosl, {2, 2}, {2, 2}},
    {"tan", RGK_TAN, tan, tanl, {2.4, 2.4}, {2.6, 2.6}},
    {"asin", RGK_ASIN, asin, asinl, {2, 2}, {2, 2}},
    {"acos", RGK_ACOS, acos, acosl, {1.5, 1.5}, {1.5, 1.5}},
    {"atan", RGK_ATAN, atan, atanl, {2, 2}, {2, 2}},
    {"sinh", RGK_SINH, sinh, sinhl, {2, 2}, {2, 2}},
    {"cosh", RGK_COSH, cosh, coshl, {1.6, 1.6}, {1.6, 1.6}},
    {"asinh", RGK_ASINH, asinh, asinhl, {2, 2}, {2, 2}},
    {"acosh", RGK_ACOSH, acosh, acoshl, {2.1, 2.1}, {2.1, 2.1}},
    {"atanh", RGK_ATANH, atanh, atanhl, {2, 2}, {2, 2}},
    {"erf", RGK_ERF, erf, erfl, {1.2, 1.4}, {1.5, 1.5}},
    {"floor", RGK_FLOOR, floor, floorl, {0, 0}, {0, 0}},
    {"ceil", RGK_CEIL, ceil, ceill, {0, 0}, {0, 0}},
    {"round", RGK_ROUND, rint, rintl, {0, 0}, {0, 0}},
    {"gelu", RGK_GELU, d_gelu, w_gelu, {2.2, 3}, {4, 4}},
    {"gelu_tanh", RGK_GELU_TANH, d_gelu_tanh, w_gelu_tanh, {2.5, 3.4}, {2.5, 3.2}},
    {"silu", RGK_SILU, d_silu, w_silu, {2.5, 3.4}, {2.5, 3.2}},
    {"softplus", RGK_SOFTPLUS, d_softplus, w_softplus, {2, 2}, {2, 2}},
    {"sigmoid", RGK_SIGMOID, d_sigmoid, w_sigmoid, {1.6, 2.5}, {1.6, 2.4}},
    {"log_sigmoid", RGK_LOG_SIGMOID, d_log_sigmoid, w_log_sigmoid, {2, 2}, {2, 2}},
    {"tanh", RGK_TANH, tanh, tanhl, {2, 2.7}, {2, 2.6}},
};
enum { FUNCTIONS = sizeof functions / sizeof *functions };

/* Without fma the bounds are looser: SSE2 alone. */
static int column_of(rgk_isa isa)
{
#if defined(__x86_64__)
    return isa == RGK_GENERIC;
#else
    (void)isa;
    return 0;
#endif
}

/* |y - exact| in units of the last place of `bits` bits at exact; a wrong infinity, NaN or sign of zero is infinite. */
static double ulps(double y, wide exact, int bits, int min_exponent, double largest)
{
    if (isnan(exact) || isnan(y))
        return isnan(exact) && isnan(y) ? 0 : INFINITY;
    if (!!signbit(y) != !!signbit(exact))
        return INFINITY;
    const wide half = ldexpl(1, ilogb(largest) - bits); /* half an ulp of the largest number */
    if (isinf(y))
        return isinf(exact) || fabsl(exact) > (wide)largest ? 0 : INFINITY;
    if (isinf(exact))
        return INFINITY;
    if (fabsl(exact) >= (wide)largest + half)
        return (double)((fabsl(exact) - (wide)fabs(y)) / (2 * half));
    int e;
    frexpl(exact, &e);
    e = exact == 0 || e < min_exponent ? min_exponent : e;
    return (double)(fabsl((wide)y - exact) * ldexpl(1, bits - e));
}

static double ulps_f32(float y, double exact)
{
    return ulps((double)y, (wide)exact, 24, FLT_MIN_EXP, (double)FLT_MAX);
}

/* An ulp of the f32 numbers around `exact`, a NaN where it takes ulps_f32 to tell. */
static double plain_ulp(double exact)
{
    const double size = fabs(exact);
    uint64_t bits;
    double ulp;
    memcpy(&bits, &size, sizeof bits);
    bits = (bits >> 52 << 52) - ((uint64_t)(FLT_MANT_DIG - 1) << 52);
    memcpy(&ulp, &bits, sizeof ulp);
    return size >= (double)FLT_MIN && size <= (double)FLT_MAX / 2 ? ulp : (double)NAN;
}

/* Whether ulps_f32(y, exact) <= bound is certain, at the speed that 2^32 numbers want. */
static bool surely_near(float y, double exact, double ulp, double bound)
{
    return fabs((double)y - exact) <= bound * ulp;
}

static double ulps_f64(double y, wide exact)
{
    return ulps(y, exact, 53, DBL_MIN_EXP, DBL_MAX);
}

static const float special[] = {
    0.0f,
    -0.0f,
    1.0f,
    -1.0f,
    0.5f,
    -0.5f,
    2.0f,
    -2.0f,
    1.5f,
    2.5f,
    -2.5f,
    3.0f,
    INFINITY,
    -INFINITY,
    NAN,
    FLT_MAX,
    -FLT_MAX,
    FLT_MIN,
    -FLT_MIN,
    0x1p-149f,
    -0x1p-149f,
    0x1.fffffep-127f,
    0x1p-24f,
    -0x1p-24f,
    0x1.fffffep-25f,
    8388607.5f,
    8388608.0f,
    16777216.0f,
    88.72283f,
    88.722839f,
    88.72284f,
    -87.33655f,
    -103.97208f,
    -103.97209f,
    127.99999f,
    128.0f,
    -126.5f,
    -150.0f,
    89.41599f,
    89.416f,
    9.0109f,
    -9.0109f,
    8192.0f,
    8192.001f,
    32768.0f,
    32768.004f,
    0.99999994f,
    1.0000001f,
    -0.99999994f,
    0.41421357f,
    2.4142137f,
    0.7071068f,
    0.75f,
    3.9f,
    -14.4f,
    -1e30f,
    1e30f,
    1.5707964f,
    3.1415927f,
    0.78539819f,
};
enum { SPECIAL = sizeof special / sizeof *special };

enum { CHUNK = 1 << 12 };

static void check_f32(const function *f, const float *x, size_t n)
{
    static float y[CHUNK];
    static double exact[CHUNK], ulp[CHUNK];
    for (size_t i = 0; i < n; i++) {
        exact[i] = f->f((double)x[i]);
        ulp[i] = plain_ulp(exact[i]);
    }
    for (int isa = 0; isa <= RGK_AVX512; isa++) {
        if (!rgk_of(isa, RGK_F32))
            continue;
        const double bound = f->f32[column_of(isa)];
        rgk_of(isa, RGK_F32)->unary[f->row](n, x, y, NULL);
        for (size_t i = 0; i < n; i++)
            if (!surely_near(y[i], exact[i], ulp[i], bound) && !(ulps_f32(y[i], exact[i]) <= bound))
                cr_assert(0, "%s %s(%a) = %a, not %a: %g ulp", rgk_isa_name(isa), f->name, (double)x[i], (double)y[i],
                          exact[i], ulps_f32(y[i], exact[i]));
    }
}

/* Each function by itself, so that the slow test uses all cores. */
ParameterizedTestParameters(vmath, f32_within_bounds)
{
    static int number[FUNCTIONS];
    for (int i = 0; i < FUNCTIONS; i++)
        number[i] = i;
    return cr_make_param_array(int, number, FUNCTIONS);
}

ParameterizedTest(const int *number, vmath, f32_within_bounds, .timeout = 100000)
{
    static float x[CHUNK];
    const function *f = &functions[*number];
    const uint64_t stride = getenv("RETROGRADE_SLOW") ? 1 : 39119;
    check_f32(f, special, SPECIAL);
    for (uint64_t u = 17 % stride; u < (uint64_t)1 << 32;) {
        size_t n = 0;
        for (; n < CHUNK && u < (uint64_t)1 << 32; n++, u += stride) {
            const uint32_t bits = (uint32_t)u;
            memcpy(&x[n], &bits, sizeof bits);
        }
        check_f32(f, x, n);
    }
}

/* The quick path of the comparison says what the slow one says. */
Test(vmath, comparison_of_f32)
{
    static const double exact[] = {1, 1.5, 0x1.fffffep0, 3, -7.25, 1e-37, 1e38, 0.1};
    for (size_t i = 0; i < sizeof exact / sizeof *exact; i++)
        for (int away = -4; away <= 4; away++) {
            float y = (float)exact[i];
            for (int k = 0; k < abs(away); k++)
                y = nextafterf(y, away < 0 ? -INFINITY : INFINITY);
            for (double bound = 0.25; bound < 6; bound += 0.5)
                cr_expect(surely_near(y, exact[i], plain_ulp(exact[i]), bound) == (ulps_f32(y, exact[i]) <= bound),
                          "%a near %a", (double)y, exact[i]);
        }
    cr_expect(!surely_near(0, 0, plain_ulp(0), 1) && !surely_near(INFINITY, 1e39, plain_ulp(1e39), 1) &&
              !surely_near(-0x1p-126f, 0x1p-126, plain_ulp(0x1p-126), 1));
}

static uint64_t next_random(void)
{
    static uint64_t s = 88172645463325252u;
    s ^= s << 13;
    s ^= s >> 7;
    s ^= s << 17;
    return s;
}

static double random_f64(unsigned kind)
{
    const uint64_t bits = next_random();
    const double unit = (double)(int64_t)bits * 0x1p-63;
    double any;
    switch (kind % 6) {
    case 0:
        memcpy(&any, &bits, sizeof any);
        return any;
    case 1:
        return unit;
    case 2:
        return unit * 10;
    case 3:
        return unit * 1000;
    case 4:
        return unit * pow(2, -(double)(next_random() % 70));
    default:
        return 1 + unit * pow(2, -(double)(next_random() % 52));
    }
}

static void check_f64(const function *f, const double *x, size_t n)
{
    static double y[CHUNK];
    for (int isa = 0; isa <= RGK_AVX512; isa++) {
        const rgk_table *t = rgk_of(isa, RGK_F64);
        if (!t)
            continue;
        t->unary[f->row](n, x, y, NULL);
        for (size_t i = 0; i < n; i++) {
            const wide exact = f->w((wide)x[i]);
            cr_assert(ulps_f64(y[i], exact) <= f->f64[column_of(isa)], "%s %s(%a) = %a, not %La: %g ulp",
                      rgk_isa_name(isa), f->name, x[i], y[i], exact, ulps_f64(y[i], exact));
        }
    }
}

Test(vmath, f64_within_bounds)
{
    if (LDBL_MANT_DIG < 64)
        cr_skip_test("long double is no wider than double here");
    static double x[CHUNK];
    for (size_t k = 0; k < FUNCTIONS; k++) {
        for (size_t i = 0; i < SPECIAL; i++)
            x[i] = (double)special[i];
        const double more[] = {DBL_MAX,
                               -DBL_MAX,
                               DBL_MIN,
                               0x1p-1074,
                               -0x1p-1074,
                               709.78271289338397,
                               709.78271289338409,
                               -745.13321910194111,
                               -745.13321910194123,
                               1e6,
                               1e6 + 1,
                               1e22,
                               1e300,
                               0x1p53,
                               4503599627370495.5};
        memcpy(x + SPECIAL, more, sizeof more);
        check_f64(&functions[k], x, SPECIAL + sizeof more / sizeof *more);
        for (int chunk = 0; chunk < 4; chunk++) {
            for (size_t i = 0; i < CHUNK; i++)
                x[i] = random_f64((unsigned)i);
            check_f64(&functions[k], x, CHUNK);
        }
    }
}

/* ---- pow ---- */

static void check_pow(size_t n, const double *x, const double *y)
{
    static float xf[CHUNK], yf[CHUNK], zf[CHUNK];
    static double z[CHUNK];
    for (size_t i = 0; i < n; i++) {
        xf[i] = (float)x[i];
        yf[i] = (float)y[i];
    }
    for (int isa = 0; isa <= RGK_AVX512; isa++) {
        if (!rgk_of(isa, RGK_F32))
            continue;
        rgk_of(isa, RGK_F32)->binary[RGK_POW](n, xf, yf, zf, NULL, 0);
        for (size_t i = 0; i < n; i++) {
            const double exact = pow((double)xf[i], (double)yf[i]);
            cr_assert(ulps_f32(zf[i], exact) <= 0.51, "%s f32 pow(%a, %a) = %a, not %a: %g ulp", rgk_isa_name(isa),
                      (double)xf[i], (double)yf[i], (double)zf[i], exact, ulps_f32(zf[i], exact));
        }
        if (LDBL_MANT_DIG < 64)
            continue;
        rgk_of(isa, RGK_F64)->binary[RGK_POW](n, x, y, z, NULL, 0);
        for (size_t i = 0; i < n; i++) {
            const wide exact = powl((wide)x[i], (wide)y[i]);
            cr_assert(ulps_f64(z[i], exact) <= 1.2, "%s f64 pow(%a, %a) = %a, not %La: %g ulp", rgk_isa_name(isa), x[i],
                      y[i], z[i], exact, ulps_f64(z[i], exact));
        }
    }
}

Test(vmath, pow_of_special_arguments)
{
    static const double values[] = {0.0,
                                    -0.0,
                                    1,
                                    -1,
                                    2,
                                    -2,
                                    3,
                                    -3,
                                    0.5,
                                    -0.5,
                                    0.1,
                                    -0.1,
                                    10,
                                    1.5,
                                    -1.5,
                                    INFINITY,
                                    -INFINITY,
                                    NAN,
                                    16777215,
                                    16777216,
                                    16777217,
                                    -16777215,
                                    1e30,
                                    -1e30,
                                    1e-40,
                                    -1e-40,
                                    0x1p53,
                                    0x1p53 - 1,
                                    33.3333,
                                    0.99999994,
                                    1.0000001192092896,
                                    -1.0000001192092896};
    enum { N = sizeof values / sizeof *values };
    static double x[N * N], y[N * N];
    for (size_t i = 0; i < N; i++)
        for (size_t j = 0; j < N; j++) {
            x[i * N + j] = values[i];
            y[i * N + j] = values[j];
        }
    check_pow(N * N, x, y);
}

Test(vmath, pow_within_bounds)
{
    static double x[CHUNK], y[CHUNK];
    for (int chunk = 0; chunk < 24; chunk++) {
        for (size_t i = 0; i < CHUNK; i++) {
            x[i] = fabs(random_f64((unsigned)i));
            y[i] = random_f64((unsigned)(i / 6));
            /* Half of them where the result is a number that can be written. */
            if (chunk % 2)
                y[i] = (double)(int64_t)next_random() * 0x1p-63 * 1000 / (fabs(log(x[i])) + 1e-3);
        }
        check_pow(CHUNK, x, y);
    }
}

Test(vmath, pow_of_a_scalar_is_pow)
{
    for (int isa = 0; isa <= RGK_AVX512; isa++) {
        const rgk_table *t = rgk_of(isa, RGK_F64);
        if (!t)
            continue;
        double x[37], p[37], y[37], z[37];
        for (int i = 0; i < 37; i++) {
            x[i] = 0.3 * i - 4;
            p[i] = 2.75;
        }
        t->unary[RGK_POW_SCALAR](37, x, y, p);
        t->binary[RGK_POW](37, x, p, z, NULL, 0);
        cr_expect(!memcmp(y, z, sizeof y), "%s", rgk_isa_name(isa));
    }
}
