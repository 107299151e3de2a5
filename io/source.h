/* source.h - the bytes of a file, mapped where it is large, and what is said about them when they are wrong. */
#ifndef RGI_IO_SOURCE_H
#define RGI_IO_SOURCE_H

#include <retrograde/base.h>

#define RGI_SOURCE_MAP ((size_t)1 << 20) /* files from this size on are mapped */

typedef struct rgi_source {
    const char *caller, *path;
    unsigned char *bytes; /* writable: a mapping is private */
    size_t n;
    bool mapped;
    /* A part of a file: what it is called, where it starts, whether it was packed. */
    const char *part; /* or NULL */
    uint64_t base;
    bool unpacked; /* offsets count unpacked bytes of the part */
} rgi_source;

/* Reads or maps a regular file. On error nothing needs to be closed. */
rg_status rgi_source_open(rgi_source *s, const char *caller, const char *path);
/* Gives the bytes back; not after they were handed on to a tensor with `bytes` set to NULL. */
void rgi_source_close(rgi_source *s);
/* RG_ERR_FORMAT: "caller: path: offset N: member 'part': field: why". */
rg_status rgi_source_fail(const rgi_source *s, size_t offset, const char *field, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
/* Zeroed values of what `path` holds, as rg_tensor_alloc; the error is in the reader's name and names the file. */
rg_status rgi_file_tensor(const char *caller, const char *path, rg_tensor *out, rg_dtype dtype, rg_shape shape);

#endif
