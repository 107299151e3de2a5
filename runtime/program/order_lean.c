/* order_lean.c - an order of units that keeps fewer bytes alive: of those that may come next the one after which least
   is alive, by sizes as they are (where names stand for them, as their stand-ins are). It takes the place of the order
   in which the graph was built where its peak is clearly lower. Only the order of independent units changes, and with
   it no bit. */
#include "order.h"

#include <string.h>

#define RGI_LEAN_UNITS 1000 /* looking at all that may come next is quadratic in what is independent */
#define RGI_LEAN_GAIN 0.98  /* of the peak: what is closer than that is left as it was written */

typedef struct lean {
    const rgi_edges *e;
    size_t n;
    double *bytes;                 /* by owner of memory in the slab, made in this block; else 0 */
    bool *begun;                   /* by owner: it is there, or a part of it */
    uint32_t *readers;             /* units that still have to read it; fetched: one more */
    uint32_t *reads_first, *reads; /* by unit: what it reads, each once */
    uint32_t *makes_first, *makes; /* by unit: what it makes, or a part of it, each once */
    uint32_t *noted_by;            /* by value: 1 + the unit that was noted last as its reader */
    size_t n_reads, reads_capacity, n_makes, makes_capacity;
} lean;

/* Notes that a unit reads a value, if that is made here. */
static bool note_read(lean *k, int32_t value, uint32_t at)
{
    const rgi_program *p = k->e->l->p;
    const int32_t owner = value == RGI_NONE ? RGI_NONE : rgi_owner(p, value);
    if (owner == RGI_NONE || !k->bytes[owner] || k->noted_by[owner] == at + 1 ||
        rgi_made_at(k->e, owner) == (int32_t)at)
        return true;
    k->noted_by[owner] = at + 1;
    k->readers[owner]++;
    const uint32_t o = (uint32_t)owner;
    return rgi_push(&k->e->l->temporary, (void **)&k->reads, &k->n_reads, &k->reads_capacity, sizeof o, &o);
}

static bool note_unit(lean *k, uint32_t at)
{
    const rgi_lowering *l = k->e->l;
    const rgi_unit *u = &l->units[k->e->b->units[at]];
    k->reads_first[at] = (uint32_t)k->n_reads;
    bool ok = note_read(k, u->from, at);

    for (size_t j = 0; j < u->n_uses; j++)
        for (uint32_t i = 0; ok && i < u->uses[j].n_in; i++)
            ok = note_read(k, u->uses[j].in[i], at);
    for (size_t j = 0; ok && j < u->n_body; j++) {
        rgi_cursor c = {0, 0};
        for (int32_t v; ok && (v = rgi_next_read(l->p, &u->body[j], &c)) != RGI_NONE;)
            ok = note_read(k, v, at);
    }
    return ok;
}

/* What units make. A join that is made where it has its inputs is there as soon as the first of them. */
static bool list_made(lean *k)
{
    const rgi_program *p = k->e->l->p;
    const uint32_t none = (uint32_t)p->n_values;
    uint32_t *first = rgi_arena_alloc(&k->e->l->temporary, (k->n + 1) * sizeof *first),
             *next = rgi_arena_alloc(&k->e->l->temporary, (p->n_values + 1) * sizeof *next);
    if (!first || !next)
        return false;
    for (size_t i = 0; i < k->n; i++)
        first[i] = none;
    for (uint32_t v = none; v-- > 0;) {
        const int32_t at = rgi_made_at(k->e, (int32_t)v);
        if (at == RGI_NONE)
            continue;
        next[v] = first[at];
        first[at] = v;
    }
    bool ok = true;
    for (uint32_t i = 0; i < k->n; i++) {
        k->makes_first[i] = (uint32_t)k->n_makes;
        for (uint32_t v = first[i]; ok && v != none; v = next[v]) {
            const uint32_t owner = (uint32_t)rgi_owner(p, (int32_t)v);
            bool listed = !k->bytes[owner];
            for (size_t j = k->makes_first[i]; j < k->n_makes && !listed; j++)
                listed = k->makes[j] == owner;
            ok = listed || rgi_push(&k->e->l->temporary, (void **)&k->makes, &k->n_makes, &k->makes_capacity,
                                    sizeof owner, &owner);
        }
    }
    k->makes_first[k->n] = (uint32_t)k->n_makes;
    return ok;
}

/* Sizes, makers and readers. False: out of memory. */
static bool prepare(lean *k)
{
    const rgi_program *p = k->e->l->p;
    rgi_arena *a = &k->e->l->temporary;
    k->bytes = rgi_arena_alloc(a, (p->n_values + 1) * sizeof *k->bytes);
    k->readers = rgi_arena_alloc(a, (p->n_values + 1) * sizeof *k->readers);
    k->noted_by = rgi_arena_alloc(a, (p->n_values + 1) * sizeof *k->noted_by);
    k->begun = rgi_arena_alloc(a, p->n_values + 1);
    k->makes_first = rgi_arena_alloc(a, (k->n + 1) * sizeof *k->makes_first);
    k->reads_first = rgi_arena_alloc(a, (k->n + 1) * sizeof *k->reads_first);
    if (!k->bytes || !k->readers || !k->noted_by || !k->begun || !k->makes_first || !k->reads_first)
        return false;
    for (size_t v = 0; v < p->n_values; v++) {
        const int32_t at = rgi_made_at(k->e, (int32_t)v);
        if (at != RGI_NONE && p->values[v].place == RGI_SLAB && p->values[v].part_of == RGI_NONE)
            k->bytes[v] = rgi_value_bytes(p, (int32_t)v);
    }
    if (!list_made(k))
        return false;
    for (uint32_t i = 0; i < k->n; i++)
        if (!note_unit(k, i))
            return false;
    k->reads_first[k->n] = (uint32_t)k->n_reads;
    for (size_t i = 0; i < p->n_fetches; i++)
        if (p->fetches[i].value != RGI_NONE && !(p->fetches[i].node->op->traits & RG_EFFECT))
            k->readers[rgi_owner(p, p->fetches[i].value)]++;
    return true;
}

/* Bytes that a unit makes and others read, and by how much it changes what is alive. */
static double change_of(const lean *k, const uint32_t *readers, uint32_t at, double *made)
{
    *made = 0;
    for (uint32_t i = k->makes_first[at]; i < k->makes_first[at + 1]; i++)
        *made += readers[k->makes[i]] && !k->begun[k->makes[i]] ? k->bytes[k->makes[i]] : 0;
    double change = *made;
    for (uint32_t i = k->reads_first[at]; i < k->reads_first[at + 1]; i++)
        change -= readers[k->reads[i]] == 1 ? k->bytes[k->reads[i]] : 0;
    return change;
}

/* Does a unit: what is alive then. What elementwise ops make may lie where what they read ends. */
static void do_unit(const lean *k, uint32_t *readers, uint32_t at, double *alive, double *peak)
{
    double made;
    const double change = change_of(k, readers, at, &made);
    const bool takes_over = k->e->l->units[k->e->b->units[at]].kind == RGI_FUSED;
    const double during = *alive + (takes_over ? change : made);
    *alive += change;
    *peak = during > *peak ? during : *peak;
    *peak = *alive > *peak ? *alive : *peak;
    for (uint32_t i = k->makes_first[at]; i < k->makes_first[at + 1]; i++)
        k->begun[k->makes[i]] = true;
    for (uint32_t i = k->reads_first[at]; i < k->reads_first[at + 1]; i++)
        readers[k->reads[i]]--;
}

/* Units that guard updates, in the order they were built in, and how far they are done. */
typedef struct guards {
    uint32_t *at;
    size_t n, done;
} guards;

/* Whether a unit writes a parameter that others still read, or while something may still fail. */
static bool is_guarded(const rgi_edges *e, const guards *g, const bool *placed, uint32_t at)
{
    size_t next = g->done;
    while (next < g->n && (placed[g->at[next]] || g->at[next] == at))
        next++;
    return e->guard[at] && next < g->n && e->built[g->at[next]] <= e->guard[at];
}

static double order_greedily(const lean *k, uint32_t *readers, guards *g, bool *placed, uint32_t *order)
{
    const rgi_edges *e = k->e;
    double alive = 0, peak = 0, made;
    size_t n_ready = 0;
    uint32_t *const ready = order; /* those that may come next stand behind those that have been placed */
    for (uint32_t i = 0; i < k->n; i++)
        if (!e->before[i])
            ready[n_ready++] = i;
    for (size_t n = 0; n < k->n && n_ready; n++) {
        size_t best = SIZE_MAX, wanted = 0;
        double least = 0;
        for (size_t i = 0; i < n_ready; i++) {
            const uint32_t at = ready[n + i];
            wanted = rgi_wanted_before(e, at, ready[n + wanted]) ? i : wanted;
            if (is_guarded(e, g, placed, at))
                continue;
            const double change = change_of(k, readers, at, &made);
            if (best == SIZE_MAX || change < least || (change <= least && rgi_wanted_before(e, at, ready[n + best]))) {
                best = i;
                least = change;
            }
        }
        best = best == SIZE_MAX ? wanted : best;
        const uint32_t at = ready[n + best];
        ready[n + best] = ready[n];
        order[n] = at;
        n_ready--;
        placed[at] = true;
        while (g->done < g->n && placed[g->at[g->done]])
            g->done++;
        do_unit(k, readers, at, &alive, &peak);
        for (uint32_t x = e->first[at]; x != UINT32_MAX; x = e->next[x])
            if (--e->before[e->to[x]] == 0)
                ready[n + 1 + n_ready++] = e->to[x];
    }
    return peak;
}

/* By the keys of when they were built: by insertion, for they nearly stand so. */
static void find_guards(const rgi_edges *e, size_t n, guards *g)
{
    for (uint32_t i = 0; i < n; i++) {
        if (!e->guarded[i])
            continue;
        size_t j = g->n++;
        for (; j > 0 && e->built[g->at[j - 1]] > e->built[i]; j--)
            g->at[j] = g->at[j - 1];
        g->at[j] = i;
    }
}

/* Whether loops come in the same order: those that could go side by side stand next to each other as they were
   written. */
static bool keeps_loops(const rgi_edges *e, const uint32_t *order, const uint32_t *other, size_t n)
{
    const rgi_unit *const units = e->l->units;
    size_t j = 0;
    for (size_t i = 0; i < n; i++) {
        if (units[e->b->units[order[i]]].kind != RGI_LOOP)
            continue;
        while (units[e->b->units[other[j]]].kind != RGI_LOOP)
            j++;
        if (order[i] != other[j++])
            return false;
    }
    return true;
}

bool rgi_order_lean(const rgi_edges *e, uint32_t *order)
{
    rgi_arena *a = &e->l->temporary;
    lean k = {.e = e, .n = e->b->n};
    if (k.n > RGI_LEAN_UNITS || k.n < 2)
        return true;
    uint32_t *readers = rgi_arena_alloc(a, (e->l->p->n_values + 1) * sizeof *readers),
             *other = rgi_arena_alloc(a, (k.n + 1) * sizeof *other);
    bool *placed = rgi_arena_alloc(a, k.n + 1);
    guards g = {.at = rgi_arena_alloc(a, (k.n + 1) * sizeof *g.at)};
    if (!readers || !other || !placed || !g.at || !prepare(&k))
        return false;
    double alive = 0, peak = 0;
    memcpy(readers, k.readers, e->l->p->n_values * sizeof *readers);
    for (size_t i = 0; i < k.n; i++)
        do_unit(&k, readers, order[i], &alive, &peak);
    memset(k.begun, false, e->l->p->n_values);
    find_guards(e, k.n, &g);
    if (order_greedily(&k, k.readers, &g, placed, other) < RGI_LEAN_GAIN * peak &&
        (e->l->p->opts.threads == 1 || keeps_loops(e, order, other, k.n)))
        memcpy(order, other, k.n * sizeof *order);
    return true;
}
