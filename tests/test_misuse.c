/* test_misuse.c - what no program should do and some do: results used before their scan has ended, nodes of another
   graph, lists that are NULL, sizes at the ends of their range. Each is an error that says so, and nothing is lost. */
#include "refused.h"

static const rg_nodes null_list = {NULL, 2};

static rg_node *total(rg_node *x)
{
    return rg_sum(x, RG_ALL_AXES, false);
}

/* ---- nodes that cannot be used here ---- */

/* A scan under way whose results have been asked for. */
typedef struct open_scan {
    rg_graph *g;
    rg_scan *scan;
    rg_node *p, *carry, *step; /* a parameter; of the body */
    rg_node *stack, *last;     /* results, there when it has ended */
} open_scan;

static open_scan open_one(void)
{
    open_scan o = {.g = rg_graph_new(NULL)};
    rg_node *xs = rg_input(o.g, "xs", RG_F32, RG_SHAPE(4, 3));
    o.p = rg_param(o.g, "p", RG_F32, RG_SCALAR, NULL);
    o.scan = rg_scan_begin(o.g, &(rg_scan_opts){.name = "rnn"});
    rg_node *x = rg_scan_slice(o.scan, xs);
    o.carry = rg_scan_carry(o.scan, rg_zeros(o.g, RG_F32, RG_SCALAR));
    o.step = rg_add(o.carry, rg_mul(o.p, total(x)));
    o.stack = rg_scan_stack(o.scan, rg_square(x));
    o.last = rg_scan_last(o.scan, o.carry);
    cr_assert(o.stack && o.last, "%s", rg_graph_error(o.g));
    return o;
}

static rg_nodes same(void *user, rg_nodes in)
{
    (void)user;
    return in;
}

static rg_nodes nothing(void *user, rg_nodes in)
{
    (void)user, (void)in;
    static rg_node *const none[1] = {NULL};
    return (rg_nodes){none, 1};
}

#define EARLY "has not ended"

Test(misuse, results_before_the_end)
{
    const open_scan o = open_one();
    rg_graph *g = o.g;
    rg_node *p = o.p;
    rg_grad_check_report report;
    REFUSED_LIST(RG_ERR_REGION, rg_grad(o.last, RG_NODES(p)), "rg_grad", "loss", EARLY);
    REFUSED_LIST(RG_ERR_REGION, rg_grad(p, RG_NODES(o.stack)), "rg_grad", "wrt 0", EARLY);
    REFUSED_LIST(RG_ERR_REGION, rg_vjp(RG_NODES(o.stack), RG_NODES(NULL), RG_NODES(p)), "output 0", EARLY);
    REFUSED_LIST(RG_ERR_REGION, rg_vjp(RG_NODES(p), RG_NODES(o.last), RG_NODES(p)), "cotangent", EARLY);
    REFUSED_LIST(RG_ERR_REGION, rg_jvp(RG_NODES(o.stack), RG_NODES(p), RG_NODES(NULL)), "output 0", EARLY);
    REFUSED_LIST(RG_ERR_REGION, rg_jvp(RG_NODES(p), RG_NODES(o.last), RG_NODES(NULL)), "input 0", EARLY);
    REFUSED(RG_ERR_REGION, rg_jacobian(o.stack, p), "rg_jacobian", "function", EARLY);
    REFUSED(RG_ERR_REGION, rg_hessian(p, o.last), "rg_hessian", "variable", EARLY);
    REFUSED(RG_ERR_REGION, rg_sparse_jacobian(o.stack, p), "rg_sparse_jacobian", EARLY);
    REFUSED_LIST(RG_ERR_REGION, rg_params_of(o.last), "rg_params_of", EARLY);
    REFUSED_LIST(RG_ERR_REGION, rg_attached(RG_NODES(p, o.last)), "rg_attached", EARLY);
    REFUSED_CALL(RG_ERR_REGION, rg_attach(o.last, rg_assign(p, p)), "rg_attach", EARLY);
    REFUSED(RG_ERR_REGION, rg_assign(p, o.last), EARLY);
    REFUSED(RG_ERR_REGION, rg_scan_carry(o.scan, o.last), "rg_scan_carry", EARLY);
    REFUSED(RG_ERR_REGION, rg_scan_slice(o.scan, o.stack), "rg_scan_slice", EARLY);
    REFUSED(RG_ERR_REGION, rg_scan_stack(o.scan, o.last), "rg_scan_stack", EARLY);
    REFUSED_CALL(RG_ERR_REGION, rg_scan_next(o.scan, o.carry, o.last), "rg_scan_next", EARLY);
    REFUSED(RG_ERR_REGION, rg_scan_begin(g, &(rg_scan_opts){.lengths = o.stack}), "lengths", EARLY);
    FAILED(RG_ERR_REGION, rg_grad_check(o.last, RG_NODES(p), NULL, &report), "rg_grad_check", "rnn");
    rg_scan_next(o.scan, o.carry, o.step);
    rg_scan_end(o.scan);
    cr_expect_eq(rg_grad(o.last, RG_NODES(p)).n, 1, "%s", rg_graph_error(g));
    must(rg_graph_check(g));
    rg_graph_free(g);
}

Test(misuse, values_of_a_body_that_has_ended)
{
    const open_scan o = open_one();
    rg_graph *g = o.g;
    rg_grad_check_report report;
    rg_scan_next(o.scan, o.carry, o.step);
    rg_scan_end(o.scan);
    REFUSED_LIST(RG_ERR_REGION, rg_grad(o.last, RG_NODES(o.carry)), "wrt 0", "rnn", "rg_scan_stack");
    REFUSED_LIST(RG_ERR_REGION, rg_vjp(RG_NODES(o.step), RG_NODES(NULL), RG_NODES(o.p)), "output 0", "rnn");
    REFUSED(RG_ERR_REGION, rg_jacobian(o.step, o.p), "the function", "rnn");
    REFUSED_CALL(RG_ERR_REGION, rg_attach(o.step, rg_assign(o.p, o.p)), "rg_attach", "rnn");
    FAILED(RG_ERR_REGION, rg_grad_check(o.step, RG_NODES(o.p), NULL, &report), "rg_grad_check", "rnn");
    rg_graph_free(g);
}

Test(misuse, a_scan_that_could_not_end_has_no_results)
{
    const open_scan o = open_one();
    rg_graph *g = o.g;
    REFUSED_CALL(RG_ERR_STATE, rg_scan_end(o.scan), "rnn", "next"); /* the carry has no next value */
    REFUSED(RG_ERR_STATE, rg_scan_last(o.scan, o.carry), "rg_scan_last", "rnn", "could not end");
    REFUSED(RG_ERR_STATE, rg_scan_stack(o.scan, o.step), "rg_scan_stack", "rnn", "could not end");
    rg_graph_free(g);
}

#define OTHER "another graph"

Test(misuse, nodes_of_another_graph)
{
    rg_graph *g = rg_graph_new(NULL), *h = rg_graph_new(NULL);
    rg_node *p = rg_param(g, "p", RG_F32, RG_SCALAR, NULL), *q = rg_param(h, "q", RG_F32, RG_SCALAR, NULL);
    rg_node *loss = rg_square(p);
    REFUSED_LIST(RG_ERR_ARGUMENT, rg_grad(loss, RG_NODES(q)), "rg_grad", "'q'", OTHER);
    REFUSED_LIST(RG_ERR_ARGUMENT, rg_vjp(RG_NODES(loss), RG_NODES(q), RG_NODES(p)), "cotangent", "'q'", OTHER);
    REFUSED_LIST(RG_ERR_ARGUMENT, rg_jvp(RG_NODES(loss), RG_NODES(p), RG_NODES(q)), "tangent", "'q'", OTHER);
    REFUSED(RG_ERR_ARGUMENT, rg_jacobian(loss, q), "rg_jacobian", "'q'", OTHER);
    REFUSED_CALL(RG_ERR_ARGUMENT, rg_attach(p, rg_assign(q, q)), "rg_attach", OTHER);
    REFUSED_LIST(RG_ERR_ARGUMENT, rg_attached(RG_NODES(p, q)), "rg_attached", "'q'", OTHER);
    REFUSED(RG_ERR_ARGUMENT, rg_sgd(loss, &(rg_sgd_opts){.lr_node = q}), "'q'", OTHER);
    REFUSED(RG_ERR_ARGUMENT, rg_ema(rg_assign(p, p), 0.9, RG_NODES(q)), "rg_ema", OTHER);
    cr_expect_eq(rg_graph_size(h), 2, "nothing was made in the other graph");
    rg_graph_free(g);
    rg_graph_free(h);
}

/* ---- NULL ---- */

Test(misuse, lists_that_are_null)
{
    rg_graph *g = rg_graph_new(NULL);
    rg_node *p = rg_param(g, "p", RG_F32, RG_SHAPE(2, 3), NULL), *loss = total(rg_square(p));
    rg_grad_check_report report;
    REFUSED_LIST(RG_ERR_ARGUMENT, rg_grad(loss, null_list), "wrt 0 is NULL");
    REFUSED_LIST(RG_ERR_ARGUMENT, rg_vjp(RG_NODES(loss), null_list, RG_NODES(p)), "cotangents", "NULL");
    REFUSED_LIST(RG_ERR_ARGUMENT, rg_jvp(RG_NODES(loss), RG_NODES(p), ((rg_nodes){NULL, 1})), "tangents", "NULL");
    REFUSED(RG_ERR_ARGUMENT, rg_sgd(loss, &(rg_sgd_opts){.lr = 1, .params = null_list}), "NULL");
    REFUSED(RG_ERR_ARGUMENT, rg_sgd(loss, &(rg_sgd_opts){.lr = 1, .params = RG_NODES(p), .grads = {NULL, 1}}),
            "grad 0");
    REFUSED(RG_ERR_ARGUMENT, rg_ema(rg_assign(p, p), 0.9, null_list), "rg_ema", "NULL");
    REFUSED(RG_ERR_ARGUMENT, rg_custom(p, null_list, &(rg_custom_opts){.name = "none"}), "rg_custom");
    REFUSED_LIST(RG_ERR_ARGUMENT, rg_nodes_copy(g, null_list), "rg_nodes_copy", "NULL");
    REFUSED_LIST(RG_ERR_ARGUMENT, rg_params_in(g, NULL), "prefix");
    REFUSED_LIST(RG_ERR_ARGUMENT, rg_cond(rg_training(g), same, same, NULL, null_list), "rg_cond", "NULL");
    REFUSED_LIST(RG_ERR_ARGUMENT, rg_cond(rg_training(g), nothing, nothing, NULL, RG_NODES(p)), "rg_cond", "NULL");
    FAILED(RG_ERR_DTYPE, rg_grad_check(loss, null_list, NULL, &report), "wrt 0", "NULL");
    FAILED(RG_ERR_ARGUMENT, rg_grad_check(loss, RG_NODES(p), &(rg_grad_check_opts){.inputs = null_list}, &report),
           "opts.inputs is NULL");
    FAILED(RG_ERR_ARGUMENT, rg_grad_check(loss, RG_NODES(p), &(rg_grad_check_opts){.inputs = RG_NODES(p)}, &report),
           "opts.values is NULL");
    cr_expect_null(rg_compile(g, null_list, NULL));
    cr_expect(strstr(rg_graph_error(g), "fetched node 0 is NULL"), "%s", rg_graph_error(g));
    /* no node, hence no graph: the thread's error alone */
    cr_expect_eq(rg_vjp(null_list, null_list, null_list).n, 0);
    cr_expect(strstr(rg_last_error(), "rg_vjp"), "%s", rg_last_error());
    cr_expect_null(rg_concat(null_list, 0));
    cr_expect(strstr(rg_last_error(), "rg_concat"), "%s", rg_last_error());
    cr_expect_null(rg_einsum("ij,jk", null_list));
    rg_graph_free(g);
}

Test(misuse, a_graph_or_plan_that_is_null)
{
    const struct {
        const void *got;
        const char *said;
    } calls[] = {
        {rg_scan_begin(NULL, NULL), "rg_scan_begin"},
        {rg_while_begin(NULL, NULL), "rg_while_begin"},
        {rg_compile(NULL, null_list, NULL), NULL},
        {rg_eye(NULL, RG_F32, 2, 2), NULL},
        {rg_plan_fork(NULL), NULL},
        {rg_plan_dump(NULL), NULL},
    };
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++)
        cr_expect_null(calls[i].got);
    cr_expect(strstr(rg_last_error(), "rg_plan_dump"), "%s", rg_last_error());
    cr_expect_null(rg_compile(NULL, null_list, NULL));
    cr_expect(strstr(rg_last_error(), "rg_compile"), "%s", rg_last_error());
    cr_expect_null(rg_scan_begin(NULL, NULL));
    cr_expect(strstr(rg_last_error(), "rg_scan_begin"), "%s", rg_last_error());
}

Test(misuse, options_that_are_null)
{
    rg_graph *g = rg_graph_new(NULL);
    rg_node *x = rg_input(g, "x", RG_F32, RG_SHAPE(2, 3, 8, 8));
    REFUSED(RG_ERR_ARGUMENT, rg_max_pool1d(x, NULL), "max_pool", "at least 1", "'x'");
    REFUSED(RG_ERR_ARGUMENT, rg_max_pool2d(x, NULL), "max_pool", "at least 1");
    REFUSED(RG_ERR_ARGUMENT, rg_avg_pool3d(x, NULL), "avg_pool", "at least 1");
    REFUSED(RG_ERR_ARGUMENT, rg_nn_integrated_gradients(NULL, NULL, x, NULL, 5), "the model is NULL");
    rg_graph_free(g);
}

static rg_node *no_score(void *user, rg_node *x)
{
    (void)user, (void)x;
    return NULL;
}

Test(misuse, a_model_without_a_score)
{
    rg_graph *g = rg_graph_new(NULL);
    rg_node *x = rg_input(g, "x", RG_F32, RG_SHAPE(2, 3));
    REFUSED(RG_ERR_ARGUMENT, rg_nn_integrated_gradients(no_score, NULL, x, NULL, 5), "integrated gradients",
            "no score");
    REFUSED(RG_ERR_ARGUMENT, rg_nn_smooth_grad(no_score, NULL, x, 1, 5), "smooth grad", "no score");
    rg_graph_free(g);
}

/* ---- the ends of ranges ---- */

Test(misuse, more_axes_than_there_are)
{
    rg_graph *g = rg_graph_new(NULL);
    rg_node *x = rg_input(g, "x", RG_F32, RG_SHAPE(2, 3));
    const rg_axes many = {.n = 1000};
    REFUSED(RG_ERR_ARGUMENT, rg_flip(x, many), "rg_flip", "'x'");
    REFUSED(RG_ERR_ARGUMENT, rg_flip(x, RG_AXES(0, 1, 0, 1, 0, 1, 0, 1, 0, 1)), "rg_flip", "twice");
    REFUSED(RG_ERR_ARGUMENT, rg_flip(x, RG_AXES(2)), "rg_flip", "rank");
    REFUSED(RG_ERR_SHAPE, rg_sum(x, many, false), "1000 axes");
    REFUSED(RG_ERR_SHAPE, rg_transpose(x, many), "1000 axes");
    REFUSED(RG_ERR_SHAPE, rg_var(x, many, 1, false), "1000 axes");
    cr_expect(rg_flip(x, RG_AXES(-1, 0)), "%s", rg_graph_error(g));
    rg_graph_free(g);
}

Test(misuse, sizes_that_overflow)
{
    rg_graph *g = rg_graph_new(NULL);
    rg_node *x = rg_input(g, "x", RG_F32, RG_SHAPE(2, 3)), *named = rg_input(g, "n", RG_F32, RG_SHAPE(rg_dim(g, "n")));
    rg_node *image = rg_input(g, "image", RG_F32, RG_SHAPE(2, 3, 8, 8)),
            *sequence = rg_input(g, "sequence", RG_F32, RG_SHAPE(5, 2, 3));
    const int64_t most = INT64_MAX;
    REFUSED_LIST(RG_ERR_MEMORY, rg_split(rg_zeros(g, RG_F32, RG_SHAPE(0, 3)), 0, (int64_t)1 << 61), "rg_split");
    REFUSED_LIST(RG_ERR_SHAPE, rg_split(x, 0, INT64_MIN), "rg_split", "'x'");
    REFUSED(RG_ERR_ARGUMENT, rg_roll(named, 0, INT64_MIN), "rg_roll", "'n'");
    REFUSED(RG_ERR_ARGUMENT, rg_pad(named, 0, most, most, RG_PAD_REFLECT, 0), "rg_pad", "'n'");
    REFUSED(RG_ERR_SHAPE, rg_pad(x, 0, most - 2, 1, RG_PAD_CONSTANT, 0), "too long");
    REFUSED(RG_ERR_SHAPE, rg_nn_conv2d(image, "wide", 4, &(rg_conv_opts){.kernel = {most, most}}), "wide.weight");
    REFUSED(RG_ERR_ARGUMENT, rg_nn_lstm(sequence, "wide", most / 2, NULL), "rg_nn_lstm", "hidden");
    REFUSED(RG_ERR_ARGUMENT, rg_nn_gru(sequence, "wide", most, NULL), "rg_nn_gru", "hidden");
    REFUSED(RG_ERR_ARGUMENT, rg_eye(g, RG_F32, -1, 2), "rg_eye", "-1");
    REFUSED(RG_ERR_ARGUMENT, rg_celu(x, 0), "rg_celu", "'x'");
    cr_expect(rg_roll(x, 1, most) && rg_roll(x, 1, INT64_MIN), "%s", rg_graph_error(g));
    /* diagonals far outside leave all or nothing */
    const float data[6] = {1, 2, 3, 4, 5, 6};
    rg_node *all = rg_triu(x, INT64_MIN), *none = rg_triu(x, most), *below = rg_tril(x, most);
    rg_plan *p = must_compile(g, RG_NODES(all, none, below), NULL);
    must(rg_bind(p, x, data));
    must(rg_run(p));
    for (size_t i = 0; i < 6; i++) {
        cr_expect_eq(value_at(p, all, i), data[i]);
        cr_expect_eq(value_at(p, none, i), 0);
        cr_expect_eq(value_at(p, below, i), data[i]);
    }
    rg_plan_free(p);
    rg_graph_free(g);
}

/* Of x[k:] with k and the axis both names either may come first, and for 0 elements that stand in for names there is no
   formula. x[:k] and x[k:k + 2] have one. */
Test(misuse, a_slice_between_two_names)
{
    rg_graph *g = rg_graph_new(NULL);
    const int64_t n = rg_dim(g, "n"), k = rg_dim(g, "k");
    rg_node *x = rg_input(g, "x", RG_F32, RG_SHAPE(n)), *ten = rg_input(g, "ten", RG_F32, RG_SHAPE(10));
    REFUSED(RG_ERR_SHAPE, rg_slice(x, 0, k, RG_END), "k", "'x'");
    REFUSED(RG_ERR_SHAPE, rg_slice(x, 0, n, k), "slice", "named dimensions");
    REFUSED(RG_ERR_SHAPE, rg_slice(ten, 0, k, RG_END), "k", "'ten'");
    cr_expect(rg_slice(x, 0, 0, k), "%s", rg_graph_error(g));
    rg_node *two = rg_slice(x, 0, k, rg_dim_add(g, k, 2)), *empty = rg_slice(x, 0, k, k);
    cr_assert(two && empty, "%s", rg_graph_error(g));
    cr_expect_eq(rg_shape_of(two).dim[0], 2);
    cr_expect_eq(rg_shape_of(empty).dim[0], 0);
    rg_graph_free(g);
}

/* ---- shapes that would broadcast, or be turned, without a word ---- */

Test(misuse, shapes_of_operands)
{
    rg_graph *g = rg_graph_new(NULL);
    rg_node *x = rg_input(g, "x", RG_F32, RG_SHAPE(2, 3)), *w = rg_param(g, "w", RG_F32, RG_SHAPE(4, 3), NULL);
    rg_node *index = rg_input(g, "index", RG_I64, RG_SHAPE(5, 3)),
            *other = rg_input(g, "other", RG_I64, RG_SHAPE(2, 7));
    REFUSED(RG_ERR_SHAPE, rg_linear(x, w, rg_zeros(g, RG_F32, RG_SCALAR)), "rg_linear", "bias", "'w'");
    REFUSED(RG_ERR_SHAPE, rg_linear(x, w, rg_zeros(g, RG_F32, RG_SHAPE(1, 4))), "rg_linear", "bias");
    REFUSED(RG_ERR_SHAPE, rg_take_along(x, index, 1), "rg_take_along", "'index'", "'x'", "axis 0");
    REFUSED(RG_ERR_SHAPE, rg_put_along(x, other, x, 1), "rg_put_along", "updates", "'x'", "'other'");
    cr_expect(rg_take_along(x, index, 0), "%s", rg_graph_error(g));
    cr_expect(rg_take_along(x, other, -1), "%s", rg_graph_error(g));
    rg_graph_free(g);
}

/* A compilation that failed says so until the next one, but is no error of building. */
Test(misuse, layers_after_a_compilation_that_failed)
{
    rg_graph *g = rg_graph_new(NULL);
    rg_node *xs = rg_input(g, "xs", RG_F32, RG_SHAPE(5, 2, 3)), *w = rg_param(g, "w", RG_F32, RG_SCALAR, NULL);
    cr_expect_null(rg_compile(g, RG_NODES(rg_assign(w, rg_scale(w, 2)), rg_assign(w, rg_scale(w, 3))), NULL));
    cr_expect(rg_graph_error(g));
    rg_node *last[2] = {NULL, NULL};
    rg_node *ys = rg_nn_lstm(xs, "lstm", 4, &(rg_rnn_opts){.last = last, .bidirectional = true, .layers = 2});
    cr_expect(ys && last[0] && last[1], "%s", rg_graph_error(g));
    cr_expect_null(rg_nn_lstm(xs, "again", 4, &(rg_rnn_opts){.initial = {xs}, .last = last}));
    cr_expect(!last[0] && !last[1], "no states of a layer that failed");
    rg_graph_free(g);
}

/* ---- convolutions ---- */

/* Options that are not below 2^31 are refused before anything is computed from them. */
Test(misuse, options_of_convolution_at_the_ends_of_their_range)
{
    static const int64_t ends[] = {INT32_MAX + INT64_C(1), INT64_C(1) << 62, INT64_MAX, INT64_MIN, -1};
    rg_graph *g = rg_graph_new(NULL);
    rg_node *x = rg_input(g, "x", RG_F32, RG_SHAPE(1, 2, 5, 6)),
            *w = rg_param(g, "w", RG_F32, RG_SHAPE(2, 2, 3, 3), NULL);
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        const int64_t k = ends[i];
        const rg_conv_opts stride = {.stride = {1, k}}, dilation = {.dilation = {1, k}}, pad = {.pad = {0, k}},
                           extra = {.pad_extra = {0, k}}, both = {.pad = {0, k}, .pad_extra = {0, k}},
                           groups = {.groups = k};
        char value[32];
        snprintf(value, sizeof value, "%lld", (long long)k);
        REFUSED(RG_ERR_ARGUMENT, rg_conv2d(x, w, NULL, &stride), "rg_conv2d", "'x'", "axis 1", "stride", value);
        REFUSED(RG_ERR_ARGUMENT, rg_conv2d(x, w, NULL, &dilation), "rg_conv2d", "'x'", "axis 1", "dilation", value);
        REFUSED(RG_ERR_ARGUMENT, rg_conv2d(x, w, NULL, &pad), "rg_conv2d", "'x'", "axis 1", "padding", value);
        REFUSED(RG_ERR_ARGUMENT, rg_conv2d(x, w, NULL, &extra), "rg_conv2d", "'x'", "axis 1", "padding", value);
        REFUSED(RG_ERR_ARGUMENT, rg_conv2d(x, w, NULL, &both), "rg_conv2d", "'x'", "axis 1", "padding", value);
        REFUSED(RG_ERR_ARGUMENT, rg_conv2d(x, w, NULL, &groups), "rg_conv2d", "'x'", "groups", value);
        REFUSED(RG_ERR_ARGUMENT, rg_conv_transpose2d(x, w, NULL, &stride), "rg_conv_transpose2d", "stride", value);
        REFUSED(RG_ERR_ARGUMENT, rg_conv_transpose2d(x, w, NULL, &dilation), "rg_conv_transpose2d", "dilation", value);
        REFUSED(RG_ERR_ARGUMENT, rg_conv_transpose2d(x, w, NULL, &pad), "rg_conv_transpose2d", "padding", value);
        REFUSED(RG_ERR_ARGUMENT, rg_conv_transpose2d(x, w, NULL, &extra), "rg_conv_transpose2d", "axis 3", value);
        REFUSED(RG_ERR_ARGUMENT, rg_conv_transpose2d(x, w, NULL, &groups), "rg_conv_transpose2d", "groups", value);
    }
    /* what `same` comes to is a padding too */
    const rg_conv_opts same = {.same = true, .dilation = {1, INT32_MAX}};
    rg_node *wide = rg_input(g, "wide", RG_F32, RG_SHAPE(2, 2, 1, INT32_MAX / 8));
    REFUSED(RG_ERR_ARGUMENT, rg_conv2d(x, wide, NULL, &same), "axis 3", "padding", "2^31", "'x'");
    rg_graph_free(g);
}

Test(misuse, a_transposed_convolution_without_outputs)
{
    rg_graph *g = rg_graph_new(NULL);
    const int64_t n = rg_dim(g, "n");
    rg_node *x = rg_input(g, "x", RG_F32, RG_SHAPE(1, 2, 5, 3)),
            *late = rg_input(g, "late", RG_F32, RG_SHAPE(1, 2, 5, n)),
            *w = rg_param(g, "w", RG_F32, RG_SHAPE(2, 4, 3, 3), NULL);
    const rg_conv_opts narrow = {.pad = {1, 10}}, none = {.pad = {0, INT32_MAX}}, far = {.stride = {1, INT32_MAX}};
    REFUSED(RG_ERR_ARGUMENT, rg_conv_transpose2d(x, w, NULL, &narrow), "rg_conv_transpose2d", "axis 3", "3 elements",
            "padding 10", "f32[1, 2, 5, 3] 'x'", "f32[2, 4, 3, 3] 'w'");
    REFUSED(RG_ERR_ARGUMENT, rg_conv_transpose2d(late, w, NULL, &none), "axis 3", "n elements", "[1, 2, 5, n] 'late'");
    REFUSED(RG_ERR_SHAPE, rg_conv_transpose2d(x, w, NULL, &far), "2^31", "[1, 2, 5, 3] 'x'");
    cr_expect(rg_conv_transpose2d(x, w, NULL, &(rg_conv_opts){.pad = {1, 2}}), "%s", rg_graph_error(g));
    rg_graph_free(g);
}

Test(misuse, channels_that_are_named)
{
    rg_graph *g = rg_graph_new(NULL);
    const int64_t c = rg_dim(g, "colours");
    rg_node *x = rg_input(g, "x", RG_F32, RG_SHAPE(1, c, 5, 5)),
            *w = rg_param(g, "w", RG_F32, RG_SHAPE(2, 2, 3, 3), NULL);
    rg_node *k = rg_input(g, "k", RG_F32, RG_SHAPE(2, c, 3, 3)), *y = rg_input(g, "y", RG_F32, RG_SHAPE(1, 2, 5, 5));
    rg_node *high = rg_input(g, "high", RG_F32, RG_SHAPE(2, 2, c, 3));
    REFUSED(RG_ERR_ARGUMENT, rg_conv2d(x, w, NULL, NULL), "axis 1", "input has colours channels", "kernel 2 for");
    REFUSED(RG_ERR_ARGUMENT, rg_conv2d(y, k, NULL, NULL), "axis 1", "input has 2 channels", "kernel colours for");
    REFUSED(RG_ERR_ARGUMENT, rg_conv_transpose2d(x, w, NULL, NULL), "axis 1", "input has colours channels");
    REFUSED(RG_ERR_SHAPE, rg_conv2d(y, high, NULL, NULL), "axis 2", "a kernel of colours", "spans colours");
    REFUSED(RG_ERR_ARGUMENT, rg_conv2d(y, high, NULL, &(rg_conv_opts){.kernel = {3}}), "axis 0",
            "has colours elements");
    rg_graph_free(g);
}

/* ---- plans ---- */

Test(misuse, options_of_a_plan_that_are_none)
{
    rg_graph *g = rg_graph_new(NULL);
    rg_node *y = rg_square(rg_param(g, "p", RG_F32, RG_SCALAR, NULL));
    const rg_plan_opts threads = {.threads = -1}, mode = {.mode = (rg_mode)77}, layout = {.layout = (rg_layout)55};
    cr_expect_null(rg_compile(g, RG_NODES(y), &threads));
    cr_expect_eq(rg_graph_status(g), RG_ERR_ARGUMENT);
    cr_expect(strstr(rg_graph_error(g), "threads is -1"), "%s", rg_graph_error(g));
    cr_expect_null(rg_compile(g, RG_NODES(y), &mode));
    cr_expect_eq(rg_graph_status(g), RG_ERR_ARGUMENT);
    cr_expect(strstr(rg_graph_error(g), "mode is 77"), "%s", rg_graph_error(g));
    cr_expect_null(rg_compile(g, RG_NODES(y), &layout));
    cr_expect_eq(rg_graph_status(g), RG_ERR_ARGUMENT);
    cr_expect(strstr(rg_graph_error(g), "layout is 55"), "%s", rg_graph_error(g));
    rg_graph_clear_error(g);
    rg_plan *p = must_compile(g, RG_NODES(y), &(rg_plan_opts){.mode = RG_EVAL});
    must(rg_run(p));
    rg_plan_free(p);
    rg_graph_free(g);
}

/* The error of a run names the node and its place, however the op is run: alone, by a team, in a loop, beside
   others. */
static void fails_at(rg_graph *g, rg_nodes fetch, rg_node *index, const int64_t *data, const char *op, int line,
                     const rg_plan_opts *opts)
{
    rg_plan *p = must_compile(g, fetch, opts);
    char node[32];
    snprintf(node, sizeof node, "node: %s#", op);
    must(rg_bind(p, index, data));
    FAILED(RG_ERR_ARGUMENT, rg_run(p), op, "9", "outside [0, 3)", node, "(in deep, at ");
    cr_expect(names_line(rg_last_error(), __FILE__, line, line), "line %d: %s", line, rg_last_error());
    rg_plan_free(p);
}

Test(misuse, indices_and_labels_of_a_run)
{
    static const rg_plan_opts all[] = {
        {.threads = 1}, {.threads = 2}, {.threads = 1, .check = true}, {.threads = 2, .no_fuse = true}};
    const int64_t data[4] = {0, 2, 9, 1};
    rg_graph *g = rg_graph_new(NULL);
    rg_node *table = rg_param(g, "table", RG_F32, RG_SHAPE(3, 3), NULL),
            *index = rg_input(g, "index", RG_I64, RG_SHAPE(4));
    rg_node *four = rg_param(g, "four", RG_F32, RG_SHAPE(4, 3), NULL);
    rg_scope_push(g, "deep");
    const int gathered = __LINE__ + 1;
    rg_node *rows = rg_gather(table, index, 0);
    const int labelled = __LINE__ + 1;
    rg_node *loss = rg_cross_entropy(rg_tanh(rg_add(four, four)), index, NULL);
    rg_scan *scan = rg_scan_begin(g, &(rg_scan_opts){.name = "walk"});
    rg_node *at = rg_scan_slice(scan, index), *h = rg_scan_carry(scan, rg_zeros(g, RG_F32, RG_SHAPE(3)));
    const int stepped = __LINE__ + 1;
    rg_node *row = rg_gather(rg_mul(table, h), at, 0);
    rg_scan_next(scan, h, rg_tanh(rg_add(h, row)));
    rg_node *last = rg_scan_last(scan, h);
    rg_scan_end(scan);
    rg_scope_pop(g);
    cr_assert(rows && loss && last, "%s", rg_graph_error(g));
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        fails_at(g, RG_NODES(rg_exp(rows)), index, data, "gather", gathered, &all[i]);
        fails_at(g, RG_NODES(loss), index, data, "cross_entropy", labelled, &all[i]);
        fails_at(g, RG_NODES(last), index, data, "gather", stepped, &all[i]);
    }
    rg_graph_free(g);
}

/* ---- ops of the program's own that fail ---- */

/* y = x where x >= 0; what is below is refused, with a text or without one. */
static rg_status run_mute(const rg_step *s, size_t lo, size_t hi)
{
    const float *x = s->in[0];
    float *y = s->out[0];
    for (size_t i = lo; i < hi; i++) {
        y[i] = x[i];
        if (x[i] < 0)
            return RG_ERR_NUMERIC;
    }
    return RG_OK;
}

static rg_status run_telling(const rg_step *s, size_t lo, size_t hi)
{
    const float *x = s->in[0];
    for (size_t i = lo; i < hi; i++)
        if (x[i] < 0)
            return rg_step_fail(s, RG_ERR_NUMERIC, "element %zu is %g", i, x[i]);
    return run_mute(s, lo, hi);
}

static const rg_op mute_op = {
    .name = "mute", .n_in = 1, .n_out = 1, .traits = RG_ELEMENTWISE, .infer = rg_infer_same, .run = run_mute};
static const rg_op telling_op = {
    .name = "telling", .n_in = 1, .n_out = 1, .traits = RG_ELEMENTWISE, .infer = rg_infer_same, .run = run_telling};
/* Not elementwise: one task for all elements. */
static rg_status run_mute_step(const rg_step *s, size_t lo, size_t hi)
{
    return lo < hi ? run_mute(s, 0, (size_t)rg_shape_count(s->out_type[0].shape)) : RG_OK;
}

static const rg_op mute_step_op = {.name = "mute", .n_in = 1, .n_out = 1, .infer = rg_infer_same, .run = run_mute_step};

static void own_op_fails(const rg_op *op, const char *words, const rg_plan_opts *opts)
{
    rg_graph *g = rg_graph_new(NULL);
    rg_node *x = rg_input(g, "x", RG_F32, RG_SHAPE(6, 3));
    rg_scope_push(g, "deep");
    rg_node *y = rg_tanh(rg_apply(op, RG_NODES(rg_scale(x, 2)), NULL));
    rg_scan *scan = rg_scan_begin(g, NULL);
    rg_node *row = rg_scan_stack(scan, rg_exp(rg_apply(op, RG_NODES(rg_scan_slice(scan, x)), NULL)));
    rg_scan_end(scan);
    rg_scope_pop(g);
    char text[64], node[32];
    snprintf(text, sizeof text, "%s: %s", op->name, words);
    snprintf(node, sizeof node, "node: %s#", op->name);
    const float bad[6][3] = {{0}, {0}, {0}, {0, 0, -1}}, good[6][3] = {{0}};
    rg_node *const fetched[2] = {y, row};
    for (size_t i = 0; i < 2; i++) {
        rg_plan *p = must_compile(g, RG_NODES(fetched[i]), opts);
        must(rg_bind(p, x, bad));
        cr_expect_null(rg_input(NULL, "an earlier error", RG_F32, RG_SCALAR));
        FAILED(RG_ERR_NUMERIC, rg_run(p), text, node, "(in deep, at ");
        must(rg_bind(p, x, good));
        must(rg_run(p));
        rg_plan_free(p);
    }
    rg_graph_free(g);
}

Test(misuse, own_ops_that_fail_with_and_without_a_text)
{
    static const rg_plan_opts all[] = {
        {.threads = 1}, {.threads = 2}, {.threads = 1, .check = true}, {.threads = 2, .no_fuse = true}};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        own_op_fails(&mute_op, "the op failed with status 11 (numeric) and no text", &all[i]);
        own_op_fails(&mute_step_op, "the op failed with status 11 (numeric) and no text", &all[i]);
        own_op_fails(&telling_op, "element ", &all[i]);
    }
}

/* A shape rule that refuses the sizes bound, not those the graph is built with. */
static rg_status infer_not_five(rg_infer *call)
{
    call->out[0] = call->in[0];
    return call->in[0].shape.dim[0] == 5 ? RG_ERR_SHAPE : RG_OK;
}

Test(misuse, own_shape_rules_that_refuse_without_a_text)
{
    static const rg_op op = {.name = "not_five", .n_in = 1, .n_out = 1, .infer = infer_not_five, .run = run_mute_step};
    rg_graph *g = rg_graph_new(NULL);
    rg_node *x = rg_input(g, "x", RG_F32, RG_SHAPE(rg_dim(g, "n"))), *y = rg_apply(&op, RG_NODES(x), NULL);
    rg_plan *p = must_compile(g, RG_NODES(y), NULL);
    const float data[5] = {0};
    must(rg_bind_shape(p, x, data, RG_SHAPE(4)));
    must(rg_run(p));
    cr_expect_null(rg_input(NULL, "an earlier error", RG_F32, RG_SCALAR));
    must(rg_bind_shape(p, x, data, RG_SHAPE(5)));
    FAILED(RG_ERR_SHAPE, rg_run(p), "not_five: the shape rule refused its inputs", "node: not_five#", "at ");
    rg_plan_free(p);
    rg_graph_free(g);
}
