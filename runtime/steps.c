/* steps.c - the steps of a specialisation: concrete types, tasks, scratch; groups cut into blocks; and, once everything
   has its place, the pointers. */
#include "plan.h"

#include "../graph/infer.h"
#include "evaluate.h"
#include "steps.h"
#include "stream.h"

#include <string.h>

#define RGI_BLOCK_BYTES 32768 /* what the live blocks of a group may fill: within L1 */
#define RGI_BLOCK_LARGEST 1024
#define RGI_BLOCK_PLAIN 4096 /* without scratch there is no reason to stay small */

static void *make(rgi_special *s, size_t n, size_t size)
{
    return rgi_arena_alloc(&s->arena, (n ? n : 1) * size);
}

static size_t bytes_of(const rg_plan *p, const rgi_special *s, int32_t v)
{
    const rgi_value *value = &p->program->values[v];
    return s->counts[value->shape] * rg_dtype_size(value->dtype);
}

/* Strides of a value that moves with the loops around it; NULL if it does not. False: out of memory. */
static bool make_terms(const rg_plan *p, rgi_special *s, int32_t v, const rgi_terms **out)
{
    const rgi_program *prog = p->program;
    rgi_terms terms = {0};
    for (int32_t w = v; prog->values[w].part_of != RGI_NONE; w = prog->values[w].part_of)
        if (prog->values[w].step_loop != RGI_NONE) {
            terms.depth[terms.n] = (uint32_t)prog->loops[prog->values[w].step_loop].depth;
            terms.stride[terms.n++] = bytes_of(p, s, w);
        }
    *out = NULL;
    if (!terms.n)
        return true;
    rgi_terms *copy = make(s, 1, sizeof *copy);
    if (copy)
        *copy = terms;
    *out = copy;
    return copy != NULL;
}

/* Types of an op's inputs and outputs, in one array: inputs first. */
static bool make_types(const rg_plan *p, rgi_special *s, const rgi_use *use, rg_step *step, const rg_shape *like)
{
    const rgi_program *prog = p->program;
    rg_type *type = make(s, use->n_in + use->n_out, sizeof *type);
    const void **in = make(s, use->n_in, sizeof *in);
    void **out = make(s, use->n_out, sizeof *out);
    if (!type || !in || !out)
        return false;
    for (uint32_t i = 0; i < use->n_in + use->n_out; i++) {
        const int32_t v = i < use->n_in ? use->in[i] : use->out[i - use->n_in];
        if (v != RGI_NONE) {
            type[i] = (rg_type){prog->values[v].dtype, s->shapes[prog->values[v].shape]};
        } else { /* only the shape is used */
            type[i].dtype = use->node->in[i]->dtype;
            if (!rgi_special_shape(p, s, use->node->in[i]->shape, &type[i].shape))
                return false;
        }
        if (like)
            type[i].shape = *like;
    }
    *step = (rg_step){.op = use->node->op,
                      .attr = use->node->attr,
                      .n_in = use->n_in,
                      .n_out = use->n_out,
                      .in = in,
                      .out = out,
                      .in_type = type,
                      .out_type = type + use->n_in};
    return true;
}

/* Shape rules see stand-ins while a graph is built; here they see the sizes that came, and must agree with what follows
   from the stand-ins: a slice of five of a named axis that turns out to have three does not. */
static rg_status check_rule(const rgi_use *use, const rgi_special *s, rg_step *step)
{
    const rg_node *node = use->node;
    bool named = node->shape->named;
    for (uint32_t i = 0; i < node->n_in; i++)
        named = named || node->in[i]->shape->named;
    rg_type out[RGI_RESULTS];
    char label[RGI_LABEL], have[RGI_LABEL], want[RGI_LABEL];
    if (!named)
        return RG_OK;
    const rg_status status = rgi_infer_concrete(node, s->sizes, (rg_type *)(uintptr_t)step->in_type, out);
    if (status)
        return status;
    for (uint32_t k = 0; k < use->n_out; k++)
        if (!rg_shape_equal(out[k].shape, step->out_type[k].shape))
            return rgi_fail(RG_ERR_SHAPE, "rg_run: with the sizes bound, %s gives %s, the graph was built for %s",
                            rgi_format_node(node, label, sizeof label),
                            rgi_format_shape(NULL, out[k].shape, have, sizeof have),
                            rgi_format_shape(NULL, step->out_type[k].shape, want, sizeof want));
    return RG_OK;
}

/* Where a value lies in the one it is a window of. NULL: out of memory, or refused. */
static const rg_window *make_window(rg_plan *p, rgi_special *s, const rgi_value *value)
{
    const rg_node *node = value->window;
    rg_window *w = make(s, 1, sizeof *w);
    rg_type *type = make(s, node->n_in + 1, sizeof *type);
    if (!w || !type)
        return NULL;
    for (uint32_t i = 0; i <= node->n_in; i++) {
        const rg_node *v = i < node->n_in ? node->in[i] : node;
        type[i].dtype = v->dtype;
        if (!rgi_special_shape(p, s, v->shape, &type[i].shape))
            return NULL;
    }
    rg_step step = {.op = node->op,
                    .attr = node->attr,
                    .n_in = node->n_in,
                    .n_out = 1,
                    .in_type = type,
                    .out_type = type + node->n_in};
    s->refused = check_rule(&(rgi_use){.node = node, .n_in = node->n_in, .n_out = 1}, s, &step);
    return !s->refused && node->op->window(&step, value->window_input, w) ? w : NULL;
}

/* ---- single ops -------------------------------------------------------------------------------- */

/* The op of a single one, or the head or foot of a group. */
static const rgi_use *main_use(const rgi_program *prog, const rgi_item *item)
{
    return &prog->uses[item->footed ? item->first + item->count - 1 : item->first];
}

/* `group`: of a head or foot, or NULL. */
static bool make_run(rg_plan *p, rgi_special *s, const rgi_item *item, const rgi_group *group, rgi_exec *e,
                     rgi_extra *extra, size_t *scratch)
{
    const rgi_use *use = main_use(p->program, item);
    if (!make_types(p, s, use, &e->step, NULL) || (s->refused = check_rule(use, s, &e->step)))
        return false;
    rg_cost cost = {.tasks = {0}};
    e->step.tail = item->headed ? &group->tail : NULL;
    e->step.source = item->footed ? &group->source : NULL;
    if (use->node->op->geometry) {
        void *geometry = make(s, use->node->op->geometry_size, 1);
        if (!geometry)
            return false;
        use->node->op->geometry(&e->step, geometry);
        e->step.geometry = geometry;
    }
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
            e->traffic += v == RGI_NONE ? 0 : (double)bytes_of(p, s, v);
        }
    *scratch = cost.scratch;
    s->scratch = cost.scratch > s->scratch ? cost.scratch : s->scratch;
    extra->shared = cost.shared;
    e->terms = make(s, use->n_in + use->n_out, sizeof *e->terms);
    bool moves = false, ok = e->terms != NULL;
    for (uint32_t i = 0; ok && i < use->n_in + use->n_out; i++) {
        const int32_t v = i < use->n_in ? use->in[i] : use->out[i - use->n_in];
        ok = v == RGI_NONE || make_terms(p, s, v, &e->terms[i]);
        moves = moves || (ok && e->terms[i]);
    }
    e->terms = moves ? e->terms : NULL;
    return ok;
}

/* ---- groups -------------------------------------------------------------------------------------- */

typedef struct grouping {
    rg_plan *p;
    rgi_special *s;
    const rgi_item *item;
    rgi_group *g;
    size_t slots, unit; /* slots in use at most, bytes of the widest element */
    int32_t head, foot; /* the value that a head delivers, or a foot draws, or RGI_NONE */
    bool *busy;
    size_t n_busy;
} grouping;

static size_t take_slot(grouping *k)
{
    for (size_t i = 0; i < k->n_busy; i++)
        if (!k->busy[i]) {
            k->busy[i] = true;
            return i;
        }
    return SIZE_MAX;
}

/* The last member that reads value v, or -1. */
static int64_t last_reader(const grouping *k, int32_t v)
{
    const rgi_use *uses = &k->p->program->uses[k->item->first];
    for (size_t m = k->item->count; m-- > 0;)
        for (uint32_t i = 0; i < uses[m].n_in; i++)
            if (uses[m].in[i] == v)
                return (int64_t)m;
    return -1;
}

static const rgi_operand *made_in_group(const grouping *k, int32_t v, size_t before)
{
    const rgi_use *uses = &k->p->program->uses[k->item->first];
    for (size_t m = before; m-- > 0;)
        if (uses[m].out[0] == v)
            return &k->g->members[m].out;
    return NULL;
}

/* A block full of one constant number, shared by all who want the same. */
static const void *number_block(rgi_special *s, const void *number, size_t size)
{
    for (rgi_number *x = s->numbers; x; x = x->next)
        if (x->size == size && memcmp(x->block, number, size) == 0)
            return x->block;
    rgi_number *x = make(s, 1, sizeof *x);
    char *block = make(s, RGI_BLOCK_LARGEST * size + 64, 1);
    if (!x || !block)
        return NULL;
    block = (char *)(((uintptr_t)block + 63) & ~(uintptr_t)63);
    const rg_shape one = RG_SCALAR, many = RG_SHAPE(RGI_BLOCK_LARGEST);
    rgi_broadcast_copy(number, &one, &many, size, 0, RGI_BLOCK_LARGEST, block);
    *x = (rgi_number){s->numbers, block, size};
    s->numbers = x;
    return block;
}

static bool is_number(const grouping *k, const rgi_value *v)
{
    return v->place == RGI_FIXED && v->part_of == RGI_NONE && k->s->counts[v->shape] == 1 && k->g->elements != 1;
}

static const rgi_spread *spread_of(const grouping *k, int32_t v)
{
    for (size_t n = 0; n < k->g->n_spreads; n++)
        if (k->g->spreads[n].value == v)
            return &k->g->spreads[n];
    return NULL;
}

/* The number of elements after which a smaller operand begins again, as a bias of rows does; 0 if it is not so. */
static size_t period_of(const rg_shape *from, const rg_shape *to)
{
    int32_t leading = 0;
    while (leading < from->rank && from->dim[leading] == 1)
        leading++;
    size_t n = 1;
    for (int32_t i = from->rank - 1, j = to->rank - 1; i >= leading; i--, j--) {
        if (from->dim[i] != to->dim[j])
            return 0;
        n *= (size_t)from->dim[i];
    }
    return n;
}

/* Operands from outside that are smaller than the group: they hold their blocks while all members run. */
static bool make_spreads(grouping *k)
{
    const rgi_program *prog = k->p->program;
    const rgi_use *uses = &prog->uses[k->item->first];
    for (size_t m = 0; m < k->g->n_members; m++)
        for (uint32_t i = 0; i < uses[m].n_in; i++) {
            const int32_t v = uses[m].in[i];
            if (v == RGI_NONE || spread_of(k, v))
                continue;
            const rgi_value *value = &prog->values[v];
            bool inside = false;
            for (size_t j = 0; j < m && !inside; j++)
                inside = uses[j].out[0] == v;
            if (inside || v == k->head || is_number(k, value) ||
                (!value->window && rg_shape_equal(k->s->shapes[value->shape], k->g->shape)))
                continue;
            rgi_spread *x = &k->g->spreads[k->g->n_spreads++];
            *x = (rgi_spread){.from = {.mode = RGI_MEMORY, .size = (uint32_t)rg_dtype_size(value->dtype)},
                              .slot = take_slot(k),
                              .period = value->window ? 0 : period_of(&k->s->shapes[value->shape], &k->g->shape),
                              .shape = k->s->shapes[value->shape],
                              .value = v};
            if (!make_terms(k->p, k->s, v, &x->from.terms) ||
                (value->window && !(x->from.window = make_window(k->p, k->s, value))))
                return false;
            k->g->moves = k->g->moves || x->from.terms;
        }
    return true;
}

static bool make_operand(grouping *k, size_t member, uint32_t i)
{
    const rgi_program *prog = k->p->program;
    const int32_t v = prog->uses[k->item->first + member].in[i];
    rgi_operand *o = &k->g->members[member].in[i];
    if (v == RGI_NONE)
        return true;
    const rgi_value *value = &prog->values[v];
    const size_t size = rg_dtype_size(value->dtype);
    k->unit = size > k->unit ? size : k->unit;
    const rgi_operand *made = made_in_group(k, v, member);
    const rgi_spread *spread = spread_of(k, v);
    *o = (rgi_operand){.mode = RGI_MEMORY, .size = (uint32_t)size};
    if (made) {
        *o = *made;
    } else if (v == k->head) {
        o->mode = RGI_HEAD;
    } else if (is_number(k, value)) {
        o->mode = RGI_NUMBER;
        o->at = number_block(k->s, value->fixed, size);
        return o->at != NULL;
    } else if (spread) {
        o->mode = RGI_BLOCK;
        o->slot = spread->slot;
        o->spread = (uint32_t)(spread - k->g->spreads) + 1;
    } else {
        const bool ok = make_terms(k->p, k->s, v, &o->terms);
        k->g->moves = k->g->moves || o->terms;
        return ok;
    }
    return true;
}

static bool make_output(grouping *k, size_t member)
{
    const rgi_program *prog = k->p->program;
    const rgi_use *use = &prog->uses[k->item->first + member];
    const int32_t v = use->out[0];
    rgi_operand *o = &k->g->members[member].out;
    const size_t size = rg_dtype_size(prog->values[v].dtype);
    k->unit = size > k->unit ? size : k->unit;
    *o = (rgi_operand){.mode = RGI_MEMORY, .size = (uint32_t)size};
    if (prog->values[v].place != RGI_VOID || prog->values[v].part_of != RGI_NONE) {
        const bool ok = make_terms(k->p, k->s, v, &o->terms);
        k->g->moves = k->g->moves || o->terms;
        if (prog->values[v].window) {
            o->mode = RGI_WINDOW;
            o->window = make_window(k->p, k->s, &prog->values[v]);
            o->slot = take_slot(k);
            return ok && o->window;
        }
        if (k->g->n_members > 1 && k->g->elements * size >= RGI_STREAM_LEAST && prog->values[v].part_of == RGI_NONE) {
            o->mode = RGI_STREAM;
            k->g->streams = true;
            o->slot = take_slot(k);
        }
        return ok;
    }
    o->mode = v == k->foot ? RGI_FOOT : RGI_BLOCK;
    if (o->mode == RGI_BLOCK)
        o->slot = take_slot(k);
    for (uint32_t i = 0; i < use->n_in; i++) { /* blocks nobody reads any more are free */
        const rgi_operand *in = &k->g->members[member].in[i];
        const bool block = use->in[i] != RGI_NONE && in->mode == RGI_BLOCK && made_in_group(k, use->in[i], member);
        if (block && last_reader(k, use->in[i]) == (int64_t)member)
            k->busy[in->slot] = false;
    }
    return true;
}

static bool in_scratch(const rgi_operand *o)
{
    return o->mode == RGI_BLOCK || o->mode == RGI_STREAM || o->mode == RGI_WINDOW;
}

static void choose_block(grouping *k)
{
    rgi_group *g = k->g;
    size_t slots = 0;
    bool numbers = false;
    for (size_t m = 0; m < g->n_members; m++) {
        slots =
            in_scratch(&g->members[m].out) && g->members[m].out.slot + 1 > slots ? g->members[m].out.slot + 1 : slots;
        for (uint32_t i = 0; i < g->members[m].step.n_in; i++)
            numbers = numbers || g->members[m].in[i].mode == RGI_NUMBER;
    }
    for (size_t n = 0; n < g->n_spreads; n++)
        slots = g->spreads[n].slot + 1 > slots ? g->spreads[n].slot + 1 : slots;
    size_t block = slots || numbers ? RGI_BLOCK_LARGEST : RGI_BLOCK_PLAIN;
    while (slots && block > 128 && block * slots * k->unit > RGI_BLOCK_BYTES)
        block /= 2;
    g->block = block;
    g->scratch = slots * block * k->unit;
    for (size_t m = 0; m < g->n_members; m++) {
        g->members[m].out.slot *= block * k->unit;
        for (uint32_t i = 0; i < g->members[m].step.n_in; i++)
            g->members[m].in[i].slot *= block * k->unit;
    }
    for (size_t n = 0; n < g->n_spreads; n++)
        g->spreads[n].slot *= block * k->unit;
}

/* The elementwise ops of an item. */
static rgi_item members_of(const rgi_item *item)
{
    rgi_item members = *item;
    members.first += item->headed;
    members.count -= item->headed || item->footed;
    return members;
}

static rgi_group *make_group(rg_plan *p, rgi_special *s, const rgi_item *item, int32_t head, int32_t foot)
{
    const rgi_program *prog = p->program;
    rgi_group *g = make(s, 1, sizeof *g);
    size_t operands = 0;
    for (uint32_t m = 0; m < item->count; m++)
        operands += prog->uses[item->first + m].n_in + 1;
    grouping k = {.p = p, .s = s, .item = item, .g = g, .unit = 1, .head = head, .foot = foot, .n_busy = operands};
    k.busy = make(s, operands, sizeof *k.busy);
    if (!g || !k.busy)
        return NULL;
    g->members = make(s, item->count, sizeof *g->members);
    g->spreads = make(s, operands, sizeof *g->spreads);
    if (!g->members || !g->spreads)
        return NULL;
    const uint32_t shape = prog->values[prog->uses[item->first].out[0]].shape;
    g->shape = s->shapes[shape];
    g->elements = s->counts[shape];
    g->n_members = item->count;
    if (!make_spreads(&k))
        return NULL;
    for (size_t m = 0; m < g->n_members; m++) {
        const rgi_use *use = &prog->uses[item->first + m];
        if (!make_types(p, s, use, &g->members[m].step, &g->shape))
            return NULL;
        for (uint32_t i = 0; i < use->n_in; i++)
            if (!make_operand(&k, m, i))
                return NULL;
        if (!make_output(&k, m))
            return NULL;
    }
    choose_block(&k);
    return g;
}

/* What the members compute and move. */
static void add_work(const rgi_group *g, rgi_exec *e)
{
    for (size_t m = 0; m < g->n_members; m++) {
        e->flops += 4.0 * (double)g->elements;
        for (uint32_t i = 0; i <= g->members[m].step.n_in; i++) {
            const rgi_operand *o = i < g->members[m].step.n_in ? &g->members[m].in[i] : &g->members[m].out;
            const bool memory = o->mode == RGI_MEMORY || o->mode == RGI_STREAM || o->mode == RGI_WINDOW;
            e->traffic += memory ? (double)(o->size * g->elements) : 0;
        }
    }
}

static bool make_fused(rg_plan *p, rgi_special *s, const rgi_item *item, rgi_exec *e, rgi_extra *extra)
{
    rgi_group *g = make_group(p, s, item, RGI_NONE, RGI_NONE);
    if (!g)
        return false;
    e->group = g;
    e->tasks[0] = (g->elements + g->block - 1) / g->block;
    g->single = e->tasks[0] <= 1 && !g->moves;
    extra->shared = g->single ? g->scratch : 0;
    s->scratch = !g->single && g->scratch > s->scratch ? g->scratch : s->scratch;
    add_work(g, e);
    return true;
}

/* A group with a head or a foot: that op's step, and the group as its tail or source, whose scratch lies behind the op's. */
static bool make_joined(rg_plan *p, rgi_special *s, const rgi_item *item, rgi_exec *e, rgi_extra *extra)
{
    const rgi_item members = members_of(item);
    const rgi_use *use = main_use(p->program, item);
    rgi_group *g =
        make_group(p, s, &members, item->headed ? use->out[0] : RGI_NONE, item->footed ? use->in[0] : RGI_NONE);
    if (!g)
        return false;
    g->tail = (rg_tail){rgi_group_take, rgi_group_reads};
    g->source.give = rgi_group_give;
    e->kind = RGI_RUN;
    e->group = g;
    size_t scratch = 0;
    if (!make_run(p, s, item, g, e, extra, &scratch))
        return false;
    g->scratch_at = (scratch + 63) / 64 * 64;
    scratch = g->scratch_at + g->scratch;
    s->scratch = scratch > s->scratch ? scratch : s->scratch;
    add_work(g, e);
    return true;
}

/* ---- all steps ------------------------------------------------------------------------------------- */

static bool make_copy(rg_plan *p, rgi_special *s, const rgi_item *item, rgi_exec *e)
{
    e->bytes = bytes_of(p, s, item->to);
    e->traffic = 2.0 * (double)e->bytes;
    e->tasks[0] = 1;
    e->terms = make(s, 2, sizeof *e->terms);
    if (!e->terms || (item->from != RGI_NONE && !make_terms(p, s, item->from, &e->terms[0])) ||
        !make_terms(p, s, item->to, &e->terms[1]))
        return false;
    return true;
}

/* A step that looks at one value. */
static bool make_read(rg_plan *p, rgi_special *s, const rgi_item *item, rgi_exec *e)
{
    e->terms = make(s, 1, sizeof *e->terms);
    return e->terms && make_terms(p, s, item->from, &e->terms[0]);
}

bool rgi_steps_make(rg_plan *p, rgi_special *s, rgi_extra *extra)
{
    const rgi_program *prog = p->program;
    s->steps = make(s, prog->n_items, sizeof *s->steps);
    if (!s->steps)
        return false;
    s->n_steps = prog->n_items;
    bool ok = true;
    for (size_t i = 0; ok && i < s->n_steps; i++) {
        const rgi_item *item = &prog->items[i];
        rgi_exec *e = &s->steps[i];
        e->kind = item->kind;
        size_t scratch;
        if (item->kind == RGI_RUN) {
            ok = make_run(p, s, item, NULL, e, &extra[i], &scratch);
        } else if (item->headed || item->footed) {
            ok = make_joined(p, s, item, e, &extra[i]);
        } else if (item->kind == RGI_FUSED) {
            ok = make_fused(p, s, item, e, &extra[i]);
        } else if (item->kind == RGI_LOOP || item->kind == RGI_NEXT) {
            const rgi_loop *loop = &prog->loops[item->loop];
            e->reverse = loop->reverse;
            e->depth = (uint32_t)loop->depth;
            e->trips = loop->scan->endless ? SIZE_MAX : (size_t)s->shapes[loop->length].dim[0];
            e->jump = item->kind == RGI_LOOP ? loop->end + 1 : loop->begin + 1;
            ok = item->from == RGI_NONE || make_read(p, s, item, e);
        } else if (item->kind == RGI_TEST) {
            const rgi_loop *loop = &prog->loops[item->loop];
            e->depth = (uint32_t)loop->depth;
            e->most = loop->scan->most ? (size_t)loop->scan->most : SIZE_MAX;
            e->jump = loop->end + 1;
            ok = make_read(p, s, item, e);
        } else {
            ok = make_copy(p, s, item, e);
            if (item->every) {
                const rgi_loop *loop = &prog->loops[item->loop];
                e->every = (size_t)item->every;
                e->depth = (uint32_t)loop->depth;
                e->reverse = loop->reverse;
                e->trips = (size_t)s->shapes[loop->length].dim[0];
            }
            if (item->kind == RGI_INDEX)
                e->depth = (uint32_t)prog->loops[item->loop].depth;
        }
        e->own = extra[i].shared;
    }
    return ok;
}

/* ---- pointers ---------------------------------------------------------------------------------------- */

static bool add_link(rgi_special *s, int32_t *head, const void *at, size_t offset)
{
    const rgi_link link = {(const void **)(uintptr_t)at, offset, *head};
    if (!rgi_push(&s->arena, (void **)&s->links, &s->n_links, &s->link_capacity, sizeof link, &link))
        return false;
    *head = (int32_t)s->n_links - 1;
    return true;
}

/* Makes *at follow the memory of value v. */
static bool link_value(rg_plan *p, rgi_special *s, int32_t v, const void *at)
{
    const int32_t owner = rgi_owner(p->program, v);
    const rgi_value *o = &p->program->values[owner];
    switch (o->place) {
    case RGI_SLAB:
        return add_link(s, &s->slab_links, at, s->offsets[owner]);
    case RGI_BOUND:
        return add_link(s, &s->input_links[o->slot], at, 0);
    case RGI_STORE:
        return add_link(s, &s->store_links[o->slot], at, 0);
    case RGI_FIXED:
        memcpy((void *)(uintptr_t)at, &o->fixed, sizeof o->fixed);
        return true;
    case RGI_VOID:
        break;
    }
    return true;
}

/* An operand of a group: its own address, and in a single block the pointer the op reads. */
static bool link_operand(rg_plan *p, rgi_special *s, rgi_group *g, rgi_operand *o, int32_t v, const void *pointer,
                         size_t own)
{
    if ((o->mode == RGI_MEMORY || o->mode == RGI_STREAM || o->mode == RGI_WINDOW) && !link_value(p, s, v, &o->at))
        return false;
    if (!g->single)
        return true;
    if (o->mode == RGI_MEMORY)
        return link_value(p, s, v, pointer);
    if (o->mode == RGI_BLOCK || o->mode == RGI_WINDOW)
        return add_link(s, &s->slab_links, pointer, own + o->slot);
    memcpy((void *)(uintptr_t)pointer, &o->at, sizeof o->at);
    return true;
}

static bool link_group(rg_plan *p, rgi_special *s, const rgi_item *item, rgi_group *g, size_t own)
{
    for (size_t n = 0; n < g->n_spreads; n++)
        if (!link_value(p, s, g->spreads[n].value, &g->spreads[n].from.at))
            return false;
    for (size_t m = 0; m < g->n_members; m++) {
        const rgi_use *use = &p->program->uses[item->first + m];
        for (uint32_t i = 0; i < use->n_in; i++)
            if (use->in[i] != RGI_NONE &&
                !link_operand(p, s, g, &g->members[m].in[i], use->in[i], &g->members[m].step.in[i], own))
                return false;
        if (!link_operand(p, s, g, &g->members[m].out, use->out[0], &g->members[m].step.out[0], own))
            return false;
    }
    return !g->single || add_link(s, &s->slab_links, &g->own, own);
}

bool rgi_steps_link(rg_plan *p, rgi_special *s, const rgi_extra *extra)
{
    bool ok = true;
    for (size_t i = 0; ok && i < s->n_steps; i++) {
        const rgi_item *item = &p->program->items[i];
        rgi_exec *e = &s->steps[i];
        if (e->kind == RGI_RUN) {
            const rgi_use *use = main_use(p->program, item);
            for (uint32_t k = 0; ok && k < use->n_in; k++)
                ok = use->in[k] == RGI_NONE || link_value(p, s, use->in[k], &e->step.in[k]);
            for (uint32_t k = 0; ok && k < use->n_out; k++)
                ok = link_value(p, s, use->out[k], &e->step.out[k]);
            ok = ok && add_link(s, &s->slab_links, &e->step.shared, extra[i].offset);
            ok = ok && add_link(s, &s->slab_links, &e->step.scratch, s->bytes);
            const rgi_item members = members_of(item);
            ok = ok && (!e->group || link_group(p, s, &members, e->group, 0));
        } else if (e->kind == RGI_FUSED) {
            ok = link_group(p, s, item, e->group, extra[i].offset);
        } else {
            ok = (item->from == RGI_NONE || link_value(p, s, item->from, &e->from)) &&
                 (item->to == RGI_NONE || link_value(p, s, item->to, &e->to));
        }
    }
    return ok;
}
