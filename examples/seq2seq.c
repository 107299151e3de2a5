/* seq2seq.c - an encoder-decoder (Cho et al. 2014) reads numbers in words and writes them in digits. The encoder reads
   sentences of different lengths to one vector, which is the decoder's first state and part of each of its inputs. It is
   taught with the right digits as inputs, and writes with its own. */
#include <retrograde/retrograde.h>

#include "arguments.h"
#include "meter.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    BATCH = 64,
    WORDS = 32,     /* kinds of words, 0 fills up */
    LONGEST = 10,   /* words of "seven hundred seventy seven thousand seven hundred seventy seven", and room */
    DIGITS = 7,     /* and the end */
    END = 10,       /* the symbol behind the last digit, and the decoder's first input */
    SYMBOLS = 11,
    IGNORED = 255,
    STEPS = 3000,   /* are enough to write 98 of 100 unseen numbers right */
    TESTED = 32 * BATCH
};

static const char *const words[WORDS] = {
    "",        "zero",    "one",     "two",       "three",    "four",     "five",   "six",    "seven",    "eight",   "nine",
    "ten",     "eleven",  "twelve",  "thirteen",  "fourteen", "fifteen",  "sixteen", "seventeen", "eighteen", "nineteen",
    "twenty",  "thirty",  "forty",   "fifty",     "sixty",    "seventy",  "eighty", "ninety", "hundred",  "thousand",
};

struct options {
    int steps, hidden, below, threads;
};

/* A batch, time first. */
struct batch {
    int number[BATCH];
    uint8_t word[LONGEST][BATCH], before[DIGITS][BATCH], digit[DIGITS][BATCH];
    int32_t length[BATCH];
};

struct model {
    rg_graph *graph;
    rg_node *word, *length, *before, *digit, *loss, *step, *context, *first; /* teaching; `first`: the first state */
    rg_node *given, *state, *symbol, *guess, *next;                          /* writing: one symbol a run */
    rg_plan *teach, *read, *write;
};

static bool fail(const char *why)
{
    fprintf(stderr, "seq2seq: %s\n", why);
    return false;
}

/* ---- sentences ---- */

/* Words of a number from 1 to 999. */
static int below_thousand(int n, uint8_t *to)
{
    int k = 0;
    if (n >= 100) {
        to[k++] = (uint8_t)(1 + n / 100);
        to[k++] = 29;
        n %= 100;
    }
    if (n >= 20) {
        to[k++] = (uint8_t)(19 + n / 10);
        n %= 10;
    }
    if (n > 0)
        to[k++] = (uint8_t)(1 + n);
    return k;
}

/* Words of a number below a million. */
static int spell(int n, uint8_t to[LONGEST])
{
    int k = 0;
    if (n == 0)
        to[k++] = 1;
    if (n >= 1000) {
        k = below_thousand(n / 1000, to);
        to[k++] = 30;
    }
    return k + below_thousand(n % 1000, to + k);
}

static uint32_t mixed(uint32_t x) /* lowbias32, Wellons 2018 */
{
    x = (x ^ x >> 16) * 0x7feb352du;
    x = (x ^ x >> 15) * 0x846ca68bu;
    return x ^ x >> 16;
}

/* Every tenth number from 100 on is kept for the test; below, a number may have a word to itself. Numbers of every count of
   digits are equally frequent. */
static int draw_number(uint32_t *state, int below, bool test)
{
    for (;;) {
        int most = 10;
        const uint32_t a = mixed(++*state), b = mixed(a ^ 0x9e3779b9u);
        for (uint32_t digits = a % 6; digits > 0 && most < below; digits--)
            most *= 10;
        const int n = (int)(b % (uint32_t)(most < below ? most : below));
        if ((n >= 100 && mixed((uint32_t)n) % 10 == 0) == test)
            return n;
    }
}

static void fill(struct batch *b, uint32_t *state, int below, bool test)
{
    memset(b->word, 0, sizeof b->word);
    memset(b->digit, IGNORED, sizeof b->digit);
    memset(b->before, END, sizeof b->before);
    for (int i = 0; i < BATCH; i++) {
        uint8_t sentence[LONGEST];
        char text[16];
        b->number[i] = draw_number(state, below, test);
        b->length[i] = spell(b->number[i], sentence);
        for (int t = 0; t < b->length[i]; t++)
            b->word[t][i] = sentence[t];
        const int digits = snprintf(text, sizeof text, "%d", b->number[i]);
        for (int t = 0; t <= digits && t < DIGITS; t++) {
            b->digit[t][i] = (uint8_t)(t < digits ? text[t] - '0' : END);
            if (t + 1 < DIGITS)
                b->before[t + 1][i] = b->digit[t][i];
        }
    }
}

/* ---- the network ---- */

/* symbols before [T, B], context [B, H], first state [1, B, H] -> logits [T, B, SYMBOLS]; *last becomes the last state. */
static rg_node *decoder(rg_node *before, rg_node *context, rg_node *first, int64_t hidden, rg_node **last)
{
    rg_node *x = rg_one_hot(before, SYMBOLS, RG_F32);
    rg_node *seen = rg_broadcast_to(context, RG_SHAPE(rg_shape_of(before).dim[0], BATCH, hidden)); /* at every step */
    const rg_rnn_opts o = {.initial = {first}, .last = last};
    return rg_nn_linear(rg_nn_gru_cho(rg_concat(RG_NODES(x, seen), 2), "gru", hidden, &o), "out", SYMBOLS, NULL);
}

static bool build(struct model *m, const struct options *o)
{
    rg_graph *g = m->graph = rg_graph_new(NULL);
    const int64_t h = o->hidden;
    m->word = rg_input(g, "word", RG_U8, RG_SHAPE(LONGEST, BATCH));
    m->length = rg_input(g, "length", RG_I32, RG_SHAPE(BATCH));
    m->before = rg_input(g, "before", RG_U8, RG_SHAPE(DIGITS, BATCH));
    m->digit = rg_input(g, "digit", RG_U8, RG_SHAPE(DIGITS, BATCH));

    rg_node *table = rg_param(g, "words", RG_F32, RG_SHAPE(WORDS, h / 2), &(rg_param_opts){.init = RG_NORMAL});
    const rg_rnn_opts ragged = {.lengths = m->length, .last = &m->context};
    rg_nn_gru_cho(rg_embedding(table, m->word), "encoder", h, &ragged);
    m->context = rg_squeeze(m->context, 0);
    m->first = rg_unsqueeze(rg_tanh(rg_nn_linear(m->context, "first", h, NULL)), 0);
    rg_scope_push(g, "decoder");
    rg_node *last, *logits = decoder(m->before, m->context, m->first, h, &last);
    rg_scope_pop(g);
    m->loss = rg_cross_entropy(logits, m->digit, &(rg_cross_entropy_opts){.has_ignore = true, .ignore_index = IGNORED});
    rg_node *rate = rg_schedule_one_cycle(rg_step_counter(g, "steps"), 4e-3, o->steps);
    m->step = rg_adam(m->loss, &(rg_adam_opts){.lr_node = rate, .clip_norm = 1});

    /* the decoder once more, with the same weights, a step at a time */
    m->given = rg_input(g, "given", RG_F32, RG_SHAPE(BATCH, h));
    m->state = rg_input(g, "state", RG_F32, RG_SHAPE(1, BATCH, h));
    m->symbol = rg_input(g, "symbol", RG_I64, RG_SHAPE(1, BATCH));
    rg_scope_reuse(g, "decoder");
    m->guess = rg_argmax(decoder(m->symbol, m->given, m->state, h, &m->next), 2);
    rg_scope_pop(g);

    const rg_plan_opts opts = {.threads = o->threads};
    m->teach = rg_compile(g, RG_NODES(m->loss, m->step), &opts);
    m->read = rg_compile(g, RG_NODES(m->context, m->first), &opts);
    m->write = rg_compile(g, RG_NODES(m->guess, m->next), &opts);
    return m->teach && m->read && m->write;
}

/* Writes what the network makes of a batch into `text`; false: failed, see rg_last_error. */
static bool translate(struct model *m, const struct batch *b, char text[BATCH][DIGITS + 1])
{
    static float state[BATCH * 4096];
    static int64_t symbol[BATCH];
    bool ended[BATCH] = {false};
    if (rg_bind(m->read, m->word, b->word) || rg_bind(m->read, m->length, b->length) || rg_run(m->read))
        return false;
    const size_t bytes = (size_t)rg_shape_count(rg_shape_of(m->state)) * sizeof *state;
    memcpy(state, rg_data(m->read, m->first), bytes);
    memset(text, 0, sizeof(char[BATCH][DIGITS + 1]));
    for (int i = 0; i < BATCH; i++)
        symbol[i] = END;
    if (rg_bind(m->write, m->given, rg_data(m->read, m->context)) || rg_bind(m->write, m->state, state) ||
        rg_bind(m->write, m->symbol, symbol))
        return false;
    for (int t = 0; t < DIGITS; t++) {
        if (rg_run(m->write))
            return false;
        memcpy(symbol, rg_data(m->write, m->guess), sizeof symbol);
        memcpy(state, rg_data(m->write, m->next), bytes);
        for (int i = 0; i < BATCH; i++) {
            ended[i] = ended[i] || symbol[i] == END;
            if (!ended[i])
                text[i][t] = (char)('0' + symbol[i]);
        }
    }
    return true;
}

/* Share of unseen numbers that come out right in every digit; below 0: failed. */
static double test(struct model *m, const struct options *o, int show)
{
    static struct batch b;
    char text[BATCH][DIGITS + 1];
    uint32_t state = 77;
    int right = 0;
    for (int k = 0; k < TESTED / BATCH; k++) {
        fill(&b, &state, o->below, true);
        if (!translate(m, &b, text))
            return -1;
        for (int i = 0; i < BATCH; i++) {
            char wanted[16];
            snprintf(wanted, sizeof wanted, "%d", b.number[i]);
            const bool same = strcmp(wanted, text[i]) == 0;
            right += same;
            if (k == 0 && i < show) {
                printf("  ");
                for (int t = 0; t < b.length[i]; t++)
                    printf("%s ", words[b.word[t][i]]);
                printf("-> %s%s%s\n", text[i], same ? "" : ", not ", same ? "" : wanted);
            }
        }
    }
    return (double)right / TESTED;
}

static bool train(struct model *m, const struct options *o)
{
    static struct batch b;
    uint32_t state = 1;
    meter bar = meter_begin();
    const int every = o->steps < 5 ? 1 : o->steps / 5;
    double loss = 0, exact = test(m, o, 0);
    const double before = exact;
    for (int i = 1; i <= o->steps && exact >= 0; i++) {
        fill(&b, &state, o->below, false);
        if (rg_bind(m->teach, m->word, b.word) || rg_bind(m->teach, m->length, b.length) ||
            rg_bind(m->teach, m->before, b.before) || rg_bind(m->teach, m->digit, b.digit) || rg_run(m->teach))
            return fail(rg_last_error());
        const double one = *(const float *)rg_data(m->teach, m->loss);
        loss = i == 1 ? one : 0.97 * loss + 0.03 * one;
        char text[80];
        snprintf(text, sizeof text, "loss %.4f  %.0f sentences/s", loss, (double)i * BATCH / (meter_now() - bar.start));
        meter_show(&bar, i, o->steps, text);
        if (i % every == 0) {
            exact = test(m, o, 0);
            meter_clear(&bar);
            printf("step %5d  loss %.4f  exact %.4f\n", i, loss, exact);
            fflush(stdout);
        }
    }
    exact = exact < 0 ? exact : test(m, o, 8);
    if (exact < 0)
        return fail(rg_last_error());
    printf("exact match %.4f of %d unseen numbers (%.4f before training), %.1f s\n", exact, TESTED, before,
           meter_now() - bar.start);
    return exact > (o->steps < STEPS ? before : 0.98) || fail("it should have learnt more");
}

int main(int argc, char **argv)
{
    struct options o = {.steps = STEPS, .hidden = 128, .below = 1000000};
    struct model m = {0};
    const argument all[] = {
        {.name = "--steps", .value = "N", .what = "training steps of 64 sentences", .number = &o.steps, .least = 1, .most = 1000000},
        {.name = "--hidden", .value = "N", .what = "width of the states", .number = &o.hidden, .least = 2, .most = 4096},
        {.name = "--below", .value = "N", .what = "numbers below this one", .number = &o.below, .least = 1000, .most = 1000000},
        THREADS_ARGUMENT(&o.threads),
    };
    const int code = arguments_read(&(command){"seq2seq", "An encoder-decoder learns to write numbers in digits that it reads in words.",
                                               all, sizeof all / sizeof *all},
                                    argc, argv);
    if (code >= 0)
        return code;
    const bool ok = build(&m, &o) ? train(&m, &o) : fail(rg_graph_error(m.graph));
    rg_plan_free(m.teach);
    rg_plan_free(m.read);
    rg_plan_free(m.write);
    rg_graph_free(m.graph);
    return !ok;
}
