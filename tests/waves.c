/* waves.c - values by formula and comparisons, for the tests of nn/. */
#include "waves.h"

#include <criterion/criterion.h>
#include <math.h>

rg_tensor wave(rg_dtype dtype, rg_shape shape, double a, double b)
{
    rg_tensor t;
    cr_assert_eq(rg_tensor_alloc(&t, dtype, shape), RG_OK);
    for (int64_t i = 0; i < rg_shape_count(shape); i++)
        if (dtype == RG_F64)
            ((double *)t.data)[i] = sin(a * (double)i + b);
        else
            ((float *)t.data)[i] = (float)sin(a * (double)i + b);
    return t;
}

double element(const void *data, rg_dtype dtype, size_t i)
{
    return dtype == RG_F64   ? ((const double *)data)[i]
           : dtype == RG_I64 ? (double)((const int64_t *)data)[i]
                             : ((const float *)data)[i];
}

double value_of(rg_node *param, size_t i)
{
    return element(rg_value(param).data, rg_dtype_of(param), i);
}

rg_node *wave_const(rg_graph *g, rg_dtype dtype, rg_shape shape, double a, double b)
{
    rg_tensor t = wave(dtype, shape, a, b);
    rg_node *node = rg_const(g, dtype, shape, t.data);
    rg_tensor_free(&t);
    return node;
}

void set_wave(rg_node *param, double a, double b)
{
    rg_tensor t = wave(rg_dtype_of(param), rg_shape_of(param), a, b);
    cr_assert_eq(rg_set(param, &t), RG_OK, "%s", rg_last_error());
    rg_tensor_free(&t);
}

void expect_close(double got, double expected, double tolerance, const char *what, size_t i)
{
    cr_assert(fabs(got - expected) <= tolerance * (1 + fabs(expected)), "%s, number %zu: %.17g, not %.17g", what, i,
              got, expected);
}

rg_plan *compile(rg_graph *g, rg_nodes fetch, rg_mode mode)
{
    rg_plan *p = rg_compile(g, fetch, &(rg_plan_opts){.threads = 1, .mode = mode});
    cr_assert(p, "%s", rg_graph_error(g));
    return p;
}

void run(rg_plan *p)
{
    cr_assert_eq(rg_run(p), RG_OK, "%s", rg_last_error());
}

struct problem problem_new(rg_dtype dtype)
{
    struct problem p = {.g = rg_graph_new(NULL)};
    p.x = rg_input(p.g, "x", dtype, RG_SHAPE(4, 3));
    p.w = rg_param(p.g, "w", dtype, RG_SHAPE(2, 3), NULL);
    p.b = rg_param(p.g, "b", dtype, RG_SHAPE(2), &(rg_param_opts){.init = RG_ZEROS});
    p.loss = rg_mse_loss(rg_tanh(rg_linear(p.x, p.w, p.b)), wave_const(p.g, dtype, RG_SHAPE(4, 2), 1.3, 0.5), NULL);
    set_wave(p.w, 1.0, 1.0);
    return p;
}
