/* reference_pool.c - pooling by its definition: every output looks at every element of its plane. */
#include "reference_ops.h"

#include <stdlib.h>

/* The case's window seen along three axes. */
typedef struct window {
    int rank;
    int64_t in[3], out[3], size[3], stride[3], pad[3], dilation[3];
    bool include_pad;
    rg_shape x, y;
} window;

static int64_t number(rg_axes list, int i, int64_t otherwise)
{
    return list.n ? list.axis[i] : otherwise;
}

static window window_of(const sample_context *c, rg_shape x)
{
    const rg_axes *a = c->args->axes;
    window w = {.rank = a[0].n, .include_pad = !c->args->flag2, .x = x, .y = x};
    for (int k = 0; k < 3; k++) {
        const int i = k - 3 + w.rank, at = x.rank - 3 + k;
        w.in[k] = w.out[k] = w.size[k] = w.stride[k] = w.dilation[k] = 1;
        if (i < 0)
            continue;
        w.in[k] = x.dim[at];
        w.size[k] = a[0].axis[i];
        w.stride[k] = number(a[1], i, w.size[k]);
        w.pad[k] = number(a[2], i, 0);
        w.dilation[k] = number(a[3], i, 1);
        /* as many as start where a whole window fits, or in ceil mode as many as reach its first new element */
        const int64_t span = (w.size[k] - 1) * w.dilation[k] + 1;
        int64_t start = -w.pad[k];
        for (w.out[k] = 0; start + span <= w.in[k] + w.pad[k]; start += w.stride[k])
            w.out[k]++;
        if (c->args->flag && start - w.stride[k] + span < w.in[k] + w.pad[k] && start < w.in[k])
            w.out[k]++;
        w.y.dim[at] = w.out[k];
    }
    return w;
}

static void split(const int64_t size[3], size_t i, int64_t at[3])
{
    for (int k = 2; k >= 0; k--) {
        at[k] = (int64_t)i % size[k];
        i /= (size_t)size[k];
    }
}

static bool sees(const window *w, size_t o, size_t i)
{
    int64_t out[3], in[3];
    split(w->out, o, out);
    split(w->in, i, in);
    for (int k = 0; k < 3; k++) {
        const int64_t from = in[k] + w->pad[k] - out[k] * w->stride[k];
        if (from < 0 || from % w->dilation[k] || from / w->dilation[k] >= w->size[k])
            return false;
    }
    return true;
}

static size_t plane(const int64_t size[3])
{
    return (size_t)(size[0] * size[1] * size[2]);
}

/* The elements of a plane that output o sees, in order. */
typedef struct view {
    size_t n, *at;
} view;

static view view_new(const window *w)
{
    const view v = {.at = malloc((plane(w->in) + 1) * sizeof *v.at)};
    if (!v.at)
        abort();
    return v;
}

static void look(const window *w, size_t o, view *v)
{
    v->n = 0;
    for (size_t i = 0; i < plane(w->in); i++)
        if (sees(w, o, i))
            v->at[v->n++] = i;
}

/* The first maximum of those of a plane x, or the plane's size. */
static size_t first_maximum(const window *w, const view *v, const double *x)
{
    const size_t n = plane(w->in);
    size_t best = n;
    for (size_t k = 0; k < v->n; k++) {
        const size_t i = v->at[k];
        if (best == n || x[i] > x[best] || (isnan(x[i]) && !isnan(x[best])))
            best = i;
    }
    return best;
}

/* How many positions, of the padding too if that counts, output o averages over. */
static double count_of(const window *w, size_t o)
{
    int64_t out[3];
    double count = 1;
    split(w->out, o, out);
    for (int k = 0; k < 3; k++) {
        int n = 0;
        const int64_t edge = w->include_pad ? w->pad[k] : 0;
        for (int64_t t = 0; t < w->size[k]; t++) {
            const int64_t at = out[k] * w->stride[k] - w->pad[k] + t;
            n += at >= -edge && at < w->in[k] + edge;
        }
        count *= n;
    }
    return count;
}

static size_t planes_of(const window *w)
{
    size_t n = 1;
    for (int i = 0; i < w->x.rank - w->rank; i++)
        n *= (size_t)w->x.dim[i];
    return n;
}

/* y at maxima: of x itself, of t, or u put there. */
void ref_max_pool(const sample_context *c, const ref_tensor x[], ref_tensor *y)
{
    ref_max_pool_take(c, (const ref_tensor[]){x[0], x[0]}, y);
}

void ref_max_pool_take(const sample_context *c, const ref_tensor x[], ref_tensor *y)
{
    const window w = window_of(c, x[1].shape);
    const size_t in = plane(w.in), out = plane(w.out);
    view v = view_new(&w);
    ref_new(y, w.y, false);
    for (size_t o = 0; o < out; o++) {
        look(&w, o, &v);
        for (size_t p = 0; p < planes_of(&w); p++) {
            const size_t at = first_maximum(&w, &v, x[1].at + p * in);
            y->at[p * out + o] = at < in ? x[0].at[p * in + at] : x[0].at == x[1].at ? -INFINITY : 0;
        }
    }
    free(v.at);
}

void ref_max_pool_put(const sample_context *c, const ref_tensor x[], ref_tensor *y)
{
    const window w = window_of(c, x[1].shape);
    const size_t in = plane(w.in), out = plane(w.out);
    view v = view_new(&w);
    ref_new(y, w.x, true);
    for (size_t o = 0; o < out; o++) {
        look(&w, o, &v);
        for (size_t p = 0; p < planes_of(&w); p++) {
            const size_t at = first_maximum(&w, &v, x[1].at + p * in);
            if (at == in)
                continue;
            y->at[p * in + at] += x[0].at[p * out + o];
            y->scale[p * in + at] += fabs(x[0].at[p * out + o]);
        }
    }
    free(v.at);
}

static void means(const sample_context *c, const ref_tensor *a, rg_shape x, bool transposed, ref_tensor *y)
{
    const window w = window_of(c, x);
    const size_t in = plane(w.in), out = plane(w.out);
    view v = view_new(&w);
    ref_new(y, transposed ? w.x : w.y, true);
    for (size_t o = 0; o < out; o++) {
        look(&w, o, &v);
        for (size_t p = 0; p < planes_of(&w); p++)
            for (size_t k = 0; k < v.n; k++) {
                const size_t large = p * in + v.at[k], small = p * out + o;
                const double term = a->at[transposed ? small : large] / count_of(&w, o);
                y->at[transposed ? large : small] += term;
                y->scale[transposed ? large : small] += fabs(term);
            }
    }
    free(v.at);
}

void ref_avg_pool(const sample_context *c, const ref_tensor x[], ref_tensor *y)
{
    means(c, &x[0], x[0].shape, false, y);
}

void ref_avg_pool_grad(const sample_context *c, const ref_tensor x[], ref_tensor *y)
{
    means(c, &x[0], x[1].shape, true, y);
}
