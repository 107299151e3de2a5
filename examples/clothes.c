/* clothes.c - the options of the examples on pictures, and their data. */
#include "clothes.h"

#include "arguments.h"
#include "random.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const char *const kinds[CLOTHES_CLASSES] = {
    "T-shirt", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
};
static const char *const directions[CLOTHES_CLASSES] = {
    "0 deg", "18 deg", "36 deg", "54 deg", "72 deg", "90 deg", "108 deg", "126 deg", "144 deg", "162 deg",
};

int clothes_parse(struct clothes_options *o, int argc, char **argv)
{
    const int whole = o->epochs;
    int epochs = 0;
    char passes[64];
    o->directory = "/usr/share/datasets/fashion-mnist";
    snprintf(passes, sizeof passes, "passes over the data (%d, with --quick %d)", whole, o->quick_epochs);
    const argument all[] = {
        {.name = "--epochs", .value = "N", .what = passes, .number = &epochs, .least = 1, .most = 10000},
        THREADS_ARGUMENT(&o->threads),
        {.name = "--quick", .what = "a small run on pictures made up by the program", .flag = &o->quick},
        {.value = "DIR", .what = "where the four files of Fashion-MNIST are", .text = &o->directory},
        {.name = "--time", .what = o->how, .flag = &o->time},
    };
    const int code = arguments_read(&(command){o->program, o->what, all, o->how ? 5 : 4}, argc, argv);
    o->epochs = epochs ? epochs : o->quick ? o->quick_epochs : whole;
    o->shortened = o->epochs < (o->quick ? o->quick_epochs : whole);
    return code;
}

static bool read_file(const struct clothes_options *o, const char *name, rg_tensor *out)
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

/* Bars: the class is the direction; place, width and brightness are random. */
static bool draw(rg_tensor *pictures, rg_tensor *labels, int64_t n, uint64_t seed)
{
    if (rg_tensor_alloc(pictures, RG_U8, RG_SHAPE(n, CLOTHES_PIXELS)) || rg_tensor_alloc(labels, RG_U8, RG_SHAPE(n)))
        return false;
    for (int64_t i = 0; i < n; i++) {
        uint8_t *pixel = (uint8_t *)pictures->data + i * CLOTHES_PIXELS;
        const int label = (int)(random_unit(&seed) * CLOTHES_CLASSES);
        const double angle = label * 3.14159265358979 / CLOTHES_CLASSES, x = 10 + 8 * random_unit(&seed),
                     y = 10 + 8 * random_unit(&seed), width = 1.5 + random_unit(&seed),
                     bright = 160 + 95 * random_unit(&seed);
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

bool clothes_load(struct clothes *f, const struct clothes_options *o, int64_t n)
{
    f->names = o->quick ? directions : kinds;
    if (o->quick)
        return draw(&f->train, &f->train_labels, n, 1) && draw(&f->test, &f->test_labels, n / 4, 2);
    if (!read_file(o, "train-images-idx3-ubyte", &f->train) ||
        !read_file(o, "train-labels-idx1-ubyte", &f->train_labels) ||
        !read_file(o, "t10k-images-idx3-ubyte", &f->test) ||
        !read_file(o, "t10k-labels-idx1-ubyte", &f->test_labels))
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

void clothes_free(struct clothes *f)
{
    rg_tensor_free(&f->train);
    rg_tensor_free(&f->train_labels);
    rg_tensor_free(&f->test);
    rg_tensor_free(&f->test_labels);
}
