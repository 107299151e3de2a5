/* fashion.c - a network learns Fashion-MNIST: data, one graph for training and testing, a confusion table, saved weights. */
#define _POSIX_C_SOURCE 200809L

#include "fashion.h"

#include "clothes.h"
#include "meter.h"
#include "random.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { TEST_BATCH = 100, STEPS = 8 };

static int fail(const struct program *p, const char *why)
{
    fprintf(stderr, "%s: %s\n", p->name, why);
    return 1;
}

/* ---- training ---- */

static bool build(struct model *m, const struct program *p, int64_t steps)
{
    rg_graph *g = m->graph = rg_graph_new(NULL);
    const int64_t batch = rg_dim(g, "batch"); /* known only when data is bound */
    m->pixels = rg_input(g, "pixels", RG_U8, RG_SHAPE(batch, FASHION_PIXELS));
    m->label = rg_input(g, "label", RG_U8, RG_SHAPE(batch));

    /* bytes to mean 0, variance 1 over the training set */
    rg_node *bytes = rg_cast(rg_reshape(m->pixels, RG_SHAPE(-1, 1, FASHION_SIDE, FASHION_SIDE)), RG_F32);
    m->image = rg_scale(rg_add_scalar(bytes, -0.2860 * 255), 1 / (0.3530 * 255));
    m->logits = p->network(m->image);
    m->loss = rg_cross_entropy(m->logits, m->label, &(rg_cross_entropy_opts){.label_smoothing = 0.1});

    rg_node *rate = rg_schedule_one_cycle(rg_step_counter(g, "steps"), p->rate, steps);
    m->step = rg_adamw(m->loss, &(rg_adam_opts){.lr_node = rate});
    return m->step != NULL;
}

/* ---- what it takes for what ---- */

/* Counts how often class [row] was taken for class [column]. */
static bool count(const struct model *m, const struct clothes *data, int threads,
                  int table[FASHION_CLASSES][FASHION_CLASSES])
{
    const uint8_t *images = data->test.data, *labels = data->test_labels.data;
    rg_node *guess = rg_argmax(m->logits, 1);
    rg_plan *plan = rg_compile(m->graph, RG_NODES(guess), &(rg_plan_opts){.mode = RG_EVAL, .threads = threads});
    const int64_t n = data->test.shape.dim[0];
    bool ok = plan != NULL;
    for (int64_t i = 0; ok && i < n; i += TEST_BATCH) {
        const int64_t size = n - i < TEST_BATCH ? n - i : TEST_BATCH;
        ok = !rg_bind_shape(plan, m->pixels, images + i * FASHION_PIXELS, RG_SHAPE(size, FASHION_PIXELS)) &&
             !rg_run(plan);
        const int64_t *guesses = ok ? rg_data(plan, guess) : NULL;
        for (int64_t k = 0; ok && k < size; k++)
            table[labels[i + k] % FASHION_CLASSES][guesses[k]]++;
    }
    rg_plan_free(plan);
    return ok;
}

static void print_table(const char *const *names, int table[FASHION_CLASSES][FASHION_CLASSES])
{
    printf("\nwhat it is, and what it was taken for\n%-11s", "");
    for (int c = 0; c < FASHION_CLASSES; c++)
        printf(" %5.5s", names[c]);
    printf("  right\n");
    for (int row = 0; row < FASHION_CLASSES; row++) {
        int sum = 0;
        printf("%-11s", names[row]);
        for (int c = 0; c < FASHION_CLASSES; c++) {
            sum += table[row][c];
            printf(" %5d", table[row][c]);
        }
        printf("  %4.1f%%\n", sum ? 100.0 * table[row][row] / sum : 0.0);
    }
}

/* The first test image of each class. */
static void choose(const struct clothes *data, uint8_t *to)
{
    const uint8_t *images = data->test.data, *labels = data->test_labels.data;
    bool have[FASHION_CLASSES] = {false};
    for (int64_t i = 0; i < data->test.shape.dim[0]; i++) {
        const int c = labels[i] % FASHION_CLASSES;
        if (!have[c])
            memcpy(to + c * FASHION_PIXELS, images + i * FASHION_PIXELS, FASHION_PIXELS);
        have[c] = true;
    }
}

/* ---- the program ---- */

static int batch_of(const struct program *p, const struct clothes_options *o)
{
    return o->quick ? p->quick_batch : p->batch;
}

static int run(const struct program *p, const struct clothes_options *o, struct model *m, const struct clothes *data)
{
    static uint8_t shown[FASHION_CLASSES * FASHION_PIXELS];
    int table[FASHION_CLASSES][FASHION_CLASSES] = {{0}};
    char weights[256], curves[256], here[4096];
    const char *const names[] = {"accuracy"};
    const rg_column train[] = {{m->pixels, &data->train, 0}, {m->label, &data->train_labels, 0}};
    const rg_column test[] = {{m->pixels, &data->test, 0}, {m->label, &data->test_labels, 0}};
    snprintf(weights, sizeof weights, "%s.safetensors", p->name);
    snprintf(curves, sizeof curves, "%s.svg", p->name);
    rg_fit_report report;
    if (rg_fit(&(rg_fit_opts){.loss = m->loss,
                              .step = m->step,
                              .metrics = RG_NODES(rg_nn_accuracy(m->logits, m->label)),
                              .names = names,
                              .train = {train, 2},
                              .valid = {test, 2},
                              .epochs = o->epochs,
                              .batch = batch_of(p, o),
                              .valid_batch = TEST_BATCH,
                              .plan = &(rg_plan_opts){.threads = o->threads},
                              .progress = stdout,
                              .svg = curves},
               &report) ||
        !count(m, data, o->threads, table))
        return fail(p, rg_last_error());
    print_table(data->names, table);
    const double accuracy = report.last.valid_metric[0];
    printf("\ntest accuracy %.4f after %d epoch%s, %.1f s\n", accuracy, o->epochs, o->epochs > 1 ? "s" : "",
           report.last.seconds);
    if (!o->shortened && accuracy < (o->quick ? p->quick_accuracy : p->accuracy))
        return fail(p, "it should have learnt more");
    if (rg_save(m->graph, weights))
        return fail(p, rg_last_error());
    printf("written to %s:\n  %-28s the weights\n  %-28s loss and accuracy by epoch\n",
           getcwd(here, sizeof here) ? here : "the current directory", weights, curves);
    choose(data, shown);
    return p->pictures && !p->pictures(m, shown);
}

static int learn(const struct program *p, const struct clothes_options *o)
{
    struct clothes data = {0};
    struct model m = {0};
    int code = 1;
    if (clothes_load(&data, o, p->quick_images)) {
        const int64_t n = data.train.shape.dim[0];
        code = build(&m, p, (n + batch_of(p, o) - 1) / batch_of(p, o) * o->epochs) ? run(p, o, &m, &data)
                                                                         : fail(p, rg_graph_error(m.graph));
    }
    clothes_free(&data);
    rg_graph_free(m.graph);
    return code;
}

/* ---- the size it was published with ---- */

/* Training steps with momentum on random images, and what they take. */
static int measure(const struct program *p, int threads)
{
    const int64_t batch = p->full_batch, side = p->full_side, n = batch * 3 * side * side;
    rg_graph *g = rg_graph_new(NULL);
    rg_node *image = rg_input(g, "image", RG_F32, RG_SHAPE(batch, 3, side, side));
    rg_node *label = rg_input(g, "label", RG_I32, RG_SHAPE(batch));
    rg_node *loss = rg_cross_entropy(p->full_size(image), label, NULL);
    rg_node *step = rg_sgd(loss, &(rg_sgd_opts){.lr = 0.01, .momentum = 0.9});
    rg_plan *plan = rg_compile(g, RG_NODES(loss, step), &(rg_plan_opts){.threads = threads});
    float *pixels = malloc((size_t)n * sizeof *pixels);
    int32_t *labels = malloc((size_t)batch * sizeof *labels);
    int code = !pixels || !labels ? fail(p, "out of memory") : plan ? 0 : fail(p, rg_graph_error(g));
    uint64_t state = 1;
    for (int64_t i = 0; !code && i < n; i++)
        pixels[i] = (float)(2 * random_unit(&state) - 1);
    for (int64_t i = 0; !code && i < batch; i++)
        labels[i] = (int32_t)(i * 37 % p->full_classes);
    if (!code && (rg_bind(plan, image, pixels) || rg_bind(plan, label, labels)))
        code = fail(p, rg_last_error());
    double least = 0;
    for (int i = 0; !code && i < STEPS; i++) {
        const double start = meter_now();
        if (rg_run(plan))
            code = fail(p, rg_last_error());
        const double seconds = meter_now() - start;
        least = i == 0 || seconds < least ? seconds : least;
        if (!code)
            printf("step %d  loss %.4f  %.1f ms\n", i + 1, *(const float *)rg_data(plan, loss), 1e3 * seconds);
    }
    if (!code)
        printf("%s, batch %d of 3 x %d x %d: %.1f ms a step, %.1f images/s, plan %.1f MB\n", p->what, p->full_batch,
               p->full_side, p->full_side, 1e3 * least, (double)batch / least, 1e-6 * (double)rg_plan_bytes(plan));
    free(pixels);
    free(labels);
    rg_plan_free(plan);
    rg_graph_free(g);
    return code;
}

int fashion_main(int argc, char **argv, const struct program *p)
{
    char what[256], how[256];
    snprintf(what, sizeof what, "Trains %s on Fashion-MNIST, tests it after each epoch, saves its weights.", p->what);
    snprintf(how, sizeof how, "only times training steps on made-up images of %d x %d, %d at once", p->full_side,
             p->full_side, p->full_batch);
    struct clothes_options o = {
        .program = p->name, .what = what, .epochs = p->epochs, .quick_epochs = p->quick_epochs, .how = p->full_size ? how : NULL};
    const int code = clothes_parse(&o, argc, argv);
    if (code >= 0)
        return code;
    return o.time ? measure(p, o.threads) : learn(p, &o);
}
