/* gemm_form.h - products with one short side that are done as one operand, W, stands: gemm_narrow.c. */
#ifndef RGK_GEMM_FORM_H
#define RGK_GEMM_FORM_H

#include "isa.h"
#include "kernels.h"

/* As many sums as fit beside a square in the registers, and into one. */
#define NARROW_MOST (RGK_VECTOR_BYTES == 64 ? 10 : 6)
#define NARROW (RGK_LANES < NARROW_MOST ? RGK_LANES : NARROW_MOST)

/* A vector times W by rows: W is B, or A. A few vectors times W by columns: W is B, or A. */
typedef enum narrow_form { NARROW_NOT, NARROW_ROW, NARROW_COLUMN, NARROW_ROWS, NARROW_COLUMNS } narrow_form;

RGK_INLINE narrow_form narrow_form_of(const rgk_gemm *g)
{
    if (g->m == 1 && g->b_col == 1)
        return NARROW_ROW;
    if (g->n == 1 && g->a_row == 1)
        return NARROW_COLUMN;
    if (g->m <= NARROW && g->b_row == 1)
        return NARROW_ROWS;
    return g->n <= NARROW && g->a_col == 1 ? NARROW_COLUMNS : NARROW_NOT;
}

#if !defined(RGK_REAL_PAIRS)
/* Of that form, where W holds bf16 and the other operand f32. */
void RGK_NAME(gemm_narrow_bf16)(const rgk_gemm *g, narrow_form form);
#endif

#endif
