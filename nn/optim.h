/* optim.h - what all optimisers share: parameters, gradients, rate, state, and the effects of a step.

   An optimiser is written as: begin, then for each parameter a few nodes and rgi_optim_set, then finish. */
#ifndef RGI_NN_OPTIM_H
#define RGI_NN_OPTIM_H

#include <retrograde/base.h>

/* The fields that the option structs have in common. */
typedef struct rgi_optim_opts {
    double lr;
    rg_node *lr_node;
    double weight_decay;
    rg_nodes params, grads;
    double clip_norm, clip_value;
    int64_t accumulate;
} rgi_optim_opts;

/* These, of the option struct `s` of any optimiser. */
#define RGI_OPTIM_OPTS(s)                                                                                          \
    {                                                                                                              \
        .lr = (s).lr, .lr_node = (s).lr_node, .weight_decay = (s).weight_decay, .params = (s).params,              \
        .grads = (s).grads, .clip_norm = (s).clip_norm, .clip_value = (s).clip_value, .accumulate = (s).accumulate \
    }

typedef struct rgi_optim {
    const char *name; /* "rg_sgd", for errors */
    rg_graph *graph;
    rgi_optim_opts opts;
    rg_nodes params;
    rg_nodes grads;    /* averaged over the accumulated runs, then clipped */
    rg_node *due;      /* whether this run updates; NULL: every run does */
    rg_node **effects; /* of a step */
    size_t n, capacity;
    bool scoped; /* the scope of the state is pushed */
    bool broken; /* an effect could not be made */
} rgi_optim;

/* Checks the options and prepares all up to the gradients. False: failed, error recorded; finish all the same. */
bool rgi_optim_begin(rgi_optim *o, const char *name, rg_node *loss, const rgi_optim_opts *opts);
/* The gradient of parameter i, with the weight decay that is added to it: g + wd p. */
rg_node *rgi_optim_gradient(const rgi_optim *o, size_t i);
/* A buffer `optim.<params' name>.<what>` of the type of parameter i, zero at first. */
rg_node *rgi_optim_state(rgi_optim *o, size_t i, const char *what);
/* The number of the present update as an f64 scalar: 1, 2, ... Its count is the buffer `optim.step`. Called once. */
rg_node *rgi_optim_count(rgi_optim *o);
/* The learning rate as a scalar of a float dtype. */
rg_node *rgi_optim_rate(rgi_optim *o, rg_dtype dtype);
/* A number of the options that must be in [0, 1), one that must be from 0 up: 0 means the default, RG_OFF means 0. */
bool rgi_optim_share(const rgi_optim *o, const char *field, double given, double otherwise, double *out);
bool rgi_optim_amount(const rgi_optim *o, const char *field, double given, double otherwise, double *out);
/* `target` becomes `value` in the runs that update. */
void rgi_optim_set(rgi_optim *o, rg_node *target, rg_node *value);
/* p becomes p - lr d in the runs that update. */
void rgi_optim_descend(rgi_optim *o, rg_node *p, rg_node *d);
/* The node whose fetching performs the step; NULL if not `ok` or something failed. Frees what is held outside of the
   graph. */
rg_node *rgi_optim_finish(rgi_optim *o, bool ok);

#endif
