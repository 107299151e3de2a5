/* scan.h - a recurrence from inside: its body's leaves, what it takes from outside, and its results. */
#ifndef RGI_SCAN_H
#define RGI_SCAN_H

#include "graph.h"

struct rg_scan {
    rg_graph *graph;
    rgi_region *region;
    const char *name;
    bool reverse;
    rg_node *node;                  /* set by rg_scan_end: inputs are the xs, the inits, then the captures */
    uint32_t first_id;              /* body nodes have ids in [first_id, node->id) and region `region` */
    rgi_list slices, xs;            /* leaf of the body, sequence outside; xs of a slice made for its length only
                                        have no live leaf */
    rgi_list carries, inits, nexts; /* leaf, outer init, value for the next step */
    rgi_list captures;              /* outer nodes used in the body, known at the end */
    rgi_list results;               /* projections in creation order (ids follow the scan node's) */
    rg_node *index;                 /* leaf holding the step's index, or NULL */
};

/* The ops of a scan, of the leaves of its body, and of its results (in ops/scan.c). */
extern const rg_op rgi_op_scan, rgi_op_scan_slice, rgi_op_scan_carry, rgi_op_scan_index;

/* Attribute of a projection (op `result`) of a scan. */
typedef struct rgi_projection {
    rg_node *of;  /* body node, carry leaf or captured node */
    int64_t last; /* the carry after the last step; else the stack over all steps */
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

/* Gives a scan its number of steps from the leading axis of xs without using its values. */
void rgi_scan_length_like(rg_scan *s, rg_node *xs);

#endif
