/* retrace.h - at sizes that are known: how many checkpoints a retrace has, and where its loops keep and find them. */
#ifndef RGI_RETRACE_H
#define RGI_RETRACE_H

#include "../plan.h"

#include "../../graph/binomial.h"

/* Where a thread is in a loop of a retrace: steps since block 0, and the one before which a state is kept next (-1:
   none), that of walk.at. */
typedef struct rgi_stage {
    rgi_revolve walk;
    int64_t stop, at;
} rgi_stage;

/* How many slots each has. False: out of memory. */
bool rgi_retrace_sizes(const rgi_program *prog, rgi_special *s);
/* A loop's part, if it has one. */
bool rgi_schedule_make(const rgi_program *prog, rgi_special *s, const rgi_loop *loop, rgi_exec *e);
/* Begins such a loop: its first step and slot into `t`, counters as many as RGI_COUNTERS. Returns how many steps. */
size_t rgi_retrace_enter(const rgi_exec *e, rgi_stage *stages, int64_t *t);
/* Goes on to the next step, to which the counter points already. */
void rgi_retrace_turn(const rgi_exec *e, rgi_stage *stages, int64_t *t);
/* A copy to or from a slot, if the present step has one. */
void rgi_copy_checkpoint(const rgi_exec *e, const int64_t *t);

#endif
