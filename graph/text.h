/* text.h - text that grows, and becomes the caller's: dumps. */
#ifndef RGI_TEXT_H
#define RGI_TEXT_H

#include "arena.h"

typedef struct rgi_text {
    rg_allocator allocator;
    char *at; /* ended by a zero once anything was printed */
    size_t n, capacity;
    bool failed; /* memory was short: what follows is dropped */
} rgi_text;

void rgi_text_init(rgi_text *text, const rg_allocator *allocator);
void rgi_text_printf(rgi_text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Gives the text away, to be released with rg_text_free; NULL with rg_last_error set when memory was short. */
char *rgi_text_take(rgi_text *text);

#endif
