/* index.h - integer tensors that number rows, classes or elements: u8, i32 and i64. */
#ifndef RGI_INDEX_H
#define RGI_INDEX_H

#include <retrograde/op.h>

static inline bool rgi_is_index(rg_dtype dtype)
{
    return dtype == RG_I64 || dtype == RG_I32 || dtype == RG_U8;
}

static inline int64_t rgi_index_at(rg_dtype dtype, const void *index, size_t i)
{
    return dtype == RG_I64   ? ((const int64_t *)index)[i]
           : dtype == RG_I32 ? ((const int32_t *)index)[i]
                             : ((const uint8_t *)index)[i];
}

/* gather and scatter_add along `axis` where all axes in front of it are shared: each row has an index of its own.
   (gather.c) */
rg_node *rgi_gather_shared(rg_node *x, rg_node *index, int64_t axis);
rg_node *rgi_scatter_shared(rg_node *updates, rg_node *index, rg_node *like, int64_t axis);

#endif
