/* random_graph.h - graphs by chance: every kind of op, bodies of recurrences, loops and branches, shapes that
   broadcast, nodes used many times. */
#ifndef RETROGRADE_TESTS_RANDOM_GRAPH_H
#define RETROGRADE_TESTS_RANDOM_GRAPH_H

#include <retrograde/retrograde.h>

typedef struct random_graph {
    rg_graph *g;
    rg_node *loss;
    rg_node *params[3];
} random_graph;

/* The same seed makes the same graph. Release with rg_graph_free(r->g). */
void random_graph_make(random_graph *r, uint64_t seed, rg_dtype dtype);

#endif
