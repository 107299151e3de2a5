/* region.c - how the bodies of recurrences lie within one another.

   A body is not told what it lies in: its parent starts as the outside and is deepened by what its nodes are combined
   with. Open bodies stand on a stack, so of two open ones that are not on one path the one opened later must lie
   inside. */
#include "graph.h"

bool rgi_region_within(const rgi_region *inner, const rgi_region *outer)
{
    while (inner && inner != outer)
        inner = inner->parent;
    return inner != NULL;
}

/* Depths of a region whose parent changed, and of those opened after it (parents have smaller ids). */
static void update_depths(rg_graph *g, const rgi_region *from)
{
    for (size_t i = from->id; i < g->regions.n; i++) {
        rgi_region *r = g->regions.at[i];
        if (r->parent)
            r->depth = r->parent->depth + 1;
    }
}

/* Puts `outer` on the path of the open body `inner`, which was opened later. False: a closed body is in the way. */
static bool deepen(rg_graph *g, rgi_region *inner, rgi_region *outer)
{
    rgi_region *r = inner;
    /* The last region of the path that was opened after `outer` is what must lie directly inside it ... */
    while (r->parent->id > outer->id)
        r = r->parent;
    /* ... unless `outer` in turn has yet to be put inside the next one. */
    if (!r->open || !outer->open)
        return false;
    if (!rgi_region_within(outer, r->parent) && !deepen(g, outer, r->parent))
        return false;
    r->parent = outer;
    update_depths(g, r);
    return true;
}

rgi_region *rgi_region_join(rg_graph *g, const char *op, rgi_region *a, rgi_region *b)
{
    if (a == b || rgi_region_within(a, b))
        return a;
    if (rgi_region_within(b, a))
        return b;
    rgi_region *const inner = a->id > b->id ? a : b, *const outer = a->id > b->id ? b : a;
    if (deepen(g, inner, outer))
        return inner;
    rgi_graph_fail(
        g, RG_ERR_REGION, NULL,
        "%s: combines nodes of scan '%s' and scan '%s', and neither lies inside the other: take results out with "
        "rg_scan_stack or rg_scan_last",
        op, rgi_scan_name(a->scan), rgi_scan_name(b->scan));
    return NULL;
}
