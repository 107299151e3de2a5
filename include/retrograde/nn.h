/* nn.h - layers that make their own parameters, metrics, optimisers, schedules: compositions of public operators.

   All of it is used by the thread that builds the graph. A function that fails returns NULL (an empty list) with the
   graph's error set; options are copied, NULL or zero fields mean the default. Definitions follow PyTorch. */
#ifndef RETROGRADE_NN_H
#define RETROGRADE_NN_H

#include <retrograde/base.h>
#include <retrograde/graph.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- layers ---- */

typedef struct rg_linear_opts {
    bool no_bias;
    rg_param_opts weight, bias; /* default: PyTorch's, uniform within 1/sqrt(in) both */
} rg_linear_opts;

/* x [..., in] -> [..., out], parameters `name.weight` [out, in] and `name.bias` [out], of x's dtype (f32, f64):
   x W^T + b. Errors: a scalar x, an `in` that is a named size, a name that is taken. */
RG_API rg_node *rg_nn_linear(rg_node *x, const char *name, int64_t out, const rg_linear_opts *opts);
/* While training each element is zeroed with probability p and the others are divided by 1 - p; in evaluation x, to
   the last bit. dx = g times the same factors. Errors: p outside [0, 1], an x that is no float. */
RG_API rg_node *rg_nn_dropout(rg_node *x, double p);
/* Share of rows whose largest logit is at the label: logits [..., classes], labels u8, i32 or i64 [...]; an f32
   scalar. The first of equal logits counts. Zero gradient. */
RG_API rg_node *rg_nn_accuracy(rg_node *logits, rg_node *labels);

/* ---- optimisers: a node whose fetching performs the update ---- */

/* Fields common to all: `params` (default: all trainable ones the loss depends on), `grads` (default: rg_grad of the
   loss; else one per param, with params given too), `lr` or `lr_node` (a float scalar), `weight_decay`, `clip_norm`
   (global norm, 0: off), `clip_value` (each element, before the norm; 0: off). State lives in buffers
   `optim.<params' name>.<what>`; the step count in `optim.step`, under the present scope; a second optimiser in the
   same scope gets `optim2`, and so on. A step also performs the effects attached to what the loss, the rate and the
   gradients depend on. A loss fetched in the same run is that before the update.
   Errors: lr = 0 without lr_node, both of them, a negative or infinite option, a loss that depends on no trainable
   parameter, grads whose number, dtypes or shapes are not those of the params. */
typedef struct rg_sgd_opts {
    double lr, momentum;
    bool nesterov;
    double weight_decay;
    rg_node *lr_node;
    rg_nodes params, grads;
    double clip_norm, clip_value;
    int64_t accumulate; /* average the gradients of this many runs before each update; 0 or 1: every run */
} rg_sgd_opts;
/* d = g + weight_decay p; b' = momentum b + d; p' = p - lr b' (nesterov: p - lr (d + momentum b')). b is the buffer
   `momentum_buffer`, made where there is a momentum. */
RG_API rg_node *rg_sgd(rg_node *loss, const rg_sgd_opts *opts);

typedef struct rg_adam_opts {
    double lr, beta1, beta2, eps; /* defaults 0.9, 0.999, 1e-8; RG_OFF for a beta or eps of 0 */
    double weight_decay;          /* RG_OFF for none in rg_adamw */
    rg_node *lr_node;
    rg_nodes params, grads;
    double clip_norm, clip_value;
    int64_t accumulate;
} rg_adam_opts;
/* m' = beta1 m + (1 - beta1) g; v' = beta2 v + (1 - beta2) g^2;
   p' = p - lr / (1 - beta1^t) m' / (sqrt(v' / (1 - beta2^t)) + eps).
   m and v are the buffers `exp_avg` and `exp_avg_sq`. */
RG_API rg_node *rg_adam(rg_node *loss,
                        const rg_adam_opts *opts); /* Kingma and Ba 2015; weight decay added to the gradient */
RG_API rg_node *rg_adamw(rg_node *loss,
                         const rg_adam_opts *opts); /* Loshchilov and Hutter 2019: decoupled, default 0.01 */

/* Gradients scaled so that their global norm is at most `norm`:
   each times min(1, norm / (sqrt(sum of squares) + 1e-6)). All of one float dtype. */
RG_API rg_nodes rg_clip_by_global_norm(rg_nodes grads, double norm);

/* ---- learning-rate schedules: f32 scalars of a step counter ---- */

/* A counter of runs with effects: an i64 buffer `name`, raised by one in every run of a plan that fetches an optimiser
   whose lr_node depends on it. The first run sees 0. */
RG_API rg_node *rg_step_counter(rg_graph *g, const char *name);
/* In what follows n is the counter's value: a run, an epoch, whatever is counted. Any i32 or i64 scalar serves. */
RG_API rg_node *rg_schedule_step(rg_node *counter, double lr, int64_t every,
                                 double factor);                                     /* lr factor^floor(n / every) */
RG_API rg_node *rg_schedule_exponential(rg_node *counter, double lr, double factor); /* lr factor^n */
/* lr_end + (lr - lr_end) (1 + cos(pi n / steps)) / 2, from n = steps on lr_end. */
RG_API rg_node *rg_schedule_cosine(rg_node *counter, double lr, double lr_end, int64_t steps);
/* lr (n + 1) / steps for n < steps, then `after`: NULL (lr) or a schedule, which counts from the same zero. */
RG_API rg_node *rg_schedule_warmup(rg_node *counter, double lr, int64_t steps, rg_node *after);
/* Smith 2018, PyTorch's defaults: from lr_max / 25 up to lr_max at n = 0.3 steps - 1, down to lr_max / 250000 at
   n = steps - 1 and from there on, both in half a cosine wave. */
RG_API rg_node *rg_schedule_one_cycle(rg_node *counter, double lr_max, int64_t steps);

#ifdef __cplusplus
}
#endif

#endif
