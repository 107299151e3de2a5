/* window.c - moves that are not made: slices are read where they lie, and what groups and products make for a node that
   joins it is written where it will lie.

   A slice that lies in one piece is an address: everybody reads it. A gate is a slice of one product, the gradients of
   the gates are joined for the next, and so are queries, keys and values: these have gaps between their rows, which
   elementwise groups can do with, and ops that say so (rg_op.takes). As steps of their own such moves are small, many,
   and in the way of several threads. In a loop what lies in a whole is as short-lived as that. Outside, where it would
   keep a whole alive for long that is larger than its parts, or consists of crumbs, it is copied, as what has gaps is
   for all if somebody must have it dense, and so it is where something else is large meanwhile (room.c); and with a
   budget, which makes again what is gone, nothing is joined in place.

   Nobody writes a whole while a window of it is read: memory is taken over by who reads it last and element by element
   alone (memory.c), and to that a read of a window is one of its whole; so it is to threads (touches.c). */
#include "lower.h"

#include "../../ops/common.h"

#define RGI_NEAR 32 /* nodes between a part of a whole in the slab and who reads or joins it, outside of loops ... */
#define RGI_LEAST_PIECE 64 /* ... and bytes of its rows, unless it is one row */

/* How a node is read. Places are those of nodes in the graph as it was built: what stands for a node stands there. */
typedef struct rgi_reading {
    uint32_t place;
    uint32_t until;  /* the last place from which it is, perhaps by way of views and parts of it */
    uint32_t alone;  /* the last one of those who read no part of it */
    bool as_a_whole; /* by some who cannot read it as a window; outside of loops only */
    bool fetched;
    size_t parts; /* elements of all parts of it that may be read where they lie */
} rgi_reading;

/* The types of a node's inputs, then its own, under the first assignment of the named sizes or the second. NULL: out of
   memory. */
static rg_type *types_of(rgi_lowering *l, const rg_node *node, bool second)
{
    rg_type *type = rgi_arena_alloc(&l->temporary, (node->n_in + 1) * sizeof *type);
    for (size_t k = 0; type && k <= node->n_in; k++) {
        const rg_node *x = k < node->n_in ? node->in[k] : node;
        type[k] = (rg_type){x->dtype, second ? x->shape->b : x->shape->a};
    }
    l->failed = l->failed || !type;
    return type;
}

/* The window of a node in its input i, or of input i in the node: a question of structure, asked with the sizes that
   stand for the named ones. False: it has none. */
static bool find_window_of(rgi_lowering *l, const rg_node *node, size_t i, bool second, rg_window *out)
{
    const rg_type *type = types_of(l, node, second);
    if (!type)
        return false;
    const rg_step step = rgi_typed_step(node, type);
    return node->op->window(&step, i, out);
}

static bool find_window(rgi_lowering *l, const rg_node *node, size_t i, rg_window *out)
{
    return find_window_of(l, node, i, false, out);
}

static bool is_view(const rg_node *node)
{
    return node->op->traits & RG_VIEW;
}

static bool is_part(const rg_node *node)
{
    return node->op->window && !(node->op->traits & RG_JOINS);
}

/* Whether a node's operand i (n_in: its output) may be the window of input k of `of`. */
static bool takes_window(rgi_lowering *l, const rg_node *node, size_t i, const rg_node *of, size_t k)
{
    bool yes = node->op->takes;
    for (int second = 0; yes && second < 2; second++) {
        rg_window w;
        const rg_type *type = types_of(l, node, second);
        if (!type || !find_window_of(l, of, k, second, &w))
            return false;
        const rg_step step = rgi_typed_step(node, type);
        yes = node->op->takes(&step, i, &w);
    }
    return yes;
}

/* Whether an op reads its input i, a part or views of it, as the window that it is. */
static bool takes(rgi_lowering *l, const rg_node *node, size_t i)
{
    const rg_node *part = rgi_stand_in(l, node->in[i]);
    while (is_view(part))
        part = rgi_stand_in(l, part->in[0]);
    return is_part(part) && takes_window(l, node, i, part, 0);
}

/* Whether what is as large as `part` has rows in a window that are worth being read there, or is one. */
static bool has_rows(const rgi_lowering *l, const rg_node *part, const rg_window *w)
{
    const rg_type type = rgi_type(part);
    return l->block->outer || rgi_count(&type) <= w->length ||
           w->length * rg_dtype_size(part->dtype) >= RGI_LEAST_PIECE;
}

/* Whether a node is one piece of its input, whatever the sizes: all axes in front of the one that is cut have size
   1. */
static bool is_piece(const rg_node *node, const rg_window *w)
{
    const rg_type type = rgi_type(node);
    const size_t n = rgi_count(&type);
    bool piece = n > 0 && n <= w->length;
    for (int32_t k = 0; piece && k < node->shape->a.rank; k++)
        piece = node->shape->a.dim[k] != 1 || node->shape->b.dim[k] == 1;
    return piece;
}

/* Whether a node may have no memory of its own: whoever reads it reads its input. */
static bool may_share(const rg_node *node)
{
    return is_view(node) || is_part(node);
}

/* Whether a node can read its input i, a part or a view of one, where it lies, if that is outside of loops. */
static bool reads_in_place(rgi_lowering *l, const rg_node *node, size_t i, const rg_node *in)
{
    if (node->region != in->region)
        return false;
    if (node->op->traits & RG_ELEMENTWISE)
        return node->shape == in->shape;
    return is_view(node) ? !l->reads[node->id].as_a_whole : takes(l, node, i);
}

/* Whether a node is read so late that its input, if it lies in the slab, should perhaps not be kept for it. */
static bool is_far(const rgi_lowering *l, const rg_node *node)
{
    const rgi_reading *r = node->id < l->n_live ? &l->reads[node->id] : NULL;
    return !r || (r->until > r->place && r->until - r->place >= RGI_NEAR);
}

/* Node `node` reads its input i, `in`. */
static void note_read(rgi_lowering *l, const rg_node *node, size_t i, const rg_node *in)
{
    const rgi_reading *const mine = &l->reads[node->id];
    const uint32_t at = mine->place, until = may_share(node) && mine->until > at ? mine->until : at,
                   alone = is_view(node) && mine->alone > at ? mine->alone : at;
    rgi_reading *const r = &l->reads[in->id];
    const rg_type type = rgi_type(node);
    r->place = at < r->place ? at : r->place;
    r->until = until > r->until ? until : r->until;
    r->alone = alone > r->alone ? alone : r->alone;
    r->as_a_whole = r->as_a_whole || (may_share(in) && !reads_in_place(l, node, i, in));
    r->parts += is_part(node) && !mine->as_a_whole ? rgi_count(&type) : 0;
}

/* Finds how all nodes are read, the last ones first. False: out of memory. */
static bool find_reads(rgi_lowering *l)
{
    l->reads = rgi_arena_alloc(&l->temporary, (l->n_live + 1) * sizeof *l->reads);
    for (size_t id = l->reads ? l->n_live : 0; id-- > 0;)
        l->reads[id].place = (uint32_t)id;
    for (uint32_t id = 0; l->reads && id < l->n_live; id++) {
        const rg_node *by = rgi_stand_in(l, rgi_node(l->g, id));
        if (l->live[id] && by->id < l->n_live && id < l->reads[by->id].place)
            l->reads[by->id].place = id;
    }
    for (size_t i = 0; l->reads && i < l->p->n_fetches; i++) {
        const rg_node *node = rgi_stand_in(l, l->p->fetches[i].node);
        rgi_reading *const r = node->id < l->n_live ? &l->reads[node->id] : NULL;
        if (r)
            *r = (rgi_reading){.place = r->place, .until = UINT32_MAX, .as_a_whole = true, .fetched = true};
    }
    for (size_t id = l->reads ? l->n_live : 0; id-- > 0;) {
        const rg_node *node = rgi_node(l->g, id);
        for (size_t i = 0; l->live[id] && rgi_stand_in(l, node) == node && i < node->n_in; i++) {
            const rg_node *in = rgi_stand_in(l, node->in[i]);
            if (in->id < l->n_live && rgi_reads(node->op, i))
                note_read(l, node, i, in);
        }
    }
    l->failed = l->failed || !l->reads;
    return !l->failed;
}

/* Whether somebody reads a node as a whole; outside of loops only. */
static bool is_read_whole(const rgi_lowering *l, const rg_node *node)
{
    return !l->block->outer && (node->id >= l->n_live || l->reads[node->id].as_a_whole);
}

/* Whether a node is read so late that its input, if it lies in the slab, should not be kept for it: nobody else needs
   it until then, and copies of its parts would take less room. */
static bool is_read_late(const rgi_lowering *l, const rg_node *node)
{
    const rg_node *in = rgi_stand_in(l, node->in[0]);
    const rgi_reading *r = in->id < l->n_live ? &l->reads[in->id] : NULL;
    const rg_type type = rgi_type(in);
    return is_far(l, node) && !(r && r->parts >= rgi_count(&type));
}

/* Whether nobody but readers of parts may keep the input of a node, which lies in the slab. */
static bool is_kept_by_parts(const rgi_lowering *l, const rg_node *node)
{
    const rg_node *in = rgi_stand_in(l, node->in[0]);
    const rgi_reading *r = in->id < l->n_live ? &l->reads[in->id] : NULL;
    for (size_t i = 1; i < node->n_in; i++)
        if (rgi_reads(node->op, i))
            return false;
    return !l->block->outer && !(r && (r->fetched || (node->id < l->n_live && r->alone >= l->reads[node->id].until)));
}

int32_t rgi_window_value(rgi_lowering *l, const rg_node *node)
{
    rg_window w;
    if (l->p->opts.no_fuse || !node->op->window || node->op->traits & RG_JOINS || l->stack_of[node->id] != RGI_NONE ||
        !(l->reads || find_reads(l)) || !find_window(l, node, 0, &w))
        return RGI_NONE;
    const bool piece = is_piece(node, &w);
    if (!piece && (is_read_whole(l, node) || !has_rows(l, node, &w)))
        return RGI_NONE;
    const int32_t whole = rgi_value_in_memory(l, node->in[0]);
    const rgi_place place = whole == RGI_NONE ? RGI_FIXED : l->p->values[rgi_owner(l->p, whole)].place;
    const bool keeps = place == RGI_SLAB && is_kept_by_parts(l, node);
    if (place == RGI_FIXED || (keeps && is_read_late(l, node)))
        return RGI_NONE;
    const int32_t v = rgi_value_new(l, node, l->p->values[whole].place);
    if (v == RGI_NONE)
        return v;
    rgi_value *const values = l->p->values;
    values[v].part_of = whole;
    values[v].unit = values[whole].unit;
    values[v].loop = piece ? values[whole].loop : values[v].loop;
    *(piece ? &values[v].piece : &values[v].window) = node;
    values[v].keeps = keeps && !piece;
    return v;
}

int32_t rgi_window_view(rgi_lowering *l, const rg_node *node)
{
    const int32_t from = l->value_of[rgi_stand_in(l, node->in[0])->id];
    if (from == RGI_NONE || !l->p->values[from].window || l->stack_of[node->id] != RGI_NONE || is_read_whole(l, node))
        return RGI_NONE;
    const int32_t v = rgi_value_within(l, node, l->p->values[from].part_of);
    if (v == RGI_NONE)
        return v;
    rgi_value *const values = l->p->values;
    values[v].window = values[from].window;
    values[v].window_input = values[from].window_input;
    values[v].loop = values[from].loop;
    return v;
}

bool rgi_reads_window(rgi_lowering *l, const rg_node *node, size_t i, int32_t v)
{
    const rgi_value *value = &l->p->values[v];
    if (!value->window || (value->loop == RGI_NONE && l->block->outer))
        return false;
    if (!(node->op->traits & RG_ELEMENTWISE))
        return takes(l, node, i);
    return value->node->shape == node->shape; /* spread over more than it is, it is spread from what is dense */
}

/* ---- joined ---- */

/* By value: somebody wants it dense, in memory of its own. */
typedef struct wanting {
    rgi_lowering *l;
    bool *dense;
    uint32_t *joined; /* how often it is joined */
} wanting;

static void want_dense(const wanting *w, int32_t v)
{
    if (v != RGI_NONE)
        w->dense[v] = true;
}

static void want_inputs_dense(const wanting *w, const rgi_use *use)
{
    for (uint32_t k = 0; k < use->n_in; k++)
        want_dense(w, use->in[k]);
}

static void note_body(const wanting *w, const rgi_unit *u)
{
    for (size_t k = 0; k < u->n_body; k++) {
        rgi_cursor c = {0, 0};
        for (int32_t v; (v = rgi_next_read(w->l->p, &u->body[k], &c)) != RGI_NONE;)
            want_dense(w, v);
    }
}

/* Whether an elementwise op makes more of an input than it is: a window is read where it lies element by element. */
static bool is_spread(const rgi_program *p, const rgi_use *use, uint32_t i)
{
    return use->in[i] != RGI_NONE && p->values[use->in[i]].node->shape != use->node->shape;
}

static void find_wants(const wanting *w, const rgi_block *b)
{
    const rgi_program *p = w->l->p;
    for (size_t i = 0; i < b->n; i++) {
        const rgi_unit *u = &w->l->units[b->units[i]];
        want_dense(w, u->from);
        for (size_t k = 0; k < u->n_uses; k++)
            for (uint32_t j = 0; j < u->uses[k].n_in && !(u->uses[k].node->op->traits & RG_JOINS); j++)
                if (u->kind != RGI_FUSED || is_spread(p, &u->uses[k], j))
                    want_dense(w, u->uses[k].in[j]);
        note_body(w, u);
    }
    const rg_scan *s = b->region->scan;
    for (size_t j = 0; s && j < s->nexts.n; j++)
        want_dense(w, w->l->value_of[((rg_node *)s->nexts.at[j])->id]);
    for (size_t k = 0; s && k < s->results.n; k++) /* what stands for it may be copied into the stack */
        if (w->l->live[((rg_node *)s->results.at[k])->id])
            want_dense(w, w->l->value_of[rgi_projection_of(s->results.at[k])->of->id]);
    for (size_t k = 0; !b->outer && k < p->n_fetches; k++)
        want_dense(w, p->fetches[k].value);
    for (size_t k = 0; !b->outer && k < p->n_writes; k++)
        want_dense(w, p->writes[k].value);
    for (size_t v = 0; v < p->n_values; v++)
        want_dense(w, p->values[v].part_of);
}

/* Whether input k of a join may be written into its output instead: by a group, which makes it a second time for a
   second place, or by an op that can. */
static bool placeable(const wanting *w, const rgi_block *b, const rgi_use *join, uint32_t k)
{
    rgi_lowering *l = w->l;
    const int32_t v = join->in[k];
    const rgi_value *value = v == RGI_NONE ? NULL : &l->p->values[v];
    if (!value || value->part_of != RGI_NONE || value->place != RGI_SLAB || value->loop != b->loop || w->dense[v] ||
        value->unit == RGI_NONE || l->units[value->unit].region != b->region)
        return false;
    const rgi_unit *u = &l->units[value->unit];
    return u->kind == RGI_FUSED || (u->kind == RGI_RUN && u->uses[0].n_out == 1 && w->joined[v] == 1 &&
                                    value->node->shape == join->node->in[k]->shape &&
                                    takes_window(l, u->uses[0].node, u->uses[0].n_in, join->node, k));
}

static bool is_join(const rgi_unit *u)
{
    return u->kind == RGI_RUN && (u->uses[0].node->op->traits & RG_JOINS) && u->uses[0].node->op->window;
}

/* Whether nothing is in the way of a join itself: its inputs have windows, and are not made long before it. */
static bool is_candidate(const wanting *w, const rgi_block *b, const rgi_unit *u)
{
    bool fits = is_join(u);
    rg_window at;
    for (uint32_t k = 0; fits && k < u->uses[0].n_in; k++) {
        const rg_node *node = u->uses[0].node;
        fits = (b->outer || node->id < node->in[k]->id + RGI_NEAR) && find_window(w->l, node, k, &at) &&
               has_rows(w->l, node->in[k], &at);
    }
    return fits;
}

/* Proposes joins; what another join reads must be dense. */
static void propose_joins(wanting *w, rgi_block *b)
{
    for (size_t i = 0; i < b->n; i++) {
        const rgi_unit *u = &w->l->units[b->units[i]];
        for (uint32_t k = 0; is_join(u) && k < u->uses[0].n_in; k++)
            if (u->uses[0].in[k] != RGI_NONE)
                w->joined[u->uses[0].in[k]]++;
    }
    for (size_t i = 0; i < b->n; i++) {
        rgi_unit *u = &w->l->units[b->units[i]];
        u->placed = is_candidate(w, b, u);
        if (is_join(u) && !u->placed)
            want_inputs_dense(w, &u->uses[0]);
    }
}

/* Gives up those of which not all inputs can be placed any more. */
static void settle_joins(wanting *w, rgi_block *b)
{
    for (bool changed = true; changed;) {
        changed = false;
        for (size_t i = 0; i < b->n; i++) {
            rgi_unit *u = &w->l->units[b->units[i]];
            bool all = u->placed;
            for (uint32_t k = 0; all && k < u->uses[0].n_in; k++)
                all = placeable(w, b, &u->uses[0], k);
            if (all || !is_join(u))
                continue;
            changed = changed || u->placed;
            u->placed = false;
            want_inputs_dense(w, &u->uses[0]);
        }
    }
}

/* What stands in a second place is computed a second time: the op is an elementwise one. */
static int32_t made_again(rgi_lowering *l, int32_t v)
{
    rgi_unit *u = &l->units[l->p->values[v].unit];
    size_t k = 0;
    while (k < u->n_uses && u->uses[k].out[0] != v)
        k++;
    const int32_t again = rgi_value_new(l, l->p->values[v].node, RGI_SLAB);
    int32_t *out = rgi_arena_alloc(&l->p->arena, sizeof *out);
    if (k == u->n_uses || again == RGI_NONE || !out) {
        l->failed = true;
        return RGI_NONE;
    }
    rgi_use use = u->uses[k];
    *out = again;
    use.out = out;
    l->p->values[again].unit = l->p->values[v].unit;
    if (!rgi_push(&l->temporary, (void **)&u->uses, &u->n_uses, &u->capacity, sizeof use, &use))
        l->failed = true;
    return again;
}

static void place(rgi_lowering *l, rgi_use *use)
{
    for (uint32_t k = 0; k < use->n_in && !l->failed; k++) {
        if (l->p->values[use->in[k]].part_of != RGI_NONE)
            use->in[k] = made_again(l, use->in[k]);
        if (use->in[k] == RGI_NONE)
            return;
        rgi_value *part = &l->p->values[use->in[k]];
        part->part_of = use->out[0];
        part->window = use->node;
        part->window_input = k;
    }
}

/* Joins whose inputs are made where they have them, as far as there is room. */
static bool choose_joins(wanting *w, rgi_block *b)
{
    rgi_lowering *l = w->l;
    w->dense = rgi_arena_alloc(&l->temporary, l->p->n_values + 1);
    w->joined = rgi_arena_alloc(&l->temporary, (l->p->n_values + 1) * sizeof *w->joined);
    if (!w->dense || !w->joined)
        return false;
    find_wants(w, b);
    propose_joins(w, b);
    settle_joins(w, b);
    if (!rgi_make_room(l, b))
        return false;
    for (size_t i = 0; i < b->n; i++)
        if (is_join(&l->units[b->units[i]]) && !l->units[b->units[i]].placed)
            want_inputs_dense(w, &l->units[b->units[i]].uses[0]);
    settle_joins(w, b);
    return true;
}

bool rgi_place_joined(rgi_lowering *l, rgi_block *b)
{
    wanting w = {.l = l};
    bool any = false;
    for (size_t i = 0; i < b->n; i++)
        any = any || is_join(&l->units[b->units[i]]);
    if (!any || l->p->opts.no_fuse || (!b->outer && l->p->opts.budget))
        return rgi_make_room(l, b);
    if (!choose_joins(&w, b))
        return false;
    for (size_t i = 0; i < b->n && !l->failed; i++)
        if (l->units[b->units[i]].placed)
            place(l, &l->units[b->units[i]].uses[0]);
    return !l->failed;
}
