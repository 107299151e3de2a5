/* pool.c - maxima and means over windows of planes, and their gradients, one output row at a time.

   Along each axis output o sees the inputs o * stride + k * dilation - pad of taps k = 0 .. window - 1 that lie inside.
   A row of outputs is updated tap by tap in row-major order, which is also the order of the sums. */
#include "list.h"
#include "pool_three.h"

/* ---- the walk over the taps of a row ---- */

/* The outputs [lo, hi) along x whose tap falls inside. */
typedef struct reach {
    size_t lo, hi;
} reach;

static reach reach_of(const rgk_pool *p, size_t tap)
{
    const size_t at = tap * p->dilation[2], stride = p->stride[2], end = p->in[2] + p->pad[2];
    reach r = {at < p->pad[2] ? (p->pad[2] - at + stride - 1) / stride : 0, at < end ? (end - at - 1) / stride + 1 : 0};
    if (r.hi > p->out[2])
        r.hi = p->out[2];
    return r;
}

/* Whether output o's tap of an axis falls inside; then *at is the input. */
static bool inside(const rgk_pool *p, int axis, size_t o, size_t tap, size_t *at)
{
    const size_t padded = o * p->stride[axis] + tap * p->dilation[axis];
    *at = padded - p->pad[axis];
    return padded >= p->pad[axis] && *at < p->in[axis];
}

/* What a tap does to n outputs of a row from column `to` on: the inputs are at `from`, `from` + stride ... of a
   plane. */
typedef void tap_fn(size_t n, size_t stride, size_t from, size_t to, lane_int tap, const void *x, void *y, void *taps);

RGK_INLINE void each_tap(const rgk_pool *p, size_t row, tap_fn *f, const void *x, void *y, void *taps)
{
    const size_t depth = row / p->out[1], height = row % p->out[1];
    for (size_t kd = 0; kd < p->window[0]; kd++)
        for (size_t kh = 0; kh < p->window[1]; kh++) {
            size_t d, h;
            if (!inside(p, 0, depth, kd, &d) || !inside(p, 1, height, kh, &h))
                continue;
            for (size_t kw = 0; kw < p->window[2]; kw++) {
                const reach r = reach_of(p, kw);
                if (r.lo >= r.hi)
                    continue;
                const size_t stride = p->stride[2], n = r.hi - r.lo;
                const size_t from = (d * p->in[1] + h) * p->in[2] + (r.lo * stride + kw * p->dilation[2] - p->pad[2]);
                const lane_int tap = (lane_int)((kd * p->window[1] + kh) * p->window[2] + kw);
                if (stride == 1)
                    f(n, 1, from, r.lo, tap, x, y, taps);
                else if (stride == 2)
                    f(n, 2, from, r.lo, tap, x, y, taps);
                else
                    f(n, stride, from, r.lo, tap, x, y, taps);
            }
        }
}

static size_t rows_of(const rgk_pool *p)
{
    return p->out[0] * p->out[1];
}

static size_t plane_of(const rgk_pool *p)
{
    return p->in[0] * p->in[1] * p->in[2];
}

/* The origin of the row's first window in its plane, outside it where there is padding. */
static ptrdiff_t origin_of(const rgk_pool *p, size_t row)
{
    const ptrdiff_t d = (ptrdiff_t)(row / p->out[1] * p->stride[0]) - (ptrdiff_t)p->pad[0];
    const ptrdiff_t h = (ptrdiff_t)(row % p->out[1] * p->stride[1]) - (ptrdiff_t)p->pad[1];
    return (d * (ptrdiff_t)p->in[1] + h) * (ptrdiff_t)p->in[2] - (ptrdiff_t)p->pad[2];
}

/* ---- maxima ---- */

/* n elements, n >= 1, the first RGK_LANES of them if there are more, `stride` apart. */
RGK_INLINE vreal load_apart(const real *x, size_t stride, size_t n)
{
    if (stride == 1)
        return load_some(x, n);
    if (stride == 2) {
        const size_t all = 2 * least(n, RGK_LANES) - 1;
        const vreal a = load_some(x, all), b = all > RGK_LANES ? load_some(x + RGK_LANES, all - RGK_LANES) : v_set(0);
        return (vreal)__builtin_shufflevector((lanes)a, (lanes)b, EVENS);
    }
    vreal v = v_set(0);
    for (size_t i = 0; i < least(n, RGK_LANES); i++)
        v[i] = x[i * stride];
    return v;
}

RGK_INLINE void greater(size_t n, size_t stride, size_t from, size_t to, lane_int tap, const void *x, void *y,
                        void *taps)
{
    const real *in = (const real *)x + from;
    real *out = (real *)y + to;
    (void)tap, (void)taps;
    for (size_t j = 0; j < n; j += RGK_LANES)
        store_some(out + j, n - j, v_maximum(load_apart(in + j * stride, stride, n - j), load_some(out + j, n - j)));
}

/* The same, remembering the tap of the first maximum or first NaN. */
RGK_INLINE void first_greater(size_t n, size_t stride, size_t from, size_t to, lane_int tap, const void *x, void *y,
                              void *taps)
{
    const real *in = (const real *)x + from;
    real *out = (real *)y + to, *first = (real *)taps + to; /* lane_ints, moved as they are */
    for (size_t j = 0; j < n; j += RGK_LANES) {
        const vreal v = load_apart(in + j * stride, stride, n - j), best = load_some(out + j, n - j);
        const vint known = v_bits(load_some(first + j, n - j));
        const vint better =
            v_mask_int(v_or(v_gt(v, best), v_and(v_is_nan(v), v_not(v_is_nan(best))))) | (vint)(known < 0);
        store_some(out + j, n - j, v_from_bits((v_bits(v) & better) | (v_bits(best) & ~better)));
        store_some(first + j, n - j, v_from_bits((v_set_int(tap) & better) | (known & ~better)));
    }
}

/* Windows of one column by steps of one, as where channels lie in blocks, of as many elements as a row: each lane has
   its own. */
static bool by_lanes(const rgk_pool *p)
{
    return p->window[2] == 1 && p->stride[2] == 1 && !p->pad[2];
}

/* In which order planes under such a window are gone over, and whether the last or the first of equals counts: that
   decides between zeros of both signs. */
typedef struct lane_order {
    bool columns, last;
} lane_order;

static lane_order order_of_lanes(const rgk_pool *p)
{
    const rgk_pool plane = {.in = {1, p->in[0], p->in[1]},
                            .out = {1, p->out[0], p->out[1]},
                            .window = {1, p->window[0], p->window[1]},
                            .stride = {1, p->stride[0], p->stride[1]},
                            .pad = {0, p->pad[0], p->pad[1]},
                            .dilation = {1, p->dilation[0], p->dilation[1]}};
    return (lane_order){three_by_two(&plane), two_by_two(&plane)};
}

/* The taps [*lo, *hi) of an axis that fall inside for output o. */
static void taps_inside(const rgk_pool *p, int axis, size_t o, size_t *lo, size_t *hi)
{
    size_t at;
    for (*lo = 0; *lo < p->window[axis] && !inside(p, axis, o, *lo, &at);)
        ++*lo;
    for (*hi = *lo; *hi < p->window[axis] && inside(p, axis, o, *hi, &at);)
        ++*hi;
}

RGK_INLINE vreal lane_maximum(const rgk_pool *p, const real *x, size_t n, size_t height, size_t width, lane_order order)
{
    const size_t down = p->dilation[0] * p->in[1] * p->in[2], right = p->dilation[1] * p->in[2];
    const size_t outer = order.columns ? width : height, inner = order.columns ? height : width;
    const size_t outer_step = order.columns ? right : down, inner_step = order.columns ? down : right;
    vreal all = v_set((real)-INFINITY);
    for (size_t i = 0; i < outer; i++) {
        vreal of = order.columns ? v_set((real)-INFINITY) : all;
        for (size_t j = 0; j < inner; j++) {
            const vreal v = load_some(x + i * outer_step + j * inner_step, n);
            of = order.last ? v_maximum(of, v) : v_maximum(v, of);
        }
        all = order.columns ? v_maximum(of, all) : of;
    }
    return all;
}

static void lane_maxima(const rgk_pool *p, const real *x, real *y)
{
    const lane_order order = order_of_lanes(p);
    for (size_t i = 0; i < p->out[0]; i++)
        for (size_t j = 0; j < p->out[1]; j++, y += p->out[2]) {
            size_t top, bottom, left, right;
            taps_inside(p, 0, i, &top, &bottom);
            taps_inside(p, 1, j, &left, &right);
            const ptrdiff_t h = (ptrdiff_t)(i * p->stride[0] + top * p->dilation[0]) - (ptrdiff_t)p->pad[0],
                            w = (ptrdiff_t)(j * p->stride[1] + left * p->dilation[1]) - (ptrdiff_t)p->pad[1];
            const real *from = x + (h * (ptrdiff_t)p->in[1] + w) * (ptrdiff_t)p->in[2];
            for (size_t k = 0; k < p->out[2]; k += RGK_LANES) {
                const size_t n = p->out[2] - k;
                store_some(y + k, n, lane_maximum(p, from + k, n, bottom - top, right - left, order));
            }
        }
}

void RGK_NAME(max_pool)(const rgk_pool *p, size_t planes, const void *x, void *y)
{
    const real *in = x;
    real *out = y;
    const bool two = two_by_two(p), three = three_by_two(p);
    if (by_lanes(p)) {
        for (size_t i = 0; i < planes; i++, in += plane_of(p), out += rows_of(p) * p->out[2])
            lane_maxima(p, in, out);
        return;
    }
    for (size_t i = 0; i < planes; i++, in += plane_of(p))
        for (size_t row = 0; row < rows_of(p); row++, out += p->out[2]) {
            if (two) {
                two_maxima(p, in + origin_of(p, row), out);
                continue;
            }
            if (three) {
                three_maxima(p, row % p->out[1], in + row / p->out[1] * p->in[1] * p->in[2], out);
                continue;
            }
            for (size_t j = 0; j < p->out[2]; j++)
                out[j] = (real)-INFINITY;
            each_tap(p, row, greater, in, out, NULL);
        }
}

size_t RGK_NAME(max_pool_scratch)(const rgk_pool *p)
{
    return p->window[0] * p->window[1] * p->window[2] * sizeof(ptrdiff_t) +
           p->out[2] * (sizeof(real) + sizeof(lane_int));
}

/* Where things lie in the scratch: the distance of each tap from the window's origin, and a row's maxima. */
typedef struct maxima {
    ptrdiff_t *distance;
    real *best;
    lane_int *taps;
} maxima;

static maxima maxima_in(const rgk_pool *p, void *scratch)
{
    const size_t *w = p->window, *d = p->dilation;
    const size_t volume = w[0] * w[1] * w[2];
    const maxima m = {scratch, (real *)((ptrdiff_t *)scratch + volume),
                      (lane_int *)((ptrdiff_t *)scratch + volume) + p->out[2]};
    for (size_t i = 0; i < volume; i++) {
        const size_t kd = i / (w[1] * w[2]), kh = i / w[2] % w[1], kw = i % w[2];
        m.distance[i] = (ptrdiff_t)((kd * d[0] * p->in[1] + kh * d[1]) * p->in[2] + kw * d[2]);
    }
    return m;
}

static void find_row(const rgk_pool *p, size_t row, const real *x, const maxima *m)
{
    for (size_t j = 0; j < p->out[2]; j++) {
        m->best[j] = (real)-INFINITY;
        m->taps[j] = -1;
    }
    each_tap(p, row, first_greater, x, m->best, m->taps);
}

void RGK_NAME(max_pool_take)(const rgk_pool *p, size_t planes, const void *t, const void *x, void *y, void *scratch)
{
    const maxima m = maxima_in(p, scratch);
    const real *in = x, *from = t;
    real *out = y;
    for (size_t i = 0; i < planes; i++, in += plane_of(p), from += plane_of(p))
        for (size_t row = 0; row < rows_of(p); row++, out += p->out[2]) {
            const ptrdiff_t origin = origin_of(p, row);
            find_row(p, row, in, &m);
            for (size_t j = 0; j < p->out[2]; j++)
                out[j] = m.taps[j] < 0 ? 0 : from[origin + (ptrdiff_t)(j * p->stride[2]) + m.distance[m.taps[j]]];
        }
}

void RGK_NAME(max_pool_put)(const rgk_pool *p, size_t planes, const void *u, const void *x, void *dx, void *scratch)
{
    const maxima m = maxima_in(p, scratch);
    const real *in = x, *from = u;
    real *to = dx;
    const bool two = two_by_two(p);
    if (three_by_two(p)) {
        for (size_t i = 0; i < planes * p->in[0]; i++, from += p->out[1] * p->out[2])
            three_put(p, in + i * p->in[1] * p->in[2], from, to + i * p->in[1] * p->in[2]);
        return;
    }
    for (size_t i = 0; i < planes; i++, in += plane_of(p), to += plane_of(p)) {
        if (!two)
            memset(to, 0, plane_of(p) * sizeof(real));
        for (size_t d = 0; two && d < p->in[0]; d++)
            two_clear(p, to + d * p->in[1] * p->in[2]);
        for (size_t row = 0; row < rows_of(p); row++, from += p->out[2]) {
            const ptrdiff_t origin = origin_of(p, row);
            if (two) {
                two_put(p, in + origin, from, to + origin);
                continue;
            }
            find_row(p, row, in, &m);
            for (size_t j = 0; j < p->out[2]; j++)
                if (m.taps[j] >= 0)
                    to[origin + (ptrdiff_t)(j * p->stride[2]) + m.distance[m.taps[j]]] += from[j];
        }
    }
}

/* ---- means ---- */

RGK_INLINE void add(size_t n, size_t stride, size_t from, size_t to, lane_int tap, const void *x, void *y, void *taps)
{
    const real *restrict in = (const real *)x + from;
    real *restrict out = (real *)y + to;
    (void)tap, (void)taps;
    for (size_t j = 0; j < n; j++)
        out[j] += in[j * stride];
}

/* The transpose of add: x is the row of outputs, y the plane. */
RGK_INLINE void spread(size_t n, size_t stride, size_t from, size_t to, lane_int tap, const void *x, void *y,
                       void *taps)
{
    const real *restrict in = (const real *)x + to;
    real *restrict out = (real *)y + from;
    (void)tap, (void)taps;
    for (size_t j = 0; j < n; j++)
        out[j * stride] += in[j];
}

/* How many taps of output o count along an axis: those inside the input, or inside its padding too. */
static size_t counted(const rgk_pool *p, int axis, size_t o)
{
    const size_t start = o * p->stride[axis], stop = start + p->window[axis];
    const size_t first = p->include_pad ? 0 : p->pad[axis];
    const size_t last = p->in[axis] + p->pad[axis] + (p->include_pad ? p->pad[axis] : 0);
    return (stop < last ? stop : last) - (start > first ? start : first);
}

/* y[j] = x[j] / the count of output j of a row. */
static void divide_row(const rgk_pool *p, size_t row, const real *x, real *y)
{
    const real rows = (real)(counted(p, 0, row / p->out[1]) * counted(p, 1, row % p->out[1]));
    for (size_t j = 0; j < p->out[2]; j++)
        y[j] = x[j] / (rows * (real)counted(p, 2, j));
}

void RGK_NAME(avg_pool)(const rgk_pool *p, size_t planes, const void *x, void *y)
{
    const real *in = x;
    real *out = y;
    for (size_t i = 0; i < planes; i++, in += plane_of(p))
        for (size_t row = 0; row < rows_of(p); row++, out += p->out[2]) {
            memset(out, 0, p->out[2] * sizeof(real));
            each_tap(p, row, add, in, out, NULL);
            divide_row(p, row, out, out);
        }
}

void RGK_NAME(avg_pool_grad)(const rgk_pool *p, size_t planes, const void *u, void *dx, void *scratch)
{
    const real *from = u;
    real *to = dx;
    for (size_t i = 0; i < planes; i++, to += plane_of(p)) {
        memset(to, 0, plane_of(p) * sizeof(real));
        for (size_t row = 0; row < rows_of(p); row++, from += p->out[2]) {
            divide_row(p, row, from, scratch);
            each_tap(p, row, spread, scratch, to, NULL);
        }
    }
}
