/* test_certificate.c - rg_grad_check as a user's certificate: no false alarm on random graphs, fifty wrong rules found
   and named, kinks reported, inputs with values, f32 graphs; and on the same random graphs plans against an
   interpreter. */
#include "interpreter.h"
#include "must.h"
#include "random_graph.h"

#include <stdlib.h>

/* ---- random graphs ---- */

static size_t graphs(size_t quick)
{
    return getenv("RETROGRADE_SLOW") ? 10000 : quick;
}

Test(certificate, no_false_alarm_on_random_graphs, .timeout = 3000)
{
    size_t rough = 0, compared = 0;
    for (uint64_t seed = 0; seed < graphs(150); seed++) {
        random_graph r;
        rg_grad_check_report report;
        random_graph_make(&r, seed, RG_F64);
        must(rg_grad_check(r.loss, (rg_nodes){r.params, 3}, &(rg_grad_check_opts){.seed = seed, .directions = 2},
                           &report));
        cr_expect(report.passed, "seed %d: %s", (int)seed, report.text);
        rough += report.rough;
        compared += report.compared;
        rg_graph_free(r.g);
    }
    cr_expect(rough * 20 < compared, "%zu of %zu comparisons were at places that are not smooth", rough, compared);
}

static void compare_runs(random_graph *r, uint64_t seed)
{
    enum { FETCHED = 6 };
    static const rg_machine eager = {.flop_ns = 1, .byte_ns = 1, .meeting_ns = 0, .share_ns = 1e-3};
    static const rg_plan_opts how[] = {
        {.threads = 1}, {.threads = 1, .no_fuse = true}, {.threads = 3, .machine = &eager}};
    const rg_nodes grads = rg_grad(r->loss, (rg_nodes){r->params, 3});
    const rg_nodes params = {r->params, 3};
    rg_node *fetch[FETCHED] = {r->loss, rg_at(grads, 0), rg_at(grads, 1), rg_at(grads, 2)};
    fetch[4] = rg_at(rg_jvp(RG_NODES(r->loss), params, params), 0);
    fetch[5] = rg_at(rg_hvp(r->loss, params, params), 0);
    cr_assert(!rg_graph_error(r->g), "seed %d: %s", (int)seed, rg_graph_error(r->g));
    rg_plan *p[3];
    for (int k = 0; k < 3; k++) {
        p[k] = must_compile(r->g, (rg_nodes){fetch, FETCHED}, &how[k]);
        must(rg_run(p[k]));
    }
    for (size_t i = 0; i < FETCHED; i++) {
        rg_tensor want, got;
        must(rg_result(p[0], fetch[i], &want));
        const size_t bytes = (size_t)rg_shape_count(want.shape) * rg_dtype_size(want.dtype);
        for (int k = 1; k < 3; k++) {
            must(rg_result(p[k], fetch[i], &got));
            cr_expect(!memcmp(want.data, got.data, bytes), "seed %d, result %zu: other bits in plan %d", (int)seed, i,
                      k);
        }
        void *plain = interpret(fetch[i]);
        cr_assert(plain, "seed %d, result %zu is not understood: %s", (int)seed, i, rg_last_error());
        cr_expect(!memcmp(want.data, plain, bytes), "seed %d, result %zu: other bits than the interpreter's", (int)seed,
                  i);
        free(plain);
    }
    for (int k = 0; k < 3; k++)
        rg_plan_free(p[k]);
}

Test(certificate, plans_of_random_graphs_are_the_interpreter_bit_for_bit, .timeout = 3000)
{
    for (uint64_t seed = 0; seed < graphs(250); seed++) {
        random_graph r;
        random_graph_make(&r, seed, seed % 2 ? RG_F32 : RG_F64);
        compare_runs(&r, seed);
        rg_graph_free(r.g);
    }
}

/* ---- seeded faults ---- */

typedef enum wrong {
    SIGN,            /* -dx */
    MISSING,         /* no dx at all */
    DOUBLED,         /* 2 dx */
    SLIGHTLY,        /* 1.0001 dx */
    NO_COTANGENT,    /* dx for a cotangent of ones */
    TURNED,          /* dx along the other direction of its last axis */
    NOT_SUMMED,      /* of a broadcast input: the first row of g instead of the sum */
    STOPPED,         /* right by itself, but taken for a constant: the second derivative is wrong */
    FORWARD_SIGN,    /* the jvp negated */
    FORWARD_MISSING, /* the jvp without the tangent of one input */
    FORWARD_DOUBLED
} wrong;

typedef struct fault {
    rg_op op; /* first: a node's op is one */
    const rg_op *right;
    wrong kind;
    size_t input;
} fault;

static const fault *fault_of(const rg_node *self)
{
    return (const fault *)(const void *)rg_op_of(self);
}

static void wrong_vjp(rg_node *self, rg_node *const ct[], rg_node *grad[])
{
    const fault *f = fault_of(self);
    const size_t i = f->input;
    rg_node *ones = f->kind == NO_COTANGENT ? rg_ones_like(ct[0]) : ct[0];
    f->right->vjp(self, &ones, grad);
    if (!grad[i])
        return;
    switch (f->kind) {
    case SIGN:
        grad[i] = rg_neg(grad[i]);
        break;
    case MISSING:
        grad[i] = NULL;
        break;
    case DOUBLED:
        grad[i] = rg_scale(grad[i], 2);
        break;
    case SLIGHTLY:
        grad[i] = rg_scale(grad[i], 1.0001);
        break;
    case TURNED:
        grad[i] = rg_flip(grad[i], RG_AXES(-1));
        break;
    case NOT_SUMMED:
        grad[i] = rg_reshape_like(rg_slice(grad[i], 0, 0, 1), rg_arg(self, i));
        break;
    case STOPPED:
        grad[i] = rg_stop_gradient(grad[i]);
        break;
    default:
        break;
    }
}

static void wrong_jvp(rg_node *self, rg_node *const tangent[], rg_node *out[])
{
    const fault *f = fault_of(self);
    rg_node *t[8] = {NULL};
    for (size_t i = 0; i < rg_arg_count(self) && i < 8; i++)
        t[i] = f->kind == FORWARD_MISSING && i == f->input ? NULL : tangent[i];
    bool any = false;
    for (size_t i = 0; i < 8; i++)
        any = any || t[i];
    if (any)
        f->right->jvp(self, t, out);
    if (out[0] && f->kind != FORWARD_MISSING)
        out[0] = f->kind == FORWARD_SIGN ? rg_neg(out[0]) : rg_scale(out[0], 2);
}

/* x is [3, 4], w [4, 3], b [4], p [3, 4] positive */
typedef struct operands {
    rg_graph *g;
    rg_node *x, *w, *b, *p;
} operands;

static rg_node *make_mul(const operands *o)
{
    return rg_mul(o->x, o->p);
}
static rg_node *make_bias(const operands *o)
{
    return rg_add(o->x, o->b);
}
static rg_node *make_sub(const operands *o)
{
    return rg_sub(o->b, o->x);
}
static rg_node *make_div(const operands *o)
{
    return rg_div(o->x, o->p);
}
static rg_node *make_pow(const operands *o)
{
    return rg_pow(o->p, o->x);
}
static rg_node *make_fma(const operands *o)
{
    return rg_fma(o->x, o->p, o->b);
}
static rg_node *make_lerp(const operands *o)
{
    return rg_lerp(o->x, o->p, 0.3);
}
static rg_node *make_exp(const operands *o)
{
    return rg_exp(o->x);
}
static rg_node *make_log(const operands *o)
{
    return rg_log(o->p);
}
static rg_node *make_tanh(const operands *o)
{
    return rg_tanh(o->x);
}
static rg_node *make_sigmoid(const operands *o)
{
    return rg_sigmoid(o->x);
}
static rg_node *make_gelu(const operands *o)
{
    return rg_gelu(o->x);
}
static rg_node *make_erf(const operands *o)
{
    return rg_erf(o->x);
}
static rg_node *make_sqrt(const operands *o)
{
    return rg_sqrt(o->p);
}
static rg_node *make_relu(const operands *o)
{
    return rg_relu(o->x);
}
static rg_node *make_softmax(const operands *o)
{
    return rg_softmax(o->x, -1);
}
static rg_node *make_log_softmax(const operands *o)
{
    return rg_log_softmax(o->x, 0);
}
static rg_node *make_logsumexp(const operands *o)
{
    return rg_logsumexp(o->x, 1, true);
}
static rg_node *make_sum(const operands *o)
{
    return rg_sum(o->x, RG_AXES(0), true);
}
static rg_node *make_mean(const operands *o)
{
    return rg_mean(o->x, RG_AXES(1), true);
}
static rg_node *make_prod(const operands *o)
{
    return rg_prod(o->p, RG_AXES(1), true);
}
static rg_node *make_max(const operands *o)
{
    return rg_max(o->x, RG_AXES(1), true);
}
static rg_node *make_norm(const operands *o)
{
    return rg_norm(o->x, RG_AXES(1), true);
}
static rg_node *make_matmul(const operands *o)
{
    return rg_matmul(o->x, o->w);
}
static rg_node *make_cumsum(const operands *o)
{
    return rg_cumsum(o->x, 1, false);
}
static rg_node *make_recurrence(const operands *o)
{
    return rg_linear_recurrence(o->p, o->x, 1, false);
}
static rg_node *make_slice(const operands *o)
{
    return rg_slice(o->x, 1, 1, 3);
}
static rg_node *make_concat(const operands *o)
{
    return rg_concat(RG_NODES(o->x, o->p), 1);
}
static rg_node *make_transpose(const operands *o)
{
    return rg_transpose(o->x, RG_ALL_AXES);
}
static rg_node *make_atan2(const operands *o)
{
    return rg_atan2(o->x, o->p);
}
static rg_node *make_where(const operands *o)
{
    return rg_where(rg_less(o->x, o->p), o->x, o->p);
}
static rg_node *make_gather(const operands *o)
{
    static const int64_t at[3] = {2, 0, 2};
    return rg_gather(o->x, rg_const(o->g, RG_I64, RG_SHAPE(3), at), 0);
}

static const struct {
    rg_node *(*make)(const operands *o);
    wrong kind;
    size_t input;
} faults[] = {
    {make_mul, SIGN, 0},
    {make_mul, MISSING, 1},
    {make_mul, STOPPED, 0},
    {make_mul, FORWARD_MISSING, 1},
    {make_bias, MISSING, 1},
    {make_bias, NOT_SUMMED, 1},
    {make_bias, DOUBLED, 1},
    {make_sub, SIGN, 1},
    {make_sub, NOT_SUMMED, 0},
    {make_div, SIGN, 1},
    {make_div, MISSING, 1},
    {make_div, FORWARD_SIGN, 0},
    {make_pow, MISSING, 1},
    {make_pow, SLIGHTLY, 0},
    {make_fma, DOUBLED, 1},
    {make_fma, NOT_SUMMED, 2},
    {make_fma, FORWARD_MISSING, 2},
    {make_lerp, SLIGHTLY, 1},
    {make_exp, SIGN, 0},
    {make_exp, NO_COTANGENT, 0},
    {make_exp, STOPPED, 0},
    {make_log, DOUBLED, 0},
    {make_log, FORWARD_DOUBLED, 0},
    {make_tanh, SLIGHTLY, 0},
    {make_tanh, STOPPED, 0},
    {make_tanh, FORWARD_SIGN, 0},
    {make_sigmoid, NO_COTANGENT, 0},
    {make_gelu, DOUBLED, 0},
    {make_erf, SIGN, 0},
    {make_sqrt, DOUBLED, 0},
    {make_relu, SIGN, 0},
    {make_softmax, TURNED, 0},
    {make_softmax, STOPPED, 0},
    {make_log_softmax, SIGN, 0},
    {make_logsumexp, SLIGHTLY, 0},
    {make_logsumexp, TURNED, 0},
    {make_sum, DOUBLED, 0},
    {make_sum, SIGN, 0},
    {make_mean, DOUBLED, 0},
    {make_prod, TURNED, 0},
    {make_max, TURNED, 0},
    {make_norm, SLIGHTLY, 0},
    {make_norm, STOPPED, 0},
    {make_matmul, MISSING, 0},
    {make_matmul, TURNED, 1},
    {make_matmul, NO_COTANGENT, 0},
    {make_matmul, FORWARD_MISSING, 0},
    {make_cumsum, TURNED, 0},
    {make_recurrence, MISSING, 0},
    {make_recurrence, STOPPED, 0},
    {make_slice, DOUBLED, 0},
    {make_concat, MISSING, 1},
    {make_transpose, TURNED, 0},
    {make_atan2, SIGN, 1},
    {make_where, MISSING, 1},
    {make_gather, TURNED, 0},
};

static rg_node *filled(rg_graph *g, const char *name, rg_shape shape, double lo, double hi)
{
    rg_node *p = rg_param(g, name, RG_F64, shape, NULL);
    double values[16];
    for (int64_t i = 0; i < rg_shape_count(shape); i++)
        values[i] = lo + (hi - lo) * (0.5 + 0.5 * sin(3.7 * (double)i + (double)*name));
    must(rg_set(p, &(rg_tensor){RG_F64, shape, values, NULL}));
    return p;
}

Test(certificate, fifty_wrong_rules_are_found_and_named)
{
    const size_t n = sizeof faults / sizeof *faults;
    cr_assert(n >= 50);
    for (size_t k = 0; k < n; k++) {
        operands o = {.g = rg_graph_new(NULL)};
        o.x = filled(o.g, "x", RG_SHAPE(3, 4), -1.5, 1.5);
        o.w = filled(o.g, "w", RG_SHAPE(4, 3), -1, 1);
        o.b = filled(o.g, "b", RG_SHAPE(4), -1, 1);
        o.p = filled(o.g, "p", RG_SHAPE(3, 4), 0.4, 1.6);
        rg_node *right = faults[k].make(&o), *in[4];
        cr_assert(right, "%s", rg_graph_error(o.g));
        fault f = {*rg_op_of(right), rg_op_of(right), faults[k].kind, faults[k].input};
        if (f.kind < FORWARD_SIGN)
            f.op.vjp = wrong_vjp;
        else
            f.op.jvp = wrong_jvp;
        for (size_t i = 0; i < rg_arg_count(right); i++)
            in[i] = rg_arg(right, i);
        rg_node *y = rg_apply(&f.op, (rg_nodes){in, rg_arg_count(right)}, rg_attr(right));
        rg_node *loss = rg_sum(rg_sin(rg_mul(y, rg_add_scalar(y, 0.7))), RG_ALL_AXES, false);
        const rg_nodes wrt = RG_NODES(o.x, o.w, o.b, o.p);
        rg_grad_check_report report;
        must(rg_grad_check(loss, wrt, NULL, &report));
        cr_expect(!report.passed, "fault %zu of %s was not found: %s", k, rg_op_of(right)->name, report.text);
        cr_expect_eq(report.worst_node, y, "fault %zu of %s is not named: %s", k, rg_op_of(right)->name, report.text);
        rg_graph_free(o.g);
    }
}

/* ---- what else the certificate says ---- */

Test(certificate, kinks_are_reported_and_do_not_fail)
{
    rg_graph *g = rg_graph_new(NULL);
    rg_node *x = rg_param(g, "x", RG_F64, RG_SHAPE(4), &(rg_param_opts){.init = RG_ZEROS});
    const double values[4] = {0, 1, -2, 0};
    must(rg_set(x, &(rg_tensor){RG_F64, RG_SHAPE(4), (void *)values, NULL}));
    rg_node *y = rg_relu(x);
    rg_grad_check_report report;
    must(rg_grad_check(rg_sum(y, RG_ALL_AXES, false), RG_NODES(x), NULL, &report));
    cr_expect(report.passed, "%s", report.text);
    cr_expect(report.rough >= 2, "%s", report.text);
    cr_expect_eq(report.rough_node, y, "%s", report.text);
    rg_graph_free(g);
}

Test(certificate, f32_graphs_with_inputs_and_named_sizes)
{
    rg_graph *g = rg_graph_new(NULL);
    rg_node *x = rg_input(g, "x", RG_F32, RG_SHAPE(rg_dim(g, "batch"), 3));
    rg_node *t = rg_input(g, "t", RG_I32, RG_SHAPE(rg_dim(g, "batch")));
    rg_node *y = rg_nn_linear(rg_tanh(rg_nn_linear(x, "one", 5, NULL)), "two", 4, NULL);
    rg_node *loss = rg_cross_entropy(y, t, NULL);
    const float xs[6] = {0.1F, -1, 2, 0.5F, 1, -0.3F};
    const int32_t ts[2] = {3, 0};
    const rg_tensor values[2] = {{RG_F32, RG_SHAPE(2, 3), (void *)xs, NULL}, {RG_I32, RG_SHAPE(2), (void *)ts, NULL}};
    rg_node *wrt[8];
    const rg_nodes params = rg_params(g);
    for (size_t i = 0; i < params.n; i++)
        wrt[i] = params.at[i];
    wrt[params.n] = x;
    rg_grad_check_report report;
    rg_status status = rg_grad_check(loss, (rg_nodes){wrt, params.n + 1}, NULL, &report);
    cr_expect(status && strstr(rg_last_error(), "opts.inputs"), "%s", rg_last_error());
    must(rg_grad_check(loss, (rg_nodes){wrt, params.n + 1},
                       &(rg_grad_check_opts){.inputs = RG_NODES(x, t), .values = values}, &report));
    cr_expect(report.passed && report.worst < 1e-6, "%s", report.text);
    cr_expect(report.nodes >= 5, "%s", report.text);
    rg_graph_free(g);
}

Test(certificate, stopped_gradients_are_constants)
{
    rg_graph *g = rg_graph_new(NULL);
    rg_node *x = rg_param(g, "x", RG_F64, RG_SHAPE(3), &(rg_param_opts){.init = RG_ONES});
    rg_node *y = rg_mul(rg_stop_gradient(rg_exp(rg_stop_gradient(rg_square(x)))), rg_sin(x));
    rg_grad_check_report report;
    must(rg_grad_check(rg_sum(y, RG_ALL_AXES, false), RG_NODES(x), NULL, &report));
    cr_expect(report.passed, "%s", report.text);
    rg_graph_free(g);
}
