/* share.h - who does what and where threads meet. */
#ifndef RGI_SHARE_H
#define RGI_SHARE_H

#include "../plan.h"

/* What a machine is taken for where nobody says. */
extern const rg_machine rgi_usual_machine;

/* Sets the lanes, cuts and barriers of the steps. interval[i]: how many meetings come before step i; shared[k]: several
   threads work in interval k. apart: no loops go side by side. False: out of memory. */
bool rgi_share(rg_plan *p, rgi_special *s, bool apart, uint32_t *interval, bool *shared);
/* Nanoseconds that a step is taken to last on one thread. */
static inline double rgi_step_ns(const rgi_program *prog, const rgi_exec *e)
{
    return e->flops * prog->machine.flop_ns + e->traffic * prog->machine.byte_ns;
}

/* Times a step is executed in a run: the trips of the loops around it. */
double rgi_step_calls(const rgi_program *prog, const rgi_special *s, size_t step);

#endif
