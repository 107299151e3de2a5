/* repeat.h - values of cheap elementwise ops that are made once more where they are read late, instead of being
   kept. */
#ifndef RGI_REPEAT_H
#define RGI_REPEAT_H

#include "lower.h"

#define RGI_DEEP 3 /* ops in a row that are made again at most */

/* Whether making a value again costs about as much as reading it: elementwise, of few operations an element. */
bool rgi_is_cheap(const rgi_lowering *l, const rg_node *node);
/* Whether the plan repeats anything: what is looked at or compared op by op is left as it is. */
bool rgi_repeats(const rgi_lowering *l);
/* Notes for the dump that `node` is not kept, of which so much, a shape, would lie in memory. */
bool rgi_note_repeat(rgi_lowering *l, const rg_node *node, const rgi_shape *shape);
/* repeat_steps.c: loops make again what another one would have to stack for them. The graph may grow; *any: something
   was found, and other nodes are live. */
bool rgi_repeat_steps(rgi_lowering *l, rg_nodes fetch, bool *any);
/* repeat_groups.c: groups of a block make again what they would read of another one's. */
bool rgi_repeat_in_groups(rgi_lowering *l, rgi_block *b);

#endif
