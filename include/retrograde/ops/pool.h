/* pool.h - maxima and means over windows.

   The windows lie in the last one, two or three axes of x; all axes before them, such as [batch, channels], count
   separate planes, and there may be any number of them. Along each windowed axis of size n
       output = floor((n + 2 pad - dilation (window - 1) - 1) / stride) + 1,
   or with ceil_mode the same rounded up, without windows that would start in the right padding. f32 and f64. The
   semantics are those of PyTorch's MaxPool and AvgPool. Derivatives can be taken any number of times.

   Errors: a window, stride or dilation below 1, a padding below 0 or of more than half the window, a mean with
   dilation (RG_ERR_ARGUMENT); a window that spans more than the padded input, too few axes (RG_ERR_SHAPE); a dtype that
   is not taken (RG_ERR_DTYPE). Then the result is NULL and the graph's error is set. A graph is used by one thread at a
   time. The options are copied; a window is required. */
#ifndef RETROGRADE_OPS_POOL_H
#define RETROGRADE_OPS_POOL_H

#include <retrograde/base.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Elements along each axis. 0 stands for: stride = window, dilation = 1. Padding is on both sides. `exclude_pad` is for
   means: the padding does not count in the divisor (by default it does; what ceil_mode adds beyond it never does). */
typedef struct rg_pool1d_opts {
    int64_t window[1], stride[1], pad[1], dilation[1];
    bool ceil_mode, exclude_pad;
} rg_pool1d_opts;

typedef struct rg_pool_opts {
    int64_t window[2], stride[2], pad[2], dilation[2];
    bool ceil_mode, exclude_pad;
} rg_pool_opts;

typedef struct rg_pool3d_opts {
    int64_t window[3], stride[3], pad[3], dilation[3];
    bool ceil_mode, exclude_pad;
} rg_pool3d_opts;

/* The maximum of each window, NaN if any element is; the padding never wins, and a window that sees none but padding
   gives -infinity. dx: each cotangent goes to the first maximum of its window in row-major order, summed where windows
   overlap. */
RG_API rg_node *rg_max_pool1d(rg_node *x, const rg_pool1d_opts *opts);
RG_API rg_node *rg_max_pool2d(rg_node *x, const rg_pool_opts *opts);
RG_API rg_node *rg_max_pool3d(rg_node *x, const rg_pool3d_opts *opts);

/* The mean of each window, the padding being zeros. dx: each cotangent, divided by its count, goes to all of its
   window. */
RG_API rg_node *rg_avg_pool1d(rg_node *x, const rg_pool1d_opts *opts);
RG_API rg_node *rg_avg_pool2d(rg_node *x, const rg_pool_opts *opts);
RG_API rg_node *rg_avg_pool3d(rg_node *x, const rg_pool3d_opts *opts);

/* Pooling to so many outputs along the last one, two or three axes, whatever their size: of n inputs, output k of m
   sees those from floor(k n / m) on up to ceil((k + 1) n / m), as PyTorch's AdaptiveAvgPool and AdaptiveMaxPool. -1: as
   many outputs as inputs. dx as of a mean or maximum over each window, the first maximum in row-major order has it all.
   Errors: other numbers below 1, an empty axis, too few axes, an axis of a named size to anything but 1 or -1
   (RG_ERR_SHAPE). */
RG_API rg_node *rg_adaptive_avg_pool1d(rg_node *x, int64_t out);
RG_API rg_node *rg_adaptive_avg_pool2d(rg_node *x, int64_t height, int64_t width);
RG_API rg_node *rg_adaptive_avg_pool3d(rg_node *x, int64_t depth, int64_t height, int64_t width);
RG_API rg_node *rg_adaptive_max_pool1d(rg_node *x, int64_t out);
RG_API rg_node *rg_adaptive_max_pool2d(rg_node *x, int64_t height, int64_t width);
RG_API rg_node *rg_adaptive_max_pool3d(rg_node *x, int64_t depth, int64_t height, int64_t width);
/* x [N, C, ...] -> [N, C, 1, ...]: the mean, or the maximum, of each channel of each image, over axes of any size, as
   ONNX's GlobalAveragePool and GlobalMaxPool. dx as of rg_mean and rg_max. */
RG_API rg_node *rg_global_avg_pool(rg_node *x);
RG_API rg_node *rg_global_max_pool(rg_node *x);

#ifdef __cplusplus
}
#endif

#endif
