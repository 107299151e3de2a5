/* test_networks.c - the networks of the examples against PyTorch in double precision: one training step from equal
   weights on equal images, losses, gradients' norms and running statistics. */
#include "must.h"

#include "../examples/networks.h"
#include "networks_recorded.h"

#include <float.h>
#include <stdlib.h>

/* Number i of a stream of numbers within [-1, 1), as in tools/record_networks.py. */
static double number(uint32_t i, uint32_t key)
{
    uint32_t u = i * 2654435761u + key * 40503u;
    u ^= u >> 15;
    u *= 2246822519u;
    u ^= u >> 13;
    return u / 2147483648.0 - 1;
}

/* Numbers that single precision has. */
static rg_tensor numbers(rg_dtype dtype, rg_shape shape, uint32_t key, double scale, double offset)
{
    rg_tensor t;
    must(rg_tensor_alloc(&t, dtype, shape));
    for (int64_t i = 0; i < rg_shape_count(shape); i++) {
        const float v = (float)(scale * number((uint32_t)i, key) + offset);
        if (dtype == RG_F32)
            ((float *)t.data)[i] = v;
        else
            ((double *)t.data)[i] = v;
    }
    return t;
}

/* Weights within sqrt(6 / fan_in), biases within 0.1, scales that far from 1. */
static void set_parameters(rg_graph *g)
{
    const rg_nodes all = rg_params(g);
    for (size_t k = 0; k < all.n; k++) {
        const rg_shape shape = rg_shape_of(all.at[k]);
        const char *name = rg_name(all.at[k]);
        const double fan_in = (double)(rg_shape_count(shape) / shape.dim[0]);
        const bool vector = shape.rank == 1, scale = vector && strcmp(name + strlen(name) - 6, "weight") == 0;
        rg_tensor value =
            numbers(rg_dtype_of(all.at[k]), shape, (uint32_t)k, vector ? 0.1 : sqrt(6.0 / fan_in), scale ? 1 : 0);
        must(rg_set(all.at[k], &value));
        rg_tensor_free(&value);
    }
}

static void expect_near(double got, double want, double tolerance, const char *what)
{
    cr_expect(fabs(got - want) <= tolerance * fabs(want), "%s: %.15g, PyTorch has %.15g", what, got, want);
}

static rg_node *alexnet(rg_node *image, int64_t classes)
{
    return alexnet_logits(image, classes, 0);
}

static rg_node *lenet(rg_node *image, int64_t classes)
{
    return lenet_logits(image, classes, NULL);
}

/* In double precision everything is PyTorch's up to rounding. In single precision it is about as close to that as
   PyTorch's own single precision: a unit whose input is next to zero has a gradient or none, as rounding will, and in a
   large network there is always one (ResNet-18 at 224 x 224: three of 4.6 million here, one there, some 1e-4 of a
   gradient's norm). */
static void compare_in(rg_dtype dtype, rg_node *(*network)(rg_node *, int64_t), rg_shape images, int64_t classes,
                       const recorded *want)
{
    const bool single = dtype == RG_F32;
    const double least = single ? 8 * (double)FLT_EPSILON : 1e-11, factor = single ? 4 : 0;
    const double losses = least + factor * want->loss_off, gradients = least + factor * want->gradients_off,
                 statistics = least + factor * want->statistics_off;
    rg_graph *g = rg_graph_new(NULL);
    rg_node *image = rg_input(g, "image", dtype, images),
            *label = rg_input(g, "label", RG_I32, RG_SHAPE(images.dim[0]));
    rg_node *loss = rg_cross_entropy(network(image, classes), label, NULL);
    const rg_nodes params = rg_params(g), grads = rg_grad(loss, params);
    cr_assert(!rg_graph_error(g), "%s", rg_graph_error(g));
    cr_assert_eq(params.n, (size_t)want->n);
    rg_node *fetch[66];
    for (size_t i = 0; i < params.n; i++)
        fetch[i] = rg_norm(grads.at[i], RG_ALL_AXES, false);
    fetch[params.n] = loss;
    fetch[params.n + 1] = rg_sgd(loss, &(rg_sgd_opts){.lr = 1e-4, .params = params, .grads = grads});
    rg_plan *p = must_compile(g, (rg_nodes){fetch, params.n + 2}, NULL);
    set_parameters(g);
    rg_tensor pixels = numbers(dtype, images, 1000, 1, 0);
    int32_t labels[8];
    for (int i = 0; i < images.dim[0]; i++)
        labels[i] = (int32_t)(7 * i % classes);
    must(rg_bind(p, image, pixels.data));
    must(rg_bind(p, label, labels));
    must(rg_run(p));
    expect_near(value_at(p, loss, 0), want->loss, losses, "loss");
    for (size_t i = 0; i < params.n; i++)
        expect_near(value_at(p, fetch[i], 0), want->gradients[i], gradients, rg_name(params.at[i]));
    const rg_nodes stored = rg_stored(g);
    for (size_t i = 0, k = 0; i < stored.n; i++) {
        if (!strstr(rg_name(stored.at[i]), "running"))
            continue;
        double squares = 0;
        for (size_t j = 0; j < (size_t)rg_shape_count(rg_shape_of(stored.at[i])); j++)
            squares += stored_at(stored.at[i], j) * stored_at(stored.at[i], j);
        expect_near(sqrt(squares), want->statistics[k++], statistics, rg_name(stored.at[i]));
    }
    must(rg_run(p));
    expect_near(value_at(p, loss, 0), want->after, losses, "loss after a step");
    rg_tensor_free(&pixels);
    rg_plan_free(p);
    rg_graph_free(g);
}

static void compare(rg_node *(*network)(rg_node *, int64_t), rg_shape images, int64_t classes, const recorded *want)
{
    compare_in(RG_F64, network, images, classes, want);
    compare_in(RG_F32, network, images, classes, want);
}

Test(networks, lenet)
{
    compare(lenet, RG_SHAPE(4, 1, 28, 28), 10, &lenet_28);
}

Test(networks, alexnet)
{
    compare(alexnet, RG_SHAPE(2, 3, 63, 63), 1000, &alexnet_63);
}

Test(networks, resnet18)
{
    compare(resnet18_logits, RG_SHAPE(4, 3, 64, 64), 1000, &resnet18_64);
}

Test(networks, alexnet_at_full_size)
{
    if (!getenv("RETROGRADE_SLOW"))
        cr_skip_test("set RETROGRADE_SLOW=1");
    compare(alexnet, RG_SHAPE(2, 3, 224, 224), 1000, &alexnet_224);
}

Test(networks, resnet18_at_full_size)
{
    if (!getenv("RETROGRADE_SLOW"))
        cr_skip_test("set RETROGRADE_SLOW=1");
    compare(resnet18_logits, RG_SHAPE(2, 3, 224, 224), 1000, &resnet18_224);
}

Test(networks, resnet18_has_the_state_dict_of_torchvision)
{
    rg_graph *g = rg_graph_new(NULL);
    cr_assert(resnet18_logits(rg_input(g, "image", RG_F32, RG_SHAPE(rg_dim(g, "batch"), 3, 224, 224)), 1000));
    static const char *const names[] = {
        "conv1.weight",
        "bn1.weight",
        "bn1.bias",
        "bn1.running_mean",
        "bn1.running_var",
        "bn1.num_batches_tracked",
        "layer1.0.conv1.weight",
        "layer1.1.bn2.running_var",
        "layer2.0.downsample.0.weight",
        "layer2.0.downsample.1.running_mean",
        "layer4.1.conv2.weight",
        "fc.weight",
        "fc.bias",
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        cr_expect(rg_find(g, names[i]), "%s", names[i]);
    cr_expect_eq(rg_stored(g).n, 122);
    cr_expect_eq(rg_params(g).n, 62);
    int64_t elements = 0;
    for (size_t i = 0; i < 62; i++)
        elements += rg_shape_count(rg_shape_of(rg_params(g).at[i]));
    cr_expect_eq(elements, 11689512);
    rg_graph_free(g);
}

/* The last batch of a data set may hold one image, a filter of requests none. */
Test(networks, take_batches_of_one_and_of_none)
{
    static const struct {
        const char *name;
        rg_node *(*network)(rg_node *, int64_t);
        int64_t channels, side;
    } rows[] = {{"lenet", lenet, 1, 28}, {"alexnet", alexnet, 3, 63}, {"resnet18", resnet18_logits, 3, 32}};
    static float pixels[2 * 3 * 63 * 63];
    for (size_t i = 0; i < sizeof pixels / sizeof *pixels; i++)
        pixels[i] = (float)number((uint32_t)i, 1);
    for (size_t k = 0; k < sizeof rows / sizeof *rows; k++) {
        const int64_t channels = rows[k].channels, side = rows[k].side;
        rg_graph *g = rg_graph_new(NULL);
        rg_node *image = rg_input(g, "image", RG_F32, RG_SHAPE(rg_dim(g, "batch"), channels, side, side));
        rg_node *logits = rows[k].network(image, 10);
        rg_plan *p = must_compile(g, RG_NODES(logits), &(rg_plan_opts){.mode = RG_EVAL});
        float both[20];
        for (int64_t batch = 2; batch >= 0; batch--) {
            rg_tensor t;
            must(rg_bind_shape(p, image, pixels, RG_SHAPE(batch, channels, side, side)));
            must(rg_run(p));
            must(rg_result(p, logits, &t));
            cr_expect(rg_shape_equal(t.shape, RG_SHAPE(batch, 10)), "%s", rows[k].name);
            if (batch == 2)
                memcpy(both, t.data, sizeof both);
            if (batch == 1) /* an image's logits do not depend on the others */
                for (int i = 0; i < 10; i++)
                    cr_expect(close_to(((const float *)t.data)[i], both[i], 1e-5), "%s", rows[k].name);
        }
        rg_plan_free(p);
        rg_graph_free(g);
    }
}
