/* replay.h - the body of a closed scan written once more in a new one: as it is, with tangents beside the values, or
   with one more axis. What stands for a node is kept by its id. */
#ifndef RGI_REPLAY_H
#define RGI_REPLAY_H

#include "rule.h"

#include "../graph/scan.h"

typedef struct rgi_replay {
    rg_graph *g;
    rg_node **of;   /* by id: the node in the new body, NULL: itself */
    rg_node **with; /* by id: its tangent; or, of a batched node, the one with the axis. NULL: none */
    size_t n;       /* ids */
    const char *caller;
    bool results;  /* the copy of a scan gets all its results, in their order */
    bool residual; /* what is not written again stands for itself as a reverse rule sees it: by its residual */
} rgi_replay;

bool rgi_replay_init(rgi_replay *r, rg_graph *g, const char *caller);
void rgi_replay_finish(rgi_replay *r);

/* What stands for a node now. */
static inline rg_node *rgi_now(const rgi_replay *r, rg_node *v)
{
    if (v && v->id < r->n && r->of[v->id])
        return r->of[v->id];
    return v && r->residual ? rgi_seen(r->g, v) : v;
}
static inline rg_node *rgi_with(const rgi_replay *r, const rg_node *v)
{
    return v && v->id < r->n ? r->with[v->id] : NULL;
}

/* The op of v applied to what stands for its inputs; sets `of` for v and its results. False: the graph's error is
   set. */
bool rgi_replay_node(rgi_replay *r, rg_node *v);

/* Which input of v became input i of its copy: inputs that may be exchanged stand in the order of ids. */
rg_node *rgi_replayed_input(const rgi_replay *r, const rg_node *v, const rg_node *copy, uint32_t i);

/* The same for any node, scans and their results too; with tangents where inputs have some. (scan_forward.c) */
bool rgi_replay_body_node(rgi_replay *r, rg_node *v);

/* All nodes of the body of f in the open scan that is meant for it, once its leaves have what stands for them. */
bool rgi_replay_body(rgi_replay *r, const rg_scan *f);

/* Opens a scan like f. */
rg_scan *rgi_replay_begin(rgi_replay *r, const rg_scan *f);
/* Stacks, in the scan c that is like f and still open, of what is outside of its body: they are captures. */
void rgi_replay_outer_stacks(const rgi_replay *r, const rg_scan *f, rg_scan *c);
/* Which of the body's nodes depend on one that `depends` marks (slices, carries, captures by id): steps are followed
   until nothing changes. Only floats do, if `floats`. */
void rgi_replay_spread(const rgi_replay *r, const rg_scan *f, bool *depends, bool floats);

#endif
