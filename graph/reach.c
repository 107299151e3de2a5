/* reach.c - what a node depends on: its parameters, and the effects attached along the way. */
#include "scan.h"

/* A byte per node: set for what is depended on. */
typedef struct marks {
    rg_graph *graph;
    uint8_t *at;
    size_t n; /* nodes of the graph */
} marks;

static bool marks_new(marks *m, rg_graph *g, const char *name)
{
    *m = (marks){.graph = g, .n = g->nodes.n};
    m->at = rgi_alloc(&g->allocator, m->n ? m->n : 1);
    if (!m->at)
        rgi_graph_fail(g, RG_ERR_MEMORY, NULL, "%s: out of memory", name);
    return m->at != NULL;
}

static void marks_free(marks *m)
{
    rgi_free(&m->graph->allocator, m->at, m->n ? m->n : 1);
}

/* Marks all that the marked nodes with ids up to `from` depend on. Inputs have smaller ids, so one walk down suffices;
   the nodes of a recurrence's body lie between its first id and its own. */
static void marks_spread(marks *m, size_t from)
{
    for (size_t id = from + 1; id-- > 0;) {
        if (!m->at[id])
            continue;
        const rg_node *v = rgi_node(m->graph, id);
        for (size_t i = 0; i < v->n_in; i++)
            m->at[v->in[i]->id] = 1;
        if (rgi_is_scan(v)) {
            const rg_scan *s = rgi_scan_of(v);
            for (size_t b = s->first_id; b < id; b++)
                if (rgi_node(m->graph, b)->region == s->region)
                    m->at[b] = 1;
        }
    }
}

rg_nodes(rg_params_of)(rg_node *node)
{
    const rg_nodes none = {NULL, 0};
    marks m;
    if (!node || (node->id >= node->graph->nodes.n && !rgi_usable(node->graph, "rg_params_of", "the node", node)) ||
        !marks_new(&m, node->graph, "rg_params_of"))
        return none;
    rg_graph *g = node->graph;
    m.at[node->id] = 1;
    marks_spread(&m, node->id);
    const rg_nodes all = rg_params(g);
    rg_node **found = all.n ? rgi_alloc(&g->allocator, all.n * sizeof *found) : NULL;
    size_t n = 0;
    if (all.n && !found)
        rgi_graph_fail(g, RG_ERR_MEMORY, NULL, "rg_params_of: out of memory");
    for (size_t i = 0; found && i < all.n; i++)
        if (m.at[all.at[i]->id])
            found[n++] = all.at[i];
    const rg_nodes list = n ? rgi_nodes_copy(g, found, n) : none;
    rgi_free(&g->allocator, found, all.n * sizeof *found);
    marks_free(&m);
    return list;
}

/* An attached effect may depend on nodes that have effects of their own: until nothing is added. Every round adds one
   effect at least, and few graphs have a second round. */
rg_nodes(rg_attached)(rg_nodes roots)
{
    const rg_nodes none = {NULL, 0};
    rg_graph *g = rg_graph_of(rg_at(roots, 0));
    marks m;
    for (size_t i = 0; g && i < roots.n; i++)
        if (roots.at[i] && !rgi_usable(g, "rg_attached", "a root", roots.at[i]))
            return none;
    if (!g || g->attached.n == 0 || !marks_new(&m, g, "rg_attached"))
        return none;
    const size_t pairs = g->attached.n / 2;
    rg_node **found = rgi_alloc(&g->allocator, pairs * sizeof *found);
    size_t n = 0, before;
    if (!found)
        rgi_graph_fail(g, RG_ERR_MEMORY, NULL, "rg_attached: out of memory");
    for (size_t i = 0; i < roots.n; i++)
        if (roots.at[i])
            m.at[roots.at[i]->id] = 1;
    do {
        marks_spread(&m, m.n - 1);
        before = n;
        n = 0;
        for (size_t i = 0; found && i < pairs; i++) {
            const rg_node *node = g->attached.at[2 * i];
            rg_node *effect = g->attached.at[2 * i + 1];
            if (!m.at[node->id])
                continue;
            m.at[effect->id] = 1;
            size_t k = 0;
            while (k < n && found[k] != effect)
                k++;
            if (k == n)
                found[n++] = effect;
        }
    } while (n > before);
    const rg_nodes list = n ? rgi_nodes_copy(g, found, n) : none;
    rgi_free(&g->allocator, found, pairs * sizeof *found);
    marks_free(&m);
    return list;
}
