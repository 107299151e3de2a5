/* failing.c - which ops may fail while a plan runs. */
#include "lower.h"

static size_t bucket(const rg_op *op)
{
    return ((uintptr_t)op >> 4) % RGI_BUILT_IN;
}

bool rgi_list_built_in(rgi_lowering *l)
{
    l->built_in = rgi_arena_alloc(&l->temporary, RGI_BUILT_IN * sizeof *l->built_in);
    for (const rg_op *const *op = rg_op_table(); l->built_in && *op; op++) {
        size_t at = bucket(*op);
        while (l->built_in[at])
            at = (at + 1) % RGI_BUILT_IN;
        l->built_in[at] = *op;
    }
    return l->built_in != NULL;
}

bool rgi_can_fail(const rgi_lowering *l, const rg_op *op)
{
    size_t at = bucket(op);
    while (l->built_in[at] && l->built_in[at] != op)
        at = (at + 1) % RGI_BUILT_IN;
    return (op->traits & RG_CAN_FAIL) || !l->built_in[at];
}
