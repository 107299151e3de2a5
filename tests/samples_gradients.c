/* samples_gradients.c - samples of the ops that derivative rules are made of. Pointwise ones are built directly; the
   others by taking the derivative they belong to, so that nothing of their attributes is assumed. Input 0 is the
   cotangent. */
#include "reference_ops.h"

#include "ops/pointwise.h"

static const sample_case two[] = {
    {.shape = {"37", "37"}},   {.shape = {"B,17", "B,17"}}, {.shape = {"", ""}},     {.shape = {"0", "0"}},
    {.shape = {"B,T", "B,T"}}, {.shape = {"B,4", "4"}},     {.shape = {"4", "3,1"}},
};
static const sample_case three[] = {
    {.shape = {"37", "37", "37"}},  {.shape = {"B,T", "B,T", "B,T"}}, {.shape = {"", "", ""}},
    {.shape = {"B,4", "4", "B,1"}}, {.shape = {"0", "0", "0"}},
};
#define WITH(a, b) .args = {.f = {a, b}}
static const sample_case bounds[] = {
    {.shape = {"37", "37"}, WITH(-1, 0.5)},
    {.shape = {"B,T", "B,T"}, WITH(-0.5, 1)},
    {.shape = {"", ""}, WITH(-1, 1)},
};

/* ---- pointwise ---- */

static double attribute(const sample_context *c, int i)
{
    return c->dtype == RG_F32 ? (float)c->args->f[i] : c->args->f[i];
}
static double square_of_difference(double a, double b)
{
    return (a - b) * (a - b);
}
static double relu_slope(double u, double x)
{
    return x > 0 ? u : 0;
}
static double sigmoid_slope(double u, double y)
{
    return u * y * (1 - y);
}
static double tanh_slope(double u, double y)
{
    return u * (1 - y) * (1 + y);
}
static double normal_density(double x)
{
    return exp(-x * x / 2) / sqrt(2 * acos(-1));
}
static double gelu_slope(double u, double x)
{
    return u * (0.5 * erfc(-x / sqrt(2)) + x * normal_density(x));
}
static double silu_slope(double u, double x)
{
    const double s = 1 / (1 + exp(-x));
    return u * (s + x * s * (1 - s));
}
static double gelu_tanh_slope(double u, double x)
{
    const double k = sqrt(2 / acos(-1)), t = tanh(k * (x + 0.044715 * x * x * x));
    return u * (0.5 * (1 + t) + 0.5 * x * (1 - t) * (1 + t) * k * (1 + 3 * 0.044715 * x * x));
}
static double leaky_slope(const sample_context *c, const double x[])
{
    return x[1] > 0 ? x[0] : attribute(c, 0) * x[0];
}
static double clamp_slope(const sample_context *c, const double x[])
{
    return x[1] >= attribute(c, 0) && x[1] <= attribute(c, 1) ? x[0] : 0;
}
static double maximum_slope(const sample_context *c, const double x[])
{
    (void)c;
    return x[1] > x[2] ? x[0] : x[1] == x[2] ? x[0] / 2 : 0;
}

static rg_node *leaky_relu_grad(const sample_context *c, rg_node *const x[])
{
    return rgi_leaky_relu_grad(x[0], x[1], c->args->f[0]);
}
static rg_node *clamp_grad(const sample_context *c, rg_node *const x[])
{
    return rgi_clamp_grad(x[0], x[1], c->args->f[0], c->args->f[1]);
}

/* ---- through the derivative of another op ---- */

static rg_node *derivative(rg_node *y, rg_node *u, rg_node *x)
{
    return rg_at(rg_vjp(RG_NODES(y), RG_NODES(u), RG_NODES(x)), 0);
}
static rg_node *tangent(rg_node *y, rg_node *x, rg_node *v)
{
    return rg_at(rg_jvp(RG_NODES(y), RG_NODES(x), RG_NODES(v)), 0);
}

static rg_node *softmax_grad(const sample_context *c, rg_node *const x[])
{
    return derivative(rg_softmax(x[1], (int)c->args->i[0]), x[0], x[1]);
}
static rg_node *log_softmax_grad(const sample_context *c, rg_node *const x[])
{
    return derivative(rg_log_softmax(x[1], (int)c->args->i[0]), x[0], x[1]);
}
static rg_node *prod_grad(const sample_context *c, rg_node *const x[])
{
    return derivative(rg_prod(x[1], c->args->axes[0], c->args->flag), x[0], x[1]);
}
static rg_node *prod_tangent(const sample_context *c, rg_node *const x[])
{
    return tangent(rg_prod(x[1], c->args->axes[0], c->args->flag), x[1], x[0]);
}
static rg_node *extremum_put(const sample_context *c, rg_node *const x[])
{
    return derivative(rg_max(x[1], c->args->axes[0], c->args->flag), x[0], x[1]);
}
static rg_node *extremum_take(const sample_context *c, rg_node *const x[])
{
    return tangent(rg_min(x[1], c->args->axes[0], c->args->flag), x[1], x[0]);
}
static rg_node *slice_grad(const sample_context *c, rg_node *const x[])
{
    const int64_t *i = c->args->i;
    return derivative(rg_slice_step(x[1], (int)i[0], i[1], i[2], i[3]), x[0], x[1]);
}
static rg_node *concat_part(const sample_context *c, rg_node *const x[])
{
    rg_node *y = rg_concat((rg_nodes){x + 1, c->n_in - 1}, (int)c->args->i[0]);
    return derivative(y, x[0], x[1 + c->args->i[1]]);
}

/* y (u - sum(u y)) with the terms' magnitudes */
static void ref_softmax_grad(const sample_context *c, const ref_tensor x[], ref_tensor *y)
{
    ref_tensor p, sum, size;
    ref_softmax(c, x + 1, &p);
    const rg_shape kept = ref_reduced(p.shape, 1u << ref_axis(c->args->i[0], p.shape.rank), true);
    ref_new(&sum, kept, false);
    ref_new(&size, kept, false);
    ref_new(y, p.shape, true);
    for (size_t i = 0; i < ref_count(p.shape); i++) {
        sum.at[ref_index(p.shape, i, kept)] += x[0].at[i] * p.at[i];
        size.at[ref_index(p.shape, i, kept)] += fabs(x[0].at[i]) * p.scale[i];
    }
    for (size_t i = 0; i < ref_count(p.shape); i++) {
        const size_t row = ref_index(p.shape, i, kept);
        y->at[i] = p.at[i] * (x[0].at[i] - sum.at[row]);
        y->scale[i] = p.scale[i] * (fabs(x[0].at[i]) + size.at[row]);
    }
    ref_free(&p);
    ref_free(&sum);
    ref_free(&size);
}

/* u - softmax(x) sum(u) */
static void ref_log_softmax_grad(const sample_context *c, const ref_tensor x[], ref_tensor *y)
{
    ref_tensor p, sum, size;
    ref_softmax(c, x + 1, &p);
    const rg_shape kept = ref_reduced(p.shape, 1u << ref_axis(c->args->i[0], p.shape.rank), true);
    ref_new(&sum, kept, false);
    ref_new(&size, kept, false);
    ref_new(y, p.shape, true);
    for (size_t i = 0; i < ref_count(p.shape); i++) {
        sum.at[ref_index(p.shape, i, kept)] += x[0].at[i];
        size.at[ref_index(p.shape, i, kept)] += fabs(x[0].at[i]);
    }
    for (size_t i = 0; i < ref_count(p.shape); i++) {
        const size_t row = ref_index(p.shape, i, kept);
        y->at[i] = x[0].at[i] - p.at[i] * sum.at[row];
        y->scale[i] = fabs(x[0].at[i]) + p.scale[i] * size.at[row];
    }
    ref_free(&p);
    ref_free(&sum);
    ref_free(&size);
}

/* For each element: the product of the others of its slice; or whether it is the slice's first extremum. */
static void others(const sample_context *c, const ref_tensor *x, int what, ref_tensor *y)
{
    const unsigned mask = ref_axes(c->args->axes[0], x->shape.rank);
    const rg_shape kept = ref_reduced(x->shape, mask, true);
    const size_t n = ref_slice_count(x->shape, mask);
    ref_new(y, x->shape, false);
    for (size_t o = 0; o < ref_count(kept); o++)
        for (size_t i = 0; i < n; i++) {
            const size_t at_i = ref_slice_index(x->shape, kept, mask, o, i);
            const double v = x->at[at_i];
            double *out = &y->at[at_i];
            *out = 1;
            for (size_t j = 0; j < n; j++) {
                const double w = x->at[ref_slice_index(x->shape, kept, mask, o, j)];
                if (i != j && what == 0)
                    *out *= w;
                else if (i != j && (what * w > what * v || (w == v && j < i)))
                    *out = 0;
            }
        }
}

static void to_elements(const sample_context *c, const ref_tensor x[], int what, ref_tensor *y)
{
    const rg_shape kept = ref_reduced(x[1].shape, ref_axes(c->args->axes[0], x[1].shape.rank), true);
    others(c, &x[1], what, y);
    for (size_t i = 0; i < ref_count(x[1].shape); i++)
        y->at[i] *= x[0].at[ref_index(x[1].shape, i, kept)];
}

static void to_slices(const sample_context *c, const ref_tensor x[], int what, ref_tensor *y)
{
    const unsigned mask = ref_axes(c->args->axes[0], x[1].shape.rank);
    const rg_shape kept = ref_reduced(x[1].shape, mask, true);
    ref_tensor each;
    others(c, &x[1], what, &each);
    ref_new(y, ref_reduced(x[1].shape, mask, c->args->flag), true);
    for (size_t i = 0; i < ref_count(x[1].shape); i++) {
        const size_t o = ref_index(x[1].shape, i, kept);
        y->at[o] += x[0].at[i] * each.at[i];
        y->scale[o] += fabs(x[0].at[i] * each.at[i]);
    }
    ref_free(&each);
}

static void ref_prod_grad(const sample_context *c, const ref_tensor x[], ref_tensor *y)
{
    to_elements(c, x, 0, y);
}
static void ref_prod_tangent(const sample_context *c, const ref_tensor x[], ref_tensor *y)
{
    to_slices(c, x, 0, y);
}
static void ref_extremum_put(const sample_context *c, const ref_tensor x[], ref_tensor *y)
{
    to_elements(c, x, 1, y);
}
static void ref_extremum_take(const sample_context *c, const ref_tensor x[], ref_tensor *y)
{
    to_slices(c, x, -1, y);
}

#define AXIS(a) .args = {.i = {a}}
static const sample_case rows[] = {
    {.shape = {"3,5", "3,5"}, AXIS(-1)},    {.shape = {"B,17", "B,17"}, AXIS(1)}, {.shape = {"B,T", "B,T"}, AXIS(0)},
    {.shape = {"2,3,4", "2,3,4"}, AXIS(1)}, {.shape = {"7", "7"}, AXIS(0)},
};
#define OVER(keep, ...) .args = {.axes = {SAMPLE_AXES(__VA_ARGS__)}, .flag = keep}
#define OVER_ALL .args = {.axes = {SAMPLE_ALL}}
static const sample_case to_all[] = {
    {.shape = {"3", "3,4"}, OVER(false, 1)},
    {.shape = {"1,4", "3,4"}, OVER(true, 0)},
    {.shape = {"", "5"}, OVER_ALL},
    {.shape = {"B", "B,5"}, OVER(false, -1)},
    {.shape = {"3", "2,3,2"}, OVER(false, 0, 2)},
    {.shape = {"B", "B,2,2"}, OVER(false, 1, 2)},
};
static const sample_case from_all[] = {
    {.shape = {"3,4", "3,4"}, OVER(false, 1)},
    {.shape = {"3,4", "3,4"}, OVER(true, 0)},
    {.shape = {"5", "5"}, OVER_ALL},
    {.shape = {"B,5", "B,5"}, OVER(false, -1)},
    {.shape = {"2,3,2", "2,3,2"}, OVER(false, 0, 2)},
};
#define RANGE(axis, start, stop, step) .args = {.i = {axis, start, stop, step}}
static const sample_case ranges[] = {
    {.shape = {"2,3", "5,3"}, RANGE(0, 1, 3, 1)},      {.shape = {"B,3", "B,6"}, RANGE(1, 0, RG_END, 2)},
    {.shape = {"3", "5"}, RANGE(0, -1, -6, -2)},       {.shape = {"B,2", "B,5"}, RANGE(-1, -3, -1, 1)},
    {.shape = {"B,T", "B,T"}, RANGE(0, 0, RG_END, 1)},
};
#define PART(axis, k) .args = {.i = {axis, k}}
static const sample_case parts[] = {
    {.shape = {"5,2", "2,2", "3,2"}, PART(0, 1)},
    {.shape = {"B,9", "B,4", "B,2", "B,3"}, PART(1, 1)},
    {.shape = {"6", "1", "2", "3"}, PART(-1, 0)},
    {.shape = {"B,7", "B,3", "B,4"}, PART(-1, 0)},
};

#define DIRECT(op, list) .name = #op, .binary = rgi_##op, SAMPLE_CASES(list)
#define BUILT(op, list) .name = #op, .build = op, .reference = ref_##op, SAMPLE_CASES(list)
#define SLOPE(low, high) .domain = {{.lo = -2, .hi = 2}, {.lo = low, .hi = high}}
#define KINK(...)                   \
    .domain = {{.lo = -2, .hi = 2}, \
               {.lo = -2, .hi = 2, .kinks = sizeof((double[]){__VA_ARGS__}) / sizeof(double), .kink = {__VA_ARGS__}}}

const sample_row samples_gradients[] = {
    {DIRECT(squared_difference, two), .ref2 = square_of_difference, .ulps32 = 2, .ulps64 = 2,
     .flags = SAMPLE_ELEMENTWISE},
    {DIRECT(relu_grad, two), .ref2 = relu_slope, KINK(0)},
    {DIRECT(sigmoid_grad, two), .ref2 = sigmoid_slope, .ulps32 = 3, .ulps64 = 3, SLOPE(0.05, 0.9)},
    /* 1 - y^2 is 0.19 at 0.9 */
    {DIRECT(tanh_grad, two), .ref2 = tanh_slope, .ulps32 = 6, .ulps64 = 6, SLOPE(-0.9, 0.9)},
    /* the slope is a sum that vanishes near -0.75 (gelu) and -1.28 (silu) */
    {DIRECT(gelu_grad, two), .ref2 = gelu_slope, .ulps32 = 12, .ulps64 = 12, SLOPE(-0.6, 3)},
    {DIRECT(gelu_tanh_grad, two), .ref2 = gelu_tanh_slope, .ulps32 = 16, .ulps64 = 16, SLOPE(-0.6, 3)},
    {DIRECT(silu_grad, two), .ref2 = silu_slope, .ulps32 = 12, .ulps64 = 12, SLOPE(-1, 3)},
    {.name = "maximum_grad",
     .ternary = rgi_maximum_grad,
     SAMPLE_CASES(three),
     .ref_each = maximum_slope,
     .domain = {{.lo = -2, .hi = 2}, {.kind = SAMPLE_LADDER}, {.kind = SAMPLE_LADDER}}},
    {.name = "leaky_relu_grad",
     .build = leaky_relu_grad,
     SAMPLE_CASES(bounds),
     .ref_each = leaky_slope,
     .ulps32 = 0.5,
     KINK(0)},
    {.name = "clamp_grad", .build = clamp_grad, SAMPLE_CASES(bounds), .ref_each = clamp_slope, KINK(-1, 0.5, 1)},
    {BUILT(softmax_grad, rows), .ulps32 = 4, .ulps64 = 4},
    {BUILT(log_softmax_grad, rows), .ulps32 = 4, .ulps64 = 4},
    {BUILT(prod_grad, to_all), .ulps32 = 8, .ulps64 = 8},
    {BUILT(prod_tangent, from_all), .ulps32 = 8, .ulps64 = 8},
    {BUILT(extremum_put, to_all), .domain = {{.lo = -2, .hi = 2}, {.kind = SAMPLE_LADDER}}},
    {BUILT(extremum_take, from_all), .domain = {{.lo = -2, .hi = 2}, {.kind = SAMPLE_LADDER}}},
    {BUILT(slice_grad, ranges)},
    {BUILT(concat_part, parts)},
    {.name = NULL},
};
