/* shape.h - operators that move elements without changing them.

   Every dtype unless said otherwise; the result has the dtype of x. Axes count from 0, negative ones from the end; an
   axis that does not exist is an error. Sizes may be named dimensions: reshape, slices and positions are checked when
   they are built and again, against the sizes then bound, when a plan runs. In the formulas g is the cotangent of the
   result. All return NULL with the graph's error set when shapes, dtypes or axes do not fit; a result of more than
   RG_MAX_RANK axes is such an error. A graph is used by one thread at a time. */
#ifndef RETROGRADE_OPS_SHAPE_H
#define RETROGRADE_OPS_SHAPE_H

#include <retrograde/base.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- views: the same elements in the same order; nothing is copied, dx = g under x's shape ---- */

/* [..] -> shape. One size may be -1: what the others leave. The numbers of elements must agree for all values of the
   named sizes ([batch, 784] to [-1, 28, 28], but not [batch, 3] to [-1, 6]). */
RG_API rg_node *rg_reshape(rg_node *x, rg_shape shape);
/* The shape of another node, whose values are not used. */
RG_API rg_node *rg_reshape_like(rg_node *x, rg_node *like);
/* Axes from .. end become one: [a, b, c] -> [a, b c] for from = 1. A scalar becomes [1]. */
RG_API rg_node *rg_flatten(rg_node *x, int from);
/* Removes an axis, whose size must be 1 (a named size never is, whatever is bound). */
RG_API rg_node *rg_squeeze(rg_node *x, int axis);
/* Inserts an axis of size 1, which becomes axis `axis` of the result. */
RG_API rg_node *rg_unsqueeze(rg_node *x, int axis);

/* ---- order and repetition ---- */

/* Axis i of the result is axis axes[i] of x; RG_ALL_AXES reverses their order. dx = g with the inverse permutation.
   Errors: anything but a permutation. */
RG_API rg_node *rg_transpose(rg_node *x, rg_axes axes);
/* NumPy broadcasting: trailing axes are aligned, an axis of size 1 is repeated; -1 in the shape leaves x's size as it
   is. dx = g summed down to x's shape. */
RG_API rg_node *rg_broadcast_to(rg_node *x, rg_shape shape);
RG_API rg_node *rg_broadcast_like(rg_node *x, rg_node *like);

/* A constant of the dtype and shape of x, whose values are not used. Zero gradient. Errors: a value the dtype cannot
   hold (1.5 as i32). */
RG_API rg_node *rg_full_like(rg_node *x, double value);
RG_API rg_node *rg_zeros_like(rg_node *x);
RG_API rg_node *rg_ones_like(rg_node *x);

/* ---- parts ---- */

/* Elements start, start + step, ... before stop along one axis, as Python's x[start:stop:step]: negative positions
   count from the end (stop = -1 leaves the last element out), what lies outside is clipped, the result may be empty.
   RG_END is the end: behind the last element as a stop, and, with a negative step, the last element as a start and
   before the first as a stop, so that (RG_END, RG_END, -1) turns the axis round. Positions are numbers or named
   dimensions. dx = zeros with g put in. Errors: step 0; named positions of which either may come first; in rg_run, a
   bound size so short that positions would be clipped otherwise than when the slice was built. */
RG_API rg_node *rg_slice(rg_node *x, int axis, int64_t start, int64_t stop);
RG_API rg_node *rg_slice_step(rg_node *x, int axis, int64_t start, int64_t stop, int64_t step);
/* Joined along an existing axis: [a, n_0, b], [a, n_1, b], .. -> [a, n_0 + n_1 + .., b]; one dtype, and sizes that
   agree along all other axes. At least one input. dx_i = the part of g that x_i became. */
RG_API rg_node *rg_concat(rg_nodes xs, int axis);
/* Joined along a new axis, which becomes axis `axis` of the result; inputs of one shape. dx_i = g at position i. */
RG_API rg_node *rg_stack(rg_nodes xs, int axis);

/* `parts` parts of equal size along an axis, whose size is a plain number. The list lives as long as the graph; empty
   on error. Errors: RG_ERR_SHAPE where the size is named or `parts` does not divide it. */
RG_API rg_nodes rg_split(rg_node *x, int axis, int64_t parts);

/* ---- other orders and edges: compositions of slices and concatenations, and so are their gradients ---- */

/* The order along the axes (RG_ALL_AXES: all) turned round. dx = flip(g). */
RG_API rg_node *rg_flip(rg_node *x, rg_axes axes);
/* Element i goes to place (i + shift) mod n of the axis, as numpy.roll. Along a named size, |shift| <= n, which is
   checked in rg_run. dx = roll(g, -shift). */
RG_API rg_node *rg_roll(rg_node *x, int axis, int64_t shift);
/* x repeated times.dim[k] times along axis k, as numpy.tile; one number an axis, 0 leaves nothing. dx = g summed over
   the copies. */
RG_API rg_node *rg_tile(rg_node *x, rg_shape times);

typedef enum rg_pad_mode {
    RG_PAD_CONSTANT, /* `value` */
    RG_PAD_REFLECT,  /* a mirror at the outermost element, which is not repeated; at most n - 1 elements */
    RG_PAD_REPLICATE /* the outermost element; n >= 1 */
} rg_pad_mode;
/* [.., n, ..] -> [.., before + n + after, ..]; `value` counts for RG_PAD_CONSTANT alone. dx_i = the sum of g wherever
   x_i went. Errors: negative widths, an axis too short to reflect or replicate; in rg_run where its size is named. */
RG_API rg_node *rg_pad(rg_node *x, int axis, int64_t before, int64_t after, rg_pad_mode mode, double value);

/* ---- triangles and diagonals; zero elsewhere ---- */

/* 1 where row and column are equal. */
RG_API rg_node *rg_eye(rg_graph *g, rg_dtype dtype, int64_t rows, int64_t columns);
/* Of the matrices of the last two axes, what stands where column <= row + k (tril) or column >= row + k (triu). */
RG_API rg_node *rg_tril(rg_node *x, int64_t k);
RG_API rg_node *rg_triu(rg_node *x, int64_t k);
/* [n] -> [n, n] with x on the diagonal, any dtype; [n, n] -> [n], the diagonal, f32, f64, i32 and i64. */
RG_API rg_node *rg_diag(rg_node *x);

/* ---- by index (u8, i32 or i64; indices count from 0, negative ones are outside) ---- */

/* x [p.., n, r..], index [m..] -> [p.., m.., r..]: slices of x picked along `axis`, index's axes in place of it.
   dx = scatter_add(g, index, x); none for the index. An index outside [0, n) is an error of rg_run. */
RG_API rg_node *rg_gather(rg_node *x, rg_node *index, int axis);
/* updates [p.., m.., r..], index [m..], like [p.., n, r..] -> the shape of `like`: zeros, with the slices of `updates`
   added at `index` along `axis` of `like`. Equal indices add up in index order, whatever the number of threads. f32,
   f64, i32 and i64 (which wrap). dupdates = gather(g, index). An index outside [0, n) is an error of rg_run. */
RG_API rg_node *rg_scatter_add(rg_node *updates, rg_node *index, rg_node *like, int axis);
/* Rows of a table [n, width] by index [m..] -> [m.., width]: gather along axis 0. */
RG_API rg_node *rg_embedding(rg_node *table, rg_node *index);
/* [..] -> [.., classes] of `dtype` (any): 1 at the index, 0 elsewhere; an index outside [0, classes) gives zeros. Zero
   gradient. */
RG_API rg_node *rg_one_hot(rg_node *index, int64_t classes, rg_dtype dtype);
/* lengths [..], like [T, ..] -> bool [T, ..lengths]: whether t < length, the steps that belong to each of many
   sequences. Only the leading size of `like` is used. Zero gradient. A length outside [0, T] is an error of rg_run; of
   the builder where the lengths are a constant. */
RG_API rg_node *rg_sequence_mask(rg_node *lengths, rg_node *like);
/* start, start + step, ...: n elements of f32, f64 (start + i step, rounded once more for f32), i32 or i64 (whole start
   and step, wrapping). */
RG_API rg_node *rg_arange(rg_graph *g, rg_dtype dtype, double start, double step, int64_t n);

#ifdef __cplusplus
}
#endif

#endif
