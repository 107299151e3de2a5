/* samples_window.c - samples of windows as columns, and of pooling to a given number of outputs. */
#include "reference_ops.h"

#define AX(...) SAMPLE_AXES(__VA_ARGS__)
#define HOW(...) .args = {.axes = {__VA_ARGS__}}

/* kernel, stride, padding, dilation */
static const sample_case images[] = {
    {.shape = {"2,3,5,4"}, HOW(AX(2, 3), AX(1, 1))},
    {.shape = {"B,2,7,9"}, HOW(AX(3, 3), AX(2, 2), AX(1, 1))},
    {.shape = {"B,2,6,7"}, HOW(AX(3, 2), AX(1, 3), AX(0, 2), AX(2, 1))},
    {.shape = {"B,1,T,5"}, HOW(AX(2, 2), AX(1, 2), AX(1, 0))},
    {.shape = {"1,2,4,40"}, HOW(AX(1, 1), AX(1, 1))},
    {.shape = {"1,1,1,1"}, HOW(AX(3, 3), AX(1, 1), AX(1, 1))},
    {.shape = {"0,3,4,4"}, HOW(AX(2, 2), AX(1, 1))},
};
/* columns, and the image that gives the shape */
static const sample_case columns[] = {
    {.shape = {"2,18,8", "2,3,5,4"}, HOW(AX(2, 3), AX(1, 1))},
    {.shape = {"B,18,20", "B,2,7,9"}, HOW(AX(3, 3), AX(2, 2), AX(1, 1))},
    {.shape = {"B,12,8", "B,2,6,7"}, HOW(AX(3, 2), AX(1, 3), AX(0, 2), AX(2, 1))},
    {.shape = {"1,9,1", "1,1,1,1"}, HOW(AX(3, 3), AX(1, 1), AX(1, 1))},
    {.shape = {"0,12,9", "0,3,4,4"}, HOW(AX(2, 2), AX(1, 1))},
};

/* the numbers of outputs; windows of one size, of several, overlapping, more outputs than inputs, a named size to
   one */
static const sample_case adaptive[] = {
    {.shape = {"2,3,6,4"}, HOW(AX(3, 2))},      {.shape = {"B,2,7,9"}, HOW(AX(3, 4))},
    {.shape = {"B,2,5,3"}, HOW(AX(1, 1))},      {.shape = {"B,3,7"}, HOW(AX(5))},
    {.shape = {"B,2,T,6"}, HOW(AX(1, 4))},      {.shape = {"2,3,4"}, HOW(AX(6))},
    {.shape = {"B,2,5,5"}, HOW(AX(-1, 2))},     {.shape = {"B,T"}, HOW(AX(1))},
    {.shape = {"2,2,4,5,6"}, HOW(AX(2, 3, 3))}, {.shape = {"B,4,4,6"}, HOW(AX(2, 4, 3))},
    {.shape = {"0,2,5,4"}, HOW(AX(3, 2))},
};
static const sample_case global[] = {
    {.shape = {"2,3,4,5"}, HOW(AX(1, 1))},
    {.shape = {"B,2,T"}, HOW(AX(1))},
    {.shape = {"B,2,3,2,4"}, HOW(AX(1, 1, 1))},
};

static rg_unfold_opts options(const sample_context *c)
{
    const rg_axes *a = c->args->axes;
    rg_unfold_opts o = {.kernel = {a[0].axis[0], a[0].axis[1]}};
    for (int i = 0; i < 2; i++) { /* lists that are not there are zeros, the defaults */
        o.stride[i] = a[1].axis[i];
        o.pad[i] = a[2].axis[i];
        o.dilation[i] = a[3].axis[i];
    }
    return o;
}
static rg_node *unfold(const sample_context *c, rg_node *const x[])
{
    const rg_unfold_opts o = options(c);
    return rg_unfold(x[0], &o);
}
static rg_node *fold(const sample_context *c, rg_node *const x[])
{
    const rg_unfold_opts o = options(c);
    const rg_shape image = rg_shape_of(x[1]);
    return rg_fold(x[0], image.dim[2], image.dim[3], &o);
}
static rg_node *adaptive_avg_pool(const sample_context *c, rg_node *const x[])
{
    const rg_axes out = c->args->axes[0];
    return out.n == 1   ? rg_adaptive_avg_pool1d(x[0], out.axis[0])
           : out.n == 2 ? rg_adaptive_avg_pool2d(x[0], out.axis[0], out.axis[1])
                        : rg_adaptive_avg_pool3d(x[0], out.axis[0], out.axis[1], out.axis[2]);
}
static rg_node *adaptive_max_pool(const sample_context *c, rg_node *const x[])
{
    const rg_axes out = c->args->axes[0];
    return out.n == 1   ? rg_adaptive_max_pool1d(x[0], out.axis[0])
           : out.n == 2 ? rg_adaptive_max_pool2d(x[0], out.axis[0], out.axis[1])
                        : rg_adaptive_max_pool3d(x[0], out.axis[0], out.axis[1], out.axis[2]);
}

#define BUILT(op, list) .name = #op, .build = op, .reference = ref_##op, SAMPLE_CASES(list)
#define MAXIMA .domain = {{.kind = SAMPLE_LADDER, .lo = -2, .hi = 2}}

/* moves are exact; sums of at most 64 terms; maxima are distinct, so that differences do not cross */
const sample_row samples_window[] = {
    {BUILT(unfold, images)},
    {BUILT(fold, columns), .domain = {{0}, {.constant = true}}, .ulps32 = 4, .ulps64 = 4},
    {BUILT(adaptive_avg_pool, adaptive), .ulps32 = 8, .ulps64 = 8},
    {BUILT(adaptive_max_pool, adaptive), MAXIMA},
    {.name = "global_avg_pool",
     .unary = rg_global_avg_pool,
     .reference = ref_adaptive_avg_pool,
     SAMPLE_CASES(global),
     .ulps32 = 8,
     .ulps64 = 8},
    {.name = "global_max_pool",
     .unary = rg_global_max_pool,
     .reference = ref_adaptive_max_pool,
     SAMPLE_CASES(global),
     MAXIMA},
    {.name = NULL},
};
