/* recurrent.h - one layer over a sequence, forward and backward: gradients with respect to the sequence, the weights
   and the first states, from given gradients of the outputs, in f32. */
#ifndef BENCH_RECURRENT_H
#define BENCH_RECURRENT_H

#include "bench.h"

typedef enum onednn_layer { LSTM, GRU, LINEAR_GRU } onednn_layer; /* the last: reset after the product */

typedef struct recurrent {
    const char *name;
    rg_node *(*layer)(rg_node *xs, const char *name, int64_t hidden, const rg_rnn_opts *opts);
    onednn_layer like; /* which of oneDNN's it is measured against */
    int steps, batch, inputs, hidden;
    int products; /* matrices of hidden x inputs, and as many of hidden x hidden */
} recurrent;

#ifdef __cplusplus
extern "C" {
#endif

/* Multiply-adds of the matrix products, forward and backward, counting two. */
double recurrent_flops(const void *row);
bench_start recurrent_ours, recurrent_onednn;

/* Cells as a user writes them, with public operators alone: xs [T, B, in] -> outputs [T, B, hidden]. (user_cells.c) */
rg_node *user_lstm(rg_node *xs, const char *name, int64_t hidden, const rg_rnn_opts *opts);
rg_node *user_lstm_apart(rg_node *xs, const char *name, int64_t hidden, const rg_rnn_opts *opts);
rg_node *user_peephole(rg_node *xs, const char *name, int64_t hidden, const rg_rnn_opts *opts);
rg_node *user_cifg(rg_node *xs, const char *name, int64_t hidden, const rg_rnn_opts *opts);
rg_node *user_gru_cho(rg_node *xs, const char *name, int64_t hidden, const rg_rnn_opts *opts);
rg_node *user_mgu(rg_node *xs, const char *name, int64_t hidden, const rg_rnn_opts *opts);
rg_node *user_gru_mixing(rg_node *xs, const char *name, int64_t hidden, const rg_rnn_opts *opts);

#ifdef __cplusplus
}
#endif

#endif
