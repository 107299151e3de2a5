/* test_footprint.c - memory of the training steps that the benchmarks time: where values lie takes hardly more than
   what is alive at once, which no placement can do without; what is counted is what is there. */
#include "must.h"

#include "../examples/networks.h"

typedef struct step {
    const char *name;
    rg_node *(*loss)(rg_graph *g, int64_t batch);
    int64_t batch;
} step;

static rg_node *classified(rg_node *logits, int64_t batch)
{
    rg_graph *g = rg_graph_of(logits);
    return rg_cross_entropy(logits, rg_input(g, "labels", RG_I64, RG_SHAPE(batch)), NULL);
}

static rg_node *mlp(rg_graph *g, int64_t batch)
{
    rg_node *h = rg_input(g, "x", RG_F32, RG_SHAPE(batch, 784));
    h = rg_relu(rg_nn_linear(h, "fc1", 512, NULL));
    h = rg_relu(rg_nn_linear(h, "fc2", 512, NULL));
    return classified(rg_nn_linear(h, "fc3", 10, NULL), batch);
}

static rg_node *autoencoder(rg_graph *g, int64_t batch)
{
    static const int64_t widths[] = {1000, 500, 250, 30, 250, 500, 1000, 784};
    rg_node *x = rg_input(g, "x", RG_F32, RG_SHAPE(batch, 784)), *h = x;
    for (int i = 0; i < 8; i++) {
        const char name[] = {'f', 'c', (char)('0' + i), '\0'};
        h = rg_sigmoid(rg_nn_linear(h, name, widths[i], NULL));
    }
    return rg_mean(rg_square(rg_sub(h, x)), RG_ALL_AXES, false);
}

static rg_node *grey(rg_graph *g, int64_t batch)
{
    return rg_input(g, "image", RG_F32, RG_SHAPE(batch, 1, 28, 28));
}

static rg_node *coloured(rg_graph *g, int64_t batch)
{
    return rg_input(g, "image", RG_F32, RG_SHAPE(batch, 3, 224, 224));
}

static rg_node *lenet(rg_graph *g, int64_t batch)
{
    return classified(lenet_logits(grey(g, batch), 10, NULL), batch);
}

static rg_node *mnistcnn(rg_graph *g, int64_t batch)
{
    return classified(mnistcnn_logits(grey(g, batch), 10), batch);
}

static rg_node *alexnet(rg_graph *g, int64_t batch)
{
    return classified(alexnet_tower_logits(coloured(g, batch), 1000), batch);
}

static rg_node *resnet18(rg_graph *g, int64_t batch)
{
    return classified(resnet18_logits(coloured(g, batch), 1000), batch);
}

static rg_node *charlstm(rg_graph *g, int64_t batch)
{
    rg_node *x = rg_input(g, "x", RG_F32, RG_SHAPE(64, batch, 96));
    rg_node *h = rg_nn_lstm(x, "lstm", 256, &(rg_rnn_opts){.layers = 2});
    rg_node *next = rg_input(g, "next", RG_I64, RG_SHAPE(64, batch));
    return rg_cross_entropy(rg_nn_linear(h, "out", 96, NULL), next, NULL);
}

static rg_node *seq2seq(rg_graph *g, int64_t batch)
{
    rg_node *words = rg_input(g, "words", RG_I64, RG_SHAPE(20, batch)), *last;
    rg_node *xs = rg_embedding(rg_param(g, "read", RG_F32, RG_SHAPE(1000, 128), NULL), words);
    rg_nn_gru(xs, "encoder", 256, &(rg_rnn_opts){.last = &last});
    rg_node *ys = rg_nn_gru(xs, "decoder", 256, &(rg_rnn_opts){.initial = {last}});
    return rg_cross_entropy(rg_nn_linear(ys, "out", 1000, NULL), words, NULL);
}

static rg_node *mixing(rg_graph *g, int64_t batch)
{
    rg_node *ys = rg_nn_gru_mixing(rg_input(g, "xs", RG_F32, RG_SHAPE(64, batch, 128)), "cell", 128, NULL);
    return rg_mean(rg_square(ys), RG_ALL_AXES, false);
}

static const step steps[] = {
    {"mlp64", mlp, 64},         {"mlp256", mlp, 256},     {"autoencoder", autoencoder, 128}, {"lenet", lenet, 64},
    {"mnistcnn", mnistcnn, 64}, {"alexnet", alexnet, 16}, {"resnet18", resnet18, 8},         {"charlstm", charlstm, 32},
    {"seq2seq", seq2seq, 32},   {"mixing", mixing, 32},
};

/* Bytes of everything stored. */
static size_t stored(rg_graph *g)
{
    const rg_nodes all = rg_stored(g);
    size_t bytes = 0;
    for (size_t i = 0; i < all.n; i++) {
        const rg_tensor t = rg_value(all.at[i]);
        bytes += rg_tensor_bytes(&t);
    }
    return bytes;
}

Test(footprint, values_lie_within_a_twentieth_of_what_is_alive)
{
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        rg_graph *g = rg_graph_new(NULL);
        rg_node *loss = steps[i].loss(g, steps[i].batch);
        rg_node *update = rg_sgd(loss, &(rg_sgd_opts){.lr = 0.01});
        for (int threads = 1; threads <= 2; threads++) {
            rg_plan *p = must_compile(g, RG_NODES(loss, update), &(rg_plan_opts){.threads = threads});
            rg_estimate e;
            must(rg_plan_estimate(p, NULL, &e));
            cr_expect(e.peak > 0 && e.peak <= e.values && e.values <= e.memory, "%s", steps[i].name);
            cr_expect((double)e.values <= 1.05 * (double)e.peak,
                      "%s, %d threads: %zu bytes for values, %zu alive at once", steps[i].name, threads, e.values,
                      e.peak);
            cr_expect_eq(e.memory, rg_plan_bytes(p), "%s", steps[i].name);
            cr_expect_eq(e.parameters, stored(g), "%s: %zu", steps[i].name, e.parameters);
            rg_plan_free(p);
        }
        rg_graph_free(g);
    }
}

/* Attention out of one projection, of many tokens: while the softmax goes back, three matrices of a number for each
   pair of them are alive, and queries, keys and the gradient of the values. No projection is, nor a place for its
   gradient, just for the sake of reading and writing parts where they lie. */
Test(footprint, attention_keeps_no_more_than_parts)
{
    enum { TOKENS = 256, WIDTH = 128 };
    rg_graph *g = rg_graph_new(NULL);
    rg_node *x = rg_input(g, "x", RG_F32, RG_SHAPE(TOKENS, WIDTH)), *part[3];
    rg_node *joined = rg_nn_linear(x, "projection", 3 * WIDTH, &(rg_linear_opts){.no_bias = true});
    for (int i = 0; i < 3; i++)
        part[i] = rg_slice(joined, 1, i * WIDTH, (i + 1) * WIDTH);
    rg_node *weights = rg_softmax(rg_scale(rg_matmul(part[0], rg_transpose(part[1], RG_ALL_AXES)), 0.1), -1),
            *loss = rg_mean(rg_square(rg_matmul(weights, part[2])), RG_ALL_AXES, false),
            *update = rg_sgd(loss, &(rg_sgd_opts){.lr = 0.01});
    rg_plan *p = must_compile(g, RG_NODES(loss, update), &(rg_plan_opts){.threads = 1});
    rg_estimate e;
    must(rg_plan_estimate(p, NULL, &e));
    const double pairs = (double)TOKENS * TOKENS * sizeof(float), tokens = (double)TOKENS * WIDTH * sizeof(float);
    cr_expect((double)e.values <= 1.02 * (3 * pairs + 3 * tokens), "%.0f bytes, and %.0f would do", (double)e.values,
              3 * pairs + 3 * tokens);
    rg_plan_free(p);
    rg_graph_free(g);
}
