/* random_blocks.h - nodes by chance that take more than one op. */
#ifndef RETROGRADE_TESTS_RANDOM_BLOCKS_H
#define RETROGRADE_TESTS_RANDOM_BLOCKS_H

#include "random_ops.h"

/* Inputs: [batch, n], [time, batch, n], [batch, channels, side, side]; below RANDOM_CLASSES, [batch]; up to time,
   [batch]; a few, a scalar. */
enum { RANDOM_X, RANDOM_SEQUENCE, RANDOM_IMAGES, RANDOM_INDEX, RANDOM_LENGTHS, RANDOM_TRIPS, RANDOM_INPUTS };
enum { RANDOM_CLASSES = 5, RANDOM_UPDATES = 4 };

typedef struct random_maker {
    random_pool pool; /* what blocks take nodes from, and add them to */
    rg_node *inputs[RANDOM_INPUTS];
    int64_t batch, time;                  /* the largest, where they are named */
    rg_node *updates[RANDOM_UPDATES + 1]; /* of buffers, and room for the step */
    size_t n_updates;
    int names, depth;   /* names given so far; bodies open */
    bool of_data;       /* loops or branches depend on data */
    rg_node *branch[2]; /* results of the branch being written */
} random_maker;

/* Some size. */
int64_t random_size(random_maker *m);
/* A new parameter with values. */
rg_node *random_param(random_maker *m, rg_shape shape);
/* One with as many axes, the last of a plain size; or x. */
rg_node *random_of_rank(random_maker *m, int rank, rg_node *x);
/* Adds a node of moderate size. */
void random_add_moderate(random_maker *m, rg_node *v);
/* A product of parts of wider tensors, or several joined. */
rg_node *random_windows(random_maker *m);
/* Some more blocks, whose results are of moderate size. */
void random_grow(random_maker *m, size_t more);

#endif
