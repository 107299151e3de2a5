/* fit_task.c - the task, and what is the same of two trainings that are equal. */
#include "fit_task.h"

#include "files.h"
#include "must.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

static void fill(struct task *t, int64_t n, uint64_t seed)
{
    must(rg_tensor_alloc(&t->x, RG_F32, RG_SHAPE(n, FEATURES)));
    must(rg_tensor_alloc(&t->y, RG_F32, RG_SHAPE(n, 1)));
    float *x = t->x.data, *y = t->y.data;
    for (int64_t i = 0; i < n; i++, x += FEATURES) {
        for (int k = 0; k < FEATURES; k++)
            x[k] = (float)(random_next(&seed) >> 40) / (1 << 24) - 0.5f;
        y[i] = x[0] * x[1] - x[2];
    }
}

void task_new(struct task *t)
{
    static const char *const names[] = {"rate"};
    *t = (struct task){.g = rg_graph_new(&(rg_graph_opts){.seed = 3})};
    fill(t, N, 1);
    const int64_t batch = rg_dim(t->g, "batch");
    rg_node *x = rg_input(t->g, "x", RG_F32, RG_SHAPE(batch, FEATURES));
    rg_node *y = rg_input(t->g, "y", RG_F32, RG_SHAPE(batch, 1));
    rg_node *h = rg_nn_dropout(rg_tanh(rg_nn_linear(x, "fc1", 24, NULL)), 0.1);
    t->loss = rg_mse_loss(rg_nn_linear(h, "fc2", 1, NULL), y, NULL);
    t->rate = rg_schedule_cosine(rg_step_counter(t->g, "runs"), 0.02, 0.002, 8 * BATCHES);
    t->step = rg_adam(t->loss, &(rg_adam_opts){.lr_node = t->rate, .accumulate = 2});
    cr_assert(t->step, "%s", rg_graph_error(t->g));
    t->columns[0] = (rg_column){x, &t->x, 0};
    t->columns[1] = (rg_column){y, &t->y, 0};
    t->opts = (rg_fit_opts){.loss = t->loss,
                            .step = t->step,
                            .metrics = {&t->rate, 1},
                            .names = names,
                            .train = {t->columns, 2},
                            .epochs = 4,
                            .batch = BATCH};
}

void task_free(struct task *t)
{
    rg_tensor_free(&t->x);
    rg_tensor_free(&t->y);
    rg_graph_free(t->g);
}

uint64_t digest(rg_graph *g)
{
    const rg_nodes stored = rg_stored(g);
    uint64_t sum = 0;
    for (size_t i = 0; i < stored.n; i++) {
        const rg_tensor v = rg_value(stored.at[i]);
        sum = XXH3_64bits_withSeed(v.data, rg_tensor_bytes(&v), sum);
    }
    return sum;
}

const rg_plan_opts one_thread = {.threads = 1};

void set_files(struct task *t, char csv[160])
{
    snprintf(csv, 160, "%s.csv", path);
    t->opts.plan = &one_thread;
    t->opts.checkpoint = path;
    t->opts.checkpoint_every = 3;
    t->opts.csv = csv;
    t->opts.valid = t->opts.train;
}
