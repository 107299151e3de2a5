/* test_window.c - slices and joins in the body of a loop: no steps of their own, and the same bits as with them. */
#include "must.h"

#include <stdlib.h>

enum { T = 5, B = 3, I = 6, H = 4 };

typedef struct fetched {
    rg_graph *g;
    rg_node *xs, *at[24];
    size_t n;
} fetched;

static float *numbers(size_t n)
{
    float *x = malloc((n + 1) * sizeof *x);
    for (size_t i = 0; x && i < n; i++)
        x[i] = sinf((float)(i * i) + 0.3f);
    return x;
}

/* Bit for bit as the plan that does every step as it was written, for any number of threads. */
static void expect_same(const fetched *f, int64_t steps)
{
    cr_assert(!rg_graph_error(f->g), "%s", rg_graph_error(f->g));
    float *data = numbers(T * B * I);
    rg_plan *plain = must_compile(f->g, (rg_nodes){f->at, f->n}, &(rg_plan_opts){.threads = 1, .no_fuse = true});
    must(rg_bind_shape(plain, f->xs, data, RG_SHAPE(steps, B, I)));
    must(rg_run(plain));
    for (int threads = 1; threads <= 2; threads++) {
        rg_plan *p = must_compile(f->g, (rg_nodes){f->at, f->n}, &(rg_plan_opts){.threads = threads});
        must(rg_bind_shape(p, f->xs, data, RG_SHAPE(steps, B, I)));
        must(rg_run(p));
        for (size_t k = 0; k < f->n; k++) {
            rg_tensor a, b;
            must(rg_result(p, f->at[k], &a));
            must(rg_result(plain, f->at[k], &b));
            const size_t bytes = (size_t)rg_shape_count(a.shape) * rg_dtype_size(a.dtype);
            cr_expect(bytes == 0 || memcmp(a.data, b.data, bytes) == 0, "result %zu, %d steps, %d threads", k,
                      (int)steps, threads);
        }
        rg_plan_free(p);
    }
    rg_plan_free(plain);
    free(data);
}

/* A layer with all its derivatives, and those of a function of them. */
static fetched layer(rg_node *(*make)(rg_node *, const char *, int64_t, const rg_rnn_opts *))
{
    fetched f = {.g = rg_graph_new(&(rg_graph_opts){.seed = 7})};
    f.xs = rg_input(f.g, "xs", RG_F32, RG_SHAPE(rg_dim(f.g, "time"), B, I));
    f.at[f.n++] = make(f.xs, "net", H, NULL);
    const rg_nodes d = rg_grad(rg_sum(rg_square(f.at[0]), RG_ALL_AXES, false), rg_params(f.g));
    for (size_t i = 0; i < d.n; i++)
        f.at[f.n++] = d.at[i];
    f.at[f.n++] = rg_at(rg_grad(rg_square_norm(d), RG_NODES(f.xs)), 0);
    return f;
}

/* Whether the loops of a plan have a step of the op. */
static bool loops_have(const fetched *f, size_t n, const char *what)
{
    rg_plan *p = must_compile(f->g, (rg_nodes){f->at, n}, NULL);
    char *text = rg_plan_dump(p);
    cr_assert(text, "%s", rg_last_error());
    int depth = 0;
    bool found = false;
    for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
        depth += strstr(line, " loop '") != NULL;
        depth -= strstr(line, " next") != NULL;
        found = found || (depth && strstr(line, what));
    }
    rg_text_free(text);
    rg_plan_free(p);
    return found;
}

Test(window, gates_are_read_and_written_in_place)
{
    fetched f[] = {layer(rg_nn_lstm), layer(rg_nn_gru), layer(rg_nn_gru_cho), layer(rg_nn_cifg)};
    for (size_t i = 0; i < sizeof f / sizeof *f; i++) {
        cr_expect(!loops_have(&f[i], 1, "= slice("), "cell %zu copies slices forward", i);
        if (i != 2) /* Cho's gates have gradients of their own groups and shapes */
            cr_expect(!loops_have(&f[i], f[i].n - 1, "= concat("), "cell %zu joins what is joined already", i);
        expect_same(&f[i], T);
        expect_same(&f[i], 1);
        expect_same(&f[i], 0);
        rg_graph_free(f[i].g);
    }
}

/* A group that one other reads goes into it: of Cho's unit are left the bias, the gates, the gated
   state and the rest. */
Test(window, groups_are_gathered)
{
    fetched f = layer(rg_nn_gru_cho);
    rg_plan *p = must_compile(f.g, (rg_nodes){f.at, 1}, NULL);
    char *text = rg_plan_dump(p);
    cr_assert(text, "%s", rg_last_error());
    int groups = 0;
    for (const char *at = text; (at = strstr(at, "fused")); at++)
        groups++;
    cr_expect_eq(groups, 4, "%d groups:\n%s", groups, text);
    rg_text_free(text);
    rg_plan_free(p);
    expect_same(&f, T);
    rg_graph_free(f.g);
}

/* Slices that are wanted as they are: by a product, as a carry's next value, stacked, sliced again, from a constant. */
Test(window, slices_that_must_be_dense)
{
    fetched f = {.g = rg_graph_new(NULL)};
    f.xs = rg_input(f.g, "xs", RG_F32, RG_SHAPE(rg_dim(f.g, "time"), B, I));
    rg_node *w = rg_param(f.g, "w", RG_F32, RG_SHAPE(2, 2), NULL),
            *u = rg_param(f.g, "u", RG_F32, RG_SHAPE(2, I), NULL);
    rg_scan *s = rg_scan_begin(f.g, NULL);
    rg_node *x = rg_scan_slice(s, f.xs), *h = rg_scan_carry(s, rg_zeros(f.g, RG_F32, RG_SHAPE(B, 2)));
    rg_node *y = rg_tanh(rg_add(x, rg_matmul(h, u))), *left = rg_slice(y, 1, 0, 2), *right = rg_slice(y, 1, 2, 6);
    rg_node *product = rg_matmul(rg_slice(y, 1, 1, 3), w), *inner = rg_slice(right, 1, 1, 3);
    rg_node *every = rg_slice_step(y, 1, 0, RG_END, 3);
    rg_node *rows = rg_slice(rg_slice(y, 0, 1, 2), 1, 3, 5),
            *sum = rg_add(rg_add(rg_mul(left, product), rg_exp(inner)), rg_mul(rows, every));
    rg_scan_next(s, h, rg_slice(rg_concat(RG_NODES(sum, left), 1), 1, 1, 3));
    f.at[f.n++] = rg_scan_stack(s, right);
    f.at[f.n++] = rg_scan_stack(s, sum);
    f.at[f.n++] = rg_scan_last(s, h);
    rg_scan_end(s);
    const rg_nodes d =
        rg_grad(rg_add(rg_sum(f.at[1], RG_ALL_AXES, false), rg_sum(f.at[0], RG_ALL_AXES, false)), RG_NODES(w, u, f.xs));
    for (size_t i = 0; i < d.n; i++)
        f.at[f.n++] = d.at[i];
    expect_same(&f, T);
    expect_same(&f, 0);
    rg_graph_free(f.g);
}

/* Slices that an op spreads over more axes, or along one of its own, as the examples of a Jacobian do. */
Test(window, slices_that_are_spread)
{
    fetched f = {.g = rg_graph_new(NULL)};
    f.xs = rg_input(f.g, "xs", RG_F32, RG_SHAPE(rg_dim(f.g, "time"), B, I));
    rg_node *more = rg_param(f.g, "more", RG_F32, RG_SHAPE(5, 1, 1), NULL),
            *rows = rg_param(f.g, "rows", RG_F32, RG_SHAPE(4, 1, 2), NULL);
    float *data = numbers(8);
    must(rg_set(more, &(rg_tensor){.dtype = RG_F32, .shape = RG_SHAPE(5, 1, 1), .data = data}));
    must(rg_set(rows, &(rg_tensor){.dtype = RG_F32, .shape = RG_SHAPE(4, 1, 2), .data = data}));
    rg_scan *s = rg_scan_begin(f.g, NULL);
    rg_node *x = rg_scan_slice(s, f.xs), *h = rg_scan_carry(s, rg_zeros(f.g, RG_F32, RG_SHAPE(5, B, 2)));
    rg_node *y = rg_tanh(rg_add(x, rg_sum(h, RG_ALL_AXES, false)));
    rg_node *next = rg_mul(more, rg_slice(y, 1, 2, 4)), *last = rg_add(rows, rg_slice(rg_slice(y, 0, 1, 2), 1, 0, 2));
    rg_scan_next(s, h, next);
    f.at[f.n++] = rg_scan_stack(s, next);
    f.at[f.n++] = rg_scan_stack(s, rg_mul(last, rg_sum(next, RG_ALL_AXES, false)));
    rg_scan_end(s);
    rg_node *all = rg_sum(rg_square(rg_nn_gru(f.xs, "net", H, NULL)), RG_ALL_AXES, false);
    const rg_nodes weights = rg_params(f.g); /* more, rows, then those of the layer */
    f.at[f.n++] = rg_jacobian(rg_at(rg_grad(all, RG_NODES(rg_at(weights, 3))), 0), rg_at(weights, 5));
    expect_same(&f, T);
    expect_same(&f, 1);
    free(data);
    rg_graph_free(f.g);
}

/* What is joined is also stacked by way of a slice of the join, and spread over more elements. */
Test(window, joins_of_what_is_stacked_or_spread)
{
    fetched f = {.g = rg_graph_new(NULL)};
    f.xs = rg_input(f.g, "xs", RG_F32, RG_SHAPE(rg_dim(f.g, "time"), B, I));
    rg_node *w = rg_param(f.g, "w", RG_F32, RG_SHAPE(2 * I, I), NULL);
    rg_scan *s = rg_scan_begin(f.g, NULL);
    rg_node *x = rg_scan_slice(s, f.xs), *h = rg_scan_carry(s, rg_zeros(f.g, RG_F32, RG_SHAPE(B, I)));
    rg_node *a = rg_mul(x, h), *b = rg_add(rg_sin(x), rg_scalar(f.g, RG_F32, 0.3));
    rg_node *both = rg_concat(RG_NODES(a, b), 1), *next = rg_tanh(rg_add(rg_matmul(both, w), rg_slice(both, 1, 0, I)));
    rg_node *row = rg_mul(rg_slice(x, 0, 0, 1), rg_slice(h, 0, 1, 2)), *rows = rg_concat(RG_NODES(row, rg_exp(row)), 0);
    rg_scan_next(s, h, rg_add(next, rg_sum(rows, RG_AXES(0), true)));
    f.at[f.n++] = rg_scan_stack(s, rg_slice(both, 1, I, 2 * I));
    f.at[f.n++] = rg_scan_stack(s, rg_mul(row, x));
    rg_scan_end(s);
    expect_same(&f, T);
    expect_same(&f, 1);
    const rg_nodes d = rg_grad(
        rg_add(rg_sum(rg_square(f.at[1]), RG_ALL_AXES, false), rg_sum(f.at[0], RG_ALL_AXES, false)), RG_NODES(w, f.xs));
    for (size_t i = 0; i < d.n; i++)
        f.at[f.n++] = d.at[i];
    expect_same(&f, T);
    rg_graph_free(f.g);
}

/* Joins of what is joined twice, of one thing twice, along either axis, stacked, and read by elementwise ops again. */
Test(window, joins_of_every_kind)
{
    fetched f = {.g = rg_graph_new(NULL)};
    f.xs = rg_input(f.g, "xs", RG_F32, RG_SHAPE(rg_dim(f.g, "time"), B, I));
    rg_node *w = rg_param(f.g, "w", RG_F32, RG_SHAPE(2 * I, I), NULL);
    rg_scan *s = rg_scan_begin(f.g, NULL);
    rg_node *x = rg_scan_slice(s, f.xs), *h = rg_scan_carry(s, rg_zeros(f.g, RG_F32, RG_SHAPE(B, I)));
    rg_node *a = rg_tanh(rg_add(x, h)), *b = rg_sin(a), *c = rg_cos(rg_add(b, h));
    rg_node *beside = rg_concat(RG_NODES(a, b), 1), *again = rg_concat(RG_NODES(c, a), 1);
    rg_node *below = rg_concat(RG_NODES(a, c), 0), *twice = rg_concat(RG_NODES(b, b), 1);
    rg_node *z = rg_add(rg_matmul(beside, w), rg_matmul(again, w));
    rg_node *mixed = rg_add(rg_add(rg_slice(below, 0, B, 2 * B), rg_slice(rg_square(twice), 1, 2, 2 + I)), z);
    rg_scan_next(s, h, rg_tanh(mixed));
    f.at[f.n++] = rg_scan_stack(s, beside);
    f.at[f.n++] = rg_scan_stack(s, mixed);
    f.at[f.n++] = rg_scan_last(s, h);
    rg_scan_end(s);
    const rg_nodes d = rg_grad(rg_sum(f.at[1], RG_ALL_AXES, false), RG_NODES(w, f.xs));
    for (size_t i = 0; i < d.n; i++)
        f.at[f.n++] = d.at[i];
    expect_same(&f, T);
    expect_same(&f, 1);
    rg_graph_free(f.g);
}
