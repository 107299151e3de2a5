/* sheet.c - growing text and where it goes. */
#define _POSIX_C_SOURCE 200809L

#include "sheet.h"

#include "fault.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

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

/* The name under which a file is written before it takes its place, to be freed; NULL: out of memory. */
static char *temporary(const char *path)
{
    const size_t bytes = strlen(path) + sizeof ".new";
    char *name = malloc(bytes);
    if (name)
        snprintf(name, bytes, "%s.new", path);
    return name;
}

rg_status rgi_sheet_write(rgi_sheet *s, const char *caller, const char *path)
{
    char *temp = temporary(path);
    rg_status status = RG_OK;
    if (!temp || s->failed) {
        status = rgi_fault(RG_ERR_MEMORY, "%s: %s: out of memory", caller, path);
    } else {
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

rg_status rgi_sheet_try(const char *caller, const char *path)
{
    char *temp = temporary(path);
    if (!temp)
        return rgi_fault(RG_ERR_MEMORY, "%s: %s: out of memory", caller, path);
    struct stat info;
    const bool taken = stat(path, &info) == 0 && S_ISDIR(info.st_mode);
    FILE *f = taken ? NULL : fopen(temp, "wb");
    const int why = taken ? EISDIR : errno;
    if (f) {
        fclose(f);
        remove(temp);
    }
    free(temp);
    return f ? RG_OK : rgi_fault(RG_ERR_IO, "%s: %s: %s", caller, path, strerror(why));
}

void rgi_sheet_free(rgi_sheet *s)
{
    free(s->at);
    *s = (rgi_sheet){0};
}
