/* perceptron.h - training steps of perceptrons: forward, loss, backward and an SGD update (rate 0.01, no momentum) in
   f32 on data already in memory. */
#ifndef BENCH_PERCEPTRON_H
#define BENCH_PERCEPTRON_H

#include "bench.h"

#define PERCEPTRON_LAYERS 10

typedef enum activation { TANH, RELU, SIGMOID } activation;
typedef enum objective {
    CROSS_ENTROPY, /* of logits, against class labels */
    SQUARED_ERROR, /* of a sigmoid output, against given targets */
    RECONSTRUCTION /* of a sigmoid output, against the input */
} objective;

/* width[0] inputs, then `layers` linear layers. */
typedef struct perceptron {
    const char *name;
    int layers, width[PERCEPTRON_LAYERS + 1], batch;
    activation hidden;
    objective objective;
} perceptron;

/* Whether a loss is a number: asked elsewhere, for rivals are compiled as if all were. */
int perceptron_finite(float loss);

bench_start perceptron_ours, perceptron_onednn;

#endif
