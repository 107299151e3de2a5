/* test_schedule.c - whoever does what and when, every bit stays: for any number of threads, any order of the tasks that
   respects what they read and write, and whatever the plan takes the machine for. */
#include "must.h"

#include "networks.h"
#include "tasks.h"

#include "../runtime/plan.h"

#include <stdlib.h>

/* Everything that can be cut is shared out; nothing is. */
static const rg_machine eager = {.flop_ns = 1, .byte_ns = 1, .meeting_ns = 0, .share_ns = 1e-3},
                        lazy = {.flop_ns = 1e-6, .byte_ns = 1e-6, .meeting_ns = 1e9, .share_ns = 1e12};

/* The hash of everything stored after training; with `parallel` it must have been on several threads. */
static uint64_t trained(network_kind kind, const rg_plan_opts *opts, int steps, bool parallel)
{
    network m = network_new(kind);
    rg_plan *p = must_compile(m.g, RG_NODES(m.loss, m.step), opts);
    cr_assert(network_train(&m, p, 0, steps), "%s: %s", network_names[kind], rg_last_error());
    cr_expect_eq(p->current->parallel, parallel, "%s", network_names[kind]);
    const uint64_t hash = network_hash(&m);
    rg_plan_free(p);
    rg_graph_free(m.g);
    return hash;
}

static void check_threads(network_kind kind)
{
    const int steps = getenv("RETROGRADE_SLOW") ? 1000 : 12;
    const uint64_t want = trained(kind, &(rg_plan_opts){.threads = 1}, steps, false);
    for (int threads = 2; threads <= 8; threads += threads < 4 ? 1 : 4)
        cr_expect_eq(trained(kind, &(rg_plan_opts){.threads = threads, .machine = &eager}, steps, true), want,
                     "%s: %d threads, %d steps", network_names[kind], threads, steps);
}

Test(schedule, mlp_on_one_to_eight_threads, .timeout = 300)
{
    check_threads(MLP);
}
Test(schedule, lenet_on_one_to_eight_threads, .timeout = 300)
{
    check_threads(LENET);
}
Test(schedule, lstm_on_one_to_eight_threads, .timeout = 300)
{
    check_threads(LSTM);
}

Test(schedule, a_measured_machine)
{
    rg_machine m, alone;
    must(rg_machine_measure(2, &m));
    must(rg_machine_measure(1, &alone));
    cr_expect(m.flop_ns > 0 && m.flop_ns < 100, "%g", m.flop_ns);
    cr_expect(m.byte_ns > 0 && m.byte_ns < 100, "%g", m.byte_ns);
    cr_expect(m.meeting_ns > 0 && m.share_ns >= m.meeting_ns, "%g %g", m.meeting_ns, m.share_ns);
    cr_expect_gt(alone.meeting_ns, 0);
    cr_expect_eq(rg_machine_measure(1, NULL), RG_ERR_ARGUMENT);
    network n = network_new(MLP);
    rg_plan *p = must_compile(n.g, RG_NODES(n.loss, n.step), &(rg_plan_opts){.threads = 2, .machine = &m});
    cr_assert(network_train(&n, p, 0, 6), "%s", rg_last_error());
    cr_expect_eq(network_hash(&n), trained(MLP, &(rg_plan_opts){.threads = 1}, 6, false));
    rg_plan_free(p);
    rg_graph_free(n.g);
}

Test(schedule, opposite_machines)
{
    const rg_machine arithmetic = {.flop_ns = 1, .byte_ns = 0, .meeting_ns = 0, .share_ns = 1e4},
                     memory = {.flop_ns = 0, .byte_ns = 1, .meeting_ns = 0, .share_ns = 1e4};
    for (network_kind kind = 0; kind < NETWORKS; kind++) {
        const uint64_t want = trained(kind, &(rg_plan_opts){.threads = 2, .machine = &lazy}, 6, false);
        cr_expect_eq(trained(kind, &(rg_plan_opts){.threads = 2, .machine = &eager}, 6, true), want, "eager, %s",
                     network_names[kind]);
        cr_expect_eq(trained(kind, &(rg_plan_opts){.threads = 3, .machine = &arithmetic}, 6, true), want,
                     "arithmetic, %s", network_names[kind]);
        cr_expect_eq(trained(kind, &(rg_plan_opts){.threads = 3, .machine = &memory}, 6, true), want, "memory, %s",
                     network_names[kind]);
    }
}

/* What takes less time than threads need to meet stays on one, however many are asked for. */
Test(schedule, small_graphs_stay_on_one_thread)
{
    rg_graph *g = rg_graph_new(NULL);
    rg_node *x = rg_input(g, "x", RG_F32, RG_SHAPE(4, 2)), *h = rg_tanh(rg_nn_linear(x, "hidden", 4, NULL));
    rg_node *loss = rg_mean(rg_square(rg_nn_linear(h, "out", 1, NULL)), RG_ALL_AXES, false);
    rg_node *step = rg_sgd(loss, &(rg_sgd_opts){.lr = 0.1});
    for (int threads = 2; threads <= 64; threads *= 2) {
        rg_plan *p = must_compile(g, RG_NODES(loss, step), &(rg_plan_opts){.threads = threads});
        must(rg_plan_prepare(p));
        cr_expect_not(p->current->parallel, "%d threads", threads);
        rg_plan_free(p);
    }
    rg_graph_free(g);
}

/* One plan's tasks in 100 random orders beside another one's runs. */
static void check_orders(network_kind kind, const rg_plan_opts *opts)
{
    enum { ORDERS = 100 };
    network shuffled = network_new(kind), plain = network_new(kind);
    rg_plan *p = must_compile(shuffled.g, RG_NODES(shuffled.loss, shuffled.step), opts),
            *q = must_compile(plain.g, RG_NODES(plain.loss, plain.step), &(rg_plan_opts){.threads = 1});
    uint64_t random = 1;
    for (int i = 0; i < ORDERS; i++) {
        task_graph tasks;
        cr_assert(network_bind(&shuffled, p, i) && task_graph_make(p, &tasks), "%s", rg_last_error());
        cr_assert(task_graph_run_shuffled(&tasks, &random), "%s", rg_last_error());
        task_graph_free(&tasks);
        cr_assert(network_train(&plain, q, i, 1), "%s", rg_last_error());
        cr_assert_eq(value_at(p, shuffled.loss, 0), value_at(q, plain.loss, 0), "%s: order %d", network_names[kind], i);
        cr_assert_eq(network_hash(&shuffled), network_hash(&plain), "%s: order %d", network_names[kind], i);
    }
    rg_plan_free(p);
    rg_plan_free(q);
    rg_graph_free(shuffled.g);
    rg_graph_free(plain.g);
}

Test(schedule, any_order_of_the_tasks)
{
    for (network_kind kind = 0; kind < NETWORKS; kind++) {
        check_orders(kind, &(rg_plan_opts){.threads = 2, .machine = &eager});
        check_orders(kind, &(rg_plan_opts){.threads = 1});
    }
}

/* Two steps between which the plan has its threads meet nowhere do not wait for each other, and neither do they by the
   bytes they touch. */
Test(schedule, what_does_not_meet_does_not_conflict)
{
    for (network_kind kind = 0; kind < NETWORKS; kind++) {
        network m = network_new(kind);
        rg_plan *p = must_compile(m.g, RG_NODES(m.loss, m.step), &(rg_plan_opts){.threads = 4, .machine = &eager});
        task_graph tasks;
        cr_assert(network_bind(&m, p, 0) && task_graph_make(p, &tasks), "%s", rg_last_error());
        size_t beside = 0;
        for (size_t i = 0; i < tasks.n; i++) {
            const task_group *a = &tasks.groups[i];
            const rgi_exec *ea = &p->current->steps[a->step];
            bool met = false;
            for (size_t j = i + 1; j < tasks.n && !met; j++) {
                const task_group *b = &tasks.groups[j];
                const rgi_exec *eb = &p->current->steps[b->step];
                met = b->barrier || b->step <= a->step ||
                      p->program->items[b->step].loop != p->program->items[a->step].loop;
                const bool same_lane = !ea->parallel && !eb->parallel && ea->lane == eb->lane;
                if (met || same_lane)
                    continue;
                beside++;
                for (size_t k = 0; k < a->n_after; k++)
                    cr_expect_neq(a->after[k], j, "%s: steps %u and %u", network_names[kind], a->step, b->step);
            }
        }
        cr_expect(beside > 3, "%s: nothing goes side by side", network_names[kind]);
        task_graph_free(&tasks);
        rg_plan_free(p);
        rg_graph_free(m.g);
    }
}

/* Few outputs are one task of packing the weights, but many of convolving. How many outputs that is depends on the
   vectors. */
Test(schedule, a_step_whose_first_phase_is_one_task_is_shared_out)
{
    enum { IMAGES = 8, CHANNELS = 32, SIDE = 24 };
    float *data = calloc((size_t)IMAGES * CHANNELS * SIDE * SIDE, sizeof *data);
    int seen = 0;
    for (int64_t outputs = 8; outputs <= 32; outputs *= 2) {
        rg_graph *g = rg_graph_new(NULL);
        rg_node *x = rg_input(g, "x", RG_F32, RG_SHAPE(IMAGES, CHANNELS, SIDE, SIDE)),
                *w = rg_input(g, "w", RG_F32, RG_SHAPE(outputs, CHANNELS, 3, 3));
        rg_node *y = rg_conv2d(x, w, NULL, NULL);
        rg_plan *p = must_compile(g, RG_NODES(y), &(rg_plan_opts){.threads = 2});
        must(rg_bind(p, x, data));
        must(rg_bind(p, w, data));
        must(rg_run(p));
        const rgi_exec *e = &p->current->steps[0];
        if (e->tasks[0] == 1) {
            seen++;
            cr_expect_gt(e->tasks[1], 1, "%d outputs: %zu", (int)outputs, e->tasks[1]);
            cr_expect(e->parallel);
            cr_expect(p->current->parallel);
        }
        rg_plan_free(p);
        rg_graph_free(g);
    }
    cr_expect_gt(seen, 0);
    free(data);
}

/* Layers in both directions whose turns hold groups and copies that go by rows, with few rows. */
enum { TURNS = 5, BATCH = 6, CELLS = 256, WIDTH = 40 };

static network turns_new(void)
{
    network m = {.kind = LSTM, .g = rg_graph_new(&(rg_graph_opts){.seed = 7})};
    m.x = rg_input(m.g, "x", RG_F32, RG_SHAPE(TURNS, BATCH, WIDTH));
    rg_node *h = rg_nn_lstm(m.x, "lstm", CELLS, &(rg_rnn_opts){.layers = 2, .bidirectional = true});
    m.loss = rg_mean(rg_square(h), RG_AXES(0, 1, 2), false);
    m.step = rg_sgd(m.loss, &(rg_sgd_opts){.lr = 0.5});
    return m;
}

static rg_plan *turns_plan(const network *m, const rg_plan_opts *opts)
{
    static float data[TURNS * BATCH * WIDTH];
    for (int i = 0; i < TURNS * BATCH * WIDTH; i++)
        data[i] = (float)(i * 37 % 101) / 50 - 1;
    rg_plan *p = must_compile(m->g, RG_NODES(m->loss, m->step), opts);
    must(rg_bind(p, m->x, data));
    return p;
}

/* What is done by rows needs no meetings, however far one thread is ahead of another, and whatever the team. */
Test(schedule, steps_by_rows_need_no_meetings)
{
    const rg_machine meets = {.flop_ns = 1e-3, .byte_ns = 1, .meeting_ns = 1000, .share_ns = 1e-3};
    network m = turns_new(), n = turns_new();
    rg_plan *p = turns_plan(&m, &(rg_plan_opts){.threads = 4, .machine = &meets}),
            *q = turns_plan(&n, &(rg_plan_opts){.threads = 1});
    task_graph tasks;
    cr_assert(task_graph_make(p, &tasks));
    size_t linked = 0, copies = 0;
    for (size_t i = 0; i < p->current->n_steps; i++) {
        const rgi_exec *e = &p->current->steps[i];
        linked += e->linked;
        copies += e->linked && e->kind == RGI_COPY;
        cr_expect(!e->linked || (!e->barrier && e->parallel && e->tasks[0] == BATCH), "step %zu", i);
    }
    cr_expect(linked >= 4 && copies > 0, "%zu, %zu copies", linked, copies);
    for (int i = 0; i < 3; i++) {
        cr_assert(task_graph_run_linked(&tasks));
        must(rg_run(q));
        cr_expect_eq(network_hash(&m), network_hash(&n), "one ahead of the other, %d", i);
    }
    task_graph_free(&tasks);
    rg_plan_free(p);
    for (int threads = 2; threads <= 8; threads++) {
        p = turns_plan(&m, &(rg_plan_opts){.threads = threads, .machine = &meets});
        must(rg_run(p));
        must(rg_run(q));
        cr_expect_eq(network_hash(&m), network_hash(&n), "%d threads", threads);
        rg_plan_free(p);
    }
    rg_plan_free(q);
    rg_graph_free(m.g);
    rg_graph_free(n.g);
}

/* Rows that move on by one in every turn: groups of which a row needs another one are not linked. */
Test(schedule, steps_across_rows_meet)
{
    const rg_machine meets = {.flop_ns = 1e-3, .byte_ns = 1, .meeting_ns = 1000, .share_ns = 1e-3};
    rg_graph *g = rg_graph_new(NULL);
    const rg_param_opts spread = {.init = RG_UNIFORM, .scale = 1};
    rg_node *first = rg_param(g, "first", RG_F32, RG_SHAPE(BATCH, CELLS), &spread),
            *xs = rg_param(g, "xs", RG_F32, RG_SHAPE(TURNS, BATCH, CELLS), &spread);
    rg_scan *s = rg_scan_begin(g, NULL);
    rg_node *x = rg_scan_slice(s, xs), *h = rg_scan_carry(s, first);
    rg_node *a = rg_exp(rg_mul(x, h)), *b = rg_cos(rg_slice(a, 0, 1, BATCH));
    rg_scan_next(s, h, rg_tanh(rg_concat(RG_NODES(b, rg_sin(rg_slice(a, 0, 0, 1))), 0)));
    rg_scan_end(s);
    rg_node *last = rg_scan_last(s, h);
    rg_plan *p = must_compile(g, RG_NODES(last), &(rg_plan_opts){.threads = 4, .mode = RG_EVAL, .machine = &meets}),
            *q = must_compile(g, RG_NODES(last), &(rg_plan_opts){.threads = 1, .mode = RG_EVAL});
    task_graph tasks;
    cr_assert(task_graph_make(p, &tasks));
    cr_assert(task_graph_run_linked(&tasks));
    must(rg_run(q));
    expect_equal_results(p, q, RG_NODES(last), "moved on", "one ahead of the other");
    task_graph_free(&tasks);
    rg_plan_free(p);
    rg_plan_free(q);
    rg_graph_free(g);
}

/* Threads meet before the first of the steps by rows for what only the ones behind it read and write: it needs nothing
   of the product in front, which mixes rows of what the last one writes over. */
Test(schedule, steps_by_rows_wait_for_what_later_ones_need)
{
    enum { WIDE = 1024 };
    const rg_machine meets = {.flop_ns = 1e-3, .byte_ns = 1, .meeting_ns = 1000, .share_ns = 1e-3};
    rg_graph *g = rg_graph_new(NULL);
    const rg_param_opts spread = {.init = RG_UNIFORM, .scale = 1};
    rg_node *first = rg_param(g, "first", RG_F32, RG_SHAPE(BATCH, WIDE), &spread),
            *mix = rg_param(g, "mix", RG_F32, RG_SHAPE(BATCH, BATCH), &spread),
            *xs = rg_param(g, "xs", RG_F32, RG_SHAPE(TURNS, BATCH, WIDE), &spread);
    rg_scan *s = rg_scan_begin(g, NULL);
    rg_node *x = rg_scan_slice(s, xs), *h = rg_scan_carry(s, first), *mixed = rg_matmul(mix, h);
    rg_node *own = rg_slice(rg_exp(rg_mul(x, h)), 1, 0, WIDE / 2);
    rg_node *left = rg_tanh(rg_add(rg_slice(mixed, 1, 0, WIDE / 2), own)),
            *right = rg_cos(rg_mul(rg_slice(mixed, 1, WIDE / 2, WIDE), own));
    rg_scan_next(s, h, rg_concat(RG_NODES(left, right), 1));
    rg_scan_end(s);
    rg_node *last = rg_scan_last(s, h);
    rg_plan *q = must_compile(g, RG_NODES(last), &(rg_plan_opts){.threads = 1, .mode = RG_EVAL});
    must(rg_run(q));
    for (int threads = 2; threads <= BATCH; threads++) {
        rg_plan *p =
            must_compile(g, RG_NODES(last), &(rg_plan_opts){.threads = threads, .mode = RG_EVAL, .machine = &meets});
        must(rg_run(p));
        expect_equal_results(p, q, RG_NODES(last), "threads", "waiting");
        size_t chains = 0;
        for (size_t i = 0; i < p->current->n_steps; i++) {
            const rgi_exec *e = &p->current->steps[i];
            chains += e->chain == 4;
            cr_expect(!e->chain || e->barrier, "%d threads, step %zu", threads, i);
        }
        cr_expect_eq(chains, 1, "%d threads", threads);
        rg_plan_free(p);
    }
    rg_plan_free(q);
    rg_graph_free(g);
}

/* One product, cut across its strips; with a tail where it has a bias and a function. */
static void check_product(rg_dtype dtype, size_t m, size_t n, size_t k, bool a_turned, bool b_turned, size_t batch,
                          bool tail)
{
    rg_graph *g = rg_graph_new(NULL);
    const int64_t B = (int64_t)batch, M = (int64_t)m, N = (int64_t)n, K = (int64_t)k;
    rg_node *a = rg_param(g, "a", dtype, a_turned ? RG_SHAPE(B, K, M) : RG_SHAPE(B, M, K), NULL),
            *b = rg_param(g, "b", dtype, b_turned ? RG_SHAPE(B, N, K) : RG_SHAPE(B, K, N), NULL),
            *bias = rg_param(g, "bias", dtype, RG_SHAPE(N), NULL);
    rg_node *y =
        rg_matmul(a_turned ? rg_transpose(a, RG_AXES(0, 2, 1)) : a, b_turned ? rg_transpose(b, RG_AXES(0, 2, 1)) : b);
    y = tail ? rg_tanh(rg_add(y, bias)) : y;
    rg_plan *q = must_compile(g, RG_NODES(y), &(rg_plan_opts){.threads = 1, .mode = RG_EVAL});
    must(rg_run(q));
    char what[80];
    snprintf(what, sizeof what, "%zu of %zu x %zu x %zu, %d %d %d", batch, m, n, k, a_turned, b_turned, tail);
    for (int threads = 2; threads <= 7; threads++) {
        rg_plan *p =
            must_compile(g, RG_NODES(y), &(rg_plan_opts){.threads = threads, .machine = &eager, .mode = RG_EVAL});
        must(rg_run(p));
        expect_equal_results(p, q, RG_NODES(y), what, "threads");
        task_graph tasks;
        uint64_t random = (uint64_t)threads;
        cr_assert(task_graph_make(p, &tasks) && task_graph_run_shuffled(&tasks, &random));
        expect_equal_results(p, q, RG_NODES(y), what, "tasks in any order");
        size_t most = 0;
        for (size_t i = 0; i < tasks.n; i++)
            most = tasks.groups[i].tasks[0] > most ? tasks.groups[i].tasks[0] : most;
        cr_expect(most >= 16, "%s: %zu tasks", what, most);
        task_graph_free(&tasks);
        rg_plan_free(p);
    }
    rg_plan_free(q);
    rg_graph_free(g);
}

Test(schedule, products_of_few_strips)
{
    for (int turned = 0; turned < 4; turned++) {
        check_product(RG_F32, 32, 256, 70, turned & 1, turned & 2, 1, false);
        check_product(RG_F32, 41, 190, 33, turned & 1, turned & 2, 1, false);
        check_product(RG_F32, 300, 70, 45, turned & 1, turned & 2, 1, false);
        check_product(RG_F32, 21, 50, 600, turned & 1, turned & 2, 3, false);
        check_product(RG_F64, 30, 75, 40, turned & 1, turned & 2, 1, false);
        check_product(RG_F32, 37, 170, 80, turned & 1, turned & 2, 1, true);
    }
}
