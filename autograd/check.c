/* check.c - the certificate of a gradient, rg_grad_check.

   The loss is written once more in f64 (shadow.h). There, with variables x and random directions d and e:
       <gradient, d>   against the slope of the loss along d, and element by element
       jvp(d)          against <gradient, d>: the same number by the other mode
       <H d, e>        against the slope of <gradient, e> along d: second order, forward over reverse
   and then each op by itself (check_nodes.c), which names what is wrong. */
#include "check.h"
#include "rule.h"

#include <retrograde/ops.h>
#include <retrograde/plan.h>

#include "../ops/table_ops.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#define ELEMENTS 256 /* of one wrt, looked at one by one */

/* One wrt: what stands for it in the shadow (NULL: the loss does not depend on it), and two directions. */
typedef struct variable {
    rg_node *wrt, *node, *d, *e;
    size_t n;
    double *value, *direction, *work;
} variable;

typedef struct checker {
    rgi_shadow s;
    rg_graph *g; /* the shadow */
    rg_node *loss, *q, *forward, *bent;
    rg_plan *at_loss, *at_q, *all;
    rg_nodes grads;
    rg_node **nodes; /* of the variables, then their directions, then the second ones */
    variable *x;
    size_t n;
    double scale;
    rgi_tally tally;
    double element_error; /* of the element that the report names */
    rg_grad_check_report *report;
    rg_plan *moving; /* what curve() runs, and reads */
    rg_node *scalar;
} checker;

bool rgi_equal(const rgi_tally *t, double a, double b, double size)
{
    return fabs(a - b) <= RGI_EXACT(t) * (fmax(fmax(fabs(a), fabs(b)), size) + 1e-300);
}

bool rgi_tally_equal(rgi_tally *t, double a, double b, double size)
{
    const double scale = fmax(fmax(fabs(a), fabs(b)), size) + 1e-300, error = fabs(a - b) / scale;
    const bool fails = !rgi_equal(t, a, b, size);
    t->compared++;
    if (!(error <= t->worst))
        t->worst = isnan(error) ? INFINITY : error;
    t->failed = t->failed || fails;
    return fails;
}

/* ---- moving the variables ---- */

static rg_status put(rg_node *node, const double *values)
{
    return rg_set(node, &(rg_tensor){RG_F64, node->shape->a, (void *)(uintptr_t)values, NULL});
}

static rg_status curve(void *user, double h, double *f)
{
    checker *c = user;
    rg_status status = RG_OK;
    for (size_t i = 0; !status && i < c->n; i++) {
        variable *v = &c->x[i];
        if (!v->node)
            continue;
        for (size_t k = 0; k < v->n; k++)
            v->work[k] = v->value[k] + h * v->direction[k];
        status = put(v->node, v->work);
    }
    status = status ? status : rg_run(c->moving);
    if (!status)
        *f = *(const double *)rg_data(c->moving, c->scalar);
    return status;
}

static rg_status slope(checker *c, rg_plan *plan, rg_node *scalar, rgi_slope *out)
{
    double unused;
    c->moving = plan;
    c->scalar = scalar;
    rg_status status = rgi_slope_find(curve, c, c->tally.step * c->scale, out);
    return status ? status : curve(c, 0, &unused);
}

static double loss_value(const checker *c)
{
    return *(const double *)rg_data(c->at_loss, c->loss);
}

/* Records a comparison of a derivative along the directions with the slope there: of the gradient of x[i], or of all
   (i = n). */
static rg_status judge(checker *c, rgi_slope *s, size_t i, int64_t element, double derivative, double size,
                       bool *agrees)
{
    double error, unused;
    rgi_verdict verdict = rgi_slope_judge(s, derivative, size, c->tally.tolerance, &error);
    rg_grad_check_report *r = c->report;
    if (verdict == RGI_DIFFERS) {
        rg_status status = rgi_slope_doubt(curve, c, fabs(loss_value(c)), s);
        status = status ? status : curve(c, 0, &unused);
        if (status)
            return status;
        const bool still = rgi_slope_judge(s, derivative, size, c->tally.tolerance, &error) == RGI_DIFFERS;
        verdict = still ? RGI_DIFFERS : RGI_NOT_SMOOTH;
    }
    *agrees = verdict != RGI_DIFFERS;
    c->tally.compared++;
    if (verdict == RGI_NOT_SMOOTH) {
        c->tally.rough++;
        return RG_OK;
    }
    c->tally.failed = c->tally.failed || verdict == RGI_DIFFERS;
    r->worst = fmax(error, r->worst);
    if (element >= 0 && (r->worst_element < 0 || error > c->element_error)) {
        c->element_error = error;
        r->worst_wrt = c->x[i].wrt;
        r->worst_element = element;
        r->analytic = derivative;
        r->numeric = s->value;
    }
    return RG_OK;
}

/* ---- setting up ---- */

static rg_status wrong_wrt(size_t i, const rg_node *v)
{
    char label[RGI_LABEL];
    return rgi_fail(RG_ERR_DTYPE,
                    "rg_grad_check: wrt %zu must be an f32 or f64 parameter or buffer, or an input in opts.inputs, it "
                    "is %s",
                    i, v ? rgi_format_operand(v, label, sizeof label) : "NULL");
}

static rg_node *direction_node(checker *c, const char *name, size_t i, const rg_node *like)
{
    char text[32];
    snprintf(text, sizeof text, "%s%zu", name, i);
    return rg_buffer(c->g, text, RG_F64, like->shape->a, NULL);
}

static rg_status make_variables(checker *c, rg_nodes wrt, rg_nodes inputs)
{
    const rg_allocator *a = &c->s.source->allocator;
    for (size_t i = 0; i < wrt.n; i++) {
        variable *v = &c->x[i];
        rg_node *w = rg_at(wrt, i);
        bool given = w && w->entry;
        for (size_t k = 0; w && k < inputs.n; k++)
            given = given || inputs.at[k] == w;
        if (!given || w->graph != c->s.source || !rgi_differentiable(w))
            return wrong_wrt(i, w);
        v->wrt = w;
        v->node = c->s.of[w->id];
        if (!v->node)
            continue;
        v->n = (size_t)rg_shape_count(v->node->shape->a);
        v->value = rgi_alloc(a, (3 * v->n + 1) * sizeof *v->value);
        v->d = direction_node(c, "d", i, v->node);
        v->e = direction_node(c, "e", i, v->node);
        if (!v->value || !v->d || !v->e)
            return rgi_fail(RG_ERR_MEMORY, "rg_grad_check: out of memory");
        v->direction = v->value + v->n;
        v->work = v->direction + v->n;
        if (v->n)
            memcpy(v->value, rg_value(v->node).data, v->n * sizeof *v->value);
        for (size_t k = 0; k < v->n; k++)
            c->scale = fmax(c->scale, fabs(v->value[k]));
    }
    return RG_OK;
}

/* Stopped gradients get their values: one after the other, since they may depend on one another. */
static rg_status hold_stops(checker *c)
{
    const size_t n = c->s.n_stops;
    rg_status status = RG_OK;
    for (size_t k = 0; !status && k < n; k++) {
        rg_node *live = c->s.stops[2 * k + 1];
        rg_plan *p = rg_compile(c->g, RG_NODES(live), &(rg_plan_opts){.threads = 1, .mode = RG_EVAL});
        status = p ? rg_run(p) : rgi_fail(RG_ERR_ARGUMENT, "rg_grad_check: %s", rg_graph_error(c->g));
        if (!status)
            status = put(c->s.stops[2 * k], rg_data(p, live));
        rg_plan_free(p);
    }
    return status;
}

static rg_status compiled(checker *c, rg_nodes fetch, rg_plan **out)
{
    *out = rg_graph_error(c->g) ? NULL : rg_compile(c->g, fetch, &(rg_plan_opts){.threads = 1, .mode = RG_EVAL});
    return *out ? RG_OK : rgi_fail(rg_graph_status(c->g), "rg_grad_check: %s", rg_graph_error(c->g));
}

/* The derivatives, in the shadow. */
static rg_status derive(checker *c, bool second)
{
    size_t n = 0;
    for (size_t i = 0; i < c->n; i++)
        if (c->x[i].node)
            c->nodes[n++] = c->x[i].node;
    for (size_t i = 0, k = n; i < c->n; i++)
        if (c->x[i].node)
            c->nodes[k++] = c->x[i].d;
    const rg_nodes xs = {c->nodes, n}, ds = {c->nodes + n, n};
    c->grads = rg_grad(c->loss, xs);
    if (c->grads.n != n)
        return rgi_fail(rg_graph_status(c->g), "rg_grad_check: %s", rg_graph_error(c->g));
    for (size_t i = 0, k = 0; i < c->n; i++)
        if (c->x[i].node) {
            rg_node *part = rg_sum(rg_mul(c->grads.at[k++], c->x[i].e), RG_ALL_AXES, false);
            c->q = c->q ? rg_add(c->q, part) : part;
        }
    rg_status status = compiled(c, RG_NODES(c->loss), &c->at_loss);
    if (!n || status)
        return status;
    c->forward = rg_at(rg_jvp(RG_NODES(c->loss), xs, ds), 0);
    c->bent = second ? rg_at(rg_jvp(RG_NODES(c->q), xs, ds), 0) : c->forward;
    status = status ? status : compiled(c, RG_NODES(c->q), &c->at_q);
    rg_node **fetch = rgi_alloc(&c->g->allocator, (n + 3) * sizeof *fetch);
    if (!fetch)
        return rgi_fail(RG_ERR_MEMORY, "rg_grad_check: out of memory");
    memcpy(fetch, c->grads.at, n * sizeof *fetch);
    fetch[n] = c->forward;
    fetch[n + 1] = c->bent;
    status = status ? status : compiled(c, (rg_nodes){fetch, n + 2}, &c->all);
    rgi_free(&c->g->allocator, fetch, (n + 3) * sizeof *fetch);
    return status;
}

/* ---- the comparisons ---- */

/* <gradient, directions>, of x[only] or of all (only = n). */
static double product(const checker *c, size_t only, double *size)
{
    double sum = 0;
    for (size_t i = 0, k = 0; i < c->n; i++) {
        const variable *v = &c->x[i];
        if (!v->node)
            continue;
        const double *at = rg_data(c->all, c->grads.at[k++]);
        for (size_t j = 0; (only == c->n || only == i) && j < v->n; j++) {
            sum += at[j] * v->direction[j];
            *size += fabs(at[j] * v->direction[j]);
        }
    }
    return sum;
}

/* <gradient, d> by reverse mode, and by forward mode, as the variables move. */
static rg_status reverse_curve(void *user, double h, double *f)
{
    checker *c = user;
    double unused = 0;
    const rg_status status = curve(c, h, f);
    *f = status ? 0 : product(c, c->n, &unused);
    return status;
}

static rg_status compare_modes(checker *c, double forward, double along, double size)
{
    rg_grad_check_report *r = c->report;
    rg_status status = RG_OK;
    if (!rgi_equal(&c->tally, forward, along, size)) { /* sums that cancel leave nothing but rounding */
        double one = 0, other = 0, unused;
        c->moving = c->all;
        c->scalar = c->forward;
        status = rgi_noise_find(curve, c, c->tally.step * c->scale, &one);
        status = status ? status : rgi_noise_find(reverse_curve, c, c->tally.step * c->scale, &other);
        status = status ? status : curve(c, 0, &unused);
        const double rounding = DBL_EPSILON * fabs(loss_value(c));
        size = fmax(size, 10 * fmax(rounding, fmax(one, other)) / RGI_EXACT(&c->tally));
    }
    if (!status && rgi_tally_equal(&c->tally, forward, along, size) && !*r->fault)
        snprintf(r->fault, sizeof r->fault, "forward mode gives %.9g, reverse mode %.9g", forward, along);
    return status;
}

static rg_status one_direction(checker *c, uint64_t stream, bool second)
{
    rg_status status = RG_OK;
    rg_grad_check_report *r = c->report;
    for (size_t i = 0; !status && i < c->n; i++) {
        variable *v = &c->x[i];
        if (!v->node)
            continue;
        for (size_t k = 0; k < v->n; k++) {
            v->direction[k] = rgi_draw(stream + 2 * i, k);
            v->work[k] = rgi_draw(stream + 2 * i + 1, k);
        }
        status = put(v->d, v->direction);
        status = status ? status : put(v->e, v->work);
    }
    status = status ? status : rg_run(c->all);
    if (status)
        return status;
    rgi_slope s;
    double size = 0;
    const double along = product(c, c->n, &size), forward = *(const double *)rg_data(c->all, c->forward);
    const double bent = *(const double *)rg_data(c->all, c->bent);
    bool agrees = true;
    status = slope(c, c->at_loss, c->loss, &s);
    status = status ? status : judge(c, &s, c->n, -1, along, size, &agrees);
    if (!status && !agrees && !*r->fault)
        snprintf(r->fault, sizeof r->fault, "the gradient along a random direction is %.9g, the slope %.9g", along,
                 s.value);
    if (!status && isfinite(along))
        status = compare_modes(c, forward, along, size);
    if (status || !second)
        return status;
    status = slope(c, c->at_q, c->q, &s);
    status = status ? status : judge(c, &s, c->n, -1, bent, fabs(bent), &agrees);
    if (!status && !agrees && !*r->fault)
        snprintf(r->fault, sizeof r->fault,
                 "the second derivative along random directions is %.9g, the slope of the gradient %.9g", bent,
                 s.value);
    return status;
}

static rg_status elements(checker *c, size_t most)
{
    rg_status status = rg_run(c->all);
    for (size_t i = 0; i < c->n; i++)
        if (c->x[i].node)
            memset(c->x[i].direction, 0, c->x[i].n * sizeof(double));
    for (size_t i = 0, k = 0; !status && i < c->n; i++) {
        variable *v = &c->x[i];
        if (!v->node)
            continue;
        const double *grad = rg_data(c->all, c->grads.at[k++]);
        const size_t stride = v->n > most ? v->n / most : 1;
        double largest = 0;
        for (size_t j = 0; j < v->n; j++)
            largest = fmax(largest, fabs(grad[j]));
        for (size_t j = 0; !status && j < v->n; j += stride) {
            rgi_slope s;
            const double derivative = grad[j];
            v->direction[j] = 1;
            bool agrees;
            status = slope(c, c->at_loss, c->loss, &s);
            status = status ? status : judge(c, &s, i, (int64_t)j, derivative, largest, &agrees);
            v->direction[j] = 0;
        }
    }
    return status;
}

static void describe(checker *c)
{
    rg_grad_check_report *r = c->report;
    char label[RGI_LABEL] = "", more[RGI_LABEL + 128] = "";
    if (r->worst_wrt)
        rgi_format_node(r->worst_wrt, label, sizeof label);
    if (r->worst_node) {
        char node[RGI_LABEL];
        snprintf(more, sizeof more, "; by itself %s is wrong in its %s",
                 rgi_format_node(r->worst_node, node, sizeof node), r->worst_rule);
    } else if (r->rough) {
        char node[RGI_LABEL] = "";
        if (r->rough_node)
            rgi_format_node(r->rough_node, node, sizeof node);
        snprintf(more, sizeof more, "; not smooth in %zu places%s%s", r->rough, *node ? ", as at " : "", node);
    }
    if (r->worst_element >= 0)
        snprintf(r->text, sizeof r->text,
                 "%s: largest relative error %.3g (tolerance %.3g), %s element %lld: %.12g, differences give %.12g%s",
                 r->passed ? "passed" : "FAILED", r->worst, c->tally.tolerance, label, (long long)r->worst_element,
                 r->analytic, r->numeric, more);
    else
        snprintf(r->text, sizeof r->text, "%s: largest relative error %.3g (tolerance %.3g) of %zu comparisons%s%s%s",
                 r->passed ? "passed" : "FAILED", r->worst, c->tally.tolerance, r->compared, *r->fault ? "; " : "",
                 r->fault, more);
}

static rg_status check(checker *c, rg_nodes wrt, const rg_grad_check_opts *o)
{
    rg_grad_check_report *r = c->report;
    const int directions = o->directions > 0 ? o->directions : 4;
    rg_status status = make_variables(c, wrt, o->inputs);
    status = status ? status : hold_stops(c);
    status = status ? status : derive(c, !o->first_order);
    for (int d = 0; c->all && !status && d < directions; d++)
        status = one_direction(c, o->seed + 1000 * (uint64_t)d, !o->first_order);
    if (c->all && !status)
        status = elements(c, o->elements > 0 ? (size_t)o->elements : ELEMENTS);
    if (c->all && !status)
        status = rgi_check_nodes(&c->s, (rg_nodes){c->nodes, c->grads.n}, !o->first_order, &c->tally, &r->worst_node,
                                 &r->worst_rule, &r->rough_node, &r->nodes);
    if (status)
        return status;
    r->worst = fmax(r->worst, c->tally.worst);
    r->compared = c->tally.compared;
    r->rough = c->tally.rough;
    r->passed = !c->tally.failed;
    describe(c);
    return RG_OK;
}

rg_status rg_grad_check(rg_node *loss, rg_nodes wrt, const rg_grad_check_opts *opts, rg_grad_check_report *report)
{
    char label[RGI_LABEL];
    if (!loss || !report)
        return rgi_fail(RG_ERR_ARGUMENT, "rg_grad_check: %s is NULL", loss ? "the report" : "the loss");
    if (loss->id >= loss->graph->nodes.n || loss->region->parent)
        return rgi_fail(RG_ERR_REGION, "rg_grad_check: the loss, a node of scan '%s', must stand outside of bodies",
                        rgi_scan_name(loss->region->scan));
    if (!rgi_differentiable(loss) || loss->shape->a.rank)
        return rgi_fail(RG_ERR_GRADIENT, "rg_grad_check: the loss must be a float scalar, it is %s",
                        rgi_format_operand(loss, label, sizeof label));
    const rg_grad_check_opts o = opts ? *opts : (rg_grad_check_opts){0};
    if (o.inputs.n && (!o.inputs.at || !o.values))
        return rgi_fail(RG_ERR_ARGUMENT, "rg_grad_check: %zu inputs, but opts.%s is NULL", o.inputs.n,
                        o.inputs.at ? "values" : "inputs");
    rg_graph *g = loss->graph;
    const rg_allocator *a = &g->allocator;
    checker c = {.n = wrt.n, .scale = 1, .report = report};
    c.tally = (rgi_tally){
        .tolerance = o.tolerance > 0 ? o.tolerance : 1e-6, .step = o.step > 0 ? o.step : 1e-3, .seed = o.seed};
    *report = (rg_grad_check_report){.worst_element = -1};
    c.x = rgi_alloc(a, (wrt.n + 1) * sizeof *c.x);
    c.nodes = rgi_alloc(a, (2 * wrt.n + 1) * sizeof *c.nodes);
    rg_status status = c.x && c.nodes ? RG_OK : rgi_fail(RG_ERR_MEMORY, "rg_grad_check: out of memory");
    if (!status) {
        status = rgi_shadow_make(&c.s, loss, o.inputs, o.values, o.training, "rg_grad_check");
        c.g = c.s.to;
        c.loss = status ? NULL : c.s.of[loss->id];
        status = status ? status : check(&c, wrt, &o);
        rg_plan_free(c.at_loss);
        rg_plan_free(c.at_q);
        rg_plan_free(c.all);
        for (size_t i = 0; i < c.n; i++)
            rgi_free(a, c.x[i].value, (3 * c.x[i].n + 1) * sizeof *c.x[i].value);
        rgi_shadow_end(&c.s);
    }
    rgi_free(a, c.x, (wrt.n + 1) * sizeof *c.x);
    rgi_free(a, c.nodes, (2 * wrt.n + 1) * sizeof *c.nodes);
    return status;
}
