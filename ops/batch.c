/* batch.c - the batching rule of elementwise ops that have none of their own. */
#include "batch.h"
#include "common.h"

void rgi_batch_elementwise(rg_node *self, rg_node *const in[], const bool batched[], rg_node *out[])
{
    const size_t n = rg_arg_count(self);
    const int32_t rank = self->shape->a.rank + 1;
    rg_node **aligned = rgi_arena_alloc(&self->graph->arena, n * sizeof *aligned);
    if (!aligned) {
        rg_build_fail(self->graph, RG_ERR_MEMORY, "%s: out of memory for a batching rule", rg_op_of(self)->name);
        return;
    }
    for (size_t i = 0; i < n; i++) {
        aligned[i] = in[i];
        while (batched[i] && aligned[i] && aligned[i]->shape->a.rank < rank)
            aligned[i] = rg_unsqueeze(aligned[i], 1);
    }
    out[0] = rg_apply(rg_op_of(self), (rg_nodes){aligned, n}, rg_attr(self));
}
