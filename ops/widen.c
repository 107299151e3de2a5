/* widen.c - blocks of elements of any type read as i64 or f64 and written back. */
#include "widen.h"

#include "../graph/bf16.h"

void rgi_to_i64(rg_dtype dtype, const void *x, size_t first, size_t n, int64_t *out)
{
    const int64_t *i64 = (const int64_t *)x + first;
    const int32_t *i32 = (const int32_t *)x + first;
    const uint8_t *u8 = (const uint8_t *)x + first;
    if (dtype == RG_I64)
        for (size_t i = 0; i < n; i++)
            out[i] = i64[i];
    else if (dtype == RG_I32)
        for (size_t i = 0; i < n; i++)
            out[i] = i32[i];
    else
        for (size_t i = 0; i < n; i++)
            out[i] = u8[i];
}

void rgi_to_f64(rg_dtype dtype, const void *x, size_t first, size_t n, double *out)
{
    const double *f64 = (const double *)x + first;
    const float *f32 = (const float *)x + first;
    const uint16_t *bf16 = (const uint16_t *)x + first;
    if (dtype == RG_F64)
        for (size_t i = 0; i < n; i++)
            out[i] = f64[i];
    else if (dtype == RG_BF16)
        for (size_t i = 0; i < n; i++)
            out[i] = (double)rgi_bf16_to_f32(bf16[i]);
    else
        for (size_t i = 0; i < n; i++)
            out[i] = (double)f32[i];
}

void rgi_from_i64(rg_dtype dtype, const int64_t *x, size_t first, size_t n, void *out)
{
    int64_t *i64 = (int64_t *)out + first;
    int32_t *i32 = (int32_t *)out + first;
    uint8_t *u8 = (uint8_t *)out + first;
    if (dtype == RG_I64)
        for (size_t i = 0; i < n; i++)
            i64[i] = x[i];
    else if (dtype == RG_I32)
        for (size_t i = 0; i < n; i++)
            i32[i] = (int32_t)(uint32_t)(uint64_t)x[i];
    else
        for (size_t i = 0; i < n; i++)
            u8[i] = (uint8_t)x[i];
}
