/* rows.c - which loops may be cut by rows: every value that the body makes has the batch along its first axis, and each
   row of it comes from the same row of what the body makes, and from what is there before the loop. Then the rows are
   dealt out in pieces, and a thread walks all steps of its piece without meeting another.

   A row keeps its bits: an elementwise op and one that moves know nothing of other rows, and others say so
   (RG_ROWS). */
#include "../sizes/steps.h"
#include "rows.h"

#include <string.h>

#define RGI_CHAIN 8 /* steps at most that go one after the other without a meeting */

typedef struct cutting {
    const rg_plan *p;
    const rgi_program *prog;
    rgi_special *s;
    size_t begin, end; /* the items of the body */
    int64_t batch;     /* rows */
    size_t *element;   /* by owner that the body writes: elements of it that a step touches, 1 more; else 0 */
    rgi_row_step *to;  /* of the piece being made, by item of the body ... */
    int64_t lo, hi;    /* ... with these rows */
    bool cannot;       /* so few rows take several phases */
} cutting;

static bool is_written(const cutting *c, int32_t v)
{
    return v != RGI_NONE && c->element[rgi_owner(c->prog, v)] != 0;
}

static const rg_shape *shape_of(const cutting *c, int32_t v)
{
    return &c->s->shapes[c->prog->values[v].shape];
}

static size_t count_of(const cutting *c, int32_t v)
{
    return c->s->counts[c->prog->values[v].shape];
}

/* Whether row r of the part lies in row r of the whole, which has so many elements. */
static bool window_keeps_rows(const rg_window *w, size_t part, size_t whole, size_t rows)
{
    const size_t row = part / rows, pieces = w->length ? row / w->length : 0;
    return whole % rows == 0 && pieces && row % w->length == 0 && pieces * w->pitch == whole / rows &&
           w->offset + (pieces - 1) * w->pitch + w->length <= whole / rows;
}

/* Whether row r of a value is the r-th part of the memory of its owner that a step touches. `w`: where it is a
   window. */
static bool has_rows(cutting *c, int32_t v, const rg_window *w)
{
    const size_t rows = (size_t)c->batch;
    const rgi_value *const values = c->prog->values;
    if (shape_of(c, v)->rank < 1 || shape_of(c, v)->dim[0] != c->batch)
        return false;
    for (; values[v].part_of != RGI_NONE && values[v].step_loop == RGI_NONE; v = values[v].part_of, w = NULL) {
        const int32_t whole = values[v].part_of;
        if (rg_dtype_size(values[v].dtype) != rg_dtype_size(values[whole].dtype))
            return false;
        if (values[v].window ? !w || !window_keeps_rows(w, count_of(c, v), count_of(c, whole), rows)
                             : count_of(c, v) != count_of(c, whole))
            return false;
    }
    size_t *const element = &c->element[rgi_owner(c->prog, v)];
    if (*element == SIZE_MAX)
        *element = count_of(c, v) + 1;
    return *element == 0 || *element == count_of(c, v) + 1;
}

/* ---- groups and copies ---- */

/* What a member reads or writes in memory that the body writes. */
static bool operand_fits(cutting *c, const rgi_group *g, int32_t v, const rgi_operand *o)
{
    if (!is_written(c, v) || (o->mode == RGI_BLOCK && !o->spread))
        return true;
    const rgi_spread *x = o->spread ? &g->spreads[o->spread - 1] : NULL;
    return shape_of(c, v)->rank == g->shape.rank && has_rows(c, v,
                                                             x                       ? x->from.window
                                                             : o->mode == RGI_WINDOW ? o->window
                                                                                     : NULL);
}

static bool group_fits(cutting *c, const rgi_item *item, const rgi_group *g)
{
    bool fits = !item->headed && !item->footed && g->shape.rank > 0 && g->shape.dim[0] == c->batch;
    for (size_t m = 0; fits && m < g->n_members; m++) {
        const rgi_use *use = &c->prog->uses[item->first + m];
        for (uint32_t i = 0; fits && i < use->n_in; i++)
            fits = operand_fits(c, g, use->in[i], &g->members[m].in[i]);
        fits = fits && operand_fits(c, g, use->out[0], &g->members[m].out);
    }
    return fits;
}

static bool copy_fits(cutting *c, const rgi_item *item)
{
    return has_rows(c, item->to, NULL) && count_of(c, item->from) == count_of(c, item->to) &&
           (!is_written(c, item->from) || has_rows(c, item->from, NULL));
}

/* ---- single ops ---- */

/* The axis of input i whose index is that of the output's rows, or -1: the input is read whole for each. */
static int32_t row_axis(const cutting *c, const rg_step *step, uint32_t i)
{
    const rg_op *op = step->op;
    const rg_shape *in = &step->in_type[i].shape, *out = &step->out_type->shape;
    const size_t rows = (size_t)c->batch, n = (size_t)rg_shape_count(*in), m = (size_t)rg_shape_count(*out);
    rg_window w;
    if (op->window && op->traits & RG_JOINS)
        return op->window(step, i, &w) && window_keeps_rows(&w, n, m, rows) ? 0 : -1;
    if (op->window)
        return i == 0 && op->window(step, 0, &w) && window_keeps_rows(&w, m, n, rows) ? 0 : -1;
    int32_t from[RG_MAX_RANK], a = in->rank;
    for (int32_t k = 0; k < RG_MAX_RANK; k++)
        from[k] = -1;
    op->reads(step, i, from);
    while (--a >= 0 && (from[a] != 0 || in->dim[a] == 1)) {
    }
    return a;
}

/* Whether rows of input i go with rows of the output. */
static bool goes_along(const cutting *c, const rg_step *step, uint32_t i)
{
    return step->in_type[i].shape.rank > 0 && step->in_type[i].shape.dim[0] == c->batch && row_axis(c, step, i) == 0;
}

/* Of input i, or of the output: i = n_in. */
static const rg_window *window_of(const rg_step *step, uint32_t i)
{
    return step->windows ? step->windows[i] : NULL;
}

static bool is_packed(const cutting *c, const rgi_use *use, uint32_t i)
{
    return use->packed && use->packed[i] != RGI_NONE && rgi_special_bytes(c->p, c->s, use->packed[i]);
}

static bool run_fits(cutting *c, const rgi_item *item, const rgi_exec *e)
{
    const rgi_use *use = rgi_main_use(c->prog, item);
    const rg_op *op = e->step.op;
    const bool moves = op->window && op->traits & RG_MOVES;
    bool along = false, fits = (moves || (op->traits & RG_ROWS && op->reads)) && !e->group && use->n_out == 1 &&
                               !e->tasks[1] && use->n_in <= RGI_ROW_INPUTS &&
                               has_rows(c, use->out[0], window_of(&e->step, use->n_in));
    for (uint32_t i = 0; fits && i < use->n_in; i++) {
        const int32_t v = use->in[i];
        if (v == RGI_NONE) { /* only its shape is used; by what has windows not along the first axis */
            fits = moves || row_axis(c, &e->step, i) <= 0;
        } else if (goes_along(c, &e->step, i)) {
            const rg_window *const w = window_of(&e->step, i);
            fits =
                !is_packed(c, use, i) && (!is_written(c, v) || has_rows(c, v, w)) &&
                (!w || window_keeps_rows(w, count_of(c, v), count_of(c, c->prog->values[v].part_of), (size_t)c->batch));
            along = true;
        } else {
            fits = !moves && !is_written(c, v) && row_axis(c, &e->step, i) < 0;
        }
    }
    return fits && along; /* where a row comes from the whole of all, it matters which row it is */
}

/* ---- the body ---- */

/* Notes what the body writes. False: there is something in it that cannot be cut. */
static bool find_written(cutting *c)
{
    for (size_t i = c->begin; i < c->end; i++) {
        const rgi_item *item = &c->prog->items[i];
        if (item->kind != RGI_RUN && item->kind != RGI_FUSED && item->kind != RGI_COPY)
            return false;
        rgi_cursor cursor = {0, 0};
        for (int32_t v; (v = rgi_next_write(c->prog, item, &cursor)) != RGI_NONE;) {
            c->element[rgi_owner(c->prog, v)] = SIZE_MAX;
            if (c->batch < 0 && shape_of(c, v)->rank > 0)
                c->batch = shape_of(c, v)->dim[0];
        }
    }
    return c->batch > 1;
}

static bool steps_fit(cutting *c)
{
    bool fits = true;
    for (size_t i = c->begin; fits && i < c->end; i++) {
        const rgi_item *item = &c->prog->items[i];
        const rgi_exec *e = &c->s->steps[i];
        fits = item->kind == RGI_COPY                                  ? copy_fits(c, item)
               : item->kind == RGI_RUN || item->headed || item->footed ? run_fits(c, item, e)
                                                                       : group_fits(c, item, e->group);
    }
    return fits;
}

static bool body_fits(cutting *c)
{
    return find_written(c) && steps_fit(c);
}

/* Bytes that every piece reads whole in each step. */
static size_t read_whole(const cutting *c)
{
    size_t bytes = 0;
    for (size_t i = c->begin; i < c->end; i++) {
        const rgi_use *use = rgi_main_use(c->prog, &c->prog->items[i]);
        for (uint32_t k = 0; c->prog->items[i].kind == RGI_RUN && k < use->n_in; k++)
            if (use->in[k] != RGI_NONE && !goes_along(c, &c->s->steps[i].step, k))
                bytes += rgi_special_bytes(c->p, c->s, use->in[k]);
    }
    return bytes;
}

/* Forgets what the body writes. */
static void forget_written(const cutting *c)
{
    for (size_t i = c->begin; i < c->end; i++) {
        rgi_cursor cursor = {0, 0};
        for (int32_t v; (v = rgi_next_write(c->prog, &c->prog->items[i], &cursor)) != RGI_NONE;)
            c->element[rgi_owner(c->prog, v)] = 0;
    }
}

bool rgi_rows_find(const rg_plan *p, rgi_special *s, int32_t loop, size_t *touched, rgi_rows *out)
{
    const rgi_program *prog = p->program;
    const rgi_item *first = &prog->items[prog->loops[loop].begin];
    if (prog->loops[loop].scan->endless || first->from != RGI_NONE)
        return false;
    cutting c = {.p = p,
                 .prog = prog,
                 .s = s,
                 .begin = prog->loops[loop].begin + 1,
                 .end = prog->loops[loop].end,
                 .batch = -1,
                 .element = touched};
    const bool fits = body_fits(&c);
    if (fits)
        *out = (rgi_rows){.batch = c.batch, .whole = read_whole(&c)};
    forget_written(&c);
    return fits;
}

/* ---- chains ---- */

static bool may_chain(const rgi_item *item, const rgi_exec *e)
{
    return e->parallel && ((item->kind == RGI_FUSED && !item->headed && !item->footed) ||
                           (item->kind == RGI_COPY && !item->every && !item->checkpoint));
}

size_t rgi_rows_chain(const rg_plan *p, rgi_special *s, size_t first, size_t end, size_t *touched, int64_t *rows)
{
    const rgi_program *prog = p->program;
    size_t n = 0;
    for (size_t i = first; i < end && i < first + RGI_CHAIN && may_chain(&prog->items[i], &s->steps[i]); i++) {
        cutting c = {.p = p, .prog = prog, .s = s, .begin = first, .end = i + 1, .batch = -1, .element = touched};
        const bool fits = body_fits(&c);
        forget_written(&c);
        if (!fits)
            break;
        n++;
        *rows = c.batch;
    }
    return n;
}

/* ---- pieces ---- */

/* The op of a step for rows [lo, hi). */
static bool cut_run(cutting *c, const rgi_exec *e, rgi_row_step *r)
{
    const rg_step *whole = &e->step;
    const uint32_t n = whole->n_in + 1;
    rg_type *type = rgi_special_alloc(c->s, n, sizeof *type);
    size_t *moved = rgi_special_alloc(c->s, n, sizeof *moved);
    if (!type || !moved)
        return false;
    for (uint32_t i = 0; i < n; i++) {
        type[i] = i < whole->n_in ? whole->in_type[i] : *whole->out_type;
        if (i < whole->n_in && !goes_along(c, whole, i))
            continue;
        const rg_window *const w = window_of(whole, i);
        const size_t row = (size_t)rg_shape_count(type[i].shape) / (size_t)c->batch;
        moved[i] = (size_t)c->lo * (w ? row / w->length * w->pitch : row) * rg_dtype_size(type[i].dtype);
        type[i].shape.dim[0] = c->hi - c->lo;
    }
    r->step = *whole;
    r->step.in_type = type;
    r->step.out_type = type + whole->n_in;
    r->moved = moved;
    if (whole->op->geometry) {
        void *geometry = rgi_special_alloc(c->s, whole->op->geometry_size, 1);
        if (!geometry)
            return false;
        whole->op->geometry(&r->step, geometry);
        r->step.geometry = geometry;
    }
    rg_cost cost = {.tasks = {1}};
    if (whole->op->cost)
        whole->op->cost(&r->step, &cost);
    r->tasks = cost.tasks[0];
    c->s->scratch = cost.scratch > c->s->scratch ? cost.scratch : c->s->scratch;
    c->cannot = c->cannot || cost.tasks[1] || cost.shared;
    return !c->cannot;
}

static bool cut_step(cutting *c, size_t i)
{
    const rgi_exec *e = &c->s->steps[i];
    rgi_row_step *const r = &c->to[i - c->begin];
    if (e->kind == RGI_RUN)
        return cut_run(c, e, r);
    const size_t all = e->kind == RGI_FUSED ? e->group->elements : e->bytes, row = all / (size_t)c->batch;
    r->first = (size_t)c->lo * row;
    r->count = (size_t)(c->hi - c->lo) * row;
    return true;
}

bool rgi_rows_cut(const rg_plan *p, rgi_special *s, int32_t loop, size_t pieces, rgi_rows *rows, bool *cannot)
{
    const rgi_program *prog = p->program;
    cutting c = {.p = p,
                 .prog = prog,
                 .s = s,
                 .begin = prog->loops[loop].begin + 1,
                 .end = prog->loops[loop].end,
                 .batch = rows->batch};
    rows->pieces = pieces;
    rows->n_steps = c.end - c.begin;
    rows->steps = rgi_special_alloc(s, pieces * rows->n_steps, sizeof *rows->steps);
    bool ok = rows->steps != NULL;
    for (size_t k = 0; ok && k < pieces; k++) {
        c.to = rows->steps + k * rows->n_steps;
        c.lo = c.batch * (int64_t)k / (int64_t)pieces;
        c.hi = c.batch * (int64_t)(k + 1) / (int64_t)pieces;
        for (size_t i = c.begin; ok && i < c.end; i++)
            ok = cut_step(&c, i);
    }
    *cannot = c.cannot;
    return ok;
}

/* ---- single steps ---- */

bool rgi_rows_fit(const rg_plan *p, rgi_special *s, size_t step, int64_t rows, size_t *touched)
{
    const rgi_item *item = &p->program->items[step];
    const rgi_exec *e = &s->steps[step];
    cutting c = {.p = p, .prog = p->program, .s = s, .batch = rows, .element = touched};
    rgi_cursor cursor = {0, 0};
    for (int32_t v; (v = rgi_next_write(p->program, item, &cursor)) != RGI_NONE;)
        touched[rgi_owner(p->program, v)] = SIZE_MAX;
    if (rows < 2 || (item->kind != RGI_RUN && item->kind != RGI_FUSED))
        return false;
    return item->kind == RGI_RUN || item->headed || item->footed ? run_fits(&c, item, e)
                                                                 : group_fits(&c, item, e->group);
}

bool rgi_rows_of_step(const rg_plan *p, rgi_special *s, size_t step, int64_t rows, int64_t lo, int64_t hi,
                      rgi_row_step *out, bool *cannot)
{
    cutting c = {.p = p, .prog = p->program, .s = s, .begin = step, .batch = rows, .to = out, .lo = lo, .hi = hi};
    const bool ok = cut_step(&c, step);
    *cannot = c.cannot;
    return ok;
}
