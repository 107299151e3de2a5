/* cases_sequences.c - whole training steps of recurrent networks: forward, loss, backward, SGD. */
#include "bench.h"

typedef struct network {
    const char *name, *request; /* of PyTorch */
    const char *(*start)(int threads, contestant *out);
    double flops;
} network;

/* Two layers of LSTM 256 over 64 letters of 96, at 32 places. */
static const char *charlstm(int threads, contestant *out)
{
    enum { T = 64, B = 32, LETTERS = 96 };
    rg_graph *g = rg_graph_new(NULL);
    rg_node *x = rg_input(g, "x", RG_F32, RG_SHAPE(T, B, LETTERS)), *next = rg_input(g, "next", RG_I64, RG_SHAPE(T, B));
    rg_node *h = rg_nn_lstm(x, "lstm", 256, &(rg_rnn_opts){.layers = 2});
    rg_node *loss = rg_cross_entropy(rg_nn_linear(h, "out", LETTERS, NULL), next, NULL);
    rg_node *step = rg_sgd(loss, &(rg_sgd_opts){.lr = 0.01});
    bench_plan *p = bench_plan_new(g, RG_NODES(loss, step), loss, threads);
    bench_plan_bind(p, x, bench_floats((int64_t)T * B * LETTERS, 0, 0.02f));
    bench_plan_bind(p, next, bench_labels((int64_t)T * B, LETTERS));
    return bench_plan_start(p, out);
}

/* xs [T, B, in], context [B, n] -> the states of PyTorch's GRU over both, begun from the context, which is multiplied
   with its weights once. */
static rg_node *decode(rg_node *xs, rg_node *context, int64_t n)
{
    rg_graph *g = rg_graph_of(xs);
    rg_node *u = rg_param(g, "dec.u", RG_F32, RG_SHAPE(3 * n, n), NULL);
    rg_node *b = rg_param(g, "dec.b", RG_F32, RG_SHAPE(3 * n), NULL);
    rg_node *in = rg_nn_linear(xs, "dec.x", 3 * n, NULL);
    rg_node *fixed = rg_nn_linear(context, "dec.c", 3 * n, &(rg_linear_opts){.no_bias = true});
    rg_scan *s = rg_scan_begin(g, NULL);
    rg_node *x = rg_add(rg_scan_slice(s, in), fixed), *h = rg_scan_carry(s, context), *y = rg_linear(h, u, b);
    rg_node *gates = rg_sigmoid(rg_add(rg_slice(x, 1, 0, 2 * n), rg_slice(y, 1, 0, 2 * n)));
    rg_node *r = rg_slice(gates, 1, 0, n), *z = rg_slice(gates, 1, n, 2 * n);
    rg_node *m = rg_tanh(rg_add(rg_slice(x, 1, 2 * n, 3 * n), rg_mul(r, rg_slice(y, 1, 2 * n, 3 * n))));
    rg_node *next = rg_add(rg_mul(z, h), rg_mul(rg_one_minus(z), m));
    rg_scan_next(s, h, next);
    rg_node *states = rg_scan_stack(s, next);
    rg_scan_end(s);
    return states;
}

/* A GRU reads 20 words, another writes 20, which sees what the first has come to at every step. */
static const char *seq2seq(int threads, contestant *out)
{
    enum { T = 20, B = 32, WORDS = 1000, E = 128, H = 256 };
    rg_graph *g = rg_graph_new(NULL);
    rg_node *x = rg_input(g, "x", RG_I64, RG_SHAPE(T, B)), *y = rg_input(g, "y", RG_I64, RG_SHAPE(T, B)),
            *wanted = rg_input(g, "wanted", RG_I64, RG_SHAPE(T, B)), *last;
    rg_node *read = rg_embedding(rg_param(g, "read", RG_F32, RG_SHAPE(WORDS, E), NULL), x);
    rg_node *write = rg_embedding(rg_param(g, "write", RG_F32, RG_SHAPE(WORDS, E), NULL), y);
    rg_nn_gru(read, "enc", H, &(rg_rnn_opts){.last = &last});
    rg_node *states = decode(write, rg_squeeze(last, 0), H);
    rg_node *loss = rg_cross_entropy(rg_nn_linear(states, "out", WORDS, NULL), wanted, NULL);
    rg_node *step = rg_sgd(loss, &(rg_sgd_opts){.lr = 0.01});
    bench_plan *p = bench_plan_new(g, RG_NODES(loss, step), loss, threads);
    bench_plan_bind(p, x, bench_labels((int64_t)T * B, WORDS));
    bench_plan_bind(p, y, bench_labels((int64_t)T * B, WORDS));
    bench_plan_bind(p, wanted, bench_labels((int64_t)T * B, WORDS));
    return bench_plan_start(p, out);
}

/* The mixing GRU, a cell of the user's. */
static const char *varcell(int threads, contestant *out)
{
    enum { T = 64, B = 32, N = 128 };
    rg_graph *g = rg_graph_new(NULL);
    rg_node *xs = rg_input(g, "xs", RG_F32, RG_SHAPE(T, B, N)), *w[8];
    for (int k = 0; k < 8; k++)
        w[k] = rg_param(g, (const char *[]){"wz", "uz", "wr", "ur", "wn", "bz", "br", "bn"}[k], RG_F32,
                        k < 5 ? RG_SHAPE(N, N) : RG_SHAPE(N), NULL);
    rg_scan *s = rg_scan_begin(g, NULL);
    rg_node *x = rg_scan_slice(s, xs), *h = rg_scan_carry(s, rg_zeros(g, RG_F32, RG_SHAPE(B, N)));
    rg_node *z = rg_sigmoid(rg_add(rg_add(rg_matmul(x, w[0]), rg_matmul(h, w[1])), w[5]));
    rg_node *r = rg_sigmoid(rg_add(rg_add(rg_matmul(x, w[2]), rg_matmul(h, w[3])), w[6]));
    rg_node *mixed = rg_add(rg_mul(x, rg_one_minus(r)), rg_mul(h, r));
    rg_node *m = rg_tanh(rg_add(rg_matmul(mixed, w[4]), w[7]));
    rg_scan_next(s, h, rg_add(rg_mul(rg_one_minus(z), h), rg_mul(z, m)));
    rg_node *last = rg_scan_last(s, h);
    rg_scan_end(s);
    rg_node *loss = rg_mean(rg_square(last), RG_ALL_AXES, false);
    rg_node *step = rg_sgd(loss, &(rg_sgd_opts){.lr = 0.01});
    bench_plan *p = bench_plan_new(g, RG_NODES(loss, step), loss, threads);
    bench_plan_bind(p, xs, bench_floats((int64_t)T * B * N, -0.5f, 0.5f));
    return bench_plan_start(p, out);
}

/* Products forward; as much again for each gradient that is needed: not those of letters, words and inputs. */
#define CHARLSTM (2.0 * 64 * 32 * (1024.0 * (2 * 96 + 3 * 768) + 3 * 256.0 * 96))
#define SEQ2SEQ (3 * 2.0 * 20 * 32 * (768.0 * (128 + 256) * 2 + 256.0 * 1000) + 3 * 2.0 * 32 * 768.0 * 256)
#define VARCELL (2.0 * 64 * 32 * 128.0 * 128 * (2 * 2 + 3 * 3))

static const network rows[] = {
    {"charlstm", "charlstm", charlstm, CHARLSTM},
    {"seq2seq", "seq2seq", seq2seq, SEQ2SEQ},
    {"varcell", "varcell", varcell, VARCELL},
};

static const char *ours(const void *row, int threads, contestant *out)
{
    return ((const network *)row)->start(threads, out);
}

static const char *torch(const void *row, int threads, contestant *out)
{
    return torch_start(threads, ((const network *)row)->request, out);
}

static double flops(const void *row)
{
    return ((const network *)row)->flops;
}

const bench_group cases_sequences = {
    .name = "sequences",
    .title = "Training steps of recurrent networks: forward, loss, backward, SGD",
    BENCH_ROWS(rows),
    .ours = ours,
    .rivals = {{"PyTorch", torch}},
    .flops = flops,
};
