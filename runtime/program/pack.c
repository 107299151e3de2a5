/* pack.c - operands that ops bring into an order of their own (rg_op.pack) and that stay as they are, so that this is
   done once: weights of a plan that does not change them are packed when they have changed and kept from run to run;
   what a loop reads from outside is packed in front of it. */
#include "lower.h"

/* Whether the plan assigns to the parameter a value lies in. */
static bool is_written(const rgi_program *p, const rgi_value *owner)
{
    for (size_t k = 0; k < p->n_writes; k++)
        if (p->writes[k].entry->index == (uint32_t)owner->slot)
            return true;
    return false;
}

/* Whether loop `inner` lies in `outer` or is it. */
static bool lies_in(const rgi_program *p, int32_t inner, int32_t outer)
{
    while (inner != outer && inner != RGI_NONE)
        inner = p->loops[inner].parent;
    return inner == outer;
}

/* The innermost loop in whose steps a value is one after the other different, or RGI_NONE. */
static int32_t changes_in(const rgi_program *p, int32_t v)
{
    int32_t loop = p->values[rgi_owner(p, v)].loop;
    for (; v != RGI_NONE; v = p->values[v].part_of)
        if (p->values[v].step_loop != RGI_NONE && lies_in(p, p->values[v].step_loop, loop))
            loop = p->values[v].step_loop;
    return loop;
}

/* The loop in `home` that `inner` is or lies in; RGI_NONE: there is none. */
static int32_t loop_within(const rgi_program *p, int32_t inner, int32_t home)
{
    while (inner != RGI_NONE && p->loops[inner].parent != home)
        inner = p->loops[inner].parent;
    return inner;
}

typedef struct packing {
    rgi_lowering *l;
    size_t capacity;
    bool failed;
} packing;

/* Operand `input` of a use in loop `inner` is packed, if it stays as it is long enough. */
static void consider(packing *k, uint32_t number, uint32_t input, int32_t inner)
{
    rgi_program *p = k->l->p;
    rgi_use *use = &p->uses[number];
    const int32_t from = use->in[input];
    rgi_packed x = {.use = number, .input = input, .from = from, .inner = inner, .loop = RGI_NONE};
    if (from == RGI_NONE)
        return;
    const int32_t home = changes_in(p, from);
    const rgi_value *owner = &p->values[rgi_owner(p, from)];
    const bool kept =
        home == RGI_NONE && (owner->place == RGI_FIXED || (owner->place == RGI_STORE && !is_written(p, owner)));
    x.loop = kept ? RGI_NONE : loop_within(p, inner, home);
    if (!kept && (x.loop == RGI_NONE || (home != RGI_NONE && !lies_in(p, inner, home))))
        return;
    if (!use->packed) {
        use->packed = rgi_arena_alloc(&p->arena, use->n_in * sizeof *use->packed);
        for (uint32_t i = 0; use->packed && i < use->n_in; i++)
            use->packed[i] = RGI_NONE;
    }
    x.value = use->packed ? rgi_value_new(k->l, p->values[from].node, kept ? RGI_KEPT : RGI_SLAB) : RGI_NONE;
    if (x.value == RGI_NONE || !rgi_push(&p->arena, (void **)&p->packed, &p->n_packed, &k->capacity, sizeof x, &x)) {
        k->failed = true;
        return;
    }
    use->packed[input] = x.value;
    p->values[x.value].packed = (uint32_t)p->n_packed;
    p->values[x.value].loop = home;
}

/* The items, with those in front of loops that pack for them. */
static bool place_items(packing *k, rgi_item **items, size_t *n)
{
    rgi_program *p = k->l->p;
    rgi_item *out = rgi_arena_alloc(&k->l->temporary, (*n + p->n_packed + 1) * sizeof *out);
    size_t n_out = 0;
    for (size_t i = 0; out && i < *n; i++) {
        const rgi_item *item = &(*items)[i];
        for (size_t j = 0; item->kind == RGI_LOOP && j < p->n_packed; j++)
            if (p->packed[j].loop == item->loop)
                out[n_out++] = (rgi_item){.kind = RGI_PACK,
                                          .loop = p->loops[item->loop].parent,
                                          .from = p->packed[j].from,
                                          .to = p->packed[j].value};
        out[n_out++] = *item;
    }
    *items = out;
    *n = n_out;
    return out != NULL;
}

bool rgi_pack_operands(rgi_lowering *l, rgi_item **items, size_t *n)
{
    rgi_program *p = l->p;
    packing k = {.l = l};
    if (p->opts.budget) /* such a plan has no memory to spare */
        return true;
    for (size_t i = 0; i < *n && !k.failed; i++) {
        const rgi_item *item = &(*items)[i];
        for (uint32_t u = item->first; u < item->first + item->count; u++)
            for (uint32_t j = 0; p->uses[u].node->op->pack && j < p->uses[u].n_in; j++)
                consider(&k, u, j, item->loop);
    }
    return !k.failed && (p->n_packed == 0 || place_items(&k, items, n));
}
