/* check.c - gradients compared with five-point central differences, along random directions and element by element. */
#include "rule.h"

#include <retrograde/autograd.h>
#include <retrograde/plan.h>

#include "../graph/philox.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define RGI_CHECK_ELEMENTS 4096 /* of one wrt, looked at one by one */

typedef struct checker {
    rg_graph *g;
    rg_plan *plan;
    rg_node *loss;
    double step, tolerance;
    rg_grad_check_report *report;
} checker;

/* A number in [-1, 1) from a stream. */
static double draw(uint64_t stream, uint64_t i)
{
    const uint32_t counter[4] = {(uint32_t)i, (uint32_t)(i >> 32), 0, 0};
    uint32_t word[4];
    rgi_philox(counter, stream, word);
    return (double)word[0] / 2147483648.0 - 1;
}

static rg_status loss_at(checker *c, rg_node *wrt, const double *x, double *out)
{
    const rg_tensor t = {RG_F64, wrt->shape->a, (void *)(uintptr_t)x, NULL};
    rg_status status = rg_set(wrt, &t);
    if (!status)
        status = rg_run(c->plan);
    if (!status)
        *out = *(const double *)rg_data(c->plan, c->loss);
    return status;
}

/* (8 (f(h) - f(-h)) - (f(2h) - f(-2h))) / 12 h along `direction`, error of order h^4. `x` is restored. */
static rg_status difference(checker *c, rg_node *wrt, double *x, double *work, const double *direction, size_t n,
                            double h, double *out)
{
    static const double at[4] = {1, -1, 2, -2}, weight[4] = {8, -8, -1, 1};
    double sum = 0;
    for (int k = 0; k < 4; k++) {
        double f = 0;
        for (size_t i = 0; i < n; i++)
            work[i] = x[i] + at[k] * h * direction[i];
        const rg_status status = loss_at(c, wrt, work, &f);
        if (status)
            return status;
        sum += weight[k] * f;
    }
    *out = sum / (12 * h);
    return RG_OK;
}

/* Records a pair of numbers; an error is relative to the larger, above the noise of the differences. */
static void judge(checker *c, rg_node *wrt, int64_t element, double analytic, double numeric, double floor_)
{
    const double size = fmax(fmax(fabs(analytic), fabs(numeric)), floor_);
    double error = size > 0 ? fabs(analytic - numeric) / size : 0;
    if (isnan(analytic) || isnan(numeric))
        error = INFINITY;
    rg_grad_check_report *r = c->report;
    const bool first_element =
        element >= 0 && r->worst_element < 0 && error >= r->worst / 2; /* says more than a direction */
    if (error > r->worst || first_element) {
        r->worst = fmax(error, r->worst);
        r->worst_wrt = wrt;
        r->worst_element = element;
        r->analytic = analytic;
        r->numeric = numeric;
    }
}

static rg_status check_one(checker *c, rg_node *wrt, rg_node *grad, const rg_grad_check_opts *o, double *room)
{
    const size_t n = (size_t)rg_shape_count(wrt->shape->a);
    double *x = room, *work = room + n, *direction = room + 2 * n, *analytic = room + 3 * n;
    double f0 = 0, largest = 0, scale = 1;
    memcpy(x, rg_value(wrt).data, n * sizeof *x);
    rg_status status = loss_at(c, wrt, x, &f0);
    if (status)
        return status;
    memcpy(analytic, rg_data(c->plan, grad), n * sizeof *analytic);
    for (size_t i = 0; i < n; i++) {
        largest = fmax(largest, fabs(analytic[i]));
        scale = fmax(scale, fabs(x[i]));
    }
    const double h = c->step * scale, noise = 1e-6 * fmax(largest, fabs(f0) * 1e-6) + 1e-300;
    for (int d = 0; !status && d < o->directions; d++) {
        double numeric = 0, dot = 0, norm = 0;
        for (size_t i = 0; i < n; i++) {
            direction[i] = draw(o->seed + (uint64_t)d, i);
            dot += direction[i] * analytic[i];
            norm += fabs(direction[i] * analytic[i]);
        }
        status = difference(c, wrt, x, work, direction, n, h, &numeric);
        if (!status)
            judge(c, wrt, -1, dot, numeric, fmax(norm * 1e-3, noise));
    }
    const size_t stride = n > RGI_CHECK_ELEMENTS ? n / RGI_CHECK_ELEMENTS : 1;
    memset(direction, 0, n * sizeof *direction);
    for (size_t i = 0; !status && i < n; i += stride) {
        double numeric = 0;
        direction[i] = 1;
        status = difference(c, wrt, x, work, direction, n, h, &numeric);
        direction[i] = 0;
        if (!status)
            judge(c, wrt, (int64_t)i, analytic[i], numeric, fmax(largest * 1e-3, noise));
    }
    const rg_tensor back = {RG_F64, wrt->shape->a, x, NULL};
    const rg_status restored = rg_set(wrt, &back);
    return status ? status : restored;
}

static void describe(checker *c, size_t n_wrt)
{
    rg_grad_check_report *r = c->report;
    char label[RGI_LABEL] = "";
    if (r->worst_wrt)
        rgi_format_node(r->worst_wrt, label, sizeof label);
    if (!r->worst_wrt)
        snprintf(r->text, sizeof r->text, "%zu gradients agree with differences", n_wrt);
    else if (r->worst_element < 0)
        snprintf(r->text, sizeof r->text,
                 "%s: largest relative error %.3g (tolerance %.3g), %s along a random direction: %.12g, differences "
                 "give %.12g",
                 r->passed ? "passed" : "FAILED", r->worst, c->tolerance, label, r->analytic, r->numeric);
    else
        snprintf(r->text, sizeof r->text,
                 "%s: largest relative error %.3g (tolerance %.3g), %s element %lld: %.12g, differences give %.12g",
                 r->passed ? "passed" : "FAILED", r->worst, c->tolerance, label, (long long)r->worst_element,
                 r->analytic, r->numeric);
}

rg_status rg_grad_check(rg_node *loss, rg_nodes wrt, const rg_grad_check_opts *opts, rg_grad_check_report *report)
{
    if (!loss || !report)
        return rgi_fail(RG_ERR_ARGUMENT, "rg_grad_check: %s is NULL", loss ? "the report" : "the loss");
    rg_grad_check_opts o = opts ? *opts : (rg_grad_check_opts){0};
    o.directions = o.directions > 0 ? o.directions : 4;
    rg_graph *g = loss->graph;
    checker c = {.g = g,
                 .loss = loss,
                 .report = report,
                 .step = o.step > 0 ? o.step : 1e-3,
                 .tolerance = o.tolerance > 0 ? o.tolerance : 1e-6};
    *report = (rg_grad_check_report){.worst_element = -1};
    size_t largest = 0;
    for (size_t i = 0; i < wrt.n; i++) {
        char type[RGI_LABEL], label[RGI_LABEL];
        const rg_node *v = wrt.at[i];
        if (!v || !v->entry || v->dtype != RG_F64)
            return rgi_fail(RG_ERR_DTYPE, "rg_grad_check: wrt %zu must be an f64 parameter or buffer, it is %s %s", i,
                            v ? rgi_format_node(v, label, sizeof label) : "NULL",
                            v ? rgi_format_type(g, v->dtype, v->shape->a, type, sizeof type) : "");
        const size_t n = (size_t)rg_shape_count(v->shape->a);
        largest = n > largest ? n : largest;
    }
    const rg_nodes grads = rg_grad(loss, wrt);
    if (grads.n != wrt.n)
        return rgi_fail(rg_graph_status(g) ? rg_graph_status(g) : RG_ERR_ARGUMENT, "rg_grad_check: %s",
                        rg_graph_error(g));
    rg_node **fetch = rgi_alloc(&g->allocator, (wrt.n + 1) * sizeof *fetch);
    double *room = rgi_alloc(&g->allocator, (4 * largest + 1) * sizeof *room);
    rg_status status = fetch && room ? RG_OK : rgi_fail(RG_ERR_MEMORY, "rg_grad_check: out of memory");
    if (!status) {
        fetch[0] = loss;
        memcpy(fetch + 1, grads.at, wrt.n * sizeof *fetch);
        c.plan = rg_compile(g, (rg_nodes){fetch, wrt.n + 1}, &(rg_plan_opts){.threads = 1, .mode = RG_TRAIN});
        if (!c.plan)
            status = rgi_fail(rg_graph_status(g) ? rg_graph_status(g) : RG_ERR_STATE, "rg_grad_check: %s",
                              rg_graph_error(g));
    }
    for (size_t i = 0; !status && i < wrt.n; i++)
        status = check_one(&c, wrt.at[i], grads.at[i], &o, room);
    report->passed = !status && report->worst <= c.tolerance;
    if (!status)
        describe(&c, wrt.n);
    rg_plan_free(c.plan);
    rgi_free(&g->allocator, fetch, (wrt.n + 1) * sizeof *fetch);
    rgi_free(&g->allocator, room, (4 * largest + 1) * sizeof *room);
    return status;
}
