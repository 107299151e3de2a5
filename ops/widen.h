/* widen.h - blocks of elements of any type read as i64 or f64 and written back: the plain path of the types that have
   no kernels. */
#ifndef RGI_WIDEN_H
#define RGI_WIDEN_H

#include <retrograde/base.h>

/* Elements handled at a time, in arrays on the stack. */
#define RGI_BLOCK 256

/* Elements [first, first + n) of an integer or bool tensor. */
void rgi_to_i64(rg_dtype dtype, const void *x, size_t first, size_t n, int64_t *out);
/* The same of a float tensor. */
void rgi_to_f64(rg_dtype dtype, const void *x, size_t first, size_t n, double *out);

/* Writes elements [first, first + n) of an integer or bool tensor, keeping the low bits: arithmetic that wraps. */
void rgi_from_i64(rg_dtype dtype, const int64_t *x, size_t first, size_t n, void *out);

/* Integer arithmetic modulo 2^64, hence modulo 2^32 in the low bits. */
static inline int64_t rgi_add_wrap(int64_t a, int64_t b)
{
    return (int64_t)((uint64_t)a + (uint64_t)b);
}
static inline int64_t rgi_sub_wrap(int64_t a, int64_t b)
{
    return (int64_t)((uint64_t)a - (uint64_t)b);
}
static inline int64_t rgi_mul_wrap(int64_t a, int64_t b)
{
    return (int64_t)((uint64_t)a * (uint64_t)b);
}

#endif
