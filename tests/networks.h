/* networks.h - three small networks with their training steps and their data. */
#ifndef RETROGRADE_TESTS_NETWORKS_H
#define RETROGRADE_TESTS_NETWORKS_H

#include <retrograde/retrograde.h>

typedef enum network_kind { MLP, LENET, LSTM, NETWORKS } network_kind;

typedef struct network {
    network_kind kind;
    rg_graph *g;
    rg_node *x, *t, *loss, *step;
} network;

extern const char *const network_names[];

network network_new(network_kind kind);
/* Binds the batch of a step; those of the MLP have an odd size now and then. */
bool network_bind(const network *m, rg_plan *p, int step);
/* Binds and runs steps [first, first + n). */
bool network_train(const network *m, rg_plan *p, int first, int n);
/* Of all parameters and buffers. */
uint64_t network_hash(const network *m);

#endif
