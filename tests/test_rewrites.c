/* test_rewrites.c - the identities that plans use: for each one a graph in which it holds, which must come out the same
   to the last bit for numbers of every kind, with it, without it, and where both are computed and compared. */
#include "must.h"

#include "networks.h"
#include "runtime/program/agree.h"

#include <float.h>
#include <stdio.h>
#include <stdlib.h>

#define ROWS 8
#define COLUMNS 12
#define LENGTH 3 /* of the sequence where the graph is the body of a scan */

typedef rg_node *(*builder)(rg_node *x, rg_node *y);

typedef struct sample {
    const char *name; /* of the rewrite */
    builder build;
} sample;

static rg_node *full(rg_node *like, double value)
{
    return rg_full_like(like, value);
}

/* ---- graphs, of two operands [ROWS, COLUMNS] ---- */

static rg_node *times_one(rg_node *x, rg_node *y)
{
    return rg_add(rg_mul(x, full(x, 1)), y);
}

static rg_node *plus_negative_zero(rg_node *x, rg_node *y)
{
    return rg_mul(rg_add(full(x, -0.0), x), rg_sub(y, full(y, 0)));
}

static rg_node *minus_minus(rg_node *x, rg_node *y)
{
    return rg_mul(rg_neg(rg_neg(x)), y);
}

static rg_node *not_not(rg_node *x, rg_node *y)
{
    return rg_where(rg_logical_not(rg_logical_not(rg_less(x, y))), x, y);
}

static rg_node *relu_relu(rg_node *x, rg_node *y)
{
    return rg_add(rg_relu(rg_relu(x)), rg_abs(rg_abs(y)));
}

static rg_node *least_of_one(rg_node *x, rg_node *y)
{
    return rg_sub(rg_minimum(x, x), rg_round(rg_floor(rg_maximum(y, y))));
}

static rg_node *square_of_negative(rg_node *x, rg_node *y)
{
    return rg_add(rg_square(rg_neg(x)), rg_abs(rg_neg(y)));
}

static rg_node *plus_minus(rg_node *x, rg_node *y)
{
    return rg_add(x, rg_neg(y));
}

static rg_node *minus_plus(rg_node *x, rg_node *y)
{
    return rg_add(rg_neg(x), rg_sub(y, rg_neg(rg_abs(x))));
}

/* In a body the stand-in, made last, is gathered into the group behind the product. */
static rg_node *before_a_product(rg_node *x, rg_node *y)
{
    return rg_mul(rg_tanh(rg_add(x, rg_neg(y))), rg_matmul(rg_matmul_t(x, false, y, true), y));
}

static rg_node *negatives(rg_node *x, rg_node *y)
{
    return rg_add(rg_mul(rg_neg(x), rg_neg(y)), rg_neg(rg_div(rg_neg(x), y)));
}

static rg_node *negative_scale(rg_node *x, rg_node *y)
{
    return rg_mul(rg_scale(rg_neg(x), 0.3), rg_neg(rg_scale(y, 1.7)));
}

static rg_node *halves(rg_node *x, rg_node *y)
{
    return rg_mul(rg_div(x, full(x, 8)), rg_scale(rg_scale(y, -2), 4));
}

static rg_node *there_and_back(rg_node *x, rg_node *y)
{
    rg_node *flat = rg_reshape(rg_tanh(x), RG_SHAPE(COLUMNS, ROWS));
    return rg_add(rg_reshape_like(rg_reshape(flat, RG_SHAPE(ROWS * COLUMNS)), x), y);
}

static rg_node *turned_twice(rg_node *x, rg_node *y)
{
    rg_node *t = rg_transpose(rg_reshape(x, RG_SHAPE(ROWS, 3, COLUMNS / 3)), RG_AXES(1, 2, 0));
    return rg_add(rg_reshape_like(rg_transpose(t, RG_AXES(2, 0, 1)), x), y);
}

static rg_node *turned_ones(rg_node *x, rg_node *y)
{
    rg_node *t = rg_transpose(rg_reshape(rg_exp(x), RG_SHAPE(1, ROWS, COLUMNS)), RG_AXES(1, 0, 2));
    return rg_mul(rg_reshape_like(t, x), y);
}

static rg_node *turned_operand(rg_node *x, rg_node *y)
{
    rg_node *xt = rg_transpose(rg_sin(x), RG_AXES(1, 0)), *yt = rg_transpose(y, RG_AXES(1, 0));
    return rg_matmul(rg_matmul(x, yt), rg_matmul(rg_transpose(xt, RG_AXES(1, 0)), rg_matmul(xt, y)));
}

static rg_node *turned_heads(rg_node *x, rg_node *y)
{
    rg_node *heads = rg_transpose(rg_reshape(x, RG_SHAPE(ROWS, 4, 3)), RG_AXES(1, 0, 2)),
            *others = rg_transpose(rg_reshape(y, RG_SHAPE(ROWS, 4, 3)), RG_AXES(1, 2, 0));
    return rg_reshape_like(rg_matmul(rg_matmul(heads, others), heads), x);
}

static rg_node *turned_product(rg_node *x, rg_node *y)
{
    rg_node *product = rg_matmul_t(x, true, rg_tanh(y), false);
    return rg_matmul(rg_add_scalar(x, 1), rg_transpose(product, RG_AXES(1, 0)));
}

static rg_node *one_of_two(rg_node *x, rg_node *y)
{
    rg_node *both = rg_concat(RG_NODES(rg_sin(x), y), 1);
    return rg_add(rg_slice(both, 1, COLUMNS, RG_END), rg_slice(both, 1, 0, COLUMNS));
}

static rg_node *all_of_it(rg_node *x, rg_node *y)
{
    rg_node *parts[3] = {rg_slice(x, 1, 0, 5), rg_slice(x, 1, 5, 6), rg_slice(x, 1, 6, RG_END)};
    return rg_add(rg_concat(RG_NODES(parts[0], parts[1], parts[2]), 1), y);
}

/* The gradient of a pool of a relu: windows that overlap, and windows that do not. */
static rg_node *relu_below_a_pool(rg_node *x, rg_node *y)
{
    rg_node *r = rg_relu(x), *wide = rg_max_pool2d(r, &(rg_pool_opts){.window = {3, 3}, .stride = {2, 2}}),
            *even = rg_max_pool2d(r, &(rg_pool_opts){.window = {2, 2}});
    rg_node *loss = rg_add(rg_sum(rg_mul(rg_sin(wide), wide), RG_ALL_AXES, false),
                           rg_sum(rg_mul(even, rg_exp(even)), RG_ALL_AXES, false));
    rg_node *of_one = rg_grad(rg_sum(rg_mul(rg_cos(wide), wide), RG_ALL_AXES, false), RG_NODES(x)).at[0];
    return rg_add(rg_add(rg_grad(loss, RG_NODES(x)).at[0], of_one), y);
}

static const sample samples[] = {
    {"identity", times_one},
    {"identity", plus_negative_zero},
    {"twice", minus_minus},
    {"twice", not_not},
    {"idempotent", relu_relu},
    {"idempotent", least_of_one},
    {"even", square_of_negative},
    {"negated term", plus_minus},
    {"negated term", minus_plus},
    {"negated term", before_a_product},
    {"negated factor", negatives},
    {"negated factor", negative_scale},
    {"power of two", halves},
    {"view back", there_and_back},
    {"transpositions", turned_twice},
    {"transpositions", turned_ones},
    {"transposed operand", turned_operand},
    {"transposed operand", turned_heads},
    {"transposed product", turned_product},
    {"part of a join", one_of_two},
    {"join of parts", all_of_it},
    {"pooled mask", relu_below_a_pool},
};

enum { SAMPLES = sizeof samples / sizeof samples[0] };

/* ---- what goes in ---- */

/* Ordinary numbers, or those at which identities break. */
static double number(size_t i, bool hard, rg_dtype dtype)
{
    const double most = dtype == RG_F64 ? DBL_MAX : FLT_MAX, least = dtype == RG_F64 ? 0x1p-1074 : 0x1p-149;
    const double hard_ones[] = {0,     -0.0,  1,          -1,  NAN,  INFINITY, -INFINITY, most,
                                -most, least, -3 * least, 0.1, -2.5, 1e30,     3.5};
    enum { HARD = sizeof hard_ones / sizeof hard_ones[0] };
    return hard ? hard_ones[i % HARD] : (double)(i * 37 % 101) / 50 - 1;
}

static void fill(rg_tensor *t, rg_shape shape, rg_dtype dtype, bool hard, size_t turn)
{
    must(rg_tensor_alloc(t, dtype, shape));
    for (size_t i = 0; i < (size_t)rg_shape_count(shape); i++) {
        const double v = number(turn ? i / turn + turn * i : i, hard, dtype);
        if (dtype == RG_F64)
            ((double *)t->data)[i] = v;
        else
            ((float *)t->data)[i] = (float)v;
    }
}

/* ---- running ---- */

typedef struct problem {
    rg_graph *g;
    rg_node *x, *y, *out;
} problem;

/* The graph by itself, with its derivatives, or as the body of a scan whose carry is the second operand. */
typedef enum frame { PLAIN, DERIVATIVE, BODY, FRAMES } frame;

static problem pose(const sample *s, frame f, rg_dtype dtype)
{
    problem p = {.g = rg_graph_new(NULL)};
    const rg_shape one = RG_SHAPE(ROWS, COLUMNS), many = RG_SHAPE(LENGTH, ROWS, COLUMNS);
    p.x = rg_input(p.g, "x", dtype, f == BODY ? many : one);
    p.y = rg_input(p.g, "y", dtype, one);
    if (f == BODY) {
        rg_scan *scan = rg_scan_begin(p.g, &(rg_scan_opts){.name = "loop"});
        rg_node *xt = rg_scan_slice(scan, p.x), *h = rg_scan_carry(scan, p.y), *next = s->build(xt, h);
        rg_scan_next(scan, h, next);
        rg_scan_end(scan);
        p.out = rg_add(rg_scan_stack(scan, next), rg_scan_last(scan, h));
    } else {
        p.out = s->build(p.x, p.y);
    }
    if (f == DERIVATIVE)
        p.out = rg_concat(rg_grad(rg_sum(rg_square(p.out), RG_ALL_AXES, false), RG_NODES(p.x, p.y)), 0);
    return p;
}

static bool same_bits(const void *a, const void *b, rg_dtype dtype)
{
    if (memcmp(a, b, rg_dtype_size(dtype)) == 0)
        return true;
    return dtype == RG_F64 ? isnan(*(const double *)a) && isnan(*(const double *)b)
                           : isnan(*(const float *)a) && isnan(*(const float *)b);
}

/* Runs the problem with the options into fresh memory. */
static char *solve(const problem *p, const rg_plan_opts *opts, bool hard, size_t *n)
{
    rg_plan *plan = must_compile(p->g, RG_NODES(p->out), opts);
    rg_tensor x, y, out;
    const rg_dtype dtype = rg_dtype_of(p->x);
    fill(&x, rg_shape_of(p->x), dtype, hard, 0);
    fill(&y, rg_shape_of(p->y), dtype, hard, 7);
    must(rg_bind(plan, p->x, x.data));
    must(rg_bind(plan, p->y, y.data));
    must(rg_run(plan));
    must(rg_result(plan, p->out, &out));
    *n = (size_t)rg_shape_count(out.shape);
    char *copy = malloc(*n * rg_dtype_size(dtype));
    cr_assert(copy);
    memcpy(copy, out.data, *n * rg_dtype_size(dtype));
    rg_tensor_free(&x);
    rg_tensor_free(&y);
    rg_plan_free(plan);
    return copy;
}

static void compare(const sample *s, frame f, rg_dtype dtype, bool hard)
{
    const problem p = pose(s, f, dtype);
    const rg_plan_opts all[] = {{.threads = 1, .without_rewrites = ~(uint64_t)0},
                                {.threads = 1},
                                {.threads = 1, .no_fuse = true},
                                {.threads = 2},
                                {.threads = 1, .check_rewrites = true},
                                {.threads = 2, .check_rewrites = true}};
    const size_t size = rg_dtype_size(dtype);
    size_t n, m;
    char *want = solve(&p, &all[0], hard, &n);
    for (size_t k = 1; k < sizeof all / sizeof all[0]; k++) {
        char *got = solve(&p, &all[k], hard, &m);
        cr_assert_eq(n, m);
        for (size_t i = 0; i < n; i++)
            cr_assert(same_bits(want + i * size, got + i * size, dtype),
                      "'%s' (sample %td), frame %d, %s, options %zu: "
                      "element %zu differs",
                      s->name, s - samples, (int)f, rg_dtype_name(dtype), k, i);
        free(got);
    }
    free(want);
    rg_graph_free(p.g);
}

Test(rewrites, same_bits_with_and_without)
{
    for (size_t i = 0; i < SAMPLES; i++)
        for (frame f = 0; f < FRAMES; f++)
            for (int hard = 0; hard < 2; hard++) {
                compare(&samples[i], f, RG_F32, hard);
                compare(&samples[i], f, RG_F64, hard);
            }
}

/* Whether the dump of the problem's plan says that the rewrite held. */
static bool holds(const problem *p, const char *name, uint64_t without)
{
    char wanted[64];
    rg_plan *plan = must_compile(p->g, RG_NODES(p->out), &(rg_plan_opts){.threads = 1, .without_rewrites = without});
    char *dump = rg_plan_dump(plan), *line = strstr(dump, "rewrites:");
    snprintf(wanted, sizeof wanted, " %s ", name);
    const char *end = line ? strchr(line, '\n') : NULL, *found = line ? strstr(line, wanted) : NULL;
    const bool yes = found && found < end;
    rg_text_free(dump);
    rg_plan_free(plan);
    return yes;
}

Test(rewrites, each_holds_where_its_sample_says_and_can_be_switched_off)
{
    for (size_t k = 0; rg_rewrite_name(k); k++) {
        bool any = false;
        for (size_t i = 0; i < SAMPLES; i++) {
            if (strcmp(samples[i].name, rg_rewrite_name(k)) != 0)
                continue;
            any = true;
            for (frame f = 0; f < FRAMES; f++) {
                const problem p = pose(&samples[i], f, RG_F32);
                cr_expect(f == DERIVATIVE || holds(&p, samples[i].name, 0), "sample %zu does not show '%s' in frame %d",
                          i, samples[i].name, (int)f);
                cr_expect_not(holds(&p, samples[i].name, (uint64_t)1 << k), "'%s' is not switched off",
                              samples[i].name);
                rg_graph_free(p.g);
            }
        }
        cr_expect(any, "no sample of '%s'", rg_rewrite_name(k));
    }
}

/* ---- what must not be rewritten ---- */

static rg_node *plus_zero(rg_node *x, rg_node *y)
{
    return rg_add(rg_add(x, full(x, 0)), rg_mul(y, full(y, 2)));
}

static rg_node *a_third(rg_node *x, rg_node *y)
{
    return rg_add(rg_div(x, full(x, 3)), rg_scale(rg_scale(y, 0.5), 0.5));
}

static rg_node *difference_turned(rg_node *x, rg_node *y)
{
    return rg_neg(rg_sub(x, y));
}

static rg_node *common_factor(rg_node *x, rg_node *y)
{
    return rg_add(rg_mul(x, y), rg_mul(rg_tanh(x), y));
}

Test(rewrites, what_is_not_exact_stays)
{
    static const builder inexact[] = {plus_zero, a_third, difference_turned, common_factor};
    for (size_t i = 0; i < sizeof inexact / sizeof inexact[0]; i++) {
        const sample s = {"none", inexact[i]};
        const problem p = pose(&s, PLAIN, RG_F32);
        rg_plan *plan = must_compile(p.g, RG_NODES(p.out), &(rg_plan_opts){.threads = 1});
        char *dump = rg_plan_dump(plan);
        cr_expect_null(strstr(dump, "rewrites:"), "graph %zu:\n%s", i, dump);
        rg_text_free(dump);
        rg_plan_free(plan);
        rg_graph_free(p.g);
    }
}

/* ---- what becomes dead ---- */

Test(rewrites, what_only_replaced_nodes_read_is_not_computed)
{
    rg_graph *g = rg_graph_new(NULL);
    rg_node *x = rg_input(g, "x", RG_F32, RG_SHAPE(ROWS, COLUMNS));
    rg_node *y = rg_where(rg_training(g), rg_cumsum(x, 0, false), rg_tanh(x));
    for (rg_mode mode = RG_TRAIN; mode <= RG_EVAL; mode++) {
        rg_plan *p = must_compile(g, RG_NODES(y), &(rg_plan_opts){.threads = 1, .mode = mode});
        char *dump = rg_plan_dump(p);
        cr_expect_eq(!!strstr(dump, "= cumsum("), mode == RG_TRAIN, "%s", dump);
        cr_expect_eq(!!strstr(dump, "= tanh("), mode == RG_EVAL, "%s", dump);
        rg_text_free(dump);
        rg_plan_free(p);
    }
    rg_graph_free(g);
}

/* ---- the check ---- */

Test(rewrites, a_difference_is_named)
{
    rg_graph *g = rg_graph_new(NULL);
    rg_node *x = rg_input(g, "x", RG_F32, RG_SHAPE(4)), *y = rg_scale(x, 3), *z = rg_add(x, rg_add(x, x));
    rg_node *agree = rgi_agreement(z, y, "threefold");
    rg_plan *p = must_compile(g, RG_NODES(agree), &(rg_plan_opts){.threads = 1});
    must(rg_bind(p, x, (const float[]){1, NAN, -INFINITY, FLT_MAX}));
    must(rg_run(p));
    rg_plan_free(p);
    rg_node *w = rg_add_scalar(rg_add_scalar(x, 1), -1);
    rg_plan *q = must_compile(g, RG_NODES(rgi_agreement(x, w, "there and back")), &(rg_plan_opts){.threads = 1});
    must(rg_bind(q, x, (const float[]){1, 2, 1e-9f, 0}));
    cr_assert_eq(rg_run(q), RG_ERR_NUMERIC);
    cr_expect(strstr(rg_last_error(), "rewrite 'there and back' changes"), "%s", rg_last_error());
    cr_expect(strstr(rg_last_error(), "element 2"), "%s", rg_last_error());
    must(rg_bind(q, x, (const float[]){1, 2, 4, 8}));
    must(rg_run(q)); /* the plan is usable */
    rg_plan_free(q);
    rg_graph_free(g);
}

/* Counts how often it is run, so that computing it again makes something else. */
static rg_status run_count(const rg_step *step, size_t lo, size_t hi)
{
    static float runs;
    runs += lo == 0;
    for (size_t i = lo; i < hi; i++)
        ((float *)step->out[0])[i] = runs;
    return RG_OK;
}

static const rg_op count_op = {
    .name = "count", .n_in = 1, .n_out = 1, .dtypes = ~0u, .infer = rg_infer_same, .run = run_count};

Test(rewrites, folding_is_compared)
{
    enum { N = 96 };
    static float numbers[N * N];
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        numbers[i] = (float)(i * 7919 % 1009) / 500 - 1;
    rg_graph *g = rg_graph_new(NULL);
    rg_node *a = rg_const(g, RG_F32, RG_SHAPE(N, N), numbers), *b = rg_transpose(rg_tanh(a), RG_AXES(1, 0));
    rg_node *x = rg_input(g, "x", RG_F32, RG_SHAPE(N, N)),
            *y = rg_add(x, rg_where(rg_training(g), rg_softmax(rg_matmul(a, b), 1), rg_exp(rg_add_scalar(a, 0.1))));
    for (int threads = 1; threads <= 2; threads++) {
        rg_plan *folded = must_compile(g, RG_NODES(y), &(rg_plan_opts){.threads = threads, .mode = RG_TRAIN}),
                *compared = must_compile(g, RG_NODES(y),
                                         &(rg_plan_opts){.threads = threads, .mode = RG_TRAIN, .check_rewrites = true});
        must(rg_bind(folded, x, numbers));
        must(rg_bind(compared, x, numbers));
        must(rg_run(folded));
        must(rg_run(compared));
        for (size_t i = 0; i < (size_t)N * N; i++)
            cr_assert_eq(value_at(folded, y, i), value_at(compared, y, i));
        char *dump = rg_plan_dump(compared), *less = rg_plan_dump(folded);
        cr_expect(strstr(dump, "folding 7"), "%s", dump);
        cr_expect(strstr(dump, "= contract(") && !strstr(less, "= contract("), "%s", dump);
        rg_text_free(dump);
        rg_text_free(less);
        rg_plan_free(folded);
        rg_plan_free(compared);
    }
    rg_node *c = rg_add(x, rg_apply(&count_op, RG_NODES(a), NULL));
    rg_plan *p = must_compile(g, RG_NODES(c), &(rg_plan_opts){.threads = 1});
    must(rg_bind(p, x, numbers));
    must(rg_run(p));
    must(rg_run(p));
    cr_expect_eq(value_at(p, c, 0), numbers[0] + 1.0F);
    rg_plan *q = must_compile(g, RG_NODES(c), &(rg_plan_opts){.threads = 1, .check_rewrites = true});
    must(rg_bind(q, x, numbers));
    cr_assert_eq(rg_run(q), RG_ERR_NUMERIC);
    cr_expect(strstr(rg_last_error(), "'folding' changes f32[96, 96] count"), "%s", rg_last_error());
    cr_expect(strstr(rg_last_error(), "element 0: 3 becomes 2"), "%s", rg_last_error());
    rg_plan_free(p);
    rg_plan_free(q);
    rg_graph_free(g);
}

static uint64_t trained(network_kind kind, const rg_plan_opts *opts, int steps)
{
    network m = network_new(kind);
    rg_plan *p = must_compile(m.g, RG_NODES(m.loss, m.step), opts);
    cr_assert(network_train(&m, p, 0, steps), "%s", rg_last_error());
    const uint64_t hash = network_hash(&m);
    rg_plan_free(p);
    rg_graph_free(m.g);
    return hash;
}

Test(rewrites, training_of_networks)
{
    for (network_kind k = 0; k < NETWORKS; k++) {
        const uint64_t want = trained(k, &(rg_plan_opts){.threads = 1, .without_rewrites = ~(uint64_t)0}, 3);
        cr_expect_eq(trained(k, &(rg_plan_opts){.threads = 2}, 3), want, "%s", network_names[k]);
        cr_expect_eq(trained(k, &(rg_plan_opts){.threads = 1, .check_rewrites = true}, 3), want, "%s",
                     network_names[k]);
    }
}
