/* test_conv_kernels.c - the kernels of convolution in every table: each sum against double precision and, where its
   order is one chain of multiply-adds, cut in any way, to the last bit; nothing beside the results is written. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ops/kernels/kernels.h"

static uint64_t state = 1;

static size_t draw(size_t below)
{
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (size_t)((state >> 33) % below);
}

static size_t width(const rgk_table *t)
{
    return t->type == RGK_F32 ? sizeof(float) : sizeof(double);
}

static double get(const rgk_table *t, const void *p, size_t i)
{
    return t->type == RGK_F32 ? (double)((const float *)p)[i] : ((const double *)p)[i];
}

/* n elements between two canaries, an odd number of elements from an aligned address. */
typedef struct frame {
    unsigned char *memory;
    void *at;
    size_t bytes;
} frame;

enum { CANARY = 192, MARK = 0xa5 };

static frame blank(const rgk_table *t, size_t n)
{
    frame f = {.bytes = n * width(t)};
    const size_t all = f.bytes + 2 * CANARY + width(t);
    f.memory = aligned_alloc(64, (all + 63) / 64 * 64);
    cr_assert(f.memory);
    memset(f.memory, MARK, all);
    f.at = f.memory + CANARY + width(t);
    return f;
}

static frame numbers(const rgk_table *t, size_t n)
{
    frame f = blank(t, n);
    for (size_t i = 0; i < n; i++) {
        const double x = (double)draw(2001) / 1000 - 1;
        if (t->type == RGK_F32)
            ((float *)f.at)[i] = (float)x;
        else
            ((double *)f.at)[i] = x;
    }
    return f;
}

static void end(frame *f, const char *what)
{
    const unsigned char *from = f->at;
    size_t wrong = 0;
    for (const unsigned char *p = f->memory; p < from; p++)
        wrong += *p != MARK;
    for (size_t i = 0; i < CANARY; i++)
        wrong += from[f->bytes + i] != MARK;
    cr_assert_eq(wrong, 0, "%s: memory beside it was written", what);
    free(f->memory);
}

static void each_table(void (*f)(const rgk_table *t))
{
    for (int isa = 0; isa <= RGK_AVX512; isa++)
        for (int type = 0; type < RGK_TYPE_COUNT; type++)
            if (rgk_of((rgk_isa)isa, (rgk_type)type))
                f(rgk_of((rgk_isa)isa, (rgk_type)type));
}

static void close_to(const rgk_table *t, double have, double want, double scale, const char *what)
{
    const double epsilon = t->type == RGK_F32 ? 0x1p-23 : 0x1p-52;
    cr_assert(fabs(have - want) <= 16 * epsilon * (scale + 1), "%s %s: %s is %.9g, not %.9g", rgk_isa_name(t->isa),
              t->type == RGK_F32 ? "f32" : "f64", what, have, want);
}

static size_t filled_up(const rgk_table *t, size_t outputs)
{
    return (outputs + t->lanes - 1) / t->lanes * t->lanes;
}

/* ---- outputs along the vectors ---- */

enum { RUNS = 5, PIXELS = 37, SOURCE = 700 };

/* The same sums in two calls, the second going on, and with other tiles, since pixels come in other numbers. */
static void cut(const rgk_table *t, rgk_conv_wide c, const void *whole, size_t row)
{
    frame sum = blank(t, PIXELS * row);
    const size_t runs = c.runs, pixels = c.pixels, first = 1 + draw(pixels);
    c.sum = sum.at;
    for (int part = 0; part < 4; part++) {
        rgk_conv_wide p = c;
        p.pixel += part / 2 ? first : 0;
        p.pixels = part / 2 ? pixels - first : first;
        p.fresh = part % 2 == 0;
        p.runs = part % 2 ? runs - 2 : 2;
        p.run += part % 2 ? 2 : 0;
        t->conv_wide(&p);
    }
    cr_assert(memcmp(whole, sum.at, pixels * row * width(t)) == 0, "%s: other bits when cut, width %d",
              rgk_isa_name(t->isa), (int)c.width);
    end(&sum, "sums in parts");
}

static void wide_sums(const rgk_table *t)
{
    for (size_t outputs = 1; outputs <= t->conv_columns; outputs += 1 + draw(3))
        for (size_t pixels = 1; pixels <= PIXELS; pixels += 1 + draw(9)) {
            rgk_run runs[RUNS];
            rgk_pixel pixel[PIXELS];
            size_t terms = 0;
            for (size_t r = 0; r < RUNS; r++, terms += (size_t)runs[r - 1].k + draw(3)) /* some rows are left out */
                runs[r] = (rgk_run){(int32_t)draw(300), (int32_t)(1 + draw(40)), (int32_t)terms};
            for (size_t i = 0; i < pixels; i++)
                pixel[i] = (rgk_pixel){(int32_t)draw(SOURCE - 340), (int32_t)(pixels - 1 - i)};
            const size_t row = filled_up(t, outputs);
            frame source = numbers(t, SOURCE), weights = numbers(t, terms * row), sum = blank(t, pixels * row),
                  planes = blank(t, outputs * pixels + (outputs - 1) * 3);
            const rgk_conv_wide c = {.pixels = pixels,
                                     .runs = RUNS,
                                     .width = outputs,
                                     .pixel = pixel,
                                     .run = runs,
                                     .source = source.at,
                                     .weights = weights.at,
                                     .sum = sum.at,
                                     .ahead = planes.at,
                                     .plane = pixels + 3,
                                     .next = weights.at,
                                     .next_bytes = terms * row * width(t),
                                     .fresh = true};
            t->conv_wide(&c);
            for (size_t i = 0; i < pixels; i++)
                for (size_t o = 0; o < outputs; o++) {
                    double want = 0, scale = 0;
                    for (size_t r = 0; r < RUNS; r++)
                        for (size_t l = 0; l < (size_t)runs[r].k; l++) {
                            const double product = get(t, source.at, (size_t)(pixel[i].from + runs[r].source) + l) *
                                                   get(t, weights.at, ((size_t)runs[r].weights + l) * row + o);
                            want += product;
                            scale += fabs(product);
                        }
                    close_to(t, get(t, sum.at, (size_t)pixel[i].to * row + o), want, scale, "a sum");
                }
            cut(t, c, sum.at, row);
            t->conv_wide_put(pixels, outputs, sum.at, planes.at, pixels + 3);
            for (size_t o = 0; o < outputs; o++)
                for (size_t i = 0; i < pixels; i++)
                    cr_assert_eq(get(t, planes.at, o * (pixels + 3) + i), get(t, sum.at, i * row + o));
            end(&source, "source");
            end(&weights, "weights");
            end(&sum, "sums");
            end(&planes, "planes");
        }
}

Test(conv_kernels, outputs_along_vectors)
{
    each_table(wide_sums);
}

/* The element of the source that pixel j of row h sees with tap (y, x) of channel c, 0 beyond the edges. */
static double direct_element(const rgk_table *t, const rgk_conv_direct *d, size_t image, size_t c, ptrdiff_t row,
                             ptrdiff_t column)
{
    if (row < 0 || row >= (ptrdiff_t)d->seen_rows || column < 0 || column >= (ptrdiff_t)d->seen_width)
        return 0;
    const size_t at = image * d->source_image + c * d->plane + (size_t)row * d->pitch + (size_t)column;
    return get(t, d->source, at);
}

static void direct_sum(const rgk_table *t, const rgk_conv_direct *d, size_t image, size_t h, size_t j, size_t o)
{
    double want = 0, scale = 0;
    for (size_t c = 0; c < d->channels; c++)
        for (size_t y = 0; y < d->height_taps; y++)
            for (size_t x = 0; x < d->taps; x++) {
                const double product = direct_element(t, d, image, c, d->first_row + (ptrdiff_t)(h + y),
                                                      d->first_column + (ptrdiff_t)(j + x)) *
                                       get(t, d->weights, ((c * d->height_taps + y) * d->taps + x) * d->row + o);
                want += product;
                scale += fabs(product);
            }
    close_to(t, get(t, d->sum, ((image * d->height + h) * d->width + j) * d->row + o), want, scale, "a direct sum");
}

/* The same sums, each channel in a call of its own. */
static void direct_by_channels(const rgk_table *t, rgk_conv_direct d, const void *whole, size_t elements)
{
    frame sum = blank(t, elements);
    const size_t channels = d.channels;
    d.sum = sum.at;
    d.channels = 1;
    d.begins = !d.begins;
    for (size_t c = 0; c < channels; c++, d.fresh = false) {
        t->conv_direct(&d);
        d.source = (const char *)d.source + d.plane * width(t);
        d.weights = (const char *)d.weights + d.height_taps * d.taps * d.row * width(t);
    }
    cr_assert(memcmp(whole, sum.at, elements * width(t)) == 0, "%s: other bits by channels", rgk_isa_name(t->isa));
    end(&sum, "sums in parts");
}

static void direct_sums(const rgk_table *t)
{
    for (size_t n = 0, done = 0; done < 200 && n < 4000; n++) {
        const size_t taps = n % 2 ? 3 : 5, across = 1 + draw(40), outputs = 1 + draw(t->conv_columns);
        if (!t->conv_direct_fits(taps, across, outputs))
            continue;
        done++;
        const ptrdiff_t left = -(ptrdiff_t)draw(taps);
        rgk_conv_direct d = {.channels = 1 + draw(4),
                             .height_taps = 1 + draw(5),
                             .taps = taps,
                             .outputs = outputs,
                             .row = filled_up(t, outputs),
                             .seen_rows = 1 + draw(6),
                             .seen_width = (size_t)((ptrdiff_t)across + left + (ptrdiff_t)draw(taps + 1)),
                             .first_row = (ptrdiff_t)draw(9) - 4,
                             .first_column = left,
                             .images = 1 + draw(2),
                             .height = 1 + draw(5),
                             .width = across,
                             .fresh = true,
                             .begins = n % 3 == 0};
        d.pitch = d.seen_width + draw(2);
        d.plane = d.pitch * d.seen_rows;
        d.source_image = d.plane * d.channels;
        const size_t terms = d.channels * d.height_taps * taps, pixels = d.images * d.height * across;
        frame source = numbers(t, d.source_image * d.images), weights = numbers(t, terms * d.row),
              sum = blank(t, pixels * d.row), planes = blank(t, outputs * pixels);
        d.source = source.at;
        d.weights = d.next = weights.at;
        d.next_bytes = terms * d.row * width(t);
        d.sum = sum.at;
        d.ahead = n % 5 ? planes.at : NULL;
        d.ahead_plane = pixels;
        t->conv_direct(&d);
        for (size_t i = 0; i < pixels; i++)
            for (size_t o = 0; o < outputs; o++)
                direct_sum(t, &d, i / across / d.height, i / across % d.height, i % across, o);
        direct_by_channels(t, d, sum.at, pixels * d.row);
        end(&source, "source");
        end(&weights, "weights");
        end(&sum, "sums");
        end(&planes, "planes");
    }
}

Test(conv_kernels, rows_of_kernels_in_registers)
{
    each_table(direct_sums);
}

static void layouts(const rgk_table *t)
{
    for (size_t outputs = 1; outputs <= t->conv_columns; outputs += 1 + draw(7))
        for (size_t channels = 1; channels <= 21; channels += channels < 5 ? 1 : 1 + draw(5)) {
            const size_t taps = 1 + draw(20), row = filled_up(t, outputs), n = 1 + draw(40), plane = n + draw(3);
            int32_t at[20];
            for (size_t i = 0; i < taps; i++) /* some order */
                at[i] = (int32_t)((taps - 1 - i) * channels);
            const rgk_conv_pack p = {channels, taps, taps, outputs * taps, 1, at};
            frame w = numbers(t, outputs * channels * taps), packed = blank(t, channels * taps * row);
            t->conv_wide_pack(&p, outputs, w.at, packed.at);
            for (size_t c = 0; c < channels; c++)
                for (size_t i = 0; i < taps; i++)
                    for (size_t o = 0; o < row; o++)
                        cr_assert_eq(get(t, packed.at, ((size_t)at[i] + c) * row + o),
                                     o < outputs ? get(t, w.at, (c * outputs + o) * taps + i) : 0);
            frame x = numbers(t, (channels - 1) * plane + n), y = blank(t, channels * n);
            t->conv_wide_source(channels, n, x.at, plane, y.at);
            for (size_t c = 0; c < channels; c++)
                for (size_t i = 0; i < n; i++)
                    cr_assert_eq(get(t, y.at, i * channels + c), get(t, x.at, c * plane + i));
            end(&w, "weights");
            end(&packed, "packed weights");
            end(&x, "planes");
            end(&y, "pixels");
        }
}

Test(conv_kernels, layouts)
{
    each_table(layouts);
}

/* ---- pixels along the vectors ---- */

static void plane_sums(const rgk_table *t)
{
    for (size_t i = 0; i < 250; i++) {
        const bool single = i >= 150; /* one row of weights has tiles of its own */
        const size_t rows = single ? 1 : 1 + draw(14), k = 1 + draw(20), height = 1 + draw(single ? 15 : 4),
                     across = 1 + draw(i % 3 ? 150 : 20), pitch = across + draw(across + 3),
                     right = i % 4 ? 1 : 1 + draw(3), down = across * right + draw(2), plane = height * down + draw(2);
        rgk_term terms[20];
        for (size_t l = 0; l < k; l++)
            terms[l] = (rgk_term){(int32_t)draw(30), (int32_t)draw(9)};
        const size_t seen = height * pitch + 30,
                     used = (rows - 1) * plane + (height - 1) * down + (across - 1) * right + 1;
        frame source = numbers(t, seen), weights = numbers(t, rows * 11), y = blank(t, used);
        unsigned char *touched = calloc(used, 1);
        cr_assert(touched);
        t->conv(&(rgk_conv){.rows = rows,
                            .k = k,
                            .terms = terms,
                            .source = source.at,
                            .weights = weights.at,
                            .weights_row = 11,
                            .height = height,
                            .width = across,
                            .pitch = pitch,
                            .y = y.at,
                            .y_row = (ptrdiff_t)plane,
                            .y_down = (ptrdiff_t)down,
                            .y_right = (ptrdiff_t)right});
        for (size_t o = 0; o < rows; o++)
            for (size_t h = 0; h < height; h++)
                for (size_t x = 0; x < across; x++) {
                    double want = 0, scale = 0;
                    for (size_t l = 0; l < k; l++) {
                        const double product = get(t, source.at, h * pitch + x + (size_t)terms[l].source) *
                                               get(t, weights.at, o * 11 + (size_t)terms[l].weight);
                        want += product;
                        scale += fabs(product);
                    }
                    touched[o * plane + h * down + x * right] = 1;
                    close_to(t, get(t, y.at, o * plane + h * down + x * right), want, scale, "an output");
                }
        for (size_t e = 0; e < used * width(t); e++)
            cr_assert(touched[e / width(t)] || ((unsigned char *)y.at)[e] == MARK, "memory between rows was written");
        free(touched);
        end(&source, "source");
        end(&weights, "weights");
        end(&y, "outputs");
    }
}

Test(conv_kernels, pixels_along_vectors)
{
    each_table(plane_sums);
}

static void sources(const rgk_table *t)
{
    for (int i = 0; i < 200; i++) {
        rgk_source s = {.planes = 1 + draw(3)};
        size_t elements = s.planes, all = s.planes, p[3];
        for (int a = 0; a < 3; a++) {
            s.in[a] = a == 0 && i % 2 ? 1 : 1 + draw(a == 2 ? 40 : 6);
            s.n[a] = a == 0 && i % 2 ? 1 : 1 + draw(a == 2 ? 50 : 8);
            s.step[a] = i % 3 == 0 ? 1 + draw(3) : 1;
            s.phases[a] = 1 + draw(s.step[a]);
            s.first[a] = a == 0 && i % 2 ? 0 : (ptrdiff_t)draw(7) - 3;
            elements *= s.in[a];
            all *= s.n[a] * s.phases[a];
        }
        frame x = numbers(t, elements), y = blank(t, all + t->lanes);
        t->conv_source(&s, x.at, y.at);
        size_t e = 0, at[3];
        for (size_t c = 0; c < s.planes; c++)
            for (p[0] = 0; p[0] < s.phases[0]; p[0]++)
                for (p[1] = 0; p[1] < s.phases[1]; p[1]++)
                    for (p[2] = 0; p[2] < s.phases[2]; p[2]++)
                        for (at[0] = 0; at[0] < s.n[0]; at[0]++)
                            for (at[1] = 0; at[1] < s.n[1]; at[1]++)
                                for (at[2] = 0; at[2] < s.n[2]; at[2]++, e++) {
                                    size_t from = c;
                                    bool there = true;
                                    for (int a = 0; a < 3; a++) {
                                        const ptrdiff_t q = s.first[a] + (ptrdiff_t)(p[a] + at[a] * s.step[a]);
                                        there = there && q >= 0 && q < (ptrdiff_t)s.in[a];
                                        from = from * s.in[a] + (size_t)(there ? q : 0);
                                    }
                                    cr_assert_eq(get(t, y.at, e), there ? get(t, x.at, from) : 0);
                                }
        end(&x, "planes");
        end(&y, "copy");
    }
}

Test(conv_kernels, copies_of_the_source)
{
    each_table(sources);
}

/* ---- the gradient of the weights ---- */

static void weight_sums(const rgk_table *t)
{
    static const size_t outputs_of[] = {1, 3, 5, 16, 31, 48, 64, 70};
    for (size_t q = 0; q < sizeof outputs_of / sizeof *outputs_of; q++) {
        size_t taps = 1 + draw(5);
        const size_t rows = outputs_of[q], k = (1 + draw(9)) * taps, images = 1 + draw(3), height = 1 + draw(4),
                     across = 1 + draw(40), step = t->conv_grad_steps(rows, k) ? 1 + draw(3) : 1,
                     pitch = across * step + draw(3), plane = height * across + draw(2);
        taps = step > 1 ? 1 : taps;
        const size_t seen = images * height * pitch + 50;
        rgk_term terms[45];
        for (size_t l = 0; l < k; l++)
            terms[l] = (rgk_term){l % taps ? terms[l - 1].source + 1 : (int32_t)draw(46), 0};
        const size_t room = t->conv_grad_room(rows, k), unit = t->conv_grad_unit(rows, k);
        frame source = numbers(t, seen), dy = numbers(t, images * rows * plane), sum = blank(t, room),
              dw = blank(t, rows * k);
        void *scratch = malloc(t->conv_grad_scratch(rows, k, images * height * across) + 1);
        cr_assert(scratch);
        rgk_conv_grad g = {.rows = rows,
                           .k = k,
                           .taps = taps,
                           .terms = terms,
                           .source = source.at,
                           .dy = dy.at,
                           .height = height,
                           .width = across,
                           .pitch = pitch,
                           .step = step,
                           .dy_row = (ptrdiff_t)plane,
                           .dy_down = (ptrdiff_t)across,
                           .images = images,
                           .dy_image = rows * plane,
                           .source_image = height * pitch,
                           .sum = sum.at,
                           .fresh = true};
        for (int twice = 0; twice < 2; twice++, g.fresh = false)
            for (size_t from = 0; from < rows; from += unit)
                t->conv_grad(&g, from, from + unit < rows ? from + unit : rows, scratch);
        for (size_t from = 0; from < rows; from += unit)
            t->conv_grad_put(rows, k, from, from + unit < rows ? from + unit : rows, sum.at,
                             (char *)dw.at + from * k * width(t));
        for (size_t o = 0; o < rows; o++)
            for (size_t l = 0; l < k; l++) {
                double want = 0, scale = 0;
                for (size_t i = 0; i < images; i++)
                    for (size_t h = 0; h < height; h++)
                        for (size_t x = 0; x < across; x++) {
                            const double product =
                                get(t, dy.at, (i * rows + o) * plane + h * across + x) *
                                get(t, source.at, (i * height + h) * pitch + x * step + (size_t)terms[l].source);
                            want += 2 * product;
                            scale += 2 * fabs(product);
                        }
                close_to(t, get(t, dw.at, o * k + l), want, scale, "a weight's gradient");
            }
        free(scratch);
        end(&source, "source");
        end(&dy, "cotangents");
        end(&sum, "sums");
        end(&dw, "gradient");
    }
}

static void weight_sums_often(const rgk_table *t)
{
    for (int i = 0; i < 20; i++)
        weight_sums(t);
}

Test(conv_kernels, gradients_of_weights)
{
    each_table(weight_sums_often);
}

/* What a source with edges has, among elements that are no numbers: its rows, and the plane of each channel. */
typedef struct edged {
    size_t channels, height_taps, columns, plane, first; /* first: element of column 0 of row 0 */
    frame source;
} edged;

static edged edges(const rgk_table *t, rgk_conv_grad *g)
{
    edged e = {.channels = 1 + draw(4), .height_taps = 1 + draw(5)};
    const size_t across = g->width + g->taps - 1, beside = 40 * (across + 8);
    g->left = draw(across + 2);
    g->right = g->left < across ? draw(across - g->left + 1) : 0;
    e.columns = g->left < across ? across - g->left - g->right : 0;
    g->seen_rows = 1 + draw(9);
    g->first_row = (ptrdiff_t)draw(9) - 5;
    g->pitch = e.columns + draw(3);
    e.plane = g->seen_rows * g->pitch + draw(3);
    g->source_image = e.channels * e.plane;
    e.first = beside;
    const size_t all = g->images * g->source_image + 2 * beside;
    e.source = numbers(t, all);
    for (size_t i = 0; i < all; i++) {
        const size_t at = i - beside, row = e.plane && g->pitch ? at % e.plane / g->pitch : 0;
        if (i >= beside && at < g->images * g->source_image && g->pitch && row < g->seen_rows &&
            at % e.plane % g->pitch < e.columns)
            continue;
        if (t->type == RGK_F32)
            ((float *)e.source.at)[i] = NAN;
        else
            ((double *)e.source.at)[i] = NAN;
    }
    return e;
}

/* The element that pixel (h, x) sees with term l, 0 beyond the edges. */
static double edged_element(const rgk_table *t, const rgk_conv_grad *g, const edged *e, size_t image, size_t h,
                            size_t x, size_t l)
{
    const size_t c = l / g->taps / e->height_taps, column = x + l % g->taps;
    const ptrdiff_t row = g->first_row + (ptrdiff_t)(h + l / g->taps % e->height_taps);
    if (row < 0 || row >= (ptrdiff_t)g->seen_rows || column < g->left || column >= g->left + e->columns)
        return 0;
    return get(t, e->source.at,
               e->first + image * g->source_image + c * e->plane + (size_t)row * g->pitch + column - g->left);
}

static void edged_sums(const rgk_table *t)
{
    for (size_t n = 0, done = 0; done < 150 && n < 3000; n++) {
        rgk_conv_grad g = {.rows = 1 + draw(2 * t->conv_columns),
                           .taps = n % 2 ? 3 : 5,
                           .height = 1 + draw(5),
                           .width = 1 + draw(21),
                           .step = 1,
                           .images = 1 + draw(3),
                           .direct = true};
        edged e = edges(t, &g);
        g.height_taps = e.height_taps;
        g.k = e.channels * e.height_taps * g.taps;
        if (!t->conv_grad_direct(g.rows, g.k, g.taps)) {
            end(&e.source, "source");
            continue;
        }
        done++;
        rgk_term terms[100];
        for (size_t l = 0; l < g.k; l++)
            terms[l].source =
                (int32_t)(l / g.taps / e.height_taps * e.plane + l / g.taps % e.height_taps * g.pitch + l % g.taps);
        const size_t room = t->conv_grad_room(g.rows, g.k), unit = t->conv_grad_unit(g.rows, g.k),
                     plane = g.height * g.width;
        frame dy = numbers(t, g.images * g.rows * plane), sum = blank(t, room), dw = blank(t, g.rows * g.k),
              scratch = blank(t, t->conv_grad_scratch(g.rows, g.k, g.images * plane) / width(t));
        g.terms = terms;
        g.source = (const char *)e.source.at +
                   ((ptrdiff_t)e.first + g.first_row * (ptrdiff_t)g.pitch - (ptrdiff_t)g.left) * (ptrdiff_t)width(t);
        g.dy = dy.at;
        g.dy_row = (ptrdiff_t)plane;
        g.dy_down = (ptrdiff_t)g.width;
        g.dy_image = g.rows * plane;
        g.sum = sum.at;
        g.fresh = true;
        for (int twice = 0; twice < 2; twice++, g.fresh = false)
            for (size_t from = 0; from < g.rows; from += unit)
                t->conv_grad(&g, from, from + unit < g.rows ? from + unit : g.rows, scratch.at);
        t->conv_grad_put(g.rows, g.k, 0, g.rows, sum.at, dw.at);
        for (size_t o = 0; o < g.rows; o++)
            for (size_t l = 0; l < g.k; l++) {
                double want = 0, scale = 0;
                for (size_t p = 0; p < g.images * plane; p++) {
                    const size_t i = p / plane, h = p % plane / g.width, x = p % g.width;
                    const double product =
                        get(t, dy.at, (i * g.rows + o) * plane + p % plane) * edged_element(t, &g, &e, i, h, x, l);
                    want += 2 * product;
                    scale += 2 * fabs(product);
                }
                close_to(t, get(t, dw.at, o * g.k + l), want, scale, "a weight's gradient beside edges");
            }
        end(&e.source, "source");
        end(&dy, "cotangents");
        end(&sum, "sums");
        end(&dw, "gradient");
        end(&scratch, "scratch");
    }
}

Test(conv_kernels, gradients_of_weights_beside_edges)
{
    each_table(edged_sums);
}

/* ---- 3 x 3, plane by plane ---- */

static double element_at(const rgk_table *t, const rgk_depthwise *d, ptrdiff_t row, ptrdiff_t column)
{
    const bool there = row >= 0 && row < (ptrdiff_t)d->in_rows && column >= 0 && column < (ptrdiff_t)d->in_width;
    return there ? get(t, d->x, (size_t)row * d->in_width + (size_t)column) : 0;
}

/* What output (i, j) sees by tap k. */
static double seen(const rgk_table *t, const rgk_depthwise *d, size_t i, size_t j, size_t k)
{
    return element_at(t, d, (ptrdiff_t)(i + k / 3) - d->above, (ptrdiff_t)(j + k % 3) - d->left);
}

static void three_by_three(const rgk_table *t)
{
    for (int n = 0; n < 300; n++) {
        rgk_depthwise d = {.in_rows = 1 + draw(15),
                           .in_width = 1 + draw(n % 3 ? 70 : 20),
                           .above = (ptrdiff_t)draw(5) - 1,
                           .left = (ptrdiff_t)draw(5) - 1};
        const size_t rows = 1 + draw(15), width = 1 + draw(n % 2 ? 70 : 20), first = draw(rows);
        const bool turned = n % 2, fresh = n % 3;
        frame x = numbers(t, d.in_rows * d.in_width), w = numbers(t, 9), u = numbers(t, rows * width),
              y = blank(t, (rows - first) * width), sum = numbers(t, 9);
        double before[9];
        for (size_t k = 0; k < 9; k++)
            before[k] = fresh ? 0 : get(t, sum.at, k);
        d.x = x.at;
        d.width = width;
        d.rows = rows - first;
        d.row = first;
        t->depthwise(&d, w.at, turned, y.at);
        for (size_t i = 0; i < d.rows; i++)
            for (size_t j = 0; j < width; j++) {
                double want = 0, scale = 0;
                for (size_t k = 0; k < 9; k++) {
                    const double product = seen(t, &d, first + i, j, k) * get(t, w.at, turned ? 8 - k : k);
                    want += product;
                    scale += fabs(product);
                }
                close_to(t, get(t, y.at, i * width + j), want, scale, "an output of 3 x 3");
            }
        d.row = 0;
        d.rows = rows;
        t->depthwise_grad(&d, u.at, fresh, sum.at);
        for (size_t k = 0; k < 9; k++) {
            double want = before[k], scale = fabs(before[k]);
            for (size_t i = 0; i < rows; i++)
                for (size_t j = 0; j < width; j++) {
                    const double product = seen(t, &d, i, j, k) * get(t, u.at, i * width + j);
                    want += product;
                    scale += fabs(product);
                }
            close_to(t, get(t, sum.at, k), want, scale, "a gradient of 3 x 3");
        }
        end(&x, "plane");
        end(&w, "weights");
        end(&u, "cotangents");
        end(&y, "outputs");
        end(&sum, "sums");
    }
}

Test(conv_kernels, three_by_three)
{
    each_table(three_by_three);
}
