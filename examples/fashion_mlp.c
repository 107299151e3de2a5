/* fashion_mlp.c - a multi-layer perceptron learns to tell ten kinds of clothes apart. */
#include "fashion.h"

static rg_node *network(rg_node *image)
{
    rg_node *h = rg_relu(rg_nn_linear(rg_flatten(image, 1), "fc1", 512, NULL));
    h = rg_relu(rg_nn_linear(h, "fc2", 512, NULL));
    return rg_nn_linear(h, "fc3", FASHION_CLASSES, NULL);
}

int main(int argc, char **argv)
{
    return fashion_main(argc, argv,
                        &(struct program){.name = "fashion_mlp",
                                          .what = "a 784-512-512-10 perceptron",
                                          .epochs = 10,
                                          .batch = 128,
                                          .rate = 2e-3,
                                          .accuracy = 0.895,
                                          .quick_images = 2000,
                                          .quick_epochs = 1,
                                          .quick_batch = 128,
                                          .quick_accuracy = 0.5,
                                          .network = network});
}
