/* test_random.c - draws: their distribution, and that they depend on seed, name and step alone. */
#include "must.h"

#include <stdlib.h>

enum { N = 200000 };

static rg_plan *drawn(rg_graph *g, rg_node *x, int threads)
{
    rg_plan *p = must_compile(g, RG_NODES(x), &(rg_plan_opts){.threads = threads, .mode = RG_EVAL});
    must(rg_run(p));
    return p;
}

static int ascending(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double uniform_below(double x)
{
    return x;
}
static double normal_below(double x)
{
    return 0.5 * erfc(-x / sqrt(2));
}

/* Largest distance between the empirical distribution and the true one: 1.95 / sqrt(n) is passed once in 1000 draws. */
static void looks_like(rg_dtype dtype, bool normal)
{
    rg_graph *g = rg_graph_new(NULL);
    rg_node *x = normal ? rg_normal(g, dtype, RG_SHAPE(N)) : rg_uniform(g, dtype, RG_SHAPE(N));
    rg_plan *p = drawn(g, x, 1);
    double *v = malloc(N * sizeof *v), mean = 0, square = 0, fourth = 0, lag = 0, distance = 0;
    const double center = normal ? 0 : 0.5;
    for (size_t i = 0; i < N; i++) {
        v[i] = value_at(p, x, i);
        mean += v[i] / N;
    }
    for (size_t i = 0; i < N; i++) {
        const double d = v[i] - center;
        square += d * d / N;
        fourth += d * d * d * d / N;
        lag += i ? d * (v[i - 1] - center) / N : 0;
    }
    const double variance = normal ? 1 : 1.0 / 12, kurtosis = normal ? 3 : 1.0 / 80;
    cr_expect(fabs(mean - center) < 4 * sqrt(variance / N), "mean %g", mean);
    cr_expect(fabs(square - variance) < 4 * sqrt((kurtosis - variance * variance) / N), "variance %g", square);
    cr_expect(fabs(fourth - kurtosis) < 4 * sqrt(normal ? 96.0 / N : 1e-3 / N), "fourth moment %g", fourth);
    cr_expect(fabs(lag) < 4 * variance / sqrt(N), "neighbours correlate: %g", lag);
    qsort(v, N, sizeof *v, ascending);
    for (size_t i = 0; i < N; i++) {
        const double below = normal ? normal_below(v[i]) : uniform_below(v[i]);
        distance = fmax(distance, fmax(fabs(below - (double)i / N), fabs(below - (double)(i + 1) / N)));
    }
    cr_expect(distance < 1.95 / sqrt(N), "Kolmogorov-Smirnov distance %g", distance);
    cr_expect(normal || (v[0] >= 0 && v[N - 1] < 1), "[%g, %g]", v[0], v[N - 1]);
    cr_expect(!normal || (v[N - 1] > 3.5 && v[0] < -3.5), "no tails: [%g, %g]", v[0], v[N - 1]);
    free(v);
    rg_plan_free(p);
    rg_graph_free(g);
}

Test(random, uniform_f32)
{
    looks_like(RG_F32, false);
}
Test(random, uniform_f64)
{
    looks_like(RG_F64, false);
}
Test(random, normal_f32)
{
    looks_like(RG_F32, true);
}
Test(random, normal_f64)
{
    looks_like(RG_F64, true);
}

Test(random, bernoulli_has_its_probability)
{
    rg_graph *g = rg_graph_new(NULL);
    rg_node *x = rg_bernoulli(g, 0.3, RG_SHAPE(N)), *never = rg_bernoulli(g, 0, RG_SHAPE(1000)),
            *always = rg_bernoulli(g, 1, RG_SHAPE(1000));
    cr_expect_eq(rg_dtype_of(x), RG_BOOL);
    rg_plan *p = must_compile(g, RG_NODES(x, never, always), &(rg_plan_opts){.threads = 1, .mode = RG_EVAL});
    must(rg_run(p));
    double share = 0;
    for (size_t i = 0; i < N; i++)
        share += value_at(p, x, i) / N;
    cr_expect(fabs(share - 0.3) < 4 * sqrt(0.21 / N), "%g", share);
    for (size_t i = 0; i < 1000; i++) {
        cr_assert_eq(value_at(p, never, i), 0);
        cr_assert_eq(value_at(p, always, i), 1);
    }
    rg_plan_free(p);
    rg_graph_free(g);
}

/* The first draws of a graph with a seed, made in scope `scope` after `before` others. */
static void first_draws(uint64_t seed, const char *scope, int before, int threads, float out[1000])
{
    rg_graph *g = rg_graph_new(&(rg_graph_opts){.seed = seed});
    rg_scope_push(g, scope);
    rg_node *x = NULL;
    for (int i = 0; i <= before; i++)
        x = rg_normal(g, RG_F32, RG_SHAPE(1000));
    rg_scope_pop(g);
    rg_plan *p = drawn(g, x, threads);
    memcpy(out, rg_data(p, x), 1000 * sizeof *out);
    rg_plan_free(p);
    rg_graph_free(g);
}

Test(random, depends_on_seed_scope_and_ordinal_alone)
{
    static float a[1000], b[1000];
    first_draws(7, "noise", 0, 1, a);
    first_draws(7, "noise", 0, 4, b);
    cr_expect(!memcmp(a, b, sizeof a), "another run or number of threads");
    first_draws(8, "noise", 0, 1, b);
    cr_expect(memcmp(a, b, sizeof a), "another seed");
    first_draws(7, "other", 0, 1, b);
    cr_expect(memcmp(a, b, sizeof a), "another scope");
    first_draws(7, "noise", 1, 1, b);
    cr_expect(memcmp(a, b, sizeof a), "the second draw of a scope");
}

/* Unrelated code in another scope does not change a draw. */
Test(random, unrelated_draws_do_not_interfere)
{
    rg_graph *g = rg_graph_new(&(rg_graph_opts){.seed = 7});
    rg_scope_push(g, "before");
    rg_node *unrelated = rg_uniform(g, RG_F32, RG_SHAPE(3));
    rg_scope_pop(g);
    rg_scope_push(g, "noise");
    rg_node *x = rg_normal(g, RG_F32, RG_SHAPE(1000));
    rg_scope_pop(g);
    static float a[1000];
    first_draws(7, "noise", 0, 1, a);
    rg_plan *p = must_compile(g, RG_NODES(x, unrelated), &(rg_plan_opts){.threads = 1, .mode = RG_EVAL});
    must(rg_run(p));
    cr_expect(!memcmp(a, rg_data(p, x), sizeof a));
    rg_plan_free(p);
    rg_graph_free(g);
}

/* A plan without effects draws the same at every run; one with effects raises the step. */
Test(random, the_step_counts_runs_with_effects)
{
    rg_graph *g = rg_graph_new(NULL);
    rg_node *x = rg_uniform(g, RG_F64, RG_SHAPE(4)), *seen = rg_buffer(g, "seen", RG_F64, RG_SHAPE(4), NULL);
    rg_node *keep = rg_assign(seen, x);
    rg_plan *look = must_compile(g, RG_NODES(x), &(rg_plan_opts){.threads = 1, .mode = RG_EVAL});
    rg_plan *act = must_compile(g, RG_NODES(x, keep), &(rg_plan_opts){.threads = 1, .mode = RG_EVAL});
    must(rg_run(look));
    const double first = value_at(look, x, 0);
    must(rg_run(look));
    cr_expect_eq(value_at(look, x, 0), first);
    must(rg_run(act));
    cr_expect_eq(value_at(act, x, 0), first);
    cr_expect_eq(stored_at(seen, 0), first);
    must(rg_run(act));
    const double second = value_at(act, x, 0);
    cr_expect_neq(second, first);
    must(rg_run(look));
    cr_expect_neq(value_at(look, x, 0), second, "the third step");
    rg_plan_free(look);
    rg_plan_free(act);
    rg_graph_free(g);
}

/* Each step of a scan draws anew, and the reverse sweep sees the very same draws. */
Test(random, draws_inside_a_scan)
{
    enum { T = 5, W = 64 };
    rg_graph *g = rg_graph_new(NULL);
    rg_node *xs = rg_input(g, "xs", RG_F64, RG_SHAPE(T, W));
    rg_scan *s = rg_scan_begin(g, NULL);
    rg_node *x = rg_scan_slice(s, xs), *noise = rg_uniform_like(x), *free_noise = rg_normal(g, RG_F64, RG_SHAPE(W));
    rg_node *ys = rg_scan_stack(s, rg_mul(x, noise)), *drawn_like = rg_scan_stack(s, noise);
    rg_node *all = rg_scan_stack(s, rg_add(free_noise, rg_scale(x, 0)));
    rg_scan_end(s);
    rg_node *d = rg_at(rg_grad(rg_sum(ys, RG_ALL_AXES, false), RG_NODES(xs)), 0);
    rg_plan *p = must_compile(g, RG_NODES(drawn_like, d, all), &(rg_plan_opts){.threads = 1, .mode = RG_EVAL});
    static double data[T * W];
    must(rg_bind(p, xs, data));
    must(rg_run(p));
    size_t equal = 0, repeated = 0;
    for (size_t i = 0; i < T * W; i++) {
        cr_assert_eq(value_at(p, d, i), value_at(p, drawn_like, i), "the gradient of x * noise is the noise");
        equal += i >= W && value_at(p, drawn_like, i) == value_at(p, drawn_like, i - W);
        repeated += i >= W && value_at(p, all, i) == value_at(p, all, i - W);
    }
    cr_expect_eq(equal, 0, "steps share draws");
    cr_expect_eq(repeated, 0, "steps share draws that depend on no slice");
    rg_plan_free(p);
    rg_graph_free(g);
}
