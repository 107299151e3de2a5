/* workload.h - the training steps that are measured, and who performs them. A step is forward, loss, backward and an
   SGD update (rate 0.01, no momentum) in f32 on data already in memory. */
#ifndef BENCH_WORKLOAD_H
#define BENCH_WORKLOAD_H

#include <stdint.h>

#define WORKLOAD_LAYERS 10

typedef enum activation { TANH, RELU, SIGMOID } activation;
typedef enum objective {
    CROSS_ENTROPY, /* of logits, against class labels */
    SQUARED_ERROR, /* of a sigmoid output, against given targets */
    RECONSTRUCTION /* of a sigmoid output, against the input */
} objective;

/* A perceptron: width[0] inputs, then `layers` linear layers. */
typedef struct workload {
    const char *name;
    int layers, width[WORKLOAD_LAYERS + 1], batch;
    activation hidden;
    objective objective;
} workload;

extern const char *const activation_names[], *const objective_names[];

/* Floating-point operations of the matrix products of one step. */
double workload_flops(const workload *w);
/* Data that every contestant could be given: n values in [0, 1), and labels below `classes`. */
void workload_values(float *out, int64_t n);
void workload_labels(int64_t *out, int64_t n, int classes);

/* Whether a loss is a number: asked here, for the rivals are compiled as if all were. */
int workload_finite(float loss);

/* Somebody who performs the steps of a workload. `run` returns the seconds that `steps` steps took, below 0 on
   failure. */
typedef struct contestant {
    const char *name;
    double (*run)(void *state, int64_t steps);
    void (*finish)(void *state);
    void *state;
} contestant;

/* Each fills in a contestant, or returns why there is none: a text that lives on. */
const char *retrograde_start(const workload *w, int threads, contestant *out);
const char *onednn_start(const workload *w, int threads, contestant *out);
/* `directory` holds torch.sh; mode is "eager" or "script". One process serves all workloads of a thread count. */
const char *torch_start(const workload *w, int threads, const char *directory, const char *mode, contestant *out);
void torch_stop(void);

/* Fused multiply-adds at the rate of the widest vectors; every thread does peak_flops operations a step. */
double peak_run(void *threads, int64_t steps);
double peak_flops(void);

/* Seconds of a steady clock. */
double seconds_now(void);

#endif
