/* test_plan.c - compiling, binding, running and reading. */
#include "must.h"

#include "count_malloc.h"
#include "networks.h"

#include <stdio.h>
#include <stdlib.h>

static const rg_plan_opts alone = {.threads = 1};

static rg_node *batch_input(rg_graph *g, const char *name, int64_t width)
{
    return rg_input(g, name, RG_F32, RG_SHAPE(rg_dim(g, "batch"), width));
}

Test(plan, constants)
{
    rg_graph *g = rg_graph_new(NULL);
    int32_t data[3] = {1, -2, 3};
    rg_node *kept = rg_const(g, RG_I32, RG_SHAPE(3), data), *again = rg_const(g, RG_I32, RG_SHAPE(3), data);
    data[0] = 100; /* copied when it was given */
    rg_node *full = rg_full(g, RG_F64, RG_SHAPE(2, 2), 1.5), *zeros = rg_zeros(g, RG_BOOL, RG_SHAPE(2)),
            *ones = rg_ones(g, RG_U8, RG_SHAPE(2));
    rg_node *half = rg_scalar(g, RG_F32, 0.5), *sum = rg_add(full, rg_cast(half, RG_F64)),
            *empty = rg_full(g, RG_F32, RG_SHAPE(0, 3), 1);
    cr_expect_eq(kept, again, "equal constants are one node");
    rg_plan *p = must_compile(g, RG_NODES(kept, full, zeros, ones, half, sum, empty), &alone);
    must(rg_run(p));
    cr_expect_eq(value_at(p, kept, 0), 1);
    cr_expect_eq(value_at(p, kept, 2), 3);
    cr_expect_eq(value_at(p, full, 3), 1.5);
    cr_expect_eq(value_at(p, zeros, 1), 0);
    cr_expect_eq(value_at(p, ones, 1), 1);
    cr_expect_eq(value_at(p, half, 0), 0.5);
    cr_expect_eq(value_at(p, sum, 3), 2);
    rg_tensor t;
    must(rg_result(p, empty, &t));
    cr_expect(rg_shape_equal(t.shape, RG_SHAPE(0, 3)));
    rg_plan_free(p);
    rg_graph_free(g);
}

Test(plan, inputs_are_read_at_every_run_and_sizes_may_change)
{
    rg_graph *g = rg_graph_new(NULL);
    rg_node *x = batch_input(g, "x", 3), *mean = rg_mean(x, RG_AXES(0), false), *twice = rg_scale(x, 2);
    rg_node *centered = rg_sub(x, mean);
    rg_plan *p = must_compile(g, RG_NODES(mean, twice, centered, x), &alone);
    float data[12] = {1, 2, 3, 3, 4, 5, 0, 0, 0, 4, 2, 0};
    must(rg_bind_shape(p, x, data, RG_SHAPE(2, 3)));
    must(rg_run(p));
    cr_expect_eq(value_at(p, mean, 0), 2);
    data[0] = 5; /* borrowed, not copied */
    must(rg_run(p));
    cr_expect_eq(value_at(p, mean, 0), 4);
    must(rg_bind_shape(p, x, data, RG_SHAPE(4, 3)));
    must(rg_run(p));
    rg_tensor t;
    must(rg_result(p, twice, &t));
    cr_expect_eq(t.dtype, RG_F32);
    cr_expect(rg_shape_equal(t.shape, RG_SHAPE(4, 3)));
    cr_expect_eq(value_at(p, mean, 0), 3);
    cr_expect_eq(value_at(p, twice, 9), 8);
    cr_expect_eq(value_at(p, centered, 0), 2);
    cr_expect_eq(value_at(p, x, 9), 4, "a fetched input");
    must(rg_bind_shape(p, x, data, RG_SHAPE(1, 3)));
    must(rg_run(p));
    cr_expect_eq(value_at(p, mean, 0), 5);
    must(rg_bind_shape(p, x, data, RG_SHAPE(0, 3)));
    must(rg_run(p));
    must(rg_result(p, twice, &t));
    cr_expect_eq(t.shape.dim[0], 0);
    cr_expect(isnan(value_at(p, mean, 0)));
    must(rg_bind_shape(p, x, data, RG_SHAPE(2, 3)));
    must(rg_run(p));
    cr_expect_eq(value_at(p, mean, 0), 4);
    rg_plan_free(p);
    rg_graph_free(g);
}

Test(plan, unaligned_data_may_be_bound)
{
    rg_graph *g = rg_graph_new(NULL);
    rg_node *x = rg_input(g, "x", RG_F32, RG_SHAPE(33)), *y = rg_exp(rg_mul(x, x)), *s = rg_sum(x, RG_ALL_AXES, false);
    rg_plan *p = must_compile(g, RG_NODES(y, s), &alone);
    static float room[64], wanted[33];
    for (int shift = 0; shift < 3; shift++) {
        float *data = room + shift;
        for (int i = 0; i < 33; i++)
            data[i] = (float)i / 20;
        must(rg_bind(p, x, data));
        must(rg_run(p));
        if (shift == 0)
            memcpy(wanted, rg_data(p, y), sizeof wanted);
        for (size_t i = 0; i < 33; i++)
            cr_expect_eq(value_at(p, y, i), wanted[i], "shift %d, element %zu", shift, i);
    }
    rg_plan_free(p);
    rg_graph_free(g);
}

Test(plan, bind_tensor_and_out)
{
    rg_graph *g = rg_graph_new(NULL);
    rg_node *x = batch_input(g, "x", 2), *y = rg_neg(x);
    rg_plan *p = must_compile(g, RG_NODES(y, x), &alone);
    float data[4] = {1, 2, 3, 4}, out[5] = {0, 0, 0, 0, 77}, copy[4];
    rg_tensor t = {.dtype = RG_F32, .shape = RG_SHAPE(2, 2), .data = data};
    must(rg_bind_tensor(p, x, &t));
    must(rg_bind_out(p, y, out));
    must(rg_bind_out(p, x, copy));
    must(rg_run(p));
    cr_expect(out[0] == -1 && out[3] == -4 && out[4] == 77 && copy[2] == 3);
    must(rg_bind_out(p, y, NULL));
    data[0] = 9;
    must(rg_run(p));
    cr_expect(out[0] == -1 && copy[0] == 9);
    cr_expect_eq(value_at(p, y, 0), -9);
    rg_plan_free(p);
    rg_graph_free(g);
}

Test(plan, data_before_a_run_and_of_others_is_null)
{
    rg_graph *g = rg_graph_new(NULL);
    rg_node *x = rg_input(g, "x", RG_F32, RG_SHAPE(2)), *y = rg_exp(x), *hidden = rg_neg(x);
    rg_plan *p = must_compile(g, RG_NODES(y), &alone);
    cr_expect_null(rg_data(p, y));
    cr_expect(strstr(rg_last_error(), "rg_data: the plan has not run"), "%s", rg_last_error());
    rg_tensor t;
    cr_expect(rg_result(p, y, &t) != RG_OK);
    cr_expect(rg_run(p) != RG_OK);
    cr_expect_null(rg_data(p, y));
    cr_expect(strstr(rg_last_error(), "is not bound"), "%s", rg_last_error());
    const float data[2] = {0, 1};
    must(rg_bind(p, x, data));
    must(rg_run(p));
    cr_expect(rg_data(p, y));
    cr_expect_null(rg_data(p, hidden));
    cr_expect(strstr(rg_last_error(), "was not fetched"), "%s", rg_last_error());
    cr_expect(rg_result(p, hidden, &t) != RG_OK);
    rg_plan_free(p);
    rg_graph_free(g);
}

Test(plan, says_which_input_is_not_bound)
{
    rg_graph *g = rg_graph_new(NULL);
    rg_node *x = batch_input(g, "x", 2), *y = rg_input(g, "y", RG_F32, RG_SHAPE(2)), *idle = batch_input(g, "idle", 1);
    rg_plan *p = must_compile(g, RG_NODES(rg_add(x, y), rg_size_of(idle, RG_AXES(0))), &alone);
    const float data[2] = {1, 2};
    cr_expect_eq(rg_plan_unbound(p), x);
    must(rg_bind_shape(p, x, NULL, RG_SHAPE(1, 2)));
    cr_expect_eq(rg_plan_unbound(p), x, "only its sizes are known");
    must(rg_bind_shape(p, x, data, RG_SHAPE(1, 2)));
    cr_expect_eq(rg_plan_unbound(p), y);
    cr_expect(rg_run(p) == RG_ERR_STATE && strstr(rg_last_error(), "input 'y'"), "%s", rg_last_error());
    must(rg_bind(p, y, data));
    must(rg_bind_shape(p, x, NULL, RG_SHAPE(0, 2)));
    cr_expect_null(rg_plan_unbound(p), "nothing is read of what is empty, nor of what is asked for its sizes alone");
    must(rg_run(p));
    must(rg_bind(p, y, NULL));
    cr_expect_eq(rg_plan_unbound(p), y);
    cr_expect_null(rg_plan_unbound(NULL));
    rg_plan_free(p);
    rg_graph_free(g);
}

Test(plan, a_bundle_of_effects_has_no_values)
{
    rg_graph *g = rg_graph_new(NULL);
    rg_node *w = rg_param(g, "w", RG_F32, RG_SHAPE(2), NULL), *loss = rg_sum(rg_square(w), RG_ALL_AXES, false);
    rg_node *step = rg_sgd(loss, &(rg_sgd_opts){.lr = 0.1});
    rg_plan *p = must_compile(g, RG_NODES(loss, step), &alone);
    must(rg_run(p));
    rg_tensor t;
    float out;
    cr_expect_null(rg_data(p, step));
    cr_expect(strstr(rg_last_error(), "rg_data: group") && strstr(rg_last_error(), "has no values"), "%s",
              rg_last_error());
    cr_expect_eq(rg_result(p, step, &t), RG_ERR_ARGUMENT);
    cr_expect_eq(rg_bind_out(p, step, &out), RG_ERR_ARGUMENT);
    cr_expect(strstr(rg_last_error(), "rg_bind_out: group"), "%s", rg_last_error());
    rg_plan_free(p);
    rg_graph_free(g);
}

Test(plan, the_same_node_twice_and_views)
{
    rg_graph *g = rg_graph_new(NULL);
    rg_node *x = rg_input(g, "x", RG_F32, RG_SHAPE(2, 3)), *y = rg_square(x), *flat = rg_reshape(y, RG_SHAPE(-1));
    rg_node *turned = rg_transpose(flat, RG_AXES(0)), *back = rg_reshape(flat, RG_SHAPE(3, 2));
    rg_plan *p = must_compile(g, RG_NODES(y, flat, y, turned, back), &alone);
    const float data[6] = {1, 2, 3, 4, 5, 6};
    must(rg_bind(p, x, data));
    must(rg_run(p));
    for (size_t i = 0; i < 6; i++) {
        const double want = data[i] * data[i];
        cr_expect(value_at(p, y, i) == want && value_at(p, flat, i) == want && value_at(p, back, i) == want);
    }
    rg_plan_free(p);
    rg_graph_free(g);
}

/* Intermediates share memory; what is fetched must survive to the end. */
Test(plan, fetched_nodes_are_not_overwritten)
{
    rg_graph *g = rg_graph_new(NULL);
    rg_node *x = rg_input(g, "x", RG_F32, RG_SHAPE(1000)), *chain[20], *y = x;
    for (int i = 0; i < 20; i++)
        chain[i] = y = i % 3 ? rg_add_scalar(y, 1) : rg_reshape(rg_slice_step(y, 0, RG_END, -1001, -1), RG_SHAPE(1000));
    rg_plan *p = must_compile(g, (rg_nodes){chain, 20}, &alone), *last = must_compile(g, RG_NODES(y), &alone);
    static float data[1000];
    for (int i = 0; i < 1000; i++)
        data[i] = (float)i;
    must(rg_bind(p, x, data));
    must(rg_bind(last, x, data));
    must(rg_run(p));
    must(rg_run(last));
    double add = 0;
    bool turned = false;
    for (int i = 0; i < 20; i++) {
        add += i % 3 ? 1 : 0;
        turned ^= i % 3 == 0;
        for (size_t k = 0; k < 1000; k += 111)
            cr_assert_eq(value_at(p, chain[i], k), (turned ? 999 - (double)k : (double)k) + add, "node %d element %zu",
                         i, k);
    }
    cr_expect(!memcmp(rg_data(p, y), rg_data(last, y), sizeof data));
    cr_expect(rg_plan_bytes(last) < rg_plan_bytes(p), "%zu against %zu bytes", rg_plan_bytes(last), rg_plan_bytes(p));
    rg_plan_free(p);
    rg_plan_free(last);
    rg_graph_free(g);
}

Test(plan, bytes_are_known_with_the_sizes)
{
    rg_graph *g = rg_graph_new(NULL);
    rg_node *x = batch_input(g, "x", 1000), *y = rg_exp(rg_transpose(x, RG_AXES(1, 0)));
    rg_plan *p = must_compile(g, RG_NODES(y), &alone);
    cr_expect_eq(rg_plan_bytes(p), 0);
    static float data[4000];
    must(rg_bind_shape(p, x, data, RG_SHAPE(4, 1000)));
    must(rg_plan_prepare(p));
    const size_t bytes = rg_plan_bytes(p);
    cr_expect(bytes >= 4000 * sizeof(float) && bytes < 10 * 4000 * sizeof(float), "%zu", bytes);
    must(rg_run(p));
    cr_expect_eq(rg_plan_bytes(p), bytes);
    rg_plan_free(p);
    rg_graph_free(g);
}

/* Branches that were built side by side are done one after the other where less is alive so; an update stays behind
   what reads the old value. */
Test(plan, independent_branches_are_not_all_kept)
{
    enum { BRANCHES = 8, N = 64 };
    static float data[N * N];
    for (size_t i = 0; i < N * N; i++)
        data[i] = (float)(i % 23) / 23;
    rg_graph *g = rg_graph_new(NULL);
    rg_node *x = rg_input(g, "x", RG_F32, RG_SHAPE(N, N)), *w = rg_param(g, "w", RG_F32, RG_SHAPE(N), NULL);
    rg_node *wide[BRANCHES], *out[BRANCHES + 2];
    for (int i = 0; i < BRANCHES; i++)
        wide[i] = rg_cumsum(rg_scale(x, i + 1), 0, false);
    for (int i = 0; i < BRANCHES; i++)
        out[i] = rg_sum(rg_matmul(wide[i], rg_transpose(wide[i], RG_AXES(1, 0))), RG_ALL_AXES, false);
    out[BRANCHES] = rg_assign(w, rg_sum(x, RG_AXES(0), false));
    out[BRANCHES + 1] = rg_sum(rg_mul(w, rg_sum(wide[0], RG_AXES(0), false)), RG_AXES(0), false);
    must(rg_set(w, &(rg_tensor){.dtype = RG_F32, .shape = RG_SHAPE(N), .data = data}));
    rg_plan *p = must_compile(g, (rg_nodes){out, BRANCHES + 2}, &alone);
    must(rg_bind(p, x, data));
    must(rg_run(p));
    rg_estimate e;
    must(rg_plan_estimate(p, NULL, &e));
    cr_expect(e.peak < 4 * sizeof data, "%zu bytes alive", (size_t)e.peak);
    double dot = 0;
    for (size_t j = 0; j < N; j++) {
        double sum = 0, run = 0;
        for (size_t i = 0; i < N; i++)
            sum += run += data[i * N + j];
        dot += data[j] * sum;
    }
    cr_expect(close_to(value_at(p, out[BRANCHES + 1], 0), dot, 1e-4), "%g", value_at(p, out[BRANCHES + 1], 0));
    for (int i = 1; i < BRANCHES; i++)
        cr_expect(close_to(value_at(p, out[i], 0), (i + 1) * (i + 1) * value_at(p, out[0], 0), 1e-3));
    rg_plan_free(p);
    rg_graph_free(g);
}

Test(plan, any_order_of_freeing)
{
    rg_graph *g = rg_graph_new(NULL);
    rg_node *x = rg_input(g, "x", RG_F32, RG_SHAPE(4)), *w = rg_param(g, "w", RG_F32, RG_SHAPE(4), NULL),
            *y = rg_mul(x, w);
    rg_plan *p = must_compile(g, RG_NODES(y), &alone), *q = must_compile(g, RG_NODES(rg_exp(y)), &alone),
            *f = rg_plan_fork(p);
    cr_assert(f);
    const float data[4] = {1, 2, 3, 4};
    must(rg_bind(p, x, data));
    must(rg_bind(f, x, data));
    rg_graph_free(g);
    must(rg_run(p));
    rg_plan_free(q);
    const double first = value_at(p, y, 3);
    rg_plan_free(p);
    must(rg_run(f));
    cr_expect_eq(value_at(f, y, 3), first);
    rg_plan_free(f);
    rg_plan_free(NULL);
    rg_graph_free(NULL);
}

Test(plan, forks_have_their_own_bindings)
{
    rg_graph *g = rg_graph_new(NULL);
    rg_node *x = batch_input(g, "x", 2), *w = rg_param(g, "w", RG_F32, RG_SHAPE(2), &(rg_param_opts){.init = RG_ONES});
    rg_node *y = rg_sum(rg_mul(x, w), RG_ALL_AXES, false);
    rg_plan *p = must_compile(g, RG_NODES(y), &alone), *f = rg_plan_fork(p);
    cr_assert(f);
    const float a[2] = {1, 2}, b[4] = {10, 20, 30, 40}, two[2] = {2, 2};
    must(rg_bind_shape(p, x, a, RG_SHAPE(1, 2)));
    must(rg_bind_shape(f, x, b, RG_SHAPE(2, 2)));
    must(rg_run(p));
    must(rg_run(f));
    cr_expect_eq(value_at(p, y, 0), 3);
    cr_expect_eq(value_at(f, y, 0), 100);
    must(rg_set(w, &(rg_tensor){.dtype = RG_F32, .shape = RG_SHAPE(2), .data = (void *)two}));
    must(rg_run(p));
    must(rg_run(f));
    cr_expect_eq(value_at(p, y, 0), 6, "parameters are shared");
    cr_expect_eq(value_at(f, y, 0), 200);
    rg_plan_free(p);
    rg_plan_free(f);
    rg_graph_free(g);
}

/* ---- the mode ---- */

Test(plan, mode_is_folded)
{
    rg_graph *g = rg_graph_new(NULL);
    rg_node *x = rg_input(g, "x", RG_F32, RG_SHAPE(3)), *y = rg_where(rg_training(g), rg_scale(x, 10), x);
    rg_node *count = rg_buffer(g, "count", RG_F32, RG_SCALAR, NULL), *step = rg_assign(count, rg_add_scalar(count, 1));
    rg_plan *train = must_compile(g, RG_NODES(y), &(rg_plan_opts){.threads = 1, .mode = RG_TRAIN});
    rg_plan *eval = must_compile(g, RG_NODES(y), &(rg_plan_opts){.threads = 1, .mode = RG_EVAL});
    rg_plan *effect = must_compile(g, RG_NODES(y, step), &alone);
    const float data[3] = {1, 2, 3};
    rg_plan *const plans[3] = {train, eval, effect};
    for (int i = 0; i < 3; i++) {
        must(rg_bind(plans[i], x, data));
        must(rg_run(plans[i]));
        cr_expect_eq(value_at(plans[i], y, 2), i == 1 ? 3 : 30, "plan %d", i);
    }
    cr_expect_null(rg_compile(g, RG_NODES(y), &alone), "a mode is needed");
    cr_assert(rg_graph_error(g));
    cr_expect(strstr(rg_graph_error(g), "mode") && strstr(rg_graph_error(g), "where"), "%s", rg_graph_error(g));
    cr_expect(strstr(rg_graph_error(g), "test_plan.c"), "where it was made: %s", rg_graph_error(g));
    rg_plan *without = rg_compile(g, RG_NODES(rg_scale(x, 10)), &alone);
    cr_expect(without, "a node that does not depend on the mode: %s", rg_graph_error(g));
    for (int i = 0; i < 3; i++)
        rg_plan_free(plans[i]);
    rg_plan_free(without);
    rg_graph_free(g);
}

/* ---- checks ---- */

Test(plan, check_finds_nan_and_names_the_node)
{
    rg_graph *g = rg_graph_new(NULL);
    rg_node *x = rg_input(g, "x", RG_F32, RG_SHAPE(3)), *y = rg_log(x), *z = rg_sum(y, RG_ALL_AXES, false);
    rg_plan *p = must_compile(g, RG_NODES(z), &(rg_plan_opts){.threads = 1, .check = true});
    float data[3] = {1, 2, 3};
    must(rg_bind(p, x, data));
    must(rg_run(p));
    data[1] = -1;
    cr_expect_eq(rg_run(p), RG_ERR_NUMERIC);
    cr_expect(strstr(rg_last_error(), "log"), "%s", rg_last_error());
    data[1] = 2;
    must(rg_run(p));
    cr_expect_eq(value_at(p, z, 0), (double)(logf(1) + logf(2) + logf(3)));
    rg_plan_free(p);
    rg_graph_free(g);
}

Test(plan, failing_kernels_fail_the_run_alone)
{
    rg_graph *g = rg_graph_new(NULL);
    rg_node *x = rg_input(g, "x", RG_F32, RG_SHAPE(3)), *i = rg_input(g, "i", RG_I64, RG_SHAPE(2)),
            *y = rg_gather(x, i, 0);
    rg_node *w = rg_param(g, "w", RG_F32, RG_SHAPE(2), &(rg_param_opts){.init = RG_ONES}), *step = rg_assign(w, y);
    rg_plan *p = must_compile(g, RG_NODES(y, step), &alone);
    const float data[3] = {5, 6, 7};
    int64_t index[2] = {0, 3};
    must(rg_bind(p, x, data));
    must(rg_bind(p, i, index));
    cr_expect_neq(rg_run(p), RG_OK);
    cr_expect(strstr(rg_last_error(), "gather") && strstr(rg_last_error(), "3"), "%s", rg_last_error());
    cr_expect_eq(stored_at(w, 0), 1, "nothing was written");
    index[1] = -1;
    cr_expect_neq(rg_run(p), RG_OK);
    index[1] = 2;
    must(rg_run(p));
    cr_expect_eq(value_at(p, y, 1), 7);
    cr_expect_eq(stored_at(w, 1), 7);
    rg_plan_free(p);
    rg_graph_free(g);
}

Test(plan, labels_outside_the_classes_fail_the_run)
{
    rg_graph *g = rg_graph_new(NULL);
    rg_node *x = rg_input(g, "x", RG_F32, RG_SHAPE(2, 3)), *t = rg_input(g, "t", RG_U8, RG_SHAPE(2));
    rg_plan *p = must_compile(g, RG_NODES(rg_cross_entropy(x, t, NULL)), &alone);
    const float data[6] = {0};
    uint8_t labels[2] = {0, 3};
    must(rg_bind(p, x, data));
    must(rg_bind(p, t, labels));
    cr_expect_neq(rg_run(p), RG_OK);
    cr_expect(strstr(rg_last_error(), "label") && strstr(rg_last_error(), "3"), "%s", rg_last_error());
    labels[1] = 2;
    must(rg_run(p));
    rg_plan_free(p);
    rg_graph_free(g);
}

/* ---- dumps ---- */

static void contains(rg_plan *p, const char *const words[])
{
    char *text = rg_plan_dump(p);
    cr_assert(text, "%s", rg_last_error());
    for (size_t i = 0; words[i]; i++)
        cr_expect(strstr(text, words[i]), "\"%s\" is missing in:\n%s", words[i], text);
    rg_text_free(text);
}

Test(plan, dump)
{
    rg_graph *g = rg_graph_new(NULL);
    rg_node *x = batch_input(g, "x", 3), *w = rg_param(g, "w", RG_F32, RG_SHAPE(3), NULL), *y = rg_tanh(rg_mul(x, w));
    rg_node *step = rg_assign(w, rg_scale(rg_sum(y, RG_AXES(0), false), 0.5));
    rg_plan *p = must_compile(g, RG_NODES(y, step), &alone);
    contains(p,
             (const char *const[]){"1 inputs", "2 fetched", "1 parameters written", "1 threads", "training", "unknown",
                                   "'x' f32[batch, 3]", "mul(", "tanh(", "sum(", "scale(", "writes 'w'", NULL});
    static float data[12];
    must(rg_bind_shape(p, x, data, RG_SHAPE(4, 3)));
    must(rg_plan_prepare(p));
    char bytes[64];
    snprintf(bytes, sizeof bytes, "memory: %zu bytes", rg_plan_bytes(p));
    contains(p, (const char *const[]){bytes, "'x' f32[4, 3]", NULL});
    cr_expect_null(rg_plan_dump(NULL));
    rg_plan_free(p);
    rg_graph_free(g);
}

/* ---- allocation ---- */

typedef struct counter {
    size_t allocations, live;
} counter;

static void *counted_alloc(void *user, size_t bytes)
{
    counter *c = user;
    c->allocations++;
    c->live++;
    return aligned_alloc(64, (bytes + 63) / 64 * 64);
}

static void counted_free(void *user, void *memory, size_t bytes)
{
    (void)bytes;
    if (memory)
        ((counter *)user)->live--;
    free(memory);
}

static void runs_without_allocation(int threads, bool profile)
{
    static counter c;
    const rg_allocator allocator = {counted_alloc, counted_free, &c};
    rg_graph *g = rg_graph_new(&(rg_graph_opts){.allocator = &allocator});
    rg_node *x = batch_input(g, "x", 64), *t = rg_input(g, "t", RG_I64, RG_SHAPE(rg_dim(g, "batch")));
    rg_node *h = rg_nn_dropout(rg_relu(rg_nn_linear(x, "fc1", 128, NULL)), 0.2);
    rg_node *loss = rg_cross_entropy(rg_nn_linear(h, "fc2", 10, NULL), t, NULL),
            *step = rg_adam(loss, &(rg_adam_opts){.lr = 1e-3});
    rg_plan *p = must_compile(g, RG_NODES(loss, step), &(rg_plan_opts){.threads = threads, .profile = profile});
    static float data[256 * 64];
    static int64_t labels[256];
    for (int round = 0; round < 3; round++)
        for (int64_t batch = 32; batch <= 256; batch += 224) {
            must(rg_bind_shape(p, x, data, RG_SHAPE(batch, 64)));
            must(rg_bind_shape(p, t, labels, RG_SHAPE(batch)));
            if (round == 0)
                must(rg_plan_prepare(p));
            const size_t own = c.allocations;
            const size_t before = count_malloc();
            must(rg_run(p));
            const size_t after = count_malloc();
            cr_expect_eq(c.allocations, own, "rg_run took memory from the graph's allocator");
            if (round > 0) /* the first runs start OpenMP's threads */
                cr_expect_eq(after, before, "%zu allocations in rg_run, batch %d", after - before, (int)batch);
        }
    cr_expect(count_malloc_works() || c.allocations > 0);
    rg_plan_free(p);
    rg_graph_free(g);
    cr_expect_eq(c.live, 0, "%zu blocks leak", c.live);
}

Test(plan, run_allocates_nothing_on_one_thread)
{
    runs_without_allocation(1, false);
    runs_without_allocation(1, true);
}
Test(plan, run_allocates_nothing_on_two_threads)
{
    runs_without_allocation(2, false);
    runs_without_allocation(2, true);
}

/* Convolutions, recurrences, updates, two sizes in turn. */
Test(plan, runs_of_networks_allocate_nothing)
{
    static const rg_machine eager = {.flop_ns = 1, .byte_ns = 1, .meeting_ns = 0, .share_ns = 1e-3};
    enum { SETTLED = 10, MORE = 10 };
    if (!count_malloc_works())
        cr_skip_test("malloc cannot be interposed here");
    for (network_kind kind = 0; kind < NETWORKS; kind++)
        for (int threads = 1; threads <= 2; threads++) {
            network m = network_new(kind);
            rg_plan *p =
                must_compile(m.g, RG_NODES(m.loss, m.step), &(rg_plan_opts){.threads = threads, .machine = &eager});
            cr_assert(network_train(&m, p, 0, SETTLED), "%s", rg_last_error());
            const size_t before = count_malloc();
            cr_assert(network_train(&m, p, SETTLED, MORE), "%s", rg_last_error());
            cr_expect_eq(count_malloc(), before, "%s on %d threads", network_names[kind], threads);
            rg_plan_free(p);
            rg_graph_free(m.g);
        }
}
