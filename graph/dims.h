/* dims.h - sizes known only when data is bound. While a graph is built, each name stands for a prime under each of two
   assignments; a size that differs between the two depends on names. */
#ifndef RGI_DIMS_H
#define RGI_DIMS_H

#include <retrograde/base.h>

/* A named dimension: prime * multiple_of stands for it. Everything made from names (rg_dim_add, rg_dim_mul, shape
   rules) is a noted size. */
typedef struct rgi_dim {
    const char *name; /* "batch" */
    int64_t a, b;     /* what stands for it under the two assignments */
    int64_t multiple_of;
} rgi_dim;

typedef struct rgi_dims {
    rgi_dim *at;
    size_t n, capacity;
    struct rgi_noted *noted; /* every size of the graph that depends on names */
    size_t n_noted, noted_capacity;
} rgi_dims;

/* The value under the second assignment of a number the user wrote (under the first): the number itself, or that of the
   dimension or noted size it is. RG_ERR_ARGUMENT (last error set) when it looks like arithmetic on a named
   dimension. */
rg_status rgi_dim_second(const rg_graph *g, int64_t a, int64_t *b);
/* What a size that depends on names is with these: false where it is negative or no integer, or depends on none. */
bool rgi_dim_value(const rg_graph *g, int64_t a, const int64_t *sizes, int64_t *out);

/* How a size depends on the names: coefficient * product of names^power, or one name * scale + addend (the slices and
   windows of named axes), times a product. Made once per distinct size when compiling. */
#define RGI_FORMULA_NAMES 6
typedef struct rgi_formula { /* numerator / denominator * product of names * (affine part, 1 without one) */
    int64_t numerator, denominator;
    int32_t n;                        /* names in the product */
    int32_t name[RGI_FORMULA_NAMES];  /* indices of base dimensions, repeated for powers */
    int32_t affine;                   /* a base dimension, or -1 ... */
    int64_t affine_scale, affine_add; /* ... whose value * scale + add (exact, over affine_div) is a factor */
    int64_t affine_div;
} rgi_formula;

/* Finds the formula that gives a under the first and b under the second assignment. False: there is none, the size came
   from arithmetic that named dimensions do not allow. */
bool rgi_formula_find(const rg_graph *g, int64_t a, int64_t b, rgi_formula *out);
/* Which named dimension a formula is by itself, or -1. */
static inline int32_t rgi_formula_name(const rgi_formula *f)
{
    const bool plain = f->n == 1 && f->numerator == 1 && f->denominator == 1 && f->affine < 0;
    return plain ? f->name[0] : -1;
}
/* Its value for sizes[i] of the i-th dimension (base dimensions only are read). False: not an integer, negative, or
   too large. */
bool rgi_formula_value(const rgi_formula *f, const int64_t *sizes, int64_t *out);
/* Remembers a size that differs between the assignments, once it is known to have a formula. False: it has none, or
   memory is short; error recorded for the op `who`. */
bool rgi_dims_note(rg_graph *g, const char *who, int64_t a, int64_t b);
void rgi_dims_finish(rg_graph *g);
/* "batch*784", "(time-1)*batch", "time*3/4". */
const char *rgi_formula_format(const rg_graph *g, const rgi_formula *f, char *buffer, size_t size);
/* "batch*784", "time-1", or the number, for a size under either assignment. */
const char *rgi_format_size(const rg_graph *g, int64_t a, char *buffer, size_t size);

#endif
