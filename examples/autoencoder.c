/* autoencoder.c - a deep autoencoder (Hinton and Salakhutdinov 2006) squeezes pictures through two numbers and draws them
   again. The paper had to train its layers one by one first; with Glorot's initial values and Adam that is not needed.

   The loss is the paper's: the cross entropy between pixels and their reconstructions. Written at the end: pictures above
   their reconstructions (autoencoder.pgm), and the map of the two numbers, coloured by class (autoencoder.svg). */
#include "clothes.h"

enum { SHOWN = 12, DOTS = 2000 };

static const char *const colours[CLOTHES_CLASSES] = {"#1f77b4", "#ff7f0e", "#2ca02c", "#d62728", "#9467bd",
                                                     "#8c564b", "#e377c2", "#7f7f7f", "#bcbd22", "#17becf"};

static rg_node *layer(rg_node *x, const char *name, int64_t out)
{
    return rg_nn_linear(x, name, out, &(rg_linear_opts){.weight = {.init = RG_XAVIER_UNIFORM}});
}

static bool write_map(const char *path, const float *codes, const uint8_t *labels, int64_t n)
{
    FILE *f = fopen(path, "w");
    float low[2] = {INFINITY, INFINITY}, high[2] = {-INFINITY, -INFINITY};
    for (int64_t i = 0; i < 2 * n; i++) {
        low[i % 2] = fminf(low[i % 2], codes[i]);
        high[i % 2] = fmaxf(high[i % 2], codes[i]);
    }
    if (!f)
        return false;
    fprintf(f, "<svg xmlns='http://www.w3.org/2000/svg' width='640' height='640'><rect width='100%%' height='100%%' "
               "fill='white'/>\n");
    for (int64_t i = 0; i < n; i++)
        fprintf(f, "<circle cx='%.1f' cy='%.1f' r='3' fill='%s' fill-opacity='.6'/>\n",
                20 + 600 * (codes[2 * i] - low[0]) / (high[0] - low[0]),
                20 + 600 * (codes[2 * i + 1] - low[1]) / (high[1] - low[1]), colours[labels[i] % CLOTHES_CLASSES]);
    fprintf(f, "</svg>\n");
    return fclose(f) == 0;
}

/* The first pictures of the test set and what is left of them, and the map. */
static bool show(rg_graph *g, const struct clothes *data, rg_node *pixels, rg_node *code, rg_node *drawn)
{
    static uint8_t grid[2 * SHOWN * CLOTHES_PIXELS];
    const int64_t n = data->test.shape.dim[0] < DOTS ? data->test.shape.dim[0] : DOTS;
    rg_plan *plan = rg_compile(g, RG_NODES(code, drawn), &(rg_plan_opts){.mode = RG_EVAL});
    bool ok = plan && !rg_bind_shape(plan, pixels, data->test.data, RG_SHAPE(n, CLOTHES_PIXELS)) && !rg_run(plan);
    if (ok) {
        const float *p = rg_data(plan, drawn);
        memcpy(grid, data->test.data, (size_t)SHOWN * CLOTHES_PIXELS);
        for (int i = 0; i < SHOWN * CLOTHES_PIXELS; i++)
            grid[SHOWN * CLOTHES_PIXELS + i] = (uint8_t)lroundf(255 * p[i]);
        ok = clothes_write_grid("autoencoder.pgm", grid, SHOWN, 2) &&
             write_map("autoencoder.svg", rg_data(plan, code), data->test_labels.data, n);
    }
    rg_plan_free(plan);
    return ok;
}

int main(int argc, char **argv)
{
    struct clothes_options o = {.program = "autoencoder", .directory = "/usr/share/datasets/fashion-mnist", .epochs = 20, .quick_epochs = 4};
    struct clothes data = {0};
    int code = clothes_parse(&o, argc, argv,
                             "Trains an autoencoder 784-256-64-2-64-256-784; writes autoencoder.pgm and autoencoder.svg.");
    if (code)
        return code - 1;
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
        !show(g, &data, pixels, two, drawn)) {
        fprintf(stderr, "autoencoder: %s\n", rg_graph_error(g) ? rg_graph_error(g) : rg_last_error());
        goto done;
    }
    /* The mean picture alone leaves the variance of the pixels: about 0.08 of bars, 0.086 of clothes. */
    printf("squared error a pixel %.4f from two numbers a picture; see autoencoder.pgm and autoencoder.svg\n",
           report.last.valid_metric[0]);
    code = report.last.valid_metric[0] > 0.05;
done:
    clothes_free(&data);
    rg_graph_free(g);
    return code;
}
