/* gemm.h - the matrix product of one build of the kernels; see rgk_gemm in kernels.h. */
#ifndef RGK_GEMM_H
#define RGK_GEMM_H

#include "isa.h"
#include "kernels.h"

size_t RGK_NAME(gemm_scratch)(size_t m, size_t n, size_t k);
void RGK_NAME(gemm)(const rgk_gemm *g, void *scratch);
bool RGK_NAME(gemm_updates)(const rgk_gemm *g);
void RGK_NAME(gemm_tile)(size_t m, size_t n, size_t k, size_t *tm, size_t *tn);

size_t RGK_NAME(gemm_packed)(size_t n, size_t k, size_t *panels);
void RGK_NAME(gemm_pack)(size_t n, size_t k, const void *b, ptrdiff_t b_row, ptrdiff_t b_col, size_t lo, size_t hi,
                         void *packed);

/* The product with a B that was packed. */
void RGK_NAME(gemm_of_packed)(const rgk_gemm *g, void *scratch);

/* Products of bf16: those of the table are of the f32 build, or of pairs. */
size_t RGK_NAME(gemm_bf16_scratch)(size_t m, size_t n, size_t k);
void RGK_NAME(gemm_bf16)(const rgk_gemm *g, void *scratch);
size_t RGK_NAME(gemm_bf16_packed)(const rgk_gemm *g, size_t *panels);
void RGK_NAME(gemm_bf16_pack)(const rgk_gemm *g, size_t lo, size_t hi, void *packed);
#if defined(RGK_REAL_PAIRS) || defined(RGK_WITH_PAIRS) || defined(RGK_WITH_TILES)
size_t rgk_avx512_tiles_gemm_bf16_scratch(size_t m, size_t n, size_t k);
void rgk_avx512_tiles_gemm_bf16(const rgk_gemm *g, void *scratch);
size_t rgk_avx512_pairs_gemm_packed(size_t n, size_t k, size_t *panels);
size_t rgk_avx512_pairs_gemm_bf16_scratch(size_t m, size_t n, size_t k);
void rgk_avx512_pairs_gemm_bf16(const rgk_gemm *g, void *scratch);
size_t rgk_avx512_pairs_gemm_bf16_packed(const rgk_gemm *g, size_t *panels);
void rgk_avx512_pairs_gemm_bf16_pack(const rgk_gemm *g, size_t lo, size_t hi, void *packed);
size_t rgk_avx512_f32_gemm_bf16_scratch(size_t m, size_t n, size_t k);
void rgk_avx512_f32_gemm_bf16(const rgk_gemm *g, void *scratch);
size_t rgk_avx512_f32_gemm_bf16_packed(const rgk_gemm *g, size_t *panels);
void rgk_avx512_f32_gemm_bf16_pack(const rgk_gemm *g, size_t lo, size_t hi, void *packed);
#endif

/* The product if one side of C is short and the operands lie so that it is done best as it stands; else false. */
bool RGK_NAME(gemm_narrow)(const rgk_gemm *g);

#endif
