/* outline.c - sorting nodes into the bodies they belong to, in linear time. */
#include "outline.h"

#define RGI_NO_ENTRY UINT32_MAX

/* Lists of what stands in each region, then walked. */
typedef struct entry {
    uint32_t next;
    uint32_t node;   /* id, or that of a body's last node */
    uint32_t region; /* the body; RGI_NO_ENTRY: a node */
} entry;

typedef struct region_list {
    uint32_t first, last; /* entries */
    uint32_t until;       /* the highest id in the region or inside it */
    uint32_t resume;      /* while it is walked: what comes after it in its parent */
} region_list;

static void append(entry *entries, region_list *list, uint32_t at, uint32_t node, uint32_t region)
{
    entries[at] = (entry){RGI_NO_ENTRY, node, region};
    if (list->first == RGI_NO_ENTRY)
        list->first = at;
    else
        entries[list->last].next = at;
    list->last = at;
}

static void build(const rg_graph *g, entry *entries, region_list *lists)
{
    const size_t n = g->nodes.n;
    for (size_t i = 0; i < g->regions.n; i++)
        lists[i].first = RGI_NO_ENTRY;
    for (size_t id = 0; id < n; id++)
        for (const rgi_region *r = rgi_node(g, id)->region; r; r = r->parent)
            lists[r->id].until = (uint32_t)id;
    uint32_t at = 0;
    for (size_t id = 0; id < n; id++) {
        const rgi_region *r = rgi_node(g, id)->region;
        if (!r)
            continue;
        append(entries, &lists[r->id], at++, (uint32_t)id, RGI_NO_ENTRY);
        for (; r->parent && lists[r->id].until == id; r = r->parent)
            append(entries, &lists[r->parent->id], at++, (uint32_t)id, r->id);
    }
}

static void walk(const rg_graph *g, const entry *entries, region_list *lists, rgi_outline *out)
{
    uint32_t at = lists[0].first, region = 0;
    while (at != RGI_NO_ENTRY || region) {
        if (at == RGI_NO_ENTRY) {
            out->at[out->n++] = (rgi_outline_entry){RGI_OUTLINE_LEAVE, region};
            at = lists[region].resume;
            region = ((const rgi_region *)g->regions.at[region])->parent->id;
        } else if (entries[at].region == RGI_NO_ENTRY) {
            out->at[out->n++] = (rgi_outline_entry){RGI_OUTLINE_NODE, entries[at].node};
            at = entries[at].next;
        } else {
            region = entries[at].region;
            out->at[out->n++] = (rgi_outline_entry){RGI_OUTLINE_ENTER, region};
            lists[region].resume = entries[at].next;
            at = lists[region].first;
        }
    }
}

bool rgi_outline_init(rgi_outline *out, const rg_graph *g)
{
    const rg_allocator *const memory = &g->allocator;
    const size_t r = g->regions.n, n = g->nodes.n + r;
    *out = (rgi_outline){.capacity = n + r};
    out->at = rgi_alloc(memory, out->capacity * sizeof *out->at);
    entry *const entries = rgi_alloc(memory, n * sizeof *entries);
    region_list *const lists = rgi_alloc(memory, r * sizeof *lists);
    const bool ok = out->at && entries && lists;
    if (ok) {
        build(g, entries, lists);
        walk(g, entries, lists, out);
    } else {
        rgi_outline_finish(out, g);
        rgi_fail(RG_ERR_MEMORY, "out of memory for an outline of the graph");
    }
    rgi_free(memory, entries, n * sizeof *entries);
    rgi_free(memory, lists, r * sizeof *lists);
    return ok;
}

void rgi_outline_finish(rgi_outline *out, const rg_graph *g)
{
    rgi_free(&g->allocator, out->at, out->capacity * sizeof *out->at);
    *out = (rgi_outline){0};
}
