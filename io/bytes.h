/* bytes.h - the order of bytes in files against that of this machine. */
#ifndef RGI_IO_BYTES_H
#define RGI_IO_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

static inline bool rgi_host_is_little(void)
{
    const uint16_t one = 1;
    unsigned char first;
    memcpy(&first, &one, 1);
    return first == 1;
}

/* Reverses the bytes of each of n elements. */
static inline void rgi_swap_bytes(void *data, size_t n, size_t width)
{
    unsigned char *p = data;
    for (size_t i = 0; i < n; i++, p += width)
        for (size_t j = 0; j < width / 2; j++) {
            const unsigned char byte = p[j];
            p[j] = p[width - 1 - j];
            p[width - 1 - j] = byte;
        }
}

static inline void rgi_from_big_endian(void *data, size_t n, size_t width)
{
    if (rgi_host_is_little())
        rgi_swap_bytes(data, n, width);
}

/* From or to: the same exchange. */
static inline void rgi_little_endian(void *data, size_t n, size_t width)
{
    if (!rgi_host_is_little())
        rgi_swap_bytes(data, n, width);
}

#endif
