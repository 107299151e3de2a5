/* conv_wide.c - convolution and its data gradient with outputs along the vectors, at concrete sizes.

   Both are sums over taps and channels of a source, x or the cotangents, for every element of a result. Along an axis a
   result at i sees the source at i stride + tap - before, or, of the gradient, at (i + before - tap) / stride where that is
   whole: so the results of one remainder of (i + before) / stride see a subset of the taps of their own.

   Phase 0 packs the weights. In phase 1 a task takes a strip of rows of one or several images and some of the outputs. It
   copies what the strip sees, by pixels and padded with zeros, and goes over its outputs vectors by vectors. */
#include "conv.h"

#include <string.h>

#define SOURCE_BYTES ((size_t)384 << 10) /* of a strip's copy: within L2 */
#define MOST_PIXELS 256                  /* of a strip: their sums stay beside the weights in L2 */
#define FEW_PIXELS 128                   /* of a plane: several images make a strip */
#define LEAST_TASKS 16                   /* wanted */
#define LEAST_TERMS 768                  /* of the weights that go with all pixels at a time */
#define MOST_TAPS 512                    /* of a kernel */
#define FEW_TERMS 16                     /* below which bringing sums into planes costs more than all the rest */

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
    w->used = worth(k, w->outputs, w->channels * l->taps) && l->taps <= MOST_TAPS && w->result[0] && w->result[1] &&
              w->result[2];
    if (!w->used)
        return;
    const size_t height = w->result[1], width = w->result[2], plane = height * width;
    size_t rows = rgi_smaller(rgi_larger(MOST_PIXELS / width, 1), height);
    while (rows > 1 && copy_bytes(l, rows, 1, size) > SOURCE_BYTES)
        rows--;
    w->strips = rgi_parts(height, rows);
    w->rows = rgi_parts(height, w->strips);
    w->strips = rgi_parts(height, w->rows);
    size_t images = w->strips > 1 || plane > FEW_PIXELS || w->result[0] > 1 ? 1 : rgi_larger(MOST_PIXELS / plane, 1);
    images = rgi_larger(rgi_smaller(images, l->n), 1);
    while (images > 1 && copy_bytes(l, w->rows, images, size) > SOURCE_BYTES)
        images--;
    w->packs = rgi_parts(l->n, images);
    w->images = rgi_larger(rgi_parts(l->n, rgi_larger(w->packs, 1)), 1);
    w->packs = rgi_parts(l->n, w->images);
    w->blocks = rgi_parts(w->outputs, k->conv_columns);
    const size_t strips = w->packs * l->groups * w->result[0] * w->strips;
    w->units = rgi_larger(rgi_smaller(w->blocks, rgi_parts(LEAST_TASKS, rgi_larger(strips, 1))), 1);
    w->columns = rgi_smaller(k->conv_columns, rgi_parts(w->outputs, k->lanes) * k->lanes);
    w->remainders = data_grad ? l->stride[0] * l->stride[1] * l->stride[2] : 1;
    w->terms = w->channels * l->taps;
    for (int i = 0; i < 3; i++)
        w->extent[i] = extent(l, i, i == 0 ? 1 : i == 1 ? w->rows : width);
    const size_t pixels = w->images * w->rows * width;
    w->starts_at = rgi_rounded(l->taps * sizeof(rgk_run));
    w->pixels_at = w->starts_at + rgi_rounded(2 * (w->remainders + 1) * sizeof(size_t));
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

/* ---- taps ---- */

static void place_of(const size_t n[3], size_t flat, size_t out[3])
{
    out[0] = flat / n[2] / n[1];
    out[1] = flat / n[2] % n[1];
    out[2] = flat % n[2];
}

/* The runs of terms of each remainder, those of remainder r from starts[r] on; and the rank among all taps of each: where
   its weights stand, in units of channels. Both lists are optional. */
static void list_taps(const rgi_conv_layout *l, rgk_run *runs, size_t *starts, int32_t *ranks)
{
    const rgi_conv_wide *w = &l->wide;
    size_t n = 0, rank = 0;
    for (size_t r = 0; r < w->remainders; r++) {
        size_t rest[3], last = 0;
        place_of(l->stride, r, rest);
        if (starts)
            starts[r] = n;
        const size_t first = n;
        for (size_t q = 0; q < l->taps; q++) { /* in the order of the source */
            const size_t tap = w->data_grad ? l->taps - 1 - q : q;
            size_t at[3], source = 0;
            bool meets = true;
            place_of(l->kernel, tap, at);
            for (int i = 0; i < 3; i++) {
                const size_t reach = at[i] * l->dilation[i];
                meets = meets && (!w->data_grad || reach % l->stride[i] == rest[i]);
                source = source * w->extent[i] + (w->data_grad ? l->shift[i] - reach / l->stride[i] : reach);
            }
            if (!meets)
                continue;
            if (ranks)
                ranks[tap] = (int32_t)rank;
            rank++;
            if (!runs)
                continue;
            if (n > first && source == last + 1)
                runs[n - 1].k += (int32_t)w->channels;
            else
                runs[n++] = (rgk_run){(int32_t)(source * w->channels), (int32_t)w->channels};
            last = source;
        }
    }
    if (starts)
        starts[w->remainders] = n;
}

/* ---- weights ---- */

size_t rgi_conv_packed(const rg_step *s, size_t i, size_t *tasks)
{
    const rgi_conv_layout *l = s->geometry;
    *tasks = l->groups * l->wide.blocks;
    return i == 1 && l->wide.used ? rgi_rounded(*tasks * packed_block(l, rg_dtype_size(s->out_type[0].dtype))) : 0;
}

/* Blocks [lo, hi) of outputs of all groups. Of the forward pass the taps of several channels lie in a row. */
void rgi_conv_pack(const rg_step *s, size_t i, const void *from, void *to, size_t lo, size_t hi)
{
    const rgi_conv_layout *l = s->geometry;
    const rgi_conv_wide *w = &l->wide;
    const rgk_table *k = rgi_kernels(s->out_type[0].dtype);
    const size_t size = rg_dtype_size(s->out_type[0].dtype), most = w->data_grad ? 1 : MOST_TAPS / l->taps;
    int32_t ranks[MOST_TAPS] = {0}, at[MOST_TAPS];
    (void)i;
    list_taps(l, NULL, NULL, ranks);
    for (size_t first = 0, n; first < (w->data_grad ? 1 : w->channels); first += n) {
        n = rgi_smaller(most, w->channels - first);
        for (size_t c = 0; c < n; c++)
            for (size_t t = 0; t < l->taps; t++)
                at[c * l->taps + t] = (int32_t)((size_t)ranks[t] * w->channels + first + c);
        rgk_conv_pack p = {.channels = 1, .taps = n * l->taps, .output_step = w->terms, .at = at};
        if (w->data_grad)
            p = (rgk_conv_pack){w->channels, l->taps, l->taps, w->outputs * l->taps, at};
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

typedef struct strip {
    size_t image, images, group, depth, row, rows;
} strip;

static strip strip_at(const rgi_conv_layout *l, size_t task)
{
    const rgi_conv_wide *w = &l->wide;
    strip t = {.row = task % w->strips * w->rows};
    task /= w->strips;
    t.depth = task % w->result[0];
    task /= w->result[0];
    t.group = task % l->groups;
    t.image = task / l->groups * w->images;
    t.images = rgi_smaller(w->images, l->n - t.image);
    t.rows = rgi_smaller(w->rows, w->result[1] - t.row);
    return t;
}

/* The first element of the source that a strip starting at `first` sees. */
static ptrdiff_t begin_of(const rgi_conv_layout *l, int axis, size_t first)
{
    if (l->wide.data_grad)
        return (ptrdiff_t)((first + l->before[axis]) / l->stride[axis]) - (ptrdiff_t)l->shift[axis];
    return (ptrdiff_t)(first * l->stride[axis]) - (ptrdiff_t)l->before[axis];
}

static void copy_source(const rg_step *s, const rgi_conv_layout *l, const strip *t)
{
    const rgi_conv_wide *w = &l->wide;
    const rgk_table *k = rgi_kernels(s->out_type[0].dtype);
    const size_t size = rg_dtype_size(s->out_type[0].dtype), pixel = w->channels * size;
    const size_t plane = w->seen[0] * w->seen[1] * w->seen[2];
    const ptrdiff_t d0 = begin_of(l, 0, t->depth), h0 = begin_of(l, 1, t->row), x0 = begin_of(l, 2, 0);
    const size_t left = x0 < 0 ? rgi_smaller((size_t)-x0, w->extent[2]) : 0, skipped = x0 > 0 ? (size_t)x0 : 0;
    const size_t there = rgi_smaller(w->seen[2] > skipped ? w->seen[2] - skipped : 0, w->extent[2] - left);
    char *to = (char *)s->scratch + w->copy_at;
    for (size_t image = t->image; image < t->image + t->images; image++) {
        const char *planes = (const char *)s->in[0] + (image * l->groups + t->group) * w->channels * plane * size;
        for (size_t i = 0; i < w->extent[0]; i++)
            for (size_t j = 0; j < w->extent[1]; j++, to += w->extent[2] * pixel) {
                const ptrdiff_t d = d0 + (ptrdiff_t)i, h = h0 + (ptrdiff_t)j;
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

/* How far from the beginning of its copy a result sees its first element, and its remainder. */
static size_t seen_from(const rgi_conv_layout *l, int axis, size_t first, size_t i, size_t *rest)
{
    const size_t stride = l->stride[axis], at = first + i + l->before[axis];
    *rest = l->wide.data_grad ? at % stride : 0;
    return l->wide.data_grad ? at / stride - (first + l->before[axis]) / stride : i * stride;
}

/* The pixels of a strip by remainder, those of remainder r from starts[r] on. */
static void list_pixels(const rgi_conv_layout *l, const strip *t, rgk_pixel *pixels, size_t *starts)
{
    const rgi_conv_wide *w = &l->wide;
    const size_t width = w->result[2], area = w->extent[0] * w->extent[1] * w->extent[2];
    size_t n = 0, rest[3];
    seen_from(l, 0, t->depth, 0, &rest[0]);
    for (size_t r = 0; r < w->remainders; r++) {
        size_t of[3];
        place_of(l->stride, r, of);
        starts[r] = n;
        if (rest[0] != of[0] && w->data_grad)
            continue;
        for (size_t m = 0; m < t->images; m++)
            for (size_t i = 0; i < t->rows; i++) {
                const size_t h = seen_from(l, 1, t->row, i, &rest[1]);
                if (w->data_grad && rest[1] != of[1])
                    continue;
                const size_t step = w->data_grad ? l->stride[2] : 1;
                size_t j = w->data_grad ? (of[2] + l->stride[2] - l->before[2] % l->stride[2]) % l->stride[2] : 0;
                for (; j < width; j += step) {
                    const size_t x = seen_from(l, 2, 0, j, &rest[2]);
                    pixels[n++] = (rgk_pixel){(int32_t)((m * area + h * w->extent[2] + x) * w->channels),
                                              (int32_t)((m * t->rows + i) * width + j)};
                }
            }
    }
    starts[w->remainders] = n;
}

/* The element of the result where block `block` of a strip's outputs begins. */
static size_t destination(const rg_step *s, const rgi_conv_layout *l, const strip *t, size_t image, size_t block)
{
    const rgi_conv_wide *w = &l->wide;
    const size_t columns = rgi_kernels(s->out_type[0].dtype)->conv_columns;
    const size_t channel = (image * l->groups + t->group) * w->outputs + block * columns;
    return ((channel * w->result[0] + t->depth) * w->result[1] + t->row) * w->result[2];
}

/* Block `block` of outputs of a strip: sums[pixel][output]. */
static void add_up(const rg_step *s, const rgi_conv_layout *l, const strip *t, size_t block, const rgk_run *runs,
                   const size_t *run_starts, const rgk_pixel *pixels, const size_t *pixel_starts)
{
    const rgi_conv_wide *w = &l->wide;
    const rgk_table *k = rgi_kernels(s->out_type[0].dtype);
    const size_t size = rg_dtype_size(s->out_type[0].dtype);
    const size_t width = rgi_smaller(k->conv_columns, w->outputs - block * k->conv_columns),
                 row = rgi_parts(width, k->lanes) * k->lanes * size;
    const char *weights = packed_weights(s) + (t->group * w->blocks + block) * packed_block(l, size);
    const char *end_of_weights = packed_weights(s) + l->groups * w->blocks * packed_block(l, size);
    rgk_conv_wide job = {.width = width,
                         .plane = w->result[0] * w->result[1] * w->result[2],
                         .source = (const char *)s->scratch + w->copy_at,
                         .sum = (char *)s->scratch + w->sums_at};
    const void *ahead = s->tail ? NULL : (const char *)s->out[0] + destination(s, l, t, t->image, block) * size;
    for (size_t r = 0; r < w->remainders; r++) {
        size_t from = run_starts[r];
        const size_t end = run_starts[r + 1];
        job.pixel = pixels + pixel_starts[r];
        job.pixels = pixel_starts[r + 1] - pixel_starts[r];
        job.fresh = true;
        do {
            size_t to = from, terms = 0;
            while (to < end && terms < LEAST_TERMS)
                terms += (size_t)runs[to++].k;
            job.weights = weights;
            job.ahead = to == end && t->images == 1 ? ahead : NULL;
            job.run = runs + from;
            job.runs = to - from;
            weights += terms * row;
            job.next = weights;
            job.next_bytes = rgi_smaller(terms * row, (size_t)(end_of_weights - weights));
            k->conv_wide(&job);
            job.fresh = false;
            from = to;
        } while (from < end);
    }
}

/* The sums of a block of outputs to the result, or to the tail. */
static rg_status put(const rg_step *s, const rgi_conv_layout *l, const strip *t, size_t block)
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
    rgk_run *runs = s->scratch;
    size_t *run_starts = (size_t *)(void *)((char *)s->scratch + w->starts_at),
           *pixel_starts = run_starts + w->remainders + 1, present = SIZE_MAX;
    rgk_pixel *pixels = (rgk_pixel *)(void *)((char *)s->scratch + w->pixels_at);
    list_taps(l, runs, run_starts, NULL);
    rg_status status = RG_OK;
    for (size_t task = lo; task < hi && !status; task++) {
        const size_t unit = task % w->units;
        const strip t = strip_at(l, task / w->units);
        if (task / w->units != present) {
            present = task / w->units;
            copy_source(s, l, &t);
            list_pixels(l, &t, pixels, pixel_starts);
        }
        for (size_t b = w->blocks * unit / w->units; b < w->blocks * (unit + 1) / w->units && !status; b++) {
            add_up(s, l, &t, b, runs, run_starts, pixels, pixel_starts);
            status = put(s, l, &t, b);
        }
    }
    return status;
}
