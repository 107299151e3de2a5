/* user_cells.c - recurrent cells with public operators alone, one function each, as a user writes them. Biases are
   those of the linear layers; what reads x alone stands in front of the scan, or in it: it makes no difference. */
#include "recurrent.h"

static rg_node *weight(rg_graph *g, const char *name, int64_t rows, int64_t columns)
{
    return rg_param(g, name, RG_F32, RG_SHAPE(rows, columns), NULL);
}

static rg_node *zero_state(rg_node *xs, int64_t hidden)
{
    return rg_zeros(rg_graph_of(xs), RG_F32, RG_SHAPE(rg_shape_of(xs).dim[1], hidden));
}

static rg_node *part(rg_node *z, int64_t k, int64_t hidden)
{
    return rg_slice(z, 1, k * hidden, (k + 1) * hidden);
}

/* i, f, g, o = W x + U h + b; c' = s(f) c + s(i) tanh(g); h' = s(o) tanh(c') */
rg_node *user_lstm(rg_node *xs, const char *name, int64_t n, const rg_rnn_opts *opts)
{
    (void)name, (void)opts;
    rg_node *u = weight(rg_graph_of(xs), "u", 4 * n, n), *in = rg_nn_linear(xs, "in", 4 * n, NULL);
    rg_scan *s = rg_scan_begin(rg_graph_of(xs), NULL);
    rg_node *x = rg_scan_slice(s, in), *h = rg_scan_carry(s, zero_state(xs, n)),
            *c = rg_scan_carry(s, zero_state(xs, n));
    rg_node *z = rg_add(x, rg_linear(h, u, NULL));
    rg_node *i = rg_sigmoid(part(z, 0, n)), *f = rg_sigmoid(part(z, 1, n)), *g = rg_tanh(part(z, 2, n));
    rg_node *next = rg_add(rg_mul(f, c), rg_mul(i, g)), *y = rg_mul(rg_sigmoid(part(z, 3, n)), rg_tanh(next));
    rg_scan_next(s, h, y);
    rg_scan_next(s, c, next);
    rg_node *ys = rg_scan_stack(s, y);
    rg_scan_end(s);
    return ys;
}

/* The same with a weight and a bias a gate, as the formulas stand in a text: z_k = W_k x + U_k h + b_k. */
rg_node *user_lstm_apart(rg_node *xs, const char *name, int64_t n, const rg_rnn_opts *opts)
{
    (void)name, (void)opts;
    rg_graph *g = rg_graph_of(xs);
    static const char *const names[4][3] = {
        {"wi", "ui", "bi"}, {"wf", "uf", "bf"}, {"wg", "ug", "bg"}, {"wo", "uo", "bo"}};
    rg_node *w[4], *u[4], *b[4], *z[4];
    for (int k = 0; k < 4; k++) {
        w[k] = weight(g, names[k][0], n, rg_shape_of(xs).dim[2]);
        u[k] = weight(g, names[k][1], n, n);
        b[k] = rg_param(g, names[k][2], RG_F32, RG_SHAPE(n), NULL);
    }
    rg_scan *s = rg_scan_begin(g, NULL);
    rg_node *x = rg_scan_slice(s, xs), *h = rg_scan_carry(s, zero_state(xs, n)),
            *c = rg_scan_carry(s, zero_state(xs, n));
    for (int k = 0; k < 4; k++)
        z[k] = rg_add(rg_linear(x, w[k], b[k]), rg_linear(h, u[k], NULL));
    rg_node *next = rg_add(rg_mul(rg_sigmoid(z[1]), c), rg_mul(rg_sigmoid(z[0]), rg_tanh(z[2])));
    rg_node *y = rg_mul(rg_sigmoid(z[3]), rg_tanh(next));
    rg_scan_next(s, h, y);
    rg_scan_next(s, c, next);
    rg_node *ys = rg_scan_stack(s, y);
    rg_scan_end(s);
    return ys;
}

/* The LSTM with p c added to i and f, and p c' to o. */
rg_node *user_peephole(rg_node *xs, const char *name, int64_t n, const rg_rnn_opts *opts)
{
    (void)name, (void)opts;
    rg_node *u = weight(rg_graph_of(xs), "u", 4 * n, n), *in = rg_nn_linear(xs, "in", 4 * n, NULL), *p[3];
    for (int k = 0; k < 3; k++)
        p[k] = rg_param(rg_graph_of(xs), (const char *[]){"pi", "pf", "po"}[k], RG_F32, RG_SHAPE(n), NULL);
    rg_scan *s = rg_scan_begin(rg_graph_of(xs), NULL);
    rg_node *x = rg_scan_slice(s, in), *h = rg_scan_carry(s, zero_state(xs, n)),
            *c = rg_scan_carry(s, zero_state(xs, n));
    rg_node *z = rg_add(x, rg_linear(h, u, NULL));
    rg_node *i = rg_sigmoid(rg_add(part(z, 0, n), rg_mul(p[0], c)));
    rg_node *f = rg_sigmoid(rg_add(part(z, 1, n), rg_mul(p[1], c)));
    rg_node *next = rg_add(rg_mul(f, c), rg_mul(i, rg_tanh(part(z, 2, n))));
    rg_node *y = rg_mul(rg_sigmoid(rg_add(part(z, 3, n), rg_mul(p[2], next))), rg_tanh(next));
    rg_scan_next(s, h, y);
    rg_scan_next(s, c, next);
    rg_node *ys = rg_scan_stack(s, y);
    rg_scan_end(s);
    return ys;
}

/* f, g, o = W x + U h + b; c' = s(f) c + (1 - s(f)) tanh(g); h' = s(o) tanh(c') */
rg_node *user_cifg(rg_node *xs, const char *name, int64_t n, const rg_rnn_opts *opts)
{
    (void)name, (void)opts;
    rg_node *u = weight(rg_graph_of(xs), "u", 3 * n, n), *in = rg_nn_linear(xs, "in", 3 * n, NULL);
    rg_scan *s = rg_scan_begin(rg_graph_of(xs), NULL);
    rg_node *x = rg_scan_slice(s, in), *h = rg_scan_carry(s, zero_state(xs, n)),
            *c = rg_scan_carry(s, zero_state(xs, n));
    rg_node *z = rg_add(x, rg_linear(h, u, NULL)), *f = rg_sigmoid(part(z, 0, n));
    rg_node *next = rg_add(rg_mul(f, c), rg_mul(rg_one_minus(f), rg_tanh(part(z, 1, n))));
    rg_node *y = rg_mul(rg_sigmoid(part(z, 2, n)), rg_tanh(next));
    rg_scan_next(s, h, y);
    rg_scan_next(s, c, next);
    rg_node *ys = rg_scan_stack(s, y);
    rg_scan_end(s);
    return ys;
}

/* z, r = s(W x + U h + b); m = tanh(W x + U (r h) + b); h' = z h + (1 - z) m */
rg_node *user_gru_cho(rg_node *xs, const char *name, int64_t n, const rg_rnn_opts *opts)
{
    (void)name, (void)opts;
    rg_node *u = weight(rg_graph_of(xs), "u", 2 * n, n), *um = weight(rg_graph_of(xs), "um", n, n);
    rg_node *in = rg_nn_linear(xs, "in", 3 * n, NULL);
    rg_scan *s = rg_scan_begin(rg_graph_of(xs), NULL);
    rg_node *x = rg_scan_slice(s, in), *h = rg_scan_carry(s, zero_state(xs, n));
    rg_node *g = rg_sigmoid(rg_add(rg_slice(x, 1, 0, 2 * n), rg_linear(h, u, NULL)));
    rg_node *z = part(g, 0, n), *r = part(g, 1, n);
    rg_node *m = rg_tanh(rg_add(part(x, 2, n), rg_linear(rg_mul(r, h), um, NULL)));
    rg_node *y = rg_add(rg_mul(z, h), rg_mul(rg_one_minus(z), m));
    rg_scan_next(s, h, y);
    rg_node *ys = rg_scan_stack(s, y);
    rg_scan_end(s);
    return ys;
}

/* f = s(W x + U h + b); m = tanh(W x + U (f h) + b); h' = (1 - f) h + f m */
rg_node *user_mgu(rg_node *xs, const char *name, int64_t n, const rg_rnn_opts *opts)
{
    (void)name, (void)opts;
    rg_node *u = weight(rg_graph_of(xs), "u", n, n), *um = weight(rg_graph_of(xs), "um", n, n);
    rg_node *in = rg_nn_linear(xs, "in", 2 * n, NULL);
    rg_scan *s = rg_scan_begin(rg_graph_of(xs), NULL);
    rg_node *x = rg_scan_slice(s, in), *h = rg_scan_carry(s, zero_state(xs, n));
    rg_node *f = rg_sigmoid(rg_add(part(x, 0, n), rg_linear(h, u, NULL)));
    rg_node *m = rg_tanh(rg_add(part(x, 1, n), rg_linear(rg_mul(f, h), um, NULL)));
    rg_node *y = rg_add(rg_mul(rg_one_minus(f), h), rg_mul(f, m));
    rg_scan_next(s, h, y);
    rg_node *ys = rg_scan_stack(s, y);
    rg_scan_end(s);
    return ys;
}

/* z, r = s(W x + U h + b); m = (1 - r) x + r h; h' = (1 - z) h + z tanh(Wn m + bn); the output is s(Wy m + by) h' */
rg_node *user_gru_mixing(rg_node *xs, const char *name, int64_t n, const rg_rnn_opts *opts)
{
    (void)name, (void)opts;
    rg_node *u = weight(rg_graph_of(xs), "u", 2 * n, n), *w = weight(rg_graph_of(xs), "w", 2 * n, n);
    rg_node *b = rg_param(rg_graph_of(xs), "b", RG_F32, RG_SHAPE(2 * n), NULL),
            *in = rg_nn_linear(xs, "in", 2 * n, NULL);
    rg_scan *s = rg_scan_begin(rg_graph_of(xs), NULL);
    rg_node *x = rg_scan_slice(s, xs), *gates = rg_scan_slice(s, in), *h = rg_scan_carry(s, zero_state(xs, n));
    rg_node *g = rg_sigmoid(rg_add(gates, rg_linear(h, u, NULL))), *z = part(g, 0, n), *r = part(g, 1, n);
    rg_node *m = rg_linear(rg_add(rg_mul(rg_one_minus(r), x), rg_mul(r, h)), w, b);
    rg_node *next = rg_add(rg_mul(rg_one_minus(z), h), rg_mul(z, rg_tanh(part(m, 0, n))));
    rg_node *y = rg_mul(rg_sigmoid(part(m, 1, n)), next);
    rg_scan_next(s, h, next);
    rg_node *ys = rg_scan_stack(s, y);
    rg_scan_end(s);
    return ys;
}
