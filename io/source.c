/* source.c - whole files as bytes. */
#define _POSIX_C_SOURCE 200809L

#include "source.h"

#include "../graph/error.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static rg_status read_all(rgi_source *s, int fd)
{
    s->bytes = malloc(s->n ? s->n : 1);
    if (!s->bytes)
        return rgi_fail(RG_ERR_MEMORY, "%s: %s: out of memory for %zu bytes", s->caller, s->path, s->n);
    size_t have = 0;
    while (have < s->n) {
        const ssize_t got = read(fd, s->bytes + have, s->n - have);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0) {
            const rg_status status =
                got < 0 ? rgi_fail(RG_ERR_IO, "%s: %s: offset %zu: %s", s->caller, s->path, have, strerror(errno))
                        : rgi_source_fail(s, have, "file", "it ends here, while it is being read");
            rgi_source_close(s);
            return status;
        }
        have += (size_t)got;
    }
    return RG_OK;
}

rg_status rgi_source_open(rgi_source *s, const char *caller, const char *path)
{
    *s = (rgi_source){.caller = caller, .path = path};
    if (!path)
        return rgi_fail(RG_ERR_ARGUMENT, "%s: path is NULL", caller);
    struct stat info;
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a pipe is refused, not waited for */
    rg_status status = RG_OK;
    if (fd < 0 || fstat(fd, &info))
        status = rgi_fail(RG_ERR_IO, "%s: %s: %s", caller, path, strerror(errno));
    else if (!S_ISREG(info.st_mode))
        status = rgi_fail(RG_ERR_IO, "%s: %s: is not a regular file", caller, path);
    else if ((uint64_t)info.st_size > SIZE_MAX / 2)
        status = rgi_fail(RG_ERR_MEMORY, "%s: %s: is larger than the address space", caller, path);
    if (!status) {
        s->n = (size_t)info.st_size;
        void *map = MAP_FAILED;
        if (s->n >= RGI_SOURCE_MAP)
            map = mmap(NULL, s->n, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
        s->mapped = map != MAP_FAILED;
        if (s->mapped)
            s->bytes = map;
        else
            status = read_all(s, fd);
    }
    if (fd >= 0)
        close(fd);
    return status;
}

void rgi_source_close(rgi_source *s)
{
    if (s->bytes && s->mapped)
        munmap(s->bytes, s->n);
    else
        free(s->bytes);
    s->bytes = NULL;
}

rg_status rgi_source_fail(const rgi_source *s, size_t offset, const char *field, const char *format, ...)
{
    char why[512];
    va_list args;
    va_start(args, format);
    vsnprintf(why, sizeof why, format, args);
    va_end(args);
    if (!s->part)
        return rgi_fail(RG_ERR_FORMAT, "%s: %s: offset %zu: %s: %s", s->caller, s->path, offset, field, why);
    return rgi_fail(RG_ERR_FORMAT, "%s: %s: offset %" PRIu64 "%s: member '%.100s': %s: %s", s->caller, s->path,
                    s->base + offset, s->unpacked ? " of the unpacked member" : "", s->part, field, why);
}

rg_status rgi_file_tensor(const char *caller, const char *path, rg_tensor *out, rg_dtype dtype, rg_shape shape)
{
    char type[RGI_LABEL];
    const rg_status status = rg_tensor_alloc(out, dtype, shape);
    if (!status)
        return RG_OK;
    return rgi_fail(status, "%s: %s: %s %s", caller, path,
                    status == RG_ERR_MEMORY ? "out of memory for" : "there are no values of type",
                    rgi_format_type(NULL, dtype, shape, type, sizeof type));
}
