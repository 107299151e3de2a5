/* colouring.h - which columns of a sparse matrix can be found together. */
#ifndef RGI_COLOURING_H
#define RGI_COLOURING_H

#include "structure.h"

/* The columns of a pattern as rows; false: out of memory. */
bool rgi_pattern_transpose(rgi_arena *arena, const rgi_pattern *a, rgi_pattern *out);
/* Those places of a square pattern whose mirror images are in it too. `t`: its transpose. */
bool rgi_pattern_mirrored(rgi_arena *arena, const rgi_pattern *a, const rgi_pattern *t, rgi_pattern *out);

/* Colours of the columns, two of one colour never in one row, so that the sum of the columns of a colour has each of
   their elements. `t`: the transpose of `a`. Returns how many, -1: out of memory. */
int64_t rgi_colour_columns(const rg_allocator *allocator, const rgi_pattern *a, const rgi_pattern *t, int64_t *colour);
/* The same of a symmetric matrix: each element is by itself in the sum of its column's colour, or its mirror image is
   in that of its row's. */
int64_t rgi_colour_symmetric(const rg_allocator *allocator, const rgi_pattern *a, int64_t *colour);

#endif
