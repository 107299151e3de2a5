/* networks.c - LeNet-5, a small network for MNIST, AlexNet twice, ResNet-18. */
#include "networks.h"

#include <math.h>
#include <stdio.h>

/* ---- LeNet-5 ---- */

rg_node *lenet_logits(rg_node *image, int64_t classes, feature_maps *maps)
{
    const rg_conv_opts five = {.kernel = {5, 5}}, same = {.kernel = {5, 5}, .pad = {2, 2}};
    const rg_pool_opts two = {.window = {2, 2}};
    rg_node *first = rg_relu(rg_nn_conv2d(image, "conv1", 6, &same));
    rg_node *second = rg_relu(rg_nn_conv2d(rg_max_pool2d(first, &two), "conv2", 16, &five));
    rg_node *h = rg_flatten(rg_max_pool2d(second, &two), 1);
    h = rg_relu(rg_nn_linear(h, "fc1", 120, NULL));
    h = rg_relu(rg_nn_linear(h, "fc2", 84, NULL));
    if (maps)
        *maps = (feature_maps){.at = {first, second}, .n = 2};
    return rg_nn_linear(h, "fc3", classes, NULL);
}

rg_node *mnistcnn_logits(rg_node *image, int64_t classes)
{
    const rg_conv_opts three = {.kernel = {3, 3}};
    rg_node *h = rg_relu(rg_nn_conv2d(image, "conv1", 32, &three));
    h = rg_max_pool2d(rg_relu(rg_nn_conv2d(h, "conv2", 32, &three)), &(rg_pool_opts){.window = {2, 2}});
    h = rg_relu(rg_nn_linear(rg_flatten(h, 1), "fc1", 128, NULL));
    return rg_nn_linear(h, "fc2", classes, NULL);
}

/* ---- AlexNet ---- */

/* The paper's: x / (2 + 1e-4 (sum of x^2 over five channels))^0.75; the operator takes their mean. */
static rg_node *normalised(rg_node *x)
{
    return rg_local_response_norm(x, 5, 5e-4, 0.75, 2);
}

rg_node *alexnet_logits(rg_node *image, int64_t classes, double dropout)
{
    const rg_pool_opts three = {.window = {3, 3}, .stride = {2, 2}};
    const rg_conv_opts first = {.kernel = {11, 11}, .stride = {4, 4}, .pad = {2, 2}};
    const rg_conv_opts second = {.kernel = {5, 5}, .pad = {2, 2}, .groups = 2};
    const rg_conv_opts whole = {.kernel = {3, 3}, .pad = {1, 1}}, halves = {.kernel = {3, 3}, .pad = {1, 1}, .groups = 2};
    rg_node *h = rg_max_pool2d(normalised(rg_relu(rg_nn_conv2d(image, "conv1", 96, &first))), &three);
    h = rg_max_pool2d(normalised(rg_relu(rg_nn_conv2d(h, "conv2", 256, &second))), &three);
    h = rg_relu(rg_nn_conv2d(h, "conv3", 384, &whole));
    h = rg_relu(rg_nn_conv2d(h, "conv4", 384, &halves));
    h = rg_max_pool2d(rg_relu(rg_nn_conv2d(h, "conv5", 256, &halves)), &three);
    h = rg_relu(rg_nn_linear(rg_flatten(h, 1), "fc6", 4096, NULL));
    h = rg_relu(rg_nn_linear(rg_nn_dropout(h, dropout), "fc7", 4096, NULL));
    return rg_nn_linear(rg_nn_dropout(h, dropout), "fc8", classes, NULL);
}

rg_node *alexnet_tower_logits(rg_node *image, int64_t classes)
{
    const rg_pool_opts pool = {.window = {3, 3}, .stride = {2, 2}};
    const rg_conv_opts first = {.kernel = {11, 11}, .stride = {4, 4}, .pad = {2, 2}};
    const rg_conv_opts second = {.kernel = {5, 5}, .pad = {2, 2}}, three = {.kernel = {3, 3}, .pad = {1, 1}};
    rg_node *h = rg_max_pool2d(rg_relu(rg_nn_conv2d(image, "conv1", 64, &first)), &pool);
    h = rg_max_pool2d(rg_relu(rg_nn_conv2d(h, "conv2", 192, &second)), &pool);
    h = rg_relu(rg_nn_conv2d(h, "conv3", 384, &three));
    h = rg_relu(rg_nn_conv2d(h, "conv4", 256, &three));
    h = rg_max_pool2d(rg_relu(rg_nn_conv2d(h, "conv5", 256, &three)), &pool);
    h = rg_relu(rg_nn_linear(rg_flatten(h, 1), "fc6", 4096, NULL));
    h = rg_relu(rg_nn_linear(h, "fc7", 4096, NULL));
    return rg_nn_linear(h, "fc8", classes, NULL);
}

/* ---- ResNet-18 ---- */

/* A square kernel without bias, normal with variance 2 / (out kernel^2) (He et al. 2015, by what goes out). */
static rg_node *conv(rg_node *x, const char *name, int64_t out, int64_t kernel, int64_t stride)
{
    rg_graph *g = rg_graph_of(x);
    const int64_t pad = kernel / 2, in = rg_shape_of(x).dim[1];
    const rg_param_opts he = {.init = RG_NORMAL, .scale = sqrt(2.0 / (double)(out * kernel * kernel))};
    rg_scope_push(g, name);
    rg_node *w = rg_param(g, "weight", rg_dtype_of(x), RG_SHAPE(out, in, kernel, kernel), &he);
    rg_scope_pop(g);
    return rg_conv2d(x, w, NULL, &(rg_conv_opts){.stride = {stride, stride}, .pad = {pad, pad}});
}

/* Two convolutions and what came in, which is brought to size by a convolution of its own where it differs. */
static rg_node *block(rg_node *x, const char *name, int64_t channels, int64_t stride)
{
    rg_graph *g = rg_graph_of(x);
    rg_scope_push(g, name);
    rg_node *h = rg_relu(rg_nn_batch_norm(conv(x, "conv1", channels, 3, stride), "bn1", NULL));
    h = rg_nn_batch_norm(conv(h, "conv2", channels, 3, 1), "bn2", NULL);
    if (stride != 1 || rg_shape_of(x).dim[1] != channels)
        x = rg_nn_batch_norm(conv(x, "downsample.0", channels, 1, stride), "downsample.1", NULL);
    rg_scope_pop(g);
    return rg_relu(rg_add(h, x));
}

rg_node *resnet18_logits(rg_node *image, int64_t classes)
{
    const rg_pool_opts three = {.window = {3, 3}, .stride = {2, 2}, .pad = {1, 1}};
    rg_node *h = rg_max_pool2d(rg_relu(rg_nn_batch_norm(conv(image, "conv1", 64, 7, 2), "bn1", NULL)), &three);
    for (int layer = 1; layer <= 4; layer++)
        for (int i = 0; i < 2; i++) {
            char name[16];
            snprintf(name, sizeof name, "layer%d.%d", layer, i);
            h = block(h, name, 32L << layer, layer > 1 && i == 0 ? 2 : 1);
        }
    return rg_nn_linear(rg_flatten(rg_global_avg_pool(h), 1), "fc", classes, NULL);
}
