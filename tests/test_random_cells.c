/* test_random_cells.c - recurrences of cells by chance, over a batch: gates cut and joined, products, functions, what
   goes across rows. Plans that fuse, hoist, cut by rows or keep less give the bits of plans that do nothing of it. */
#include "must.h"

#include <stdlib.h>

enum { NODES = 24, WIDEST = 24, FETCHED = 12 };

static const rg_machine eager = {.flop_ns = 1, .byte_ns = 1, .meeting_ns = 0, .share_ns = 1e-3},
                        /* threads that hardly ever meet: loops are cut by rows */
    apart = {.flop_ns = 1, .byte_ns = 1, .meeting_ns = 2000, .share_ns = 1e-3};

typedef struct cell {
    rg_graph *g;
    uint64_t state;
    int params;
    bool of_parts;        /* many products of parts */
    rg_node *body[NODES]; /* [B, any width] */
    size_t n_body;
    rg_node *fetch[FETCHED];
    size_t n_fetched, n_first; /* those of first order come first */
} cell;

static size_t below(cell *c, size_t n)
{
    c->state = c->state * 6364136223846793005u + 1442695040888963407u;
    return (size_t)(c->state >> 33) % n;
}

static int64_t size(cell *c, int64_t most)
{
    return 1 + (int64_t)below(c, (size_t)most);
}

static int64_t width(rg_node *x)
{
    return rg_shape_of(x).dim[1];
}

static rg_node *param(cell *c, rg_shape shape)
{
    char name[16];
    snprintf(name, sizeof name, "p%d", c->params++);
    rg_node *p = rg_param(c->g, name, RG_F32, shape, NULL);
    const int64_t n = rg_shape_count(shape);
    float *x = malloc((size_t)n * sizeof *x);
    for (int64_t i = 0; x && i < n; i++)
        x[i] = 0.8f * sinf(1.7f * (float)i + (float)c->params);
    must(rg_set(p, &(rg_tensor){.dtype = RG_F32, .shape = shape, .data = x}));
    free(x);
    return p;
}

/* x in n columns: cut, or joined with itself; one column is left to be spread. */
static rg_node *fit(cell *c, rg_node *x, int64_t n)
{
    rg_node *wide = x;
    if (width(x) == 1)
        return x;
    while (width(wide) < n)
        wide = rg_concat(RG_NODES(wide, x), 1);
    const int64_t at = (int64_t)below(c, (size_t)(width(wide) - n + 1));
    return width(wide) == n ? wide : rg_slice(wide, 1, at, at + n);
}

static rg_node *any(cell *c)
{
    return c->body[below(c, c->n_body)];
}

/* Some columns. */
static rg_node *part(cell *c, rg_node *x)
{
    const int64_t at = (int64_t)below(c, (size_t)width(x));
    return rg_slice(x, 1, at, at + size(c, width(x) - at));
}

static rg_node *product(cell *c, rg_node *x, int64_t out)
{
    return below(c, 2) ? rg_linear(x, param(c, RG_SHAPE(out, width(x))), NULL)
                       : rg_matmul(x, param(c, RG_SHAPE(width(x), out)));
}

/* What two parts of a row come to with each other: heads of it, or all pairs of its elements. */
static rg_node *within_rows(cell *c, rg_node *x, rg_node *y)
{
    const int64_t batch = rg_shape_of(x).dim[0], n = width(x) < width(y) ? width(x) : width(y);
    rg_node *a = rg_slice(x, 1, 0, n), *b = rg_slice(y, 1, width(y) - n, width(y));
    if (n % 2)
        return rg_reshape(rg_matmul(rg_unsqueeze(a, 2), rg_unsqueeze(b, 1)), RG_SHAPE(batch, n * n));
    a = rg_reshape(a, RG_SHAPE(batch, 2, n / 2));
    b = rg_reshape(b, RG_SHAPE(batch, 2, n / 2));
    rg_node *s = rg_tanh(rg_matmul_t(a, false, b, true));
    return below(c, 2) ? rg_reshape(s, RG_SHAPE(batch, 4)) : rg_reshape(rg_matmul(s, b), RG_SHAPE(batch, n));
}

/* Products that read columns, or are joined. */
static rg_node *product_of_parts(cell *c)
{
    rg_node *x = part(c, any(c)), *y = part(c, any(c)), *z = product(c, any(c), 4 + size(c, 14));
    switch (below(c, 5)) {
    case 0:
        return product(c, part(c, z), size(c, 6));
    case 1:
        return rg_concat(RG_NODES(product(c, x, size(c, 6)), product(c, y, size(c, 6))), 1);
    case 2:
        return rg_concat(RG_NODES(rg_tanh(y), product(c, part(c, z), size(c, 6)), rg_mul(x, x)), 1);
    case 3:
        return product(c, rg_concat(RG_NODES(product(c, part(c, z), size(c, 6)), part(c, z)), 1), size(c, 6));
    default:
        return within_rows(c, part(c, z), below(c, 2) ? part(c, z) : x);
    }
}

static rg_node *random_node(cell *c)
{
    if (c->of_parts && below(c, 2))
        return product_of_parts(c);
    rg_node *a = any(c), *b = any(c);
    const int64_t n = width(a) > width(b) ? width(a) : width(b), at = (int64_t)below(c, (size_t)width(a)),
                  out = size(c, 4);
    switch (below(c, 14)) {
    case 0:
        return rg_tanh(a);
    case 1:
        return rg_sigmoid(a);
    case 2:
        return rg_mul(fit(c, a, n), fit(c, b, n));
    case 3:
        return rg_add(fit(c, a, n), fit(c, b, n));
    case 4:
        return rg_concat(RG_NODES(a, b), 1);
    case 5:
        return rg_concat(RG_NODES(rg_tanh(a), rg_mul(b, b), a), 1);
    case 6:
        return rg_linear(a, param(c, RG_SHAPE(out, width(a))), below(c, 2) ? param(c, RG_SHAPE(out)) : NULL);
    case 7:
        return rg_matmul(a, param(c, RG_SHAPE(width(a), out)));
    case 8:
        return rg_slice(a, 1, at, at + size(c, width(a) - at));
    case 9:
        return rg_mul(a, below(c, 2) ? rg_sigmoid(rg_slice(a, 1, at, at + 1)) : rg_slice(a, 1, at, at + 1));
    case 10:
        return rg_sub(a, rg_mean(a, RG_AXES(below(c, 4) ? 1 : 0), true));
    case 11:
        return rg_mul(a, param(c, RG_SHAPE(below(c, 2) ? width(a) : 1)));
    case 12:
        return rg_sub(rg_scalar(c->g, RG_F32, 1), a);
    default:
        return below(c, 2) ? rg_softmax(a, 1) : rg_where(rg_greater(a, rg_scalar(c->g, RG_F32, 0.1)), a, rg_neg(a));
    }
}

static void fetch(cell *c, rg_node *x)
{
    cr_assert(x && c->n_fetched < FETCHED, "%s", rg_graph_error(c->g));
    c->fetch[c->n_fetched++] = x;
}

/* The same for the same seed but for what its reverse keeps. */
static cell cell_new(uint64_t seed, bool of_parts, int64_t keep_every, size_t keep_bytes)
{
    static const int64_t batches[] = {1, 3, 8, 9, 16, 17};
    cell c = {.g = rg_graph_new(NULL), .of_parts = of_parts, .state = seed * 0x9e3779b97f4a7c15u + 1};
    const int64_t steps = size(&c, 6), batch = batches[below(&c, 6)], n = size(&c, 6);
    rg_node *xs = param(&c, RG_SHAPE(steps, batch, size(&c, 5))), *h0 = param(&c, RG_SHAPE(batch, n)),
            *by = param(&c, RG_SHAPE(1, n));
    rg_scan *s = rg_scan_begin(
        c.g, &(rg_scan_opts){.reverse = below(&c, 2), .keep_every = keep_every, .keep_bytes = keep_bytes});
    rg_node *h = rg_scan_carry(s, h0), *k = rg_scan_carry(s, rg_mul(h0, by));
    c.body[c.n_body++] = rg_scan_slice(s, xs);
    c.body[c.n_body++] = h;
    c.body[c.n_body++] = k;
    for (size_t more = 4 + below(&c, 14); more > 0; more--) {
        rg_node *x = random_node(&c);
        cr_assert(x, "seed %d: %s", (int)seed, rg_graph_error(c.g));
        c.body[c.n_body++] = width(x) > WIDEST ? rg_slice(x, 1, 0, WIDEST / 3) : x;
    }
    rg_node *end = c.body[c.n_body - 1], *beside = c.body[c.n_body - 2];
    rg_scan_next(s, h, rg_tanh(rg_add(fit(&c, end, n), rg_scale(h, 0.5))));
    rg_scan_next(s, k, below(&c, 2) ? rg_tanh(rg_add(fit(&c, beside, n), k)) : h);
    rg_node *joined = rg_concat(RG_NODES(any(&c), rg_mul(fit(&c, any(&c), width(end)), end), any(&c)), 1);
    const int64_t at = (int64_t)below(&c, 3) * width(joined) / 4;
    rg_node *ends = rg_scan_stack(s, below(&c, 2) ? end : rg_matmul(joined, param(&c, RG_SHAPE(width(joined), 2)))),
            *others = rg_scan_stack(s, rg_slice(joined, 1, at, at + size(&c, width(joined) - at))),
            *last = rg_scan_last(s, k);
    rg_scan_end(s);
    rg_node *loss = rg_add(rg_mean(rg_square(ends), RG_ALL_AXES, false), rg_mean(rg_sin(others), RG_ALL_AXES, false));
    loss = rg_add(loss, rg_mean(last, RG_ALL_AXES, false));
    const rg_nodes d = rg_grad(loss, rg_params(c.g));
    fetch(&c, ends);
    fetch(&c, others);
    for (size_t i = 0; i < d.n && i < 6; i++)
        fetch(&c, rg_at(d, i));
    c.n_first = c.n_fetched;
    fetch(&c, rg_at(rg_hvp(loss, RG_NODES(h0), RG_NODES(h0)), 0));
    if (seed % 3 == 0)
        fetch(&c, rg_at(rg_grad(rg_square_norm(d), RG_NODES(h0)), 0));
    if (seed % 5 == 0)
        fetch(&c, rg_jacobian(rg_at(rg_grad(loss, RG_NODES(by)), 0), by));
    return c;
}

static rg_plan *run(const cell *c, rg_plan_opts opts)
{
    opts.mode = RG_TRAIN;
    rg_plan *p = must_compile(c->g, (rg_nodes){(rg_node **)(uintptr_t)c->fetch, c->n_fetched}, &opts);
    must(rg_run(p));
    return p;
}

/* The first n results, bit for bit; the plan is released. */
static void expect_same(rg_plan *p, const cell *a, rg_plan *q, const cell *b, size_t n, const char *what, uint64_t seed)
{
    for (size_t i = 0; i < n; i++) {
        rg_tensor x, y;
        must(rg_result(p, a->fetch[i], &x));
        must(rg_result(q, b->fetch[i], &y));
        cr_expect(!memcmp(x.data, y.data, (size_t)rg_shape_count(x.shape) * sizeof(float)),
                  "seed %d, %s: result %zu of %zu has other bits", (int)seed, what, i, n);
    }
    rg_plan_free(q);
}

/* Without what derivatives ask for, more of a body is never written. */
static void check_forward(const cell *all, uint64_t seed)
{
    cell c = *all;
    c.n_fetched = 2;
    rg_plan *plain = run(&c, (rg_plan_opts){.threads = 1, .no_fuse = true});
    expect_same(plain, &c, run(&c, (rg_plan_opts){.threads = 1}), &c, 2, "forward", seed);
    expect_same(plain, &c, run(&c, (rg_plan_opts){.threads = 3, .machine = &eager}), &c, 2, "forward, shared", seed);
    expect_same(plain, &c, run(&c, (rg_plan_opts){.threads = 2, .machine = &apart}), &c, 2, "forward, in rows", seed);
    expect_same(plain, &c, run(&c, (rg_plan_opts){.threads = 8, .machine = &apart}), &c, 2, "forward, in few rows",
                seed);
    rg_plan_free(plain);
}

static void check_cell(uint64_t seed, bool of_parts)
{
    const cell c = cell_new(seed, of_parts, 0, 0), segments = cell_new(seed, of_parts, 1 + (int64_t)seed % 3, 0),
               budget = cell_new(seed, of_parts, 0, 64 + 97 * (seed % 40));
    rg_plan *plain = run(&c, (rg_plan_opts){.threads = 1, .no_fuse = true});
    expect_same(plain, &c, run(&c, (rg_plan_opts){.threads = 1}), &c, c.n_fetched, "fused", seed);
    expect_same(plain, &c, run(&c, (rg_plan_opts){.threads = 2, .machine = &eager}), &c, c.n_fetched, "shared", seed);
    expect_same(plain, &c, run(&c, (rg_plan_opts){.threads = 3, .machine = &apart}), &c, c.n_fetched, "in rows", seed);
    expect_same(plain, &c, run(&segments, (rg_plan_opts){.threads = 1}), &segments, c.n_first, "in segments", seed);
    expect_same(plain, &c, run(&budget, (rg_plan_opts){.threads = 2, .machine = &eager}), &budget, c.n_first,
                "in few bytes", seed);
    rg_plan_free(plain);
    check_forward(&c, seed);
    rg_graph_free(c.g);
    rg_graph_free(segments.g);
    rg_graph_free(budget.g);
}

static void check_cells(bool of_parts)
{
    const char *only = getenv("RETROGRADE_SEED");
    const uint64_t first = only ? strtoull(only, NULL, 0) : 0, seeds = only ? 1 : getenv("RETROGRADE_SLOW") ? 1500 : 25;
    for (uint64_t seed = first; seed < first + seeds; seed++)
        check_cell(seed, of_parts);
}

Test(random_cells, every_plan_has_the_bits_of_the_plainest, .timeout = 3000)
{
    check_cells(false);
}

Test(random_cells, products_of_parts, .timeout = 3000)
{
    check_cells(true);
}

/* Stacks of a slice of a join, which is a slice of what a group makes; and of what has left the loop. */
Test(random_cells, stacks_of_what_lies_elsewhere)
{
    static const uint64_t seeds[] = {246, 361, 386, 608, 1266};
    for (size_t i = 0; i < sizeof seeds / sizeof *seeds; i++)
        check_cell(seeds[i], false);
}
