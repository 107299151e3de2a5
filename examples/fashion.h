/* fashion.h - what the programs have in common that learn to tell ten kinds of clothes apart (Fashion-MNIST, Xiao et al. 2017):
   the network between its data and its loss, training, a confusion table, saved weights, and timing at full size. */
#ifndef RETROGRADE_EXAMPLES_FASHION_H
#define RETROGRADE_EXAMPLES_FASHION_H

#include <retrograde/retrograde.h>

enum { FASHION_SIDE = 28, FASHION_PIXELS = FASHION_SIDE * FASHION_SIDE, FASHION_CLASSES = 10 };

/* The network over its data. */
struct model {
    rg_graph *graph;
    rg_node *pixels, *label, *image, *logits, *loss, *step;
};

struct program {
    const char *name, *what; /* of the program and of the network, for its texts */
    int epochs, batch;
    double rate;             /* the highest; one cycle */
    double accuracy;         /* of the test; a run of all epochs that learns less fails */
    int quick_images;        /* with --quick: so many pictures made up ... */
    int quick_epochs, quick_batch;
    double quick_accuracy;   /* ... and the same */
    /* image [batch, 1, 28, 28], mean 0 and variance 1, to logits [batch, 10] */
    rg_node *(*network)(rg_node *image);
    /* NULL, or called at the end: pictures of what was learnt, shown with the ten images [10, 784], one of each class. False
       after an error it has told. */
    bool (*pictures)(const struct model *m, const uint8_t *images);
    /* NULL, or for --time: training steps on made-up images of the size the network was published with. */
    rg_node *(*full_size)(rg_node *image);
    int full_side, full_classes, full_batch;
};

/* The whole program; its exit code. */
int fashion_main(int argc, char **argv, const struct program *p);

#endif
