/* autoencoder.c - a deep autoencoder (Hinton and Salakhutdinov 2006) squeezes pictures through two numbers and draws them
   again. The paper had to train its layers one by one first; with Glorot's initial values and Adam that is not needed.

   The loss is the paper's: the cross entropy between pixels and their reconstructions. Written at the end: pictures above
   their reconstructions (autoencoder.png), and the map of the two numbers, coloured by class (autoencoder.svg). */
#include "clothes.h"
#include "pictures.h"

#include <math.h>
#include <stdio.h>

enum { SHOWN = 12, DOTS = 2000 };

static const char *const colours[CLOTHES_CLASSES] = {"#1f77b4", "#ff7f0e", "#2ca02c", "#d62728", "#9467bd",
                                                     "#8c564b", "#e377c2", "#7f7f7f", "#bcbd22", "#17becf"};

static rg_node *layer(rg_node *x, const char *name, int64_t out)
{
    return rg_nn_linear(x, name, out, &(rg_linear_opts){.weight = {.init = RG_XAVIER_UNIFORM}});
}

static bool write_map(const char *path, const float *codes, const struct clothes *data, int64_t n)
{
    const uint8_t *labels = data->test_labels.data;
    FILE *f = fopen(path, "w");
    float low[2] = {INFINITY, INFINITY}, high[2] = {-INFINITY, -INFINITY};
    for (int64_t i = 0; i < 2 * n; i++) {
        low[i % 2] = fminf(low[i % 2], codes[i]);
        high[i % 2] = fmaxf(high[i % 2], codes[i]);
    }
    if (!f)
        return false;
    fprintf(f, "<svg xmlns='http://www.w3.org/2000/svg' width='760' height='640' font-family='sans-serif' font-size='14'>\n"
               "<rect width='100%%' height='100%%' fill='white'/>\n");
    for (int64_t i = 0; i < n; i++)
        fprintf(f, "<circle cx='%.1f' cy='%.1f' r='3' fill='%s' fill-opacity='.6'/>\n",
                20 + 600 * (codes[2 * i] - low[0]) / (high[0] - low[0]),
                20 + 600 * (codes[2 * i + 1] - low[1]) / (high[1] - low[1]), colours[labels[i] % CLOTHES_CLASSES]);
    for (int c = 0; c < CLOTHES_CLASSES; c++)
        fprintf(f, "<circle cx='650' cy='%d' r='5' fill='%s'/><text x='662' y='%d'>%s</text>\n", 40 + 24 * c, colours[c],
                45 + 24 * c, data->names[c]);
    fprintf(f, "</svg>\n");
    return fclose(f) == 0;
}

/* The first pictures of the test set above what is left of them. */
static bool write_pictures(const float *before, const float *after)
{
    picture p;
    if (!picture_new(&p, 2, SHOWN, 2 * CLOTHES_SIDE))
        return false;
    for (int i = 0; i < SHOWN; i++)
        for (int row = 0; row < 2; row++)
            picture_tile(&p, row, i, (row ? after : before) + i * CLOTHES_PIXELS, CLOTHES_SIDE, CLOTHES_SIDE, TILE_UNIT);
    const bool ok = picture_write(&p, "autoencoder", "pictures above what is drawn from their two numbers");
    picture_free(&p);
    return ok;
}

static bool show(rg_graph *g, const struct clothes *data, rg_node *pixels, const rg_nodes seen)
{
    const int64_t n = data->test.shape.dim[0] < DOTS ? data->test.shape.dim[0] : DOTS;
    rg_plan *plan = rg_compile(g, seen, &(rg_plan_opts){.mode = RG_EVAL});
    const bool ok = plan && !rg_bind_shape(plan, pixels, data->test.data, RG_SHAPE(n, CLOTHES_PIXELS)) && !rg_run(plan) &&
                    write_pictures(rg_data(plan, seen.at[0]), rg_data(plan, seen.at[2])) &&
                    write_map("autoencoder.svg", rg_data(plan, seen.at[1]), data, n);
    rg_plan_free(plan);
    return ok;
}

int main(int argc, char **argv)
{
    struct clothes_options o = {
        .program = "autoencoder", .what = "Trains an autoencoder 784-256-64-2-64-256-784; writes autoencoder.png and autoencoder.svg.", .epochs = 20, .quick_epochs = 4};
    struct clothes data = {0};
    int code = clothes_parse(&o, argc, argv);
    if (code >= 0)
        return code;
    code = 1;
    rg_graph *g = rg_graph_new(NULL);
    if (!clothes_load(&data, &o, 1500))
        goto done;

    rg_node *pixels = rg_input(g, "pixels", RG_U8, RG_SHAPE(rg_dim(g, "batch"), CLOTHES_PIXELS));
    rg_node *x = rg_scale(rg_cast(pixels, RG_F32), 1.0 / 255);
    rg_node *h = rg_relu(layer(rg_relu(layer(x, "encoder1", 256)), "encoder2", 64));
    rg_node *two = layer(h, "code", 2);
    h = rg_relu(layer(rg_relu(layer(two, "decoder1", 64)), "decoder2", 256));
    rg_node *logits = layer(h, "picture", CLOTHES_PIXELS), *drawn = rg_sigmoid(logits);
    rg_node *loss = rg_bce_with_logits(logits, x, NULL);
    rg_node *error = rg_mse_loss(drawn, x, NULL);
    rg_node *step = rg_adam(loss, &(rg_adam_opts){.lr = 1e-3});

    const char *const names[] = {"squared error"};
    const rg_column train[] = {{pixels, &data.train, 0}}, test[] = {{pixels, &data.test, 0}};
    rg_fit_report report;
    if (rg_fit(&(rg_fit_opts){.loss = loss,
                              .step = step,
                              .metrics = RG_NODES(error),
                              .names = names,
                              .train = {train, 1},
                              .valid = {test, 1},
                              .epochs = o.epochs,
                              .batch = o.quick ? 20 : 100,
                              .valid_batch = 500,
                              .plan = &(rg_plan_opts){.threads = o.threads},
                              .progress = stdout},
               &report) ||
        !show(g, &data, pixels, RG_NODES(x, two, drawn))) {
        fprintf(stderr, "autoencoder: %s\n", rg_graph_error(g) ? rg_graph_error(g) : rg_last_error());
        goto done;
    }
    /* The mean picture alone leaves the variance of the pixels: about 0.08 of bars, 0.086 of clothes. */
    printf("  %-28s the map of the two numbers\nsquared error a pixel %.4f from two numbers a picture\n", "autoencoder.svg",
           report.last.valid_metric[0]);
    code = !o.shortened && report.last.valid_metric[0] > 0.03;
done:
    clothes_free(&data);
    rg_graph_free(g);
    return code;
}
