/* random_graph.c - each new node takes its inputs from those there are, newer ones more often. Values are kept within a
   few units, so that derivatives and differences are of ordinary size; kinks are as likely as elsewhere. */
#include "random_graph.h"
#include "samples.h"

#include <criterion/criterion.h>

typedef struct maker {
    random_graph *r;
    uint64_t state;
    rg_dtype dtype;
} maker;

static size_t below(maker *m, size_t n)
{
    return (size_t)(sample_random(&m->state) * (double)n);
}

static rg_node *any(maker *m)
{
    const size_t n = m->r->n_nodes, back = below(m, 2) ? below(m, n < 6 ? n : 6) : below(m, n);
    return m->r->nodes[n - 1 - back];
}

static void add(maker *m, rg_node *v)
{
    if (v && m->r->n_nodes < sizeof m->r->nodes / sizeof *m->r->nodes)
        m->r->nodes[m->r->n_nodes++] = v;
}

static int rank_of(const rg_node *v)
{
    return rg_shape_of(v).rank;
}

static rg_node *with_axis(rg_node *v)
{
    return rank_of(v) ? v : rg_reshape(v, RG_SHAPE(1));
}

static rg_node *unary(maker *m, rg_node *x)
{
    switch (below(m, 30)) {
    case 0:
        return rg_sin(x);
    case 1:
        return rg_cos(x);
    case 2:
        return rg_tanh(x);
    case 3:
        return rg_sigmoid(x);
    case 4:
        return rg_softplus(x);
    case 5:
        return rg_gelu(x);
    case 6:
        return rg_silu(x);
    case 7:
        return rg_erf(x);
    case 8:
        return rg_atan(x);
    case 9:
        return rg_exp(rg_tanh(x));
    case 10:
        return rg_log(rg_add_scalar(rg_square(x), 1));
    case 11:
        return rg_sqrt(rg_add_scalar(rg_square(x), 0.5));
    case 12:
        return rg_rsqrt(rg_add_scalar(rg_square(x), 0.5));
    case 13:
        return rg_reciprocal(rg_add_scalar(rg_square(x), 1));
    case 14:
        return rg_relu(x);
    case 15:
        return rg_abs(x);
    case 16:
        return rg_clamp(x, -0.7, 0.9);
    case 17:
        return rg_elu(x, 1.3);
    case 18:
        return rg_leaky_relu(x, 0.1);
    case 19:
        return rg_neg(x);
    case 20:
        return rg_scale(x, -0.7);
    case 21:
        return rg_add_scalar(x, 0.3);
    case 22:
        return rg_one_minus(x);
    case 23:
        return rg_square(rg_tanh(x));
    case 24:
        return rg_pow_scalar(rg_add_scalar(rg_square(x), 0.3), 1.5);
    case 25:
        return rg_mish(x);
    case 26:
        return rg_asinh(x);
    case 27:
        return rg_log_sigmoid(x);
    case 28:
        return rg_gelu_tanh(x);
    default:
        return rg_expm1(rg_sin(x));
    }
}

/* Whether two shapes broadcast. */
static bool broadcasts(const rg_node *a, const rg_node *b)
{
    const rg_shape s = rg_shape_of(a), t = rg_shape_of(b);
    for (int k = 1; k <= s.rank && k <= t.rank; k++) {
        const int64_t p = s.dim[s.rank - k], q = t.dim[t.rank - k];
        if (p != q && p != 1 && q != 1)
            return false;
    }
    return true;
}

static rg_node *binary(maker *m, rg_node *a)
{
    rg_node *b = any(m);
    if (!broadcasts(a, b))
        b = rg_mean(b, RG_ALL_AXES, false);
    switch (below(m, 12)) {
    case 0:
        return rg_add(a, b);
    case 1:
        return rg_sub(b, a);
    case 2:
        return rg_mul(a, rg_tanh(b));
    case 3:
        return rg_div(a, rg_add_scalar(rg_square(b), 1));
    case 4:
        return rg_maximum(a, b);
    case 5:
        return rg_minimum(a, b);
    case 6:
        return rg_lerp(a, rg_add(b, rg_zeros_like(a)), 0.3);
    case 7:
        return rg_fma(rg_sin(a), b, a);
    case 8:
        return rg_where(rg_less(a, b), rg_sin(a), rg_cos(b));
    case 9:
        return rg_atan2(a, rg_add_scalar(rg_square(b), 0.5));
    case 10:
        return rg_axpy(0.4, rg_sigmoid(a), b);
    default:
        return rg_pow(rg_add_scalar(rg_sigmoid(a), 0.5), rg_tanh(b));
    }
}

static rg_node *along(maker *m, rg_node *v)
{
    rg_node *x = with_axis(v);
    const int axis = (int)below(m, (size_t)rank_of(x));
    const bool keep = below(m, 2);
    switch (below(m, 16)) {
    case 0:
        return rg_mean(x, RG_AXES(axis), keep);
    case 1:
        return rg_tanh(rg_sum(x, RG_AXES(axis), keep));
    case 2:
        return rg_max(x, RG_AXES(axis), keep);
    case 3:
        return rg_min(x, RG_AXES(axis), keep);
    case 4:
        return rg_logsumexp(x, axis, keep);
    case 5:
        return rg_softmax(x, axis);
    case 6:
        return rg_log_softmax(x, axis);
    case 7:
        return rg_var(x, RG_AXES(axis), 0, keep);
    case 8:
        return rg_norm(rg_add_scalar(rg_tanh(x), 2), RG_AXES(axis), keep);
    case 9:
        return rg_cumsum(rg_scale(x, 0.3), axis, keep);
    case 10:
        return rg_prod(rg_add_scalar(rg_scale(rg_tanh(x), 0.4), 1), RG_AXES(axis), keep);
    case 11:
        return rg_cumprod(rg_add_scalar(rg_scale(rg_tanh(x), 0.4), 0.9), axis);
    case 12:
        return rg_sort(x, axis, keep);
    case 13:
        return rg_linear_recurrence(rg_scale(rg_tanh(x), 0.7), x, axis, keep);
    case 14:
        return rg_topk(x, 1, axis, NULL);
    default:
        return rg_layer_norm(x, NULL, NULL, 0.1);
    }
}

static rg_node *moved(maker *m, rg_node *v)
{
    rg_node *x = with_axis(v);
    const rg_shape s = rg_shape_of(x);
    const int axis = (int)below(m, (size_t)s.rank);
    const int64_t index[2] = {(int64_t)below(m, (size_t)s.dim[axis]), (int64_t)below(m, (size_t)s.dim[axis])};
    switch (below(m, 12)) {
    case 0:
        return rg_transpose(x, RG_ALL_AXES);
    case 1:
        return rg_reshape(x, RG_SHAPE(-1));
    case 2:
        return rg_slice(x, axis, 0, (s.dim[axis] + 1) / 2);
    case 3:
        return rg_concat(RG_NODES(x, rg_sin(x)), axis);
    case 4:
        return rg_pad(x, axis, 1, 0, RG_PAD_CONSTANT, 0.5);
    case 5:
        return s.rank < 3 ? rg_unsqueeze(x, axis) : x;
    case 6:
        return rg_gather(x, rg_const(m->r->g, RG_I64, RG_SHAPE(2), index), axis);
    case 7:
        return rg_flip(x, RG_AXES(axis));
    case 8:
        return rg_roll(x, axis, 1);
    case 9:
        return s.rank < 3 ? rg_stack(RG_NODES(x, rg_tanh(x)), 0) : rg_tril(x, 0);
    case 10:
        return rg_sum_like(rg_broadcast_to(rg_scale(x, 0.5), s), x);
    default:
        return rg_pad(x, axis, 1, 1, RG_PAD_REPLICATE, 0);
    }
}

static rg_node *matrix(rg_node *v)
{
    rg_node *x = with_axis(v);
    while (x && rank_of(x) > 2)
        x = rg_mean(x, RG_AXES(0), false);
    return x && rank_of(x) < 2 ? rg_unsqueeze(x, 0) : x;
}

static rg_node *product(maker *m, rg_node *v)
{
    rg_node *a = rg_tanh(matrix(v)), *b = rg_sin(matrix(any(m)));
    if (!a || !b)
        return NULL;
    const int64_t k = rg_shape_of(a).dim[1], n = rg_shape_of(b).dim[0];
    if (k == n)
        return rg_scale(rg_matmul(a, b), 0.5);
    if (k == rg_shape_of(b).dim[1])
        return rg_scale(rg_matmul_t(a, false, b, true), 0.5);
    return rg_scale(rg_matmul_t(a, false, a, true), 0.5);
}

/* tanh(h sin(c) + x h + x) */
static rg_node *plain_step(rg_node *x, rg_node *h, rg_node *c)
{
    return rg_tanh(rg_add(rg_add(rg_mul(h, rg_sin(c)), rg_mul(x, h)), x));
}

/* a, b = x h, sin(x) + c;  tanh(a h + b z), z one element of both, spread; gates as cells cut them out of what is
   joined. */
static rg_node *gated_step(maker *m, rg_node *x, rg_node *h, rg_node *c)
{
    const int64_t n = rg_shape_of(x).dim[0], at = (int64_t)below(m, (size_t)(2 * n));
    rg_node *gates = rg_concat(RG_NODES(rg_mul(x, h), rg_add(rg_sin(x), c)), 0);
    rg_node *a = rg_slice(gates, 0, 0, n), *b = rg_slice(gates, 0, n, 2 * n), *z = rg_slice(gates, 0, at, at + 1);
    return rg_tanh(rg_add(rg_mul(a, h), rg_mul(b, z)));
}

/* Over the leading axis, c from outside; the reverse keeps all, or less. `last`: what is left at the end, not all
   steps. */
static rg_node *recurrence_over(maker *m, rg_node *xs, rg_node *init, bool last)
{
    rg_node *c = rg_mean(any(m), RG_ALL_AXES, false);
    rg_scan_opts opts = {.reverse = below(m, 2)};
    const size_t keeps = below(m, 4), kept = 1 + below(m, 3);
    if (keeps == 0)
        opts.keep_every = (int64_t)kept;
    else if (keeps == 1)
        opts.keep_bytes = 64 * kept;
    rg_scan *s = rg_scan_begin(m->r->g, &opts);
    rg_node *x = rg_scan_slice(s, xs), *h = rg_scan_carry(s, init);
    rg_node *next = below(m, 2) ? plain_step(x, h, c) : gated_step(m, x, h, c);
    rg_node *stack = last ? NULL : rg_scan_stack(s, rg_mul(next, x));
    rg_scan_next(s, h, next);
    rg_node *end = last ? rg_scan_last(s, h) : NULL;
    rg_scan_end(s);
    return last ? end : stack;
}

static rg_node *recurrence(maker *m, rg_node *xs)
{
    return recurrence_over(m, xs, rg_mean(xs, RG_AXES(0), false), below(m, 2));
}

/* x x' x, so that there is something to share out. */
static rg_nodes product_branch(void *user, rg_nodes in)
{
    rg_node **out = user, *x = in.at[0];
    *out = rg_tanh(rg_matmul(rg_matmul_t(x, false, x, true), x));
    return (rg_nodes){out, 1};
}

static rg_nodes sine_branch(void *user, rg_nodes in)
{
    rg_node **out = user;
    *out = rg_mul(rg_sin(in.at[0]), in.at[1]);
    return (rg_nodes){out, 1};
}

/* A loop of up to three turns while h is large enough, c from outside. */
static rg_node *while_large(maker *m, rg_node *x, rg_node *c)
{
    rg_scan *s = rg_while_begin(m->r->g, &(rg_while_opts){.max_iter = 3});
    rg_node *h = rg_scan_carry(s, x), *most = rg_scalar(m->r->g, RG_I64, (double)below(m, 4));
    rg_node *count = rg_scan_carry(s, rg_scalar(m->r->g, RG_I64, 0));
    rg_node *large = rg_greater(rg_mean(rg_square(h), RG_ALL_AXES, false), rg_square(c));
    rg_while_test(s, rg_logical_and(large, rg_less(count, most)));
    rg_scan_next(s, count, rg_add(count, rg_scalar(m->r->g, RG_I64, 1)));
    rg_scan_next(s, h, rg_scale(rg_tanh(rg_matmul(rg_matmul_t(h, false, x, true), h)), 0.9));
    rg_node *last = rg_scan_last(s, h);
    rg_scan_end(s);
    return last;
}

/* Loops that go round no times: branches that are not taken, tests that fail at once, sequences of no steps. */
static rg_node *idle(maker *m, rg_node *v)
{
    rg_node *x = matrix(v), *c = rg_mean(any(m), RG_ALL_AXES, false), *room;
    switch (below(m, 3)) {
    case 0:
        return rg_at(
            rg_cond(rg_greater(c, rg_mean(x, RG_ALL_AXES, false)), product_branch, sine_branch, &room, RG_NODES(x, c)),
            0);
    case 1:
        return while_large(m, x, c);
    default:
        return rg_add(recurrence_over(m, rg_slice(x, 0, 0, 0), rg_mean(x, RG_AXES(0), false), true), c);
    }
}

static rg_node *random_node(maker *m)
{
    rg_node *x = any(m);
    const size_t kind = below(m, 21);
    return kind < 7    ? unary(m, x)
           : kind < 11 ? binary(m, x)
           : kind < 15 ? along(m, x)
           : kind < 18 ? moved(m, x)
           : kind < 19 ? product(m, x)
           : kind < 20 ? recurrence(m, matrix(x))
                       : idle(m, x);
}

static rg_node *param(maker *m, const char *name, rg_shape shape)
{
    rg_node *p = rg_param(m->r->g, name, m->dtype, shape, NULL);
    const size_t n = (size_t)rg_shape_count(shape);
    double wide[64];
    float narrow[64];
    for (size_t i = 0; i < n; i++) {
        wide[i] = 3 * sample_random(&m->state) - 1.5;
        narrow[i] = (float)wide[i];
    }
    const rg_tensor t = {m->dtype, shape, m->dtype == RG_F64 ? (void *)wide : (void *)narrow, NULL};
    cr_assert(!rg_set(p, &t), "%s", rg_last_error());
    return p;
}

void random_graph_make(random_graph *r, uint64_t seed, rg_dtype dtype)
{
    *r = (random_graph){.g = rg_graph_new(NULL)};
    maker m = {r, seed * 0x9e3779b97f4a7c15u + 1, dtype};
    const int64_t rows = 1 + (int64_t)below(&m, 4), columns = 1 + (int64_t)below(&m, 5);
    add(&m, r->params[0] = param(&m, "a", RG_SHAPE(rows, columns)));
    add(&m, r->params[1] = param(&m, "b", RG_SHAPE(columns)));
    add(&m, r->params[2] = param(&m, "c", below(&m, 2) ? RG_SHAPE(columns, rows) : RG_SCALAR));
    const size_t more = 4 + below(&m, 20),
                 again = below(&m, 3) ? more : below(&m, more); /* computed again from there on */
    for (size_t i = 0; i < more; i++) {
        if (i == again)
            rg_checkpoint_push(r->g);
        rg_node *v = random_node(&m);
        cr_assert(v, "seed %d: %s", (int)seed, rg_graph_error(r->g));
        if (rg_shape_count(rg_shape_of(v)) <= 64)
            add(&m, v);
    }
    if (again < more)
        rg_checkpoint_pop(r->g);
    rg_node *sum = NULL; /* of the newest nodes */
    for (size_t k = 0; k < 3 && k < r->n_nodes; k++) {
        rg_node *part = rg_mean(rg_sin(r->nodes[r->n_nodes - 1 - k]), RG_ALL_AXES, false);
        sum = sum ? rg_add(sum, part) : part;
    }
    r->loss = sum;
}
