/* scan_copy.c - copies the body of a recurrence, scans inside of it included. The copies depend on other leaves, so they
   are other nodes than the originals; draws keep their keys, hence their bits. */
#include "scan_copy.h"
#include "rule.h"

#include <retrograde/ops.h>

bool rgi_copy_begin(rgi_copy *c, rg_graph *g)
{
    *c = (rgi_copy){.graph = g, .n = g->nodes.n};
    c->of = rgi_alloc(&g->allocator, (c->n + 1) * sizeof *c->of);
    if (!c->of)
        rgi_graph_fail(g, RG_ERR_MEMORY, NULL, "reverse of a scan: out of memory");
    return c->of != NULL;
}

void rgi_copy_end(rgi_copy *c)
{
    rgi_free(&c->graph->allocator, c->of, (c->n + 1) * sizeof *c->of);
    c->of = NULL;
}

rg_node *rgi_copied(const rgi_copy *c, rg_node *node)
{
    rg_node *copy = node->id < c->n ? c->of[node->id] : NULL;
    return copy ? copy : rgi_seen(c->graph, node);
}

/* A scan inside the body: its leaves, its body, its results. */
static bool copy_scan(rgi_copy *c, const rg_scan *from)
{
    const rg_scan_opts opts = {
        .name = from->name, .reverse = from->reverse, .keep_every = from->keep_every, .keep_bytes = from->keep_bytes};
    rg_scan *to = rg_scan_begin(c->graph, &opts);
    if (to) {
        to->endless = from->endless;
        to->most = from->most;
        to->trips = from->trips ? rgi_copied(c, from->trips) : NULL;
    }
    for (size_t i = 0; to && i < from->xs.n; i++)
        c->of[((rg_node *)from->slices.at[i])->id] = rg_scan_slice(to, rgi_copied(c, from->xs.at[i]));
    for (size_t j = 0; to && j < from->inits.n; j++)
        c->of[((rg_node *)from->carries.at[j])->id] = rg_scan_carry(to, rgi_copied(c, from->inits.at[j]));
    if (to && from->index)
        c->of[from->index->id] = rgi_scan_index(c->graph);
    if (!to || !rgi_copy_body(c, from))
        return false;
    to->count = from->count ? rgi_copied(c, from->count) : NULL;
    to->test = from->test ? rgi_copied(c, from->test) : NULL;
    for (size_t j = 0; j < from->carries.n; j++)
        rg_scan_next(to, rgi_copied(c, from->carries.at[j]), rgi_copied(c, from->nexts.at[j]));
    for (size_t k = 0; k < from->results.n; k++) {
        rg_node *r = from->results.at[k];
        const rgi_projection *p = rgi_projection_of(r);
        rg_node *of = rgi_copied(c, p->of);
        if (r->id < c->n)
            c->of[r->id] = rgi_scan_result_like(to, p, of);
    }
    rg_scan_end(to);
    return c->graph->error.status == RG_OK;
}

bool rgi_copy_node(rgi_copy *c, rg_node *v)
{
    rg_graph *g = c->graph;
    if (c->of[v->id])
        return true; /* a leaf, or a result of a scan */
    if (rgi_is_scan(v))
        return copy_scan(c, rgi_scan_of(v));
    if (rgi_is_projection(v)) {
        c->of[v->id] = rg_output(rgi_copied(c, v->in[0]), v->result);
        return c->of[v->id] != NULL;
    }
    rg_node **in = rgi_alloc(&g->allocator, (v->n_in + 1) * sizeof(rg_node *));
    if (!in) {
        rgi_graph_fail(g, RG_ERR_MEMORY, v, "reverse of a scan: out of memory");
        return false;
    }
    for (size_t i = 0; i < v->n_in; i++)
        in[i] = rgi_copied(c, v->in[i]);
    rg_node *const origin = rgi_origin_set(g, v);
    c->of[v->id] = rg_apply_in(g, v->op, (rg_nodes){in, v->n_in}, v->attr);
    rgi_origin_set(g, origin);
    rgi_free(&g->allocator, in, (v->n_in + 1) * sizeof(rg_node *));
    return c->of[v->id] != NULL;
}

bool rgi_copy_body(rgi_copy *c, const rg_scan *from)
{
    for (size_t id = from->first_id; id < from->node->id; id++) {
        rg_node *v = rgi_node(c->graph, id);
        if (v->region == from->region && (v->n_in || !(v->op->traits & RG_LEAF)) && !rgi_copy_node(c, v))
            return false;
    }
    return c->graph->error.status == RG_OK;
}
