/* tasks.h - the tasks of a plan, one by one: what each waits for is found from the memory that steps read and write,
   not from the plan's own meetings, so that any order of them can be tried. */
#ifndef RETROGRADE_TESTS_TASKS_H
#define RETROGRADE_TESTS_TASKS_H

#include <retrograde/plan.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* One execution of a step: in a loop there is one for each turn. */
typedef struct task_group {
    uint32_t step, before; /* before: how many others must be done first */
    uint32_t *after;       /* those that wait for it */
    size_t n_after, phases;
    const size_t *tasks; /* of each phase */
    int64_t *t;          /* counters of the loops around it */
    bool parallel, barrier;
} task_group;

typedef struct task_graph {
    rg_plan *plan;
    task_group *groups;
    size_t n;
    char *scratch;
} task_graph;

/* Of a plan whose data is bound; false when memory is short or the sizes do not fit. */
bool task_graph_make(rg_plan *p, task_graph *out);
/* The same without what waits for what. */
bool task_list_make(rg_plan *p, task_graph *out);
void task_graph_free(task_graph *g);
/* Does n tasks of a phase, from `task` on, as a thread does those that it is given. */
bool task_run(const task_graph *g, size_t group, uint32_t phase, size_t task, size_t n);
/* Does everything once in the order of the plan, but steps that are linked task by task, the last one first: as threads
   would of which each is far ahead of the next. */
bool task_graph_run_linked(const task_graph *g);
/* Does everything once, as rg_run would, taking at each moment any task that may begin. Changes *random. */
bool task_graph_run_shuffled(const task_graph *g, uint64_t *random);

#endif
