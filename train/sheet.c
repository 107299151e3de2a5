/* sheet.c - growing text and where it goes. */
#include "sheet.h"

#include "fault.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void rgi_sheet_put(rgi_sheet *s, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    const int n = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (n < 0 || s->failed)
        return;
    if (s->n + (size_t)n >= s->capacity) {
        const size_t larger = 2 * (s->n + (size_t)n + 512);
        char *at = realloc(s->at, larger);
        s->failed = !at;
        if (!at)
            return;
        s->at = at;
        s->capacity = larger;
    }
    va_start(args, format);
    vsnprintf(s->at + s->n, (size_t)n + 1, format, args);
    va_end(args);
    s->n += (size_t)n;
}

rg_status rgi_sheet_write(rgi_sheet *s, const char *caller, const char *path)
{
    const size_t bytes = strlen(path) + 5;
    char *temp = malloc(bytes);
    rg_status status = RG_OK;
    if (!temp || s->failed) {
        status = rgi_fault(RG_ERR_MEMORY, "%s: %s: out of memory", caller, path);
    } else {
        snprintf(temp, bytes, "%s.new", path);
        FILE *f = fopen(temp, "wb");
        const bool written = f && fwrite(s->at, 1, s->n, f) == s->n;
        if (!f || (fclose(f) != 0) || !written || rename(temp, path) != 0) {
            status = rgi_fault(RG_ERR_IO, "%s: %s: %s", caller, path, strerror(errno));
            remove(temp);
        }
    }
    free(temp);
    rgi_sheet_free(s);
    return status;
}

void rgi_sheet_free(rgi_sheet *s)
{
    free(s->at);
    *s = (rgi_sheet){0};
}
