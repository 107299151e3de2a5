/* reference_ops.h - the naive operators by family; formulas are those of the public headers. */
#ifndef RETROGRADE_TESTS_REFERENCE_OPS_H
#define RETROGRADE_TESTS_REFERENCE_OPS_H

#include "samples.h"

/* ---- one element at a time: arguments in x, attributes in c->args ---- */

double ref_add(double a, double b);
double ref_sub(double a, double b);
double ref_mul(double a, double b);
double ref_div(double a, double b);
double ref_minimum(double a, double b);
double ref_maximum(double a, double b);
double ref_equal(double a, double b);
double ref_not_equal(double a, double b);
double ref_less(double a, double b);
double ref_less_equal(double a, double b);
double ref_greater(double a, double b);
double ref_greater_equal(double a, double b);
double ref_and(double a, double b);
double ref_or(double a, double b);
double ref_xor(double a, double b);
double ref_not(double a);
double ref_isnan(double a);
double ref_isinf(double a);
double ref_isfinite(double a);
double ref_where(const sample_context *c, const double x[]);
double ref_cast(const sample_context *c, const double x[]); /* to the dtype args.i[0] */
double ref_scale(const sample_context *c, const double x[]);
double ref_add_scalar(const sample_context *c, const double x[]);
double ref_pow_scalar(const sample_context *c, const double x[]);
double ref_clamp(const sample_context *c, const double x[]);

double ref_neg(double x);
double ref_sign(double x);
double ref_square(double x);
double ref_rsqrt(double x);
double ref_reciprocal(double x);
double ref_one_minus(double x);

double ref_relu(double x);
double ref_leaky_relu(const sample_context *c, const double x[]);
double ref_elu(const sample_context *c, const double x[]);
double ref_celu(const sample_context *c, const double x[]);
double ref_selu(double x);
double ref_gelu(double x);
double ref_gelu_tanh(double x);
double ref_silu(double x);
double ref_mish(double x);
double ref_softplus(double x);
double ref_softsign(double x);
double ref_sigmoid(double x);
double ref_log_sigmoid(double x);
double ref_hard_sigmoid(double x);
double ref_hard_swish(double x);
double ref_hard_tanh(double x);
double ref_prelu(double x, double slope);

/* ---- tensors; those with cancellation give the sum of the terms' magnitudes as scale ---- */

void ref_cumsum(const sample_context *c, const ref_tensor x[], ref_tensor *y);
void ref_cumprod(const sample_context *c, const ref_tensor x[], ref_tensor *y);
void ref_linear_recurrence(const sample_context *c, const ref_tensor x[], ref_tensor *y);
void ref_argsort(const sample_context *c, const ref_tensor x[], ref_tensor *y);
void ref_sort(const sample_context *c, const ref_tensor x[], ref_tensor *y);
void ref_topk(const sample_context *c, const ref_tensor x[], ref_tensor *y);
void ref_topk_index(const sample_context *c, const ref_tensor x[], ref_tensor *y);
void ref_take_along(const sample_context *c, const ref_tensor x[], ref_tensor *y);
void ref_put_along(const sample_context *c, const ref_tensor x[], ref_tensor *y);
void ref_norm_p(const sample_context *c, const ref_tensor x[], ref_tensor *y);
void ref_cosine_similarity(const sample_context *c, const ref_tensor x[], ref_tensor *y);
void ref_fma(const sample_context *c, const ref_tensor x[], ref_tensor *y);
void ref_axpy(const sample_context *c, const ref_tensor x[], ref_tensor *y); /* args.f[0] x[0] + x[1] */
void ref_lerp(const sample_context *c, const ref_tensor x[], ref_tensor *y); /* weight args.f[0] */

/* Reductions over args.axes[0], args.flag: keepdims. */
void ref_sum(const sample_context *c, const ref_tensor x[], ref_tensor *y);
void ref_mean(const sample_context *c, const ref_tensor x[], ref_tensor *y);
void ref_prod(const sample_context *c, const ref_tensor x[], ref_tensor *y);
void ref_max(const sample_context *c, const ref_tensor x[], ref_tensor *y);
void ref_min(const sample_context *c, const ref_tensor x[], ref_tensor *y);
void ref_var(const sample_context *c, const ref_tensor x[], ref_tensor *y); /* args.i[0]: correction */
void ref_std(const sample_context *c, const ref_tensor x[], ref_tensor *y);
void ref_norm(const sample_context *c, const ref_tensor x[], ref_tensor *y);
void ref_all(const sample_context *c, const ref_tensor x[], ref_tensor *y);
void ref_any(const sample_context *c, const ref_tensor x[], ref_tensor *y);
/* Along the axis args.i[0]; logsumexp: args.flag keepdims. */
void ref_argmax(const sample_context *c, const ref_tensor x[], ref_tensor *y);
void ref_argmin(const sample_context *c, const ref_tensor x[], ref_tensor *y);
void ref_softmax(const sample_context *c, const ref_tensor x[], ref_tensor *y);
void ref_log_softmax(const sample_context *c, const ref_tensor x[], ref_tensor *y);
void ref_logsumexp(const sample_context *c, const ref_tensor x[], ref_tensor *y);
void ref_size_of(const sample_context *c, const ref_tensor x[], ref_tensor *y);
void ref_sum_like(const sample_context *c, const ref_tensor x[], ref_tensor *y);
void ref_square_norm(const sample_context *c, const ref_tensor x[], ref_tensor *y); /* of all inputs */

/* Shapes. args.shape, args.axes[0], args.i as the builders take them. */
void ref_reshape(const sample_context *c, const ref_tensor x[], ref_tensor *y); /* to args.shape, -1 inferred */
void ref_reshape_like(const sample_context *c, const ref_tensor x[], ref_tensor *y);
void ref_flatten(const sample_context *c, const ref_tensor x[], ref_tensor *y);
void ref_squeeze(const sample_context *c, const ref_tensor x[], ref_tensor *y);
void ref_unflatten(const sample_context *c, const ref_tensor x[], ref_tensor *y);
void ref_unsqueeze(const sample_context *c, const ref_tensor x[], ref_tensor *y);
void ref_transpose(const sample_context *c, const ref_tensor x[], ref_tensor *y);
void ref_broadcast_to(const sample_context *c, const ref_tensor x[], ref_tensor *y);
void ref_broadcast_like(const sample_context *c, const ref_tensor x[], ref_tensor *y);
void ref_full_like(const sample_context *c, const ref_tensor x[], ref_tensor *y);  /* args.f[0] */
void ref_slice(const sample_context *c, const ref_tensor x[], ref_tensor *y);      /* axis, start, stop, step (0: 1) */
void ref_slice_grad(const sample_context *c, const ref_tensor x[], ref_tensor *y); /* x[0] put into zeros like x[1] */
void ref_concat(const sample_context *c, const ref_tensor x[], ref_tensor *y);
void ref_concat_part(const sample_context *c, const ref_tensor x[], ref_tensor *y); /* axis i[0], part i[1] of x[0] */
void ref_stack(const sample_context *c, const ref_tensor x[], ref_tensor *y);
void ref_gather(const sample_context *c, const ref_tensor x[], ref_tensor *y);
void ref_scatter_add(const sample_context *c, const ref_tensor x[], ref_tensor *y);
void ref_one_hot(const sample_context *c, const ref_tensor x[], ref_tensor *y);
void ref_sequence_mask(const sample_context *c, const ref_tensor x[], ref_tensor *y);
void ref_arange(const sample_context *c, const ref_tensor x[], ref_tensor *y);

/* Linear algebra. */
void ref_contract(const sample_context *c, const ref_tensor x[],
                  ref_tensor *y); /* axes: a_batch, b_batch, a_contract, b_contract */
/* x[2], if there is one: what it begins from; args.flag: the last rows first. */
void ref_accumulate(const sample_context *c, const ref_tensor x[], ref_tensor *y);
void ref_matmul(const sample_context *c, const ref_tensor x[], ref_tensor *y); /* args.flag, flag2: transposed */
void ref_linear(const sample_context *c, const ref_tensor x[], ref_tensor *y);
void ref_outer(const sample_context *c, const ref_tensor x[], ref_tensor *y);
void ref_dot(const sample_context *c, const ref_tensor x[], ref_tensor *y);

/* Normalisation: f[0]: eps. */
void ref_standardise_grad(const sample_context *c, const ref_tensor x[], ref_tensor *y); /* of x[1], cotangent x[0] */
void ref_layer_norm(const sample_context *c, const ref_tensor x[], ref_tensor *y);       /* weight and bias if there */
void ref_batch_norm(const sample_context *c, const ref_tensor x[], ref_tensor *y);
void ref_batch_norm_moments(const sample_context *c, const ref_tensor x[], ref_tensor *y); /* y var + mean */
void ref_batch_norm_grad(const sample_context *c, const ref_tensor x[], ref_tensor *y);    /* dx + dweight + dbias */
void ref_group_norm(const sample_context *c, const ref_tensor x[], ref_tensor *y);         /* i[0]: groups */
void ref_instance_norm(const sample_context *c, const ref_tensor x[], ref_tensor *y);
void ref_rms_norm(const sample_context *c, const ref_tensor x[], ref_tensor *y);
void ref_local_response_norm(const sample_context *c, const ref_tensor x[],
                             ref_tensor *y); /* i[0]: size; f: alpha, beta, k */

/* Pooling: axes: window, stride, pad, dilation (empty: the defaults); flag: ceil mode, flag2: padding does not count.
   Of two inputs the second is the larger tensor, which chooses. */
void ref_conv(const sample_context *c, const ref_tensor x[], ref_tensor *y);
void ref_conv_data_grad(const sample_context *c, const ref_tensor x[], ref_tensor *y);
void ref_conv_weight_grad(const sample_context *c, const ref_tensor x[], ref_tensor *y);
void ref_max_pool(const sample_context *c, const ref_tensor x[], ref_tensor *y);
void ref_max_pool_take(const sample_context *c, const ref_tensor x[], ref_tensor *y);
void ref_max_pool_put(const sample_context *c, const ref_tensor x[], ref_tensor *y);
void ref_avg_pool(const sample_context *c, const ref_tensor x[], ref_tensor *y);
void ref_avg_pool_grad(const sample_context *c, const ref_tensor x[], ref_tensor *y);

/* Losses: args.i[0] is the rg_reduction. */
void ref_mse(const sample_context *c, const ref_tensor x[], ref_tensor *y); /* flag: half */
void ref_l1(const sample_context *c, const ref_tensor x[], ref_tensor *y);
void ref_smooth_l1(const sample_context *c, const ref_tensor x[], ref_tensor *y);
void ref_cosine_embedding(const sample_context *c, const ref_tensor x[], ref_tensor *y);
void ref_huber(const sample_context *c, const ref_tensor x[], ref_tensor *y); /* f[0]: delta, 0: 1 */
void ref_bce(const sample_context *c, const ref_tensor x[], ref_tensor *y);   /* x[2]: weight, if there */
void ref_bce_logits(const sample_context *c, const ref_tensor x[], ref_tensor *y);
void ref_kl_div(const sample_context *c, const ref_tensor x[], ref_tensor *y);
void ref_hinge(const sample_context *c, const ref_tensor x[], ref_tensor *y);
/* f[0]: smoothing, flag: ignore i[1], flag2: x[1] holds probabilities, x[2]: class weights if there. */
void ref_cross_entropy(const sample_context *c, const ref_tensor x[], ref_tensor *y);
void ref_nll(const sample_context *c, const ref_tensor x[], ref_tensor *y);

/* args.axes: kernel, stride, padding, dilation; fold takes the columns and the image that gives the shape. */
void ref_unfold(const sample_context *c, const ref_tensor x[], ref_tensor *y);
void ref_fold(const sample_context *c, const ref_tensor x[], ref_tensor *y);
/* args.axes[0]: the numbers of outputs along the last axes, -1 as many as inputs. */
void ref_adaptive_avg_pool(const sample_context *c, const ref_tensor x[], ref_tensor *y);
void ref_adaptive_max_pool(const sample_context *c, const ref_tensor x[], ref_tensor *y);

#endif
