/* gemm_problem.h - what the tests of matrix products share: operands of either type or bf16 as they may lie, each
   between canaries, parts of a product, and the product with a B that was packed before. */
#ifndef GEMM_PROBLEM_H
#define GEMM_PROBLEM_H

#include "kernel_frames.h"

uint64_t draw(uint64_t below);

/* How a matrix lies: by rows, by columns, or with both strides above 1. */
typedef enum layout { BY_ROWS, BY_COLUMNS, SPREAD, LAYOUTS } layout;

typedef struct problem {
    const rgk_table *t;
    rgk_gemm g;
    frame a, b, c;
    size_t gap; /* elements between the rows of C */
    char label[160];
} problem;

/* Of numbers at random; around them NaN, which must not get into sums. */
problem problem_new(const rgk_table *t, size_t m, size_t n, size_t k, layout la, layout lb, bool a_bf16, bool b_bf16,
                    bool accumulate);
void problem_end(problem *p);
/* Element i of an operand. */
double operand(const rgk_table *t, const void *p, bool bf16, ptrdiff_t i);
void multiply(const rgk_table *t, const rgk_gemm *g);
/* The part of C at rows [i, i + m), columns [j, j + n), written to its place in `out`. */
void part(const problem *p, void *out, size_t i, size_t m, size_t j, size_t n);
/* Packs B in pieces and compares the product, cut along its columns and, at multiples of `unit`, along its sum, with
   that of B as it came; ends the problem. Gives false where packing gains nothing. */
bool check_packed(problem p, size_t unit);

#endif
