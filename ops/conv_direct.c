/* conv_direct.c - convolution and its data gradient with outputs along the vectors, where kernels of three or five
   columns go over planes by steps of one: the source is read where it lies. conv_wide.c has the strips, the packing of
   the weights and the way to the result; here are the sums of a block of outputs.

   The data gradient is the same sum over the cotangents, with the weights turned by half a circle. */
#include "conv.h"

#define LEAST_TERMS 256 /* of the weights that go with all pixels at a time */

/* Planes whose elements in one place lie so far apart, in bytes, meet in few places of the caches. */
#define CROWDED 16384

bool rgi_conv_direct_fits(const rgi_conv_layout *l, const rgk_table *k, size_t size)
{
    const rgi_conv_wide *w = &l->wide;
    const ptrdiff_t taps = (ptrdiff_t)l->kernel[2], first = rgi_conv_origin(l, 2, 0);
    bool fits = l->kernel[0] == 1 && w->result[0] == 1 && w->seen[0] == 1 &&
                k->conv_direct_fits(l->kernel[2], w->result[2], w->columns);
    for (int i = 0; i < 3; i++)
        fits = fits && l->stride[i] == 1 && l->dilation[i] == 1;
    /* every pixel sees an element in its row */
    fits = fits && first > -taps && first + (ptrdiff_t)w->result[2] <= (ptrdiff_t)w->seen[2];
    return fits && w->seen[1] * w->seen[2] * size % CROWDED != 0;
}

/* Channels whose weights go with all pixels at a time, so that these stay near. */
size_t rgi_conv_direct_pass(const rgi_conv_layout *l)
{
    const size_t least = rgi_smaller(rgi_parts(LEAST_TERMS, l->taps), l->wide.channels), block = l->wide.in_block;
    size_t pass = block; /* no call goes over the end of a block */
    while (pass && pass / 2 >= least)
        pass /= 2;
    return pass ? pass : least;
}

void rgi_conv_direct_add(const rg_step *s, const rgi_conv_layout *l, const rgi_conv_part *t, rgk_conv_direct *job,
                         size_t weight_bytes)
{
    const rgi_conv_wide *w = &l->wide;
    const rgk_table *k = rgi_kernels(s->out_type[0].dtype);
    const size_t size = rg_dtype_size(s->out_type[0].dtype), plane = w->seen[1] * w->seen[2],
                 bytes = l->taps * job->row * size;
    const char *weights = job->weights,
               *source = (const char *)s->in[0] + (t->image * l->groups + t->group) * w->channels * plane * size;
    const void *ahead = job->ahead;
    job->height_taps = l->kernel[1];
    job->taps = l->kernel[2];
    job->plane = w->in_block ? 1 : plane;
    job->pitch = w->seen[2] * rgi_larger(w->in_block, 1);
    job->seen_rows = w->seen[1];
    job->seen_width = w->seen[2];
    job->first_row = rgi_conv_origin(l, 1, t->row);
    job->first_column = rgi_conv_origin(l, 2, 0);
    job->images = t->images;
    job->source_image = l->groups * w->channels * plane;
    job->height = t->rows;
    job->width = w->result[2];
    job->begins = t->row == 0;
    for (size_t from = 0, to; from < w->channels; from = to) {
        to = rgi_smaller(from + w->pass, w->channels);
        job->channels = to - from;
        job->source =
            source +
            (w->in_block ? from / w->in_block * w->in_block * plane + from % w->in_block : from * plane) * size;
        job->weights = weights + from * bytes;
        job->next = weights + to * bytes;
        job->next_bytes = rgi_smaller(w->pass * bytes, weight_bytes - to * bytes);
        job->fresh = from == 0;
        job->ahead = to == w->channels ? ahead : NULL;
        k->conv_direct(job);
    }
}
