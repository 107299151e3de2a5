/* layouts.c - how images lie in memory between steps: planes, [N, C, H, W], or blocks of channels, [N, C / B, H, W, B].

   Convolutions with outputs along the vectors make their sums pixel by pixel. To leave them as they are saves turning
   them into planes, and the next convolution, if it wants pixels with their channels, a copy. Elementwise ops and
   maxima over windows go along with either: values that they connect, a region, lie the same way. At its borders there
   are convolutions, which read one order and write another; others who read, or are read, take or give planes, which
   are turned. Regions where turning costs more than is saved stay planes.

   A region in blocks is made of further nodes that stand for those it had: whoever plans after that sees tensors of
   five axes and transpositions, and nothing else. What stands for what has the same bits: every convolution adds its
   terms in the same order. */
#include "lower.h"

#include "../../ops/blocks.h"
#include "../../ops/table_ops.h"

#include <retrograde/ops/shape.h>

#define TURNING 2 /* a value is read and written once more, a convolution's sums or copy are near */

typedef struct image {
    rg_node *node;
    rg_node *blocks; /* what stands for it, once that is made */
    uint32_t region; /* itself, or another of the region: the first of it has the sums */
    bool conv;       /* makes it, and reads its input either way */
    bool turned;     /* somebody needs planes of it */
    double gain;     /* of the region, in elements not moved */
    bool convs;      /* in the region */
} image;

/* What stands for a node. */
typedef struct reader {
    rg_node *node, *by;
} reader;

typedef struct laying {
    rgi_lowering *l;
    uint32_t *number; /* by node id: 1 + the image that it is, or 0 */
    image *images;
    size_t n, capacity;
    reader *readers; /* convolutions from blocks into planes */
    size_t n_readers, reader_capacity;
} laying;

static rg_node *input(const laying *k, const rg_node *node, size_t i)
{
    return rgi_stand_in(k->l, node->in[i]);
}

static image *image_of(const laying *k, const rg_node *node)
{
    const uint32_t number = node->id < k->l->n_live ? k->number[node->id] : 0;
    return number ? &k->images[number - 1] : NULL;
}

/* Ways to the first of a region are halved as they are gone: chains of elementwise ops may be long. */
static uint32_t region_of(const laying *k, uint32_t i)
{
    while (k->images[i].region != i)
        i = k->images[i].region = k->images[k->images[i].region].region;
    return i;
}

static double elements(const rg_node *node)
{
    double n = 1;
    for (int32_t i = 0; i < node->shape->a.rank; i++)
        n *= (double)node->shape->a.dim[i];
    return n;
}

/* [N, C, H, W] of floats, with whole blocks of channels, of which the batch alone may have any size. */
static bool is_image(const rg_node *node)
{
    const rg_shape *a = &node->shape->a, *b = &node->shape->b;
    bool fits = a->rank == 4 && (RG_DT(node->dtype) & RG_DT_FLOATS);
    for (int32_t i = 1; fits && i < 4; i++)
        fits = a->dim[i] == b->dim[i] && a->dim[i] > 0;
    return fits && a->dim[1] % rgi_block_columns(node->dtype) == 0;
}

/* Whether an elementwise op can go along: its operands are such images, one at least, or have one number a channel. */
static bool goes_along(const laying *k, const rg_node *node)
{
    if (!(node->op->traits & RG_ELEMENTWISE) || (node->op->traits & RG_UNIQUE) || node->op->n_out != 1 || !node->n_in ||
        node->n_in > RGI_MAX_ARITY || rgi_can_fail(k->l, node->op))
        return false;
    bool fits = true, any = false;
    for (size_t i = 0; fits && i < node->n_in; i++) {
        const rg_node *in = input(k, node, i);
        any = any || in->shape == node->shape;
        fits = in->dtype == node->dtype && (in->shape == node->shape || rgi_fits_channels(in, node->shape->a.dim[1]));
    }
    return fits && any;
}

static bool is_pool(const rg_node *node)
{
    return node->op == &rgi_op_max_pool && rgi_max_pool_of_images(node);
}

/* ---- regions ---- */

static void join(laying *k, image *a, image *b)
{
    const uint32_t x = region_of(k, (uint32_t)(a - k->images)), y = region_of(k, (uint32_t)(b - k->images));
    if (x == y)
        return;
    k->images[y].region = x;
    k->images[x].gain += k->images[y].gain;
    k->images[x].convs = k->images[x].convs || k->images[y].convs;
}

static bool find_images(laying *k)
{
    rgi_lowering *l = k->l;
    for (size_t id = 0; id < l->n_live; id++) {
        rg_node *node = rgi_node(l->g, id);
        if (!l->live[id] || rgi_stand_in(l, node) != node || node->region != l->g->regions.at[0] || !is_image(node))
            continue;
        rgi_conv_blocking b;
        const bool conv = rgi_conv_blocking_of(node, &b) && b.writes;
        if (!conv && !is_pool(node) && !goes_along(k, node))
            continue;
        const image new = {
            .node = node, .region = (uint32_t)k->n, .conv = conv, .convs = conv, .gain = conv ? elements(node) : 0};
        if (!rgi_push(&l->temporary, (void **)&k->images, &k->n, &k->capacity, sizeof new, &new))
            return false;
        k->number[id] = (uint32_t)k->n;
    }
    return true;
}

static void cost(laying *k, image *x, double n)
{
    k->images[region_of(k, (uint32_t)(x - k->images))].gain -= n;
}

/* Somebody reads planes. */
static void turn(laying *k, image *x)
{
    if (!x->turned)
        cost(k, x, TURNING * elements(x->node));
    x->turned = true;
}

/* What input i of a node means for the regions. */
static void look(laying *k, const rg_node *node, size_t i)
{
    rg_node *in = input(k, node, i);
    image *from = image_of(k, in), *to = image_of(k, node);
    const bool along = to && !to->conv && (in->shape == node->shape || is_pool(node));
    rgi_conv_blocking b;
    if (along && from)
        join(k, to, from);
    else if (along)
        cost(k, to, TURNING * elements(in));
    else if (from && i == 0 && node->op == &rgi_op_conv && rgi_conv_blocking_of(node, &b) && b.reads)
        cost(k, from, b.copies ? -elements(in) : 0);
    else if (from)
        turn(k, from);
}

static void find_regions(laying *k, rg_nodes fetch)
{
    const rgi_lowering *l = k->l;
    for (size_t id = 0; id < l->n_live; id++) {
        const rg_node *node = rgi_node(l->g, id);
        for (size_t i = 0; l->live[id] && rgi_stand_in(l, node) == node && i < node->n_in; i++)
            if (rgi_reads(node->op, i))
                look(k, node, i);
    }
    for (size_t i = 0; i < fetch.n; i++) {
        image *x = image_of(k, rgi_stand_in(l, fetch.at[i]));
        if (x)
            turn(k, x);
    }
}

static bool in_blocks(const laying *k, const image *x)
{
    const image *region = x ? &k->images[region_of(k, (uint32_t)(x - k->images))] : NULL;
    return region && region->convs && (region->gain > 0 || k->l->p->opts.layout == RG_LAYOUT_BLOCKS);
}

/* ---- nodes ---- */

/* Input i as a node in blocks reads it; NULL where that is still to be made: *missing. */
static rg_node *operand(const laying *k, const rg_node *node, size_t i, image **missing)
{
    rg_node *in = input(k, node, i);
    image *from = image_of(k, in);
    const int64_t columns = rgi_block_columns(node->dtype);
    if (in_blocks(k, from)) {
        *missing = from->blocks ? NULL : from;
        return from->blocks;
    }
    return in->shape == node->shape || is_pool(node) ? rgi_into_blocks(in, columns)
                                                     : rgi_channels_in_blocks(in, node->shape->a.dim[1], columns);
}

/* A convolution: its source as it lies, the result as it is wanted. */
static rg_node *build_conv(const laying *k, const rg_node *node, bool writes, image **missing)
{
    const int64_t columns = rgi_block_columns(node->dtype);
    rg_node *in = input(k, node, 0);
    image *from = image_of(k, in);
    rgi_conv_blocking b = {.reads = false};
    const bool reads = in_blocks(k, from) && rgi_conv_blocking_of(node, &b) && b.reads;
    if (reads && !from->blocks) {
        *missing = from;
        return NULL;
    }
    return rgi_conv_in_blocks(node, reads ? from->blocks : in, input(k, node, 1), reads ? columns : 0,
                              writes ? columns : 0);
}

/* What stands for an image, or NULL: *missing is to be made before, or there is no memory. */
static rg_node *build(const laying *k, const image *x, image **missing)
{
    const rg_node *node = x->node;
    rg_node *in[RGI_MAX_ARITY] = {NULL};
    if (x->conv)
        return build_conv(k, node, true, missing);
    for (size_t i = 0; i < node->n_in; i++)
        if (!(in[i] = operand(k, node, i, missing)))
            return NULL;
    return is_pool(node) ? rgi_max_pool_in_blocks(node, in[0])
                         : rg_apply(node->op, (rg_nodes){in, node->n_in}, node->attr);
}

/* Makes an image and all it needs. */
static bool make(laying *k, image *x)
{
    image **waiting = NULL;
    size_t n = 0, capacity = 0;
    while (x) {
        image *missing = NULL;
        rg_node *const origin = rgi_origin_set(k->l->g, x->node);
        rg_node *blocks = x->blocks ? x->blocks : build(k, x, &missing);
        rgi_origin_set(k->l->g, origin);
        if (!blocks && !missing)
            return false;
        if (missing && !rgi_push(&k->l->temporary, (void **)&waiting, &n, &capacity, sizeof x, &x))
            return false;
        x->blocks = blocks;
        x = missing ? missing : n ? waiting[--n] : NULL;
    }
    return true;
}

static bool make_images(laying *k)
{
    for (size_t i = 0; i < k->n; i++)
        if (in_blocks(k, &k->images[i]) && !make(k, &k->images[i]))
            return false;
    return true;
}

/* Convolutions that read a region and leave planes. */
static bool make_readers(laying *k)
{
    rgi_lowering *l = k->l;
    for (size_t id = 0; id < l->n_live; id++) {
        rg_node *node = rgi_node(l->g, id);
        rgi_conv_blocking b;
        if (!l->live[id] || node->op != &rgi_op_conv || rgi_stand_in(l, node) != node ||
            in_blocks(k, image_of(k, node)) || !in_blocks(k, image_of(k, input(k, node, 0))) ||
            !rgi_conv_blocking_of(node, &b) || !b.reads)
            continue;
        image *missing = NULL;
        rg_node *const origin = rgi_origin_set(l->g, node);
        const reader new = {node, build_conv(k, node, false, &missing)};
        rgi_origin_set(l->g, origin);
        if (!new.by ||
            !rgi_push(&l->temporary, (void **)&k->readers, &k->n_readers, &k->reader_capacity, sizeof new, &new))
            return false;
    }
    return true;
}

/* For those who see planes; where nobody does, what is made here is dead. */
static bool replace(laying *k, bool *changed)
{
    for (size_t i = 0; i < k->n; i++)
        if (in_blocks(k, &k->images[i])) {
            rg_node *const origin = rgi_origin_set(k->l->g, k->images[i].node);
            rg_node *planes = rgi_out_of_blocks(k->images[i].blocks);
            rgi_origin_set(k->l->g, origin);
            if (!planes || !rgi_stand_for(k->l, k->images[i].node, planes))
                return false;
            *changed = true;
        }
    for (size_t i = 0; i < k->n_readers; i++)
        if (!rgi_stand_for(k->l, k->readers[i].node, k->readers[i].by))
            return false;
    return true;
}

bool rgi_lay_out(rgi_lowering *l, rg_nodes fetch, bool *changed)
{
    laying k = {.l = l};
    const rg_layout layout = l->p->opts.layout;
    *changed = false;
    if (layout == RG_LAYOUT_PLANES || (layout == RG_LAYOUT_CHOSEN && !rgi_blocks_pay()) || l->p->opts.check)
        return true;
    k.number = rgi_arena_alloc(&l->temporary, (l->n_live + 1) * sizeof *k.number);
    if (!k.number || !find_images(&k))
        return false;
    if (k.n == 0)
        return true;
    find_regions(&k, fetch);
    l->g->in_compile = true;
    const bool ok = make_images(&k) && make_readers(&k) && replace(&k, changed);
    l->g->in_compile = false;
    return ok;
}
