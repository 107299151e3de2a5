/* plan.h - a plan from inside: bindings, memory, and the steps made for each set of sizes. */
#ifndef RGI_PLAN_H
#define RGI_PLAN_H

#include "program/program.h"
#include "program/touches.h"
#include "run/trial.h"

/* Counters of the loops around a step, by depth; behind them the slots in which loops of a retrace keep the present
   step's state, or have it from; -1: none. Behind those where in its strip (strips.c) each loop is, or, where it has
   none, the counters again. */
#define RGI_TURN (2 * RGI_MAX_LOOPS)
#define RGI_COUNTERS (RGI_TURN + RGI_MAX_LOOPS)

/* Where an operand moves as the loops around it go on: its address plus counter * stride for each. */
typedef struct rgi_terms {
    uint8_t n, depth[RGI_MAX_LOOPS];
    size_t stride[];
} rgi_terms;

/* An operand of a fused op. */
typedef enum rgi_mode {
    RGI_MEMORY, /* dense, at `at` + element */
    RGI_BLOCK,  /* in the block scratch at `slot` */
    RGI_HEAD,   /* in the block that the group's head has delivered */
    RGI_FOOT,   /* in what the group's foot has asked for */
    RGI_WINDOW, /* of a result: in the block scratch at `slot`, from there to the rows of a window of `at` */
    RGI_STREAM, /* of a large result of several members: in the block scratch at `slot`, then past the caches to `at` */
    RGI_NUMBER  /* a constant block of one number */
} rgi_mode;

typedef struct rgi_operand {
    uint8_t mode;    /* an rgi_mode */
    uint8_t size;    /* bytes an element */
    uint16_t spread; /* 1 + the spread that it is, or 0 */
    uint32_t slot;
    const void *at; /* of a member of a single block: NULL, the step has it, but for RGI_WINDOW */
    const rgi_terms *terms;
    const rg_window *window; /* RGI_WINDOW; spreads: of one, or NULL */
} rgi_operand;

typedef struct rgi_member {
    rg_step step; /* with pointers in a single block; elsewhere every block has its own */
    rgi_operand *in, out;
} rgi_member;

/* An operand that is smaller than the group, or has gaps between its rows: brought into a block before the members
   run. */
typedef struct rgi_spread {
    rgi_operand from; /* RGI_MEMORY */
    size_t slot;
    size_t period;    /* the elements repeat so: a block within one period is read where it lies; 0: otherwise spread */
    size_t run, turn; /* so many elements of the group in a row meet the same one, of `turn`, which begin again then;
                         run 0: otherwise spread */
    /* within `reach` elements of the group it is `cycle`, again and again, as channels of a block are for the pixels of
       an image: spread for one block it is there for the next; 0: not so */
    size_t cycle, reach;
    bool whole; /* some member wants a block of it in any case */
    rg_shape shape;
    int32_t value;
} rgi_spread;

/* A block full of one number, for operands of fused groups. */
typedef struct rgi_number {
    struct rgi_number *next;
    const void *block;
    size_t size;
} rgi_number;

/* A pointer that an op of a single block reads, and where it points to as the loops go on. */
typedef struct rgi_shift {
    const void **pointer;
    const void *at;
    const rgi_terms *terms;
    intptr_t ahead; /* bytes to where it points in the next step, or 0: those ... */
    size_t bytes;   /* ... are asked for now */
} rgi_shift;

typedef struct rgi_group {
    rg_shape shape;
    size_t elements, block, scratch;
    size_t slot;  /* bytes of a block in the scratch */
    uint8_t unit; /* bytes of the widest element */
    uint8_t past; /* of how many widths of elements results go past the caches */
    size_t moved; /* bytes of memory that the members read and write, an element of the group */
    bool fickle;  /* an operand from outside has the group's sizes at these sizes of names, by another formula */
    rgi_member *members;
    size_t n_members, n_inputs; /* n_inputs: of all members */
    rgi_spread *spreads;
    size_t n_spreads;
    size_t run;        /* blocks end where runs of so many elements do, which spreads have; or 0 */
    rgi_shift *shifts; /* of a single block */
    size_t n_shifts;
    bool windows; /* some result is one */
    bool streams; /* some result goes past the caches */
    bool single;  /* one block, hence one thread: */
    char *own;    /* the members' scratch */
    /* of a group with a head or a foot, whose step has it as its tail or source */
    rg_tail tail;
    rg_source source;
    size_t scratch_at; /* in the step's scratch */
} rgi_group;

/* An op with operands that stay where they are. */
typedef struct rgi_call {
    const rg_step *step;
    size_t tasks;
} rgi_call;

/* A step of a loop for some rows. */
typedef struct rgi_row_step {
    size_t first, count; /* RGI_FUSED: elements; RGI_COPY: bytes */
    rg_step step;        /* RGI_RUN: types and geometry of these rows ... */
    size_t tasks;
    const size_t *moved; /* ... whose operands, inputs and then the output, lie so many bytes into those of all rows */
} rgi_row_step;

/* A loop cut by rows: in each piece all steps are done without regard to the others. */
typedef struct rgi_rows {
    int64_t batch; /* rows */
    size_t whole;  /* bytes that each piece reads in a step, as large as they are: weights */
    size_t pieces, n_steps;
    rgi_row_step *steps; /* of piece k from k n_steps on */
} rgi_rows;

/* How a step is done for some turns of a loop at a time: */
typedef enum rgi_strip_kind {
    RGI_BY_ROWS, /* it has the turns along the first axis */
    RGI_CHAIN,   /* it sums over them (rg_op.chain) */
    RGI_GOES_ON  /* the same as the head of a group: the last strip is done where the step stands */
} rgi_strip_kind;

typedef struct rgi_strip_step {
    uint32_t step;
    rgi_strip_kind kind;
    const bool *in_strip;     /* by operand, the output last: has memory for one strip */
    rgi_row_step whole, rest; /* for as many turns as a strip has, and as the last one has; `moved` is by turn */
} rgi_strip_step;

/* All such steps of a loop. */
typedef struct rgi_strips {
    size_t turns;                /* of a strip */
    uint32_t n_before, n_behind; /* steps in front of the loop, then those behind it */
    rgi_strip_step *steps;
} rgi_strips;

/* A loop's part in a retrace. */
typedef struct rgi_schedule {
    rgi_retracing as;
    int64_t every, slots, blocks;
} rgi_schedule;

/* What threads listen to, and may sleep by. */
typedef struct rgi_bell {
    uint32_t rung, sleepers;
} rgi_bell;

/* Where threads meet. */
typedef struct rgi_meeting {
    uint32_t arrived;
    rgi_bell all_here;
} rgi_meeting;

/* A loop, with what leads to it, that some threads do while others do other loops. */
typedef struct rgi_branch {
    uint32_t loop;           /* its RGI_LOOP step */
    uint32_t first, threads; /* who does it: so many of the team, from this one on */
    struct rgi_branch
        *leader;         /* a loop of as many turns, of whose turns this one reads what the same turn made; or NULL */
    size_t chunk;        /* of a leader and of who follows it: after so many turns it says how far it is, ... */
    uint32_t n_bridges;  /* ... and what leads from there to here is done for these turns: */
    uint32_t *bridges;   /* steps that have the turns along the first axis, ... */
    rgi_row_step *parts; /* ... n_bridges for each chunk */
    rgi_meeting meeting; /* of its threads */
    size_t progress;     /* of a leader: turns that are over ... */
    rgi_bell further;    /* ... rung whenever there are more */
    char apart[64];      /* from what other threads write */
} rgi_branch;

/* Steps [begin, end), some of which belong to branches that go side by side; the others are done by all after them. */
typedef struct rgi_section {
    struct rgi_section *next;
    uint32_t begin, end, n;
    rgi_branch *branches;
} rgi_section;

/* What the groups of a loop read of its stacks and slices between one product and the next. */
typedef struct rgi_soon {
    uint32_t n;
    struct {
        uint32_t step; /* of the loop's body */
        int32_t value;
        const rgi_operand *operand;
        size_t elements;    /* of all rows */
        uint8_t counter;    /* by which it moves ... */
        int64_t next, ends; /* ... and by how many turns more, if there are so many before the loop ends */
    } read[RG_SOON];
} rgi_soon;

#define RGI_FEW 64 /* operands of an op in a loop, pointers to which need no memory of the plan */

/* What a thread walks over. */
typedef struct rgi_exec {
    const rgi_call
        *calls; /* what one thread alone does from here to step `after`, if it is calls and nothing else ... */
    uint32_t n_calls, after; /* ... so many; 0: something else */
    rgi_kind kind;
    bool parallel;             /* tasks are shared out; else one thread does all: */
    uint32_t lane;             /* this one, of a team as large as asked for */
    const double *cut;         /* the part of the tasks that lies before those of each thread; NULL: even */
    struct rgi_claims *claims; /* by thread: who is done with its own tasks goes on with others'; or NULL */
    bool barrier;              /* all threads meet before it */
    bool linked;              /* cut like the step before it, of which each task needs the same one alone: no meeting */
    uint32_t chain;           /* of the first of such steps: how many there are; or 0 */
    bool reverse;             /* RGI_LOOP, RGI_NEXT */
    uint32_t depth, jump;     /* RGI_LOOP: the step after its end; RGI_NEXT: the first of its body */
    const rgi_rows *rows;     /* RGI_LOOP: several threads do pieces of it, each all steps; or NULL */
    const rgi_soon *soon;     /* RGI_RUN: what the op can ask memory for; or NULL */
    const rgi_strips *strips; /* RGI_LOOP: what is done for some of its turns at a time; or NULL */
    bool in_strips;           /* done so, from inside the loop */
    bool goes_on;             /* with input 2 from its own memory: the sum of all strips but the last */
    rgi_section *section;     /* that begins here, or NULL */
    uint8_t branch;           /* of a section: the number of the branch, from 1 on; 0: of none */
    bool bridge;              /* done in parts, from inside the loop of its branch */
    const rgi_schedule *schedule; /* RGI_LOOP, RGI_NEXT: of one that takes part in a retrace, or NULL */
    rgi_checkpoint checkpoint;    /* RGI_COPY, as in rgi_item, with the depth of its loop */
    size_t trips, every; /* trips of RGI_AGAIN: on average; every: RGI_COPY, as in rgi_item, with depth and trips those
                             of its loop */
    size_t most;         /* RGI_TEST: steps that may be done, or SIZE_MAX */
    rg_step step;        /* RGI_RUN */
    size_t tasks[RG_MAX_PHASES];
    const void **packed;     /* RGI_RUN: step.packed, to be filled in */
    const rgi_terms **terms; /* RGI_RUN, RGI_COPY: of each input, then each output; NULL: nothing moves */
    rgi_group *group;        /* RGI_FUSED; RGI_RUN: of the op's tail or source, or NULL */
    const void *from;        /* RGI_COPY, RGI_PACK, RGI_TEST; RGI_LOOP: how many steps, or NULL */
    void *to;                /* RGI_COPY, RGI_INDEX, RGI_CLEAR, RGI_PACK */
    size_t bytes;            /* of a copy ... */
    size_t part;             /* ... and of a task of it, but the last; RGI_FUSED: elements of a task */
    size_t own;              /* bytes of memory of its own in the slab, beside the values: step.shared, group->own */
    size_t own_at;           /* where in the slab; of a group with a head or foot: in the scratch */
    size_t moved_at;       /* RGI_RUN with terms and more than RGI_FEW operands: where in the scratch there is room for
                                pointers to them; else 0 */
    bool lasts;            /* the group is the plan's, or what else it points to (lasting.c) */
    double flops, traffic; /* estimates for the dump */
    uint32_t input;        /* RGI_PACK: the number of the operand */
} rgi_exec;

/* Those of the phase that has most: a step whose first phase only prepares may have one there. */
static inline size_t rgi_most_tasks(const rgi_exec *e)
{
    size_t most = 0;
    for (uint32_t k = 0; k < RG_MAX_PHASES && e->tasks[k]; k++)
        most = e->tasks[k] > most ? e->tasks[k] : most;
    return most;
}

/* A packed operand at these sizes. */
typedef struct rgi_packing {
    size_t bytes, tasks; /* 0: not worth it */
    rgi_exec *step;      /* of one that is kept: who reads it */
} rgi_packing;

/* One that is kept. */
typedef struct rgi_kept {
    char *at;
    size_t room, bytes; /* of the memory; of what is packed there */
    uint64_t version;   /* of what is packed; 0: nothing yet */
} rgi_kept;

/* What a pointer follows. */
typedef enum rgi_origin {
    RGI_FROM_SLAB,
    RGI_FROM_INPUT,
    RGI_FROM_STORE,
    RGI_FROM_OWNER, /* of groups that last (lasting.c) ... */
    RGI_FROM_OWN,   /* ... instead of the first */
    RGI_ORIGINS
} rgi_origin;

/* Pointers that follow the same kind of thing: *at[i] is `from[i]` bytes into the slab, or bytes[i] into input or entry
   or owner from[i], or from[i] bytes into the memory of step `step`. */
#define RGI_LINKS 30
typedef struct rgi_links {
    struct rgi_links *next;
    uint32_t n, step;
    const void **at[RGI_LINKS];
    size_t from[RGI_LINKS], bytes[RGI_LINKS];
} rgi_links;

/* Terms of a value that may be in strips. */
typedef struct rgi_turned {
    struct rgi_turned *next;
    int32_t owner;
    rgi_terms *terms;
} rgi_turned;

/* Everything made for one set of sizes. */
typedef struct rgi_special {
    struct rgi_special *next;
    rgi_arena arena;
    uint64_t used;       /* when it was last chosen: the oldest goes first */
    rg_shape *inputs;    /* the signature: bound shapes */
    rg_shape *shapes;    /* of program.shapes */
    size_t *counts;      /* elements of each */
    rgi_packing *packed; /* of program.packed */
    int64_t *slots;      /* of program.retraces: checkpoints kept at once */
    size_t *offsets;     /* of owners in the slab, by value; of pieces in what they are pieces of */
    size_t *strip_bytes; /* by value: of one that is made in strips those of a strip, else 0; NULL: none is */
    size_t bytes;        /* of the slab's first part, the values ... */
    size_t total;        /* ... and with the scratch of each thread behind it */
    size_t peak;         /* largest sum of what lives at once */
    size_t scratch;      /* a thread */
    int64_t *sizes;      /* of the named dimensions */
    rg_status refused;   /* why it could not be made, if not for want of memory */
    rgi_exec *steps;
    size_t n_steps;
    struct {
        const rg_type *at;
        uint32_t shape;
        const rg_type *known;        /* the ones that these follow (groups_again.c), or NULL */
    } types[RGI_MAX_ARITY + 1];      /* of the last member of a group with so many inputs */
    const struct rgi_special *known; /* while this one is made: another one of the same program, or NULL */
    int32_t *in_strips;              /* while it is made, by value: the loop for which it may be in strips; or NULL */
    int threads;                     /* for so many: as many as asked for, or fewer, to fit into the budget */
    rgi_turned *turned;              /* while it is made: the terms of such values */
    bool parallel;                   /* some step is */
    uint32_t team;                   /* ... shared out among so many threads */
    bool tried;                      /* ... or, where that is faster, not shared out */
    rgi_own_trial trial;
    rgi_section *sections;
    rgi_links *links[RGI_ORIGINS];
    const void *slab, **input_data, **store_data; /* what they were resolved with */
    struct rgi_timeline *timeline;                /* of the last run, where the plan keeps one */
    rgi_program *own;                             /* made to fit into the budget at these sizes, or NULL */
    double nanoseconds;                           /* estimated, of all steps on one thread */
    uint32_t *sorted, n_sorted;                   /* the buffers of the slab, largest first */
    bool lasting; /* no specialisation: what its functions make holds for all sizes (lasting.c) */
} rgi_special;

/* The branch that a step is of, or NULL. */
static inline const rgi_branch *rgi_branch_of(const rgi_special *s, size_t step)
{
    const rgi_section *x = s->steps[step].branch ? s->sections : NULL;
    while (x && (step < x->begin || step >= x->end))
        x = x->next;
    return x ? &x->branches[s->steps[step].branch - 1] : NULL;
}

/* A group that is the same for all sizes (lasting.c). */
typedef struct rgi_lasting rgi_lasting;

typedef struct rgi_binding {
    const void *data;
    rg_shape shape;
    bool sized; /* shape is known */
} rgi_binding;

struct rg_plan {
    rgi_program *base;    /* retained */
    rgi_program *program; /* of the present specialisation: this one or its own */
    rgi_store *store;     /* retained */
    rgi_binding *bindings;
    void **outs;           /* by fetch: rg_bind_out */
    void **stored;         /* by entry: memory in use, shared or private; NULL where the plan does not need it */
    void **private_copies; /* by entry: memory that belongs to the plan, or NULL */
    size_t n_stored;
    char *slab;
    size_t slab_bytes;
    bool lent;      /* the slab is the caller's */
    rgi_kept *kept; /* by packed operand */
    size_t kept_bytes;
    uint64_t refreshed; /* how often private copies were brought up to date */
    rgi_special *specials, *current;
    size_t n_specials;
    uint64_t chosen;      /* specialisations, so often */
    rgi_trials trials;    /* of sizes that are new */
    rgi_arena arena;      /* of what all of them share: */
    rgi_number *numbers;  /* constants of fused groups */
    rgi_touches touches;  /* of the items of `base`, once several threads have worked */
    rgi_arena spare;      /* of a forgotten one, for the next */
    size_t special_bytes; /* what the last one took of its arena */
    rgi_lasting *lasting; /* lasting.c: by step, groups that are the same for all sizes; or NULL ... */
    rgi_arena lasting_arena;
    rgi_links *lasting_links[RGI_ORIGINS];
    rgi_lasting *lasting_joined;        /* with a head or foot */
    const rgi_special *lasting_follows; /* ... whose pointers are those of this one; or NULL */
    rgi_arena temporary;                /* while one is made: */
    struct rgi_mark *marks;             /* by value: groups.c */
    bool ran, refused;                  /* the last run: its results stand; it ended with an error */
    bool changed;                       /* bindings, since `current` was chosen */
    /* of the run going on */
    uint32_t failed; /* an rg_status */
    char failure[RGI_ERROR_TEXT];
    rgi_meeting meeting;
    uint32_t looks; /* at a meeting, of a thread before it sleeps; 0: not known yet */
};

/* bind.c: the first input that is read and has no sizes, or with `data` no values; or NULL. */
rg_node *rgi_unbound(const rg_plan *p, bool data);
/* special.c: finds or makes the specialisation for what is bound; without `run`, data need not be bound yet. */
rg_status rgi_special_choose(rg_plan *p, bool run);
void rgi_special_free(rg_plan *p, rgi_special *s);
/* kept.c: memory for what the present specialisation wants kept; packing what has changed before a run; giving it
   back. */
rg_status rgi_kept_attach(rg_plan *p, rgi_special *s);
void rgi_kept_renew(rg_plan *p);
void rgi_kept_free(rg_plan *p);
/* offsets.c: places buffers that live over [first, last] so that those alive together do not overlap. */
typedef struct rgi_buffer {
    size_t bytes, offset;
    uint32_t first, last;
    const void *choice; /* with another of it, not taken where this one is, it is never alive in one run; or NULL */
    bool taken;
} rgi_buffer;
/* Returns false when memory is short. *total: bytes needed; *peak: the least anybody could need. */
/* `sorted`: the numbers of all buffers in any order; receives them by size, which takes less time the nearer they were
   to it. Where they are placed does not depend on it. */
bool rgi_offsets(rgi_arena *temporary, rgi_buffer *buffers, size_t n, uint32_t positions, uint32_t *sorted,
                 size_t *total, size_t *peak);

/* block.c: tasks [lo, hi) of a fused group, of `part` elements each. `t`: counters of the loops around it. */
rg_status rgi_group_run(const rgi_group *g, size_t part, size_t lo, size_t hi, char *scratch, const int64_t *t);
/* The same of elements, also where the group is a single block: several threads may. */
rg_status rgi_group_part(const rgi_group *g, size_t first, size_t n, char *scratch, const int64_t *t);
/* The tail of a group's head: all members over what the head has delivered. */
rg_status rgi_group_take(const rg_step *step, const rg_block *block);
size_t rgi_group_reads(const rg_step *step, size_t first, const void *at[RG_TAIL_READS]);
size_t rgi_group_writes(const rg_step *step, size_t first, const void *at[RG_TAIL_READS]);
void *rgi_group_adds_to(const rg_step *step, size_t first, double *factor);
/* The source of a group's foot: all members over what it asks for. */
rg_status rgi_group_give(const rg_step *step, size_t first, size_t n, void *to);

/* Bytes of a value. */
static inline size_t rgi_bytes(const rgi_program *prog, const rgi_special *s, int32_t v)
{
    const rgi_value *value = &prog->values[v];
    const size_t bytes = s->counts[value->shape] * value->size;
    if (s->strip_bytes && s->strip_bytes[v])
        return s->strip_bytes[v];
    return value->packed  ? s->packed[value->packed - 1].bytes
           : value->slots ? bytes * (size_t)s->slots[value->slots - 1]
                          : bytes;
}

/* Where a value begins in its owner, apart from loops, in bytes. */
static inline size_t rgi_begin(const rgi_program *prog, const rgi_special *s, int32_t v)
{
    size_t bytes = 0;
    for (; prog->values[v].part_of != RGI_NONE; v = prog->values[v].part_of)
        bytes += prog->values[v].piece ? s->offsets[v] : 0;
    return bytes;
}

static inline const void *rgi_at(const void *at, const rgi_terms *terms, const int64_t *t)
{
    const char *c = at;
    for (uint32_t k = 0; terms && k < terms->n; k++)
        c += (size_t)t[terms->depth[k]] * terms->stride[k];
    return c;
}

#endif
