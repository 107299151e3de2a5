/* atan2.c - the angle of a point.

   With a the smaller and b the larger of |x| and |y|, atan(a / b) lies in [0, pi/4]; the octant that the point is in
   says what it is to be subtracted from. Hence the error of one quotient and one arctangent, and a rounding for each
   reflection. */
#include "pointwise.h"
#include "table_ops.h"
#include "widen.h"

#include <math.h>

#define HALF_PI 1.57079632679489661923
#define PI 3.14159265358979323846

/* dy: u x / (x^2 + y^2), dx: -u y / (x^2 + y^2); both inputs scaled by the same, so u / r times x / r. */
static rg_node *partial(rg_node *self, size_t i, rg_node *u)
{
    rg_node *y = rg_arg(self, 0), *x = rg_arg(self, 1);
    rg_node *square = rg_fma(x, x, rg_square(y));
    return i == 0 ? rg_div(rg_mul(u, x), square) : rg_neg(rg_div(rg_mul(u, y), square));
}

/* The quotient that the arctangent is taken of. */
static double quotient(double y, double x)
{
    const double a = fabs(y), b = fabs(x);
    if (a == b) /* 0 / 0 and infinity / infinity too */
        return a == 0 ? 0 : 1;
    return a < b ? a / b : b / a;
}

static double placed(double angle, double y, double x)
{
    if (fabs(y) > fabs(x))
        angle = HALF_PI - angle;
    if (signbit(x))
        angle = PI - angle;
    return copysign(angle, y);
}

static void run_f32(size_t n, const float *y, const float *x, float *out)
{
    double q[RGI_BLOCK], angle[RGI_BLOCK];
    for (size_t i = 0; i < n; i++)
        q[i] = quotient((double)y[i], (double)x[i]);
    rgi_kernels(RG_F64)->unary[RGK_ATAN](n, q, angle, NULL);
    for (size_t i = 0; i < n; i++)
        out[i] = x[i] == x[i] && y[i] == y[i] ? (float)placed(angle[i], (double)y[i], (double)x[i]) : NAN;
}

static void run_f64(size_t n, const double *y, const double *x, double *out)
{
    double q[RGI_BLOCK], angle[RGI_BLOCK];
    for (size_t i = 0; i < n; i++)
        q[i] = quotient(y[i], x[i]);
    rgi_kernels(RG_F64)->unary[RGK_ATAN](n, q, angle, NULL);
    for (size_t i = 0; i < n; i++)
        out[i] = x[i] == x[i] && y[i] == y[i] ? placed(angle[i], y[i], x[i]) : NAN;
}

static rg_status run(const rg_step *s, size_t lo, size_t hi)
{
    for (size_t n; lo < hi; lo += n) {
        n = hi - lo < RGI_BLOCK ? hi - lo : RGI_BLOCK;
        if (s->out_type[0].dtype == RG_F32)
            run_f32(n, (const float *)s->in[0] + lo, (const float *)s->in[1] + lo, (float *)s->out[0] + lo);
        else
            run_f64(n, (const double *)s->in[0] + lo, (const double *)s->in[1] + lo, (double *)s->out[0] + lo);
    }
    return RG_OK;
}

const rg_op rgi_op_atan2 = {
    RGI_POINTWISE,
    RGI_DERIVATIVES,
    .name = "atan2",
    .n_in = 2,
    .infer = rg_infer_broadcast,
    .run = run,
    .data = &(const rgi_pointwise){RGK_ATAN, RGI_FLOPS_FUNCTION, partial},
};

rg_node *rg_atan2(rg_node *y, rg_node *x)
{
    return rg_apply(&rgi_op_atan2, RG_NODES(y, x), NULL);
}
