/* conv_data_grad.c - the gradient of a convolution with respect to its input, pixels along the vectors: inputs of one
   remainder modulo the stride see cotangents under a fixed subset of the taps; conv_run.c says how sizes are laid
   out. */
#include "conv.h"

#include <string.h>

static size_t remainders_of(const rgi_conv_layout *l)
{
    return l->stride[0] * l->stride[1] * l->stride[2];
}

/* For a tail: all remainders of a strip together are whole rows. */
static size_t rows_bytes(const rgi_conv_layout *l, size_t size)
{
    return l->stride[0] * l->in_planes * l->rows * l->stride[1] * l->in[2] * size;
}

void rgi_conv_data_grad_cost(const rg_step *s, const rgi_conv_layout *l, rg_cost *cost)
{
    cost->tasks[0] = l->n * l->groups * l->count[0] * l->strips;
    cost->scratch = l->starts_at + rgi_rounded((remainders_of(l) + 1) * sizeof(size_t)) +
                    (s->tail ? rows_bytes(l, rg_dtype_size(s->out_type[0].dtype)) : 0);
}

/* Terms of the inputs of each remainder: those of remainder r are [starts[r], starts[r + 1]). */
static void backward_terms(const rgi_conv_layout *l, rgk_term *terms, size_t *starts)
{
    const size_t remainders = l->stride[0] * l->stride[1] * l->stride[2], *n = l->whole ? l->out : l->source;
    const int32_t plane = (int32_t)(n[0] * n[1] * n[2]), weights = (int32_t)(l->in_planes * l->taps);
    starts[0] = 0;
    for (size_t r = 0; r < remainders; r++) {
        const size_t rest[3] = {r / l->stride[2] / l->stride[1], r / l->stride[2] % l->stride[1], r % l->stride[2]};
        rgk_term *const of = terms + starts[r];
        size_t met = 0;
        for (size_t k = 0; k < l->taps && l->out_planes; k++) { /* of the first plane */
            const size_t tap[3] = {k / l->kernel[2] / l->kernel[1], k / l->kernel[2] % l->kernel[1], k % l->kernel[2]};
            size_t source = 0;
            bool meets = true;
            for (int i = 0; i < 3; i++) {
                const size_t reach = tap[i] * l->dilation[i];
                meets = meets && reach % l->stride[i] == rest[i];
                source = source * n[i] + l->shift[i] - reach / l->stride[i];
            }
            if (meets)
                of[met++] = (rgk_term){(int32_t)source, (int32_t)k};
        }
        for (size_t o = 1; o < l->out_planes; o++)
            for (size_t k = 0; k < met; k++) {
                const rgk_term *before = &of[(o - 1) * met + k];
                of[o * met + k] = (rgk_term){before->source + plane, before->weight + weights};
            }
        starts[r + 1] = starts[r] + met * l->out_planes;
    }
}

/* Steps q of an axis whose input q stride + rest - before exists, within [from, to): [*lo, *hi). */
static void steps_inside(const rgi_conv_layout *l, int axis, size_t rest, size_t from, size_t to, size_t *lo,
                         size_t *hi)
{
    const size_t stride = l->stride[axis], before = l->before[axis], end = l->in[axis] + before;
    const size_t first = before > rest ? rgi_parts(before - rest, stride) : 0,
                 last = end > rest ? rgi_parts(end - rest, stride) : 0;
    *lo = rgi_larger(first, from);
    *hi = rgi_larger(rgi_smaller(last, to), *lo);
}

/* Where the inputs of a strip go: element h of axis 1 at depth d of plane c is c plane + (d - depths[0]) deep + (h -
   rows[0]) width elements on from `at`. */
typedef struct place {
    char *at;
    size_t depths[2], rows[2], plane, deep; /* first, and the one behind the last */
} place;

/* Inputs [first, first + n) steps of one remainder, as planes from x on. */
typedef struct part {
    size_t n[3];
    void *x;
} part;

static void clear(const rgi_conv_layout *l, const part *p, size_t plane, size_t size)
{
    for (size_t c = 0; c < l->in_planes; c++)
        for (size_t i = 0; i < p->n[1]; i++)
            for (size_t j = 0; j < p->n[2]; j++)
                memset((char *)p->x + (c * plane + i * l->stride[1] * l->in[2] + j * l->stride[2]) * size, 0, size);
}

/* The inputs that are steps [from, to) of an axis. */
static void inputs_of(const rgi_conv_layout *l, int axis, size_t from, size_t to, size_t inputs[2])
{
    const size_t stride = l->stride[axis], before = l->before[axis];
    inputs[0] = rgi_larger(from * stride, before) - before;
    inputs[1] = rgi_smaller(rgi_larger(to * stride, before) - before, l->in[axis]);
}

/* Straight to the output, or to scratch for a tail. */
static place place_of(const rg_step *s, const rgi_conv_layout *l, const rgi_conv_part *t)
{
    const size_t from[2] = {l->first[0] + t->depth, l->first[1] + t->row}, size = rg_dtype_size(s->out_type[0].dtype);
    place p = {.depths = {0}};
    if (!s->tail) {
        p.at = (char *)s->out[0] + (t->image * l->groups + t->group) * l->in_planes * l->inputs * size;
        p.plane = l->inputs;
        p.deep = l->in[1] * l->in[2];
        return p;
    }
    inputs_of(l, 0, from[0], from[0] + 1, p.depths);
    inputs_of(l, 1, from[1], from[1] + t->rows, p.rows);
    p.at = (char *)s->scratch + l->starts_at + rgi_rounded((remainders_of(l) + 1) * sizeof(size_t));
    p.plane = (p.rows[1] - p.rows[0]) * l->in[2];
    p.deep = l->in_planes * p.plane;
    return p;
}

static rg_status deliver(const rg_step *s, const rgi_conv_layout *l, const rgi_conv_part *t, const place *p)
{
    const size_t size = rg_dtype_size(s->out_type[0].dtype), image = t->image * l->groups + t->group;
    rg_status status = RG_OK;
    for (size_t d = p->depths[0]; p->plane && d < p->depths[1] && !status; d++)
        status = rgi_conv_deliver(s, p->at + (d - p->depths[0]) * p->deep * size,
                                  ((image * l->in_planes * l->in[0] + d) * l->in[1] + p->rows[0]) * l->in[2], l->inputs,
                                  l->in_planes, p->plane);
    return status;
}

/* The copy of the cotangents that steps [row, row + rows) see. */
static const void *backward_source(const rg_step *s, const rgi_conv_layout *l, const rgi_conv_part *t)
{
    const size_t size = rg_dtype_size(s->out_type[0].dtype);
    const char *planes = (const char *)s->in[0] + (t->image * l->groups + t->group) * l->out_planes * l->outputs * size;
    if (l->whole)
        return planes + (t->depth * l->out[1] + t->row) * l->out[2] * size;
    rgk_source source = {.planes = l->out_planes};
    const size_t first[3] = {l->first[0] + t->depth, l->first[1] + t->row, l->first[2]};
    for (int i = 0; i < 3; i++) {
        source.in[i] = l->out[i];
        source.phases[i] = source.step[i] = 1;
        source.n[i] = l->source[i];
        source.first[i] = (ptrdiff_t)first[i] - (ptrdiff_t)l->shift[i];
    }
    void *copy = (char *)s->scratch + l->source_at;
    rgi_kernels(s->out_type[0].dtype)->conv_source(&source, planes, copy);
    return copy;
}

/* The inputs of remainder r of a strip. */
static void run_remainder(const rg_step *s, const rgi_conv_layout *l, const rgi_conv_part *t, size_t r,
                          const rgk_term *terms, size_t n_terms, const char *source, const place *to)
{
    const size_t size = rg_dtype_size(s->out_type[0].dtype), pitch = l->whole ? l->out[2] : l->source[2];
    const size_t rest[3] = {r / l->stride[2] / l->stride[1], r / l->stride[2] % l->stride[1], r % l->stride[2]};
    const size_t from[3] = {l->first[0] + t->depth, l->first[1] + t->row, l->first[2]};
    const size_t behind[3] = {from[0] + 1, from[1] + t->rows, from[2] + l->count[2]};
    size_t first[3], x[3];
    part p;
    for (int i = 0; i < 3; i++) {
        size_t end;
        steps_inside(l, i, rest[i], from[i], behind[i], &first[i], &end);
        p.n[i] = end - first[i];
        x[i] = first[i] * l->stride[i] + rest[i] - l->before[i];
    }
    if (!p.n[0] || !p.n[1] || !p.n[2])
        return;
    p.x = to->at + ((x[0] - to->depths[0]) * to->deep + (x[1] - to->rows[0]) * l->in[2] + x[2]) * size;
    if (!n_terms) {
        clear(l, &p, to->plane, size);
        return;
    }
    const rgk_conv job = {
        .rows = l->in_planes,
        .k = n_terms,
        .terms = terms,
        .source = source + ((first[1] - from[1]) * pitch + first[2] - from[2]) * size,
        .weights = (const char *)s->in[1] + t->group * l->out_planes * l->in_planes * l->taps * size,
        .weights_row = (ptrdiff_t)l->taps,
        .height = p.n[1],
        .width = p.n[2],
        .pitch = pitch,
        .y = p.x,
        .y_row = (ptrdiff_t)to->plane,
        .y_down = (ptrdiff_t)(l->stride[1] * l->in[2]),
        .y_right = (ptrdiff_t)l->stride[2],
    };
    rgi_kernels(s->out_type[0].dtype)->conv(&job);
}

rg_status rgi_conv_data_grad_run_pixels(const rg_step *s, size_t lo, size_t hi)
{
    const rgi_conv_layout *l = s->geometry;
    rgk_term *terms = s->scratch;
    size_t *starts = (size_t *)(void *)((char *)s->scratch + l->starts_at);
    backward_terms(l, terms, starts);
    rg_status status = RG_OK;
    for (size_t task = lo; task < hi && !status; task++) {
        const rgi_conv_part t = rgi_conv_strip(l, l->count[0], l->count[1], task);
        const char *source = backward_source(s, l, &t);
        const place to = place_of(s, l, &t);
        for (size_t r = 0; r < remainders_of(l); r++)
            run_remainder(s, l, &t, r, terms + starts[r], starts[r + 1] - starts[r], source, &to);
        if (s->tail)
            status = deliver(s, l, &t, &to);
    }
    return status;
}

rg_status rgi_conv_data_grad_run(const rg_step *s, size_t lo, size_t hi)
{
    return ((const rgi_conv_layout *)s->geometry)->run(s, lo, hi);
}
