/* json.c - the strict JSON reader. */
#include "json.h"

#include <stdio.h>
#include <string.h>

static bool fail(rgi_json *j, size_t at, const char *error)
{
    if (!j->error) {
        j->at = at;
        j->error = error;
    }
    return false;
}

size_t rgi_json_at(rgi_json *j)
{
    while (!j->error && j->at < j->n && j->text[j->at] && strchr(" \t\r\n", j->text[j->at]))
        j->at++;
    return j->at;
}

bool rgi_json_try(rgi_json *j, char c)
{
    if (j->error)
        return false;
    rgi_json_at(j);
    if (j->at >= j->n || j->text[j->at] != c)
        return false;
    j->at++;
    return true;
}

bool rgi_json_take(rgi_json *j, char c)
{
    if (rgi_json_try(j, c))
        return true;
    switch (c) {
    case '{':
        return fail(j, j->at, "'{' expected");
    case '}':
        return fail(j, j->at, "',' or '}' expected");
    case '[':
        return fail(j, j->at, "'[' expected");
    case ']':
        return fail(j, j->at, "',' or ']' expected");
    case ':':
        return fail(j, j->at, "':' expected");
    default:
        return fail(j, j->at, "',' expected");
    }
}

bool rgi_json_end(rgi_json *j)
{
    if (j->error)
        return false;
    return rgi_json_at(j) == j->n || fail(j, j->at, "text after the end of the object");
}

/* Length of the well-formed sequence that starts at p (RFC 3629, table 3-7 of the Unicode standard), or 0. */
static size_t utf8_length(const unsigned char *p, size_t n)
{
    const unsigned char c = p[0];
    if (c < 0x80)
        return 1;
    const size_t length = c >= 0xC2 && c <= 0xDF ? 2 : c >= 0xE0 && c <= 0xEF ? 3 : c >= 0xF0 && c <= 0xF4 ? 4 : 0;
    if (length == 0 || length > n)
        return 0;
    const unsigned char lo = c == 0xE0 ? 0xA0 : c == 0xF0 ? 0x90 : 0x80;
    const unsigned char hi = c == 0xED ? 0x9F : c == 0xF4 ? 0x8F : 0xBF;
    if (p[1] < lo || p[1] > hi)
        return 0;
    for (size_t i = 2; i < length; i++)
        if ((p[i] & 0xC0) != 0x80)
            return 0;
    return length;
}

bool rgi_utf8_valid(const char *text, size_t n)
{
    for (size_t i = 0; i < n;) {
        const size_t length = utf8_length((const unsigned char *)text + i, n - i);
        if (length == 0)
            return false;
        i += length;
    }
    return true;
}

size_t rgi_json_escape(char c, char to[RGI_JSON_ESCAPE])
{
    if ((unsigned char)c < 0x20)
        return (size_t)snprintf(to, RGI_JSON_ESCAPE, "\\u%04x", (unsigned)c);
    const bool marked = c == '"' || c == '\\';
    to[0] = '\\';
    to[marked] = c;
    return 1 + (size_t)marked;
}

/* Four hexadecimal digits at `at`, or -1. */
static int32_t hex4(const rgi_json *j, size_t at)
{
    int32_t value = 0;
    if (j->n - at < 4)
        return -1;
    for (size_t i = at; i < at + 4; i++) {
        const char *digits = "0123456789abcdef",
                   c = j->text[i] >= 'A' && j->text[i] <= 'F' ? (char)(j->text[i] + 32) : j->text[i];
        const char *digit = c ? strchr(digits, c) : NULL;
        if (!digit)
            return -1;
        value = value * 16 + (int32_t)(digit - digits);
    }
    return value;
}

static size_t utf8_write(char *to, int32_t c)
{
    if (c < 0x80) {
        to[0] = (char)c;
        return 1;
    }
    const size_t length = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    for (size_t i = length - 1; i > 0; i--, c >>= 6)
        to[i] = (char)(0x80 | (c & 0x3F));
    to[0] = (char)((0xF0 << (4 - length)) | c);
    return length;
}

/* The character of the \u escape whose digits start at `at`, surrogate pairs joined; the bytes taken, or 0. */
static size_t unicode_escape(const rgi_json *j, size_t at, int32_t *c)
{
    *c = hex4(j, at);
    if (*c <= 0 || (*c >= 0xDC00 && *c <= 0xDFFF))
        return 0;
    if (*c < 0xD800 || *c > 0xDBFF)
        return 4;
    if (j->n - at < 10 || j->text[at + 4] != '\\' || j->text[at + 5] != 'u')
        return 0;
    const int32_t low = hex4(j, at + 6);
    if (low < 0xDC00 || low > 0xDFFF)
        return 0;
    *c = 0x10000 + ((*c - 0xD800) << 10) + (low - 0xDC00);
    return 10;
}

/* An escape is at least as long as what it stands for, so decoding in place never overtakes the reading. */
const char *rgi_json_string(rgi_json *j)
{
    static const char escapes[] = "\"\\/bfnrt", values[] = "\"\\/\b\f\n\r\t";
    if (!rgi_json_try(j, '"')) {
        fail(j, j->at, "a string expected");
        return NULL;
    }
    const size_t start = j->at;
    size_t from = start, to = start;
    while (from < j->n && j->text[from] != '"') {
        const unsigned char c = (unsigned char)j->text[from];
        if (c < 0x20) {
            fail(j, from, "a control character in a string");
            return NULL;
        }
        if (c != '\\') {
            const size_t length = utf8_length((const unsigned char *)j->text + from, j->n - from);
            if (length == 0) {
                fail(j, from, "bytes that are not UTF-8 in a string");
                return NULL;
            }
            memmove(j->text + to, j->text + from, length);
            from += length;
            to += length;
            continue;
        }
        const char e = from + 1 < j->n ? j->text[from + 1] : '\0';
        const char *simple = e ? strchr(escapes, e) : NULL;
        int32_t code = 0;
        const size_t taken = simple ? 0 : e == 'u' ? unicode_escape(j, from + 2, &code) : 0;
        if (!simple && taken == 0) {
            fail(j, from, "a bad escape in a string");
            return NULL;
        }
        to += utf8_write(j->text + to, simple ? values[simple - escapes] : code);
        from += 2 + taken;
    }
    if (from >= j->n) {
        fail(j, from, "the end of a string is missing");
        return NULL;
    }
    j->text[to] = '\0'; /* at most on the closing quote */
    j->at = from + 1;
    return j->text + start;
}

bool rgi_json_integer(rgi_json *j, int64_t *out)
{
    if (j->error)
        return false;
    const size_t start = rgi_json_at(j);
    int64_t value = 0;
    while (j->at < j->n && j->text[j->at] >= '0' && j->text[j->at] <= '9') {
        const int digit = j->text[j->at] - '0';
        if (value > (INT64_MAX - digit) / 10)
            return fail(j, start, "a number too large");
        value = value * 10 + digit;
        j->at++;
    }
    if (j->at == start)
        return fail(j, start, "a whole number expected");
    if (j->at - start > 1 && j->text[start] == '0')
        return fail(j, start, "a number with a leading zero");
    if (j->at < j->n && j->text[j->at] && strchr(".eE", j->text[j->at]))
        return fail(j, start, "a whole number expected");
    *out = value;
    return true;
}
