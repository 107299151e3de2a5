/* unfold.c - windows of images as columns, and the sum of such columns back into images: each the other's transpose.

       unfold(x)        [N, C, H, W] -> [N, C kh kw, L]: row (c, i, j), column l holds the input that tap (i, j) of
       window l
                        sees in channel c, 0 in the padding       dx = fold(u, x)
       fold(u, like)    the sum of all columns where they were taken from, shaped as `like`      du =
       unfold(ct) */
#include "rules.h"
#include "table_ops.h"

#include <retrograde/ops/conv.h>

#include <string.h>

typedef struct unfold_attr {
    int64_t kernel[2], stride[2], pad[2], dilation[2];
} unfold_attr;

/* ---- shape rules ---- */

static int64_t outputs(const unfold_attr *a, int axis, int64_t in)
{
    return (in + 2 * a->pad[axis] - a->dilation[axis] * (a->kernel[axis] - 1) - 1) / a->stride[axis] + 1;
}

static rg_status infer_columns(const rg_infer *call, const rg_shape *x, rg_shape *y)
{
    const unfold_attr *a = call->attr;
    if (x->rank != 4)
        return rg_infer_fail(call, RG_ERR_SHAPE, "the image needs 4 axes, [batch, channels, height, width], it has %d",
                             x->rank);
    int64_t windows = 1;
    for (int axis = 0; axis < 2; axis++) {
        const int64_t in = x->dim[2 + axis], span = a->dilation[axis] * (a->kernel[axis] - 1) + 1;
        const int64_t padded = in + 2 * a->pad[axis];
        if (in < 1 || span > padded)
            return rg_infer_fail(call, RG_ERR_SHAPE,
                                 "axis %d: a window of %lld with dilation %lld spans %lld, the image with its padding "
                                 "%lld + 2 * %lld = %lld",
                                 2 + axis, (long long)a->kernel[axis], (long long)a->dilation[axis], (long long)span,
                                 (long long)in, (long long)a->pad[axis], (long long)padded);
        if (__builtin_mul_overflow(windows, outputs(a, axis, in), &windows))
            return rg_infer_fail(call, RG_ERR_SHAPE, "too many windows");
    }
    *y = (rg_shape){.rank = 3, .dim = {x->dim[0], 0, windows}};
    if (__builtin_mul_overflow(x->dim[1], a->kernel[0] * a->kernel[1], &y->dim[1]))
        return rg_infer_fail(call, RG_ERR_SHAPE, "too many taps");
    return RG_OK;
}

static rg_status infer_unfold(rg_infer *call)
{
    call->out[0].dtype = call->in[0].dtype;
    return infer_columns(call, &call->in[0].shape, &call->out[0].shape);
}

static rg_status infer_fold(rg_infer *call)
{
    rg_shape columns = {.rank = 0};
    const rg_status status = infer_columns(call, &call->in[1].shape, &columns);
    if (status)
        return status;
    if (call->in[0].dtype != call->in[1].dtype || !rg_shape_equal(call->in[0].shape, columns))
        return rg_infer_fail(call, RG_ERR_SHAPE,
                             "the columns must be those of the image, [%lld, %lld, %lld], of the same type",
                             (long long)columns.dim[0], (long long)columns.dim[1], (long long)columns.dim[2]);
    call->out[0] = call->in[1];
    return RG_OK;
}

/* ---- derivatives and batching ---- */

static void vjp_unfold(rg_node *self, rg_node *const ct[], rg_node *grad[])
{
    grad[0] = rg_apply(&rgi_op_fold, RG_NODES(ct[0], rg_arg(self, 0)), rg_attr(self));
}

static void vjp_fold(rg_node *self, rg_node *const ct[], rg_node *grad[])
{
    if (rg_wants(self, 0))
        grad[0] = rg_apply(&rgi_op_unfold, RG_NODES(ct[0]), rg_attr(self));
}

/* The mapped axis goes into that of the images. */
static void batch(rg_node *self, rg_node *const in[], const bool batched[], rg_node *out[])
{
    rg_node *full[2];
    const size_t n = rg_arg_count(self);
    rgi_batch_all(in, batched, n, full);
    rg_node *like = full[0];
    for (size_t i = 0; i < n; i++)
        full[i] = rgi_flatten(full[i], 0, 1);
    out[0] = rgi_unflatten(rg_apply(rg_op_of(self), (rg_nodes){full, n}, rg_attr(self)), 0, like, 0, 2);
}

/* ---- running: tasks are planes, one channel of one image each ---- */

/* Along each of two axes; sizes in elements. */
typedef struct geometry {
    size_t in[2], out[2], window[2], stride[2], pad[2], dilation[2];
    size_t planes, image, columns; /* elements of a plane either way */
} geometry;

static void lay_out(const rg_step *s, void *out)
{
    const unfold_attr *a = s->attr;
    const rg_shape *x = &s->in_type[s->n_in - 1].shape;
    geometry g = {.planes = rgi_count_range(x, 0, 2)};
    for (int i = 0; i < 2; i++) {
        g.in[i] = (size_t)x->dim[2 + i];
        g.out[i] = (size_t)outputs(a, i, x->dim[2 + i]);
        g.window[i] = (size_t)a->kernel[i];
        g.stride[i] = (size_t)a->stride[i];
        g.pad[i] = (size_t)a->pad[i];
        g.dilation[i] = (size_t)a->dilation[i];
    }
    g.image = g.in[0] * g.in[1];
    g.columns = g.out[0] * g.out[1] * g.window[0] * g.window[1];
    *(geometry *)out = g;
}

static void cost(const rg_step *s, rg_cost *cost)
{
    const geometry *g = s->geometry;
    cost->tasks[0] = g->planes;
    cost->flops = (double)g->planes * (double)g->columns;
    cost->bytes = rgi_bytes(s);
}

/* The outputs [lo, hi) along an axis whose tap `k` falls inside, and the input under output lo. */
typedef struct reach {
    size_t lo, hi, from;
} reach;

static reach reach_of(const geometry *g, int axis, size_t k)
{
    const size_t at = k * g->dilation[axis], stride = g->stride[axis], pad = g->pad[axis], end = g->in[axis] + pad;
    reach r = {.lo = at < pad ? (pad - at + stride - 1) / stride : 0, .hi = at < end ? (end - at - 1) / stride + 1 : 0};
    r.hi = r.hi < g->out[axis] ? r.hi : g->out[axis];
    r.from = r.lo * stride + at - pad;
    return r;
}

/* n elements of the columns and those of the image behind them, `stride` apart. */
typedef void move_fn(size_t n, size_t stride, void *image, void *columns);

static void take_f32(size_t n, size_t stride, void *image, void *columns)
{
    const float *restrict from = image;
    float *restrict to = columns;
    for (size_t i = 0; i < n; i++)
        to[i] = from[i * stride];
}

static void take_f64(size_t n, size_t stride, void *image, void *columns)
{
    const double *restrict from = image;
    double *restrict to = columns;
    for (size_t i = 0; i < n; i++)
        to[i] = from[i * stride];
}

static void add_f32(size_t n, size_t stride, void *image, void *columns)
{
    float *restrict to = image;
    const float *restrict from = columns;
    for (size_t i = 0; i < n; i++)
        to[i * stride] += from[i];
}

static void add_f64(size_t n, size_t stride, void *image, void *columns)
{
    double *restrict to = image;
    const double *restrict from = columns;
    for (size_t i = 0; i < n; i++)
        to[i * stride] += from[i];
}

/* Tap by tap in row-major order, which is also the order of the sums. */
static void walk(const geometry *g, size_t size, char *image, char *columns, move_fn *move)
{
    for (size_t kh = 0; kh < g->window[0]; kh++)
        for (size_t kw = 0; kw < g->window[1]; kw++, columns += g->out[0] * g->out[1] * size) {
            const reach h = reach_of(g, 0, kh), w = reach_of(g, 1, kw);
            for (size_t o = h.lo; o < h.hi && w.lo < w.hi; o++) {
                char *in = image + ((h.from + (o - h.lo) * g->stride[0]) * g->in[1] + w.from) * size;
                move(w.hi - w.lo, g->stride[1], in, columns + (o * g->out[1] + w.lo) * size);
            }
        }
}

static rg_status run_unfold(const rg_step *s, size_t lo, size_t hi)
{
    const geometry *g = s->geometry;
    const size_t size = rg_dtype_size(s->out_type[0].dtype);
    char *image = (char *)(uintptr_t)s->in[0], *columns = s->out[0]; /* one walk for both directions; this one reads */
    if (lo >= hi)
        return RG_OK;
    memset(columns + lo * g->columns * size, 0, (hi - lo) * g->columns * size);
    for (size_t k = lo; k < hi; k++)
        walk(g, size, image + k * g->image * size, columns + k * g->columns * size, size == 4 ? take_f32 : take_f64);
    return RG_OK;
}

static rg_status run_fold(const rg_step *s, size_t lo, size_t hi)
{
    const geometry *g = s->geometry;
    const size_t size = rg_dtype_size(s->out_type[0].dtype);
    char *image = s->out[0], *columns = (char *)(uintptr_t)s->in[0];
    if (lo >= hi)
        return RG_OK;
    memset(image + lo * g->image * size, 0, (hi - lo) * g->image * size);
    for (size_t k = lo; k < hi; k++)
        walk(g, size, image + k * g->image * size, columns + k * g->columns * size, size == 4 ? add_f32 : add_f64);
    return RG_OK;
}

/* ---- descriptors ---- */

static const rg_attr_field fields[] = {
    {"kernel0", offsetof(unfold_attr, kernel[0]), RG_ATTR_I64},
    {"kernel1", offsetof(unfold_attr, kernel[1]), RG_ATTR_I64},
    {"stride0", offsetof(unfold_attr, stride[0]), RG_ATTR_I64},
    {"stride1", offsetof(unfold_attr, stride[1]), RG_ATTR_I64},
    {"pad0", offsetof(unfold_attr, pad[0]), RG_ATTR_I64},
    {"pad1", offsetof(unfold_attr, pad[1]), RG_ATTR_I64},
    {"dilation0", offsetof(unfold_attr, dilation[0]), RG_ATTR_I64},
    {"dilation1", offsetof(unfold_attr, dilation[1]), RG_ATTR_I64},
    {0},
};

#define WINDOWS                                                                                            \
    .n_out = 1, .dtypes = RG_DT_FLOATS, .attr_size = sizeof(unfold_attr), .attrs = fields, .batch = batch, \
    .jvp = rgi_jvp_linear, .geometry_size = sizeof(geometry), .geometry = lay_out, .cost = cost

const rg_op rgi_op_unfold = {WINDOWS,           .name = "unfold", .n_in = 1, .traits = RG_MOVES, .infer = infer_unfold,
                             .vjp = vjp_unfold, .run = run_unfold};

const rg_op rgi_op_fold = {WINDOWS,           .name = "fold",        .n_in = 2,
                           .traits = RG_SUMS, .shape_only = 1u << 1, .infer = infer_fold,
                           .vjp = vjp_fold,   .run = run_fold};

/* ---- builders ---- */

static bool resolve(const char *who, rg_node *x, const rg_unfold_opts *opts, unfold_attr *a)
{
    const rg_unfold_opts o = opts ? *opts : (rg_unfold_opts){.kernel = {0}};
    char text[2 * RGI_LABEL];
    int64_t taps = 1;
    for (int i = 0; x && i < 2; i++) {
        const int64_t stride = o.stride[i] ? o.stride[i] : 1, dilation = o.dilation[i] ? o.dilation[i] : 1;
        const char *wrong = o.kernel[i] < 1 || o.kernel[i] > INT32_MAX / taps ? "kernel"
                            : stride < 1 || stride > INT32_MAX                ? "stride"
                            : dilation < 1 || dilation > INT32_MAX            ? "dilation"
                            : o.pad[i] < 0 || o.pad[i] > INT32_MAX            ? "padding"
                                                                              : NULL;
        if (wrong) {
            rg_build_fail(x->graph, RG_ERR_ARGUMENT,
                          "%s: axis %d of the window: the %s must be at least %d, and all of it below 2^31; inputs: %s",
                          who, i, wrong, *wrong != 'p', rgi_format_operand(x, text, sizeof text));
            return false;
        }
        taps *= o.kernel[i];
        a->kernel[i] = o.kernel[i];
        a->stride[i] = stride;
        a->dilation[i] = dilation;
        a->pad[i] = o.pad[i];
    }
    return true;
}

rg_node *rg_unfold(rg_node *x, const rg_unfold_opts *opts)
{
    unfold_attr a = {.kernel = {0}};
    return resolve("rg_unfold", x, opts, &a) ? rg_apply(&rgi_op_unfold, RG_NODES(x), &a) : NULL;
}

rg_node *rg_fold(rg_node *columns, int64_t height, int64_t width, const rg_unfold_opts *opts)
{
    unfold_attr a = {.kernel = {0}};
    char text[2 * RGI_LABEL];
    if (!columns)
        return rg_apply(&rgi_op_unfold, RG_NODES(columns), &a);
    if (!resolve("rg_fold", columns, opts, &a))
        return NULL;
    const rg_shape *u = &columns->shape->a;
    const int64_t taps = a.kernel[0] * a.kernel[1];
    if (u->rank != 3 || u->dim[1] % taps)
        return rg_build_fail(columns->graph, RG_ERR_SHAPE,
                             "rg_fold: the columns must be [batch, channels * %lld, windows]; inputs: %s",
                             (long long)taps, rgi_format_operand(columns, text, sizeof text));
    rg_node *like = rg_zeros(columns->graph, columns->dtype, RG_SHAPE(u->dim[0], u->dim[1] / taps, height, width));
    return rg_apply(&rgi_op_fold, RG_NODES(columns, like), &a);
}
