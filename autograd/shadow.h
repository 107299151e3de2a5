/* shadow.h - what a loss is computed from, written once more in another graph: in f64, with numbers in place of named
   sizes and parameters in place of inputs, to be moved at will. */
#ifndef RGI_SHADOW_H
#define RGI_SHADOW_H

#include "../graph/graph.h"

typedef struct rgi_shadow {
    rg_graph *source, *to;
    rg_node **of;    /* by id of the source: what stands for a node there, NULL where nothing does */
    size_t n;        /* ids of the source */
    rg_node **stops; /* pairs: a parameter in place of a stopped gradient, and the value it is to hold */
    size_t n_stops, stop_capacity;
    int64_t *sizes; /* of the named dimensions */
} rgi_shadow;

/* Copies the ancestors of `loss`. Floats become f64; inputs[i] gets values[i]; the mode is `training`. The error
   text begins with `who`. End it in either case. */
rg_status rgi_shadow_make(rgi_shadow *s, rg_node *loss, rg_nodes inputs, const rg_tensor *values, bool training,
                          const char *who);
void rgi_shadow_end(rgi_shadow *s);

#endif
