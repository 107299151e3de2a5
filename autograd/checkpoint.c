/* checkpoint.c - parts of a graph whose inner values are not kept for the reverse pass but computed again.

   When reverse mode comes to a node of such a part, all of the part is written once more, over its inputs seen through
   the op `again`: other nodes, hence not the same as those of the forward pass, which die there. Rules are applied to
   the copies. The same ops with the same attributes, keys of draws included, give the same bits. */
#include "checkpoint.h"
#include "replay.h"
#include "rule.h"

#include "../ops/table_ops.h"

#include <retrograde/autograd.h>
#include <retrograde/op.h>

/* Nodes [first, end); copies[i] is that of node first + i, made when first asked for, and exchanged[i] whether its two
   inputs stand the other way round. */
typedef struct segment {
    uint32_t first, end;
    rg_node **copies;
    bool *exchanged;
} segment;

void rg_checkpoint_push(rg_graph *g)
{
    if (!g || g->checkpoint_depth++)
        return;
    segment *s = rgi_arena_alloc(&g->arena, sizeof *s);
    if (!s) {
        rgi_graph_fail(g, RG_ERR_MEMORY, NULL, "rg_checkpoint_push: out of memory");
        return;
    }
    *s = (segment){.first = (uint32_t)g->nodes.n, .end = UINT32_MAX};
    (void)rgi_list_push(g, &g->checkpoints, s);
}

void rg_checkpoint_pop(rg_graph *g)
{
    if (!g)
        return;
    if (!g->checkpoint_depth) {
        rgi_graph_fail(g, RG_ERR_STATE, NULL, "rg_checkpoint_pop: nothing was pushed");
        return;
    }
    if (--g->checkpoint_depth == 0 && g->checkpoints.n)
        ((segment *)g->checkpoints.at[g->checkpoints.n - 1])->end = (uint32_t)g->nodes.n;
}

static segment *segment_of(const rg_node *v)
{
    const rgi_list *all = &v->graph->checkpoints;
    size_t lo = 0, hi = all->n;
    while (lo < hi) {
        const size_t middle = (lo + hi) / 2;
        if (((const segment *)all->at[middle])->first <= v->id)
            lo = middle + 1;
        else
            hi = middle;
    }
    segment *s = lo ? all->at[lo - 1] : NULL;
    return s && s->end != UINT32_MAX && v->id < s->end ? s : NULL;
}

/* Whether a node is written again: not what starts a graph, nor the insides of bodies, which go with their scan. */
static bool repeats(const rg_node *v)
{
    return !v->region->parent && v->n_in && !(v->op->traits & (RG_LEAF | RG_EFFECT));
}

static bool write_again(rg_graph *g, segment *s)
{
    rgi_replay r;
    s->copies = rgi_arena_alloc(&g->arena, (size_t)(s->end - s->first) * sizeof *s->copies);
    s->exchanged = rgi_arena_alloc(&g->arena, (size_t)(s->end - s->first) + 1);
    if (!s->copies || !s->exchanged) {
        rgi_graph_fail(g, RG_ERR_MEMORY, NULL, "rg_checkpoint: out of memory");
        return false;
    }
    if (!rgi_replay_init(&r, g, "rg_checkpoint"))
        return false;
    r.results = true;
    bool ok = true;
    for (uint32_t id = s->first; ok && id < s->end; id++) {
        rg_node *v = rgi_node(g, id);
        if (!repeats(v))
            continue;
        for (uint32_t i = 0; ok && i < v->n_in; i++) {
            rg_node *in = v->in[i];
            if (in->op->n_out == 1 && !r.of[in->id] && (in->id < s->first || !repeats(in))) {
                r.of[in->id] = rg_apply(&rgi_op_again, RG_NODES(in), NULL);
                ok = r.of[in->id] != NULL;
            }
        }
        ok = ok && rgi_replay_body_node(&r, v);
    }
    for (uint32_t id = s->first; ok && id < s->end; id++) {
        const rg_node *v = rgi_node(g, id);
        if (!repeats(v))
            continue;
        s->copies[id - s->first] = r.of[id];
        s->exchanged[id - s->first] = rgi_replayed_input(&r, v, r.of[id], 0) != v->in[0];
    }
    rgi_replay_finish(&r);
    return ok;
}

rg_node *rgi_recomputed(rg_node *v, bool *exchanged)
{
    *exchanged = false;
    segment *s = v->graph->checkpoints.n ? segment_of(v) : NULL;
    if (!s || !repeats(v))
        return v;
    rg_node *const origin = rgi_origin_set(v->graph, NULL);
    const bool ok = s->copies || write_again(v->graph, s);
    rgi_origin_set(v->graph, origin);
    if (!ok)
        return NULL;
    *exchanged = s->exchanged[v->id - s->first];
    return s->copies[v->id - s->first];
}
