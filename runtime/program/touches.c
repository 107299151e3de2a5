/* touches.c - whose memory each item reads and writes, as far as others touch it too and somebody writes it: all that
   can make threads meet. It follows from the program alone.

   Parts that are written where a join has them do not get into each other's way: each counts as an owner of its own,
   and who touches the whole touches all of them. */
#include "touches.h"

#include <string.h>

/* By owner of memory: 1 + the item that touches it, or several; and whether any writes it. Its parts are a list: of an
   owner the first, of a part the next, RGI_NONE at the end. */
typedef struct owner {
    uint32_t item;
    bool several, written;
    int32_t part;
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

/* Whether a value is what a group or an op writes where a join outside of loops has it. */
static bool is_joined(const rgi_program *prog, int32_t v)
{
    const rgi_value *value = &prog->values[v];
    return value->window && value->window->op->traits & RG_JOINS && value->loop == RGI_NONE &&
           prog->values[value->part_of].part_of == RGI_NONE;
}

static void list_parts(const rgi_program *prog, owner *by)
{
    for (size_t v = 0; v < prog->n_values; v++)
        by[v].part = RGI_NONE;
    for (int32_t v = 0; v < (int32_t)prog->n_values; v++)
        if (is_joined(prog, v)) {
            owner *whole = &by[prog->values[v].part_of];
            by[v].part = whole->part;
            whole->part = v;
        }
}

/* Calls for what stands for the memory of a value: first RGI_NONE, then what came of it. */
static int32_t next_touched(const rgi_program *prog, const owner *by, int32_t v, int32_t before)
{
    if (before == RGI_NONE)
        return is_joined(prog, v) ? v : rgi_owner(prog, v);
    return is_joined(prog, v) ? RGI_NONE : by[before].part;
}

/* What an item reads or writes: looks at it, or appends what counts to `to`. Returns how much it is. */
static uint32_t touch(const rgi_program *prog, owner *by, size_t i, bool writes, int32_t *to)
{
    rgi_cursor c = {0, 0};
    uint32_t n = 0;
    for (int32_t v; (v = (writes ? rgi_next_write : rgi_next_read)(prog, &prog->items[i], &c)) != RGI_NONE;)
        for (int32_t o = RGI_NONE; (o = next_touched(prog, by, v, o)) != RGI_NONE;)
            if (!to) {
                look(by, o, i, writes);
                n++;
            } else if (counts(prog, by, o)) {
                to[n++] = o;
            }
    return n;
}

bool rgi_touches_find(const rgi_program *prog, rgi_arena *arena, rgi_arena *temporary, rgi_touches *out)
{
    owner *by = rgi_arena_alloc(temporary, (prog->n_values + 1) * sizeof *by);
    if (!by)
        return false;
    size_t most = 0;
    list_parts(prog, by);
    for (size_t i = 0; i < prog->n_items; i++) {
        most += touch(prog, by, i, false, NULL);
        most += touch(prog, by, i, true, NULL);
    }
    int32_t *all = rgi_arena_take(temporary, (most + 1) * sizeof *all);
    rgi_touched *at = rgi_arena_take(arena, (prog->n_items + 1) * sizeof *at);
    if (!all || !at)
        return false;
    uint32_t n = 0;
    for (size_t i = 0; i < prog->n_items; i++) {
        at[i].reads = n;
        n += touch(prog, by, i, false, all + n);
        at[i].writes = n;
        n += touch(prog, by, i, true, all + n);
    }
    at[prog->n_items].reads = n;
    int32_t *owners = rgi_arena_take(arena, (n + 1) * sizeof *owners);
    if (!owners)
        return false;
    memcpy(owners, all, n * sizeof *owners);
    *out = (rgi_touches){at, owners};
    return true;
}
