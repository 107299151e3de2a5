/* stream.c - the copy with the stores that x86 has for this; elsewhere an ordinary one. */
#include "stream.h"

#include <stdint.h>
#include <string.h>

#if defined(__SSE2__)
#include <emmintrin.h>

#define LINE 64

void rgi_stream_copy(void *to, const void *from, size_t bytes, const void *ahead)
{
    char *y = to;
    const char *x = from;
    const size_t before = (LINE - (uintptr_t)y % LINE) % LINE, head = before < bytes ? before : bytes;
    memcpy(y, x, head);
    size_t at = head;
    for (; at + LINE <= bytes; at += LINE) {
        if (ahead)
            __builtin_prefetch((const char *)ahead + at);
        for (size_t i = 0; i < LINE; i += sizeof(__m128i))
            _mm_stream_si128((__m128i *)(void *)(y + at + i),
                             _mm_loadu_si128((const __m128i *)(const void *)(x + at + i)));
    }
    memcpy(y + at, x + at, bytes - at);
}

void rgi_stream_end(void)
{
    _mm_sfence();
}
#else
void rgi_stream_copy(void *to, const void *from, size_t bytes, const void *ahead)
{
    (void)ahead;
    memcpy(to, from, bytes);
}

void rgi_stream_end(void)
{
}
#endif
