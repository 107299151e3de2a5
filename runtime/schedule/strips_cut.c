/* strips_cut.c - the steps in front of a loop and behind it that are done for some of its turns at a time. */
#include "../sizes/steps.h"
#include "rows.h"
#include "strips.h"

#include <string.h>

/* A strip of all that is made so for a loop is a cache's worth, but of so many rows at least. */
#define RGI_STRIP_BYTES ((size_t)2 * 1024 * 1024)
#define RGI_STRIP_ROWS 512
#define RGI_STRIP_PARTS 8 /* of the turns, where memory is short */

typedef struct cutting {
    rg_plan *p;
    const rgi_program *prog;
    rgi_special *s;
    rgi_extra *extra;
    int32_t loop;
    const rgi_loop *l;
    size_t trips, turns;
    size_t *touched; /* by owner, see rgi_rows_fit */
    bool *wanted;    /* by step: reads a strip, or makes something for a step that does */
    uint8_t *kind;   /* by step that can be done so: 1 + an rgi_strip_kind; else 0 */
} cutting;

static int32_t owner_of(const cutting *c, int32_t v)
{
    return rgi_owner(c->prog, v);
}

static bool is_in_strips(const cutting *c, int32_t v)
{
    return c->s->in_strips[owner_of(c, v)] == c->loop;
}

/* The op of a step, and what it reads and writes itself, without the members of its group. */
static rgi_item main_item(const cutting *c, size_t step)
{
    rgi_item item = c->prog->items[step];
    item.count = item.headed ? 1 : item.count;
    return item;
}

static bool reads_strip(const cutting *c, const rgi_item *item)
{
    rgi_cursor r = {0, 0};
    for (int32_t v; (v = rgi_next_read(c->prog, item, &r)) != RGI_NONE;)
        if (is_in_strips(c, v))
            return true;
    return false;
}

/* ---- in front ------------------------------------------------------------------------------------ */

/* The value that a step in front of the loop makes in strips, or RGI_NONE. */
static int32_t leads_to(const cutting *c, size_t step)
{
    const rgi_item *item = &c->prog->items[step];
    if (item->kind != RGI_RUN || item->count != 1 || c->prog->uses[item->first].n_out != 1)
        return RGI_NONE;
    const int32_t v = c->prog->uses[item->first].out[0];
    return c->prog->values[v].part_of == RGI_NONE && is_in_strips(c, v) ? v : RGI_NONE;
}

static bool is_of_branch(const cutting *c, size_t step)
{
    const rgi_exec *e = &c->s->steps[step];
    return e->branch == c->s->steps[c->l->begin].branch && !e->bridge;
}

static void find_before(cutting *c)
{
    for (size_t i = 0; i < c->l->begin; i++) {
        const int32_t v = leads_to(c, i);
        if (v == RGI_NONE)
            continue;
        if (is_of_branch(c, i) && rgi_rows_fit(c->p, c->s, i, (int64_t)c->trips, c->touched))
            c->kind[i] = 1 + RGI_BY_ROWS;
        else
            c->s->in_strips[v] = RGI_NONE;
        c->touched[v] = 0;
    }
}

/* ---- behind -------------------------------------------------------------------------------------- */

static void touch_body(const cutting *c, size_t what)
{
    for (size_t i = c->l->begin + 1; i < c->l->end; i++) {
        rgi_cursor w = {0, 0};
        for (int32_t v; (v = rgi_next_write(c->prog, &c->prog->items[i], &w)) != RGI_NONE;)
            c->touched[owner_of(c, v)] = what;
    }
}

/* Whether a step behind the loop may read v while the loop goes on, for the turns that are over. */
static bool is_there(const cutting *c, size_t step, int32_t u)
{
    for (size_t i = c->l->begin + 1; i < step; i++) {
        const rgi_item *item = &c->prog->items[i];
        rgi_cursor w = {0, 0};
        for (int32_t v; (v = rgi_next_write(c->prog, item, &w)) != RGI_NONE;) {
            if (!rgi_is_same_memory(c->prog, u, v))
                continue;
            const bool by_turns = i < c->l->end && !item->every && !item->checkpoint && item->kind != RGI_CLEAR &&
                                  rgi_loop_of_turn(c->prog, c->s, v) == c->loop;
            if (!(by_turns || c->kind[i] == 1 + RGI_BY_ROWS) || !rgi_is_whole(c->prog, c->s, u))
                return false;
        }
    }
    return true;
}

/* A sum over the turns that can go on where it has stopped, in the order in which the loop goes. */
static bool is_chain(const cutting *c, size_t step)
{
    const rgi_exec *e = &c->s->steps[step];
    const rgi_use *use = &c->prog->uses[c->prog->items[step].first];
    bool descending = false;
    if (!use->node->op->chain || !use->node->op->chain(&e->step, &descending) || descending != c->l->reverse ||
        use->packed || use->n_in > 3 || use->n_out != 1 || e->tasks[1] || c->extra[step].shared)
        return false;
    for (uint32_t i = 0; i < use->n_in; i++) {
        const rg_shape *shape = &e->step.in_type[i].shape;
        if (use->in[i] == RGI_NONE || c->prog->values[use->in[i]].window)
            return false;
        if (i < 2 ? shape->dim[0] != (int64_t)c->trips
                  : c->touched[owner_of(c, use->in[i])] != 0 || is_in_strips(c, use->in[i]))
            return false;
    }
    return true;
}

/* The sum of a group: all strips but the last into memory of its own, and the last, in place of all, where it stands.
   In that one's step input 2 is this memory, so there is no place for what the sum would begin from. */
static bool may_go_on(const cutting *c, size_t step)
{
    const rgi_item *item = &c->prog->items[step], members = rgi_members_of(item);
    return item->headed && !item->footed && c->l->reverse && !c->s->steps[step].terms &&
           c->s->steps[step].step.n_in == 2 && !reads_strip(c, &members);
}

/* Whether nothing has to do with what a step makes before that. */
static bool is_new(const cutting *c, size_t step, int32_t v)
{
    const rgi_value *value = &c->prog->values[v];
    return value->place == RGI_SLAB && value->part_of == RGI_NONE && !value->choice && value->first == (int32_t)step;
}

static uint8_t kind_of(cutting *c, size_t step)
{
    const rgi_item *item = &c->prog->items[step], mine = main_item(c, step);
    const rgi_exec *e = &c->s->steps[step];
    if (item->loop != c->l->parent || !is_of_branch(c, step) || item->may_fail || item->footed || e->in_strips ||
        (item->kind != RGI_RUN && item->kind != RGI_FUSED) ||
        (item->kind == RGI_FUSED && !item->headed && reads_strip(c, item)))
        return 0;
    rgi_cursor r = {0, 0};
    for (int32_t v; (v = rgi_next_read(c->prog, &mine, &r)) != RGI_NONE;)
        if (!is_there(c, step, v))
            return 0;
    const rgi_use *use = &c->prog->uses[item->first];
    if (item->headed)
        return is_chain(c, step) && may_go_on(c, step) ? 1 + RGI_GOES_ON : 0;
    rgi_cursor w = {0, 0};
    for (int32_t v; (v = rgi_next_write(c->prog, item, &w)) != RGI_NONE;)
        if (!is_new(c, step, v) || c->s->in_strips[v] != RGI_NONE)
            return 0;
    if (item->kind == RGI_RUN && use->node->op->chain)
        return is_chain(c, step) ? 1 + RGI_CHAIN : 0;
    return rgi_rows_fit(c->p, c->s, step, (int64_t)c->trips, c->touched) ? 1 + RGI_BY_ROWS : 0;
}

/* Marks what is made behind the loop for a step that is wanted. */
static void want_sources(const cutting *c, size_t step)
{
    const rgi_item mine = main_item(c, step);
    for (size_t i = c->l->end + 1; i < step; i++) {
        rgi_cursor w = {0, 0};
        for (int32_t v; (v = rgi_next_write(c->prog, &c->prog->items[i], &w)) != RGI_NONE;) {
            rgi_cursor r = {0, 0};
            for (int32_t u; (u = rgi_next_read(c->prog, &mine, &r)) != RGI_NONE;)
                c->wanted[i] = c->wanted[i] || rgi_is_same_memory(c->prog, u, v);
        }
    }
}

/* Which steps behind the loop are to be done so: those that read strips, and what is made for them. */
static void choose_wanted(const cutting *c, bool fitting)
{
    const size_t n = c->s->n_steps;
    for (size_t i = c->l->end + 1; i < n; i++)
        c->wanted[i] = reads_strip(c, &c->prog->items[i]) && (!fitting || c->kind[i]);
    for (size_t i = n; i-- > c->l->end + 1;)
        if (c->wanted[i])
            want_sources(c, i);
    for (size_t i = c->l->end + 1; fitting && i < n; i++)
        c->wanted[i] = c->wanted[i] && c->kind[i];
}

static void find_behind(cutting *c)
{
    const size_t n = c->s->n_steps;
    choose_wanted(c, false);
    touch_body(c, SIZE_MAX);
    for (size_t i = c->l->end + 1; i < n; i++)
        c->kind[i] = c->wanted[i] ? kind_of(c, i) : 0;
    touch_body(c, 0);
    for (size_t i = c->l->end + 1; i < n; i++) {
        rgi_cursor k = {0, 0};
        for (int32_t v; c->wanted[i] && (v = rgi_next_write(c->prog, &c->prog->items[i], &k)) != RGI_NONE;)
            c->touched[owner_of(c, v)] = 0;
        k = (rgi_cursor){0, 0};
        for (int32_t v;
             c->wanted[i] && !c->kind[i] && (v = rgi_next_read(c->prog, &c->prog->items[i], &k)) != RGI_NONE;)
            if (is_in_strips(c, v)) /* is read whole */
                c->s->in_strips[owner_of(c, v)] = RGI_NONE;
    }
    choose_wanted(c, true);
}

/* ---- strips -------------------------------------------------------------------------------------- */

/* Of how many turns a strip is. */
static void choose_turns(cutting *c, bool small)
{
    size_t bytes = 0, rows = SIZE_MAX;
    for (size_t k = 0; k < c->prog->n_owners; k++) {
        const int32_t v = c->prog->owners[k];
        if (!is_in_strips(c, v))
            continue;
        const uint32_t number = c->prog->values[v].shape;
        const rg_shape *shape = &c->s->shapes[number];
        const size_t columns = shape->rank > 1 ? (size_t)shape->dim[shape->rank - 1] : 1,
                     more = c->s->counts[number] / c->trips / (columns ? columns : 1);
        rows = more < rows ? more : rows;
        bytes += rgi_bytes(c->prog, c->s, v) / c->trips;
    }
    const size_t by_bytes = bytes ? RGI_STRIP_BYTES / bytes : c->trips,
                 by_rows = rows ? RGI_STRIP_ROWS / rows : c->trips;
    c->turns = by_bytes > by_rows ? by_bytes : by_rows;
    if (small && c->turns > c->trips / RGI_STRIP_PARTS)
        c->turns = c->trips / RGI_STRIP_PARTS;
    c->turns = c->turns > RGI_STRIP_TURNS ? c->turns : RGI_STRIP_TURNS;
}

/* A chain over so many turns, begun from a third operand. */
static bool cut_chain(const cutting *c, size_t step, size_t turns, rgi_row_step *r, bool *cannot)
{
    const rg_step *whole = &c->s->steps[step].step;
    rg_type *type = rgi_special_alloc(c->s, 4, sizeof *type);
    size_t *moved = rgi_special_alloc(c->s, 4, sizeof *moved);
    void *geometry = rgi_special_alloc(c->s, whole->op->geometry_size, 1);
    if (!type || !moved || !geometry)
        return false;
    for (uint32_t i = 0; i < 4; i++) {
        type[i] = i < 2 ? whole->in_type[i] : *whole->out_type;
        if (i >= 2)
            continue;
        moved[i] = (size_t)rg_shape_count(type[i].shape) / c->trips * rg_dtype_size(type[i].dtype);
        type[i].shape.dim[0] = (int64_t)turns;
    }
    r->step = *whole;
    r->step.tail = NULL;
    r->step.n_in = 3;
    r->step.in_type = type;
    r->step.out_type = type + 3;
    r->step.geometry = geometry;
    r->moved = moved;
    if (whole->op->geometry)
        whole->op->geometry(&r->step, geometry);
    rg_cost cost = {.tasks = {1}};
    if (whole->op->cost)
        whole->op->cost(&r->step, &cost);
    r->tasks = cost.tasks[0];
    c->s->scratch = cost.scratch > c->s->scratch ? cost.scratch : c->s->scratch;
    *cannot = *cannot || cost.tasks[1] || cost.shared;
    return true;
}

/* A step for so many turns. What lies in strips does not move with them. False: out of memory, or *cannot. */
static bool cut_turns(const cutting *c, size_t step, rgi_strip_kind kind, size_t turns, rgi_row_step *r, bool *cannot)
{
    if (kind != RGI_BY_ROWS)
        return cut_chain(c, step, turns, r, cannot);
    /* from turn 1 on: the operands' places are then what they move by in a turn */
    return rgi_rows_of_step(c->p, c->s, step, (int64_t)c->trips, 1, 1 + (int64_t)turns, r, cannot);
}

/* By operand: whether it lies in a strip, the output last. */
static bool *note_strips(const cutting *c, size_t step)
{
    const rgi_use *use = &c->prog->uses[c->prog->items[step].first];
    bool *in = rgi_special_alloc(c->s, use->n_in + 2, sizeof *in);
    for (uint32_t i = 0; in && i < use->n_in; i++)
        in[i] = use->in[i] != RGI_NONE && is_in_strips(c, use->in[i]);
    if (in)
        in[use->n_in] = use->n_out == 1 && is_in_strips(c, use->out[0]);
    return in;
}

static bool cut_step(const cutting *c, size_t step, rgi_strip_step *out, bool *cannot)
{
    const size_t rest = c->trips % c->turns;
    out->step = (uint32_t)step;
    out->kind = (rgi_strip_kind)(c->kind[step] - 1);
    out->in_strip = note_strips(c, step);
    return out->in_strip && cut_turns(c, step, out->kind, c->turns, &out->whole, cannot) &&
           (!rest || cut_turns(c, step, out->kind, rest, &out->rest, cannot));
}

/* The last strip of a group's sum, in place of all of it. False: out of memory, or *cannot. */
static bool cut_last(const cutting *c, size_t step, rg_step *last, bool *cannot)
{
    const rg_step *whole = &c->s->steps[step].step;
    const size_t rest = c->trips % c->turns;
    rg_cost before = {.tasks = {1}}, now = {.tasks = {1}};
    rgi_row_step r = {0};
    if (!cut_chain(c, step, rest ? rest : c->turns, &r, cannot))
        return false;
    *last = r.step;
    last->tail = whole->tail;
    void *geometry = rgi_special_alloc(c->s, whole->op->geometry_size, 1);
    if (!geometry || !rgi_pointers_make(c->s, last))
        return false;
    last->geometry = geometry;
    if (whole->op->geometry)
        whole->op->geometry(last, geometry);
    if (whole->op->cost) {
        whole->op->cost(whole, &before);
        whole->op->cost(last, &now);
    }
    *cannot = *cannot || now.scratch > before.scratch || now.shared || now.tasks[1] ||
              c->s->steps[step].tasks[0] != now.tasks[0];
    return !*cannot;
}

/* Whether those who walk the loop are all who would have made what leads to it. */
static bool has_all_threads(const cutting *c)
{
    const rgi_exec *e = &c->s->steps[c->l->begin];
    const rgi_branch *b = rgi_branch_of(c->s, c->l->begin);
    return !c->s->parallel || e->rows || e->parallel || (b && b->threads == 1);
}

/* The steps say so. */
static void settle(cutting *c, rgi_strips *x, rg_step *last)
{
    for (uint32_t k = 0; k < x->n_before + x->n_behind; k++) {
        const rgi_strip_step *step = &x->steps[k];
        rgi_exec *const e = &c->s->steps[step->step];
        if (step->kind != RGI_GOES_ON) {
            e->in_strips = true;
            continue;
        }
        e->goes_on = true;
        e->step = last[k];
        c->extra[step->step].shared =
            (size_t)rg_shape_count(e->step.out_type->shape) * rg_dtype_size(e->step.out_type->dtype);
    }
    for (size_t k = 0; k < c->prog->n_owners; k++) {
        const int32_t v = c->prog->owners[k];
        if (is_in_strips(c, v))
            c->s->strip_bytes[v] = rgi_bytes(c->prog, c->s, v) / c->trips * c->turns;
    }
    rgi_exec *const loop = &c->s->steps[c->l->begin];
    loop->strips = x;
    /* A team smaller than planned walks the branches of a section one after the other. There one thread alone may do
       the loop, and within it what is behind: it waits for what the others do in front. */
    loop->barrier = loop->barrier || (x->n_behind && loop->branch && c->l->parent == RGI_NONE);
}

static void give_up(const cutting *c)
{
    for (size_t k = 0; k < c->prog->n_owners; k++)
        if (is_in_strips(c, c->prog->owners[k]))
            c->s->in_strips[c->prog->owners[k]] = RGI_NONE;
}

static bool cut_loop(cutting *c, bool small)
{
    bool cannot = !has_all_threads(c), any = false;
    for (size_t k = 0; k < c->prog->n_owners; k++)
        any = any || is_in_strips(c, c->prog->owners[k]);
    if (!any)
        return true;
    memset(c->kind, 0, c->s->n_steps);
    if (!cannot) {
        find_before(c);
        find_behind(c);
        choose_turns(c, small);
    }
    rgi_strips *x = rgi_special_alloc(c->s, 1, sizeof *x);
    size_t n = 0;
    for (size_t i = 0; i < c->s->n_steps; i++)
        n += i < c->l->begin ? c->kind[i] != 0 : i > c->l->end && c->wanted[i];
    if (!x || !(x->steps = rgi_special_alloc(c->s, n, sizeof *x->steps)))
        return false;
    rg_step *last = rgi_arena_alloc(&c->p->temporary, (n + 1) * sizeof *last);
    if (!last)
        return false;
    cannot = cannot || n == 0 || c->turns > c->trips / 2;
    x->turns = c->turns;
    for (size_t i = 0; i < c->s->n_steps && !cannot; i++) {
        const bool before = i < c->l->begin;
        if (before ? !c->kind[i] : i <= c->l->end || !c->wanted[i])
            continue;
        const uint32_t k = x->n_before + x->n_behind;
        if ((!cut_step(c, i, &x->steps[k], &cannot) ||
             (x->steps[k].kind == RGI_GOES_ON && !cut_last(c, i, &last[k], &cannot))) &&
            !cannot)
            return false;
        *(before ? &x->n_before : &x->n_behind) += 1;
    }
    if (cannot)
        give_up(c);
    else
        settle(c, x, last);
    return true;
}

bool rgi_strips_cut(rg_plan *p, rgi_special *s, bool small, rgi_extra *extra)
{
    const rgi_program *prog = p->program;
    if (!s->in_strips)
        return true;
    cutting c = {.p = p,
                 .prog = prog,
                 .s = s,
                 .extra = extra,
                 .touched = rgi_arena_alloc(&p->temporary, (prog->n_values + 1) * sizeof *c.touched),
                 .wanted = rgi_arena_alloc(&p->temporary, s->n_steps + 1),
                 .kind = rgi_arena_alloc(&p->temporary, s->n_steps + 1)};
    s->strip_bytes = rgi_arena_alloc(&s->arena, (prog->n_values + 1) * sizeof *s->strip_bytes);
    bool ok = c.touched && c.wanted && c.kind && s->strip_bytes;
    for (size_t k = 0; ok && k < prog->n_loops; k++) {
        c.loop = (int32_t)k;
        c.l = &prog->loops[k];
        c.trips = s->steps[c.l->begin].trips;
        ok = cut_loop(&c, small);
    }
    /* what is made whole after all moves with the loop's counter */
    for (rgi_turned *t = ok ? s->turned : NULL; t; t = t->next)
        for (uint32_t k = 0; s->strip_bytes[t->owner] == 0 && k < t->terms->n; k++)
            t->terms->depth[k] -= RGI_TURN;
    return ok;
}
