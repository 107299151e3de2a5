/* test_binomial.c - the schedule of checkpoints within a budget: that it walks the fewest blocks, by dynamic
   programming; and how many forward steps the reverse of a recurrence makes, how much memory, with what bits. */
#include "must.h"
#include "tasks.h"
#include "waves.h"

#include "graph/binomial.h"
#include "runtime/plan.h"

#include <stdlib.h>

/* ---- the schedule by itself ---------------------------------------------------------------------------- */

enum { MOST = 120, SLOTS = 24 };

/* The fewest blocks walked for n blocks and s slots, one being walked to with s - 1 behind it and with s in front. */
static double fewest[MOST + 1][SLOTS + 1];

static void find_fewest(void)
{
    for (int s = 1; s <= SLOTS; s++)
        for (int n = 2; n <= MOST; n++) {
            fewest[n][s] = n * (n - 1) / 2.0;
            for (int p = 1; s > 1 && p < n; p++) {
                const double walked = p + fewest[n - p][s - 1] + fewest[p][s];
                fewest[n][s] = walked < fewest[n][s] ? walked : fewest[n][s];
            }
        }
}

/* Follows the schedule; every state that it begins from must be where it says. */
static double follow(int64_t n, int64_t slots)
{
    int64_t held[SLOTS] = {0};
    rgi_revolve w = rgi_revolve_first(n);
    double walked = (double)(n - 1);
    while (rgi_revolve_next(&w, slots))
        held[w.slot] = w.at;
    for (int64_t k = n; k-- > 0;) {
        w = rgi_revolve_to(n, slots, k);
        cr_assert(w.at <= k && held[w.slot] == w.at, "%d blocks, %d slots, to %d", (int)n, (int)slots, (int)k);
        walked += k < n - 1 ? (double)(k - w.at) : 0; /* the last block is where the first walk ends */
        while (rgi_revolve_next(&w, slots)) {
            cr_assert(w.at <= k && w.slot < slots);
            held[w.slot] = w.at;
        }
    }
    return walked;
}

Test(binomial, walks_the_fewest_blocks)
{
    find_fewest();
    for (int s = 1; s <= SLOTS; s++)
        for (int n = 1; n <= MOST; n++) {
            cr_assert_eq(rgi_binomial_walked(n, s), fewest[n][s], "%d blocks, %d slots", n, s);
            cr_assert_eq(follow(n, s), fewest[n][s], "%d blocks, %d slots", n, s);
        }
}

/* With fewer slots than the least a block is walked more often than there are slots. */
Test(binomial, least_slots)
{
    for (int n = 2; n <= 100000; n = n * 3 / 2) {
        const int64_t s = rgi_binomial_least(n);
        double range[2] = {1, 1};
        for (int less = 0; less < 2; less++)
            for (int64_t r = 1; r <= s - less; r++)
                range[less] = range[less] * (double)(s - less + r) / (double)r;
        cr_expect(range[0] >= n && (range[1] < n || s == 1), "%d blocks, %d slots", n, (int)s);
    }
}

/* ---- a recurrence whose forward steps are counted ------------------------------------------------------ */

enum { WIDTH = 16 };

static size_t steps_made;

/* y = h x */
static rg_status infer(rg_infer *call)
{
    call->out[0] = call->in[0];
    return RG_OK;
}

static void vjp(rg_node *self, rg_node *const ct[], rg_node *grad[])
{
    grad[0] = rg_mul(ct[0], rg_arg(self, 1));
    grad[1] = rg_mul(ct[0], rg_arg(self, 0));
}

static rg_status make_step(const rg_step *s, size_t lo, size_t hi)
{
    (void)lo;
    (void)hi;
    steps_made++;
    for (int i = 0; i < WIDTH; i++)
        ((float *)s->out[0])[i] = ((const float *)s->in[0])[i] * ((const float *)s->in[1])[i];
    return RG_OK;
}

static const rg_op counted = {
    .name = "counted_product",
    .n_in = 2,
    .n_out = 1,
    .dtypes = RG_DT_FLOATS,
    .infer = infer,
    .vjp = vjp,
    .run = make_step,
};

typedef struct made {
    size_t steps, bytes;
    float h[WIDTH], x[WIDTH]; /* gradients: of the first state, of the sequence summed over the steps */
} made;

typedef struct recurrence {
    rg_graph *g;
    rg_node *xs, *dh, *dx;
} recurrence;

/* `values`: ops of a step, each as large as the state. */
static recurrence recurrence_new(int64_t steps, int values, rg_scan_opts opts)
{
    recurrence r = {.g = rg_graph_new(NULL)};
    r.xs = rg_input(r.g, "xs", RG_F32, RG_SHAPE(steps < 0 ? rg_dim(r.g, "time") : steps, WIDTH));
    float start[WIDTH];
    for (int i = 0; i < WIDTH; i++)
        start[i] = 0.5f + 0.01f * (float)i;
    rg_node *init = rg_param(r.g, "h", RG_F32, RG_SHAPE(WIDTH), NULL);
    must(rg_set(init, &(rg_tensor){.dtype = RG_F32, .shape = RG_SHAPE(WIDTH), .data = start}));
    rg_scan *s = rg_scan_begin(r.g, &opts);
    rg_node *x = rg_scan_slice(s, r.xs), *h = rg_scan_carry(s, init);
    rg_node *y = rg_apply(&counted, RG_NODES(h, x), NULL);
    for (int k = 1; k < values; k++)
        y = rg_sin(y);
    rg_scan_next(s, h, y);
    rg_node *last = rg_scan_last(s, h);
    rg_scan_end(s);
    const rg_nodes d = rg_grad(rg_sum(rg_square(last), RG_ALL_AXES, false), RG_NODES(init, r.xs));
    cr_assert_eq(d.n, 2, "%s", rg_graph_error(r.g));
    must(rg_graph_check(r.g));
    r.dh = d.at[0];
    r.dx = rg_sum(d.at[1], RG_AXES(0), false);
    return r;
}

static made run_steps(const recurrence *r, rg_plan *p, int64_t steps)
{
    made m;
    float *data = malloc((size_t)(steps + 1) * WIDTH * sizeof *data);
    cr_assert(data);
    for (int64_t i = 0; i < steps * WIDTH; i++)
        data[i] = 1.0f + 0.3f * sinf((float)i);
    must(rg_bind_shape(p, r->xs, data, RG_SHAPE(steps, WIDTH)));
    must(rg_plan_prepare(p));
    m.bytes = rg_plan_bytes(p);
    steps_made = 0;
    must(rg_run(p));
    m.steps = steps_made;
    memcpy(m.h, rg_data(p, r->dh), sizeof m.h);
    memcpy(m.x, rg_data(p, r->dx), sizeof m.x);
    free(data);
    return m;
}

static made run_once(int64_t steps, int values, rg_scan_opts opts)
{
    const recurrence r = recurrence_new(steps, values, opts);
    rg_plan *p = must_compile(r.g, RG_NODES(r.dh, r.dx), &(rg_plan_opts){.threads = 1});
    const made m = run_steps(&r, p, steps);
    rg_plan_free(p);
    rg_graph_free(r.g);
    return m;
}

/* Forward steps of the binomial schedule where one step's values, its first state among them, are held beside the
   states that are kept. */
static double optimum(int64_t steps, int values, size_t bytes)
{
    const int64_t slots = (int64_t)(bytes / (WIDTH * sizeof(float))) - values - 1;
    return slots > 0 ? rgi_binomial_walked(steps, slots) + (double)steps : INFINITY;
}

/* The last segment is walked to once more than in the schedule: its values were not kept when the results were made. */
static void expect_optimal(const made *m, const made *all, int64_t steps, int values, size_t bytes)
{
    const double most = optimum(steps, values, bytes);
    cr_expect((double)m->steps <= 1.025 * most + 8,
              "%d steps, %d values, %zu bytes: %zu forward steps, the least are %.0f", (int)steps, values, bytes,
              m->steps, most);
    cr_expect(!memcmp(m->h, all->h, sizeof m->h) && !memcmp(m->x, all->x, sizeof m->x),
              "%d steps, %d values, %zu bytes: other bits", (int)steps, values, bytes);
}

static size_t least_bytes(int64_t steps, int values)
{
    return WIDTH * sizeof(float) * (size_t)(values + 1 + rgi_binomial_least(steps));
}

static const int values_of[] = {1, 3, 10};
static const int64_t steps_of[] = {2, 12, 29, 100, 365, 1000, 4099, 10000};
#define N_VALUES (sizeof values_of / sizeof *values_of)
#define N_STEPS (sizeof steps_of / sizeof *steps_of)

Test(binomial, steps_and_bytes_within_a_budget)
{
    for (size_t i = 0; i < N_VALUES * N_STEPS; i++) {
        const int64_t steps = steps_of[i / N_VALUES];
        const int values = values_of[i % N_VALUES];
        const size_t sequence = WIDTH * sizeof(float) * (size_t)steps; /* its gradient */
        for (int reverse = 0; reverse < 2; reverse++) {
            const size_t work = run_once(1, values, (rg_scan_opts){.reverse = reverse}).bytes;
            const made all = run_once(steps, values, (rg_scan_opts){.reverse = reverse});
            cr_assert_eq(all.steps, (size_t)steps);
            for (size_t bytes = least_bytes(steps, values); bytes < sequence * (size_t)(values + 1);
                 bytes += getenv("RETROGRADE_SLOW") ? bytes / 3 : bytes + 64 * (i + (size_t)reverse)) {
                const made m = run_once(steps, values, (rg_scan_opts){.keep_bytes = bytes, .reverse = reverse});
                expect_optimal(&m, &all, steps, values, bytes);
                cr_expect(m.bytes <= work + sequence + bytes, "%d steps, %d values, %zu bytes: %zu more than one step",
                          (int)steps, values, bytes, m.bytes - work - sequence);
            }
        }
    }
}

/* How many steps there are is said when data is bound: one plan for all of them. */
Test(binomial, a_number_of_steps_known_late)
{
    for (size_t v = 0; v < N_VALUES; v++)
        for (size_t bytes = least_bytes(10000, values_of[v]); bytes < 100000; bytes *= 3) {
            const recurrence r = recurrence_new(-1, values_of[v], (rg_scan_opts){.keep_bytes = bytes});
            rg_plan *p = must_compile(r.g, RG_NODES(r.dh, r.dx), &(rg_plan_opts){.threads = 1});
            for (size_t i = 0; i < N_STEPS; i++) {
                const made all = run_once(steps_of[i], values_of[v], (rg_scan_opts){0}),
                           m = run_steps(&r, p, steps_of[i]);
                expect_optimal(&m, &all, steps_of[i], values_of[v], bytes);
            }
            cr_expect_eq(run_steps(&r, p, 0).steps, 0);
            rg_plan_free(p);
            rg_graph_free(r.g);
        }
}

/* ---- who reads the starts, and who does what ------------------------------------------------------------- */

enum { T = 40, B = 16, H = 8 };

/* A layer of a GRU and what is asked of it; `inner`: in the body of another recurrence. */
typedef struct layer {
    rg_graph *g;
    rg_node *xs, *loss, *d;
} layer;

static layer layer_new(size_t keep_bytes, bool inner)
{
    layer n = {.g = rg_graph_new(NULL)};
    n.xs = rg_param(n.g, "xs", RG_F32, RG_SHAPE(T, B, H), NULL);
    set_wave(n.xs, 0.3, 1);
    rg_scan *s = inner ? rg_scan_begin(n.g, NULL) : NULL;
    rg_node *xs = n.xs, *sum = NULL;
    if (s) {
        rg_node *by = rg_scan_slice(s, wave_const(n.g, RG_F32, RG_SHAPE(3), 1, 0));
        sum = rg_scan_carry(s, rg_scalar(n.g, RG_F32, 0.1));
        xs = rg_mul(xs, rg_add(by, sum));
    }
    rg_node *ys = rg_nn_gru(xs, "net", H, &(rg_rnn_opts){.keep_bytes = keep_bytes});
    n.loss = rg_mean(rg_square(ys), RG_ALL_AXES, false);
    if (s) {
        rg_scan_next(s, sum, n.loss);
        n.loss = rg_scan_last(s, sum);
        rg_scan_end(s);
    }
    cr_assert(!rg_graph_error(n.g), "%s", rg_graph_error(n.g));
    return n;
}

/* Bytes of the first result of a plan, and how many loops walk to starts; *rows: how many of them by rows. */
static float *result_of(rg_graph *g, rg_node *d, const rg_plan_opts *opts, size_t *walks, size_t *rows)
{
    const size_t bytes = (size_t)rg_shape_count(rg_shape_of(d)) * sizeof(float);
    float *data = malloc(bytes + 1);
    must(rg_graph_check(g));
    rg_plan *p = must_compile(g, RG_NODES(d), opts);
    must(rg_run(p));
    cr_assert(data);
    memcpy(data, rg_data(p, d), bytes);
    *walks = *rows = 0;
    for (size_t k = 0; k < p->program->n_loops; k++)
        if (p->program->loops[k].as == RGI_AGAIN) {
            ++*walks;
            *rows += p->current->steps[p->program->loops[k].begin].rows != NULL;
        }
    rg_plan_free(p);
    return data;
}

typedef rg_node *question(const layer *n);

static rg_node *gradient(const layer *n)
{
    return rg_at(rg_grad(n->loss, rg_params(n->g)), 2);
}
static rg_node *of_gradient(const layer *n)
{
    return rg_at(rg_grad(rg_square_norm(rg_grad(n->loss, RG_NODES(n->xs))), rg_params(n->g)), 1);
}
static rg_node *along(const layer *n)
{
    return rg_at(rg_hvp(n->loss, RG_NODES(n->xs), RG_NODES(rg_sin(n->xs))), 0);
}
static rg_node *jacobian(const layer *n)
{
    rg_node *some = rg_slice(rg_at(rg_grad(n->loss, RG_NODES(n->xs)), 0), 0, 0, 1);
    return rg_jacobian(rg_sum(some, RG_AXES(0, 1), false), rg_at(rg_params(n->g), 1));
}

/* The same bits as where everything is kept; `walks`: loops that walk to starts. */
static void compare(question *ask, bool inner, const rg_plan_opts *opts, size_t walks, size_t cut, double tolerance)
{
    size_t n, rows;
    layer all = layer_new(0, inner), few = layer_new(9000, inner);
    rg_node *a = ask(&all), *b = ask(&few);
    cr_assert(a && b, "%s %s", rg_graph_error(all.g), rg_graph_error(few.g));
    const int64_t count = rg_shape_count(rg_shape_of(a));
    float *x = result_of(all.g, a, &(rg_plan_opts){.threads = 1, .mode = RG_TRAIN}, &n, &rows);
    cr_assert_eq(n, 0);
    float *y = result_of(few.g, b, opts, &n, &rows);
    cr_expect(n == walks && rows == cut, "%zu walks, %zu by rows", n, rows);
    for (int64_t i = 0; i < count; i++)
        if (tolerance > 0)
            expect_close(y[i], x[i], tolerance, "second", (size_t)i);
        else
            cr_assert_eq(x[i], y[i], "%d: %.9g and %.9g", (int)i, (double)x[i], (double)y[i]);
    free(x);
    free(y);
    rg_graph_free(all.g);
    rg_graph_free(few.g);
}

static const rg_machine eager = {.flop_ns = 1, .byte_ns = 1, .meeting_ns = 0, .share_ns = 1e-3};

Test(binomial, whoever_does_what)
{
    for (int threads = 1; threads <= 4; threads++)
        compare(gradient, false, &(rg_plan_opts){.threads = threads, .mode = RG_TRAIN, .machine = &eager}, 1,
                threads > 1, 0);
    compare(gradient, false, &(rg_plan_opts){.threads = 1, .mode = RG_TRAIN, .no_fuse = true}, 1, 0, 0);
    compare(gradient, false, &(rg_plan_opts){.threads = 1, .mode = RG_TRAIN, .check = true}, 1, 0, 0);
}

/* Where something else needs the starts too, all are kept; a product with the Hessian needs them once. */
Test(binomial, whatever_is_asked)
{
    const rg_plan_opts opts = {.threads = 2, .mode = RG_TRAIN};
    compare(gradient, true, &opts, 0, 0, 0);
    compare(of_gradient, false, &opts, 0, 0, 1e-6);
    compare(along, false, &opts, 1, 0, 1e-6);
    compare(jacobian, false, &opts, 0, 0, 1e-6);
}

/* Bytes of a plan that trains with so many sequences, known when the graph is built or when data is bound. */
static size_t bytes_of_batch(int64_t batch, bool named, size_t keep_bytes)
{
    static float data[T * 64 * H];
    rg_graph *g = rg_graph_new(NULL);
    rg_node *xs = rg_input(g, "xs", RG_F32, RG_SHAPE(T, named ? rg_dim(g, "batch") : batch, H));
    rg_node *ys = rg_nn_gru(xs, "net", H, &(rg_rnn_opts){.keep_bytes = keep_bytes});
    rg_node *norm = rg_square_norm(rg_grad(rg_sum(ys, RG_ALL_AXES, false), rg_params(g)));
    rg_plan *p = must_compile(g, RG_NODES(norm), &(rg_plan_opts){.threads = 1, .mode = RG_TRAIN});
    must(rg_bind_shape(p, xs, data, RG_SHAPE(T, batch, H)));
    must(rg_plan_prepare(p));
    const size_t bytes = rg_plan_bytes(p);
    rg_plan_free(p);
    rg_graph_free(g);
    return bytes;
}

/* A budget is one of bytes whatever the batch. */
Test(binomial, a_batch_known_late)
{
    enum { BUDGET = 100000 };
    for (int64_t batch = 1; batch <= 64; batch *= 4) {
        const size_t all = bytes_of_batch(batch, false, 0), known = bytes_of_batch(batch, false, BUDGET),
                     late = bytes_of_batch(batch, true, BUDGET), least = bytes_of_batch(batch, true, 1);
        cr_expect(late <= least + BUDGET && late <= known + BUDGET / 2,
                  "%d sequences: %zu bytes, %zu where that is known, %zu at least, %zu without a budget", (int)batch,
                  late, known, least, all);
        cr_expect(batch < 16 || 2 * late < all, "%d sequences: %zu bytes, %zu without a budget", (int)batch, late, all);
    }
}

Test(binomial, in_any_order)
{
    size_t n, rows;
    uint64_t random = 7;
    layer all = layer_new(0, false), few = layer_new(9000, false);
    rg_node *a = gradient(&all), *b = gradient(&few);
    float *x = result_of(all.g, a, &(rg_plan_opts){.threads = 1, .mode = RG_TRAIN}, &n, &rows);
    rg_plan *p = must_compile(few.g, RG_NODES(b), &(rg_plan_opts){.threads = 1, .mode = RG_TRAIN});
    must(rg_run(p));
    task_graph tasks;
    cr_assert(task_graph_make(p, &tasks));
    for (int round = 0; round < 3; round++) {
        cr_assert(task_graph_run_shuffled(&tasks, &random));
        cr_assert_eq(memcmp(x, rg_data(p, b), (size_t)rg_shape_count(rg_shape_of(b)) * sizeof *x), 0);
    }
    task_graph_free(&tasks);
    free(x);
    rg_plan_free(p);
    rg_graph_free(all.g);
    rg_graph_free(few.g);
}
