/* waves.h - what the tests of nn/ share: parameters and data by formula, and comparisons. */
#ifndef RETROGRADE_TESTS_WAVES_H
#define RETROGRADE_TESTS_WAVES_H

#include <retrograde/retrograde.h>

/* sin(a i + b), to be freed; as a constant; as a parameter's value. */
rg_tensor wave(rg_dtype dtype, rg_shape shape, double a, double b);
rg_node *wave_const(rg_graph *g, rg_dtype dtype, rg_shape shape, double a, double b);
void set_wave(rg_node *param, double a, double b);

/* Number i of values of a dtype; of a parameter. */
double element(const void *data, rg_dtype dtype, size_t i);
double value_of(rg_node *param, size_t i);
/* Absolute and relative error at most `tolerance`. */
void expect_close(double got, double expected, double tolerance, const char *what, size_t i);

/* On one thread; failures end the test. */
rg_plan *compile(rg_graph *g, rg_nodes fetch, rg_mode mode);
void run(rg_plan *p);

/* x [4, 3], w [2, 3], b [2], y [4, 2], loss mean((tanh(x w^T + b) - y)^2) */
struct problem {
    rg_graph *g;
    rg_node *x, *w, *b, *loss;
};
struct problem problem_new(rg_dtype dtype);

#endif
