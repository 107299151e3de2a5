/* test_train.c - networks that learn: the document's XOR over many seeds, a noisy task with everything at once, and
   training that is saved, loaded and goes on as if nothing had happened. */
#define _DEFAULT_SOURCE

#include <retrograde/retrograde.h>

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void run(rg_plan *p)
{
    cr_assert_eq(rg_run(p), RG_OK, "%s", rg_last_error());
}

/* ---- XOR: 2-4-1, tanh twice, mean squared error, rate 0.1, the four examples at once, 10000 epochs ---- */

static double xor_loss(uint64_t seed)
{
    static const float inputs[4][2] = {{0, 0}, {0, 1}, {1, 0}, {1, 1}}, targets[4][1] = {{0}, {1}, {1}, {0}};
    rg_graph *g = rg_graph_new(&(rg_graph_opts){.seed = seed});
    rg_node *x = rg_input(g, "x", RG_F32, RG_SHAPE(4, 2)), *y = rg_input(g, "y", RG_F32, RG_SHAPE(4, 1));
    rg_node *hidden = rg_tanh(rg_nn_linear(x, "hidden", 4, NULL)), *out = rg_tanh(rg_nn_linear(hidden, "out", 1, NULL));
    rg_node *loss = rg_mse_loss(out, y, NULL), *step = rg_sgd(loss, &(rg_sgd_opts){.lr = 0.1});
    rg_plan *p = rg_compile(g, RG_NODES(loss, step), &(rg_plan_opts){.threads = 1});
    cr_assert(p, "%s", rg_graph_error(g));
    cr_assert(!rg_bind(p, x, inputs) && !rg_bind(p, y, targets));
    for (int epoch = 0; epoch <= 10000; epoch++)
        run(p);
    const double last = *(const float *)rg_data(p, loss);
    rg_plan_free(p);
    rg_graph_free(g);
    return last;
}

Test(train, xor_from_200_seeds)
{
    int learned = 0;
    double worst = 0;
    for (uint64_t seed = 0; seed < 200; seed++) {
        const double loss = xor_loss(seed);
        learned += loss < 0.01;
        worst = loss > worst ? loss : worst;
    }
    cr_assert(learned >= 199, "only %d of 200 seeds learn XOR, the worst loss is %g", learned, worst);
}

/* ---- a ring around a disc, with dropout, Adam, clipping and a schedule ---- */

enum { POINTS = 512, BATCH = 48 };

struct task {
    float points[POINTS][2];
    int32_t label[POINTS];
};

static void task_fill(struct task *t)
{
    uint32_t state = 12345;
    for (int i = 0; i < POINTS; i++) {
        for (int c = 0; c < 2; c++) {
            state = state * 1664525u + 1013904223u;
            t->points[i][c] = (float)(state >> 8) / (1 << 23) - 1;
        }
        t->label[i] = t->points[i][0] * t->points[i][0] + t->points[i][1] * t->points[i][1] > 0.5f;
    }
}

struct net {
    rg_graph *g;
    rg_node *x, *label, *loss, *step, *accuracy;
    rg_plan *train, *test;
};

static struct net net_new(uint64_t seed, int threads)
{
    struct net m = {.g = rg_graph_new(&(rg_graph_opts){.seed = seed})};
    const int64_t batch = rg_dim(m.g, "batch");
    m.x = rg_input(m.g, "x", RG_F32, RG_SHAPE(batch, 2));
    m.label = rg_input(m.g, "label", RG_I32, RG_SHAPE(batch));
    rg_node *h = rg_nn_dropout(rg_relu(rg_nn_linear(m.x, "fc1", 48, NULL)), 0.1);
    rg_node *logits = rg_nn_linear(rg_tanh(rg_nn_linear(h, "fc2", 24, NULL)), "fc3", 2, NULL);
    m.loss = rg_cross_entropy(logits, m.label, NULL);
    m.accuracy = rg_nn_accuracy(logits, m.label);
    rg_node *rate = rg_schedule_warmup(rg_step_counter(m.g, "runs"), 0.01, 20,
                                       rg_schedule_step(rg_find(m.g, "runs"), 0.01, 300, 0.3));
    m.step = rg_adamw(m.loss, &(rg_adam_opts){.lr_node = rate, .clip_norm = 1});
    m.train = rg_compile(m.g, RG_NODES(m.loss, m.step), &(rg_plan_opts){.threads = threads});
    m.test = rg_compile(m.g, RG_NODES(m.loss, m.accuracy), &(rg_plan_opts){.threads = 1, .mode = RG_EVAL});
    cr_assert(m.train && m.test, "%s", rg_graph_error(m.g));
    return m;
}

static void net_train(struct net *m, const struct task *t, int from, int to)
{
    for (int i = from; i < to; i++) {
        const int at = i * BATCH % POINTS,
                  n = POINTS - at < BATCH ? POINTS - at : BATCH; /* the last batch is smaller */
        cr_assert(!rg_bind_shape(m->train, m->x, t->points[at], RG_SHAPE(n, 2)) &&
                  !rg_bind_shape(m->train, m->label, t->label + at, RG_SHAPE(n)));
        run(m->train);
    }
}

static double net_test(struct net *m, const struct task *t, rg_node *what)
{
    cr_assert(!rg_bind_shape(m->test, m->x, t->points, RG_SHAPE(POINTS, 2)) &&
              !rg_bind_shape(m->test, m->label, t->label, RG_SHAPE(POINTS)));
    run(m->test);
    return *(const float *)rg_data(m->test, what);
}

static void net_free(struct net *m)
{
    rg_plan_free(m->train);
    rg_plan_free(m->test);
    rg_graph_free(m->g);
}

Test(train, ring_around_a_disc)
{
    static struct task t;
    task_fill(&t);
    struct net m = net_new(3, 2);
    const double before = net_test(&m, &t, m.loss);
    net_train(&m, &t, 0, 1500);
    const double accuracy = net_test(&m, &t, m.accuracy), after = net_test(&m, &t, m.loss);
    cr_assert(accuracy > 0.97 && after < 0.2 * before, "accuracy %g, loss %g, at first %g", accuracy, after, before);
    net_free(&m);
}

static void expect_same_state(rg_graph *a, rg_graph *b)
{
    const rg_nodes stored = rg_stored(a);
    cr_assert(stored.n > 20 && stored.n == rg_stored(b).n);
    for (size_t i = 0; i < stored.n; i++) {
        const char *name = rg_name(stored.at[i]);
        const rg_tensor x = rg_value(stored.at[i]), y = rg_value(rg_find(b, name));
        cr_assert_eq(memcmp(x.data, y.data, rg_tensor_bytes(&x)), 0, "%s differs", name);
    }
}

/* Weights, moments, counters and draws: all of the state is in the file. */
Test(train, goes_on_from_a_file_to_the_last_bit)
{
    static struct task t;
    char file[] = "/tmp/test_train_XXXXXX";
    const int fd = mkstemp(file);
    cr_assert(fd >= 0);
    close(fd);
    task_fill(&t);
    struct net whole = net_new(3, 1), first = net_new(3, 1), second = net_new(3, 2);
    net_train(&whole, &t, 0, 60);
    net_train(&first, &t, 0, 35);
    cr_assert_eq(rg_save(first.g, file), RG_OK, "%s", rg_last_error());
    net_free(&first);
    cr_assert_eq(rg_load(second.g, file, NULL), RG_OK, "%s", rg_last_error());
    net_train(&second, &t, 35, 60);
    expect_same_state(whole.g, second.g);
    cr_assert_eq(net_test(&second, &t, second.loss), net_test(&whole, &t, whole.loss));
    net_free(&whole);
    net_free(&second);
    remove(file);
}

/* A plan compiled, and run, before the load works with the loaded weights. */
Test(train, plans_see_loaded_weights)
{
    static struct task t;
    char file[] = "/tmp/test_train_XXXXXX";
    const int fd = mkstemp(file);
    cr_assert(fd >= 0);
    close(fd);
    task_fill(&t);
    struct net a = net_new(1, 1), b = net_new(2, 1);
    net_train(&a, &t, 0, 20);
    const double loss = net_test(&a, &t, a.loss), other = net_test(&b, &t, b.loss);
    cr_assert_neq(loss, other);
    cr_assert_eq(rg_save(a.g, file), RG_OK, "%s", rg_last_error());
    cr_assert_eq(rg_load(b.g, file, NULL), RG_OK, "%s", rg_last_error());
    cr_assert_eq(net_test(&b, &t, b.loss), loss);
    net_free(&a);
    net_free(&b);
    remove(file);
}
