/* check_node.c - the rules of one op, at one place: the node by itself in a graph of its own.

   With y the outputs and u random cotangents, f = <u, y>:
       reverse   <vjp(u)_i, d_i>  against the slope of f along d_i, one input after the other
       forward   <u, jvp(d)>      against sum_i <vjp(u)_i, d_i>: the same number
       second    the gradient of q = sum_i <vjp(u)_i, w_i> along (d, e) against the slope of q there */
#include "check.h"
#include "rule.h"

#include <retrograde/op.h>
#include <retrograde/ops.h>
#include <retrograde/plan.h>

#include <math.h>
#include <stdio.h>
#include <string.h>

#define OUTPUTS 8

/* A tensor that is moved along a direction: value, direction, and the node that reads it. */
typedef struct variable {
    rg_node *node;
    size_t n;
    double *value, *direction, *work;
} variable;

typedef struct bench {
    rg_graph *g;
    rg_plan *plan;
    variable *x; /* one an input of the node; node NULL where it has no derivative */
    size_t n_x;
    variable u[OUTPUTS];
    rg_node *y[OUTPUTS];
    size_t n_y;
    rg_node *scalar; /* whose slope is looked for */
    const variable *moved;
    size_t n_moved;
} bench;

static rg_node *total(rg_node *a, rg_node *b)
{
    return rg_sum(rg_mul(a, b), RG_ALL_AXES, false);
}

static bool variable_make(bench *b, variable *v, const char *name, size_t i, rg_shape shape, const double *at,
                          uint64_t stream)
{
    char text[32];
    const rg_allocator *a = &b->g->allocator;
    snprintf(text, sizeof text, "%s%zu", name, i);
    v->n = (size_t)rg_shape_count(shape);
    v->value = rgi_alloc(a, (3 * v->n + 1) * sizeof *v->value);
    v->node = rg_buffer(b->g, text, RG_F64, shape, NULL);
    if (!v->value || !v->node)
        return false;
    v->direction = v->value + v->n;
    v->work = v->direction + v->n;
    for (size_t k = 0; k < v->n; k++) {
        v->value[k] = at ? at[k] : rgi_draw(stream, k);
        v->direction[k] = rgi_draw(stream + 1, k);
    }
    return !rg_set(v->node, &(rg_tensor){RG_F64, shape, v->value, NULL});
}

static void variable_free(const bench *b, variable *v)
{
    rgi_free(&b->g->allocator, v->value, (3 * v->n + 1) * sizeof *v->value);
}

/* The node again, with inputs that can be moved. */
static rg_status set_up(bench *b, const rg_node *v, const rg_tensor *at, const rgi_tally *t)
{
    const rg_allocator *a = &v->graph->allocator;
    b->g = rg_graph_new(&(rg_graph_opts){.allocator = a, .seed = v->graph->seed});
    b->n_x = v->n_in;
    b->x = b->g ? rgi_alloc(a, (b->n_x + 1) * sizeof *b->x) : NULL;
    rg_node **in = b->x ? rgi_alloc(a, (b->n_x + 1) * sizeof *in) : NULL;
    if (!in)
        return rgi_fail(RG_ERR_MEMORY, "rg_grad_check: out of memory");
    bool ok = true;
    for (size_t i = 0; ok && i < b->n_x; i++)
        if (rgi_differentiable(v->in[i])) {
            ok = variable_make(b, &b->x[i], "x", i, at[i].shape, at[i].data, t->seed + 100 + 2 * i);
            in[i] = b->x[i].node;
        } else {
            in[i] = rg_const(b->g, at[i].dtype, at[i].shape, at[i].data);
        }
    rg_node *self = ok ? rg_apply_in(b->g, v->op, (rg_nodes){in, b->n_x}, v->attr) : NULL;
    rgi_free(a, in, (b->n_x + 1) * sizeof *in);
    for (size_t k = 0; self && k < rgi_output_count(self) && b->n_y < OUTPUTS; k++) {
        rg_node *y = rgi_output(self, k);
        if (!y || !rgi_differentiable(y))
            continue;
        ok = ok && variable_make(b, &b->u[b->n_y], "u", k, y->shape->a, NULL, t->seed + 7 + 2 * k);
        b->y[b->n_y++] = y;
    }
    return self && ok ? RG_OK : rgi_fail(RG_ERR_ARGUMENT, "rg_grad_check: %s", rg_graph_error(b->g));
}

static rg_status curve(void *user, double h, double *f)
{
    bench *b = user;
    rg_status status = RG_OK;
    for (size_t i = 0; !status && i < b->n_moved; i++) {
        const variable *v = &b->moved[i];
        if (!v->node)
            continue;
        for (size_t k = 0; k < v->n; k++)
            v->work[k] = v->value[k] + h * v->direction[k];
        status = rg_set(v->node, &(rg_tensor){RG_F64, v->node->shape->a, v->work, NULL});
    }
    status = status ? status : rg_run(b->plan);
    if (!status)
        *f = *(const double *)rg_data(b->plan, b->scalar);
    return status;
}

static double largest(const variable *v)
{
    double most = 0;
    for (size_t k = 0; k < v->n; k++)
        most = fmax(most, fabs(v->value[k]));
    return most;
}

/* <node, direction>, and the sum of the terms' sizes. */
static double inner(rg_plan *p, rg_node *node, const variable *v, double *size)
{
    const double *at = rg_data(p, node);
    double sum = 0;
    for (size_t k = 0; at && k < v->n; k++) {
        sum += at[k] * v->direction[k];
        *size += fabs(at[k] * v->direction[k]);
    }
    return sum;
}

/* The derivative against the slope of b->scalar along the moved variables. */
static rg_status compare(bench *b, double derivative, double size, rgi_tally *t, bool *fails)
{
    rgi_slope slope;
    double scale = 1, error = 0;
    for (size_t i = 0; i < b->n_moved; i++)
        scale = b->moved[i].node ? fmax(scale, largest(&b->moved[i])) : scale;
    rg_status status = rgi_slope_find(curve, b, t->step * scale, &slope);
    rgi_verdict verdict = rgi_slope_judge(&slope, derivative, size, t->tolerance, &error);
    if (!status && verdict == RGI_DIFFERS) {
        status = rgi_slope_doubt(curve, b, 1, &slope);
        const bool still = rgi_slope_judge(&slope, derivative, size, t->tolerance, &error) == RGI_DIFFERS;
        verdict = still ? RGI_DIFFERS : RGI_NOT_SMOOTH;
    }
    double unused;
    status = status ? status : curve(b, 0, &unused);
    if (status)
        return status;
    t->compared++;
    t->rough += verdict == RGI_NOT_SMOOTH;
    if (verdict == RGI_AGREES || verdict == RGI_DIFFERS)
        t->worst = fmax(t->worst, error);
    *fails = verdict == RGI_DIFFERS;
    t->failed = t->failed || *fails;
    return RG_OK;
}

static rg_status compile(bench *b, rg_nodes fetch)
{
    rg_plan_free(b->plan);
    b->plan = rg_graph_error(b->g) ? NULL : rg_compile(b->g, fetch, &(rg_plan_opts){.threads = 1, .mode = RG_EVAL});
    return b->plan ? rg_run(b->plan) : rgi_fail(RG_ERR_ARGUMENT, "rg_grad_check: %s", rg_graph_error(b->g));
}

/* Nodes under test: the variables that have a derivative, in a list. */
typedef struct lists {
    rg_node *x[64], *u[OUTPUTS], *w[64], *d[64], *fetch[140];
    size_t which[64], n;
} lists;

static rg_status first_order(bench *b, lists *l, rg_nodes grads, rg_node *f, rgi_tally *t, const char **what)
{
    size_t n = 0;
    l->fetch[n++] = f;
    for (size_t i = 0; i < l->n; i++)
        l->fetch[n++] = grads.at[i];
    rg_status status = compile(b, (rg_nodes){l->fetch, n});
    b->scalar = f;
    for (size_t i = 0; !status && !*what && i < l->n; i++) {
        double size = 0;
        bool fails = false;
        const double derivative = inner(b->plan, grads.at[i], &b->x[l->which[i]], &size);
        b->moved = &b->x[l->which[i]];
        b->n_moved = 1;
        status = compare(b, derivative, size, t, &fails);
        *what = !status && fails ? "reverse rule (vjp)" : NULL;
    }
    return status;
}

static rg_status forward(bench *b, lists *l, rg_nodes grads, rgi_tally *t, const char **what)
{
    for (size_t i = 0; i < l->n; i++) /* constants: values do not change any more */
        l->d[i] = rg_const(b->g, RG_F64, l->x[i]->shape->a, b->x[l->which[i]].direction);
    const rg_nodes tangents = rg_jvp((rg_nodes){b->y, b->n_y}, (rg_nodes){l->x, l->n}, (rg_nodes){l->d, l->n});
    rg_node *sum = NULL, *other = NULL;
    for (size_t k = 0; k < tangents.n; k++) {
        rg_node *part = total(tangents.at[k], b->u[k].node);
        sum = sum ? rg_add(sum, part) : part;
    }
    for (size_t i = 0; i < l->n; i++) {
        rg_node *part = total(grads.at[i], l->d[i]);
        other = other ? rg_add(other, part) : part;
    }
    if (!sum || !other) { /* the rule itself does not build */
        *what = "forward rule (jvp)";
        t->failed = true;
        return RG_OK;
    }
    size_t n = 0;
    l->fetch[n++] = sum;
    l->fetch[n++] = other;
    for (size_t i = 0; i < l->n; i++)
        l->fetch[n++] = grads.at[i];
    const rg_status status = compile(b, (rg_nodes){l->fetch, n});
    if (status)
        return status;
    double size = 0;
    for (size_t i = 0; i < l->n; i++)
        (void)inner(b->plan, grads.at[i], &b->x[l->which[i]], &size);
    const double a = *(const double *)rg_data(b->plan, sum), c = *(const double *)rg_data(b->plan, other);
    if (isfinite(c) && rgi_tally_equal(t, a, c, size))
        *what = "forward rule (jvp)";
    return RG_OK;
}

static rg_status second_order(bench *b, lists *l, rg_nodes grads, rgi_tally *t, const char **what)
{
    rg_node *q = NULL;
    for (size_t i = 0; i < l->n; i++) {
        for (size_t k = 0; k < b->x[l->which[i]].n; k++)
            b->x[l->which[i]].work[k] = rgi_draw(t->seed + 55 + i, k);
        l->w[i] = rg_const(b->g, RG_F64, l->x[i]->shape->a, b->x[l->which[i]].work);
        rg_node *part = total(grads.at[i], l->w[i]);
        q = q ? rg_add(q, part) : part;
    }
    rg_node *wrt[64 + OUTPUTS];
    size_t n = 0;
    for (size_t i = 0; i < l->n; i++)
        wrt[n++] = l->x[i];
    for (size_t k = 0; k < b->n_y; k++)
        wrt[n++] = b->u[k].node;
    const rg_nodes d = rg_grad(q, (rg_nodes){wrt, n});
    if (d.n != n) {
        *what = "rules of its derivatives (second order)";
        t->failed = true;
        return RG_OK;
    }
    l->fetch[0] = q;
    for (size_t i = 0; i < n; i++)
        l->fetch[1 + i] = d.at[i];
    rg_status status = compile(b, (rg_nodes){l->fetch, n + 1});
    b->scalar = q;
    for (int part = 0; !status && !*what && part < 2; part++) { /* along the inputs, then along the cotangents */
        double derivative = 0, size = 0;
        bool fails = false;
        for (size_t i = 0; i < l->n && part == 0; i++)
            derivative += inner(b->plan, d.at[i], &b->x[l->which[i]], &size);
        for (size_t k = 0; k < b->n_y && part == 1; k++)
            derivative += inner(b->plan, d.at[l->n + k], &b->u[k], &size);
        b->moved = part ? b->u : b->x;
        b->n_moved = part ? b->n_y : b->n_x;
        status = compare(b, derivative, size, t, &fails);
        *what = !status && fails ? "rules of its derivatives (second order)" : NULL;
    }
    return status;
}

static rg_status examine(bench *b, bool second, rgi_tally *t, const char **what)
{
    lists l = {.n = 0};
    rg_node *f = NULL;
    for (size_t i = 0; b->x && i < b->n_x && l.n < 64; i++)
        if (b->x[i].node) {
            l.which[l.n] = i;
            l.x[l.n++] = b->x[i].node;
        }
    for (size_t k = 0; k < b->n_y; k++) {
        rg_node *part = total(b->y[k], b->u[k].node);
        l.u[k] = b->u[k].node;
        f = f ? rg_add(f, part) : part;
    }
    if (!f || !l.n)
        return RG_OK;
    const rg_nodes grads = rg_vjp((rg_nodes){b->y, b->n_y}, (rg_nodes){l.u, b->n_y}, (rg_nodes){l.x, l.n});
    if (grads.n != l.n)
        return rgi_fail(RG_ERR_GRADIENT, "rg_grad_check: %s", rg_graph_error(b->g));
    rg_status status = first_order(b, &l, grads, f, t, what);
    if (!status && !*what)
        status = forward(b, &l, grads, t, what);
    if (!status && !*what && second)
        status = second_order(b, &l, grads, t, what);
    return status;
}

rg_status rgi_check_node(const rg_node *v, const rg_tensor *at, bool second, rgi_tally *t, const char **what)
{
    bench b = {.g = NULL};
    *what = NULL;
    rg_status status = set_up(&b, v, at, t);
    if (!status)
        status = examine(&b, second, t, what);
    for (size_t i = 0; b.x && i < b.n_x; i++)
        variable_free(&b, &b.x[i]);
    for (size_t k = 0; k < b.n_y; k++)
        variable_free(&b, &b.u[k]);
    rg_plan_free(b.plan);
    if (b.g)
        rgi_free(&v->graph->allocator, b.x, (b.n_x + 1) * sizeof *b.x);
    rg_graph_free(b.g);
    return status;
}
