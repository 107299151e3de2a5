/* test_checkpoint.c - trainings that are broken off: what is saved goes on bit for bit, damage is refused and the file
   before it used, and a kill at any moment loses nothing. */
#define _DEFAULT_SOURCE

#include <retrograde/retrograde.h>

#include "files.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

static void must(rg_status status)
{
    cr_assert_eq(status, RG_OK, "%s", rg_last_error());
}

/* ---- a training with everything that has state: moments, a schedule, dropout, an average ---- */

enum { BATCHES = 40, BATCH = 8 };

struct net {
    rg_graph *g;
    rg_node *x, *y;
    rg_plan *train;
};

static struct net net_new(uint64_t seed)
{
    struct net n = {.g = rg_graph_new(&(rg_graph_opts){.seed = seed})};
    n.x = rg_input(n.g, "x", RG_F32, RG_SHAPE(BATCH, 3));
    n.y = rg_input(n.g, "y", RG_F32, RG_SHAPE(BATCH, 1));
    rg_node *h = rg_nn_dropout(rg_tanh(rg_nn_linear(n.x, "fc1", 16, NULL)), 0.2);
    rg_node *loss = rg_mse_loss(rg_nn_linear(h, "fc2", 1, NULL), n.y, NULL);
    rg_node *rate = rg_schedule_cosine(rg_step_counter(n.g, "runs"), 0.01, 0.001, BATCHES);
    rg_node *step = rg_ema(rg_adamw(loss, &(rg_adam_opts){.lr_node = rate}), 0.9, (rg_nodes){NULL, 0});
    n.train = rg_compile(n.g, RG_NODES(loss, step), &(rg_plan_opts){.threads = 1});
    cr_assert(n.train, "%s", rg_graph_error(n.g));
    return n;
}

static void net_run(struct net *n, int64_t batch)
{
    float x[BATCH][3], y[BATCH][1];
    uint64_t state = (uint64_t)batch;
    for (int i = 0; i < BATCH; i++) {
        for (int k = 0; k < 3; k++)
            x[i][k] = (float)(random_next(&state) >> 40) / (1 << 24) - 0.5f;
        y[i][0] = x[i][0] * x[i][1] - x[i][2];
    }
    must(rg_bind(n->train, n->x, x));
    must(rg_bind(n->train, n->y, y));
    must(rg_run(n->train));
}

/* Of every parameter and buffer. */
static uint64_t digest(rg_graph *g)
{
    const rg_nodes stored = rg_stored(g);
    uint64_t sum = 0;
    for (size_t i = 0; i < stored.n; i++) {
        const rg_tensor t = rg_value(stored.at[i]);
        sum = XXH3_64bits_withSeed(t.data, rg_tensor_bytes(&t), sum);
    }
    return sum;
}

static void net_free(struct net *n)
{
    rg_plan_free(n->train);
    rg_graph_free(n->g);
}

static uint64_t digest_without_a_break(void)
{
    struct net n = net_new(5);
    for (int64_t i = 0; i < BATCHES; i++)
        net_run(&n, i);
    const uint64_t sum = digest(n.g);
    net_free(&n);
    return sum;
}

Test(checkpoint, goes_on_bit_for_bit)
{
    const uint64_t expected = digest_without_a_break();
    begin();
    for (int64_t at = 0; at <= BATCHES; at += 8) {
        char note[32];
        struct net n = net_new(5);
        for (int64_t i = 0; i < at; i++)
            net_run(&n, i);
        snprintf(note, sizeof note, "next %d \"\\\n\xC3\xA9", (int)at);
        must(rg_checkpoint_save(n.g, path, note));
        net_free(&n);
        rg_checkpoint found;
        n = net_new(5);
        must(rg_checkpoint_load(n.g, path, &found));
        cr_assert_str_eq(found.note, note);
        cr_assert(!found.previous && !*found.why);
        rg_text_free(found.note);
        for (int64_t i = at; i < BATCHES; i++)
            net_run(&n, i);
        cr_assert_eq(digest(n.g), expected, "broken off at %d", (int)at);
        net_free(&n);
    }
    end();
}

/* ---- damage ---- */

Test(checkpoint, damage_is_refused_and_the_one_before_is_used)
{
    begin();
    static unsigned char bytes[1 << 14], changed[1 << 14];
    struct net n = net_new(5);
    must(rg_checkpoint_save(n.g, path, "first"));
    cr_assert_eq(files(false), 1);
    const uint64_t first = digest(n.g);
    net_run(&n, 0);
    must(rg_checkpoint_save(n.g, path, "second"));
    cr_assert_eq(files(false), 2, "the checkpoint and the one before it");
    const size_t size = read_bytes(bytes, sizeof bytes);
    cr_assert(size < sizeof bytes);
    rg_checkpoint found;
    for (size_t at = 0; at < size; at += 1 + at / 100) {
        memcpy(changed, bytes, size);
        changed[at] ^= (unsigned char)(1u << at % 8);
        write_bytes(changed, size);
        must(rg_checkpoint_load(n.g, path, &found));
        cr_assert(found.previous && strstr(found.why, "offset"), "byte %zu: '%s'", at, found.why);
        cr_assert_str_eq(found.note, "first");
        cr_assert_eq(digest(n.g), first);
        rg_text_free(found.note);
    }
    remove(path);
    must(rg_checkpoint_load(n.g, path, &found));
    cr_assert(found.previous && strstr(found.why, "No such file"), "%s", found.why);
    rg_text_free(found.note);
    net_free(&n);
    end();
}

Test(checkpoint, without_one_before_it_damage_is_an_error)
{
    begin();
    static unsigned char bytes[1 << 14];
    struct net n = net_new(5);
    must(rg_checkpoint_save(n.g, path, NULL));
    const size_t size = read_bytes(bytes, sizeof bytes);
    bytes[size - 1] ^= 1;
    write_bytes(bytes, size);
    net_run(&n, 0);
    const uint64_t before = digest(n.g);
    rg_checkpoint found;
    cr_assert_eq(rg_checkpoint_load(n.g, path, &found), RG_ERR_FORMAT);
    cr_assert(says("rg_checkpoint_load|digest|damaged") && says(path) && !found.note, "%s", rg_last_error());
    cr_assert_eq(digest(n.g), before, "an error changed something");
    char previous[160];
    snprintf(previous, sizeof previous, "%s.previous", path);
    cr_assert_eq(link(path, previous), 0);
    cr_assert_eq(rg_checkpoint_load(n.g, path, &found), RG_ERR_FORMAT);
    cr_assert(says("damaged|and the one before it|.previous"), "%s", rg_last_error());
    must(rg_save(n.g, path));
    remove(previous);
    cr_assert_eq(rg_checkpoint_load(n.g, path, NULL), RG_ERR_FORMAT);
    cr_assert(says("this is no checkpoint"), "%s", rg_last_error());
    net_free(&n);
    end();
}

Test(checkpoint, of_another_graph)
{
    begin();
    struct net n = net_new(5), other = net_new(6);
    must(rg_checkpoint_save(n.g, path, "here"));
    must(rg_checkpoint_save(n.g, path, "here"));
    cr_assert_eq(rg_checkpoint_load(other.g, path, NULL), RG_ERR_STATE);
    cr_assert(says("seed") && says(path), "%s", rg_last_error());
    rg_graph *g = rg_graph_new(&(rg_graph_opts){.seed = 5});
    rg_param(g, "fc1.weight", RG_F32, RG_SHAPE(16, 3), NULL);
    cr_assert_eq(rg_checkpoint_load(g, path, NULL), RG_ERR_NAME);
    rg_load_report report;
    must(rg_load(g, path, &report)); /* its weights can be had all the same */
    cr_assert_eq(report.loaded, 1);
    rg_param(n.g, "more", RG_F32, RG_SHAPE(1), NULL);
    cr_assert_eq(rg_checkpoint_load(n.g, path, NULL), RG_ERR_NAME);
    cr_assert(says("'more'") || says("more"), "%s", rg_last_error());
    cr_assert_eq(rg_checkpoint_save(n.g, path, "\xff"), RG_ERR_NAME);
    cr_assert_eq(rg_checkpoint_save(n.g, NULL, NULL), RG_ERR_ARGUMENT);
    cr_assert_eq(rg_checkpoint_save(NULL, path, NULL), RG_ERR_ARGUMENT);
    cr_assert_eq(rg_checkpoint_load(NULL, path, NULL), RG_ERR_ARGUMENT);
    rg_graph_free(g);
    net_free(&n);
    net_free(&other);
    end();
}

/* ---- kill -9 ---- */

/* Trains with a checkpoint after every batch, from where the last one stands; ends with exit code 0. Runs in a child,
   so it uses no assertion. */
static void train_to_the_end(void)
{
    struct net n = net_new(5);
    rg_checkpoint found;
    int64_t next = 0;
    if (rg_checkpoint_load(n.g, path, &found) == RG_OK) {
        next = strtoll(found.note, NULL, 10);
        if (found.previous)
            _exit(3); /* nothing may be torn */
    } else if (access(path, F_OK) == 0) {
        _exit(4);
    }
    for (; next < BATCHES; next++) {
        char note[32];
        net_run(&n, next);
        snprintf(note, sizeof note, "%d", (int)next + 1);
        if (rg_checkpoint_save(n.g, path, note))
            _exit(5);
    }
    _exit(0);
}

/* Children are killed after a random time until one comes to the end. */
Test(checkpoint, killed_at_random_moments, .timeout = 0)
{
    const int wanted = getenv("RETROGRADE_SLOW") ? 100 : 5;
    const uint64_t expected = digest_without_a_break();
    uint64_t seed = 11;
    for (int killed = 0, rounds = 0; killed < wanted; rounds++) {
        cr_assert(rounds < 100 * wanted);
        begin();
        bool ended = false;
        for (uint64_t tries = 1; !ended; tries++) { /* with more time each, so that slow machines come to an end */
            const pid_t child = fork();
            cr_assert(child >= 0);
            if (child == 0)
                train_to_the_end();
            int code = 0;
            usleep((useconds_t)(random_next(&seed) % (20000 + 2000 * tries)));
            kill(child, SIGKILL);
            cr_assert_eq(waitpid(child, &code, 0), child);
            ended = WIFEXITED(code);
            killed += !ended;
            cr_assert(!ended || WEXITSTATUS(code) == 0, "the training ends with %d", WEXITSTATUS(code));
            cr_assert(files(false) <= 4, "temporary files pile up: %d", files(false));
        }
        struct net n = net_new(5);
        must(rg_checkpoint_load(n.g, path, NULL));
        cr_assert_eq(digest(n.g), expected, "after %d kills", killed);
        net_free(&n);
        end();
    }
}
