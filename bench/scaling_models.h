/* scaling_models.h - the networks whose steps scaling.c takes apart: each with data and a plan. */
#ifndef SCALING_MODELS_H
#define SCALING_MODELS_H

#include <retrograde/retrograde.h>

typedef struct model {
    const char *name;
    rg_graph *g;
    rg_node *x, *t, *loss, *step;
    float *data;
    int64_t *labels;
} model;

/* Logits; they set m->x and m->t. */
rg_node *lenet(model *m);
rg_node *resnet18(model *m);
rg_node *stack(model *m);
rg_node *lstm(model *m);

/* A training step of a network, with data. False after saying why not, or if memory is short. */
bool model_new(model *m, const char *name, rg_node *(*network)(model *m));
void model_free(model *m);
/* Its plan for so many threads, bound; NULL after saying why not. */
rg_plan *plan_for(const model *m, int threads);

#endif
