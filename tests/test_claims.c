/* test_claims.c - long steps: a thread that is done with its own tasks goes on with those of one that is not, and no
   bit says who did which. */
#include "must.h"

#include <time.h>

enum { TASKS = 64, WIDE = 1000 };

/* A step counts as long with few operations. */
static const rg_machine slow = {.flop_ns = 100, .byte_ns = 100, .meeting_ns = 100, .share_ns = 1000};

static double seconds_of_clock(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* ---- one that is held up ---- */

static uint8_t times[TASKS];
static int begun, held_back;

static void cost(const rg_step *s, rg_cost *out)
{
    (void)s;
    out->tasks[0] = TASKS;
    out->flops = 1e6;
}

/* Task 0 waits until all tasks have begun but those that its own call holds; five seconds at most. */
static rg_status hold(const rg_step *s, size_t lo, size_t hi)
{
    const int64_t *x = s->in[0];
    int64_t *y = s->out[0];
    const int own = (int)(hi - lo);
    __atomic_fetch_add(&begun, own, __ATOMIC_RELAXED);
    if (lo == 0) {
        const double until = seconds_of_clock() + 5;
        while (__atomic_load_n(&begun, __ATOMIC_RELAXED) < TASKS && seconds_of_clock() < until)
            ;
        __atomic_store_n(&held_back, TASKS - __atomic_load_n(&begun, __ATOMIC_RELAXED), __ATOMIC_RELAXED);
    }
    for (size_t i = lo; i < hi; i++) {
        times[i]++;
        y[i] = 2 * x[i];
    }
    return RG_OK;
}

static const rg_op patient = {.name = "patient",
                              .n_in = 1,
                              .n_out = 1,
                              .dtypes = RG_DT(RG_I64),
                              .infer = rg_infer_same,
                              .cost = cost,
                              .run = hold};

Test(claims, others_do_what_one_has_not_come_to, .timeout = 60)
{
    int64_t x[TASKS];
    for (int i = 0; i < TASKS; i++)
        x[i] = 3 * i;
    for (int threads = 2; threads <= 3; threads++) {
        rg_graph *g = rg_graph_new(NULL);
        rg_node *in = rg_input(g, "x", RG_I64, RG_SHAPE(TASKS)), *y = rg_apply(&patient, RG_NODES(in), NULL);
        rg_plan *p = must_compile(g, RG_NODES(y), &(rg_plan_opts){.threads = threads, .machine = &slow});
        must(rg_bind(p, in, x));
        for (int run = 0; run < 3; run++) {
            memset(times, 0, sizeof times);
            begun = 0;
            must(rg_run(p));
            cr_expect_eq(held_back, 0, "%d threads: %d tasks waited for the one that was held up", threads, held_back);
            for (int i = 0; i < TASKS; i++) {
                cr_expect_eq(times[i], 1, "%d threads: task %d ran %d times", threads, i, times[i]);
                cr_expect_eq(value_at(p, y, (size_t)i), 6.0 * i);
            }
        }
        rg_plan_free(p);
        rg_graph_free(g);
    }
}

/* ---- bits ---- */

/* Products, convolutions and groups that are all long: results for two to five threads are those of one. */
Test(claims, bits_do_not_depend_on_who, .timeout = 60)
{
    static float image[4][3][20][20], x[WIDE];
    for (size_t i = 0; i < sizeof image / sizeof(float); i++)
        ((float *)image)[i] = (float)(i * 37 % 101) / 50 - 1;
    for (int i = 0; i < WIDE; i++)
        x[i] = (float)(i * 13 % 29) / 14 - 1;
    rg_graph *g = rg_graph_new(&(rg_graph_opts){.seed = 5});
    rg_node *a = rg_input(g, "image", RG_F32, RG_SHAPE(4, 3, 20, 20)), *b = rg_input(g, "x", RG_F32, RG_SHAPE(WIDE));
    rg_node *h = rg_max_pool2d(rg_relu(rg_nn_conv2d(a, "conv", 8, &(rg_conv_opts){.kernel = {3, 3}})),
                               &(rg_pool_opts){.window = {2, 2}});
    rg_node *y = rg_nn_linear(rg_reshape(h, RG_SHAPE(4, -1)), "fc", 50, NULL);
    rg_node *loss =
        rg_add(rg_mean(rg_square(y), RG_ALL_AXES, false), rg_mean(rg_tanh(rg_outer(b, b)), RG_ALL_AXES, false));
    const rg_nodes params = rg_params(g), grads = rg_grad(loss, params);
    rg_plan *one = must_compile(g, grads, &(rg_plan_opts){.threads = 1});
    must(rg_bind(one, a, image));
    must(rg_bind(one, b, x));
    must(rg_run(one));
    for (int threads = 2; threads <= 5; threads++) {
        rg_plan *p = must_compile(g, grads, &(rg_plan_opts){.threads = threads, .machine = &slow});
        must(rg_bind(p, a, image));
        must(rg_bind(p, b, x));
        for (int run = 0; run < 5; run++) {
            must(rg_run(p));
            expect_equal_results(one, p, grads, "network", "claimed");
        }
        rg_plan_free(p);
    }
    rg_plan_free(one);
    rg_graph_free(g);
}
