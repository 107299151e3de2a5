/* branches.c - which loops can go side by side, and what with them.

   A section begins with a loop. Behind it stand others that need nothing of it, as the second direction of a layer; or
   one that follows it: in each turn it reads what the same turn of the first one made, as the next layer does, perhaps
   through steps that have the turns along their first axis and can be done for a few of them (bridges: the product of
   the sequence with a weight). The loops, each with what leads to it alone, are the branches of the section; steps
   between them that no branch needs, as gradients of weights, are done after all of them.

   All of it is read off what steps read and write. A loop that needs a step which would come after it ends the
   section. */
#include "../sizes/steps.h"
#include "branches.h"
#include "rows.h"
#include "share.h"

#include <string.h>

#define RGI_UNITS 48  /* steps and loops of a section that are looked at */
#define RGI_CHUNKS 16 /* chunks of turns at most ... */
#define RGI_TURNS 4   /* ... of at least so many */

/* What a unit belongs to beside the branches from 1 on. */
enum { AFTER = 0, PENDING = RGI_BRANCHES + 1, TAKEN };

/* What a unit does to a value; turn: it is the element of the present turn of the unit's loop, or lies in it. */
typedef struct touch {
    int32_t owner;
    bool writes, turn;
} touch;

/* A step outside of loops, or a whole loop. */
typedef struct unit {
    size_t begin, end;
    int32_t loop; /* or RGI_NONE */
    uint8_t branch;
    bool bridge;
    uint32_t n;
    const touch *at;
} unit;

/* What is done to a value's memory; LOOKS, TURNS: each turn of a loop reads, writes the element of the turn alone. */
enum { READ = 1, LOOKS = 2, TURNS = 4, ANYHOW = 8 };

typedef struct finding {
    const rgi_program *prog;
    rg_plan *p;
    rgi_special *s;
    unit units[RGI_UNITS];
    size_t n;
    uint8_t *done; /* by owner */
    size_t *rows;  /* by owner: see rgi_rows_fit */
    struct {
        int32_t loop;
        uint8_t leader; /* a branch, or 0 */
        bool followed;
    } branches[RGI_BRANCHES + 1];
    uint32_t n_branches;
} finding;

/* Whether a value is the element of the present turn of a loop, or lies in it. */
static bool is_of_turn(const finding *f, int32_t v, int32_t loop)
{
    const rgi_value *const values = f->prog->values;
    const size_t *const counts = f->s->counts, trips = f->s->steps[f->prog->loops[loop].begin].trips;
    bool found = false;
    for (; values[v].part_of != RGI_NONE; v = values[v].part_of) {
        const size_t part = counts[values[v].shape], whole = counts[values[values[v].part_of].shape];
        if (found && (values[v].step_loop != RGI_NONE || values[v].window || part != whole))
            return false;
        if (values[v].step_loop != loop)
            continue;
        if (part * trips != whole)
            return false;
        found = true;
    }
    return found;
}

/* What the values are that a step reads or writes, into `to` if that is not NULL; returns how many. */
static uint32_t list_step(const finding *f, const unit *u, size_t i, touch *to)
{
    const rgi_item *item = &f->prog->items[i];
    uint32_t n = 0;
    for (int writes = 0; writes < 2; writes++) {
        rgi_cursor c = {0, 0};
        for (int32_t v; (v = (writes ? rgi_next_write : rgi_next_read)(f->prog, item, &c)) != RGI_NONE; n++)
            if (to) {
                const bool each = u->loop != RGI_NONE && !item->every && !item->checkpoint;
                to[n] = (touch){rgi_owner(f->prog, v), writes, each && is_of_turn(f, v, u->loop)};
            }
    }
    return n;
}

/* Adds steps [begin, end), a loop or one. False: out of memory. */
static bool add_unit(finding *f, size_t begin, size_t end, int32_t loop)
{
    unit *const u = &f->units[f->n];
    *u = (unit){.begin = begin, .end = end, .loop = loop, .branch = PENDING};
    for (size_t i = begin; i < end; i++)
        u->n += list_step(f, u, i, NULL);
    touch *at = rgi_arena_alloc(&f->p->temporary, (u->n + 1) * sizeof *at);
    u->at = at;
    for (size_t i = begin; at && i < end; i++)
        at += list_step(f, u, i, at);
    f->n += at != NULL;
    return at != NULL;
}

static void mark(const finding *f, const unit *u)
{
    for (const touch *a = u->at; a < u->at + u->n; a++)
        f->done[a->owner] |= a->writes ? (a->turn ? TURNS : ANYHOW) : a->turn ? LOOKS : READ;
}

static void forget(const finding *f, const unit *u)
{
    for (const touch *a = u->at; a < u->at + u->n; a++) {
        f->done[a->owner] = 0;
        f->rows[a->owner] = 0;
    }
}

/* Whether a unit must keep its place before or behind those that are marked. */
static bool conflicts(const finding *f, const unit *u)
{
    for (const touch *a = u->at; a < u->at + u->n; a++)
        if (f->done[a->owner] & (a->writes ? READ | LOOKS | TURNS | ANYHOW : TURNS | ANYHOW))
            return true;
    return false;
}

/* What writes parameters, or looks while it runs how long to go on, or what to keep, belongs to no branch. */
static bool may_branch(const finding *f, const unit *u)
{
    for (const touch *a = u->at; a < u->at + u->n; a++)
        if (a->writes && f->prog->values[a->owner].place == RGI_STORE)
            return false;
    for (size_t i = u->begin; i < u->end; i++) {
        const rgi_item *item = &f->prog->items[i];
        const rgi_exec *e = &f->s->steps[i];
        if (item->kind == RGI_TEST ||
            (item->kind == RGI_LOOP && (item->from != RGI_NONE || e->schedule || e->trips < 2)))
            return false;
    }
    return true;
}

/* ---- loops that follow ---- */

static size_t chunk_of(size_t turns)
{
    const size_t chunk = (turns + RGI_CHUNKS - 1) / RGI_CHUNKS;
    return chunk > RGI_TURNS ? chunk : RGI_TURNS;
}

/* Whether a step outside of loops that is taken by a follower needs nothing of the branch that is marked, or can be a
   bridge. A bridge goes on after the steps behind it that are none: what it reads stays. */
static bool follows_as_step(finding *f, unit *u, size_t turns)
{
    bool depends = false;
    for (const touch *a = u->at; a < u->at + u->n; a++) {
        const uint8_t done = f->done[a->owner];
        if (done & ANYHOW || (a->writes && done & READ))
            return false;
        depends = depends || done & TURNS || (a->writes && done);
    }
    if (!depends)
        return true;
    u->bridge = rgi_rows_fit(f->p, f->s, u->begin, (int64_t)turns, f->rows);
    for (const touch *a = u->at; u->bridge && a < u->at + u->n; a++)
        f->done[a->owner] |= a->writes ? TURNS : 0;
    for (const touch *a = u->at; u->bridge && a < u->at + u->n; a++)
        f->done[a->owner] |= a->writes ? 0 : f->done[a->owner] & TURNS ? LOOKS : READ;
    return u->bridge;
}

/* Whether the turns of a loop need of the branch that is marked only what the same turns there have made, and write
   over nothing else. */
static bool follows_as_loop(const finding *f, const unit *u)
{
    for (const touch *a = u->at; a < u->at + u->n; a++) {
        const uint8_t done = f->done[a->owner];
        const bool needs = done & TURNS || (a->writes && done);
        if (done & ANYHOW || (a->writes && done & READ) || (needs && !a->turn))
            return false;
    }
    return true;
}

/* Whether what is taken follows a branch. */
static bool follows(finding *f, uint8_t branch)
{
    const unit *last = &f->units[f->n - 1];
    const rgi_exec *leader = &f->s->steps[f->prog->loops[f->branches[branch].loop].begin],
                   *loop = &f->s->steps[last->begin];
    bool ok = !f->branches[branch].followed && leader->trips == loop->trips && leader->reverse == loop->reverse &&
              loop->trips >= 2 * chunk_of(loop->trips);
    for (size_t k = 0; ok && k < f->n; k++)
        if (f->units[k].branch == branch)
            mark(f, &f->units[k]);
    for (size_t k = 0; ok && k < f->n; k++)
        if (f->units[k].branch == branch && f->units[k].loop != RGI_NONE)
            for (const touch *t = f->units[k].at; t < f->units[k].at + f->units[k].n; t++)
                f->rows[t->owner] = t->writes && f->done[t->owner] & TURNS ? SIZE_MAX : f->rows[t->owner];
    for (size_t k = 0; ok && k < f->n; k++)
        if (f->units[k].branch == TAKEN)
            ok = f->units[k].loop == RGI_NONE ? follows_as_step(f, &f->units[k], loop->trips)
                                              : follows_as_loop(f, &f->units[k]);
    for (size_t k = 0; k < f->n; k++)
        if (f->units[k].branch == branch || f->units[k].branch == TAKEN)
            forget(f, &f->units[k]);
    return ok;
}

/* ---- branches ---- */

/* The last unit, a loop, takes what leads to it. */
static void take(finding *f)
{
    for (size_t k = f->n; k-- > 0;) {
        unit *u = &f->units[k];
        if (k + 1 < f->n && (u->branch != PENDING || !conflicts(f, u)))
            continue;
        u->branch = TAKEN;
        mark(f, u);
    }
    for (size_t k = 0; k < f->n; k++)
        if (f->units[k].branch == TAKEN)
            forget(f, &f->units[k]);
}

/* Whether what is taken needs nothing that comes after the branches; touched: those that it needs something of, as
   bits. */
static bool needs_branches_alone(const finding *f, uint32_t *touched)
{
    bool ok = true;
    *touched = 0;
    for (size_t j = 0; j < f->n; j++) {
        if (f->units[j].branch != TAKEN)
            continue;
        mark(f, &f->units[j]);
        for (size_t k = 0; k < f->n; k++) {
            const unit *u = &f->units[k];
            const bool counts = u->branch != TAKEN && (u->branch != AFTER || k < j);
            if (!counts || !conflicts(f, u))
                continue;
            ok = ok && u->branch != AFTER;
            *touched |= 1u << u->branch;
        }
        forget(f, &f->units[j]);
    }
    return ok;
}

static void settle(finding *f, uint8_t branch)
{
    for (size_t k = 0; k < f->n; k++) {
        unit *u = &f->units[k];
        if (u->branch != TAKEN)
            continue;
        u->branch = branch;
        u->bridge = u->bridge && branch != PENDING;
    }
}

/* Makes the loop that is the last unit a branch, if it can be one. */
static bool add_branch(finding *f)
{
    uint32_t touched = 0;
    uint8_t leader = 0;
    bool ok = may_branch(f, &f->units[f->n - 1]);
    if (ok) {
        take(f);
        ok = needs_branches_alone(f, &touched);
    }
    for (uint32_t k = 1; ok && k <= f->n_branches; k++)
        if (touched >> k & 1) {
            ok = !leader && follows(f, (uint8_t)k);
            leader = (uint8_t)k;
        }
    settle(f, ok ? (uint8_t)(f->n_branches + 1) : PENDING);
    if (!ok)
        return false;
    f->n_branches++;
    f->branches[f->n_branches].loop = f->units[f->n - 1].loop;
    f->branches[f->n_branches].leader = leader;
    if (leader)
        f->branches[leader].followed = true;
    return true;
}

/* A step outside of loops: perhaps a later loop takes it; what needs something that comes after the branches comes
   after them too. */
static void add_step(finding *f)
{
    unit *u = &f->units[f->n - 1];
    bool waits = !may_branch(f, u);
    mark(f, u);
    for (size_t k = 0; k + 1 < f->n && !waits; k++)
        waits = f->units[k].branch == AFTER && conflicts(f, &f->units[k]);
    forget(f, u);
    u->branch = waits ? AFTER : PENDING;
}

static double load_of(const finding *f, uint32_t branch)
{
    double ns = 0;
    for (size_t k = 0; k < f->n; k++)
        for (size_t i = f->units[k].begin; f->units[k].branch == branch && i < f->units[k].end; i++)
            ns += rgi_step_ns(f->prog, &f->s->steps[i]) * rgi_step_calls(f->prog, f->s, i);
    return ns;
}

/* What stands in front of the first loop and leads to it is done by its threads, as it is with the other loops, until
   they have as much to do. Returns where the section begins then, SIZE_MAX where memory is short. */
static size_t begin_earlier(finding *f, size_t begin)
{
    double mine = load_of(f, 1), most = 0;
    for (uint32_t k = 2; k <= f->n_branches; k++)
        most = load_of(f, k) > most ? load_of(f, k) : most;
    while (begin > 0 && f->n < RGI_UNITS && f->prog->items[begin - 1].loop == RGI_NONE && !f->branches[1].followed) {
        unit *const u = &f->units[f->n];
        if (!add_unit(f, begin - 1, begin, RGI_NONE))
            return SIZE_MAX;
        f->n--; /* until it is known to belong here */
        mine += rgi_step_ns(f->prog, &f->s->steps[begin - 1]);
        bool leads = false, waits = !may_branch(f, u) || mine > 1.01 * most;
        mark(f, u);
        for (size_t k = 0; k < f->n && !waits; k++) {
            const bool touches = conflicts(f, &f->units[k]);
            leads = leads || (touches && f->units[k].branch == 1);
            waits = touches && f->units[k].branch != 1;
        }
        forget(f, u);
        if (waits || !leads)
            break;
        u->branch = 1;
        f->n++;
        begin--;
    }
    return begin;
}

/* ---- the section ---- */

static bool make_section(finding *f, size_t begin, size_t end, rgi_section *out)
{
    *out = (rgi_section){.begin = (uint32_t)begin, .end = (uint32_t)end, .n = f->n_branches};
    out->branches = rgi_special_alloc(f->s, f->n_branches, sizeof *out->branches);
    if (!out->branches)
        return false;
    for (uint32_t k = 0; k < out->n; k++) {
        rgi_branch *b = &out->branches[k];
        const uint8_t leader = f->branches[k + 1].leader;
        b->loop = f->prog->loops[f->branches[k + 1].loop].begin;
        b->leader = leader ? &out->branches[leader - 1] : NULL;
        b->chunk = leader || f->branches[k + 1].followed ? chunk_of(f->s->steps[b->loop].trips) : 0;
        b->bridges = rgi_special_alloc(f->s, f->n, sizeof *b->bridges);
        if (!b->bridges)
            return false;
    }
    for (size_t k = 0; k < f->n; k++) {
        const unit *u = &f->units[k];
        if (u->begin >= end || u->branch == AFTER || u->branch == PENDING)
            continue;
        rgi_branch *b = &out->branches[u->branch - 1];
        if (u->bridge)
            b->bridges[b->n_bridges++] = (uint32_t)u->begin;
        for (size_t i = u->begin; i < u->end; i++) {
            f->s->steps[i].branch = u->branch;
            f->s->steps[i].bridge = u->bridge;
        }
    }
    return true;
}

bool rgi_branches_find(rg_plan *p, rgi_special *s, size_t first, uint32_t most, const rgi_cuts *cuts, rgi_section *out)
{
    const rgi_program *prog = p->program;
    finding f = {.prog = prog, .p = p, .s = s, .done = cuts->done, .rows = cuts->touched};
    size_t end = first;
    *out = (rgi_section){.n = 0};
    for (size_t i = first; i < s->n_steps && f.n < RGI_UNITS && f.n_branches < most;) {
        const bool is_loop = prog->items[i].kind == RGI_LOOP;
        const int32_t loop = is_loop ? prog->items[i].loop : RGI_NONE;
        const size_t next = is_loop ? (size_t)prog->loops[loop].end + 1 : i + 1;
        if (!add_unit(&f, i, next, loop))
            return false;
        if (is_loop && !add_branch(&f))
            break;
        if (is_loop)
            end = next;
        else
            add_step(&f);
        i = next;
    }
    while (f.n && f.units[f.n - 1].begin >= end)
        f.n--;
    const size_t begin = f.n_branches < 2 ? first : begin_earlier(&f, first);
    return f.n_branches < 2 || (begin != SIZE_MAX && make_section(&f, begin, end, out));
}

bool rgi_branches_cut(const rg_plan *p, rgi_special *s, rgi_section *x, bool *cannot)
{
    *cannot = false;
    for (uint32_t k = 0; k < x->n; k++) {
        rgi_branch *b = &x->branches[k];
        const rgi_exec *loop = &s->steps[b->loop];
        const size_t chunks = b->chunk ? (loop->trips + b->chunk - 1) / b->chunk : 0;
        b->parts = rgi_special_alloc(s, chunks * b->n_bridges, sizeof *b->parts);
        if (!b->parts)
            return false;
        for (size_t c = 0; c < chunks; c++) {
            const size_t lo = c * b->chunk, hi = lo + b->chunk < loop->trips ? lo + b->chunk : loop->trips;
            for (uint32_t j = 0; j < b->n_bridges; j++)
                if (!rgi_rows_of_step(
                        p, s, b->bridges[j], (int64_t)loop->trips, (int64_t)(loop->reverse ? loop->trips - hi : lo),
                        (int64_t)(loop->reverse ? loop->trips - lo : hi), &b->parts[c * b->n_bridges + j], cannot))
                    return *cannot;
        }
    }
    return true;
}

void rgi_branches_forget(rgi_special *s, const rgi_section *x)
{
    for (size_t i = x->begin; x->n > 1 && i < x->end; i++) {
        s->steps[i].branch = AFTER;
        s->steps[i].bridge = false;
    }
}
