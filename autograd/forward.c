/* forward.c - forward mode: tangents by node id, one walk up; and what is made of both modes. */
#include "rule.h"
#include "sweep.h"

#include "../graph/scan.h"
#include "../ops/placeholder.h"

#include <retrograde/autograd.h>
#include <retrograde/ops.h>

typedef struct forward {
    rg_graph *g;
    rgi_sweep marks;   /* which nodes depend on an x, and room for rules */
    rg_node **tangent; /* by id */
    bool *leads;       /* by id: whether a y depends on the node */
} forward;

/* Whether a tangent of input i is one of the output. */
static bool flows(const rg_node *v, size_t i)
{
    return !(i < 32 && (v->op->shape_only >> i & 1));
}

/* A tangent of the broadcast shape is that of the output; anything else that does not fit is a faulty rule. */
static bool fit(rg_node *v, rg_node *out, rg_node **tangent)
{
    rg_graph *g = v->graph;
    if (!out || !*tangent)
        return g->error.status == RG_OK;
    if ((*tangent)->shape != out->shape && (out->op->traits & RG_ELEMENTWISE))
        *tangent = rg_broadcast_like(*tangent, out);
    if (*tangent && ((*tangent)->dtype != out->dtype || (*tangent)->shape != out->shape)) {
        char a[RGI_LABEL], b[RGI_LABEL];
        rgi_graph_fail(g, RG_ERR_GRADIENT, out, "%s: its jvp rule gives %s, the output is %s", v->op->name,
                       rgi_format_type(g, (*tangent)->dtype, (*tangent)->shape->a, a, sizeof a),
                       rgi_format_type(g, out->dtype, out->shape->a, b, sizeof b));
        return false;
    }
    return *tangent != NULL;
}

/* The transpose of the transpose: u -> vjp(u) is linear, and its reverse derivative applied to the tangents is the
   forward derivative. */
static bool transpose_twice(rg_node *v, rg_node *const tangent[], rg_node *out[])
{
    rg_graph *g = v->graph;
    const size_t n_out = rgi_output_count(v), room = n_out + v->n_in + 1;
    rg_node **u = rgi_alloc(&g->allocator, 4 * room * sizeof *u);
    bool *wants = rgi_alloc(&g->allocator, room * sizeof *wants);
    bool ok = u && wants;
    if (!ok)
        rgi_graph_fail(g, RG_ERR_MEMORY, v, "rg_jvp: out of memory");
    rg_node **grad = u ? u + room : NULL, **ys = u ? u + 2 * room : NULL, **cts = u ? u + 3 * room : NULL;
    size_t n_u = 0, n_y = 0;
    for (size_t k = 0; ok && k < n_out; k++) {
        rg_node *y = rgi_output(v, k);
        u[k] = y && rgi_differentiable(y) ? rgi_placeholder(y) : NULL;
    }
    for (size_t i = 0; ok && i < v->n_in; i++)
        wants[i] = tangent[i] != NULL;
    ok = ok && rgi_rule_vjp(v, u, wants, grad);
    for (size_t i = 0; ok && i < v->n_in; i++)
        if (grad[i] && tangent[i])
            ys[n_y] = grad[i], cts[n_y++] = tangent[i];
    for (size_t k = 0; ok && k < n_out; k++)
        if (u[k])
            grad[n_u++] = u[k];
    if (ok && n_y && n_u) {
        const rg_nodes all = rg_vjp((rg_nodes){ys, n_y}, (rg_nodes){cts, n_y}, (rg_nodes){grad, n_u});
        ok = all.n == n_u;
        for (size_t k = 0, j = 0; ok && k < n_out; k++)
            out[k] = u[k] ? all.at[j++] : NULL;
    }
    rgi_free(&g->allocator, u, 4 * room * sizeof *u);
    rgi_free(&g->allocator, wants, room * sizeof *wants);
    return ok;
}

bool rgi_rule_jvp(rg_node *v, rg_node *const tangent[], rg_node *out[])
{
    rg_graph *g = v->graph;
    const size_t n_out = rgi_output_count(v);
    rg_node *const origin = rgi_origin_set(g, v);
    bool ok = true;
    for (size_t k = 0; k < n_out; k++)
        out[k] = NULL;
    if (rgi_is_scan(v))
        ok = rgi_scan_forward(v, tangent, out);
    else if (v->op->jvp)
        v->op->jvp(v, tangent, out);
    else
        ok = transpose_twice(v, tangent, out);
    for (size_t k = 0; ok && k < n_out; k++)
        ok = fit(v, rgi_output(v, k), &out[k]);
    rgi_origin_set(g, origin);
    return ok && g->error.status == RG_OK;
}

static bool forward_node(forward *f, rg_node *v)
{
    rg_node **tangent = f->marks.grad;
    bool any = false;
    for (size_t i = 0; i < v->n_in; i++) {
        tangent[i] = flows(v, i) ? f->tangent[v->in[i]->id] : NULL;
        any = any || tangent[i];
    }
    const bool closed = v->region->parent && !v->region->open; /* bodies are the business of their scan's rule */
    if (!any || closed || f->tangent[v->id] || rgi_is_projection(v) || !f->marks.needed[v->id] || !f->leads[v->id])
        return true;
    const size_t n_out = rgi_output_count(v);
    if (!rgi_rule_jvp(v, tangent, f->marks.outs))
        return false;
    for (size_t k = 0; k < n_out; k++) {
        const rg_node *out = rgi_output(v, k);
        if (out && f->marks.outs[k] && out->id < f->marks.n)
            f->tangent[out->id] = f->marks.outs[k];
    }
    return true;
}

/* Marks all of [first, last] that a marked node depends on. */
static void mark_leading(forward *f, size_t first, size_t last)
{
    for (size_t id = last + 1; id-- > first;) {
        const rg_node *v = rgi_node(f->g, id);
        for (size_t i = 0; f->leads[id] && i < v->n_in; i++)
            f->leads[v->in[i]->id] = f->leads[v->in[i]->id] || flows(v, i);
    }
}

rg_nodes rg_jvp(rg_nodes ys, rg_nodes xs, rg_nodes tangents)
{
    const rg_nodes none = {NULL, 0};
    rg_graph *g = rgi_graph_of_lists("rg_jvp", ys, xs);
    if (!g || g->error.status != RG_OK || !rgi_check_floats(g, "rg_jvp", "output", ys) ||
        !rgi_check_floats(g, "rg_jvp", "input", xs) || !rgi_check_alike(g, "rg_jvp", "input", xs, "tangent", tangents))
        return none;
    forward f = {.g = g};
    if (!rgi_sweep_init(&f.marks, g))
        return none;
    const size_t n = f.marks.n;
    size_t first = n, last = 0;
    f.tangent = rgi_alloc(&g->allocator, (n + 1) * sizeof *f.tangent);
    f.leads = rgi_alloc(&g->allocator, (n + 1) * sizeof *f.leads);
    rg_node **out = rgi_alloc(&g->allocator, (ys.n + 1) * sizeof *out);
    bool ok = f.tangent && f.leads && out;
    if (!ok)
        rgi_graph_fail(g, RG_ERR_MEMORY, NULL, "rg_jvp: out of memory");
    for (size_t i = 0; ok && i < xs.n; i++) {
        f.marks.needed[xs.at[i]->id] = true;
        f.tangent[xs.at[i]->id] = tangents.at[i];
        first = xs.at[i]->id < first ? xs.at[i]->id : first;
    }
    if (ok)
        rgi_sweep_mark(&f.marks, first, NULL);
    for (size_t i = 0; ok && i < ys.n; i++) {
        f.leads[ys.at[i]->id] = true;
        last = ys.at[i]->id > last ? ys.at[i]->id : last;
    }
    if (ok)
        mark_leading(&f, first, last);
    for (size_t id = first; ok && id <= last && id < n; id++)
        ok = forward_node(&f, rgi_node(g, id));
    for (size_t i = 0; ok && i < ys.n; i++) {
        rg_node *t = f.tangent[ys.at[i]->id];
        out[i] = t ? t : rg_zeros_like(ys.at[i]);
        ok = out[i] != NULL;
    }
    const rg_nodes result = ok ? rgi_nodes_copy(g, out, ys.n) : none;
    rgi_free(&g->allocator, f.tangent, (n + 1) * sizeof *f.tangent);
    rgi_free(&g->allocator, f.leads, (n + 1) * sizeof *f.leads);
    rgi_free(&g->allocator, out, (ys.n + 1) * sizeof *out);
    rgi_sweep_finish(&f.marks);
    return result;
}

rg_nodes rg_hvp(rg_node *loss, rg_nodes xs, rg_nodes vs)
{
    return rg_jvp(rg_grad(loss, xs), xs, vs);
}
