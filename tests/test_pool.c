/* test_pool.c - pooling: ties, NaN and infinities, threads, refusals. Values and derivatives are in the sample
   table. */
#include "must.h"

enum { PLANES = 3 * 5, HEIGHT = 13, WIDTH = 37 };

/* The maxima and where a cotangent of ones goes, for one row of `n` elements. */
static void row_of(const double *x, int64_t n, const rg_pool1d_opts *o, const double *y, const double *dx)
{
    rg_graph *g = rg_graph_new(NULL);
    rg_node *in = rg_input(g, "x", RG_F64, RG_SHAPE(n));
    rg_node *out = rg_max_pool1d(in, o);
    rg_node *grad = rg_at(rg_grad(rg_sum(out, RG_ALL_AXES, false), RG_NODES(in)), 0);
    rg_plan *p = must_compile(g, RG_NODES(out, grad), NULL);
    must(rg_bind(p, in, x));
    must(rg_run(p));
    rg_tensor t;
    must(rg_result(p, out, &t));
    for (int64_t i = 0; i < t.shape.dim[0]; i++) {
        const double v = value_at(p, out, (size_t)i);
        cr_expect(v == y[i] || (isnan(v) && isnan(y[i])), "y[%d] is %g, not %g", (int)i, v, y[i]);
    }
    for (int64_t i = 0; i < n; i++)
        cr_expect_eq(value_at(p, grad, (size_t)i), dx[i], "dx[%d] is %g, not %g", (int)i, value_at(p, grad, (size_t)i),
                     dx[i]);
    rg_plan_free(p);
    rg_graph_free(g);
}

Test(pool, the_first_of_equal_maxima_takes_the_gradient)
{
    const double x[] = {1, 1, 1, 0, 2, 2};
    row_of(x, 6, &(rg_pool1d_opts){.window = {3}}, (double[]){1, 2}, (double[]){1, 0, 0, 0, 1, 0});
    row_of(x, 6, &(rg_pool1d_opts){.window = {3}, .stride = {1}}, (double[]){1, 1, 2, 2}, (double[]){1, 1, 0, 0, 2, 0});
}

Test(pool, a_nan_is_the_maximum)
{
    const double x[] = {3, NAN, 5, NAN, 1, 2};
    row_of(x, 6, &(rg_pool1d_opts){.window = {2}}, (double[]){NAN, NAN, 2}, (double[]){0, 1, 0, 1, 0, 1});
    row_of(x, 6, &(rg_pool1d_opts){.window = {6}}, (double[]){NAN}, (double[]){0, 1, 0, 0, 0, 0});
}

Test(pool, infinities_are_numbers_and_padding_never_wins)
{
    const double low = -(double)INFINITY, x[] = {low, low, INFINITY, 1};
    row_of(x, 4, &(rg_pool1d_opts){.window = {2}}, (double[]){low, INFINITY}, (double[]){1, 0, 1, 0});
    row_of(x, 4, &(rg_pool1d_opts){.window = {2}, .pad = {1}}, (double[]){low, INFINITY, 1}, (double[]){1, 0, 1, 1});
    const double negative[] = {-3, -2};
    row_of(negative, 2, &(rg_pool1d_opts){.window = {3}, .stride = {1}, .pad = {1}}, (double[]){-2, -2},
           (double[]){0, 2});
}

/* Maxima of a plane and where cotangents 1, 2, 3 .. of them go, by the definition. */
static void maxima_of(const rg_pool_opts *o, const int64_t in[2], const int64_t out[2], const double *x, double *y,
                      double *dx)
{
    for (int64_t i = 0; i < in[0] * in[1]; i++)
        dx[i] = 0;
    for (int64_t i = 0; i < out[0] * out[1]; i++) {
        int64_t best = -1;
        for (int64_t k = 0; k < o->window[0] * o->window[1]; k++) {
            const int64_t h = i / out[1] * o->stride[0] + k / o->window[1] - o->pad[0],
                          w = i % out[1] * o->stride[1] + k % o->window[1] - o->pad[1], at = h * in[1] + w;
            if (h < 0 || h >= in[0] || w < 0 || w >= in[1])
                continue;
            if (best < 0 || (!isnan(x[best]) && (isnan(x[at]) || x[at] > x[best])))
                best = at;
        }
        y[i] = x[best];
        dx[best] += (double)(i + 1);
    }
}

/* Of two planes of small whole numbers with NaN and infinities in between, so that there are ties, and windows at the
   edges that hold nothing larger than what is outside. */
static void compare_planes(rg_dtype dtype, const rg_pool_opts *o, int64_t height, int64_t width)
{
    const int64_t in[2] = {height, width}, plane = height * width;
    rg_graph *g = rg_graph_new(NULL);
    rg_node *x = rg_input(g, "x", dtype, RG_SHAPE(2, height, width)), *y = rg_max_pool2d(x, o);
    const rg_shape shape = rg_shape_of(y);
    const int64_t out[2] = {shape.dim[1], shape.dim[2]}, pooled = out[0] * out[1];
    rg_node *u = rg_arange(g, dtype, 1, 1, pooled);
    u = rg_broadcast_to(rg_reshape(u, RG_SHAPE(1, out[0], out[1])), shape);
    rg_node *dx = rg_at(rg_vjp(RG_NODES(y), RG_NODES(u), RG_NODES(x)), 0);
    rg_plan *p = must_compile(g, RG_NODES(y, dx), NULL);
    double *values = calloc((size_t)(4 * plane), sizeof *values), *maxima = values + 2 * plane, *to = maxima + plane;
    float *single = calloc((size_t)(2 * plane), sizeof *single);
    const double special[] = {NAN, INFINITY, -(double)INFINITY};
    unsigned seed = (unsigned)(height * 31 + width);
    for (int64_t i = 0; i < 2 * plane; i++) {
        seed = seed * 1664525u + 1013904223u;
        const int64_t column = i % width;
        if ((column < 2 || column >= width - 2) && (seed >> 22) % 4)
            values[i] = -(double)INFINITY;
        else
            values[i] = seed >> 24 < 30 ? special[(seed >> 16) % 3] : (double)((seed >> 20) % 4) - 3;
        single[i] = (float)values[i];
    }
    must(rg_bind(p, x, dtype == RG_F64 ? (const void *)values : single));
    must(rg_run(p));
    for (int64_t i = 0; i < 2; i++) {
        maxima_of(o, in, out, values + i * plane, maxima, to);
        for (int64_t k = 0; k < pooled; k++) {
            const double v = value_at(p, y, (size_t)(i * pooled + k));
            cr_expect(v == maxima[k] || (isnan(v) && isnan(maxima[k])), "%d x %d: y[%d] is %g, not %g", (int)height,
                      (int)width, (int)k, v, maxima[k]);
        }
        for (int64_t k = 0; k < plane; k++)
            cr_expect_eq(value_at(p, dx, (size_t)(i * plane + k)), to[k], "%d x %d, plane %d: dx[%d] is %g, not %g",
                         (int)height, (int)width, (int)i, (int)k, value_at(p, dx, (size_t)(i * plane + k)), to[k]);
    }
    free(single);
    free(values);
    rg_plan_free(p);
    rg_graph_free(g);
}

Test(pool, windows_of_three_columns_by_two_are_as_defined)
{
    const rg_pool_opts all[] = {
        {.window = {3, 3}, .stride = {2, 2}},
        {.window = {3, 3}, .stride = {2, 2}, .pad = {1, 1}},
        {.window = {3, 3}, .stride = {2, 2}, .pad = {1, 1}, .ceil_mode = true},
        {.window = {3, 3}, .stride = {2, 2}, .ceil_mode = true},
        {.window = {2, 3}, .stride = {3, 2}, .pad = {1, 0}},
        {.window = {1, 3}, .stride = {1, 2}, .pad = {0, 1}},
        {.window = {3, 3}, .stride = {1, 2}, .pad = {0, 1}, .ceil_mode = true},
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        for (int64_t width = 3; width < 72; width += width < 6 || (width > 30 && width < 38) ? 1 : 11)
            for (int64_t height = 3; height < 9; height += 2 + height % 3) {
                compare_planes(RG_F32, &all[i], height, width);
                compare_planes(RG_F64, &all[i], height, width);
            }
}

/* Outputs and gradients of both pools for some number of threads, one after the other. */
static size_t images(const float *x, int threads, float *out)
{
    rg_graph *g = rg_graph_new(NULL);
    rg_node *in = rg_input(g, "x", RG_F32, RG_SHAPE(3, 5, HEIGHT, WIDTH));
    const rg_pool_opts o = {.window = {3, 3}, .stride = {2, 2}, .pad = {1, 1}};
    rg_node *y[] = {rg_max_pool2d(in, &o), rg_avg_pool2d(in, &o)};
    rg_node *loss = rg_sum(rg_add(rg_square(y[0]), rg_square(y[1])), RG_ALL_AXES, false);
    rg_node *grad = rg_at(rg_grad(loss, RG_NODES(in)), 0);
    rg_plan *p = must_compile(g, RG_NODES(y[0], y[1], grad), &(rg_plan_opts){.threads = threads});
    must(rg_bind(p, in, x));
    must(rg_run(p));
    size_t n = 0;
    rg_node *const fetch[] = {y[0], y[1], grad};
    for (int i = 0; i < 3; i++) {
        rg_tensor t;
        must(rg_result(p, fetch[i], &t));
        memcpy(out + n, t.data, rg_tensor_bytes(&t));
        n += rg_tensor_bytes(&t) / sizeof *out;
    }
    rg_plan_free(p);
    rg_graph_free(g);
    return n;
}

Test(pool, threads_do_not_change_bits)
{
    static float x[PLANES * HEIGHT * WIDTH], one[3 * PLANES * HEIGHT * WIDTH], some[3 * PLANES * HEIGHT * WIDTH];
    for (int i = 0; i < PLANES * HEIGHT * WIDTH; i++)
        x[i] = (float)(i * 7919 % 1009) / 101 - 5;
    const size_t n = images(x, 1, one);
    for (int threads = 2; threads <= 4; threads++) {
        cr_assert_eq(images(x, threads, some), n);
        cr_expect_arr_eq(one, some, n * sizeof *one, "%d threads", threads);
    }
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

Test(pool, what_does_not_fit_is_refused)
{
    rg_graph *g = rg_graph_new(NULL);
    rg_node *x = rg_input(g, "image", RG_F32, RG_SHAPE(2, 3, 4, 5)), *row = rg_input(g, "row", RG_F32, RG_SHAPE(9));
    rg_node *whole = rg_input(g, "whole", RG_I32, RG_SHAPE(4, 4)), *none = rg_input(g, "none", RG_F32, RG_SHAPE(3, 0));
    REFUSED(RG_ERR_SHAPE, rg_max_pool2d(x, &(rg_pool_opts){.window = {2, 6}}), "max_pool", "image", "[2, 3, 4, 5]",
            "axis 3", "spans 6", "5 + 2 * 0 = 5");
    REFUSED(RG_ERR_SHAPE, rg_avg_pool2d(x, &(rg_pool_opts){.window = {7, 2}, .pad = {1, 0}}), "avg_pool", "image",
            "axis 2", "4 + 2 * 1 = 6");
    REFUSED(RG_ERR_SHAPE, rg_max_pool2d(x, &(rg_pool_opts){.window = {3, 3}, .dilation = {1, 3}}), "axis 3",
            "dilation 3", "spans 7");
    REFUSED(RG_ERR_SHAPE, rg_max_pool2d(row, &(rg_pool_opts){.window = {2, 2}}), "max_pool", "row", "[9]", "2 axes");
    REFUSED(RG_ERR_SHAPE, rg_max_pool1d(none, &(rg_pool1d_opts){.window = {2}, .pad = {1}}), "none", "[3, 0]");
    REFUSED(RG_ERR_ARGUMENT, rg_max_pool2d(x, &(rg_pool_opts){.window = {3, 3}, .pad = {1, 2}}), "max_pool", "image",
            "[2, 3, 4, 5]", "axis 1", "padding", "2");
    REFUSED(RG_ERR_ARGUMENT, rg_max_pool2d(x, &(rg_pool_opts){.window = {2}}), "axis 1", "size");
    REFUSED(RG_ERR_ARGUMENT, rg_max_pool2d(x, &(rg_pool_opts){.window = {2, 2}, .stride = {-1, 1}}), "stride", "-1");
    REFUSED(RG_ERR_ARGUMENT, rg_max_pool2d(x, &(rg_pool_opts){.window = {2, 2}, .dilation = {1, -2}}), "dilation",
            "-2");
    REFUSED(RG_ERR_ARGUMENT, rg_avg_pool2d(x, &(rg_pool_opts){.window = {2, 2}, .dilation = {2, 1}}), "avg_pool",
            "dilation", "2");
    REFUSED(RG_ERR_ARGUMENT, rg_max_pool2d(x, &(rg_pool_opts){.window = {1 << 20, 1 << 20}}), "2^31");
    REFUSED(RG_ERR_DTYPE, rg_max_pool2d(whole, &(rg_pool_opts){.window = {2, 2}}), "max_pool", "whole");
    rg_graph_free(g);
}
