/* fill.c - one number as a value of any element type. */
#include "fill.h"
#include "common.h"

#include "../graph/bf16.h"

#include <math.h>
#include <string.h>

bool rgi_representable(rg_dtype dtype, double *value)
{
    static const struct {
        double lo, hi;
    } range[RG_DTYPE_COUNT] = {
        [RG_I32] = {-0x1p31, 0x1p31 - 1},
        [RG_I64] = {-0x1p63, 0x1p63 - 1024},
        [RG_U8] = {0, 255},
        [RG_BOOL] = {0, 1},
    };
    if (dtype == RG_F32)
        *value = (double)(float)*value;
    if (dtype == RG_BF16)
        *value = (double)rgi_bf16_to_f32(rgi_bf16_of_f64(*value));
    if (rg_dtype_is_float(dtype))
        return true;
    return *value >= range[dtype].lo && *value <= range[dtype].hi && *value == floor(*value);
}

void rgi_fill_with(size_t size, size_t n, const void *x, void *y)
{
    switch (size) {
    case 1:
        memset(y, *(const unsigned char *)x, n);
        break;
    case 4:
        rgi_kernels(RG_F32)->repeat(n, x, y);
        break;
    case 8:
        rgi_kernels(RG_F64)->repeat(n, x, y);
        break;
    default:
        for (size_t i = 0; i < n; i++)
            memcpy((char *)y + 2 * i, x, 2);
    }
}

void rgi_fill(rg_dtype dtype, double value, size_t lo, size_t hi, void *out)
{
    void *const at = (char *)out + lo * rg_dtype_size(dtype);
    switch (dtype) {
    case RG_F32:
    case RG_F64:
        rgi_kernels(dtype)->fill(hi - lo, value, at);
        break;
    case RG_BF16:
        rgi_fill_with(2, hi - lo, &(uint16_t){rgi_bf16_of_f64(value)}, at);
        break;
    case RG_I32:
        rgi_fill_with(4, hi - lo, &(int32_t){(int32_t)value}, at);
        break;
    case RG_I64:
        rgi_fill_with(8, hi - lo, &(int64_t){(int64_t)value}, at);
        break;
    default: /* u8, bool */
        memset(at, (int)value, hi - lo);
    }
}
