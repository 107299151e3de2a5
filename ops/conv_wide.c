/* conv_wide.c - convolution and its data gradient with outputs along the vectors, at concrete sizes.

   Both are sums over taps and channels of a source, x or the cotangents, for every element of a result. Along an axis a
   result at i sees the source at i stride + tap - before, or, of the gradient, at (i + before - tap) / stride where
   that is whole: so the results of one remainder of (i + before) / stride see a subset of the taps of their own.

   Phase 0 packs the weights. In phase 1 a task takes a strip of rows of one or several images and some of the outputs.
   It copies what the strip sees, by pixels and padded with zeros, and goes over its outputs vectors by vectors, and
   there over the classes of pixels that see the same terms. Where conv_direct.c can read the source where it lies,
   neither copy nor classes are needed. */
#include "conv.h"

#include <string.h>

#define SOURCE_BYTES ((size_t)384 << 10) /* of a strip's copy: within L2 */
#define IMAGES_BYTES ((size_t)896 << 10) /* of that of several images, so that weights are gone over less often */
#define MOST_PIXELS 256                  /* of a strip: their sums stay beside the weights in L2 */
#define SUM_BYTES ((size_t)80 << 10) /* the same in bytes, where outputs are few and images enough for all threads */
#define FEW_PIXELS 128               /* of a plane: several images make a strip */
#define LEAST_TASKS 16               /* wanted */
#define LEAST_TERMS 768              /* of the weights that go with all pixels at a time */
#define FEW_TERMS 16                 /* below which bringing sums into planes costs more than all the rest */

/* ---- layout ---- */

/* Elements of the source along an axis that `count` results see, at most. */
static size_t extent(const rgi_conv_layout *l, int axis, size_t count)
{
    if (l->wide.data_grad)
        return (count + l->stride[axis] - 2) / l->stride[axis] + 1 + l->shift[axis];
    return (count - 1) * l->stride[axis] + (l->kernel[axis] - 1) * l->dilation[axis] + 1;
}

static size_t copy_bytes(const rgi_conv_layout *l, size_t rows, size_t images, size_t size)
{
    if (l->wide.direct || l->wide.in_block)
        return 0;
    const size_t width = l->wide.result[2];
    return images * extent(l, 0, 1) * extent(l, 1, rows) * extent(l, 2, width) * l->wide.channels * size;
}

static bool worth(const rgk_table *k, size_t outputs, size_t terms)
{
    const size_t all = rgi_parts(outputs, k->lanes) * k->lanes;
    return outputs >= 2 && terms >= FEW_TERMS && 4 * outputs >= 3 * all;
}

void rgi_conv_wide_lay_out(rgi_conv_layout *l, bool data_grad, bool tail, const rgk_table *k, size_t size)
{
    rgi_conv_wide *w = &l->wide;
    w->data_grad = data_grad;
    w->channels = data_grad ? l->out_planes : l->in_planes;
    w->outputs = data_grad ? l->in_planes : l->out_planes;
    memcpy(w->result, data_grad ? l->in : l->out, sizeof w->result);
    memcpy(w->seen, data_grad ? l->out : l->in, sizeof w->seen);
    w->used = worth(k, w->outputs, w->channels * l->taps) && l->taps <= RGI_CONV_TAPS && w->result[0] && w->result[1] &&
              w->result[2];
    if (!w->used)
        return;
    const size_t height = w->result[1], width = w->result[2], plane = height * width;
    w->columns = rgi_smaller(k->conv_columns, rgi_parts(w->outputs, k->lanes) * k->lanes);
    w->direct = rgi_conv_direct_fits(l, k, size);
    size_t most = MOST_PIXELS;
    if (l->n * l->groups * w->result[0] >= LEAST_TASKS)
        most = rgi_larger(most, SUM_BYTES / (w->columns * size));
    size_t rows = rgi_smaller(rgi_larger(most / width, 1), height);
    while (rows > 1 && copy_bytes(l, rows, 1, size) > SOURCE_BYTES)
        rows--;
    w->strips = rgi_parts(height, rows);
    w->rows = rgi_parts(height, w->strips);
    w->strips = rgi_parts(height, w->rows);
    size_t images = w->strips > 1 || plane > FEW_PIXELS || w->result[0] > 1 ? 1 : rgi_larger(MOST_PIXELS / plane, 1);
    images = rgi_larger(rgi_smaller(images, l->n), 1);
    while (images > 1 && copy_bytes(l, w->rows, images, size) > IMAGES_BYTES)
        images--;
    w->packs = rgi_parts(l->n, images);
    w->images = rgi_larger(rgi_parts(l->n, rgi_larger(w->packs, 1)), 1);
    w->packs = rgi_parts(l->n, w->images);
    w->blocks = rgi_parts(w->outputs, k->conv_columns);
    const size_t strips = w->packs * l->groups * w->result[0] * w->strips;
    w->units = rgi_larger(rgi_smaller(w->blocks, rgi_parts(LEAST_TASKS, rgi_larger(strips, 1))), 1);
    w->remainders = data_grad ? l->stride[0] * l->stride[1] * l->stride[2] : 1;
    w->terms = w->channels * l->taps;
    for (int i = 0; i < 3; i++)
        w->extent[i] = w->in_block ? w->seen[i] : extent(l, i, i == 0 ? 1 : i == 1 ? w->rows : width);
    const size_t pixels = w->images * w->rows * width;
    if (w->direct) {
        w->pass = rgi_conv_direct_pass(l);
    } else {
        w->pass = rgi_parts(LEAST_TERMS, w->channels);
        rgi_conv_classes_lay_out(l);
    }
    w->classes_at = rgi_rounded(w->most_runs * sizeof(rgk_run));
    w->starts_at = w->classes_at + rgi_rounded(w->most_classes * sizeof(rgi_conv_class));
    w->pixels_at = w->starts_at + rgi_rounded((w->remainders + 1) * sizeof(size_t));
    w->sums_at = w->pixels_at + rgi_rounded(pixels * sizeof(rgk_pixel));
    w->planes_at = w->sums_at + rgi_rounded(pixels * w->columns * size);
    w->copy_at = w->planes_at + (tail ? rgi_rounded(pixels * w->columns * size) : 0);
    w->scratch = w->copy_at + rgi_rounded(copy_bytes(l, w->rows, w->images, size));
}

static size_t packed_block(const rgi_conv_layout *l, size_t size)
{
    return l->wide.terms * l->wide.columns * size;
}

void rgi_conv_wide_cost(const rgi_conv_layout *l, size_t size, rg_cost *cost)
{
    const rgi_conv_wide *w = &l->wide;
    cost->tasks[0] = l->groups * w->blocks;
    cost->tasks[1] = w->packs * l->groups * w->result[0] * w->strips * w->units;
    cost->shared = l->groups * w->blocks * packed_block(l, size);
    cost->scratch = w->scratch;
}

/* ---- weights ---- */

size_t rgi_conv_packed(const rg_step *s, size_t i, size_t *tasks)
{
    const rgi_conv_layout *l = s->geometry;
    *tasks = l->groups * l->wide.blocks;
    if (i != 1 || !l->wide.used)
        return 0;
    /* which of the two orders it is depends on the size of the images, and is told by the size */
    return rgi_rounded(*tasks * packed_block(l, rg_dtype_size(s->out_type[0].dtype))) + (l->wide.direct ? 64 : 0);
}

/* The row of the packed weights for each tap of channels [first, first + n). */
static void weight_rows(const rgi_conv_layout *l, size_t first, size_t n, int32_t *at)
{
    const rgi_conv_wide *w = &l->wide;
    int32_t ranks[RGI_CONV_TAPS] = {0};
    if (!w->direct)
        rgi_conv_ranks(l, ranks);
    for (size_t c = 0; c < n; c++)
        for (size_t t = 0; t < l->taps; t++)
            at[c * l->taps + t] = (int32_t)(w->direct ? (first + c) * l->taps + (w->data_grad ? l->taps - 1 - t : t)
                                                      : (size_t)ranks[t] * w->channels + first + c);
}

/* Blocks [lo, hi) of outputs of all groups. Of the forward pass the taps of several channels lie in a row. */
void rgi_conv_pack(const rg_step *s, size_t i, const void *from, void *to, size_t lo, size_t hi)
{
    const rgi_conv_layout *l = s->geometry;
    const rgi_conv_wide *w = &l->wide;
    const rgk_table *k = rgi_kernels(s->out_type[0].dtype);
    const size_t size = rg_dtype_size(s->out_type[0].dtype), most = w->data_grad ? 1 : RGI_CONV_TAPS / l->taps;
    int32_t at[RGI_CONV_TAPS];
    (void)i;
    for (size_t first = 0, n; first < (w->data_grad ? 1 : w->channels); first += n) {
        n = rgi_smaller(most, w->channels - first);
        weight_rows(l, first, w->data_grad ? 1 : n, at);
        rgk_conv_pack p = {.channels = 1, .taps = n * l->taps, .output_step = w->terms, .at = at};
        if (w->data_grad)
            p = (rgk_conv_pack){w->channels, l->taps, l->taps, w->outputs * l->taps, w->direct ? l->taps : 1, at};
        for (size_t task = lo; task < hi; task++) {
            const size_t group = task / w->blocks, output = task % w->blocks * k->conv_columns;
            const size_t begin = group * w->outputs * w->terms + output * p.output_step + first * l->taps;
            k->conv_wide_pack(&p, rgi_smaller(k->conv_columns, w->outputs - output), (const char *)from + begin * size,
                              (char *)to + task * packed_block(l, size));
        }
    }
}

/* The weights in the order that they are used in: those that the plan keeps, or those of this run. */
static const char *packed_weights(const rg_step *s)
{
    return s->packed && s->packed[1] ? s->packed[1] : s->shared;
}

/* ---- strips ---- */

static rgi_conv_part strip_at(const rgi_conv_layout *l, size_t task)
{
    const rgi_conv_wide *w = &l->wide;
    rgi_conv_part t = {.row = task % w->strips * w->rows};
    task /= w->strips;
    t.depth = task % w->result[0];
    task /= w->result[0];
    t.group = task % l->groups;
    t.image = task / l->groups * w->images;
    t.images = rgi_smaller(w->images, l->n - t.image);
    t.rows = rgi_smaller(w->rows, w->result[1] - t.row);
    return t;
}

static void copy_source(const rg_step *s, const rgi_conv_layout *l, const rgi_conv_part *t)
{
    const rgi_conv_wide *w = &l->wide;
    const rgk_table *k = rgi_kernels(s->out_type[0].dtype);
    const size_t size = rg_dtype_size(s->out_type[0].dtype), pixel = w->channels * size;
    const size_t plane = w->seen[0] * w->seen[1] * w->seen[2];
    const ptrdiff_t d0 = rgi_conv_origin(l, 0, t->depth), h0 = rgi_conv_origin(l, 1, t->row),
                    x0 = rgi_conv_origin(l, 2, 0);
    const size_t left = x0 < 0 ? rgi_smaller((size_t)-x0, w->extent[2]) : 0, skipped = x0 > 0 ? (size_t)x0 : 0;
    /* rows between those that a kernel of one row sees are left as they are */
    const size_t step = l->kernel[1] == 1 && !w->data_grad ? l->stride[1] : 1;
    const size_t there = rgi_smaller(w->seen[2] > skipped ? w->seen[2] - skipped : 0, w->extent[2] - left);
    char *to = (char *)s->scratch + w->copy_at;
    for (size_t image = t->image; image < t->image + t->images; image++) {
        const char *planes = (const char *)s->in[0] + (image * l->groups + t->group) * w->channels * plane * size;
        for (size_t i = 0; i < w->extent[0]; i++)
            for (size_t j = 0; j < w->extent[1]; j++, to += w->extent[2] * pixel) {
                const ptrdiff_t d = d0 + (ptrdiff_t)i, h = h0 + (ptrdiff_t)j;
                if (j % step)
                    continue;
                if (d < 0 || d >= (ptrdiff_t)w->seen[0] || h < 0 || h >= (ptrdiff_t)w->seen[1] || !there) {
                    memset(to, 0, w->extent[2] * pixel);
                    continue;
                }
                const size_t from = ((size_t)d * w->seen[1] + (size_t)h) * w->seen[2] + skipped;
                memset(to, 0, left * pixel);
                k->conv_wide_source(w->channels, there, planes + from * size, plane, to + left * pixel);
                memset(to + (left + there) * pixel, 0, (w->extent[2] - left - there) * pixel);
            }
    }
}

/* Where the source of a strip's first pixel would begin: in its copy, or in the input in blocks, beyond whose edges
   nothing is read. */
static const void *source_of(const rg_step *s, const rgi_conv_layout *l, const rgi_conv_part *t)
{
    const rgi_conv_wide *w = &l->wide;
    const ptrdiff_t size = (ptrdiff_t)rg_dtype_size(s->out_type[0].dtype);
    if (!w->in_block)
        return (const char *)s->scratch + w->copy_at;
    const ptrdiff_t pixel = rgi_conv_origin(l, 1, t->row) * (ptrdiff_t)w->seen[2] + rgi_conv_origin(l, 2, 0),
                    image = (ptrdiff_t)(t->image * w->channels * w->seen[1] * w->seen[2]);
    return (const char *)s->in[0] + (image + pixel * (ptrdiff_t)w->in_block) * size;
}

/* The element of the result where block `block` of a strip's outputs begins. */
static size_t destination(const rg_step *s, const rgi_conv_layout *l, const rgi_conv_part *t, size_t image,
                          size_t block)
{
    const rgi_conv_wide *w = &l->wide;
    const size_t columns = rgi_kernels(s->out_type[0].dtype)->conv_columns;
    if (w->out_block)
        return ((image * w->blocks + block) * w->result[1] + t->row) * w->result[2] * w->out_block;
    const size_t channel = (image * l->groups + t->group) * w->outputs + block * columns;
    return ((channel * w->result[0] + t->depth) * w->result[1] + t->row) * w->result[2];
}

/* Classes [first, end) of one remainder: sums[pixel][output] of a block of outputs, so many taps at a time that their
   weights stay near while all pixels get them. The largest class asks for the weights that follow. */
static void add_remainder(const rgk_table *k, const rgi_conv_layout *l, const rgi_conv_lists *lists, size_t first,
                          size_t end, rgk_conv_wide *job, size_t row, size_t weight_bytes, const void *ahead)
{
    const size_t r = lists->classes[first].remainder, all = lists->terms[r + 1], pass = l->wide.pass * l->wide.channels;
    size_t largest = first;
    for (size_t c = first; c < end; c++) {
        lists->classes[c].added = 0;
        largest = lists->classes[c].pixels > lists->classes[largest].pixels ? c : largest;
    }
    for (size_t from = lists->terms[r], to; from == lists->terms[r] || from < all; from = to) {
        to = from + pass;
        for (size_t c = first; c < end; c++) {
            rgi_conv_class *class = &lists->classes[c];
            const rgk_run *run = lists->runs + class->run + class->added;
            size_t runs = 0;
            while (class->added + runs < class->runs && (size_t)run[runs].weights < to)
                runs++;
            class->added += runs;
            job->fresh = from == lists->terms[r];
            if (!runs && !job->fresh)
                continue;
            job->pixel = lists->pixels + class->pixel;
            job->pixels = class->pixels;
            job->run = run;
            job->runs = runs;
            job->ahead = class->added == class->runs ? ahead : NULL;
            job->next = (const char *)job->weights + rgi_smaller(to, all) * row;
            job->next_bytes = c == largest ? rgi_smaller(pass * row, weight_bytes - rgi_smaller(to, all) * row) : 0;
            k->conv_wide(job);
        }
    }
}

/* Block `block` of outputs of a strip. */
static void add_up(const rg_step *s, const rgi_conv_layout *l, const rgi_conv_part *t, size_t block,
                   const rgi_conv_lists *lists)
{
    const rgi_conv_wide *w = &l->wide;
    const rgk_table *k = rgi_kernels(s->out_type[0].dtype);
    const size_t size = rg_dtype_size(s->out_type[0].dtype);
    const size_t width = rgi_smaller(k->conv_columns, w->outputs - block * k->conv_columns),
                 row = rgi_parts(width, k->lanes) * k->lanes * size;
    const size_t at = (t->group * w->blocks + block) * packed_block(l, size),
                 left = l->groups * w->blocks * packed_block(l, size) - at;
    const bool in_place = w->out_block && !s->tail && t->images == 1;
    void *sum =
        in_place ? (char *)s->out[0] + destination(s, l, t, t->image, block) * size : (char *)s->scratch + w->sums_at;
    const void *ahead = s->tail || w->out_block || t->images > 1
                            ? NULL
                            : (const char *)s->out[0] + destination(s, l, t, t->image, block) * size;
    const size_t plane = w->result[0] * w->result[1] * w->result[2];
    if (w->direct) {
        rgk_conv_direct job = {.outputs = width,
                               .row = row / size,
                               .weights = packed_weights(s) + at,
                               .sum = sum,
                               .ahead = ahead,
                               .ahead_plane = plane};
        rgi_conv_direct_add(s, l, t, &job, left);
        return;
    }
    rgk_conv_wide job = {
        .width = width, .plane = plane, .source = source_of(s, l, t), .weights = packed_weights(s) + at, .sum = sum};
    for (size_t first = 0, end; first < lists->n; first = end) {
        end = first;
        while (end < lists->n && lists->classes[end].remainder == lists->classes[first].remainder)
            end++;
        add_remainder(k, l, lists, first, end, &job, row, left, ahead);
    }
}

/* The sums of a block of outputs are a piece of a result in blocks: to the result, if they are not there, or the
   tail. */
static rg_status put_blocks(const rg_step *s, const rgi_conv_layout *l, const rgi_conv_part *t, size_t block)
{
    const rgi_conv_wide *w = &l->wide;
    const size_t size = rg_dtype_size(s->out_type[0].dtype), n = t->rows * w->result[2] * w->out_block;
    const char *sum = (const char *)s->scratch + w->sums_at;
    rg_status status = RG_OK;
    for (size_t m = 0; m < t->images && !status; m++, sum += n * size) {
        const size_t first = destination(s, l, t, t->image + m, block);
        if (s->tail)
            status = rgi_conv_deliver(s, sum, first, n, 1, n);
        else if (t->images > 1)
            memcpy((char *)s->out[0] + first * size, sum, n * size);
    }
    return status;
}

/* The sums of a block of outputs to the result, or to the tail. */
static rg_status put(const rg_step *s, const rgi_conv_layout *l, const rgi_conv_part *t, size_t block)
{
    const rgi_conv_wide *w = &l->wide;
    const rgk_table *k = rgi_kernels(s->out_type[0].dtype);
    const size_t size = rg_dtype_size(s->out_type[0].dtype), plane = w->result[0] * w->result[1] * w->result[2];
    const size_t width = rgi_smaller(k->conv_columns, w->outputs - block * k->conv_columns),
                 row = rgi_parts(width, k->lanes) * k->lanes, pixels = t->rows * w->result[2];
    const char *sum = (const char *)s->scratch + w->sums_at;
    rg_status status = RG_OK;
    for (size_t m = 0; m < t->images && !status; m++, sum += pixels * row * size) {
        const size_t first = destination(s, l, t, t->image + m, block);
        void *to = s->tail ? (char *)s->scratch + w->planes_at : (char *)s->out[0] + first * size;
        k->conv_wide_put(pixels, width, sum, to, s->tail ? pixels : plane);
        if (s->tail)
            status = rgi_conv_deliver(s, to, first, plane, width, pixels);
    }
    return status;
}

rg_status rgi_conv_wide_run(const rg_step *s, size_t lo, size_t hi)
{
    const rgi_conv_layout *l = s->geometry;
    const rgi_conv_wide *w = &l->wide;
    if (s->phase == 0) {
        if (packed_weights(s) == s->shared)
            rgi_conv_pack(s, 1, s->in[1], s->shared, lo, hi);
        return RG_OK;
    }
    rgi_conv_lists lists = {.runs = s->scratch,
                            .classes = (rgi_conv_class *)(void *)((char *)s->scratch + w->classes_at),
                            .terms = (size_t *)(void *)((char *)s->scratch + w->starts_at),
                            .pixels = (rgk_pixel *)(void *)((char *)s->scratch + w->pixels_at)};
    rgi_conv_part listed = {.images = 0};
    size_t present = SIZE_MAX;
    rg_status status = RG_OK;
    for (size_t task = lo; task < hi && !status; task++) {
        const size_t unit = task % w->units;
        const rgi_conv_part t = strip_at(l, task / w->units);
        if (task / w->units != present) {
            present = task / w->units;
            if (!w->direct && !w->in_block)
                copy_source(s, l, &t);
        }
        if (!w->direct &&
            (t.images != listed.images || t.depth != listed.depth || t.row != listed.row || t.rows != listed.rows)) {
            rgi_conv_list(l, &t, &lists);
            listed = t;
        }
        for (size_t b = w->blocks * unit / w->units; b < w->blocks * (unit + 1) / w->units && !status; b++) {
            add_up(s, l, &t, b, &lists);
            status = w->out_block ? put_blocks(s, l, &t, b) : put(s, l, &t, b);
        }
    }
    return status;
}
