/* window.h - how the axes of a tensor lie that is a window of a larger one. */
#ifndef RGI_WINDOW_H
#define RGI_WINDOW_H

#include "common.h"

/* The stride of an axis of more than one element: it lies within the rows of the window, or goes from row to row.
   False: neither, there is none. */
static inline bool rgi_window_stride(const rg_shape *shape, const rg_window *w, int32_t axis, size_t *out)
{
    const size_t stride = rgi_count_range(shape, axis + 1, shape->rank), n = (size_t)shape->dim[axis];
    if (stride * n == 0 || w->length % (stride * n) == 0) /* of an empty tensor it is all one */
        *out = stride;
    else if (stride % w->length == 0)
        *out = stride / w->length * w->pitch;
    else
        return false;
    return true;
}

#endif
