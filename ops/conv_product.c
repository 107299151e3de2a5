/* conv_product.c - a convolution whose kernel is one element, without padding, and its data gradient: for each image
   the product of the weights, or their transpose, and the planes as they lie. By steps of more than one, forwards the
   elements that are seen are copied together first; the gradient is a product that is spread out among zeros. */
#include "conv.h"

#include <string.h>

#define LEAST_TASKS 16                 /* wanted */
#define TAIL_BYTES ((size_t)512 << 10) /* of results that wait for a tail: within L2 */
#define STEP_BYTES ((size_t)256 << 10) /* of a task's copy, or of its product that is to be spread out */

/* Of two axes at most, every element that is seen being there. */
static bool fits(const rgi_conv_layout *l)
{
    bool fits = l->taps == 1;
    for (int i = 0; i < 3; i++)
        fits = fits && l->before[i] == 0 && l->out[i] > 0 && (l->out[i] - 1) * l->stride[i] < l->in[i];
    return fits && (l->in[0] == 1 || (l->whole && l->inputs == l->outputs));
}

/* Of steps: a task takes whole rows of the smaller planes. */
static void lay_out_steps(rgi_conv_layout *l, size_t wanted, size_t size)
{
    rgi_conv_product *p = &l->product;
    const size_t row = rgi_larger(p->rows, p->terms) * l->out[2] * size;
    p->height = rgi_even(l->out[1], rgi_smaller(rgi_parts(l->out[1], wanted), STEP_BYTES / rgi_larger(row, 1)));
    p->parts = rgi_parts(l->out[1], p->height);
    p->columns = p->height * l->out[2];
}

void rgi_conv_product_lay_out(rgi_conv_layout *l, bool data_grad, bool tail, const rgk_table *k, size_t size)
{
    rgi_conv_product *p = &l->product;
    const size_t images = l->n * l->groups;
    p->used = fits(l);
    if (!p->used)
        return;
    p->steps = l->inputs != l->outputs;
    p->data_grad = data_grad;
    p->rows = data_grad ? l->in_planes : l->out_planes;
    p->terms = data_grad ? l->out_planes : l->in_planes;
    p->weights_row = data_grad ? 1 : l->in_planes;
    p->weights_column = data_grad ? l->in_planes : 1;
    const size_t wanted = rgi_parts(LEAST_TASKS, images ? images : 1);
    p->columns = rgi_parts(rgi_parts(l->outputs, wanted), k->conv_columns) * k->conv_columns;
    if (tail) {
        const size_t fit = TAIL_BYTES / rgi_larger(p->rows * size, 1) / k->conv_columns * k->conv_columns;
        p->columns = rgi_smaller(p->columns, rgi_larger(fit, k->conv_columns));
    }
    p->columns = rgi_larger(rgi_smaller(p->columns, l->outputs), 1);
    p->parts = rgi_parts(l->outputs, p->columns);
    if (p->steps)
        lay_out_steps(l, wanted, size);
    p->near_at = rgi_rounded(k->gemm_scratch(p->rows, p->columns, p->terms));
    p->planes_at = p->near_at;
    if (p->steps) /* a copy of the source has a vector beyond */
        p->planes_at += rgi_rounded((data_grad ? p->rows : p->terms) * p->columns * size + 64);
}

/* Elements of a plane of a task's results. */
static size_t plane_of(const rgi_conv_layout *l)
{
    const rgi_conv_product *p = &l->product;
    return p->steps && p->data_grad ? rgi_smaller(p->height * l->stride[1], l->in[1]) * l->in[2] : p->columns;
}

void rgi_conv_product_cost(const rg_step *s, const rgi_conv_layout *l, rg_cost *cost)
{
    const rgi_conv_product *p = &l->product;
    const size_t size = rg_dtype_size(s->out_type[0].dtype);
    const size_t last =
        p->steps && p->data_grad ? (l->in[1] - (p->parts - 1) * p->height * l->stride[1]) * l->in[2] : 0;
    cost->tasks[0] = l->n * l->groups * p->parts;
    cost->scratch = p->planes_at + (s->tail ? p->rows * rgi_larger(plane_of(l), last) * size : 0);
}

/* ---- by steps ---- */

/* n elements, `step` apart, among zeros: a row of `width`. Steps of two are by far the most, and written once. */
static void spread_row(const char *from, size_t n, size_t step, size_t size, char *to, size_t width)
{
    const size_t pairs = step == 2 ? rgi_smaller(n, width / 2) : 0;
    if (size == sizeof(float))
        for (size_t j = 0; j < pairs; j++) {
            const uint32_t zero = 0;
            memcpy(to + 2 * j * sizeof zero, from + j * sizeof zero, sizeof zero);
            memcpy(to + (2 * j + 1) * sizeof zero, &zero, sizeof zero);
        }
    else
        for (size_t j = 0; j < pairs; j++) {
            const uint64_t zero = 0;
            memcpy(to + 2 * j * sizeof zero, from + j * sizeof zero, sizeof zero);
            memcpy(to + (2 * j + 1) * sizeof zero, &zero, sizeof zero);
        }
    n -= pairs;
    from += pairs * size;
    to += 2 * pairs * size;
    memset(to, 0, (width - 2 * pairs) * size);
    if (size == sizeof(float))
        for (size_t j = 0; j < n; j++)
            memcpy(to + j * step * sizeof(float), from + j * sizeof(float), sizeof(float));
    else
        for (size_t j = 0; j < n; j++)
            memcpy(to + j * step * sizeof(double), from + j * sizeof(double), sizeof(double));
}

/* `rows` rows of each plane of a product to `height` rows of planes that are `plane` elements apart. */
static void spread(const rgi_conv_layout *l, const char *from, size_t rows, size_t size, char *to, size_t height,
                   size_t plane)
{
    const size_t across = l->out[2] * size, width = l->in[2] * size;
    for (size_t c = 0; c < l->product.rows; c++, from += rows * across)
        for (size_t h = 0; h < height; h++) {
            char *row = to + c * plane * size + h * width;
            if (h % l->stride[1] == 0)
                spread_row(from + h / l->stride[1] * across, l->out[2], l->stride[2], size, row, l->in[2]);
            else
                memset(row, 0, width);
        }
}

/* What rows [row, row + rows) of the outputs see, put together. */
static const void *gather(const rg_step *s, const rgi_conv_layout *l, size_t image, size_t row, size_t rows)
{
    const size_t size = rg_dtype_size(s->out_type[0].dtype);
    const rgk_source source = {.planes = l->product.terms,
                               .in = {1, l->in[1], l->in[2]},
                               .phases = {1, 1, 1},
                               .n = {1, rows, l->out[2]},
                               .step = {1, l->stride[1], l->stride[2]},
                               .first = {0, (ptrdiff_t)(row * l->stride[1]), 0}};
    void *copy = (char *)s->scratch + l->product.near_at;
    rgi_kernels(s->out_type[0].dtype)
        ->conv_source(&source, (const char *)s->in[0] + image * l->product.terms * l->inputs * size, copy);
    return copy;
}

/* Of so many columns of an image: c = weights b. */
static void multiply(const rg_step *s, const rgi_conv_layout *l, size_t image, size_t columns, const void *b,
                     size_t b_row, void *c, size_t c_row)
{
    const rgi_conv_product *p = &l->product;
    const size_t of_group = p->rows * p->terms * rg_dtype_size(s->out_type[0].dtype);
    const rgk_gemm product = {
        .m = p->rows,
        .n = columns,
        .k = p->terms,
        .a = (const char *)s->in[1] + image % l->groups * of_group,
        .a_row = (ptrdiff_t)p->weights_row,
        .a_col = (ptrdiff_t)p->weights_column,
        .b = b,
        .b_row = (ptrdiff_t)b_row,
        .b_col = 1,
        .c = c,
        .c_row = (ptrdiff_t)c_row,
    };
    rgi_kernels(s->out_type[0].dtype)->gemm(&product, s->scratch);
}

static rg_status run_steps(const rg_step *s, const rgi_conv_layout *l, size_t task)
{
    const rgi_conv_product *p = &l->product;
    const size_t size = rg_dtype_size(s->out_type[0].dtype), row = task % p->parts * p->height, image = task / p->parts,
                 rows = rgi_smaller(p->height, l->out[1] - row), columns = rows * l->out[2];
    /* of the result */
    const size_t plane = p->data_grad ? l->inputs : l->outputs,
                 begin = p->data_grad ? row * l->stride[1] * l->in[2] : row * l->out[2],
                 end = !p->data_grad            ? begin + columns
                       : row + rows < l->out[1] ? (row + rows) * l->stride[1] * l->in[2]
                                                : l->inputs;
    const size_t first = image * p->rows * plane + begin, apart = s->tail ? end - begin : plane;
    char *to = s->tail ? (char *)s->scratch + p->planes_at : (char *)s->out[0] + first * size;
    if (p->data_grad) {
        char *product = (char *)s->scratch + p->near_at;
        const char *seen = (const char *)s->in[0] + (image * p->terms * l->outputs + row * l->out[2]) * size;
        multiply(s, l, image, columns, seen, l->outputs, product, columns);
        spread(l, product, rows, size, to, (end - begin) / l->in[2], apart);
    } else {
        multiply(s, l, image, columns, gather(s, l, image, row, rows), columns, to, apart);
    }
    return s->tail ? rgi_conv_deliver(s, to, first, plane, p->rows, end - begin) : RG_OK;
}

/* ---- without ---- */

rg_status rgi_conv_product_run(const rg_step *s, size_t lo, size_t hi)
{
    const rgi_conv_layout *l = s->geometry;
    const rgi_conv_product *p = &l->product;
    const size_t size = rg_dtype_size(s->out_type[0].dtype), plane = l->outputs;
    rg_status status = RG_OK;
    for (size_t task = lo; task < hi && !status; task++) {
        if (p->steps) {
            status = run_steps(s, l, task);
            continue;
        }
        const size_t first = task % p->parts * p->columns, image = task / p->parts;
        const size_t columns = rgi_smaller(plane - first, p->columns), y = image * p->rows * plane + first;
        const char *seen = (const char *)s->in[0] + (image * p->terms * plane + first) * size;
        char *to = s->tail ? (char *)s->scratch + p->planes_at : (char *)s->out[0] + y * size;
        multiply(s, l, image, columns, seen, plane, to, s->tail ? columns : plane);
        if (s->tail)
            status = rgi_conv_deliver(s, to, y, plane, p->rows, columns);
    }
    return status;
}
