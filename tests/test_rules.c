/* test_rules.c - what steers derivatives: rules of one's own, parts computed again, and what is made of derivatives:
   explanations; and the check of a plan for NaN and infinity. */
#include "must.h"

static rg_node *total(rg_node *x)
{
    return rg_sum(x, RG_ALL_AXES, false);
}

static rg_node *values(rg_graph *g, const char *name, rg_shape shape, const double *data)
{
    rg_node *p = rg_param(g, name, RG_F64, shape, NULL);
    must(rg_set(p, &(rg_tensor){RG_F64, shape, (void *)(uintptr_t)data, NULL}));
    return p;
}

/* ---- rules of one's own ---- */

static rg_nodes straight_through(void *user, rg_node *ct, rg_node *y, rg_nodes xs)
{
    static rg_node *out;
    (void)user, (void)y, (void)xs;
    out = ct;
    return (rg_nodes){&out, 1};
}

Test(rules, straight_through_estimator)
{
    static const double at[3] = {0.4, 1.6, -2.3}, along[3] = {1, 10, 100};
    rg_graph *g = rg_graph_new(NULL);
    rg_node *x = values(g, "x", RG_SHAPE(3), at), *t = values(g, "t", RG_SHAPE(3), along);
    rg_node *y = rg_custom(rg_round(x), RG_NODES(x), &(rg_custom_opts){.vjp = straight_through});
    rg_node *f = total(rg_square(y)), *d = rg_at(rg_grad(f, RG_NODES(x)), 0);
    rg_node *j = rg_at(rg_jvp(RG_NODES(y), RG_NODES(x), RG_NODES(t)), 0);
    rg_plan *p = must_compile(g, RG_NODES(f, d, j, y), &(rg_plan_opts){.threads = 1});
    must(rg_run(p));
    cr_expect_eq(value_at(p, f, 0), 0 + 4 + 4);
    for (size_t i = 0; i < 3; i++) {
        cr_expect_eq(value_at(p, y, i), rint(at[i]));
        cr_expect_eq(value_at(p, d, i), 2 * rint(at[i]));
        cr_expect_eq(value_at(p, j, i), along[i], "the forward rule is the transpose of the other");
    }
    rg_plan_free(p);
    rg_graph_free(g);
}

/* y = sqrt(x) found by a loop; dy = dx / (2 y), whatever the loop does. */
static rg_node *implicit(void *user, rg_nodes tangents, rg_node *y, rg_nodes xs)
{
    (void)xs;
    ++*(int *)user;
    return rg_div(rg_scale(tangents.at[0], 0.5), y);
}

static rg_node *newton(rg_node *a)
{
    rg_graph *g = rg_graph_of(a);
    rg_scan *s = rg_while_begin(g, NULL);
    rg_node *h = rg_scan_carry(s, rg_add_scalar(a, 1)), *next = rg_scale(rg_add(h, rg_div(a, h)), 0.5);
    rg_while_test(s, rg_less(next, h));
    rg_scan_next(s, h, next);
    rg_node *y = rg_scan_last(s, h);
    rg_scan_end(s);
    return y;
}

Test(rules, an_implicit_derivative_passes_the_certificate)
{
    int called = 0;
    rg_graph *g = rg_graph_new(NULL);
    rg_node *x = rg_param(g, "x", RG_F64, RG_SCALAR, NULL);
    set_scalar(x, 2);
    rg_node *y = rg_custom(newton(x), RG_NODES(x), &(rg_custom_opts){.jvp = implicit, .user = &called});
    rg_grad_check_report report;
    must(rg_grad_check(rg_mul(rg_sin(y), x), RG_NODES(x), NULL, &report));
    cr_expect(report.passed && called > 0, "%s", report.text);
    cr_expect_eq(rg_custom(y, RG_NODES(x), NULL), NULL);
    cr_expect(strstr(rg_graph_error(g), "neither"), "%s", rg_graph_error(g));
    rg_graph_free(g);
}

static rg_nodes twice_as_much(void *user, rg_node *ct, rg_node *y, rg_nodes xs)
{
    static rg_node *out;
    (void)user, (void)y, (void)xs;
    out = rg_scale(ct, 2);
    return (rg_nodes){&out, 1};
}

Test(rules, a_wrong_rule_of_ones_own_fails_the_certificate)
{
    rg_graph *g = rg_graph_new(NULL);
    rg_node *x = rg_param(g, "x", RG_F64, RG_SCALAR, NULL);
    set_scalar(x, 2);
    rg_node *y = rg_custom(rg_sin(x), RG_NODES(x), &(rg_custom_opts){.vjp = twice_as_much});
    rg_grad_check_report report;
    must(rg_grad_check(y, RG_NODES(x), NULL, &report));
    cr_expect(!report.passed, "%s", report.text);
    rg_graph_free(g);
}

/* ---- parts computed again ---- */

enum { ROWS = 64, WIDTH = 64, LAYERS = 12 };

/* Layers in pairs, each of which may be computed again; draws too, and a recurrence in one. */
static rg_node *network(rg_graph *g, bool again)
{
    rg_node *h = rg_param(g, "h", RG_F64, RG_SHAPE(ROWS, WIDTH), &(rg_param_opts){.init = RG_NORMAL, .scale = 1});
    for (int k = 0; k < LAYERS; k++) {
        char name[8];
        snprintf(name, sizeof name, "w%d", k);
        rg_node *w = rg_param(g, name, RG_F64, RG_SHAPE(WIDTH, WIDTH), NULL);
        if (again && k % 4 == 0)
            rg_checkpoint_push(g);
        h = rg_gelu(rg_matmul(h, w));
        h = rg_where(rg_less(rg_uniform_like(h), rg_full_like(h, 0.9)), h, rg_zeros_like(h));
        if (k == 5) {
            rg_scan *s = rg_scan_begin(g, NULL);
            rg_node *x = rg_scan_slice(s, h), *c = rg_scan_carry(s, rg_mean(h, RG_AXES(0), false));
            rg_node *next = rg_tanh(rg_add(rg_mul(x, c), x));
            rg_scan_next(s, c, next);
            h = rg_scan_stack(s, next);
            rg_scan_end(s);
        }
        if (again && k % 4 == 3)
            rg_checkpoint_pop(g);
    }
    return total(rg_sin(h));
}

Test(rules, checkpointed_parts_take_less_memory_and_give_the_same_bits)
{
    rg_graph *g[2];
    rg_plan *p[2];
    rg_node *fetch[2][2 + LAYERS];
    for (int again = 0; again < 2; again++) {
        g[again] = rg_graph_new(NULL);
        rg_node *loss = network(g[again], again);
        const rg_nodes params = rg_params(g[again]), grads = rg_grad(loss, params);
        cr_assert_eq(grads.n, 1 + LAYERS, "%s", rg_graph_error(g[again]));
        fetch[again][0] = loss;
        for (size_t i = 0; i < grads.n; i++)
            fetch[again][1 + i] = grads.at[i];
        /* with a budget, however large, no packed weights are kept: they would be the larger part */
        const rg_plan_opts opts = {.threads = 1, .budget = (size_t)1 << 30};
        p[again] = must_compile(g[again], (rg_nodes){fetch[again], 1 + grads.n}, &opts);
        must(rg_run(p[again]));
        must(rg_graph_check(g[again]));
    }
    for (size_t i = 0; i < 2 + LAYERS; i++) {
        rg_tensor a, b;
        must(rg_result(p[0], fetch[0][i], &a));
        must(rg_result(p[1], fetch[1][i], &b));
        cr_expect(!memcmp(a.data, b.data, rg_tensor_bytes(&a)), "result %zu", i);
    }
    const size_t grads = sizeof(double) * (ROWS * WIDTH + LAYERS * WIDTH * WIDTH);
    const size_t kept = rg_plan_bytes(p[0]) - grads, again = rg_plan_bytes(p[1]) - grads;
    cr_expect(again * 10 < kept * 7, "%zu bytes with checkpoints, %zu without", again, kept);
    for (int k = 0; k < 2; k++) {
        rg_plan_free(p[k]);
        rg_graph_free(g[k]);
    }
}

Test(rules, checkpoints_under_the_certificate)
{
    static const double at[4] = {0.3, -0.7, 1.1, 0.2};
    rg_graph *g = rg_graph_new(NULL);
    rg_node *x = values(g, "x", RG_SHAPE(4), at);
    rg_checkpoint_push(g);
    rg_checkpoint_push(g); /* within another: the same part */
    rg_node *y = rg_mul(rg_exp(x), rg_sin(x));
    rg_checkpoint_pop(g);
    y = rg_tanh(rg_cumsum(y, 0, false));
    rg_checkpoint_pop(g);
    rg_node *d = rg_at(rg_grad(total(rg_square(y)), RG_NODES(x)), 0);
    rg_grad_check_report report;
    must(rg_grad_check(total(rg_mul(d, rg_cos(x))), RG_NODES(x), NULL, &report)); /* through the copies */
    cr_expect(report.passed, "%s", report.text);
    rg_checkpoint_pop(g);
    cr_expect(strstr(rg_graph_error(g), "rg_checkpoint_pop"), "%s", rg_graph_error(g));
    rg_graph_free(g);
}

/* ---- explanations ---- */

static rg_node *model(void *user, rg_node *x)
{
    return rg_matmul(rg_tanh(rg_matmul(x, user)), rg_slice(user, 1, 0, 1));
}

Test(rules, explanations)
{
    static const double ws[9] = {0.5, -1, 0.3, 1.2, 0.7, -0.4, -0.9, 0.2, 1.1}, xs[6] = {1, -0.5, 2, 0.3, 0.8, -1.2};
    rg_graph *g = rg_graph_new(NULL);
    rg_node *w = values(g, "w", RG_SHAPE(3, 3), ws), *x = values(g, "x", RG_SHAPE(2, 3), xs);
    rg_node *score = model(w, x), *base = model(w, rg_zeros_like(x));
    rg_node *d = rg_at(rg_grad(total(score), RG_NODES(x)), 0);
    rg_node *saliency = rg_nn_saliency(score, x), *product = rg_nn_gradient_x_input(score, x);
    rg_node *path = rg_nn_integrated_gradients(model, w, x, NULL, 200);
    rg_node *smooth = rg_nn_smooth_grad(model, w, x, 0, 5), *noisy = rg_nn_smooth_grad(model, w, x, 0.05, 400);
    rg_plan *p = must_compile(g, RG_NODES(score, base, d, saliency, product, path, smooth, noisy),
                              &(rg_plan_opts){.threads = 1});
    must(rg_run(p));
    for (size_t i = 0; i < 6; i++) {
        const double slope = value_at(p, d, i);
        cr_expect_eq(value_at(p, saliency, i), fabs(slope));
        cr_expect_eq(value_at(p, product, i), slope * xs[i]);
        cr_expect(close_to(value_at(p, smooth, i), slope, 1e-14));
        cr_expect(close_to(value_at(p, noisy, i), slope, 2e-2), "%g, %g", value_at(p, noisy, i), slope);
        cr_expect(value_at(p, noisy, i) != slope);
    }
    for (size_t row = 0; row < 2; row++) { /* completeness */
        double sum = 0;
        for (size_t k = 0; k < 3; k++)
            sum += value_at(p, path, 3 * row + k);
        cr_expect(close_to(sum, value_at(p, score, row) - value_at(p, base, row), 1e-4), "%g", sum);
    }
    rg_plan_free(p);
    cr_expect_null(rg_nn_integrated_gradients(NULL, w, x, NULL, 5));
    rg_graph_free(g);
}

/* ---- the check for NaN and infinity ---- */

static const char *found(rg_node *y, rg_node *x, const double *data)
{
    rg_plan *p = must_compile(rg_graph_of(y), RG_NODES(y), &(rg_plan_opts){.check = true, .threads = 3});
    must(rg_bind(p, x, data));
    cr_expect_eq(rg_run(p), RG_ERR_NUMERIC, "%s", rg_last_error());
    rg_plan_free(p);
    return rg_last_error();
}

Test(rules, the_first_node_that_makes_a_nan)
{
    rg_graph *g = rg_graph_new(NULL);
    rg_node *x = rg_input(g, "x", RG_F64, RG_SHAPE(2, 3)), *one = rg_add_scalar(x, -1);
    rg_node *y = rg_exp(rg_sqrt(rg_div(x, one)));
    static const double zero[6] = {2, 3, 4, 5, 1, 6}, negative[6] = {2, 3, 0.5, 4, 5, 6}, fine[6] = {2, 3, 4, 5, 6, 7};
    const char *text = found(y, x, zero);
    cr_expect(strstr(text, "div#") && strstr(text, "an infinity") && strstr(text, "element 4 [1, 1]"), "%s", text);
    cr_expect(strstr(text, "'x' is 1 there") && strstr(text, "is 0 there"), "%s", text);
    cr_expect(strstr(text, "test_rules.c"), "%s", text);
    text = found(y, x, negative);
    cr_expect(strstr(text, "sqrt#") && strstr(text, "NaN") && strstr(text, "is -1 there"), "%s", text);
    static double bad[6] = {2, 3, 4, NAN, 5, 6};
    text = found(rg_softmax(x, 1), x, bad);
    cr_expect(strstr(text, "softmax#") && strstr(text, "'x' holds NaN at element 3 [1, 0]"), "%s", text);
    rg_plan *p = must_compile(g, RG_NODES(y), &(rg_plan_opts){.check = true});
    must(rg_bind(p, x, fine));
    must(rg_run(p));
    rg_plan_free(p);
    rg_graph_free(g);
}

Test(rules, a_nan_in_a_loop)
{
    rg_graph *g = rg_graph_new(NULL);
    rg_node *x = rg_input(g, "x", RG_F64, RG_SHAPE(5));
    rg_scan *s = rg_scan_begin(g, NULL);
    rg_node *h = rg_scan_carry(s, rg_scalar(g, RG_F64, 0)), *next = rg_add(h, rg_log(rg_scan_slice(s, x)));
    rg_scan_next(s, h, next);
    rg_node *last = rg_scan_last(s, h);
    rg_scan_end(s);
    static const double data[5] = {1, 2, 0, 3, 4};
    const char *text = found(last, x, data);
    cr_expect(strstr(text, "log#") && strstr(text, "is 0 there"), "%s", text);
    rg_graph_free(g);
}
