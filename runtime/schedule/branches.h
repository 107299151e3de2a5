/* branches.h - loops side by side. */
#ifndef RGI_BRANCHES_H
#define RGI_BRANCHES_H

#include "prices.h"

#define RGI_BRANCHES 4 /* in a section at most */

/* Finds a section that begins with the loop at step `first`, of at most `most` branches and as many as there are: its
   steps say which they belong to. out->n is below 2 where there is none. Not yet said: which threads do what. False:
   out of memory. */
bool rgi_branches_find(rg_plan *p, rgi_special *s, size_t first, uint32_t most, const rgi_cuts *cuts, rgi_section *out);
/* Makes what leads from leaders to those who follow for each chunk of turns. False: out of memory, or *cannot. */
bool rgi_branches_cut(const rg_plan *p, rgi_special *s, rgi_section *x, bool *cannot);
/* There is no such section after all. */
void rgi_branches_forget(rgi_special *s, const rgi_section *x);

#endif
