/* must.h - compile, bind, run and read, each failing the test with the library's own words. */
#ifndef RETROGRADE_TESTS_MUST_H
#define RETROGRADE_TESTS_MUST_H

#include <retrograde/retrograde.h>

#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

static inline rg_plan *must_compile(rg_graph *g, rg_nodes fetch, const rg_plan_opts *opts)
{
    cr_assert(!rg_graph_error(g), "%s", rg_graph_error(g));
    rg_plan *p = rg_compile(g, fetch, opts);
    cr_assert(p, "%s", rg_graph_error(g));
    return p;
}

static inline void must(rg_status status)
{
    cr_assert(!status, "%s: %s", rg_status_name(status), rg_last_error());
}

/* The results of two plans of one graph have the same bits; what, how: for the message. */
static inline void expect_equal_results(rg_plan *p, rg_plan *q, rg_nodes results, const char *what, const char *how)
{
    for (size_t k = 0; k < results.n; k++) {
        rg_tensor a, b;
        must(rg_result(p, results.at[k], &a));
        must(rg_result(q, results.at[k], &b));
        cr_assert(rg_shape_equal(a.shape, b.shape), "%s, %s: the shape of result %zu", what, how, k);
        const size_t bytes = rg_tensor_bytes(&a);
        cr_expect(bytes == 0 || memcmp(a.data, b.data, bytes) == 0, "%s, %s: result %zu", what, how, k);
    }
}

/* Element i of a fetched node, of any dtype. */
static inline double value_at(rg_plan *p, rg_node *node, size_t i)
{
    rg_tensor t;
    must(rg_result(p, node, &t));
    switch (t.dtype) {
    case RG_F32:
        return ((const float *)t.data)[i];
    case RG_F64:
        return ((const double *)t.data)[i];
    case RG_I32:
        return ((const int32_t *)t.data)[i];
    case RG_I64:
        return (double)((const int64_t *)t.data)[i];
    default:
        return ((const uint8_t *)t.data)[i];
    }
}

/* Element i of a parameter or buffer. */
static inline double stored_at(rg_node *param, size_t i)
{
    const rg_tensor t = rg_value(param);
    cr_assert(t.data, "%s", rg_last_error());
    switch (t.dtype) {
    case RG_F32:
        return ((const float *)t.data)[i];
    case RG_F64:
        return ((const double *)t.data)[i];
    case RG_I64:
        return (double)((const int64_t *)t.data)[i];
    default:
        return ((const uint8_t *)t.data)[i];
    }
}

/* An f64 scalar parameter or buffer with a value. */
static inline void set_scalar(rg_node *param, double value)
{
    must(rg_set(param, &(rg_tensor){.dtype = RG_F64, .shape = RG_SCALAR, .data = &value}));
}

static inline bool close_to(double a, double b, double tolerance)
{
    return fabs(a - b) <= tolerance * (1 + fabs(b));
}

#endif
