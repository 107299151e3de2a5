/* text.c - growing text. In front of the text a header remembers where its memory comes from, so that rg_text_free
   needs nothing but the text. */
#include "text.h"

#include "error.h"

#include <retrograde/graph.h>

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
    va_list args;
    va_start(args, format);
    const int n = text->failed ? -1 : vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (n < 0 || !room(text, (size_t)n))
        return;
    va_start(args, format);
    vsnprintf(text->at + text->n, (size_t)n + 1, format, args);
    va_end(args);
    text->n += (size_t)n;
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
