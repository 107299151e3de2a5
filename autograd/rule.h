/* rule.h - applying one derivative rule, and what a rule sees while it is applied. */
#ifndef RGI_RULE_H
#define RGI_RULE_H

#include "../graph/graph.h"

/* The rule being applied: which gradients of `self` anybody needs. */
typedef struct rgi_rule {
    const rg_node *self;
    const bool *wants; /* one an input */
} rgi_rule;

/* While the reverse of a closed body is built inside the scan `reverse`, a value of the body is seen as the present
   step's slice of its stack. Nested bodies nest. */
typedef struct rgi_substitution {
    const struct rgi_substitution *outer;
    const rgi_region *from;
    rg_scan *reverse;
} rgi_substitution;

/* `node` as a rule may use it now: itself, or its residual. */
rg_node *rgi_seen(rg_graph *g, rg_node *node);

/* Applies the reverse rule of `self`: ct[k] is the cotangent of output k (of projection k in creation order for a
   scan), grad[i] is filled with the gradient of input i, of its type, or NULL for zero. Un-broadcasting happens here.
   False with the graph's error set where there is no rule or it failed. */
bool rgi_rule_vjp(rg_node *self, rg_node *const ct[], const bool wants[], rg_node *grad[]);

/* The reverse rule of a scan: a scan in the other direction over stacked residuals. */
bool rgi_scan_reverse(rg_node *self, rg_node *const ct[], const bool wants[], rg_node *grad[]);

/* Applies the forward rule of `self`, or the reverse rule transposed where it has none: tangent[i] is that of input i,
   NULL means zero; out[k] is filled with that of output k, of its type, or NULL. False with the graph's error set. */
bool rgi_rule_jvp(rg_node *self, rg_node *const tangent[], rg_node *out[]);

/* The forward rule of a scan: a scan of the same steps over values and tangents. (scan_forward.c) */
bool rgi_scan_forward(rg_node *self, rg_node *const tangent[], rg_node *out[]);

/* A scan with one more leading axis on inputs: out[k] is that of result k, NULL where it has none. (scan_batch.c) */
bool rgi_scan_batch(rg_node *self, rg_node *const in[], const bool batched[], rg_node *out[], const char *caller);

/* Whether a derivative can flow through a value of this type. */
static inline bool rgi_differentiable(const rg_node *n)
{
    return rg_dtype_is_float(n->dtype);
}

/* Number of outputs a rule deals with. */
size_t rgi_output_count(const rg_node *self);
/* Output k: self, or its projection (NULL where it was never asked for). */
rg_node *rgi_output(rg_node *self, size_t k);

#endif
