/* test_jacobian.c - Jacobians and Hessians against their formulas, in both modes. */
#include "must.h"

#include <stdlib.h>

/* A parameter with values that are not regular. */
static rg_node *irregular(rg_graph *g, const char *name, rg_shape shape)
{
    rg_node *p = rg_param(g, name, RG_F64, shape, &(rg_param_opts){.init = RG_UNIFORM, .scale = 1});
    cr_assert(p, "%s", rg_graph_error(g));
    return p;
}

static void expect_near(rg_plan *p, rg_node *node, size_t i, double want)
{
    const double got = value_at(p, node, i);
    cr_expect(fabs(got - want) <= 1e-12 * fmax(1, fabs(want)), "element %zu is %.17g, not %.17g", i, got, want);
}

/* y = tanh(W x): dy_i / dx_j = (1 - y_i^2) W_ij, and dy_i / dW_kj = (i == k) (1 - y_i^2) x_j. More outputs than inputs
   is forward mode, fewer is reverse mode. */
static void layer(int64_t rows, int64_t columns)
{
    rg_graph *g = rg_graph_new(NULL);
    rg_node *w = irregular(g, "w", RG_SHAPE(rows, columns)), *x = irregular(g, "x", RG_SHAPE(columns));
    rg_node *y = rg_tanh(rg_matmul(w, x)), *by_x = rg_jacobian(y, x), *by_w = rg_jacobian(y, w);
    cr_assert(by_x && by_w, "%s", rg_graph_error(g));
    cr_expect(rg_shape_equal(rg_shape_of(by_x), RG_SHAPE(rows, columns)));
    cr_expect(rg_shape_equal(rg_shape_of(by_w), RG_SHAPE(rows, rows, columns)));
    rg_plan *p = must_compile(g, RG_NODES(y, by_x, by_w), NULL);
    must(rg_run(p));
    for (int64_t i = 0; i < rows; i++) {
        const double yi = value_at(p, y, (size_t)i), slope = 1 - yi * yi;
        for (int64_t j = 0; j < columns; j++) {
            expect_near(p, by_x, (size_t)(i * columns + j), slope * stored_at(w, (size_t)(i * columns + j)));
            for (int64_t k = 0; k < rows; k++)
                expect_near(p, by_w, (size_t)((i * rows + k) * columns + j),
                            i == k ? slope * stored_at(x, (size_t)j) : 0);
        }
    }
    rg_plan_free(p);
    rg_graph_free(g);
}

Test(jacobian, forward_mode)
{
    layer(7, 3);
}

Test(jacobian, reverse_mode)
{
    layer(3, 7);
}

Test(jacobian, one_of_each)
{
    layer(1, 1);
}

/* Through softmax: dp_i / dx_j = p_i ((i == j) - p_j), for every row; other rows do not matter. */
Test(jacobian, rows)
{
    rg_graph *g = rg_graph_new(NULL);
    rg_node *x = irregular(g, "x", RG_SHAPE(2, 4)), *y = rg_softmax(x, 1), *d = rg_jacobian(y, x);
    cr_assert(d, "%s", rg_graph_error(g));
    cr_expect(rg_shape_equal(rg_shape_of(d), RG_SHAPE(2, 4, 2, 4)));
    rg_plan *p = must_compile(g, RG_NODES(y, d), NULL);
    must(rg_run(p));
    for (size_t i = 0; i < 8; i++)
        for (size_t j = 0; j < 8; j++)
            expect_near(p, d, i * 8 + j, i / 4 == j / 4 ? value_at(p, y, i) * ((i == j) - value_at(p, y, j)) : 0);
    rg_plan_free(p);
    rg_graph_free(g);
}

/* Rosenbrock: sum of 100 (x[i+1] - x[i]^2)^2 + (1 - x[i])^2. */
Test(jacobian, hessian_of_rosenbrock)
{
    enum { N = 6 };
    rg_graph *g = rg_graph_new(NULL);
    rg_node *x = irregular(g, "x", RG_SHAPE(N)), *head = rg_slice(x, 0, 0, N - 1), *tail = rg_slice(x, 0, 1, RG_END);
    rg_node *loss = rg_sum(
        rg_add(rg_scale(rg_square(rg_sub(tail, rg_square(head))), 100), rg_square(rg_sub(rg_ones_like(head), head))),
        RG_ALL_AXES, false);
    rg_node *h = rg_hessian(loss, x);
    cr_assert(h, "%s", rg_graph_error(g));
    rg_plan *p = must_compile(g, RG_NODES(h), NULL);
    must(rg_run(p));
    for (size_t i = 0; i < N; i++)
        for (size_t j = 0; j < N; j++) {
            const double a = stored_at(x, i), next = i + 1 < N ? stored_at(x, i + 1) : 0;
            double want = 0;
            if (i == j)
                want = (i + 1 < N ? 1200 * a * a - 400 * next + 2 : 0) + (i > 0 ? 200 : 0);
            else if (i + 1 == j || j + 1 == i)
                want = -400 * stored_at(x, i < j ? i : j);
            expect_near(p, h, i * N + j, want);
        }
    rg_plan_free(p);
    rg_graph_free(g);
}

/* Sizes that come with the data: the Jacobian has the name of the axis twice. */
Test(jacobian, named_sizes)
{
    rg_graph *g = rg_graph_new(NULL);
    rg_node *x = rg_input(g, "x", RG_F64, RG_SHAPE(rg_dim(g, "n"))), *e = rg_exp(x);
    rg_node *y = rg_mul(e, rg_sum(x, RG_ALL_AXES, false)), *d = rg_jacobian(y, x);
    cr_assert(d, "%s", rg_graph_error(g));
    rg_plan *p = must_compile(g, RG_NODES(e, d), NULL);
    const double data[5] = {0.1, -0.4, 0.3, 0.7, -1.1};
    for (int64_t n = 5; n >= 0; n -= 2) {
        must(rg_bind_shape(p, x, data, RG_SHAPE(n)));
        must(rg_run(p));
        double sum = 0;
        for (int64_t i = 0; i < n; i++)
            sum += data[i];
        for (size_t i = 0; i < (size_t)n; i++)
            for (size_t j = 0; j < (size_t)n; j++)
                expect_near(p, d, i * (size_t)n + j, value_at(p, e, i) * (1 + (i == j ? sum : 0)));
    }
    rg_plan_free(p);
    rg_graph_free(g);
}

Test(jacobian, of_itself_and_of_nothing)
{
    rg_graph *g = rg_graph_new(NULL);
    rg_node *x = irregular(g, "x", RG_SHAPE(3)), *other = irregular(g, "other", RG_SHAPE(2));
    rg_node *same = rg_jacobian(x, x), *none = rg_jacobian(x, other),
            *linear = rg_hessian(rg_sum(x, RG_ALL_AXES, false), x);
    cr_assert(same && none && linear, "%s", rg_graph_error(g));
    cr_expect(rg_shape_equal(rg_shape_of(none), RG_SHAPE(3, 2)));
    rg_plan *p = must_compile(g, RG_NODES(same, none, linear), NULL);
    must(rg_run(p));
    for (size_t i = 0; i < 9; i++) {
        expect_near(p, same, i, i % 4 == 0);
        expect_near(p, linear, i, 0);
    }
    for (size_t i = 0; i < 6; i++)
        expect_near(p, none, i, 0);
    rg_plan_free(p);
    rg_graph_free(g);
}

/* h' = tanh(x + U h + sum of an inner scan over x and h, w), beside a carry that nothing of x or U reaches; by a scan
   or step by step. */
static void recurrence(rg_node *xs, rg_node *u, bool scan, rg_node **states, rg_node **last)
{
    enum { STEPS = 3 };
    rg_graph *g = rg_graph_of(xs);
    rg_node *h = rg_zeros(g, RG_F64, RG_SHAPE(2)), *q = rg_ones(g, RG_F64, RG_SHAPE(2)), *all[STEPS];
    rg_scan *s = scan ? rg_scan_begin(g, NULL) : NULL;
    rg_node *c = scan ? rg_scan_carry(s, h) : h, *d = scan ? rg_scan_carry(s, q) : q;
    for (int t = 0; t < (scan ? 1 : STEPS); t++) {
        rg_node *x = scan ? rg_scan_slice(s, xs) : rg_squeeze(rg_slice(xs, 0, t, t + 1), 0), *inner;
        if (scan) {
            rg_scan *in = rg_scan_begin(g, NULL);
            rg_node *one = rg_scan_slice(in, rg_mul(x, d)), *sum = rg_scan_carry(in, rg_sum(c, RG_AXES(0), false));
            rg_scan_next(in, sum, rg_sin(rg_add(sum, one)));
            inner = rg_scan_last(in, sum);
            rg_scan_end(in);
        } else {
            inner = rg_sum(c, RG_AXES(0), false);
            for (int k = 0; k < 2; k++)
                inner = rg_sin(rg_add(inner, rg_squeeze(rg_slice(rg_mul(x, d), 0, k, k + 1), 0)));
        }
        rg_node *next = rg_tanh(rg_add(rg_add(x, rg_matmul(u, c)), inner)), *other = rg_scale(d, 0.5);
        all[t] = next;
        if (scan) {
            rg_scan_next(s, c, next);
            rg_scan_next(s, d, other);
        } else {
            c = next;
            d = other;
        }
    }
    *states = scan ? rg_scan_stack(s, all[0]) : rg_stack((rg_nodes){all, STEPS}, 0);
    *last = scan ? rg_scan_last(s, c) : c;
    if (scan)
        rg_scan_end(s);
}

Test(jacobian, of_a_recurrence)
{
    rg_graph *g = rg_graph_new(NULL);
    rg_node *xs = irregular(g, "xs", RG_SHAPE(3, 2)), *u = irregular(g, "u", RG_SHAPE(2, 2)), *fetch[2][5];
    for (int k = 0; k < 2; k++) {
        rg_node *states, *last;
        recurrence(xs, u, k == 0, &states, &last);
        fetch[k][0] = rg_jacobian(last, xs);  /* reverse mode */
        fetch[k][1] = rg_jacobian(states, u); /* forward mode */
        fetch[k][2] = rg_jacobian(states, xs);
        fetch[k][3] = rg_hessian(rg_sum(rg_square(states), RG_ALL_AXES, false), u);
        fetch[k][4] = rg_hessian(rg_sum(rg_sin(last), RG_ALL_AXES, false), xs);
        for (int i = 0; i < 5; i++)
            cr_assert(fetch[k][i], "%s", rg_graph_error(g));
    }
    must(rg_graph_check(g));
    rg_plan *p = must_compile(g, (rg_nodes){fetch[0], 5}, NULL), *q = must_compile(g, (rg_nodes){fetch[1], 5}, NULL);
    must(rg_run(p));
    must(rg_run(q));
    for (int i = 0; i < 5; i++)
        for (int64_t k = 0; k < rg_shape_count(rg_shape_of(fetch[1][i])); k++)
            expect_near(p, fetch[0][i], (size_t)k, value_at(q, fetch[1][i], (size_t)k));
    rg_plan_free(p);
    rg_plan_free(q);
    rg_graph_free(g);
}

static void refused(rg_graph *g, const rg_node *node, rg_status status, const char *const words[])
{
    cr_assert(!node && rg_graph_error(g));
    cr_expect_eq(rg_graph_status(g), status, "%s", rg_graph_error(g));
    for (size_t i = 0; words[i]; i++)
        cr_expect(strstr(rg_graph_error(g), words[i]), "\"%s\" is missing in: %s", words[i], rg_graph_error(g));
    rg_graph_clear_error(g);
}

/* The identity, said by an op that has no batching rule. */
static void vjp_alone(rg_node *self, rg_node *const ct[], rg_node *grad[])
{
    grad[0] = rg_apply(rg_op_of(self), RG_NODES(ct[0]), NULL);
}

static rg_status run_alone(const rg_step *s, size_t lo, size_t hi)
{
    (void)lo, (void)hi;
    memcpy(s->out[0], s->in[0], sizeof(double) * (size_t)rg_shape_count(s->in_type[0].shape));
    return RG_OK;
}

static const rg_op alone = {.name = "alone",
                            .n_in = 1,
                            .n_out = 1,
                            .dtypes = RG_DT_FLOATS,
                            .infer = rg_infer_same,
                            .vjp = vjp_alone,
                            .run = run_alone};

/* What has no rule is done in a loop, which the plan names; in the body of a recurrence too. */
Test(jacobian, ops_without_a_batching_rule)
{
    rg_graph *g = rg_graph_new(NULL);
    rg_node *x = irregular(g, "x", RG_SHAPE(4)), *y = rg_apply(&alone, RG_NODES(rg_sin(x)), NULL);
    rg_node *d = rg_jacobian(y, x), *h = rg_hessian(rg_sum(rg_square(y), RG_ALL_AXES, false), x);
    rg_scan *s = rg_scan_begin(g, NULL);
    (void)rg_scan_slice(s, rg_zeros(g, RG_F64, RG_SHAPE(3)));
    rg_node *c = rg_scan_carry(s, x);
    rg_scan_next(s, c, rg_apply(&alone, RG_NODES(rg_scale(c, 0.5)), NULL));
    rg_node *last = rg_scan_last(s, c);
    rg_scan_end(s);
    rg_node *through = rg_jacobian(last, x);
    cr_assert(d && h && through, "%s", rg_graph_error(g));
    rg_plan *p = must_compile(g, RG_NODES(d, h, through), NULL);
    must(rg_run(p));
    for (size_t i = 0; i < 4; i++)
        for (size_t j = 0; j < 4; j++) {
            const double xi = stored_at(x, i);
            expect_near(p, d, 4 * i + j, i == j ? cos(xi) : 0);
            expect_near(p, h, 4 * i + j, i == j ? 2 * cos(2 * xi) : 0);
            expect_near(p, through, 4 * i + j, i == j ? 0.125 : 0);
        }
    char *text = rg_plan_dump(p);
    cr_expect(text && strstr(text, "loop 'alone'") && strstr(text, "for want of a batching rule"), "%s", text);
    rg_text_free(text);
    rg_plan_free(p);
    rg_graph_free(g);
}

Test(jacobian, bad_input)
{
    rg_graph *g = rg_graph_new(NULL);
    rg_node *x = irregular(g, "x", RG_SHAPE(2, 2)), *whole = rg_input(g, "whole", RG_I64, RG_SHAPE(2));
    refused(g, rg_jacobian(whole, x), RG_ERR_GRADIENT, (const char *const[]){"rg_jacobian", "whole", "i64[2]", NULL});
    refused(g, rg_hessian(x, x), RG_ERR_GRADIENT, (const char *const[]){"rg_grad", "scalar", "[2, 2]", NULL});
    rg_node *many = rg_reshape(x, RG_SHAPE(1, 1, 1, 1, 1, 2, 2));
    refused(g, rg_jacobian(many, x), RG_ERR_SHAPE, (const char *const[]){"7 axes", "'x'", "8", NULL});
    refused(g, rg_jacobian(NULL, x), RG_ERR_ARGUMENT, (const char *const[]){"rg_jacobian", "NULL", NULL});
    rg_graph_free(g);
}
