/* batch.h - the batching rule of elementwise ops that have none of their own. */
#ifndef RGI_BATCH_H
#define RGI_BATCH_H

#include <retrograde/op.h>

/* A batched input of lower rank than the output gets axes of size 1 behind its leading one, so that broadcasting aligns
   as it did before. */
void rgi_batch_elementwise(rg_node *self, rg_node *const in[], const bool batched[], rg_node *out[]);

#endif
