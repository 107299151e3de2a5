/* text.c - growing text. In front of the text a header remembers where its memory comes from, so that rg_text_free
   needs nothing but the text. */
#define _POSIX_C_SOURCE 200809L /* uselocale */

#include "text.h"

#include "error.h"

#include <retrograde/graph.h>

#include <locale.h>
#include <stdio.h>
#include <string.h>

typedef struct header {
    rg_allocator allocator;
    size_t bytes; /* of the block, header included */
} header;

#define RGI_TEXT_HEADER ((size_t)64)

void rgi_text_init(rgi_text *text, const rg_allocator *allocator)
{
    *text = (rgi_text){.allocator = *allocator};
}

/* Room for n more characters and the final zero. */
static bool room(rgi_text *text, size_t n)
{
    if (text->n + n < text->capacity)
        return true;
    size_t larger = text->capacity ? text->capacity : 4096;
    while (larger <= text->n + n)
        larger *= 2;
    char *const block = rgi_grow(&text->allocator, text->at ? text->at - RGI_TEXT_HEADER : NULL,
                                 text->at ? text->capacity + RGI_TEXT_HEADER : 0, larger + RGI_TEXT_HEADER);
    if (!block) {
        text->failed = true;
        return false;
    }
    *(header *)(void *)block = (header){text->allocator, larger + RGI_TEXT_HEADER};
    text->at = block + RGI_TEXT_HEADER;
    text->capacity = larger;
    return true;
}

void rgi_text_printf(rgi_text *text, const char *format, ...)
{
    /* numbers have a point, whatever the host's locale says: programs read pictures and traces */
    const locale_t plain = text->failed ? (locale_t)0 : newlocale(LC_ALL_MASK, "C", (locale_t)0);
    text->failed = !plain;
    if (!plain)
        return;
    const locale_t before = uselocale(plain);
    va_list args;
    va_start(args, format);
    const int n = vsnprintf(NULL, 0, format, args);
    va_end(args);
    text->failed = n < 0;
    if (!text->failed && room(text, (size_t)n)) {
        va_start(args, format);
        vsnprintf(text->at + text->n, (size_t)n + 1, format, args);
        va_end(args);
        text->n += (size_t)n;
    }
    uselocale(before);
    freelocale(plain);
}

void(rg_text_free)(char *text)
{
    if (!text)
        return;
    header *const block = (header *)(void *)(text - RGI_TEXT_HEADER);
    const header h = *block;
    rgi_free(&h.allocator, block, h.bytes);
}

char *rgi_text_take(rgi_text *text)
{
    if (!text->failed && room(text, 0)) {
        char *const taken = text->at;
        taken[text->n] = 0;
        *text = (rgi_text){.allocator = text->allocator};
        return taken;
    }
    (rg_text_free)(text->at);
    *text = (rgi_text){.allocator = text->allocator};
    rgi_fail(RG_ERR_MEMORY, "out of memory for a text");
    return NULL;
}
