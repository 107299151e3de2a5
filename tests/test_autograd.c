/* test_autograd.c - derivatives of graphs: reverse, forward, second order, and the check against differences. */
#include "must.h"
#include "samples.h"

static const rg_plan_opts alone = {.threads = 1};

static rg_node *input(rg_graph *g, const char *name, int64_t n)
{
    return rg_input(g, name, RG_F64, RG_SHAPE(n));
}

static rg_node *total(rg_node *x)
{
    return rg_sum(x, RG_ALL_AXES, false);
}

static rg_node *grad(rg_node *loss, rg_node *x)
{
    return rg_at(rg_grad(loss, RG_NODES(x)), 0);
}

Test(autograd, gradient_of_gradient_of_gradient)
{
    rg_graph *g = rg_graph_new(NULL);
    rg_node *x = rg_input(g, "x", RG_F64, RG_SCALAR);
    rg_node *y = rg_mul(rg_mul(x, x), x), *d1 = grad(y, x), *d2 = grad(d1, x), *d3 = grad(d2, x), *d4 = grad(d3, x);
    rg_plan *p = must_compile(g, RG_NODES(y, d1, d2, d3, d4), &alone);
    const double at = 1.25;
    must(rg_bind(p, x, &at));
    must(rg_run(p));
    cr_expect_float_eq(value_at(p, y, 0), at * at * at, 1e-15);
    cr_expect_float_eq(value_at(p, d1, 0), 3 * at * at, 1e-15);
    cr_expect_float_eq(value_at(p, d2, 0), 6 * at, 1e-15);
    cr_expect_eq(value_at(p, d3, 0), 6);
    cr_expect_eq(value_at(p, d4, 0), 0);
    rg_plan_free(p);
    rg_graph_free(g);
}

Test(autograd, zero_where_the_loss_does_not_depend)
{
    rg_graph *g = rg_graph_new(NULL);
    rg_node *x = input(g, "x", 3), *other = rg_input(g, "other", RG_F32, RG_SHAPE(rg_dim(g, "n"), 2));
    rg_node *param = rg_param(g, "p", RG_F64, RG_SHAPE(2), NULL);
    const rg_nodes d = rg_grad(total(x), RG_NODES(other, param, x));
    cr_assert_eq(d.n, 3);
    cr_expect_eq(rg_dtype_of(d.at[0]), RG_F32);
    cr_expect(rg_shape_equal(rg_shape_of(d.at[0]), rg_shape_of(other)));
    rg_plan *p = must_compile(g, RG_NODES(d.at[0], d.at[1], d.at[2], other), &alone);
    const double data[3] = {1, 2, 3};
    const float more[4] = {1, 2, 3, 4};
    must(rg_bind_shape(p, other, more, RG_SHAPE(2, 2)));
    (void)!rg_bind(p, x, data); /* the derivative of a sum has no use for it */
    must(rg_run(p));
    rg_tensor t;
    must(rg_result(p, d.at[0], &t));
    cr_expect(rg_shape_equal(t.shape, RG_SHAPE(2, 2)));
    for (size_t i = 0; i < 4; i++)
        cr_expect_eq(value_at(p, d.at[0], i), 0);
    cr_expect_eq(value_at(p, d.at[1], 1), 0);
    cr_expect_eq(value_at(p, d.at[2], 2), 1);
    rg_plan_free(p);
    rg_graph_free(g);
}

Test(autograd, a_node_used_twice_accumulates)
{
    rg_graph *g = rg_graph_new(NULL);
    rg_node *x = input(g, "x", 3), *s = rg_sin(x);
    rg_node *y = total(rg_add(rg_mul(s, s), rg_add(rg_mul(s, x), x))); /* s^2 + s x + x */
    const rg_nodes d = rg_grad(y, RG_NODES(x, s, x));                  /* an inner node, and one twice */
    rg_plan *p = must_compile(g, d, &alone);
    const double at[3] = {0.3, -1, 2};
    must(rg_bind(p, x, at));
    must(rg_run(p));
    for (size_t i = 0; i < 3; i++) {
        const double si = sin(at[i]), c = cos(at[i]);
        cr_expect(close_to(value_at(p, d.at[0], i), 2 * si * c + si + at[i] * c + 1, 1e-14));
        cr_expect(close_to(value_at(p, d.at[1], i), 2 * si + at[i], 1e-14));
        cr_expect_eq(value_at(p, d.at[0], i), value_at(p, d.at[2], i));
    }
    rg_plan_free(p);
    rg_graph_free(g);
}

Test(autograd, stop_gradient_blocks_one_path)
{
    rg_graph *g = rg_graph_new(NULL);
    rg_node *x = input(g, "x", 2), *y = total(rg_mul(rg_stop_gradient(rg_square(x)), x));
    rg_node *d = grad(y, x), *t = rg_at(rg_jvp(RG_NODES(y), RG_NODES(x), RG_NODES(rg_ones_like(x))), 0);
    rg_plan *p = must_compile(g, RG_NODES(y, d, t), &alone);
    const double at[2] = {3, -2};
    must(rg_bind(p, x, at));
    must(rg_run(p));
    cr_expect_eq(value_at(p, y, 0), 27 - 8);
    cr_expect_eq(value_at(p, d, 0), 9);
    cr_expect_eq(value_at(p, d, 1), 4);
    cr_expect_eq(value_at(p, t, 0), 13);
    rg_plan_free(p);
    rg_graph_free(g);
}

/* Forward mode writes the tangents of what leads to the results, whatever else depends on the variables. */
static size_t nodes_of_a_tangent(bool with_another_branch)
{
    rg_graph *g = rg_graph_new(NULL);
    rg_node *x = rg_input(g, "x", RG_F64, RG_SHAPE(3)), *t = rg_input(g, "t", RG_F64, RG_SHAPE(3)), *y = rg_sin(x);
    for (int i = 0; with_another_branch && i < 20; i++)
        y = rg_cos(y);
    y = rg_mul(rg_sin(x), x);
    const size_t before = rg_graph_size(g);
    cr_assert_eq(rg_jvp(RG_NODES(y), RG_NODES(x), RG_NODES(t)).n, 1, "%s", rg_graph_error(g));
    const size_t made = rg_graph_size(g) - before;
    rg_graph_free(g);
    return made;
}

Test(autograd, forward_mode_leaves_other_branches_alone)
{
    cr_expect_eq(nodes_of_a_tangent(true), nodes_of_a_tangent(false));
}

Test(autograd, rosenbrock)
{
    enum { N = 1000 };
    rg_graph *g = rg_graph_new(NULL);
    rg_node *x = input(g, "x", N), *v = input(g, "v", N);
    rg_node *lo = rg_slice(x, 0, 0, N - 1), *hi = rg_slice(x, 0, 1, N);
    rg_node *f = total(rg_add(rg_scale(rg_square(rg_sub(hi, rg_square(lo))), 100), rg_square(rg_one_minus(lo))));
    rg_node *d = grad(f, x), *h = rg_at(rg_hvp(f, RG_NODES(x), RG_NODES(v)), 0);
    rg_plan *p = must_compile(g, RG_NODES(f, d, h), &alone);
    static double at[N], along[N], slope[N], bend[N];
    uint64_t state = 5;
    for (size_t i = 0; i < N; i++) {
        at[i] = 4 * sample_random(&state) - 2;
        along[i] = 2 * sample_random(&state) - 1;
    }
    double value = 0;
    for (size_t i = 0; i + 1 < N; i++) {
        const double a = at[i], r = at[i + 1] - a * a;
        value += 100 * r * r + (1 - a) * (1 - a);
        slope[i] += -400 * a * r - 2 * (1 - a);
        slope[i + 1] += 200 * r;
        bend[i] += (1200 * a * a - 400 * at[i + 1] + 2) * along[i] - 400 * a * along[i + 1];
        bend[i + 1] += 200 * along[i + 1] - 400 * a * along[i];
    }
    must(rg_bind(p, x, at));
    must(rg_bind(p, v, along));
    must(rg_run(p));
    cr_expect(close_to(value_at(p, f, 0), value, 1e-12));
    for (size_t i = 0; i < N; i++) {
        cr_assert(fabs(value_at(p, d, i) - slope[i]) < 1e-11 * 4000, "gradient %zu: %g, not %g", i, value_at(p, d, i),
                  slope[i]);
        cr_assert(fabs(value_at(p, h, i) - bend[i]) < 1e-11 * 6000, "HVP %zu: %g, not %g", i, value_at(p, h, i),
                  bend[i]);
    }
    rg_plan_free(p);
    rg_graph_free(g);
}

Test(autograd, ties_share_or_go_to_the_first)
{
    rg_graph *g = rg_graph_new(NULL);
    rg_node *a = input(g, "a", 3), *b = input(g, "b", 3);
    rg_node *largest = total(rg_maximum(a, b)), *smallest = total(rg_minimum(a, b)),
            *first = rg_max(a, RG_ALL_AXES, false);
    const rg_nodes up = rg_grad(largest, RG_NODES(a, b)), down = rg_grad(smallest, RG_NODES(a, b));
    rg_node *one = grad(first, a), *last = grad(rg_min(b, RG_ALL_AXES, false), b);
    rg_plan *p = must_compile(g, RG_NODES(up.at[0], up.at[1], down.at[0], down.at[1], one, last), &alone);
    const double ad[3] = {1, 5, 5}, bd[3] = {2, 5, 2};
    const double want[6][3] = {{0, 0.5, 1}, {1, 0.5, 0}, {1, 0.5, 0}, {0, 0.5, 1}, {0, 1, 0}, {1, 0, 0}};
    rg_node *const nodes[6] = {up.at[0], up.at[1], down.at[0], down.at[1], one, last};
    must(rg_bind(p, a, ad));
    must(rg_bind(p, b, bd));
    must(rg_run(p));
    for (size_t k = 0; k < 6; k++)
        for (size_t i = 0; i < 3; i++)
            cr_expect_eq(value_at(p, nodes[k], i), want[k][i], "gradient %zu element %zu", k, i);
    rg_plan_free(p);
    rg_graph_free(g);
}

Test(autograd, casts_between_floats_pass_gradients_back)
{
    rg_graph *g = rg_graph_new(NULL);
    rg_node *x = rg_input(g, "x", RG_F32, RG_SHAPE(2));
    rg_node *wide = rg_cast(x, RG_F64), *y = total(rg_mul(wide, wide)),
            *whole = total(rg_cast(rg_cast(x, RG_I32), RG_F32));
    rg_node *d = grad(y, x), *zero = grad(whole, x);
    cr_expect_eq(rg_dtype_of(d), RG_F32);
    rg_plan *p = must_compile(g, RG_NODES(d, zero, whole), &alone);
    const float at[2] = {1.5f, -3.75f};
    must(rg_bind(p, x, at));
    must(rg_run(p));
    cr_expect_eq(value_at(p, d, 0), 3);
    cr_expect_eq(value_at(p, d, 1), -7.5);
    cr_expect_eq(value_at(p, zero, 0), 0);
    cr_expect_eq(value_at(p, whole, 0), 1 - 3);
    rg_plan_free(p);
    rg_graph_free(g);
}

Test(autograd, several_results_and_absent_cotangents)
{
    rg_graph *g = rg_graph_new(NULL);
    rg_node *a = input(g, "a", 2), *b = input(g, "b", 2), *u = input(g, "u", 2);
    rg_node *y = rg_mul(a, b), *z = rg_exp(a);
    const rg_nodes both = rg_vjp(RG_NODES(y, z), RG_NODES(u, u), RG_NODES(a, b));
    const rg_nodes only = rg_vjp(RG_NODES(y, z), RG_NODES(NULL, u), RG_NODES(a, b));
    const rg_nodes moved = rg_jvp(RG_NODES(y, z), RG_NODES(a, b), RG_NODES(u, NULL));
    rg_plan *p =
        must_compile(g, RG_NODES(both.at[0], both.at[1], only.at[0], only.at[1], moved.at[0], moved.at[1]), &alone);
    const double ad[2] = {0.5, -1}, bd[2] = {2, 3}, ud[2] = {1, -2};
    must(rg_bind(p, a, ad));
    must(rg_bind(p, b, bd));
    must(rg_bind(p, u, ud));
    must(rg_run(p));
    for (size_t i = 0; i < 2; i++) {
        cr_expect(close_to(value_at(p, both.at[0], i), ud[i] * (bd[i] + exp(ad[i])), 1e-15));
        cr_expect(close_to(value_at(p, both.at[1], i), ud[i] * ad[i], 1e-15));
        cr_expect(close_to(value_at(p, only.at[0], i), ud[i] * exp(ad[i]), 1e-15));
        cr_expect_eq(value_at(p, only.at[1], i), 0);
        cr_expect(close_to(value_at(p, moved.at[0], i), ud[i] * bd[i], 1e-15));
        cr_expect(close_to(value_at(p, moved.at[1], i), ud[i] * exp(ad[i]), 1e-15));
    }
    rg_plan_free(p);
    rg_graph_free(g);
}

/* f(x, y) = sum sin(x y): the mixed partial, and the Hessian over two nodes. */
Test(autograd, mixed_partials_and_hessian_of_two_nodes)
{
    rg_graph *g = rg_graph_new(NULL);
    rg_node *x = input(g, "x", 3), *y = input(g, "y", 3), *v = input(g, "v", 3), *w = input(g, "w", 3);
    rg_node *f = total(rg_sin(rg_mul(x, y))), *xy = grad(total(grad(f, x)), y), *yx = grad(total(grad(f, y)), x);
    const rg_nodes h = rg_hvp(f, RG_NODES(x, y), RG_NODES(v, w));
    rg_plan *p = must_compile(g, RG_NODES(xy, yx, h.at[0], h.at[1]), &alone);
    const double xd[3] = {0.2, -1, 1.5}, yd[3] = {1, 0.7, -0.4}, vd[3] = {1, -1, 0.5}, wd[3] = {0.3, 2, -1};
    must(rg_bind(p, x, xd));
    must(rg_bind(p, y, yd));
    must(rg_bind(p, v, vd));
    must(rg_bind(p, w, wd));
    must(rg_run(p));
    for (size_t i = 0; i < 3; i++) {
        const double a = xd[i], b = yd[i], s = sin(a * b), c = cos(a * b), mixed = c - a * b * s;
        cr_expect(close_to(value_at(p, xy, i), mixed, 1e-14));
        cr_expect(close_to(value_at(p, yx, i), mixed, 1e-14));
        cr_expect(close_to(value_at(p, h.at[0], i), -b * b * s * vd[i] + mixed * wd[i], 1e-14));
        cr_expect(close_to(value_at(p, h.at[1], i), mixed * vd[i] - a * a * s * wd[i], 1e-14));
    }
    rg_plan_free(p);
    rg_graph_free(g);
}

Test(autograd, long_chains_need_no_stack)
{
    enum { LENGTH = 50000 };
    rg_graph *g = rg_graph_new(NULL);
    rg_node *x = rg_input(g, "x", RG_F64, RG_SCALAR), *y = x;
    for (int i = 0; i < LENGTH; i++)
        y = rg_sin(y);
    rg_node *d = grad(y, x), *t = rg_at(rg_jvp(RG_NODES(y), RG_NODES(x), RG_NODES(rg_ones_like(x))), 0);
    rg_plan *p = must_compile(g, RG_NODES(d, t), &alone);
    const double at = 1;
    double v = at, product = 1;
    for (int i = 0; i < LENGTH; i++) {
        product *= cos(v);
        v = sin(v);
    }
    must(rg_bind(p, x, &at));
    must(rg_run(p));
    cr_expect(fabs(value_at(p, d, 0) / product - 1) < 1e-9);
    cr_expect(fabs(value_at(p, t, 0) / product - 1) < 1e-9);
    rg_plan_free(p);
    rg_graph_free(g);
}

/* What a gradient is made of, kept as text: it shows when a rule begins to emit more than it did. */
Test(autograd, the_gradient_of_a_layer_as_text)
{
    static const char kept[] =
        "graph of 16 nodes, 1 of them stored\n"
        "%0 = input : f32[batch, 3]  // x\n"
        "%1 = param : f32[2, 3]  // net.w\n"
        "%2 = contract(%0, %1) {a_batch: (), b_batch: (), a_contract: (1), b_contract: (1)} : f32[batch, 2]  // net\n"
        "%3 = tanh(%2) : f32[batch, 2]  // net\n"
        "%4 = square(%3) : f32[batch, 2]\n"
        "%5 = mean(%4) {axes: (0 1)} : f32[]\n"
        "%6 = full_like(%5) {value: 1} : f32[]\n"
        "%7 = size_of(%4) {axes: (0 1), lead: 0} : f32[]\n"
        "%8 = div(%6, %7) : f32[]\n"
        "%9 = expand(%8, %4) {at: 0, from: 0, n: 2} : f32[batch, 2]\n"
        "%10 = mul(%3, %9) : f32[batch, 2]\n"
        "%11 = scale(%10) {factor: 2} : f32[batch, 2]\n"
        "%12 = tanh_grad(%11, %3) : f32[batch, 2]  // net\n"
        "%13 = contract(%12, %0) {a_batch: (), b_batch: (), a_contract: (0), b_contract: (0)} : f32[2, 3]  // net\n"
        "%14 = axpy(%13, %1) {factor: -0.1} : f32[2, 3]\n"
        "%15 = assign(%1, %14) : f32[2, 3]\n";
    rg_graph *g = rg_graph_new(NULL);
    rg_node *x = rg_input(g, "x", RG_F32, RG_SHAPE(rg_dim(g, "batch"), 3));
    rg_scope_push(g, "net");
    rg_node *w = rg_param(g, "w", RG_F32, RG_SHAPE(2, 3), NULL), *y = rg_tanh(rg_linear(x, w, NULL));
    rg_scope_pop(g);
    rg_node *d = grad(rg_mean(rg_square(y), RG_ALL_AXES, false), w), *step = rg_assign(w, rg_axpy(-0.1, d, w));
    cr_assert(step, "%s", rg_graph_error(g));
    char *text = rg_graph_dump(g);
    cr_assert(text);
    cr_expect_str_eq(text, kept);
    rg_text_free(text);
    must(rg_graph_check(g));
    rg_graph_free(g);
}

/* ---- rg_grad_check ---- */

static rg_node *network(rg_graph *g)
{
    rg_node *w = rg_param(g, "w", RG_F64, RG_SHAPE(3, 4), NULL),
            *b = rg_param(g, "b", RG_F64, RG_SHAPE(3), &(rg_param_opts){.init = RG_NORMAL, .scale = 1});
    const double data[8] = {0.5, -1, 2, 0.1, 1, 1, -0.3, 0.7};
    rg_node *x = rg_const(g, RG_F64, RG_SHAPE(2, 4), data);
    return total(rg_square(rg_tanh(rg_linear(x, w, b))));
}

Test(autograd, grad_check_passes_and_restores)
{
    rg_graph *g = rg_graph_new(NULL);
    rg_node *loss = network(g);
    double before[12];
    for (size_t i = 0; i < 12; i++)
        before[i] = stored_at(rg_find(g, "w"), i);
    rg_grad_check_report report;
    must(rg_grad_check(loss, rg_params(g), NULL, &report));
    cr_expect(report.passed, "%s", report.text);
    cr_expect(report.worst < 1e-7, "%s", report.text);
    for (size_t i = 0; i < 12; i++)
        cr_expect_eq(stored_at(rg_find(g, "w"), i), before[i]);
    rg_graph_free(g);
}

static rg_status run_bent(const rg_step *s, size_t lo, size_t hi)
{
    const double *x = s->in[0];
    double *y = s->out[0];
    for (size_t i = lo; i < hi; i++)
        y[i] = x[i] * x[i];
    return RG_OK;
}

/* says 3 x where 2 x is right */
static void vjp_bent(rg_node *self, rg_node *const ct[], rg_node *grads[])
{
    grads[0] = rg_mul(ct[0], rg_scale(rg_arg(self, 0), 3));
}

static const rg_op bent = {.name = "bent",
                           .n_in = 1,
                           .n_out = 1,
                           .traits = RG_ELEMENTWISE,
                           .dtypes = RG_DT_FLOATS,
                           .infer = rg_infer_same,
                           .vjp = vjp_bent,
                           .run = run_bent};

Test(autograd, grad_check_finds_a_wrong_rule)
{
    rg_graph *g = rg_graph_new(NULL);
    rg_node *good = rg_param(g, "good", RG_F64, RG_SHAPE(5), &(rg_param_opts){.init = RG_ONES});
    rg_node *bad = rg_param(g, "bad", RG_F64, RG_SHAPE(2), &(rg_param_opts){.init = RG_ONES});
    const double values[2] = {0.001, 4};
    must(rg_set(bad, &(rg_tensor){.dtype = RG_F64, .shape = RG_SHAPE(2), .data = (void *)values}));
    rg_node *loss = rg_add(total(rg_exp(good)), total(rg_apply(&bent, RG_NODES(bad), NULL)));
    rg_grad_check_report report;
    must(rg_grad_check(loss, RG_NODES(good, bad), NULL, &report));
    cr_expect(!report.passed);
    cr_expect_eq(report.worst_wrt, bad, "%s", report.text);
    cr_expect_eq(report.worst_element, 1, "%s", report.text);
    cr_expect(close_to(report.analytic, 12, 1e-9) && close_to(report.numeric, 8, 1e-6), "%s", report.text);
    cr_expect(strstr(report.text, "bad"), "%s", report.text);
    cr_expect_eq(stored_at(bad, 1), 4);
    rg_graph_free(g);
}
