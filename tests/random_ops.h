/* random_ops.h - nodes by chance, made of those there are: every kind of op, shapes that broadcast, named sizes. */
#ifndef RETROGRADE_TESTS_RANDOM_OPS_H
#define RETROGRADE_TESTS_RANDOM_OPS_H

#include <retrograde/retrograde.h>

#define RANDOM_NODES 64

typedef struct random_pool {
    rg_graph *g;
    uint64_t state; /* of the draws */
    rg_dtype dtype; /* of all nodes */
    rg_node *nodes[RANDOM_NODES];
    size_t n;
} random_pool;

/* A number below n, which is above 0. */
size_t random_below(random_pool *m, size_t n);
/* One of the nodes. */
rg_node *random_any(random_pool *m);
/* Adds a node, unless it is NULL or there is no room. */
void random_add(random_pool *m, rg_node *v);

/* Whether a size is named; plain ones are small here. */
bool random_named(int64_t size);
/* Whether two shapes broadcast. */
bool random_broadcasts(const rg_node *a, const rg_node *b);
/* A matrix of the values of v, or of means. */
rg_node *random_matrix(rg_node *v);

/* A function of x; of x and another; along an axis of x; x moved; a product of x and another. */
rg_node *random_unary(random_pool *m, rg_node *x);
rg_node *random_binary(random_pool *m, rg_node *x);
rg_node *random_along(random_pool *m, rg_node *x);
rg_node *random_moved(random_pool *m, rg_node *x);
rg_node *random_product(random_pool *m, rg_node *x);

#endif
