/* strips.h - what leads to a loop, made for some of its turns at a time. */
#ifndef RGI_STRIPS_H
#define RGI_STRIPS_H

#include "walker.h"

/* Which values may be made so, by their sizes: s->in_strips. small: also where little memory is saved. False: out of
   memory. */
bool rgi_strips_find(rg_plan *p, rgi_special *s, bool small);
/* Once it is known who does what: which of them are; steps say so. False: out of memory. */
bool rgi_strips_cut(rg_plan *p, rgi_special *s, bool small);
/* Until which step what is read by steps in strips must stay, by owner; NULL: there are none. False: out of memory. */
bool rgi_strips_stay(rg_plan *p, const rgi_special *s, uint32_t **until);

/* strips_run.c: `done` turns of the loop at step `loop` are over: what leads to the next ones, by all who walk it. */
void rgi_strip_begin(rgi_walker *w, size_t loop, size_t done);

#endif
