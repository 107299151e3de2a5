/* char_lstm.c - two layers of LSTM learn a text letter by letter (Karpathy 2015) and write on in its manner. One network
   serves three plans: training through time in pieces, the states handed from piece to piece; testing on the end of the
   text, which it never learns from; and writing, one letter at a time. */
#include <retrograde/retrograde.h>

#include "arguments.h"
#include "meter.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LAYERS = 2, STEPS = 64, BATCH = 32, SAMPLE = 240 };

struct options {
    const char *text, *weights;
    int steps, hidden, threads;
    double goal;
    bool resume;
};

/* The text as numbers of its different bytes: `train` of them to learn from, the rest to test with. */
struct corpus {
    uint8_t *at, byte[256]; /* byte[k]: the byte numbered k */
    size_t n, train;
    int64_t letters;
};

struct model {
    rg_graph *graph;
    rg_node *letter, *next, *state[2], *last[2], *logits, *loss, *step;
    rg_node *steps, *kept[2]; /* how many steps are done; where training stands, for the file of weights */
    rg_plan *train, *test, *write;
    size_t state_bytes; /* of one sequence */
};

static bool fail(const char *why)
{
    fprintf(stderr, "char_lstm: %s\n", why);
    return false;
}

/* ---- the text ---- */

static bool read_text(const char *path, struct corpus *c)
{
    FILE *f = fopen(path, "rb");
    long size = 0;
    if (!f || fseek(f, 0, SEEK_END) || (size = ftell(f)) < 0 || fseek(f, 0, SEEK_SET)) {
        if (f)
            fclose(f);
        fprintf(stderr, "char_lstm: cannot read %s\n", path);
        return false;
    }
    c->at = malloc((size_t)size + 1);
    c->n = c->at ? fread(c->at, 1, (size_t)size, f) : 0;
    fclose(f);
    if (c->n < 4 * (STEPS + 1) * BATCH)
        return fail("the text is too short: it takes 8320 bytes and more");
    int number[256];
    bool seen[256] = {false};
    for (size_t i = 0; i < c->n; i++)
        seen[c->at[i]] = true;
    for (int b = 0; b < 256; b++)
        if (seen[b]) {
            number[b] = (int)c->letters;
            c->byte[c->letters++] = (uint8_t)b;
        }
    for (size_t i = 0; i < c->n; i++)
        c->at[i] = (uint8_t)number[c->at[i]];
    const size_t tenth = c->n / 10, least = (size_t)(STEPS + 1) * BATCH, most = 200000;
    c->train = c->n - (tenth < least ? least : tenth < most ? tenth : most);
    return true;
}

/* Letters t .. t + STEPS - 1 of BATCH places spread over n letters, and those that follow them. */
static void cut(const uint8_t *text, size_t n, size_t t, uint8_t letter[STEPS][BATCH], uint8_t next[STEPS][BATCH])
{
    const size_t apart = n / BATCH;
    for (size_t k = 0; k < STEPS; k++)
        for (size_t b = 0; b < BATCH; b++) {
            letter[k][b] = text[b * apart + t + k];
            next[k][b] = text[b * apart + t + k + 1];
        }
}

/* ---- the network ---- */

static bool build(struct model *m, const struct options *o, int64_t letters)
{
    rg_graph *g = m->graph = rg_graph_new(NULL);
    const int64_t time = rg_dim(g, "time"), batch = rg_dim(g, "batch");
    m->letter = rg_input(g, "letter", RG_U8, RG_SHAPE(time, batch));
    m->next = rg_input(g, "next", RG_U8, RG_SHAPE(time, batch));
    for (int i = 0; i < 2; i++)
        m->state[i] = rg_input(g, i ? "c" : "h", RG_F32, RG_SHAPE(LAYERS, batch, o->hidden));

    rg_node *x = rg_one_hot(m->letter, letters, RG_F32);
    const rg_rnn_opts layers = {.layers = LAYERS, .initial = {m->state[0], m->state[1]}, .last = m->last};
    rg_node *h = rg_nn_lstm(x, "lstm", o->hidden, &layers);
    m->logits = rg_nn_linear(h, "out", letters, NULL);
    m->loss = rg_cross_entropy(m->logits, m->next, NULL);
    m->steps = rg_step_counter(g, "steps");
    for (int i = 0; i < 2; i++)
        m->kept[i] = rg_buffer(g, i ? "state.c" : "state.h", RG_F32, RG_SHAPE(LAYERS, BATCH, o->hidden), NULL);
    rg_node *rate = rg_schedule_warmup(m->steps, 2e-3, 100, NULL);
    m->step = rg_adam(m->loss, &(rg_adam_opts){.lr_node = rate, .clip_norm = 1});

    const rg_plan_opts train = {.threads = o->threads}, eval = {.threads = o->threads, .mode = RG_EVAL};
    m->train = rg_compile(g, RG_NODES(m->loss, m->step, m->last[0], m->last[1]), &train);
    m->test = rg_compile(g, RG_NODES(m->loss, m->last[0], m->last[1]), &eval);
    m->write = rg_compile(g, RG_NODES(m->logits, m->last[0], m->last[1]), &(rg_plan_opts){.threads = 1, .mode = RG_EVAL});
    m->state_bytes = (size_t)LAYERS * (size_t)o->hidden * sizeof(float);
    return m->train && m->test && m->write;
}

/* Runs a plan on [time, batch] letters; `state` is read and becomes the last states. */
static bool run(struct model *m, rg_plan *p, const uint8_t *letter, const uint8_t *next, int64_t time, int64_t batch,
                float *state[2])
{
    const rg_shape shape = RG_SHAPE(time, batch);
    if (rg_bind_shape(p, m->letter, letter, shape) || (next && rg_bind_shape(p, m->next, next, shape)))
        return false;
    for (int i = 0; i < 2; i++) {
        const rg_shape all = rg_shape_of(m->state[i]);
        if (rg_bind_shape(p, m->state[i], state[i], RG_SHAPE(all.dim[0], batch, all.dim[2])))
            return false;
    }
    if (rg_run(p))
        return false;
    for (int i = 0; i < 2; i++)
        memcpy(state[i], rg_data(p, m->last[i]), m->state_bytes * (size_t)batch);
    return true;
}

/* ---- the file of weights: with the optimiser's state, the number of steps and the states there ---- */

static bool save(struct model *m, const char *path, float *const state[2])
{
    for (int i = 0; i < 2; i++)
        if (rg_set(m->kept[i], &(rg_tensor){.dtype = RG_F32, .shape = rg_shape_of(m->kept[i]), .data = state[i]}))
            return false;
    return !rg_save(m->graph, path);
}

static bool resume(struct model *m, const char *path, float *const state[2])
{
    if (rg_load(m->graph, path, NULL))
        return false;
    for (int i = 0; i < 2; i++) {
        const rg_tensor kept = rg_value(m->kept[i]);
        memcpy(state[i], kept.data, rg_tensor_bytes(&kept));
    }
    return true;
}

/* ---- what it does ---- */

/* Bits a letter on the part of the text that was kept back; below 0: failed. */
static double test(struct model *m, const struct corpus *c, float *state[2])
{
    static uint8_t letter[STEPS][BATCH], next[STEPS][BATCH];
    const size_t n = c->n - c->train;
    double sum = 0;
    int pieces = 0;
    for (int i = 0; i < 2; i++)
        memset(state[i], 0, m->state_bytes * BATCH);
    for (size_t t = 0; t + STEPS + 1 <= n / BATCH; t += STEPS, pieces++) {
        cut(c->at + c->train, n, t, letter, next);
        if (!run(m, m->test, letter[0], next[0], STEPS, BATCH, state))
            return -1;
        sum += *(const float *)rg_data(m->test, m->loss);
    }
    return pieces ? sum / pieces / log(2) : log2((double)c->letters);
}

/* Draws a letter, a little more often than it should the likely ones. */
static uint8_t draw(const float *logits, int64_t n, uint64_t *seed)
{
    const double sharper = 1.25;
    double most = logits[0], sum = 0, p[256];
    for (int64_t k = 1; k < n; k++)
        most = logits[k] > most ? logits[k] : most;
    for (int64_t k = 0; k < n; k++)
        sum += p[k] = exp(sharper * (logits[k] - most));
    *seed = *seed * 6364136223846793005u + 1442695040888963407u; /* Knuth */
    double left = (double)(*seed >> 11) * 0x1p-53 * sum;
    int64_t k = 0;
    while (k < n - 1 && (left -= p[k]) > 0)
        k++;
    return (uint8_t)k;
}

static bool write_on(struct model *m, const struct corpus *c, float *state[2], uint64_t *seed)
{
    uint8_t letter = c->at[c->train];
    for (int i = 0; i < 2; i++)
        memset(state[i], 0, m->state_bytes);
    printf("  | ");
    for (int i = 0; i < SAMPLE; i++) {
        if (!run(m, m->write, &letter, NULL, 1, 1, state))
            return false;
        letter = draw(rg_data(m->write, m->logits), c->letters, seed);
        fputs(c->byte[letter] == '\n' ? "\n  | " : (const char[]){(char)c->byte[letter], '\0'}, stdout);
    }
    printf("\n");
    return true;
}

/* Goes through the text piece by piece, and again from the beginning, on from where it stands. Every tenth of the way it is
   tested, writes, and is saved. */
static bool train(struct model *m, const struct corpus *c, const struct options *o, float *state[2], float *other[2])
{
    static uint8_t letter[STEPS][BATCH], next[STEPS][BATCH];
    const double untrained = test(m, c, other);
    meter bar = meter_begin();
    const int every = o->steps < 10 ? 1 : o->steps / 10;
    const size_t pieces = (c->train / BATCH - 1) / STEPS;
    const rg_tensor steps = rg_value(m->steps);
    double bits = 0, tested = untrained;
    if (untrained < 0 || !steps.data)
        return fail(rg_last_error());
    int64_t done = *(const int64_t *)steps.data;
    printf("%zu letters, %d different; before training %.3f bits a letter on the last %zu\n", c->n, (int)c->letters,
           untrained, c->n - c->train);
    for (int i = 1; i <= o->steps; i++, done++) {
        const size_t piece = (size_t)done % pieces;
        for (int k = 0; piece == 0 && k < 2; k++)
            memset(state[k], 0, m->state_bytes * BATCH);
        cut(c->at, c->train, piece * STEPS, letter, next);
        if (!run(m, m->train, letter[0], next[0], STEPS, BATCH, state))
            return fail(rg_last_error());
        const double one = *(const float *)rg_data(m->train, m->loss) / log(2);
        bits = i == 1 ? one : 0.98 * bits + 0.02 * one;
        char text[80];
        snprintf(text, sizeof text, "%.3f bits a letter  %.0f letters/s", bits,
                 (double)i * STEPS * BATCH / (meter_now() - bar.start));
        meter_show(&bar, i, o->steps, text);
        if (i % every && i != o->steps)
            continue;
        if ((tested = test(m, c, other)) < 0)
            return fail(rg_last_error());
        meter_clear(&bar);
        uint64_t seed = (uint64_t)done + 1;
        printf("step %5" PRId64 "  learning %.3f  test %.3f bits a letter\n", done + 1, bits, tested);
        if (!write_on(m, c, other, &seed) || (o->weights && !save(m, o->weights, state)))
            return fail(rg_last_error());
        fflush(stdout);
    }
    const double seconds = meter_now() - bar.start;
    printf("%.3f bits a letter on unseen text after %d steps (%.3f before), %.1f s, %.0f letters/s\n", tested, o->steps,
           untrained, seconds, (double)o->steps * STEPS * BATCH / seconds);
    if (o->weights)
        printf("weights saved to %s: --resume goes on from there\n", o->weights);
    return tested < (o->goal > 0 ? o->goal : untrained) || fail("it has learnt too little");
}

int main(int argc, char **argv)
{
    struct options o = {.weights = "char_lstm.safetensors", .steps = 4000, .hidden = 256};
    struct corpus c = {0};
    struct model m = {0};
    float *state[2] = {NULL}, *other[2] = {NULL};
    const argument all[] = {
        {.name = "--steps", .value = "N", .what = "training steps of 64 letters at 32 places", .number = &o.steps, .least = 1, .most = 1000000},
        {.name = "--hidden", .value = "N", .what = "width of a layer", .number = &o.hidden, .least = 1, .most = 65536},
        THREADS_ARGUMENT(&o.threads),
        {.name = "--weights", .value = "FILE", .what = "for weights and where training stands; - for nowhere", .text = &o.weights},
        {.name = "--goal", .value = "BITS", .what = "fail if it ends with more than so many bits a letter", .real = &o.goal},
        {.name = "--resume", .what = "go on from where that file stands, as if there had been no break", .flag = &o.resume},
        {.value = "TEXT", .what = "the file to learn from", .text = &o.text, .needed = true},
    };
    const int code = arguments_read(
        &(command){"char_lstm",
                   "Two layers of LSTM learn a text letter by letter and write on in its manner. On Debian:\n"
                   "    apt install bible-kjv bible-kjv-text && bible -f gen1:1-rev22:21 > kjv.txt && char_lstm kjv.txt",
                   all, sizeof all / sizeof *all},
        argc, argv);
    if (code >= 0)
        return code;
    if (o.weights && !strcmp(o.weights, "-"))
        o.weights = NULL;
    bool ok = read_text(o.text, &c);
    if (ok && !build(&m, &o, c.letters))
        ok = fail(rg_graph_error(m.graph));
    for (int i = 0; ok && i < 2; i++) {
        state[i] = calloc(BATCH, m.state_bytes);
        other[i] = calloc(BATCH, m.state_bytes);
        ok = (state[i] && other[i]) || fail("out of memory");
    }
    if (ok && o.resume && (!o.weights || !resume(&m, o.weights, state)))
        ok = fail(o.weights ? rg_last_error() : "--resume needs --weights FILE");
    ok = ok && train(&m, &c, &o, state, other);
    for (int i = 0; i < 2; i++) {
        free(state[i]);
        free(other[i]);
    }
    free(c.at);
    rg_plan_free(m.train);
    rg_plan_free(m.test);
    rg_plan_free(m.write);
    rg_graph_free(m.graph);
    return !ok;
}
