/* batch.c - many examples at once: nodes computed again with one more leading axis, by the batching rules of their ops;
   and what is made of it, the matrices of all derivatives. */
#include "batch.h"

#include "../graph/scan.h"
#include "../ops/batch.h"
#include "../ops/placeholder.h"
#include "sweep.h"

#include <retrograde/autograd.h>
#include <retrograde/ops.h>

typedef struct batching {
    rg_graph *g;
    const char *caller; /* the public function, for errors */
    rg_node **of;       /* by id: the node with the axis, NULL where it has none */
    bool *needed;       /* by id: an ancestor of what is asked for */
    rg_node **in, **out;
    bool *batched;
    size_t n, widest;
} batching;

static bool begin(batching *b, rg_graph *g, const char *caller)
{
    *b = (batching){.g = g, .caller = caller, .n = rg_graph_size(g), .widest = 1};
    for (size_t id = 0; id < b->n; id++) {
        const rg_node *v = rgi_node(g, (uint32_t)id);
        const size_t outs = rgi_output_count(v);
        b->widest = v->n_in > b->widest ? v->n_in : b->widest;
        b->widest = outs > b->widest ? outs : b->widest;
    }
    b->of = rgi_alloc(&g->allocator, (b->n + 1) * sizeof *b->of);
    b->needed = rgi_alloc(&g->allocator, b->n + 1);
    b->in = rgi_alloc(&g->allocator, 2 * b->widest * sizeof *b->in);
    b->out = b->in ? b->in + b->widest : NULL;
    b->batched = rgi_alloc(&g->allocator, b->widest);
    if (b->of && b->needed && b->in && b->batched)
        return true;
    rgi_graph_fail(g, RG_ERR_MEMORY, NULL, "%s: out of memory", caller);
    return false;
}

static void finish(batching *b)
{
    const rg_allocator *a = &b->g->allocator;
    rgi_free(a, b->of, (b->n + 1) * sizeof *b->of);
    rgi_free(a, b->needed, b->n + 1);
    rgi_free(a, b->in, 2 * b->widest * sizeof *b->in);
    rgi_free(a, b->batched, b->widest);
}

/* A scan without carries, of one step an example. */
static void loop_over_examples(rg_node *v, rg_node *const in[], const bool batched[], rg_node *out[])
{
    rg_graph *g = v->graph;
    rg_node **each = rgi_alloc(&g->allocator, (v->n_in + 1) * sizeof *each);
    rg_scan *s = each ? rg_scan_begin(g, &(rg_scan_opts){.name = v->op->name}) : NULL;
    if (!each)
        rgi_graph_fail(g, RG_ERR_MEMORY, v, "%s: out of memory for a batching rule", v->op->name);
    for (uint32_t i = 0; s && i < v->n_in; i++)
        each[i] = batched[i] ? rg_scan_slice(s, in[i]) : in[i];
    rg_node *one = s ? rg_apply_in(g, v->op, (rg_nodes){each, v->n_in}, v->attr) : NULL;
    for (size_t k = 0; one && k < (size_t)v->op->n_out; k++)
        out[k] = rg_scan_stack(s, rgi_output(one, k));
    rg_scan_end(s);
    rgi_free(&g->allocator, each, (v->n_in + 1) * sizeof *each);
}

void rgi_batch_node(rg_node *v, rg_node *const in[], const bool batched[], rg_node *out[])
{
    if (v->op->batch || (v->op->traits & RG_ELEMENTWISE))
        (v->op->batch ? v->op->batch : rgi_batch_elementwise)(v, in, batched, out);
    else
        loop_over_examples(v, in, batched, out);
}

static bool batch_node(batching *b, rg_node *v)
{
    bool any = false;
    for (size_t i = 0; i < v->n_in; i++) {
        rg_node *with = b->of[v->in[i]->id];
        b->in[i] = with ? with : v->in[i];
        b->batched[i] = with != NULL;
        any = any || with;
    }
    if (!any || b->of[v->id])
        return true;
    const bool scan = rgi_is_scan(v);
    if (rgi_is_projection(v))
        return true; /* set by its owner, or not batched */
    const size_t n_out = rgi_output_count(v);
    for (size_t k = 0; k < n_out; k++)
        b->out[k] = NULL;
    rg_node *const origin = rgi_origin_set(b->g, v);
    if (scan)
        (void)rgi_scan_batch(v, b->in, b->batched, b->out, b->caller);
    else
        rgi_batch_node(v, b->in, b->batched, b->out);
    rgi_origin_set(b->g, origin);
    for (size_t k = 0; k < n_out; k++) {
        const rg_node *one = rgi_output(v, k);
        if (one && one->id < b->n)
            b->of[one->id] = b->out[k];
    }
    return b->g->error.status == RG_OK;
}

rg_node *rgi_batch(rg_node *y, rg_node *x, rg_node *examples, const char *caller)
{
    batching b;
    rg_node *out = NULL;
    if (begin(&b, y->graph, caller)) {
        bool ok = true;
        b.of[x->id] = examples;
        b.needed[y->id] = true;
        for (size_t id = y->id + 1; id-- > x->id;)
            for (size_t i = 0; b.needed[id] && i < rgi_node(b.g, (uint32_t)id)->n_in; i++)
                b.needed[rgi_node(b.g, (uint32_t)id)->in[i]->id] = true;
        for (size_t id = x->id + 1; ok && id <= y->id; id++)
            ok = !b.needed[id] || batch_node(&b, rgi_node(b.g, (uint32_t)id));
        out = ok ? b.of[y->id] : NULL;
    }
    finish(&b);
    return out;
}

/* ---- all derivatives ---- */

/* [n, x...], n the elements of x: example i is one at element i and zero elsewhere. */
static rg_node *unit_vectors(rg_node *x)
{
    const rg_shape *shape = &x->shape->a;
    rg_node *flat = rg_reshape(x, RG_SHAPE(-1));
    if (!flat)
        return NULL;
    rg_node *number = rg_arange(x->graph, RG_I64, 0, 1, flat->shape->a.dim[0]);
    rg_node *rows = rg_cast(rg_equal(rg_unsqueeze(number, 1), number), x->dtype);
    rg_shape each = {.rank = shape->rank + 1, .dim = {flat->shape->a.dim[0]}};
    for (int32_t k = 0; k < shape->rank; k++)
        each.dim[k + 1] = shape->dim[k];
    return rg_reshape(rows, each);
}

static rg_shape joined(const rg_shape *a, const rg_shape *b)
{
    rg_shape out = *a;
    for (int32_t k = 0; k < b->rank; k++)
        out.dim[out.rank++] = b->dim[k];
    return out;
}

/* y and x are floats of one graph, and the result has not too many axes. */
static bool check(rg_node *y, rg_node *x, const char *caller)
{
    char a[RGI_LABEL], b[RGI_LABEL];
    if (!rgi_check_pair(caller, y, x))
        return false;
    if (y->shape->a.rank + x->shape->a.rank > RG_MAX_RANK)
        rgi_graph_fail(y->graph, RG_ERR_SHAPE, NULL, "%s: %d axes of %s and %d of %s are more than %d", caller,
                       y->shape->a.rank, rgi_format_node(y, a, sizeof a), x->shape->a.rank,
                       rgi_format_node(x, b, sizeof b), RG_MAX_RANK);
    return y->graph->error.status == RG_OK;
}

static rg_node *jacobian(rg_node *y, rg_node *x, const char *caller)
{
    const rg_shape *ys = &y->shape->a, *xs = &x->shape->a;
    const int64_t n = rg_shape_count(*ys), m = rg_shape_count(*xs);
    if (!n || !m)
        return rg_zeros(y->graph, y->dtype, joined(ys, xs));
    const bool reverse = n <= m;
    rg_node *from = reverse ? y : x, *u = rgi_placeholder(from), *units = unit_vectors(from);
    if (!u || !units)
        return NULL;
    const rg_nodes once = reverse ? rg_vjp((rg_nodes){&y, 1}, (rg_nodes){&u, 1}, (rg_nodes){&x, 1})
                                  : rg_jvp((rg_nodes){&y, 1}, (rg_nodes){&x, 1}, (rg_nodes){&u, 1});
    if (once.n != 1)
        return NULL;
    rg_node *all = rgi_batch(once.at[0], u, units, caller);
    if (y->graph->error.status != RG_OK)
        return NULL;
    if (!all)
        return rg_zeros(y->graph, y->dtype, joined(ys, xs));
    if (!reverse) { /* [n, y...]: the leading axis goes to the end */
        rg_axes order = {.n = ys->rank + 1};
        for (int32_t k = 0; k < ys->rank; k++)
            order.axis[k] = k + 1;
        all = rg_transpose(all, order);
    }
    return rg_reshape(all, joined(ys, xs));
}

rg_node *rg_jacobian(rg_node *y, rg_node *x)
{
    return check(y, x, "rg_jacobian") ? jacobian(y, x, "rg_jacobian") : NULL;
}

rg_node *rg_hessian(rg_node *loss, rg_node *x)
{
    if (!check(loss, x, "rg_hessian"))
        return NULL;
    const rg_nodes gradient = rg_grad(loss, (rg_nodes){&x, 1});
    return gradient.n && check(gradient.at[0], x, "rg_hessian") ? jacobian(gradient.at[0], x, "rg_hessian") : NULL;
}
