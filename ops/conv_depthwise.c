/* conv_depthwise.c - convolution where each channel of an image has 3 x 3 weights of its own, without stride, and its
   two gradients: plane by plane, where they lie. A convolution with one output, and the data gradient of one channel,
   as of a first layer, are sums of such planes. */
#include "conv.h"

#define LEAST_TASKS 16                   /* wanted */
#define SUMMED_BYTES ((size_t)512 << 10) /* of planes that are added up: they stay in L2 while rows of results pass */

void rgi_conv_depthwise_lay_out(rgi_conv_layout *l, bool data_grad, bool weight_grad, size_t size)
{
    rgi_conv_depthwise *d = &l->depthwise;
    d->planes = data_grad ? l->out_planes : l->in_planes;
    const size_t seen_bytes = (data_grad ? l->outputs : l->inputs) * d->planes * size;
    d->used = (data_grad ? l->in_planes : l->out_planes) == 1 && l->in[0] == 1 && l->kernel[0] == 1 && l->out[0] == 1 &&
              l->before[0] == 0;
    d->used = d->used && (d->planes == 1 || (d->planes > 1 && !weight_grad && seen_bytes <= SUMMED_BYTES));
    for (int i = 1; i < 3; i++)
        d->used = d->used && l->kernel[i] == 3 && l->stride[i] == 1 && l->dilation[i] == 1;
    if (!d->used)
        return;
    d->turned = data_grad; /* element i of the gradient is seen by cotangents i + before - tap */
    d->above = data_grad ? 2 - (ptrdiff_t)l->before[1] : (ptrdiff_t)l->before[1];
    d->left = data_grad ? 2 - (ptrdiff_t)l->before[2] : (ptrdiff_t)l->before[2];
    const size_t *seen = data_grad ? l->out : l->in, *made = data_grad ? l->in : l->out;
    d->in_rows = seen[1];
    d->in_width = seen[2];
    d->out_rows = made[1];
    d->width = made[2];
    d->parts = rgi_larger(rgi_smaller(rgi_parts(LEAST_TASKS, rgi_larger(l->n * l->groups, 1)), d->out_rows), 1);
    d->rows = rgi_larger(rgi_parts(d->out_rows, d->parts), 1);
    d->parts = rgi_parts(d->out_rows, d->rows);
}

void rgi_conv_depthwise_cost(const rg_step *s, const rgi_conv_layout *l, rg_cost *cost)
{
    const rgi_conv_depthwise *d = &l->depthwise;
    cost->tasks[0] = l->n * l->groups * d->parts;
    cost->scratch = s->tail ? d->rows * d->width * rg_dtype_size(s->out_type[0].dtype) : 0;
}

static rgk_depthwise plane_of(const rgi_conv_layout *l, const void *x, size_t plane, size_t size)
{
    const rgi_conv_depthwise *d = &l->depthwise;
    return (rgk_depthwise){.x = (const char *)x + plane * d->planes * d->in_rows * d->in_width * size,
                           .planes = d->planes,
                           .turned = d->turned,
                           .in_rows = d->in_rows,
                           .in_width = d->in_width,
                           .above = d->above,
                           .left = d->left,
                           .rows = d->out_rows,
                           .width = d->width};
}

rg_status rgi_conv_depthwise_run(const rg_step *s, size_t lo, size_t hi)
{
    const rgi_conv_layout *l = s->geometry;
    const rgi_conv_depthwise *d = &l->depthwise;
    const size_t size = rg_dtype_size(s->out_type[0].dtype);
    rg_status status = RG_OK;
    for (size_t task = lo; task < hi && !status; task++) {
        const size_t plane = task / d->parts, group = plane % l->groups;
        rgk_depthwise job = plane_of(l, s->in[0], plane, size);
        job.row = task % d->parts * d->rows;
        job.rows = rgi_smaller(d->rows, d->out_rows - job.row);
        const size_t first = (plane * d->out_rows + job.row) * d->width;
        void *y = s->tail ? s->scratch : (char *)s->out[0] + first * size;
        rgi_kernels(s->out_type[0].dtype)
            ->depthwise(&job, (const char *)s->in[1] + group * d->planes * l->taps * size, y);
        if (s->tail)
            status = rgi_conv_deliver(s, y, first, 0, 1, job.rows * d->width);
    }
    return status;
}

void rgi_conv_depthwise_sums(const rg_step *s, const rgi_conv_layout *l, size_t group, size_t from, size_t to,
                             void *sums)
{
    const size_t size = rg_dtype_size(s->out_type[0].dtype);
    for (size_t image = from; image < to; image++) {
        const size_t plane = image * l->groups + group;
        const rgk_depthwise job = plane_of(l, s->in[0], plane, size);
        rgi_kernels(s->out_type[0].dtype)
            ->depthwise_grad(&job, (const char *)s->in[1] + plane * l->outputs * size, image == from, sums);
    }
}
