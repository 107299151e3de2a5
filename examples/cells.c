/* cells.c - recurrent cells on the adding problem (Hochreiter and Schmidhuber 1997, experiment 4): of a sequence of numbers
   two are marked, and the answer is their sum. A network that forgets can do no better than guess 1, which leaves an error of
   1/6. Six cells come with the library, among them the lean LSTM, which has one state, and the GRU whose candidate mixes
   input and state; the seventh is written here, and is as much a cell as they are. Prints a table and draws the curves. */
#include <retrograde/retrograde.h>

#include "arguments.h"
#include "random.h"

#include <math.h>
#include <stdio.h>

enum { EXAMPLES = 8192, TEST = 1024, BATCH = 64, CELLS = 7, MOST_EPOCHS = 1000 };

struct options {
    int epochs, hidden, length, threads;
    bool quick;
    const char *picture;
};

struct result {
    int64_t weights;
    int solved, epochs; /* the first epoch after which the error is a tenth of that of guessing, or 0 */
    double curve[MOST_EPOCHS], milliseconds;
};

typedef rg_node *layer(rg_node *xs, const char *name, int64_t hidden, const rg_rnn_opts *opts);

/* xs [T, B, in] -> states [T, B, hidden]: one gate that chooses between the old state and a candidate which the state
   itself enters only through one number a unit. Half the weights of a GRU. */
static rg_node *own_cell(rg_node *xs, const char *name, int64_t hidden, const rg_rnn_opts *opts)
{
    (void)opts;
    rg_graph *g = rg_graph_of(xs);
    const rg_param_opts within = {.init = RG_UNIFORM, .scale = 1 / sqrt((double)hidden)};
    rg_scope_push(g, name);
    rg_node *u = rg_param(g, "u", RG_F32, RG_SHAPE(hidden, hidden), &within);
    rg_node *d = rg_param(g, "d", RG_F32, RG_SHAPE(hidden), &within);
    rg_node *gate = rg_nn_linear(xs, "gate", hidden, NULL), *candidate = rg_nn_linear(xs, "candidate", hidden, NULL);
    rg_scope_pop(g);
    rg_scan *s = rg_scan_begin(g, &(rg_scan_opts){.name = name});
    rg_node *a = rg_scan_slice(s, gate), *b = rg_scan_slice(s, candidate);
    rg_node *h = rg_scan_carry(s, rg_zeros(g, RG_F32, RG_SHAPE(rg_shape_of(xs).dim[1], hidden)));
    rg_node *z = rg_sigmoid(rg_add(a, rg_matmul(h, u)));
    rg_node *next = rg_add(rg_mul(z, h), rg_mul(rg_one_minus(z), rg_tanh(rg_add(b, rg_mul(d, h)))));
    rg_scan_next(s, h, next);
    rg_node *states = rg_scan_stack(s, next);
    rg_scan_end(s);
    return states;
}

/* All but the first, which is here for comparison, must learn: to an error of 0.001, with --quick 0.01. */
static const struct {
    const char *name, *colour;
    layer *layer;
} cells[CELLS] = {
    {"RNN", "#7f7f7f", rg_nn_rnn},      {"LSTM", "#1f77b4", rg_nn_lstm},
    {"lean LSTM", "#17becf", rg_nn_lstm_lean}, {"GRU", "#2ca02c", rg_nn_gru},
    {"mixing GRU", "#ff7f0e", rg_nn_gru_mixing}, {"MGU", "#9467bd", rg_nn_mgu},
    {"own", "#d62728", own_cell},
};

/* ---- the task ---- */

/* xs [length, n, 2]: a number and whether it is marked, one mark in each half; y [n, 1]: the sums. */
static bool make_task(rg_tensor *xs, rg_tensor *y, int64_t length, int64_t n, uint64_t seed)
{
    if (rg_tensor_alloc(xs, RG_F32, RG_SHAPE(length, n, 2)) || rg_tensor_alloc(y, RG_F32, RG_SHAPE(n, 1)))
        return false;
    float *x = xs->data, *sum = y->data;
    const int64_t half = length / 2;
    for (int64_t i = 0; i < n; i++) {
        const int64_t first = (int64_t)(random_unit(&seed) * (double)half),
                      second = half + (int64_t)(random_unit(&seed) * (double)half);
        for (int64_t t = 0; t < length; t++) {
            float *at = x + (t * n + i) * 2;
            at[0] = (float)random_unit(&seed);
            at[1] = t == first || t == second;
            sum[i] += at[0] * at[1];
        }
    }
    return true;
}

/* ---- learning ---- */

static bool note_epoch(void *user, const rg_fit_state *state)
{
    struct result *r = user;
    r->curve[r->epochs++] = state->valid_loss;
    if (!r->solved && state->valid_loss < 1.0 / 60)
        r->solved = r->epochs;
    return true;
}

/* data: sequences and sums to learn from, then to test with. */
static rg_status try_cell(int cell, const struct options *o, const rg_tensor data[4], struct result *r)
{
    rg_graph *g = rg_graph_new(NULL);
    const int64_t batch = rg_dim(g, "batch");
    rg_node *xs = rg_input(g, "xs", RG_F32, RG_SHAPE(o->length, batch, 2));
    rg_node *sum = rg_input(g, "sum", RG_F32, RG_SHAPE(batch, 1));
    rg_node *wide = rg_nn_linear(xs, "in", o->hidden, NULL); /* the mixing GRU wants inputs as wide as its state */
    rg_node *states = cells[cell].layer(wide, "cell", o->hidden, NULL);
    rg_node *guess = rg_nn_linear(rg_squeeze(rg_slice(states, 0, -1, RG_END), 0), "out", 1, NULL);
    rg_node *loss = rg_mse_loss(guess, sum, NULL);
    rg_node *step = rg_adam(loss, &(rg_adam_opts){.lr = 3e-3, .clip_norm = 1});
    const rg_nodes params = rg_params(g);
    for (size_t k = 0; k < params.n; k++)
        r->weights += rg_shape_count(rg_shape_of(params.at[k]));
    const rg_column train[] = {{xs, &data[0], 1}, {sum, &data[1], 0}}, test[] = {{xs, &data[2], 1}, {sum, &data[3], 0}};
    rg_fit_report report;
    const rg_status status = rg_fit(&(rg_fit_opts){.loss = loss,
                                                   .step = step,
                                                   .train = {train, 2},
                                                   .valid = {test, 2},
                                                   .epochs = o->epochs,
                                                   .batch = BATCH,
                                                   .valid_batch = TEST,
                                                   .plan = &(rg_plan_opts){.threads = o->threads},
                                                   .progress = stderr,
                                                   .on_epoch = note_epoch,
                                                   .user = r},
                                    &report);
    r->milliseconds = 1e3 * report.last.seconds / ((double)o->epochs * (double)report.last.batches);
    rg_graph_free(g);
    return status;
}

/* ---- the picture ---- */

enum { WIDTH = 780, HEIGHT = 420, LEFT = 70, RIGHT = 130, TOP = 50, BOTTOM = 50 };

static double place_x(double share)
{
    return LEFT + share * (WIDTH - LEFT - RIGHT);
}

/* Errors from 1e-5 to 1, by powers of ten. */
static double place_y(double error)
{
    const double e = log10(fmin(fmax(error, 1e-5), 1));
    return TOP - e / 5 * (HEIGHT - TOP - BOTTOM);
}

static bool draw(const struct options *o, const struct result r[CELLS])
{
    FILE *f = fopen(o->picture, "w");
    if (!f)
        return false;
    fprintf(f,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" font-family=\"sans-serif\" "
            "font-size=\"13\">\n<rect width=\"100%%\" height=\"100%%\" fill=\"white\"/>\n"
            "<text x=\"%d\" y=\"28\" font-size=\"16\">The adding problem over %d steps: squared error on new sequences</text>\n",
            WIDTH, HEIGHT, LEFT, o->length);
    for (int k = 0; k <= 5; k++)
        fprintf(f,
                "<line x1=\"%d\" x2=\"%d\" y1=\"%.1f\" y2=\"%.1f\" stroke=\"#ddd\"/>\n"
                "<text x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%g</text>\n",
                LEFT, WIDTH - RIGHT, place_y(pow(10, -k)), place_y(pow(10, -k)), LEFT - 8, place_y(pow(10, -k)) + 4,
                pow(10, -k));
    const int tick = (o->epochs + 9) / 10;
    for (int k = tick; k <= o->epochs; k += tick)
        fprintf(f, "<text x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">%d</text>\n", place_x((double)k / o->epochs),
                HEIGHT - BOTTOM + 20, k);
    fprintf(f,
            "<text x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">epochs of %d sequences</text>\n"
            "<line x1=\"%d\" x2=\"%d\" y1=\"%.1f\" y2=\"%.1f\" stroke=\"#555\" stroke-dasharray=\"5,4\"/>\n"
            "<text x=\"%d\" y=\"%.1f\" fill=\"#555\">guessing 1</text>\n",
            place_x(0.5), HEIGHT - 10, o->quick ? EXAMPLES / 4 : EXAMPLES, LEFT, WIDTH - RIGHT, place_y(1.0 / 6),
            place_y(1.0 / 6), WIDTH - RIGHT - 80, place_y(1.0 / 6) - 6);
    for (int c = 0; c < CELLS; c++) {
        fprintf(f, "<polyline fill=\"none\" stroke=\"%s\" stroke-width=\"2\" points=\"", cells[c].colour);
        for (int k = 0; k < r[c].epochs; k++)
            fprintf(f, "%.1f,%.1f ", place_x((k + 1.0) / o->epochs), place_y(r[c].curve[k]));
        fprintf(f,
                "\"/>\n<line x1=\"%d\" x2=\"%d\" y1=\"%d\" y2=\"%d\" stroke=\"%s\" stroke-width=\"3\"/>\n"
                "<text x=\"%d\" y=\"%d\">%s</text>\n",
                WIDTH - RIGHT + 16, WIDTH - RIGHT + 38, TOP + 10 + 22 * c, TOP + 10 + 22 * c, cells[c].colour,
                WIDTH - RIGHT + 46, TOP + 14 + 22 * c, cells[c].name);
    }
    fprintf(f, "</svg>\n");
    return !fclose(f);
}

/* ---- the program ---- */

/* Prints the table; whether all learnt what a run of this length should teach. */
static bool tell(const struct options *o, const struct result r[CELLS], bool whole)
{
    bool learnt = true;
    printf("\n%-11s %8s %9s %9s   %s\n", "cell", "weights", "ms/step", "error", "solved after epoch");
    for (int c = 0; c < CELLS; c++) {
        const double error = r[c].curve[r[c].epochs - 1];
        printf("%-11s %8lld %9.3f %9.5f   ", cells[c].name, (long long)r[c].weights, r[c].milliseconds, error);
        printf(r[c].solved ? "%d\n" : "-\n", r[c].solved);
        learnt = learnt && (!whole || c == 0 || error <= (o->quick ? 0.01 : 0.001));
    }
    printf("solved: a tenth of the error of guessing 1, which is 0.16667. Curves in %s\n", o->picture);
    return learnt;
}

int main(int argc, char **argv)
{
    static struct result r[CELLS];
    struct options o = {.hidden = 48, .length = 40, .picture = "cells.svg"};
    const argument all[] = {
        {.name = "--epochs", .value = "N", .what = "passes over 8192 sequences (16, with --quick 5 over 2048)", .number = &o.epochs, .least = 1, .most = MOST_EPOCHS},
        {.name = "--hidden", .value = "N", .what = "width of the states", .number = &o.hidden, .least = 1, .most = 4096},
        {.name = "--length", .value = "N", .what = "numbers of a sequence, with --quick 8", .number = &o.length, .least = 2, .most = 1000},
        THREADS_ARGUMENT(&o.threads),
        {.name = "--picture", .value = "FILE", .what = "where the curves go", .text = &o.picture},
        {.name = "--quick", .what = "short sequences, and few", .flag = &o.quick},
    };
    const int told = arguments_read(&(command){"cells", "Seven recurrent cells, one of them written in this program, learn the adding problem.", all,
                                               sizeof all / sizeof *all},
                                    argc, argv);
    if (told >= 0)
        return told;
    const bool whole = !o.epochs;
    o.epochs = whole ? o.quick ? 5 : 16 : o.epochs;
    o.length = o.quick ? 8 : o.length;
    rg_tensor data[4] = {{0}};
    bool ok = make_task(&data[0], &data[1], o.length, o.quick ? EXAMPLES / 4 : EXAMPLES, 1) &&
              make_task(&data[2], &data[3], o.length, TEST, 2);
    for (int c = 0; c < CELLS && ok; c++) {
        fprintf(stderr, "%s\n", cells[c].name);
        ok = !try_cell(c, &o, data, &r[c]);
    }
    if (!ok)
        fprintf(stderr, "cells: %s\n", rg_last_error());
    const bool learnt = ok && tell(&o, r, whole), drawn = ok && draw(&o, r);
    if (ok && !learnt)
        fprintf(stderr, "cells: they should have learnt more\n");
    if (ok && !drawn)
        perror(o.picture);
    for (int i = 0; i < 4; i++)
        rg_tensor_free(&data[i]);
    return ok && learnt && drawn ? 0 : 1;
}
