/* strips.c - what leads to a loop, made for some of its turns at a time.

   The product of a sequence with a weight stands in front of the loop that reads it, turn by turn (hoist.c), and is
   several times as large as the sequence. Of a long one it would go out to memory and come back. So such a step is done
   from inside of the loop, for the turns that come next, into memory for so many alone: a strip, which stays in the
   cache, and does not grow with the number of turns.

   A row of a product keeps its bits, whichever others are computed with it (rows.c), so where strips begin and end is
   free. Whatever such a step reads stays until the loop is over. */
#include "strips.h"
#include "rows.h"
#include "steps.h"

#define RGI_STRIP_BYTES ((size_t)2 * 1024 * 1024)  /* of a strip of all that leads to a loop: a cache's worth, ... */
#define RGI_STRIP_ROWS 512                         /* ... but at least so many rows ... */
#define RGI_STRIP_TURNS 4                          /* ... and turns */
#define RGI_STRIP_PARTS 8                          /* of the turns, where memory is short */
#define RGI_STRIP_LEAST ((size_t)16 * 1024 * 1024) /* bytes of all turns from which on it is worth it */
#define RGI_STRIP_EACH ((size_t)1024 * 1024)       /* of one value */

typedef struct finding {
    rg_plan *p;
    const rgi_program *prog;
    rgi_special *s;
    size_t least;
    uint32_t *maker; /* by value: 1 + the step that makes it, or 0: it cannot be made in strips */
    int32_t *loop;   /* by value: whose turns read their elements of it alone, or RGI_NONE */
} finding;

static size_t trips_of(const finding *f, int32_t loop)
{
    return (size_t)f->s->shapes[f->prog->loops[loop].length].dim[0];
}

/* The loop of whose present turn a value is the element, of what its owner holds; RGI_NONE: it is something else. */
static int32_t loop_of_turn(const finding *f, int32_t v)
{
    const rgi_value *const values = f->prog->values;
    const size_t *const counts = f->s->counts;
    int32_t loop = RGI_NONE;
    for (; values[v].part_of != RGI_NONE; v = values[v].part_of) {
        const bool whole = !values[v].window && counts[values[v].shape] == counts[values[values[v].part_of].shape];
        if (loop != RGI_NONE && (values[v].step_loop != RGI_NONE || !whole))
            return RGI_NONE;
        loop = values[v].step_loop != RGI_NONE ? values[v].step_loop : loop;
    }
    return loop;
}

/* Steps that make a large value and nothing else. */
static bool find_makers(finding *f)
{
    bool any = false;
    for (size_t i = 0; i < f->prog->n_items; i++) {
        const rgi_item *item = &f->prog->items[i];
        const rgi_use *use = &f->prog->uses[item->first];
        if (item->kind != RGI_RUN || item->count != 1 || item->may_fail || use->n_out != 1)
            continue;
        const int32_t v = use->out[0];
        const rgi_value *value = &f->prog->values[v];
        if (value->place != RGI_SLAB || value->part_of != RGI_NONE || value->fetched || value->packed || value->slots ||
            value->choice || rgi_bytes(f->prog, f->s, v) < f->least)
            continue;
        f->maker[v] = (uint32_t)i + 1;
        any = true;
    }
    return any;
}

/* Of those the ones that nobody reads but the turns of one loop, each its own element. */
static void find_readers(const finding *f)
{
    const rgi_program *prog = f->prog;
    for (size_t i = 0; i < prog->n_items; i++) {
        rgi_cursor c = {0, 0};
        for (int32_t v; (v = rgi_next_write(prog, &prog->items[i], &c)) != RGI_NONE;)
            if (f->maker[rgi_owner(prog, v)] != i + 1)
                f->maker[rgi_owner(prog, v)] = 0;
        c = (rgi_cursor){0, 0};
        for (int32_t v; (v = rgi_next_read(prog, &prog->items[i], &c)) != RGI_NONE;) {
            const int32_t owner = rgi_owner(prog, v);
            if (!f->maker[owner])
                continue;
            const int32_t loop = loop_of_turn(f, v);
            const rgi_loop *l = loop == RGI_NONE ? NULL : &prog->loops[loop];
            if (!l || (f->loop[owner] != RGI_NONE && f->loop[owner] != loop) || i <= l->begin || i >= l->end ||
                f->maker[owner] > l->begin || l->parent != prog->items[f->maker[owner] - 1].loop)
                f->maker[owner] = 0;
            f->loop[owner] = loop;
        }
    }
    for (size_t k = 0; k < prog->n_fetches; k++)
        if (prog->fetches[k].value != RGI_NONE)
            f->maker[rgi_owner(prog, prog->fetches[k].value)] = 0;
    for (size_t k = 0; k < prog->n_writes; k++)
        f->maker[rgi_owner(prog, prog->writes[k].value)] = 0;
}

static bool is_same_memory(const rgi_program *prog, int32_t a, int32_t b)
{
    const rgi_value *x = &prog->values[rgi_owner(prog, a)], *y = &prog->values[rgi_owner(prog, b)];
    return x == y || (x->place == RGI_STORE && y->place == RGI_STORE && x->slot == y->slot);
}

/* Whether nothing that a step reads is written between it and the end of the loop. */
static bool may_wait(const finding *f, size_t step, int32_t loop)
{
    const rgi_program *prog = f->prog;
    for (size_t i = step + 1; i < prog->loops[loop].end; i++) {
        rgi_cursor w = {0, 0};
        for (int32_t v; (v = rgi_next_write(prog, &prog->items[i], &w)) != RGI_NONE;) {
            rgi_cursor r = {0, 0};
            for (int32_t u; (u = rgi_next_read(prog, &prog->items[step], &r)) != RGI_NONE;)
                if (is_same_memory(prog, u, v))
                    return false;
        }
    }
    return true;
}

static bool fits(const finding *f, int32_t v)
{
    const int32_t loop = f->loop[v];
    if (!f->maker[v] || loop == RGI_NONE)
        return false;
    const rgi_loop *l = &f->prog->loops[loop];
    const rg_shape *shape = &f->s->shapes[f->prog->values[v].shape];
    return !l->scan->endless && !l->retrace && f->prog->items[l->begin].from == RGI_NONE && shape->rank > 0 &&
           (size_t)shape->dim[0] == trips_of(f, loop) && trips_of(f, loop) > 2 * RGI_STRIP_TURNS &&
           may_wait(f, f->maker[v] - 1, loop);
}

bool rgi_strips_find(rg_plan *p, rgi_special *s, bool small)
{
    const rgi_program *prog = p->program;
    const size_t n = prog->n_values;
    finding f = {.p = p, .prog = prog, .s = s, .least = small ? 1 : RGI_STRIP_EACH};
    s->in_strips = NULL;
    if (!prog->n_loops || prog->opts.check || prog->opts.no_fuse)
        return true;
    f.maker = rgi_arena_alloc(&p->temporary, (n + 1) * sizeof *f.maker);
    if (!f.maker)
        return false;
    if (!find_makers(&f))
        return true;
    f.loop = rgi_arena_alloc(&p->temporary, (n + 1) * sizeof *f.loop);
    size_t *const bytes = rgi_arena_alloc(&p->temporary, (prog->n_loops + 1) * sizeof *bytes);
    if (!f.loop || !bytes)
        return false;
    for (size_t v = 0; v < n; v++)
        f.loop[v] = RGI_NONE;
    find_readers(&f);
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

/* ---- strips of a loop ---------------------------------------------------------------------------- */

/* The value that a step makes in strips for a loop, or RGI_NONE. */
static int32_t leads_to(const rgi_special *s, const rgi_program *prog, size_t step, int32_t loop)
{
    const rgi_item *item = &prog->items[step];
    if (item->kind != RGI_RUN || item->count != 1 || prog->uses[item->first].n_out != 1)
        return RGI_NONE;
    const int32_t v = prog->uses[item->first].out[0];
    return prog->values[v].part_of == RGI_NONE && s->in_strips[v] == loop ? v : RGI_NONE;
}

/* A step for the turns of a whole strip, and for those left over. *fits: it can be done so. False: out of memory. */
static bool cut_step(const rg_plan *p, rgi_special *s, size_t step, size_t turns, size_t trips, rgi_strip_step *out,
                     bool *fits)
{
    const int64_t all = (int64_t)trips, some = (int64_t)turns, rest = all % some;
    bool cannot = false;
    *fits = false;
    out->step = (uint32_t)step;
    /* from turn 1 on: the operands' places are then what they move by in a turn */
    if (!rgi_rows_of_step(p, s, step, all, 1, 1 + some, &out->whole, &cannot) ||
        (rest && !rgi_rows_of_step(p, s, step, all, 1, 1 + rest, &out->rest, &cannot)))
        return cannot;
    *fits = !cannot;
    return true;
}

/* Whether those who walk a loop are all who would have made what leads to it. */
static bool has_all_threads(const rgi_special *s, const rgi_exec *loop)
{
    const rgi_branch *b = rgi_branch_of(s, (size_t)(loop - s->steps));
    return !s->parallel || loop->rows || loop->parallel || (b && b->threads == 1);
}

/* Of how many turns a strip is, of so many bytes and rows each. */
static size_t turns_of(size_t trips, size_t bytes, size_t rows, bool small)
{
    const size_t by_bytes = bytes ? RGI_STRIP_BYTES / bytes : trips, by_rows = rows ? RGI_STRIP_ROWS / rows : trips;
    size_t turns = by_bytes > by_rows ? by_bytes : by_rows;
    if (small && turns > trips / RGI_STRIP_PARTS)
        turns = trips / RGI_STRIP_PARTS;
    return turns > RGI_STRIP_TURNS ? turns : RGI_STRIP_TURNS;
}

static bool cut_loop(rg_plan *p, rgi_special *s, int32_t loop, bool small, size_t *touched)
{
    const rgi_program *prog = p->program;
    rgi_exec *const e = &s->steps[prog->loops[loop].begin];
    const size_t trips = e->trips;
    size_t n = 0, bytes = 0, rows = SIZE_MAX;
    for (size_t i = 0; i < prog->loops[loop].begin && has_all_threads(s, e); i++) {
        const int32_t v = leads_to(s, prog, i, loop);
        if (v == RGI_NONE)
            continue;
        if (s->steps[i].branch == e->branch && !s->steps[i].bridge && rgi_rows_fit(p, s, i, (int64_t)trips, touched)) {
            const rg_shape *shape = &s->shapes[prog->values[v].shape];
            const size_t columns = shape->rank > 1 ? (size_t)shape->dim[shape->rank - 1] : 1,
                         more = s->counts[prog->values[v].shape] / trips / (columns ? columns : 1);
            n++;
            rows = more < rows ? more : rows;
            bytes += rgi_bytes(prog, s, v) / trips;
        } else {
            s->in_strips[v] = RGI_NONE;
        }
        touched[v] = 0;
    }
    const size_t turns = turns_of(trips, bytes, rows, small);
    if (n == 0 || turns > trips / 2)
        return true;
    rgi_strips *x = rgi_special_alloc(s, 1, sizeof *x);
    if (!x || !(x->steps = rgi_special_alloc(s, n, sizeof *x->steps)))
        return false;
    x->turns = turns;
    for (size_t i = 0; i < prog->loops[loop].begin; i++) {
        const int32_t v = leads_to(s, prog, i, loop);
        bool fits = false;
        if (v == RGI_NONE)
            continue;
        if (!cut_step(p, s, i, turns, trips, &x->steps[x->n], &fits))
            return false;
        if (!fits)
            continue;
        s->steps[i].in_strips = true;
        s->strip_bytes[v] = s->counts[prog->values[v].shape] / trips * turns * prog->values[v].size;
        x->n++;
    }
    e->strips = x->n ? x : NULL;
    return true;
}

bool rgi_strips_cut(rg_plan *p, rgi_special *s, bool small)
{
    const rgi_program *prog = p->program;
    if (!s->in_strips)
        return true;
    size_t *const touched = rgi_arena_alloc(&p->temporary, (prog->n_values + 1) * sizeof *touched),
                  *const bytes = rgi_arena_alloc(&s->arena, (prog->n_values + 1) * sizeof *bytes);
    bool ok = touched && bytes;
    s->strip_bytes = bytes;
    for (size_t k = 0; ok && k < prog->n_loops; k++)
        ok = cut_loop(p, s, (int32_t)k, small, touched);
    return ok;
}

bool rgi_strips_stay(rg_plan *p, const rgi_special *s, uint32_t **until)
{
    const rgi_program *prog = p->program;
    *until = NULL;
    if (!s->strip_bytes)
        return true;
    uint32_t *const last = rgi_arena_alloc(&p->temporary, (prog->n_values + 1) * sizeof *last);
    for (size_t i = 0; last && i < s->n_steps; i++) {
        const rgi_strips *x = s->steps[i].strips;
        for (size_t k = 0; x && k < x->n; k++) {
            rgi_cursor c = {0, 0};
            for (int32_t v; (v = rgi_next_read(prog, &prog->items[x->steps[k].step], &c)) != RGI_NONE;) {
                uint32_t *const at = &last[rgi_owner(prog, v)];
                const uint32_t end = prog->loops[prog->items[i].loop].end;
                *at = *at < end ? end : *at;
            }
        }
    }
    *until = last;
    return last != NULL;
}
