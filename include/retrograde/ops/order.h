/* order.h - operators that walk along one axis in order: cumulative sums and products, first-order recurrences,
   sorting, and picking by position.

   Axes count from 0, negative ones from the end. In the formulas y is the result, g its cotangent. Derivatives can be
   taken any number of times. Errors: an axis outside the rank (RG_ERR_ARGUMENT), shapes or dtypes that do not fit
   (RG_ERR_SHAPE, RG_ERR_DTYPE); then the result is NULL and the graph's error is set. A graph is used by one thread at
   a time. */
#ifndef RETROGRADE_OPS_ORDER_H
#define RETROGRADE_OPS_ORDER_H

#include <retrograde/base.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- cumulative ---- */

/* y_i = x_0 + .. + x_i; `reverse`: x_i + .. + x_{n-1}. f32, f64 (summed with compensation), i32 and i64 (which wrap).
   dx = the cumulative sum of g the other way. */
RG_API rg_node *rg_cumsum(rg_node *x, int axis, bool reverse);
/* y_i = x_0 x_1 .. x_i. f32, f64. Differentiated as a recurrence, without division, so zeros are no trouble. */
RG_API rg_node *rg_cumprod(rg_node *x, int axis);
/* y_i = a_i y_{i-1} + b_i with y_{-1} = 0; `reverse`: y_i = a_i y_{i+1} + b_i, from the end. a and b of one shape; f32
   (carried in double) and f64. With s the recurrence of g with the coefficients a_{i+1} the other way: db = s,
   da_i = s_i y_{i-1}. Diagonal state-space models and linear recurrent units are this. */
RG_API rg_node *rg_linear_recurrence(rg_node *a, rg_node *b, int axis, bool reverse);

/* ---- sorting: f32, f64, i32, i64; NaN counts as the greatest, equal elements keep their order ---- */

/* Positions (i64) that sort x along the axis: take_along(x, argsort(x)) is sorted. Zero gradient. */
RG_API rg_node *rg_argsort(rg_node *x, int axis, bool descending);
/* x in order along the axis; dx = g put back to where it came from. */
RG_API rg_node *rg_sort(rg_node *x, int axis, bool descending);
/* The k greatest along the axis, greatest first: the axis has size k then. `index` (may be NULL) receives their
   positions (i64). dx = g put back, zero elsewhere. Errors: k outside [0, n]; in rg_run where n is a named size. */
RG_API rg_node *rg_topk(rg_node *x, int64_t k, int axis, rg_node **index);

/* ---- by position along one axis, for each row by itself ---- */

/* y[.., i, ..] = x[.., index[.., i, ..], ..]: index (u8, i32, i64) has x's rank, and x's sizes but along the axis. Any
   dtype. dx = put_along(g, index, x). A position outside [0, n) is an error of rg_run. */
RG_API rg_node *rg_take_along(rg_node *x, rg_node *index, int axis);
/* Zeros of the shape of `like` (whose values are not used) with updates[.., i, ..] added at index[.., i, ..]; equal
   positions add up in order. updates and index have one shape. f32, f64, i32, i64. dupdates = take_along(g, index). */
RG_API rg_node *rg_put_along(rg_node *updates, rg_node *index, rg_node *like, int axis);

#ifdef __cplusplus
}
#endif

#endif
