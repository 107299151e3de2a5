/* linalg.h - one contraction and what is built from it.

   Derivatives can be taken any number of times. Errors: sizes of paired axes that differ, too few or too many axes
   (RG_ERR_SHAPE), an axis outside the rank or named twice, lists that do not go in pairs (RG_ERR_ARGUMENT), dtypes that
   differ or are not taken (RG_ERR_DTYPE); then the result is NULL and the graph's error is set. A graph is used by one
   thread at a time. Options are copied; NULL: all defaults. */
#ifndef RETROGRADE_OPS_LINALG_H
#define RETROGRADE_OPS_LINALG_H

#include <retrograde/base.h>

#ifdef __cplusplus
extern "C" {
#endif

/* sum over the contracted axes of a * b, elementwise over the batch axes. Result axes: the batch axes in the order
   given, then a's other axes, then b's. Pairs of axes have equal sizes. f32, f64.
   da and db are contractions again. Operands of bf16, here and below, alone or beside one of f32, are multiplied
   as they are and summed in f32, the type of the result; the gradient of such an operand is rounded to bf16. An
   element's bits depend on the length of its sum alone; but sums of more than 8192 numbers are made in parts where the
   result has at most 4096 elements. */
typedef struct rg_contract_opts {
    rg_axes a_batch, b_batch;       /* paired in order */
    rg_axes a_contract, b_contract; /* paired in order */
} rg_contract_opts;
RG_API rg_node *rg_contract(rg_node *a, rg_node *b, const rg_contract_opts *opts);

/* NumPy matmul: [..., m, k] x [..., k, n] -> [..., m, n], leading axes broadcast; rank 1 is a vector, as in NumPy. */
RG_API rg_node *rg_matmul(rg_node *a, rg_node *b);
/* The same with operands transposed in their last two axes, without copies. */
RG_API rg_node *rg_matmul_t(rg_node *a, bool transpose_a, rg_node *b, bool transpose_b);
/* x [..., in] -> x W^T + bias [..., out]; weight [out, in] as PyTorch stores it, bias [out] or NULL. */
RG_API rg_node *rg_linear(rg_node *x, rg_node *weight, rg_node *bias);
RG_API rg_node *rg_outer(rg_node *a, rg_node *b); /* [m] x [n] -> [m, n] */
RG_API rg_node *rg_dot(rg_node *a, rg_node *b);   /* [n] . [n] -> scalar */

/* Sums of products by the letters of the axes, as numpy.einsum: "bij,bjk->bik". One term a node, at most 16; letters
   that the result has not are summed over, a letter twice in a term takes the diagonal; without -> the result has the
   letters that occur once, in alphabetical order. Contractions from the left, so the order of the operands decides the
   cost. Gradients are those of contract, sum and transpose. Errors: RG_ERR_ARGUMENT for the letters, RG_ERR_SHAPE where
   a term has another number of axes than its operand or sizes of one letter differ. */
RG_API rg_node *rg_einsum(const char *text, rg_nodes xs);

#ifdef __cplusplus
}
#endif

#endif
