/* samples_conv.c - samples of convolution and its two gradients: strides, padding, dilation, groups, one to three
   axes. */
#include "reference_ops.h"

#define AX(...) SAMPLE_AXES(__VA_ARGS__)
#define HOW(...) .args = {.axes = {__VA_ARGS__}} /* stride, padding, dilation, more padding behind */

/* The input, the kernel. */
static const sample_case convolutions[] = {
    {.shape = {"2,3,6,5", "4,3,3,3"}, HOW(AX(1, 1))},
    {.shape = {"B,3,8,8", "4,3,3,3"}, HOW(AX(1, 1), AX(1, 1), AX(1, 1))},
    {.shape = {"B,2,7,9", "3,2,3,2"}, HOW(AX(2, 3), AX(1, 0), AX(1, 2))},
    {.shape = {"B,4,5,5", "6,2,3,3"}, HOW(AX(1, 1), AX(1, 1), AX(1, 1))},
    {.shape = {"2,3,6,6", "3,1,3,3"}, HOW(AX(2, 2), AX(1, 1), AX(1, 1), AX(1, 0))},
    {.shape = {"B,5,4,4", "7,5,1,1"}, HOW(AX(1, 1))},
    {.shape = {"B,5,5,4", "7,5,1,1"}, HOW(AX(2, 2))},
    {.shape = {"B,3,T", "2,3,3"}, HOW(AX(1), AX(1), AX(1))},
    {.shape = {"2,3,11", "2,3,4"}, HOW(AX(3), AX(2), AX(2))},
    {.shape = {"B,2,T", "3,2,3"}, HOW(AX(1), AX(4), AX(2), AX(-4))}, /* causal */
    {.shape = {"B,2,4,5,4", "3,2,2,3,2"}, HOW(AX(1, 2, 1), AX(0, 1, 1), AX(2, 1, 1))},
    {.shape = {"1,2,4,4,4", "2,1,2,2,2"}, HOW(AX(2, 2, 2), AX(1, 0, 1), AX(1, 1, 1))},
    {.shape = {"1,1,1,1", "1,1,1,1"}, HOW(AX(1, 1))},
    {.shape = {"0,3,4,4", "2,3,2,2"}, HOW(AX(1, 1))},
};
/* Outputs' cotangents, the kernel, the input that gives the shape. */
static const sample_case data_grads[] = {
    {.shape = {"2,4,4,3", "4,3,3,3", "2,3,6,5"}, HOW(AX(1, 1))},
    {.shape = {"B,4,8,8", "4,3,3,3", "B,3,8,8"}, HOW(AX(1, 1), AX(1, 1), AX(1, 1))},
    {.shape = {"B,3,4,3", "3,2,3,2", "B,2,7,9"}, HOW(AX(2, 3), AX(1, 0), AX(1, 2))},
    {.shape = {"2,3,4,3", "3,1,3,3", "2,3,6,6"}, HOW(AX(2, 2), AX(1, 1), AX(1, 1), AX(1, 0))},
    {.shape = {"B,7,3,2", "7,5,1,1", "B,5,5,4"}, HOW(AX(2, 2))},
    {.shape = {"B,7,4,4", "7,5,1,1", "B,5,4,4"}, HOW(AX(1, 1))},
    {.shape = {"B,2,T", "2,3,3", "B,3,T"}, HOW(AX(1), AX(1), AX(1))},
    {.shape = {"2,2,3", "2,3,4", "2,3,11"}, HOW(AX(3), AX(2), AX(2))},
    {.shape = {"1,2,3,2,3", "2,1,2,2,2", "1,2,4,4,4"}, HOW(AX(2, 2, 2), AX(1, 0, 1), AX(1, 1, 1))},
    {.shape = {"0,2,3,3", "2,3,2,2", "0,3,4,4"}, HOW(AX(1, 1))},
};
/* The input, outputs' cotangents, the kernel that gives the shape. */
static const sample_case weight_grads[] = {
    {.shape = {"2,3,6,5", "2,4,4,3", "4,3,3,3"}, HOW(AX(1, 1))},
    {.shape = {"B,3,8,8", "B,4,8,8", "4,3,3,3"}, HOW(AX(1, 1), AX(1, 1), AX(1, 1))},
    {.shape = {"B,2,7,9", "B,3,4,3", "3,2,3,2"}, HOW(AX(2, 3), AX(1, 0), AX(1, 2))},
    {.shape = {"2,3,6,6", "2,3,4,3", "3,1,3,3"}, HOW(AX(2, 2), AX(1, 1), AX(1, 1), AX(1, 0))},
    {.shape = {"B,7,4,4", "B,5,4,4", "5,7,1,1"}, HOW(AX(1, 1))},
    {.shape = {"B,3,T", "B,2,T", "2,3,3"}, HOW(AX(1), AX(1), AX(1))},
    {.shape = {"1,2,4,4,4", "1,2,3,2,3", "2,1,2,2,2"}, HOW(AX(2, 2, 2), AX(1, 0, 1), AX(1, 1, 1))},
    {.shape = {"0,3,4,4", "0,2,3,3", "2,3,2,2"}, HOW(AX(1, 1))},
};

static int64_t number(rg_axes list, int i)
{
    return list.n ? list.axis[i] : 0;
}

/* Groups follow from the channels. */
static rg_node *convolved(const sample_context *c, rg_node *x, rg_node *w)
{
    const rg_axes *a = c->args->axes;
    const int64_t channels = rg_shape_of(x).dim[1], groups = channels / rg_shape_of(w).dim[1];
    int64_t p[4][3] = {{0}};
    for (int k = 0; k < 4; k++)
        for (int i = 0; i < a[0].n; i++)
            p[k][i] = number(a[k], i);
    if (a[0].n == 1)
        return rg_conv1d(x, w, NULL,
                         &(rg_conv1d_opts){.stride = {p[0][0]},
                                           .pad = {p[1][0]},
                                           .dilation = {p[2][0]},
                                           .pad_extra = {p[3][0]},
                                           .groups = groups});
    if (a[0].n == 2)
        return rg_conv2d(x, w, NULL,
                         &(rg_conv_opts){.stride = {p[0][0], p[0][1]},
                                         .pad = {p[1][0], p[1][1]},
                                         .dilation = {p[2][0], p[2][1]},
                                         .pad_extra = {p[3][0], p[3][1]},
                                         .groups = groups});
    return rg_conv3d(x, w, NULL,
                     &(rg_conv3d_opts){.stride = {p[0][0], p[0][1], p[0][2]},
                                       .pad = {p[1][0], p[1][1], p[1][2]},
                                       .dilation = {p[2][0], p[2][1], p[2][2]},
                                       .pad_extra = {p[3][0], p[3][1], p[3][2]},
                                       .groups = groups});
}

static rg_node *conv(const sample_context *c, rg_node *const x[])
{
    return convolved(c, x[0], x[1]);
}
static rg_node *conv_data_grad(const sample_context *c, rg_node *const x[])
{
    return rg_at(rg_vjp(RG_NODES(convolved(c, x[2], x[1])), RG_NODES(x[0]), RG_NODES(x[2])), 0);
}
static rg_node *conv_weight_grad(const sample_context *c, rg_node *const x[])
{
    return rg_at(rg_vjp(RG_NODES(convolved(c, x[0], x[2])), RG_NODES(x[1]), RG_NODES(x[2])), 0);
}

#define BUILT(op, list) .name = #op, .build = op, .reference = ref_##op, SAMPLE_CASES(list)

/* sums of at most some hundred terms, error of their magnitudes' sum */
const sample_row samples_conv[] = {
    {BUILT(conv, convolutions), .ulps32 = 8, .ulps64 = 8},
    {BUILT(conv_data_grad, data_grads), .domain = {{0}, {0}, {.constant = true}}, .ulps32 = 8, .ulps64 = 8},
    {BUILT(conv_weight_grad, weight_grads), .domain = {{0}, {0}, {.constant = true}}, .ulps32 = 8, .ulps64 = 8},
    {.name = NULL},
};
