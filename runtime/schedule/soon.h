/* soon.h - what a loop reads after a product, which the product can ask memory for. */
#ifndef RGI_SOON_H
#define RGI_SOON_H

#include "../plan.h"

/* Which steps know of something. False: out of memory. */
bool rgi_soon_find(const rg_plan *p, rgi_special *s);
/* Where it is, for one piece of the rows of a loop that is cut by them, or for all of them (loop: NULL). Returns
   out. */
const rg_soon *rgi_soon_now(const rgi_soon *x, const rgi_exec *loop, size_t piece, const int64_t *t, rg_soon *out);

#endif
