/* tensor.h - where the values of a concrete tensor come from: memory of their own, or a mapped file. */
#ifndef RGI_TENSOR_H
#define RGI_TENSOR_H

#include <retrograde/base.h>

/* Makes *t a view of values at `data` inside `bytes` bytes at `base` that mmap gave; rg_tensor_free unmaps them. When
   memory is short the mapping stays the caller's and *t is left empty. */
rg_status rgi_tensor_map(rg_tensor *t, rg_dtype dtype, rg_shape shape, void *data, void *base, size_t bytes);

#endif
