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

#endif
