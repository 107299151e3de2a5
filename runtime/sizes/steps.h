/* steps.h - what making the steps of a specialisation hands on to placing them. */
#ifndef RGI_STEPS_H
#define RGI_STEPS_H

#include "../plan.h"

/* Memory of a step beside its values: alive while it runs. */
typedef struct rgi_extra {
    size_t shared, offset;
} rgi_extra;

/* steps.c: memory of a specialisation that lives as long as it does. */
void *rgi_special_alloc(rgi_special *s, size_t n, size_t size);
/* Bytes of a value. */
size_t rgi_special_bytes(const rg_plan *p, const rgi_special *s, int32_t v);
/* Strides of a value that moves with the loops around it; NULL if it does not. False: out of memory. */
bool rgi_terms_make(const rg_plan *p, rgi_special *s, int32_t v, const rgi_terms **out);
/* Memory for the pointers to an op's inputs and outputs. */
bool rgi_pointers_make(rgi_special *s, rg_step *step);
/* Shape rules see stand-ins while a graph is built; here they see the sizes that came, and must agree with what follows
   from the stand-ins: a slice of five of a named axis that turns out to have three does not. */
rg_status rgi_rule_check(const rgi_use *use, const rgi_special *s, rg_step *step);
/* Room for the packed operands of an op; those that are kept are as large as it says now. */
bool rgi_packed_make(const rg_plan *p, rgi_special *s, const rgi_use *use, rgi_exec *e);
/* Types, costs, blocks of an item, into zeroed memory. False: out of memory. */
bool rgi_step_make(rg_plan *p, rgi_special *s, size_t step, rgi_exec *e, rgi_extra *extra);
/* The same of every item; `extra`: one an item. False: out of memory. */
bool rgi_steps_make(rg_plan *p, rgi_special *s, rgi_extra *extra);
/* Once it is known who does what: which groups are single blocks of one thread, and the steps' own memory. */
bool rgi_steps_settle(rg_plan *p, rgi_special *s, rgi_extra *extra);
/* groups.c: the elementwise ops of `item`. `head`, `foot`: the value that a head delivers, or a foot draws, or
   RGI_NONE. */
rgi_group *rgi_group_make(rg_plan *p, rgi_special *s, const rgi_item *item, int32_t head, int32_t foot);
/* Of how many widths of elements (1 to 16 bytes) results of so many go past the caches. */
uint8_t rgi_widths_past(size_t elements);
/* The sizes of a spread of a value in a group, and where blocks of that end. */
void rgi_spread_fit(const rgi_special *s, rgi_group *g, const rgi_value *value, rgi_spread *x);
/* Where pieces lie in what they are pieces of. False: out of memory, or refused. */
bool rgi_pieces_find(rg_plan *p, rgi_special *s);
/* Where a value lies in the one it is a window or a piece of. NULL: out of memory, or refused. */
const rg_window *rgi_window_make(rg_plan *p, rgi_special *s, const rgi_value *value);
/* groups_again.c: whether a group is, but for numbers, what it was at sizes known before; the group made from that. */
bool rgi_group_stays(const rg_plan *p, const rgi_special *s, const rgi_item *item, const rgi_group *known);
rgi_group *rgi_group_again(rg_plan *p, rgi_special *s, const rgi_item *item, const rgi_group *known);
/* lasting.c: the step and *extra, if it has no group and is the same for all sizes: *lasts. False: out of memory. */
bool rgi_lasting_step(rg_plan *p, rgi_special *s, size_t step, rgi_extra *extra, bool *lasts);
/* Its pointers, if this is the first to have it. */
bool rgi_lasting_link_step(rg_plan *p, const rgi_special *s, size_t step);
/* A group that is the same for all sizes; *out is NULL where it is not. False: out of memory. */
bool rgi_lasting_find(rg_plan *p, const rgi_special *s, size_t step, rgi_group **out);
/* Puts it into the form wanted: `single` or not. */
bool rgi_lasting_settle(rg_plan *p, const rgi_special *s, size_t step, bool single, rgi_group **group);
/* Its pointers, if this is the first to have it. */
bool rgi_lasting_link(rg_plan *p, const rgi_special *s, size_t step, rgi_group *g);
/* Makes the pointers of all of them follow a specialisation, if they do not, or what has moved. */
void rgi_lasting_follow(rg_plan *p, const rgi_special *s, bool slab, bool inputs, bool store);
/* Prepares a group that is one block: the ops stand one after the other with pointers that are looked up only where
   they move. False: out of memory. */
bool rgi_group_single(rgi_special *s, rgi_group *g);
/* links.c: pointers, as links to what they follow. */
bool rgi_steps_link(rg_plan *p, rgi_special *s, const rgi_extra *extra);
/* Those of an op's inputs and outputs. */
bool rgi_operands_link(rg_plan *p, rgi_special *s, const rgi_use *use, const rg_step *step);
/* Those of a group; own: where the memory of its own lies in the slab, of one that lasts the step that has it. */
bool rgi_group_link(rg_plan *p, rgi_special *s, const rgi_item *item, rgi_group *g, size_t own);
/* Those of a list: each is base[where it comes from]. */
void rgi_links_set(const rgi_links *l, const void *const *base);
/* Makes the pointers follow what has moved. */
void rgi_links_follow(rg_plan *p, rgi_special *s);
/* straight.c: the calls that one thread makes. */
bool rgi_straighten(const rgi_program *prog, rgi_special *s);
/* sizes.c: the named sizes, from the shapes bound, and the shapes and counts of all values. */
rg_status rgi_sizes_find(const rg_plan *p, rgi_special *s);
/* sizes.c: the concrete sizes of any shape of the graph. False with the error set where one is impossible. */
bool rgi_special_shape(const rg_plan *p, const rgi_special *s, const rgi_shape *shape, rg_shape *out);
/* lower: appends to an arena array. */
bool rgi_push(rgi_arena *arena, void **at, size_t *n, size_t *capacity, size_t size, const void *item);

/* The op of a single one, or the head or foot of a group. */
static inline const rgi_use *rgi_main_use(const rgi_program *prog, const rgi_item *item)
{
    return &prog->uses[item->footed ? item->first + item->count - 1 : item->first];
}

/* The elementwise ops of an item. */
static inline rgi_item rgi_members_of(const rgi_item *item)
{
    rgi_item members = *item;
    members.first += item->headed;
    members.count -= item->headed || item->footed;
    return members;
}

#endif
