/* conv.h - what the rules of convolution and its running share. */
#ifndef RGI_CONV_H
#define RGI_CONV_H

#include "rules.h"

/* Numbers of the last `rank` of three axes; those before are 1, their padding 0. */
typedef struct rgi_conv {
    int64_t rank, stride[3], before[3], after[3], dilation[3];
} rgi_conv;

/* Of conv_blocks: channels of a block of the input and of the result, or 0. */
typedef struct rgi_conv_blocks {
    rgi_conv conv;
    int64_t in, out;
} rgi_conv_blocks;

#define RGI_CONV_FIELDS                                                                                               \
    {"rank", offsetof(rgi_conv, rank), RG_ATTR_I64}, {"stride0", offsetof(rgi_conv, stride[0]), RG_ATTR_I64},         \
        {"stride1", offsetof(rgi_conv, stride[1]), RG_ATTR_I64},                                                      \
        {"stride2", offsetof(rgi_conv, stride[2]), RG_ATTR_I64},                                                      \
        {"before0", offsetof(rgi_conv, before[0]), RG_ATTR_I64},                                                      \
        {"before1", offsetof(rgi_conv, before[1]), RG_ATTR_I64},                                                      \
        {"before2", offsetof(rgi_conv, before[2]), RG_ATTR_I64},                                                      \
        {"after0", offsetof(rgi_conv, after[0]), RG_ATTR_I64}, {"after1", offsetof(rgi_conv, after[1]), RG_ATTR_I64}, \
        {"after2", offsetof(rgi_conv, after[2]), RG_ATTR_I64},                                                        \
        {"dilation0", offsetof(rgi_conv, dilation[0]), RG_ATTR_I64},                                                  \
        {"dilation1", offsetof(rgi_conv, dilation[1]), RG_ATTR_I64},                                                  \
    {                                                                                                                 \
        "dilation2", offsetof(rgi_conv, dilation[2]), RG_ATTR_I64                                                     \
    }
extern const rg_attr_field rgi_conv_fields[];

/* Outputs along an axis with `in` elements under a kernel of `size`; 0 where the kernel does not fit. */
int64_t rgi_conv_outputs(const rgi_conv *a, int axis, int64_t in, int64_t size);
/* The outputs of planes x under w; or the error that says why there are none. */
rg_status rgi_conv_infer_outputs(const rg_infer *call, const rg_shape *x, const rg_shape *w, rg_shape *y);

/* The shape of planes whose channels lie in blocks, 0: in none. */
static inline rg_shape rgi_conv_planes(const rg_shape *s, int64_t block)
{
    rg_shape planes = *s;
    planes.rank -= block != 0;
    planes.dim[1] *= block ? block : 1;
    return planes;
}

#define RGI_CONV_TAPS 512 /* of a kernel whose outputs go along the vectors, at most */

/* Of conv and its data gradient where outputs, of a group, go along the vectors: conv_wide.c. */
typedef struct rgi_conv_wide {
    bool used, data_grad;
    bool direct;                          /* the source is read where it lies: conv_direct.c */
    size_t in_block, out_block;           /* channels of blocks in which the source lies, the result does; 0: planes */
    size_t channels, outputs;             /* of the source, summed over; of the result */
    size_t seen[3], result[3], extent[3]; /* planes of both; of a strip's copy of an image */
    size_t images, packs, rows, strips;   /* a strip: of so many images; rows, how many in an image */
    size_t blocks, units, columns; /* outputs: in blocks of columns, shared out between so many tasks of a strip */
    size_t terms, remainders;
    bool divided[3]; /* by which taps are inside of the source: conv_classes.c */
    size_t most_classes, most_runs,
        pass; /* taps, or channels if it is direct, whose terms are added to all pixels at a time */
    size_t classes_at, starts_at, pixels_at, sums_at, planes_at, copy_at,
        scratch; /* planes: of a block of outputs, for a tail */
} rgi_conv_wide;

/* A strip: rows of results of one or several images. */
typedef struct rgi_conv_part {
    size_t image, images, group, depth, row, rows;
} rgi_conv_part;

/* Pixels that see the same terms: pixels [pixel, pixel + pixels) of a list, runs [run, run + runs) of another. */
typedef struct rgi_conv_class {
    size_t remainder, pixel, pixels, run, runs;
    size_t added; /* of the runs, for the present outputs */
} rgi_conv_class;

/* The classes of a strip, by remainder; those of remainder r have terms [terms[r], terms[r + 1]). */
typedef struct rgi_conv_lists {
    rgi_conv_class *classes;
    rgk_run *runs;
    rgk_pixel *pixels;
    size_t n, *terms;
} rgi_conv_lists;

/* Of both where the kernel is one element: conv_product.c. */
typedef struct rgi_conv_product {
    bool used, data_grad, steps; /* steps: of more than one */
    size_t rows, terms, weights_row, weights_column;
    size_t columns, parts; /* of a plane, of the smaller ones by steps: a task, how many */
    size_t height;         /* by steps: rows of a task */
    size_t near_at;        /* in scratch, by steps: a copy of what is seen, or a product that is to be spread out */
    size_t planes_at;      /* a task's results, for a tail */
} rgi_conv_product;

/* Of all three where every channel has 3 x 3 weights of its own, and of sums of such planes: conv_depthwise.c. */
typedef struct rgi_conv_depthwise {
    bool used, turned;
    size_t planes;         /* of the source, added up to one of the result */
    ptrdiff_t above, left; /* how far before an output the source that it sees begins */
    size_t in_rows, in_width, out_rows, width;
    size_t rows, parts; /* of a plane: a task, how many */
} rgi_conv_depthwise;

/* Everything about sizes that running needs, for each of the three ops. */
typedef struct rgi_conv_layout {
    size_t n, groups, in_planes, out_planes; /* planes: channels of one group */
    size_t in[3], kernel[3], out[3], stride[3], dilation[3], before[3];
    size_t taps, inputs, outputs;   /* of a kernel, elements of a plane */
    size_t phases[3], shift[3];     /* remainders and multiples of `sorted` that taps reach */
    size_t sorted[3];               /* a copy is sorted by remainders modulo this: the stride, or 1 */
    size_t first[3], count[3];      /* of the data gradient: input positions as first .. of stride steps */
    size_t rows, strips, source[3]; /* a strip: rows, how many in an image, extent of its source */
    size_t terms, source_at, source_bytes, starts_at; /* in scratch */
    size_t planes_at;                                 /* of a strip's results, for a tail */
    bool whole;                                       /* the source is read where it lies */
    bool gathered; /* each tap's elements are copied together, in a plane as dense as the outputs */
    size_t chunks, units, unit, room, turned_at; /* of the weight gradient */
    size_t images;                               /* of a strip of it */
    bool direct; /* it reads a padded source where it lies, `whole` too: what is beyond the edges is left out */
    rg_status (*run)(const rg_step *s, size_t lo, size_t hi); /* of the other two, the way that sizes ask for */
    rgi_conv_depthwise depthwise;
    rgi_conv_wide wide;
    rgi_conv_product product;
} rgi_conv_layout;

void rgi_conv_depthwise_lay_out(rgi_conv_layout *l, bool data_grad, bool weight_grad, size_t size);
void rgi_conv_depthwise_cost(const rg_step *s, const rgi_conv_layout *l, rg_cost *cost);
rg_status rgi_conv_depthwise_run(const rg_step *s, size_t lo, size_t hi);
/* Of the weight gradient: the sums of images [from, to) for one channel, begun from zero. */
void rgi_conv_depthwise_sums(const rg_step *s, const rgi_conv_layout *l, size_t group, size_t from, size_t to,
                             void *sums);

void rgi_conv_product_lay_out(rgi_conv_layout *l, bool data_grad, bool tail, const rgk_table *k, size_t size);
void rgi_conv_product_cost(const rg_step *s, const rgi_conv_layout *l, rg_cost *cost);
rg_status rgi_conv_product_run(const rg_step *s, size_t lo, size_t hi);

/* Of strips, whose rows are known: which axes are divided and how long the lists become. */
void rgi_conv_classes_lay_out(rgi_conv_layout *l);
void rgi_conv_list(const rgi_conv_layout *l, const rgi_conv_part *part, rgi_conv_lists *to);
/* The number of each tap among all, in the order of the terms: where its weights stand, in units of channels. */
void rgi_conv_ranks(const rgi_conv_layout *l, int32_t *ranks);
/* Where in the source, whose first element is 0, what result i of an axis sees begins; see conv_classes.c. */
ptrdiff_t rgi_conv_origin(const rgi_conv_layout *l, int axis, size_t i);

void rgi_conv_wide_lay_out(rgi_conv_layout *l, bool data_grad, bool tail, const rgk_table *k, size_t size);
size_t rgi_conv_packed(const rg_step *s, size_t i, size_t *tasks);
void rgi_conv_pack(const rg_step *s, size_t i, const void *from, void *to, size_t lo, size_t hi);
void rgi_conv_wide_cost(const rgi_conv_layout *l, size_t size, rg_cost *cost);
rg_status rgi_conv_wide_run(const rg_step *s, size_t lo, size_t hi);

/* To the step's tail: `rows` planes of `columns` results each, dense in `data`, that begin at element `first` of the
   output, `plane` elements apart. */
static inline rg_status rgi_conv_deliver(const rg_step *s, const void *data, size_t first, size_t plane, size_t rows,
                                         size_t columns)
{
    return s->tail->take(s, &(rg_block){data, columns, first, plane, rows, columns});
}

/* Of those whose result is known. The job has the outputs, their weights, so many bytes of which are there, sums. */
bool rgi_conv_direct_fits(const rgi_conv_layout *l, const rgk_table *k, size_t size);
size_t rgi_conv_direct_pass(const rgi_conv_layout *l);
void rgi_conv_direct_add(const rg_step *s, const rgi_conv_layout *l, const rgi_conv_part *t, rgk_conv_direct *job,
                         size_t weight_bytes);

void rgi_conv_lay_out(const rg_step *s, void *out);
void rgi_conv_cost(const rg_step *s, rg_cost *cost);
/* Task `task` of those that are strips of an image: of `height` rows, at each of `depth` depths. */
rgi_conv_part rgi_conv_strip(const rgi_conv_layout *l, size_t depth, size_t height, size_t task);
void rgi_conv_data_grad_cost(const rg_step *s, const rgi_conv_layout *l, rg_cost *cost);
rg_status rgi_conv_run(const rg_step *s, size_t lo, size_t hi);
rg_status rgi_conv_data_grad_run_pixels(const rg_step *s, size_t lo, size_t hi);
rg_status rgi_conv_data_grad_run(const rg_step *s, size_t lo, size_t hi);
rg_status rgi_conv_weight_grad_run(const rg_step *s, size_t lo, size_t hi);

#endif
