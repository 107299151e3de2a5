/* sheet.c - growing text and where it goes. */
#define _POSIX_C_SOURCE 200809L

#include "sheet.h"

#include "fault.h"

#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Room for n more characters and the final zero. */
static bool room(rgi_sheet *s, size_t n)
{
    if (s->n + n < s->capacity)
        return true;
    const size_t larger = 2 * (s->n + n + 512);
    char *at = realloc(s->at, larger);
    s->failed = !at;
    if (!at)
        return false;
    s->at = at;
    s->capacity = larger;
    return true;
}

void rgi_sheet_put(rgi_sheet *s, const char *format, ...)
{
    /* numbers have a point, whatever the host's locale says: programs read tables and pictures */
    const locale_t plain = s->failed ? (locale_t)0 : newlocale(LC_ALL_MASK, "C", (locale_t)0);
    s->failed = !plain;
    if (!plain)
        return;
    const locale_t before = uselocale(plain);
    va_list args;
    va_start(args, format);
    const int n = vsnprintf(NULL, 0, format, args);
    va_end(args);
    s->failed = n < 0;
    if (!s->failed && room(s, (size_t)n)) {
        va_start(args, format);
        vsnprintf(s->at + s->n, (size_t)n + 1, format, args);
        va_end(args);
        s->n += (size_t)n;
    }
    uselocale(before);
    freelocale(plain);
}

#define MOST_NAMES 100

/* A file beside `path`, which takes its place once it is whole: new, and of nobody else. *name: to be freed. Returns
   NULL with errno set. */
static FILE *open_beside(const char *path, char **name)
{
    const size_t bytes = strlen(path) + 48;
    int fd = -1;
    *name = malloc(bytes);
    for (int i = 0; *name && fd < 0 && i < MOST_NAMES; i++) {
        snprintf(*name, bytes, "%s.%ld-%d.new", path, (long)getpid(), i);
        fd = open(*name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (fd < 0 && errno != EEXIST)
            break;
    }
    FILE *f = fd < 0 ? NULL : fdopen(fd, "wb");
    if (fd >= 0 && !f) {
        const int why = errno;
        close(fd);
        remove(*name);
        errno = why;
    }
    return f;
}

rg_status rgi_sheet_write(rgi_sheet *s, const char *caller, const char *path)
{
    char *temp = NULL;
    FILE *f = s->failed ? NULL : open_beside(path, &temp);
    rg_status status = RG_OK;
    if (!temp) {
        status = rgi_fault(RG_ERR_MEMORY, "%s: %s: out of memory", caller, path);
    } else {
        const bool written = f && fwrite(s->at, 1, s->n, f) == s->n;
        if (!f || (fclose(f) != 0) || !written || rename(temp, path) != 0) {
            status = rgi_fault(RG_ERR_IO, "%s: %s: %s", caller, path, strerror(errno));
            if (f)
                remove(temp);
        }
    }
    free(temp);
    rgi_sheet_free(s);
    return status;
}

rg_status rgi_sheet_try(const char *caller, const char *path)
{
    struct stat info;
    if (stat(path, &info) == 0 && S_ISDIR(info.st_mode))
        return rgi_fault(RG_ERR_IO, "%s: %s: %s", caller, path, strerror(EISDIR));
    char *temp;
    FILE *f = open_beside(path, &temp);
    const int why = errno;
    if (!temp)
        return rgi_fault(RG_ERR_MEMORY, "%s: %s: out of memory", caller, path);
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
