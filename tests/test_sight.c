/* test_sight.c - what a plan says about itself: estimate, profile, trace, digraph, memory map. */
#include "must.h"

#include <stdio.h>
#include <stdlib.h>

typedef struct subject {
    rg_graph *g;
    rg_node *xs, *loss;
    rg_plan *p;
} subject;

enum { STEPS = 5, BATCH = 40, IN = 12, HIDDEN = 64 };

/* A recurrence, a product with a fused tail, a parameter that is written; sizes come with the data. */
static subject make(const rg_plan_opts *opts)
{
    subject s = {.g = rg_graph_new(NULL)};
    const int64_t time = rg_dim(s.g, "time");
    s.xs = rg_input(s.g, "the \"input\" <xs>", RG_F32, RG_SHAPE(time, BATCH, IN));
    rg_scope_push(s.g, "layer");
    rg_node *h = rg_nn_rnn(s.xs, "rnn", HIDDEN, NULL);
    rg_scope_pop(s.g);
    s.loss = rg_mean(rg_square(rg_tanh(rg_nn_linear(h, "out", 300, NULL))), RG_ALL_AXES, false);
    rg_node *step = rg_sgd(s.loss, &(rg_sgd_opts){.lr = 0.01});
    s.p = must_compile(s.g, RG_NODES(s.loss, step), opts);
    return s;
}

static void run(const subject *s)
{
    static float data[STEPS * BATCH * IN];
    must(rg_bind_shape(s->p, s->xs, data, RG_SHAPE(STEPS, BATCH, IN)));
    must(rg_run(s->p));
}

static void finish(subject *s)
{
    rg_plan_free(s->p);
    rg_graph_free(s->g);
}

static size_t count(const char *text, const char *what)
{
    size_t n = 0;
    for (; (text = strstr(text, what)); text += strlen(what))
        n++;
    return n;
}

Test(sight, estimate_of_a_product)
{
    rg_graph *g = rg_graph_new(NULL);
    rg_node *a = rg_input(g, "a", RG_F64, RG_SHAPE(rg_dim(g, "rows"), 20)),
            *b = rg_param(g, "b", RG_F64, RG_SHAPE(20, 30), NULL);
    rg_plan *p = must_compile(g, RG_NODES(rg_matmul(a, b)), NULL);
    rg_estimate e;
    cr_expect_eq(rg_plan_estimate(p, NULL, &e), RG_ERR_STATE);
    cr_expect(strstr(rg_last_error(), "'a'"), "%s", rg_last_error());
    must(rg_bind_shape(p, a, NULL, RG_SHAPE(10, 20)));
    must(rg_plan_estimate(p, &(rg_roof){.gflops = 2, .gbs = 1e9}, &e));
    cr_expect_eq(e.steps, 1);
    cr_expect_eq(e.flops, 2.0 * 10 * 20 * 30);
    cr_expect_eq(e.bytes, 8.0 * (10 * 20 + 20 * 30 + 10 * 30));
    cr_expect_float_eq(e.seconds, 6000e-9, 1e-15);
    cr_expect_eq(e.parameters, 20 * 30 * 8);
    cr_expect_eq(e.memory, rg_plan_bytes(p));
    cr_expect(e.peak <= e.values && e.values <= e.memory && e.peak >= 10 * 30 * 8);
    must(rg_plan_estimate(p, &(rg_roof){.gflops = 1e9, .gbs = 1}, &e));
    cr_expect_float_eq(e.seconds, e.bytes * 1e-9, 1e-15);
    rg_plan_free(p);
    rg_graph_free(g);
}

Test(sight, estimate_counts_the_steps_of_loops)
{
    subject s = make(&(rg_plan_opts){.threads = 1});
    rg_estimate five, ten;
    must(rg_bind_shape(s.p, s.xs, NULL, RG_SHAPE(5, BATCH, IN)));
    must(rg_plan_estimate(s.p, NULL, &five));
    must(rg_bind_shape(s.p, s.xs, NULL, RG_SHAPE(10, BATCH, IN)));
    must(rg_plan_estimate(s.p, NULL, &ten));
    cr_expect(ten.steps > five.steps && ten.steps < 2 * five.steps);
    cr_expect(ten.flops > 1.8 * five.flops && ten.flops < 2.01 * five.flops, "%g, %g", five.flops, ten.flops);
    cr_expect_eq(five.seconds, 0);
    finish(&s);
}

Test(sight, profile_and_trace)
{
    subject s = make(&(rg_plan_opts){.threads = 2, .profile = true});
    cr_expect_null(rg_plan_profile(s.p, NULL));
    cr_expect(strstr(rg_last_error(), "has not run"), "%s", rg_last_error());
    cr_expect_null(rg_plan_trace(s.p));
    run(&s);
    run(&s);
    char *plain = rg_plan_profile(s.p, NULL), *roofed = rg_plan_profile(s.p, &(rg_roof){100, 10}),
         *trace = rg_plan_trace(s.p);
    cr_assert(plain && roofed && trace);
    cr_expect(strncmp(plain, "run of ", 7) == 0 && strstr(plain, " contract\n") && strstr(plain, " layer.rnn.\n"), "%s",
              plain);
    double us, worked, waited = 0;
#ifdef _OPENMP
    cr_expect_eq(sscanf(plain, "run of %lf us on 2 threads, which worked %lf %% of it and waited for each other %lf %%",
                        &us, &worked, &waited),
                 3, "%s", plain);
    cr_expect(waited > 0, "%s", plain);
#else
    cr_expect_eq(sscanf(plain, "run of %lf us on 1 thread, which worked %lf %% of it", &us, &worked), 2, "%s", plain);
#endif
    cr_expect(worked + waited < 101, "%s", plain);
    cr_expect(!strstr(plain, "roof") && strstr(roofed, "% of roof"), "%s", roofed);
    cr_expect_eq(count(trace, "{"), count(trace, "}"));
    cr_expect_eq(count(trace, "\"ph\": \"M\""), 2);
    rg_estimate e;
    must(rg_plan_estimate(s.p, NULL, &e));
    const size_t events = count(trace, "\"step\":"); /* each thread passes every step outside of loops of thread 0 */
    cr_expect(events >= e.steps && events <= 2 * e.steps, "%zu events, %zu steps", events, e.steps);
    cr_expect_eq(count(trace, "\"dur\": -"), 0, "%s", trace);
#ifdef _OPENMP
    cr_expect(count(trace, "\"tid\": 0, \"ts\"") > 1 && count(trace, "\"tid\": 1, \"ts\"") > 1, "%s", trace);
#endif
    rg_text_free(plain);
    rg_text_free(roofed);
    rg_text_free(trace);
    finish(&s);
}

/* The figures of the row of a table that ends with `name`. */
static void read_row(const char *table, const char *name, double figures[7])
{
    const char *at = strstr(table, name);
    cr_assert(at, "no %s in %s", name, table);
    while (at > table && at[-1] != '\n')
        at--;
    cr_assert_eq(sscanf(at, "%lf %lf%% %lf %lf %lf %lf %lf%%", &figures[0], &figures[1], &figures[2], &figures[3],
                        &figures[4], &figures[5], &figures[6]),
                 7, "%s", at);
}

/* What one product does, as the dump says before a run, and by operator and scope behind it. */
Test(sight, work_of_a_product)
{
    enum { M = 64, K = 200, N = 96 };
    const double flops = 2.0 * M * K * N, bytes = 4.0 * (M * K + K * N + M * N);
    const rg_roof roof = {.gflops = 1, .gbs = 1e9};
    rg_graph *g = rg_graph_new(NULL);
    rg_node *x = rg_param(g, "x", RG_F32, RG_SHAPE(M, K), NULL);
    rg_scope_push(g, "layer");
    rg_node *y = rg_matmul(x, rg_param(g, "w", RG_F32, RG_SHAPE(K, N), NULL));
    rg_scope_pop(g);
    rg_plan *p = must_compile(g, RG_NODES(y), &(rg_plan_opts){.threads = 1, .profile = true});
    must(rg_plan_prepare(p));
    char *dump = rg_plan_dump(p);
    cr_assert(dump);
    cr_expect(strstr(dump, "2.46 Mflop   153 kB  run") && strstr(dump, " @") && strstr(dump, " = contract("), "%s",
              dump);
    rg_text_free(dump);
    for (int i = 0; i < 3; i++)
        must(rg_run(p));
    char *table = rg_plan_profile(p, &roof);
    cr_assert(table);
    cr_expect_eq(count(table, "GFLOP/s"), 2);
    cr_expect_eq(count(table, "GB/s"), 2);
    for (int k = 0; k < 2; k++) {
        double row[7]; /* us, share, waits, calls, GFLOP/s, GB/s, percent of the roof */
        read_row(table, k ? " layer.\n" : " contract\n", row);
        const double us = row[0], slack = 0.06 / us; /* of us, printed to a tenth */
        cr_expect(row[1] == 100 && row[3] == 1, "%s", table);
        cr_expect(fabs(row[4] * us * 1e3 - flops) < (slack + 0.06 / row[4]) * flops, "%s", table);
        cr_expect(fabs(row[5] * us * 1e3 - bytes) < (slack + 0.06 / row[5]) * bytes, "%s", table);
        cr_expect(fabs(row[6] * us - flops * 0.1) < (slack + 0.6 / row[6]) * flops * 0.1, "%s", table);
    }
    rg_text_free(table);
    rg_plan_free(p);
    rg_graph_free(g);
}

Test(sight, no_profile_without_the_option)
{
    subject s = make(&(rg_plan_opts){.threads = 1});
    run(&s);
    cr_expect_null(rg_plan_profile(s.p, NULL));
    cr_expect(strstr(rg_last_error(), "opts.profile"), "%s", rg_last_error());
    cr_expect_null(rg_plan_trace(NULL));
    cr_expect(strstr(rg_last_error(), "NULL"), "%s", rg_last_error());
    finish(&s);
}

/* Every edge leads from a box to a box; frames close. */
Test(sight, digraph)
{
    subject s = make(&(rg_plan_opts){.threads = 2});
    for (int bound = 0; bound < 2; bound++) {
        char *dot = rg_plan_dot(s.p);
        cr_assert(dot);
        cr_expect_eq(count(dot, "{\n"), count(dot, "}\n"));
        cr_expect(count(dot, "subgraph cluster_loop") >= 2 && count(dot, "subgraph cluster_step") >= 1, "%s", dot);
        cr_expect(strstr(dot, "the \\\"input\\\" <xs>"), "%s", dot);
        cr_expect(!bound || strstr(dot, bound ? "[5, 40, 64]" : "[time, 40, 64]"), "%s", dot);
        size_t edges = 0;
        for (const char *at = dot; (at = strstr(at, " -> ")); at += 4) {
            char from[16] = "", to[16] = "", box[32];
            const char *begin = at;
            while (begin[-1] != ' ')
                begin--;
            cr_assert(sscanf(begin, "%15s -> %15[^;]", from, to) == 2, "%.40s", begin);
            for (int i = 0; i < 2; i++) {
                snprintf(box, sizeof box, " %s [", i ? to : from);
                cr_expect(strstr(dot, box), "no box %s", i ? to : from);
            }
            edges++;
        }
        cr_expect(edges > 20);
        rg_text_free(dot);
        run(&s);
    }
    finish(&s);
}

/* Members of a fused group read each other: edges lead from one to the next, and nothing is taken for a constant. */
Test(sight, digraph_of_a_fused_group)
{
    rg_graph *g = rg_graph_new(NULL);
    rg_node *x = rg_input(g, "x", RG_F32, RG_SHAPE(3000));
    rg_plan *p = must_compile(g, RG_NODES(rg_tanh(rg_exp(rg_sin(x)))), NULL);
    char *dot = rg_plan_dot(p);
    cr_assert(dot);
    cr_expect_eq(count(dot, "subgraph cluster_step"), 1, "%s", dot);
    cr_expect_eq(count(dot, " -> u"), 3, "%s", dot);           /* x -> sin -> exp -> tanh */
    cr_expect_eq(count(dot, " [shape=ellipse"), 2, "%s", dot); /* x and what is fetched */
    rg_text_free(dot);
    rg_plan_free(p);
    rg_graph_free(g);
}

/* A box a value, none outside of the picture or of the memory. */
Test(sight, memory_map)
{
    subject s = make(&(rg_plan_opts){.threads = 1});
    cr_expect_null(rg_plan_memory_map(s.p), "sizes are not known");
    run(&s);
    char *svg = rg_plan_memory_map(s.p);
    cr_assert(svg);
    cr_expect(strncmp(svg, "<svg ", 5) == 0 && strstr(svg, "</svg>\n"));
    cr_expect_eq(count(svg, "<title>"), count(svg, "</title><rect "));
    cr_expect(count(svg, "text-anchor=\"middle\" stroke=\"none\"") > 2, "large boxes say what they are");
    cr_expect(strstr(svg, ">of a step itself</text>") && strstr(svg, ">others</text>"), "a legend");
    cr_expect(count(svg, "<title>") > 5);
    double width, height;
    cr_assert(sscanf(strstr(svg, "viewBox"), "viewBox=\"0 0 %lf %lf\"", &width, &height) == 2);
    for (const char *at = svg; (at = strstr(at, "<rect x=")); at++) {
        double x, y, w, h;
        cr_assert(sscanf(at, "<rect x=\"%lf\" y=\"%lf\" width=\"%lf\" height=\"%lf\"", &x, &y, &w, &h) == 4);
        cr_expect(x >= 0 && y >= 39.9 && w > 0 && h >= 0 && x + w <= width && y + h <= height, "%.80s", at);
    }
    rg_text_free(svg);
    finish(&s);
}
