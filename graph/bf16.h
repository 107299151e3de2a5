/* bf16.h - the upper half of an f32 as a number to be stored: rounded to nearest, ties to even, NaN stays NaN. */
#ifndef RGI_BF16_H
#define RGI_BF16_H

#include <retrograde/base.h>

#include <math.h>
#include <stdint.h>
#include <string.h>

static inline float rgi_bf16_to_f32(uint16_t x)
{
    const uint32_t bits = (uint32_t)x << 16;
    float out;
    memcpy(&out, &bits, sizeof out);
    return out;
}

static inline uint16_t rgi_bf16_of_f32(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    const uint32_t rounded = (bits + 0x7FFF + (bits >> 16 & 1)) >> 16, quiet = bits >> 16 | 0x40;
    return (uint16_t)((bits & 0x7FFFFFFF) > 0x7F800000 ? quiet : rounded);
}

/* Rounded once: an f32 in between that is not exact is made odd, which no tie is. */
static inline uint16_t rgi_bf16_of_f64(double x)
{
    float near = (float)x;
    uint32_t bits;
    memcpy(&bits, &near, sizeof bits);
    if ((double)near != x && !isnan(x) && !isinf(x)) {
        bits -= fabs((double)near) > fabs(x);
        bits |= 1;
    }
    memcpy(&near, &bits, sizeof near);
    return rgi_bf16_of_f32(near);
}

/* Element i of a tensor of floats. */
static inline double rgi_float_at(rg_dtype dtype, const void *at, size_t i)
{
    return dtype == RG_F64    ? ((const double *)at)[i]
           : dtype == RG_BF16 ? (double)rgi_bf16_to_f32(((const uint16_t *)at)[i])
                              : (double)((const float *)at)[i];
}

#endif
