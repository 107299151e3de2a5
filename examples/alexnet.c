/* alexnet.c - AlexNet (Krizhevsky 2012): its training step timed at 224 x 224, or trained on Fashion-MNIST enlarged three times. */
#include "fashion.h"
#include "networks.h"

/* Each pixel a square of 3 x 3: the least size from which the last pool still has an output is 63. */
static rg_node *network(rg_node *image)
{
    rg_node *cell = rg_unsqueeze(rg_unsqueeze(image, 3), 5); /* [N, 1, 28, 1, 28, 1] */
    rg_node *larger = rg_tile(cell, RG_SHAPE(1, 1, 1, 3, 1, 3));
    return alexnet_logits(rg_reshape(larger, RG_SHAPE(-1, 1, 84, 84)), FASHION_CLASSES, 0.5);
}

static rg_node *full_size(rg_node *image)
{
    return alexnet_logits(image, 1000, 0.5);
}

int main(int argc, char **argv)
{
    return fashion_main(argc, argv,
                        &(struct program){.name = "alexnet",
                                          .what = "AlexNet",
                                          .epochs = 1,
                                          .batch = 64,
                                          .rate = 5e-4,
                                          .accuracy = 0.87,
                                          .quick_images = 320,
                                          .quick_epochs = 4,
                                          .quick_batch = 16,
                                          .quick_accuracy = 0.7,
                                          .network = network,
                                          .full_size = full_size,
                                          .full_side = 224,
                                          .full_classes = 1000,
                                          .full_batch = 16});
}
