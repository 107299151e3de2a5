/* random_plans.h - one random graph, planned and run in many ways: every result and everything stored has the bits of
   the plainest plan. */
#ifndef RETROGRADE_TESTS_RANDOM_PLANS_H
#define RETROGRADE_TESTS_RANDOM_PLANS_H

#include "random_step.h"

#define RANDOM_WAYS 16

typedef struct random_difference {
    int way;                /* -1: none differs */
    size_t result;          /* which fetched node differs; n_fetched: something stored */
    size_t blocks, fetched; /* of the graph */
    char text[512];         /* way, run, node, element, both values */
} random_difference;

/* The name of a way, NULL behind the last. */
const char *random_way(int way);
/* Goes through the ways whose bits are set, until one differs. False if the graph cannot be built: the text says why.
 */
bool random_plans_compare(const random_choice *choice, uint64_t ways, random_difference *out);
/* Writes the graph, and the plans of the plainest way and of another one, to `path`. */
bool random_plans_dump(const random_choice *choice, int way, const char *path);

#endif
