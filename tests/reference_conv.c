/* reference_conv.c - convolution by its definition: every pair of an input and an output element is asked whether a tap
   joins them. */
#include "reference_ops.h"

#include <math.h>

static int64_t number(rg_axes list, int i, int64_t otherwise)
{
    return list.n ? list.axis[i] : otherwise;
}

/* The tap of the kernel through which output position p sees input position q, or -1. axes: stride, pad, dilation,
   extra padding behind. */
static int64_t tap_between(const sample_context *c, const rg_shape *w, const int64_t p[3], const int64_t q[3])
{
    const rg_axes *a = c->args->axes;
    int64_t tap = 0;
    for (int i = 0; i < w->rank - 2; i++) {
        const int64_t from = q[i] + number(a[1], i, 0) - p[i] * number(a[0], i, 1), dilation = number(a[2], i, 1);
        if (from < 0 || from % dilation || from / dilation >= w->dim[2 + i])
            return -1;
        tap = tap * w->dim[2 + i] + from / dilation;
    }
    return tap;
}

static int64_t count(const rg_shape *shape, int from)
{
    int64_t n = 1;
    for (int i = from; i < shape->rank; i++)
        n *= shape->dim[i];
    return n;
}

static void position(const rg_shape *shape, int64_t element, int64_t at[3])
{
    for (int i = shape->rank - 1; i >= 2; i--) {
        at[i - 2] = element % shape->dim[i];
        element /= shape->dim[i];
    }
}

/* Calls for every product of the sums: input element, weight, output element. */
static void each_product(const sample_context *c, const rg_shape *x, const rg_shape *w, const rg_shape *y,
                         void (*f)(void *user, int64_t in, int64_t weight, int64_t out), void *user)
{
    const int64_t inputs = count(x, 2), outputs = count(y, 2), taps = count(w, 2), channels = w->dim[1],
                  groups = x->dim[1] / channels, per_group = w->dim[0] / groups;
    for (int64_t p = 0; p < outputs; p++)
        for (int64_t q = 0; q < inputs; q++) {
            int64_t at_p[3], at_q[3];
            position(y, p, at_p);
            position(x, q, at_q);
            const int64_t tap = tap_between(c, w, at_p, at_q);
            for (int64_t n = 0; tap >= 0 && n < x->dim[0]; n++)
                for (int64_t o = 0; o < w->dim[0]; o++)
                    for (int64_t k = 0; k < channels; k++)
                        f(user, (n * x->dim[1] + o / per_group * channels + k) * inputs + q,
                          (o * channels + k) * taps + tap, (n * w->dim[0] + o) * outputs + p);
        }
}

/* Where each of the three factors is: values, or the sum that is made, with the sum of magnitudes. */
typedef struct factors {
    const double *x, *w, *u;
    ref_tensor *made;
    int target; /* 0: x, 1: w, 2: y */
} factors;

static void add(void *user, int64_t in, int64_t weight, int64_t out)
{
    const factors *f = user;
    const int64_t at = f->target == 0 ? in : f->target == 1 ? weight : out;
    const double product =
        (f->target == 0 ? 1 : f->x[in]) * (f->target == 1 ? 1 : f->w[weight]) * (f->target == 2 ? 1 : f->u[out]);
    f->made->at[at] += product;
    f->made->scale[at] += fabs(product);
}

static rg_shape outputs_of(const sample_context *c, const rg_shape *x, const rg_shape *w)
{
    const rg_axes *a = c->args->axes;
    rg_shape y = *x;
    y.dim[1] = w->dim[0];
    for (int i = 0; i < x->rank - 2; i++) {
        const int64_t span = number(a[2], i, 1) * (w->dim[2 + i] - 1) + 1, pad = number(a[1], i, 0);
        y.dim[2 + i] = 0; /* as many as start where the whole kernel fits */
        for (int64_t at = -pad; at + span <= x->dim[2 + i] + pad + number(a[3], i, 0); at += number(a[0], i, 1))
            y.dim[2 + i]++;
    }
    return y;
}

void ref_conv(const sample_context *c, const ref_tensor x[], ref_tensor *y)
{
    const rg_shape out = outputs_of(c, &x[0].shape, &x[1].shape);
    ref_new(y, out, true);
    factors f = {.x = x[0].at, .w = x[1].at, .made = y, .target = 2};
    each_product(c, &x[0].shape, &x[1].shape, &out, add, &f);
}

void ref_conv_data_grad(const sample_context *c, const ref_tensor x[], ref_tensor *y)
{
    ref_new(y, x[2].shape, true);
    factors f = {.u = x[0].at, .w = x[1].at, .made = y, .target = 0};
    each_product(c, &x[2].shape, &x[1].shape, &x[0].shape, add, &f);
}

void ref_conv_weight_grad(const sample_context *c, const ref_tensor x[], ref_tensor *y)
{
    ref_new(y, x[2].shape, true);
    factors f = {.x = x[0].at, .u = x[1].at, .made = y, .target = 1};
    each_product(c, &x[0].shape, &x[2].shape, &x[1].shape, add, &f);
}
