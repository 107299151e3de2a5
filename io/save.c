/* save.c - all parameters and buffers into a safetensors file, atomically. */
#define _POSIX_C_SOURCE 200809L

#include <retrograde/io.h>

#include "../graph/graph.h"
#include "bytes.h"
#include "json.h"
#include "safetensors.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define TEMP_TRIES 1000
#define TEMP_SUFFIX 48 /* ".<pid>-<try>.tmp" */

/* Text that is only measured where it does not fit. */
struct text {
    char *at;
    size_t size, n;
};

static void put(struct text *text, const char *bytes, size_t n)
{
    if (n <= text->size && text->n <= text->size - n)
        memcpy(text->at + text->n, bytes, n);
    text->n += n;
}

static void put_format(struct text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void put_format(struct text *text, const char *format, ...)
{
    char buffer[64];
    va_list args;
    va_start(args, format);
    const int n = vsnprintf(buffer, sizeof buffer, format, args);
    va_end(args);
    put(text, buffer, (size_t)n);
}

static void put_name(struct text *text, const char *name)
{
    put(text, "\"", 1);
    for (const char *c = name; *c; c++)
        if (*c == '"' || *c == '\\')
            put_format(text, "\\%c", *c);
        else if ((unsigned char)*c < 0x20)
            put_format(text, "\\u%04x", (unsigned)*c);
        else
            put(text, c, 1);
    put(text, "\"", 1);
}

/* Wide elements first, so that each tensor is aligned to its elements; then by name. */
static int by_width_and_name(const void *a, const void *b)
{
    const rgi_entry *x = *(rgi_entry *const *)a, *y = *(rgi_entry *const *)b;
    const size_t wx = rg_dtype_size(x->dtype), wy = rg_dtype_size(y->dtype);
    return wx != wy ? (wx > wy ? -1 : 1) : strcmp(x->name, y->name);
}

/* The header's length and text, padded so that the elements start at a multiple of 8. */
static void put_header(struct text *text, rgi_entry *const *entries, size_t n, uint64_t length)
{
    uint64_t at = 0;
    for (int i = 0; i < 8; i++)
        put(text, &(char){(char)(length >> 8 * i & 0xFF)}, 1);
    put(text, "{", 1);
    for (size_t i = 0; i < n; i++) {
        const rgi_entry *e = entries[i];
        if (i)
            put(text, ",", 1);
        put_name(text, e->name);
        put_format(text, ":{\"dtype\":\"%s\",\"shape\":[", rgi_st_dtype_of(e->dtype)->name);
        for (int32_t d = 0; d < e->shape.rank; d++)
            put_format(text, d ? ",%" PRId64 : "%" PRId64, e->shape.dim[d]);
        put_format(text, "],\"data_offsets\":[%" PRIu64 ",", at);
        at += e->bytes;
        put_format(text, "%" PRIu64 "]}", at);
    }
    put(text, "}", 1);
    while (text->n % 8)
        put(text, " ", 1);
}

/* A file that takes the place of `path` when it is complete. */
struct writer {
    const char *path;
    char *temp;
    size_t temp_bytes;
    int fd;
    bool exists; /* the temporary file does */
};

static rg_status system_fail(const struct writer *w, const char *what)
{
    return rgi_fail(RG_ERR_IO, "rg_save: %s: %s %s: %s", w->path, what, w->temp, strerror(errno));
}

/* A new file beside `path`, with the permissions of the one it will replace. */
static rg_status writer_open(struct writer *w)
{
    struct stat old;
    const bool replaces = stat(w->path, &old) == 0;
    if (replaces && !S_ISREG(old.st_mode))
        return rgi_fail(RG_ERR_IO, "rg_save: %s: is there and is not a regular file", w->path);
    for (int i = 0; i < TEMP_TRIES && w->fd < 0; i++) {
        snprintf(w->temp, w->temp_bytes, "%s.%ld-%d.tmp", w->path, (long)getpid(), i);
        w->fd = open(w->temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (w->fd < 0 && errno != EEXIST)
            break;
    }
    if (w->fd < 0)
        return system_fail(w, "cannot create");
    w->exists = true;
    return replaces && fchmod(w->fd, old.st_mode & 0777) ? system_fail(w, "cannot set the permissions of") : RG_OK;
}

static rg_status write_all(const struct writer *w, const void *bytes, size_t n)
{
    const unsigned char *from = bytes;
    while (n) {
        const ssize_t done = write(w->fd, from, n < (1u << 30) ? n : (1u << 30));
        if (done < 0 && errno == EINTR)
            continue;
        if (done < 0)
            return system_fail(w, "cannot write");
        from += done;
        n -= (size_t)done;
    }
    return RG_OK;
}

/* The elements of an entry as the format wants them, in blocks. */
static rg_status write_values(const struct writer *w, const rgi_entry *e)
{
    unsigned char block[1 << 14];
    const size_t width = rg_dtype_size(e->dtype);
    if (rgi_host_is_little())
        return write_all(w, e->data, e->bytes);
    for (size_t at = 0; at < e->bytes; at += sizeof block) {
        const size_t n = e->bytes - at < sizeof block ? e->bytes - at : sizeof block;
        memcpy(block, (const unsigned char *)e->data + at, n);
        rgi_little_endian(block, n / width, width);
        const rg_status status = write_all(w, block, n);
        if (status)
            return status;
    }
    return RG_OK;
}

/* The directory's own record of the rename. Where the system refuses to synchronise directories, a crash may still
   bring the old file back, never a torn one. */
static void sync_directory(const struct writer *w)
{
    char *slash = strrchr(w->temp, '/');
    if (slash)
        slash[slash == w->temp] = '\0'; /* keeps the one of the root */
    const int fd = open(slash ? w->temp : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0) {
        fsync(fd);
        close(fd);
    }
}

static rg_status writer_commit(struct writer *w)
{
    if (fsync(w->fd))
        return system_fail(w, "cannot synchronise");
    const int closed = close(w->fd);
    w->fd = -1;
    if (closed)
        return system_fail(w, "cannot close");
    if (rename(w->temp, w->path))
        return system_fail(w, "cannot rename");
    w->exists = false;
    sync_directory(w);
    return RG_OK;
}

static rg_status write_file(struct writer *w, const struct text *header, rgi_entry *const *entries, size_t n)
{
    rg_status status = writer_open(w);
    if (!status)
        status = write_all(w, header->at, header->n);
    for (size_t i = 0; i < n && !status; i++)
        status = write_values(w, entries[i]);
    if (!status)
        status = writer_commit(w);
    if (w->fd >= 0)
        close(w->fd);
    if (w->exists)
        unlink(w->temp);
    return status;
}

/* Values drawn, names in UTF-8, in the order of the file. */
static rg_status collect(rg_graph *g, const char *path, rgi_entry **entries)
{
    for (size_t i = 0; i < g->store->n; i++) {
        rgi_entry *e = g->store->at[i];
        const rg_status status = rgi_entry_ready(g->store, e);
        if (status)
            return status;
        if (!rgi_utf8_valid(e->name, strlen(e->name)) || strcmp(e->name, "__metadata__") == 0)
            return rgi_fail(RG_ERR_NAME, "rg_save: %s: '%s' cannot be a name in a safetensors file", path, e->name);
        entries[i] = e;
    }
    qsort(entries, g->store->n, sizeof *entries, by_width_and_name);
    return RG_OK;
}

static rg_status out_of_memory(const char *path)
{
    return rgi_fail(RG_ERR_MEMORY, "rg_save: %s: out of memory", path);
}

/* Measured, then written. */
static rg_status make_header(const rg_graph *g, const char *path, rgi_entry *const *entries, struct text *header)
{
    put_header(header, entries, g->store->n, 0);
    const size_t bytes = header->n, length = bytes - 8;
    if (length > RGI_ST_HEADER_MAX)
        return rgi_fail(RG_ERR_FORMAT, "rg_save: %s: a header of %zu bytes is larger than the format allows", path,
                        length);
    *header = (struct text){.at = rgi_alloc(&g->allocator, bytes), .size = bytes};
    if (!header->at)
        return out_of_memory(path);
    put_header(header, entries, g->store->n, length);
    return RG_OK;
}

rg_status rg_save(rg_graph *g, const char *path)
{
    if (!g || !path)
        return rgi_fail(RG_ERR_ARGUMENT, "rg_save: %s is NULL", g ? "path" : "graph");
    const rg_allocator *a = &g->allocator;
    const size_t list_bytes = (g->store->n + 1) * sizeof(rgi_entry *);
    struct writer w = {.path = path, .fd = -1, .temp_bytes = strlen(path) + TEMP_SUFFIX};
    struct text header = {0};
    w.temp = rgi_alloc(a, w.temp_bytes);
    rgi_entry **entries = rgi_alloc(a, list_bytes);
    rg_status status = w.temp && entries ? collect(g, path, entries) : out_of_memory(path);
    if (!status)
        status = make_header(g, path, entries, &header);
    if (!status)
        status = write_file(&w, &header, entries, g->store->n);
    rgi_free(a, header.at, header.size);
    rgi_free(a, entries, list_bytes);
    rgi_free(a, w.temp, w.temp_bytes);
    return status;
}
