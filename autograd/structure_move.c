/* structure_move.c - where elements go: an op that moves them is run on their numbers.

   Two runs with different numbers tell elements from constants, such as what a padding puts in: only elements differ.
   An op that sums is told by its reverse rule, which moves. */
#include "rule.h"
#include "structure.h"

#include "../ops/table_ops.h"

#include <retrograde/autograd.h>
#include <retrograde/op.h>
#include <retrograde/ops.h>
#include <retrograde/plan.h>

#include <stdio.h>
#include <string.h>

typedef struct moving {
    rg_graph *g;         /* of the op alone */
    rg_node **in;        /* its inputs there ... */
    double **numbers;    /* ... and the numbers bound, NULL where none are */
    rg_node *u, *result; /* of a sum: the numbers of the output; what the runs give */
    double *u_numbers;
} moving;

/* Whether a node has the same value in every run. */
static bool constant(const rg_node *v, int depth)
{
    if (v->op == &rgi_op_const || v->op == &rgi_op_full || v->op == &rgi_op_arange)
        return true;
    if (!v->n_in || depth == 0 || (v->op->traits & (RG_LEAF | RG_CONTROL | RG_EFFECT | RG_UNIQUE)))
        return false;
    for (uint32_t i = 0; i < v->n_in; i++)
        if (!(i < 32 && (v->op->shape_only >> i & 1)) && !constant(v->in[i], depth - 1))
            return false;
    return true;
}

/* A constant of the new graph with the value of one of the old. */
static rg_node *copied(rgi_tracing *t, rg_graph *g, rg_node *v)
{
    rg_plan *p = rg_compile(t->g, (rg_nodes){&v, 1}, &(rg_plan_opts){.threads = 1, .mode = RG_EVAL});
    rg_tensor value;
    rg_node *out = NULL;
    if (p && !rg_run(p) && !rg_result(p, v, &value))
        out = rg_const(g, value.dtype, value.shape, value.data);
    rg_plan_free(p);
    return out;
}

static bool is_moved(const rg_node *v, size_t i)
{
    return rgi_differentiable(v->in[i]) && !(i < 32 && (v->op->shape_only >> i & 1));
}

static bool set_up(rgi_tracing *t, moving *m, const rg_node *v)
{
    const rg_allocator *a = &t->g->allocator;
    bool ok = true;
    for (uint32_t i = 0; ok && i < v->n_in; i++) {
        const rg_shape shape = v->in[i]->shape->a;
        char name[16];
        snprintf(name, sizeof name, "x%u", i);
        if (is_moved(v, i)) {
            m->numbers[i] = rgi_alloc(a, (rgi_elements(v->in[i]) + 1) * sizeof(double));
            m->in[i] = rg_input(m->g, name, RG_F64, shape);
            ok = m->numbers[i] != NULL;
        } else if (i < 32 && (v->op->shape_only >> i & 1)) {
            m->in[i] = rg_zeros(m->g, rgi_differentiable(v->in[i]) ? RG_F64 : v->in[i]->dtype, shape);
        } else {
            m->in[i] = copied(t, m->g, v->in[i]);
        }
        ok = ok && m->in[i];
    }
    m->result = ok ? rg_apply_in(m->g, v->op, (rg_nodes){m->in, v->n_in}, v->attr) : NULL;
    if (m->result && (v->op->traits & RG_SUMS)) {
        m->u_numbers = rgi_alloc(a, (rgi_elements(v) + 1) * sizeof(double));
        m->u = rg_input(m->g, "u", RG_F64, v->shape->a);
        m->result = rg_at(rg_vjp(RG_NODES(m->result), RG_NODES(m->u), RG_NODES(m->in[0])), 0);
        ok = m->u_numbers != NULL;
    }
    return ok && m->result;
}

static void tear_down(rgi_tracing *t, moving *m, const rg_node *v)
{
    const rg_allocator *a = &t->g->allocator;
    for (uint32_t i = 0; m->numbers && i < v->n_in; i++)
        if (m->numbers[i])
            rgi_free(a, m->numbers[i], (rgi_elements(v->in[i]) + 1) * sizeof(double));
    rgi_free(a, m->u_numbers, (rgi_elements(v) + 1) * sizeof(double));
    rgi_free(a, m->numbers, (v->n_in + 1) * sizeof *m->numbers);
    rgi_free(a, m->in, (v->n_in + 1) * sizeof *m->in);
    rg_graph_free(m->g);
}

/* Numbers from `first` on, input after input; of a sum those of the output, and zeros for the inputs. Returns how
   many. */
static size_t number(moving *m, const rg_node *v, double first)
{
    size_t n = 0;
    for (size_t k = 0; m->u && k < rgi_elements(v); k++)
        m->u_numbers[n++] = first + (double)k;
    for (uint32_t i = 0; !m->u && i < v->n_in; i++)
        for (size_t k = 0; m->numbers[i] && k < rgi_elements(v->in[i]); k++, n++)
            m->numbers[i][k] = first + (double)n;
    return n;
}

/* By element of the result: 1 + the number of the element that it is, 0: none. */
static bool find_sources(moving *m, const rg_node *v, size_t *source)
{
    rg_plan *p = rg_compile(m->g, RG_NODES(m->result), &(rg_plan_opts){.threads = 1, .mode = RG_EVAL});
    bool ok = p != NULL;
    for (uint32_t i = 0; ok && i < v->n_in; i++)
        ok = !m->numbers[i] || !rg_bind(p, m->in[i], m->numbers[i]);
    ok = ok && (!m->u || !rg_bind(p, m->u, m->u_numbers));
    const size_t count = m->result ? rgi_elements(m->result) : 0;
    const size_t n = number(m, v, 1);
    for (int round = 0; ok && round < 2; round++) {
        const size_t first = round ? n + 1 : 1;
        (void)number(m, v, (double)first);
        ok = !rg_run(p);
        const double *at = ok ? rg_data(p, m->result) : NULL;
        for (size_t e = 0; at && e < count; e++) {
            const double got = at[e] - (double)first;
            const bool element = got >= 0 && got < (double)n;
            source[e] = round ? element && source[e] == (size_t)got + 1 ? source[e] : 0 : element ? (size_t)got + 1 : 0;
        }
    }
    rg_plan_free(p);
    return ok;
}

/* Of a sum: source[e] is the output that element e of the input goes to. */
static bool add_up(rgi_tracing *t, const rg_node *v, const size_t *source, uint32_t *out)
{
    const rg_allocator *a = &t->g->allocator;
    const size_t n = rgi_elements(v->in[0]), count = rgi_elements(v), room = (n + count + 2) * sizeof(uint32_t);
    const uint32_t *sets = t->of[v->in[0]->id];
    uint32_t *end = rgi_alloc(a, room), *sorted = end ? end + count + 1 : NULL;
    for (size_t e = 0; end && e < n; e++)
        end[source[e]]++; /* those that go nowhere count for 0: output o begins at end[o] once these are left out */
    if (end)
        end[0] = 0;
    for (size_t o = 1; end && o < count; o++)
        end[o] += end[o - 1];
    for (size_t e = 0; end && e < n; e++)
        if (source[e])
            sorted[end[source[e] - 1]++] = sets[e];
    for (size_t o = 0; end && o < count; o++) {
        const size_t first = o ? end[o - 1] : 0;
        out[o] = rgi_set_join(&t->sets, sorted + first, end[o] - first);
    }
    rgi_free(a, end, room);
    return end != NULL;
}

/* The set of element `source` - 1 of all inputs, one after the other. */
static uint32_t set_at(const rgi_tracing *t, const rg_node *v, size_t source)
{
    size_t e = source - 1;
    for (uint32_t i = 0; i < v->n_in; i++) {
        if (!is_moved(v, i))
            continue;
        if (e < rgi_elements(v->in[i])) {
            const uint32_t *sets = v->in[i]->id < t->n ? t->of[v->in[i]->id] : NULL;
            return sets ? sets[e] : 0;
        }
        e -= rgi_elements(v->in[i]);
    }
    return 0;
}

bool rgi_trace_moved(rgi_tracing *t, rg_node *v, bool *known)
{
    const rg_allocator *a = &t->g->allocator;
    *known = true;
    for (uint32_t i = 0; i < v->n_in && *known; i++)
        *known = is_moved(v, i) || (i < 32 && (v->op->shape_only >> i & 1)) || constant(v->in[i], 64);
    if (!*known || ((v->op->traits & RG_SUMS) && !t->of[v->in[0]->id]))
        return true;
    moving m = {.g = rg_graph_new(&(rg_graph_opts){.allocator = a})};
    m.in = rgi_alloc(a, (v->n_in + 1) * sizeof *m.in);
    m.numbers = rgi_alloc(a, (v->n_in + 1) * sizeof *m.numbers);
    uint32_t *out = rgi_traced(t, v);
    bool ok = m.g && m.in && m.numbers && out && set_up(t, &m, v);
    const size_t count = ok ? rgi_elements(m.result) : 0;
    size_t *source = ok ? rgi_alloc(a, (count + 1) * sizeof *source) : NULL;
    ok = source && find_sources(&m, v, source);
    if (ok && m.u)
        ok = add_up(t, v, source, out);
    for (size_t e = 0; ok && !m.u && e < count; e++)
        out[e] = source[e] ? set_at(t, v, source[e]) : 0;
    rgi_free(a, source, (count + 1) * sizeof *source);
    const char *why = m.g ? rg_graph_error(m.g) : NULL;
    if (!ok && t->g->error.status == RG_OK)
        rgi_graph_fail(t->g, why ? rg_graph_status(m.g) : RG_ERR_MEMORY, v, "%s: the elements that '%s' moves: %s",
                       t->caller, v->op->name, why ? why : "out of memory");
    tear_down(t, &m, v);
    return ok;
}
