/* common.h - what op files share. */
#ifndef RGI_OPS_COMMON_H
#define RGI_OPS_COMMON_H

#include "../graph/graph.h"
#include "kernels/kernels.h"

#include <retrograde/ops.h>

/* Of at most `unit`, how many parts n has. */
static inline size_t rgi_parts(size_t n, size_t unit)
{
    return (n + unit - 1) / unit;
}

static inline size_t rgi_smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

static inline size_t rgi_larger(size_t a, size_t b)
{
    return a > b ? a : b;
}

/* The size, 1 at least, of parts of n that are about equal and at most `most`, or 1. */
static inline size_t rgi_even(size_t n, size_t most)
{
    const size_t parts = rgi_parts(n, rgi_larger(most, 1));
    return rgi_larger(rgi_parts(n, rgi_larger(parts, 1)), 1);
}

static inline size_t rgi_rounded(size_t bytes)
{
    return rgi_parts(bytes, 64) * 64;
}

/* The kernel table of a float dtype (f32 or f64). */
static inline const rgk_table *rgi_kernels(rg_dtype dtype)
{
    return rgk(dtype == RG_F64 ? RGK_F64 : RGK_F32);
}

/* What an op of one result is asked about from types alone: type[] holds those of the inputs, then that of the
   result. */
static inline rg_step rgi_typed_step(const rg_node *node, const rg_type *type)
{
    return (rg_step){.op = node->op,
                     .attr = node->attr,
                     .n_in = node->n_in,
                     .n_out = 1,
                     .in_type = type,
                     .out_type = type + node->n_in};
}

/* Number of elements of a concrete type; sizes are checked before a plan runs. */
static inline size_t rgi_count(const rg_type *type)
{
    size_t n = 1;
    for (int32_t i = 0; i < type->shape.rank; i++)
        n *= (size_t)type->shape.dim[i];
    return n;
}

/* Product of sizes [from, to). */
static inline size_t rgi_count_range(const rg_shape *shape, int32_t from, int32_t to)
{
    size_t n = 1;
    for (int32_t i = from; i < to; i++)
        n *= (size_t)shape->dim[i];
    return n;
}

/* Element i of a tensor of f32 or f64, read and written. */
static inline double rgi_get(rg_dtype dtype, const void *x, size_t i)
{
    return dtype == RG_F64 ? ((const double *)x)[i] : (double)((const float *)x)[i];
}
static inline void rgi_put(rg_dtype dtype, void *x, size_t i, double value)
{
    if (dtype == RG_F64)
        ((double *)x)[i] = value;
    else
        ((float *)x)[i] = (float)value;
}

#endif
