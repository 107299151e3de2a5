/* scan.h - a recurrence from inside: its body's leaves, what it takes from outside, and its results. */
#ifndef RGI_SCAN_H
#define RGI_SCAN_H

#include "graph.h"

struct rg_scan {
    rg_graph *graph;
    rgi_region *region;
    const char *name;
    bool reverse;
    int64_t keep_every; /* as in rg_scan_opts */
    size_t keep_bytes;
    bool bounded;                   /* memory is to be saved: nothing is computed for all steps at once */
    rg_node *node;                  /* set by rg_scan_end: inputs are the xs, the inits, then the captures */
    uint32_t first_id;              /* body nodes have ids in [first_id, node->id) and region `region` */
    rgi_list slices, xs;            /* leaf of the body, sequence outside; xs of a slice made for its length only
                                        have no live leaf */
    rgi_list carries, inits, nexts; /* leaf, outer init, value for the next step */
    rgi_list captures;              /* outer nodes used in the body, known at the end */
    rgi_list results;               /* projections in creation order (ids follow the scan node's) */
    rg_node *index;                 /* leaf holding the step's index, or NULL */
    rg_node *lengths, *mask;        /* steps of each sequence, and [T, B] whether a step belongs to it; or NULL */
    bool endless;                   /* a loop (rg_while_begin): it has no slices, and goes on while `test` is true */
    int64_t most;                   /* of a loop: steps at most, 0 where nothing is said */
    rg_node *test;                  /* of a loop: a bool scalar of the body, or of the outside */
    rg_node *count;                 /* of a loop: the carry that counts its steps */
    size_t copied;                  /* of a copy: results of the one it is a copy of, which are its first ones */
    rg_node *trips;                 /* an i64 scalar outside: only so many steps are done, the first ones (of a reversed
                                       scan: the last of them first); what is stacked for the others is 0. Or NULL */
    rg_node *choice;                /* of a branch: the bool scalar outside ... */
    bool taken;                     /* ... that is so where it is taken, and trips 1. Or NULL */
    rg_scan *repeats;               /* another scan of the same body, xs, inits and captures, of which this one can make
                                       any state again from an earlier one. Nothing reads its results: a plan that keeps
                                       few starts of the other walks to the rest by it. Or NULL */
};

/* The ops of a scan, of the leaves of its body, and of its results (in ops/scan.c). */
extern const rg_op rgi_op_scan, rgi_op_scan_slice, rgi_op_scan_carry, rgi_op_scan_index;

/* Attribute of a projection (op `result`) of a scan. */
typedef struct rgi_projection {
    rg_node *of;   /* body node, carry leaf or captured node */
    int64_t last;  /* the carry after the last step; else the stack over all steps, or ... */
    int64_t every; /* ... if not 0, of a carry before the first of every so many steps that lie in a row */
    int64_t bytes; /* with every: if not 0, a plan may keep only as many of these starts as fit into so many bytes
                      (those of all carries), less the room of `block` of them, and walk to the others again */
    double block;
} rgi_projection;

static inline const rgi_projection *rgi_projection_of(const rg_node *result)
{
    return (const rgi_projection *)result->attr;
}

/* Whether a node is a scan, or a projection of one. */
static inline bool rgi_is_scan(const rg_node *n)
{
    return (n->op->traits & RG_CONTROL) && n->op->n_out < 0;
}
static inline rg_scan *rgi_scan_of(const rg_node *scan_node)
{
    return *(rg_scan *const *)scan_node->attr;
}
static inline bool rgi_is_projection(const rg_node *n)
{
    return (n->op->traits & RG_CONTROL) && n->op->n_out == 1;
}

/* A result of s like that of another scan: the same of what stands for p->of in s. */
rg_node *rgi_scan_result_like(rg_scan *s, const rgi_projection *p, rg_node *of);

/* Gives a scan its number of steps from the leading axis of xs without using its values. */
void rgi_scan_length_like(rg_scan *s, rg_node *xs);

/* [T / every, rounded up, ...]: a carry as it is before each segment of `every` steps; segments lie in a row from step
   0 on, and one is entered at its last step where the scan goes backwards. With `bytes` and `block`, as in
   rgi_projection: of whole segments alone, [T / every, ...]. */
rg_node *rgi_scan_starts(rg_scan *s, rg_node *carry, int64_t every, int64_t bytes, double block);

/* Stack of any node of the body as it is computed, in steps beyond a sequence's end too: what residuals are. That of a
   loop has the leading size most + 1, and says nothing behind its last step. */
rg_node *rgi_scan_stack(rg_scan *s, rg_node *y);

/* ---- sequences of different lengths (ragged.c) ---- */

bool rgi_scan_set_lengths(rg_scan *s, rg_node *lengths);
/* True for a scan without lengths; else whether the first axis of the value is that of the sequences (error
   recorded). */
bool rgi_scan_has_batch(rg_scan *s, const char *what, const rg_node *value);
/* In the body: y where the present step belongs to the sequence, `otherwise` (NULL: 0) elsewhere. */
rg_node *rgi_scan_while_it_lasts(rg_scan *s, rg_node *y, rg_node *otherwise);
/* Outside: the stack with zeros in the steps beyond each end. */
rg_node *rgi_scan_cut_stack(rg_scan *s, rg_node *stack);

#endif
