/* test_effects.c - assigns: what reads see, in which order they are performed, and who sees the results. */
#include "must.h"

static const rg_plan_opts alone = {.threads = 1};

static rg_node *scalar(rg_graph *g, const char *name, double value)
{
    rg_node *p = rg_param(g, name, RG_F64, RG_SCALAR, &(rg_param_opts){.init = RG_ZEROS});
    set_scalar(p, value);
    return p;
}

Test(effects, reads_see_the_value_from_before_the_run)
{
    rg_graph *g = rg_graph_new(NULL);
    rg_node *a = scalar(g, "a", 1), *step = rg_assign(a, rg_add_scalar(a, 1)), *later = rg_scale(a, 10);
    rg_plan *p = must_compile(g, RG_NODES(step, later, a), &alone);
    for (int i = 1; i <= 3; i++) {
        must(rg_run(p));
        cr_expect_eq(value_at(p, a, 0), i, "a fetched parameter is its value before the run");
        cr_expect_eq(value_at(p, later, 0), 10 * i);
        cr_expect_eq(stored_at(a, 0), i + 1);
    }
    rg_plan_free(p);
    rg_graph_free(g);
}

Test(effects, swap)
{
    rg_graph *g = rg_graph_new(NULL);
    rg_node *a = scalar(g, "a", 1), *b = scalar(g, "b", 2), *to_a = rg_assign(a, b), *to_b = rg_assign(b, a);
    rg_plan *p = must_compile(g, RG_NODES(to_a, to_b), &alone);
    must(rg_run(p));
    cr_expect_eq(stored_at(a, 0), 2);
    cr_expect_eq(stored_at(b, 0), 1);
    must(rg_run(p));
    cr_expect_eq(stored_at(a, 0), 1);
    rg_plan_free(p);
    rg_graph_free(g);
}

/* Large enough that an update in place would be tempting. */
Test(effects, rotation_of_three_large_buffers)
{
    enum { N = 5000 };
    rg_graph *g = rg_graph_new(NULL);
    rg_node *x[3], *step[3];
    const char *const names[3] = {"a", "b", "c"};
    static float values[3][N];
    for (int k = 0; k < 3; k++) {
        x[k] = rg_buffer(g, names[k], RG_F32, RG_SHAPE(N), NULL);
        for (int i = 0; i < N; i++)
            values[k][i] = (float)(k * N + i);
        must(rg_set(x[k], &(rg_tensor){.dtype = RG_F32, .shape = RG_SHAPE(N), .data = values[k]}));
    }
    for (int k = 0; k < 3; k++)
        step[k] = rg_assign(x[k], k == 1 ? rg_add_scalar(x[(k + 1) % 3], 1) : x[(k + 1) % 3]);
    rg_plan *p = must_compile(g, (rg_nodes){step, 3}, &alone);
    must(rg_run(p));
    for (int i = 0; i < N; i++) {
        cr_assert_eq(stored_at(x[0], (size_t)i), values[1][i]);
        cr_assert_eq(stored_at(x[1], (size_t)i), values[2][i] + 1);
        cr_assert_eq(stored_at(x[2], (size_t)i), values[0][i]);
    }
    rg_plan_free(p);
    rg_graph_free(g);
}

Test(effects, latest_chains)
{
    rg_graph *g = rg_graph_new(NULL);
    rg_node *a = scalar(g, "a", 3);
    cr_expect_eq(rg_latest(a), a);
    rg_node *first = rg_assign(a, rg_scale(a, 2)), *seen = rg_latest(a);
    rg_node *second = rg_assign(a, rg_add_scalar(seen, 1)), *last = rg_scale(rg_latest(a), 100);
    rg_plan *p = must_compile(g, RG_NODES(first, second, last, a), &alone);
    must(rg_run(p));
    cr_expect_eq(stored_at(a, 0), 7);
    cr_expect_eq(value_at(p, last, 0), 700);
    cr_expect_eq(value_at(p, a, 0), 3);
    must(rg_run(p));
    cr_expect_eq(stored_at(a, 0), 15);
    rg_plan_free(p);
    rg_plan *only = must_compile(g, RG_NODES(second), &alone);
    must(rg_run(only));
    cr_expect_eq(stored_at(a, 0), 31, "the chain is computed, the last value is stored");
    rg_plan_free(only);
    rg_graph_free(g);
}

Test(effects, conflicting_assigns_are_refused)
{
    rg_graph *g = rg_graph_new(NULL);
    rg_node *a = scalar(g, "a", 3), *one = rg_assign(a, rg_scale(a, 2)), *other = rg_assign(a, rg_add_scalar(a, 1));
    cr_expect_null(rg_compile(g, RG_NODES(one, other), &alone));
    cr_assert(rg_graph_error(g));
    cr_expect(strstr(rg_graph_error(g), "a") && strstr(rg_graph_error(g), "assign"), "%s", rg_graph_error(g));
    rg_plan *p = rg_compile(g, RG_NODES(other), &alone);
    cr_assert(p, "one of them alone is fine: %s", rg_graph_error(g));
    must(rg_run(p));
    cr_expect_eq(stored_at(a, 0), 4);
    rg_plan_free(p);
    rg_graph_free(g);
}

Test(effects, groups)
{
    rg_graph *g = rg_graph_new(NULL);
    rg_node *a = scalar(g, "a", 1), *b = scalar(g, "b", 2);
    rg_node *both = rg_group(g, RG_NODES(rg_assign(a, rg_add_scalar(a, 1)), rg_assign(b, rg_add_scalar(a, 10))));
    rg_node *outer = rg_group(g, RG_NODES(both, rg_square(a)));
    rg_plan *p = must_compile(g, RG_NODES(outer), &alone);
    must(rg_run(p));
    cr_expect_eq(stored_at(a, 0), 2);
    cr_expect_eq(stored_at(b, 0), 11);
    rg_plan_free(p);
    rg_graph_free(g);
}

Test(effects, attached_effects_follow_optimiser_steps)
{
    rg_graph *g = rg_graph_new(NULL);
    rg_node *x = rg_input(g, "x", RG_F64, RG_SCALAR), *w = scalar(g, "w", 1);
    rg_node *seen = rg_buffer(g, "seen", RG_F64, RG_SCALAR, NULL), *y = rg_mul(x, w);
    rg_attach(y, rg_assign(seen, rg_add(seen, y)));
    rg_node *loss = rg_square(y), *step = rg_sgd(loss, &(rg_sgd_opts){.lr = 0.1, .params = RG_NODES(w)});
    rg_plan *look = must_compile(g, RG_NODES(loss), &alone), *train = must_compile(g, RG_NODES(loss, step), &alone);
    const double at = 2;
    must(rg_bind(look, x, &at));
    must(rg_bind(train, x, &at));
    must(rg_run(look));
    cr_expect_eq(stored_at(seen, 0), 0, "a plan that fetches no step runs no attached effect");
    must(rg_run(train));
    cr_expect_eq(stored_at(seen, 0), 2);
    cr_expect(close_to(stored_at(w, 0), 1 - 0.1 * 2 * 2 * 2, 1e-6));
    rg_plan_free(look);
    rg_plan_free(train);
    rg_graph_free(g);
}

Test(effects, parameters_of_two_plans)
{
    rg_graph *g = rg_graph_new(NULL);
    rg_node *w = scalar(g, "w", 5), *step = rg_assign(w, rg_scale(w, 2)), *y = rg_neg(w);
    rg_plan *writer = must_compile(g, RG_NODES(step), &alone), *reader = must_compile(g, RG_NODES(y), &alone);
    must(rg_run(reader));
    cr_expect_eq(value_at(reader, y, 0), -5);
    must(rg_run(writer));
    must(rg_run(reader));
    cr_expect_eq(value_at(reader, y, 0), -10);
    set_scalar(w, 1);
    must(rg_run(reader));
    cr_expect_eq(value_at(reader, y, 0), -1);
    rg_plan_free(writer);
    rg_plan_free(reader);
    rg_graph_free(g);
}

Test(effects, snapshots_and_forks_have_private_parameters)
{
    rg_graph *g = rg_graph_new(NULL);
    rg_node *w = scalar(g, "w", 5), *step = rg_assign(w, rg_add_scalar(w, 1)), *y = rg_neg(w);
    rg_plan *frozen = must_compile(g, RG_NODES(y), &(rg_plan_opts){.threads = 1, .snapshot = true});
    rg_plan *writer = must_compile(g, RG_NODES(step, y), &alone), *fork = rg_plan_fork(writer);
    cr_assert(fork);
    must(rg_run(writer));
    cr_expect_eq(stored_at(w, 0), 6);
    must(rg_run(frozen));
    cr_expect_eq(value_at(frozen, y, 0), -5, "the snapshot's value");
    must(rg_plan_refresh(frozen));
    must(rg_run(frozen));
    cr_expect_eq(value_at(frozen, y, 0), -6);
    for (int i = 0; i < 3; i++)
        must(rg_run(fork));
    cr_expect_eq(stored_at(w, 0), 6, "a fork of a plan with effects writes its own");
    cr_expect_eq(value_at(fork, y, 0), -7, "reads 5, then 6, then 7");
    must(rg_plan_refresh(fork));
    must(rg_run(fork));
    cr_expect_eq(value_at(fork, y, 0), -6);
    rg_plan_free(frozen);
    rg_plan_free(writer);
    rg_plan_free(fork);
    rg_graph_free(g);
}

/* A parameter whose old value is read by a later step of the plan, through views and slices. */
Test(effects, views_of_the_old_value_survive_the_update)
{
    rg_graph *g = rg_graph_new(NULL);
    rg_node *w = rg_param(g, "w", RG_F32, RG_SHAPE(2, 3), &(rg_param_opts){.init = RG_ONES});
    rg_node *flat = rg_reshape(w, RG_SHAPE(6)), *row = rg_slice(w, 0, 1, 2), *step = rg_assign(w, rg_add_scalar(w, 1));
    rg_plan *p = must_compile(g, RG_NODES(step, flat, row, w), &alone);
    for (int i = 1; i <= 2; i++) {
        must(rg_run(p));
        cr_expect_eq(value_at(p, flat, 5), i);
        cr_expect_eq(value_at(p, row, 2), i);
        cr_expect_eq(value_at(p, w, 0), i);
        cr_expect_eq(stored_at(w, 5), i + 1);
    }
    rg_plan_free(p);
    rg_graph_free(g);
}
