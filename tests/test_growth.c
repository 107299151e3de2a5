/* test_growth.c - large graphs: building, differentiating, compiling and planning take time that grows with their size
   and no faster. Time is that of the processor, so that what else the machine does hardly counts. */
#include "must.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static double seconds(void)
{
    return (double)clock() / CLOCKS_PER_SEC;
}

/* Two chains that cross, each link a sum of everything before it, and their gradient: about n nodes, of which a quarter
   are built by hand. Returns the time to the compiled plan in *compiled, to the end of the first run in *ran. */
static void measure(int n, double *compiled, double *ran)
{
    static const float data[4] = {0.1f, -0.2f, 0.3f, 0.4f};
    const double start = seconds();
    rg_graph *g = rg_graph_new(NULL);
    rg_node *x = rg_input(g, "x", RG_F32, RG_SHAPE(4)), *w = rg_param(g, "w", RG_F32, RG_SHAPE(4), NULL);
    rg_node *y = x, *z = w;
    for (int i = 0; i < n / 16; i++) {
        z = rg_add(rg_mul(y, w), z);
        y = rg_tanh(rg_add_scalar(z, i * 1e-7));
    }
    rg_node *loss = rg_sum(y, RG_ALL_AXES, false);
    const rg_nodes grads = rg_grad(loss, RG_NODES(x, w));
    rg_plan *p = must_compile(g, RG_NODES(loss, rg_at(grads, 0), rg_at(grads, 1)), &(rg_plan_opts){.threads = 1});
    *compiled = seconds() - start;
    must(rg_bind(p, x, data));
    must(rg_run(p));
    *ran = seconds() - start;
    rg_plan_free(p);
    rg_graph_free(g);
}

/* The least of three, since a cold cache or a page fault only adds. */
static void measure_least(int n, double *compiled, double *ran)
{
    *compiled = *ran = 1e9;
    for (int k = 0; k < 3; k++) {
        double c, r;
        measure(n, &c, &r);
        *compiled = c < *compiled ? c : *compiled;
        *ran = r < *ran ? r : *ran;
    }
}

Test(growth, time_is_linear_in_the_nodes)
{
    double small[2], large[2];
    measure_least(12500, &small[0], &small[1]);
    measure_least(100000, &large[0], &large[1]);
    for (int k = 0; k < 2; k++) /* eight times the nodes: a quadratic part would show as more than 16 */
        cr_expect_lt(large[k] / small[k], 16, "%s: 12500 nodes %.3f s, 100000 nodes %.3f s", k ? "run" : "compiled",
                     small[k], large[k]);
#ifdef NDEBUG
    cr_expect_lt(large[0], 1.0, "100000 nodes are built, differentiated and compiled in %.3f s", large[0]);
#endif
}

/* 10000 ops of one element, each of the one before it and another one: nanoseconds an op of the fastest of many
   runs. */
static double replay(rg_dtype dtype, bool no_fuse)
{
    enum { OPS = 10000, RUNS = 300 };
    rg_graph *g = rg_graph_new(NULL);
    rg_node *last[64];
    for (int i = 0; i < 64; i++) {
        const char name[] = {'p', (char)('0' + i / 8), (char)('0' + i % 8), '\0'};
        last[i] = rg_param(g, name, dtype, RG_SCALAR, &(rg_param_opts){.init = RG_CONSTANT, .scale = (i + 1) / 65.0});
    }
    uint32_t state = 1;
    const size_t before = rg_graph_size(g);
    for (int i = 0; i < OPS; i++) {
        state = state * 1664525 + 1013904223;
        rg_node *a = last[(i + 63) % 64], *b = last[state >> 26];
        last[i % 64] = state >> 20 & 1 ? rg_one_minus(rg_mul(a, b)) : rg_lerp(a, b, 0.3);
    }
    const double ops = (double)(rg_graph_size(g) - before);
    rg_node *y = last[(OPS + 63) % 64];
    rg_plan *p = must_compile(g, RG_NODES(y), &(rg_plan_opts){.threads = 1, .no_fuse = no_fuse});
    double best = 1e9;
    for (int k = 0; k < RUNS; k++) {
        const double start = seconds();
        must(rg_run(p));
        best = fmin(best, seconds() - start);
    }
    cr_expect(value_at(p, y, 0) >= 0 && value_at(p, y, 0) <= 1);
    rg_plan_free(p);
    rg_graph_free(g);
    return best * 1e9 / ops;
}

Test(growth, walking_a_plan_costs_little)
{
    for (int k = 0; k < 4; k++) {
        const double each = replay(k & 1 ? RG_F32 : RG_F64, k & 2);
        fprintf(stderr, "replay of ops of one element, %s, %s: %.1f ns each\n", k & 1 ? "f32" : "f64",
                k & 2 ? "each a step" : "fused", each);
#ifdef NDEBUG
        cr_expect_leq(each, 50, "%.1f ns", each);
#endif
    }
}

static size_t allocations;

static void *count_alloc(void *user, size_t bytes)
{
    (void)user;
    allocations++;
    return aligned_alloc(64, (bytes + 63) / 64 * 64 + 64);
}

static void count_free(void *user, void *memory, size_t bytes)
{
    (void)user;
    (void)bytes;
    free(memory);
}

/* The training step of twenty layers, for whatever sizes x has. */
static rg_plan *perceptron(rg_node *x)
{
    enum { LAYERS = 20 };
    rg_node *h = x;
    for (int i = 0; i < LAYERS; i++) {
        char name[8];
        snprintf(name, sizeof name, "fc%d", i);
        h = rg_tanh(rg_nn_linear(h, name, 16, NULL));
    }
    rg_node *loss = rg_mean(rg_square(h), RG_ALL_AXES, false);
    return must_compile(rg_graph_of(x), RG_NODES(loss, rg_adam(loss, &(rg_adam_opts){.lr = 1e-3})),
                        &(rg_plan_opts){.threads = 1});
}

/* A plan that has seen more sizes than it remembers makes the next in memory that it has: nothing is allocated, and a
   step of the plan costs fractions of a microsecond. */
Test(growth, planning_for_new_sizes_costs_little)
{
    enum { SIZES = 40, ROUNDS = 20 };
    const rg_allocator counting = {count_alloc, count_free, NULL};
    rg_graph *g = rg_graph_new(&(rg_graph_opts){.allocator = &counting});
    rg_node *x = rg_input(g, "x", RG_F32, RG_SHAPE(rg_dim(g, "batch"), 16));
    rg_plan *p = perceptron(x);
    rg_estimate estimate;
    double best = 1e9;
    for (int round = 0; round < ROUNDS; round++) {
        const size_t before = allocations;
        const double start = seconds();
        for (int64_t n = SIZES; n; n--) {
            must(rg_bind_shape(p, x, NULL, RG_SHAPE(n, 16)));
            must(rg_plan_prepare(p));
        }
        best = fmin(best, seconds() - start);
        cr_expect(round == 0 || allocations == before, "%zu allocations for sizes that others make room for",
                  allocations - before);
    }
    must(rg_plan_estimate(p, NULL, &estimate));
    const double each = best * 1e9 / SIZES / (double)estimate.steps;
    fprintf(stderr, "planning for new sizes: %.0f ns each of %zu steps\n", each, estimate.steps);
#ifdef NDEBUG
    cr_expect_leq(each, 700, "%.0f ns", each);
#endif
    rg_plan_free(p);
    rg_graph_free(g);
}

/* Between sizes that are known nothing is planned: it costs a few microseconds, however many steps the plan has. */
Test(growth, switching_between_known_sizes_costs_little)
{
    enum { SIZES = 4, TURNS = 2000, ROUNDS = 10 };
    rg_graph *g = rg_graph_new(NULL);
    rg_node *x = rg_input(g, "x", RG_F32, RG_SHAPE(rg_dim(g, "batch"), 16));
    rg_plan *p = perceptron(x);
    double best = 1e9;
    for (int round = 0; round < ROUNDS; round++) {
        const double start = seconds();
        for (int64_t i = 0; i < TURNS; i++) {
            must(rg_bind_shape(p, x, NULL, RG_SHAPE(1 + i % SIZES, 16)));
            must(rg_plan_prepare(p));
        }
        best = fmin(best, seconds() - start);
    }
    fprintf(stderr, "from one known size to another: %.0f ns\n", best * 1e9 / TURNS);
#ifdef NDEBUG
    cr_expect_leq(best / TURNS, 5e-6, "%.0f ns", best * 1e9 / TURNS);
#endif
    rg_plan_free(p);
    rg_graph_free(g);
}

/* Nor does a long chain of sums cost a walk to its end for each of them. */
Test(growth, a_chain_is_not_walked_on_the_stack)
{
    rg_graph *g = rg_graph_new(NULL);
    rg_node *x = rg_input(g, "x", RG_F64, RG_SCALAR), *y = x;
    for (int i = 0; i < 100000; i++)
        y = rg_add(y, rg_mul(y, x));
    rg_node *dx = rg_at(rg_grad(y, RG_NODES(x)), 0);
    cr_assert_not_null(dx, "%s", rg_graph_error(g));
    rg_plan *p = must_compile(g, RG_NODES(y, dx), &(rg_plan_opts){.threads = 1});
    const double at = 1e-6; /* y = x (1 + x)^n */
    must(rg_bind(p, x, &at));
    must(rg_run(p));
    const double n = 100000, power = exp((n - 1) * log1p(at));
    cr_expect(close_to(value_at(p, y, 0) / at, (1 + at) * power, 1e-9));
    cr_expect(close_to(value_at(p, dx, 0), power * (1 + at + n * at), 1e-9));
    rg_plan_free(p);
    rg_graph_free(g);
}
