/* test_trial.c - a short plan finds out whether it is over sooner on one thread than on its team. */
#include "must.h"

#include <time.h>

#include "../runtime/run/trial.h"

/* ---- which way is taken ---- */

/* Runs whose times are known; returns how many of them one thread did. */
static uint32_t runs(rgi_trial *t, uint32_t n, uint64_t team, uint64_t alone)
{
    uint32_t by_one = 0;
    for (uint32_t i = 0; i < n; i++) {
        const bool one = rgi_trial_alone(t);
        by_one += one;
        rgi_trial_note(t, rgi_trial_times(t) ? one ? alone : team : 0);
    }
    return by_one;
}

Test(trial, the_faster_way_is_taken)
{
    rgi_trial t = {.at = 0};
    cr_expect_eq(runs(&t, RGI_TRIED, 10, 5), 0, "the team comes first");
    cr_expect_eq(runs(&t, RGI_TRIED, 10, 5), RGI_TRIED);
    cr_expect_eq(runs(&t, RGI_FIRST_REST, 10, 5), RGI_FIRST_REST);
    const uint32_t many = 1000 * 1000, alone = runs(&t, many, 10, 5);
    cr_expect(many - alone < many / 500, "%u of %u runs were slow", many - alone, many);
    const uint32_t later = runs(&t, many, 5, 10);
    cr_expect(later < 3 * RGI_LAST_REST, "one thread went on for %u runs", later);
    cr_expect(runs(&t, many, 5, 10) < many / 500);
}

/* What is as good is not taken instead; runs that something else has disturbed do not count. */
Test(trial, no_way_is_left_for_nothing)
{
    rgi_trial t = {.at = 0};
    const uint32_t many = 100 * 1000;
    cr_expect(runs(&t, many, 100, 98) < many / 50);
    rgi_trial disturbed = {.at = 0};
    static const uint64_t team[RGI_TRIED] = {900, 10, 9, 800, 11}, one[RGI_TRIED] = {30, 25, 5, 700, 30};
    for (int i = 0; i < RGI_TRIED; i++)
        rgi_trial_note(&disturbed, team[i]);
    for (int i = 0; i < RGI_TRIED; i++)
        rgi_trial_note(&disturbed, one[i]);
    cr_expect(!rgi_trial_alone(&disturbed));
}

/* ---- of sizes ---- */

/* A run of sizes with so much work; whether one thread did it. */
static bool run_sizes(rgi_trials *all, rgi_own_trial *own, double team, double alone)
{
    const bool one = rgi_trial_alone(rgi_trial_of(all, own));
    rgi_trials_note(all, own, (uint64_t)(own->work * (one ? alone : team)));
    return one;
}

/* No size comes a second time, and none is like another; sizes of other kinds know nothing of it. */
Test(trial, sizes_that_never_come_again_are_tried_together)
{
    static rgi_trials all;
    const int many = 10 * 1000;
    int small_by_one = 0, large_by_one = 0;
    for (int i = 0; i < many; i++) {
        rgi_own_trial small = {.work = 5000 + i * 37 % 2900}, large = {.work = 70000 + i * 1009 % 50000};
        small_by_one += run_sizes(&all, &small, 1.4, 1);
        large_by_one += run_sizes(&all, &large, 0.6, 1);
    }
    cr_expect(many - small_by_one < many / 50, "%d small ones were slow", many - small_by_one);
    cr_expect(large_by_one < many / 50, "%d large ones were slow", large_by_one);
}

/* Such sizes are not like most with as much work, which begin with what those have found. */
Test(trial, sizes_that_come_often_are_tried_by_themselves)
{
    static rgi_trials all;
    for (int i = 0; i < 1000; i++) {
        rgi_own_trial strange = {.work = 5000 + i};
        (void)run_sizes(&all, &strange, 1.4, 1);
    }
    rgi_own_trial same = {.work = 5500}, odd = same;
    const int many = 1000;
    int same_by_team = 0, odd_by_one = 0;
    for (int i = 0; i < many; i++)
        same_by_team += !run_sizes(&all, &same, 1.4, 1);
    for (int i = 0; i < many; i++)
        odd_by_one += run_sizes(&all, &odd, 0.6, 1);
    cr_expect(same_by_team < many / 20, "%d", same_by_team);
    cr_expect(odd_by_one < RGI_STRANGE + many / 20, "%d", odd_by_one);
}

/* ---- plans ---- */

#ifdef _OPENMP /* else there is no team */

enum { TASKS = 16, RUNS = 100 };

static bool team_is_slow; /* else one thread is */
static bool fails;
static double flops;
static int by_one, parts;

static void be_slow(void)
{
    const struct timespec longer_than_one_thread_takes = {.tv_nsec = 20 * 1000 * 1000};
    nanosleep(&longer_than_one_thread_takes, NULL);
}

static void cost(const rg_step *s, rg_cost *out)
{
    (void)s;
    out->tasks[0] = TASKS;
    out->flops = flops;
}

static rg_status twice(const rg_step *s, size_t lo, size_t hi)
{
    const int64_t *x = s->in[0];
    int64_t *y = s->out[0];
    const bool one = hi - lo == TASKS;
    __atomic_fetch_add(one ? &by_one : &parts, 1, __ATOMIC_RELAXED);
    if (fails)
        return RG_ERR_STATE;
    if (one != team_is_slow)
        be_slow();
    for (size_t i = lo; i < hi; i++)
        y[i] = 2 * x[i];
    return RG_OK;
}

static const rg_op moody = {.name = "moody",
                            .n_in = 1,
                            .n_out = 1,
                            .dtypes = RG_DT(RG_I64),
                            .infer = rg_infer_same,
                            .cost = cost,
                            .run = twice};

typedef struct subject {
    rg_plan *p;
    rg_node *in, *y;
    int64_t x[TASKS + RUNS]; /* of which so many as there are tasks count */
} subject;

static void begin(subject *s, bool slow_team, const rg_plan_opts *opts)
{
    rg_graph *g = rg_graph_new(NULL);
    s->in = rg_input(g, "x", RG_I64, RG_SHAPE(rg_dim(g, "n")));
    s->y = rg_apply(&moody, RG_NODES(s->in), NULL);
    s->p = must_compile(g, RG_NODES(s->y), opts);
    must(rg_bind_shape(s->p, s->in, s->x, RG_SHAPE(TASKS)));
    team_is_slow = slow_team;
    fails = false;
    flops = 1e6;
    by_one = parts = 0;
}

static void end(subject *s)
{
    rg_graph *g = rg_graph_of(s->y);
    rg_plan_free(s->p);
    rg_graph_free(g);
}

static void run(subject *s, int n)
{
    for (int run = 0; run < n; run++) {
        for (int i = 0; i < TASKS; i++)
            s->x[i] = run + 3 * i;
        must(rg_run(s->p));
        for (int i = 0; i < TASKS; i++)
            cr_expect_eq(value_at(s->p, s->y, (size_t)i), 2.0 * (run + 3 * i), "run %d, element %d", run, i);
    }
}

Test(trial, plans_leave_a_slow_team, .timeout = 60)
{
    subject s;
    begin(&s, true, &(rg_plan_opts){.threads = 2});
    run(&s, RUNS);
    cr_expect(by_one > RUNS * 8 / 10, "one thread did %d of %d runs though the team is slow", by_one, RUNS);
    cr_expect(parts >= 2 * RGI_TRIED, "the team was never tried");
    char *text = rg_plan_dump(s.p);
    cr_expect(strstr(text, ", 2 threads (one alone is faster), "), "%s", text);
    rg_text_free(text);
    end(&s);
}

Test(trial, plans_try_one_thread, .timeout = 60)
{
    subject s;
    begin(&s, false, &(rg_plan_opts){.threads = 2});
    run(&s, RUNS);
    cr_expect(by_one >= RGI_TRIED, "one thread was never tried");
    end(&s);
}

/* No size comes a second time. */
Test(trial, plans_of_ever_new_sizes_leave_a_slow_team, .timeout = 60)
{
    subject s;
    begin(&s, true, &(rg_plan_opts){.threads = 2});
    for (int i = 0; i < RUNS; i++) {
        must(rg_bind_shape(s.p, s.in, s.x, RG_SHAPE(TASKS + i)));
        run(&s, 1);
    }
    cr_expect(by_one > RUNS * 8 / 10, "one thread did %d of %d runs though the team is slow", by_one, RUNS);
    cr_expect(parts >= 2 * RGI_TRIED, "the team was never tried");
    end(&s);
}

/* A run that fails is over early, which says nothing of those that do not. */
Test(trial, failed_runs_do_not_count, .timeout = 60)
{
    subject s;
    begin(&s, false, &(rg_plan_opts){.threads = 2});
    run(&s, RGI_TRIED);
    fails = true;
    for (int i = 0; i < RGI_TRIED; i++)
        cr_expect_eq(rg_run(s.p), RG_ERR_STATE);
    cr_expect_eq(by_one, RGI_TRIED);
    fails = false;
    run(&s, RGI_TRIED);
    cr_expect_eq(by_one, 2 * RGI_TRIED, "one thread was not tried again");
    run(&s, RGI_TRIED);
    cr_expect_eq(by_one, 2 * RGI_TRIED, "one thread went on though it is slow");
    end(&s);
}

/* Who says what the machine costs has decided. */
Test(trial, figures_that_are_given_hold, .timeout = 60)
{
    static const rg_machine eager = {.flop_ns = 1.0 / 50, .byte_ns = 1.0 / 15, .meeting_ns = 400, .share_ns = 3000};
    subject s;
    begin(&s, true, &(rg_plan_opts){.threads = 2, .machine = &eager});
    run(&s, 3 * RGI_TRIED);
    cr_expect_eq(by_one, 0);
    end(&s);
}

Test(trial, long_plans_are_shared_out, .timeout = 60)
{
    subject s;
    begin(&s, true, &(rg_plan_opts){.threads = 2});
    flops = 1e9;
    run(&s, 3 * RGI_TRIED);
    cr_expect_eq(by_one, 0);
    end(&s);
}

/* A profile counts the threads that took part in the last run. */
Test(trial, profiles_say_who_ran)
{
    subject s;
    begin(&s, true, &(rg_plan_opts){.threads = 2, .profile = true});
    for (int i = 0; i < RGI_TRIED + 1; i++) {
        run(&s, 1);
        char *text = rg_plan_profile(s.p, NULL);
        cr_expect(strstr(text, i < RGI_TRIED ? " us on 2 threads, which" : " us on 1 thread, which"), "run %d: %s", i,
                  text);
        rg_text_free(text);
    }
    end(&s);
}

#endif
