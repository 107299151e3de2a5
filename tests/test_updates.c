/* test_updates.c - gradients that only an update reads are applied block by block: the same bits, without their
   memory. */
#include "must.h"

#include <stdlib.h>

typedef enum optimiser { PLAIN, GIVEN_RATE, MOMENTUM, ADAM } optimiser;

typedef struct problem {
    int64_t batch, in, out;
    optimiser optimiser;
    bool fetch; /* fetch: the gradient is asked for as well, so it must be written */
} problem;

/* Large enough for several threads; several column blocks; a split sum; an empty one; a single row. */
static const problem problems[] = {
    {32, 500, 300, MOMENTUM, false}, {32, 500, 300, ADAM, false},   {32, 500, 300, PLAIN, false},
    {32, 500, 300, MOMENTUM, true},  {32, 500, 300, PLAIN, true},   {32, 500, 300, GIVEN_RATE, false},
    {5, 5000, 130, MOMENTUM, false}, {9000, 8, 7, MOMENTUM, false}, {9000, 8, 7, ADAM, false},
    {0, 40, 30, MOMENTUM, false},    {0, 40, 30, PLAIN, false},     {3, 40, 1, ADAM, false},
    {3, 40, 1, PLAIN, false},        {70, 600, 610, PLAIN, false},  {300, 90, 130, GIVEN_RATE, false},
    {700, 96, 200, PLAIN, false},    {800, 96, 200, PLAIN, false},
};

typedef struct trained {
    size_t bytes; /* of the plan */
    float *weight;
} trained;

static rg_node *update(rg_graph *g, rg_node *loss, optimiser o)
{
    switch (o) {
    case PLAIN:
        return rg_sgd(loss, &(rg_sgd_opts){.lr = 1e-4});
    case GIVEN_RATE:
        return rg_sgd(loss, &(rg_sgd_opts){.lr_node = rg_schedule_exponential(rg_step_counter(g, "n"), 1e-4, 0.5)});
    case MOMENTUM:
        return rg_sgd(loss, &(rg_sgd_opts){.lr = 1e-4, .momentum = 0.9, .weight_decay = 0.01});
    case ADAM:
        return rg_adam(loss, &(rg_adam_opts){.lr = 0.01});
    }
    return NULL;
}

static trained train(const problem *q, int threads, bool no_fuse)
{
    rg_graph *g = rg_graph_new(NULL);
    rg_node *x = rg_input(g, "x", RG_F32, RG_SHAPE(q->batch, q->in));
    rg_node *w = rg_param(g, "w", RG_F32, RG_SHAPE(q->out, q->in), &(rg_param_opts){.init = RG_UNIFORM, .scale = 0.1});
    rg_node *loss = rg_sum(rg_square(rg_linear(x, w, NULL)), RG_ALL_AXES, false),
            *grad = rg_grad(loss, RG_NODES(w)).at[0];
    rg_node *step = update(g, loss, q->optimiser);
    rg_plan *p = must_compile(g, q->fetch ? RG_NODES(loss, step, grad) : RG_NODES(loss, step),
                              &(rg_plan_opts){.threads = threads, .no_fuse = no_fuse});
    float *data = calloc((size_t)(q->batch * q->in) + 1, sizeof *data);
    cr_assert(data);
    for (int64_t i = 0; i < q->batch * q->in; i++)
        data[i] = (float)(i * 37 % 101) / 101 - 0.5f;
    must(rg_bind(p, x, data));
    for (int run = 0; run < 3; run++)
        must(rg_run(p));
    const size_t n = (size_t)(q->in * q->out);
    trained t = {rg_plan_bytes(p), malloc(n * sizeof *t.weight)};
    cr_assert(t.weight && rg_value(w).data);
    memcpy(t.weight, rg_value(w).data, n * sizeof *t.weight);
    free(data);
    rg_plan_free(p);
    rg_graph_free(g);
    return t;
}

Test(updates, same_bits_however_the_gradient_is_passed_on)
{
    for (size_t i = 0; i < sizeof problems / sizeof *problems; i++) {
        const size_t bytes = (size_t)(problems[i].in * problems[i].out) * sizeof(float);
        const trained plain = train(&problems[i], 1, true);
        for (int threads = 1; threads <= 3; threads++) {
            const trained t = train(&problems[i], threads, false);
            cr_expect(memcmp(plain.weight, t.weight, bytes) == 0, "problem %zu, %d threads", i, threads);
            free(t.weight);
        }
        free(plain.weight);
    }
}

/* A recurrence of 54 rows in all, whose weights' gradients add up from the last step on, or from the first. */
static void train_recurrence(bool reverse, int threads, bool no_fuse, float *out, size_t n)
{
    enum { STEPS = 6, BATCH = 9, IN = 40, HIDDEN = 70 };
    static float data[STEPS * BATCH * IN];
    for (size_t i = 0; i < sizeof data / sizeof *data; i++)
        data[i] = (float)(i * 37 % 101) / 101 - 0.5f;
    rg_graph *g = rg_graph_new(NULL);
    rg_node *x = rg_input(g, "x", RG_F32, RG_SHAPE(STEPS, BATCH, IN));
    rg_node *u = rg_param(g, "u", RG_F32, RG_SHAPE(HIDDEN, IN), &(rg_param_opts){.init = RG_UNIFORM, .scale = 0.1}),
            *w = rg_param(g, "w", RG_F32, RG_SHAPE(HIDDEN, HIDDEN), &(rg_param_opts){.init = RG_UNIFORM, .scale = 0.1});
    rg_scan *s = rg_scan_begin(g, &(rg_scan_opts){.reverse = reverse});
    rg_node *h = rg_scan_carry(s, rg_zeros(g, RG_F32, RG_SHAPE(BATCH, HIDDEN)));
    rg_node *next = rg_tanh(rg_add(rg_linear(rg_scan_slice(s, x), u, NULL), rg_linear(h, w, NULL)));
    rg_scan_next(s, h, next);
    rg_node *states = rg_scan_stack(s, next);
    rg_scan_end(s);
    rg_node *loss = rg_mean(rg_square(states), RG_ALL_AXES, false);
    rg_node *step = rg_sgd(loss, &(rg_sgd_opts){.lr = 0.1});
    rg_plan *p = must_compile(g, RG_NODES(loss, step), &(rg_plan_opts){.threads = threads, .no_fuse = no_fuse});
    must(rg_bind(p, x, data));
    for (int run = 0; run < 3; run++)
        must(rg_run(p));
    cr_assert(n == (size_t)HIDDEN * (IN + HIDDEN));
    memcpy(out, rg_value(u).data, sizeof *out * HIDDEN * IN);
    memcpy(out + (size_t)HIDDEN * IN, rg_value(w).data, sizeof *out * HIDDEN * HIDDEN);
    rg_plan_free(p);
    rg_graph_free(g);
}

Test(updates, of_recurrences)
{
    static float plain[70 * 110], fused[70 * 110];
    const size_t n = sizeof plain / sizeof *plain;
    for (int reverse = 0; reverse < 2; reverse++) {
        train_recurrence(reverse, 1, true, plain, n);
        for (int threads = 1; threads <= 3; threads++) {
            train_recurrence(reverse, threads, false, fused, n);
            cr_expect(memcmp(plain, fused, sizeof plain) == 0, "reverse %d, %d threads", reverse, threads);
        }
    }
}

/* What is close to an update: the sum goes to another parameter, has a factor for each column or element, or is read by
   one more op of the tail. */
typedef enum tail { TO_ANOTHER, FACTORS_OF_COLUMNS, FACTORS, READ_ON, TAILS } tail;

enum { ROWS = 90, COLUMNS = 130, ALL = ROWS * COLUMNS };

typedef struct results {
    float w[ALL], v[ALL], fetched[ALL];
} results;

static void run_tail(tail o, int threads, bool no_fuse, results *out)
{
    enum { BATCH = 64 };
    static float data[BATCH * COLUMNS], numbers[ALL];
    for (size_t i = 0; i < sizeof data / sizeof *data; i++)
        data[i] = (float)(i * 37 % 101) / 101 - 0.5f;
    for (size_t i = 0; i < ALL; i++)
        numbers[i] = (float)(i % 3) / -1000;
    const rg_shape shape = RG_SHAPE(ROWS, COLUMNS);
    rg_graph *g = rg_graph_new(NULL);
    rg_node *x = rg_input(g, "x", RG_F32, RG_SHAPE(BATCH, COLUMNS)),
            *factors = rg_input(g, "factors", RG_F32, o == FACTORS ? shape : RG_SHAPE(COLUMNS));
    rg_node *w = rg_param(g, "w", RG_F32, shape, &(rg_param_opts){.init = RG_UNIFORM, .scale = 0.1}),
            *v = rg_param(g, "v", RG_F32, shape, NULL);
    rg_node *loss = rg_sum(rg_square(rg_linear(x, w, NULL)), RG_ALL_AXES, false),
            *grad = rg_at(rg_grad(loss, RG_NODES(w)), 0);
    rg_node *sum = o == FACTORS_OF_COLUMNS || o == FACTORS ? rg_fma(grad, factors, w) : rg_axpy(-1e-3, grad, w);
    rg_node *step = rg_assign(o == TO_ANOTHER ? v : w, sum), *last = o == READ_ON ? rg_tanh(sum) : factors;
    rg_plan *p =
        must_compile(g, RG_NODES(step, last, factors), &(rg_plan_opts){.threads = threads, .no_fuse = no_fuse});
    must(rg_bind(p, x, data));
    must(rg_bind(p, factors, numbers));
    for (int run = 0; run < 2; run++)
        must(rg_run(p));
    memcpy(out->w, rg_value(w).data, sizeof out->w);
    memcpy(out->v, rg_value(v).data, sizeof out->v);
    if (o == READ_ON)
        memcpy(out->fetched, rg_data(p, last), sizeof out->fetched);
    rg_plan_free(p);
    rg_graph_free(g);
}

Test(updates, what_is_close_to_one)
{
    static results plain, fused;
    for (tail o = 0; o < TAILS; o++) {
        run_tail(o, 1, true, &plain);
        for (int threads = 1; threads <= 2; threads++) {
            run_tail(o, threads, false, &fused);
            cr_expect(memcmp((const void *)&plain, (const void *)&fused, sizeof plain) == 0, "tail %d, %d threads",
                      (int)o, threads);
        }
    }
}

/* Two convolutions, the second with many outputs and in groups, trained for three steps: their weights. */
static void train_convolutions(int64_t batch, bool no_fuse, int threads, float *out, size_t n)
{
    rg_graph *g = rg_graph_new(NULL);
    rg_node *x = rg_input(g, "x", RG_F32, RG_SHAPE(batch, 2, 9, 8));
    const rg_param_opts opts = {.init = RG_UNIFORM, .scale = 0.2};
    rg_node *v = rg_param(g, "v", RG_F32, RG_SHAPE(6, 2, 3, 3), &opts),
            *w = rg_param(g, "w", RG_F32, RG_SHAPE(150, 3, 3, 2), &opts);
    rg_node *y = rg_conv2d(rg_tanh(rg_conv2d(x, v, NULL, NULL)), w, NULL, &(rg_conv_opts){.groups = 2});
    rg_node *loss = rg_sum(rg_square(y), RG_ALL_AXES, false),
            *step = rg_sgd(loss, &(rg_sgd_opts){.lr = 1e-5, .momentum = 0.9});
    rg_plan *p = must_compile(g, RG_NODES(loss, step), &(rg_plan_opts){.threads = threads, .no_fuse = no_fuse});
    float *data = calloc((size_t)batch * 144 + 1, sizeof *data);
    cr_assert(data);
    for (int64_t i = 0; i < batch * 144; i++)
        data[i] = (float)(i * 37 % 101) / 101 - 0.5f;
    must(rg_bind(p, x, data));
    for (int run = 0; run < 3; run++)
        must(rg_run(p));
    char *dump = rg_plan_dump(p);
    cr_assert(dump);
    cr_expect_eq(strstr(dump, "(block) = conv_weight_grad(") != NULL, !no_fuse, "%s", dump);
    rg_text_free(dump);
    memcpy(out, rg_value(v).data, 108 * sizeof *out);
    memcpy(out + 108, rg_value(w).data, (n - 108) * sizeof *out);
    free(data);
    rg_plan_free(p);
    rg_graph_free(g);
}

Test(updates, of_convolutions)
{
    enum { N = 108 + 150 * 18 };
    static float plain[N], fused[N];
    for (int64_t batch = 0; batch <= 40; batch += 20) {
        train_convolutions(batch, true, 1, plain, N);
        for (int threads = 1; threads <= 3; threads++) {
            train_convolutions(batch, false, threads, fused, N);
            cr_expect(memcmp((const void *)plain, (const void *)fused, sizeof plain) == 0, "a batch of %d, %d threads",
                      (int)batch, threads);
        }
    }
}

Test(updates, the_gradient_takes_no_memory)
{
    const problem large = {4, 3000, 2000, MOMENTUM, false}, fetched = {4, 3000, 2000, MOMENTUM, true},
                  adam = {4, 3000, 2000, ADAM, false};
    const size_t bytes = 3000 * 2000 * sizeof(float);
    const trained t = train(&large, 1, false), with = train(&fetched, 1, false), plain = train(&large, 1, true),
                  moments = train(&adam, 1, false);
    cr_expect(t.bytes < bytes / 4, "%zu", t.bytes);
    cr_expect(with.bytes > bytes, "%zu", with.bytes);
    cr_expect(plain.bytes > bytes, "%zu", plain.bytes);
    cr_expect(moments.bytes < bytes / 4, "both moments and the parameter in one pass: %zu", moments.bytes);
    free(moments.weight);
    free(t.weight);
    free(with.weight);
    free(plain.weight);
}

/* Rows of a table that are picked, and that the update adds to. `early`: the rows themselves are read, so that a wrong
   index is seen when they are picked. Beside them a weight that is updated without waiting for anything. */
typedef struct table {
    rg_graph *g;
    rg_node *index, *rows, *w, *fetch[2];
} table;

static table pick(bool early)
{
    table t = {.g = rg_graph_new(NULL)};
    const rg_param_opts init = {.init = RG_UNIFORM, .scale = 0.5};
    t.index = rg_input(t.g, "index", RG_I64, RG_SHAPE(64));
    t.w = rg_param(t.g, "w", RG_F32, RG_SHAPE(512, 256), &init);
    t.rows = rg_param(t.g, "rows", RG_F32, RG_SHAPE(50, 256), &init);
    rg_node *picked = rg_gather(t.rows, t.index, 0);
    rg_node *loss = rg_sum(early ? rg_square(picked) : picked, RG_ALL_AXES, false);
    t.fetch[0] = rg_assign(t.w, rg_scale(t.w, 0.5));
    t.fetch[1] = rg_assign(t.rows, rg_sub(t.rows, rg_grad(loss, RG_NODES(t.rows)).at[0]));
    return t;
}

/* Wrong indices leave every parameter as it was, on any number of threads; the plan runs on with right ones. */
Test(updates, rows_that_were_picked_can_be_added_to)
{
    for (int early = 0; early < 2; early++)
        for (int threads = 1; threads <= 4; threads++) {
            const table t = pick(early);
            rg_plan *p = must_compile(t.g, (rg_nodes){t.fetch, 2}, &(rg_plan_opts){.threads = threads});
            int64_t index[64];
            for (int i = 0; i < 64; i++)
                index[i] = i * 7 % 50;
            must(rg_bind(p, t.index, index));
            must(rg_run(p));
            char *dump = rg_plan_dump(p);
            cr_expect(dump && (strstr(dump, "gather") != NULL) == early);
            cr_expect(dump && (strstr(dump, "writes 'rows' in place") != NULL) && (!early || !strstr(dump, " copy ")),
                      "%s", dump);
            rg_text_free(dump);
            static float rows[50 * 256], w[512 * 256];
            memcpy(rows, rg_value(t.rows).data, sizeof rows);
            memcpy(w, rg_value(t.w).data, sizeof w);
            for (int bad = 0; bad < 20; bad++) {
                index[bad * 3] = bad % 2 ? 50 : -1;
                cr_expect(rg_run(p) == RG_ERR_ARGUMENT);
                cr_expect(strstr(rg_last_error(), early ? "gather: index" : "scatter_add: index"), "%s",
                          rg_last_error());
                cr_expect(memcmp(rows, rg_value(t.rows).data, sizeof rows) == 0 &&
                              memcmp(w, rg_value(t.w).data, sizeof w) == 0,
                          "early %d, %d threads", early, threads);
                index[bad * 3] = 3;
            }
            must(rg_run(p));
            cr_expect(memcmp(rows, rg_value(t.rows).data, sizeof rows) != 0);
            rg_plan_free(p);
            rg_graph_free(t.g);
        }
}
