/* rules.h - what the rules of several op families share. */
#ifndef RGI_OPS_RULES_H
#define RGI_OPS_RULES_H

#include "common.h"

/* `axis` as a number in [0, rank of x + extra), or as it was given where it is outside: the shape rule says so then. */
int64_t rgi_axis(const rg_node *x, int64_t axis, int32_t extra);
/* Whether an axis attribute lies in [0, rank); else the error "axis 3 is outside [-2, 2)" is recorded. */
bool rgi_axis_ok(const rg_infer *call, int64_t axis, int32_t rank);

/* "[batch, 10]": a shape attribute as users wrote it, for the error of a shape rule. */
const char *rgi_shape_text(const rg_infer *call, rg_shape attribute, char *buffer, size_t size);

/* False while primes stand for named sizes of inputs; the rule is asked once more when they are bound. */
bool rgi_sizes_are_real(const rg_infer *call);

/* "batch" or the number: a size that a shape rule sees, for its error. */
const char *rgi_size_text(const rg_infer *call, int64_t size, char *buffer, size_t bytes);

/* x repeated along n new axes before its axis `at`, whose sizes are those of axes from .. from + n - 1 of `like`. */
rg_node *rgi_expand(rg_node *x, int64_t at, rg_node *like, int64_t from, int64_t n);

/* Axes from .. to, both included, become one; axis `axis` becomes axes first .. first + n - 1 of `like`. */
rg_node *rgi_flatten(rg_node *x, int64_t from, int64_t to);
rg_node *rgi_unflatten(rg_node *x, int64_t axis, rg_node *like, int64_t first, int64_t n);

/* In a batch rule: inputs that lack the new leading axis are repeated along it; out has room for n. */
void rgi_batch_all(rg_node *const in[], const bool batched[], size_t n, rg_node *out[]);
/* The leading axis of x moved behind the next `to` axes; axis `from` moved to the front. */
rg_node *rgi_axis_inward(rg_node *x, int64_t to);
rg_node *rgi_axis_outward(rg_node *x, int64_t from);

/* The forward rule of an op that is linear in input 0, through which alone derivatives flow. */
void rgi_jvp_linear(rg_node *self, rg_node *const tangent[], rg_node *out[]);
/* The reverse rule of an op that keeps elements and their order. */
void rgi_vjp_reshape(rg_node *self, rg_node *const ct[], rg_node *grad[]);

/* rg_contract with valid axes, its sum begun from `begin` (NULL: 0) and taken from the last rows to the first if
   `descending`, every element in one chain: pieces of a sum, each begun from the one before, have the bits of the
   whole. */
rg_node *rgi_accumulate(rg_node *a, rg_node *b, rg_node *begin, const rg_contract_opts *opts, bool descending);

/* A sum of slice_grads that together fill the whole of what they are put into is their concatenation: gates that were
   cut from one product give their gradients back as one tensor. Anything else is returned as it is; NULL after an
   error. */
rg_node *rgi_join_slices(rg_node *sum);

/* Bytes of the inputs whose values are read and of the outputs. */
double rgi_bytes(const rg_step *step);

#endif
