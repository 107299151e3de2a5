/* loss.h - losses, as PyTorch defines them. f32, f64. Default reduction: mean.

   NULL options, or zero fields, mean the defaults. All return NULL with the graph's error set when shapes, dtypes or
   options do not fit. */
#ifndef RETROGRADE_OPS_LOSS_H
#define RETROGRADE_OPS_LOSS_H

#include <retrograde/base.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The mean is over all elements (of no elements: NaN), the sum likewise; none: a loss per element, or per row for the
   losses over classes. */
typedef enum rg_reduction { RG_MEAN = 1, RG_SUM, RG_NONE } rg_reduction;

/* ---- losses element by element ----

   The target broadcasts to the shape of y; a target that is larger than y is an error. Both have derivatives; g is 1
   for the sum, 1/n for the mean over n elements. */

typedef struct rg_loss_opts {
    rg_reduction reduction; /* 0: mean */
    bool half;              /* mse: 1/2 in front, the convention 1/(2N) sum (y - t)^2 */
    double delta;           /* huber: where the square goes over into a line; default 1, must be positive */
    rg_node *weight;        /* factor of each element before the reduction, broadcast to y's shape; NULL: 1 */
} rg_loss_opts;

/* (y - t)^2; dy = 2 g (y - t), dt = -dy. */
RG_API rg_node *rg_mse_loss(rg_node *y, rg_node *target, const rg_loss_opts *opts);
/* |y - t|; dy = g sign(y - t), dt = -dy. */
RG_API rg_node *rg_l1_loss(rg_node *y, rg_node *target, const rg_loss_opts *opts);
/* With d = y - t: d^2/2 where |d| <= delta, else delta (|d| - delta/2) (Huber 1964); dy = g clamp(d, -delta, delta),
   dt = -dy. With delta 1 also called smooth l1. */
RG_API rg_node *rg_huber_loss(rg_node *y, rg_node *target, const rg_loss_opts *opts);
/* The Huber loss divided by delta: d^2/(2 delta), else |d| - delta/2 (PyTorch's beta is delta). */
RG_API rg_node *rg_smooth_l1_loss(rg_node *y, rg_node *target, const rg_loss_opts *opts);
/* Binary cross entropy of a probability: -(t log p + (1 - t) log(1 - p)), both logs cut at -100;
   dp = g (p - t) / max(p (1 - p), 1e-12), dt = g (log(1 - p) - log p). p must lie in [0, 1], else NaN. */
RG_API rg_node *rg_bce_loss(rg_node *p, rg_node *target, const rg_loss_opts *opts);
/* The same with p = sigmoid(x), without overflow or loss of digits: max(x, 0) - x t + log(1 + exp(-|x|));
   dx = g (sigmoid(x) - t), dt = -g x. */
RG_API rg_node *rg_bce_with_logits(rg_node *x, rg_node *target, const rg_loss_opts *opts);
/* t (log t - log_p), 0 where t = 0; dlog_p = -g t, dt = g (log t + 1 - log_p), 0 where t = 0. The mean is over
   elements; for the divergence take the sum, or divide it by the batch. */
RG_API rg_node *rg_kl_div(rg_node *log_p, rg_node *target, const rg_loss_opts *opts);
/* max(0, 1 - y t) for t = -1 or 1; dy = -g t where y t < 1. */
RG_API rg_node *rg_hinge_loss(rg_node *y, rg_node *target, const rg_loss_opts *opts);

/* Of pairs of rows a, b [.., n] with target 1 or -1 [..]: 1 - cos(a, b) where the target is 1, max(0, cos(a, b) -
   margin) elsewhere, cos as rg_cosine_similarity along the last axis with eps 1e-8. No derivative flows through the
   target. */
RG_API rg_node *rg_cosine_embedding_loss(rg_node *a, rg_node *b, rg_node *target, double margin,
                                         const rg_loss_opts *opts);

/* ---- losses over classes ---- */

typedef struct rg_cross_entropy_opts {
    rg_reduction reduction; /* 0: mean, over the rows that are not ignored, by weight where there are weights */
    double label_smoothing; /* e in [0, 1): the target is (1 - e) of the label and e/classes of each class */
    bool has_ignore;        /* rows with label ignore_index count nothing; only with integer labels */
    int64_t ignore_index;
    rg_node *weight; /* [classes], of the logits' dtype; NULL: 1. No derivative flows through it. */
} rg_cross_entropy_opts;

/* Cross entropy of softmax(logits): logits [.., classes]; labels u8, i32 or i64 [..], or probabilities of the type and
   shape of the logits. With the target q, a row of weights w: -sum_c w_c q_c log softmax(logits)_c, where q is 1 at the
   label, smoothed if asked for. Reduction none: [..]. Mean: the sum over the weights of the labels of all rows that are
   not ignored (of none: NaN); over the rows where the labels are probabilities.
   d logits = g (Q softmax(logits) - w q) with Q = sum_c w_c q_c; d probabilities = -g w log softmax(logits).
   A label outside [0, classes) that is not ignored is an error of rg_run, which names label and row. */
RG_API rg_node *rg_cross_entropy(rg_node *logits, rg_node *labels, const rg_cross_entropy_opts *opts);
/* The same from log-probabilities instead of logits; dlog_p = -g w q. */
RG_API rg_node *rg_nll_loss(rg_node *log_p, rg_node *labels, const rg_cross_entropy_opts *opts);

#ifdef __cplusplus
}
#endif

#endif
