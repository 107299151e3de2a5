/* test_loop.c - loops and branches that depend on data: values, both modes, second order, batches, limits, bad use. */
#include "must.h"

#include <stdio.h>

static rg_node *less(rg_node *a, double b)
{
    return rg_less(a, rg_scalar(rg_graph_of(a), RG_F64, b));
}

/* x doubled until it is above `limit`: y = x 2^n. */
static rg_node *doubled(rg_node *x, double limit, int64_t max_iter, rg_node **count)
{
    rg_scan *s = rg_while_begin(rg_graph_of(x), &(rg_while_opts){.name = "double", .max_iter = max_iter});
    rg_node *h = rg_scan_carry(s, x);
    rg_while_test(s, less(h, limit));
    rg_scan_next(s, h, rg_scale(h, 2));
    rg_node *y = rg_scan_last(s, h);
    rg_scan_end(s);
    if (count)
        *count = rg_while_count(s);
    return y;
}

/* Heron's iteration for the square root, until a step changes little: the test needs the next value. */
static rg_node *heron(rg_node *a, int64_t max_iter)
{
    rg_graph *g = rg_graph_of(a);
    rg_scan *s = rg_while_begin(g, &(rg_while_opts){.name = "heron", .max_iter = max_iter});
    rg_node *h = rg_scan_carry(s, rg_add_scalar(rg_scale(a, 0.5), 0.5));
    rg_node *next = rg_scale(rg_add(h, rg_div(a, h)), 0.5);
    rg_while_test(s, rg_greater(rg_abs(rg_sub(next, h)), rg_scalar(g, RG_F64, 1e-15)));
    rg_scan_next(s, h, next);
    rg_node *y = rg_scan_last(s, h);
    rg_scan_end(s);
    return y;
}

static rg_node *scalar_param(rg_graph *g, const char *name, double value)
{
    rg_node *p = rg_param(g, name, RG_F64, RG_SCALAR, NULL);
    set_scalar(p, value);
    return p;
}

Test(loop, as_many_steps_as_the_data_says)
{
    static const struct {
        double x;
        int64_t steps;
    } cases[] = {{3, 6}, {100, 0}, {99, 1}, {0.1, 10}, {7e300, 0}};
    for (int no_fuse = 0; no_fuse < 2; no_fuse++) {
        rg_graph *g = rg_graph_new(NULL);
        rg_node *x = rg_input(g, "x", RG_F64, RG_SCALAR), *count, *y = doubled(x, 100, 0, &count);
        rg_plan *p = must_compile(g, RG_NODES(y, count), &(rg_plan_opts){.threads = 1, .no_fuse = no_fuse});
        for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
            must(rg_bind(p, x, &cases[k].x));
            must(rg_run(p));
            cr_expect_eq(value_at(p, count, 0), cases[k].steps);
            cr_expect_eq(value_at(p, y, 0), ldexp(cases[k].x, (int)cases[k].steps));
        }
        must(rg_graph_check(g));
        char *text = rg_plan_dump(p);
        cr_expect(strstr(text, "test") && strstr(text, "loop 'double'"), "%s", text);
        rg_text_free(text);
        rg_plan_free(p);
        rg_graph_free(g);
    }
}

Test(loop, the_test_may_read_the_next_value)
{
    rg_graph *g = rg_graph_new(NULL);
    rg_node *a = rg_input(g, "a", RG_F64, RG_SCALAR), *y = heron(a, 60);
    rg_node *d = rg_at(rg_grad(y, RG_NODES(a)), 0), *dd = rg_at(rg_grad(d, RG_NODES(a)), 0);
    rg_node *t = rg_at(rg_jvp(RG_NODES(y), RG_NODES(a), RG_NODES(rg_ones_like(a))), 0);
    rg_node *h = rg_at(rg_hvp(y, RG_NODES(a), RG_NODES(rg_ones_like(a))), 0);
    rg_plan *p = must_compile(g, RG_NODES(y, d, dd, t, h), &(rg_plan_opts){.threads = 1});
    for (double at = 0.01; at < 1e4; at *= 7) {
        must(rg_bind(p, a, &at));
        must(rg_run(p));
        cr_expect(close_to(value_at(p, y, 0), sqrt(at), 1e-14), "%g", at);
        cr_expect(close_to(value_at(p, d, 0), 0.5 / sqrt(at), 1e-9), "%g: %g", at, value_at(p, d, 0));
        cr_expect(close_to(value_at(p, t, 0), 0.5 / sqrt(at), 1e-9), "%g: %g", at, value_at(p, t, 0));
        cr_expect(close_to(value_at(p, dd, 0), -0.25 * pow(at, -1.5), 1e-6), "%g: %g", at, value_at(p, dd, 0));
        cr_expect(close_to(value_at(p, h, 0), -0.25 * pow(at, -1.5), 1e-6), "%g: %g", at, value_at(p, h, 0));
    }
    rg_plan_free(p);
    rg_graph_free(g);
}

Test(loop, forward_mode_has_no_limit)
{
    rg_graph *g = rg_graph_new(NULL);
    rg_node *x = rg_input(g, "x", RG_F64, RG_SCALAR), *y = doubled(x, 1e200, 0, NULL);
    rg_node *t = rg_at(rg_jvp(RG_NODES(y), RG_NODES(x), RG_NODES(rg_ones_like(x))), 0);
    rg_plan *p = must_compile(g, RG_NODES(y, t), &(rg_plan_opts){.threads = 1});
    const double at = 3;
    must(rg_bind(p, x, &at));
    must(rg_run(p));
    cr_expect_eq(value_at(p, t, 0), value_at(p, y, 0) / 3);
    rg_plan_free(p);
    rg_graph_free(g);
}

Test(loop, reverse_mode_without_a_limit_says_what_is_missing)
{
    rg_graph *g = rg_graph_new(NULL);
    rg_node *x = rg_input(g, "x", RG_F64, RG_SCALAR), *y = doubled(x, 100, 0, NULL);
    cr_expect_eq(rg_grad(y, RG_NODES(x)).n, 0);
    cr_expect_eq(rg_graph_status(g), RG_ERR_GRADIENT);
    cr_expect(strstr(rg_graph_error(g), "max_iter") && strstr(rg_graph_error(g), "'double'"), "%s", rg_graph_error(g));
    rg_graph_free(g);
}

Test(loop, going_on_after_the_limit_is_an_error_and_stores_nothing)
{
    rg_graph *g = rg_graph_new(NULL);
    rg_node *w = scalar_param(g, "w", 5), *x = rg_input(g, "x", RG_F64, RG_SCALAR), *y = doubled(x, 100, 5, NULL);
    rg_node *other = scalar_param(g, "other", 7);
    rg_node *step = rg_group(g, RG_NODES(rg_assign(w, rg_add(w, y)), rg_assign(other, rg_scale(other, 2))));
    rg_plan *p = must_compile(g, RG_NODES(step), &(rg_plan_opts){.threads = 1});
    double at = 3;
    must(rg_bind(p, x, &at));
    cr_expect_eq(rg_run(p), RG_ERR_STATE);
    cr_expect(strstr(rg_last_error(), "'double'") && strstr(rg_last_error(), "max_iter"), "%s", rg_last_error());
    cr_expect_eq(stored_at(w, 0), 5);
    cr_expect_eq(stored_at(other, 0), 7);
    at = 4; /* five steps */
    must(rg_run(p));
    cr_expect_eq(stored_at(w, 0), 133);
    cr_expect_eq(stored_at(other, 0), 14);
    rg_plan_free(p);
    rg_graph_free(g);
}

/* A body with a matrix, captured weights, and several carries; against differences, both modes, twice. */
Test(loop, certificate_of_a_matrix_loop)
{
    rg_graph *g = rg_graph_new(NULL);
    rg_node *x = rg_param(g, "x", RG_F64, RG_SHAPE(3, 4), &(rg_param_opts){.init = RG_NORMAL, .scale = 1});
    rg_node *w = rg_param(g, "w", RG_F64, RG_SHAPE(4, 4), &(rg_param_opts){.init = RG_NORMAL, .scale = 0.7});
    rg_scan *s = rg_while_begin(g, &(rg_while_opts){.max_iter = 20});
    rg_node *h = rg_scan_carry(s, x), *total = rg_scan_carry(s, rg_scalar(g, RG_F64, 0));
    rg_while_test(s, less(total, 9));
    rg_node *next = rg_tanh(rg_matmul(h, w));
    rg_scan_next(s, h, next);
    rg_scan_next(s, total, rg_add(total, rg_add_scalar(rg_mean(rg_square(next), RG_ALL_AXES, false), 1)));
    rg_node *last = rg_scan_last(s, h), *sum = rg_scan_last(s, total);
    rg_scan_end(s);
    rg_node *loss = rg_add(rg_sum(rg_sin(last), RG_ALL_AXES, false), sum);
    rg_node *count = rg_while_count(s);
    rg_plan *p = must_compile(g, RG_NODES(count), &(rg_plan_opts){.threads = 1});
    must(rg_run(p));
    cr_expect(value_at(p, count, 0) > 4 && value_at(p, count, 0) < 10);
    rg_plan_free(p);
    rg_grad_check_report report;
    must(rg_grad_check(loss, RG_NODES(x, w), NULL, &report));
    cr_expect(report.passed && report.worst < 1e-6, "%s", report.text);
    rg_graph_free(g);
}

/* The same with enough rows that steps are shared out: equal bits on any number of threads. */
Test(loop, threads_walk_a_loop_together)
{
    enum { ROWS = 512, WIDTH = 256 };
    rg_graph *g = rg_graph_new(NULL);
    rg_node *x = rg_param(g, "x", RG_F32, RG_SHAPE(ROWS, WIDTH), &(rg_param_opts){.init = RG_NORMAL, .scale = 1});
    rg_node *w = rg_param(g, "w", RG_F32, RG_SHAPE(WIDTH, WIDTH), NULL);
    rg_scan *s = rg_while_begin(g, &(rg_while_opts){.max_iter = 30});
    rg_node *h = rg_scan_carry(s, x);
    rg_while_test(s, rg_greater(rg_norm(h, RG_ALL_AXES, false), rg_scalar(g, RG_F32, 1)));
    rg_scan_next(s, h, rg_tanh(rg_scale(rg_matmul(h, w), 0.9)));
    rg_node *last = rg_scan_last(s, h);
    rg_scan_end(s);
    rg_node *loss = rg_sum(rg_square(last), RG_ALL_AXES, false), *count = rg_while_count(s);
    const rg_nodes d = rg_grad(loss, RG_NODES(x, w));
    rg_plan *one = NULL;
    for (int threads = 1; threads <= 4; threads++) {
        rg_plan *p = must_compile(g, RG_NODES(loss, count, d.at[0], d.at[1]), &(rg_plan_opts){.threads = threads});
        must(rg_run(p));
        must(rg_run(p));
        cr_expect(value_at(p, count, 0) > 1 && value_at(p, count, 0) < 30, "%g steps", value_at(p, count, 0));
        if (one)
            for (size_t i = 0; i < 2; i++)
                cr_expect(!memcmp(rg_data(one, d.at[i]), rg_data(p, d.at[i]), sizeof(float) * WIDTH * WIDTH));
        if (one)
            rg_plan_free(p);
        else
            one = p;
    }
    rg_plan_free(one);
    rg_graph_free(g);
}

Test(loop, within_a_scan_and_a_scan_within)
{
    rg_graph *g = rg_graph_new(NULL);
    rg_node *xs = rg_param(g, "xs", RG_F64, RG_SHAPE(4), NULL);
    const double values[4] = {3, 20, 150, 0.5};
    must(rg_set(xs, &(rg_tensor){RG_F64, RG_SHAPE(4), (void *)values, NULL}));
    rg_scan *outer = rg_scan_begin(g, NULL);
    rg_node *x = rg_scan_slice(outer, xs), *h = rg_scan_carry(outer, rg_scalar(g, RG_F64, 0));
    rg_node *count, *y = doubled(x, 100, 12, &count); /* a loop in the body, different steps each time */
    rg_scan_next(outer, h, rg_add(rg_scale(h, 0.5), rg_sin(y)));
    rg_node *ys = rg_scan_stack(outer, y), *counts = rg_scan_stack(outer, count), *last = rg_scan_last(outer, h);
    rg_scan_end(outer);
    rg_plan *p = must_compile(g, RG_NODES(ys, counts), &(rg_plan_opts){.threads = 1});
    must(rg_run(p));
    static const int steps[4] = {6, 3, 0, 8};
    for (size_t i = 0; i < 4; i++) {
        cr_expect_eq(value_at(p, counts, i), steps[i]);
        cr_expect_eq(value_at(p, ys, i), ldexp(values[i], steps[i]));
    }
    rg_plan_free(p);
    rg_grad_check_report report;
    must(rg_grad_check(rg_add(last, rg_sum(rg_log(ys), RG_ALL_AXES, false)), RG_NODES(xs),
                       &(rg_grad_check_opts){.step = 1e-5, .tolerance = 1e-5}, &report));
    cr_expect(report.passed, "%s", report.text);
    rg_graph_free(g);
}

/* ---- branches ---- */

static rg_nodes log_branch(void *user, rg_nodes in)
{
    rg_node **out = user;
    out[0] = rg_log(in.at[0]);
    out[1] = rg_mul(in.at[1], in.at[0]);
    return (rg_nodes){out, 2};
}

static rg_nodes square_branch(void *user, rg_nodes in)
{
    rg_node **out = user;
    out[0] = rg_square(in.at[0]);
    out[1] = in.at[1];
    return (rg_nodes){out, 2};
}

static rg_nodes product_branch(void *user, rg_nodes in)
{
    rg_node **out = user;
    *out = rg_tanh(rg_matmul(in.at[0], in.at[1]));
    return (rg_nodes){out, 1};
}

static rg_nodes sine_branch(void *user, rg_nodes in)
{
    rg_node **out = user;
    *out = rg_sin(in.at[0]);
    return (rg_nodes){out, 1};
}

/* Threads that do not go into a loop, whose first step they share, do not meet in it: how often it goes round stays
   until all have looked. The number of the branch taken lies where that of the other lay. */
Test(loop, all_threads_pass_a_branch_that_is_not_taken, .timeout = 60)
{
    static const rg_machine eager = {.flop_ns = 1, .byte_ns = 1, .meeting_ns = 0, .share_ns = 1e-3};
    enum { N = 16, RUNS = 2000 };
    rg_graph *g = rg_graph_new(NULL);
    rg_node *x = rg_input(g, "x", RG_F64, RG_SHAPE(1, N)), *w = rg_input(g, "w", RG_F64, RG_SHAPE(N, N));
    rg_node *taken = rg_input(g, "taken", RG_BOOL, RG_SCALAR), *room;
    rg_node *fetch[] = {rg_at(rg_cond(taken, product_branch, sine_branch, &room, RG_NODES(x, w)), 0),
                        rg_softmax(rg_cumsum(w, 1, false), 1)};
    rg_plan *p = must_compile(g, (rg_nodes){fetch, 2}, &(rg_plan_opts){.threads = 2, .machine = &eager});
    double data[N * N];
    const bool no = false;
    for (int i = 0; i < N * N; i++)
        data[i] = 1e-3 * i;
    must(rg_bind(p, x, data));
    must(rg_bind(p, w, data));
    must(rg_bind(p, taken, &no));
    for (int k = 0; k < RUNS; k++)
        must(rg_run(p));
    cr_expect(close_to(value_at(p, fetch[0], 7), sin(data[7]), 1e-15));
    rg_plan_free(p);
    rg_graph_free(g);
}

Test(loop, one_branch_is_computed)
{
    rg_graph *g = rg_graph_new(NULL);
    rg_node *x = rg_input(g, "x", RG_F64, RG_SCALAR), *y = rg_input(g, "y", RG_F64, RG_SCALAR), *room[2];
    const rg_nodes out = rg_cond(rg_greater(x, rg_zeros_like(x)), log_branch, square_branch, room, RG_NODES(x, y));
    cr_assert_eq(out.n, 2, "%s", rg_graph_error(g));
    rg_node *f = rg_add(out.at[0], out.at[1]);
    const rg_nodes d = rg_grad(f, RG_NODES(x, y));
    rg_node *h = rg_at(rg_hvp(f, RG_NODES(x), RG_NODES(rg_ones_like(x))), 0);
    rg_node *t = rg_at(rg_jvp(RG_NODES(f), RG_NODES(x), RG_NODES(rg_ones_like(x))), 0);
    rg_plan *p = must_compile(g, RG_NODES(f, d.at[0], d.at[1], h, t), &(rg_plan_opts){.threads = 1});
    for (double at = -3; at < 4; at += 0.75) {
        const double other = 1.5;
        must(rg_bind(p, x, &at));
        must(rg_bind(p, y, &other));
        must(rg_run(p));
        const bool taken = at > 0;
        cr_expect(close_to(value_at(p, f, 0), taken ? log(at) + other * at : at * at + other, 1e-14), "%g", at);
        cr_expect(close_to(value_at(p, d.at[0], 0), taken ? 1 / at + other : 2 * at, 1e-14), "%g", at);
        cr_expect(close_to(value_at(p, d.at[1], 0), taken ? at : 1, 1e-14), "%g", at);
        cr_expect(close_to(value_at(p, h, 0), taken ? -1 / (at * at) : 2, 1e-14), "%g", at);
        cr_expect(close_to(value_at(p, t, 0), taken ? 1 / at + other : 2 * at, 1e-14), "%g", at);
    }
    rg_plan_free(p);
    rg_graph_free(g);
}

/* What both branches read is from outside of the loop that they stand in; which is taken is known in the loop alone. */
Test(loop, a_branch_in_a_scan_that_reads_nothing_of_it)
{
    enum { T = 4 };
    rg_graph *g = rg_graph_new(NULL);
    rg_node *xs = rg_input(g, "xs", RG_F64, RG_SHAPE(T)), *y = scalar_param(g, "y", 1.5), *room[2];
    rg_scan *s = rg_scan_begin(g, NULL);
    rg_node *x = rg_scan_slice(s, xs), *h = rg_scan_carry(s, y);
    const rg_nodes out = rg_cond(rg_greater(x, rg_zeros_like(x)), log_branch, square_branch, room, RG_NODES(y, y));
    cr_assert_eq(out.n, 2, "%s", rg_graph_error(g));
    rg_scan_next(s, h, rg_add(h, out.at[0])); /* log y or y y */
    rg_node *sum = rg_scan_last(s, h);
    rg_scan_end(s);
    rg_node *d = rg_at(rg_grad(sum, RG_NODES(y)), 0), *h2 = rg_at(rg_hvp(sum, RG_NODES(y), RG_NODES(y)), 0);
    must(rg_graph_check(g));
    rg_plan *p = must_compile(g, RG_NODES(sum, d, h2), &(rg_plan_opts){.threads = 1});
    const double data[T] = {1, -1, 1, 1};
    must(rg_bind(p, xs, data));
    must(rg_run(p));
    cr_expect(close_to(value_at(p, sum, 0), 1.5 + 3 * log(1.5) + 1.5 * 1.5, 1e-14));
    cr_expect(close_to(value_at(p, d, 0), 1 + 3 / 1.5 + 2 * 1.5, 1e-14));
    cr_expect(close_to(value_at(p, h2, 0), 1.5 * (2 - 3 / (1.5 * 1.5)), 1e-14));
    rg_plan_free(p);
    rg_graph_free(g);
}

enum { WIDE = 2048, DEEP = 10 };

static rg_nodes deep(rg_node *x, double by)
{
    static rg_node *out[1];
    for (int k = 0; k < DEEP; k++)
        x = rg_softmax(rg_mul(rg_sin(x), rg_exp(rg_scale(x, by * k))), 0);
    out[0] = x;
    return (rg_nodes){out, 1};
}

static rg_nodes deep_one(void *user, rg_nodes in)
{
    (void)user;
    return deep(in.at[0], 0.1);
}

static rg_nodes deep_other(void *user, rg_nodes in)
{
    (void)user;
    return deep(in.at[0], 0.2);
}

/* What the reverse pass keeps of two branches lies at one place; a plan that takes now the one and now the other is not
   confused by what stands there. On several threads too, and where a branch is gone through twice. */
Test(loop, branches_share_memory)
{
    rg_graph *g = rg_graph_new(NULL);
    rg_node *x = rg_param(g, "x", RG_F64, RG_SHAPE(WIDE), &(rg_param_opts){.init = RG_UNIFORM, .scale = 2});
    rg_node *go = rg_input(g, "go", RG_BOOL, RG_SCALAR), *loss[3], *d[3], *twice[3];
    const rg_nodes y[3] = {RG_NODES(deep_one(NULL, RG_NODES(x)).at[0]), RG_NODES(deep_other(NULL, RG_NODES(x)).at[0]),
                           rg_cond(go, deep_one, deep_other, NULL, RG_NODES(x))};
    for (int k = 0; k < 3; k++) {
        loss[k] = rg_sum(rg_square(rg_at(y[k], 0)), RG_ALL_AXES, false);
        d[k] = rg_at(rg_grad(loss[k], RG_NODES(x)), 0);
        twice[k] = rg_at(rg_hvp(loss[k], RG_NODES(x), RG_NODES(x)), 0);
    }
    rg_plan *p[3], *all[2];
    for (int k = 0; k < 3; k++)
        p[k] = must_compile(g, RG_NODES(loss[k], d[k]), &(rg_plan_opts){.threads = 1});
    for (int k = 0; k < 2; k++)
        all[k] = must_compile(g, RG_NODES(loss[0], d[0], twice[0], loss[1], d[1], twice[1], loss[2], d[2], twice[2]),
                              &(rg_plan_opts){.threads = 1 + 2 * k});
    for (int k = 0; k < 6; k++) {
        const bool taken = k % 3 == 0;
        must(rg_bind(p[2], go, &taken));
        must(rg_run(p[2]));
        must(rg_run(p[!taken]));
        for (int i = 0; i < 2; i++) {
            must(rg_bind(all[i], go, &taken));
            must(rg_run(all[i]));
        }
        for (size_t e = 0; e < WIDE; e++) {
            cr_assert_eq(value_at(p[2], d[2], e), value_at(p[!taken], d[!taken], e));
            for (int i = 0; i < 2; i++) {
                cr_assert_eq(value_at(all[i], d[2], e), value_at(all[i], d[!taken], e));
                cr_assert(close_to(value_at(all[i], twice[2], e), value_at(all[i], twice[!taken], e), 1e-12));
            }
        }
    }
    const size_t one = rg_plan_bytes(p[0]), both = rg_plan_bytes(p[2]);
    cr_expect(both * 10 < one * 12, "%zu bytes for one branch, %zu for one of two", one, both);
    for (int k = 0; k < 3; k++)
        rg_plan_free(p[k]);
    for (int k = 0; k < 2; k++)
        rg_plan_free(all[k]);
    rg_graph_free(g);
}

static rg_nodes one_result(void *user, rg_nodes in)
{
    (void)user;
    static rg_node *out;
    out = in.at[0];
    return (rg_nodes){&out, 1};
}

Test(loop, bad_use_is_named)
{
    rg_graph *g = rg_graph_new(NULL);
    rg_node *x = rg_input(g, "x", RG_F64, RG_SHAPE(2)), *room[2], *go = rg_input(g, "go", RG_BOOL, RG_SCALAR);
    cr_expect_eq(rg_cond(x, log_branch, square_branch, room, RG_NODES(x, x)).n, 0);
    cr_expect(strstr(rg_graph_error(g), "bool scalar"), "%s", rg_graph_error(g));
    rg_graph_clear_error(g);
    cr_expect_eq(rg_cond(go, log_branch, one_result, room, RG_NODES(x, x)).n, 0);
    cr_expect(strstr(rg_graph_error(g), "2 results, the other 1"), "%s", rg_graph_error(g));
    rg_graph_clear_error(g);
    rg_scan *s = rg_while_begin(g, &(rg_while_opts){.name = "again"});
    cr_expect_null(rg_scan_slice(s, x));
    cr_expect(strstr(rg_graph_error(g), "'again'"), "%s", rg_graph_error(g));
    rg_graph_clear_error(g);
    rg_node *h = rg_scan_carry(s, x);
    rg_while_test(s, h);
    cr_expect(strstr(rg_graph_error(g), "bool scalar"), "%s", rg_graph_error(g));
    rg_graph_clear_error(g);
    rg_scan_next(s, h, h);
    cr_expect_null(rg_scan_stack(s, h));
    cr_expect(strstr(rg_graph_error(g), "rg_scan_last"), "%s", rg_graph_error(g));
    rg_graph_clear_error(g);
    rg_scan_end(s);
    cr_expect(strstr(rg_graph_error(g), "rg_while_test"), "%s", rg_graph_error(g));
    rg_graph_clear_error(g);
    cr_expect_null(rg_while_begin(g, &(rg_while_opts){.max_iter = -1}));
    rg_graph_free(g);
}

/* ---- many examples at once ---- */

Test(loop, jacobians_through_loops_branches_and_scans)
{
    rg_graph *g = rg_graph_new(NULL);
    rg_node *x = rg_param(g, "x", RG_F64, RG_SHAPE(3), NULL), *room[2];
    const double values[3] = {3, 20, 0.5};
    must(rg_set(x, &(rg_tensor){RG_F64, RG_SHAPE(3), (void *)values, NULL}));
    rg_scan *s = rg_scan_begin(g, NULL);
    rg_node *each = rg_scan_slice(s, x), *h = rg_scan_carry(s, rg_scalar(g, RG_F64, 1));
    rg_node *y = doubled(each, 100, 12, NULL);
    const rg_nodes out = rg_cond(less(each, 10), log_branch, square_branch, room, RG_NODES(each, h));
    rg_node *next = rg_add(rg_tanh(rg_add(h, out.at[0])), rg_scale(y, 0.01));
    rg_scan_next(s, h, next);
    rg_node *ys = rg_scan_stack(s, next);
    rg_scan_end(s);
    rg_node *j = rg_jacobian(ys, x), *hessian = rg_hessian(rg_sum(rg_square(ys), RG_ALL_AXES, false), x);
    cr_assert(hessian, "%s", rg_graph_error(g));
    rg_node *columns[3], *hcolumns[3];
    for (int k = 0; k < 3; k++) {
        double unit[3] = {0};
        unit[k] = 1;
        rg_node *u = rg_const(g, RG_F64, RG_SHAPE(3), unit);
        columns[k] = rg_at(rg_jvp(RG_NODES(ys), RG_NODES(x), RG_NODES(u)), 0);
        hcolumns[k] = rg_at(rg_hvp(rg_sum(rg_square(ys), RG_ALL_AXES, false), RG_NODES(x), RG_NODES(u)), 0);
    }
    rg_plan *p =
        must_compile(g, RG_NODES(j, hessian, columns[0], columns[1], columns[2], hcolumns[0], hcolumns[1], hcolumns[2]),
                     &(rg_plan_opts){.threads = 1});
    must(rg_run(p));
    for (size_t i = 0; i < 3; i++)
        for (size_t k = 0; k < 3; k++) {
            cr_expect(close_to(value_at(p, j, 3 * i + k), value_at(p, columns[k], i), 1e-13), "J[%zu, %zu]", i, k);
            cr_expect(close_to(value_at(p, hessian, 3 * i + k), value_at(p, hcolumns[k], i), 1e-11), "H[%zu, %zu]", i,
                      k);
        }
    rg_plan_free(p);
    rg_graph_free(g);
}

/* Per-example gradients: a scan without carries over examples, with a loop whose steps differ among them. */
Test(loop, gradients_of_each_example)
{
    rg_graph *g = rg_graph_new(NULL);
    rg_node *w = scalar_param(g, "w", 1.3), *xs = rg_param(g, "xs", RG_F64, RG_SHAPE(4), NULL);
    const double values[4] = {3, 20, 150, 0.5};
    must(rg_set(xs, &(rg_tensor){RG_F64, RG_SHAPE(4), (void *)values, NULL}));
    rg_scan *s = rg_scan_begin(g, &(rg_scan_opts){.name = "examples"});
    rg_node *x = rg_scan_slice(s, xs);
    rg_node *loss = rg_log(doubled(rg_mul(x, w), 100, 12, NULL));
    rg_node *d = rg_at(rg_grad(loss, RG_NODES(w)), 0);
    rg_node *ds = rg_scan_stack(s, d);
    rg_scan_end(s);
    rg_plan *p = must_compile(g, RG_NODES(ds), &(rg_plan_opts){.threads = 1});
    must(rg_run(p));
    for (size_t i = 0; i < 4; i++)
        cr_expect(close_to(value_at(p, ds, i), 1 / 1.3, 1e-14), "%g", value_at(p, ds, i));
    rg_plan_free(p);
    rg_graph_free(g);
}
