/* share.c - who does what and where threads meet. A step is shared out among all threads, or is done whole by one of
   them, its lane; of a loop whose rows do not need each other (rows.c) every thread does some rows, from the first step
   to the last. Independent steps too small to be shared out go to different lanes: gates, towers, directions. Between
   two meetings no thread touches what another one writes. Nothing here changes a bit of any result: only who computes
   it and when. */
#include "branches.h"
#include "prices.h"
#include "rows.h"
#include "share.h"

#include <math.h>
#include <string.h>

#define RGI_ALL UINT32_MAX        /* in place of a lane: shared out */
#define RGI_SEVERAL (RGI_ALL - 1) /* some lanes */
#define RGI_NOBODY (RGI_ALL - 2)
#define RGI_LANES 256     /* threads whose loads are told apart */
#define RGI_START_NS 1000 /* what it costs to wake the team and to send it to sleep again */
/* Of the time on one thread: more than that is not worth a team, for what one thread makes comes late to another. */
#define RGI_WORTH 0.85
#define RGI_TRIED_NS 1e6 /* what is taken to last longer on one thread is not tried there */

typedef struct touched {
    uint32_t wrote_at, read_at; /* the interval of the last access ... */
    uint32_t writer, reader;    /* ... and whose it was */
} touched;

typedef struct sharing {
    const rg_plan *p;
    const rgi_program *prog;
    rgi_special *s;
    const rg_machine *machine;
    rgi_touches touches;
    touched *at;         /* by owner of memory */
    touched failing;     /* "read" by what may fail, before parameters are written */
    bool *parallel_loop; /* a step in it is shared out */
    uint32_t *interval;
    bool *shared;
    uint32_t now, lanes;
    double load[RGI_LANES], common, trips; /* of this interval: nanoseconds of each lane; of what is shared out */
    double together;                       /* of the intervals before: the longest lane of each, and the meetings */
    size_t begin;                          /* of this interval */
    uint32_t branch;                       /* of a section, that is being given: its number; or 0 */
    bool failed;
} sharing;

double rgi_step_calls(const rgi_program *prog, const rgi_special *s, size_t step)
{
    double calls = 1;
    for (int32_t l = prog->items[step].loop; l != RGI_NONE; l = prog->loops[l].parent)
        calls *= prog->loops[l].as == RGI_AGAIN ? (double)s->steps[prog->loops[l].begin].trips
                                                : (double)s->shapes[prog->loops[l].length].dim[0];
    return calls;
}

static double nanoseconds(const sharing *h, const rgi_exec *e)
{
    return rgi_step_ns(h->prog, e);
}

static bool is_work(const rgi_exec *e)
{
    return e->kind != RGI_LOOP && e->kind != RGI_NEXT;
}

/* A loop that is told how many steps to do reads that. */
static bool is_told(const rgi_item *item)
{
    return item->kind == RGI_LOOP && item->from != RGI_NONE;
}

/* One more who wants it. */
static uint32_t joined(uint32_t who, uint32_t more)
{
    return who == RGI_NOBODY || who == more ? more : more == RGI_NOBODY ? who : RGI_SEVERAL;
}

/* On whom an item depends that has not been met since: nobody, one lane, or several. */
static uint32_t rivals_of(const sharing *h, size_t i)
{
    const rgi_touched *t = &h->touches.at[i];
    uint32_t who = RGI_NOBODY;
    for (uint32_t k = t->reads; k < t->writes; k++) {
        const touched *o = &h->at[h->touches.owners[k]];
        who = o->wrote_at == h->now ? joined(who, o->writer) : who;
    }
    for (uint32_t k = t->writes; k < t[1].reads; k++) {
        const int32_t v = h->touches.owners[k];
        const touched *o = &h->at[v];
        who = o->wrote_at == h->now ? joined(who, o->writer) : who;
        who = o->read_at == h->now ? joined(who, o->reader) : who;
        const bool stores = h->failing.read_at == h->now && h->prog->values[v].place == RGI_STORE;
        who = stores ? joined(who, h->failing.reader) : who;
    }
    return who == RGI_ALL ? RGI_SEVERAL : who;
}

static void note(sharing *h, size_t i, uint32_t who)
{
    const rgi_touched *t = &h->touches.at[i];
    if (h->prog->items[i].may_fail) {
        h->failing.reader = h->failing.read_at == h->now ? joined(h->failing.reader, who) : who;
        h->failing.read_at = h->now;
    }
    for (uint32_t k = t->reads; k < t->writes; k++) {
        touched *o = &h->at[h->touches.owners[k]];
        o->reader = o->read_at == h->now ? joined(o->reader, who) : who;
        o->read_at = h->now;
    }
    for (uint32_t k = t->writes; k < t[1].reads; k++) {
        touched *o = &h->at[h->touches.owners[k]];
        o->writer = o->wrote_at == h->now ? joined(o->writer, who) : who;
        o->wrote_at = h->now;
    }
}

/* The tasks of what is shared out in an interval are cut so that all lanes end together. */
static void even_out(sharing *h, size_t end)
{
    double most = 0, total = h->common, room = 0;
    for (uint32_t k = 0; k < h->lanes; k++) {
        total += h->load[k];
        most = h->load[k] > most ? h->load[k] : most;
    }
    h->together += most > total / h->lanes ? most : total / h->lanes;
    for (uint32_t k = 0; k < h->lanes; k++)
        room += total / h->lanes > h->load[k] ? total / h->lanes - h->load[k] : 0;
    if (h->common > 0 && room > 0 && most > 0.02 * total / h->lanes) {
        double *cut = rgi_arena_alloc(&h->s->arena, (h->lanes + 1) * sizeof *cut), sum = 0;
        h->failed = h->failed || !cut;
        for (uint32_t k = 0; cut && k < h->lanes; k++) {
            sum += total / h->lanes > h->load[k] ? total / h->lanes - h->load[k] : 0;
            cut[k + 1] = k + 1 == h->lanes ? 1 : sum / room;
        }
        for (size_t i = h->begin; i < end; i++)
            if (h->s->steps[i].branch == h->branch && h->s->steps[i].parallel && is_work(&h->s->steps[i]))
                h->s->steps[i].cut = cut;
    }
    memset(h->load, 0, h->lanes * sizeof *h->load);
    h->common = 0;
    h->begin = end;
}

static void meet_before(sharing *h, size_t i)
{
    even_out(h, i);
    h->s->steps[i].barrier = true;
    h->together += h->machine->meeting_ns * h->trips;
    h->now++;
}

/* The lane that does the steps [first, end) of one thread, after a meeting if there must be one. */
static uint32_t choose_lane(sharing *h, size_t first, size_t end)
{
    uint32_t who = RGI_NOBODY, least = 0;
    for (size_t i = first; i < end; i++)
        if (is_work(&h->s->steps[i]) || is_told(&h->prog->items[i]))
            who = joined(who, rivals_of(h, i));
    if (who == RGI_SEVERAL)
        meet_before(h, first);
    else if (who != RGI_NOBODY)
        return who;
    for (uint32_t k = 1; k < h->lanes; k++)
        least = h->load[k] < h->load[least] ? k : least;
    return least;
}

/* Steps of one lane, one after the other: a single one, or a loop in which nothing is shared out. */
static void give_to_lane(sharing *h, size_t first, size_t end)
{
    const uint32_t lane = choose_lane(h, first, end);
    for (size_t i = first; i < end; i++) {
        rgi_exec *e = &h->s->steps[i];
        e->lane = lane;
        h->interval[i] = h->now;
        if (is_told(&h->prog->items[i]))
            note(h, i, lane);
        if (!is_work(e))
            continue;
        note(h, i, lane);
        h->load[lane] += 1 + nanoseconds(h, e) * rgi_step_calls(h->prog, h->s, i);
    }
    for (uint32_t k = 0; k < h->lanes; k++)
        h->shared[h->now] = h->shared[h->now] || (k != lane && h->load[k] > 0);
}

/* Whether a step that could be shared out is done by one lane while another, which has more to do, does not wait for
   it: the product in front of the loop of a second direction beside the loop of the first. */
static bool fits_beside(const sharing *h, size_t i)
{
    const uint32_t who = rivals_of(h, i);
    double most = 0, least = INFINITY;
    for (uint32_t k = 0; k < h->lanes; k++) {
        most = h->load[k] > most ? h->load[k] : most;
        least = h->load[k] < least && (who == RGI_NOBODY || who == k) ? h->load[k] : least;
    }
    return h->prog->items[i].loop == RGI_NONE && h->common == 0 && least + nanoseconds(h, &h->s->steps[i]) < most;
}

/* Whether threads must meet before the steps of a chain: what they need of each other, each thread does itself. */
static bool chain_waits(const sharing *h, size_t i)
{
    bool waits = rivals_of(h, i) != RGI_NOBODY;
    for (size_t j = i + 1; !waits && j < i + h->s->steps[i].chain; j++)
        waits = rivals_of(h, j) != RGI_NOBODY;
    return waits;
}

static void share_step(sharing *h, size_t i)
{
    rgi_exec *e = &h->s->steps[i];
    h->trips = rgi_step_calls(h->prog, h->s, i);
    if (!is_work(e) || e->kind == RGI_TEST) { /* every thread goes round a loop in which steps are shared out */
        e->parallel = true;
        meet_before(h, i);
        if (h->prog->items[i].from != RGI_NONE) { /* what all look at stays until they meet again */
            note(h, i, RGI_ALL);
            h->shared[h->now] = true;
        }
    } else if (e->parallel) {
        if (!e->linked && chain_waits(h, i))
            meet_before(h, i);
        note(h, i, RGI_ALL);
        h->common += nanoseconds(h, e) * h->trips;
        h->shared[h->now] = true;
        for (uint32_t k = 1; k < RG_MAX_PHASES && e->tasks[k]; k++)
            h->together += h->machine->meeting_ns * h->trips;
    }
    h->interval[i] = h->now;
}

/* Which steps are worth sharing out. Returns what all takes on one thread. */
static double find_parallel(sharing *h)
{
    double alone = 0;
    for (size_t i = 0; i < h->s->n_steps; i++) {
        rgi_exec *e = &h->s->steps[i];
        const bool may = is_work(e) && e->kind != RGI_INDEX && e->kind != RGI_TEST;
        alone += nanoseconds(h, e) * rgi_step_calls(h->prog, h->s, i);
        e->parallel = may && h->lanes > 1 && rgi_most_tasks(e) > 1 &&
                      nanoseconds(h, e) - rgi_read_again(h->p, h->s, i, 1) > h->machine->share_ns;
    }
    return alone;
}

static bool has_inner_loop(const sharing *h, const rgi_loop *loop)
{
    for (size_t i = loop->begin + 1; i < loop->end; i++)
        if (h->prog->items[i].kind == RGI_LOOP)
            return true;
    return false;
}

/* A loop whose steps would be shared out one by one stays on one thread if it is over sooner so. */
static void find_alone(const sharing *h, int32_t number, uint32_t lanes)
{
    const rgi_loop *loop = &h->prog->loops[number];
    const rgi_prices x = rgi_loop_times(h->p, h->s, number, NULL, lanes);
    for (size_t i = loop->begin + 1; RGI_GAIN * x.alone <= x.stepwise && !has_inner_loop(h, loop) && i < loop->end; i++)
        h->s->steps[i].parallel = false;
}

/* Which loops are cut by rows, and which of the others are shared out. */
static bool find_rows(sharing *h, const rgi_cuts *cuts)
{
    for (size_t k = 0; k < h->prog->n_loops; k++) {
        const rgi_loop *loop = &h->prog->loops[k];
        rgi_exec *begin = &h->s->steps[loop->begin];
        const rgi_branch *b = rgi_branch_of(h->s, loop->begin);
        const uint32_t lanes = b ? b->threads : h->lanes;
        rgi_rows *rows, found;
        bool cannot = (b && b->chunk) || !rgi_rows_worth(h->p, h->s, (int32_t)k, lanes, cuts, &found);
        if (!cannot && !rgi_rows_cut(h->p, h->s, (int32_t)k, found.pieces, &found, &cannot) && !cannot)
            return false;
        if (cannot) {
            find_alone(h, (int32_t)k, lanes);
            continue;
        }
        rows = rgi_arena_alloc(&h->s->arena, sizeof *rows);
        if (!rows)
            return false;
        *rows = found;
        begin->rows = rows;
        for (size_t i = loop->begin + 1; i < loop->end; i++)
            h->s->steps[i].parallel = false;
    }
    return true;
}

/* Cuts the steps of a chain into as many tasks as there are rows. */
static void cut_chain(const sharing *h, size_t first, size_t n, size_t rows)
{
    h->s->steps[first].chain = (uint32_t)n;
    for (size_t i = first; i < first + n; i++) {
        rgi_exec *e = &h->s->steps[i];
        e->linked = i > first;
        e->tasks[0] = rows;
        e->part = (e->group ? e->group->elements : e->bytes) / rows;
    }
}

/* Steps of loops that go one after the other without meetings, where that is over sooner than cut finer with them. */
static void find_chains(const sharing *h, const rgi_cuts *cuts)
{
    for (size_t k = 0; k < h->prog->n_loops; k++) {
        const rgi_loop *loop = &h->prog->loops[k];
        const rgi_branch *b = rgi_branch_of(h->s, loop->begin);
        const uint32_t lanes = b ? b->threads : h->lanes;
        int64_t rows = 0;
        for (size_t i = loop->begin + 1, n; i < loop->end; i += n ? n : 1) {
            n = h->s->steps[i].parallel && h->prog->items[i].loop == (int32_t)k
                    ? rgi_rows_chain(h->p, h->s, i, loop->end, cuts->touched, &rows)
                    : 0;
            double apart = 0, chained = 0;
            for (size_t j = i; j < i + n; j++) {
                const rgi_exec *e = &h->s->steps[j];
                const double most = (double)(e->tasks[0] < lanes ? e->tasks[0] : lanes);
                apart += nanoseconds(h, e) / most + (j > i && e->kind != RGI_COPY ? h->machine->meeting_ns : 0);
                chained += nanoseconds(h, e) / (double)(rows < (int64_t)lanes ? rows : (int64_t)lanes);
            }
            if (n > 1 && chained < apart)
                cut_chain(h, i, n, (size_t)rows);
        }
    }
}

/* Which loops hold something that several threads do. */
static void find_parallel_loops(sharing *h)
{
    for (size_t i = 0; i < h->s->n_steps; i++) {
        const rgi_exec *e = &h->s->steps[i];
        for (int32_t l = h->prog->items[i].loop; (e->parallel || e->rows) && l != RGI_NONE;
             l = h->prog->loops[l].parent)
            h->parallel_loop[l] = true;
    }
}

/* The steps [first, end) of a loop that is cut by rows: all threads, without a meeting. */
static void give_rows(sharing *h, size_t first, size_t end)
{
    const rgi_rows *rows = h->s->steps[first].rows;
    bool meets = false;
    for (size_t i = first; i < end && !meets; i++)
        meets = is_work(&h->s->steps[i]) && rivals_of(h, i) != RGI_NOBODY;
    h->trips = rgi_step_calls(h->prog, h->s, first) / (double)h->s->steps[first].trips;
    if (meets)
        meet_before(h, first);
    for (size_t i = first; i < end; i++) {
        h->interval[i] = h->now;
        if (!is_work(&h->s->steps[i]))
            continue;
        note(h, i, RGI_ALL);
        h->common +=
            nanoseconds(h, &h->s->steps[i]) * rgi_step_calls(h->prog, h->s, i) * h->lanes / (double)rows->pieces;
    }
    h->shared[h->now] = true;
}

/* Step i and, of a loop, all its steps; returns the next one. */
static size_t give(sharing *h, size_t i)
{
    const rgi_item *item = &h->prog->items[i];
    rgi_exec *e = &h->s->steps[i];
    if (item->kind == RGI_LOOP && (e->rows || !h->parallel_loop[item->loop])) {
        const size_t end = (size_t)h->prog->loops[item->loop].end + 1;
        (e->rows ? give_rows : give_to_lane)(h, i, end);
        return end;
    }
    if (!is_work(e) || item->kind == RGI_TEST || (e->parallel && !fits_beside(h, i))) {
        share_step(h, i);
    } else {
        e->parallel = false;
        h->trips = rgi_step_calls(h->prog, h->s, i);
        give_to_lane(h, i, i + 1);
    }
    return i + 1;
}

/* What of a section has this number. */
static void give_branch(sharing *h, const rgi_section *x, uint32_t number)
{
    for (size_t i = x->begin; i < x->end;) {
        const rgi_exec *e = &h->s->steps[i];
        if (e->branch == number && !e->bridge)
            i = give(h, i);
        else
            i = e->kind == RGI_LOOP ? e->jump : i + 1;
    }
}

/* The steps of a section where its branches are not done side by side, since there are fewer threads than the plan is
   for: one branch after the other, and all meet between them. */
static void part_branches(const rgi_special *s, const rgi_section *x)
{
    for (size_t i = x->begin; i < x->end;) {
        rgi_exec *e = &s->steps[i];
        const rgi_branch *b = e->branch ? &x->branches[e->branch - 1] : NULL;
        e->barrier = e->barrier || i == x->begin || e->bridge || e->branch != s->steps[i - 1].branch ||
                     (b && b->loop == i && b->n_bridges);
        e->lane = b && e->bridge ? s->steps[b->loop].lane : e->lane;
        i = e->kind == RGI_LOOP ? e->jump : i + 1;
    }
}

/* Branches by their threads, and then what is of none by all. For memory it is one interval: nothing is said about what
   of one branch comes before what of another. */
static void give_section(sharing *h, const rgi_section *x)
{
    const uint32_t lanes = h->lanes;
    double longest = 0;
    h->trips = 1;
    meet_before(h, x->begin);
    const double before = h->together;
    for (uint32_t k = 0; k < x->n; k++) {
        h->branch = k + 1;
        h->begin = x->begin;
        h->together = 0;
        h->lanes = x->branches[k].threads;
        h->now++;
        give_branch(h, x, k + 1);
        even_out(h, x->end);
        longest = h->together > longest ? h->together : longest;
    }
    h->branch = 0;
    h->begin = x->begin;
    h->lanes = lanes;
    h->together = before + longest + h->machine->meeting_ns;
    h->trips = 1;
    h->now++;
    give_branch(h, x, 0);
    part_branches(h->s, x);
    for (size_t i = x->begin; i < x->end; i++)
        h->interval[i] = h->now;
    h->shared[h->now] = true;
    h->trips = 1;
    if (x->end < h->s->n_steps)
        meet_before(h, x->end);
}

/* All on one thread: no meetings. */
static void stay_alone(sharing *h)
{
    h->s->parallel = false;
    h->s->sections = NULL;
    for (size_t i = 0; i < h->s->n_steps; i++) {
        rgi_exec *e = &h->s->steps[i];
        e->parallel = e->barrier = e->bridge = e->linked = false;
        e->chain = 0;
        e->rows = NULL;
        e->section = NULL;
        e->branch = 0;
        e->lane = 0;
        e->cut = NULL;
        h->interval[i] = 1;
    }
    memset(h->shared, 0, h->s->n_steps + 2 + 8 * h->prog->n_loops);
}

bool rgi_share(rg_plan *p, rgi_special *s, bool apart, uint32_t *interval, bool *shared)
{
    const rgi_program *prog = p->program;
    sharing h = {.p = p,
                 .prog = prog,
                 .s = s,
                 .machine = &prog->machine,
                 .at = rgi_arena_alloc(&p->temporary, (prog->n_values + 1) * sizeof(touched)),
                 .parallel_loop = rgi_arena_alloc(&p->temporary, prog->n_loops + 1),
                 .interval = interval,
                 .shared = shared,
                 .now = 1,
                 .lanes = s->threads > RGI_LANES ? RGI_LANES : (uint32_t)s->threads};
    if (!h.at || !h.parallel_loop)
        return false;
    const double alone = s->nanoseconds = find_parallel(&h);
    if (h.lanes == 1 || alone < h.machine->share_ns) {
        stay_alone(&h);
        return true;
    }
    const bool own = prog != p->base; /* what lasts as long as the plan is made once */
    rgi_touches *const touches = own ? &h.touches : &p->touches;
    if (!touches->at && !rgi_touches_find(prog, own ? &p->temporary : &p->arena, &p->temporary, touches))
        return false;
    h.touches = *touches;
    s->parallel = true;
    s->team = h.lanes;
    rgi_cuts cuts;
    if (prog->n_loops &&
        (!rgi_cuts_make(p, &cuts) || (!apart && !rgi_sections_find(p, s, h.lanes, &cuts)) || !find_rows(&h, &cuts)))
        return false;
    if (prog->n_loops)
        find_chains(&h, &cuts);
    find_parallel_loops(&h);
    for (size_t i = 0; i < s->n_steps;) {
        const rgi_section *x = s->steps[i].section;
        if (x)
            give_section(&h, x);
        i = x ? x->end : give(&h, i);
    }
    even_out(&h, s->n_steps);
    if (h.together + RGI_START_NS > RGI_WORTH * alone)
        stay_alone(&h);
    s->tried = s->parallel && !prog->priced && alone < RGI_TRIED_NS;
    s->trial.work = alone;
    return !h.failed;
}
