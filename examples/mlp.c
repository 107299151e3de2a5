/* mlp.c - a perceptron with any number of layers, by the formulas: a_l = f(W_l a_{l-1} + b_l), the loss 1/(2N) sum of
   squares, stochastic gradient descent. The gradients are the library's. */
#include "clothes.h"

#include <stdio.h>

enum { LAYERS = 4 };
static const int64_t width[LAYERS] = {256, 128, 64, CLOTHES_CLASSES};

int main(int argc, char **argv)
{
    struct clothes_options o = {
        .program = "mlp", .what = "Trains a 784-256-128-64-10 perceptron; its curves go to mlp.svg.", .epochs = 10, .quick_epochs = 6};
    struct clothes data = {0};
    int code = clothes_parse(&o, argc, argv);
    if (code >= 0)
        return code;
    code = 1;
    rg_graph *g = rg_graph_new(NULL);
    if (!clothes_load(&data, &o, 1500))
        goto done;

    const int64_t batch = rg_dim(g, "batch");
    rg_node *pixels = rg_input(g, "pixels", RG_U8, RG_SHAPE(batch, CLOTHES_PIXELS));
    rg_node *label = rg_input(g, "label", RG_U8, RG_SHAPE(batch));
    rg_node *a = rg_scale(rg_cast(pixels, RG_F32), 1.0 / 255);
    for (int l = 0; l < LAYERS; l++) {
        char name[16];
        snprintf(name, sizeof name, "layer%d", l + 1);
        rg_node *z = rg_nn_linear(a, name, width[l], &(rg_linear_opts){.weight = {.init = RG_XAVIER_UNIFORM}});
        a = l + 1 < LAYERS ? rg_tanh(z) : rg_sigmoid(z);
    }
    rg_node *target = rg_one_hot(label, CLOTHES_CLASSES, RG_F32);
    rg_node *loss = rg_mse_loss(a, target, &(rg_loss_opts){.half = true});
    rg_node *accuracy = rg_nn_accuracy(a, label);
    rg_node *step = rg_sgd(loss, &(rg_sgd_opts){.lr = o.quick ? 1.0 : 0.5, .momentum = 0.9});

    const char *const names[] = {"accuracy"};
    const rg_column train[] = {{pixels, &data.train, 0}, {label, &data.train_labels, 0}};
    const rg_column test[] = {{pixels, &data.test, 0}, {label, &data.test_labels, 0}};
    rg_fit_report report;
    if (rg_fit(&(rg_fit_opts){.loss = loss,
                              .step = step,
                              .metrics = RG_NODES(accuracy),
                              .names = names,
                              .train = {train, 2},
                              .valid = {test, 2},
                              .epochs = o.epochs,
                              .batch = 32,
                              .valid_batch = 500,
                              .plan = &(rg_plan_opts){.threads = o.threads},
                              .progress = stdout,
                              .svg = "mlp.svg"},
               &report)) {
        fprintf(stderr, "mlp: %s\n", rg_last_error());
        goto done;
    }
    printf("test accuracy %.4f; the curves are in mlp.svg\n", report.last.valid_metric[0]);
    code = !o.shortened && report.last.valid_metric[0] < (o.quick ? 0.8 : 0.87); /* a run that learnt less fails */
done:
    clothes_free(&data);
    rg_graph_free(g);
    return code;
}
