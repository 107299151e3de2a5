/* test_breaks.c - trainings that are broken off or killed, at any moment, and go on from their checkpoint: the same
   weights and the same table as without a break. */
#define _DEFAULT_SOURCE

#include "files.h"
#include "fit_task.h"
#include "must.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

static bool stop_at(void *user, const rg_fit_state *s)
{
    return s->epoch * BATCHES + s->batch != *(int64_t *)user;
}

/* The table without its column of seconds. */
static uint64_t table_digest(const char *file)
{
    char line[256];
    uint64_t sum = 0;
    FILE *f = fopen(file, "r");
    cr_assert(f);
    while (fgets(line, sizeof line, f)) {
        char *first = strchr(line, ','), *second = strchr(first + 1, ',');
        sum = XXH3_64bits_withSeed(line, (size_t)(first - line), sum);
        sum = XXH3_64bits_withSeed(second, strlen(second), sum);
    }
    fclose(f);
    return sum;
}

Test(breaks, change_nothing_anywhere)
{
    uint64_t expected = 0, table = 0;
    for (int64_t at = 0; at <= 4 * BATCHES; at += at ? 5 : 1) {
        struct task t;
        char csv[160];
        rg_fit_report report;
        begin();
        if (at) { /* broken off after so many batches; the first time there is no break */
            task_new(&t);
            set_files(&t, csv);
            t.opts.on_batch = stop_at;
            t.opts.user = &at;
            must(rg_fit(&t.opts, &report));
            cr_assert(report.stopped && !report.resumed);
            task_free(&t);
        }
        task_new(&t);
        set_files(&t, csv);
        must(rg_fit(&t.opts, &report));
        cr_assert_eq(report.resumed, at > 0);
        cr_assert_eq(report.last.epochs, 4);
        if (at == 0) {
            expected = digest(t.g);
            table = table_digest(csv);
        }
        cr_assert_eq(digest(t.g), expected, "broken off after %d batches", (int)at);
        cr_assert_eq(table_digest(csv), table, "broken off after %d batches", (int)at);
        task_free(&t);
        end();
    }
}

Test(breaks, checkpoints_of_other_trainings)
{
    begin();
    struct task t;
    char csv[160];
    task_new(&t);
    set_files(&t, csv);
    t.opts.epochs = 1;
    must(rg_fit(&t.opts, NULL));
    t.opts.batch = BATCH + 1;
    cr_assert_eq(rg_fit(&t.opts, NULL), RG_ERR_STATE);
    cr_assert(says("another training|batches of 10"), "%s", rg_last_error());
    t.opts.batch = BATCH;
    must(rg_checkpoint_save(t.g, path, "of my own"));
    cr_assert_eq(rg_fit(&t.opts, NULL), RG_ERR_STATE);
    cr_assert(says("not saved by rg_fit"), "%s", rg_last_error());
    task_free(&t);
    end();
}

/* The thread sanitizer ends a child of fork that starts a thread, as a training does for its batches. */
#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define NO_THREADS_AFTER_FORK 1
#endif
#endif
#ifndef NO_THREADS_AFTER_FORK
#define NO_THREADS_AFTER_FORK 0
#endif

static uint64_t microseconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static void train_in_a_child(void)
{
    struct task t;
    char csv[160];
    task_new(&t);
    set_files(&t, csv);
    t.opts.checkpoint_every = 1;
    _exit(rg_fit(&t.opts, NULL) ? 1 : 0);
}

Test(breaks, killed_at_random_moments, .timeout = 0)
{
    if (NO_THREADS_AFTER_FORK)
        return;
    const int wanted = getenv("RETROGRADE_SLOW") ? 100 : 5;
    uint64_t seed = 17, expected = 0, table = 0, whole = 0; /* microseconds that a training takes if left alone */
    for (int killed = 0, round = 0; killed < wanted; round++) {
        cr_assert(round < 100 * wanted);
        begin();
        bool ended = false;
        for (uint64_t tries = 1; !ended; tries++) {
            int code = 0;
            const uint64_t start = microseconds();
            const pid_t child = fork();
            cr_assert(child >= 0);
            if (child == 0)
                train_in_a_child();
            if (round) { /* the first one is left alone */
                usleep((useconds_t)(random_next(&seed) % (whole + whole / 10 * tries)));
                kill(child, SIGKILL);
            }
            cr_assert_eq(waitpid(child, &code, 0), child);
            whole = round ? whole : microseconds() - start;
            ended = WIFEXITED(code);
            killed += !ended;
            cr_assert(!ended || WEXITSTATUS(code) == 0);
        }
        struct task t;
        char csv[160];
        task_new(&t);
        set_files(&t, csv);
        must(rg_checkpoint_load(t.g, path, NULL));
        if (round == 0) {
            expected = digest(t.g);
            table = table_digest(csv);
        }
        cr_assert_eq(digest(t.g), expected);
        cr_assert_eq(table_digest(csv), table);
        task_free(&t);
        end();
    }
}
