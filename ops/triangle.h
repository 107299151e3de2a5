/* triangle.h - where two axes have the same index. */
#ifndef RGI_TRIANGLE_H
#define RGI_TRIANGLE_H

#include "common.h"

/* A mask that broadcasts to `shape`: true where the indices along axes p and q are equal. */
rg_node *rgi_on_diagonal(rg_graph *g, const rg_shape *shape, int32_t p, int32_t q);

#endif
