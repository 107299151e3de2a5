/* test_repeat.c - values that are made again where they are read late: the same bits as where they are kept, in less
   memory, told in the plan; and kept where somebody else needs them as they are. */
#include "must.h"

#include <retrograde/autograd.h>
#include <retrograde/nn.h>

#include <stdlib.h>

enum { T = 9, B = 4, H = 24, LONG = 50 /* of several blocks */ };

typedef rg_node *(*cell)(rg_node *x, rg_node *h, rg_node *w);

/* Two gates, of one product and of one half each; 1 - z is made of a part of it. */
static rg_node *two_gates(rg_node *x, rg_node *h, rg_node *w)
{
    rg_node *gates = rg_sigmoid(rg_concat(RG_NODES(rg_matmul(h, w), x), -1));
    rg_node *z = rg_slice(gates, -1, 0, H), *r = rg_slice(gates, -1, H, RG_END);
    return rg_add(rg_mul(z, h), rg_mul(rg_one_minus(z), rg_tanh(rg_mul(r, rg_add(x, h)))));
}

/* A mask, and a chain of cheap ops whose inner values no gradient reads. */
static rg_node *masked(rg_node *x, rg_node *h, rg_node *w)
{
    rg_node *a = rg_tanh(rg_add(rg_matmul(h, w), x));
    rg_node *mask = rg_greater(a, rg_scalar(rg_graph_of(x), rg_dtype_of(x), 0.1));
    return rg_where(mask, rg_mul(a, rg_scale(rg_one_minus(a), 0.5)), rg_mul(h, rg_square(a)));
}

typedef struct model {
    rg_graph *g;
    rg_node *xs, *fetch[4];
    size_t n;
} model;

/* Loss, gradients, and with `second` the gradient of the gradient's square. */
static model build(cell step, bool second, bool fetch_stack, rg_dtype dtype)
{
    model m = {.g = rg_graph_new(&(rg_graph_opts){.seed = 5})};
    m.xs = rg_input(m.g, "xs", dtype, RG_SHAPE(rg_dim(m.g, "time"), B, H));
    rg_node *w = rg_param(m.g, "w", dtype, RG_SHAPE(H, H), &(rg_param_opts){.init = RG_NORMAL, .scale = 0.3});
    rg_scan *s = rg_scan_begin(m.g, NULL);
    rg_node *x = rg_scan_slice(s, m.xs), *h = rg_scan_carry(s, rg_zeros(m.g, dtype, RG_SHAPE(B, H)));
    rg_node *next = step(x, h, w), *gate = step == two_gates ? rg_one_minus(rg_sigmoid(x)) : next;
    rg_scan_next(s, h, next);
    rg_node *stacked = rg_scan_stack(s, next), *gates = rg_scan_stack(s, gate);
    rg_scan_end(s);
    rg_node *loss = rg_mean(rg_square(stacked), RG_ALL_AXES, false);
    const rg_nodes d = rg_grad(loss, RG_NODES(w, m.xs));
    m.fetch[m.n++] = loss;
    m.fetch[m.n++] = d.at[0];
    m.fetch[m.n++] = second ? rg_grad(rg_sum(rg_square(d.at[0]), RG_ALL_AXES, false), RG_NODES(w)).at[0] : d.at[1];
    if (fetch_stack)
        m.fetch[m.n++] = gates;
    return m;
}

static rg_plan *run(const model *m, const void *data, int64_t steps, const rg_plan_opts *opts)
{
    rg_plan *p = must_compile(m->g, (rg_nodes){m->fetch, m->n}, opts);
    must(rg_bind_shape(p, m->xs, data, RG_SHAPE(steps, B, H)));
    must(rg_run(p));
    return p;
}

static void expect_same(const model *m, rg_plan *a, rg_plan *b, const char *what)
{
    for (size_t k = 0; k < m->n; k++) {
        rg_tensor x, y;
        must(rg_result(a, m->fetch[k], &x));
        must(rg_result(b, m->fetch[k], &y));
        cr_assert(rg_shape_equal(x.shape, y.shape));
        cr_expect(memcmp(x.data, y.data, (size_t)rg_shape_count(x.shape) * rg_dtype_size(x.dtype)) == 0,
                  "%s: result %zu differs", what, k);
    }
}

static bool says(rg_plan *p, const char *text)
{
    char *dump = rg_plan_dump(p);
    cr_assert(dump);
    const bool found = strstr(dump, text) != NULL;
    rg_text_free(dump);
    return found;
}

static void *numbers(rg_dtype dtype, size_t n)
{
    void *at = malloc(n * rg_dtype_size(dtype));
    cr_assert(at);
    for (size_t i = 0; i < n; i++) {
        const double x = sin((double)(i * i % 1013));
        if (dtype == RG_F64)
            ((double *)at)[i] = x;
        else
            ((float *)at)[i] = (float)x;
    }
    return at;
}

static const cell cells[] = {two_gates, masked};

Test(repeat, loops_have_the_same_bits_in_less_memory)
{
    for (int f64 = 0; f64 < 2; f64++)
        for (size_t c = 0; c < sizeof cells / sizeof *cells; c++)
            for (int second = 0; second < 2; second++) {
                const rg_dtype dtype = f64 ? RG_F64 : RG_F32;
                const model m = build(cells[c], second, false, dtype);
                void *data = numbers(dtype, (size_t)T * B * H);
                rg_plan *kept = run(&m, data, T, &(rg_plan_opts){.threads = 1, .no_repeats = true});
                for (int threads = 1; threads <= 3; threads++) {
                    rg_plan *p = run(&m, data, T, &(rg_plan_opts){.threads = threads});
                    expect_same(&m, kept, p, "made again");
                    cr_expect(says(p, "made again, not kept: %") && !says(kept, "made again"), "cell %zu", c);
                    rg_plan_free(p);
                }
                rg_plan *one = run(&m, data, T, &(rg_plan_opts){.threads = 1});
                rg_plan *plain = run(&m, data, T, &(rg_plan_opts){.threads = 1, .no_fuse = true});
                rg_estimate less, more;
                expect_same(&m, plain, one, "one by one");
                must(rg_plan_estimate(one, NULL, &less));
                must(rg_plan_estimate(kept, NULL, &more));
                cr_expect(less.peak < more.peak, "cell %zu, second %d: %zu bytes, %zu where all is kept", c, second,
                          less.peak, more.peak);
                rg_plan_free(plain);
                rg_plan_free(one);
                rg_plan_free(kept);
                free(data);
                rg_graph_free(m.g);
            }
}

/* What a stack is fetched or read whole for is there anyway. */
Test(repeat, what_is_wanted_whole_is_kept)
{
    rg_graph *g = rg_graph_new(NULL);
    rg_node *xs = rg_input(g, "xs", RG_F32, RG_SHAPE(T, B, H)), *w = rg_param(g, "w", RG_F32, RG_SHAPE(H, H), NULL);
    rg_scan *s = rg_scan_begin(g, NULL);
    rg_node *x = rg_scan_slice(s, xs), *h = rg_scan_carry(s, rg_zeros(g, RG_F32, RG_SHAPE(B, H)));
    rg_node *z = rg_sigmoid(rg_add(x, rg_matmul(h, w))), *keeps = rg_one_minus(z);
    rg_scan_next(s, h, rg_add(rg_mul(z, h), rg_mul(keeps, x)));
    rg_node *stacked = rg_scan_stack(s, keeps), *last = rg_scan_last(s, h);
    rg_scan_end(s);
    const rg_nodes d = rg_grad(rg_sum(last, RG_ALL_AXES, false), RG_NODES(w, xs));
    const rg_plan_opts one = {.threads = 1};
    rg_plan *alone = must_compile(g, RG_NODES(d.at[0], d.at[1]), &one);
    rg_plan *fetched = must_compile(g, RG_NODES(d.at[0], d.at[1], stacked), &one);
    rg_plan *read = must_compile(g, RG_NODES(d.at[0], d.at[1], rg_exp(stacked)), &one);
    cr_expect(says(alone, "made again, not kept: %") && says(alone, "one_minus f32[9, 4, 24]"));
    cr_expect(!says(fetched, "one_minus f32[9, 4, 24]") && !says(read, "one_minus f32[9, 4, 24]"));
    rg_plan_free(alone);
    rg_plan_free(fetched);
    rg_plan_free(read);
    rg_graph_free(g);
}

/* Sequences that end early, and loops whose length the run alone knows: their stacks say nothing behind the end. */
Test(repeat, steps_that_are_not_made)
{
    rg_graph *g = rg_graph_new(NULL);
    rg_node *x = rg_input(g, "x", RG_F64, RG_SHAPE(B)), *a = rg_param(g, "a", RG_F64, RG_SHAPE(B), NULL);
    rg_scan *s = rg_while_begin(g, &(rg_while_opts){.max_iter = 20});
    rg_node *h = rg_scan_carry(s, x), *z = rg_sigmoid(rg_mul(a, h));
    rg_node *next = rg_add(rg_mul(z, h), rg_mul(rg_one_minus(z), rg_scale(a, 0.5)));
    rg_while_test(s, rg_greater(rg_sum(rg_abs(rg_sub(h, a)), RG_ALL_AXES, false), rg_scalar(g, RG_F64, 0.8)));
    rg_scan_next(s, h, next);
    rg_node *last = rg_scan_last(s, h);
    rg_scan_end(s);
    rg_node *d = rg_grad(rg_sum(rg_square(last), RG_ALL_AXES, false), RG_NODES(a)).at[0];
    rg_node *update = rg_assign(a, rg_sub(a, d)); /* written behind the loops, before which it has no value yet */
    const double data[B] = {3, -2, 1, 4};
    double want[B];
    for (int keep = 1; keep >= 0; keep--) {
        rg_plan *p =
            must_compile(g, RG_NODES(d, update), &(rg_plan_opts){.threads = 1, .no_repeats = keep, .snapshot = true});
        must(rg_bind(p, x, data));
        must(rg_run(p));
        if (keep)
            memcpy(want, rg_data(p, d), sizeof want);
        else
            cr_expect(memcmp(want, rg_data(p, d), sizeof want) == 0);
        rg_plan_free(p);
    }
    rg_graph_free(g);
}

/* A network whose loss has the square of its own gradient in it: slopes of forward activations are read again by the
   second sweep, long after the first. */
static model penalised(int layers)
{
    model m = {.g = rg_graph_new(&(rg_graph_opts){.seed = 5})};
    m.xs = rg_input(m.g, "xs", RG_F32, RG_SHAPE(rg_dim(m.g, "time"), B, H));
    rg_node *h = m.xs, *w[8];
    for (int i = 0; i < layers; i++) {
        char name[8] = {'w', (char)('0' + i)};
        w[i] = rg_param(m.g, name, RG_F32, RG_SHAPE(H, H), &(rg_param_opts){.init = RG_NORMAL, .scale = 0.3});
        rg_node *a = rg_matmul(h, w[i]), *mask = rg_greater(a, rg_scalar(m.g, RG_F32, -0.2));
        name[0] = 'b';
        rg_node *bias = rg_param(m.g, name, RG_F32, RG_SHAPE(H), &(rg_param_opts){.init = RG_NORMAL, .scale = 0.3});
        rg_node *spread =
            rg_mul(a, rg_one_minus(rg_scale(bias, 0.5))); /* what is made for a row is made for all of it */
        h = rg_where(mask, rg_mul(rg_square(rg_tanh(a)), spread), rg_mul(rg_scale(a, 0.1), rg_square(spread)));
    }
    rg_node *slope = rg_grad(rg_sum(h, RG_ALL_AXES, false), RG_NODES(m.xs)).at[0];
    rg_node *loss = rg_add(rg_mean(rg_square(h), RG_ALL_AXES, false), rg_mean(rg_square(slope), RG_ALL_AXES, false));
    m.fetch[m.n++] = loss;
    for (int i = 0; i < 3 && i < layers; i++)
        m.fetch[m.n++] = rg_grad(loss, RG_NODES(w[i])).at[0];
    return m;
}

Test(repeat, groups_have_the_same_bits_in_less_memory)
{
    for (int layers = 1; layers <= 5; layers++) {
        const model m = penalised(layers);
        float *data = numbers(RG_F32, (size_t)T * B * H);
        rg_plan *kept = run(&m, data, T, &(rg_plan_opts){.threads = 1, .no_repeats = true});
        rg_plan *plain = run(&m, data, T, &(rg_plan_opts){.threads = 1, .no_fuse = true});
        expect_same(&m, plain, kept, "one by one");
        for (int threads = 1; threads <= 3; threads++) {
            rg_plan *p = run(&m, data, T, &(rg_plan_opts){.threads = threads});
            expect_same(&m, kept, p, "made again");
            cr_expect(layers < 3 || (says(p, "(again)") && says(p, "made again, not kept: %")), "%d layers", layers);
            rg_estimate less, more;
            must(rg_plan_estimate(p, NULL, &less));
            must(rg_plan_estimate(kept, NULL, &more));
            cr_expect(threads > 1 || layers < 3 || less.peak < more.peak, "%d layers: %zu bytes, %zu where all is kept",
                      layers, less.peak, more.peak);
            rg_plan_free(p);
        }
        rg_plan_free(plain);
        rg_plan_free(kept);
        free(data);
        rg_graph_free(m.g);
    }
}

/* A product behind enough others that what was read before them is not kept for it. */
static rg_node *long_after(rg_node *h, rg_node *w)
{
    for (int i = 0; i < 4; i++)
        h = rg_tanh(rg_matmul(h, w));
    return rg_matmul(h, w);
}

static int count_of(rg_plan *p, const char *text)
{
    char *dump = rg_plan_dump(p);
    cr_assert(dump);
    int n = 0;
    for (const char *at = dump; (at = strstr(at, text)); at++)
        n++;
    rg_text_free(dump);
    return n;
}

/* Compares with plans that keep everything, and returns the plan that repeats. */
static rg_plan *same_as_kept(const model *m, const void *data)
{
    const int64_t rows = LONG;
    rg_plan *kept = run(m, data, rows, &(rg_plan_opts){.threads = 1, .no_repeats = true});
    rg_plan *plain = run(m, data, rows, &(rg_plan_opts){.threads = 1, .no_fuse = true});
    rg_plan *p = run(m, data, rows, &(rg_plan_opts){.threads = 1});
    expect_same(m, plain, kept, "one by one");
    expect_same(m, kept, p, "made again");
    rg_plan_free(plain);
    rg_plan_free(kept);
    return p;
}

static model of_rows(rg_node **w)
{
    model m = {.g = rg_graph_new(&(rg_graph_opts){.seed = 5})};
    m.xs = rg_input(m.g, "xs", RG_F32, RG_SHAPE(rg_dim(m.g, "time"), B, H));
    *w = rg_param(m.g, "w", RG_F32, RG_SHAPE(H, H), &(rg_param_opts){.init = RG_NORMAL, .scale = 0.3});
    return m;
}

/* What scales rows is made in a group of its own, of the size of a row: it cannot be made again among ops of all
   rows. */
Test(repeat, what_is_made_of_smaller_values_is_kept)
{
    float *data = numbers(RG_F32, (size_t)LONG * B * H);
    for (int column = 0; column < 2; column++) {
        rg_node *w;
        model m = of_rows(&w);
        const rg_param_opts normal = {.init = RG_NORMAL, .scale = 0.3};
        rg_node *s = rg_param(m.g, "s", RG_F32, column ? RG_SHAPE(B, 1) : RG_SHAPE(H), &normal);
        rg_node *scaled = rg_mul(m.xs, rg_one_minus(s));
        m.fetch[m.n++] = rg_mul(scaled, long_after(rg_exp(scaled), w));
        rg_plan *p = same_as_kept(&m, data);
        cr_expect_eq(count_of(p, "= one_minus("), 1);
        rg_plan_free(p);
        rg_graph_free(m.g);
    }
    free(data);
}

/* What a late group has made again for a value that is itself read once more, later still, is made there too: it lies
   in no memory, whatever the number of values. */
Test(repeat, what_is_made_again_of_what_was)
{
    float *data = numbers(RG_F32, (size_t)LONG * B * H);
    for (int more = 0; more < 32; more++) {
        const bool near = more % 2;
        rg_node *w;
        model m = of_rows(&w);
        rg_node *first = rg_one_minus(rg_scale(m.xs, 0.5)), *product = long_after(rg_exp(first), w);
        rg_node *second = rg_add(product, first);
        rg_node *late = long_after(near ? rg_exp(second) : rg_tanh(product), w);
        for (int i = 0; i < more / 2; i++)
            late = rg_tanh(late);
        m.fetch[m.n++] = rg_mul(rg_add(late, product), second);
        m.fetch[m.n++] = m.xs;
        m.fetch[m.n++] = w;
        rg_plan *p = same_as_kept(&m, data);
        cr_expect_eq(count_of(p, "= one_minus("), near ? 3 : 2, "%d more", more);
        cr_expect_eq(count_of(p, "= add("), near ? 3 : 2, "%d more", more);
        rg_plan_free(p);
        rg_graph_free(m.g);
    }
    free(data);
}

/* Where all who read a value make it again, nobody computes it for them: its group is gone, unless somebody wants more
   of it. */
Test(repeat, what_nobody_reads_is_not_computed)
{
    float *data = numbers(RG_F32, (size_t)LONG * B * H);
    enum { ALONE, BESIDE, FETCHED, CASES };
    static const int halves[CASES] = {1, 2, 2};
    static const char *const steps[CASES] = {"plan: 10 steps", "plan: 11 steps", "plan: 11 steps"};
    for (int k = 0; k < CASES; k++) {
        rg_node *w;
        model m = of_rows(&w);
        rg_node *half = rg_scale(m.xs, 0.5), *rest = rg_one_minus(half);
        m.fetch[m.n++] = rg_mul(rest, long_after(k == BESIDE ? rg_exp(half) : m.xs, w));
        if (k == FETCHED)
            m.fetch[m.n++] = half;
        rg_plan *p = same_as_kept(&m, data);
        cr_expect_eq(count_of(p, "= scale("), halves[k], "case %d", k);
        cr_expect_eq(count_of(p, "= one_minus("), 1, "case %d", k);
        cr_expect(says(p, steps[k]), "case %d", k);
        rg_plan_free(p);
        rg_graph_free(m.g);
    }
    free(data);
}
