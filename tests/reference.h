/* reference.h - naive double-precision versions of the operators, written from their formulas with plain loops.
   Values of every dtype are held as double (64-bit integers of samples are small). */
#ifndef RETROGRADE_TESTS_REFERENCE_H
#define RETROGRADE_TESTS_REFERENCE_H

#include <retrograde/base.h>

#include <math.h>

typedef struct ref_tensor {
    rg_shape shape;
    double *at;
    double *scale; /* magnitude that the error is measured against (sum of |terms|); NULL: |at| itself */
} ref_tensor;

size_t ref_count(rg_shape shape);
/* Room for the values, zeroed, with a scale if wanted. */
void ref_new(ref_tensor *t, rg_shape shape, bool scaled);
void ref_free(ref_tensor *t);

/* NumPy broadcasting of two shapes that fit. */
rg_shape ref_broadcast(rg_shape a, rg_shape b);
/* Index into a tensor of shape `of`, broadcast to `shape`, for the linear index i of the latter. */
size_t ref_index(rg_shape shape, size_t i, rg_shape of);
/* Coordinates of a linear index, and back. */
void ref_coordinates(rg_shape shape, size_t i, int64_t at[RG_MAX_RANK]);
size_t ref_offset(rg_shape shape, const int64_t at[RG_MAX_RANK]);
/* A bit per axis of the list, negative ones counted from the end. */
unsigned ref_axes(rg_axes axes, int rank);
int ref_axis(int64_t axis, int rank);
/* The shape without the axes of the mask, or with size 1 there. */
rg_shape ref_reduced(rg_shape shape, unsigned mask, bool keepdims);
/* How many elements reduce to one, and where the i-th of those that reduce to element o of `kept` stands. */
size_t ref_slice_count(rg_shape shape, unsigned mask);
size_t ref_slice_index(rg_shape shape, rg_shape kept, unsigned mask, size_t o, size_t i);

#endif
