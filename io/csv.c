/* csv.c - tables of numbers as text (RFC 4180): one row a line, fields between separators, quoted or not.

   Numbers are C's, with a point whatever the locale says. The table grows with the file, never with a promise. */
#define _POSIX_C_SOURCE 200809L

#include <retrograde/io.h>

#include "../graph/error.h"
#include "source.h"

#include <ctype.h>
#include <inttypes.h>
#include <locale.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define FIELD 64 /* a number with more characters is refused */

struct table {
    const rgi_source *s;
    rg_csv_opts opts;
    size_t at;   /* of the next byte */
    size_t line; /* counted from 1 */
    double *values;
    size_t n, capacity, columns;
};

static bool at_end_of_line(const struct table *t)
{
    return t->at == t->s->n || t->s->bytes[t->at] == '\n' || t->s->bytes[t->at] == '\r';
}

/* Over "\n", "\r\n" or "\r". */
static void next_line(struct table *t)
{
    if (t->at < t->s->n && t->s->bytes[t->at] == '\r')
        t->at++;
    if (t->at < t->s->n && t->s->bytes[t->at] == '\n')
        t->at++;
    t->line++;
}

static rg_status fail(const struct table *t, size_t at, size_t column, const char *why, const char *text)
{
    return rgi_source_fail(t->s, at, "table", "line %zu, column %zu: %s%s%s%s", t->line, column + 1, why,
                           text ? " '" : "", text ? text : "", text ? "'" : "");
}

/* The text of a field without quotes and outer blanks. */
static rg_status take_field(struct table *t, size_t column, char text[FIELD])
{
    const unsigned char *b = t->s->bytes;
    const size_t start = t->at;
    size_t n = 0, end;
    while (t->at < t->s->n && (b[t->at] == ' ' || (b[t->at] == '\t' && t->opts.separator != '\t')))
        t->at++;
    const bool quoted = t->at < t->s->n && b[t->at] == '"';
    size_t from = t->at += quoted;
    while (t->at < t->s->n && (quoted ? b[t->at] != '"' : b[t->at] != (unsigned char)t->opts.separator) &&
           b[t->at] != '\n' && b[t->at] != '\r')
        t->at++;
    end = t->at;
    if (quoted) {
        if (t->at == t->s->n || b[t->at] != '"')
            return fail(t, from - 1, column, "the closing quote is missing", NULL);
        t->at++;
        while (t->at < t->s->n && b[t->at] == ' ')
            t->at++;
    }
    if (!at_end_of_line(t) && b[t->at] != (unsigned char)t->opts.separator)
        return fail(t, t->at, column, "text after the closing quote", NULL);
    while (end > from && (b[end - 1] == ' ' || b[end - 1] == '\t'))
        end--;
    while (from < end && b[from] == ' ')
        from++;
    if (end - from >= FIELD)
        return fail(t, start, column, "no number has so many characters", NULL);
    for (; from < end; from++)
        text[n++] = isprint(b[from]) ? (char)b[from] : '?';
    text[n] = '\0';
    return RG_OK;
}

static rg_status take_number(struct table *t, size_t column, double *value)
{
    char text[FIELD] = "", *end;
    const size_t start = t->at;
    const rg_status status = take_field(t, column, text);
    if (status)
        return status;
    if (!*text && t->opts.missing_is_nan) {
        *value = NAN;
        return RG_OK;
    }
    if (!*text)
        return fail(t, start, column, "the field is empty (missing_is_nan accepts that)", NULL);
    *value = strtod(text, &end);
    return *end ? fail(t, start, column, "a number expected, not", text) : RG_OK;
}

static rg_status add(struct table *t, double value)
{
    if (t->n == t->capacity) {
        const size_t larger = t->capacity ? 2 * t->capacity : 1024;
        double *values = larger <= SIZE_MAX / sizeof *values ? realloc(t->values, larger * sizeof *values) : NULL;
        if (!values)
            return rgi_fail(RG_ERR_MEMORY, "rg_read_csv: %s: out of memory for %zu numbers", t->s->path, larger);
        t->values = values;
        t->capacity = larger;
    }
    t->values[t->n++] = value;
    return RG_OK;
}

static rg_status read_row(struct table *t)
{
    const size_t start = t->at;
    for (size_t column = 0;; column++) {
        double value = 0;
        rg_status status = take_number(t, column, &value);
        if (!status)
            status = add(t, value);
        if (status)
            return status;
        const bool last = at_end_of_line(t);
        if (last && t->columns && column + 1 != t->columns)
            return rgi_source_fail(t->s, start, "table", "line %zu has %zu columns, those before it have %zu", t->line,
                                   column + 1, t->columns);
        if (last) {
            t->columns = column + 1;
            next_line(t);
            return RG_OK;
        }
        t->at++;
    }
}

static rg_status read_rows(struct table *t)
{
    if (t->s->n >= 3 && memcmp(t->s->bytes, "\xEF\xBB\xBF", 3) == 0)
        t->at = 3; /* a mark of UTF-8 */
    for (int64_t i = 0; i < t->opts.skip_lines && t->at < t->s->n; i++) {
        while (!at_end_of_line(t))
            t->at++;
        next_line(t);
    }
    while (t->at < t->s->n) {
        rg_status status = RG_OK;
        if (at_end_of_line(t)) /* an empty line */
            next_line(t);
        else
            status = read_row(t);
        if (status)
            return status;
    }
    return t->n ? RG_OK : rgi_source_fail(t->s, t->at, "table", "there is no row of numbers");
}

static rg_status convert(const struct table *t, rg_tensor *out)
{
    const size_t columns = t->columns ? t->columns : 1; /* there is a row */
    const rg_status status = rgi_file_tensor(t->s->caller, t->s->path, out, t->opts.dtype,
                                             RG_SHAPE((int64_t)(t->n / columns), (int64_t)columns));
    for (size_t i = 0; !status && i < t->n; i++)
        if (t->opts.dtype == RG_F64)
            ((double *)out->data)[i] = t->values[i];
        else
            ((float *)out->data)[i] = (float)t->values[i];
    return status;
}

rg_status rg_read_csv(const char *path, const rg_csv_opts *opts, rg_tensor *out)
{
    if (!out)
        return rgi_fail(RG_ERR_ARGUMENT, "rg_read_csv: out is NULL");
    *out = (rg_tensor){0};
    struct table t = {.opts = opts ? *opts : (rg_csv_opts){0}, .line = 1};
    if (!t.opts.separator)
        t.opts.separator = ',';
    if (!t.opts.dtype)
        t.opts.dtype = RG_F32;
    if (t.opts.dtype != RG_F32 && t.opts.dtype != RG_F64)
        return rgi_fail(RG_ERR_DTYPE, "rg_read_csv: a table is f32 or f64, not %s", rg_dtype_name(t.opts.dtype));
    if (t.opts.skip_lines < 0)
        return rgi_fail(RG_ERR_ARGUMENT, "rg_read_csv: skip_lines cannot be %" PRId64, t.opts.skip_lines);
    if (strchr("\n\r\" .+-", t.opts.separator) || isalnum((unsigned char)t.opts.separator))
        return rgi_fail(RG_ERR_ARGUMENT, "rg_read_csv: the separator cannot be '%c'", t.opts.separator);
    rgi_source s;
    rg_status status = rgi_source_open(&s, "rg_read_csv", path);
    if (status)
        return status;
    t.s = &s;
    const locale_t plain = newlocale(LC_NUMERIC_MASK, "C", (locale_t)0); /* a point, in any country */
    if (plain) {
        const locale_t before = uselocale(plain);
        status = read_rows(&t);
        uselocale(before);
        freelocale(plain);
    } else {
        status = rgi_fail(RG_ERR_MEMORY, "rg_read_csv: %s: out of memory", path);
    }
    if (!status)
        status = convert(&t, out);
    free(t.values);
    rgi_source_close(&s);
    return status;
}
