/* contract.h - what the rules of the contraction and its running share. */
#ifndef RGI_CONTRACT_H
#define RGI_CONTRACT_H

#include "rules.h"

typedef struct rgi_accumulate_attr {
    rg_contract_opts axes; /* first: the rules of contract read it */
    bool descending;
} rgi_accumulate_attr;

/* The axes of one operand in the order batch, free, contracted. */
typedef struct rgi_operand_axes {
    int32_t axis[RG_MAX_RANK];
    int32_t batch, free, contracted; /* how many of each */
} rgi_operand_axes;

/* False: an axis outside, or named twice. */
bool rgi_contract_axes(int32_t rank, const rg_axes *batch, const rg_axes *contracted, rgi_operand_axes *out);

/* The product of matrices that is left, for each batch element. */
typedef struct rgi_product {
    const rgk_table *kernels;
    size_t batch, m, n, k;
    size_t a_row, a_col, a_batch, b_row, b_col, b_batch; /* strides in elements */
    size_t tm, tn, rows, columns;                        /* task tile and how many there are ... */
    bool by_columns;                                     /* ... counted down the columns of tiles, not along the rows */
    size_t parts;                                        /* of the sum over k */
    size_t tail_rows;                                    /* of a block that a tail is given */
    bool adds;             /* the kernel can do what a tail that adds the product to memory does */
    bool apart;            /* the output's rows have gaps between them: */
    size_t c_row, c_batch; /* its strides */
} rgi_product;

/* What is stored as bf16, as f32. */
static inline rg_node *rgi_widened(rg_node *x)
{
    return x && x->dtype == RG_BF16 ? rg_cast(x, RG_F32) : x;
}

/* The fields of both descriptors that have to do with running: contract_run.c. */
void rgi_contract_geometry(const rg_step *s, void *out);
void rgi_contract_cost(const rg_step *s, rg_cost *cost);
rg_status rgi_contract_run(const rg_step *s, size_t lo, size_t hi);
/* Both operands may be windows, and a result that is not accumulated: each group of axes then goes along rows or from
   row to row. */
bool rgi_contract_takes(const rg_step *s, size_t i, const rg_window *w);
/* The second operand packed. */
size_t rgi_contract_packed(const rg_step *s, size_t i, size_t *tasks);
void rgi_contract_pack(const rg_step *s, size_t i, const void *from, void *to, size_t lo, size_t hi);

#endif
