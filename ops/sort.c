/* sort.c - the order of elements along one axis, and what is picked by it.

   argsort is the one primitive: positions of the first `keep` elements in order. Values are picked by them with gather,
   so sort and topk have the derivatives of gather: along a fixed order they are linear.

   Elements are compared as unsigned keys, in which the order of floats (-0 and 0 equal, NaN greatest) is that of the
   bits; equal keys in the order of their positions. So the result is one, however it is found. */
#include "along.h"
#include "index.h"
#include "table_ops.h"

#include <retrograde/op.h>

#include <string.h>

#define SORTED_RUN ((size_t)16) /* elements that insertion puts in order before runs are merged */
#define FEW 8                   /* keeping less than one of so many elements, a heap of them is faster */

typedef struct argsort_attr {
    int64_t axis;
    bool descending;
    int64_t keep; /* -1: all */
} argsort_attr;

static const rg_attr_field fields[] = {
    {"axis", offsetof(argsort_attr, axis), RG_ATTR_I64},
    {"descending", offsetof(argsort_attr, descending), RG_ATTR_BOOL},
    {"keep", offsetof(argsort_attr, keep), RG_ATTR_I64},
    {0},
};

static rg_status infer(rg_infer *call)
{
    const argsort_attr *a = call->attr;
    const rg_shape *x = &call->in[0].shape;
    if (!rgi_axis_ok(call, a->axis, x->rank))
        return RG_ERR_ARGUMENT;
    if (a->keep < -1 || a->keep > x->dim[a->axis])
        return rg_infer_fail(call, RG_ERR_SHAPE, "axis %lld has no %lld elements", (long long)a->axis,
                             (long long)a->keep);
    call->out[0] = (rg_type){RG_I64, *x};
    if (a->keep >= 0)
        call->out[0].shape.dim[a->axis] = a->keep;
    return RG_OK;
}

static void batch(rg_node *self, rg_node *const in[], const bool batched[], rg_node *out[])
{
    argsort_attr a = *(const argsort_attr *)rg_attr(self);
    (void)batched;
    a.axis++;
    out[0] = rg_apply(&rgi_op_argsort, RG_NODES(in[0]), &a);
}

/* ---- running: a task a column ---- */

typedef struct item {
    uint64_t key;
    int64_t at;
} item;

static uint64_t float_key(double x)
{
    uint64_t bits;
    if (!(x == x))
        return UINT64_MAX;
    x += 0.0; /* -0 becomes 0 */
    memcpy(&bits, &x, sizeof bits);
    return bits >> 63 ? ~bits : bits | (uint64_t)1 << 63;
}

static uint64_t key_at(rg_dtype dtype, const void *x, size_t i)
{
    switch (dtype) {
    case RG_F32:
        return float_key((double)((const float *)x)[i]);
    case RG_F64:
        return float_key(((const double *)x)[i]);
    case RG_I32:
        return (uint64_t)(int64_t)((const int32_t *)x)[i] ^ (uint64_t)1 << 63;
    default:
        return (uint64_t)((const int64_t *)x)[i] ^ (uint64_t)1 << 63;
    }
}

static bool comes_first(const item *a, const item *b)
{
    return a->key != b->key ? a->key < b->key : a->at < b->at;
}

static void insert_run(item *v, size_t n)
{
    for (size_t i = 1; i < n; i++) {
        const item x = v[i];
        size_t j = i;
        for (; j && comes_first(&x, &v[j - 1]); j--)
            v[j] = v[j - 1];
        v[j] = x;
    }
}

static void merge_runs(const item *a, size_t n_a, const item *b, size_t n_b, item *out)
{
    while (n_a && n_b)
        if (comes_first(b, a))
            *out++ = *b++, n_b--;
        else
            *out++ = *a++, n_a--;
    memcpy(out, a, n_a * sizeof *a);
    memcpy(out + n_a, b, n_b * sizeof *b);
}

/* Sorts v, with room for as many; returns where the result is. */
static const item *merge_sort(item *v, item *room, size_t n)
{
    for (size_t i = 0; i < n; i += SORTED_RUN)
        insert_run(v + i, n - i < SORTED_RUN ? n - i : SORTED_RUN);
    for (size_t run = SORTED_RUN; run < n; run *= 2) {
        for (size_t i = 0; i < n; i += 2 * run) {
            const size_t left = n - i < run ? n - i : run, both = n - i < 2 * run ? n - i : 2 * run;
            merge_runs(v + i, left, v + i + left, both - left, room + i);
        }
        item *const other = v;
        v = room;
        room = other;
    }
    return v;
}

/* Puts v[i] where it belongs among what stands below it: the last in order is at the top of the heap. */
static void sift(item *v, size_t i, size_t n)
{
    const item x = v[i];
    for (size_t child; (child = 2 * i + 1) < n; i = child) {
        child += child + 1 < n && comes_first(&v[child], &v[child + 1]);
        if (!comes_first(&x, &v[child]))
            break;
        v[i] = v[child];
    }
    v[i] = x;
}

static size_t kept(const argsort_attr *a, size_t n)
{
    return a->keep < 0 ? n : (size_t)a->keep;
}

static rgi_collapse collapse_of(const rg_step *s)
{
    return rgi_collapse_axis(&s->in_type[0].shape, (int32_t)((const argsort_attr *)s->attr)->axis);
}

static void cost(const rg_step *s, rg_cost *cost)
{
    const rgi_collapse c = collapse_of(s);
    double levels = 1;
    for (size_t k = kept(s->attr, c.k); k > 1; k /= 2)
        levels++;
    cost->tasks[0] = c.outer * c.inner;
    cost->flops = 8 * levels * (double)rgi_count(&s->in_type[0]);
    cost->bytes = rgi_bytes(s);
    cost->scratch = 2 * c.k * sizeof(item);
}

static void sort_column(const rg_step *s, rgi_collapse c, size_t first, int64_t *y)
{
    const argsort_attr *a = s->attr;
    const size_t keep = kept(a, c.k), heap = keep * FEW < c.k ? keep : 0;
    item *v = s->scratch;
    size_t n = 0;
    for (size_t i = 0; i < c.k; i++) {
        const uint64_t key = key_at(s->in_type[0].dtype, s->in[0], first + i * c.inner);
        const item x = {a->descending ? ~key : key, (int64_t)i};
        if (!heap || n < heap) {
            v[n++] = x;
            for (size_t k = n == heap ? heap / 2 : 0; k-- > 0;)
                sift(v, k, heap);
        } else if (comes_first(&x, &v[0])) {
            v[0] = x;
            sift(v, 0, heap);
        }
    }
    const item *sorted = merge_sort(v, (item *)s->scratch + c.k, n);
    for (size_t i = 0; i < keep; i++)
        y[i * c.inner] = sorted[i].at;
}

static rg_status run(const rg_step *s, size_t lo, size_t hi)
{
    const rgi_collapse c = collapse_of(s);
    const size_t keep = kept(s->attr, c.k);
    for (; keep && lo < hi; lo++) {
        const size_t row = lo / c.inner, column = lo % c.inner;
        sort_column(s, c, row * c.k * c.inner + column, (int64_t *)s->out[0] + row * keep * c.inner + column);
    }
    return RG_OK;
}

const rg_op rgi_op_argsort = {
    .name = "argsort",
    .n_in = 1,
    .n_out = 1,
    .traits = RG_ZERO_GRAD,
    .dtypes = RG_DT_NUMBERS,
    .attr_size = sizeof(argsort_attr),
    .attrs = fields,
    .infer = infer,
    .batch = batch,
    .cost = cost,
    .run = run,
};

/* ---- builders ---- */

static rg_node *argsort(rg_node *x, int axis, bool descending, int64_t keep)
{
    return rg_apply(&rgi_op_argsort, RG_NODES(x), &(argsort_attr){rgi_axis(x, axis, 0), descending, keep});
}

rg_node *rg_argsort(rg_node *x, int axis, bool descending)
{
    return argsort(x, axis, descending, -1);
}

rg_node *rg_sort(rg_node *x, int axis, bool descending)
{
    return rg_take_along(x, argsort(x, axis, descending, -1), axis);
}

rg_node *rg_topk(rg_node *x, int64_t k, int axis, rg_node **index)
{
    char label[2 * RGI_LABEL];
    if (index)
        *index = NULL;
    if (x && k < 0)
        return rg_build_fail(x->graph, RG_ERR_ARGUMENT, "rg_topk: %lld elements of %s", (long long)k,
                             rgi_format_operand(x, label, sizeof label));
    rg_node *at = argsort(x, axis, true, k);
    if (index)
        *index = at;
    return rg_take_along(x, at, axis);
}

/* Axis `axis` goes to the end, or comes back from there. */
static rg_node *axis_last(rg_node *x, int32_t axis, bool back)
{
    rg_axes order = {.n = x ? x->shape->a.rank : 0};
    const int32_t last = order.n - 1;
    if (!x || axis == last)
        return x;
    for (int32_t k = 0; k < order.n; k++)
        order.axis[k] = back ? (k < axis ? k : k == axis ? last : k - 1) : (k < axis ? k : k < last ? k + 1 : axis);
    return rg_transpose(x, order);
}

/* Whether the axis exists and both have the same sizes along all others. */
static bool rows_agree(const char *who, const rg_node *x, const rg_node *other, int axis, int32_t *at)
{
    char a[2 * RGI_LABEL], b[2 * RGI_LABEL];
    const int32_t rank = x->shape->a.rank;
    rgi_format_operand(x, a, sizeof a);
    rgi_format_operand(other, b, sizeof b);
    if (!rg_axis_normalise(axis, rank, at))
        return rg_build_fail(x->graph, RG_ERR_ARGUMENT, "%s: axis %d is outside the rank of %s", who, axis, a), false;
    if (other->shape->a.rank != rank)
        return rg_build_fail(x->graph, RG_ERR_SHAPE, "%s: %s and %s have different ranks", who, b, a), false;
    for (int32_t k = 0; k < rank; k++)
        if (k != *at && (x->shape->a.dim[k] != other->shape->a.dim[k] || x->shape->b.dim[k] != other->shape->b.dim[k]))
            return rg_build_fail(x->graph, RG_ERR_SHAPE, "%s: %s and %s differ along axis %d, only axis %d may differ",
                                 who, b, a, k, *at),
                   false;
    return true;
}

rg_node *rg_take_along(rg_node *x, rg_node *index, int axis)
{
    int32_t at;
    if (!x || !index)
        return rg_gather(x, index, axis);
    if (!rows_agree("rg_take_along", x, index, axis, &at))
        return NULL;
    rg_node *y = rgi_gather_shared(axis_last(x, at, false), axis_last(index, at, false), x->shape->a.rank - 1);
    return axis_last(y, at, true);
}

rg_node *rg_put_along(rg_node *updates, rg_node *index, rg_node *like, int axis)
{
    char a[2 * RGI_LABEL], b[2 * RGI_LABEL];
    int32_t at;
    if (!updates || !index || !like)
        return rg_scatter_add(updates, index, like, axis);
    if (!rows_agree("rg_put_along", like, index, axis, &at))
        return NULL;
    if (updates->shape != index->shape)
        return rg_build_fail(like->graph, RG_ERR_SHAPE, "rg_put_along: the updates %s are not shaped as the index %s",
                             rgi_format_operand(updates, a, sizeof a), rgi_format_operand(index, b, sizeof b));
    rg_node *y = rgi_scatter_shared(axis_last(updates, at, false), axis_last(index, at, false),
                                    axis_last(like, at, false), like->shape->a.rank - 1);
    return axis_last(y, at, true);
}
