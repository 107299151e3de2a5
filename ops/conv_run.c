/* conv_run.c - convolution and its weight gradient at concrete sizes: strips of an image, a padded copy of what a strip
   sees, terms.

   For a tap u = k dilation, output p sees input p stride + u - before. In a copy whose elements are sorted by their
   remainder modulo the stride, that is a shift by u / stride within the part of remainder u % stride: strided and
   dilated convolutions have unit stride there, and one list of offsets serves every output. The data gradient is the
   same with roles exchanged: inputs of one remainder see cotangents under a fixed subset of the taps. The weight
   gradient of many outputs takes elements of the source one by one, wherever they are: nothing is sorted for it. */
#include "blocks.h"
#include "conv.h"

#include <string.h>

#define SOURCE_BYTES ((size_t)256 << 10) /* of a strip's copy: within L2 */
#define TURNED_BYTES ((size_t)512 << 10) /* of cotangents that a strip of the weight gradient turns: the same */
#define NEAR_PIXELS 256   /* of a strip of it whose source is read where it lies: cotangents of a block stay in L1 */
#define LEAST_COLUMNS 128 /* of a strip, so that tiles are full */
#define LEAST_TASKS 16    /* wanted, if strips can be made short enough */
#define SUM_BYTES ((size_t)8 << 20) /* of partial sums of a weight gradient */
#define MOST_CHUNKS 64
#define CHUNK_PIXELS 256                  /* of a chunk of images at least: its sums are written and read once more */
#define LEAST_UNITS 8                     /* tasks of a weight gradient wanted */
#define TAIL_ROWS 16                      /* of weights that are handed to a tail at a time */
#define GATHERED_PIXELS 256               /* of several images in a strip of it */
#define SUM_TASK 65536                    /* elements of a task that adds them */
#define FEW_TERMS 15                      /* whose elements are gathered, if outputs are many: */
#define MANY_OUTPUTS 16                   /* then that is little beside the sums */
#define GATHERED_BYTES ((size_t)64 << 10) /* of a strip */

/* ---- layout ---- */

/* Which of a step's types are those of x, w and y; planes[]: room for what lies in blocks, seen as planes. */
typedef struct roles {
    const rg_shape *x, *w, *y;
    bool data_grad, weight_grad;
} roles;

static roles roles_of(const rg_step *s, rg_shape planes[2])
{
    roles r = {.data_grad = s->op->run == rgi_conv_data_grad_run,
               .weight_grad = s->op->run == rgi_conv_weight_grad_run};
    r.x = &s->in_type[r.data_grad ? 2 : 0].shape;
    r.w = &s->in_type[r.weight_grad ? 2 : 1].shape;
    r.y = r.data_grad ? &s->in_type[0].shape : r.weight_grad ? &s->in_type[1].shape : &s->out_type[0].shape;
    if (s->op == &rgi_op_conv_blocks) {
        const rgi_conv_blocks *a = s->attr;
        planes[0] = rgi_conv_planes(r.x, a->in);
        planes[1] = rgi_conv_planes(r.y, a->out);
        r.x = &planes[0];
        r.y = &planes[1];
    }
    return r;
}

/* Elements of the source along an axis that n outputs see by one tap. */
static size_t span(const rgi_conv_layout *l, int axis, size_t n)
{
    return n ? (n - 1) * (l->stride[axis] / l->sorted[axis]) + 1 : 0;
}

/* Rows of a strip: of outputs, or of the steps of the data gradient. Columns: outputs whose cotangents are turned at a
   time, of the weight gradient. */
static void cut_strips(rgi_conv_layout *l, size_t size, size_t depth, size_t rows, size_t width, size_t planes,
                       bool tasks, size_t columns)
{
    const size_t phases = l->phases[0] * l->phases[1] * l->phases[2];
    const size_t across = span(l, 2, width) + l->shift[2];
    const size_t row = planes * phases * (1 + l->shift[0]) * across * size;
    const size_t fit = SOURCE_BYTES / rgi_larger(row, 1), images = rgi_larger(l->n * l->groups * depth, 1);
    const size_t least = rgi_parts(LEAST_COLUMNS, width + l->shift[2]),
                 wanted = rgi_parts(rows, rgi_parts(LEAST_TASKS, images));
    size_t most = fit > l->shift[1] ? (fit - l->shift[1] - 1) / (l->stride[1] / l->sorted[1]) + 1 : 1;
    if (tasks)
        most = rgi_smaller(most, rgi_larger(wanted, least));
    else
        most = rgi_smaller(most, TURNED_BYTES / rgi_larger(rgi_smaller(l->out_planes, columns) * width * size, 1));
    l->rows = rgi_even(rows, rgi_larger(most, least));
    l->strips = rgi_parts(rows, l->rows);
    l->source[0] = 1 + l->shift[0];
    l->source[1] = span(l, 1, l->rows) + l->shift[1];
    l->source[2] = across;
    l->source_bytes = planes * phases * l->source[0] * l->source[1] * l->source[2] * size;
}

/* Chunks of images whose sums are added up apart: equal ones, if they need not be half as many for that. */
static size_t chunks_of(const rgi_conv_layout *l, size_t size)
{
    const size_t together = rgi_parts(CHUNK_PIXELS, rgi_larger(l->outputs, 1));
    const size_t most = rgi_smaller(rgi_smaller(rgi_larger(l->n / together, rgi_smaller(l->n, 1)), MOST_CHUNKS),
                                    rgi_larger(SUM_BYTES / rgi_larger(l->room * l->groups * size, 1), 1));
    for (size_t n = most; 2 * n > most; n--)
        if (l->n % n == 0)
            return n;
    return most;
}

/* Small images are put together to strips of the weight gradient, so that its sums are gone over less often. */
static void gather_images(rgi_conv_layout *l, size_t bytes, bool whole)
{
    const size_t plane = rgi_larger(l->outputs, 1), least = l->n / rgi_larger(l->chunks, 1);
    if (l->strips != 1 || l->out[0] != 1)
        return;
    l->images = rgi_smaller(GATHERED_PIXELS / plane, least);
    if (!whole)
        l->images = rgi_smaller(l->images, 2 * SOURCE_BYTES / rgi_larger(bytes, 1));
    l->images = rgi_larger(l->images, 1);
}

/* Tasks of a weight gradient whose outputs are added up so many at a time. */
static size_t units_of(const rgi_conv_layout *l, size_t unit)
{
    return rgi_larger(l->chunks, 1) * l->groups * rgi_parts(l->out_planes, unit);
}

/* Where kernels go over planes by steps of one, the weight gradient reads the source where it lies. */
static void read_directly(rgi_conv_layout *l, const rgk_table *k)
{
    bool fits = l->kernel[0] == 1 && l->in[0] == 1 && l->out[0] == 1 && !l->whole;
    for (int i = 0; i < 3; i++)
        fits = fits && l->stride[i] == 1 && l->dilation[i] == 1;
    l->direct = fits && k->conv_grad_direct(l->out_planes, l->terms, l->kernel[2]);
    if (!l->direct)
        return;
    l->whole = true;
    l->source_bytes = 0;
    l->rows = rgi_even(l->out[1], NEAR_PIXELS / rgi_larger(l->out[2], 1));
    l->strips = rgi_parts(l->out[1], l->rows);
}

/* Few terms of many outputs, which are written, or read, without gaps then: there is more of them than to compute. */
static bool worth_gathering(const rgi_conv_layout *l)
{
    return l->terms <= FEW_TERMS && l->out_planes >= MANY_OUTPUTS && l->taps > 1 && l->in[0] == 1 && l->out[0] == 1 &&
           l->kernel[0] == 1 && l->before[0] == 0 && l->out[1] > 1;
}

static void gather(rgi_conv_layout *l, size_t size)
{
    const size_t row = l->terms * l->out[2] * size;
    l->gathered = true;
    l->whole = false;
    l->rows = rgi_smaller(l->rows, rgi_larger(GATHERED_BYTES / rgi_larger(row, 1), 1));
    l->strips = rgi_parts(l->out[1], rgi_larger(l->rows, 1));
    l->source_bytes = l->rows * row;
}

/* Of places i step + j other - before on an axis of `in` elements, for i < n and j < m: where steps are so long that
   one i at most meets elements, as long as that needs. Each i and j meet what they met. */
static void shorten(size_t *step, size_t n, size_t other, size_t m, size_t in, size_t *before)
{
    const size_t reach = m ? (m - 1) * other : 0, enough = rgi_larger(in + reach, 1);
    if (!n || !m || *step <= enough)
        return;
    const size_t i = *before > reach ? rgi_parts(*before - reach, *step) : 0;
    const bool meets = i < n && i * *step < in + *before;
    *before = meets ? *before - i * (*step - enough) : (n - 1) * enough + reach + 1;
    *step = enough;
}

static rg_status run_pixels(const rg_step *s, size_t lo, size_t hi);

void rgi_conv_lay_out(const rg_step *s, void *out)
{
    const rgi_conv *a = s->attr;
    const bool blocks = s->op == &rgi_op_conv_blocks;
    rg_shape seen_as[2];
    const roles r = roles_of(s, seen_as);
    const size_t size = rg_dtype_size(s->out_type[0].dtype);
    rgi_conv_layout l = {.n = (size_t)r.x->dim[0], .taps = 1, .inputs = 1, .outputs = 1, .whole = true};
    l.in_planes = (size_t)r.w->dim[1];
    l.groups = (size_t)r.x->dim[1] / l.in_planes;
    l.out_planes = (size_t)r.w->dim[0] / l.groups;
    const rgk_table *const k = rgi_kernels(s->out_type[0].dtype);
    size_t terms = l.in_planes; /* of a weight gradient */
    for (int i = 2; i < r.w->rank; i++)
        terms *= (size_t)r.w->dim[i];
    for (int i = 0; i < 3; i++) {
        const int at = 2 + i - 3 + (int)a->rank;
        const bool used = at >= 2;
        l.in[i] = used ? (size_t)r.x->dim[at] : 1;
        l.kernel[i] = used ? (size_t)r.w->dim[at] : 1;
        l.out[i] = used ? (size_t)r.y->dim[at] : 1;
        l.stride[i] = (size_t)a->stride[i];
        l.dilation[i] = (size_t)a->dilation[i];
        l.before[i] = (size_t)a->before[i];
        l.taps *= l.kernel[i];
        l.inputs *= l.in[i];
        l.outputs *= l.out[i];
        shorten(&l.stride[i], l.out[i], l.dilation[i], l.kernel[i], l.in[i], &l.before[i]);
        shorten(&l.dilation[i], l.kernel[i], l.stride[i], l.out[i], l.in[i], &l.before[i]);
        const size_t reach = (l.kernel[i] - 1) * l.dilation[i];
        /* beyond the edges steps may be far longer than kernels: what no tap sees is not copied */
        const bool seen = reach + 1 >= l.stride[i] || (a->before[i] == 0 && a->after[i] == 0);
        l.sorted[i] = seen && r.weight_grad && k->conv_grad_steps(l.out_planes, terms) ? 1 : l.stride[i];
        l.shift[i] = reach / l.sorted[i];
        l.phases[i] = r.data_grad ? 1 : rgi_smaller(l.sorted[i], reach + 1);
        l.first[i] = l.before[i] / l.stride[i];
        l.count[i] = (l.in[i] - 1 + l.before[i]) / l.stride[i] + 1 - l.first[i];
        l.whole = l.whole && l.sorted[i] == 1 && l.before[i] == 0 && (r.data_grad ? reach == 0 : a->after[i] == 0);
    }
    const size_t planes = r.data_grad ? l.out_planes : l.in_planes;
    if (r.data_grad)
        cut_strips(&l, size, l.count[0], l.count[1], l.count[2], planes, true, 0);
    else
        cut_strips(&l, size, l.out[0], l.out[1], l.out[2], planes, !r.weight_grad, k->conv_columns);
    l.terms = planes * l.taps;
    l.source_bytes = l.whole ? 0 : l.source_bytes;
    l.images = 1;
    rgi_conv_depthwise_lay_out(&l, r.data_grad, r.weight_grad, size);
    if (r.weight_grad) {
        if (!l.depthwise.used)
            read_directly(&l, k);
        if (!l.depthwise.used && !k->conv_grad_steps(l.out_planes, l.terms) && worth_gathering(&l))
            gather(&l, size);
        l.room = k->conv_grad_room(l.out_planes, l.terms);
        l.unit = k->conv_grad_unit(l.out_planes, l.terms);
        l.chunks = chunks_of(&l, size);
        /* outputs that are added up together see the same copy of the source */
        for (int i = 0; (l.gathered ? l.unit < l.out_planes : i < 1) && units_of(&l, 2 * l.unit) >= LEAST_UNITS; i++)
            l.unit *= 2;
        l.units = rgi_parts(l.out_planes, l.unit);
        gather_images(&l, l.source_bytes, l.whole);
    } else if (!l.depthwise.used) {
        if (blocks) {
            l.wide.in_block = (size_t)((const rgi_conv_blocks *)s->attr)->in;
            l.wide.out_block = (size_t)((const rgi_conv_blocks *)s->attr)->out;
        }
        rgi_conv_product_lay_out(&l, r.data_grad, s->tail != NULL, k, size);
        /* by steps of more than one, pixels of which few are seen are copied for either */
        if (!l.product.used || (l.product.steps && !r.data_grad))
            rgi_conv_wide_lay_out(&l, r.data_grad, s->tail != NULL, k, size);
        l.product.used = l.product.used && !l.wide.used;
        if (!r.data_grad && !l.product.used && !l.wide.used && worth_gathering(&l))
            gather(&l, size);
    }
    l.run = l.depthwise.used ? rgi_conv_depthwise_run
            : l.product.used ? rgi_conv_product_run
            : l.wide.used    ? rgi_conv_wide_run
            : r.data_grad    ? rgi_conv_data_grad_run_pixels
                             : run_pixels;
    l.source_at = rgi_rounded(l.terms * sizeof(rgk_term));
    l.source_bytes = l.whole ? 0 : l.images * l.source_bytes + 64; /* a vector beyond */
    l.starts_at = l.source_at + rgi_rounded(l.source_bytes);
    l.turned_at = l.planes_at = l.starts_at;
    memmove(out, &l, sizeof l); /* a call: word by word it takes several times as long */
}

void rgi_conv_cost(const rg_step *s, rg_cost *cost)
{
    const rgi_conv_layout *l = s->geometry;
    rg_shape seen_as[2];
    const roles r = roles_of(s, seen_as);
    const size_t size = rg_dtype_size(s->out_type[0].dtype);
    cost->flops = 2.0 * (double)l->n * (double)l->groups * (double)l->out_planes * (double)l->outputs *
                  (double)l->in_planes * (double)l->taps;
    cost->bytes = rgi_bytes(s);
    cost->scratch = l->starts_at;
    if (l->depthwise.used && !r.weight_grad) {
        rgi_conv_depthwise_cost(s, l, cost);
    } else if (l->product.used) {
        rgi_conv_product_cost(s, l, cost);
    } else if (l->wide.used) {
        rgi_conv_wide_cost(l, size, cost);
    } else if (r.weight_grad) {
        const size_t sums = l->groups * l->room;
        cost->tasks[0] = rgi_larger(l->chunks, 1) * l->groups * l->units;
        cost->tasks[1] = l->chunks > 1 ? rgi_parts(sums, SUM_TASK) : l->groups * l->units;
        cost->tasks[2] = l->chunks > 1 ? l->groups * l->units : 0;
        cost->shared = (l->chunks + (l->chunks > 1)) * sums * size;
        cost->scratch += rgi_kernels(s->out_type[0].dtype)
                             ->conv_grad_scratch(l->out_planes, l->terms, l->images * l->rows * l->out[2]);
        if (s->tail)
            cost->scratch = rgi_larger(cost->scratch, rgi_rounded(TAIL_ROWS * l->terms * size));
    } else if (r.data_grad) {
        rgi_conv_data_grad_cost(s, l, cost);
    } else {
        cost->tasks[0] = l->n * l->groups * l->out[0] * l->strips;
        cost->scratch += s->tail ? l->out_planes * l->rows * l->out[2] * size : 0;
    }
}

/* ---- forward ---- */

/* Where the source of a tap begins, by plane, remainder and shift. */
static void forward_terms(const rgi_conv_layout *l, rgk_term *t)
{
    const size_t *n = l->whole ? l->in : l->source, *f = l->phases;
    const size_t plane = l->gathered ? l->rows * l->out[2] : n[0] * n[1] * n[2],
                 step = l->gathered ? plane : f[0] * f[1] * f[2] * plane;
    for (size_t k = 0; k < l->taps; k++) {
        const size_t tap[3] = {k / l->kernel[2] / l->kernel[1], k / l->kernel[2] % l->kernel[1], k % l->kernel[2]};
        size_t phase = 0, shift = 0;
        for (int i = 0; i < 3; i++) {
            const size_t reach = tap[i] * l->dilation[i];
            phase = phase * f[i] + reach % l->sorted[i];
            shift = shift * n[i] + reach / l->sorted[i];
        }
        size_t from = l->gathered ? k * l->in_planes * plane : phase * plane + shift;
        for (size_t c = 0, at = k; c < l->in_planes; c++, at += l->taps, from += step)
            t[at] = (rgk_term){(int32_t)from, (int32_t)at};
    }
}

rgi_conv_part rgi_conv_strip(const rgi_conv_layout *l, size_t depth, size_t height, size_t task)
{
    rgi_conv_part t = {.images = 1, .row = task % l->strips * l->rows};
    task /= l->strips;
    t.depth = task % depth;
    task /= depth;
    t.group = task % l->groups;
    t.image = task / l->groups;
    t.rows = rgi_smaller(l->rows, height - t.row);
    return t;
}

static const char *at_element(const void *p, size_t element, size_t size)
{
    return (const char *)p + element * size;
}

/* What a strip of outputs sees by each tap. */
static void gather_taps(const rg_step *s, const rgi_conv_layout *l, const char *planes, const rgi_conv_part *t,
                        char *copy)
{
    const size_t size = rg_dtype_size(s->out_type[0].dtype);
    rgk_source source = {.planes = l->in_planes,
                         .in = {1, l->in[1], l->in[2]},
                         .phases = {1, 1, 1},
                         .n = {1, l->rows, l->out[2]},
                         .step = {1, l->stride[1], l->stride[2]}};
    for (size_t k = 0; k < l->taps; k++) {
        const size_t tap[3] = {0, k / l->kernel[2], k % l->kernel[2]}, at[3] = {0, t->row, 0};
        for (int i = 1; i < 3; i++)
            source.first[i] = (ptrdiff_t)(at[i] * l->stride[i] + tap[i] * l->dilation[i]) - (ptrdiff_t)l->before[i];
        rgi_kernels(s->out_type[0].dtype)
            ->conv_source(&source, planes, copy + k * l->in_planes * l->rows * l->out[2] * size);
    }
}

/* What a strip of outputs sees of x: a copy in scratch, the `place`-th, or x itself. */
static const void *forward_source(const rg_step *s, const rgi_conv_layout *l, const void *x, const rgi_conv_part *t,
                                  size_t place)
{
    const size_t size = rg_dtype_size(s->out_type[0].dtype);
    const char *planes = at_element(x, (t->image * l->groups + t->group) * l->in_planes * l->inputs, size);
    if (l->whole) {
        const ptrdiff_t first =
            ((ptrdiff_t)(t->depth * l->stride[0] * l->in[1] + t->row * l->stride[1]) - (ptrdiff_t)l->before[1]) *
                (ptrdiff_t)l->in[2] -
            (ptrdiff_t)l->before[2];
        return planes + first * (ptrdiff_t)size;
    }
    char *copy = (char *)s->scratch + l->source_at + place * ((l->source_bytes - 64) / l->images);
    if (l->gathered) {
        gather_taps(s, l, planes, t, copy);
        return copy;
    }
    rgk_source source = {.planes = l->in_planes};
    const size_t first[3] = {t->depth, t->row, 0};
    for (int i = 0; i < 3; i++) {
        source.in[i] = l->in[i];
        source.phases[i] = l->phases[i];
        source.n[i] = l->source[i];
        source.step[i] = l->sorted[i];
        source.first[i] = (ptrdiff_t)(first[i] * l->stride[i]) - (ptrdiff_t)l->before[i];
    }
    rgi_kernels(s->out_type[0].dtype)->conv_source(&source, planes, copy);
    return copy;
}

/* Elements of the source from one row of outputs to the next. */
static size_t pitch_of(const rgi_conv_layout *l)
{
    return l->gathered ? l->out[2] : (l->whole ? l->in[2] : l->source[2]) * (l->stride[1] / l->sorted[1]);
}

/* Few outputs: pixels along the vectors. */
static rg_status run_pixels(const rg_step *s, size_t lo, size_t hi)
{
    const rgi_conv_layout *l = s->geometry;
    const rg_dtype dtype = s->out_type[0].dtype;
    const size_t size = rg_dtype_size(dtype);
    rgk_term *terms = s->scratch;
    forward_terms(l, terms);
    rg_status status = RG_OK;
    for (size_t task = lo; task < hi && !status; task++) {
        const rgi_conv_part t = rgi_conv_strip(l, l->out[0], l->out[1], task);
        const size_t first =
            (((t.image * l->groups + t.group) * l->out_planes * l->out[0] + t.depth) * l->out[1] + t.row) * l->out[2];
        const rgk_conv job = {
            .rows = l->out_planes,
            .k = l->terms,
            .terms = terms,
            .source = forward_source(s, l, s->in[0], &t, 0),
            .weights = at_element(s->in[1], t.group * l->out_planes * l->terms, size),
            .weights_row = (ptrdiff_t)l->terms,
            .height = t.rows,
            .width = l->out[2],
            .pitch = pitch_of(l),
            .y = s->tail ? (char *)s->scratch + l->planes_at : (char *)s->out[0] + first * size,
            .y_row = (ptrdiff_t)(s->tail ? t.rows * l->out[2] : l->outputs),
            .y_down = (ptrdiff_t)l->out[2],
            .y_right = 1,
        };
        rgi_kernels(dtype)->conv(&job);
        if (s->tail)
            status = rgi_conv_deliver(s, job.y, first, l->outputs, l->out_planes, t.rows * l->out[2]);
    }
    return status;
}

rg_status rgi_conv_run(const rg_step *s, size_t lo, size_t hi)
{
    return ((const rgi_conv_layout *)s->geometry)->run(s, lo, hi);
}

/* ---- weight gradient ---- */

/* What a strip of several images sees. */
static const void *sources(const rg_step *s, const rgi_conv_layout *l, const rgi_conv_part *t, size_t images)
{
    rgi_conv_part of = *t;
    if (l->whole)
        return forward_source(s, l, s->in[0], t, 0);
    for (size_t i = 0; i < images; i++) {
        of.image = t->image + i;
        forward_source(s, l, s->in[0], &of, i);
    }
    return (const char *)s->scratch + l->source_at;
}

/* Phase 0: the sums of a chunk of images for some outputs of a group. */
static void add_chunk(const rg_step *s, const rgi_conv_layout *l, const rgk_term *terms, size_t task)
{
    const rg_dtype dtype = s->out_type[0].dtype;
    const size_t size = rg_dtype_size(dtype), unit = task % l->units, group = task / l->units % l->groups,
                 chunk = task / l->units / l->groups;
    const size_t from = unit * l->unit, to = rgi_smaller(from + l->unit, l->out_planes);
    rgk_conv_grad job = {
        .rows = l->out_planes,
        .k = l->terms,
        .taps = l->stride[2] == 1 && l->dilation[2] == 1 ? l->kernel[2] : 1,
        .terms = terms,
        .pitch = pitch_of(l),
        .step = l->stride[2] / l->sorted[2],
        .dy_row = (ptrdiff_t)l->outputs,
        .dy_down = (ptrdiff_t)l->out[2],
        .dy_image = l->groups * l->out_planes * l->outputs,
        .source_image = l->whole ? l->groups * l->in_planes * l->inputs : (l->source_bytes - 64) / l->images / size,
        .direct = l->direct,
        .height_taps = l->kernel[1],
        .seen_rows = l->in[1],
        .left = l->before[2],
        .sum = (char *)s->shared + (chunk * l->groups + group) * l->room * size,
        .fresh = true,
    };
    const size_t met = l->out[2] + l->kernel[2] - 1, there = l->before[2] + l->in[2];
    job.right = met > there ? met - there : 0;
    const size_t begin = l->n * chunk / l->chunks, end = l->n * (chunk + 1) / l->chunks;
    if (l->depthwise.used) {
        rgi_conv_depthwise_sums(s, l, group, begin, end, job.sum);
        return;
    }
    for (size_t image = begin; image < end; image += l->images)
        for (size_t i = 0; i < l->out[0] * l->strips; i++) {
            rgi_conv_part t = rgi_conv_strip(l, l->out[0], l->out[1], i);
            t.image = image;
            t.group = group;
            const size_t row = ((image * l->groups + group) * l->out_planes * l->out[0] + t.depth) * l->out[1] + t.row;
            job.images = rgi_smaller(l->images, end - image);
            job.source = sources(s, l, &t, job.images);
            job.dy = at_element(s->in[1], row * l->out[2], size);
            job.height = t.rows;
            job.width = l->out[2];
            job.first_row = (ptrdiff_t)t.row - (ptrdiff_t)l->before[1];
            if (job.pitch == job.width && job.step == 1 && !l->direct) {
                job.width *= t.rows;
                job.height = 1;
            }
            rgi_kernels(dtype)->conv_grad(&job, from, to, (char *)s->scratch + l->turned_at);
            job.fresh = false;
        }
}

/* Finished sums [from, to) of a group to rows of weights; of no images they are zeros. */
static void put_rows(const rg_step *s, const rgi_conv_layout *l, const char *sums, size_t from, size_t to, void *dw)
{
    const size_t size = rg_dtype_size(s->out_type[0].dtype);
    if (l->n == 0)
        memset(dw, 0, (to - from) * l->terms * size);
    else
        rgi_kernels(s->out_type[0].dtype)->conv_grad_put(l->out_planes, l->terms, from, to, sums, dw);
}

/* The last phase: to the step's output, or, some rows at a time, to its tail. */
static rg_status put_sums(const rg_step *s, const rgi_conv_layout *l, const void *all, size_t task)
{
    const size_t size = rg_dtype_size(s->out_type[0].dtype), group = task / l->units;
    const size_t first = task % l->units * l->unit, end = rgi_smaller(first + l->unit, l->out_planes);
    const char *sums = at_element(all, group * l->room, size);
    if (!s->tail) {
        put_rows(s, l, sums, first, end, (char *)s->out[0] + (group * l->out_planes + first) * l->terms * size);
        return RG_OK;
    }
    rg_status status = RG_OK;
    for (size_t from = first; from < end && !status; from += TAIL_ROWS) {
        const size_t to = rgi_smaller(from + TAIL_ROWS, end);
        put_rows(s, l, sums, from, to, s->scratch);
        status = s->tail->take(s, &(rg_block){.data = s->scratch,
                                              .stride = l->terms,
                                              .first = (group * l->out_planes + from) * l->terms,
                                              .pitch = l->terms,
                                              .rows = to - from,
                                              .columns = l->terms});
    }
    return status;
}

rg_status rgi_conv_weight_grad_run(const rg_step *s, size_t lo, size_t hi)
{
    const rgi_conv_layout *l = s->geometry;
    const rg_dtype dtype = s->out_type[0].dtype;
    const size_t size = rg_dtype_size(dtype), sums = l->groups * l->room;
    char *all = (char *)s->shared + (l->chunks > 1 ? l->chunks * sums * size : 0);
    if (s->phase == 0 && l->n) {
        rgk_term *terms = s->scratch;
        forward_terms(l, terms);
        for (size_t task = lo; task < hi; task++)
            add_chunk(s, l, terms, task);
    } else if (s->phase == 1 && l->chunks > 1) { /* the chunks of images, in their order */
        const size_t from = lo * SUM_TASK, to = rgi_smaller(hi * SUM_TASK, sums);
        rgi_kernels(dtype)->reduce[RGK_SUM](l->chunks, to - from, sums, at_element(s->shared, from, size),
                                            all + from * size);
    } else if (s->phase > 0) {
        rg_status status = RG_OK;
        for (size_t task = lo; task < hi && !status; task++)
            status = put_sums(s, l, all, task);
        return status;
    }
    return RG_OK;
}
