/* clothes.h - what the examples on pictures share: options, Fashion-MNIST or pictures made up here, and PGM files. */
#ifndef RETROGRADE_EXAMPLES_CLOTHES_H
#define RETROGRADE_EXAMPLES_CLOTHES_H

#include <retrograde/retrograde.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CLOTHES_SIDE = 28, CLOTHES_PIXELS = CLOTHES_SIDE * CLOTHES_SIDE, CLOTHES_CLASSES = 10 };

/* Pixels u8 [n, 784] and labels u8 [n]. */
struct clothes {
    rg_tensor train, train_labels, test, test_labels;
};

struct clothes_options {
    const char *program, *directory;
    int epochs, quick_epochs, threads;
    bool quick; /* pictures made up here, some seconds of work */
};

/* "program [--epochs N] [--threads N] [--quick] [DIR]". 0: go on; otherwise the exit code plus one. */
static inline int clothes_parse(struct clothes_options *o, int argc, char **argv, const char *what)
{
    for (int i = 1; i < argc; i++) {
        int *number = strcmp(argv[i], "--epochs") == 0    ? &o->epochs
                      : strcmp(argv[i], "--threads") == 0 ? &o->threads
                                                          : NULL;
        if (strcmp(argv[i], "--quick") == 0) {
            o->quick = true;
            o->epochs = o->quick_epochs;
        } else if (number && i + 1 < argc && atoi(argv[i + 1]) > 0) {
            *number = atoi(argv[++i]);
        } else if (argv[i][0] != '-') {
            o->directory = argv[i];
        } else {
            const bool asked = strcmp(argv[i], "--help") == 0;
            fprintf(asked ? stdout : stderr,
                    "usage: %s [--epochs N] [--threads N] [--quick] [DIR]\n%s\n\n"
                    "  DIR      where the four files of Fashion-MNIST are (default %s)\n"
                    "  --quick  a small run on pictures made up by the program\n",
                    o->program, what, o->directory);
            return asked ? 1 : 3;
        }
    }
    return 0;
}

static inline bool clothes_read_file(const struct clothes_options *o, const char *name, rg_tensor *out)
{
    char path[4096];
    for (int packed = 1; packed >= 0; packed--) {
        snprintf(path, sizeof path, "%s/%s%s", o->directory, name, packed ? ".gz" : "");
        const rg_status status = rg_read_idx(path, out);
        if (status == RG_OK)
            return true;
        if (status != RG_ERR_IO)
            break;
    }
    fprintf(stderr, "%s: %s\n%s: on Debian, apt install dataset-fashion-mnist; or see --help\n", o->program,
            rg_last_error(), o->program);
    return false;
}

/* A number in [0, 1) of a sequence (splitmix64). */
static inline double clothes_random(uint64_t *state)
{
    uint64_t z = *state += 0x9E3779B97F4A7C15u;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    return (double)((z ^ z >> 31) >> 11) * 0x1p-53;
}

/* Bars: the class is the direction; place, width and brightness are random. */
static inline bool clothes_draw(rg_tensor *pictures, rg_tensor *labels, int64_t n, uint64_t seed)
{
    if (rg_tensor_alloc(pictures, RG_U8, RG_SHAPE(n, CLOTHES_PIXELS)) || rg_tensor_alloc(labels, RG_U8, RG_SHAPE(n)))
        return false;
    for (int64_t i = 0; i < n; i++) {
        uint8_t *pixel = (uint8_t *)pictures->data + i * CLOTHES_PIXELS;
        const int label = (int)(clothes_random(&seed) * CLOTHES_CLASSES);
        const double angle = label * 3.14159265358979 / CLOTHES_CLASSES, x = 10 + 8 * clothes_random(&seed),
                     y = 10 + 8 * clothes_random(&seed), width = 1.5 + clothes_random(&seed),
                     bright = 160 + 95 * clothes_random(&seed);
        ((uint8_t *)labels->data)[i] = (uint8_t)label;
        for (int k = 0; k < CLOTHES_PIXELS; k++) {
            const double dx = k % CLOTHES_SIDE - x, dy = k / CLOTHES_SIDE - y;
            const double across = dx * sin(angle) - dy * cos(angle), along = dx * cos(angle) + dy * sin(angle);
            const double d = fmax(fabs(across) - width, fabs(along) - 9);
            pixel[k] = (uint8_t)(bright / (1 + exp(2 * d)));
        }
    }
    return true;
}

static inline bool clothes_load(struct clothes *f, const struct clothes_options *o, int64_t n)
{
    if (o->quick)
        return clothes_draw(&f->train, &f->train_labels, n, 1) && clothes_draw(&f->test, &f->test_labels, n / 4, 2);
    if (!clothes_read_file(o, "train-images-idx3-ubyte", &f->train) ||
        !clothes_read_file(o, "train-labels-idx1-ubyte", &f->train_labels) ||
        !clothes_read_file(o, "t10k-images-idx3-ubyte", &f->test) ||
        !clothes_read_file(o, "t10k-labels-idx1-ubyte", &f->test_labels))
        return false;
    rg_tensor *const pictures[] = {&f->train, &f->test}, *const labels[] = {&f->train_labels, &f->test_labels};
    for (int i = 0; i < 2; i++) {
        const int64_t count = pictures[i]->shape.dim[0];
        if (pictures[i]->dtype != RG_U8 || labels[i]->dtype != RG_U8 || count < 1 ||
            !rg_shape_equal(pictures[i]->shape, RG_SHAPE(count, CLOTHES_SIDE, CLOTHES_SIDE)) ||
            !rg_shape_equal(labels[i]->shape, RG_SHAPE(count))) {
            fprintf(stderr, "%s: these are not pictures of 28 x 28 bytes and as many labels\n", o->program);
            return false;
        }
        pictures[i]->shape = RG_SHAPE(count, CLOTHES_PIXELS);
    }
    return true;
}

static inline void clothes_free(struct clothes *f)
{
    rg_tensor_free(&f->train);
    rg_tensor_free(&f->train_labels);
    rg_tensor_free(&f->test);
    rg_tensor_free(&f->test_labels);
}

/* Grey pictures of 28 x 28 in a grid, as a PGM file; those of f32 are probabilities. */
static inline bool clothes_write_grid(const char *path, const uint8_t *pictures, int columns, int rows)
{
    FILE *f = fopen(path, "wb");
    bool ok = f && fprintf(f, "P5\n%d %d\n255\n", columns * CLOTHES_SIDE, rows * CLOTHES_SIDE) > 0;
    for (int y = 0; ok && y < rows * CLOTHES_SIDE; y++)
        for (int c = 0; ok && c < columns; c++) {
            const uint8_t *picture = pictures + (size_t)(y / CLOTHES_SIDE * columns + c) * CLOTHES_PIXELS;
            ok = fwrite(picture + y % CLOTHES_SIDE * CLOTHES_SIDE, 1, CLOTHES_SIDE, f) == CLOTHES_SIDE;
        }
    return f && fclose(f) == 0 && ok;
}

#endif
