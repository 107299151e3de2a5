/* cells.c - five recurrent cells on the adding problem (Hochreiter and Schmidhuber 1997): of a hundred numbers two are
   marked, and the answer is their sum. Four cells come with the library; the fifth is written here, and is as much a cell
   as they are. Prints a table and draws the curves of learning as a picture. */
#define _POSIX_C_SOURCE 200809L

#include <retrograde/retrograde.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { BATCH = 64, CELLS = 5, POINTS = 100, LONGEST = 1000 };

struct options {
    int steps, hidden, length, threads;
    const char *picture;
};

struct result {
    int64_t weights;
    double curve[POINTS], milliseconds;
    int solved; /* the first step whose error is a tenth of what guessing gives, or 0 */
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

static const struct {
    const char *name, *colour;
    layer *layer;
} cells[CELLS] = {
    {"RNN", "#7f7f7f", rg_nn_rnn}, {"LSTM", "#1f77b4", rg_nn_lstm}, {"GRU", "#2ca02c", rg_nn_gru},
    {"MGU", "#9467bd", rg_nn_mgu}, {"own", "#d62728", own_cell},
};

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static bool fail(const char *why)
{
    fprintf(stderr, "cells: %s\n", why);
    return false;
}

static double uniform(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u; /* Knuth */
    return (double)(*state >> 11) * 0x1p-53;
}

/* [length, BATCH, 2]: a number and whether it is marked, one mark in each half; [BATCH, 1]: the sums. */
static void fill(float *x, float *sum, int length, uint64_t *state)
{
    for (int i = 0; i < length * BATCH; i++) {
        x[2 * i] = (float)uniform(state);
        x[2 * i + 1] = 0;
    }
    for (int b = 0; b < BATCH; b++) {
        sum[b] = 0;
        for (int half = 0; half < 2; half++) {
            const int t = half * (length / 2) + (int)(uniform(state) * (length / 2));
            x[2 * (t * BATCH + b) + 1] = 1;
            sum[b] += x[2 * (t * BATCH + b)];
        }
    }
}

/* On a terminal, ten times a second. */
static void show(int cell, int done, int steps, double error, double start)
{
    static double drawn;
    enum { WIDTH = 24 };
    const double t = now();
    if (!isatty(STDOUT_FILENO) || t - drawn < 0.1)
        return;
    drawn = t;
    char bar[WIDTH + 1] = {0};
    for (int i = 0; i < WIDTH; i++)
        bar[i] = i < done * WIDTH / steps ? '#' : '-';
    const int left = (int)((t - start) * (steps - done) / done);
    printf("\r%-5s [%s] %3d%%  error %.5f  %.0f steps/s  %d:%02d left \033[K", cells[cell].name, bar, 100 * done / steps,
           error, done / (t - start), left / 60, left % 60);
    fflush(stdout);
}

/* Trains one cell from the same numbers as all others. */
static bool try_cell(int cell, const struct options *o, float *x, float *sum, struct result *r)
{
    rg_graph *g = rg_graph_new(NULL);
    rg_node *xs = rg_input(g, "xs", RG_F32, RG_SHAPE(o->length, BATCH, 2));
    rg_node *answer = rg_input(g, "answer", RG_F32, RG_SHAPE(BATCH, 1));
    rg_node *states = cells[cell].layer(xs, "cell", o->hidden, NULL);
    rg_node *guess = rg_nn_linear(rg_squeeze(rg_slice(states, 0, -1, RG_END), 0), "out", 1, NULL);
    rg_node *loss = rg_mse_loss(guess, answer, NULL);
    rg_node *step = rg_adam(loss, &(rg_adam_opts){.lr = 3e-3, .clip_norm = 1});
    rg_plan *p = rg_compile(g, RG_NODES(loss, step), &(rg_plan_opts){.threads = o->threads});
    bool ok = p || fail(rg_graph_error(g));
    ok = ok && ((!rg_bind(p, xs, x) && !rg_bind(p, answer, sum)) || fail(rg_last_error()));
    const rg_nodes params = rg_params(g);
    for (size_t k = 0; k < params.n; k++)
        r->weights += rg_shape_count(rg_shape_of(params.at[k]));
    uint64_t state = 1;
    double mean = 0;
    const double start = now();
    for (int i = 0; ok && i < o->steps; i++) {
        fill(x, sum, o->length, &state);
        if (rg_run(p)) {
            ok = fail(rg_last_error());
            break;
        }
        const double error = *(const float *)rg_data(p, loss);
        const int point = (int)((int64_t)i * POINTS / o->steps), next = (int)((int64_t)(i + 1) * POINTS / o->steps);
        mean = i ? 0.95 * mean + 0.05 * error : error;
        for (int k = point; k < next || (k == point && k < POINTS); k++)
            r->curve[k] = mean;
        if (!r->solved && i > 20 && mean < 0.0167)
            r->solved = i + 1;
        show(cell, i + 1, o->steps, mean, start);
    }
    r->milliseconds = (now() - start) / o->steps * 1e3;
    rg_plan_free(p);
    rg_graph_free(g);
    return ok;
}

/* ---- the picture ---- */

enum { WIDTH = 760, HEIGHT = 420, LEFT = 70, RIGHT = 110, TOP = 50, BOTTOM = 50 };

static double place_x(double share)
{
    return LEFT + share * (WIDTH - LEFT - RIGHT);
}

/* Errors from 1e-4 to 1, by powers of ten. */
static double place_y(double error)
{
    const double e = log10(fmin(fmax(error, 1e-4), 1));
    return TOP - e / 4 * (HEIGHT - TOP - BOTTOM);
}

static bool draw(const struct options *o, const struct result r[CELLS])
{
    FILE *f = fopen(o->picture, "w");
    if (!f)
        return fail("cannot write the picture");
    fprintf(f,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" font-family=\"sans-serif\" "
            "font-size=\"13\">\n<rect width=\"100%%\" height=\"100%%\" fill=\"white\"/>\n"
            "<text x=\"%d\" y=\"28\" font-size=\"16\">The adding problem over %d steps: squared error while learning</text>\n",
            WIDTH, HEIGHT, LEFT, o->length);
    for (int k = 0; k <= 4; k++)
        fprintf(f,
                "<line x1=\"%d\" x2=\"%d\" y1=\"%.1f\" y2=\"%.1f\" stroke=\"#ddd\"/>\n"
                "<text x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%g</text>\n",
                LEFT, WIDTH - RIGHT, place_y(pow(10, -k)), place_y(pow(10, -k)), LEFT - 8, place_y(pow(10, -k)) + 4,
                pow(10, -k));
    for (int k = 0; k <= 4; k++)
        fprintf(f, "<text x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">%d</text>\n", place_x(k / 4.0), HEIGHT - BOTTOM + 20,
                o->steps * k / 4);
    fprintf(f,
            "<text x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">training steps of %d sequences</text>\n"
            "<line x1=\"%d\" x2=\"%d\" y1=\"%.1f\" y2=\"%.1f\" stroke=\"#555\" stroke-dasharray=\"5,4\"/>\n"
            "<text x=\"%d\" y=\"%.1f\" fill=\"#555\">guessing 1</text>\n",
            place_x(0.5), HEIGHT - 10, BATCH, LEFT, WIDTH - RIGHT, place_y(1.0 / 6), place_y(1.0 / 6), WIDTH - RIGHT - 80,
            place_y(1.0 / 6) - 6);
    for (int c = 0; c < CELLS; c++) {
        fprintf(f, "<polyline fill=\"none\" stroke=\"%s\" stroke-width=\"2\" points=\"", cells[c].colour);
        for (int k = 0; k < POINTS; k++)
            fprintf(f, "%.1f,%.1f ", place_x((k + 1.0) / POINTS), place_y(r[c].curve[k]));
        fprintf(f,
                "\"/>\n<line x1=\"%d\" x2=\"%d\" y1=\"%d\" y2=\"%d\" stroke=\"%s\" stroke-width=\"3\"/>\n"
                "<text x=\"%d\" y=\"%d\">%s</text>\n",
                WIDTH - RIGHT + 16, WIDTH - RIGHT + 38, TOP + 10 + 22 * c, TOP + 10 + 22 * c, cells[c].colour,
                WIDTH - RIGHT + 46, TOP + 14 + 22 * c, cells[c].name);
    }
    fprintf(f, "</svg>\n");
    return !fclose(f) || fail("cannot write the picture");
}

/* ---- the command line ---- */

static void usage(FILE *to)
{
    fprintf(to, "usage: cells [--steps N] [--hidden N] [--length N] [--threads N] [--picture FILE]\n"
                "Five recurrent cells, one of them written in this program, learn the adding problem.\n\n"
                "  --steps N        training steps of 64 sequences for each cell (default 2000)\n"
                "  --hidden N       width of the states (default 64)\n"
                "  --length N       numbers of a sequence, 2 to 1000 (default 100)\n"
                "  --threads N      threads of a run (default: what OpenMP chooses)\n"
                "  --picture FILE   where the curves go (default cells.svg)\n"
                "  --help           this text\n");
}

/* 0: go on; otherwise the exit code plus one. */
static int parse(int argc, char **argv, struct options *o)
{
    const struct {
        const char *name;
        int *to, least, most;
    } numbers[] = {{"--steps", &o->steps, 1, 1000000},
                   {"--hidden", &o->hidden, 1, 4096},
                   {"--length", &o->length, 2, LONGEST},
                   {"--threads", &o->threads, 1, 1000}};
    for (int i = 1; i < argc; i++) {
        if (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h")) {
            usage(stdout);
            return 1;
        }
        if (!strcmp(argv[i], "--picture") && i + 1 < argc) {
            o->picture = argv[++i];
            continue;
        }
        size_t k = 0;
        while (k < 4 && strcmp(argv[i], numbers[k].name))
            k++;
        char *end = NULL;
        const long n = k < 4 && i + 1 < argc ? strtol(argv[i + 1], &end, 10) : 0;
        if (!end || *end || n < numbers[k].least || n > numbers[k].most) {
            fprintf(stderr, k < 4 ? "cells: %s takes a number from %d to %d\n" : "cells: unknown argument %s\n", argv[i],
                    k < 4 ? numbers[k].least : 0, k < 4 ? numbers[k].most : 0);
            usage(stderr);
            return 3;
        }
        *numbers[k].to = (int)n;
        i++;
    }
    return 0;
}

int main(int argc, char **argv)
{
    static float x[2 * LONGEST * BATCH], sum[BATCH];
    static struct result r[CELLS];
    struct options o = {.steps = 2000, .hidden = 64, .length = 100, .picture = "cells.svg"};
    const int code = parse(argc, argv, &o);
    if (code)
        return code - 1;
    printf("cell   weights   ms/step     error   solved at step\n");
    for (int c = 0; c < CELLS; c++) {
        if (!try_cell(c, &o, x, sum, &r[c]))
            return 1;
        printf("%s%-5s %8lld %9.3f %9.5f   ", isatty(STDOUT_FILENO) ? "\r\033[K" : "", cells[c].name,
               (long long)r[c].weights, r[c].milliseconds, r[c].curve[POINTS - 1]);
        printf(r[c].solved ? "%d\n" : "-\n", r[c].solved);
        fflush(stdout);
    }
    if (!draw(&o, r))
        return 1;
    printf("solved: a tenth of the error of guessing 1, which is 0.16667. Curves in %s\n", o.picture);
    return 0;
}
