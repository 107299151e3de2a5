/* exec.h - running the steps of a plan. */
#ifndef RGI_EXEC_H
#define RGI_EXEC_H

#include "plan.h"

/* How many threads OpenMP would use; 1 without it. */
int rgi_default_threads(void);
/* Runs the present specialisation. */
rg_status rgi_execute(rg_plan *p);
/* Tasks [lo, hi) of one phase of a step that is no beginning or end of a loop; `t`: the counters of the loops around it. */
rg_status rgi_run_tasks(const rgi_exec *e, uint32_t phase, size_t lo, size_t hi, char *scratch, const int64_t *t);

#endif
