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
    static const uint64_t team[RGI_TRIED] = {900, 10, 9, 800, 11}, one[RGI_TRIED] = {30, 5, 25, 30, 700};
    for (int i = 0; i < RGI_TRIED; i++)
        rgi_trial_note(&disturbed, team[i]);
    for (int i = 0; i < RGI_TRIED; i++)
        rgi_trial_note(&disturbed, one[i]);
    cr_expect(!rgi_trial_alone(&disturbed));
}

/* ---- plans ---- */

enum { TASKS = 16, RUNS = 100 };

static bool team_is_slow; /* else one thread is */
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
    out->flops = 1e6;
}

static rg_status twice(const rg_step *s, size_t lo, size_t hi)
{
    const int64_t *x = s->in[0];
    int64_t *y = s->out[0];
    const bool one = hi - lo == TASKS;
    __atomic_fetch_add(one ? &by_one : &parts, 1, __ATOMIC_RELAXED);
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

/* How many of RUNS runs one thread did. */
static int alone(bool slow_team, const rg_machine *machine)
{
    int64_t x[TASKS];
    rg_graph *g = rg_graph_new(NULL);
    rg_node *in = rg_input(g, "x", RG_I64, RG_SHAPE(TASKS)), *y = rg_apply(&moody, RG_NODES(in), NULL);
    rg_plan *p = must_compile(g, RG_NODES(y), &(rg_plan_opts){.threads = 2, .machine = machine});
    must(rg_bind(p, in, x));
    team_is_slow = slow_team;
    by_one = parts = 0;
    for (int run = 0; run < RUNS; run++) {
        for (int i = 0; i < TASKS; i++)
            x[i] = run + 3 * i;
        must(rg_run(p));
        for (int i = 0; i < TASKS; i++)
            cr_expect_eq(value_at(p, y, (size_t)i), 2.0 * (run + 3 * i), "run %d, element %d", run, i);
    }
    rg_plan_free(p);
    rg_graph_free(g);
    return by_one;
}

Test(trial, plans_leave_a_slow_team, .timeout = 60)
{
    const int slow = alone(true, NULL);
    cr_expect(slow > RUNS * 8 / 10, "one thread did %d of %d runs though the team is slow", slow, RUNS);
    cr_expect(parts >= 2 * RGI_TRIED, "the team was never tried");
}

Test(trial, plans_try_one_thread, .timeout = 60)
{
    cr_expect(alone(false, NULL) >= RGI_TRIED, "one thread was never tried");
}

/* Who says what the machine costs has decided. */
Test(trial, figures_that_are_given_hold, .timeout = 60)
{
    static const rg_machine eager = {.flop_ns = 1.0 / 50, .byte_ns = 1.0 / 15, .meeting_ns = 400, .share_ns = 3000};
    cr_expect_eq(alone(true, &eager), 0);
}

/* A profile counts the threads that took part in the last run. */
Test(trial, profiles_say_who_ran)
{
    int64_t x[TASKS] = {0};
    rg_graph *g = rg_graph_new(NULL);
    rg_node *in = rg_input(g, "x", RG_I64, RG_SHAPE(TASKS)), *y = rg_apply(&moody, RG_NODES(in), NULL);
    rg_plan *p = must_compile(g, RG_NODES(y), &(rg_plan_opts){.threads = 2, .profile = true});
    must(rg_bind(p, in, x));
    team_is_slow = true;
    for (int run = 0; run < RGI_TRIED + 1; run++) {
        must(rg_run(p));
        char *text = rg_plan_profile(p, NULL);
        cr_expect(strstr(text, run < RGI_TRIED ? " us on 2 threads, which" : " us on 1 thread, which"), "run %d: %s",
                  run, text);
        rg_text_free(text);
    }
    rg_plan_free(p);
    rg_graph_free(g);
}
