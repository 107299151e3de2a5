/* blocks.h - images whose channels lie in blocks, [N, C / B, H, W, B]: the order in which convolutions with outputs
   along the vectors make their sums. Plans keep values so between steps where that saves more than it costs
   (runtime/program/layouts.c); nothing that a program builds has this order. */
#ifndef RGI_OPS_BLOCKS_H
#define RGI_OPS_BLOCKS_H

#include "common.h"

/* conv of an input or with a result in blocks, or both; bits are those of conv. Made while compiling, never
   differentiated. */
extern const rg_op rgi_op_conv_blocks;

/* B of tensors of a floating type. */
int64_t rgi_block_columns(rg_dtype dtype);
/* Whether kernels read blocks as fast as planes: with 32 vector registers. */
bool rgi_blocks_pay(void);

/* What a convolution can do about blocks. */
typedef struct rgi_conv_blocking {
    bool reads, writes;
    bool copies; /* it copies planes into this order, or nearly, to read them */
} rgi_conv_blocking;

/* False: nothing. It follows from the shapes but for the size of the batch. */
bool rgi_conv_blocking_of(const rg_node *conv, rgi_conv_blocking *out);
/* The convolution of x, in blocks of `in` channels, with the result in blocks of `out`; 0: planes. */
rg_node *rgi_conv_in_blocks(const rg_node *conv, rg_node *x, rg_node *w, int64_t in, int64_t out);

/* Whether a max_pool is one of two axes; the same of x, which is its input in blocks. */
bool rgi_max_pool_of_images(const rg_node *pool);
rg_node *rgi_max_pool_in_blocks(const rg_node *pool, rg_node *x);

/* [N, C, H, W] -> [N, C / columns, H, W, columns], and back. */
rg_node *rgi_into_blocks(rg_node *x, int64_t columns);
rg_node *rgi_out_of_blocks(rg_node *x);
/* Whether x is one number, or has one for each channel, where it is broadcast to [N, C, H, W]; the same for blocks. */
bool rgi_fits_channels(const rg_node *x, int64_t channels);
rg_node *rgi_channels_in_blocks(rg_node *x, int64_t channels, int64_t columns);

#endif
