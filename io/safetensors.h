/* safetensors.h - the safetensors format: u64 little-endian header length, JSON header, elements.
   https://huggingface.co/docs/safetensors (August 2026): every byte after the header belongs to exactly one tensor. */
#ifndef RGI_IO_SAFETENSORS_H
#define RGI_IO_SAFETENSORS_H

#include <retrograde/io.h>

#define RGI_ST_HEADER_MAX ((size_t)100000000) /* the format's own limit */

/* An element type of the format. */
typedef struct rgi_st_dtype {
    const char *name;
    uint32_t bytes;
    rg_dtype dtype; /* 0 where this library has no such type */
} rgi_st_dtype;

/* The format's type for ours, or NULL. */
const rgi_st_dtype *rgi_st_dtype_of(rg_dtype dtype);

typedef struct rgi_st_tensor {
    const char *name;
    const rgi_st_dtype *type;
    rg_shape shape;      /* rank may be above RG_MAX_RANK: then no parameter can have it */
    uint64_t begin, end; /* within the elements */
    uint64_t at;         /* offset of its name in the file */
} rgi_st_tensor;

/* An entry of "__metadata__". */
typedef struct rgi_st_pair {
    const char *key, *value;
} rgi_st_pair;

#define RGI_ST_METADATA 8 /* so many are kept of a file */

/* The header of one file. */
typedef struct rgi_st {
    rg_allocator allocator;
    const char *caller, *path; /* for errors */
    char *header;              /* its text, which names point into */
    size_t header_bytes;
    uint64_t data; /* offset of the elements in the file */
    uint64_t data_bytes;
    rgi_st_tensor *at;
    size_t n, capacity;
    rgi_st_pair metadata[RGI_ST_METADATA];
    size_t n_metadata;
} rgi_st;

/* Parses the header text, verifies it against data_bytes and leaves the tensors sorted by name. */
rg_status rgi_st_parse(rgi_st *st);
void rgi_st_finish(rgi_st *st);
/* The value of a key of the metadata, or NULL. */
const char *rgi_st_metadata(const rgi_st *st, const char *key);

/* rg_load, for `caller`. `verify`, if given, is asked once the header is known to be well-formed and before anything
   else is read: with the file, its size and its header. */
typedef rg_status rgi_st_verify(void *user, int fd, uint64_t size, const rgi_st *st);
rg_status rgi_st_load(rg_graph *g, const char *caller, const char *path, rg_load_report *report, rgi_st_verify *verify,
                      void *user);
/* Reads n bytes at an offset; `what` names them in errors. */
rg_status rgi_st_read(const rgi_st *st, int fd, void *out, size_t n, uint64_t offset, const char *what);

/* What a checkpoint adds to rg_save. */
typedef struct rgi_st_extra {
    const char *metadata; /* the first member of the header, as JSON */
    const char *previous; /* where the file that is replaced goes on, see rgi_writer_commit */
    uint64_t digest;      /* offset in the file of 32 hexadecimal digits of XXH3-128, zeros in `metadata`; 0: none */
} rgi_st_extra;
rg_status rgi_st_save(rg_graph *g, const char *caller, const char *path, const rgi_st_extra *extra);

#endif
