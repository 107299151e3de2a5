/* test_layers.c - normalising layers and convolutions: PyTorch's names and defaults, running statistics in training and
   evaluation from one graph, empty and single batches, layers used twice; dropped channels; refusals. */
#include "must.h"
#include "waves.h"

enum { N = 4, C = 3, W = 5 };

/* What PyTorch keeps for a channel, from the formulas. */
typedef struct statistics {
    double mean[C], var[C];
    int64_t batches;
} statistics;

static double pixel(int batch, int n, int c, int w)
{
    return sin(1.7 * (((batch * N + n) * C + c) * W + w)) * (1 + c) + c - 0.5 * batch;
}

static void fill(double *x, int batch, int n)
{
    for (int i = 0; i < n * C * W; i++)
        x[i] = pixel(batch, i / (C * W), i / W % C, i % W);
}

/* momentum 0: the average of all batches */
static void update(statistics *s, const double *x, int n, double momentum)
{
    s->batches++;
    const double share = momentum > 0 ? momentum : 1.0 / (double)s->batches;
    for (int c = 0; c < C; c++) {
        double mean = 0, var = 0;
        for (int i = 0; i < n * W; i++)
            mean += x[i / W * C * W + c * W + i % W] / (n * W);
        for (int i = 0; i < n * W; i++)
            var += pow(x[i / W * C * W + c * W + i % W] - mean, 2) / (n * W - 1);
        s->mean[c] = (1 - share) * s->mean[c] + share * mean;
        s->var[c] = (1 - share) * s->var[c] + share * var;
    }
}

static void expect_statistics(rg_graph *g, const statistics *s)
{
    for (int c = 0; c < C; c++) {
        cr_expect(close_to(stored_at(rg_find(g, "bn.running_mean"), (size_t)c), s->mean[c], 1e-12));
        cr_expect(close_to(stored_at(rg_find(g, "bn.running_var"), (size_t)c), s->var[c], 1e-12), "%g, %g",
                  stored_at(rg_find(g, "bn.running_var"), (size_t)c), s->var[c]);
    }
    cr_expect_eq(stored_at(rg_find(g, "bn.num_batches_tracked"), 0), s->batches);
}

static void follow(double momentum, bool cumulative)
{
    double x[N * C * W];
    rg_graph *g = rg_graph_new(NULL);
    rg_node *in = rg_input(g, "x", RG_F64, RG_SHAPE(rg_dim(g, "batch"), C, W));
    rg_node *y = rg_nn_batch_norm(in, "bn", &(rg_batch_norm_opts){.momentum = momentum, .cumulative = cumulative});
    rg_node *loss = rg_mean(rg_square(rg_add_scalar(y, -1)), RG_ALL_AXES, false);
    rg_node *step = rg_sgd(loss, &(rg_sgd_opts){.lr = 0.1});
    rg_plan *train = must_compile(g, RG_NODES(y, step), NULL);
    rg_plan *eval = must_compile(g, RG_NODES(y), &(rg_plan_opts){.mode = RG_EVAL});
    statistics s = {.var = {1, 1, 1}};
    expect_statistics(g, &s);
    for (int batch = 0; batch < 3; batch++) {
        const int n = batch == 1 ? N - 1 : N; /* the last batch of an epoch is smaller */
        double w[C], b[C], r[C], mean[C];
        fill(x, batch, n);
        must(rg_bind_shape(train, in, x, RG_SHAPE(n, C, W)));
        must(rg_bind_shape(eval, in, x, RG_SHAPE(n, C, W)));
        for (size_t c = 0; c < C; c++)
            w[c] = stored_at(rg_find(g, "bn.weight"), c), b[c] = stored_at(rg_find(g, "bn.bias"), c);
        must(rg_run(train));
        for (int c = 0; c < C; c++) { /* by the batch's own moments */
            statistics own = {.var = {0}};
            update(&own, x, n, 1);
            mean[c] = own.mean[c], r[c] = 1 / sqrt(own.var[c] * (n * W - 1) / (n * W) + 1e-5);
        }
        for (int i = 0; i < n * C * W; i++) {
            const int c = i / W % C;
            cr_expect(close_to(value_at(train, y, (size_t)i), (x[i] - mean[c]) * r[c] * w[c] + b[c], 1e-12));
        }
        update(&s, x, n, cumulative ? 0 : momentum > 0 ? momentum : 0.1);
        expect_statistics(g, &s);
        must(rg_run(eval)); /* by the running ones, with the weights the step has left */
        for (int i = 0; i < n * C * W; i++) {
            const int c = i / W % C;
            const double want =
                (x[i] - s.mean[c]) / sqrt(s.var[c] + 1e-5) * stored_at(rg_find(g, "bn.weight"), (size_t)c) +
                stored_at(rg_find(g, "bn.bias"), (size_t)c);
            cr_expect(close_to(value_at(eval, y, (size_t)i), want, 1e-12), "%d: %g, %g", i,
                      value_at(eval, y, (size_t)i), want);
        }
        expect_statistics(g, &s); /* evaluation changes nothing */
    }
    rg_plan_free(train);
    rg_plan_free(eval);
    rg_graph_free(g);
}

Test(batch_norm, statistics_follow_the_batches)
{
    follow(0, false);
    follow(0.25, false);
}

Test(batch_norm, statistics_are_the_average_of_all_batches)
{
    follow(0, true);
}

static bool has_op(const char *dump, const char *op)
{
    char text[32];
    snprintf(text, sizeof text, " = %s(", op);
    return strstr(dump, text) != NULL;
}

/* One step normalises, scales, shifts and goes on into what follows; nothing is done for the mode that is not asked
   for. */
Test(batch_norm, is_one_step_with_what_follows_and_of_one_mode)
{
    rg_graph *g = rg_graph_new(NULL);
    rg_node *x = rg_input(g, "x", RG_F32, RG_SHAPE(4, C, W)), *other = rg_input(g, "other", RG_F32, RG_SHAPE(4, C, W));
    rg_node *y = rg_relu(rg_add(rg_nn_batch_norm(x, "bn", NULL), other));
    rg_node *step = rg_sgd(rg_sum(rg_square(y), RG_ALL_AXES, false), &(rg_sgd_opts){.lr = 0.1});
    rg_plan *train = must_compile(g, RG_NODES(y, step), &(rg_plan_opts){.threads = 1});
    rg_plan *eval = must_compile(g, RG_NODES(y), &(rg_plan_opts){.threads = 1, .mode = RG_EVAL});
    char *trains = rg_plan_dump(train), *evaluates = rg_plan_dump(eval);
    const char *norm = strstr(trains, " = batch_norm(");
    cr_assert(norm, "%s", trains);
    cr_expect(strstr(norm, " = add(") && strstr(norm, " = relu(") < strstr(norm, " run "), "%s", trains);
    cr_expect(has_op(trains, "batch_norm_grad") && !has_op(trains, "rsqrt") && !has_op(trains, "sum"), "%s", trains);
    cr_expect(!has_op(evaluates, "batch_norm") && has_op(evaluates, "rsqrt"), "%s", evaluates);
    rg_text_free(trains);
    rg_text_free(evaluates);
    rg_plan_free(train);
    rg_plan_free(eval);
    rg_graph_free(g);
}

Test(batch_norm, empty_and_single_batches_leave_sound_statistics)
{
    rg_graph *g = rg_graph_new(NULL);
    rg_node *x = rg_input(g, "x", RG_F32, RG_SHAPE(rg_dim(g, "batch"), 2));
    rg_node *y = rg_nn_batch_norm(x, "bn", NULL), *loss = rg_sum(rg_square(y), RG_ALL_AXES, false);
    rg_plan *p = must_compile(g, RG_NODES(loss, rg_sgd(loss, &(rg_sgd_opts){.lr = 0.1})), NULL);
    const float one[2] = {3, -5};
    must(rg_bind_shape(p, x, one, RG_SHAPE(0, 2)));
    must(rg_run(p));
    cr_expect_eq(value_at(p, loss, 0), 0);
    cr_expect_eq(stored_at(rg_find(g, "bn.num_batches_tracked"), 0), 0);
    for (size_t c = 0; c < 2; c++) {
        cr_expect_eq(stored_at(rg_find(g, "bn.running_mean"), c), 0);
        cr_expect_eq(stored_at(rg_find(g, "bn.running_var"), c), 1);
        cr_expect_eq(stored_at(rg_find(g, "bn.weight"), c), 1);
    }
    must(rg_bind_shape(p, x, one, RG_SHAPE(1, 2)));
    must(rg_run(p));
    cr_expect_eq(stored_at(rg_find(g, "bn.num_batches_tracked"), 0), 1);
    for (size_t c = 0; c < 2; c++) {
        cr_expect(close_to(stored_at(rg_find(g, "bn.running_mean"), c), 0.1 * one[c], 1e-6));
        cr_expect(close_to(stored_at(rg_find(g, "bn.running_var"), c), 0.9, 1e-6));
    }
    rg_plan_free(p);
    rg_graph_free(g);
}

Test(batch_norm, a_layer_used_twice_counts_both)
{
    rg_graph *g = rg_graph_new(NULL);
    rg_node *x = rg_input(g, "x", RG_F64, RG_SHAPE(2, 1)), *loss = NULL;
    for (int k = 0; k < 2; k++) {
        (k ? rg_scope_reuse : rg_scope_push)(g, "shared");
        rg_node *y = rg_nn_batch_norm(k ? rg_scale(x, 2) : x, "bn", NULL);
        rg_scope_pop(g);
        loss = loss ? rg_add(loss, rg_sum(y, RG_ALL_AXES, false)) : rg_sum(rg_square(y), RG_ALL_AXES, false);
    }
    rg_plan *p = must_compile(g, RG_NODES(rg_sgd(loss, &(rg_sgd_opts){.lr = 0.1})), NULL);
    must(rg_bind(p, x, ((const double[]){1, 3})));
    must(rg_run(p));
    cr_expect_eq(stored_at(rg_find(g, "shared.bn.num_batches_tracked"), 0), 2);
    cr_expect(close_to(stored_at(rg_find(g, "shared.bn.running_mean"), 0), 0.9 * 0.2 + 0.1 * 4, 1e-12));
    cr_expect(close_to(stored_at(rg_find(g, "shared.bn.running_var"), 0), 0.9 * (0.9 + 0.2) + 0.1 * 8, 1e-12));
    rg_plan_free(p);
    rg_graph_free(g);
}

/* ---- names, defaults, and that a layer is its operator ---- */

static void same(rg_graph *g, rg_node *in, const float *x, rg_node *layer, rg_node *op)
{
    rg_plan *p = must_compile(g, RG_NODES(layer, op), &(rg_plan_opts){.mode = RG_EVAL});
    must(rg_bind(p, in, x));
    must(rg_run(p));
    const int64_t n = rg_shape_count(rg_shape_of(in));
    cr_assert_eq(rg_shape_count(rg_shape_of(layer)), n);
    for (size_t i = 0; i < (size_t)n; i++)
        cr_expect(close_to(value_at(p, layer, i), value_at(p, op, i), 1e-6), "element %zu", i);
    rg_plan_free(p);
}

static rg_node *param(rg_graph *g, const char *name, rg_shape shape, double value)
{
    rg_node *node = rg_find(g, name);
    cr_assert(node, "%s is not there", name);
    cr_expect(rg_shape_equal(rg_shape_of(node), shape), "%s", name);
    for (size_t i = 0; i < (size_t)rg_shape_count(shape); i++)
        cr_expect_eq(stored_at(node, i), value, "%s", name);
    set_wave(node, 0.7, 1); /* so that its place is seen */
    return node;
}

Test(layers, have_the_names_and_initial_values_of_pytorch)
{
    float x[2 * 4 * 3 * 5];
    for (int i = 0; i < 120; i++)
        x[i] = (float)sin(0.9 * i) * 3;
    rg_graph *g = rg_graph_new(NULL);
    rg_node *in = rg_input(g, "x", RG_F32, RG_SHAPE(2, 4, 3, 5));
    rg_node *layer = rg_nn_layer_norm(in, "ln", NULL),
            *both = rg_nn_layer_norm(in, "ln2", &(rg_layer_norm_opts){.axes = 2});
    rg_node *group = rg_nn_group_norm(in, "gn", 2, NULL), *rms = rg_nn_rms_norm(in, "rms", NULL);
    rg_node *bare = rg_nn_instance_norm(in, "in", NULL);
    rg_node *instance = rg_nn_instance_norm(in, "in2", &(rg_instance_norm_opts){.affine = true});
    rg_node *batch = rg_nn_batch_norm(in, "bn", &(rg_batch_norm_opts){.no_statistics = true});
    cr_assert(!rg_graph_error(g), "%s", rg_graph_error(g));
    same(g, in, x, layer,
         rg_layer_norm(in, param(g, "ln.weight", RG_SHAPE(5), 1), param(g, "ln.bias", RG_SHAPE(5), 0), 1e-5));
    rg_node *w = param(g, "ln2.weight", RG_SHAPE(3, 5), 1), *b = param(g, "ln2.bias", RG_SHAPE(3, 5), 0);
    rg_node *y = rg_reshape_like(rg_layer_norm(rg_flatten(in, 2), NULL, NULL, 1e-5), in);
    same(g, in, x, both, rg_fma(y, w, b));
    same(g, in, x, group,
         rg_group_norm(in, 2, param(g, "gn.weight", RG_SHAPE(4), 1), param(g, "gn.bias", RG_SHAPE(4), 0), 1e-5));
    same(g, in, x, rms, rg_rms_norm(in, param(g, "rms.weight", RG_SHAPE(5), 1), 0x1p-23));
    same(g, in, x, bare, rg_instance_norm(in, NULL, NULL, 1e-5));
    same(g, in, x, instance,
         rg_instance_norm(in, param(g, "in2.weight", RG_SHAPE(4), 1), param(g, "in2.bias", RG_SHAPE(4), 0), 1e-5));
    same(g, in, x, batch,
         rg_batch_norm(in, param(g, "bn.weight", RG_SHAPE(4), 1), param(g, "bn.bias", RG_SHAPE(4), 0), 1e-5));
    cr_expect(!rg_find(g, "in.weight") && !rg_find(g, "rms.bias") && !rg_find(g, "bn.running_mean"));
    cr_expect_eq(rg_stored(g).n, 11);
    rg_graph_free(g);
}

/* Uniform within the bound: none outside, some near it on both sides. */
static void expect_uniform(rg_node *node, double bound)
{
    double least = 0, greatest = 0;
    cr_assert(node);
    for (size_t i = 0; i < (size_t)rg_shape_count(rg_shape_of(node)); i++) {
        least = fmin(least, stored_at(node, i));
        greatest = fmax(greatest, stored_at(node, i));
    }
    cr_expect(least >= -bound && greatest <= bound, "%s: [%g, %g]", rg_name(node), least, greatest);
    cr_expect(least < -0.5 * bound && greatest > 0.5 * bound, "%s: [%g, %g]", rg_name(node), least, greatest);
}

/* A convolution of `rank` axes, or its transpose, as a layer (w NULL) or of given weights. */
static rg_node *convolved(rg_node *x, int rank, bool transpose, rg_node *w, rg_node *b)
{
    const rg_conv1d_opts one = {{3}, {2}, {1}, {1}, 2, .pad_extra = {1}};
    const rg_conv_opts two = {{3, 2}, {2, 1}, {1, 0}, {1, 2}, 2, .pad_extra = {1, 0}};
    const rg_conv3d_opts three = {{3, 2, 4}, {2, 1, 1}, {1, 0, 2}, {1, 2, 1}, 2, .pad_extra = {1, 0, 0}};
    if (rank == 1)
        return w ? (transpose ? rg_conv_transpose1d : rg_conv1d)(x, w, b, &one)
                 : (transpose ? rg_nn_conv_transpose1d : rg_nn_conv1d)(x, "layer", 40, &one);
    if (rank == 2)
        return w ? (transpose ? rg_conv_transpose2d : rg_conv2d)(x, w, b, &two)
                 : (transpose ? rg_nn_conv_transpose2d : rg_nn_conv2d)(x, "layer", 40, &two);
    return w ? (transpose ? rg_conv_transpose3d : rg_conv3d)(x, w, b, &three)
             : (transpose ? rg_nn_conv_transpose3d : rg_nn_conv3d)(x, "layer", 40, &three);
}

/* The layer is the operator, to the node. */
Test(convolutions, have_the_names_and_initial_values_of_pytorch)
{
    static const int64_t taps[3] = {3, 2, 4};
    for (int rank = 1; rank <= 3; rank++)
        for (int transpose = 0; transpose < 2; transpose++) {
            rg_graph *g = rg_graph_new(NULL);
            rg_shape image = {rank + 2, {2, 6, 7, 8, 9}}, kernel = {rank + 2, {40, 3}};
            if (transpose)
                kernel.dim[0] = 6, kernel.dim[1] = 20;
            double terms = (double)kernel.dim[1];
            for (int i = 0; i < rank; i++) {
                kernel.dim[2 + i] = taps[i];
                terms *= (double)taps[i];
            }
            rg_node *x = rg_input(g, "x", RG_F64, image), *y = convolved(x, rank, transpose, NULL, NULL);
            cr_assert(y, "%s", rg_graph_error(g));
            rg_node *w = rg_find(g, "layer.weight"), *b = rg_find(g, "layer.bias");
            cr_assert(w && b && rg_params(g).n == 2);
            cr_expect(rg_shape_equal(rg_shape_of(w), kernel) && rg_shape_equal(rg_shape_of(b), RG_SHAPE(40)));
            expect_uniform(w, 1 / sqrt(terms));
            expect_uniform(b, 1 / sqrt(terms));
            cr_expect_eq(convolved(x, rank, transpose, w, b), y, "%d axes, transposed %d", rank, transpose);
            rg_graph_free(g);
        }
    rg_graph *g = rg_graph_new(NULL);
    rg_node *x = rg_input(g, "x", RG_F32, RG_SHAPE(2, 6, 7));
    cr_assert(rg_nn_conv1d(x, "bare", 4, &(rg_conv1d_opts){.kernel = {3}, .no_bias = true}), "%s", rg_graph_error(g));
    cr_expect(rg_find(g, "bare.weight") && !rg_find(g, "bare.bias"));
    rg_graph_free(g);
}

Test(layers, dropout2d_drops_whole_channels)
{
    enum { IMAGES = 40, CHANNELS = 50, PIXELS = 9 };
    rg_graph *g = rg_graph_new(NULL);
    rg_node *x = rg_full(g, RG_F32, RG_SHAPE(IMAGES, CHANNELS, 3, 3), 3), *y = rg_nn_dropout2d(x, 0.25);
    rg_plan *train = must_compile(g, RG_NODES(y), &(rg_plan_opts){.mode = RG_TRAIN});
    rg_plan *eval = must_compile(g, RG_NODES(y), &(rg_plan_opts){.mode = RG_EVAL});
    must(rg_run(train));
    must(rg_run(eval));
    size_t dropped = 0;
    for (size_t i = 0; i < (size_t)IMAGES * CHANNELS; i++) {
        const double v = value_at(train, y, i * PIXELS);
        cr_assert(v == 0 || v == 4);
        dropped += v == 0;
        for (size_t k = 0; k < PIXELS; k++) {
            cr_assert_eq(value_at(train, y, i * PIXELS + k), v);
            cr_assert_eq(value_at(eval, y, i * PIXELS + k), 3);
        }
    }
    cr_expect(fabs((double)dropped - 500) < 80, "%zu", dropped); /* four standard deviations */
    rg_plan_free(train);
    rg_plan_free(eval);
    rg_graph_free(g);
}

/* ---- refusals ---- */

static void refused(rg_graph *g, const rg_node *built, rg_status status, const char *const words[])
{
    cr_assert_null(built);
    cr_assert_eq(rg_graph_status(g), status, "%s", rg_graph_error(g));
    for (size_t i = 0; words[i]; i++)
        cr_expect(strstr(rg_graph_error(g), words[i]), "\"%s\" is missing in: %s", words[i], rg_graph_error(g));
    rg_graph_clear_error(g);
}

#define REFUSED(status, built, ...) refused(g, built, status, (const char *const[]){__VA_ARGS__, NULL})

Test(layers, what_does_not_fit_is_refused)
{
    rg_graph *g = rg_graph_new(NULL);
    rg_node *x = rg_input(g, "image", RG_F32, RG_SHAPE(2, 6, 4, 5)), *row = rg_input(g, "row", RG_F32, RG_SHAPE(9));
    rg_node *whole = rg_input(g, "whole", RG_I32, RG_SHAPE(4, 4)), *flat = rg_input(g, "flat", RG_F32, RG_SHAPE(3, 5));
    rg_node *named = rg_input(g, "named", RG_F32, RG_SHAPE(3, rg_dim(g, "channels"), 4));
    REFUSED(RG_ERR_SHAPE, rg_nn_batch_norm(row, "bn", NULL), "rg_nn_batch_norm", "'bn'", "2 axes", "it has 1");
    REFUSED(RG_ERR_DTYPE, rg_nn_batch_norm(whole, "bn", NULL), "rg_nn_batch_norm", "'bn'", "i32");
    REFUSED(RG_ERR_ARGUMENT, rg_nn_batch_norm(x, NULL, NULL), "name is NULL");
    REFUSED(RG_ERR_ARGUMENT, rg_nn_batch_norm(x, "b1", &(rg_batch_norm_opts){.momentum = 2}), "momentum", "2");
    REFUSED(RG_ERR_ARGUMENT, rg_nn_batch_norm(x, "b2", &(rg_batch_norm_opts){.eps = -2}), "eps", "-2");
    REFUSED(RG_ERR_SHAPE, rg_nn_batch_norm(named, "b3", NULL), "channels");
    REFUSED(RG_ERR_SHAPE, rg_nn_group_norm(x, "gn", 4, NULL), "group_norm", "4 groups", "image", "[2, 6, 4, 5]");
    REFUSED(RG_ERR_SHAPE, rg_nn_instance_norm(flat, "in", NULL), "rg_nn_instance_norm", "3 axes", "it has 2");
    REFUSED(RG_ERR_ARGUMENT, rg_nn_layer_norm(x, "l1", &(rg_layer_norm_opts){.axes = -1}), "rg_nn_layer_norm", "-1");
    REFUSED(RG_ERR_SHAPE, rg_nn_layer_norm(x, "l2", &(rg_layer_norm_opts){.axes = 5}), "5 axes", "it has 4");
    REFUSED(RG_ERR_SHAPE, rg_nn_dropout2d(flat, 0.5), "rg_nn_dropout2d", "axes behind");
    REFUSED(RG_ERR_ARGUMENT, rg_nn_dropout2d(x, 1.5), "1.5");
    cr_assert(rg_nn_batch_norm(x, "twice", NULL));
    REFUSED(RG_ERR_NAME, rg_nn_batch_norm(x, "twice", NULL), "twice.weight");
    rg_graph_free(g);
}

Test(convolutions, what_does_not_fit_is_refused)
{
    rg_graph *g = rg_graph_new(NULL);
    rg_node *x = rg_input(g, "image", RG_F32, RG_SHAPE(2, 6, 4, 5)),
            *row = rg_input(g, "row", RG_F32, RG_SHAPE(2, 6, 9));
    rg_node *named = rg_input(g, "named", RG_F32, RG_SHAPE(2, rg_dim(g, "channels"), 4, 4));
    REFUSED(RG_ERR_SHAPE, rg_nn_conv2d(x, "c1", 4, &(rg_conv_opts){.kernel = {3, 7}}), "image", "[2, 6, 4, 5]",
            "c1.weight", "[4, 6, 3, 7]", "axis 3", "spans 7", "5 + 0 + 0 = 5");
    REFUSED(RG_ERR_SHAPE, rg_nn_conv2d(x, "c2", 4, &(rg_conv_opts){.kernel = {7, 3}, .pad = {1, 0}}), "c2.weight",
            "axis 2", "4 + 1 + 1 = 6");
    REFUSED(RG_ERR_ARGUMENT, rg_nn_conv2d(x, "c3", 8, &(rg_conv_opts){.kernel = {3, 3}, .groups = 4}), "'c3'",
            "4 groups", "axis 1", "6 channels", "image", "[2, 6, 4, 5]");
    REFUSED(RG_ERR_ARGUMENT, rg_nn_conv2d(x, "c4", 8, &(rg_conv_opts){.kernel = {3, 3}, .groups = 3}), "'c4'",
            "3 groups", "8 outputs", "image");
    REFUSED(RG_ERR_ARGUMENT, rg_nn_conv2d(x, "c5", 8, &(rg_conv_opts){.kernel = {3, 3}, .pad = {0, -1}}), "axis 1",
            "negative", "padding -1", "image", "[2, 6, 4, 5]");
    REFUSED(RG_ERR_ARGUMENT, rg_nn_conv2d(x, "c6", 0, &(rg_conv_opts){.kernel = {3, 3}}), "'c6'", "0 outputs");
    REFUSED(RG_ERR_ARGUMENT, rg_nn_conv2d(x, "c7", 4, NULL), "'c7'", "opts.kernel");
    REFUSED(RG_ERR_ARGUMENT, rg_nn_conv2d(x, "c7", 4, &(rg_conv_opts){.kernel = {3}}), "'c7'", "opts.kernel");
    REFUSED(RG_ERR_SHAPE, rg_nn_conv2d(row, "c8", 4, &(rg_conv_opts){.kernel = {3, 3}}), "'c8'", "4 axes", "row",
            "[2, 6, 9]");
    REFUSED(RG_ERR_SHAPE, rg_nn_conv2d(named, "c9", 4, &(rg_conv_opts){.kernel = {3, 3}}), "c9.weight", "channels");
    REFUSED(RG_ERR_ARGUMENT, rg_nn_conv_transpose2d(x, "d1", 5, &(rg_conv_opts){.kernel = {3, 3}, .groups = 2}), "'d1'",
            "2 groups", "5 outputs", "image");
    REFUSED(
        RG_ERR_ARGUMENT,
        rg_nn_conv_transpose2d(x, "d2", 4, &(rg_conv_opts){.kernel = {3, 3}, .stride = {2, 2}, .pad_extra = {2, 0}}),
        "axis 2", "extra outputs", "image");
    REFUSED(RG_ERR_SHAPE, rg_nn_conv1d(row, "e1", 4, &(rg_conv1d_opts){.kernel = {12}, .pad = {1}}), "e1.weight",
            "axis 2", "9 + 1 + 1 = 11");
    rg_graph_free(g);
}

Test(windows, what_does_not_fit_is_refused)
{
    rg_graph *g = rg_graph_new(NULL);
    rg_node *x = rg_input(g, "image", RG_F32, RG_SHAPE(2, 3, 4, 5)), *row = rg_input(g, "row", RG_F32, RG_SHAPE(9));
    rg_node *wide = rg_input(g, "wide", RG_F32, RG_SHAPE(2, 3, rg_dim(g, "width")));
    rg_node *none = rg_input(g, "none", RG_F32, RG_SHAPE(2, 3, 0, 4)),
            *u = rg_input(g, "u", RG_F32, RG_SHAPE(2, 12, 7));
    REFUSED(RG_ERR_SHAPE, rg_unfold(x, &(rg_unfold_opts){.kernel = {3, 6}}), "unfold", "image", "[2, 3, 4, 5]",
            "axis 3", "spans 6", "5 + 2 * 0 = 5");
    REFUSED(RG_ERR_SHAPE, rg_unfold(row, &(rg_unfold_opts){.kernel = {1, 1}}), "unfold", "row", "[9]", "4 axes");
    REFUSED(RG_ERR_SHAPE, rg_unfold(none, &(rg_unfold_opts){.kernel = {1, 1}}), "unfold", "none", "axis 2");
    REFUSED(RG_ERR_ARGUMENT, rg_unfold(x, &(rg_unfold_opts){.kernel = {3, 0}}), "axis 1", "kernel", "image");
    REFUSED(RG_ERR_ARGUMENT, rg_unfold(x, NULL), "axis 0", "kernel");
    REFUSED(RG_ERR_ARGUMENT, rg_unfold(x, &(rg_unfold_opts){.kernel = {3, 3}, .stride = {-1, 1}}), "axis 0", "stride");
    REFUSED(RG_ERR_ARGUMENT, rg_unfold(x, &(rg_unfold_opts){.kernel = {3, 3}, .pad = {0, -1}}), "axis 1", "padding");
    REFUSED(RG_ERR_SHAPE, rg_fold(u, 4, 5, &(rg_unfold_opts){.kernel = {2, 2}}), "fold", "u", "[2, 12, 7]",
            "[2, 12, 12]");
    REFUSED(RG_ERR_SHAPE, rg_fold(u, 4, 5, &(rg_unfold_opts){.kernel = {5, 1}}), "rg_fold", "channels * 5",
            "[2, 12, 7]");
    REFUSED(RG_ERR_SHAPE, rg_adaptive_avg_pool2d(x, 0, 2), "rg_adaptive_avg_pool2d", "axis 2", "0 outputs", "image");
    REFUSED(RG_ERR_SHAPE, rg_adaptive_max_pool2d(row, 1, 2), "rg_adaptive_max_pool2d", "too few axes", "row", "[9]");
    REFUSED(RG_ERR_SHAPE, rg_adaptive_max_pool1d(wide, 2), "axis 2", "name", "[2, 3, width]");
    REFUSED(RG_ERR_SHAPE, rg_adaptive_max_pool2d(none, 1, 1), "axis 2", "empty");
    REFUSED(RG_ERR_SHAPE, rg_global_avg_pool(row), "rg_global_avg_pool", "row", "[9]");
    rg_graph_free(g);
}

Test(windows, the_first_of_equal_maxima_has_the_gradient)
{
    rg_graph *g = rg_graph_new(NULL);
    rg_node *x = rg_full(g, RG_F32, RG_SHAPE(1, 1, 3, 3), 2);
    rg_node *loss = rg_sum(rg_adaptive_max_pool2d(x, 2, 2), RG_ALL_AXES, false);
    rg_node *dx = rg_at(rg_grad(loss, RG_NODES(x)), 0);
    rg_plan *p = must_compile(g, RG_NODES(dx), NULL);
    must(rg_run(p));
    const double want[9] = {1, 1, 0, 1, 1, 0, 0, 0, 0};
    for (size_t i = 0; i < 9; i++)
        cr_expect_eq(value_at(p, dx, i), want[i], "element %zu", i);
    rg_plan_free(p);
    rg_graph_free(g);
}
