/* table.c - the table of this build: rgk_avx512_f32 and its like; with -DRGK_WITH_PAIRS or -DRGK_WITH_TILES
   those whose products of bf16 are made of pairs. */
#include "gemm.h"
#include "list.h"
#include "tile_size.h"

#define RGK_ENTRY(row, f) [RGK_##row] = RGK_NAME(f),
#define RGK_REDUCE_ENTRY(row, f) [RGK_##row] = RGK_NAME(reduce_##f),

#define RGK_ISA_generic RGK_GENERIC
#define RGK_ISA_avx2 RGK_AVX2
#define RGK_ISA_avx512 RGK_AVX512
#define RGK_TABLE_(isa, type) rgk_##isa##_##type
#define RGK_TABLE(isa, type) RGK_TABLE_(isa, type)

#if defined(RGK_WITH_PAIRS)
const rgk_table rgk_avx512_bf16_f32 = {
    .isa = RGK_AVX512_BF16,
    .gemm_bf16_scratch = rgk_avx512_pairs_gemm_bf16_scratch,
    .gemm_bf16 = rgk_avx512_pairs_gemm_bf16,
    .gemm_bf16_packed = rgk_avx512_pairs_gemm_bf16_packed,
    .gemm_bf16_pack = rgk_avx512_pairs_gemm_bf16_pack,
#elif defined(RGK_WITH_TILES)
const rgk_table rgk_amx_f32 = {
    .isa = RGK_AMX,
    .gemm_bf16_scratch = rgk_avx512_tiles_gemm_bf16_scratch,
    .gemm_bf16 = rgk_avx512_tiles_gemm_bf16,
    .gemm_bf16_packed = rgk_avx512_pairs_gemm_bf16_packed,
    .gemm_bf16_pack = rgk_avx512_pairs_gemm_bf16_pack,
#else
const rgk_table RGK_TABLE(RGK_ISA, RGK_TYPE) = {
    .isa = RGK_PASTE(RGK_ISA_, RGK_ISA, ),
#if defined(RGK_REAL_F32)
    .gemm_bf16_scratch = RGK_NAME(gemm_bf16_scratch),
    .gemm_bf16 = RGK_NAME(gemm_bf16),
    .gemm_bf16_packed = RGK_NAME(gemm_bf16_packed),
    .gemm_bf16_pack = RGK_NAME(gemm_bf16_pack),
#endif
#endif
#if defined(RGK_REAL_F32)
    .widen = RGK_NAME(widen),
    .narrow = RGK_NAME(narrow),
#endif
    .type = sizeof(real) == 4 ? RGK_F32 : RGK_F64,
    .lanes = RGK_LANES,
    .unary = {RGK_UNARY_ROWS(RGK_ENTRY)},
    .binary = {RGK_BINARY_ROWS(RGK_ENTRY)},
    .ternary = {[RGK_FMA] = RGK_NAME(fma)},
    .compare = {RGK_COMPARE_ROWS(RGK_ENTRY)},
    .where = RGK_NAME(where),
    .fill = RGK_NAME(fill),
    .repeat = RGK_NAME(repeat),
    .reduce = {RGK_REDUCE_ROWS(RGK_REDUCE_ENTRY)},
    .argmax = RGK_NAME(argmax),
    .argmin = RGK_NAME(argmin),
    .softmax = RGK_NAME(softmax),
    .log_softmax = RGK_NAME(log_softmax),
    .logsumexp = RGK_NAME(logsumexp),
    .softmax_grad = RGK_NAME(softmax_grad),
    .log_softmax_grad = RGK_NAME(log_softmax_grad),
    .standardise = RGK_NAME(standardise),
    .standardise_grad = RGK_NAME(standardise_grad),
    .channel_sums = RGK_NAME(channel_sums),
    .channel_line = RGK_NAME(channel_line),
    .channel_slope = RGK_NAME(channel_slope),
    .max_pool = RGK_NAME(max_pool),
    .max_pool_scratch = RGK_NAME(max_pool_scratch),
    .max_pool_take = RGK_NAME(max_pool_take),
    .max_pool_put = RGK_NAME(max_pool_put),
    .avg_pool = RGK_NAME(avg_pool),
    .avg_pool_grad = RGK_NAME(avg_pool_grad),
    .conv = RGK_NAME(conv),
    .conv_source = RGK_NAME(conv_source),
    .conv_columns = TILE_COLS,
    .conv_wide = RGK_NAME(conv_wide),
    .conv_direct_fits = RGK_NAME(conv_direct_fits),
    .conv_direct = RGK_NAME(conv_direct),
    .conv_wide_pack = RGK_NAME(conv_wide_pack),
    .conv_wide_source = RGK_NAME(conv_wide_source),
    .conv_wide_put = RGK_NAME(conv_wide_put),
    .conv_grad_room = RGK_NAME(conv_grad_room),
    .conv_grad_steps = RGK_NAME(conv_grad_steps),
    .conv_grad_unit = RGK_NAME(conv_grad_unit),
    .conv_grad_scratch = RGK_NAME(conv_grad_scratch),
    .conv_grad_direct = RGK_NAME(conv_grad_direct),
    .conv_grad = RGK_NAME(conv_grad),
    .conv_grad_put = RGK_NAME(conv_grad_put),
    .depthwise = RGK_NAME(depthwise),
    .depthwise_grad = RGK_NAME(depthwise_grad),
    .uniform = RGK_NAME(uniform),
    .normal = RGK_NAME(normal),
    .gemm_scratch = RGK_NAME(gemm_scratch),
    .gemm = RGK_NAME(gemm),
    .gemm_updates = RGK_NAME(gemm_updates),
    .gemm_packed = RGK_NAME(gemm_packed),
    .gemm_pack = RGK_NAME(gemm_pack),
    .gemm_tile = RGK_NAME(gemm_tile),
};
