/* onednn_perceptron.c - training steps written by hand on the matrix product of oneDNN: what a framework without any
   overhead would reach with these kernels. */
#include "../perceptron.h"

#include <dnnl.h>

#include <math.h>
#include <omp.h>
#include <stdlib.h>

#define RATE 0.01f
#define PARALLEL 4096 /* elements from which a loop is shared between the threads */

struct net {
    const perceptron *w;
    int threads;
    float *weight[PERCEPTRON_LAYERS];    /* [in, out] */
    float *bias[PERCEPTRON_LAYERS];      /* [out] */
    float *gradient;                     /* of the weight of one layer */
    float *value[PERCEPTRON_LAYERS + 1]; /* [batch, width]; 0: the input */
    float *cotangent[PERCEPTRON_LAYERS + 1];
    float *target;
    int64_t *label;
};

static void finish(void *state)
{
    struct net *n = state;
    for (int i = 0; i <= PERCEPTRON_LAYERS; i++) {
        free(n->value[i]);
        free(n->cotangent[i]);
        if (i < PERCEPTRON_LAYERS) {
            free(n->weight[i]);
            free(n->bias[i]);
        }
    }
    free(n->gradient);
    free(n->target);
    free(n->label);
    free(n);
}

static float activate(float x, activation a)
{
    return a == RELU ? (x > 0 ? x : 0) : a == TANH ? tanhf(x) : 1 / (1 + expf(-x));
}

/* The derivative, from the value. */
static float slope(float y, activation a)
{
    return a == RELU ? (float)(y > 0) : a == TANH ? 1 - y * y : y * (1 - y);
}

/* Rows [batch, width]: bias and activation, in place. */
static void forward_rows(float *y, const float *bias, int batch, int width, activation a)
{
#pragma omp parallel for schedule(static) if ((long)batch * width > PARALLEL)
    for (int r = 0; r < batch; r++) {
        float *row = y + (size_t)r * (size_t)width;
        switch (a) { /* a loop each, so that each is vectorised */
        case RELU:
            for (int j = 0; j < width; j++)
                row[j] = activate(row[j] + bias[j], RELU);
            break;
        case TANH:
            for (int j = 0; j < width; j++)
                row[j] = activate(row[j] + bias[j], TANH);
            break;
        case SIGMOID:
            for (int j = 0; j < width; j++)
                row[j] = activate(row[j] + bias[j], SIGMOID);
            break;
        }
    }
}

/* Logits and labels to the loss and its cotangent. */
static float cross_entropy(const float *logits, const float *bias, const int64_t *label, float *d, int batch, int width)
{
    float loss = 0;
    for (int r = 0; r < batch; r++) {
        const float *row = logits + (size_t)r * (size_t)width;
        float *dr = d + (size_t)r * (size_t)width, largest = -INFINITY, sum = 0;
        for (int j = 0; j < width; j++)
            largest = fmaxf(largest, row[j] + bias[j]);
        for (int j = 0; j < width; j++)
            sum += dr[j] = expf(row[j] + bias[j] - largest);
        loss += logf(sum) + largest - row[label[r]] - bias[label[r]];
        for (int j = 0; j < width; j++)
            dr[j] /= sum * (float)batch;
        dr[label[r]] -= 1 / (float)batch;
    }
    return loss / (float)batch;
}

/* Squared error of a sigmoid output and the cotangent before the sigmoid. */
static float squared_error(const float *y, const float *target, float *d, long n)
{
    float loss = 0;
    const float scale = 2 / (float)n;
#pragma omp parallel for simd schedule(static) reduction(+ : loss) if (n > PARALLEL)
    for (long i = 0; i < n; i++) {
        const float e = y[i] - target[i];
        loss += e * e;
        d[i] = scale * e * y[i] * (1 - y[i]);
    }
    return loss / (float)n;
}

static void update(float *weight, const float *gradient, long n)
{
#pragma omp parallel for simd schedule(static) if (n > PARALLEL)
    for (long i = 0; i < n; i++)
        weight[i] -= RATE * gradient[i];
}

static void update_bias(float *bias, const float *d, int batch, int width)
{
    for (int r = 0; r < batch; r++)
        for (int j = 0; j < width; j++)
            bias[j] -= RATE * d[(size_t)r * (size_t)width + (size_t)j];
}

static void through_activation(float *d, const float *y, activation a, long n)
{
#pragma omp parallel for simd schedule(static) if (n > PARALLEL)
    for (long i = 0; i < n; i++)
        d[i] *= slope(y[i], a);
}

static float step(struct net *n)
{
    const perceptron *w = n->w;
    const int last = w->layers - 1, batch = w->batch;
    float loss = 0;
    for (int i = 0; i <= last; i++) {
        const int in = w->width[i], out = w->width[i + 1];
        dnnl_sgemm('N', 'N', batch, out, in, 1, n->value[i], in, n->weight[i], out, 0, n->value[i + 1], out);
        if (i < last)
            forward_rows(n->value[i + 1], n->bias[i], batch, out, w->hidden);
        else if (w->objective == CROSS_ENTROPY)
            loss = cross_entropy(n->value[i + 1], n->bias[i], n->label, n->cotangent[i + 1], batch, out);
        else {
            forward_rows(n->value[i + 1], n->bias[i], batch, out, SIGMOID);
            loss = squared_error(n->value[i + 1], w->objective == RECONSTRUCTION ? n->value[0] : n->target,
                                 n->cotangent[i + 1], (long)batch * out);
        }
    }
    for (int i = last; i >= 0; i--) {
        const int in = w->width[i], out = w->width[i + 1];
        const float *d = n->cotangent[i + 1];
        dnnl_sgemm('T', 'N', in, out, batch, 1, n->value[i], in, d, out, 0, n->gradient, out);
        if (i > 0) {
            dnnl_sgemm('N', 'T', batch, in, out, 1, d, out, n->weight[i], out, 0, n->cotangent[i], in);
            through_activation(n->cotangent[i], n->value[i], w->hidden, (long)batch * in);
        }
        update(n->weight[i], n->gradient, (long)in * out);
        update_bias(n->bias[i], d, batch, out);
    }
    return loss;
}

static double run(void *state, int64_t steps)
{
    struct net *n = state;
    float loss = 0;
    omp_set_num_threads(n->threads);
    const double start = seconds_now();
    for (int64_t i = 0; i < steps; i++)
        loss = step(n);
    const double seconds = seconds_now() - start;
    return perceptron_finite(loss) ? seconds : -1;
}

const char *perceptron_onednn(const void *row, int threads, contestant *out)
{
    const perceptron *w = row;
    struct net *n = calloc(1, sizeof *n);
    if (!n)
        return "oneDNN: out of memory";
    n->w = w;
    n->threads = threads;
    int64_t largest = 0;
    int complete = 1;
    for (int i = 0; i <= w->layers; i++) {
        complete = complete && (n->value[i] = bench_floats((int64_t)w->batch * w->width[i], 0, 1)) &&
                   (n->cotangent[i] = bench_floats((int64_t)w->batch * w->width[i], 0, 0));
        if (i == w->layers)
            break;
        const int64_t count = (int64_t)w->width[i] * w->width[i + 1];
        const float bound = 1 / sqrtf((float)w->width[i]);
        complete = complete && (n->weight[i] = bench_floats(count, -bound, bound)) &&
                   (n->bias[i] = bench_floats(w->width[i + 1], -bound, bound));
        largest = count > largest ? count : largest;
    }
    n->gradient = bench_floats(largest, 0, 0);
    n->target = bench_floats((int64_t)w->batch * w->width[w->layers], 0, 1);
    n->label = bench_labels(w->batch, w->width[w->layers]);
    if (!complete || !n->gradient || !n->target || !n->label) {
        finish(n);
        return "oneDNN: out of memory";
    }
    *out = (contestant){.run = run, .finish = finish, .state = n};
    return NULL;
}
