/* steps.c - the steps of a specialisation: concrete types, tasks, scratch. */
#include "../plan.h"

#include "../../graph/infer.h"
#include "../program/retrace.h"
#include "../run/exec.h"
#include "steps.h"

#include <string.h>

#define RGI_PACK_LEAST 4  /* steps of loops from which operands are packed in front of them */
#define RGI_TASKS 64      /* of what would be fewer blocks, or one copy: parts are smaller then, ... */
#define RGI_PART 256      /* ... of so many elements, or ... */
#define RGI_COPY_PART 512 /* ... bytes, at least */

void *rgi_special_alloc(rgi_special *s, size_t n, size_t size)
{
    return rgi_arena_alloc(&s->arena, (n ? n : 1) * size);
}

size_t rgi_special_bytes(const rg_plan *p, const rgi_special *s, int32_t v)
{
    return rgi_bytes(p->program, s, v);
}

bool rgi_terms_make(const rg_plan *p, rgi_special *s, int32_t v, const rgi_terms **out)
{
    const rgi_program *prog = p->program;
    *out = NULL;
    if (!prog->n_loops || prog->values[v].part_of == RGI_NONE)
        return true;
    int32_t w = v;
    while (prog->values[w].part_of != RGI_NONE && prog->values[w].step_loop == RGI_NONE)
        w = prog->values[w].part_of;
    if (prog->values[w].part_of == RGI_NONE)
        return true;
    uint8_t n = 0;
    for (int32_t u = w; prog->values[u].part_of != RGI_NONE; u = prog->values[u].part_of)
        n += prog->values[u].step_loop != RGI_NONE;
    rgi_terms *terms = rgi_arena_take(&s->arena, sizeof *terms + n * sizeof *terms->stride);
    if (!terms)
        return false;
    const size_t turns = s->in_strips && s->in_strips[rgi_owner(prog, v)] != RGI_NONE ? RGI_TURN : 0;
    terms->n = 0;
    for (; prog->values[w].part_of != RGI_NONE; w = prog->values[w].part_of)
        if (prog->values[w].step_loop != RGI_NONE) {
            terms->depth[terms->n] = (uint8_t)(turns + prog->loops[prog->values[w].step_loop].depth);
            terms->stride[terms->n++] = rgi_special_bytes(p, s, w);
        }
    *out = terms;
    if (turns) {
        rgi_turned *turned = rgi_arena_take(&s->arena, sizeof *turned);
        if (!turned)
            return false;
        *turned = (rgi_turned){s->turned, rgi_owner(prog, v), terms};
        s->turned = turned;
    }
    return true;
}

bool rgi_pointers_make(rgi_special *s, rg_step *step)
{
    step->in = rgi_special_alloc(s, step->n_in + step->n_out, sizeof *step->in);
    if (!step->in)
        return false;
    step->out = (void *const *)(const void *)(step->in + step->n_in);
    return true;
}

/* How the rows of an input lie that is a window, or those of output 0 (i = n_in). The op has said when compiling that
   it takes such. */
static bool make_window(rg_plan *p, rgi_special *s, const rgi_value *value, rg_step *step, uint32_t i)
{
    if (!step->windows && !(step->windows = rgi_special_alloc(s, step->n_in + 1, sizeof *step->windows)))
        return false;
    const rg_window *const w = rgi_window_make(p, s, value);
    ((const rg_window **)(uintptr_t)step->windows)[i] = w;
    return w != NULL;
}

/* Types of an op's inputs and outputs, in one array: inputs first. */
static bool make_types(rg_plan *p, rgi_special *s, const rgi_use *use, rg_step *step)
{
    const rgi_program *prog = p->program;
    rg_type *type = rgi_arena_take(&s->arena, (use->n_in + use->n_out) * sizeof *type);
    step->op = use->node->op;
    step->attr = use->node->attr;
    step->n_in = use->n_in;
    step->n_out = use->n_out;
    if (!type || !rgi_pointers_make(s, step))
        return false;
    step->in_type = type;
    step->out_type = type + use->n_in;
    for (uint32_t i = 0; i < use->n_in + use->n_out; i++) {
        const int32_t v = i < use->n_in ? use->in[i] : use->out[i - use->n_in];
        if (v != RGI_NONE) {
            type[i].dtype = prog->values[v].dtype;
            type[i].shape = s->shapes[prog->values[v].shape];
            if (prog->values[v].window && !make_window(p, s, &prog->values[v], step, i))
                return false;
        } else { /* only the shape is used */
            type[i].dtype = use->node->in[i]->dtype;
            if (!rgi_special_shape(p, s, use->node->in[i]->shape, &type[i].shape))
                return false;
        }
    }
    return true;
}

bool rgi_pieces_find(rg_plan *p, rgi_special *s)
{
    for (size_t i = 0; i < p->program->n_pieces; i++) {
        const int32_t v = p->program->pieces[i];
        const rgi_value *value = &p->program->values[v];
        const rg_window *w = rgi_window_make(p, s, value);
        if (!w)
            return false;
        s->offsets[v] = w->offset * value->size;
    }
    return true;
}

rg_status rgi_rule_check(const rgi_use *use, const rgi_special *s, rg_step *step)
{
    const rg_node *node = use->node;
    bool named = node->shape->named;
    if (node->op->traits & RG_ANY_SIZES)
        return RG_OK;
    for (uint32_t i = 0; i < node->n_in; i++)
        named = named || node->in[i]->shape->named;
    rg_type out[RGI_RESULTS];
    char label[RGI_LABEL], have[RGI_LABEL], want[RGI_LABEL];
    if (!named)
        return RG_OK;
    const uint64_t failures = rgi_failures();
    const rg_status status = rgi_infer_concrete(node, s->sizes, (rg_type *)(uintptr_t)step->in_type, out);
    if (status) {
        if (failures == rgi_failures())
            rgi_fail(status, "%s: the shape rule refused its inputs", node->op->name);
        rgi_tell_of(node, status);
        return status;
    }
    for (uint32_t k = 0; k < use->n_out; k++)
        if (!rg_shape_equal(out[k].shape, step->out_type[k].shape))
            return rgi_fail(RG_ERR_SHAPE, "rg_run: with the sizes bound, %s gives %s, the graph was built for %s",
                            rgi_format_node(node, label, sizeof label),
                            rgi_format_shape(NULL, out[k].shape, have, sizeof have),
                            rgi_format_shape(NULL, step->out_type[k].shape, want, sizeof want));
    return RG_OK;
}

/* ---- single ops -------------------------------------------------------------------------------- */

static bool make_geometry(rgi_special *s, rg_step *step)
{
    if (!step->op->geometry)
        return true;
    void *geometry = rgi_special_alloc(s, step->op->geometry_size, 1);
    if (geometry)
        step->op->geometry(step, geometry);
    step->geometry = geometry;
    return geometry != NULL;
}

bool rgi_packed_make(const rg_plan *p, rgi_special *s, const rgi_use *use, rgi_exec *e)
{
    if (!use->packed)
        return true;
    e->step.packed = e->packed = rgi_special_alloc(s, use->n_in, sizeof *e->packed);
    for (uint32_t i = 0; e->packed && i < use->n_in; i++) {
        const size_t number = use->packed[i] == RGI_NONE ? 0 : p->program->values[use->packed[i]].packed;
        if (number && p->program->packed[number - 1].loop == RGI_NONE) {
            rgi_packing *x = &s->packed[number - 1];
            x->bytes = use->node->op->packed(&e->step, i, &x->tasks);
            x->step = e;
        }
    }
    return e->packed != NULL;
}

/* `group`: of a head or foot, or NULL. */
static bool make_run(rg_plan *p, rgi_special *s, const rgi_item *item, const rgi_group *group, rgi_exec *e,
                     rgi_extra *extra, size_t *scratch)
{
    const rgi_use *use = rgi_main_use(p->program, item);
    if (!make_types(p, s, use, &e->step) || (s->refused = rgi_rule_check(use, s, &e->step)))
        return false;
    rg_cost cost = {.tasks = {0}};
    e->step.tail = item->headed ? &group->tail : NULL;
    e->step.source = item->footed ? &group->source : NULL;
    if (!make_geometry(s, &e->step) || !rgi_packed_make(p, s, use, e))
        return false;
    if (use->node->op->cost)
        use->node->op->cost(&e->step, &cost);
    else
        cost.tasks[0] = 1;
    memcpy(e->tasks, cost.tasks, sizeof e->tasks);
    e->flops = cost.flops;
    e->traffic = cost.bytes;
    if (e->traffic == 0)
        for (uint32_t i = 0; i < use->n_in + use->n_out; i++) {
            const int32_t v = i < use->n_in ? use->in[i] : use->out[i - use->n_in];
            e->traffic += v == RGI_NONE ? 0 : (double)rgi_special_bytes(p, s, v);
        }
    *scratch = cost.scratch;
    s->scratch = cost.scratch > s->scratch ? cost.scratch : s->scratch;
    extra->shared = cost.shared;
    for (uint32_t i = 0; i < use->n_in + use->n_out; i++) {
        const int32_t v = i < use->n_in ? use->in[i] : use->out[i - use->n_in];
        const rgi_terms *terms = NULL;
        if (v != RGI_NONE && !rgi_terms_make(p, s, v, &terms))
            return false;
        if (terms && !e->terms && !(e->terms = rgi_special_alloc(s, use->n_in + use->n_out, sizeof *e->terms)))
            return false;
        if (terms)
            e->terms[i] = terms;
    }
    const size_t n = use->n_in + use->n_out;
    if (e->terms && n > RGI_FEW) {
        e->moved_at = (*scratch + 64) / 64 * 64;
        *scratch = e->moved_at + n * sizeof(void *);
        s->scratch = *scratch > s->scratch ? *scratch : s->scratch;
    }
    return true;
}

/* ---- steps with groups --------------------------------------------------------------------------- */

/* What the members compute and move. */
static void add_work(const rgi_group *g, rgi_exec *e)
{
    e->flops += 4.0 * (double)(g->n_members * g->elements);
    e->traffic += (double)(g->moved * g->elements);
}

/* The group of a step, or NULL: one that lasts, or from that of sizes known before, where it is the same but for
   numbers. */
static rgi_group *make_group(rg_plan *p, rgi_special *s, const rgi_item *item, rgi_exec *e, int32_t head, int32_t foot)
{
    rgi_group *g;
    const rgi_group *known = s->known ? s->known->steps[e - s->steps].group : NULL;
    if (!rgi_lasting_find(p, s, (size_t)(e - s->steps), &g))
        return NULL;
    e->lasts = g != NULL;
    return g                                             ? g
           : known && rgi_group_stays(p, s, item, known) ? rgi_group_again(p, s, item, known)
                                                         : rgi_group_make(p, s, item, head, foot);
}

/* Cuts a group into tasks: blocks or, where there are few, smaller parts. A thread does its tasks in blocks anyway. */
static void cut_group(const rgi_group *g, rgi_exec *e)
{
    const size_t blocks = (g->elements + g->block - 1) / g->block;
    const size_t part = ((g->elements + RGI_TASKS - 1) / RGI_TASKS + RGI_PART - 1) / RGI_PART * RGI_PART;
    e->part = blocks > 1 && part < g->block ? part : g->block;
    e->tasks[0] = (g->elements + e->part - 1) / e->part;
}

static bool make_fused(rg_plan *p, rgi_special *s, const rgi_item *item, rgi_exec *e)
{
    rgi_group *g = make_group(p, s, item, e, RGI_NONE, RGI_NONE);
    if (!g)
        return false;
    e->group = g;
    cut_group(g, e);
    add_work(g, e);
    return true;
}

/* A group with a head or a foot: that op's step, and the group as its tail or source, whose scratch lies behind the
   op's. */
static bool make_joined(rg_plan *p, rgi_special *s, const rgi_item *item, rgi_exec *e, rgi_extra *extra)
{
    const rgi_item members = rgi_members_of(item);
    const rgi_use *use = rgi_main_use(p->program, item);
    rgi_group *g =
        make_group(p, s, &members, e, item->headed ? use->out[0] : RGI_NONE, item->footed ? use->in[0] : RGI_NONE);
    if (!g)
        return false;
    g->tail = (rg_tail){rgi_group_take, rgi_group_reads, rgi_group_writes, rgi_group_adds_to};
    g->source.give = rgi_group_give;
    e->kind = RGI_RUN;
    e->group = g;
    size_t scratch = 0;
    if (!make_run(p, s, item, g, e, extra, &scratch))
        return false;
    e->own_at = (scratch + 63) / 64 * 64;
    scratch = e->own_at + g->scratch;
    g->scratch_at = e->lasts ? g->scratch_at : e->own_at;
    s->scratch = scratch > s->scratch ? scratch : s->scratch;
    add_work(g, e);
    return true;
}

/* ---- all steps ------------------------------------------------------------------------------------- */

static bool make_copy(rg_plan *p, rgi_special *s, const rgi_item *item, rgi_exec *e)
{
    e->bytes = rgi_special_bytes(p, s, item->to);
    e->traffic = 2.0 * (double)e->bytes;
    e->tasks[0] = 1;
    e->part = e->bytes;
    if ((item->kind == RGI_COPY || item->kind == RGI_CLEAR) && !item->every && !item->checkpoint) {
        const size_t parts = e->bytes / RGI_COPY_PART;
        e->tasks[0] = parts < 1 ? 1 : parts < RGI_TASKS ? parts : RGI_TASKS;
        e->part = e->bytes / e->tasks[0] / 64 * 64;
    }
    e->terms = rgi_special_alloc(s, 2, sizeof *e->terms);
    if (!e->terms || (item->from != RGI_NONE && !rgi_terms_make(p, s, item->from, &e->terms[0])) ||
        !rgi_terms_make(p, s, item->to, &e->terms[1]))
        return false;
    return true;
}

/* How often the loops around a use go round while its packed operand stays as it is. */
static double packed_calls(const rgi_program *prog, const rgi_special *s, const rgi_packed *x)
{
    double calls = 1;
    for (int32_t l = x->inner;; l = prog->loops[l].parent) {
        calls *= prog->loops[l].scan->endless ? RGI_PACK_LEAST : (double)s->shapes[prog->loops[l].length].dim[0];
        if (l == x->loop)
            return calls;
    }
}

static bool make_pack(rg_plan *p, rgi_special *s, const rgi_item *item, rgi_exec *e)
{
    const rgi_program *prog = p->program;
    const size_t number = prog->values[item->to].packed - 1;
    const rgi_packed *x = &prog->packed[number];
    const rgi_use *use = &prog->uses[x->use];
    rgi_packing *made = &s->packed[number];
    if (!make_types(p, s, use, &e->step) || !make_geometry(s, &e->step))
        return false;
    if (packed_calls(prog, s, x) >= RGI_PACK_LEAST)
        made->bytes = use->node->op->packed(&e->step, x->input, &made->tasks);
    e->input = x->input;
    e->tasks[0] = made->bytes ? made->tasks : 0;
    e->traffic = 2.0 * (double)made->bytes;
    e->terms = rgi_special_alloc(s, 2, sizeof *e->terms);
    return e->terms && rgi_terms_make(p, s, item->from, &e->terms[0]) && rgi_terms_make(p, s, item->to, &e->terms[1]);
}

/* A step that looks at one value. */
static bool make_read(rg_plan *p, rgi_special *s, const rgi_item *item, rgi_exec *e)
{
    e->terms = rgi_special_alloc(s, 1, sizeof *e->terms);
    return e->terms && rgi_terms_make(p, s, item->from, &e->terms[0]);
}

static bool make_loop(rg_plan *p, rgi_special *s, const rgi_item *item, rgi_exec *e)
{
    const rgi_loop *loop = &p->program->loops[item->loop];
    e->depth = (uint32_t)loop->depth;
    if (item->kind == RGI_TEST) {
        e->most = loop->scan->most ? (size_t)loop->scan->most : SIZE_MAX;
        e->jump = loop->end + 1;
        return make_read(p, s, item, e);
    }
    e->reverse = loop->reverse;
    e->trips = loop->scan->endless ? SIZE_MAX : (size_t)s->shapes[loop->length].dim[0];
    e->jump = item->kind == RGI_LOOP ? loop->end + 1 : loop->begin + 1;
    return rgi_schedule_make(p->program, s, loop, e) && (item->from == RGI_NONE || make_read(p, s, item, e));
}

bool rgi_step_make(rg_plan *p, rgi_special *s, size_t step, rgi_exec *e, rgi_extra *extra)
{
    const rgi_program *prog = p->program;
    const rgi_item *item = &prog->items[step];
    size_t scratch;
    e->kind = item->kind;
    if (item->kind == RGI_RUN)
        return make_run(p, s, item, NULL, e, extra, &scratch);
    if (item->headed || item->footed)
        return make_joined(p, s, item, e, extra);
    if (item->kind == RGI_FUSED)
        return make_fused(p, s, item, e);
    if (item->kind == RGI_PACK)
        return make_pack(p, s, item, e);
    if (item->kind == RGI_LOOP || item->kind == RGI_NEXT || item->kind == RGI_TEST)
        return make_loop(p, s, item, e);
    if (item->every) {
        const rgi_loop *loop = &prog->loops[item->loop];
        e->every = (size_t)item->every;
        e->depth = (uint32_t)loop->depth;
        e->reverse = loop->reverse;
        e->trips = (size_t)s->shapes[loop->length].dim[0];
    }
    e->checkpoint = item->checkpoint;
    if (item->kind == RGI_INDEX || item->checkpoint)
        e->depth = (uint32_t)prog->loops[item->loop].depth;
    return make_copy(p, s, item, e);
}

bool rgi_steps_make(rg_plan *p, rgi_special *s, rgi_extra *extra)
{
    const rgi_program *prog = p->program;
    s->steps = rgi_arena_take(&s->arena, (prog->n_items + 1) * sizeof *s->steps);
    if (!s->steps)
        return false;
    s->n_steps = prog->n_items;
    bool ok = true;
    for (size_t i = 0; ok && i < s->n_steps; i++) {
        bool lasts;
        ok = rgi_lasting_step(p, s, i, &extra[i], &lasts);
        if (!ok || lasts)
            continue;
        memset(&s->steps[i], 0, sizeof *s->steps); /* shortly before it is filled in */
        ok = rgi_step_make(p, s, i, &s->steps[i], &extra[i]);
    }
    return ok;
}

/* Whether a step is done in parts: of a loop that is cut by rows, a bridge, in strips. */
static bool is_cut(const rgi_program *prog, const rgi_special *s, size_t i)
{
    const int32_t loop = prog->items[i].loop;
    return s->steps[i].bridge || s->steps[i].in_strips || (loop != RGI_NONE && s->steps[prog->loops[loop].begin].rows);
}

bool rgi_steps_settle(rg_plan *p, rgi_special *s, rgi_extra *extra)
{
    for (size_t i = 0; i < s->n_steps; i++) {
        rgi_exec *e = &s->steps[i];
        rgi_group *const g = e->kind == RGI_FUSED ? e->group : NULL;
        const bool single = g && e->tasks[0] <= 1 && !is_cut(p->program, s, i);
        if (g && e->lasts && !rgi_lasting_settle(p, s, i, single, &e->group))
            return false;
        if (single && !e->lasts && !rgi_group_single(s, g))
            return false;
        if (single)
            extra[i].shared = g->scratch;
        else if (g && g->scratch > s->scratch)
            s->scratch = g->scratch;
        s->steps[i].own = extra[i].shared;
    }
    return true;
}
