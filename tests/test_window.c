/* test_window.c - slices and joins that are no steps of their own, in the bodies of loops and outside: the same bits as
   with them. */
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

/* ---- outside of loops ---- */

enum { ROWS = 6, WIDE = 96, PART = 32 };

/* How often something stands in the dump of a plan. */
static int dumped(rg_plan *p, const char *what)
{
    char *text = rg_plan_dump(p);
    cr_assert(text, "%s", rg_last_error());
    int n = 0;
    for (const char *at = text; (at = strstr(at, what)); at++)
        n++;
    rg_text_free(text);
    return n;
}

static void bind_rows(rg_plan *p, rg_node *x, float *data, int64_t rows)
{
    must(rg_bind_shape(p, x, data, RG_SHAPE(rows, WIDE)));
    must(rg_run(p));
}

/* Bit for bit as the plan that does every step as it was written: with 1 to 3 threads, more rows, fewer and none, but
   at least so many, within a budget; and so are parameters then. The last `effects` of what is fetched have no
   values. */
static void expect_same_rows(rg_graph *g, rg_node *x, rg_nodes fetch, size_t effects, int64_t least)
{
    const rg_nodes results = {fetch.at, fetch.n - effects};
    const int64_t rows[] = {ROWS, 1, 0, 40 * ROWS, ROWS};
    const rg_nodes params = rg_params(g);
    float *data = numbers(40 * ROWS * WIDE), *kept[8];
    cr_assert(params.n <= 8);
    for (size_t i = 0; i < params.n; i++) {
        const rg_tensor t = rg_value(params.at[i]);
        kept[i] = malloc(rg_tensor_bytes(&t));
        cr_assert(kept[i]);
        memcpy(kept[i], t.data, rg_tensor_bytes(&t));
    }
    float *ends[8] = {NULL};
    rg_plan *plain = must_compile(g, fetch, &(rg_plan_opts){.threads = 1, .no_fuse = true, .mode = RG_TRAIN});
    for (int way = 0; way < 5; way++) { /* 0: plain itself; 4: with a budget */
        rg_plan_opts o = {.threads = way ? (way - 1) % 3 + 1 : 1, .mode = RG_TRAIN, .no_fuse = !way};
        if (way == 4) {
            o.budget = (size_t)1 << 30;
            o.threads = 2;
        }
        rg_plan *p = must_compile(g, fetch, &o);
        for (size_t k = 0; k < sizeof rows / sizeof *rows; k++) {
            for (size_t i = 0; i < params.n && rows[k] >= least; i++) {
                const rg_tensor t = rg_value(params.at[i]);
                must(rg_set(params.at[i], &(rg_tensor){.dtype = t.dtype, .shape = t.shape, .data = kept[i]}));
            }
            if (rows[k] < least)
                continue;
            bind_rows(plain, x, data, rows[k]);
            for (size_t i = 0; i < params.n; i++) {
                const rg_tensor t = rg_value(params.at[i]);
                free(ends[i]);
                ends[i] = malloc(rg_tensor_bytes(&t));
                cr_assert(ends[i]);
                memcpy(ends[i], t.data, rg_tensor_bytes(&t));
                must(rg_set(params.at[i], &(rg_tensor){.dtype = t.dtype, .shape = t.shape, .data = kept[i]}));
            }
            bind_rows(p, x, data, rows[k]);
            char how[64];
            snprintf(how, sizeof how, "way %d, %d rows", way, (int)rows[k]);
            expect_equal_results(p, plain, results, "outside", how);
            for (size_t i = 0; i < params.n; i++) {
                const rg_tensor t = rg_value(params.at[i]);
                cr_expect(memcmp(t.data, ends[i], rg_tensor_bytes(&t)) == 0, "%s: parameter %zu", how, i);
            }
        }
        rg_plan_free(p);
    }
    rg_plan_free(plain);
    for (size_t i = 0; i < params.n; i++) {
        free(kept[i]);
        free(ends[i]);
    }
    free(data);
}

static void expect_same_outside(rg_graph *g, rg_node *x, rg_nodes fetch, size_t effects)
{
    expect_same_rows(g, x, fetch, effects, 0);
}

/* Three parts of one product, each changed, and joined again: three steps less, and a copy of neither. */
Test(window, outside_of_loops_too)
{
    rg_graph *g = rg_graph_new(&(rg_graph_opts){.seed = 7});
    rg_node *x = rg_input(g, "x", RG_F32, RG_SHAPE(rg_dim(g, "rows"), WIDE)),
            *w = rg_param(g, "w", RG_F32, RG_SHAPE(WIDE, WIDE), NULL), *part[3];
    rg_node *all = rg_matmul(x, w);
    for (int i = 0; i < 3; i++)
        part[i] = rg_slice(all, 1, i * PART, (i + 1) * PART);
    rg_node *joined = rg_concat(RG_NODES(rg_tanh(part[0]), rg_mul(part[1], part[2]), rg_exp(part[2])), 1),
            *y = rg_matmul(joined, w);
    rg_plan *p = must_compile(g, RG_NODES(y), NULL);
    cr_expect_eq(dumped(p, "= slice("), 0);
    cr_expect_eq(dumped(p, "= concat("), 0);
    rg_plan_free(p);
    expect_same_outside(g, x, RG_NODES(y), 0);
    expect_same_outside(g, x, RG_NODES(y, part[1], joined, all), 0); /* what is fetched is dense */
    rg_graph_free(g);
}

/* Of parameters and inputs; an update whose group reads a part of what it changes; parts of an update. */
Test(window, of_parameters_that_change)
{
    rg_graph *g = rg_graph_new(&(rg_graph_opts){.seed = 7});
    rg_node *x = rg_input(g, "x", RG_F32, RG_SHAPE(rg_dim(g, "rows"), WIDE)),
            *w = rg_param(g, "w", RG_F32, RG_SHAPE(WIDE, WIDE), NULL),
            *v = rg_param(g, "v", RG_F32, RG_SHAPE(2, PART), NULL),
            *u = rg_param(g, "u", RG_F32, RG_SHAPE(2 * WIDE, PART), NULL);
    rg_node *left = rg_slice(x, 1, 0, PART), *middle = rg_slice(x, 1, PART, 2 * PART);
    rg_node *top = rg_slice(w, 0, 0, WIDE / 2), *below = rg_slice(w, 0, WIDE / 2, RG_END);
    rg_node *y = rg_mul(rg_sin(left), rg_add(middle, rg_slice(v, 0, 1, 2)));
    rg_node *corner = rg_slice(top, 1, 0, PART), *sum = rg_sum(rg_mul(top, rg_cos(below)), RG_ALL_AXES, false);
    rg_node *new_w = rg_concat(RG_NODES(rg_mul(below, sum), rg_add(top, below)), 0),
            *new_v = rg_add(v, rg_mul(rg_slice(u, 0, 3, 5), rg_sum(y, RG_AXES(0), true))),
            *new_u = rg_concat(RG_NODES(rg_exp(rg_slice(u, 0, WIDE, RG_END)), rg_tanh(rg_slice(u, 0, 0, WIDE))), 0);
    rg_node *half = rg_slice(rg_add(u, u), 0, 1, 3);
    rg_node *changes[] = {rg_assign(w, new_w), rg_assign(v, rg_add(new_v, half)), rg_assign(u, new_u)};
    expect_same_outside(g, x, RG_NODES(y, corner, changes[0], changes[1], changes[2]), 3);
    expect_same_outside(g, x, RG_NODES(top, w, new_u, rg_slice(u, 0, 0, 1), changes[0], changes[2]), 2);
    rg_graph_free(g);
}

/* A part that is read long after it was made is copied: it does not keep its whole. */
Test(window, a_whole_does_not_live_long_for_a_part)
{
    rg_graph *g = rg_graph_new(&(rg_graph_opts){.seed = 7});
    rg_node *x = rg_input(g, "x", RG_F32, RG_SHAPE(rg_dim(g, "rows"), WIDE)),
            *w = rg_param(g, "w", RG_F32, RG_SHAPE(WIDE, WIDE), NULL);
    rg_node *y = rg_matmul(x, w), *part = rg_slice(y, 1, PART, 2 * PART), *near = rg_exp(part), *z = near;
    for (int i = 0; i < 40; i++)
        z = rg_matmul(z, rg_slice(rg_slice(w, 0, 0, PART), 1, 0, PART));
    rg_node *late = rg_mul(z, part);
    rg_plan *p = must_compile(g, RG_NODES(near), NULL),
            *q = must_compile(g, RG_NODES(late), &(rg_plan_opts){.threads = 1}),
            *copied = must_compile(g, RG_NODES(late), &(rg_plan_opts){.threads = 1, .no_fuse = true});
    float *data = numbers(40 * ROWS * WIDE);
    cr_expect_eq(dumped(p, "= slice("), 0);
    bind_rows(q, x, data, 40 * ROWS);
    bind_rows(copied, x, data, 40 * ROWS);
    cr_expect_leq(rg_plan_bytes(q), rg_plan_bytes(copied), "%zu bytes, %zu copied", rg_plan_bytes(q),
                  rg_plan_bytes(copied));
    rg_plan_free(copied);
    rg_plan_free(p);
    rg_plan_free(q);
    free(data);
    expect_same_outside(g, x, RG_NODES(late, near), 0);
    rg_graph_free(g);
}

static uint32_t draw(uint64_t *state, uint32_t n)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(*state >> 33) % n;
}

/* Some node of a list that is so wide; the first one is. */
static rg_node *wide(rg_nodes all, int64_t width, uint64_t *state)
{
    for (int i = 0; i < 50; i++) {
        rg_node *v = rg_at(all, draw(state, (uint32_t)all.n));
        if (rg_shape_of(v).dim[1] == width)
            return v;
    }
    return NULL;
}

/* Parts of parts, joins of joins, joins of one thing twice, products, sums and functions of them, in any order. */
static rg_node *next_node(rg_nodes all, rg_node *w, uint64_t *state)
{
    rg_node *a = rg_at(all, draw(state, (uint32_t)all.n)), *b, *c;
    const int64_t n = rg_shape_of(a).dim[1], at = draw(state, (uint32_t)n / 16) * 16;
    switch (draw(state, 8)) {
    case 0:
    case 1:
        return rg_slice(a, 1, at, at + 16 * (1 + draw(state, (uint32_t)(n - at) / 16)));
    case 2:
    case 3:
        b = rg_at(all, draw(state, (uint32_t)all.n));
        c = rg_tanh(b);
        return n + 2 * rg_shape_of(b).dim[1] <= 2 * WIDE ? rg_concat(RG_NODES(rg_sin(a), c, draw(state, 2) ? b : c), 1)
                                                         : c;
    case 4:
        return n <= WIDE ? rg_matmul(a, rg_slice(w, 0, 0, n)) : rg_cos(a);
    case 5:
        return rg_add(a, rg_slice(rg_reshape(w, RG_SHAPE(WIDE * WIDE)), 0, at, at + n));
    case 6:
        return rg_mul(a, rg_sum(a, RG_AXES(1), true));
    default:
        b = wide(all, n, state);
        return b ? rg_add(rg_mul(a, b), rg_sigmoid(b)) : rg_neg(a);
    }
}

Test(window, random_graphs_of_parts_and_joins)
{
    for (uint64_t seed = 1; seed <= 25; seed++) {
        uint64_t state = seed;
        rg_graph *g = rg_graph_new(&(rg_graph_opts){.seed = seed});
        rg_node *x = rg_input(g, "x", RG_F32, RG_SHAPE(rg_dim(g, "rows"), WIDE)),
                *w = rg_param(g, "w", RG_F32, RG_SHAPE(WIDE, WIDE), NULL), *at[24] = {x};
        size_t n = 1;
        while (n < sizeof at / sizeof *at && (at[n] = next_node((rg_nodes){at, n}, w, &state)))
            n++;
        cr_assert(!rg_graph_error(g), "seed %d: %s", (int)seed, rg_graph_error(g));
        rg_node *fetch[8];
        size_t m = 0;
        while (m < 5)
            fetch[m++] = at[n - 1 - draw(&state, 12)];
        rg_node *loss = rg_sum(rg_square(at[n - 1]), RG_ALL_AXES, false);
        for (size_t i = n - 4; i < n - 1; i++)
            loss = rg_add(loss, rg_sum(rg_sin(at[i]), RG_ALL_AXES, false));
        const rg_nodes d = rg_grad(loss, RG_NODES(x, w));
        fetch[m++] = d.at[0];
        fetch[m++] = d.at[1];
        fetch[m++] = rg_assign(w, rg_sub(w, rg_mul(d.at[1], rg_scalar(g, RG_F32, 1e-3))));
        expect_same_outside(g, x, (rg_nodes){fetch, m}, 1);
        rg_graph_free(g);
    }
}

/* ---- pieces, for everybody ---- */

/* Rows of an input, of a product, of pieces of them, layers of a stack of weights: products, sums and softmaxes read
   them where they lie. */
Test(window, pieces_are_no_steps)
{
    rg_graph *g = rg_graph_new(&(rg_graph_opts){.seed = 7});
    const int64_t rows = rg_dim(g, "rows");
    rg_node *x = rg_input(g, "x", RG_F32, RG_SHAPE(rows, WIDE)),
            *w = rg_param(g, "w", RG_F32, RG_SHAPE(3, WIDE, WIDE), NULL), *layer[3];
    for (int i = 0; i < 3; i++)
        layer[i] =
            rg_reshape(rg_slice(rg_slice(w, 0, i ? 1 : 0, RG_END), 0, i ? i - 1 : 0, i ? i : 1), RG_SHAPE(WIDE, WIDE));
    rg_node *all = rg_matmul(x, layer[0]), *most = rg_slice(x, 0, 1, RG_END), *begin = rg_slice(most, 0, 1, RG_END);
    rg_node *behind = rg_slice(all, 0, 2, RG_END), *y = rg_add(rg_matmul(begin, layer[1]), rg_softmax(behind, 1)),
            *sums = rg_sum(rg_slice(all, 0, 0, 3), RG_AXES(0), false), *z = rg_matmul(y, layer[2]),
            *last = rg_slice(z, 0, -2, RG_END);
    rg_plan *p = must_compile(g, RG_NODES(z, sums), NULL);
    cr_expect_eq(dumped(p, "= slice("), 0);
    cr_expect_eq(dumped(p, "(piece)"), 6);
    rg_plan_free(p);
    expect_same_rows(g, x, RG_NODES(z, sums), 0, 4);
    expect_same_rows(g, x, RG_NODES(z, last, behind, all, most, layer[1]), 0, 4); /* all of them results */
    const rg_nodes d =
        rg_grad(rg_add(rg_sum(rg_square(last), RG_ALL_AXES, false), rg_sum(sums, RG_ALL_AXES, false)), RG_NODES(w, x));
    expect_same_rows(g, x, RG_NODES(d.at[0], d.at[1], last), 0, 4);
    rg_graph_free(g);
}

/* Where a piece begins depends on sizes that its own do not depend on; and a group that reads pieces of what nobody
   reads after it does not write over them. */
Test(window, pieces_of_what_changes_or_dies)
{
    rg_graph *g = rg_graph_new(&(rg_graph_opts){.seed = 7});
    rg_node *x = rg_input(g, "x", RG_F32, RG_SHAPE(rg_dim(g, "rows"), WIDE)),
            *w = rg_param(g, "w", RG_F32, RG_SHAPE(WIDE, WIDE), NULL);
    rg_node *y = rg_matmul(x, w), *end = rg_tanh(rg_slice(x, 0, -2, RG_END)),
            *sum = rg_softmax(rg_slice(y, 0, -3, -1), 1);
    rg_node *z = rg_mul(rg_sin(rg_slice(y, 0, 0, -2)), rg_cos(rg_slice(y, 0, 2, RG_END))), *late = rg_matmul(z, w);
    rg_plan *p = must_compile(g, RG_NODES(late, end, sum), NULL);
    cr_expect_eq(dumped(p, "= slice("), 0);
    rg_plan_free(p);
    expect_same_rows(g, x, RG_NODES(late, end, sum), 0, 4);
    expect_same_rows(g, x, RG_NODES(late), 0, 4);
    rg_graph_free(g);
}

/* What is fetched of a parameter, and what is computed with pieces of it, is from before the update; what an update
   consists of can be read in pieces too. */
Test(window, pieces_of_parameters_that_change)
{
    rg_graph *g = rg_graph_new(&(rg_graph_opts){.seed = 7});
    rg_node *x = rg_input(g, "x", RG_F32, RG_SHAPE(rg_dim(g, "rows"), WIDE)),
            *w = rg_param(g, "w", RG_F32, RG_SHAPE(2 * WIDE, WIDE), NULL),
            *v = rg_param(g, "v", RG_F32, RG_SHAPE(WIDE, WIDE), NULL);
    rg_node *top = rg_slice(w, 0, 0, WIDE), *below = rg_slice(w, 0, WIDE, RG_END);
    rg_node *y = rg_matmul(rg_tanh(rg_matmul(x, top)), below), *loss = rg_sum(rg_square(y), RG_ALL_AXES, false);
    const rg_nodes d = rg_grad(loss, RG_NODES(w));
    rg_node *rate = rg_scalar(g, RG_F32, 1e-3), *new_w = rg_sub(w, rg_mul(d.at[0], rate)),
            *new_top = rg_slice(new_w, 0, 0, WIDE), *new_v = rg_add(top, rg_matmul(new_top, below));
    rg_node *changes[] = {rg_assign(w, new_w), rg_assign(v, new_v), rg_assign(v, below),
                          rg_assign(w, rg_concat(RG_NODES(below, top), 0))};
    expect_same_outside(g, x, RG_NODES(loss, top, changes[0], changes[1]), 2);
    expect_same_outside(g, x, RG_NODES(y, new_top, rg_slice(w, 0, 3, 5), changes[0], changes[2]), 2);
    expect_same_outside(g, x, RG_NODES(rg_matmul(y, top), v, changes[2], changes[3]), 2);
    rg_graph_free(g);
}

/* A piece that is read long after it was made does not keep its whole, also where it is read by way of a view; one
   whose whole is a result does no harm. */
Test(window, a_whole_does_not_live_long_for_a_piece)
{
    rg_graph *g = rg_graph_new(&(rg_graph_opts){.seed = 7});
    rg_node *x = rg_input(g, "x", RG_F32, RG_SHAPE(rg_dim(g, "rows"), WIDE)),
            *w = rg_param(g, "w", RG_F32, RG_SHAPE(WIDE, WIDE), NULL);
    rg_node *y = rg_matmul(x, w), *piece = rg_slice(y, 0, 1, 2), *view = rg_reshape(piece, RG_SHAPE(WIDE)),
            *z = rg_softmax(piece, 1);
    for (int i = 0; i < 40; i++)
        z = rg_matmul(z, w);
    rg_node *late = rg_mul(z, view);
    rg_plan *p = must_compile(g, RG_NODES(late), NULL), *q = must_compile(g, RG_NODES(late, y), NULL);
    cr_expect_eq(dumped(p, "= slice("), 1);
    cr_expect_eq(dumped(q, "= slice("), 0);
    rg_plan_free(p);
    rg_plan_free(q);
    expect_same_rows(g, x, RG_NODES(late, y, piece), 0, 2);
    rg_graph_free(g);
}

/* In bodies: rows of what a step makes, a carry's next value, carries that change places by way of pieces; and a
   sequence that is a piece of what another loop made, of other turns than its own. */
Test(window, pieces_in_loops)
{
    fetched f = {.g = rg_graph_new(&(rg_graph_opts){.seed = 7})};
    f.xs = rg_input(f.g, "xs", RG_F32, RG_SHAPE(rg_dim(f.g, "time"), B, I));
    rg_node *u = rg_param(f.g, "u", RG_F32, RG_SHAPE(I, I), NULL), *ys = rg_nn_gru(f.xs, "one", I, NULL);
    rg_node *zs = rg_nn_gru(rg_slice(ys, 0, 1, RG_END), "two", H, NULL),
            *back = rg_nn_lstm(rg_slice(ys, 0, 0, -1), "three", H, &(rg_rnn_opts){.bidirectional = true});
    rg_scan *s = rg_scan_begin(f.g, NULL);
    rg_node *x = rg_scan_slice(s, rg_slice(f.xs, 0, 2, RG_END)),
            *a = rg_scan_carry(s, rg_zeros(f.g, RG_F32, RG_SHAPE(2, I))),
            *b = rg_scan_carry(s, rg_ones(f.g, RG_F32, RG_SHAPE(1, I)));
    rg_node *y = rg_matmul(rg_add(x, b), u), *row = rg_slice(y, 0, 1, 2);
    rg_node *sum = rg_add(rg_matmul(row, u), rg_softmax(rg_slice(a, 0, 1, 2), 1));
    rg_scan_next(s, a, rg_concat(RG_NODES(b, rg_tanh(sum)), 0));
    rg_scan_next(s, b, rg_slice(a, 0, 0, 1));
    f.at[f.n++] = rg_scan_stack(s, sum);
    f.at[f.n++] = rg_scan_stack(s, rg_slice(y, 0, 0, 2));
    f.at[f.n++] = rg_scan_last(s, b);
    rg_scan_end(s);
    cr_expect(!loops_have(&f, 1, "= slice("));
    rg_node *loss = rg_add(rg_sum(rg_square(zs), RG_ALL_AXES, false), rg_sum(rg_square(back), RG_ALL_AXES, false));
    const rg_nodes d = rg_grad(rg_add(loss, rg_sum(f.at[0], RG_ALL_AXES, false)), rg_params(f.g));
    f.at[f.n++] = loss;
    for (size_t i = 0; i < d.n && f.n < sizeof f.at / sizeof *f.at; i++)
        f.at[f.n++] = d.at[i];
    expect_same(&f, T);
    expect_same(&f, 3);
    rg_graph_free(f.g);
}

/* Pieces, joins, products and sums of them in any order, of parameters that change. */
static rg_node *next_of_pieces(rg_nodes all, rg_node *w, uint64_t *state)
{
    rg_node *a = rg_at(all, draw(state, (uint32_t)all.n)), *b = rg_at(all, draw(state, (uint32_t)all.n));
    const int64_t n = rg_shape_of(a).dim[0], m = rg_shape_of(b).dim[0], at = draw(state, (uint32_t)n / 4) * 4;
    switch (draw(state, 9)) {
    case 0:
    case 1:
    case 2:
        return rg_slice(a, 0, at, at + 4 * (1 + draw(state, (uint32_t)(n - at) / 4)));
    case 3:
    case 4:
        return n + m <= WIDE ? rg_concat(RG_NODES(a, draw(state, 2) ? b : rg_sin(b)), 0) : rg_tanh(a);
    case 5:
        return rg_matmul(a, rg_slice(w, 0, at % 32, at % 32 + PART));
    case 6:
        return rg_reshape(rg_softmax(rg_reshape(a, RG_SHAPE(2, n / 2, PART)), 2), RG_SHAPE(n, PART));
    case 7:
        return n == m ? rg_add(rg_mul(a, b), rg_sigmoid(b)) : rg_neg(a);
    default:
        return rg_mul(a, rg_sum(a, RG_AXES(0), true));
    }
}

Test(window, random_graphs_of_pieces)
{
    for (uint64_t seed = 1; seed <= 20; seed++) {
        uint64_t state = seed;
        rg_graph *g = rg_graph_new(&(rg_graph_opts){.seed = seed});
        rg_node *x = rg_input(g, "x", RG_F32, RG_SHAPE(rg_dim(g, "rows"), WIDE)),
                *w = rg_param(g, "w", RG_F32, RG_SHAPE(2 * PART, PART), NULL),
                *v = rg_param(g, "v", RG_F32, RG_SHAPE(16, PART), NULL),
                *at[24] = {w, v, rg_reshape(rg_sum(x, RG_AXES(0), true), RG_SHAPE(3, PART))};
        at[2] = rg_concat(RG_NODES(at[2], rg_slice(w, 0, 5, 6)), 0);
        size_t n = 3;
        while (n < sizeof at / sizeof *at && (at[n] = next_of_pieces((rg_nodes){at, n}, w, &state)))
            n++;
        cr_assert(!rg_graph_error(g), "seed %d: %s", (int)seed, rg_graph_error(g));
        rg_node *fetch[8], *loss = rg_sum(rg_square(at[n - 1]), RG_ALL_AXES, false), *new_v = rg_neg(v);
        for (size_t i = n - 5; i < n - 1; i++)
            loss = rg_add(loss, rg_sum(rg_sin(at[i]), RG_ALL_AXES, false));
        const rg_nodes d = rg_grad(loss, RG_NODES(w));
        for (size_t i = 1; i < n; i++)
            new_v = rg_shape_of(at[i]).dim[0] == 16 && draw(&state, 2) ? at[i] : new_v;
        size_t m = 0;
        while (m < 5)
            fetch[m++] = at[n - 1 - draw(&state, 12)];
        fetch[m++] = d.at[0];
        fetch[m++] = rg_assign(w, rg_sub(w, rg_mul(d.at[0], rg_scalar(g, RG_F32, 1e-3))));
        fetch[m++] = rg_assign(v, new_v);
        expect_same_rows(g, x, (rg_nodes){fetch, m}, 2, 1);
        rg_graph_free(g);
    }
}
