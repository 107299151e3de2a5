/* nn.h - layers that make their own parameters, metrics, optimisers, schedules: compositions of public operators.

   All of it is used by the thread that builds the graph. A function that fails returns NULL (an empty list) with the
   graph's error set; options are copied, NULL or zero fields mean the default. Definitions follow PyTorch. */
#ifndef RETROGRADE_NN_H
#define RETROGRADE_NN_H

#include <retrograde/base.h>
#include <retrograde/graph.h>
#include <retrograde/ops/conv.h>

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
/* Convolution of x [N, C, in..] with parameters `name.weight` [out, C / groups, kernel..], or [C, out / groups,
   kernel..] of a transposed one, and `name.bias` [out] (not with no_bias), of x's dtype (f32, f64), PyTorch's names and
   initial values: uniform within 1/sqrt(n) both, n = weight.dim[1] times the kernel's elements. opts.kernel is
   required; the sizes of the result, the gradients and further errors are those of rg_conv2d and rg_conv_transpose2d
   (ops/conv.h). Errors: no kernel size, channels or outputs that groups do not divide, a name that is taken. */
RG_API rg_node *rg_nn_conv1d(rg_node *x, const char *name, int64_t out, const rg_conv1d_opts *opts);
RG_API rg_node *rg_nn_conv2d(rg_node *x, const char *name, int64_t out, const rg_conv_opts *opts);
RG_API rg_node *rg_nn_conv3d(rg_node *x, const char *name, int64_t out, const rg_conv3d_opts *opts);
RG_API rg_node *rg_nn_conv_transpose1d(rg_node *x, const char *name, int64_t out, const rg_conv1d_opts *opts);
RG_API rg_node *rg_nn_conv_transpose2d(rg_node *x, const char *name, int64_t out, const rg_conv_opts *opts);
RG_API rg_node *rg_nn_conv_transpose3d(rg_node *x, const char *name, int64_t out, const rg_conv3d_opts *opts);
/* While training each element is zeroed with probability p and the others are divided by 1 - p; in evaluation x, to
   the last bit. dx = g times the same factors. Errors: p outside [0, 1], an x that is no float. */
RG_API rg_node *rg_nn_dropout(rg_node *x, double p);
/* The same for whole channels: x [N, C, ...], each of the N C planes is dropped or kept as one (Tompson et al. 2015;
   PyTorch's Dropout1d, 2d and 3d). Errors: too few axes. */
RG_API rg_node *rg_nn_dropout2d(rg_node *x, double p);
/* Share of rows whose largest logit is at the label: logits [..., classes], labels u8, i32 or i64 [...]; an f32
   scalar. The first of equal logits counts. Zero gradient. */
RG_API rg_node *rg_nn_accuracy(rg_node *logits, rg_node *labels);

/* ---- normalising layers (formulas and gradients: ops/norm.h) ----

   Parameters of x's dtype (f32, f64), with PyTorch's names and initial values: `name.weight` ones, `name.bias` zeros.
   eps: 0 stands for the default of 1e-5, RG_OFF for 0. Errors: too few axes, a size of a parameter that is named, a
   name that is taken. */

typedef struct rg_batch_norm_opts {
    double eps, momentum; /* default 0.1, RG_OFF: 0 */
    bool no_affine, no_statistics;
    bool cumulative; /* the statistics are the plain average of all batches: PyTorch's momentum=None */
} rg_batch_norm_opts;
/* x [N, C, ...]: nn.BatchNorm1d, 2d and 3d. While training each channel is normalised by its mean and variance over the
   batch, in evaluation by the buffers `name.running_mean` and `name.running_var` [C]; both are in one graph, the plan's
   mode chooses. A training step (of any optimiser: the effects are attached to the result) also performs
       running_mean += momentum (mean - running_mean),  running_var += momentum (n / (n - 1) var - running_var)
   and raises `name.num_batches_tracked` (i64, a scalar). A batch without elements changes nothing; with one element a
   channel var counts as 0. A layer that is used again (rg_scope_reuse) updates its statistics in turn. no_statistics:
   no buffers, and the batch's own moments in evaluation too. Errors: a momentum outside [0, 1]. */
RG_API rg_node *rg_nn_batch_norm(rg_node *x, const char *name, const rg_batch_norm_opts *opts);

typedef struct rg_layer_norm_opts {
    double eps;
    int axes; /* how many of the last axes are normalised together, default 1; the parameters have their sizes */
    bool no_affine, no_bias;
} rg_layer_norm_opts;
RG_API rg_node *rg_nn_layer_norm(rg_node *x, const char *name, const rg_layer_norm_opts *opts);
/* nn.RMSNorm: no bias; the default of eps is the distance from 1 to the next number of the dtype. */
RG_API rg_node *rg_nn_rms_norm(rg_node *x, const char *name, const rg_layer_norm_opts *opts);

typedef struct rg_group_norm_opts {
    double eps;
    bool no_affine;
} rg_group_norm_opts;
/* x [N, C, ...], C a multiple of `groups`; parameters [C]. */
RG_API rg_node *rg_nn_group_norm(rg_node *x, const char *name, int64_t groups, const rg_group_norm_opts *opts);

typedef struct rg_instance_norm_opts {
    double eps;
    bool affine; /* with parameters [C]; nn.InstanceNorm has none by default */
} rg_instance_norm_opts;
/* x [N, C, ...] of three axes at least. */
RG_API rg_node *rg_nn_instance_norm(rg_node *x, const char *name, const rg_instance_norm_opts *opts);

/* ---- explanation of a decision: how much each element of an input counts for a score ---- */

/* All return a node of x's shape. A score of many elements is summed: with one row an example, and rows that do not
   mix, these are the explanations of all examples. `model` writes the score of any x; it is called once. */
typedef rg_node *(*rg_model)(void *user, rg_node *x);
RG_API rg_node *rg_nn_saliency(rg_node *score, rg_node *x);         /* |dscore/dx|: Simonyan et al. 2013 */
RG_API rg_node *rg_nn_gradient_x_input(rg_node *score, rg_node *x); /* x dscore/dx */
/* (x - baseline) times the mean gradient on the straight way from the baseline (NULL: zeros) to x, at the middles of
   `steps` equal parts (0: 50): Sundararajan et al. 2017. The elements sum to score(x) - score(baseline), up to O(1 /
   steps^2). */
RG_API rg_node *rg_nn_integrated_gradients(rg_model model, void *user, rg_node *x, rg_node *baseline, int64_t steps);
/* The mean gradient at `samples` (0: 50) points x + sigma e, e normal, drawn as rg_normal draws: Smilkov et al.
   2017. */
RG_API rg_node *rg_nn_smooth_grad(rg_model model, void *user, rg_node *x, double sigma, int64_t samples);

/* ---- recurrent layers ---- */

typedef struct rg_rnn_opts {
    int layers; /* default 1; each further layer reads the outputs of the one below */
    bool bidirectional, no_bias;
    bool relu;           /* rg_nn_rnn: max(., 0) instead of tanh */
    double dropout;      /* on the outputs of each layer but the last, while training */
    int64_t projection;  /* cells with a memory c: h' = R (o tanh(c')) of this width, below hidden; 0: none */
    rg_node *lengths;    /* i32 or i64 [B], steps of each sequence, in [0, T]; NULL: T each */
    rg_node *initial[2]; /* h [layers * directions, B, hidden or projection], c [.., B, hidden]; NULL: zeros */
    int64_t keep_every;  /* what the reverse pass may keep: see rg_scan_opts */
    size_t keep_bytes;   /* of each layer and direction */
    rg_node **last;      /* receives the states after the last step, shapes as `initial`, one node a state */
} rg_rnn_opts;

/* xs [T, B, in] -> [T, B, hidden * directions] (projection * directions where there is one), of xs's dtype (f32, f64).
   Each is a scan over a body of public operators; gradients reach xs, the parameters and the initial states.
   Parameters as PyTorch names them, `k` the layer, with the suffix `_reverse` for the second direction, all uniform
   within 1/sqrt(hidden): `name.weight_ih_lk` W [gates hidden, in], `weight_hh_lk` U [gates hidden, hidden],
   `bias_ih_lk` b and `bias_hh_lk` b2 [gates hidden]: state dicts of nn.RNN, nn.LSTM and nn.GRU load. `directions`
   counts layer 0 forward, layer 0 reverse, layer 1 forward, ... s is the sigmoid; both biases are meant by "+ b".
   With `lengths` the result is 0 in the steps beyond a sequence's end, whatever xs holds there, its last states are
   those after its last step, and the reverse direction begins there: PyTorch's packed sequences, in any order of
   lengths. Errors: xs not [time, batch, features], a width or layer count below 1, states of another shape, a
   projection in a cell without one or not below hidden, a dropout outside [0, 1], a name that is taken. */
RG_API rg_node *rg_nn_rnn(rg_node *xs, const char *name, int64_t hidden,
                          const rg_rnn_opts *opts); /* Elman 1990: h' = tanh(W x + U h + b) */
/* i, f, o = s(W x + U h + b), g = tanh(W x + U h + b), c' = f c + i g, h' = o tanh(c'). Gates in the order i, f, g, o.
   States h and c. `weight_hr_lk` [projection, hidden] is R. */
RG_API rg_node *rg_nn_lstm(rg_node *xs, const char *name, int64_t hidden, const rg_rnn_opts *opts);
/* Gers and Schmidhuber 2000: i and f also see p c, o sees p c'. `weight_ch_lk` [3 hidden] is p, in the order i, f,
   o. */
RG_API rg_node *rg_nn_lstm_peephole(rg_node *xs, const char *name, int64_t hidden, const rg_rnn_opts *opts);
/* Coupled input and forget gates (Greff 2017): the LSTM with i = 1 - f. Gates in the order f, g, o. */
RG_API rg_node *rg_nn_cifg(rg_node *xs, const char *name, int64_t hidden, const rg_rnn_opts *opts);
/* One state, which the gates read: h' = f h + i g; the output is o h', not the state. Gates i, f, g, o. */
RG_API rg_node *rg_nn_lstm_lean(rg_node *xs, const char *name, int64_t hidden, const rg_rnn_opts *opts);
/* PyTorch's and cuDNN's, reset after the product: r, z = s(W x + U h + b), n = tanh(W x + b + r (U h + b2)),
   h' = z h + (1 - z) n. Gates in the order r, z, n. */
RG_API rg_node *rg_nn_gru(rg_node *xs, const char *name, int64_t hidden, const rg_rnn_opts *opts);
/* Cho 2014, reset before the product: n = tanh(W x + U (r h) + b), h' = z h + (1 - z) n. Gates r, z, n. */
RG_API rg_node *rg_nn_gru_cho(rg_node *xs, const char *name, int64_t hidden, const rg_rnn_opts *opts);
/* z, r = s(W x + U h + b), m = (1 - r) x + r h, n = tanh(Wn m + bn), h' = (1 - z) h + z n (the other direction of z
   than Cho's); the output is s(Wy m + by) h', not the state. Gates z, r; Wn above Wy is `weight_mix_lk`
   [2 hidden, hidden], bn and by `bias_mix_lk`. The input of each layer must be as wide as the state. */
RG_API rg_node *rg_nn_gru_mixing(rg_node *xs, const char *name, int64_t hidden, const rg_rnn_opts *opts);
/* Zhou 2016, minimal: f = s(W x + U h + b), n = tanh(W x + U (f h) + b), h' = (1 - f) h + f n. Gates f, n. */
RG_API rg_node *rg_nn_mgu(rg_node *xs, const char *name, int64_t hidden, const rg_rnn_opts *opts);

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

typedef struct rg_rmsprop_opts {
    double lr, alpha, eps; /* alpha 0.99, eps 1e-8; RG_OFF for 0 */
    double momentum;
    bool centered;
    double weight_decay;
    rg_node *lr_node;
    rg_nodes params, grads;
    double clip_norm, clip_value;
    int64_t accumulate;
} rg_rmsprop_opts;
/* Hinton 2012; centred: Graves 2013. d = g + weight_decay p; v' = alpha v + (1 - alpha) d^2; centred: m' likewise of d,
   and v' - m'^2 for v'; r = d / (sqrt(v') + eps); b' = momentum b + r; p' = p - lr b'. Buffers `square_avg`, `grad_avg`
   (centred) and `momentum_buffer` (where there is a momentum). */
RG_API rg_node *rg_rmsprop(rg_node *loss, const rg_rmsprop_opts *opts);

typedef struct rg_adagrad_opts {
    double lr, lr_decay, eps; /* eps 1e-10; RG_OFF for 0 */
    double initial;           /* of the sums of squares */
    double weight_decay;
    rg_node *lr_node;
    rg_nodes params, grads;
    double clip_norm, clip_value;
    int64_t accumulate;
} rg_adagrad_opts;
/* Duchi, Hazan and Singer 2011. d = g + weight_decay p; s' = s + d^2; p' = p - lr / (1 + (t - 1) lr_decay) d /
   (sqrt(initial + s') + eps). s is the buffer `sum`. */
RG_API rg_node *rg_adagrad(rg_node *loss, const rg_adagrad_opts *opts);

typedef struct rg_adadelta_opts {
    double lr, rho, eps; /* 1, 0.9, 1e-6; RG_OFF for a rho or eps of 0 */
    double weight_decay;
    rg_node *lr_node;
    rg_nodes params, grads;
    double clip_norm, clip_value;
    int64_t accumulate;
} rg_adadelta_opts;
/* Zeiler 2012. d = g + weight_decay p; v' = rho v + (1 - rho) d^2; u = sqrt(a + eps) / sqrt(v' + eps) d;
   a' = rho a + (1 - rho) u^2; p' = p - lr u. v and a are the buffers `square_avg` and `acc_delta`. */
RG_API rg_node *rg_adadelta(rg_node *loss, const rg_adadelta_opts *opts);

typedef struct rg_lion_opts {
    double lr, beta1, beta2; /* betas 0.9, 0.99; RG_OFF for 0 */
    double weight_decay;     /* decoupled */
    rg_node *lr_node;
    rg_nodes params, grads;
    double clip_norm, clip_value;
    int64_t accumulate;
} rg_lion_opts;
/* Chen et al. 2023. p' = p - lr (sign(beta1 m + (1 - beta1) g) + weight_decay p); m' = beta2 m + (1 - beta2) g. m is
   the buffer `exp_avg`. */
RG_API rg_node *rg_lion(rg_node *loss, const rg_lion_opts *opts);

/* A step that also averages weights: e' = decay e + (1 - decay) p', with p' the weights after `step`, and e those
   before its first run. `params`: an empty list means all trainable ones of the graph. e is the buffer `ema.<params'
   name>`, under the present scope. Fetch the result in place of `step`. Errors: a decay outside (0, 1), no
   parameter. */
RG_API rg_node *rg_ema(rg_node *step, double decay, rg_nodes params);
/* Exchanges all averaged weights with their averages: before an evaluation, and again after it. Not while a plan of the
   graph runs. Errors: RG_ERR_MEMORY. */
RG_API RG_CHECKED rg_status rg_ema_swap(rg_graph *g);

/* Gradients scaled so that their global norm is at most `norm`:
   each times min(1, norm / (sqrt(sum of squares) + 1e-6)). All of one float dtype. */
RG_API rg_nodes rg_clip_by_global_norm(rg_nodes grads, double norm);
/* The same for each by its own norm. */
RG_API rg_nodes rg_clip_by_norm(rg_nodes grads, double norm);
/* Each element into [-value, value]. */
RG_API rg_nodes rg_clip_by_value(rg_nodes grads, double value);

/* ---- learning-rate schedules: f32 scalars of a step counter ---- */

/* A counter of runs with effects: an i64 buffer `name`, raised by one in every run of a plan that fetches an optimiser
   whose lr_node depends on it. The first run sees 0. */
RG_API rg_node *rg_step_counter(rg_graph *g, const char *name);
/* In what follows n is the counter's value: a run, an epoch, whatever is counted. Any i32 or i64 scalar serves. */
RG_API rg_node *rg_schedule_constant(rg_node *counter, double lr); /* lr */
/* lr + (lr_end - lr) n / steps, from n = steps on lr_end. */
RG_API rg_node *rg_schedule_linear(rg_node *counter, double lr, double lr_end, int64_t steps);
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
