/* reference.c - shapes and indices of the naive reference. */
#include "reference.h"

#include <stdlib.h>
#include <string.h>

size_t ref_count(rg_shape shape)
{
    size_t n = 1;
    for (int i = 0; i < shape.rank; i++)
        n *= (size_t)shape.dim[i];
    return n;
}

static double *values(size_t n)
{
    double *at = calloc(n + 1, sizeof *at);
    if (!at)
        abort();
    return at;
}

void ref_new(ref_tensor *t, rg_shape shape, bool scaled)
{
    t->shape = shape;
    t->at = values(ref_count(shape));
    t->scale = scaled ? values(ref_count(shape)) : NULL;
}

void ref_free(ref_tensor *t)
{
    free(t->at);
    free(t->scale);
    memset(t, 0, sizeof *t);
}

rg_shape ref_broadcast(rg_shape a, rg_shape b)
{
    if (a.rank < b.rank) {
        const rg_shape c = a;
        a = b;
        b = c;
    }
    for (int i = 0; i < b.rank; i++) {
        int64_t *d = &a.dim[a.rank - b.rank + i];
        if (*d == 1)
            *d = b.dim[i];
    }
    return a;
}

void ref_coordinates(rg_shape shape, size_t i, int64_t at[RG_MAX_RANK])
{
    for (int k = shape.rank - 1; k >= 0; k--) {
        at[k] = (int64_t)(i % (size_t)shape.dim[k]);
        i /= (size_t)shape.dim[k];
    }
}

size_t ref_offset(rg_shape shape, const int64_t at[RG_MAX_RANK])
{
    size_t i = 0;
    for (int k = 0; k < shape.rank; k++)
        i = i * (size_t)shape.dim[k] + (size_t)at[k];
    return i;
}

size_t ref_index(rg_shape shape, size_t i, rg_shape of)
{
    int64_t at[RG_MAX_RANK];
    ref_coordinates(shape, i, at);
    size_t j = 0;
    for (int k = 0; k < of.rank; k++) {
        const int64_t c = at[shape.rank - of.rank + k];
        j = j * (size_t)of.dim[k] + (size_t)(of.dim[k] == 1 ? 0 : c);
    }
    return j;
}

int ref_axis(int64_t axis, int rank)
{
    return (int)(axis < 0 ? axis + rank : axis);
}

unsigned ref_axes(rg_axes axes, int rank)
{
    if (axes.n < 0)
        return (1u << rank) - 1;
    unsigned mask = 0;
    for (int i = 0; i < axes.n; i++)
        mask |= 1u << ref_axis(axes.axis[i], rank);
    return mask;
}

rg_shape ref_reduced(rg_shape shape, unsigned mask, bool keepdims)
{
    rg_shape out = {0, {0}};
    for (int i = 0; i < shape.rank; i++)
        if (!(mask >> i & 1u))
            out.dim[out.rank++] = shape.dim[i];
        else if (keepdims)
            out.dim[out.rank++] = 1;
    return out;
}

size_t ref_slice_count(rg_shape shape, unsigned mask)
{
    size_t n = 1;
    for (int k = 0; k < shape.rank; k++)
        n *= mask >> k & 1u ? (size_t)shape.dim[k] : 1;
    return n;
}

size_t ref_slice_index(rg_shape shape, rg_shape kept, unsigned mask, size_t o, size_t i)
{
    int64_t base[RG_MAX_RANK], at[RG_MAX_RANK];
    rg_shape inner = shape;
    for (int k = 0; k < shape.rank; k++)
        if (!(mask >> k & 1u))
            inner.dim[k] = 1;
    ref_coordinates(kept, o, base);
    ref_coordinates(inner, i, at);
    for (int k = 0; k < shape.rank; k++)
        at[k] += base[k];
    return ref_offset(shape, at);
}
