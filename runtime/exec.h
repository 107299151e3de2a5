/* exec.h - running the steps of a plan. */
#ifndef RGI_EXEC_H
#define RGI_EXEC_H

#include "plan.h"

/* How many threads OpenMP would use; 1 without it. */
int rgi_default_threads(void);
/* Runs the present specialisation. */
rg_status rgi_execute(rg_plan *p);

#endif
