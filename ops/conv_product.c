/* conv_product.c - a convolution whose kernel is one element, without stride and padding, and its data gradient: for
   each image the product of the weights, or their transpose, and the planes as they lie. */
#include "conv.h"

#define LEAST_TASKS 16                 /* wanted */
#define TAIL_BYTES ((size_t)512 << 10) /* of results that wait for a tail: within L2 */

void rgi_conv_product_lay_out(rgi_conv_layout *l, bool data_grad, bool tail, const rgk_table *k, size_t size)
{
    rgi_conv_product *p = &l->product;
    const size_t images = l->n * l->groups;
    p->used = l->taps == 1 && l->whole && l->inputs == l->outputs;
    if (!p->used)
        return;
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
    p->planes_at = rgi_rounded(k->gemm_scratch(p->rows, p->columns, p->terms));
}

void rgi_conv_product_cost(const rg_step *s, const rgi_conv_layout *l, rg_cost *cost)
{
    const rgi_conv_product *p = &l->product;
    cost->tasks[0] = l->n * l->groups * p->parts;
    cost->scratch = p->planes_at + (s->tail ? p->rows * p->columns * rg_dtype_size(s->out_type[0].dtype) : 0);
}

rg_status rgi_conv_product_run(const rg_step *s, size_t lo, size_t hi)
{
    const rgi_conv_layout *l = s->geometry;
    const rgi_conv_product *p = &l->product;
    const size_t size = rg_dtype_size(s->out_type[0].dtype), plane = l->outputs;
    rg_status status = RG_OK;
    for (size_t task = lo; task < hi && !status; task++) {
        const size_t first = task % p->parts * p->columns, image = task / p->parts, group = image % l->groups;
        const size_t columns = rgi_smaller(plane - first, p->columns), y = image * p->rows * plane + first;
        const rgk_gemm product = {
            .m = p->rows,
            .n = columns,
            .k = p->terms,
            .a = (const char *)s->in[1] + group * p->rows * p->terms * size,
            .a_row = (ptrdiff_t)p->weights_row,
            .a_col = (ptrdiff_t)p->weights_column,
            .b = (const char *)s->in[0] + (image * p->terms * plane + first) * size,
            .b_row = (ptrdiff_t)plane,
            .b_col = 1,
            .c = s->tail ? (char *)s->scratch + p->planes_at : (char *)s->out[0] + y * size,
            .c_row = (ptrdiff_t)(s->tail ? columns : plane),
        };
        rgi_kernels(s->out_type[0].dtype)->gemm(&product, s->scratch);
        if (s->tail)
            status = rgi_conv_deliver(s, product.c, y, plane, p->rows, columns);
    }
    return status;
}
