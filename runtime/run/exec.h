/* exec.h - running the steps of a plan. */
#ifndef RGI_EXEC_H
#define RGI_EXEC_H

#include "../plan.h"

/* How many threads OpenMP would use; 1 without it. */
int rgi_default_threads(void);
/* Nanoseconds that the team of a plan of so many threads takes to meet, `n` times over; 0 for one thread. */
double rgi_time_meetings(int threads, int n);
/* failure.c: adds to the thread's last error the node that it is of; that of item i, where it can be told; that of the
   call of an op's step that is one of the calls from item i on. `failures`: rgi_failures before the op was run; where
   it has not changed, the op gave no text, and one is made. */
void rgi_tell_of(const rg_node *node, rg_status status);
void rgi_tell_node(const rgi_program *prog, size_t i, uint64_t failures, rg_status status);
void rgi_tell_call(const rgi_program *prog, const rgi_special *s, size_t i, const rg_step *step, uint64_t failures,
                   rg_status status);
/* Runs the present specialisation. */
rg_status rgi_execute(rg_plan *p);
/* Tasks [lo, hi) of one phase of a step that is no beginning or end of a loop; `t`: the counters of the loops around
   it. */
rg_status rgi_run_tasks(const rgi_exec *e, uint32_t phase, size_t lo, size_t hi, char *scratch, const int64_t *t);

#endif
