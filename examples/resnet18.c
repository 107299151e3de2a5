/* resnet18.c - ResNet-18 (He et al. 2016): its training step timed at 224 x 224, or trained on Fashion-MNIST with a margin. */
#include "fashion.h"
#include "networks.h"

/* Two pixels on all sides make it 32 x 32, which halves five times. */
static rg_node *network(rg_node *image)
{
    for (int axis = 2; axis < 4; axis++)
        image = rg_pad(image, axis, 2, 2, RG_PAD_REPLICATE, 0);
    return resnet18_logits(image, FASHION_CLASSES);
}

static rg_node *full_size(rg_node *image)
{
    return resnet18_logits(image, 1000);
}

int main(int argc, char **argv)
{
    return fashion_main(argc, argv,
                        &(struct program){.name = "resnet18",
                                          .what = "ResNet-18",
                                          .epochs = 1,
                                          .batch = 64,
                                          .rate = 2e-3,
                                          .accuracy = 0.88,
                                          .quick_images = 320,
                                          .quick_epochs = 2,
                                          .quick_batch = 16,
                                          .quick_accuracy = 0.4,
                                          .network = network,
                                          .full_size = full_size,
                                          .full_side = 224,
                                          .full_classes = 1000,
                                          .full_batch = 8});
}
