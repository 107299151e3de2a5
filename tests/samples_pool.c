/* samples_pool.c - samples of pooling: windows, strides, padding, dilation, rounding, for one to three axes. */
#include "reference_ops.h"

#define AX(...) SAMPLE_AXES(__VA_ARGS__)
#define NO    \
    {         \
        0,    \
        {     \
            0 \
        }     \
    }
#define WINDOW(...) .args = {.axes = {__VA_ARGS__}}
#define CEIL(...) .args = {.axes = {__VA_ARGS__}, .flag = true}
#define EXCLUDE(...) .args = {.axes = {__VA_ARGS__}, .flag2 = true}
#define EXCLUDE_CEIL(...) .args = {.axes = {__VA_ARGS__}, .flag = true, .flag2 = true}

static const sample_case maxima[] = {
    {.shape = {"2,3,6,4"}, WINDOW(AX(2, 2))},
    {.shape = {"B,2,7,9"}, WINDOW(AX(3, 3), AX(2, 2), AX(1, 1))},
    {.shape = {"B,2,6,40"}, WINDOW(AX(2, 2))},
    {.shape = {"B,2,7,42"}, WINDOW(AX(3, 3), AX(2, 2))},
    {.shape = {"B,T"}, WINDOW(AX(3), AX(1), AX(1))},
    {.shape = {"3,5"}, WINDOW(AX(5))},
    {.shape = {"7"}, WINDOW(AX(2), AX(3))},
    {.shape = {"5,8"}, WINDOW(AX(3, 2), AX(1, 2), AX(1, 0), AX(2, 3))},
    {.shape = {"3"}, WINDOW(AX(2), AX(1), AX(1), AX(3))}, /* the middle window sees nothing between its taps */
    {.shape = {"2,6,7"}, CEIL(AX(2, 3), AX(3, 3), AX(1, 1))},
    {.shape = {"2,8,36"}, CEIL(AX(3, 3), AX(2, 2), AX(1, 1))},
    {.shape = {"B,8,5"}, CEIL(AX(3, 2), AX(2, 2))},
    {.shape = {"B,4,5,6"}, WINDOW(AX(2, 3, 2), AX(1, 2, 2), AX(1, 1, 0))},
    {.shape = {"3,4,36"}, WINDOW(AX(3, 3, 1), AX(2, 2, 1), AX(1, 1, 0))}, /* each lane by itself */
    {.shape = {"B,5,4,3"}, WINDOW(AX(2, 2, 1), AX(1, 2, 1), NO, AX(2, 1, 1))},
    {.shape = {"2,2,3,4,5"}, CEIL(AX(2, 2, 2), AX(2, 2, 3), NO, AX(1, 2, 1))},
    {.shape = {"1,1,1,1"}, WINDOW(AX(1, 1))},
    {.shape = {"0,3,4,4"}, WINDOW(AX(2, 2))},
};
static const sample_case means[] = {
    {.shape = {"2,3,6,4"}, WINDOW(AX(2, 2))},
    {.shape = {"B,2,7,9"}, WINDOW(AX(3, 3), AX(2, 2), AX(1, 1))},
    {.shape = {"B,2,7,40"}, EXCLUDE(AX(3, 3), AX(2, 2), AX(1, 1))},
    {.shape = {"B,T"}, EXCLUDE(AX(3), AX(1), AX(1))},
    {.shape = {"3,5"}, WINDOW(AX(5))},
    {.shape = {"7"}, WINDOW(AX(2), AX(3))},
    {.shape = {"2,6,7"}, CEIL(AX(2, 3), AX(3, 3), AX(1, 1))},
    {.shape = {"2,6,8"}, EXCLUDE_CEIL(AX(4, 3), AX(3, 3), AX(2, 1))},
    {.shape = {"B,4,5,6"}, WINDOW(AX(2, 3, 2), AX(1, 2, 2), AX(1, 1, 0))},
    {.shape = {"2,3,4,5"}, EXCLUDE_CEIL(AX(2, 2, 2), AX(2, 2, 3), AX(1, 0, 1))},
    {.shape = {"1,1,1,1"}, WINDOW(AX(1, 1))},
    {.shape = {"0,3,4,4"}, WINDOW(AX(2, 2))},
};
/* the smaller tensor, the larger one */
static const sample_case put[] = {
    {.shape = {"2,3,3,2", "2,3,6,4"}, WINDOW(AX(2, 2))},
    {.shape = {"B,2,4,5", "B,2,7,9"}, WINDOW(AX(3, 3), AX(2, 2), AX(1, 1))},
    {.shape = {"B,T", "B,T"}, WINDOW(AX(3), AX(1), AX(1))},
    {.shape = {"2,3,3", "2,6,7"}, CEIL(AX(2, 3), AX(3, 3), AX(1, 1))},
    {.shape = {"B,2,3,20", "B,2,7,42"}, WINDOW(AX(3, 3), AX(2, 2))},
    {.shape = {"B,5,3,3", "B,4,5,6"}, WINDOW(AX(2, 3, 2), AX(1, 2, 2), AX(1, 1, 0))},
    {.shape = {"0,3,2,2", "0,3,4,4"}, WINDOW(AX(2, 2))},
};
static const sample_case take[] = {
    {.shape = {"2,3,6,4", "2,3,6,4"}, WINDOW(AX(2, 2))},
    {.shape = {"B,2,7,9", "B,2,7,9"}, WINDOW(AX(3, 3), AX(2, 2), AX(1, 1))},
    {.shape = {"B,T", "B,T"}, WINDOW(AX(3), AX(1), AX(1))},
    {.shape = {"5,8", "5,8"}, WINDOW(AX(3, 2), AX(1, 2), AX(1, 0), AX(2, 3))},
    {.shape = {"B,4,5,6", "B,4,5,6"}, WINDOW(AX(2, 3, 2), AX(1, 2, 2), AX(1, 1, 0))},
    {.shape = {"0,3,4,4", "0,3,4,4"}, WINDOW(AX(2, 2))},
};

static int64_t number(rg_axes list, int i)
{
    return list.n ? list.axis[i] : 0;
}
static rg_node *pooled(const sample_context *c, rg_node *x, bool mean)
{
    const rg_axes *a = c->args->axes;
    const bool ceil = c->args->flag, exclude = c->args->flag2;
    int64_t p[4][3] = {{0}};
    for (int k = 0; k < 4; k++)
        for (int i = 0; i < a[0].n; i++)
            p[k][i] = number(a[k], i);
    if (a[0].n == 1) {
        const rg_pool1d_opts o = {{p[0][0]}, {p[1][0]}, {p[2][0]}, {p[3][0]}, ceil, exclude};
        return mean ? rg_avg_pool1d(x, &o) : rg_max_pool1d(x, &o);
    }
    if (a[0].n == 2) {
        const rg_pool_opts o = {
            {p[0][0], p[0][1]}, {p[1][0], p[1][1]}, {p[2][0], p[2][1]}, {p[3][0], p[3][1]}, ceil, exclude};
        return mean ? rg_avg_pool2d(x, &o) : rg_max_pool2d(x, &o);
    }
    const rg_pool3d_opts o = {{p[0][0], p[0][1], p[0][2]},
                              {p[1][0], p[1][1], p[1][2]},
                              {p[2][0], p[2][1], p[2][2]},
                              {p[3][0], p[3][1], p[3][2]},
                              ceil,
                              exclude};
    return mean ? rg_avg_pool3d(x, &o) : rg_max_pool3d(x, &o);
}
static rg_node *max_pool(const sample_context *c, rg_node *const x[])
{
    return pooled(c, x[0], false);
}
static rg_node *avg_pool(const sample_context *c, rg_node *const x[])
{
    return pooled(c, x[0], true);
}
static rg_node *max_pool_put(const sample_context *c, rg_node *const x[])
{
    return rg_at(rg_vjp(RG_NODES(pooled(c, x[1], false)), RG_NODES(x[0]), RG_NODES(x[1])), 0);
}
static rg_node *max_pool_take(const sample_context *c, rg_node *const x[])
{
    return rg_at(rg_jvp(RG_NODES(pooled(c, x[1], false)), RG_NODES(x[1]), RG_NODES(x[0])), 0);
}
static rg_node *avg_pool_grad(const sample_context *c, rg_node *const x[])
{
    return rg_at(rg_vjp(RG_NODES(pooled(c, x[1], true)), RG_NODES(x[0]), RG_NODES(x[1])), 0);
}

#define BUILT(op, list) .name = #op, .build = op, .reference = ref_##op, SAMPLE_CASES(list)
#define CHOOSER .domain = {{.lo = -2, .hi = 2}, {.kind = SAMPLE_LADDER, .lo = -2, .hi = 2}}

/* maxima are exact, and distinct so that differences do not cross from one to another; sums of at most 45 terms */
const sample_row samples_pool[] = {
    {BUILT(max_pool, maxima), .domain = {{.kind = SAMPLE_LADDER, .lo = -2, .hi = 2}}},
    {BUILT(max_pool_take, take), CHOOSER},
    {BUILT(max_pool_put, put), CHOOSER, .ulps32 = 4, .ulps64 = 4},
    {BUILT(avg_pool, means), .ulps32 = 6, .ulps64 = 6},
    {BUILT(avg_pool_grad, put), .ulps32 = 6, .ulps64 = 6},
    {.name = NULL},
};
