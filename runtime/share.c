/* share.c - who does what and where threads meet. A step is shared out among all threads, or is done whole by one of
   them, its lane; of a loop whose rows do not need each other (rows.c) every thread does some rows, from the first step
   to the last. Independent steps too small to be shared out go to different lanes: gates, towers, directions. Between
   two meetings no thread touches what another one writes. Nothing here changes a bit of any result: only who computes
   it and when. */
#include "rows.h"
#include "share.h"

#include <math.h>
#include <string.h>

#define RGI_ALL UINT32_MAX        /* in place of a lane: shared out */
#define RGI_SEVERAL (RGI_ALL - 1) /* some lanes */
#define RGI_NOBODY (RGI_ALL - 2)
#define RGI_LANES 256     /* threads whose loads are told apart */
#define RGI_START_NS 1000 /* what it costs to wake the team and to send it to sleep again */
#define RGI_GAIN 0.9      /* of the time on one thread: more than that is not worth a team */
#define RGI_AGAIN 0.75    /* of the time for reading something that is saved where it is near */
#define RGI_ROWS_LEAST 4  /* rows in a piece of a loop */
#define RGI_NEAR \
    ((size_t)1024 * 1024) /* bytes that each thread may read anew in every step: they stay in its own cache */

typedef struct touched {
    uint32_t wrote_at, read_at; /* the interval of the last access ... */
    uint32_t writer, reader;    /* ... and whose it was */
} touched;

typedef struct sharing {
    const rg_plan *p;
    const rgi_program *prog;
    rgi_special *s;
    const rg_machine *machine;
    touched *at;         /* by owner of memory */
    touched failing;     /* "read" by what may fail, before parameters are written */
    bool *parallel_loop; /* a step in it is shared out */
    uint32_t *interval;
    bool *shared;
    uint32_t now, lanes;
    double load[RGI_LANES], common, trips; /* of this interval: nanoseconds of each lane; of what is shared out */
    double together;                       /* of the intervals before: the longest lane of each, and the meetings */
    size_t begin;                          /* of this interval */
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
    return e->flops * h->machine->flop_ns + e->traffic * h->machine->byte_ns;
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
static uint32_t rivals_of(const sharing *h, const rgi_item *item)
{
    uint32_t who = RGI_NOBODY;
    rgi_cursor c = {0, 0};
    for (int32_t v; (v = rgi_next_read(h->prog, item, &c)) != RGI_NONE;) {
        const touched *o = &h->at[rgi_owner(h->prog, v)];
        who = o->wrote_at == h->now ? joined(who, o->writer) : who;
    }
    c = (rgi_cursor){0, 0};
    for (int32_t v; (v = rgi_next_write(h->prog, item, &c)) != RGI_NONE;) {
        const touched *o = &h->at[rgi_owner(h->prog, v)];
        who = o->wrote_at == h->now ? joined(who, o->writer) : who;
        who = o->read_at == h->now ? joined(who, o->reader) : who;
        const bool stores = h->prog->values[rgi_owner(h->prog, v)].place == RGI_STORE;
        who = stores && h->failing.read_at == h->now ? joined(who, h->failing.reader) : who;
    }
    return who == RGI_ALL ? RGI_SEVERAL : who;
}

static void note(sharing *h, const rgi_item *item, uint32_t who)
{
    if (item->may_fail) {
        h->failing.reader = h->failing.read_at == h->now ? joined(h->failing.reader, who) : who;
        h->failing.read_at = h->now;
    }
    rgi_cursor c = {0, 0};
    for (int32_t v; (v = rgi_next_read(h->prog, item, &c)) != RGI_NONE;) {
        touched *o = &h->at[rgi_owner(h->prog, v)];
        o->reader = o->read_at == h->now ? joined(o->reader, who) : who;
        o->read_at = h->now;
    }
    c = (rgi_cursor){0, 0};
    for (int32_t v; (v = rgi_next_write(h->prog, item, &c)) != RGI_NONE;) {
        touched *o = &h->at[rgi_owner(h->prog, v)];
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
            if (h->s->steps[i].parallel && is_work(&h->s->steps[i]))
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
            who = joined(who, rivals_of(h, &h->prog->items[i]));
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
            note(h, &h->prog->items[i], lane);
        if (!is_work(e))
            continue;
        note(h, &h->prog->items[i], lane);
        h->load[lane] += 1 + nanoseconds(h, e) * rgi_step_calls(h->prog, h->s, i);
    }
    for (uint32_t k = 0; k < h->lanes; k++)
        h->shared[h->now] = h->shared[h->now] || (k != lane && h->load[k] > 0);
}

/* Whether a step that could be shared out is done by one lane while another, which has more to do, does not wait for
   it: the product in front of the loop of a second direction beside the loop of the first. */
static bool fits_beside(const sharing *h, size_t i)
{
    const uint32_t who = rivals_of(h, &h->prog->items[i]);
    double most = 0, least = INFINITY;
    for (uint32_t k = 0; k < h->lanes; k++) {
        most = h->load[k] > most ? h->load[k] : most;
        least = h->load[k] < least && (who == RGI_NOBODY || who == k) ? h->load[k] : least;
    }
    return h->prog->items[i].loop == RGI_NONE && h->common == 0 && least + nanoseconds(h, &h->s->steps[i]) < most;
}

static void share_step(sharing *h, size_t i)
{
    rgi_exec *e = &h->s->steps[i];
    h->trips = rgi_step_calls(h->prog, h->s, i);
    if (!is_work(e) || e->kind == RGI_TEST) { /* every thread goes round a loop in which steps are shared out */
        e->parallel = true;
        meet_before(h, i);
        if (h->prog->items[i].from != RGI_NONE) { /* what all look at stays until they meet again */
            note(h, &h->prog->items[i], RGI_ALL);
            h->shared[h->now] = true;
        }
    } else if (e->parallel) {
        if (rivals_of(h, &h->prog->items[i]) != RGI_NOBODY)
            meet_before(h, i);
        note(h, &h->prog->items[i], RGI_ALL);
        h->common += nanoseconds(h, e) * h->trips;
        h->shared[h->now] = true;
        for (uint32_t k = 1; k < RG_MAX_PHASES && e->tasks[k]; k++)
            h->together += h->machine->meeting_ns * h->trips;
    }
    h->interval[i] = h->now;
}

/* Nanoseconds that a step takes less than it seems to: what a loop reads in every step anew, as weights, is near by
   then. */
static double read_again(const sharing *h, size_t i)
{
    const rgi_item *item = &h->prog->items[i];
    double bytes = 0;
    if (item->kind != RGI_RUN || item->loop == RGI_NONE)
        return 0;
    const rgi_use *use = &h->prog->uses[item->first];
    for (uint32_t k = 0; k < use->n_in; k++) {
        int32_t v = use->in[k];
        const size_t size = v == RGI_NONE ? 0 : rgi_bytes(h->prog, h->s, v);
        while (v != RGI_NONE && h->prog->values[v].loop != item->loop && h->prog->values[v].step_loop != item->loop &&
               h->prog->values[v].part_of != RGI_NONE)
            v = h->prog->values[v].part_of;
        const bool stays =
            v != RGI_NONE && h->prog->values[v].loop != item->loop && h->prog->values[v].step_loop != item->loop;
        bytes += stays && size <= RGI_NEAR ? (double)size : 0;
    }
    return RGI_AGAIN * bytes * h->machine->byte_ns;
}

/* Which steps are worth sharing out, and which loops hold one. Returns what all takes on one thread. */
static double find_parallel(sharing *h)
{
    double alone = 0;
    for (size_t i = 0; i < h->s->n_steps; i++) {
        rgi_exec *e = &h->s->steps[i];
        const bool may = e->kind == RGI_RUN || e->kind == RGI_FUSED || e->kind == RGI_PACK;
        alone += nanoseconds(h, e) * rgi_step_calls(h->prog, h->s, i);
        e->parallel =
            may && h->lanes > 1 && rgi_most_tasks(e) > 1 && nanoseconds(h, e) - read_again(h, i) > h->machine->share_ns;
        for (int32_t l = h->prog->items[i].loop; e->parallel && l != RGI_NONE; l = h->prog->loops[l].parent)
            h->parallel_loop[l] = true;
    }
    return alone;
}

/* Nanoseconds of a loop: on one thread; with its steps shared out one by one; in pieces of its rows. */
typedef struct prices {
    double alone, stepwise, by_rows;
} prices;

static prices prices_of(const sharing *h, const rgi_loop *loop, const rgi_rows *rows, size_t pieces)
{
    const double calls = rgi_step_calls(h->prog, h->s, loop->begin);
    prices x = {0, 0, 0};
    for (size_t i = loop->begin + 1; i < loop->end; i++) {
        const rgi_exec *e = &h->s->steps[i];
        const double ns = nanoseconds(h, e) * calls;
        const size_t tasks = rgi_most_tasks(e), lanes = tasks < h->lanes ? tasks : h->lanes;
        x.alone += ns;
        x.stepwise += e->parallel ? ns / (double)lanes + h->machine->meeting_ns * calls : ns;
    }
    x.by_rows = x.alone / (double)pieces;
    if (rows->whole > RGI_NEAR)
        x.by_rows += (double)rows->whole * (1 - 1 / (double)pieces) * h->machine->byte_ns * calls;
    return x;
}

/* Which loops are cut by rows. */
static bool find_rows(sharing *h, rgi_arena *temporary)
{
    size_t *const elements = h->prog->n_loops ? rgi_arena_alloc(temporary, h->prog->n_values * sizeof *elements) : NULL;
    if (h->prog->n_loops && !elements)
        return false;
    for (size_t k = 0; k < h->prog->n_loops; k++) {
        const rgi_loop *loop = &h->prog->loops[k];
        rgi_exec *begin = &h->s->steps[loop->begin];
        rgi_rows *rows, found;
        if (begin->trips == 0 || !rgi_rows_find(h->p, h->s, (int32_t)k, elements, &found))
            continue;
        const size_t most = (size_t)found.batch / RGI_ROWS_LEAST, pieces = most < h->lanes ? most : h->lanes;
        if (pieces < 2)
            continue;
        const prices x = prices_of(h, loop, &found, pieces);
        const double entries = rgi_step_calls(h->prog, h->s, loop->begin) / (double)begin->trips;
        if (x.by_rows >= x.stepwise || x.alone - x.by_rows < h->machine->share_ns * entries)
            continue;
        rows = rgi_arena_alloc(&h->s->arena, sizeof *rows);
        if (!rows || !rgi_rows_cut(h->p, h->s, (int32_t)k, pieces, &found))
            return false;
        *rows = found;
        begin->rows = rows;
        for (size_t i = loop->begin + 1; i < loop->end; i++)
            h->s->steps[i].parallel = false;
        for (int32_t l = (int32_t)k; l != RGI_NONE; l = h->prog->loops[l].parent)
            h->parallel_loop[l] = true;
    }
    return true;
}

/* The steps [first, end) of a loop that is cut by rows: all threads, without a meeting. */
static void give_rows(sharing *h, size_t first, size_t end)
{
    const rgi_rows *rows = h->s->steps[first].rows;
    bool meets = false;
    for (size_t i = first; i < end && !meets; i++)
        meets = is_work(&h->s->steps[i]) && rivals_of(h, &h->prog->items[i]) != RGI_NOBODY;
    h->trips = rgi_step_calls(h->prog, h->s, first) / (double)h->s->steps[first].trips;
    if (meets)
        meet_before(h, first);
    for (size_t i = first; i < end; i++) {
        h->interval[i] = h->now;
        if (!is_work(&h->s->steps[i]))
            continue;
        note(h, &h->prog->items[i], RGI_ALL);
        h->common +=
            nanoseconds(h, &h->s->steps[i]) * rgi_step_calls(h->prog, h->s, i) * h->lanes / (double)rows->pieces;
    }
    h->shared[h->now] = true;
}

/* All on one thread: no meetings. */
static void stay_alone(sharing *h)
{
    h->s->parallel = false;
    for (size_t i = 0; i < h->s->n_steps; i++) {
        rgi_exec *e = &h->s->steps[i];
        e->parallel = e->barrier = false;
        e->rows = NULL;
        e->lane = 0;
        e->cut = NULL;
        h->interval[i] = 1;
    }
    memset(h->shared, 0, h->s->n_steps + 2);
}

bool rgi_share(rg_plan *p, rgi_special *s, uint32_t *interval, bool *shared)
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
                 .lanes = prog->opts.threads > RGI_LANES ? RGI_LANES : (uint32_t)prog->opts.threads};
    if (!h.at || !h.parallel_loop)
        return false;
    const double alone = s->nanoseconds = find_parallel(&h);
    if (h.lanes == 1 || alone < h.machine->share_ns) {
        stay_alone(&h);
        return true;
    }
    s->parallel = true;
    h.failed = !find_rows(&h, &p->temporary);
    for (size_t i = 0; i < s->n_steps; i++) {
        const rgi_item *item = &prog->items[i];
        if (item->kind == RGI_LOOP && (s->steps[i].rows || !h.parallel_loop[item->loop])) {
            const size_t end = (size_t)prog->loops[item->loop].end + 1;
            (s->steps[i].rows ? give_rows : give_to_lane)(&h, i, end);
            i = end - 1;
        } else if (!is_work(&s->steps[i]) || item->kind == RGI_TEST || (s->steps[i].parallel && !fits_beside(&h, i))) {
            share_step(&h, i);
        } else {
            s->steps[i].parallel = false;
            h.trips = rgi_step_calls(prog, s, i);
            give_to_lane(&h, i, i + 1);
        }
    }
    even_out(&h, s->n_steps);
    if (h.together + RGI_START_NS > RGI_GAIN * alone)
        stay_alone(&h);
    return !h.failed;
}
