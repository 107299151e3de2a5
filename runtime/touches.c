/* touches.c - whose memory each item reads and writes, as far as others touch it too and somebody writes it: all that
   can make threads meet. It follows from the program alone. */
#include "touches.h"

#include <string.h>

/* By owner of memory: 1 + the item that touches it, or several; and whether any writes it. */
typedef struct owner {
    uint32_t item;
    bool several, written;
} owner;

static void look(owner *by, int32_t v, size_t item, bool writes)
{
    owner *o = &by[v];
    o->several = o->several || (o->item && o->item != item + 1);
    o->item = (uint32_t)item + 1;
    o->written = o->written || writes;
}

/* Parameters count even for one item: what may fail comes before it writes them. */
static bool counts(const rgi_program *prog, const owner *by, int32_t v)
{
    return by[v].written && (by[v].several || prog->values[v].place == RGI_STORE);
}

bool rgi_touches_find(const rgi_program *prog, rgi_arena *arena, rgi_arena *temporary, rgi_touches *out)
{
    owner *by = rgi_arena_alloc(temporary, (prog->n_values + 1) * sizeof *by);
    size_t most = 0;
    for (size_t i = 0; by && i < prog->n_items; i++) {
        rgi_cursor c = {0, 0};
        for (int32_t v; (v = rgi_next_read(prog, &prog->items[i], &c)) != RGI_NONE; most++)
            look(by, rgi_owner(prog, v), i, false);
        c = (rgi_cursor){0, 0};
        for (int32_t v; (v = rgi_next_write(prog, &prog->items[i], &c)) != RGI_NONE; most++)
            look(by, rgi_owner(prog, v), i, true);
    }
    int32_t *all = rgi_arena_take(temporary, (most + 1) * sizeof *all);
    rgi_touched *at = rgi_arena_take(arena, (prog->n_items + 1) * sizeof *at);
    if (!by || !all || !at)
        return false;
    uint32_t n = 0;
    for (size_t i = 0; i < prog->n_items; i++) {
        rgi_cursor c = {0, 0};
        at[i].reads = n;
        for (int32_t v; (v = rgi_next_read(prog, &prog->items[i], &c)) != RGI_NONE;)
            if (counts(prog, by, rgi_owner(prog, v)))
                all[n++] = rgi_owner(prog, v);
        c = (rgi_cursor){0, 0};
        at[i].writes = n;
        for (int32_t v; (v = rgi_next_write(prog, &prog->items[i], &c)) != RGI_NONE;)
            if (counts(prog, by, rgi_owner(prog, v)))
                all[n++] = rgi_owner(prog, v);
    }
    at[prog->n_items].reads = n;
    int32_t *owners = rgi_arena_take(arena, (n + 1) * sizeof *owners);
    if (!owners)
        return false;
    memcpy(owners, all, n * sizeof *owners);
    *out = (rgi_touches){at, owners};
    return true;
}
