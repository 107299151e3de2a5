/* random_windows.c - products by chance that read parts of wider tensors, or views of them, and are joined: what plans
   read where it lies and write where it is wanted, while others read and overwrite the whole. */
#include "random_blocks.h"

#include <retrograde/op.h>

#include <string.h>

static size_t below(random_maker *m, size_t n)
{
    return random_below(&m->pool, n);
}

static int rank_of(const rg_node *v)
{
    return rg_shape_of(v).rank;
}

static int64_t last(const rg_node *v)
{
    const rg_shape s = rg_shape_of(v);
    return s.dim[s.rank - 1];
}

/* x times some weights, so many columns. */
static rg_node *projected(random_maker *m, rg_node *x, int64_t columns)
{
    return rg_matmul(x, random_param(m, RG_SHAPE(last(x), columns)));
}

/* ---- parts of wholes ---- */

static rg_node *whole(random_maker *m)
{
    rg_node *x = random_of_rank(m, below(m, 3) ? 2 : 3, m->inputs[RANDOM_X]);
    const int64_t columns = 2 * random_size(m) + (int64_t)below(m, 20);
    switch (below(m, 5)) {
    case 0:
        return x;
    case 1:
        return random_param(m, RG_SHAPE(random_size(m) + 1, columns));
    case 2:
        return rg_concat(RG_NODES(x, projected(m, x, columns), rg_tanh(x)), -1);
    default:
        return projected(m, x, columns);
    }
}

/* Some of x along an axis whose size has no name, seldom turned round or with gaps. */
static rg_node *cut(random_maker *m, rg_node *x)
{
    const int axis = below(m, 3) ? rank_of(x) - 1 : (int)below(m, (size_t)rank_of(x));
    const int64_t n = rg_shape_of(x).dim[axis];
    if (random_named(n) || n < 2)
        return x;
    const int64_t from = (int64_t)below(m, (size_t)n), to = from + 1 + (int64_t)below(m, (size_t)(n - from));
    if (below(m, 10) == 0)
        return rg_slice_step(x, axis, from, to, 2);
    return below(m, 12) ? rg_slice(x, axis, from, to) : rg_flip(rg_slice(x, axis, from, to), RG_AXES(axis));
}

/* x in another shape: its last axis in two, or its last two as one; or with its axes in another order. */
static rg_node *seen_otherwise(random_maker *m, rg_node *x)
{
    rg_shape s = rg_shape_of(x);
    const int64_t n = s.dim[s.rank - 1], before = s.rank > 1 ? s.dim[s.rank - 2] : 0;
    const size_t how = below(m, 4);
    if (how == 0 && s.rank < 4 && n % 2 == 0 && !random_named(n)) {
        s.dim[s.rank - 1] = 2;
        s.dim[s.rank++] = n / 2;
        return rg_reshape(x, s);
    }
    if (how == 1 && s.rank > 2 && !random_named(n) && !random_named(before)) {
        s.dim[--s.rank - 1] = before * n;
        return rg_reshape(x, s);
    }
    if (how == 2 && s.rank > 1) {
        rg_axes order = {.n = s.rank};
        const int32_t turn = (int32_t)below(m, (size_t)s.rank);
        for (int32_t k = 0; k < s.rank; k++)
            order.axis[k] = (k + turn) % s.rank;
        return rg_transpose(x, order);
    }
    return x;
}

static rg_node *part(random_maker *m, rg_node *x)
{
    for (size_t k = 1 + below(m, 2); k > 0; k--)
        x = seen_otherwise(m, cut(m, x));
    if (m->pool.dtype == RG_F32 && below(m, 10) == 0)
        return cut(m, rg_cast(rg_stop_gradient(x), RG_BF16));
    return x;
}

/* ---- products ---- */

static bool is_among(const rg_axes *axes, int32_t axis)
{
    for (int32_t k = 0; k < axes->n; k++)
        if (axes->axis[k] == axis)
            return true;
    return false;
}

/* The product of a and b over some of the axes that have one size, with others as batches. NULL: it has many axes. */
static rg_node *product(random_maker *m, rg_node *a, rg_node *b)
{
    const rg_shape s = rg_shape_of(a), t = rg_shape_of(b);
    rg_contract_opts o = {{.n = 0}, {.n = 0}, {.n = 0}, {.n = 0}};
    for (int32_t i = 0; i < s.rank; i++)
        for (int32_t j = 0; j < t.rank; j++) {
            const size_t how = below(m, 6);
            if (s.dim[i] != t.dim[j] || how == 0 || is_among(&o.a_batch, i) || is_among(&o.a_contract, i) ||
                is_among(&o.b_batch, j) || is_among(&o.b_contract, j))
                continue;
            rg_axes *const x = how > 2 ? &o.a_contract : &o.a_batch, *const y = how > 2 ? &o.b_contract : &o.b_batch;
            x->axis[x->n++] = i;
            y->axis[y->n++] = j;
        }
    return s.rank + t.rank - o.a_batch.n - 2 * o.a_contract.n > 4 ? NULL : rg_contract(a, b, &o);
}

static rg_node *some_product(random_maker *m, rg_node *a, rg_node *b)
{
    rg_node *y = below(m, 3) ? product(m, a, b) : NULL;
    if (!y && rg_dtype_of(a) == m->pool.dtype && !random_named(last(a)) && rank_of(a) > 1)
        y = projected(m, a, random_size(m));
    return y && rg_dtype_of(y) == m->pool.dtype ? y : NULL;
}

/* A product with others like it, along one of their axes. */
static rg_node *joined(random_maker *m, rg_node *y)
{
    if (rank_of(y) == 0 || strcmp(rg_op_of(y)->name, "contract") != 0)
        return y;
    const int axis = below(m, 3) ? -1 : (int)below(m, (size_t)rank_of(y));
    rg_node *x = rg_arg(y, 0), *w = rg_arg(y, 1);
    x = rg_dtype_of(x) == RG_BF16 ? x : rg_sin(x);
    rg_node *like = rg_contract(x, w, rg_attr(y));
    switch (below(m, 4)) {
    case 0:
        return rg_concat(RG_NODES(y, like), axis);
    case 1:
        return rg_concat(RG_NODES(rg_tanh(y), like, y), axis);
    case 2:
        return rg_concat(RG_NODES(like, like, rg_cos(y)), axis);
    default:
        return rg_concat(RG_NODES(rg_cos(like), y), axis);
    }
}

rg_node *random_windows(random_maker *m)
{
    rg_node *x = whole(m), *other = below(m, 2) ? x : whole(m);
    if (!x || !other || rank_of(x) == 0 || rank_of(other) == 0)
        return NULL;
    rg_node *a = part(m, x), *b = part(m, other), *y = some_product(m, a, b), *z = some_product(m, b, a);
    if (y && below(m, 2))
        y = joined(m, y);
    if (z && below(m, 2))
        random_add_moderate(m, joined(m, z));
    if (below(m, 2)) /* in whose place? */
        random_add_moderate(m, rg_tanh(x));
    if (rg_dtype_of(a) == m->pool.dtype && below(m, 2))
        random_add_moderate(m, a);
    return y && rank_of(y) && below(m, 3) == 0 ? cut(m, y) : y;
}
