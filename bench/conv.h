/* conv.h - the rows of cases_conv.c: a convolution of square images in f32 or one of its two gradients. */
#ifndef BENCH_CONV_H
#define BENCH_CONV_H

#include "bench.h"

typedef enum conv_pass { FORWARD, BACKWARD_DATA, BACKWARD_WEIGHTS } conv_pass;

typedef struct conv_row {
    const char *name;
    int batch, channels, size, outputs, kernel, stride, pad, groups;
    conv_pass pass;
} conv_row;

static inline int conv_size(const conv_row *r) /* of an output, along each axis */
{
    return (r->size + 2 * r->pad - r->kernel) / r->stride + 1;
}

#ifdef __cplusplus
extern "C" {
#endif
/* Layouts as oneDNN likes them best, by pixels, and as ours: channels, then rows. */
bench_start conv_onednn_any, conv_onednn_pixels, conv_onednn_planes;
#ifdef __cplusplus
}
#endif

#endif
