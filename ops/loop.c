/* loop.c - loops and branches that depend on data, as recurrences of a number of steps that is known in the run alone.

   A loop is a scan along nothing that goes on while its test is true. Its steps are counted by a carry; the reverse
   rule is a scan over the residuals of so many steps. A branch is a scan of one step or none, with its inputs as
   slices. */
#include "common.h"

#include "../graph/scan.h"

#include <retrograde/op.h>

#include <inttypes.h>
#include <string.h>

rg_scan *rg_while_begin(rg_graph *g, const rg_while_opts *opts)
{
    const rg_while_opts o = opts ? *opts : (rg_while_opts){.name = NULL};
    if (!g) {
        rgi_fail(RG_ERR_ARGUMENT, "rg_while_begin: the graph is NULL");
        return NULL;
    }
    if (o.max_iter < 0 || o.max_iter == INT64_MAX) {
        rg_build_fail(g, RG_ERR_ARGUMENT, "rg_while_begin: max_iter %" PRId64 " is no number of steps", o.max_iter);
        return NULL;
    }
    rg_scan *s = rg_scan_begin(g, &(rg_scan_opts){.name = o.name ? o.name : "while"});
    if (!s)
        return NULL;
    rgi_scan_length_like(s, rg_zeros(g, RG_U8, RG_SHAPE(o.max_iter + 1))); /* the test is made once more */
    s->endless = true;
    s->most = o.max_iter;
    s->count = rg_scan_carry(s, rg_scalar(g, RG_I64, 0));
    rg_scan_next(s, s->count, rg_add(s->count, rg_scalar(g, RG_I64, 1)));
    return s;
}

void rg_while_test(rg_scan *s, rg_node *go)
{
    char label[2 * RGI_LABEL];
    if (!s || !go)
        return;
    rg_graph *g = s->graph;
    if (!s->endless || !s->region->open)
        rg_build_fail(g, RG_ERR_REGION, "rg_while_test: '%s' is no open loop", rgi_scan_name(s));
    else if (s->test)
        rg_build_fail(g, RG_ERR_STATE, "rg_while_test: loop '%s' has its test already", rgi_scan_name(s));
    else if (!rgi_usable(g, "rg_while_test", "the test", go))
        return;
    else if (go->dtype != RG_BOOL || go->shape->a.rank)
        rg_build_fail(g, RG_ERR_ARGUMENT, "rg_while_test: the test must be a bool scalar, it is %s",
                      rgi_format_operand(go, label, sizeof label));
    else if (rgi_region_join(g, "rg_while_test", s->region, go->region) == s->region)
        s->test = go;
}

rg_node *rg_while_count(rg_scan *s)
{
    if (s && !s->endless)
        return rg_build_fail(s->graph, RG_ERR_ARGUMENT, "rg_while_count: '%s' is no loop", rgi_scan_name(s));
    return s ? rg_scan_last(s, s->count) : NULL;
}

/* ---- branches ---- */

/* The branch that is taken where `choice` is `taken`: the stacks of its results. Empty on error. */
static rg_nodes branch(rg_node *choice, bool taken, rg_branch build, void *user, rg_nodes in)
{
    rg_graph *g = choice->graph;
    const rg_nodes none = {NULL, 0};
    rg_node *trips = rg_cast(taken ? choice : rg_logical_not(choice), RG_I64);
    rg_scan *s = rg_scan_begin(g, &(rg_scan_opts){.name = taken ? "then" : "else"});
    rg_node **seen = rgi_arena_alloc(&g->arena, (in.n + 1) * sizeof *seen);
    if (!seen)
        rg_build_fail(g, RG_ERR_MEMORY, "rg_cond: out of memory");
    if (!s || !seen)
        return none;
    s->trips = trips;
    s->choice = choice;
    s->taken = taken;
    for (size_t i = 0; i < in.n; i++)
        seen[i] = rg_scan_slice(s, rg_unsqueeze(in.at[i], 0));
    rgi_scan_length_like(s, rg_zeros(g, RG_U8, RG_SHAPE(1)));
    const rg_nodes results = g->error.status ? none : build(user, (rg_nodes){seen, in.n});
    rg_node **stacks = rgi_arena_alloc(&g->arena, (results.n + 1) * sizeof *stacks);
    if (!stacks)
        rg_build_fail(g, RG_ERR_MEMORY, "rg_cond: out of memory");
    for (size_t k = 0; stacks && k < results.n; k++)
        stacks[k] = rgi_usable(g, "rg_cond", "a result of a branch", rg_at(results, k))
                        ? rgi_scan_stack(s, results.at[k])
                        : NULL;
    rg_scan_end(s);
    return stacks && !g->error.status ? (rg_nodes){stacks, results.n} : none;
}

static bool alike(rg_graph *g, rg_nodes a, rg_nodes b)
{
    char x[2 * RGI_LABEL], y[2 * RGI_LABEL];
    if (g->error.status)
        return false;
    if (a.n != b.n || !a.n) {
        rg_build_fail(g, RG_ERR_ARGUMENT, "rg_cond: one branch has %zu results, the other %zu", a.n, b.n);
        return false;
    }
    for (size_t k = 0; k < a.n; k++)
        if (a.at[k]->dtype != b.at[k]->dtype || a.at[k]->shape != b.at[k]->shape) {
            rg_build_fail(g, RG_ERR_SHAPE,
                          "rg_cond: result %zu is %s in one branch and %s in the other (behind axis 0)", k,
                          rgi_format_type(g, a.at[k]->dtype, a.at[k]->shape->a, x, sizeof x),
                          rgi_format_type(g, b.at[k]->dtype, b.at[k]->shape->a, y, sizeof y));
            return false;
        }
    return true;
}

rg_nodes rg_cond(rg_node *predicate, rg_branch then_, rg_branch else_, void *user, rg_nodes in)
{
    const rg_nodes none = {NULL, 0};
    char label[2 * RGI_LABEL];
    if (!predicate)
        return none;
    rg_graph *g = predicate->graph;
    if (g->error.status)
        return none;
    bool ok = then_ && else_;
    for (size_t i = 0; ok && i < in.n; i++)
        ok = rg_at(in, i) != NULL;
    if (!ok || predicate->dtype != RG_BOOL || predicate->shape->a.rank) {
        rg_build_fail(g, RG_ERR_ARGUMENT,
                      ok ? "rg_cond: the predicate must be a bool scalar, it is %s"
                         : "rg_cond: a branch or an input is NULL, predicate %s",
                      rgi_format_operand(predicate, label, sizeof label));
        return none;
    }
    const rg_nodes a = branch(predicate, true, then_, user, in), b = branch(predicate, false, else_, user, in);
    rg_node **out = rgi_arena_alloc(&g->arena, (a.n + 1) * sizeof *out);
    if (!out || !a.at || !b.at || !alike(g, a, b))
        return none;
    for (size_t k = 0; k < a.n; k++)
        out[k] = rg_where(predicate, rg_squeeze(a.at[k], 0), rg_squeeze(b.at[k], 0));
    return g->error.status ? none : (rg_nodes){out, a.n};
}
