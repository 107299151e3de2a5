/* test_conv_grad_kernels.c - the kernels of a convolution's gradient by its weights in every table: each sum against
   double precision; nothing beside the results is written, and beyond the edges of a source nothing is read. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "conv_frames.h"

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
                           .source = source.p,
                           .dy = dy.p,
                           .height = height,
                           .width = across,
                           .pitch = pitch,
                           .step = step,
                           .dy_row = (ptrdiff_t)plane,
                           .dy_down = (ptrdiff_t)across,
                           .images = images,
                           .dy_image = rows * plane,
                           .source_image = height * pitch,
                           .sum = sum.p,
                           .fresh = true};
        for (int twice = 0; twice < 2; twice++, g.fresh = false)
            for (size_t from = 0; from < rows; from += unit)
                t->conv_grad(&g, from, from + unit < rows ? from + unit : rows, scratch);
        for (size_t from = 0; from < rows; from += unit)
            t->conv_grad_put(rows, k, from, from + unit < rows ? from + unit : rows, sum.p,
                             (char *)dw.p + from * k * width(t));
        for (size_t o = 0; o < rows; o++)
            for (size_t l = 0; l < k; l++) {
                double want = 0, scale = 0;
                for (size_t i = 0; i < images; i++)
                    for (size_t h = 0; h < height; h++)
                        for (size_t x = 0; x < across; x++) {
                            const double product =
                                get(t, dy.p, (i * rows + o) * plane + h * across + x) *
                                get(t, source.p, (i * height + h) * pitch + x * step + (size_t)terms[l].source);
                            want += 2 * product;
                            scale += 2 * fabs(product);
                        }
                close_to(t, get(t, dw.p, o * k + l), want, scale, "a weight's gradient");
            }
        free(scratch);
        frame_free(&source, "source");
        frame_free(&dy, "cotangents");
        frame_free(&sum, "sums");
        frame_free(&dw, "gradient");
    }
}

static void weight_sums_often(const rgk_table *t)
{
    for (int i = 0; i < 20; i++)
        weight_sums(t);
}

Test(conv_grad_kernels, gradients_of_weights)
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
            ((float *)e.source.p)[i] = NAN;
        else
            ((double *)e.source.p)[i] = NAN;
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
    return get(t, e->source.p,
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
            frame_free(&e.source, "source");
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
        g.source = (const char *)e.source.p +
                   ((ptrdiff_t)e.first + g.first_row * (ptrdiff_t)g.pitch - (ptrdiff_t)g.left) * (ptrdiff_t)width(t);
        g.dy = dy.p;
        g.dy_row = (ptrdiff_t)plane;
        g.dy_down = (ptrdiff_t)g.width;
        g.dy_image = g.rows * plane;
        g.sum = sum.p;
        g.fresh = true;
        for (int twice = 0; twice < 2; twice++, g.fresh = false)
            for (size_t from = 0; from < g.rows; from += unit)
                t->conv_grad(&g, from, from + unit < g.rows ? from + unit : g.rows, scratch.p);
        t->conv_grad_put(g.rows, g.k, 0, g.rows, sum.p, dw.p);
        for (size_t o = 0; o < g.rows; o++)
            for (size_t l = 0; l < g.k; l++) {
                double want = 0, scale = 0;
                for (size_t p = 0; p < g.images * plane; p++) {
                    const size_t i = p / plane, h = p % plane / g.width, x = p % g.width;
                    const double product =
                        get(t, dy.p, (i * g.rows + o) * plane + p % plane) * edged_element(t, &g, &e, i, h, x, l);
                    want += 2 * product;
                    scale += 2 * fabs(product);
                }
                close_to(t, get(t, dw.p, o * g.k + l), want, scale, "a weight's gradient beside edges");
            }
        frame_free(&e.source, "source");
        frame_free(&dy, "cotangents");
        frame_free(&sum, "sums");
        frame_free(&dw, "gradient");
        frame_free(&scratch, "scratch");
    }
}

Test(conv_grad_kernels, gradients_of_weights_beside_edges)
{
    each_table(edged_sums);
}
