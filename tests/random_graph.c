/* random_graph.c - nodes, recurrences, loops and branches by chance, and the loss that comes of the newest. */
#include "random_graph.h"

#include "random_ops.h"
#include "samples.h"

#include <criterion/criterion.h>

/* tanh(h sin(c) + x h + x) */
static rg_node *plain_step(rg_node *x, rg_node *h, rg_node *c)
{
    return rg_tanh(rg_add(rg_add(rg_mul(h, rg_sin(c)), rg_mul(x, h)), x));
}

/* a, b = x h, sin(x) + c;  tanh(a h + b z), z one element of both, spread; gates as cells cut them out of what is
   joined. */
static rg_node *gated_step(random_pool *m, rg_node *x, rg_node *h, rg_node *c)
{
    const int64_t n = rg_shape_of(x).dim[0], at = (int64_t)random_below(m, (size_t)(2 * n));
    rg_node *gates = rg_concat(RG_NODES(rg_mul(x, h), rg_add(rg_sin(x), c)), 0);
    rg_node *a = rg_slice(gates, 0, 0, n), *b = rg_slice(gates, 0, n, 2 * n), *z = rg_slice(gates, 0, at, at + 1);
    return rg_tanh(rg_add(rg_mul(a, h), rg_mul(b, z)));
}

/* Over the leading axis, c from outside; the reverse keeps all, or less. `last`: what is left at the end, not all
   steps. */
static rg_node *recurrence_over(random_pool *m, rg_node *xs, rg_node *init, bool last)
{
    rg_node *c = rg_mean(random_any(m), RG_ALL_AXES, false);
    rg_scan_opts opts = {.reverse = random_below(m, 2)};
    const size_t keeps = random_below(m, 4), kept = 1 + random_below(m, 3);
    if (keeps == 0)
        opts.keep_every = (int64_t)kept;
    else if (keeps == 1)
        opts.keep_bytes = 64 * kept;
    rg_scan *s = rg_scan_begin(m->g, &opts);
    rg_node *x = rg_scan_slice(s, xs), *h = rg_scan_carry(s, init);
    rg_node *next = random_below(m, 2) ? plain_step(x, h, c) : gated_step(m, x, h, c);
    rg_node *stack = last ? NULL : rg_scan_stack(s, rg_mul(next, x));
    rg_scan_next(s, h, next);
    rg_node *end = last ? rg_scan_last(s, h) : NULL;
    rg_scan_end(s);
    return last ? end : stack;
}

static rg_node *recurrence(random_pool *m, rg_node *xs)
{
    return recurrence_over(m, xs, rg_mean(xs, RG_AXES(0), false), random_below(m, 2));
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
static rg_node *while_large(random_pool *m, rg_node *x, rg_node *c)
{
    rg_scan *s = rg_while_begin(m->g, &(rg_while_opts){.max_iter = 3});
    rg_node *h = rg_scan_carry(s, x), *most = rg_scalar(m->g, RG_I64, (double)random_below(m, 4));
    rg_node *count = rg_scan_carry(s, rg_scalar(m->g, RG_I64, 0));
    rg_node *large = rg_greater(rg_mean(rg_square(h), RG_ALL_AXES, false), rg_square(c));
    rg_while_test(s, rg_logical_and(large, rg_less(count, most)));
    rg_scan_next(s, count, rg_add(count, rg_scalar(m->g, RG_I64, 1)));
    rg_scan_next(s, h, rg_scale(rg_tanh(rg_matmul(rg_matmul_t(h, false, x, true), h)), 0.9));
    rg_node *last = rg_scan_last(s, h);
    rg_scan_end(s);
    return last;
}

/* Loops that go round no times: branches that are not taken, tests that fail at once, sequences of no steps. */
static rg_node *idle(random_pool *m, rg_node *v)
{
    rg_node *x = random_matrix(v), *c = rg_mean(random_any(m), RG_ALL_AXES, false), *room;
    switch (random_below(m, 3)) {
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

static rg_node *random_node(random_pool *m)
{
    rg_node *x = random_any(m);
    const size_t kind = random_below(m, 21);
    return kind < 7    ? random_unary(m, x)
           : kind < 11 ? random_binary(m, x)
           : kind < 15 ? random_along(m, x)
           : kind < 18 ? random_moved(m, x)
           : kind < 19 ? random_product(m, x)
           : kind < 20 ? recurrence(m, random_matrix(x))
                       : idle(m, x);
}

static rg_node *param(random_pool *m, const char *name, rg_shape shape)
{
    rg_node *p = rg_param(m->g, name, m->dtype, shape, NULL);
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
    random_pool m = {.g = r->g, .state = seed * 0x9e3779b97f4a7c15u + 1, .dtype = dtype};
    const int64_t rows = 1 + (int64_t)random_below(&m, 4), columns = 1 + (int64_t)random_below(&m, 5);
    random_add(&m, r->params[0] = param(&m, "a", RG_SHAPE(rows, columns)));
    random_add(&m, r->params[1] = param(&m, "b", RG_SHAPE(columns)));
    random_add(&m, r->params[2] = param(&m, "c", random_below(&m, 2) ? RG_SHAPE(columns, rows) : RG_SCALAR));
    const size_t more = 4 + random_below(&m, 20),
                 again = random_below(&m, 3) ? more : random_below(&m, more); /* computed again from there on */
    for (size_t i = 0; i < more; i++) {
        if (i == again)
            rg_checkpoint_push(r->g);
        rg_node *v = random_node(&m);
        cr_assert(v, "seed %d: %s", (int)seed, rg_graph_error(r->g));
        if (rg_shape_count(rg_shape_of(v)) <= 64)
            random_add(&m, v);
    }
    if (again < more)
        rg_checkpoint_pop(r->g);
    rg_node *sum = NULL; /* of the newest nodes */
    for (size_t k = 0; k < 3 && k < m.n; k++) {
        rg_node *part = rg_mean(rg_sin(m.nodes[m.n - 1 - k]), RG_ALL_AXES, false);
        sum = sum ? rg_add(sum, part) : part;
    }
    r->loss = sum;
}
