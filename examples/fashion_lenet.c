/* fashion_lenet.c - LeNet-5 learns to tell ten kinds of clothes apart, and shows what it learnt: its filters, what they see in
   a few pictures, and which pixels its decisions hang on. */
#include "clothes.h"
#include "fashion.h"
#include "networks.h"
#include "pictures.h"
#include "random.h"

#include <math.h>
#include <stdio.h>

enum { SHOWN = FASHION_CLASSES, COPIES = 48 };

static feature_maps maps; /* of the last network built */

static rg_node *network(rg_node *image)
{
    return lenet_logits(image, FASHION_CLASSES, &maps);
}

/* The kernels of both convolutions; those of the second as a row for each output. */
static bool draw_filters(rg_graph *g)
{
    picture first, second;
    const rg_tensor w1 = rg_value(rg_find(g, "conv1.weight")), w2 = rg_value(rg_find(g, "conv2.weight"));
    if (!picture_new(&first, 1, 6, 60))
        return false;
    for (int i = 0; i < 6; i++)
        picture_tile(&first, 0, i, (const float *)w1.data + (size_t)i * 25, 5, 5, TILE_SIGNED);
    bool ok = picture_write(&first, "lenet_filters1", "the six kernels of the first convolution");
    picture_free(&first);
    if (!picture_new(&second, 16, 6, 30))
        return false;
    for (int i = 0; i < 16 * 6; i++)
        picture_tile(&second, i / 6, i % 6, (const float *)w2.data + (size_t)i * 25, 5, 5, TILE_SIGNED);
    ok = picture_write(&second, "lenet_filters2", "those of the second: a row an output") && ok;
    picture_free(&second);
    return ok;
}

/* A row an image: the image, then its maps in one layer. */
static bool draw_maps(const float *images, const float *values, int channels, int side, const char *name,
                      const char *what)
{
    picture p;
    if (!picture_new(&p, SHOWN, channels + 1, 56))
        return false;
    for (int row = 0; row < SHOWN; row++) {
        picture_tile(&p, row, 0, images + row * FASHION_PIXELS, FASHION_SIDE, FASHION_SIDE, TILE_RANGE);
        for (int c = 0; c < channels; c++)
            picture_tile(&p, row, c + 1, values + (row * channels + c) * side * side, side, side, TILE_RANGE);
    }
    const bool ok = picture_write(&p, name, what);
    picture_free(&p);
    return ok;
}

/* A column an image: the image, what the likeliest class owes to each pixel, both at once. */
static bool draw_saliency(const float *images, const float *slopes)
{
    picture p;
    if (!picture_new(&p, 3, SHOWN, 112))
        return false;
    for (int i = 0; i < SHOWN; i++) {
        const float *image = images + i * FASHION_PIXELS, *slope = slopes + i * FASHION_PIXELS;
        picture_tile(&p, 0, i, image, FASHION_SIDE, FASHION_SIDE, TILE_RANGE);
        picture_tile(&p, 1, i, slope, FASHION_SIDE, FASHION_SIDE, TILE_HEAT);
        picture_overlay(&p, 2, i, image, slope, FASHION_SIDE, FASHION_SIDE);
    }
    const bool ok = picture_write(&p, "lenet_saliency", "the gradient of the chosen class by the pixels");
    picture_free(&p);
    return ok;
}

/* The images, then the images again and again in noise. */
static const uint8_t *with_noise(const uint8_t *images)
{
    static uint8_t copies[COPIES * SHOWN * FASHION_PIXELS];
    uint64_t state = 1;
    for (int i = 0; i < COPIES * SHOWN * FASHION_PIXELS; i++) {
        const double noise = random_unit(&state) + random_unit(&state) + random_unit(&state) - 1.5;
        const double v = images[i % (SHOWN * FASHION_PIXELS)] + (i < SHOWN * FASHION_PIXELS ? 0 : 80 * noise);
        copies[i] = (uint8_t)fmin(fmax(v, 0), 255);
    }
    return copies;
}

/* SmoothGrad (Smilkov et al. 2017): the mean over the copies, in which what hangs on single pixels goes under. */
static const float *smooth(const float *slopes)
{
    static float mean[SHOWN * FASHION_PIXELS];
    for (int i = 0; i < SHOWN * FASHION_PIXELS; i++) {
        mean[i] = 0;
        for (int k = 0; k < COPIES; k++)
            mean[i] += slopes[k * SHOWN * FASHION_PIXELS + i] / COPIES;
    }
    return mean;
}

static bool draw(const struct model *m, const uint8_t *shown)
{
    /* images do not meet in the network: the gradient of the sum is that of each image's own largest logit */
    rg_node *score = rg_sum(rg_max(m->logits, RG_AXES(1), false), RG_ALL_AXES, false);
    rg_node *slope = rg_at(rg_grad(score, RG_NODES(m->image)), 0);
    const rg_nodes seen = RG_NODES(m->image, maps.at[0], maps.at[1], slope);
    rg_plan *p = rg_compile(m->graph, seen, &(rg_plan_opts){.mode = RG_EVAL});
    bool ok = p && !rg_bind_shape(p, m->pixels, with_noise(shown), RG_SHAPE(COPIES * SHOWN, FASHION_PIXELS)) && !rg_run(p);
    if (ok) {
        const float *images = rg_data(p, m->image);
        ok = draw_filters(m->graph) &&
             draw_maps(images, rg_data(p, maps.at[0]), 6, 28, "lenet_maps1", "what the first convolution sees") &&
             draw_maps(images, rg_data(p, maps.at[1]), 16, 10, "lenet_maps2", "what the second one sees") &&
             draw_saliency(images, smooth(rg_data(p, slope)));
    } else {
        fprintf(stderr, "fashion_lenet: %s\n", p ? rg_last_error() : rg_graph_error(m->graph));
    }
    rg_plan_free(p);
    return ok;
}

int main(int argc, char **argv)
{
    return fashion_main(argc, argv,
                        &(struct program){.name = "fashion_lenet",
                                          .what = "LeNet-5",
                                          .epochs = 10,
                                          .batch = 64,
                                          .rate = 4e-3,
                                          .accuracy = 0.90,
                                          .quick_images = 2000,
                                          .quick_epochs = 1,
                                          .quick_batch = 64,
                                          .quick_accuracy = 0.5,
                                          .network = network,
                                          .pictures = draw});
}
