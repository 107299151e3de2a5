/* networks.h - the networks of the examples and benchmarks, as functions from images [N, channels, height, width] to logits [N, classes]. */
#ifndef EXAMPLES_NETWORKS_H
#define EXAMPLES_NETWORKS_H

#include <retrograde/retrograde.h>

/* What the layers of a network give, for pictures of them: the nodes, in order. */
typedef struct feature_maps {
    rg_node *at[8];
    int n;
} feature_maps;

/* LeCun et al. 1998 with ReLU and maxima: conv1 6 5x5, conv2 16 5x5, fc1 120, fc2 84, fc3. `maps`: NULL, or receives what the
   two convolutions give. */
rg_node *lenet_logits(rg_node *image, int64_t classes, feature_maps *maps);

/* Two convolutions of 32 3x3, maxima over 2x2, fc1 128, fc2: the network of KANN's example. */
rg_node *mnistcnn_logits(rg_node *image, int64_t classes);

/* Krizhevsky, Sutskever, Hinton 2012, for images of 224 x 224 (63 x 63 at least): conv1 96 11x11 stride 4, conv2 256 5x5, conv3
   384, conv4 384, conv5 256 3x3, in two groups where the paper has two devices; response normalisation behind the first two,
   maxima over 3x3 stride 2 behind those and the fifth; fc6 and fc7 4096 with dropout, fc8. */
rg_node *alexnet_logits(rg_node *image, int64_t classes, double dropout);

/* Krizhevsky 2014, "one weird trick", without dropout, for images of 224 x 224: conv1 64 11x11 stride 4, conv2 192 5x5, conv3 384,
   conv4 256, conv5 256 3x3, maxima over 3x3 stride 2 behind the first two and the last; fc6 and fc7 4096, fc8. */
rg_node *alexnet_tower_logits(rg_node *image, int64_t classes);

/* He et al. 2016, eighteen layers, as torchvision defines it, with the names of its state dict. */
rg_node *resnet18_logits(rg_node *image, int64_t classes);

#endif
