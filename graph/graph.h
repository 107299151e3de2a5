/* graph.h - the graph from inside: what a node, a shape, a region and a graph are made of.
   Included by the stages to the right of graph/; never by users. */
#ifndef RGI_GRAPH_H
#define RGI_GRAPH_H

#include <retrograde/base.h>
#include <retrograde/graph.h>
#include <retrograde/op.h>

#include "arena.h"
#include "dims.h"
#include "error.h"
#include "store.h"

typedef struct rgi_region rgi_region;

/* A shape under both assignments of the named sizes; interned, so equal shapes are equal pointers. */
typedef struct rgi_shape {
    rg_shape a, b; /* equal where nothing is named */
    bool named;    /* some size is */
} rgi_shape;

struct rg_node {
    rg_graph *graph;
    const rg_op *op;
    const void *attr;
    rg_node **in;
    const rgi_shape *shape;
    rgi_region *region;
    rg_node *origin;         /* the forward node this one derives from: its location is reported */
    const char *scope;       /* dotted path with a trailing dot, or "" */
    const char *file;        /* caller's location, or NULL */
    rg_node *results;        /* projections of this node, newest first ... */
    rg_node *next_result;    /* ... linked here */
    struct rgi_entry *entry; /* storage of a parameter or buffer */
    const char *name;        /* full name of a leaf, or NULL */
    uint32_t id, n_in;
    int32_t line;
    uint32_t result; /* which result of in[0] a projection is */
    rg_dtype dtype;
};

/* A body: the nodes of one scan. Region 0 (parent NULL) is the outside. */
struct rgi_region {
    rg_graph *graph;
    rgi_region *parent;   /* the deepest region of what the body uses from outside; known when closed */
    struct rg_scan *scan; /* the recurrence it belongs to, NULL for the outside */
    uint32_t id, depth;
    bool open;
};

/* Growable list of pointers from the graph's arena. */
typedef struct rgi_list {
    void **at;
    size_t n, capacity;
} rgi_list;

struct rg_graph {
    rg_allocator allocator;
    void (*log)(void *user, rg_log_level level, const char *text);
    void *log_user;
    uint64_t seed;
    uint32_t references; /* the user's and every plan's; changed atomically */
    rgi_arena arena;
    rgi_error error;         /* first build error */
    rgi_error compile_error; /* last compile error */

    rgi_list nodes;    /* rg_node *, by id */
    rgi_list regions;  /* rgi_region *, by id; [0] is the outside */
    rgi_list open;     /* rgi_region *, innermost open scan last */
    rgi_list attached; /* pairs node, effect */
    rgi_list assigns;  /* rg_node *, every assign made, in order */
    rgi_list stored;   /* rg_node *, parameters and buffers by index in the store */
    rgi_list latest;   /* rg_node *, the last assign to each of them, or NULL */
    rgi_dims dims;
    rgi_list checkpoints; /* parts that the reverse pass computes again; see autograd/checkpoint.c */
    size_t checkpoint_depth;
    rgi_store *store; /* shared with plans */

    struct rgi_table {
        uint64_t *hash;
        void **at;
        size_t n, capacity;
    } interned, shapes, names, strings;

    const char *scope; /* interned, trailing dot or "" */
    struct {
        const char *outer;
        bool reuse;
    } scopes[64];
    int scope_depth;
    bool reuse;      /* parameters asked for must exist already */
    rg_node *origin; /* see rgi_origin_set */

    rg_node *random_step, *random_advance;       /* the draw counter and its increment, once used */
    const struct rgi_substitution *substitution; /* active while a reverse scan is built; see autograd/ */
    const struct rgi_rule *rule;                 /* the derivative rule being applied; see autograd/ */
    bool in_compile;
};

/* ---- nodes ---- */

static inline rg_node *rgi_node(const rg_graph *g, size_t id)
{
    return (rg_node *)g->nodes.at[id];
}

/* Appends a node as it is, without checks or interning, with the present scope and location: for the leaves and results
   of bodies. `in` and `attr` are copied. NULL when memory is short (error recorded). */
rg_node *rgi_node_new(rg_graph *g, const rg_op *op, rg_node *const *in, size_t n_in, const void *attr, rg_dtype dtype,
                      const rgi_shape *shape, rgi_region *region);

/* Whether a node can be used now; for what does not go through rg_apply. If not (NULL, of another graph, a result of a
   scan or a value of a body at the wrong time) the error "who: what, .." is recorded. A NULL that an error has left
   says nothing more. */
bool rgi_usable(rg_graph *g, const char *who, const char *what, const rg_node *v);

/* The deeper of two regions that lie on one path, or NULL (error recorded, naming both scans and the op). An open
   body's path is extended by what it is joined with. */
rgi_region *rgi_region_join(rg_graph *g, const char *op, rgi_region *a, rgi_region *b);
/* Whether `inner` is `outer` or inside it. */
bool rgi_region_within(const rgi_region *inner, const rgi_region *outer);
/* The name of a recurrence for errors and dumps; never NULL. (scan.c) */
const char *rgi_scan_name(const struct rg_scan *scan);

/* The descriptor of projections. (ops/scan.c) */
extern const rg_op rgi_op_result;

/* Projection i of a node with several results: interned. (Those of a scan are made in scan.c.) */
rg_node *rgi_result(rg_node *of, uint32_t i, rg_dtype dtype, const rgi_shape *shape, rgi_region *region);

/* The interned shape for a pair of assignments; NULL when memory is short. */
const rgi_shape *rgi_shape_intern(rg_graph *g, rg_shape a, rg_shape b);
/* The type of a node under the first assignment. */
static inline rg_type rgi_type(const rg_node *n)
{
    return (rg_type){n->dtype, n->shape->a};
}

/* Appends to a list; false when memory is short (error recorded). */
bool rgi_list_push(rg_graph *g, rgi_list *list, void *item);
/* Makes sure that one more can be appended; false when memory is short (error recorded). */
bool rgi_list_reserve(rg_graph *g, rgi_list *list);
/* A list for the user, living as long as the graph. Empty on failure. */
rg_nodes rgi_nodes_copy(rg_graph *g, rg_node *const *at, size_t n);
/* A copy of text in the graph, equal texts shared; NULL when memory is short. */
const char *rgi_string(rg_graph *g, const char *text);

/* Sets the location and origin that nodes made from now on report; returns the former origin. Rules emit under the
   origin of the node they derive. */
rg_node *rgi_origin_set(rg_graph *g, rg_node *origin);

/* How many draws were made in the present scope before this one. */
uint64_t rgi_scope_ordinal(rg_graph *g);

/* The i64 index of the innermost open scan's step (a leaf of its body), or NULL outside of scans. */
rg_node *rgi_scan_index(rg_graph *g);

/* One more / one fewer owner; the last one frees. */
void rgi_graph_retain(rg_graph *g);
void rgi_graph_release(rg_graph *g);

#endif
