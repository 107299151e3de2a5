/* safetensors.h - the safetensors format: u64 little-endian header length, JSON header, elements.
   https://huggingface.co/docs/safetensors (August 2026): every byte after the header belongs to exactly one tensor. */
#ifndef RGI_IO_SAFETENSORS_H
#define RGI_IO_SAFETENSORS_H

#include <retrograde/base.h>

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

/* The header of one file. */
typedef struct rgi_st {
    rg_allocator allocator;
    const char *path; /* for errors */
    char *header;     /* its text, which names point into */
    size_t header_bytes;
    uint64_t data; /* offset of the elements in the file */
    uint64_t data_bytes;
    rgi_st_tensor *at;
    size_t n, capacity;
} rgi_st;

/* Parses the header text, verifies it against data_bytes and leaves the tensors sorted by name. */
rg_status rgi_st_parse(rgi_st *st);
void rgi_st_finish(rgi_st *st);

#endif
