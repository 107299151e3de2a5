/* gru.c - gated recurrent units: PyTorch's, Cho's, the mixing one, and the minimal one. */
#include "rnn.h"

/* z a + (1 - z) b */
static rg_node *mix(rg_node *z, rg_node *a, rg_node *b)
{
    return rg_add(rg_mul(z, a), rg_mul(rg_one_minus(z), b));
}

static rg_node *after_step(rgi_cell_step *s)
{
    rg_node *zx = rg_linear(s->x, s->weight_ih, s->bias_ih), *zh = rg_linear(s->state[0], s->weight_hh, s->bias_hh);
    rg_node *rz = rg_sigmoid(rg_add(rgi_gates(s, zx, 0, 2), rgi_gates(s, zh, 0, 2)));
    rg_node *r = rgi_gates(s, rz, 0, 1), *z = rgi_gates(s, rz, 1, 2);
    rg_node *n = rg_tanh(rg_add(rgi_gates(s, zx, 2, 3), rg_mul(r, rgi_gates(s, zh, 2, 3))));
    return s->next[0] = mix(z, s->state[0], n);
}

/* tanh(W x + b + U (gate h) + b2), W, U and the biases being those of block `at`. */
static rg_node *candidate(rgi_cell_step *s, rg_node *zx, rg_node *gate, int at)
{
    rg_node *gated = rg_mul(gate, s->state[0]);
    return rg_tanh(rg_add(rgi_gates(s, zx, at, at + 1), rg_linear(gated, rgi_gate_rows(s, s->weight_hh, at, at + 1),
                                                                  rgi_gate_rows(s, s->bias_hh, at, at + 1))));
}

/* s(W x + b + U h + b2) of the first `n` blocks. */
static rg_node *leading_gates(rgi_cell_step *s, rg_node *zx, int n)
{
    return rg_sigmoid(rg_add(rgi_gates(s, zx, 0, n), rg_linear(s->state[0], rgi_gate_rows(s, s->weight_hh, 0, n),
                                                               rgi_gate_rows(s, s->bias_hh, 0, n))));
}

static rg_node *cho_step(rgi_cell_step *s)
{
    rg_node *zx = rg_linear(s->x, s->weight_ih, s->bias_ih), *rz = leading_gates(s, zx, 2);
    return s->next[0] = mix(rgi_gates(s, rz, 1, 2), s->state[0], candidate(s, zx, rgi_gates(s, rz, 0, 1), 2));
}

static rg_node *mgu_step(rgi_cell_step *s)
{
    rg_node *zx = rg_linear(s->x, s->weight_ih, s->bias_ih), *f = leading_gates(s, zx, 1);
    return s->next[0] = mix(f, candidate(s, zx, f, 1), s->state[0]);
}

static rg_node *mixing_step(rgi_cell_step *s)
{
    rg_node *zr = rg_sigmoid(rgi_preactivation(s)), *h = s->state[0];
    rg_node *z = rgi_gates(s, zr, 0, 1), *r = rgi_gates(s, zr, 1, 2);
    rg_node *ny = rg_linear(mix(r, h, s->x), s->weight_mix, s->bias_mix);
    s->next[0] = mix(z, rg_tanh(rgi_gates(s, ny, 0, 1)), h);
    return rg_mul(rg_sigmoid(rgi_gates(s, ny, 1, 2)), s->next[0]);
}

rg_node *rg_nn_gru(rg_node *xs, const char *name, int64_t hidden, const rg_rnn_opts *opts)
{
    static const rgi_cell cell = {.name = "rg_nn_gru", .gates = 3, .states = 1, .step = after_step};
    return rgi_rnn(&cell, xs, name, hidden, opts);
}

rg_node *rg_nn_gru_cho(rg_node *xs, const char *name, int64_t hidden, const rg_rnn_opts *opts)
{
    static const rgi_cell cell = {.name = "rg_nn_gru_cho", .gates = 3, .states = 1, .step = cho_step};
    return rgi_rnn(&cell, xs, name, hidden, opts);
}

rg_node *rg_nn_gru_mixing(rg_node *xs, const char *name, int64_t hidden, const rg_rnn_opts *opts)
{
    static const rgi_cell cell = {
        .name = "rg_nn_gru_mixing", .gates = 2, .states = 1, .mixes = true, .step = mixing_step};
    return rgi_rnn(&cell, xs, name, hidden, opts);
}

rg_node *rg_nn_mgu(rg_node *xs, const char *name, int64_t hidden, const rg_rnn_opts *opts)
{
    static const rgi_cell cell = {.name = "rg_nn_mgu", .gates = 2, .states = 1, .step = mgu_step};
    return rgi_rnn(&cell, xs, name, hidden, opts);
}
