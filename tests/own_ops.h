/* own_ops.h - ops of the tests' own, which only have types: for what the graph does with any op. */
#ifndef RETROGRADE_TESTS_OWN_OPS_H
#define RETROGRADE_TESTS_OWN_OPS_H

#include <retrograde/retrograde.h>

typedef struct knobs {
    int64_t i;
    double f;
    bool b;
    rg_dtype dtype;
    rg_axes axes;
    rg_shape shape;
    rg_bytes bytes;
} knobs;

extern const rg_op sum_op, minus_op, float_op, knob_op, opaque_op, two_op, refuse_op;

rg_node *sum2(rg_node *a, rg_node *b);
rg_node *floaty(rg_node *x);

/* The graph's error has this status and contains this text; it is cleared. */
void expect_error(rg_graph *g, rg_status status, const char *part);
/* The graph has no error and its invariants hold. */
void expect_sound(rg_graph *g);

#endif
