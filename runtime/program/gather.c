/* gather.c - in the body of a loop, an elementwise group whose results one other group of its shape reads, and nobody
   else in the step, goes into that one: its results stay in blocks, and the step has one pass less over memory.

   Outside of loops it stays where it is: there it frees what it reads before other steps run. */
#include "lower.h"

typedef struct reading {
    uint32_t reader; /* a unit that reads something of this one */
    uint32_t next;   /* the next entry of the same unit, or UINT32_MAX */
    bool dense;      /* as it is: elementwise, no view of it */
} reading;

typedef struct gathering {
    rgi_lowering *l;
    rgi_block *b;
    uint32_t *first; /* by unit: its readings */
    reading *readings;
    size_t n, capacity;
} gathering;

static void note(gathering *g, uint32_t reader, int32_t v, bool elementwise)
{
    const int32_t unit = rgi_unit_of(g->l, v);
    if (unit == RGI_NONE || unit == (int32_t)reader || g->l->units[unit].region != g->b->region)
        return;
    const rgi_value *value = &g->l->p->values[v];
    const reading x = {.reader = reader,
                       .next = g->first[unit],
                       .dense = elementwise && !value->window &&
                                (value->part_of == RGI_NONE || value->step_loop != RGI_NONE)};
    g->first[unit] = (uint32_t)g->n;
    if (!rgi_push(&g->l->temporary, (void **)&g->readings, &g->n, &g->capacity, sizeof x, &x))
        g->l->failed = true;
}

static void find_readings(gathering *g)
{
    for (size_t i = 0; i < g->b->n; i++) {
        const uint32_t number = (uint32_t)g->b->units[i];
        const rgi_unit *u = &g->l->units[number];
        note(g, number, u->from, false);
        for (size_t k = 0; k < u->n_uses; k++)
            for (uint32_t j = 0; j < u->uses[k].n_in; j++)
                note(g, number, u->uses[k].in[j], u->kind == RGI_FUSED);
        for (size_t k = 0; k < u->n_body; k++) {
            rgi_cursor c = {0, 0};
            for (int32_t v; (v = rgi_next_read(g->l->p, &u->body[k], &c)) != RGI_NONE;)
                note(g, number, v, false);
        }
    }
}

/* The only unit of the step that reads what a group makes, or RGI_NONE. */
static int32_t only_reader(const gathering *g, uint32_t unit)
{
    int32_t only = RGI_NONE;
    for (uint32_t k = g->first[unit]; k != UINT32_MAX; k = g->readings[k].next) {
        int32_t reader = (int32_t)g->readings[k].reader;
        while (g->l->units[reader].into)
            reader = g->l->units[reader].into - 1;
        if (!g->readings[k].dense || (only != RGI_NONE && only != reader))
            return RGI_NONE;
        only = reader;
    }
    return only;
}

bool rgi_gather(rgi_lowering *l, rgi_block *b)
{
    gathering g = {.l = l, .b = b};
    if (!b->outer || l->p->opts.no_fuse)
        return true;
    g.first = rgi_arena_alloc(&l->temporary, (l->n_units + 1) * sizeof *g.first);
    if (!g.first)
        return false;
    for (size_t i = 0; i < l->n_units; i++)
        g.first[i] = UINT32_MAX;
    find_readings(&g);
    for (size_t i = b->n; i-- > 0 && !l->failed;) { /* later ones first: chains end in one group */
        const int32_t from = b->units[i];
        const rgi_unit *u = &l->units[from];
        const int32_t to = u->kind == RGI_FUSED && !u->into ? only_reader(&g, (uint32_t)from) : RGI_NONE;
        if (to != RGI_NONE && l->units[to].kind == RGI_FUSED && l->units[to].shape == u->shape &&
            l->units[to].n_uses + u->n_uses <= RGI_GROUP_MEMBERS && !rgi_merge_units(l, from, to))
            return false;
    }
    return !l->failed;
}
