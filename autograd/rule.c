/* rule.c - what a derivative rule reaches of the forward node, and the application of one rule. */
#include "rule.h"

#include "../graph/scan.h"

#include <retrograde/ops.h>

const rg_op *rg_op_of(const rg_node *self)
{
    return self ? self->op : NULL;
}

const void *rg_attr(const rg_node *self)
{
    return self ? self->attr : NULL;
}

size_t rg_arg_count(const rg_node *self)
{
    return self ? self->n_in : 0;
}

static rg_node *seen_through(const rgi_substitution *s, rg_node *node)
{
    for (; s; s = s->outer)
        if (node->region == s->from) {
            rg_node *stack = rgi_scan_stack(node->region->scan, node);
            stack = stack ? seen_through(s->outer, stack) : NULL;
            return stack ? rg_scan_slice(s->reverse, stack) : NULL;
        }
    return node;
}

rg_node *rgi_seen(rg_graph *g, rg_node *node)
{
    return node ? seen_through(g->substitution, node) : NULL;
}

static bool substituted(const rgi_substitution *s, const rgi_region *region)
{
    while (s && s->from != region)
        s = s->outer;
    return s != NULL;
}

/* Whether all of a value of a body is kept, or most likely will be: gates that one function made of one product are. */
static bool kept_whole(const rg_node *v)
{
    const rg_scan *s = v->region->scan;
    if (v->op == &rgi_op_scan_slice || ((v->op->traits & RG_ELEMENTWISE) && v->n_in == 1))
        return true;
    for (size_t k = 0; k < s->results.n; k++)
        if (rgi_projection_of(s->results.at[k])->of == v && !rgi_projection_of(s->results.at[k])->last)
            return true;
    return false;
}

/* An operand of an elementwise op. Where it is a part of a value that is kept whole, it is that part of what is kept,
   and nothing is kept twice. */
static rg_node *seen_part(rg_graph *g, rg_node *node)
{
    const bool part = node->op->window && !(node->op->traits & RG_JOINS) && node->n_in == 1;
    if (!part || node->in[0]->region != node->region || !substituted(g->substitution, node->region) ||
        !kept_whole(node->in[0]))
        return rgi_seen(g, node);
    rg_node *whole = rgi_seen(g, node->in[0]);
    return whole ? rg_apply(node->op, RG_NODES(whole), node->attr) : NULL;
}

rg_node *rg_arg(rg_node *self, size_t i)
{
    if (!self || i >= self->n_in)
        return NULL;
    return (self->op->traits & RG_ELEMENTWISE) ? seen_part(self->graph, self->in[i])
                                               : rgi_seen(self->graph, self->in[i]);
}

size_t rgi_output_count(const rg_node *self)
{
    return rgi_is_scan(self) ? rgi_scan_of(self)->results.n : (size_t)self->op->n_out;
}

rg_node *rgi_output(rg_node *self, size_t k)
{
    if (rgi_is_scan(self))
        return rgi_scan_of(self)->results.at[k];
    if (self->op->n_out == 1)
        return self;
    for (rg_node *r = self->results; r; r = r->next_result)
        if (r->result == k)
            return r;
    return NULL;
}

rg_node *rg_output(rg_node *self, size_t i)
{
    if (!self)
        return NULL;
    if (rgi_is_projection(self) || self->op->n_out == 1)
        return i == 0 ? rgi_seen(self->graph, self) : NULL;
    rg_node *r = i < rgi_output_count(self) ? rgi_output(self, i) : NULL;
    return rgi_seen(self->graph, r);
}

bool rg_wants(const rg_node *self, size_t i)
{
    if (!self || i >= self->n_in)
        return false;
    const rgi_rule *rule = self->graph->rule;
    return !rule || rule->self != self || rule->wants[i];
}

/* Whether the one shape can come of broadcasting the other. */
static bool broadcast_of(const rg_shape *large, const rg_shape *small)
{
    const int32_t extra = large->rank - small->rank;
    bool fits = extra >= 0;
    for (int32_t i = 0; fits && i < small->rank; i++)
        fits = small->dim[i] == large->dim[i + extra] || small->dim[i] == 1;
    return fits;
}

/* A gradient of the broadcast shape summed down to its input's; anything else that does not fit is a faulty rule. */
static bool fit(rg_node *self, size_t i, rg_node **grad)
{
    rg_graph *g = self->graph;
    rg_node *arg = self->in[i];
    char a[RGI_LABEL], b[RGI_LABEL];
    if ((*grad)->dtype != arg->dtype) {
        rgi_graph_fail(g, RG_ERR_GRADIENT, self, "%s: its rule gives the gradient of input %zu as %s, the input is %s",
                       self->op->name, i, rg_dtype_name((*grad)->dtype), rg_dtype_name(arg->dtype));
        return false;
    }
    if ((*grad)->shape != arg->shape && (self->op->traits & RG_ELEMENTWISE) &&
        broadcast_of(&(*grad)->shape->a, &arg->shape->a))
        *grad = rg_sum_like(*grad, rgi_seen(g, arg));
    if (*grad && (*grad)->shape != arg->shape) {
        rgi_graph_fail(g, RG_ERR_GRADIENT, self,
                       "%s: its rule gives the gradient of input %zu the shape %s, the input has %s", self->op->name, i,
                       rgi_format_shape(g, (*grad)->shape->a, a, sizeof a),
                       rgi_format_shape(g, arg->shape->a, b, sizeof b));
        return false;
    }
    return *grad != NULL;
}

bool rgi_rule_vjp(rg_node *self, rg_node *const ct[], const bool wants[], rg_node *grad[])
{
    rg_graph *g = self->graph;
    for (size_t i = 0; i < self->n_in; i++)
        grad[i] = NULL;
    if (!rgi_is_scan(self) && !self->op->vjp) {
        char label[RGI_LABEL];
        rgi_graph_fail(g, RG_ERR_GRADIENT, self,
                       "%s has no derivative: op '%s' has no vjp rule and is not marked RG_ZERO_GRAD",
                       rgi_format_node(self, label, sizeof label), self->op->name);
        return false;
    }
    const rgi_rule *const outer = g->rule, rule = {self, wants};
    rg_node *const origin = rgi_origin_set(g, self);
    bool ok = true;
    if (rgi_is_scan(self)) {
        ok = rgi_scan_reverse(self, ct, wants, grad);
    } else {
        g->rule = &rule;
        self->op->vjp(self, ct, grad);
        g->rule = outer;
    }
    for (size_t i = 0; ok && i < self->n_in; i++) {
        if (!wants[i])
            grad[i] = NULL;
        else if (grad[i])
            ok = fit(self, i, &grad[i]);
    }
    rgi_origin_set(g, origin);
    return ok && g->error.status == RG_OK;
}
