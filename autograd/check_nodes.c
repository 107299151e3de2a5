/* check_nodes.c - each op between the variables and the loss by itself, at the values that its inputs have there: so
   that a wrong rule is named, and one that the loss as a whole would forgive is found. */
#include "check.h"
#include "rule.h"

#include "../graph/scan.h"
#include "../ops/table_ops.h"

#include <retrograde/plan.h>

#include <math.h>
#include <string.h>

#define SAME 2 /* of nodes that differ in their values alone, so many are looked at */

typedef struct candidate {
    rg_node *source, *copy;
    size_t first; /* its inputs in the list that is fetched */
    size_t same;
} candidate;

typedef struct survey {
    const rgi_shadow *s;
    candidate *at;
    size_t n;
    rg_node **fetch;
    size_t n_fetch;
    bool *reached; /* by id of the shadow: depends on a variable */
} survey;

static bool has_rules(const rg_node *v)
{
    if (v->op == &rgi_op_custom || v->op == &rgi_op_custom_vjp || v->op == &rgi_op_custom_jvp)
        return false; /* by itself the value does not depend on the variables */
    if ((v->op->traits & (RG_LEAF | RG_CONTROL | RG_EFFECT | RG_ZERO_GRAD)) || v->n_in == 0)
        return false;
    bool any = false;
    for (uint32_t i = 0; i < v->n_in; i++)
        any = any || (rgi_differentiable(v->in[i]) && !(i < 32 && (v->op->shape_only >> i & 1)));
    return any && (v->op->n_out > 1 || rgi_differentiable(v));
}

/* The values of a body are those of its steps; only bodies that lie in no other are looked into. */
static bool visible(const rg_node *v)
{
    const rg_scan *s = v->region->scan;
    return !v->region->parent || (s && !s->endless && !s->trips && !v->region->parent->parent);
}

static bool alike(const rg_node *a, const rg_node *b)
{
    if (a->op != b->op || a->n_in != b->n_in)
        return false;
    for (uint32_t i = 0; i < a->n_in; i++)
        if (a->in[i]->shape != b->in[i]->shape || a->in[i]->dtype != b->in[i]->dtype)
            return false;
    return a->op->attr_size == 0 || memcmp(a->attr, b->attr, a->op->attr_size) == 0;
}

static void mark(survey *y, rg_nodes variables, size_t n)
{
    for (size_t i = 0; i < variables.n; i++)
        if (variables.at[i])
            y->reached[variables.at[i]->id] = true;
    for (size_t id = 0; id < n; id++) {
        const rg_node *v = rgi_node(y->s->to, id);
        y->reached[id] = y->reached[id] || v->region->parent; /* what a body reads is not followed */
        for (uint32_t i = 0; i < v->n_in && !y->reached[id]; i++)
            y->reached[id] = y->reached[v->in[i]->id];
    }
}

/* What is fetched for input i of a node: itself, or its stack. */
static rg_node *fetched_for(const rg_node *v, uint32_t i)
{
    rg_node *in = v->in[i];
    return in->region->parent ? rgi_scan_stack(in->region->scan, in) : in;
}

static void collect(survey *y, size_t n)
{
    for (size_t id = 0; id < y->s->n; id++) {
        rg_node *v = rgi_node(y->s->source, id), *copy = y->s->of[id];
        if (!copy || copy->id >= n || copy->op != v->op || !y->reached[copy->id] || !has_rules(copy) || !visible(copy))
            continue;
        size_t same = 0;
        for (size_t k = 0; k < y->n && same < SAME; k++)
            same += y->at[k].copy == copy ? SAME : alike(y->at[k].copy, copy);
        if (same >= SAME)
            continue;
        y->at[y->n++] = (candidate){v, copy, y->n_fetch, same};
        for (uint32_t i = 0; i < copy->n_in; i++)
            y->fetch[y->n_fetch++] = fetched_for(copy, i);
    }
}

/* The value of input i of a node: of a stack, the first step's. False: there is no step. */
static bool value_of(rg_plan *p, const candidate *c, const survey *y, uint32_t i, rg_tensor *out)
{
    const rg_node *in = c->copy->in[i];
    if (rg_result(p, y->fetch[c->first + i], out))
        return false;
    if (in->region->parent && out->shape.dim[0] == 0)
        return false;
    out->shape = in->shape->a;
    return true;
}

static rg_status check_all(survey *y, rg_plan *p, bool second, rgi_tally *t, rg_node **node, const char **what,
                           rg_node **rough, size_t *n_nodes)
{
    double worst = -1;
    for (size_t k = 0; k < y->n; k++) {
        const candidate *c = &y->at[k];
        const rg_allocator *a = &y->s->to->allocator;
        rg_tensor *at = rgi_alloc(a, (c->copy->n_in + 1) * sizeof *at);
        bool ok = at != NULL;
        for (uint32_t i = 0; ok && i < c->copy->n_in; i++)
            ok = value_of(p, c, y, i, &at[i]);
        rgi_tally own = {.tolerance = t->tolerance, .step = t->step, .seed = t->seed};
        const char *fault = NULL;
        const rg_status status = ok ? rgi_check_node(c->copy, at, second, &own, &fault) : RG_OK;
        const bool memory = !at;
        rgi_free(a, at, (c->copy->n_in + 1) * sizeof *at);
        if (status || memory)
            return status ? status : rgi_fail(RG_ERR_MEMORY, "rg_grad_check: out of memory");
        *n_nodes += ok;
        t->compared += own.compared;
        t->rough += own.rough;
        t->failed = t->failed || own.failed;
        if (own.rough && !*rough)
            *rough = c->source;
        if (fault && own.worst > worst) {
            worst = own.worst;
            *node = c->source;
            *what = fault;
        }
        t->worst = fmax(t->worst, own.worst);
    }
    return RG_OK;
}

rg_status rgi_check_nodes(const rgi_shadow *s, rg_nodes variables, bool second, rgi_tally *t, rg_node **node,
                          const char **what, rg_node **rough, size_t *n_nodes)
{
    const rg_allocator *a = &s->to->allocator;
    const size_t n = s->to->nodes.n;
    size_t operands = 1;
    for (size_t id = 0; id < s->n; id++)
        operands += s->of[id] && s->of[id]->id < n ? s->of[id]->n_in : 0;
    survey y = {.s = s};
    y.at = rgi_alloc(a, (s->n + 1) * sizeof *y.at);
    y.fetch = rgi_alloc(a, operands * sizeof *y.fetch);
    y.reached = rgi_alloc(a, n + 1);
    rg_status status = y.at && y.fetch && y.reached ? RG_OK : rgi_fail(RG_ERR_MEMORY, "rg_grad_check: out of memory");
    if (!status) {
        mark(&y, variables, n);
        collect(&y, n);
    }
    rg_plan *p = NULL;
    if (!status && y.n) {
        p = rg_compile(s->to, (rg_nodes){y.fetch, y.n_fetch}, &(rg_plan_opts){.threads = 1, .mode = RG_EVAL});
        status = p ? rg_run(p) : rgi_fail(RG_ERR_ARGUMENT, "rg_grad_check: %s", rg_graph_error(s->to));
    }
    if (!status && p)
        status = check_all(&y, p, second, t, node, what, rough, n_nodes);
    rg_plan_free(p);
    rgi_free(a, y.at, (s->n + 1) * sizeof *y.at);
    rgi_free(a, y.fetch, operands * sizeof *y.fetch);
    rgi_free(a, y.reached, n + 1);
    return status;
}
