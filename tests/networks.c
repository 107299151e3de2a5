/* networks.c - a perceptron with dropout and Adam, LeNet-5 with momentum, two layers of LSTM in both directions. */
#include "networks.h"

#include <xxhash.h>

enum { CLASSES = 10, ROWS = 96, WIDE = 28 * 28, SEQUENCE = 9, FEATURES = 24 };

const char *const network_names[] = {"MLP", "LeNet", "LSTM"};

static float pictures[ROWS][WIDE], sequences[ROWS / 8][SEQUENCE][8][FEATURES];
static int64_t labels[ROWS];

/* Before any thread. */
__attribute__((constructor)) static void fill_data(void)
{
    float *const s = &sequences[0][0][0][0];
    for (int i = 0; i < ROWS; i++) {
        for (int k = 0; k < WIDE; k++)
            pictures[i][k] = (float)((i * 31 + k * 17 + i * k) % 23) / 11.5f - 1;
        labels[i] = (i * 7 + i / 10) % CLASSES;
    }
    for (size_t i = 0; i < sizeof sequences / sizeof(float); i++)
        s[i] = (float)(i * 37 % 101) / 50 - 1;
}

static rg_node *perceptron(rg_node *x)
{
    rg_node *h = rg_nn_dropout(rg_tanh(rg_nn_linear(x, "fc1", 96, NULL)), 0.1);
    h = rg_relu(rg_nn_linear(h, "fc2", 96, NULL));
    return rg_nn_linear(h, "fc3", CLASSES, NULL);
}

static rg_node *lenet(rg_node *x)
{
    const rg_pool_opts halve = {.window = {2, 2}};
    rg_node *h = rg_nn_conv2d(x, "conv1", 6, &(rg_conv_opts){.kernel = {5, 5}, .pad = {2, 2}});
    h = rg_max_pool2d(rg_relu(h), &halve);
    h = rg_nn_conv2d(h, "conv2", 16, &(rg_conv_opts){.kernel = {5, 5}});
    h = rg_flatten(rg_avg_pool2d(rg_tanh(h), &halve), 1);
    h = rg_tanh(rg_nn_linear(h, "fc1", 120, NULL));
    h = rg_tanh(rg_nn_linear(h, "fc2", 84, NULL));
    return rg_nn_linear(h, "fc3", CLASSES, NULL);
}

network network_new(network_kind kind)
{
    network m = {.kind = kind, .g = rg_graph_new(&(rg_graph_opts){.seed = 42})};
    rg_graph *g = m.g;
    rg_node *logits;
    if (kind == MLP) {
        m.x = rg_input(g, "x", RG_F32, RG_SHAPE(rg_dim(g, "batch"), WIDE));
        m.t = rg_input(g, "t", RG_I64, RG_SHAPE(rg_dim(g, "batch")));
        logits = perceptron(m.x);
    } else if (kind == LENET) {
        m.x = rg_input(g, "x", RG_F32, RG_SHAPE(8, 1, 28, 28));
        m.t = rg_input(g, "t", RG_I64, RG_SHAPE(8));
        logits = lenet(m.x);
    } else {
        m.x = rg_input(g, "x", RG_F32, RG_SHAPE(rg_dim(g, "time"), 8, FEATURES));
        m.t = rg_input(g, "t", RG_I64, RG_SHAPE(8));
        rg_node *h = rg_nn_lstm(m.x, "lstm", 32, &(rg_rnn_opts){.layers = 2, .bidirectional = true});
        logits = rg_nn_linear(rg_mean(h, RG_AXES(0), false), "out", CLASSES, NULL);
    }
    m.loss = rg_cross_entropy(logits, m.t, NULL);
    m.step = kind == LENET ? rg_sgd(m.loss, &(rg_sgd_opts){.lr = 0.02, .momentum = 0.9})
                           : rg_adam(m.loss, &(rg_adam_opts){.lr = 1e-3, .clip_norm = kind == LSTM ? 1 : 0});
    return m;
}

bool network_bind(const network *m, rg_plan *p, int step)
{
    const int64_t odd = step % 5 == 4;
    if (m->kind == MLP) {
        const int64_t n = odd ? 13 : 32, at = step % 3 * 32;
        return !rg_bind_shape(p, m->x, pictures[at], RG_SHAPE(n, WIDE)) &&
               !rg_bind_shape(p, m->t, labels + at, RG_SHAPE(n));
    }
    const int at = step % (ROWS / 8);
    if (m->kind == LENET)
        return !rg_bind(p, m->x, pictures[at * 8]) && !rg_bind(p, m->t, labels + at * 8);
    return !rg_bind_shape(p, m->x, sequences[at], RG_SHAPE(odd ? SEQUENCE - 4 : SEQUENCE, 8, FEATURES)) &&
           !rg_bind(p, m->t, labels + at * 8);
}

bool network_train(const network *m, rg_plan *p, int first, int n)
{
    for (int i = first; i < first + n; i++)
        if (!network_bind(m, p, i) || rg_run(p))
            return false;
    return true;
}

uint64_t network_hash(const network *m)
{
    uint64_t h = 0;
    const rg_nodes all = rg_stored(m->g);
    for (size_t i = 0; i < all.n; i++) {
        const rg_tensor t = rg_value(all.at[i]);
        h = XXH64(t.data, rg_tensor_bytes(&t), h);
    }
    return h;
}
