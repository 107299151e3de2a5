/* lstm.c - the long short-term memory (Hochreiter and Schmidhuber 1997; forget gate: Gers 1999) and its variants. */
#include "rnn.h"

/* h' = o tanh(c'), through the projection where there is one. */
static rg_node *emit(rgi_cell_step *s, rg_node *o, rg_node *c)
{
    rg_node *h = rg_mul(o, rg_tanh(c));
    s->next[0] = s->weight_hr ? rg_linear(h, s->weight_hr, NULL) : h;
    s->next[1] = c;
    return s->next[0];
}

static rg_node *lstm_step(rgi_cell_step *s)
{
    rg_node *z = rgi_preactivation(s);
    rg_node *i = rg_sigmoid(rgi_gates(s, z, 0, 1)), *f = rg_sigmoid(rgi_gates(s, z, 1, 2));
    rg_node *g = rg_tanh(rgi_gates(s, z, 2, 3)), *o = rg_sigmoid(rgi_gates(s, z, 3, 4));
    return emit(s, o, rg_add(rg_mul(f, s->state[1]), rg_mul(i, g)));
}

static rg_node *peephole_step(rgi_cell_step *s)
{
    rg_node *z = rgi_preactivation(s), *c = s->state[1];
    rg_node *pi = rgi_gate_rows(s, s->weight_ch, 0, 1), *pf = rgi_gate_rows(s, s->weight_ch, 1, 2),
            *po = rgi_gate_rows(s, s->weight_ch, 2, 3);
    rg_node *i = rg_sigmoid(rg_add(rgi_gates(s, z, 0, 1), rg_mul(c, pi)));
    rg_node *f = rg_sigmoid(rg_add(rgi_gates(s, z, 1, 2), rg_mul(c, pf)));
    rg_node *next = rg_add(rg_mul(f, c), rg_mul(i, rg_tanh(rgi_gates(s, z, 2, 3))));
    return emit(s, rg_sigmoid(rg_add(rgi_gates(s, z, 3, 4), rg_mul(next, po))), next);
}

static rg_node *cifg_step(rgi_cell_step *s)
{
    rg_node *z = rgi_preactivation(s);
    rg_node *f = rg_sigmoid(rgi_gates(s, z, 0, 1)), *g = rg_tanh(rgi_gates(s, z, 1, 2));
    rg_node *c = rg_add(rg_mul(f, s->state[1]), rg_mul(rg_one_minus(f), g));
    return emit(s, rg_sigmoid(rgi_gates(s, z, 2, 3)), c);
}

static rg_node *lean_step(rgi_cell_step *s)
{
    rg_node *z = rgi_preactivation(s);
    rg_node *i = rg_sigmoid(rgi_gates(s, z, 0, 1)), *f = rg_sigmoid(rgi_gates(s, z, 1, 2));
    rg_node *g = rg_tanh(rgi_gates(s, z, 2, 3)), *o = rg_sigmoid(rgi_gates(s, z, 3, 4));
    s->next[0] = rg_add(rg_mul(f, s->state[0]), rg_mul(i, g));
    return rg_mul(o, s->next[0]);
}

rg_node *rg_nn_lstm(rg_node *xs, const char *name, int64_t hidden, const rg_rnn_opts *opts)
{
    static const rgi_cell cell = {.name = "rg_nn_lstm", .gates = 4, .states = 2, .projects = true, .step = lstm_step};
    return rgi_rnn(&cell, xs, name, hidden, opts);
}

rg_node *rg_nn_lstm_peephole(rg_node *xs, const char *name, int64_t hidden, const rg_rnn_opts *opts)
{
    static const rgi_cell cell = {.name = "rg_nn_lstm_peephole",
                                  .gates = 4,
                                  .states = 2,
                                  .peepholes = true,
                                  .projects = true,
                                  .step = peephole_step};
    return rgi_rnn(&cell, xs, name, hidden, opts);
}

rg_node *rg_nn_cifg(rg_node *xs, const char *name, int64_t hidden, const rg_rnn_opts *opts)
{
    static const rgi_cell cell = {.name = "rg_nn_cifg", .gates = 3, .states = 2, .projects = true, .step = cifg_step};
    return rgi_rnn(&cell, xs, name, hidden, opts);
}

rg_node *rg_nn_lstm_lean(rg_node *xs, const char *name, int64_t hidden, const rg_rnn_opts *opts)
{
    static const rgi_cell cell = {.name = "rg_nn_lstm_lean", .gates = 4, .states = 1, .step = lean_step};
    return rgi_rnn(&cell, xs, name, hidden, opts);
}
