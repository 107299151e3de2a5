/* npy.h - one array in NumPy's format, whether a file of its own or a member of an archive. */
#ifndef RGI_IO_NPY_H
#define RGI_IO_NPY_H

#include "source.h"

/* What the header says. */
typedef struct rgi_npy {
    char kind; /* f, i, u, b: NumPy's letter */
    size_t width;
    bool swapped; /* not in this machine's order of bytes */
    bool fortran; /* first index fastest */
    rg_shape shape;
    size_t data;    /* offset of the elements */
    rg_dtype dtype; /* as which they arrive */
} rgi_npy;

/* Verifies the header, and that the elements fill the rest. */
rg_status rgi_npy_parse(const rgi_source *s, rgi_npy *npy);
/* Elements in row-major order, this machine's bytes, types of the library, in new memory. */
rg_status rgi_npy_copy(const rgi_source *s, const rgi_npy *npy, rg_tensor *out);
/* The header of a tensor; its bytes, a multiple of 64, go to `header`. False for a dtype the format does not have. */
#define RGI_NPY_HEADER 256
bool rgi_npy_header(const rg_tensor *t, char header[RGI_NPY_HEADER], size_t *n);

#endif
