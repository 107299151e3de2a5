/* base.h - what every other header needs: status, element types, shapes, lists, concrete tensors. */
#ifndef RETROGRADE_BASE_H
#define RETROGRADE_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
#include <initializer_list>
#endif

#define RG_VERSION_MAJOR 0
#define RG_VERSION_MINOR 1
#define RG_VERSION_PATCH 0

#if defined(_WIN32)
#define RG_API
#define RG_CHECKED
#else
#define RG_API __attribute__((visibility("default")))
#define RG_CHECKED __attribute__((warn_unused_result))
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* ---- status ---------------------------------------------------------------------------------- */

/* The result of everything that can fail and does not return a pointer. RG_OK is zero. */
typedef enum rg_status {
    RG_OK = 0,
    RG_ERR_ARGUMENT, /* an argument outside its domain (a NULL, a negative size, an unknown option) */
    RG_ERR_SHAPE,    /* shapes that do not fit each other or the operation */
    RG_ERR_DTYPE,    /* an element type the operation does not take */
    RG_ERR_NAME,     /* a name that is taken, unknown or malformed */
    RG_ERR_REGION,   /* nodes of two unrelated scan bodies mixed, a body left open, ... */
    RG_ERR_GRADIENT, /* a derivative that does not exist */
    RG_ERR_STATE,    /* an object that is not ready: unbound input, no run yet, conflicting effects */
    RG_ERR_MEMORY,   /* an allocation failed */
    RG_ERR_IO,       /* the operating system refused to open, read or write a file */
    RG_ERR_FORMAT,   /* the bytes of a file are not what its format demands */
    RG_ERR_NUMERIC   /* a check for NaN or infinity fired */
} rg_status;

/* The text of the last failed call on this thread: never NULL, changed only by failing calls.
   The buffer belongs to the library and to the calling thread. */
RG_API const char *rg_last_error(void);

/* A short fixed name of a status, for logs: "shape", "memory", ... */
RG_API const char *rg_status_name(rg_status status);

/* "major.minor.patch" of the library that is linked. */
RG_API const char *rg_version(void);

/* ---- element types --------------------------------------------------------------------------- */

typedef enum rg_dtype {
    RG_F32 = 1,
    RG_F64,
    RG_I32,
    RG_I64,
    RG_U8,
    RG_BOOL, /* one byte, 0 or 1 */
    /* The upper half of an f32, for storage: of inputs, constants, frozen parameters and buffers, which rg_cast,
       rg_reshape, rg_transpose, rg_full_like and the products of ops/linalg.h (they sum in f32) take. Where these
       headers say "any dtype", this one is not meant. */
    RG_BF16,
    RG_DTYPE_COUNT
} rg_dtype;

RG_API size_t rg_dtype_size(rg_dtype dtype);      /* bytes an element; 0 for an unknown type */
RG_API const char *rg_dtype_name(rg_dtype dtype); /* "f32", "i64", ... */
RG_API bool rg_dtype_is_float(rg_dtype dtype);    /* f32, f64, bf16 */

/* ---- shapes ---------------------------------------------------------------------------------- */

#define RG_MAX_RANK 8

/* A shape by value; `RG_SHAPE(32, 784)`, `RG_SCALAR`. A rank above RG_MAX_RANK is kept as it was
   written (the sizes beyond the eighth are not), so that the builder given it reports an error. */
typedef struct rg_shape {
    int32_t rank;
    int64_t dim[RG_MAX_RANK];
} rg_shape;

RG_API rg_shape rg_shape_make(const int64_t *dim, size_t rank);
RG_API bool rg_shape_equal(rg_shape a, rg_shape b);
/* Product of the sizes (1 for a scalar); -1 where it does not fit 63 bits or a size is negative. */
RG_API int64_t rg_shape_count(rg_shape shape);

/* A list of axes; a negative one counts from the end. `RG_AXES(0, -1)`, `RG_ALL_AXES`. */
typedef struct rg_axes {
    int32_t n; /* -1: all axes */
    int32_t axis[RG_MAX_RANK];
} rg_axes;

RG_API rg_axes rg_axes_make(const int32_t *axis, size_t n);
RG_API rg_axes rg_axes_all(void);

/* In slices: to the end of the axis. */
#define RG_END INT64_MAX
/* In option fields where zero is a legal other value. */
#define RG_OFF (-1.0)

/* ---- nodes and lists of nodes ---------------------------------------------------------------- */

typedef struct rg_graph rg_graph; /* being built; one thread at a time */
typedef struct rg_node rg_node;   /* a symbolic tensor; immutable, borrowed from its graph */
typedef struct rg_plan rg_plan;   /* compiled; one thread at a time */
typedef struct rg_scan rg_scan;   /* a recurrence being built */

/* A list of nodes, copied at the call it is given to. Lists the library returns live as long as the
   graph. An operation that fails returns an empty list. */
typedef struct rg_nodes {
    rg_node *const *at;
    size_t n;
} rg_nodes;

/* The i-th node of a list, NULL beyond its end. */
RG_API rg_node *rg_at(rg_nodes list, size_t i);

/* ---- memory ---------------------------------------------------------------------------------- */

/* Where a graph and its plans take memory from. `alloc` returns `bytes` bytes aligned to 64, or NULL;
   it must be callable from the threads that build or compile. Without one of yours, blocks of 2 MiB and more begin at a
   huge page and ask the system for such pages (madvise); one of yours does well to do the same. */
typedef struct rg_allocator {
    void *(*alloc)(void *user, size_t bytes);
    void (*free)(void *user, void *memory, size_t bytes);
    void *user;
} rg_allocator;

/* ---- concrete values ------------------------------------------------------------------------- */

/* Values in memory, row-major. `owner` is set by the functions that allocate `data` and is used by
   rg_tensor_free alone; a view made by hand leaves it NULL. */
typedef struct rg_tensor {
    rg_dtype dtype;
    rg_shape shape;
    void *data;
    void *owner;
} rg_tensor;

/* Allocates zeroed values, aligned to 64 bytes. Errors: RG_ERR_DTYPE, RG_ERR_SHAPE, RG_ERR_MEMORY;
   then *t is left empty. */
RG_API RG_CHECKED rg_status rg_tensor_alloc(rg_tensor *t, rg_dtype dtype, rg_shape shape);
/* Frees what an rg_ function allocated and empties *t; NULL, empty tensors and views are fine. */
RG_API void rg_tensor_free(rg_tensor *t);
/* Bytes of the values; 0 for an invalid tensor. */
RG_API size_t rg_tensor_bytes(const rg_tensor *t);

#ifdef __cplusplus
}

/* In C++ the list macros are functions over initializer lists; RG_NODES lives to the end of the full expression: as an
   argument, not in a variable or a field of options, whose list needs an array with a name: rg_nodes{array, n}. */
inline rg_shape rg_cpp_shape(std::initializer_list<int64_t> dim)
{
    return rg_shape_make(dim.begin(), dim.size());
}
inline rg_axes rg_cpp_axes(std::initializer_list<int32_t> axis)
{
    return rg_axes_make(axis.begin(), axis.size());
}
inline rg_nodes rg_cpp_nodes(std::initializer_list<rg_node *> nodes)
{
    return rg_nodes{nodes.begin(), nodes.size()};
}
#define RG_SHAPE(...) rg_cpp_shape({__VA_ARGS__})
#define RG_SCALAR rg_cpp_shape({})
#define RG_AXES(...) rg_cpp_axes({__VA_ARGS__})
#define RG_NODES(...) rg_cpp_nodes({__VA_ARGS__})
#else
#define RG_SHAPE(...) rg_shape_make((const int64_t[]){__VA_ARGS__}, sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t))
#define RG_SCALAR ((rg_shape){0, {0}})
#define RG_AXES(...) rg_axes_make((const int32_t[]){__VA_ARGS__}, sizeof((int32_t[]){__VA_ARGS__}) / sizeof(int32_t))
#define RG_NODES(...) \
    ((rg_nodes){(rg_node *const[]){__VA_ARGS__}, sizeof((rg_node *[]){__VA_ARGS__}) / sizeof(rg_node *)})
#endif
#define RG_ALL_AXES rg_axes_all()

#endif
