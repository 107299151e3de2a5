/* strips.h - what is as long as a loop, made for some of its turns at a time. */
#ifndef RGI_STRIPS_H
#define RGI_STRIPS_H

#include "../run/walker.h"

#define RGI_STRIP_TURNS 4 /* at least in a strip */

/* Which values may be made so, by their sizes: s->in_strips. small: also where little memory is saved. False: out of
   memory. */
bool rgi_strips_find(rg_plan *p, rgi_special *s, bool small);
/* strips_cut.c: once it is known who does what: which of them are; steps say so. extra: by step, the memory of its own,
   as steps.h has it. False: out of memory. */
struct rgi_extra;
bool rgi_strips_cut(rg_plan *p, rgi_special *s, bool small, struct rgi_extra *extra);

/* How much longer things live for that: */
typedef struct rgi_stays {
    uint32_t *from;  /* by owner, and behind all values by step for its own memory: 1 + the step where it begins, or 0;
                        NULL: there are no strips */
    uint32_t *until; /* by owner: the last step, or 0 */
} rgi_stays;

/* False: out of memory. */
bool rgi_strips_stay(rg_plan *p, const rgi_special *s, rgi_stays *out);

/* The loop of whose present turn a value is the element, of what its owner holds; RGI_NONE: it is something else. */
int32_t rgi_loop_of_turn(const rgi_program *prog, const rgi_special *s, int32_t v);
/* Whether a value is all that its owner holds, element by element. */
bool rgi_is_whole(const rgi_program *prog, const rgi_special *s, int32_t v);
bool rgi_is_same_memory(const rgi_program *prog, int32_t a, int32_t b);

/* strips_run.c: `done` turns of the loop at step `loop` are over. What leads to the next ones; what is behind the last
   ones. By all who walk it. */
void rgi_strip_begin(rgi_walker *w, size_t loop, size_t done);
void rgi_strip_end(rgi_walker *w, size_t loop, size_t done);

#endif
