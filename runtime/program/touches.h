/* touches.h - whose memory each item reads and writes. */
#ifndef RGI_TOUCHES_H
#define RGI_TOUCHES_H

#include "program.h"

/* Where an item's owners begin: those it reads, up to `writes`; those it writes, up to the next item's `reads`. */
typedef struct rgi_touched {
    uint32_t reads, writes;
} rgi_touched;

typedef struct rgi_touches {
    const rgi_touched *at; /* by item, and one more; NULL: not known yet */
    const int32_t *owners;
} rgi_touches;

/* Made in `arena`. False: out of memory. */
bool rgi_touches_find(const rgi_program *prog, rgi_arena *arena, rgi_arena *temporary, rgi_touches *out);

#endif
