/* json.h - a strict reader for the small JSON of safetensors headers (RFC 8259): a cursor over text that it changes. */
#ifndef RGI_IO_JSON_H
#define RGI_IO_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The reader takes what the caller expects next; there is no recursion, so nesting is as deep as the caller goes.
   The first failure stands: every later call fails too. */
typedef struct rgi_json {
    char *text;        /* strings are decoded in place */
    size_t n, at;      /* length, position of the next byte */
    const char *error; /* what was expected at `at`, or NULL */
} rgi_json;

/* Position of the next byte that is no white space. */
size_t rgi_json_at(rgi_json *j);
/* Takes `c` after white space; fails if something else stands there. */
bool rgi_json_take(rgi_json *j, char c);
/* Takes `c` after white space if it stands there. */
bool rgi_json_try(rgi_json *j, char c);
/* A string, decoded to UTF-8 and ended with a NUL byte; NULL on failure. U+0000 is refused. Lives in the text. */
const char *rgi_json_string(rgi_json *j);
/* A whole number from 0 to 2^63 - 1, without sign, fraction or exponent. */
bool rgi_json_integer(rgi_json *j, int64_t *out);
/* Nothing but white space is left. */
bool rgi_json_end(rgi_json *j);

/* Writes a byte of UTF-8 as it stands in a string, escaped where it must be; returns how many bytes that takes. */
#define RGI_JSON_ESCAPE 8
size_t rgi_json_escape(char c, char to[RGI_JSON_ESCAPE]);

/* Whether `n` bytes are well-formed UTF-8. */
bool rgi_utf8_valid(const char *text, size_t n);

#endif
