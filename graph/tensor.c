/* tensor.c - concrete tensors: who owns their values, and how these are given back. */
#define _POSIX_C_SOURCE 200809L

#include "tensor.h"

#include "arena.h"
#include "error.h"

#include <sys/mman.h>

/* What `owner` points to. Values in memory of their own lie behind it in the same block. */
typedef struct owner {
    void *mapping; /* NULL: none */
    size_t bytes;  /* of the mapping or the block */
} owner;

#define VALUES ((size_t)64) /* of a block begin here, aligned as promised */

size_t rg_tensor_bytes(const rg_tensor *t)
{
    if (!t)
        return 0;
    const int64_t count = rg_shape_count(t->shape);
    size_t bytes;
    if (count < 0 || !rgi_size_mul((size_t)count, rg_dtype_size(t->dtype), &bytes))
        return 0;
    return bytes;
}

rg_status rg_tensor_alloc(rg_tensor *t, rg_dtype dtype, rg_shape shape)
{
    if (!t)
        return rgi_fail(RG_ERR_ARGUMENT, "rg_tensor_alloc: the tensor is NULL");
    *t = (rg_tensor){0};
    if (!rg_dtype_size(dtype))
        return rgi_fail(RG_ERR_DTYPE, "rg_tensor_alloc: unknown element type %d", (int)dtype);
    char text[RGI_LABEL];
    const int64_t count = rg_shape_count(shape);
    size_t bytes, block;
    if (count < 0 || !rgi_size_mul((size_t)count, rg_dtype_size(dtype), &bytes) || !rgi_size_add(bytes, VALUES, &block))
        return rgi_fail(RG_ERR_SHAPE, "rg_tensor_alloc: %s is not a shape of values in memory",
                        rgi_format_type(NULL, dtype, shape, text, sizeof text));
    const rg_allocator memory = rgi_default_allocator();
    owner *o = rgi_alloc(&memory, block);
    if (!o)
        return rgi_fail(RG_ERR_MEMORY, "rg_tensor_alloc: out of memory for %s (%zu bytes)",
                        rgi_format_type(NULL, dtype, shape, text, sizeof text), bytes);
    o->bytes = block;
    *t = (rg_tensor){dtype, shape, (char *)o + VALUES, o};
    return RG_OK;
}

rg_status rgi_tensor_map(rg_tensor *t, rg_dtype dtype, rg_shape shape, void *data, void *base, size_t bytes)
{
    const rg_allocator memory = rgi_default_allocator();
    owner *o = rgi_alloc(&memory, sizeof *o);
    *t = (rg_tensor){0};
    if (!o)
        return rgi_fail(RG_ERR_MEMORY, "out of memory for a mapped tensor");
    *o = (owner){.mapping = base, .bytes = bytes};
    *t = (rg_tensor){dtype, shape, data, o};
    return RG_OK;
}

void rg_tensor_free(rg_tensor *t)
{
    if (!t)
        return;
    owner *o = t->owner;
    const rg_allocator memory = rgi_default_allocator();
    if (o && o->mapping)
        munmap(o->mapping, o->bytes);
    if (o)
        rgi_free(&memory, o, o->mapping ? sizeof *o : o->bytes);
    *t = (rg_tensor){0};
}
