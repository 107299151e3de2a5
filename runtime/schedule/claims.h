/* claims.h - who does which tasks of a long step: each thread its own, and then what others have not come to. */
#ifndef RGI_CLAIMS_H
#define RGI_CLAIMS_H

#include "../run/walker.h"

/* Which steps have claims; once it is known what is shared out. False: out of memory. */
bool rgi_claims_make(const rg_plan *p, rgi_special *s);
/* Before a run, each thread: nobody has claimed anything of its tasks. */
void rgi_claims_clear(const rgi_walker *w);
/* The tasks of such a step that fall to this thread. */
rg_status rgi_claims_run(rgi_walker *w, const rgi_exec *e);

#endif
