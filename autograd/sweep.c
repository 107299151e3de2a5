/* sweep.c - reverse mode: one walk down the ids, accumulation and zeros in one place. */
#include "sweep.h"

#include "checkpoint.h"

#include "../graph/scan.h"
#include "../ops/rules.h"

#include <retrograde/autograd.h>
#include <retrograde/ops.h>

#include <stdio.h>
#include <string.h>

bool rgi_sweep_init(rgi_sweep *s, rg_graph *g)
{
    *s = (rgi_sweep){.graph = g, .n = g->nodes.n, .widest = 1};
    for (size_t id = 0; id < s->n; id++) {
        const rg_node *v = rgi_node(g, id);
        const size_t outs = rgi_is_scan(v) ? rgi_scan_of(v)->results.n : (size_t)v->op->n_out;
        const size_t width = v->n_in > outs ? v->n_in : outs;
        s->widest = width > s->widest ? width : s->widest;
    }
    s->widest *= 2; /* results of a scan may be added while its body is reversed */
    s->ct = rgi_alloc(&g->allocator, (s->n + 1) * sizeof *s->ct);
    s->needed = rgi_alloc(&g->allocator, (s->n + 1) * sizeof *s->needed);
    s->wants = rgi_alloc(&g->allocator, s->widest * sizeof *s->wants);
    s->grad = rgi_alloc(&g->allocator, s->widest * sizeof *s->grad);
    s->outs = rgi_alloc(&g->allocator, s->widest * sizeof *s->outs);
    if (s->ct && s->needed && s->wants && s->grad && s->outs)
        return true;
    rgi_sweep_finish(s);
    rgi_graph_fail(g, RG_ERR_MEMORY, NULL, "reverse sweep: out of memory");
    return false;
}

void rgi_sweep_finish(rgi_sweep *s)
{
    const rg_allocator *a = &s->graph->allocator;
    rgi_free(a, s->ct, (s->n + 1) * sizeof *s->ct);
    rgi_free(a, s->needed, (s->n + 1) * sizeof *s->needed);
    rgi_free(a, s->wants, s->widest * sizeof *s->wants);
    rgi_free(a, s->grad, s->widest * sizeof *s->grad);
    rgi_free(a, s->outs, s->widest * sizeof *s->outs);
    s->ct = NULL, s->needed = NULL, s->wants = NULL, s->grad = NULL, s->outs = NULL;
}

/* A scan is no tensor itself, but derivatives flow from its inputs to its results. */
static bool carries_derivative(const rg_node *v)
{
    return (rgi_differentiable(v) || rgi_is_scan(v) || v->op->n_out > 1) && !(v->op->traits & RG_ZERO_GRAD);
}

static bool reads(const rg_node *v, size_t i)
{
    return !(i < 32 && (v->op->shape_only >> i & 1));
}

void rgi_sweep_mark(rgi_sweep *s, size_t from, const rgi_region *region)
{
    for (size_t id = from; id < s->n; id++) {
        const rg_node *v = rgi_node(s->graph, id);
        if ((region && v->region != region) || s->needed[id] || !carries_derivative(v))
            continue;
        for (size_t i = 0; i < v->n_in && !s->needed[id]; i++)
            s->needed[id] = reads(v, i) && s->needed[v->in[i]->id];
    }
}

/* The sum of two cotangents; of bf16 taken in f32. */
static rg_node *added(rg_node *a, rg_node *b)
{
    if (a->dtype != RG_BF16)
        return rg_add(a, b);
    return rg_cast(rg_add(rg_cast(a, RG_F32), rg_cast(b, RG_F32)), RG_BF16);
}

void rgi_sweep_add(rgi_sweep *s, const rg_node *node, rg_node *ct)
{
    rg_node **at = &s->ct[node->id];
    *at = *at && ct ? added(*at, ct) : ct ? ct : *at;
}

/* The first two items. */
static void exchange(void *at, size_t size)
{
    char kept[sizeof(rg_node *)];
    memcpy(kept, at, size);
    memcpy(at, (char *)at + size, size);
    memcpy((char *)at + size, kept, size);
}

bool rgi_sweep_node(rgi_sweep *s, rg_node *node)
{
    if (!s->needed[node->id] || node->n_in == 0 || rgi_is_projection(node))
        return true; /* the cotangents of projections are collected by their owner */
    const size_t n_out = rgi_output_count(node);
    bool any = false;
    for (size_t k = 0; k < n_out; k++) {
        const rg_node *out = rgi_output(node, k);
        s->outs[k] = out && out->id < s->n ? rgi_join_slices(s->ct[out->id]) : NULL;
        any = any || s->outs[k];
    }
    bool wanted = false;
    for (size_t i = 0; i < node->n_in; i++) {
        s->wants[i] = reads(node, i) && s->needed[node->in[i]->id] && rgi_differentiable(node->in[i]);
        wanted = wanted || s->wants[i];
    }
    if (!any || !wanted)
        return true;
    bool exchanged;
    rg_node *self = rgi_recomputed(node, &exchanged);
    if (self && self != node && rgi_is_scan(node)) {
        for (size_t k = rgi_scan_of(self)->copied; k < n_out; k++)
            self = s->outs[k] ? node : self; /* a result that the copy has not */
        for (size_t k = n_out; self != node && k < rgi_output_count(self) && k < s->widest; k++)
            s->outs[k] = NULL;
    }
    if (exchanged)
        exchange(s->wants, sizeof *s->wants);
    if (!self || !rgi_rule_vjp(self, s->outs, s->wants, s->grad))
        return false;
    if (exchanged)
        exchange(s->grad, sizeof(rg_node *));
    for (size_t i = 0; i < node->n_in; i++)
        if (s->grad[i])
            rgi_sweep_add(s, node->in[i], s->grad[i]);
    return s->graph->error.status == RG_OK;
}

static bool check_float(rg_graph *g, const char *who, const char *what, const rg_node *v)
{
    char label[2 * RGI_LABEL];
    if (!rgi_usable(g, who, what, v))
        return false;
    if (!rgi_differentiable(v))
        rgi_graph_fail(g, RG_ERR_DTYPE, NULL, "%s: %s, %s, is %s: derivatives need f32 or f64", who, what,
                       rgi_format_operand(v, label, sizeof label), rg_dtype_name(v->dtype));
    return rgi_differentiable(v);
}

bool rgi_check_floats(rg_graph *g, const char *who, const char *what, rg_nodes list)
{
    for (size_t i = 0; i < list.n; i++) {
        char one[32];
        snprintf(one, sizeof one, "%s %zu", what, i);
        if (!check_float(g, who, one, rg_at(list, i)))
            return false;
    }
    return true;
}

bool rgi_check_alike(rg_graph *g, const char *who, const char *of, rg_nodes list, const char *what, rg_nodes like)
{
    char a[2 * RGI_LABEL], b[2 * RGI_LABEL];
    if (like.n != list.n || (like.n && !like.at)) {
        rgi_graph_fail(g, RG_ERR_ARGUMENT, NULL, "%s: %zu %ss, but %zu %ss%s", who, list.n, of, like.n, what,
                       like.n && !like.at ? ", whose list is NULL" : "");
        return false;
    }
    for (size_t i = 0; i < list.n; i++) {
        const rg_node *x = list.at[i], *t = like.at[i];
        if (!t)
            continue;
        if (!rgi_usable(g, who, what, t))
            return false;
        if (t->dtype != x->dtype || t->shape != x->shape) {
            rgi_graph_fail(g, t->dtype == x->dtype ? RG_ERR_SHAPE : RG_ERR_DTYPE, NULL,
                           "%s: %s %zu is %s, its %s is %s", who, of, i, rgi_format_operand(x, a, sizeof a), what,
                           rgi_format_operand(t, b, sizeof b));
            return false;
        }
    }
    return true;
}

bool rgi_check_pair(const char *who, const rg_node *y, const rg_node *x)
{
    char a[2 * RGI_LABEL], b[2 * RGI_LABEL];
    if (!y || !x) {
        rg_build_fail(rg_graph_of(y ? y : x), RG_ERR_ARGUMENT, "%s: the %s is NULL", who, y ? "variable" : "function");
        return false;
    }
    rg_graph *const g = y->graph;
    if (g->error.status != RG_OK || !rgi_usable(g, who, "the function", y) || !rgi_usable(g, who, "the variable", x))
        return false;
    if (rgi_differentiable(y) && rgi_differentiable(x))
        return true;
    rgi_graph_fail(g, RG_ERR_GRADIENT, NULL, "%s: both must be floats, the function is %s, the variable %s", who,
                   rgi_format_operand(y, a, sizeof a), rgi_format_operand(x, b, sizeof b));
    return false;
}

static bool check_lists(rg_graph *g, rg_nodes ys, rg_nodes cts, rg_nodes xs, const char *who)
{
    return rgi_check_floats(g, who, "output", ys) && rgi_check_floats(g, who, "wrt", xs) &&
           rgi_check_alike(g, who, "output", ys, "cotangent", cts);
}

rg_graph *rgi_graph_of_lists(const char *who, rg_nodes ys, rg_nodes xs)
{
    for (size_t i = 0; i < ys.n + xs.n; i++) {
        const rg_node *v = i < ys.n ? rg_at(ys, i) : rg_at(xs, i - ys.n);
        if (v)
            return v->graph;
    }
    rgi_fail(RG_ERR_ARGUMENT, "%s: no node is given, hence no graph", who);
    return NULL;
}

static rg_nodes vjp(rg_graph *g, rg_nodes ys, rg_nodes cts, rg_nodes xs)
{
    rg_nodes out = {NULL, 0};
    rgi_sweep s;
    size_t first = SIZE_MAX, last = 0;
    if (!rgi_sweep_init(&s, g))
        return out;
    rg_node **grads = rgi_alloc(&g->allocator, (xs.n + 1) * sizeof *grads);
    bool ok = grads != NULL;
    for (size_t i = 0; i < xs.n; i++) {
        s.needed[xs.at[i]->id] = true;
        first = xs.at[i]->id < first ? xs.at[i]->id : first;
    }
    rgi_sweep_mark(&s, first < s.n ? first : s.n, NULL);
    for (size_t i = 0; i < ys.n; i++) {
        rgi_sweep_add(&s, ys.at[i], cts.at[i]);
        last = ys.at[i]->id > last ? ys.at[i]->id : last;
    }
    for (size_t id = last + 1; ok && id-- > first;)
        ok = rgi_sweep_node(&s, rgi_node(g, id));
    for (size_t i = 0; ok && i < xs.n; i++) {
        rg_node *ct = rgi_join_slices(s.ct[xs.at[i]->id]);
        grads[i] = ct ? ct : rg_zeros_like(xs.at[i]);
        ok = grads[i] != NULL;
    }
    if (ok)
        out = rgi_nodes_copy(g, grads, xs.n);
    else if (!grads)
        rgi_graph_fail(g, RG_ERR_MEMORY, NULL, "rg_vjp: out of memory");
    rgi_free(&g->allocator, grads, (xs.n + 1) * sizeof *grads);
    rgi_sweep_finish(&s);
    return out;
}

rg_nodes rg_vjp(rg_nodes ys, rg_nodes cotangents, rg_nodes xs)
{
    rg_graph *g = rgi_graph_of_lists("rg_vjp", ys, xs);
    if (!g || g->error.status != RG_OK || !check_lists(g, ys, cotangents, xs, "rg_vjp"))
        return (rg_nodes){NULL, 0};
    return vjp(g, ys, cotangents, xs);
}

rg_nodes rg_grad(rg_node *loss, rg_nodes wrt)
{
    const rg_nodes none = {NULL, 0}, ys = {&loss, 1};
    rg_graph *g = rgi_graph_of_lists("rg_grad", ys, wrt);
    if (!g || g->error.status != RG_OK)
        return none;
    if (!loss) {
        rgi_graph_fail(g, RG_ERR_ARGUMENT, NULL, "rg_grad: the loss is NULL");
        return none;
    }
    if (!rgi_usable(g, "rg_grad", "the loss", loss))
        return none;
    if (!rgi_differentiable(loss) || loss->shape->a.rank != 0) {
        char type[RGI_LABEL], label[RGI_LABEL];
        rgi_graph_fail(g, RG_ERR_GRADIENT, NULL, "rg_grad: the loss must be a float scalar, %s is %s",
                       rgi_format_node(loss, label, sizeof label),
                       rgi_format_type(g, loss->dtype, loss->shape->a, type, sizeof type));
        return none;
    }
    rg_node *one = rg_ones_like(loss);
    const rg_nodes cts = {&one, 1};
    if (!one || !check_lists(g, ys, cts, wrt, "rg_grad"))
        return none;
    return vjp(g, ys, cts, wrt);
}
