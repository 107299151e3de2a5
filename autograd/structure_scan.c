/* structure_scan.c - dependence through a recurrence: its body is gone through once a step, as in a run. Of a loop
   whose steps come with the data every result may depend on all that the loop reads. */
#include "rule.h"
#include "structure.h"

#include <string.h>

/* Row t of a list of rows, each as long as `row` has elements. */
static void copy_row(rgi_tracing *t, const rg_node *from, size_t at, const rg_node *row, uint32_t *to)
{
    const uint32_t *sets = from->id < t->n ? t->of[from->id] : NULL;
    const size_t n = rgi_elements(row);
    if (sets)
        memcpy(to, sets + at * n, n * sizeof *to);
    else
        memset(to, 0, n * sizeof *to);
}

/* Sets of a leaf of the body, from row `at` of a node outside; false: out of memory. */
static bool fill_leaf(rgi_tracing *t, const rg_node *leaf, const rg_node *from, size_t at)
{
    uint32_t *own = rgi_differentiable(leaf) ? rgi_traced(t, leaf) : NULL;
    if (own)
        copy_row(t, from, at, leaf, own);
    return own || !rgi_differentiable(leaf);
}

static bool is_result(const rgi_tracing *t, const rg_node *r)
{
    return r->id < t->n && rgi_differentiable(r);
}

/* What a step has made, into the stacks; carries as they are at its beginning where `starts`. */
static bool stack(rgi_tracing *t, const rg_scan *s, size_t step, size_t steps, bool starts)
{
    for (size_t k = 0; k < s->results.n; k++) {
        const rg_node *r = s->results.at[k];
        const rgi_projection *p = rgi_projection_of(r);
        const bool carry = p->of->op == &rgi_op_scan_carry && p->of->region == s->region;
        if (!is_result(t, r) || p->last || carry != starts)
            continue;
        const size_t every = p->every ? (size_t)p->every : 1;
        if (s->reverse ? step % every != every - 1 && step != steps - 1 : step % every != 0)
            continue;
        uint32_t *rows = rgi_traced(t, r);
        if (!rows)
            return false;
        copy_row(t, p->of, 0, p->of, rows + step / every * rgi_elements(p->of));
    }
    return true;
}

static bool run_body(rgi_tracing *t, const rg_scan *s)
{
    for (size_t id = s->first_id; id < s->node->id; id++) {
        rg_node *v = rgi_node(t->g, id);
        if (v->region == s->region && v->n_in && !rgi_trace(t, v))
            return false;
    }
    return true;
}

/* All carries change at once. */
static bool next(rgi_tracing *t, const rg_scan *s)
{
    const rg_allocator *a = &t->g->allocator;
    size_t n = 0, at = 0;
    for (size_t j = 0; j < s->carries.n; j++)
        n += rgi_elements(s->carries.at[j]);
    uint32_t *news = rgi_alloc(a, (n + 1) * sizeof *news);
    for (int round = 0; news && round < 2; round++, at = 0)
        for (size_t j = 0; j < s->carries.n; j++) {
            rg_node *leaf = s->carries.at[j];
            uint32_t *own = t->of[leaf->id];
            if (!round)
                copy_row(t, s->nexts.at[j], 0, leaf, news + at);
            else if (own)
                memcpy(own, news + at, rgi_elements(leaf) * sizeof *own);
            at += rgi_elements(leaf);
        }
    rgi_free(a, news, (n + 1) * sizeof *news);
    return news != NULL;
}

static bool step_by_step(rgi_tracing *t, const rg_scan *s)
{
    const size_t steps = (size_t)((const rg_node *)s->xs.at[0])->shape->a.dim[0];
    bool ok = true;
    for (size_t j = 0; ok && j < s->carries.n; j++)
        ok = fill_leaf(t, s->carries.at[j], s->inits.at[j], 0);
    for (size_t k = 0; ok && k < steps; k++) {
        const size_t step = s->reverse ? steps - 1 - k : k;
        for (size_t i = 0; ok && i < s->slices.n; i++)
            ok = fill_leaf(t, s->slices.at[i], s->xs.at[i], step);
        ok = ok && stack(t, s, step, steps, true) && run_body(t, s) && stack(t, s, step, steps, false) && next(t, s);
    }
    for (size_t k = 0; ok && k < s->results.n; k++) {
        const rg_node *r = s->results.at[k];
        if (is_result(t, r) && rgi_projection_of(r)->last)
            ok = fill_leaf(t, r, rgi_projection_of(r)->of, 0);
    }
    return ok;
}

static bool all_of_all(rgi_tracing *t, const rg_scan *s)
{
    uint32_t all = 0;
    for (size_t i = 0; i < s->node->n_in; i++) {
        const rg_node *in = s->node->in[i];
        const uint32_t *sets = in->id < t->n ? t->of[in->id] : NULL;
        const uint32_t more = sets ? rgi_set_join(&t->sets, sets, rgi_elements(in)) : 0;
        all = rgi_set_join(&t->sets, (const uint32_t[]){all, more}, 2);
    }
    for (size_t k = 0; k < s->results.n; k++) {
        const rg_node *r = s->results.at[k];
        uint32_t *own = is_result(t, r) ? rgi_traced(t, r) : NULL;
        if (is_result(t, r) && !own)
            return false;
        for (size_t e = 0; own && e < rgi_elements(r); e++)
            own[e] = all;
    }
    return true;
}

bool rgi_trace_scan(rgi_tracing *t, const rg_scan *s)
{
    char label[RGI_LABEL];
    const bool counted = !s->endless && !s->trips;
    bool named = ((const rg_node *)s->xs.at[0])->shape->named;
    for (size_t k = 0; k < s->results.n; k++)
        named = named || ((const rg_node *)s->results.at[k])->shape->named;
    if (named)
        rgi_graph_fail(t->g, RG_ERR_SHAPE, s->node,
                       "%s: the structure of %s depends on a size that is known only when data is bound", t->caller,
                       rgi_format_node(s->node, label, sizeof label));
    else if (!(counted ? step_by_step(t, s) : all_of_all(t, s)))
        rgi_graph_fail(t->g, RG_ERR_MEMORY, s->node, "%s: out of memory", t->caller);
    return t->g->error.status == RG_OK;
}
