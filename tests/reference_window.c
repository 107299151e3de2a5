/* reference_window.c - windows as columns and pooling to a given number of outputs, element by element. */
#include "reference_ops.h"

/* ---- columns: args.axes are kernel, stride, padding, dilation, two numbers each ---- */

static int64_t number(rg_axes list, int i, int64_t otherwise)
{
    return list.n ? list.axis[i] : otherwise;
}

/* How many windows start along an axis before they would stand out. */
static int64_t windows(const sample_context *c, int axis, int64_t in)
{
    const rg_axes *a = c->args->axes;
    const int64_t pad = number(a[2], axis, 0), reach = (a[0].axis[axis] - 1) * number(a[3], axis, 1);
    int64_t n = 0;
    for (int64_t at = -pad; at + reach < in + pad; at += number(a[1], axis, 1))
        n++;
    return n;
}

/* Where tap k of window l stands along an axis. */
static int64_t place(const sample_context *c, int axis, int64_t l, int64_t k)
{
    const rg_axes *a = c->args->axes;
    return l * number(a[1], axis, 1) + k * number(a[3], axis, 1) - number(a[2], axis, 0);
}

/* Calls of `columns` [N, C kh kw, L] for the image `of`: the element of the image behind each, or -1 in the padding. */
static int64_t behind(const sample_context *c, const rg_shape *image, size_t i)
{
    const rg_axes kernel = c->args->axes[0];
    const int64_t across = windows(c, 1, image->dim[3]), all = windows(c, 0, image->dim[2]) * across;
    const int64_t taps = (int64_t)kernel.axis[0] * kernel.axis[1], l = (int64_t)i % all, row = (int64_t)i / all;
    const int64_t tap = row % taps, plane = row / taps;
    const int64_t h = place(c, 0, l / across, tap / kernel.axis[1]), w = place(c, 1, l % across, tap % kernel.axis[1]);
    if (h < 0 || w < 0 || h >= image->dim[2] || w >= image->dim[3])
        return -1;
    return (plane * image->dim[2] + h) * image->dim[3] + w;
}

static rg_shape columns_of(const sample_context *c, const rg_shape *image)
{
    const rg_axes kernel = c->args->axes[0];
    return (rg_shape){.rank = 3,
                      .dim = {image->dim[0], image->dim[1] * kernel.axis[0] * kernel.axis[1],
                              windows(c, 0, image->dim[2]) * windows(c, 1, image->dim[3])}};
}

void ref_unfold(const sample_context *c, const ref_tensor x[], ref_tensor *y)
{
    ref_new(y, columns_of(c, &x[0].shape), false);
    for (size_t i = 0; i < ref_count(y->shape); i++) {
        const int64_t at = behind(c, &x[0].shape, i);
        y->at[i] = at < 0 ? 0 : x[0].at[at];
    }
}

/* x[0] the columns, x[1] the image that gives the shape */
void ref_fold(const sample_context *c, const ref_tensor x[], ref_tensor *y)
{
    ref_new(y, x[1].shape, true);
    for (size_t i = 0; i < ref_count(x[0].shape); i++) {
        const int64_t at = behind(c, &x[1].shape, i);
        if (at >= 0) {
            y->at[at] += x[0].at[i];
            y->scale[at] += fabs(x[0].at[i]);
        }
    }
}

/* ---- adaptive: args.axes[0] are the numbers of outputs along the last axes ---- */

static rg_shape pooled(const sample_context *c, rg_shape x)
{
    const rg_axes out = c->args->axes[0];
    for (int i = 0; i < out.n; i++)
        if (out.axis[i] != -1)
            x.dim[x.rank - out.n + i] = out.axis[i];
    return x;
}

/* The window of element `out` of y: of each axis of x the places [lo, hi). How many elements it has. */
static int64_t window_of(const sample_context *c, const rg_shape *x, const rg_shape *y, size_t out, int64_t lo[],
                         int64_t hi[])
{
    int64_t to[RG_MAX_RANK], count = 1;
    ref_coordinates(*y, out, to);
    for (int k = 0; k < x->rank; k++) {
        const bool windowed = k >= x->rank - c->args->axes[0].n;
        const int64_t n = x->dim[k], m = y->dim[k];
        lo[k] = windowed ? to[k] * n / m : to[k];
        for (hi[k] = lo[k] + 1; windowed && hi[k] * m < (to[k] + 1) * n;)
            hi[k]++;
        count *= hi[k] - lo[k];
    }
    return count;
}

/* The i-th element of a window. */
static double element(const ref_tensor *x, const int64_t lo[], const int64_t hi[], int64_t i)
{
    int64_t at[RG_MAX_RANK];
    for (int k = x->shape.rank - 1; k >= 0; k--) {
        at[k] = lo[k] + i % (hi[k] - lo[k]);
        i /= hi[k] - lo[k];
    }
    return x->at[ref_offset(x->shape, at)];
}

void ref_adaptive_avg_pool(const sample_context *c, const ref_tensor x[], ref_tensor *y)
{
    int64_t lo[RG_MAX_RANK], hi[RG_MAX_RANK];
    ref_new(y, pooled(c, x[0].shape), true);
    for (size_t o = 0; o < ref_count(y->shape); o++) {
        const int64_t n = window_of(c, &x[0].shape, &y->shape, o, lo, hi);
        for (int64_t i = 0; i < n; i++) {
            y->at[o] += element(&x[0], lo, hi, i) / (double)n;
            y->scale[o] += fabs(element(&x[0], lo, hi, i)) / (double)n;
        }
    }
}

void ref_adaptive_max_pool(const sample_context *c, const ref_tensor x[], ref_tensor *y)
{
    int64_t lo[RG_MAX_RANK], hi[RG_MAX_RANK];
    ref_new(y, pooled(c, x[0].shape), false);
    for (size_t o = 0; o < ref_count(y->shape); o++) {
        const int64_t n = window_of(c, &x[0].shape, &y->shape, o, lo, hi);
        y->at[o] = -INFINITY;
        for (int64_t i = 0; i < n; i++)
            y->at[o] = fmax(y->at[o], element(&x[0], lo, hi, i));
    }
}
