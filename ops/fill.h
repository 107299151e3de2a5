/* fill.h - one number as a value of any element type, and written over and over. */
#ifndef RGI_FILL_H
#define RGI_FILL_H

#include <retrograde/base.h>

/* n times the element of `size` bytes (1, 2, 4 or 8) at x, to the bit. */
void rgi_fill_with(size_t size, size_t n, const void *x, void *y);

/* *value as an element of the type holds it, rounded; false where an integer or bool has no such element. */
bool rgi_representable(rg_dtype dtype, double *value);

/* Writes elements [lo, hi) of a tensor. */
void rgi_fill(rg_dtype dtype, double value, size_t lo, size_t hi, void *out);

#endif
