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

static void fill_16(uint16_t value, size_t n, uint16_t *y)
{
    for (size_t i = 0; i < n; i++)
        y[i] = value;
}

static void fill_32(int32_t value, size_t n, int32_t *y)
{
    for (size_t i = 0; i < n; i++)
        y[i] = value;
}

static void fill_64(int64_t value, size_t n, int64_t *y)
{
    for (size_t i = 0; i < n; i++)
        y[i] = value;
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
        fill_16(rgi_bf16_of_f64(value), hi - lo, at);
        break;
    case RG_I32:
        fill_32((int32_t)value, hi - lo, at);
        break;
    case RG_I64:
        fill_64((int64_t)value, hi - lo, at);
        break;
    default: /* u8, bool */
        memset(at, (int)value, hi - lo);
    }
}
