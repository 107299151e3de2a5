/* fashion_mlp.c - a multi-layer perceptron learns to tell ten kinds of clothes apart (Xiao et al. 2017): data from
   files, shuffled batches, a schedule, a second plan for the test set, a confusion table, saved weights. */
#define _POSIX_C_SOURCE 200809L

#include <retrograde/retrograde.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { SIDE = 28, PIXELS = SIDE * SIDE, CLASSES = 10, HIDDEN = 512, BATCH = 128, TEST_BATCH = 500 };

static const char *const weights_file = "fashion_mlp.safetensors";
static const char *const class_names[CLASSES] = {
    "T-shirt", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
};

struct options {
    const char *directory;
    int epochs, threads;
};

/* Images and their labels. */
struct dataset {
    rg_tensor images, labels;
    int64_t n;
};

/* The network and the two plans over its weights. */
struct model {
    rg_graph *graph;
    rg_node *pixels, *label, *loss, *step, *guess;
    rg_plan *train, *test;
};

struct progress {
    int epochs;
    int64_t images; /* of an epoch */
    double start;   /* of the run, seconds */
    double last_drawn;
    double testing; /* seconds spent on the test set, which the rate leaves out */
    bool terminal;
};

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int fail(const char *why)
{
    fprintf(stderr, "fashion_mlp: %s\n", why);
    return 1;
}

/* ---- the command line ---- */

static void usage(FILE *to)
{
    fprintf(to, "usage: fashion_mlp [--epochs N] [--threads N] [DIR]\n"
                "Trains a 784-512-512-10 perceptron on Fashion-MNIST, tests it after each epoch, saves its weights.\n\n"
                "  DIR          where the four files of the data set are (default /usr/share/datasets/fashion-mnist)\n"
                "  --epochs N   passes over the 60000 training images (default 10)\n"
                "  --threads N  threads of a run (default: what OpenMP chooses)\n"
                "  --help       this text\n");
}

/* A whole number from 1 to 1000, or 0. */
static int count(const char *text)
{
    char *end;
    const long n = text ? strtol(text, &end, 10) : 0;
    return text && *end == '\0' && end != text && n >= 1 && n <= 1000 ? (int)n : 0;
}

/* 0: go on; otherwise the exit code plus one. */
static int parse(int argc, char **argv, struct options *o)
{
    for (int i = 1; i < argc; i++) {
        const bool epochs = strcmp(argv[i], "--epochs") == 0, threads = strcmp(argv[i], "--threads") == 0;
        int *number = epochs ? &o->epochs : threads ? &o->threads : NULL;
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            usage(stdout);
            return 1;
        }
        if (!number && argv[i][0] != '-') {
            o->directory = argv[i];
        } else if (!number || (*number = count(argv[++i])) == 0) {
            fprintf(stderr,
                    number ? "fashion_mlp: %s takes a number from 1 to 1000\n" : "fashion_mlp: unknown option %s\n",
                    argv[number ? i - 1 : i]);
            usage(stderr);
            return 3;
        }
    }
    return 0;
}

/* ---- data ---- */

static bool read_file(const char *directory, const char *name, rg_tensor *out)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s.gz", directory, name);
    if (access(path, F_OK) != 0)
        snprintf(path, sizeof path, "%s/%s", directory, name); /* unpacked already */
    if (rg_read_idx(path, out) == RG_OK)
        return true;
    fprintf(stderr, "fashion_mlp: %s\n", rg_last_error());
    if (access(path, F_OK) != 0)
        fprintf(stderr,
                "fashion_mlp: the data set is not in %s. On Debian: apt install dataset-fashion-mnist\n"
                "fashion_mlp: elsewhere: give the directory of its four files, see fashion_mlp --help\n",
                directory);
    return false;
}

/* "train" or "t10k" */
static bool read_dataset(const char *directory, const char *part, struct dataset *d)
{
    char images[64], labels[64];
    snprintf(images, sizeof images, "%s-images-idx3-ubyte", part);
    snprintf(labels, sizeof labels, "%s-labels-idx1-ubyte", part);
    if (!read_file(directory, images, &d->images) || !read_file(directory, labels, &d->labels))
        return false;
    d->n = d->images.shape.dim[0];
    if (d->n > 0 && d->images.dtype == RG_U8 && rg_shape_equal(d->images.shape, RG_SHAPE(d->n, SIDE, SIDE)) &&
        d->labels.dtype == RG_U8 && rg_shape_equal(d->labels.shape, RG_SHAPE(d->n)))
        return true;
    fprintf(stderr, "fashion_mlp: %s and %s are not images of 28 x 28 bytes and as many labels\n", images, labels);
    return false;
}

/* ---- the network ---- */

static bool build(struct model *m, const struct options *o, int64_t steps)
{
    rg_graph *g = m->graph = rg_graph_new(NULL);
    const int64_t batch = rg_dim(g, "batch"); /* known only when data is bound */
    m->pixels = rg_input(g, "pixels", RG_U8, RG_SHAPE(batch, PIXELS));
    m->label = rg_input(g, "label", RG_U8, RG_SHAPE(batch));

    /* bytes to mean 0, variance 1 over the training set */
    rg_node *x = rg_scale(rg_add_scalar(rg_cast(m->pixels, RG_F32), -0.2860 * 255), 1 / (0.3530 * 255));
    rg_node *h = rg_relu(rg_nn_linear(x, "fc1", HIDDEN, NULL));
    h = rg_relu(rg_nn_linear(h, "fc2", HIDDEN, NULL));
    rg_node *logits = rg_nn_linear(h, "fc3", CLASSES, NULL);
    m->loss = rg_cross_entropy(logits, m->label, &(rg_cross_entropy_opts){.label_smoothing = 0.1});
    m->guess = rg_argmax(logits, 1);

    rg_node *rate = rg_schedule_one_cycle(rg_step_counter(g, "steps"), 2e-3, steps);
    m->step = rg_adamw(m->loss, &(rg_adam_opts){.lr_node = rate});

    m->train = rg_compile(g, RG_NODES(m->loss, m->step), &(rg_plan_opts){.threads = o->threads});
    m->test = rg_compile(g, RG_NODES(m->guess), &(rg_plan_opts){.mode = RG_EVAL, .threads = o->threads});
    return m->train && m->test;
}

/* ---- progress ---- */

/* At most ten times a second, and only on a terminal:
   "epoch  3/10 [####----]  52%  loss 0.7012  41000 images/s  0:17 left" */
static void draw(struct progress *p, int epoch, int64_t done, double loss)
{
    enum { WIDTH = 24 };
    const double t = now(), seconds = t - p->start - p->testing;
    if (!p->terminal || (t - p->last_drawn < 0.1 && done < p->images) || seconds <= 0)
        return;
    p->last_drawn = t;
    const double share = (double)done / (double)p->images, total = (double)epoch + share;
    const double rate = total * (double)p->images / seconds,
                 left = total > 0 ? (t - p->start) * (p->epochs - total) / total : 0;
    char bar[WIDTH + 1];
    for (int i = 0; i < WIDTH; i++)
        bar[i] = i < (int)(share * WIDTH) ? '#' : '-';
    bar[WIDTH] = '\0';
    printf("\repoch %2d/%d [%s] %3.0f%%  loss %.4f  %.0f images/s  %d:%02d left \033[K", epoch + 1, p->epochs, bar,
           100 * share, loss, rate, (int)left / 60, (int)left % 60);
    fflush(stdout);
}

/* ---- training and testing ---- */

/* Fisher and Yates, over splitmix64 (Steele et al. 2014): the same order in every run of the program. */
static void shuffle(int32_t *order, int64_t n, uint64_t *state)
{
    for (int64_t i = n - 1; i > 0; i--) {
        uint64_t z = *state += 0x9E3779B97F4A7C15u;
        z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
        z = (z ^ z >> 27) * 0x94D049BB133111EBu;
        const int64_t j = (int64_t)((z ^ z >> 31) % (uint64_t)(i + 1));
        const int32_t swapped = order[i];
        order[i] = order[j];
        order[j] = swapped;
    }
}

/* One pass over the training set in the given order; the mean loss into *mean. Failures are in rg_last_error. */
static bool train_epoch(struct model *m, const struct dataset *d, const int32_t *order, int epoch, struct progress *p,
                        double *mean)
{
    static uint8_t pixels[BATCH][PIXELS], labels[BATCH];
    const uint8_t *images = d->images.data, *all_labels = d->labels.data;
    double sum = 0, recent = 0;
    for (int64_t i = 0; i < d->n; i += BATCH) {
        const int64_t size = d->n - i < BATCH ? d->n - i : BATCH; /* the last batch may be smaller */
        for (int64_t k = 0; k < size; k++) {
            memcpy(pixels[k], images + (size_t)order[i + k] * PIXELS, PIXELS);
            labels[k] = all_labels[order[i + k]];
        }
        if (rg_bind_shape(m->train, m->pixels, pixels, RG_SHAPE(size, PIXELS)) ||
            rg_bind_shape(m->train, m->label, labels, RG_SHAPE(size)) || rg_run(m->train))
            return false;
        const double loss = *(const float *)rg_data(m->train, m->loss);
        sum += loss * (double)size;
        recent = i ? 0.98 * recent + 0.02 * loss : loss;
        draw(p, epoch, i + size, recent);
    }
    *mean = sum / (double)d->n;
    return true;
}

/* Counts how often class [row] was taken for class [column]. */
static bool test(struct model *m, const struct dataset *d, int table[CLASSES][CLASSES])
{
    const uint8_t *images = d->images.data, *labels = d->labels.data;
    memset(table, 0, sizeof(int[CLASSES][CLASSES]));
    for (int64_t i = 0; i < d->n; i += TEST_BATCH) {
        const int64_t size = d->n - i < TEST_BATCH ? d->n - i : TEST_BATCH;
        if (rg_bind_shape(m->test, m->pixels, images + i * PIXELS, RG_SHAPE(size, PIXELS)) || rg_run(m->test))
            return false;
        const int64_t *guess = rg_data(m->test, m->guess);
        for (int64_t k = 0; k < size; k++)
            table[labels[i + k] % CLASSES][guess[k]]++;
    }
    return true;
}

static double accuracy(int table[CLASSES][CLASSES], int64_t n)
{
    int right = 0;
    for (int c = 0; c < CLASSES; c++)
        right += table[c][c];
    return (double)right / (double)n;
}

static void print_table(int table[CLASSES][CLASSES])
{
    printf("\nwhat it is, and what it was taken for\n%-11s", "");
    for (int c = 0; c < CLASSES; c++)
        printf(" %5.5s", class_names[c]);
    printf("  right\n");
    for (int row = 0; row < CLASSES; row++) {
        int sum = 0;
        printf("%-11s", class_names[row]);
        for (int c = 0; c < CLASSES; c++) {
            sum += table[row][c];
            printf(" %5d", table[row][c]);
        }
        printf("  %4.1f%%\n", sum ? 100.0 * table[row][row] / sum : 0.0);
    }
}

static int run(const struct options *o, struct model *m, const struct dataset *train, const struct dataset *unseen,
               int32_t *order)
{
    int table[CLASSES][CLASSES];
    uint64_t seed = 1;
    struct progress p = {.epochs = o->epochs, .images = train->n, .start = now(), .terminal = isatty(STDOUT_FILENO)};
    for (int64_t i = 0; i < train->n; i++)
        order[i] = (int32_t)i;
    for (int epoch = 0; epoch < o->epochs; epoch++) {
        const double start = now();
        double loss;
        shuffle(order, train->n, &seed);
        if (!train_epoch(m, train, order, epoch, &p, &loss))
            return fail(rg_last_error());
        const double trained = now();
        if (!test(m, unseen, table))
            return fail(rg_last_error());
        p.testing += now() - trained;
        printf("%sepoch %2d/%d  loss %.4f  test accuracy %.4f  %.1f s, %.0f images/s\n", p.terminal ? "\r\033[K" : "",
               epoch + 1, o->epochs, loss, accuracy(table, unseen->n), now() - start,
               (double)train->n / (trained - start));
        fflush(stdout);
    }
    print_table(table);
    printf("\ntest accuracy %.4f after %d epoch%s, %.1f s in all\n", accuracy(table, unseen->n), o->epochs,
           o->epochs > 1 ? "s" : "", now() - p.start);
    if (rg_save(m->graph, weights_file))
        return fail(rg_last_error());
    printf("weights saved to %s in the current directory\n", weights_file);
    return 0;
}

int main(int argc, char **argv)
{
    struct options o = {.directory = "/usr/share/datasets/fashion-mnist", .epochs = 10};
    struct dataset train = {0}, unseen = {0};
    struct model m = {0};
    int32_t *order = NULL;
    int code = parse(argc, argv, &o);
    if (code)
        return code - 1;
    code = 1;
    if (read_dataset(o.directory, "train", &train) && read_dataset(o.directory, "t10k", &unseen)) {
        order = malloc((size_t)train.n * sizeof *order);
        if (!order)
            code = fail("out of memory");
        else if (!build(&m, &o, (train.n + BATCH - 1) / BATCH * o.epochs))
            code = fail(rg_graph_error(m.graph));
        else
            code = run(&o, &m, &train, &unseen, order);
    }
    free(order);
    rg_plan_free(m.train);
    rg_plan_free(m.test);
    rg_graph_free(m.graph);
    rg_tensor_free(&train.images);
    rg_tensor_free(&train.labels);
    rg_tensor_free(&unseen.images);
    rg_tensor_free(&unseen.labels);
    return code;
}
