/* test_norm.c - normalisation: large offsets, NaN, refusals. Values and derivatives are in the sample table. */
#include "must.h"

Test(norm, a_large_offset_costs_no_accuracy)
{
    enum { N = 300 };
    float x[2][N];
    for (int i = 0; i < N; i++) {
        x[0][i] = (float)(i % 2 ? 4097 : 4095);
        x[1][i] = i == 7 ? NAN : 1;
    }
    rg_graph *g = rg_graph_new(NULL);
    rg_node *in = rg_input(g, "x", RG_F32, RG_SHAPE(2, N)), *y = rg_layer_norm(in, NULL, NULL, 0);
    rg_plan *p = must_compile(g, RG_NODES(y), NULL);
    must(rg_bind(p, in, x));
    must(rg_run(p));
    for (size_t i = 0; i < N; i++) {
        cr_expect_eq(value_at(p, y, i), i % 2 ? 1 : -1);
        cr_expect(isnan(value_at(p, y, N + i)));
    }
    rg_plan_free(p);
    rg_graph_free(g);
}

static void refused(rg_graph *g, const rg_node *built, rg_status status, const char *const words[])
{
    cr_assert_null(built);
    cr_assert_eq(rg_graph_status(g), status, "%s", rg_graph_error(g));
    for (size_t i = 0; words[i]; i++)
        cr_expect(strstr(rg_graph_error(g), words[i]), "\"%s\" is missing in: %s", words[i], rg_graph_error(g));
    rg_graph_clear_error(g);
}

#define REFUSED(status, built, ...) refused(g, built, status, (const char *const[]){__VA_ARGS__, NULL})

Test(norm, what_does_not_fit_is_refused)
{
    rg_graph *g = rg_graph_new(NULL);
    rg_node *x = rg_input(g, "features", RG_F32, RG_SHAPE(3, 5)), *w = rg_input(g, "gain", RG_F32, RG_SHAPE(3));
    rg_node *scalar = rg_input(g, "scalar", RG_F32, RG_SCALAR), *whole = rg_input(g, "whole", RG_I32, RG_SHAPE(4));
    REFUSED(RG_ERR_SHAPE, rg_layer_norm(x, w, NULL, 1e-5), "layer_norm", "features", "[3, 5]", "gain", "[3]", "weight");
    REFUSED(RG_ERR_SHAPE, rg_layer_norm(x, NULL, w, 1e-5), "features", "gain", "bias");
    REFUSED(RG_ERR_SHAPE, rg_layer_norm(scalar, NULL, NULL, 1e-5), "scalar", "no axis");
    REFUSED(RG_ERR_ARGUMENT, rg_layer_norm(x, NULL, NULL, -1), "eps", "-1");
    REFUSED(RG_ERR_ARGUMENT, rg_layer_norm(x, NULL, NULL, NAN), "eps");
    rg_node *image = rg_input(g, "image", RG_F32, RG_SHAPE(2, 3, 4, 4)), *row = rg_input(g, "row", RG_F32, RG_SHAPE(3)),
            *wide = rg_input(g, "wide", RG_F64, RG_SHAPE(3));
    REFUSED(RG_ERR_SHAPE, rg_batch_norm(image, rg_input(g, "four", RG_F32, RG_SHAPE(4)), NULL, 1e-5), "batch_norm",
            "image", "four", "axis 1", "weight");
    REFUSED(RG_ERR_SHAPE, rg_batch_norm(row, NULL, NULL, 1e-5), "batch_norm", "two axes", "row");
    REFUSED(RG_ERR_DTYPE, rg_batch_norm(image, wide, NULL, 1e-5), "batch_norm", "wide", "input 1 is f64");
    REFUSED(RG_ERR_DTYPE, rg_layer_norm(whole, NULL, NULL, 1e-5), "whole");
    rg_graph_free(g);
}
