/* random_step.h - training steps and evaluations by chance: perceptrons, images, attention, recurrences, loops in
   loops, branches, what moves elements, gradients, optimisers, buffers updated while they are read; sizes with and
   without names; results that are views of each other. */
#ifndef RETROGRADE_TESTS_RANDOM_STEP_H
#define RETROGRADE_TESTS_RANDOM_STEP_H

#include "random_blocks.h"

enum { RANDOM_FETCHED = 40, RANDOM_BLOCKS = 24 };

/* Which graph. */
typedef struct random_choice {
    uint64_t seed;
    uint64_t without;         /* bit i: not its i-th block ... */
    uint64_t without_fetched; /* ... nor its i-th result */
} random_choice;

typedef struct random_step {
    rg_graph *g;
    random_choice choice;
    rg_node *inputs[RANDOM_INPUTS];
    int64_t batch, time; /* sizes of the axes that inputs share: the largest, where they are named */
    bool named;
    rg_node *fetch[RANDOM_FETCHED];
    size_t n_fetched;
    size_t n_blocks; /* without those left out */
    bool effects;    /* the step changes what is stored */
    bool of_data;    /* loops or branches depend on data */
    bool trains;     /* the mode */
} random_step;

/* What stands in memory that a graph and its plans are given from now on, so that those who read what nobody has
   written differ. */
void random_step_garbage(unsigned char byte);
/* The same choice makes the same graph; false, with the graph's error, where it cannot be built. Release with
   rg_graph_free(r->g). */
bool random_step_make(random_step *r, const random_choice *choice);
/* Sizes of run `run`: those of the first, and of each third one, are the largest. */
void random_step_sizes(const random_step *r, int run, int64_t *batch, int64_t *time);
/* Values of input `i` in a run, to be released with rg_tensor_free. */
rg_status random_step_values(const random_step *r, size_t i, int run, rg_tensor *out);

#endif
