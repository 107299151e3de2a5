/* triangle.c - matrices by the relation of row and column: identity, triangles, diagonals. */
#include "common.h"
#include "triangle.h"

#include <retrograde/op.h>

/* Along axis `axis` of `rank`, the index. */
static rg_node *index_along(rg_graph *g, int64_t n, int32_t axis, int32_t rank)
{
    rg_node *index = rg_arange(g, RG_I64, 0, 1, n);
    for (int32_t k = axis + 1; k < rank; k++)
        index = rg_unsqueeze(index, 1);
    return index;
}

rg_node *rgi_on_diagonal(rg_graph *g, const rg_shape *shape, int32_t p, int32_t q)
{
    return rg_equal(index_along(g, shape->dim[p], p, shape->rank), index_along(g, shape->dim[q], q, shape->rank));
}

rg_node *rg_eye(rg_graph *g, rg_dtype dtype, int64_t rows, int64_t columns)
{
    const rg_shape shape = RG_SHAPE(rows, columns);
    if (!g || rows < 0 || columns < 0)
        return rg_build_fail(g, RG_ERR_ARGUMENT, g ? "rg_eye: %lld x %lld" : "rg_eye: the graph is NULL",
                             (long long)rows, (long long)columns);
    return rg_cast(rgi_on_diagonal(g, &shape, 0, 1), dtype);
}

/* Keeps what stands on diagonal k and below it (or above it). */
static rg_node *triangle(const char *who, rg_node *x, int64_t k, bool below)
{
    char label[2 * RGI_LABEL];
    if (!x)
        return NULL;
    const int64_t beyond = (int64_t)1 << 52; /* any size: a scalar is given as a double, which holds it */
    const rg_shape *s = &x->shape->a;
    k = k < -beyond ? -beyond : k > beyond ? beyond : k;
    if (s->rank < 2) {
        rg_build_fail(x->graph, RG_ERR_SHAPE, "%s: %s is no matrix", who, rgi_format_operand(x, label, sizeof label));
        return NULL;
    }
    rg_node *row = index_along(x->graph, s->dim[s->rank - 2], 0, 2),
            *column = rg_arange(x->graph, RG_I64, 0, 1, s->dim[s->rank - 1]);
    rg_node *last = rg_add(row, rg_scalar(x->graph, RG_I64, (double)k));
    rg_node *keep = below ? rg_less_equal(column, last) : rg_greater_equal(column, last);
    return rg_where(keep, x, rg_scalar(x->graph, x->dtype, 0));
}

rg_node *rg_tril(rg_node *x, int64_t k)
{
    return triangle("rg_tril", x, k, true);
}

rg_node *rg_triu(rg_node *x, int64_t k)
{
    return triangle("rg_triu", x, k, false);
}

rg_node *rg_diag(rg_node *x)
{
    char label[2 * RGI_LABEL];
    if (!x)
        return NULL;
    const rg_shape *s = &x->shape->a;
    if (s->rank != 1 && (s->rank != 2 || s->dim[0] != s->dim[1])) {
        rg_build_fail(x->graph, RG_ERR_SHAPE, "rg_diag: %s is neither a vector nor a square matrix",
                      rgi_format_operand(x, label, sizeof label));
        return NULL;
    }
    const rg_shape square = RG_SHAPE(s->dim[0], s->dim[0]);
    rg_node *y = rg_where(rgi_on_diagonal(x->graph, &square, 0, 1), x, rg_scalar(x->graph, x->dtype, 0));
    return s->rank == 1 ? y : rg_sum(y, RG_AXES(1), false);
}
