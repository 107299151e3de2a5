/* steps.h - what making the steps of a specialisation hands on to placing them. */
#ifndef RGI_STEPS_H
#define RGI_STEPS_H

#include "plan.h"

/* Memory of a step beside its values: alive while it runs. */
typedef struct rgi_extra {
    size_t shared, offset;
} rgi_extra;

/* Types, costs, blocks of every item; `extra`: one an item. False: out of memory. */
bool rgi_steps_make(rg_plan *p, rgi_special *s, rgi_extra *extra);
/* Pointers, as links to what they follow. */
bool rgi_steps_link(rg_plan *p, rgi_special *s, const rgi_extra *extra);
/* The concrete sizes of any shape of the graph. False with the error set where one is impossible. */
bool rgi_special_shape(const rg_plan *p, const rgi_special *s, const rgi_shape *shape, rg_shape *out);
/* lower: appends to an arena array. */
bool rgi_push(rgi_arena *arena, void **at, size_t *n, size_t *capacity, size_t size, const void *item);

#endif
