/* plan.c - the public face of a plan: compile, run, read, fork, free. */
#include "plan.h"

#include "run/exec.h"

#include <string.h>

static rg_status ready_store(rg_plan *p, bool own)
{
    const rgi_program *prog = p->program;
    for (size_t v = 0; v < prog->n_values; v++) {
        const rgi_value *value = &prog->values[v];
        if (value->place != RGI_STORE || value->part_of != RGI_NONE)
            continue;
        rgi_entry *entry = p->store->at[value->slot];
        const rg_status status = rgi_entry_ready(p->store, entry);
        if (status)
            return status;
        p->stored[value->slot] = entry->data;
        if (own && !p->private_copies[value->slot]) {
            void *copy = rgi_alloc(&p->store->allocator, entry->bytes + 1);
            if (!copy)
                return rgi_fail(RG_ERR_MEMORY, "rg_compile: out of memory");
            memcpy(copy, entry->data, entry->bytes);
            p->private_copies[value->slot] = copy;
        }
        if (p->private_copies[value->slot])
            p->stored[value->slot] = p->private_copies[value->slot];
    }
    return RG_OK;
}

/* A plan over a program; takes over the reference to it. */
static rg_plan *plan_new(rgi_program *prog, bool own)
{
    rg_graph *g = prog->graph;
    const rg_allocator *a = &g->allocator;
    rg_plan *p = rgi_alloc(a, sizeof *p);
    if (!p) {
        rgi_program_release(prog);
        return NULL;
    }
    p->base = p->program = prog;
    p->store = g->store;
    rgi_store_retain(p->store);
    p->n_stored = g->store->n;
    rgi_arena_init(&p->arena, *a);
    rgi_arena_init(&p->spare, *a);
    rgi_arena_init(&p->lasting_arena, *a);
    rgi_arena_init(&p->temporary, *a);
    p->bindings = rgi_alloc(a, (prog->n_inputs + 1) * sizeof *p->bindings);
    p->outs = rgi_alloc(a, (prog->n_fetches + 1) * sizeof *p->outs);
    p->stored = rgi_alloc(a, (p->n_stored + 1) * sizeof *p->stored);
    p->private_copies = rgi_alloc(a, (p->n_stored + 1) * sizeof *p->private_copies);
    p->kept = rgi_alloc(a, (prog->n_packed + 1) * sizeof *p->kept);
    if (!p->bindings || !p->outs || !p->kept || !p->stored || !p->private_copies || ready_store(p, own)) {
        rg_plan_free(p);
        return NULL;
    }
    for (size_t i = 0; i < prog->n_inputs; i++) { /* sizes without names are known */
        p->bindings[i].shape = prog->inputs[i]->shape->a;
        p->bindings[i].sized = !prog->inputs[i]->shape->named;
    }
    return p;
}

rg_plan *rg_compile(rg_graph *g, rg_nodes fetch, const rg_plan_opts *opts)
{
    if (!g) {
        rgi_fail(RG_ERR_ARGUMENT, "rg_compile: the graph is NULL");
        return NULL;
    }
    rgi_program *prog = rgi_program_new(g, fetch, opts);
    rg_plan *p = prog ? plan_new(prog, opts && opts->snapshot) : NULL;
    if (prog && !p)
        rgi_compile_fail(g, RG_ERR_MEMORY, NULL, "rg_compile: out of memory");
    return p;
}

void rg_plan_free(rg_plan *p)
{
    if (!p)
        return;
    rgi_program *prog = p->base;
    rgi_program_retain(prog);
    const rg_allocator allocator = prog->graph->allocator;
    const rg_allocator *const a = &allocator;
    while (p->specials) {
        rgi_special *s = p->specials;
        p->specials = s->next;
        rgi_special_free(p, s);
    }
    rgi_arena_finish(&p->arena);
    rgi_arena_finish(&p->spare);
    rgi_arena_finish(&p->lasting_arena);
    rgi_arena_finish(&p->temporary);
    for (size_t i = 0; p->private_copies && i < p->n_stored; i++)
        if (p->private_copies[i])
            rgi_free(a, p->private_copies[i], p->store->at[i]->bytes + 1);
    if (!p->lent)
        rgi_free(a, p->slab, p->slab_bytes);
    rgi_kept_free(p);
    rgi_free(a, p->kept, (prog->n_packed + 1) * sizeof *p->kept);
    rgi_free(a, p->bindings, (prog->n_inputs + 1) * sizeof *p->bindings);
    rgi_free(a, p->outs, (prog->n_fetches + 1) * sizeof *p->outs);
    rgi_free(a, p->stored, (p->n_stored + 1) * sizeof *p->stored);
    rgi_free(a, p->private_copies, (p->n_stored + 1) * sizeof *p->private_copies);
    rgi_store_release(p->store);
    rgi_free(a, p, sizeof *p);
    rgi_program_release(prog);
    rgi_program_release(prog);
}

rg_plan *rg_plan_fork(rg_plan *p)
{
    if (!p) {
        rgi_fail(RG_ERR_ARGUMENT, "rg_plan_fork: the plan is NULL");
        return NULL;
    }
    bool own = p->program->has_effects;
    for (size_t i = 0; i < p->n_stored; i++)
        own = own || p->private_copies[i];
    rgi_program_retain(p->base);
    rg_plan *fork = plan_new(p->base, own);
    for (size_t i = 0; fork && i < fork->n_stored; i++) /* goes on from where its parent is */
        if (fork->private_copies[i] && p->stored[i])
            memcpy(fork->private_copies[i], p->stored[i], p->store->at[i]->bytes);
    return fork;
}

rg_status rg_plan_refresh(rg_plan *p)
{
    if (!p)
        return rgi_fail(RG_ERR_ARGUMENT, "rg_plan_refresh: the plan is NULL");
    for (size_t i = 0; i < p->n_stored; i++)
        if (p->private_copies[i])
            memcpy(p->private_copies[i], p->store->at[i]->data, p->store->at[i]->bytes);
    p->refreshed++;
    return RG_OK;
}

rg_status rg_plan_prepare(rg_plan *p)
{
    return p ? rgi_special_choose(p, false) : rgi_fail(RG_ERR_ARGUMENT, "rg_plan_prepare: the plan is NULL");
}

/* Where a fetched value is after a run. */
static const void *fetched_at(const rg_plan *p, int32_t v)
{
    const int32_t owner = rgi_owner(p->program, v);
    const rgi_value *o = &p->program->values[owner];
    const char *at = NULL;
    switch (o->place) {
    case RGI_SLAB:
        at = p->slab + p->current->offsets[owner];
        break;
    case RGI_BOUND:
        at = p->bindings[o->slot].data;
        break;
    case RGI_STORE:
        at = p->stored[o->slot];
        break;
    case RGI_FIXED:
        at = o->fixed;
        break;
    case RGI_VOID:
    case RGI_KEPT:
        break;
    }
    return at ? at + rgi_begin(p->program, p->current, v) : NULL;
}

static size_t fetched_bytes(const rg_plan *p, int32_t v)
{
    return p->current->counts[p->program->values[v].shape] * rg_dtype_size(p->program->values[v].dtype);
}

rg_status rg_run(rg_plan *p)
{
    if (!p)
        return rgi_fail(RG_ERR_ARGUMENT, "rg_run: the plan is NULL");
    rg_status status = rgi_special_choose(p, true);
    p->refused = status != RG_OK;
    if (status)
        return status;
    const rgi_program *prog = p->program;
    rgi_kept_renew(p);
    status = rgi_execute(p);
    p->ran = status == RG_OK;
    p->refused = !p->ran;
    if (status)
        return status;
    for (size_t i = 0; i < prog->n_writes; i++)
        if (!p->private_copies[prog->writes[i].entry->index])
            p->store->at[prog->writes[i].entry->index]->version++;
    for (size_t i = 0; i < prog->n_fetches; i++)
        if (p->outs[i] && fetched_bytes(p, prog->fetches[i].value))
            memcpy(p->outs[i], fetched_at(p, prog->fetches[i].value), fetched_bytes(p, prog->fetches[i].value));
    return RG_OK;
}

/* Which fetch a node is; errors are told in the name of `function`. */
static rg_status find_fetch(const rg_plan *p, const rg_node *node, const char *function, int64_t *out)
{
    char label[RGI_LABEL];
    if (!p || !node)
        return rgi_fail(RG_ERR_ARGUMENT, "%s: %s is NULL", function, p ? "the node" : "the plan");
    for (size_t i = 0; i < p->program->n_fetches; i++) {
        const rgi_fetch *const f = &p->program->fetches[i];
        if (f->node == node && f->value == RGI_NONE)
            return rgi_fail(RG_ERR_ARGUMENT, "%s: %s bundles effects, it has no values", function,
                            rgi_format_node(node, label, sizeof label));
        *out = (int64_t)i;
        if (f->node == node)
            return RG_OK;
    }
    return rgi_fail(RG_ERR_ARGUMENT, "%s: %s was not fetched: rg_compile was not given it", function,
                    rgi_format_node(node, label, sizeof label));
}

/* The same of a plan that has run. */
static rg_status find_result(const rg_plan *p, const rg_node *fetched, const char *function, int64_t *out)
{
    const rg_status status = find_fetch(p, fetched, function, out);
    if (status)
        return status;
    if (!p->ran && !p->refused) /* a run that failed has told why */
        return rgi_fail(RG_ERR_STATE, "%s: the plan has not run with what is bound now", function);
    return p->ran ? RG_OK : RG_ERR_STATE;
}

const void *rg_data(rg_plan *p, rg_node *fetched)
{
    int64_t i;
    return find_result(p, fetched, "rg_data", &i) ? NULL : fetched_at(p, p->program->fetches[i].value);
}

rg_status rg_result(rg_plan *p, rg_node *fetched, rg_tensor *out)
{
    int64_t i;
    if (!out)
        return rgi_fail(RG_ERR_ARGUMENT, "rg_result: the tensor is NULL");
    *out = (rg_tensor){0};
    const rg_status status = find_result(p, fetched, "rg_result", &i);
    if (status)
        return status;
    const int32_t v = p->program->fetches[i].value;
    out->dtype = fetched->dtype;
    out->shape = p->current->shapes[p->program->values[v].shape];
    out->data = (void *)(uintptr_t)fetched_at(p, v);
    return RG_OK;
}

rg_status rg_bind_out(rg_plan *p, rg_node *fetched, void *data)
{
    int64_t i;
    const rg_status status = find_fetch(p, fetched, "rg_bind_out", &i);
    if (!status)
        p->outs[i] = data;
    return status;
}

rg_status rg_plan_memory(rg_plan *p, void *at, size_t bytes)
{
    if (!p)
        return rgi_fail(RG_ERR_ARGUMENT, "rg_plan_memory: the plan is NULL");
    if ((uintptr_t)at % 64)
        return rgi_fail(RG_ERR_ARGUMENT, "rg_plan_memory: the memory is not aligned to 64 bytes");
    if (!p->lent)
        rgi_free(&p->base->graph->allocator, p->slab, p->slab_bytes);
    p->slab = at;
    p->slab_bytes = at ? bytes : 0;
    p->lent = at != NULL;
    if (p->lent)
        rgi_kept_free(p);
    p->ran = false;
    p->changed = true;
    return RG_OK;
}

size_t rg_plan_bytes(const rg_plan *p)
{
    return p && p->current ? p->current->total + p->kept_bytes : 0;
}
