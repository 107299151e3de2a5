/* conv.h - convolution.

   x [N, C, in..] with kernels w [O, C / groups, size..] over the last one, two or three axes; f32 and f64. As in
   PyTorch and all of deep learning it is a cross-correlation,
       y[n, o, p..] = bias[o] + sum over c, k.. of x[n, c, (p stride + k dilation - pad)..] w[o, c, k..],
   x being zero outside. Along each axis
       outputs = floor((in + 2 pad + pad_extra - dilation (size - 1) - 1) / stride) + 1.
   With groups, outputs are cut into as many parts as channels are, and each part of outputs sees its part of channels.
   The order of a sum depends on sizes alone. Derivatives can be taken any number of times:
       dx = the transposed convolution of the cotangent u with w,  dw[o, c, k..] = sum over n, p.. of u x,  dbias = sum
       of u.

   Errors (NULL, and the graph's error set): a stride or dilation below 1, a negative padding, any of them from 2^31 on,
   `same` with a stride or a padding, a transposed convolution whose padding leaves nothing (RG_ERR_ARGUMENT); wrong
   ranks, channels that do not fit the kernel, groups that do not divide, a kernel that spans more than the padded
   input, 2^31 elements or more in a kernel or one input of a batch (RG_ERR_SHAPE); inputs of different dtypes
   (RG_ERR_DTYPE). A graph is used by one thread at a time. Options are copied; NULL: all defaults. */
#ifndef RETROGRADE_OPS_CONV_H
#define RETROGRADE_OPS_CONV_H

#include <retrograde/base.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Elements along each axis. 0 stands for: the kernel as w has it, stride 1, dilation 1, one group. Padding is on both
   sides; pad_extra is added behind the end alone; a negative one takes from there: with pad = dilation (size - 1) and
   pad_extra = -pad a convolution is causal. No padding is what others call `valid`. `same`: as many outputs as inputs,
   with stride 1; of an odd padding the larger part is behind the end. `no_bias` is for layers (rg_nn_conv2d). */
typedef struct rg_conv1d_opts {
    int64_t kernel[1], stride[1], pad[1], dilation[1], groups;
    bool no_bias, same;
    int64_t pad_extra[1];
} rg_conv1d_opts;

typedef struct rg_conv_opts {
    int64_t kernel[2], stride[2], pad[2], dilation[2], groups;
    bool no_bias, same;
    int64_t pad_extra[2];
} rg_conv_opts;

typedef struct rg_conv3d_opts {
    int64_t kernel[3], stride[3], pad[3], dilation[3], groups;
    bool no_bias, same;
    int64_t pad_extra[3];
} rg_conv3d_opts;

/* `bias` [O] may be NULL. */
RG_API rg_node *rg_conv1d(rg_node *x, rg_node *w, rg_node *bias, const rg_conv1d_opts *opts);
RG_API rg_node *rg_conv2d(rg_node *x, rg_node *w, rg_node *bias, const rg_conv_opts *opts);
RG_API rg_node *rg_conv3d(rg_node *x, rg_node *w, rg_node *bias, const rg_conv3d_opts *opts);

/* The transposed convolution, also called deconvolution: x [N, C, in..], w [C, O / groups, size..] -> [N, O, out..],
   what the gradient of a convolution with these options does to a cotangent x. Along each axis
       out = (in - 1) stride - 2 pad + dilation (size - 1) + 1 + pad_extra,
   where pad_extra (PyTorch's output_padding), below the stride or the dilation, tells apart the sizes that a stride
   makes equal. */
RG_API rg_node *rg_conv_transpose1d(rg_node *x, rg_node *w, rg_node *bias, const rg_conv1d_opts *opts);
RG_API rg_node *rg_conv_transpose2d(rg_node *x, rg_node *w, rg_node *bias, const rg_conv_opts *opts);
RG_API rg_node *rg_conv_transpose3d(rg_node *x, rg_node *w, rg_node *bias, const rg_conv3d_opts *opts);

/* ---- windows as columns ---- */

/* 0 stands for stride 1 and dilation 1; the kernel is required, padding is on both sides. */
typedef struct rg_unfold_opts {
    int64_t kernel[2], stride[2], pad[2], dilation[2];
} rg_unfold_opts;

/* x [N, C, H, W] -> [N, C kh kw, L], a column for each of the L windows in row-major order: row (c kh + i) kw + j holds
   what the window sees in channel c at (i, j), 0 in the padding. A convolution is the product of its kernel, as [O, C
   kh kw], with it. PyTorch's nn.Unfold. dx = fold of the cotangent. */
RG_API rg_node *rg_unfold(rg_node *x, const rg_unfold_opts *opts);
/* columns [N, C kh kw, L] -> [N, C, height, width]: the transpose of unfold, the sum of all that fell on an element.
   PyTorch's nn.Fold. dcolumns = unfold of the cotangent. Errors: columns that are not those of such an image. height
   and width may be named sizes. */
RG_API rg_node *rg_fold(rg_node *columns, int64_t height, int64_t width, const rg_unfold_opts *opts);

#ifdef __cplusplus
}
#endif

#endif
