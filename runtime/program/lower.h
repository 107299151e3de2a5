/* lower.h - from live nodes to ordered items: what the passes of lowering share. */
#ifndef RGI_LOWER_H
#define RGI_LOWER_H

#include "program.h"

#define RGI_GROUP_MEMBERS 64 /* ops in a fused group at most */

/* What becomes one item (a loop: several). */
typedef struct rgi_unit {
    rgi_kind kind;
    const rgi_region *region;
    uint32_t level;         /* longest chain of units before it, within its region: for fusing without cycles */
    uint64_t key;           /* wanted place in the order: id of its last node */
    const rgi_shape *shape; /* RGI_FUSED: of all members */
    rgi_use *uses;
    size_t n_uses, capacity;
    bool headed;      /* RGI_FUSED: uses[0] is an RG_DELIVERS op, the others take its blocks */
    bool placed;      /* RGI_RUN: its inputs are made where its output has them, there is nothing left to do */
    bool footed;      /* RGI_FUSED: the last of uses draws its input from the others */
    int32_t from, to; /* RGI_COPY, RGI_INDEX, RGI_TEST */
    int32_t loop;     /* RGI_LOOP: which */
    rgi_item *body;   /* RGI_LOOP: the items from the first initial copy to its RGI_NEXT */
    size_t n_body;
    int32_t into; /* the unit that has taken over all its uses: its number + 1; or 0 */
} rgi_unit;

/* The units of one region being lowered. */
typedef struct rgi_block {
    const rgi_region *region;
    int32_t loop;
    int32_t *units; /* indices into lowering.units */
    size_t n, capacity;
    bool merged; /* some unit has gone into another */
    struct rgi_block *outer;
} rgi_block;

typedef struct rgi_lowering {
    rgi_program *p;
    rg_graph *g;
    rgi_arena temporary;  /* gone when lowering ends */
    bool *live;           /* by node id: its values are needed */
    size_t n_live;        /* nodes that there were then */
    int32_t *value_of;    /* by node id */
    int32_t *stack_of;    /* by node id: value of its live stack, or RGI_NONE */
    rg_node **outside;    /* by node id: the node in front of the loop that has all its steps, or NULL */
    const rg_node **held; /* by region: see rgi_loop */
    size_t n_outside;     /* ids from here on have none */
    rg_node **stand_ins;  /* by node id: what takes its place, or NULL */
    size_t n_stand_ins;   /* ids from here on have none */
    rg_node **agreements; /* with opts.check_rewrites: comparisons to be made */
    size_t n_agreements, agreement_capacity;
    uint64_t ahead;                       /* key of the loop in front of which something is being placed, or 0 */
    uint32_t *region_first, *region_next; /* live nodes of each region, ascending: by region id, by node id */
    uint32_t *shape_index;                /* open-addressed: rgi_shape -> index + 1 */
    size_t shape_buckets;
    rgi_unit *units;
    size_t n_units, unit_capacity;
    uint32_t n_ranks; /* uses made */
    size_t value_capacity, use_capacity, item_capacity, loop_capacity, input_capacity, shape_capacity, repeat_capacity;
    rgi_block *root, *block;    /* outermost and present */
    const rg_op **built_in;     /* open-addressed set of RGI_BUILT_IN buckets */
    const rg_node *mode_reader; /* a live node that depends on the mode */
    struct rgi_reading *reads;  /* by node id: how it is read (window.c); NULL: not looked at yet */
    bool failed;
} rgi_lowering;

/* Appends to an array that lives in an arena; false when memory is short. */
bool rgi_push(rgi_arena *arena, void **at, size_t *n, size_t *capacity, size_t size, const void *item);

#define RGI_BUILT_IN 1024 /* several times the number of built-in ops */

/* failing.c: ops that say they may fail, and those that are not our own. No parameter is written before they
   succeeded. */
bool rgi_list_built_in(rgi_lowering *l);
bool rgi_can_fail(const rgi_lowering *l, const rg_op *op);
/* The same of a node, asked in the order in which they run, where an earlier one may have settled it. by_input: by node
   id, the last that may fail and reads that node. */
bool rgi_may_fail(const rgi_lowering *l, const rg_node *node, const rg_node **by_input);
/* Says so of every item. */
bool rgi_mark_failing(rgi_lowering *l);

/* hoist.c: makes l->outside, when it is known what is live; the graph may grow. */
bool rgi_hoist(rgi_lowering *l);
/* All steps of a body node that leaves the loop, or NULL. */
static inline rg_node *rgi_outside(const rgi_lowering *l, const rg_node *node)
{
    return node->id < l->n_outside ? l->outside[node->id] : NULL;
}
/* The same of what a result of a scan stacks, if that is of the scan's own body: the result. */
static inline rg_node *rgi_result_outside(const rgi_lowering *l, const rg_node *result)
{
    const rg_node *of = rgi_projection_of(result)->of;
    return of->region == rgi_scan_of(result->in[0])->region ? rgi_outside(l, of) : NULL;
}
/* rewrite.c: finds the stand-ins of live nodes; the graph may grow. */
bool rgi_rewrite_nodes(rgi_lowering *l);
/* From now on y stands for a node. False: out of memory. */
bool rgi_stand_for(rgi_lowering *l, const rg_node *node, rg_node *y);
/* What a node's value is taken from: itself, or what stands for it. */
static inline rg_node *rgi_stand_in(const rgi_lowering *l, const rg_node *node)
{
    while (node->id < l->n_stand_ins && l->stand_ins[node->id])
        node = l->stand_ins[node->id];
    return (rg_node *)(uintptr_t)node;
}
/* The number a node is everywhere, if that is known. */
bool rgi_known_number(const rgi_lowering *l, const rg_node *node, double *number);
/* layouts.c: which values lie in blocks of channels; the graph may grow. *changed: something stands for something. */
bool rgi_lay_out(rgi_lowering *l, rg_nodes fetch, bool *changed);
/* live.c: marks what must be computed. */
bool rgi_mark_live(rgi_lowering *l, rg_nodes fetch);
/* values.c */
uint32_t rgi_shape_number(rgi_lowering *l, const rgi_shape *shape);
int32_t rgi_value_new(rgi_lowering *l, const rg_node *node, rgi_place place);
/* The bytes of a value, with the sizes that stand for the named ones. */
double rgi_value_bytes(const rgi_program *p, int32_t v);
/* A new value that lies in another one, or is all of it under its own shape. RGI_NONE: out of memory, or `whole` is. */
int32_t rgi_value_within(rgi_lowering *l, const rg_node *node, int32_t whole);
/* The value of a live node, with memory. */
int32_t rgi_value_in_memory(rgi_lowering *l, const rg_node *node);
/* Computes a node from constants now, if it is small and all its inputs are constant; else RGI_NONE. */
int32_t rgi_value_fold(rgi_lowering *l, const rg_node *node);
/* fold.c: what an op makes of constants (`in`: NULL for what is none, or not read), or NULL: it is not to be computed
   now. The second, with opts.check_rewrites, has that compared with what the plan's steps make. */
const void *rgi_fold(rgi_lowering *l, const rg_node *node, const void *const in[]);
bool rgi_check_folding(rgi_lowering *l);
/* Value of a leaf or an alias, RGI_NONE if the node must be computed. */
int32_t rgi_value_leaf(rgi_lowering *l, const rg_node *node);
/* units.c: makes the units of a region and orders them into items (appended to *items). */
bool rgi_lower_region(rgi_lowering *l, const rgi_region *region, int32_t loop, rgi_item **items, size_t *n,
                      size_t *capacity);
bool rgi_lower_node(rgi_lowering *l, const rg_node *node);
int32_t rgi_unit_add(rgi_lowering *l, rgi_block *b, const rgi_unit *unit);
bool rgi_item_push(rgi_lowering *l, const rgi_item *item, rgi_item **items, size_t *n, size_t *capacity);
/* Level of the unit that makes a value, if it belongs to the present block: what comes from outside is there
   already. */
uint32_t rgi_level_of(const rgi_lowering *l, int32_t value);
/* retrace.c: which loops there are about starts of which few are kept, once it is known what is live. */
bool rgi_find_retraces(rgi_lowering *l, rg_nodes fetch);
/* Which of them a scan takes part in, or NULL; *as: as what. */
const rgi_retrace *rgi_retrace_of(const rgi_program *p, const rg_scan *s, rgi_retracing *as);
/* Whether a result of a scan is a start of which few are kept. */
bool rgi_is_kept_start(const rgi_program *p, const rg_node *result);
/* That of carry j of the forward loop. */
rg_node *rgi_kept_start(const rg_scan *forward, size_t j);
/* Of a slice of such starts: the carry that holds it after the walk there; else NULL. */
rg_node *rgi_walked_carry(const rgi_program *p, const rg_node *slice);
/* Lowers the walks of a loop that asks for starts, first of its block. */
bool rgi_lower_walks(rgi_lowering *l, const rg_scan *backward);
/* loops.c: a scan as a unit of the present block. */
bool rgi_lower_scan(rgi_lowering *l, const rg_node *node);
/* Lowers a node now, with all it needs, as if it stood in front of `key`, in the block of its own region. */
bool rgi_lower_ahead(rgi_lowering *l, const rg_node *node, uint64_t key);
/* units.c: whether a node has its value, or an op of several results those. */
bool rgi_is_lowered(const rgi_lowering *l, const rg_node *node);
/* The result of a scan that was computed in front of it, or RGI_NONE. */
int32_t rgi_result_ahead(rgi_lowering *l, const rg_node *r);
/* The unit that makes a value, RGI_NONE if none does. */
int32_t rgi_unit_of(const rgi_lowering *l, int32_t value);
/* Puts the members of group `from` among those of `to`, in the order of their ranks. */
bool rgi_merge_units(rgi_lowering *l, int32_t from, int32_t to);
/* gather.c: in loops, groups go into the only one that reads them. */
bool rgi_gather(rgi_lowering *l, rgi_block *b);
/* window.c: the value of a node that can be read where it lies, in its input: by everybody or, a window, by elementwise
   ops and those that take windows. RGI_NONE: it is a step. */
int32_t rgi_window_value(rgi_lowering *l, const rg_node *node);
/* The value of a view of such a window, which is one too. RGI_NONE: it is a view of what is dense. */
int32_t rgi_window_view(rgi_lowering *l, const rg_node *node);
/* Whether a node reads its input i, value v, where it lies in a larger one. */
bool rgi_reads_window(rgi_lowering *l, const rg_node *node, size_t i, int32_t v);
/* What groups and ops make for a node that only joins it is written where it is wanted. */
bool rgi_place_joined(rgi_lowering *l, rgi_block *b);
/* room.c: takes back what of this would take too much room: of joins, whose units are marked by `placed`, and of
   wholes. */
bool rgi_make_room(rgi_lowering *l, rgi_block *b);
/* absorb.c: groups take in the product in front of them or the reduction behind. */
bool rgi_absorb(rgi_lowering *l, rgi_block *b);
/* Units of the present block stand behind those whose values they read: their levels are higher. */
void rgi_raise_levels(rgi_lowering *l);
/* pack.c: what stays as it is is packed once; the items may become more. */
bool rgi_pack_operands(rgi_lowering *l, rgi_item **items, size_t *n);
/* order.c */
bool rgi_order(rgi_lowering *l, rgi_block *b, int32_t **order);
/* choice.c: values of branches that no run needs together, and stacks that need no zeros for it. */
bool rgi_find_choices(rgi_lowering *l);
/* memory.c: what escapes, what is written in place, and how long each owner lives. */
bool rgi_settle(rgi_lowering *l);

#endif
