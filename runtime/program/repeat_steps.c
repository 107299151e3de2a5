/* repeat_steps.c - what the steps of one loop make again of another's.

   The reverse of a recurrence reads what the forward steps have stacked for it. Where a stacked value was made by a
   cheap elementwise op (1 - z of a gate) of values that are stacked for the same loop anyway, that loop applies the op
   to their slices instead: the same op on the same numbers, in a block that reads them, and one stack less. */
#include "repeat.h"

#include "../../ops/table_ops.h"

typedef struct stacks {
    rgi_lowering *l;
    uint32_t *reads; /* by node id, of stacks: how many live nodes read it ... */
    uint32_t *again; /* ... and how many of them are slices that can be made again */
} stacks;

/* The result of a scan that a slice is cut from: all its steps, in their order, as they were computed; or NULL. */
static const rg_node *stack_of(const rgi_lowering *l, const rg_node *slice)
{
    const rg_scan *s = slice->region->scan;
    const rg_node *xs = rgi_stand_in(l, s->xs.at[slice->result]);
    if (!rgi_is_projection(xs) || !rgi_is_scan(xs->in[0]))
        return NULL;
    const rgi_projection *p = rgi_projection_of(xs);
    const rg_scan *made = rgi_scan_of(xs->in[0]);
    const bool whole = !p->last && !p->every && !made->trips && !made->test && !made->endless;
    return whole && p->of->region == made->region && !rgi_outside(l, p->of) ? xs : NULL;
}

/* A live slice of `s` in which the body node v, of the scan that `stack` is a result of, lies for the same step; or
   NULL. */
static rg_node *slice_with(const rgi_lowering *l, const rg_scan *s, const rg_node *stack, const rg_node *v)
{
    for (size_t i = 0; i < s->slices.n; i++) {
        rg_node *const slice = s->slices.at[i];
        if (!l->live[slice->id] || rgi_stand_in(l, slice) != slice)
            continue;
        const rg_node *xs = s->xs.at[i], *other = stack_of(l, slice);
        if (v->op == &rgi_op_scan_slice
                ? v->region->scan->xs.at[v->result] == xs
                : other && other->in[0] == stack->in[0] && rgi_stand_in(l, rgi_projection_of(other)->of) == v)
            return slice;
    }
    return NULL;
}

/* How to make node v of the body that `stack` is a result of from what the loop of `slice` has: by cheap ops, and by
   windows, which are read where they lie. Returns what is v there, or NULL; without `make` nothing is made, and any
   node returned. */
static rg_node *made_from_slices(const rgi_lowering *l, const rg_node *slice, const rg_node *stack, rg_node *v,
                                 bool make, int depth)
{
    rg_node *in[RGI_MAX_ARITY];
    v = rgi_stand_in(l, v);
    if (v->region != rgi_projection_of(stack)->of->region)
        return (v->op->traits & RG_LEAF) && rgi_region_within(slice->region, v->region) ? v : NULL;
    rg_node *const there = depth ? slice_with(l, slice->region->scan, stack, v) : NULL;
    const bool window = depth && v->op->window && !(v->op->traits & RG_JOINS) && v->n_in == 1;
    if (there || depth == RGI_DEEP || !v->n_in || !(window || rgi_is_cheap(l, v)))
        return there;
    for (size_t i = 0; i < v->n_in; i++)
        if (!(in[i] = made_from_slices(l, slice, stack, v->in[i], make, depth + 1)))
            return NULL;
    return make ? rg_apply(v->op, (rg_nodes){in, v->n_in}, v->attr) : v;
}

/* Whether what a slice is cut from can be made again in its loop: the stack, or NULL. */
static rg_node *stack_to_spare(const rgi_lowering *l, const rg_node *slice)
{
    const rg_node *stack = rgi_stand_in(l, slice) == slice ? stack_of(l, slice) : NULL;
    const bool found = stack && made_from_slices(l, slice, stack, rgi_projection_of(stack)->of, false, 0);
    return found ? (rg_node *)(uintptr_t)stack : NULL;
}

static void count(const stacks *x, const rg_node *v)
{
    x->reads[rgi_stand_in(x->l, v)->id]++;
}

/* How often live nodes read each node that a stack may be. */
static void count_reads(const stacks *x, rg_nodes fetch)
{
    const rgi_lowering *l = x->l;
    for (size_t i = 0; i < fetch.n; i++)
        count(x, fetch.at[i]);
    for (size_t id = 0; id < l->g->nodes.n; id++) {
        const rg_node *v = rgi_node(l->g, id);
        if (!l->live[id] || rgi_stand_in(l, v) != v || rgi_outside(l, v))
            continue;
        if (v->op == &rgi_op_scan_slice)
            count(x, v->region->scan->xs.at[v->result]);
        else if (v->op == &rgi_op_scan_carry)
            count(x, v->region->scan->inits.at[v->result]);
        for (size_t i = 0; i < v->n_in && !rgi_is_scan(v); i++)
            if (rgi_reads(v->op, i) || v->op == &rgi_op_group)
                count(x, v->in[i]);
    }
    for (size_t id = 0; id < l->g->nodes.n; id++) /* what was taken out of loops reads the sequences */
        if (id < l->n_outside && l->live[id] && l->outside[id])
            count(x, l->outside[id]);
}

/* Makes the value of a slice in its loop, if with that the stack is read by nobody. */
static void replace(const stacks *x, rg_node *slice, rg_node *stack)
{
    rgi_lowering *const l = x->l;
    rg_node *const v = rgi_projection_of(stack)->of;
    if (x->again[stack->id] != x->reads[stack->id])
        return;
    rg_node *const origin = rgi_origin_set(l->g, v);
    rg_node *y = made_from_slices(l, slice, stack, v, true, 0);
    rgi_origin_set(l->g, origin);
    if (l->g->compile_error.status == RG_ERR_MEMORY)
        l->failed = true;
    l->g->compile_error.status = RG_OK;
    if (!l->failed && y && y->shape == slice->shape && y->dtype == slice->dtype && y->region == slice->region &&
        rgi_stand_for(l, slice, y))
        rgi_note_repeat(l, rgi_stand_in(l, v), stack->shape);
}

bool rgi_repeat_steps(rgi_lowering *l, rg_nodes fetch, bool *any)
{
    const size_t n = l->g->nodes.n;
    stacks x = {.l = l};
    *any = false;
    if (!rgi_repeats(l) || l->g->regions.n < 3)
        return true;
    x.reads = rgi_arena_alloc(&l->temporary, 2 * (n + 1) * sizeof *x.reads);
    if (!x.reads)
        return false;
    x.again = x.reads + n + 1;
    count_reads(&x, fetch);
    l->g->in_compile = true;
    for (int round = 0; round < 2; round++)
        for (size_t id = 0; id < n && !l->failed; id++) {
            rg_node *const v = rgi_node(l->g, id);
            rg_node *const stack = l->live[id] && v->op == &rgi_op_scan_slice ? stack_to_spare(l, v) : NULL;
            if (stack && round == 0)
                x.again[stack->id]++;
            else if (stack)
                replace(&x, v, stack);
        }
    l->g->in_compile = false;
    *any = l->p->n_repeats > 0;
    return !l->failed;
}
