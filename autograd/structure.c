/* structure.c - dependence, element by element, from x to y.

   Every element of every node on the way has the set of the elements of x it may depend on, found from those of its
   inputs by what the op's descriptor says: elementwise ops read the same element, views are another shape, ops that
   move are run on numbers, others name the axes along which they keep to themselves (rg_op.reads). Of an op that says
   nothing, each element may depend on all of the inputs. Never too little, so a structure holds at every point. */
#include "structure.h"
#include "rule.h"

#include <retrograde/op.h>

#include <string.h>

uint32_t *rgi_traced(rgi_tracing *t, const rg_node *v)
{
    uint32_t **of = &t->of[v->id];
    if (!*of && !(*of = rgi_alloc(&t->g->allocator, (rgi_elements(v) + 1) * sizeof **of)))
        rgi_graph_fail(t->g, RG_ERR_MEMORY, v, "%s: out of memory", t->caller);
    return *of;
}

/* What input i of a node contributes: one set for each index along the axes that go with an axis of the output. */
typedef struct part {
    const uint32_t *sets; /* by key ... */
    uint32_t *made;
    size_t n;
    size_t stride[RG_MAX_RANK]; /* ... which is the sum of these for the output's index */
} part;

/* Which axis of the output goes along with each axis of an input. */
static void axes_of(const rg_node *v, size_t i, const rg_step *step, int32_t from[RG_MAX_RANK])
{
    const rg_shape *in = &v->in[i]->shape->a, *out = &v->shape->a;
    for (int32_t a = 0; a < RG_MAX_RANK; a++)
        from[a] = -1;
    if (v->op->reads)
        v->op->reads(step, i, from);
    else if (v->op->traits & RG_ELEMENTWISE)
        for (int32_t a = 0; a < in->rank; a++)
            from[a] = a + out->rank - in->rank;
}

/* Steps over the indices of a shape, last axis first. */
static void advance(const rg_shape *shape, int64_t index[RG_MAX_RANK], const size_t stride[RG_MAX_RANK], size_t *key)
{
    for (int32_t a = shape->rank; a-- > 0;) {
        *key += stride[a];
        if (++index[a] < shape->dim[a])
            return;
        *key -= stride[a] * (size_t)shape->dim[a];
        index[a] = 0;
    }
}

/* One set for each key: the union of all elements of the input that have it. */
static bool unite(rgi_tracing *t, const rg_node *in, const size_t stride[RG_MAX_RANK], part *p)
{
    const rg_allocator *a = &t->g->allocator;
    const size_t count = rgi_elements(in), room = (2 * count + 2 * p->n + 2) * sizeof(uint32_t);
    const uint32_t *sets = t->of[in->id];
    uint32_t *keys = rgi_alloc(a, room), *sorted = keys ? keys + count : NULL, *end = keys ? sorted + count : NULL;
    int64_t index[RG_MAX_RANK] = {0};
    size_t key = 0;
    p->made = rgi_alloc(a, (p->n + 1) * sizeof *p->made);
    const bool ok = keys && p->made;
    for (size_t e = 0; ok && e < count; e++, advance(&in->shape->a, index, stride, &key))
        end[(keys[e] = (uint32_t)key) + 1]++;
    for (size_t k = 0; ok && k < p->n; k++)
        end[k + 1] += end[k];
    for (size_t e = 0; ok && e < count; e++) /* from here on end[k] is where those of key k end */
        sorted[end[keys[e]]++] = sets[e];
    for (size_t k = 0; ok && k < p->n; k++) {
        const size_t first = k ? end[k - 1] : 0;
        p->made[k] = rgi_set_join(&t->sets, sorted + first, end[k] - first);
    }
    rgi_free(a, keys, room);
    p->sets = p->made;
    return ok;
}

static bool make_part(rgi_tracing *t, const rg_node *v, size_t i, const rg_step *step, part *p)
{
    const rg_node *in = v->in[i];
    int32_t from[RG_MAX_RANK];
    size_t stride[RG_MAX_RANK] = {0};
    bool dense = true;
    *p = (part){.n = 1};
    axes_of(v, i, step, from);
    for (int32_t a = in->shape->a.rank; a-- > 0;) {
        const int64_t size = in->shape->a.dim[a];
        if (size == 1)
            continue;
        if (from[a] < 0 || from[a] >= v->shape->a.rank || v->shape->a.dim[from[a]] != size) {
            dense = false;
            continue;
        }
        stride[a] = p->n;
        p->stride[from[a]] += p->n;
        p->n *= (size_t)size;
    }
    p->sets = t->of[in->id];
    return dense || unite(t, in, stride, p);
}

static bool has_sets(const rgi_tracing *t, const rg_node *v, size_t i)
{
    return !(i < 32 && (v->op->shape_only >> i & 1)) && v->in[i]->id < t->n && t->of[v->in[i]->id] != NULL;
}

/* Each element of the output: the union of what the inputs contribute to it. */
static bool put_together(rgi_tracing *t, const rg_node *v, const part *parts, size_t n, uint32_t *now)
{
    uint32_t *out = rgi_traced(t, v), *before = now + n, last = 0;
    int64_t index[RG_MAX_RANK] = {0};
    const rg_shape *shape = &v->shape->a;
    size_t still[RG_MAX_RANK] = {0}, unused = 0;
    if (!out)
        return false;
    memset(before, 0, n * sizeof *before);
    for (size_t o = 0, count = rgi_elements(v); o < count; o++, advance(shape, index, still, &unused)) {
        for (size_t i = 0; i < n; i++) {
            size_t key = 0;
            for (int32_t a = 0; a < shape->rank; a++)
                key += (size_t)index[a] * parts[i].stride[a];
            now[i] = parts[i].sets[key];
        }
        if (memcmp(now, before, n * sizeof *now) != 0) {
            last = rgi_set_join(&t->sets, now, n);
            memcpy(before, now, n * sizeof *now);
        }
        out[o] = last;
    }
    return true;
}

/* By axes: what an op says of them, or nothing. */
static bool trace_axes(rgi_tracing *t, rg_node *v)
{
    const rg_allocator *a = &t->g->allocator;
    size_t n = 0;
    rg_type *types = rgi_alloc(a, (v->n_in + 1) * sizeof *types);
    part *parts = rgi_alloc(a, (v->n_in + 1) * sizeof *parts);
    uint32_t *now = rgi_alloc(a, (2 * v->n_in + 1) * sizeof *now);
    bool ok = types && parts && now;
    for (uint32_t i = 0; ok && i <= v->n_in; i++)
        types[i] = rgi_type(i < v->n_in ? v->in[i] : v);
    const rg_step step = {.op = v->op,
                          .attr = v->attr,
                          .n_in = v->n_in,
                          .n_out = 1,
                          .in_type = types,
                          .out_type = types ? types + v->n_in : NULL};
    for (uint32_t i = 0; ok && i < v->n_in; i++)
        if (has_sets(t, v, i) && rgi_elements(v->in[i]))
            ok = make_part(t, v, i, &step, &parts[n++]);
    if (!ok)
        rgi_graph_fail(t->g, RG_ERR_MEMORY, v, "%s: out of memory", t->caller);
    ok = ok && (!n || put_together(t, v, parts, n, now));
    for (size_t i = 0; i < n; i++)
        rgi_free(a, parts[i].made, (parts[i].n + 1) * sizeof *parts[i].made);
    rgi_free(a, types, (v->n_in + 1) * sizeof *types);
    rgi_free(a, parts, (v->n_in + 1) * sizeof *parts);
    rgi_free(a, now, (2 * v->n_in + 1) * sizeof *now);
    return ok;
}

static bool trace_view(rgi_tracing *t, const rg_node *v)
{
    uint32_t *out = rgi_traced(t, v);
    if (out)
        memcpy(out, t->of[v->in[0]->id], rgi_elements(v) * sizeof *out);
    return out != NULL;
}

/* Sizes must be numbers, whatever else. */
static bool check_sizes(rgi_tracing *t, const rg_node *v)
{
    char label[RGI_LABEL];
    if (v->shape->named)
        rgi_graph_fail(t->g, RG_ERR_SHAPE, v,
                       "%s: the structure of %s depends on a size that is known only when data is bound", t->caller,
                       rgi_format_node(v, label, sizeof label));
    return !v->shape->named;
}

bool rgi_trace(rgi_tracing *t, rg_node *v)
{
    bool any = false, known = false;
    for (size_t i = 0; i < v->n_in; i++)
        any = any || has_sets(t, v, i);
    if (!any || (v->op->traits & RG_ZERO_GRAD))
        return true;
    if (rgi_is_scan(v))
        return rgi_trace_scan(t, rgi_scan_of(v));
    if (rgi_is_projection(v))
        return true;        /* set by the scan */
    if (v->op->n_out > 1) { /* each of its results is a node with it as input */
        bool ok = true;
        for (size_t k = 0; ok && k < (size_t)v->op->n_out; k++) {
            rg_node *r = rgi_output(v, k);
            rg_node one = *v;
            if (r && r->id < t->n && rgi_differentiable(r)) {
                one.id = r->id;
                one.shape = r->shape;
                ok = check_sizes(t, r) && trace_axes(t, &one);
            }
        }
        return ok;
    }
    if (!rgi_differentiable(v))
        return true;
    if (!check_sizes(t, v))
        return false;
    if ((v->op->traits & RG_VIEW) && !v->op->reads)
        return trace_view(t, v);
    if ((v->op->traits & (RG_MOVES | RG_SUMS)) && (!rgi_trace_moved(t, v, &known) || known))
        return t->g->error.status == RG_OK;
    return trace_axes(t, v);
}

/* ---- all of it ---- */

static bool begin(rgi_tracing *t, rg_node *x, size_t n)
{
    const size_t count = rgi_elements(x);
    t->of = rgi_alloc(&t->g->allocator, (n + 1) * sizeof *t->of);
    t->n = n;
    if (count >= UINT32_MAX || !rgi_sets_begin(&t->sets, &t->g->allocator, count) || !t->of) {
        rgi_graph_fail(t->g, RG_ERR_MEMORY, x, "%s: out of memory", t->caller);
        return false;
    }
    uint32_t *own = rgi_traced(t, x);
    for (size_t e = 0; own && e < count; e++)
        own[e] = rgi_set_of(&t->sets, (uint32_t)e);
    return own != NULL;
}

static void end(rgi_tracing *t)
{
    for (size_t id = 0; t->of && id < t->n; id++)
        if (t->of[id])
            rgi_free(&t->g->allocator, t->of[id], (rgi_elements(rgi_node(t->g, id)) + 1) * sizeof **t->of);
    rgi_free(&t->g->allocator, t->of, (t->n + 1) * sizeof *t->of);
    rgi_sets_end(&t->sets);
}

/* Which nodes outside of bodies lead to y. */
static bool *ancestors(const rgi_tracing *t, const rg_node *y)
{
    bool *needed = rgi_alloc(&t->g->allocator, t->n + 1);
    if (!needed)
        return NULL;
    needed[y->id] = true;
    for (size_t id = y->id + 1; id-- > 0;)
        for (size_t i = 0; needed[id] && i < rgi_node(t->g, id)->n_in; i++)
            needed[rgi_node(t->g, id)->in[i]->id] = true;
    return needed;
}

static bool write_rows(rgi_tracing *t, const rg_node *y, rgi_pattern *out)
{
    const uint32_t *sets = t->of[y->id];
    size_t n = 0, k = 0;
    for (int64_t i = 0; sets && i < out->rows; i++)
        n += rgi_set_size(&t->sets, sets[i]);
    out->start = rgi_arena_alloc(&t->g->arena, (size_t)(out->rows + 1) * sizeof *out->start);
    out->column = rgi_arena_alloc(&t->g->arena, (n + 1) * sizeof *out->column);
    if (!out->start || !out->column || t->sets.failed)
        return false;
    for (int64_t i = 0; i < out->rows; i++) {
        const size_t size = sets ? rgi_set_size(&t->sets, sets[i]) : 0;
        for (size_t j = 0; j < size; j++)
            out->column[k++] = rgi_set_at(&t->sets, sets[i])[j];
        out->start[i + 1] = (int64_t)k;
    }
    return true;
}

bool rgi_structure(rg_node *y, rg_node *x, const char *caller, rgi_pattern *out)
{
    rgi_tracing t = {.g = y->graph, .caller = caller};
    *out = (rgi_pattern){.rows = rg_shape_count(y->shape->a), .columns = rg_shape_count(x->shape->a)};
    bool ok = check_sizes(&t, x) && check_sizes(&t, y) && begin(&t, x, y->graph->nodes.n);
    bool *needed = ok ? ancestors(&t, y) : NULL;
    for (size_t id = x->id + 1; needed && ok && id <= y->id; id++) {
        rg_node *v = rgi_node(t.g, id);
        ok = !needed[id] || v->region->parent || rgi_trace(&t, v);
    }
    ok = ok && needed && write_rows(&t, y, out);
    if (!ok && t.g->error.status == RG_OK)
        rgi_graph_fail(t.g, RG_ERR_MEMORY, y, "%s: out of memory", caller);
    rgi_free(&t.g->allocator, needed, t.n + 1);
    end(&t);
    return ok;
}
