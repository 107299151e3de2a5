/* custom.c - a value with derivatives of its maker's own: y as it is, and rules in place of those of what computes it.

   The node is a view of y that takes the xs as inputs too. Derivatives do not flow into y, but as the rules say into
   the xs. Of two rules one may be missing: the forward rule is then the transpose of the transpose, the reverse rule
   the transpose of the forward one, found by differentiating it at tangents of zero, in which it is linear. */
#include "placeholder.h"
#include "rules.h"
#include "table_ops.h"

#include <retrograde/autograd.h>
#include <retrograde/op.h>

static rg_status infer(rg_infer *call)
{
    if (call->n_in < 2)
        return rg_infer_fail(call, RG_ERR_ARGUMENT, "no variable");
    call->out[0] = call->in[0];
    return RG_OK;
}

/* The variables as a rule sees them: of n, to be released. */
static rg_node **variables(rg_node *self)
{
    const size_t n = rg_arg_count(self) - 1;
    rg_node **xs = rgi_alloc(&self->graph->allocator, (n + 1) * sizeof *xs);
    for (size_t i = 0; xs && i < n; i++)
        xs[i] = rg_arg(self, i + 1);
    if (!xs)
        rg_build_fail(self->graph, RG_ERR_MEMORY, "rg_custom: out of memory");
    return xs;
}

static void release(rg_node *self, rg_node **xs)
{
    rgi_free(&self->graph->allocator, xs, rg_arg_count(self) * sizeof *xs);
}

static void vjp(rg_node *self, rg_node *const ct[], rg_node *grad[])
{
    const rg_custom_opts *o = rg_attr(self);
    const size_t n = rg_arg_count(self) - 1;
    rg_node **xs = variables(self);
    if (!xs)
        return;
    const rg_nodes got = o->vjp(o->user, ct[0], rg_output(self, 0), (rg_nodes){xs, n});
    if (got.n != n)
        rg_build_fail(self->graph, RG_ERR_GRADIENT,
                      "rg_custom: the vjp of '%s' returns %zu gradients for %zu variables",
                      o->name ? o->name : "custom", got.n, n);
    for (size_t i = 0; i < n && got.n == n; i++)
        grad[i + 1] = rg_wants(self, i + 1) ? got.at[i] : NULL;
    release(self, xs);
}

static void jvp(rg_node *self, rg_node *const tangent[], rg_node *out[])
{
    const rg_custom_opts *o = rg_attr(self);
    const size_t n = rg_arg_count(self) - 1;
    rg_node **xs = variables(self);
    bool any = false;
    for (size_t i = 0; i < n; i++)
        any = any || tangent[i + 1];
    if (xs && any)
        out[0] = o->jvp(o->user, (rg_nodes){tangent + 1, n}, rg_output(self, 0), (rg_nodes){xs, n});
    if (xs)
        release(self, xs);
}

/* The transpose of the forward rule. */
static void vjp_of_jvp(rg_node *self, rg_node *const ct[], rg_node *grad[])
{
    const rg_custom_opts *o = rg_attr(self);
    const size_t n = rg_arg_count(self) - 1;
    rg_node **xs = variables(self), **u = variables(self);
    for (size_t i = 0; xs && u && i < n; i++)
        u[i] = rg_dtype_is_float(xs[i]->dtype) ? rgi_placeholder(xs[i]) : NULL;
    rg_node *t = xs && u ? o->jvp(o->user, (rg_nodes){u, n}, rg_output(self, 0), (rg_nodes){xs, n}) : NULL;
    for (size_t i = 0; t && i < n; i++)
        if (u[i] && rg_wants(self, i + 1))
            grad[i + 1] = rg_at(rg_vjp(RG_NODES(t), RG_NODES(ct[0]), RG_NODES(u[i])), 0);
    if (xs)
        release(self, xs);
    if (u)
        release(self, u);
}

/* Batching comes behind differentiating: what has an axis more is the value alone. */
static void batch(rg_node *self, rg_node *const in[], const bool batched[], rg_node *out[])
{
    (void)self;
    for (size_t i = 1; i < rg_arg_count(self) && !batched[0] && !out[0]; i++)
        out[0] = batched[i] ? rgi_expand(in[0], 0, in[i], 0, 1) : NULL;
    out[0] = batched[0] ? in[0] : out[0];
}

/* All of everything: what the rules make of it nobody knows. */
static void reads(const rg_step *step, size_t i, int32_t from[])
{
    (void)step, (void)i, (void)from;
}

#define CUSTOM                                                                                           \
    .n_in = -1, .n_out = 1, .traits = RG_VIEW, .dtypes = RG_DT_ALL, .attr_size = sizeof(rg_custom_opts), \
    .infer = infer, .batch = batch, .reads = reads

const rg_op rgi_op_custom = {CUSTOM, .name = "custom", .vjp = vjp, .jvp = jvp};

const rg_op rgi_op_custom_vjp = {CUSTOM, .name = "custom_vjp", .vjp = vjp};

const rg_op rgi_op_custom_jvp = {CUSTOM, .name = "custom_jvp", .vjp = vjp_of_jvp, .jvp = jvp};

rg_node *rg_custom(rg_node *y, rg_nodes xs, const rg_custom_opts *opts)
{
    rg_graph *g = y ? y->graph : NULL;
    if (!g)
        return NULL;
    if (!opts || (!opts->vjp && !opts->jvp))
        return rg_build_fail(g, RG_ERR_ARGUMENT, "rg_custom: neither a vjp nor a jvp");
    rg_node **in = rgi_alloc(&g->allocator, (xs.n + 1) * sizeof *in);
    if (!in)
        return rg_build_fail(g, RG_ERR_MEMORY, "rg_custom: out of memory");
    in[0] = y;
    for (size_t i = 0; i < xs.n; i++)
        in[i + 1] = rg_at(xs, i);
    rg_custom_opts o = *opts;
    o.name = o.name ? rgi_string(g, o.name) : NULL;
    rg_node *out = rg_apply(!o.jvp   ? &rgi_op_custom_vjp
                            : !o.vjp ? &rgi_op_custom_jvp
                                     : &rgi_op_custom,
                            (rg_nodes){in, xs.n + 1}, &o);
    rgi_free(&g->allocator, in, (xs.n + 1) * sizeof *in);
    return out;
}
