/* test_values.c - what parameters hold: random bits, initial values, values that are set. */
#include "graph/graph.h"
#include "graph/philox.h"
#include "own_ops.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

static rg_tensor drawn(rg_graph *g, const char *name, rg_dtype dtype, rg_shape shape, rg_init init, double scale)
{
    rg_node *p = rg_param(g, name, dtype, shape, &(rg_param_opts){.init = init, .scale = scale});
    cr_assert(p, "%s", rg_graph_error(g));
    const rg_tensor t = rg_value(p);
    cr_assert(t.data, "%s", rg_last_error());
    return t;
}

/* Known answers of the authors' distribution (Random123). */
Test(values, philox_known_answers)
{
    uint32_t out[4];
    rgi_philox((uint32_t[]){0, 0, 0, 0}, 0, out);
    cr_expect(out[0] == 0x6627e8d5 && out[1] == 0xe169c58d && out[2] == 0xbc57ac4c && out[3] == 0x9b00dbd8);
    rgi_philox((uint32_t[]){~0u, ~0u, ~0u, ~0u}, ~(uint64_t)0, out);
    cr_expect(out[0] == 0x408f276d && out[1] == 0x41c83b0e && out[2] == 0xa20bc7c6 && out[3] == 0x6d5451fd);
    rgi_philox((uint32_t[]){0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, 0x299f31d0a4093822, out);
    cr_expect(out[0] == 0xd16cfe09 && out[1] == 0x94fdcceb && out[2] == 0x5001e420 && out[3] == 0x24126ea1);
}

Test(values, draws_have_the_stated_bounds_and_moments)
{
    rg_graph *g = rg_graph_new(NULL);
    enum { N = 200 };
    const double root = sqrt(N);
    const struct {
        rg_init init;
        double scale, bound, deviation;
    } cases[] = {
        {RG_INIT_DEFAULT, 0, 1 / root, 1 / root / sqrt(3)},
        {RG_UNIFORM, 0.5, 0.5, 0.5 / sqrt(3)},
        {RG_UNIFORM, 0, 1 / root, 1 / root / sqrt(3)},
        {RG_NORMAL, 0, INFINITY, 0.02},
        {RG_NORMAL, 3, INFINITY, 3},
        {RG_TRUNCATED_NORMAL, 1, 2, 0.8796}, /* of a normal cut at two deviations */
        {RG_XAVIER_UNIFORM, 0, sqrt(6.0 / (2 * N)), sqrt(2.0 / (2 * N))},
        {RG_XAVIER_NORMAL, 2, INFINITY, 2 * sqrt(2.0 / (2 * N))},
        {RG_KAIMING_UNIFORM, sqrt(2), sqrt(6.0 / N), sqrt(2.0 / N)},
        {RG_KAIMING_NORMAL, 0, INFINITY, 1 / root},
        {RG_ORTHOGONAL, 0, 1, 1 / root},
    };
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++)
        for (int wide = 0; wide < 2; wide++) {
            char name[16];
            snprintf(name, sizeof name, "p%zu.%d", c, wide);
            const rg_tensor t = drawn(g, name, wide ? RG_F64 : RG_F32, RG_SHAPE(N, N), cases[c].init, cases[c].scale);
            double mean = 0, square = 0, largest = 0;
            for (size_t i = 0; i < N * N; i++) {
                const double v = wide ? ((const double *)t.data)[i] : (double)((const float *)t.data)[i];
                mean += v / (N * N);
                square += v * v / (N * N);
                largest = fmax(largest, fabs(v));
            }
            cr_expect(fabs(mean) < 0.02 * cases[c].deviation, "%s: mean %g", name, mean);
            cr_expect(fabs(sqrt(square) / cases[c].deviation - 1) < 0.02, "%s: deviation %g, not %g", name,
                      sqrt(square), cases[c].deviation);
            cr_expect(largest <= cases[c].bound * (1 + 1e-7), "%s: %g beyond %g", name, largest, cases[c].bound);
        }
    cr_expect_eq(((const float *)drawn(g, "bias", RG_F32, RG_SHAPE(3), RG_INIT_DEFAULT, 0).data)[1], 0);
    cr_expect_eq(((const float *)drawn(g, "one", RG_F32, RG_SHAPE(3), RG_ONES, 0).data)[1], 1);
    cr_expect_eq(((const double *)drawn(g, "pi", RG_F64, RG_SHAPE(3), RG_CONSTANT, 3.5).data)[2], 3.5);
    cr_expect(drawn(g, "none", RG_F64, RG_SHAPE(0, 3), RG_ORTHOGONAL, 0).data);
    rg_graph_free(g);
}

Test(values, orthogonal)
{
    rg_graph *g = rg_graph_new(NULL);
    static const int64_t shapes[][2] = {{6, 4}, {4, 6}, {5, 5}, {1, 7}, {7, 1}};
    for (size_t c = 0; c < 5; c++) {
        char name[8];
        snprintf(name, sizeof name, "q%zu", c);
        const int64_t rows = shapes[c][0], cols = shapes[c][1], n = rows < cols ? rows : cols, length = rows + cols - n;
        const double *q = drawn(g, name, RG_F64, RG_SHAPE(rows, cols), RG_ORTHOGONAL, 2).data;
        for (int64_t i = 0; i < n; i++)
            for (int64_t j = 0; j < n; j++) {
                double dot = 0;
                for (int64_t k = 0; k < length; k++)
                    dot += rows < cols ? q[i * cols + k] * q[j * cols + k] : q[k * cols + i] * q[k * cols + j];
                cr_expect(fabs(dot - (i == j ? 4 : 0)) < 1e-13, "%s: %ld.%ld = %g", name, (long)i, (long)j, dot);
            }
    }
    rg_graph_free(g);
}

Test(values, draws_depend_on_seed_and_name_alone)
{
    float first[4] = {0};
    for (int trial = 0; trial < 4; trial++) {
        rg_graph *g = rg_graph_new(&(rg_graph_opts){.seed = trial == 3 ? 8 : 7});
        if (trial == 1)
            drawn(g, "earlier", RG_F32, RG_SHAPE(8, 8), RG_NORMAL, 1);
        const float *v = drawn(g, trial == 2 ? "v" : "w", RG_F32, RG_SHAPE(2, 2), RG_NORMAL, 1).data;
        if (trial == 0)
            memcpy(first, v, sizeof first);
        cr_expect_eq(memcmp(first, v, sizeof first) == 0, trial < 2);
        rg_graph_free(g);
    }
}

Test(values, set)
{
    rg_graph *g = rg_graph_new(NULL);
    rg_node *w = rg_param(g, "w", RG_F32, RG_SHAPE(2), NULL), *x = rg_input(g, "x", RG_F32, RG_SHAPE(2));
    const uint64_t version = w->entry->version;
    cr_expect_eq(rg_set(w, &(rg_tensor){RG_F32, RG_SHAPE(2), (float[]){3, 4}, NULL}), RG_OK);
    cr_expect_eq(((const float *)rg_value(w).data)[1], 4);
    cr_expect(w->entry->version > version);
    cr_expect_eq(rg_set(w, &(rg_tensor){RG_F64, RG_SHAPE(2), (double[]){3, 4}, NULL}), RG_ERR_DTYPE);
    cr_expect_eq(rg_set(w, &(rg_tensor){RG_F32, RG_SHAPE(3), (float[]){3, 4, 5}, NULL}), RG_ERR_SHAPE);
    cr_expect(strstr(rg_last_error(), "'w' is f32[2], the value given is f32[3]"), "%s", rg_last_error());
    cr_expect_eq(rg_set(x, &(rg_tensor){RG_F32, RG_SHAPE(2), (float[]){3, 4}, NULL}), RG_ERR_ARGUMENT);
    cr_expect_eq(rg_set(w, NULL), RG_ERR_ARGUMENT);
    cr_expect_null(rg_value(x).data);
    cr_expect_null(rg_value(NULL).data);
    cr_expect_eq(((const float *)rg_value(w).data)[0], 3);
    rg_graph_free(g);
}
