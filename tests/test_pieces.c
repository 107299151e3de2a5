/* test_pieces.c - slices that lie in one piece, which everybody reads where they lie: no step and no copy, the same
   bits. */
#include "must.h"
#include "parts.h"

/* Rows of an input, of a product, of pieces of them, layers of a stack of weights: products, sums and softmaxes read
   them where they lie. */
Test(pieces, are_no_steps)
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
Test(pieces, of_what_changes_or_dies)
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
Test(pieces, of_parameters_that_change)
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
Test(pieces, a_whole_does_not_live_long_for_a_piece)
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
Test(pieces, in_loops)
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

Test(pieces, random_graphs_of_pieces)
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
