/* scan.c - building a recurrence: opening a body, its leaves, its results, closing it. */
#include "scan.h"

#include <inttypes.h>

#define RGI_PENDING UINT32_MAX /* id of a result asked for before its scan has one */

const char *rgi_scan_name(const rg_scan *s)
{
    return s && s->name ? s->name : "scan";
}

rg_scan *(rg_scan_begin)(rg_graph *g, const rg_scan_opts *opts)
{
    if (!g) {
        rgi_fail(RG_ERR_ARGUMENT, "rg_scan_begin: the graph is NULL");
        return NULL;
    }
    if (opts && (opts->keep_every < RG_KEEP_SQRT || (opts->keep_every && opts->keep_bytes))) {
        rgi_graph_fail(g, RG_ERR_ARGUMENT, NULL,
                       opts->keep_bytes ? "rg_scan_begin: both keep_every and keep_bytes"
                                        : "rg_scan_begin: keep_every is %" PRId64,
                       opts->keep_every);
        return NULL;
    }
    rg_scan *s = rgi_arena_alloc(&g->arena, sizeof *s);
    rgi_region *r = rgi_arena_alloc(&g->arena, sizeof *r);
    const char *name = opts && opts->name ? rgi_string(g, opts->name) : NULL;
    if (!s || !r || (opts && opts->name && !name)) {
        rgi_graph_fail(g, RG_ERR_MEMORY, NULL, "rg_scan_begin: out of memory");
        return NULL;
    }
    *r = (rgi_region){
        .graph = g, .parent = g->regions.at[0], .scan = s, .id = (uint32_t)g->regions.n, .depth = 1, .open = true};
    *s = (rg_scan){.graph = g,
                   .region = r,
                   .name = name,
                   .reverse = opts && opts->reverse,
                   .keep_every = opts ? opts->keep_every : 0,
                   .keep_bytes = opts ? opts->keep_bytes : 0,
                   .bounded = opts && (opts->keep_every || opts->keep_bytes),
                   .first_id = (uint32_t)g->nodes.n};
    if (!rgi_list_push(g, &g->regions, r))
        return NULL;
    if (!rgi_list_push(g, &g->open, r)) {
        r->open = false;
        return NULL;
    }
    if (opts && opts->lengths && !rgi_scan_set_lengths(s, opts->lengths)) {
        r->open = false;
        g->open.n--;
        return NULL;
    }
    return s;
}

/* Checks that `s` still takes leaves and that `outer` lies outside of it; deepens the body's parent. */
static bool takes(rg_scan *s, const char *what, rg_node *outer)
{
    if (!s || !outer)
        return false;
    rg_graph *g = s->graph;
    if (!s->region->open)
        rgi_graph_fail(g, RG_ERR_REGION, NULL, "%s: scan '%s' has ended", what, rgi_scan_name(s));
    else if (!rgi_usable(g, what, "the node from outside", outer))
        return false;
    else if (rgi_region_within(outer->region, s->region))
        rgi_graph_fail(g, RG_ERR_REGION, NULL,
                       "%s: the node is inside the body of scan '%s', it must come from outside", what,
                       rgi_scan_name(s));
    else
        return rgi_region_join(g, what, s->region, outer->region) != NULL;
    return false;
}

static rg_shape without_first(rg_shape shape)
{
    rg_shape out = {.rank = shape.rank - 1};
    for (int32_t i = 1; i < shape.rank; i++)
        out.dim[i - 1] = shape.dim[i];
    return out;
}

static rg_shape with_first(int64_t size, rg_shape shape)
{
    rg_shape out = {.rank = shape.rank + 1};
    out.dim[0] = size;
    for (int32_t i = 0; i < shape.rank && i + 1 < RG_MAX_RANK; i++)
        out.dim[i + 1] = shape.dim[i];
    return out;
}

/* The steps of two sequences must be the same number under both assignments. */
static bool same_length(rg_scan *s, const rg_node *xs)
{
    if (xs->shape->a.rank < 1) {
        char label[RGI_LABEL];
        rgi_graph_fail(s->graph, RG_ERR_SHAPE, NULL,
                       "rg_scan_slice: %s is a scalar, it has no leading axis to walk along",
                       rgi_format_node(xs, label, sizeof label));
        return false;
    }
    if (s->xs.n) {
        const rg_node *first = s->xs.at[0];
        if (first->shape->a.dim[0] != xs->shape->a.dim[0] || first->shape->b.dim[0] != xs->shape->b.dim[0]) {
            char la[RGI_LABEL], lb[RGI_LABEL], ta[RGI_LABEL], tb[RGI_LABEL];
            rgi_graph_fail(s->graph, RG_ERR_SHAPE, NULL,
                           "rg_scan_slice: scan '%s' walks along axis 0 of %s %s and of %s %s: different lengths",
                           rgi_scan_name(s), rgi_format_type(s->graph, first->dtype, first->shape->a, ta, sizeof ta),
                           rgi_format_node(first, la, sizeof la),
                           rgi_format_type(s->graph, xs->dtype, xs->shape->a, tb, sizeof tb),
                           rgi_format_node(xs, lb, sizeof lb));
            return false;
        }
    }
    return true;
}

rg_node *(rg_scan_slice)(rg_scan *s, rg_node *xs)
{
    if (s && s->endless && s->xs.n)
        return rgi_graph_fail(s->graph, RG_ERR_ARGUMENT, NULL, "rg_scan_slice: loop '%s' walks along nothing",
                              rgi_scan_name(s));
    if (!takes(s, "rg_scan_slice", xs) || !same_length(s, xs))
        return NULL;
    rg_graph *g = s->graph;
    for (size_t i = 0; i < s->xs.n; i++)
        if (s->xs.at[i] == xs && s->slices.at[i])
            return s->slices.at[i];
    const rgi_shape *shape = rgi_shape_intern(g, without_first(xs->shape->a), without_first(xs->shape->b));
    rg_node *leaf = shape ? rgi_node_new(g, &rgi_op_scan_slice, NULL, 0, NULL, xs->dtype, shape, s->region) : NULL;
    if (!leaf)
        return NULL;
    leaf->result = (uint32_t)s->xs.n;
    if (!rgi_list_push(g, &s->xs, xs) || !rgi_list_push(g, &s->slices, leaf))
        return NULL;
    return leaf;
}

void rgi_scan_length_like(rg_scan *s, rg_node *xs)
{
    if (s && s->xs.n == 0)
        (void)(rg_scan_slice)(s, xs);
}

rg_node *(rg_scan_carry)(rg_scan *s, rg_node *init)
{
    if (!takes(s, "rg_scan_carry", init) || !rgi_scan_has_batch(s, "rg_scan_carry", init))
        return NULL;
    rg_graph *g = s->graph;
    rg_node *leaf = rgi_node_new(g, &rgi_op_scan_carry, NULL, 0, NULL, init->dtype, init->shape, s->region);
    if (!leaf)
        return NULL;
    leaf->result = (uint32_t)s->carries.n;
    if (!rgi_list_push(g, &s->inits, init) || !rgi_list_push(g, &s->carries, leaf) ||
        !rgi_list_push(g, &s->nexts, NULL))
        return NULL;
    return leaf;
}

rg_node *rgi_scan_index(rg_graph *g)
{
    if (!g->open.n)
        return NULL;
    rg_scan *s = ((rgi_region *)g->open.at[g->open.n - 1])->scan;
    if (!s->index) {
        const rgi_shape *scalar = rgi_shape_intern(g, RG_SCALAR, RG_SCALAR);
        s->index = scalar ? rgi_node_new(g, &rgi_op_scan_index, NULL, 0, NULL, RG_I64, scalar, s->region) : NULL;
    }
    return s->index;
}

void(rg_scan_next)(rg_scan *s, rg_node *carry, rg_node *next)
{
    if (!s || !carry || !next)
        return;
    rg_graph *g = s->graph;
    char a[RGI_LABEL], b[RGI_LABEL], la[RGI_LABEL], lb[RGI_LABEL];
    if (s->region->open && !rgi_usable(g, "rg_scan_next", "the next value", next))
        return;
    if (carry->op != &rgi_op_scan_carry || carry->region != s->region)
        rgi_graph_fail(g, RG_ERR_ARGUMENT, NULL, "rg_scan_next: %s is no carry of scan '%s'",
                       rgi_format_node(carry, la, sizeof la), rgi_scan_name(s));
    else if (!s->region->open)
        rgi_graph_fail(g, RG_ERR_REGION, NULL, "rg_scan_next: scan '%s' has ended", rgi_scan_name(s));
    else if (s->nexts.at[carry->result])
        rgi_graph_fail(g, RG_ERR_STATE, NULL, "rg_scan_next: carry %s of scan '%s' has its next value already",
                       rgi_format_node(carry, la, sizeof la), rgi_scan_name(s));
    else if (next->dtype != carry->dtype || next->shape != carry->shape)
        rgi_graph_fail(g, next->dtype != carry->dtype ? RG_ERR_DTYPE : RG_ERR_SHAPE, NULL,
                       "rg_scan_next: the carry %s of scan '%s' is %s, its next value %s is %s",
                       rgi_format_node(carry, la, sizeof la), rgi_scan_name(s),
                       rgi_format_type(g, carry->dtype, carry->shape->a, a, sizeof a),
                       rgi_format_node(next, lb, sizeof lb),
                       rgi_format_type(g, next->dtype, next->shape->a, b, sizeof b));
    else if (rgi_region_join(g, "rg_scan_next", s->region, next->region) == s->region)
        s->nexts.at[carry->result] = s->lengths ? rgi_scan_while_it_lasts(s, next, carry) : next;
    else
        rgi_graph_fail(g, RG_ERR_REGION, NULL, "rg_scan_next: %s is inside a scan that is open within scan '%s'",
                       rgi_format_node(next, lb, sizeof lb), rgi_scan_name(s));
}

static rg_node *find_result(const rg_scan *s, const rgi_projection *attr)
{
    for (size_t i = 0; i < s->results.n; i++) {
        const rgi_projection *p = rgi_projection_of(s->results.at[i]);
        if (p->of == attr->of && p->last == attr->last && p->every == attr->every && p->bytes == attr->bytes &&
            p->block == attr->block)
            return s->results.at[i];
    }
    return NULL;
}

/* The result of a scan with these attributes: made once. Before rg_scan_end it has no id yet. */
static rg_node *project(rg_scan *s, rgi_projection attr)
{
    rg_node *const of = attr.of;
    const bool last = attr.last;
    rg_graph *g = s->graph;
    if (!s->region->open && !s->node)
        return rgi_graph_fail(g, RG_ERR_STATE, NULL, "rg_scan_%s: scan '%s' could not end, it has no results",
                              last ? "last" : "stack", rgi_scan_name(s));
    rg_node *const made = find_result(s, &attr);
    if (made)
        return made;
    const rgi_shape *shape = of->shape;
    if (!last) {
        if (of->shape->a.rank >= RG_MAX_RANK) {
            rgi_graph_fail(g, RG_ERR_SHAPE, NULL, "rg_scan_stack: the result would have more than %d axes",
                           RG_MAX_RANK);
            return NULL;
        }
        const rg_node *xs = s->xs.at[0];
        const int64_t a = xs->shape->a.dim[0], b = xs->shape->b.dim[0], steps = attr.every ? attr.every : 1,
                      up = attr.bytes ? 0 : steps - 1;
        shape =
            rgi_shape_intern(g, with_first((a + up) / steps, of->shape->a), with_first((b + up) / steps, of->shape->b));
    }
    rg_node *r = NULL;
    if (shape && s->node) {
        r = rgi_node_new(g, &rgi_op_result, &s->node, 1, &attr, of->dtype, shape, s->region->parent);
    } else if (shape) {
        rg_node **in = rgi_arena_alloc(&g->arena, sizeof *in);
        rgi_projection *copy = rgi_arena_alloc(&g->arena, sizeof *copy);
        r = rgi_arena_alloc(&g->arena, sizeof *r);
        if (in && copy && r) {
            *copy = attr;
            *r = (rg_node){.graph = g,
                           .op = &rgi_op_result,
                           .attr = copy,
                           .in = in,
                           .n_in = 1,
                           .shape = shape,
                           .dtype = of->dtype,
                           .region = s->region,
                           .id = RGI_PENDING,
                           .scope = g->scope};
        } else {
            r = NULL;
        }
    }
    if (!r) {
        rgi_graph_fail(g, RG_ERR_MEMORY, NULL, "rg_scan_stack: out of memory");
        return NULL;
    }
    r->result = (uint32_t)s->results.n;
    return rgi_list_push(g, &s->results, r) ? r : NULL;
}

rg_node *rgi_scan_stack(rg_scan *s, rg_node *y)
{
    if (!s || !y)
        return NULL;
    rg_graph *g = s->graph;
    char label[RGI_LABEL];
    if (s->endless && !s->most)
        return rgi_graph_fail(
            g, RG_ERR_GRADIENT, NULL,
            "reverse mode through loop '%s' keeps the values of all steps: set max_iter in its options",
            rgi_scan_name(s));
    if (s->xs.n == 0) {
        rgi_graph_fail(g, RG_ERR_STATE, NULL,
                       "rg_scan_stack: scan '%s' has no slice yet, so its number of steps is unknown",
                       rgi_scan_name(s));
        return NULL;
    }
    if ((y->graph != g || y->id >= g->nodes.n) && !rgi_usable(g, "rg_scan_stack", "the value", y))
        return NULL;
    const bool inside = y->region == s->region;
    if (inside && y->op == &rgi_op_scan_slice)
        return s->xs.at[y->result]; /* the stack of the slices is the sequence */
    if (!inside && find_result(s, &(rgi_projection){.of = y}))
        return find_result(s, &(rgi_projection){.of = y});
    if (!inside && (!s->region->open || rgi_region_join(g, "rg_scan_stack", s->region, y->region) != s->region)) {
        rgi_graph_fail(g, RG_ERR_REGION, NULL, "rg_scan_stack: %s does not belong to the body of scan '%s'",
                       rgi_format_node(y, label, sizeof label), rgi_scan_name(s));
        return NULL;
    }
    return project(s, (rgi_projection){.of = y});
}

rg_node *(rg_scan_stack)(rg_scan *s, rg_node *y)
{
    if (s && s->endless)
        return rgi_graph_fail(s->graph, RG_ERR_ARGUMENT, NULL,
                              "rg_scan_stack: how many steps loop '%s' does is not known: take rg_scan_last",
                              rgi_scan_name(s));
    if (!s || !y || !s->lengths || s->xs.n == 0)
        return rgi_scan_stack(s, y);
    if (!rgi_scan_has_batch(s, "rg_scan_stack", y))
        return NULL;
    return s->region->open ? rgi_scan_stack(s, rgi_scan_while_it_lasts(s, y, NULL))
                           : rgi_scan_cut_stack(s, rgi_scan_stack(s, y));
}

rg_node *rgi_scan_result_like(rg_scan *s, const rgi_projection *p, rg_node *of)
{
    return p->last    ? rg_scan_last(s, of)
           : p->every ? rgi_scan_starts(s, of, p->every, p->bytes, p->block)
                      : rgi_scan_stack(s, of);
}

rg_node *rgi_scan_starts(rg_scan *s, rg_node *carry, int64_t every, int64_t bytes, double block)
{
    return project(s, (rgi_projection){.of = carry, .every = every, .bytes = bytes, .block = block});
}

rg_node *(rg_scan_last)(rg_scan *s, rg_node *carry)
{
    if (!s || !carry)
        return NULL;
    char label[RGI_LABEL];
    if (carry->op != &rgi_op_scan_carry || carry->region != s->region) {
        rgi_graph_fail(s->graph, RG_ERR_ARGUMENT, NULL, "rg_scan_last: %s is no carry of scan '%s'",
                       rgi_format_node(carry, label, sizeof label), rgi_scan_name(s));
        return NULL;
    }
    return project(s, (rgi_projection){.of = carry, .last = true});
}

/* Everything the body uses from outside, once each, in order of first use. */
static bool collect_captures(rg_scan *s)
{
    rg_graph *g = s->graph;
    const size_t n = g->nodes.n;
    uint8_t *seen = rgi_alloc(&g->allocator, n ? n : 1);
    bool ok = seen != NULL;
    for (size_t id = s->first_id; ok && id < n; id++) {
        const rg_node *v = rgi_node(g, id);
        for (size_t i = 0; ok && v->region == s->region && i < v->n_in; i++)
            if (v->in[i]->region != s->region && !seen[v->in[i]->id]) {
                seen[v->in[i]->id] = 1;
                ok = rgi_list_push(g, &s->captures, v->in[i]);
            }
    }
    for (size_t j = 0; ok && j < s->nexts.n + s->results.n + 2; j++) {
        rg_node *v = j < s->nexts.n                   ? s->nexts.at[j]
                     : j < s->nexts.n + s->results.n  ? rgi_projection_of(s->results.at[j - s->nexts.n])->of
                     : j == s->nexts.n + s->results.n ? s->test
                                                      : s->trips;
        if (v && v->region != s->region && !seen[v->id]) {
            seen[v->id] = 1;
            ok = rgi_list_push(g, &s->captures, v);
        }
    }
    if (!ok)
        rgi_graph_fail(g, RG_ERR_MEMORY, NULL, "rg_scan_end: out of memory");
    rgi_free(&g->allocator, seen, n ? n : 1);
    return ok;
}

/* Why the body cannot be closed as it is, or NULL. */
static const char *unfinished(const rg_scan *s)
{
    if (s->xs.n == 0)
        return "has no slice, so its number of steps is unknown";
    if (s->endless && !s->test)
        return "has no test (rg_while_test)";
    for (size_t j = 0; j < s->nexts.n; j++)
        if (!s->nexts.at[j])
            return "has a carry without a next value (rg_scan_next)";
    return NULL;
}

static bool close_body(rg_scan *s)
{
    rg_graph *g = s->graph;
    const size_t n = s->xs.n + s->inits.n + s->captures.n;
    rg_node **in = rgi_alloc(&g->allocator, n * sizeof *in);
    if (!in) {
        rgi_graph_fail(g, RG_ERR_MEMORY, NULL, "rg_scan_end: out of memory");
        return false;
    }
    size_t k = 0;
    const rgi_list *const lists[] = {&s->xs, &s->inits, &s->captures};
    for (int l = 0; l < 3; l++)
        for (size_t i = 0; i < lists[l]->n; i++)
            in[k++] = lists[l]->at[i];
    const rgi_shape *scalar = rgi_shape_intern(g, RG_SCALAR, RG_SCALAR);
    rg_node *node = scalar ? rgi_node_new(g, &rgi_op_scan, in, n, &s, RG_BOOL, scalar, s->region->parent) : NULL;
    rgi_free(&g->allocator, in, n * sizeof *in);
    if (!node)
        return false;
    s->node = node;
    for (size_t i = 0; i < s->results.n; i++) { /* results asked for so far get their ids */
        rg_node *r = s->results.at[i];
        r->in[0] = node;
        r->region = s->region->parent;
        r->id = (uint32_t)g->nodes.n;
        r->file = node->file;
        r->line = node->line;
        r->origin = node->origin;
        if (!rgi_list_push(g, &g->nodes, r))
            return false;
    }
    return true;
}

void(rg_scan_end)(rg_scan *s)
{
    if (!s)
        return;
    rg_graph *g = s->graph;
    if (!s->region->open) {
        rgi_graph_fail(g, RG_ERR_REGION, NULL, "rg_scan_end: scan '%s' has ended already", rgi_scan_name(s));
        return;
    }
    if (g->open.n == 0 || g->open.at[g->open.n - 1] != s->region) {
        const rgi_region *inner = g->open.at[g->open.n - 1];
        rgi_graph_fail(g, RG_ERR_REGION, NULL, "rg_scan_end: scan '%s' inside scan '%s' must end first",
                       rgi_scan_name(inner->scan), rgi_scan_name(s));
        return;
    }
    /* the body lies where the number of steps is known, even if it reads nothing else from there */
    if (s->trips)
        (void)rgi_region_join(g, "rg_scan_end", s->region, s->trips->region);
    s->region->open = false;
    g->open.n--;
    if (g->error.status != RG_OK)
        return;
    const char *why = unfinished(s);
    if (why)
        rgi_graph_fail(g, RG_ERR_STATE, NULL, "rg_scan_end: scan '%s' %s", rgi_scan_name(s), why);
    else if (collect_captures(s))
        (void)close_body(s);
}
