/* test_budget.c - plans that fit into so many bytes, by making values again; memory that the caller lends. */
#include "must.h"

#include "count_malloc.h"
#include "networks.h"

#include <stdio.h>
#include <stdlib.h>

enum { BATCH = 64, WIDTH = 64, DEEP = 16 };

static float points[BATCH][WIDTH];

/* A tower of layers with dropout, whose activations wait for the way back. */
static network tower(void)
{
    network m = {.g = rg_graph_new(&(rg_graph_opts){.seed = 3})};
    for (int i = 0; i < BATCH * WIDTH; i++)
        points[i / WIDTH][i % WIDTH] = (float)(i * 37 % 101) / 50 - 1;
    m.x = rg_input(m.g, "x", RG_F32, RG_SHAPE(rg_dim(m.g, "batch"), WIDTH));
    rg_node *h = m.x;
    for (int i = 0; i < DEEP; i++) {
        char name[16];
        snprintf(name, sizeof name, "fc%d", i);
        h = rg_gelu(rg_nn_linear(h, name, WIDTH, NULL));
        h = i % 4 == 1 ? rg_nn_dropout(h, 0.2) : h;
    }
    m.loss = rg_mean(rg_square(h), RG_ALL_AXES, false);
    m.step = rg_adam(m.loss, &(rg_adam_opts){.lr = 1e-3});
    return m;
}

/* A tower of convolutions and batch norms, which have several results. */
static network normed(void)
{
    network m = {.g = rg_graph_new(&(rg_graph_opts){.seed = 3})};
    for (int i = 0; i < BATCH * WIDTH; i++)
        points[i / WIDTH][i % WIDTH] = (float)(i * 37 % 101) / 50 - 1;
    m.x = rg_input(m.g, "x", RG_F32, RG_SHAPE(rg_dim(m.g, "batch"), WIDTH));
    rg_node *h = rg_reshape(m.x, RG_SHAPE(-1, 1, 8, 8));
    for (int i = 0; i < DEEP / 2; i++) {
        char name[16];
        snprintf(name, sizeof name, "conv%d", i);
        h = rg_nn_conv2d(h, name, 4, &(rg_conv_opts){.kernel = {3, 3}, .pad = {1, 1}});
        snprintf(name, sizeof name, "bn%d", i);
        h = rg_relu(rg_nn_batch_norm(h, name, NULL));
    }
    m.loss = rg_mean(rg_square(h), RG_ALL_AXES, false);
    m.step = rg_sgd(m.loss, &(rg_sgd_opts){.lr = 1e-2});
    return m;
}

/* A tower of layers over what one group makes: a layer's input, and sums over it that are read at the end alone. */
static network weighed(void)
{
    network m = {.g = rg_graph_new(&(rg_graph_opts){.seed = 3})};
    for (int i = 0; i < BATCH * WIDTH; i++)
        points[i / WIDTH][i % WIDTH] = (float)(i * 37 % 101) / 50 - 1;
    m.x = rg_input(m.g, "x", RG_F32, RG_SHAPE(rg_dim(m.g, "batch"), WIDTH));
    rg_node *h = rg_tanh(rg_scale(m.x, 0.5)), *weights = rg_mean(rg_square(h), RG_AXES(1), false);
    for (int i = 0; i < DEEP; i++) {
        char name[16];
        snprintf(name, sizeof name, "fc%d", i);
        h = rg_gelu(rg_nn_linear(h, name, WIDTH, NULL));
    }
    m.loss = rg_mean(rg_mul(rg_mean(rg_square(h), RG_AXES(1), false), weights), RG_ALL_AXES, false);
    m.step = rg_sgd(m.loss, &(rg_sgd_opts){.lr = 10});
    return m;
}

/* Trains a few steps of two sizes within a budget; the hash of everything stored, and the bytes the larger took. */
static uint64_t trained(network m, size_t budget, int threads, size_t *bytes)
{
    rg_plan *p = must_compile(m.g, RG_NODES(m.loss, m.step), &(rg_plan_opts){.threads = threads, .budget = budget});
    for (int i = 0; i < 6; i++) {
        must(rg_bind_shape(p, m.x, points, RG_SHAPE(i % 2 ? BATCH / 2 : BATCH, WIDTH)));
        must(rg_run(p));
        *bytes = i % 2 ? *bytes : rg_plan_bytes(p);
    }
    const uint64_t hash = network_hash(&m);
    rg_plan_free(p);
    rg_graph_free(m.g);
    return hash;
}

/* The least that would do, from the error; *scratch: how much of it, and of any other plan of this network on one
   thread, is no value but room that ops work in. */
static size_t least(const network *m, size_t *scratch)
{
    rg_estimate e;
    rg_plan *whole = must_compile(m->g, RG_NODES(m->loss, m->step), &(rg_plan_opts){.threads = 1});
    must(rg_bind_shape(whole, m->x, points, RG_SHAPE(BATCH, WIDTH)));
    must(rg_plan_estimate(whole, NULL, &e));
    *scratch = e.memory - e.values;
    rg_plan_free(whole);
    rg_plan *p = must_compile(m->g, RG_NODES(m->loss, m->step), &(rg_plan_opts){.threads = 1, .budget = 1});
    must(rg_bind_shape(p, m->x, points, RG_SHAPE(BATCH, WIDTH)));
    cr_expect_eq(rg_plan_prepare(p), RG_ERR_MEMORY);
    const char *at = strstr(rg_last_error(), "the least that would do is ");
    cr_assert(at, "%s", rg_last_error());
    rg_plan_free(p);
    return strtoul(at + strlen("the least that would do is "), NULL, 10);
}

Test(budget, equal_bits_in_less_memory)
{
    size_t all, bytes;
    const uint64_t want = trained(tower(), 0, 1, &all);
    network m = tower();
    size_t scratch;
    const size_t floor = least(&m, &scratch);
    rg_graph_free(m.g);
    cr_expect(floor - scratch < (all - scratch) / 2, "%zu of %zu bytes, %zu scratch", floor, all, scratch);
    for (int i = 0; i <= 4; i++) {
        const size_t budget = floor + (all - floor) / 4 * (size_t)i;
        cr_expect_eq(trained(tower(), budget, 1, &bytes), want, "%zu of %zu bytes", budget, all);
        cr_expect(bytes <= budget, "%zu bytes, the budget is %zu", bytes, budget);
    }
    trained(tower(), 0, 2, &bytes); /* what goes side by side takes more */
    cr_expect_eq(trained(tower(), bytes - bytes / 8, 2, &bytes), want);
    cr_expect_eq(trained(tower(), 2 * all, 1, &bytes), want);
    cr_expect_eq(bytes, all, "nothing is made again without need");
}

/* Batch norms are made again as everything else is. */
Test(budget, several_results)
{
    size_t all, bytes, scratch;
    const uint64_t want = trained(normed(), 0, 1, &all);
    network m = normed();
    const size_t floor = least(&m, &scratch);
    rg_graph_free(m.g);
    cr_expect(floor - scratch < (all - scratch) / 2, "%zu of %zu bytes, %zu scratch", floor, all, scratch);
    for (int i = 0; i < 3; i++) {
        const size_t budget = floor + (all - floor) / 4 * (size_t)i;
        cr_expect_eq(trained(normed(), budget, 1, &bytes), want, "%zu of %zu bytes", budget, all);
        cr_expect(bytes <= budget, "%zu bytes, the budget is %zu", bytes, budget);
    }
    trained(normed(), 0, 2, &bytes);
    cr_expect_eq(trained(normed(), bytes - bytes / 8, 2, &bytes), want);
}

/* A sum behind a group is made again for who reads it, and is of no use where the group was made first. */
Test(budget, sums_read_late)
{
    size_t all, bytes, scratch;
    const uint64_t want = trained(weighed(), 0, 1, &all);
    network m = weighed();
    const size_t floor = least(&m, &scratch);
    rg_graph_free(m.g);
    for (int i = 0; i < 3; i++) {
        const size_t budget = floor + (all - floor) / 3 * (size_t)i;
        cr_expect_eq(trained(weighed(), budget, 1 + i % 2, &bytes), want, "%zu of %zu bytes", budget, all);
        cr_expect(bytes <= budget, "%zu bytes, the budget is %zu", bytes, budget);
    }
}

/* What the error names is enough, and a byte less is not. */
Test(budget, the_least_that_would_do)
{
    network m = tower();
    size_t scratch;
    const size_t floor = least(&m, &scratch);
    for (size_t missing = 0; missing < 2; missing++) {
        rg_plan *p =
            must_compile(m.g, RG_NODES(m.loss, m.step), &(rg_plan_opts){.threads = 1, .budget = floor - missing});
        must(rg_bind_shape(p, m.x, points, RG_SHAPE(BATCH, WIDTH)));
        cr_expect_eq(rg_run(p), missing ? RG_ERR_MEMORY : RG_OK);
        if (missing) { /* fewer rows fit */
            must(rg_bind_shape(p, m.x, points, RG_SHAPE(BATCH / 2, WIDTH)));
            must(rg_run(p));
        }
        rg_plan_free(p);
    }
    rg_graph_free(m.g);
}

/* Networks with convolutions and recurrences, as tight as they go. */
Test(budget, networks)
{
    for (network_kind kind = 0; kind < NETWORKS; kind++) {
        size_t all = 0, bytes = 0;
        uint64_t want = 0;
        for (int percent = 100; percent >= 50; percent -= 10) {
            network m = network_new(kind);
            rg_plan *p = must_compile(m.g, RG_NODES(m.loss, m.step),
                                      &(rg_plan_opts){.threads = 1, .budget = all * (size_t)percent / 100});
            const bool ok = network_train(&m, p, 0, 6);
            const uint64_t hash = network_hash(&m);
            bytes = rg_plan_bytes(p);
            rg_plan_free(p);
            rg_graph_free(m.g);
            cr_expect(ok || strstr(rg_last_error(), "least that would do"), "%s", rg_last_error());
            if (!ok)
                break;
            all = all ? all : bytes;
            want = want ? want : hash;
            cr_expect_eq(hash, want, "%s in %d %%", network_names[kind], percent);
        }
        cr_expect(all > 0);
    }
}

Test(budget, runs_allocate_nothing)
{
    if (!count_malloc_works())
        cr_skip_test("malloc cannot be interposed here");
    network m = tower();
    size_t scratch;
    rg_plan *p =
        must_compile(m.g, RG_NODES(m.loss, m.step), &(rg_plan_opts){.threads = 1, .budget = least(&m, &scratch)});
    must(rg_bind_shape(p, m.x, points, RG_SHAPE(BATCH, WIDTH)));
    must(rg_plan_prepare(p));
    const size_t before = count_malloc();
    must(rg_run(p));
    must(rg_run(p));
    cr_expect_eq(count_malloc(), before);
    rg_plan_free(p);
    rg_graph_free(m.g);
}

/* Memory of the caller: exactly as much as the plan says, between bytes that stay. */
Test(budget, lent_memory)
{
    enum { EDGE = 64 };
    network m = tower(), other = tower();
    rg_plan *p = must_compile(m.g, RG_NODES(m.loss, m.step), &(rg_plan_opts){.threads = 1}),
            *q = must_compile(other.g, RG_NODES(other.loss, other.step), &(rg_plan_opts){.threads = 1});
    must(rg_bind_shape(q, other.x, points, RG_SHAPE(BATCH, WIDTH)));
    must(rg_run(q));
    const size_t need = rg_plan_bytes(q), room = (need + 63) / 64 * 64 + (size_t)2 * EDGE;
    char *memory = aligned_alloc(64, room);
    cr_assert(memory);
    memset(memory, 77, room);
    cr_expect_eq(rg_plan_memory(NULL, memory, need), RG_ERR_ARGUMENT);
    cr_expect_eq(rg_plan_memory(p, memory + 8, need), RG_ERR_ARGUMENT);
    rg_plan *crowd = must_compile(m.g, RG_NODES(m.loss, m.step), &(rg_plan_opts){.threads = 1000});
    must(rg_plan_memory(crowd, memory + EDGE, need));
    must(rg_bind_shape(crowd, m.x, points, RG_SHAPE(BATCH, WIDTH)));
    cr_expect_eq(rg_plan_prepare(crowd), RG_ERR_MEMORY);
    cr_expect(strstr(rg_last_error(), "as scratch of 1000 threads; it was given "), "%s", rg_last_error());
    rg_plan_free(crowd);
    must(rg_plan_memory(p, memory + EDGE, need - 1));
    must(rg_bind_shape(p, m.x, points, RG_SHAPE(BATCH, WIDTH)));
    cr_expect_eq(rg_run(p), RG_ERR_MEMORY);
    char text[32];
    snprintf(text, sizeof text, "needs %zu bytes", need);
    cr_expect(strstr(rg_last_error(), text), "%s", rg_last_error());
    must(rg_plan_memory(p, memory + EDGE, need));
    must(rg_run(p));
    cr_expect_eq(value_at(p, m.loss, 0), value_at(q, other.loss, 0));
    cr_expect_eq(network_hash(&m), network_hash(&other));
    const char *at = rg_data(p, m.loss);
    cr_expect(at >= memory + EDGE && at < memory + EDGE + need, "the loss lies elsewhere");
    cr_expect(rg_bind_shape(p, m.x, memory + EDGE, RG_SHAPE(BATCH, WIDTH)), "inputs inside of it are refused");
    for (size_t i = 0; i < EDGE; i++)
        cr_expect(memory[i] == 77 && memory[EDGE + need + i] == 77, "byte %zu beside it", i);
    must(rg_plan_memory(p, NULL, 0));
    cr_expect_null(rg_data(p, m.loss));
    must(rg_run(p));
    must(rg_run(q));
    cr_expect_eq(network_hash(&m), network_hash(&other));
    rg_plan_free(p);
    rg_plan_free(q);
    rg_graph_free(m.g);
    rg_graph_free(other.g);
    free(memory);
}

/* Layers that follow each other hold more memory than one after the other: where a budget leaves no room for it, they
   do not. */
Test(budget, loops_side_by_side)
{
    enum { STEPS = 60, FEATURES = 4, PLANS = 3 };
    static const rg_machine machine = {.flop_ns = 1, .byte_ns = 1, .meeting_ns = 5000, .share_ns = 1e-3};
    static float data[STEPS][FEATURES];
    rg_graph *g = rg_graph_new(&(rg_graph_opts){.seed = 3});
    rg_node *xs = rg_input(g, "xs", RG_F32, RG_SHAPE(STEPS, 1, FEATURES)),
            *loss = rg_sum(rg_square(rg_nn_lstm(xs, "net", 16, &(rg_rnn_opts){.layers = 2})), RG_ALL_AXES, false);
    const rg_nodes d = rg_grad(loss, rg_params(g));
    for (size_t i = 0; i < STEPS * FEATURES; i++)
        data[i / FEATURES][i % FEATURES] = (float)(i * 37 % 101) / 50 - 1;
    rg_plan *plans[PLANS];
    size_t bytes = 0;
    for (size_t k = 0; k < PLANS; k++) {
        const size_t budget = k == 0 ? (size_t)1 << 30 : k == 1 ? bytes - 1 : bytes / 20 * 19;
        plans[k] = must_compile(g, d, &(rg_plan_opts){.threads = 2, .machine = &machine, .budget = budget});
        must(rg_bind(plans[k], xs, data));
        must(rg_run(plans[k]));
        bytes = k == 0 ? rg_plan_bytes(plans[k]) : bytes;
        cr_expect_leq(rg_plan_bytes(plans[k]), budget);
        char *text = rg_plan_dump(plans[k]);
        cr_expect_eq(strstr(text, "side by side") != NULL, k == 0, "%s", text);
        rg_text_free(text);
        for (size_t i = 0; i < d.n; i++) {
            rg_tensor a, b;
            must(rg_result(plans[0], d.at[i], &a));
            must(rg_result(plans[k], d.at[i], &b));
            cr_expect(memcmp(a.data, b.data, (size_t)rg_shape_count(a.shape) * sizeof(float)) == 0, "%zu: %zu", k, i);
        }
    }
    for (size_t k = 0; k < PLANS; k++)
        rg_plan_free(plans[k]);
    rg_graph_free(g);
}

/* What several threads do at once is alive at once: where that does not fit, fewer do it, and the error says the least
   over all their numbers. */
Test(budget, fewer_threads)
{
    enum { STEPS = 12, ROWS = 16, FEATURES = 24, THREADS = 4 };
    static const rg_machine machine = {.flop_ns = 1, .byte_ns = 1, .meeting_ns = 100, .share_ns = 1e-3};
    static float data[STEPS][ROWS][FEATURES];
    rg_graph *g = rg_graph_new(&(rg_graph_opts){.seed = 3});
    rg_node *xs = rg_input(g, "xs", RG_F32, RG_SHAPE(STEPS, ROWS, FEATURES)),
            *loss = rg_sum(rg_square(rg_nn_lstm(xs, "net", 48, &(rg_rnn_opts){.layers = 2})), RG_ALL_AXES, false);
    const rg_nodes d = rg_grad(loss, rg_params(g));
    for (size_t i = 0; i < STEPS * ROWS * FEATURES; i++)
        ((float *)data)[i] = (float)(i * 37 % 101) / 50 - 1;
    rg_plan_opts opts = {.threads = THREADS, .machine = &machine};
    rg_plan *all = must_compile(g, d, &opts);
    must(rg_bind(all, xs, data));
    must(rg_run(all));
    opts.budget = 1;
    rg_plan *none = must_compile(g, d, &opts);
    must(rg_bind(none, xs, data));
    cr_expect_eq(rg_run(none), RG_ERR_MEMORY);
    const char *text = strstr(rg_last_error(), "least that would do is ");
    cr_assert(text, "%s", rg_last_error());
    const size_t floor = strtoull(text + strlen("least that would do is "), NULL, 10);
    rg_plan_free(none);
    for (size_t missing = 0; missing < 2; missing++) {
        opts.budget = floor - missing;
        rg_plan *p = must_compile(g, d, &opts);
        must(rg_bind(p, xs, data));
        cr_expect_eq(rg_run(p), missing ? RG_ERR_MEMORY : RG_OK);
        char *dump = missing ? NULL : rg_plan_dump(p);
        cr_expect(missing || strstr(dump, " 1 threads"), "%s", dump);
        rg_text_free(dump);
        for (size_t i = 0; !missing && i < d.n; i++) {
            rg_tensor a, b;
            must(rg_result(all, d.at[i], &a));
            must(rg_result(p, d.at[i], &b));
            cr_expect(memcmp(a.data, b.data, (size_t)rg_shape_count(a.shape) * sizeof(float)) == 0, "%zu", i);
        }
        rg_plan_free(p);
    }
    rg_plan_free(all);
    rg_graph_free(g);
}

/* What not even one thread could keep is not looked for with half of them, a quarter, and so on. */
Test(budget, which_nobody_keeps_is_given_up_soon)
{
    static const rg_machine machine = {.flop_ns = 1, .byte_ns = 1, .meeting_ns = 100, .share_ns = 1e-3};
    static float data[16][24];
    size_t calls[2];
    for (size_t k = 0; k < 2; k++) {
        rg_graph *g = rg_graph_new(NULL);
        rg_node *x = rg_input(g, "x", RG_F32, RG_SHAPE(16, 24)), *h = rg_tanh(rg_nn_linear(x, "a", 32, NULL)),
                *loss = rg_sum(rg_square(rg_tanh(rg_nn_linear(h, "b", 32, NULL))), RG_ALL_AXES, false);
        const rg_plan_opts opts = {.threads = k ? 64 : 2, .machine = &machine, .budget = 1};
        rg_plan *p = must_compile(g, rg_grad(loss, rg_params(g)), &opts);
        must(rg_bind(p, x, data));
        const size_t before = count_malloc();
        cr_expect_eq(rg_run(p), RG_ERR_MEMORY);
        calls[k] = count_malloc() - before;
        rg_plan_free(p);
        rg_graph_free(g);
    }
    cr_expect(!count_malloc_works() || (calls[0] && calls[1] < 2 * calls[0]), "%zu and %zu allocations", calls[0],
              calls[1]);
}
