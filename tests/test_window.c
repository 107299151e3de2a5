/* test_window.c - slices and joins that are no steps of their own, in the bodies of loops and outside: the same bits as
   with them. */
#include "must.h"
#include "parts.h"

#include <stdlib.h>

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
    float *data = numbers(RG_F32, 8);
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
    float *data = numbers(RG_F32, 40 * ROWS * WIDE);
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
