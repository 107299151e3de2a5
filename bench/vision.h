/* vision.h - the rows of cases_vision.c and cases_inference.c: networks of convolutions. */
#ifndef BENCH_VISION_H
#define BENCH_VISION_H

#include "bench.h"

typedef enum network { LENET, MNISTCNN, ALEXNET, RESNET18 } network;

typedef struct vision_row {
    const char *name;
    network network;
    int batch;
} vision_row;

extern const char *const vision_names[]; /* as PyTorch's script knows them */

/* A step of training (forward, loss, backward, SGD) or the logits. */
const char *vision_start(const vision_row *row, int threads, int training, contestant *out);
/* `words` behind the network and the batch: how PyTorch is to do it. */
const char *vision_torch(const vision_row *row, int threads, int training, const char *layout, contestant *out);
/* As the plan estimates them: multiply-adds count two; the input needs no gradient. */
double vision_flops(const vision_row *row, int training);

#endif
