/* cases_cells.c - recurrent cells that no library has a kernel for, written with public operators as a user writes
   them, and what the matrix products in them would take at the speed of oneDNN's LSTM. */
#include "recurrent.h"
#include "rivals/onednn.h"

#include <stdlib.h>

#define CELL(name, layer, products)                   \
    {                                                 \
        name, layer, LSTM, 64, 32, 256, 256, products \
    }
static const recurrent rows[] = {
    CELL("LSTM of the library", rg_nn_lstm, 4),
    CELL("LSTM", user_lstm, 4),
    CELL("LSTM, a weight a gate", user_lstm_apart, 4),
    CELL("LSTM, peepholes", user_peephole, 4),
    CELL("CIFG", user_cifg, 3),
    CELL("GRU, Cho's", user_gru_cho, 3),
    CELL("MGU", user_mgu, 2),
    CELL("GRU, mixing", user_gru_mixing, 3), /* six matrices, all of hidden x hidden */
};

/* oneDNN's LSTM, its seconds scaled by the products of the row's cell to those of an LSTM. */
struct scaled {
    contestant lstm;
    double factor;
};

static double run(void *state, int64_t steps)
{
    const struct scaled *s = state;
    return s->lstm.run(s->lstm.state, steps) * s->factor;
}

static void finish(void *state)
{
    struct scaled *s = state;
    s->lstm.finish(s->lstm.state);
    free(s);
}

static const char *start_lstm(const void *row, int threads, contestant *out)
{
    recurrent lstm = *(const recurrent *)row;
    struct scaled *s = calloc(1, sizeof *s);
    if (!s)
        return "oneDNN: out of memory";
    lstm.products = 4;
    s->factor = recurrent_flops(row) / recurrent_flops(&lstm);
    const char *why = (ONEDNN(recurrent_onednn))(row, threads, &s->lstm);
    if (why)
        free(s);
    else
        *out = (contestant){run, finish, s};
    return why;
}

const bench_group cases_cells = {
    .name = "cells",
    .title = "Cells written by a user, T64 B32 I256 H256, forward and backward; oneDNN: its LSTM, for as many products",
    BENCH_ROWS(rows),
    .ours = recurrent_ours,
    .rivals = {{"oneDNN's LSTM", start_lstm}},
    .flops = recurrent_flops,
};
