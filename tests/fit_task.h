/* fit_task.h - a training task for the suites of rg_fit: y = x0 x1 - x2, with dropout, Adam and a schedule, so that
   there is state of every kind. */
#ifndef RETROGRADE_TESTS_FIT_TASK_H
#define RETROGRADE_TESTS_FIT_TASK_H

#include <retrograde/retrograde.h>

enum { N = 103, BATCH = 10, BATCHES = 11, FEATURES = 4 };

struct task {
    rg_graph *g;
    rg_tensor x, y;
    rg_column columns[2];
    rg_node *loss, *step, *rate;
    rg_fit_opts opts; /* four epochs in memory alone */
};

void task_new(struct task *t);
void task_free(struct task *t);

/* One thread, validation, a table, and a checkpoint at `path` of files.h every third batch. */
void set_files(struct task *t, char csv[160]);

/* Of all parameters and buffers. */
uint64_t digest(rg_graph *g);

extern const rg_plan_opts one_thread;

#endif
