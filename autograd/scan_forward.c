/* scan_forward.c - the forward rule of a recurrence: a recurrence in the same direction, of tangents.

   (dh', dy) = jvp of f at (h, x; w) with (dh, dx; dw). The values of the forward body that the rules read are slices of their
   stacks, as in the reverse rule, so that the forward body is not run again. */
#include "forward.h"

#include "../graph/scan.h"

#include <retrograde/ops.h>

#include <string.h>

static void open_leaves(rgi_forward *f, rg_scan *s, rg_scan *t, rg_node *const tangent[])
{
    for (size_t i = 0; i < s->xs.n; i++)
        if (tangent[i])
            f->tangent[((rg_node *)s->slices.at[i])->id] = rg_scan_slice(t, tangent[i]);
    rgi_scan_length_like(t, rgi_seen(f->g, s->xs.at[0]));
    for (size_t j = 0; j < s->carries.n; j++) {
        const rg_node *leaf = s->carries.at[j];
        rg_node *init = tangent[s->xs.n + j];
        if (f->marks.needed[leaf->id])
            f->tangent[leaf->id] = rg_scan_carry(t, init ? init : rg_zeros_like(rgi_seen(f->g, s->inits.at[j])));
    }
}

static bool close(rgi_forward *f, rg_scan *s, rg_scan *t, rg_node *results[])
{
    for (size_t j = 0; j < s->carries.n; j++) {
        rg_node *leaf = f->tangent[((rg_node *)s->carries.at[j])->id],
                *next = f->tangent[((rg_node *)s->nexts.at[j])->id];
        if (leaf)
            rg_scan_next(t, leaf, next ? next : rg_zeros_like(leaf));
    }
    for (size_t k = 0; k < s->results.n; k++) {
        const rg_node *r = s->results.at[k];
        const rgi_projection *p = rgi_projection_of(r);
        rg_node *of = f->tangent[p->of->id];
        if (of && r->id < f->marks.n)
            results[k] = p->last    ? rg_scan_last(t, of)
                         : p->every ? rgi_scan_starts(t, of, p->every)
                                    : rgi_scan_stack(t, of);
    }
    rg_scan_end(t);
    return f->g->error.status == RG_OK;
}

bool rgi_scan_forward(rgi_forward *f, rg_node *self, rg_node *const tangent[])
{
    rg_graph *g = f->g;
    rg_scan *s = rgi_scan_of(self);
    const size_t n_in = self->n_in, n_out = s->results.n, room = n_in + n_out + 1;
    rg_node **copy = rgi_alloc(&g->allocator, room * sizeof *copy); /* the caller's array is used again for each node */
    bool *wants = rgi_alloc(&g->allocator, room * sizeof *wants);
    bool ok = copy && wants;
    if (ok) {
        memcpy(copy, tangent, n_in * sizeof *copy);
        for (size_t i = 0; i < n_in; i++)
            wants[i] = tangent[i] != NULL;
        rgi_scan_mark(&f->marks, s, wants);
        rg_scan *t = rg_scan_begin(g, &(rg_scan_opts){.name = s->name, .reverse = s->reverse});
        ok = t != NULL;
        if (ok) {
            const rgi_substitution inner = {g->substitution, s->region, t}, *const outer = g->substitution;
            open_leaves(f, s, t, copy);
            g->substitution = &inner;
            for (size_t id = s->first_id; ok && id < self->id; id++)
                if (rgi_node(g, id)->region == s->region)
                    ok = rgi_forward_node(f, rgi_node(g, id));
            g->substitution = outer;
            ok = ok && close(f, s, t, copy + n_in);
        }
        for (size_t k = 0; ok && k < n_out; k++)
            if (copy[n_in + k])
                ok = rgi_forward_store(f, s->results.at[k], copy[n_in + k]);
    } else {
        rgi_graph_fail(g, RG_ERR_MEMORY, self, "rg_jvp: out of memory");
    }
    rgi_free(&g->allocator, copy, room * sizeof *copy);
    rgi_free(&g->allocator, wants, room * sizeof *wants);
    return ok && g->error.status == RG_OK;
}
