/* sequence.c - four recurrent cells learn to add: GRU, the LSTM, the lean LSTM with one state, and the GRU whose candidate
   mixes input and state. Of a sequence of random numbers two are marked, and the answer is their sum (Hochreiter and
   Schmidhuber 1997, experiment 4): a network that forgets can do no better than a squared error of 1/6. */
#include <retrograde/retrograde.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TRAIN = 8192, TEST = 1024, WIDTH = 48, BATCH = 64 };

typedef rg_node *cell(rg_node *xs, const char *name, int64_t hidden, const rg_rnn_opts *opts);

static const struct {
    const char *name;
    cell *make;
} cells[] = {
    {"GRU", rg_nn_gru},
    {"LSTM", rg_nn_lstm},
    {"lean LSTM", rg_nn_lstm_lean},
    {"mixing GRU", rg_nn_gru_mixing},
};
enum { CELLS = sizeof cells / sizeof *cells };

static double next_random(uint64_t *state)
{
    uint64_t z = *state += 0x9E3779B97F4A7C15u;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    return (double)((z ^ z >> 31) >> 11) * 0x1p-53;
}

/* xs [time, n, 2]: a number and a mark; y [n, 1]. */
static bool make_task(rg_tensor *xs, rg_tensor *y, int64_t time, int64_t n, uint64_t seed)
{
    if (rg_tensor_alloc(xs, RG_F32, RG_SHAPE(time, n, 2)) || rg_tensor_alloc(y, RG_F32, RG_SHAPE(n, 1)))
        return false;
    float *x = xs->data, *sum = y->data;
    for (int64_t i = 0; i < n; i++) {
        const int64_t first = (int64_t)(next_random(&seed) * (double)(time / 2)),
                      second = time / 2 + (int64_t)(next_random(&seed) * (double)(time / 2));
        for (int64_t t = 0; t < time; t++) {
            float *at = x + (t * n + i) * 2;
            at[0] = (float)next_random(&seed);
            at[1] = t == first || t == second;
            sum[i] += at[0] * at[1];
        }
    }
    return true;
}

/* Trains one cell; its validation errors go to `errors`. */
static rg_status train(int which, const rg_tensor data[4], int64_t epochs, int threads, double *last)
{
    rg_graph *g = rg_graph_new(NULL);
    const int64_t batch = rg_dim(g, "batch");
    rg_node *xs = rg_input(g, "xs", RG_F32, RG_SHAPE(data[0].shape.dim[0], batch, 2));
    rg_node *y = rg_input(g, "y", RG_F32, RG_SHAPE(batch, 1));
    rg_node *wide = rg_nn_linear(xs, "in", WIDTH, NULL); /* the mixing GRU wants inputs as wide as its state */
    rg_node *hs = cells[which].make(wide, "cell", WIDTH, NULL);
    rg_node *final = rg_reshape(rg_slice(hs, 0, -1, RG_END), RG_SHAPE(batch, WIDTH));
    rg_node *loss = rg_mse_loss(rg_nn_linear(final, "out", 1, NULL), y, NULL);
    rg_node *step = rg_adam(loss, &(rg_adam_opts){.lr = 3e-3, .clip_norm = 1});
    const rg_column columns[] = {{xs, &data[0], 1}, {y, &data[1], 0}}, test[] = {{xs, &data[2], 1}, {y, &data[3], 0}};
    char svg[64];
    rg_fit_report report;
    snprintf(svg, sizeof svg, "sequence_%d.svg", which + 1);
    const rg_status status = rg_fit(&(rg_fit_opts){.loss = loss,
                                                   .step = step,
                                                   .train = {columns, 2},
                                                   .valid = {test, 2},
                                                   .epochs = epochs,
                                                   .batch = BATCH,
                                                   .valid_batch = TEST,
                                                   .plan = &(rg_plan_opts){.threads = threads},
                                                   .progress = stdout,
                                                   .svg = svg},
                                    &report);
    *last = report.last.valid_loss;
    rg_graph_free(g);
    return status;
}

int main(int argc, char **argv)
{
    int64_t epochs = 12, time = 40, n = TRAIN;
    int threads = 0, code = 0;
    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], "--quick") == 0) {
            epochs = 5, time = 8, n = TRAIN / 4;
        } else if (strcmp(argv[i], "--threads") == 0 && i + 1 < argc && atoi(argv[i + 1]) > 0) {
            threads = atoi(argv[++i]);
        } else {
            const bool asked = strcmp(argv[i], "--help") == 0;
            fprintf(asked ? stdout : stderr, "usage: sequence [--threads N] [--quick]\nFour recurrent cells learn to add "
                                             "two marked numbers; the curves go to sequence_1.svg and so on.\n");
            return asked ? 0 : 2;
        }
    rg_tensor data[4] = {{0}};
    double error[CELLS] = {0};
    if (!make_task(&data[0], &data[1], time, n, 1) || !make_task(&data[2], &data[3], time, TEST, 2))
        code = 1;
    for (int c = 0; c < CELLS && !code; c++) {
        printf("%s\n", cells[c].name);
        if (train(c, data, epochs, threads, &error[c])) {
            fprintf(stderr, "sequence: %s\n", rg_last_error());
            code = 1;
        }
    }
    printf("\n%-12s %s\n", "cell", "squared error (guessing: 0.1667)");
    for (int c = 0; c < CELLS; c++) {
        printf("%-12s %.4f\n", cells[c].name, error[c]);
        code |= error[c] > 0.05;
    }
    for (int i = 0; i < 4; i++)
        rg_tensor_free(&data[i]);
    return code;
}
