/* sparse.c - Jacobians and Hessians with zeros left out: structure, colours, one batched sweep, and the elements picked
   out of the sums it gives. */
#include "batch.h"
#include "colouring.h"
#include "sweep.h"

#include "../ops/placeholder.h"

#include <retrograde/autograd.h>
#include <retrograde/ops.h>

/* What a matrix is made from: the sum of the rows (or columns) of each colour, and where in it each element is. */
typedef struct recipe {
    rg_graph *g;
    const char *caller;
    rgi_pattern pattern;
    int64_t *colour, colours;
    int64_t *at; /* by element: colour, then number of the row (or column) in it */
    bool reverse;
} recipe;

static bool no_memory(recipe *r)
{
    rgi_graph_fail(r->g, RG_ERR_MEMORY, NULL, "%s: out of memory", r->caller);
    return false;
}

/* y and x are floats of one graph, outside of bodies, with an axis to spare. */
static bool check(rg_node *y, rg_node *x, const char *caller)
{
    char a[RGI_LABEL], b[RGI_LABEL];
    if (!rgi_check_pair(caller, y, x))
        return false;
    rg_graph *g = y->graph;
    if (g->open.n || y->region->parent || x->region->parent)
        rgi_graph_fail(g, RG_ERR_REGION, y, "%s: inside the body of a scan there is no structure to be found", caller);
    else if (y->shape->a.rank == RG_MAX_RANK || x->shape->a.rank == RG_MAX_RANK)
        rgi_graph_fail(g, RG_ERR_SHAPE, NULL, "%s: %s and %s must have fewer than %d axes", caller,
                       rgi_format_node(y, a, sizeof a), rgi_format_node(x, b, sizeof b), RG_MAX_RANK);
    return g->error.status == RG_OK;
}

static int64_t longest_row(const rgi_pattern *a)
{
    int64_t most = 0;
    for (int64_t i = 0; i < a->rows; i++)
        most = a->start[i + 1] - a->start[i] > most ? a->start[i + 1] - a->start[i] : most;
    return most;
}

/* Columns, or rows if they need fewer colours. A row's length is the least that its columns can have. */
static bool colour_jacobian(recipe *r)
{
    const rg_allocator *a = &r->g->allocator;
    rgi_pattern t;
    int64_t *rows = rgi_arena_alloc(&r->g->arena, (size_t)(r->pattern.rows + 1) * sizeof *rows), by_rows = INT64_MAX;
    r->colour = rgi_arena_alloc(&r->g->arena, (size_t)(r->pattern.columns + 1) * sizeof *r->colour);
    if (!rows || !r->colour || !rgi_pattern_transpose(&r->g->arena, &r->pattern, &t))
        return no_memory(r);
    r->colours = rgi_colour_columns(a, &r->pattern, &t, r->colour);
    if (r->colours > longest_row(&t))
        by_rows = rgi_colour_columns(a, &t, &r->pattern, rows);
    if (r->colours < 0 || by_rows < 0)
        return no_memory(r);
    if (by_rows < r->colours) {
        r->reverse = true;
        r->colours = by_rows;
        r->colour = rows;
    }
    for (int64_t i = 0; i < r->pattern.rows; i++)
        for (int64_t k = r->pattern.start[i]; k < r->pattern.start[i + 1]; k++) {
            const int64_t j = r->pattern.column[k];
            r->at[k] = r->reverse ? r->colour[i] * r->pattern.columns + j : r->colour[j] * r->pattern.rows + i;
        }
    return true;
}

static bool colour_hessian(recipe *r)
{
    const rgi_pattern *a = &r->pattern;
    const size_t n = (size_t)a->rows;
    rgi_pattern t, both;
    r->colour = rgi_arena_alloc(&r->g->arena, (n + 1) * sizeof *r->colour);
    if (!r->colour || !rgi_pattern_transpose(&r->g->arena, a, &t) ||
        !rgi_pattern_mirrored(&r->g->arena, a, &t, &both) ||
        (r->colours = rgi_colour_symmetric(&r->g->allocator, &both, r->colour)) < 0)
        return no_memory(r);
    r->pattern = both;
    int64_t *met = rgi_alloc(&r->g->allocator, (n + 1) * sizeof *met); /* by colour: columns of the row that have it */
    for (int64_t i = 0; met && i < a->rows; i++) {
        for (int64_t k = both.start[i]; k < both.start[i + 1]; k++)
            met[r->colour[both.column[k]]]++;
        for (int64_t k = both.start[i]; k < both.start[i + 1]; k++) {
            const int64_t j = both.column[k];
            const bool alone = met[r->colour[j]] == 1;
            r->at[k] = alone ? r->colour[j] * a->rows + i : r->colour[i] * a->rows + j;
        }
        for (int64_t k = both.start[i]; k < both.start[i + 1]; k++)
            met[r->colour[both.column[k]]] = 0;
    }
    rgi_free(&r->g->allocator, met, (n + 1) * sizeof *met);
    return met ? true : no_memory(r);
}

/* [colours, x...]: of each colour, one at the elements that have it and zero elsewhere. */
static rg_node *directions(const recipe *r, rg_node *x)
{
    const rg_shape *shape = &x->shape->a;
    rg_shape first = {.rank = shape->rank + 1, .dim = {r->colours}};
    for (int32_t k = 0; k < shape->rank; k++)
        first.dim[k + 1] = 1;
    rg_node *number = rg_reshape(rg_arange(r->g, RG_I64, 0, 1, r->colours), first);
    return rg_cast(rg_equal(number, rg_const(r->g, RG_I64, *shape, r->colour)), x->dtype);
}

static rg_node *values(recipe *r, rg_node *y, rg_node *x)
{
    const int64_t n = r->pattern.start[r->pattern.rows];
    if (!n)
        return rg_zeros(r->g, y->dtype, RG_SHAPE(0));
    rg_node *from = r->reverse ? y : x, *u = rgi_placeholder(from);
    const rg_nodes once = !u           ? (rg_nodes){NULL, 0}
                          : r->reverse ? rg_vjp((rg_nodes){&y, 1}, (rg_nodes){&u, 1}, (rg_nodes){&x, 1})
                                       : rg_jvp((rg_nodes){&y, 1}, (rg_nodes){&x, 1}, (rg_nodes){&u, 1});
    rg_node *sums = once.n == 1 ? rgi_batch(once.at[0], u, directions(r, from), r->caller) : NULL;
    if (r->g->error.status != RG_OK)
        return NULL;
    if (!sums) /* it may depend, but does not: the derivative is zero everywhere */
        return rg_zeros(r->g, y->dtype, RG_SHAPE(n));
    return rg_gather(rg_reshape(sums, RG_SHAPE(-1)), rg_const(r->g, RG_I64, RG_SHAPE(n), r->at), 0);
}

static const rg_sparse *make(rg_node *y, rg_node *x, bool symmetric, const char *caller)
{
    recipe r = {.g = y->graph, .caller = caller};
    if (!rgi_structure(y, x, caller, &r.pattern))
        return NULL;
    r.at = rgi_arena_alloc(&r.g->arena, (size_t)(r.pattern.start[r.pattern.rows] + 1) * sizeof *r.at);
    rg_sparse *out = rgi_arena_alloc(&r.g->arena, sizeof *out);
    if (!r.at || !out) {
        (void)no_memory(&r);
        return NULL;
    }
    if (!(symmetric ? colour_hessian(&r) : colour_jacobian(&r)))
        return NULL;
    *out = (rg_sparse){.rows = r.pattern.rows,
                       .columns = r.pattern.columns,
                       .row_start = r.pattern.start,
                       .column = r.pattern.column,
                       .values = values(&r, y, x),
                       .colours = r.pattern.start[r.pattern.rows] ? r.colours : 0,
                       .reverse = r.reverse};
    return out->values ? out : NULL;
}

const rg_sparse *rg_sparse_jacobian(rg_node *y, rg_node *x)
{
    return check(y, x, "rg_sparse_jacobian") ? make(y, x, false, "rg_sparse_jacobian") : NULL;
}

const rg_sparse *rg_sparse_hessian(rg_node *loss, rg_node *x)
{
    if (!check(loss, x, "rg_sparse_hessian"))
        return NULL;
    rg_node *gradient = rg_at(rg_grad(loss, (rg_nodes){&x, 1}), 0);
    return gradient && check(gradient, x, "rg_sparse_hessian") ? make(gradient, x, true, "rg_sparse_hessian") : NULL;
}
