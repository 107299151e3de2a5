/* sweep.h - the reverse sweep: cotangents by node id, rules applied in descending order. */
#ifndef RGI_SWEEP_H
#define RGI_SWEEP_H

#include "rule.h"

typedef struct rgi_sweep {
    rg_graph *graph;
    size_t n;       /* ids [0, n) take part */
    rg_node **ct;   /* cotangent so far, NULL: zero */
    bool *needed;   /* whether a derivative with respect to something wanted flows through the node */
    bool *wants;    /* room for the widest node ... */
    rg_node **grad; /* ... and for its gradients */
    rg_node **outs; /* ... and the cotangents of its outputs */
    size_t widest;
} rgi_sweep;

/* Room for a sweep over all nodes there are now. False: out of memory, error recorded. */
bool rgi_sweep_init(rgi_sweep *s, rg_graph *g);
void rgi_sweep_finish(rgi_sweep *s);
/* Marks as needed every node of [from, n) (in `region` only, unless it is NULL) that depends on a needed one. */
void rgi_sweep_mark(rgi_sweep *s, size_t from, const rgi_region *region);
/* The same in the body of a scan, from its inputs that are wanted: through the steps, hence a fixed point over the
   carries. (scan_reverse.c) */
void rgi_scan_mark(rgi_sweep *s, rg_scan *scan, const bool wants[]);
/* Adds to a node's cotangent. */
void rgi_sweep_add(rgi_sweep *s, const rg_node *node, rg_node *ct);
/* Propagates the cotangent of one node to its inputs. Nodes with no cotangent, and those that nobody needs, are
   skipped. */
bool rgi_sweep_node(rgi_sweep *s, rg_node *node);

/* What the public functions check of their lists; false with the graph's error set, which begins with `who`. Each of a
   list can be used now and is a float; `what` is the word for one. */
bool rgi_check_floats(rg_graph *g, const char *who, const char *what, rg_nodes list);
/* `like` has one for each of the list, NULL or of its type; `of` and `what` are the words for one. */
bool rgi_check_alike(rg_graph *g, const char *who, const char *of, rg_nodes list, const char *what, rg_nodes like);
/* The same of a function and its variable. False without an error recorded: the graph has one, or there is no graph. */
bool rgi_check_pair(const char *who, const rg_node *y, const rg_node *x);
/* The graph of the first node there is; NULL (last error set) if there is none. */
rg_graph *rgi_graph_of_lists(const char *who, rg_nodes ys, rg_nodes xs);

#endif
