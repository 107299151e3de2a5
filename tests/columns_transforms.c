/* columns_transforms.c - what is checked of an op's rules, in f64: reverse and forward mode, second order, batching,
   and sizes known late. */
#include "check.h"

#include <stdlib.h>
#include <string.h>

#include "autograd/rule.h"
#include "graph/scan.h"
#include "ops/batch.h"

enum { MANY = 3 * SAMPLE_INPUTS + 2 };
#define STEP 1e-3
#define DIFFERENCE_TOLERANCE 1e-7
#define TRANSPOSE_TOLERANCE 1e-12

/* ---- further inputs: cotangents, tangents, weights ---- */

/* Inputs made for a test, with values and a direction along which the values are moved. */
typedef struct probe {
    rg_node *node[MANY];
    bound bind[MANY];
    double *value[MANY]; /* what bind points to */
    size_t n;
} probe;

static rg_node *probe_add(probe *p, trial *t, const char *name, rg_node *like)
{
    char full[16];
    snprintf(full, sizeof full, "%s%zu", name, p->n);
    p->node[p->n] = rg_input(t->g, full, RG_F64, rg_shape_of(like));
    return p->node[p->n++];
}

/* Values, once concrete shapes are known. */
static void probe_fill(probe *p, size_t i, rg_shape shape, uint64_t seed)
{
    const size_t n = ref_count(shape);
    uint64_t state = seed * 7919 + i;
    free(p->value[i]);
    p->value[i] = calloc(n + 1, sizeof(double));
    for (size_t k = 0; k < n; k++)
        p->value[i][k] = 2 * sample_random(&state) - 1;
    p->bind[i] = (bound){p->node[i], p->value[i], shape};
}

static void probe_end(probe *p)
{
    for (size_t i = 0; i < p->n; i++)
        free(p->value[i]);
}

/* ---- differences ---- */

/* One variable that a difference moves: its values, where they stand and the direction. */
typedef struct moved {
    double *at;
    const double *direction;
    double *origin;
    size_t n;
} moved;

typedef struct sweep {
    trial *t;
    rg_plan *plan;
    const probe *extra;
    moved variable[SAMPLE_INPUTS + 1];
    size_t n_variables;
    rg_node *const *ys; /* the function: sum over k of <ys[k], weights[k]> */
    double *const *weights;
    size_t n_ys;
} sweep;

static double evaluate(const sweep *s, double h, double *magnitude, complaints *why)
{
    for (size_t i = 0; i < s->n_variables; i++)
        for (size_t k = 0; k < s->variable[i].n; k++)
            s->variable[i].at[k] = s->variable[i].origin[k] + h * s->variable[i].direction[k];
    if (!trial_rebind(s->t, s->plan, s->extra->bind, s->extra->n, why))
        return NAN;
    double sum = 0;
    for (size_t i = 0; i < s->n_ys; i++) {
        ref_tensor y;
        if (!fetched(s->plan, s->ys[i], &y))
            return NAN;
        for (size_t k = 0; k < ref_count(y.shape); k++) {
            sum += y.at[k] * s->weights[i][k];
            *magnitude += fabs(y.at[k] * s->weights[i][k]);
        }
        ref_free(&y);
    }
    return sum;
}

/* The derivative at 0 by the five-point formula, error h^4 f^(5) / 30. */
static double difference(sweep *s, double *magnitude, complaints *why)
{
    for (size_t i = 0; i < s->n_variables; i++) {
        moved *v = &s->variable[i];
        v->origin = calloc(v->n + 1, sizeof(double));
        memcpy(v->origin, v->at, v->n * sizeof(double));
    }
    const double f1 = evaluate(s, STEP, magnitude, why), b1 = evaluate(s, -STEP, magnitude, why);
    const double f2 = evaluate(s, 2 * STEP, magnitude, why), b2 = evaluate(s, -2 * STEP, magnitude, why);
    double unused = 0;
    evaluate(s, 0, &unused, why);
    for (size_t i = 0; i < s->n_variables; i++)
        free(s->variable[i].origin);
    return (8 * (f1 - b1) - (f2 - b2)) / (12 * STEP);
}

/* sum_i <x[i], v[i]> with the sum of the terms' magnitudes; false where a node was not computed. */
static bool inner(rg_plan *p, rg_node *x, const double *v, double *sum, double *magnitude)
{
    ref_tensor got;
    if (!fetched(p, x, &got))
        return false;
    for (size_t k = 0; k < ref_count(got.shape); k++) {
        *sum += got.at[k] * v[k];
        *magnitude += fabs(got.at[k] * v[k]);
    }
    ref_free(&got);
    return true;
}

/* ---- vjp, jvp, second order ---- */

static bool applies(const sample_row *row, const sample_case *c)
{
    return !(row->flags & SAMPLE_STRUCTURAL) && !c->no_derivative && (!c->only || c->only == RG_F64);
}

/* A trial with its cotangent u and a direction v[i] for each differentiable input. */
typedef struct derivative {
    trial t;
    probe extra;
    rg_node *xs[SAMPLE_INPUTS], *vs[SAMPLE_INPUTS], *u;
    size_t which[SAMPLE_INPUTS], n;
} derivative;

static bool derivative_begin(derivative *d, const sample_row *row, const sample_case *c, sample_sizes sizes,
                             complaints *why)
{
    memset(d, 0, sizeof *d);
    if (!trial_begin(&d->t, row, c, RG_F64, sizes, why))
        return false;
    for (size_t i = 0; i < d->t.n; i++)
        if (trial_differentiable(&d->t, i)) {
            d->which[d->n] = i;
            d->xs[d->n] = d->t.x[i];
            d->vs[d->n++] = probe_add(&d->extra, &d->t, "v", d->t.x[i]);
        }
    d->u = probe_add(&d->extra, &d->t, "u", d->t.y);
    return true;
}

/* Values for the directions, the cotangent (whose shape is the reference's) and, for each direction, a weight. */
static void derivative_fill(derivative *d, rg_shape y, bool weights)
{
    for (size_t i = 0; i < d->n; i++)
        probe_fill(&d->extra, i, d->t.value[d->which[i]].shape, 1);
    probe_fill(&d->extra, d->n, y, 2);
    for (size_t i = 0; weights && i < d->n; i++)
        probe_fill(&d->extra, d->n + 1 + i, d->t.value[d->which[i]].shape, 3);
}

static void derivative_end(derivative *d)
{
    probe_end(&d->extra);
    trial_end(&d->t);
}

/* The concrete shape of the result. */
static bool result_shape(trial *t, rg_shape *out, complaints *why)
{
    rg_plan *p = trial_run(t, RG_NODES(t->y), &(rg_plan_opts){.threads = 1}, NULL, 0, why);
    rg_tensor y;
    const bool ok = p && !rg_result(p, t->y, &y);
    if (ok)
        *out = y.shape;
    rg_plan_free(p);
    return ok;
}

/* An op without a derivative: its result is no float, or the gradient is zero everywhere. */
static mark zero_gradient(derivative *d, complaints *why)
{
    if (!rg_dtype_is_float(rg_dtype_of(d->t.y)) || !d->n)
        return MARK_ZERO;
    rg_shape shape;
    if (!result_shape(&d->t, &shape, why))
        return MARK_FAIL;
    derivative_fill(d, shape, false);
    const rg_nodes grads = rg_vjp(RG_NODES(d->t.y), RG_NODES(d->u), (rg_nodes){d->xs, d->n});
    rg_plan *p = trial_run(&d->t, grads, &(rg_plan_opts){.threads = 1}, d->extra.bind, d->extra.n, why);
    mark m = p && grads.n == d->n ? MARK_ZERO : MARK_FAIL;
    for (size_t i = 0; i < grads.n && m == MARK_ZERO; i++) {
        double sum = 0, magnitude = 0;
        if (!inner(p, grads.at[i], d->extra.value[i], &sum, &magnitude) || magnitude > 0)
            m = MARK_FAIL;
    }
    if (m == MARK_FAIL)
        complain(why, "%s: gradient is not zero", d->t.label);
    rg_plan_free(p);
    return m;
}

static mark judge(trial *t, const char *what, double analytic, double numeric, double magnitude, double tolerance,
                  complaints *why)
{
    if (fabs(analytic - numeric) <= tolerance * magnitude + 1e-300)
        return MARK_PASS;
    complain(why, "%s: %s is %.12g, not %.12g (relative to %.3g: %.2g)", t->label, what, analytic, numeric, magnitude,
             fabs(analytic - numeric) / magnitude);
    return MARK_FAIL;
}

static mark check_vjp(derivative *d, complaints *why)
{
    rg_shape shape;
    if (!result_shape(&d->t, &shape, why))
        return MARK_FAIL;
    derivative_fill(d, shape, false);
    rg_node *fetch[1 + SAMPLE_INPUTS] = {d->t.y};
    const rg_nodes grads = rg_vjp(RG_NODES(d->t.y), RG_NODES(d->u), (rg_nodes){d->xs, d->n});
    for (size_t i = 0; i < d->n; i++)
        fetch[1 + i] = rg_at(grads, i);
    rg_plan *p =
        trial_run(&d->t, (rg_nodes){fetch, 1 + d->n}, &(rg_plan_opts){.threads = 1}, d->extra.bind, d->extra.n, why);
    if (!p)
        return MARK_FAIL;
    sweep s = {.t = &d->t, .plan = p, .extra = &d->extra, .ys = &d->t.y, .weights = &d->extra.value[d->n], .n_ys = 1};
    mark m = MARK_PASS;
    for (size_t i = 0; i < d->n && m == MARK_PASS; i++) { /* one input after the other, so that none hides another */
        const ref_tensor *x = &d->t.value[d->which[i]];
        ref_tensor g;
        s.variable[0] = (moved){d->t.data[d->which[i]], d->extra.value[i], NULL, ref_count(x->shape)};
        s.n_variables = 1;
        double analytic = 0, magnitude = 0, terms = 0;
        if (!inner(p, grads.at[i], d->extra.value[i], &analytic, &magnitude) || !fetched(p, grads.at[i], &g))
            return MARK_FAIL;
        if (!rg_shape_equal(g.shape, x->shape)) {
            complain(why, "%s: gradient of input %zu has another shape", d->t.label, d->which[i]);
            m = MARK_FAIL;
        }
        ref_free(&g);
        const double numeric = difference(&s, &terms, why);
        /* the difference itself is no better than its rounding */
        if (m == MARK_PASS)
            m = judge(&d->t, "vjp", analytic, numeric, magnitude + 1e-5 * terms, DIFFERENCE_TOLERANCE, why);
    }
    rg_plan_free(p);
    return m;
}

static mark check_jvp(derivative *d, complaints *why)
{
    rg_shape shape;
    if (!result_shape(&d->t, &shape, why))
        return MARK_FAIL;
    derivative_fill(d, shape, false);
    const rg_nodes xs = {d->xs, d->n}, grads = rg_vjp(RG_NODES(d->t.y), RG_NODES(d->u), xs);
    const rg_nodes tangents = rg_jvp(RG_NODES(d->t.y), xs, (rg_nodes){d->vs, d->n});
    rg_node *fetch[2 + SAMPLE_INPUTS] = {d->t.y, rg_at(tangents, 0)};
    for (size_t i = 0; i < d->n; i++)
        fetch[2 + i] = rg_at(grads, i);
    rg_plan *p =
        trial_run(&d->t, (rg_nodes){fetch, 2 + d->n}, &(rg_plan_opts){.threads = 1}, d->extra.bind, d->extra.n, why);
    double forward = 0, reverse = 0, magnitude = 0;
    bool ok = p && inner(p, fetch[1], d->extra.value[d->n], &forward, &magnitude);
    for (size_t i = 0; i < d->n; i++)
        ok = ok && inner(p, fetch[2 + i], d->extra.value[i], &reverse, &magnitude);
    rg_plan_free(p);
    return ok ? judge(&d->t, "<u, jvp(v)>", forward, reverse, magnitude, TRANSPOSE_TOLERANCE, why) : MARK_FAIL;
}

/* The gradient of <vjp(u), w> with respect to the inputs and u, against differences of the vjp. */
static mark check_second(derivative *d, complaints *why)
{
    rg_shape shape;
    if (!result_shape(&d->t, &shape, why))
        return MARK_FAIL;
    rg_node *ws[SAMPLE_INPUTS], *wrt[SAMPLE_INPUTS + 1];
    for (size_t i = 0; i < d->n; i++) {
        ws[i] = probe_add(&d->extra, &d->t, "w", d->xs[i]);
        wrt[i] = d->xs[i];
    }
    wrt[d->n] = d->u;
    derivative_fill(d, shape, true);
    const rg_nodes grads = rg_vjp(RG_NODES(d->t.y), RG_NODES(d->u), (rg_nodes){d->xs, d->n});
    const rg_nodes second = rg_vjp(grads, (rg_nodes){ws, d->n}, (rg_nodes){wrt, d->n + 1});
    rg_node *fetch[MANY];
    for (size_t i = 0; i < d->n; i++)
        fetch[i] = rg_at(grads, i);
    for (size_t i = 0; i <= d->n; i++)
        fetch[d->n + i] = rg_at(second, i);
    rg_plan *p = trial_run(&d->t, (rg_nodes){fetch, 2 * d->n + 1}, &(rg_plan_opts){.threads = 1}, d->extra.bind,
                           d->extra.n, why);
    if (!p)
        return MARK_FAIL;
    sweep s = {
        .t = &d->t, .plan = p, .extra = &d->extra, .ys = fetch, .weights = &d->extra.value[d->n + 1], .n_ys = d->n};
    uint64_t state = 11;
    double *du = calloc(ref_count(shape) + 1, sizeof *du), analytic = 0, magnitude = 0, terms = 0;
    for (size_t k = 0; k < ref_count(shape); k++)
        du[k] = 2 * sample_random(&state) - 1;
    bool ok = true;
    for (size_t i = 0; i <= d->n; i++) {
        const bool is_u = i == d->n;
        const double *direction = is_u ? du : d->extra.value[i];
        void *at = is_u ? d->extra.value[d->n] : d->t.data[d->which[i]];
        s.variable[i] = (moved){at, direction, NULL, ref_count(is_u ? shape : d->t.value[d->which[i]].shape)};
        ok = ok && inner(p, fetch[d->n + i], direction, &analytic, &magnitude);
    }
    s.n_variables = d->n + 1;
    const double numeric = ok ? difference(&s, &terms, why) : 0;
    rg_plan_free(p);
    free(du);
    return ok ? judge(&d->t, "second order", analytic, numeric, magnitude + 1e-5 * terms, DIFFERENCE_TOLERANCE, why)
              : MARK_FAIL;
}

static mark with_derivative(const sample_row *row, const sample_case *c, mark (*check)(derivative *, complaints *),
                            complaints *why)
{
    derivative d;
    mark m = MARK_FAIL;
    if (!applies(row, c))
        return MARK_NONE;
    if (derivative_begin(&d, row, c, sizes_small, why)) {
        const bool zero = (row->flags & SAMPLE_ZERO_GRAD) || !d.n || !rg_dtype_is_float(rg_dtype_of(d.t.y));
        m = zero ? zero_gradient(&d, why) : check(&d, why);
    }
    derivative_end(&d);
    return m;
}

static mark vjp(const sample_row *row, const sample_case *c, complaints *why)
{
    return with_derivative(row, c, check_vjp, why);
}

static mark jvp(const sample_row *row, const sample_case *c, complaints *why)
{
    return with_derivative(row, c, check_jvp, why);
}

static mark second(const sample_row *row, const sample_case *c, complaints *why)
{
    return with_derivative(row, c, check_second, why);
}

/* ---- the batching rule ---- */

/* The node with one more leading axis, given which inputs have it: the rules applied from the inputs on. */
typedef struct batching {
    rg_node **of; /* by id: the batched node, NULL where it is as it was */
    size_t n;
    complaints *why;
} batching;

static bool batch_node(batching *b, rg_node *node)
{
    rg_node *in[16] = {NULL}, *out[8] = {NULL};
    bool batched[16] = {false}, any = false;
    if (node->n_in > 16)
        return false;
    for (uint32_t i = 0; i < node->n_in; i++) {
        const uint32_t id = node->in[i]->id;
        if (id >= b->n)
            continue;
        in[i] = b->of[id] ? b->of[id] : node->in[i];
        batched[i] = b->of[id] != NULL;
        any |= batched[i];
    }
    if (!any || rgi_is_projection(node)) /* these are set by their owner */
        return true;
    if (node->op->batch)
        node->op->batch(node, in, batched, out);
    else if (node->op->traits & RG_ELEMENTWISE)
        rgi_batch_elementwise(node, in, batched, out);
    else {
        complain(b->why, "%s has no batching rule", node->op->name);
        return false;
    }
    bool ok = true;
    for (size_t k = 0; k < rgi_output_count(node); k++) {
        b->of[rgi_output(node, k)->id] = out[k];
        ok = ok && out[k];
    }
    if (!ok)
        complain(b->why, "batching rule of %s: %s", node->op->name, rg_graph_error(node->graph));
    return ok;
}

static void mark_ancestors(rg_node *node, bool *reached)
{
    if (reached[node->id])
        return;
    reached[node->id] = true;
    for (uint32_t i = 0; i < node->n_in; i++)
        mark_ancestors(node->in[i], reached);
}

/* NULL with a complaint where a rule fails, the plain result where it does not depend on the inputs that are
   batched. */
static rg_node *batched_node(trial *t, rg_node *const replaced[], complaints *why)
{
    batching b = {.n = rg_graph_size(t->g), .why = why};
    b.of = calloc(b.n, sizeof *b.of);
    bool *reached = calloc(b.n, sizeof *reached), ok = true;
    mark_ancestors(t->y, reached);
    for (size_t i = 0; i < t->n; i++)
        b.of[t->x[i]->id] = replaced[i];
    for (size_t id = 0; ok && id <= t->y->id; id++)
        if (reached[id])
            ok = batch_node(&b, rgi_node(t->g, id));
    rg_node *y = !ok ? NULL : b.of[t->y->id] ? b.of[t->y->id] : t->y;
    free(b.of);
    free(reached);
    return y;
}

enum { EXAMPLES = 3 };

/* Runs the batched node once and the plain one for every example. */
static mark compare_examples(trial *t, rg_node *const replaced[], rg_node *batched, complaints *why)
{
    bound extra[SAMPLE_INPUTS];
    double *all[SAMPLE_INPUTS] = {NULL};
    void *typed[SAMPLE_INPUTS] = {NULL};
    size_t n = 0, size[SAMPLE_INPUTS] = {0};
    for (size_t i = 0; i < t->n; i++) {
        size[i] = ref_count(t->value[i].shape);
        if (!replaced[i])
            continue;
        rg_shape shape = {t->value[i].shape.rank + 1, {EXAMPLES}};
        memcpy(shape.dim + 1, t->value[i].shape.dim, sizeof shape.dim - sizeof shape.dim[0]);
        all[i] = calloc(EXAMPLES * size[i] + 1, sizeof(double));
        for (int e = 0; e < EXAMPLES; e++)
            sample_fill(&t->row->domain[i], t->dtype[i], t->value[i].shape, (int)i, 100 + (uint64_t)e,
                        all[i] + (size_t)e * size[i]);
        typed[i] = typed_from_doubles(all[i], EXAMPLES * size[i], t->dtype[i]);
        extra[n++] = (bound){replaced[i], typed[i], shape};
    }
    mark m = MARK_FAIL;
    ref_tensor whole = {.at = NULL};
    rg_plan *p = trial_run(t, RG_NODES(batched), &(rg_plan_opts){.threads = 1}, extra, n, why);
    if (p && fetched(p, batched, &whole))
        m = MARK_PASS;
    for (size_t e = 0; e < EXAMPLES && m == MARK_PASS; e++) {
        void *kept[SAMPLE_INPUTS] = {NULL};
        for (size_t i = 0; i < t->n; i++) {
            kept[i] = t->data[i];
            if (replaced[i])
                t->data[i] = (char *)typed[i] + e * size[i] * rg_dtype_size(t->dtype[i]);
        }
        ref_tensor y = {.at = NULL};
        rg_plan *q = trial_run(t, RG_NODES(t->y), &(rg_plan_opts){.threads = 1}, NULL, 0, why);
        const bool ok = q && fetched(q, t->y, &y);
        const size_t count = ok ? ref_count(y.shape) : 0;
        if (!ok || ref_count(whole.shape) != EXAMPLES * count || whole.shape.rank != y.shape.rank + 1) {
            complain(why, "%s: batched result has another shape", t->label);
            m = MARK_FAIL;
        }
        for (size_t k = 0; k < count && m == MARK_PASS; k++) {
            const double a = whole.at[e * count + k], b = y.at[k];
            if (!(fabs(a - b) <= 1e-13 * (1 + fabs(b))) && !(isnan(a) && isnan(b)) && a != b) {
                complain(why, "%s: batched element %zu of example %zu is %.17g, not %.17g", t->label, k, e, a, b);
                m = MARK_FAIL;
            }
        }
        ref_free(&y);
        rg_plan_free(q);
        for (size_t i = 0; i < t->n; i++)
            t->data[i] = kept[i];
    }
    rg_plan_free(p);
    ref_free(&whole);
    for (size_t i = 0; i < t->n; i++) {
        free(all[i]);
        free(typed[i]);
    }
    return m;
}

/* Every subset of the inputs gets the axis. */
static mark batch(const sample_row *row, const sample_case *c, complaints *why)
{
    if ((row->flags & (SAMPLE_STRUCTURAL | SAMPLE_RANDOM | SAMPLE_SIZED)) || !applies(row, c) || !sample_inputs(c))
        return MARK_NONE;
    mark m = MARK_PASS;
    for (size_t i = 0; i < sample_inputs(c); i++)
        if (sample_shape(NULL, &sizes_small, c->shape[i]).rank == RG_MAX_RANK)
            return MARK_NONE; /* no room for an axis */
    for (unsigned subset = 1; subset < 1u << sample_inputs(c) && m == MARK_PASS; subset++) {
        trial t;
        m = MARK_FAIL;
        if (trial_begin(&t, row, c, RG_F64, sizes_small, why)) {
            rg_node *replaced[SAMPLE_INPUTS] = {NULL};
            for (size_t i = 0; i < t.n; i++)
                if (subset >> i & 1u) {
                    const rg_shape plain = rg_shape_of(t.x[i]);
                    const char name[3] = {'z', (char)('0' + i), 0};
                    rg_shape shape = {plain.rank + 1, {rg_dim(t.g, "Z")}};
                    memcpy(shape.dim + 1, plain.dim, sizeof plain.dim - sizeof plain.dim[0]);
                    replaced[i] = rg_input(t.g, name, t.dtype[i], shape);
                }
            const size_t before = why->count;
            rg_node *y = batched_node(&t, replaced, why);
            if (y)
                m = y == t.y ? MARK_PASS : compare_examples(&t, replaced, y, why);
            if (m == MARK_FAIL)
                complain(why, "%s: batching rule with inputs of mask %u%s", t.label, subset,
                         why->count == before ? " gives no node" : "");
        }
        trial_end(&t);
    }
    return m;
}

/* ---- sizes known late ---- */

/* The value, gradients and tangent of one trial, as nodes. */
static size_t everything(derivative *d, rg_node *fetch[MANY])
{
    size_t n = 0;
    fetch[n++] = d->t.y;
    for (size_t i = 0; (d->t.row->flags & SAMPLE_SIZED) && i < d->t.n; i++)
        fetch[n++] = d->t.x[i];
    if (!d->n || !rg_dtype_is_float(rg_dtype_of(d->t.y)))
        return n;
    const rg_nodes xs = {d->xs, d->n}, ys = RG_NODES(d->t.y);
    const rg_nodes grads = rg_vjp(ys, RG_NODES(d->u), xs), tangents = rg_jvp(ys, xs, (rg_nodes){d->vs, d->n});
    for (size_t i = 0; i < d->n; i++)
        fetch[n++] = rg_at(grads, i);
    fetch[n++] = rg_at(tangents, 0);
    return n;
}

/* One plan with names, at two sizes, against plans built with the numbers: equal bits. */
static mark named(const sample_row *row, const sample_case *c, complaints *why)
{
    if (!applies(row, c) || !sample_case_named(c))
        return MARK_NONE;
    const sample_sizes sizes[] = {sizes_small, sizes_other};
    sample_sizes first = sizes_small;
    first.named = true;
    derivative d, e;
    rg_node *fetch[MANY], *plain[MANY];
    rg_plan *p = NULL;
    mark m = derivative_begin(&d, row, c, first, why) ? MARK_PASS : MARK_FAIL;
    const size_t n = m == MARK_PASS ? everything(&d, fetch) : 0;
    for (size_t k = 0; k < 2 && m == MARK_PASS; k++) {
        m = MARK_FAIL;
        rg_shape shape;
        rg_plan *q = NULL;
        if (derivative_begin(&e, row, c, sizes[k], why) && result_shape(&e.t, &shape, why)) {
            derivative_fill(&e, shape, false);
            trial_resize(&d.t, sizes[k]);
            derivative_fill(&d, shape, false);
            const rg_plan_opts opts = {.threads = 1};
            if (everything(&e, plain) == n)
                q = trial_run(&e.t, (rg_nodes){plain, n}, &opts, e.extra.bind, e.extra.n, why);
            bool ran = p && trial_rebind(&d.t, p, d.extra.bind, d.extra.n, why);
            if (!p) {
                p = trial_run(&d.t, (rg_nodes){fetch, n}, &opts, d.extra.bind, d.extra.n, why);
                ran = p != NULL;
            }
            if (ran && q)
                m = same_bytes(p, (rg_nodes){fetch, n}, q, (rg_nodes){plain, n}) ? MARK_PASS : MARK_FAIL;
            if (ran && q && m == MARK_FAIL)
                complain(why, "%s: named dimensions of sizes %zu give other bits than numbers", d.t.label, k);
        }
        rg_plan_free(q);
        derivative_end(&e);
    }
    rg_plan_free(p);
    derivative_end(&d);
    return m;
}

const column columns_transforms[] = {
    {"vjp", vjp},     {"jvp", jvp}, {"batch", batch}, {"second", second}, {"sparse", column_sparse},
    {"named", named}, {NULL, NULL},
};
