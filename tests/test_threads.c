/* test_threads.c - equal bits for any number of threads, and manners as a guest: in a parallel region, in a child of
   fork, in many forks of a plan at once. */
#include "must.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
#include <xxhash.h>

#ifdef _OPENMP
#include <omp.h>
#endif

enum { BATCH = 64, IN = 40, HIDDEN = 96, OUT = 10, ROWS = 512 };

static float points[ROWS][IN];
static int64_t labels[ROWS];

typedef struct model {
    rg_graph *g;
    rg_node *x, *t, *loss, *step, *logits;
} model;

/* Before any thread: models are made inside parallel regions too. */
__attribute__((constructor)) static void fill_data(void)
{
    for (int i = 0; i < ROWS; i++) {
        for (int k = 0; k < IN; k++)
            points[i][k] = (float)((i * 31 + k * 17 + i * k) % 23) / 11.5f - 1;
        labels[i] = (i * 7 + i / 10) % OUT;
    }
}

static model model_new(void)
{
    model m = {.g = rg_graph_new(&(rg_graph_opts){.seed = 42})};
    m.x = rg_input(m.g, "x", RG_F32, RG_SHAPE(rg_dim(m.g, "batch"), IN));
    m.t = rg_input(m.g, "t", RG_I64, RG_SHAPE(rg_dim(m.g, "batch")));
    rg_node *h = rg_nn_dropout(rg_tanh(rg_nn_linear(m.x, "fc1", HIDDEN, NULL)), 0.1);
    h = rg_relu(rg_nn_linear(h, "fc2", HIDDEN, NULL));
    m.logits = rg_nn_linear(h, "fc3", OUT, NULL);
    m.loss = rg_cross_entropy(m.logits, m.t, NULL);
    m.step = rg_adam(m.loss, &(rg_adam_opts){.lr = 1e-3});
    return m;
}

static uint64_t hash_of(rg_graph *g)
{
    uint64_t h = 0;
    const rg_nodes all = rg_stored(g);
    for (size_t i = 0; i < all.n; i++) {
        const rg_tensor t = rg_value(all.at[i]);
        h = XXH64(t.data, rg_tensor_bytes(&t), h);
    }
    return h;
}

/* No assertion: it also runs in a child and inside parallel regions. */
static bool train(const model *m, rg_plan *p, int steps)
{
    for (int i = 0; i < steps; i++) {
        const int64_t at = i * BATCH % ROWS, n = i % 5 == 4 ? BATCH / 2 + 1 : BATCH; /* an odd batch now and then */
        if (rg_bind_shape(p, m->x, points[at], RG_SHAPE(n, IN)) || rg_bind_shape(p, m->t, labels + at, RG_SHAPE(n)) ||
            rg_run(p))
            return false;
    }
    return true;
}

/* The hash of everything stored after training, 0 on failure. */
static uint64_t trained(int threads, int steps, bool no_fuse)
{
    model m = model_new();
    rg_plan *p = rg_compile(m.g, RG_NODES(m.loss, m.step), &(rg_plan_opts){.threads = threads, .no_fuse = no_fuse});
    const uint64_t h = p && train(&m, p, steps) ? hash_of(m.g) : 0;
    rg_plan_free(p);
    rg_graph_free(m.g);
    return h;
}

/* Every row three times and batches of both sizes; a bit that differs in any step differs at the end. More threads than
   processors wait for these at each meeting, milliseconds where others work there too. */
static int steps_of(void)
{
    return getenv("RETROGRADE_SLOW") ? 200 : 30;
}

Test(threads, training_is_equal_for_one_to_four)
{
    const int steps = steps_of();
    const uint64_t one = trained(1, steps, false);
    cr_assert(one, "%s", rg_last_error());
    for (int n = 2; n <= 4; n++)
        cr_expect_eq(trained(n, steps, false), one, "%d threads", n);
    cr_expect_eq(trained(0, steps, false), one, "the default number");
}

Test(threads, training_is_equal_unfused)
{
    const int steps = steps_of();
    const uint64_t fused = trained(1, steps, false);
    cr_assert(fused);
    cr_expect_eq(trained(1, steps, true), fused);
    cr_expect_eq(trained(2, steps, true), fused);
}

#ifdef _OPENMP

Test(threads, inside_a_callers_region, .timeout = 60)
{
    const uint64_t want = trained(1, 20, false);
    uint64_t got[3] = {0};
#pragma omp parallel num_threads(2)
    {
#pragma omp single
        got[0] = trained(2, 20, false);
    }
#pragma omp parallel num_threads(2)
    {
        const uint64_t h = trained(4, 20, false);
#pragma omp critical
        got[1 + omp_get_thread_num()] = h;
    }
    cr_assert(want);
    cr_expect_eq(got[0], want, "one thread of a team");
    cr_expect_eq(got[1], want, "every thread of a team");
    cr_expect(got[2] == want || got[2] == 0);
}

/* The caller may lower the number of threads after the plan was made. (Suites whose names end with `_in_small_teams`
   are run with three threads at most.) */
Test(threads, a_smaller_team_than_asked_for, .timeout = 60)
{
    enum { THREADS = 64 };
    const uint64_t want = trained(1, 20, false);
    int team = 0;
    omp_set_dynamic(1); /* no more threads than processors */
#pragma omp parallel num_threads(THREADS)
#pragma omp single
    team = omp_get_num_threads();
    cr_expect_lt(team, THREADS);
    cr_expect_eq(trained(THREADS, 20, false), want, "a team of %d", team);
    omp_set_dynamic(0);
}

#endif

Test(threads, in_a_child_of_fork, .timeout = 60)
{
    const uint64_t want = trained(2, 20, false); /* OpenMP's threads exist now, and do not in the child */
    cr_assert(want);
    const pid_t child = fork();
    cr_assert(child >= 0);
    if (child == 0) {
        alarm(30);
        _exit(trained(2, 20, false) == want ? 0 : 1);
    }
    int status = -1;
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_expect(WIFEXITED(status), "the child hung or crashed: %d", status);
    cr_expect_eq(WEXITSTATUS(status), 0, "other bits");
    cr_expect_eq(trained(2, 20, false), want, "the parent goes on");
}

/* Trains 10 steps, then 10 more, in a child if asked; the hash after it. */
static bool trained_across_a_fork(bool in_child, uint64_t want, uint64_t *hash)
{
    model m = model_new();
    rg_plan *p = rg_compile(m.g, RG_NODES(m.loss, m.step), &(rg_plan_opts){.threads = 2});
    bool ok = p && train(&m, p, 10);
    const pid_t child = ok && in_child ? fork() : -1;
    if (child == 0) {
        alarm(30);
        _exit(train(&m, p, 10) && hash_of(m.g) == want ? 0 : 1);
    }
    int status = -1;
    if (child > 0)
        ok = waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0;
    ok = ok && train(&m, p, 10);
    *hash = hash_of(m.g);
    rg_plan_free(p);
    rg_graph_free(m.g);
    return ok;
}

Test(threads, a_plan_from_before_the_fork, .timeout = 60)
{
    uint64_t want, parent;
    cr_assert(trained_across_a_fork(false, 0, &want), "%s", rg_last_error());
    cr_expect(trained_across_a_fork(true, want, &parent), "the child");
    cr_expect_eq(parent, want, "the parent after the fork");
}

/* ---- forks of a plan ---- */

typedef struct worker {
    pthread_t thread;
    const model *m;
    rg_plan *p;
    int index;
    bool ok;
    uint64_t hash;
} worker;

static void *predict(void *argument)
{
    worker *w = argument;
    w->ok = true;
    for (int i = 0; i < 50 && w->ok; i++) {
        const int64_t n = 1 + (w->index * 13 + i) % BATCH;
        w->ok = !rg_bind_shape(w->p, w->m->x, points[w->index], RG_SHAPE(n, IN)) && !rg_run(w->p);
        rg_tensor t;
        w->ok = w->ok && !rg_result(w->p, w->m->logits, &t);
        if (w->ok)
            w->hash = XXH64(t.data, rg_tensor_bytes(&t), w->hash);
    }
    return NULL;
}

Test(threads, forks_on_many_threads)
{
    enum { WORKERS = 64 };
    model m = model_new();
    rg_plan *p = must_compile(m.g, RG_NODES(m.logits), &(rg_plan_opts){.threads = 1, .mode = RG_EVAL});
    worker alone[WORKERS], together[WORKERS];
    for (int i = 0; i < WORKERS; i++) {
        rg_plan *fork_of_p = rg_plan_fork(p);
        cr_assert(fork_of_p);
        alone[i] = (worker){.m = &m, .p = p, .index = i};
        together[i] = (worker){.m = &m, .p = fork_of_p, .index = i};
        predict(&alone[i]);
        cr_assert(alone[i].ok, "%s", rg_last_error());
    }
    for (int i = 0; i < WORKERS; i++)
        cr_assert_eq(pthread_create(&together[i].thread, NULL, predict, &together[i]), 0);
    rg_plan_free(p);
    for (int i = 0; i < WORKERS; i++) {
        pthread_join(together[i].thread, NULL);
        cr_expect(together[i].ok);
        cr_expect_eq(together[i].hash, alone[i].hash, "fork %d", i);
    }
    rg_graph_free(m.g);
    for (int i = 0; i < WORKERS; i++)
        rg_plan_free(together[i].p);
}

static void *train_fork(void *argument)
{
    worker *w = argument;
    w->ok = train(w->m, w->p, 20);
    return NULL;
}

/* Forks of a training plan train private copies: all alike, and the shared parameters stay. */
Test(threads, forks_that_train)
{
    enum { WORKERS = 3 };
    model m = model_new();
    rg_plan *p = must_compile(m.g, RG_NODES(m.loss, m.step), &(rg_plan_opts){.threads = 1});
    const uint64_t before = hash_of(m.g);
    worker w[WORKERS];
    for (int i = 0; i < WORKERS; i++) {
        w[i] = (worker){.m = &m, .p = rg_plan_fork(p), .index = i};
        cr_assert(w[i].p);
        cr_assert_eq(pthread_create(&w[i].thread, NULL, train_fork, &w[i]), 0);
    }
    float last[WORKERS];
    for (int i = 0; i < WORKERS; i++) {
        pthread_join(w[i].thread, NULL);
        cr_assert(w[i].ok);
        last[i] = *(const float *)rg_data(w[i].p, m.loss);
        cr_expect_eq(last[i], last[0]);
        rg_plan_free(w[i].p);
    }
    cr_expect_eq(hash_of(m.g), before);
    cr_assert(train(&m, p, 20));
    cr_expect_eq(*(const float *)rg_data(p, m.loss), last[0]);
    cr_expect_neq(hash_of(m.g), before);
    rg_plan_free(p);
    rg_graph_free(m.g);
}
