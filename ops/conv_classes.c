/* conv_classes.c - which pixels of a strip see which terms, of a convolution with outputs along the vectors.

   Along an axis a result at i sees, at the tap with reach r = tap dilation, element origin(i) + shift of the source,
   with

       origin(i) = i stride - before,               shift = r               forwards,
       origin(i) = (i + before) / stride - most,    shift = most - r / stride   of the data gradient, where r and i +
       before
                                                    have one remainder modulo the stride; most: that of the farthest
                                                    tap.

   Pixels of one remainder that see the same taps inside of the source are a class: what lies beyond the edges is not
   multiplied. Bands are the rows, and the columns, that agree in that. Terms are numbered by remainder, tap in the
   order of the source, channel; the weights lie in that order. */
#include "conv.h"

#define MOST_BANDS 16 /* of an axis that is divided */
/* An axis of whose terms less than one in so many is beyond the edges is not, but forwards one in so many more: what is
   not divided is never read from blocks. */
#define FEW_ZEROS 25
#define FEWER_ZEROS 100
#define MOST_RUNS 1024 /* of all classes */

/* The taps of an axis that results of remainder `rest` meet, by their shift, which ascends. */
static size_t shifts_of(const rgi_conv_layout *l, int axis, size_t rest, int32_t *shift)
{
    const size_t stride = l->stride[axis];
    size_t n = 0;
    for (size_t q = 0; q < l->kernel[axis]; q++) {
        const size_t reach = (l->wide.data_grad ? l->kernel[axis] - 1 - q : q) * l->dilation[axis];
        if (!l->wide.data_grad)
            shift[n++] = (int32_t)reach;
        else if (reach % stride == rest)
            shift[n++] = (int32_t)(l->shift[axis] - reach / stride);
    }
    return n;
}

ptrdiff_t rgi_conv_origin(const rgi_conv_layout *l, int axis, size_t i)
{
    if (l->wide.data_grad)
        return (ptrdiff_t)((i + l->before[axis]) / l->stride[axis]) - (ptrdiff_t)l->shift[axis];
    return (ptrdiff_t)(i * l->stride[axis]) - (ptrdiff_t)l->before[axis];
}

static void place_of(const size_t n[3], size_t flat, size_t out[3])
{
    out[0] = flat / n[2] / n[1];
    out[1] = flat / n[2] % n[1];
    out[2] = flat % n[2];
}

/* ---- bands ---- */

/* Results first, first + step ... before end of a strip, and their taps [lo, hi). */
typedef struct band {
    size_t first, end, lo, hi;
} band;

static size_t step_of(const rgi_conv_layout *l, int axis)
{
    return l->wide.data_grad ? l->stride[axis] : 1;
}

/* The taps that result i sees within the source. */
static void inside(const rgi_conv_layout *l, int axis, size_t i, const int32_t *shift, size_t n, size_t *lo, size_t *hi)
{
    const ptrdiff_t origin = rgi_conv_origin(l, axis, i), size = (ptrdiff_t)l->wide.seen[axis];
    *lo = 0;
    *hi = n;
    if (n && origin + shift[0] >= 0 && origin + shift[n - 1] < size)
        return;
    while (*lo < n && origin + shift[*lo] < 0)
        ++*lo;
    *hi = *lo;
    while (*hi < n && origin + shift[*hi] < size)
        ++*hi;
}

/* The first of results from `begin` on that has the remainder, counted from there. */
static size_t first_of(const rgi_conv_layout *l, int axis, size_t begin, size_t rest)
{
    const size_t stride = step_of(l, axis), has = (begin + l->before[axis]) % stride;
    return (rest + stride - has) % stride;
}

/* The bands of results [begin, begin + count) of an axis; returns how many, at most MOST_BANDS are written. */
static size_t bands_of(const rgi_conv_layout *l, int axis, size_t begin, size_t count, size_t rest,
                       const int32_t *shift, size_t n, band *out)
{
    size_t bands = 0;
    band b = {0};
    for (size_t i = first_of(l, axis, begin, rest); i < count; i += step_of(l, axis)) {
        size_t lo = 0, hi = n;
        if (l->wide.divided[axis])
            inside(l, axis, begin + i, shift, n, &lo, &hi);
        if (!bands || lo != b.lo || hi != b.hi) {
            b = (band){.first = i, .lo = lo, .hi = hi};
            bands++;
        }
        b.end = i + 1;
        if (bands <= MOST_BANDS)
            out[bands - 1] = b;
    }
    return bands;
}

/* Whether enough of an axis is beyond the edges; its bands, of the remainder that has most. */
static bool divide(rgi_conv_layout *l, int axis, size_t *most)
{
    const size_t count = l->wide.result[axis];
    size_t all = 0, seen = 0;
    *most = 1;
    l->wide.divided[axis] = true;
    for (size_t rest = 0; rest < step_of(l, axis); rest++) {
        int32_t shift[RGI_CONV_TAPS];
        band b[MOST_BANDS];
        const size_t n = shifts_of(l, axis, rest, shift), bands = bands_of(l, axis, 0, count, rest, shift, n, b);
        *most = rgi_larger(*most, bands);
        for (size_t k = 0; k < bands && bands <= MOST_BANDS; k++) {
            const size_t results = rgi_parts(b[k].end - b[k].first, step_of(l, axis));
            all += results * n;
            seen += results * (b[k].hi - b[k].lo);
        }
    }
    return *most <= MOST_BANDS && (all - seen) * (l->wide.data_grad ? FEW_ZEROS : FEWER_ZEROS) >= all;
}

void rgi_conv_classes_lay_out(rgi_conv_layout *l)
{
    rgi_conv_wide *w = &l->wide;
    size_t bands[3] = {1, 1, 1};
    for (int axis = 0; axis < 3; axis++) {
        w->divided[axis] = divide(l, axis, &bands[axis]);
        /* of the first axis a strip has one element */
        if (!w->divided[axis] || axis == 0 || bands[1] * bands[2] * l->taps > MOST_RUNS) {
            w->divided[axis] = w->divided[axis] && axis == 0;
            bands[axis] = 1;
        }
    }
    w->most_classes = w->remainders * bands[1] * bands[2];
    w->most_runs = bands[1] * bands[2] * l->taps * rgi_parts(w->in_block ? w->channels : 1, rgi_larger(w->in_block, 1));
}

/* ---- lists ---- */

/* What is being listed: the strip, its remainder, the taps of each axis. */
typedef struct listing {
    const rgi_conv_layout *l;
    const rgi_conv_part *part;
    rgi_conv_lists *to;
    size_t remainder, terms, n[3], pixels, runs; /* terms: of the remainders before */
    int32_t shift[3][RGI_CONV_TAPS];
} listing;

static void add_pixels(listing *g, const band *rows, const band *columns)
{
    const rgi_conv_layout *l = g->l;
    const rgi_conv_part *t = g->part;
    const rgi_conv_wide *w = &l->wide;
    const size_t area = w->extent[0] * w->extent[1] * w->extent[2] * w->channels, width = w->result[2];
    const size_t pixel = w->in_block ? w->in_block : w->channels;
    const size_t across = (l->wide.data_grad ? 1 : l->stride[2]) * pixel;
    const ptrdiff_t left = rgi_conv_origin(l, 2, columns->first) - rgi_conv_origin(l, 2, 0);
    for (size_t m = 0; m < t->images; m++)
        for (size_t i = rows->first; i < rows->end; i += step_of(l, 1)) {
            const size_t down = (size_t)(rgi_conv_origin(l, 1, t->row + i) - rgi_conv_origin(l, 1, t->row));
            size_t from = m * area + (down * w->extent[2] + (size_t)left) * pixel, to = (m * t->rows + i) * width;
            for (size_t j = columns->first; j < columns->end; j += step_of(l, 2), from += across)
                g->to->pixels[g->pixels++] = (rgk_pixel){(int32_t)from, (int32_t)(to + j)};
        }
}

/* The terms of a tap, the first of `weights` rows: its channels lie in blocks, one behind the other plane. */
static void add_blocks(listing *g, size_t place, size_t weights)
{
    const rgi_conv_wide *w = &g->l->wide;
    const size_t plane = w->extent[1] * w->extent[2];
    for (size_t c = 0; c < w->channels; c += w->in_block)
        g->to->runs[g->runs++] =
            (rgk_run){(int32_t)(place * w->in_block + c * plane), (int32_t)w->in_block, (int32_t)(weights + c)};
}

/* The terms of taps that follow one another in the source and among the weights are one run, unless they are added at
   different times. */
static void add_runs(listing *g, const band *depth, const band *rows, const band *columns)
{
    const rgi_conv_wide *w = &g->l->wide;
    const size_t channels = w->channels, first = g->runs;
    size_t last_place = 0, last_rank = 0;
    for (size_t a = depth->lo; a < depth->hi; a++)
        for (size_t b = rows->lo; b < rows->hi; b++)
            for (size_t c = columns->lo; c < columns->hi; c++) {
                const size_t place = ((size_t)g->shift[0][a] * w->extent[1] + (size_t)g->shift[1][b]) * w->extent[2] +
                                     (size_t)g->shift[2][c];
                const size_t rank = (a * g->n[1] + b) * g->n[2] + c;
                if (w->in_block)
                    add_blocks(g, place, g->terms + rank * channels);
                else if (g->runs > first && place == last_place + 1 && rank == last_rank + 1 && rank % w->pass)
                    g->to->runs[g->runs - 1].k += (int32_t)channels;
                else
                    g->to->runs[g->runs++] = (rgk_run){(int32_t)(place * channels), (int32_t)channels,
                                                       (int32_t)(g->terms + rank * channels)};
                last_place = place;
                last_rank = rank;
            }
}

static void list_remainder(listing *g, const size_t rest[3])
{
    const rgi_conv_layout *l = g->l;
    const rgi_conv_part *t = g->part;
    const size_t begin[3] = {t->depth, t->row, 0}, count[3] = {1, t->rows, l->wide.result[2]};
    band bands[3][MOST_BANDS];
    size_t n[3];
    for (int i = 0; i < 3; i++)
        n[i] = bands_of(l, i, begin[i], count[i], rest[i], g->shift[i], g->n[i], bands[i]);
    for (size_t i = 0; n[0] && i < n[1]; i++)
        for (size_t j = 0; j < n[2]; j++) {
            rgi_conv_class *c = &g->to->classes[g->to->n++];
            *c = (rgi_conv_class){.remainder = g->remainder, .pixel = g->pixels, .run = g->runs};
            add_pixels(g, &bands[1][i], &bands[2][j]);
            add_runs(g, &bands[0][0], &bands[1][i], &bands[2][j]);
            c->pixels = g->pixels - c->pixel;
            c->runs = g->runs - c->run;
        }
}

void rgi_conv_list(const rgi_conv_layout *l, const rgi_conv_part *part, rgi_conv_lists *to)
{
    listing g = {.l = l, .part = part, .to = to};
    to->n = 0;
    for (g.remainder = 0; g.remainder < l->wide.remainders; g.remainder++) {
        size_t rest[3] = {0};
        if (l->wide.data_grad)
            place_of(l->stride, g.remainder, rest);
        for (int i = 0; i < 3; i++)
            g.n[i] = shifts_of(l, i, rest[i], g.shift[i]);
        to->terms[g.remainder] = g.terms;
        list_remainder(&g, rest);
        g.terms += g.n[0] * g.n[1] * g.n[2] * l->wide.channels;
    }
    to->terms[l->wide.remainders] = g.terms;
}

void rgi_conv_ranks(const rgi_conv_layout *l, int32_t *ranks)
{
    int32_t rank = 0;
    for (size_t r = 0; r < l->wide.remainders; r++) {
        size_t rest[3];
        place_of(l->stride, r, rest);
        for (size_t q = 0; q < l->taps; q++) {
            const size_t tap = l->wide.data_grad ? l->taps - 1 - q : q;
            size_t at[3];
            bool meets = true;
            place_of(l->kernel, tap, at);
            for (int i = 0; i < 3 && l->wide.data_grad; i++)
                meets = meets && at[i] * l->dilation[i] % l->stride[i] == rest[i];
            if (meets)
                ranks[tap] = rank++;
        }
    }
}
