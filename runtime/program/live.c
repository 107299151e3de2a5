/* live.c - dead code: marks the nodes whose values what is fetched depends on. */
#include "lower.h"

#include "../../ops/table_ops.h"

typedef struct worklist {
    rgi_lowering *l;
    const rg_node **at;
    size_t n, capacity;
} worklist;

static void want(worklist *w, const rg_node *node)
{
    if (!node || w->l->live[node->id])
        return;
    w->l->live[node->id] = true;
    if (!rgi_push(&w->l->temporary, (void **)&w->at, &w->n, &w->capacity, sizeof *w->at, &node))
        w->l->failed = true;
}

static void want_inputs(worklist *w, const rg_node *v)
{
    if (rgi_is_scan(v)) { /* besides these, only what its live results need */
        want(w, rgi_scan_of(v)->test);
        want(w, rgi_scan_of(v)->trips);
        return;
    }
    if (rgi_outside(w->l, v)) {
        want(w, rgi_outside(w->l, v));
    } else if (rgi_stand_in(w->l, v) != v) {
        want(w, rgi_stand_in(w->l, v));
    } else if (v->op == &rgi_op_scan_carry) {
        const rg_scan *s = v->region->scan;
        rgi_retracing as;
        const rgi_retrace *r = rgi_retrace_of(w->l->p, s, &as);
        want(w, s->inits.at[v->result]);
        want(w, s->nexts.at[v->result]);
        want(w, r && as == RGI_AGAIN ? rgi_kept_start(r->forward, v->result) : NULL);
    } else if (v->op == &rgi_op_scan_slice) {
        want(w, v->region->scan->xs.at[v->result]);
        want(w, rgi_walked_carry(w->l->p, v));
    } else if (rgi_is_projection(v) && rgi_is_scan(v->in[0])) {
        rg_node *outside = rgi_result_outside(w->l, v);
        if (outside) {
            want(w, outside);
            return;
        }
        want(w, v->in[0]);
        want(w, rgi_projection_of(v)->of);
    } else {
        for (size_t i = 0; i < v->n_in; i++)
            if (rgi_reads(v->op, i) || v->op == &rgi_op_group)
                want(w, v->in[i]);
    }
    if (v->op == &rgi_op_training)
        w->l->mode_reader = v;
}

static void drain(worklist *w)
{
    while (w->n && !w->l->failed)
        want_inputs(w, w->at[--w->n]);
}

bool rgi_mark_live(rgi_lowering *l, rg_nodes fetch)
{
    worklist w = {.l = l};
    l->live = rgi_arena_alloc(&l->temporary, l->g->nodes.n + 1);
    l->n_live = l->g->nodes.n;
    l->mode_reader = NULL;
    if (!l->live)
        return false;
    for (size_t i = 0; i < fetch.n; i++)
        want(&w, fetch.at[i]);
    for (size_t i = 0; i < l->n_agreements; i++)
        want(&w, l->agreements[i]);
    drain(&w);
    for (size_t i = 0; i < l->g->assigns.n; i++)
        l->p->has_effects = l->p->has_effects || l->live[((rg_node *)l->g->assigns.at[i])->id];
    /* a run that trains draws anew next time */
    if (l->p->has_effects && l->g->random_step && l->live[l->g->random_step->id]) {
        want(&w, l->g->random_advance);
        drain(&w);
    }
    return !l->failed;
}
