/* strips.c - what is as long as a recurrence, made for some of its turns at a time.

   The product of a sequence with a weight stands in front of the loop that reads it, turn by turn (hoist.c); what the
   turns of a reverse pass leave for the gradients of weights is read behind it (autograd/sink.c). Both are several
   times as large as the sequence. Of a long one they would go out to memory and come back. So the steps that make the
   one or read the other are done from inside of the loop, for some turns at a time: what lies between has memory for
   so many alone, a strip, which stays in the cache and does not grow with the number of turns.

   A row of a product keeps its bits, whichever others are computed with it (rows.c), and a sum that is a chain goes on
   where it has stopped (rg_op.chain), so where strips begin and end is free. What a step in front reads stays until the
   loop is over; what one behind writes is there from the loop's beginning on.

   Here values are found that may be made so; strips_cut.c cuts the steps. */
#include "strips.h"

/* Bytes of all that is made for a loop from which on it is worth it; of one value. */
#define RGI_STRIP_LEAST ((size_t)4 * 1024 * 1024)
#define RGI_STRIP_EACH ((size_t)1024 * 1024)

/* Who makes a value: 1 + the step in front of the loop, or: */
#define NOBODY 0
#define TURNS (UINT32_MAX - 1)
#define OTHERS UINT32_MAX

typedef struct finding {
    const rgi_program *prog;
    const rgi_special *s;
    size_t least;
    uint32_t *maker; /* by value: OTHERS: it is not made in strips */
    int32_t *loop;   /* by value: the one whose turns make or read their elements of it, or RGI_NONE */
} finding;

int32_t rgi_loop_of_turn(const rgi_program *prog, const rgi_special *s, int32_t v)
{
    const rgi_value *const values = prog->values;
    int32_t loop = RGI_NONE;
    for (; values[v].part_of != RGI_NONE; v = values[v].part_of) {
        const bool whole =
            !values[v].window && s->counts[values[v].shape] == s->counts[values[values[v].part_of].shape];
        if (loop != RGI_NONE && (values[v].step_loop != RGI_NONE || !whole))
            return RGI_NONE;
        loop = values[v].step_loop != RGI_NONE ? values[v].step_loop : loop;
    }
    return loop;
}

bool rgi_is_whole(const rgi_program *prog, const rgi_special *s, int32_t v)
{
    const rgi_value *const values = prog->values;
    for (; values[v].part_of != RGI_NONE; v = values[v].part_of)
        if (values[v].window || values[v].step_loop != RGI_NONE || values[v].size != values[values[v].part_of].size ||
            s->counts[values[v].shape] != s->counts[values[values[v].part_of].shape])
            return false;
    return true;
}

/* Values of this loop that are large and the plan's own. False: there are none. */
static bool find_large(const finding *f)
{
    bool any = false;
    for (size_t k = 0; k < f->prog->n_owners; k++) {
        const int32_t v = f->prog->owners[k];
        const rgi_value *value = &f->prog->values[v];
        const bool large = !value->fetched && !value->packed && !value->slots && !value->choice &&
                           f->s->shapes[value->shape].rank > 0 && rgi_bytes(f->prog, f->s, v) >= f->least;
        f->maker[v] = large ? NOBODY : OTHERS;
        any = any || large;
    }
    return any;
}

static bool is_inside(const rgi_loop *l, size_t item)
{
    return item > l->begin && item < l->end;
}

/* An item writes v, or part of it. */
static void note_write(const finding *f, size_t i, int32_t v)
{
    const rgi_item *item = &f->prog->items[i];
    const int32_t owner = rgi_owner(f->prog, v), loop = v == owner ? RGI_NONE : rgi_loop_of_turn(f->prog, f->s, v);
    uint32_t *const maker = &f->maker[owner];
    if (*maker == OTHERS)
        return;
    const bool plain = item->kind == RGI_RUN && item->count == 1 && !item->may_fail;
    if (v == owner && *maker == NOBODY && plain && f->prog->uses[item->first].n_out == 1) {
        *maker = (uint32_t)i + 1;
    } else if (loop != RGI_NONE && is_inside(&f->prog->loops[loop], i) && !item->every && !item->checkpoint &&
               item->kind != RGI_CLEAR && (*maker == NOBODY || (*maker == TURNS && f->loop[owner] == loop))) {
        *maker = TURNS;
        f->loop[owner] = loop;
    } else {
        *maker = OTHERS;
    }
}

/* Whether a step behind a loop can perhaps be done for some turns at a time. */
static bool may_follow(const rgi_program *prog, const rgi_item *item)
{
    const rg_op *op = item->count ? prog->uses[item->first].node->op : NULL;
    return op && !item->may_fail && !item->footed && (item->kind == RGI_RUN || item->headed) &&
           (op->chain || (!item->headed && op->traits & RG_ROWS));
}

static bool writes(const finding *f, size_t i, int32_t owner)
{
    rgi_cursor c = {0, 0};
    for (int32_t v; (v = rgi_next_write(f->prog, &f->prog->items[i], &c)) != RGI_NONE;)
        if (rgi_owner(f->prog, v) == owner)
            return true;
    return false;
}

static void note_read(const finding *f, size_t i, int32_t v)
{
    const rgi_item *item = &f->prog->items[i];
    const int32_t owner = rgi_owner(f->prog, v), loop = rgi_loop_of_turn(f->prog, f->s, v);
    uint32_t *const maker = &f->maker[owner];
    if (*maker == OTHERS)
        return;
    if (*maker == NOBODY && loop != RGI_NONE && writes(f, i, owner)) /* a member of a group that another one reads */
        return;
    bool ok = *maker != NOBODY;
    if (*maker == TURNS) {
        const rgi_loop *l = &f->prog->loops[f->loop[owner]];
        ok = is_inside(l, i)
                 ? loop == f->loop[owner]
                 : i > l->end && item->loop == l->parent && rgi_is_whole(f->prog, f->s, v) && may_follow(f->prog, item);
    } else if (ok) {
        const rgi_loop *l = loop == RGI_NONE ? NULL : &f->prog->loops[loop];
        ok = l && (f->loop[owner] == RGI_NONE || f->loop[owner] == loop) && is_inside(l, i) && *maker <= l->begin &&
             l->parent == f->prog->items[*maker - 1].loop;
        f->loop[owner] = loop;
    }
    if (!ok)
        *maker = OTHERS;
}

static void find_makers(const finding *f)
{
    const rgi_program *prog = f->prog;
    for (size_t i = 0; i < prog->n_items; i++) {
        rgi_cursor c = {0, 0};
        for (int32_t v; (v = rgi_next_read(prog, &prog->items[i], &c)) != RGI_NONE;)
            note_read(f, i, v);
        c = (rgi_cursor){0, 0};
        for (int32_t v; (v = rgi_next_write(prog, &prog->items[i], &c)) != RGI_NONE;)
            note_write(f, i, v);
    }
    for (size_t k = 0; k < prog->n_fetches; k++)
        if (prog->fetches[k].value != RGI_NONE)
            f->maker[rgi_owner(prog, prog->fetches[k].value)] = OTHERS;
    for (size_t k = 0; k < prog->n_writes; k++)
        f->maker[rgi_owner(prog, prog->writes[k].value)] = OTHERS;
}

bool rgi_is_same_memory(const rgi_program *prog, int32_t a, int32_t b)
{
    const rgi_value *x = &prog->values[rgi_owner(prog, a)], *y = &prog->values[rgi_owner(prog, b)];
    return x == y || (x->place == RGI_STORE && y->place == RGI_STORE && x->slot == y->slot);
}

/* Whether nothing that a step in front of a loop reads is written between it and the loop's end. */
static bool may_wait(const finding *f, size_t step, int32_t loop)
{
    const rgi_program *prog = f->prog;
    for (size_t i = step + 1; i < prog->loops[loop].end; i++) {
        rgi_cursor w = {0, 0};
        for (int32_t v; (v = rgi_next_write(prog, &prog->items[i], &w)) != RGI_NONE;) {
            rgi_cursor r = {0, 0};
            for (int32_t u; (u = rgi_next_read(prog, &prog->items[step], &r)) != RGI_NONE;)
                if (rgi_is_same_memory(prog, u, v))
                    return false;
        }
    }
    return true;
}

static bool fits(const finding *f, int32_t v)
{
    const int32_t loop = f->loop[v];
    if (f->maker[v] == OTHERS || f->maker[v] == NOBODY || loop == RGI_NONE)
        return false;
    const rgi_loop *l = &f->prog->loops[loop];
    const int64_t trips = f->s->shapes[l->length].dim[0];
    return !l->scan->endless && !l->retrace && f->prog->items[l->begin].from == RGI_NONE &&
           f->s->shapes[f->prog->values[v].shape].dim[0] == trips && trips > 2 * RGI_STRIP_TURNS &&
           (f->maker[v] == TURNS || may_wait(f, f->maker[v] - 1, loop));
}

bool rgi_strips_find(rg_plan *p, rgi_special *s, bool small)
{
    const rgi_program *prog = p->program;
    const size_t n = prog->n_values;
    finding f = {.prog = prog, .s = s, .least = small ? 1 : RGI_STRIP_EACH};
    s->in_strips = NULL;
    if (!prog->n_loops || prog->opts.check || prog->opts.no_fuse)
        return true;
    f.maker = rgi_arena_alloc(&p->temporary, (n + 1) * sizeof *f.maker);
    f.loop = rgi_arena_alloc(&p->temporary, (n + 1) * sizeof *f.loop);
    size_t *const bytes = rgi_arena_alloc(&p->temporary, (prog->n_loops + 1) * sizeof *bytes);
    if (!f.maker || !f.loop || !bytes)
        return false;
    for (size_t v = 0; v < n; v++) {
        f.maker[v] = OTHERS;
        f.loop[v] = RGI_NONE;
    }
    if (!find_large(&f))
        return true;
    find_makers(&f);
    bool any = false;
    for (size_t v = 0; v < n; v++) {
        if (!fits(&f, (int32_t)v)) {
            f.loop[v] = RGI_NONE;
            continue;
        }
        size_t *const sum = &bytes[f.loop[v]], more = rgi_bytes(prog, s, (int32_t)v);
        *sum = more > SIZE_MAX - *sum ? SIZE_MAX : *sum + more;
    }
    for (size_t v = 0; v < n; v++) {
        if (f.loop[v] != RGI_NONE && !small && bytes[f.loop[v]] < RGI_STRIP_LEAST)
            f.loop[v] = RGI_NONE;
        any = any || f.loop[v] != RGI_NONE;
    }
    s->in_strips = any ? f.loop : NULL;
    return true;
}

bool rgi_strips_stay(rg_plan *p, const rgi_special *s, rgi_stays *out)
{
    const rgi_program *prog = p->program;
    *out = (rgi_stays){NULL, NULL};
    if (!s->strip_bytes)
        return true;
    out->from = rgi_arena_alloc(&p->temporary, (prog->n_values + s->n_steps + 1) * sizeof *out->from);
    out->until = rgi_arena_alloc(&p->temporary, (prog->n_values + 1) * sizeof *out->until);
    for (size_t i = 0; out->from && out->until && i < s->n_steps; i++) {
        const rgi_strips *x = s->steps[i].strips;
        const uint32_t begin = (uint32_t)i, end = x ? prog->loops[prog->items[i].loop].end : 0;
        for (size_t k = 0; x && k < x->n_before + x->n_behind; k++) {
            const uint32_t step = x->steps[k].step;
            rgi_cursor c = {0, 0};
            if (x->steps[k].kind == RGI_GOES_ON)
                out->from[prog->n_values + step] = begin + 1;
            for (int32_t v; step < begin && (v = rgi_next_read(prog, &prog->items[step], &c)) != RGI_NONE;) {
                uint32_t *const at = &out->until[rgi_owner(prog, v)];
                *at = *at < end ? end : *at;
            }
            for (int32_t v; step > end && x->steps[k].kind != RGI_GOES_ON &&
                            (v = rgi_next_write(prog, &prog->items[step], &c)) != RGI_NONE;)
                out->from[rgi_owner(prog, v)] = begin + 1;
        }
    }
    return out->from && out->until;
}
