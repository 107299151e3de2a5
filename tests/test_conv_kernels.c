/* test_conv_kernels.c - the kernels of convolution in every table: each sum against double precision and, where its
   order is one chain of multiply-adds, cut in any way, to the last bit; nothing beside the results is written. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "conv_frames.h"

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
    c.sum = sum.p;
    for (int part = 0; part < 4; part++) {
        rgk_conv_wide p = c;
        p.pixel += part / 2 ? first : 0;
        p.pixels = part / 2 ? pixels - first : first;
        p.fresh = part % 2 == 0;
        p.runs = part % 2 ? runs - 2 : 2;
        p.run += part % 2 ? 2 : 0;
        t->conv_wide(&p);
    }
    cr_assert(memcmp(whole, sum.p, pixels * row * width(t)) == 0, "%s: other bits when cut, width %d",
              rgk_isa_name(t->isa), (int)c.width);
    frame_free(&sum, "sums in parts");
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
                                     .source = source.p,
                                     .weights = weights.p,
                                     .sum = sum.p,
                                     .ahead = planes.p,
                                     .plane = pixels + 3,
                                     .next = weights.p,
                                     .next_bytes = terms * row * width(t),
                                     .fresh = true};
            t->conv_wide(&c);
            for (size_t i = 0; i < pixels; i++)
                for (size_t o = 0; o < outputs; o++) {
                    double want = 0, scale = 0;
                    for (size_t r = 0; r < RUNS; r++)
                        for (size_t l = 0; l < (size_t)runs[r].k; l++) {
                            const double product = get(t, source.p, (size_t)(pixel[i].from + runs[r].source) + l) *
                                                   get(t, weights.p, ((size_t)runs[r].weights + l) * row + o);
                            want += product;
                            scale += fabs(product);
                        }
                    close_to(t, get(t, sum.p, (size_t)pixel[i].to * row + o), want, scale, "a sum");
                }
            cut(t, c, sum.p, row);
            t->conv_wide_put(pixels, outputs, sum.p, planes.p, pixels + 3);
            for (size_t o = 0; o < outputs; o++)
                for (size_t i = 0; i < pixels; i++)
                    cr_assert_eq(get(t, planes.p, o * (pixels + 3) + i), get(t, sum.p, i * row + o));
            frame_free(&source, "source");
            frame_free(&weights, "weights");
            frame_free(&sum, "sums");
            frame_free(&planes, "planes");
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
    d.sum = sum.p;
    d.channels = 1;
    d.begins = !d.begins;
    for (size_t c = 0; c < channels; c++, d.fresh = false) {
        t->conv_direct(&d);
        d.source = (const char *)d.source + d.plane * width(t);
        d.weights = (const char *)d.weights + d.height_taps * d.taps * d.row * width(t);
    }
    cr_assert(memcmp(whole, sum.p, elements * width(t)) == 0, "%s: other bits by channels", rgk_isa_name(t->isa));
    frame_free(&sum, "sums in parts");
}

/* The same sums from a source in a block: its channels lie together, as many as there are columns for them. */
static void direct_in_a_block(const rgk_table *t, rgk_conv_direct d, const void *planes, size_t elements)
{
    const size_t image = d.seen_rows * d.pitch * t->conv_columns, size = width(t);
    frame source = numbers(t, d.images * image), sum = blank(t, elements);
    for (size_t m = 0; m < d.images; m++)
        for (size_t c = 0; c < d.channels; c++)
            for (size_t i = 0; i < d.seen_rows * d.pitch; i++)
                memcpy((char *)source.p + (m * image + i * t->conv_columns + c) * size,
                       (const char *)d.source + (m * d.source_image + c * d.plane + i) * size, size);
    d.source = source.p;
    d.sum = sum.p;
    d.source_image = image;
    d.pitch *= t->conv_columns;
    d.plane = 1;
    t->conv_direct(&d);
    cr_assert(memcmp(planes, sum.p, elements * size) == 0, "%s: other bits from a block", rgk_isa_name(t->isa));
    frame_free(&source, "source in a block");
    frame_free(&sum, "sums from a block");
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
        d.source = source.p;
        d.weights = d.next = weights.p;
        d.next_bytes = terms * d.row * width(t);
        d.sum = sum.p;
        d.ahead = n % 5 ? planes.p : NULL;
        d.ahead_plane = pixels;
        t->conv_direct(&d);
        for (size_t i = 0; i < pixels; i++)
            for (size_t o = 0; o < outputs; o++)
                direct_sum(t, &d, i / across / d.height, i / across % d.height, i % across, o);
        direct_by_channels(t, d, sum.p, pixels * d.row);
        if (taps == 3)
            direct_in_a_block(t, d, sum.p, pixels * d.row);
        frame_free(&source, "source");
        frame_free(&weights, "weights");
        frame_free(&sum, "sums");
        frame_free(&planes, "planes");
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
            t->conv_wide_pack(&p, outputs, w.p, packed.p);
            for (size_t c = 0; c < channels; c++)
                for (size_t i = 0; i < taps; i++)
                    for (size_t o = 0; o < row; o++)
                        cr_assert_eq(get(t, packed.p, ((size_t)at[i] + c) * row + o),
                                     o < outputs ? get(t, w.p, (c * outputs + o) * taps + i) : 0);
            frame x = numbers(t, (channels - 1) * plane + n), y = blank(t, channels * n);
            t->conv_wide_source(channels, n, x.p, plane, y.p);
            for (size_t c = 0; c < channels; c++)
                for (size_t i = 0; i < n; i++)
                    cr_assert_eq(get(t, y.p, i * channels + c), get(t, x.p, c * plane + i));
            frame_free(&w, "weights");
            frame_free(&packed, "packed weights");
            frame_free(&x, "planes");
            frame_free(&y, "pixels");
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
                            .source = source.p,
                            .weights = weights.p,
                            .weights_row = 11,
                            .height = height,
                            .width = across,
                            .pitch = pitch,
                            .y = y.p,
                            .y_row = (ptrdiff_t)plane,
                            .y_down = (ptrdiff_t)down,
                            .y_right = (ptrdiff_t)right});
        for (size_t o = 0; o < rows; o++)
            for (size_t h = 0; h < height; h++)
                for (size_t x = 0; x < across; x++) {
                    double want = 0, scale = 0;
                    for (size_t l = 0; l < k; l++) {
                        const double product = get(t, source.p, h * pitch + x + (size_t)terms[l].source) *
                                               get(t, weights.p, o * 11 + (size_t)terms[l].weight);
                        want += product;
                        scale += fabs(product);
                    }
                    touched[o * plane + h * down + x * right] = 1;
                    close_to(t, get(t, y.p, o * plane + h * down + x * right), want, scale, "an output");
                }
        for (size_t e = 0; e < used * width(t); e++)
            cr_assert(touched[e / width(t)] || ((unsigned char *)y.p)[e] == MARK, "memory between rows was written");
        free(touched);
        frame_free(&source, "source");
        frame_free(&weights, "weights");
        frame_free(&y, "outputs");
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
        t->conv_source(&s, x.p, y.p);
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
                                    cr_assert_eq(get(t, y.p, e), there ? get(t, x.p, from) : 0);
                                }
        frame_free(&x, "planes");
        frame_free(&y, "copy");
    }
}

Test(conv_kernels, copies_of_the_source)
{
    each_table(sources);
}

/* ---- 3 x 3, plane by plane ---- */

static double element_at(const rgk_table *t, const rgk_depthwise *d, size_t plane, ptrdiff_t row, ptrdiff_t column)
{
    const bool there = row >= 0 && row < (ptrdiff_t)d->in_rows && column >= 0 && column < (ptrdiff_t)d->in_width;
    return there ? get(t, d->x, (plane * d->in_rows + (size_t)row) * d->in_width + (size_t)column) : 0;
}

/* What output (i, j) sees by tap k, counted over all planes. */
static double seen(const rgk_table *t, const rgk_depthwise *d, size_t i, size_t j, size_t k)
{
    return element_at(t, d, k / 9, (ptrdiff_t)(i + k % 9 / 3) - d->above, (ptrdiff_t)(j + k % 3) - d->left);
}

static void three_by_three(const rgk_table *t)
{
    for (int n = 0; n < 300; n++) {
        rgk_depthwise d = {.planes = 1 + draw(3),
                           .turned = n % 2,
                           .in_rows = 1 + draw(15),
                           .in_width = 1 + draw(n % 3 ? 70 : 20),
                           .above = (ptrdiff_t)draw(5) - 1,
                           .left = (ptrdiff_t)draw(5) - 1};
        const size_t rows = 1 + draw(15), width = 1 + draw(n % 2 ? 70 : 20), first = draw(rows);
        const bool fresh = n % 3;
        frame x = numbers(t, d.planes * d.in_rows * d.in_width), w = numbers(t, d.planes * 9),
              u = numbers(t, rows * width), y = blank(t, (rows - first) * width), sum = numbers(t, 9);
        double before[9];
        for (size_t k = 0; k < 9; k++)
            before[k] = fresh ? 0 : get(t, sum.p, k);
        d.x = x.p;
        d.width = width;
        d.rows = rows - first;
        d.row = first;
        t->depthwise(&d, w.p, y.p);
        for (size_t i = 0; i < d.rows; i++)
            for (size_t j = 0; j < width; j++) {
                double want = 0, scale = 0;
                for (size_t k = 0; k < 9 * d.planes; k++) {
                    const size_t weight = d.turned ? k / 9 * 9 + 8 - k % 9 : k;
                    const double product = seen(t, &d, first + i, j, k) * get(t, w.p, weight);
                    want += product;
                    scale += fabs(product);
                }
                close_to(t, get(t, y.p, i * width + j), want, scale, "an output of 3 x 3");
            }
        d.row = 0;
        d.rows = rows;
        t->depthwise_grad(&d, u.p, fresh, sum.p);
        for (size_t k = 0; k < 9; k++) {
            double want = before[k], scale = fabs(before[k]);
            for (size_t i = 0; i < rows; i++)
                for (size_t j = 0; j < width; j++) {
                    const double product = seen(t, &d, i, j, k) * get(t, u.p, i * width + j);
                    want += product;
                    scale += fabs(product);
                }
            close_to(t, get(t, sum.p, k), want, scale, "a gradient of 3 x 3");
        }
        frame_free(&x, "plane");
        frame_free(&w, "weights");
        frame_free(&u, "cotangents");
        frame_free(&y, "outputs");
        frame_free(&sum, "sums");
    }
}

Test(conv_kernels, three_by_three)
{
    each_table(three_by_three);
}
