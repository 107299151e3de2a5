/* test_parts.c - products that read columns of a wider value where they lie: the same bits as of copies, and no copies
   there. */
#include "must.h"
#include "parts.h"
#include "tasks.h"

#include <retrograde/op.h>

#include <stdint.h>
#include <stdlib.h>

enum { MOST = 24 };

/* What is computed from x, [rows, WIDE] of a named size. */
typedef struct computed {
    rg_graph *g;
    rg_node *x, *at[MOST];
    size_t n, effects; /* the last `effects` have no values */
} computed;

static computed begin(rg_dtype dtype)
{
    computed f = {.g = rg_graph_new(&(rg_graph_opts){.seed = 7})};
    f.x = rg_input(f.g, "x", dtype, RG_SHAPE(rg_dim(f.g, "rows"), WIDE));
    return f;
}

/* The result and its gradients by all parameters and x. */
static void fetch_with_gradients(computed *f, rg_node *y)
{
    f->at[f->n++] = y;
    const rg_nodes params = rg_params(f->g);
    rg_node *by[MOST] = {f->x};
    for (size_t i = 0; i < params.n; i++)
        by[i + 1] = params.at[i];
    const rg_nodes d = rg_grad(rg_sum(rg_square(rg_cast(y, RG_F64)), RG_ALL_AXES, false), (rg_nodes){by, params.n + 1});
    for (size_t i = 0; i < d.n; i++)
        f->at[f->n++] = d.at[i];
    cr_assert(!rg_graph_error(f->g), "%s", rg_graph_error(f->g));
}

static void compare(const computed *f, const char *what, const int64_t *rows, size_t n_rows)
{
    expect_same_of(f->g, f->x, (rg_nodes){(rg_node **)(uintptr_t)f->at, f->n}, f->effects, what, rows, n_rows);
}

/* Any order of the tasks that keeps to who writes what others read gives the bits of a run. */
static void expect_any_order(const computed *f, const char *what)
{
    static const rg_machine eager = {.flop_ns = 1, .byte_ns = 1, .meeting_ns = 0, .share_ns = 1e-3};
    enum { MANY = 70, ORDERS = 10 };
    const rg_nodes fetch = {f->at, f->n}, results = {f->at, f->n - f->effects};
    void *data = numbers(RG_F32, MANY * WIDE);
    rg_plan *p = must_compile(f->g, fetch, &(rg_plan_opts){.threads = 3, .machine = &eager}),
            *plain = must_compile(f->g, fetch, &(rg_plan_opts){.threads = 1, .no_fuse = true});
    must(rg_bind_shape(p, f->x, data, RG_SHAPE(MANY, WIDE)));
    must(rg_bind_shape(plain, f->x, data, RG_SHAPE(MANY, WIDE)));
    must(rg_run(plain));
    must(rg_run(p)); /* packs what it keeps */
    uint64_t random = 1;
    for (int i = 0; i < ORDERS; i++) {
        task_graph tasks;
        cr_assert(task_graph_make(p, &tasks) && task_graph_run_shuffled(&tasks, &random), "%s", rg_last_error());
        expect_equal_results(p, plain, results, what, "tasks in any order");
        task_graph_free(&tasks);
    }
    rg_plan_free(p);
    rg_plan_free(plain);
    free(data);
}

static const int64_t some_rows[] = {6, 1, 0, 70, 6};
#define SOME_ROWS some_rows, sizeof some_rows / sizeof *some_rows

/* How often something stands in the dump of a plan for the first n. */
static int steps_of(const computed *f, size_t n, const char *what)
{
    rg_plan *p = must_compile(f->g, (rg_nodes){(rg_node **)(uintptr_t)f->at, n}, &(rg_plan_opts){.threads = 1});
    const int found = dumped(p, what);
    rg_plan_free(p);
    return found;
}

static rg_node *columns(rg_node *x, int64_t part, int64_t size)
{
    return rg_slice(x, -1, part * size, (part + 1) * size);
}

static rg_node *attend(rg_node *q, rg_node *k, rg_node *v)
{
    rg_node *s = rg_softmax(rg_scale(rg_matmul(q, rg_transpose(k, RG_ALL_AXES)), 0.125), -1);
    return rg_matmul(s, v);
}

/* Queries, keys and values out of one product, forward and in the gradients. */
Test(parts, attention_of_one_projection)
{
    const rg_dtype dtypes[] = {RG_F32, RG_F64};
    for (size_t k = 0; k < 2; k++) {
        computed f = begin(dtypes[k]);
        rg_node *w = rg_param(f.g, "w", dtypes[k], RG_SHAPE(WIDE, 3 * PART), NULL), *joined = rg_matmul(f.x, w);
        fetch_with_gradients(&f, attend(columns(joined, 0, PART), columns(joined, 1, PART), columns(joined, 2, PART)));
        cr_expect_eq(steps_of(&f, 1, "= slice("), 0, "%s", rg_dtype_name(dtypes[k]));
        cr_expect_eq(steps_of(&f, f.n, "= slice("), 0, "gradients of %s", rg_dtype_name(dtypes[k]));
        cr_expect(steps_of(&f, f.n, "(window)") >= 6, "%s", rg_dtype_name(dtypes[k]));
        cr_expect_eq(steps_of(&f, f.n, "= concat("), 0, "gradients of %s", rg_dtype_name(dtypes[k]));
        compare(&f, rg_dtype_name(dtypes[k]), SOME_ROWS);
        rg_graph_free(f.g);
    }
}

/* Where much else is alive while nothing but late readers of queries and keys keeps the projection, and as soon as the
   gradient of the values has been made: dense parts take less room, and are the same. */
Test(parts, attention_without_room)
{
    enum { LONG = 192 };
    const rg_dtype dtypes[] = {RG_F32, RG_F64};
    for (size_t k = 0; k < 2; k++) {
        computed f = begin(dtypes[k]);
        rg_node *tokens = rg_param(f.g, "tokens", dtypes[k], RG_SHAPE(LONG, WIDE), NULL),
                *w = rg_param(f.g, "w", dtypes[k], RG_SHAPE(WIDE, 3 * PART), NULL),
                *joined = rg_matmul(rg_add(tokens, rg_sum(f.x, RG_ALL_AXES, false)), w);
        f.at[f.n++] = attend(columns(joined, 0, PART), columns(joined, 1, PART), columns(joined, 2, PART));
        const rg_nodes d = rg_grad(rg_sum(rg_square(f.at[0]), RG_ALL_AXES, false), RG_NODES(tokens, w));
        f.at[f.n++] = d.at[0];
        f.at[f.n++] = d.at[1];
        cr_expect_eq(steps_of(&f, f.n, "= slice("), 3, "%s", rg_dtype_name(dtypes[k]));
        cr_expect_eq(steps_of(&f, f.n, "= concat("), 1, "%s", rg_dtype_name(dtypes[k]));
        compare(&f, rg_dtype_name(dtypes[k]), SOME_ROWS);
        if (dtypes[k] == RG_F32)
            expect_any_order(&f, "attention");
        rg_graph_free(f.g);
    }
}

/* Heads are columns of the columns of one product. */
Test(parts, heads)
{
    computed f = begin(RG_F32);
    rg_node *w = rg_param(f.g, "w", RG_F32, RG_SHAPE(WIDE, 3 * WIDE), NULL),
            *out = rg_param(f.g, "out", RG_F32, RG_SHAPE(WIDE, WIDE), NULL), *joined = rg_matmul(f.x, w), *head[3];
    for (int h = 0; h < 3; h++)
        head[h] = attend(columns(joined, h, PART), columns(joined, 3 + h, PART), columns(joined, 6 + h, PART));
    fetch_with_gradients(&f, rg_matmul(rg_concat(RG_NODES(head[0], head[1], head[2]), 1), out));
    cr_expect_eq(steps_of(&f, 1, "= slice("), 0);
    cr_expect_eq(steps_of(&f, 1, "= concat("), 0);
    cr_expect_eq(steps_of(&f, f.n, "= slice(") + steps_of(&f, f.n, "= concat_part("), 0);
    compare(&f, "heads", SOME_ROWS);
    expect_any_order(&f, "heads");
    rg_graph_free(f.g);
}

/* Heads as an axis of their own: views of the columns, turned, or contracted as they are. */
Test(parts, views)
{
    computed f = begin(RG_F32);
    rg_node *w = rg_param(f.g, "w", RG_F32, RG_SHAPE(WIDE, 3 * WIDE), NULL), *joined = rg_matmul(f.x, w), *part[3];
    const int64_t rows = rg_dim(f.g, "rows");
    for (int i = 0; i < 3; i++)
        part[i] = rg_transpose(rg_reshape(columns(joined, i, WIDE), RG_SHAPE(rows, 3, PART)), RG_AXES(1, 0, 2));
    rg_node *s = rg_softmax(rg_matmul(part[0], rg_transpose(part[1], RG_AXES(0, 2, 1))), -1),
            *y = rg_matmul(s, part[2]);
    rg_node *flat = rg_reshape(columns(joined, 1, WIDE), RG_SHAPE(rows, 3, PART));
    rg_node *both = rg_contract(flat, rg_reshape(columns(joined, 2, WIDE), RG_SHAPE(rows, 3, PART)),
                                &(rg_contract_opts){.a_contract = RG_AXES(1, 2), .b_contract = RG_AXES(1, 2)});
    rg_node *across = rg_contract(flat, flat, &(rg_contract_opts){.a_contract = RG_AXES(2), .b_contract = RG_AXES(2)});
    fetch_with_gradients(&f,
                         rg_add(rg_sum(rg_matmul(both, rg_squeeze(rg_sum(y, RG_AXES(0), true), 0)), RG_AXES(1), true),
                                rg_reshape(rg_sum(across, RG_AXES(1, 2, 3), true), RG_SHAPE(rows, 1))));
    cr_expect_eq(steps_of(&f, 1, "= slice("), 1); /* its heads and rows together are free axes of a product */
    cr_expect_eq(steps_of(&f, 1, "= transpose("), 0);
    compare(&f, "views", SOME_ROWS);
    expect_any_order(&f, "views");
    rg_graph_free(f.g);
}

/* Stored as bf16; and a bf16 product of two such parts. */
Test(parts, half_as_wide)
{
    computed f = begin(RG_F32);
    rg_node *w = rg_param(f.g, "w", RG_F32, RG_SHAPE(WIDE, 3 * PART), NULL);
    rg_node *joined = rg_cast(rg_matmul(f.x, w), RG_BF16);
    rg_node *q = columns(joined, 0, PART), *k = columns(joined, 1, PART), *wide = columns(rg_matmul(f.x, w), 2, PART);
    f.at[f.n++] = rg_matmul(rg_matmul(q, rg_transpose(k, RG_ALL_AXES)), wide);
    f.at[f.n++] = rg_matmul(rg_transpose(q, RG_ALL_AXES), wide);
    f.at[f.n++] = rg_matmul(rg_transpose(wide, RG_ALL_AXES), q);
    f.at[f.n++] = rg_matmul(rg_transpose(q, RG_ALL_AXES), k);
    compare(&f, "bf16", SOME_ROWS);
    rg_graph_free(f.g);
}

/* Columns of what is bound and stored, of which the latter changes: products read the old ones. A packed operand that
   is kept from run to run. */
Test(parts, of_inputs_and_parameters)
{
    computed f = begin(RG_F32);
    rg_node *w = rg_param(f.g, "w", RG_F32, RG_SHAPE(WIDE, WIDE), NULL),
            *fixed = rg_param(f.g, "fixed", RG_F32, RG_SHAPE(PART, 3 * WIDE), NULL);
    rg_node *y = rg_matmul(columns(f.x, 0, PART), rg_transpose(columns(w, 1, PART), RG_ALL_AXES));
    rg_node *z = rg_matmul(columns(rg_tanh(y), 2, PART), columns(fixed, 1, WIDE));
    rg_node *updated = rg_mul(w, rg_scalar(f.g, RG_F32, 0.5));
    f.at[f.n++] = rg_matmul(z, rg_slice(w, 0, 0, WIDE));
    f.at[f.n++] = rg_matmul(columns(f.x, 1, PART), columns(fixed, 2, WIDE));
    f.at[f.n++] = rg_matmul(f.x, columns(updated, 2, PART));
    f.at[f.n++] = rg_assign(w, updated);
    f.effects = 1;
    cr_expect_eq(steps_of(&f, f.n, "= slice("), 0);
    compare(&f, "stored", SOME_ROWS);
    rg_graph_free(f.g);
}

/* A cell whose gates are columns of one product of its state, some of which products read again; its loop has a batch
   that may be cut by rows. */
static rg_node *cell(rg_graph *g, rg_node *xs, int64_t batch, int64_t n)
{
    rg_node *u = rg_param(g, "u", RG_F32, RG_SHAPE(n, 3 * n), NULL),
            *v = rg_param(g, "v", RG_F32, RG_SHAPE(n, n), NULL),
            *both = rg_param(g, "both", RG_F32, RG_SHAPE(n, 2 * n), NULL);
    rg_scan *s = rg_scan_begin(g, NULL);
    rg_node *x = rg_scan_slice(s, xs), *h = rg_scan_carry(s, rg_zeros(g, RG_F32, RG_SHAPE(batch, n)));
    rg_node *z = rg_matmul(h, u), *a = columns(z, 1, n), *b = rg_matmul(columns(z, 2, n), v);
    rg_node *c = rg_matmul(a, columns(both, 1, n)), *inner = rg_matmul(columns(x, 0, n), v);
    rg_node *next = rg_tanh(rg_add(rg_add(columns(z, 0, n), b), rg_add(rg_mul(c, rg_sigmoid(a)), inner)));
    rg_scan_next(s, h, next);
    rg_node *all = rg_scan_stack(s, next), *more = rg_scan_stack(s, rg_add(z, x));
    rg_scan_end(s);
    return rg_concat(RG_NODES(all, rg_tanh(more)), 2);
}

Test(parts, in_loops)
{
    computed f = begin(RG_F32);
    const int64_t rows = rg_dim(f.g, "rows");
    rg_node *xs =
        rg_concat(RG_NODES(rg_reshape(f.x, RG_SHAPE(rows, 12, 8)), rg_reshape(rg_sin(f.x), RG_SHAPE(rows, 12, 8)),
                           rg_reshape(rg_cos(f.x), RG_SHAPE(rows, 12, 8))),
                  2);
    fetch_with_gradients(&f, cell(f.g, xs, 12, 8));
    compare(&f, "a cell", SOME_ROWS);
    rg_graph_free(f.g);
}

/* A part of the state is read by a product while the next state is made from what that gives, perhaps in its place. */
Test(parts, of_a_carry)
{
    computed f = begin(RG_F32);
    rg_node *u = rg_param(f.g, "u", RG_F32, RG_SHAPE(PART, WIDE), NULL);
    rg_scan *s = rg_scan_begin(f.g, NULL);
    rg_node *x = rg_scan_slice(s, f.x), *h = rg_scan_carry(s, rg_zeros(f.g, RG_F32, RG_SHAPE(5, WIDE)));
    rg_node *next = rg_tanh(rg_add(x, h)), *late = rg_matmul(columns(h, 1, PART), u);
    rg_scan_next(s, h, rg_add(next, rg_scale(rg_matmul(columns(next, 2, PART), u), 0.1)));
    f.at[f.n++] = rg_scan_stack(s, late);
    f.at[f.n++] = rg_scan_last(s, h);
    rg_scan_end(s);
    compare(&f, "a carry", SOME_ROWS);
    computed d = f;
    fetch_with_gradients(&d, rg_sum(f.at[0], RG_AXES(0), true));
    compare(&d, "gradients of a carry", SOME_ROWS);
    rg_graph_free(f.g);
}

/* Products that are joined: beside groups, twice, in two joins, read by others too, long sums cut into parts, along the
   rows, with batches, within a batch. */
Test(parts, of_products)
{
    computed f = begin(RG_F32);
    const int64_t rows = rg_dim(f.g, "rows");
    rg_node *w = rg_param(f.g, "w", RG_F32, RG_SHAPE(WIDE, PART), NULL),
            *tall = rg_param(f.g, "tall", RG_F32, RG_SHAPE(9000, 6), NULL),
            *flat = rg_param(f.g, "flat", RG_F32, RG_SHAPE(9000, 5), NULL);
    rg_node *a = rg_matmul(f.x, w), *b = rg_matmul(rg_sin(f.x), w), *c = rg_tanh(a);
    rg_node *beside = rg_concat(RG_NODES(b, c), 1), *d = rg_matmul(rg_cos(f.x), w);
    rg_node *twice = rg_concat(RG_NODES(d, d), 1), *below = rg_concat(RG_NODES(rg_matmul(rg_exp(f.x), w), c), 0);
    f.at[f.n++] = rg_matmul(beside, rg_transpose(twice, RG_ALL_AXES));
    f.at[f.n++] = rg_matmul(below, rg_transpose(w, RG_ALL_AXES));
    rg_node *sums = rg_concat(RG_NODES(rg_matmul(rg_transpose(tall, RG_ALL_AXES), flat),
                                       rg_matmul(rg_transpose(rg_sin(tall), RG_ALL_AXES), rg_cos(flat))),
                              1);
    f.at[f.n++] = rg_exp(rg_scale(sums, 1e-3));
    rg_node *in = rg_reshape(f.x, RG_SHAPE(rows, 8, 12)), *other = rg_reshape(rg_sin(f.x), RG_SHAPE(rows, 12, 8));
    rg_node *y = rg_matmul(in, other), *z = rg_matmul(rg_cos(in), other);
    f.at[f.n++] = rg_sin(rg_concat(RG_NODES(y, z), 2));
    f.at[f.n++] = rg_sin(rg_concat(RG_NODES(rg_matmul(rg_exp(in), other), rg_tanh(rg_matmul(rg_tanh(in), other))), 1));
    compare(&f, "products", SOME_ROWS);
    expect_any_order(&f, "products");
    rg_graph_free(f.g);
}

/* Heads of a batch of no rows, whose axis stands in the middle: no stride is one of anything. */
Test(parts, of_nothing)
{
    computed f = begin(RG_F32);
    const int64_t rows = rg_dim(f.g, "rows");
    rg_node *x = rg_sin(rg_reshape(f.x, RG_SHAPE(3, rows, PART))),
            *heads = rg_reshape(rg_slice(x, 2, 16, PART), RG_SHAPE(3, rows, 2, 8));
    f.at[f.n++] = rg_transpose(heads, RG_AXES(0, 2, 1, 3));
    f.at[f.n++] = rg_contract(
        heads, heads,
        &(rg_contract_opts){
            .a_batch = RG_AXES(0), .b_batch = RG_AXES(0), .a_contract = RG_AXES(2, 3), .b_contract = RG_AXES(2, 3)});
    compare(&f, "nothing", (const int64_t[]){4, 0, 1}, 3);
    rg_graph_free(f.g);
}

/* In a loop: what is joined is one product's operand, and another one's window; the state's rows may be cut. */
Test(parts, of_products_in_loops)
{
    computed f = begin(RG_F32);
    const int64_t rows = rg_dim(f.g, "rows");
    rg_node *u = rg_param(f.g, "u", RG_F32, RG_SHAPE(8, 8), NULL),
            *v = rg_param(f.g, "v", RG_F32, RG_SHAPE(16, 8), NULL);
    rg_scan *s = rg_scan_begin(f.g, NULL);
    rg_node *x = rg_scan_slice(s, rg_reshape(f.x, RG_SHAPE(rows, 12, 8))),
            *h = rg_scan_carry(s, rg_zeros(f.g, RG_F32, RG_SHAPE(12, 8)));
    rg_node *both = rg_concat(RG_NODES(rg_matmul(h, u), rg_matmul(x, u)), 1);
    rg_node *next = rg_tanh(rg_add(rg_matmul(both, v), rg_matmul(rg_slice(both, 1, 4, 12), u)));
    rg_scan_next(s, h, next);
    rg_node *all = rg_scan_stack(s, both), *states = rg_scan_stack(s, next);
    rg_scan_end(s);
    fetch_with_gradients(&f, rg_concat(RG_NODES(all, states), 2));
    compare(&f, "products in loops", SOME_ROWS);
    rg_graph_free(f.g);
}

/* What leads to a long loop, and from it, is made for some turns at a time: products of columns of the sequence, and of
   what the turns leave. */
Test(parts, in_strips)
{
    computed f = begin(RG_F32);
    const int64_t rows = rg_dim(f.g, "rows"), n = 64;
    rg_node *w = rg_param(f.g, "w", RG_F32, RG_SHAPE(12, 3 * n), NULL),
            *u = rg_param(f.g, "u", RG_F32, RG_SHAPE(n, n), NULL);
    rg_node *xs = columns(rg_reshape(f.x, RG_SHAPE(rows, 4, 24)), 1, 12);
    rg_scan *s = rg_scan_begin(f.g, NULL);
    rg_node *x = rg_scan_slice(s, xs), *h = rg_scan_carry(s, rg_zeros(f.g, RG_F32, RG_SHAPE(4, n))),
            *z = rg_matmul(x, w);
    rg_node *gate = rg_sigmoid(columns(z, 1, n)), *inner = rg_matmul(columns(z, 2, n), u);
    rg_node *next = rg_tanh(rg_add(rg_add(columns(z, 0, n), rg_mul(gate, rg_matmul(h, u))), inner));
    rg_scan_next(s, h, next);
    rg_node *all = rg_scan_stack(s, next);
    rg_scan_end(s);
    fetch_with_gradients(&f, rg_sum(rg_matmul(columns(all, 1, n / 2), rg_slice(u, 0, 0, n / 2)), RG_AXES(0), false));
    compare(&f, "strips", (const int64_t[]){1500, 3}, 2);
    rg_graph_free(f.g);
}

/* ---- an operator of one's own ---- */

/* x [rows, n] -> what each row has more than its first element has. */
static rg_status run_above_first(const rg_step *s, size_t lo, size_t hi)
{
    const size_t n = (size_t)s->in_type[0].shape.dim[1];
    const rg_window *const from = s->windows ? s->windows[0] : NULL, *const to = s->windows ? s->windows[1] : NULL;
    for (size_t r = lo; r < hi; r++) {
        const float *x = (const float *)s->in[0] + r * (from ? from->pitch : n);
        float *y = (float *)s->out[0] + r * (to ? to->pitch : n);
        for (size_t j = 0; j < n; j++)
            y[j] = x[j] - x[0];
    }
    return RG_OK;
}

static void cost_above_first(const rg_step *s, rg_cost *cost)
{
    cost->tasks[0] = (size_t)s->in_type[0].shape.dim[0];
    cost->flops = (double)rg_shape_count(s->in_type[0].shape);
    cost->bytes = 8 * cost->flops;
}

static bool takes_rows(const rg_step *s, size_t i, const rg_window *w)
{
    (void)i;
    return w->length == (size_t)s->in_type[0].shape.dim[1];
}

static void reads_row(const rg_step *s, size_t i, int32_t from[])
{
    (void)s, (void)i;
    from[0] = 0;
}

static const rg_op above_first_op = {
    .name = "above_first",
    .n_in = 1,
    .n_out = 1,
    .traits = RG_ROWS | RG_ZERO_GRAD,
    .dtypes = RG_DT(RG_F32),
    .infer = rg_infer_same,
    .cost = cost_above_first,
    .run = run_above_first,
    .takes = takes_rows,
    .reads = reads_row,
};

static rg_node *above_first(rg_node *x)
{
    return rg_apply(&above_first_op, RG_NODES(x), NULL);
}

/* What it reads and writes lies in wider values, outside of loops and in them. */
Test(parts, of_an_operator_of_the_users)
{
    computed f = begin(RG_F32);
    rg_node *w = rg_param(f.g, "w", RG_F32, RG_SHAPE(WIDE, WIDE), NULL),
            *u = rg_param(f.g, "u", RG_F32, RG_SHAPE(2 * PART, PART), NULL), *y = rg_matmul(f.x, w);
    rg_node *both = rg_concat(RG_NODES(above_first(columns(y, 1, PART)), above_first(columns(y, 2, PART))), 1);
    f.at[f.n++] = rg_matmul(both, u);
    cr_expect_eq(steps_of(&f, 1, "= slice(") + steps_of(&f, 1, "= concat("), 0);
    cr_expect_eq(steps_of(&f, 1, "(window) = above_first("), 2);
    rg_node *v = rg_param(f.g, "v", RG_F32, RG_SHAPE(8, 16), NULL);
    rg_scan *s = rg_scan_begin(f.g, NULL);
    rg_node *x = rg_scan_slice(s, rg_reshape(f.x, RG_SHAPE(rg_dim(f.g, "rows"), 12, 8))),
            *h = rg_scan_carry(s, rg_zeros(f.g, RG_F32, RG_SHAPE(12, 8)));
    rg_node *z = rg_matmul(rg_add(h, x), v);
    rg_node *next = rg_concat(RG_NODES(above_first(columns(z, 1, 4)), above_first(columns(z, 3, 4))), 1);
    rg_scan_next(s, h,
                 rg_tanh(rg_matmul_t(rg_concat(RG_NODES(next, above_first(columns(z, 1, 8))), 1), false, v, true)));
    f.at[f.n++] = rg_scan_stack(s, h);
    rg_scan_end(s);
    compare(&f, "an operator of the user's", SOME_ROWS);
    expect_any_order(&f, "an operator of the user's");
    rg_graph_free(f.g);
}

/* ---- shapes at random ---- */

/* Part of x along an axis, perhaps under another shape of as many axes or one more. */
static rg_node *some_part(rg_node *x, uint64_t *random)
{
    const rg_shape shape = rg_shape_of(x);
    const int axis = 1 + (int)draw(random, (uint32_t)shape.rank - 1);
    const int64_t n = shape.dim[axis], from = draw(random, (uint32_t)n),
                  to = from + 1 + draw(random, (uint32_t)(n - from));
    return rg_slice(x, axis, from, to);
}

/* The product of two tensors over the axes at which their sizes agree: the last one or two of both, or other ones. */
static rg_node *some_product(rg_node *a, rg_node *b, uint64_t *random)
{
    rg_contract_opts o = {.a_batch = RG_AXES(0), .b_batch = RG_AXES(0)};
    const rg_shape x = rg_shape_of(a), y = rg_shape_of(b);
    if (draw(random, 2))
        o.a_batch.n = o.b_batch.n = 0;
    for (int32_t i = 1; i < x.rank; i++)
        for (int32_t j = 1; j < y.rank; j++) {
            bool used = draw(random, 3) == 0 || x.dim[i] != y.dim[j];
            for (int32_t k = 0; k < o.a_contract.n; k++)
                used = used || o.a_contract.axis[k] == i || o.b_contract.axis[k] == j;
            if (used)
                continue;
            o.a_contract.axis[o.a_contract.n++] = i;
            o.b_contract.axis[o.b_contract.n++] = j;
        }
    if (!o.a_batch.n && x.rank + y.rank - 2 * o.a_contract.n > 6)
        o.a_batch.n = o.b_batch.n = 1;
    return rg_contract(a, b, &o);
}

Test(parts, shapes_at_random, .timeout = 120)
{
    const uint64_t seeds = getenv("RETROGRADE_SLOW") ? 2000 : 60;
    for (uint64_t seed = 1; seed <= seeds; seed++) {
        uint64_t random = seed;
        computed f = begin(RG_F32);
        const int64_t rows = rg_dim(f.g, "rows");
        rg_node *w = rg_param(f.g, "w", RG_F32, RG_SHAPE(WIDE, WIDE), NULL), *parts[6];
        const rg_shape shapes[] = {RG_SHAPE(rows, WIDE),  RG_SHAPE(rows, 4, 24),   RG_SHAPE(rows, 8, 12),
                                   RG_SHAPE(rows, 12, 8), RG_SHAPE(rows, 4, 4, 6), RG_SHAPE(rows, 3, 32),
                                   RG_SHAPE(rows, 32, 3)};
        rg_node *wholes[3] = {f.x, rg_matmul(f.x, w), rg_tanh(f.x)};
        for (int i = 0; i < 6; i++) {
            rg_node *whole = rg_reshape(wholes[draw(&random, 3)], shapes[draw(&random, 7)]);
            parts[i] = some_part(whole, &random);
            const rg_shape p = rg_shape_of(parts[i]);
            if (p.dim[p.rank - 1] % 2 == 0 && p.rank < 4 && draw(&random, 2)) {
                rg_shape split = p;
                split.dim[split.rank - 1] = 2;
                split.dim[split.rank++] = p.dim[p.rank - 1] / 2;
                parts[i] = rg_reshape(parts[i], split);
            } else if (p.rank == 3 && draw(&random, 2)) {
                parts[i] = rg_reshape(parts[i], RG_SHAPE(rows, p.dim[1] * p.dim[2]));
            }
        }
        rg_node *sum = rg_scalar(f.g, RG_F32, 0);
        for (int k = 0; k < 4; k++) {
            rg_node *y = some_product(parts[draw(&random, 6)], parts[draw(&random, 6)], &random);
            cr_assert(y, "seed %d: %s", (int)seed, rg_graph_error(f.g));
            f.at[f.n++] = y;
            sum = rg_add(sum, rg_sum(rg_sin(y), RG_ALL_AXES, false));
            const int32_t rank = rg_shape_of(y).rank;
            rg_node *like = rg_contract(rg_sin(rg_arg(y, 0)), rg_arg(y, 1), rg_attr(y));
            if (rank && !draw(&random, 2))
                sum = rg_add(sum,
                             rg_sum(rg_cos(rg_concat(RG_NODES(like, rg_tanh(y)), (int)draw(&random, (uint32_t)rank))),
                                    RG_ALL_AXES, false));
        }
        fetch_with_gradients(&f, sum);
        char what[32];
        snprintf(what, sizeof what, "seed %d", (int)seed);
        compare(&f, what, (const int64_t[]){3, 1, 0, 5}, 4);
        rg_graph_free(f.g);
    }
}
