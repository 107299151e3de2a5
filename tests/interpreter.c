/* interpreter.c - evaluates a graph node by node with runtime/evaluate.h. Named sizes are not supported. */
#include "interpreter.h"

#include "graph/scan.h"
#include "ops/table_ops.h"
#include "runtime/program/evaluate.h"

#include <stdlib.h>
#include <string.h>

typedef struct machine {
    rg_graph *g;
    void **value;     /* by id */
    void *pending[8]; /* outputs of an op with several, until their projections are met */
    bool failed;
} machine;

static size_t bytes_of(const rg_node *v)
{
    return (size_t)rg_shape_count(v->shape->a) * rg_dtype_size(v->dtype);
}

static void *copy_of(const void *from, size_t bytes)
{
    void *to = calloc(bytes + 1, 1);
    if (bytes)
        memcpy(to, from, bytes);
    return to;
}

static void set(machine *m, const rg_node *v, void *value)
{
    free(m->value[v->id]);
    m->value[v->id] = value;
}

static void visit(machine *m, rg_node *v);

/* What step t has made of it, into a result of its scan. */
static void stack(machine *m, const rg_node *r, int64_t t, int64_t steps)
{
    const rgi_projection *p = rgi_projection_of(r);
    const int64_t every = p->every ? p->every : 1, row = t / every;
    const bool first = rgi_scan_of(r->in[0])->reverse ? t % every == every - 1 || t == steps - 1 : t % every == 0;
    if (!p->last && first && row < r->shape->a.dim[0])
        memcpy((char *)m->value[r->id] + (size_t)row * bytes_of(p->of), m->value[p->of->id], bytes_of(p->of));
}

/* Whether a loop goes on, or ends in front of the step whose body has been computed. */
static bool goes_on(const machine *m, const rg_scan *s)
{
    return !s->test || *(const bool *)m->value[s->test->id];
}

static void visit_scan(machine *m, rg_node *v)
{
    const rg_scan *s = rgi_scan_of(v);
    /* of a loop: one more than it may do, since the test is made once more */
    const int64_t steps =
        s->trips ? *(const int64_t *)m->value[s->trips->id] : ((const rg_node *)s->xs.at[0])->shape->a.dim[0];
    for (size_t j = 0; j < s->carries.n; j++) {
        const rg_node *init = s->inits.at[j];
        set(m, s->carries.at[j], copy_of(m->value[init->id], bytes_of(init)));
    }
    for (size_t k = 0; k < s->results.n; k++) /* room for the stacks */
        set(m, s->results.at[k], calloc(bytes_of(s->results.at[k]) + 1, 1));
    for (int64_t step = 0; step < steps && !m->failed; step++) {
        const int64_t t = s->reverse ? steps - 1 - step : step;
        for (size_t i = 0; i < s->xs.n; i++) {
            const rg_node *slice = s->slices.at[i], *from = s->xs.at[i];
            set(m, slice, copy_of((char *)m->value[from->id] + (size_t)t * bytes_of(slice), bytes_of(slice)));
        }
        if (s->index)
            set(m, s->index, copy_of(&t, sizeof t));
        for (size_t id = s->first_id; id < v->id; id++)
            if (rgi_node(m->g, id)->region == s->region)
                visit(m, rgi_node(m->g, id));
        if (m->failed || !goes_on(m, s))
            break;
        for (size_t k = 0; k < s->results.n; k++)
            stack(m, s->results.at[k], t, steps);
        void *next[32] = {NULL};
        for (size_t j = 0; j < s->carries.n; j++)
            next[j] = copy_of(m->value[((rg_node *)s->nexts.at[j])->id], bytes_of(s->nexts.at[j]));
        for (size_t j = 0; j < s->carries.n; j++)
            set(m, s->carries.at[j], next[j]);
    }
    for (size_t k = 0; k < s->results.n && !m->failed; k++) {
        const rg_node *r = s->results.at[k];
        if (rgi_projection_of(r)->last)
            memcpy(m->value[r->id], m->value[rgi_projection_of(r)->of->id], bytes_of(r));
    }
}

static void visit_op(machine *m, rg_node *v)
{
    const void *in[64];
    rg_type in_type[64], out_type[8];
    void *out[8];
    if (v->n_in > 64 || v->op->n_out > 8 || !v->op->run) {
        m->failed = true;
        return;
    }
    for (uint32_t i = 0; i < v->n_in; i++) {
        const bool reads = !(i < 32 && (v->op->shape_only >> i & 1));
        in[i] = reads ? m->value[v->in[i]->id] : NULL;
        in_type[i] = rgi_type(v->in[i]);
        m->failed = m->failed || (reads && !in[i]);
    }
    const rg_node *results[8] = {v};
    for (const rg_node *r = v->results; v->op->n_out > 1 && r; r = r->next_result)
        results[r->result] = r;
    for (int k = 0; k < v->op->n_out; k++) {
        out_type[k] = rgi_type(results[k]);
        out[k] = calloc(bytes_of(results[k]) + 1, 1);
    }
    m->failed = m->failed || rgi_evaluate(&m->g->allocator, v, in, in_type, out, out_type);
    for (int k = 0; k < v->op->n_out; k++)
        set(m, results[k], out[k]);
}

static void visit(machine *m, rg_node *v)
{
    if (m->failed)
        return;
    if (rgi_is_scan(v)) {
        visit_scan(m, v);
    } else if (rgi_is_projection(v) || v->op == &rgi_op_scan_slice || v->op == &rgi_op_scan_carry ||
               v->op == &rgi_op_scan_index) {
        return; /* set by their owner */
    } else if (v->entry) {
        set(m, v, copy_of(rg_value(v).data, bytes_of(v)));
    } else if (v->op == &rgi_op_const) {
        set(m, v, copy_of(((const rg_bytes *)v->attr)->at, bytes_of(v)));
    } else if (v->op->traits & RG_VIEW) {
        set(m, v, copy_of(m->value[v->in[0]->id], bytes_of(v)));
    } else if (v->op->traits & (RG_LEAF | RG_EFFECT)) {
        m->failed = true;
    } else {
        visit_op(m, v);
    }
}

void *interpret(rg_node *node)
{
    machine m = {.g = node->graph};
    const size_t n = rg_graph_size(m.g);
    m.value = calloc(n + 1, sizeof *m.value);
    bool *needed = calloc(n + 1, 1);
    needed[node->id] = true;
    for (size_t id = n; id-- > 0;)
        for (uint32_t i = 0; needed[id] && i < rgi_node(m.g, id)->n_in; i++)
            needed[rgi_node(m.g, id)->in[i]->id] = true;
    for (size_t id = 0; id <= node->id; id++)
        if (needed[id] && !rgi_node(m.g, id)->region->parent)
            visit(&m, rgi_node(m.g, id));
    void *value = m.failed ? NULL : m.value[node->id];
    for (size_t id = 0; id < n; id++)
        if (m.value[id] != value)
            free(m.value[id]);
    free(m.value);
    free(needed);
    return value;
}
