/* problems.c - the usual benchmarks of differentiation: each objective is written down once, its gradient is certified at a
   small size (rg_grad_check), and the times of both are compared at a larger one. */
#include "arguments.h"
#include "meter.h"

#include <retrograde/retrograde.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CERTIFY, QUICK, FULL };

/* ---- parameters with values, and small helpers ---- */

static double number(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (double)(*state >> 11) * 0x1p-53;
}

/* A parameter with numbers within [lo, hi]. */
static rg_node *filled(rg_graph *g, const char *name, rg_shape shape, double lo, double hi)
{
    rg_node *p = rg_param(g, name, RG_F64, shape, NULL);
    const size_t n = (size_t)rg_shape_count(shape);
    double *values = malloc((n + 1) * sizeof *values);
    uint64_t state = (uint64_t)(unsigned char)*name * 77 + n;
    for (size_t i = 0; values && i < n; i++)
        values[i] = lo + (hi - lo) * number(&state);
    if (!values || rg_set(p, &(rg_tensor){.dtype = RG_F64, .shape = shape, .data = values}))
        fprintf(stderr, "problems: %s\n", rg_last_error());
    free(values);
    return p;
}

static rg_node *total(rg_node *x)
{
    return rg_sum(x, RG_ALL_AXES, false);
}

static rg_node *element(rg_node *x, int64_t i)
{
    return rg_squeeze(rg_slice(x, 0, i, i + 1), 0);
}

/* What a problem is differentiated by. */
typedef struct wanted {
    rg_node *at[4];
    size_t n;
} wanted;

static void want(wanted *w, rg_node *x)
{
    w->at[w->n++] = x;
}

/* ---- sum_i 100 (x[i+1] - x[i]^2)^2 + (1 - x[i])^2 ---- */

static rg_node *rosenbrock(rg_graph *g, int size, wanted *w)
{
    const int64_t n = size == CERTIFY ? 20 : 1000;
    rg_node *x = filled(g, "x", RG_SHAPE(n), -2, 2);
    want(w, x);
    rg_node *lo = rg_slice(x, 0, 0, n - 1), *hi = rg_slice(x, 0, 1, n);
    return total(rg_add(rg_scale(rg_square(rg_sub(hi, rg_square(lo))), 100), rg_square(rg_one_minus(lo))));
}

/* ---- log-likelihood of points under a mixture of Gaussians, with a Wishart prior (ADBench's GMM) ---- */

/* Inverse covariances are Q^T Q, Q lower triangular with exp(q) on the diagonal and l below it, column by column. */
static rg_node *triangles(rg_graph *g, rg_node *q, rg_node *l, int64_t k, int64_t d)
{
    const int64_t below = d * (d - 1) / 2;
    int64_t *at = malloc((size_t)(d * d + 1) * sizeof *at);
    for (int64_t i = 0; at && i < d; i++)
        for (int64_t j = 0; j < d; j++) /* into [l, exp(q), 0] */
            at[i * d + j] = j < i ? j * (2 * d - j - 1) / 2 + (i - j - 1) : j == i ? below + i : below + d;
    rg_node *all = rg_concat(RG_NODES(l, rg_exp(q), rg_zeros(g, RG_F64, RG_SHAPE(k, 1))), 1);
    rg_node *full = at ? rg_gather(all, rg_const(g, RG_I64, RG_SHAPE(d, d), at), 1) : NULL;
    free(at);
    return full; /* [k, d, d] */
}

static double log_gamma_distribution(double a, double p)
{
    double sum = 0.25 * p * (p - 1) * log(3.14159265358979323846);
    for (int j = 1; j <= (int)p; j++)
        sum += lgamma(a + 0.5 * (1 - j));
    return sum;
}

static rg_node *gmm(rg_graph *g, int size, wanted *w)
{
    const int64_t n = size == CERTIFY ? 5 : 1000, d = size == CERTIFY ? 3 : size == QUICK ? 16 : 64;
    const int64_t k = size == CERTIFY ? 2 : size == QUICK ? 10 : 50, m = 0;
    const double gamma = 1, pi = 3.14159265358979323846;
    rg_node *alphas = filled(g, "alphas", RG_SHAPE(k), -1, 1), *means = filled(g, "means", RG_SHAPE(k, d), 0, 1);
    rg_node *q = filled(g, "q", RG_SHAPE(k, d), -0.5, 0.5), *l = filled(g, "l", RG_SHAPE(k, d * (d - 1) / 2), -0.5, 0.5);
    rg_node *x = rg_stop_gradient(filled(g, "points", RG_SHAPE(n, d), 0, 1));
    want(w, alphas), want(w, means), want(w, q), want(w, l);
    rg_node *full = triangles(g, q, l, k, d);
    rg_node *at_x = rg_einsum("nd,ked->nke", RG_NODES(x, full)), *at_mean = rg_einsum("kd,ked->ke", RG_NODES(means, full));
    rg_node *squares = rg_sum(rg_square(rg_sub(at_x, at_mean)), RG_AXES(2), false); /* [n, k] */
    rg_node *logs = rg_sum(q, RG_AXES(1), false);
    rg_node *terms = rg_sub(rg_add(alphas, logs), rg_scale(squares, 0.5));
    rg_node *likelihood = rg_sub(total(rg_logsumexp(terms, 1, false)), rg_scale(rg_logsumexp(alphas, 0, false), (double)n));
    const double p = (double)d, nu = p + (double)m + 1;
    const double constant = -(double)n * p * 0.5 * log(2 * pi) -
                            (double)k * (nu * p * (log(gamma) - 0.5 * log(2)) - log_gamma_distribution(0.5 * nu, p));
    rg_node *frobenius = rg_add(total(rg_square(rg_exp(q))), total(rg_square(l)));
    rg_node *prior = rg_sub(rg_scale(frobenius, 0.5 * gamma * gamma), rg_scale(total(q), (double)m));
    return rg_add_scalar(rg_add(likelihood, prior), constant);
}

/* ---- bundle adjustment: squared reprojection errors of points seen by cameras ---- */

/* Column i of [.., n], or columns i .. j - 1. */
static rg_node *column(rg_node *x, int64_t i)
{
    return rg_slice(x, -1, i, i + 1);
}

static rg_node *cross(rg_node *a, rg_node *b)
{
    rg_node *c[3];
    for (int64_t i = 0; i < 3; i++) {
        const int64_t j = (i + 1) % 3, k = (i + 2) % 3;
        c[i] = rg_sub(rg_mul(column(a, j), column(b, k)), rg_mul(column(a, k), column(b, j)));
    }
    return rg_concat((rg_nodes){c, 3}, -1);
}

/* Rodrigues: x turned about the axis r by |r|. */
static rg_node *rotated(rg_node *r, rg_node *x)
{
    rg_node *square = rg_sum(rg_square(r), RG_AXES(-1), true), *theta = rg_sqrt(square), *axis = rg_div(r, theta);
    rg_node *dot = rg_sum(rg_mul(axis, x), RG_AXES(-1), true), *cosine = rg_cos(theta);
    rg_node *turned = rg_add(rg_mul(x, cosine), rg_mul(cross(axis, x), rg_sin(theta)));
    return rg_add(turned, rg_mul(axis, rg_mul(dot, rg_one_minus(cosine))));
}

static rg_node *bundle(rg_graph *g, int size, wanted *w)
{
    const int64_t n = size == CERTIFY ? 2 : size == QUICK ? 21 : 372, m = size == CERTIFY ? 3 : size == QUICK ? 1000 : 47423;
    const int64_t p = size == CERTIFY ? 5 : size == QUICK ? 4000 : 204472;
    int64_t *seen = malloc((size_t)(2 * p) * sizeof *seen);
    uint64_t state = 5;
    for (int64_t i = 0; seen && i < p; i++) {
        seen[i] = (int64_t)(number(&state) * (double)n);
        seen[p + i] = (int64_t)(number(&state) * (double)m);
    }
    /* rotation 3, centre 3, focal length, principal point 2, distortion 2 */
    rg_node *cameras = filled(g, "cameras", RG_SHAPE(n, 11), 0.1, 0.6), *points = filled(g, "xyz", RG_SHAPE(m, 3), 3, 5);
    rg_node *weights = filled(g, "weights", RG_SHAPE(p, 1), 0.3, 1), *features = rg_stop_gradient(filled(g, "features", RG_SHAPE(p, 2), 0, 1));
    want(w, cameras), want(w, points), want(w, weights);
    rg_node *c = seen ? rg_gather(cameras, rg_const(g, RG_I64, RG_SHAPE(p), seen), 0) : NULL;
    rg_node *x = seen ? rg_gather(points, rg_const(g, RG_I64, RG_SHAPE(p), seen + p), 0) : NULL;
    free(seen);
    rg_node *turned = rotated(rg_slice(c, 1, 0, 3), rg_sub(x, rg_slice(c, 1, 3, 6)));
    rg_node *flat = rg_div(rg_slice(turned, 1, 0, 2), column(turned, 2));
    rg_node *radius = rg_sum(rg_square(flat), RG_AXES(1), true);
    rg_node *bend = rg_add_scalar(rg_add(rg_mul(column(c, 9), radius), rg_mul(column(c, 10), rg_square(radius))), 1);
    rg_node *image = rg_add(rg_mul(rg_mul(flat, bend), column(c, 6)), rg_slice(c, 1, 7, 9));
    rg_node *error = rg_mul(rg_sub(image, features), weights);
    return rg_add(total(rg_square(error)), total(rg_square(rg_one_minus(rg_square(weights)))));
}

/* ---- an ordinary differential equation by Runge-Kutta: Lorenz's, the end differentiated by start and constants ---- */

static rg_node *lorenz(rg_node *y, rg_node *c)
{
    rg_node *x = element(y, 0), *v = element(y, 1), *z = element(y, 2);
    rg_node *dx = rg_mul(element(c, 0), rg_sub(v, x)), *dv = rg_sub(rg_mul(x, rg_sub(element(c, 1), z)), v);
    rg_node *dz = rg_sub(rg_mul(x, v), rg_mul(element(c, 2), z));
    return rg_stack(RG_NODES(dx, dv, dz), 0);
}

static rg_node *runge_kutta(rg_graph *g, int size, wanted *w)
{
    const double h = 0.01;
    rg_node *y0 = filled(g, "y0", RG_SHAPE(3), 0.5, 1.5), *c = filled(g, "c", RG_SHAPE(3), 1, 3);
    want(w, y0), want(w, c);
    rg_scan *s = rg_scan_begin(g, &(rg_scan_opts){.name = "runge-kutta"});
    (void)rg_scan_slice(s, rg_arange(g, RG_I64, 0, 1, size == CERTIFY ? 10 : 1000));
    rg_node *y = rg_scan_carry(s, y0);
    rg_node *k1 = lorenz(y, c), *k2 = lorenz(rg_axpy(h / 2, k1, y), c), *k3 = lorenz(rg_axpy(h / 2, k2, y), c);
    rg_node *k4 = lorenz(rg_axpy(h, k3, y), c), *slope = rg_add(rg_add(k1, k4), rg_scale(rg_add(k2, k3), 2));
    rg_scan_next(s, y, rg_axpy(h / 6, slope, y));
    rg_node *end = rg_scan_last(s, y);
    rg_scan_end(s);
    return total(rg_sin(end));
}

/* ---- log |det A| by cofactors: minors of the last rows over each set of columns, which the graph makes once ---- */

static rg_node *minor_of(rg_node *a, int64_t n, int64_t row, unsigned columns, rg_node **known)
{
    if (known[columns])
        return known[columns];
    rg_node *sum = NULL;
    double sign = 1;
    for (int64_t j = 0; j < n; j++) {
        if (!(columns >> j & 1u))
            continue;
        rg_node *factor = element(a, row * n + j);
        const unsigned rest = columns & ~(1u << j);
        rg_node *term = rest ? rg_mul(factor, minor_of(a, n, row + 1, rest, known)) : factor;
        sum = sum ? rg_axpy(sign, term, sum) : term;
        sign = -sign;
    }
    return known[columns] = sum;
}

static rg_node *determinant(rg_graph *g, int size, wanted *w)
{
    const int64_t n = size == CERTIFY ? 4 : 8;
    rg_node *a = filled(g, "a", RG_SHAPE(n, n), -1, 1), *known[256] = {NULL};
    want(w, a);
    return rg_log(rg_abs(minor_of(rg_reshape(a, RG_SHAPE(-1)), n, 0, (1u << n) - 1, known)));
}

/* ---- k-means: squared distances to the nearest centre ---- */

static rg_node *k_means(rg_graph *g, int size, wanted *w)
{
    const int64_t n = size == CERTIFY ? 10 : size == QUICK ? 1000 : 10000, k = size == CERTIFY ? 3 : 20, d = size == CERTIFY ? 2 : 10;
    rg_node *x = rg_stop_gradient(filled(g, "points", RG_SHAPE(n, d), 0, 1)), *c = filled(g, "centres", RG_SHAPE(k, d), 0, 1);
    want(w, c);
    rg_node *squares = rg_add(rg_sum(rg_square(x), RG_AXES(1), true), rg_sum(rg_square(c), RG_AXES(1), false));
    return total(rg_min(rg_axpy(-2, rg_matmul_t(x, false, c, true), squares), RG_AXES(1), false));
}

static rg_node *log_sum_exp(rg_graph *g, int size, wanted *w)
{
    rg_node *x = filled(g, "x", RG_SHAPE(size == CERTIFY ? 10 : 100000), -3, 3);
    want(w, x);
    return rg_logsumexp(x, 0, false);
}

static rg_node *least_squares(rg_graph *g, int size, wanted *w)
{
    const int64_t m = size == CERTIFY ? 6 : 1000, n = size == CERTIFY ? 4 : 500;
    rg_node *a = rg_stop_gradient(filled(g, "a", RG_SHAPE(m, n), -1, 1)), *b = rg_stop_gradient(filled(g, "b", RG_SHAPE(m), -1, 1));
    rg_node *x = filled(g, "x", RG_SHAPE(n), -1, 1);
    want(w, x);
    return total(rg_square(rg_sub(rg_matmul(a, x), b)));
}

/* ---- Siskind and Pearlmutter's pair of nested derivatives: in both an inner problem descends along gradients ---- */

/* A particle falls between two charges until it is below 0; w moves one charge; the square of where it lands. The force is
   the gradient of a potential, and how long it falls depends on w: a loop, differentiated through the derivative in it. */
static rg_node *particle(rg_graph *g, int size, wanted *w)
{
    const double h = size == CERTIFY ? 0.1 : 0.02;
    rg_node *charge = filled(g, "w", RG_SCALAR, 0, 0.2);
    want(w, charge);
    static const double start[2] = {0, 8}, velocity[2] = {0.75, 0}, far[2] = {10, 0}, near[2] = {10, 10}, down[2] = {0, -1};
    rg_scan *s = rg_while_begin(g, &(rg_while_opts){.name = "particle", .max_iter = size == CERTIFY ? 1000 : 5000});
    rg_node *x = rg_scan_carry(s, rg_const(g, RG_F64, RG_SHAPE(2), start));
    rg_node *v = rg_scan_carry(s, rg_const(g, RG_F64, RG_SHAPE(2), velocity));
    rg_while_test(s, rg_greater(element(x, 1), rg_scalar(g, RG_F64, 0)));
    rg_node *one = rg_sub(x, rg_const(g, RG_F64, RG_SHAPE(2), far));
    rg_node *two = rg_sub(x, rg_fma(charge, rg_const(g, RG_F64, RG_SHAPE(2), down), rg_const(g, RG_F64, RG_SHAPE(2), near)));
    rg_node *potential = rg_add(rg_reciprocal(rg_norm(one, RG_ALL_AXES, false)), rg_reciprocal(rg_norm(two, RG_ALL_AXES, false)));
    rg_node *force = rg_neg(rg_at(rg_grad(potential, RG_NODES(x)), 0));
    rg_scan_next(s, x, rg_axpy(h, v, x));
    rg_scan_next(s, v, rg_axpy(h, force, v));
    rg_node *end = rg_scan_last(s, x), *speed = rg_scan_last(s, v);
    rg_scan_end(s);
    /* back along the velocity to height 0 */
    rg_node *late = rg_div(element(end, 1), element(speed, 1));
    return rg_square(rg_sub(element(end, 0), rg_mul(late, element(speed, 0))));
}

/* min over a of max over b of |a|^2 - |b|^2 + a.b, both by descent: the gradient of what the inner loop finds. */
static rg_node *saddle(rg_graph *g, int size, wanted *w)
{
    rg_node *start = filled(g, "start", RG_SHAPE(2), 0.5, 1);
    want(w, start);
    const int64_t outer = size == CERTIFY ? 5 : 50, inner = size == CERTIFY ? 5 : 50;
    rg_scan *s = rg_scan_begin(g, &(rg_scan_opts){.name = "minimum"});
    (void)rg_scan_slice(s, rg_arange(g, RG_I64, 0, 1, outer));
    rg_node *a = rg_scan_carry(s, start);
    rg_scan *t = rg_scan_begin(g, &(rg_scan_opts){.name = "maximum"});
    (void)rg_scan_slice(t, rg_arange(g, RG_I64, 0, 1, inner));
    rg_node *b = rg_scan_carry(t, rg_ones_like(a));
    rg_node *f = rg_add(rg_sub(rg_dot(a, a), rg_dot(b, b)), rg_dot(a, b));
    rg_scan_next(t, b, rg_axpy(0.2, rg_at(rg_grad(f, RG_NODES(b)), 0), b));
    rg_node *best = rg_scan_last(t, b);
    rg_scan_end(t);
    rg_node *value = rg_add(rg_sub(rg_dot(a, a), rg_dot(best, best)), rg_dot(a, best));
    rg_scan_next(s, a, rg_axpy(-0.1, rg_at(rg_grad(value, RG_NODES(a)), 0), a));
    rg_node *end = rg_scan_last(s, a);
    rg_scan_end(s);
    return total(rg_square(end));
}

/* ---- ADBench's LSTM: gates are products element by element, so a layer's weights are diagonals ---- */

static rg_node *diagonal_lstm(rg_graph *g, int size, wanted *w)
{
    const int64_t layers = size == CERTIFY ? 2 : 4, bits = size == CERTIFY ? 3 : 14, n = size == CERTIFY ? 4 : size == QUICK ? 512 : 4096;
    rg_node *main_ = filled(g, "main", RG_SHAPE(layers, 2, 4, bits), -0.5, 0.5), *extra = filled(g, "extra", RG_SHAPE(3, bits), -0.5, 0.5);
    rg_node *xs = rg_stop_gradient(filled(g, "text", RG_SHAPE(n, bits), 0, 1));
    want(w, main_), want(w, extra);
    rg_scan *s = rg_scan_begin(g, &(rg_scan_opts){.name = "lstm"});
    rg_node *x = rg_mul(rg_scan_slice(s, rg_slice(xs, 0, 0, n - 1)), element(extra, 0));
    rg_node *target = rg_scan_slice(s, rg_slice(xs, 0, 1, n));
    for (int64_t l = 0; l < layers; l++) {
        rg_node *h = rg_scan_carry(s, rg_zeros(g, RG_F64, RG_SHAPE(bits)));
        rg_node *c = rg_scan_carry(s, rg_zeros(g, RG_F64, RG_SHAPE(bits)));
        rg_node *weight = element(element(main_, l), 0), *bias = element(element(main_, l), 1); /* [4, bits] */
        rg_node *forget = rg_sigmoid(rg_fma(x, element(weight, 0), element(bias, 0)));
        rg_node *ingate = rg_sigmoid(rg_fma(h, element(weight, 1), element(bias, 1)));
        rg_node *outgate = rg_sigmoid(rg_fma(x, element(weight, 2), element(bias, 2)));
        rg_node *change = rg_tanh(rg_fma(h, element(weight, 3), element(bias, 3)));
        rg_node *memory = rg_fma(c, forget, rg_mul(ingate, change));
        x = rg_mul(outgate, rg_tanh(memory));
        rg_scan_next(s, c, memory);
        rg_scan_next(s, h, x);
    }
    rg_node *y = rg_fma(x, element(extra, 1), element(extra, 2));
    rg_node *losses = rg_scan_stack(s, total(rg_mul(target, rg_log_softmax(y, 0))));
    rg_scan_end(s);
    return rg_neg(rg_mean(losses, RG_ALL_AXES, false));
}

/* ---- certificates and times ---- */

/* The two plans' shortest times, run in turn so that both see the same machine. */
static int race(rg_plan *p[2], double budget, double best[2])
{
    best[0] = best[1] = INFINITY;
    const double end = meter_now() + budget;
    for (int round = 0; round < 3 || meter_now() < end; round++)
        for (int k = 0; k < 2; k++) {
            const double begin = meter_now();
            if (rg_run(p[k]))
                return 1;
            const double time = meter_now() - begin;
            best[k] = time < best[k] ? time : best[k];
        }
    return 0;
}

static const struct problem {
    const char *name;
    rg_node *(*make)(rg_graph *g, int size, wanted *w);
} problems[] = {
    {"rosenbrock", rosenbrock},   {"gmm", gmm},           {"bundle adjustment", bundle}, {"ode, runge-kutta", runge_kutta},
    {"log det by cofactors", determinant}, {"k-means", k_means},   {"logsumexp", log_sum_exp},    {"least squares", least_squares},
    {"particle", particle},       {"saddle", saddle},     {"lstm, diagonal", diagonal_lstm},
};

static int certify(const struct problem *what, rg_grad_check_report *report)
{
    rg_graph *g = rg_graph_new(NULL);
    wanted w = {.n = 0};
    rg_node *loss = what->make(g, CERTIFY, &w);
    const int failed = !loss || rg_grad_check(loss, (rg_nodes){w.at, w.n}, NULL, report);
    if (failed)
        fprintf(stderr, "%s: %s\n", what->name, loss ? rg_last_error() : rg_graph_error(g));
    rg_graph_free(g);
    return failed;
}

static int compare(const struct problem *what, int size, double best[2])
{
    rg_graph *g = rg_graph_new(NULL);
    wanted w = {.n = 0};
    rg_node *loss = what->make(g, size, &w), *fetch[5] = {loss};
    const rg_nodes grads = loss ? rg_grad(loss, (rg_nodes){w.at, w.n}) : (rg_nodes){NULL, 0};
    for (size_t i = 0; i < grads.n; i++)
        fetch[1 + i] = grads.at[i];
    const rg_plan_opts alone = {.threads = 1};
    rg_plan *p[2] = {grads.n ? rg_compile(g, RG_NODES(loss), &alone) : NULL,
                     grads.n ? rg_compile(g, (rg_nodes){fetch, 1 + grads.n}, &alone) : NULL};
    const int failed = !p[0] || !p[1] || race(p, size == FULL ? 2 : 0.05, best);
    if (failed)
        fprintf(stderr, "%s: %s\n", what->name, p[0] && p[1] ? rg_last_error() : rg_graph_error(g));
    rg_plan_free(p[0]);
    rg_plan_free(p[1]);
    rg_graph_free(g);
    return failed;
}

int main(int argc, char **argv)
{
    bool full = false;
    const argument all[] = {
        {.name = "--full", .what = "the sizes of ADBench (Srajer, Kukelova, Fitzgibbon 2018), and more time", .flag = &full}};
    const int code = arguments_read(&(command){"problems", "Certifies gradients of usual benchmarks, and times them beside their objectives.", all, 1},
                                    argc, argv);
    if (code >= 0)
        return code;
    const int size = full ? FULL : QUICK;
    int failed = 0;
    printf("%-22s %12s %12s %7s   %s\n", "problem", "objective ms", "gradient ms", "ratio", "certificate");
    for (size_t k = 0; k < sizeof problems / sizeof *problems; k++) {
        rg_grad_check_report report;
        double best[2];
        if (certify(&problems[k], &report) || compare(&problems[k], size, best))
            return 1;
        printf("%-22s %12.4f %12.4f %7.2f   %s, error %.1e\n", problems[k].name, 1e3 * best[0], 1e3 * best[1],
               best[1] / best[0], report.passed ? "passed" : "FAILED", report.worst);
        if (!report.passed)
            fprintf(stderr, "%s: %s\n", problems[k].name, report.text);
        failed |= !report.passed;
    }
    return failed;
}
