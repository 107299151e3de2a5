/* test_scan.c - recurrences against the same recurrences unrolled by hand. */
#include "must.h"
#include "samples.h"

static const rg_plan_opts alone = {.threads = 1};

enum { T = 6, B = 3, I = 4, H = 5 };

static rg_node *total(rg_node *x)
{
    return rg_sum(x, RG_ALL_AXES, false);
}

/* h' = tanh(x W + h U + b) */
static rg_node *cell(rg_node *x, rg_node *h, rg_node *w, rg_node *u, rg_node *b)
{
    return rg_tanh(rg_add(rg_add(rg_matmul(x, w), rg_matmul(h, u)), b));
}

typedef struct network {
    rg_graph *g;
    rg_node *xs, *h0, *w, *u, *b, *weight; /* weight: of the states in the loss */
    bool twice;                            /* the step of which every kind of gradient of a capture comes */
    double data[T * B * I], init[B * H], weights[T * B * H];
} network;

/* One step. `twice`: u is used twice, the second time transposed, and a column is broadcast along the rows. */
static rg_node *network_step(const network *n, rg_node *x, rg_node *h)
{
    if (!n->twice)
        return cell(x, h, n->w, n->u, n->b);
    rg_node *column = rg_sum(n->h0, RG_AXES(1), true);
    rg_node *z = rg_add(rg_matmul(h, n->u), rg_matmul_t(rg_sin(h), false, n->u, true));
    return rg_tanh(rg_add(rg_add(rg_matmul(x, n->w), z), rg_add(n->b, column)));
}

static void network_begin(network *n, int64_t steps)
{
    uint64_t state = 3;
    n->g = rg_graph_new(&(rg_graph_opts){.seed = 9});
    n->xs = rg_input(n->g, "xs", RG_F64, RG_SHAPE(steps, B, I));
    n->h0 = rg_input(n->g, "h0", RG_F64, RG_SHAPE(B, H));
    n->weight = rg_input(n->g, "weight", RG_F64, RG_SHAPE(steps, B, H));
    n->w = rg_param(n->g, "w", RG_F64, RG_SHAPE(I, H), &(rg_param_opts){.init = RG_NORMAL, .scale = 0.5});
    n->u = rg_param(n->g, "u", RG_F64, RG_SHAPE(H, H), &(rg_param_opts){.init = RG_NORMAL, .scale = 0.5});
    n->b = rg_param(n->g, "b", RG_F64, RG_SHAPE(H), &(rg_param_opts){.init = RG_NORMAL, .scale = 0.5});
    for (size_t i = 0; i < T * B * I; i++)
        n->data[i] = 2 * sample_random(&state) - 1;
    for (size_t i = 0; i < B * H; i++)
        n->init[i] = 2 * sample_random(&state) - 1;
    for (size_t i = 0; i < T * B * H; i++)
        n->weights[i] = 2 * sample_random(&state) - 1;
}

static void network_bind(network *n, rg_plan *p, int64_t steps)
{
    must(rg_bind_shape(p, n->xs, n->data, RG_SHAPE(steps, B, I)));
    must(rg_bind(p, n->h0, n->init));
    must(rg_bind_shape(p, n->weight, n->weights, RG_SHAPE(steps, B, H)));
}

/* The states as one node [steps, B, H], by a scan ... */
static rg_node *scanned(network *n, bool reverse, rg_node **last)
{
    rg_scan *s = rg_scan_begin(n->g, &(rg_scan_opts){.name = "rnn", .reverse = reverse});
    rg_node *x = rg_scan_slice(s, n->xs), *h = rg_scan_carry(s, n->h0);
    rg_node *next = network_step(n, x, h);
    rg_scan_next(s, h, next);
    rg_node *states = rg_scan_stack(s, next);
    *last = rg_scan_last(s, h);
    rg_scan_end(s);
    return states;
}

/* ... and step by step. */
static rg_node *unrolled(network *n, bool reverse, int64_t steps, rg_node **last)
{
    rg_node *states[T], *h = n->h0;
    for (int64_t k = 0; k < steps; k++) {
        const int64_t t = reverse ? steps - 1 - k : k;
        rg_node *x = rg_squeeze(rg_slice(n->xs, 0, t, t + 1), 0);
        states[t] = h = network_step(n, x, h);
    }
    *last = h;
    return rg_stack((rg_nodes){states, (size_t)steps}, 0);
}

static rg_node *loss_of(network *n, rg_node *states, rg_node *last)
{
    return rg_add(total(rg_mul(rg_square(states), n->weight)), total(rg_sin(last)));
}

static void expect_equal(rg_plan *p, rg_node *a, rg_plan *q, rg_node *b, double tolerance, const char *what)
{
    rg_tensor x, y;
    must(rg_result(p, a, &x));
    must(rg_result(q, b, &y));
    cr_assert(rg_shape_equal(x.shape, y.shape), "%s: shapes differ", what);
    for (int64_t i = 0; i < rg_shape_count(x.shape); i++)
        cr_assert(close_to(value_at(p, a, (size_t)i), value_at(q, b, (size_t)i), tolerance),
                  "%s: element %d is %.17g, not %.17g", what, (int)i, value_at(p, a, (size_t)i),
                  value_at(q, b, (size_t)i));
}

/* Values, gradients, and the gradient of a norm of the gradients. */
static void against_unrolled(bool reverse, int64_t steps, bool twice)
{
    static network n;
    n.twice = twice;
    network_begin(&n, steps);
    const rg_nodes wrt = RG_NODES(n.w, n.u, n.b, n.xs, n.h0);
    rg_node *last[2], *states[2] = {scanned(&n, reverse, &last[0]), unrolled(&n, reverse, steps, &last[1])};
    rg_node *fetch[2][2 + 10];
    for (int k = 0; k < 2; k++) {
        const rg_nodes first = rg_grad(loss_of(&n, states[k], last[k]), wrt);
        const rg_nodes second = rg_grad(rg_square_norm(first), wrt);
        cr_assert(first.n == 5 && second.n == 5, "%s", rg_graph_error(n.g));
        fetch[k][0] = states[k];
        fetch[k][1] = last[k];
        for (size_t i = 0; i < 5; i++) {
            fetch[k][2 + i] = first.at[i];
            fetch[k][7 + i] = second.at[i];
        }
    }
    must(rg_graph_check(n.g));
    rg_plan *p = must_compile(n.g, (rg_nodes){fetch[0], 12}, &alone),
            *q = must_compile(n.g, (rg_nodes){fetch[1], 12}, &alone);
    network_bind(&n, p, steps);
    network_bind(&n, q, steps);
    must(rg_run(p));
    must(rg_run(q));
    static const char *const what[12] = {"states", "last state", "dW",  "dU",  "db",   "dxs",
                                         "dh0",    "d2W",        "d2U", "d2b", "d2xs", "d2h0"};
    for (size_t i = 0; i < 12; i++)
        expect_equal(p, fetch[0][i], q, fetch[1][i], i < 7 ? 1e-12 : 1e-11, what[i]);
    rg_plan_free(p);
    rg_plan_free(q);
    rg_graph_free(n.g);
}

Test(scan, rnn_is_the_unrolled_rnn)
{
    against_unrolled(false, T, false);
}
Test(scan, reverse_is_the_unrolled_reverse)
{
    against_unrolled(true, T, false);
}
Test(scan, one_step)
{
    against_unrolled(false, 1, false);
}

Test(scan, captures_used_twice_and_broadcast)
{
    against_unrolled(false, T, true);
    against_unrolled(true, T, true);
}

/* The text behind the last loop has one product a weight, over all steps, and the loop has only that of the carry. */
Test(scan, gradients_of_weights_leave_the_loop)
{
    static network n;
    n.twice = false;
    network_begin(&n, T);
    rg_node *last, *states = scanned(&n, false, &last);
    rg_plan *p = must_compile(n.g, rg_grad(loss_of(&n, states, last), RG_NODES(n.w, n.u, n.b, n.xs)), &alone);
    char *text = rg_plan_dump(p);
    cr_assert(text);
    const char *loop = strstr(text, "backwards"), *next = loop ? strstr(loop, "next") : NULL;
    cr_assert(next, "%s", text);
    int in_loop = 0, behind = 0, sums = 0;
    for (const char *at = loop; (at = strstr(at, "= contract(")); at++)
        *(at < next ? &in_loop : &behind) += 1;
    for (const char *at = next; (at = strstr(at, "= accumulate(")); at++)
        sums++;
    cr_assert(in_loop == 1 && behind == 1 && sums == 3, "%d products in the loop, %d and %d sums behind it:\n%s",
              in_loop, behind, sums, text);
    rg_text_free(text);
    rg_plan_free(p);
    rg_graph_free(n.g);
}

Test(scan, no_steps)
{
    static network n;
    network_begin(&n, 0);
    rg_node *last, *states = scanned(&n, false, &last);
    const rg_nodes d = rg_grad(loss_of(&n, states, last), RG_NODES(n.w, n.h0, n.xs));
    rg_plan *p = must_compile(n.g, RG_NODES(states, last, d.at[0], d.at[1], d.at[2]), &alone);
    network_bind(&n, p, 0);
    must(rg_run(p));
    rg_tensor t;
    must(rg_result(p, states, &t));
    cr_expect(rg_shape_equal(t.shape, RG_SHAPE(0, B, H)));
    for (size_t i = 0; i < B * H; i++) {
        cr_expect_eq(value_at(p, last, i), n.init[i], "without a step the carry is the initial one");
        cr_expect(close_to(value_at(p, d.at[1], i), cos(n.init[i]), 1e-15));
    }
    for (size_t i = 0; i < I * H; i++)
        cr_expect_eq(value_at(p, d.at[0], i), 0);
    rg_plan_free(p);
    rg_graph_free(n.g);
}

Test(scan, forward_mode_is_the_transpose)
{
    static network n;
    network_begin(&n, T);
    rg_node *last, *states = scanned(&n, false, &last), *v = rg_cos(n.u), *loss = loss_of(&n, states, last);
    rg_node *d = rg_at(rg_grad(loss, RG_NODES(n.u)), 0),
            *t = rg_at(rg_jvp(RG_NODES(loss), RG_NODES(n.u), RG_NODES(v)), 0);
    rg_node *product = total(rg_mul(d, v)), *h = rg_at(rg_hvp(loss, RG_NODES(n.u), RG_NODES(v)), 0);
    rg_node *h2 = rg_at(rg_grad(total(rg_mul(d, rg_stop_gradient(v))), RG_NODES(n.u)), 0);
    rg_plan *p = must_compile(n.g, RG_NODES(product, t, h, h2), &alone);
    network_bind(&n, p, T);
    must(rg_run(p));
    cr_expect(close_to(value_at(p, product, 0), value_at(p, t, 0), 1e-12), "%g and %g", value_at(p, product, 0),
              value_at(p, t, 0));
    expect_equal(p, h, p, h2, 1e-11, "Hessian times vector, forward over reverse and reverse over reverse");
    rg_plan *alone_p = must_compile(n.g, RG_NODES(t), &alone); /* values, and tangents from them: two loops */
    char *text = rg_plan_dump(alone_p);
    int loops = 0;
    for (const char *at = text; (at = strstr(at, "  next\n")); at++)
        loops++;
    cr_expect_eq(loops, 2, "%d loops:\n%s", loops, text);
    rg_text_free(text);
    rg_plan_free(alone_p);
    rg_plan_free(p);
    rg_graph_free(n.g);
}

/* The tangent of x + w, of which w alone has one, is none of the body's. */
Test(scan, tangents_from_outside_of_the_body)
{
    enum { STEPS = 3, WIDE = 2 };
    static const double v[WIDE] = {2, -3}, xs[STEPS * WIDE] = {0};
    rg_graph *g = rg_graph_new(NULL);
    rg_node *w = rg_param(g, "w", RG_F64, RG_SHAPE(WIDE), NULL);
    rg_scan *s = rg_scan_begin(g, NULL);
    rg_node *x = rg_scan_slice(s, rg_const(g, RG_F64, RG_SHAPE(STEPS, WIDE), xs)), *ys = rg_scan_stack(s, rg_add(x, w));
    rg_scan_end(s);
    rg_node *t = rg_at(rg_jvp(RG_NODES(ys), RG_NODES(w), RG_NODES(rg_const(g, RG_F64, RG_SHAPE(WIDE), v))), 0);
    rg_plan *p = must_compile(g, RG_NODES(t), &(rg_plan_opts){.threads = 1});
    must(rg_run(p));
    for (size_t i = 0; i < STEPS * WIDE; i++)
        cr_expect_eq(value_at(p, t, i), v[i % WIDE], "%zu: %g", i, value_at(p, t, i));
    rg_plan_free(p);
    rg_graph_free(g);
}

/* One plan, the time and the batch known when data is bound. */
Test(scan, named_time_and_batch)
{
    static network n;
    network_begin(&n, T);
    rg_node *xs = rg_input(n.g, "named_xs", RG_F64, RG_SHAPE(rg_dim(n.g, "time"), rg_dim(n.g, "batch"), I));
    rg_node *h0 = rg_zeros(n.g, RG_F64, RG_SHAPE(rg_dim(n.g, "batch"), H));
    rg_scan *s = rg_scan_begin(n.g, NULL);
    rg_node *x = rg_scan_slice(s, xs), *h = rg_scan_carry(s, h0), *next = cell(x, h, n.w, n.u, n.b);
    rg_scan_next(s, h, next);
    rg_node *states = rg_scan_stack(s, next), *last = rg_scan_last(s, h);
    rg_scan_end(s);
    const rg_nodes d = rg_grad(rg_add(rg_mean(rg_square(states), RG_ALL_AXES, false), total(last)), RG_NODES(n.w, xs));
    rg_plan *p = must_compile(n.g, RG_NODES(states, d.at[0], d.at[1]), &alone);
    const int64_t sizes[4][2] = {{T, B}, {2, 1}, {0, 2}, {T, B}};
    double first = 0;
    for (int k = 0; k < 4; k++) {
        const int64_t steps = sizes[k][0], batch = sizes[k][1];
        must(rg_bind_shape(p, xs, n.data, RG_SHAPE(steps, batch, I)));
        must(rg_run(p));
        rg_tensor t;
        must(rg_result(p, states, &t));
        cr_assert(rg_shape_equal(t.shape, RG_SHAPE(steps, batch, H)));
        /* the same with numbers */
        network m = n;
        m.xs = rg_input(n.g, (const char *[]){"xs0", "xs1", "xs2", "xs3"}[k], RG_F64, RG_SHAPE(steps, batch, I));
        m.h0 = rg_zeros(n.g, RG_F64, RG_SHAPE(batch, H));
        rg_node *plain_last, *plain = scanned(&m, false, &plain_last);
        const rg_nodes e =
            rg_grad(rg_add(rg_mean(rg_square(plain), RG_ALL_AXES, false), total(plain_last)), RG_NODES(n.w, m.xs));
        rg_plan *q = must_compile(n.g, RG_NODES(plain, e.at[0], e.at[1]), &alone);
        must(rg_bind(q, m.xs, n.data));
        must(rg_run(q));
        if (steps > 0) {
            expect_equal(p, states, q, plain, 0, "states");
            expect_equal(p, d.at[0], q, e.at[0], 0, "dW");
            expect_equal(p, d.at[1], q, e.at[1], 0, "dxs");
        }
        if (k == 0)
            first = value_at(p, d.at[0], 0);
        if (k == 3)
            cr_expect_eq(value_at(p, d.at[0], 0), first, "back to the first sizes");
        rg_plan_free(q);
    }
    rg_plan_free(p);
    rg_graph_free(n.g);
}

/* y[t] = sum over k of prod_{j <= k} (a x[t, j]): an inner scan for every step of an outer one that also carries. */
Test(scan, nested)
{
    enum { N = 4, M = 3 };
    rg_graph *g = rg_graph_new(NULL);
    rg_node *xs = rg_input(g, "xs", RG_F64, RG_SHAPE(N, M, 2)),
            *a = rg_param(g, "a", RG_F64, RG_SHAPE(2), &(rg_param_opts){.init = RG_ONES});
    rg_node *one = rg_ones(g, RG_F64, RG_SHAPE(2)), *zero = rg_zeros(g, RG_F64, RG_SHAPE(2));
    rg_scan *outer = rg_scan_begin(g, &(rg_scan_opts){.name = "outer"});
    rg_node *row = rg_scan_slice(outer, xs), *sum = rg_scan_carry(outer, zero);
    rg_scan *inner = rg_scan_begin(g, &(rg_scan_opts){.name = "inner"});
    rg_node *x = rg_scan_slice(inner, row), *product = rg_scan_carry(inner, rg_add(one, rg_scale(sum, 0.1)));
    rg_node *next = rg_mul(rg_mul(product, x), a);
    rg_scan_next(inner, product, next);
    rg_node *partial = rg_scan_stack(inner, next);
    rg_scan_end(inner);
    rg_node *y = rg_sum(partial, RG_AXES(0), false);
    rg_scan_next(outer, sum, rg_tanh(rg_add(sum, y)));
    rg_node *ys = rg_scan_stack(outer, y), *end = rg_scan_last(outer, sum);
    rg_scan_end(outer);

    rg_node *flat_sum = zero, *flat_y[N];
    for (int64_t t = 0; t < N; t++) {
        rg_node *r = rg_squeeze(rg_slice(xs, 0, t, t + 1), 0), *c = rg_add(one, rg_scale(flat_sum, 0.1)), *parts[M];
        for (int64_t j = 0; j < M; j++)
            parts[j] = c = rg_mul(rg_mul(c, rg_squeeze(rg_slice(r, 0, j, j + 1), 0)), a);
        flat_y[t] = rg_sum(rg_stack((rg_nodes){parts, M}, 0), RG_AXES(0), false);
        flat_sum = rg_tanh(rg_add(flat_sum, flat_y[t]));
    }
    rg_node *flat_ys = rg_stack((rg_nodes){flat_y, N}, 0);
    rg_node *losses[2] = {rg_add(total(rg_square(ys)), total(end)), rg_add(total(rg_square(flat_ys)), total(flat_sum))};
    rg_node *fetch[2][6];
    for (int k = 0; k < 2; k++) {
        const rg_nodes d = rg_grad(losses[k], RG_NODES(xs, a)), dd = rg_grad(rg_square_norm(d), RG_NODES(xs, a));
        cr_assert(d.n == 2 && dd.n == 2, "%s", rg_graph_error(g));
        rg_node *const list[6] = {k ? flat_ys : ys, k ? flat_sum : end, d.at[0], d.at[1], dd.at[0], dd.at[1]};
        memcpy(fetch[k], list, sizeof list);
    }
    rg_plan *p = must_compile(g, (rg_nodes){fetch[0], 6}, &alone),
            *q = must_compile(g, (rg_nodes){fetch[1], 6}, &alone);
    double data[N * M * 2];
    uint64_t state = 1;
    for (size_t i = 0; i < N * M * 2; i++)
        data[i] = 2 * sample_random(&state) - 1;
    must(rg_bind(p, xs, data));
    must(rg_bind(q, xs, data));
    must(rg_run(p));
    must(rg_run(q));
    static const char *const what[6] = {"ys", "last", "dxs", "da", "d2xs", "d2a"};
    for (size_t i = 0; i < 6; i++)
        expect_equal(p, fetch[0][i], q, fetch[1][i], i < 4 ? 1e-12 : 1e-11, what[i]);
    rg_plan_free(p);
    rg_plan_free(q);
    rg_graph_free(g);
}

/* Sequences of different lengths, sizes known late: kept states, zeros beyond the ends, stacks asked for early and
   late. */
Test(scan, ragged)
{
    enum { STEPS = 4, N = 3 };
    rg_graph *g = rg_graph_new(NULL);
    const int64_t batch = rg_dim(g, "batch");
    rg_node *xs = rg_input(g, "xs", RG_F64, RG_SHAPE(rg_dim(g, "time"), batch, 2, 2)),
            *lengths = rg_input(g, "lengths", RG_I32, RG_SHAPE(batch));
    for (int reverse = 0; reverse < 2; reverse++) {
        rg_scan *s = rg_scan_begin(g, &(rg_scan_opts){.lengths = lengths, .reverse = reverse});
        rg_node *x = rg_scan_slice(s, xs), *h = rg_scan_carry(s, rg_ones(g, RG_F64, RG_SHAPE(batch, 2, 2)));
        rg_node *next = rg_add(rg_scale(h, 2), x);
        rg_scan_next(s, h, next);
        rg_node *early = rg_scan_stack(s, next), *last = rg_scan_last(s, h);
        rg_scan_end(s);
        rg_node *late = rg_scan_stack(s, next), *loss = total(rg_add(rg_square(early), late));
        rg_node *dx = rg_at(rg_grad(rg_add(loss, total(last)), RG_NODES(xs)), 0);
        must(rg_graph_check(g));
        rg_plan *p = must_compile(g, RG_NODES(early, late, last, dx), &alone);
        double data[STEPS * N * 4];
        const int32_t n[N] = {4, 0, 2};
        for (int i = 0; i < STEPS * N * 4; i++)
            data[i] = 0.1 * i;
        must(rg_bind_shape(p, xs, data, RG_SHAPE(STEPS, N, 2, 2)));
        must(rg_bind_shape(p, lengths, n, RG_SHAPE(N)));
        must(rg_run(p));
        for (int b = 0; b < N; b++)
            for (int k = 0; k < 4; k++) {
                double state[STEPS + 1] = {1}, ct = 1; /* of the last state */
                for (int j = 0; j < n[b]; j++) {
                    const int t = reverse ? n[b] - 1 - j : j;
                    state[j + 1] = 2 * state[j] + data[(t * N + b) * 4 + k];
                }
                cr_expect_eq(value_at(p, last, (size_t)(b * 4 + k)), state[n[b]]);
                for (int j = STEPS - 1; j >= 0; j--) {
                    const int t = !reverse ? j : j < n[b] ? n[b] - 1 - j : j;
                    const size_t at = (size_t)((t * N + b) * 4 + k);
                    const double y = j < n[b] ? state[j + 1] : 0;
                    ct = j < n[b] ? ct + 2 * y + 1 : ct;
                    cr_expect_eq(value_at(p, early, at), y, "step %d of sequence %d", t, b);
                    cr_expect_eq(value_at(p, late, at), y, "step %d of sequence %d, late", t, b);
                    cr_expect(close_to(value_at(p, dx, at), j < n[b] ? ct : 0, 1e-14), "dx at %d of %d", t, b);
                    ct = j < n[b] ? 2 * ct : ct;
                }
            }
        rg_plan_free(p);
    }
    rg_graph_free(g);
}

/* Any node of the body may be projected after the end, a captured node among the results too. */
Test(scan, projections_after_the_end)
{
    static network n;
    network_begin(&n, T);
    rg_scan *s = rg_scan_begin(n.g, NULL);
    rg_node *x = rg_scan_slice(s, n.xs), *h = rg_scan_carry(s, n.h0),
            *before = rg_add(rg_matmul(x, n.w), rg_matmul(h, n.u));
    rg_node *next = rg_tanh(before);
    rg_scan_next(s, h, next);
    rg_scan_end(s);
    rg_node *all = rg_scan_stack(s, before), *states = rg_scan_stack(s, next), *olds = rg_scan_stack(s, h);
    cr_expect_eq(rg_scan_stack(s, before), all, "asked twice, one node");
    rg_plan *p = must_compile(n.g, RG_NODES(all, states, olds), &alone);
    must(rg_bind(p, n.xs, n.data));
    must(rg_bind(p, n.h0, n.init));
    must(rg_run(p));
    for (size_t i = 0; i < T * B * H; i++) {
        cr_expect(close_to(tanh(value_at(p, all, i)), value_at(p, states, i), 1e-14));
        cr_expect_eq(value_at(p, olds, i), i < B * H ? n.init[i] : value_at(p, states, i - B * H));
    }
    rg_plan_free(p);
    rg_graph_free(n.g);
}

/* A scan without carries is a map: per-example gradients are the gradients of each row. */
Test(scan, map_gives_per_example_gradients)
{
    enum { N = 5, D = 3 };
    rg_graph *g = rg_graph_new(NULL);
    rg_node *xs = rg_input(g, "xs", RG_F64, RG_SHAPE(N, D)), *w = rg_param(g, "w", RG_F64, RG_SHAPE(D), NULL);
    rg_scan *s = rg_scan_begin(g, &(rg_scan_opts){.name = "map"});
    rg_node *x = rg_scan_slice(s, xs), *loss = rg_tanh(rg_dot(x, w));
    rg_node *each = rg_scan_stack(s, rg_at(rg_grad(loss, RG_NODES(w)), 0));
    rg_scan_end(s);
    rg_plan *p = must_compile(g, RG_NODES(each, w), &alone);
    double data[N * D];
    uint64_t state = 4;
    for (size_t i = 0; i < N * D; i++)
        data[i] = 2 * sample_random(&state) - 1;
    must(rg_bind(p, xs, data));
    must(rg_run(p));
    for (size_t i = 0; i < N; i++) {
        double z = 0;
        for (size_t k = 0; k < D; k++)
            z += data[i * D + k] * value_at(p, w, k);
        for (size_t k = 0; k < D; k++)
            cr_expect(close_to(value_at(p, each, i * D + k), (1 - tanh(z) * tanh(z)) * data[i * D + k], 1e-14));
    }
    rg_plan_free(p);
    rg_graph_free(g);
}

/* Two carries that swap, two sequences, integers beside floats. */
Test(scan, several_carries_and_types)
{
    rg_graph *g = rg_graph_new(NULL);
    rg_node *xs = rg_input(g, "xs", RG_F32, RG_SHAPE(T)), *ks = rg_input(g, "ks", RG_I64, RG_SHAPE(T));
    rg_scan *s = rg_scan_begin(g, NULL);
    rg_node *x = rg_scan_slice(s, xs), *k = rg_scan_slice(s, ks);
    rg_node *a = rg_scan_carry(s, rg_scalar(g, RG_F32, 1)), *b = rg_scan_carry(s, rg_scalar(g, RG_F32, 2)),
            *n = rg_scan_carry(s, rg_scalar(g, RG_I64, 0));
    rg_scan_next(s, a, b);
    rg_scan_next(s, b, rg_add(a, x));
    rg_scan_next(s, n, rg_add(n, k));
    rg_node *as = rg_scan_stack(s, a), *ns = rg_scan_stack(s, n), *last = rg_scan_last(s, n), *end = rg_scan_last(s, b);
    rg_scan_end(s);
    rg_plan *p = must_compile(g, RG_NODES(as, ns, last, end), &alone);
    const float xd[T] = {10, 20, 30, 40, 50, 60};
    const int64_t kd[T] = {1, 2, 3, 4, 5, 6};
    must(rg_bind(p, xs, xd));
    must(rg_bind(p, ks, kd));
    must(rg_run(p));
    double u = 1, v = 2, sum = 0;
    for (size_t t = 0; t < T; t++) {
        cr_expect_eq(value_at(p, as, t), u);
        cr_expect_eq(value_at(p, ns, t), sum);
        const double w = u + xd[t];
        u = v;
        v = w;
        sum += (double)kd[t];
    }
    cr_expect_eq(value_at(p, last, 0), sum);
    cr_expect_eq(value_at(p, end, 0), v);
    rg_plan_free(p);
    rg_graph_free(g);
}

/* A training step through time inside one plan, twice, against itself on more threads. */
Test(scan, trains_bit_for_bit_on_any_number_of_threads)
{
    double last[4] = {0};
    for (int threads = 1; threads <= 4; threads++) {
        static network n;
        network_begin(&n, T);
        rg_node *end, *states = scanned(&n, false, &end), *loss = loss_of(&n, states, end);
        rg_node *step = rg_sgd(loss, &(rg_sgd_opts){.lr = 0.05});
        rg_plan *p = must_compile(n.g, RG_NODES(loss, step), &(rg_plan_opts){.threads = threads});
        network_bind(&n, p, T);
        double first = 0;
        for (int i = 0; i < 20; i++) {
            must(rg_run(p));
            if (i == 0)
                first = value_at(p, loss, 0);
        }
        last[threads - 1] = value_at(p, loss, 0);
        cr_expect(last[threads - 1] < first, "%g, then %g", first, last[threads - 1]);
        cr_expect_eq(last[threads - 1], last[0], "%d threads", threads);
        rg_plan_free(p);
        rg_graph_free(n.g);
    }
}

/* What a step reads of a constant sequence is not a constant. */
Test(scan, along_a_constant)
{
    static const double rows[6] = {1, 2, 3, 4, 5, 6};
    rg_graph *g = rg_graph_new(NULL);
    rg_scan *s = rg_scan_begin(g, NULL);
    rg_node *x = rg_scan_slice(s, rg_const(g, RG_F64, RG_SHAPE(3, 2), rows)),
            *h = rg_scan_carry(s, rg_zeros(g, RG_F64, RG_SHAPE(2)));
    rg_node *square = rg_square(rg_transpose(rg_reshape(x, RG_SHAPE(1, 2)), RG_ALL_AXES));
    rg_scan_next(s, h, rg_add(h, rg_square(x)));
    rg_node *squares = rg_scan_stack(s, square), *sum = rg_scan_last(s, h);
    rg_scan_end(s);
    rg_plan *p = must_compile(g, RG_NODES(squares, sum), &alone);
    must(rg_run(p));
    for (size_t i = 0; i < 6; i++)
        cr_expect_eq(value_at(p, squares, i), rows[i] * rows[i]);
    cr_expect_eq(value_at(p, sum, 0), 1 + 9 + 25);
    cr_expect_eq(value_at(p, sum, 1), 4 + 16 + 36);
    rg_plan_free(p);
    rg_graph_free(g);
}

enum { MANY = 70 };

/* The sum of i + 1 times input i, in its order. */
static rg_status run_weighed(const rg_step *step, size_t begin, size_t end)
{
    (void)begin;
    (void)end;
    double sum = 0;
    for (uint32_t i = 0; i < step->n_in; i++)
        sum += (i + 1) * *(const double *)step->in[i];
    *(double *)step->out[0] = sum;
    return RG_OK;
}

static const rg_op weighed = {
    .name = "weighed", .n_in = -1, .n_out = 1, .dtypes = RG_DT_FLOATS, .infer = rg_infer_same, .run = run_weighed};

/* An op of a program's own has as many operands in a loop as elsewhere. */
Test(scan, ops_of_many_operands)
{
    for (int count = 60; count <= MANY; count += 5) {
        rg_graph *g = rg_graph_new(NULL);
        rg_node *xs = rg_input(g, "xs", RG_F64, RG_SHAPE(T));
        rg_scan *s = rg_scan_begin(g, NULL);
        rg_node *x = rg_scan_slice(s, xs), *h = rg_scan_carry(s, rg_scalar(g, RG_F64, 1)), *in[MANY];
        for (int i = 0; i < count; i++)
            in[i] = i % 3 ? x : h;
        rg_node *sum = rg_apply(&weighed, (rg_nodes){in, (size_t)count}, NULL), *sums = rg_scan_stack(s, sum);
        rg_scan_next(s, h, rg_add(h, x));
        rg_scan_end(s);
        rg_plan *p = must_compile(g, RG_NODES(sums), &alone);
        const double data[T] = {3, -1, 4, 1, -5, 9};
        must(rg_bind(p, xs, data));
        must(rg_run(p));
        double state = 1;
        for (size_t t = 0; t < T; t++) {
            double want = 0;
            for (int i = 0; i < count; i++)
                want += (i + 1) * (i % 3 ? data[t] : state);
            cr_expect_eq(value_at(p, sums, t), want, "%d operands, step %zu", count, t);
            state += data[t];
        }
        rg_plan_free(p);
        rg_graph_free(g);
    }
}
