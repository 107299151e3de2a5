/* program.h - what a graph is lowered to: values, ops, items in an order, loops. Structure only: sizes come with a
   specialisation (special.h). A program is immutable once compiled and is shared by a plan and its forks. */
#ifndef RGI_PROGRAM_H
#define RGI_PROGRAM_H

#include "../../graph/scan.h"

#include <retrograde/plan.h>

#define RGI_MAX_ARITY 8 /* inputs of a fused op */
#define RGI_MAX_LOOPS 8 /* nesting of loops */
#define RGI_NONE (-1)

/* Where a value's memory is. */
typedef enum rgi_place {
    RGI_VOID,  /* no memory: only its shape is used, or it lives in a block of a fused item */
    RGI_SLAB,  /* the plan's own memory */
    RGI_BOUND, /* an input's data */
    RGI_STORE, /* a parameter or buffer */
    RGI_FIXED, /* a constant, or something computed from constants when compiling */
    RGI_KEPT   /* a packed operand that the plan keeps from run to run */
} rgi_place;

typedef struct rgi_value {
    const rg_node *node; /* whose value it is; for copies the node copied */
    rg_dtype dtype;
    uint32_t size;         /* bytes an element */
    rgi_place place;       /* of owners; a part takes its owner's */
    uint32_t shape;        /* index into program.shapes */
    int32_t part_of;       /* the value whose memory this lies in, or RGI_NONE for an owner */
    int32_t step_loop;     /* part_of: this is element t of it, t the counter of this loop; RGI_NONE: all of it */
    const rg_node *window; /* part_of: the node whose rule says where in it this lies, or NULL ... */
    uint32_t window_input; /* ... with this input */
    const rg_node *piece;  /* part_of: the same of what lies in one piece there, which everybody may read; or NULL */
    int32_t slot;          /* RGI_BOUND: input number; RGI_STORE: entry number */
    const void *fixed;     /* RGI_FIXED */
    uint32_t packed;       /* 1 + the packed operand that it is, whose size is of its own; or 0 */
    uint32_t slots;        /* 1 + the retrace whose checkpoints it holds, with the shape of one of them; or 0 */
    int32_t scalar;        /* a one-element RGI_FIXED value it equals everywhere, or RGI_NONE */
    int32_t unit;          /* the unit that makes it (while lowering), or RGI_NONE */
    int32_t loop;          /* the innermost loop it lives in, or RGI_NONE */
    int32_t first, last;   /* items between which an owner's memory is in use ... */
    const rg_node *choice; /* ... in runs alone where this bool scalar ... */
    bool taken;            /* ... is so; or NULL: in all */
    bool fetched;
    bool keeps; /* a window, for whose readers or those of others like it alone the whole is there (while lowering) */
    bool again; /* made a second time, instead of being kept (repeat.h) */
} rgi_value;

/* One application of an op. Inputs whose values are not read are RGI_NONE in `in`; their shapes are in `in_shape`. */
typedef struct rgi_use {
    const rg_node *node;
    uint32_t rank; /* counts uses as they are made: what one reads has a smaller rank */
    uint32_t n_in, n_out;
    int32_t *in, *out;
    int32_t *packed; /* by input: its packed form, or RGI_NONE; or NULL */
} rgi_use;

/* An operand in the order that its op packs it in (rg_op.pack): made once, by an item in front of a loop or for many
   runs. */
typedef struct rgi_packed {
    uint32_t use, input;
    int32_t from, value; /* what is packed, and the packed form */
    int32_t loop;        /* the loop it is made in front of, or RGI_NONE: it is kept */
    int32_t inner;       /* the innermost loop of the use */
} rgi_packed;

typedef enum rgi_kind {
    RGI_RUN,   /* one op */
    RGI_FUSED, /* elementwise ops of one shape, block by block */
    RGI_COPY,  /* from -> to */
    RGI_INDEX, /* to = the counter of the enclosing loop */
    RGI_CLEAR, /* to = zeros */
    RGI_PACK,  /* to = the packed operand of `from` */
    RGI_TEST,  /* leaves the enclosing loop unless `from` is true */
    RGI_LOOP,  /* begins a loop ... */
    RGI_NEXT   /* ... and ends its body */
} rgi_kind;

/* Copies of a carry to and from the checkpoints of a retrace. */
typedef enum rgi_checkpoint { RGI_NO_CHECKPOINT, RGI_SAVE, RGI_RESTORE } rgi_checkpoint;

typedef struct rgi_item {
    rgi_kind kind;
    int32_t loop;          /* RGI_LOOP, RGI_NEXT: which; others: the innermost they are in, or RGI_NONE */
    uint32_t first, count; /* ops: program.uses[first .. first + count) */
    bool headed;           /* RGI_FUSED: the first op is an RG_DELIVERS one, whose blocks the others take ... */
    bool footed;           /* ... or the last draws its input from the others */
    int32_t from,
        to; /* RGI_COPY, RGI_INDEX, RGI_CLEAR, RGI_PACK, RGI_TEST; RGI_LOOP: from says how many steps, or RGI_NONE */
    bool may_fail; /* no parameter is written before it has succeeded */
    int64_t every; /* RGI_COPY: not 0: only before the first of so many steps of its loop that lie in a row */
    rgi_checkpoint checkpoint; /* RGI_COPY: only where the retrace of its loop has a slot for it */
} rgi_item;

/* Three loops about the starts of segments of which few are kept, as the binomial schedule says (graph/binomial.h). */
typedef enum rgi_retracing {
    RGI_FORWARD = 1, /* keeps the first ones */
    RGI_BACKWARD,    /* asks for one in each step, in the other order */
    RGI_AGAIN        /* in a step of that: walks there from the nearest one, and keeps others on the way */
} rgi_retracing;

typedef struct rgi_retrace {
    const rg_scan *forward, *backward, *again;
    int64_t every, bytes; /* as in rgi_projection */
    double block;
} rgi_retrace;

typedef struct rgi_loop {
    const rg_scan *scan;
    int32_t parent, depth;
    uint32_t begin, end; /* its RGI_LOOP and RGI_NEXT items */
    uint32_t test;       /* its RGI_TEST item; 0: it has none */
    uint32_t length;     /* index into program.shapes of a shape whose leading size is the number of steps */
    bool reverse;
    uint32_t retrace; /* 1 + the retrace that it is part of, or 0 ... */
    rgi_retracing as; /* ... as this */
    const rg_node
        *held; /* of the body: could be computed for all steps at once if its op had a batching rule, or NULL */
} rgi_loop;

/* An assignment: `value` into the parameter; a copy item was made unless `value` lies in the parameter already. */
typedef struct rgi_write {
    const rg_node *node; /* the assign */
    const rgi_entry *entry;
    int32_t param, value;
    bool in_place;
} rgi_write;

typedef struct rgi_fetch {
    rg_node *node;
    int32_t value; /* RGI_NONE for effects */
} rgi_fetch;

/* A value of which less is kept than is read: cheap ops make it again (repeat.h). */
typedef struct rgi_repeat {
    const rg_node *node;
    uint32_t shape; /* of what need not lie in memory for it */
} rgi_repeat;

/* A program before memory.c has settled what is written in place. */
typedef struct rgi_draft {
    rgi_value *values;
    size_t n_values;
    rgi_item *items;
    size_t n_items;
    rgi_write *writes;
} rgi_draft;

typedef struct rgi_program {
    uint32_t references;
    rg_graph *graph;
    rgi_arena arena;
    rg_plan_opts opts; /* threads and mode resolved */
    rg_machine machine;
    bool priced; /* ... is what the caller takes it for: nothing is tried */
    uint64_t seed;

    rgi_value *values;
    size_t n_values;
    int32_t *owners; /* the values with memory in the slab */
    size_t n_owners;
    int32_t *pieces; /* the values that are pieces of others */
    size_t n_pieces;
    rgi_use *uses;
    size_t n_uses;
    rgi_packed *packed;
    size_t n_packed;
    rgi_item *items;
    size_t n_items;
    rgi_loop *loops;
    size_t n_loops;
    rgi_retrace *retraces;
    size_t n_retraces;
    rgi_write *writes;
    size_t n_writes;
    rgi_fetch *fetches;
    size_t n_fetches;
    rg_node **inputs; /* RGI_BOUND slots; those from n_read on are looked at for their sizes only */
    size_t n_inputs, n_read;
    const rgi_shape **shapes; /* distinct */
    size_t n_shapes;
    rgi_formula *formulas; /* RG_MAX_RANK a shape, of the named sizes only */
    rgi_repeat *repeats;
    size_t n_repeats;
    bool has_effects;
    uint32_t *rewritten; /* by rewrite: how often it held */
    uint32_t folded;     /* nodes compared with what they were folded to */
    rgi_draft *draft;    /* with a budget, or NULL */
} rgi_program;

/* Compiles, or returns NULL with the graph's compile error set. */
rgi_program *rgi_program_new(rg_graph *g, rg_nodes fetch, const rg_plan_opts *opts);
void rgi_program_retain(rgi_program *p);
void rgi_program_release(rgi_program *p);

/* The value that owns the memory v lies in. */
static inline int32_t rgi_owner(const rgi_program *p, int32_t v)
{
    while (p->values[v].part_of != RGI_NONE)
        v = p->values[v].part_of;
    return v;
}

/* Walks over the values an item reads (or writes): start with a zero cursor, RGI_NONE ends it. */
typedef struct rgi_cursor {
    uint32_t use, at;
} rgi_cursor;

static inline int32_t rgi_next_read(const rgi_program *p, const rgi_item *item, rgi_cursor *c)
{
    if (item->count == 0)
        return c->at++ == 0 ? item->from : RGI_NONE;
    for (; c->use < item->count; c->use++, c->at = 0) {
        const rgi_use *use = &p->uses[item->first + c->use];
        while (c->at < use->n_in)
            if (use->in[c->at++] != RGI_NONE)
                return use->in[c->at - 1];
        while (use->packed && c->at < 2 * use->n_in)
            if (use->packed[c->at++ - use->n_in] != RGI_NONE)
                return use->packed[c->at - 1 - use->n_in];
    }
    return RGI_NONE;
}

static inline int32_t rgi_next_write(const rgi_program *p, const rgi_item *item, rgi_cursor *c)
{
    if (item->count == 0)
        return c->at++ == 0 ? item->to : RGI_NONE;
    for (; c->use < item->count; c->use++, c->at = 0) {
        const rgi_use *use = &p->uses[item->first + c->use];
        if (c->at < use->n_out)
            return use->out[c->at++];
    }
    return RGI_NONE;
}

/* Whether input i of an op is read at all. */
static inline bool rgi_reads(const rg_op *op, size_t i)
{
    return !(i < 32 && (op->shape_only >> i & 1));
}

#endif
