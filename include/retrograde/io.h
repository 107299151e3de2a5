/* io.h - data and weights from and to files.

   Paths are those of the system's open(). Errors are a status and rg_last_error, which names the file, the offset in
   it and the field or tensor: RG_ERR_IO where the system refused, RG_ERR_FORMAT where the bytes are wrong,
   RG_ERR_ARGUMENT for a NULL. Functions on one graph are called by one thread at a time, and not while a plan with
   effects of that graph runs. */
#ifndef RETROGRADE_IO_H
#define RETROGRADE_IO_H

#include <retrograde/base.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Reads an IDX file (the format of MNIST), gzip-compressed or not. u8 arrives as RG_U8, i32 as RG_I32, f32 as RG_F32,
   f64 as RG_F64, i16 widened to RG_I32, i8 to RG_I32. *out is freed with rg_tensor_free, and is empty on error.
   Errors name the file, the offset and the field; in a compressed file the offset is that in the decompressed bytes.
   A file must end with its last element. Memory taken is at most a small multiple of what the file really holds,
   whatever its header says. RG_ERR_MEMORY when that is short. May be called from any thread. */
RG_API RG_CHECKED rg_status rg_read_idx(const char *path, rg_tensor *out);

/* Writes all parameters and buffers as safetensors, atomically: a crash while saving leaves the old file. Tensors
   have the full names of their parameters; values that were never used are drawn now. The file is written beside
   `path` under a temporary name, synchronised, and renamed; after an error the old file stands and the temporary one
   is gone. It keeps the permissions of the file it replaces; a symbolic link is replaced by the file itself; what is
   there and no regular file is an error. Errors: RG_ERR_IO, RG_ERR_MEMORY, RG_ERR_NAME for a name that is not UTF-8. */
RG_API RG_CHECKED rg_status rg_save(rg_graph *g, const char *path);

typedef struct rg_load_report {
    size_t loaded;
    size_t missing;    /* in the graph, not in the file */
    size_t unexpected; /* in the file, not in the graph */
    char text[1024];   /* their names, cut where they do not fit */
} rg_load_report;

/* Loads parameters and buffers by name. Without a report, a missing name is an error; with one, it is counted.
   Another shape or dtype is always an error. On error nothing in the graph has changed, and the report is zero. Names
   of the file that the graph does not have are counted, never an error. The whole header is verified first: syntax,
   dtypes, names, and that every byte of the elements belongs to exactly one tensor. Plans see the new values in their
   next run. Errors: RG_ERR_IO, RG_ERR_FORMAT, RG_ERR_NAME (missing), RG_ERR_SHAPE, RG_ERR_DTYPE, RG_ERR_MEMORY. */
RG_API RG_CHECKED rg_status rg_load(rg_graph *g, const char *path, rg_load_report *report);

#ifdef __cplusplus
}
#endif

#endif
