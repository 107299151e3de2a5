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

/* ---- data sets ---- */

/* Reads an IDX file (the format of MNIST), gzip-compressed or not. u8 arrives as RG_U8, i32 as RG_I32, f32 as RG_F32,
   f64 as RG_F64, i16 widened to RG_I32, i8 to RG_I32. *out is freed with rg_tensor_free, and is empty on error.
   Errors name the file, the offset and the field; in a compressed file the offset is that in the decompressed bytes.
   A file must end with its last element. Memory taken is at most a small multiple of what the file really holds,
   whatever its header says. RG_ERR_MEMORY when that is short. May be called from any thread. */
RG_API RG_CHECKED rg_status rg_read_idx(const char *path, rg_tensor *out);

/* ---- NumPy's files ---- */

/* Reads an npy file. f4, f8, i4, i8, u1 and b1 arrive as they are; f2 widened to RG_F32, i1, i2 and u2 to RG_I32, u4 to
   RG_I64; other orders of bytes and of axes are turned. A file of a megabyte or more whose elements lie as they arrive
   is mapped, not read: pages come in when they are touched, writing to them changes memory alone, and the file must not
   be cut while the tensor lives. *out is freed with rg_tensor_free, and is empty on error. May be called from any
   thread. */
RG_API RG_CHECKED rg_status rg_read_npy(const char *path, rg_tensor *out);
/* Writes a tensor as NumPy would, replacing the file as rg_save does. Errors: RG_ERR_IO, RG_ERR_MEMORY,
   RG_ERR_DTYPE. */
RG_API RG_CHECKED rg_status rg_write_npy(const char *path, const rg_tensor *t);

/* Named tensors, in the order of the file. */
typedef struct rg_archive {
    size_t n;
    char **names; /* without ".npy" */
    rg_tensor *tensors;
} rg_archive;

/* Reads an npz file, stored or deflated: every checksum is verified and every member must be an npy file. Nothing more
   than the file can hold is allocated. Released with rg_archive_free, empty on error. May be called from any thread. */
RG_API RG_CHECKED rg_status rg_read_npz(const char *path, rg_archive *out);
/* Writes n tensors, stored as numpy.savez does, replacing the file as rg_save does. Equal tensors make equal files.
   Errors: RG_ERR_IO, RG_ERR_MEMORY, RG_ERR_DTYPE, RG_ERR_ARGUMENT for a tensor without values, RG_ERR_NAME for a name
   that is empty, there twice, or not UTF-8. */
RG_API RG_CHECKED rg_status rg_write_npz(const char *path, const char *const *names, const rg_tensor *tensors,
                                         size_t n);
/* The tensor of that name, or NULL. Lives as long as the archive. */
RG_API const rg_tensor *rg_archive_find(const rg_archive *a, const char *name);
RG_API void rg_archive_free(rg_archive *a); /* NULL and empty ones are fine */

/* ---- tables of numbers as text ---- */

typedef struct rg_csv_opts {
    char separator;      /* default ',' */
    int64_t skip_lines;  /* a line of titles, say */
    bool missing_is_nan; /* an empty field is NaN; otherwise it is an error */
    rg_dtype dtype;      /* RG_F32 (default) or RG_F64 */
} rg_csv_opts;

/* Reads a table [rows, columns]. Fields may be quoted; empty lines are passed over; rows of different length are an
   error, which names the line and the column. The point stands for the decimal point in any locale. *out is freed with
   rg_tensor_free, and is empty on error. May be called from any thread. */
RG_API RG_CHECKED rg_status rg_read_csv(const char *path, const rg_csv_opts *opts, rg_tensor *out);

/* ---- weights ---- */

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

/* ---- checkpoints: a training that can be broken off at any moment ---- */

/* Writes all parameters and buffers (weights, the optimisers' moments and counts, the step of random draws) with a note
   of the caller's, UTF-8 text that says where in its data it stands (NULL: none). One safetensors file, which rg_load
   reads too, under an XXH3-128 digest of all its bytes. It is written beside `path` under a temporary name,
   synchronised and renamed; the file it replaces goes on as `path`.previous. Whenever the program or the machine stops,
   a whole checkpoint stands at `path`. Errors: those of rg_save. */
RG_API RG_CHECKED rg_status rg_checkpoint_save(rg_graph *g, const char *path, const char *note);

typedef struct rg_checkpoint {
    char *note;    /* as it was saved; release with rg_text_free */
    bool previous; /* `path` was damaged or missing and the one before it was read ... */
    char why[512]; /* ... for this reason */
} rg_checkpoint;

/* Reads a checkpoint back into a graph that was built as the one that saved it; `found` may be NULL, and is empty on
   error. A training that goes on from it computes what it would have computed without the break, to the last bit.
   Nothing in the graph changes unless the digest, every name, every dtype and every shape are right. A damaged or
   missing file is refused, and `path`.previous is read if there is one.
   Errors: RG_ERR_IO, RG_ERR_FORMAT (damage, in both files where there are two), RG_ERR_STATE (another seed),
   RG_ERR_NAME, RG_ERR_SHAPE, RG_ERR_DTYPE (another graph), RG_ERR_MEMORY. */
RG_API RG_CHECKED rg_status rg_checkpoint_load(rg_graph *g, const char *path, rg_checkpoint *found);

/* ---- pictures: u8 [height, width] (grey) or [height, width, channels] ---- */

/* PNG of any kind as 8 bits: palettes become colours, 16 bits are rounded; channels are 2 (grey and alpha), 3 (red
   green blue) or 4 (and alpha). *out is freed with rg_tensor_free, and is empty on error. Errors name the offset and
   the chunk or field; checksums are verified, and a header that promises more pixels than the file can hold costs no
   memory. RG_ERR_ARGUMENT where the library was built without libpng. May be called from any thread. */
RG_API RG_CHECKED rg_status rg_read_png(const char *path, rg_tensor *out);
/* 1 to 4 channels, the last axis. Written as rg_save does: the old file stands until the new one is complete. Errors:
   RG_ERR_DTYPE and RG_ERR_SHAPE for what is no picture, RG_ERR_IO, RG_ERR_MEMORY, RG_ERR_ARGUMENT without libpng. */
RG_API RG_CHECKED rg_status rg_write_png(const char *path, const rg_tensor *image);
/* Portable grey and pixel maps (.pgm, .ppm), which need no library: reads P2, P3, P5 and P6 of 8 bits, writes P5 ([H,
   W] and [H, W, 1]) and P6 ([H, W, 3]). Otherwise as above. */
RG_API RG_CHECKED rg_status rg_read_pnm(const char *path, rg_tensor *out);
RG_API RG_CHECKED rg_status rg_write_pnm(const char *path, const rg_tensor *image);

#ifdef __cplusplus
}
#endif

#endif
