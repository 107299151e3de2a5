/* reference_order.c - cumulative ops, sorting and norms, by their definitions: one line of elements after the other. */
#include "reference_ops.h"

#include <stdlib.h>

/* Lines along the axis args.i[0] of a shape: [outer, n, inner]. */
typedef struct lines {
    size_t outer, n, inner;
} lines;

static lines lines_of(const sample_context *c, rg_shape shape)
{
    const int axis = ref_axis(c->args->i[0], shape.rank);
    lines l = {1, (size_t)shape.dim[axis], 1};
    for (int k = 0; k < shape.rank; k++)
        *(k < axis ? &l.outer : &l.inner) *= k == axis ? 1 : (size_t)shape.dim[k];
    return l;
}

/* Element i of line k. */
static size_t at(lines l, size_t k, size_t i)
{
    return (k / l.inner * l.n + i) * l.inner + k % l.inner;
}

/* y_i = a_i y_{i-1} + b_i; a NULL: ones, b NULL: zeros. */
static void recur(const sample_context *c, const ref_tensor *a, const ref_tensor *b, double first, bool reverse,
                  ref_tensor *y)
{
    const rg_shape shape = a ? a->shape : b->shape;
    const lines l = lines_of(c, shape);
    ref_new(y, shape, true);
    for (size_t k = 0; k < l.outer * l.inner; k++) {
        long double state = first, size = fabs(first);
        for (size_t i = 0; i < l.n; i++) {
            const size_t p = at(l, k, reverse ? l.n - 1 - i : i);
            const long double factor = a ? a->at[p] : 1, term = b ? b->at[p] : 0;
            state = factor * state + term;
            size = fabsl(factor) * size + fabsl(term);
            y->at[p] = (double)state;
            y->scale[p] = (double)size;
        }
    }
}

void ref_cumsum(const sample_context *c, const ref_tensor x[], ref_tensor *y)
{
    recur(c, NULL, x, 0, c->args->flag, y);
}

void ref_cumprod(const sample_context *c, const ref_tensor x[], ref_tensor *y)
{
    recur(c, x, NULL, 1, false, y);
}

void ref_linear_recurrence(const sample_context *c, const ref_tensor x[], ref_tensor *y)
{
    recur(c, &x[0], &x[1], 0, c->args->flag, y);
}

/* Positions of line k in order: each is put behind all that are not after it. */
static void sorted(const ref_tensor *x, lines l, size_t k, bool descending, size_t *order)
{
    for (size_t i = 0; i < l.n; i++) {
        size_t j = i;
        for (; j > 0; j--) {
            const double before = x->at[at(l, k, order[j - 1])], v = x->at[at(l, k, i)];
            if (descending ? before >= v : before <= v)
                break;
            order[j] = order[j - 1];
        }
        order[j] = i;
    }
}

static void order_of(const sample_context *c, const ref_tensor *x, bool descending, size_t keep, bool values,
                     ref_tensor *y)
{
    const lines l = lines_of(c, x->shape);
    rg_shape shape = x->shape;
    const lines out = {l.outer, keep == SIZE_MAX ? l.n : keep, l.inner};
    shape.dim[ref_axis(c->args->i[0], shape.rank)] = (int64_t)out.n;
    ref_new(y, shape, false);
    size_t *order = calloc(l.n + 1, sizeof *order);
    for (size_t k = 0; k < l.outer * l.inner; k++) {
        sorted(x, l, k, descending, order);
        for (size_t i = 0; i < out.n; i++)
            y->at[at(out, k, i)] = values ? x->at[at(l, k, order[i])] : (double)order[i];
    }
    free(order);
}

void ref_argsort(const sample_context *c, const ref_tensor x[], ref_tensor *y)
{
    order_of(c, x, c->args->flag, SIZE_MAX, false, y);
}

void ref_sort(const sample_context *c, const ref_tensor x[], ref_tensor *y)
{
    order_of(c, x, c->args->flag, SIZE_MAX, true, y);
}

void ref_topk(const sample_context *c, const ref_tensor x[], ref_tensor *y)
{
    order_of(c, x, true, (size_t)c->args->i[1], true, y);
}

void ref_topk_index(const sample_context *c, const ref_tensor x[], ref_tensor *y)
{
    order_of(c, x, true, (size_t)c->args->i[1], false, y);
}

void ref_take_along(const sample_context *c, const ref_tensor x[], ref_tensor *y)
{
    const lines l = lines_of(c, x[0].shape), m = lines_of(c, x[1].shape);
    ref_new(y, x[1].shape, false);
    for (size_t k = 0; k < m.outer * m.inner; k++)
        for (size_t i = 0; i < m.n; i++)
            y->at[at(m, k, i)] = x[0].at[at(l, k, (size_t)x[1].at[at(m, k, i)])];
}

void ref_put_along(const sample_context *c, const ref_tensor x[], ref_tensor *y)
{
    const lines l = lines_of(c, x[2].shape), m = lines_of(c, x[1].shape);
    ref_new(y, x[2].shape, true);
    for (size_t k = 0; k < m.outer * m.inner; k++)
        for (size_t i = 0; i < m.n; i++) {
            const size_t to = at(l, k, (size_t)x[1].at[at(m, k, i)]);
            y->at[to] += x[0].at[at(m, k, i)];
            y->scale[to] += fabs(x[0].at[at(m, k, i)]);
        }
}

void ref_norm_p(const sample_context *c, const ref_tensor x[], ref_tensor *y)
{
    const unsigned mask = ref_axes(c->args->axes[0], x->shape.rank);
    const rg_shape kept = ref_reduced(x->shape, mask, true);
    const double p = c->args->f[0];
    ref_new(y, ref_reduced(x->shape, mask, c->args->flag), false);
    for (size_t o = 0; o < ref_count(kept); o++) {
        long double sum = 0;
        double most = 0, least = INFINITY;
        for (size_t i = 0; i < ref_slice_count(x->shape, mask); i++) {
            const double v = fabs(x->at[ref_slice_index(x->shape, kept, mask, o, i)]);
            sum += p == 0 ? v != 0 : powl(v, p);
            most = fmax(most, v);
            least = fmin(least, v);
        }
        y->at[o] = p == 0 ? (double)sum : isinf(p) ? (p > 0 ? most : least) : (double)powl(sum, 1 / (long double)p);
    }
}

void ref_cosine_similarity(const sample_context *c, const ref_tensor x[], ref_tensor *y)
{
    const rg_shape shape = x[0].shape;
    const lines l = lines_of(c, shape);
    ref_new(y, ref_reduced(shape, 1u << ref_axis(c->args->i[0], shape.rank), false), true);
    for (size_t k = 0; k < l.outer * l.inner; k++) {
        long double dot = 0, a = 0, b = 0, size = 0;
        for (size_t i = 0; i < l.n; i++) {
            const long double u = x[0].at[at(l, k, i)], v = x[1].at[at(l, k, i)];
            dot += u * v;
            size += fabsl(u * v);
            a += u * u;
            b += v * v;
        }
        const long double scale = fmaxl(sqrtl(a), 1e-8L) * fmaxl(sqrtl(b), 1e-8L);
        y->at[k] = (double)(dot / scale);
        y->scale[k] = (double)(size / scale);
    }
}
