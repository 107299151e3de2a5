/* groups.c - the fused groups of a specialisation: where each member's operands are, and how large a block is. */
#include "../program/evaluate.h"
#include "../run/stream.h"
#include "steps.h"

#include <string.h>

#define RGI_BLOCK_BYTES 32768 /* what the live blocks of a group may fill: within L1 */
#define RGI_BLOCK_LARGEST 1024
#define RGI_BLOCK_PLAIN 4096 /* without scratch there is no reason to stay small */
#define RGI_LEAST_RUN 128    /* elements of a block that ends because a spread's next element is another */

/* Of how many widths of elements results go past the caches. */
uint8_t rgi_widths_past(size_t elements)
{
    uint8_t n = 0;
    for (size_t width = 16; width && elements * width >= RGI_STREAM_LEAST; width /= 2)
        n++;
    return n;
}

const rg_window *rgi_window_make(rg_plan *p, rgi_special *s, const rgi_value *value)
{
    const rg_node *node = value->piece ? value->piece : value->window;
    rg_window *w = rgi_special_alloc(s, 1, sizeof *w);
    rg_type *type = rgi_special_alloc(s, node->n_in + 1, sizeof *type);
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
    s->refused = rgi_rule_check(&(rgi_use){.node = node, .n_in = node->n_in, .n_out = 1}, s, &step);
    return !s->refused && node->op->window(&step, value->window_input, w) ? w : NULL;
}

/* What is known of a value while a group is made; all zero between groups. */
typedef struct rgi_mark {
    uint32_t maker;  /* 1 + the member that makes it, or 0 */
    uint32_t spread; /* 1 + the spread that it is, or 0 */
    uint32_t last;   /* the last member that reads it */
} rgi_mark;

typedef struct grouping {
    rg_plan *p;
    rgi_special *s;
    const rgi_item *item;
    rgi_group *g;
    size_t unit;        /* bytes of the widest element */
    uint32_t shape;     /* of the group: index into program.shapes */
    int32_t head, foot; /* the value that a head delivers, or a foot draws, or RGI_NONE */
    bool *busy;
    size_t n_busy, n_room; /* operands in all; spreads there is room for */
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

static const rgi_mark *mark_of(const grouping *k, int32_t v)
{
    return &k->p->marks[v];
}

/* Notes which member makes each value, and which reads it last; with `no_more` takes it back. */
static void mark_members(const grouping *k, bool no_more)
{
    const rgi_use *uses = &k->p->program->uses[k->item->first];
    for (uint32_t m = 0; m < k->item->count; m++) {
        for (uint32_t i = 0; i < uses[m].n_in; i++)
            if (uses[m].in[i] != RGI_NONE)
                k->p->marks[uses[m].in[i]] =
                    no_more ? (rgi_mark){0, 0, 0} : (rgi_mark){k->p->marks[uses[m].in[i]].maker, 0, m};
        k->p->marks[uses[m].out[0]] = no_more ? (rgi_mark){0, 0, 0} : (rgi_mark){m + 1, 0, 0};
    }
}

/* A block full of one constant number. The plan keeps it for all sizes. */
static const void *number_block(rg_plan *p, const void *number, size_t size)
{
    for (rgi_number *x = p->numbers; x; x = x->next)
        if (x->size == size && memcmp(x->block, number, size) == 0)
            return x->block;
    rgi_number *x = rgi_arena_alloc(&p->arena, sizeof *x);
    char *block = rgi_arena_alloc(&p->arena, RGI_BLOCK_LARGEST * size + 64);
    if (!x || !block)
        return NULL;
    block = (char *)(((uintptr_t)block + 63) & ~(uintptr_t)63);
    const rg_shape one = RG_SCALAR, many = RG_SHAPE(RGI_BLOCK_LARGEST);
    rgi_broadcast_copy(number, &one, &many, size, 0, RGI_BLOCK_LARGEST, block);
    *x = (rgi_number){p->numbers, block, size};
    p->numbers = x;
    return block;
}

/* Whether a value has as many elements along each axis as the group. */
static bool has_shape(const grouping *k, const rgi_value *v)
{
    return v->shape == k->shape || rg_shape_equal(k->s->shapes[v->shape], k->g->shape);
}

static bool is_number(const grouping *k, const rgi_value *v)
{
    return v->place == RGI_FIXED && v->part_of == RGI_NONE && k->s->counts[v->shape] == 1 && k->g->elements != 1;
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

/* The last axes of a smaller operand that are those of the group, where axes of size 1 stand before them: *reach, over
   how many elements. */
static size_t cycle_of(const rg_shape *from, const rg_shape *to, size_t *reach)
{
    size_t n = 1;
    int32_t i = from->rank - 1, j = to->rank - 1;
    for (; i >= 0 && from->dim[i] == to->dim[j]; i--, j--)
        n *= (size_t)from->dim[i];
    *reach = n;
    for (; j >= 0 && (i < 0 || from->dim[i] == 1); i--, j--)
        *reach *= (size_t)to->dim[j];
    return *reach > n ? n : 0;
}

/* Elements of the group in a row that meet the same one of a smaller operand, as those of a plane its channel's; *turn:
   of how many of its own, which begin again then. 0 if it is not so. */
static size_t run_of(const rg_shape *from, const rg_shape *to, size_t *turn)
{
    rg_shape own = *from, others = *to;
    size_t n = 1;
    while (others.rank > 0 && (own.rank == 0 || own.dim[own.rank - 1] == 1)) {
        n *= (size_t)others.dim[--others.rank];
        own.rank -= own.rank > 0;
    }
    *turn = period_of(&own, &others);
    return *turn && n > 1 ? n : 0;
}

void rgi_spread_fit(const rgi_special *s, rgi_group *g, const rgi_value *value, rgi_spread *x)
{
    x->shape = s->shapes[value->shape];
    x->period = value->window ? 0 : period_of(&x->shape, &g->shape);
    x->cycle = value->window ? 0 : cycle_of(&x->shape, &g->shape, &x->reach);
    x->run = value->window || x->whole ? 0 : run_of(&x->shape, &g->shape, &x->turn);
    if (x->run >= RGI_LEAST_RUN && x->run < g->elements && (!g->run || x->run < g->run))
        g->run = x->run;
}

/* The spreads whose elements some member cannot take one at a time. */
static void find_whole(const grouping *k)
{
    const rgi_use *uses = &k->p->program->uses[k->item->first];
    for (size_t m = 0; m < k->g->n_members; m++)
        for (uint32_t i = 0; i < uses[m].n_in; i++) {
            const int32_t v = uses[m].in[i];
            const uint32_t spread = v == RGI_NONE ? 0 : mark_of(k, v)->spread;
            if (spread && !(uses[m].node->op->traits & RG_ONCE))
                k->g->spreads[spread - 1].whole = true;
        }
    for (size_t n = 0; n < k->g->n_spreads; n++)
        rgi_spread_fit(k->s, k->g, &k->p->program->values[k->g->spreads[n].value], &k->g->spreads[n]);
}

/* Room for one more: most groups have none or two. */
static rgi_spread *add_spread(grouping *k)
{
    rgi_group *const g = k->g;
    if (g->n_spreads == k->n_room) {
        k->n_room = k->n_room ? 2 * k->n_room : 2;
        rgi_spread *const more = rgi_special_alloc(k->s, k->n_room, sizeof *more);
        if (!more)
            return NULL;
        if (g->n_spreads)
            memcpy(more, g->spreads, g->n_spreads * sizeof *more);
        g->spreads = more;
    }
    return &g->spreads[g->n_spreads++];
}

/* Operands from outside that are smaller than the group: they hold their blocks while all members run. */
static bool make_spreads(grouping *k)
{
    const rgi_program *prog = k->p->program;
    const rgi_use *uses = &prog->uses[k->item->first];
    for (size_t m = 0; m < k->g->n_members; m++)
        for (uint32_t i = 0; i < uses[m].n_in; i++) {
            const int32_t v = uses[m].in[i];
            if (v == RGI_NONE || mark_of(k, v)->spread)
                continue;
            const rgi_value *value = &prog->values[v];
            if (mark_of(k, v)->maker || v == k->head || is_number(k, value) || (!value->window && has_shape(k, value)))
                continue;
            rgi_spread *const x = add_spread(k);
            if (!x)
                return false;
            x->from.size = (uint8_t)value->size;
            x->slot = take_slot(k);
            x->value = v;
            k->p->marks[v].spread = (uint32_t)k->g->n_spreads;
            if (!rgi_terms_make(k->p, k->s, v, &x->from.terms) ||
                (value->window && !(x->from.window = rgi_window_make(k->p, k->s, value))))
                return false;
        }
    find_whole(k);
    return true;
}

/* What stands in zeroed memory is written field by field: a struct that is put together elsewhere and copied waits for
   itself. */
static bool make_operand(grouping *k, size_t member, uint32_t i)
{
    const rgi_program *prog = k->p->program;
    const int32_t v = prog->uses[k->item->first + member].in[i];
    rgi_operand *o = &k->g->members[member].in[i];
    if (v == RGI_NONE)
        return true;
    const rgi_value *value = &prog->values[v];
    const size_t size = value->size;
    k->unit = size > k->unit ? size : k->unit;
    const rgi_mark *const mark = mark_of(k, v);
    o->size = (uint8_t)size;
    if (mark->maker) {
        const rgi_operand *const made = &k->g->members[mark->maker - 1].out;
        o->mode = made->mode;
        o->slot = made->slot;
        o->terms = made->terms;
        o->window = made->window;
    } else if (v == k->head) {
        o->mode = RGI_HEAD;
    } else if (is_number(k, value)) {
        o->mode = RGI_NUMBER;
        o->at = number_block(k->p, value->fixed, size);
        return o->at != NULL;
    } else if (mark->spread) {
        o->mode = RGI_BLOCK;
        o->slot = (uint32_t)k->g->spreads[mark->spread - 1].slot;
        o->spread = (uint16_t)mark->spread;
    } else {
        k->g->fickle = k->g->fickle || (value->shape != k->shape && !value->window);
        return rgi_terms_make(k->p, k->s, v, &o->terms);
    }
    return true;
}

static bool make_output(grouping *k, size_t member)
{
    const rgi_program *prog = k->p->program;
    const rgi_use *use = &prog->uses[k->item->first + member];
    const int32_t v = use->out[0];
    rgi_operand *o = &k->g->members[member].out;
    const size_t size = prog->values[v].size;
    k->unit = size > k->unit ? size : k->unit;
    o->size = (uint8_t)size;
    if (prog->values[v].place != RGI_VOID || prog->values[v].part_of != RGI_NONE) {
        const bool ok = rgi_terms_make(k->p, k->s, v, &o->terms);
        if (prog->values[v].window) {
            o->mode = RGI_WINDOW;
            k->g->windows = true;
            o->window = rgi_window_make(k->p, k->s, &prog->values[v]);
            o->slot = (uint32_t)take_slot(k);
            return ok && o->window;
        }
        if (k->g->n_members > 1 && k->g->elements * size >= RGI_STREAM_LEAST && prog->values[v].part_of == RGI_NONE) {
            o->mode = RGI_STREAM;
            k->g->streams = true;
            o->slot = (uint32_t)take_slot(k);
        }
        return ok;
    }
    o->mode = v == k->foot ? RGI_FOOT : RGI_BLOCK;
    if (o->mode == RGI_BLOCK)
        o->slot = (uint32_t)take_slot(k);
    for (uint32_t i = 0; i < use->n_in; i++) { /* blocks nobody reads any more are free */
        const rgi_operand *in = &k->g->members[member].in[i];
        const rgi_mark *const mark = use->in[i] == RGI_NONE ? NULL : mark_of(k, use->in[i]);
        if (mark && mark->maker && in->mode == RGI_BLOCK && mark->last == member)
            k->busy[in->slot] = false;
    }
    return true;
}

static bool in_scratch(const rgi_operand *o)
{
    return o->mode == RGI_BLOCK || o->mode == RGI_STREAM || o->mode == RGI_WINDOW;
}

static size_t moved_by(const rgi_operand *o)
{
    return o->mode == RGI_MEMORY || o->mode == RGI_STREAM || o->mode == RGI_WINDOW ? o->size : 0;
}

static void choose_block(grouping *k)
{
    rgi_group *g = k->g;
    size_t slots = 0;
    bool numbers = false;
    for (size_t m = 0; m < g->n_members; m++) {
        slots =
            in_scratch(&g->members[m].out) && g->members[m].out.slot + 1 > slots ? g->members[m].out.slot + 1 : slots;
        g->moved += moved_by(&g->members[m].out);
        for (uint32_t i = 0; i < g->members[m].step.n_in; i++) {
            numbers = numbers || g->members[m].in[i].mode == RGI_NUMBER;
            g->moved += moved_by(&g->members[m].in[i]);
        }
    }
    for (size_t n = 0; n < g->n_spreads; n++)
        slots = g->spreads[n].slot + 1 > slots ? g->spreads[n].slot + 1 : slots;
    size_t block = slots || numbers ? RGI_BLOCK_LARGEST : RGI_BLOCK_PLAIN;
    while (slots && block > 128 && block * slots * k->unit > RGI_BLOCK_BYTES)
        block /= 2;
    const size_t most = g->elements < block ? g->elements : block, slot = (most * k->unit + 63) / 64 * 64;
    g->block = block;
    g->scratch = slots * slot;
    g->slot = slot;
    g->unit = (uint8_t)k->unit;
    for (size_t m = 0; m < g->n_members; m++) {
        g->members[m].out.slot *= (uint32_t)slot;
        for (uint32_t i = 0; i < g->members[m].step.n_in; i++)
            g->members[m].in[i].slot *= (uint32_t)slot;
    }
    for (size_t n = 0; n < g->n_spreads; n++)
        g->spreads[n].slot *= slot;
}

/* Types of a member's operands, all of the group's shape. Neighbours mostly have the same: they share them. */
static bool make_step(const grouping *k, const rgi_use *use, rg_step *step)
{
    const uint32_t n = use->n_in + 1;
    const rg_type **last = &k->s->types[use->n_in].at;
    rg_dtype dtype[RGI_MAX_ARITY + 1];
    bool same = *last && k->s->types[use->n_in].shape == k->shape;
    for (uint32_t i = 0; i < n; i++) {
        const int32_t v = i < use->n_in ? use->in[i] : use->out[0];
        dtype[i] = v == RGI_NONE ? use->node->in[i]->dtype : k->p->program->values[v].dtype;
        same = same && (*last)[i].dtype == dtype[i];
    }
    if (!same) {
        rg_type *types = rgi_special_alloc(k->s, n, sizeof *types);
        for (uint32_t i = 0; types && i < n; i++)
            types[i].dtype = dtype[i], types[i].shape = k->g->shape;
        *last = types;
        k->s->types[use->n_in].shape = k->shape;
        k->s->types[use->n_in].known = NULL;
    }
    step->op = use->node->op;
    step->attr = use->node->attr;
    step->n_in = use->n_in;
    step->n_out = 1;
    step->in_type = *last;
    step->out_type = *last ? *last + use->n_in : NULL;
    return *last != NULL;
}

static bool make_members(grouping *k)
{
    const rgi_program *prog = k->p->program;
    rgi_operand *in = rgi_special_alloc(k->s, k->n_busy, sizeof *in);
    if (!in || !make_spreads(k))
        return false;
    for (size_t m = 0; m < k->g->n_members; m++) {
        const rgi_use *use = &prog->uses[k->item->first + m];
        k->g->members[m].in = in;
        in += use->n_in;
        if (!make_step(k, use, &k->g->members[m].step))
            return false;
        for (uint32_t i = 0; i < use->n_in; i++)
            if (!make_operand(k, m, i))
                return false;
        if (!make_output(k, m))
            return false;
    }
    return true;
}

rgi_group *rgi_group_make(rg_plan *p, rgi_special *s, const rgi_item *item, int32_t head, int32_t foot)
{
    const rgi_program *prog = p->program;
    rgi_group *g = rgi_special_alloc(s, 1, sizeof *g);
    size_t operands = 0;
    for (uint32_t m = 0; m < item->count; m++)
        operands += prog->uses[item->first + m].n_in + 1;
    grouping k = {.p = p, .s = s, .item = item, .g = g, .unit = 1, .head = head, .foot = foot, .n_busy = operands};
    k.busy = rgi_arena_alloc(&p->temporary, operands * sizeof *k.busy);
    if (!p->marks)
        p->marks = rgi_arena_alloc(&p->temporary, (prog->n_values + 1) * sizeof *p->marks);
    if (!g || !k.busy || !p->marks)
        return NULL;
    g->members = rgi_special_alloc(s, item->count, sizeof *g->members);
    if (!g->members)
        return NULL;
    const uint32_t shape = prog->values[prog->uses[item->first].out[0]].shape;
    k.shape = shape;
    g->shape = s->shapes[shape];
    g->elements = s->counts[shape];
    g->n_members = item->count;
    g->n_inputs = operands - item->count;
    g->past = rgi_widths_past(g->elements);
    mark_members(&k, false);
    const bool ok = make_members(&k);
    mark_members(&k, true);
    if (!ok)
        return NULL;
    choose_block(&k);
    return g;
}

bool rgi_group_single(rgi_special *s, rgi_group *g)
{
    size_t moving = 0;
    for (size_t m = 0; m < g->n_members; m++) {
        rgi_member *member = &g->members[m];
        if (!rgi_pointers_make(s, &member->step))
            return false;
        moving += member->out.terms != NULL;
        for (uint32_t i = 0; i < member->step.n_in; i++)
            moving += member->in[i].terms != NULL;
    }
    g->shifts = moving ? rgi_special_alloc(s, moving, sizeof *g->shifts) : NULL;
    g->single = !moving || g->shifts;
    return g->single;
}
