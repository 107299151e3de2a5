/* along.h - what the ops that walk along axes share. Neighbouring axes of a row-major tensor are one: it is seen as
   [outer, k, inner] with the walked axes as k. */
#ifndef RGI_ALONG_H
#define RGI_ALONG_H

#include "rules.h"

/* Attributes of an op that walks along axes. `axes` are in rising order and neighbours. */
typedef struct rgi_along {
    rg_axes axes;
    bool keepdims;
} rgi_along;
extern const rg_attr_field rgi_along_fields[];

typedef struct rgi_collapse {
    size_t outer, k, inner;
} rgi_collapse;

/* A tensor seen so; without axes, k is 1. */
rgi_collapse rgi_collapse_axes(const rg_shape *shape, rg_axes axes);
/* The same for one axis. */
static inline rgi_collapse rgi_collapse_axis(const rg_shape *shape, int32_t axis)
{
    return rgi_collapse_axes(shape, (rg_axes){1, {axis}});
}

/* A bit for each of `axes`; or the error (recorded) that says what is wrong with them for x. */
rg_status rgi_axes_check(const rg_infer *call, rg_axes axes, const rg_shape *x, uint32_t *mask);
/* The shape without `axes`, or with size 1 there; or the error (recorded) that says why there is none. */
rg_status rgi_along_infer(const rg_infer *call, const rg_shape *x, const rgi_along *attr, rg_shape *out);
/* The attributes behind one more leading axis. */
rgi_along rgi_along_batched(const rgi_along *attr);
/* u, reduced along `attr`, with size 1 for axes that are gone, where it needs them to broadcast against what was
   reduced. */
rg_node *rgi_along_aligned(const rgi_along *attr, rg_node *u);
/* u, reduced along `attr`, repeated to the shape of x, which was reduced. */
rg_node *rgi_along_spread(const rgi_along *attr, rg_node *u, rg_node *x);

/* rg_op.reads of ops with these attributes: of what is reduced along the axes, what is not, and both beside each
   other. */
void rgi_along_reads(const rg_step *step, size_t i, int32_t from[]);
/* The same of ops of rows: the last axis of input 0. Inputs may be without it. */
void rgi_row_reads(const rg_step *step, size_t i, int32_t from[]);

/* Columns are tasked in blocks of this many; a column is what has one outer and one inner index. */
#define RGI_COLUMNS 64

static inline size_t rgi_column_blocks(size_t inner)
{
    return (inner + RGI_COLUMNS - 1) / RGI_COLUMNS;
}

/* The part of tasks [lo, hi) that lies in one row of column blocks; task t is block t % blocks of row t / blocks. */
typedef struct rgi_span {
    size_t row, first, n; /* columns [first, first + n) of the row */
    size_t tasks;
} rgi_span;
rgi_span rgi_span_at(size_t inner, size_t lo, size_t hi);

/* Ops without a public builder. */
rg_node *rgi_sum_squares(rg_node *x, rg_axes axes, bool keepdims);
/* Element of t at the first maximum (or minimum) of x along the axes, and its transpose: u put there into zeros. */
rg_node *rgi_extremum_take(rg_node *t, rg_node *x, const rgi_along *along, bool smallest);
rg_node *rgi_extremum_put(rg_node *u, rg_node *x, const rgi_along *along, bool smallest);
/* The derivative of prod(x) in the direction t, and its transpose. */
rg_node *rgi_prod_tangent(rg_node *x, rg_node *t, const rgi_along *along);
rg_node *rgi_prod_grad(rg_node *u, rg_node *x, const rgi_along *along);

#endif
