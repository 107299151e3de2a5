/* test_segments.c - recurrences whose reverse pass keeps less: the gradients of the reverse that keeps everything, to
   the last bit, in less memory. */
#include "must.h"
#include "waves.h"

#include <string.h>

enum { B = 3, I = 4, H = 5, WRT = 7 };

/* A scan in which a capture is used in every way: twice, transposed, broadcast, through an inner scan, and stacked
   alone; draws too. */
typedef struct network {
    rg_graph *g;
    rg_node *loss, *wrt[WRT], *states;
} network;

static rg_node *total(rg_node *x)
{
    return rg_sum(x, RG_ALL_AXES, false);
}

static rg_node *step_of(const network *n, rg_node *x, rg_node *h)
{
    rg_node *const *w = n->wrt;
    rg_node *z = rg_add(rg_matmul(h, w[2]), rg_matmul_t(rg_sin(h), false, w[2], true));
    z = rg_add(rg_add(z, rg_linear(x, w[1], w[3])), rg_sum(w[4], RG_AXES(1), true));
    rg_scan *inner = rg_scan_begin(n->g, &(rg_scan_opts){.name = "inner"});
    rg_node *v = rg_scan_slice(inner, rg_mul(z, w[5])),
            *sum = rg_scan_carry(inner, rg_squeeze(rg_slice(z, 0, 0, 1), 0));
    rg_scan_next(inner, sum, rg_tanh(rg_add(rg_mul(sum, w[3]), v)));
    rg_node *end = rg_scan_last(inner, sum);
    rg_scan_end(inner);
    return rg_nn_dropout(rg_tanh(rg_add(z, end)), 0.3);
}

static network network_new(rg_dtype dtype, int64_t steps, rg_scan_opts opts)
{
    network n = {.g = rg_graph_new(&(rg_graph_opts){.seed = 4})};
    const rg_shape shapes[WRT] = {RG_SHAPE(steps, B, I), RG_SHAPE(H, I), RG_SHAPE(H, H), RG_SHAPE(H),
                                  RG_SHAPE(B, H),        RG_SCALAR,      RG_SHAPE(2, H)};
    for (int k = 0; k < WRT; k++) {
        n.wrt[k] = rg_param(n.g, (const char *[]){"xs", "w", "u", "b", "h0", "a", "c"}[k], dtype, shapes[k], NULL);
        set_wave(n.wrt[k], 0.7 + 0.1 * k, k);
    }
    opts.name = "outer";
    rg_scan *s = rg_scan_begin(n.g, &opts);
    rg_node *x = rg_scan_slice(s, n.wrt[0]), *h = rg_scan_carry(s, n.wrt[4]), *q = rg_scan_carry(s, n.wrt[6]);
    rg_node *next = step_of(&n, x, h);
    rg_scan_next(s, h, next);
    rg_scan_next(s, q, rg_sin(rg_add(q, rg_slice(next, 0, 0, 2))));
    n.states = rg_scan_stack(s, next);
    rg_node *qs = rg_scan_stack(s, q), *same = rg_scan_stack(s, n.wrt[3]);
    rg_node *last = rg_scan_last(s, q);
    rg_scan_end(s);
    n.loss = rg_add(rg_add(total(rg_square(n.states)), total(rg_sin(qs))), rg_add(total(rg_exp(last)), total(same)));
    return n;
}

/* A plan that has computed the gradients, d[0 ..], and those of their norm, d[WRT ..] if asked for. */
static rg_plan *run_gradients(const network *n, bool second, int threads, rg_node *d[2 * WRT])
{
    const rg_nodes wrt = {n->wrt, WRT}, first = rg_grad(n->loss, wrt);
    cr_assert_eq(first.n, WRT, "%s", rg_graph_error(n->g));
    memcpy(d, first.at, sizeof(rg_node *) * WRT);
    if (second) {
        const rg_nodes dd = rg_grad(rg_square_norm(first), wrt);
        cr_assert_eq(dd.n, WRT, "%s", rg_graph_error(n->g));
        memcpy(d + WRT, dd.at, sizeof(rg_node *) * WRT);
    }
    must(rg_graph_check(n->g));
    rg_plan *p = must_compile(n->g, (rg_nodes){d, second ? 2 * WRT : WRT},
                              &(rg_plan_opts){.threads = threads, .mode = RG_TRAIN});
    must(rg_run(p));
    return p;
}

/* With everything kept on one thread, and as `opts` says on two. */
static void compare(rg_dtype dtype, int64_t steps, rg_scan_opts opts, bool second)
{
    rg_node *a[2 * WRT], *b[2 * WRT];
    network n = network_new(dtype, steps, (rg_scan_opts){.reverse = opts.reverse}), m = network_new(dtype, steps, opts);
    rg_plan *p = run_gradients(&n, second, 1, a), *q = run_gradients(&m, second, 2, b);
    for (size_t k = 0; k < WRT; k++) {
        const int64_t count = rg_shape_count(rg_shape_of(n.wrt[k]));
        cr_assert_eq(memcmp(rg_data(p, a[k]), rg_data(q, b[k]), (size_t)count * rg_dtype_size(dtype)), 0,
                     "%d steps, keep_every %d, keep_bytes %zu, reverse %d: d %s, %.17g and %.17g first", (int)steps,
                     (int)opts.keep_every, opts.keep_bytes, opts.reverse, rg_name(n.wrt[k]), value_at(p, a[k], 0),
                     value_at(q, b[k], 0));
        for (int64_t i = 0; second && i < count; i++)
            expect_close(value_at(q, b[WRT + k], (size_t)i), value_at(p, a[WRT + k], (size_t)i), 1e-11, "second", k);
    }
    rg_plan_free(p);
    rg_plan_free(q);
    rg_graph_free(n.g);
    rg_graph_free(m.g);
}

Test(segments, gradients_have_the_same_bits)
{
    static const int64_t steps[] = {0, 1, 2, 7, 12}, every[] = {1, 2, 3, 5, 12, 100, RG_KEEP_SQRT};
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++)
        for (size_t k = 0; k < sizeof every / sizeof *every; k++) {
            const rg_scan_opts opts = {.keep_every = every[k], .reverse = (i + k) % 2};
            compare(i % 2 ? RG_F32 : RG_F64, steps[i], opts, false);
        }
}

/* Budgets so small that not even the starts of segments are kept. */
Test(segments, within_a_budget)
{
    static const size_t bytes[] = {1, 1500, 3000, 6000, 12000, 1000000};
    static const int64_t steps[] = {0, 1, 2, 29, 36};
    for (size_t k = 0; k < sizeof bytes / sizeof *bytes; k++)
        for (size_t i = 0; i < sizeof steps / sizeof *steps; i++)
            for (int reverse = 0; reverse < 2; reverse++)
                compare(RG_F32, steps[i], (rg_scan_opts){.keep_bytes = bytes[k], .reverse = reverse}, false);
}

Test(segments, second_derivatives)
{
    for (int reverse = 0; reverse < 2; reverse++) {
        compare(RG_F64, 7, (rg_scan_opts){.keep_every = 3, .reverse = reverse}, true);
        compare(RG_F64, 6, (rg_scan_opts){.keep_every = 2, .reverse = reverse}, true);
        compare(RG_F64, 11, (rg_scan_opts){.keep_bytes = 1, .reverse = reverse}, true);
        compare(RG_F64, 13, (rg_scan_opts){.keep_bytes = 15000, .reverse = reverse}, true);
    }
}

/* Forward over reverse: what the reverse of the inner scan reads was asked for when the outer body had ended. */
static void compare_modes(rg_scan_opts opts)
{
    network n = network_new(RG_F64, 7, opts);
    rg_node *v[WRT], *dot = rg_scalar(n.g, RG_F64, 0), *fetch[2 * WRT + 2];
    const rg_nodes wrt = {n.wrt, WRT}, d = rg_grad(n.loss, wrt);
    cr_assert_eq(d.n, WRT, "%s", rg_graph_error(n.g));
    for (int k = 0; k < WRT; k++) {
        v[k] = rg_stop_gradient(rg_cos(n.wrt[k]));
        dot = rg_add(dot, total(rg_mul(d.at[k], v[k])));
    }
    const rg_nodes reverse = rg_grad(dot, wrt), forward = rg_hvp(n.loss, wrt, (rg_nodes){v, WRT});
    cr_assert(reverse.n == WRT && forward.n == WRT, "%s", rg_graph_error(n.g));
    memcpy(fetch, reverse.at, sizeof(rg_node *) * WRT);
    memcpy(fetch + WRT, forward.at, sizeof(rg_node *) * WRT);
    rg_node *hessian = fetch[2 * WRT] = rg_hessian(n.loss, n.wrt[3]);
    rg_node *row = fetch[2 * WRT + 1] = rg_grad(total(rg_slice(d.at[3], 0, 1, 2)), RG_NODES(n.wrt[3])).at[0];
    must(rg_graph_check(n.g));
    rg_plan *p = must_compile(n.g, (rg_nodes){fetch, 2 * WRT + 2}, &(rg_plan_opts){.threads = 2, .mode = RG_TRAIN});
    must(rg_run(p));
    for (size_t k = 0; k < WRT; k++)
        for (int64_t i = 0; i < rg_shape_count(rg_shape_of(n.wrt[k])); i++)
            expect_close(value_at(p, forward.at[k], (size_t)i), value_at(p, reverse.at[k], (size_t)i), 1e-11, "hvp", k);
    for (size_t i = 0; i < H; i++)
        expect_close(value_at(p, hessian, H + i), value_at(p, row, i), 1e-11, "hessian", i);
    rg_plan_free(p);
    rg_graph_free(n.g);
}

Test(segments, forward_over_reverse)
{
    for (int reverse = 0; reverse < 2; reverse++) {
        compare_modes((rg_scan_opts){.reverse = reverse});
        compare_modes((rg_scan_opts){.keep_every = 3, .reverse = reverse});
        compare_modes((rg_scan_opts){.keep_bytes = 1, .reverse = reverse});
    }
}

/* A loss that holds a gradient, written once more in another graph to be checked. */
Test(segments, penalties_are_checked)
{
    for (int64_t every = 0; every < 3; every += 2) {
        rg_graph *g = rg_graph_new(NULL);
        rg_node *xs = rg_param(g, "xs", RG_F64, RG_SHAPE(4, 3, 2), NULL),
                *a = rg_param(g, "a", RG_F64, RG_SHAPE(2), NULL);
        set_wave(xs, 0.7, 1);
        set_wave(a, 0.9, 2);
        rg_scan *s = rg_scan_begin(g, &(rg_scan_opts){.keep_every = every});
        rg_node *x = rg_scan_slice(s, xs), *h = rg_scan_carry(s, rg_zeros(g, RG_F64, RG_SHAPE(3, 2)));
        rg_scan *inner = rg_scan_begin(g, NULL);
        rg_node *row = rg_scan_slice(inner, rg_add(x, h)), *sum = rg_scan_carry(inner, a);
        rg_scan_next(inner, sum, rg_tanh(rg_add(rg_mul(sum, a), row)));
        rg_node *end = rg_scan_last(inner, sum);
        rg_scan_end(inner);
        rg_scan_next(s, h, rg_tanh(rg_mul(rg_add(x, h), end)));
        rg_node *last = rg_scan_last(s, h);
        rg_scan_end(s);
        const rg_nodes wrt = RG_NODES(xs, a);
        rg_grad_check_report report;
        must(rg_grad_check(rg_square_norm(rg_grad(total(rg_square(last)), wrt)), wrt, NULL, &report));
        rg_graph_free(g);
    }
}

/* What lies outside of a body can be stacked in it; so can its tangents, and those of all directions at once. */
Test(segments, stacks_of_what_lies_outside)
{
    rg_graph *g = rg_graph_new(NULL);
    rg_node *b = rg_param(g, "b", RG_F64, RG_SHAPE(3), NULL);
    set_wave(b, 0.7, 1);
    rg_scan *s = rg_scan_begin(g, NULL);
    (void)rg_scan_slice(s, rg_zeros(g, RG_F64, RG_SHAPE(4)));
    rg_node *y = rg_scan_stack(s, rg_sin(b));
    rg_scan_end(s);
    const rg_nodes t = rg_jvp(RG_NODES(y), RG_NODES(b), RG_NODES(rg_exp(b)));
    rg_node *jacobian = rg_jacobian(y, b);
    cr_assert(t.n == 1 && jacobian, "%s", rg_graph_error(g));
    must(rg_graph_check(g));
    rg_grad_check_report report;
    must(rg_grad_check(total(rg_square(y)), RG_NODES(b), NULL, &report));
    rg_plan *p = compile(g, RG_NODES(t.at[0], jacobian), RG_EVAL);
    run(p);
    for (size_t i = 0; i < 12; i++) {
        const double x = value_of(b, i % 3);
        expect_close(value_at(p, t.at[0], i), cos(x) * exp(x), 1e-12, "jvp", i);
        for (size_t k = 0; k < 3; k++)
            expect_close(value_at(p, jacobian, 3 * i + k), i % 3 == k ? cos(x) : 0, 1e-12, "jacobian", i);
    }
    rg_plan_free(p);
    rg_graph_free(g);
}

/* A layer: ragged sequences, two directions, a named number of steps that is promised to be a multiple where segments
   are of so many. */
Test(segments, layers)
{
    enum { WAYS = 6 };
    static const rg_rnn_opts ways[WAYS] = {{.keep_every = 0},    {.keep_every = 4},    {.keep_bytes = 1},
                                           {.keep_bytes = 1000}, {.keep_bytes = 3000}, {.keep_bytes = 9000}};
    double got[WAYS] = {0};
    for (int k = 0; k < WAYS; k++) {
        rg_graph *g = rg_graph_new(NULL);
        const int64_t time = k == 3 ? rg_dim(g, "time") : rg_dim_multiple(g, "time", 4);
        rg_node *xs = rg_input(g, "xs", RG_F32, RG_SHAPE(time, rg_dim(g, "batch"), I));
        rg_node *lengths = rg_input(g, "lengths", RG_I32, RG_SHAPE(rg_dim(g, "batch")));
        rg_node *ys = rg_nn_lstm(xs, "net", H,
                                 &(rg_rnn_opts){.layers = 2,
                                                .bidirectional = true,
                                                .lengths = lengths,
                                                .keep_every = ways[k].keep_every,
                                                .keep_bytes = ways[k].keep_bytes});
        const rg_nodes d = rg_grad(total(rg_square(ys)), rg_params(g));
        rg_node *sum = rg_square_norm(d);
        rg_plan *p = must_compile(g, RG_NODES(sum), &(rg_plan_opts){.threads = 1 + k % 3});
        static float data[12 * B * I];
        const int32_t n[B] = {12, 5, 7};
        for (int i = 0; i < 12 * B * I; i++)
            data[i] = sinf((float)i);
        must(rg_bind_shape(p, xs, data, RG_SHAPE(12, B, I)));
        must(rg_bind_shape(p, lengths, n, RG_SHAPE(B)));
        must(rg_run(p));
        got[k] = value_at(p, sum, 0);
        cr_expect_eq(got[k], got[0], "way %d: %.9g and %.9g", k, got[k], got[0]);
        rg_plan_free(p);
        rg_graph_free(g);
    }
}

/* Bytes and lines of a plan that trains an LSTM over so many steps. */
static size_t plan_of(int64_t steps, int64_t keep_every, size_t keep_bytes, int *lines)
{
    rg_graph *g = rg_graph_new(NULL);
    rg_node *xs = rg_input(g, "xs", RG_F32, RG_SHAPE(steps, 1, 8)), *last[2];
    rg_node *ys =
        rg_nn_lstm(xs, "net", 16, &(rg_rnn_opts){.keep_every = keep_every, .keep_bytes = keep_bytes, .last = last});
    rg_node *loss = total(rg_square(last[0]));
    rg_node *step = rg_sgd(loss, &(rg_sgd_opts){.lr = 1e-3});
    rg_plan *p = must_compile(g, RG_NODES(loss, step), &(rg_plan_opts){.threads = 1});
    cr_assert(ys);
    static float data[10000 * 8];
    must(rg_bind(p, xs, data));
    must(rg_plan_prepare(p));
    const size_t bytes = rg_plan_bytes(p);
    char *text = rg_plan_dump(p);
    *lines = 0;
    for (const char *at = text; (at = strchr(at, '\n')); at++)
        ++*lines;
    rg_text_free(text);
    rg_plan_free(p);
    rg_graph_free(g);
    return bytes;
}

/* Memory grows with the square root of the number of steps, the program not at all. */
Test(segments, memory_and_code)
{
    int lines[3];
    const size_t all = plan_of(10000, 0, 0, &lines[0]), root = plan_of(10000, RG_KEEP_SQRT, 0, &lines[1]),
                 less = plan_of(625, RG_KEEP_SQRT, 0, &lines[2]);
    cr_expect(root * 12 < all, "%zu bytes keeping everything, %zu with segments", all, root);
    cr_expect(root < less * 5, "%zu bytes for 10000 steps, %zu for 625", root, less);
    cr_expect_eq(lines[1], lines[2]);
}

/* A budget is kept to, what products work in not counted; the program does not grow as it gets less. */
Test(segments, memory_of_a_budget)
{
    static const size_t budget[] = {100000000, 1000000, 100000, 30000};
    int lines[4], few;
    size_t bytes[4];
    const size_t work = plan_of(10, 0, 0, &few);
    for (int k = 0; k < 4; k++) {
        bytes[k] = plan_of(10000, 0, budget[k], &lines[k]) - work;
        cr_expect(bytes[k] <= budget[k], "a budget of %zu: %zu bytes", budget[k], bytes[k]);
        cr_expect(k == 0 || bytes[k] < bytes[k - 1], "a budget of %zu: %zu bytes; %zu with a larger one", budget[k],
                  bytes[k], k ? bytes[k - 1] : 0);
        cr_expect(k < 2 || lines[k] == lines[2], "a budget of %zu: %d lines, %d with a larger one", budget[k], lines[k],
                  lines[2]);
    }
}

/* Lengths near the square root are taken where they leave nothing over: no copy of what is left. The sequence is read
   where it lies, whether they do or not. */
Test(segments, lengths_that_divide)
{
    int even, odd;
    const size_t divisible = plan_of(9960, RG_KEEP_SQRT, 0, &even), prime = plan_of(9967, RG_KEEP_SQRT, 0, &odd);
    cr_expect(even < odd && divisible < prime && prime < 9000 * 8 * 4, "%d and %d lines, %zu and %zu bytes", even, odd,
              divisible, prime);
}

Test(segments, errors)
{
    static const struct {
        rg_scan_opts opts;
        int64_t multiple;
        const char *text;
    } rows[] = {
        {{.keep_every = -2}, 0, "keep_every is -2"},
        {{.keep_every = 2, .keep_bytes = 100}, 0, "both keep_every and keep_bytes"},
        {{.keep_every = RG_KEEP_SQRT}, 1, "RG_KEEP_SQRT needs a number of steps that is known"},
        {{.keep_every = 3}, 2, "not promised to be a multiple of keep_every = 3"},
    };
    for (size_t r = 0; r < sizeof rows / sizeof *rows; r++) {
        rg_graph *g = rg_graph_new(NULL);
        const int64_t steps = rows[r].multiple ? rg_dim_multiple(g, "time", rows[r].multiple) : 4;
        rg_node *xs = rg_input(g, "xs", RG_F32, RG_SHAPE(steps, 2));
        rg_scan *s = rg_scan_begin(g, &rows[r].opts);
        rg_node *x = rg_scan_slice(s, xs), *h = rg_scan_carry(s, rg_zeros(g, RG_F32, RG_SHAPE(2)));
        rg_scan_next(s, h, rg_tanh(rg_add(h, x)));
        rg_node *last = rg_scan_last(s, h);
        rg_scan_end(s);
        cr_expect_eq(rg_grad(total(last), RG_NODES(xs)).n, 0);
        cr_assert(rg_graph_error(g) && strstr(rg_graph_error(g), rows[r].text), "row %zu: %s", r, rg_graph_error(g));
        rg_graph_free(g);
    }
}
