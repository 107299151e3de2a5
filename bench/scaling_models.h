/* scaling_models.h - the networks whose steps scaling.c takes apart: each with data and a plan. */
#ifndef SCALING_MODELS_H
#define SCALING_MODELS_H

#include <retrograde/retrograde.h>

typedef struct network {
    const char *name, *title;
    rg_shape x;
    int64_t batch;
    rg_node *(*logits)(rg_node *x);
} network;

enum { NETWORKS = 4 };
extern const network networks[NETWORKS];

typedef struct model {
    const char *name;
    rg_graph *g;
    rg_node *x, *t, *loss, *step;
    float *data;
    int64_t *labels;
} model;

/* A training step of a network, with data. False after saying why not, or if memory is short. */
bool model_new(model *m, const network *n);
void model_free(model *m);
/* Its plan for so many threads, bound; NULL after saying why not. */
rg_plan *plan_for(const model *m, int threads);

#endif
