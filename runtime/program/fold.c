/* fold.c - what constants make: computed while compiling, by the op alone. With opts.check_rewrites a plan computes it
   once more, as it would if it were not known, and both are compared (agree.c). */
#include "lower.h"

#include "../../ops/table_ops.h"
#include "agree.h"
#include "evaluate.h"

#define RGI_FOLD_BYTES 65536 /* results up to here are kept */

static size_t fold_bytes(const rg_node *node)
{
    const int64_t n = rg_shape_count(node->shape->a);
    const bool small = !node->shape->named && n >= 0 && (size_t)n <= RGI_FOLD_BYTES / rg_dtype_size(node->dtype);
    return small ? (size_t)n * rg_dtype_size(node->dtype) + 1 : 0;
}

const void *rgi_fold(rgi_lowering *l, const rg_node *node, const void *const in[])
{
    rgi_arena *arena = &l->p->arena;
    rg_type type[RGI_MAX_ARITY];
    const size_t bytes = fold_bytes(node);
    if (!bytes || node->n_in > RGI_MAX_ARITY || node->op->n_out != 1 || !node->op->run ||
        (node->op->traits & (RG_EFFECT | RG_CAN_FAIL)))
        return NULL;
    for (size_t i = 0; i < node->n_in; i++) {
        if ((rgi_reads(node->op, i) && !in[i]) || node->in[i]->shape->named)
            return NULL;
        type[i] = rgi_type(node->in[i]);
    }
    void *data = rgi_arena_alloc(arena, bytes + 64);
    if (data)
        data = (void *)(((uintptr_t)data + 63) & ~(uintptr_t)63);
    const rg_type out = rgi_type(node);
    const rg_status status = data ? rgi_evaluate(&arena->allocator, node, in, type, &data, &out) : RG_ERR_MEMORY;
    l->failed = l->failed || status == RG_ERR_MEMORY;
    return status || l->failed ? NULL : data; /* what else an op of the program's own refuses, a run will tell */
}

/* ---- the check ---- */

/* What a node is in every run, if that is known. `known`: of the nodes before it. */
static const void *constant_of(rgi_lowering *l, const rg_node *node, const void *const *known)
{
    const void *in[RGI_MAX_ARITY] = {NULL};
    if (node->op == &rgi_op_const)
        return ((const rg_bytes *)node->attr)->at;
    if (node->op == &rgi_op_training) {
        bool *const flag = rgi_arena_alloc(&l->p->arena, sizeof *flag);
        l->failed = l->failed || !flag;
        if (flag)
            *flag = l->p->opts.mode != RG_EVAL;
        return flag;
    }
    if (node->entry || node->op == &rgi_op_input || node->op == &rgi_op_assign)
        return NULL;
    if (node->op->traits & RG_VIEW)
        return known[node->in[0]->id];
    for (size_t i = 0; i < node->n_in && i < RGI_MAX_ARITY; i++)
        in[i] = rgi_reads(node->op, i) ? known[node->in[i]->id] : NULL;
    return rgi_fold(l, node, in);
}

/* Notes that a node is to be compared with what it was folded to. */
static bool compare(rgi_lowering *l, rg_node *node, const void *data)
{
    rg_node *const origin = rgi_origin_set(l->g, node), *folded = rg_const(l->g, node->dtype, node->shape->a, data),
                   *agreement = folded ? rgi_agreement(node, folded, "folding") : NULL;
    rgi_origin_set(l->g, origin);
    l->failed = !agreement || !rgi_push(&l->temporary, (void **)&l->agreements, &l->n_agreements,
                                        &l->agreement_capacity, sizeof agreement, &agreement);
    l->p->folded++;
    return !l->failed;
}

bool rgi_check_folding(rgi_lowering *l)
{
    rg_graph *const g = l->g;
    const size_t n = l->n_live;
    const void **known = rgi_arena_alloc(&l->temporary, (n + 1) * sizeof *known);
    if (!l->p->opts.check_rewrites)
        return true;
    l->failed = l->failed || !known;
    g->in_compile = true;
    for (size_t id = 0; id < n && !l->failed; id++) {
        rg_node *const node = rgi_node(g, id);
        if (!l->live[id] || rgi_outside(l, node))
            continue;
        known[id] = constant_of(l, node, known);
        if (known[id] && !(node->op->traits & (RG_VIEW | RG_LEAF)))
            compare(l, node, known[id]);
    }
    g->in_compile = false;
    return !l->failed;
}
