/* vision.c - oriented edges. A bank of filters given by a formula looks at a picture; a small network learns to tell in which of
   eight directions a noisy edge runs, and comes by filters of the same kind; and the gradient of its decision with respect to
   the image shows where it looks. */
#include "arguments.h"
#include "pictures.h"
#include "random.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DIRECTIONS = 8, SIZE = 9, LEARNT = 16, SIDE = 24, PIXELS = SIDE * SIDE, BATCH = 64, STEPS = 400, CANVAS = 96 };

static const double pi = 3.14159265358979323846;

/* Box and Muller 1958. */
static double normal(uint64_t *state)
{
    const double radius = sqrt(-2 * log(1 - random_unit(state)));
    return radius * cos(2 * pi * random_unit(state));
}

/* ---- filters and images ---- */

/* The slope of a Gaussian across its direction: odd across, long along, sum 0. */
static void edge_filter(int direction, float *kernel)
{
    const double angle = pi * direction / DIRECTIONS;
    for (int i = 0; i < SIZE * SIZE; i++) {
        const double x = i % SIZE - SIZE / 2, y = i / SIZE - SIZE / 2;
        const double across = x * cos(angle) + y * sin(angle), along = y * cos(angle) - x * sin(angle);
        kernel[i] = (float)(across * exp(-across * across / 4 - along * along / 12) / 6);
    }
}

/* A step somewhere near the middle, from dark to bright or the other way round, in noise. */
static void edge_image(int direction, uint64_t *state, float *image)
{
    const double angle = pi * (direction + 0.6 * (random_unit(state) - 0.5)) / DIRECTIONS, offset = 12 * (random_unit(state) - 0.5);
    const double sign = random_unit(state) < 0.5 ? -1 : 1;
    for (int i = 0; i < PIXELS; i++) {
        const double x = i % SIDE - (SIDE - 1) / 2.0, y = i / SIDE - (SIDE - 1) / 2.0;
        image[i] = (float)(sign * tanh(1.5 * (x * cos(angle) + y * sin(angle) - offset)) + 0.4 * normal(state));
    }
}

/* A disc, a square on its tip, and stripes. */
static void draw_scene(float *to)
{
    for (int i = 0; i < CANVAS * CANVAS; i++) {
        const int x = i % CANVAS, y = i / CANVAS;
        float v = 0.2f;
        if (hypot(x - 28, y - 30) < 18)
            v = 0.9f;
        if (abs(x - 68) + abs(y - 28) < 20)
            v = 0.6f;
        if (y > 58 && (x + y / 2) / 8 % 2)
            v = 0.75f;
        to[i] = v;
    }
}

/* A grey picture of bytes, of colours the mean, as numbers of 0 to 1. */
static bool read_scene(const char *path, rg_tensor *out)
{
    rg_tensor bytes = {0};
    const size_t length = strlen(path);
    const bool png = length > 4 && strcmp(path + length - 4, ".png") == 0;
    if (png ? rg_read_png(path, &bytes) : rg_read_pnm(path, &bytes))
        return false;
    const int64_t height = bytes.shape.dim[0], width = bytes.shape.dim[1];
    const int64_t channels = bytes.shape.rank > 2 ? bytes.shape.dim[2] : 1, colours = channels - (channels % 2 == 0);
    if (rg_tensor_alloc(out, RG_F32, RG_SHAPE(1, 1, height, width))) {
        rg_tensor_free(&bytes);
        return false;
    }
    for (int64_t i = 0; i < height * width; i++) {
        float sum = 0;
        for (int64_t c = 0; c < colours; c++)
            sum += ((const uint8_t *)bytes.data)[i * channels + c];
        ((float *)out->data)[i] = sum / (float)(255 * colours);
    }
    rg_tensor_free(&bytes);
    return true;
}

/* ---- pictures ---- */

static bool draw_filters(const float *kernels, int n, const char *name, const char *what)
{
    picture p;
    if (!picture_new(&p, n / DIRECTIONS, DIRECTIONS, 63))
        return false;
    for (int i = 0; i < n; i++)
        picture_tile(&p, i / DIRECTIONS, i % DIRECTIONS, kernels + (size_t)i * SIZE * SIZE, SIZE, SIZE, TILE_SIGNED);
    const bool ok = picture_write(&p, name, what);
    picture_free(&p);
    return ok;
}

static bool draw_maps(const float *scene, int height, int width, const float *maps, int n, const char *name,
                      const char *what)
{
    picture p;
    if (!picture_new(&p, 1 + n / DIRECTIONS, DIRECTIONS, CANVAS))
        return false;
    picture_tile(&p, 0, 0, scene, height, width, TILE_RANGE);
    for (int i = 0; i < n; i++)
        picture_tile(&p, 1 + i / DIRECTIONS, i % DIRECTIONS, maps + (size_t)i * (size_t)(height * width), height, width,
                     TILE_RANGE);
    const bool ok = picture_write(&p, name, what);
    picture_free(&p);
    return ok;
}

static bool draw_saliency(const float *images, const float *slopes)
{
    picture p;
    if (!picture_new(&p, 3, DIRECTIONS, CANVAS))
        return false;
    for (int i = 0; i < DIRECTIONS; i++) {
        const float *image = images + i * PIXELS, *slope = slopes + i * PIXELS;
        picture_tile(&p, 0, i, image, SIDE, SIDE, TILE_RANGE);
        picture_tile(&p, 1, i, slope, SIDE, SIDE, TILE_SIGNED);
        picture_overlay(&p, 2, i, image, slope, SIDE, SIDE);
    }
    const bool ok = picture_write(&p, "vision_saliency", "an edge of each direction; the gradient of the decision; both");
    picture_free(&p);
    return ok;
}

/* ---- the network ---- */

typedef struct model {
    rg_graph *graph;
    rg_node *image, *label, *loss, *step, *accuracy, *saliency;
    rg_plan *train, *test, *look;
} model;

static int fail(rg_graph *g)
{
    fprintf(stderr, "vision: %s\n", g && rg_graph_error(g) ? rg_graph_error(g) : rg_last_error());
    return 1;
}

/* Filters, rectified, the mean of each over the image (where an edge lies does not matter), and a linear decision. */
static bool build(model *m)
{
    rg_graph *g = m->graph = rg_graph_new(NULL);
    m->image = rg_input(g, "image", RG_F32, RG_SHAPE(rg_dim(g, "batch"), 1, SIDE, SIDE));
    m->label = rg_input(g, "label", RG_I32, RG_SHAPE(rg_dim(g, "batch")));
    const rg_conv_opts nine = {.kernel = {SIZE, SIZE}, .no_bias = true};
    rg_node *maps = rg_relu(rg_nn_conv2d(m->image, "filters", LEARNT, &nine));
    rg_node *logits = rg_nn_linear(rg_flatten(rg_global_avg_pool(maps), 1), "decision", DIRECTIONS, NULL);
    m->loss = rg_cross_entropy(logits, m->label, NULL);
    m->accuracy = rg_nn_accuracy(logits, m->label);
    m->step = rg_adamw(m->loss, &(rg_adam_opts){.lr = 1e-2, .weight_decay = 0.05});
    /* the gradient of each image's own largest logit */
    rg_node *chosen = rg_sum(rg_max(logits, RG_AXES(1), false), RG_ALL_AXES, false);
    m->saliency = rg_at(rg_grad(chosen, RG_NODES(m->image)), 0);
    m->train = rg_compile(g, RG_NODES(m->loss, m->accuracy, m->step), NULL);
    m->test = rg_compile(g, RG_NODES(m->accuracy), NULL);
    m->look = rg_compile(g, RG_NODES(m->saliency), NULL);
    return m->train && m->test && m->look;
}

static bool learn(model *m, double *accuracy)
{
    static float images[8 * BATCH * PIXELS];
    static int32_t labels[8 * BATCH];
    uint64_t state = 1;
    for (int step = 0; step <= STEPS; step++) {
        const bool last = step == STEPS; /* new images, for the test */
        const int n = last ? 8 * BATCH : BATCH;
        rg_plan *p = last ? m->test : m->train;
        for (int i = 0; i < n; i++) {
            labels[i] = (int32_t)(random_unit(&state) * DIRECTIONS);
            edge_image(labels[i], &state, images + (size_t)i * PIXELS);
        }
        if (rg_bind_shape(p, m->image, images, RG_SHAPE(n, 1, SIDE, SIDE)) ||
            rg_bind_shape(p, m->label, labels, RG_SHAPE(n)) || rg_run(p))
            return false;
        if (step % 100 == 0 && !last)
            printf("step %3d  loss %.4f  accuracy %.2f\n", step, *(const float *)rg_data(p, m->loss),
                   *(const float *)rg_data(p, m->accuracy));
        if (last) {
            *accuracy = *(const float *)rg_data(p, m->accuracy);
            printf("%d new edges: accuracy %.3f\n", n, *accuracy);
        }
    }
    return true;
}

static bool look(model *m)
{
    float images[DIRECTIONS * PIXELS];
    uint64_t state = 99;
    for (int i = 0; i < DIRECTIONS; i++)
        edge_image(i, &state, images + (size_t)i * PIXELS);
    return !rg_bind_shape(m->look, m->image, images, RG_SHAPE(DIRECTIONS, 1, SIDE, SIDE)) && !rg_run(m->look) &&
           draw_saliency(images, rg_data(m->look, m->saliency));
}

/* The picture through n kernels, rectified. */
static bool see(const rg_tensor *scene, const float *kernels, int n, const char *name, const char *what)
{
    rg_graph *g = rg_graph_new(NULL);
    rg_node *image = rg_const(g, RG_F32, scene->shape, scene->data);
    rg_node *bank = rg_const(g, RG_F32, RG_SHAPE(n, 1, SIZE, SIZE), kernels);
    for (int axis = 2; axis < 4; axis++) /* the frame of the picture is no edge */
        image = rg_pad(image, axis, SIZE / 2, SIZE / 2, RG_PAD_REPLICATE, 0);
    rg_node *maps = rg_relu(rg_conv2d(image, bank, NULL, NULL));
    rg_plan *p = rg_compile(g, RG_NODES(maps), NULL);
    bool ok = p && !rg_run(p);
    if (ok)
        ok = draw_maps(scene->data, (int)scene->shape.dim[2], (int)scene->shape.dim[3], rg_data(p, maps), n, name, what);
    else
        fail(g);
    rg_plan_free(p);
    rg_graph_free(g);
    return ok;
}

int main(int argc, char **argv)
{
    const char *path = NULL;
    const argument all[] = {{.value = "PICTURE", .what = "what the filters look at, .png, .pgm or .ppm; without it a drawn scene", .text = &path}};
    int code = arguments_read(&(command){"vision", "A network learns in which direction an edge runs; its filters, maps and saliency go to "
                                                   "vision_*.png.", all, 1}, argc, argv);
    if (code >= 0)
        return code;
    rg_tensor scene = {0};
    model m = {0};
    float given[DIRECTIONS * SIZE * SIZE];
    for (int i = 0; i < DIRECTIONS; i++)
        edge_filter(i, given + (size_t)i * SIZE * SIZE);
    if (path ? !read_scene(path, &scene) : rg_tensor_alloc(&scene, RG_F32, RG_SHAPE(1, 1, CANVAS, CANVAS)))
        return fail(NULL);
    if (!path)
        draw_scene(scene.data);
    code = 0;
    double accuracy = 0;
    if (!build(&m) || !learn(&m, &accuracy)) {
        code = fail(m.graph);
    } else {
        const float *learnt = rg_value(rg_find(m.graph, "filters.weight")).data;
        printf("pictures in the current directory:\n");
        code = !(draw_filters(given, DIRECTIONS, "vision_given_filters", "edges in eight directions") &&
                 see(&scene, given, DIRECTIONS, "vision_given_maps", "a picture, and where they answer") &&
                 draw_filters(learnt, LEARNT, "vision_learnt_filters", "the sixteen that were learnt") &&
                 see(&scene, learnt, LEARNT, "vision_learnt_maps", "the picture, and where those answer") && look(&m));
    }
    if (!code && accuracy < 0.95) {
        fprintf(stderr, "vision: it should have learnt more\n");
        code = 1;
    }
    rg_plan_free(m.train);
    rg_plan_free(m.test);
    rg_plan_free(m.look);
    rg_graph_free(m.graph);
    rg_tensor_free(&scene);
    return code;
}
